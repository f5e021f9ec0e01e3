//! From events to findings: twin, rows, detectors, judge; and before that, the recording of what is normal.

mod instrument;
mod reload;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use twinguard_anomaly::detectors::Federated;
use twinguard_anomaly::{
    Aligner, Asked, Bank, Coverage, Detector as _, Judge, JudgeConfig, Recording, registry,
};
use twinguard_gate::Confidence;
use twinguard_twin::{
    LeftOut, Plant, Twin,
    plant::{Dynamics, LimitKind},
};
use twinguard_types::{
    Catalogue, Command, Duration, Event, Finding, FindingId, Intent, Point, Residual, Role, Severity,
    SignalId, Source, Symptom, Timestamp, View,
};

use crate::{Check, Config, Error};

use instrument::Instrument;

pub(crate) use snapshot::{SensesBytes, SensesState};

/// Signals that are compared with each other in rows; more would cost more than they tell.
const ROW_SIGNALS: usize = 256;
/// Steps of the twin after a start that are not scored: it has to find the plant first, and to hear each command once.
pub(crate) const SETTLE: u32 = 120;
/// And steps after a signal is believed again.
const AGAIN: u32 = 30;
/// How often a running incident is looked at by physics: explanations and margins.
const LOOK: Duration = Duration::from_secs(10);
/// A signal that has not come for this many sampling periods is stale.
const STALE_PERIODS: i64 = 10;
/// Longest silence, in sampling periods, in which the judge looks at each.
const CATCH_UP: i64 = 600;
/// An incident is over after this many quiet sampling periods, and not before five minutes.
const QUIET_PERIODS: i64 = 12;
const QUIET: Duration = Duration::from_secs(300);
/// Standard deviations between a spot check and the wire that make them differ.
const CHECK_SIGMAS: f64 = 5.0;

/// The sensing half of a guard.
pub(crate) struct Senses {
    twin: Option<Twin>,
    aligner: Option<Aligner>,
    phase: Phase,
    field: BTreeMap<SignalId, f64>,
    sigma: BTreeMap<SignalId, f64>,
    horizon: Duration,
    /// Per limit of the plant, whether it must never be crossed.
    binding: Vec<bool>,
    looked: Option<Timestamp>,
    /// The instant at which the judge looks next: a grid of one sampling period, halfway between rows that are on time.
    look: Option<Timestamp>,
    /// Steps of the twin since it started, and how often it started anew.
    settled: (u32, u64),
    /// Steps without any measurement up to now, and how many of them leave the twin a stranger to its plant.
    silent: u32,
    patience: u32,
    /// Instruments that were replaced, with what they are off by.
    instruments: BTreeMap<SignalId, Instrument>,
    /// How well the twin follows the plant, and the model that it runs.
    confidence: Confidence,
    dynamics: Option<Dynamics>,
    loudness: Loudness,
    report: DetectionReport,
}

#[allow(clippy::large_enum_variant, reason = "a guard has one, for all its life")]
enum Phase {
    Learning { recording: Recording, left_out: LeftOut, first: Option<Timestamp>, span: Option<Duration> },
    Watching { bank: Bank, judge: Judge },
}

/// How the detectors of a guard stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DetectionReport {
    /// Detectors that have something to go on.
    pub detectors: u32,
    /// Least of their highest surprises, −log₁₀ p.
    pub quietest: Option<f64>,
    /// Highest surprise, on the scale of the alarm line.
    pub loudest: Option<f64>,
    /// The common alarm line: the highest threshold of a detector.
    pub alarm: f64,
    /// False alarms per day that were asked for.
    pub asked_per_day: f64,
    /// Upper bound that the thresholds allow.
    pub expected_per_day: f64,
    /// Days of normal history behind the thresholds.
    pub history_days: f64,
}

/// The loudest detector of each second, scaled so that every detector's own threshold falls on one line.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Loudness {
    since: Timestamp,
    current: f64,
    last: f64,
    most: Vec<f64>,
    thresholds: Vec<f64>,
}

