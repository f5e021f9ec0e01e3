//! What a seal says about a model, in one binary form.
//!
//! Format 2, integers big-endian:
//! ```text
//! u8  format = 2
//! u16 length, series (UTF-8)
//! u64 version          u64 epoch          u64 last second of validity, 0 for no end
//! u32 number of files, at least 1; for each, in ascending order of the bytes of its path:
//!     u16 length, path (UTF-8, portable)
//!     u8  component    u8  mode: 0 any, 1 not executable, 2 executable
//!     u64 length of the file
//!     [32] BLAKE3 of the file
//!     u8  1 and [32] SHA-256 of the file, or 0
//! u32 number of excluded paths; for each, in ascending order: u16 length, path
//! u32 number of parameters; for each as in `parameters`
//! ```
//! There is one encoding for one manifest, and nothing else is read: a second encoding would be a second thing to sign.
//!
//! The root is an assembly of roots: one over the files of each component, one over the parameters, one over what is excluded,
//! and the header, each BLAKE3 in key-derivation mode. So a part can be compared, or a parameter proved, without the rest, and
//! parts of two assemblies cannot be mixed.
//!
//! Sources: BLAKE3 specification §2.3 (modes); The Update Framework specification §5.5 (mix-and-match); FMI 3.0 §2.4 and SSP
//! 1.0 §5 (what an assembly consists of).

use twinguard_types::{Bundle, Digest};

use crate::cursor::Cursor;
use crate::difference::Difference;
use crate::parameters::{self, Parameter, Parameters};
use crate::path::check_twins;
use crate::{Error, PortablePath};

const FORMAT: u8 = 2;
/// Least bytes of an entry beside its path.
const ENTRY_BYTES: usize = 2 + 1 + 1 + 8 + 32 + 1;
const ROOT_CONTEXT: &str = "twinguard 2026-11 seal assembly root";
const COMPONENT_CONTEXT: &str = "twinguard 2026-11 seal component root";
const EXCLUDED_CONTEXT: &str = "twinguard 2026-11 seal exclusions root";

/// What a file is to its assembly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Component {
    /// The model: binaries, descriptions, resources.
    #[default]
    Model,
    /// How it is solved: integrator, step, tolerance.
    Solver,
    /// How parts are connected.
    Connections,
    /// What it was calibrated with, and to what.
    Calibration,
    /// The plant file.
    Plant,
    /// What is allowed.
    Policy,
    /// A trajectory that the model has to reproduce.
    Golden,
}

impl Component {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Model,
        Self::Solver,
        Self::Connections,
        Self::Calibration,
        Self::Plant,
        Self::Policy,
        Self::Golden,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Solver => "solver",
            Self::Connections => "connections",
            Self::Calibration => "calibration",
            Self::Plant => "plant",
            Self::Policy => "policy",
            Self::Golden => "golden",
        }
    }

    fn number(self) -> u8 {
        Self::ALL.iter().zip(0u8..).find(|(one, _)| **one == self).map_or(0, |(_, number)| number)
    }
}

impl core::str::FromStr for Component {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|component| component.name() == name);
        found.ok_or(Error::Policy { reason: "there is no component of that name" })
    }
}

/// Whether a file may be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Mode {
    /// Nothing is said.
    #[default]
    Any,
    /// It may not be marked as a program.
    Plain,
    /// It is a program.
    Executable,
}

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
    /// SHA-256 of the content, for those who know no other; nothing here compares it.
    pub sha256: Option<Digest>,
    /// What the file is to its assembly. A file that was found has none of its own.
    pub component: Component,
    /// In a manifest, whether it may be run; of a file that was found, whether it can be, where the system says so.
    pub mode: Mode,
}

impl Entry {
    /// An entry of the model, of any mode.
    #[must_use]
    pub fn new(path: PortablePath, length: u64, digest: Digest) -> Self {
        Self { path, length, digest, sha256: None, component: Component::default(), mode: Mode::Any }
    }

