//! Cosignatures: what a witness says of another's log, that it saw it grow and never change.
//!
//! Two kinds: Ed25519 over the whole checkpoint, and (feature `pq`) ML-DSA-44 over cosigner, log, size and root. Which kind a
//! line is of is never read from the line: the verifier's own key says so.
//!
//! Source: C2SP tlog-cosignature 1.1.0-rc.1, "Format", "Ed25519 signed message", "ML-DSA-44 signed message".

use core::fmt;
use core::str::FromStr;

use zeroize::Zeroizing;

use crate::key::{PRIVATE, Typed, check_name, key_id, key_text, split_typed};
#[cfg(feature = "pq")]
use crate::mldsa::{MlDsaPublicKey, MlDsaSigningKey, ParameterSet};
use crate::note::{self, Note};
use crate::{Checkpoint, Error, PublicKey, SigningKey};

/// Signature type of Ed25519 cosignatures.
const ED25519: u8 = 4;
/// Signature type of ML-DSA-44 cosignatures.
#[cfg(feature = "pq")]
const ML_DSA_44: u8 = 6;

/// The public key of a witness, in the text form `<name>+<id>+<base64>` of signed notes.
///
/// ```
/// use twinguard_integrity::{Checkpoint, Cosigner, CosignerKey, SigningKey, merkle, note};
///
/// let log = SigningKey::from_seed("log.example", &[1; 32])?;
/// let witness = Cosigner::ed25519("witness.example/w1", &[2; 32])?;
/// let signed = Checkpoint::new("log.example", 0, merkle::empty_root()).sign(&log)?;
/// let cosigned = note::with_signatures(&signed, &witness.cosign(&signed, 1_700_000_000)?)?;
///
/// let key: CosignerKey = witness.public().to_string().parse()?;
/// assert_eq!(key.cosigned(&cosigned)?, Some(1_700_000_000));
/// assert_eq!(key.cosigned(&signed)?, None);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignerKey {
    name: Box<str>,
    id: [u8; 4],
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519(Box<PublicKey>),
    #[cfg(feature = "pq")]
    MlDsa44(Box<MlDsaPublicKey>),
}

impl CosignerKey {
    fn new(name: &str, kind: Kind) -> Result<Self, Error> {
        check_name(name)?;
        let mut key = Self { name: name.into(), id: [0; 4], kind };
        key.id = key_id(name, key.type_byte(), &key.bytes());
        Ok(key)
    }

    /// The name under which it cosigns.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Four bytes that tell keys apart: a hint and a checksum, no proof.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether two keys are one under different names: such a pair would count twice.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.type_byte() == other.type_byte() && self.bytes() == other.bytes()
    }

    /// The second since 1970 at which this key cosigned a checkpoint, the latest if it did so twice; `None` when it did not.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Checkpoint::parse`]; [`Error::Signature`] for a line that names this key and does not verify.
    pub fn cosigned(&self, note: &str) -> Result<Option<u64>, Error> {
        let note = Note::parse(note)?;
        let head = Checkpoint::parse(note.unverified())?;
        self.cosigned_head(&note, &head)
    }

    pub(crate) fn cosigned_head(&self, note: &Note<'_>, head: &Checkpoint) -> Result<Option<u64>, Error> {
        let ours = note.signatures().filter(|(name, id, _)| *name == &*self.name && *id == self.id);
        let mut latest = None;
        for (_, _, bytes) in ours {
            let time = self.verify(note.unverified(), head, bytes);
            let time = time.ok_or_else(|| Error::Signature { key: self.label() })?;
            latest = latest.max(Some(time));
        }
        Ok(latest)
    }

    fn verify(&self, text: &str, head: &Checkpoint, bytes: &[u8]) -> Option<u64> {
        let (time, signature) = bytes.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        i64::try_from(time).ok()?;
        let holds = match &self.kind {
            Kind::Ed25519(key) => key.verifies(&ed25519_message(text, time), signature.try_into().ok()?),
            #[cfg(feature = "pq")]
            Kind::MlDsa44(key) => key.verifies(&ml_dsa_message(&self.name, head, time)?, signature),
        };
        let _ = head; // without ML-DSA the text says everything
        holds.then_some(time)
    }

    fn type_byte(&self) -> u8 {
        match self.kind {
            Kind::Ed25519(_) => ED25519,
            #[cfg(feature = "pq")]
            Kind::MlDsa44(_) => ML_DSA_44,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ed25519(key) => key.to_bytes().to_vec(),
            #[cfg(feature = "pq")]
            Kind::MlDsa44(key) => key.to_bytes(),
        }
    }

    fn label(&self) -> String {
        format!("{}+{}", self.name, data_encoding::HEXLOWER.encode(&self.id))
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, self.type_byte(), &self.bytes()))
    }
}

impl FromStr for CosignerKey {
    type Err = Error;

