//! A run, recorded for its report: what was seen, said, decided and done.

use std::collections::BTreeMap;

use twinguard_report as page;
use twinguard_report::{Side, Speaker};
use twinguard_twin::plant::{Limit, LimitKind, Plant};
use twinguard_types::{
    Action, Catalogue, Command, Finding, FindingId, FindingKind, Principals, Role, Severity, SignalId,
    Timestamp,
};

use crate::{Output, Verdicted};

/// Samples that one line of a plot keeps; beyond, neighbours are merged to their extremes.
const TRACK_LIMIT: usize = 40_000;
/// Commands and actions that are kept one by one.
const ROW_LIMIT: usize = 20_000;
/// Most plots on a page.
const PLOTS: usize = 6;

/// Collects a run and turns it into the data of a report page.
///
/// Memory is bounded: long lines keep the extremes of neighbouring samples, so no peak is lost.
#[derive(Clone, Debug)]
pub struct Recorder {
    plant: String,
    catalogue: Catalogue,
    limits: Vec<Limit>,
    start: Timestamp,
    end: Timestamp,
    tracks: BTreeMap<(SignalId, Speaker), Track>,
    surprise: Track,
    findings: BTreeMap<FindingId, Recorded>,
    commands: Vec<Verdicted>,
    actions: Vec<Action>,
    last: Option<FindingId>,
}

#[derive(Clone, Debug)]
struct Recorded {
    finding: Finding,
    leaf: Option<u64>,
    sources: Vec<page::SourceRow>,
}

#[derive(Clone, Debug, Default)]
struct Track {
    samples: Vec<page::Sample>,
    /// How many arriving samples make one kept pair; 1 keeps all.
    stride: usize,
    waiting: Vec<page::Sample>,
}

impl Track {
    fn push(&mut self, sample: page::Sample) {
        let stride = self.stride.max(1);
        if stride == 1 {
            self.samples.push(sample);
        } else {
            self.waiting.push(sample);
            if self.waiting.len() >= stride {
                let merged = extremes(&self.waiting);
                self.samples.extend(merged);
                self.waiting.clear();
            }
        }
        if self.samples.len() > TRACK_LIMIT {
            self.samples = self.samples.chunks(4).flat_map(extremes).collect();
            self.stride = if stride == 1 { 4 } else { stride * 2 };
        }
    }

    fn all(&self) -> Vec<page::Sample> {
        self.samples.iter().chain(&self.waiting).copied().collect()
    }

    fn last(&self) -> Option<&page::Sample> {
        self.waiting.last().or(self.samples.last())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().chain(&self.waiting).filter_map(|sample| sample.value)
    }
}

/// The least and the largest of a few neighbours, in time order; a gap among them stays.
fn extremes(samples: &[page::Sample]) -> Vec<page::Sample> {
    let by_value = |a: &&page::Sample, b: &&page::Sample| {
        a.value.partial_cmp(&b.value).unwrap_or(core::cmp::Ordering::Equal)
    };
    let mut kept: Vec<page::Sample> =
        samples.iter().min_by(by_value).into_iter().chain(samples.iter().max_by(by_value)).copied().collect();
    kept.sort_by(|a, b| a.t_s.total_cmp(&b.t_s));
    kept.dedup();
    kept
}

/// What the report should know beyond what the recorder saw.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Where the data came from: `simulated`, a file name.
    pub source: String,
    /// Whether true values are known.
    pub simulated: bool,
    /// Seed of the simulation.
    pub seed: Option<u64>,
    /// What was read, for example 4802 × `Modbus TCP frames`.
    pub inputs: Vec<(u64, String)>,
    /// The true attack: when, and what in words.
    pub attack: Option<(Timestamp, Timestamp, String)>,
    /// Figures beside the headline; empty: findings, verdicts and actions are counted.
    pub key_figures: Vec<page::KeyFigure>,
    /// How the detectors stood.
    pub detection: page::Detection,
    /// Why to believe the page.
    pub evidence: page::Evidence,
    /// Digest of the sealed model with its version.
    pub seal: Option<(twinguard_types::Digest, u64)>,
    /// Whether time is UTC rather than counted from a simulation's start.
    pub utc: bool,
    /// Names of the files beside the page.
    pub files: Vec<String>,
    /// What is not known, in sentences.
    pub unknowns: Vec<String>,
}

