//! The linear Kalman filter for many states, by matrix products: fast from about 20 states on, and less forgiving.
//!
//! Sources: R. E. Kalman, *J. Basic Eng.* 82 (1960) 35–45; with S = H P Hᵀ + R = L Lᵀ and W = L⁻¹ H P, the update P ← P − Wᵀ W
//! (Bar-Shalom, Li, Kirubarajan (2001), §5.2, eq. 5.2.3-15) is symmetric, but a difference: where a sensor is more than ten
//! digits better than the prediction, it may turn indefinite, which the next update's factorisation finds and tells.
//! [`LinearKalman`](super::LinearKalman) keeps factors and does not.
//!
//! Products run in kernels that the machine's processor chooses when it runs, so the last bits differ between processors:
//! not for what is replayed or digested. Cost: 2 n³ + 2 m n² multiplications in products, m³/6 + m² n/2 in triangles.

use nalgebra::{DMatrix, DVector};

use super::{Innovation, packed};
use crate::Error;

/// A filter with fixed matrices and no factors.
#[derive(Clone, Debug)]
pub struct DenseKalman {
    transition: DMatrix<f64>,
    transposed: DMatrix<f64>,
    process: DMatrix<f64>,
    observation: DMatrix<f64>,
    noise: Vec<f64>,
    mean: DVector<f64>,
    next: DVector<f64>,
    covariance: DMatrix<f64>,
    moved: DMatrix<f64>,
    rows: DMatrix<f64>,
    rows_transposed: DMatrix<f64>,
    seen: DMatrix<f64>,
    joint: DMatrix<f64>,
    used: Vec<usize>,
    innovation: Vec<f64>,
    factor: Vec<f64>,
    white: Vec<f64>,
    roots: Vec<f64>,
}

