//! How far the twin can be trusted at the moment: by the age of what it knows, by how surprised it is beyond its habit, by
//! what is said of it; and what its past residuals say about its future.
//!
//! A model that is a little wrong is wrong in the same way from slot to slot: its filter corrects the state each time. The
//! mean of these corrections goes on pushing in a forecast ([`super::path`]), the mean innovation of an output widens its
//! bound. What they add up to beyond what is usual is how far sensors can have led the twin astray ([`super::reckoning`]).

use std::collections::BTreeMap;

use twinguard_twin::Twin;
use twinguard_twin::plant::Dynamics;
use twinguard_types::{Duration, Residual, SignalId, Timestamp};

use super::Start;
use super::certificate::inputs_into;
use super::path::{Slot, one_slot};
use super::reckoning::Reckoning;

/// Slots over which the present is averaged.
const MEMORY: f64 = 60.0;
/// Slots after which the largest surprise that was usual is half forgotten.
const HABIT: f64 = 3_600.0;
/// In the first slots everything is usual.
pub(super) const FIRST: u32 = 300;
/// Times the largest usual mean of NIS / degrees of freedom from which on the twin has lost the plant: three times the σ. A
/// filter that follows the plant has an expectation of 1 (Bar-Shalom, Li, Kirubarajan, *Estimation with Applications to
/// Tracking and Navigation*, 2001, §5.4.2).
const LOST: f64 = 9.0;
/// Slots for which a twin that was lost is not believed after it follows again: what pulled it there may go on.
const AFTER: u32 = 300;

/// What is known of a twin's present state, beside its covariance.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Confidence {
    /// Mean of NIS / degrees of freedom over the last slots: 1 when the twin follows the plant.
    surprise: f64,
    /// The largest that was usual lately, at least 1.
    habit: f64,
    slots: u32,
    /// Slots until it is believed again.
    lost: u32,
    accused: bool,
    /// Mean innovation of outputs.
    bias: BTreeMap<SignalId, f64>,
    /// Mean correction of each state, per second.
    push: Vec<f64>,
    /// Where the twin stood after the last slot.
    before: Option<(Timestamp, Vec<f64>)>,
    #[cfg_attr(feature = "serde", serde(default))]
    reckoning: Reckoning,
    #[cfg_attr(feature = "serde", serde(skip))]
    slot: Slot,
}

impl Default for Confidence {
    fn default() -> Self {
        Self {
            surprise: 1.0,
            habit: 1.0,
            slots: 0,
            lost: 0,
            accused: false,
            bias: BTreeMap::new(),
            push: Vec::new(),
            before: None,
            reckoning: Reckoning::default(),
            slot: Slot::default(),
        }
    }
}

impl Confidence {
    /// Takes in one slot's residual.
    pub fn observe(&mut self, residual: &Residual<'_>) {
        if residual.dof == 0 {
            return;
        }
        let now = (residual.nis / residual.dof as f64).min(1e6);
        let now = if now.is_finite() { now } else { 1e6 };
        self.slots = self.slots.saturating_add(1);
        self.surprise += (now - self.surprise) / MEMORY;
        if self.surprise > LOST * self.habit {
            if self.slots > FIRST {
                self.lost = AFTER;
            }
        } else {
            self.lost = self.lost.saturating_sub(1);
        }
        if self.lost == 0 {
            // What has just begun is not usual yet: habits double within a memory.
            let usual = if self.slots <= FIRST {
                self.surprise
            } else {
                self.surprise.min((1.0 + 1.0 / MEMORY) * self.habit)
            };
            self.habit = usual.max(self.habit * libm::exp2(-1.0 / HABIT)).max(1.0);
        }
        for (signal, innovation) in residual.signals.iter().zip(residual.innovation) {
            let mean = self.bias.entry(*signal).or_insert(0.0);
            *mean += (innovation - *mean) / MEMORY;
        }
    }

    /// Takes in where the twin stands after a slot: call it after [`Confidence::observe`].
    pub fn follow(&mut self, dynamics: &Dynamics, twin: &Twin) {
        let (Some(clock), state) = (twin.clock(), twin.state().1) else { return };
        if let Some((then, before)) = &self.before
            && before.len() == state.len()
            && clock > *then
        {
            let span_s = clock.since(*then).as_secs_f64();
            inputs_into(twin, dynamics, &mut self.slot.inputs);
            one_slot(dynamics, before, span_s, &mut self.slot);
            take_corrections(&mut self.push, (state, &self.slot.state), span_s, MEMORY);
            self.reckoning.follow(dynamics, state, span_s, &mut self.slot);
        }
        let (then, before) = self.before.get_or_insert_with(|| (clock, Vec::new()));
        *then = clock;
        before.clear();
        before.extend_from_slice(state);
    }

