//! What runs against what was sealed: every planted change is found and named, no legitimate one is.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use core::ops::Range;

use proptest::prelude::*;
use twinguard_integrity::attest::{Alarm, Attestor, Expected, Quoter, Recalibrate, Running};
use twinguard_integrity::tree::Group;
use twinguard_integrity::{Delta, Error, Holder, Parameter, ParameterValue, Parameters, Role, SigningKey};
use twinguard_types::{Duration, Timestamp};

/// A twin: some parameters, one region of code and one of state.
#[derive(Clone)]
struct Twin {
    values: Vec<ParameterValue>,
    code: Vec<u8>,
    state: Vec<u8>,
    /// A parameter that does not take changes, or says so and lies.
    stubborn: Option<(usize, bool)>,
}

impl Running for Twin {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        self.values.get(index).cloned()
    }
    fn region(&self, region: usize, range: Range<u64>, out: &mut Vec<u8>) -> bool {
        let bytes = if region == 0 { &self.code } else { &self.state };
        let part = bytes.get(range.start as usize..range.end as usize);
        part.map(|part| out.extend_from_slice(part)).is_some()
    }
}

impl Recalibrate for Twin {
    fn set(&mut self, index: usize, value: &ParameterValue) -> bool {
        if let Some((stubborn, lies)) = self.stubborn
            && stubborn == index
        {
            return lies;
        }
        self.values.get_mut(index).map(|slot| *slot = value.clone()).is_some()
    }
}

fn sealed(count: usize) -> Parameters {
    let one = |n: usize| {
        let value = match n % 4 {
            0 => ParameterValue::U64(n as u64),
            1 => ParameterValue::Text(format!("mode {n}").into()),
            2 => ParameterValue::Bool(n % 8 == 2),
            _ => (n as f64 / 7.0).into(),
        };
        Parameter::new("plant.toml", &format!("p{n:04}"), "m", value).unwrap()
    };
    Parameters::new((0..count).map(one).collect()).unwrap()
}

fn setting(count: usize) -> (Attestor, Twin) {
    let parameters = sealed(count);
    let twin = Twin {
        values: parameters.all().iter().map(|parameter| parameter.value().clone()).collect(),
        code: (0..100_000u32).map(|n| (n % 251) as u8).collect(),
        state: vec![7; 5_000],
        stubborn: None,
    };
    let mut attestor = Attestor::new("pump", parameters);
    assert_eq!(attestor.register("code", &twin.code, Group::KIB_16), 0);
    assert_eq!(attestor.register("state", &twin.state, Group::CHUNK), 1);
    (attestor, twin)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("twin.example", &[seed; 32]).unwrap()
}

fn role(seed: u8) -> Role {
    Role::new([Holder::from(key(seed).public().clone())], 1).unwrap()
}

fn delta(number: u64, before: &Parameters, changes: &[(&str, ParameterValue)]) -> Vec<u8> {
    let changes = changes.iter().map(|(name, value)| ("plant.toml", *name, value.clone()));
    Delta::new("pump", number, before, changes).unwrap().sign(&[&key(2)]).unwrap()
}

#[test]
fn a_budgeted_sweep_is_certain_within_its_time() {
    let (mut attestor, twin) = setting(200);
    assert_eq!(attestor.places(), 200 + 7 + 5);
    let (every, within) = (Duration::from_secs(1), Duration::from_secs(20));
    let budget = attestor.budget(every, within);
    // Up to one group more than the budget is read in a look.
    let mut places = Vec::new();
    let mut looks = 0;
    loop {
        let look = attestor.sweep(&twin, budget);
        assert!(look.alarms.is_empty());
        places.push(look.checked);
        looks += 1;
        if look.complete {
            break;
        }
    }
    assert!(looks <= 20, "{looks}");
    assert_eq!(places.iter().sum::<u64>(), attestor.places());
    assert!(places.iter().all(|places| *places >= 1));
}

#[test]
fn the_smallest_change_is_named_with_both_values() {
    let (mut attestor, mut twin) = setting(20);
    twin.values[3] = ParameterValue::F64((3.0_f64 / 7.0).to_bits() ^ 1);
    twin.values[8] = 9u64.to_string().parse::<u64>().map(ParameterValue::U64).unwrap();
    twin.code[16_384] ^= 0x80;
    let look = attestor.sweep(&twin, u64::MAX);
    assert!(look.complete);
    let told: Vec<String> = look.alarms.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with(
        "parameter `p0003` of `plant.toml` is sealed as 0.42857142857142855 m and runs as 0.428571428571428"
    ));
    assert_eq!(told[1], "parameter `p0008` of `plant.toml` is sealed as 8 m and runs as 9 m");
    assert_eq!(told[2], "bytes 16384 to 32768 of `code` were changed");
    // Another type, or none, is a change as well.
    let (mut attestor, mut twin) = setting(20);
    twin.values[0] = ParameterValue::I64(0);
    twin.values.truncate(19);
    assert_eq!(attestor.sweep(&twin, u64::MAX).alarms.len(), 2);
    // More than 64 are counted.
    let (mut attestor, mut twin) = setting(200);
    twin.values.clear();
    let look = attestor.sweep(&twin, u64::MAX);
    assert_eq!((look.alarms.len(), look.more), (64, 136));
}

