//! Half-space trees: how empty is the corner of the value space that this row lies in?
//!
//! Source: Tan, Ting, Liu, *Fast Anomaly Detection for Streaming Data*, IJCAI 2011, algorithms 1 to 3: trees that halve a random work range
//! along random signals, to a fixed depth; training rows are counted in the nodes; a row's score is the sum over the trees of
//! mass·2^depth at the first node that holds few rows, here as the mean of −log₂ of it, so that emptier is larger. Counts come from the
//! history alone: a window that moves would learn the attack. 25 trees of depth 12. Cost: 25·12 comparisons a row. It lies where normal rows
//! never were, and knows neither relations of many signals nor time.

use draw::Draw;
use twinguard_types::Symptom;

use crate::{
    archived, row_detector,
    rows::{RowModel, Standard},
};

const TREES: usize = 25;
const DEPTH: usize = 12;
/// A node with fewer rows is not split further (the paper's size limit, as a share of the rows).
const FEW: f64 = 0.01;

/// Half-space trees over rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forest;

row_detector!(Forest, Model, "forest", Symptom::Range);

/// A seeded draw of numbers: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014), so that a seed gives the same trees everywhere.
mod draw {
    pub(super) struct Draw(pub(super) u64);

    impl Draw {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
        pub(super) fn below(&mut self, count: usize) -> usize {
            (self.next() % count.max(1) as u64) as usize
        }
        pub(super) fn unit(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1u64 << 53) as f64
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Tree {
    /// Signal and cut of each inner node, the children of node k at 2k + 1 and 2k + 2.
    signals: Vec<u16>,
    cuts: Vec<f64>,
    mass: Vec<u32>,
}

archived!(Tree { signals, cuts, mass });

struct Model {
    trees: Vec<Tree>,
    few: u32,
    channels: usize,
}

archived!(Model { trees, few, channels });

impl Tree {
    fn new(draw: &mut Draw, channels: usize) -> Self {
        // a work range around the data with the middle drawn at random (algorithm 1, line 3), in deviations
        let ranges: Vec<(f64, f64)> = (0..channels)
            .map(|_| {
                let middle = 6.0 * (draw.unit() - 0.5);
                (middle - 8.0, middle + 8.0)
            })
            .collect();
        let inner = (1 << DEPTH) - 1;
        let mut tree = Self { signals: vec![0; inner], cuts: vec![0.0; inner], mass: vec![0; 2 * inner + 1] };
        let mut open = vec![(0, ranges)];
        while let Some((node, ranges)) = open.pop() {
            if node >= inner {
                continue;
            }
            let signal = draw.below(channels);
            let (low, high) = ranges[signal];
            let cut = 0.5 * (low + high);
            (tree.signals[node], tree.cuts[node]) = (signal as u16, cut);
            let (mut left, mut right) = (ranges.clone(), ranges);
            (left[signal].1, right[signal].0) = (cut, cut);
            open.push((2 * node + 1, left));
            open.push((2 * node + 2, right));
        }
        tree
    }

    fn child(&self, node: usize, z: &[f64]) -> usize {
        let right = z.get(usize::from(self.signals[node])).is_some_and(|z| *z >= self.cuts[node]);
        2 * node + 1 + usize::from(right)
    }

    fn count(&mut self, z: &[f64]) {
        let mut node = 0;
        self.mass[0] += 1;
        while node < self.signals.len() {
            node = self.child(node, z);
            self.mass[node] += 1;
        }
    }

    /// log₂ of mass·2^depth at the first node with few rows, and the signal whose cut led there.
    fn fill(&self, z: &[f64], few: u32) -> (f64, usize) {
        let (mut node, mut depth, mut signal) = (0, 0.0, 0);
        while node < self.signals.len() && self.mass[node] > few {
            signal = usize::from(self.signals[node]);
            node = self.child(node, z);
            depth += 1.0;
        }
        // a node without rows is worth half a row
        (libm::log2(f64::from(self.mass[node]).max(0.5)) + depth, signal)
    }
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let mut draw = Draw(rows.seed);
        let mut trees: Vec<Tree> = (0..TREES).map(|_| Tree::new(&mut draw, rows.channels)).collect();
        for t in 0..rows.rows() {
            trees.iter_mut().for_each(|tree| tree.count(rows.row(t)));
        }
        Some(Self { trees, few: (FEW * rows.rows() as f64) as u32, channels: rows.channels })
    }

    fn statistics(&self) -> usize {
        1
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let (mut sum, mut least, mut place) = (0.0, f64::MAX, 0);
        for tree in &self.trees {
            let (fill, signal) = tree.fill(z, self.few);
            sum += fill;
            if fill < least {
                (least, place) = (fill, signal);
            }
        }
        // log₂ of what a root full of rows would have, less the mean: 0 where it is fullest
        let rows = self.trees.first().map_or(1, |tree| tree.mass[0].max(1));
        out[0] = (libm::log2(f64::from(rows)) + DEPTH as f64 - sum / TREES as f64).max(0.0);
        Some(place.min(self.channels.saturating_sub(1)))
    }

    fn begin(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn masses_are_the_rows_that_pass_the_cuts() {
        let values: Vec<f64> = (0..900).map(|k| f64::from(k * 7919 % 911) / 150.0 - 3.0).collect();
        let rows = Standard { channels: 3, values: &values, seed: 5 };
        let model = Model::learn(&rows).unwrap();
        let tree = &model.trees[3];
        // every node by its own path from the root
        for node in (0..tree.mass.len()).step_by(37) {
            let mut path = Vec::new();
            let mut at = node;
            while at > 0 {
                let parent = (at - 1) / 2;
                path.push((parent, at == 2 * parent + 2));
                at = parent;
            }
            let inside = |z: &[f64]| {
                path.iter()
                    .all(|(node, right)| (z[usize::from(tree.signals[*node])] >= tree.cuts[*node]) == *right)
            };
            let naive = (0..rows.rows()).filter(|t| inside(rows.row(*t))).count();
            assert_eq!(tree.mass[node] as usize, naive, "node {node}");
        }
    }

    #[test]
    fn what_lies_apart_is_emptier() {
        let mut fitted = testing::fit(&Forest, Plant::new(3).run(6_000));
        let mut plant = Plant::new(4);
        let quiet = testing::loudest(&mut *fitted, &mut plant, 1_500);
        plant.bias = [25.0; testing::SENSORS];
        assert!(testing::loudest(&mut *fitted, &mut plant, 50) > quiet.max(3.0));
    }
}
