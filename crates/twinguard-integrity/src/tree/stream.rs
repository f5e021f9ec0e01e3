//! A file whose every byte was checked before it is handed on.
//!
//! Source: BLAKE3 specification §1 (verified streaming); bao 0.13.

use std::io::{ErrorKind, Read};

use super::Tree;
use crate::Error;

/// Reads a file group by group, and hands on only what is as sealed.
///
/// ```
/// use std::io::Read;
/// use twinguard_integrity::tree::{Group, Tree, Verified};
///
/// let file = vec![3; 50_000];
/// let tree = Tree::of(&file, Group::KIB_16);
/// let mut copy = Vec::new();
/// Verified::new(file.as_slice(), &tree).read_to_end(&mut copy)?;
/// assert_eq!(copy, file);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Verified<'a, R> {
    file: R,
    tree: &'a Tree,
    next: u64,
    group: Vec<u8>,
    given: usize,
    broken: bool,
}

impl<'a, R: Read> Verified<'a, R> {
    /// A reader of the file that `tree` was made of.
    pub fn new(file: R, tree: &'a Tree) -> Self {
        Self { file, tree, next: 0, group: Vec::new(), given: 0, broken: false }
    }

    /// The next group; `None` after the last, when the file ends there too.
    fn advance(&mut self) -> Result<bool, Error> {
        self.given = 0;
        self.group.clear();
        if self.next == self.tree.groups() {
            let more = fill(&mut self.file, &mut [0])?;
            return match more {
                0 => Ok(false),
                _ => Err(Error::Slice { group: self.next, reason: "bytes follow the file" }),
            };
        }
        let range = self.tree.range(self.next)?;
        self.group.resize((range.end - range.start) as usize, 0);
        let read = fill(&mut self.file, &mut self.group)?;
        self.group.truncate(read);
        if let Err(error) = self.tree.check(self.next, &self.group) {
            self.group.clear();
            return Err(error);
        }
        self.next += 1;
        Ok(!self.group.is_empty() || self.advance()?)
    }
}

impl<R: Read> Read for Verified<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.broken {
            return Err(std::io::Error::other("an earlier part of the file was not as sealed"));
        }
        if self.given == self.group.len() {
            let more = self.advance().map_err(|error| {
                self.broken = true;
                std::io::Error::new(ErrorKind::InvalidData, error)
            })?;
            if !more {
                return Ok(0);
            }
        }
        let rest = self.group.get(self.given..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Io { action: "read", path: "file".to_owned(), source }),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Group;

    #[test]
    fn nothing_behind_a_change_is_handed_on() {
        let file: Vec<u8> = (0..10_000).map(|n| (n % 256) as u8).collect();
        let tree = Tree::of(&file, Group::CHUNK);
        for at in [0, 1023, 1024, 5000, 9999] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let mut seen = Vec::new();
            assert!(Verified::new(changed.as_slice(), &tree).read_to_end(&mut seen).is_err());
            assert_eq!(seen, file[..at / 1024 * 1024], "{at}");
        }
        for other in [&file[..9999], &[&file[..], &[0]].concat()] {
            assert!(Verified::new(other, &tree).read_to_end(&mut Vec::new()).is_err());
        }
        let empty = Tree::of(&[], Group::CHUNK);
        assert_eq!(Verified::new(&[][..], &empty).read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(Verified::new(&[1][..], &empty).read_to_end(&mut Vec::new()).is_err());
    }
}
