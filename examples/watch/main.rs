//! Guard a plant end to end: the library's main job.
//!
//! `cargo run --release --example watch` simulates a transformer's cooling loop over real Modbus TCP bytes. After half an
//! hour of normal running somebody replays old sensor values and closes the cooling water; the twin and every screen show
//! normal. Expect a finding within a minute that names the replay and the command path, a refused command, virtual
//! sensors in place of the replayed ones, the safe state, and a summary of what was prevented.
//!
//! `cargo run --release --example watch -- --simulate robot_arm` puts another reference plant on stage.
//!
//! `cargo run --release --example watch -- --capture FILE.pcap --learn-first 10min` and
//! `cargo run --release --example watch -- --telemetry NOW.csv --learn BEFORE.csv` do the same on data of your own.

#![allow(
    clippy::disallowed_methods,
    reason = "a program: files and waiting are its business, not a library's"
)]

mod args;
mod beside;
mod pages;
mod recorded;
mod screen;
mod simulated;

use std::process::ExitCode;

use anyhow::Result;
use args::Args;
use clap::Parser;
use twinguard::types::Severity;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(worst) => match args.fail_on {
            Some(bound) if worst.is_some_and(|worst| worst >= bound) => ExitCode::from(3),
            _ => ExitCode::SUCCESS,
        },
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<Option<Severity>> {
    match (&args.capture, &args.telemetry) {
        (Some(capture), _) => recorded::capture(args, capture),
        (None, Some(telemetry)) => recorded::telemetry(args, telemetry),
        (None, None) => simulated::run(args),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
