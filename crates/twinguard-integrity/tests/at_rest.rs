//! A journal that is encrypted where it is kept is the same journal, and shows nothing to whoever has no key.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use twinguard_integrity::at_rest::{Encrypted, Keyring};
use twinguard_integrity::storage::{Memory, Part, Storage};
use twinguard_integrity::store::{Directory, Durability};
use twinguard_integrity::{Error, Journal, SigningKey, journal};
use twinguard_types::{Label, Timestamp};

const NAME: &str = "pump-house.example/journal";

fn key() -> SigningKey {
    SigningKey::from_seed(NAME, &[7; 32]).unwrap()
}

fn keys() -> Keyring {
    Keyring::new(1, &[9; 32])
}

fn over(memory: Memory, keys: Keyring) -> Encrypted<Memory, Keyring> {
    Encrypted::new(memory, keys, NAME).unwrap()
}

fn open(memory: Memory) -> Result<(Journal<Encrypted<Memory, Keyring>>, u64), Error> {
    Journal::open(over(memory, keys())).map(|(journal, recovery)| (journal, recovery.dropped_bytes))
}

fn add<S: Storage>(journal: &mut Journal<S>, count: u64) {
    for _ in 0..count {
        let n = journal.size();
        journal.push(Label::literal("verdict"), Timestamp::from_nanos(n as i64), b"valve-17 denied").unwrap();
    }
}

/// A journal with so many signed entries and so many after them, as it is kept.
fn kept(signed: u64, more: u64) -> Memory {
    let (mut journal, _) = open(Memory::default()).unwrap();
    add(&mut journal, signed);
    journal.checkpoint(&key()).unwrap();
    add(&mut journal, more);
    journal.into_storage().into_inner()
}

fn verify(memory: Memory) -> Result<journal::Report, Error> {
    journal::verify(&over(memory, keys()), key().public())
}

fn bytes(memory: &Memory, part: Part) -> Vec<u8> {
    memory.read(part).unwrap().unwrap()
}

#[test]
fn it_is_the_same_journal_and_nothing_of_it_can_be_read() {
    let mut plain = Journal::in_memory();
    let (mut hidden, _) = open(Memory::default()).unwrap();
    for step in [1, 254, 1, 1, 300, 43] {
        add(&mut plain, step);
        add(&mut hidden, step);
        let notes = (plain.checkpoint(&key()).unwrap(), hidden.checkpoint(&key()).unwrap());
        assert_eq!((plain.root(), notes.0), (hidden.root(), notes.1.clone()));
        let report = journal::verify(hidden.storage(), key().public()).unwrap();
        assert_eq!((report.checkpoint.size, report.unsigned), (hidden.size(), 0));
        assert_eq!(hidden.prove(0, &notes.1).unwrap(), plain.prove(0, &notes.1).unwrap());

        let memory = hidden.into_storage().into_inner();
        for (part, bytes) in memory.parts() {
            let shows = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
            assert!(!shows(b"valve") && !shows(b"verdict") && !shows(b"pump-house"), "{}", part.path());
            // Hashes of guessable entries would tell them as well.
            let inner = plain.storage().read(part).unwrap().unwrap();
            assert!(inner.len() < 32 || !shows(&inner[..32]), "{}", part.path());
        }
        let again = open(memory).unwrap();
        assert_eq!((again.1, again.0.root()), (0, plain.root()));
        hidden = again.0;
    }
}

#[test]
fn it_lies_on_disk_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let directory = Directory::open(folder.path(), Durability::Process).unwrap();
        let (mut journal, recovery) =
            Journal::open(Encrypted::new(directory, keys(), NAME).unwrap()).unwrap();
        assert_eq!(recovery.leaves, (round - 1) * 100);
        add(&mut journal, 100);
        journal.checkpoint(&key()).unwrap();
    }
    let directory = Directory::open_read_only(folder.path()).unwrap();
    let report = journal::verify(&Encrypted::new(directory, keys(), NAME).unwrap(), key().public()).unwrap();
    assert_eq!(report.checkpoint.size, 300);
}

#[test]
fn a_flipped_bit_is_found_in_every_part() {
    let memory = kept(259, 0);
    let parts: Vec<_> = memory.parts().map(|(part, bytes)| (part, bytes.to_vec())).collect();
    for (part, bytes) in parts {
        let step = (bytes.len() * 8 / 400).max(1) | 1;
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut copy = memory.clone();
            copy.set(part, Some(flipped));
            assert!(verify(copy).is_err(), "bit {bit} of {}", part.path());
        }
    }
}

