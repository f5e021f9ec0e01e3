//! The threat table, one named attack a line: each is refused, with the error that names what was done.
//!
//! Attacks on archives stand in `archive.rs`, on a journal's parts in `journal.rs`; those on logs and on what runs in this folder.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use twinguard_integrity::source::{self, Limits};
use twinguard_integrity::tree::{Group, Tree};
use twinguard_integrity::trust::TrustRoot;
use twinguard_integrity::{
    Component, Difference, Draft, Entry, Error, Golden, HighWater, Holder, Journal, Logged, Manifest, Mode,
    Parameter, Parameters, PortablePath, Role, Sealed, SigningKey, Trust, VerifyingKey, entries_of, seal,
};
use twinguard_types::{Bundle, Timestamp};

mod flips;
mod logs;
mod running;

type Check = fn(&Error) -> bool;
type Attack = (&'static str, Check, Box<dyn Fn() -> Result<(), Error>>);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&format!("vendor{seed}.example/pump"), &[seed; 32]).unwrap()
}

fn public(seed: u8) -> VerifyingKey {
    key(seed).public().clone().into()
}

fn files() -> Bundle {
    let mut files = Bundle::default();
    files.insert("plant.toml", b"area = 2.5".to_vec());
    files.insert("solver.toml", b"step = 0.5".to_vec());
    files.insert("bin/model.so", vec![0x7f; 300]);
    files
}

fn parameters(area: f64) -> Parameters {
    Parameters::new(vec![
        Parameter::new("plant.toml", "tank.area", "m2", area.into()).unwrap(),
        Parameter::new("plant.toml", "tank.height", "m", 3.0.into()).unwrap(),
    ])
    .unwrap()
}

fn draft(version: u64) -> Draft {
    let mut entries = entries_of(&files()).unwrap();
    for entry in &mut entries {
        entry.component = match entry.path.as_str() {
            "plant.toml" => Component::Plant,
            "solver.toml" => Component::Solver,
            _ => Component::Model,
        };
    }
    Draft::new("pump", version, entries).parameters(parameters(2.5))
}

fn sealed(version: u64) -> Vec<u8> {
    seal::sign(&draft(version).finish().unwrap(), &[&key(1)]).unwrap()
}

fn trust() -> Trust {
    Trust::new(key(1).public().clone()).series("pump")
}

fn open(files: Bundle, seal: &[u8], trust: &Trust) -> Result<(), Error> {
    Sealed::from_bundle(files, seal, trust).map(drop)
}

fn changed(change: impl Fn(&mut Bundle)) -> Result<(), Error> {
    let mut files = files();
    change(&mut files);
    open(files, &sealed(1), &trust())
}

/// Writes the model into a directory, lets somebody change it, and verifies it there.
fn on_disk(change: impl Fn(&Path)) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files().iter() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    change(folder.path());
    let manifest = seal::verify(&sealed(1), key(1).public())?;
    manifest.check_source(folder.path(), &Limits::default())
}

fn text(change: impl Fn(String) -> String) -> Result<(), Error> {
    let seal = String::from_utf8(sealed(1)).unwrap();
    let other = change(seal.clone());
    assert_ne!(seal, other, "nothing was changed");
    open(files(), other.as_bytes(), &trust())
}

/// A manifest with some of its bytes exchanged, signed by whoever may sign: what the format itself refuses.
fn manifest(change: impl Fn(&mut Vec<u8>)) -> Result<(), Error> {
    let mut bytes = draft(1).finish().unwrap().encode();
    change(&mut bytes);
    Manifest::parse(&bytes).map(drop)
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
}

fn two_of_three() -> Trust {
    Trust::of([1, 2, 3].map(|seed| Holder::new([public(seed)]).unwrap()), 2)
}

fn pair() -> Trust {
    Trust::of([Holder::new([public(1), public(2)]).unwrap()], 1)
}

