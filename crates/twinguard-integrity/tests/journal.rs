//! The journal against interruptions and against people: whatever is cut, flipped, moved or removed is found, and an
//! interrupted journal opens as a beginning of itself.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic
)]

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use twinguard_integrity::storage::{Memory, Part, Storage};
use twinguard_integrity::store::{Directory, Durability};
use twinguard_integrity::{Checkpoint, Error, Journal, SigningKey, journal, merkle};
use twinguard_types::{Digest, Label, Timestamp};

fn key() -> SigningKey {
    SigningKey::from_seed("pump-house.example/journal", &[7; 32]).unwrap()
}

/// Body of the n-th entry: lengths differ, contents differ.
fn body(n: u64) -> Vec<u8> {
    format!("entry {n} {}", "x".repeat((n % 7) as usize)).into_bytes()
}

fn add<S: Storage>(journal: &mut Journal<S>, count: u64) {
    for _ in 0..count {
        let n = journal.size();
        let receipt =
            journal.append(Label::literal("tick"), Timestamp::from_nanos(n as i64), &body(n)).unwrap();
        assert_eq!((receipt.leaf, receipt.root), (n, journal.root()));
    }
}

fn roots(size: u64) -> Vec<Digest> {
    let mut journal = Journal::in_memory();
    let mut roots = vec![journal.root()];
    for _ in 0..size {
        add(&mut journal, 1);
        roots.push(journal.root());
    }
    roots
}

fn signed(size: u64) -> Memory {
    let mut journal = Journal::in_memory();
    add(&mut journal, size);
    journal.checkpoint(&key()).unwrap();
    journal.into_storage()
}

#[test]
fn the_root_depends_on_the_entries_alone() {
    let wanted = roots(700);
    let mut journal = Journal::in_memory();
    for step in [1, 254, 1, 1, 255, 100, 88] {
        add(&mut journal, step);
        assert_eq!(journal.root(), wanted[journal.size() as usize]);
        journal.checkpoint(&key()).unwrap();
        let report = journal::verify(journal.storage(), key().public()).unwrap();
        assert_eq!((report.checkpoint.size, report.unsigned), (journal.size(), 0));
        // Opened again it is the same journal and goes on the same way.
        let (again, recovery) = Journal::open(journal.into_storage()).unwrap();
        assert_eq!((recovery.leaves, recovery.dropped_bytes), (again.size(), 0));
        assert_eq!(again.root(), wanted[again.size() as usize]);
        journal = again;
    }
    assert_eq!(journal.size(), 700);
}

#[test]
fn golden_root() {
    // Version 1 for ever: a released version's journals stay readable.
    let root = roots(300)[300].to_string();
    assert_eq!(root, "0fa02b03e402852bea6d896a1a54e6165960cc36e2e14139203f86efdc176b3f");
}

#[test]
fn layout_is_that_of_the_specification() {
    // tlog-tiles, "Partial Tiles": the parts of a tree of 70,000 entries, and of one of 256.
    let mut journal = Journal::in_memory();
    for n in 0..70_000u64 {
        journal.push(Label::literal("tick"), Timestamp::from_nanos(0), &n.to_be_bytes()).unwrap();
    }
    journal.checkpoint(&key()).unwrap();
    let parts: Vec<_> = journal.storage().parts().map(|(part, bytes)| (part.path(), bytes.len())).collect();
    let count = |prefix: &str, partial: bool| {
        parts.iter().filter(|(path, _)| path.starts_with(prefix) && path.contains(".p/") == partial).count()
    };
    assert_eq!((count("tile/0/", false), count("tile/1/", false), count("tile/2/", false)), (273, 1, 0));
    assert!(parts.contains(&("tile/0/273.p/112".into(), 112 * 32)));
    assert!(parts.contains(&("tile/1/001.p/17".into(), 17 * 32)));
    assert!(parts.contains(&("tile/2/000.p/1".into(), 32)));
    assert_eq!(count("tile/entries/", false), 273);
    assert_eq!(count("tile/", true), 4);
    journal::verify(journal.storage(), key().public()).unwrap();
    let (again, _) = Journal::open(journal.storage().clone()).unwrap();
    assert_eq!(again.root(), journal.root());

    let parts: Vec<_> = signed(256).parts().map(|(part, _)| part.path()).collect();
    assert_eq!(parts, ["checkpoint", "tile/entries/000", "tile/0/000", "tile/1/000.p/1", "tail"]);
}

