//! Distance from and within a principal subspace: Hotelling's T² and the squared prediction error.
//!
//! Source: Jackson, Mudholkar, *Control procedures for residuals associated with principal component analysis*, Technometrics 21, 1979
//! (SPE); Hotelling 1947 (T²); Yue, Qin, Ind. Eng. Chem. Res. 40, 2001 (their sum, each over its mean). With lags it is dynamic PCA (Ku et
//! al. 1995); of one column about zero, with lags, the score is PASAD's departure (Aoudi, Iturbe, Almgren, CCS 2018, §4). It lies where
//! normal operation is curved, and does not see what stays in the subspace and near its centre. Cost: D·k multiplications a row.

use super::super::{Covariance, Grid, algebra::eigen, gram::Gram, refused, tally::Plan};
use super::{Model, centred};
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Directions of most variance, their variances, and what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Subspace {
    plan: Gram,
    mean: Vec<f64>,
    /// Unit vectors as rows.
    vectors: Vec<f64>,
    variances: Vec<f64>,
    /// Mean of the squared prediction error in training.
    rest: f64,
}

impl Subspace {
    /// The fewest directions that hold this share of the variance.
    ///
    /// # Errors
    /// [`Error::Setting`] for a share that is not between 0 and 1.
    pub fn fit(covariance: &Covariance, share: f64) -> Result<Self, Error> {
        if !(share > 0.0 && share < 1.0) {
            return Err(refused("share", share, "between 0 and 1"));
        }
        let (values, vectors) = eigen(&covariance.matrix, covariance.width());
        let wanted = share * values.iter().map(|value| value.max(0.0)).sum::<f64>();
        let mut sum = 0.0;
        let held = values.iter().take_while(|value| {
            let before = sum;
            sum += value.max(0.0);
            before < wanted
        });
        let k = held.count();
        Ok(Self::of(covariance, values, vectors, k))
    }

    /// So many directions.
    ///
    /// # Errors
    /// [`Error::Setting`] for more directions than values.
    pub fn with_directions(covariance: &Covariance, k: usize) -> Result<Self, Error> {
        if k > covariance.width() {
            return Err(refused("k", k as f64, "at most the number of values"));
        }
        let (values, vectors) = eigen(&covariance.matrix, covariance.width());
        Ok(Self::of(covariance, values, vectors, k))
    }

    fn of(covariance: &Covariance, values: Vec<f64>, mut vectors: Vec<f64>, k: usize) -> Self {
        let floor = 1e-9 * values.first().copied().unwrap_or(0.0).max(1e-6);
        vectors.truncate(k * covariance.width());
        let (held, rest) = values.split_at(k);
        Self {
            plan: covariance.plan.clone(),
            mean: covariance.mean.clone(),
            vectors,
            variances: held.iter().map(|value| value.max(floor)).collect(),
            rest: rest.iter().map(|value| value.max(0.0)).sum::<f64>().max(floor),
        }
    }

    /// Number of directions.
    #[must_use]
    pub fn directions(&self) -> usize {
        self.variances.len()
    }

    /// Directions of unit length, as rows.
    #[must_use]
    pub fn vectors(&self) -> &[f64] {
        &self.vectors
    }

    /// Hotelling's T² and the squared prediction error of a window, in grid units.
    #[must_use]
    pub fn statistics(&self, window: &[i64]) -> (f64, f64) {
        let x = centred(window, self.plan.grid().steps(), &self.mean);
        let (mut t2, mut spe) = (0.0, x.clone().map(|x| x * x).sum::<f64>());
        for (vector, variance) in self.vectors.chunks_exact(self.mean.len().max(1)).zip(&self.variances) {
            let along: f64 = x.clone().zip(vector).map(|(x, v)| x * v).sum();
            t2 += along * along / variance;
            spe -= along * along;
        }
        (t2, spe.max(0.0))
    }

    /// How far each value of the newest row lies off the subspace, squared, in grid units; `out` holds one number per column.
    pub fn departures(&self, window: &[i64], out: &mut [f64]) {
        let x = centred(window, self.plan.grid().steps(), &self.mean);
        out.iter_mut().zip(x.clone()).for_each(|(out, x)| *out = x);
        for vector in self.vectors.chunks_exact(self.mean.len().max(1)) {
            let along: f64 = x.clone().zip(vector).map(|(x, v)| x * v).sum();
            out.iter_mut().zip(vector).for_each(|(out, v)| *out -= along * v);
        }
        out.iter_mut().for_each(|out| *out *= *out);
    }

    /// Share of a covariance's variance that the directions hold; zero for another number of values.
    #[must_use]
    pub fn captured(&self, covariance: &Covariance) -> f64 {
        self.along(covariance).iter().sum::<f64>() / total(covariance).max(f64::MIN_POSITIVE)
    }