    /// The entry of a file whose bytes are at hand.
    #[must_use]
    pub fn of(path: PortablePath, bytes: &[u8]) -> Self {
        Self::new(path, bytes.len() as u64, Digest(*blake3::hash(bytes).as_bytes()))
    }

    /// Whether a file that was found is the one that is named here.
    fn is(&self, found: &Self) -> bool {
        let mode = self.mode == Mode::Any || found.mode == Mode::Any || self.mode == found.mode;
        mode && self.length == found.length && self.digest == found.digest
    }

    fn encode(&self, out: &mut Vec<u8>) {
        text(out, self.path.as_str());
        out.push(self.component.number());
        out.push(match self.mode {
            Mode::Any => 0,
            Mode::Plain => 1,
            Mode::Executable => 2,
        });
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.digest.0);
        match &self.sha256 {
            Some(digest) => {
                out.push(1);
                out.extend_from_slice(&digest.0);
            }
            None => out.push(0),
        }
    }
}

/// The entries of files in memory.
///
/// # Errors
/// [`Error::Path`] for a path that is not portable.
pub fn entries_of(bundle: &Bundle) -> Result<Vec<Entry>, Error> {
    bundle.iter().map(|(path, bytes)| Ok(Entry::of(PortablePath::new(path)?, bytes))).collect()
}

/// What a manifest is made of; [`Draft::finish`] checks it.
#[derive(Clone, Debug)]
pub struct Draft {
    series: String,
    version: u64,
    epoch: u64,
    valid_until: u64,
    entries: Vec<Entry>,
    excluded: Vec<PortablePath>,
    parameters: Parameters,
}

impl Draft {
    /// A version of a series, with these files.
    #[must_use]
    pub fn new(series: impl Into<String>, version: u64, entries: Vec<Entry>) -> Self {
        let parameters = Parameters::default();
        Self {
            series: series.into(),
            version,
            epoch: 0,
            valid_until: 0,
            entries,
            excluded: Vec::new(),
            parameters,
        }
    }

    /// A later epoch is newer than any version of an earlier one.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The last second, since 1970, in which it is valid; 0 for no end.
    #[must_use]
    pub fn valid_until(mut self, second: u64) -> Self {
        self.valid_until = second;
        self
    }

    /// Its parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Leaves a path, and what lies below it, out of what is sealed, and says so in the seal.
    #[must_use]
    pub fn exclude(mut self, path: PortablePath) -> Self {
        self.excluded.push(path);
        self
    }

    /// The manifest.
    ///
    /// # Errors
    /// [`Error::Series`] for a name that is empty, longer than 128 bytes, or holds control characters or outer spaces;
    /// [`Error::Twins`] for paths that cannot stand side by side; [`Error::EmptyDirectory`] without files; [`Error::Limit`]
    /// beyond 2³² − 1 files or exclusions; [`Error::Policy`] for an exclusion that covers a sealed file or another one;
    /// [`Error::Parameter`] for a parameter of a file that is not sealed.
    pub fn finish(self) -> Result<Manifest, Error> {
        let Self { series, version, epoch, valid_until, mut entries, mut excluded, parameters } = self;
        if let Some(reason) = series_complaint(&series) {
            return Err(Error::Series { series: Error::shown(&series), reason });
        }
        if entries.is_empty() {
            return Err(Error::EmptyDirectory { path: ".".to_owned() });
        }
        if [entries.len(), excluded.len()].iter().any(|count| u32::try_from(*count).is_err()) {
            return Err(Error::Limit { what: "files", limit: u64::from(u32::MAX), place: series });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        check_twins(entries.iter().map(|entry| &entry.path))?;
        excluded.sort();
        // An exclusion inside another says nothing, and one around a sealed file contradicts it.
        let covers = |outer: &PortablePath, inner: &PortablePath| outer.covers(inner.as_str());
        let nested = excluded.iter().enumerate().any(|(at, path)| {
            excluded.iter().take(at).any(|outer| covers(outer, path))
                || entries.iter().any(|entry| covers(path, &entry.path))
        });
        if nested {
            return Err(Error::Policy {
                reason: "an excluded path covers a sealed file or another excluded path",
            });
        }
        let mut manifest = Manifest {
            series: series.into(),
            version,
            epoch,
            valid_until,
            entries,
            excluded,
            parameters,
            root: Digest::default(),
        };
        let mut last = None;
        for parameter in manifest.parameters.all() {
            let path = parameter.path().as_str();
            if last != Some(path) && manifest.get(path).is_none() {
                let (name, reason) = (Error::shown(parameter.name()), "its file is not sealed");
                return Err(Error::Parameter { name, reason });
            }
            last = Some(path);
        }
        manifest.root = manifest.assembly_root();
        Ok(manifest)
    }
}

/// All files of a version of a series, its parameters, and the root over them.
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
pub struct Manifest {
    series: Box<str>,
    version: u64,
    epoch: u64,
    valid_until: u64,
    entries: Vec<Entry>,
    excluded: Vec<PortablePath>,
    parameters: Parameters,
    root: Digest,
}

impl Manifest {
    /// Longest series name in bytes.
    pub const MAX_SERIES: usize = 128;

