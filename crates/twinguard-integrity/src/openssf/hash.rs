//! The three hashes of model-signing, over whole files and over shards.
//!
//! Sources: FIPS 180-4 (SHA-256); RFC 7693 (`BLAKE2b`, 64 bytes); BLAKE3 specification.

use std::io::Read;

use blake2::Blake2b512;
use sha2::{Digest as _, Sha256};

use super::statement::Shard;
use crate::source::read_chunks;
use crate::{Error, PortablePath};

/// A hash of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// `BLAKE2b` with 64 bytes.
    Blake2b,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

impl Hash {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Blake2b, Self::Blake3];

    /// Its name in statements.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake2b => "blake2b",
            Self::Blake3 => "blake3",
        }
    }

    /// The hash of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    pub(super) fn length(self) -> usize {
        if self == Self::Blake2b { 64 } else { 32 }
    }
}

enum State {
    Sha256(Sha256),
    Blake2b(Box<Blake2b512>),
    Blake3(Box<blake3::Hasher>),
}

impl State {
    fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256(Sha256::new()),
            Hash::Blake2b => Self::Blake2b(Box::default()),
            Hash::Blake3 => Self::Blake3(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Blake2b(state) => state.update(bytes),
            Self::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(state) => state.finalize().to_vec(),
            Self::Blake2b(state) => state.finalize().to_vec(),
            Self::Blake3(state) => state.finalize().as_bytes().to_vec(),
        }
    }
}

/// Hashes files in pieces, up to a number of bytes in all.
pub(super) struct Hasher {
    hash: Hash,
    shard: Option<u64>,
    left: u64,
    limit: u64,
    chunk: Vec<u8>,
}

impl Hasher {
    pub(super) fn new(hash: Hash, shard: Option<u64>, limit: u64) -> Self {
        Self { hash, shard, left: limit, limit, chunk: vec![0; 256 << 10] }
    }

    /// The digest of each shard, or of the whole file.
    pub(super) fn shards(&mut self, file: &mut dyn Read, path: &PortablePath) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        self.run(file, path, |shard| {
            shards.push(shard);
            true
        })?;
        Ok(shards)
    }

    /// Whether a file has exactly these shards. It is read no further than the first that differs.
    pub(super) fn is(
        &mut self,
        file: &mut dyn Read,
        sealed: &[Shard],
        path: &PortablePath,
    ) -> Result<bool, Error> {
        let mut sealed = sealed.iter();
        let mut same = true;
        self.run(file, path, |shard| {
            same &= sealed.next() == Some(&shard);
            same
        })?;
        Ok(same && sealed.next().is_none())
    }

    /// Shows each shard as it ends, until `show` has seen enough.
    fn run(
        &mut self,
        file: &mut dyn Read,
        path: &PortablePath,
        mut show: impl FnMut(Shard) -> bool,
    ) -> Result<(), Error> {
        let (hash, size) = (self.hash, self.shard);
        let (limit, left) = (self.limit, &mut self.left);
        let mut state = State::new(hash);
        let (mut start, mut at, mut go_on) = (0u64, 0u64, true);
        read_chunks(file, &mut self.chunk, path, |mut bytes| {
            let count = bytes.len() as u64;
            let too_many = || Error::Limit { what: "bytes", limit, place: path.to_string() };
            *left = left.checked_sub(count).ok_or_else(too_many)?;
            while go_on && !bytes.is_empty() {
                let room = size.map_or(u64::MAX, |size| start.saturating_add(size).saturating_sub(at));
                let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
                let (head, rest) = bytes.split_at(take);
                state.update(head);
                at = at.saturating_add(take as u64);
                bytes = rest;
                if size.is_some_and(|size| at - start == size) {
                    let digest = core::mem::replace(&mut state, State::new(hash)).finish();
                    go_on = show(Shard { start, end: Some(at), digest });
                    start = at;
                }
            }
            Ok(())
        })?;
        match size {
            None => {
                show(Shard { start: 0, end: None, digest: state.finish() });
            }
            Some(_) if go_on && at > start => {
                show(Shard { start, end: Some(at), digest: state.finish() });
            }
            Some(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn abc_as_published() {
        // FIPS 180-4 example; RFC 7693 appendix A; BLAKE3 of `abc` from its own test suite's program.
        let path = PortablePath::new("a").unwrap();
        for (hash, start) in
            [(Hash::Sha256, "ba7816bf"), (Hash::Blake2b, "ba80a53f981c4d0d"), (Hash::Blake3, "6437b3ac")]
        {
            let shards = Hasher::new(hash, None, 100).shards(&mut &b"abc"[..], &path).unwrap();
            assert!(HEXLOWER.encode(&shards[0].digest).starts_with(start), "{hash:?}");
            assert_eq!(shards[0].digest.len(), hash.length());
        }
        assert!(matches!(
            Hasher::new(Hash::Sha256, None, 2).shards(&mut &b"abc"[..], &path),
            Err(Error::Limit { .. })
        ));
    }

    #[test]
    fn shards_end_where_the_file_ends() {
        let path = PortablePath::new("a").unwrap();
        let ends = |length: usize| -> Vec<_> {
            let shards =
                Hasher::new(Hash::Sha256, Some(4), 100).shards(&mut &vec![0; length][..], &path).unwrap();
            shards.iter().map(|shard| (shard.start, shard.end.unwrap())).collect()
        };
        assert_eq!(ends(0), []);
        assert_eq!(ends(4), [(0, 4)]);
        assert_eq!(ends(9), [(0, 4), (4, 8), (8, 9)]);
    }
}