impl DenseKalman {
    /// From F (n × n), Q (n × n), H (m × n), all row by row, the m noise variances R, x̂₀ and P₀ (n × n).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NotPositive`] for noise that is not positive.
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
            ("covariances", n * n, covariance.len()),
        ];
        for (what, expected, found) in sizes {
            if found != expected {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        if let Some(index) = noise.iter().position(|noise| !(*noise > 0.0 && noise.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        let all = [transition, process, observation, mean, covariance];
        if all.into_iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "filter matrix", time_s: 0.0 });
        }
        let square = |entries: &[f64]| DMatrix::from_row_slice(n, n, entries);
        let transition = square(transition);
        Ok(Self {
            transposed: transition.transpose(),
            transition,
            process: square(process),
            observation: DMatrix::from_row_slice(m, n, observation),
            noise: noise.to_vec(),
            mean: DVector::from_row_slice(mean),
            next: DVector::zeros(n),
            covariance: square(covariance),
            moved: DMatrix::zeros(n, n),
            rows: DMatrix::zeros(m, n),
            rows_transposed: DMatrix::zeros(n, m),
            seen: DMatrix::zeros(n, m),
            joint: DMatrix::zeros(m, m),
            used: Vec::with_capacity(m),
            innovation: Vec::with_capacity(m),
            factor: vec![0.0; m * (m + 1) / 2],
            white: vec![0.0; m],
            roots: vec![0.0; m],
        })
    }

    /// The estimate x̂.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    /// P, n × n.
    #[must_use]
    pub fn covariance(&self) -> &[f64] {
        self.covariance.as_slice()
    }

    /// Predicts, then takes in one measurement per channel; `None` drops out. No allocation.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotPositive`] when the innovation covariance is no longer positive: the filter has then
    /// to be set anew.
    pub fn step(&mut self, measured: &[Option<f64>]) -> Result<Innovation<'_>, Error> {
        let (n, m) = (self.mean.len(), self.noise.len());
        if measured.len() != m {
            return Err(Error::Dimension { what: "measurements", expected: m, found: measured.len() });
        }
        self.next.gemv(1.0, &self.transition, &self.mean, 0.0);
        core::mem::swap(&mut self.mean, &mut self.next);
        self.moved.gemm(1.0, &self.transition, &self.covariance, 0.0);
        self.covariance.copy_from(&self.process);
        self.covariance.gemm(1.0, &self.moved, &self.transposed, 1.0);
        self.used.clear();
        self.innovation.clear();
        for (channel, measured) in measured.iter().enumerate() {
            if let Some(measured) = measured.filter(|measured| measured.is_finite()) {
                let at = self.used.len();
                for k in 0..n {
                    let entry = self.observation[(channel, k)];
                    (self.rows[(at, k)], self.rows_transposed[(k, at)]) = (entry, entry);
                }
                self.used.push(channel);
                let predicted: f64 = self.rows_transposed.column(at).dot(&self.mean);
                self.innovation.push(measured - predicted);
            }
        }
        let count = self.used.len();
        let rows = self.rows.rows(0, count);
        let rows_transposed = self.rows_transposed.columns(0, count);
        // P Hᵀ and S; P is symmetric.
        let mut seen = self.seen.columns_mut(0, count);
        seen.gemm(1.0, &self.covariance, &rows_transposed, 0.0);
        let mut joint = self.joint.view_mut((0, 0), (count, count));
        joint.gemm(1.0, &rows, &seen, 0.0);
        let mut at = 0;
        for row in 0..count {
            for column in 0..=row {
                let noise = if row == column { self.noise[self.used[row]] } else { 0.0 };
                self.factor[at] = joint[(column, row)] + noise;
                at += 1;
            }
        }
        packed::cholesky(count, &mut self.factor)
            .map_err(|row| Error::NotPositive { what: "innovation covariance", index: self.used[row] })?;
        // W Wᵀ column by column of Wᵀ = P Hᵀ L⁻ᵀ: row i of L says how column i is made of those before it.
        let columns = self.seen.as_mut_slice();
        let mut nis = 0.0;
        let mut start = 0;
        for row in 0..count {
            let line = &self.factor[start..=start + row];
            start += row + 1;
            let (before, rest) = columns.split_at_mut(row * n);
            let column = &mut rest[..n];
            let mut white = self.innovation[row];
            for ((other, weight), told) in before.chunks_exact(n.max(1)).zip(line).zip(&self.white) {
                column.iter_mut().zip(other).for_each(|(entry, other)| *entry -= weight * other);
                white -= weight * told;
            }
            let root = line[row];
            let inverse = 1.0 / root;
            column.iter_mut().for_each(|entry| *entry *= inverse);
            (self.roots[row], self.white[row]) = (root, white * inverse);
            nis += self.white[row] * self.white[row];
            for (mean, entry) in self.mean.iter_mut().zip(&*column) {
                *mean += entry * self.white[row];
            }
        }
        let seen = self.seen.columns(0, count);
        for (row, column) in seen.column_iter().enumerate() {
            self.rows.row_mut(row).tr_copy_from(&column);
        }
        self.covariance.gemm(-1.0, &seen, &self.rows.rows(0, count), 1.0);
        let (used, rest) = (&self.used[..], &self.innovation[..]);
        Ok(Innovation::of(used, rest, &self.factor[..at], &self.white[..count], nis, &self.roots[..count]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::LinearKalman;
    use crate::noise::Noise;

    #[test]
    fn agrees_with_the_factored_filter() {
        let (n, m) = (24, 9);
        let mut noise = Noise::new(11, 0);
        let mut take =
            |count: usize, scale: f64| (0..count).map(|_| scale * noise.gaussian()).collect::<Vec<f64>>();
        let diagonal =
            |value: f64| (0..n * n).map(|at| if at / n == at % n { value } else { 0.0 }).collect::<Vec<_>>();
        let (f, h) = (take(n * n, 0.9 / (n as f64).sqrt()), take(m * n, 1.0));
        let (q, p, r) = (diagonal(0.1), diagonal(5.0), vec![0.3; m]);
        let mut factored = LinearKalman::new(&f, &q, &h, &r, &vec![0.0; n], &p).unwrap();
        let mut dense = DenseKalman::new(&f, &q, &h, &r, &vec![0.0; n], &p).unwrap();
        let mut covariance = vec![0.0; n * n];
        for step in 0..40 {
            let z: Vec<Option<f64>> = take(m, 2.0)
                .into_iter()
                .enumerate()
                .map(|(at, z)| ((step + at) % 7 != 0).then_some(z))
                .collect();
            let expected = factored.step(&z).unwrap();
            let found = dense.step(&z).unwrap();
            assert_eq!(found.used, expected.used);
            assert!((found.nis - expected.nis).abs() < 1e-9 * expected.nis.max(1.0));
            assert!((found.log_likelihood() - expected.log_likelihood()).abs() < 1e-9);
            let lists = [(found.factor, expected.factor), (found.white, expected.white)];
            assert!(lists.iter().all(|(a, b)| a.iter().zip(*b).all(|(a, b)| (a - b).abs() < 1e-9)));
            factored.kalman().covariance(&mut covariance);
            let pairs = dense
                .covariance()
                .iter()
                .zip(&covariance)
                .chain(dense.mean().iter().zip(factored.kalman().mean()));
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-10));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_lost_positivity_is_told() {
        let new = |noise: &[f64]| DenseKalman::new(&[1.0], &[0.0], &[1.0], noise, &[0.0], &[1.0]);
        assert!(matches!(new(&[0.0]), Err(Error::NotPositive { .. })));
        assert!(matches!(new(&[1.0, 1.0]), Err(Error::Dimension { .. })));
        assert!(new(&[1.0]).unwrap().step(&[]).is_err());
        let mut wrong = DenseKalman::new(&[1.0], &[0.0], &[1.0], &[0.1], &[0.0], &[-1.0]).unwrap();
        assert!(matches!(wrong.step(&[Some(1.0)]), Err(Error::NotPositive { .. })));
    }
}
