//! Targets of our own formats: seals, journals, proofs.

use std::sync::LazyLock;

use twinguard::{
    integrity::{
        Checkpoint, Cosigner, CosignerKey, Delta, Draft, Entry, EvidenceBundle, Form, Gap, Golden, HighWater,
        Holder, Journal, Leaf, LogProof, Manifest, Parameter, Parameters, Policy, PortablePath, PublicKey,
        Role, SigningKey, SplitView, Witness,
        archive::{Archive, Budget},
        at_rest::{self, Encrypted, Keyring},
        attest::Expected,
        ecdsa::{Curve, EcSigningKey},
        evidence::Inputs,
        journal as log, json,
        note::Note,
        openssf::{self, Hash, Options},
        retention::Hold,
        seal as sealing,
        source::Limits,
        storage::{Memory, Part},
        tree::{self, Group, Tree},
        trust::TrustRoot,
        witness::Request,
    },
    types::{Bundle, Digest, Label, Timestamp},
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

/// An archive. What opens and unpacks stays within its budget, and its paths are portable and different.
pub fn archive(data: &[u8]) {
    let budget = Budget { entries: 64, bytes: 1 << 20, ratio: 200, nesting: 1 };
    let Ok(archive) = Archive::parse(data.to_vec(), budget) else { return };
    assert!(archive.paths().len() <= 64);
    if let Ok(files) = archive.unpack() {
        assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= 1 << 20);
        assert_eq!(files.iter().count(), archive.paths().len());
    }
}

/// A bundle of OpenSSF model-signing, and JSON. What verifies is what the fixture's key signed of the fixture's model.
pub fn bundle(data: &[u8]) {
    if let Ok(value) = json::parse(data)
        && let Ok(text) = json::canonical(&value)
    {
        let again = json::parse(text.as_bytes()).expect("what was written can be read");
        assert_eq!(json::canonical(&again).expect("and written again"), text);
    }
    let key = ec_key().public();
    for legacy in [false, true] {
        let options = Options { legacy, ..Options::default() };
        if let Ok(report) = openssf::verify(&model(), data, &key, &options) {
            assert_eq!(report.files, 2, "nothing else was signed");
        }
    }
    let _ = openssf::verify_artifact(b"artefact", data, &key);
}

/// The small formats beside the manifest: roots of trust, high-water marks, golden trajectories, outboard trees, slices.
pub fn trust(data: &[u8]) {
    if let Ok(root) = TrustRoot::parse(data) {
        assert_eq!(root.encode(), data, "a root of trust has one form");
    }
    let _ = TrustRoot::pinned(data, &Digest([0; 32]));
    if let Ok(tree) = Tree::from_outboard(data, Group::CHUNK, &Digest([0; 32])) {
        assert_eq!(tree.groups(), 1, "no node leads to a root of zeros");
    }
    assert!(tree::open_slice(data, 0..64, Group::CHUNK, &Digest([0; 32])).is_err());
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(golden) = text.parse::<Golden>() {
        assert_eq!(golden.to_string().parse::<Golden>().expect("what was written can be read"), golden);
    }
    if let Ok(marks) = text.parse::<HighWater>() {
        assert_eq!(marks.to_string(), text, "marks have one form");
    }
}

