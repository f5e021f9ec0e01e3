//! Attack guarded plants: the project's headline table.
//!
//! `cargo run --release --example redteam -- --plants cooling_loop,quadruple_tank --seeds 2` runs every attack and every
//! fault on two plants, twice. Expect a table of attacks by plants with the time to detect, and below it what was missed
//! and why.
//!
//! `cargo run --release --example redteam -- --list` shows the attacks; `--campaign FILE` runs a plan; `--json` prints a
//! line per cell; `--out DIR` writes the board as a page.

#![allow(clippy::disallowed_methods, reason = "a program: files are its business, not a library's")]

mod adaptive;
mod args;
mod certificate;
mod list;
mod own;
mod page;
mod record;
mod table;

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use args::Args;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use twinguard::Drill;
use twinguard::protocol::{LinkType, capture};
use twinguard::redteam::campaign::{Board, Campaign, Cell, Plan, Progress, Quiet, Sight};
use twinguard::redteam::{ORIGIN, Playbook};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redteam: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let (Some(note), Some(key)) = (&args.verify, &args.public_key) {
        return certificate::verify(note, key);
    }
    let plan = plan(args)?;
    if args.list {
        return list::show(args, &plan);
    }
    if args.certificate {
        return certificate::show(args, &plan);
    }
    if args.plant.is_some() && args.telemetry.is_none() {
        anyhow::bail!("--plant goes with --telemetry or --certificate");
    }
    if let (Some(plant), Some(telemetry)) = (&args.plant, &args.telemetry) {
        return own::run(args, plant, telemetry);
    }
    if let (Some(name), Some(path)) = (&args.playbook, &args.pcap) {
        return perform(name, path);
    }
    if args.adaptive {
        return adaptive::run(args, plan);
    }
    let campaign = Campaign::new(plan)?;
    let mut kept = Kept::default();
    if let Some(path) = args.resume.as_deref().filter(|path| path.exists()) {
        kept = Kept::read(path)?;
    }
    let file = args.resume.as_deref().map(append).transpose()?.map(Mutex::new);
    let bar = progress(args, campaign.cells());
    let told = |progress: Progress<'_>| match progress {
        Progress::Learnt(plant) => bar.set_message(format!("learnt {plant}")),
        Progress::Cell(cell) => {
            bar.inc(1);
            keep(file.as_ref(), &Line::Cell(Box::new(cell.clone())));
        }
        Progress::Quiet(quiet) => keep(file.as_ref(), &Line::Quiet(quiet.clone())),
        _ => {}
    };
    let known: std::collections::BTreeSet<_> = kept.cells.iter().map(|cell| cell.key.clone()).collect();
    bar.inc(known.len() as u64);
    let records = args.out.as_deref().filter(|_| args.record).map(record::Records::new).transpose()?;
    let scribes = |key: &_, ground: &_| records.as_ref().and_then(|records| records.scribe(key, ground));
    let board = campaign.run_recorded(&Drill::default(), kept.cells, kept.quiet, &told, &scribes)?;
    bar.finish_and_clear();
    if let Some(records) = records {
        records.finish()?;
    }
    if let Some(dir) = &args.out {
        page::write(dir, &board)?;
    }
    show(args, &board)
}

/// Writes an incident to a capture.
fn perform(name: &str, path: &Path) -> Result<()> {
    let in_file = || path.display().to_string();
    let playbook = Playbook::named(name).context("no such playbook")?;
    let file = std::io::BufWriter::new(File::create(path).with_context(in_file)?);
    let mut writer = capture::Writer::new(file, LinkType::Ethernet).with_context(in_file)?;
    let mut broken = None;
    playbook.perform(ORIGIN, 1, &mut |at, frame| {
        if let Err(error) = writer.write(at, frame) {
            broken.get_or_insert(error);
        }
    })?;
    if let Some(error) = broken {
        return Err(error).with_context(in_file);
    }
    writer.finish().with_context(in_file)?.flush().with_context(in_file)?;
    println!("{}: {}", playbook.incident, playbook.story);
    Ok(())
}

/// The plan of the file or the default, narrowed by the options.
fn plan(args: &Args) -> Result<Plan> {
    let mut plan = match &args.campaign {
        Some(path) => {
            let text = read_to_string(path).with_context(|| path.display().to_string())?;
            Plan::parse(&text, &path.display().to_string())?
        }
        None => Plan { seeds: 1, ..Plan::default() },
    };
    plan.seeds = args.seeds.unwrap_or(plan.seeds);
    plan.quiet = args.quiet.unwrap_or(plan.quiet);
    if args.adaptive {
        // What is tried are variants of attacks; the plants' own faults are nobody's choice.
        plan.incidents = false;
    }
    if !args.plants.is_empty() {
        plan.plants.clone_from(&args.plants);
    }
    if args.trigger.is_some() {
        plan.trigger.clone_from(&args.trigger);
    }
    if !args.views.is_empty() {
        plan.views = args.views.iter().filter_map(|name| Sight::named(name)).collect();
    }
    if !args.attacks.is_empty() {
        plan.attacks = args.attacks.iter().filter(|name| *name != "none").cloned().collect();
        plan.incidents &= args.attacks.iter().any(|name| name == "none");
    }
    plan.incidents &= !args.no_incidents;
    Ok(plan)
}

fn show(args: &Args, board: &Board) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        for cell in &board.cells {
            serde_json::to_writer(&mut out, cell)?;
            writeln!(out)?;
        }
        for quiet in &board.quiet {
            serde_json::to_writer(&mut out, &serde_json::json!({ "quiet": quiet }))?;
            writeln!(out)?;
        }
        let summary = match board.summaries.as_slice() {
            [one] => serde_json::json!({ "summary": one }),
            all => serde_json::json!({ "summary": { "views": all } }),
        };
        serde_json::to_writer(&mut out, &summary)?;
        writeln!(out)?;
        return Ok(());
    }
    table::show(&mut out, board)
}

/// One line of the file that a campaign is taken up from.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Cell(Box<Cell>),
    Quiet(Quiet),
}

/// What an earlier run left.
#[derive(Default)]
struct Kept {
    cells: Vec<Cell>,
    quiet: Vec<Quiet>,
}

impl Kept {
    fn read(path: &Path) -> Result<Self> {
        let mut kept = Self::default();
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let lines: Vec<String> = BufReader::new(file).lines().collect::<Result<_, _>>()?;
        for (number, text) in lines.iter().enumerate() {
            match serde_json::from_str(text) {
                Ok(Line::Cell(cell)) => kept.cells.push(*cell),
                Ok(Line::Quiet(quiet)) => kept.quiet.push(quiet),
                // The last line may be half written: the run was stopped there.
                Err(_) if number + 1 == lines.len() => {}
                Err(error) => {
                    let place = format!("{}:{}", path.display(), number + 1);
                    return Err(error).with_context(|| format!("{place}: not a cell of a campaign"));
                }
            }
        }
        Ok(kept)
    }
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| path.display().to_string())
}

/// Whole lines only, so that a stopped run can be taken up.
fn keep(file: Option<&Mutex<File>>, line: &Line) {
    let Some(file) = file else { return };
    let Ok(mut text) = serde_json::to_vec(line) else { return };
    text.push(b'\n');
    if let Ok(mut file) = file.lock()
        && let Err(error) = file.write_all(&text)
    {
        eprintln!("redteam: {error}");
    }
}

fn progress(args: &Args, cells: usize) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cells  {eta} left  {msg}").ok();
    let bar = ProgressBar::new(cells as u64);
    style.into_iter().for_each(|style| bar.set_style(style));
    bar
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.into_iter().any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
