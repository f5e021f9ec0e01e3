//! ECDSA keys on P-256, P-384 and P-521, for signatures that other tools make or read.
//!
//! Each curve signs with the hash of its strength (SHA-256, SHA-384, SHA-512), signatures are DER (`Ecdsa-Sig-Value`), nonces
//! are deterministic. Keys are PEM: `PUBLIC KEY` (RFC 5280 §4.1.2.7) and `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC1).
//!
//! Sources: FIPS 186-5 §6; SEC 1 v2.0; RFC 5915, RFC 5958, RFC 6979, RFC 7468; Sigstore protobuf specification
//! `PublicKeyDetails` (which hash goes with which curve).

use core::fmt;

use data_encoding::{BASE64, HEXLOWER};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;

/// A curve, with the hash that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Curve {
    /// NIST P-256 (secp256r1) with SHA-256.
    P256,
    /// NIST P-384 (secp384r1) with SHA-384.
    P384,
    /// NIST P-521 (secp521r1) with SHA-512.
    P521,
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

#[derive(Clone)]
enum Secret {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

/// The same expression for each curve.
macro_rules! each {
    ($kind:ident, $value:expr, $key:ident => $body:expr) => {
        match $value {
            $kind::P256($key) => $body,
            $kind::P384($key) => $body,
            $kind::P521($key) => $body,
        }
    };
}

/// A public ECDSA key.
///
/// ```
/// use twinguard_integrity::ecdsa::{Curve, EcPublicKey, EcSigningKey};
///
/// let key = EcSigningKey::from_random(Curve::P384, &[7; 66])?;
/// let public = EcPublicKey::from_pem(&key.public().to_pem()?)?;
/// assert!(public.verifies(b"model", &key.sign(b"model")?));
/// assert!(!public.verifies(b"other", &key.sign(b"model")?));
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EcPublicKey(Public);

impl EcPublicKey {
    /// Reads `PUBLIC KEY` in PEM; text before it is skipped (RFC 7468 §2).
    ///
    /// # Errors
    /// [`Error::Key`] for anything but a key on one of the three curves.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let pem = pem.find("-----BEGIN").and_then(|start| pem.get(start..)).unwrap_or(pem).trim_end();
        let p256 = || p256::ecdsa::VerifyingKey::from_public_key_pem(pem).ok().map(Public::P256);
        let p384 = || p384::ecdsa::VerifyingKey::from_public_key_pem(pem).ok().map(Public::P384);
        let p521 = || p521::ecdsa::VerifyingKey::from_public_key_pem(pem).ok().map(Public::P521);
        let key = p256().or_else(p384).or_else(p521);
        key.map(Self)
            .ok_or(Error::Key { reason: "it is not the PEM of a public key on P-256, P-384 or P-521" })
    }

    /// A key from an uncompressed or compressed point (SEC 1 §2.3.3).
    ///
    /// # Errors
    /// [`Error::Key`] for bytes that are no point of the curve.
    pub fn from_point(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        let key = match curve {
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Public::P256),
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Public::P384),
            Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Public::P521),
        };
        key.map(Self).ok_or(Error::Key { reason: "its bytes are not a point of the curve" })
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        match self.0 {
            Public::P256(_) => Curve::P256,
            Public::P384(_) => Curve::P384,
            Public::P521(_) => Curve::P521,
        }
    }

    /// `PUBLIC KEY` in PEM, as OpenSSL writes it.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was read gives.
    pub fn to_pem(&self) -> Result<String, Error> {
        let pem = each!(Public, &self.0, key => key.to_public_key_pem(LineEnding::LF).ok());
        pem.ok_or(Error::Key { reason: "it has no PEM" })
    }

    /// `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was read gives.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let der =
            each!(Public, &self.0, key => key.to_public_key_der().ok().map(|der| der.as_bytes().to_vec()));
        der.ok_or(Error::Key { reason: "it has no DER" })
    }

    /// Whether `signature`, in DER, is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Public::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Public::P521(key) => p521::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }

    /// [`EcPublicKey::verifies`] of a signature that was made over SHA-256 whatever the curve, as some tools did.
    pub(crate) fn verifies_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        let hash = Sha256::digest(message);
        match &self.0 {
            Public::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok()),
            Public::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok()),
            // Half of the curve's size is the least that is not cut off.
            Public::P521(_) => false,
        }
    }

    /// Whether a Sigstore bundle's hint names this key. Hints have no fixed form: hexadecimal SHA-256 of the PEM
    /// (model-signing) and base64 SHA-256 of the DER (cosign) are known; of others nothing can be said.
    pub(crate) fn hinted(&self, hint: &str) -> Result<Option<bool>, Error> {
        if HEXLOWER.decode(hint.as_bytes()).is_ok_and(|hash| hash.len() == 32) {
            return Ok(Some(HEXLOWER.encode(&Sha256::digest(self.to_pem()?)) == hint));
        }
        if BASE64.decode(hint.as_bytes()).is_ok_and(|hash| hash.len() == 32) {
            return Ok(Some(BASE64.encode(&Sha256::digest(self.to_der()?)) == hint));
        }
        Ok(None)
    }

    /// The hint that model-signing writes and demands.
    pub(crate) fn hint(&self) -> Result<String, Error> {
        Ok(HEXLOWER.encode(&Sha256::digest(self.to_pem()?)))
    }
}

impl fmt::Debug for EcPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcPublicKey({:?})", self.curve())
    }
}

/// A private ECDSA key. Its memory is wiped when it is dropped; `Debug` does not show it.
#[derive(Clone)]
pub struct EcSigningKey(Secret);

