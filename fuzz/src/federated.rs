//! Bytes of a federation: messages, transcripts, ledgers, and both sides of a round.

use twinguard::{
    anomaly::statistic::{Gram, Grid, Tally},
    integrity::SigningKey,
    types::{Digest, Duration, Timestamp},
};
use twinguard_federated::{
    Contribution, Coordinator, Exact, Participant, Policy, Settings, Task, Transcript,
    message::{Body, Message},
    privacy::{Ledger, Release, Rho},
    secure::{Aggregator, Report, Shares, Sharing, Side},
};

const FEDERATION: Digest = Digest([7; 32]);

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, &[7; 32]).expect("a good name")
}

fn task() -> impl Task {
    let plan = Gram::new(Grid::around([(0.0, 1.0)]).expect("a grid"), 0).expect("a plan");
    Exact::new(plan, "nothing", |tally: &Tally<Gram>| {
        use twinguard::anomaly::statistic::Statistic as _;
        Ok(tally.digest().0.to_vec())
    })
}

fn settings() -> Settings {
    let (patience, retry) = (Duration::from_secs(9), Duration::from_secs(1));
    Settings { federation: FEDERATION, min_sites: 2, min_rows: 1, price: 0, patience, retry }
}

fn sharing() -> Sharing {
    Sharing::new(FEDERATION, 1, 2, 4).expect("a few small cells")
}

/// Both aggregators of a secure round are given a report, and each other's parts with what is left of the bytes: nobody's shares belong
/// together, so that nothing may be counted, and no report is looked at twice.
fn report(data: &[u8]) {
    let Ok(Report { nonce, public, share }) = Report::decode(data) else { return };
    assert_eq!(Report { nonce, public: public.clone(), share: share.clone() }.encode(), data, "one form");
    let mut sides = [Side::Leader, Side::Helper].map(|side| Aggregator::new(sharing(), side, [3; 32]));
    let parts = sides.each_mut().map(|side| side.begin(nonce, &public, &share));
    let [leader, helper] = &mut sides;
    for part in parts.iter().flatten() {
        assert!(leader.begin(nonce, &public, part).is_err() || parts[0].is_err(), "a report comes once");
        assert!(leader.combine(nonce, part).is_err() && helper.combine(nonce, part).is_err());
        assert!(helper.finish(nonce, part).is_err() && leader.finish(nonce, part).is_err());
    }
    assert!(leader.combine(nonce, &share).is_err() && helper.finish(nonce, &share).is_err());
    for side in &sides {
        assert!(side.count() == 0 && side.share(1).is_err(), "it was counted");
    }
}

/// What is read is written as it came. What the sides take in is as if a known key had signed it: no state breaks them.
pub fn federated(data: &[u8]) {
    report(data);
    let transcript = Transcript::decode(data);
    if let Ok(transcript) = &transcript {
        assert_eq!(transcript.encode(), data, "a transcript has one form");
    }
    if let Ok(ledger) = Ledger::decode(data) {
        assert_eq!(ledger.encode(), data, "a ledger has one form");
        assert!(ledger.epsilon(1e-6).is_ok());
    }
    let roster = || vec![key("a").public().clone(), key("b").public().clone()];
    let _ = Coordinator::restore(task(), key("hub"), roster(), settings(), data);
    let policy = Policy {
        federation: FEDERATION,
        schema: task().schema(),
        base: Digest::default(),
        min_sites: 2,
        min_rows: 1,
        most_price: 0,
    };
    let _ = Participant::restore(key("a"), key("hub").public().clone(), policy.clone(), data);
    assert!(Message::open(data, &roster()).is_err(), "nobody signed it");

    let Ok(message) = Message::decode(data) else { return };
    assert_eq!(message.encode(), data, "a message has one form");
    let now = Timestamp::from_secs(1);
    let message = Message { federation: FEDERATION, ..message };
    let signed = |name: &str| message.seal(&key(name)).expect("a key signs");
    let mut hub = Coordinator::new(task(), key("hub"), roster(), settings()).expect("good settings");
    hub.open(now, Digest::default()).expect("nothing runs");
    let mut site = Participant::new(key("a"), key("hub").public().clone(), policy).expect("a good policy");
    let before = hub.save();
    if hub.handle(now, &signed("a")).is_err() {
        assert_eq!(hub.save(), before, "what is refused changes nothing");
    }
    let before = site.save();
    if site.handle(now, &signed("hub")).is_err() {
        assert_eq!(site.save(), before, "what is refused changes nothing");
    }
    assert!(hub.tick(now + Duration::from_secs(1)).is_ok());
}

/// One of each, as our own encoders write them.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let roster = vec![key("a").public().clone(), key("b").public().clone()];
    let terms = Coordinator::new(task(), key("hub"), roster, settings()).expect("good settings").terms();
    let message = |body| Message { federation: FEDERATION, round: 1, sequence: 3, body }.encode();
    let mut ledger = Ledger::new(Rho::from_billionths(9));
    ledger
        .spend(Release { federation: FEDERATION, round: 1, rho: Rho::from_billionths(4) })
        .expect("it is there");
    let transcript = Transcript {
        federation: FEDERATION,
        round: 1,
        terms: terms.clone(),
        rule: "sum".to_owned(),
        entries: Vec::new(),
        votes: vec![("a".to_owned(), true)],
        model: Digest([3; 32]),
    };
    vec![
        ("federated", "join".to_owned(), message(Body::Join { terms: terms.digest() })),
        ("federated", "invite".to_owned(), message(Body::Invite { terms, until: Timestamp::from_secs(9) })),
        (
            "federated",
            "begin".to_owned(),
            message(Body::Begin { sites: vec!["a".to_owned(), "b".to_owned()] }),
        ),
        (
            "federated",
            "contribute".to_owned(),
            message(Body::Contribute(Contribution { rows: 1, payload: vec![0; 32] })),
        ),
        (
            "federated",
            "vote".to_owned(),
            message(Body::Vote { attempt: 0, model: Digest([3; 32]), accept: true }),
        ),
        ("federated", "resume".to_owned(), message(Body::Resume)),
        ("federated", "ledger".to_owned(), ledger.encode()),
        ("federated", "transcript".to_owned(), transcript.encode()),
        ("federated", "leader".to_owned(), shaped(|shares| shares.leader.len())),
        ("federated", "helper".to_owned(), shaped(|shares| shares.helper.len())),
    ]
}

/// A report as long as a site's would be; what stands in one is random, so that it cannot be kept.
fn shaped(length: impl Fn(&Shares) -> usize) -> Vec<u8> {
    let shares = sharing().shard(&[1, -2], [5; 16]).expect("they fit");
    let fill = |length: usize| (0..length).map(|k| (k % 11) as u8).collect();
    Report { nonce: [5; 16], public: fill(shares.public.len()), share: fill(length(&shares)) }.encode()
}
