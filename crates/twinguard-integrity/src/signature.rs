//! Keys of every kind that may sign a seal, and whoever holds them.
//!
//! Which key signed with which algorithm is never read from what was signed: the verifier's own key says so. A holder counts
//! only when **all** of its keys signed: with a holder of an Ed25519 and an ML-DSA key, neither part can be stripped.
//!
//! Sources: DSSE v1.0.2 protocol (the key id is a hint); The Update Framework specification §4.3 (roles, thresholds); NIST
//! SP 800-227 (hybrid signatures: both have to hold).

use core::fmt;

use data_encoding::HEXLOWER;
#[cfg(any(feature = "openssf", feature = "pq"))]
use sha2::{Digest as _, Sha256};

#[cfg(feature = "openssf")]
use crate::ecdsa::{EcPublicKey, EcSigningKey};
#[cfg(feature = "pq")]
use crate::mldsa::{MlDsaPublicKey, MlDsaSigningKey};
use crate::{Error, PublicKey, SigningKey};

/// A public key of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyingKey {
    /// Ed25519.
    Ed25519(PublicKey),
    /// ECDSA on P-256, P-384 or P-521.
    #[cfg(feature = "openssf")]
    Ecdsa(EcPublicKey),
    /// ML-DSA-44 or ML-DSA-65: only beside another kind.
    #[cfg(feature = "pq")]
    MlDsa(Box<MlDsaPublicKey>),
}

impl VerifyingKey {
    /// Reads a key's text: `name+id+base64` (Ed25519), or PEM.
    ///
    /// # Errors
    /// [`Error::Key`] for any other text.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        if !text.contains("-----BEGIN") {
            return text.parse().map(Self::Ed25519);
        }
        #[cfg(feature = "openssf")]
        if let Ok(key) = EcPublicKey::from_pem(text) {
            return Ok(Self::Ecdsa(key));
        }
        #[cfg(feature = "pq")]
        if let Ok(key) = MlDsaPublicKey::from_pem(text) {
            return Ok(Self::MlDsa(Box::new(key)));
        }
        #[cfg(any(feature = "openssf", feature = "pq"))]
        if let Ok(key) = PublicKey::from_pem(text) {
            return Ok(Self::Ed25519(key));
        }
        Err(Error::Key { reason: "it is of no kind that is read here" })
    }

    /// The text that [`VerifyingKey::from_text`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Ed25519(key) => key.to_string(),
            // Keys that were read or made have a PEM.
            #[cfg(feature = "openssf")]
            Self::Ecdsa(key) => key.to_pem().unwrap_or_default(),
            #[cfg(feature = "pq")]
            Self::MlDsa(key) => key.to_pem().unwrap_or_default(),
        }
    }

    /// The name under which it signs, or, for a key without one, its kind and id.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ed25519(key) => key.name().to_owned(),
            #[cfg(any(feature = "openssf", feature = "pq"))]
            other => other.to_string(),
        }
    }

    /// Four bytes that tell keys apart: a hint, no proof.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        match self {
            Self::Ed25519(key) => key.id(),
            #[cfg(feature = "openssf")]
            Self::Ecdsa(key) => hashed(&key.to_der().unwrap_or_default()),
            #[cfg(feature = "pq")]
            Self::MlDsa(key) => hashed(&key.to_bytes()),
        }
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                signature.try_into().is_ok_and(|signature| key.verifies(message, signature))
            }
            #[cfg(feature = "openssf")]
            Self::Ecdsa(key) => key.verifies(message, signature),
            #[cfg(feature = "pq")]
            Self::MlDsa(key) => key.verifies(message, signature),
        }
    }

    /// Whether it may stand alone: an implementation that nobody audited may not.
    fn stands_alone(&self) -> bool {
        match self {
            Self::Ed25519(_) => true,
            #[cfg(feature = "openssf")]
            Self::Ecdsa(_) => true,
            #[cfg(feature = "pq")]
            Self::MlDsa(_) => false,
        }
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => f.write_str(&key.label()),
            #[cfg(feature = "openssf")]
            Self::Ecdsa(key) => write!(f, "{:?}+{}", key.curve(), HEXLOWER.encode(&self.id())),
            #[cfg(feature = "pq")]
            Self::MlDsa(key) => write!(f, "{:?}+{}", key.set(), HEXLOWER.encode(&self.id())),
        }
    }
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> Self {
        Self::Ed25519(key)
    }
}

