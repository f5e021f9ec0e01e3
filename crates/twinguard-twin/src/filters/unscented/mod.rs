//! The unscented Kalman filter: 2 n + 1 points instead of Jacobians, its covariance a sum of squares.
//!
//! Sources: Wan, van der Merwe, "The unscented Kalman filter for nonlinear estimation", *AS-SPCC* (2000), §3, and van der
//! Merwe's thesis (2004), §3.2.2, for the scaled points: λ = α² (n + κ) − n, x̂ and x̂ ± √(n + λ) Lᵢ with the columns of
//! the lower Cholesky factor P = L Lᵀ, weights λ/(n + λ) (+ 1 − α² + β for covariances) and 1/(2 (n + λ)). Julier, Uhlmann,
//! *Proc. IEEE* 92 (2004) 401, §III, for the transform: its points are these with α = 1, β = 0, κ = 3 − n.
//!
//! **Variants**, named because their results differ: [`Variant::Redrawn`] draws new points around the predicted mean before
//! it updates, as filterpy 2.0 does, so that the points carry the process noise; [`Variant::Augmented`] draws 4 n + 1 points of state
//! and process noise together and updates with those that the prediction moved (Julier, Uhlmann 2004, §III.A). Updating
//! with 2 n + 1 moved points, which older filters do, forgets the process noise and is not the Kalman filter on linear models.
//!
//! **Positive by construction.** With c = n + λ, half differences Aᵢ = (f(x̂ + √c Lᵢ) − f(x̂ − √c Lᵢ)) / (2 √c) and half second
//! differences eᵢ = (f(x̂ + √c Lᵢ) + f(x̂ − √c Lᵢ)) / 2 − f(x̂), the weighted sums of the textbook are, without cancellation,
//! mean = f(x̂) + Σ eᵢ / c and covariance = Σ Aᵢ Aᵢᵀ + (Σ eᵢ eᵢᵀ + (β − α²)/c (Σ eᵢ)(Σ eᵢ)ᵀ) / c. It cannot be indefinite for
//! any f exactly when 1 + n (β − α²)/c ≥ 0, whatever the sign of the centre's weight; other parameters are refused.
//! An update works on the factor, in coordinates in which the prediction is the identity: no difference is ever taken.
//!
//! When it lies: the points reach √(n + λ) standard deviations far, so a kink beyond them is not seen and one between
//! them is smeared; wide points of a small α on a wavy f are as local as a Jacobian. Cost: 2 n + 1 evaluations of f and
//! (redrawn) of h, about 5 n³ multiplications.

use super::kalman::{Innovation, Kalman};
use super::{kernel, packed};
use crate::integrators::Rk4;
use crate::{Error, Model, TimeBase};

/// How far the points lie and how they weigh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How local: the points lie α √(n + κ) standard deviations from the mean.
    pub alpha: f64,
    /// What is known of the distribution's tails: 2 is right for a Gaussian.
    pub beta: f64,
    /// Second scale: 3 − n makes the fourth moments right, 0 is common.
    pub kappa: f64,
}

impl Spread {
    /// α = 1, β = 0, κ = 3 − n: the points of the first unscented transform. Positive for any f up to order 3.
    #[must_use]
    pub fn julier(order: usize) -> Self {
        Self { alpha: 1.0, beta: 0.0, kappa: 3.0 - order as f64 }
    }
}

impl Default for Spread {
    /// α = 0.5, β = 2, κ = 0.
    fn default() -> Self {
        Self { alpha: 0.5, beta: 2.0, kappa: 0.0 }
    }
}

/// Which points an update uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// New ones around the predicted mean and covariance, process noise included.
    #[default]
    Redrawn,
    /// Those of state and process noise together that the prediction has moved.
    Augmented,
}

