//! One file with everything that an outsider needs to believe some entries of a journal: the entries, their proofs, the signed
//! checkpoint with its cosignatures, and, where they were entered, the digests of the inputs behind them.
//!
//! ```text
//! twinguard evidence 1
//! entry <index> <base64 of the entry>       one or more, in ascending order of their index
//! <base64>                                  its audit path, one hash a line, from the leaf's sibling up
//!
//! <the checkpoint as it was issued>
//! ```
//! Digests of inputs are believed because they are entries themselves: of the kind `inputs`, an item
//! `{"<name>": "sha256:<hexadecimal digits>", …}`, which `sha256sum` makes as well. The verifier brings the log's key or a policy;
//! nothing in the file says whom to believe.
//!
//! Sources: C2SP tlog-proof (the same with one entry and no content), tlog-checkpoint, tlog-cosignature; RFC 9162 §2.1.3.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use twinguard_types::{Digest, Label};

use crate::cbor::{self, Item, write};
use crate::checkpoint::{decimal, digest};
use crate::merkle::{leaf_hash, verify_inclusion};
use crate::note::Note;
use crate::policy::Witnessed;
use crate::{Checkpoint, Error, Form, Leaf, Policy, PublicKey, base64};

const HEADER: &str = "twinguard evidence 1";
/// Most entries of a file.
const MOST_ENTRIES: usize = 4096;

/// An entry with its place and the path to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Index of the leaf.
    pub index: u64,
    /// The entry's bytes: see [`Leaf::parse`].
    pub entry: Vec<u8>,
    /// Audit path, from the leaf's sibling up.
    pub path: Vec<Digest>,
}

/// Some entries of a journal, with all that proves them.
///
/// ```
/// use twinguard_integrity::evidence::Inputs;
/// use twinguard_integrity::{EvidenceBundle, Journal, SigningKey, journal};
/// use twinguard_types::{Label, Timestamp};
///
/// let key = SigningKey::from_seed("pump-house.example/journal", &[7; 32])?;
/// let mut journal = Journal::in_memory();
/// let mut inputs = Inputs::default();
/// inputs.add("capture.pcap", b"what the tap saw")?;
/// journal.append_item(Inputs::KIND, Timestamp::from_secs(1), &inputs.encode())?;
/// journal.append(Label::literal("verdict"), Timestamp::from_secs(2), b"deny")?;
/// journal.checkpoint(&key)?;
/// let file = journal::Archive::open(journal.storage(), key.public())?.bundle(&[0, 1])?.to_string();
///
/// // Years later, somewhere else:
/// let bundle: EvidenceBundle = file.parse()?;
/// assert_eq!(bundle.verify(key.public())?.size, 2);
/// bundle.inputs()?.check("capture.pcap", b"what the tap saw")?;
/// assert!(bundle.inputs()?.check("capture.pcap", b"something else").is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceBundle {
    entries: Vec<Proved>,
    checkpoint: String,
}

impl EvidenceBundle {
    /// Entries under a checkpoint; nothing of them is checked yet.
    ///
    /// # Errors
    /// [`Error::Limit`] for none or more than 4,096 entries; [`Error::Text`] for a note that is no checkpoint.
    pub fn new(mut entries: Vec<Proved>, checkpoint: &str) -> Result<Self, Error> {
        entries.sort_by_key(|entry| entry.index);
        entries.dedup_by_key(|entry| entry.index);
        if entries.is_empty() || entries.len() > MOST_ENTRIES {
            let place = "evidence".to_owned();
            return Err(Error::Limit { what: "entries, or none,", limit: MOST_ENTRIES as u64, place });
        }
        Checkpoint::unverified(checkpoint)?;
        Ok(Self { entries, checkpoint: checkpoint.to_owned() })
    }

    /// The entries, in ascending order.
    #[must_use]
    pub fn entries(&self) -> &[Proved] {
        &self.entries
    }

    /// The checkpoint as it was issued, with its cosignatures.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Checks that the log of this key signed the checkpoint and that every entry stands under it.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`] and [`verify_inclusion`].
    pub fn verify(&self, key: &PublicKey) -> Result<Checkpoint, Error> {
        let head = Checkpoint::verify(&self.checkpoint, key)?;
        self.stand_under(&head)?;
        Ok(head)
    }

