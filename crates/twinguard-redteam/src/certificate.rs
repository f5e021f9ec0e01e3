//! What a plant's meters cover: which lies and which wrong commands must show, how large the largest is that need not,
//! which cannot be told apart, and where one spot check helps most. From the plant file alone.
//!
//! Source: [`Isolability`](twinguard_twin::isolability::Isolability) (Willsky, Jones 1976; Basseville, Nikiforov 1993, §7.2.4): a
//! cause of this size gives 10 nats within the window. What lies below is not proof of blindness for ever, but of nothing
//! to be had from that many samples; a cause that leaves no trace at all is invisible to any detector.

use serde::Serialize;
use twinguard_twin::Plant;
use twinguard_twin::isolability::{Isolability, Profile};
use twinguard_types::{Cause, SignalId};

use crate::Error;

/// One way in which a plant can be lied to, or made to do what it should not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// `sensor`, `actuator`, `disturbance` or `fault`.
    pub what: &'static str,
    /// The signal or parameter.
    pub name: String,
    /// Its unit; empty for parameters.
    pub unit: String,
    /// Least size that shows within the window when it comes at once; `None`: it leaves no trace.
    pub step: Option<f64>,
    /// The same for one that grows evenly over the window.
    pub ramp: Option<f64>,
    /// What can be reached in an hour by growing just below that, in the signal's unit.
    pub hidden_per_hour: Option<f64>,
    /// What it cannot be told from, at once or slowly.
    pub like: Vec<String>,
    /// The spot check that tells: a second reading of this signal, where one exists that separates it from all its like.
    pub check: Option<String>,
}

/// What the meters of a plant cover.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// The plant.
    pub plant: String,
    /// BLAKE3 of its file.
    pub digest: String,
    /// Samples of the window.
    pub samples: usize,
    /// Seconds of the window.
    pub window_s: f64,
    /// All causes, those without a trace first, then by the share of their range that stays hidden.
    pub gaps: Vec<Gap>,
    /// Number of causes that leave no trace.
    pub invisible: usize,
    /// Number of causes that are told from all others.
    pub alone: usize,
}

impl Certificate {
    /// Of a plant file, over so many samples (2 to 10,000).
    ///
    /// ```
    /// use twinguard_redteam::Certificate;
    /// use twinguard_twin::{Plant, simulator};
    ///
    /// let tanks = simulator::reference("quadruple_tank").ok_or("no such plant")?;
    /// let certificate = Certificate::of(&Plant::parse(tanks.plant, "plant.toml")?, 100)?;
    /// assert_eq!(certificate.invisible, 0, "every sensor and pump of the tanks shows");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Twin`] for a plant without dynamics, without meters, or another number of samples.
    pub fn of(plant: &Plant, samples: usize) -> Result<Self, Error> {
        let meters = Isolability::of(plant, |_| true, samples)?;
        let window_s = plant.time.sampling.as_secs_f64() * samples as f64;
        let causes = meters.causes();
        let name = |cause: Cause| cause_name(plant, cause);
        let mut gaps: Vec<(f64, Gap)> = Vec::with_capacity(causes.len());
        for (own, cause) in causes.iter().enumerate() {
            let (what, title, signal) = name(*cause);
            let step = meters.size(Profile::Step, own);
            let ramp = meters.size(Profile::Ramp, own);
            let mut like: Vec<usize> = [Profile::Step, Profile::Ramp]
                .into_iter()
                .flat_map(|profile| meters.pairs(profile))
                .filter_map(|(one, other, _)| match (one == own, other == own) {
                    (true, _) => Some(other),
                    (_, true) => Some(one),
                    _ => None,
                })
                .collect();
            like.sort_unstable();
            like.dedup();
            let hidden = ramp.map(|size| size * 3_600.0 / window_s);
            let known = signal.and_then(|signal| plant.catalogue.signal(signal));
            let range = known.and_then(|known| known.range).map(|range| range.max() - range.min());
            let worst = match (hidden, range) {
                (None, _) => f64::INFINITY,
                (Some(hidden), Some(range)) if range > 0.0 => hidden / range,
                _ => 0.0,
            };
            let check = check(causes, own, &like).map(|cause| name(cause).1);
            let gap = Gap {
                what,
                name: title,
                unit: known.map_or_else(String::new, |known| known.unit.to_string()),
                step,
                ramp,
                hidden_per_hour: hidden,
                like: like.iter().filter_map(|at| causes.get(*at)).map(|cause| name(*cause).1).collect(),
                check,
            };
            gaps.push((worst, gap));
        }
        gaps.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
        let gaps: Vec<Gap> = gaps.into_iter().map(|(_, gap)| gap).collect();
        Ok(Self {
            plant: plant.name.clone(),
            digest: plant.digest.to_string(),
            samples,
            window_s,
            invisible: gaps.iter().filter(|gap| gap.step.is_none()).count(),
            alone: gaps.iter().filter(|gap| gap.step.is_some() && gap.like.is_empty()).count(),
            gaps,
        })
    }
}

/// A second reading of a sensor settles whether that sensor lies: where one party of the set is a sensor, it is the check.
/// Of two sensors either will do, so the first of them is named.
fn check(causes: &[Cause], own: usize, like: &[usize]) -> Option<Cause> {
    let is_sensor = |at: &usize| matches!(causes.get(*at), Some(Cause::SensorBias(_)));
    if is_sensor(&own) {
        return causes.get(own).copied();
    }
    // Only one sensor among those alike: if it tells the truth, what is left is this cause, or others of its kind.
    let sensors: Vec<usize> = like.iter().copied().filter(|at| is_sensor(at)).collect();
    match sensors.as_slice() {
        [one] if like.len() == 1 => causes.get(*one).copied(),
        _ => None,
    }
}

fn cause_name(plant: &Plant, cause: Cause) -> (&'static str, String, Option<SignalId>) {
    let path = |signal: SignalId| plant.catalogue.path(signal).to_owned();
    match cause {
        Cause::SensorBias(signal) => ("sensor", path(signal), Some(signal)),
        Cause::ActuatorOffset(signal) => ("actuator", path(signal), Some(signal)),
        Cause::Disturbance(signal) => ("disturbance", path(signal), Some(signal)),
        Cause::FaultMode(number) => {
            let parameters = plant.dynamics.as_ref().map(|dynamics| dynamics.model.parameters());
            let name = parameters.and_then(|all| all.get(number as usize)).map(|(name, _)| name.clone());
            ("fault", name.unwrap_or_else(|| format!("parameter {number}")), None)
        }
        _ => ("other", String::new(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ground;

    #[test]
    fn every_reference_plant_has_a_certificate() {
        for name in Ground::names() {
            let ground = Ground::named(name).unwrap();
            let certificate = Certificate::of(ground.plant(), 60).unwrap();
            assert!(!certificate.gaps.is_empty(), "{name}");
            let blind = certificate.gaps.iter().take_while(|gap| gap.step.is_none()).count();
            assert_eq!(blind, certificate.invisible, "{name}: those without a trace come first");
            assert!(certificate.gaps.iter().all(|gap| !gap.like.contains(&gap.name)), "{name}");
        }
    }

    #[test]
    fn a_longer_window_hides_less() {
        let ground = Ground::named("cooling_loop").unwrap();
        let of = |samples| {
            let certificate = Certificate::of(ground.plant(), samples).unwrap();
            let oil = certificate.gaps.iter().find(|gap| gap.name == "transformer.oil.temperature").unwrap();
            oil.step.unwrap()
        };
        assert!(of(100) < of(10));
    }
}