    /// Mean score of rows with this covariance about their own mean; 2 for those of the training.
    #[must_use]
    pub fn expected_score(&self, covariance: &Covariance) -> f64 {
        let along = self.along(covariance);
        let t2: f64 = along.iter().zip(&self.variances).map(|(own, variance)| own / variance).sum();
        let spe = (total(covariance) - along.iter().sum::<f64>()).max(0.0);
        t2 / self.directions().max(1) as f64 + spe / self.rest
    }

    /// Variance along each direction.
    fn along(&self, covariance: &Covariance) -> Vec<f64> {
        let d = covariance.width();
        if d != self.mean.len() {
            return Vec::new();
        }
        let of = |v: &[f64]| -> f64 {
            let row = |i: usize| {
                covariance.matrix[i * d..(i + 1) * d].iter().zip(v).map(|(m, x)| m * x).sum::<f64>()
            };
            v.iter().enumerate().map(|(i, x)| x * row(i)).sum()
        };
        self.vectors.chunks_exact(d.max(1)).map(of).collect()
    }

    /// The same directions about another mean, in grid units: a site's own levels.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of values.
    pub fn around(mut self, mean: &[f64]) -> Result<Self, Error> {
        if mean.len() != self.mean.len() {
            return Err(Error::Lengths { labels: self.mean.len(), scores: mean.len() });
        }
        self.mean.copy_from_slice(mean);
        Ok(self)
    }
}

fn total(covariance: &Covariance) -> f64 {
    let d = covariance.width();
    (0..d).map(|i| covariance.matrix[i * d + i]).sum()
}

impl Archive for Subspace {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.mean.save(writer);
        self.vectors.save(writer);
        self.variances.save(writer);
        self.rest.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, mean) = (Gram::load(reader)?, Vec::<f64>::load(reader)?);
        let (vectors, variances) = <(Vec<f64>, Vec<f64>)>::load(reader)?;
        let rest = f64::load(reader)?;
        let positive = rest > 0.0 && variances.iter().all(|variance| *variance > 0.0);
        if mean.len() != plan.values() || vectors.len() != mean.len() * variances.len() || !positive {
            return Err(reader.refuse("a subspace that cannot be"));
        }
        Ok(Self { plan, mean, vectors, variances, rest })
    }
}

impl Model for Subspace {
    const NAME: &'static str = "subspace";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn memory(&self) -> usize {
        self.plan.memory()
    }

    fn score(&self, window: &[i64]) -> f64 {
        let (t2, spe) = self.statistics(window);
        t2 / self.directions().max(1) as f64 + spe / self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Quantise, Tally};
    use super::super::Scorer;
    use super::*;

    #[test]
    fn a_broken_relation_and_a_far_row_are_odd_each_in_its_way() {
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0); 3]).unwrap(), 0).unwrap());
        let row = |k: u32| {
            let a = f64::from(k * 7919 % 1009) / 504.5 - 1.0;
            [a, 2.0 * a + f64::from(k * 31 % 17) / 500.0, -a]
        };
        (0..2000).for_each(|k| assert!(tally.observe(&row(k)).is_ok()));
        let covariance = Covariance::of(&tally).unwrap();
        let model = Subspace::fit(&covariance, 0.95).unwrap();
        assert_eq!(model.directions(), 1);
        assert!(model.captured(&covariance) > 0.99);
        let mut window = [0; 3];
        model.grid().quantise(&[0.5, -1.0, -0.5], &mut window).unwrap();
        let (t2, spe) = model.statistics(&window);
        assert!(t2 < 5.0 && spe > 0.5);
        model.grid().quantise(&[5.0, 10.0, -5.0], &mut window).unwrap();
        let (t2, spe) = model.statistics(&window);
        assert!(t2 > 20.0 && spe < 0.1);
        let mut scorer = Scorer::new(&model);
        let normal = scorer.observe(&row(5)).unwrap().unwrap();
        assert!(scorer.observe(&[0.5, -1.0, -0.5]).unwrap().unwrap() > 100.0 * normal);
        assert_eq!(scorer.observe(&[f64::NAN; 3]).unwrap(), None);
    }

    #[test]
    fn a_trajectory_leaves_its_subspace_when_its_shape_changes() {
        // PASAD: a sine with noise; the score rises when the period changes, not the level
        let noise = |k: u32| f64::from(k * 7919 % 101) / 5000.0;
        let sine = |k: u32, period: f64| libm::sin(f64::from(k) / period) + noise(k);
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0)]).unwrap(), 19).unwrap());
        (0..1500).for_each(|k| assert!(tally.observe(&[sine(k, 5.0)]).is_ok()));
        let model = Subspace::with_directions(&Covariance::about_zero(&tally).unwrap(), 3).unwrap();
        let mut scorer = Scorer::new(&model);
        let most = |scorer: &mut Scorer<'_, Subspace>, period: f64| {
            scorer.begin();
            let scores = (1500..1700).filter_map(|k| scorer.observe(&[sine(k, period)]).unwrap());
            scores.fold(0.0, f64::max)
        };
        let normal = most(&mut scorer, 5.0);
        assert!(most(&mut scorer, 3.0) > 20.0 * normal);
    }
}
