//! Verified bytes behind a path that nobody can write to: for loaders that insist on opening a file.
//!
//! The file lives in memory only, and the kernel refuses every later change of it, by whatever handle.
//!
//! Source: Linux manual pages `memfd_create(2)` and `fcntl(2)`, "File Sealing".

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

use super::io;
use crate::Error;

/// A file in memory whose content can be changed no more.
#[derive(Debug)]
pub struct MemoryFile(File);

impl MemoryFile {
    /// A file of these bytes; `name` is only seen in listings of open files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let fail = |error| io("keep in memory", name, error);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // The kernel takes names of up to 249 bytes.
        let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let handle = memfd_create(shown, flags).map_err(|error| fail(error.into()))?;
        let mut file = File::from(handle);
        file.write_all(bytes).map_err(fail)?;
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).map_err(|error| fail(error.into()))?;
        match fcntl_get_seals(&file) {
            Ok(set) if set.contains(seals) => Ok(Self(file)),
            _ => Err(fail(std::io::Error::other("the kernel did not seal it"))),
        }
    }

    /// The path under which this process opens it, for as long as this value lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

impl Read for MemoryFile {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_to_it_not_even_its_maker() {
        let mut file = MemoryFile::new("model.so", b"verified").unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"verified");
        assert!(file.0.write_all(b"x").is_err());
        assert!(file.0.set_len(0).is_err() && file.0.set_len(100).is_err());
        let again = std::fs::OpenOptions::new().write(true).open(file.path());
        assert!(again.is_err() || again.unwrap().write_all(b"x").is_err());
        assert_eq!(std::fs::read(file.path()).unwrap(), b"verified");
    }
}
