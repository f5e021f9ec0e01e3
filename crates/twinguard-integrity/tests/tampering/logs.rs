//! Logs: two histories, evidence, witnesses, keys that were exchanged, entries that were removed.

use twinguard_integrity::retention::{Hold, Retention};
use twinguard_integrity::storage::Part;
use twinguard_integrity::witness::Request;
use twinguard_integrity::{
    Cosigner, Error, EvidenceBundle, Gap, Intake, Journal, Leaf, Policy, SigningKey, SplitView, Witness,
    epoch, journal, note,
};
use twinguard_types::{Label, Timestamp};

use super::{Attack, Check, replace};

pub(super) fn log_key() -> SigningKey {
    SigningKey::from_seed("log.example", &[21; 32]).unwrap()
}

fn cosigner(seed: u8) -> Cosigner {
    Cosigner::ed25519(&format!("w{seed}.example"), &[seed; 32]).unwrap()
}

/// Two of three witnesses.
pub(super) fn policy() -> Policy {
    let keys = [31, 32, 33].map(|seed| cosigner(seed).public().clone());
    Policy::new([log_key().public().clone()], keys, 2).unwrap()
}

/// A journal of so many leaves, of which one may be another.
pub(super) fn history(size: u64, other: Option<u64>) -> Journal {
    let mut journal = Journal::in_memory();
    for n in 0..size {
        let body: &[u8] = if other == Some(n) { b"a lie" } else { b"as it was" };
        journal.push(Label::literal("verdict"), Timestamp::from_secs(n as i64), body).unwrap();
    }
    journal
}

pub(super) fn cosigned(note: &str, seeds: &[u8]) -> String {
    seeds.iter().fold(note.to_owned(), |note, seed| {
        note::with_signatures(&note, &cosigner(*seed).cosign(&note, 1_000).unwrap()).unwrap()
    })
}

/// An evidence bundle of leaf 3, cosigned by two, with its text changed.
fn evidence(change: impl Fn(String) -> String) -> Result<(), Error> {
    let mut journal = history(9, None);
    let note = journal.checkpoint(&log_key()).unwrap();
    let archive = journal::Archive::open(journal.storage(), log_key().public()).unwrap();
    let entries = archive.bundle(&[3, 5]).unwrap().entries().to_vec();
    let text = EvidenceBundle::new(entries, &cosigned(&note, &[31, 33])).unwrap().to_string();
    change(text).parse::<EvidenceBundle>()?.verify_witnessed(&policy()).map(drop)
}

/// A witness that cosigned a log of five leaves is asked for more.
fn witnessed(request: impl Fn(&mut Journal) -> Request) -> Result<(), Error> {
    let mut witness = Witness::new([cosigner(31)]);
    witness.add_log("log.example", [log_key().public().clone()]);
    let checkpoint = history(5, None).checkpoint(&log_key()).unwrap();
    let first = Request { old: 0, proof: vec![], checkpoint };
    witness.add_checkpoint(&first.to_string(), 1, |_| Ok(())).unwrap();
    witness.add_checkpoint(&request(&mut history(8, None)).to_string(), 2, |_| Ok(())).map(drop)
}

fn next_request(journal: &mut Journal) -> Request {
    let proof = journal.consistency_proof(5, 8).unwrap();
    Request { old: 5, proof, checkpoint: journal.checkpoint(&log_key()).unwrap() }
}

/// A journal of two epochs, after somebody who has the second key changed it.
fn rewritten(other: Option<u64>, honest_word: bool) -> Result<(), Error> {
    let (first, second) = (log_key(), SigningKey::from_seed("log.example", &[22; 32]).unwrap());
    let mut honest = history(4, None);
    honest.hand_over(&first, &second, 2, Timestamp::from_secs(4)).unwrap();
    let archive = journal::Archive::open(honest.storage(), second.public()).unwrap();
    let word = Leaf::parse(&archive.entry(4).unwrap()).unwrap().body.to_vec();
    let mut journal = history(4, other);
    if honest_word {
        journal.append(epoch::KIND, Timestamp::from_secs(4), &word).unwrap();
    }
    journal.checkpoint(&second).unwrap();
    epoch::verify(journal.storage(), first.public()).map(drop)
}

/// A pruned journal from which somebody takes more.
fn pruned(take: impl Fn(&mut Journal)) -> Result<(), Error> {
    let mut journal = history(900, None);
    journal.hold(Timestamp::from_secs(900), &Hold { id: "case 7".into(), leaves: 600..601 }).unwrap();
    journal.checkpoint(&log_key()).unwrap();
    let keep = Retention { days: Some(0), ..Retention::default() };
    journal.prune(&keep, Timestamp::from_secs(400), &log_key()).unwrap();
    take(&mut journal);
    journal::verify(journal.storage(), log_key().public()).map(drop)
}

