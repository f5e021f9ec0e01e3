//! Rows that fall where few rows fell, in completely random trees.
//!
//! Source: Tan, Ting, Liu, IJCAI 2011 §4 (score by mass of the leaf); here −log₂ of the leaf's share, averaged over the trees. It lies in
//! many columns, where most leaves are empty. Cost: trees · depth comparisons a row.

use super::super::{Grid, Quantise, Statistic, Tally, tally::Plan, trees::Trees};
use super::Model;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Surprise of each leaf of each tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    plan: Trees,
    surprise: Vec<f64>,
}

impl Forest {
    /// From counts of leaves.
    #[must_use]
    pub fn fit(tally: &Tally<Trees>) -> Self {
        let (n, leaves) = (tally.rows() as f64, tally.plan().leaves() as f64);
        let surprise = tally.cells().iter().map(|count| -libm::log2((*count as f64 + 1.0) / (n + leaves)));
        Self { plan: tally.plan().clone(), surprise: surprise.collect() }
    }
}

impl Archive for Forest {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.surprise.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, surprise) = <(Trees, Vec<f64>)>::load(reader)?;
        if surprise.len() != plan.width() {
            return Err(reader.refuse("a forest that cannot be"));
        }
        Ok(Self { plan, surprise })
    }
}

impl Model for Forest {
    const NAME: &'static str = "forest";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn score(&self, window: &[i64]) -> f64 {
        let trees = self.surprise.chunks_exact(self.plan.leaves());
        let count = trees.len().max(1) as f64;
        self.plan.places(window).zip(trees).map(|(leaf, tree)| tree[leaf]).sum::<f64>() / count
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scorer;
    use super::*;

    #[test]
    fn a_row_in_a_gap_is_odd() {
        let grid = Grid::around([(0.0, 1.0); 2]).unwrap();
        let mut tally = Tally::new(Trees::new(grid, 50, 7, 4, 1).unwrap());
        for k in 0..2000_u32 {
            let angle = f64::from(k) * 0.01;
            tally.observe(&[2.0 * libm::cos(angle), 2.0 * libm::sin(angle)]).unwrap();
        }
        let model = Forest::fit(&tally);
        let mut scorer = Scorer::new(&model);
        let normal = scorer.observe(&[2.0, 0.0]).unwrap().unwrap();
        assert!(scorer.observe(&[0.0, 0.0]).unwrap().unwrap() > normal + 1.0, "the middle of the ring");
    }
}
