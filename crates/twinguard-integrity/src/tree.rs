//! A file's BLAKE3 tree, kept at the level of groups: what is needed to check, prove or change a part without reading the rest.
//!
//! The root is the plain BLAKE3 hash of the file, whatever the group. A group is 2^k bytes, 1 KiB (BLAKE3's chunk) to 16 MiB;
//! for groups of 16 KiB the tree takes 0.4 % of the file, for 64 KiB 0.1 %. Outboard trees and slices are in the format of bao
//! (with 1 KiB groups byte for byte; with larger ones the same layout, with groups in place of chunks).
//!
//! A sample of groups finds a change with a probability that [`detection_probability`] states; only a sweep over all is certain.
//!
//! Sources: BLAKE3 specification §2.1 (tree), §2.5; crate `blake3` 1.8 module `hazmat`; bao 0.13 `docs/spec.md` (combined and
//! outboard encodings, slices); bao-tree (chunk groups); R. W. Floyd, "Algorithm F2" in Bentley, "Programming Pearls: a sample
//! of brilliance", CACM 30 (1987) (sampling without repetition).

mod audit;
mod slice;
mod stream;

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use twinguard_types::Digest;

use crate::Error;
use crate::levels::{Levels, Value, climb};

pub use audit::{Audit, detection_probability, sample};
pub use slice::{open_slice, slice};
pub use stream::Verified;

/// A group's size as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u8);

impl Group {
    /// 1 KiB: BLAKE3's own chunks.
    pub const CHUNK: Self = Self(10);
    /// 16 KiB.
    pub const KIB_16: Self = Self(14);
    /// 64 KiB.
    pub const KIB_64: Self = Self(16);

    /// Groups of 2^`log` bytes.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] outside 10 to 24.
    pub fn new(log: u8) -> Result<Self, Error> {
        if (10..=24).contains(&log) {
            Ok(Self(log))
        } else {
            Err(Error::OutOfRange { asked: log.into(), size: 25 })
        }
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        1 << self.0
    }

    /// How many groups a length has; an empty file has one, which is empty.
    #[must_use]
    pub fn count(self, length: u64) -> u64 {
        length.div_ceil(1 << self.0).max(1)
    }

    /// Where a group begins.
    fn start(self, index: u64) -> u64 {
        index.saturating_mul(1 << self.0)
    }
}

pub(crate) fn merge(left: &Value, right: &Value) -> Value {
    merge_subtrees_non_root(left, right, Mode::Hash)
}

fn merge_root(left: &Value, right: &Value) -> Digest {
    Digest(*merge_subtrees_root(left, right, Mode::Hash).as_bytes())
}

/// A group's chaining value. The only group of a file has none: its hash is the root.
fn group_value(start: u64, bytes: &[u8]) -> Value {
    blake3::Hasher::new().set_input_offset(start).update(bytes).finalize_non_root()
}

fn bad(reason: &'static str) -> Error {
    Error::Slice { group: 0, reason }
}

/// The tree of a file.
///
/// ```
/// use twinguard_integrity::tree::{Group, Tree};
///
/// let mut file = vec![7; 100_000];
/// let mut tree = Tree::of(&file, Group::KIB_16);
/// assert_eq!(tree.root().0, *blake3::hash(&file).as_bytes());
///
/// // One group is proved alone, and replaced alone.
/// let proof = tree.prove(2)?;
/// proof.check(&file[32768..49152], &tree.root())?;
/// file[40_000] = 8;
/// assert!(proof.check(&file[32768..49152], &tree.root()).is_err());
/// tree.update(2, &file[32768..49152])?;
/// assert_eq!(tree.root().0, *blake3::hash(&file).as_bytes());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    group: Group,
    length: u64,
    levels: Levels,
    root: Digest,
}

impl Tree {
    /// The tree of bytes in memory; with the feature `rayon` on all cores, with the same result.
    #[must_use]
    pub fn of(bytes: &[u8], group: Group) -> Self {
        let value = |(at, bytes): (usize, &[u8])| group_value(group.start(at as u64), bytes);
        if bytes.len() <= group.bytes() {
            return Self::single(bytes, group);
        }
        #[cfg(feature = "rayon")]
        let leaves = {
            use rayon::prelude::*;
            bytes.par_chunks(group.bytes()).enumerate().map(value).collect()
        };
        #[cfg(not(feature = "rayon"))]
        let leaves = bytes.chunks(group.bytes()).enumerate().map(value).collect();
        Self::from_values(leaves, bytes.len() as u64, group)
    }

