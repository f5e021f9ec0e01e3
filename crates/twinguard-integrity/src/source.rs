//! Reads directories and key files: one of the two modules that may touch files.
//!
//! A [`Source`] is whatever holds files: a directory, files in memory, an archive. How well a directory is protected against
//! whoever changes it meanwhile depends on the system: [`Protection`] says so.
//! Nothing is ignored: hidden files, version-control folders and executables count like any other file.
//!
//! Sources: `openat2(2)` of the Linux manual; POSIX.1-2024 `openat`, `fstatat`; walkdir issue 209 (why a walk by path is not
//! enough).
#![expect(clippy::disallowed_methods, reason = "the module of this crate that reads files")]

#[cfg(target_os = "linux")]
mod memory;
#[cfg(unix)]
mod seen;
#[cfg(not(unix))]
#[path = "source/elsewhere.rs"]
mod system;
#[cfg(unix)]
#[path = "source/unix.rs"]
mod system;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use twinguard_types::{Bundle, Digest};

use crate::manifest::{Entry, Manifest, Mode};
use crate::{Error, PortablePath};

#[cfg(target_os = "linux")]
pub use memory::MemoryFile;
#[cfg(unix)]
pub use seen::{Reverified, Seen, Stamp};

/// How much may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most files in a directory, at any depth.
    pub files: u64,
    /// Most bytes of all files together.
    pub bytes: u64,
}

impl Default for Limits {
    /// 100,000 files of 4 GiB together.
    fn default() -> Self {
        Self { files: 100_000, bytes: 4 << 30 }
    }
}

/// Longest seal, key, state or proof that is read whole.
const SMALL_FILE: u64 = 64 << 20;
/// Reading happens in pieces of this size.
const CHUNK: usize = 64 << 10;

/// What keeps a directory's reader from being led astray while somebody changes the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Protection {
    /// The kernel refuses links, ways out of the directory and other file systems (`openat2`).
    Kernel,
    /// Each name is opened without following links, relative to its directory's handle; mount points are followed.
    NoFollow,
    /// Kinds are checked by path before a file is opened: a link put in place in between is followed. What is read then is
    /// still compared with its seal.
    ByPath,
}

/// The protection that reading this directory has here.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened.
pub fn protection(dir: &Path) -> Result<Protection, Error> {
    open_root(dir).map(|root| root.protection())
}

/// What a reader leaves out, and how much it reads.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// How much.
    pub limits: Limits,
    /// Paths for which this says yes are not even opened, nor what lies below them.
    pub skip: &'a dyn Fn(&str) -> bool,
    /// Whether directories may be empty; a seal covers files only, so for a seal they may not.
    pub empty_folders: bool,
}

impl core::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { limits, empty_folders, .. } = self;
        f.debug_struct("Reading")
            .field("limits", limits)
            .field("empty_folders", empty_folders)
            .finish_non_exhaustive()
    }
}

impl Reading<'static> {
    /// Everything, up to these limits; no empty directory.
    #[must_use]
    pub fn all(limits: Limits) -> Self {
        Self { limits, skip: &|_| false, empty_folders: false }
    }
}

/// What is stated about a file before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its length in bytes; what is read may differ.
    pub length: u64,
    /// Whether it may be run, where its system says so.
    pub mode: Mode,
}

/// Takes a file's path, what is stated about it, and its bytes.
pub type Visit<'a> = dyn FnMut(PortablePath, About, &mut dyn Read) -> Result<(), Error> + 'a;

/// Whatever holds files.
pub trait Source {
    /// Shows every file once, in order of names within each directory. Reading no more than the limit on bytes is up to the
    /// visitor; the number of files is bounded here.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NotRegular`], [`Error::EmptyDirectory`], [`Error::Path`] and what else cannot be read safely;
    /// [`Error::Limit`]; whatever the visitor gives.
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error>;
}

