//! What several sites learnt together: rows that leave the subspace of a model from outside, about this site's own levels.
//!
//! Source: Jackson, Mudholkar, Technometrics 21, 1979 (squared prediction error), as in [`Subspace`]; warm start: the federation's model
//! settles among this site's own rows, so far as they agree ([`Subspace::settled`]). Where the site's own history is long enough the scores'
//! tail is its own, each stretch of it scored by what the others make; with a shorter one, how odd a score is comes from the federation's
//! sketch of normal scores, which promises no more than log₁₀ of its rows. It lies where the history holds attacks, and says nothing without
//! all columns. Rows have to come at the federation's period, where the model looks at rows before. Cost: D·k multiplications a row.
//!
//! ```
//! use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Quantise, Statistic, Subspace, Tally};
//! use twinguard_anomaly::{Detector, detectors::Federated};
//!
//! let mut tally = Tally::new(Gram::new(Grid::around([(60.0, 5.0), (3.0, 0.5)])?, 0)?);
//! for t in 0..500_u32 {
//!     let load = f64::from(t * 7919 % 101) / 101.0;
//!     tally.observe(&[60.0 + 5.0 * load, 3.0 + 0.5 * load + f64::from(t % 7) / 100.0])?;
//! }
//! let model = Subspace::with_directions(&Covariance::of(&tally)?, 1)?;
//! let detector = Federated::new(["oil", "flow"], model, None)?;
//! assert_eq!(detector.name(), "federated");
//! # Ok::<(), twinguard_anomaly::Error>(())
//! ```

use twinguard_types::{Attribution, Bundle, DetectorId, Digest, Event, Score, SignalId, Symptom};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    detector::gap,
    statistic::{Gram, Model as _, Quantise as _, Statistic as _, Subspace, Tally, Threshold},
};

/// The files of a model's folder: names of the columns one a line, the subspace, and, if there was a second round, the threshold.
const COLUMNS: &str = "columns.txt";
const SUBSPACE: &str = "subspace.bin";
const THRESHOLD: &str = "threshold.bin";
/// Rows that this site's own levels need, and its own tail.
const LEVEL_ROWS: u64 = 30;
const TAIL_ROWS: u64 = 300;
/// Pieces of the history by which it is seen how far its rows agree.
const STRETCHES: usize = 12;
/// Most signals that a score names.
const NAMED: usize = 8;

/// A model that came from a federation; one made by default has none, and is silent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Federated {
    columns: Vec<String>,
    model: Option<Subspace>,
    threshold: Option<Threshold>,
}

impl Federated {
    /// Columns by the paths of their signals, in the model's order.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of columns than the model has.
    pub fn new<C: Into<String>>(
        columns: impl IntoIterator<Item = C>,
        model: Subspace,
        threshold: Option<Threshold>,
    ) -> Result<Self, Error> {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let width = model.grid().width();
        if columns.len() != width {
            return Err(Error::Lengths { labels: columns.len(), scores: width });
        }
        Ok(Self { columns, model: Some(model), threshold })
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Names the model, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.model.as_ref().map(crate::statistic::Model::digest)
    }
}

impl TryFrom<&Bundle> for Federated {
    type Error = Error;

    /// From the files of a folder: `columns.txt`, `subspace.bin`, and `threshold.bin` if it is there.
    fn try_from(bundle: &Bundle) -> Result<Self, Error> {
        fn read<A: Archive>(bytes: &[u8]) -> Result<A, Error> {
            let mut reader = Reader::new(bytes);
            let read = A::load(&mut reader)?;
            reader.end()?;
            Ok(read)
        }
        let file = |name, reason| bundle.get(name).ok_or(Error::Snapshot { at: 0, reason });
        let columns = core::str::from_utf8(file(COLUMNS, "there is no `columns.txt`")?)
            .map_err(|_| Error::Snapshot { at: 0, reason: "the names of the columns are not UTF-8" })?;
        let threshold = bundle.get(THRESHOLD).map(read::<Threshold>).transpose()?;
        Self::new(columns.lines(), read(file(SUBSPACE, "there is no `subspace.bin`")?)?, threshold)
    }
}

