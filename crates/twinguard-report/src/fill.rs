//! Short ways to fill a report from the nouns of the flow.

use std::collections::BTreeMap;

use twinguard_types::{
    Action, ActionKind, Catalogue, Command, Decision, Digest, Finding, FindingId, FindingState, Principals,
    Severity, SignalId, Timestamp, Value, Verdict,
};

use crate::data::{
    ActionRow, CommandRow, Consequence, FindingCard, Focus, KeyFigure, Limit, Meta, Outcome, Plot, Quantity,
    RunReport, Sample, Side, SourceRow, Speaker, Tag, TimeAxis, Trace, Window,
};
use crate::number;

/// Most focus windows that are filled by themselves.
const FOCUS: usize = 12;

impl TimeAxis {
    /// A simulated run that counts from its own zero.
    #[must_use]
    pub const fn new(start: Timestamp, span_s: f64) -> Self {
        Self { start, span_s, utc: false }
    }

    /// A run whose start is a date.
    #[must_use]
    pub const fn dated(start: Timestamp, span_s: f64) -> Self {
        Self { start, span_s, utc: true }
    }

    /// Seconds from the start of the run.
    #[must_use]
    pub fn seconds(&self, at: Timestamp) -> f64 {
        at.since(self.start).as_secs_f64()
    }
}

impl Meta {
    /// A real plant of this name, nothing else known.
    #[must_use]
    pub fn new(plant: impl Into<String>) -> Self {
        Self {
            plant: plant.into(),
            source: String::new(),
            simulated: false,
            seed: None,
            inputs: Vec::new(),
            seal: None,
            policy: None,
        }
    }

    /// A simulated run.
    #[must_use]
    pub fn simulated(plant: impl Into<String>, seed: u64) -> Self {
        Self { source: "simulated".into(), simulated: true, seed: Some(seed), ..Self::new(plant) }
    }

    /// Adds the seal of the model: digest and version.
    #[must_use]
    pub fn sealed(mut self, digest: Digest, version: u64) -> Self {
        self.seal = Some((digest, version));
        self
    }
}

impl Window {
    /// A window.
    #[must_use]
    pub fn new(from_s: f64, to_s: f64, label: impl Into<String>) -> Self {
        Self { from_s, to_s, label: label.into() }
    }
}

impl Outcome {
    /// “The asset” stayed `margin` below its limit.
    #[must_use]
    pub fn below(margin: Quantity) -> Self {
        Self { subject: "The asset".into(), margin, side: Side::Above, beyond_s: 0.0 }
    }

    /// “The asset” passed its limit by `excess`.
    #[must_use]
    pub fn beyond(excess: Quantity, beyond_s: f64) -> Self {
        let margin = Quantity { value: -excess.value, ..excess };
        Self { subject: "The asset".into(), margin, side: Side::Above, beyond_s }
    }
}

impl KeyFigure {
    /// A figure without unit.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        let [unit, note] = [String::new(), String::new()];
        Self { label: label.into(), value: value.into(), unit, note, beyond_limit: false }
    }

    /// A quantity.
    #[must_use]
    pub fn quantity(label: impl Into<String>, quantity: &Quantity) -> Self {
        Self { unit: number::unit(&quantity.unit), ..Self::new(label, quantity.number()) }
    }

    /// A duration.
    #[must_use]
    pub fn duration(label: impl Into<String>, seconds: f64) -> Self {
        let text = number::duration(seconds);
        match text.split_once(number::NNBSP) {
            Some((value, unit)) if !unit.contains(number::NNBSP) => {
                Self { unit: unit.into(), ..Self::new(label, value) }
            }
            _ => Self::new(label, text),
        }
    }

    /// Adds the small line below.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Sets it in red when `beyond` its limit.
    #[must_use]
    pub const fn beyond(mut self, beyond: bool) -> Self {
        self.beyond_limit = beyond;
        self
    }
}

impl Sample {
    /// A sample; a value that is not finite counts as missing.
    #[must_use]
    pub fn new(t_s: f64, value: f64) -> Self {
        Self { t_s, value: value.is_finite().then_some(value), sigma: None }
    }