    /// The twin started anew, or was put elsewhere: what surprised it before says nothing.
    pub fn reset(&mut self) {
        *self = Self { accused: self.accused, ..Self::default() };
    }

    /// Whether an open finding accuses the twin or its model.
    pub fn accuse(&mut self, accused: bool) {
        self.accused = accused;
    }

    /// What goes on pushing each state, per second; empty when nothing is known.
    pub(crate) fn push(&self) -> &[f64] {
        &self.push
    }

    /// Where the plant would be if sensors had said lately what they usually say, and what usually pushes it.
    pub(crate) fn reckoned(&self) -> Option<Start> {
        self.reckoning.start()
    }

    /// How far an output's mean is from what is measured.
    pub(super) fn bias(&self, signal: SignalId) -> f64 {
        self.bias.get(&signal).map_or(0.0, |bias| bias.abs())
    }

    /// Factor on standard deviations for a twin that last completed a slot at `clock`, where `stale` is too old; or why
    /// nothing it says counts.
    ///
    /// # Errors
    /// The reason in words.
    pub fn widening(&self, now: Timestamp, clock: Timestamp, stale: Duration) -> Result<f64, String> {
        let age_s = now.since(clock).as_secs_f64().max(0.0);
        if self.accused {
            return Err("a finding accuses the twin or its model".to_owned());
        }
        if now.since(clock) > stale {
            return Err(format!("the twin has heard nothing of the plant for {age_s:.0} s"));
        }
        if self.lost > 0 {
            return Err(format!(
                "the twin does not follow the plant: its innovations are, or were lately, {:.1} times as large as usual",
                (self.surprise / self.habit).max(0.0).sqrt()
            ));
        }
        let stale_s = stale.as_secs_f64().max(1e-9);
        Ok((1.0 + age_s / stale_s) * (self.surprise / self.habit).max(1.0).sqrt())
    }
}

/// Takes what corrected the twin's states in a slot, per second, into its mean.
pub(super) fn take_corrections(
    mean: &mut Vec<f64>,
    (twin, expected): (&[f64], &[f64]),
    span_s: f64,
    memory: f64,
) {
    mean.resize(twin.len(), 0.0);
    for ((mean, state), expected) in mean.iter_mut().zip(twin).zip(expected) {
        let correction = (state - expected) / span_s;
        if correction.is_finite() {
            *mean += (correction - *mean) / memory;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn residual(nis: f64) -> Residual<'static> {
        Residual {
            at: Timestamp::ZERO,
            signals: &[SignalId(3)],
            innovation: &[0.5],
            expected: &[],
            believed: &[],
            factor: &[],
            nis,
            dof: 2,
            log_likelihood: 0.0,
        }
    }

    #[test]
    fn surprise_and_age_widen_and_then_deny() {
        let (mut confidence, stale) = (Confidence::default(), Duration::from_secs(30));
        let at = Timestamp::from_secs;
        let width = |confidence: &Confidence, now| confidence.widening(at(now), at(0), stale);
        assert_eq!(width(&confidence, 0), Ok(1.0));
        assert_eq!(width(&confidence, 30), Ok(2.0));
        assert!(width(&confidence, 31).is_err());
        (0..FIRST).for_each(|_| confidence.observe(&residual(2.0)));
        assert!((confidence.bias(SignalId(3)) - 0.5).abs() < 1e-2);
        (0..30).for_each(|_| confidence.observe(&residual(16.0)));
        let wider = width(&confidence, 0).unwrap();
        assert!((1.2..2.0).contains(&wider), "innovations of 3 σ widen: {wider}");
        (0..60).for_each(|_| confidence.observe(&residual(400.0)));
        assert!(width(&confidence, 0).unwrap_err().contains("does not follow"));
        (0..AFTER + 20).for_each(|_| confidence.observe(&residual(2.0)));
        assert!(width(&confidence, 0).is_err(), "not at once again");
        (0..AFTER).for_each(|_| confidence.observe(&residual(2.0)));
        assert!(width(&confidence, 0).is_ok());
        confidence.observe(&residual(f64::NAN));
        assert!(width(&confidence, 0).is_err());
        confidence.reset();
        confidence.accuse(true);
        assert!(width(&confidence, 0).unwrap_err().contains("accuses"));
        confidence.accuse(false);
        assert_eq!(width(&confidence, 0), Ok(1.0));
    }

    #[test]
    fn a_model_that_is_always_a_little_wrong_is_usual() {
        let mut confidence = Confidence::default();
        (0..2_000).for_each(|_| confidence.observe(&residual(50.0)));
        let width = confidence.widening(Timestamp::ZERO, Timestamp::ZERO, Duration::from_secs(30));
        assert!((width.unwrap() - 1.0).abs() < 1e-3);
    }
}
