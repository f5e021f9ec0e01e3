//! ML-DSA keys, to stand beside Ed25519: a signature that also holds against whoever has a quantum computer.
//!
//! Signatures are verified by `libcrux-ml-dsa`, whose arithmetic, transforms and encodings are formally verified, and made by
//! the crate `ml-dsa`; neither was audited as a whole: use them together with Ed25519 ([`crate::Holder`] of both keys), never
//! alone. Signing is deterministic, with an empty context. Keys are PEM: `PUBLIC KEY`, and `PRIVATE KEY` with the seed.
//!
//! Sources: FIPS 204 §5.2, §5.3 (signing with context), Algorithms 2 and 3; RFC 9881 (keys in X.509 and PKCS#8).

use core::fmt;

use libcrux_ml_dsa::{MLDSASignature, MLDSAVerificationKey};
use ml_dsa::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use ml_dsa::signature::Keypair as _;
use ml_dsa::{MlDsa44, MlDsa65};
use zeroize::Zeroizing;

use crate::Error;

/// Bytes of public keys and of signatures (FIPS 204 table 2).
const LEN_44: usize = 1_312;
const LEN_65: usize = 1_952;
const SIGNATURE_44: usize = 2_420;
const SIGNATURE_65: usize = 3_309;

/// A parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum ParameterSet {
    /// ML-DSA-44: category 2, signatures of 2,420 bytes.
    MlDsa44,
    /// ML-DSA-65: category 3, signatures of 3,309 bytes.
    MlDsa65,
}

#[derive(Clone)]
enum Public {
    MlDsa44(Box<MLDSAVerificationKey<LEN_44>>),
    MlDsa65(Box<MLDSAVerificationKey<LEN_65>>),
}

#[derive(Clone)]
enum Secret {
    MlDsa44(Box<ml_dsa::SigningKey<MlDsa44>>),
    MlDsa65(Box<ml_dsa::SigningKey<MlDsa65>>),
}

/// A public ML-DSA key.
///
/// ```
/// use twinguard_integrity::mldsa::{MlDsaPublicKey, MlDsaSigningKey, ParameterSet};
///
/// let key = MlDsaSigningKey::from_seed(ParameterSet::MlDsa44, &[7; 32]);
/// let public = MlDsaPublicKey::from_pem(&key.public().to_pem()?)?;
/// assert!(public.verifies(b"model", &key.sign(b"model")?));
/// assert!(!public.verifies(b"other", &key.sign(b"model")?));
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone)]
pub struct MlDsaPublicKey(Public);

impl PartialEq for MlDsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for MlDsaPublicKey {}

impl Public {
    fn small(key: &ml_dsa::VerifyingKey<MlDsa44>) -> Self {
        Self::MlDsa44(Box::new(MLDSAVerificationKey::new(key.encode().into())))
    }

    fn large(key: &ml_dsa::VerifyingKey<MlDsa65>) -> Self {
        Self::MlDsa65(Box::new(MLDSAVerificationKey::new(key.encode().into())))
    }
}

impl MlDsaPublicKey {
    /// Reads `PUBLIC KEY` in PEM.
    ///
    /// # Errors
    /// [`Error::Key`] for anything but an ML-DSA-44 or ML-DSA-65 key.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let pem = pem.trim_end();
        let small = || ml_dsa::VerifyingKey::from_public_key_pem(pem).ok().map(|key| Public::small(&key));
        let large = || ml_dsa::VerifyingKey::from_public_key_pem(pem).ok().map(|key| Public::large(&key));
        let key = small().or_else(large);
        key.map(Self)
            .ok_or(Error::Key { reason: "it is not the PEM of an ML-DSA-44 or ML-DSA-65 public key" })
    }

    /// A key from its bytes (FIPS 204 Algorithm 23): 1,312 of them for ML-DSA-44, 1,952 for ML-DSA-65.
    ///
    /// # Errors
    /// [`Error::Key`] for another length.
    pub fn from_bytes(set: ParameterSet, bytes: &[u8]) -> Result<Self, Error> {
        let key = match set {
            ParameterSet::MlDsa44 => {
                bytes.try_into().ok().map(MLDSAVerificationKey::new).map(Box::new).map(Public::MlDsa44)
            }
            ParameterSet::MlDsa65 => {
                bytes.try_into().ok().map(MLDSAVerificationKey::new).map(Box::new).map(Public::MlDsa65)
            }
        };
        key.map(Self).ok_or(Error::Key { reason: "it is not of its parameter set's length" })
    }

    /// The parameter set.
    #[must_use]
    pub fn set(&self) -> ParameterSet {
        match self.0 {
            Public::MlDsa44(_) => ParameterSet::MlDsa44,
            Public::MlDsa65(_) => ParameterSet::MlDsa65,
        }
    }

    /// `PUBLIC KEY` in PEM.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was read gives.
    pub fn to_pem(&self) -> Result<String, Error> {
        let pem = match &self.0 {
            Public::MlDsa44(key) => ml_dsa::VerifyingKey::<MlDsa44>::decode((**key).as_ref().into())
                .to_public_key_pem(LineEnding::LF),
            Public::MlDsa65(key) => ml_dsa::VerifyingKey::<MlDsa65>::decode((**key).as_ref().into())
                .to_public_key_pem(LineEnding::LF),
        };
        pem.map_err(|_| Error::Key { reason: "it has no PEM" })
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Public::MlDsa44(key) => key.as_slice(),
            Public::MlDsa65(key) => key.as_slice(),
        }
    }

    /// Whether `signature` is this key's over `message`, with an empty context.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifies_in(message, b"", signature)
    }

    /// Whether `signature` is this key's over `message` in a context of at most 255 bytes.
    #[must_use]
    pub fn verifies_in(&self, message: &[u8], context: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::MlDsa44(key) => <[u8; SIGNATURE_44]>::try_from(signature).is_ok_and(|signature| {
                let signature = MLDSASignature::new(signature);
                libcrux_ml_dsa::ml_dsa_44::verify(key, message, context, &signature).is_ok()
            }),
            Public::MlDsa65(key) => <[u8; SIGNATURE_65]>::try_from(signature).is_ok_and(|signature| {
                let signature = MLDSASignature::new(signature);
                libcrux_ml_dsa::ml_dsa_65::verify(key, message, context, &signature).is_ok()
            }),
        }
    }
}

