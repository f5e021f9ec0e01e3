//! The same on data of the user's own: a capture, or a CSV history.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinguard::anomaly::detectors::Federated;
use twinguard::integrity::{Sealed, Trust, Verified};
use twinguard::protocol::capture;
use twinguard::report::Speaker;
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{Duration, Severity, Source, Timestamp};
use twinguard::{Builder, Config, Guard, Input, Recorder, Run};

use crate::args::{Args, Span};
use crate::pages;
use crate::screen::{Screen, counted, span};

/// The share of an input that is taken as normal history when nothing is said.
const DEFAULT_SHARE: f64 = 0.3;
/// A history is short when the time between two false alarms that were asked for is more than this many times as long.
const ENOUGH: f64 = 100.0;

/// How much of the input's beginning was learnt from.
#[derive(Clone, Copy)]
enum Learnt {
    Time(Duration),
    Rows(u64),
}

fn open(path: &Path) -> Result<(BufReader<File>, u64)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    Ok((BufReader::with_capacity(1 << 16, file), length))
}

fn plant(args: &Args, name: &str) -> Result<Option<Plant>> {
    let Some(path) = &args.plant else { return Ok(None) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let plant = Plant::parse(&text, &path.display().to_string())?;
    if plant.catalogue.is_empty() {
        return Err(anyhow!("{}: no signal for {name}", path.display()));
    }
    Ok(Some(plant))
}

fn builder(args: &Args, plant: Plant) -> Result<Builder> {
    let config =
        Config { false_alarms_per_day: args.false_alarms_per_day, seed: args.seed, ..Config::default() };
    let mut builder = Guard::builder_unsealed(plant).config(config);
    if let Some(dir) = &args.federated {
        builder = builder.federated(federated(dir, args.federated_key.as_deref())?);
    }
    Ok(match &args.out {
        Some(dir) => builder.journal(pages::journal(dir)?),
        None => builder,
    })
}

/// The model of a federation, through its seal.
fn federated(dir: &Path, key: Option<&Path>) -> Result<Verified<Federated>> {
    let own = dir.join("coordinator.pub");
    let key = key.unwrap_or(&own);
    let text = std::fs::read_to_string(key).with_context(|| key.display().to_string())?;
    let trust = Trust::new(text.trim().parse().with_context(|| key.display().to_string())?);
    let sealed = Sealed::open(dir.join("model"), dir.join("model.seal"), &trust);
    sealed.and_then(|sealed| sealed.load::<Federated>()).with_context(|| dir.display().to_string())
}

/// Guards a capture.
pub fn capture(args: &Args, path: &Path) -> Result<Option<Severity>> {
    let name = file_name(path);
    let plant = plant(args, "the capture")?.unwrap_or_else(|| Plant::from_signals(&name, Default::default()));
    let in_file = || path.display().to_string();
    let (learnt, mut guard) = match &args.learn {
        Some(history) => {
            let (input, _) = open(history)?;
            let reader = capture::Reader::new(input).with_context(|| history.display().to_string())?;
            let guard = builder(args, plant)?
                .learn(reader)
                .with_context(|| history.display().to_string())?
                .build()?;
            (None, guard)
        }
        None => {
            let span = match args.learn_first {
                Some(Span::Time(span)) => {
                    Duration::from_nanos(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
                }
                Some(Span::Rows(_)) => {
                    return Err(anyhow!("--learn-first: a capture has no rows, give a time"));
                }
                None => capture_span(path)?,
            };
            (Some(Learnt::Time(span)), builder(args, plant)?.learn_first(span)?)
        }
    };
    let (input, length) = open(path)?;
    let bar = progress(args, length);
    let mut reader = capture::Reader::new(bar.wrap_read(input)).with_context(in_file)?;
    let mut screen = Screen::new(args.json, args.out.as_deref(), Timestamp::ZERO)?;
    let mut session = Session::default();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                session.start(&mut screen, &guard, frame.at);
                guard.handle(frame.at, Input::Frame(&frame))?;
                session.drain(&mut guard, &mut screen, frame.at)?;
            }
            Ok(None) => break,
            // What could be read was guarded; the rest is said, not hidden.
            Err(error) if session.seen > 0 => {
                session.unknowns.push(format!("The capture breaks off: {error}."));
                let told = format!("{}; what came before it was guarded", in_file());
                session.broken = Some(anyhow::Error::from(error).context(told));
                break;
            }
            Err(error) => return Err(error).with_context(in_file),
        }
    }
    bar.finish_and_clear();
    let source = (name, "frame");
    session.finish(args, guard, screen, learnt, source)
}