    /// The tree of a file that is read once, a group at a time.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(mut file: impl std::io::Read, group: Group) -> Result<Self, Error> {
        let (mut leaves, mut length) = (Vec::new(), 0u64);
        let mut buffer = vec![0; group.bytes()];
        loop {
            let read = stream::fill(&mut file, &mut buffer)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if length == 0 && read < buffer.len() {
                return Ok(Self::single(bytes, group));
            }
            if read == 0 {
                break;
            }
            leaves.push(group_value(length, bytes));
            length = length.saturating_add(read as u64);
        }
        if leaves.len() == 1 {
            return Ok(Self::single(&buffer, group));
        }
        Ok(Self::from_values(leaves, length, group))
    }

    fn single(bytes: &[u8], group: Group) -> Self {
        let root = Digest(*blake3::hash(bytes).as_bytes());
        Self { group, length: bytes.len() as u64, levels: Levels::new(vec![root.0], merge), root }
    }

    fn from_values(leaves: Vec<Value>, length: u64, group: Group) -> Self {
        let levels = Levels::new(leaves, merge);
        let root = root_of(&levels);
        Self { group, length, levels, root }
    }

    /// The plain BLAKE3 hash of the file.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The size of groups.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }

    /// How many groups.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.levels.len() as u64
    }

    /// Where a group lies in the file.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn range(&self, index: u64) -> Result<core::ops::Range<u64>, Error> {
        if index >= self.groups() {
            return Err(Error::OutOfRange { asked: index, size: self.groups() });
        }
        let start = self.group.start(index);
        Ok(start..self.length.min(start.saturating_add(1 << self.group.0)))
    }

    fn value_of(&self, index: u64, bytes: &[u8]) -> Result<Value, Error> {
        let range = self.range(index)?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(Error::Slice { group: index, reason: "it is not of its group's length" });
        }
        Ok(match self.groups() {
            1 => *blake3::hash(bytes).as_bytes(),
            _ => group_value(range.start, bytes),
        })
    }

    /// Whether these bytes are the group's.
    ///
    /// # Errors
    /// [`Error::Slice`] when they are not, [`Error::OutOfRange`].
    pub fn check(&self, index: u64, bytes: &[u8]) -> Result<(), Error> {
        match self.value_of(index, bytes)? == self.levels.leaf(index as usize).copied().unwrap_or_default() {
            true => Ok(()),
            false => Err(Error::Slice { group: index, reason: "its content was changed" }),
        }
    }

    /// Replaces a group's content by other of the same length; gives the new root.
    ///
    /// # Errors
    /// [`Error::Slice`] for another length, [`Error::OutOfRange`].
    pub fn update(&mut self, index: u64, bytes: &[u8]) -> Result<Digest, Error> {
        let value = self.value_of(index, bytes)?;
        self.levels.set(index as usize, value, merge);
        self.root = if self.groups() == 1 { Digest(value) } else { root_of(&self.levels) };
        Ok(self.root)
    }

    /// What is needed to check one group without the tree.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn prove(&self, index: u64) -> Result<Proof, Error> {
        self.range(index)?;
        Ok(Proof {
            group: self.group,
            length: self.length,
            index,
            siblings: self.levels.siblings(index as usize),
        })
    }

    fn node(&self, row: usize, index: usize) -> Option<&Value> {
        self.levels.node(row, index)
    }
}

fn root_of(levels: &Levels) -> Digest {
    match levels.top() {
        [left, right] => merge_root(left, right),
        [alone] => Digest(*alone),
        _ => Digest::default(),
    }
}

/// That a group belongs to a file of this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    group: Group,
    length: u64,
    index: u64,
    siblings: Vec<Value>,
}

impl Proof {
    /// Hashes the group up to the root.
    ///
    /// The proof's length and index are believed only as far as they lead to the root.
    ///
    /// # Errors
    /// [`Error::Slice`] when it does not lead there.
    pub fn check(&self, bytes: &[u8], root: &Digest) -> Result<(), Error> {
        let refused = |reason| Error::Slice { group: self.index, reason };
        let (count, start) = (self.group.count(self.length), self.group.start(self.index));
        let length = self.length.saturating_sub(start).min(1 << self.group.0);
        if self.index >= count || bytes.len() as u64 != length {
            return Err(refused("it is not of its group's length"));
        }
        let found = match count {
            1 => Digest(*blake3::hash(bytes).as_bytes()),
            _ => match climb(self.index, count, group_value(start, bytes), &self.siblings, merge) {
                Some((left, Some(right))) => merge_root(&left, &right),
                _ => return Err(refused("its proof is not of the tree's height")),
            },
        };
        if found == *root { Ok(()) } else { Err(refused("it does not lead to the root")) }
    }

    /// Bytes of the proof.
    #[must_use]
    pub fn size(&self) -> usize {
        self.siblings.len() * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn the_root_is_the_plain_hash_for_every_group_and_length() {
        for length in [0, 1, 1023, 1024, 1025, 2048, 3072, 16384, 16385, 50_000, 65_536, 200_001] {
            let file = file(length);
            for group in [Group::CHUNK, Group::KIB_16, Group::KIB_64] {
                let tree = Tree::of(&file, group);
                assert_eq!(tree.root().0, *blake3::hash(&file).as_bytes(), "{length} {group:?}");
                assert_eq!(tree, Tree::read(file.as_slice(), group).unwrap(), "{length} {group:?}");
            }
        }
    }

    #[test]
    fn every_bit_of_a_proved_group_counts() {
        let file = file(5 * 1024 + 7);
        let tree = Tree::of(&file, Group::CHUNK);
        for index in 0..tree.groups() {
            let range = tree.range(index).unwrap();
            let mut bytes = file[range.start as usize..range.end as usize].to_vec();
            let proof = tree.prove(index).unwrap();
            proof.check(&bytes, &tree.root()).unwrap();
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(proof.check(&bytes, &tree.root()).is_err() && tree.check(index, &bytes).is_err());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for at in 0..proof.siblings.len() {
                let mut other = proof.clone();
                other.siblings[at][3] ^= 1;
                assert!(other.check(&bytes, &tree.root()).is_err());
            }
        }
        assert!(tree.prove(tree.groups()).is_err());
        assert!(Group::new(9).is_err() && Group::new(25).is_err());
    }

    proptest! {
        #[test]
        fn an_update_is_a_new_tree(length in 1usize..40_000, at: usize, log in 10u8..14) {
            let group = Group::new(log).unwrap();
            let mut file = file(length);
            let mut tree = Tree::of(&file, group);
            let at = at % length;
            file[at] ^= 0x10;
            let index = (at / group.bytes()) as u64;
            let range = tree.range(index).unwrap();
            tree.update(index, &file[range.start as usize..range.end as usize]).unwrap();
            prop_assert_eq!(&tree, &Tree::of(&file, group));
        }
    }
}
