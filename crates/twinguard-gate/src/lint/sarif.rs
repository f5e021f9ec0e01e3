//! Defects as SARIF 2.1.0 (OASIS Standard, 27 March 2020), for editors and pipelines that read it.

use serde_json::{Value, json};

use super::{CHECKS, Defect, Level};

const fn word(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// One run with all checks as its rules (§3.19) and a result for each defect (§3.27).
#[must_use]
pub fn sarif(defects: &[Defect]) -> String {
    let rules: Vec<Value> = CHECKS
        .iter()
        .map(|check| {
            json!({
                "id": check.id,
                "name": check.name.split(' ').map(capital).collect::<String>(),
                "shortDescription": { "text": check.about },
                "defaultConfiguration": { "level": word(check.level) },
            })
        })
        .collect();
    let results: Vec<Value> = defects.iter().map(result).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "twinguard-gate",
                "informationUri": "https://github.com/twinguard/twinguard",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}")
}

fn result(defect: &Defect) -> Value {
    let mut result = json!({
        "ruleId": defect.id,
        "level": word(defect.level),
        "message": { "text": defect.text },
    });
    if let Some(at) = CHECKS.iter().position(|check| check.id == defect.id) {
        result["ruleIndex"] = json!(at);
    }
    if let Some(place) = &defect.place {
        let mut location = json!({ "artifactLocation": { "uri": uri(&place.file) } });
        if place.line > 0 {
            location["region"] = json!({ "startLine": place.line, "startColumn": place.column.max(1) });
        }
        result["locations"] = json!([{ "physicalLocation": location }]);
    }
    result
}

/// A file's name as a relative reference (RFC 3986 §4.2).
fn uri(file: &str) -> String {
    let mut uri = String::with_capacity(file.len());
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
                uri.push(char::from(byte));
            }
            b'\\' => uri.push('/'),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn capital(text: &str) -> String {
    text.split('-')
        .map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}
