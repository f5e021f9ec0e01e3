//! Attacks put into the user's own recorded telemetry: the first half teaches, the second half is attacked.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use twinguard::redteam::{Entry, Recorded, Span, Window};
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::types::{Point, SignalId, Source, Timestamp};
use twinguard::{Config, Error, Guard, Input, Output};

use crate::args::Args;

/// Signals that are attacked one by one; more would only take longer.
const MOST_SIGNALS: usize = 20;
const WEEK_S: f64 = 604_800.0;

struct Record {
    plant: Plant,
    rows: Vec<(Timestamp, Vec<Point>)>,
}

impl Record {
    fn read(plant: &Path, telemetry: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(plant).with_context(|| plant.display().to_string())?;
        let plant = Plant::parse(&text, &plant.display().to_string())?;
        let in_file = || telemetry.display().to_string();
        let input = BufReader::new(File::open(telemetry).with_context(in_file)?);
        let options = TelemetryOptions {
            ignore: Vec::new(),
            source: Source::Field,
            catalogue: plant.catalogue.clone(),
            lenient: false,
        };
        let mut all = Telemetry::open(input, options).with_context(in_file)?;
        if all.catalogue().len() > plant.catalogue.len() {
            let extra =
                all.catalogue().iter().nth(plant.catalogue.len()).map(|(_, signal)| signal.path.clone());
            let extra = extra.unwrap_or_default();
            return Err(anyhow!("{}: column `{extra}` is no signal of the plant file", in_file()));
        }
        let mut rows = Vec::new();
        while let Some(row) = all.next_row().with_context(in_file)? {
            rows.push((row.at, row.points.to_vec()));
        }
        if rows.len() < 200 {
            return Err(anyhow!("{}: {} rows are too few, 200 are needed", in_file(), rows.len()));
        }
        Ok(Self { plant, rows })
    }

    /// The signals of the taught half that move.
    fn spans(&self) -> Vec<Span> {
        let half = self.rows.len() / 2;
        let (_, first) = &self.rows[0];
        let spans = first.iter().enumerate().map(|(column, point)| {
            let values = self.rows[..half].iter().filter_map(|(_, points)| points.get(column));
            let values: Vec<f64> =
                values.filter(|point| point.quality.is_usable()).map(|point| point.value.as_f64()).collect();
            let squares =
                values.windows(2).map(|pair| (pair[1] - pair[0]) * (pair[1] - pair[0])).sum::<f64>();
            Span {
                signal: point.signal,
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                noise: (squares / (2.0 * values.len().max(1) as f64)).sqrt(),
            }
        });
        spans.filter(|span| span.least.is_finite()).collect()
    }
}

/// What a guard that knows the first half says of the second.
struct Heard {
    first: Option<twinguard::types::Finding>,
    before: u32,
    last: Option<twinguard::types::Finding>,
}

fn listen(
    guard: &mut Guard,
    rows: &[(Timestamp, Vec<Point>)],
    window: Option<Window>,
    mut attack: Option<Recorded>,
) -> Result<Heard> {
    let mut heard = Heard { first: None, before: 0, last: None };
    for (at, points) in rows {
        let mut points = points.clone();
        if let Some(attack) = &mut attack {
            attack.change(&mut points);
        }
        guard.handle(*at, Input::Points(&points))?;
        while let Some(output) = guard.poll() {
            let Output::Finding(finding) = output else { continue };
            match window {
                Some(window) if window.contains(finding.raised_at) => {
                    let first = heard.first.get_or_insert_with(|| finding.clone());
                    if first.id == finding.id {
                        heard.last = Some(finding);
                    }
                }
                Some(_) => {}
                None => heard.before += u32::from(finding.revision == 0),
            }
        }
    }
    Ok(heard)
}