#[test]
fn every_single_bit_flip_in_any_part_is_found() {
    for size in [1, 5, 256, 259] {
        let storage = signed(size);
        let parts: Vec<_> = storage.parts().map(|(part, bytes)| (part, bytes.to_vec())).collect();
        for (part, bytes) in parts {
            let step = (bytes.len() * 8 / 800).max(1) | 1;
            for bit in (0..bytes.len() * 8).step_by(step) {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut copy = storage.clone();
                copy.set(part, Some(flipped));
                let found = journal::verify(&copy, key().public());
                assert!(found.is_err(), "bit {bit} of {} with {size} leaves", part.path());
            }
        }
    }
}

#[test]
fn every_cut_of_any_part_is_found_and_opens_as_a_beginning_or_says_what_is_missing() {
    let wanted = roots(261);
    for (size, unsigned) in [(3, 2), (259, 2), (250, 11)] {
        let mut journal = Journal::in_memory();
        add(&mut journal, size);
        journal.checkpoint(&key()).unwrap();
        add(&mut journal, unsigned);
        let storage = journal.into_storage();
        let parts: Vec<_> = storage.parts().map(|(part, bytes)| (part, bytes.to_vec())).collect();
        for (part, bytes) in parts {
            for end in 0..bytes.len() {
                let mut copy = storage.clone();
                copy.set(part, Some(bytes[..end].to_vec()));
                // A tail that ends between two unsigned entries is a whole, shorter one.
                if let Ok(report) = journal::verify(&copy, key().public()) {
                    assert!(
                        part == Part::Tail && report.unsigned < unsigned || is_spare(part, size, unsigned),
                        "{} cut at {end}",
                        part.path()
                    );
                }
                match Journal::open(copy) {
                    Ok((opened, recovery)) => {
                        assert_eq!(
                            opened.root(),
                            wanted[opened.size() as usize],
                            "{} cut at {end}",
                            part.path()
                        );
                        assert!(opened.size() >= size && recovery.leaves == opened.size());
                        if part == Part::Tail {
                            journal::verify(opened.storage(), key().public()).unwrap();
                        }
                    }
                    Err(error) => {
                        assert!(
                            part != Part::Tail || size + unsigned == 261 && size == 250,
                            "{error} at {end}"
                        );
                        assert!(error.is_refusal(), "{error}");
                    }
                }
            }
        }
    }
}

/// The tail after a roll holds nothing that is not elsewhere; parts of an earlier, shorter tree are not needed any more.
fn is_spare(part: Part, size: u64, unsigned: u64) -> bool {
    let rolled = size < 256 && size + unsigned > 256;
    rolled && !matches!(part, Part::Checkpoint)
}

/// Stops after a number of bytes, in the middle of whatever is written then, as a loss of power does.
#[derive(Debug, Clone)]
struct Failing {
    inner: Memory,
    left: Rc<Cell<usize>>,
}

impl Failing {
    fn spend(&self, wanted: usize) -> usize {
        let allowed = wanted.min(self.left.get());
        self.left.set(self.left.get() - allowed);
        allowed
    }

    fn stopped(&self) -> Error {
        Error::Io { action: "write", path: "here".into(), source: std::io::Error::other("power is gone") }
    }
}

impl Storage for Failing {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        self.inner.read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        // Each renaming costs one more byte than what is written, so it is interrupted before and after.
        match self.spend(bytes.len() + 1) {
            allowed if allowed == bytes.len() + 1 => self.inner.replace(part, bytes),
            _ => Err(self.stopped()),
        }
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let allowed = self.spend(bytes.len());
        self.inner.append(&bytes[..allowed])?;
        if allowed == bytes.len() { Ok(()) } else { Err(self.stopped()) }
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        match self.spend(1) {
            1 => self.inner.remove_partial(full),
            _ => Err(self.stopped()),
        }
    }
    fn remove(&mut self, part: Part) -> Result<(), Error> {
        match self.spend(1) {
            1 => self.inner.remove(part),
            _ => Err(self.stopped()),
        }
    }
    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Runs a journal with checkpoints until its store stops; gives how many leaves had been entered.
