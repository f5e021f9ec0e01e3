//! ATT&CK Navigator layers, format 4.5 (mitre-attack/attack-navigator, `layers/LAYERFORMATv4_5.md`).

use std::collections::BTreeMap;

use twinguard_types::Finding;

use crate::text;

/// A layer for the `ics-attack` domain: each technique of the findings, scored by the number of findings that show it.
///
/// ```
/// let layer = twinguard_report::navigator::layer(&[]);
/// assert!(layer.contains(r#""domain": "ics-attack""#));
/// ```
#[must_use]
pub fn layer(findings: &[Finding]) -> String {
    let mut techniques: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in findings {
        for technique in &finding.techniques {
            let comment = format!("F-{} {}", finding.id, text::visible(&finding.title, text::NAME));
            techniques.entry(technique.id.as_str()).or_default().push(comment);
        }
    }
    let most = techniques.values().map(Vec::len).max().unwrap_or(1);
    let entries: Vec<String> = techniques
        .iter()
        .map(|(id, comments)| {
            let shown: Vec<&str> = comments.iter().take(8).map(String::as_str).collect();
            format!(
                "    {{\"techniqueID\": {}, \"score\": {}, \"comment\": {}, \"enabled\": true}}",
                quoted(id),
                comments.len(),
                quoted(&shown.join("; "))
            )
        })
        .collect();
    let techniques =
        if entries.is_empty() { "[]".into() } else { format!("[\n{}\n  ]", entries.join(",\n")) };
    format!(
        "{{\n  \"name\": \"twinguard findings\",\n  \"versions\": {{\"layer\": \"4.5\"}},\n  \
         \"domain\": \"ics-attack\",\n  \"description\": \"Techniques that the findings of one run fit\",\n  \
         \"gradient\": {{\"colors\": [\"#f6f7f8\", \"#b3180f\"], \"minValue\": 0, \"maxValue\": {most}}},\n  \
         \"techniques\": {techniques}\n}}\n"
    )
}

/// A layer of what a campaign showed: each technique with how often it was seen and how often missed. Green was always
/// seen, red never; the score is the share seen, in per cent.
///
/// ```
/// let layer = twinguard_report::navigator::coverage("night run", &[("T0856", 19, 1)]);
/// assert!(layer.contains(r#""techniqueID": "T0856", "score": 95"#));
/// ```
#[must_use]
pub fn coverage(name: &str, techniques: &[(&str, u64, u64)]) -> String {
    let entries: Vec<String> = techniques
        .iter()
        .filter(|(_, seen, missed)| seen + missed > 0)
        .map(|(id, seen, missed)| {
            format!(
                "    {{\"techniqueID\": {}, \"score\": {}, \"comment\": {}, \"enabled\": true}}",
                quoted(id),
                100 * seen / (seen + missed),
                quoted(&format!("seen {seen}, missed {missed}"))
            )
        })
        .collect();
    let techniques =
        if entries.is_empty() { "[]".into() } else { format!("[\n{}\n  ]", entries.join(",\n")) };
    format!(
        "{{\n  \"name\": {},\n  \"versions\": {{\"layer\": \"4.5\"}},\n  \
         \"domain\": \"ics-attack\",\n  \"description\": \"Share of attacks with each technique that were seen\",\n  \
         \"gradient\": {{\"colors\": [\"#b3180f\", \"#f7d354\", \"#1f7a5c\"], \"minValue\": 0, \"maxValue\": 100}},\n  \
         \"techniques\": {techniques}\n}}\n",
        quoted(&text::visible(name, text::NAME))
    )
}

/// A JSON string (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn strings_are_quoted() {
        assert_eq!(super::quoted("a\"b\\\n"), r#""a\"b\\\u000a""#);
    }
}
