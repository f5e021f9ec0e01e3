//! Tokens that others can verify, against the authorizer of the crate that defines them; and what is no such token.
//!
//! `cargo test -p twinguard-gate --features biscuit --test biscuit`.

#![cfg(feature = "biscuit")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use twinguard_gate::identity::biscuit::biscuit_auth::builder::{Algorithm, BlockBuilder};
use twinguard_gate::identity::biscuit::biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits, Biscuit, KeyPair, PrivateKey, PublicKey, UnverifiedBiscuit,
};
use twinguard_gate::identity::biscuit::{Capability, Issuer, Root, attenuate, number};
use twinguard_gate::identity::{Caveat, TokenKey, Use};
use twinguard_gate::{Asking, Gate, GateConfig};
use twinguard_twin::Plant;
use twinguard_twin::plant::Verb;
use twinguard_types::{
    Catalogue, Command, CommandId, CommandOrigin, Decision, Principal, PrincipalId, Role, Signal, SignalId,
    Timestamp, Value,
};

const SIGNALS: [&str; 4] = ["cell.valve", "cell.pump-2", "hall.lamp", "cellar.fan"];
const PATTERNS: [&str; 6] = ["*", "cell.*", "*.valve", "hall.lamp", "cell", "c*l*p-2"];
const HOLDERS: [&str; 3] = ["gateway", "anna", "Größe «5»"];

fn issuer() -> Issuer {
    Issuer::new(&[7; 32]).unwrap()
}

fn root() -> Root {
    Root::new(&issuer().public()).unwrap()
}

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for path in SIGNALS {
        catalogue.intern(Signal::new(path, Role::Actuator)).unwrap();
    }
    catalogue
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![Just(Verb::Read), Just(Verb::Write), Just(Verb::Configure)]
}

fn caveat() -> impl Strategy<Value = Caveat> {
    prop_oneof![
        (0..200_i64).prop_map(|at| Caveat::Until(Timestamp::from_secs(at))),
        (0..PATTERNS.len()).prop_map(|at| Caveat::Signals(PATTERNS[at].to_owned())),
        verb().prop_map(Caveat::Verb),
        (-3..3_i32, -3..3_i32).prop_map(|(a, b)| Caveat::Range(f64::from(a) / 2.0, f64::from(b) / 1000.0)),
        (0..HOLDERS.len()).prop_map(|at| Caveat::Holder(HOLDERS[at].to_owned())),
    ]
}

/// What is asked: second, signal, verb, value, holder.
type Asked = (i64, usize, Verb, f64, usize);

fn asked() -> impl Strategy<Value = Asked> {
    let value = prop_oneof![
        (-3000..3000_i32).prop_map(|it| f64::from(it) / 1000.0),
        (-3000..3000_i32).prop_map(|it| (f64::from(it) / 1000.0).next_up()),
        -3.0..3.0_f64,
    ];
    (0..200_i64, 0..SIGNALS.len(), verb(), value, 0..HOLDERS.len())
}

fn ours(read: &Capability, (second, signal, verb, value, holder): Asked) -> bool {
    let key = TokenKey::new(&[4; 32]);
    let token = read.token(&key).unwrap();
    let revoked = BTreeSet::new();
    let used = Use {
        now: Timestamp::from_secs(second),
        signal: SignalId(signal as u32),
        verb,
        value,
        holder: HOLDERS[holder],
        revoked: &revoked,
    };
    key.verify(&token, &used, &catalogue()).is_ok()
}

