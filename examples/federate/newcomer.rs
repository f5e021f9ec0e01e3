//! What a newcomer gains: a site with a day of rows, alone, or with the federation's covariance around its own levels.

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::statistic::{Covariance, Gram, Merge, Model, Quantise, Statistic, Subspace, Tally};

use crate::plant::{DRIVES, Plant, SENSORS, area};

/// Rows at one every ten minutes.
const DAY: usize = 144;
const MONTH: usize = 30 * DAY;
const SITES: u64 = 10;
/// How far sites differ: levels in units, weights as a share.
const SHIFT: f64 = 0.5;
const GAIN: f64 = 0.1;
const TRIALS: usize = 1000;

/// Mean and half of its 95 % interval.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

pub(crate) fn run(seeds: u64, first: u64, as_json: bool, bar: &ProgressBar) -> Result<()> {
    bar.set_length(seeds);
    let lengths = [DAY / 2, DAY, 7 * DAY, MONTH];
    let mut alone = vec![Vec::new(); lengths.len()];
    let mut warm = vec![Vec::new(); lengths.len()];
    for seed in first..first + seeds {
        let plant = Plant::new(seed);
        // each member centres by its own levels; the sum of such tallies is the covariance within sites, exactly
        let grid = Plant::grid()?;
        let mut within = Tally::new(Gram::new(grid, 0)?);
        for number in 0..SITES {
            let mut site = plant.site(number, SHIFT, GAIN);
            let levels = site.levels().to_vec();
            for _ in 0..MONTH {
                let row = site.row(0.0);
                let centred: [f64; SENSORS] = core::array::from_fn(|sensor| row[sensor] - levels[sensor]);
                within.observe(&centred)?;
            }
        }
        let shared = Subspace::with_directions(&Covariance::about_zero(&within)?, DRIVES)?;
        for (place, rows) in lengths.iter().enumerate() {
            let mut site = plant.site(SITES, SHIFT, GAIN);
            let mut own = Tally::new(within.plan().clone());
            own.merge(&site.count(*rows, false)?)?;
            let own = Covariance::of(&own)?;
            let (trial, labels) = site.trial(TRIALS);
            let score = |model: &Subspace| -> Result<f64> {
                let mut window = [0; SENSORS];
                let mut scores = Vec::with_capacity(trial.len());
                for row in &trial {
                    model.grid().quantise(row, &mut window)?;
                    scores.push(model.statistics(&window).1);
                }
                area(&labels, &scores)
            };
            alone[place].push(score(&Subspace::with_directions(&own, DRIVES)?)?);
            warm[place].push(score(&shared.clone().around(own.mean())?)?);
        }
        debug_assert!(within.rows() > 0);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !as_json {
        println!(
            "A new site beside {SITES} members with a month each; levels differ by {SHIFT} units, weights by {GAIN}; {seeds} seeds, 95 % intervals.\n"
        );
        println!("| rows of its own | alone | the federation's covariance, its own levels |\n|---|---|---|");
    }
    for ((rows, alone), warm) in lengths.iter().zip(&alone).zip(&warm) {
        let ((a, da), (w, dw)) = (mean(alone), mean(warm));
        if as_json {
            println!(
                "{}",
                json!({ "rows": rows, "days": *rows as f64 / DAY as f64, "alone": a, "alone_ci95": da, "warm": w, "warm_ci95": dw })
            );
        } else {
            println!(
                "| {rows} ({:.1} days) | {a:.3} ± {da:.3} | {w:.3} ± {dw:.3} |",
                *rows as f64 / DAY as f64
            );
        }
    }
    Ok(())
}
