//! Bundles of OpenSSF model-signing: read and written as the tool of that name does, and stricter.
//!
//! A bundle is a Sigstore bundle with a DSSE envelope over an in-toto statement that lists every file, or every shard of
//! every file, with its hash. Only signatures by key are judged (ECDSA on P-256, P-384, P-521); of a bundle with a
//! certificate the signature is checked with the key that the caller pins, its chain and its entries in transparency logs are
//! not looked at. Stricter than the tool: an envelope has exactly one signature, names stand once in JSON, shards cover their
//! files without gaps, links are never followed, and what the tool wrote before 1.0 (a mangled encoding) is refused unless
//! [`Options::legacy`] asks for it. It also reads what the tool writes and cannot read: shards, BLAKE2.
//!
//! What such a bundle does not say, it does not say here either: it has no version, so an older model with its own bundle
//! verifies ([`crate::seal`] refuses it), and what its list of ignored paths leaves out was never signed: a loader must not
//! read it.
//!
//! Sources: model-signing v1.1.1 (predicate `https://model_signing/signature/v1.0`); Sigstore bundle v0.3; in-toto Statement
//! v1; DSSE v1.0.2.

mod bundle;
mod hash;
mod legacy;
mod statement;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

pub use bundle::{Bundle, MEDIA_TYPE};
pub use hash::Hash;

use crate::difference::{Difference, Differences};
use crate::ecdsa::{EcPublicKey, EcSigningKey};
use crate::envelope::pae;
use crate::source::{Limits, Reading, Source};
use crate::{Error, PortablePath};
use bundle::Content;
use hash::Hasher;
use statement::{Shard, Statement};

/// Type of the signed bytes: an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is accepted beyond the letter.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Also accept what model-signing wrote before 1.0: a mangled encoding of what was signed, and its first predicate.
    pub legacy: bool,
    /// Files that are not part of the model though they lie in its directory, such as the bundle itself.
    pub beside: Vec<String>,
    /// How much is read.
    pub limits: Limits,
}

/// What a verified bundle said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// Name of the model: its directory's when it was signed. Nothing is compared with it.
    pub name: String,
    /// The hash of its files.
    pub hash: Hash,
    /// Length of shards in bytes, where files were hashed in shards.
    pub shard: Option<u64>,
    /// Files that were compared.
    pub files: usize,
    /// Paths that the signer left out: whatever lies there was not signed.
    pub ignored: Vec<String>,
    /// Files that no signature covers though the bundle leaves them unnamed: empty ones, which have no shards.
    pub unsigned: Vec<String>,
    /// SHA-256 over all digests, in hexadecimal digits: the statement's subject.
    pub digest: String,
    /// Whether it was in an encoding that only [`Options::legacy`] accepts.
    pub legacy: bool,
}

/// Verifies that `model` is what `key` signed.
///
/// # Errors
/// [`Error::Json`], [`Error::Bundle`] for a malformed bundle; [`Error::SignatureCount`] for other than one signature;
/// [`Error::UntrustedKey`] when its hint names another key; [`Error::Signature`]; [`Error::Legacy`]; [`Error::Differs`] with
/// every file that was added, changed or is missing; as [`Source::visit`].
pub fn verify<S: Source + ?Sized>(
    model: &S,
    bundle: &[u8],
    key: &EcPublicKey,
    options: &Options,
) -> Result<Report, Error> {
    let bundle = Bundle::parse(bundle)?;
    let (statement, legacy) = judge(&bundle, key, options.legacy)?;
    let differences = compare(model, &statement, options)?;
    if !differences.0.is_empty() {
        return Err(Error::Differs(Differences(differences.0)));
    }
    Ok(Report {
        name: statement.name,
        hash: statement.hash,
        shard: statement.shard,
        files: statement.files.len(),
        ignored: statement.ignored,
        unsigned: differences.1,
        digest: statement.digest,
        legacy,
    })
}

/// Verifies that `key` signed these bytes: a bundle with a signature over an artefact as it is.
///
/// Its entries in transparency logs, where it has some, are not looked at.
///
/// # Errors
/// [`Error::Json`], [`Error::Bundle`], [`Error::UntrustedKey`], [`Error::Signature`] as [`verify`].
pub fn verify_artifact(artifact: &[u8], bundle: &[u8], key: &EcPublicKey) -> Result<(), Error> {
    let bundle = Bundle::parse(bundle)?;
    bundle.expect_key(key)?;
    let Content::Message { digest, signature } = &bundle.content else {
        return Err(Error::Bundle { place: "messageSignature".into(), reason: "it is not there" });
    };
    if digest.as_ref().is_some_and(|digest| digest.as_slice() != Sha256::digest(artifact).as_slice()) {
        return Err(Error::Bundle { place: "messageDigest".into(), reason: "it is not the artefact's" });
    }
    if key.verifies(artifact, signature) { Ok(()) } else { Err(refused(key)) }
}

/// Signs every file of a model; `ignored` paths are left out, and named as such in what is signed.
///
/// # Errors
/// [`Error::Path`] for an ignored path that is not portable; as [`Source::visit`] and [`EcSigningKey::sign`].
pub fn sign<S: Source + ?Sized>(
    model: &S,
    name: &str,
    key: &EcSigningKey,
    hash: Hash,
    ignored: &[String],
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    for path in ignored {
        PortablePath::new(path)?;
    }
    let skip = |path: &str| ignored.iter().any(|ignored| lies_in(path, ignored));
    let reading = Reading { limits: *limits, skip: &skip, empty_folders: true };
    let mut files = BTreeMap::new();
    let mut hasher = Hasher::new(hash, None, limits.bytes);
    model.visit(&reading, &mut |path, _, file| {
        let shards = hasher.shards(file, &path)?;
        files.insert(path, shards);
        Ok(())
    })?;
    let payload = statement::write(name, hash, &files, ignored)?;
    let signature = key.sign(&pae(IN_TOTO, &payload))?;
    bundle::write(&payload, IN_TOTO, &signature, &key.public().hint()?)
}