    /// A manifest of these files, which are put in order, and nothing else.
    ///
    /// # Errors
    /// As [`Draft::finish`].
    pub fn new(series: &str, version: u64, entries: Vec<Entry>) -> Result<Self, Error> {
        Draft::new(series, version, entries).finish()
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`Error::Seal`] with the offset for any bytes that [`Manifest::encode`] does not write, [`Error::Path`],
    /// [`Error::Series`] and [`Error::Twins`] for names that may not be; as [`Draft::finish`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let at = |cursor: &Cursor<'_>, reason| Error::Seal { offset: cursor.offset(), reason };
        const SHORT: &str = "the manifest ends early";
        match cursor.u8() {
            Some(FORMAT) => {}
            Some(_) => return Err(Error::Seal { offset: 0, reason: "the manifest's format is not 2" }),
            None => return Err(at(&cursor, SHORT)),
        }
        let length = cursor.u16().ok_or(at(&cursor, SHORT))?;
        let series = cursor.take(length.into()).ok_or(at(&cursor, SHORT))?;
        let series = str::from_utf8(series).map_err(|_| at(&cursor, "the manifest's series is not UTF-8"))?;
        let numbers = (cursor.u64(), cursor.u64(), cursor.u64());
        let (Some(version), Some(epoch), Some(valid_until)) = numbers else { return Err(at(&cursor, SHORT)) };
        let count = count(&mut cursor, ENTRY_BYTES)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(count);
        for _ in 0..count {
            let start = cursor;
            let path = path(&mut cursor)?;
            if entries.last().is_some_and(|last| last.path >= path) {
                return Err(at(&start, "the manifest's paths are not in order"));
            }
            let component = cursor.u8().and_then(|number| Component::ALL.get(usize::from(number)).copied());
            let component = component.ok_or(at(&cursor, "a file's component is not known"))?;
            let mode = match cursor.u8() {
                Some(0) => Mode::Any,
                Some(1) => Mode::Plain,
                Some(2) => Mode::Executable,
                _ => return Err(at(&cursor, "a file's mode is not known")),
            };
            let length = cursor.u64().ok_or(at(&cursor, SHORT))?;
            let digest = Digest(cursor.array().ok_or(at(&cursor, SHORT))?);
            let sha256 = match cursor.u8() {
                Some(0) => None,
                Some(1) => Some(Digest(cursor.array().ok_or(at(&cursor, SHORT))?)),
                _ => return Err(at(&cursor, "a file's SHA-256 is neither there nor absent")),
            };
            entries.push(Entry { path, length, digest, sha256, component, mode });
        }
        let mut draft = Draft::new(series, version, entries).epoch(epoch).valid_until(valid_until);
        for _ in 0..self::count(&mut cursor, 3)? {
            let start = cursor;
            let path = path(&mut cursor)?;
            if draft.excluded.last().is_some_and(|last| *last >= path) {
                return Err(at(&start, "the manifest's excluded paths are not in order"));
            }
            draft = draft.exclude(path);
        }
        let count = self::count(&mut cursor, parameters::LEAST_BYTES)?;
        let mut all: Vec<Parameter> = Vec::with_capacity(count);
        for _ in 0..count {
            let start = cursor;
            let parameter = Parameter::read(&mut cursor)?;
            if all
                .last()
                .is_some_and(|last| (last.path(), last.name()) >= (parameter.path(), parameter.name()))
            {
                return Err(at(&start, "the manifest's parameters are not in order"));
            }
            all.push(parameter);
        }
        if !cursor.is_empty() {
            return Err(at(&cursor, "bytes follow the manifest"));
        }
        let manifest = draft.parameters(Parameters::new(all)?).finish()?;
        debug_assert_eq!(manifest.encode(), bytes);
        Ok(manifest)
    }

    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let paths: usize = self.entries.iter().map(|entry| ENTRY_BYTES + entry.path.as_str().len()).sum();
        let mut bytes = Vec::with_capacity(64 + self.series.len() + paths);
        self.header(&mut bytes);
        bytes.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for entry in &self.entries {
            entry.encode(&mut bytes);
        }
        bytes.extend_from_slice(&(self.excluded.len() as u32).to_be_bytes());
        for path in &self.excluded {
            text(&mut bytes, path.as_str());
        }
        bytes.extend_from_slice(&(self.parameters.all().len() as u32).to_be_bytes());
        for parameter in self.parameters.all() {
            parameter.encode(&mut bytes);
        }
        bytes
    }

    fn header(&self, bytes: &mut Vec<u8>) {
        bytes.push(FORMAT);
        text(bytes, &self.series);
        for number in [self.version, self.epoch, self.valid_until] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
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

    /// The epoch: a later one is newer than any version of an earlier one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last second, since 1970, in which it is valid; `None` for no end.
    #[must_use]
    pub fn valid_until(&self) -> Option<u64> {
        Some(self.valid_until).filter(|second| *second > 0)
    }

    /// The files in order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Paths that were left out: what lies there was not sealed, and no loader sees it.
    #[must_use]
    pub fn excluded(&self) -> &[PortablePath] {
        &self.excluded
    }

    /// Whether a path was left out.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded.covers(path))
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Digest over everything.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Digest over the files of a component.
    #[must_use]
    pub fn component_root(&self, component: Component) -> Digest {
        let mut bytes = vec![component.number()];
        for entry in self.entries.iter().filter(|entry| entry.component == component) {
            entry.encode(&mut bytes);
        }
        Digest(blake3::derive_key(COMPONENT_CONTEXT, &bytes))
    }

    fn assembly_root(&self) -> Digest {
        let mut bytes = Vec::new();
        self.header(&mut bytes);
        for component in Component::ALL {
            bytes.extend_from_slice(&self.component_root(component).0);
        }
        bytes.extend_from_slice(&self.parameters.root().0);
        let mut excluded = Vec::new();
        for path in &self.excluded {
            text(&mut excluded, path.as_str());
        }
        bytes.extend_from_slice(&blake3::derive_key(EXCLUDED_CONTEXT, &excluded));
        Digest(blake3::derive_key(ROOT_CONTEXT, &bytes))
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
        let missing =
            |entry: &Entry| Difference::Missing { path: entry.path.as_str().into(), length: entry.length };
        for found in found {
            while let Some(entry) = sealed.next_if(|entry| entry.path < found.path) {
                differences.push(missing(entry));
            }
            let path = || found.path.as_str().into();
            match sealed.next_if(|entry| entry.path == found.path) {
                None => differences.push(Difference::Added { path: path(), length: found.length }),
                Some(entry) if entry.is(&found) => {}
                Some(entry) if entry.length == found.length && entry.digest == found.digest => {
                    differences
                        .push(Difference::Mode { path: path(), executable: found.mode == Mode::Executable });
                }
                Some(entry) => differences.push(Difference::Changed {
                    path: path(),
                    sealed: entry.length,
                    found: found.length,
                }),
            }
        }
        differences.extend(sealed.map(missing));
        differences
    }

    /// How the parameters of `other` differ from those named here, in order of paths and names.
    #[must_use]
    pub fn diff_parameters(&self, other: &Parameters) -> Vec<Difference> {
        let key = |parameter: &Parameter| (parameter.path().clone(), parameter.name().to_owned());
        let mut differences = Vec::new();
        let (mut before, mut after) =
            (self.parameters.all().iter().peekable(), other.all().iter().peekable());
        loop {
            let (sealed, found) = match (before.peek(), after.peek()) {
                (None, None) => return differences,
                (Some(_), None) => (before.next(), None),
                (None, Some(_)) => (None, after.next()),
                (Some(a), Some(b)) => match key(a).cmp(&key(b)) {
                    core::cmp::Ordering::Less => (before.next(), None),
                    core::cmp::Ordering::Greater => (None, after.next()),
                    core::cmp::Ordering::Equal => (before.next(), after.next()),
                },
            };
            let Some(named) = sealed.or(found).filter(|_| sealed != found) else { continue };
            differences.push(Difference::Parameter {
                path: named.path().as_str().into(),
                name: named.name().into(),
                sealed: sealed.map(ToString::to_string),
                found: found.map(ToString::to_string),
            });
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Manifest {
    /// For people: what is signed is the binary form.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        #[derive(serde::Serialize)]
        struct Row<'a> {
            path: &'a PortablePath,
            name: &'a str,
            unit: &'a str,
            r#type: &'static str,
            value: String,
        }
        let rows = self.parameters.all().iter();
        let rows: Vec<_> = rows
            .map(|parameter| Row {
                path: parameter.path(),
                name: parameter.name(),
                unit: parameter.unit(),
                r#type: parameter.value().kind(),
                value: parameter.value().to_string(),
            })
            .collect();
        let mut view = serializer.serialize_struct("Manifest", 8)?;
        view.serialize_field("series", &self.series)?;
        view.serialize_field("version", &self.version)?;
        view.serialize_field("epoch", &self.epoch)?;
        view.serialize_field("valid_until", &self.valid_until())?;
        view.serialize_field("root", &self.root)?;
        view.serialize_field("files", &self.entries)?;
        view.serialize_field("excluded", &self.excluded)?;
        view.serialize_field("parameters", &rows)?;
        view.end()
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Lengths were checked where the names were made: 128 and 1,024 bytes at most.
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn path(cursor: &mut Cursor<'_>) -> Result<PortablePath, Error> {
    let bad = |reason| Error::Seal { offset: cursor.offset(), reason };
    let (short, no_text) = (bad("the manifest ends early"), bad("a path of the manifest is not UTF-8"));
    let Some(length) = cursor.u16() else { return Err(short) };
    let Some(path) = cursor.take(length.into()) else { return Err(short) };
    PortablePath::new(str::from_utf8(path).map_err(|_| no_text)?)
}

/// A number of things of a least size: a false one cannot make us reserve more than the input's own size.
fn count(cursor: &mut Cursor<'_>, least: usize) -> Result<usize, Error> {
    let offset = cursor.offset();
    let count = cursor.u32().and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count <= cursor.rest().len() / least);
    count.ok_or(Error::Seal { offset, reason: "the manifest is too short for what it counts" })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Differences;
    use proptest::prelude::*;

    fn entry(path: &str, bytes: &[u8]) -> Entry {
        Entry::of(PortablePath::new(path).unwrap(), bytes)
    }

    fn manifest() -> Manifest {
        let files = vec![entry("b/c", b"two"), entry("a", b""), entry("b/a", b"one")];
        let gain = Parameter::new("a", "gain", "m", 2.5.into()).unwrap();
        let draft = Draft::new("pump", 3, files).parameters(Parameters::new(vec![gain]).unwrap());
        draft.exclude(PortablePath::new("doc").unwrap()).finish().unwrap()
    }

    #[test]
    fn golden_root() {
        // Format 2 for ever: a released version's seals stay readable.
        assert_eq!(
            manifest().root().to_string(),
            "8ac98385ef0a3b8e26dee6f7ca8205b90cc515dab2f015e7c532f5c08c10fe0d"
        );
        let (head, files, excluded) = (1 + (2 + 4) + 24, 4 + 3 * 45 + 7, 4 + (2 + 3));
        let parameters = 4 + (2 + 1) + (2 + 4) + (2 + 1) + 9;
        assert_eq!(manifest().encode().len(), head + files + excluded + parameters);
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
        // Files out of order: swap the first and the second.
        let (head, files) = bytes.split_at(35);
        let (a, rest) = files.split_at(46);
        let (b, rest) = rest.split_at(48);
        let swapped = [head, b, a, rest].concat();
        assert!(
            matches!(Manifest::parse(&swapped), Err(Error::Seal { reason, .. }) if reason.contains("order"))
        );
    }

    #[test]
    fn parts_have_roots_of_their_own_and_one_together() {
        let mut files = vec![entry("m.so", b"1"), entry("plant.toml", b"2")];
        files[1].component = Component::Plant;
        let draft = Draft::new("pump", 3, files.clone());
        let one = draft.clone().finish().unwrap();
        files[0] = entry("m.so", b"3");
        let other = Draft::new("pump", 3, files.clone()).finish().unwrap();
        assert_eq!(one.component_root(Component::Plant), other.component_root(Component::Plant));
        assert_ne!(one.component_root(Component::Model), other.component_root(Component::Model));
        let parameter = |value: f64| {
            let gain = Parameter::new("plant.toml", "gain", "", value.into()).unwrap();
            draft.clone().parameters(Parameters::new(vec![gain]).unwrap()).finish().unwrap()
        };
        let mut roots = vec![one.root(), other.root(), parameter(1.0).root(), parameter(2.0).root()];
        roots.push(draft.clone().epoch(1).finish().unwrap().root());
        roots.push(draft.clone().valid_until(1).finish().unwrap().root());
        roots.push(draft.clone().exclude(PortablePath::new("doc").unwrap()).finish().unwrap().root());
        files[0].component = Component::Policy;
        roots.push(Draft::new("pump", 3, files).finish().unwrap().root());
        let different: std::collections::BTreeSet<_> = roots.iter().collect();
        assert_eq!(different.len(), roots.len());
        let shown = Differences(parameter(1.0).diff_parameters(parameter(2.0).parameters())).to_string();
        assert_eq!(
            shown,
            "1 difference from the seal: `plant.toml`: parameter `gain` was changed from 1.0 to 2.0"
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let path = |text| PortablePath::new(text).unwrap();
        let draft = || Draft::new("pump", 3, vec![entry("a/b", b"1")]);
        for bad in [
            draft().exclude(path("a")),
            draft().exclude(path("a/b")),
            draft().exclude(path("c")).exclude(path("c/d")),
        ] {
            assert!(matches!(bad.finish(), Err(Error::Policy { .. })));
        }
        let stray = Parameters::new(vec![Parameter::new("elsewhere", "p", "", 1.0.into()).unwrap()]).unwrap();
        assert!(matches!(draft().parameters(stray).finish(), Err(Error::Parameter { .. })));
        let program = Entry { mode: Mode::Executable, ..entry("a/b", b"1") };
        assert!(matches!(
            Manifest::new("pump", 3, vec![Entry { mode: Mode::Plain, ..program.clone() }])
                .unwrap()
                .diff(vec![program])[..],
            [Difference::Mode { executable: true, .. }]
        ));
    }

    #[test]
    fn differences_are_named() {
        let found = vec![entry("b/c", b"TWO"), entry("b/a", b"one!"), entry("z", b"new")];
        let shown = Differences(manifest().diff(found)).to_string();
        assert_eq!(
            shown,
            "4 differences from the seal: `a` is missing (0 bytes); `b/a` was changed (3 bytes sealed, 4 found); \
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
