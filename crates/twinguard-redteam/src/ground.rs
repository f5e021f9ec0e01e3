//! A reference plant as the ground of a campaign: its file, its simulator, what it is judged by, what its meters tell
//! apart.
//!
//! Source: plant cards of the reference plants; the ground's ambiguities are those of
//! [`Isolability`](twinguard_twin::isolability::Isolability), computed from the plant file alone.

use twinguard_twin::Plant;
use twinguard_twin::isolability::Isolability;
use twinguard_twin::plant::LimitKind;
use twinguard_twin::simulator::{self, Incident, Noise, Reference, cooling_loop};
use twinguard_types::{Duration, SignalId, Timestamp};

use crate::error::nearest;
use crate::{Error, Range, RangeOptions, Scenario, Target, Window, address};

/// 2026-03-14 09:20:00 UTC: runs count from here; the history lies before.
pub const ORIGIN: Timestamp = Timestamp::from_secs(1_773_480_000);
const COOLING: &str = "cooling_loop";
/// Samples over which the meters' ambiguities are computed.
const SLOTS: usize = 100;

/// What goes on beside an attack.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// Noise, weather, and an operator who moves set-points now and then.
    #[default]
    Calm,
    /// Loads step as well.
    LoadSteps,
}

/// Which stretch of a plant's life is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Seed of the plant itself: its parameters, the vendor's twin.
    pub life: u64,
    /// Seed of the stretch: noise, weather, the operator's mind, the attacker's chance.
    pub seed: u64,
    /// What goes on.
    pub disturbance: Disturbance,
    /// How many samples it is planned for.
    pub samples: u64,
}

/// A reference plant, ready to be attacked.
#[derive(Debug)]
pub struct Ground {
    reference: Option<&'static Reference>,
    plant: Plant,
    hazard: SignalId,
    limits: (f64, f64),
    isolability: Option<Isolability>,
}