#[test]
fn a_tail_that_ends_anywhere_opens_as_a_beginning_and_goes_on() {
    let memory = kept(3, 4);
    let tail = bytes(&memory, Part::Tail);
    let first = 12 + 4 + 24 + 16 + 16; // head, length, nonce, the header of a plain tail, tag
    for end in 0..=tail.len() {
        let mut copy = memory.clone();
        copy.set(Part::Tail, Some(tail[..end].to_vec()));
        let opened = open(copy);
        if end < first && end > 0 {
            assert!(matches!(opened, Err(Error::AtRest { .. })), "cut at {end}");
            continue;
        }
        let (mut journal, dropped) = opened.unwrap();
        assert!((3..=7).contains(&journal.size()), "cut at {end}");
        assert!(end == 0 || (dropped == 0) == open_whole(&tail[..end]), "cut at {end}: {dropped}");
        add(&mut journal, 2);
        journal.checkpoint(&key()).unwrap();
        verify(journal.into_storage().into_inner()).unwrap();
    }
}

/// Whether a tail ends with a record.
fn open_whole(tail: &[u8]) -> bool {
    let mut rest = &tail[12..];
    while let Some((length, after)) = rest.split_first_chunk() {
        match after.split_at_checked(u32::from_be_bytes(*length) as usize) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn pieces_stay_in_their_place() {
    let memory = kept(600, 0);
    let entries = |index| Part::Entries { index, width: None };
    let mut swapped = memory.clone();
    swapped.set(entries(0), Some(bytes(&memory, entries(1))));
    assert!(
        matches!(verify(swapped), Err(Error::AtRest { place, .. }) if place.contains("tile/entries/000"))
    );

    // Those of another journal under the same keys.
    assert!(matches!(
        journal::verify(&Encrypted::new(memory.clone(), keys(), "another/journal").unwrap(), key().public()),
        Err(Error::AtRest { .. })
    ));

    // Records of the tail: one left out, two exchanged, one of an earlier tail in the place of this one's.
    let tail = bytes(&memory, Part::Tail);
    let mut records = Vec::new();
    let mut rest = &tail[12..];
    while let Some((length, after)) = rest.split_first_chunk() {
        let (record, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        records.push([&length[..], record].concat());
        rest = after;
    }
    let with = |records: Vec<&[u8]>| {
        let mut copy = memory.clone();
        copy.set(Part::Tail, Some([&tail[..12], &records.concat()].concat()));
        let inner = over(copy, keys()).read(Part::Tail);
        inner.map(|inner| inner.unwrap().iter().rposition(|byte| *byte != 0).unwrap())
    };
    let all: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let whole = with(all.clone()).unwrap();
    let without: Vec<_> =
        all.iter().enumerate().filter(|(n, _)| *n != 5).map(|(_, record)| *record).collect();
    let mut exchanged = all.clone();
    exchanged.swap(5, 6);
    for changed in [without, exchanged] {
        assert!(with(changed).unwrap() < whole / 2);
    }
}

#[test]
fn with_another_key_nothing_is_read_and_nothing_is_written() {
    let memory = kept(5, 2);
    let kept = memory.clone();
    for wrong in [Keyring::new(1, &[8; 32]), Keyring::new(2, &[9; 32])] {
        let opened = Journal::open(over(memory.clone(), wrong));
        assert!(matches!(opened, Err(Error::AtRest { .. })), "{opened:?}");
    }
    assert_eq!(memory, kept);
    // A journal that is not encrypted is not taken for an empty one.
    let mut plain = Journal::in_memory();
    add(&mut plain, 3);
    assert!(
        matches!(open(plain.into_storage()), Err(Error::AtRest { reason, .. }) if reason.contains("not encrypted"))
    );
}

#[test]
fn keys_are_exchanged_and_old_parts_stay_readable() {
    let (mut journal, _) = Journal::open(over(kept(300, 2), keys().with(2, &[8; 32]))).unwrap();
    add(&mut journal, 300);
    journal.checkpoint(&key()).unwrap();
    let memory = journal.into_storage().into_inner();
    let both = over(memory.clone(), keys().with(2, &[8; 32]));
    assert_eq!(journal::verify(&both, key().public()).unwrap().checkpoint.size, 602);
    let number = |part| bytes(&memory, part)[8..12].to_vec();
    assert_eq!(number(Part::Entries { index: 0, width: None }), [0, 0, 0, 1]);
    assert_eq!(number(Part::Entries { index: 1, width: None }), [0, 0, 0, 2]);
    // The older key was destroyed: what lies under it is gone, and said to be.
    let later = over(memory, Keyring::new(2, &[8; 32]));
    assert!(matches!(
        journal::verify(&later, key().public()),
        Err(Error::AtRest { place, .. }) if place == "key 1"
    ));
}
