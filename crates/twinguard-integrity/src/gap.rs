//! What was lost between two entries of a journal, counted, and signed where there is a key at hand.
//!
//! An item of its leaf is `{"last": nanoseconds, "count": n, "first": nanoseconds, "kinds": {kind: n, …}, "total": n}`, where
//! `total` is what was lost since the queue was made; kinds beyond the sixteenth are counted as `other`. A leaf of bytes is a signed
//! note around the same item, which says where the leaf stands:
//!
//! ```text
//! twinguard gap 1
//! <name of the log: the key's name>
//! <index of the leaf>
//! <the item, base64>
//!
//! <signature line>
//! ```
//! Every leaf is under the next signed checkpoint anyway. The signature is for the time until then: neither gap nor count can be
//! changed without the key as soon as the entry is written. Source: C2SP signed-note.

use std::collections::BTreeMap;

use twinguard_types::{Label, Timestamp};

use crate::cbor::{self, Item, write};
use crate::checkpoint::decimal;
use crate::note::{self, Note};
use crate::{Error, Form, Leaf, PublicKey, SigningKey, base64};

const HEADER: &str = "twinguard gap 1";

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
        let gap = Self::read_item(item).filter(|gap| gap.encode() == item);
        gap.ok_or(Error::Leaf { offset: 0, reason: "it is not a gap" })
    }

    /// The signed text of its leaf, which is to stand at this index.
    ///
    /// # Errors
    /// [`Error::Text`], which no key that was made gives.
    pub fn sign(&self, index: u64, key: &SigningKey) -> Result<String, Error> {
        let item = base64::encode(&self.encode());
        note::sign(&format!("{HEADER}\n{}\n{index}\n{item}\n", key.public().name()), key)
    }

    /// Reads a leaf at an index. Of one that is signed the signature is checked; one that is not is believed as the checkpoint above it
    /// is.
    ///
    /// # Errors
    /// [`Error::Leaf`] for a leaf that is no gap, or a signed one that belongs elsewhere; as [`Note::verify`].
    pub fn read(leaf: &Leaf<'_>, index: u64, key: &PublicKey) -> Result<Self, Error> {
        let refuse = |reason| Error::Leaf { offset: 0, reason };
        match leaf.form {
            _ if leaf.kind != Self::KIND => Err(refuse("it is not a gap")),
            Form::Item => Self::parse(leaf.body),
            Form::Bytes => {
                let text = str::from_utf8(leaf.body).map_err(|_| refuse("a signed gap is not UTF-8"))?;
                let text = Note::parse(text)?.verify(key)?;
                let mut lines = text.lines();
                let headed = lines.next() == Some(HEADER) && lines.next() == Some(key.name());
                if !headed || lines.next().and_then(decimal) != Some(index) {
                    return Err(refuse("a signed gap is not of this log, or belongs elsewhere"));
                }
                let item = lines.next().and_then(|item| base64::decode(item.as_bytes()));
                let item = item.filter(|_| lines.next().is_none());
                Self::parse(&item.ok_or(refuse("a signed gap does not end with its item"))?)
            }
        }
    }

    fn read_item(mut item: &[u8]) -> Option<Self> {
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

    /// Counts one more.
    pub(crate) fn add(&mut self, kind: Label, at: Timestamp, total: u64) {
        self.count = self.count.saturating_add(1);
        self.last = at;
        self.total = total;
        let known = self.kinds.contains_key(&kind) || self.kinds.len() < MOST_KINDS;
        let slot = self.kinds.entry(if known { kind } else { OTHER }).or_default();
        *slot = slot.saturating_add(1);
    }
}