#[cfg(any(feature = "openssf", feature = "pq"))]
fn hashed(bytes: &[u8]) -> [u8; 4] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}

/// Whatever signs: a key in memory, or one in a token or module that the caller reaches.
pub trait Signer {
    /// The public half.
    fn verifying_key(&self) -> VerifyingKey;

    /// Signs a message as the key's kind does: 64 bytes of Ed25519, DER of ECDSA, ML-DSA with an empty context.
    ///
    /// # Errors
    /// [`Error::Key`] when the key cannot sign.
    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

impl Signer for SigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::Ed25519(self.public().clone())
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.sign(message).to_vec())
    }
}

#[cfg(feature = "openssf")]
impl Signer for EcSigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::Ecdsa(self.public())
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign(message)
    }
}

#[cfg(feature = "pq")]
impl Signer for MlDsaSigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::MlDsa(Box::new(self.public()))
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign(message)
    }
}

/// Somebody who signs with all of their keys, or has not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder(Vec<VerifyingKey>);

impl Holder {
    /// A holder of these keys.
    ///
    /// # Errors
    /// [`Error::Policy`] without a key, with one twice, or with keys that may only stand beside others.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, Error> {
        let mut all: Vec<VerifyingKey> = Vec::new();
        for key in keys {
            if all.contains(&key) {
                return Err(Error::Policy { reason: "a holder has a key twice" });
            }
            all.push(key);
        }
        if !all.iter().any(VerifyingKey::stands_alone) {
            return Err(Error::Policy { reason: "a holder has no key that may stand alone" });
        }
        Ok(Self(all))
    }

    /// Their keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.0
    }
}

impl From<PublicKey> for Holder {
    fn from(key: PublicKey) -> Self {
        Self(vec![key.into()])
    }
}

/// Which holders count, and how many of them have to have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub(crate) holders: Vec<Holder>,
    pub(crate) threshold: usize,
}

impl Role {
    /// `threshold` of these holders.
    ///
    /// # Errors
    /// [`Error::Policy`] for a threshold of zero or beyond the number of holders, or a key that two holders have.
    pub fn new(holders: impl IntoIterator<Item = Holder>, threshold: usize) -> Result<Self, Error> {
        let holders: Vec<Holder> = holders.into_iter().collect();
        if threshold == 0 || threshold > holders.len() {
            return Err(Error::Policy { reason: "its threshold is zero, or more than its holders" });
        }
        let keys: Vec<_> = holders.iter().flat_map(Holder::keys).collect();
        if keys.iter().enumerate().any(|(at, key)| keys.iter().skip(at + 1).any(|other| other == key)) {
            return Err(Error::Policy { reason: "two holders have the same key" });
        }
        Ok(Self { holders, threshold })
    }

