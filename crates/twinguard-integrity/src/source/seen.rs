//! Verifying again without reading again: files whose inode, length, mode and times are what they were are trusted.
//!
//! Weaker than reading, and it says so: whoever can set the clock or write to the device directly changes a file without changing
//! what the system says about it. Read everything from time to time; the first time everything is read anyway.
//!
//! Source: POSIX.1-2024 `fstatat`, `st_ctim` (time of last status change, which no call sets); git `racy-git` (a file that is
//! changed within the granularity of times of its reading).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use twinguard_types::Digest;

use super::{CHUNK, Limits, Reading, folder, open_root, read_chunks, too_many_bytes};
use crate::manifest::Entry;
use crate::{Error, PortablePath};

/// What a system says about a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The device it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Its kind and access rights.
    pub mode: u32,
    /// When its content was last changed, as anybody may set it: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// When anything about it was last changed, as the system alone sets it.
    pub changed: (i64, i64),
}

/// Entries of a directory, with how they came about.
#[derive(Clone, Debug)]
pub struct Reverified {
    /// The entries of all files.
    pub entries: Vec<Entry>,
    /// Files that were read.
    pub read: usize,
    /// Files that were trusted to be what they were, for the system says that nothing about them changed.
    pub trusted: usize,
}

/// Files of one directory as they were when they were last read.
///
/// ```
/// use twinguard_integrity::source::{Limits, Seen};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a"), "1")?;
/// let mut seen = Seen::default();
/// let first = seen.entries(folder.path(), &Limits::default(), &|_| false)?;
/// let again = seen.entries(folder.path(), &Limits::default(), &|_| false)?;
/// assert_eq!((first.read, again.read, again.trusted), (1, 0, 1));
/// assert_eq!(first.entries, again.entries);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<PortablePath, (Stamp, Entry)>);

impl Seen {
    /// The entries of all files of a directory; those that changed since, as far as the system says, are read.
    ///
    /// # Errors
    /// As [`super::entries`].
    pub fn entries(
        &mut self,
        dir: &Path,
        limits: &Limits,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<Reverified, Error> {
        let known = &self.0;
        let root = open_root(dir)?;
        let found = RefCell::new(Vec::new());
        let (mut trusted, mut left) = (0, limits.files);
        let (mut bytes, mut chunk) = (limits.bytes, vec![0; CHUNK]);
        // The stamp of before the reading is kept: a change while it lasts is seen the next time.
        let fresh = RefCell::new(None);
        let reading = Reading { limits: *limits, skip, empty_folders: false };
        folder(
            &root,
            "",
            &reading,
            &mut left,
            &mut |here, name, path| {
                let stamp = here.stamp(name);
                let entry =
                    known.get(path).filter(|(before, _)| Some(*before) == stamp).map(|(_, entry)| entry);
                *fresh.borrow_mut() = stamp;
                let (Some(entry), Some(stamp)) = (entry, stamp) else { return false };
                found.borrow_mut().push((stamp, entry.clone()));
                trusted += 1;
                true
            },
            &mut |path, about, file| {
                let (mut hasher, mut length) = (blake3::Hasher::new(), 0u64);
                read_chunks(file, &mut chunk, &path, |part| {
                    bytes =
                        bytes.checked_sub(part.len() as u64).ok_or_else(|| too_many_bytes(limits, &path))?;
                    length = length.saturating_add(part.len() as u64);
                    hasher.update(part);
                    Ok(())
                })?;
                let digest = Digest(*hasher.finalize().as_bytes());
                let entry = Entry { mode: about.mode, ..Entry::new(path, length, digest) };
                // A file that came into being between the look and the opening has no stamp: it is read again.
                let none =
                    Stamp { device: 0, inode: 0, length: 0, mode: 0, modified: (0, 0), changed: (0, 0) };
                found.borrow_mut().push((fresh.borrow_mut().take().unwrap_or(none), entry));
                Ok(())
            },
        )?;
        let found = found.into_inner();
        let entries: Vec<Entry> = found.iter().map(|(_, entry)| entry.clone()).collect();
        self.0 = found.into_iter().map(|(stamp, entry)| (entry.path.clone(), (stamp, entry))).collect();
        Ok(Reverified { read: entries.len() - trusted, trusted, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn what_changed_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let mut seen = Seen::default();
        let mut again = || seen.entries(folder.path(), &Limits::default(), &|_| false).unwrap();
        assert_eq!((again().read, again().read), (3, 0));
        // Another file of the same name, length and content time: another inode, another time of change.
        fs::write(folder.path().join("new"), "B").unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("b")).unwrap();
        let found = again();
        assert_eq!((found.read, found.trusted), (1, 2));
        assert_eq!(found.entries, super::super::entries(folder.path(), &Limits::default()).unwrap());
        fs::remove_file(folder.path().join("a")).unwrap();
        assert_eq!((again().entries.len(), again().read), (2, 0));
    }
}
