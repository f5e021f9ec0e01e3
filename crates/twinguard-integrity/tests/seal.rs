//! Sealed directories against whoever may change them.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic
)]

use std::fs;
use std::path::Path;

use twinguard_integrity::source::{self, Limits};
use twinguard_integrity::{
    Difference, Error, HighWater, Rollback, Sealed, SigningKey, Trust, Verified, seal, store,
};
use twinguard_types::Bundle;

fn key() -> SigningKey {
    SigningKey::from_seed("vendor.example/pump", &[7; 32]).unwrap()
}

/// A model of four files, and its seal as version `version`.
fn model(folder: &Path, version: u64) -> Vec<u8> {
    fs::create_dir_all(folder.join("history/.hidden")).unwrap();
    fs::write(folder.join("plant.toml"), "format = 1").unwrap();
    fs::write(folder.join("history/a.csv"), "time;value").unwrap();
    fs::write(folder.join("history/.hidden/run.sh"), "#!/bin/sh").unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    seal::create(source::entries(folder, &Limits::default()).unwrap(), "pump", version, &key()).unwrap()
}

fn trust() -> Trust {
    Trust::new(key().public().clone())
}

fn differences(folder: &Path, seal: &[u8]) -> Vec<String> {
    match Sealed::open_with(folder, seal, &trust()) {
        Err(Error::Differs(differences)) => differences.0.iter().map(Difference::to_string).collect(),
        Err(error) => vec![error.to_string()],
        Ok(_) => vec![],
    }
}

/// Takes a bundle with a plant as it is.
#[derive(Debug)]
struct Plant(String);

impl TryFrom<&Bundle> for Plant {
    type Error = std::string::FromUtf8Error;
    fn try_from(files: &Bundle) -> Result<Self, Self::Error> {
        String::from_utf8(files.get("plant.toml").unwrap_or_default().to_vec()).map(Self)
    }
}

#[test]
fn a_clean_directory_loads_with_what_its_seal_says() {
    let folder = tempfile::tempdir().unwrap();
    let seal = model(folder.path(), 3);
    let sealed = Sealed::open_with(folder.path(), &seal, &trust()).unwrap();
    let plant: Verified<Plant> = sealed.load().unwrap();
    assert_eq!((plant.0.as_str(), plant.series(), plant.version()), ("format = 1", "pump", 3));
    assert_eq!((plant.root(), plant.rollback()), (sealed.bundle().digest, Rollback::NotChecked));
    assert_eq!(sealed.bundle().iter().count(), 4, "hidden files are files");

    let seal_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(seal_file.path(), &seal).unwrap();
    Sealed::open(folder.path(), seal_file.path(), &trust()).unwrap();
}

#[test]
fn every_single_bit_flip_in_any_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let seal = model(folder.path(), 1);
    for name in ["plant.toml", "history/a.csv", "history/.hidden/run.sh"] {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            assert_eq!(
                differences(folder.path(), &seal),
                [format!("`{name}` was changed ({0} bytes as before)", bytes.len())]
            );
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(differences(folder.path(), &seal).is_empty());
}