fn signed_by(seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
    let signers: Vec<&dyn twinguard_integrity::Signer> = keys.iter().map(|key| key as _).collect();
    seal::sign(&draft(1).finish().unwrap(), &signers).unwrap()
}

/// A seal by a revoked key, at an index of a log.
fn logged(index: u64, other: bool) -> Result<(), Error> {
    let log = key(9);
    let mut journal = Journal::in_memory();
    for _ in 0..index {
        journal.append(Logged::KIND, Timestamp::from_secs(1), b"another seal").unwrap();
    }
    let entered = if other { sealed(2) } else { sealed(1) };
    journal.append(Logged::KIND, Timestamp::from_secs(2), &Logged::leaf(&entered)).unwrap();
    journal.append(Logged::KIND, Timestamp::from_secs(3), b"a later seal").unwrap();
    let note = journal.checkpoint(&log).unwrap();
    let archive = twinguard_integrity::journal::Archive::open(journal.storage(), log.public()).unwrap();
    let mut proof = archive.prove(index).unwrap();
    proof.extra = Some(archive.entry(index).unwrap());
    let _ = note;
    let trust = trust().revoked(public(1), 3);
    trust.judge_logged(&sealed(1), Some(Logged { proof: &proof, log: log.public() })).map(drop)
}

/// Takes the files as they are.
#[derive(Debug)]
struct Plain;

impl TryFrom<&Bundle> for Plain {
    type Error = std::string::FromUtf8Error;
    fn try_from(files: &Bundle) -> Result<Self, Self::Error> {
        String::from_utf8(files.get("plant.toml").unwrap_or_default().to_vec()).map(|_| Self)
    }
}

const GOLDEN: &str =
    "twinguard golden 1\nstep 1.0\ntolerance 1e-9 0\ninputs u\noutputs y\n1.0 | 2.0\n1.0 | 4.0\n";

fn golden(text: &str) -> Sealed {
    let mut files = files();
    files.insert("golden.txt", text.into());
    let mut entries = entries_of(&files).unwrap();
    entries
        .iter_mut()
        .filter(|e| e.path.as_str() == "golden.txt")
        .for_each(|e| e.component = Component::Golden);
    let seal = seal::sign(&Draft::new("pump", 1, entries).finish().unwrap(), &[&key(1)]).unwrap();
    Sealed::from_bundle(files, &seal, &trust()).unwrap()
}

fn replayed(outputs: &[f64]) -> Result<(), Error> {
    let rows: Vec<Vec<f64>> = outputs.iter().map(|value| vec![*value]).collect();
    golden(GOLDEN).load_replayed::<Plain>(|_, _: &Golden| Ok(rows.clone())).map(drop)
}

fn root(version: u64, seeds: &[u8], threshold: usize) -> TrustRoot {
    let role =
        |seeds: &[u8], n| Role::new(seeds.iter().map(|s| Holder::new([public(*s)]).unwrap()), n).unwrap();
    TrustRoot::new(version, role(seeds, threshold), role(&[1], 1)).unwrap()
}

