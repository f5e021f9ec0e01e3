//! A bounded queue before a journal: under overload entries are lost, but never without a trace.
//!
//! When the queue is full, what comes is counted instead of kept, and an entry of the kind `gap` stands in the journal exactly
//! where the lost ones would: how many, of which kinds, from when until when. As every entry it is under the next signed
//! checkpoint, so neither the gap nor its count can be changed afterwards.
//!
//! [`Intake::drain_signed`] signs a gap's entry itself as well, for the time until that checkpoint; see [`Gap`].

use std::collections::{BTreeMap, VecDeque};

use crate::storage::Storage;
use crate::{Error, Form, Gap, Journal, Leaf, SigningKey};

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
        self.write(journal, most, None)
    }

    /// [`Intake::drain`], with gaps that are signed as they are written. Take the key that signs the journal's checkpoints.
    ///
    /// # Errors
    /// As [`Intake::drain`].
    pub fn drain_signed<S: Storage>(
        &mut self,
        journal: &mut Journal<S>,
        most: usize,
        key: &SigningKey,
    ) -> Result<usize, Error> {
        self.write(journal, most, Some(key))
    }

    fn write<S: Storage>(
        &mut self,
        journal: &mut Journal<S>,
        most: usize,
        key: Option<&SigningKey>,
    ) -> Result<usize, Error> {
        for written in 0..most {
            match self.waiting.front() {
                None => return Ok(written),
                Some(Waiting::Entry(bytes)) => drop(journal.enter(&Leaf::parse(bytes)?)?),
                Some(Waiting::Gap(gap)) => {
                    let (form, body) = match key {
                        Some(key) => (Form::Bytes, gap.sign(journal.size(), key)?.into_bytes()),
                        None => (Form::Item, gap.encode()),
                    };
                    journal.enter(&Leaf { kind: Gap::KIND, at: gap.last, form, body: &body })?;
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
    use crate::journal;
    use crate::storage::{Part, bundle_entries};
    use proptest::prelude::*;
    use twinguard_types::{Label, Timestamp};

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

    #[test]
    fn a_signed_gap_cannot_be_changed_or_moved() {
        let key = SigningKey::from_seed("a.example", &[1; 32]).unwrap();
        let (mut intake, mut journal) = (Intake::new(1, 1000), Journal::in_memory());
        for second in 0..4 {
            intake.offer(&leaf("verdict", second)).unwrap();
        }
        intake.drain_signed(&mut journal, 9, &key).unwrap();
        let body = entries(&mut journal)[1].1.clone();
        fn gap(body: &[u8]) -> Leaf<'_> {
            Leaf { kind: Gap::KIND, at: Timestamp::from_secs(3), form: Form::Bytes, body }
        }
        assert_eq!(Gap::read(&gap(&body), 1, key.public()).unwrap().count, 3);
        assert!(matches!(Gap::read(&gap(&body), 2, key.public()), Err(Error::Leaf { .. })));
        let other = SigningKey::from_seed("a.example", &[2; 32]).unwrap();
        assert!(matches!(Gap::read(&gap(&body), 1, other.public()), Err(Error::UntrustedKey { .. })));
        for bit in 0..body.len() * 8 {
            let mut flipped = body.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Gap::read(&gap(&flipped), 1, key.public()).is_err(), "bit {bit}");
            // Under the log's own signature as well: what verifies a journal looks at its gaps.
            if bit % 97 == 0 {
                let mut journal = Journal::in_memory();
                journal.enter(&leaf("verdict", 0)).unwrap();
                journal.enter(&gap(&flipped)).unwrap();
                journal.checkpoint(&key).unwrap();
                assert!(journal::verify(journal.storage(), key.public()).is_err(), "bit {bit}");
            }
        }
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
