//! Sites of one kind of plant: a few hidden drives, many sensors, each site at its own levels.

use anyhow::Result;
pub(crate) use examples::dice::Dice;
use twinguard::anomaly::statistic::{Gram, Grid, Tally};
use twinguard::anomaly::{metrics, statistic::Quantise};

/// Sensors of a site.
pub(crate) const SENSORS: usize = 20;
/// Hidden drives behind them.
pub(crate) const DRIVES: usize = 6;

/// Names of the sensors, in order.
pub(crate) fn columns() -> impl Iterator<Item = String> {
    (0..SENSORS).map(|sensor| format!("sensor_{sensor:02}"))
}

/// What all sites have in common, and how far they differ.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    /// Sensor by sensor, the weight of each drive.
    loadings: Vec<[f64; DRIVES]>,
    /// A direction in which normal operation has nothing but noise.
    pub(crate) hidden: Vec<f64>,
    seed: u64,
}

pub(crate) const NOISE: f64 = 0.3;

impl Plant {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let loadings: Vec<[f64; DRIVES]> =
            (0..SENSORS).map(|_| core::array::from_fn(|_| dice.normal() / 2.0)).collect();
        let mut hidden: Vec<f64> = (0..SENSORS).map(|_| dice.normal()).collect();
        // out of the span of the drives: Gram and Schmidt, twice for the rounding
        let mut base: Vec<Vec<f64>> = Vec::new();
        for drive in 0..DRIVES {
            let mut column: Vec<f64> = loadings.iter().map(|row| row[drive]).collect();
            without(&mut column, &base);
            base.push(column);
        }
        without(&mut hidden, &base);
        Self { loadings, hidden, seed }
    }

    /// The public scales: every sensor moves within a few units around zero.
    pub(crate) fn grid() -> Result<Grid> {
        Ok(Grid::around([(0.0, 1.0); SENSORS])?)
    }

    /// A site, by its number: `shift` is the spread of levels between sites, `gain` that of the weights.
    pub(crate) fn site(&self, number: u64, shift: f64, gain: f64) -> Site {
        let mut dice = Dice::new(self.seed, 1 + number);
        let levels = (0..SENSORS).map(|_| shift * dice.normal()).collect();
        let mut loadings = self.loadings.clone();
        loadings.iter_mut().flatten().for_each(|weight| *weight *= 1.0 + gain * dice.normal());
        Site { loadings, levels, hidden: self.hidden.clone(), dice }
    }
}

/// Takes the parts along the base's directions away, and makes the length one.
fn without(vector: &mut [f64], base: &[Vec<f64>]) {
    for _ in 0..2 {
        for direction in base {
            let along: f64 = vector.iter().zip(direction).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(direction).for_each(|(a, b)| *a -= along * b);
        }
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

/// A site's rows, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    loadings: Vec<[f64; DRIVES]>,
    levels: Vec<f64>,
    hidden: Vec<f64>,
    dice: Dice,
}

impl Site {
    /// A row with so much along the hidden direction: none in normal operation.
    pub(crate) fn row(&mut self, off: f64) -> [f64; SENSORS] {
        let drives: [f64; DRIVES] = core::array::from_fn(|_| self.dice.normal());
        core::array::from_fn(|sensor| {
            let driven: f64 =
                self.loadings[sensor].iter().zip(drives).map(|(weight, drive)| weight * drive).sum();
            self.levels[sensor] + driven + NOISE * self.dice.normal() + off * self.hidden[sensor]
        })
    }

    /// Leaves so many normal rows out.
    pub(crate) fn skip(&mut self, rows: usize) {
        for _ in 0..rows {
            let _ = self.row(0.0);
        }
    }

    /// Counts so many rows. A poisoner adds a drive of its own along the hidden direction, to make the others blind there.
    pub(crate) fn count(&mut self, rows: usize, poisoned: bool) -> Result<Tally<Gram>> {
        let mut tally = Tally::new(Gram::new(Plant::grid()?, 0)?);
        for _ in 0..rows {
            let off = if poisoned { 20.0 * self.dice.normal() } else { 0.0 };
            let row = self.row(off);
            tally.observe(&row)?;
        }
        Ok(tally)
    }

    /// Rows to try a model on: every second one is an attack of moderate size along the hidden direction.
    pub(crate) fn trial(&mut self, rows: usize) -> (Vec<[f64; SENSORS]>, Vec<bool>) {
        let labels: Vec<bool> = (0..rows).map(|row| row % 2 == 1).collect();
        let rows = labels.iter().map(|attack| {
            let sign = if self.dice.next() & 1 == 0 { 1.0 } else { -1.0 };
            self.row(if *attack { sign * 3.0 * NOISE } else { 0.0 })
        });
        (rows.collect(), labels)
    }

    /// The site's levels.
    pub(crate) fn levels(&self) -> &[f64] {
        &self.levels
    }
}

/// Area under the ROC curve; half without both kinds of rows.
pub(crate) fn area(labels: &[bool], scores: &[f64]) -> Result<f64> {
    Ok(metrics::roc_auc(labels, scores)?.unwrap_or(0.5))
}
