//! The Kalman filter on flat slices: storage, dispatch to kernels, innovation.
//!
//! Sources: Bar-Shalom, Li, Kirubarajan, *Estimation with Applications to Tracking and Navigation* (2001), §5.2 (filter),
//! §5.4 (NIS, log-likelihood); for the sequential treatment of channels Bierman 1977, §V.3. With channels taken one
//! after the other, the innovations are already whitened: S = L Lᵀ with
//! `L[i][j]` = hᵢ kⱼ √αⱼ and `L[i][i]` = √αᵢ, where α is the variance of a channel given those before it.

use super::fixed::Fixed;
use super::kernel::{self, Any, Order};
use crate::Error;

/// Runs `$run` with the arithmetic for the order: fixed up to 16, else of any size.
macro_rules! with_order {
    ($order:expr, $n:ident => $run:expr) => {
        with_order!(@ $order, $n, $run, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    (@ $order:expr, $n:ident, $run:expr, $($size:literal)*) => {
        match $order {
            $($size => { let $n = Fixed::<$size>; $run })*
            other => { let $n = Any(other); $run }
        }
    };
}

/// State estimate and factored covariance of order n with up to m measured channels.
#[derive(Clone, Debug)]
pub struct Kalman {
    order: usize,
    channels: usize,
    mean: Vec<f64>,
    u: Vec<f64>,
    d: Vec<f64>,
    moved: Vec<f64>,
    before: Vec<f64>,
    covariance: Vec<f64>,
    rescue: Rescue,
    projected: Vec<f64>,
    shared: Vec<f64>,
    gain: Vec<f64>,
    used: Vec<usize>,
    innovation: Vec<f64>,
    white: Vec<f64>,
    roots: Vec<f64>,
    factor: Vec<f64>,
    /// Channels and NIS of the last update.
    last: (usize, f64),
}

/// Room for the prediction that cannot fail, made when first needed.
#[derive(Clone, Debug, Default)]
struct Rescue {
    process: Vec<f64>,
    u: Vec<f64>,
    rows: Vec<f64>,
    weights: Vec<f64>,
}

/// What a measurement said beyond the prediction; borrows the filter's buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Innovation<'a> {
    /// Which channels took part, ascending.
    pub used: &'a [usize],
    /// Measured minus predicted, per channel that took part.
    pub innovation: &'a [f64],
    /// Lower Cholesky factor of the innovation covariance, packed by rows: L₀₀, L₁₀, L₁₁, L₂₀ …
    pub factor: &'a [f64],
    /// L⁻¹ ν: independent with unit variance when model and noise are right.
    pub white: &'a [f64],
    /// Normalised innovation squared, νᵀ S⁻¹ ν.
    pub nis: f64,
    roots: &'a [f64],
}

impl<'a> Innovation<'a> {
    pub(super) fn of(
        used: &'a [usize],
        innovation: &'a [f64],
        factor: &'a [f64],
        white: &'a [f64],
        nis: f64,
        roots: &'a [f64],
    ) -> Self {
        Self { used, innovation, factor, white, nis, roots }
    }

    /// Number of channels that took part.
    #[must_use]
    pub fn dof(&self) -> usize {
        self.used.len()
    }

    /// log N(ν; 0, S), nats; 0 when nothing was measured.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        // One logarithm for the root of the determinant while it cannot overflow, else one per channel.
        let product: f64 = self.roots.iter().product();
        let root = if product.is_normal() {
            libm::log(product)
        } else {
            self.roots.iter().map(|root| libm::log(*root)).sum()
        };
        let ln_2pi = 1.837_877_066_409_345_3;
        -root - 0.5 * (self.nis + self.dof() as f64 * ln_2pi)
    }
}