impl Ground {
    /// Names of all plants, alphabetical.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let others = simulator::references().iter().map(|reference| reference.name);
        let mut names: Vec<_> = others.chain([COOLING]).collect();
        names.sort_unstable();
        names
    }

    /// The ground of this name.
    ///
    /// # Errors
    /// [`Error::UnknownPlant`]; [`Error::Twin`] and [`Error::Ground`] when a plant file lacks what a run is judged by,
    /// which those that ship do not.
    pub fn named(name: &str) -> Result<Self, Error> {
        let reference = simulator::reference(name);
        let text = match reference {
            Some(reference) => reference.plant,
            None if name == COOLING => cooling_loop::PLANT,
            None => {
                let nearest = nearest(name, Self::names().into_iter()).to_owned();
                return Err(Error::UnknownPlant { name: name.to_owned(), nearest });
            }
        };
        let plant = Plant::parse(text, "plant.toml")?;
        let lacks = |what| Error::Ground { plant: name.to_owned(), what };
        let path = reference.map_or("transformer.hotspot.temperature", |reference| reference.hazard);
        let hazard = plant.catalogue.id(path).ok_or_else(|| lacks("signal to be judged by"))?;
        let mut limits = (f64::NEG_INFINITY, f64::INFINITY);
        let binding = |limit: &&twinguard_twin::plant::Limit| {
            limit.signal == hazard && limit.kind == LimitKind::NeverExceed
        };
        for limit in plant.limits.iter().filter(binding) {
            limits.0 = limit.min.map_or(limits.0, |min| limits.0.max(min));
            limits.1 = limit.max.map_or(limits.1, |max| limits.1.min(max));
        }
        if limits.0.is_infinite() && limits.1.is_infinite() {
            return Err(lacks("limit that must not be crossed"));
        }
        let isolability = Isolability::of(&plant, |_| true, SLOTS).ok();
        Ok(Self { reference, plant, hazard, limits, isolability })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plant.name
    }

    /// Its plant file, read.
    #[must_use]
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The signal that a run is judged by.
    #[must_use]
    pub fn hazard(&self) -> SignalId {
        self.hazard
    }

    /// Its limits that must not be crossed; infinite where there is none.
    #[must_use]
    pub fn limits(&self) -> (f64, f64) {
        self.limits
    }

    /// How far a value lies beyond the limits; 0 within.
    #[must_use]
    pub fn excess(&self, value: f64) -> f64 {
        (value - self.limits.1).max(self.limits.0 - value).max(0.0)
    }

    /// The share of the way from a value of the untouched plant to the limit, on the side where another value lies; 1 at the
    /// limit, 0 where there is none on that side or it was crossed already.
    #[must_use]
    pub fn impact(&self, calm: f64, value: f64) -> f64 {
        let way = if value > calm { self.limits.1 - calm } else { calm - self.limits.0 };
        if way.is_finite() && way > 0.0 { (value - calm).abs() / way } else { 0.0 }
    }

    /// What its meters tell apart.
    #[must_use]
    pub fn isolability(&self) -> Option<&Isolability> {
        self.isolability.as_ref()
    }

    /// Faults and benign events that it knows.
    #[must_use]
    pub fn incidents(&self) -> &'static [Incident] {
        self.reference.map_or(&[], |reference| reference.incidents)
    }

    /// Time of so many samples.
    #[must_use]
    pub fn span(&self, samples: u64) -> Duration {
        let samples = i64::try_from(samples).unwrap_or(i64::MAX);
        Duration::from_nanos(self.plant.time.sampling.as_nanos().saturating_mul(samples))
    }

    /// The window of an attack that begins after so many samples of a run and lasts so many.
    #[must_use]
    pub fn window(&self, before: u64, samples: u64) -> Window {
        let start = ORIGIN + self.span(before);
        Window { start, end: start + self.span(samples) }
    }

    /// What attacks are aimed at here.
    ///
    /// # Errors
    /// [`Error::Ground`] when nothing is known to aim at.
    pub fn target(&self, window: Window, seed: u64) -> Result<Target, Error> {
        let target = Target::of(&self.plant, window, address::ATTACKER);
        let lacks = || Error::Ground { plant: self.plant.name.clone(), what: "aim for attacks" };
        target.map(|target| target.seeded(seed)).ok_or_else(lacks)
    }

    /// Normal running at changing load, an earlier stretch of the same plant's life: what a guard learns from.
    ///
    /// # Errors
    /// [`Error::Twin`] when plant file and simulator do not fit.
    pub fn history(&self, life: u64, samples: u64) -> Result<Range, Error> {
        let stretch = Stretch { life, seed: 0, disturbance: Disturbance::LoadSteps, samples };
        let before = self.span(samples) + self.span(100_000);
        self.run(&stretch, 1, ORIGIN - before, None, Scenario::none())
    }

    /// A stretch of the plant's life under a scenario, with one of its incidents from an instant of the run on.
    ///
    /// # Errors
    /// [`Error::Twin`] when plant file and simulator do not fit.
    pub fn range(
        &self,
        stretch: &Stretch,
        incident: Option<(&Incident, Timestamp)>,
        scenario: Scenario,
    ) -> Result<Range, Error> {
        self.run(stretch, stretch.seed.wrapping_add(2), ORIGIN, incident, scenario)
    }

    fn run(
        &self,
        stretch: &Stretch,
        part: u64,
        origin: Timestamp,
        incident: Option<(&Incident, Timestamp)>,
        scenario: Scenario,
    ) -> Result<Range, Error> {
        let steps = stretch.disturbance == Disturbance::LoadSteps;
        let Some(reference) = self.reference else {
            let site = cooling_loop::Options { set_point_changes: true, stretch: part, ..Default::default() };
            let site = if steps {
                site.with_load_steps(stretch.life ^ (part << 8), self.span(stretch.samples))
            } else {
                cooling_loop::Options { load: vec![(Timestamp::ZERO, 0.95)], ..site }
            };
            let options = RangeOptions { seed: stretch.life, origin, site };
            return Ok(Range::new(&self.plant, &options, scenario));
        };
        let mut options = simulator::Options {
            set_point_changes: true,
            load_steps: steps,
            stretch: part,
            ..simulator::Options::default()
        };
        if let Some((incident, at)) = incident {
            options = options.with(incident.at(Timestamp::ZERO + at.since(origin)));
        }
        let site = reference.site(stretch.life, &options)?;
        let latency = Noise::new(stretch.life, 60_u64.wrapping_add(part.wrapping_mul(1_000)));
        Ok(Range::over(&self.plant, site, latency, origin, scenario))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plant_is_a_ground() {
        for name in Ground::names() {
            let ground = Ground::named(name).unwrap();
            assert_eq!(ground.name(), name);
            ground.target(ground.window(10, 10), 1).unwrap();
            assert!(ground.isolability().is_some(), "{name}");
        }
        let missing = Ground::named("cooling_lop").unwrap_err();
        assert_eq!(missing.to_string(), "no plant `cooling_lop`; the nearest is `cooling_loop`");
    }

    #[test]
    fn excess_is_what_lies_beyond() {
        let ground = Ground::named("boiler").unwrap();
        assert_eq!([-0.7, 0.0, 0.6].map(|level| (ground.excess(level) * 10.0).round()), [2.0, 0.0, 1.0]);
        // From 0.1 the upper limit is 0.4 away, the lower one 0.6.
        assert_eq!([0.3, 0.1, -0.2].map(|level| (ground.impact(0.1, level) * 10.0).round()), [5.0, 0.0, 5.0]);
    }
}
