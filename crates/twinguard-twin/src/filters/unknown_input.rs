//! An observer for inputs that nobody knows: the state as if they were anything, and what they must have been.
//!
//! Sources: Kitanidis, *Automatica* 23 (1987) 775 (unbiased gain); Gillijns, De Moor, *Automatica* 43 (2007) 111, eq. 10–15 (the
//! estimate of the input). For x⁺ = F x + G d + w, z = H x + v with any d: with ν = z − H x̂⁻, S = H P⁻ Hᵀ + R = L Lᵀ and
//! E = L⁻¹ H G, the input is d̂ = (Eᵀ E)⁻¹ Eᵀ L⁻¹ ν with covariance (Eᵀ E)⁻¹; what is orthogonal to E is a residual that no d
//! can cause: it stays χ² with m − q degrees of freedom while d does what it likes, which is what tells a lying sensor from
//! an attacked actuator.
//!
//! P⁺ = (I − K H) P⁻ (I − K H)ᵀ + K R Kᵀ as a sum of squares, with K = K₀ + (I − K₀ H) G M, K₀ = P⁻ Hᵀ S⁻¹. When it lies: an
//! input that reaches no measurement within one step (rank of H G below q) cannot be seen; that is an error, not a guess.
//! Cost: about 3 n³ + m³.

use super::{Kalman, packed};
use crate::Error;

/// A filter for a linear system with q unknown inputs.
#[derive(Clone, Debug)]
pub struct UnknownInput {
    kalman: Kalman,
    n: usize,
    m: usize,
    q: usize,
    transition: Vec<f64>,
    columns: Vec<f64>,
    process: Vec<f64>,
    unknown: Vec<f64>,
    observation: Vec<f64>,
    noise: Vec<f64>,
    found: Found,
}

#[derive(Clone, Debug, Default)]
struct Found {
    used: Vec<usize>,
    innovation: Vec<f64>,
    factor: Vec<f64>,
    residual: Vec<f64>,
    input: Vec<f64>,
    input_covariance: Vec<f64>,
    nis: f64,
    log_likelihood: f64,
}

/// What an update says, with the unknown input taken out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoupled<'a> {
    /// Which channels took part, ascending.
    pub used: &'a [usize],
    /// Measured minus predicted without the input, per channel that took part.
    pub innovation: &'a [f64],
    /// Lower Cholesky factor of the covariance that the innovation has when the input is zero, packed by rows.
    pub factor: &'a [f64],
    /// L⁻¹ ν without what an input could cause; `dof` independent unit variances in as many entries as channels.
    pub residual: &'a [f64],
    /// Square of the residual: χ² with [`dof`](Self::dof) degrees of freedom.
    pub nis: f64,
    /// Channels in use minus unknown inputs.
    pub dof: usize,
    /// log-likelihood with a flat prior over the input, nats.
    pub log_likelihood: f64,
    /// The input, q numbers.
    pub input: &'a [f64],
    /// Its covariance, q × q.
    pub input_covariance: &'a [f64],
}

