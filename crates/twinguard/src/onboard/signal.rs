//! A signal of a draft: what was given of it, what is guessed, and what that rests on.
//!
//! Source: a band holds what was seen and a share more, since the range of a sample is narrower than that of what it came from (Wilks, Annals of
//! Mathematical Statistics 12, 1941); how much more is a choice, and what a later part contradicts is taken back.

use std::collections::BTreeMap;

use twinguard_twin::importers::Tag;
use twinguard_types::{Range, Role, Signal};

use super::judge::Explained;
use super::name::{self, Guess, Quantity};
use super::series::{Profile, Shape};

/// A signal of a draft: what is given, what is guessed, and why.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SignalDraft {
    /// Its path: the column of the history, where there is one.
    pub path: String,
    /// What it is, in the tag list's words.
    pub description: String,
    /// What is measured.
    pub quantity: Option<Guess<Quantity>>,
    /// Its unit; the evidence says where it was given.
    pub unit: Option<Guess<String>>,
    /// What it is for.
    pub role: Guess<Role>,
    /// The values that it can take.
    pub range: Option<Guess<(f64, f64)>>,
    /// The band of usual operation.
    pub operating: Option<Guess<(f64, f64)>>,
    /// Standard deviation of its measurement noise.
    pub sigma: Option<Guess<f64>>,
    /// What it did in the history.
    pub profile: Option<Profile>,
    /// How well the other signals tell it.
    pub explained: Option<Explained>,
    /// Share of its variance that the hour of the day explains.
    pub daily: Option<f64>,
}

/// What a tag list or a model gives of a signal.
#[derive(Clone, Debug)]
pub(super) struct Given {
    source: &'static str,
    signal: Signal,
    role_known: bool,
    description: String,
}

/// Everything that was given, until it finds its column.
pub(super) struct Known {
    /// In order of the sources.
    paths: Vec<String>,
    by_path: BTreeMap<String, Given>,
}

impl Known {
    pub(super) fn new(tags: &[Tag], models: &[Signal]) -> Self {
        let mut known = Self { paths: Vec::new(), by_path: BTreeMap::new() };
        for tag in tags {
            known.add(Given {
                source: "the tag list",
                signal: tag.signal.clone(),
                role_known: tag.role_known,
                description: tag.description.clone(),
            });
        }
        for signal in models {
            let role_known = signal.role != Role::Measurement;
            let (signal, description) = (signal.clone(), String::new());
            known.add(Given { source: "the model", signal, role_known, description });
        }
        known
    }

    fn add(&mut self, given: Given) {
        let path = given.signal.path.to_string();
        if !self.by_path.contains_key(&path) {
            self.paths.push(path.clone());
            self.by_path.insert(path, given);
        }
    }

    /// What is given of a column: the same path, the same but for capitals, or the same last part, where only one has it.
    pub(super) fn take(&mut self, column: &str) -> Option<Given> {
        if let Some(given) = self.by_path.remove(column) {
            return Some(given);
        }
        let only = |fits: &dyn Fn(&str) -> bool| {
            let mut fitting = self.by_path.keys().filter(|path| fits(path));
            fitting.next().filter(|_| fitting.next().is_none()).cloned()
        };
        let last = |path: &str| path.rsplit(['/', '.', ':']).next().unwrap_or_default().to_lowercase();
        let found = only(&|path| path.eq_ignore_ascii_case(column))
            .or_else(|| only(&|path| last(path) == last(column)));
        self.by_path.remove(&found?)
    }

    pub(super) fn rest(mut self) -> Vec<(String, Option<Given>)> {
        let paths = core::mem::take(&mut self.paths);
        paths
            .into_iter()
            .filter_map(|path| self.by_path.remove(&path).map(|given| (path, Some(given))))
            .collect()
    }
}

