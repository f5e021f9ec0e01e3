//! Published vectors, enumerated from the data folder: Merkle proofs, Ed25519, BLAKE3, signed notes, checkpoints, a real log.
//!
//! `TWINGUARD_DATA` names the folder, `../shared/data` beside the repository is the default; without it every test is
//! reported as ignored by name.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic
)]

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE as HEX};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use twinguard_integrity::merkle::{Frontier, Nodes, leaf_hash, node_hash};
use twinguard_integrity::note::Note;
use twinguard_integrity::tree::{self, Group, Tree};
use twinguard_integrity::{Checkpoint, Cosigner, Entry, Error, PortablePath, PublicKey, Witness, merkle};
use twinguard_types::Digest;

type Check = fn(&Path) -> Result<usize, Failed>;

/// Which files of `integrity/` each check reads, by folder and end of name.
const CHECKS: &[(&str, &str, Check)] = &[
    ("merkle", "/inclusion.jsonl", inclusion),
    ("merkle", "/consistency.jsonl", consistency),
    ("merkle", "/large-proofs.jsonl", large_proofs),
    ("merkle", "/subtreeinclusion.jsonl", subtree_inclusion),
    ("merkle", "/subtreeconsistency.jsonl", subtree_consistency),
    ("wycheproof", "ed25519_test.json", wycheproof_ed25519),
    #[cfg(feature = "pq")]
    ("wycheproof", "mldsa_44_verify_test.json", wycheproof_mldsa),
    ("bao", "test_vectors.json", bao_vectors),
    ("blake3", "test_vectors.json", blake3_vectors),
    ("c2sp", ".md", notes_in_text),
    ("torchwood", ".txt", notes_in_text),
    ("torchwood", "litewitness.txt", litewitness),
    ("torchwood", "sumdb.txt", litewitness),
    ("azul", "get-sth", real_log),
];

