//! What a twin can do by itself, a subcommand each: follow measurements with a filter, run a plant's model.
//!
//! ```sh
//! cargo run --release --example twin -- filter kalman.json --svg x.svg  # a table for people, and a picture
//! cargo run --release --example twin -- filter kalman.json --json       # one object for tools
//! cargo run --release --example twin -- hydraulics town.inp --svg town.svg   # heads and flows of a water network
//! cargo run --release --example twin -- import pump.aas.json            # assets and signals of other formats
//! cargo run --release --example twin -- onboard --history before.csv --out plant    # a plant file from what there is
//! cargo run --release --example twin -- optimise --svg outlook.svg      # the cheapest set-points within all limits
//! cargo run --release --example twin -- isolability plant.toml          # what its meters cannot tell apart
//! cargo run --release --example twin -- whatif plant.toml --hold cooler.valve.command=0.2 --svg bands.svg
//! cargo run --release --example twin -- simulate boiler.json --json     # one object a case
//! cargo run --release --example twin -- identify history.csv --inputs valve --out plant.toml
//! cargo run --release --example twin -- predict wear.csv --signal bearing.temperature --limit 90
//! ```
//!
//! Expect the state with its standard deviation, and how well the measurements fit the filter's own claim. Bad input gets one line
//! that names the file and the place, and exit code 2.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod filter;
mod history;
mod hydraulics;
mod identify;
mod import;
mod input;
mod isolability;
mod onboard;
mod optimise;
mod predict;
mod simulate;
mod whatif;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Runs parts of a digital twin on files.
#[derive(Debug, Parser)]
#[command(name = "twin", after_help = "Exit code: 0 done, 2 bad arguments or input that cannot be used.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON for tools instead of a table for people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Filter(filter::Arguments),
    Hydraulics(hydraulics::Arguments),
    Import(import::Import),
    Validate(import::Validate),
    Isolability(isolability::Arguments),
    Onboard(onboard::Arguments),
    Optimise(optimise::Arguments),
    Whatif(whatif::Arguments),
    Simulate(simulate::Arguments),
    Identify(identify::Arguments),
    Predict(predict::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Filter(command) => filter::run(command, arguments.json),
        Command::Hydraulics(command) => hydraulics::run(command, arguments.json),
        Command::Import(command) => import::run(command, arguments.json),
        Command::Validate(command) => import::validate(command, arguments.json),
        Command::Isolability(command) => isolability::run(command, arguments.json),
        Command::Onboard(command) => onboard::run(command, arguments.json),
        Command::Optimise(command) => optimise::run(command, arguments.json),
        Command::Whatif(command) => whatif::run(command, arguments.json),
        Command::Simulate(command) => simulate::run(command, arguments.json),
        Command::Identify(command) => identify::run(command, arguments.json),
        Command::Predict(command) => predict::run(command, arguments.json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twin: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// One line of JSON on standard output.
fn print_json(value: &Value) -> Result<()> {
    writeln!(io::stdout().lock(), "{value}").context("standard output")
}
