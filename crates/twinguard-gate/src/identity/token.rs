//! Capability tokens: short-lived, and narrower in the hands of whoever passes them on.
//!
//! Source: macaroons (Birgisson et al., NDSS 2014, §II–III): each caveat is mixed into the tag by a keyed hash of the tag
//! before it, so that anybody who holds a token can add a caveat offline and nobody can take one away. The keyed hash is
//! BLAKE3's. First-party caveats only; who has the root key can make any token, so it stays with the gate.

use std::collections::BTreeSet;

use twinguard_twin::plant::Verb;
use twinguard_types::{Catalogue, SignalId, Timestamp};

use crate::Error;
use crate::policy::matches;

/// Most caveats of a token.
const CAVEATS: usize = 32;
/// Most bytes of a name or a pattern.
const TEXT: usize = 256;
const VERSION: u8 = 1;

/// What a token is restricted to. A token without caveats is worth all that its holder's name is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Caveat {
    /// It ends then.
    Until(Timestamp),
    /// It counts for signals whose path fits this pattern.
    Signals(String),
    /// It counts for this only.
    Verb(Verb),
    /// It counts for values from the first to the second.
    Range(f64, f64),
    /// It counts when presented by this principal.
    Holder(String),
    /// It counts while the token of this number is not revoked: what was made from that one falls with it.
    Unrevoked(u64),
}

/// What a token is held against.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// Now.
    pub now: Timestamp,
    /// The target.
    pub signal: SignalId,
    /// What is done.
    pub verb: Verb,
    /// The value.
    pub value: f64,
    /// Who presents it.
    pub holder: &'a str,
    /// The numbers that were revoked.
    pub revoked: &'a BTreeSet<u64>,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    id: u64,
    /// For whom it was made: whoever presents it acts with this name's rights, within the caveats.
    subject: String,
    caveats: Vec<Caveat>,
    tag: [u8; 32],
}

/// The key that tokens are made with and checked by.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl core::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TokenKey")
    }
}

impl TokenKey {
    /// From 32 bytes that nobody else knows.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(
            *blake3::Hasher::new_derive_key("twinguard 2026 capability token v1")
                .update(secret)
                .finalize()
                .as_bytes(),
        )
    }

    /// Makes a token. `id` is for revocation; give each another one.
    ///
    /// ```
    /// use twinguard_gate::identity::{Caveat, TokenKey, Use};
    /// use twinguard_twin::plant::Verb;
    /// use twinguard_types::{Catalogue, Role, Signal, Timestamp};
    /// use std::collections::BTreeSet;
    ///
    /// let mut plant = Catalogue::new();
    /// let valve = plant.intern(Signal::new("cell.valve", Role::Actuator))?;
    /// let key = TokenKey::new(&[3; 32]);
    /// let token = key.mint(1, "anna", &[Caveat::Until(Timestamp::from_secs(60))])?;
    /// // Offline, without the key: for this cell only.
    /// let narrow = token.attenuate(Caveat::Signals("cell.*".into()))?;
    /// let revoked = BTreeSet::new();
    /// let once = Use { now: Timestamp::ZERO, signal: valve, verb: Verb::Write, value: 1.0, holder: "anna", revoked: &revoked };
    /// key.verify(&narrow, &once, &plant)?;
    /// assert!(key.verify(&narrow, &Use { now: Timestamp::from_secs(60), ..once }, &plant).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Token`] for too many caveats or too long names.
    pub fn mint(&self, id: u64, subject: &str, caveats: &[Caveat]) -> Result<Token, Error> {
        let too_long = Error::Token { reason: "a name is too long" };
        if subject.len() > TEXT {
            return Err(too_long);
        }
        let mut token =
            Token { id, subject: subject.to_owned(), caveats: Vec::new(), tag: self.root(id, subject) };
        for caveat in caveats {
            token = token.attenuate(caveat.clone())?;
        }
        Ok(token)
    }

    /// Whether the token is one of ours and every caveat is met. Its subject is then who acts.
    ///
    /// # Errors
    /// [`Error::Token`] with the first thing that is wrong.
    pub fn verify(&self, token: &Token, used: &Use<'_>, catalogue: &Catalogue) -> Result<(), Error> {
        let mut tag = self.root(token.id, &token.subject);
        for caveat in &token.caveats {
            tag = chain(&tag, caveat);
        }
        // The comparison of BLAKE3 hashes takes constant time.
        if blake3::Hash::from_bytes(tag) != blake3::Hash::from_bytes(token.tag) {
            return Err(Error::Token { reason: "it was not made here, or was altered" });
        }
        for caveat in &token.caveats {
            let (met, reason) = match caveat {
                Caveat::Until(until) => (used.now < *until, "it has expired"),
                Caveat::Signals(pattern) => {
                    (matches(pattern, catalogue.path(used.signal)), "it is not for this signal")
                }
                Caveat::Verb(verb) => (*verb == used.verb, "it is not for this"),
                Caveat::Range(low, high) => {
                    ((*low..=*high).contains(&used.value), "it is not for this value")
                }
                Caveat::Holder(holder) => (holder == used.holder, "somebody else may present it"),
                Caveat::Unrevoked(id) => (!used.revoked.contains(id), "what it was made from was revoked"),
            };
            if !met {
                return Err(Error::Token { reason });
            }
        }
        Ok(())
    }

    fn root(&self, id: u64, subject: &str) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        hash.update(&[VERSION]).update(&id.to_le_bytes()).update(subject.as_bytes());
        *hash.finalize().as_bytes()
    }
}

