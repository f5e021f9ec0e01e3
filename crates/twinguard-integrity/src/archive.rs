//! Archives (FMU, AASX, plain zip), read in memory and never extracted.
//!
//! An archive is laid out before anything of it is inflated, and refused when two readers could see different files in it:
//! local headers that differ from the central directory, entries that overlap or leave bytes between them, names that stand
//! twice or are one name on some systems, bytes before the first or after the last record, ZIP64 numbers that the plain ones
//! contradict or did not ask for. Links, encrypted entries and methods other than stored and deflated are refused as well. How much is inflated is bounded by a [`Budget`], also for
//! archives within archives, which are looked through but stay single files.
//!
//! Sources: PKWARE APPNOTE 6.3.10; FMI 3.0 §2.5 (FMU); IANA `application/aas+zip` (security considerations: traversal, size,
//! entries, ratio, nesting). D. Fifield, "A better zip bomb", WOOT 2019 (overlapping entries).

mod layout;

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::manifest::Mode;
use crate::path::check_twins;
use crate::source::{About, Reading, Source, Visit, count_down};
use crate::{Error, PortablePath};
use layout::Layout;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most entries, those of archives within it included.
    pub entries: u64,
    /// Most bytes of all entries together, inflated, those of archives within it included.
    pub bytes: u64,
    /// Most inflated bytes for each deflated one, for entries beyond 1 MiB.
    pub ratio: u64,
    /// How many levels of archives may lie within each other; 0 refuses archives within an archive.
    pub nesting: u8,
}

impl Default for Budget {
    /// 100,000 entries of 4 GiB together, 200 to 1, archives within the archive but none within those.
    fn default() -> Self {
        Self { entries: 100_000, bytes: 4 << 30, ratio: 200, nesting: 1 }
    }
}

/// Deflate reaches 1032 to 1; small entries of zeros come near it in honest archives.
const RATIO_FREE: u64 = 1 << 20;
const LOCAL: &[u8] = b"PK\x03\x04";

/// An archive in memory whose layout was checked.
///
/// ```
/// use twinguard_integrity::archive::{Archive, Budget};
///
/// assert!(Archive::parse(b"no archive".to_vec(), Budget::default()).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Archive {
    bytes: Vec<u8>,
    /// Files only, in order of paths; with the index in the central directory.
    files: Vec<(PortablePath, layout::Entry, usize)>,
    budget: Budget,
}

