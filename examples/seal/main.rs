//! Is this model what its maker sealed? Is this journal what was written? Keys, seals, checks, proofs.
//!
//! ```sh
//! cargo run --release --example seal -- keygen --out vendor                # vendor.key (secret), vendor.pub
//! cargo run --release --example seal -- create model/ --key vendor.key --out model.seal --version 3
//! cargo run --release --example seal -- verify model/ --seal model.seal --public-key vendor.pub --state accepted
//! cargo run --release --example seal -- diff model.seal model/             # what was added, changed, is missing
//! cargo run --release --example seal -- openssf-verify model/ --signature model.sig --public-key key.pub
//! cargo run --release --example seal -- log verify journal/ --public-key guard.pub
//! cargo run --release --example seal -- prove journal/ --leaf 17 --public-key guard.pub --out finding.tlog-proof
//! cargo run --release --example seal -- log check finding.tlog-proof --public-key guard.pub
//! cargo run --release --example seal -- evidence export journal/ --leaf 17 --public-key guard.pub --out case-7.evidence
//! cargo run --release --example seal -- evidence verify case-7.evidence --policy policy.txt
//! cargo run --release --example seal -- witness cosign request --key w1.key --log guard.pub --state w1.state --out lines
//! cargo run --release --example seal -- attest check --seal model.seal --public-key vendor.pub --running now.csv
//! ```
//!
//! Expect one line that says what was verified, or what is wrong and where. Change a byte of the model, add a file, put a
//! link in a file's place, bring an older version back: each is refused by name, with exit code 1. Where a directory is asked
//! for, an archive (FMU, AASX, zip) will do: it is read in memory, nothing is extracted.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod answer;
mod attest;
mod create;
mod diff;
mod evidence;
mod files;
mod keygen;
mod log;
mod openssf;
mod prove;
mod show;
mod trust;
mod verify;
mod witness;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use serde_json::json;
use twinguard::integrity::Error;

use answer::Answer;

/// Seals models, verifies them, and checks journals.
#[derive(Debug, Parser)]
#[command(
    name = "seal",
    after_help = "Exit code: 0 verified or done, 1 refused, 2 bad arguments, a missing file, or a failure to read or write."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object: ok, error, root, files, ms, and what else there is to say.
    #[arg(long, global = true)]
    json: bool,
}

/// One file for each.
#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Create(create::Create),
    Verify(verify::Verify),
    Diff(diff::Diff),
    Show(show::Show),
    OpenssfSign(openssf::Sign),
    OpenssfVerify(openssf::Verify),
    Prove(prove::Prove),
    #[command(subcommand)]
    Log(log::Log),
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    #[command(subcommand)]
    Witness(witness::Witnessing),
    #[command(subcommand)]
    Attest(attest::Attest),
    #[command(subcommand)]
    Trust(trust::Roots),
}

fn run(command: Command) -> Result<Answer, Error> {
    match command {
        Command::Keygen(command) => command.run(),
        Command::Create(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::OpenssfSign(command) => command.run(),
        Command::OpenssfVerify(command) => command.run(),
        Command::Prove(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::Witness(command) => command.run(),
        Command::Attest(command) => command.run(),
        Command::Trust(command) => command.run(),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let result = run(arguments.command);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let (ok, exit) = match &result {
        Ok(answer) if !answer.refused => (true, ExitCode::SUCCESS),
        Ok(_) => (false, ExitCode::from(1)),
        Err(error) if error.is_refusal() => (false, ExitCode::from(1)),
        Err(_) => (false, ExitCode::from(2)),
    };
    let printed = if arguments.json {
        let mut object = json!({ "ok": ok, "error": null, "root": null, "files": null });
        match result {
            Ok(Answer { words, members, refused }) => {
                if refused {
                    object["error"] = words.lines().last().into();
                }
                members.into_iter().for_each(|(name, value)| object[name] = value);
            }
            Err(error) => object["error"] = error.to_string().into(),
        }
        object["ms"] = ms.into();
        writeln!(io::stdout(), "{object}")
    } else {
        match result {
            Ok(answer) => writeln!(io::stdout(), "{}", answer.words),
            Err(error) if error.is_refusal() => writeln!(io::stderr(), "seal: refused: {error}"),
            Err(error) => writeln!(io::stderr(), "seal: {error}"),
        }
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => exit,
    }
}
