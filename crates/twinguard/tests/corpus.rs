//! Replays the fuzz corpus through the same functions that the fuzzer calls.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::PathBuf};

#[allow(unreachable_pub)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).unwrap();
    let names =
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
    names.filter(|name| built(name)).collect()
}

/// Whether this build has what the target of this name needs.
fn built(name: &str) -> bool {
    cfg!(feature = "biscuit") || name != "biscuit"
}

#[test]
fn the_corpus_passes_and_so_does_every_beginning_of_it() {
    for (name, target) in targets::TARGETS {
        let mut inputs: Vec<_> =
            fs::read_dir(fuzz().join("corpus").join(name)).unwrap().map(|e| e.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name}: the corpus is empty");
        for path in inputs {
            let data = fs::read(&path).unwrap();
            target(&data);
            // Cut at a few hundred places, and one bit turned at each.
            let step = (data.len() / 200).max(1);
            for at in (0..data.len()).step_by(step) {
                target(&data[..at]);
                let mut turned = data.clone();
                turned[at] ^= 1 << (at % 8);
                target(&turned);
            }
        }
    }
}

#[test]
fn our_own_formats_are_written_as_the_corpus_holds_them() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, bytes) in targets::integrity::seeds().into_iter().chain(targets::federated::seeds()) {
        let path = fuzz().join("corpus").join(target).join(name);
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            kept == bytes,
            "{}: the format changed; if that is wanted, UPDATE_CORPUS=1 writes it anew",
            path.display()
        );
    }
}

#[test]
fn every_target_has_its_file_its_binary_and_its_corpus() {
    let listed: BTreeSet<_> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(targets::TARGETS.is_sorted_by_key(|(name, _)| *name), "TARGETS is not alphabetical");
    assert_eq!(listed, names("fuzz_targets"), "fuzz/fuzz_targets");
    assert_eq!(listed, names("corpus"), "fuzz/corpus");
    let manifest: toml::Table = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let binaries = manifest["bin"].as_array().unwrap().iter();
    let binaries = binaries.map(|bin| bin["name"].as_str().unwrap().to_owned());
    let binaries: BTreeSet<_> = binaries.filter(|name| built(name)).collect();
    assert_eq!(listed, binaries, "[[bin]] in fuzz/Cargo.toml");
    let chapter = fs::read_to_string(fuzz().join("../docs/src/fuzzing.md")).unwrap();
    let table = chapter.split("## Runs").next().unwrap().lines().filter_map(|line| line.strip_prefix("| "));
    let told = table.filter_map(|row| row.split_once(" | ")).flat_map(|(names, _)| names.split(", "));
    let told: BTreeSet<_> = told.filter(|name| *name != "target" && built(name)).map(str::to_owned).collect();
    assert_eq!(listed, told, "the table of targets in docs/src/fuzzing.md");
}
