//! Canonical variates: what of the past tells about the future, and what does not.
//!
//! Source: Larimore, *Canonical variate analysis in identification, filtering and adaptive control*, CDC 1990; Russell, Chiang, Braatz,
//! *Data-driven Methods for Fault Detection*, Springer 2000, §7.3 (states z = Jp, T² = zᵀz, Q of the rest). Windows of the statistic hold the
//! future rows first, then the past ones. It lies where the plant is not linear. Cost: the square of the past's values a row.

use super::super::{Covariance, Grid, algebra::eigen, gram::Gram, refused, tally::Plan};
use super::Model;
use crate::linalg::{cholesky, forward};
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Whitened past, and the directions in it that tell most about the future.
#[derive(Clone, Debug, PartialEq)]
pub struct Canonical {
    /// Over the rows of the past.
    plan: Gram,
    mean: Vec<f64>,
    /// States from a centred past: rows of J.
    states: Vec<f64>,
    /// Whitened past from a centred past: L⁻¹, lower triangle row-major.
    whitening: Vec<f64>,
}

/// Raised to the diagonals, so that a redundant column costs precision and no more.
const RIDGE: f64 = 1e-6;

impl Canonical {
    /// So many states from windows of `past` + `future` rows.
    ///
    /// # Errors
    /// [`Error::Setting`] when the covariance is not over so many rows, or for more states than the past or future has values.
    pub fn fit(covariance: &Covariance, past: u32, states: usize) -> Result<Self, Error> {
        let (n, d) = (covariance.width(), covariance.plan.grid().width());
        let future = (covariance.plan.lags() + 1).checked_sub(past).filter(|future| *future > 0 && past > 0);
        let f = future.ok_or(refused("past", f64::from(past), "at least 1, with future rows beside it"))?
            as usize
            * d;
        let p = n - f;
        if states == 0 || states > p.min(f) {
            return Err(refused("states", states as f64, "1 up to the values of past and future"));
        }
        let block = |start: usize, size: usize| {
            let mut out = vec![0.0; size * size];
            for i in 0..size {
                for j in 0..=i {
                    out[i * size + j] = covariance.matrix[(start + i) * n + start + j];
                }
                out[i * size + i] += RIDGE;
            }
            cholesky(&mut out, size, 1e-12);
            out
        };
        let (lf, lp) = (block(0, f), block(f, p));
        // rows of h: one for each value of the past; L_f⁻¹ Σ_fp first, then L_p⁻¹ from the other side
        let mut h: Vec<f64> = Vec::with_capacity(p * f);
        for i in 0..p {
            let mut column: Vec<f64> = (0..f).map(|j| covariance.matrix[(f + i) * n + j]).collect();
            forward(&lf, f, &mut column);
            h.extend(column);
        }
        let mut turned = vec![0.0; f * p];
        for j in 0..f {
            let row = &mut turned[j * p..(j + 1) * p];
            (0..p).for_each(|i| row[i] = h[i * f + j]);
            forward(&lp, p, row);
        }
        let mut gram = vec![0.0; p * p];
        for row in turned.chunks_exact(p) {
            for i in 0..p {
                for j in 0..p {
                    gram[i * p + j] += row[i] * row[j];
                }
            }
        }
        let (_, vectors) = eigen(&gram, p);
        let mut whitening = vec![0.0; p * p];
        for i in 0..p {
            let mut unit = vec![0.0; p];
            unit[i] = 1.0;
            forward(&lp, p, &mut unit);
            (0..p).for_each(|row| whitening[row * p + i] = unit[row]);
        }
        let mut out = vec![0.0; states * p];
        for (row, v) in out.chunks_exact_mut(p).zip(vectors.chunks_exact(p)) {
            for (weight, w) in v.iter().zip(whitening.chunks_exact(p)) {
                row.iter_mut().zip(w).for_each(|(sum, w)| *sum += weight * w);
            }
        }
        let plan = Gram::new(covariance.plan.grid().clone(), past - 1)?;
        let mean = covariance.mean.get(f..).unwrap_or_default().to_vec();
        Ok(Self { plan, mean, states: out, whitening })
    }

    /// T² of the states, and Q of the rest of the whitened past.
    #[must_use]
    pub fn statistics(&self, window: &[i64]) -> (f64, f64) {
        let x = super::centred(window, self.plan.grid().steps(), &self.mean);
        let length = |rows: &[f64]| -> f64 {
            let row = |row: &[f64]| x.clone().zip(row).map(|(x, w)| x * w).sum::<f64>();
            rows.chunks_exact(self.mean.len().max(1)).map(row).map(|sum| sum * sum).sum()
        };
        let t2 = length(&self.states);
        (t2, (length(&self.whitening) - t2).max(0.0))
    }
}

impl Archive for Canonical {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.mean.save(writer);
        self.states.save(writer);
        self.whitening.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, mean) = (Gram::load(reader)?, Vec::<f64>::load(reader)?);
        let (states, whitening) = <(Vec<f64>, Vec<f64>)>::load(reader)?;
        let p = plan.values();
        if mean.len() != p || whitening.len() != p * p || states.is_empty() || !states.len().is_multiple_of(p)
        {
            return Err(reader.refuse("canonical variates that cannot be"));
        }
        Ok(Self { plan, mean, states, whitening })
    }
}

impl Model for Canonical {
    const NAME: &'static str = "canonical";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn memory(&self) -> usize {
        self.plan.memory()
    }

    fn score(&self, window: &[i64]) -> f64 {
        let (t2, q) = self.statistics(window);
        let states = self.states.len() / self.mean.len().max(1);
        let rest = self.mean.len().saturating_sub(states).max(1);
        t2 / states.max(1) as f64 + q / rest as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Quantise, Tally};
    use super::*;

    #[test]
    fn states_have_unit_variance_and_the_mean_score_is_two() {
        let (mut x, mut state) = ([0.0; 2], 7_u64);
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut rows = Vec::new();
        for _ in 0..5000 {
            x = [0.9 * x[0] + 0.3 * noise(), 0.5 * x[1] + 0.2 * x[0] + 0.3 * noise()];
            rows.push(x);
        }
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0); 2]).unwrap(), 3).unwrap());
        rows.iter().for_each(|row| assert!(tally.observe(row).is_ok()));
        let model = Canonical::fit(&Covariance::of(&tally).unwrap(), 2, 2).unwrap();
        let mut scorer = super::super::Scorer::new(&model);
        let scores: Vec<f64> = rows.iter().filter_map(|row| scorer.observe(row).unwrap()).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        assert!((mean - 2.0).abs() < 0.05, "{mean}");
        let most = scores.iter().copied().fold(0.0, f64::max);
        scorer.observe(&[2.0, -2.0]).unwrap();
        assert!(scorer.observe(&[-2.0, 2.0]).unwrap().unwrap() > 2.0 * most);
        assert!(Canonical::fit(&Covariance::of(&tally).unwrap(), 4, 1).is_err(), "no future");
    }
}
