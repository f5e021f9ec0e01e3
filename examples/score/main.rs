//! How odd is each row of this series, given rows of normal operation? One configuration for every plant.
//!
//! ```sh
//! cargo run --release --example score -- --train normal.csv --test today.csv --out scores.csv
//! cargo run --release --example score -- --train normal.csv --test today.csv --out scores.csv --per-day 0.5 --json
//! cargo run --release --example score -- --train normal.csv --test today.csv --out scores.csv --network town.inp   # a water network as twin
//! ```
//!
//! Expect `scores.csv` with a line per row of the test file: `row,score,alarm,top`. `score` ranks rows and incidents (−log₁₀ p, larger is
//! odder), `alarm` is 1 where the surprise passes the limit of the asked rate of false alarms, `top` is the column that is most off.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod network;

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::suite::{ALARM, Suite, Training};
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{Catalogue, Timestamp};

use network::{Columns, Twin};

/// Scores rows of telemetry against a history of normal operation.
#[derive(Debug, Parser)]
#[command(
    name = "score",
    after_help = "CSV: comma, semicolon or tab; a time column (time, datetime, timestamp) is optional, without one a row is a second; empty fields are missing values.\n\
                  Exit code: 0 done, 2 bad arguments or input."
)]
struct Arguments {
    /// Rows of normal operation.
    #[arg(long, value_name = "F.csv")]
    train: PathBuf,
    /// Rows to score, with the same columns.
    #[arg(long, value_name = "F.csv")]
    test: PathBuf,
    /// Where the scores go.
    #[arg(long, value_name = "F.csv")]
    out: PathBuf,
    /// Share of normal rows that may alarm, on average over plants; without it a row alarms at a fixed surprise.
    #[arg(long, value_name = "P")]
    rate: Option<f64>,
    /// The same asked as alarmed rows per day; without a time column a row is a second.
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    per_day: Option<f64>,
    /// An EPANET file: what its hydraulics do not explain of columns named L_TANK, P_NODE, F_LINK (S_LINK: what the link was told) is scored too.
    #[arg(long, value_name = "F.inp")]
    network: Option<PathBuf>,
    /// Columns that are no signals, separated by commas.
    #[arg(long, value_name = "COLS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Print one JSON object: what was chosen, and what to expect.
    #[arg(long)]
    json: bool,
}

/// A file in memory.
struct Rows {
    names: Vec<String>,
    values: Vec<f64>,
    times: Vec<Timestamp>,
}

fn read(path: &Path, ignore: &[String]) -> Result<Rows> {
    let file = || path.display().to_string();
    let input = BufReader::with_capacity(1 << 16, File::open(path).with_context(file)?);
    let options =
        TelemetryOptions { ignore: ignore.to_vec(), catalogue: Catalogue::new(), ..Default::default() };
    let mut telemetry = Telemetry::open(input, options).with_context(file)?;
    let names = telemetry.signals().map(|id| telemetry.catalogue().path(id).to_owned()).collect();
    let mut values = Vec::new();
    let mut times = Vec::new();
    while let Some(row) = telemetry.next_row().with_context(file)? {
        let usable =
            row.points.iter().map(|p| if p.quality.is_usable() { p.value.as_f64() } else { f64::NAN });
        values.extend(usable);
        times.push(row.at);
    }
    Ok(Rows { names, values, times })
}

