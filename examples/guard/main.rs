//! Guards in operation: what a change of the plant file does before it goes live, what many assets cost, what a year does to one; and tables of our
//! own plants, as a stranger would bring them.
//!
//! ```sh
//! cargo run --release --example guard -- diff --old plant.toml --new plant-2.toml --learn before.csv --telemetry now.csv
//! cargo run --release --example guard -- fleet --assets 100000 --tenants 1000
//! cargo run --release --example guard -- year --days 90 --seed 1
//! cargo run --release --example guard -- tables --plant hvac_zone --sampling 60 --out hvac
//! ```
//!
//! `diff`: both plant files guard the same recorded input. Expect the findings that only one of them makes, those that name other suspects, and how many
//! alarms a day each gives. Bad input gets one line that names the file and the place, and exit code 2.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod fleet;
mod tables;
mod year;

use std::fs::{self, File};
use std::io::{BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinguard::protocol::capture;
use twinguard::shadow::{Change, Heard, Shadow, Side};
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{Catalogue, Duration, Timestamp};
use twinguard::{Config, Guard, Input};

/// Guards in operation.
#[derive(Debug, Parser)]
#[command(
    name = "guard",
    after_help = "Exit code: 0 done, 1 a year with too many alarms or broken evidence, 2 bad arguments or input that cannot be used."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON for tools instead of text for people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Diff(Diff),
    Fleet(fleet::Arguments),
    Tables(tables::Arguments),
    Year(year::Arguments),
}

