//! Where is this power grid, and which of its meters lie? Weighted least squares with removal of bad data.
//!
//! ```sh
//! cargo run --release --example estimate -- case14.json
//! cargo run --release --example estimate -- case14.json --gross-error 32:0.16      # one meter lies by 16 MW
//! cargo run --release --example estimate -- case14.json --svg case14.svg           # voltages and residuals as a picture
//! cargo run --release --example estimate -- --study 1000 case14.json case118.json  # false data that no residual shows
//! ```
//!
//! Expect the state with its fit: J against its 95 % threshold, the largest normalised residual, which meters were taken
//! out. A file is JSON as `docs/src/grid.md` says. The study draws attacks `a = Hc` on the grid's DC model and prints how
//! often each defence sees them, with 95 % confidence, and what it misses.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod study;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use examples::picture::{self, Mark, Panel};
use serde_json::json;
use twinguard::twin::grid::{self, Case, Cleaned, Estimator, Limit, Options, Start};

/// Estimates the state of a power grid and takes out bad data.
#[derive(Debug, Parser)]
#[command(name = "estimate", after_help = "Exit code: 0 done, 2 bad arguments, a bad file, or no estimate.")]
struct Args {
    /// The grid with its measurements (several only for a study).
    #[arg(value_name = "F.json", required = true)]
    files: Vec<PathBuf>,
    /// Adds this many per unit to the measurement of this index, from 0; may be repeated.
    #[arg(long, value_name = "INDEX:ADD", allow_hyphen_values = true)]
    gross_error: Vec<GrossError>,
    /// Removes by the false-discovery rate instead of the two-sided Bonferroni 5 % limit.
    #[arg(long, value_name = "RATE", conflicts_with = "study")]
    false_discovery: Option<f64>,
    /// Draws this many stealthy attacks a grid and counts what each defence sees.
    #[arg(long, value_name = "DRAWS", conflicts_with = "gross_error")]
    study: Option<usize>,
    /// Seed of the study.
    #[arg(long, default_value_t = 1, requires = "study")]
    seed: u64,
    /// Writes a picture (SVG) of the voltages and of the first pass's normalised residuals.
    #[arg(long, value_name = "F.svg", conflicts_with = "study")]
    svg: Option<PathBuf>,
    /// Prints JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
struct GrossError {
    index: usize,
    add: f64,
}

impl FromStr for GrossError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, add) = text.split_once(':').ok_or("expected INDEX:ADD")?;
        let index = index.parse().map_err(|_| format!("`{index}` is not an index"))?;
        let add: f64 = add.parse().map_err(|_| format!("`{add}` is not a number"))?;
        if add.is_finite() { Ok(Self { index, add }) } else { Err(format!("`{add}` is not finite")) }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("estimate: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(draws) = args.study {
        return study::run(&args.files, draws, args.seed, args.json);
    }
    let [file] = args.files.as_slice() else { bail!("one file at a time, unless --study is given") };
    let mut case = read(file)?;
    for GrossError { index, add } in &args.gross_error {
        let count = case.values.len();
        let value = case.values.get_mut(*index);
        *value.with_context(|| format!("--gross-error: there is no measurement {index}, only {count}"))? +=
            add;
    }
    let limit = match args.false_discovery {
        Some(rate) => {
            ensure!((0.0..1.0).contains(&rate), "--false-discovery: {rate} is not between 0 and 1");
            Limit::FalseDiscovery(rate)
        }
        None => Limit::default(),
    };
    let started = Instant::now();
    let named = || file.display().to_string();
    let mut estimator = case.estimator().with_context(named)?;
    let found = estimator.clean(&case.values, Start::Flat, &Options::default(), limit).with_context(named)?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    if let Some(svg) = &args.svg {
        picture::write(svg, &named(), &panels(&case, limit, &found, estimator.magnitudes_pu())?)?;
    }
    print(args.json, &case, &estimator, &found, ms)?;
    Ok(())
}

fn read(file: &Path) -> Result<Case> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Case::parse(&text).with_context(|| file.display().to_string())
}