/// Who signed, and what: everything that needs no file.
fn judge(bundle: &Bundle, key: &EcPublicKey, allow_legacy: bool) -> Result<(Statement, bool), Error> {
    let Content::Dsse { payload_type, payload, signatures } = &bundle.content else {
        return Err(Error::Bundle { place: "dsseEnvelope".into(), reason: "it is not there" });
    };
    let [signature] = signatures.as_slice() else {
        return Err(Error::SignatureCount { found: signatures.len() });
    };
    if payload_type != IN_TOTO {
        return Err(Error::Bundle { place: "payloadType".into(), reason: "it is not an in-toto statement" });
    }
    bundle.expect_key(key)?;
    let mut legacy = false;
    if !key.verifies(&pae(payload_type, payload), signature) {
        // Certificates were then used with SHA-256, whatever their curve.
        let mangled = legacy::pae(payload_type, payload);
        if !key.verifies(&mangled, signature) && !key.verifies_sha256(&mangled, signature) {
            return Err(refused(key));
        }
        legacy = true;
    }
    let statement = match legacy::is_first_predicate(payload)? {
        true => {
            legacy = true;
            legacy::statement(payload)?
        }
        false => Statement::parse(payload)?,
    };
    match legacy && !allow_legacy {
        true => Err(Error::Legacy { what: "an encoding of model-signing before 1.0" }),
        false => Ok((statement, legacy)),
    }
}

fn refused(key: &EcPublicKey) -> Error {
    Error::Signature { key: format!("{:?}", key.curve()) }
}

/// What differs, and empty files that nothing covers.
fn compare<S: Source + ?Sized>(
    model: &S,
    statement: &Statement,
    options: &Options,
) -> Result<(Vec<Difference>, Vec<String>), Error> {
    let skip = |path: &str| {
        options.beside.iter().any(|beside| beside == path)
            || statement.ignored.iter().any(|ignored| lies_in(path, ignored))
    };
    let reading = Reading { limits: options.limits, skip: &skip, empty_folders: true };
    let mut hasher = Hasher::new(statement.hash, statement.shard, options.limits.bytes);
    let mut missing: BTreeMap<&str, &[Shard]> =
        statement.files.iter().map(|(path, shards)| (&**path, shards.as_slice())).collect();
    let (mut differences, mut unsigned) = (Vec::new(), Vec::new());
    model.visit(&reading, &mut |path, about, file| {
        // A model that is one file is named `.`, not by its name.
        let sealed = missing.remove(path.as_str()).or_else(|| missing.remove("."));
        match sealed {
            None if about.length == 0 && statement.shard.is_some() => unsigned.push(path.to_string()),
            None => differences.push(Difference::Added { path: path.as_str().into(), length: about.length }),
            Some(sealed) => {
                if !hasher.is(file, sealed, &path)? {
                    differences.push(Difference::Content { path: path.as_str().into() });
                }
            }
        }
        Ok(())
    })?;
    differences.extend(missing.into_keys().map(|path| Difference::Gone { path: path.into() }));
    differences.sort_by(|a, b| a.path().cmp(b.path()));
    Ok((differences, unsigned))
}

/// Whether `path` is `folder` or below it.
fn lies_in(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecdsa::Curve;
    use twinguard_types::Digest;

    fn model() -> twinguard_types::Bundle {
        let mut model = twinguard_types::Bundle::new(Digest::default());
        model.insert("weights.bin", vec![7; 3000]);
        model.insert("a/b.bin", b"x".to_vec());
        model.insert("a b/c.txt", b"y".to_vec());
        model.insert(".git/config", b"left out".to_vec());
        model
    }

    fn key(curve: Curve) -> EcSigningKey {
        EcSigningKey::from_random(curve, &[9; 66]).unwrap()
    }

    #[test]
    fn what_is_signed_verifies_and_every_bit_of_the_model_counts() {
        for (curve, hash) in
            [(Curve::P256, Hash::Sha256), (Curve::P384, Hash::Blake3), (Curve::P521, Hash::Blake2b)]
        {
            let key = key(curve);
            let ignored = [".git".to_owned()];
            let bundle = sign(&model(), "m", &key, hash, &ignored, &Limits::default()).unwrap();
            let report = verify(&model(), &bundle, &key.public(), &Options::default()).unwrap();
            assert_eq!((report.files, report.hash, report.legacy), (3, hash, false));
            let mut other = model();
            other.insert("a/b.bin", b"X".to_vec());
            other.insert("a/new", b"".to_vec());
            match verify(&other, &bundle, &key.public(), &Options::default()) {
                Err(Error::Differs(found)) => assert_eq!(found.0.len(), 2),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_bit_of_a_bundle_changes_what_is_said() {
        let key = key(Curve::P256);
        let bundle = sign(&model(), "m", &key, Hash::Sha256, &[], &Limits::default()).unwrap();
        let said = verify(&model(), &bundle, &key.public(), &Options::default()).unwrap();
        for bit in (0..bundle.len() * 8).step_by(11) {
            let mut flipped = bundle.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Names and hints outside the signature may change without effect; what is signed may not.
            if let Ok(found) = verify(&model(), &flipped, &key.public(), &Options::default()) {
                assert_eq!(found, said, "bit {bit}");
            }
        }
    }

    #[test]
    fn paths_below_an_ignored_one_are_ignored_and_no_others() {
        assert!(lies_in(".git", ".git/") && lies_in(".git/x", ".git") && !lies_in(".gitx", ".git"));
    }
}
