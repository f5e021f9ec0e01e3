//! Bundles and vectors of others, enumerated from the data folder: samples of model-signing with their index, fixtures of its
//! repository, bundles of sigstore-conformance with managed keys, JSON, Wycheproof.
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

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_integrity::ecdsa::{Curve, EcPublicKey};
use twinguard_integrity::openssf::{self, Options};
use twinguard_integrity::source::{OneFile, Source};
use twinguard_integrity::{Error, json};

type Check = fn(&Path) -> Result<(), Failed>;

/// Files of `integrity/`, by folder and end of name, and what is done with each.
const CHECKS: &[(&str, &str, Check)] = &[
    ("jcs", "adversarial.jsonl", adversarial),
    ("jcs", "es6-numbers.csv", numbers),
    ("jcs/testdata/input", ".json", canonical),
    ("jsontestsuite", ".jsonl", json_suite),
    ("model-signing-samples", "index.tsv", samples),
    ("model-transparency", "model.sig", fixture),
    ("sigstore-conformance", "/bundle.sigstore.json", managed_key),
    ("wycheproof", "p256_sha256_test.json", wycheproof_ecdsa),
    ("wycheproof", "secp256r1_sha256_test.json", wycheproof_ecdsa),
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
        if !root.exists() {
            trials
                .push(Trial::test(format!("integrity/{folder}/**{end}"), || Ok(())).with_ignored_flag(true));
        }
        for path in files {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            trials.push(Trial::test(name, move || check(&path)));
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

fn key(path: &Path) -> Result<EcPublicKey, Error> {
    EcPublicKey::from_pem(&fs::read_to_string(path).unwrap())
}

/// Every line of the index: what the index expects, and for refusals that the right thing was found wrong.
fn samples(index: &Path) -> Result<(), Failed> {
    let folder = index.parent().unwrap();
    let text = fs::read_to_string(index)?;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("signature\tmodel\tpublic_key\texpected\tmodel_signing_1.1.1"));
    let mut complaints = Vec::new();
    for line in lines {
        let columns: Vec<_> = line.split('\t').collect();
        let [signature, model, public, expected] = columns[..4] else { return Err("a short line".into()) };
        let bundle = fs::read(folder.join(signature))?;
        let key = key(&folder.join(public))?;
        let found = openssf::verify(&folder.join(model), &bundle, &key, &Options::default());
        let right = match (expected, signature, &found) {
            ("accept", _, found) => found.is_ok(),
            (_, "neg/sig-bitflip.sig" | "neg/payload-rename.sig", found) => {
                matches!(found, Err(Error::Signature { .. }))
            }
            (_, "neg/wrong-key.sig", found) => {
                matches!(found, Err(Error::UntrustedKey { .. } | Error::Signature { .. }))
            }
            (_, "neg/wrong-model.sig", found) => matches!(found, Err(Error::Differs(_))),
            (_, "neg/no-signature.sig", found) => matches!(found, Err(Error::SignatureCount { found: 0 })),
            (_, "neg/two-signatures.sig", found) => matches!(found, Err(Error::SignatureCount { found: 2 })),
            (_, "neg/payload-type.sig", found) => {
                matches!(found, Err(Error::Bundle { place, .. }) if place == "payloadType")
            }
            (_, "neg/no-envelope.sig", found) => matches!(found, Err(Error::Bundle { .. })),
            // A negative of a later index: refused, whatever for.
            ("reject" | "policy", _, found) => found.as_ref().is_err_and(Error::is_refusal),
            _ => false,
        };
        if !right {
            complaints.push(format!("{signature} of {model}: {found:?}, {expected} expected"));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// A model that some version of the tool signed, in its folder: with the fixture's own key, where it has one.
///
/// Bundles with a certificate chain verify with the pinned key of the leaf. Those of Sigstore (short-lived certificates,
/// RFC 6962 logs, trusted time) need a service's trust root and are refused for want of a key: the waiver of this set.
fn fixture(path: &Path) -> Result<(), Failed> {
    let folder = path.parent().unwrap();
    let kind = folder.file_name().unwrap().to_str().unwrap();
    let bundle = fs::read(path)?;
    let keys = folder.parent().unwrap().join("keys/certificate/signing-key-pub.pem");
    let key = key(&keys)?;
    let legacy =
        Options { legacy: true, beside: vec!["model.sig".into(), "ignore-me".into()], ..Options::default() };
    // Two of them sign the one file, not its directory.
    let one = OneFile::new(folder.join("signme-1"));
    let statement = String::from_utf8_lossy(&bundle);
    let payload: Value = serde_json::from_str(&statement)?;
    let payload =
        data_encoding::BASE64.decode(payload["dsseEnvelope"]["payload"].as_str().unwrap().as_bytes())?;
    let payload: Value = serde_json::from_slice(&payload)?;
    let model: &dyn Source =
        if payload["predicate"]["resources"][0]["name"] == "." { &one } else { &folder.to_path_buf() };
    let found = openssf::verify(model, &bundle, &key, &legacy);
    if kind.ends_with("sigstore") {
        return match found {
            Err(Error::Signature { .. } | Error::UntrustedKey { .. }) => Ok(()),
            other => Err(format!("{other:?}").into()),
        };
    }
    let report = found?;
    if report.legacy {
        let strict = Options { legacy: false, ..legacy.clone() };
        assert!(matches!(openssf::verify(model, &bundle, &key, &strict), Err(Error::Legacy { .. })));
    }
    // One more file, and the key of another curve, are refused.
    let mut other = twinguard_types::Bundle::default();
    other.insert("signme-1", b"changed".to_vec());
    assert!(matches!(openssf::verify(&other, &bundle, &key, &legacy), Err(Error::Differs(_))));
    Ok(())
}

/// Bundles signed with a managed key. Those that need certificates are not this crate's: waived by their lack of a key, but
/// none of them may panic or be accepted with a key that did not sign it.
fn managed_key(path: &Path) -> Result<(), Failed> {
    let folder = path.parent().unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let bundle = fs::read(path)?;
    let artifact = [folder.join("artifact"), folder.parent().unwrap().join("a.txt")];
    let artifact = fs::read(artifact.iter().find(|file| file.exists()).unwrap())?;
    let own = folder.join("key.pub");
    let accepted =
        own.exists() && key(&own).and_then(|key| openssf::verify_artifact(&artifact, &bundle, &key)).is_ok();
    if name.starts_with("managed-key") {
        return match accepted != name.ends_with("_fail") {
            true => Ok(()),
            false => Err(format!("accepted {accepted}").into()),
        };
    }
    let managed = folder.parent().unwrap().join("managed-key-and-trusted-root/key.pub");
    match managed.exists() && openssf::verify_artifact(&artifact, &bundle, &key(&managed)?).is_ok() {
        true => Err("accepted with a key that did not sign it".into()),
        false => Ok(()),
    }
}

/// `y_` are read, `n_` are not. Waived: names that stand twice, which RFC 8259 §4 discourages and RFC 7493 §2.3 forbids.
fn json_suite(path: &Path) -> Result<(), Failed> {
    const WAIVED: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
    let (text, mut complaints) = (fs::read_to_string(path)?, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line)?;
        let name = case["name"].as_str().unwrap();
        // Long inputs are told as what they repeat, and how far.
        let digits = |name: &str| HEX.decode(case[name].as_str().unwrap_or_default().as_bytes());
        let input = match case["len"].as_u64().filter(|_| case["repeat"] == true) {
            Some(length) => digits("prefix_hex")?.into_iter().cycle().take(length as usize).collect(),
            None => digits("hex")?,
        };
        let read = json::parse(&input);
        let right = match name.as_bytes()[0] {
            b'y' => read.is_ok() != WAIVED.contains(&name),
            b'n' => read.is_err(),
            _ => true,
        };
        if !right {
            complaints.push(format!("{name}: {read:?}"));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

fn canonical(path: &Path) -> Result<(), Failed> {
    let output = path.parent().unwrap().parent().unwrap().join("output").join(path.file_name().unwrap());
    let text = json::canonical(&json::parse(&fs::read(path)?)?)?;
    assert_eq!(text, fs::read_to_string(output)?.trim_end_matches('\n'));
    Ok(())
}

/// Doubles, as bits, with the text that ECMAScript gives them.
fn numbers(path: &Path) -> Result<(), Failed> {
    for line in fs::read_to_string(path)?.lines() {
        let (bits, text) = line.split_once(',').unwrap();
        let Ok(bits) = u64::from_str_radix(bits, 16) else { continue };
        let value = Value::from(f64::from_bits(bits));
        assert_eq!(json::canonical(&value)?, text, "{bits:x}");
    }
    Ok(())
}

fn adversarial(path: &Path) -> Result<(), Failed> {
    for line in fs::read_to_string(path)?.lines() {
        let case: Value = serde_json::from_str(line)?;
        let input = match case["input"].as_str() {
            Some(input) => input.to_owned(),
            None => "[".repeat(100_000) + &"]".repeat(100_000),
        };
        let (expect, found) = (case["expect"].as_str().unwrap(), json::parse(input.as_bytes()));
        let found = found.and_then(|value| json::canonical(&value));
        match expect
            .split_once(|c: char| c.is_whitespace() || c == ':' || c == ',')
            .map_or(expect, |(word, _)| word)
        {
            "reject" => assert!(found.is_err(), "{case}"),
            "accept" => assert!(found.is_ok(), "{case}"),
            _ if expect.starts_with('{') => {
                let text = &expect[..=expect.find('}').unwrap()];
                assert_eq!(found?, text, "{case}");
            }
            _ => return Err(format!("unknown expectation: {expect}").into()),
        }
    }
    Ok(())
}

/// `valid` must verify, `invalid` must not; `acceptable` may do either.
fn wycheproof_ecdsa(path: &Path) -> Result<(), Failed> {
    let file: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let mut cases = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let point = HEX.decode(group["publicKey"]["uncompressed"].as_str().unwrap().as_bytes())?;
        let key = EcPublicKey::from_point(Curve::P256, &point)?;
        assert_eq!(EcPublicKey::from_pem(group["publicKeyPem"].as_str().unwrap())?, key);
        for case in group["tests"].as_array().unwrap() {
            let message = HEX.decode(case["msg"].as_str().unwrap().as_bytes())?;
            let signature = HEX.decode(case["sig"].as_str().unwrap().as_bytes())?;
            let accepted = key.verifies(&message, &signature);
            match case["result"].as_str() {
                Some("valid") if !accepted => return Err(case.to_string().into()),
                Some("invalid") if accepted => return Err(case.to_string().into()),
                _ => cases += 1,
            }
        }
    }
    if cases > 0 { Ok(()) } else { Err("the file holds no case".into()) }
}
