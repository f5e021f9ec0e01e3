//! A new site whose guard takes the sealed model in: one day of its own rows, then a day in which an attack begins at noon.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use twinguard::anomaly::detectors::Federated;
use twinguard::integrity::{Sealed, SigningKey, Trust};
use twinguard::twin::Plant as Described;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::{Builder, Guard, Input, Output};

use crate::plant::{NOISE, Plant, columns};

/// Rows of a day, at one every ten minutes.
const DAY: usize = 144;
/// The attack: so many units of noise along the hidden direction, from this row of the second day on.
const SIZE: f64 = 8.0;
const START: usize = DAY / 2;
const SPREAD: f64 = 0.5;

/// Rows until the guard's first finding, counted from the attack's start; nothing where it saw nothing, or cried before.
pub(crate) struct Seen {
    pub(crate) with: Option<u64>,
    pub(crate) alone: Option<u64>,
}

impl Seen {
    pub(crate) fn words(&self) -> String {
        let word = |rows: Option<u64>| match rows {
            Some(rows) => format!("sees the attack after {rows} rows"),
            None => "does not see the attack".to_owned(),
        };
        format!(
            "with a day of rows its guard {} with the sealed model, and {} without it",
            word(self.with),
            word(self.alone)
        )
    }
}

/// Both days, as a historian would export them.
fn days(seed: u64, number: u32) -> (String, String) {
    let mut site = Plant::new(seed).site(u64::from(number), SPREAD, 0.0);
    let header = format!("datetime,{}\n", columns().collect::<Vec<_>>().join(","));
    let mut day = |day: usize, attacked: bool| {
        let mut text = header.clone();
        for row in 0..DAY {
            let off = if attacked && row >= START { SIZE * NOISE } else { 0.0 };
            let _ = write!(text, "2026-03-{:02} {:02}:{:02}:00", 14 + day, row / 6, row % 6 * 10);
            for value in site.row(off) {
                let _ = write!(text, ",{value:.4}");
            }
            text.push('\n');
        }
        text
    };
    (day(0, false), day(1, true))
}

fn telemetry(text: &str) -> Result<Telemetry<&[u8]>> {
    Ok(Telemetry::open(text.as_bytes(), TelemetryOptions::default())?)
}

fn rows_until_seen(builder: Builder, day: &str, now: &str) -> Result<Option<u64>> {
    let mut guard = builder.learn(telemetry(day)?)?.build()?;
    let (mut rows, mut number) = (telemetry(now)?, 0_usize);
    while let Some(row) = rows.next_row()? {
        guard.handle(row.at, Input::Points(row.points))?;
        while let Some(output) = guard.poll() {
            if let Output::Finding(_) = output {
                return Ok(number.checked_sub(START).map(|rows| rows as u64));
            }
        }
        number += 1;
    }
    Ok(None)
}

/// Writes the newcomer's days beside the model, and lets its guard watch the second.
pub(crate) fn run(folder: &Path, key: &SigningKey, seed: u64, number: u32) -> Result<Seen> {
    let (day, now) = days(seed, number);
    let own = folder.join("newcomer");
    std::fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
    std::fs::write(own.join("day.csv"), &day)?;
    std::fs::write(own.join("now.csv"), &now)?;
    let described = Described::from_signals("newcomer", telemetry(&day)?.catalogue().clone());
    let trust = Trust::new(key.public().clone());
    let sealed = Sealed::open(folder.join("model"), folder.join("model.seal"), &trust)?;
    let with = Guard::builder_unsealed(described.clone()).federated(sealed.load::<Federated>()?);
    Ok(Seen {
        with: rows_until_seen(with, &day, &now)?,
        alone: rows_until_seen(Guard::builder_unsealed(described), &day, &now)?,
    })
}