impl UnknownInput {
    /// From F (n × n), G (n × q), Q (n × n), H (m × n) by rows, R (m), x̂₀ and P₀ (n × n).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`].
    pub fn new(
        transition: &[f64],
        unknown: &[f64],
        process: &[f64],
        observation: &[f64],
        noise: &[f64],
        mean: &[f64],
        covariance: &[f64],
    ) -> Result<Self, Error> {
        let (n, m) = (mean.len(), noise.len());
        let q = unknown.len() / n.max(1);
        let sizes = [
            ("transition entries", n * n, transition.len()),
            ("unknown input entries", n * q, unknown.len()),
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
        if transition.iter().chain(unknown).chain(process).chain(observation).any(|entry| !entry.is_finite())
        {
            return Err(Error::NotFinite { what: "filter matrix", time_s: 0.0 });
        }
        Ok(Self {
            kalman: Kalman::new(mean, covariance, m)?,
            n,
            m,
            q,
            transition: transition.to_vec(),
            columns: (0..n * n).map(|at| transition[at % n * n + at / n]).collect(),
            process: process.to_vec(),
            unknown: unknown.to_vec(),
            observation: observation.to_vec(),
            noise: noise.to_vec(),
            found: Found::default(),
        })
    }

    /// The state behind it.
    #[must_use]
    pub fn kalman(&self) -> &Kalman {
        &self.kalman
    }

    /// One step: prediction without the input, then the measurements, `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::Unobservable`] with the input that the measurements at hand cannot tell: the filter is
    /// then where the prediction without an input leaves it.
    pub fn step(&mut self, measured: &[Option<f64>]) -> Result<Decoupled<'_>, Error> {
        let (n, q) = (self.n, self.q);
        if measured.len() != self.m {
            return Err(Error::Dimension { what: "measurements", expected: self.m, found: measured.len() });
        }
        let moved: Vec<f64> =
            self.transition.chunks_exact(n.max(1)).map(|row| dot(row, self.kalman.mean())).collect();
        self.kalman.mean_mut().copy_from_slice(&moved);
        self.kalman.predict(&self.columns, &self.process);
        let Found { used, innovation, factor, residual, input, input_covariance, .. } = &mut self.found;
        used.clear();
        innovation.clear();
        let row = |channel: usize| &self.observation[channel * n..][..n];
        for (channel, measured) in measured.iter().enumerate() {
            if let Some(measured) = measured.filter(|measured| measured.is_finite()) {
                used.push(channel);
                innovation.push(measured - dot(row(channel), self.kalman.mean()));
            }
        }
        let count = used.len();
        let mut root = vec![0.0; n * n];
        self.kalman.root(&mut root);
        // H S⁻, whose square with R is S; as rows, for a sum may lose the noise.
        let seen: Vec<f64> = used
            .iter()
            .flat_map(|channel| root.chunks_exact(n.max(1)).map(move |column| dot(row(*channel), column)))
            .collect();
        let width = n + count;
        let (mut rows, mut weights) = (vec![0.0; count * width], vec![1.0; n]);
        for (at, line) in rows.chunks_exact_mut(width.max(1)).enumerate() {
            line[..n].copy_from_slice(&seen[at * n..][..n]);
            line[n + at] = 1.0;
        }
        weights.extend(used.iter().map(|channel| self.noise[*channel]));
        factor.clear();
        factor.resize(count * (count + 1) / 2, 0.0);
        packed::of_rows(count, width, &mut rows, &weights, factor)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: used[row] })?;
        residual.clear();
        residual.extend_from_slice(innovation);
        packed::solve(factor, residual);
        // E, by columns, and E = B T by Gram–Schmidt, done twice.
        let mut basis: Vec<f64> = (0..q)
            .flat_map(|input| used.iter().map(move |channel| (input, *channel)))
            .map(|(input, channel)| (0..n).map(|i| row(channel)[i] * self.unknown[i * q + input]).sum())
            .collect();
        let mut triangle = vec![0.0; q * q];
        for k in 0..q {
            let (before, rest) = basis.split_at_mut(k * count);
            let column = &mut rest[..count];
            packed::solve(factor, column);
            let size = dot(column, column).sqrt();
            for _ in 0..2 {
                for (j, other) in before.chunks_exact(count.max(1)).enumerate() {
                    let shared = dot(other, column);
                    triangle[j * q + k] += shared;
                    column.iter_mut().zip(other).for_each(|(entry, other)| *entry -= shared * other);
                }
            }
            let norm = dot(column, column).sqrt();
            if !(norm > 1e-9 * size && norm > 0.0) {
                return Err(Error::Unobservable { what: "unknown input", index: k });
            }
            triangle[k * q + k] = norm;
            column.iter_mut().for_each(|entry| *entry /= norm);
        }
        // d̂ = T⁻¹ Bᵀ L⁻¹ ν; the residual loses its part along B.
        let along: Vec<f64> =
            basis.chunks_exact(count.max(1)).take(q).map(|column| dot(column, residual)).collect();
        for (column, along) in basis.chunks_exact(count.max(1)).zip(&along) {
            residual.iter_mut().zip(column).for_each(|(entry, column)| *entry -= along * column);
        }
        let back = |x: &mut [f64]| {
            for row in (0..q).rev() {
                let known: f64 = (row + 1..q).map(|k| triangle[row * q + k] * x[k]).sum();
                x[row] = (x[row] - known) / triangle[row * q + row];
            }
        };
        input.clear();
        input.extend_from_slice(&along);
        back(input);
        input_covariance.clear();
        input_covariance.resize(q * q, 0.0);
        for k in 0..q {
            // T⁻¹ column by column; (EᵀE)⁻¹ = T⁻¹ T⁻ᵀ.
            let mut unit = vec![0.0; q];
            unit[k] = 1.0;
            back(&mut unit);
            for i in 0..q {
                for j in 0..q {
                    input_covariance[i * q + j] += unit[i] * unit[j];
                }
            }
        }
        let gain =
            gain(n, q, &seen, &root, factor, count, &basis, &back, &self.unknown, |i, k| row(used[i])[k]);
        let mut mean = self.kalman.mean().to_vec();
        for (i, mean) in mean.iter_mut().enumerate() {
            *mean += dot(&gain[i * count..][..count], innovation);
        }
        // (I − K H) S⁻ and K √R.
        let mut left = root.clone();
        for (k, column) in left.chunks_exact_mut(n.max(1)).enumerate() {
            for (i, entry) in column.iter_mut().enumerate() {
                *entry -= (0..count).map(|at| gain[i * count + at] * seen[at * n + k]).sum::<f64>();
            }
        }
        let noisy: Vec<f64> = (0..count)
            .flat_map(|at| (0..n).map(move |i| (at, i)))
            .map(|(at, i)| gain[i * count + at] * self.noise[used[at]].sqrt())
            .collect();
        self.kalman.set_sum_of_squares([&left, &noisy], &vec![0.0; n * n], false);
        self.kalman.mean_mut().copy_from_slice(&mean);
        let dof = count - q;
        self.found.nis = self.found.residual.iter().map(|entry| entry * entry).sum();
        let logs: f64 = (0..count).map(|row| libm::log(self.found.factor[row * (row + 1) / 2 + row])).sum();
        let seen_logs: f64 = (0..q).map(|k| libm::log(triangle[k * q + k])).sum();
        let ln_2pi = 1.837_877_066_409_345_3;
        self.found.log_likelihood = -logs - seen_logs - 0.5 * (self.found.nis + dof as f64 * ln_2pi);
        let Found { used, innovation, factor, residual, input, input_covariance, nis, log_likelihood } =
            &self.found;
        let (nis, log_likelihood) = (*nis, *log_likelihood);
        Ok(Decoupled {
            used,
            innovation,
            factor,
            residual,
            nis,
            dof,
            log_likelihood,
            input,
            input_covariance,
        })
    }
}

