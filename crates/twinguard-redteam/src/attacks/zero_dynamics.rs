//! Commands that grow along a zero of the plant: the controlled measurements stay where they are while the state leaves.
//!
//! Source: A. Teixeira et al., "Revealing stealthy attacks in control systems", Allerton 2012, §III; K. H. Johansson, "The
//! quadruple-tank process", IEEE TCST 8(3), 2000: a zero at +0.0128 1/s. The commands are changed behind the tap; meters
//! outside the controlled loops do see it.

use twinguard_types::{Suspect, Timestamp};

use crate::attack::{Writer, Writing};
use crate::profile::{Channel, Family, Knowledge, Onset, Requirement, Resources, Visibility};
use crate::theory;
use crate::{Attack, Entry, Place, Target, Window};

/// What the largest share begins with, of the way from rest to the aim.
const FIRST: f64 = 0.005;

struct Hidden {
    window: Window,
    rate: f64,
    /// Actuators with what is added at the start, physical.
    shares: Vec<(Place, f64)>,
    most: f64,
}

impl Hidden {
    fn added(&self, at: Timestamp, share: f64) -> f64 {
        let since = self.window.since(at).unwrap_or(0.0);
        share * (self.rate * since).exp().min(self.most)
    }
}

impl Attack for Hidden {
    fn on_write(&mut self, writing: &mut Writing) {
        if !self.window.contains(writing.at) || writing.by != Writer::Controller {
            return;
        }
        let found = self.shares.iter().find(|(place, _)| place.address == writing.address);
        if let Some((place, share)) = found {
            let added = self.added(writing.at, *share);
            writing.done = writing.done.map(|word| place.encode(place.decode(word) + added));
        }
    }
}

fn build(target: &Target) -> Vec<Box<dyn Attack>> {
    let Some(motion) = theory::hidden_motion(target) else { return Vec::new() };
    let (low, high) = target.actuator.range.unwrap_or((0.0, 2.0 * target.actuator.number(target.injected)));
    let first = FIRST * (high - low).abs() * target.actuator.scale;
    let share = |(signal, share): &(twinguard_types::SignalId, f64)| {
        let place = target.actuators.iter().find(|place| place.signal == *signal)?;
        Some((place.clone(), share * first))
    };
    let shares = motion.commands.iter().filter_map(share).collect();
    vec![Box::new(Hidden { window: target.window, rate: motion.rate, shares, most: 0.5 / FIRST })]
}

pub(crate) const ENTRY: Entry = Entry {
    name: "zero_dynamics",
    story: "commands grow along a zero of the plant, which the controlled measurements do not show",
    family: Family::Theory,
    techniques: &["T0835", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Actuator],
    needs: Resources {
        knowledge: Knowledge::Model,
        disclosure: &[Channel::Commands],
        disruption: &[Channel::Actuators],
    },
    requires: Requirement::UnstableZero,
    traces: &[],
    visibility: Visibility::Actuator(0.5, Onset::Ramp),
    build,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ground;

    #[test]
    fn grows_along_the_zero_and_is_held() {
        let ground = Ground::named("quadruple_tank_nonminimum").unwrap();
        let target = ground.target(ground.window(0, 2_000), 0).unwrap();
        let mut attack = build(&target).remove(0);
        let mut added = |second: i64| {
            let at = target.window.start + twinguard_types::Duration::from_secs(second);
            let word = target.actuator.encode(3.0);
            let address = target.actuator.address;
            let (seen, done) = (Some(word), Some(word));
            let mut writing = Writing { at, by: Writer::Controller, address, seen, done };
            attack.on_write(&mut writing);
            assert_eq!(writing.seen, Some(word), "the tap sees what was meant");
            target.actuator.decode(writing.done.unwrap()) - 3.0
        };
        let (first, later) = (added(0), added(109));
        assert!(
            first.abs() > 0.02 && (later / first - 4.0).abs() < 0.3,
            "doubles every 54 s: {first} {later}"
        );
        assert!(added(1_999).abs() < 6.0);
    }
}
