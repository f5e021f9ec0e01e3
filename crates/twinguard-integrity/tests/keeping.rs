//! A journal over years: keys that are exchanged, entries that go and entries that stay, a process that is killed at any byte.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use twinguard_integrity::retention::{Hold, Retention};
use twinguard_integrity::storage::{Part, Storage};
use twinguard_integrity::store::{Directory, Durability};
use twinguard_integrity::{Checkpoint, Error, Journal, SigningKey, epoch, journal, note};
use twinguard_types::{Label, Timestamp};

const DAY: i64 = 86_400;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("pump-house.example/journal", &[seed; 32]).unwrap()
}

fn fill(journal: &mut Journal, until: u64) {
    for n in journal.size()..until {
        journal.push(Label::literal("tick"), Timestamp::from_secs(n as i64), &n.to_be_bytes()).unwrap();
    }
}

fn hold(id: &str, leaves: std::ops::Range<u64>) -> Hold {
    Hold { id: id.into(), leaves }
}

/// A journal of three epochs; the key of each hands over after 300 more leaves.
fn three_epochs() -> Journal {
    let mut journal = Journal::in_memory();
    for epoch in 1..3u8 {
        fill(&mut journal, u64::from(epoch) * 300);
        journal
            .hand_over(&key(epoch), &key(epoch + 1), u64::from(epoch) + 1, Timestamp::from_secs(1))
            .unwrap();
    }
    fill(&mut journal, 700);
    journal.checkpoint(&key(3)).unwrap();
    journal
}

#[test]
fn epochs_are_followed_from_the_first_key_to_the_last() {
    let journal = three_epochs();
    let report = epoch::verify(journal.storage(), key(1).public()).unwrap();
    assert_eq!((report.epoch, report.key, report.report.checkpoint.size), (3, key(3).public().clone(), 700));
    // With the last key alone it verifies as any journal does; from another first key it does not.
    journal::verify(journal.storage(), key(3).public()).unwrap();
    assert!(epoch::verify(journal.storage(), key(2).public()).is_err());
    assert!(journal::verify(journal.storage(), key(1).public()).is_err());
}

#[test]
fn an_interrupted_handing_over_says_which_key_goes_on() {
    let mut journal = Journal::in_memory();
    fill(&mut journal, 10);
    journal.checkpoint(&key(1)).unwrap();
    // The new key is stored, nothing else happened yet.
    assert_eq!(epoch::follow(journal.storage(), key(1).public()).unwrap(), (1, key(1).public().clone()));
    journal.hand_over(&key(1), &key(2), 2, Timestamp::from_secs(1)).unwrap();
    assert_eq!(epoch::follow(journal.storage(), key(1).public()).unwrap(), (2, key(2).public().clone()));
}

#[test]
fn the_present_key_rewrites_nothing_from_before_it() {
    // Whoever has stolen the third key writes the journal anew, with one entry of the first epoch changed, and whatever
    // handing over they can forge.
    let forge = |first: &dyn Fn(&mut Journal)| {
        let mut journal = Journal::in_memory();
        journal.push(Label::literal("tick"), Timestamp::from_secs(0), b"a lie").unwrap();
        fill(&mut journal, 300);
        first(&mut journal);
        fill(&mut journal, 700);
        journal.checkpoint(&key(3)).unwrap();
        epoch::verify(journal.storage(), key(1).public()).unwrap_err()
    };
    // The true handing over, copied: it is over another tree.
    let honest = three_epochs();
    let archive = journal::Archive::open(honest.storage(), key(3).public()).unwrap();
    let entry = archive.entry(300).unwrap();
    let copied = twinguard_integrity::Leaf::parse(&entry).unwrap().body.to_vec();
    let error = forge(&|journal| {
        journal.append(epoch::KIND, Timestamp::from_secs(1), &copied).unwrap();
    });
    assert!(matches!(error, Error::Epoch { epoch: 2, .. }), "{error}");
    // One over the changed tree, signed with the stolen key; and none at all.
    let error = forge(&|journal| {
        let (size, root) = (journal.size(), journal.root());
        let head = Checkpoint::new("x", size, root).to_string();
        let root = head.lines().nth(2).unwrap();
        let text =
            format!("twinguard epoch 1\npump-house.example/journal\n2\n{size} {root}\n{}\n", key(3).public());
        let note = note::sign(&text, &key(3)).unwrap();
        journal.append(epoch::KIND, Timestamp::from_secs(1), note.as_bytes()).unwrap();
    });
    assert!(matches!(error, Error::UntrustedKey { .. }), "{error}");
    let error = forge(&|_| ());
    assert!(matches!(error, Error::UntrustedKey { .. }), "{error}");
}

