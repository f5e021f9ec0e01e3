//! The journal's append log: entries since the last full bundle, as they came.
//!
//! ```text
//! "TGTAIL1\n", u64 index of the first entry (a multiple of 256); then for each entry
//! u16 length, the first 4 bytes of its leaf hash, entry             (integers big-endian)
//! ```
//! The hash's beginning tells a torn or altered entry from a whole one. Our own format: C2SP tlog-tiles leaves to the log
//! how it keeps what no checkpoint covers yet.

use twinguard_types::Digest;

use crate::merkle::leaf_hash;
use crate::storage::TILE_WIDTH;

const TAIL_MAGIC: [u8; 8] = *b"TGTAIL1\n";

/// The tail as it is stored.
pub(crate) struct Tail<'a> {
    /// Index of its first entry.
    pub(crate) start: u64,
    records: &'a [u8],
}

impl<'a> Tail<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (start, records) = rest.split_first_chunk()?;
        let start = u64::from_be_bytes(*start);
        (*magic == TAIL_MAGIC && start % TILE_WIDTH == 0).then_some(Self { start, records })
    }

    pub(crate) fn records(&self) -> Records<'a> {
        Records { rest: self.records }
    }
}

/// Whole entries with their hashes, up to the first that is torn or altered; `rest` is what follows.
pub(crate) struct Records<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (&'a [u8], Digest);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let hash = leaf_hash(entry);
        if !hash.0.starts_with(sum) {
            return None;
        }
        self.rest = rest;
        Some((entry, hash))
    }
}

/// The header of a tail whose first entry has this index.
pub(crate) fn tail_header(start: u64) -> [u8; 16] {
    let mut header = [0; 16];
    for (slot, byte) in header.iter_mut().zip(TAIL_MAGIC.into_iter().chain(start.to_be_bytes())) {
        *slot = byte;
    }
    header
}

/// What stands before an entry.
pub(crate) fn record_head(entry: &[u8], hash: &Digest) -> [u8; 6] {
    let [high, low] = (entry.len() as u16).to_be_bytes();
    let [a, b, c, d, ..] = hash.0;
    [high, low, a, b, c, d]
}