/// The authorizer of the crate, told the same facts.
fn theirs(token: &[u8], (second, signal, verb, value, holder): Asked) -> bool {
    let token =
        Biscuit::from(token, PublicKey::from_bytes(&issuer().public(), Algorithm::Ed25519).unwrap()).unwrap();
    let verb = ["read", "write", "configure"][verb as usize];
    // Between two thousandths: halfway.
    let below = (value * 1e3).floor();
    let exact = [below, below + 1.0].into_iter().find(|it| it / 1e3 == value);
    let units = exact.map_or(below as i64 * 10 + 5, |it| it as i64 * 10);
    let facts = format!(
        "time({}); signal(\"{}\"); verb(\"{verb}\"); value({units}); holder(\"{}\"); allow if subject(\"anna\");",
        Timestamp::from_secs(second),
        SIGNALS[signal],
        HOLDERS[holder]
    );
    let limits = AuthorizerLimits { max_time: Duration::from_secs(10), ..AuthorizerLimits::default() };
    let mut authorizer = AuthorizerBuilder::new().code(facts).unwrap().build(&token).unwrap();
    authorizer.authorize_with_limits(limits).is_ok()
}

proptest! {
    #[test]
    fn others_decide_the_same(blocks in prop::collection::vec(prop::collection::vec(caveat(), 0..3), 1..4), asked in asked()) {
        let (first, later) = blocks.split_first().unwrap();
        let mut token = issuer().mint("anna", first, &[1; 32]).unwrap();
        for (at, block) in later.iter().enumerate() {
            token = attenuate(&token, block, &[2 + at as u8; 32]).unwrap();
        }
        let read = root().read(&token).unwrap();
        prop_assert_eq!(&read.caveats, &blocks.concat());
        prop_assert_eq!((read.subject.as_str(), read.numbers.len()), ("anna", blocks.len()));
        prop_assert_eq!(ours(&read, asked), theirs(&token, asked));
    }

    #[test]
    fn what_is_added_never_widens(
        first in prop::collection::vec(caveat(), 0..3),
        added in prop::collection::vec(caveat(), 0..3),
        asked in asked(),
    ) {
        let wide = issuer().mint("anna", &first, &[1; 32]).unwrap();
        let narrow = attenuate(&wide, &added, &[2; 32]).unwrap();
        let [wide, narrow] = [wide, narrow].map(|token| root().read(&token).unwrap());
        prop_assert!(narrow.caveats.starts_with(&wide.caveats) && narrow.numbers.starts_with(&wide.numbers));
        prop_assert!(!ours(&narrow, asked) || ours(&wide, asked));
    }

    #[test]
    fn bytes_that_nobody_signed_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(root().read(&bytes).is_err());
        prop_assert!(attenuate(&bytes, &[], &[2; 32]).is_err());
    }
}

#[test]
fn what_was_altered_cut_or_made_elsewhere_is_refused() {
    let caveats = [Caveat::Holder("gateway".into()), Caveat::Range(0.2, 0.8)];
    let token = issuer().mint("anna", &caveats, &[1; 32]).unwrap();
    let narrow = attenuate(&token, &[Caveat::Verb(Verb::Write)], &[2; 32]).unwrap();
    let said = root().read(&narrow).unwrap();
    let mut same = 0;
    for at in 0..narrow.len() {
        assert!(root().read(&narrow[..at]).is_err());
        for bit in 0..8 {
            let mut altered = narrow.clone();
            altered[at] ^= 1 << bit;
            // What nobody signs (a field that protobuf skips) may change; what is said may not.
            if let Ok(read) = root().read(&altered) {
                assert_eq!((read.subject, read.caveats), (said.subject.clone(), said.caveats.clone()));
                same += 1;
            }
        }
    }
    assert!(same < 64, "{same} of {} bits are not signed", narrow.len() * 8);
    let foreign = Issuer::new(&[8; 32]).unwrap().mint("anna", &caveats, &[1; 32]).unwrap();
    let reason = "token: it was not made here, or was altered";
    assert_eq!(root().read(&foreign).unwrap_err().to_string(), reason);
    // A block left out does not verify: the last secret is of the block before.
    let secret = |token: &[u8]| UnverifiedBiscuit::from(token).unwrap().revocation_identifiers();
    assert_eq!(secret(&narrow)[..1], secret(&token)[..]);
    let sealed = UnverifiedBiscuit::from(&narrow).unwrap().seal().unwrap().to_vec().unwrap();
    assert_eq!(root().read(&sealed).unwrap().caveats, said.caveats);
    assert!(attenuate(&sealed, &[], &[3; 32]).is_err());
}