#[test]
fn next_keys_are_one_way_and_wear_one_name() {
    let (a, b) = (epoch::next_key(&key(1), &[0; 32]).unwrap(), epoch::next_key(&key(1), &[1; 32]).unwrap());
    assert_ne!(a.public(), b.public());
    assert_eq!(a.public().name(), key(1).public().name());
    let mut journal = Journal::in_memory();
    assert!(matches!(journal.hand_over(&key(1), &key(1), 2, Timestamp::ZERO), Err(Error::Epoch { .. })));
}

#[test]
fn pruning_keeps_what_has_to_stay_and_everything_still_verifies() {
    let mut journal = Journal::in_memory();
    fill(&mut journal, 300);
    journal.hand_over(&key(1), &key(2), 2, Timestamp::from_secs(300)).unwrap();
    journal.hold(Timestamp::from_secs(301), &hold("case 7", 600..700)).unwrap();
    fill(&mut journal, 1100);
    journal.append(Label::literal("finding"), Timestamp::from_secs(1100), b"fire").unwrap();
    fill(&mut journal, 2000);
    journal.checkpoint(&key(2)).unwrap();
    let old_root = journal.root();
    let before = journal::Archive::open(journal.storage(), key(2).public()).unwrap().bundle(&[5]).unwrap();

    let keep = Retention { days: Some(1), bytes: None, keep: vec![Label::literal("finding")] };
    let late = Timestamp::from_secs(2000 + 2 * DAY);
    let pruned = journal.prune(&keep, late, &key(2)).unwrap();
    // 256..512 hands over and holds, 512..768 is held, 1024..1280 holds a finding, the last bundle is not full.
    assert_eq!(pruned.leaves, [0..256, 768..1024, 1280..1792]);
    let report = epoch::verify(journal.storage(), key(1).public()).unwrap();
    assert_eq!((report.epoch, report.report.pruned), (2, 1024));
    // Proofs of what stays and of what went, and the earlier root, hold as before.
    let archive = journal::Archive::open(journal.storage(), key(2).public()).unwrap();
    archive.prove(1100).unwrap();
    assert!(matches!(archive.entry(5), Err(Error::Missing { .. })));
    before.verify(key(2).public()).unwrap();
    let proof = journal.consistency_proof(2000, journal.size()).unwrap();
    let (size, root) = (journal.size(), journal.root());
    twinguard_integrity::merkle::verify_consistency((2000, &old_root), (size, &root), &proof).unwrap();
    // Opened again it goes on; released, the held bundle goes the next time.
    let (mut journal, recovery) = Journal::open(journal.into_storage()).unwrap();
    assert_eq!(recovery.leaves, 2001);
    assert!(journal.prune(&keep, late, &key(2)).unwrap().leaves.is_empty());
    journal.release(late, &hold("case 7", 600..700)).unwrap();
    journal.checkpoint(&key(2)).unwrap();
    let pruned = journal.prune(&keep, late, &key(2)).unwrap();
    assert_eq!(pruned.leaves.as_slice(), std::slice::from_ref(&(512..768)));
    assert_eq!(journal::verify(journal.storage(), key(2).public()).unwrap().pruned, 1280);
}

#[test]
fn bytes_are_a_limit_as_well_and_nothing_unsigned_goes() {
    let mut journal = Journal::in_memory();
    fill(&mut journal, 1000);
    let keep = Retention { bytes: Some(7_000), ..Retention::default() };
    assert!(journal.prune(&keep, Timestamp::from_secs(1000), &key(1)).unwrap().leaves.is_empty());
    journal.checkpoint(&key(1)).unwrap();
    let pruned = journal.prune(&keep, Timestamp::from_secs(1000), &key(1)).unwrap();
    assert_eq!(pruned.leaves.as_slice(), std::slice::from_ref(&(0..512)));
    assert!(pruned.bytes > 6_000);
    journal::verify(journal.storage(), key(1).public()).unwrap();
}