fn main() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from)
        .join("integrity");
    let mut trials = Vec::new();
    for (folder, end, check) in CHECKS {
        let mut files = Vec::new();
        collect(&root.join(folder), end, &mut files);
        files.sort();
        if files.is_empty() {
            let name = format!("integrity/{folder}/**{end}");
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
        }
        for path in files {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            trials.push(Trial::test(name, move || match check(&path)? {
                0 => Err("the file holds no case".into()),
                _ => Ok(()),
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn collect(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, end, found);
        } else if path.to_str().is_some_and(|path| path.ends_with(end)) {
            found.push(path);
        }
    }
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A hash in base64 or hexadecimal digits; nothing for one of another length, which a verifier by type cannot be given.
fn digest(value: &Value) -> Option<Digest> {
    let text = value.as_str()?;
    let bytes = if text.len() == 64 { HEX.decode(text.as_bytes()) } else { BASE64.decode(text.as_bytes()) };
    bytes.ok()?.try_into().ok().map(Digest)
}

fn proof(value: &Value) -> Option<Vec<Digest>> {
    value.as_array().map_or(Some(vec![]), |hashes| hashes.iter().map(digest).collect())
}

fn judge(case: &Value, accepted: bool) -> Result<(), Failed> {
    match case["wantErr"].as_bool() {
        Some(refused) if refused != accepted => Ok(()),
        _ => Err(format!("{}: accepted {accepted}", case["desc"]).into()),
    }
}

fn inclusion(path: &Path) -> Result<usize, Failed> {
    let cases = lines(path);
    for case in &cases {
        let (index, size) = (case["leafIdx"].as_u64().unwrap(), case["treeSize"].as_u64().unwrap());
        let parts = (digest(&case["leafHash"]), proof(&case["proof"]), digest(&case["root"]));
        let (Some(leaf), Some(proof), Some(root)) = parts else {
            judge(case, false)?;
            continue;
        };
        judge(case, merkle::verify_inclusion(index, size, &leaf, &proof, &root).is_ok())?;
    }
    Ok(cases.len())
}

fn consistency(path: &Path) -> Result<usize, Failed> {
    let cases = lines(path);
    for case in &cases {
        let (old, size) = (case["size1"].as_u64().unwrap(), case["size2"].as_u64().unwrap());
        let parts = (digest(&case["root1"]), digest(&case["root2"]), proof(&case["proof"]));
        let (Some(before), Some(after), Some(proof)) = parts else {
            judge(case, false)?;
            continue;
        };
        judge(case, merkle::verify_consistency((old, &before), (size, &after), &proof).is_ok())?;
    }
    Ok(cases.len())
}

fn subtree_inclusion(path: &Path) -> Result<usize, Failed> {
    let cases = lines(path);
    for case in &cases {
        let number = |name: &str| case[name].as_u64().unwrap();
        let parts = (digest(&case["leafHash"]), proof(&case["proof"]), digest(&case["root"]));
        let (Some(leaf), Some(proof), Some(root)) = parts else {
            judge(case, false)?;
            continue;
        };
        let subtree = number("start")..number("end");
        judge(
            case,
            merkle::verify_subtree_inclusion(number("leafIdx"), subtree, &leaf, &proof, &root).is_ok(),
        )?;
    }
    Ok(cases.len())
}

fn subtree_consistency(path: &Path) -> Result<usize, Failed> {
    let cases = lines(path);
    for case in &cases {
        let number = |name: &str| case[name].as_u64().unwrap();
        let parts = (digest(&case["root1"]), digest(&case["root2"]), proof(&case["proof"]));
        let (Some(part), Some(root), Some(proof)) = parts else {
            judge(case, false)?;
            continue;
        };
        let subtree = (number("start")..number("end"), &part);
        judge(case, merkle::verify_subtree_consistency(subtree, (number("size"), &root), &proof).is_ok())?;
    }
    Ok(cases.len())
}

/// Leaves `prefix/0`, `prefix/1`, … of a generated log.
struct Generated(Vec<Digest>);

impl Nodes for Generated {
    fn node(&self, height: u32, index: u64) -> Result<Digest, Error> {
        let start = (index << height) as usize;
        let mut level = self.0[start..start + (1 << height)].to_vec();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(level[0])
    }
}

/// Proofs of another implementation: ours verify them, and where the leaves can be told, makes the same ones.
fn large_proofs(path: &Path) -> Result<usize, Failed> {
    let cases = lines(path);
    for case in &cases {
        let size = case["size"].as_u64().unwrap_or_default();
        let (proof, root) = (proof(&case["proof"]).unwrap(), digest(&case["root"]));
        match case["type"].as_str() {
            Some("inclusion") => {
                let index = case["index"].as_u64().unwrap();
                let leaf = case["leaf"].as_str().unwrap();
                let root = root.unwrap();
                merkle::verify_inclusion(index, size, &leaf_hash(leaf.as_bytes()), &proof, &root)?;
                let prefix = leaf.strip_suffix(&format!("/{index}")).ok_or("leaf of another form")?;
                if size <= 100_000 {
                    let leaves =
                        Generated((0..size).map(|n| leaf_hash(format!("{prefix}/{n}").as_bytes())).collect());
                    let mut frontier = Frontier::default();
                    leaves.0.iter().for_each(|leaf| frontier.push(*leaf));
                    if frontier.root() != root || merkle::inclusion_proof(&leaves, index, size)? != proof {
                        return Err(format!("another root or proof for {index} of {size}").into());
                    }
                }
            }
            Some("consistency") => {
                let pick = |names: [&str; 3]| {
                    names.iter().map(|name| &case[*name]).find(|value| !value.is_null()).cloned()
                };
                let old =
                    pick(["old_size", "size1", "old"]).and_then(|v| v.as_u64()).ok_or(case.to_string())?;
                let new =
                    pick(["new_size", "size2", "size"]).and_then(|v| v.as_u64()).ok_or(case.to_string())?;
                let before = pick(["old_root", "root1", "oldRoot"])
                    .as_ref()
                    .and_then(digest)
                    .ok_or(case.to_string())?;
                let after =
                    pick(["new_root", "root2", "root"]).as_ref().and_then(digest).ok_or(case.to_string())?;
                merkle::verify_consistency((old, &before), (new, &after), &proof)?;
            }
            other => return Err(format!("unknown type {other:?}").into()),
        }
    }
    Ok(cases.len())
}

/// `valid` must verify, `invalid` must not; `acceptable` may do either.
fn wycheproof_ed25519(path: &Path) -> Result<usize, Failed> {
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let mut cases = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = HEX.decode(group["publicKey"]["pk"].as_str().unwrap().as_bytes())?;
        let key = key.as_slice().try_into().ok().and_then(|key| PublicKey::from_bytes("w", key).ok());
        for case in group["tests"].as_array().unwrap() {
            cases += 1;
            let message = HEX.decode(case["msg"].as_str().unwrap().as_bytes())?;
            let signature = HEX.decode(case["sig"].as_str().unwrap().as_bytes())?;
            let signature: Option<[u8; 64]> = signature.try_into().ok();
            let accepted = match (&key, signature) {
                (Some(key), Some(signature)) => key.verifies(&message, &signature),
                _ => false,
            };
            let wanted = match case["result"].as_str() {
                Some("valid") => true,
                Some("invalid") => false,
                _ => accepted,
            };
            if accepted != wanted {
                return Err(format!("case {}: {} accepted {accepted}", case["tcId"], case["comment"]).into());
            }
        }
    }
    Ok(cases)
}

/// As for Ed25519, with contexts.
#[cfg(feature = "pq")]
fn wycheproof_mldsa(path: &Path) -> Result<usize, Failed> {
    use twinguard_integrity::mldsa::{MlDsaPublicKey, ParameterSet};
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let mut cases = 0;
    let digits = |value: &Value| HEX.decode(value.as_str().unwrap_or_default().as_bytes());
    for group in file["testGroups"].as_array().unwrap() {
        let key = MlDsaPublicKey::from_bytes(ParameterSet::MlDsa44, &digits(&group["publicKey"])?);
        for case in group["tests"].as_array().unwrap() {
            cases += 1;
            let (message, context, signature) =
                (digits(&case["msg"])?, digits(&case["ctx"])?, digits(&case["sig"])?);
            let accepted = key.as_ref().is_ok_and(|key| key.verifies_in(&message, &context, &signature));
            if case["result"]
                .as_str()
                .is_some_and(|result| (result == "valid") != accepted && result != "acceptable")
            {
                return Err(format!("case {}: {} accepted {accepted}", case["tcId"], case["comment"]).into());
            }
        }
    }
    Ok(cases)
}

/// Plain hashes through our entries. (Keyed and derived ones are the crate's own business.)
fn blake3_vectors(path: &Path) -> Result<usize, Failed> {
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let length = case["input_len"].as_u64().unwrap() as usize;
        let input: Vec<u8> = (0..251).cycle().take(length).collect();
        let entry = Entry::of(PortablePath::new("a")?, &input);
        if !case["hash"].as_str().unwrap().starts_with(&entry.digest.to_string()) {
            return Err(format!("another hash for length {length}").into());
        }
    }
    Ok(cases.len())
}

/// Roots, combined and outboard encodings, slices, and where a flipped byte has to be found.
fn bao_vectors(path: &Path) -> Result<usize, Failed> {
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let input = |case: &Value| -> Vec<u8> {
        (1u32..).flat_map(u32::to_le_bytes).take(case["input_len"].as_u64().unwrap() as usize).collect()
    };
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let places = |list: &Value| -> Vec<usize> {
        list.as_array().unwrap().iter().map(|at| at.as_u64().unwrap() as usize).collect()
    };
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let mut cases = 0;
    for kind in ["hash", "encode", "outboard", "slice"] {
        for case in file[kind].as_array().unwrap() {
            cases += 1;
            let input = input(case);
            let tree = Tree::of(&input, Group::CHUNK);
            assert_eq!(tree.root().to_string(), case["bao_hash"].as_str().unwrap());
            match kind {
                "encode" => {
                    let whole = tree::slice(&tree, &input, 0..u64::MAX)?;
                    assert_eq!(hash(&whole), case["encoded_blake3"].as_str().unwrap());
                    for at in places(&case["corruptions"]) {
                        let read =
                            tree::open_slice(&flipped(&whole, at), 0..u64::MAX, Group::CHUNK, &tree.root());
                        assert!(read.is_err(), "{case} {at}");
                    }
                }
                "outboard" => {
                    let outboard = tree.to_outboard();
                    assert_eq!(hash(&outboard), case["encoded_blake3"].as_str().unwrap());
                    let read = |outboard: &[u8], input: &[u8]| {
                        let tree = Tree::from_outboard(outboard, Group::CHUNK, &tree.root())?;
                        let read =
                            std::io::Read::read_to_end(&mut tree::Verified::new(input, &tree), &mut vec![]);
                        read.map_err(|_| Error::Broken)
                    };
                    assert_eq!(read(&outboard, &input)?, input.len());
                    for at in places(&case["outboard_corruptions"]) {
                        assert!(read(&flipped(&outboard, at), &input).is_err(), "{case} {at}");
                    }
                    for at in places(&case["input_corruptions"]) {
                        assert!(read(&outboard, &flipped(&input, at)).is_err(), "{case} {at}");
                    }
                }
                "slice" => {
                    for part in case["slices"].as_array().unwrap() {
                        let (start, len) = (part["start"].as_u64().unwrap(), part["len"].as_u64().unwrap());
                        let range = start..start.saturating_add(len);
                        let slice = tree::slice(&tree, &input, range.clone())?;
                        assert_eq!(slice.len() as u64, part["output_len"].as_u64().unwrap(), "{part}");
                        assert_eq!(hash(&slice), part["output_blake3"].as_str().unwrap(), "{part}");
                        for at in places(&part["corruptions"]) {
                            let read = tree::open_slice(
                                &flipped(&slice, at),
                                range.clone(),
                                Group::CHUNK,
                                &tree.root(),
                            );
                            assert!(read.is_err(), "{part} {at}");
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(cases)
}

/// Notes in a text: every one must read; those whose key the text names as vkey must verify, and must not when altered.
fn notes_in_text(path: &Path) -> Result<usize, Failed> {
    let text = fs::read_to_string(path)?;
    let keys: Vec<PublicKey> =
        text.split_whitespace().filter_map(|word| word.trim_matches('`').parse().ok()).collect();
    let (mut read, mut named, mut verified) = (0, 0, 0);
    for block in text
        .split("```")
        .flat_map(|block| [Some(block), block.split_once("\n\n").map(|(_, rest)| rest)])
        .flatten()
    {
        let note = block.trim_start_matches('\n');
        if !note.contains("\n\n— ") || note.contains("[...]") {
            continue;
        }
        let Ok(parsed) = Note::parse(note) else { continue };
        read += 1;
        for key in &keys {
            named += usize::from(note.contains(&format!("\n— {} ", key.name())));
            if let Ok(body) = parsed.verify(key) {
                verified += 1;
                let altered = note.replacen(body.get(..4).unwrap(), "xxxx", 1);
                assert!(Note::parse(&altered).and_then(|note| note.verify(key).map(drop)).is_err());
                if body.lines().nth(1).is_some_and(|size| size.parse::<u64>().is_ok()) {
                    assert_eq!(Checkpoint::parse(body)?.to_string(), body);
                    Checkpoint::verify_any_origin(note, key)?;
                }
            }
        }
    }
    // A text without notes is no failure; one that names a key for one of its notes must hold one that verifies.
    if named > 0 && verified == 0 {
        return Err(format!("{named} notes name a key, none verifies").into());
    }
    Ok(read.max(1))
}

/// The requests of another witness's tests, with the status and body that it answers.
///
/// One answer differs: for an unknown log it says 403, where tlog-witness, "add-checkpoint", says 404 MUST.
fn litewitness(path: &Path) -> Result<usize, Failed> {
    let text = fs::read_to_string(path)?;
    let mut witness = Witness::new([Cosigner::ed25519("example.com/witness", &[9; 32])?]);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let Some(key) = line.split_once("add-sigsum-log -key=").map(|(_, key)| key) {
            let bytes: [u8; 32] = HEX.decode(key.as_bytes())?.try_into().map_err(|_| "no key")?;
            let origin =
                format!("sigsum.org/v1/tree/{}", HEX.encode(&<[u8; 32]>::from(Sha256::digest(bytes))));
            witness.add_log(&origin, [PublicKey::from_bytes(&origin, &bytes)?]);
        } else if line.contains("witnessctl add-key") {
            let origin = line.split('\'').nth(1).ok_or("no origin")?;
            witness.add_log(origin, [words.last().ok_or("no key")?.parse()?]);
        }
    }
    let mut cases = 0;
    for case in text.split("\nPOST ").skip(1) {
        cases += 1;
        let (_, rest) = case.split_once("```\n").ok_or("no request")?;
        let (request, answer) = rest.split_once("```\n").ok_or("no end of request")?;
        let wanted: u16 = answer.split_whitespace().nth(1).ok_or("no status")?.parse()?;
        match witness.add_checkpoint(request, 1_700_000_000, |_| Ok(())) {
            Ok(lines) => {
                let asked = answer.split('"').nth(1).unwrap_or_default();
                if wanted != 200 || !lines.contains(asked) {
                    return Err(format!("case {cases}: cosigned, {wanted} is wanted").into());
                }
            }
            Err(error) => {
                let found = twinguard_integrity::witness::status(&error);
                let unknown_log = wanted == 403 && answer.contains("unknown log") && found == 404;
                if found != wanted && !unknown_log {
                    return Err(format!("case {cases}: {error}: {found}, {wanted} is wanted").into());
                }
                if let Error::Conflict { size } = error
                    && !answer.contains(&format!("\"{size}\\n\""))
                {
                    return Err(format!("case {cases}: another size than {size}").into());
                }
            }
        }
    }
    Ok(cases)
}

/// A certificate log's head, an entry with its audit path, and a consistency proof, as they were fetched.
fn real_log(path: &Path) -> Result<usize, Failed> {
    let folder = path.parent().unwrap();
    let read = |part: &str| -> Option<(String, Value)> {
        let files = fs::read_dir(folder).unwrap().flatten();
        let file = files
            .map(|file| file.path())
            .find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(part))?;
        let name = file.file_name()?.to_str()?.to_owned();
        Some((name, serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?))
    };
    let (_, head) = (String::new(), serde_json::from_str::<Value>(&fs::read_to_string(path)?)?);
    let (size, root) = (head["tree_size"].as_u64().unwrap(), digest(&head["sha256_root_hash"]).unwrap());
    let (_, entries) = read("get-entries").ok_or("no entries")?;
    let (_, audit) = read("get-proof-by-hash").ok_or("no proof")?;
    let leaf = leaf_hash(&BASE64.decode(entries["entries"][0]["leaf_input"].as_str().unwrap().as_bytes())?);
    let path = proof(&audit["audit_path"]).unwrap();
    merkle::verify_inclusion(audit["leaf_index"].as_u64().unwrap(), size, &leaf, &path, &root)?;

    // The earlier root is not in the set: the proof itself determines it, and must lead to the present one.
    let (name, file) = read("get-sth-consistency").ok_or("no consistency proof")?;
    let numbers: Vec<u64> = name.split('-').filter_map(|word| word.parse().ok()).collect();
    let hashes = proof(&file["consistency"]).unwrap();
    let refused = merkle::verify_consistency((numbers[0], &root), (numbers[1], &root), &hashes).unwrap_err();
    match refused {
        Error::Proof { reason: "another old root comes out", .. } => Ok(2),
        other => Err(other.to_string().into()),
    }
}