fn run_until_stopped(storage: Failing, checkpoint_every: u64) -> (Memory, u64, u64) {
    let left = storage.left.clone();
    let (mut journal, _) = match Journal::open(storage) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    };
    let mut signed = 0;
    let entered = loop {
        let n = journal.size();
        if journal.append(Label::literal("tick"), Timestamp::from_nanos(n as i64), &body(n)).is_err() {
            break n;
        }
        if journal.size().is_multiple_of(checkpoint_every) {
            if journal.checkpoint(&key()).is_err() {
                break journal.size();
            }
            signed = journal.size();
        }
    };
    assert_eq!(left.get(), 0);
    assert!(matches!(journal.append(Label::literal("tick"), Timestamp::ZERO, b""), Err(Error::Broken)));
    (journal.into_storage().inner, entered, signed)
}

#[test]
fn stopped_at_any_byte_it_opens_as_a_beginning() {
    let wanted = roots(600);
    // Every byte around the first roll, the second, and a checkpoint; single bytes elsewhere.
    let mut budgets: Vec<usize> = (17..400).collect();
    budgets.extend((7_000..42_000).step_by(173));
    for every in [7, 100, 1000] {
        for &budget in &budgets {
            let storage = Failing { inner: Memory::default(), left: Rc::new(Cell::new(budget)) };
            let (stored, entered, signed) = run_until_stopped(storage, every);
            let (mut opened, recovery) =
                Journal::open(stored).unwrap_or_else(|error| panic!("budget {budget}: {error}"));
            let size = opened.size();
            assert!(
                size <= entered + 1 && size >= signed,
                "budget {budget}: {size} of {entered}, {signed} signed"
            );
            // The entry that was being written may or may not be there; every earlier one is.
            assert!(size >= entered.saturating_sub(1), "budget {budget}");
            assert_eq!(opened.root(), wanted[size as usize], "budget {budget}");
            assert_eq!(recovery.leaves, size);
            if recovery.signed.is_some() {
                journal::verify(opened.storage(), key().public())
                    .unwrap_or_else(|error| panic!("budget {budget}: {error}"));
            }
            // It goes on where it stopped.
            add(&mut opened, 3);
            assert_eq!(opened.root(), wanted[size as usize + 3]);
            opened.checkpoint(&key()).unwrap();
            journal::verify(opened.storage(), key().public()).unwrap();
        }
    }
}

fn entries_of(storage: &Memory, part: Part) -> Vec<Vec<u8>> {
    let mut rest = &storage.read(part).unwrap().unwrap()[..];
    let mut entries = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (entry, after) = after.split_at(u16::from_be_bytes(*length).into());
        entries.push(entry.to_vec());
        rest = after;
    }
    entries
}

fn bundle_of(entries: &[Vec<u8>]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [&(entry.len() as u16).to_be_bytes()[..], entry].concat()).collect()
}