#[test]
fn the_owner_commits_and_nobody_else_writes() {
    let (mut attestor, mut twin) = setting(4);
    twin.state[..1024].fill(9);
    attestor.commit(1, 0, &twin.state[..1024]).unwrap();
    assert!(attestor.sweep(&twin, u64::MAX).alarms.is_empty());
    twin.state[4_999] = 8;
    let look = attestor.sweep(&twin, u64::MAX);
    assert_eq!(look.alarms, [Alarm::Region { name: "state".into(), bytes: 4_096..5_000 }]);
    assert!(attestor.commit(2, 0, b"").is_err() && attestor.commit(1, 9, b"").is_err());
}

#[test]
fn a_signed_change_is_applied_and_every_other_is_refused() {
    let (mut attestor, mut twin) = setting(20);
    let before = attestor.parameters().clone();
    let good = delta(1, &before, &[("p0003", 5.5.into()), ("p0000", ParameterValue::U64(70))]);
    let refused = |attestor: &mut Attestor, twin: &mut Twin, bytes: &[u8], role: &Role| {
        let values = twin.values.clone();
        let error = attestor.apply(bytes, role, twin).unwrap_err();
        assert_eq!(twin.values, values, "{error}");
        error
    };
    assert!(matches!(refused(&mut attestor, &mut twin, &good, &role(3)), Error::UntrustedKey { .. }));
    let mut other = Attestor::new("other", before.clone());
    assert!(matches!(refused(&mut other, &mut twin, &good, &role(2)), Error::OtherSeries { .. }));
    // What does not take it has its old values again.
    twin.stubborn = Some((3, false));
    assert!(matches!(refused(&mut attestor, &mut twin, &good, &role(2)), Error::Attestation { .. }));
    twin.stubborn = None;
    // Tampering is not covered up.
    twin.values[3] = 5.5.into();
    assert!(matches!(refused(&mut attestor, &mut twin, &good, &role(2)), Error::Attestation { .. }));
    twin.values[3] = (3.0 / 7.0).into();

    let applied = attestor.apply(&good, &role(2), &mut twin).unwrap();
    assert_eq!(
        (applied.number(), twin.values[3].clone(), twin.values[0].clone()),
        (1, 5.5.into(), ParameterValue::U64(70))
    );
    assert!(attestor.sweep(&twin, u64::MAX).alarms.is_empty());
    assert_eq!(attestor.parameters().root(), applied.roots().1);
    // Again; an older number; from another state.
    assert!(matches!(refused(&mut attestor, &mut twin, &good, &role(2)), Error::RolledBack { .. }));
    let skipped = delta(2, &before, &[("p0003", 6.5.into())]);
    assert!(matches!(refused(&mut attestor, &mut twin, &skipped, &role(2)), Error::Attestation { .. }));
    // One that says that it took the change and did not.
    twin.stubborn = Some((7, true));
    let next = delta(2, attestor.parameters(), &[("p0007", 2.0.into())]);
    assert!(matches!(attestor.apply(&next, &role(2), &mut twin), Err(Error::Attestation { .. })));
    assert_eq!(attestor.deltas(), 1);
}

#[test]
fn a_snapshot_is_good_only_after_a_clean_sweep() {
    let (mut attestor, mut twin) = setting(20);
    assert!(!attestor.keep_good(Timestamp::from_secs(0), vec![0]));
    attestor.sweep(&twin, u64::MAX);
    assert!(attestor.keep_good(Timestamp::from_secs(1), vec![1]));
    twin.values[3] = 9.0.into();
    assert_eq!(attestor.audit(&twin, u64::MAX, &[1; 32]).alarms.len(), 1);
    assert!(!attestor.keep_good(Timestamp::from_secs(2), vec![2]));
    attestor.sweep(&twin, u64::MAX);
    assert!(!attestor.keep_good(Timestamp::from_secs(3), vec![3]));
    let good = attestor.last_good().unwrap();
    assert_eq!(
        (good.at, &good.snapshot[..], good.parameters),
        (Timestamp::from_secs(1), &[1][..], attestor.parameters().root())
    );
    twin.values[3] = (3.0 / 7.0).into();
    attestor.sweep(&twin, u64::MAX);
    assert!(attestor.keep_good(Timestamp::from_secs(4), vec![4]));
}