    /// Checks that a policy accepts the checkpoint, with its witnesses, and that every entry stands under it.
    ///
    /// # Errors
    /// As [`Policy::verify`] and [`verify_inclusion`].
    pub fn verify_witnessed(&self, policy: &Policy) -> Result<Witnessed, Error> {
        let witnessed = policy.verify(&self.checkpoint)?;
        self.stand_under(&witnessed.checkpoint)?;
        Ok(witnessed)
    }

    fn stand_under(&self, head: &Checkpoint) -> Result<(), Error> {
        self.entries.iter().try_for_each(|Proved { index, entry, path }| {
            verify_inclusion(*index, head.size, &leaf_hash(entry), path, &head.root)
        })
    }

    /// The digests of inputs that the entries hold; of two for one name the later one. Verify the bundle first.
    ///
    /// # Errors
    /// [`Error::Leaf`] for an entry that is none, or holds other things.
    pub fn inputs(&self) -> Result<Inputs, Error> {
        let mut all = Inputs::default();
        for Proved { entry, .. } in &self.entries {
            let leaf = Leaf::parse(entry)?;
            if leaf.kind == Inputs::KIND && leaf.form == Form::Item {
                all.0.extend(Inputs::parse(leaf.body)?.0);
            }
        }
        Ok(all)
    }
}

impl fmt::Display for EvidenceBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for Proved { index, entry, path } in &self.entries {
            writeln!(f, "entry {index} {}", base64::encode(entry))?;
            path.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(&hash.0)))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for EvidenceBundle {
    type Err = Error;

    /// Reads the text form.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "evidence", line, reason };
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(bad(1, "no blank line comes before a checkpoint"))?;
        let body = head.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        let body = body.ok_or(bad(1, "it is not `twinguard evidence 1`, or has no entry"))?;
        let mut entries: Vec<Proved> = Vec::new();
        for (line, number) in body.split('\n').zip(2..) {
            if let Some(rest) = line.strip_prefix("entry ") {
                let (index, entry) =
                    rest.split_once(' ').ok_or(bad(number, "it is not `entry`, index and bytes"))?;
                let index = decimal(index).ok_or(bad(number, "its index is not a decimal number"))?;
                let entry = base64::decode(entry.as_bytes());
                let entry = entry.ok_or(bad(number, "the entry is not canonical base64"))?;
                if entries.last().is_some_and(|last| last.index >= index) || entries.len() == MOST_ENTRIES {
                    return Err(bad(number, "entries are not in order, or more than 4096"));
                }
                entries.push(Proved { index, entry, path: Vec::new() });
            } else {
                let last = entries.last_mut().filter(|last| last.path.len() < 64);
                let last =
                    last.ok_or(bad(number, "a hash stands before an entry, or is more than the 64th"))?;
                last.path.push(digest(line).ok_or(bad(number, "it is not 32 bytes in canonical base64"))?);
            }
        }
        Note::parse(checkpoint)?;
        Self::new(entries, checkpoint)
    }
}

/// Names and SHA-256 digests of what an entry is based on: captures, history files, the model's seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, [u8; 32]>);

impl Inputs {
    /// Kind of a journal's leaf that enters inputs.
    pub const KIND: Label = Label::literal("inputs");

