//! The keys of an identity provider: a JSON Web Key Set.
//!
//! Sources: RFC 7517 §4, §5; RFC 7518 §6.2 (curves), §6.3 (RSA); RFC 8037 §2 (Ed25519).

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};

/// Most bytes of a set.
const BYTES: usize = 256 << 10;
/// Most keys of a set.
const KEYS: usize = 100;
/// Least and most bytes of an RSA modulus: 2 048 to 8 192 bits, as many as can be verified.
const MODULUS: core::ops::RangeInclusive<usize> = 256..=1_024;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA with the padding of PKCS 1 version 1.5, and SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    pub(super) const fn of_crate(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    /// The one algorithm that a key is used with: so that nobody chooses another for it.
    fn of(key: &Jwk) -> Option<Self> {
        let algorithm = match &key.algorithm {
            AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => Self::Es256,
            AlgorithmParameters::RSA(_) => Self::Rs256,
            AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => Self::EdDsa,
            _ => return None,
        };
        let told = match key.common.key_algorithm {
            None => return Some(algorithm),
            Some(KeyAlgorithm::ES256) => Self::Es256,
            Some(KeyAlgorithm::RS256) => Self::Rs256,
            Some(KeyAlgorithm::EdDSA) => Self::EdDsa,
            Some(_) => return None,
        };
        (told == algorithm).then_some(algorithm)
    }
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of a provider that tokens can be verified by.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, key.algorithm))).finish()
    }
}

impl Keys {
    /// Reads a set as the provider publishes it (`jwks_uri`). Keys for encryption, of other algorithms and shared secrets are left out.
    ///
    /// # Errors
    /// What is wrong, in words: no cryptography to verify by, no set, more than 256 KiB or 100 keys, a key that is none, two of one `kid`, no key to verify by.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        // A program that builds `jsonwebtoken` with two implementations has to choose one; it would panic at the first token.
        if CryptoProvider::try_get_default().is_none() {
            return Err(
                "cannot be used: this program has not chosen the cryptography of `jsonwebtoken`".to_owned()
            );
        }
        if json.len() > BYTES {
            return Err(format!("is larger than {BYTES} bytes"));
        }
        let set: JwkSet =
            serde_json::from_slice(json).map_err(|error| format!("is no JSON Web Key Set: {error}"))?;
        if set.keys.len() > KEYS {
            return Err(format!("holds more than {KEYS} keys"));
        }
        let mut keys: Vec<Key> = Vec::new();
        for key in &set.keys {
            let common = &key.common;
            let verifies =
                common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
            let signature = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
            let Some(algorithm) = Algorithm::of(key).filter(|_| verifies && signature) else { continue };
            let id = common.key_id.clone();
            let told = id.as_deref().unwrap_or("without `kid`").to_owned();
            let read = DecodingKey::from_jwk(key).map_err(|error| format!("key `{told}`: {error}"))?;
            is_sound(&read).map_err(|reason| format!("key `{told}`: {reason}"))?;
            if id.is_some() && keys.iter().any(|it| it.id == id) {
                return Err(format!("two keys have the `kid` `{told}`"));
            }
            keys.push(Key { id, algorithm, key: read });
        }
        if keys.is_empty() {
            return Err("holds no key to verify ES256, RS256 or EdDSA by".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key that a token names; without a name the only one of the algorithm.
    pub(super) fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)).map(|key| &key.key),
            None => {
                let only = fitting.next()?;
                fitting.next().is_none().then_some(&only.key)
            }
        }
    }
}

/// Whether a key has the size of its kind.
fn is_sound(key: &DecodingKey) -> Result<(), &'static str> {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    match (key.kind(), key.family()) {
        (RsaModulusExponent { n, e }, _) => {
            let size = n.iter().skip_while(|byte| **byte == 0).count();
            let odd = e.last().is_some_and(|byte| byte & 1 == 1) && e.len() <= 8 && e.as_slice() != [1];
            if MODULUS.contains(&size) && odd {
                return Ok(());
            }
            Err("its modulus has not 2048 to 8192 bits, or its exponent is none")
        }
        (SecretOrDer(bytes), jsonwebtoken::AlgorithmFamily::Ed) if bytes.len() == 32 => Ok(()),
        // 0x04, then both coordinates (SEC 1 §2.3.3).
        (SecretOrDer(bytes), jsonwebtoken::AlgorithmFamily::Ec) if bytes.len() == 65 => Ok(()),
        _ => Err("its numbers have not the length of its curve"),
    }
}
