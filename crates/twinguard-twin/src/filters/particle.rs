//! The particle filter: a cloud of states for plants that are too bent, or of more than one mind, for a mean and a covariance.
//!
//! Sources: Gordon, Salmond, Smith, *IEE Proc. F* 140 (1993) 107 (bootstrap filter); systematic resampling and the effective
//! number of particles of Arulampalam et al., *IEEE Trans. Signal Processing* 50 (2002) 174, §V. Weights are logarithms with
//! the largest taken out, so that nothing underflows; what is random comes from a seed.
//!
//! When it lies: the error falls with the root of the number of particles and grows fast with the order (above about five
//! states prefer another filter); with little process noise the cloud grows thin, which [`Particles::effective`] tells.
//! Cost: one f and one h a particle and step.

use super::kalman::Innovation;
use super::packed;
use crate::Error;
use crate::noise::Noise;

/// Most numbers in a cloud: particles times order.
const MOST: usize = 1 << 24;

/// A weighted cloud of states.
#[derive(Clone, Debug)]
pub struct Particles {
    order: usize,
    channels: usize,
    states: Vec<f64>,
    next: Vec<f64>,
    /// Normalised: they sum to 1.
    weights: Vec<f64>,
    logs: Vec<f64>,
    outputs: Vec<f64>,
    mean: Vec<f64>,
    noise: Noise,
    used: Vec<usize>,
    innovation: Vec<f64>,
    rows: Vec<f64>,
    rows_weights: Vec<f64>,
    factor: Vec<f64>,
    white: Vec<f64>,
    roots: Vec<f64>,
}

impl Particles {
    /// `count` particles around `mean` with the standard deviations `sigma`, measuring at most `channels` at once.
    ///
    /// # Errors
    /// [`Error::Dimension`] for no particles, too many, or deviations of another number; [`Error::NotPositive`] for a
    /// deviation below 0, [`Error::NotFinite`].
    pub fn new(mean: &[f64], sigma: &[f64], count: usize, channels: usize, seed: u64) -> Result<Self, Error> {
        let n = mean.len();
        if sigma.len() != n {
            return Err(Error::Dimension {
                what: "deviations of the start",
                expected: n,
                found: sigma.len(),
            });
        }
        let most = MOST / n.max(channels).max(1);
        if count == 0 || count > most {
            return Err(Error::Dimension { what: "particles", expected: most, found: count });
        }
        if let Some(index) = sigma.iter().position(|sigma| !(*sigma >= 0.0 && sigma.is_finite())) {
            return Err(Error::NotPositive { what: "initial deviation", index });
        }
        if mean.iter().any(|mean| !mean.is_finite()) {
            return Err(Error::NotFinite { what: "initial state", time_s: 0.0 });
        }
        let mut noise = Noise::new(seed, 0);
        let states: Vec<f64> =
            (0..count * n).map(|at| mean[at % n] + sigma[at % n] * noise.gaussian()).collect();
        let mut cloud = Self {
            order: n,
            channels,
            next: states.clone(),
            states,
            weights: vec![1.0 / count as f64; count],
            logs: vec![0.0; count],
            outputs: vec![0.0; count * channels],
            mean: vec![0.0; n],
            noise,
            used: Vec::with_capacity(channels),
            innovation: Vec::with_capacity(channels),
            rows: Vec::new(),
            rows_weights: Vec::new(),
            factor: vec![0.0; channels * (channels + 1) / 2],
            white: Vec::with_capacity(channels),
            roots: Vec::with_capacity(channels),
        };
        cloud.average();
        Ok(cloud)
    }