impl Source for Path {
    /// A directory.
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let root = open_root(self)?;
        let mut left = reading.limits.files;
        folder(&root, "", reading, &mut left, &mut |_, _, _| false, visit)
    }
}

impl Source for PathBuf {
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        self.as_path().visit(reading, visit)
    }
}

/// One file by itself, under its own name.
#[derive(Clone, Debug)]
pub struct OneFile(PathBuf);

impl OneFile {
    /// The file at a path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Source for OneFile {
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let shown = self.0.display().to_string();
        let name = self.0.file_name().unwrap_or_default();
        let name = name
            .to_str()
            .ok_or_else(|| Error::Path { path: Error::shown(&shown), reason: "it is not UTF-8" })?;
        let path = PortablePath::new(name)?;
        let mut file = File::open(&self.0).map_err(|error| io("open", &shown, error))?;
        let about = file.metadata().map_err(|error| io("open", &shown, error))?;
        if !about.is_file() {
            return Err(Error::NotRegular { path: shown, kind: "directory or special file" });
        }
        count_down(&mut reading.limits.files.clone(), &reading.limits, &path)?;
        visit(path, About { length: about.len(), mode: Mode::Any }, &mut file)
    }
}

impl Source for Bundle {
    /// Files in memory.
    fn visit(&self, reading: &Reading<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut left = reading.limits.files;
        for (path, mut bytes) in self.iter() {
            if (reading.skip)(path) {
                continue;
            }
            let path = PortablePath::new(path)?;
            count_down(&mut left, &reading.limits, &path)?;
            visit(path, About { length: bytes.len() as u64, mode: Mode::Any }, &mut bytes)?;
        }
        Ok(())
    }
}

/// The entries of all files, hashed in constant memory.
///
/// # Errors
/// As [`Source::visit`]; [`Error::Limit`] for more bytes than `limits` allow.
pub fn entries<S: Source + ?Sized>(source: &S, limits: &Limits) -> Result<Vec<Entry>, Error> {
    entries_except(source, limits, &|_| false)
}

/// [`entries`], without the paths for which `skip` says yes, and what lies below them.
///
/// # Errors
/// As [`entries`].
pub fn entries_except<S: Source + ?Sized>(
    source: &S,
    limits: &Limits,
    skip: &dyn Fn(&str) -> bool,
) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = limits.bytes;
    let reading = Reading { limits: *limits, skip, empty_folders: false };
    source.visit(&reading, &mut |path, about, file| {
        let mut hasher = blake3::Hasher::new();
        let mut length = 0u64;
        read_chunks(file, &mut chunk, &path, |bytes| {
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| too_many_bytes(limits, &path))?;
            length = length.saturating_add(bytes.len() as u64);
            hasher.update(bytes);
            Ok(())
        })?;
        let digest = Digest(*hasher.finalize().as_bytes());
        found.push(Entry { mode: about.mode, ..Entry::new(path, length, digest) });
        Ok(())
    })?;
    Ok(found)
}

