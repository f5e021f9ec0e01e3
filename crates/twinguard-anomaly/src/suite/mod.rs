//! The automatic suite: signals and normal history in, one calibrated surprise per row out. One configuration for every plant.
//!
//! ```
//! use twinguard_anomaly::suite::{Suite, Training};
//!
//! let wave = |t: usize| (t as f64 / 5.0).sin();
//! let normal: Vec<f64> = (0..1000).flat_map(|t| [wave(t), 2.0 * wave(t) + (t * 7919 % 97) as f64 / 500.0]).collect();
//! let suite = Suite::fit(&Training { channels: 2, values: &normal, times: None })?;
//! let limit = suite.limit(0.01)?; // one normal row in a hundred may alarm
//! let mut state = suite.state();
//! for t in 1000..1100 {
//!     let second = if t < 1050 { 2.0 * wave(t) } else { 0.0 };
//!     let verdict = state.observe(&suite, None, &[wave(t), second]);
//!     assert!(t < 1060 || verdict.surprise > limit, "{t}: {verdict:?}");
//! }
//! # Ok::<(), twinguard_anomaly::Error>(())
//! ```
//!
//! ```text
//! row ─► deviations ─► models: var, crossed, subspace, windows, patches ─► residuals, statistics
//!     ─► surprise at several memories ─► surprise of each model ─► weighted mean ─► calibrated surprise
//! ```
//!
//! Every surprise is calibrated on rows that the model behind it did not see (five contiguous folds), and widened for the number of
//! independent rows. The weights are constants but one: the subspace counts double where the history is long enough to know every
//! channel's level. A [`Suite`] is immutable and may be shared by a fleet; a [`State`] is small, causal, and allocates nothing. States of
//! different series cannot be merged (order matters); the second moments behind the models can, and are summed by fold. Measurements and
//! what lost: the guide, *The automatic suite*.

mod chart;
mod curve;
mod dense;
mod law;
mod models;
mod news;
mod panel;
mod prepare;
mod trim;

use core::fmt;

use twinguard_types::{Digest, Timestamp};

use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};
pub(crate) use curve::memory;

use chart::{EVIDENCE, Several, SeveralState, Single, SingleState};
use curve::Curve;
use law::Law;
use models::{Crossed, CrossedState, Due, Looks, Patches, Recent, Subspace, Var, VarState, Windows, shaped};
use news::{News, Past};
use prepare::{History, Rows, Scales};
pub use trim::Suspicious;

/// Most columns of a row.
pub const MOST_CHANNELS: usize = 256;
/// The surprise at which a row alarms where no rate is asked for. What it costs on a plant depends on how much history there was: on a short
/// one it is passed more often than a limit that was asked for.
pub const ALARM: f64 = 2.097;
/// Fewest rows of a history.
pub const FEWEST_ROWS: usize = 60;

const VERSION: u32 = 2;
/// Weights of the models: var, crossed, subspace (and once more by the share of known levels), windows, patches.
const WEIGHTS: [f64; 5] = [3.0, 1.0, 1.0, 0.5, 1.5];
/// A model that is surprised for this many rows loses its voice in the score, never in the surprise.
const BACKGROUND: f64 = 1.0 / 3000.0;
const BACKGROUND_MOST: f64 = 2.0;
/// Largest surprise of constants that move, and the weights of its moving means.
const NOVEL_MOST: f64 = 4.0;
const NOVEL: [f64; 2] = [0.1, 0.03];

/// Rows of normal operation.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// Columns of a row.
    pub channels: usize,
    /// Row by row; NaN for a missing value.
    pub values: &'a [f64],
    /// One time per row, where there are any: then the hour of day is learnt from a week on.
    pub times: Option<&'a [Timestamp]>,
}

/// What a row is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// −log₁₀ of the probability of a row at least as odd in normal operation; what alarms are drawn from.
    pub surprise: f64,
    /// For ranking: large at the first row of an incident, half the surprise elsewhere, with what has lasted long taken off.
    pub score: f64,
    /// The column that is most off.
    pub top: Option<usize>,
}

