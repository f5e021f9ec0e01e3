//! What coordinator and participants say to each other.
//!
//! A message is `[1, federation, round, sequence, kind, …]` in deterministic CBOR (RFC 8949 §4.2.1), signed with Ed25519 under the sender's
//! name. `sequence` grows with every message of a sender: one that was seen, or is older than one that was, is refused.

use twinguard_integrity::cbor::write;
use twinguard_integrity::{PublicKey, SigningKey};
use twinguard_types::{Digest, Timestamp};

use crate::Error;
use crate::wire::{self, Fields};

const FORMAT: u64 = 1;
const CONTEXT: &str = "twinguard federation message v1";

/// What a round is about: all sides agree on all of it before anybody counts a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Names what is counted and how, and what becomes of it.
    pub schema: Digest,
    /// The model that this round starts from; zeros for none.
    pub base: Digest,
    /// `exact`, `secure` or `robust`: whom the sites have to trust.
    pub mode: String,
    /// Fewest sites behind an aggregate.
    pub min_sites: u32,
    /// Fewest rows behind a contribution.
    pub min_rows: u64,
    /// Price for each site, in billionths of ρ (zero-concentrated differential privacy); zero for a round without noise.
    pub price: u64,
}

impl Terms {
    /// Names the terms.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut out = Vec::new();
        self.write(&mut out);
        wire::digest("twinguard federation terms v1", &out)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write::array(out, 6);
        write::bytes(out, &self.schema.0);
        write::bytes(out, &self.base.0);
        write::text(out, &self.mode);
        write::unsigned(out, self.min_sites.into());
        write::unsigned(out, self.min_rows);
        write::unsigned(out, self.price);
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        fields.fields(6)?;
        Ok(Self {
            schema: fields.digest()?,
            base: fields.digest()?,
            mode: fields.text()?,
            min_sites: fields.small()?,
            min_rows: fields.unsigned()?,
            price: fields.unsigned()?,
        })
    }
}

/// What a site adds: a number of rows, and cells or a share of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Rows that were counted.
    pub rows: u64,
    /// As the task writes it: see [`crate::Task`].
    pub payload: Vec<u8>,
}

impl Contribution {
    /// Names the contribution.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = self.rows.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.payload);
        wire::digest("twinguard federation contribution v1", &bytes)
    }
}

/// A contribution as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The site.
    pub name: String,
    /// Digest of what it sent.
    pub digest: Digest,
    /// Rows behind it.
    pub rows: u64,
}

impl Entry {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write::array(out, 3);
        write::text(out, &self.name);
        write::bytes(out, &self.digest.0);
        write::unsigned(out, self.rows);
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        fields.fields(3)?;
        Ok(Self { name: fields.text()?, digest: fields.digest()?, rows: fields.unsigned()? })
    }
}

/// A model that may be published, for the sites to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one of this round, from 0.
    pub attempt: u32,
    /// How the contributions were combined.
    pub rule: String,
    /// The model's bytes.
    pub model: Vec<u8>,
    /// What went into it: all of these sites and no others.
    pub entries: Vec<Entry>,
}

impl Candidate {
    /// Names the model.
    #[must_use]
    pub fn digest(&self) -> Digest {
        model_digest(&self.model)
    }
}

