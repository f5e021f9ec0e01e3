//! Targets of our own formats: seals, journals, proofs.

use std::sync::LazyLock;

use twinguard::{
    integrity::{
        Checkpoint, Entry, Journal, Leaf, LogProof, Manifest, PortablePath, PublicKey, SigningKey,
        journal as log,
        note::Note,
        seal as sealing,
        storage::{Memory, Part},
    },
    types::{Digest, Label, Timestamp},
};

/// A journal of 300 leaves, 290 of them signed for, in which one part is exchanged. What opens still has the signed
/// leaves; what verifies has the signed root.
pub fn journal(data: &[u8]) {
    let Some((part, bytes)) = data.split_first() else { return };
    let (key, log) = (&FIXTURE.key, &FIXTURE.log);
    let parts: Vec<Part> = log.parts().map(|(part, _)| part).collect();
    let part = parts[usize::from(*part) % parts.len()];
    let mut storage = log.clone();
    storage.set(part, Some(bytes.to_vec()));
    if let Ok(report) = log::verify(&storage, key) {
        assert_eq!(
            (report.checkpoint.size, report.checkpoint.root),
            (SIGNED, FIXTURE.root),
            "{part:?} was exchanged"
        );
    }
    if let Ok((journal, recovery)) = Journal::open(storage)
        && part != Part::Checkpoint
    {
        assert_eq!(recovery.signed, Some(SIGNED));
        assert!(journal.size() >= SIGNED, "{part:?}: signed leaves are gone");
    }
}

/// The small texts and bytes of the journal: notes, checkpoints, proofs, leaves. One reading of each, one writing.
pub fn proof(data: &[u8]) {
    if let Ok(leaf) = Leaf::parse(data) {
        assert_eq!(leaf.encode().expect("what was read can be written"), data);
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    let _ = Note::parse(text);
    if let Ok(checkpoint) = Checkpoint::verify_any_origin(text, &FIXTURE.key) {
        assert_eq!((checkpoint.size, checkpoint.root), (SIGNED, FIXTURE.root), "nothing else was signed");
    }
    let _ = Checkpoint::parse(text);
    if let Ok(proof) = LogProof::parse(text) {
        assert_eq!(proof.to_string(), text, "a proof is written as it came");
        if let Ok(checkpoint) = proof.verify(FIXTURE.leaf.as_slice(), &FIXTURE.key) {
            assert_eq!(checkpoint.root, FIXTURE.root);
        }
    }
}

/// A seal. What parses is written as it came; what verifies is the one seal that the key signed.
pub fn seal(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.encode(), data, "a manifest has one form");
    }
    if let Ok(manifest) = sealing::parse_unverified(data) {
        let again = Manifest::parse(&manifest.encode()).expect("what was read can be written and read");
        assert_eq!(again, manifest);
    }
    if sealing::verify(data, &FIXTURE.key).is_ok() {
        assert_eq!(data, FIXTURE.seal.as_slice(), "a signature holds for one sequence of bytes");
    }
}

/// Leaves that the fixture's checkpoint signs for.
const SIGNED: u64 = 290;

struct Fixture {
    key: PublicKey,
    log: Memory,
    root: Digest,
    leaf: Vec<u8>,
    proof: String,
    seal: Vec<u8>,
}

/// What the targets of our own formats compare with; made once, always the same.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let key = SigningKey::from_seed("fuzz.example/journal", &[7; 32]).expect("a fixed seed");
    let mut journal = Journal::in_memory();
    let (mut note, mut root) = (String::new(), Digest::default());
    for number in 0..SIGNED + 10 {
        if number == SIGNED {
            note = journal.checkpoint(&key).expect("memory does not fail");
            root = journal.root();
        }
        let body = number.to_be_bytes();
        let at = Timestamp::from_secs(number as i64);
        journal
            .push(Label::literal("verdict"), at, &body[..(number % 9) as usize])
            .expect("memory does not fail");
    }
    let leaf = Leaf {
        kind: Label::literal("verdict"),
        at: Timestamp::from_secs(17),
        body: &17u64.to_be_bytes()[..8],
    };
    let entries = ["plant.toml", "data/history.csv"]
        .map(|path| Entry::of(PortablePath::new(path).expect("a plain path"), path.as_bytes()));
    Fixture {
        key: key.public().clone(),
        root,
        leaf: leaf.encode().expect("a short leaf"),
        proof: journal.prove(17, &note).expect("leaf 17 is there").to_string(),
        seal: sealing::create(entries.to_vec(), "fuzz", 3, &key).expect("two files"),
        log: journal.into_storage(),
    }
});

/// Inputs to start from in our own formats: target, name, bytes. They stand in the corpus, where a test compares them,
/// so that a change of a lasting format does not go unseen.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let fixture = &*FIXTURE;
    let mut seeds = vec![
        ("proof", "leaf".to_owned(), fixture.leaf.clone()),
        ("proof", "proof".to_owned(), fixture.proof.clone().into_bytes()),
        ("seal", "seal".to_owned(), fixture.seal.clone()),
        ("seal", "manifest".to_owned(), sealing::parse_unverified(&fixture.seal).expect("our own").encode()),
    ];
    for (number, (part, bytes)) in fixture.log.parts().enumerate() {
        let name = part.path().replace('/', "-");
        if part == Part::Checkpoint {
            seeds.push(("proof", name.clone(), bytes.to_vec()));
        }
        seeds.push(("journal", name, [&[number as u8], bytes].concat()));
    }
    seeds
}
