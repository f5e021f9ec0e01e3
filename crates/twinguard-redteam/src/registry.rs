//! All scenarios, one line each, in alphabetical order.

use crate::scenario::{Entry, Scenario, Target};
use crate::{Attack, Bias, CommandInjection, Freeze, Ramp, Replay};
use twinguard_types::Duration;

/// The scenarios that ship.
pub const SCENARIOS: &[Entry] = &[
    Entry { name: "bias", story: "a constant error is added to the controlled temperature", build: bias },
    Entry {
        name: "command_injection",
        story: "a second master closes the cooling",
        build: command_injection,
    },
    Entry { name: "freeze", story: "the controlled temperature stands still", build: freeze },
    Entry {
        name: "overheat",
        story: "old sensor values are replayed while the cooling is cut",
        build: overheat,
    },
    Entry { name: "ramp", story: "an error grows slowly on the controlled temperature", build: ramp },
    Entry { name: "replay", story: "old sensor values are replayed", build: replay },
];

impl Scenario {
    /// The scenario of a name, aimed at a target; `none` for normal running, `None` for an unknown name.
    #[must_use]
    pub fn build(name: &str, target: &Target) -> Option<Self> {
        if name == "none" {
            return Some(Self::none());
        }
        SCENARIOS.iter().find(|entry| entry.name == name).map(|entry| Self::of(entry, target))
    }
}

fn bias(target: &Target) -> Vec<Box<dyn Attack>> {
    vec![Box::new(Bias { window: target.window, address: target.sensor, raw: target.bias })]
}

fn command_injection(target: &Target) -> Vec<Box<dyn Attack>> {
    vec![Box::new(CommandInjection {
        window: target.window,
        from: target.attacker,
        address: target.actuator,
        value: target.injected,
    })]
}

fn freeze(target: &Target) -> Vec<Box<dyn Attack>> {
    vec![Box::new(Freeze::new(target.window, target.sensor))]
}

fn overheat(target: &Target) -> Vec<Box<dyn Attack>> {
    let mut attacks = replay(target);
    attacks.extend(command_injection(target));
    attacks
}

fn ramp(target: &Target) -> Vec<Box<dyn Attack>> {
    // The full bias is reached after two hours.
    vec![Box::new(Ramp {
        window: target.window,
        address: target.sensor,
        raw_per_hour: f64::from(target.bias) / 2.0,
    })]
}

fn replay(target: &Target) -> Vec<Box<dyn Attack>> {
    vec![Box::new(Replay::new(target.window, Duration::from_secs(20 * 60)))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_unique() {
        assert!(SCENARIOS.is_sorted_by(|a, b| a.name < b.name));
    }
}