pub(super) fn untouched() {
    evidence(|text| text).unwrap();
    witnessed(next_request).unwrap();
    rewritten(None, true).unwrap();
    pruned(|_| ()).unwrap();
}

pub(super) fn attacks(all: &mut Vec<Attack>) {
    let untrusted: Check = |error| matches!(error, Error::UntrustedKey { .. });
    let signature: Check = |error| matches!(error, Error::Signature { .. });
    macro_rules! attack {
        ($name:literal, $check:expr, $attack:expr) => {
            all.push(($name, $check, Box::new(|| $attack)))
        };
    }
    // 7, 15: a log that shows two histories, evidence that was touched.
    let inclusion: Check = |e| matches!(e, Error::Proof { what: "inclusion", .. });
    let consistency: Check = |e| matches!(e, Error::Proof { what: "consistency", .. });
    let unwitnessed: Check = |e| matches!(e, Error::Unwitnessed { .. });
    let text_error: Check = |e| matches!(e, Error::Text { .. });
    attack!("evidence of another entry", inclusion, evidence(|t| t.replacen("entry 3 ", "entry 4 ", 1)));
    attack!("evidence with its entry exchanged", inclusion, {
        evidence(|t| {
            let (a, b) = (t.find("entry 3 ").unwrap() + 8, t.find("entry 5 ").unwrap() + 8);
            let line = |at: usize| t[at..].lines().next().unwrap().to_owned();
            t.replacen(&line(a), &line(b), 1)
        })
    });
    attack!("evidence without a hash of its path", inclusion, {
        evidence(|t| {
            t.lines().enumerate().filter(|(n, _)| *n != 2).map(|(_, line)| format!("{line}\n")).collect()
        })
    });
    attack!(
        "evidence of entries out of order",
        text_error,
        evidence(|t| t.replacen("entry 5 ", "entry 2 ", 1))
    );
    attack!("evidence with a witness stripped", unwitnessed, {
        evidence(|t| {
            t.lines().filter(|line| !line.starts_with("— w33")).map(|line| format!("{line}\n")).collect()
        })
    });
    attack!("evidence with a witness counted twice", unwitnessed, {
        evidence(|t| {
            let one = t.lines().find(|line| line.starts_with("— w31")).unwrap().to_owned();
            t.lines()
                .filter(|line| !line.starts_with("— w33"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
                + &one
                + "\n"
        })
    });
    attack!("evidence with a cosignature of another time", signature, {
        evidence(|t| {
            let line = t.lines().find(|line| line.starts_with("— w31")).unwrap();
            let other =
                cosigner(31).cosign(&history(9, None).checkpoint(&log_key()).unwrap(), 2_000).unwrap();
            // The signature of one second under the time of another.
            let (encoded, later) =
                (line.rsplit(' ').next().unwrap(), other.trim_end().rsplit(' ').next().unwrap());
            t.replace(encoded, &format!("{}{}", &later[..16], &encoded[16..]))
        })
    });
    attack!("evidence of another log", |e| matches!(e, Error::UnknownLog { .. }), {
        evidence(|t| t.replacen("\nlog.example\n", "\nlag.example\n", 1))
    });
    attack!("an old checkpoint shown as the newest", unwitnessed, {
        let note = history(9, None).checkpoint(&log_key()).unwrap();
        policy().verify_fresh(&cosigned(&note, &[31, 32, 33]), 1_000 + 86_400, 3_600).map(drop)
    });
    attack!("a witness asked to cosign a changed history", consistency, {
        witnessed(|_| next_request(&mut history(8, Some(2))))
    });
    attack!("a witness asked to cosign another history of the same length", consistency, {
        witnessed(|_| {
            let checkpoint = history(5, Some(1)).checkpoint(&log_key()).unwrap();
            Request { old: 5, proof: vec![], checkpoint }
        })
    });
    attack!("a witness asked to start again", |e| matches!(e, Error::Conflict { size: 5 }), {
        witnessed(|journal| Request { old: 0, proof: vec![], ..next_request(journal) })
    });
    attack!("a witness asked to go back", |e| matches!(e, Error::Text { .. }), {
        witnessed(|_| Request {
            old: 5,
            proof: vec![],
            checkpoint: history(3, None).checkpoint(&log_key()).unwrap(),
        })
    });
    attack!("a witness asked without a proof", consistency, {
        witnessed(|journal| Request { proof: vec![], ..next_request(journal) })
    });
    attack!("a witness asked under another key", untrusted, {
        witnessed(|journal| {
            let key = SigningKey::from_seed("log.example", &[99; 32]).unwrap();
            Request { checkpoint: journal.checkpoint(&key).unwrap(), ..next_request(&mut history(8, None)) }
        })
    });
    attack!("a witness asked for an unknown log", |e| matches!(e, Error::UnknownLog { .. }), {
        witnessed(|journal| {
            let key = SigningKey::from_seed("else.example", &[99; 32]).unwrap();
            Request { checkpoint: journal.checkpoint(&key).unwrap(), ..next_request(&mut history(8, None)) }
        })
    });
    attack!("an honest log accused with its own two checkpoints", |e| matches!(e, Error::NoSplit { .. }), {
        let (mut short, mut long) = (history(5, None), history(8, None));
        let (first, second) = (short.checkpoint(&log_key()).unwrap(), long.checkpoint(&log_key()).unwrap());
        SplitView::new(&first, &second, Some((short.root(), long.consistency_proof(5, 8).unwrap()))).map(drop)
    });
    attack!("an honest log accused with an invented beginning", consistency, {
        let (mut short, mut long) = (history(5, None), history(8, None));
        let (first, second) = (short.checkpoint(&log_key()).unwrap(), long.checkpoint(&log_key()).unwrap());
        SplitView::new(&first, &second, Some((long.root(), long.consistency_proof(5, 8).unwrap()))).map(drop)
    });
    attack!("an honest log accused with checkpoints of somebody else", untrusted, {
        let other = SigningKey::from_seed("log.example", &[99; 32]).unwrap();
        let (mut one, mut two) = (history(5, None), history(5, Some(1)));
        let view =
            SplitView::new(&one.checkpoint(&other).unwrap(), &two.checkpoint(&other).unwrap(), None).unwrap();
        view.verify(log_key().public()).map(drop)
    });

    // 16, 17: an insider with the present key, a log that drops entries.
    let epoch_error: Check = |e| matches!(e, Error::Epoch { .. });
    attack!(
        "an entry of an earlier epoch changed by whoever has the present key",
        epoch_error,
        rewritten(Some(1), true)
    );
    attack!("a handing over left out by whoever has the present key", untrusted, rewritten(None, false));
    attack!("a bundle removed that was not pruned", |e| matches!(e, Error::Missing { leaf: 256, .. }), {
        pruned(|journal| {
            let mut storage = journal.storage().clone();
            storage.set(Part::Entries { index: 1, width: None }, None);
            *journal = Journal::open(storage).unwrap().0;
        })
    });
    attack!("pruning what a hold keeps", |e| matches!(e, Error::Held { leaf: 600, .. }), {
        pruned(|journal| {
            let item = b"\xa3\x64days\xf6\x65bytes\xf6\x66leaves\x82\x19\x02\x00\x19\x03\x00";
            journal.append_item(Label::literal("pruned"), Timestamp::from_secs(999), item).unwrap();
            journal.checkpoint(&log_key()).unwrap();
        })
    });
    attack!(
        "a gap with its count made smaller",
        |e| matches!(e, Error::Edited { .. } | Error::Rewritten { .. }),
        {
            let mut intake = Intake::new(1, 1000);
            for second in 0..4 {
                let leaf = Leaf {
                    kind: Label::literal("verdict"),
                    at: Timestamp::from_secs(second),
                    form: Default::default(),
                    body: b"",
                };
                intake.offer(&leaf).unwrap();
            }
            let mut journal = Journal::in_memory();
            intake.drain(&mut journal, 9).unwrap();
            journal.checkpoint(&log_key()).unwrap();
            let mut storage = journal.into_storage();
            let part = Part::Entries { index: 0, width: Some(2) };
            let mut bytes = storage.parts().find(|(found, _)| *found == part).unwrap().1.to_vec();
            replace(&mut bytes, b"\x65count\x03", b"\x65count\x01");
            storage.set(part, Some(bytes));
            journal::verify(&storage, log_key().public()).map(drop)
        }
    );
    attack!("a gap that is none", |e| matches!(e, Error::Leaf { .. }), Gap::parse(b"\xa0").map(drop));

    // 18: too much.
    attack!("evidence with a path of a thousand hashes", text_error, {
        evidence(|t| {
            t.replacen(
                "\n\n",
                &format!("{}\n\n", "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".repeat(1000)),
                1,
            )
        })
    });
    attack!("a request with a thousand hashes", text_error, {
        witnessed(|journal| Request { proof: vec![Default::default(); 1000], ..next_request(journal) })
    });
    attack!("a policy in which a witness counts twice", text_error, {
        let key = cosigner(31).public().to_string();
        format!("witness A {key}\nwitness B {key}\ngroup g all A B\nquorum g\n").parse::<Policy>().map(drop)
    });
}
