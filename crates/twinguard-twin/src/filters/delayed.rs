//! Measurements that come late or out of order, taken in as if they had been on time.
//!
//! Source: Bar-Shalom, *IEEE Trans. Aerospace and Electronic Systems* 38 (2002) 769, §I: reordering and reprocessing gives the
//! exact solution for a lag of any length, at the cost of memory and repeated steps; retrodiction saves the steps and is exact only
//! for one. Here the exact one: the last steps are kept with the state before each, a late value is put where it belongs, and
//! what followed runs again.
//!
//! A value is put into the step whose time is nearest. Cost of a late value: one filter step for each step since; memory
//! n² + 2 n + m + inputs numbers a step.

use std::collections::VecDeque;

use super::{ExtendedKalman, Innovation};
use crate::{Error, Model};

#[derive(Clone, Debug)]
struct Step {
    from_s: f64,
    step_s: f64,
    mean: Vec<f64>,
    u: Vec<f64>,
    d: Vec<f64>,
    input: Vec<f64>,
    measured: Vec<Option<f64>>,
}

/// An extended filter that remembers its last steps.
#[derive(Clone, Debug)]
pub struct Delayed {
    filter: ExtendedKalman,
    variance: Vec<f64>,
    largest_step_s: f64,
    time_s: f64,
    steps: VecDeque<Step>,
    keep: usize,
}