#[test]
fn the_leaf_that_was_touched_is_named() {
    let storage = signed(600);
    let part = Part::Entries { index: 1, width: None };
    let entries = entries_of(&storage, part);
    let check = |changed: Vec<Vec<u8>>| {
        let mut copy = storage.clone();
        copy.set(part, Some(bundle_of(&changed)));
        journal::verify(&copy, key().public()).unwrap_err()
    };

    let mut edited = entries.clone();
    *edited[44].last_mut().unwrap() ^= 1;
    assert!(matches!(check(edited), Error::Edited { leaf: 300 }));

    let mut moved = entries.clone();
    moved.swap(44, 50);
    assert!(matches!(check(moved), Error::Reordered { leaf: 300, belongs: 306 }));

    let mut shorter = entries.clone();
    shorter.pop();
    assert!(matches!(check(shorter), Error::Damaged { leaf: 511, .. }));

    let mut removed = entries.clone();
    removed.remove(44);
    removed.push(b"made up".to_vec());
    assert!(matches!(check(removed), Error::Reordered { leaf: 300, belongs: 301 }));

    // Tiles of hashes changed along with the entries: the signed root still tells, if less precisely.
    let mut edited = entries.clone();
    *edited[44].last_mut().unwrap() ^= 1;
    let tile: Vec<u8> = edited.iter().flat_map(|entry| merkle::leaf_hash(entry).0).collect();
    let mut copy = storage.clone();
    copy.set(part, Some(bundle_of(&edited)));
    copy.set(Part::Hashes { level: 0, index: 1, width: None }, Some(tile));
    let error = journal::verify(&copy, key().public()).unwrap_err();
    assert!(matches!(error, Error::Rewritten { first: 256, last: 511 }), "{error}");

    for part in storage.parts().map(|(part, _)| part).collect::<Vec<_>>() {
        let mut copy = storage.clone();
        copy.set(part, None);
        match journal::verify(&copy, key().public()) {
            Err(Error::Missing { path, .. }) => assert_eq!(path, part.path()),
            Ok(_) => assert_eq!(part, Part::Tail, "a published copy has no tail"),
            Err(error) => panic!("without {}: {error}", part.path()),
        }
    }
}

#[test]
fn another_key_and_another_origin_are_refused() {
    let storage = signed(3);
    let same_name = SigningKey::from_seed("pump-house.example/journal", &[8; 32]).unwrap();
    assert!(matches!(journal::verify(&storage, same_name.public()), Err(Error::UntrustedKey { .. })));
    let same_key = SigningKey::from_seed("other.example/journal", &[7; 32]).unwrap();
    assert!(matches!(journal::verify(&storage, same_key.public()), Err(Error::UntrustedKey { .. })));
    let head = Checkpoint::new("other.example/journal", 3, roots(3)[3]).sign(&key()).unwrap();
    let mut copy = storage;
    copy.set(Part::Checkpoint, Some(head.into_bytes()));
    assert!(matches!(journal::verify(&copy, key().public()), Err(Error::Text { line: 1, .. })));
}

#[test]
fn a_journal_cut_back_to_an_older_checkpoint_is_found_with_a_kept_one() {
    let mut journal = Journal::in_memory();
    add(&mut journal, 300);
    journal.checkpoint(&key()).unwrap();
    let older = journal.storage().clone();
    add(&mut journal, 50);
    let kept = Checkpoint::verify(&journal.checkpoint(&key()).unwrap(), key().public()).unwrap();
    assert!(journal::verify(&older, key().public()).is_ok(), "alone it is whole");
    let error = journal::verify_against(&older, key().public(), &kept).unwrap_err();
    assert!(matches!(error, Error::Truncated { leaves: 300, signed: 350 }));
    let earlier = Checkpoint::new("", 200, roots(200)[200]);
    journal::verify_against(journal.storage(), key().public(), &earlier).unwrap();
    let other = Checkpoint::new("", 200, roots(200)[199]);
    let error = journal::verify_against(journal.storage(), key().public(), &other).unwrap_err();
    assert!(matches!(error, Error::Forked { size: 200 }));
}

#[test]
fn opening_refuses_what_was_signed_and_is_gone_or_changed() {
    let storage = signed(600);
    let mut cut = storage.clone();
    cut.set(Part::Tail, None);
    cut.set(Part::Entries { index: 2, width: Some(88) }, None);
    assert!(matches!(Journal::open(cut), Err(Error::Truncated { leaves: 512, signed: 600 })));
    let mut lost = storage.clone();
    lost.set(Part::Tail, None);
    assert_eq!(
        Journal::open(lost).unwrap().0.root(),
        roots(600)[600],
        "restored from what the checkpoint published"
    );

    let other = signed(599);
    let mut forked = storage.clone();
    let mut journal = Journal::open(other).unwrap().0;
    journal.append(Label::literal("tick"), Timestamp::ZERO, b"another 600th").unwrap();
    forked.set(Part::Tail, journal.storage().read(Part::Tail).unwrap());
    assert!(matches!(Journal::open(forked), Err(Error::Forked { size: 600 })));
}