impl Detector for Federated {
    fn name(&self) -> &'static str {
        "federated"
    }

    fn symptom(&self) -> Symptom {
        Symptom::Redundancy
    }

    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut state = State::new(context.id);
        let Some(model) = &self.model else { return Ok(Box::new(state)) };
        for column in &self.columns {
            match context.catalogue.id(column) {
                Some(signal) => state.signals.push(signal),
                None => {
                    state.silent = ABSENT;
                    return Ok(Box::new(state));
                }
            }
        }
        state.take(model.clone());
        state.threshold.clone_from(&self.threshold);
        let stretches = state.stretches(history, model)?;
        let count: u64 = stretches.iter().map(Tally::rows).sum();
        if count >= LEVEL_ROWS {
            state.take(model.settled(&stretches)?);
        }
        if count >= TAIL_ROWS {
            let scores = state.scores(history, model, &stretches)?;
            state.tail = Some(Tail::fit(&scores, gap(scores.len()), 0.01)).filter(Tail::speaks);
        }
        state.begin();
        if state.tail.is_none() && state.threshold.is_none() {
            state.silent = UNKNOWN;
        }
        Ok(Box::new(state))
    }

    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let d = state.model.as_ref().map_or(0, |model| model.grid().width());
        let window = state.model.as_ref().map_or(0, |model| d * (model.memory() + 1));
        let sound = (state.model.is_none() || state.signals.len() == d)
            && state.window.len() == window
            && [&state.values, &state.parts].iter().all(|list| list.len() == d)
            && state.places.iter().all(|place| *place < state.layout.len())
            && state.shares.len() == NAMED;
        if sound { Ok(Box::new(state)) } else { Err(reader.refuse("a federated model that cannot be")) }
    }
}

const NONE: &str = "no federated model was given";
const ABSENT: &str = "a column of the federated model is no signal here";
const UNKNOWN: &str = "neither the federation nor the history says how large scores are in normal operation";
const SILENCES: [&str; 4] = ["", NONE, ABSENT, UNKNOWN];

struct State {
    id: DetectorId,
    signals: Vec<SignalId>,
    model: Option<Subspace>,
    threshold: Option<Threshold>,
    tail: Option<Tail>,
    /// Why it says nothing; empty: it does.
    silent: &'static str,
    /// Rows as they come, and where the columns stand in them.
    layout: Vec<SignalId>,
    places: Vec<usize>,
    values: Vec<f64>,
    /// The newest row first, in steps of the grid.
    window: Vec<i64>,
    rows: usize,
    filled: bool,
    parts: Vec<f64>,
    shares: Vec<Attribution>,
}

