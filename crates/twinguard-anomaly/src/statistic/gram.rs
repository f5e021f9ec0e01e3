//! Second moments of a row together with the rows before it: covariances, and covariances over lags.
//!
//! With lag 0 a row x, with lag L the row and its L predecessors side by side (Ku, Storer, Georgakis, Chemometr. Intell. Lab. Syst. 30,
//! 1995, §3): the trajectory matrix of singular spectrum analysis for one column. D = d·(L + 1) values make D + D·(D + 1)/2 cells.

use super::tally::{Plan, Reach, Tally};
use super::{Grid, Quantise, Statistic, refused};
use crate::Error;

/// Σx and the lower triangle of Σxxᵀ, row by row, over windows of `lags` + 1 rows, the newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    grid: Grid,
    lags: u32,
}

/// Most values of a window.
const MOST_VALUES: usize = 2048;

impl Gram {
    /// Over these columns, with so many rows before each row.
    ///
    /// # Errors
    /// [`Error::Setting`] for windows of more than 2,048 values.
    pub fn new(grid: Grid, lags: u32) -> Result<Self, Error> {
        let values = grid.width().saturating_mul(lags as usize + 1);
        if values > MOST_VALUES {
            return Err(refused("lags", f64::from(lags), "such that a window has at most 2048 values"));
        }
        Ok(Self { grid, lags })
    }

    /// Values of a window.
    #[must_use]
    pub fn values(&self) -> usize {
        self.grid.width() * (self.lags as usize + 1)
    }

    /// Rows before each row.
    #[must_use]
    pub fn lags(&self) -> u32 {
        self.lags
    }
}

impl crate::archive::Archive for Gram {
    fn save(&self, writer: &mut crate::Writer) {
        self.grid.save(writer);
        self.lags.save(writer);
    }
    fn load(reader: &mut crate::Reader<'_>) -> Result<Self, Error> {
        let (grid, lags) = (Grid::load(reader)?, u32::load(reader)?);
        Self::new(grid, lags).map_err(|_| reader.refuse("a window that cannot be"))
    }
}

impl Plan for Gram {
    const NAME: &'static str = "gram";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn memory(&self) -> usize {
        self.lags as usize
    }

    fn width(&self) -> usize {
        let values = self.values();
        values + values * (values + 1) / 2
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        let (sums, mut rest) = cells.split_at_mut(window.len());
        sums.iter_mut().zip(window).for_each(|(sum, x)| *sum += i128::from(*x));
        for (place, a) in window.iter().enumerate() {
            let (row, after) = rest.split_at_mut(place + 1);
            row.iter_mut().zip(window).for_each(|(sum, b)| *sum += i128::from(a * b));
            rest = after;
        }
    }

    fn reach(&self) -> Reach {
        let blocks = self.blocks();
        let most = blocks.iter().map(|(_, reach)| reach.most).max().unwrap_or_default();
        Reach { most, squared: blocks.iter().fold(0, |sum, (_, reach)| reach.squared.saturating_add(sum)) }
    }

    fn blocks(&self) -> Vec<(usize, Reach)> {
        let windows = self.lags as usize + 1;
        let most = self.grid.most().unsigned_abs() as u128;
        let long = self.grid.longest_squared() * windows as u128;
        // lower triangle: Σx⁴ + Σ_{i<j} x_i²x_j² ≤ |x|⁴; a row stands in `lags` + 1 windows
        let products = Reach { most: most * most, squared: long.saturating_mul(long) };
        let values = self.values();
        vec![
            (values, Reach { most, squared: long }.times(windows)),
            (self.width() - values, products.times(windows)),
        ]
    }
}

/// Mean and covariance of windows, in grid units: what second-moment models are fitted from.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    pub(super) plan: Gram,
    pub(super) rows: u64,
    pub(super) mean: Vec<f64>,
    /// Row-major, symmetric.
    pub(super) matrix: Vec<f64>,
}

impl Covariance {
    /// Of a tally (divided by n). Centring is done in integers, so nothing cancels before the one rounding to floating point.
    ///
    /// # Errors
    /// [`Error::Training`] for fewer than two rows, or sums beyond 128 bits.
    pub fn of(tally: &Tally<Gram>) -> Result<Self, Error> {
        let n = tally.rows();
        if n < 2 {
            return Err(Error::Training { reason: "there must be two rows at least", count: n as usize });
        }
        let over = || Error::Training { reason: "the sums are too large to be centred", count: n as usize };
        let plan = tally.plan().clone();
        let d = plan.values();
        let (sums, lower) = tally.cells().split_at(d);
        let (rows, steps) = (n as f64, plan.grid().steps());
        let scale = 1.0 / (rows * steps) / (rows * steps);
        let mut matrix = vec![0.0; d * d];
        let mut cells = lower.iter();
        for i in 0..d {
            for j in 0..=i {
                let cell = cells.next().copied().unwrap_or_default();
                let whole = i128::from(n).checked_mul(cell).zip(sums[i].checked_mul(sums[j]));
                let centred = whole.and_then(|(a, b)| a.checked_sub(b)).ok_or_else(over)?;
                matrix[i * d + j] = centred as f64 * scale;
                matrix[j * d + i] = matrix[i * d + j];
            }
        }
        let mean = sums.iter().map(|sum| *sum as f64 / (rows * steps)).collect();
        Ok(Self { plan, rows: n, mean, matrix })
    }