    /// Reads the text form; one line feed at the end is allowed, nothing else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Typed { name, id, kind, bytes } = split_typed(text)?;
        let kind = match kind {
            ED25519 => {
                let bytes = bytes.as_slice().try_into();
                let bytes = bytes.map_err(|_| Error::Key { reason: "it is not 32 bytes long" })?;
                Kind::Ed25519(Box::new(PublicKey::from_bytes(name, bytes)?))
            }
            #[cfg(feature = "pq")]
            ML_DSA_44 => Kind::MlDsa44(Box::new(MlDsaPublicKey::from_bytes(ParameterSet::MlDsa44, &bytes)?)),
            _ => return Err(OTHER_KIND),
        };
        let key = Self::new(name, kind)?;
        if key.id != id {
            return Err(Error::Key { reason: "its id does not match: name or key was altered" });
        }
        Ok(key)
    }
}

#[cfg(feature = "pq")]
const OTHER_KIND: Error =
    Error::Key { reason: "it is neither an Ed25519 (type 4) nor an ML-DSA-44 (type 6) cosigner's" };
#[cfg(not(feature = "pq"))]
const OTHER_KIND: Error = Error::Key { reason: "it is not an Ed25519 cosigner's (type 4)" };

/// The secret key of a witness. Its memory is wiped when it is dropped; `Debug` does not show it.
///
/// Use a key for nothing else: an Ed25519 cosignature does not name its cosigner.
#[derive(Clone)]
pub struct Cosigner {
    public: CosignerKey,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Ed25519(Box<SigningKey>),
    /// The key, and the seed for its text.
    #[cfg(feature = "pq")]
    MlDsa44(MlDsaSigningKey, Zeroizing<[u8; 32]>),
}

impl Cosigner {
    /// An Ed25519 key from 32 secret bytes, which the caller takes from a good source of randomness.
    ///
    /// # Errors
    /// [`Error::Key`] for a name as in [`PublicKey::from_bytes`].
    pub fn ed25519(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let key = SigningKey::from_seed(name, seed)?;
        let public = CosignerKey::new(name, Kind::Ed25519(Box::new(key.public().clone())))?;
        Ok(Self { public, secret: Secret::Ed25519(Box::new(key)) })
    }

    /// An ML-DSA-44 key from 32 secret bytes. The implementation is not audited: ask for both kinds in a policy's group.
    ///
    /// # Errors
    /// As [`Cosigner::ed25519`].
    #[cfg(feature = "pq")]
    pub fn ml_dsa_44(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let key = MlDsaSigningKey::from_seed(ParameterSet::MlDsa44, seed);
        let public = CosignerKey::new(name, Kind::MlDsa44(Box::new(key.public())))?;
        Ok(Self { public, secret: Secret::MlDsa44(key, Zeroizing::new(*seed)) })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &CosignerKey {
        &self.public
    }

    /// The text form, secret: `PRIVATE+KEY+<name>+<id>+<base64 of type and seed>`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let CosignerKey { name, id, .. } = &self.public;
        let text = match &self.secret {
            Secret::Ed25519(key) => key_text(name, *id, ED25519, &*key.seed()),
            #[cfg(feature = "pq")]
            Secret::MlDsa44(_, seed) => key_text(name, *id, ML_DSA_44, &**seed),
        };
        Zeroizing::new(format!("{PRIVATE}{}", *text))
    }

    /// A cosignature line for a checkpoint, at a second since 1970. Whoever calls this has verified what it says: see
    /// [`crate::Witness`].
    ///
    /// # Errors
    /// [`Error::Text`] for a note that is no checkpoint, a second that is 0 or beyond 2⁶³ − 1, or a log whose name is too long.
    pub fn cosign(&self, checkpoint: &str, second: u64) -> Result<String, Error> {
        let refuse = |reason| Error::Text { what: "checkpoint", line: 1, reason };
        if second == 0 || i64::try_from(second).is_err() {
            return Err(refuse("its second of cosigning is out of range"));
        }
        let text = Note::parse(checkpoint)?.unverified();
        let head = Checkpoint::parse(text)?;
        let signature = match &self.secret {
            Secret::Ed25519(key) => key.sign(&ed25519_message(text, second)).to_vec(),
            #[cfg(feature = "pq")]
            Secret::MlDsa44(key, _) => {
                let message = ml_dsa_message(&self.public.name, &head, second);
                key.sign(&message.ok_or(refuse("its origin is longer than 255 bytes"))?)?
            }
        };
        let _ = head; // without ML-DSA it only had to be one
        Ok(note::line(&self.public.name, self.public.id, &[&second.to_be_bytes()[..], &signature].concat()))
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.public.label())
    }
}

impl FromStr for Cosigner {
    type Err = Error;

