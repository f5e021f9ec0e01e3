//! The command line.

use std::path::PathBuf;

use clap::Parser;
use twinguard::redteam::campaign::Sight;
use twinguard::redteam::{ATTACKS, Ground, PLAYBOOKS, Trigger};

/// Attack guarded plants, and tell what was missed.
///
/// Without arguments all attacks and all faults of all simulated plants are run once, each against a guard that has
/// learnt the plant. A cell of the board is one attack on one plant under one seed; what could be seen at all, and what
/// nobody could tell apart, is declared before the run (--list shows it).
#[derive(Debug, Parser)]
#[command(name = "redteam", version, max_term_width = 100)]
pub struct Args {
    /// A campaign file (TOML); the options below then narrow it
    #[arg(long, value_name = "FILE")]
    pub campaign: Option<PathBuf>,

    /// Show the attacks, and with --json what is feasible, detectable and ambiguous at each plant; run nothing
    #[arg(long)]
    pub list: bool,

    /// Seeds a cell
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: Option<u64>,

    /// Simulated plants, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = plants())]
    pub plants: Vec<String>,

    /// Attacks, separated by commas; `none` for the plants' own faults and everyday events alone
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = attacks())]
    pub attacks: Vec<String>,

    /// What the guard is shown, separated by commas; a board for each, and what each is worth
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = views())]
    pub views: Vec<String>,

    /// What attacks wait for: 'SIGNAL > VALUE', 'SIGNAL < VALUE', 'SIGNAL' (any value read or written), 'silence SAMPLES'
    #[arg(long, value_name = "TRIGGER")]
    pub trigger: Option<Trigger>,

    /// Leave out the plants' own faults and everyday events
    #[arg(long)]
    pub no_incidents: bool,

    /// Search for the most damaging attacks that stay undetected, instead of running each once; with --out as a campaign file
    #[arg(long)]
    pub adaptive: bool,

    /// Runs of --adaptive a plant
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub runs: u64,

    /// Samples of attack-free running a plant, for the rate of false alarms
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=31_557_600))]
    pub quiet: Option<u64>,

    /// A plant file of your own: with --telemetry attacks are put into what was recorded there, with --certificate its
    /// meters are judged
    #[arg(long, value_name = "FILE")]
    pub plant: Option<PathBuf>,

    /// Recorded telemetry (CSV) of that plant; the first half is taken as normal, the second is attacked
    #[arg(long, value_name = "FILE", requires = "plant")]
    pub telemetry: Option<PathBuf>,

    /// What the meters of the plants (or of --plant) cover, from the plant file alone; run nothing. With --out also as
    /// page and JSON
    #[arg(long)]
    pub certificate: bool,

    /// Secret key (Ed25519, as `seal keygen` makes it) that signs the certificates, each as a note beside its JSON
    #[arg(long, value_name = "FILE", requires = "certificate", requires = "out")]
    pub key: Option<PathBuf>,

    /// Check a signed certificate and print what it says
    #[arg(long, value_name = "FILE", requires = "public_key")]
    pub verify: Option<PathBuf>,

    /// Public key for --verify
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub public_key: Option<PathBuf>,

    /// Write the messages of an incident to this capture file
    #[arg(long, value_name = "FILE", requires = "playbook")]
    pub pcap: Option<PathBuf>,

    /// The incident for --pcap
    #[arg(long, value_name = "NAME", requires = "pcap", value_parser = playbooks())]
    pub playbook: Option<String>,

    /// Keep finished cells in this file, and do not run again what is there
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,

    /// Write board.json, scoreboard.html and layer.navigator.json to this folder; certificates with --certificate, found.toml
    /// with --adaptive
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// With --out, also write each cell as it ran: CELL.csv, a labelled series, and CELL.pcap, what was on the wire
    #[arg(long, requires = "out")]
    pub record: bool,

    /// Print JSON Lines
    #[arg(long)]
    pub json: bool,
}

fn plants() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Ground::names())
}

fn views() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Sight::names())
}

fn attacks() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(ATTACKS.iter().map(|entry| entry.name).chain(["none"]))
}

fn playbooks() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(PLAYBOOKS.iter().map(|playbook| playbook.name))
}
