//! Where a journal's parts are kept: names, and what a store has to do.
//!
//! Source: C2SP tlog-tiles, "Merkle Tree", "Partial Tiles", "Log entries", "Checkpoints".

use std::collections::BTreeMap;

use twinguard_types::Digest;

use crate::Error;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// One part of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The last signed checkpoint.
    Checkpoint,
    /// Entries since the last full bundle, as they came: our own, not part of tlog-tiles.
    Tail,
    /// A bundle of entries.
    Entries {
        /// Number of the bundle.
        index: u64,
        /// Number of entries when it is not full, 1 to 255.
        width: Option<u8>,
    },
    /// A tile of hashes.
    Hashes {
        /// Level: each hash covers 256^level leaves. 0 to 7.
        level: u8,
        /// Number of the tile in its level.
        index: u64,
        /// Number of hashes when it is not full, 1 to 255.
        width: Option<u8>,
    },
}

impl Part {
    /// The path below the journal's directory or URL.
    ///
    /// ```
    /// use twinguard_integrity::storage::Part;
    ///
    /// let part = Part::Hashes { level: 0, index: 1_234_067, width: Some(17) };
    /// assert_eq!(part.path(), "tile/0/x001/x234/067.p/17");
    /// ```
    #[must_use]
    pub fn path(&self) -> String {
        let numbered = |folder: &str, mut index: u64, width: Option<u8>| {
            let mut number = format!("{:03}", index % 1000);
            while index >= 1000 {
                index /= 1000;
                number = format!("x{:03}/{number}", index % 1000);
            }
            match width {
                Some(width) => format!("tile/{folder}/{number}.p/{width}"),
                None => format!("tile/{folder}/{number}"),
            }
        };
        match *self {
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Tail => "tail".to_owned(),
            Self::Entries { index, width } => numbered("entries", index, width),
            Self::Hashes { level, index, width } => numbered(&level.to_string(), index, width),
        }
    }

    /// The same part with another width.
    #[must_use]
    pub(crate) fn with_width(self, width: Option<u8>) -> Self {
        match self {
            Self::Entries { index, .. } => Self::Entries { index, width },
            Self::Hashes { level, index, .. } => Self::Hashes { level, index, width },
            other => other,
        }
    }

    /// The first leaf that the part speaks of.
    #[must_use]
    pub(crate) fn first_leaf(&self) -> u64 {
        match *self {
            Self::Checkpoint | Self::Tail => 0,
            Self::Entries { index, .. } => index.saturating_mul(TILE_WIDTH),
            Self::Hashes { level, index, .. } => {
                index.saturating_mul(TILE_WIDTH.saturating_pow(u32::from(level).saturating_add(1)))
            }
        }
    }
}

/// Keeps the parts of one journal.
pub trait Storage: core::fmt::Debug {
    /// The bytes of a part, if it is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error>;

    /// Puts these bytes in the place of a part, whole or not at all, also when everything stops in the middle.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error>;

    /// Adds bytes at the end of [`Part::Tail`]. When everything stops in the middle, some beginning of them is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Removes all forms of a part that are not full, now that it is.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn remove_partial(&mut self, full: Part) -> Result<(), Error>;

    /// Removes a part, if it is there: entries that were pruned.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn remove(&mut self, part: Part) -> Result<(), Error>;

    /// Makes everything so far last.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn sync(&mut self) -> Result<(), Error>;
}

impl<S: Storage + ?Sized> Storage for Box<S> {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        (**self).read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        (**self).replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        (**self).append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        (**self).remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), Error> {
        (**self).remove(part)
    }
    fn sync(&mut self) -> Result<(), Error> {
        (**self).sync()
    }
}

/// Keeps everything in memory: grows with the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    parts: BTreeMap<Part, Vec<u8>>,
    tail: Vec<u8>,
}

impl Memory {
    /// All parts, to be written elsewhere.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &[u8])> {
        let tail = (!self.tail.is_empty()).then_some((Part::Tail, self.tail.as_slice()));
        self.parts.iter().map(|(part, bytes)| (*part, bytes.as_slice())).chain(tail)
    }

    /// Puts a part in place, or takes it away: for copies and tests.
    pub fn set(&mut self, part: Part, bytes: Option<Vec<u8>>) {
        match (part, bytes) {
            (Part::Tail, bytes) => self.tail = bytes.unwrap_or_default(),
            (part, Some(bytes)) => drop(self.parts.insert(part, bytes)),
            (part, None) => drop(self.parts.remove(&part)),
        }
    }
}

impl Storage for Memory {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        Ok(match part {
            Part::Tail => (!self.tail.is_empty()).then(|| self.tail.clone()),
            part => self.parts.get(&part).cloned(),
        })
    }

    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        match part {
            Part::Tail => {
                self.tail.clear();
                self.tail.extend_from_slice(bytes);
            }
            part => drop(self.parts.insert(part, bytes.to_vec())),
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.tail.extend_from_slice(bytes);
        Ok(())
    }

    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        let (first, last) = (full.with_width(Some(0)), full.with_width(Some(u8::MAX)));
        let widths: Vec<_> = self.parts.range(first..=last).map(|(part, _)| *part).collect();
        widths.iter().for_each(|part| drop(self.parts.remove(part)));
        Ok(())
    }

    fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.set(part, None);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Keeps nothing: receipts and roots are still right, proofs and checks of old leaves are not possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nowhere;

impl Storage for Nowhere {
    fn read(&self, _: Part) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
    fn replace(&mut self, _: Part, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    fn append(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    fn remove_partial(&mut self, _: Part) -> Result<(), Error> {
        Ok(())
    }
    fn remove(&mut self, _: Part) -> Result<(), Error> {
        Ok(())
    }
    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The hashes of a tile's bytes; nothing when their number is not `width`.
pub(crate) fn hashes(bytes: &[u8], width: u64) -> Option<Vec<Digest>> {
    let (hashes, rest) = bytes.as_chunks();
    (rest.is_empty() && hashes.len() as u64 == width).then(|| hashes.iter().copied().map(Digest).collect())
}

/// The bytes of a tile's hashes.
pub(crate) fn tile_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The entries of a bundle, up to its end or to the first that ends early.
pub(crate) fn bundle_entries(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], ()>> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = rest
            .split_first_chunk()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        Some(match entry {
            Some((entry, after)) => {
                rest = after;
                Ok(entry)
            }
            None => {
                rest = &[];
                Err(())
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let check = |part: Part, path: &str| assert_eq!(part.path(), path);
        check(Part::Checkpoint, "checkpoint");
        check(Part::Hashes { level: 0, index: 0, width: None }, "tile/0/000");
        check(Part::Hashes { level: 7, index: 999, width: None }, "tile/7/999");
        check(Part::Hashes { level: 1, index: 1000, width: Some(255) }, "tile/1/x001/000.p/255");
        check(Part::Entries { index: 1_234_067, width: None }, "tile/entries/x001/x234/067");
        check(Part::Entries { index: 272, width: Some(112) }, "tile/entries/272.p/112");
    }

    #[test]
    fn partial_forms_go_and_nothing_else() {
        let part = |index, width| Part::Entries { index, width };
        let mut memory = Memory::default();
        for (index, width) in [(0, None), (0, Some(1)), (0, Some(255)), (1, Some(3))] {
            memory.replace(part(index, width), b"x").unwrap();
        }
        memory.remove_partial(part(0, None)).unwrap();
        assert_eq!(
            memory.parts().map(|(part, _)| part).collect::<Vec<_>>(),
            [part(0, None), part(1, Some(3))]
        );
    }
}
