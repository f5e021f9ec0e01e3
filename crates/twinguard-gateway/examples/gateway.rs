//! The running zero-trust gateway.
//!
//! `cargo run --release --example gateway -- --config gateway.toml --check` says what is wrong with a configuration: every
//! mistake with file, line and the nearest valid choice, and what the linter finds in the rules. Without `--check` it runs
//! until it is interrupted. Expect a line for each address that it listens on; what the guard says is on the operations
//! page, in the events, and in the journal.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use twinguard_gateway::{Config, Gateway, Listening, Mode, build, noise, stand_by};

/// Stand between a platform and its plant: judge commands before they pass, watch everything.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, max_term_width = 100)]
struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", required_unless_present = "noise_keygen")]
    config: Option<PathBuf>,

    /// Say what is wrong with the configuration and with what it names, open nothing, write nothing
    #[arg(long)]
    check: bool,

    /// Wait until no other gateway holds the journal, and take its place then
    #[arg(long, conflicts_with = "check")]
    standby: bool,

    /// Make a secret key for Noise, write it to a new file, print the public key that belongs to it, and end
    #[arg(long, value_name = "FILE", exclusive = true)]
    noise_keygen: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("gateway: {line}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.noise_keygen {
        println!("{}", noise::generate(file)?);
        return Ok(());
    }
    let Some(file) = &args.config else { anyhow::bail!("`--config` is missing") };
    let config = Config::read(file)?;
    let checked = if args.standby {
        println!("standing by");
        stand_by(&config)?
    } else {
        build(&config, args.check)?
    };
    for defect in &checked.defects {
        println!("{defect}");
    }
    if args.check {
        println!("{}: no mistakes, {} defects in the rules", file.display(), checked.defects.len());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let gateway = Gateway::start(&config, checked.core).await?;
        if let Some(api) = gateway.api() {
            let scheme = if gateway.is_api_secure() { "https" } else { "http" };
            println!("api and operations page on {scheme}://{api}/");
        }
        for Listening { kind, name, address } in gateway.proxies().iter().chain(gateway.receivers()) {
            println!("{kind} `{name}` on {address}");
        }
        println!(
            "{}",
            match config.mode {
                Mode::Enforce => "enforcing",
                Mode::Advisory => "advisory: verdicts are told, nothing is stopped",
            }
        );
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => reload(&gateway, file).await,
            }
        }
        println!("stopping");
        gateway.stop().await?;
        Ok(())
    })
}

/// Puts the policy and shows the certificates that the file names now; a mistake leaves everything as it was.
async fn reload(gateway: &Gateway, file: &Path) {
    let told = match Config::read(file) {
        Ok(config) => gateway.reload(&config).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(defects) => {
            defects.iter().for_each(|defect| println!("{defect}"));
            println!("read again: policy, certificates, keys of identity providers");
        }
        Err(error) => error.to_string().lines().for_each(|line| eprintln!("gateway: {line}")),
    }
}