impl core::fmt::Debug for Senses {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Senses")
            .field("learning", &self.is_learning())
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Senses {
    /// Learning for a span, or until told; without a span nothing is recorded that will not be fitted at once.
    pub(crate) fn new(plant: &Plant, config: &Config, span: Option<Duration>) -> Result<Self, Error> {
        let twin = plant.dynamics.as_ref().map(|_| Twin::new(plant)).transpose()?;
        let horizon = plant.limits.iter().map(|limit| limit.horizon).max().unwrap_or(Duration::ZERO);
        let sigma =
            plant.catalogue.iter().filter_map(|(id, signal)| signal.sigma.map(|sigma| (id, sigma))).collect();
        Ok(Self {
            twin,
            aligner: None,
            phase: Phase::Learning {
                recording: Recording::with_limit(config.history),
                left_out: LeftOut::default(),
                first: None,
                span,
            },
            field: BTreeMap::new(),
            sigma,
            horizon,
            binding: plant.limits.iter().map(|limit| limit.kind == LimitKind::NeverExceed).collect(),
            looked: None,
            look: None,
            settled: (0, 0),
            silent: 0,
            patience: patience(plant, config),
            instruments: BTreeMap::new(),
            confidence: Confidence::default(),
            dynamics: plant.dynamics.clone(),
            loudness: Loudness::default(),
            report: DetectionReport::default(),
        })
    }

    pub(crate) fn twin(&self) -> Option<&Twin> {
        self.twin.as_ref()
    }

    /// How far the twin is to be relied on, as far as it shows in itself.
    pub(crate) const fn confidence(&self) -> &Confidence {
        &self.confidence
    }

    pub(crate) fn is_learning(&self) -> bool {
        matches!(self.phase, Phase::Learning { .. })
    }

    pub(crate) fn report(&self) -> DetectionReport {
        let Phase::Watching { bank, .. } = &self.phase else { return self.report };
        let speaking = bank
            .table()
            .iter()
            .zip(&self.loudness.most)
            .filter(|(entry, _)| !matches!(entry.coverage, Coverage::Silent(_)));
        let most = speaking.map(|(_, most)| *most);
        DetectionReport {
            quietest: most.clone().reduce(f64::min),
            loudest: most.reduce(f64::max),
            ..self.report
        }
    }

    pub(crate) fn surprise(&self) -> (f64, f64) {
        (self.loudness.last.max(self.loudness.current), self.report.alarm)
    }

    /// Whether the span that was to be learnt from has passed.
    pub(crate) fn learnt_enough(&mut self, now: Timestamp) -> bool {
        let Phase::Learning { first, span: Some(span), .. } = &mut self.phase else { return false };
        let first = *first.get_or_insert(now);
        *span < Duration::MAX && now.since(first) >= *span
    }

    /// Fits the detectors. `fresh`: what follows is another stretch of time, so the twin starts anew.
    pub(crate) fn finish_learning(
        &mut self,
        plant: &Plant,
        config: &Config,
        catalogue: &Catalogue,
        federated: Option<&Federated>,
        fresh: bool,
    ) -> Result<(), Error> {
        let Phase::Learning { recording, left_out, .. } = &mut self.phase else { return Ok(()) };
        let (recording, left_out) = (core::mem::take(recording), core::mem::take(left_out));
        let errors = self.twin.as_ref().map(|twin| left_out.finish(twin)).unwrap_or_default();
        let period = sampling(plant, &recording);
        let stale = config
            .stale
            .or(plant.time.stale)
            .unwrap_or(Duration::from_nanos(period.as_nanos().saturating_mul(STALE_PERIODS)));
        let signals = row_signals(catalogue, plant.dynamics.is_some(), &recording);
        let aligner = || Aligner::new(signals.clone(), period, stale);
        let with_rows = rows_among(&recording, aligner()?, config.history);

        let rate = config.false_alarms_per_day.unwrap_or(plant.detection.false_alarms_per_day);
        let names = if config.detectors.is_empty() { &plant.detection.detectors } else { &config.detectors };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut detectors = if names.is_empty() { registry::all() } else { registry::named(&names)? };
        if names.is_empty() && plant.dynamics.is_some() {
            // What physics says of the signals' redundancy holds outside the learnt range as well; a regression does not.
            detectors.retain(|detector| detector.symptom() != Symptom::Redundancy);
        }
        if let Some(federated) = federated {
            // Whoever gives a model wants it asked, whatever the list of names says.
            detectors.retain(|detector| detector.name() != federated.name());
            detectors.push(Box::new(federated.clone()));
        }
        let asked = Asked { false_alarms_per_day: rate, seed: config.seed, ..Asked::default() };
        let bank = Bank::fit(detectors, &with_rows.history(), catalogue, &asked)?;
        let mut judge = Judge::new(judge_config(period), &bank, catalogue);
        judge.set_parameters(parameter_names(plant));

        let speaking = || bank.table().iter().filter(|entry| !matches!(entry.coverage, Coverage::Silent(_)));
        self.report = DetectionReport {
            detectors: speaking().count() as u32,
            quietest: None,
            loudest: None,
            alarm: speaking().map(|entry| entry.threshold).fold(0.0, f64::max),
            asked_per_day: rate,
            expected_per_day: bank.calibration().expected,
            history_days: bank.calibration().history_days,
        };
        self.loudness = Loudness {
            most: vec![0.0; bank.table().len()],
            thresholds: bank.table().iter().map(|entry| entry.threshold.max(1e-9)).collect(),
            ..Loudness::default()
        };
        self.phase = Phase::Watching { bank, judge };
        self.aligner = Some(aligner()?);
        self.look = None;
        if fresh {
            self.twin = plant.dynamics.as_ref().map(|_| Twin::new(plant)).transpose()?;
            self.field.clear();
            self.settled = (0, 0);
            self.confidence.reset();
        }
        if let Some(twin) = &mut self.twin {
            twin.set_model_errors(&errors);
        }
        Ok(())
    }

    /// Starts the judge's clock, and lets it jump over what need not be looked at: the time in which nothing was under
    /// way, and, as rows do, most of a long silence.
    pub(crate) fn set_clock(&mut self, now: Timestamp) {
        let Some(period) = self.aligner.as_ref().map(Aligner::period) else { return };
        let half = Duration::from_nanos(period.as_nanos() / 2);
        let look = *self.look.get_or_insert(now + half);
        let behind = now.since(look).as_nanos().div_euclid(period.as_nanos());
        let jump = match self.next_look() {
            None => behind + 1,
            Some(_) if behind > CATCH_UP => behind - 1,
            Some(_) => 0,
        };
        if jump > 0 {
            self.look = Some(look + Duration::from_nanos(jump.saturating_mul(period.as_nanos())));
        }
    }

    /// When the judge looks next; `None` while nothing that could tell it anything is under way.
    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        let Phase::Watching { judge, .. } = &self.phase else { return None };
        let runs = self.aligner.as_ref().is_some_and(Aligner::is_running)
            || self.twin.as_ref().is_some_and(|twin| twin.clock().is_some());
        self.look.filter(|_| runs || judge.is_open())
    }

