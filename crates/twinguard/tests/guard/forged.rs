//! Isolation as a weapon: whoever forges evidence gets no more out of the guard than its budgets, and not the plant's own parties.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};

use twinguard::redteam::{
    ATTACKS, Attack, Entry, Injection, Range, Reaction, Scenario, Target, Utterance, Window, address,
};
use twinguard::types::{Action, ActionId, ActionKind, Duration, SignalId, Timestamp};

use crate::site::{ORIGIN, config, guard, plant, range};

const START_S: i64 = 120;
const TOTAL_S: i64 = 420;
/// What may be isolated and substituted at one time.
const PEERS: usize = 8;
const SIGNALS: usize = 64;

/// Commands, lies and broken bytes at once, so that there is more than one kind of evidence, in the name of others.
struct Forger {
    window: Window,
    names: Vec<Ipv4Addr>,
    address: u16,
    value: u16,
    step: usize,
    /// Also breaks bytes in their names.
    loud: bool,
}

impl Attack for Forger {
    fn on_reading(&mut self, reading: &mut twinguard::redteam::Reading<'_>) {
        // All values lie, so that everybody would have to be substituted.
        if self.window.contains(reading.at) {
            reading.registers.iter_mut().for_each(|raw| *raw = raw.wrapping_add(1 + (self.step % 40) as u16));
        }
    }

    fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        if self.window.contains(at) {
            self.step += 1;
            let name = self.names[self.step % self.names.len()];
            injections.push(Injection { from: name, address: self.address, value: self.value });
        }
    }

    fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        if self.loud && self.window.contains(at) {
            let from = self.names[self.step % self.names.len()];
            utterances.push(Utterance::Raw { from, bytes: vec![0, 1, 0, 0, 0, 250, 1, 3, 0] });
        }
    }
}

fn forger(target: &Target, names: Vec<Ipv4Addr>, loud: bool) -> Vec<Box<dyn Attack>> {
    let (window, address, value) = (target.window, target.actuator.address, target.injected);
    vec![Box::new(Forger { window, names, address, value, step: 0, loud })]
}

type Build = fn(&Target) -> Vec<Box<dyn Attack>>;

/// Two hundred strangers; strangers and the plant's own parties; the controller and the platform alone.
const FORGERIES: [Build; 4] = [
    |target| forger(target, (0..200).map(|last| Ipv4Addr::new(10, 0, 3, last)).collect(), false),
    |target| forger(target, (0..200).map(|last| Ipv4Addr::new(10, 0, 4, last)).collect(), true),
    |target| forger(target, vec![address::CONTROLLER, address::PLATFORM, Ipv4Addr::new(10, 0, 5, 1)], true),
    |target| forger(target, vec![address::CONTROLLER, address::PLATFORM], true),
];

/// What the guard did, second by second: what is in force after each action.
fn actions(forgery: usize, stretch: u64) -> Vec<Action> {
    let start = ORIGIN + Duration::from_secs(START_S);
    let window = Window { start, end: ORIGIN + Duration::from_secs(TOTAL_S) };
    let target = Target::of(&plant(), window, address::ATTACKER).unwrap();
    let entry = Entry { name: "forged", build: FORGERIES[forgery], ..ATTACKS[0] };
    let mut range: Range = range(stretch, Scenario::of(&entry, &target));
    let mut guard = guard(config());
    let mut actions = Vec::new();
    for _ in 0..TOTAL_S {
        actions.extend(range.step(&mut guard).unwrap().reactions.into_iter().filter_map(|it| match it {
            Reaction::Action(action) => Some(action),
            _ => None,
        }));
    }
    actions
}

#[test]
fn forged_evidence_gets_no_more_than_the_budgets_and_nobody_whom_the_plant_needs() {
    let safe: BTreeMap<SignalId, f64> = plant().safe_state.into_iter().collect();
    let mut isolations = 0;
    for forgery in 0..FORGERIES.len() {
        for stretch in 0..2 {
            let taken = actions(forgery, stretch);
            let (mut peers, mut signals) = (BTreeMap::<ActionId, IpAddr>::new(), BTreeMap::new());
            for action in taken.iter().filter(|action| !action.recommended_only) {
                match &action.kind {
                    ActionKind::IsolatePeer { peer } => drop(peers.insert(action.id, *peer)),
                    ActionKind::Substitute { signal, .. } => drop(signals.insert(action.id, *signal)),
                    ActionKind::Command(command) => {
                        assert_eq!(safe.get(&command.signal), Some(&command.value.as_f64()), "{action:?}");
                    }
                    ActionKind::Release { action } => {
                        peers.remove(action);
                        signals.remove(action);
                    }
                    _ => {}
                }
                let distinct: BTreeSet<&IpAddr> = peers.values().collect();
                assert!(distinct.len() <= PEERS && peers.len() == distinct.len(), "{forgery}: {peers:?}");
                assert!(signals.len() <= SIGNALS, "{forgery}: {signals:?}");
                for needed in [address::CONTROLLER, address::PLATFORM, address::DEVICE] {
                    assert!(!distinct.contains(&IpAddr::V4(needed)), "{forgery}: {needed} is cut off");
                }
            }
            isolations += peers.len();
            let asked = |peer: Ipv4Addr| {
                taken
                    .iter()
                    .any(|it| it.recommended_only && it.kind == ActionKind::IsolatePeer { peer: peer.into() })
            };
            assert!(forgery < 3 || asked(address::CONTROLLER), "a person is asked about the controller");
        }
    }
    assert!(isolations > 0, "the forgeries are loud enough to be acted on");
}

#[test]
fn the_same_forgery_is_answered_by_the_same_actions() {
    assert_eq!(actions(1, 0), actions(1, 0));
}
