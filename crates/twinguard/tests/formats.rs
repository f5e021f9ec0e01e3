//! Files that an earlier version wrote are read by this one: plant file, seal, journal, snapshot.
//!
//! The fixtures are never written again. `UPDATE_FIXTURES=1` writes those that are not there: the first ones of a new format.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{Form, Journal, Leaf, Sealed, SigningKey, Trust, entries_of, journal, seal};
use twinguard::twin::Plant;
use twinguard::types::{Bundle, Digest, Label, Point, Source, Timestamp, Value};
use twinguard::{Builder, Guard, Input, Operator};

/// The versions whose files are kept.
const VERSIONS: &[&str] = &["0.1"];

const PLANT: &str = r#"format = 1
name = "two tanks"

[[signal]]
path = "upper.level"
unit = "m"
range = [0, 4]
sigma = 0.01

[[signal]]
path = "lower.level"
unit = "m"

[[signal]]
path = "pump.command"
role = "actuator"
range = [0, 1]

[[limit]]
signal = "lower.level"
max = 3.5

[safe_state]
"pump.command" = 0

[time]
sampling_s = 1

[[rule]]
name = "operators run the pump"
effect = "allow"
roles = ["operator"]
signals = ["pump.*"]
"#;

fn key() -> SigningKey {
    SigningKey::from_seed("fixtures.example/guard", &[42; 32]).unwrap()
}

fn bundle(text: &[u8]) -> Bundle {
    let mut bundle = Bundle::new(Digest::default());
    bundle.insert("plant.toml", text.to_vec());
    bundle
}

fn fixtures(version: &str) -> PathBuf {
    static WRITTEN: Once = Once::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version);
    WRITTEN.call_once(|| {
        if std::env::var_os("UPDATE_FIXTURES").is_some() && !folder.join("snapshot").exists() {
            write(&folder);
        }
    });
    folder
}

/// The guard's builder through the seal of these files.
fn builder(plant: &[u8], seal: &[u8]) -> Builder {
    let sealed = Sealed::from_bundle(bundle(plant), seal, &Trust::new(key().public().clone())).unwrap();
    Guard::builder(sealed.load::<Plant>().unwrap())
}

/// Two tanks that follow each other, with some noise.
fn rows(plant: &Plant, from: i64, count: i64) -> impl Iterator<Item = (Timestamp, [Point; 2])> {
    let [upper, lower] = ["upper.level", "lower.level"].map(|path| plant.catalogue.id(path).unwrap());
    (from..from + count).map(move |second| {
        let at = Timestamp::from_secs(1_773_480_000 + second);
        let noise = |salt: i64| ((second * 7919 + salt * 104_729) % 997) as f64 / 997.0 - 0.5;
        let level = 2.0 + (second as f64 / 300.0).sin();
        let point = |signal, value: f64| Point::new(signal, Value::real(value).unwrap(), Source::Field, at);
        (at, [point(upper, level + 0.02 * noise(1)), point(lower, 3.0 - 0.5 * level + 0.02 * noise(2))])
    })
}

fn write(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    fs::create_dir_all(folder).unwrap();
    put("plant.toml", PLANT.as_bytes());
    let seal = seal::create(entries_of(&bundle(PLANT.as_bytes())).unwrap(), "tanks", 1, &key()).unwrap();
    put("plant.seal", &seal);
    let open = || Directory::open(folder.join("journal"), Durability::Process).unwrap();
    let (mut journal, _) = Journal::open(open()).unwrap();
    journal
        .append(Label::literal("note"), Timestamp::from_secs(1), b"bytes, as leaves of version 1 hold")
        .unwrap();
    journal.sync().unwrap();
    drop(journal);
    let learn = |guard: &mut Guard| {
        let plant = guard.plant().clone();
        for (at, points) in rows(&plant, 0, 2_000) {
            guard.handle(at, Input::Points(&points))?;
            while guard.poll().is_some() {}
        }
        Ok(())
    };
    let builder = builder(PLANT.as_bytes(), &seal).journal(open()).learn(learn).unwrap();
    let mut guard = builder.build().unwrap();
    let plant = guard.plant().clone();
    for (at, points) in rows(&plant, 2_000, 120) {
        guard.handle(at, Input::Points(&points)).unwrap();
        while guard.poll().is_some() {}
    }
    let now = Timestamp::from_secs(1_773_480_000 + 2_120);
    guard.handle(now, Input::Operator(Operator::Mode { mode: "filling" })).unwrap();
    while guard.poll().is_some() {}
    guard.evidence_mut().checkpoint(&key()).unwrap();
    put("snapshot", &guard.snapshot().unwrap());
}

