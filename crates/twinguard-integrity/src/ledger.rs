//! What a journal says of itself: which entries are held, which were pruned, which key took over when, what was lost.
//!
//! Read along while a journal is verified, and before it is pruned.

use core::ops::Range;
use std::collections::BTreeMap;

use twinguard_types::Digest;

use crate::chain::{self, Chain};
use crate::keeping::{self, Hold};
use crate::{Error, Form, Gap, Leaf, PublicKey};

/// The state after the leaves seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Holds in force, by their ids.
    pub(crate) holds: BTreeMap<String, Range<u64>>,
    /// Leaves whose entries the journal says were pruned, in ascending order.
    pub(crate) pruned: Vec<Range<u64>>,
    /// Who signs, where that is to be followed.
    pub(crate) chain: Option<Chain>,
    /// Who signs from beginning to end, where that is known.
    pub(crate) signer: Option<PublicKey>,
}

impl Ledger {
    /// Whether an entry of this kind says something of the journal itself: such entries are never pruned.
    pub(crate) fn speaks(leaf: &Leaf<'_>) -> bool {
        [chain::KIND, Hold::KIND, Hold::RELEASE, keeping::PRUNED].contains(&leaf.kind)
    }

    /// The next leaf, and the root over all before it.
    pub(crate) fn see(
        &mut self,
        index: u64,
        entry: &[u8],
        root: impl FnOnce() -> Digest,
    ) -> Result<(), Error> {
        // Most entries are none of ours: the kind's beginning tells without reading the rest.
        if !matches!(entry.get(3), Some(b'e' | b'g' | b'h' | b'r' | b'p')) {
            return Ok(());
        }
        let Ok(leaf) = Leaf::parse(entry) else { return Ok(()) };
        if leaf.kind == Hold::KIND {
            let hold = Hold::parse(leaf.body)?;
            self.holds.insert(hold.id, hold.leaves);
        } else if leaf.kind == Hold::RELEASE {
            self.holds.remove(&Hold::parse(leaf.body)?.id);
        } else if leaf.kind == keeping::PRUNED {
            for range in keeping::parse_pruned(leaf.body)? {
                if let Some((id, held)) =
                    self.holds.iter().find(|(_, held)| held.start < range.end && range.start < held.end)
                {
                    return Err(Error::Held { leaf: range.start.max(held.start), hold: Error::shown(id) });
                }
                self.pruned.push(range);
            }
            self.pruned.sort_by_key(|range| (range.start, range.end));
        } else if leaf.kind == Gap::KIND
            && leaf.form == Form::Bytes
            && let Some(key) = self.chain.as_ref().map(|chain| &chain.key).or(self.signer.as_ref())
        {
            Gap::read(&leaf, index, key)?;
        } else if leaf.kind == chain::KIND
            && let Some(chain) = &mut self.chain
        {
            chain.next(index, &root(), leaf.body)?;
        }
        Ok(())
    }

    /// The first leaf of these that nothing allows to be missing.
    pub(crate) fn first_not_pruned(&self, leaves: &Range<u64>) -> Option<u64> {
        let mut from = leaves.start;
        for range in &self.pruned {
            if range.start <= from && from < range.end {
                from = range.end;
            }
        }
        (from < leaves.end).then_some(from)
    }
}
