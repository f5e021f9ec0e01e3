//! What can be wrong with a text that people write, and where: plant files and equations share it.

use std::sync::Arc;

/// A place in a text, as editors count it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file's name as the caller gave it.
    pub file: Arc<str>,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
    /// From 1, in characters; 0 for the line as a whole.
    pub column: u32,
}

impl Place {
    /// The place of a byte offset; an offset beyond the end is the end.
    #[must_use]
    pub fn of(file: &Arc<str>, text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { file: file.clone(), line: short(line), column: short(column) }
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}:{}", self.line, self.column) } else { Ok(()) }
    }
}

/// What is wrong. Facts in fields; the message is made from them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not TOML, not JSON, or not an equation.
    #[error("{reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// A key that this table does not have.
    #[error("unknown key `{key}`{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// As written.
        key: String,
        /// The most similar valid key, if one is near.
        nearest: Option<String>,
    },
    /// A key that this table must have.
    #[error("key `{key}` is missing in {table}")]
    MissingKey {
        /// The key.
        key: String,
        /// The table that lacks it.
        table: String,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What is wanted.
        expected: String,
        /// What is there.
        found: &'static str,
    },
    /// A name that nothing carries: a signal, a model, a choice, a symbol.
    #[error("unknown {what} `{name}`{}", hint(.nearest.as_deref()))]
    Unknown {
        /// What the name should name.
        what: &'static str,
        /// As written.
        name: String,
        /// The most similar valid name, if one is near.
        nearest: Option<String>,
    },
    /// A name given twice.
    #[error("{what} `{name}` is given twice")]
    Duplicate {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something that should be there and is not.
    #[error("{what} `{name}` is missing")]
    Missing {
        /// What is wanted.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A number or text outside what is legal here.
    #[error("`{key}` {reason}")]
    Value {
        /// The key or name.
        key: String,
        /// Why it is refused.
        reason: String,
    },
    /// Intermediates that need each other.
    #[error("equations need each other in a circle: {}", .names.join(" → "))]
    Circle {
        /// The circle's names, the first one again at the end.
        names: Vec<String>,
    },
    /// More than a bound allows.
    #[error("{what}: {count} is more than the limit of {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there is (or was when counting stopped).
        count: usize,
        /// How much may be.
        limit: usize,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// A problem and its place: `plant.toml:3:1: unknown key …`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Located {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// The candidate most similar to `name`, if it is near enough to be a slip of the pen.
///
/// Similarity is Damerau–Levenshtein (optimal string alignment) of at most a third of the length (1 for two and three
/// characters, 0 for one), case ignored; ties go to the first. At most 4,096 candidates are looked at.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if name.len() > 128 {
        return None;
    }
    let name = name.to_lowercase();
    let length = name.chars().count();
    let limit = (length / 3).max(usize::from(length > 1));
    candidates
        .into_iter()
        .take(4096)
        .filter(|candidate| candidate.len() <= 128)
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_in_characters() {
        let file: Arc<str> = "f".into();
        assert_eq!(Place::of(&file, "aé\nbc", 3).to_string(), "f:1:3");
        assert_eq!(Place::of(&file, "aé\nbc", 5).to_string(), "f:2:2");
        assert_eq!(Place::of(&file, "", 9).to_string(), "f:1:1");
    }

    #[test]
    fn only_near_names_are_suggested() {
        let keys = ["sigma", "signal", "scale"];
        assert_eq!(nearest("sgima", keys).as_deref(), Some("sigma"));
        assert_eq!(nearest("SIGNALS", keys).as_deref(), Some("signal"));
        assert_eq!(nearest("temperature", keys), None);
    }
}
