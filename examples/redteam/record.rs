//! Cells as they ran: a labelled series and a capture each.

use std::fs::{File, create_dir_all};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Error, Result};
use twinguard::protocol::{LinkType, capture};
use twinguard::redteam::campaign::{Key, Scribe};
use twinguard::redteam::{Ground, ORIGIN, Reaction, Sample, Spoken};
use twinguard::types::{SignalId, Timestamp};

/// The folder of the records, and what went wrong first.
pub struct Records {
    dir: PathBuf,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Records {
    pub fn new(out: &Path) -> Result<Self> {
        let dir = out.join("cells");
        create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self { dir, failed: Arc::default() })
    }

    /// Takes down one cell.
    pub fn scribe(&self, key: &Key, ground: &Ground) -> Option<Box<dyn Scribe>> {
        let attack = key.attack.replace(':', "-");
        let disturbance = serde_json::to_value(key.disturbance).ok()?;
        let disturbance = disturbance.as_str().unwrap_or_default().to_owned();
        let name = format!("{}-{attack}-{disturbance}-{}-{}", key.plant, key.view.as_str(), key.seed);
        match CellRecord::new(&self.dir.join(name), ground, Arc::clone(&self.failed)) {
            Ok(record) => Some(Box::new(record)),
            Err(error) => {
                keep(&self.failed, error);
                None
            }
        }
    }

    /// Says what went wrong.
    pub fn finish(self) -> Result<()> {
        match self.failed.lock().ok().and_then(|mut failed| failed.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn keep(failed: &Mutex<Option<Error>>, error: Error) {
    if let Ok(mut failed) = failed.lock() {
        failed.get_or_insert(error);
    }
}

struct CellRecord {
    series: csv::Writer<File>,
    /// Taken when the cell is over.
    capture: Option<capture::Writer<BufWriter<File>>>,
    signals: Vec<SignalId>,
    failed: Arc<Mutex<Option<Error>>>,
}

impl CellRecord {
    fn new(path: &Path, ground: &Ground, failed: Arc<Mutex<Option<Error>>>) -> Result<Self> {
        let create = |end: &str| {
            // Names of plants and attacks may hold dots; the ending is put behind them.
            let path = PathBuf::from(format!("{}.{end}", path.display()));
            File::create(&path).with_context(|| path.display().to_string())
        };
        let mut series = csv::Writer::from_writer(create("csv")?);
        let capture = capture::Writer::new(BufWriter::new(create("pcap")?), LinkType::Ethernet)?;
        let mut head = vec!["timestamp".to_owned(), "seconds".to_owned(), "label".to_owned()];
        head.extend(["findings".to_owned(), "actions".to_owned()]);
        let mut signals = Vec::new();
        for (id, signal) in ground.plant().catalogue.iter() {
            let of = |speaker: &str| format!("{}{speaker}", signal.path);
            head.extend([of(""), of(":vendor"), of(":truth")]);
            signals.push(id);
        }
        series.write_record(&head)?;
        Ok(Self { series, capture: Some(capture), signals, failed })
    }

    fn row(&mut self, sample: &Sample, attacked: bool) -> Result<()> {
        let count =
            |is: fn(&Reaction) -> bool| sample.reactions.iter().filter(|it| is(it)).count().to_string();
        let at = jiff::Timestamp::from_nanosecond(i128::from(sample.at.as_nanos()))?;
        let since = sample.at.since(ORIGIN).as_secs_f64();
        let mut row = vec![at.to_string(), since.to_string(), u8::from(attacked).to_string()];
        row.push(count(|it| matches!(it, Reaction::Finding(finding) if finding.revision == 0)));
        row.push(count(|it| matches!(it, Reaction::Action(_))));
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for signal in &self.signals {
            let found = sample.signals.iter().find(|(known, _)| known == signal);
            let Spoken { truth, field, vendor } = found.map(|(_, spoken)| *spoken).unwrap_or_default();
            row.extend([text(field), text(vendor), text(truth)]);
        }
        self.series.write_record(&row)?;
        Ok(())
    }
}

impl Scribe for CellRecord {
    fn frame(&mut self, at: Timestamp, bytes: &[u8]) {
        if let Some(Err(error)) = self.capture.as_mut().map(|capture| capture.write(at, bytes)) {
            keep(&self.failed, error.into());
        }
    }

    fn sample(&mut self, sample: &Sample, attacked: bool) {
        if let Err(error) = self.row(sample, attacked) {
            keep(&self.failed, error);
        }
    }
}

impl Drop for CellRecord {
    fn drop(&mut self) {
        let captured = self.capture.take().map_or(Ok(()), |capture| capture.finish().map(drop));
        if let Err(error) = self.series.flush().map_err(Error::from).and(captured.map_err(Error::from)) {
            keep(&self.failed, error);
        }
    }
}