    /// The holders whose every key signed; fewer than the threshold is an error.
    ///
    /// A signature that names one of these keys and does not verify is an error as well, however many others do.
    pub(crate) fn judge(
        &self,
        message: &[u8],
        signatures: &[([u8; 4], Vec<u8>)],
    ) -> Result<Vec<&Holder>, Error> {
        let mut known = false;
        let mut holds = |key: &VerifyingKey| -> Result<bool, Error> {
            let named: Vec<_> = signatures.iter().filter(|(id, _)| *id == key.id()).collect();
            known |= !named.is_empty();
            let signed = named.iter().any(|(_, signature)| key.verifies(message, signature));
            if !named.is_empty() && !signed {
                return Err(Error::Signature { key: key.to_string() });
            }
            Ok(signed)
        };
        let (mut counted, mut partly) = (Vec::new(), None);
        for holder in &self.holders {
            let signed: Vec<bool> = holder.0.iter().map(&mut holds).collect::<Result<_, _>>()?;
            if signed.iter().all(|signed| *signed) {
                counted.push(holder);
            } else if signed.contains(&true) {
                partly = holder.0.iter().zip(&signed).find(|(_, signed)| !**signed).map(|(key, _)| key);
            }
        }
        if counted.len() >= self.threshold {
            return Ok(counted);
        }
        if let Some(key) = partly {
            return Err(Error::Stripped { key: key.to_string() });
        }
        if !known {
            let found = signatures.iter().map(|(id, _)| HEXLOWER.encode(id)).collect::<Vec<_>>().join(", ");
            return Err(Error::UntrustedKey { found });
        }
        Err(Error::Threshold { found: counted.len(), needed: self.threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&format!("holder{seed}.example"), &[seed; 32]).unwrap()
    }

    fn signed(seeds: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
        seeds.iter().map(|seed| (key(*seed).public().id(), key(*seed).sign(b"m").to_vec())).collect()
    }

    #[test]
    fn thresholds_count_holders_not_signatures() {
        let holders = [1, 2, 3].map(|seed| Holder::from(key(seed).public().clone()));
        let role = Role::new(holders.clone(), 2).unwrap();
        assert_eq!(role.judge(b"m", &signed(&[1, 3])).unwrap().len(), 2);
        assert!(matches!(role.judge(b"m", &signed(&[1])), Err(Error::Threshold { found: 1, needed: 2 })));
        assert!(matches!(role.judge(b"m", &signed(&[1, 1])), Err(Error::Threshold { found: 1, needed: 2 })));
        assert!(matches!(role.judge(b"m", &signed(&[9])), Err(Error::UntrustedKey { .. })));
        assert!(matches!(role.judge(b"other", &signed(&[1, 2])), Err(Error::Signature { .. })));
        assert!(Role::new(holders.clone(), 0).is_err() && Role::new(holders.clone(), 4).is_err());
        assert!(Role::new([holders[0].clone(), holders[0].clone()], 1).is_err());
    }

    #[test]
    fn a_holder_of_two_keys_counts_with_both() {
        let pair = Holder::new([key(1).public().clone().into(), key(2).public().clone().into()]).unwrap();
        let role = Role::new([pair], 1).unwrap();
        assert!(role.judge(b"m", &signed(&[1, 2])).is_ok());
        assert!(matches!(role.judge(b"m", &signed(&[1])), Err(Error::Stripped { .. })));
        assert!(Holder::new([]).is_err());
        assert!(Holder::new([key(1).public().clone().into(), key(1).public().clone().into()]).is_err());
    }

    #[cfg(feature = "pq")]
    #[test]
    fn post_quantum_keys_never_stand_alone_and_are_never_stripped() {
        use crate::mldsa::ParameterSet;
        let (old, new) = (key(1), MlDsaSigningKey::from_seed(ParameterSet::MlDsa65, &[2; 32]));
        assert!(matches!(Holder::new([new.verifying_key()]), Err(Error::Policy { .. })));
        let role = Role::new([Holder::new([old.verifying_key(), new.verifying_key()]).unwrap()], 1).unwrap();
        let sign = |signer: &dyn Signer| (signer.verifying_key().id(), signer.sign_message(b"m").unwrap());
        assert!(role.judge(b"m", &[sign(&old), sign(&new)]).is_ok());
        for alone in [sign(&old), sign(&new)] {
            assert!(matches!(role.judge(b"m", &[alone]), Err(Error::Stripped { .. })));
        }
    }
}