/// What an outsider is given, and what a journal says of itself. What verifies holds entries of the fixture's log.
pub fn evidence(data: &[u8]) {
    if let Ok(gap) = Gap::parse(data) {
        assert_eq!(gap.encode(), data, "a gap has one form");
    }
    if let Ok(inputs) = Inputs::parse(data) {
        assert_eq!(inputs.encode(), data, "inputs have one form");
    }
    let leaf = Leaf { kind: Gap::KIND, at: Timestamp::ZERO, form: Form::Bytes, body: data };
    assert!(Gap::read(&leaf, 1, &FIXTURE.key).is_err(), "the fixture's key signed no gap");
    let keys = Keyring::new(1, &[7; 32]);
    if let Ok(plain) = at_rest::decrypt(&keys, "fuzz", data) {
        let again = at_rest::encrypt(&keys, "fuzz", &plain).expect("what was decrypted can be encrypted");
        assert_eq!(again, data, "data at rest have one form");
    }
    let mut kept = Memory::default();
    kept.set(Part::Tail, Some(data.to_vec()));
    if let Ok(storage) = Encrypted::new(kept, &keys, "fuzz") {
        let _ = Journal::open(storage);
    }
    let _ = Hold::parse(data);
    if let Ok(delta) = Delta::parse(data) {
        assert_eq!(delta.encode(), data, "a change has one form");
        assert!(delta.follow(&Parameters::default()).is_err(), "it changes a parameter that is not there");
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(bundle) = text.parse::<EvidenceBundle>() {
        assert_eq!(bundle.to_string(), text, "evidence has one form");
        if let Ok(head) = bundle.verify(&FIXTURE.key) {
            assert_eq!((head.size, head.root), (SIGNED, FIXTURE.root), "nothing else was signed");
        }
        let _ = bundle.inputs();
    }
    if let Ok(view) = text.parse::<SplitView>() {
        assert_eq!(view.to_string(), text, "a split view has one form");
        assert!(view.verify(&FIXTURE.key).is_err(), "the fixture's log has one history");
    }
    let expected = Expected::new("fuzz", FIXTURE.key.clone(), Parameters::default());
    assert!(expected.check(text, &[7; 32]).is_err(), "the fixture's key attested nothing");
}

/// What a log and its witnesses say to each other. Only the fixture's checkpoint is cosigned.
pub fn witness(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(request) = Request::parse(text) {
        assert_eq!(request.to_string(), text, "a request has one form");
    }
    let mut witness = Witness::new([cosigner()]);
    witness.add_log(FIXTURE.key.name(), [FIXTURE.key.clone()]);
    if let Ok(lines) = witness.add_checkpoint(text, 1_700_000_000, |_| Ok(())) {
        let last = witness.last(FIXTURE.key.name()).expect("it was cosigned");
        let head = Checkpoint::verify(last, &FIXTURE.key).expect("the log signed it");
        assert_eq!((head.size, head.root), (SIGNED, FIXTURE.root), "nothing else was signed");
        assert_eq!(lines.lines().count(), 1);
    }
    let mut witness = Witness::new([cosigner()]);
    witness.add_log(FIXTURE.key.name(), [FIXTURE.key.clone()]);
    if witness.restore(text).is_ok() {
        assert_eq!(witness.state(), text, "a state has one form");
    }
    if let Ok(policy) = text.parse::<Policy>() {
        let _ = policy.verify(&FIXTURE.proof);
    }
    if let Ok(key) = text.parse::<CosignerKey>() {
        assert_eq!(key.to_string(), text.trim_end_matches('\n'), "a key has one form");
    }
    let _ = cosigner().public().cosigned(text);
}

fn cosigner() -> Cosigner {
    Cosigner::ed25519("witness.example/fuzz", &[8; 32]).expect("a fixed seed")
}

fn request() -> Request {
    let proof = LogProof::parse(&FIXTURE.proof).expect("our own");
    Request { old: 0, proof: vec![], checkpoint: proof.checkpoint }
}

fn evidence_bundle() -> EvidenceBundle {
    let archive = log::Archive::open(&FIXTURE.log, &FIXTURE.key).expect("our own");
    archive.bundle(&[17, 289]).expect("two leaves that are there")
}

fn split_view() -> SplitView {
    let key = SigningKey::from_seed("fuzz.example/other", &[9; 32]).expect("a fixed seed");
    let head =
        |byte| Checkpoint::new("fuzz.example/other", 3, Digest([byte; 32])).sign(&key).expect("a plain name");
    SplitView::new(&head(1), &head(2), None).expect("two histories")
}

fn delta() -> Delta {
    let parameter = Parameter::new("plant.toml", "area", "m2", 2.5.into()).expect("a plain name");
    let before = Parameters::new(vec![parameter]).expect("one");
    Delta::new("fuzz", 1, &before, [("plant.toml", "area", 2.6.into())]).expect("one change")
}

fn gap() -> Gap {
    let at = Timestamp::from_secs(17);
    let kinds = [(Label::literal("verdict"), 3)].into();
    Gap { count: 3, first: at, last: at, kinds, total: 5 }
}

fn inputs() -> Inputs {
    let mut inputs = Inputs::default();
    inputs.add("capture.pcap", b"abc").expect("a plain name");
    inputs
}

fn witness_state() -> String {
    let mut witness = Witness::new([cosigner()]);
    witness.add_log(FIXTURE.key.name(), [FIXTURE.key.clone()]);
    witness.add_checkpoint(&request().to_string(), 1_700_000_000, |_| Ok(())).expect("the first of its log");
    witness.state()
}

fn policy() -> String {
    let key = cosigner().public().to_string();
    format!("log {}\nwitness w {key}\ngroup g 1 w\nquorum g\n", FIXTURE.key)
}

fn ec_key() -> EcSigningKey {
    EcSigningKey::from_random(Curve::P256, &[7; 66]).expect("a fixed number below the order")
}

fn model() -> Bundle {
    let mut model = Bundle::new(Digest::default());
    model.insert("weights.bin", vec![7; 40]);
    model.insert("a/config.json", b"{}".to_vec());
    model
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
        form: Form::Bytes,
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

const GOLDEN: &str = "twinguard golden 1\nstep 1.0\ntolerance 1e-9 0.0\ninputs u\noutputs y\n1.0 | 2.0\n";
/// One stored file `a` with the content `x`.
const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\x83\x16\xdc\x8c\x01\0\0\0\x01\0\0\0\x01\0\0\0ax\
    PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\0\0\x83\x16\xdc\x8c\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\xa4\x81\0\0\0\0a\
    PK\x05\x06\0\0\0\0\x01\0\x01\0/\0\0\0 \0\0\0\0\0";

fn bundle_of_model() -> Vec<u8> {
    openssf::sign(&model(), "model", &ec_key(), Hash::Sha256, &[], &Limits::default()).expect("two files")
}

fn manifest_with_parameters() -> Vec<u8> {
    let entry = Entry::of(PortablePath::new("plant.toml").expect("a plain path"), b"x");
    let parameter = Parameter::new("plant.toml", "area", "m2", 2.5.into()).expect("a plain name");
    let parameters = Parameters::new(vec![parameter]).expect("one");
    Draft::new("fuzz", 1, vec![entry]).parameters(parameters).finish().expect("one file").encode()
}

fn root_of_trust() -> TrustRoot {
    let role = || Role::new([Holder::from(FIXTURE.key.clone())], 1).expect("one of one");
    TrustRoot::new(1, role(), role()).expect("version 1")
}

/// Inputs to start from in our own formats: target, name, bytes. They stand in the corpus, where a test compares them,
/// so that a change of a lasting format does not go unseen.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let fixture = &*FIXTURE;
    let mut seeds = vec![
        ("proof", "leaf".to_owned(), fixture.leaf.clone()),
        ("proof", "proof".to_owned(), fixture.proof.clone().into_bytes()),
        ("seal", "seal".to_owned(), fixture.seal.clone()),
        ("archive", "zip".to_owned(), ZIP.to_vec()),
        ("bundle", "p256".to_owned(), bundle_of_model()),
        ("seal", "parameters".to_owned(), manifest_with_parameters()),
        ("trust", "root".to_owned(), root_of_trust().encode()),
        ("trust", "golden".to_owned(), GOLDEN.into()),
        ("evidence", "bundle".to_owned(), evidence_bundle().to_string().into()),
        ("evidence", "split-view".to_owned(), split_view().to_string().into()),
        ("evidence", "delta".to_owned(), delta().encode()),
        ("evidence", "gap".to_owned(), gap().encode()),
        ("evidence", "inputs".to_owned(), inputs().encode()),
        ("witness", "request".to_owned(), request().to_string().into()),
        ("witness", "state".to_owned(), witness_state().into()),
        ("witness", "policy".to_owned(), policy().into()),
        ("witness", "key".to_owned(), cosigner().public().to_string().into()),
        ("trust", "outboard".to_owned(), Tree::of(&[7; 3000], Group::CHUNK).to_outboard()),
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