    /// An instant is over: everything up to it is known, and silence is heard.
    pub(crate) fn look(&mut self, at: Timestamp) {
        self.advance(at);
        self.sense(&Event::Tick(at));
        self.look = self.aligner.as_ref().map(|aligner| at + aligner.period());
    }

    /// What is due before `now`: rows, and steps of the twin.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if let Some(twin) = &mut self.twin {
            let restarts = twin.counts().restarts;
            if restarts != self.settled.1 {
                self.settled = (0, restarts);
                self.confidence.reset();
            }
            while let Some(residual) = twin.advance(now) {
                let measured = residual.dof > 0;
                if !measured {
                    self.silent = self.silent.saturating_add(1);
                } else if core::mem::take(&mut self.silent) > self.patience {
                    // Commands were missed, too: it has to find the plant again.
                    twin.restart();
                    self.settled = (0, twin.counts().restarts);
                    self.confidence.reset();
                    break;
                }
                self.settled.0 = self.settled.0.saturating_add(1);
                if self.settled.0 > SETTLE {
                    self.confidence.observe(&residual);
                    self.phase.sense(&Event::Residual(residual), &mut self.loudness, self.report.alarm);
                    if let Some(dynamics) = &self.dynamics {
                        self.confidence.follow(dynamics, twin);
                    }
                } else {
                    self.phase.unsettled(&residual, &mut self.loudness, self.report.alarm);
                }
                for (signal, instrument) in self.instruments.iter_mut().filter(|_| measured) {
                    let field = self.field.get(signal).copied();
                    let sigma = self.sigma.get(signal).copied().unwrap_or(0.0);
                    if instrument.compare(*signal, field, sigma, twin) {
                        self.settled.0 = self.settled.0.min(SETTLE - AGAIN);
                    }
                }
            }
            if let Phase::Learning { left_out, .. } = &mut self.phase {
                left_out.look(twin);
            }
        }
        if let Some(aligner) = &mut self.aligner {
            while let Some(row) = aligner.poll(now) {
                self.phase.sense(&Event::Row(row), &mut self.loudness, self.report.alarm);
            }
        }
    }

    /// The guard acted on the plant or on its traffic.
    pub(crate) fn acted(&mut self, at: Timestamp) {
        if let Phase::Watching { judge, .. } = &mut self.phase {
            judge.acted(at);
        }
    }

    /// A view that shows without an event of its own.
    pub(crate) fn see(&mut self, view: View, at: Timestamp) {
        if let Phase::Watching { judge, .. } = &mut self.phase {
            judge.see(view, at);
        }
    }

    pub(crate) fn sense(&mut self, event: &Event<'_>) {
        self.phase.sense(event, &mut self.loudness, self.report.alarm);
    }

    pub(crate) fn field(&self, signal: SignalId) -> Option<f64> {
        self.field.get(&signal).copied()
    }

    pub(crate) fn point(&mut self, point: &Point) {
        if point.source == Source::Field {
            if let Some(twin) = &mut self.twin {
                match self.instruments.get(&point.signal) {
                    Some(instrument) => twin.observe(&instrument.corrected(point)),
                    None => twin.observe(point),
                }
            }
            if let Some(aligner) = &mut self.aligner {
                aligner.push(point);
            }
            if point.quality.is_usable() {
                self.field.insert(point.signal, point.value.as_f64());
            }
        }
        self.sense(&Event::Point(*point));
    }

    /// A command on the wire; one that `reaches` the plant will be done, so the twin does it. What is `ours` is no news.
    pub(crate) fn command(&mut self, command: &Command, reaches: bool, ours: bool) {
        if let Some(twin) = self.twin.as_mut().filter(|_| reaches) {
            twin.command(command);
        }
        if !ours {
            self.sense(&Event::Command(*command));
        }
    }

    /// A command of ours, or one that the gate changed: when it shows up on the wire, somebody did say it was sent.
    pub(crate) fn own_command(&mut self, intent: &Intent) {
        self.sense(&Event::Intent(*intent));
    }

    /// A second reading: whether the sensor itself says what the wire says, where the wire says anything.
    pub(crate) fn agrees(&self, check: &Check) -> Option<bool> {
        let sigma = self.sigma.get(&check.signal).copied().unwrap_or(0.0);
        let field = self.field.get(&check.signal)?;
        let tolerance = (CHECK_SIGMAS * sigma.hypot(check.sigma)).max(1e-9 * field.abs());
        Some((field - check.value).abs() <= tolerance)
    }

    /// Whether all that was read again of what is accused agreed.
    pub(crate) fn settle(&mut self, agrees: bool) {
        if let Phase::Watching { judge, .. } = &mut self.phase {
            judge.check(agrees);
        }
    }

    /// Believes these signals no longer, from before `onset` on.
    pub(crate) fn distrust(&mut self, signals: &[SignalId], onset: Timestamp) {
        if let Some(twin) = &mut self.twin {
            // What is left out is explained no more: what its last readings say of it is said now.
            if let (Phase::Watching { judge, .. }, Some(at)) = (&mut self.phase, twin.clock()) {
                explain(twin, judge, at);
            }
            signals.iter().for_each(|signal| twin.exclude(*signal, true));
            twin.rollback_to(onset);
            self.confidence.reset();
        }
    }

    /// What was seen of a signal so far says nothing of what comes.
    pub(crate) fn forget(&mut self, signal: SignalId) {
        self.field.remove(&signal);
        if let Phase::Watching { bank, judge } = &mut self.phase {
            bank.forget(signal);
            judge.forget(signal);
        }
        if let (Some(twin), Some(dynamics)) = (&mut self.twin, &self.dynamics)
            && dynamics.outputs.contains(&Some(signal))
        {
            twin.exclude(signal, true);
            self.settled.0 = self.settled.0.min(SETTLE - AGAIN);
            self.instruments.insert(signal, Instrument::default());
        }
    }

    /// How often rows come, once that is learnt.
    pub(crate) fn period(&self) -> Option<Duration> {
        self.aligner.as_ref().map(Aligner::period)
    }

    /// Nobody listened for a while, and knows it: neither the silence nor what came meanwhile is news.
    pub(crate) fn missed(&mut self) {
        if let Phase::Watching { bank, .. } = &mut self.phase {
            bank.missed();
        }
        // Commands may have passed that it did not see.
        self.settled.0 = self.settled.0.min(SETTLE - AGAIN);
    }

    pub(crate) fn trust(&mut self, signal: SignalId) {
        if let Some(twin) = &mut self.twin {
            twin.exclude(signal, false);
            // Left to itself it has drifted: it has to find the plant again before it is scored.
            self.settled.0 = self.settled.0.min(SETTLE - AGAIN);
            self.confidence.reset();
        }
        // What was added up of the lie says nothing of what comes.
        if let Phase::Watching { bank, .. } = &mut self.phase {
            bank.forget(signal);
        }
    }

    /// The next finding or revision. While an incident runs, physics is asked what would explain it, and how soon a limit is
    /// reached: at every step of the twin while the incident is young, now and then later on.
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Finding> {
        let (Phase::Watching { judge, .. }, twin) = (&mut self.phase, &mut self.twin) else { return None };
        if let Some(twin) = twin.as_mut().filter(|_| judge.is_open()) {
            let young = judge.began().is_some_and(|began| now.since(began) < LOOK);
            let every = if young { twin.step().min(LOOK) } else { LOOK };
            if self.looked.is_none_or(|at| now.since(at) >= every) {
                self.looked = Some(now);
                explain(twin, judge, now);
                judge.set_margin(time_to_limit(twin, self.horizon, &self.binding));
            }
        }
        judge.poll(now)
    }

    /// An operator has closed a finding: the judge forgets its incident.
    pub(crate) fn close(&mut self, finding: FindingId) {
        if let Phase::Watching { judge, .. } = &mut self.phase {
            judge.close(finding);
        }
    }

    /// Critical when a never-exceed limit can be reached within its horizon.
    pub(crate) fn severity(&self) -> Option<Severity> {
        let twin = self.twin.as_ref()?;
        time_to_limit(twin, self.horizon, &self.binding).map(|_| Severity::Critical)
    }
}