/// What was chosen, and what to expect.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// Models with their weights.
    pub families: Vec<(&'static str, f64)>,
    /// Columns that are modelled.
    pub live: usize,
    /// Columns with one value in training.
    pub constant: usize,
    /// Columns that are missing in more than half of the rows.
    pub left_out: usize,
    /// Columns whose level the history is too short to know.
    pub slow: usize,
    /// Whether the hour of day is used.
    pub calendar: bool,
    /// Rows of the history.
    pub rows: usize,
    /// Independent samples of the fused surprise that the limits believe in: a third of what its autocorrelation says.
    pub independent: f64,
    /// Rates below this are extrapolated, with limits that widen.
    pub attainable: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} columns modelled, {} constant, {} left out", self.live, self.constant, self.left_out)?;
        if self.slow > 0 {
            write!(f, ", {} without a known level", self.slow)?;
        }
        if self.calendar {
            write!(f, ", hour of day")?;
        }
        let names: Vec<&str> = self.families.iter().map(|(name, _)| *name).collect();
        write!(f, "; models: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })?;
        write!(
            f,
            "; {} rows are worth {:.0} independent ones: rates below {:.2} % are extrapolated",
            self.rows,
            self.independent,
            100.0 * self.attainable
        )
    }
}

#[derive(Clone, Debug)]
enum Model {
    Var(Var, Several),
    Crossed(Crossed, Several),
    Subspace(Subspace, Single),
    Windows(Windows, Single),
    Patches(Patches, Single),
}

#[derive(Clone, Debug)]
enum ModelState {
    Var(VarState, SeveralState),
    Crossed(CrossedState, SeveralState),
    Subspace(SingleState),
    Windows(Looks, SingleState),
    Patches(Looks, SingleState),
}

impl Model {
    fn name(&self) -> &'static str {
        match self {
            Self::Var(..) => "var",
            Self::Crossed(..) => "crossed",
            Self::Subspace(..) => "subspace",
            Self::Windows(..) => "windows",
            Self::Patches(..) => "patches",
        }
    }

    fn state(&self) -> ModelState {
        match self {
            Self::Var(model, chart) => ModelState::Var(model.state(), chart.state()),
            Self::Crossed(model, chart) => ModelState::Crossed(model.state(), chart.state()),
            Self::Subspace(_, chart) => ModelState::Subspace(chart.state()),
            Self::Windows(_, chart) => ModelState::Windows(Looks::default(), chart.state()),
            Self::Patches(_, chart) => ModelState::Patches(Looks::default(), chart.state()),
        }
    }

    /// Surprise of a row, or the last one while there is none; squares of residuals are added to `evidence`.
    fn step(
        &self,
        state: &mut ModelState,
        row: &Rows,
        due: &Due,
        work: &mut [f64],
        evidence: &mut [f64],
    ) -> f64 {
        let m = row.z.len();
        match (self, state) {
            (Self::Var(model, chart), ModelState::Var(lags, state)) => {
                let residuals = &mut work[..m];
                if model.step(lags, row, residuals) {
                    return chart.step(state, residuals, row, evidence);
                }
                state.last
            }
            (Self::Crossed(model, chart), ModelState::Crossed(lags, state)) => {
                let residuals = &mut work[..m];
                if model.step(lags, row, residuals) {
                    return chart.step(state, residuals, row, evidence);
                }
                state.last
            }
            (Self::Subspace(model, chart), ModelState::Subspace(state)) => {
                chart.step(state, Some(model.at(row, work)))
            }
            (Self::Windows(model, chart), ModelState::Windows(looks, state)) => {
                chart.step(state, model.step(looks, due))
            }
            (Self::Patches(model, chart), ModelState::Patches(looks, state)) => {
                chart.step(state, model.step(looks, due))
            }
            _ => 0.0,
        }
    }

    fn sound(&self, scales: &Scales, shaped: usize, longest: usize) -> bool {
        let (m, calendar) = (scales.live.len(), scales.calendar_width());
        match self {
            Self::Var(model, chart) => model.sound(m, calendar) && chart.sound(m),
            Self::Crossed(model, chart) => model.sound(m, calendar) && chart.sound(m),
            Self::Subspace(model, chart) => model.sound(m, calendar) && chart.sound(),
            Self::Windows(model, chart) => model.sound(shaped, longest) && chart.sound(),
            Self::Patches(model, chart) => model.sound(shaped, longest) && chart.sound(),
        }
    }

    fn fits(&self, state: &ModelState) -> bool {
        match (self, state) {
            (Self::Var(model, chart), ModelState::Var(lags, state)) => model.fits(lags) && chart.fits(state),
            (Self::Crossed(model, chart), ModelState::Crossed(lags, state)) => {
                model.fits(lags) && chart.fits(state)
            }
            (Self::Subspace(..), ModelState::Subspace(_))
            | (Self::Windows(..), ModelState::Windows(..))
            | (Self::Patches(..), ModelState::Patches(..)) => true,
            _ => false,
        }
    }
}