    /// Adds an input by its content.
    ///
    /// # Errors
    /// [`Error::Policy`] for a name that is empty, longer than 255 bytes, or holds control characters.
    pub fn add(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(Error::Policy {
                reason: "an input's name is empty, too long, or holds control characters",
            });
        }
        self.0.insert(name.to_owned(), Sha256::digest(content).into());
        Ok(())
    }

    /// Names and digests, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.0.iter().map(|(name, digest)| (name.as_str(), Digest(*digest)))
    }

    /// Checks that a file is the input of this name.
    ///
    /// # Errors
    /// [`Error::Attestation`] for a name that was not entered, or other content.
    pub fn check(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let entered = self.0.get(name).ok_or(Error::Attestation { reason: "no entry names this input" })?;
        if *entered == <[u8; 32]>::from(Sha256::digest(content)) {
            return Ok(());
        }
        Err(Error::Attestation { reason: "this input is not the one that was entered" })
    }

    /// The item of a leaf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_by(|a, b| cbor::order(a.0, b.0));
        let mut out = Vec::new();
        write::map(&mut out, names.len());
        for (name, digest) in names {
            write::text(&mut out, name);
            write::text(&mut out, &format!("sha256:{}", HEXLOWER.encode(digest)));
        }
        out
    }

    /// Reads the item of a leaf.
    ///
    /// # Errors
    /// [`Error::Leaf`] for any bytes that [`Inputs::encode`] does not write.
    pub fn parse(item: &[u8]) -> Result<Self, Error> {
        cbor::check(item)?;
        let mut rest = item;
        let pair = |name: &str, rest: &mut &[u8]| {
            let Item::Text(text) = cbor::read(rest)? else { return None };
            let digest = HEXLOWER.decode(text.strip_prefix("sha256:")?.as_bytes()).ok()?;
            Some((name.to_owned(), digest.try_into().ok()?))
        };
        let inputs = cbor::pairs(&mut rest, pair).map(|pairs| Self(pairs.into_iter().collect()));
        let inputs = inputs.filter(|inputs| inputs.encode() == item);
        inputs.ok_or(Error::Leaf { offset: 0, reason: "it does not name inputs" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cosigner, Journal, SigningKey, journal};
    use proptest::prelude::*;
    use twinguard_types::Timestamp;

    fn key() -> SigningKey {
        SigningKey::from_seed("log.example", &[1; 32]).unwrap()
    }

    fn bundle(leaves: &[u64]) -> EvidenceBundle {
        let mut journal = Journal::in_memory();
        for n in 0..300u64 {
            journal.append(Label::literal("tick"), Timestamp::from_secs(n as i64), &n.to_be_bytes()).unwrap();
        }
        let note = journal.checkpoint(&key()).unwrap();
        let witness = Cosigner::ed25519("w.example", &[2; 32]).unwrap();
        journal.add_cosignatures(&witness.cosign(&note, 77).unwrap()).unwrap();
        journal::verify(journal.storage(), key().public()).unwrap();
        journal::Archive::open(journal.storage(), key().public()).unwrap().bundle(leaves).unwrap()
    }

    #[test]
    fn one_file_verifies_with_key_or_policy_and_no_flipped_one_does() {
        let text = bundle(&[299, 7, 255, 7]).to_string();
        let read: EvidenceBundle = text.parse().unwrap();
        assert_eq!(read.entries().iter().map(|entry| entry.index).collect::<Vec<_>>(), [7, 255, 299]);
        assert_eq!(read.to_string(), text);
        assert_eq!(read.verify(key().public()).unwrap().size, 300);
        let witness = Cosigner::ed25519("w.example", &[2; 32]).unwrap();
        let policy = Policy::new([key().public().clone()], [witness.public().clone()], 1).unwrap();
        assert_eq!(read.verify_witnessed(&policy).unwrap().witnesses, [("w.example".to_owned(), 77)]);
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let verified = text.parse::<EvidenceBundle>().and_then(|read| read.verify_witnessed(&policy));
            assert!(verified.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn entries_stand_in_order_and_at_least_one() {
        let text = bundle(&[1, 2]).to_string();
        let twice = text.replacen("entry 2 ", "entry 1 ", 1);
        assert!(twice.parse::<EvidenceBundle>().is_err());
        let (_, checkpoint) = text.split_once("\n\n").unwrap();
        assert!(format!("{HEADER}\n\n{checkpoint}").parse::<EvidenceBundle>().is_err());
        assert!(EvidenceBundle::new(vec![], checkpoint).is_err());
    }

    #[test]
    fn inputs_are_the_digests_that_other_tools_make() {
        let mut inputs = Inputs::default();
        inputs.add("b", b"abc").unwrap();
        inputs.add("aa", b"").unwrap();
        // FIPS 180-4, example of a one-block message.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(inputs.iter().last().unwrap().1.to_string(), abc);
        assert_eq!(Inputs::parse(&inputs.encode()).unwrap(), inputs);
        assert!(inputs.add("", b"").is_err() && inputs.check("c", b"").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(cut in 0usize..2000, tail in "[a-z0-9+/=\n ]{0,40}") {
            let text = bundle(&[3]).to_string();
            let mixed = format!("{}{tail}", text.get(..cut.min(text.len())).unwrap_or_default());
            if let Ok(read) = mixed.parse::<EvidenceBundle>() {
                prop_assert_eq!(read.to_string(), mixed);
            }
        }
    }
}