/// A reason by its number.
struct Silence(&'static str);

impl Archive for Silence {
    fn save(&self, writer: &mut Writer) {
        (SILENCES.iter().position(|it| *it == self.0).unwrap_or_default() as u8).save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let number = usize::from(u8::load(reader)?);
        SILENCES.get(number).copied().map(Self).ok_or_else(|| reader.refuse("an unknown reason"))
    }
}

impl State {
    fn new(id: DetectorId) -> Self {
        Self {
            id,
            signals: Vec::new(),
            model: None,
            threshold: None,
            tail: None,
            silent: NONE,
            layout: Vec::new(),
            places: Vec::new(),
            values: Vec::new(),
            window: Vec::new(),
            rows: 0,
            filled: false,
            parts: Vec::new(),
            shares: vec![Attribution { signal: SignalId(0), share: 0.0 }; NAMED],
        }
    }

    fn take(&mut self, model: Subspace) {
        let d = model.grid().width();
        self.window = vec![0; d * (model.memory() + 1)];
        (self.values, self.parts) = (vec![0.0; d], vec![0.0; d]);
        self.model = Some(model);
        self.silent = "";
        self.begin();
    }

    fn begin(&mut self) {
        (self.rows, self.filled) = (0, false);
    }

    /// Every usable row of the history, with the stretch that it lies in.
    fn walk(
        &mut self,
        history: &History<'_>,
        mut each: impl FnMut(&Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.begin();
        let usable = history.rows().filter(|row| self.read(row)).count();
        self.begin();
        let mut number = 0;
        for row in history.rows() {
            if self.read(&row) {
                each(self, number * STRETCHES / usable.max(1))?;
                number += 1;
            }
        }
        self.begin();
        Ok(())
    }

    /// What this site's own rows sum up to, stretch by stretch.
    fn stretches(&mut self, history: &History<'_>, model: &Subspace) -> Result<Vec<Tally<Gram>>, Error> {
        let mut stretches = vec![Tally::new(model.plan().clone()); STRETCHES];
        self.walk(history, |state, place| {
            let Some(stretch) = stretches.get_mut(place) else { return Ok(()) };
            if state.rows == 1 {
                stretch.begin();
            }
            stretch.observe(&state.values).map(drop)
        })?;
        Ok(stretches)
    }

    /// Scores of the rows of each stretch by the model that the others make: a model is too kind to the rows that it was made of.
    fn scores(
        &mut self,
        history: &History<'_>,
        model: &Subspace,
        stretches: &[Tally<Gram>],
    ) -> Result<Vec<f64>, Error> {
        let others = |place: usize| {
            let others = stretches.iter().enumerate().filter(|(number, _)| *number != place);
            model.settled(&others.map(|(_, stretch)| stretch.clone()).collect::<Vec<_>>())
        };
        let judges = (0..STRETCHES).map(others).collect::<Result<Vec<_>, _>>()?;
        let mut scores = Vec::new();
        self.walk(history, |state, place| {
            if let Some(judge) = judges.get(place).filter(|_| state.ready()) {
                scores.push(judge.score(&state.window));
            }
            Ok(())
        })?;
        Ok(scores)
    }

    fn ready(&self) -> bool {
        self.filled && self.model.as_ref().is_some_and(|model| self.rows > model.memory())
    }

    /// Takes a row into the window; false where it does not hold all columns. A column that is missing cuts the series.
    fn read(&mut self, row: &twinguard_types::Row<'_>) -> bool {
        let Some(model) = &self.model else { return false };
        if row.signals != self.layout {
            // Once: rows of one aligner are all alike.
            self.layout = row.signals.to_vec();
            let place = |signal: &SignalId| row.signals.iter().position(|held| held == signal);
            self.places = self.signals.iter().filter_map(place).collect();
            (self.rows, self.filled) = (0, false);
        }
        let d = self.values.len();
        if self.places.len() != d {
            return false;
        }
        if self.places.iter().any(|place| !row.qualities[*place].is_usable()) {
            self.begin();
            return false;
        }
        for (value, place) in self.values.iter_mut().zip(&self.places) {
            *value = row.values[*place];
        }
        let end = self.window.len() - d;
        self.window.copy_within(..end, d);
        // The number of values is the model's own.
        self.filled = model.grid().quantise(&self.values, &mut self.window[..d]).unwrap_or(false);
        self.rows = if self.filled { self.rows + 1 } else { 0 };
        self.filled
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if !self.silent.is_empty() || !self.read(row) || !self.ready() {
            return None;
        }
        let model = self.model.as_ref()?;
        let score = model.score(&self.window);
        let surprise = match (&self.tail, &self.threshold) {
            (Some(tail), _) => tail.surprise(score),
            (None, Some(threshold)) => threshold.surprise(score),
            (None, None) => return None,
        };
        let mut named = 0;
        if surprise >= 1.0 {
            model.departures(&self.window, &mut self.parts);
            let total = self.parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            while named < NAMED {
                let taken = &self.shares[..named];
                let free = |place: &usize| !taken.iter().any(|held| held.signal == self.signals[*place]);
                let most = (0..self.parts.len())
                    .filter(free)
                    .max_by(|a, b| self.parts[*a].total_cmp(&self.parts[*b]));
                let Some(most) = most.filter(|most| self.parts[*most] / total > 0.05) else { break };
                self.shares[named] =
                    Attribution { signal: self.signals[most], share: self.parts[most] / total };
                named += 1;
            }
        }
        let attribution = &self.shares[..named];
        let detail = attribution
            .first()
            .map_or(Detail::None, |most| Detail::Unlike { signal: most.signal, share: most.share });
        let symptom = Symptom::Redundancy;
        Some(Observation {
            score: Score { at: row.at, detector: self.id, symptom, surprise, attribution },
            detail,
            onset: None,
        })
    }

    fn forget(&mut self, signal: SignalId) {
        if self.signals.contains(&signal) {
            self.begin();
        }
    }

    fn coverage(&self) -> Coverage {
        match (self.silent, &self.tail, &self.threshold) {
            ("", Some(tail), _) => {
                Coverage::Calibrated { samples: tail.samples(), excursions: tail.excursions() }
            }
            ("", None, Some(threshold)) => {
                let samples = usize::try_from(threshold.rows()).unwrap_or(usize::MAX);
                Coverage::Calibrated { samples, excursions: samples }
            }
            ("", None, None) => Coverage::Silent(UNKNOWN),
            (reason, ..) => Coverage::Silent(reason),
        }
    }

    fn save(&self, writer: &mut Writer) {
        self.id.save(writer);
        self.signals.save(writer);
        self.model.save(writer);
        self.threshold.save(writer);
        self.tail.save(writer);
        Silence(self.silent).save(writer);
        self.layout.save(writer);
        self.places.save(writer);
        self.values.save(writer);
        self.window.save(writer);
        (self.rows, self.filled).save(writer);
        self.parts.save(writer);
        self.shares.save(writer);
    }
}

impl State {
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: Archive::load(reader)?,
            signals: Archive::load(reader)?,
            model: Archive::load(reader)?,
            threshold: Archive::load(reader)?,
            tail: Archive::load(reader)?,
            silent: Silence::load(reader)?.0,
            layout: Archive::load(reader)?,
            places: Archive::load(reader)?,
            values: Archive::load(reader)?,
            window: Archive::load(reader)?,
            rows: Archive::load(reader)?,
            filled: Archive::load(reader)?,
            parts: Archive::load(reader)?,
            shares: Archive::load(reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Catalogue, Quality, Role, Row, Signal, Timestamp};

    use super::*;
    use crate::Recording;
    use crate::statistic::{Covariance, Grid, Scorer};

    const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

    /// One drive behind four sensors at a site's own levels; `off` breaks the relation of the second.
    fn row(t: u32, levels: f64, off: f64) -> [f64; 4] {
        let luck = |k: u32| {
            let x = t.wrapping_mul(2_654_435_761) ^ (k + 1).wrapping_mul(2_246_822_519);
            let x = (x ^ x >> 15).wrapping_mul(2_146_121_005);
            f64::from((x ^ x >> 15).wrapping_mul(2_221_713_035) >> 8) / f64::from(1 << 24) - 0.5
        };
        let drive = 4.0 * luck(1);
        core::array::from_fn(|place| {
            let own = luck(7 + place as u32) / 5.0;
            levels * (place as f64 + 1.0)
                + drive * (1.0 + 0.3 * place as f64)
                + own
                + if place == 1 { off } else { 0.0 }
        })
    }

    /// What three other sites learnt, each at other levels, and their scores.
    fn learnt() -> Federated {
        let grid = || Grid::around([(0.0, 1.0); 4]).unwrap();
        let mut within = Tally::new(Gram::new(grid(), 0).unwrap());
        for t in 0..6_000 {
            within.observe(&row(t, 0.0, 0.0)).unwrap();
        }
        let model = Subspace::with_directions(&Covariance::about_zero(&within).unwrap(), 1).unwrap();
        let (mut scores, mut scorer) = (Tally::new(Threshold::plan().unwrap()), Scorer::new(&model));
        for t in 0..6_000 {
            let score = scorer.observe(&row(t + 50_000, 0.0, 0.0)).unwrap().unwrap();
            scores.observe(&[score]).unwrap();
        }
        let threshold = Threshold::fit(scores).unwrap();
        Federated::new(COLUMNS, model, Some(threshold)).unwrap()
    }

    fn catalogue(names: &[&str]) -> Catalogue {
        let mut catalogue = Catalogue::new();
        for name in names {
            catalogue.intern(Signal::new(*name, Role::Measurement)).unwrap();
        }
        catalogue
    }

    /// A signal that is none of the columns stands among them, and the order is another.
    const HERE: [&str; 5] = ["d", "x", "c", "b", "a"];
    const LEVELS: f64 = 3.0;

    fn event(t: u32, off: f64, tell: impl FnOnce(&Event<'_>)) {
        let [a, b, c, d] = row(t, LEVELS, off);
        let signals: Vec<SignalId> = (0..5).map(SignalId).collect();
        let (values, qualities) = ([d, 7.0, c, b, a], [Quality::Good; 5]);
        let at = Timestamp::from_secs(600 * i64::from(t));
        tell(&Event::Row(Row { at, signals: &signals, values: &values, qualities: &qualities }));
    }

    fn fit(federated: &Federated, rows: u32, names: &[&str]) -> Box<dyn Fitted> {
        let mut recording = Recording::new();
        (100_000..100_000 + rows).for_each(|t| event(t, 0.0, |event| recording.push(event)));
        let catalogue = catalogue(names);
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        federated.fit(&recording.history(), &context).unwrap()
    }

    fn surprise(fitted: &mut dyn Fitted, t: u32, off: f64) -> (f64, Option<SignalId>) {
        let mut told = (0.0, None);
        event(t, off, |event| {
            let seen = fitted.observe(event).unwrap();
            told = (seen.score.surprise, seen.score.attribution.first().map(|share| share.signal));
        });
        told
    }

    #[test]
    fn a_day_of_rows_is_enough_for_a_site_of_its_own_levels() {
        let federated = learnt();
        for rows in [144, 2_000] {
            let mut fitted = fit(&federated, rows, &HERE);
            assert!(matches!(fitted.coverage(), Coverage::Calibrated { .. }), "{:?}", fitted.coverage());
            let normal = (0..500).map(|t| surprise(&mut *fitted, 200_000 + t, 0.0).0).fold(0.0, f64::max);
            assert!(normal < 3.5, "{rows}: {normal}");
            let (odd, most) = surprise(&mut *fitted, 300_000, 1.5);
            assert!(odd > 3.7 && most == Some(SignalId(3)), "{rows}: {odd} {most:?}");
        }
    }

    #[test]
    fn what_was_saved_goes_on_bit_by_bit_and_without_the_model() {
        let mut fitted = fit(&learnt(), 144, &HERE);
        surprise(&mut *fitted, 200_000, 0.0);
        let mut writer = Writer::new();
        fitted.save(&mut writer);
        let bytes = writer.finish();
        let mut again = Federated::default().restore(&mut Reader::new(&bytes)).unwrap();
        for t in 0..20 {
            let off = f64::from(t) / 10.0;
            assert_eq!(surprise(&mut *fitted, 400_000 + t, off), surprise(&mut *again, 400_000 + t, off));
        }
        for cut in (0..bytes.len()).step_by(13) {
            assert!(Federated::default().restore(&mut Reader::new(&bytes[..cut])).is_err());
        }
    }

    #[test]
    fn what_does_not_fit_is_silent_and_says_why() {
        let silent =
            |fitted: Box<dyn Fitted>, reason| assert_eq!(fitted.coverage(), Coverage::Silent(reason));
        silent(fit(&Federated::default(), 144, &HERE), NONE);
        silent(fit(&learnt(), 144, &["d", "x", "c", "b", "z"]), ABSENT);
        let bare = Federated { threshold: None, ..learnt() };
        silent(fit(&bare, 144, &HERE), UNKNOWN);
        assert!(matches!(fit(&bare, 2_000, &HERE).coverage(), Coverage::Calibrated { .. }));
        let model = learnt().model.unwrap();
        assert!(matches!(Federated::new(["a"], model, None), Err(Error::Lengths { labels: 1, scores: 4 })));
    }

    #[test]
    fn a_folder_is_read_and_a_broken_one_refused() {
        let federated = learnt();
        let bytes = |save: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::new();
            save(&mut writer);
            writer.finish()
        };
        let mut bundle = Bundle::new(Digest::default());
        bundle.insert("columns.txt", b"a\nb\nc\nd\n".to_vec());
        assert!(Federated::try_from(&bundle).is_err(), "no model");
        bundle.insert("subspace.bin", bytes(&|writer| federated.model.as_ref().unwrap().save(writer)));
        assert_eq!(Federated::try_from(&bundle).unwrap().digest(), federated.digest());
        bundle.insert("threshold.bin", bytes(&|writer| federated.threshold.as_ref().unwrap().save(writer)));
        assert_eq!(Federated::try_from(&bundle).unwrap(), federated);
        bundle.insert("columns.txt", b"a\nb\n".to_vec());
        assert!(Federated::try_from(&bundle).is_err(), "two names for four columns");
    }

    #[test]
    fn a_row_that_lacks_a_column_is_not_scored() {
        let mut fitted = fit(&learnt(), 144, &HERE);
        let signals: Vec<SignalId> = (0..5).map(SignalId).collect();
        let mut qualities = [Quality::Good; 5];
        qualities[2] = Quality::Bad;
        let row = Row { at: Timestamp::ZERO, signals: &signals, values: &[3.0; 5], qualities: &qualities };
        assert!(fitted.observe(&Event::Row(row)).is_none());
        let few = Row { signals: &signals[..2], values: &[3.0; 2], qualities: &[Quality::Good; 2], ..row };
        assert!(fitted.observe(&Event::Row(few)).is_none());
    }
}
