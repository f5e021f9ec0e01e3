//! What the run prints, for people or as JSON Lines.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use twinguard::types::{
    ActionKind, Catalogue, Decision, Duration, Finding, FindingState, Severity, Suspect, Timestamp,
};
use twinguard::{Output, Verdicted};

/// Standard output, and beside it the file of findings.
pub struct Screen {
    json: bool,
    out: BufWriter<std::io::Stdout>,
    findings: Option<BufWriter<File>>,
    /// Where times count from; `None`: they are told as dates.
    start: Option<Timestamp>,
    /// Highest severity so far.
    pub worst: Option<Severity>,
    pub counts: Counts,
    last_title: Option<(u64, String, Option<String>)>,
}

/// What was said so far.
#[derive(Default)]
pub struct Counts {
    pub findings: u64,
    pub verdicts: u64,
    pub denied: u64,
    pub actions: u64,
}

impl Screen {
    pub fn new(json: bool, out_dir: Option<&Path>, start: Timestamp) -> Result<Self> {
        let findings = match out_dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
                let path = dir.join("findings.jsonl");
                Some(BufWriter::new(File::create(&path).with_context(|| path.display().to_string())?))
            }
            None => None,
        };
        let out = BufWriter::new(std::io::stdout());
        Ok(Self {
            json,
            out,
            findings,
            start: Some(start),
            worst: None,
            counts: Counts::default(),
            last_title: None,
        })
    }

    /// Tells times as dates, where the input has dates; otherwise counts from its beginning.
    pub fn set_start(&mut self, start: Timestamp) {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        self.start = (start < Timestamp::ZERO + YEAR).then_some(start);
    }

    fn clock(&self, at: Timestamp) -> String {
        match self.start {
            Some(start) => clock(at, start),
            None => format!("{at:.1}").replace('T', " ").replace('Z', ""),
        }
    }

    pub fn line(&mut self, text: &str) -> Result<()> {
        if !self.json {
            writeln!(self.out, "{text}")?;
            self.flush_if_terminal()?;
        }
        Ok(())
    }

    pub fn output(&mut self, output: &Output, catalogue: &Catalogue) -> Result<()> {
        match output {
            Output::Finding(finding) => self.finding(finding)?,
            Output::Verdict(verdict) => self.verdict(verdict, catalogue)?,
            Output::Action(action) => {
                self.counts.actions += 1;
                if self.json {
                    self.record(&json!({ "action": action }))?;
                } else if !matches!(action.kind, ActionKind::Verify { .. }) {
                    let what = describe(&action.kind, catalogue);
                    let mode = if action.recommended_only { "recommends" } else { "does" };
                    let at = self.clock(action.at);
                    self.line(&format!("{at}  > A-{} {mode}: {what}", action.id))?;
                }
            }
            Output::Receipt(_) => {}
            _ => {}
        }
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> Result<()> {
        self.worst = self.worst.max(Some(finding.severity));
        if finding.revision == 0 {
            self.counts.findings += 1;
        }
        let value = json!({ "finding": finding });
        if let Some(file) = &mut self.findings {
            writeln!(file, "{value}")?;
        }
        if self.json {
            return self.record(&value);
        }
        // A revision that says nothing new is not worth a line.
        let key = (finding.id.0, finding.title.clone(), finding.suspect_element.clone());
        let closed = matches!(finding.state, FindingState::Closed);
        if self.last_title.as_ref() == Some(&key) && !closed {
            return Ok(());
        }
        self.last_title = Some(key);
        let at = self.clock(finding.at);
        let severity = match finding.severity {
            Severity::Critical => "[1 critical]",
            Severity::High => "[2 high]",
            Severity::Medium => "[3 medium]",
            Severity::Low => "[4 low]",
        };
        if closed {
            return self.line(&format!("{at}  F-{} is over: {}", finding.id, finding.title));
        }
        self.line(&format!("{at}  {severity} F-{}  {}", finding.id, finding.title))?;
        if !finding.summary.is_empty() {
            self.line(&format!("{:>14}{}", "", finding.summary))?;
        }
        let suspects: Vec<&str> = finding.suspect_set.iter().map(|suspect| suspect.as_str()).collect();
        let element =
            finding.suspect_element.as_deref().map(|element| format!(" ({element})")).unwrap_or_default();
        if finding.suspect != Suspect::None || !suspects.is_empty() {
            self.line(&format!(
                "{:>14}suspect: {}{element}; {}",
                "",
                suspects.join(" and "),
                finding.kind.as_str()
            ))?;
        }
        for reason in finding.reasons.iter().filter(|reason| reason.nats > 0.0).take(3) {
            self.line(&format!("{:>14}because: {}", "", reason.text))?;
        }
        if !finding.next_step.is_empty() {
            self.line(&format!("{:>14}next: {}", "", finding.next_step))?;
        }
        Ok(())
    }

    fn verdict(&mut self, verdicted: &Verdicted, catalogue: &Catalogue) -> Result<()> {
        self.counts.verdicts += 1;
        let Verdicted { command, principal, verdict, already_sent } = verdicted;
        if !verdict.decision.permits() {
            self.counts.denied += 1;
        }
        if self.json {
            return self.record(&json!({ "verdict": verdicted }));
        }
        // Routine is silent; repeats of a refusal are counted in the summary.
        if verdict.decision == Decision::Allow || self.counts.denied > 3 {
            return Ok(());
        }
        let at = self.clock(verdict.at);
        let seen = if *already_sent { ", seen on the wire" } else { "" };
        let why = verdict.reasons.first().map(|reason| reason.text.as_str()).unwrap_or_default();
        let signal = catalogue.path(command.signal);
        let (word, who, value) = (verdict.decision.as_str(), &principal.name, command.value);
        self.line(&format!("{at}  x {word}: {who} wants {signal} := {value}{seen}: {why}"))
    }

    /// One line of JSON.
    pub fn record(&mut self, value: &Value) -> Result<()> {
        writeln!(self.out, "{value}")?;
        self.flush_if_terminal()
    }

    fn flush_if_terminal(&mut self) -> Result<()> {
        if std::io::stdout().is_terminal() {
            self.out.flush()?;
        }
        Ok(())
    }

    pub fn finish(&mut self) -> Result<()> {
        self.out.flush()?;
        if let Some(file) = &mut self.findings {
            file.flush()?;
        }
        Ok(())
    }
}