macro_rules! archived_kinds {
    ($name:ident { $($tag:literal $kind:ident($($part:ident),+),)* }) => {
        impl Archive for $name {
            fn save(&self, writer: &mut Writer) {
                match self {
                    $(Self::$kind($($part),+) => {
                        ($tag as u8).save(writer);
                        $($part.save(writer);)+
                    })*
                }
            }
            fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(match u8::load(reader)? {
                    $($tag => {
                        $(let $part = Archive::load(reader)?;)+
                        Self::$kind($($part),+)
                    })*
                    _ => return Err(reader.refuse("an unknown model")),
                })
            }
        }
    };
}

archived_kinds! { Model {
    0 Var(model, chart),
    1 Crossed(model, chart),
    2 Subspace(model, chart),
    3 Windows(model, chart),
    4 Patches(model, chart),
} }

archived_kinds! { ModelState {
    0 Var(lags, state),
    1 Crossed(lags, state),
    2 Subspace(state),
    3 Windows(looks, state),
    4 Patches(looks, state),
} }

/// Models and calibrations fitted to normal rows: immutable.
#[derive(Clone, Debug)]
pub struct Suite {
    scales: Scales,
    models: Vec<(f64, Model)>,
    fused: Curve,
    /// Of the mixed surprise that `fused` maps: where limits come from.
    law: Law,
    /// The training rows' surprises out of fold.
    past: Past,
    rows: usize,
}

crate::archived!(Suite { scales, models, fused, law, past, rows });

/// What a suite remembers of one series.
#[derive(Clone, Debug)]
pub struct State {
    rows: Rows,
    recent: Recent,
    models: Vec<ModelState>,
    /// Slow means of the models' surprises.
    background: Vec<f64>,
    novel: [f64; 2],
    news: News,
    evidence: Vec<f64>,
    /// Where products are computed; nothing is remembered here.
    work: Vec<f64>,
}

crate::archived!(State { rows, recent, models, background, novel, news, evidence, work });

impl Suite {
    /// Chooses, fits and calibrates the models.
    ///
    /// # Errors
    /// [`Error::Training`] for a history without columns, with more than [`MOST_CHANNELS`], with fewer than [`FEWEST_ROWS`] rows, with a
    /// last row that is cut, with another number of times than rows, or without any usable column.
    pub fn fit(training: &Training<'_>) -> Result<Self, Error> {
        Self::learn(training).map(|(suite, _)| suite)
    }