/// Names a model by its bytes.
#[must_use]
pub fn model_digest(model: &[u8]) -> Digest {
    wire::digest("twinguard federation model v1", model)
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Coordinator: will you take part?
    Invite {
        /// On these terms.
        terms: Terms,
        /// Until then.
        until: Timestamp,
    },
    /// Coordinator: these sites take part; count and send.
    Begin {
        /// Their names, sorted.
        sites: Vec<String>,
    },
    /// Coordinator: judge this.
    Candidate(Candidate),
    /// Coordinator: this is the result.
    Publish {
        /// The signed transcript.
        transcript: Vec<u8>,
        /// The model's bytes.
        model: Vec<u8>,
    },
    /// Coordinator: the round ended without a result.
    Abort {
        /// Why.
        reason: String,
    },
    /// Site: yes, on these terms.
    Join {
        /// Digest of the terms.
        terms: Digest,
    },
    /// Site: no.
    Decline {
        /// Why.
        reason: String,
    },
    /// Site: my part.
    Contribute(Contribution),
    /// Site: my judgement of a candidate.
    Vote {
        /// Of which candidate.
        attempt: u32,
        /// Digest of its model.
        model: Digest,
        /// Whether it may be published.
        accept: bool,
    },
    /// Site: I leave the round.
    Leave,
    /// Site: I was away; where are we?
    Resume,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Names the federation: its roster and purpose.
    pub federation: Digest,
    /// Which round.
    pub round: u64,
    /// Grows with every message of its sender.
    pub sequence: u64,
    /// What is said.
    pub body: Body,
}

