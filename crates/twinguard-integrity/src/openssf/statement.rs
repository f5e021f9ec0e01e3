//! The in-toto statement of a model: which files, or shards of files, have which hash.
//!
//! Source: in-toto Statement v1; model-signing v1.1.1 `manifest.py` and `signing.py` (predicate v1.0). The subject's digest is
//! SHA-256 over all digests as bytes, in the order of the list.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::bundle::{malformed, member, text};
use super::hash::Hash;
use crate::{Error, PortablePath, json};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";

/// A stretch of a file with its digest; a whole file is one stretch without a known end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) start: u64,
    pub(super) end: Option<u64>,
    pub(super) digest: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) name: String,
    pub(super) hash: Hash,
    pub(super) shard: Option<u64>,
    pub(super) ignored: Vec<String>,
    /// Path, or `.` for a model that is one file, to its shards in order.
    pub(super) files: BTreeMap<Box<str>, Vec<Shard>>,
    pub(super) digest: String,
}

impl Statement {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Error> {
        let value = json::parse(payload)?;
        expect(&value, "/_type", STATEMENT)?;
        expect(&value, "/predicateType", PREDICATE)?;
        if member(&value, "/subject")?.as_array().is_none_or(|subjects| subjects.len() != 1) {
            return Err(malformed("/subject", "it is not a list of one"));
        }
        let name = text(&value, "/subject/0/name")?.to_owned();
        let digest = text(&value, "/subject/0/digest/sha256")?.to_owned();
        let rules = member(&value, "/predicate/serialization")?;
        let hash = Hash::named(text(rules, "/hash_type")?)
            .ok_or_else(|| malformed("/predicate/serialization/hash_type", "it is not known"))?;
        let shard = match text(rules, "/method")? {
            "files" => None,
            "shards" => Some(shard_size(member(rules, "/shard_size")?)?),
            _ => return Err(malformed("/predicate/serialization/method", "it is not `files` or `shards`")),
        };
        let ignored = ignored(rules.get("ignore_paths"))?;
        let resources = member(&value, "/predicate/resources")?.as_array();
        let resources = resources.ok_or_else(|| malformed("/predicate/resources", "it is not a list"))?;
        let mut files: BTreeMap<Box<str>, Vec<Shard>> = BTreeMap::new();
        let mut all = Sha256::new();
        for resource in resources {
            let (path, shard) = resource_of(resource, hash, shard)?;
            all.update(&shard.digest);
            files.entry(path.into()).or_default().push(shard);
        }
        if HEXLOWER.encode(&all.finalize()) != digest {
            return Err(malformed("/subject/0/digest", "it is not the digest of the resources"));
        }
        for shards in files.values_mut() {
            shards.sort_by_key(|shard| shard.start);
            if shard.is_some_and(|size| !whole(shards, size)) || (shard.is_none() && shards.len() != 1) {
                return Err(malformed(
                    "/predicate/resources",
                    "a file stands twice, or its shards have gaps",
                ));
            }
        }
        Ok(Self { name, hash, shard, ignored, files, digest })
    }
}

pub(super) fn expect(value: &Value, place: &str, wanted: &str) -> Result<(), Error> {
    if text(value, place)? == wanted { Ok(()) } else { Err(malformed(place, "it is of another kind")) }
}

/// Paths that a signer left out. Those that are not below the model (the tool records some) leave nothing out.
fn ignored(list: Option<&Value>) -> Result<Vec<String>, Error> {
    const PLACE: &str = "/predicate/serialization/ignore_paths";
    let Some(list) = list else { return Ok(vec![]) };
    let list = list.as_array().ok_or_else(|| malformed(PLACE, "it is not a list"))?;
    let path =
        |path: &Value| path.as_str().map(str::to_owned).ok_or_else(|| malformed(PLACE, "it holds no text"));
    list.iter().map(path).collect()
}