#[test]
fn what_was_changed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let seal = model(folder.path(), 1);
    fs::write(at("plant.toml"), "format = 1, and much more").unwrap();
    fs::remove_file(at("empty")).unwrap();
    fs::write(at("history/.hidden/extra"), "x").unwrap();
    assert_eq!(
        differences(folder.path(), &seal),
        [
            "`empty` is missing (0 bytes)",
            "`history/.hidden/extra` was added (1 bytes)",
            "`plant.toml` was changed (10 bytes sealed, 25 found)",
        ]
    );
    // Two files that change places.
    let seal = model(folder.path(), 1);
    fs::rename(at("plant.toml"), at("x")).unwrap();
    fs::rename(at("history/a.csv"), at("plant.toml")).unwrap();
    fs::rename(at("x"), at("history/a.csv")).unwrap();
    assert_eq!(differences(folder.path(), &seal).len(), 2);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_by_name() {
    use std::os::unix::fs::symlink;
    let check = |change: &dyn Fn(&Path), wanted: &str| {
        let folder = tempfile::tempdir().unwrap();
        let seal = model(folder.path(), 1);
        change(folder.path());
        let found = differences(folder.path(), &seal).concat();
        assert!(found.contains(wanted), "{found}");
        let error = source::entries(folder.path(), &Limits::default()).unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(wanted), "{error}");
    };
    check(&|at| symlink("plant.toml", at.join("link")).unwrap(), "`link` is a symbolic link");
    check(
        &|at| {
            fs::rename(at.join("history"), at.join("moved")).unwrap();
            symlink("moved", at.join("history")).unwrap();
        },
        "`history` is a symbolic link",
    );
    check(
        &|at| {
            fs::remove_file(at.join("empty")).unwrap();
            symlink("/dev/null", at.join("empty")).unwrap();
        },
        "`empty` is a symbolic link",
    );
    check(&|at| symlink("nowhere", at.join("history/a")).unwrap(), "`history/a` is a symbolic link");
    check(&|at| drop(std::os::unix::net::UnixListener::bind(at.join("s")).unwrap()), "`s` is a socket");
    check(
        &|at| {
            let fifo = rustix::fs::FileType::Fifo;
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, at.join("pipe"), fifo, mode, 0).unwrap();
        },
        "`pipe` is a named pipe",
    );
    check(&|at| fs::create_dir(at.join("void")).unwrap(), "`void` is empty");
    check(&|at| fs::write(at.join("a:b"), "").unwrap(), "colon");
    check(&|at| fs::write(at.join("con.txt"), "").unwrap(), "device");
    check(&|at| fs::write(at.join("ku\u{308}hl"), "").unwrap(), "NFC");
    check(&|at| fs::write(at.join("new\nline"), "").unwrap(), "`new\\nline` is refused");
    use std::os::unix::ffi::OsStrExt;
    check(&|at| fs::write(at.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap(), "UTF-8");
    // Twins are a matter of the whole manifest.
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), 1);
    fs::write(folder.path().join("PLANT.toml"), "").unwrap();
    let entries = source::entries(folder.path(), &Limits::default()).unwrap();
    assert!(matches!(seal::create(entries, "pump", 1, &key()), Err(Error::Twins { .. })));
}

#[test]
fn limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let seal = model(folder.path(), 1);
    let files = Limits { files: 3, ..Limits::default() };
    let bytes = Limits { bytes: 20, ..Limits::default() };
    for limits in [files, bytes] {
        assert!(matches!(source::entries(folder.path(), &limits), Err(Error::Limit { .. })));
        let opened = Sealed::open_with(folder.path(), &seal, &trust().limits(limits));
        assert!(matches!(opened, Err(Error::Limit { .. })));
    }
    assert!(matches!(source::entries(&folder.path().join("absent"), &files), Err(Error::Io { .. })));
    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(source::entries(nothing.path(), &files), Err(Error::EmptyDirectory { .. })));
}

#[test]
fn an_older_model_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let state_file = folder.path().join("state");
    let dir = folder.path().join("model");
    let old = model(&dir, 1);
    let new = model(&dir, 2);
    let other_new =
        seal::create(source::entries(&dir, &Limits::default()).unwrap(), "other", 2, &key()).unwrap();

    let open = |seal: &[u8]| -> Result<Rollback, Error> {
        let mut state = store::read_high_water(&state_file)?;
        let sealed = Sealed::open_with(&dir, seal, &trust().high_water(state.clone()))?;
        state.accept(sealed.manifest())?;
        store::write_high_water(&state_file, &state)?;
        Ok(sealed.rollback())
    };
    assert_eq!(open(&old).unwrap(), Rollback::FirstSeen);
    assert_eq!(open(&new).unwrap(), Rollback::Checked);
    assert!(matches!(open(&old), Err(Error::RolledBack { version: 1, seen: 2, .. })));
    fs::write(dir.join("plant.toml"), "format = 1 # other").unwrap();
    let same_version =
        seal::create(source::entries(&dir, &Limits::default()).unwrap(), "pump", 2, &key()).unwrap();
    assert!(matches!(open(&same_version), Err(Error::TwoContents { version: 2, .. })));

    // A key that signs two models: one must not stand in for the other.
    let expected = Trust::new(key().public().clone()).series("pump");
    assert!(matches!(expected.judge(&other_new), Err(Error::OtherSeries { .. })));
    let state: HighWater = fs::read_to_string(&state_file).unwrap().parse().unwrap();
    assert_eq!(state.get("pump").unwrap().0, 2);
    fs::write(&state_file, "twinguard high-water 1\n").unwrap();
    assert!(matches!(open(&new), Err(Error::State { .. })));
}

#[test]
fn content_that_cannot_be_used_is_an_error_of_its_own() {
    let mut files = Bundle::default();
    files.insert("plant.toml", vec![0xff]);
    let seal = seal::create(twinguard_integrity::entries_of(&files).unwrap(), "pump", 1, &key()).unwrap();
    let sealed = Sealed::from_bundle(files, &seal, &trust()).unwrap();
    let error = sealed.load::<Plant>().unwrap_err();
    assert!(matches!(error, Error::Content(_)));
    assert!(error.to_string().contains("authentic"), "{error}");
}
