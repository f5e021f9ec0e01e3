//! What entries say of other entries: that they are held, that they were pruned.
//!
//! Written by [`crate::retention`], whose page shows their form. Source: C2SP tlog-tiles, "Pruning".

use core::ops::Range;

use twinguard_types::Label;

use crate::Error;
use crate::cbor::{self, Item, write};

/// Kind of a journal's leaf that tells of pruning.
pub(crate) const PRUNED: Label = Label::literal("pruned");

/// Entries that nobody may remove, for example because a court asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name, of at most 255 bytes; releasing names it again.
    pub id: String,
    /// The leaves, without the end; they may still be to come.
    pub leaves: Range<u64>,
}

impl Hold {
    /// Kind of a journal's leaf that begins a hold.
    pub const KIND: Label = Label::literal("hold");
    /// Kind of a journal's leaf that ends a hold.
    pub const RELEASE: Label = Label::literal("release");

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        if self.id.is_empty() || self.id.len() > 255 || self.id.chars().any(char::is_control) {
            return Err(Error::Policy {
                reason: "a hold's id is empty, too long, or holds control characters",
            });
        }
        let mut out = Vec::new();
        write::map(&mut out, 3);
        write::text(&mut out, "id");
        write::text(&mut out, &self.id);
        write::text(&mut out, "first");
        write::unsigned(&mut out, self.leaves.start);
        write::text(&mut out, "until");
        write::unsigned(&mut out, self.leaves.end);
        Ok(out)
    }

    /// Reads the item of a leaf.
    ///
    /// # Errors
    /// [`Error::Leaf`] for an item that is no hold.
    pub fn parse(item: &[u8]) -> Result<Self, Error> {
        let read = |mut rest: &[u8]| {
            let (mut id, mut first, mut until) = (None, None, None);
            cbor::pairs(&mut rest, |key, rest| {
                match (key, cbor::read(rest)?) {
                    ("id", Item::Text(text)) => id = Some(text.to_owned()),
                    ("first", Item::Unsigned(leaf)) => first = Some(leaf),
                    ("until", Item::Unsigned(leaf)) => until = Some(leaf),
                    _ => return None,
                }
                Some(())
            })?;
            Some(Self { id: id?, leaves: first?..until? })
        };
        cbor::check(item)?;
        let hold: Option<Self> = read(item);
        let hold = hold.filter(|hold| hold.encode().is_ok_and(|again| again == item));
        hold.ok_or(Error::Leaf { offset: 0, reason: "it is not a hold" })
    }
}

/// The ranges of a leaf that tells of pruning.
pub(crate) fn parse_pruned(item: &[u8]) -> Result<Vec<Range<u64>>, Error> {
    let read = |mut rest: &[u8]| {
        let mut ranges: Option<Vec<Range<u64>>> = None;
        cbor::pairs(&mut rest, |key, rest| {
            let item = cbor::read(rest)?;
            if let ("leaves", Item::Array(ends)) = (key, item) {
                let mut all = Vec::new();
                for _ in 0..ends / 2 {
                    let (Item::Unsigned(start), Item::Unsigned(end)) = (cbor::read(rest)?, cbor::read(rest)?)
                    else {
                        return None;
                    };
                    (start < end).then(|| all.push(start..end))?;
                }
                ranges = Some(all);
            }
            Some(())
        })?;
        ranges
    };
    cbor::check(item)?;
    let ranges: Option<Vec<_>> = read(item);
    ranges.ok_or(Error::Leaf { offset: 0, reason: "it does not say what was pruned" })
}
