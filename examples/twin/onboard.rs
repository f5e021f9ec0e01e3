//! `twin onboard`: a plant file and a judged guard from what a vendor has.

use std::{
    fs::{self, File},
    io::{BufReader, IsTerminal},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinguard::onboard::{Draft, Onboarding, SignalDraft, Trial};
use twinguard::protocol::capture;
use twinguard::report::{GapRow, KeyFigure, OnboardingPage, SignalRow, render_onboarding};
use twinguard::twin::importers::tag_list;

use crate::import;

/// Draft a plant file from a history, a tag list, a capture or a model of another format; learn, and say how good the model is.
///
/// Of each signal unit, role, noise, range and operating band are guessed from the first part of the history and marked in the file, each with
/// what it rests on. The later part, taken as normal, says how good the model is, and how many false alarms a guard would raise.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// History of normal running: CSV with a column a signal, or Parquet.
    #[arg(long, value_name = "F")]
    history: Option<PathBuf>,
    /// Tag list: CSV with a column of tags, and perhaps units, roles, ranges, descriptions.
    #[arg(long, value_name = "F")]
    tags: Option<PathBuf>,
    /// A capture (pcap or pcapng) of the plant's traffic.
    #[arg(long, value_name = "F")]
    capture: Option<PathBuf>,
    /// A model: AAS, AASX, Ditto, DTDL, EPANET, FMI, FMU, OPC UA NodeSet2, WoT.
    #[arg(long, value_name = "F")]
    model: Option<PathBuf>,
    /// Columns of the history that are no signals, separated by commas: labels, comments.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// The plant's name; without it the folder's.
    #[arg(long)]
    name: Option<String>,
    /// Folder for plant.toml, onboarding.html and summary.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Do not let a guard learn and watch; the plant file is the same.
    #[arg(long)]
    no_trial: bool,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let sources = [&arguments.history, &arguments.tags, &arguments.capture, &arguments.model];
    ensure!(
        sources.iter().any(|source| source.is_some()),
        "nothing to draft from: give --history, --tags, --capture or --model"
    );
    let folder = arguments.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut onboarding = Onboarding::new(arguments.name.as_deref().unwrap_or(&folder));
    if let Some(path) = &arguments.tags {
        let bytes = fs::read(path).with_context(|| shown(path))?;
        onboarding.tags(&file_name(path), tag_list(&bytes).with_context(|| shown(path))?);
    }
    if let Some(path) = &arguments.model {
        let model = import::one(path).with_context(|| shown(path))?;
        onboarding.model(&file_name(path), &model);
    }
    if let Some(path) = &arguments.capture {
        let (input, length) = open(path)?;
        let bar = progress("capture", length, as_json);
        let reader = capture::Reader::new(input).with_context(|| shown(path))?;
        onboarding
            .capture(&file_name(path), reader, |at| bar.set_position(at))
            .with_context(|| shown(path))?;
        bar.finish_and_clear();
    }
    if let Some(path) = &arguments.history {
        let (input, length) = open(path)?;
        let bar = progress("history", length, as_json);
        let input = bar.wrap_read(input);
        onboarding
            .history(&file_name(path), input, &arguments.ignore, |_| {})
            .with_context(|| shown(path))?;
        bar.finish_and_clear();
    }
    let draft = onboarding.draft()?;
    let trial = match arguments.no_trial {
        true => None,
        false => {
            let bar = progress("learning", 1_000, as_json);
            let trial = draft.trial(|share| bar.set_position((share * 1_000.0) as u64))?;
            bar.finish_and_clear();
            trial
        }
    };
    let command = command(arguments);
    let summary = json!({
        "plant": arguments.out.join("plant.toml"), "draft": draft, "trial": trial, "command": command,
    });
    fs::create_dir_all(&arguments.out).with_context(|| shown(&arguments.out))?;
    let put = |name: &str, text: &str| {
        let path = arguments.out.join(name);
        fs::write(&path, text).with_context(|| shown(&path))
    };
    put("plant.toml", &draft.toml)?;
    put("summary.json", &format!("{summary}\n"))?;
    put("onboarding.html", &render_onboarding(&page(&draft, trial.as_ref(), &command)))?;
    if as_json {
        return crate::print_json(&json!({ "summary": summary }));
    }
    tell(arguments, &draft, trial.as_ref(), &command);
    Ok(())
}

/// The command that guards the plant from here on.
fn command(arguments: &Arguments) -> String {
    let plant = arguments.out.join("plant.toml");
    let history = arguments.history.as_deref().map(quoted);
    let rest = match (&history, &arguments.capture) {
        (Some(history), _) => format!("--learn {history} --telemetry NOW.csv"),
        (None, Some(capture)) => format!("--learn {} --capture NOW.pcap", quoted(capture)),
        (None, None) => "--learn-first 7d --telemetry NOW.csv".to_owned(),
    };
    format!("watch --plant {} {rest}", quoted(&plant))
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|mark| mark.is_alphanumeric() || "/._-+:@".contains(mark));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn open(path: &Path) -> Result<(BufReader<File>, u64)> {
    let file = File::open(path).with_context(|| shown(path))?;
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    Ok((BufReader::with_capacity(1 << 16, file), length))
}

fn progress(what: &'static str, length: u64, as_json: bool) -> ProgressBar {
    if as_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length).with_message(what);
    ProgressStyle::with_template("{msg:9} {bar:40} {percent:>3} % {eta}")
        .into_iter()
        .for_each(|style| bar.set_style(style));
    bar
}

/// Signals that were judged, and how many of them the others tell well.
fn told_by_others(draft: &Draft) -> (usize, usize) {
    let judged = draft.signals.iter().filter_map(|signal| signal.explained);
    let (well, all): (Vec<_>, Vec<_>) = judged.map(|own| (own.share >= 0.5, ())).unzip();
    (well.into_iter().filter(|well| *well).count(), all.len())
}

