//! Who heals best? The same attacks on the same plant for every planner, with and without the safety shield.
//!
//! ```sh
//! cargo run --release --example heal                                   # four coupled modules, attackers planners know
//! cargo run --release --example heal -- --task single                  # one module, with the exact plan as oracle
//! cargo run --release --example heal -- --task unseen --attackers unseen  # a plant and attackers no planner has met
//! cargo run --release --example heal -- --svg heal.svg                 # the same as a picture
//! cargo run --release --example heal -- --virtual-sensors --seeds 3    # every sensor of every plant lost, and lying
//! ```
//!
//! Expect a table, the cheapest planner first within each half: cost of an episode with its 95 % confidence interval over seeds,
//! the paired difference to the best tuned playbook, unsafe steps (none behind the shield), and those that nobody could avoid.
//! With --virtual-sensors a line a sensor: in how many of the runs on the model's estimate a limit was crossed that is kept with the
//! sensor, and how much of the time the truth lay inside the estimate's 95 % interval.
//! Planners are tuned and learn on seeds of their own. `docs/src/response.md` says what the plant is and what a cost is.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod virtual_sensors;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use examples::picture::{self, Mark, Panel};
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::response::attacker::{SEEN, UNSEEN};
use twinguard::response::policy::Training;
use twinguard::response::registry::{School, planners};
use twinguard::response::task::Task;
use twinguard::response::trial::{Score, TEST, TRAINING, TUNING, Trial, run};

/// Compares responses on the same attacks, with and without the safety shield.
#[derive(Debug, Parser)]
#[command(name = "heal", after_help = "Exit code: 0 done, 2 bad arguments.")]
struct Args {
    /// Episodes of each seed, 240 steps each.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    episodes: u32,
    /// Test seeds.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    seeds: u64,
    /// The plant.
    #[arg(long, value_enum, default_value = "multi")]
    task: Plant,
    /// Attackers that planners learnt from, others, or none.
    #[arg(long, value_enum, default_value = "seen")]
    attackers: Attackers,
    /// Only these planners; may be repeated.
    #[arg(long, value_name = "NAME")]
    planner: Vec<String>,
    /// Episodes that tabular Q learns from; fitted Q takes one of a hundred.
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(20..))]
    training: u32,
    /// Instead: each sensor of each reference plant lost and lying, with the model's estimate in its place.
    #[arg(long, conflicts_with_all = ["episodes", "task", "attackers", "planner", "training", "svg"])]
    virtual_sensors: bool,
    /// With --virtual-sensors: two sensors at a time.
    #[arg(long, requires = "virtual_sensors")]
    pairs: bool,
    /// With --virtual-sensors: only this reference plant.
    #[arg(long, value_name = "NAME", requires = "virtual_sensors")]
    plant: Option<String>,
    /// Draws the costs with their intervals, and the unsafe steps, into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prints JSON lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Plant {
    /// One module.
    Single,
    /// Four in a ring, two may be isolated at once.
    Multi,
    /// Three in a line, one may be isolated at once; planners know only `multi`.
    Unseen,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Attackers {
    /// Steady, pulsing, switching.
    Seen,
    /// Bursting, hunting the hottest, fleeing.
    Unseen,
    /// Nobody: disturbances and false alarms alone.
    None,
}

struct Row {
    planner: &'static str,
    shield: bool,
    score: Score,
}

/// The tuned playbook that knows all that a learner knows.
const REFERENCE: &str = "margin_aware";

