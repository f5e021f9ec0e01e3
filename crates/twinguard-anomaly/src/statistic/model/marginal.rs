//! How rare each value is by itself.
//!
//! Source: Goldstein, Dengel, *Histogram-based outlier score*, KI 2012, with the two-sided tail of each column instead of its density, so
//! that a gap in the middle is odd only as far as it is outer. Blind to relations. Cost: one lookup a column.

use super::super::{Grid, Quantise, Statistic, Tally, histogram::Histogram, tally::Plan};
use super::Model;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Surprise of each bin of each column.
#[derive(Clone, Debug, PartialEq)]
pub struct Marginal {
    plan: Histogram,
    surprise: Vec<f64>,
}

impl Marginal {
    /// From counts.
    ///
    /// # Errors
    /// [`Error::Training`] without rows.
    pub fn fit(tally: &Tally<Histogram>) -> Result<Self, Error> {
        let n = tally.rows();
        if n == 0 {
            return Err(Error::Training { reason: "there must be rows", count: 0 });
        }
        let bins = tally.plan().bins();
        let mut surprise = Vec::with_capacity(tally.cells().len());
        for column in tally.cells().chunks_exact(bins) {
            let all: i128 = column.iter().sum();
            let mut below = 0;
            for count in column {
                let tail = (below + count).min(all - below);
                below += count;
                let p = (2.0 * (tail as f64 + 1.0) / (n as f64 + 1.0)).min(1.0);
                surprise.push(-libm::log10(p));
            }
        }
        Ok(Self { plan: tally.plan().clone(), surprise })
    }
}

impl Archive for Marginal {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.surprise.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, surprise) = <(Histogram, Vec<f64>)>::load(reader)?;
        if surprise.len() != plan.width() {
            return Err(reader.refuse("marginals that cannot be"));
        }
        Ok(Self { plan, surprise })
    }
}

impl Model for Marginal {
    const NAME: &'static str = "marginal";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn score(&self, window: &[i64]) -> f64 {
        let columns = window.iter().zip(self.surprise.chunks_exact(self.plan.bins()));
        columns.map(|(x, bins)| bins[self.plan.bin(*x)]).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scorer;
    use super::*;

    #[test]
    fn outer_values_are_rarer() {
        let mut tally = Tally::new(Histogram::new(Grid::around([(0.0, 1.0)]).unwrap(), 64, 4).unwrap());
        assert!(Marginal::fit(&tally).is_err());
        for k in 0..1000 {
            tally.observe(&[f64::from(k % 100) / 50.0 - 1.0]).unwrap();
        }
        let model = Marginal::fit(&tally).unwrap();
        let mut scorer = Scorer::new(&model);
        let mut at = |x: f64| scorer.observe(&[x]).unwrap().unwrap();
        assert!(at(0.0) < 0.1 && at(0.9) > 0.5 && at(3.0) > 2.6);
    }
}