pub fn run(args: &Args, plant: &Path, telemetry: &Path) -> Result<()> {
    let record = Record::read(plant, telemetry)?;
    let spans = record.spans();
    let half = record.rows.len() / 2;
    let (known, test) = record.rows.split_at(half);
    let history = |guard: &mut Guard| -> Result<(), Error> {
        for (at, points) in known {
            guard.handle(*at, Input::Points(points))?;
            while guard.poll().is_some() {}
        }
        Ok(())
    };
    let builder = || Guard::builder_unsealed(record.plant.clone()).config(Config::default());
    let learnt = builder().learn(history)?.build()?.snapshot()?;

    // The middle half of what was not taught.
    let (from, to) = (test.len() / 4, test.len() * 3 / 4);
    let window = Window { start: test[from].0, end: test[to].0 };
    let mut out = std::io::stdout().lock();
    let clean = listen(&mut builder().restore(&learnt)?, test, None, None)?;
    let span_s = test.last().map_or(0.0, |(at, _)| at.since(test[0].0).as_secs_f64());
    let per_week = f64::from(clean.before) / span_s.max(1e-9) * WEEK_S;
    if !args.json {
        writeln!(
            out,
            "{}: learnt {} rows, watched {}; {} alarms without an attack ({per_week:.1} a week).\n",
            record.plant.name,
            known.len(),
            test.len(),
            clean.before
        )?;
        writeln!(out, "{:<18} {:<36} {:>10}  accused", "attack", "signal", "seen after")?;
    }
    let moving = spans.iter().filter(|span| span.most > span.least).take(MOST_SIGNALS);
    let (mut cells, mut seen) = (0_u64, 0_u64);
    let wanted = |name: &&str| args.attacks.is_empty() || args.attacks.iter().any(|it| it == name);
    for span in moving {
        for name in Recorded::attacks().into_iter().filter(wanted) {
            let Some(entry) = Entry::named(name) else { continue };
            let seed = 1;
            let attack = Recorded::new(entry, &record.plant, &spans, span.signal, window, seed);
            let Some(attack) = attack else { continue };
            let heard = listen(&mut builder().restore(&learnt)?, test, Some(window), Some(attack))?;
            cells += 1;
            seen += u64::from(heard.first.is_some());
            tell(args, &mut out, &record.plant, entry, span.signal, window, &heard, per_week)?;
        }
    }
    if args.json {
        let summary = json!({ "summary": {
            "plant": record.plant.name, "cells": cells, "detected": seen, "learnt_rows": known.len(),
            "watched_rows": test.len(), "false_alarms": clean.before, "false_alarms_per_week": per_week,
        }});
        writeln!(out, "{summary}")?;
    } else {
        writeln!(out, "\n{seen} of {cells} seen. Errors are a tenth of each signal's recorded range.")?;
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "one line of output")]
fn tell(
    args: &Args,
    out: &mut impl Write,
    plant: &Plant,
    entry: &Entry,
    aim: SignalId,
    window: Window,
    heard: &Heard,
    per_week: f64,
) -> Result<()> {
    let path = plant.catalogue.path(aim);
    let after = heard.first.as_ref().map(|finding| finding.raised_at.since(window.start).as_secs_f64());
    let last = heard.last.as_ref();
    let suspects: Vec<&str> =
        last.map_or_else(Vec::new, |finding| finding.suspect_set.iter().map(|it| it.as_str()).collect());
    if args.json {
        let line = json!({
            "plant": plant.name, "attack": entry.name, "signal": path, "seed": 1, "feasible": true,
            // Nobody computed what could be seen at all of a plant that has only a record.
            "detectable": null, "detected": after.is_some(), "ttd_s": after,
            "suspect": last.map(|finding| finding.suspect), "suspect_set": suspects,
            "suspect_true": entry.parties, "ambiguity": [], "kind": last.map(|finding| finding.kind),
            "kind_true": "attack", "traces": entry.traces, "max_deviation": null, "damage_prevented": null,
            "false_alarms_per_week": per_week,
        });
        writeln!(out, "{line}")?;
        return Ok(());
    }
    let after = after.map_or_else(|| "missed".to_owned(), |seconds| format!("{seconds:.0} s"));
    writeln!(out, "{:<18} {path:<36} {after:>10}  {}", entry.name, suspects.join(", "))?;
    Ok(())
}
