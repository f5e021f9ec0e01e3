//! The linear, time-invariant Kalman filter.
//!
//! Source: R. E. Kalman, *J. Basic Eng.* 82 (1960) 35–45; notation of Bar-Shalom, Li, Kirubarajan (2001), §5.2:
//! x⁺ = F x + w, w ~ N(0, Q); z = H x + v, v ~ N(0, diag R). A step predicts, then updates.

use super::{Innovation, Kalman};
use crate::Error;

/// A filter with fixed matrices.
#[derive(Clone, Debug)]
pub struct LinearKalman {
    kalman: Kalman,
    transition: Vec<f64>,
    process: Vec<f64>,
    observation: Vec<f64>,
    noise: Vec<f64>,
}

impl LinearKalman {
    /// From F (n × n), Q (n × n), H (m × n), all row by row, the m noise variances R, x̂₀ and P₀ (n × n).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] for P₀ and for noise that is not positive.
    pub fn new(
        transition: &[f64],
        process: &[f64],
        observation: &[f64],
        noise: &[f64],
        mean: &[f64],
        covariance: &[f64],
    ) -> Result<Self, Error> {
        let (n, m) = (mean.len(), noise.len());
        let sizes = [
            ("transition entries", n * n, transition.len()),
            ("process covariances", n * n, process.len()),
            ("observation entries", m * n, observation.len()),
        ];
        for (what, expected, found) in sizes {
            if found != expected {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        if let Some(index) = noise.iter().position(|noise| !(*noise > 0.0 && noise.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        if transition.iter().chain(process).chain(observation).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "filter matrix", time_s: 0.0 });
        }
        let columns = (0..n * n).map(|at| transition[at % n * n + at / n]).collect();
        Ok(Self {
            kalman: Kalman::new(mean, covariance, m)?,
            transition: columns,
            process: process.to_vec(),
            observation: observation.to_vec(),
            noise: noise.to_vec(),
        })
    }

    /// The state behind it.
    #[must_use]
    pub fn kalman(&self) -> &Kalman {
        &self.kalman
    }

    pub(super) fn kalman_mut(&mut self) -> &mut Kalman {
        &mut self.kalman
    }

    /// F by columns and Q.
    pub(super) fn matrices(&self) -> (&[f64], &[f64]) {
        (&self.transition, &self.process)
    }

    /// x̂ ← F x̂, P ← F P Fᵀ + Q.
    pub fn predict(&mut self) {
        self.kalman.predict_linear(&self.transition, &self.process);
    }

    /// Takes in one measurement per channel; `None` drops out.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a wrong number of channels.
    pub fn update(&mut self, measured: &[Option<f64>]) -> Result<Innovation<'_>, Error> {
        self.check(measured)?;
        self.kalman.update_linear(None, measured, &self.observation, &self.noise)
    }

    fn check(&self, measured: &[Option<f64>]) -> Result<(), Error> {
        let (expected, found) = (self.noise.len(), measured.len());
        if found == expected {
            Ok(())
        } else {
            Err(Error::Dimension { what: "measurements", expected, found })
        }
    }

    /// [`predict`](Self::predict), then [`update`](Self::update).
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn step(&mut self, measured: &[Option<f64>]) -> Result<Innovation<'_>, Error> {
        self.check(measured)?;
        let predict = Some((&self.transition[..], &self.process[..]));
        self.kalman.update_linear(predict, measured, &self.observation, &self.noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_averaged() {
        let mut filter = LinearKalman::new(&[1.0], &[0.0], &[1.0], &[1.0], &[0.0], &[1e12]).unwrap();
        for measured in [1.0, 2.0, 3.0, 6.0] {
            filter.step(&[Some(measured)]).unwrap();
        }
        assert!((filter.kalman().mean()[0] - 3.0).abs() < 1e-9);
        assert!((filter.kalman().variance(&[1.0]) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn sizes_are_checked() {
        let new = |noise: &[f64]| LinearKalman::new(&[1.0], &[0.0], &[1.0], noise, &[0.0], &[1.0]);
        assert!(matches!(new(&[1.0, 1.0]), Err(Error::Dimension { what: "observation entries", .. })));
        assert!(matches!(new(&[0.0]), Err(Error::NotPositive { .. })));
        assert!(matches!(new(&[1.0]).unwrap().step(&[]), Err(Error::Dimension { .. })));
    }
}
