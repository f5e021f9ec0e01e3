//! A signed manifest: who vouches for which files of which version.
//!
//! The file is a DSSE envelope in its one form, with one or more signatures over the manifest's bytes, of the type
//! `application/vnd.twinguard.seal.v1`. Who has to sign, with what, is decided by whoever verifies, never by the seal.
//!
//! Sources: DSSE v1.0.2, protocol and envelope; RFC 8032; [`crate::Manifest`] for the payload.

use core::ops::Deref;

use crate::difference::{Difference, Differences};
use crate::envelope::Envelope;
use crate::signature::{Role, Signer, VerifyingKey};
use crate::source::{self, Limits, Source};
use crate::{Entry, Error, Holder, Manifest, PublicKey, SigningKey};

/// Media type of the signed bytes, [`Manifest::encode`].
pub const PAYLOAD_TYPE: &str = "application/vnd.twinguard.seal.v1";

/// A manifest whose signatures were checked; [`verify`] and its like alone make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedManifest {
    manifest: Manifest,
    signers: Vec<Holder>,
}

impl SealedManifest {
    /// Those who signed and count.
    #[must_use]
    pub fn signers(&self) -> &[Holder] {
        &self.signers
    }

    /// The first key of the first of them.
    ///
    /// # Errors
    /// [`Error::Policy`], which no manifest that was checked gives.
    pub fn key(&self) -> Result<&VerifyingKey, Error> {
        let key = self.signers.first().and_then(|holder| holder.keys().first());
        key.ok_or(Error::Policy { reason: "nobody signed" })
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

    /// Accepts exactly the sealed files, hashed in constant memory; what the seal excludes is not looked at.
    ///
    /// # Errors
    /// As [`SealedManifest::check`] and [`source::entries`].
    pub fn check_source<S: Source + ?Sized>(&self, source: &S, limits: &Limits) -> Result<(), Error> {
        self.check(source::entries_except(source, limits, &|path| self.manifest.excludes(path))?)
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
    sign(&Manifest::new(series, version, entries)?, &[key])
}

/// Seals a manifest with every signer.
///
/// # Errors
/// [`Error::SignatureCount`] without a signer or with more than 16; as [`Signer::sign_message`].
pub fn sign(manifest: &Manifest, signers: &[&dyn Signer]) -> Result<Vec<u8>, Error> {
    Ok(Envelope::sign(PAYLOAD_TYPE, manifest.encode(), signers)?.encode(PAYLOAD_TYPE))
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

/// [`verify`] with several trusted keys, of which one has to have signed.
///
/// # Errors
/// As [`verify`]; [`Error::Policy`] without a key or with one twice.
pub fn verify_any(seal: &[u8], keys: &[PublicKey]) -> Result<SealedManifest, Error> {
    verify_role(seal, &Role::new(keys.iter().cloned().map(Holder::from), 1)?)
}

/// Checks that enough of a role's holders signed, each with all of their keys.
///
/// # Errors
/// As [`verify`]; [`Error::Threshold`] for too few; [`Error::Stripped`] when one of a holder's signatures is not there.
pub fn verify_role(seal: &[u8], role: &Role) -> Result<SealedManifest, Error> {
    let envelope = Envelope::parse(seal, PAYLOAD_TYPE)?;
    let (payload, signers) = envelope.judge(PAYLOAD_TYPE, role)?;
    let signers = signers.into_iter().cloned().collect();
    Ok(SealedManifest { manifest: Manifest::parse(payload)?, signers })
}

/// Reads a seal **without** checking its signature: for people who look at files, never for a decision.
///
/// # Errors
/// [`Error::Seal`] for anything that [`create`] does not write.
pub fn parse_unverified(seal: &[u8]) -> Result<Manifest, Error> {
    Manifest::parse(Envelope::parse(seal, PAYLOAD_TYPE)?.unverified())
}

/// What changed between two seals, or between a seal and files; see [`Manifest::diff`].
#[must_use]
pub fn diff(before: &Manifest, after: Vec<Entry>) -> Vec<Difference> {
    before.diff(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortablePath;
    use crate::base64;

    fn key() -> SigningKey {
        SigningKey::from_seed("test.example/key", &[1; 32]).unwrap()
    }

    fn sealed() -> Vec<u8> {
        let entry = |path: &str| Entry::of(PortablePath::new(path).unwrap(), path.as_bytes());
        create(vec![entry("plant.toml"), entry("history/a.csv")], "plant", 7, &key()).unwrap()
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
        assert_eq!(*verify_any(&sealed(), &keys).unwrap().key().unwrap(), key().public().clone().into());
    }
}
