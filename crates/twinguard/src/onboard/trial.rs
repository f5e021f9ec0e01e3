//! A guard learns the first part of the history and watches the later one.
//!
//! Source: hold-out validation in order of time, so that nothing of the future is learnt (Hyndman, Athanasopoulos, *Forecasting: Principles and
//! Practice*, 3rd edition 2021, §5.8).

use twinguard_types::{Finding, Point, SignalId, Source, Timestamp, Value};

use super::Draft;
use super::series::Series;
use crate::{Error, Guard, Input, Output};

/// Rows from which on a trial is made.
const FEWEST: usize = 1_000;
/// Findings whose words are kept.
const KEPT: usize = 20;
/// Share of the history that is learnt from.
const LEARN: f64 = 0.7;

/// How a guard does on normal running that it has not seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Trial {
    /// Seconds of history that were learnt from.
    pub learnt_s: f64,
    /// Seconds that were watched.
    pub watched_s: f64,
    /// Findings in them. The history is taken as normal, so each is a false alarm or something to look at.
    pub findings: u32,
    /// Findings a day.
    pub per_day: f64,
    /// How many a day were asked for.
    pub asked_per_day: f64,
    /// Detectors that had something to go on.
    pub detectors: u32,
    /// The first findings: when, and in words.
    pub told: Vec<(Timestamp, String)>,
}

impl Draft {
    /// Learns the first 70 % of the history and watches the rest; `None` for a history that is too short. `progress` hears the share that is done.
    ///
    /// # Errors
    /// Whatever the guard refuses.
    pub fn trial(&self, mut progress: impl FnMut(f64)) -> Result<Option<Trial>, Error> {
        let Some(series) = self.series.as_ref().filter(|series| series.times.len() >= FEWEST) else {
            return Ok(None);
        };
        let rows = series.times.len();
        let cut = (rows as f64 * LEARN) as usize;
        let mut feed = Feed::new(series, self);
        let learn = |guard: &mut Guard| {
            for row in 0..cut {
                feed.row(guard, row)?;
                while guard.poll().is_some() {}
                if row % 256 == 0 {
                    progress(row as f64 / rows as f64);
                }
            }
            Ok(())
        };
        let mut guard = Guard::builder_unsealed(self.plant.clone()).learn(learn)?.build()?;
        let report = guard.detection();
        let at = |row: usize| series.times.get(row).copied().unwrap_or_default();
        let mut trial = Trial {
            learnt_s: at(cut).since(at(0)).as_secs_f64(),
            watched_s: at(rows - 1).since(at(cut)).as_secs_f64(),
            asked_per_day: report.asked_per_day,
            detectors: report.detectors,
            ..Trial::default()
        };
        for row in cut..rows {
            feed.row(&mut guard, row)?;
            trial.hear(&mut guard);
            if row % 256 == 0 {
                progress(row as f64 / rows as f64);
            }
        }
        let end = guard.next_deadline().map_or(at(rows - 1), |deadline| deadline.max(at(rows - 1)));
        guard.handle(end, Input::Tick)?;
        trial.hear(&mut guard);
        if trial.watched_s > 0.0 {
            trial.per_day = f64::from(trial.findings) / (trial.watched_s / 86_400.0);
        }
        Ok(Some(trial))
    }
}

impl Trial {
    fn hear(&mut self, guard: &mut Guard) {
        while let Some(output) = guard.poll() {
            if let Output::Finding(Finding { revision: 0, title, summary, raised_at, .. }) = output {
                self.findings += 1;
                if self.told.len() < KEPT {
                    self.told.push((raised_at, format!("{title}: {summary}")));
                }
            }
        }
    }
}

/// Rows of history as points.
struct Feed<'a> {
    series: &'a Series,
    columns: Vec<(usize, SignalId)>,
    points: Vec<Point>,
    last: Vec<Value>,
}

impl<'a> Feed<'a> {
    fn new(series: &'a Series, draft: &Draft) -> Self {
        let catalogue = &draft.plant.catalogue;
        let names = series.names.iter().enumerate();
        let columns: Vec<(usize, SignalId)> =
            names.filter_map(|(column, name)| Some((column, catalogue.id(name)?))).collect();
        let last = vec![Value::Real(twinguard_types::Finite::ZERO); columns.len()];
        Self { series, points: Vec::with_capacity(columns.len()), columns, last }
    }

    fn row(&mut self, guard: &mut Guard, row: usize) -> Result<(), Error> {
        let Some(at) = self.series.times.get(row).copied() else { return Ok(()) };
        self.points.clear();
        for ((column, signal), last) in self.columns.iter().zip(&mut self.last) {
            let value = self.series.columns.get(*column).and_then(|values| values.get(row)).copied();
            let value = value.and_then(|value| Value::real(value).ok());
            let mut point = Point::new(*signal, value.unwrap_or(*last), Source::Field, at);
            match value {
                Some(value) => *last = value,
                None => point.quality = twinguard_types::Quality::Bad,
            }
            self.points.push(point);
        }
        guard.handle(at, Input::Points(&self.points))
    }
}