impl fmt::Debug for MlDsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MlDsaPublicKey({:?})", self.set())
    }
}

/// A private ML-DSA key. Its memory is wiped when it is dropped; `Debug` does not show it.
#[derive(Clone)]
pub struct MlDsaSigningKey(Secret);

impl MlDsaSigningKey {
    /// A key from 32 secret bytes, which the caller takes from a good source of randomness.
    #[must_use]
    pub fn from_seed(set: ParameterSet, seed: &[u8; 32]) -> Self {
        let seed = Zeroizing::new(*seed);
        let seed = ml_dsa::Seed::from(*seed);
        Self(match set {
            ParameterSet::MlDsa44 => Secret::MlDsa44(Box::new(ml_dsa::SigningKey::from_seed(&seed))),
            ParameterSet::MlDsa65 => Secret::MlDsa65(Box::new(ml_dsa::SigningKey::from_seed(&seed))),
        })
    }

    /// Reads `PRIVATE KEY` (PKCS#8 with the seed, not encrypted) in PEM.
    ///
    /// # Errors
    /// [`Error::Key`] for anything but an ML-DSA-44 or ML-DSA-65 key.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let pem = pem.trim_end();
        let small =
            || ml_dsa::SigningKey::<MlDsa44>::from_pkcs8_pem(pem).ok().map(Box::new).map(Secret::MlDsa44);
        let large =
            || ml_dsa::SigningKey::<MlDsa65>::from_pkcs8_pem(pem).ok().map(Box::new).map(Secret::MlDsa65);
        let key = small().or_else(large);
        key.map(Self)
            .ok_or(Error::Key { reason: "it is not the PEM of an ML-DSA-44 or ML-DSA-65 private key" })
    }

    /// `PRIVATE KEY` in PEM: secret.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was made or read gives.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        let pem = match &self.0 {
            Secret::MlDsa44(key) => key.to_pkcs8_pem(LineEnding::LF),
            Secret::MlDsa65(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map_err(|_| Error::Key { reason: "it has no PEM" })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> MlDsaPublicKey {
        MlDsaPublicKey(match &self.0 {
            Secret::MlDsa44(key) => Public::small(&key.verifying_key()),
            Secret::MlDsa65(key) => Public::large(&key.verifying_key()),
        })
    }

    /// Signs a message, with an empty context.
    ///
    /// # Errors
    /// [`Error::Key`] when no signature comes out, which has no known input.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Key { reason: "it gave no signature" };
        Ok(match &self.0 {
            Secret::MlDsa44(key) => {
                key.expanded_key().sign_deterministic(message, b"").map_err(failed)?.encode().to_vec()
            }
            Secret::MlDsa65(key) => {
                key.expanded_key().sign_deterministic(message, b"").map_err(failed)?.encode().to_vec()
            }
        })
    }
}

impl fmt::Debug for MlDsaSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MlDsaSigningKey({:?})", self.public().set())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_bits_of_signatures_count() {
        for (set, bytes, length) in [(ParameterSet::MlDsa44, 1312, 2420), (ParameterSet::MlDsa65, 1952, 3309)]
        {
            let key = MlDsaSigningKey::from_seed(set, &[3; 32]);
            assert!(MlDsaSigningKey::from_pem(&key.to_pem().unwrap()).unwrap().public() == key.public());
            let public = MlDsaPublicKey::from_bytes(set, &key.public().to_bytes()).unwrap();
            assert!(public == key.public() && public.to_bytes().len() == bytes);
            let signature = key.sign(b"m").unwrap();
            assert_eq!((signature.len(), public.set()), (length, set));
            for bit in (0..signature.len() * 8).step_by(257) {
                let mut flipped = signature.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!public.verifies(b"m", &flipped), "{set:?} bit {bit}");
            }
            assert!(!public.verifies_in(b"m", b"context", &signature) && !public.verifies(b"m", b""));
        }
        assert!(MlDsaPublicKey::from_bytes(ParameterSet::MlDsa44, &[0; 1311]).is_err());
    }
}