impl Kalman {
    /// A filter that starts at `mean` with `covariance` (n × n, row by row) and measures at most `channels` at once.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] when the covariance is not positive
    /// semi-definite.
    pub fn new(mean: &[f64], covariance: &[f64], channels: usize) -> Result<Self, Error> {
        let order = mean.len();
        if covariance.len() != order * order {
            return Err(Error::Dimension {
                what: "covariances",
                expected: order * order,
                found: covariance.len(),
            });
        }
        let mut filter = Self {
            order,
            channels,
            mean: mean.to_vec(),
            u: vec![0.0; order * order],
            d: vec![0.0; order],
            moved: vec![0.0; order * order],
            before: vec![0.0; order],
            covariance: vec![0.0; order * order],
            rescue: Rescue::default(),
            projected: vec![0.0; order * channels],
            shared: vec![0.0; channels],
            gain: vec![0.0; order],
            used: vec![0; channels],
            innovation: vec![0.0; channels],
            white: vec![0.0; channels],
            roots: vec![0.0; channels],
            factor: vec![0.0; channels * (channels + 1) / 2],
            last: (0, 0.0),
        };
        if mean.iter().chain(covariance).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "initial state", time_s: 0.0 });
        }
        filter.set_covariance(covariance)?;
        Ok(filter)
    }

    /// Order n.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// The estimate x̂.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The estimate, to be moved by the caller between the two halves of an extended step.
    pub fn mean_mut(&mut self) -> &mut [f64] {
        &mut self.mean
    }

    /// The factors of P = U D Uᵀ: U by columns (n × n), D.
    #[must_use]
    pub fn factors(&self) -> (&[f64], &[f64]) {
        (&self.u, &self.d)
    }

    /// Sets mean and factors as [`factors`](Self::factors) gives them: the way back from a snapshot.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotPositive`] when D holds what is not a number at or above 0.
    pub fn set_factors(&mut self, mean: &[f64], u: &[f64], d: &[f64]) -> Result<(), Error> {
        let expected = self.order;
        for (found, expected) in [(mean.len(), expected), (u.len(), expected * expected), (d.len(), expected)]
        {
            if found != expected {
                return Err(Error::Dimension { what: "numbers of a saved filter", expected, found });
            }
        }
        if let Some(index) = d.iter().position(|d| !(*d >= 0.0 && d.is_finite())) {
            return Err(Error::NotPositive { what: "saved covariance", index });
        }
        if mean.iter().chain(u).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "saved state", time_s: 0.0 });
        }
        self.mean.copy_from_slice(mean);
        self.u.copy_from_slice(u);
        self.d.copy_from_slice(d);
        Ok(())
    }

    /// Sets the covariance (n × n, symmetric, the upper triangle counts).
    ///
    /// # Errors
    /// [`Error::NotPositive`] when it is not positive semi-definite, [`Error::Dimension`].
    pub fn set_covariance(&mut self, covariance: &[f64]) -> Result<(), Error> {
        let n = self.order;
        if covariance.len() != n * n {
            return Err(Error::Dimension { what: "covariances", expected: n * n, found: covariance.len() });
        }
        self.covariance.copy_from_slice(covariance);
        kernel::semidefinite(n, &mut self.covariance, &mut self.u, &mut self.d)
            .map_err(|index| Error::NotPositive { what: "covariance", index })
    }

    /// Writes P (n × n) to `out`.
    pub fn covariance(&self, out: &mut [f64]) {
        let n = self.order;
        out.fill(0.0);
        for (column, d) in self.u.chunks_exact(n.max(1)).zip(&self.d) {
            for (row, factor) in out.chunks_exact_mut(n.max(1)).zip(column) {
                for (out, other) in row.iter_mut().zip(column) {
                    *out += factor * d * other;
                }
            }
        }
    }

    /// Writes U √D, column by column, to `out` (n × n): P is its product with its transpose.
    pub fn root(&self, out: &mut [f64]) {
        let n = self.order.max(1);
        for ((column, d), out) in self.u.chunks_exact(n).zip(&self.d).zip(out.chunks_exact_mut(n)) {
            let size = d.sqrt();
            out.iter_mut().zip(column).for_each(|(out, entry)| *out = entry * size);
        }
    }

    /// Variance of h x for a row h of n numbers.
    #[must_use]
    pub fn variance(&self, observation: &[f64]) -> f64 {
        kernel::variance(self.order, &self.u, &self.d, observation)
    }

    /// x̂ ← F x̂ and P ← F P Fᵀ + Q, F by columns.
    pub(super) fn predict_linear(&mut self, transition: &[f64], process: &[f64]) {
        with_order!(self.order, order => self.predict_linear_as(order, transition, process));
    }

    #[inline(always)]
    fn predict_linear_as(&mut self, order: impl Order, transition: &[f64], process: &[f64]) {
        order.multiply(transition, &mut self.mean, &mut self.before);
        self.predict_as(order, transition, process);
    }

    /// As [`update`](Self::update), from measurements of H x̂; with a prediction before, when it is given.
    pub(super) fn update_linear(
        &mut self,
        predict: Option<(&[f64], &[f64])>,
        measured: &[Option<f64>],
        observation: &[f64],
        variance: &[f64],
    ) -> Result<Innovation<'_>, Error> {
        self.check(measured, observation, variance)?;
        let (count, nis) = with_order!(self.order, order => {
            if let Some((transition, process)) = predict {
                self.predict_linear_as(order, transition, process);
            }
            let difference = |channel: usize, row: &[f64], mean: &[f64]| {
                measured[channel].map(|measured| measured - order.dot(row, mean))
            };
            self.update_as::<false>(order, measured.len(), difference, observation, variance)
        });
        Ok(self.innovation(count, nis))
    }

    /// P ← F P Fᵀ + Q; the mean is the caller's to move. Both n × n, **column by column** (F transposed when read by
    /// rows), Q symmetric positive semi-definite.
    ///
    /// Cost: about 2 n³ multiplications. Where F P Fᵀ + Q is singular to ten digits, weighted Gram–Schmidt does it
    /// instead, in 3 n³ and, the first time, an allocation; with process noise on every state that does not happen.
    pub fn predict(&mut self, transition: &[f64], process: &[f64]) {
        with_order!(self.order, order => self.predict_as(order, transition, process));
    }

    #[inline(always)]
    fn predict_as(&mut self, order: impl Order, transition: &[f64], process: &[f64]) {
        let size = order.n() * order.n();
        let (transition, process) = (&transition[..size], &process[..size]);
        let scratch = kernel::Scratch {
            moved: &mut self.moved,
            before: &mut self.before,
            covariance: &mut self.covariance,
        };
        if !order.predict(&mut self.u, &mut self.d, transition, process, scratch) {
            self.rescue(process);
        }
    }

    /// `[F U, V] diag(D, E) [F U, V]ᵀ` made triangular again, where Q = V E Vᵀ.
    #[cold]
    fn rescue(&mut self, process: &[f64]) {
        let n = self.order;
        let Rescue { process: copy, u, rows, weights } = &mut self.rescue;
        copy.clear();
        copy.extend_from_slice(&process[..n * n]);
        u.resize(n * n, 0.0);
        rows.clear();
        rows.resize(2 * n * n, 0.0);
        weights.clear();
        weights.resize(2 * n, 0.0);
        let (old, added) = weights.split_at_mut(n);
        old.copy_from_slice(&self.before);
        // A process covariance that is not positive semi-definite adds what of it is.
        let _ = kernel::semidefinite(n, copy, u, added);
        for (i, row) in rows.chunks_exact_mut(2 * n).enumerate() {
            for k in 0..n {
                row[k] = self.moved[k * n + i];
                row[n + k] = u[k * n + i];
            }
        }
        kernel::orthogonalise(n, 2 * n, rows, weights, &mut self.u, &mut self.d);
    }

    /// Takes in the channels whose innovation ν = z − h(x̂⁻) is there, and moves the mean: x̂ ← x̂ + K ν.
    ///
    /// `observation` is H row by row (m × n), `variance` the noise of each channel, positive. An innovation that is
    /// not finite counts as missing. Cost: about 3 n² multiplications per channel.
    ///
    /// # Errors
    /// [`Error::Dimension`] for more channels than announced or rows that do not fit.
    pub fn update(
        &mut self,
        innovation: &[Option<f64>],
        observation: &[f64],
        variance: &[f64],
    ) -> Result<Innovation<'_>, Error> {
        self.check(innovation, observation, variance)?;
        let (count, nis) = with_order!(
            self.order,
            order => self.update_as::<false>(order, innovation.len(), |channel, _, _| innovation[channel], observation, variance)
        );
        Ok(self.innovation(count, nis))
    }

    /// As [`update`](Self::update) with rows that are projected already: h U instead of h.
    pub(super) fn update_projected(
        &mut self,
        innovation: &[Option<f64>],
        projected: &[f64],
        variance: &[f64],
    ) -> Result<Innovation<'_>, Error> {
        self.check(innovation, projected, variance)?;
        let (count, nis) = with_order!(
            self.order,
            order => self.update_as::<true>(order, innovation.len(), |channel, _, _| innovation[channel], projected, variance)
        );
        Ok(self.innovation(count, nis))
    }

    /// P ← Q + Σ c cᵀ over two lists of columns of n numbers, all of them upside down when `flipped` says so. As in
    /// [`predict`](Self::predict), Gram–Schmidt does it where the sum is too near to singular.
    pub(super) fn set_sum_of_squares(&mut self, columns: [&[f64]; 2], process: &[f64], flipped: bool) {
        let n = self.order;
        let copy = |to: &mut [f64], from: &[f64]| {
            to.copy_from_slice(from);
            if flipped {
                to.reverse();
            }
        };
        copy(&mut self.covariance, process);
        for column in columns.into_iter().flat_map(|columns| columns.chunks_exact(n.max(1))) {
            copy(&mut self.before, column);
            for (to, factor) in self.covariance.chunks_exact_mut(n.max(1)).zip(&self.before) {
                for (to, entry) in to.iter_mut().zip(&self.before) {
                    *to += factor * entry;
                }
            }
        }
        if kernel::factorise(n, &mut self.covariance, &mut self.u, &mut self.d, 1e-10) {
            return;
        }
        let count = columns.iter().map(|columns| columns.len()).sum::<usize>() / n.max(1);
        let width = count + n;
        let Rescue { process: rest, u, rows, weights } = &mut self.rescue;
        rest.resize(n * n, 0.0);
        copy(rest, process);
        u.resize(n * n, 0.0);
        rows.clear();
        rows.resize(n * width, 0.0);
        weights.clear();
        weights.resize(width, 1.0);
        let _ = kernel::semidefinite(n, rest, u, &mut weights[count..]);
        for (k, column) in columns.into_iter().flat_map(|columns| columns.chunks_exact(n.max(1))).enumerate()
        {
            for (i, entry) in column.iter().enumerate() {
                rows[if flipped { n - 1 - i } else { i } * width + k] = *entry;
            }
        }
        for i in 0..n {
            for k in 0..n {
                rows[i * width + count + k] = u[k * n + i];
            }
        }
        kernel::orthogonalise(n, width, rows, weights, &mut self.u, &mut self.d);
    }

    fn check(&self, channels: &[Option<f64>], observation: &[f64], variance: &[f64]) -> Result<(), Error> {
        let (n, m) = (self.order, channels.len());
        if m > self.channels {
            return Err(Error::Dimension { what: "channels", expected: self.channels, found: m });
        }
        if variance.len() != m {
            return Err(Error::Dimension { what: "noise variances", expected: m, found: variance.len() });
        }
        if observation.len() != m * n {
            let (what, expected) = ("observation entries", m * n);
            return Err(Error::Dimension { what, expected, found: observation.len() });
        }
        Ok(())
    }

    /// What the last update said.
    pub(super) fn last(&self) -> Innovation<'_> {
        self.innovation(self.last.0, self.last.1)
    }

    /// Sets mean and factors that came from [`factors`](Self::factors) of a filter of this order.
    pub(super) fn load(&mut self, mean: &[f64], u: &[f64], d: &[f64]) {
        self.mean.copy_from_slice(mean);
        self.u.copy_from_slice(u);
        self.d.copy_from_slice(d);
    }

    fn innovation(&self, count: usize, nis: f64) -> Innovation<'_> {
        Innovation {
            used: &self.used[..count],
            innovation: &self.innovation[..count],
            factor: &self.factor[..count * (count + 1) / 2],
            white: &self.white[..count],
            roots: &self.roots[..count],
            nis,
        }
    }

    #[inline(always)]
    fn update_as<const PROJECTED: bool>(
        &mut self,
        order: impl Order,
        channels: usize,
        difference: impl Fn(usize, &[f64], &[f64]) -> Option<f64>,
        observation: &[f64],
        variance: &[f64],
    ) -> (usize, f64) {
        let n = order.n();
        // Slices of our own: a store through one need not be feared to move another.
        let (u, d, mean, gain) =
            (&mut self.u[..n * n], &mut self.d[..n], &mut self.mean[..n], &mut self.gain[..n]);
        let (used, found, white, roots) =
            (&mut self.used[..], &mut self.innovation[..], &mut self.white[..], &mut self.roots[..]);
        let (projected, shared, factor) =
            (&mut self.projected[..], &mut self.shared[..], &mut self.factor[..]);
        let mut count = 0;
        for channel in 0..channels {
            let row = &observation[channel * n..][..n];
            let innovation = difference(channel, row, mean);
            if let Some(innovation) = innovation.filter(|innovation| innovation.is_finite()) {
                used[count] = channel;
                found[count] = innovation;
                white[count] = innovation;
                let projected = &mut projected[count * n..][..n];
                if PROJECTED {
                    projected.copy_from_slice(row);
                } else {
                    order.project(u, row, projected);
                }
                count += 1;
            }
        }
        let mut nis = 0.0;
        for at in 0..count {
            let (done, later) = projected[..count * n].split_at_mut((at + 1) * n);
            let shared = &mut shared[at + 1..count];
            let turn = kernel::Turn {
                projected: &done[at * n..],
                variance: variance[used[at]],
                later,
                shared: &mut *shared,
                gain: &mut *gain,
            };
            let (total, inverse) = order.update(u, d, turn);
            // What is left of the innovation when all before it is accounted for.
            let rest = white[at];
            for (mean, gain) in mean.iter_mut().zip(&*gain) {
                *mean += gain * rest;
            }
            let root = total.sqrt();
            let per_root = root * inverse;
            for (later, shared) in (at + 1..count).zip(shared) {
                factor[later * (later + 1) / 2 + at] = *shared * per_root;
                white[later] -= *shared * inverse * rest;
            }
            factor[at * (at + 1) / 2 + at] = root;
            roots[at] = root;
            white[at] = rest * per_root;
            nis += rest * rest * inverse;
        }
        self.last = (count, nis);
        (count, nis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook form, one matrix product after the other.
    #[allow(clippy::too_many_arguments, reason = "as many as the textbook has symbols")]
    fn textbook(n: usize, mean: &mut [f64], p: &mut [f64], f: &[f64], q: &[f64], h: &[f64], r: f64, z: f64) {
        let at = |m: &[f64], i: usize, j: usize| m[i * n + j];
        let moved: Vec<f64> = (0..n).map(|i| (0..n).map(|k| at(f, i, k) * mean[k]).sum()).collect();
        let mut next = q.to_vec();
        for i in 0..n {
            for j in 0..n {
                for k in 0..n {
                    for l in 0..n {
                        next[i * n + j] += at(f, i, k) * at(p, k, l) * at(f, j, l);
                    }
                }
            }
        }
        let ph: Vec<f64> = (0..n).map(|i| (0..n).map(|k| at(&next, i, k) * h[k]).sum()).collect();
        let s = r + (0..n).map(|k| h[k] * ph[k]).sum::<f64>();
        let rest = z - (0..n).map(|k| h[k] * moved[k]).sum::<f64>();
        for i in 0..n {
            mean[i] = moved[i] + ph[i] / s * rest;
            for j in 0..n {
                p[i * n + j] = next[i * n + j] - ph[i] * ph[j] / s;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_the_textbook(n in 1usize..19, seed in prop::collection::vec(-1.0f64..1.0, 2000)) {
            let mut numbers = seed.into_iter().cycle();
            let mut take = |count: usize| (0..count).map(|_| numbers.next().unwrap()).collect::<Vec<f64>>();
            let f: Vec<f64> = take(n * n).iter().map(|value| value / (n as f64).sqrt()).collect();
            let columns: Vec<f64> = (0..n * n).map(|at| f[at % n * n + at / n]).collect();
            let diagonal = |value: f64| (0..n * n).map(|at| if at / n == at % n { value } else { 0.0 }).collect::<Vec<_>>();
            let (q, mut p, mut mean) = (diagonal(0.1), diagonal(2.0), take(n));
            let mut filter = Kalman::new(&mean, &p, 1).unwrap();
            for _ in 0..5 {
                let (h, z) = (take(n), take(1)[0]);
                textbook(n, &mut mean, &mut p, &f, &q, &h, 0.3, z);
                let moved: Vec<f64> =
                    (0..n).map(|i| (0..n).map(|k| f[i * n + k] * filter.mean()[k]).sum()).collect();
                filter.mean_mut().copy_from_slice(&moved);
                filter.predict(&columns, &q);
                let rest = z - h.iter().zip(filter.mean()).map(|(h, x)| h * x).sum::<f64>();
                filter.update(&[Some(rest)], &h, &[0.3]).unwrap();
                let mut found = vec![0.0; n * n];
                filter.covariance(&mut found);
                for (left, right) in found.iter().zip(&p).chain(filter.mean().iter().zip(&mean)) {
                    prop_assert!((left - right).abs() < 1e-10);
                }
            }
        }

        /// The order of channels does not matter beyond rounding, and a missing one is as if it were not there.
        #[test]
        fn missing_channels_drop_out(a in -3.0f64..3.0, b in -3.0f64..3.0) {
            let covariance = [2.0, 0.5, 0.5, 1.0];
            let (h, r) = ([1.0, 0.2, -0.3, 1.0, 1.0, 1.0], [0.1, 0.2, 0.3]);
            let mut with = Kalman::new(&[0.0, 0.0], &covariance, 3).unwrap();
            let mut without = Kalman::new(&[0.0, 0.0], &covariance, 2).unwrap();
            let first = with.update(&[Some(a), None, Some(b)], &h, &r).unwrap();
            let second = without.update(&[Some(a), Some(b)], &[h[0], h[1], h[4], h[5]], &[r[0], r[2]]).unwrap();
            prop_assert_eq!(first.used, &[0, 2]);
            prop_assert_eq!((first.nis, first.factor), (second.nis, second.factor));
            prop_assert_eq!(first.log_likelihood().to_bits(), second.log_likelihood().to_bits());
            prop_assert_eq!(with.mean(), without.mean());
        }
    }

    #[test]
    fn the_factor_is_the_one_of_the_joint_covariance() {
        let covariance = [2.0, 0.5, 0.5, 1.0];
        let (h, r) = ([1.0, 0.2, -0.3, 1.0], [0.1, 0.2]);
        let mut filter = Kalman::new(&[0.0, 0.0], &covariance, 2).unwrap();
        let found = filter.update(&[Some(0.7), Some(-0.4)], &h, &r).unwrap();
        let s = |i: usize, j: usize| {
            let (a, b) = (&h[2 * i..], &h[2 * j..]);
            let noise = if i == j { r[i] } else { 0.0 };
            noise + a[0] * (2.0 * b[0] + 0.5 * b[1]) + a[1] * (0.5 * b[0] + b[1])
        };
        let [l00, l10, l11] = [found.factor[0], found.factor[1], found.factor[2]];
        for (left, right) in [(l00 * l00, s(0, 0)), (l00 * l10, s(1, 0)), (l10 * l10 + l11 * l11, s(1, 1))] {
            assert!((left - right).abs() < 1e-14, "{left} {right}");
        }
        let determinant = s(0, 0) * s(1, 1) - s(1, 0) * s(1, 0);
        let nis = (0.49 * s(1, 1) + 2.0 * 0.7 * 0.4 * s(1, 0) + 0.16 * s(0, 0)) / determinant;
        assert!((found.nis - nis).abs() < 1e-13);
        let density = -0.5 * (nis + determinant.ln()) - (2.0 * core::f64::consts::PI).ln();
        assert!((found.log_likelihood() - density).abs() < 1e-13);
    }

    /// No process noise and a nearly exact sensor: the covariance dies in the plain form.
    #[test]
    fn stays_positive_without_process_noise() {
        let mut filter = Kalman::new(&[0.0, 0.0], &[1e6, 0.0, 0.0, 1e6], 1).unwrap();
        let transition = [1.0, 0.0, 1.0, 1.0];
        for _ in 0..10_000 {
            filter.predict(&transition, &[0.0; 4]);
            filter.update(&[Some(0.0)], &[1.0, 0.0], &[1e-12]).unwrap();
            assert!(filter.factors().1.iter().all(|d| *d > 0.0));
        }
        // Regression of a line on k points: var(slope) ≈ 12 r / k³.
        let slope = filter.variance(&[0.0, 1.0]);
        assert!((slope / 12e-24 - 1.0).abs() < 0.01, "{slope}");
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let refused = |covariance: &[f64]| Kalman::new(&[0.0, 0.0], covariance, 1).unwrap_err();
        assert!(matches!(refused(&[1.0, 2.0, 2.0, 1.0]), Error::NotPositive { .. }));
        assert!(matches!(refused(&[1.0, 0.5, 0.5, 0.0]), Error::NotPositive { index: 1, .. }));
        assert!(matches!(refused(&[1.0, f64::NAN, 0.0, 1.0]), Error::NotFinite { .. }));
        assert!(matches!(refused(&[1.0]), Error::Dimension { .. }));
        let mut filter = Kalman::new(&[0.0], &[0.0], 1).unwrap();
        assert!(filter.update(&[Some(1.0), None], &[1.0, 1.0], &[1.0, 1.0]).is_err());
        let innovation = filter.update(&[Some(f64::NAN)], &[1.0], &[1.0]).unwrap();
        assert_eq!((innovation.dof(), innovation.nis, innovation.log_likelihood()), (0, 0.0, 0.0));
    }
}