impl Message {
    /// The signed bytes.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a key that cannot sign.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, Error> {
        wire::seal(CONTEXT, &self.encode(), key)
    }

    /// Reads signed bytes, and finds who of these signed them.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Stranger`], [`Error::Forged`].
    pub fn open(bytes: &[u8], keys: &[PublicKey]) -> Result<(usize, Self), Error> {
        let (signer, payload) = wire::open(CONTEXT, bytes, keys)?;
        Ok((signer, Self::decode(payload)?))
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut head = |fields: usize, kind: u64| {
            write::array(&mut out, 5 + fields);
            write::unsigned(&mut out, FORMAT);
            write::bytes(&mut out, &self.federation.0);
            write::unsigned(&mut out, self.round);
            write::unsigned(&mut out, self.sequence);
            write::unsigned(&mut out, kind);
        };
        match &self.body {
            Body::Invite { terms, until } => {
                head(2, 0);
                terms.write(&mut out);
                write::integer(&mut out, until.as_nanos());
            }
            Body::Begin { sites } => {
                head(1, 1);
                write::array(&mut out, sites.len());
                sites.iter().for_each(|site| write::text(&mut out, site));
            }
            Body::Candidate(candidate) => {
                head(4, 2);
                write::unsigned(&mut out, candidate.attempt.into());
                write::text(&mut out, &candidate.rule);
                write::bytes(&mut out, &candidate.model);
                write::array(&mut out, candidate.entries.len());
                candidate.entries.iter().for_each(|entry| entry.write(&mut out));
            }
            Body::Publish { transcript, model } => {
                head(2, 3);
                write::bytes(&mut out, transcript);
                write::bytes(&mut out, model);
            }
            Body::Abort { reason } => {
                head(1, 4);
                write::text(&mut out, reason);
            }
            Body::Join { terms } => {
                head(1, 8);
                write::bytes(&mut out, &terms.0);
            }
            Body::Decline { reason } => {
                head(1, 9);
                write::text(&mut out, reason);
            }
            Body::Contribute(contribution) => {
                head(2, 10);
                write::unsigned(&mut out, contribution.rows);
                write::bytes(&mut out, &contribution.payload);
            }
            Body::Vote { attempt, model, accept } => {
                head(3, 11);
                write::unsigned(&mut out, (*attempt).into());
                write::bytes(&mut out, &model.0);
                write::flag(&mut out, *accept);
            }
            Body::Leave => head(0, 12),
            Body::Resume => head(0, 13),
        }
        out
    }

    /// Reads the bytes that are signed.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for anything that [`Message::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(bytes)?;
        let count = fields.array()?;
        if fields.unsigned()? != FORMAT {
            return Err(Error::Unreadable { reason: "its format is not 1" });
        }
        let (federation, round, sequence) = (fields.digest()?, fields.unsigned()?, fields.unsigned()?);
        let kind = fields.unsigned()?;
        let (own, body) = match kind {
            0 => {
                let terms = Terms::read(&mut fields)?;
                (2, Body::Invite { terms, until: Timestamp::from_nanos(fields.integer()?) })
            }
            1 => (1, Body::Begin { sites: fields.list(Fields::text)? }),
            2 => {
                let candidate = Candidate {
                    attempt: fields.small()?,
                    rule: fields.text()?,
                    model: fields.bytes()?.to_vec(),
                    entries: fields.list(Entry::read)?,
                };
                (4, Body::Candidate(candidate))
            }
            3 => (2, Body::Publish { transcript: fields.bytes()?.to_vec(), model: fields.bytes()?.to_vec() }),
            4 => (1, Body::Abort { reason: fields.text()? }),
            8 => (1, Body::Join { terms: fields.digest()? }),
            9 => (1, Body::Decline { reason: fields.text()? }),
            10 => (
                2,
                Body::Contribute(Contribution {
                    rows: fields.unsigned()?,
                    payload: fields.bytes()?.to_vec(),
                }),
            ),
            11 => {
                (3, Body::Vote { attempt: fields.small()?, model: fields.digest()?, accept: fields.flag()? })
            }
            12 => (0, Body::Leave),
            13 => (0, Body::Resume),
            _ => return Err(Error::Unreadable { reason: "an unknown kind of message" }),
        };
        if count != 5 + own {
            return Err(Error::Unreadable { reason: "another number of fields" });
        }
        fields.end()?;
        Ok(Self { federation, round, sequence, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Body> {
        let terms = Terms {
            schema: Digest([1; 32]),
            base: Digest([2; 32]),
            mode: "exact".to_owned(),
            min_sites: 3,
            min_rows: 400,
            price: 5,
        };
        let entry = Entry { name: "a".to_owned(), digest: Digest([3; 32]), rows: 7 };
        vec![
            Body::Join { terms: terms.digest() },
            Body::Invite { terms, until: Timestamp::from_secs(-4) },
            Body::Begin { sites: vec!["a".to_owned(), "b".to_owned()] },
            Body::Candidate(Candidate {
                attempt: 1,
                rule: "sum".to_owned(),
                model: vec![1; 300],
                entries: vec![entry],
            }),
            Body::Publish { transcript: vec![4; 9], model: Vec::new() },
            Body::Abort { reason: "too few".to_owned() },
            Body::Decline { reason: String::new() },
            Body::Contribute(Contribution { rows: 9, payload: vec![0; 70_000] }),
            Body::Vote { attempt: 0, model: Digest([9; 32]), accept: true },
            Body::Leave,
            Body::Resume,
        ]
    }

    #[test]
    fn messages_have_one_form_and_one_signer() {
        let key = SigningKey::from_seed("site.example/a", &[1; 32]).unwrap();
        let other = SigningKey::from_seed("site.example/a", &[2; 32]).unwrap();
        for body in all() {
            let message = Message { federation: Digest([8; 32]), round: 3, sequence: 1 << 40, body };
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
            let sealed = message.seal(&key).unwrap();
            assert_eq!(Message::open(&sealed, &[key.public().clone()]).unwrap(), (0, message.clone()));
            let forged = Message::open(&sealed, &[other.public().clone()]);
            assert!(matches!(forged, Err(Error::Forged { .. })));
            assert!(matches!(Message::open(&sealed, &[]), Err(Error::Stranger { .. })));
            for at in (0..sealed.len()).step_by(1 + sealed.len() / 97) {
                let mut bad = sealed.clone();
                bad[at] ^= 1;
                assert!(Message::open(&bad, &[key.public().clone()]).is_err(), "{at}");
                assert!(Message::open(&sealed[..at], &[key.public().clone()]).is_err());
            }
        }
    }

    #[test]
    fn a_signature_of_a_transcript_is_none_of_a_message() {
        let key = SigningKey::from_seed("c", &[1; 32]).unwrap();
        let message = Message { federation: Digest([8; 32]), round: 3, sequence: 1, body: Body::Leave };
        let sealed = wire::seal("another purpose", &message.encode(), &key).unwrap();
        assert!(matches!(Message::open(&sealed, &[key.public().clone()]), Err(Error::Forged { .. })));
    }
}