impl Phase {
    fn sense(&mut self, event: &Event<'_>, loudness: &mut Loudness, alarm: f64) {
        match self {
            Self::Learning { recording, span, .. } => {
                if span.is_some() {
                    recording.push(event);
                }
            }
            Self::Watching { bank, judge } => {
                judge.note(event);
                loudness.tick(event.at());
                bank.observe(event, |seen| {
                    loudness.hear(seen.score.detector.index(), seen.score.surprise, alarm);
                    judge.weigh(seen);
                });
            }
        }
    }
}

impl Phase {
    /// What the twin says before it has found the plant: it may excuse, and accuses nobody.
    fn unsettled(&mut self, residual: &Residual<'_>, loudness: &mut Loudness, alarm: f64) {
        if let Self::Watching { bank, judge } = self {
            bank.unsettled(residual, |seen| {
                loudness.hear(seen.score.detector.index(), seen.score.surprise, alarm);
                judge.weigh(seen);
            });
        }
    }
}

impl Loudness {
    fn hear(&mut self, detector: usize, surprise: f64, alarm: f64) {
        let threshold = self.thresholds.get(detector).copied().unwrap_or(alarm);
        let scaled = surprise * alarm / threshold;
        self.current = self.current.max(scaled);
        if let Some(most) = self.most.get_mut(detector) {
            *most = most.max(scaled);
        }
    }

