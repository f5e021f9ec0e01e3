//! All detectors of one guard: fitted together, with thresholds for a wanted number of false alarms per day, checked on
//! history that they did not see.

use twinguard_types::{Catalogue, DetectorId, Event, Residual, SignalId, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detector, Error, Fitted, History, Observation, Reader, Writer,
    poisson_interval,
};

/// What is asked of a bank.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Asked {
    /// False alarms per day over all detectors together.
    pub false_alarms_per_day: f64,
    /// Share of the history, its last part, on which the thresholds are checked before the final fit.
    pub holdout: f64,
    /// Seed of whatever the detectors draw at random.
    pub seed: u64,
}

impl Default for Asked {
    fn default() -> Self {
        Self { false_alarms_per_day: 0.1, holdout: 0.25, seed: 1 }
    }
}

impl Asked {
    fn check(&self) -> Result<(), Error> {
        let rate = self.false_alarms_per_day;
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(Error::Setting { name: "false_alarms_per_day", value: rate, must: "above zero" });
        }
        if !(0.0..0.9).contains(&self.holdout) {
            return Err(Error::Setting { name: "holdout", value: self.holdout, must: "from 0 to below 0.9" });
        }
        Ok(())
    }
}

/// One line of a bank's table.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BankEntry {
    /// Its place in the bank.
    pub id: DetectorId,
    /// Its name.
    pub name: String,
    /// What it looks for.
    pub symptom: Symptom,
    /// The view it needs.
    pub needs: Option<View>,
    /// The surprise at which it alarms.
    pub threshold: f64,
    /// Whether one score is enough.
    pub at_once: bool,
    /// Looks per day in the history.
    pub looks_per_day: f64,
    /// Factor on its surprise, below 1 where history that it had not seen surprised it too much.
    pub scale: f64,
    /// What its scores rest on.
    pub coverage: Coverage,
}

/// Asked and expected false alarms.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Calibration {
    /// False alarms per day as asked.
    pub asked: f64,
    /// Upper bound of the false alarms per day that the thresholds allow, all looks counted as independent.
    pub expected: f64,
    /// 95 % interval of the false alarms per day seen on the held-out part, before scaling.
    pub interval: (f64, f64),
    /// Alarms on the held-out part (alarms within two minutes count once), before scaling.
    pub held_out_alarms: u64,
    /// Days of the held-out part.
    pub held_out_days: f64,
    /// Days of the whole history.
    pub history_days: f64,
}

/// The detectors of one guard.
///
/// ```
/// use twinguard_anomaly::{Asked, Bank, History, registry};
/// use twinguard_types::{Catalogue, Event, Timestamp};
/// let mut bank = Bank::fit(registry::all(), &History::empty(), &Catalogue::new(), &Asked::default())?;
/// bank.observe(&Event::Tick(Timestamp::from_secs(1)), |observation| panic!("{observation:?}"));
/// assert_eq!(bank.calibration().asked, 0.1);
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
pub struct Bank {
    fitted: Vec<Box<dyn Fitted>>,
    table: Vec<BankEntry>,
    calibration: Calibration,
}

/// Alarms closer than this are one.
const MERGE_NANOS: i64 = 120_000_000_000;
/// Versions from 1 on are read as well.
const VERSION: u32 = 3;