impl Recorder {
    /// A recorder for a run that starts at `start`.
    #[must_use]
    pub fn new(plant: &Plant, start: Timestamp) -> Self {
        Self {
            plant: plant.name.clone(),
            catalogue: plant.catalogue.clone(),
            limits: plant.limits.clone(),
            start,
            end: start,
            tracks: BTreeMap::new(),
            surprise: Track::default(),
            findings: BTreeMap::new(),
            commands: Vec::new(),
            actions: Vec::new(),
            last: None,
        }
    }

    /// Takes over the catalogue of a guard that discovered its signals.
    pub fn set_catalogue(&mut self, catalogue: &Catalogue) {
        self.catalogue = catalogue.clone();
    }

    /// What somebody says of a signal.
    pub fn sample(
        &mut self,
        speaker: Speaker,
        signal: SignalId,
        at: Timestamp,
        value: Option<f64>,
        sigma: Option<f64>,
    ) {
        let t_s = self.seconds(at);
        self.tracks.entry((signal, speaker)).or_default().push(page::Sample { t_s, value, sigma });
    }

    /// The fused surprise of the detectors.
    pub fn surprise(&mut self, at: Timestamp, value: f64) {
        let t_s = self.seconds(at);
        self.surprise.push(page::Sample { t_s, value: Some(value), sigma: None });
    }