fn describe(kind: &ActionKind, catalogue: &Catalogue) -> String {
    let path = |signal| catalogue.path(signal);
    match kind {
        ActionKind::IsolatePeer { peer } => format!("isolate {peer} from the control conduit"),
        ActionKind::IsolateSignal { signal } => format!("do not use {}", path(*signal)),
        ActionKind::Substitute { signal, value, sigma } => {
            let band = 2.0 * sigma;
            // Two digits of the band, at most six decimals.
            let decimals = if band > 0.0 { (1.0 - band.log10().floor()).clamp(0.0, 6.0) as usize } else { 2 };
            format!("use the model for {}: {:.decimals$} ± {band:.decimals$}", path(*signal), value.as_f64())
        }
        ActionKind::Command(command) => {
            format!("{} := {}, through the gate", path(command.signal), command.value)
        }
        ActionKind::Verify { signal } => format!("read {} again over an independent path", path(*signal)),
        ActionKind::Revert { commit: false, .. } => "load the sealed model beside what runs".to_owned(),
        ActionKind::Revert { commit: true, .. } => "let the sealed model take over".to_owned(),
        ActionKind::Notify { text } => format!("tell a person: {text}"),
        ActionKind::Release { action } => format!("give back A-{action}"),
        _ => "other".to_owned(),
    }
}

/// A length of time in its largest unit.
pub fn span(seconds: f64) -> String {
    let (size, unit) = match seconds {
        s if s < 120.0 => (1.0, "s"),
        s if s < 7_200.0 => (60.0, "min"),
        s if s < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let count = seconds / size;
    let decimals = usize::from(count < 10.0 && count.fract() >= 0.05);
    format!("{count:.decimals$} {unit}")
}

/// So many of a thing.
pub fn counted(count: u64, thing: &str) -> String {
    let ending = match (count, thing.strip_suffix('y')) {
        (1, _) => return format!("1 {thing}"),
        (_, Some(stem)) => return format!("{count} {stem}ies"),
        _ => "s",
    };
    format!("{count} {thing}{ending}")
}

/// Time since the start: `1 h 02 min 03 s`.
pub fn clock(at: Timestamp, start: Timestamp) -> String {
    let secs = at.since(start).as_secs_f64();
    let text = if secs < 60.0 {
        format!("{secs:.1} s")
    } else if secs < 3_600.0 {
        format!("{} min {:04.1} s", (secs / 60.0) as u64, secs % 60.0)
    } else if secs < 172_800.0 {
        format!(
            "{} h {:02} min {:02} s",
            (secs / 3_600.0) as u64,
            (secs % 3_600.0 / 60.0) as u64,
            (secs % 60.0) as u64
        )
    } else {
        format!(
            "{} d {:02} h {:02} min",
            (secs / 86_400.0) as u64,
            (secs % 86_400.0 / 3_600.0) as u64,
            (secs % 3_600.0 / 60.0) as u64
        )
    };
    format!("{text:>14}")
}
