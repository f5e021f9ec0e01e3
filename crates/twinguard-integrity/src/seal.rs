//! A signed manifest: who vouches for which files of which version.
//!
//! The file is a DSSE envelope in JSON, in exactly one form (no optional space, one signature), so that any DSSE tool reads
//! it and no second text means the same:
//! ```text
//! {"payload":"<base64 of the manifest>","payloadType":"application/vnd.twinguard.seal.v1",
//!  "signatures":[{"keyid":"<key id>","sig":"<base64>"}]}        on one line, with a line feed at the end
//! ```
//! The signature is Ed25519 over `PAE(payloadType, payload)`, the bytes themselves: nothing is re-serialised before it is
//! checked, and nothing is parsed before the signature holds.
//!
//! Sources: DSSE v1.0.2, protocol and envelope; RFC 8032; [`crate::manifest`] for the payload.

use core::ops::Deref;

use data_encoding::HEXLOWER;

use crate::cursor::Cursor;
use crate::manifest::{Difference, Differences};
use crate::{Entry, Error, Manifest, PublicKey, SigningKey, base64};

/// Media type of the signed bytes, [`Manifest::encode`].
pub const PAYLOAD_TYPE: &str = "application/vnd.twinguard.seal.v1";

/// A manifest whose signature was checked; [`verify`] alone makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedManifest {
    manifest: Manifest,
    key: PublicKey,
}

impl SealedManifest {
    /// The key that signed.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Accepts exactly the sealed files.
    ///
    /// # Errors
    /// [`Error::Differs`] with every file that was added, changed or is missing.
    pub fn check(&self, found: Vec<Entry>) -> Result<(), Error> {
        match self.manifest.diff(found) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(Error::Differs(Differences(differences))),
        }
    }
}

impl Deref for SealedManifest {
    type Target = Manifest;
    fn deref(&self) -> &Manifest {
        &self.manifest
    }
}

/// Seals these files as this version of this series.
///
/// ```
/// use twinguard_integrity::{Entry, PortablePath, SigningKey, seal};
///
/// let key = SigningKey::from_seed("vendor.example/pump", &[7; 32])?;
/// let plant = Entry::of(PortablePath::new("plant.toml")?, b"format = 1");
/// let sealed = seal::create(vec![plant], "pump-house", 3, &key)?;
/// assert_eq!(seal::verify(&sealed, key.public())?.version(), 3);
///
/// let other = SigningKey::from_seed("vendor.example/pump", &[8; 32])?;
/// assert!(seal::verify(&sealed, other.public()).is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
///
/// # Errors
/// As [`Manifest::new`].
pub fn create(entries: Vec<Entry>, series: &str, version: u64, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let payload = Manifest::new(series, version, entries)?.encode();
    let signature = key.sign(&pae(&payload));
    Ok(Envelope { payload, key: key.public().id(), signature }.encode())
}

/// Checks who signed and reads what was signed.
///
/// Says nothing about files: [`SealedManifest::check`] does.
///
/// # Errors
/// [`Error::Seal`] for anything that [`create`] does not write, [`Error::UntrustedKey`] for another key's signature,
/// [`Error::Signature`] for one that does not verify.
pub fn verify(seal: &[u8], key: &PublicKey) -> Result<SealedManifest, Error> {
    verify_any(seal, core::slice::from_ref(key))
}

/// [`verify`] with several trusted keys.
///
/// # Errors
/// As [`verify`].
pub fn verify_any(seal: &[u8], keys: &[PublicKey]) -> Result<SealedManifest, Error> {
    let envelope = Envelope::parse(seal)?;
    let message = pae(&envelope.payload);
    let mut named = None;
    for key in keys.iter().filter(|key| key.id() == envelope.key) {
        if key.verifies(&message, &envelope.signature) {
            return Ok(SealedManifest { manifest: Manifest::parse(&envelope.payload)?, key: key.clone() });
        }
        named = Some(key);
    }
    Err(match named {
        Some(key) => Error::Signature { key: key.label() },
        None => Error::UntrustedKey { found: HEXLOWER.encode(&envelope.key) },
    })
}

/// Reads a seal **without** checking its signature: for people who look at files, never for a decision.
///
/// # Errors
/// [`Error::Seal`] for anything that [`create`] does not write.
pub fn parse_unverified(seal: &[u8]) -> Result<Manifest, Error> {
    Manifest::parse(&Envelope::parse(seal)?.payload)
}

/// What changed between two seals, or between a seal and files; see [`Manifest::diff`].
#[must_use]
pub fn diff(before: &Manifest, after: Vec<Entry>) -> Vec<Difference> {
    before.diff(after)
}

/// Pre-authentication encoding of DSSE v1 for our payload type.
fn pae(payload: &[u8]) -> Vec<u8> {
    pae_of(PAYLOAD_TYPE, payload)
}