#[test]
fn what_no_caveat_says_is_refused() {
    let token = issuer().mint("anna", &[], &[1; 32]).unwrap();
    let said = |code: &str| {
        let token = UnverifiedBiscuit::from(&token).unwrap();
        let secret = PrivateKey::from_bytes(&[3; 32], Algorithm::Ed25519).unwrap();
        let block = BlockBuilder::new().code(code).unwrap();
        let token = token.append_with_keypair(&KeyPair::from(&secret), block).unwrap();
        root().read(&token.to_vec().unwrap()).map_err(|error| error.to_string())
    };
    assert!(said("check if holder(\"gateway\")").is_ok());
    for code in [
        "subject(\"root\")",
        "holder(\"gateway\")",
        "subject($x) <- holder($x)",
        "check all holder(\"gateway\")",
        "reject if holder(\"gateway\")",
        "check if holder(\"gateway\") or holder(\"anna\")",
        "check if holder(\"gateway\"), verb(\"write\")",
        "check if holder(\"a\\\");\\ncheck if holder(\\\"gateway\")",
        "check if holder(\"a\n\")",
        "check if holder(\"gateway\") trusting previous",
        "check if verb(\"erase\")",
        "check if verb($verb), {\"write\", \"read\"}.contains($verb)",
        "check if value($value), $value >= 1",
        "check if value($value), $value >= 1, $value <= 20",
        "check if value($value), $value > 10, $value <= 20",
        "check if time($time), $time <= 2026-12-01T12:00:00Z",
        "check if time($t), $t < 2026-12-01T12:00:00Z",
        "check if signal($signal), $signal.matches(\"cell\")",
        "check if signal($signal), $signal.matches(\"^(a|b)*$\")",
        "check if signal($signal), $signal.starts_with(\"cell\")",
        "check if ((((true))))",
    ] {
        assert_eq!(said(code), Err("token: it says something that no caveat says".to_owned()), "{code}");
    }
}

#[test]
fn what_a_token_cannot_say_is_not_written() {
    let mint = |subject: &str, caveat: Caveat| {
        issuer().mint(subject, &[caveat], &[1; 32]).map_err(|it| it.to_string())
    };
    let verb = Caveat::Verb(Verb::Write);
    for (result, expected) in [
        (
            mint("a\"b", verb.clone()),
            "token: a name is too long, or has quotes, backslashes or control characters",
        ),
        (
            mint(&"x".repeat(257), verb.clone()),
            "token: a name is too long, or has quotes, backslashes or control characters",
        ),
        (mint("a", Caveat::Range(0.0001, 1.0)), "token: a bound has more than three decimals"),
        (mint("a", Caveat::Range(f64::NEG_INFINITY, 1.0)), "token: a bound has more than three decimals"),
        (mint("a", Caveat::Until(Timestamp::from_secs(-1))), "token: it ends before 1970"),
        (mint("a", Caveat::Unrevoked(1)), "token: its blocks have revocation identifiers of their own"),
        (
            mint("a", Caveat::Signals("a[b".into())),
            "token: a pattern has other characters than letters, digits and `*._-/:`",
        ),
    ] {
        assert_eq!(result, Err(expected.to_owned()));
    }
    let mut token = issuer().mint("anna", &[], &[1; 32]).unwrap();
    for at in 1..16 {
        token = attenuate(&token, core::slice::from_ref(&verb), &[at; 32]).unwrap();
    }
    assert_eq!(root().read(&token).unwrap().caveats.len(), 15);
    let more = attenuate(&token, &[], &[99; 32]).unwrap();
    assert_eq!(root().read(&more).unwrap_err().to_string(), "token: it has too many blocks");
    let long = vec![Caveat::Holder("y".repeat(256)); 8];
    assert!(attenuate(&token, &long, &[98; 32]).is_ok(), "one string is kept once");
    let long: Vec<_> = (0..20).map(|at| Caveat::Holder(format!("{at}{}", "y".repeat(200)))).collect();
    assert_eq!(attenuate(&token, &long, &[98; 32]).unwrap_err().to_string(), "token: it is too long");
}

