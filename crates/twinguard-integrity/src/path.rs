//! Paths that mean one thing on every system.
//!
//! Sources: reserved names and characters by Microsoft, "Naming Files, Paths, and Namespaces"; Unicode form NFC by
//! UAX #15; bidirectional and invisible characters by Unicode TR #36 §3.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use unicode_normalization::UnicodeNormalization;

use crate::Error;

/// A relative path of `/`-separated names which means the same file on every system, or it does not exist.
///
/// Refused: absolute paths, drives, `..` and `.`, empty names, backslashes, NUL and other control characters, the
/// characters and device names that Windows reserves, names that end in a dot or space, text that is not in Unicode form
/// NFC, invisible and direction-changing characters, names beyond 255 bytes, paths beyond 1,024 bytes or 32 names.
///
/// ```
/// use twinguard_integrity::PortablePath;
///
/// assert_eq!(PortablePath::new("models/kühlung.toml")?.as_str(), "models/kühlung.toml");
/// for bad in ["", "/etc/passwd", "../up", "a//b", "C:/x", "a\\b", "nul.txt", "end.", "ku\u{308}hl", "a\u{202e}b"] {
///     assert!(PortablePath::new(bad).is_err(), "{bad:?}");
/// }
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct PortablePath(Box<str>);

impl PortablePath {
    /// Longest path in bytes.
    pub const MAX_BYTES: usize = 1024;
    /// Most names in a path.
    pub const MAX_DEPTH: usize = 32;

    /// A checked path.
    ///
    /// # Errors
    /// [`Error::Path`] with the first rule that the text breaks.
    pub fn new(text: &str) -> Result<Self, Error> {
        match complaint(text) {
            Some(reason) => Err(Error::Path { path: Error::shown(text), reason }),
            None => Ok(Self(text.into())),
        }
    }

    /// Whether `path` is this one, or lies below it.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for PortablePath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for PortablePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Refuses paths that some system would take for one: the same up to case, or a file where another has a directory.
///
/// # Errors
/// [`Error::Twins`] with the first such pair.
pub(crate) fn check_twins<'a>(paths: impl IntoIterator<Item = &'a PortablePath>) -> Result<(), Error> {
    // Folded path of every file and directory → how it is spelled, and whether it is a file.
    let mut seen: BTreeMap<String, (&str, bool)> = BTreeMap::new();
    let mut last_folder = "";
    for PortablePath(path) in paths {
        let folder = path.rfind('/').and_then(|end| path.get(..end)).unwrap_or_default();
        let folders = path.match_indices('/').filter_map(|(end, _)| Some((path.get(..end)?, false)));
        // Files of one folder come together: its ancestors were checked with the first of them.
        let known = folder == last_folder;
        for (part, is_file) in folders.filter(|_| !known).chain([(&**path, true)]) {
            match seen.entry(folded(part)) {
                Entry::Vacant(slot) => {
                    slot.insert((part, is_file));
                }
                Entry::Occupied(slot) => {
                    let (spelled, was_file) = *slot.get();
                    if is_file || was_file || spelled != part {
                        return Err(Error::Twins { first: spelled.to_owned(), second: part.to_owned() });
                    }
                }
            }
        }
        last_folder = folder;
    }
    Ok(())
}

/// Text as a system that ignores case compares it: upper, then lower case, in form NFC.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

fn complaint(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > PortablePath::MAX_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    if text.split('/').count() > PortablePath::MAX_DEPTH {
        return Some("it is deeper than 32 names");
    }
    if !text.is_ascii() && !unicode_normalization::is_nfc(text) {
        return Some("it is not in Unicode form NFC");
    }
    text.chars().find_map(bad_character).or_else(|| text.split('/').find_map(bad_name))
}

fn bad_character(c: char) -> Option<&'static str> {
    match c {
        '\\' => Some("it holds a backslash"),
        ':' => Some("it holds a colon: a drive or stream on Windows"),
        '<' | '>' | '"' | '|' | '?' | '*' => Some("it holds a character that Windows reserves"),
        c if c.is_control() => Some("it holds a control character"),
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Some("it holds an invisible or direction-changing character"),
        _ => None,
    }
}