impl EcSigningKey {
    /// A key from random bytes, of which as many are used as the curve needs.
    ///
    /// # Errors
    /// [`Error::Key`] for bytes that are zero or beyond the curve's order: take others.
    pub fn from_random(curve: Curve, random: &[u8; 66]) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(*random);
        let secret = match curve {
            Curve::P256 => {
                bytes.get(..32).and_then(|b| p256::ecdsa::SigningKey::from_slice(b).ok()).map(Secret::P256)
            }
            Curve::P384 => {
                bytes.get(..48).and_then(|b| p384::ecdsa::SigningKey::from_slice(b).ok()).map(Secret::P384)
            }
            Curve::P521 => {
                // 521 bits: one bit of the first byte.
                if let Some(first) = bytes.first_mut() {
                    *first &= 1;
                }
                p521::ecdsa::SigningKey::from_slice(&*bytes).ok().map(Secret::P521)
            }
        };
        secret.map(Self).ok_or(Error::Key { reason: "its bytes are zero or beyond the curve's order" })
    }

    /// Reads `PRIVATE KEY` (PKCS#8, not encrypted) or `EC PRIVATE KEY` (SEC1) in PEM.
    ///
    /// # Errors
    /// [`Error::Key`] for anything but a key on one of the three curves.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        // OpenSSL writes the curve's parameters before a SEC1 key.
        let own = pem.find("PRIVATE KEY-----").and_then(|at| pem.get(..at)?.rfind("-----BEGIN"));
        let pem = own.and_then(|start| pem.get(start..)).unwrap_or(pem).trim_end();
        let p256 = || {
            let key = p256::SecretKey::from_pkcs8_pem(pem).ok();
            key.or_else(|| p256::SecretKey::from_sec1_pem(pem).ok()).map(|key| Secret::P256((&key).into()))
        };
        let p384 = || {
            let key = p384::SecretKey::from_pkcs8_pem(pem).ok();
            key.or_else(|| p384::SecretKey::from_sec1_pem(pem).ok()).map(|key| Secret::P384((&key).into()))
        };
        let p521 = || {
            let key = p521::SecretKey::from_pkcs8_pem(pem).ok();
            key.or_else(|| p521::SecretKey::from_sec1_pem(pem).ok()).map(|key| Secret::P521((&key).into()))
        };
        let key = p256().or_else(p384).or_else(p521);
        key.map(Self)
            .ok_or(Error::Key { reason: "it is not the PEM of a private key on P-256, P-384 or P-521" })
    }

    /// `PRIVATE KEY` (PKCS#8) in PEM: secret.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was made or read gives.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        let pem = each!(Secret, &self.0, key => key.to_pkcs8_pem(LineEnding::LF).ok());
        pem.ok_or(Error::Key { reason: "it has no PEM" })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> EcPublicKey {
        EcPublicKey(match &self.0 {
            Secret::P256(key) => Public::P256(*key.verifying_key()),
            Secret::P384(key) => Public::P384(*key.verifying_key()),
            Secret::P521(key) => Public::P521(*key.verifying_key()),
        })
    }

    /// Signs a message; the signature is DER.
    ///
    /// # Errors
    /// [`Error::Key`] when no signature comes out, which has no known input.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Key { reason: "it gave no signature" };
        Ok(match &self.0 {
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Secret::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Secret::P521(key) => {
                let signature: p521::ecdsa::Signature = key.try_sign(message).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
        })
    }
}

impl fmt::Debug for EcSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcSigningKey({:?})", self.public().curve())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_both_private_forms() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let key = EcSigningKey::from_random(curve, &[0x5a; 66]).unwrap();
            let again = EcSigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert!(again.public() == key.public() && key.public().curve() == curve);
            assert_eq!(again.sign(b"m").unwrap(), key.sign(b"m").unwrap(), "signing is deterministic");
        }
        // As `openssl ecparam -genkey` writes it: parameters first, then SEC1 (RFC 5915).
        let sec1 = match EcSigningKey::from_random(Curve::P256, &[0x5a; 66]).unwrap().0 {
            Secret::P256(key) => p256::SecretKey::from(&key).to_sec1_pem(LineEnding::LF).unwrap(),
            _ => panic!("another curve"),
        };
        let text = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
            *sec1
        );
        assert_eq!(EcSigningKey::from_pem(&text).unwrap().public().curve(), Curve::P256);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(EcSigningKey::from_random(Curve::P256, &[0; 66]).is_err());
        assert!(EcSigningKey::from_random(Curve::P384, &[0xff; 66]).is_err());
        let pem = EcSigningKey::from_random(Curve::P256, &[1; 66]).unwrap().public().to_pem().unwrap();
        for bad in [
            "",
            "-----BEGIN PUBLIC KEY-----",
            &pem.replace("-----END", "----END"),
            &pem.replace("MFkw", "MFkx"),
        ] {
            assert!(EcPublicKey::from_pem(bad).is_err(), "{bad}");
        }
        assert!(EcPublicKey::from_pem(&format!("Public Key Information:\n\n{pem}")).is_ok());
    }

    #[test]
    fn no_bit_of_a_signature_can_be_flipped() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let key = EcSigningKey::from_random(curve, &[3; 66]).unwrap();
            let signature = key.sign(b"m").unwrap();
            for bit in (0..signature.len() * 8).step_by(3) {
                let mut flipped = signature.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!key.public().verifies(b"m", &flipped), "{curve:?} bit {bit}");
            }
        }
    }
}
