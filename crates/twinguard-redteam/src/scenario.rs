//! Attacks put together for one target.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use twinguard_types::Suspect;

use crate::{Attack, Injection, Reading, Window};

/// What an attack is aimed at, in raw terms of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// When.
    pub window: Window,
    /// Input register of the controlled measurement.
    pub sensor: u16,
    /// Error put on it by a bias, in raw units.
    pub bias: i32,
    /// Holding register of the actuator that keeps the plant cool.
    pub actuator: u16,
    /// What is written there.
    pub injected: u16,
    /// Where the attacker's own master speaks from.
    pub attacker: Ipv4Addr,
}

/// One line of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What happens, in words.
    pub story: &'static str,
    /// Puts it together for a target.
    pub build: fn(&Target) -> Vec<Box<dyn Attack>>,
}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("story", &self.story).finish_non_exhaustive()
    }
}

/// One or more attacks in one window.
pub struct Scenario {
    /// Its name; `none` when nothing is attacked.
    pub name: &'static str,
    /// What happens, in words.
    pub story: &'static str,
    /// From when until when; `None` when nothing is attacked.
    pub window: Option<Window>,
    attacks: Vec<Box<dyn Attack>>,
}

impl Scenario {
    /// Normal running.
    #[must_use]
    pub fn none() -> Self {
        Self { name: "none", story: "nothing is attacked", window: None, attacks: Vec::new() }
    }

    /// The scenario of a registry line, aimed at a target.
    #[must_use]
    pub fn of(entry: &Entry, target: &Target) -> Self {
        Self {
            name: entry.name,
            story: entry.story,
            window: Some(target.window),
            attacks: (entry.build)(target),
        }
    }

    /// All parties that may rightly be accused, one set per attack: of each set, one has to be named.
    #[must_use]
    pub fn suspects(&self) -> Vec<&'static [Suspect]> {
        let sets: BTreeSet<&'static [Suspect]> =
            self.attacks.iter().map(|attack| attack.suspects()).collect();
        sets.into_iter().collect()
    }

    /// A response passes the attacker.
    pub(crate) fn on_reading(&mut self, reading: &mut Reading<'_>) {
        for attack in &mut self.attacks {
            attack.on_reading(reading);
        }
    }

    /// The controller has just written.
    pub(crate) fn inject(&mut self, at: twinguard_types::Timestamp, injections: &mut Vec<Injection>) {
        for attack in &mut self.attacks {
            attack.inject(at, injections);
        }
    }
}

impl core::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SCENARIOS;
    use twinguard_types::Timestamp;

    fn target() -> Target {
        let window = Window { start: Timestamp::from_secs(10), end: Timestamp::from_secs(20) };
        Target {
            window,
            sensor: 0,
            bias: -8_000,
            actuator: 1,
            injected: 500,
            attacker: Ipv4Addr::new(10, 0, 0, 66),
        }
    }

    #[test]
    fn the_main_scenario_accuses_two_parties() {
        let scenario = Scenario::build("overheat", &target()).unwrap();
        assert_eq!(scenario.suspects().len(), 2);
        assert!(Scenario::build("no such thing", &target()).is_none());
    }

    #[test]
    fn every_registered_scenario_does_something_in_its_window_and_nothing_before() {
        for entry in SCENARIOS {
            let mut scenario = Scenario::build(entry.name, &target()).unwrap();
            let mut act = |secs: i64| {
                let at = Timestamp::from_secs(secs);
                let clean = [secs as u16 * 10, 7];
                let mut registers = clean;
                scenario.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
                let mut injections = Vec::new();
                scenario.inject(at, &mut injections);
                registers != clean || !injections.is_empty()
            };
            assert!((0..10).all(|secs| !act(secs)), "{} before its window", entry.name);
            assert!((10..20).any(&mut act), "{} in its window", entry.name);
        }
    }
}
