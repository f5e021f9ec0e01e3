//! What a virtual sensor is worth: how far the model is off a signal whose sensor it does not hear, learnt on normal running.
//!
//! A covariance knows of noise and of what the plant file declares uncertain; it knows nothing of what the model leaves out. So each
//! signal is left out of stretches of history, as long as commands are looked ahead, one at a time, and what the estimate then was is
//! compared with what the sensor said: the errors of split conformal prediction (Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, *JASA* 113,
//! 2018, §2.2), beyond the filter's own variance. Errors within a stretch depend on each other, so that a stretch is what counts as one
//! sample: with fewer than forty the widest says how sure one can be. Errors are means over some slots, in which noise averages out.

use std::collections::BTreeMap;

use twinguard_types::SignalId;

use super::history::SLOTS;
use super::{Estimate, Twin};
use crate::setup::Place;

/// Fewer slots than this teach nothing.
const LEAST: usize = 600;
/// Slots behind one error.
const MEAN: usize = 5;
/// Stretches kept of each signal, and errors that one needs.
const MOST: usize = 4_096;
const FEWEST: usize = 20;
/// Two-sided 95 % of a normal law, and what lies outside on one side.
const INTERVAL: f64 = 1.96;
const OUTSIDE: f64 = 0.025;

/// What is added to the estimate of a signal whose sensor is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelError {
    /// What the model is off on average, in the signal's unit: sensor less estimate.
    pub bias: f64,
    /// Standard deviation of what it is off beyond that and beyond its own covariance.
    pub sigma: f64,
}

/// Learns the [`ModelError`] of every signal of a twin.
///
/// ```
/// use twinguard_twin::{LeftOut, Plant, Twin};
///
/// let plant = Plant::parse(include_str!("../../plants/cooling_loop.toml"), "cooling_loop.toml")?;
/// let (mut twin, mut left_out) = (Twin::new(&plant)?, LeftOut::default());
/// // for each slot of normal running: observe, advance, and then
/// left_out.look(&twin);
/// // and at the end
/// twin.set_model_errors(&left_out.finish(&twin));
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    due: Option<u64>,
    stretches: BTreeMap<SignalId, Vec<Stretch>>,
}

/// What 95 % of one stretch's errors lay between, and the middle of the estimate's variances.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    low: f64,
    high: f64,
    variance: f64,
}

/// The value that this share of a list lies below; the list is sorted.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((share * last as f64).round() as usize).min(last)).copied().unwrap_or(0.0)
}

impl Stretch {
    fn of(mut errors: Vec<f64>, mut variances: Vec<f64>) -> Option<Self> {
        if errors.len() < FEWEST {
            return None;
        }
        errors.sort_unstable_by(f64::total_cmp);
        variances.sort_unstable_by(f64::total_cmp);
        Some(Self {
            low: quantile(&errors, OUTSIDE),
            high: quantile(&errors, 1.0 - OUTSIDE),
            variance: quantile(&variances, 0.5),
        })
    }
}