impl Archive {
    /// Whether bytes begin as an archive does.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(LOCAL)
    }

    /// Checks an archive's layout; nothing is inflated yet.
    ///
    /// # Errors
    /// [`Error::Archive`] for a layout that is malformed or ambiguous; [`Error::Path`], [`Error::Twins`],
    /// [`Error::NotRegular`] for names and links; [`Error::Limit`] for more than the budget, as the archive states it.
    pub fn parse(bytes: Vec<u8>, budget: Budget) -> Result<Self, Error> {
        let layout = Layout::parse(&bytes, budget.entries)?;
        let mut files = Vec::new();
        let mut total = 0u64;
        for (at, entry) in layout.entries.into_iter().enumerate() {
            let shown = entry.name.clone();
            let (name, is_folder) = match shown.strip_suffix('/') {
                Some(name) => (name, true),
                None => (&*shown, false),
            };
            let path = PortablePath::new(name)?;
            if is_folder {
                if entry.length > 0 {
                    return Err(Error::Archive {
                        entry: name.to_owned(),
                        reason: "it is a directory with content",
                    });
                }
                continue;
            }
            total = total.saturating_add(entry.length);
            if total > budget.bytes {
                return Err(Error::Limit { what: "bytes", limit: budget.bytes, place: name.to_owned() });
            }
            if entry.length > RATIO_FREE && entry.length / entry.packed.max(1) > budget.ratio {
                let what = "bytes inflated for each deflated one";
                return Err(Error::Limit { what, limit: budget.ratio, place: name.to_owned() });
            }
            files.push((path, entry, at));
        }
        files.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        check_twins(files.iter().map(|(path, ..)| path))?;
        Ok(Self { bytes, files, budget })
    }

    /// Reads an archive's file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Limit`] for a file longer than the budget's bytes; as [`Archive::parse`].
    pub fn open(path: impl AsRef<std::path::Path>, budget: Budget) -> Result<Self, Error> {
        Self::parse(crate::source::whole_file(path.as_ref(), budget.bytes)?, budget)
    }

    /// The paths of its files, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &PortablePath> {
        self.files.iter().map(|(path, ..)| path)
    }

    /// Inflates every file into memory.
    ///
    /// # Errors
    /// As [`Source::visit`].
    pub fn unpack(&self) -> Result<twinguard_types::Bundle, Error> {
        let mut bundle = twinguard_types::Bundle::default();
        self.each(self.budget, &|_| false, &mut |path, bytes| {
            bundle.insert(path.as_str(), bytes);
            Ok(())
        })?;
        Ok(bundle)
    }

    /// Shows each file inflated; gives what is left of the budget.
    fn each(
        &self,
        mut left: Budget,
        skip: &dyn Fn(&str) -> bool,
        show: &mut Show<'_>,
    ) -> Result<Budget, Error> {
        let failed =
            |entry: &str| Error::Archive { entry: entry.to_owned(), reason: "it cannot be inflated" };
        let mut zip =
            ZipArchive::new(Cursor::new(self.bytes.as_slice())).map_err(|_| failed("central directory"))?;
        for (path, entry, at) in &self.files {
            if skip(path.as_str()) {
                continue;
            }
            let over = |what, limit| Error::Limit { what, limit, place: path.to_string() };
            left.entries = left.entries.checked_sub(1).ok_or_else(|| over("entries", self.budget.entries))?;
            left.bytes =
                left.bytes.checked_sub(entry.length).ok_or_else(|| over("bytes", self.budget.bytes))?;
            let file = zip.by_index(*at).map_err(|_| failed(path.as_str()))?;
            if file.name_raw() != entry.name.as_bytes() || file.header_start() != entry.start {
                return Err(failed(path.as_str()));
            }
            // Reserved as it is inflated: the stated length alone reserves nothing.
            let mut bytes =
                Vec::with_capacity(usize::try_from(entry.length.min(RATIO_FREE)).unwrap_or_default());
            let read = file.take(entry.length.saturating_add(1)).read_to_end(&mut bytes);
            read.map_err(|_| failed(path.as_str()))?;
            if bytes.len() as u64 != entry.length || crc32(&bytes) != entry.crc {
                let reason = "its content is not of the stated length or checksum";
                return Err(Error::Archive { entry: path.to_string(), reason });
            }
            if Self::begins(&bytes) {
                let nesting = left.nesting.checked_sub(1);
                left.nesting = nesting
                    .ok_or_else(|| over("levels of archives within archives", self.budget.nesting.into()))?;
                let inner = Self::parse(bytes.clone(), left)?;
                left = inner.each(left, &|_| false, &mut |_, _| Ok(()))?;
                left.nesting = left.nesting.saturating_add(1);
            }
            show(path, bytes)?;
        }
        Ok(left)
    }
}

/// Takes a file's path and its bytes.
type Show<'a> = dyn FnMut(&PortablePath, Vec<u8>) -> Result<(), Error> + 'a;

impl Source for Archive {
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut left = reading.limits.files;
        self.each(self.budget, reading.skip, &mut |path, bytes| {
            count_down(&mut left, &reading.limits, path)?;
            let about = About { length: bytes.len() as u64, mode: Mode::Any };
            visit(path.clone(), about, &mut bytes.as_slice())
        })?;
        Ok(())
    }
}

/// CRC-32 of PKZIP; it finds accidents, not attackers.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