/// The tool writes a whole number as a double.
fn shard_size(value: &Value) -> Result<u64, Error> {
    let double = value.as_f64().filter(|size| size.fract() == 0.0 && (1.0..=9e15).contains(size));
    double
        .map(|size| size as u64)
        .ok_or_else(|| malformed("/predicate/serialization/shard_size", "it is no length"))
}

fn resource_of(resource: &Value, hash: Hash, shard: Option<u64>) -> Result<(&str, Shard), Error> {
    let name = text(resource, "/name")?;
    let digest = HEXLOWER.decode(text(resource, "/digest")?.as_bytes()).ok();
    let digest = digest.filter(|digest| digest.len() == hash.length());
    let digest =
        digest.ok_or_else(|| malformed("/predicate/resources/digest", "it is not of the hash's length"))?;
    let algorithm = match shard {
        None => hash.name().to_owned(),
        Some(size) => format!("{}-sharded-{size}", hash.name()),
    };
    expect(resource, "/algorithm", &algorithm)?;
    let (path, start, end) = match shard {
        None => (name, 0, None),
        Some(_) => {
            let mut parts = name.rsplitn(3, ':');
            let end = parts.next().and_then(|end| end.parse().ok());
            let start = parts.next().and_then(|start| start.parse().ok());
            match (parts.next(), start, end) {
                (Some(path), Some(start), Some(end)) => (path, start, Some(end)),
                _ => return Err(malformed("/predicate/resources/name", "it is not `path:start:end`")),
            }
        }
    };
    if path != "." {
        PortablePath::new(path)?;
    }
    Ok((path, Shard { start, end, digest }))
}

/// Whether shards follow each other from the start, all but the last of full length.
fn whole(shards: &[Shard], size: u64) -> bool {
    let mut next = 0u64;
    shards.iter().enumerate().all(|(at, shard)| {
        let length = shard.end.unwrap_or_default().saturating_sub(shard.start);
        let fits = if at + 1 == shards.len() { (1..=size).contains(&length) } else { length == size };
        let follows = shard.start == next;
        next = next.saturating_add(length);
        fits && follows
    })
}

/// The statement of whole files, names in the order of the tool: by each name of a path.
pub(super) fn write(
    name: &str,
    hash: Hash,
    files: &BTreeMap<PortablePath, Vec<Shard>>,
    ignored: &[String],
) -> Result<Vec<u8>, Error> {
    let mut files: Vec<_> = files.iter().map(|(path, shards)| (path.as_str(), shards)).collect();
    files.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    let mut all = Sha256::new();
    let mut resources = Vec::new();
    for (path, shards) in files {
        for shard in shards {
            all.update(&shard.digest);
            let digest = HEXLOWER.encode(&shard.digest);
            resources.push(json!({ "algorithm": hash.name(), "name": path, "digest": digest }));
        }
    }
    let mut rules = json!({ "method": "files", "hash_type": hash.name(), "allow_symlinks": false });
    if let (false, Some(rules)) = (ignored.is_empty(), rules.as_object_mut()) {
        rules.insert("ignore_paths".to_owned(), ignored.into());
    }
    let statement = json!({
        "_type": STATEMENT,
        "subject": [{ "name": name, "digest": { "sha256": HEXLOWER.encode(&all.finalize()) } }],
        "predicateType": PREDICATE,
        "predicate": { "serialization": rules, "resources": resources },
    });
    json::canonical(&statement).map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_a_file_without_gap_or_overlap() {
        let shards = |ends: &[(u64, u64)]| -> Vec<Shard> {
            ends.iter().map(|&(start, end)| Shard { start, end: Some(end), digest: vec![] }).collect()
        };
        assert!(whole(&shards(&[(0, 8), (8, 16), (16, 17)]), 8));
        for bad in [
            &[(0, 8), (9, 16)][..],
            &[(0, 9)],
            &[(0, 7), (7, 8)],
            &[(8, 16)],
            &[(0, 8), (8, 8)],
            &[(0, 8), (0, 8)],
        ] {
            assert!(!whole(&shards(bad), 8), "{bad:?}");
        }
    }
}