    /// What the guard said.
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Finding(finding) => self.finding(finding),
            Output::Verdict(verdict) => self.verdict(verdict),
            Output::Action(action) => self.action(action),
            Output::Receipt(receipt) => {
                if let Some(recorded) = self.last.and_then(|id| self.findings.get_mut(&id)) {
                    recorded.leaf = Some(receipt.leaf);
                }
                self.last = None;
            }
        }
    }

    /// The findings in their last revision.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().map(|recorded| &recorded.finding)
    }

    /// The highest value that somebody gave a signal.
    #[must_use]
    pub fn peak(&self, speaker: Speaker, signal: SignalId) -> Option<f64> {
        self.tracks.get(&(signal, speaker))?.values().reduce(f64::max)
    }

    fn seconds(&mut self, at: Timestamp) -> f64 {
        self.end = self.end.max(at);
        at.since(self.start).as_secs_f64()
    }

    fn finding(&mut self, finding: &Finding) {
        self.end = self.end.max(finding.at);
        self.last = Some(finding.id);
        // The sources are compared while the incident is young: later our own response has changed the picture.
        let young = finding.at.since(finding.raised_at).as_secs_f64() <= 60.0;
        let sources = if young { self.sources(finding) } else { Vec::new() };
        match self.findings.get_mut(&finding.id) {
            Some(recorded) => {
                recorded.finding = finding.clone();
                if young {
                    recorded.sources = sources;
                }
            }
            None => {
                let recorded = Recorded { finding: finding.clone(), leaf: None, sources };
                self.findings.insert(finding.id, recorded);
            }
        }
    }

    fn verdict(&mut self, verdicted: &Verdicted) {
        self.last = None;
        if self.commands.len() < ROW_LIMIT {
            self.commands.push(verdicted.clone());
        }
    }

    fn action(&mut self, action: &Action) {
        self.last = None;
        if self.actions.len() < ROW_LIMIT {
            self.actions.push(action.clone());
        }
    }

    fn command_rows(&self, time: &page::TimeAxis) -> Vec<page::CommandRow> {
        let row = |verdicted: &Verdicted| {
            let Verdicted { command, principal, verdict, already_sent } = verdicted;
            let mut principals = Principals::new();
            let command = Command { principal: principals.intern(principal.clone()).ok()?, ..*command };
            let mut row = page::CommandRow::new(&command, verdict, time, &self.catalogue, &principals);
            if *already_sent && !verdict.decision.permits() {
                row.ended = Some("already sent".to_owned());
            }
            Some(row)
        };
        self.commands.iter().filter_map(row).collect()
    }

    fn unit(&self, signal: SignalId) -> String {
        self.catalogue.signal(signal).map(|signal| signal.unit.to_string()).unwrap_or_default()
    }

    /// The three sources side by side for the signals that a finding names.
    fn sources(&self, finding: &Finding) -> Vec<page::SourceRow> {
        let last = |signal, speaker| self.tracks.get(&(signal, speaker)).and_then(Track::last);
        let rank = |signal: SignalId| {
            finding.attribution.iter().position(|share| share.signal == signal).unwrap_or(usize::MAX)
        };
        let mut signals: Vec<SignalId> = self.tracks.keys().map(|(signal, _)| *signal).collect();
        signals.dedup();
        signals.retain(|signal| last(*signal, Speaker::Reported).is_some());
        signals.sort_by_key(|signal| rank(*signal));
        let mut rows: Vec<page::SourceRow> = signals
            .into_iter()
            .map(|signal| {
                let value = |speaker| last(signal, speaker).and_then(|sample| sample.value);
                let (reported, vendor, model) =
                    (value(Speaker::Reported), value(Speaker::Vendor), value(Speaker::Estimate));
                let noise = self.catalogue.signal(signal).and_then(|signal| signal.sigma).unwrap_or(0.0);
                let sigma = last(signal, Speaker::Estimate)
                    .and_then(|sample| sample.sigma)
                    .map(|sigma| sigma.hypot(noise));
                page::SourceRow {
                    signal: self.catalogue.path(signal).to_owned(),
                    unit: self.unit(signal),
                    reported,
                    vendor,
                    model,
                    sigma,
                    reading: reading(reported, vendor, model, sigma),
                }
            })
            .collect();
        rows.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
        rows.truncate(8);
        rows
    }

    /// The page's data.
    #[must_use]
    pub fn report(&self, run: &Run) -> page::RunReport {
        let span_s = self.end.since(self.start).as_secs_f64().max(1.0);
        let mut report = page::RunReport::new(
            self.plant.clone(),
            page::TimeAxis { start: self.start, span_s, utc: run.utc },
        );
        let mut worst: Vec<&Recorded> = self.findings.values().collect();
        worst.sort_by_key(|recorded| {
            (core::cmp::Reverse(recorded.finding.severity), recorded.finding.raised_at)
        });
        let first = worst.first().map(|recorded| &recorded.finding);

        report.headline = self.headline(first, worst.len());
        report.lead = first.map(|finding| finding.summary.clone()).unwrap_or_default();
        report.happened =
            run.attack.as_ref().map(|(_, _, story)| format!("{}.", capital(story))).unwrap_or_default();
        report.meta.source.clone_from(&run.source);
        report.meta.simulated = run.simulated;
        report.meta.seed = run.seed;
        report.meta.inputs.clone_from(&run.inputs);
        report.meta.seal = run.seal;
        report.attacks = run
            .attack
            .iter()
            .map(|(from, to, label)| page::Window {
                from_s: from.since(self.start).as_secs_f64(),
                to_s: to.since(self.start).as_secs_f64().min(span_s),
                label: label.clone(),
            })
            .collect();
        report.key_figures = if run.key_figures.is_empty() { self.counts() } else { run.key_figures.clone() };
        report.detection = run.detection;
        report.plots = self.plots(first, run);
        report.sources = worst.first().map(|recorded| recorded.sources.clone()).unwrap_or_default();
        report.findings = worst
            .iter()
            .map(|recorded| page::FindingCard {
                finding: recorded.finding.clone(),
                consequence: None,
                leaf: recorded.leaf,
                symptoms: Vec::new(),
            })
            .collect();
        report.commands = self.command_rows(&report.time);
        report.actions = page::ActionRow::rows(&self.actions, &report.time, &self.catalogue);
        report.evidence = run.evidence.clone();
        report.unknowns.clone_from(&run.unknowns);
        report.files.clone_from(&run.files);
        let focus: Vec<usize> = (0..report.plots.len().min(2)).collect();
        report.focus_on_findings(&focus);
        report
    }

    fn headline(&self, first: Option<&Finding>, count: usize) -> page::Headline {
        let Some(finding) = first else { return page::Headline::Nothing };
        let what = finding.title.trim_end_matches('.').to_owned() + ".";
        match finding.kind {
            FindingKind::Attack => page::Headline::Attack { what, outcome: self.outcome() },
            FindingKind::Fault => page::Headline::Fault { what, outcome: self.outcome() },
            _ if count > 1 => page::Headline::Findings,
            _ => page::Headline::Unclear { what },
        }
    }

    /// How near the plant came to the limit that matters most, by its true values where they are known.
    fn outcome(&self) -> Option<page::Outcome> {
        let (limit, track) = self.main_limit()?;
        let (side, margin, beyond) = match (limit.max, limit.min) {
            (Some(max), _) => (
                Side::Above,
                max - track.values().reduce(f64::max)?,
                track.values().filter(|v| *v > max).count(),
            ),
            (None, Some(min)) => (
                Side::Below,
                track.values().reduce(f64::min)? - min,
                track.values().filter(|v| *v < min).count(),
            ),
            (None, None) => return None,
        };
        let (first, last) = (track.samples.first()?, track.last()?);
        let step = (last.t_s - first.t_s) / (track.all().len().max(2) - 1) as f64;
        let unit = difference_unit(&self.unit(limit.signal));
        let margin = page::Quantity { value: margin, unit, sigma: None, resolution: Some(0.1) };
        Some(page::Outcome { subject: "The asset".to_owned(), margin, side, beyond_s: beyond as f64 * step })
    }

    /// The never-exceed limit whose signal came nearest to it, with the best-informed track of that signal.
    fn main_limit(&self) -> Option<(&Limit, &Track)> {
        let track = |signal, speakers: &[Speaker]| {
            speakers.iter().find_map(|speaker| self.tracks.get(&(signal, *speaker)))
        };
        let used = |limit: &Limit, track: &Track| {
            let above = limit.max.and_then(|max| track.values().reduce(f64::max).map(|peak| peak - max));
            let below = limit.min.and_then(|min| track.values().reduce(f64::min).map(|least| min - least));
            above.into_iter().chain(below).reduce(f64::max).unwrap_or(f64::NEG_INFINITY)
        };
        self.limits
            .iter()
            .filter(|limit| limit.kind == LimitKind::NeverExceed)
            .filter_map(|limit| {
                Some((limit, track(limit.signal, &[Speaker::True, Speaker::Estimate, Speaker::Reported])?))
            })
            .max_by(|(a, on), (b, other)| {
                // Where an unguarded run is known, it says which limit was at stake.
                let stake = |limit: &Limit, seen| {
                    used(limit, track(limit.signal, &[Speaker::WithoutGuard]).unwrap_or(seen))
                };
                stake(a, on).total_cmp(&stake(b, other))
            })
    }

    fn counts(&self) -> Vec<page::KeyFigure> {
        let figure = |label: &str, value: usize| page::KeyFigure::new(label, value.to_string());
        let serious = self.findings().filter(|finding| finding.severity >= Severity::High).count();
        let denied = self.commands.iter().filter(|row| !row.verdict.decision.permits()).count();
        vec![
            figure("Findings", self.findings.len()),
            figure("High or critical", serious),
            figure("Commands seen", self.commands.len()),
            figure("Commands refused", denied),
        ]
    }

    fn plots(&self, first: Option<&Finding>, run: &Run) -> Vec<page::Plot> {
        let mut order: Vec<SignalId> = Vec::new();
        let mut want = |signal: SignalId| {
            let drawn = self.tracks.keys().any(|(known, _)| *known == signal);
            if drawn && !order.contains(&signal) && order.len() < PLOTS - 1 {
                order.push(signal);
            }
        };
        if let Some((limit, _)) = self.main_limit() {
            want(limit.signal);
        }
        let shares = first.map(|finding| finding.attribution.as_slice()).unwrap_or_default();
        shares.iter().take(3).for_each(|share| want(share.signal));
        let actuators = self.catalogue.iter().filter(|(_, signal)| signal.role == Role::Actuator);
        actuators.for_each(|(signal, _)| want(signal));
        self.tracks.keys().for_each(|(signal, _)| want(*signal));

        let mut plots: Vec<page::Plot> = order.into_iter().map(|signal| self.plot(signal, run)).collect();
        if self.surprise.last().is_some() {
            plots.push(page::Plot::surprise(self.surprise.all(), run.detection.alarm.unwrap_or_default()));
        }
        plots
    }

    fn plot(&self, signal: SignalId, run: &Run) -> page::Plot {
        let known = self.catalogue.signal(signal);
        let mut plot = page::Plot::new(self.catalogue.path(signal), self.unit(signal));
        plot.resolution = known.and_then(|signal| signal.sigma).map(|sigma| sigma / 2.0);
        for speaker in
            [Speaker::True, Speaker::WithoutGuard, Speaker::Reported, Speaker::Vendor, Speaker::Estimate]
        {
            if let Some(track) = self.tracks.get(&(signal, speaker)) {
                plot.traces.push(page::Trace::new(speaker, track.all()));
            }
        }
        for limit in
            self.limits.iter().filter(|limit| limit.signal == signal && limit.kind != LimitKind::Interlock)
        {
            let reason = match limit.kind {
                LimitKind::NeverExceed => "never exceed",
                _ => "operating limit",
            };
            let reason = || reason.to_owned();
            let never = limit.kind == LimitKind::NeverExceed;
            let side = |side| if never { side } else { Side::Level };
            plot.limits.extend(limit.max.map(|value| page::Limit {
                value,
                side: side(Side::Above),
                reason: reason(),
            }));
            plot.limits.extend(limit.min.map(|value| page::Limit {
                value,
                side: side(Side::Below),
                reason: reason(),
            }));
        }
        if let Some((from, ..)) = &run.attack {
            plot.marks.push((from.since(self.start).as_secs_f64(), "attack".to_owned()));
        }
        plot
    }
}

