//! Interacting multiple models: several modes of a plant (or a fault each) at once, with the probability of each.
//!
//! Source: Blom, Bar-Shalom, *IEEE Trans. Automatic Control* 33 (1988) 780; Bar-Shalom, Li, Kirubarajan (2001), §11.6.6: mixing by
//! μᵢⱼ = πᵢⱼ μᵢ / Σᵢ πᵢⱼ μᵢ, filtering, μⱼ ∝ N(νⱼ; 0, Sⱼ) Σᵢ πᵢⱼ μᵢ. Mixed and combined covariances are sums of squares,
//! Σ μ (P + d dᵀ), built from factors, so they stay positive; the innovation's covariance is made the same way, for modes that an absurd
//! measurement has driven apart leave nothing of its noise in a sum. Likelihoods are logarithms with the largest taken out; a
//! probability never falls below 1e-12, so that no mode is ruled out for ever. What no mode finds possible tells none from another.
//!
//! When it lies: modes that predict the same are not told apart; with wrong noise the wide mode wins. Cost: r extended
//! filters and r² mixings of n³/2.

use super::packed;
use super::{ExtendedKalman, Innovation, Kalman};
use crate::{Error, Model};

const LEAST: f64 = 1e-12;

/// A bank of extended filters that share their states and exchange them by the probability of a change of mode.
#[derive(Clone, Debug)]
pub struct Interacting {
    filters: Vec<ExtendedKalman>,
    changes: Vec<f64>,
    probability: Vec<f64>,
    predicted: Vec<f64>,
    combined: Kalman,
    logs: Vec<f64>,
    rests: Vec<Vec<f64>>,
    factors: Vec<Vec<f64>>,
    used: Vec<usize>,
    innovation: Vec<f64>,
    rows: Vec<f64>,
    weights: Vec<f64>,
    factor: Vec<f64>,
    white: Vec<f64>,
    roots: Vec<f64>,
}

/// What an update of all modes says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture<'a> {
    /// Innovation of the mixture: its mean and covariance by the modes' probabilities before the update.
    pub innovation: Innovation<'a>,
    /// log Σⱼ cⱼ N(νⱼ; 0, Sⱼ), nats: what the mixture itself says, beside what its innovation taken as Gaussian does.
    pub log_likelihood: f64,
    /// Probability of each mode now.
    pub probability: &'a [f64],
}

