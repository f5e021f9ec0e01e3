//! What happened in a round, signed by the coordinator: evidence for a journal.

use twinguard_integrity::cbor::{self, write};
use twinguard_integrity::{Journal, PublicKey, SigningKey, storage::Storage};
use twinguard_types::{Digest, Label, Receipt, Timestamp};

use crate::Error;
use crate::message::{Entry, Terms};
use crate::wire::{self, Fields};

const CONTEXT: &str = "twinguard federation transcript v1";
/// Kind of the journal's entries.
pub const KIND: Label = Label::literal("federation");

/// A round that ended with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Names the federation.
    pub federation: Digest,
    /// Which round.
    pub round: u64,
    /// On which terms: schema (grid, clip, scale, what is counted), price in privacy, fewest sites and rows.
    pub terms: Terms,
    /// How the contributions were combined.
    pub rule: String,
    /// What went into the model.
    pub entries: Vec<Entry>,
    /// Who voted how.
    pub votes: Vec<(String, bool)>,
    /// Names the model.
    pub model: Digest,
}

impl Transcript {
    /// The bytes: one map of deterministic CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut terms = Vec::new();
        self.terms.write(&mut terms);
        let bytes = |value: &[u8]| {
            let mut out = Vec::new();
            write::bytes(&mut out, value);
            out
        };
        let mut entries = Vec::new();
        write::array(&mut entries, self.entries.len());
        self.entries.iter().for_each(|entry| entry.write(&mut entries));
        let mut votes = Vec::new();
        write::array(&mut votes, self.votes.len());
        for (name, accept) in &self.votes {
            write::array(&mut votes, 2);
            write::text(&mut votes, name);
            write::flag(&mut votes, *accept);
        }
        let mut rule = Vec::new();
        write::text(&mut rule, &self.rule);
        let mut round = Vec::new();
        write::unsigned(&mut round, self.round);
        // keys in the order of their encoded bytes: shorter ones first
        let pairs = [
            ("rule", rule),
            ("model", bytes(&self.model.0)),
            ("round", round),
            ("terms", terms),
            ("votes", votes),
            ("entries", entries),
            ("federation", bytes(&self.federation.0)),
        ];
        debug_assert!(pairs.is_sorted_by(|a, b| cbor::order(a.0, b.0).is_lt()));
        let mut out = Vec::new();
        write::map(&mut out, pairs.len());
        for (key, value) in pairs {
            write::text(&mut out, key);
            out.extend_from_slice(&value);
        }
        out
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for anything that [`Transcript::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(bytes)?;
        fields.pairs(7)?;
        fields.key("rule")?;
        let rule = fields.text()?;
        fields.key("model")?;
        let model = fields.digest()?;
        fields.key("round")?;
        let round = fields.unsigned()?;
        fields.key("terms")?;
        let terms = Terms::read(&mut fields)?;
        fields.key("votes")?;
        let votes = fields.list(|fields| {
            fields.fields(2)?;
            Ok((fields.text()?, fields.flag()?))
        })?;
        fields.key("entries")?;
        let entries = fields.list(Entry::read)?;
        fields.key("federation")?;
        let federation = fields.digest()?;
        fields.end()?;
        Ok(Self { federation, round, terms, rule, entries, votes, model })
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a key that cannot sign.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        wire::seal(CONTEXT, &self.encode(), key)
    }

    /// Reads a signed one.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Stranger`], [`Error::Forged`].
    pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Self, Error> {
        let (_, payload) = wire::open(CONTEXT, bytes, core::slice::from_ref(key))?;
        Self::decode(payload)
    }

    /// Enters signed bytes into a journal.
    ///
    /// # Errors
    /// [`Error::Integrity`] as [`Journal::append_item`] gives it.
    pub fn enter<S: Storage>(
        journal: &mut Journal<S>,
        at: Timestamp,
        signed: &[u8],
    ) -> Result<Receipt, Error> {
        Ok(journal.append_item(KIND, at, signed)?)
    }
}
