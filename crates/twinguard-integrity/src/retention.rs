//! How long a journal keeps entries, what has to stay longer, and the proof of what was removed.
//!
//! Pruning removes whole bundles of 256 entries; their hashes stay (32 bytes an entry), so every root, every proof and every
//! checkpoint holds as before, and whoever kept a copy of a removed entry can still prove it. What was removed is itself an
//! entry, made to last under a signed checkpoint before anything goes: an entry that is missing without it is a gap that
//! verification refuses. So is one that a hold kept. Entries that speak of the journal itself (holds, pruning, keys) and kinds
//! that the caller names stay for ever, and their bundles with them.
//!
//! Leaves: `hold` and `release` `{"id": text, "first": leaf, "until": leaf}`, `pruned`
//! `{"days": n, "bytes": n, "leaves": [first, until, …]}`, ranges without their ends.
//!
//! Source: C2SP tlog-tiles, "Pruning".

use core::ops::Range;

use twinguard_types::{Duration, Label, Receipt, Timestamp};

use crate::cbor::write;
use crate::keeping::PRUNED;
use crate::ledger::Ledger;
use crate::storage::{Part, Storage, TILE_WIDTH, bundle_entries};
use crate::{Error, Journal, Leaf, SigningKey};

pub use crate::keeping::Hold;

/// Ranges in one entry; what is beyond goes the next time.
const MOST_RANGES: usize = 2_000;

/// What a journal keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days after which entries may go; `None`: never by age.
    pub days: Option<u32>,
    /// Bytes of entries beyond which the oldest may go; `None`: never by size.
    pub bytes: Option<u64>,
    /// Kinds that stay, and all that stands in a bundle with them.
    pub keep: Vec<Label>,
}

/// What one run of pruning removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Pruned {
    /// Ranges of leaves, without their ends, in ascending order.
    pub leaves: Vec<Range<u64>>,
    /// Bytes of entries.
    pub bytes: u64,
}

impl<S: Storage> Journal<S> {
    /// Holds entries: from here on pruning that touches them is refused, and found wherever it was done all the same.
    ///
    /// # Errors
    /// As [`Journal::append`]; [`Error::Policy`] for an id that may not be.
    pub fn hold(&mut self, at: Timestamp, hold: &Hold) -> Result<Receipt, Error> {
        self.append_item(Hold::KIND, at, &hold.encode()?)
    }

    /// Ends a hold; that it ended stays in the journal.
    ///
    /// # Errors
    /// As [`Journal::hold`].
    pub fn release(&mut self, at: Timestamp, hold: &Hold) -> Result<Receipt, Error> {
        self.append_item(Hold::RELEASE, at, &hold.encode()?)
    }

    /// Removes entries that need not be kept any longer: whole bundles that the last checkpoint covers, the oldest first. Enters
    /// which, signs a checkpoint over that, and only then removes them. Reads the entries that are there, so it is for once a
    /// day, not for every second.
    ///
    /// ```
    /// use twinguard_integrity::retention::Retention;
    /// use twinguard_integrity::{Journal, SigningKey, journal};
    /// use twinguard_types::{Label, Timestamp};
    ///
    /// let key = SigningKey::from_seed("pump-house.example/journal", &[7; 32])?;
    /// let mut journal = Journal::in_memory();
    /// for second in 0..1000 {
    ///     journal.push(Label::literal("tick"), Timestamp::from_secs(second), b"")?;
    /// }
    /// journal.checkpoint(&key)?;
    /// let keep = Retention { days: Some(30), ..Retention::default() };
    /// assert!(journal.prune(&keep, Timestamp::from_secs(86_400), &key)?.leaves.is_empty());
    /// let pruned = journal.prune(&keep, Timestamp::from_secs(30 * 86_400 + 600), &key)?;
    /// assert_eq!(pruned.leaves, [0..512]);
    /// assert_eq!(journal::verify(journal.storage(), key.public())?.pruned, 512);
    /// # Ok::<(), twinguard_integrity::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Journal::append`] and [`Journal::checkpoint`]; [`Error::Held`] where the journal already breaks a hold;
    /// [`Error::Damaged`] for a bundle that is not whole.
    pub fn prune(&mut self, keep: &Retention, now: Timestamp, key: &SigningKey) -> Result<Pruned, Error> {
        let signed = self.last_checkpoint().map_or(0, |head| head.size);
        let (ledger, bundles) = self.survey()?;
        let limit = keep.days.map(|days| Duration::from_secs(i64::from(days) * 86_400));
        let mut total: u64 = bundles.iter().map(|bundle| bundle.bytes).sum();
        let mut pruned = Pruned::default();
        for bundle in bundles {
            let leaves = bundle.index * TILE_WIDTH..(bundle.index + 1) * TILE_WIDTH;
            let old = limit.is_some_and(|limit| now.since(bundle.latest) > limit);
            let large = keep.bytes.is_some_and(|bytes| total > bytes);
            let held = ledger.holds.values().any(|held| held.start < leaves.end && leaves.start < held.end);
            let named = bundle.speaks || bundle.kinds.iter().any(|kind| keep.keep.contains(kind));
            if leaves.end > signed || !(old || large) || held || named {
                continue;
            }
            let ranges = pruned.leaves.len();
            match pruned.leaves.last_mut() {
                Some(last) if last.end == leaves.start => last.end = leaves.end,
                _ if ranges == MOST_RANGES => break,
                _ => pruned.leaves.push(leaves),
            }
            total -= bundle.bytes;
            pruned.bytes += bundle.bytes;
        }
        if pruned.leaves.is_empty() {
            return Ok(pruned);
        }
        self.append_item(PRUNED, now, &encode(keep, &pruned.leaves))?;
        self.checkpoint(key)?;
        for range in &pruned.leaves {
            for index in range.start / TILE_WIDTH..range.end / TILE_WIDTH {
                self.remove(Part::Entries { index, width: None })?;
            }
        }
        Ok(pruned)
    }