impl Interacting {
    /// One filter per mode, all of the same states and outputs; `changes` (r × r by rows) holds the probability per step of
    /// going from mode i to mode j, `probability` that of each mode now. Both are normalised.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotPositive`] when a probability is below 0 or a row has none.
    pub fn new(filters: Vec<ExtendedKalman>, changes: &[f64], probability: &[f64]) -> Result<Self, Error> {
        let r = filters.len();
        for (what, expected, found) in
            [("mode changes", r * r, changes.len()), ("mode probabilities", r, probability.len())]
        {
            if found != expected || r == 0 {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        let (n, m) = (filters[0].kalman().order(), filters[0].channels());
        if let Some(other) = filters.iter().find(|other| other.kalman().order() != n || other.channels() != m)
        {
            return Err(Error::Dimension {
                what: "states of a mode",
                expected: n,
                found: other.kalman().order(),
            });
        }
        let (mut changes, mut probability) = (changes.to_vec(), probability.to_vec());
        for (index, row) in changes.chunks_exact_mut(r).chain([&mut probability[..]]).enumerate() {
            let sum: f64 = row.iter().sum();
            if !(row.iter().all(|entry| *entry >= 0.0) && sum > 0.0 && sum.is_finite()) {
                return Err(Error::NotPositive { what: "mode probability", index });
            }
            row.iter_mut().for_each(|entry| *entry /= sum);
        }
        let combined = filters[0].kalman().clone();
        let mut bank = Self {
            changes,
            predicted: probability.clone(),
            probability,
            combined,
            logs: vec![0.0; r],
            rests: vec![Vec::with_capacity(m); r],
            factors: vec![Vec::with_capacity(m * (m + 1) / 2); r],
            used: Vec::with_capacity(m),
            innovation: Vec::with_capacity(m),
            rows: Vec::with_capacity(m * r * (m + 1)),
            weights: Vec::with_capacity(r * (m + 1)),
            factor: Vec::with_capacity(m * (m + 1) / 2),
            white: Vec::with_capacity(m),
            roots: Vec::with_capacity(m),
            filters,
        };
        bank.combine();
        Ok(bank)
    }

    /// The modes' own filters.
    #[must_use]
    pub fn modes(&self) -> &[ExtendedKalman] {
        &self.filters
    }

    /// Probability of each mode.
    #[must_use]
    pub fn probability(&self) -> &[f64] {
        &self.probability
    }

    /// Mean and covariance of the mixture.
    #[must_use]
    pub fn kalman(&self) -> &Kalman {
        &self.combined
    }

    /// Mixes the modes, then moves each by its own model; arguments as of [`ExtendedKalman::predict`].
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of models, and as [`ExtendedKalman::predict`].
    pub fn predict(
        &mut self,
        models: &[&dyn Model],
        time_s: f64,
        step_s: f64,
        largest_step_s: f64,
        input: &[f64],
    ) -> Result<(), Error> {
        let r = self.filters.len();
        if models.len() != r {
            return Err(Error::Dimension { what: "models of modes", expected: r, found: models.len() });
        }
        let before: Vec<Kalman> = self.filters.iter().map(|filter| filter.kalman().clone()).collect();
        for j in 0..r {
            self.predicted[j] = (0..r).map(|i| self.changes[i * r + j] * self.probability[i]).sum();
        }
        for j in 0..r {
            let total = self.predicted[j];
            if total > 0.0 {
                let share = |i: usize| self.changes[i * r + j] * self.probability[i] / total;
                let parts: Vec<(f64, &Kalman)> =
                    before.iter().enumerate().map(|(i, from)| (share(i), from)).collect();
                mix(&parts, self.filters[j].kalman_mut());
            }
        }
        for (filter, model) in self.filters.iter_mut().zip(models) {
            filter.predict(*model, time_s, step_s, largest_step_s, input)?;
        }
        self.probability.copy_from_slice(&self.predicted);
        self.combine();
        Ok(())
    }

    /// Updates each mode and its probability; arguments as of [`ExtendedKalman::update`].
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of models, and as [`ExtendedKalman::update`]; [`Error::NotFinite`] when the modes
    /// cannot predict the same channels.
    pub fn update(
        &mut self,
        models: &[&dyn Model],
        time_s: f64,
        input: &[f64],
        measured: &[Option<f64>],
        variance: &[f64],
    ) -> Result<Mixture<'_>, Error> {
        let r = self.filters.len();
        if models.len() != r {
            return Err(Error::Dimension { what: "models of modes", expected: r, found: models.len() });
        }
        let predicted = self.probability.clone();
        for (mode, (filter, model)) in self.filters.iter_mut().zip(models).enumerate() {
            let found = filter.update(*model, time_s, input, measured, variance)?;
            if mode == 0 {
                self.used.clear();
                self.used.extend_from_slice(found.used);
            } else if found.used != self.used {
                return Err(Error::NotFinite { what: "output of a mode", time_s });
            }
            self.logs[mode] = found.log_likelihood();
            self.rests[mode].clear();
            self.rests[mode].extend_from_slice(found.innovation);
            self.factors[mode].clear();
            self.factors[mode].extend_from_slice(found.factor);
        }
        // Of the modes that there may be: one that no change leads to says nothing.
        let modes = || self.logs.iter().zip(&predicted);
        let possible = modes().filter(|(_, before)| **before > 0.0);
        let largest = possible.map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
        let weigh = |log: f64, before: f64| before * libm::exp((log - largest).min(0.0));
        let believed = largest > f64::NEG_INFINITY;
        let total: f64 = if believed { modes().map(|(log, before)| weigh(*log, *before)).sum() } else { 0.0 };
        let mut sum = 0.0;
        for ((probability, log), before) in self.probability.iter_mut().zip(&self.logs).zip(&predicted) {
            *probability = if believed { weigh(*log, *before) / total } else { *before }.max(LEAST);
            sum += *probability;
        }
        self.probability.iter_mut().for_each(|probability| *probability /= sum);
        self.combine();
        self.innovate(&predicted)?;
        let nis = self.white.iter().map(|white| white * white).sum();
        let (used, rest) = (&self.used[..], &self.innovation[..]);
        Ok(Mixture {
            innovation: Innovation::of(used, rest, &self.factor, &self.white, nis, &self.roots),
            log_likelihood: if self.used.is_empty() { 0.0 } else { largest + libm::log(total) },
            probability: &self.probability,
        })
    }

    fn combine(&mut self) {
        let filters = self.filters.iter().map(ExtendedKalman::kalman);
        let parts: Vec<(f64, &Kalman)> = self.probability.iter().copied().zip(filters).collect();
        mix(&parts, &mut self.combined);
    }

    /// Mean and covariance of the modes' innovations by the probabilities before.
    fn innovate(&mut self, predicted: &[f64]) -> Result<(), Error> {
        let count = self.used.len();
        let mean = |row: usize| -> f64 {
            self.rests.iter().zip(predicted).map(|(rest, weight)| weight * rest[row]).sum()
        };
        self.innovation.clear();
        self.innovation.extend((0..count).map(mean));
        // A row a channel: of each mode the row of its factor, then how far its own mean lies from the mixture's.
        let width = self.factors.len() * (count + 1);
        self.rows.clear();
        self.weights.clear();
        self.weights.extend(predicted.iter().flat_map(|weight| core::iter::repeat_n(*weight, count + 1)));
        for (row, mean) in self.innovation.iter().enumerate() {
            let start = row * (row + 1) / 2;
            for (factor, rest) in self.factors.iter().zip(&self.rests) {
                self.rows.extend_from_slice(&factor[start..=start + row]);
                self.rows.extend(core::iter::repeat_n(0.0, count - row - 1));
                self.rows.push(rest[row] - mean);
            }
        }
        self.factor.clear();
        self.factor.resize(count * (count + 1) / 2, 0.0);
        packed::of_rows(count, width, &mut self.rows, &self.weights, &mut self.factor)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: self.used[row] })?;
        self.white.clear();
        self.white.extend_from_slice(&self.innovation);
        packed::solve(&self.factor, &mut self.white);
        self.roots.clear();
        self.roots.extend((0..count).map(|row| self.factor[row * (row + 1) / 2 + row]));
        Ok(())
    }
}

