//! A bounded queue before a journal: under overload entries are lost, but never without a trace.
//!
//! When the queue is full, what comes is counted instead of kept, and an entry of the kind `gap` stands in the journal exactly
//! where the lost ones would: how many, of which kinds, from when until when. As every entry it is under the next signed
//! checkpoint, so neither the gap nor its count can be changed afterwards.
//!
//! A gap's item: `{"last": nanoseconds, "count": n, "first": nanoseconds, "kinds": {kind: n, …}, "total": n}`, where `total` is
//! what was lost since the queue was made; kinds beyond the sixteenth are counted as `other`.

use std::collections::{BTreeMap, VecDeque};

use twinguard_types::{Label, Timestamp};

use crate::cbor::{self, Item, write};
use crate::storage::Storage;
use crate::{Error, Form, Journal, Leaf};

/// Kinds that a gap tells apart.
const MOST_KINDS: usize = 16;
const OTHER: Label = Label::literal("other");

/// What was lost between two entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many entries.
    pub count: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
    /// How many of each kind.
    pub kinds: BTreeMap<Label, u64>,
    /// How many the queue has lost so far, these included.
    pub total: u64,
}

impl Gap {
    /// Kind of a journal's leaf that tells of a gap.
    pub const KIND: Label = Label::literal("gap");

    /// The item of its leaf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::map(&mut out, 5);
        write::text(&mut out, "last");
        write::integer(&mut out, self.last.as_nanos());
        write::text(&mut out, "count");
        write::unsigned(&mut out, self.count);
        write::text(&mut out, "first");
        write::integer(&mut out, self.first.as_nanos());
        write::text(&mut out, "kinds");
        write::map(&mut out, self.kinds.len());
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| cbor::order(a.0.as_str(), b.0.as_str()));
        for (kind, count) in kinds {
            write::text(&mut out, kind.as_str());
            write::unsigned(&mut out, *count);
        }
        write::text(&mut out, "total");
        write::unsigned(&mut out, self.total);
        out
    }

    /// Reads the item of a leaf.
    ///
    /// # Errors
    /// [`Error::Leaf`] for any bytes that [`Gap::encode`] does not write.
    pub fn parse(item: &[u8]) -> Result<Self, Error> {
        cbor::check(item)?;
        let gap = Self::read(item).filter(|gap| gap.encode() == item);
        gap.ok_or(Error::Leaf { offset: 0, reason: "it is not a gap" })
    }

    fn read(mut item: &[u8]) -> Option<Self> {
        let (mut count, mut first, mut last, mut total, mut kinds) = (None, None, None, None, None);
        cbor::pairs(&mut item, |key, rest| {
            let time = |item| match item {
                Item::Unsigned(nanos) => i64::try_from(nanos).ok().map(Timestamp::from_nanos),
                Item::Negative(nanos) => Some(Timestamp::from_nanos(nanos)),
                _ => None,
            };
            fn number(item: Item<'_>) -> Option<u64> {
                if let Item::Unsigned(number) = item { Some(number) } else { None }
            }
            match key {
                "last" => last = Some(time(cbor::read(rest)?)?),
                "first" => first = Some(time(cbor::read(rest)?)?),
                "count" => count = Some(number(cbor::read(rest)?)?),
                "total" => total = Some(number(cbor::read(rest)?)?),
                "kinds" => {
                    let pair = |kind: &str, rest: &mut &[u8]| {
                        Some((Label::new(kind).ok()?, number(cbor::read(rest)?)?))
                    };
                    kinds = Some(cbor::pairs(rest, pair)?.into_iter().collect());
                }
                _ => return None,
            }
            Some(())
        })?;
        Some(Self { count: count?, first: first?, last: last?, kinds: kinds?, total: total? })
    }

    fn add(&mut self, kind: Label, at: Timestamp, total: u64) {
        self.count = self.count.saturating_add(1);
        self.last = at;
        self.total = total;
        let known = self.kinds.contains_key(&kind) || self.kinds.len() < MOST_KINDS;
        let slot = self.kinds.entry(if known { kind } else { OTHER }).or_default();
        *slot = slot.saturating_add(1);
    }
}

