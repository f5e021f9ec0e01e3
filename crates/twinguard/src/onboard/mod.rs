//! From what a vendor has (a history, a tag list, a capture, a model of another format) to a plant file and a guard that is judged.
//!
//! ```
//! use twinguard::{onboard::Onboarding, twin::Plant};
//!
//! let mut csv = String::from("time;oil_degC;pump status\n");
//! for minute in 0..2000 {
//!     let (load, on) = (f64::from(minute * 7919 % 101) / 101.0, u8::from(minute % 200 < 50));
//!     csv += &format!("{};{:.3};{on}\n", minute * 60, 60.0 + load);
//! }
//! let mut onboarding = Onboarding::new("cell 7");
//! onboarding.history("before.csv", csv.as_bytes(), &[], |_| {})?;
//! let draft = onboarding.draft()?;
//! assert!(draft.toml.contains("unit = \"degC\"  # guess: its name ends in `degC`"));
//! assert_eq!(Plant::parse(&draft.toml, "plant.toml")?.catalogue.len(), 2);
//! # Ok::<(), twinguard::Error>(())
//! ```
//!
//! Everything that is guessed is marked in the file with what it rests on. Guesses come from the first part of the history; what the later part
//! contradicts is not written. [`Draft::trial`] then lets a guard learn the first part and watch the later one, which is taken as normal:
//! each finding in it is a false alarm, or something that a person should look at.
//!
//! What is not done: which place on the wire carries which column of the history is a person's to say; no physics is made up.

mod found;
mod gap;
mod judge;
mod name;
mod series;
mod signal;
mod trial;
mod write;

use std::io::{BufRead, Read};

use twinguard_protocol::protocol::Width;
use twinguard_protocol::protocols::modbus;
use twinguard_protocol::survey::{Place, Survey};
use twinguard_protocol::{PointMap, Stack, capture, stack};
use twinguard_twin::Plant;
use twinguard_twin::importers::{Imported, Tag, Telemetry, TelemetryOptions};
use twinguard_types::{ByteOrder, Catalogue, Encoding, Role, Signal};

pub use self::{
    found::{Group, Mode},
    gap::Gap,
    judge::Explained,
    name::{Guess, Quantity},
    series::{Profile, Shape},
    signal::SignalDraft,
    trial::Trial,
};
use self::{series::Series, signal::Known};
use crate::Error;

/// Places on the wire that are drafted.
const PLACES: usize = 1 << 16;
/// What is known of a plant, source by source.
#[derive(Debug)]
pub struct Onboarding {
    name: String,
    sources: Vec<String>,
    series: Option<Series>,
    tags: Vec<Tag>,
    models: Vec<Signal>,
    places: Vec<WirePlace>,
}

/// A place on the wire.
#[derive(Clone, Debug)]
struct WirePlace {
    path: String,
    family: String,
    server: String,
    tag: String,
    /// The number under which manuals name a register.
    manual: Option<u32>,
    encoding: Encoding,
    order: ByteOrder,
    written: bool,
    range: Option<(f64, f64)>,
    evidence: String,
}

/// What came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Draft {
    /// The plant's name.
    pub name: String,
    /// The plant file.
    #[serde(skip)]
    pub toml: String,
    /// The plant that the file describes.
    #[serde(skip)]
    pub plant: Plant,
    /// What it was drafted from.
    pub sources: Vec<String>,
    /// Rows of the history, and of those that were passed over because their times could not be read.
    pub rows: (u64, u64),
    /// Seconds between rows; seconds from the first to the last.
    pub sampling_s: Option<f64>,
    /// Length of the history in seconds.
    pub span_s: f64,
    /// The signals.
    pub signals: Vec<SignalDraft>,
    /// Columns of the history that are no signals.
    pub left_out: Vec<String>,
    /// Signals that tell of each other.
    pub groups: Vec<Group>,
    /// Operating modes.
    pub modes: Vec<Mode>,
    /// Share of the later part's rows in a state of the switches that the first part never showed.
    pub unseen_modes: Option<f64>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// What only a person can say.
    pub questions: Vec<String>,
    #[serde(skip)]
    series: Option<Series>,
}