fn main() -> ExitCode {
    let args = Args::parse();
    match if args.virtual_sensors { substitute(&args) } else { compare(&args) } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heal: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn substitute(args: &Args) -> Result<()> {
    let names = virtual_sensors::names();
    if let Some(unknown) = args.plant.as_deref().filter(|plant| !names.contains(plant)) {
        anyhow::bail!("--plant: `{unknown}` is none of {}", names.join(", "));
    }
    let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let mut out = io::stdout().lock();
    let (mut lines, mut harmed, mut inside) = (0.0, 0, 0.0);
    if !args.json {
        writeln!(
            out,
            "{:26} {:44} {:>5} {:>7} {:>8} {:>9}",
            "plant", "without", "runs", "hours", "harmed", "inside"
        )?;
    }
    virtual_sensors::study(
        args.seeds,
        args.pairs,
        |name| args.plant.as_deref().is_none_or(|it| it == name),
        |line| {
            bar.set_message(format!("{} {}", line.plant, line.sensors));
            bar.tick();
            lines += 1.0;
            inside += line.inside;
            harmed += line.harm.len();
            if args.json {
                writeln!(out, "{}", line.json())?;
                return Ok(());
            }
            let first = line.harm.first().map_or(String::new(), ToString::to_string);
            let share = format!("{:.1} %", 100.0 * line.inside);
            let (plant, sensors, runs, hours) = (line.plant, line.sensors, line.runs, line.hours);
            let harm = line.harm.len();
            Ok(writeln!(out, "{plant:26} {sensors:44} {runs:>5} {hours:>7.2} {harm:>8} {share:>9}  {first}")?)
        },
    )?;
    bar.finish_and_clear();
    if !args.json {
        writeln!(
            out,
            "{lines} lines, {harmed} limits crossed, inside the interval {:.1} %",
            100.0 * inside / f64::max(lines, 1.0)
        )?;
    }
    Ok(())
}

fn compare(args: &Args) -> Result<()> {
    let names: Vec<&str> = planners().iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = args.planner.iter().find(|name| !names.contains(&name.as_str())) {
        anyhow::bail!("--planner: `{unknown}` is none of {}", names.join(", "));
    }
    let (task, school_task) = match args.task {
        Plant::Single => (Task::single(), Task::single()),
        Plant::Multi => (Task::multi()?, Task::multi()?),
        Plant::Unseen => (Task::unseen()?, Task::multi()?),
    };
    let attackers = match args.attackers {
        Attackers::Seen => SEEN,
        Attackers::Unseen => UNSEEN,
        Attackers::None => &[],
    };
    let trial = Trial::new(TEST, args.seeds, args.episodes, attackers);
    let wanted = |name: &str| args.planner.is_empty() || args.planner.iter().any(|planner| planner == name);
    let bar = if io::stderr().is_terminal() {
        ProgressBar::new(2 * planners().len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let mut rows = Vec::new();
    for shield in [false, true] {
        let school = School {
            shielded: shield,
            tuning: Trial::new(TUNING, 3, 40, SEEN),
            training: Training {
                seed: TRAINING,
                episodes: args.training,
                attackers: SEEN.to_vec(),
                shielded: shield,
            },
        };
        for (planner, make) in planners().iter().filter(|(name, _)| wanted(name)) {
            if let Some(made) = make(&school_task, &school)? {
                rows.push(Row { planner, shield, score: run(&task, &*made, shield, &trial)? });
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    ensure!(!rows.is_empty(), "no planner is for this plant");
    rows.sort_by(|a, b| a.shield.cmp(&b.shield).then(a.score.cost().0.total_cmp(&b.score.cost().0)));
    match print(args, &rows) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    if let Some(file) = &args.svg {
        let title = format!("{:?} plant, {:?} attackers", args.task, args.attackers).to_lowercase();
        picture::write(file, &title, &panels(&rows))?;
    }
    Ok(())
}

/// Costs without and behind the shield, and where anything was unsafe, who was to blame.
fn panels(rows: &[Row]) -> Vec<Panel> {
    let halves = [(false, "Without the shield"), (true, "Behind the shield")];
    let mut panels = Vec::new();
    for (shield, name) in halves {
        let half = || rows.iter().filter(|row| row.shield == shield);
        let marks = |value: fn(&Score) -> [f64; 3]| {
            vec![Mark::Rows(half().map(|row| (row.planner.to_owned(), value(&row.score))).collect())]
        };
        let (harm, steps) =
            half().fold((0, 0), |sum, row| (sum.0 + row.score.unsafe_steps, sum.1 + row.score.steps));
        let name = format!("{name}: {harm} of {steps} steps unsafe");
        panels.push(Panel::new(
            name.clone(),
            "cost of an episode, 95 % interval over seeds",
            marks(|score| {
                let (cost, ci95) = score.cost();
                [cost, cost - ci95, cost + ci95]
            }),
        ));
        if harm > 0 {
            panels.push(Panel::new(
                name,
                "unsafe steps in a million",
                marks(|score| {
                    let share = 1e6 * score.unsafe_steps as f64 / score.steps.max(1) as f64;
                    [share, 0.0, share]
                }),
            ));
        }
    }
    panels
}

fn print(args: &Args, rows: &[Row]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !args.json {
        writeln!(
            out,
            "{:20} {:7} {:>18} {:>20} {:>8} {:>11} {:>9} {:>10} {:>9}",
            "planner",
            "shield",
            "cost of an episode",
            "against margin_aware",
            "unsafe",
            "unavoidable",
            "needless",
            "to contain",
            "corrected"
        )?;
    }
    for Row { planner, shield, score } in rows {
        let (cost, ci95) = score.cost();
        let reference = rows.iter().find(|row| row.planner == REFERENCE && row.shield == *shield);
        let against = reference.map(|row| score.dearer_than(&row.score));
        if args.json {
            let line = json!({
                "planner": planner,
                "shield": shield,
                "cost": cost,
                "ci95": ci95.is_finite().then_some(ci95),
                "unsafe_steps": score.unsafe_steps,
                "unavoidable_steps": score.unavoidable_steps,
                "steps": score.steps,
                "needless_isolation": score.needless_isolation(),
                "time_to_contain": score.time_to_contain(),
                "against_margin_aware": against.map(|(share, _)| share),
                "against_margin_aware_ci95": against.and_then(|(_, half)| half.is_finite().then_some(half)),
                "corrected": score.corrected,
                "task": format!("{:?}", args.task).to_lowercase(),
                "attackers": format!("{:?}", args.attackers).to_lowercase(),
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let against = against
            .map_or(String::new(), |(share, half)| format!("{:+.1} % ± {:.1}", 100.0 * share, 100.0 * half));
        writeln!(
            out,
            "{planner:20} {:7} {:>18} {against:>20} {:>8} {:>11} {:>9} {:>10} {:>9}",
            if *shield { "yes" } else { "no" },
            format!("{cost:.1} ± {ci95:.1}"),
            score.unsafe_steps,
            score.unavoidable_steps,
            format!("{:.2} %", 100.0 * score.needless_isolation()),
            score.time_to_contain().map_or("–".to_owned(), |steps| format!("{steps:.1}")),
            score.corrected,
        )?;
    }
    Ok(())
}