/// State and covariance of an unscented filter; functions or a [`Model`] are handed to each call.
#[derive(Clone, Debug)]
pub struct UnscentedKalman {
    order: usize,
    channels: usize,
    variant: Variant,
    /// Whether the points of the last prediction are still those of the state.
    carried: bool,
    /// Pairs of points of a prediction: n, or 2 n with the noise's.
    pairs: usize,
    /// c = n + λ, its root, and (β − α²) / c.
    reach: f64,
    root_reach: f64,
    bend: f64,
    mean: Vec<f64>,
    /// The same state upside down: there the lower factor is an upper one, and the kernels apply.
    kalman: Kalman,
    /// Columns of the lower factor L of the last state that points were drawn from.
    root: Vec<f64>,
    point: Vec<f64>,
    /// f of the centre; half differences; what the second differences add (n columns of n, scaled).
    centre: Vec<f64>,
    moved: Vec<f64>,
    bent: Vec<f64>,
    process: Vec<f64>,
    /// The same of h, columns of m numbers.
    seen_centre: Vec<f64>,
    seen: Vec<f64>,
    seen_bent: Vec<f64>,
    /// Points that the prediction moved, for the carried variant: centre, pluses, minuses.
    cloud: Vec<f64>,
    above: Vec<f64>,
    below: Vec<f64>,
    measured: Measured,
    joint: Joint,
    rk4: Rk4,
}

/// Room for what a measurement says.
#[derive(Clone, Debug)]
struct Measured {
    used: Vec<usize>,
    innovation: Vec<f64>,
    white: Vec<Option<f64>>,
    noise: Vec<f64>,
    rows: Vec<f64>,
    ones: Vec<f64>,
    factor: Vec<f64>,
    roots: Vec<f64>,
    white_out: Vec<f64>,
}

/// Room for Gram–Schmidt over state and measurement together, made when first needed.
#[derive(Clone, Debug, Default)]
struct Joint {
    rows: Vec<f64>,
    weights: Vec<f64>,
    u: Vec<f64>,
    d: Vec<f64>,
    spare: Vec<f64>,
}

