//! Quantiles within a stated relative error, from bins that are the same for everybody.
//!
//! Source: Masson, Rim, Lee, *`DDSketch`*, VLDB 12, 2019: bins of equal relative width make a sketch that merges to the same bits in any
//! order, which t-digests and KLL sketches do not. The bins here are linear within each power of two (its §5, "linear interpolation"), so
//! an index is a shift and a mask of an integer, with no logarithm that could differ between machines.

use super::tally::{Plan, Reach, Tally};
use super::{Grid, Quantise, Statistic, refused};
use crate::Error;

/// Bins of each column's steps: below zero, zero, above zero; within a power of two, 2^`fine` of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    grid: Grid,
    fine: u32,
}

impl Sketch {
    /// Bins whose width is at most 2^−`fine` of their lower end.
    ///
    /// # Errors
    /// [`Error::Setting`] for `fine` beyond 10.
    pub fn new(grid: Grid, fine: u32) -> Result<Self, Error> {
        if fine > 10 || grid.width() > 64 {
            return Err(refused("fine", f64::from(fine), "at most 10, with at most 64 columns"));
        }
        Ok(Self { grid, fine })
    }

    /// Bins on one side of zero.
    fn side(&self) -> usize {
        self.rank(self.grid.most().unsigned_abs()) + 1
    }

    fn column(&self) -> usize {
        2 * self.side() + 1
    }

    /// Bin of a positive number of steps, from zero.
    fn rank(&self, steps: u64) -> usize {
        let power = steps.max(1).ilog2();
        if power <= self.fine {
            return steps.saturating_sub(1) as usize;
        }
        // 2^fine bins for each power beyond; before them 2^(fine + 1) − 1 exact numbers
        let within = (steps >> (power - self.fine)) - (1 << self.fine);
        (2 << self.fine) - 1 + (((power - self.fine - 1) as usize) << self.fine) + within as usize
    }

    /// The middle of a bin on one side, in steps.
    fn middle(&self, rank: usize) -> f64 {
        let exact = (2 << self.fine) - 1;
        if rank < exact {
            return rank as f64 + 1.0;
        }
        let beyond = rank - exact;
        let shift = (beyond >> self.fine) as u32 + 1;
        let within = (beyond & ((1 << self.fine) - 1)) as u64 + (1 << self.fine);
        let low = (within << shift) as f64;
        low + ((1_u64 << shift) - 1) as f64 / 2.0
    }

    fn bin(&self, steps: i64) -> usize {
        match steps {
            0 => self.side(),
            1.. => self.side() + 1 + self.rank(steps.unsigned_abs()),
            _ => self.side() - 1 - self.rank(steps.unsigned_abs()),
        }
    }
}

impl crate::archive::Archive for Sketch {
    fn save(&self, writer: &mut crate::Writer) {
        self.grid.save(writer);
        self.fine.save(writer);
    }
    fn load(reader: &mut crate::Reader<'_>) -> Result<Self, Error> {
        let (grid, fine) = (Grid::load(reader)?, u32::load(reader)?);
        Self::new(grid, fine).map_err(|_| reader.refuse("a sketch that cannot be"))
    }
}

impl Plan for Sketch {
    const NAME: &'static str = "sketch";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn width(&self) -> usize {
        self.grid.width() * self.column()
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        for (x, bins) in window.iter().zip(cells.chunks_exact_mut(self.column())) {
            bins[self.bin(*x)] += 1;
        }
    }

    fn reach(&self) -> Reach {
        Reach { most: 1, squared: self.grid.width() as u128 }
    }
}

impl Tally<Sketch> {
    /// The value below which a share of a column's values lies, in its signal's unit; nothing without rows.
    #[must_use]
    pub fn quantile(&self, column: usize, share: f64) -> Option<f64> {
        let width = self.plan().column();
        let bins = self.cells().chunks_exact(width).nth(column)?;
        let wanted = (share.clamp(0.0, 1.0) * (self.rows().checked_sub(1)? as f64)) as i128;
        let mut below = 0;
        let bin = bins.iter().position(|count| {
            below += count;
            below > wanted
        })?;
        let side = self.plan().side();
        let steps = match bin.cmp(&side) {
            core::cmp::Ordering::Equal => 0.0,
            core::cmp::Ordering::Greater => self.plan().middle(bin - side - 1),
            core::cmp::Ordering::Less => -self.plan().middle(side - 1 - bin),
        };
        self.plan().grid().value(column, steps)
    }

    /// Rows whose value in a column lies in the bin of this one, or above.
    #[must_use]
    pub fn at_least(&self, column: usize, value: f64) -> Option<u64> {
        let scale = self.plan().grid().columns().get(column)?;
        let most = self.plan().grid().most();
        let steps = (value - scale.centre) / scale.unit * self.plan().grid().steps();
        let bin = self.plan().bin((steps.round() as i64).clamp(-most, most));
        let bins = self.cells().chunks_exact(self.plan().column()).nth(column)?;
        u64::try_from(bins.iter().skip(bin).sum::<i128>()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bin_holds_its_middle_within_the_stated_error(steps in 1_u64..1 << 30, fine in 0_u32..8) {
            let sketch = Sketch::new(Grid::around([(0.0, 1.0)]).unwrap(), fine).unwrap();
            let rank = sketch.rank(steps);
            let middle = sketch.middle(rank);
            prop_assert!((middle - steps as f64).abs() <= steps as f64 / f64::from(2_u32 << fine) + 0.5);
            prop_assert!(sketch.rank(steps + 1) == rank || sketch.rank(steps + 1) == rank + 1);
        }

        #[test]
        fn quantiles_are_near_those_of_the_sorted_values(values in prop::collection::vec(-50.0..50.0, 1..300), share in 0.0..1.0) {
            let mut tally = Tally::new(Sketch::new(Grid::around([(0.0, 1.0)]).unwrap(), 6).unwrap());
            values.iter().for_each(|value| assert!(tally.observe(&[*value]).is_ok()));
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(share * (values.len() - 1) as f64) as usize];
            let got = tally.quantile(0, share).unwrap();
            prop_assert!((got - exact).abs() <= exact.abs() / 64.0 + 1e-3, "{got} for {exact}");
        }
    }
}