/// A copy of a folder, which a test may write to.
fn copied(from: &Path, name: &str) -> PathBuf {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy(&path, &target);
            } else {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if to.exists() {
        fs::remove_dir_all(&to).unwrap();
    }
    copy(from, &to);
    to
}

#[test]
fn files_of_earlier_versions_are_read() {
    for version in VERSIONS {
        let folder = fixtures(version);
        let read = |name: &str| {
            fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{version}/{name}: {error}"))
        };
        let (plant, seal, snapshot) = (read("plant.toml"), read("plant.seal"), read("snapshot"));

        let parsed = Plant::parse(core::str::from_utf8(&plant).unwrap(), "plant.toml").unwrap();
        assert_eq!((parsed.format, parsed.catalogue.len(), parsed.rules.len()), (1, 3, 1));

        let copy = copied(&folder.join("journal"), &format!("formats-{version}"));
        let open = || Directory::open(&copy, Durability::Process).unwrap();
        let reader = || Directory::open_read_only(&copy).unwrap();
        let report = journal::verify(&reader(), key().public()).unwrap();
        assert!(report.checkpoint.size > 2, "{version}: the signed journal verifies");
        let storage = reader();
        let archive = journal::Archive::open(&storage, key().public()).unwrap();
        let first = archive.entry(0).unwrap();
        assert_eq!(Leaf::parse(&first).unwrap().form, Form::Bytes, "a leaf of version 1");
        let second = archive.entry(1).unwrap();
        assert_eq!(Leaf::parse(&second).unwrap().form, Form::Item, "a leaf of version 2");

        let mut guard = builder(&plant, &seal).journal(open()).restore(&snapshot).unwrap();
        let size = guard.evidence().size();
        assert!(!guard.is_learning() && guard.counters().restored == 1);
        for (at, points) in rows(&parsed, 2_121, 60) {
            guard.handle(at, Input::Points(&points)).unwrap();
        }
        assert!(guard.poll().is_none(), "{version}: what is normal stays normal");
        // The lower level no longer follows the upper one.
        let mut found = false;
        for (at, mut points) in rows(&parsed, 2_181, 600) {
            points[1].value = Value::real(points[1].value.as_f64() + 1.0).unwrap();
            guard.handle(at, Input::Points(&points)).unwrap();
            while let Some(output) = guard.poll() {
                found |= matches!(output, twinguard::Output::Finding(_));
            }
        }
        assert!(found, "{version}: what was learnt is still known");
        assert!(guard.evidence().size() > size, "{version}: the journal goes on");
        let root = guard.evidence().root();
        guard.evidence_mut().checkpoint(&key()).unwrap();
        assert_eq!(journal::verify(&reader(), key().public()).unwrap().checkpoint.root, root);
    }
}

#[test]
fn files_of_a_later_version_are_refused_with_their_number() {
    let folder = fixtures("0.1");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let (plant, seal) = (read("plant.toml"), read("plant.seal"));
    let mut snapshot = read("snapshot");
    snapshot[4] = 2;
    let error = builder(&plant, &seal).restore(&snapshot).unwrap_err().to_string();
    assert_eq!(error, "snapshot: it has format 2, this version reads format 1");
    let text = String::from_utf8(plant).unwrap().replace("format = 1", "format = 2");
    let error = Plant::parse(&text, "plant.toml").unwrap_err().to_string();
    assert_eq!(error, "plant.toml:1:10: `format` must be 1: no other version is known");
}