    /// The suite, and by row of the history the mixed surprise out of fold.
    pub(crate) fn learn(training: &Training<'_>) -> Result<(Self, Vec<f64>), Error> {
        let Training { channels, values, times } = *training;
        let refuse = |reason, count| Err(Error::Training { reason, count });
        if channels == 0 || channels > MOST_CHANNELS {
            return refuse("there must be 1 to 256 columns", channels);
        }
        let rows = values.len() / channels;
        if !values.len().is_multiple_of(channels) {
            return refuse("the last row is cut", values.len());
        }
        if rows < FEWEST_ROWS {
            return refuse("there must be 60 rows at least", rows);
        }
        if let Some(times) = times.filter(|times| times.len() != rows) {
            return refuse("there must be one time per row", times.len());
        }
        let scales = Scales::fit(values, channels, times);
        if scales.live.is_empty() && scales.constant.is_empty() {
            return refuse("no column has a value in half of the rows", channels);
        }
        let history = History::of(&scales, values, times);
        let m = scales.live.len();
        let mut models = Vec::new();
        let mut surprises: Vec<Vec<f64>> = Vec::new();
        let mut push = |weight: f64, model: Model, surprise: Vec<f64>| {
            models.push((weight, model));
            surprises.push(surprise);
        };
        if m > 0 {
            let (model, residuals) = Var::fit(&history, &scales);
            let (chart, out) = Several::fit(&residuals, m);
            push(WEIGHTS[0], Model::Var(model, chart), out);
        }
        if m > 1 {
            let (model, residuals) = Crossed::fit(&history, &scales);
            let (chart, out) = Several::fit(&residuals, m);
            push(WEIGHTS[1], Model::Crossed(model, chart), out);
            let (model, sample) = Subspace::fit(&history, &scales);
            let (chart, out) = Single::fit(&sample);
            push(WEIGHTS[2] * (1.0 + scales.level_known()), Model::Subspace(model, chart), out);
        }
        if let Some((model, sample)) = Windows::fit(&history, &scales) {
            let (chart, out) = Single::fit(&sample);
            push(WEIGHTS[3], Model::Windows(model, chart), out);
        }
        if let Some((model, sample)) = Patches::fit(&history, &scales) {
            let (chart, out) = Single::fit(&sample);
            push(WEIGHTS[4], Model::Patches(model, chart), out);
        }
        let total: f64 = models.iter().map(|(weight, _)| weight).sum::<f64>().max(1e-9);
        models.iter_mut().for_each(|(weight, _)| *weight /= total);
        let mixed: Vec<f64> = (0..rows)
            .map(|t| models.iter().zip(&surprises).map(|((weight, _), list)| weight * list[t]).sum())
            .collect();
        let fused = Curve::fit(&mixed, true);
        let training: Vec<f64> = mixed.iter().map(|s| fused.at(*s)).collect();
        let law = Law::fit(&mixed);
        Ok((Self { scales, models, fused, law, past: Past::new(&training), rows }, mixed))
    }

    /// The surprise of what the models' weighted surprises make.
    pub(crate) fn surprise(&self, mixed: f64) -> f64 {
        self.fused.at(mixed)
    }

    /// Columns of a row.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.scales.width
    }

    /// The surprise above which this share of normal rows lies, on average over plants like this one. It is less than −log₁₀ of the share:
    /// a surprise is what single models, each widened for few samples, are sure of.
    ///
    /// # Errors
    /// [`Error::Setting`] for a rate that is not between 0 and 1.
    pub fn limit(&self, rate: f64) -> Result<f64, Error> {
        if rate > 0.0 && rate < 1.0 {
            Ok(self.fused.at(self.law.limit(rate)))
        } else {
            Err(Error::Setting { name: "rate", value: rate, must: "between 0 and 1" })
        }
    }

    /// What was chosen, and what to expect.
    #[must_use]
    pub fn report(&self) -> Report {
        let (live, constant) = (self.scales.live.len(), self.scales.constant.len());
        Report {
            families: self.models.iter().map(|(weight, model)| (model.name(), *weight)).collect(),
            live,
            constant,
            left_out: self.scales.width - live - constant,
            slow: self.scales.slow(),
            calendar: self.scales.calendar_width() > 0,
            rows: self.rows,
            independent: self.law.independent,
            attainable: 1.0 / self.law.independent,
        }
    }

    /// The state of a series that begins.
    #[must_use]
    pub fn state(&self) -> State {
        let (channels, longest) = shaped(&self.scales, self.rows);
        State {
            rows: self.scales.rows(),
            recent: Recent::new(channels.len(), longest),
            models: self.models.iter().map(|(_, model)| model.state()).collect(),
            background: vec![0.0; self.models.len()],
            novel: [0.0; 2],
            news: News::new(),
            evidence: vec![0.0; self.scales.live.len()],
            work: vec![0.0; self.scales.live.len() + self.scales.calendar_width()],
        }
    }

    /// The suite as bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        Archive::save(self, &mut writer);
        writer.finish()
    }

    /// Digest of [`Suite::save`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(&self.save()).as_bytes())
    }

    /// A suite from bytes.
    ///
    /// # Errors
    /// [`Error::Snapshot`], [`Error::SnapshotVersion`].
    pub fn restore(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        version(&mut reader)?;
        let suite = Self::load(&mut reader)?;
        reader.end()?;
        let (channels, longest) = shaped(&suite.scales, suite.rows);
        let sound = suite.scales.sound()
            && (1..=MOST_CHANNELS).contains(&suite.scales.width)
            && suite.scales.live.len() + suite.scales.constant.len() <= suite.scales.width
            && suite.fused.sound()
            && suite.law.sound()
            && suite.past.sound()
            && suite.models.iter().all(|(_, model)| model.sound(&suite.scales, channels.len(), longest));
        if sound { Ok(suite) } else { Err(reader.refuse("parts of the suite do not belong together")) }
    }

    /// A state of this suite from bytes.
    ///
    /// # Errors
    /// [`Error::Snapshot`], [`Error::SnapshotVersion`].
    pub fn restore_state(&self, bytes: &[u8]) -> Result<State, Error> {
        let mut reader = Reader::new(bytes);
        version(&mut reader)?;
        let state = State::load(&mut reader)?;
        reader.end()?;
        let (channels, longest) = shaped(&self.scales, self.rows);
        let fits = state.rows.fits(&self.scales)
            && state.models.len() == self.models.len()
            && state.background.len() == self.models.len()
            && state.evidence.len() == self.scales.live.len()
            && state.work.len() == self.scales.live.len() + self.scales.calendar_width()
            && state.recent.sound(channels.len(), longest)
            && state.news.sound()
            && self.models.iter().zip(&state.models).all(|((_, model), state)| model.fits(state));
        if fits { Ok(state) } else { Err(reader.refuse("a state of another suite")) }
    }
}