fn bad_name(name: &str) -> Option<&'static str> {
    match name {
        "" => return Some("it holds an empty name"),
        "." | ".." => return Some("it holds `.` or `..`"),
        _ => {}
    }
    if name.len() > 255 {
        return Some("it holds a name longer than 255 bytes");
    }
    if name.ends_with(['.', ' ']) || name.starts_with(' ') {
        return Some("it holds a name that ends in a dot or space, or starts with a space");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        let digit = stem.strip_prefix(prefix).and_then(|rest| {
            let mut rest = rest.chars();
            rest.next().filter(|_| rest.next().is_none())
        });
        digit.is_some_and(|digit| digit.is_ascii_digit() || matches!(digit, '¹' | '²' | '³'))
    };
    let reserved = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$");
    (reserved || numbered("COM") || numbered("LPT")).then_some("it holds a device name of Windows")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> &'static str {
        match PortablePath::new(text) {
            Err(Error::Path { reason, .. }) => reason,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn good_paths_are_kept_as_they_are() {
        let deep = ["d"; 32].join("/");
        for good in [
            "a",
            "plant.toml",
            ".git/config",
            "a/b/c.bin",
            "Kühlung/Öl.csv",
            "日本/モデル",
            "console",
            "com",
            "com10",
            "..a",
            "a b",
            &deep,
        ] {
            assert_eq!(PortablePath::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn bad_paths_name_their_rule() {
        let deep = ["d"; 33].join("/");
        let long = "x".repeat(1025);
        let long_name = format!("a/{}", "x".repeat(256));
        for (bad, part) in [
            ("", "empty"),
            ("/a", "absolute"),
            ("//a", "absolute"),
            ("a/", "empty name"),
            ("a//b", "empty name"),
            (".", "`..`"),
            ("..", "`..`"),
            ("a/../b", "`..`"),
            ("./a", "`..`"),
            ("c:/a", "colon"),
            ("a:stream", "colon"),
            ("a\\b", "backslash"),
            ("..\\b", "backslash"),
            ("a\0b", "control"),
            ("a\nb", "control"),
            ("a\u{7f}", "control"),
            ("a\u{85}b", "control"),
            ("what?", "reserves"),
            ("a.", "ends in"),
            ("a /b", "ends in"),
            (" a", "starts with"),
            ("CON", "device"),
            ("con.tar.gz", "device"),
            ("a/aux", "device"),
            ("Com1.txt", "device"),
            ("lpt0", "device"),
            ("com²", "device"),
            ("nul .txt", "device"),
            ("u\u{308}", "NFC"),
            ("a\u{200d}b", "invisible"),
            ("\u{feff}a", "invisible"),
            ("a\u{e0041}", "invisible"),
            (&deep, "deeper"),
            (&long, "1024"),
            (&long_name, "255"),
        ] {
            assert!(reason(bad).contains(part), "{bad:?}: {}", reason(bad));
        }
    }

    #[test]
    fn twins_are_found() {
        let check = |paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(|path| PortablePath::new(path).unwrap()).collect();
            check_twins(&paths).is_ok()
        };
        assert!(check(&["a", "b", "c/a", "c/b", "d/a"]));
        assert!(!check(&["a", "a"]));
        assert!(!check(&["A", "a"]));
        assert!(!check(&["Ä", "ä"]));
        assert!(!check(&["straße", "STRASSE"]));
        assert!(!check(&["\u{3a3}", "\u{3c2}"]), "capital and final sigma");
        assert!(!check(&["D/x", "d/y"]), "one directory on some systems");
        assert!(!check(&["a", "a/b"]), "a file where another path has a directory");
        assert!(!check(&["A/b", "a"]));
        assert!(!check(&["x/A/b", "x/b", "x/a/c"]));
    }

    proptest! {
        #[test]
        fn never_panics_and_accepted_text_is_unchanged(text in "\\PC{0,40}") {
            if let Ok(path) = PortablePath::new(&text) {
                prop_assert_eq!(path.as_str(), text.as_str());
                prop_assert!(!text.split('/').any(|name| name == ".." || name.is_empty()));
            }
        }
    }
}
