//! Is this policy sound, and what would it say? Lints policies and explains decisions, without a running guard.
//!
//! ```sh
//! cargo run --release --example gate -- lint --plant plant.toml --policy policy.toml
//! cargo run --release --example gate -- lint --plant plant.toml --sarif > policy.sarif
//! cargo run --release --example gate -- explain --plant plant.toml --who anna --role operator --signal cooler.valve.command --value 0.5
//! cargo run --release -p examples --features cedar --example gate -- cedar export --plant plant.toml --policy policy.toml --out cedar
//! cargo run --release -p examples --features cedar --example gate -- cedar compare --plant plant.toml --policy policy.toml --count 100000
//! cargo run --release -p examples --features cedar --example gate -- cedar import --plant plant.toml --cedar cedar/policies.cedar --out again.toml
//! ```
//!
//! Expect one line per defect, `FILE:LINE:COLUMN: TG004 over-broad: …`, and exit code 1 when there is an error among them; or the
//! decision, and how every rule that speaks of sender and signal stands to it. Without `--policy` the plant file's own rules count,
//! with it both. `cedar` writes the policy for the tools of others, reads it back, and asks both the same at random; exit code 1 when one answer
//! differs. Exit code 2: bad arguments or input.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Parser, Subcommand};
use serde_json::json;
use twinguard::gate::lint::{self, Level};
use twinguard::gate::policy::{Channel, Policy, Request, Source};
use twinguard::twin::{Plant, plant::Verb};
use twinguard::types::{Principal, Timestamp};

#[cfg(feature = "cedar")]
mod cedar;

/// Lints policies and explains their decisions.
#[derive(Debug, Parser)]
#[command(name = "gate")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tells what is wrong with a policy; exit code 1 when something is an error.
    Lint {
        #[command(flatten)]
        files: Files,
        /// Print SARIF 2.1.0.
        #[arg(long)]
        sarif: bool,
    },
    /// Tells what the policy says about one command, and why.
    Explain(Explain),
    /// Policies as Cedar policies, and back.
    #[cfg(feature = "cedar")]
    #[command(subcommand)]
    Cedar(cedar::Cedar),
    /// Policies as Cedar policies, and back: in a build with `--features cedar`.
    #[cfg(not(feature = "cedar"))]
    Cedar {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        rest: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Files {
    /// The plant file.
    #[arg(long, value_name = "F")]
    plant: PathBuf,
    /// A policy file; its rules come after the plant file's.
    #[arg(long, value_name = "F")]
    policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Explain {
    #[command(flatten)]
    files: Files,
    /// Who commands: a name of the plant file brings its roles along.
    #[arg(long, value_name = "NAME", default_value = "somebody")]
    who: String,
    /// Roles held beside those.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// The sender's address.
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// The signal's path.
    #[arg(long, value_name = "PATH")]
    signal: String,
    /// The value.
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    value: f64,
    /// Seconds since 1970, UTC.
    #[arg(long, value_name = "S", default_value_t = 0)]
    at: i64,
    /// The plant's mode.
    #[arg(long, value_name = "MODE", default_value = "")]
    mode: String,
    /// The channel authenticates the sender.
    #[arg(long)]
    authenticated: bool,
    /// The channel is encrypted.
    #[arg(long)]
    encrypted: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

impl Files {
    fn plant(&self) -> Result<Plant> {
        Ok(Plant::parse(&text(&self.plant)?, &self.plant.display().to_string())?)
    }

    fn policy(&self, plant: &Plant) -> Result<Option<Source>> {
        let Some(path) = &self.policy else { return Ok(None) };
        Ok(Some(Source::parse(&text(path)?, &path.display().to_string(), plant)?))
    }

    fn read(&self) -> Result<(Plant, Source)> {
        let plant = self.plant()?;
        let mut source = Source::from_plant(&plant);
        if let Some(policy) = self.policy(&plant)? {
            source = source.and(policy);
        }
        Ok((plant, source))
    }
}

fn lint(files: &Files, sarif: bool) -> Result<ExitCode> {
    let (plant, source) = files.read()?;
    let defects = lint::lint(&source, &plant);
    if sarif {
        println!("{}", lint::sarif(&defects));
    } else {
        defects.iter().for_each(|defect| println!("{defect}"));
        println!("{} rules, {} defects", source.clauses.len(), defects.len());
    }
    let grave = defects.iter().any(|defect| defect.level == Level::Error);
    Ok(if grave { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn explain(asked: &Explain) -> Result<ExitCode> {
    let (plant, source) = asked.files.read()?;
    let signal = plant
        .catalogue
        .id(&asked.signal)
        .ok_or_else(|| anyhow!("--signal: the plant has no signal `{}`", asked.signal))?;
    let policy = Policy::compile(source, &plant.catalogue)?;
    let known = plant.parties.iter().map(|party| &party.principal).find(|it| *it.name == *asked.who);
    let known = known.cloned().unwrap_or_else(|| Principal::new(asked.who.as_str()));
    let principal = asked.role.iter().fold(known, |principal, role| principal.role(role.as_str()));
    let request = Request {
        at: Timestamp::from_secs(asked.at),
        signal,
        verb: Verb::Write,
        value: asked.value,
        mode: policy.mode(&asked.mode),
        channel: Channel { authenticated: asked.authenticated, encrypted: asked.encrypted },
    };
    let subject = policy.subject(&principal, asked.from);
    let why = policy.explain(&subject, &request, |_| true);
    if asked.json {
        let steps: Vec<_> = why
            .steps
            .iter()
            .map(|step| json!({ "rule": step.rule, "effect": step.effect, "holds": step.miss.is_none(), "text": step.text }))
            .collect();
        println!("{}", json!({ "allowed": why.ruling.allows(), "text": why.text, "steps": steps }));
    } else {
        println!("{}: {}", if why.ruling.allows() { "allowed" } else { "refused" }, why.text);
        why.steps.iter().for_each(|step| println!("  {}", step.text));
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let answer = match Arguments::parse().what {
        What::Lint { files, sarif } => lint(&files, sarif),
        What::Explain(asked) => explain(&asked),
        #[cfg(feature = "cedar")]
        What::Cedar(what) => cedar::run(&what),
        #[cfg(not(feature = "cedar"))]
        What::Cedar { .. } => Err(anyhow!(
            "this program was built without Cedar: `cargo run --release -p examples --features cedar --example gate -- cedar …`"
        )),
    };
    answer.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}
