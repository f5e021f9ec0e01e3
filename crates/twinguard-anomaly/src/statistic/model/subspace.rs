//! Distance from and within a principal subspace: Hotelling's T² and the squared prediction error.
//!
//! Source: Jackson, Mudholkar, *Control procedures for residuals associated with principal component analysis*, Technometrics 21, 1979
//! (SPE); Hotelling 1947 (T²); Yue, Qin, Ind. Eng. Chem. Res. 40, 2001 (their sum, each over its mean). With lags it is dynamic PCA (Ku et
//! al. 1995); of one column about zero, with lags, the score is PASAD's departure (Aoudi, Iturbe, Almgren, CCS 2018, §4). It lies where
//! normal operation is curved, and does not see what stays in the subspace and near its centre. Cost: D·k multiplications a row.
//!
//! [`Subspace::settled`], for a site that begins with the model of others: Ledoit, Wolf, J. Multivariate Analysis 88, 2004, and Schäfer,
//! Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 2005, eq. 8 (how much of a target goes into a covariance from few rows), over the cells
//! that turn the directions, with the model as the target, read as probabilistic PCA (Tipping, Bishop, J. R. Stat. Soc. B 61, 1999).

use super::super::{
    Covariance, Grid, Tally, algebra::eigen, gram::Gram, refused, tally::Merge as _, tally::Plan,
    tally::Statistic as _,
};
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

    /// What is counted for it.
    #[must_use]
    pub fn plan(&self) -> &Gram {
        &self.plan
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

    /// The model of a site that has few rows of its own: as many directions, from a covariance between this model's and that of the rows,
    /// about the rows' mean. The less the rows agree among themselves on how the directions lie, the more of this model stays; with many rows
    /// it is their own.
    ///
    /// `own` are tallies of stretches of the site's normal operation, alike in length, each long compared with how long a value remembers the
    /// one before; those of fewer than two rows are left out. With fewer than four stretches nothing says how sure the rows are, and the
    /// directions stay.
    ///
    /// # Errors
    /// [`Error::Training`] for tallies of another plan, or fewer than two rows in all.
    pub fn settled(&self, own: &[Tally<Gram>]) -> Result<Self, Error> {
        let mut all = Tally::new(self.plan.clone());
        for stretch in own {
            all.merge(stretch)?;
        }
        let mut covariance = Covariance::of(&all)?;
        let stretches: Vec<&Tally<Gram>> = own.iter().filter(|stretch| stretch.rows() >= 2).collect();
        if stretches.len() < 4 {
            return self.clone().around(&covariance.mean);
        }
        // How far the mean of so many stretches is from the truth: from how far they are from each other.
        let (n, mut scatter) = (stretches.len() as f64, 0.0);
        for stretch in stretches {
            let mut part = Covariance::of(stretch)?;
            let off: Vec<f64> =
                part.mean.iter().zip(&covariance.mean).map(|(own, mean)| own - mean).collect();
            let d = off.len().max(1);
            let rows = part.matrix.chunks_exact_mut(d).zip(covariance.matrix.chunks_exact(d));
            for ((row, whole), i) in rows.zip(&off) {
                row.iter_mut().zip(whole).zip(&off).for_each(|((own, whole), j)| *own += i * j - whole);
            }
            scatter += self.turned(&part.matrix);
        }
        let (unsure, apart) = (scatter / (n * (n - 1.0)), self.turned(&covariance.matrix));
        let share = if apart > unsure { unsure / apart } else { 1.0 };
        let target = self.covariance();
        for (own, target) in covariance.matrix.iter_mut().zip(&target) {
            *own += share * (target - *own);
        }
        Self::with_directions(&covariance, self.directions())
    }

    /// What a covariance leaks out of the directions: its part between them and the rest, which is what turns them, as a variance.
    fn turned(&self, matrix: &[f64]) -> f64 {
        let d = self.mean.len().max(1);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let leak = |(vector, variance): (&[f64], &f64)| {
            let mut image: Vec<f64> = matrix.chunks_exact(d).map(|row| dot(row, vector)).collect();
            for direction in self.vectors.chunks_exact(d) {
                let along = dot(&image, direction);
                image.iter_mut().zip(direction).for_each(|(x, v)| *x -= along * v);
            }
            dot(&image, &image) / variance
        };
        self.vectors.chunks_exact(d).zip(&self.variances).map(leak).sum()
    }

    /// The covariance that the model stands for, row-major: its variances along its directions, the rest alike in all others.
    fn covariance(&self) -> Vec<f64> {
        let d = self.mean.len();
        let rest = self.rest / d.saturating_sub(self.directions()).max(1) as f64;
        let mut matrix = vec![0.0; d * d];
        for (i, row) in matrix.chunks_exact_mut(d.max(1)).enumerate() {
            row[i] = rest;
            for (vector, variance) in self.vectors.chunks_exact(d.max(1)).zip(&self.variances) {
                row.iter_mut().zip(vector).for_each(|(cell, v)| *cell += (variance - rest) * vector[i] * v);
            }
        }
        matrix
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
    fn a_site_settles_between_the_model_of_others_and_its_own_rows() {
        let grid = || Gram::new(Grid::around([(0.0, 1.0); 3]).unwrap(), 0).unwrap();
        let luck = |k: u32, salt: u32| {
            let x = (k ^ salt << 20).wrapping_mul(2_654_435_761);
            let x = (x ^ x >> 15).wrapping_mul(2_246_822_519);
            f64::from((x ^ x >> 13).wrapping_mul(3_266_489_917) >> 8) / f64::from(1 << 24) - 0.5
        };
        // two drives behind three sensors; the second relation is each site's own
        let row = |k: u32, level: f64, own: f64| {
            let (a, b) = (4.0 * luck(k, 1), 2.0 * luck(k, 2));
            [level + a + luck(k, 3) / 5.0, a + b + luck(k, 4) / 5.0, own * a - b + luck(k, 5) / 5.0]
        };
        let stretches = |rows: u32, own: f64| -> Vec<Tally<Gram>> {
            let stretch = |first: u32| {
                let mut tally = Tally::new(grid());
                (first..first + rows / 12).for_each(|k| assert!(tally.observe(&row(k, 2.0, own)).is_ok()));
                tally
            };
            (0..12).map(|number| stretch(number * (rows / 12))).collect()
        };
        let sum = |own: &[Tally<Gram>]| {
            let mut all = Tally::new(grid());
            own.iter().for_each(|tally| assert!(all.merge(tally).is_ok()));
            Covariance::of(&all).unwrap()
        };
        let shared = Subspace::with_directions(&sum(&stretches(12_000, 1.0)), 2).unwrap();
        let rest = |model: &Subspace, own: f64| 1.0 - model.captured(&sum(&stretches(120_000, own)));

        let alike = shared.settled(&stretches(36, 1.0)).unwrap();
        let alone = Subspace::with_directions(&sum(&stretches(36, 1.0)), 2).unwrap();
        assert!(rest(&alike, 1.0) < rest(&alone, 1.0), "few rows lean on the others");
        assert!((alike.mean[0] - 2.0).abs() < 0.5, "about its own level: {:?}", alike.mean);

        let other = shared.settled(&stretches(1_200, 0.5)).unwrap();
        let own = Subspace::with_directions(&sum(&stretches(1_200, 0.5)), 2).unwrap();
        assert!(rest(&other, 0.5) < 1.05 * rest(&own, 0.5), "many rows speak for themselves");
        assert!(rest(&other, 0.5) < 0.7 * rest(&shared, 0.5));

        let one = shared.settled(&stretches(1_200, 0.5)[..1]).unwrap();
        assert_eq!(one.vectors, shared.vectors, "one stretch does not say how sure it is");
        assert!(shared.settled(&[]).is_err());
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
