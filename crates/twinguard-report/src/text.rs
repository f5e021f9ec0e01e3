//! Strings that an attacker may have chosen, made harmless for the eye; maud escapes them for the parser.

use maud::{Markup, html};

/// Longest name shown, characters.
pub(crate) const NAME: usize = 120;
/// Longest sentence or clause shown, characters.
pub(crate) const PROSE: usize = 600;

/// Control, bidirectional and invisible characters, and line separators: Unicode categories Cc and Cf as far as they
/// change what a reader believes to see (Unicode TR 36 §3.5, TR 9).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text with deceptive characters written out as `\u{202E}` and cut at `limit` characters.
pub(crate) fn visible(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit * 2));
    for (index, c) in text.chars().enumerate() {
        if index == limit {
            out.push('…');
            break;
        }
        if is_deceptive(c) {
            out.push_str(&format!("\\u{{{:X}}}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`visible`], keeping line breaks: for text that is signed or typed as it stands.
pub(crate) fn lines(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for line in text.trim_end().lines().take(64) {
        out.push_str(&visible(line, limit));
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// A foreign name, in mono so that it cannot pose as our words; a long one breaks after a dot or an underscore.
pub(crate) fn name(text: &str) -> Markup {
    html! { code { (broken(text, NAME)) } }
}

/// A foreign name that may break after a dot or an underscore.
pub(crate) fn broken(text: &str, most: usize) -> Markup {
    let text = visible(text, most);
    html! { @for (index, part) in text.split_inclusive(['.', '_']).enumerate() { @if index > 0 { wbr; } (part) } }
}

/// Our sentence; what stands between backticks is a foreign name.
pub(crate) fn prose(text: &str) -> Markup {
    let text = visible(text, PROSE);
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The sentence with a full stop, if it lacks one.
pub(crate) fn stopped(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

/// The text as it stands within a sentence: a small first letter, unless the first word is a name or an abbreviation.
pub(crate) fn within(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if word.chars().skip(1).all(|c| c.is_lowercase()) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// The text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_made_visible() {
        let check = |text: &str, expect: &str| assert_eq!(visible(text, 12), expect);
        check("pump.speed", "pump.speed");
        check("a\u{202e}b", "a\\u{202E}b");
        check("a\nb\u{0}", "a\\u{A}b\\u{0}");
        check("zero\u{200b}width", "zero\\u{200B}width");
        check("a name that is too long", "a name that …");
        check("3\u{202f}K ± 2 σ", "3\u{202f}K ± 2 σ");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(name("</script>\"&").into_string(), "<code>&lt;/script&gt;&quot;&amp;</code>");
        assert_eq!(name("pump.speed").into_string(), "<code>pump.<wbr>speed</code>");
        assert_eq!(prose("read `a<b` now").into_string(), "read <code>a&lt;b</code> now");
    }

    #[test]
    fn lines_are_kept() {
        assert_eq!(lines("a\nb\r\n\n", 9), "a\nb");
        assert_eq!(stopped("it fell"), "it fell.");
        assert_eq!(capital("über"), "Über");
        assert_eq!(within("A writer came"), "a writer came");
        assert_eq!(within("TCP was cut"), "TCP was cut");
    }
}
