//! Completely random trees: splits from public ranges and a public seed, so only counts are learnt, and counts add up.
//!
//! Source: Tan, Ting, Liu, *Fast anomaly detection for streaming data*, IJCAI 2011 (half-space trees: data-independent structure, mass
//! profiles); Liu, Ting, Zhou, *Isolation forest*, ICDM 2008 §2 for the ranking. A pooled forest of local isolation trees is not the forest
//! of the pooled rows; this one is.

use super::random::Draws;
use super::tally::{Plan, Reach};
use super::{Grid, refused};
use crate::Error;
use crate::archive::{Archive, Reader, Writer};

/// Counts of the leaves of `trees` trees of `depth` levels: trees · 2^depth cells.
#[derive(Clone, Debug)]
pub struct Trees {
    grid: Grid,
    trees: u32,
    depth: u32,
    span: u32,
    seed: u64,
    /// Column and threshold of each inner node, tree by tree, level by level.
    splits: Vec<(u32, i64)>,
}

impl Trees {
    /// Splits lie within `span` units of the centres; leaves beyond take the rest.
    ///
    /// # Errors
    /// [`Error::Setting`] for other than 1 to 256 trees, 1 to 12 levels, or a span of nothing.
    pub fn new(grid: Grid, trees: u32, depth: u32, span: u32, seed: u64) -> Result<Self, Error> {
        if !(1..=256).contains(&trees) {
            return Err(refused("trees", f64::from(trees), "1 to 256"));
        }
        if !(1..=12).contains(&depth) {
            return Err(refused("depth", f64::from(depth), "1 to 12"));
        }
        if grid.width() << depth > 1 << 18 {
            return Err(refused("depth", f64::from(depth), "such that columns times leaves stay below 2^18"));
        }
        if span == 0 || i64::from(span) * grid.steps() as i64 > grid.most() {
            return Err(refused("span", f64::from(span), "above zero and within the grid's limit"));
        }
        let mut draws = Draws::new("completely random trees", seed);
        let range = i64::from(span) * grid.steps() as i64;
        let mut splits = Vec::with_capacity(trees as usize * ((1 << depth) - 1));
        for _ in 0..trees {
            let mut ranges = vec![vec![(-range, range); grid.width()]];
            for _ in 0..depth {
                let mut next = Vec::with_capacity(2 * ranges.len());
                for node in ranges {
                    let column = draws.below(grid.width() as u64) as usize;
                    let (low, high) = node[column];
                    let split = low + draws.below((high - low).max(1) as u64) as i64;
                    splits.push((column as u32, split));
                    let (mut left, mut right) = (node.clone(), node);
                    left[column] = (low, split);
                    right[column] = (split, high);
                    next.extend([left, right]);
                }
                ranges = next;
            }
        }
        Ok(Self { grid, trees, depth, span, seed, splits })
    }

    /// Leaves of a tree.
    #[must_use]
    pub fn leaves(&self) -> usize {
        1 << self.depth
    }

    /// Levels of a tree.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The leaf of a row in each tree.
    pub(super) fn places<'a>(&'a self, row: &'a [i64]) -> impl Iterator<Item = usize> + 'a {
        let inner = self.leaves() - 1;
        self.splits.chunks_exact(inner).map(move |splits| {
            let mut node = 0;
            while node < inner {
                let (column, split) = splits[node];
                node = 2 * node + 1 + usize::from(row[column as usize] >= split);
            }
            node - inner
        })
    }
}

impl PartialEq for Trees {
    fn eq(&self, other: &Self) -> bool {
        // the splits follow from the rest
        (self.trees, self.depth, self.span, self.seed) == (other.trees, other.depth, other.span, other.seed)
            && self.grid == other.grid
    }
}

impl Archive for Trees {
    fn save(&self, writer: &mut Writer) {
        self.grid.save(writer);
        (self.trees, self.depth, self.span).save(writer);
        self.seed.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let grid = Grid::load(reader)?;
        let (trees, depth, span) = <(u32, u32, u32)>::load(reader)?;
        let seed = u64::load(reader)?;
        Self::new(grid, trees, depth, span, seed).map_err(|_| reader.refuse("trees that cannot be"))
    }
}

impl Plan for Trees {
    const NAME: &'static str = "trees";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn width(&self) -> usize {
        self.trees as usize * self.leaves()
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        for (leaf, tree) in self.places(window).zip(cells.chunks_exact_mut(self.leaves())) {
            tree[leaf] += 1;
        }
    }

    fn reach(&self) -> Reach {
        Reach { most: 1, squared: u128::from(self.trees) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Quantise, Statistic, Tally};
    use super::*;

    #[test]
    fn every_row_stands_in_one_leaf_of_each_tree() {
        let grid = Grid::around([(0.0, 1.0); 3]).unwrap();
        let plan = Trees::new(grid, 5, 4, 4, 9).unwrap();
        let mut tally = Tally::new(plan.clone());
        for k in 0..200 {
            tally.observe(&[f64::from(k % 7) - 3.0, f64::from(k % 5) - 2.0, 1e9]).unwrap();
        }
        for tree in tally.cells().chunks_exact(16) {
            assert_eq!(tree.iter().sum::<i128>(), 200);
            assert!(tree.iter().filter(|count| **count > 0).count() > 1);
        }
        let mut writer = Writer::new();
        plan.save(&mut writer);
        let bytes = writer.finish();
        let again = Trees::load(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(again.splits, plan.splits, "the seed makes the same trees");
        assert_ne!(tally.schema(), Tally::new(Trees::new(plan.grid, 5, 4, 4, 10).unwrap()).schema());
    }
}