/// Between which errors the next stretch will stay.
fn model_error(stretches: &[Stretch]) -> Option<ModelError> {
    let sorted = |of: fn(&Stretch) -> f64| {
        let mut values: Vec<f64> = stretches.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (lows, highs) = (sorted(|it| it.low), sorted(|it| it.high));
    // With n samples the next one is outside the k outermost with probability k / (n + 1): none may be left out below 40.
    let outermost = (OUTSIDE * (stretches.len() + 1) as f64).floor().max(1.0) as usize - 1;
    let (low, high) = (lows.get(outermost)?, highs.iter().rev().nth(outermost)?);
    let variance = quantile(&sorted(|it| it.variance), 0.5);
    let half = 0.5 * (high - low) / INTERVAL;
    let found = ModelError { bias: 0.5 * (low + high), sigma: (half * half - variance).max(0.0).sqrt() };
    (found.bias.is_finite() && found.sigma.is_finite()).then_some(found)
}

impl LeftOut {
    /// To be called after the twin went on; it looks when a stretch is full. The twin itself is not touched.
    pub fn look(&mut self, twin: &Twin) {
        let (slots, stretch) = (twin.counts().slots, twin.stretch() as u64);
        // Half of the time is enough, and costs half.
        if slots >= *self.due.get_or_insert(slots + stretch) {
            self.due = Some(slots + 2 * stretch);
            self.take(twin);
        }
    }

    /// What was learnt, with what the twin still holds where no stretch was full. Signals of which too little was seen are missing.
    #[must_use]
    pub fn finish(mut self, twin: &Twin) -> BTreeMap<SignalId, ModelError> {
        if self.stretches.is_empty() && twin.counts().slots >= LEAST as u64 {
            self.take(twin);
        }
        let found = |(signal, stretches): (SignalId, Vec<Stretch>)| Some((signal, model_error(&stretches)?));
        self.stretches.into_iter().filter_map(found).collect()
    }

    fn take(&mut self, twin: &Twin) {
        for signal in twin.setup.signals() {
            let kept = self.stretches.entry(signal).or_default();
            if kept.len() < MOST {
                let (mut errors, mut variances) = (Vec::new(), Vec::new());
                twin.leave_out(signal, |error, variance| {
                    errors.push(error);
                    variances.push(variance);
                });
                kept.extend(Stretch::of(errors, variances));
            }
        }
    }
}

impl Twin {
    /// Slots of a stretch: as far as the plant's limits are looked ahead, and at most what the twin remembers.
    fn stretch(&self) -> usize {
        let longest = self.setup.limits.iter().map(|limit| limit.horizon.as_nanos()).max().unwrap_or(0);
        usize::try_from(longest / self.setup.step.as_nanos()).unwrap_or(SLOTS).clamp(LEAST, SLOTS)
    }

    /// Runs through the last stretch without a signal; tells what its sensor said less what was estimated, and the estimate's variance.
    fn leave_out(&self, signal: SignalId, mut tell: impl FnMut(f64, f64)) {
        let place = self.setup.place(signal);
        if matches!(place, Place::Input(index) if self.setup.is_command[index]) || place == Place::None {
            return;
        }
        let Some(saved) = self.history.stretch(self.stretch()) else { return };
        let mut other = self.clone();
        other.errors.clear();
        other.exclude(signal, true);
        other.engine.go_back(&saved);
        let (mut sum, mut count) = (0.0, 0.0);
        for (slot, index) in other.history.slots_after(saved.at).enumerate() {
            let past = self.history.slot(index);
            other.held.copy_from_slice(past.held);
            if let Place::Input(input) = place {
                other.held[input] = saved.held[input];
            }
            let (at, time_s) = (past.at, (past.at - self.start).as_secs_f64());
            if other.engine.run(&self.setup, at, time_s, &other.held, past.measured, &other.excluded).is_err()
            {
                return;
            }
            let (seen, estimate) = match place {
                Place::Output(output) => (past.measured[output], other.engine.estimates[output]),
                // How far a kept value strays is what is to be learnt.
                Place::Input(input) => {
                    (Some(past.held[input]), Estimate { mean: saved.held[input], sigma: 0.0 })
                }
                Place::None => return,
            };
            if let Some(seen) = seen {
                sum += seen - estimate.mean;
                count += 1.0;
            }
            if slot % MEAN == MEAN - 1 {
                if count > 0.0 {
                    tell(sum / count, estimate.sigma * estimate.sigma);
                }
                (sum, count) = (0.0, 0.0);
            }
        }
    }

    /// What the model misses of signals that are left out: from now on their estimates say so.
    pub fn set_model_errors(&mut self, errors: &BTreeMap<SignalId, ModelError>) {
        self.errors.clone_from(errors);
    }

    /// What [`set_model_errors`](Self::set_model_errors) was told.
    #[must_use]
    pub const fn model_errors(&self) -> &BTreeMap<SignalId, ModelError> {
        &self.errors
    }
}
