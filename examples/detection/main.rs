//! What slips by? Three studies of the detectors on simulated plants, each with its seeds: liars with an autoencoder, biases below the limits,
//! and attacks in the history.
//!
//! ```sh
//! cargo run --release --example detection -- concealment --seeds 5
//! cargo run --release --example detection -- stealth --months 24
//! cargo run --release --example detection -- contamination --seeds 5
//! ```
//!
//! Expect a table each: the share of attacked rows that is seen while 2 to 40 of 40 sensors are spoofed; the largest bias that an hour does not
//! show where a false alarm comes once a month, beside a χ² without memory; and what 1, 5 and 10 % attacked rows in the history cost.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod autoencoder;
mod concealment;
mod contamination;
mod stealth;
mod water;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use twinguard::twin::simulator::Noise;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Study {
    /// Spoofed sensors on a water network of forty channels.
    Concealment,
    /// The largest bias that stays unseen.
    Stealth,
    /// Attacked rows in the history.
    Contamination,
}

/// Measures what detectors miss.
#[derive(Debug, Parser)]
#[command(name = "detection", after_help = "Exit code: 0 done, 2 bad arguments.")]
struct Arguments {
    study: Study,
    /// Plants, each with its own seed.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Months of normal running that the limits of `stealth` are set on.
    #[arg(long, value_name = "N", default_value_t = 24)]
    months: usize,
    /// Print one JSON object per line of the table.
    #[arg(long)]
    json: bool,
}

/// Asked share of normal rows in alarm, where rows are counted.
const FALSE_ALARMS: f64 = 0.005;

/// One of `0..count`.
fn below(draw: &mut Noise, count: usize) -> usize {
    ((draw.uniform() * count as f64) as usize).min(count.saturating_sub(1))
}

fn share_above(list: &[f64], limit: f64) -> f64 {
    list.iter().filter(|value| **value > limit).count() as f64 / list.len().max(1) as f64
}

fn mean(list: &[f64]) -> f64 {
    list.iter().sum::<f64>() / list.len().max(1) as f64
}

/// The value below which this share lies.
fn quantile(list: &[f64], share: f64) -> f64 {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

fn run(args: &Arguments) -> Result<()> {
    let seeds = args.seed..args.seed + args.seeds;
    match args.study {
        Study::Concealment => {
            concealment::print(&seeds.map(concealment::run).collect::<Result<Vec<_>>>()?, args.json);
        }
        Study::Contamination => {
            contamination::print(&seeds.map(contamination::run).collect::<Result<Vec<_>>>()?, args.json);
        }
        Study::Stealth => {
            if !args.json {
                stealth::header();
            }
            for plant in &stealth::PLANTS {
                stealth::print(plant, &stealth::run(plant, args.months.max(1), args.seed)?, args.json);
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("detection: {error:#}");
            ExitCode::from(2)
        }
    }
}