fn chain(tag: &[u8; 32], caveat: &Caveat) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(64);
    caveat.write(&mut bytes);
    *blake3::keyed_hash(tag, &bytes).as_bytes()
}

impl Caveat {
    fn text(&self) -> &str {
        match self {
            Self::Signals(text) | Self::Holder(text) => text,
            _ => "",
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Until(until) => {
                bytes.push(0);
                bytes.extend(until.as_nanos().to_le_bytes());
            }
            Self::Signals(text) | Self::Holder(text) => {
                bytes.push(if matches!(self, Self::Signals(_)) { 1 } else { 4 });
                bytes.extend((text.len() as u16).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            Self::Verb(verb) => bytes.extend([2, *verb as u8]),
            Self::Range(low, high) => {
                bytes.push(3);
                bytes.extend(low.to_le_bytes());
                bytes.extend(high.to_le_bytes());
            }
            Self::Unrevoked(id) => {
                bytes.push(5);
                bytes.extend(id.to_le_bytes());
            }
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [kind] = take(bytes)?;
        Some(match kind {
            0 => Self::Until(Timestamp::from_nanos(i64::from_le_bytes(take(bytes)?))),
            1 => Self::Signals(text(bytes)?),
            2 => Self::Verb(match take(bytes)? {
                [0] => Verb::Read,
                [1] => Verb::Write,
                [2] => Verb::Configure,
                _ => return None,
            }),
            3 => Self::Range(f64::from_le_bytes(take(bytes)?), f64::from_le_bytes(take(bytes)?)),
            4 => Self::Holder(text(bytes)?),
            5 => Self::Unrevoked(u64::from_le_bytes(take(bytes)?)),
            _ => return None,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes(take(bytes)?));
    if length > TEXT {
        return None;
    }
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(head.to_vec()).ok()
}

impl Token {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Who acts.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it is restricted to.
    #[must_use]
    pub fn caveats(&self) -> &[Caveat] {
        &self.caveats
    }

    /// A narrower token; needs no key.
    ///
    /// # Errors
    /// [`Error::Token`] for too many caveats or too long names.
    pub fn attenuate(&self, caveat: Caveat) -> Result<Self, Error> {
        if self.caveats.len() >= CAVEATS || caveat.text().len() > TEXT {
            return Err(Error::Token { reason: "it has too many caveats or too long names" });
        }
        let mut narrower = self.clone();
        narrower.tag = chain(&self.tag, &caveat);
        narrower.caveats.push(caveat);
        Ok(narrower)
    }

    /// As bytes, to be carried beside a command.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.id.to_le_bytes());
        bytes.extend((self.subject.len() as u16).to_le_bytes());
        bytes.extend(self.subject.as_bytes());
        bytes.push(self.caveats.len() as u8);
        self.caveats.iter().for_each(|caveat| caveat.write(&mut bytes));
        bytes.extend(self.tag);
        bytes
    }

    /// From bytes; whether it is worth anything says [`TokenKey::verify`].
    ///
    /// # Errors
    /// [`Error::Token`] for anything but the whole of one token.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, Error> {
        let read = |bytes: &mut &[u8]| {
            let [version] = take(bytes)?;
            let id = u64::from_le_bytes(take(bytes)?);
            let subject = text(bytes)?;
            let [count] = take(bytes)?;
            if version != VERSION || usize::from(count) > CAVEATS {
                return None;
            }
            let caveats = (0..count).map(|_| Caveat::read(bytes)).collect::<Option<Vec<_>>>()?;
            Some(Self { id, subject, caveats, tag: take(bytes)? })
        };
        let token = read(&mut bytes).filter(|_| bytes.is_empty());
        token.ok_or(Error::Token { reason: "these bytes are no token" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::{Role, Signal};

    fn setting() -> (Catalogue, TokenKey, Token) {
        let mut catalogue = Catalogue::new();
        catalogue.intern(Signal::new("cell.valve", Role::Actuator)).unwrap();
        catalogue.intern(Signal::new("hall.lamp", Role::Actuator)).unwrap();
        let key = TokenKey::new(&[5; 32]);
        let caveats = [
            Caveat::Until(Timestamp::from_secs(100)),
            Caveat::Signals("cell.*".into()),
            Caveat::Verb(Verb::Write),
            Caveat::Range(0.2, 0.8),
            Caveat::Holder("gateway".into()),
            Caveat::Unrevoked(8),
        ];
        let token = key.mint(7, "anna", &caveats).unwrap();
        (catalogue, key, token)
    }

    #[test]
    fn every_caveat_counts() {
        let (catalogue, key, token) = setting();
        let good = Use {
            now: Timestamp::from_secs(99),
            signal: SignalId(0),
            verb: Verb::Write,
            value: 0.5,
            holder: "gateway",
            revoked: &BTreeSet::from([9]),
        };
        assert_eq!(key.verify(&token, &good, &catalogue), Ok(()));
        for bad in [
            Use { now: Timestamp::from_secs(100), ..good },
            Use { signal: SignalId(1), ..good },
            Use { verb: Verb::Configure, ..good },
            Use { value: 0.81, ..good },
            Use { value: f64::NAN, ..good },
            Use { holder: "mallory", ..good },
            Use { revoked: &BTreeSet::from([8]), ..good },
        ] {
            assert!(key.verify(&token, &bad, &catalogue).is_err(), "{bad:?}");
        }
        assert!(TokenKey::new(&[6; 32]).verify(&token, &good, &catalogue).is_err());
    }

    #[test]
    fn nothing_can_be_taken_away_or_changed() {
        let (catalogue, key, token) = setting();
        let good = Use {
            now: Timestamp::ZERO,
            signal: SignalId(0),
            verb: Verb::Write,
            value: 0.5,
            holder: "gateway",
            revoked: &BTreeSet::new(),
        };
        let bytes = token.to_bytes();
        assert_eq!(Token::from_bytes(&bytes).unwrap(), token);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[at] ^= 1 << bit;
                let accepted =
                    Token::from_bytes(&altered).is_ok_and(|it| key.verify(&it, &good, &catalogue).is_ok());
                assert!(!accepted, "byte {at} bit {bit}");
            }
            assert!(Token::from_bytes(&bytes[..at]).is_err());
        }
        for left_out in 0..token.caveats.len() {
            let mut wider = token.clone();
            wider.caveats.remove(left_out);
            assert!(key.verify(&wider, &good, &catalogue).is_err());
        }
        let mut swapped = token.clone();
        swapped.caveats.swap(0, 1);
        assert!(key.verify(&swapped, &good, &catalogue).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        let key = TokenKey::new(&[5; 32]);
        assert!(key.mint(1, &"x".repeat(TEXT + 1), &[]).is_err());
        let many = vec![Caveat::Range(0.0, 1.0); CAVEATS + 1];
        assert!(key.mint(1, "anna", &many).is_err());
        assert!(Token::from_bytes(&vec![1; 100_000]).is_err());
    }
}