/// The queue.
///
/// ```
/// use twinguard_integrity::{Form, Gap, Intake, Journal, Leaf};
/// use twinguard_types::{Label, Timestamp};
///
/// let (kind, form) = (Label::literal("verdict"), Form::Bytes);
/// let leaf = |second| Leaf { kind, at: Timestamp::from_secs(second), form, body: b"deny" };
/// let mut intake = Intake::new(2, 1 << 20);
/// assert_eq!([1, 2, 3, 4].map(|second| intake.offer(&leaf(second)).is_ok_and(|kept| kept)), [true, true, false, false]);
///
/// let mut journal = Journal::in_memory();
/// assert_eq!(intake.drain(&mut journal, usize::MAX)?, 3); // two entries, one gap
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Intake {
    waiting: VecDeque<Waiting>,
    entries: usize,
    bytes: usize,
    most_entries: usize,
    most_bytes: usize,
    lost: u64,
    /// Buffers of entries that were written, for those to come.
    spare: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Waiting {
    Entry(Vec<u8>),
    Gap(Gap),
}

impl Intake {
    /// A queue for so many entries and so many bytes of them.
    #[must_use]
    pub fn new(most_entries: usize, most_bytes: usize) -> Self {
        let (waiting, spare) = (VecDeque::new(), Vec::new());
        Self { waiting, entries: 0, bytes: 0, most_entries, most_bytes, lost: 0, spare }
    }

    /// Takes an entry, or counts it as lost (`false`) when there is no room.
    ///
    /// # Errors
    /// As [`Leaf::encode`]: such an entry would not fit in any journal, and is not counted.
    pub fn offer(&mut self, leaf: &Leaf<'_>) -> Result<bool, Error> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        leaf.encode_into(&mut bytes)?;
        // Entries go behind a gap as soon as there is room again: the gap tells where others are missing.
        if self.entries < self.most_entries && self.bytes.saturating_add(bytes.len()) <= self.most_bytes {
            self.entries += 1;
            self.bytes += bytes.len();
            self.waiting.push_back(Waiting::Entry(bytes));
            return Ok(true);
        }
        self.spare.push(bytes);
        self.lost = self.lost.saturating_add(1);
        let total = self.lost;
        match self.waiting.back_mut() {
            Some(Waiting::Gap(gap)) => gap.add(leaf.kind, leaf.at, total),
            _ => {
                let mut gap = Gap { count: 0, first: leaf.at, last: leaf.at, kinds: BTreeMap::new(), total };
                gap.add(leaf.kind, leaf.at, total);
                self.waiting.push_back(Waiting::Gap(gap));
            }
        }
        Ok(false)
    }

    /// Writes at most so many entries and gaps into the journal, in order; gives how many it wrote.
    ///
    /// # Errors
    /// As [`Journal::append`]; what could not be written waits on.
    pub fn drain<S: Storage>(&mut self, journal: &mut Journal<S>, most: usize) -> Result<usize, Error> {
        for written in 0..most {
            match self.waiting.front() {
                None => return Ok(written),
                Some(Waiting::Entry(bytes)) => drop(journal.enter(&Leaf::parse(bytes)?)?),
                Some(Waiting::Gap(gap)) => {
                    let leaf = Leaf { kind: Gap::KIND, at: gap.last, form: Form::Item, body: &gap.encode() };
                    journal.enter(&leaf)?;
                }
            }
            if let Some(Waiting::Entry(bytes)) = self.waiting.pop_front() {
                self.entries -= 1;
                self.bytes -= bytes.len();
                self.spare.push(bytes);
            }
        }
        Ok(most)
    }

    /// Entries and gaps that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Entries lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Part, bundle_entries};
    use crate::{SigningKey, journal};
    use proptest::prelude::*;

    fn leaf(kind: &'static str, second: i64) -> Leaf<'static> {
        Leaf { kind: Label::literal(kind), at: Timestamp::from_secs(second), form: Form::Bytes, body: b"x" }
    }

    fn entries(journal: &mut Journal) -> Vec<(String, Vec<u8>)> {
        let key = SigningKey::from_seed("a.example", &[1; 32]).unwrap();
        journal.checkpoint(&key).unwrap();
        journal::verify(journal.storage(), key.public()).unwrap();
        let part = Part::Entries { index: 0, width: u8::try_from(journal.size()).ok() };
        let bytes = crate::storage::Storage::read(journal.storage(), part).unwrap().unwrap();
        let read = |entry: &[u8]| {
            let leaf = Leaf::parse(entry).unwrap();
            (leaf.kind.to_string(), leaf.body.to_vec())
        };
        bundle_entries(&bytes).map(|entry| read(entry.unwrap())).collect()
    }

    #[test]
    fn each_gap_stands_where_entries_are_missing_and_counts_them() {
        let (mut intake, mut journal) = (Intake::new(2, 1000), Journal::in_memory());
        for second in 0..5 {
            intake.offer(&leaf(if second == 3 { "finding" } else { "verdict" }, second)).unwrap();
        }
        intake.drain(&mut journal, 1).unwrap();
        for second in 5..8 {
            intake.offer(&leaf("action", second)).unwrap();
        }
        intake.drain(&mut journal, 100).unwrap();
        assert_eq!((intake.waiting(), intake.lost(), intake.bytes), (0, 5, 0));
        let entries = entries(&mut journal);
        let kinds: Vec<_> = entries.iter().map(|(kind, _)| &**kind).collect();
        assert_eq!(kinds, ["verdict", "verdict", "gap", "action", "gap"]);
        let first = Gap::parse(&entries[2].1).unwrap();
        assert_eq!(
            (first.count, first.first, first.last),
            (3, Timestamp::from_secs(2), Timestamp::from_secs(4))
        );
        assert_eq!(first.kinds[&Label::literal("verdict")], 2);
        let second = Gap::parse(&entries[4].1).unwrap();
        assert_eq!((second.count, second.total, second.first), (2, 5, Timestamp::from_secs(6)));
    }

    #[test]
    fn bytes_are_bounded_and_what_fits_nowhere_is_an_error() {
        let mut intake = Intake::new(1000, 40);
        let kept = (0..10).filter(|second| intake.offer(&leaf("verdict", *second)).unwrap()).count();
        assert_eq!((kept as u64 + intake.lost(), intake.waiting()), (10, kept + 1));
        assert!((1..4).contains(&kept));
        assert!(intake.offer(&leaf("No Kind", 1)).is_err());
        assert_eq!(intake.lost() + kept as u64, 10);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_uncounted(offers in proptest::collection::vec((0u8..20, 0usize..3), 0..60), room in 0usize..6) {
            let (mut intake, mut journal) = (Intake::new(room, 10_000), Journal::in_memory());
            let mut offered = 0;
            for (kind, drained) in offers {
                offered += 1;
                let kind = Label::new(&format!("k{kind}")).unwrap();
                intake.offer(&Leaf { kind, ..leaf("x", offered as i64) }).unwrap();
                intake.drain(&mut journal, drained).unwrap();
            }
            intake.drain(&mut journal, usize::MAX).unwrap();
            let (mut kept, mut lost) = (0, 0);
            if journal.size() > 0 {
                for (kind, body) in entries(&mut journal) {
                    if kind == "gap" {
                        let gap = Gap::parse(&body).unwrap();
                        prop_assert_eq!(gap.kinds.values().sum::<u64>(), gap.count);
                        lost += gap.count;
                        prop_assert_eq!(gap.total, lost);
                    } else {
                        kept += 1;
                    }
                }
            }
            prop_assert_eq!((kept + lost, lost), (offered, intake.lost()));
        }
    }
}
