//! Sums and sums of squares by column: levels and spreads.
//!
//! Source: Chan, Golub, `LeVeque`, *Algorithms for computing the sample variance*, The American Statistician 37, 1983: the textbook
//! formula loses digits in floating point; in integers it loses none.

use super::tally::{Plan, Reach, Tally};
use super::{Grid, Quantise, Statistic};

/// Σx and Σx² of each column: 2·d cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    grid: Grid,
}

crate::archived!(Moments { grid });

impl Moments {
    /// Over these columns.
    #[must_use]
    pub fn new(grid: Grid) -> Self {
        Self { grid }
    }
}

impl Plan for Moments {
    const NAME: &'static str = "moments";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn width(&self) -> usize {
        2 * self.grid.width()
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        for (x, pair) in window.iter().zip(cells.chunks_exact_mut(2)) {
            pair[0] += i128::from(*x);
            pair[1] += i128::from(x * x);
        }
    }

    fn reach(&self) -> Reach {
        let (most, long) = (self.grid.most().unsigned_abs() as u128, self.grid.longest_squared());
        Reach { most: most * most, squared: long.saturating_add(long.saturating_mul(long)) }
    }
}

impl Tally<Moments> {
    /// Mean of each column, in its signal's unit; zeros without rows.
    #[must_use]
    pub fn means(&self) -> Vec<f64> {
        let n = self.rows().max(1) as f64;
        let grid = self.plan().grid();
        let pairs = self.cells().chunks_exact(2).enumerate();
        pairs.filter_map(|(column, pair)| grid.value(column, pair[0] as f64 / n)).collect()
    }

    /// Standard deviation of each column, in its signal's unit (divided by n).
    #[must_use]
    pub fn deviations(&self) -> Vec<f64> {
        let n = self.rows().max(1) as f64;
        let grid = self.plan().grid();
        let of = |(pair, column): (&[i128], &super::Column)| {
            let mean = pair[0] as f64 / n;
            // n·Σx² − (Σx)² is exact where it fits
            let exact = i128::from(self.rows()).checked_mul(pair[1]);
            let exact = exact.zip(pair[0].checked_mul(pair[0])).and_then(|(a, b)| a.checked_sub(b));
            let variance = exact.map_or(pair[1] as f64 / n - mean * mean, |exact| exact as f64 / (n * n));
            variance.max(0.0).sqrt() / grid.steps() * column.unit
        };
        self.cells().chunks_exact(2).zip(grid.columns()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_are_those_of_the_rows() {
        let mut tally = Tally::new(Moments::new(Grid::around([(1e9, 1.0), (0.0, 2.0)]).unwrap()));
        for k in 0..100 {
            // a level that would drown the spread in floating point
            tally.observe(&[1e9 + f64::from(k % 2), f64::from(k % 4)]).unwrap();
        }
        assert_eq!(tally.means(), [1e9 + 0.5, 1.5]);
        let deviations = tally.deviations();
        assert!((deviations[0] - 0.5).abs() < 1e-12 && (deviations[1] - 1.25_f64.sqrt()).abs() < 1e-12);
    }
}