#[test]
fn ends_are_whole_seconds_of_any_year() {
    for seconds in
        [0, 1, 951_782_400, 951_868_799, 1_709_164_800, 1_795_378_004, 4_102_444_800, 9_000_000_000]
    {
        let until = Caveat::Until(Timestamp::from_secs(seconds));
        let finer = Caveat::Until(Timestamp::from_nanos(seconds * 1_000_000_000 + 999_999_999));
        for caveat in [until.clone(), finer] {
            let token = issuer().mint("anna", &[caveat], &[1; 32]).unwrap();
            assert_eq!(root().read(&token).unwrap().caveats, core::slice::from_ref(&until));
        }
    }
}

#[test]
fn a_gate_takes_what_a_capability_says_until_one_of_its_blocks_is_revoked() {
    let plant = "format = 1\nname = \"p\"\n[[signal]]\npath = \"cell.valve\"\nrole = \"actuator\"\n[[principal]]\nname = \"anna\"\n\
                 roles = [\"operator\"]\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nroles = [\"operator\"]\nsignals = [\"*\"]\n";
    let plant = Plant::parse(plant, "plant.toml").unwrap();
    let key = TokenKey::new(&[4; 32]);
    let mut gate = Gate::new(&plant, GateConfig::default()).unwrap();
    gate.set_token_key(key.clone());
    let wide = issuer().mint("anna", &[Caveat::Holder("gateway".into())], &[1; 32]).unwrap();
    let narrow = attenuate(&wide, &[Caveat::Range(0.0, 0.5)], &[2; 32]).unwrap();
    let [wide, narrow] = [wide, narrow].map(|bytes| {
        let ids = UnverifiedBiscuit::from(&bytes).unwrap().revocation_identifiers();
        let read = root().read(&bytes).unwrap();
        assert_eq!(read.numbers, ids.iter().map(|id| number(id)).collect::<Vec<_>>());
        (read.token(&key).unwrap(), read.numbers)
    });
    let gateway = Principal::new("gateway");
    let mut count = 0;
    let mut ask = |gate: &mut Gate, token, value: f64| {
        count += 1;
        let command = Command {
            id: CommandId(count),
            principal: PrincipalId(1),
            signal: SignalId(0),
            value: Value::real(value).unwrap(),
            at: Timestamp::from_secs(1),
            origin: CommandOrigin::Platform,
            from: None,
        };
        let asking = Asking { token, ..Asking::of(&gateway) };
        gate.judge(command.at, &command, &asking, None).decision
    };
    assert_eq!(ask(&mut gate, None, 0.4), Decision::Deny, "it may nothing itself");
    assert_eq!(ask(&mut gate, Some(&narrow.0), 0.4), Decision::Allow);
    assert_eq!(ask(&mut gate, Some(&narrow.0), 0.6), Decision::Deny);
    assert_eq!(ask(&mut gate, Some(&wide.0), 0.6), Decision::Allow);
    gate.revoke_token(narrow.1[1]);
    assert_eq!(ask(&mut gate, Some(&narrow.0), 0.4), Decision::Deny, "the block was revoked");
    assert_eq!(ask(&mut gate, Some(&wide.0), 0.4), Decision::Allow, "the token before it was not");
    gate.revoke_token(wide.1[0]);
    assert_eq!(ask(&mut gate, Some(&wide.0), 0.4), Decision::Deny);
}