impl Onboarding {
    /// Nothing is known yet but the plant's name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name: String = name.chars().filter(|mark| !mark.is_control()).take(200).collect();
        let name = if name.trim().is_empty() { "plant".to_owned() } else { name };
        Self {
            name,
            sources: Vec::new(),
            series: None,
            tags: Vec::new(),
            models: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Takes a tag list: `source` is its name.
    pub fn tags(&mut self, source: &str, tags: Vec<Tag>) {
        self.sources.push(format!("{} tags of {source}", tags.len()));
        self.tags.extend(tags);
    }

    /// Takes the signals of a model of another format: `source` is its name.
    pub fn model(&mut self, source: &str, model: &Imported) {
        self.sources.push(format!("{} signals of {source} ({})", model.catalogue.len(), model.format));
        self.models.extend(model.catalogue.iter().map(|(_, signal)| signal.clone()));
    }

    /// Takes a capture: every place that is read or written in it. `progress` hears the bytes that were read.
    ///
    /// # Errors
    /// [`Error::Protocol`] where the capture is malformed.
    pub fn capture<R: BufRead>(
        &mut self,
        source: &str,
        mut reader: capture::Reader<R>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), Error> {
        let (mut stack, mut map) = (Stack::new(stack::Config::default()), PointMap::discover(PLACES));
        let (mut survey, mut events) = (Survey::default(), Vec::new());
        while let Some(frame) = reader.next_frame()? {
            stack.handle(&frame);
            while let Some(item) = stack.poll() {
                map.bind(&item, &mut events);
                events.drain(..).for_each(|event| survey.take(&event));
            }
            progress(reader.offset());
        }
        self.places(source, &survey.places(&map));
        Ok(())
    }

    /// Takes places on the wire that a survey found: `source` is its capture's name.
    pub fn places(&mut self, source: &str, places: &[Place<'_>]) {
        self.sources.push(format!("{} places on the wire of {source}", places.len()));
        self.places.extend(places.iter().map(WirePlace::of));
    }

    /// Takes a history as CSV or Parquet, whatever a stranger wrote; columns named in `ignore` are no signals. `progress` hears the number of
    /// rows. A second history takes the place of the first.
    ///
    /// # Errors
    /// [`Error::Telemetry`] where it is no table, or has no signal and no row.
    pub fn history<R: Read>(
        &mut self,
        source: &str,
        input: R,
        ignore: &[String],
        progress: impl FnMut(u64),
    ) -> Result<(), Error> {
        let options =
            TelemetryOptions { ignore: ignore.to_vec(), lenient: true, ..TelemetryOptions::default() };
        let mut telemetry = Telemetry::open(input, options)?;
        let series = Series::read(&mut telemetry, progress)?;
        if series.rows == 0 {
            return Err(Error::Onboard { reason: format!("{source}: no row of values") });
        }
        self.sources.push(format!("{} rows of {} columns of {source}", series.rows, series.columns.len()));
        self.series = Some(series);
        Ok(())
    }

    /// Guesses, and writes the plant file.
    ///
    /// # Errors
    /// [`Error::Onboard`] when no source has a signal.
    pub fn draft(self) -> Result<Draft, Error> {
        let Self { name, sources, series, tags, models, places } = self;
        let mut known = Known::new(&tags, &models);
        let mut signals = Vec::new();
        let mut left_out = Vec::new();
        let (mut groups, mut modes, mut unseen_modes) = (Vec::new(), Vec::new(), None);
        if let Some(series) = &series {
            let rows = series.times.len();
            let first = (rows as f64 * judge::CALIBRATE) as usize;
            let first = if first < 100 { rows } else { first };
            let part = |values: &Vec<f64>| Profile::of(values.get(..first).unwrap_or_default());
            let profiles: Vec<Profile> = series.columns.iter().map(part).collect();
            let explained = judge::explained(series, &profiles)?;
            groups = found::groups(series, &profiles, first);
            let switches = found::switches(&profiles);
            let states = found::states(series, &switches, 0..first);
            modes = found::modes(series, &switches, &states);
            if !switches.is_empty() && first < rows {
                let later = found::states(series, &switches, first..rows);
                let new: u64 =
                    later.iter().filter(|(state, _)| !states.contains_key(*state)).map(|(_, n)| n).sum();
                unseen_modes = Some(new as f64 / later.values().sum::<u64>().max(1) as f64);
            }
            for (column, path) in series.names.iter().enumerate() {
                let Some(profile) = profiles.get(column).cloned() else { continue };
                let later =
                    series.columns.get(column).and_then(|values| values.get(first..)).unwrap_or_default();
                let later = Profile::of(later);
                if profile.shape == Shape::Silent && later.shape == Shape::Silent {
                    left_out.push(path.clone());
                    continue;
                }
                let mut signal = SignalDraft::guess(path, known.take(path), Some(&profile));
                signal.check(&later);
                signal.explained = explained.get(column).copied().flatten();
                signal.daily =
                    found::daily(series, column, first).filter(|_| profile.shape == Shape::Continuous);
                signal.profile = Some(profile);
                signals.push(signal);
            }
        }
        let with_history = signals.len();
        for (path, given) in known.rest() {
            signals.push(SignalDraft::guess(&path, given, None));
        }
        for place in &places {
            if signals.iter().all(|signal| signal.path != place.path) {
                signals.push(place.signal());
            }
        }
        if signals.is_empty() {
            return Err(Error::Onboard { reason: "no source names a signal that has a value".to_owned() });
        }
        let mut draft = Draft {
            name,
            toml: String::new(),
            plant: Plant::from_signals("", Catalogue::new()),
            sources,
            rows: series.as_ref().map_or((0, 0), |series| (series.rows, series.skipped)),
            sampling_s: series
                .as_ref()
                .filter(|series| series.has_times && series.period.as_nanos() > 0)
                .map(|series| series.period.as_secs_f64()),
            span_s: series.as_ref().map_or(0.0, |series| series.span().as_secs_f64()),
            signals,
            left_out,
            groups,
            modes,
            unseen_modes,
            gaps: Vec::new(),
            questions: Vec::new(),
            series,
        };
        draft.name_gaps(with_history, !places.is_empty());
        draft.toml = write::toml(&draft, &places);
        draft.plant = Plant::parse(&draft.toml, "plant.toml")?;
        Ok(draft)
    }
}

impl WirePlace {
    fn of(place: &Place<'_>) -> Self {
        Self {
            path: place.path.to_owned(),
            family: place.family.to_string(),
            server: place.server.to_owned(),
            tag: place.tag.to_owned(),
            manual: manual(place),
            encoding: place.encoding,
            order: place.order,
            written: place.writes > 0,
            range: place.least.is_finite().then_some((place.least, place.most)),
            evidence: format!(
                "read {} times, written {} times{}{}",
                place.reads,
                place.writes,
                place.per_second.map(|rate| format!(", {rate:.3} a second")).unwrap_or_default(),
                if place.evidence.is_empty() { String::new() } else { format!("; {}", place.evidence) }
            ),
        }
    }

    fn signal(&self) -> SignalDraft {
        let mut signal = SignalDraft::guess(&self.path, None, None);
        let role = if self.written { Role::Setpoint } else { Role::Measurement };
        signal.role = Guess::new(role, self.evidence.clone());
        if let Some((least, most)) = self.range {
            signal.description = format!("seen {least} to {most}");
        }
        signal
    }
}

/// Modbus manuals number registers and coils from one, table by table.
fn manual(place: &Place<'_>) -> Option<u32> {
    let tag = place.family.parse_tag(place.tag).filter(|_| place.family.label().as_str() == "modbus")?;
    if place.family.cell(&tag).width == Width::Scalar {
        return None;
    }
    let place = modbus::Place::of(&tag)?;
    Some(place.table.manual(place.address?))
}