/// Say which findings a changed plant file gains and loses on recorded input, and how many alarms a day both give.
#[derive(clap::Args, Debug)]
struct Diff {
    /// The plant file in force.
    #[arg(long, value_name = "FILE")]
    old: PathBuf,
    /// The plant file that might take its place.
    #[arg(long, value_name = "FILE")]
    new: PathBuf,
    /// Normal history that both learn from, of the same kind as the input.
    #[arg(long, value_name = "FILE")]
    learn: PathBuf,
    /// A CSV or Parquet file of telemetry as the input.
    #[arg(long, value_name = "FILE", required_unless_present = "capture", conflicts_with = "capture")]
    telemetry: Option<PathBuf>,
    /// A capture (pcap or pcapng) as the input.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// False alarms per day that are acceptable; without it each plant file says so itself.
    #[arg(long, value_name = "NUMBER")]
    false_alarms_per_day: Option<f64>,
    /// Findings of both sides that lie this many seconds apart are the same.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    tolerance: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Diff(diff) => run(diff, arguments.json).map(|()| true),
        Command::Fleet(command) => fleet::run(command, arguments.json).map(|()| true),
        Command::Tables(command) => tables::run(command, arguments.json).map(|()| true),
        Command::Year(command) => year::run(command, arguments.json),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("guard: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Diff, as_json: bool) -> Result<()> {
    let mut shadow = Shadow::new(Duration::from_secs(arguments.tolerance.into()));
    let mut watched = Duration::ZERO;
    for (side, path) in [(Side::Old, &arguments.old), (Side::New, &arguments.new)] {
        watched = watch(arguments, side, path, &mut shadow, as_json)?;
    }
    let change = shadow.compare(watched);
    if as_json {
        println!("{}", json!({ "change": change, "watched_s": watched.as_secs_f64() }));
    } else {
        tell(&change, watched);
    }
    Ok(())
}

/// One plant file over the input; how long it watched.
fn watch(arguments: &Diff, side: Side, path: &Path, shadow: &mut Shadow, as_json: bool) -> Result<Duration> {
    let text = fs::read_to_string(path).with_context(|| shown(path))?;
    let plant = Plant::parse(&text, &shown(path))?;
    let catalogue = plant.catalogue.clone();
    let config = Config { false_alarms_per_day: arguments.false_alarms_per_day, ..Config::default() };
    let builder = Guard::builder_unsealed(plant).config(config);
    let learn = &arguments.learn;
    let builder = match &arguments.telemetry {
        Some(_) => builder.learn(telemetry(open(learn)?.0, learn, &catalogue)?),
        None => builder.learn(capture::Reader::new(open(learn)?.0).with_context(|| shown(learn))?),
    };
    let mut guard = builder.with_context(|| shown(learn))?.build()?;
    let mut ends = Ends::default();
    let mut drain = |guard: &mut Guard| {
        while let Some(output) = guard.poll() {
            shadow.hear(side, &output);
        }
    };
    if let Some(path) = &arguments.telemetry {
        let (input, length) = open(path)?;
        let bar = progress(side, length, as_json);
        let mut rows = telemetry(bar.wrap_read(input), path, &catalogue)?;
        while let Some(row) = rows.next_row().with_context(|| shown(path))? {
            guard.handle(row.at, Input::Points(row.points))?;
            ends.take(row.at);
            drain(&mut guard);
        }
        bar.finish_and_clear();
    }
    if let Some(path) = &arguments.capture {
        let (input, length) = open(path)?;
        let bar = progress(side, length, as_json);
        let mut frames = capture::Reader::new(bar.wrap_read(input)).with_context(|| shown(path))?;
        while let Some(frame) = frames.next_frame().with_context(|| shown(path))? {
            guard.handle(frame.at, Input::Frame(&frame))?;
            ends.take(frame.at);
            drain(&mut guard);
        }
        bar.finish_and_clear();
    }
    let (first, last) = ends.0.context("there is nothing in the input")?;
    let end = guard.next_deadline().map_or(last, |deadline| deadline.max(last));
    guard.handle(end, Input::Tick)?;
    drain(&mut guard);
    ensure!(last > first, "the input is a single instant");
    Ok(last.since(first))
}

/// The first and the last instant of an input.
#[derive(Default)]
struct Ends(Option<(Timestamp, Timestamp)>);

impl Ends {
    fn take(&mut self, at: Timestamp) {
        self.0 = Some(self.0.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }
}

fn telemetry<R: std::io::Read>(input: R, path: &Path, catalogue: &Catalogue) -> Result<Telemetry<R>> {
    let options =
        TelemetryOptions { catalogue: catalogue.clone(), lenient: true, ..TelemetryOptions::default() };
    Telemetry::open(input, options).with_context(|| shown(path))
}

fn open(path: &Path) -> Result<(BufReader<File>, u64)> {
    let file = File::open(path).with_context(|| shown(path))?;
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    Ok((BufReader::with_capacity(1 << 16, file), length))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn progress(side: Side, length: u64, as_json: bool) -> ProgressBar {
    if as_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length).with_message(format!("{side:?}"));
    ProgressStyle::with_template("{msg} {bar:40} {percent:>3} % {eta}")
        .into_iter()
        .for_each(|style| bar.set_style(style));
    bar
}

fn tell(change: &Change, watched: Duration) {
    println!(
        "Over {:.2} days: {} findings of both, {} gained, {} lost, {} that name other suspects.",
        watched.as_secs_f64() / 86_400.0,
        change.kept.len(),
        change.gained.len(),
        change.lost.len(),
        change.renamed
    );
    println!("Alarms a day: {:.3} before, {:.3} after.", change.per_day.0, change.per_day.1);
    let list = |sign: char, heard: &[Heard]| {
        for one in heard {
            let suspects: Vec<&str> = one.suspect_set.iter().map(|suspect| suspect.as_str()).collect();
            println!("  {sign} {}  {} ({})", one.raised_at, one.title, suspects.join(", "));
        }
    };
    list('+', &change.gained);
    list('-', &change.lost);
    for (old, new) in change.kept.iter().filter(|(old, new)| old.suspect_set != new.suspect_set) {
        println!("  ~ {}  {}; now: {}", old.raised_at, old.title, new.title);
    }
}