#[test]
fn proofs_of_a_journal_verify_offline() {
    let mut journal = Journal::in_memory();
    add(&mut journal, 777);
    let note = journal.checkpoint(&key()).unwrap();
    let head = Checkpoint::verify(&note, key().public()).unwrap();
    add(&mut journal, 300);
    let archive = journal::Archive::open(journal.storage(), key().public()).unwrap();
    for leaf in [0, 1, 255, 256, 511, 600, 776] {
        let proof = journal.prove(leaf, &note).unwrap();
        assert_eq!(archive.prove(leaf).unwrap(), proof);
        let entry = archive.entry(leaf).unwrap();
        assert_eq!(proof.verify(&entry, key().public()).unwrap(), head);
        assert!(proof.verify(b"another", key().public()).is_err());
    }
    assert!(matches!(archive.prove(777), Err(Error::OutOfRange { asked: 777, size: 777 })));
    let wanted = roots(1077);
    for (old, size) in [(1, 777), (256, 777), (512, 1077), (777, 1077), (300, 300)] {
        let proof = journal.consistency_proof(old, size).unwrap();
        let (before, after) = (wanted[old as usize], wanted[size as usize]);
        merkle::verify_consistency((old, &before), (size, &after), &proof).unwrap();
    }
    assert!(matches!(journal.consistency_proof(1, 2000), Err(Error::OutOfRange { .. })));
}

#[test]
fn a_directory_holds_the_same_parts_as_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for durability in [Durability::Process, Durability::Power] {
        let (mut journal, _) = Journal::open(Directory::open(&path, durability).unwrap()).unwrap();
        assert!(matches!(Directory::open(&path, durability), Err(Error::Locked { .. })));
        add(&mut journal, 300);
        journal.checkpoint(&key()).unwrap();
        add(&mut journal, 5);
    }
    let read = Directory::open_read_only(&path).unwrap();
    let report = journal::verify(&read, key().public()).unwrap();
    assert_eq!((report.checkpoint.size, report.checkpoint.root, report.unsigned), (605, roots(605)[605], 5));

    let mut memory = Journal::in_memory();
    for n in [300, 305] {
        add(&mut memory, n);
        memory.checkpoint(&key()).unwrap();
    }
    add(&mut memory, 5);
    for (part, bytes) in memory.storage().parts() {
        assert_eq!(read.read(part).unwrap().as_deref(), Some(bytes), "{}", part.path());
    }
    let mut read = read;
    assert!(read.replace(Part::Checkpoint, b"").is_err(), "opened for reading only");
    assert!(Directory::open_read_only(folder.path().join("absent")).is_err());
}

#[test]
fn a_store_behind_a_pointer_works_and_one_that_keeps_nothing_gives_the_same_roots() {
    let store: Box<dyn Storage + Send> = Box::new(Memory::default());
    let (mut journal, _) = Journal::open(store).unwrap();
    add(&mut journal, 10);
    let (mut nothing, _) = Journal::open(twinguard_integrity::storage::Nowhere).unwrap();
    add(&mut nothing, 10);
    assert_eq!(journal.root(), nothing.root());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_reordering_is_found(size in 2u64..400, a in 0usize..400, b in 0usize..400) {
        let storage = signed(size);
        let (index, width) = ((size - 1) / 256, (size % 256) as u8);
        let part = Part::Entries { index, width: Some(width).filter(|width| *width > 0) };
        let mut entries = entries_of(&storage, part);
        let (a, b) = (a % entries.len(), b % entries.len());
        entries.swap(a, b);
        let mut copy = storage.clone();
        copy.set(part, Some(bundle_of(&entries)));
        prop_assert_eq!(journal::verify(&copy, key().public()).is_ok(), a == b);
    }

    #[test]
    fn any_tail_opens_or_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), good in 0usize..150) {
        let mut journal = Journal::in_memory();
        add(&mut journal, 5);
        let mut storage = journal.into_storage();
        let tail = storage.read(Part::Tail).unwrap().unwrap();
        let mixed = [&tail[..good.min(tail.len())], &bytes].concat();
        storage.set(Part::Tail, Some(mixed));
        if let Ok((opened, _)) = Journal::open(storage) {
            prop_assert!(opened.size() <= 205);
        }
    }
}
