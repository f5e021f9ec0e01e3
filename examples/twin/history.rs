//! History from files: a CSV of signals on their own times, as rows at a fixed period.

use std::{fs::File, path::Path};

use anyhow::{Context, Result, bail, ensure};
use twinguard::twin::importers::{Telemetry, TelemetryOptions};

/// Columns of numbers with their times; what is missing is NaN.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) names: Vec<String>,
    /// Seconds since the first row.
    pub(crate) times_s: Vec<f64>,
    pub(crate) rows: Vec<Vec<f64>>,
}

impl History {
    /// Reads a CSV file, without the columns named in `ignore`.
    pub(crate) fn read(path: &Path, ignore: &[String]) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        let options = TelemetryOptions { ignore: ignore.to_vec(), ..TelemetryOptions::default() };
        let mut telemetry =
            Telemetry::open(std::io::BufReader::new(file), options).with_context(|| name.clone())?;
        let names: Vec<String> =
            telemetry.signals().map(|id| telemetry.catalogue().path(id).to_owned()).collect();
        let (mut times_s, mut rows, mut start) = (Vec::new(), Vec::new(), None);
        while let Some(row) = telemetry.next_row().with_context(|| name.clone())? {
            let start = *start.get_or_insert(row.at);
            times_s.push(row.at.since(start).as_secs_f64());
            let value = |point: &twinguard::types::Point| {
                if point.quality.is_usable() { point.value.as_f64() } else { f64::NAN }
            };
            rows.push(row.points.iter().map(value).collect());
        }
        ensure!(rows.len() > 1, "{name}: fewer than two rows");
        Ok(Self { names, times_s, rows })
    }

    /// The column of this name.
    pub(crate) fn column(&self, name: &str) -> Result<usize> {
        match self.names.iter().position(|known| known == name) {
            Some(at) => Ok(at),
            None => bail!("no column `{name}`; there are {}", self.names.join(", ")),
        }
    }

    /// The usual time between rows: the median.
    pub(crate) fn period_s(&self) -> f64 {
        let mut gaps: Vec<f64> = self.times_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        gaps[gaps.len() / 2]
    }
}
