//! Directories on Unix: every name is opened relative to its directory's handle, so neither a link nor a rename leads out.
//!
//! Linux since 5.6 checks this itself (`openat2` with `RESOLVE_BENEATH`, `NO_SYMLINKS`, `NO_MAGICLINKS`, `NO_XDEV`: no link
//! and no other file system, mounted in between, is entered). Where that call is missing or forbidden, `openat` with
//! `O_NOFOLLOW` opens one name at a time: links are refused as well, mount points are followed.
//!
//! Sources: Linux manual page `openat2(2)`; POSIX.1-2024 `openat`, `fstatat`.

use std::fs::File;
use std::io::Error;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::{About, Protection, Stamp};
use crate::manifest::Mode as Runs;

pub(super) struct Folder {
    handle: OwnedFd,
    protection: Protection,
}

pub(super) enum Opened {
    File(File, About),
    Folder(Folder),
    Other(&'static str),
}

/// The directory that the caller names may itself be reached through links: naming it is the caller's decision.
pub(super) fn open_root(dir: &Path) -> Result<Folder, Error> {
    let handle = openat(CWD, dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let protection = kernel::probe(&handle);
    Ok(Folder { handle, protection })
}

impl Folder {
    pub(super) fn protection(&self) -> Protection {
        self.protection
    }

    /// Up to `most` names in order of their bytes; a name that is not UTF-8 comes as `Err`, readable in part.
    pub(super) fn names(&self, most: u64) -> Result<Vec<Result<String, String>>, Error> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
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

    /// What the system says about a regular file without opening it.
    pub(super) fn stamp(&self, name: &str) -> Option<Stamp> {
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        #[allow(
            clippy::unnecessary_cast,
            clippy::useless_conversion,
            reason = "types differ between systems"
        )]
        regular.then_some(Stamp {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            length: u64::try_from(stat.st_size).unwrap_or_default(),
            mode: stat.st_mode as u32,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        })
    }

    pub(super) fn open(&self, name: &str) -> Result<Opened, Error> {
        // Looked at before it is opened: opening a device may already do something.
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => OFlags::NONBLOCK | OFlags::NOCTTY,
            FileType::Directory => OFlags::DIRECTORY,
            other => return Ok(Opened::Other(kind(other))),
        };
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match self.protection {
            Protection::Kernel => kernel::open(&self.handle, name, flags),
            _ => openat(&self.handle, name, flags, Mode::empty()),
        };
        let handle = match opened {
            Ok(handle) => handle,
            Err(Errno::LOOP) => return Ok(Opened::Other("symbolic link")),
            Err(Errno::XDEV) => return Ok(Opened::Other("mount point of another file system")),
            Err(error) => return Err(error.into()),
        };
        // Looked at again on the handle: the name may stand for something else by now.
        let stat = fstat(&handle)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let length = u64::try_from(stat.st_size).unwrap_or_default();
                let mode = if stat.st_mode & 0o111 == 0 { Runs::Plain } else { Runs::Executable };
                Opened::File(File::from(handle), About { length, mode })
            }
            FileType::Directory => Opened::Folder(Folder { handle, protection: self.protection }),
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

#[cfg(target_os = "linux")]
mod kernel {
    use rustix::fs::{ResolveFlags, openat2};

    use super::{Errno, Mode, OFlags, OwnedFd, Protection};

    pub(super) fn open(folder: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let rules = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        openat2(folder, name, flags, Mode::empty(), rules)
    }

    /// Old kernels lack the call, some sandboxes forbid it.
    pub(super) fn probe(folder: &OwnedFd) -> Protection {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        open(folder, ".", flags).map_or(Protection::NoFollow, |_| Protection::Kernel)
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{Errno, Mode, OFlags, OwnedFd, Protection, openat};

    pub(super) fn open(folder: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat(folder, name, flags, Mode::empty())
    }

    pub(super) fn probe(_: &OwnedFd) -> Protection {
        Protection::NoFollow
    }
}
