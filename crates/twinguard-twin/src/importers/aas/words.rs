//! Language tags and media types.
//!
//! Sources: RFC 5646 §2.1 (language tags, grandfathered ones included), RFC 9110 §5.6.2, §5.6.4, §8.3.1 (media types with parameters).

const GRANDFATHERED: [&str; 26] = [
    "en-GB-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-BE-FR",
    "sgn-BE-NL",
    "sgn-CH-DE",
    "art-lojban",
    "cel-gaulish",
    "no-bok",
    "no-nyn",
    "zh-guoyu",
    "zh-hakka",
    "zh-min",
    "zh-min-nan",
    "zh-xiang",
];

/// Whether a text is a well-formed language tag.
pub(super) fn is_language(text: &str) -> bool {
    if GRANDFATHERED.contains(&text) {
        return true;
    }
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let both = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut parts = text.split('-').peekable();
    let Some(first) = parts.next() else { return false };
    let private = |part: &str| part.eq_ignore_ascii_case("x");
    if !private(first) {
        if !(letters(first) && (2..=8).contains(&first.len())) {
            return false;
        }
        // Up to three extended languages, after a language of two or three letters.
        for _ in 0..3 {
            if first.len() <= 3 && parts.peek().is_some_and(|part| part.len() == 3 && letters(part)) {
                parts.next();
            }
        }
        if parts.peek().is_some_and(|part| part.len() == 4 && letters(part)) {
            parts.next();
        }
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if parts
            .peek()
            .is_some_and(|part| (part.len() == 2 && letters(part)) || (part.len() == 3 && digits(part)))
        {
            parts.next();
        }
        let variant = |part: &&str| {
            both(part)
                && ((5..=8).contains(&part.len())
                    || (part.len() == 4 && part.starts_with(|c: char| c.is_ascii_digit())))
        };
        while parts.next_if(variant).is_some() {}
        while parts.next_if(|part| part.len() == 1 && both(part) && !private(part)).is_some() {
            let mut any = false;
            while parts.next_if(|part| (2..=8).contains(&part.len()) && both(part)).is_some() {
                any = true;
            }
            if !any {
                return false;
            }
        }
        match parts.next() {
            None => return true,
            Some(part) if private(part) => {}
            Some(_) => return false,
        }
    }
    let mut rest = parts.peekable();
    rest.peek().is_some() && rest.all(|part| (1..=8).contains(&part.len()) && both(part))
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a text is a media type, perhaps with parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let end = text.find(';').unwrap_or(text.len());
    let (kind, mut rest) = text.split_at(end);
    let kind = if rest.is_empty() { kind } else { kind.trim_end_matches([' ', '\t']) };
    if !kind.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
        return false;
    }
    while let Some(parameter) = rest.strip_prefix(';') {
        let Some((name, value)) = parameter.trim_start_matches([' ', '\t']).split_once('=') else {
            return false;
        };
        if !is_token(name) {
            return false;
        }
        rest = match value.strip_prefix('"') {
            Some(quoted) => match end_of_quoted(quoted) {
                Some(end) => &quoted[end..],
                None => return false,
            },
            None => {
                let end = value.find([';', ' ', '\t']).unwrap_or(value.len());
                if !is_token(&value[..end]) {
                    return false;
                }
                &value[end..]
            }
        };
        if !rest.is_empty() {
            rest = rest.trim_start_matches([' ', '\t']);
        }
    }
    rest.is_empty()
}

/// Where a quoted text ends, behind its quote.
fn end_of_quoted(text: &str) -> Option<usize> {
    let plain = |c: char| matches!(c, '\t' | ' '..='~' | '\u{80}'..='\u{ff}');
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if !plain(c) => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        for good in [
            "en",
            "en-GB",
            "sr-Latn",
            "es-419",
            "zh-CN-a-myext-x-private",
            "de-CH-1996",
            "i-klingon",
            "x-any",
            "zh-min-nan",
            "sl-rozaj-biske",
        ] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "e", "en_GB", "en-", "en-a", "x", "1en", "\u{fb03}"] {
            assert!(!is_language(bad), "{bad}");
        }
    }

    #[test]
    fn media_types() {
        for good in [
            "application/pdf",
            "text/plain; charset=utf-8",
            "a/b;c=\"d\\\"e\" ; f=g",
            "application/vnd.x+json",
        ] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "a", "a/", "/b", "a/b;", "a/b;c", "a/b c", "a/b;c=\"d", "a/b;c=d e"] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