#[test]
fn an_answer_speaks_of_what_runs_now_and_of_one_challenge() {
    struct Fixed;
    impl Quoter for Fixed {
        fn quote(&self, data: &[u8; 32]) -> Result<Vec<u8>, Error> {
            Ok([b"quoted ", &data[..]].concat())
        }
    }
    let (mut attestor, mut twin) = setting(20);
    let nonce = [5; 32];
    let mut expected = Expected::new("pump", key(1).public().clone(), attestor.parameters().clone())
        .regions(attestor.expected().regions);
    let at = Timestamp::from_secs(9);
    let answer = attestor.respond(&nonce, at, &twin, &key(1), None).unwrap();
    assert_eq!(expected.check(&answer, &nonce).unwrap().at, at);
    assert!(matches!(expected.check(&answer, &[6; 32]), Err(Error::Attestation { .. })));
    assert!(expected.check(&attestor.respond(&nonce, at, &twin, &key(2), None).unwrap(), &nonce).is_err());
    let quoted = attestor.respond(&nonce, at, &twin, &key(1), Some(&Fixed)).unwrap();
    let (quote, data) = expected.check(&quoted, &nonce).unwrap().quote.unwrap();
    assert_eq!(quote, [b"quoted ", &data[..]].concat());
    for bit in (0..quoted.len() * 8).step_by(5) {
        let mut bytes = quoted.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = String::from_utf8(bytes) else { continue };
        assert!(expected.check(&text, &nonce).is_err(), "bit {bit}");
    }
    // The answer is measured, not remembered.
    twin.values[3] = 9.0.into();
    let answer = attestor.respond(&nonce, at, &twin, &key(1), None).unwrap();
    assert!(matches!(expected.check(&answer, &nonce), Err(Error::Attestation { .. })));
    twin.values[3] = (3.0 / 7.0).into();
    twin.code[0] ^= 1;
    let answer = attestor.respond(&nonce, at, &twin, &key(1), None).unwrap();
    assert!(matches!(expected.check(&answer, &nonce), Err(Error::Attestation { .. })));
    twin.code[0] ^= 1;
    // A change is followed on both sides.
    let change = delta(1, attestor.parameters(), &[("p0003", 5.5.into())]);
    attestor.apply(&change, &role(2), &mut twin).unwrap();
    let answer = attestor.respond(&nonce, at, &twin, &key(1), None).unwrap();
    assert!(expected.check(&answer, &nonce).is_err());
    expected.follow(&change, &role(2)).unwrap();
    assert_eq!(expected.check(&answer, &nonce).unwrap().deltas, 1);
    assert!(expected.follow(&change, &role(2)).is_err());
    twin.values.pop();
    assert!(attestor.respond(&nonce, at, &twin, &key(1), None).is_err());
}

#[test]
fn a_thousand_planted_bits_are_found_and_ten_thousand_changes_alarm_nobody() {
    let (mut attestor, mut twin) = setting(64);
    let mut random = blake3::Hasher::new_keyed(&[3; 32]).finalize_xof();
    let mut below = |bound: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    };
    for _ in 0..1_000 {
        let at = below(twin.code.len());
        let bit = 1 << below(8);
        twin.code[at] ^= bit;
        let look = attestor.sweep(&twin, u64::MAX);
        assert!(matches!(&look.alarms[..], [Alarm::Region { bytes, .. }] if bytes.contains(&(at as u64))));
        twin.code[at] ^= bit;
    }
    for round in 0..10_000u64 {
        let group = below(4);
        let part = group * 1024..(group + 1) * 1024;
        let at = part.start + below(1024);
        twin.state[at] = round as u8;
        attestor.commit(1, group as u64, &twin.state[part]).unwrap();
        assert!(attestor.sweep(&twin, 8 << 10).alarms.is_empty());
    }
}

proptest! {
    #[test]
    fn any_changed_parameter_is_found_whatever_the_budget(count in 1usize..60, at in 0usize..60, budget in 1u64..40_000) {
        let (mut attestor, mut twin) = setting(count);
        let at = at % count;
        twin.values[at] = ParameterValue::Text("changed".into());
        let mut found = Vec::new();
        for _ in 0..attestor.places() {
            let look = attestor.sweep(&twin, budget);
            found.extend(look.alarms);
            if look.complete {
                break;
            }
        }
        let named = matches!(&found[..], [Alarm::Parameter { index, .. }] if *index == at);
        prop_assert!(named, "{:?}", found);
    }
}
