//! Writes journals and states to disk: one of the two modules that may touch files.
//!
//! A part is put in place by writing a file beside it and renaming that, so a reader sees the old or the new one; on a
//! journaling file system so does whoever comes after a crash. The tail alone is appended to.
//!
//! Source: POSIX.1-2024 `rename` (atomic replacement), `fsync`, `fdatasync`.
#![expect(clippy::disallowed_methods, reason = "the module of this crate that writes files")]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::storage::{Part, Storage};
use crate::{Error, HighWater};

/// What a journal on disk survives, as of its last `sync` or checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process: bytes are handed to the operating system, never flushed to the device.
    Process,
    /// Loss of power: `sync`, checkpoints and full bundles wait for the device.
    Power,
}

/// A journal's directory.
///
/// ```no_run
/// use twinguard_integrity::Journal;
/// use twinguard_integrity::store::{Directory, Durability};
///
/// let (journal, recovery) = Journal::open(Directory::open("journal", Durability::Power)?)?;
/// assert_eq!(journal.size(), recovery.leaves);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    durability: Durability,
    tail: Option<BufWriter<File>>,
    /// Held while the journal is open for writing; nothing for reading only.
    lock: Option<File>,
}

/// Appended bytes are handed on in pieces of this size.
const BUFFER: usize = 64 << 10;

impl Directory {
    /// Opens a directory for writing, makes it when it is not there, and keeps other writers out.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Locked`] while another process has it.
    pub fn open(root: impl Into<PathBuf>, durability: Durability) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|error| io("make", &root, error))?;
        let path = root.join("lock");
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|error| io("open", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: root.display().to_string() }),
            Err(TryLockError::Error(error)) => return Err(io("lock", &path, error)),
        }
        Ok(Self { root, durability, tail: None, lock: Some(lock) })
    }

    /// Opens a directory for reading, also while another process writes to it.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not there.
    pub fn open_read_only(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::read_dir(&root).map_err(|error| io("open", &root, error))?;
        Ok(Self { root, durability: Durability::Process, tail: None, lock: None })
    }

    fn writable(&self) -> Result<(), Error> {
        let denied = || io("write to", &self.root, ErrorKind::PermissionDenied.into());
        self.lock.as_ref().map(|_| ()).ok_or_else(denied)
    }

    /// The folder of a part and, below the journal's, the folders on the way to it.
    fn make_folder(&self, path: &Path) -> Result<(), Error> {
        let Some(folder) = path.parent() else { return Ok(()) };
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|error| io("make", folder, error))?;
        if self.durability == Durability::Power {
            let inner = folder.ancestors().take_while(|above| above.starts_with(&self.root));
            inner.skip(1).try_for_each(sync_folder)?;
        }
        Ok(())
    }
}

impl Storage for Directory {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(part.path());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(io("read", &path, error)),
        }
    }

    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        self.writable()?;
        let path = self.root.join(part.path());
        self.make_folder(&path)?;
        let file = replace_file(&path, bytes, self.durability)?;
        if part == Part::Tail {
            // The handle stays good through the renaming: what is appended lands in the new tail.
            self.tail = Some(BufWriter::with_capacity(BUFFER, file));
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writable()?;
        let path = self.root.join(Part::Tail.path());
        let fail = |error| io("write to", &path, error);
        let tail = match &mut self.tail {
            Some(tail) => tail,
            slot => {
                let file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
                slot.insert(BufWriter::with_capacity(BUFFER, file))
            }
        };
        tail.write_all(bytes).map_err(fail)
    }

    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        self.writable()?;
        let folder = self.root.join(full.path() + ".p");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io("remove", &folder, error)),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.writable()?;
        let path = self.root.join(part.path());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io("remove", &path, error)),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        let path = self.root.join(Part::Tail.path());
        let fail = |error| io("write to", &path, error);
        if let Some(tail) = &mut self.tail {
            tail.flush().map_err(fail)?;
            if self.durability == Durability::Power {
                tail.get_ref().sync_data().map_err(fail)?;
            }
        }
        Ok(())
    }
}

/// The high-water state in a file; one that is not there knows no series yet.
///
/// # Errors
/// [`Error::Io`], [`Error::State`].
pub fn read_high_water(path: &Path) -> Result<HighWater, Error> {
    match fs::read_to_string(path) {
        Ok(text) => text.parse(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HighWater::default()),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(Error::State { line: 1, reason: "it is not UTF-8" })
        }
        Err(error) => Err(io("read", path, error)),
    }
}

/// Keeps the high-water state in a file, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn write_high_water(path: &Path, state: &HighWater) -> Result<(), Error> {
    replace_file(path, state.to_string().as_bytes(), Durability::Power).map(drop)
}

/// Writes a file beside `path` and renames it; gives the handle, at its end.
fn replace_file(path: &Path, bytes: &[u8], durability: Durability) -> Result<File, Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let fail = |error| io("write", path, error);
    let mut file = File::create(&fresh).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    if durability == Durability::Power {
        file.sync_all().map_err(fail)?;
    }
    fs::rename(&fresh, path).map_err(fail)?;
    if durability == Durability::Power {
        sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    }
    Ok(file)
}

/// Makes a renaming last. Where directories cannot be opened as files, renaming is all that the system offers.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| io("sync", folder, error))?;
    }
    Ok(())
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.display().to_string(), source }
}