fn distance(row: &page::SourceRow) -> f64 {
    let sigma = row.sigma.filter(|sigma| *sigma > 0.0);
    let from = |value: Option<f64>, other: Option<f64>| Some((value? - other?).abs() / sigma?);
    from(row.reported, row.model)
        .into_iter()
        .chain(from(row.vendor, row.model))
        .reduce(f64::max)
        .unwrap_or(0.0)
}

fn reading(reported: Option<f64>, vendor: Option<f64>, model: Option<f64>, sigma: Option<f64>) -> String {
    let apart = |a: Option<f64>, b: Option<f64>| match (a, b, sigma) {
        (Some(a), Some(b), Some(sigma)) if sigma > 0.0 => Some((a - b).abs() > 4.0 * sigma),
        _ => None,
    };
    match (apart(reported, model), apart(vendor, reported)) {
        (Some(true), Some(false)) => "field and vendor agree with each other, not with physics",
        (Some(true), _) => "the field does not agree with physics",
        (Some(false), Some(true)) => "the vendor's twin shows something else than the field",
        (Some(false), _) => "all sources agree",
        (None, Some(true)) => "the vendor's twin shows something else than the field",
        (None, _) => "nothing to compare with",
    }
    .to_owned()
}

/// Differences of temperatures are in kelvin.
fn difference_unit(unit: &str) -> String {
    match unit {
        "degC" | "°C" => "K".to_owned(),
        other => other.to_owned(),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant() -> Plant {
        let text = "format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\nunit = \"m\"\nsigma = 0.01\n\
                    [[limit]]\nsignal = \"level\"\nmax = 2.0\nkind = \"never_exceed\"\n";
        Plant::parse(text, "plant.toml").unwrap()
    }

    #[test]
    fn long_lines_keep_their_peaks_and_stay_bounded() {
        let plant = plant();
        let level = plant.catalogue.id("level").unwrap();
        let mut recorder = Recorder::new(&plant, Timestamp::ZERO);
        for secs in 0..300_000i64 {
            let value = if secs == 123_457 { 1.9 } else { 1.0 };
            recorder.sample(Speaker::Reported, level, Timestamp::from_secs(secs), Some(value), None);
        }
        assert_eq!(recorder.peak(Speaker::Reported, level), Some(1.9));
        assert!(recorder.tracks.values().all(|track| track.samples.len() <= TRACK_LIMIT + 4));
    }

    #[test]
    fn a_quiet_run_says_so() {
        let plant = plant();
        let level = plant.catalogue.id("level").unwrap();
        let mut recorder = Recorder::new(&plant, Timestamp::ZERO);
        for secs in 0..100 {
            recorder.sample(Speaker::Reported, level, Timestamp::from_secs(secs), Some(1.0), None);
        }
        let report = recorder.report(&Run::default());
        assert_eq!(report.headline, page::Headline::Nothing);
        assert_eq!(report.plots.len(), 1);
        assert!(page::render(&report).contains("Nothing abnormal"));
    }
}