    /// Weighted mean of the cloud.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Writes the weighted covariance (n × n).
    pub fn covariance(&self, out: &mut [f64]) {
        out.fill(0.0);
        for (state, weight) in self.particles() {
            for (i, row) in out.chunks_exact_mut(self.order.max(1)).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry += weight * (state[i] - self.mean[i]) * (state[j] - self.mean[j]);
                }
            }
        }
    }

    /// The particles with their weights, which sum to 1.
    pub fn particles(&self) -> impl ExactSizeIterator<Item = (&[f64], f64)> {
        self.states.chunks_exact(self.order.max(1)).zip(self.weights.iter().copied())
    }

    /// Effective number of particles, 1 / Σ w².
    #[must_use]
    pub fn effective(&self) -> f64 {
        1.0 / self.weights.iter().map(|weight| weight * weight).sum::<f64>()
    }

    /// Moves every particle by `f` and its own noise of the standard deviations `sigma`.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotFinite`] when no particle stays within the finite numbers (those that leave them
    /// are dropped); the cloud is then as it was.
    pub fn predict_with(
        &mut self,
        mut f: impl FnMut(&[f64], &mut [f64]),
        sigma: &[f64],
    ) -> Result<(), Error> {
        let n = self.order;
        if sigma.len() != n {
            return Err(Error::Dimension { what: "process deviations", expected: n, found: sigma.len() });
        }
        let mut total = 0.0;
        let pairs = self.states.chunks_exact(n.max(1)).zip(self.next.chunks_exact_mut(n.max(1)));
        for (((state, next), weight), log) in pairs.zip(&self.weights).zip(&mut self.logs) {
            f(state, next);
            next.iter_mut().zip(sigma).for_each(|(next, sigma)| *next += sigma * self.noise.gaussian());
            let sound = next.iter().all(|next| next.is_finite());
            *log = if sound { *weight } else { 0.0 };
            total += *log;
        }
        if total <= 0.0 {
            return Err(Error::NotFinite { what: "every particle", time_s: 0.0 });
        }
        for (weight, kept) in self.weights.iter_mut().zip(&self.logs) {
            *weight = kept / total;
        }
        for (state, (next, _)) in self
            .states
            .chunks_exact_mut(n.max(1))
            .zip(self.next.chunks_exact(n.max(1)).zip(&self.logs))
            .filter(|(_, (_, kept))| **kept > 0.0)
        {
            state.copy_from_slice(next);
        }
        self.average();
        Ok(())
    }

    /// Weighs every particle by N(z; h(x), diag R), and draws a new cloud when fewer than half are effective.
    ///
    /// The innovation is that of the cloud's mean prediction, its factor that of the cloud's covariance and the noise;
    /// what it returns beside it is the log-likelihood of the cloud itself, log Σ w N(z; h(x), R).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotPositive`] for noise that is not positive; [`Error::Lost`] when no particle is within
    /// 38 standard deviations (√1444, where a density leaves the numbers) of what was measured: the cloud is then as it was.
    pub fn update_with(
        &mut self,
        mut h: impl FnMut(&[f64], &mut [f64]),
        measured: &[Option<f64>],
        variance: &[f64],
        difference: impl Fn(f64, f64, usize) -> f64,
    ) -> Result<(Innovation<'_>, f64), Error> {
        let (n, m) = (self.order, self.channels);
        if measured.len() != m || variance.len() != m {
            let found = if measured.len() == m { variance.len() } else { measured.len() };
            return Err(Error::Dimension { what: "channels", expected: m, found });
        }
        if let Some(index) = variance.iter().position(|variance| !(*variance > 0.0 && variance.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        for (state, output) in self.states.chunks_exact(n.max(1)).zip(self.outputs.chunks_exact_mut(m.max(1)))
        {
            h(state, output);
        }
        self.used.clear();
        self.used.extend((0..m).filter(|channel| measured[*channel].is_some_and(f64::is_finite)));
        let rest = |channel: usize, predicted: f64| {
            measured[channel].map_or(0.0, |measured| difference(measured, predicted, channel))
        };
        let ln_2pi = 1.837_877_066_409_345_3;
        let constant: f64 =
            self.used.iter().map(|channel| -0.5 * (ln_2pi + libm::log(variance[*channel]))).sum();
        let (mut largest, mut nearest) = (f64::NEG_INFINITY, f64::INFINITY);
        for ((output, log), weight) in
            self.outputs.chunks_exact(m.max(1)).zip(&mut self.logs).zip(&self.weights)
        {
            let square: f64 = self
                .used
                .iter()
                .map(|channel| rest(*channel, output[*channel]).powi(2) / variance[*channel])
                .sum();
            let square = if square.is_nan() { f64::INFINITY } else { square };
            nearest = if *weight > 0.0 { nearest.min(square) } else { nearest };
            *log = if *weight > 0.0 { libm::log(*weight) - 0.5 * square } else { f64::NEG_INFINITY };
            largest = largest.max(*log);
        }
        if nearest > 1444.0 {
            return Err(Error::Lost { what: "every particle", nis: nearest });
        }
        self.innovate(rest, variance)?;
        let total: f64 = self.logs.iter().map(|log| libm::exp(log - largest)).sum();
        for (weight, log) in self.weights.iter_mut().zip(&self.logs) {
            *weight = libm::exp(log - largest) / total;
        }
        if self.effective() < 0.5 * self.weights.len() as f64 {
            self.resample();
        }
        self.average();
        let nis = self.white.iter().map(|white| white * white).sum();
        let count = self.used.len();
        let factor = &self.factor[..count * (count + 1) / 2];
        let found = Innovation::of(&self.used, &self.innovation, factor, &self.white, nis, &self.roots);
        Ok((found, if count == 0 { 0.0 } else { largest + libm::log(total) + constant }))
    }

    /// Innovation and factor from the cloud before it is weighed.
    fn innovate(&mut self, rest: impl Fn(usize, f64) -> f64, variance: &[f64]) -> Result<(), Error> {
        let m = self.channels.max(1);
        self.innovation.clear();
        for channel in &self.used {
            let each = self.outputs.chunks_exact(m).zip(&self.weights);
            self.innovation
                .push(each.map(|(output, weight)| weight * rest(*channel, output[*channel])).sum());
        }
        // A row a channel: how far each particle's output lies from the mean, then its noise; a sum may lose the noise.
        let (count, width) = (self.used.len(), self.weights.len() + self.used.len());
        self.rows.clear();
        self.rows.reserve(count * width);
        self.rows_weights.clear();
        self.rows_weights.extend_from_slice(&self.weights);
        for (row, (channel, mean)) in self.used.iter().zip(&self.innovation).enumerate() {
            let outputs = self.outputs.iter().skip(*channel).step_by(m);
            self.rows.extend(outputs.map(|output| rest(*channel, *output) - mean));
            self.rows.extend((0..count).map(|other| f64::from(u8::from(other == row))));
            self.rows_weights.push(variance[*channel]);
        }
        packed::of_rows(count, width, &mut self.rows, &self.rows_weights, &mut self.factor)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: self.used[row] })?;
        self.white.clear();
        self.white.extend_from_slice(&self.innovation);
        packed::solve(&self.factor, &mut self.white);
        self.roots.clear();
        self.roots.extend((0..count).map(|row| self.factor[row * (row + 1) / 2 + row]));
        Ok(())
    }

    /// One random number places a comb of equal teeth over the weights.
    fn resample(&mut self) {
        let n = self.order;
        let count = self.weights.len();
        let start = self.noise.uniform();
        let (mut at, mut sum) = (0, self.weights[0]);
        for (tooth, next) in self.next.chunks_exact_mut(n.max(1)).enumerate() {
            let place = (tooth as f64 + start) / count as f64;
            while sum < place && at + 1 < count {
                at += 1;
                sum += self.weights[at];
            }
            next.copy_from_slice(&self.states[at * n..][..n]);
        }
        core::mem::swap(&mut self.states, &mut self.next);
        self.weights.fill(1.0 / count as f64);
    }

    fn average(&mut self) {
        self.mean.fill(0.0);
        for (state, weight) in self.states.chunks_exact(self.order.max(1)).zip(&self.weights) {
            self.mean.iter_mut().zip(state).for_each(|(mean, state)| *mean += weight * state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::LinearKalman;

    fn plain(measured: f64, predicted: f64, _: usize) -> f64 {
        measured - predicted
    }

    /// On a linear plant it agrees with the Kalman filter within what 20,000 particles allow; a seed is a result.
    #[test]
    fn agrees_with_the_kalman_filter_and_repeats_by_seed() {
        let mut kalman = LinearKalman::new(&[0.9], &[0.04], &[1.0], &[0.25], &[0.0], &[1.0]).unwrap();
        let new = || Particles::new(&[0.0], &[1.0], 20_000, 1, 7).unwrap();
        let (mut cloud, mut again) = (new(), new());
        for z in [0.8, 0.2, -0.4, 1.1, 0.6] {
            let expected = kalman.step(&[Some(z)]).unwrap();
            let (nis, density) = (expected.nis, expected.log_likelihood());
            for cloud in [&mut cloud, &mut again] {
                cloud.predict_with(|x, out| out[0] = 0.9 * x[0], &[0.2]).unwrap();
                let (found, own) =
                    cloud.update_with(|x, out| out[0] = x[0], &[Some(z)], &[0.25], plain).unwrap();
                assert!((found.nis - nis).abs() < 0.05 && (found.log_likelihood() - density).abs() < 0.05);
                assert!((own - density).abs() < 0.03);
            }
            let mut p = [0.0];
            cloud.covariance(&mut p);
            assert!((cloud.mean()[0] - kalman.kalman().mean()[0]).abs() < 0.02);
            assert!((p[0] / kalman.kalman().variance(&[1.0]) - 1.0).abs() < 0.06);
        }
        assert_eq!(cloud.states, again.states);
    }

    /// Only the square of the state is seen: both roots stay possible, which no mean and covariance can say.
    #[test]
    fn two_answers_are_kept() {
        let mut cloud = Particles::new(&[0.0], &[2.0], 2_000, 1, 1).unwrap();
        for _ in 0..5 {
            cloud.predict_with(|x, out| out[0] = x[0], &[0.02]).unwrap();
            cloud.update_with(|x, out| out[0] = x[0] * x[0], &[Some(4.0)], &[0.1], plain).unwrap();
        }
        let share = |sign: f64| -> f64 {
            let near = cloud.particles().filter(|(x, _)| (sign * x[0] - 2.0).abs() < 0.3);
            near.map(|(_, weight)| weight).sum()
        };
        assert!(share(1.0) > 0.3 && share(-1.0) > 0.3, "{} {}", share(1.0), share(-1.0));
        assert!(cloud.effective() > 500.0);
    }

    /// A cloud so wide that beside it the noise is lost in a sum.
    #[test]
    fn a_wide_cloud_beside_exact_sensors_is_no_error() {
        let mut cloud = Particles::new(&[0.0], &[1e9], 100, 2, 1).unwrap();
        let at = cloud.states[7];
        let look = |x: &[f64], out: &mut [f64]| (out[0], out[1]) = (x[0], x[0]);
        let (found, own) = cloud.update_with(look, &[Some(at); 2], &[1e-12; 2], plain).unwrap();
        assert!(found.nis.is_finite() && found.log_likelihood().is_finite() && own.is_finite());
        assert!(found.factor[2] > 0.0 && (cloud.mean()[0] - at).abs() < 1e-3);
    }

    #[test]
    fn a_cloud_far_from_what_is_measured_is_lost_and_says_so() {
        let mut cloud = Particles::new(&[0.0], &[1.0], 100, 1, 1).unwrap();
        let before = cloud.states.clone();
        let error = cloud.update_with(|x, out| out[0] = x[0], &[Some(1e3)], &[1.0], plain).unwrap_err();
        assert!(matches!(error, Error::Lost { nis, .. } if nis > 1e5));
        let error = cloud.predict_with(|_, out| out[0] = f64::NAN, &[0.0]).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }));
        assert_eq!(cloud.states, before);
        let (found, own) = cloud.update_with(|x, out| out[0] = x[0], &[None], &[1.0], plain).unwrap();
        assert_eq!((found.dof(), own), (0, 0.0));
        assert!(Particles::new(&[0.0], &[1.0], 0, 1, 1).is_err());
        assert!(Particles::new(&[0.0], &[1.0], usize::MAX, 1, 1).is_err());
        assert!(Particles::new(&[0.0], &[-1.0], 1, 1, 1).is_err());
    }
}
