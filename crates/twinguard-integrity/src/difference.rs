//! How files differ from their seal.

use core::fmt;

/// How one file, or one parameter, differs from its seal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case", tag = "difference"))]
#[non_exhaustive]
pub enum Difference {
    /// A file that no seal covers.
    Added {
        /// Where.
        path: Box<str>,
        /// Its length in bytes.
        length: u64,
    },
    /// A sealed file that is not there.
    Missing {
        /// Where.
        path: Box<str>,
        /// Its sealed length in bytes.
        length: u64,
    },
    /// A file with other content.
    Changed {
        /// Where.
        path: Box<str>,
        /// Its sealed length in bytes.
        sealed: u64,
        /// Its length now.
        found: u64,
    },
    /// A file that may be run and should not, or the other way round.
    Mode {
        /// Where.
        path: Box<str>,
        /// Whether it may be run now.
        executable: bool,
    },
    /// A parameter with another value, or one that was added or removed.
    Parameter {
        /// The file that holds it.
        path: Box<str>,
        /// Its name.
        name: Box<str>,
        /// Its sealed value with its unit.
        sealed: Option<String>,
        /// Its value now.
        found: Option<String>,
    },
    /// A file with other content, where lengths were not sealed.
    Content {
        /// Where.
        path: Box<str>,
    },
    /// A sealed file that is not there, where lengths were not sealed.
    Gone {
        /// Where.
        path: Box<str>,
    },
}

impl Difference {
    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Added { path, .. }
            | Self::Missing { path, .. }
            | Self::Changed { path, .. }
            | Self::Mode { path, .. }
            | Self::Parameter { path, .. }
            | Self::Content { path }
            | Self::Gone { path } => path,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { path, length } => write!(f, "`{path}` was added ({length} bytes)"),
            Self::Missing { path, length } => write!(f, "`{path}` is missing ({length} bytes)"),
            Self::Changed { path, sealed, found } if sealed == found => {
                write!(f, "`{path}` was changed ({found} bytes as before)")
            }
            Self::Changed { path, sealed, found } => {
                write!(f, "`{path}` was changed ({sealed} bytes sealed, {found} found)")
            }
            Self::Mode { path, executable: true } => write!(f, "`{path}` was made a program"),
            Self::Mode { path, executable: false } => write!(f, "`{path}` is a program no more"),
            Self::Parameter { path, name, sealed, found } => {
                write!(f, "`{path}`: parameter `{name}` ")?;
                match (sealed, found) {
                    (Some(sealed), Some(found)) => write!(f, "was changed from {sealed} to {found}"),
                    (Some(sealed), None) => write!(f, "is missing ({sealed})"),
                    (None, found) => write!(f, "was added ({})", found.as_deref().unwrap_or_default()),
                }
            }
            Self::Content { path } => write!(f, "`{path}` was changed"),
            Self::Gone { path } => write!(f, "`{path}` is missing"),
        }
    }
}

/// At least one difference; shown as the first five.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences(pub Vec<Difference>);

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let (count, plural) = (self.0.len(), if self.0.len() == 1 { "difference" } else { "differences" });
        write!(f, "{count} {plural} from the seal: ")?;
        for (number, difference) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{difference}", if number == 0 { "" } else { "; " })?;
        }
        match count.checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "; and {more} more"),
            _ => Ok(()),
        }
    }
}