    /// A sample with its standard deviation.
    #[must_use]
    pub fn with_sigma(t_s: f64, value: f64, sigma: f64) -> Self {
        Self { sigma: sigma.is_finite().then_some(sigma), ..Self::new(t_s, value) }
    }

    /// An instant without data.
    #[must_use]
    pub const fn missing(t_s: f64) -> Self {
        Self { t_s, value: None, sigma: None }
    }
}

impl From<(f64, f64)> for Sample {
    fn from((t_s, value): (f64, f64)) -> Self {
        Self::new(t_s, value)
    }
}

impl From<(f64, f64, f64)> for Sample {
    fn from((t_s, value, sigma): (f64, f64, f64)) -> Self {
        Self::with_sigma(t_s, value, sigma)
    }
}

impl Trace {
    /// What a speaker says: `(seconds, value)` or `(seconds, value, sigma)`.
    #[must_use]
    pub fn new<S: Into<Sample>>(speaker: Speaker, samples: impl IntoIterator<Item = S>) -> Self {
        Self { speaker, name: None, samples: samples.into_iter().map(Into::into).collect(), gap_s: None }
    }

    /// Gives it a name of its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Shows a pause longer than this as missing data.
    #[must_use]
    pub const fn gap_after(mut self, seconds: f64) -> Self {
        self.gap_s = Some(seconds);
        self
    }
}

impl Limit {
    /// Values above it are forbidden.
    #[must_use]
    pub fn above(value: f64, reason: impl Into<String>) -> Self {
        Self { value, side: Side::Above, reason: reason.into() }
    }

    /// Values below it are forbidden.
    #[must_use]
    pub fn below(value: f64, reason: impl Into<String>) -> Self {
        Self { side: Side::Below, ..Self::above(value, reason) }
    }

    /// A level to compare with.
    #[must_use]
    pub fn level(value: f64, reason: impl Into<String>) -> Self {
        Self { side: Side::Level, ..Self::above(value, reason) }
    }
}

impl Plot {
    /// An empty plot.
    #[must_use]
    pub fn new(title: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            unit: unit.into(),
            from_zero: false,
            clamp: None,
            resolution: None,
            traces: Vec::new(),
            limits: Vec::new(),
            tags: Vec::new(),
            marks: Vec::new(),
            description: String::new(),
        }
    }

    /// The surprise of one detector or of all, −log₁₀ p, with the alarm level.
    #[must_use]
    pub fn surprise<S: Into<Sample>>(samples: impl IntoIterator<Item = S>, alarm: f64) -> Self {
        let mut plot = Self::new("Surprise", "−log₁₀ p").from_zero();
        (plot.clamp, plot.resolution) = (Some(16.0), Some(0.1));
        plot.limit(Limit::level(alarm, format!("alarm at {}", number::fixed(alarm, 1))))
            .trace(Trace::new(Speaker::Score, samples).named("surprise"))
    }

    /// Starts the axis at zero.
    #[must_use]
    pub const fn from_zero(mut self) -> Self {
        self.from_zero = true;
        self
    }

    /// Sets the smallest step of the measurement.
    #[must_use]
    pub const fn resolution(mut self, resolution: f64) -> Self {
        self.resolution = Some(resolution);
        self
    }

    /// Adds a trace.
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.traces.push(trace);
        self
    }

    /// Adds a limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Adds a note at a point.
    #[must_use]
    pub fn tag(mut self, t_s: f64, value: f64, text: impl Into<String>, speaker: Option<Speaker>) -> Self {
        self.tags.push(Tag { t_s, value, text: text.into(), speaker });
        self
    }

    /// Names an instant, for the focus plots.
    #[must_use]
    pub fn mark(mut self, t_s: f64, text: impl Into<String>) -> Self {
        self.marks.push((t_s, text.into()));
        self
    }

    /// States in a sentence what the plot shows.
    #[must_use]
    pub fn describe(mut self, sentence: impl Into<String>) -> Self {
        self.description = sentence.into();
        self
    }
}

impl SourceRow {
    /// A signal without any source.
    #[must_use]
    pub fn new(signal: impl Into<String>, unit: impl Into<String>) -> Self {
        let (signal, unit) = (signal.into(), unit.into());
        Self { signal, unit, reported: None, vendor: None, model: None, sigma: None, reading: String::new() }
    }