/// The files that a manifest names, read once, with the entries of everything found.
///
/// The bytes given are the bytes that were hashed. Of a file that the manifest does not name, or that is longer than it
/// says, only the entry is given, with a digest of zeros: it differs, whatever it holds.
///
/// # Errors
/// As [`entries`]; [`Error::Limit`] also when the manifest itself names more bytes than `limits` allow.
pub fn files<S: Source + ?Sized>(
    source: &S,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(Vec<Entry>, Bundle), Error> {
    let mut left = limits.bytes;
    for entry in manifest.entries() {
        left = left.checked_sub(entry.length).ok_or_else(|| too_many_bytes(limits, &entry.path))?;
    }
    let mut found = Vec::new();
    let mut bundle = Bundle::new(Digest::default());
    let skip = |path: &str| manifest.excludes(path);
    let reading = Reading { limits: *limits, skip: &skip, empty_folders: false };
    source.visit(&reading, &mut |path, about, file| {
        let length = about.length;
        let Some(sealed) = manifest.get(path.as_str()) else {
            found.push(Entry::new(path, length, Digest::default()));
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(usize::try_from(sealed.length.min(length)).unwrap_or_default());
        let mut bounded = file.take(sealed.length.saturating_add(1));
        bounded.read_to_end(&mut bytes).map_err(|error| io("read", path.as_str(), error))?;
        if bytes.len() as u64 > sealed.length {
            let length = length.max(bytes.len() as u64);
            found.push(Entry::new(path, length, Digest::default()));
            return Ok(());
        }
        found.push(Entry { mode: about.mode, ..Entry::of(path.clone(), &bytes) });
        bundle.insert(path.as_str(), bytes);
        Ok(())
    })?;
    Ok((found, bundle))
}

/// A seal, key, state or proof: a file of at most 64 MiB.
///
/// # Errors
/// [`Error::Io`], [`Error::Limit`].
pub fn small_file(path: &Path) -> Result<Vec<u8>, Error> {
    whole_file(path, SMALL_FILE)
}

/// A file of at most `limit` bytes.
///
/// # Errors
/// [`Error::Io`], [`Error::Limit`].
pub fn whole_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| io("read", &name, error))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| io("read", &name, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Limit { what: "bytes", limit, place: name });
    }
    Ok(bytes)
}

fn io(action: &'static str, path: &str, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

fn too_many_bytes(limits: &Limits, path: &PortablePath) -> Error {
    Error::Limit { what: "bytes", limit: limits.bytes, place: path.to_string() }
}

/// Hands on all bytes of a file in pieces.
pub(crate) fn read_chunks(
    file: &mut dyn Read,
    chunk: &mut [u8],
    path: &PortablePath,
    mut take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        match file.read(chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => take(chunk.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io("read", path.as_str(), error)),
        }
    }
}

fn open_root(dir: &Path) -> Result<system::Folder, Error> {
    system::open_root(dir).map_err(|error| io("open", &dir.display().to_string(), error))
}

pub(crate) fn count_down(left: &mut u64, limits: &Limits, path: &PortablePath) -> Result<(), Error> {
    let fewer = left.checked_sub(1);
    *left =
        fewer.ok_or_else(|| Error::Limit { what: "files", limit: limits.files, place: path.to_string() })?;
    Ok(())
}

/// Says of a name whether it is passed over without being opened.
type Pass<'a> = dyn FnMut(&system::Folder, &str, &PortablePath) -> bool + 'a;

/// Depth is bounded by [`PortablePath::MAX_DEPTH`], and with it recursion and open handles.
fn folder(
    here: &system::Folder,
    path: &str,
    reading: &Reading<'_>,
    left: &mut u64,
    pass: &mut Pass<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let shown = if path.is_empty() { "." } else { path };
    let fail = |error| io("list", shown, error);
    // Each name costs memory before it is judged, so the limit on files bounds the listing too.
    let most = left.saturating_add(1);
    let names = here.names(most).map_err(fail)?;
    if names.is_empty() && !reading.empty_folders {
        return Err(Error::EmptyDirectory { path: shown.to_owned() });
    }
    for name in names {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let name = name
            .map_err(|lossy| Error::Path { path: Error::shown(&join(&lossy)), reason: "it is not UTF-8" })?;
        if (reading.skip)(&join(&name)) {
            continue;
        }
        let below = PortablePath::new(&join(&name))?;
        if pass(here, &name, &below) {
            count_down(left, &reading.limits, &below)?;
            continue;
        }
        match here.open(&name).map_err(|error| io("open", below.as_str(), error))? {
            system::Opened::File(mut file, about) => {
                count_down(left, &reading.limits, &below)?;
                visit(below, about, &mut file)?;
            }
            system::Opened::Folder(inner) => folder(&inner, below.as_str(), reading, left, pass, visit)?,
            system::Opened::Other(kind) => return Err(Error::NotRegular { path: below.to_string(), kind }),
        }
    }
    Ok(())
}