/// K = K₀ + (I − K₀ H) G M by rows (n × count), M = T⁻¹ Bᵀ L⁻¹, K₀ = S⁻ (H S⁻)ᵀ S⁻¹.
#[allow(clippy::too_many_arguments, reason = "the equation has as many symbols")]
fn gain(
    n: usize,
    q: usize,
    seen: &[f64],
    root: &[f64],
    factor: &[f64],
    count: usize,
    basis: &[f64],
    back: &impl Fn(&mut [f64]),
    unknown: &[f64],
    observation: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut gain = vec![0.0; n * count];
    for (i, line) in gain.chunks_exact_mut(count.max(1)).enumerate().take(n) {
        for (at, entry) in line.iter_mut().enumerate() {
            *entry = (0..n).map(|k| root[k * n + i] * seen[at * n + k]).sum();
        }
        packed::solve(factor, line);
        packed::solve_transposed(factor, line);
    }
    // G less what K₀ H makes of it.
    let mut rest = unknown.to_vec();
    for input in 0..q {
        let reached: Vec<f64> =
            (0..count).map(|at| (0..n).map(|k| observation(at, k) * unknown[k * q + input]).sum()).collect();
        for i in 0..n {
            rest[i * q + input] -= dot(&gain[i * count..][..count], &reached);
        }
    }
    for at in 0..count {
        // Column `at` of M: T⁻¹ Bᵀ L⁻¹ e.
        let mut unit = vec![0.0; count];
        unit[at] = 1.0;
        packed::solve(factor, &mut unit);
        let mut told: Vec<f64> =
            basis.chunks_exact(count.max(1)).take(q).map(|column| dot(column, &unit)).collect();
        back(&mut told);
        for i in 0..n {
            gain[i * count + at] += dot(&rest[i * q..][..q], &told);
        }
    }
    gain
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::LinearKalman;
    use crate::noise::Noise;

    const F: [f64; 4] = [0.9, 0.1, 0.0, 0.8];
    const H: [f64; 6] = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];

    fn observer() -> UnknownInput {
        UnknownInput::new(
            &F,
            &[0.0, 1.0],
            &[0.01, 0.0, 0.0, 0.01],
            &H,
            &[0.04; 3],
            &[0.0; 2],
            &[1.0, 0.0, 0.0, 1.0],
        )
        .unwrap()
    }

    /// The limit that it stands for: a Kalman filter to which the input is white noise of nearly any size.
    #[test]
    fn it_is_the_kalman_filter_with_boundless_noise_on_the_input() {
        let mut observer = observer();
        let mut kalman =
            LinearKalman::new(&F, &[0.01, 0.0, 0.0, 1e7], &H, &[0.04; 3], &[0.0; 2], &[1.0, 0.0, 0.0, 1.0])
                .unwrap();
        for step in 0..20 {
            let z = [Some(f64::sin(f64::from(step))), Some(3.0), (step != 4).then_some(2.0)];
            kalman.step(&z).unwrap();
            observer.step(&z).unwrap();
            let (mut a, mut b) = ([0.0; 4], [0.0; 4]);
            kalman.kalman().covariance(&mut a);
            observer.kalman().covariance(&mut b);
            let pairs = a.iter().zip(&b).chain(kalman.kalman().mean().iter().zip(observer.kalman().mean()));
            for (left, right) in pairs {
                assert!((left - right).abs() < 1e-6 * left.abs().max(1.0), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn any_input_is_told_and_leaves_the_residual_alone_but_a_lying_sensor_does_not() {
        let mut observer = observer();
        let mut noise = Noise::new(2, 0);
        let mut x = [0.0; 2];
        let (mut off, mut honest, mut lying) = (0.0, 0.0, 0.0);
        for step in 0..2_000 {
            let d = 5.0 * f64::sin(f64::from(step) * 0.7) + f64::from(step % 50);
            x = [
                F[0] * x[0] + F[1] * x[1] + 0.1 * noise.gaussian(),
                F[3] * x[1] + d + 0.1 * noise.gaussian(),
            ];
            let bias = if step >= 1_000 { 1.0 } else { 0.0 };
            let z = [x[0] + bias, x[1], x[0] + x[1]].map(|z| Some(z + 0.2 * noise.gaussian()));
            let found = observer.step(&z).unwrap();
            assert_eq!(found.dof, 2);
            if step < 1_000 {
                off += (found.input[0] - d).powi(2) / found.input_covariance[0];
                honest += found.nis;
            } else {
                lying += found.nis;
            }
            assert!(observer.kalman().factors().1.iter().all(|d| *d > 0.0));
        }
        assert!((honest / 2_000.0 - 1.0).abs() < 0.1, "{honest}");
        assert!((off / 1_000.0 - 1.0).abs() < 0.15, "{off}");
        assert!(lying > 2.0 * honest, "{lying} {honest}");
    }

    #[test]
    fn an_input_that_reaches_no_sensor_in_time_is_named() {
        let mut observer = observer();
        let error = observer.step(&[Some(0.0), None, None]).unwrap_err();
        assert!(matches!(error, Error::Unobservable { what: "unknown input", index: 0 }), "{error}");
        assert!(matches!(observer.step(&[None; 3]), Err(Error::Unobservable { .. })));
        assert!(observer.step(&[None; 2]).is_err());
        let wrong = UnknownInput::new(&F, &[1.0], &F, &H, &[0.0; 3], &[0.0; 2], &F);
        assert!(matches!(wrong, Err(Error::Dimension { .. })));
    }
}
