//! What model-signing wrote before 1.0, readable on demand only: its encodings are ambiguous, or mangled.
//!
//! Source: model-signing v1.1.1 `sign_sigstore_pb.pae_compat` (text of a Python `bytes` literal instead of the bytes,
//! `DSSEV1` instead of `DSSEv1`) and `signing.dsse_payload_to_manifest_compat` (predicate
//! `https://model_signing/Digests/v0.1`, each file a subject). Python language reference, `bytes.__repr__`.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::bundle::{malformed, member, text};
use super::hash::Hash;
use super::statement::{Shard, Statement, expect};
use crate::{Error, PortablePath, json};

const FIRST: &str = "https://model_signing/Digests/v0.1";

/// What was signed instead of the pre-authentication encoding.
pub(super) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let quote = if payload.contains(&b'\'') && !payload.contains(&b'"') { b'"' } else { b'\'' };
    let mut text = format!("DSSEV1 {} {payload_type} {} b", payload_type.len(), payload.len()).into_bytes();
    text.push(quote);
    for &byte in payload {
        match byte {
            b'\\' => text.extend(b"\\\\"),
            b'\t' => text.extend(b"\\t"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            byte if byte == quote => text.extend([b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            byte => text.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    text.push(quote);
    text
}

pub(super) fn is_first_predicate(payload: &[u8]) -> Result<bool, Error> {
    Ok(text(&json::parse(payload)?, "/predicateType")? == FIRST)
}

/// A statement of the first predicate: files are the subjects, all hashed with SHA-256.
pub(super) fn statement(payload: &[u8]) -> Result<Statement, Error> {
    let value = json::parse(payload)?;
    expect(&value, "/predicateType", FIRST)?;
    let subjects = member(&value, "/subject")?.as_array();
    let subjects = subjects.ok_or_else(|| malformed("/subject", "it is not a list"))?;
    let mut files: BTreeMap<Box<str>, Vec<Shard>> = BTreeMap::new();
    let mut all = Sha256::new();
    for subject in subjects {
        let path = PortablePath::new(text(subject, "/name")?)?;
        let digest = HEXLOWER.decode(text(subject, "/digest/sha256")?.as_bytes()).ok();
        let digest = digest.filter(|digest| digest.len() == Hash::Sha256.length());
        let digest = digest.ok_or_else(|| malformed("/subject/digest", "it is not a SHA-256 hash"))?;
        all.update(&digest);
        if files.insert(path.as_str().into(), vec![Shard { start: 0, end: None, digest }]).is_some() {
            return Err(malformed("/subject", "a file stands twice"));
        }
    }
    let digest = HEXLOWER.encode(&all.finalize());
    Ok(Statement { name: String::new(), hash: Hash::Sha256, shard: None, ignored: vec![], files, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_python_shows_them() {
        assert_eq!(pae("t", b"{\"a\": '\\\n\xc3}"), br#"DSSEV1 1 t 11 b'{"a": \'\\\n\xc3}'"#);
        assert_eq!(pae("t", b"it's"), br#"DSSEV1 1 t 4 b"it's""#);
    }
}