    /// Reported minus model in σ.
    #[must_use]
    pub fn distance(&self) -> Option<f64> {
        let sigma = self.sigma.filter(|sigma| *sigma > 0.0)?;
        Some((self.reported? - self.model?) / sigma).filter(|distance| distance.is_finite())
    }
}

impl Consequence {
    /// What would break: “With the cooling cut, the asset passes 95.0 °C”.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), after_s: None, margin: None }
    }

    /// After which time, with its 90 % interval.
    #[must_use]
    pub const fn after(mut self, middle_s: f64, low_s: f64, high_s: f64) -> Self {
        self.after_s = Some((middle_s, low_s, high_s));
        self
    }

    /// How far the limit was when the finding was raised.
    #[must_use]
    pub fn margin(mut self, margin: Quantity) -> Self {
        self.margin = Some(margin);
        self
    }
}

impl FindingCard {
    /// A finding alone.
    #[must_use]
    pub const fn new(finding: Finding) -> Self {
        Self { finding, consequence: None, leaf: None, symptoms: Vec::new() }
    }

    /// Adds the consequence.
    #[must_use]
    pub fn consequence(mut self, consequence: Consequence) -> Self {
        self.consequence = Some(consequence);
        self
    }

    /// Adds the leaf in the journal.
    #[must_use]
    pub const fn leaf(mut self, leaf: u64) -> Self {
        self.leaf = Some(leaf);
        self
    }
}

fn value_text(value: Value, signal: SignalId, catalogue: &Catalogue) -> String {
    let signal = catalogue.signal(signal);
    let unit = signal.map_or("", |signal| &signal.unit);
    match value {
        Value::Real(real) => {
            let quantity = Quantity::new(real.get(), unit);
            match signal.and_then(|signal| signal.sigma) {
                Some(sigma) => quantity.sigma(sigma).text(),
                None => quantity.text(),
            }
        }
        Value::Integer(integer) => number::with_unit(integer as f64, 0, unit),
        Value::Boolean(on) => if on { "on" } else { "off" }.into(),
        _ => number::ABSENT.into(),
    }
}

impl CommandRow {
    /// A command and its verdict, with names for their ids.
    #[must_use]
    pub fn new(
        command: &Command,
        verdict: &Verdict,
        time: &TimeAxis,
        catalogue: &Catalogue,
        principals: &Principals,
    ) -> Self {
        let clamped_to = match verdict.decision {
            Decision::Clamp(value) => Some(value_text(value, command.signal, catalogue)),
            _ => None,
        };
        let margin = verdict.margin.map(|(signal, margin)| {
            let signal = catalogue.signal(signal);
            let quantity =
                Quantity::new(margin, number::difference_unit(signal.map_or("", |signal| &signal.unit)));
            match signal.and_then(|signal| signal.sigma) {
                Some(sigma) => quantity.sigma(sigma),
                None => quantity,
            }
        });
        Self {
            t_s: time.seconds(verdict.at),
            who: principals.get(command.principal).map_or("?", |principal| &principal.name).into(),
            address: command.from.map(|from| from.to_string()),
            signal: catalogue.path(command.signal).into(),
            value: value_text(command.value, command.signal, catalogue),
            decision: verdict.decision,
            clamped_to,
            ended: None,
            why: verdict.reasons.first().map(|reason| reason.text.clone()).unwrap_or_default(),
            margin,
        }
    }
}

impl ActionRow {
    /// All actions of a run; one that was released ends where its release begins.
    #[must_use]
    pub fn rows(actions: &[Action], time: &TimeAxis, catalogue: &Catalogue) -> Vec<Self> {
        let mut rows: Vec<Self> = actions.iter().map(|action| Self::new(action, time, catalogue)).collect();
        for release in actions {
            let ActionKind::Release { action } = release.kind else { continue };
            let at = time.seconds(release.at);
            for row in rows.iter_mut().filter(|row| row.id == action.0) {
                row.until_s = Some(row.until_s.map_or(at, |until| until.min(at)));
            }
        }
        rows
    }