/// Guards a CSV history.
pub fn telemetry(args: &Args, path: &Path) -> Result<Option<Severity>> {
    let name = file_name(path);
    let in_file = || path.display().to_string();
    let given = plant(args, "the telemetry")?;
    // With a plant file the columns that it names are the signals, and whatever else a file holds is none.
    let lenient = given.is_some();
    let options = |catalogue| TelemetryOptions {
        ignore: args.ignore.clone(),
        source: Source::Field,
        catalogue,
        lenient,
    };
    let known = given.as_ref().map(|plant| plant.catalogue.clone()).unwrap_or_default();
    let (input, length) = open(path)?;
    let bar = progress(args, length);
    let mut rows = Telemetry::open(bar.wrap_read(input), options(known)).with_context(in_file)?;
    let catalogue = rows.catalogue().clone();
    let plant = match given {
        Some(plant) => plant,
        None => Plant::from_signals(&name, catalogue.clone()),
    };
    let mut learn_rows = 0;
    let (learnt, mut guard) = match &args.learn {
        Some(history) => {
            let in_history = || history.display().to_string();
            let (input, _) = open(history)?;
            let before = Telemetry::open(input, ignoring(args, history, options(catalogue.clone()))?)
                .with_context(in_history)?;
            let unknown: Vec<&str> =
                before.catalogue().iter().skip(catalogue.len()).map(|(_, signal)| &*signal.path).collect();
            if !unknown.is_empty() && unknown.len() == before.signals().len() {
                return Err(anyhow!("{}: no column in common with {}", in_history(), in_file()));
            }
            let guard = builder(args, plant)?.learn(before).with_context(in_history)?.build()?;
            (None, guard)
        }
        None => {
            let span = match args.learn_first {
                Some(Span::Time(span)) => {
                    Duration::from_nanos(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
                }
                Some(Span::Rows(count)) => {
                    learn_rows = count;
                    Duration::MAX
                }
                None => {
                    let (input, _) = open(path)?;
                    let all = Telemetry::open(input, options(catalogue.clone())).with_context(in_file)?;
                    learn_rows = (count_rows(all).with_context(in_file)? as f64 * DEFAULT_SHARE) as u64;
                    Duration::MAX
                }
            };
            let learnt = if learn_rows > 0 { Learnt::Rows(learn_rows) } else { Learnt::Time(span) };
            (Some(learnt), builder(args, plant)?.learn_first(span)?)
        }
    };
    let mut screen = Screen::new(args.json, args.out.as_deref(), Timestamp::ZERO)?;
    let mut session = Session::default();
    while let Some(row) = rows.next_row().with_context(in_file)? {
        if learn_rows > 0 && row.row == learn_rows {
            session.learnt_points = guard.counters().points;
            guard.finish_learning()?;
        }
        session.start(&mut screen, &guard, row.at);
        guard.handle(row.at, Input::Points(row.points))?;
        if let Some(recorder) = session.recorder.as_mut() {
            for point in row.points {
                let value = point.quality.is_usable().then(|| point.value.as_f64());
                recorder.sample(Speaker::Reported, point.signal, row.at, value, None);
            }
        }
        session.drain(&mut guard, &mut screen, row.at)?;
    }
    bar.finish_and_clear();
    session.finish(args, guard, screen, learnt, (name, "row"))
}

/// Columns to be ignored that the history does not have are no error there.
fn ignoring(args: &Args, history: &Path, mut options: TelemetryOptions) -> Result<TelemetryOptions> {
    let (mut input, _) = open(history)?;
    let mut head = vec![0; 1 << 16];
    let read = input.read(&mut head)?;
    let text = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
    let header = text.lines().next().unwrap_or_default().to_owned();
    options.ignore = args.ignore.iter().filter(|column| header.contains(column.as_str())).cloned().collect();
    Ok(options)
}

fn count_rows<R: Read>(mut rows: Telemetry<R>) -> Result<u64> {
    let mut count = 0;
    while rows.next_row()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// The first share of a capture's span.
fn capture_span(path: &Path) -> Result<Duration> {
    let (input, _) = open(path)?;
    let mut reader = capture::Reader::new(input).with_context(|| path.display().to_string())?;
    let mut ends: Option<(Timestamp, Timestamp)> = None;
    // A capture that breaks off is guarded as far as it goes.
    while let Ok(Some(frame)) = reader.next_frame() {
        ends = Some(
            ends.map_or((frame.at, frame.at), |(first, last)| (first.min(frame.at), last.max(frame.at))),
        );
    }
    let (first, last) = ends.ok_or_else(|| anyhow!("{}: no frame in the capture", path.display()))?;
    Ok(Duration::from_nanos((last.since(first).as_nanos() as f64 * DEFAULT_SHARE) as i64))
}

/// What is kept beside the guard while it runs.
#[derive(Default)]
struct Session {
    recorder: Option<Recorder>,
    first: Option<Timestamp>,
    watching: Option<Timestamp>,
    last: Timestamp,
    seen: u64,
    /// Points that were learnt from, where the guard counts from the end of learning on.
    learnt_points: u64,
    /// Where the input broke off, and why.
    broken: Option<anyhow::Error>,
    unknowns: Vec<String>,
    first_finding: Option<twinguard::types::Finding>,
}

impl Session {
    fn start(&mut self, screen: &mut Screen, guard: &Guard, at: Timestamp) {
        if self.first.is_none() {
            self.first = Some(at);
            screen.set_start(at);
            self.recorder = Some(Recorder::new(guard.plant(), at));
        }
    }

    fn drain(&mut self, guard: &mut Guard, screen: &mut Screen, at: Timestamp) -> Result<()> {
        self.seen += 1;
        self.take(guard, screen, at)
    }

    fn take(&mut self, guard: &mut Guard, screen: &mut Screen, at: Timestamp) -> Result<()> {
        self.last = self.last.max(at);
        if self.watching.is_none() && !guard.is_learning() {
            self.watching = Some(at);
        }
        while let Some(output) = guard.poll() {
            screen.output(&output, guard.catalogue())?;
            if let twinguard::Output::Finding(finding) = &output
                && self.first_finding.as_ref().is_none_or(|known| known.id == finding.id)
            {
                self.first_finding = Some(finding.clone());
            }
            if let Some(recorder) = &mut self.recorder {
                recorder.output(&output);
            }
        }
        if !guard.is_learning()
            && let Some(recorder) = &mut self.recorder
        {
            recorder.surprise(at, guard.surprise().0);
        }
        Ok(())
    }

    fn finish(
        mut self,
        args: &Args,
        mut guard: Guard,
        mut screen: Screen,
        learnt: Option<Learnt>,
        (source, what): (String, &str),
    ) -> Result<Option<Severity>> {
        let Some(first) = self.first else { return Err(anyhow!("{source}: nothing to guard in it")) };
        if guard.is_learning() {
            guard.finish_learning()?;
            screen.line("All of it was taken as normal history; nothing was left to guard.")?;
        }
        // The last instant is judged when it is over; whoever waits for an answer that never came is told at the end.
        let end = guard.next_deadline().map_or(self.last, |deadline| deadline.max(self.last));
        guard.handle(end, Input::Tick)?;
        self.take(&mut guard, &mut screen, self.last)?;
        let report = guard.detection();
        let counters = guard.counters();
        let watched_s = self.watching.map_or(0.0, |from| self.last.since(from).as_secs_f64());
        let finding = self.first_finding.as_ref();
        let suspects: Vec<&str> = finding
            .map(|finding| finding.suspect_set.iter().map(|suspect| suspect.as_str()).collect())
            .unwrap_or_default();
        let summary = json!({ "summary": {
            "attack": null,
            "attack_start_s": null,
            "detected_s": finding.map(|finding| finding.raised_at.since(first).as_secs_f64()),
            "suspect": finding.map(|finding| finding.suspect.as_str()),
            "suspect_set": suspects,
            "kind": finding.map(|finding| finding.kind.as_str()),
            "peak": null, "peak_unguarded": null, "limit": null, "violated": null, "false_alarms": null,
            "findings": screen.counts.findings,
            "verdicts": screen.counts.verdicts,
            "actions": screen.counts.actions,
            "journal_root": guard.evidence().root().to_string(),
            "seed": args.seed,
            "source": source,
            "signals": guard.catalogue().len(),
            "points": self.learnt_points + counters.points,
            "commands": counters.commands,
            "malformed": counters.malformed,
            "watched_s": watched_s,
            "detectors": report.detectors,
            "asked_per_day": report.asked_per_day,
            "alarm": report.alarm,
        }});
        if args.json {
            screen.record(&summary)?;
        } else {
            let learnt = match learnt {
                Some(Learnt::Rows(count)) => format!("the first {}", counted(count, "row")),
                Some(Learnt::Time(time)) => format!("the first {}", span(time.as_secs_f64())),
                None => "the history".to_owned(),
            };
            screen.line("")?;
            screen.line(&format!(
                "{source}: {}, {}, {}, {}, {}.",
                counted(self.seen, what),
                counted(guard.catalogue().len() as u64, "signal"),
                counted(self.learnt_points + counters.points, "point"),
                counted(counters.commands, "command"),
                counted(counters.malformed, "oddity"),
            ))?;
            screen.line(&format!(
                "Learnt from {learnt}; watched {} with {}; {} ({} false alarms a day were asked for).",
                span(watched_s),
                counted(report.detectors.into(), "detector"),
                counted(screen.counts.findings, "finding"),
                report.asked_per_day
            ))?;
            if report.history_days * ENOUGH < 1.0 / report.asked_per_day {
                screen.line(&format!(
                    "The history is short ({}): thresholds for so few false alarms are reckoned far beyond it, and only \
                     what is plain is told. More history, or a higher --false-alarms-per-day, shows more.",
                    span(report.history_days * 86_400.0)
                ))?;
            }
            if counters.clamped > 0 {
                screen.line(&format!(
                    "{} came with an earlier time than the one before; each was taken at the latest time seen.",
                    counted(counters.clamped, what)
                ))?;
            }
            if let Some(missing) =
                finding.map(|finding| &finding.missing).filter(|missing| !missing.is_empty())
            {
                let adds: Vec<&str> = missing.iter().map(|view| view.adds()).collect();
                screen.line(&format!("Other views were not given: {}.", adds.join("; ")))?;
            }
            if screen.counts.findings == 0 {
                screen.line(&format!(
                    "Nothing abnormal: the loudest surprise was {:.1}, an alarm comes at {:.1}.",
                    report.loudest.unwrap_or(0.0),
                    report.alarm
                ))?;
            }
        }
        if let Some(dir) = &args.out {
            let key = pages::run_key()?;
            let checkpoint = guard.evidence_mut().checkpoint(&key)?;
            let mut unknowns = core::mem::take(&mut self.unknowns);
            unknowns.push("True values are unknown: this is a real plant.".to_owned());
            let run = Run {
                source: source.clone(),
                inputs: vec![(self.seen, format!("{what}s"))],
                detection: pages::detection(&guard, None),
                evidence: pages::evidence(&guard, &checkpoint, &key)?,
                utc: true,
                files: pages::files(false),
                unknowns,
                ..Run::default()
            };
            if let Some(recorder) = &mut self.recorder {
                recorder.set_catalogue(guard.catalogue());
                pages::write(dir, &recorder.report(&run), recorder, &summary, &key)?;
                screen.line(&format!("\nThe report and the journal are in {}", dir.display()))?;
            }
        }
        screen.finish()?;
        match self.broken {
            Some(error) => Err(error),
            None => Ok(screen.worst),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn progress(args: &Args, length: u64) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}").ok();
    let bar = ProgressBar::new(length);
    style.into_iter().for_each(|style| bar.set_style(style));
    bar
}