    /// What stands in the full bundles that are there, and what the whole journal says of itself.
    fn survey(&self) -> Result<(Ledger, Vec<Surveyed>), Error> {
        let (mut ledger, mut bundles) = (Ledger::default(), Vec::new());
        for index in 0..self.size() / TILE_WIDTH {
            let part = Part::Entries { index, width: None };
            let Some(bytes) = self.storage().read(part)? else { continue };
            let mut bundle = Surveyed {
                index,
                bytes: bytes.len() as u64,
                latest: Timestamp::MIN,
                speaks: false,
                kinds: Vec::new(),
            };
            for (entry, leaf) in bundle_entries(&bytes).zip(part.first_leaf()..) {
                let damaged = |_| Error::Damaged { path: part.path(), leaf, reason: "it ends early" };
                self.survey_entry(leaf, entry.map_err(damaged)?, &mut ledger, Some(&mut bundle))?;
            }
            bundles.push(bundle);
        }
        for (entry, leaf) in
            bundle_entries(self.filling()).flatten().zip(self.size() / TILE_WIDTH * TILE_WIDTH..)
        {
            self.survey_entry(leaf, entry, &mut ledger, None)?;
        }
        Ok((ledger, bundles))
    }

    fn survey_entry(
        &self,
        index: u64,
        entry: &[u8],
        ledger: &mut Ledger,
        bundle: Option<&mut Surveyed>,
    ) -> Result<(), Error> {
        ledger.see(index, entry, Default::default)?;
        if let Some(bundle) = bundle {
            let leaf = Leaf::parse(entry)?;
            bundle.latest = bundle.latest.max(leaf.at);
            bundle.speaks |= Ledger::speaks(&leaf);
            if !bundle.kinds.contains(&leaf.kind) {
                bundle.kinds.push(leaf.kind);
            }
        }
        Ok(())
    }
}

struct Surveyed {
    index: u64,
    bytes: u64,
    latest: Timestamp,
    speaks: bool,
    kinds: Vec<Label>,
}

fn encode(keep: &Retention, leaves: &[Range<u64>]) -> Vec<u8> {
    let mut out = Vec::new();
    let optional = |out: &mut Vec<u8>, value: Option<u64>| match value {
        Some(value) => write::unsigned(out, value),
        None => write::null(out),
    };
    write::map(&mut out, 3);
    write::text(&mut out, "days");
    optional(&mut out, keep.days.map(u64::from));
    write::text(&mut out, "bytes");
    optional(&mut out, keep.bytes);
    write::text(&mut out, "leaves");
    write::array(&mut out, leaves.len() * 2);
    for range in leaves {
        write::unsigned(&mut out, range.start);
        write::unsigned(&mut out, range.end);
    }
    out
}