#[test]
fn what_is_missing_without_a_word_or_in_spite_of_a_hold_is_found() {
    let pruned = || {
        let mut journal = Journal::in_memory();
        fill(&mut journal, 1000);
        journal.checkpoint(&key(1)).unwrap();
        journal
            .prune(&Retention { days: Some(0), ..Retention::default() }, Timestamp::from_secs(700), &key(1))
            .unwrap();
        journal
    };
    let journal = pruned();
    assert_eq!(journal::verify(journal.storage(), key(1).public()).unwrap().pruned, 512);
    // One bundle more than the journal says.
    let mut storage = journal.storage().clone();
    storage.set(Part::Entries { index: 2, width: None }, None);
    let error = journal::verify(&storage, key(1).public()).unwrap_err();
    assert!(matches!(error, Error::Missing { leaf: 512, .. }), "{error}");
    // The hashes of what was pruned cannot be exchanged.
    let mut storage = journal.storage().clone();
    let tile = Part::Hashes { level: 0, index: 0, width: None };
    let mut bytes = storage.read(tile).unwrap().unwrap();
    bytes[40] ^= 1;
    storage.set(tile, Some(bytes));
    assert!(journal::verify(&storage, key(1).public()).is_err());
    // Somebody with the key removes what is held, and says so.
    let mut journal = Journal::in_memory();
    fill(&mut journal, 10);
    journal.hold(Timestamp::from_secs(10), &hold("case 7", 0..5)).unwrap();
    fill(&mut journal, 1000);
    let item = b"\xa3\x64days\xf6\x65bytes\xf6\x66leaves\x82\x00\x19\x01\x00";
    journal.append_item(Label::literal("pruned"), Timestamp::from_secs(9), item).unwrap();
    journal.checkpoint(&key(1)).unwrap();
    let error = journal::verify(journal.storage(), key(1).public()).unwrap_err();
    assert!(matches!(&error, Error::Held { leaf: 0, hold } if hold == "case 7"), "{error}");
}

#[test]
fn a_directory_is_pruned_like_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) =
        Journal::open(Directory::open(folder.path(), Durability::Process).unwrap()).unwrap();
    for n in 0..600i64 {
        journal.push(Label::literal("tick"), Timestamp::from_secs(n), b"x").unwrap();
    }
    journal.checkpoint(&key(1)).unwrap();
    let keep = Retention { days: Some(1), ..Retention::default() };
    let pruned = journal.prune(&keep, Timestamp::from_secs(3 * DAY), &key(1)).unwrap();
    assert_eq!(pruned.leaves.as_slice(), std::slice::from_ref(&(0..512)));
    assert!(!folder.path().join("tile/entries/000").exists());
    drop(journal);
    let reader = Directory::open_read_only(folder.path()).unwrap();
    assert_eq!(journal::verify(&reader, key(1).public()).unwrap().pruned, 512);
}

/// Writes until it is killed: says each size that was made to last, or signed, on its standard output.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os("TWINGUARD_KILLED_JOURNAL") else { return };
    let (mut journal, _) = Journal::open(Directory::open(folder, Durability::Process).unwrap()).unwrap();
    loop {
        for _ in 0..7 {
            let n = journal.size();
            journal.push(Label::literal("tick"), Timestamp::from_secs(n as i64), &n.to_be_bytes()).unwrap();
        }
        if journal.size() % 3 == 0 {
            journal.checkpoint(&key(1)).unwrap();
        } else {
            journal.sync().unwrap();
        }
        println!("\nlasting {}", journal.size());
    }
}

/// `TWINGUARD_KILLS` sets how often (12); `.ci/long/journal-kills` asks for a thousand.
#[test]
#[cfg(unix)]
fn killed_at_any_moment_it_opens_with_everything_that_was_acknowledged() {
    let kills: u64 = std::env::var("TWINGUARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut wanted = Journal::in_memory();
    let mut roots = vec![wanted.root()];
    let mut folder = tempfile::tempdir().unwrap();
    for kill in 0..kills {
        if kill % 20 == 19 {
            folder = tempfile::tempdir().unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env("TWINGUARD_KILLED_JOURNAL", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let read = |line: String, acknowledged: &mut u64| {
            if let Some(size) = line.strip_prefix("lasting ").and_then(|size| size.parse().ok()) {
                *acknowledged = size;
            }
        };
        // So many acknowledgements in, then a moment that nothing aligns with the child's writes.
        let rounds = 1 + kill.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 40;
        let mut seen = 0;
        while seen < rounds {
            let line = lines.next().unwrap().unwrap();
            seen += u64::from(line.starts_with("lasting "));
            read(line, &mut acknowledged);
        }
        std::thread::sleep(std::time::Duration::from_micros(
            kill.wrapping_mul(0xd134_2543_de82_ef95) % 1_500,
        ));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        for line in lines {
            read(line.unwrap_or_default(), &mut acknowledged);
        }
        let (opened, recovery) =
            Journal::open(Directory::open(folder.path(), Durability::Process).unwrap()).unwrap();
        assert!(recovery.leaves >= acknowledged, "kill {kill}: {} of {acknowledged}", recovery.leaves);
        while (roots.len() as u64) <= recovery.leaves {
            fill(&mut wanted, roots.len() as u64);
            roots.push(wanted.root());
        }
        assert_eq!(opened.root(), roots[recovery.leaves as usize], "kill {kill}");
        drop(opened);
        if recovery.signed.is_some() {
            let reader = Directory::open_read_only(folder.path()).unwrap();
            journal::verify(&reader, key(1).public()).unwrap();
        }
    }
}
