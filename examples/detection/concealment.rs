//! Attacks on a water network whose attacker also replaces what 2 to 40 sensors say by what a learnt autoencoder makes of it.

use anyhow::Result;
use serde_json::json;
use twinguard::anomaly::statistic::{
    Covariance, Gram, Grid, Model, Quantise, Regression, Scorer, Subspace, Tally,
};
use twinguard::anomaly::suite::Suite;
use twinguard::twin::simulator::Noise;

use crate::autoencoder::Autoencoder;
use crate::water::{CHANNELS, Network, Rows};
use crate::{FALSE_ALARMS, mean, quantile, share_above};

/// Rows of history, and of normal rows of which the first half sets the limits and the second shows what they keep.
const HISTORY: usize = 4000;
const NORMAL: usize = 8000;
const ATTACKS: usize = 14;
const COUNTS: [usize; 7] = [0, 2, 5, 10, 20, 30, 40];
const NAMES: [&str; 3] = ["suite", "redundancy alone", "subspace alone"];

struct Detectors {
    suite: Suite,
    redundancy: Regression,
    subspace: Subspace,
}

impl Detectors {
    fn fit(history: &Rows) -> Result<Self> {
        let count = history.len() as f64;
        let centre = (0..CHANNELS).map(|j| {
            let column = || history.values.iter().skip(j).step_by(CHANNELS);
            let mean = column().sum::<f64>() / count;
            (mean, (column().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-9))
        });
        let mut tally = Tally::new(Gram::new(Grid::around(centre)?, 0)?);
        for row in history.values.chunks_exact(CHANNELS) {
            tally.observe(row)?;
        }
        let covariance = Covariance::of(&tally)?;
        Ok(Self {
            suite: Suite::fit(&history.training())?,
            redundancy: Regression::redundancy(&covariance, 1e-4)?,
            subspace: Subspace::fit(&covariance, 0.9)?,
        })
    }

    /// Surprises of rows, one list a detector.
    fn score(&self, rows: &Rows) -> Result<[Vec<f64>; 3]> {
        Ok([rows.surprises(&self.suite), alone(&self.redundancy, rows)?, alone(&self.subspace, rows)?])
    }
}

fn alone<M: Model>(model: &M, rows: &Rows) -> Result<Vec<f64>> {
    let mut scorer = Scorer::new(model);
    rows.values.chunks_exact(CHANNELS).map(|row| Ok(scorer.observe(row)?.unwrap_or(0.0))).collect()
}

/// What was found on one plant.
pub struct Found {
    /// Share of attacked rows seen, by count of spoofed sensors and detector.
    recalls: Vec<[f64; 3]>,
    /// Share of other normal rows in alarm, by detector.
    false_alarms: [f64; 3],
}

pub fn run(seed: u64) -> Result<Found> {
    let mut network = Network::new(seed, seed);
    let detectors = Detectors::fit(&Rows::normal(&mut network, HISTORY))?;
    let quiet = detectors.score(&Rows::normal(&mut network, NORMAL))?;
    let limits = quiet.each_ref().map(|list| quantile(&list[..NORMAL / 2], 1.0 - FALSE_ALARMS));
    let false_alarms = std::array::from_fn(|d| share_above(&quiet[d][NORMAL / 2..], limits[d]));
    // The liar listened for as long as the defender did, at another time.
    let heard = Rows::normal(&mut Network::new(seed, seed + 1_000_000), HISTORY);
    let liar = Autoencoder::learn(&heard.values, CHANNELS, seed);
    let mut network = Network::new(seed, seed + 2_000_000);
    let (rows, windows) = network.attacked(ATTACKS, &mut Noise::new(seed, 4));
    let recall = |count: usize| -> Result<[f64; 3]> {
        let mut shown = rows.clone();
        for window in &windows {
            // The sensors that tell most, by the liar's own lights.
            let mut told = vec![0.0; CHANNELS];
            for t in window.clone() {
                told.iter_mut().zip(liar.gaps(rows.row(t))).for_each(|(sum, gap)| *sum += gap);
            }
            let mut order: Vec<usize> = (0..CHANNELS).collect();
            order.sort_by(|a, b| told[*b].total_cmp(&told[*a]));
            for t in window.clone() {
                let made = liar.make(rows.row(t));
                order[..count].iter().for_each(|j| shown.values[t * CHANNELS + j] = made[*j]);
            }
        }
        let scores = detectors.score(&shown)?;
        Ok(std::array::from_fn(|d| {
            let attacked: Vec<f64> = windows.iter().cloned().flatten().map(|t| scores[d][t]).collect();
            share_above(&attacked, limits[d])
        }))
    };
    Ok(Found { recalls: COUNTS.into_iter().map(recall).collect::<Result<_>>()?, false_alarms })
}

pub fn print(all: &[Found], as_json: bool) {
    let false_alarms = |d: usize| mean(&all.iter().map(|it| it.false_alarms[d]).collect::<Vec<f64>>());
    if !as_json {
        println!("| spoofed sensors |{}", NAMES.map(|name| format!(" {name}: mean, least |")).concat());
        println!("|---|{}", "---|".repeat(NAMES.len()));
    }
    for (place, count) in COUNTS.iter().enumerate() {
        let of = |d: usize| all.iter().map(|it| it.recalls[place][d]).collect::<Vec<f64>>();
        if as_json {
            let by_name: serde_json::Map<_, _> =
                NAMES.iter().enumerate().map(|(d, name)| ((*name).to_owned(), json!(of(d)))).collect();
            println!("{}", json!({"spoofed": count, "recall": by_name}));
        } else {
            let cell = |d: usize| format!(" {:.2}, {:.2} |", mean(&of(d)), quantile(&of(d), 0.0));
            println!("| {count} |{}", (0..NAMES.len()).map(cell).collect::<String>());
        }
    }
    if as_json {
        println!("{}", json!({"false_alarms": (0..NAMES.len()).map(false_alarms).collect::<Vec<_>>()}));
    } else {
        let cells = (0..NAMES.len()).map(|d| format!(" {:.2} % |", 100.0 * false_alarms(d)));
        println!("| false alarms on other normal rows |{}", cells.collect::<String>());
    }
}