fn pae_of(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut text = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text
}

/// The parts of an envelope, not yet judged.
struct Envelope {
    payload: Vec<u8>,
    key: [u8; 4],
    signature: [u8; 64],
}

const OPEN: &str = "{\"payload\":\"";
const TYPE: &str = "\",\"payloadType\":\"application/vnd.twinguard.seal.v1\",\"signatures\":[{\"keyid\":\"";
const SIGNATURE: &str = "\",\"sig\":\"";
const CLOSE: &str = "\"}]}\n";

impl Envelope {
    fn encode(&self) -> Vec<u8> {
        let (payload, signature) = (base64::encode(&self.payload), base64::encode(&self.signature));
        format!("{OPEN}{payload}{TYPE}{}{SIGNATURE}{signature}{CLOSE}", HEXLOWER.encode(&self.key))
            .into_bytes()
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let at = |cursor: &Cursor<'_>, reason| Error::Seal { offset: cursor.offset(), reason };
        cursor.literal(OPEN).ok_or(at(&cursor, "it does not open as a seal does"))?;
        let start = cursor;
        let payload = cursor.until(b'"').ok_or(at(&start, "its payload does not end"))?;
        let payload = base64::decode(payload);
        let payload = payload.ok_or(at(&start, "its payload is not canonical base64"))?;
        cursor.literal(TYPE).ok_or(at(&cursor, "its payload type is not that of a seal"))?;
        let start = cursor;
        let key = cursor.take(8).and_then(|key| HEXLOWER.decode(key).ok()?.try_into().ok());
        let key = key.ok_or(at(&start, "its key id is not 8 lower-case hexadecimal digits"))?;
        cursor.literal(SIGNATURE).ok_or(at(&cursor, "its signature is not there"))?;
        let start = cursor;
        let signature = cursor.until(b'"').and_then(|text| base64::decode(text)?.try_into().ok());
        let signature = signature.ok_or(at(&start, "its signature is not 64 bytes in canonical base64"))?;
        cursor.literal(CLOSE).ok_or(at(&cursor, "it does not close as a seal does"))?;
        if !cursor.is_empty() {
            return Err(at(&cursor, "bytes follow it"));
        }
        Ok(Self { payload, key, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortablePath;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("test.example/key", &[1; 32]).unwrap()
    }

    fn sealed() -> Vec<u8> {
        let entry = |path: &str| Entry::of(PortablePath::new(path).unwrap(), path.as_bytes());
        create(vec![entry("plant.toml"), entry("history/a.csv")], "plant", 7, &key()).unwrap()
    }

    #[test]
    fn pae_is_the_published_example() {
        // DSSE protocol, "Test Vectors".
        let pae = pae_of("http://example.com/HelloWorld", b"hello world");
        assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn the_envelope_is_json_that_dsse_tools_read() {
        let json: serde_json::Value = serde_json::from_slice(&sealed()).unwrap();
        assert_eq!(json["payloadType"], PAYLOAD_TYPE);
        let payload = base64::decode(json["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(Manifest::parse(&payload).unwrap(), parse_unverified(&sealed()).unwrap());
    }

    #[test]
    fn every_single_bit_flip_is_refused() {
        let (sealed, key) = (sealed(), key());
        assert!(verify(&sealed, key.public()).is_ok());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&flipped, key.public()).is_err(), "bit {bit}");
        }
        for end in 0..sealed.len() {
            assert!(verify(&sealed[..end], key.public()).is_err(), "cut at {end}");
        }
        assert!(verify(&[&sealed[..], b"\n"].concat(), key.public()).is_err());
    }

    #[test]
    fn a_signed_note_is_no_seal_and_the_other_way_round() {
        // The same key signs both: PAE starts with `DSSEv1 `, a checkpoint with its origin, which holds no space.
        assert!(
            SigningKey::from_seed("DSSEv1 33 application/vnd.twinguard.seal.v1 3 abc", &[1; 32]).is_err()
        );
    }

    #[test]
    fn only_a_trusted_key_counts() {
        let other = SigningKey::from_seed("test.example/other", &[2; 32]).unwrap();
        assert!(matches!(verify(&sealed(), other.public()), Err(Error::UntrustedKey { .. })));
        let keys = [other.public().clone(), key().public().clone()];
        assert_eq!(verify_any(&sealed(), &keys).unwrap().key(), key().public());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
            prop_assert!(parse_unverified(&bytes).is_err());
            let sealed = sealed();
            let mixed = [&sealed[..cut.min(sealed.len())], &bytes[..]].concat();
            if let Ok(envelope) = Envelope::parse(&mixed) {
                prop_assert_eq!(envelope.encode(), mixed);
            }
        }
    }
}
