//! What a newcomer gains: a site with a day of rows, alone, or with the federation's covariance around its own levels.

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::statistic::{Covariance, Gram, Merge, Model, Quantise, Subspace, Tally};

use crate::plant::{DRIVES, Plant, SENSORS, area};

/// Rows at one every ten minutes.
const DAY: usize = 144;
const MONTH: usize = 30 * DAY;
const SITES: u64 = 10;
/// How far sites differ: levels in units, weights as a share.
const SHIFT: f64 = 0.5;
const GAINS: [f64; 3] = [0.0, 0.1, 0.2];
const TRIALS: usize = 1000;
/// Pieces of the newcomer's own rows, by which it is seen how far they agree.
const STRETCHES: usize = 12;

/// Mean and half of its 95 % interval.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

/// How well the three models of one newcomer tell attacks: its own rows alone, the federation's model about its own levels, and that model
/// settled among its own rows.
struct Areas {
    alone: Vec<f64>,
    shared: Vec<f64>,
    settled: Vec<f64>,
}

pub(crate) fn run(seeds: u64, first: u64, as_json: bool, bar: &ProgressBar) -> Result<()> {
    bar.set_length(seeds * GAINS.len() as u64);
    let lengths = [DAY / 2, DAY, 7 * DAY, MONTH];
    if !as_json {
        println!(
            "A new site beside {SITES} members with a month each; levels differ by {SHIFT} units; {seeds} seeds, area under the curve with 95 % intervals.\n"
        );
        println!(
            "| weights differ by | rows of its own | alone | the federation's model about its own levels | settled among its own rows | less than a month alone |\n|---|---|---|---|---|---|"
        );
    }
    for gain in GAINS {
        let mut areas: Vec<Areas> = lengths
            .iter()
            .map(|_| Areas { alone: Vec::new(), shared: Vec::new(), settled: Vec::new() })
            .collect();
        for seed in first..first + seeds {
            trial(seed, gain, &lengths, &mut areas)?;
            bar.inc(1);
        }
        let month = areas.last().map(|areas| areas.alone.clone()).unwrap_or_default();
        bar.suspend(|| {
            for (rows, areas) in lengths.iter().zip(&areas) {
                // pair by pair: the same plant, the same attacks
                let less: Vec<f64> =
                    month.iter().zip(&areas.settled).map(|(month, own)| month - own).collect();
                print(
                    as_json,
                    gain,
                    *rows,
                    [&areas.alone, &areas.shared, &areas.settled, &less].map(|of| mean(of)),
                );
            }
        });
    }
    bar.finish_and_clear();
    Ok(())
}

/// One newcomer, with each length of history.
fn trial(seed: u64, gain: f64, lengths: &[usize], areas: &mut [Areas]) -> Result<()> {
    let plant = Plant::new(seed);
    // each member centres by its own levels; the sum of such tallies is the covariance within sites, exactly
    let mut within = Tally::new(Gram::new(Plant::grid()?, 0)?);
    for number in 0..SITES {
        let mut site = plant.site(number, SHIFT, gain);
        let levels = site.levels().to_vec();
        for _ in 0..MONTH {
            let row = site.row(0.0);
            let centred: [f64; SENSORS] = core::array::from_fn(|sensor| row[sensor] - levels[sensor]);
            within.observe(&centred)?;
        }
    }
    let shared = Subspace::with_directions(&Covariance::about_zero(&within)?, DRIVES)?;
    // beyond all that is learnt from, and the same for all
    let mut later = plant.site(SITES, SHIFT, gain);
    later.skip(2 * MONTH);
    let (trial, labels) = later.trial(TRIALS);
    for (rows, areas) in lengths.iter().zip(areas) {
        let mut site = plant.site(SITES, SHIFT, gain);
        let stretches: Vec<Tally<Gram>> =
            (0..STRETCHES).map(|_| site.count(rows / STRETCHES, false)).collect::<Result<_>>()?;
        let mut own = Tally::new(within.plan().clone());
        for stretch in &stretches {
            own.merge(stretch)?;
        }
        let own = Covariance::of(&own)?;
        let score = |model: &Subspace| -> Result<f64> {
            let mut window = [0; SENSORS];
            let mut scores = Vec::with_capacity(trial.len());
            for row in &trial {
                model.grid().quantise(row, &mut window)?;
                scores.push(model.statistics(&window).1);
            }
            area(&labels, &scores)
        };
        areas.alone.push(score(&Subspace::with_directions(&own, DRIVES)?)?);
        areas.shared.push(score(&shared.clone().around(own.mean())?)?);
        areas.settled.push(score(&shared.settled(&stretches)?)?);
    }
    Ok(())
}

fn print(as_json: bool, gain: f64, rows: usize, [alone, shared, settled, less]: [(f64, f64); 4]) {
    let days = rows as f64 / DAY as f64;
    if as_json {
        println!(
            "{}",
            json!({
                "gain": gain, "rows": rows, "days": days, "alone": alone.0, "alone_ci95": alone.1, "shared": shared.0,
                "shared_ci95": shared.1, "settled": settled.0, "settled_ci95": settled.1, "less": less.0, "less_ci95": less.1,
            })
        );
    } else {
        let cell = |(mean, half): (f64, f64)| format!("{mean:.3} ± {half:.3}");
        println!(
            "| {gain} | {rows} ({days:.1} days) | {} | {} | {} | {} |",
            cell(alone),
            cell(shared),
            cell(settled),
            cell(less)
        );
    }
}
