//! `guard tables`: what a stranger has of a plant, written from one of ours: a history, a tag list, and later rows with attacks.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use twinguard::redteam::{Entry, Nobody, Range, Scenario, Target, Window, address};
use twinguard::twin::Plant;
use twinguard::twin::simulator::{self, Noise, Options, Reference, cooling_loop};
use twinguard::types::{Duration, SignalId, Timestamp};

/// Write a simulated plant's history, tag list, and later rows with attacks as tables (CSV), for whoever is to know no more of it than that.
///
/// The tables hold what a historian gets: values as the wire has them, after the attacker. The column `attack` of the later rows names the attack.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// A reference plant.
    #[arg(long, value_name = "NAME")]
    plant: String,
    /// Seconds from row to row; the plant's own sampling without it.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    sampling: Option<u32>,
    /// Rows of the history.
    #[arg(long, default_value_t = 40_320)]
    rows: u32,
    /// Seed of plant, weather and operator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for history.csv, tags.csv and now.csv.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What shows in telemetry at all: sensors that lie, in different ways, and commands that nobody sent.
const ATTACKS: [&str; 8] =
    ["bias", "ramp", "freeze", "scale", "replay", "oscillation", "command_injection", "actuator_cycling"];
/// Rows before each attack and after the last, and of an attack.
const CALM: i64 = 1440;
const DURING: i64 = 240;

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let reference = if arguments.plant == cooling_loop::REFERENCE.name {
        &cooling_loop::REFERENCE
    } else {
        simulator::reference(&arguments.plant).with_context(|| format!("no plant `{}`", arguments.plant))?
    };
    let mut plant = Plant::parse(reference.plant, reference.name)?;
    if let Some(sampling) = arguments.sampling {
        plant.time.sampling = Duration::from_secs(sampling.into());
    }
    fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    tags(&plant, &arguments.out.join("tags.csv"))?;

    let sampling = plant.time.sampling;
    let start = Options::default().calendar;
    let mut history = Table::new(&plant, &arguments.out.join("history.csv"), false)?;
    let mut range = site(reference, &plant, arguments.seed, (1, start))?;
    for _ in 0..arguments.rows {
        history.row(&mut range, "")?;
    }
    history.finish()?;

    let later = start + times(sampling, arguments.rows.into());
    let mut now = Table::new(&plant, &arguments.out.join("now.csv"), true)?;
    let mut range = site(reference, &plant, arguments.seed, (2, later))?;
    let mut row = 0;
    let mut attacks = 0;
    for name in ATTACKS {
        let entry = Entry::named(name).with_context(|| format!("no attack `{name}`"))?;
        let begin = later + times(sampling, row + CALM);
        let window = Window { start: begin, end: begin + times(sampling, DURING) };
        let target = Target::of(&plant, window, address::ATTACKER)
            .with_context(|| format!("nothing is known to be attacked in `{}`", arguments.plant))?;
        let scenario = Scenario::of(entry, &target.seeded(arguments.seed));
        if scenario.is_empty() {
            continue;
        }
        attacks += 1;
        range = range.fork(scenario);
        for at in 0..CALM + DURING {
            now.row(&mut range, if at < CALM { "" } else { name })?;
        }
        row += CALM + DURING;
    }
    range = range.fork(Scenario::none());
    for _ in 0..CALM {
        now.row(&mut range, "")?;
    }
    now.finish()?;
    let rows = row + CALM;
    if as_json {
        println!(
            "{}",
            json!({"plant": arguments.plant, "sampling_s": sampling.as_secs_f64(), "history_rows": arguments.rows, "rows": rows, "attacks": attacks})
        );
    } else {
        println!(
            "{}: {} rows of history, {rows} rows with {attacks} attacks",
            arguments.plant, arguments.rows
        );
    }
    Ok(())
}

fn times(period: Duration, count: i64) -> Duration {
    Duration::from_nanos(period.as_nanos().saturating_mul(count))
}

fn site(
    reference: &'static Reference,
    plant: &Plant,
    seed: u64,
    (stretch, start): (u64, Timestamp),
) -> Result<Range> {
    let options = Options {
        load_steps: true,
        set_point_changes: true,
        stretch,
        calendar: start,
        sampling: Some(plant.time.sampling),
        ..Options::default()
    };
    let simulated = reference.site(seed, &options)?;
    Ok(Range::over(plant, simulated, Noise::new(seed, stretch * 1_000 + 60), start, Scenario::none()))
}

fn tags(plant: &Plant, path: &Path) -> Result<()> {
    let mut table = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    table.write_record(["tag", "unit"])?;
    for (_, signal) in plant.catalogue.iter() {
        table.write_record([&*signal.path, &*signal.unit])?;
    }
    Ok(table.flush()?)
}

/// A table with a column a signal that has a place on the wire.
struct Table {
    out: csv::Writer<BufWriter<fs::File>>,
    signals: Vec<SignalId>,
    labelled: bool,
    fields: Vec<String>,
}

impl Table {
    fn new(plant: &Plant, path: &Path, labelled: bool) -> Result<Self> {
        let file = fs::File::create(path).with_context(|| path.display().to_string())?;
        let mut out = csv::Writer::from_writer(BufWriter::new(file));
        let signals: Vec<SignalId> = plant.catalogue.iter().map(|(id, _)| id).collect();
        let names = signals.iter().map(|id| plant.catalogue.path(*id));
        out.write_record(["time"].into_iter().chain(names).chain(labelled.then_some("attack")))?;
        Ok(Self { out, signals, labelled, fields: Vec::new() })
    }

    fn row(&mut self, range: &mut Range, attack: &str) -> Result<()> {
        let sample = range.step(&mut Nobody).map_err(|error| anyhow!("{error}"))?;
        self.fields.clear();
        self.fields.push(sample.at.since(Timestamp::ZERO).as_secs_f64().to_string());
        for signal in &self.signals {
            let spoken = sample.signals.iter().find(|(known, _)| known == signal);
            let value = spoken.and_then(|(_, spoken)| spoken.field);
            self.fields.push(value.map_or_else(String::new, |value| value.to_string()));
        }
        self.fields.extend(self.labelled.then(|| attack.to_owned()));
        Ok(self.out.write_record(&self.fields)?)
    }

    fn finish(mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}