impl UnscentedKalman {
    /// Starts at `mean` (n) with `covariance` (n × n by rows) and measures at most `channels` at once.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] for a covariance that is not positive
    /// semi-definite and for a spread whose covariances could be indefinite.
    pub fn new(
        mean: &[f64],
        covariance: &[f64],
        channels: usize,
        spread: Spread,
        variant: Variant,
    ) -> Result<Self, Error> {
        let n = mean.len();
        if covariance.len() != n * n {
            let (what, found) = ("covariances", covariance.len());
            return Err(Error::Dimension { what, expected: n * n, found });
        }
        let Spread { alpha, beta, kappa } = spread;
        let pairs = if variant == Variant::Augmented { 2 * n } else { n };
        let reach = alpha * alpha * (pairs as f64 + kappa);
        let gain = 1.0 + pairs as f64 * (beta - alpha * alpha) / reach;
        if !(reach > 0.0 && reach.is_finite() && gain >= 0.0 && gain.is_finite()) {
            return Err(Error::NotPositive { what: "spread of sigma points", index: 0 });
        }
        let flip = |matrix: &[f64]| matrix.iter().rev().copied().collect::<Vec<f64>>();
        let kalman = Kalman::new(&flip(mean), &flip(covariance), channels)?;
        let m = channels;
        Ok(Self {
            order: n,
            channels,
            variant,
            carried: false,
            pairs,
            reach,
            root_reach: reach.sqrt(),
            bend: (beta - alpha * alpha) / reach,
            mean: mean.to_vec(),
            kalman,
            root: vec![0.0; n * n],
            point: vec![0.0; n],
            centre: vec![0.0; n],
            moved: vec![0.0; n * pairs],
            bent: vec![0.0; n * pairs],
            process: vec![0.0; n * n],
            seen_centre: vec![0.0; m],
            seen: vec![0.0; pairs * m],
            seen_bent: vec![0.0; pairs * m],
            cloud: if variant == Variant::Augmented { vec![0.0; n * (2 * pairs + 1)] } else { Vec::new() },
            above: vec![0.0; n.max(m)],
            below: vec![0.0; n.max(m)],
            measured: Measured {
                used: Vec::with_capacity(m),
                innovation: Vec::with_capacity(m),
                white: Vec::with_capacity(m),
                noise: vec![0.0; m * m],
                rows: vec![0.0; n * m],
                ones: vec![1.0; m],
                factor: vec![0.0; m * (m + 1) / 2],
                roots: vec![0.0; m],
                white_out: vec![0.0; m],
            },
            joint: Joint::default(),
            rk4: Rk4::new(n),
        })
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

    /// Writes P (n × n) to `out`.
    pub fn covariance(&self, out: &mut [f64]) {
        self.kalman.covariance(out);
        out.reverse();
    }

    /// Variance of h x for a row h of n numbers.
    #[must_use]
    pub fn variance(&self, observation: &[f64]) -> f64 {
        let (u, d) = self.kalman.factors();
        let columns = u.chunks_exact(self.order.max(1)).zip(d);
        columns
            .map(|(column, d)| {
                let projected: f64 = column.iter().zip(observation.iter().rev()).map(|(u, h)| u * h).sum();
                projected * projected * d
            })
            .sum()
    }

    /// Writes the lower factor L with P = L Lᵀ, column by column, to `out` (n × n).
    pub fn root(&self, out: &mut [f64]) {
        let n = self.order;
        let (u, d) = self.kalman.factors();
        for ((column, d), out) in u.chunks_exact(n.max(1)).zip(d).zip(out.chunks_exact_mut(n.max(1)).rev()) {
            let size = d.sqrt();
            for (out, entry) in out.iter_mut().zip(column.iter().rev()) {
                *out = entry * size;
            }
        }
    }

    /// Of the last prediction, column by column (n × n): what it made of the columns of the factor before it. The
    /// covariance of the state before with the state after is the factor before times the transpose of this.
    #[must_use]
    pub fn moved(&self) -> &[f64] {
        &self.moved[..self.order * self.order]
    }

    /// Of the last prediction (n × n): process noise and what curvature added.
    pub fn added(&self, out: &mut [f64]) {
        out.copy_from_slice(&self.process);
        add_squares(self.order, &self.bent, out);
    }

    /// x̂ and P through x⁺ = f(x) + w, w ~ N(0, Q), Q n × n symmetric positive semi-definite.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a process covariance of another size, [`Error::NotFinite`] when a point leaves the finite
    /// numbers; the filter is then as it was before.
    pub fn predict_with(
        &mut self,
        mut f: impl FnMut(&[f64], &mut [f64]),
        process: &[f64],
    ) -> Result<(), Error> {
        let n = self.order;
        if process.len() != n * n {
            let (what, found) = ("process covariances", process.len());
            return Err(Error::Dimension { what, expected: n * n, found });
        }
        self.draw();
        f(&self.mean, &mut self.centre);
        let (half, scale) = (0.5, 0.5 / self.root_reach);
        let mut cloud = self.cloud.chunks_exact_mut(n.max(1));
        if let Some(centre) = cloud.next() {
            centre.copy_from_slice(&self.centre);
        }
        for k in 0..n {
            place(&mut self.point, &self.mean, self.root_reach, &self.root[k * n..][..n]);
            f(&self.point, &mut self.above[..n]);
            place(&mut self.point, &self.mean, -self.root_reach, &self.root[k * n..][..n]);
            f(&self.point, &mut self.below[..n]);
            let (moved, bent) = (&mut self.moved[k * n..][..n], &mut self.bent[k * n..][..n]);
            for i in 0..n {
                moved[i] = (self.above[i] - self.below[i]) * scale;
                bent[i] = (self.above[i] + self.below[i]) * half - self.centre[i];
            }
            for side in [&self.above, &self.below] {
                if let Some(point) = cloud.next() {
                    point.copy_from_slice(&side[..n]);
                }
            }
        }
        if self.pairs > n {
            // The noise's own points: the lower factor of Q, of which what is not positive semi-definite adds nothing.
            let Joint { spare, u, d, .. } = &mut self.joint;
            spare.clear();
            spare.extend(process.iter().rev());
            u.resize((n * n).max(u.len()), 0.0);
            d.resize(n.max(d.len()), 0.0);
            let _ = kernel::semidefinite(n, spare, &mut u[..n * n], &mut d[..n]);
            self.bent[n * n..].fill(0.0);
            for (k, column) in self.moved[n * n..].chunks_exact_mut(n.max(1)).enumerate() {
                let from = n - 1 - k;
                for (i, entry) in column.iter_mut().enumerate() {
                    *entry = u[from * n + n - 1 - i] * d[from].sqrt();
                }
                for reach in [self.root_reach, -self.root_reach] {
                    if let Some(point) = cloud.next() {
                        place(point, &self.centre, reach, column);
                    }
                }
            }
        }
        if self.centre.iter().chain(&self.moved).chain(&self.bent).any(|entry| !entry.is_finite()) {
            return Err(Error::NotFinite { what: "sigma point", time_s: 0.0 });
        }
        self.process.copy_from_slice(process);
        settle(n, self.reach, self.bend, &mut self.centre, &mut self.bent, &mut self.point);
        self.mean.copy_from_slice(&self.centre);
        self.kalman.set_sum_of_squares([&self.moved[..n * n], &self.bent], process, true);
        self.flip_mean();
        self.carried = self.variant == Variant::Augmented;
        Ok(())
    }

    /// x̂ and P by a measurement z = h(x) + v, v ~ N(0, diag R): one entry of `measured` and `variance` per channel.
    ///
    /// A channel that is `None` or whose prediction is not finite drops out. `difference` takes (measured, predicted,
    /// channel): for angles the short way round. Between channels of the points plain differences are used, so angles must
    /// not wrap within the cloud.
    ///
    /// # Errors
    /// [`Error::Dimension`] for other numbers of channels, [`Error::NotPositive`] for noise that is not positive.
    pub fn update_with(
        &mut self,
        mut h: impl FnMut(&[f64], &mut [f64]),
        measured: &[Option<f64>],
        variance: &[f64],
        difference: impl Fn(f64, f64, usize) -> f64,
    ) -> Result<Innovation<'_>, Error> {
        let m = measured.len();
        if m != self.channels || variance.len() != m {
            let found = if m == self.channels { variance.len() } else { m };
            return Err(Error::Dimension { what: "channels", expected: self.channels, found });
        }
        if let Some(index) = variance.iter().position(|variance| !(*variance > 0.0 && variance.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        let width = m * if self.carried { self.pairs } else { self.order };
        self.look(&mut h);
        let spare = &mut self.above[..m];
        settle(m, self.reach, self.bend, &mut self.seen_centre, &mut self.seen_bent[..width], spare);
        let Measured { used, innovation, .. } = &mut self.measured;
        used.clear();
        innovation.clear();
        for (channel, value) in measured.iter().enumerate() {
            let columns = self.seen[..width].iter().chain(&self.seen_bent[..width]).skip(channel).step_by(m);
            if !columns.copied().all(f64::is_finite) {
                continue;
            }
            let found = value.map(|value| difference(value, self.seen_centre[channel], channel));
            if let Some(found) = found.filter(|found| found.is_finite()) {
                used.push(channel);
                innovation.push(found);
            }
        }
        if core::mem::take(&mut self.carried) {
            self.update_carried(variance)?;
        } else {
            self.update_redrawn(variance)?;
        }
        for (mean, flipped) in self.mean.iter_mut().zip(self.kalman.mean().iter().rev()) {
            *mean = *flipped;
        }
        let Measured { used, innovation, factor, roots, white_out, .. } = &self.measured;
        let count = used.len();
        let white = &white_out[..count];
        let nis = white.iter().map(|white| white * white).sum();
        Ok(Innovation::of(used, innovation, &factor[..count * (count + 1) / 2], white, nis, &roots[..count]))
    }

    /// [`predict_with`](Self::predict_with) of a model: `process` is per second for continuous models, else per step.
    ///
    /// Continuous models move in Runge–Kutta steps of at most `largest_step_s`.
    ///
    /// # Errors
    /// As [`predict_with`](Self::predict_with), and [`Error::TooManySteps`].
    pub fn predict(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        step_s: f64,
        largest_step_s: f64,
        input: &[f64],
        process: &[f64],
    ) -> Result<(), Error> {
        match model.time_base() {
            TimeBase::Discrete { .. } => {
                self.predict_with(|x, out| model.dynamics(time_s, x, input, out), process)
            }
            TimeBase::Continuous => {
                let mut rk4 = core::mem::replace(&mut self.rk4, Rk4::new(0));
                let scaled: Vec<f64> = process.iter().map(|rate| rate * step_s).collect();
                let mut flaw = None;
                let slope = |time: f64, x: &[f64], out: &mut [f64]| model.dynamics(time, x, input, out);
                let mut flow = |x: &[f64], out: &mut [f64]| {
                    out.copy_from_slice(x);
                    if let Err(error) = rk4.integrate(slope, time_s, time_s + step_s, largest_step_s, out) {
                        out.fill(f64::NAN);
                        flaw = Some(error);
                    }
                };
                let done = self.predict_with(&mut flow, &scaled);
                self.rk4 = rk4;
                flaw.map_or(done, Err)
            }
        }
    }

    /// [`update_with`](Self::update_with) of a model's outputs.
    ///
    /// # Errors
    /// As [`update_with`](Self::update_with).
    pub fn update(
        &mut self,
        model: &dyn Model,
        time_s: f64,
        input: &[f64],
        measured: &[Option<f64>],
        variance: &[f64],
    ) -> Result<Innovation<'_>, Error> {
        let h = |x: &[f64], out: &mut [f64]| model.output(time_s, x, input, out);
        self.update_with(h, measured, variance, |measured, predicted, _| measured - predicted)
    }

    fn draw(&mut self) {
        let mut root = core::mem::take(&mut self.root);
        self.root(&mut root);
        self.root = root;
    }

    fn flip_mean(&mut self) {
        for (flipped, mean) in self.kalman.mean_mut().iter_mut().rev().zip(&self.mean) {
            *flipped = *mean;
        }
    }

    /// h of all points: centre, half differences, half second differences.
    fn look(&mut self, h: &mut impl FnMut(&[f64], &mut [f64])) {
        let (n, m) = (self.order, self.channels);
        let redrawn = !self.carried;
        if redrawn {
            self.draw();
        }
        let scale = 0.5 / self.root_reach;
        h(if redrawn { &self.mean } else { &self.cloud[..n] }, &mut self.seen_centre);
        for k in 0..if redrawn { n } else { self.pairs } {
            for (side, sign) in [(&mut self.above, self.root_reach), (&mut self.below, -self.root_reach)] {
                if redrawn {
                    place(&mut self.point, &self.mean, sign, &self.root[k * n..][..n]);
                    h(&self.point, &mut side[..m]);
                } else {
                    let at = 1 + 2 * k + usize::from(sign < 0.0);
                    h(&self.cloud[at * n..][..n], &mut side[..m]);
                }
            }
            let (seen, bent) = (&mut self.seen[k * m..][..m], &mut self.seen_bent[k * m..][..m]);
            for i in 0..m {
                seen[i] = (self.above[i] - self.below[i]) * scale;
                bent[i] = (self.above[i] + self.below[i]) * 0.5 - self.seen_centre[i];
            }
        }
    }

    /// R and what curvature adds, for the channels in use, as a packed lower factor in `noise`.
    fn noise_factor(&mut self, variance: &[f64]) -> Result<(), Error> {
        let (n, m) = (self.order, self.channels);
        let Measured { used, noise, .. } = &mut self.measured;
        let count = used.len();
        let mut at = 0;
        for (row, i) in used.iter().enumerate() {
            for j in &used[..=row] {
                let columns = self.seen_bent.chunks_exact(m.max(1)).take(n);
                let curved: f64 = columns.map(|column| column[*i] * column[*j]).sum();
                noise[at] = curved + if i == j { variance[*i] } else { 0.0 };
                at += 1;
            }
        }
        let sound = packed::cholesky(count, noise).is_ok()
            && (0..count).all(|row| {
                let line = &noise[row * (row + 1) / 2..][..=row];
                line[row] * line[row] > 1e-10 * line.iter().map(|entry| entry * entry).sum::<f64>()
            });
        if sound {
            return Ok(());
        }
        // Too near to singular for a sum: the same from its rows.
        let Joint { rows, weights, .. } = &mut self.joint;
        let width = n + count;
        rows.clear();
        rows.resize(count * width, 0.0);
        weights.clear();
        weights.resize(width, 1.0);
        for (at, channel) in used.iter().enumerate() {
            let row = &mut rows[at * width..][..width];
            row.iter_mut()
                .zip(self.seen_bent.iter().skip(*channel).step_by(m))
                .take(n)
                .for_each(|(to, from)| *to = *from);
            row[n + at] = 1.0;
            weights[n + at] = variance[*channel];
        }
        packed::of_rows(count, width, rows, weights, noise)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: used[row] })
    }

    /// In coordinates ξ with x = x̂ + L ξ a measurement is z = ẑ + Gᵀ ξ + e: whitened by the factor of cov(e) it is a row of
    /// unit noise per channel, and the factored filter takes it.
    fn update_redrawn(&mut self, variance: &[f64]) -> Result<(), Error> {
        self.noise_factor(variance)?;
        let (n, m) = (self.order, self.channels);
        let Measured { used, innovation, white, noise, rows, ones, factor, roots, white_out } =
            &mut self.measured;
        let count = used.len();
        white.clear();
        white_out[..count].copy_from_slice(innovation);
        packed::solve(noise, &mut white_out[..count]);
        white.extend(white_out[..count].iter().copied().map(Some));
        // Rows of C⁻¹ Gᵀ, upside down and in units of the columns of U.
        let d = self.kalman.factors().1;
        for k in 0..n {
            let column = &mut white_out[..count];
            for (to, channel) in column.iter_mut().zip(&*used) {
                *to = self.seen[k * m + channel];
            }
            packed::solve(noise, column);
            let size = d[n - 1 - k].sqrt();
            for (row, entry) in column.iter().enumerate() {
                rows[row * n + n - 1 - k] = if size > 0.0 { entry / size } else { 0.0 };
            }
        }
        let found = self.kalman.update_projected(white, &rows[..count * n], &ones[..count])?;
        white_out[..count].copy_from_slice(found.white);
        // S = C (L̃ L̃ᵀ) Cᵀ.
        let at = |row: usize, column: usize| row * (row + 1) / 2 + column;
        for row in 0..count {
            for column in 0..=row {
                factor[at(row, column)] =
                    (column..=row).map(|k| noise[at(row, k)] * found.factor[at(k, column)]).sum();
            }
            roots[row] = factor[at(row, row)];
        }
        Ok(())
    }

    /// State and measurement from the same points: one Gram–Schmidt of both together gives gain and posterior.
    fn update_carried(&mut self, variance: &[f64]) -> Result<(), Error> {
        let (n, m) = (self.order, self.channels);
        let Measured { used, innovation, factor, roots, white_out, .. } = &mut self.measured;
        let count = used.len();
        let pairs = self.pairs;
        let (size, width) = (n + count, 2 * pairs + count);
        let Joint { rows, weights, u, d, spare } = &mut self.joint;
        rows.clear();
        rows.resize(size * width, 0.0);
        weights.clear();
        weights.resize(width, 1.0);
        u.resize((size * size).max(u.len()), 0.0);
        d.resize(size.max(d.len()), 0.0);
        for i in 0..n {
            let row = &mut rows[i * width..][..width];
            for k in 0..pairs {
                row[k] = self.moved[k * n + i];
                row[pairs + k] = self.bent[k * n + i];
            }
        }
        for (at, channel) in used.iter().enumerate() {
            let row = &mut rows[(n + at) * width..][..width];
            for k in 0..pairs {
                row[k] = self.seen[k * m + channel];
                row[pairs + k] = self.seen_bent[k * m + channel];
            }
            row[2 * pairs + at] = 1.0;
            weights[2 * pairs + at] = variance[*channel];
        }
        // S as a lower factor, from the measurements' rows.
        spare.clear();
        spare.extend_from_slice(&rows[n * width..]);
        packed::of_rows(count, width, spare, weights, factor)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: used[row] })?;
        let (u, d) = (&mut u[..size * size], &mut d[..size]);
        kernel::orthogonalise(size, width, rows, weights, u, d);
        // K ν = Uxz Uzz⁻¹ ν.
        let entry = |row: usize, column: usize| u[column * size + row];
        white_out[..count].copy_from_slice(innovation);
        packed::solve(factor, &mut white_out[..count]);
        (0..count).for_each(|row| roots[row] = factor[row * (row + 1) / 2 + row]);
        let rest = &mut self.above[..count];
        rest.copy_from_slice(innovation);
        for row in (0..count).rev() {
            let known: f64 = (row + 1..count).map(|k| entry(n + row, n + k) * rest[k]).sum();
            rest[row] -= known;
        }
        for (i, mean) in self.mean.iter_mut().enumerate() {
            *mean += rest.iter().enumerate().map(|(at, rest)| entry(i, n + at) * rest).sum::<f64>();
        }
        // What is left of the state: its own columns. From upper to lower triangle through the sum of their squares.
        spare.clear();
        for (k, d) in d.iter().enumerate().take(n) {
            spare.extend((0..n).map(|i| entry(i, k) * d.sqrt()));
        }
        let zero = vec![0.0; n * n];
        self.kalman.set_sum_of_squares([&spare[..], &[]], &zero, true);
        self.flip_mean();
        Ok(())
    }
}

