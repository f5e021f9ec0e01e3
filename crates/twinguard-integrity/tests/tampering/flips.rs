//! Single bits of logs and proofs, at random: none goes unnoticed.

use proptest::prelude::*;
use twinguard_integrity::attest::Expected;
use twinguard_integrity::storage::Memory;
use twinguard_integrity::tree::{Group, Tree, open_slice, slice};
use twinguard_integrity::{
    Delta, EvidenceBundle, Holder, LogProof, ParameterValue, PublicKey, Role, SplitView, journal,
};

use super::logs::{cosigned, history, log_key, policy};
use super::{key, parameters, public};

/// Whether a changed form of a thing is refused.
type Refuses = Box<dyn Fn(&[u8]) -> bool>;

/// A thing that is text: bytes that are none are refused as such.
fn text(check: impl Fn(&str) -> bool + 'static) -> Refuses {
    Box::new(move |bytes| std::str::from_utf8(bytes).map_or(true, &check))
}

/// Each thing as it is, and whether another is refused in its place.
fn things() -> Vec<(&'static str, Vec<u8>, Refuses)> {
    let public_log: PublicKey = log_key().public().clone();
    let mut log = history(300, None);
    let note = log.checkpoint(&log_key()).unwrap();
    let archive = journal::Archive::open(log.storage(), &public_log).unwrap();
    let mut all: Vec<(&'static str, Vec<u8>, Refuses)> = Vec::new();

    for (part, bytes) in log.storage().parts() {
        let (storage, public_log): (Memory, _) = (log.storage().clone(), public_log.clone());
        let refuses = move |bytes: &[u8]| {
            let mut storage = storage.clone();
            storage.set(part, Some(bytes.to_vec()));
            journal::verify(&storage, &public_log).is_err()
        };
        all.push(("log", bytes.to_vec(), Box::new(refuses)));
    }
    let witnessed = cosigned(&note, &[31, 33]);
    all.push((
        "checkpoint with cosignatures",
        witnessed.clone().into_bytes(),
        text(|t| policy().verify(t).is_err()),
    ));

    let mut proof = archive.prove(77).unwrap();
    proof.extra = Some(archive.entry(77).unwrap());
    let entry = proof.extra.clone().unwrap();
    let of_log = public_log.clone();
    let refuses = move |t: &str| match LogProof::parse(t) {
        Ok(read) => read.extra.as_ref() != Some(&entry) || read.verify(&entry, &of_log).is_err(),
        Err(_) => true,
    };
    all.push(("proof of inclusion", proof.to_string().into_bytes(), text(refuses)));

    let entries = archive.bundle(&[3, 298]).unwrap().entries().to_vec();
    let evidence = EvidenceBundle::new(entries, &witnessed).unwrap().to_string();
    let refuses =
        |t: &str| t.parse::<EvidenceBundle>().and_then(|read| read.verify_witnessed(&policy())).is_err();
    all.push(("evidence", evidence.into_bytes(), text(refuses)));

    let other = history(5, Some(1)).checkpoint(&log_key()).unwrap();
    let view = archive.split_view(&other).unwrap().to_string();
    let of_log = public_log.clone();
    let refuses = move |t: &str| t.parse::<SplitView>().and_then(|read| read.verify(&of_log)).is_err();
    all.push(("two histories", view.into_bytes(), text(refuses)));

    let consistency = archive.consistency_proof(100).unwrap();
    let (head, old) = (archive.checkpoint().clone(), history(100, None).root());
    let refuses = move |bytes: &[u8]| {
        let path: Vec<_> =
            bytes.chunks(32).map(|hash| twinguard_types::Digest(hash.try_into().unwrap())).collect();
        twinguard_integrity::merkle::verify_consistency((100, &old), (head.size, &head.root), &path).is_err()
    };
    all.push((
        "proof of consistency",
        consistency.iter().flat_map(|hash| hash.0).collect(),
        Box::new(refuses),
    ));

    let file: Vec<u8> = (0..70_000u32).map(|n| (n / 3) as u8).collect();
    let tree = Tree::of(&file, Group::KIB_16);
    let root = tree.root();
    // Of a length the last group alone knows whether it is right: what is looked at ends with it.
    let (range, sliced) = (69_900..70_000, slice(&tree, &file, 69_900..70_000).unwrap());
    let refuses = move |bytes: &[u8]| open_slice(bytes, range.clone(), Group::KIB_16, &root).is_err();
    all.push(("slice", sliced, Box::new(refuses)));
    let refuses = move |bytes: &[u8]| {
        let Ok(tree) = Tree::from_outboard(bytes, Group::KIB_16, &root) else { return true };
        let group = |index| {
            let range = tree.range(index).unwrap();
            file.get(range.start as usize..range.end as usize).map(|part| tree.check(index, part))
        };
        (0..tree.groups()).any(|index| !matches!(group(index), Some(Ok(()))))
    };
    all.push(("outboard tree", tree.to_outboard(), Box::new(refuses)));

    let change = [("plant.toml", "tank.area", ParameterValue::from(2.6))];
    let delta = Delta::new("pump", 1, &parameters(2.5), change).unwrap().sign(&[&key(1)]).unwrap();
    let role = || Role::new([Holder::new([public(1)]).unwrap()], 1).unwrap();
    all.push(("recalibration", delta, Box::new(move |bytes| Delta::open(bytes, &role()).is_err())));

    let (attestor, twin) = super::running::running();
    let answer = attestor.respond(&[7; 32], super::running::NOON, &twin, &key(1), None).unwrap();
    let expected =
        Expected::new("pump", key(1).public().clone(), parameters(2.5)).regions(attestor.expected().regions);
    let refuses = text(move |t| expected.check(t, &[7; 32]).is_err());
    all.push(("answer to a challenge", answer.into_bytes(), refuses));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// 8 cases of some 17 things of 96 flips: 13,000 single bits. The second half of the flips of a thing falls into its last 600 bytes:
    /// hashes and signatures.
    #[test]
    fn no_single_bit_of_a_log_or_a_proof_goes_unnoticed(seed: [u8; 32]) {
        let mut random = blake3::Hasher::new_keyed(&seed).finalize_xof();
        for (name, bytes, refuses) in things() {
            prop_assert!(!refuses(&bytes), "{} as it is", name);
            for number in 0..96 {
                let mut place = [0; 8];
                random.fill(&mut place);
                let from = if number < 48 { 0 } else { bytes.len().saturating_sub(600) * 8 };
                let bit = from + (u64::from_le_bytes(place) % (bytes.len() * 8 - from) as u64) as usize;
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(refuses(&flipped), "bit {} of {}", bit, name);
            }
        }
    }
}