    /// An action, with names for its ids.
    #[must_use]
    pub fn new(action: &Action, time: &TimeAxis, catalogue: &Catalogue) -> Self {
        let what = match &action.kind {
            ActionKind::IsolatePeer { peer } => format!("Isolate peer `{peer}`"),
            ActionKind::IsolateSignal { signal } => {
                format!("Do not use the measured value of `{}`", catalogue.path(*signal))
            }
            ActionKind::Substitute { signal, value, sigma } => format!(
                "Virtual sensor in place of `{}`, {} ± {} (1 σ)",
                catalogue.path(*signal),
                value_text(*value, *signal, catalogue),
                number::fixed(*sigma, number::decimals(*sigma)),
            ),
            ActionKind::Command(command) => format!(
                "Command `{} := {}` through the gate",
                catalogue.path(command.signal),
                value_text(command.value, command.signal, catalogue),
            ),
            ActionKind::Verify { signal } => {
                format!("Read `{}` again over another path", catalogue.path(*signal))
            }
            ActionKind::Revert { commit: false, .. } => "Load the sealed model beside what runs".into(),
            ActionKind::Revert { commit: true, .. } => "Let the sealed model take over".into(),
            ActionKind::Notify { text } => format!("Tell a person: {text}"),
            ActionKind::Release { action } => format!("End A-{action}"),
            _ => "Other action".into(),
        };
        Self {
            id: action.id.0,
            t_s: time.seconds(action.at),
            until_s: match action.kind {
                ActionKind::Command(_)
                | ActionKind::Notify { .. }
                | ActionKind::Verify { .. }
                | ActionKind::Revert { .. }
                | ActionKind::Release { .. } => None,
                _ => action.expires.map(|expires| time.seconds(expires)),
            },
            what,
            why: action.reason.clone(),
            undo: action.undo.clone(),
            recommended_only: action.recommended_only,
        }
    }
}

impl RunReport {
    /// The findings in the order of the page, each in its last revision: worst first, then first raised, shelved and
    /// closed ones last.
    pub(crate) fn ranked(&self) -> Vec<&FindingCard> {
        let mut last: BTreeMap<FindingId, &FindingCard> = BTreeMap::new();
        for card in &self.findings {
            let held = last.entry(card.finding.id).or_insert(card);
            if card.finding.revision >= held.finding.revision {
                *held = card;
            }
        }
        let mut cards: Vec<&FindingCard> = last.into_values().collect();
        cards.sort_by_key(|card| {
            let aside = matches!(card.finding.state, FindingState::Shelved | FindingState::Closed);
            (aside, core::cmp::Reverse(card.finding.severity), card.finding.raised_at, card.finding.id)
        });
        cards
    }

    /// The gravest finding.
    pub(crate) fn worst(&self) -> Option<(Severity, &FindingCard)> {
        self.ranked().first().map(|card| (card.finding.severity, *card))
    }

    /// Adds a focus window for each finding, worst first, at most twelve: from max(10 s, 20 % of the time to detect)
    /// before the onset to twice the time to containment after it, showing the plots `plots`.
    pub fn focus_on_findings(&mut self, plots: &[usize]) {
        let mut windows: Vec<Focus> = Vec::new();
        for card in self.ranked() {
            let finding = &card.finding;
            let (onset, raised) = (self.time.seconds(finding.onset), self.time.seconds(finding.raised_at));
            let detect = (raised - onset).max(0.0);
            let contained =
                self.actions.iter().map(|action| action.t_s).find(|t| *t >= raised).unwrap_or(raised);
            let before = (detect * 0.2).max(10.0);
            let after = (2.0 * (contained - onset)).max(before);
            let window = Focus {
                title: format!("F-{} from its onset", finding.id),
                lead: format!("Time from the estimated onset, {} into the run.", number::duration(onset)),
                from_s: (onset - before).max(0.0),
                to_s: (onset + after).min(self.time.span_s),
                zero_s: onset,
                plots: plots.to_vec(),
            };
            let seen = |other: &Focus| (other.zero_s - window.zero_s).abs() < before;
            if window.to_s > window.from_s && !windows.iter().any(seen) {
                windows.push(window);
            }
            if windows.len() == FOCUS {
                break;
            }
        }
        self.focus.extend(windows);
    }
}