    /// Reads the text form; one line feed at the end is allowed, nothing else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(PRIVATE).ok_or(Error::Key { reason: "it is not a private key" })?;
        let Typed { name, id, kind, bytes: seed } = split_typed(rest)?;
        let seed: &[u8; 32] =
            seed.as_slice().try_into().map_err(|_| Error::Key { reason: "it is not 32 bytes long" })?;
        let key = match kind {
            ED25519 => Self::ed25519(name, seed)?,
            #[cfg(feature = "pq")]
            ML_DSA_44 => Self::ml_dsa_44(name, seed)?,
            _ => return Err(OTHER_KIND),
        };
        if key.public.id != id {
            return Err(Error::Key { reason: "its id does not match: name or key was altered" });
        }
        Ok(key)
    }
}

fn ed25519_message(text: &str, second: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {second}\n{text}").into_bytes()
}

/// `None` for names that the format has no room for.
#[cfg(feature = "pq")]
fn ml_dsa_message(cosigner: &str, head: &Checkpoint, second: u64) -> Option<Vec<u8>> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length > 0);
    let mut message = b"subtree/v1\n\0".to_vec();
    message.push(length(cosigner)?);
    message.extend_from_slice(cosigner.as_bytes());
    message.extend_from_slice(&second.to_be_bytes());
    message.push(length(&head.origin)?);
    message.extend_from_slice(head.origin.as_bytes());
    message.extend_from_slice(&0u64.to_be_bytes());
    message.extend_from_slice(&head.size.to_be_bytes());
    message.extend_from_slice(&head.root.0);
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::empty_root;

    fn signed() -> String {
        let log = SigningKey::from_seed("log.example", &[1; 32]).unwrap();
        let mut head = Checkpoint::new("log.example", 0, empty_root());
        head.extensions.push("one more line".into());
        head.sign(&log).unwrap()
    }

    fn cosigners() -> Vec<Cosigner> {
        vec![
            Cosigner::ed25519("witness.example/w1", &[2; 32]).unwrap(),
            #[cfg(feature = "pq")]
            Cosigner::ml_dsa_44("witness.example/w1", &[2; 32]).unwrap(),
        ]
    }

    #[test]
    fn a_cosignature_is_over_what_the_specification_writes() {
        let (note, witness) = (signed(), Cosigner::ed25519("witness.example/w1", &[2; 32]).unwrap());
        let line = witness.cosign(&note, 1_679_315_147).unwrap();
        let bytes = crate::base64::decode(line.trim_end().rsplit(' ').next().unwrap().as_bytes()).unwrap();
        assert_eq!((bytes.len(), &bytes[4..12]), (76, &1_679_315_147u64.to_be_bytes()[..]));
        let text = note.split_once("\n\n").unwrap().0;
        let message = format!("cosignature/v1\ntime 1679315147\n{text}\n");
        let plain = SigningKey::from_seed("x", &[2; 32]).unwrap();
        assert!(plain.public().verifies(message.as_bytes(), bytes[12..].try_into().unwrap()));
    }

    #[test]
    fn keys_come_back_and_no_bit_of_them_can_be_flipped() {
        for cosigner in cosigners() {
            let (secret, public) = (cosigner.to_text(), cosigner.public().to_string());
            assert_eq!(secret.parse::<Cosigner>().unwrap().public(), cosigner.public());
            assert_eq!(public.parse::<CosignerKey>().unwrap(), *cosigner.public());
            assert!(!format!("{cosigner:?}").contains(secret.rsplit_once('+').unwrap().1));
            for bit in (0..public.len() * 8).step_by(7) {
                let mut bytes = public.clone().into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(!String::from_utf8(bytes).is_ok_and(|text| text.parse::<CosignerKey>().is_ok()));
            }
        }
        // A log's key is no cosigner's, nor the other way round.
        let log = SigningKey::from_seed("log.example", &[1; 32]).unwrap();
        assert!(log.public().to_string().parse::<CosignerKey>().is_err());
        assert!(cosigners()[0].public().to_string().parse::<PublicKey>().is_err());
    }

    #[test]
    fn no_bit_of_a_cosigned_checkpoint_can_be_flipped() {
        for cosigner in cosigners() {
            let note = signed();
            let cosigned = note::with_signatures(&note, &cosigner.cosign(&note, 77).unwrap()).unwrap();
            assert_eq!(cosigner.public().cosigned(&cosigned).unwrap(), Some(77));
            let body = note.find("one more line").unwrap();
            let lines = note.len();
            let extension_is_signed = cosigner.public().type_byte() == ED25519;
            for bit in (0..cosigned.len() * 8).step_by(3) {
                let at = bit / 8;
                let log_signature = at >= note.find("\n\n").unwrap() + 2 && at < lines;
                let extension = (body..body + 14).contains(&at) && !extension_is_signed;
                if log_signature || extension {
                    continue;
                }
                let mut bytes = cosigned.clone().into_bytes();
                bytes[at] ^= 1 << (bit % 8);
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(!matches!(cosigner.public().cosigned(&text), Ok(Some(_))), "bit {bit}");
            }
        }
    }

    #[test]
    fn seconds_out_of_range_are_refused() {
        for cosigner in cosigners() {
            assert!(cosigner.cosign(&signed(), 0).is_err() && cosigner.cosign(&signed(), 1 << 63).is_err());
        }
    }
}
