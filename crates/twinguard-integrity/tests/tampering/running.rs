//! What runs: parameters and memory, recalibration, answers to challenges, probes.

use twinguard_integrity::attest::{Attestor, Expected, Recalibrate, Running};
use twinguard_integrity::tree::Group;
use twinguard_integrity::{Delta, Error, Golden, Holder, ParameterValue, Parameters, Role, TwinProbe};
use twinguard_types::{Duration, Timestamp};

use super::{Attack, Check, GOLDEN, key, parameters, public, sealed};

/// When answers are given.
pub(super) const NOON: Timestamp = Timestamp::from_secs(43_200);

/// What a vendor's twin runs with.
#[derive(Clone)]
pub(super) struct Vendor {
    values: Vec<ParameterValue>,
    code: Vec<u8>,
}

impl Running for Vendor {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        self.values.get(index).cloned()
    }
    fn region(&self, _: usize, range: core::ops::Range<u64>, out: &mut Vec<u8>) -> bool {
        let part = self.code.get(range.start as usize..range.end as usize);
        part.map(|part| out.extend_from_slice(part)).is_some()
    }
}

impl Recalibrate for Vendor {
    fn set(&mut self, index: usize, value: &ParameterValue) -> bool {
        self.values.get_mut(index).map(|slot| *slot = value.clone()).is_some()
    }
}

pub(super) fn running() -> (Attestor, Vendor) {
    let code = vec![0x90; 70_000];
    let mut attestor = Attestor::new("pump", parameters(2.5));
    attestor.register("code", &code, Group::KIB_16);
    (attestor, Vendor { values: vec![2.5.into(), 3.0.into()], code })
}

/// The first alarm of a sweep, as an error.
fn swept(change: impl Fn(&mut Vendor)) -> Result<(), Error> {
    let (mut attestor, mut twin) = running();
    change(&mut twin);
    match attestor.sweep(&twin, u64::MAX).alarms.first() {
        Some(_) => Err(Error::Attestation { reason: "the sweep alarms" }),
        None => Ok(()),
    }
}

fn delta_of(number: u64, before: &Parameters, by: u8) -> Vec<u8> {
    let change = [("plant.toml", "tank.area", ParameterValue::from(2.6))];
    Delta::new("pump", number, before, change).unwrap().sign(&[&key(by)]).unwrap()
}

fn recalibrated(delta: &[u8], change: impl Fn(&mut Attestor, &mut Vendor)) -> Result<(), Error> {
    let (mut attestor, mut twin) = running();
    change(&mut attestor, &mut twin);
    let role = Role::new([Holder::new([public(1)]).unwrap()], 1).unwrap();
    attestor.apply(delta, &role, &mut twin).map(drop)
}

/// An answer to a challenge, when what runs was changed, or the answer was.
fn answered(change: impl Fn(&mut Vendor), nonce: u8, text: impl Fn(String) -> String) -> Result<(), Error> {
    let (attestor, mut twin) = running();
    change(&mut twin);
    let answer = attestor.respond(&[7; 32], Timestamp::from_secs(1), &twin, &key(4), None).unwrap();
    let expected = Expected::new("pump", key(4).public().clone(), parameters(2.5));
    let expected = expected.regions(attestor.expected().regions);
    expected.check(&text(answer), &[nonce; 32]).map(drop)
}

fn probed(answer: impl Fn(f64) -> Vec<Vec<f64>>, after: i64) -> Result<(), Error> {
    let golden: Golden = GOLDEN.parse().unwrap();
    let (every, within) = (Duration::from_secs(10), Duration::from_secs(5));
    let mut probe = TwinProbe::new(vec![golden], &[1; 32], every, within, Timestamp::ZERO).unwrap();
    let question = probe.ask(Timestamp::from_secs(20)).unwrap();
    probe.answer(question.number, Timestamp::from_secs(20 + after), &answer(question.inputs[0][0]))
}

pub(super) fn untouched() {
    swept(|_| ()).unwrap();
    recalibrated(&delta_of(1, &parameters(2.5), 1), |_, _| ()).unwrap();
    answered(|_| (), 7, |text| text).unwrap();
    probed(|_| vec![vec![2.0], vec![4.0]], 1).unwrap();
}

pub(super) fn attacks(all: &mut Vec<Attack>) {
    let malformed: Check = |error| matches!(error, Error::Seal { .. });
    let untrusted: Check = |error| matches!(error, Error::UntrustedKey { .. });
    let signature: Check = |error| matches!(error, Error::Signature { .. });
    let rolled_back: Check = |error| matches!(error, Error::RolledBack { .. });
    let behaviour: Check = |error| matches!(error, Error::Behaviour { .. });
    macro_rules! attack {
        ($name:literal, $check:expr, $attack:expr) => {
            all.push(($name, $check, Box::new(|| $attack)))
        };
    }
    // 3, 20: what runs.
    let attestation: Check = |e| matches!(e, Error::Attestation { .. });
    attack!("a running parameter changed by its last bit", attestation, {
        swept(|twin| twin.values[0] = ParameterValue::F64(2.5_f64.to_bits() ^ 1))
    });
    attack!(
        "a running parameter of another type",
        attestation,
        swept(|twin| twin.values[0] = ParameterValue::F32(0))
    );
    attack!("two running parameters exchanged", attestation, swept(|twin| twin.values.swap(0, 1)));
    attack!("a running parameter that has gone", attestation, swept(|twin| twin.values.truncate(1)));
    attack!("a bit of running code", attestation, swept(|twin| twin.code[69_999] ^= 4));
    attack!("running code that ends early", attestation, swept(|twin| twin.code.truncate(69_999)));
    attack!(
        "a recalibration by somebody else",
        untrusted,
        recalibrated(&delta_of(1, &parameters(2.5), 2), |_, _| ())
    );
    attack!(
        "a recalibration from another state",
        attestation,
        recalibrated(&delta_of(1, &parameters(2.4), 1), |_, _| ())
    );
    attack!("a recalibration over a tampered parameter", attestation, {
        recalibrated(&delta_of(1, &parameters(2.5), 1), |_, twin| twin.values[0] = 9.0.into())
    });
    attack!("a recalibration played again", rolled_back, {
        let delta = delta_of(1, &parameters(2.5), 1);
        recalibrated(&delta, |attestor, twin| {
            let role = Role::new([Holder::new([public(1)]).unwrap()], 1).unwrap();
            attestor.apply(&delta, &role, twin).unwrap();
        })
    });
    attack!("a seal used for a recalibration", malformed, recalibrated(&sealed(1), |_, _| ()));
    attack!("an answer to an earlier challenge", attestation, answered(|_| (), 8, |text| text));
    attack!(
        "an answer about other parameters",
        attestation,
        answered(|twin| twin.values[1] = 4.0.into(), 7, |text| text)
    );
    attack!("an answer about other code", attestation, answered(|twin| twin.code[0] = 0, 7, |text| text));
    attack!("an answer with another nonce written in", signature, {
        answered(|_| (), 8, |text| text.replace(&"07".repeat(32), &"08".repeat(32)))
    });
    attack!("a probed twin that behaves otherwise", behaviour, probed(|_| vec![vec![2.0], vec![4.2]], 1));
    attack!("a probed twin that answers too late", attestation, probed(|_| vec![vec![2.0], vec![4.0]], 6));
    attack!("a probed twin that leaves out steps", attestation, probed(|_| vec![vec![2.0]], 1));
}