impl Bank {
    /// Fits all detectors and sets their thresholds.
    ///
    /// The budget is shared equally among the detectors that speak. A detector of n looks a day and a share b alarms at the
    /// surprise log₁₀(n/b); looks that depend on each other make fewer alarms, so `expected` is an upper bound. When the held-out
    /// part of the history surprises a detector more than its number of looks explains, all its surprises are scaled down.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings out of range; what a detector's own fit returns.
    pub fn fit(
        detectors: Vec<Box<dyn Detector>>,
        history: &History<'_>,
        catalogue: &Catalogue,
        asked: &Asked,
    ) -> Result<Self, Error> {
        asked.check()?;
        let context = |place: usize| Context { id: DetectorId(place as u16), catalogue, seed: asked.seed };
        let fit = |history: &History<'_>| -> Result<Vec<_>, Error> {
            detectors.iter().enumerate().map(|(place, it)| it.fit(history, &context(place))).collect()
        };
        let budget = asked.false_alarms_per_day / detectors.len().max(1) as f64;
        let mut scales = vec![1.0_f64; detectors.len()];
        let mut looks = vec![0u64; detectors.len()];
        let (mut alarms, mut held_out_days) = (0, 0.0);
        let (head, tail) = history.split(1.0 - asked.holdout);
        if !tail.is_empty() && !head.is_empty() {
            let mut fitted = fit(&head)?;
            held_out_days = tail.days();
            let mut most = vec![0.0_f64; detectors.len()];
            let mut peaks: Vec<(i64, f64, usize)> = Vec::new();
            for event in tail.events() {
                for (place, it) in fitted.iter_mut().enumerate() {
                    if let Some(seen) = it.observe(&event) {
                        looks[place] += 1;
                        most[place] = most[place].max(seen.score.surprise);
                        if seen.score.surprise > 3.0 {
                            peaks.push((seen.score.at.as_nanos(), seen.score.surprise, place));
                        }
                    }
                }
            }
            let mut last = i64::MIN;
            for (at, surprise, place) in peaks {
                let threshold = threshold(looks[place] as f64 / held_out_days.max(1e-6), budget);
                if surprise >= threshold {
                    alarms += u64::from(at.saturating_sub(last) > MERGE_NANOS);
                    last = at;
                }
            }
            for place in 0..detectors.len() {
                // of n normal looks the loudest has about log₁₀ n; one decade of luck is allowed
                let expected = libm::log10(looks[place].max(1) as f64) + 1.0;
                scales[place] = if most[place] > expected { expected / most[place] } else { 1.0 };
            }
        }
        let fitted = fit(history)?;
        let mut expected = 0.0;
        let mut table = Vec::new();
        for (place, (detector, it)) in detectors.iter().zip(&fitted).enumerate() {
            let seen = looks[place] as f64 / held_out_days.max(1e-6);
            // without history: a look a second
            let looks_per_day = if held_out_days > 0.0 && looks[place] > 0 { seen } else { 86_400.0 };
            let coverage = it.coverage();
            if matches!(coverage, Coverage::Calibrated { .. }) {
                expected += budget;
            }
            table.push(BankEntry {
                id: DetectorId(place as u16),
                name: detector.name().to_owned(),
                symptom: detector.symptom(),
                needs: detector.needs(),
                threshold: threshold(looks_per_day, budget),
                at_once: detector.at_once(),
                looks_per_day,
                scale: scales[place],
                coverage,
            });
        }
        let (low, high) = poisson_interval(alarms);
        let per_day = |count: f64| if held_out_days > 0.0 { count / held_out_days } else { 0.0 };
        let calibration = Calibration {
            asked: asked.false_alarms_per_day,
            expected,
            interval: (per_day(low), per_day(high)),
            held_out_alarms: alarms,
            held_out_days,
            history_days: history.days(),
        };
        Ok(Self { fitted, table, calibration })
    }

    /// Shows an event to every detector and hands on what they say. No allocation.
    pub fn observe(&mut self, event: &Event<'_>, mut sink: impl FnMut(&Observation<'_>)) {
        for (it, entry) in self.fitted.iter_mut().zip(&self.table) {
            if let Some(mut seen) = it.observe(event) {
                seen.score.surprise *= entry.scale;
                sink(&seen);
            }
        }
    }

    /// Shows what a model says that has just started: it may excuse what a learnt limit finds surprising, but accuses nobody.
    pub fn unsettled(&mut self, residual: &Residual<'_>, mut sink: impl FnMut(&Observation<'_>)) {
        for (it, entry) in self.fitted.iter_mut().zip(&self.table) {
            if let Some(mut seen) = it.unsettled(residual) {
                seen.score.surprise *= entry.scale;
                sink(&seen);
            }
        }
    }

    /// A signal has another instrument from now on: what the detectors added up of it starts anew; what they learnt stays.
    pub fn forget(&mut self, signal: SignalId) {
        self.fitted.iter_mut().for_each(|it| it.forget(signal));
    }

    /// The model is another from now on: what it is off by is unknown again; what the detectors learnt stays.
    pub fn remodelled(&mut self) {
        self.fitted.iter_mut().for_each(|it| it.remodelled());
    }

    /// Nobody listened for a while, and knows it: the silence up to here says nothing.
    pub fn missed(&mut self) {
        self.fitted.iter_mut().for_each(|it| it.missed());
    }

    /// The detectors and their thresholds, by id.
    #[must_use]
    pub fn table(&self) -> &[BankEntry] {
        &self.table
    }

    /// Asked and expected false alarms.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether a normal history stands behind the thresholds.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.table
            .iter()
            .any(|entry| matches!(entry.coverage, Coverage::Calibrated { samples, .. } if samples > 0))
    }

    /// Everything learnt and all state, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        self.fitted.len().save(&mut writer);
        for (it, entry) in self.fitted.iter().zip(&self.table) {
            entry.name.save(&mut writer);
            (entry.threshold, entry.looks_per_day, entry.scale).save(&mut writer);
            it.save(&mut writer);
        }
        let it = &self.calibration;
        (it.asked, it.expected, it.interval).save(&mut writer);
        (it.held_out_alarms, it.held_out_days, it.history_days).save(&mut writer);
        writer.finish()
    }

    /// The bank that wrote these bytes; `detectors` are those it was fitted with (others of the registry may be among them).
    ///
    /// # Errors
    /// [`Error::SnapshotVersion`], [`Error::Snapshot`], [`Error::UnknownDetector`].
    pub fn restore(detectors: &[Box<dyn Detector>], bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let found = u32::load(&mut reader)?;
        if !(1..=VERSION).contains(&found) {
            return Err(Error::SnapshotVersion { found, known: VERSION });
        }
        reader.set_version(found);
        let count = usize::load(&mut reader)?;
        let (mut fitted, mut table) = (Vec::new(), Vec::new());
        for place in 0..count {
            let name = String::load(&mut reader)?;
            let detector = detectors.iter().find(|detector| detector.name() == name);
            let detector = detector.ok_or_else(|| Error::UnknownDetector { name: name.clone() })?;
            let (threshold, looks_per_day, scale) = Archive::load(&mut reader)?;
            let it = detector.restore(&mut reader)?;
            table.push(BankEntry {
                id: DetectorId(place as u16),
                symptom: detector.symptom(),
                needs: detector.needs(),
                at_once: detector.at_once(),
                coverage: it.coverage(),
                name,
                threshold,
                looks_per_day,
                scale,
            });
            fitted.push(it);
        }
        let (asked, expected, interval) = Archive::load(&mut reader)?;
        let (held_out_alarms, held_out_days, history_days) = Archive::load(&mut reader)?;
        reader.end()?;
        let calibration =
            Calibration { asked, expected, interval, held_out_alarms, held_out_days, history_days };
        Ok(Self { fitted, table, calibration })
    }
}

impl core::fmt::Debug for Bank {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bank").field("table", &self.table).field("calibration", &self.calibration).finish()
    }
}

/// The surprise at which a detector with this many looks makes at most this many false alarms a day.
fn threshold(looks_per_day: f64, budget: f64) -> f64 {
    libm::log10((looks_per_day / budget).max(10.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn settings_out_of_range_are_refused() {
        let fit = |asked| Bank::fit(registry::all(), &History::empty(), &Catalogue::new(), &asked);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(fit(Asked { false_alarms_per_day: rate, ..Asked::default() }).is_err());
        }
        assert!(fit(Asked { holdout: 0.95, ..Asked::default() }).is_err());
        assert!(!fit(Asked::default()).unwrap().has_history());
    }
}