fn attacks() -> Vec<Attack> {
    let differs: Check = |error| matches!(error, Error::Differs(_));
    let malformed: Check = |error| matches!(error, Error::Seal { .. });
    let untrusted: Check = |error| matches!(error, Error::UntrustedKey { .. });
    let signature: Check = |error| matches!(error, Error::Signature { .. });
    let path: Check = |error| matches!(error, Error::Path { .. });
    let rolled_back: Check = |error| matches!(error, Error::RolledBack { .. });
    let policy: Check = |error| matches!(error, Error::Policy { .. });
    let threshold: Check = |error| matches!(error, Error::Threshold { .. });
    let stripped: Check = |error| matches!(error, Error::Stripped { .. });
    let revoked: Check = |error| matches!(error, Error::Revoked { .. });
    let parameter: Check = |error| matches!(error, Error::Parameter { .. });
    let behaviour: Check = |error| matches!(error, Error::Behaviour { .. });
    let slice: Check = |error| matches!(error, Error::Slice { .. });
    let irregular: Check = |error| matches!(error, Error::NotRegular { .. });
    let mut all: Vec<Attack> = Vec::new();
    let mut add = |name, check, attack: Box<dyn Fn() -> Result<(), Error>>| all.push((name, check, attack));
    macro_rules! attack {
        ($name:literal, $check:expr, $attack:expr) => {
            add($name, $check, Box::new(|| $attack))
        };
    }

    // 1, 2: files.
    attack!(
        "a byte of a file",
        differs,
        changed(|f| {
            f.insert("bin/model.so", vec![0x7e; 300]);
        })
    );
    attack!(
        "a file cut short",
        differs,
        changed(|f| {
            f.insert("bin/model.so", vec![0x7f; 299]);
        })
    );
    attack!(
        "a file made longer",
        differs,
        changed(|f| {
            f.insert("bin/model.so", vec![0x7f; 301]);
        })
    );
    attack!(
        "a file made empty",
        differs,
        changed(|f| {
            f.insert("plant.toml", vec![]);
        })
    );
    attack!(
        "two files swapped",
        differs,
        changed(|f| {
            f.insert("plant.toml", b"step = 0.5".to_vec());
            f.insert("solver.toml", b"area = 2.5".to_vec());
        })
    );
    attack!(
        "a file added",
        differs,
        changed(|f| {
            f.insert("bin/other.so", vec![1]);
        })
    );
    attack!(
        "an empty file added",
        differs,
        changed(|f| {
            f.insert("bin/__init__", vec![]);
        })
    );
    attack!(
        "a file under .git",
        differs,
        changed(|f| {
            f.insert(".git/hooks/run", vec![1]);
        })
    );
    attack!(
        "a hidden file",
        differs,
        changed(|f| {
            f.insert(".gitattributes", vec![1]);
        })
    );
    attack!("a file removed", differs, {
        let mut fewer = Bundle::default();
        fewer.insert("plant.toml", b"area = 2.5".to_vec());
        open(fewer, &sealed(1), &trust())
    });
    attack!(
        "a file renamed",
        differs,
        on_disk(|d| fs::rename(d.join("plant.toml"), d.join("plants.toml")).unwrap())
    );
    attack!(
        "a file moved to another folder",
        differs,
        on_disk(|d| fs::rename(d.join("plant.toml"), d.join("bin/plant.toml")).unwrap())
    );
    attack!(
        "a folder added, empty",
        |e| matches!(e, Error::EmptyDirectory { .. }),
        on_disk(|d| fs::create_dir(d.join("new")).unwrap())
    );
    attack!(
        "a name that is not UTF-8",
        path,
        on_disk(|d| {
            use std::os::unix::ffi::OsStrExt;
            fs::write(d.join(std::ffi::OsStr::from_bytes(b"\xff")), b"x").unwrap();
        })
    );
    attack!(
        "a name in another Unicode form",
        path,
        on_disk(|d| fs::write(d.join("ku\u{308}hl"), b"x").unwrap())
    );
    // 14: links and special files.
    attack!(
        "a link in a file's place",
        irregular,
        on_disk(|d| {
            fs::rename(d.join("plant.toml"), d.join("bin/x")).unwrap();
            std::os::unix::fs::symlink("bin/x", d.join("plant.toml")).unwrap();
        })
    );
    attack!(
        "a link in a folder's place",
        irregular,
        on_disk(|d| {
            fs::rename(d.join("bin"), d.join("nib")).unwrap();
            std::os::unix::fs::symlink("nib", d.join("bin")).unwrap();
        })
    );
    attack!(
        "a link out of the directory",
        irregular,
        on_disk(|d| std::os::unix::fs::symlink("/etc/passwd", d.join("link")).unwrap())
    );
    attack!(
        "a dangling link",
        irregular,
        on_disk(|d| std::os::unix::fs::symlink("nowhere", d.join("link")).unwrap())
    );
    attack!(
        "a socket",
        irregular,
        on_disk(|d| drop(std::os::unix::net::UnixListener::bind(d.join("s")).unwrap()))
    );
    attack!("a file made a program", differs, {
        let mut file = Entry::of(PortablePath::new("a").unwrap(), b"x");
        file.mode = Mode::Plain;
        let seal = seal::sign(&Manifest::new("pump", 1, vec![file.clone()])?, &[&key(1)])?;
        file.mode = Mode::Executable;
        seal::verify(&seal, key(1).public())?.check(vec![file])
    });
    // 11: paths.
    for bad in [
        "../up",
        "/etc/passwd",
        "C:/x",
        "a\\b",
        "a\0b",
        "NUL",
        "end.",
        "a//b",
        "a/./b",
        "ku\u{308}hl",
        "a\u{202e}b",
    ] {
        add("a path that is not portable", path, Box::new(move || PortablePath::new(bad).map(drop)));
    }
    attack!("paths that differ in case", |e| matches!(e, Error::Twins { .. }), {
        let entry = |path: &str| Entry::of(PortablePath::new(path).unwrap(), b"");
        Manifest::new("pump", 1, vec![entry("A"), entry("a")]).map(drop)
    });
    attack!(
        "a path out of its place in the manifest",
        malformed,
        manifest(|m| replace(m, b"bin/model.so", b"zin/model.so"))
    );
    attack!(
        "a path of the manifest that leads out",
        path,
        manifest(|m| replace(m, b"bin/model.so", b"../model.so/"))
    );
    // 9, 10: the manifest and its envelope.
    attack!("another format", malformed, manifest(|m| m[0] = 1));
    attack!("more files than there are", malformed, manifest(|m| m[34] = 200));
    attack!("bytes behind the manifest", malformed, manifest(|m| m.push(0)));
    attack!(
        "an unknown component",
        malformed,
        manifest(|m| replace(m, b"bin/model.so\0", b"bin/model.so\x63"))
    );
    attack!("an unknown type of parameter", malformed, manifest(|m| replace(m, b"m2\x01", b"m2\x09")));
    attack!("an older envelope's payload type", malformed, text(|t| t.replace("seal.v1", "seal.v0")));
    attack!("a space in the envelope", malformed, text(|t| t.replace("\":\"", "\": \"")));
    attack!(
        "a member twice in the envelope",
        malformed,
        text(|t| t.replace("{\"keyid\"", "{\"keyid\":\"00000000\",\"keyid\""))
    );
    attack!("a payload in another base64", malformed, text(|t| t.replacen('A', "-", 1)));
    attack!(
        "no signature",
        |e| matches!(e, Error::SignatureCount { found: 0 }),
        text(|t| {
            let (head, _) = t.split_once('[').unwrap();
            format!("{head}[]}}\n")
        })
    );
    attack!(
        "another key id",
        untrusted,
        text(|t| t
            .replace("\"keyid\":\"", "\"keyid\":\"0")
            .replacen("0", "", 0)
            .replace("\",\"sig\"", "x\",\"sig\"")
            .replace("x\",\"sig\"", "\",\"sig\""))
        .or_else(|_| { seal::verify(&signed_by(&[2]), key(1).public()).map(drop) })
    );
    attack!("somebody else's signature", untrusted, open(files(), &signed_by(&[2]), &trust()));
    attack!("a payload exchanged under a signature", signature, {
        let (one, two) = (String::from_utf8(sealed(1)).unwrap(), String::from_utf8(sealed(2)).unwrap());
        let (head, _) = two.split_once("\",\"payloadType").unwrap();
        let (_, tail) = one.split_once("\",\"payloadType").unwrap();
        open(files(), format!("{head}\",\"payloadType{tail}").as_bytes(), &trust())
    });
    attack!("a signature over a root of trust used for a seal", malformed, {
        open(files(), &root(1, &[1], 1).sign(&[&key(1)])?, &trust())
    });
    // 4, 5, 6: versions and parts.
    attack!("an older version", rolled_back, {
        let mut seen = HighWater::default();
        let newer = seal::verify(&sealed(2), key(1).public())?;
        seen.accept(&newer)?;
        open(files(), &sealed(1), &trust().high_water(seen))
    });
    attack!("an older epoch with a higher version", rolled_back, {
        let mut seen = HighWater::default();
        seen.accept(&draft(1).epoch(1).finish()?)?;
        open(files(), &sealed(9), &trust().high_water(seen))
    });
    attack!("the same version with other content", |e| matches!(e, Error::TwoContents { .. }), {
        let mut seen = HighWater::default();
        seen.accept(&draft(1).parameters(parameters(2.6)).finish()?)?;
        open(files(), &sealed(1), &trust().high_water(seen))
    });
    attack!("a high-water mark that was lowered", |e| matches!(e, Error::State { .. }), {
        let mut seen = HighWater::default();
        seen.accept(&draft(12).finish()?)?;
        seen.to_string().replace("0 12 ", "0 11 ").parse::<HighWater>().map(drop)
    });
    attack!("another series of the same vendor", |e| matches!(e, Error::OtherSeries { .. }), {
        let other = Draft::new("valve", 1, entries_of(&files())?).finish()?;
        open(files(), &seal::sign(&other, &[&key(1)])?, &trust())
    });
    attack!("a seal whose time is over", |e| matches!(e, Error::Expired { .. }), {
        let seal = seal::sign(&draft(1).valid_until(100).finish()?, &[&key(1)])?;
        open(files(), &seal, &trust().at(101))
    });
    attack!(
        "the solver of another version",
        differs,
        changed(|f| {
            f.insert("solver.toml", b"step = 5.0".to_vec());
        })
    );
    attack!(
        "a sealed file that is excluded as well",
        policy,
        draft(1).exclude(PortablePath::new("bin").unwrap()).finish().map(drop)
    );
    // 3: parameters.
    attack!(
        "a parameter's value",
        parameter,
        parameters(2.5)
            .prove("plant.toml", "tank.area")?
            .check(&parameters(2.6).all()[0], &parameters(2.5).root())
    );
    attack!(
        "a parameter's sign of zero",
        parameter,
        parameters(0.0)
            .prove("plant.toml", "tank.area")?
            .check(&parameters(-0.0).all()[0], &parameters(0.0).root())
    );
    attack!("a parameter's unit", parameter, {
        let other = Parameter::new("plant.toml", "tank.area", "cm2", 2.5.into())?;
        parameters(2.5).prove("plant.toml", "tank.area")?.check(&other, &parameters(2.5).root())
    });
    attack!(
        "another parameter in its place",
        parameter,
        parameters(2.5)
            .prove("plant.toml", "tank.area")?
            .check(&parameters(2.5).all()[1], &parameters(2.5).root())
    );
    attack!(
        "a parameter twice",
        parameter,
        Parameters::new([parameters(1.0).all(), parameters(2.0).all()].concat()).map(drop)
    );
    attack!("a parameter of a file that is not sealed", parameter, {
        draft(1)
            .parameters(Parameters::new(vec![Parameter::new("gone", "p", "", 1.0.into())?])?)
            .finish()
            .map(drop)
    });
    // 8, 9: keys.
    attack!(
        "one signature of two that are needed",
        threshold,
        two_of_three().judge(&signed_by(&[1])).map(drop)
    );
    attack!(
        "one needed and one foreign signature",
        threshold,
        two_of_three().judge(&signed_by(&[1, 8])).map(drop)
    );
    attack!("a stripped second signature", stripped, pair().judge(&signed_by(&[1])).map(drop));
    attack!("a stripped first signature", stripped, pair().judge(&signed_by(&[2])).map(drop));
    attack!(
        "a threshold of none",
        policy,
        Trust::of([Holder::new([public(1)])?], 0).judge(&sealed(1)).map(drop)
    );
    attack!(
        "one key for two holders",
        policy,
        Trust::of([Holder::new([public(1)])?, Holder::new([public(1)])?], 2).judge(&sealed(1)).map(drop)
    );
    attack!(
        "a revoked key without a log",
        revoked,
        trust().revoked(public(1), 3).judge(&sealed(1)).map(drop)
    );
    attack!("a revoked key after its revocation", revoked, logged(3, false));
    attack!("a revoked key with another seal's entry", |e| matches!(e, Error::Proof { .. }), logged(1, true));
    attack!("a root of trust by too few of the old", threshold, {
        let (one, two) = (root(1, &[1, 2], 2), root(2, &[3, 4], 2));
        TrustRoot::pinned(&one.sign(&[&key(1), &key(2)])?, &one.digest())?
            .next(&two.sign(&[&key(1), &key(3), &key(4)])?)
            .map(drop)
    });
    attack!(
        "a root of trust that skips a version",
        rolled_back,
        root(1, &[1], 1).next(&root(3, &[1], 1).sign(&[&key(1)])?).map(drop)
    );
    attack!(
        "a root of trust brought back",
        rolled_back,
        root(2, &[1], 1).next(&root(1, &[1], 1).sign(&[&key(1)])?).map(drop)
    );
    attack!(
        "a root of trust of another digest",
        untrusted,
        TrustRoot::pinned(&root(1, &[1], 1).sign(&[&key(1)])?, &root(1, &[2], 1).digest()).map(drop)
    );
    attack!("a seal used for a root of trust", malformed, root(1, &[1], 1).next(&sealed(1)).map(drop));
    attack!(
        "a root of trust whose time is over",
        |e| matches!(e, Error::Expired { .. }),
        root(1, &[1], 1).valid_until(5).trust(6).map(drop)
    );
    attack!(
        "a public key with a digit changed",
        |e| matches!(e, Error::Key { .. }),
        key(1)
            .public()
            .to_string()
            .replace("vendor1", "vendor7")
            .parse::<twinguard_integrity::PublicKey>()
            .map(drop)
    );
    // 13, 15: parts of files.
    attack!("a changed group", slice, {
        let tree = Tree::of(&[7; 100_000], Group::KIB_16);
        tree.prove(3)?.check(&[8; 16384], &tree.root())
    });
    attack!("a group in another's place", slice, {
        let file: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        let tree = Tree::of(&file, Group::KIB_16);
        tree.prove(3)?.check(&file[..16384], &tree.root())
    });
    attack!(
        "a file that ends early",
        slice,
        Tree::from_outboard(
            &Tree::of(&[7; 5000], Group::CHUNK).to_outboard()[..100],
            Group::CHUNK,
            &Tree::of(&[7; 5000], Group::CHUNK).root()
        )
        .map(drop)
    );
    // 19: a model by somebody who may sign.
    attack!("a validly sealed model that behaves otherwise", behaviour, replayed(&[2.0, 4.1]));
    attack!("a model that gives no number", behaviour, replayed(&[2.0, f64::NAN]));
    attack!("a model that stops early", behaviour, replayed(&[2.0]));
    attack!("a golden trajectory passed over", policy, golden(GOLDEN).load::<Plain>().map(drop));
    attack!(
        "a golden trajectory without rows",
        |e| matches!(e, Error::Text { .. }),
        golden("twinguard golden 1\nstep 1\ntolerance 0 0\ninputs\noutputs y\n")
            .load_replayed::<Plain>(|_, _| Ok(vec![]))
            .map(drop)
    );
    // 18: too much.
    attack!("more files than allowed", |e| matches!(e, Error::Limit { .. }), {
        let few = trust().limits(Limits { files: 2, bytes: 1000 });
        Sealed::from_source(&files(), &sealed(1), &few).map(drop)
    });
    attack!(
        "more bytes than allowed",
        |e| matches!(e, Error::Limit { .. }),
        source::entries(&files(), &Limits { files: 9, bytes: 100 }).map(drop)
    );
    attack!(
        "a thousand signatures",
        malformed,
        text(|t| {
            let (head, one) = t.split_once('[').unwrap();
            let one = one.trim_end_matches("]}\n");
            let ascending: Vec<String> =
                (0..1000).map(|n| format!("{{\"keyid\":\"{n:08x}\",\"sig\":\"AAAA\"}}")).collect();
            format!("{head}[{},{one}]}}\n", ascending.join(","))
        })
    );
    logs::attacks(&mut all);
    running::attacks(&mut all);
    all
}