fn version(reader: &mut Reader<'_>) -> Result<(), Error> {
    let found = u32::load(reader)?;
    if found == VERSION { Ok(()) } else { Err(Error::SnapshotVersion { found, known: VERSION }) }
}

impl State {
    /// Looks at the next row of its suite; a value that is missing (or not finite, or behind the end of `row`) is held.
    pub fn observe(&mut self, suite: &Suite, at: Option<Timestamp>, row: &[f64]) -> Verdict {
        let Self { rows, recent, models, background, novel: novelties, news, evidence, work } = self;
        rows.step(&suite.scales, at, row);
        let due = recent.step(&suite.scales.continuous, &rows.slow);
        evidence.iter_mut().for_each(|value| *value *= 1.0 - EVIDENCE);
        let (mut mixed, mut fresh) = (0.0, 0.0);
        for (((weight, model), state), background) in suite.models.iter().zip(models).zip(background) {
            let surprise = model.step(state, rows, &due, work, evidence);
            mixed += weight * surprise;
            fresh += weight * (surprise - *background).max(0.0);
            *background += BACKGROUND * (surprise.min(BACKGROUND_MOST) - *background);
        }
        let mut novel = suite.scales.novelty(rows.strays).min(NOVEL_MOST);
        let now = novel;
        for (mean, weight) in novelties.iter_mut().zip(NOVEL) {
            *mean += weight * (now - *mean);
            novel = novel.max(*mean);
        }
        // without a model there is nothing to fuse
        let fused = |mixed: f64| if suite.models.is_empty() { 0.0 } else { suite.fused.at(mixed) };
        let surprise = fused(mixed).max(novel);
        let score = news.score(&suite.past, fused(fresh).max(novel));
        let most = (1..evidence.len()).fold(0, |best, j| if evidence[j] > evidence[best] { j } else { best });
        Verdict { surprise, score, top: rows.stray.or(suite.scales.live.get(most).copied()) }
    }

    /// Whether slow drifts of the plant are followed, as they are at first: at most one deviation in a thousand rows, three in all. To be held
    /// while an alarm is looked into, so that what caused it is not learnt.
    pub fn follow(&mut self, drift: bool) {
        self.rows.follow = drift;
    }

    /// Shares of the columns in what is off, by squared residuals over about ten rows; they add up to one, or are all zero.
    pub fn shares<'a>(&'a self, suite: &'a Suite) -> impl Iterator<Item = (usize, f64)> + 'a {
        let sum = self.evidence.iter().sum::<f64>().max(1e-300);
        suite.scales.live.iter().copied().zip(self.evidence.iter().map(move |value| value / sum))
    }

    /// The state as bytes; a restored one continues bit by bit.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        Archive::save(self, &mut writer);
        writer.finish()
    }
}
