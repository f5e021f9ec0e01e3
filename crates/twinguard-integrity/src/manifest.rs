//! What a seal says about a directory, in one binary form.
//!
//! Format 1, integers big-endian:
//! ```text
//! u8  format = 1
//! u16 length, series (UTF-8)
//! u64 version
//! u32 number of files, at least 1
//! for each file, in ascending order of the bytes of its path:
//!     u16 length, path (UTF-8, portable)
//!     u64 length of the file
//!     [32] BLAKE3 of the file
//! ```
//! The root is BLAKE3 in key-derivation mode over exactly these bytes. There is one encoding for one manifest, and nothing
//! else is read: a second encoding would be a second thing to sign.
//!
//! Source: BLAKE3 specification §2.3 (modes).

use core::fmt;

use twinguard_types::{Bundle, Digest};

use crate::cursor::Cursor;
use crate::path::check_twins;
use crate::{Error, PortablePath};

const FORMAT: u8 = 1;
/// Bytes of an entry beside its path.
const ENTRY_BYTES: usize = 2 + 8 + 32;
const ROOT_CONTEXT: &str = "twinguard 2026-01 seal manifest root";

/// One file as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Entry {
    /// Where, below the sealed directory.
    pub path: PortablePath,
    /// Length in bytes.
    pub length: u64,
    /// BLAKE3 of the content.
    pub digest: Digest,
}

impl Entry {
    /// The entry of a file whose bytes are at hand.
    #[must_use]
    pub fn of(path: PortablePath, bytes: &[u8]) -> Self {
        Self { path, length: bytes.len() as u64, digest: Digest(*blake3::hash(bytes).as_bytes()) }
    }
}

/// The entries of files in memory.
///
/// # Errors
/// [`Error::Path`] for a path that is not portable.
pub fn entries_of(bundle: &Bundle) -> Result<Vec<Entry>, Error> {
    bundle.iter().map(|(path, bytes)| Ok(Entry::of(PortablePath::new(path)?, bytes))).collect()
}

/// All files of a version of a series, with the root over them.
///
/// ```
/// use twinguard_integrity::{Entry, Manifest, PortablePath};
///
/// let plant = Entry::of(PortablePath::new("plant.toml")?, b"format = 1");
/// let manifest = Manifest::new("pump-house", 3, vec![plant])?;
/// let bytes = manifest.encode();
/// assert_eq!(Manifest::parse(&bytes)?, manifest);
/// assert!(Manifest::parse(&bytes[1..]).is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Manifest {
    series: Box<str>,
    version: u64,
    entries: Vec<Entry>,
    root: Digest,
}

impl Manifest {
    /// Longest series name in bytes.
    pub const MAX_SERIES: usize = 128;

