//! Reads directories and key files: one of the two modules that may touch files.
//!
//! On Unix each name is opened relative to its directory's handle without following links (`openat` with `O_NOFOLLOW`,
//! one name at a time), so no link and no rename can lead a read out of the directory; kinds are checked on the open handle.
//! Elsewhere kinds are checked by path before a file is opened: somebody who may write to the directory while it is read
//! could swap a file for a link in between, and would be found only if the content differs from its seal.
//! Nothing is ignored: hidden files, version-control folders and executables count like any other file.
//!
//! Sources: POSIX.1-2024 `openat`, `fstatat`; walkdir issue 209 (why a walk by path is not enough).
#![expect(clippy::disallowed_methods, reason = "the module of this crate that reads files")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use twinguard_types::{Bundle, Digest};

use crate::manifest::{Entry, Manifest};
use crate::{Error, PortablePath};

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

/// The entries of all files of a directory, hashed in constant memory.
///
/// # Errors
/// [`Error::Io`]; [`Error::NotRegular`], [`Error::EmptyDirectory`] and [`Error::Path`] for what cannot be sealed;
/// [`Error::Limit`] for more than `limits` allow.
pub fn entries(dir: &Path, limits: &Limits) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = limits.bytes;
    walk(dir, limits, &mut |path, mut file, _| {
        let mut hasher = blake3::Hasher::new();
        let mut length = 0u64;
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(io("read", path.as_str(), error)),
            };
            left = left.checked_sub(read as u64).ok_or_else(|| too_many_bytes(limits, &path))?;
            length = length.saturating_add(read as u64);
            hasher.update(chunk.get(..read).unwrap_or_default());
        }
        found.push(Entry { path, length, digest: Digest(*hasher.finalize().as_bytes()) });
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
pub fn files(dir: &Path, manifest: &Manifest, limits: &Limits) -> Result<(Vec<Entry>, Bundle), Error> {
    let mut left = limits.bytes;
    for entry in manifest.entries() {
        left = left.checked_sub(entry.length).ok_or_else(|| too_many_bytes(limits, &entry.path))?;
    }
    let mut found = Vec::new();
    let mut bundle = Bundle::new(Digest::default());
    walk(dir, limits, &mut |path, file, length| {
        let Some(sealed) = manifest.get(path.as_str()) else {
            found.push(Entry { path, length, digest: Digest::default() });
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(usize::try_from(sealed.length.min(length)).unwrap_or_default());
        let mut bounded = file.take(sealed.length.saturating_add(1));
        bounded.read_to_end(&mut bytes).map_err(|error| io("read", path.as_str(), error))?;
        if bytes.len() as u64 > sealed.length {
            let length = length.max(bytes.len() as u64);
            found.push(Entry { path, length, digest: Digest::default() });
            return Ok(());
        }
        found.push(Entry::of(path.clone(), &bytes));
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
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| io("read", &name, error))?;
    let mut bytes = Vec::new();
    file.take(SMALL_FILE + 1).read_to_end(&mut bytes).map_err(|error| io("read", &name, error))?;
    if bytes.len() as u64 > SMALL_FILE {
        return Err(Error::Limit { what: "bytes", limit: SMALL_FILE, place: name });
    }
    Ok(bytes)
}

fn io(action: &'static str, path: &str, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

fn too_many_bytes(limits: &Limits, path: &PortablePath) -> Error {
    Error::Limit { what: "bytes", limit: limits.bytes, place: path.to_string() }
}

/// Takes an open regular file, its path and its length when it was opened.
type Visit<'a> = &'a mut dyn FnMut(PortablePath, File, u64) -> Result<(), Error>;

/// Counts files and refuses empty directories; how one directory is listed and opened differs by system.
fn walk(dir: &Path, limits: &Limits, visit: Visit<'_>) -> Result<(), Error> {
    let root = system::open_root(dir).map_err(|error| io("open", &dir.display().to_string(), error))?;
    let mut left = limits.files;
    folder(&root, "", limits, &mut left, visit)
}

/// Depth is bounded by [`PortablePath::MAX_DEPTH`], and with it recursion and open handles.
fn folder(
    here: &system::Folder,
    path: &str,
    limits: &Limits,
    left: &mut u64,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let shown = if path.is_empty() { "." } else { path };
    let fail = |error| io("list", shown, error);
    // Each name costs memory before it is judged, so the limit on files bounds the listing too.
    let most = left.saturating_add(1);
    let names = here.names(most).map_err(fail)?;
    if names.is_empty() {
        return Err(Error::EmptyDirectory { path: shown.to_owned() });
    }
    for name in names {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let name = name
            .map_err(|lossy| Error::Path { path: Error::shown(&join(&lossy)), reason: "it is not UTF-8" })?;
        let below = PortablePath::new(&join(&name))?;
        match here.open(&name).map_err(|error| io("open", below.as_str(), error))? {
            system::Opened::File(file, length) => {
                *left = left.checked_sub(1).ok_or(Error::Limit {
                    what: "files",
                    limit: limits.files,
                    place: below.to_string(),
                })?;
                visit(below, file, length)?;
            }
            system::Opened::Folder(inner) => folder(&inner, below.as_str(), limits, left, visit)?,
            system::Opened::Other(kind) => return Err(Error::NotRegular { path: below.to_string(), kind }),
        }
    }
    Ok(())
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io::Error;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};

    pub(super) struct Folder(OwnedFd);

    pub(super) enum Opened {
        File(File, u64),
        Folder(Folder),
        Other(&'static str),
    }

    /// The directory that the caller names may itself be reached through links: naming it is the caller's decision.
    pub(super) fn open_root(dir: &Path) -> Result<Folder, Error> {
        Ok(Folder(openat(CWD, dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    }

    impl Folder {
        /// Up to `most` names in order of their bytes; a name that is not UTF-8 comes as `Err`, readable in part.
        pub(super) fn names(&self, most: u64) -> Result<Vec<Result<String, String>>, Error> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&self.0)? {
                let entry = entry?;
                let name = entry.file_name();
                if name == c"." || name == c".." {
                    continue;
                }
                let name = name.to_str().map(str::to_owned);
                names.push(name.map_err(|_| entry.file_name().to_string_lossy().into_owned()));
                if names.len() as u64 >= most {
                    break;
                }
            }
            names.sort();
            Ok(names)
        }

        pub(super) fn open(&self, name: &str) -> Result<Opened, Error> {
            // Looked at before it is opened: opening a device may already do something.
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let flags = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => OFlags::NONBLOCK | OFlags::NOCTTY,
                FileType::Directory => OFlags::DIRECTORY,
                other => return Ok(Opened::Other(kind(other))),
            };
            let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = match openat(&self.0, name, flags, Mode::empty()) {
                Ok(fd) => fd,
                Err(rustix::io::Errno::LOOP) => return Ok(Opened::Other("symbolic link")),
                Err(error) => return Err(error.into()),
            };
            // Looked at again on the handle: the name may stand for something else by now.
            let stat = fstat(&fd)?;
            Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    Opened::File(File::from(fd), u64::try_from(stat.st_size).unwrap_or_default())
                }
                FileType::Directory => Opened::Folder(Folder(fd)),
                other => Opened::Other(kind(other)),
            })
        }
    }

    fn kind(kind: FileType) -> &'static str {
        match kind {
            FileType::Symlink => "symbolic link",
            FileType::Fifo => "named pipe",
            FileType::Socket => "socket",
            FileType::CharacterDevice => "character device",
            FileType::BlockDevice => "block device",
            _ => "special file",
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{File, read_dir, symlink_metadata};
    use std::io::Error;
    use std::path::{Path, PathBuf};

    pub(super) struct Folder(PathBuf);

    pub(super) enum Opened {
        File(File, u64),
        Folder(Folder),
        Other(&'static str),
    }

    pub(super) fn open_root(dir: &Path) -> Result<Folder, Error> {
        Ok(Folder(dir.to_owned()))
    }

    impl Folder {
        pub(super) fn names(&self, most: u64) -> Result<Vec<Result<String, String>>, Error> {
            let mut names = Vec::new();
            for entry in read_dir(&self.0)? {
                let name = entry?.file_name();
                names.push(name.into_string().map_err(|name| name.to_string_lossy().into_owned()));
                if names.len() as u64 >= most {
                    break;
                }
            }
            names.sort();
            Ok(names)
        }

        pub(super) fn open(&self, name: &str) -> Result<Opened, Error> {
            let path = self.0.join(name);
            let kind = symlink_metadata(&path)?.file_type();
            if kind.is_symlink() {
                return Ok(Opened::Other("symbolic link"));
            }
            if kind.is_dir() {
                return Ok(Opened::Folder(Folder(path)));
            }
            if !kind.is_file() {
                return Ok(Opened::Other("special file"));
            }
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok(Opened::File(file, length))
        }
    }
}
