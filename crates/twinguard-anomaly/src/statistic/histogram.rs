//! Equal bins over each column's range.
//!
//! Source: Goldstein, Dengel, *Histogram-based outlier score*, KI 2012 (HBOS): columns one by one, no order between them.

use super::tally::{Plan, Reach};
use super::{Grid, refused};
use crate::Error;

/// Counts of `bins` equal bins between − and + `span` units of each column; values beyond stand in the outer bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    grid: Grid,
    bins: u32,
    span: u32,
}

impl Histogram {
    /// So many bins over so many units on either side of the centre.
    ///
    /// # Errors
    /// [`Error::Setting`] for other than 2 to 4,096 bins, a span of nothing, or more than a million cells.
    pub fn new(grid: Grid, bins: u32, span: u32) -> Result<Self, Error> {
        if !(2..=4096).contains(&bins) || grid.width() * bins as usize > 1 << 20 {
            return Err(refused("bins", f64::from(bins), "2 to 4096, a million cells in all"));
        }
        if span == 0 || span > 1 << 20 {
            return Err(refused("span", f64::from(span), "above zero"));
        }
        Ok(Self { grid, bins, span })
    }

    /// Bins of a column.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.bins as usize
    }

    /// The bin of a value in steps.
    pub(super) fn bin(&self, steps: i64) -> usize {
        let span = i64::from(self.span) * self.grid.steps() as i64;
        let inside = steps.clamp(-span, span - 1) + span;
        (inside as u128 * u128::from(self.bins) / (2 * span as u128)) as usize
    }
}

impl crate::archive::Archive for Histogram {
    fn save(&self, writer: &mut crate::Writer) {
        self.grid.save(writer);
        self.bins.save(writer);
        self.span.save(writer);
    }
    fn load(reader: &mut crate::Reader<'_>) -> Result<Self, Error> {
        let (grid, bins, span) = (Grid::load(reader)?, u32::load(reader)?, u32::load(reader)?);
        Self::new(grid, bins, span).map_err(|_| reader.refuse("bins that cannot be"))
    }
}

impl Plan for Histogram {
    const NAME: &'static str = "histogram";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn width(&self) -> usize {
        self.grid.width() * self.bins as usize
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        for (x, bins) in window.iter().zip(cells.chunks_exact_mut(self.bins as usize)) {
            bins[self.bin(*x)] += 1;
        }
    }

    fn reach(&self) -> Reach {
        Reach { most: 1, squared: self.grid.width() as u128 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Quantise, Tally};
    use super::*;

    #[test]
    fn bins_are_equal_and_the_outer_ones_take_the_rest() {
        let mut tally = Tally::new(Histogram::new(Grid::around([(0.0, 1.0)]).unwrap(), 4, 2).unwrap());
        for value in [-9.0, -2.0, -1.5, -0.5, 0.0, 0.9, 1.0, 2.0, 99.0] {
            tally.observe(&[value]).unwrap();
        }
        assert_eq!(tally.cells(), [3, 1, 2, 3]);
    }
}