    /// A manifest of these files, which are put in order.
    ///
    /// # Errors
    /// [`Error::Series`] for a name that is empty, longer than 128 bytes, or holds control characters or outer spaces;
    /// [`Error::Twins`] for paths that cannot stand side by side; [`Error::EmptyDirectory`] without files;
    /// [`Error::Limit`] beyond 2³² − 1 files.
    pub fn new(series: &str, version: u64, mut entries: Vec<Entry>) -> Result<Self, Error> {
        if let Some(reason) = series_complaint(series) {
            return Err(Error::Series { series: Error::shown(series), reason });
        }
        if entries.is_empty() {
            return Err(Error::EmptyDirectory { path: ".".to_owned() });
        }
        if u32::try_from(entries.len()).is_err() {
            return Err(Error::Limit { what: "files", limit: u64::from(u32::MAX), place: series.to_owned() });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        check_twins(entries.iter().map(|entry| &entry.path))?;
        let mut manifest = Self { series: series.into(), version, entries, root: Digest::default() };
        manifest.root = root(&manifest.encode());
        Ok(manifest)
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`Error::Seal`] with the offset for any bytes that [`Manifest::encode`] does not write, [`Error::Path`],
    /// [`Error::Series`] and [`Error::Twins`] for names that may not be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let at = |cursor: &Cursor<'_>, reason| Error::Seal { offset: cursor.offset(), reason };
        const SHORT: &str = "the manifest ends early";
        match cursor.u8() {
            Some(FORMAT) => {}
            Some(_) => return Err(Error::Seal { offset: 0, reason: "the manifest's format is not 1" }),
            None => return Err(at(&cursor, SHORT)),
        }
        let length = cursor.u16().ok_or(at(&cursor, SHORT))?;
        let series = cursor.take(length.into()).ok_or(at(&cursor, SHORT))?;
        let series = str::from_utf8(series).map_err(|_| at(&cursor, "the manifest's series is not UTF-8"))?;
        let version = cursor.u64().ok_or(at(&cursor, SHORT))?;
        let count = cursor.u32().ok_or(at(&cursor, SHORT))?;
        // An entry has a fixed least size, so a false count cannot make us reserve more than the input's own size.
        let count = usize::try_from(count).ok().filter(|n| *n <= cursor.rest().len() / ENTRY_BYTES);
        let count = count.ok_or(at(&cursor, "the manifest is too short for its number of files"))?;
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let start = cursor;
            let length = cursor.u16().ok_or(at(&cursor, SHORT))?;
            let path = cursor.take(length.into()).ok_or(at(&cursor, SHORT))?;
            let path = str::from_utf8(path).map_err(|_| at(&start, "a path of the manifest is not UTF-8"))?;
            let path = PortablePath::new(path)?;
            if entries.last().is_some_and(|last| last.path >= path) {
                return Err(at(&start, "the manifest's paths are not in order"));
            }
            let length = cursor.u64().ok_or(at(&cursor, SHORT))?;
            let digest = Digest(cursor.array().ok_or(at(&cursor, SHORT))?);
            entries.push(Entry { path, length, digest });
        }
        if !cursor.is_empty() {
            return Err(at(&cursor, "bytes follow the manifest"));
        }
        let manifest = Self::new(series, version, entries)?;
        debug_assert_eq!(manifest.encode(), bytes);
        Ok(manifest)
    }

    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let paths: usize = self.entries.iter().map(|entry| ENTRY_BYTES + entry.path.as_str().len()).sum();
        let mut bytes = Vec::with_capacity(15 + self.series.len() + paths);
        let text = |bytes: &mut Vec<u8>, text: &str| {
            // Lengths were checked where the names were made: 128 and 1,024 bytes at most.
            bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        bytes.push(FORMAT);
        text(&mut bytes, &self.series);
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for entry in &self.entries {
            text(&mut bytes, entry.path.as_str());
            bytes.extend_from_slice(&entry.length.to_be_bytes());
            bytes.extend_from_slice(&entry.digest.0);
        }
        bytes
    }

    /// What the versions of one model have in common, for example the plant's name.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The version: a higher one is newer.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The files in order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Digest over series, version, paths, lengths and contents.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The entry of a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(at)
    }

    /// How `found` differs from what is named here, in order of paths; nothing when it does not.
    #[must_use]
    pub fn diff(&self, mut found: Vec<Entry>) -> Vec<Difference> {
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let mut differences = Vec::new();
        let mut sealed = self.entries.iter().peekable();
        for found in found {
            while let Some(missing) = sealed.next_if(|entry| entry.path < found.path) {
                differences.push(Difference::Missing { path: missing.path.clone(), length: missing.length });
            }
            match sealed.next_if(|entry| entry.path == found.path) {
                None => differences.push(Difference::Added { path: found.path, length: found.length }),
                Some(entry) if *entry == found => {}
                Some(entry) => differences.push(Difference::Changed {
                    path: found.path,
                    sealed: entry.length,
                    found: found.length,
                }),
            }
        }
        differences.extend(
            sealed.map(|entry| Difference::Missing { path: entry.path.clone(), length: entry.length }),
        );
        differences
    }
}

fn root(encoded: &[u8]) -> Digest {
    Digest(blake3::derive_key(ROOT_CONTEXT, encoded))
}

fn series_complaint(series: &str) -> Option<&'static str> {
    if series.is_empty() {
        Some("it is empty")
    } else if series.len() > Manifest::MAX_SERIES {
        Some("it is longer than 128 bytes")
    } else if series.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if series.trim() != series {
        Some("it starts or ends with a space")
    } else {
        None
    }
}

