//! Regressions among columns, fitted from a covariance: from the rows before (VAR), or from the other columns (redundancy).
//!
//! Source: Lütkepohl, *New Introduction to Multiple Time Series Analysis*, 2005, §3.2 (least squares), with a ridge (Hoerl, Kennard,
//! Technometrics 12, 1970). The score is the mean over the columns of the squared residual over its variance in training, which follows
//! from the covariance alone. It lies when the plant is driven harder than in training. Cost: d·features multiplications a row.

use super::super::{
    Covariance, Grid,
    algebra::{left_over, ridge},
    gram::Gram,
    refused,
    tally::Plan,
};
use super::Model;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Each column of the newest row from other values of the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    plan: Gram,
    mean: Vec<f64>,
    /// Column by column, one weight for each value of the window; zero for values that are not used.
    weights: Vec<f64>,
    variances: Vec<f64>,
}

impl Regression {
    /// Vector autoregression: every column from all columns of the rows before. The ridge is in units of the grid squared.
    ///
    /// # Errors
    /// [`Error::Setting`] for a covariance without lags, or a ridge that is negative.
    pub fn var(covariance: &Covariance, ridge: f64) -> Result<Self, Error> {
        let d = covariance.plan.grid().width();
        if covariance.plan.lags() == 0 {
            return Err(refused("lags", 0.0, "at least 1"));
        }
        Self::fit(covariance, ridge, |_| (d..covariance.width()).collect())
    }

    /// Redundancy: every column from the other columns of the same row.
    ///
    /// # Errors
    /// [`Error::Setting`] for a single column, or a ridge that is negative.
    pub fn redundancy(covariance: &Covariance, ridge: f64) -> Result<Self, Error> {
        let d = covariance.plan.grid().width();
        if d < 2 {
            return Err(refused("columns", d as f64, "at least 2"));
        }
        Self::fit(covariance, ridge, |column| (0..d).filter(|other| *other != column).collect())
    }

    fn fit(
        covariance: &Covariance,
        penalty: f64,
        features: impl Fn(usize) -> Vec<usize>,
    ) -> Result<Self, Error> {
        if !(penalty >= 0.0 && penalty.is_finite()) {
            return Err(refused("ridge", penalty, "zero or more"));
        }
        let (n, d) = (covariance.width(), covariance.plan.grid().width());
        let mut weights = vec![0.0; d * n];
        let mut variances = Vec::with_capacity(d);
        for column in 0..d {
            let chosen = features(column);
            let solved = ridge(&covariance.matrix, n, &chosen, column, penalty.max(1e-9));
            variances.push(left_over(&covariance.matrix, n, &chosen, column, &solved).max(1e-9));
            chosen.iter().zip(&solved).for_each(|(feature, weight)| weights[column * n + feature] = *weight);
        }
        Ok(Self { plan: covariance.plan.clone(), mean: covariance.mean.clone(), weights, variances })
    }

    /// Variance of each column's residual in training, in grid units squared.
    #[must_use]
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The residual of one column over its standard deviation in training.
    #[must_use]
    pub fn residual(&self, column: usize, window: &[i64]) -> f64 {
        let x = super::centred(window, self.plan.grid().steps(), &self.mean);
        let n = self.mean.len();
        let (Some(weights), Some(variance)) =
            (self.weights.get(column * n..(column + 1) * n), self.variances.get(column))
        else {
            return 0.0;
        };
        let own = x.clone().nth(column).unwrap_or_default();
        let expected: f64 = x.zip(weights).map(|(x, w)| x * w).sum();
        (own - expected) / variance.sqrt()
    }
}

impl Archive for Regression {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.mean.save(writer);
        self.weights.save(writer);
        self.variances.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, mean) = (Gram::load(reader)?, Vec::<f64>::load(reader)?);
        let (weights, variances) = <(Vec<f64>, Vec<f64>)>::load(reader)?;
        let d = plan.grid().width();
        let sound = mean.len() == plan.values() && weights.len() == d * mean.len() && variances.len() == d;
        if !sound || !variances.iter().all(|variance| *variance > 0.0) {
            return Err(reader.refuse("a regression that cannot be"));
        }
        Ok(Self { plan, mean, weights, variances })
    }
}

impl Model for Regression {
    const NAME: &'static str = "regression";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn memory(&self) -> usize {
        self.plan.memory()
    }

    fn score(&self, window: &[i64]) -> f64 {
        let d = self.variances.len();
        let square = |column: usize| {
            let residual = self.residual(column, window);
            residual * residual
        };
        (0..d).map(square).sum::<f64>() / d.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Quantise, Tally};
    use super::super::Scorer;
    use super::*;

    fn learn(lags: u32, rows: impl Iterator<Item = [f64; 2]>) -> Covariance {
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0); 2]).unwrap(), lags).unwrap());
        rows.for_each(|row| assert!(tally.observe(&row).is_ok()));
        Covariance::of(&tally).unwrap()
    }

    #[test]
    fn var_finds_the_law_and_its_noise() {
        let (mut x, mut state) = (0.0, 1_u64);
        let rows = (0..4000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
            let before = x;
            x = 0.8 * x + noise;
            [before, noise]
        });
        let rows: Vec<[f64; 2]> = rows.collect();
        let model = Regression::var(&learn(1, rows.iter().copied()), 1e-6).unwrap();
        assert!(model.variances()[0] < 1e-5, "{:?}", model.variances());
        assert!((model.variances()[1] - 1.0 / 12.0).abs() < 5e-3);
        let mut scorer = Scorer::new(&model);
        let normal = rows.iter().filter_map(|row| scorer.observe(row).unwrap()).fold(0.0, f64::max);
        assert!(scorer.observe(&[rows[3999][0] + 1.0, 0.0]).unwrap().unwrap() > 10.0 * normal);
        assert!(Regression::var(&learn(0, rows.into_iter()), 0.0).is_err());
    }

    #[test]
    fn redundant_columns_vouch_for_each_other() {
        let rows = (0..500).map(|k| {
            let a = f64::from(k * 7919 % 503) / 100.0;
            [a, 2.0 * a + f64::from(k % 7) / 100.0]
        });
        let model = Regression::redundancy(&learn(0, rows), 1e-6).unwrap();
        let mut scorer = Scorer::new(&model);
        assert!(scorer.observe(&[2.0, 4.03]).unwrap().unwrap() < 5.0);
        assert!(scorer.observe(&[2.0, 5.0]).unwrap().unwrap() > 100.0);
    }
}
