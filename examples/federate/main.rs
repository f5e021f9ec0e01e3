//! Several sites, one detector: each site is a process with its own rows; only sums leave it, signed, over an encrypted channel.
//!
//! ```sh
//! cargo run --release --example federate                                  # five sites, the exact sum
//! cargo run --release --example federate -- --sites 9 --mode robust       # one of them lies
//! cargo run --release --example federate -- --mode secure                 # two aggregators, each sees random numbers
//! cargo run --release --example federate -- --epsilon 1 --rows 20000      # noise at each site, paid for from its ledger
//! cargo run --release --example federate -- --study 10                    # what liars cost, rule by rule
//! cargo run --release --example federate -- --newcomer 20                 # what a new site gains
//! echo 10 20 1e-6 | cargo run --release --example federate -- --account   # what ten releases cost, σ twenty times a row's reach
//! ```
//!
//! Expect a line per event: who joined, who was killed and came back, how the sites voted; then the digests of the federated and of the
//! pooled model, which are equal in mode `exact`, the area under the curve of the sealed model on attacks that it has not seen, and what the
//! guard of a new site with one day of rows sees of such an attack, with the sealed model and without it.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod account;
mod channel;
mod helper;
mod hub;
mod job;
mod joined;
mod newcomer;
mod plant;
mod site;
mod study;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use indicatif::ProgressBar;

use job::Mode;

/// Several sites learn one detector without sharing rows.
#[derive(Clone, Debug, Parser)]
#[command(name = "federate", after_help = "Exit code: 0 done, 2 bad arguments or a failure.")]
pub(crate) struct Arguments {
    /// Number of sites.
    #[arg(long, value_name = "N", default_value_t = 5)]
    sites: u32,
    /// Whom the sites have to trust.
    #[arg(long, value_enum, default_value_t = Mode::Exact)]
    mode: Mode,
    /// Rows of each site.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    rows: usize,
    /// Sites that lie; default: one in mode robust, none otherwise.
    #[arg(long, value_name = "N")]
    poisoned: Option<u32>,
    /// Spread of the sites' levels, in units of their sensors.
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    shift: f64,
    /// Discrete Gaussian noise at each site, for this ε at δ = 10⁻⁶, row by row.
    #[arg(long, value_name = "EPSILON")]
    epsilon: Option<f64>,
    /// Seed of the plant and its rows; keys and noise are random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where model, seal, journal and states go; default: a folder that is removed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Nobody is killed.
    #[arg(long)]
    calm: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Instead of a federation: the table of what liars cost, over so many seeds.
    #[arg(long, value_name = "SEEDS")]
    study: Option<u64>,
    /// Instead of a federation: what a new site gains, over so many seeds.
    #[arg(long, value_name = "SEEDS")]
    newcomer: Option<u64>,
    /// Instead of a federation: reads lines of how many releases, their noise over the reach of a row, and δ, and prints what they cost
    /// together as JSON.
    #[arg(long)]
    account: bool,
    /// A site's process; started by the program itself.
    #[arg(long, hide = true)]
    site: bool,
    /// The second aggregator's process; started by the program itself.
    #[arg(long, hide = true)]
    helper: bool,
}

fn run(args: &Arguments) -> Result<()> {
    if args.site {
        return site::run();
    }
    if args.helper {
        return helper::run();
    }
    if args.mode == Mode::Secure && args.epsilon.is_some() {
        bail!("--epsilon: in mode secure there is no noise yet");
    }
    if args.account {
        return account::run(std::io::stdin().lock());
    }
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Some(seeds) = args.study {
        return study::run(seeds, args.seed, args.json, &bar);
    }
    if let Some(seeds) = args.newcomer {
        return newcomer::run(seeds, args.seed, args.json, &bar);
    }
    if args.sites < job::MIN_SITES || args.sites > 200 {
        bail!("--sites {}: {} to 200 hide each other", args.sites, job::MIN_SITES);
    }
    hub::run(args, &bar)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("federate: {error:#}");
            ExitCode::from(2)
        }
    }
}