    /// Second moments about zero instead of the mean: for trajectory matrices (PASAD), and rows that were centred by their site.
    ///
    /// # Errors
    /// [`Error::Training`] for fewer than two rows.
    pub fn about_zero(tally: &Tally<Gram>) -> Result<Self, Error> {
        let mut covariance = Self::of(tally)?;
        let (n, d, steps) = (tally.rows() as f64, covariance.width(), covariance.plan.grid().steps());
        let mut cells = tally.cells().iter().skip(d);
        for i in 0..d {
            for j in 0..=i {
                let cell = cells.next().copied().unwrap_or_default();
                covariance.matrix[i * d + j] = cell as f64 / (n * steps * steps);
                covariance.matrix[j * d + i] = covariance.matrix[i * d + j];
            }
        }
        covariance.mean.fill(0.0);
        Ok(covariance)
    }

    /// One that a robust rule made: mean and lower triangle, row by row, in grid units.
    ///
    /// # Errors
    /// [`Error::Training`] for another number of values, or one that is not finite.
    pub fn from_parts(plan: Gram, rows: u64, mean: Vec<f64>, lower: &[f64]) -> Result<Self, Error> {
        let d = plan.values();
        let bad = |reason| Error::Training { reason, count: lower.len() };
        if mean.len() != d || lower.len() != d * (d + 1) / 2 {
            return Err(bad("another number of values"));
        }
        if !mean.iter().chain(lower).all(|value| value.is_finite()) {
            return Err(bad("a value is not finite"));
        }
        let mut matrix = vec![0.0; d * d];
        let mut values = lower.iter();
        for i in 0..d {
            for j in 0..=i {
                matrix[i * d + j] = values.next().copied().unwrap_or_default();
                matrix[j * d + i] = matrix[i * d + j];
            }
        }
        Ok(Self { plan, rows, mean, matrix })
    }

    /// What was counted.
    #[must_use]
    pub fn plan(&self) -> &Gram {
        &self.plan
    }

    /// Values of a window.
    #[must_use]
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// Rows behind it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The mean, in grid units.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The matrix, row-major, in grid units.
    #[must_use]
    pub fn matrix(&self) -> &[f64] {
        &self.matrix
    }

    /// The lower triangle, row by row: a point for robust rules.
    #[must_use]
    pub fn lower(&self) -> Vec<f64> {
        let d = self.width();
        (0..d).flat_map(|i| self.matrix[i * d..i * d + i + 1].iter().copied()).collect()
    }

    /// The same shape about another mean, in grid units: the shared covariance around a site's own levels.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of values.
    pub fn around(mut self, mean: &[f64]) -> Result<Self, Error> {
        if mean.len() != self.width() {
            return Err(Error::Lengths { labels: self.width(), scores: mean.len() });
        }
        self.mean.copy_from_slice(mean);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_covariance_is_the_textbooks() {
        let rows: Vec<[f64; 2]> =
            (0..50).map(|k| [f64::from(k * 7 % 11), f64::from(k * 5 % 13) / 4.0]).collect();
        let mut tally = Tally::new(Gram::new(Grid::around([(0.0, 1.0); 2]).unwrap(), 1).unwrap());
        rows.iter().for_each(|row| assert!(tally.observe(row).is_ok()));
        assert_eq!(tally.rows(), 49);
        let covariance = Covariance::of(&tally).unwrap();
        let windows: Vec<[f64; 4]> = rows.windows(2).map(|w| [w[1][0], w[1][1], w[0][0], w[0][1]]).collect();
        let mean = |i: usize| windows.iter().map(|w| w[i]).sum::<f64>() / 49.0;
        for i in 0..4 {
            assert!((covariance.mean()[i] - mean(i)).abs() < 1e-12);
            for j in 0..4 {
                let want = windows.iter().map(|w| (w[i] - mean(i)) * (w[j] - mean(j))).sum::<f64>() / 49.0;
                assert!((covariance.matrix()[i * 4 + j] - want).abs() < 1e-12, "{i} {j}");
            }
        }
        let again =
            Covariance::from_parts(tally.plan().clone(), 49, covariance.mean.clone(), &covariance.lower());
        assert_eq!(again.unwrap(), covariance);
    }

    #[test]
    fn no_row_reaches_further_than_said() {
        let plan = Gram::new(Grid::around([(0.0, 1.0); 3]).unwrap().with_norm(2.0).unwrap(), 0).unwrap();
        let reach = plan.reach();
        for row in [[1e9, 0.0, 0.0], [1e9, -1e9, 1e9], [0.3, 0.2, -0.1]] {
            let mut tally = Tally::new(plan.clone());
            tally.observe(&row).unwrap();
            let squared: u128 = tally.cells().iter().map(|cell| cell.unsigned_abs().pow(2)).sum();
            assert!(squared <= reach.squared, "{row:?}");
        }
    }
}