impl SignalDraft {
    pub(super) fn guess(path: &str, given: Option<Given>, profile: Option<&Profile>) -> Self {
        let description = given.as_ref().map(|given| given.description.clone()).unwrap_or_default();
        let quantity = name::quantity(path, &description);
        let from = |source: &str| format!("given by {source}");
        let unit = match given.as_ref().filter(|given| !given.signal.unit.is_empty()) {
            Some(given) => Some(Guess::new(given.signal.unit.to_string(), from(given.source))),
            None => {
                let analogue = profile.filter(|profile| profile.shape == Shape::Continuous);
                name::unit(path, quantity.as_ref(), analogue.map(|profile| (profile.least, profile.most)))
            }
        };
        let role = match given.as_ref().filter(|given| given.role_known) {
            Some(given) => Guess::new(given.signal.role, from(given.source)),
            None => name::role(path, &description)
                .unwrap_or_else(|| Guess::new(Role::Measurement, "nothing says otherwise")),
        };
        let given_range = given.as_ref().and_then(|given| Some((given.source, given.signal.range?)));
        let given_sigma = given.as_ref().and_then(|given| Some((given.source, given.signal.sigma?)));
        let analogue =
            profile.filter(|profile| profile.shape == Shape::Continuous && profile.deviation > 0.0);
        let range = match given_range {
            Some((source, range)) => Some(Guess::new((range.min(), range.max()), from(source))),
            None => analogue.and_then(guessed_range),
        };
        let operating = analogue.and_then(|profile| {
            let (low, high) = profile.usual;
            let room = (high - low).max(profile.deviation) * 0.25;
            let why = format!(
                "a thousandth of the values lay below {low:.6}, and above {high:.6}; a quarter more each side"
            );
            band(low - room, high + room).map(|band| Guess::new(band, why))
        });
        let sigma = match given_sigma {
            Some((source, sigma)) => Some(Guess::new(sigma, from(source))),
            None => profile
                .filter(|profile| profile.noise > 0.0)
                .map(|profile| Guess::new(profile.noise, "the median of second differences from row to row")),
        };
        Self {
            path: path.to_owned(),
            description,
            quantity,
            unit,
            role,
            range,
            operating,
            sigma,
            profile: None,
            explained: None,
            daily: None,
        }
    }

    /// Takes back what the later part of the history contradicts.
    pub(super) fn check(&mut self, later: &Profile) {
        if later.usable == 0 {
            return;
        }
        let outside = |band: (f64, f64), low: f64, high: f64| low < band.0 || high > band.1;
        let given = |guess: &Guess<(f64, f64)>| guess.evidence.starts_with("given");
        if self
            .range
            .as_ref()
            .is_some_and(|range| !given(range) && outside(range.value, later.least, later.most))
        {
            self.range = None;
        }
        if self.operating.as_ref().is_some_and(|band| outside(band.value, later.usual.0, later.usual.1)) {
            self.operating = None;
        }
    }
}

/// As far again as the values spread, on both sides; what was never below zero does not get there.
fn guessed_range(profile: &Profile) -> Option<Guess<(f64, f64)>> {
    let span = profile.most - profile.least;
    let low =
        if profile.least >= 0.0 { (profile.least - span).max(-span * 0.05) } else { profile.least - span };
    let why = format!("seen from {:.6} to {:.6}; as far again each side", profile.least, profile.most);
    band(low, profile.most + span).map(|band| Guess::new(band, why))
}

/// A range of numbers with few digits, wide enough to hold these.
fn band(low: f64, high: f64) -> Option<(f64, f64)> {
    let unit = 10_f64.powf((high - low).abs().log10().floor() - 2.0);
    let band = ((low / unit).floor() * unit, (high / unit).ceil() * unit);
    let digits = |value: f64| format!("{value:.12e}").parse::<f64>().ok().filter(|value| value.is_finite());
    let band = (digits(band.0)?, digits(band.1)?);
    Range::new(band.0, band.1).is_ok().then_some(band)
}
