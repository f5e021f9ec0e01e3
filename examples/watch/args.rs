//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use twinguard::types::Severity;

/// Guard a plant: simulated under attack, from a capture, or from a CSV history.
///
/// Without arguments a transformer's cooling loop is simulated: it speaks Modbus TCP, its controller and the vendor's
/// twin follow it, and after a while somebody replays old sensor values and closes the cooling water. Every screen
/// shows normal; the guard sees it, says who lies, and brings the plant to its safe state. With --simulate another
/// reference plant is on stage.
#[derive(Debug, Parser)]
#[command(name = "watch", version, max_term_width = 100)]
pub struct Args {
    /// A capture (pcap or pcapng) to guard instead of the simulation
    #[arg(long, value_name = "FILE", conflicts_with = "telemetry")]
    pub capture: Option<PathBuf>,

    /// A CSV file of telemetry to guard instead of the simulation
    #[arg(long, value_name = "FILE")]
    pub telemetry: Option<PathBuf>,

    /// The plant description (TOML or JSON); without it signals come from the traffic or the CSV header
    #[arg(long, value_name = "FILE")]
    pub plant: Option<PathBuf>,

    /// Normal history to learn from, of the same kind as the input
    #[arg(long, value_name = "FILE", conflicts_with = "learn_first")]
    pub learn: Option<PathBuf>,

    /// How much of the input's beginning is normal history, for example 30s, 10min, 2h, 400rows
    #[arg(long, value_name = "DURATION", value_parser = parse_span)]
    pub learn_first: Option<Span>,

    /// A folder that `federate --out` wrote: its model takes part as a detector, if its seal holds
    #[arg(long, value_name = "DIR")]
    pub federated: Option<PathBuf>,

    /// The public key that sealed it, from whom you trust; default: the one that lies in the folder
    #[arg(long, value_name = "FILE", requires = "federated")]
    pub federated_key: Option<PathBuf>,

    /// Columns of the CSV file that are no signals, separated by commas: labels, comments
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub ignore: Vec<String>,

    /// False alarms per day that are acceptable
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate)]
    pub false_alarms_per_day: Option<f64>,

    /// The plant to simulate: a transformer's cooling loop, or any other reference plant
    #[arg(long, value_name = "NAME", default_value = "cooling_loop", value_parser = plant_names())]
    pub simulate: String,

    /// Seed of the simulation
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Let the attack run without a guard, and show the damage
    #[arg(long)]
    pub no_guard: bool,

    /// The attack on the simulated plant; `none` for normal running
    #[arg(long, value_name = "NAME", default_value = "overheat", value_parser = attack_names())]
    pub attack: String,

    /// Write report.html, summary.json, findings.jsonl and journal/ to this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print JSON Lines
    #[arg(long)]
    pub json: bool,

    /// Exit with 3 when a finding of this severity or above was made
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub fail_on: Option<Severity>,

    /// Simulated seconds per second of the clock on a terminal; 0 for as fast as it goes
    #[arg(long, value_name = "NUMBER")]
    pub pace: Option<f64>,
}

fn plant_names() -> clap::builder::PossibleValuesParser {
    let others = twinguard::twin::simulator::references().iter().map(|reference| reference.name);
    clap::builder::PossibleValuesParser::new(["cooling_loop"].into_iter().chain(others))
}

fn attack_names() -> clap::builder::PossibleValuesParser {
    let names = twinguard::redteam::ATTACKS.iter().map(|entry| entry.name).chain(["none"]);
    clap::builder::PossibleValuesParser::new(names)
}

/// A length of history, in time or in rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// Time from the start of the input.
    Time(Duration),
    /// Rows of the CSV file.
    Rows(u64),
}

fn parse_span(text: &str) -> Result<Span, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: f64 =
        digits.trim().parse().map_err(|_| format!("`{text}` is not a duration such as 30s, 10min or 2h"))?;
    let factor = match unit {
        "rows" | "row" if number >= 1.0 => return Ok(Span::Rows(number as u64)),
        "s" | "" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(format!("unit `{unit}` is none of s, min, h, d, rows")),
    };
    Duration::try_from_secs_f64(number * factor).map(Span::Time).map_err(|error| error.to_string())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a positive number is needed".to_owned()),
    }
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    match text {
        "low" => Ok(Severity::Low),
        "medium" => Ok(Severity::Medium),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        _ => Err("one of low, medium, high, critical is needed".to_owned()),
    }
}