impl Delayed {
    /// Around a filter that stands at `time_s`; `keep` steps can be gone back, at most 100,000. Measurement noise is `variance`,
    /// a continuous model moves in steps of at most `largest_step_s`.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of variances than the filter has outputs, [`Error::NotPositive`].
    pub fn new(
        filter: ExtendedKalman,
        time_s: f64,
        variance: &[f64],
        largest_step_s: f64,
        keep: usize,
    ) -> Result<Self, Error> {
        let expected = filter.channels();
        if variance.len() != expected {
            return Err(Error::Dimension { what: "noise variances", expected, found: variance.len() });
        }
        if let Some(index) = variance.iter().position(|variance| !(*variance > 0.0 && variance.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        let keep = keep.min(100_000);
        Ok(Self { filter, variance: variance.to_vec(), largest_step_s, time_s, steps: VecDeque::new(), keep })
    }

    /// The filter as of now.
    #[must_use]
    pub fn filter(&self) -> &ExtendedKalman {
        &self.filter
    }

    /// Now, in the caller's seconds.
    #[must_use]
    pub fn time_s(&self) -> f64 {
        self.time_s
    }

    /// Moves by `step_s` under `input` and takes in what has arrived for the new time.
    ///
    /// # Errors
    /// As [`ExtendedKalman::predict`] and [`ExtendedKalman::update`].
    pub fn step(
        &mut self,
        model: &dyn Model,
        step_s: f64,
        input: &[f64],
        measured: &[Option<f64>],
    ) -> Result<Innovation<'_>, Error> {
        if measured.len() != self.variance.len() {
            let (what, expected) = ("measurements", self.variance.len());
            return Err(Error::Dimension { what, expected, found: measured.len() });
        }
        let (u, d) = self.filter.kalman().factors();
        let step = Step {
            from_s: self.time_s,
            step_s,
            mean: self.filter.kalman().mean().to_vec(),
            u: u.to_vec(),
            d: d.to_vec(),
            input: input.to_vec(),
            measured: measured.to_vec(),
        };
        self.filter.predict(model, self.time_s, step_s, self.largest_step_s, input)?;
        self.time_s += step_s;
        if self.keep > 0 {
            if self.steps.len() == self.keep {
                self.steps.pop_front();
            }
            self.steps.push_back(step);
        }
        self.filter.update(model, self.time_s, input, measured, &self.variance)
    }

    /// Puts a late value of a channel into the step nearest to its time, replacing what stood there, and runs again from there.
    /// Gives the number of steps that ran again.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a channel that is not there, [`Error::NotFinite`] for what is no number; [`Error::Unordered`] for a
    /// time that no kept step is near: nothing has then changed. As [`ExtendedKalman::predict`] while running again.
    pub fn late(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        channel: usize,
        value: f64,
    ) -> Result<usize, Error> {
        if channel >= self.variance.len() {
            return Err(Error::Dimension { what: "channel", expected: self.variance.len(), found: channel });
        }
        if !(value.is_finite() && time_s.is_finite()) {
            return Err(Error::NotFinite { what: "late measurement", time_s });
        }
        let near = |step: &Step| (time_s - step.from_s - step.step_s).abs() <= 0.5 * step.step_s.abs();
        let Some(first) = self.steps.iter().rposition(near) else {
            return Err(Error::Unordered {
                what: "a late value is older than all steps that are kept, or newer",
            });
        };
        self.steps[first].measured[channel] = Some(value);
        let Step { mean, u, d, .. } = &self.steps[first];
        self.filter.kalman_mut().set_factors(mean, u, d)?;
        for step in self.steps.iter_mut().skip(first) {
            let (u, d) = self.filter.kalman().factors();
            step.mean.copy_from_slice(self.filter.kalman().mean());
            step.u.copy_from_slice(u);
            step.d.copy_from_slice(d);
            self.filter.predict(model, step.from_s, step.step_s, self.largest_step_s, &step.input)?;
            let now = step.from_s + step.step_s;
            self.filter.update(model, now, &step.input, &step.measured, &self.variance)?;
        }
        Ok(self.steps.len() - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::quadruple_tank::MODEL;

    /// However values are delayed and shuffled, the end is the same to the bit.
    #[test]
    fn what_comes_late_counts_as_if_it_had_come_in_time() {
        let model = MODEL.model(&[]).unwrap();
        let model = &*model;
        let start: Vec<f64> = MODEL.states.iter().map(|state| state.initial).collect();
        let filter = || ExtendedKalman::new(model, &start, &[0.5; 4], &[0.05; 4]).unwrap();
        let new = || Delayed::new(filter(), 0.0, &[0.01; 6], 1.0, 8).unwrap();
        let row = |first, second| [first, second, None, None, None, None];
        let z = |step: i32, channel: usize| 6.1 + 0.2 * f64::sin(f64::from(step) + channel as f64);
        let (mut in_time, mut late) = (new(), new());
        for step in 1..=20 {
            in_time.step(model, 1.0, &[3.0, 3.1], &row(Some(z(step, 0)), Some(z(step, 1)))).unwrap();
            // Channel 1 of steps that three divides comes five steps later.
            let second = (step % 3 != 0).then(|| z(step, 1));
            late.step(model, 1.0, &[3.0, 3.1], &row(Some(z(step, 0)), second)).unwrap();
            if step > 5 && (step - 5) % 3 == 0 {
                let ran = late.late(model, f64::from(step - 5) + 0.2, 1, z(step - 5, 1)).unwrap();
                assert_eq!(ran, 6);
            }
        }
        assert_eq!(late.late(model, 18.0, 1, z(18, 1)).unwrap(), 3);
        assert_eq!(in_time.filter().kalman().mean(), late.filter().kalman().mean());
        assert_eq!(in_time.filter().kalman().factors(), late.filter().kalman().factors());
        assert_eq!(late.time_s(), 20.0);

        let before = late.filter().kalman().mean().to_vec();
        assert!(matches!(late.late(model, 3.0, 0, 1.0), Err(Error::Unordered { .. })), "not kept any more");
        assert!(matches!(late.late(model, 25.0, 0, 1.0), Err(Error::Unordered { .. })), "not there yet");
        assert!(late.late(model, 19.0, 6, 1.0).is_err() && late.late(model, 19.0, 0, f64::NAN).is_err());
        assert!(late.step(model, 1.0, &[3.0, 3.0], &[None]).is_err());
        assert_eq!(before, late.filter().kalman().mean());
        assert!(Delayed::new(filter(), 0.0, &[0.0, 1.0], 1.0, 8).is_err());
        assert!(Delayed::new(filter(), 0.0, &[1.0], 1.0, 8).is_err());
    }
}