#[test]
fn every_attack_is_refused_for_what_it_is() {
    // Untouched, everything is accepted: the refusals below mean something.
    open(files(), &sealed(1), &trust()).unwrap();
    on_disk(|_| ()).unwrap();
    manifest(|_| ()).unwrap();
    two_of_three().judge(&signed_by(&[1, 3])).unwrap();
    pair().judge(&signed_by(&[1, 2])).unwrap();
    logged(2, false).unwrap();
    replayed(&[2.0, 4.0]).unwrap();
    logs::untouched();
    running::untouched();
    let attacks = attacks();
    assert!(attacks.len() >= 125, "{}", attacks.len());
    let complaints: Vec<_> = attacks
        .iter()
        .filter_map(|(name, check, attack)| match attack() {
            Err(error) if check(&error) && error.is_refusal() => None,
            other => Some(format!("{name}: {other:?}")),
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_difference_names_path_parameter_old_and_new_value() {
    let sealed = draft(1).finish().unwrap();
    match &sealed.diff_parameters(&parameters(2.6))[..] {
        [Difference::Parameter { path, name, sealed, found }] => {
            assert_eq!((&**path, &**name), ("plant.toml", "tank.area"));
            assert_eq!((sealed.as_deref(), found.as_deref()), (Some("2.5 m2"), Some("2.6 m2")));
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// 64 cases of 256 flips: 16,384 single bits of files, manifests, seals, roots of trust and high-water marks.
    #[test]
    fn no_single_bit_goes_unnoticed(seed: [u8; 32]) {
        let mut random = blake3::Hasher::new_keyed(&seed).finalize_xof();
        let mut below = |bound: usize| {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            (u64::from_le_bytes(bytes) % bound as u64) as usize
        };
        let (seal, manifest) = (sealed(1), draft(1).finish().unwrap());
        let role = Role::new([Holder::new([public(1)]).unwrap()], 1).unwrap();
        let root = root(1, &[1, 2], 2);
        let mut seen = HighWater::default();
        seen.accept(&manifest).unwrap();
        let mark = seen.to_string().into_bytes();
        let encoded = manifest.encode();
        let flip = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        for number in 0..256 {
            match number % 8 {
                0..=2 => {
                    let names = ["plant.toml", "solver.toml", "bin/model.so"];
                    let (mut files, name) = (files(), names[number % 8]);
                    let bytes = files.get(name).unwrap().to_vec();
                    files.insert(name, flip(&bytes, below(bytes.len() * 8)));
                    let found = manifest.diff(entries_of(&files).unwrap());
                    prop_assert_eq!(found.len(), 1);
                }
                3..=5 => {
                    let flipped = flip(&encoded, below(encoded.len() * 8));
                    if let Ok(read) = Manifest::parse(&flipped) {
                        prop_assert_ne!(read.root(), manifest.root());
                        prop_assert_eq!(read.encode(), flipped);
                    }
                }
                6 if number % 16 == 6 => {
                    let envelope = root.sign(&[&key(1), &key(2)]).unwrap();
                    let flipped = flip(&envelope, below(envelope.len() * 8));
                    prop_assert!(TrustRoot::pinned(&flipped, &root.digest()).is_err());
                }
                6 => {
                    let flipped = String::from_utf8(flip(&mark, below(mark.len() * 8)));
                    prop_assert!(flipped.map_or(true, |text| text.parse::<HighWater>().is_err()));
                }
                _ => prop_assert!(seal::verify_role(&flip(&seal, below(seal.len() * 8)), &role).is_err()),
            }
        }
    }
}