/// The test's columns in the order of the training's.
fn reorder(rows: Rows, names: &[String], path: &Path) -> Result<Rows> {
    if rows.names == names {
        return Ok(rows);
    }
    let places = names
        .iter()
        .map(|name| {
            let place = rows.names.iter().position(|held| held == name);
            place.ok_or_else(|| anyhow!("{}: no column `{name}`", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    let width = rows.names.len();
    let values = rows.values.chunks_exact(width).flat_map(|row| places.iter().map(move |place| row[*place]));
    Ok(Rows { names: names.to_vec(), values: values.collect(), times: rows.times })
}

/// The rows with what the network does not explain of them as further columns.
fn beside(columns: &Columns, rows: Rows, start: Timestamp) -> Result<Rows> {
    let begins = rows.times.first().map_or(0.0, |first| first.since(start).as_secs_f64());
    let mut twin = Twin::new(columns, begins as i64)?;
    let mut values = Vec::new();
    for (at, row) in rows.times.iter().zip(rows.values.chunks_exact(rows.names.len())) {
        values.extend_from_slice(row);
        twin.step(*at, row, &mut values)?;
    }
    let names = rows.names.iter().cloned().chain(twin.names(&rows.names)).collect();
    Ok(Rows { names, values, times: rows.times })
}

/// Seconds between rows, by the median.
fn period(times: &[Timestamp]) -> Option<f64> {
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().filter(|step| *step > 0.0)
}

fn run(args: &Arguments) -> Result<()> {
    let mut train = read(&args.train, &args.ignore)?;
    let mut test = reorder(read(&args.test, &args.ignore)?, &train.names, &args.test)?;
    if let Some(path) = &args.network {
        let file = || path.display().to_string();
        let network = std::fs::read(path).with_context(file)?;
        let columns = Columns::new(&network, &train.names, &train.values).with_context(file)?;
        let start = train.times.first().copied().unwrap_or(Timestamp::ZERO);
        train = beside(&columns, train, start).with_context(|| args.train.display().to_string())?;
        test = beside(&columns, test, start).with_context(|| args.test.display().to_string())?;
    }
    let step = period(&train.times);
    let rate = match (args.per_day, step) {
        (Some(count), Some(step)) => Some(count * step / 86_400.0),
        (Some(_), None) => {
            return Err(anyhow!("{}: --per-day needs times that move", args.train.display()));
        }
        (None, _) => args.rate,
    };
    let width = train.names.len();
    let begun = Instant::now();
    let training = Training { channels: width, values: &train.values, times: Some(&train.times) };
    let suite = Suite::fit(&training).with_context(|| args.train.display().to_string())?;
    let limit = rate.map_or(Ok(ALARM), |rate| suite.limit(rate))?;
    let fitted = begun.elapsed();
    let count = test.values.len() / width;
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new(count as u64) } else { ProgressBar::hidden() };
    let out = || args.out.display().to_string();
    let mut file = BufWriter::new(File::create(&args.out).with_context(out)?);
    writeln!(file, "row,score,alarm,top").with_context(out)?;
    let mut state = suite.state();
    let (mut alarms, mut spent) = (0_usize, std::time::Duration::ZERO);
    for (t, row) in test.values.chunks_exact(width).enumerate() {
        let at = Some(test.times[t]);
        let begun = Instant::now();
        let verdict = state.observe(&suite, at, row);
        spent += begun.elapsed();
        let alarm = verdict.surprise > limit;
        alarms += usize::from(alarm);
        let top = verdict.top.map_or("", |place| &train.names[place]);
        writeln!(file, "{t},{},{},{}", verdict.score, u8::from(alarm), field(top)).with_context(out)?;
        if t % 256 == 0 {
            bar.set_position(t as u64);
        }
    }
    file.flush().with_context(out)?;
    bar.finish_and_clear();
    let report = suite.report();
    let micros = spent.as_secs_f64() * 1e6 / count.max(1) as f64;
    if args.json {
        println!(
            "{}",
            json!({
                "rows": count, "alarms": alarms, "limit": limit, "asked_rate": rate, "attainable_rate": report.attainable,
                "independent_rows": report.independent, "alarmed_rows_per_day": rate.zip(step).map(|(rate, step)| rate * 86_400.0 / step),
                "families": report.families, "channels": report.live, "constant": report.constant, "left_out": report.left_out,
                "slow": report.slow, "calendar": report.calendar, "digest": suite.digest().to_string(),
                "fit_ms": fitted.as_secs_f64() * 1e3, "row_us": micros,
            })
        );
    } else {
        println!("{report}");
        let asked = match (rate, step) {
            (Some(rate), Some(step)) => {
                format!("asked {rate} of normal rows, {:.2} a day", rate * 86_400.0 / step)
            }
            (Some(rate), None) => format!("asked {rate} of normal rows"),
            (None, _) => "no rate was asked for".to_owned(),
        };
        println!("{alarms} of {count} rows above {limit:.2}, {asked}; {micros:.1} µs a row; {}", out());
    }
    Ok(())
}

/// A CSV field, quoted where it has to be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn main() -> ExitCode {
    let args = Arguments::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("score: {error:#}");
            ExitCode::from(2)
        }
    }
}
