//! Identifiers, terms, names and language tags.
//!
//! Source: Azure/opendigitaltwins-dtdl, `DTDL.v3.md`, sections "Digital twin model identifier", "Names" and "Display string
//! localization".

/// Whether bytes are letters, digits and underscores, beginning as asked and not ending with an underscore.
fn segment(text: &str, may_begin_with_underscore: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    (first.is_ascii_alphabetic() || (may_begin_with_underscore && *first == b'_'))
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn count(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn dtmi(text: &str, underscores: bool) -> bool {
    let Some(rest) = text.strip_prefix("dtmi:") else { return false };
    let (path, version) = rest.split_once(';').map_or((rest, None), |(path, version)| (path, Some(version)));
    let version = version.is_none_or(|version| match version.split_once('.') {
        Some((major, minor)) => count(major, 9) && count(minor, 6),
        None => count(version, 9),
    });
    version && path.split(':').all(|part| segment(part, underscores))
}

/// An identifier that a person may give.
pub(super) fn is_identifier(text: &str) -> bool {
    dtmi(text, false)
}

/// An identifier, those of tools included, whose parts may begin with an underscore.
pub(super) fn is_any_identifier(text: &str) -> bool {
    dtmi(text, true)
}

/// A term of a vocabulary.
pub(super) fn is_term(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The name of a content, field, value or key.
pub(super) fn is_name(text: &str) -> bool {
    segment(text, false)
}

/// `en`, `en-US`, `sr-Latn-RS`, `es-419`.
pub(super) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-').peekable();
    let lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    if !parts.next().is_some_and(|part| (2..=4).contains(&part.len()) && lower(part)) {
        return false;
    }
    let script = |part: &&str| {
        part.len() == 4 && part.starts_with(|c: char| c.is_ascii_uppercase()) && lower(&part[1..])
    };
    if parts.peek().is_some_and(script) {
        parts.next();
    }
    let region = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_uppercase()))
            || (part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    parts.next().is_none_or(region) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in
            ["dtmi:foo:bar;7", "dtmi:foo", "dtmi:foo_bar:b16;33", "dtmi:foo:bar;3.14", "dtmi:f;999999999"]
        {
            assert!(is_identifier(good), "{good}");
        }
        for bad in [
            "",
            "foo",
            "dtmi:",
            "dtmi:_x;1",
            "dtmi:x_;1",
            "dtmi:x;0",
            "dtmi:x;01",
            "dtmi:x;1234567890",
            "dtmi:x:;1",
            "dtmi:x;1.0",
        ] {
            assert!(!is_identifier(bad), "{bad}");
        }
        assert!(is_any_identifier("dtmi:_x;1"));
    }

    #[test]
    fn names_and_languages() {
        assert!(is_name("aB_9") && !is_name("9a") && !is_name("a_") && !is_name("_a") && !is_name("ä"));
        assert!(is_term("a_") && !is_term("a b"));
        for good in ["en", "en-US", "sr-Latn-RS", "es-419", "sr-Latn"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "e", "EN", "en-us", "en-US-x", "en_US", "Ä-A"] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