/// How one file differs from its seal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case", tag = "difference"))]
#[non_exhaustive]
pub enum Difference {
    /// A file that no seal covers.
    Added {
        /// Where.
        path: PortablePath,
        /// Its length in bytes.
        length: u64,
    },
    /// A sealed file that is not there.
    Missing {
        /// Where.
        path: PortablePath,
        /// Its sealed length in bytes.
        length: u64,
    },
    /// A file with other content.
    Changed {
        /// Where.
        path: PortablePath,
        /// Its sealed length in bytes.
        sealed: u64,
        /// Its length now.
        found: u64,
    },
}

impl Difference {
    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &PortablePath {
        match self {
            Self::Added { path, .. } | Self::Missing { path, .. } | Self::Changed { path, .. } => path,
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
        }
    }
}

/// At least one difference; shown as the first five.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences(pub Vec<Difference>);

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let (count, plural) = (self.0.len(), if self.0.len() == 1 { "file differs" } else { "files differ" });
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str, bytes: &[u8]) -> Entry {
        Entry::of(PortablePath::new(path).unwrap(), bytes)
    }

    fn manifest() -> Manifest {
        Manifest::new("pump", 3, vec![entry("b/c", b"two"), entry("a", b""), entry("b/a", b"one")]).unwrap()
    }

    #[test]
    fn golden_root() {
        // Format 1 for ever: a released version's seals stay readable.
        assert_eq!(
            manifest().root().to_string(),
            "5f0b93e5015544e55c86d1da0cc66084a10c6e8b7e7ed56469108629d1a53a40"
        );
        assert_eq!(manifest().encode().len(), 15 + 4 + 3 * 42 + 7);
    }

    #[test]
    fn every_single_bit_flip_changes_the_root_or_is_refused() {
        let bytes = manifest().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = Manifest::parse(&flipped) {
                assert_ne!(read.root(), manifest().root(), "bit {bit}");
                assert_eq!(read.encode(), flipped, "bit {bit}");
            }
        }
    }

    #[test]
    fn one_encoding_only() {
        let bytes = manifest().encode();
        for end in 0..bytes.len() {
            assert!(Manifest::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(Manifest::parse(&[&bytes[..], &[0]].concat()).is_err());
        // Entries out of order: swap the first and the last, which have the same length of 42 + 3.
        let (head, files) = bytes.split_at(19);
        let (a, rest) = files.split_at(43);
        let (b, c) = rest.split_at(45);
        let swapped = [head, a, c, b].concat();
        assert!(
            matches!(Manifest::parse(&swapped), Err(Error::Seal { reason, .. }) if reason.contains("order"))
        );
    }

    #[test]
    fn differences_are_named() {
        let found = vec![entry("b/c", b"TWO"), entry("b/a", b"one!"), entry("z", b"new")];
        let shown = Differences(manifest().diff(found)).to_string();
        assert_eq!(
            shown,
            "4 files differ from the seal: `a` is missing (0 bytes); `b/a` was changed (3 bytes sealed, 4 found); \
             `b/c` was changed (3 bytes as before); `z` was added (3 bytes)"
        );
        assert_eq!(manifest().diff(manifest().entries().to_vec()), []);
    }

    proptest! {
        #[test]
        fn parse_undoes_encode(
            series in "[a-zA-Z0-9äß._-]{1,20}", version: u64,
            files in proptest::collection::btree_map("[a-z]{1,8}(/[a-z]{1,4}){0,2}", proptest::collection::vec(any::<u8>(), 0..40), 1..12),
        ) {
            let entries = files.iter().map(|(path, bytes)| (PortablePath::new(path), bytes));
            let entries: Option<Vec<_>> = entries.map(|(path, bytes)| Some(Entry::of(path.ok()?, bytes))).collect();
            let Some(Ok(manifest)) = entries.map(|entries| Manifest::new(&series, version, entries)) else { return Ok(()) };
            prop_assert_eq!(Manifest::parse(&manifest.encode()).unwrap(), manifest);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(manifest) = Manifest::parse(&bytes) {
                prop_assert_eq!(manifest.encode(), bytes);
            }
        }
    }
}
