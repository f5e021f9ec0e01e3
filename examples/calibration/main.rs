//! Are asked false-alarm rates got? The automatic suite over many simulated plants that nothing was tuned on, and over series of your own.
//!
//! ```sh
//! cargo run --release --example calibration -- --plants 1000
//! cargo run --release --example calibration -- --series normal1.csv --series normal2.csv
//! ```
//!
//! Expect a table: per kind of plant and length of history how many independent rows there were, and for each asked rate what was got on
//! fresh rows of normal operation, on average over the plants with its 95 % interval, and on how many of the plants it was at most twice
//! what was asked. A series of your own is cut in two: the first half is the history, the second is fresh.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod plants;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use serde_json::json;
use twinguard::anomaly::suite::{Suite, Training};

use plants::{KINDS, Kind};

/// Compares asked and got rates of false alarms.
#[derive(Debug, Parser)]
#[command(name = "calibration", after_help = "Exit code: 0 done, 2 bad arguments or input.")]
struct Arguments {
    /// Simulated plants of each kind and length.
    #[arg(long, value_name = "N", default_value_t = 100)]
    plants: usize,
    /// Rows of history.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "500,2000")]
    rows: Vec<usize>,
    /// Fresh rows per plant.
    #[arg(long, value_name = "N", default_value_t = 8000)]
    fresh: usize,
    /// Asked shares of normal rows.
    #[arg(long, value_name = "P", value_delimiter = ',', default_value = "0.05,0.01,0.001")]
    rates: Vec<f64>,
    /// First seed; each plant has its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Kinds of plants; all of them when none is named.
    #[arg(long, value_name = "NAME")]
    kind: Vec<String>,
    /// A series of normal operation, instead of simulated plants.
    #[arg(long, value_name = "F.csv")]
    series: Vec<PathBuf>,
    /// Print one JSON object per line of the table.
    #[arg(long)]
    json: bool,
}

/// What one plant showed.
#[derive(Clone, Debug)]
struct Shown {
    independent: f64,
    /// Share of fresh rows in alarm, by asked rate.
    got: Vec<f64>,
}

fn show(channels: usize, history: &[f64], fresh: &[f64], rates: &[f64]) -> Result<Shown> {
    let suite = Suite::fit(&Training { channels, values: history, times: None })?;
    let limits = rates.iter().map(|rate| suite.limit(*rate)).collect::<Result<Vec<_>, _>>()?;
    let mut state = suite.state();
    let mut counts = vec![0_usize; rates.len()];
    for row in fresh.chunks_exact(channels) {
        let surprise = state.observe(&suite, None, row).surprise;
        counts.iter_mut().zip(&limits).for_each(|(count, limit)| *count += usize::from(surprise > *limit));
    }
    let rows = (fresh.len() / channels).max(1) as f64;
    let got = counts.iter().map(|count| *count as f64 / rows).collect();
    Ok(Shown { independent: suite.report().independent, got })
}

/// One plant after the other, on as many threads as there are cores; the order of the results is that of the plants.
fn simulate(kind: &Kind, rows: usize, args: &Arguments) -> Result<Vec<Shown>> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= args.plants {
                return done;
            }
            let values = kind.run(args.seed + place as u64, rows + args.fresh);
            let (history, fresh) = values.split_at(rows * kind.channels);
            done.push((place, show(kind.channels, history, fresh, &args.rates)));
        }
    };
    let mut all: Vec<(usize, Result<Shown>)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, shown)| shown).collect()
}

/// Columns of numbers under a header; what is no number is missing.
fn read(path: &Path) -> Result<(usize, Vec<f64>)> {
    let name = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(name)?;
    let width = reader.headers().with_context(name)?.len();
    let mut values = Vec::new();
    for record in reader.records() {
        values.extend(record.with_context(name)?.iter().map(|field| field.parse().unwrap_or(f64::NAN)));
    }
    if width == 0 || values.len() < 240 * width {
        return Err(anyhow!("{}: 240 rows at least are needed", name()));
    }
    Ok((width, values))
}

fn line(kind: &str, rows: usize, shown: &[Shown], args: &Arguments) {
    let n = shown.len().max(1) as f64;
    let independent = shown.iter().map(|it| it.independent).sum::<f64>() / n;
    let mut text = format!("| {kind} | {rows} | {} | {independent:.0} |", shown.len());
    let mut rates = Vec::new();
    for (place, asked) in args.rates.iter().enumerate() {
        let mean = shown.iter().map(|it| it.got[place]).sum::<f64>() / n;
        let spread = shown.iter().map(|it| (it.got[place] - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let half = 1.96 * (spread / n).sqrt();
        let kept = shown.iter().filter(|it| it.got[place] <= 2.0 * asked).count() as f64 / n;
        text += &format!(
            " {:.2} ({:.2} – {:.2}) | {:.0} % |",
            mean / asked,
            (mean - half).max(0.0) / asked,
            (mean + half) / asked,
            100.0 * kept
        );
        rates.push(json!({"asked": asked, "got": mean, "low": (mean - half).max(0.0), "high": mean + half, "kept": kept}));
    }
    if args.json {
        println!(
            "{}",
            json!({"kind": kind, "rows": rows, "plants": shown.len(), "independent": independent, "rates": rates})
        );
    } else {
        println!("{text}");
    }
}

fn run(args: &Arguments) -> Result<()> {
    if !args.json {
        let asked = |rate: &f64| format!(" {} %: got / asked | at most twice |", 100.0 * rate);
        println!(
            "| plant | rows | plants | independent rows |{}",
            args.rates.iter().map(asked).collect::<String>()
        );
        println!("|---|---|---|---|{}", "---|---|".repeat(args.rates.len()));
    }
    if !args.series.is_empty() {
        let mut shown = Vec::new();
        let mut rows = 0;
        for path in &args.series {
            let (width, values) = read(path)?;
            let cut = values.len() / width / 2;
            rows += cut;
            let (history, fresh) = values.split_at(cut * width);
            shown.push(show(width, history, fresh, &args.rates).with_context(|| path.display().to_string())?);
        }
        line("series", rows / args.series.len(), &shown, args);
        return Ok(());
    }
    if let Some(name) = args.kind.iter().find(|name| KINDS.iter().all(|kind| kind.name != name.as_str())) {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(anyhow!("no kind `{name}`: there are {}", names.join(", ")));
    }
    for rows in &args.rows {
        let mut all = Vec::new();
        for kind in
            KINDS.iter().filter(|kind| args.kind.is_empty() || args.kind.iter().any(|it| it == kind.name))
        {
            let shown = simulate(kind, *rows, args)?;
            line(kind.name, *rows, &shown, args);
            all.extend(shown);
        }
        line("all", *rows, &all, args);
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("calibration: {error:#}");
            ExitCode::from(2)
        }
    }
}