    fn tick(&mut self, at: Timestamp) {
        if at.since(self.since) >= Duration::from_secs(1) {
            self.last = self.current;
            self.current = 0.0;
            self.since = at;
        }
    }
}

/// Tells the judge what would explain what the twin saw, once that reaches into what is being judged: before, it is noise.
fn explain(twin: &mut Twin, judge: &mut Judge, now: Timestamp) {
    let last = twin.clock().map(|slot| slot - twin.step());
    if last >= judge.began() {
        twin.explain(now).iter().for_each(|explanation| judge.note(&Event::Explanation(*explanation)));
    }
}

/// How soon a never-exceed limit is reached if everything stays as it is; `None` when it is not within the horizon.
fn time_to_limit(twin: &Twin, horizon: Duration, binding: &[bool]) -> Option<Duration> {
    twin.clock().filter(|_| horizon > Duration::ZERO)?;
    let mut fork = twin.fork();
    let start = fork.at();
    let what_if = fork.simulate(horizon, &[]).ok()?;
    let counts = |limit: usize| binding.get(limit).copied().unwrap_or(false);
    let crossed =
        what_if.margins.iter().filter(|margin| counts(margin.limit)).filter_map(|margin| margin.crossed);
    crossed.min().map(|at| at.since(start))
}

/// How long nothing may be heard, in steps of the twin, before it has lost its plant: as long as until a value is stale.
fn patience(plant: &Plant, config: &Config) -> u32 {
    let step = plant.time.sampling.as_nanos().max(1);
    let stale = config.stale.or(plant.time.stale).map_or(STALE_PERIODS, |stale| stale.as_nanos() / step);
    u32::try_from(stale).unwrap_or(u32::MAX)
}