/// centre ← mean of the points; bent ← columns whose squares are what the second differences add to the covariance.
///
/// Σ eᵢ eᵢᵀ + g (Σ e)(Σ e)ᵀ is Σ e′ᵢ e′ᵢᵀ with e′ᵢ = eᵢ − s Σ e and s = (1 − √(1 + k g)) / k for k columns.
fn settle(rows: usize, reach: f64, bend: f64, centre: &mut [f64], bent: &mut [f64], sum: &mut [f64]) {
    let pairs = (bent.len() / rows.max(1)).max(1) as f64;
    let share = (1.0 - (1.0 + pairs * bend).max(0.0).sqrt()) / pairs;
    sum.fill(0.0);
    for column in bent.chunks_exact(rows.max(1)) {
        for (sum, bent) in sum.iter_mut().zip(column) {
            *sum += bent;
        }
    }
    for (centre, sum) in centre.iter_mut().zip(&*sum) {
        *centre += sum / reach;
    }
    let size = 1.0 / reach.sqrt();
    for column in bent.chunks_exact_mut(rows.max(1)) {
        for (bent, sum) in column.iter_mut().zip(&*sum) {
            *bent = (*bent - share * sum) * size;
        }
    }
}

fn place(point: &mut [f64], mean: &[f64], reach: f64, column: &[f64]) {
    for ((point, mean), column) in point.iter_mut().zip(mean).zip(column) {
        *point = mean + reach * column;
    }
}

/// out += Σ columns columnᵀ.
fn add_squares(order: usize, columns: &[f64], out: &mut [f64]) {
    for column in columns.chunks_exact(order.max(1)) {
        for (row, factor) in out.chunks_exact_mut(order.max(1)).zip(column) {
            for (out, other) in row.iter_mut().zip(column) {
                *out += factor * other;
            }
        }
    }
}

#[cfg(test)]
mod tests;
