//! Values that never were, but could have been: drawn from what was learnt while listening.
//!
//! Source: A. Erba et al., "Constrained concealment attacks against reconstruction-based anomaly detectors in industrial
//! control systems", ACSAC 2020, §4: learnt generation of concealed readings. Here the learnt part is per signal a mean
//! and a first-order autoregression (a linear autoencoder over two samples): right spread, right pace, no exact repeat.
//! The command path is used at the same time.

use std::collections::BTreeMap;

use twinguard_twin::simulator::Noise;
use twinguard_types::Suspect;

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Place, Reading, Window};

/// Running moments of one signal and of its successive values.
#[derive(Clone, Copy, Default)]
struct Learnt {
    count: f64,
    mean: f64,
    square: f64,
    product: f64,
    last: Option<f64>,
    shown: Option<f64>,
}

impl Learnt {
    /// Exponential forgetting over about 200 samples, so that the present level is what is shown.
    fn take(&mut self, value: f64) {
        self.count += 1.0;
        let share = (1.0 / self.count).max(1.0 / 200.0);
        let before = value - self.mean;
        self.mean += share * before;
        let off = value - self.mean;
        self.square += share * (before * off - self.square);
        if let Some(last) = self.last {
            self.product += share * ((last - self.mean) * off - self.product);
        }
        self.last = Some(value);
    }

    fn draw(&mut self, noise: &mut Noise) -> f64 {
        let pace = if self.square > 0.0 { (self.product / self.square).clamp(0.0, 0.999) } else { 0.0 };
        let from = self.shown.or(self.last).unwrap_or(self.mean) - self.mean;
        let fresh = (self.square * (1.0 - pace * pace)).max(0.0).sqrt();
        let next = self.mean + pace * from + fresh * noise.gaussian();
        self.shown = Some(next);
        next
    }
}

struct Concealment {
    window: Window,
    places: Vec<Place>,
    learnt: BTreeMap<u16, Learnt>,
    chance: Noise,
}

impl Attack for Concealment {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        let on = self.window.contains(reading.at);
        if reading.at >= self.window.end {
            return;
        }
        for place in &self.places {
            let learnt = self.learnt.entry(place.address).or_default();
            let chance = &mut self.chance;
            place.change(reading, |number| {
                if on {
                    learnt.draw(chance)
                } else {
                    learnt.take(number);
                    number
                }
            });
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "learnt_concealment",
    story: "the actuator is moved, and all measurements show what was learnt to be normal",
    family: Family::Combined,
    techniques: &["T0856", "T0832", "T0855"],
    parties: &[Suspect::CommandPath, Suspect::Sensor, Suspect::Network, Suspect::Identity],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings, Channel::Network],
    },
    traces: &[Trace::Identity, Trace::Provenance],
    build: |target| {
        let mut attacks = target.inject_held();
        attacks.push(Box::new(Concealment {
            window: target.window,
            places: target.sensors.clone(),
            learnt: BTreeMap::new(),
            chance: target.chance(2),
        }));
        attacks
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial::{self, END, START};

    #[test]
    fn looks_like_the_past_and_repeats_nothing() {
        let level = |second: i64| [300 + [0, 3, 5, 2, -1, -4, 1][(second % 7) as usize], 200, 500];
        let played =
            trial::play_over(
                &super::ENTRY,
                &trial::target(),
                |t| if t < START { level(t) } else { [900; 3] },
            );
        let shown: Vec<i16> = (START..END).map(|t| played.shown[t as usize][0]).collect();
        assert!(shown.iter().all(|value| (285..315).contains(value)), "{shown:?}");
        let mut distinct = shown.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 4, "{shown:?}");
    }
}