/// Mean and covariance of a weighted mixture.
fn mix(parts: &[(f64, &Kalman)], out: &mut Kalman) {
    let n = out.order();
    let mut mean = vec![0.0; n];
    for (weight, part) in parts {
        mean.iter_mut().zip(part.mean()).for_each(|(mean, part)| *mean += weight * part);
    }
    let mut columns = vec![0.0; parts.len() * n * (n + 1)];
    for ((weight, part), columns) in parts.iter().zip(columns.chunks_exact_mut((n * (n + 1)).max(1))) {
        let (own, apart) = columns.split_at_mut(n * n);
        part.root(own);
        for ((apart, part), mean) in apart.iter_mut().zip(part.mean()).zip(&mean) {
            *apart = part - mean;
        }
        columns.iter_mut().for_each(|entry| *entry *= weight.sqrt());
    }
    out.set_sum_of_squares([&columns, &[]], &vec![0.0; n * n], false);
    out.mean_mut().copy_from_slice(&mean);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeBase;
    use crate::models::linear::{Linear, Matrices};
    use crate::noise::Noise;

    fn model(a: f64) -> Linear {
        let names = |name: &str| vec![name.to_owned()];
        Matrices {
            base: TimeBase::Discrete { step_s: 1.0 },
            states: names("x"),
            inputs: names("u"),
            outputs: names("y"),
            a: vec![vec![a]],
            b: vec![vec![1.0]],
            c: vec![vec![1.0]],
            d: vec![],
            x0: vec![],
            u0: vec![],
            y0: vec![],
        }
        .model()
        .unwrap()
    }

    fn filter(model: &Linear) -> ExtendedKalman {
        ExtendedKalman::new(model, &[0.0], &[1.0], &[0.1]).unwrap()
    }

    /// A valve that leaks away half of the level from step 100 to 200: the mode is found, and left again.
    #[test]
    fn the_mode_is_found_soon_after_it_changes() {
        let (sound, leaking) = (model(0.95), model(0.5));
        let models: [&dyn Model; 2] = [&sound, &leaking];
        let mut bank =
            Interacting::new(vec![filter(&sound), filter(&leaking)], &[0.98, 0.02, 0.02, 0.98], &[1.0, 1.0])
                .unwrap();
        let mut noise = Noise::new(1, 0);
        let (mut x, mut wrong) = (0.0, 0);
        for step in 0..300 {
            let leaks = (100..200).contains(&step);
            x = if leaks { 0.5 } else { 0.95 } * x + 1.0 + 0.1 * noise.gaussian();
            bank.predict(&models, 0.0, 1.0, 1.0, &[1.0]).unwrap();
            let found =
                bank.update(&models, 0.0, &[1.0], &[Some(x + 0.2 * noise.gaussian())], &[0.04]).unwrap();
            assert!(found.log_likelihood.is_finite() && found.innovation.dof() == 1);
            assert!((found.probability.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let likely = found.probability[1] > 0.5;
            wrong += usize::from(
                step > 20 && likely != leaks && !(100..106).contains(&step) && !(200..206).contains(&step),
            );
            assert!(bank.kalman().factors().1.iter().all(|d| *d > 0.0));
        }
        assert!(wrong < 12, "{wrong}");
    }

    /// Nothing leads to the second mode: what it finds more likely does not matter. What no mode can believe changes nothing.
    #[test]
    fn a_mode_that_cannot_be_and_a_measurement_that_cannot_be_leave_numbers() {
        let (sound, leaking) = (model(0.95), model(0.5));
        let models: [&dyn Model; 2] = [&sound, &leaking];
        let new = |changes: &[f64]| {
            Interacting::new(vec![filter(&sound), filter(&leaking)], changes, &[1.0, 0.0]).unwrap()
        };
        let mut bank = new(&[1.0, 0.0, 1.0, 0.0]);
        bank.predict(&models, 0.0, 1.0, 1.0, &[1.0]).unwrap();
        let apart = bank.modes()[1].kalman().mean()[0] - 1e3;
        let found = bank.update(&models, 0.0, &[1.0], &[Some(apart)], &[1e-6]).unwrap();
        assert!(found.log_likelihood.is_finite() && found.probability[0] > 0.999, "{found:?}");
        let mut bank = new(&[0.9, 0.1, 0.1, 0.9]);
        bank.predict(&models, 0.0, 1.0, 1.0, &[1.0]).unwrap();
        let before = bank.probability().to_vec();
        let found = bank.update(&models, 0.0, &[1.0], &[Some(1e170)], &[1e-6]).unwrap();
        assert_eq!(found.log_likelihood, f64::NEG_INFINITY);
        assert!(found.probability.iter().zip(before).all(|(after, before)| (after - before).abs() < 1e-9));
    }

    /// Modes that are the same model are one filter.
    #[test]
    fn equal_modes_are_the_single_filter() {
        let same = model(0.9);
        let models: [&dyn Model; 3] = [&same, &same, &same];
        let mut single = filter(&same);
        let mut bank = Interacting::new(vec![filter(&same); 3], &[1.0; 9], &[1.0, 2.0, 3.0]).unwrap();
        for z in [0.4, 1.9, -0.3, 0.0] {
            bank.predict(&models, 0.0, 1.0, 1.0, &[0.2]).unwrap();
            single.predict(&same, 0.0, 1.0, 1.0, &[0.2]).unwrap();
            let expected = single.update(&same, 0.0, &[0.2], &[Some(z)], &[0.3]).unwrap();
            let found = bank.update(&models, 0.0, &[0.2], &[Some(z)], &[0.3]).unwrap();
            assert!((found.log_likelihood - expected.log_likelihood()).abs() < 1e-12);
            assert!((found.innovation.nis - expected.nis).abs() < 1e-12);
            assert!((bank.kalman().mean()[0] - single.kalman().mean()[0]).abs() < 1e-12);
            assert!((bank.kalman().variance(&[1.0]) - single.kalman().variance(&[1.0])).abs() < 1e-12);
        }
        assert_eq!(bank.modes().len(), 3);
        assert!((bank.probability()[0] - 1.0 / 3.0).abs() < 1e-9, "they mix evenly");
    }

    #[test]
    fn what_are_no_probabilities_is_refused() {
        let one = model(0.9);
        let new =
            |changes: &[f64], probability: &[f64]| Interacting::new(vec![filter(&one)], changes, probability);
        assert!(new(&[1.0], &[1.0]).is_ok());
        assert!(matches!(new(&[-1.0], &[1.0]), Err(Error::NotPositive { .. })));
        assert!(matches!(new(&[1.0], &[0.0]), Err(Error::NotPositive { .. })));
        assert!(matches!(new(&[1.0], &[f64::NAN]), Err(Error::NotPositive { .. })));
        assert!(matches!(new(&[1.0, 1.0], &[1.0]), Err(Error::Dimension { .. })));
        assert!(Interacting::new(Vec::new(), &[], &[]).is_err());
        let mut bank = new(&[1.0], &[1.0]).unwrap();
        assert!(bank.predict(&[], 0.0, 1.0, 1.0, &[0.0]).is_err());
    }
}