fn headline(draft: &Draft, trial: Option<&Trial>) -> String {
    let (well, judged) = told_by_others(draft);
    let told = match judged {
        0 => {
            format!("{} signals were found; how good a model of them is was not judged.", draft.signals.len())
        }
        _ => format!("Of {judged} signals that could be judged, the others tell {well}."),
    };
    match trial {
        Some(trial) => format!(
            "{told} On {} of running that it had not seen, a guard made {} findings.",
            days(trial.watched_s),
            trial.findings
        ),
        None => told,
    }
}

fn days(seconds: f64) -> String {
    if seconds >= 2.0 * 86_400.0 {
        format!("{:.1} days", seconds / 86_400.0)
    } else {
        format!("{:.1} hours", seconds / 3_600.0)
    }
}

fn what(signal: &SignalDraft) -> String {
    let unit = signal.unit.as_ref().map_or("", |unit| &unit.value);
    let role = format!("{:?}", signal.role.value).to_lowercase();
    if unit.is_empty() { role } else { format!("{role}, {unit}") }
}

fn page(draft: &Draft, trial: Option<&Trial>, command: &str) -> OnboardingPage {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let figure = |label: &str, value: String, unit: &str, note: String| KeyFigure {
        label: label.to_owned(),
        value,
        unit: unit.to_owned(),
        note,
        beyond_limit: false,
    };
    let mut key_figures = vec![
        figure(
            "Signals",
            draft.signals.len().to_string(),
            "",
            format!("{} columns left out", draft.left_out.len()),
        ),
        figure("History", days(draft.span_s), "", format!("{} rows", draft.rows.0)),
    ];
    if let Some(trial) = trial {
        let note = format!("asked for {} a day", trial.asked_per_day);
        key_figures.push(figure("Findings a day, unseen", format!("{:.2}", trial.per_day), "", note));
    }
    if let Some(share) = draft.unseen_modes {
        key_figures.push(figure("In modes never seen", percent(share), "", "of the later part".to_owned()));
    }
    let row = |signal: &SignalDraft| {
        let none = || "–".to_owned();
        let evidence = [
            signal.unit.as_ref().map(|unit| format!("unit: {}", unit.evidence)),
            Some(format!("role: {}", signal.role.evidence)),
            signal
                .daily
                .filter(|share| *share >= 0.3)
                .map(|share| format!("hour of the day: {}", percent(share))),
        ];
        SignalRow {
            path: signal.path.clone(),
            what: what(signal),
            explained: signal.explained.map_or_else(none, |own| percent(own.share.max(-9.99))),
            covered: signal.explained.map_or_else(none, |own| percent(own.covered)),
            shows_from: signal.explained.map_or_else(none, |own| format!("{:.3}", own.shows_from)),
            evidence: evidence.into_iter().flatten().collect::<Vec<_>>().join("; "),
        }
    };
    let mut found: Vec<String> = draft
        .groups
        .iter()
        .map(|group| {
            format!("Told by each other (correlation {:.2}): {}", group.correlation, group.signals.join(", "))
        })
        .collect();
    found.extend(draft.modes.iter().map(|mode| {
        let state: Vec<String> = mode.state.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        format!("Mode, {} of the time: {}", percent(mode.share), state.join(", "))
    }));
    if let Some(trial) = trial {
        found.extend(trial.told.iter().map(|(at, words)| format!("In the trial at {at}: {words}")));
    }
    OnboardingPage {
        plant: draft.name.clone(),
        headline: headline(draft, trial),
        sources: draft.sources.join(", "),
        key_figures,
        signals: draft.signals.iter().map(row).collect(),
        found,
        gaps: draft
            .gaps
            .iter()
            .map(|gap| GapRow { what: gap.what.clone(), buys: gap.buys.clone() })
            .collect(),
        questions: draft.questions.clone(),
        command: command.to_owned(),
    }
}

fn tell(arguments: &Arguments, draft: &Draft, trial: Option<&Trial>, command: &str) {
    println!("{}: {}", draft.name, draft.sources.join(", "));
    println!("  {}", headline(draft, trial));
    println!("  {:<32} {:<22} {:>10} {:>9} {:>12}", "signal", "what", "explained", "covered", "lie from");
    for signal in draft.signals.iter().take(40) {
        let (share, covered, lie) = match signal.explained {
            Some(own) => (
                format!("{:.1} %", own.share * 100.0),
                format!("{:.1} %", own.covered * 100.0),
                format!("{:.4}", own.shows_from),
            ),
            None => ("–".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        println!("  {:<32} {:<22} {share:>10} {covered:>9} {lie:>12}", signal.path, what(signal));
    }
    if draft.signals.len() > 40 {
        println!("  … and {} more", draft.signals.len() - 40);
    }
    if let Some(trial) = trial {
        println!(
            "  trial: learnt {}, watched {}, {} findings ({:.2} a day; {} asked for)",
            days(trial.learnt_s),
            days(trial.watched_s),
            trial.findings,
            trial.per_day,
            trial.asked_per_day
        );
        for (at, words) in trial.told.iter().take(5) {
            println!("    {at}  {words}");
        }
    }
    println!("  missing:");
    for gap in &draft.gaps {
        println!("    {}: {}", cut(&gap.what), gap.buys);
    }
    for question in &draft.questions {
        println!("  ? {}", cut(question));
    }
    println!("  written: plant.toml, onboarding.html, summary.json in {}", arguments.out.display());
    println!("  guard it: {command}");
}

fn cut(text: &str) -> String {
    let cut: String = text.chars().take(160).collect();
    if cut.len() < text.len() { format!("{cut} …") } else { cut }
}