/// Names of the model's parameters, by number.
fn parameter_names(plant: &Plant) -> Vec<String> {
    let parameters = plant.dynamics.as_ref().map(|dynamics| dynamics.model.parameters());
    parameters.unwrap_or_default().iter().map(|(name, _)| name.to_string()).collect()
}

/// How a judge waits when values come every `period`.
fn judge_config(period: Duration) -> JudgeConfig {
    let quiet = QUIET.max(Duration::from_nanos(period.as_nanos().saturating_mul(QUIET_PERIODS)));
    JudgeConfig { sample: period, quiet, ..JudgeConfig::default() }
}

/// The sampling period: the plant file's, or the median interval of what was seen.
fn sampling(plant: &Plant, recording: &Recording) -> Duration {
    let mut last: BTreeMap<SignalId, Timestamp> = BTreeMap::new();
    let mut intervals: Vec<i64> = Vec::new();
    for event in recording.history().events() {
        if let Event::Point(point) = event
            && point.source == Source::Field
        {
            if let Some(before) = last.insert(point.signal, point.arrived_at) {
                let interval = point.arrived_at.since(before).as_nanos();
                if interval > 0 {
                    intervals.push(interval);
                }
            }
            if intervals.len() >= 100_000 {
                break;
            }
        }
    }
    if plant.dynamics.is_some() || intervals.is_empty() {
        return plant.time.sampling.max(Duration::from_millis(1));
    }
    let middle = intervals.len() / 2;
    let (_, median, _) = intervals.select_nth_unstable(middle);
    Duration::from_nanos((*median).max(1_000_000))
}

/// The signals that rows are made of: measured ones that came in the history, else those of the catalogue. Without physics what drives the
/// plant is told with what it measures: it explains that, and nothing else would.
fn row_signals(catalogue: &Catalogue, physics: bool, recording: &Recording) -> Vec<SignalId> {
    let counts = |role: Role| role == Role::Measurement || (!physics && role != Role::Parameter);
    let measured = |signal: SignalId| catalogue.signal(signal).is_some_and(|known| counts(known.role));
    let mut varying: BTreeSet<SignalId> = BTreeSet::new();
    let mut first: BTreeMap<SignalId, f64> = BTreeMap::new();
    for event in recording.history().events() {
        if let Event::Point(point) = event
            && point.source == Source::Field
            && measured(point.signal)
            && point.quality.is_usable()
        {
            let value = point.value.as_f64();
            if *first.entry(point.signal).or_insert(value) != value {
                varying.insert(point.signal);
            }
        }
    }
    let mut signals: Vec<SignalId> = if first.is_empty() {
        catalogue
            .iter()
            .filter(|(_, known)| known.role == Role::Measurement)
            .map(|(signal, _)| signal)
            .collect()
    } else {
        // Signals that never moved come last: a bound leaves them out first.
        let still = first.keys().filter(|signal| !varying.contains(signal));
        varying.iter().chain(still).copied().collect()
    };
    signals.truncate(ROW_SIGNALS);
    signals.sort_unstable();
    signals
}

/// The recording with the rows that the aligner makes of its points.
fn rows_among(recording: &Recording, mut aligner: Aligner, limit: usize) -> Recording {
    let mut full = Recording::with_limit(limit);
    for event in recording.history().events() {
        while let Some(row) = aligner.poll(event.at()) {
            full.push(&Event::Row(row));
        }
        if let Event::Point(point) = &event {
            aligner.push(point);
        }
        full.push(&event);
    }
    full
}