/// Voltages as they were found, and the residuals before anything was taken out: what made the verdict. What cannot be checked has none.
fn panels(case: &Case, limit: Limit, found: &Cleaned, volts: &[f64]) -> Result<[Panel; 2]> {
    let mut estimator = case.estimator()?;
    estimator.estimate(&case.values, Start::Flat, &Options::default())?;
    let mut residuals = Vec::new();
    estimator.normalised_residuals(&mut residuals);
    let volts = volts.iter().enumerate().map(|(at, volts)| [at as f64, *volts]);
    let residuals =
        residuals.iter().enumerate().filter_map(|(at, residual)| Some((at, residual.as_ref()?.abs())));
    let point = |(at, residual): (usize, f64)| [at as f64, residual];
    let (removed, kept): (Vec<_>, Vec<_>) = residuals.partition(|(at, _)| found.removed.contains(at));
    let mut marks = vec![
        Mark::Dots(kept.into_iter().map(point).collect()),
        Mark::Struck(removed.into_iter().map(point).collect()),
    ];
    // The rate of false discoveries has no limit that one residual could be held against.
    if let Limit::Bonferroni(share) = limit {
        marks.push(Mark::Level(grid::two_sided_quantile(share / case.meters.len().max(1) as f64)));
    }
    Ok([
        Panel::new("voltage, pu", "bus", vec![Mark::Dots(volts.collect())]),
        Panel::new("normalised residual at first; red: taken out", "measurement", marks),
    ])
}

fn print(json: bool, case: &Case, estimator: &Estimator, found: &Cleaned, ms: f64) -> io::Result<()> {
    let threshold = grid::chi_squared_quantile(found.first.dof, 0.95);
    let alarm = found.first.dof > 0 && found.first.objective > threshold;
    let mut out = io::stdout().lock();
    if json {
        let line = json!({
            "vm_pu": estimator.magnitudes_pu(),
            "va_rad": estimator.angles_rad(),
            "iterations": found.first.iterations,
            "J": found.first.objective,
            "dof": found.first.dof,
            "chi2_threshold_95": threshold,
            "chi2_alarm": alarm,
            "lnr_index": found.first_largest.map(|largest| largest.meter),
            "lnr_value": found.first_largest.map(|largest| largest.value),
            "removed": found.removed,
            "J_final": found.last.objective,
            "dof_final": found.last.dof,
            "ms": ms,
        });
        return writeln!(out, "{line}");
    }
    writeln!(
        out,
        "{} buses, {} branches, {} measurements; {} steps, {ms:.1} ms",
        case.grid.buses().len(),
        case.grid.branches().len(),
        case.meters.len(),
        found.first.iterations
    )?;
    let word = if alarm { "above" } else { "below" };
    let (j, dof) = (found.first.objective, found.first.dof);
    writeln!(out, "J = {j:.3} with {dof} degrees of freedom, {word} the 95 % threshold of {threshold:.3}")?;
    match found.first_largest {
        Some(largest) => writeln!(
            out,
            "largest normalised residual: {:.3} at measurement {} ({:?})",
            largest.value, largest.meter, case.meters[largest.meter].quantity
        )?,
        None => writeln!(out, "no measurement is redundant: none can be checked")?,
    }
    for meter in &found.removed {
        writeln!(out, "taken out: measurement {meter} ({:?})", case.meters[*meter].quantity)?;
    }
    if !found.removed.is_empty() {
        let (j, dof) = (found.last.objective, found.last.dof);
        writeln!(out, "without them J = {j:.3} with {dof} degrees of freedom")?;
    }
    let lowest = extreme(estimator.magnitudes_pu(), |a, b| a < b);
    let highest = extreme(estimator.magnitudes_pu(), |a, b| a > b);
    writeln!(
        out,
        "voltages from {:.4} pu (bus {}) to {:.4} pu (bus {})",
        lowest.1, lowest.0, highest.1, highest.0
    )
}

fn extreme(list: &[f64], better: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let first = (0, list.first().copied().unwrap_or_default());
    list.iter()
        .copied()
        .enumerate()
        .fold(first, |best, entry| if better(entry.1, best.1) { entry } else { best })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
