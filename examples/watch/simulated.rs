//! The main scenario on a simulated plant: the cooling loop, or any reference plant by name.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinguard::integrity::{Sealed, SigningKey, Trust};
use twinguard::redteam::{
    Defender, Range, RangeOptions, Reaction, Sample, Scenario, Stimulus, Target, Views, Window, address,
};
use twinguard::report::Speaker;
use twinguard::response::Autonomy;
use twinguard::response::recovery::{Reading, Verify};
use twinguard::twin::Plant;
use twinguard::twin::simulator::{self, Noise, Reference, cooling_loop::Options};
use twinguard::types::{Digest, Duration, FindingId, FindingState, Severity, SignalId, Suspect, Timestamp};
use twinguard::{Attested, Config, Error, Guard, Input, Operator, Output, Recorder, Run};

use crate::args::Args;
use crate::beside::{self, Beside, Found};
use crate::pages;
use crate::screen::{Screen, clock};

/// 2026-03-14 09:20:00 UTC: a run counts from its own start; the journal wants dates.
const ORIGIN: Timestamp = Timestamp::from_secs(1_773_480_000);
/// Lengths in steps: seconds of the cooling loop, sampling periods of any other plant.
const LEARN: i64 = 8 * 3_600;
const NORMAL: i64 = 30 * 60;
const ATTACK: i64 = 100 * 60;
const AFTER: i64 = 10 * 60;
/// After the attack, before somebody asks for the way back.
const CALM: i64 = 60;
/// What a run of the cooling loop is judged by.
const HOT_SPOT: &str = "transformer.hotspot.temperature";

/// The plant on stage.
struct Stage {
    reference: Option<&'static Reference>,
    model: pages::Model,
    plant: Plant,
    hazard: SignalId,
    unit: String,
    limit: f64,
    period: Duration,
}

impl Stage {
    fn new(name: &str) -> Result<Self> {
        let reference = simulator::reference(name);
        let model = reference.map_or_else(pages::demo_model, pages::model);
        let plant = Plant::parse(model.plant_text(), "plant.toml")?;
        let path = reference.map_or(HOT_SPOT, |reference| reference.hazard);
        let hazard = plant.catalogue.id(path).with_context(|| format!("the plant has no signal {path}"))?;
        let limits = plant.limits.iter().filter(|limit| limit.signal == hazard);
        let limit = limits.filter_map(|limit| limit.max).fold(f64::NEG_INFINITY, f64::max);
        let unit = plant.catalogue.signal(hazard).map_or_else(String::new, |signal| signal.unit.to_string());
        let unit = if unit == "degC" { "°C".to_owned() } else { unit };
        let period = plant.time.sampling;
        Ok(Self { reference, model, plant, hazard, unit, limit, period })
    }

    /// So many steps.
    fn steps(&self, count: i64) -> Duration {
        Duration::from_nanos(self.period.as_nanos() * count)
    }

    /// The span of so many steps, for people.
    fn span(&self, count: i64) -> String {
        let seconds = self.steps(count).as_secs_f64();
        match seconds {
            s if s >= 172_800.0 => format!("{:.0} days", s / 86_400.0),
            s if s >= 7_200.0 => format!("{:.0} h", s / 3_600.0),
            s if s >= 120.0 => format!("{:.0} min", s / 60.0),
            s => format!("{s:.0} s"),
        }
    }

    fn words(&self) -> String {
        match self.reference {
            None => "A transformer's cooling loop runs at full load".to_owned(),
            Some(reference) => format!("{} runs", reference.title),
        }
    }

    fn hazard_words(&self) -> &str {
        if self.reference.is_none() { "Hot spot" } else { self.plant.catalogue.path(self.hazard) }
    }

    fn window(&self) -> Window {
        Window { start: ORIGIN + self.steps(NORMAL), end: ORIGIN + self.steps(NORMAL + ATTACK) }
    }

    fn scenario(&self, args: &Args) -> Result<Scenario> {
        let target = Target::of(&self.plant, self.window(), address::ATTACKER)
            .with_context(|| format!("nothing is known to be attacked in `{}`", self.plant.name))?;
        let scenario =
            Scenario::build(&args.attack, &target).ok_or_else(|| anyhow!("no attack `{}`", args.attack))?;
        if scenario.is_empty() && scenario.window.is_some() {
            return Err(anyhow!("`{}` is not possible at `{}`", args.attack, self.plant.name));
        }
        Ok(scenario)
    }

    /// The run that is watched.
    fn range(&self, seed: u64, scenario: Scenario) -> Result<Range> {
        let Some(reference) = self.reference else {
            let site =
                Options { load: vec![(Timestamp::ZERO, 1.0)], set_point_changes: true, ..Options::default() };
            return Ok(Range::new(&self.plant, &RangeOptions { seed, origin: ORIGIN, site }, scenario));
        };
        let options = simulator::Options { set_point_changes: true, ..simulator::Options::default() };
        let site = reference.site(seed, &options)?;
        Ok(Range::over(&self.plant, site, Noise::new(seed, 60), ORIGIN, scenario))
    }

    /// Normal running at changing load: another week of another cooling loop, an earlier time of any other plant.
    fn history(&self, seed: u64) -> Result<Range, Error> {
        let Some(reference) = self.reference else {
            let seed = seed.wrapping_add(1_000_003);
            let site = Options { set_point_changes: true, ..Options::default() }
                .with_load_steps(seed, Duration::from_secs(LEARN));
            let origin = ORIGIN - Duration::from_secs(7 * 86_400);
            return Ok(Range::new(&self.plant, &RangeOptions { seed, origin, site }, Scenario::none()));
        };
        let options = simulator::Options {
            set_point_changes: true,
            load_steps: true,
            stretch: 1,
            ..simulator::Options::default()
        };
        let site = reference.site(seed, &options)?;
        let origin = ORIGIN - self.steps(LEARN + 100_000);
        Ok(Range::over(&self.plant, site, Noise::new(seed, 1_060), origin, Scenario::none()))
    }
}

/// A guard, and beside it what a platform would keep: records, prints, an attestor of the vendor's twin.
struct Platform<'a> {
    guard: &'a mut Guard,
    beside: Beside,
    outputs: Vec<Output>,
    wire: Option<pages::Wire>,
}

impl Defender for Platform<'_> {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        if let (Stimulus::Frame(frame), Some(wire)) = (&stimulus, &mut self.wire) {
            wire.record(frame);
        }
        if let Stimulus::Running(parameters) = &stimulus {
            let Found { expected, measured, look } = self.beside.look(now, parameters)?;
            return self.guard.handle(now, Input::Attested(Attested { expected, measured, look: &look }));
        }
        Defender::handle(self.guard, now, stimulus)
    }

    fn poll(&mut self) -> Option<Reaction> {
        while let Some(output) = Guard::poll(self.guard) {
            let reaction = match &output {
                Output::Finding(finding) => Some(Reaction::Finding(finding.clone())),
                Output::Verdict(verdict) => Some(Reaction::Verdict(verdict.verdict.clone())),
                Output::Action(action) => Some(Reaction::Action(action.clone())),
                _ => None,
            };
            self.outputs.push(output);
            if reaction.is_some() {
                return reaction;
            }
        }
        None
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        Guard::estimate(self.guard, signal)
    }
}

/// An operator who, some time after the attack, asks for the way back, and goes with a meter to whatever sensor is in doubt.
struct WayBack {
    from: Option<Timestamp>,
    open: BTreeSet<FindingId>,
}

impl WayBack {
    fn hear(&mut self, outputs: &[Output]) {
        for output in outputs {
            let Output::Finding(finding) = output else { continue };
            match finding.state {
                FindingState::Closed => self.open.remove(&finding.id),
                _ => self.open.insert(finding.id),
            };
        }
    }

    /// Whether the operator asked at this step.
    fn step(&mut self, guard: &mut Guard, sample: &Sample, period: Duration) -> Result<bool, Error> {
        let now = sample.at + period;
        let due = self.from.is_some_and(|from| from <= sample.at);
        if due {
            self.from = None;
            for finding in &self.open {
                guard.handle(sample.at, Input::Operator(Operator::Recover { finding: *finding }))?;
            }
        } else if self.from.is_none() {
            guard.read_again(now, &mut Meter { sample, now })?;
        }
        Ok(due && !self.open.is_empty())
    }
}

struct Meter<'a> {
    sample: &'a Sample,
    now: Timestamp,
}

impl Verify for Meter<'_> {
    fn verify(&mut self, signal: SignalId) -> Option<Reading> {
        // A hand-held meter shows the truth; its own error is that of the sensor.
        Some(Reading { value: self.sample.truth(signal)?, sigma: 0.0, at: self.now })
    }
}

/// Nobody watches.
struct Nobody;

impl Defender for Nobody {
    type Error = std::convert::Infallible;
    fn handle(&mut self, _now: Timestamp, _stimulus: Stimulus<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
    fn poll(&mut self) -> Option<Reaction> {
        None
    }
    fn estimate(&self, _signal: SignalId) -> Option<(f64, f64)> {
        None
    }
}

/// Simulates, guards, tells.
pub fn run(args: &Args) -> Result<Option<Severity>> {
    let own =
        [args.plant.is_some(), args.learn.is_some(), args.learn_first.is_some(), args.federated.is_some()];
    if own.contains(&true) {
        return Err(anyhow!(
            "--plant, --learn, --learn-first and --federated go with --capture or --telemetry; the simulation brings its own"
        ));
    }
    let stage = Stage::new(&args.simulate)?;
    let (plant, model, hazard, limit) = (&stage.plant, &stage.model, stage.hazard, stage.limit);
    let total = NORMAL + ATTACK + AFTER;

    let unguarded = unguarded(args, &stage, total)?;
    let peak_unguarded = unguarded.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let mut screen = Screen::new(args.json, args.out.as_deref(), ORIGIN)?;
    if args.no_guard {
        return without_guard(args, &stage, &unguarded, screen);
    }

    // The vendor seals the model once; the plant loads it only through the seal.
    let key = SigningKey::from_seed(&format!("twinguard.example/{}", plant.name), &[7; 32])?;
    let bundle = model.bundle()?;
    let seal = model.seal(&key)?;
    let verified = Sealed::from_bundle(bundle, &seal, &Trust::new(key.public().clone()))?.load::<Plant>()?;

    let bar = progress(args, (LEARN + total) as u64);
    let mut config = Config { autonomy: Autonomy::FULL, seed: args.seed, ..Config::default() };
    config.false_alarms_per_day = args.false_alarms_per_day;
    let history = |guard: &mut Guard| learn(&stage, args.seed, guard, &bar);
    let mut builder = Guard::builder(verified).config(config).learn(history)?;
    if let Some(dir) = &args.out {
        builder = builder.journal(pages::journal(dir)?);
    }
    let mut guard = builder.build()?;
    let asked = guard.detection().asked_per_day;
    screen.line(&format!(
        "{}. The guard has learnt {} of normal running; limit {limit} {}.",
        stage.words(),
        stage.span(LEARN),
        stage.unit
    ))?;

    let scenario = stage.scenario(args)?;
    let story = scenario.story;
    let window = scenario.window;
    let mut recorder = Recorder::new(guard.plant(), ORIGIN);
    let views = Views { running: beside::EVERY, ..Views::default() };
    let mut range = stage.range(args.seed, scenario)?.views(views);
    let mut platform = Platform {
        beside: Beside::new(guard.plant())?,
        guard: &mut guard,
        outputs: Vec::new(),
        wire: args.out.as_ref().map(|_| pages::Wire::new()),
    };
    let mut told = Told::new(&stage, window, asked);
    let mut way_back =
        WayBack { from: window.map(|window| window.end + stage.steps(CALM)), open: BTreeSet::new() };
    let pace = pace(args, total);
    for step in 0..total {
        // The step goes to the next sample.
        let next = ORIGIN + stage.steps(step + 1);
        if window.is_some_and(|window| window.start == next) {
            screen.line(&format!("{}  -- {story} --", clock(next, ORIGIN)))?;
        }
        let sample = range.step(&mut platform)?;
        if let Some(words) = platform.beside.tell(|at| clock(at, ORIGIN)) {
            screen.line(&format!("{}  !! {words}", clock(sample.at, ORIGIN)))?;
        }
        if way_back.step(platform.guard, &sample, stage.steps(1))? {
            screen.line(&format!(
                "{}  -- an operator asks for the way back, and reads the sensors by hand --",
                clock(sample.at, ORIGIN)
            ))?;
        }
        let outputs = core::mem::take(&mut platform.outputs);
        way_back.hear(&outputs);
        record(&mut recorder, platform.guard, &sample, &outputs, &unguarded, &stage);
        for output in &outputs {
            told.take(output);
            screen.output(output, platform.guard.catalogue())?;
        }
        told.peak = told.peak.max(sample.truth(hazard).unwrap_or(f64::NEG_INFINITY));
        bar.inc(1);
        if let Some(pause) = pace {
            std::thread::sleep(pause);
        }
    }
    bar.finish_and_clear();
    let frames = range.frames();
    let wire = platform.wire.take();
    told.changed = core::mem::take(&mut platform.beside.changed);

    let checkpoint = guard.evidence_mut().checkpoint(&key)?;
    let root = guard.evidence().root();
    let summary = told.summary(args, window, peak_unguarded, limit, &screen, root);
    if args.json {
        screen.record(&summary)?;
    } else {
        tell(&mut screen, &told, &stage, window, peak_unguarded)?;
    }
    if let Some(dir) = &args.out {
        let run = Run {
            source: "simulated".to_owned(),
            simulated: true,
            seed: Some(args.seed),
            inputs: vec![(frames, "Modbus TCP frames".to_owned())],
            attack: window.map(|window| (window.start, window.end, story.to_owned())),
            key_figures: told.key_figures(&stage, window, peak_unguarded),
            detection: pages::detection(&guard, Some(told.false_alarms)),
            evidence: pages::evidence(&guard, &checkpoint, &key)?,
            seal: guard.seal().map(|seal| (seal.root, seal.version)),
            utc: false,
            files: pages::files(true),
            unknowns: vec![
                "The true values are known only because this run is a simulation; on a real plant that line is absent.".to_owned(),
                "“Without guard” is the same plant and seed with the guard off.".to_owned(),
            ],
        };
        pages::write(dir, &recorder.report(&run), &recorder, &summary, &key)?;
        model.write(&dir.join("model"), &seal, &key)?;
        if let Some(wire) = wire {
            wire.write(&dir.join("wire.pcap"))?;
        }
        screen.line(&format!("\nThe report, the journal and the bytes are in {}", dir.display()))?;
    }
    screen.finish()?;
    Ok(screen.worst)
}

fn learn(stage: &Stage, seed: u64, guard: &mut Guard, bar: &ProgressBar) -> Result<(), Error> {
    let mut range = stage.history(seed)?;
    for _ in 0..LEARN {
        match range.step(guard) {
            Ok(_) => bar.inc(1),
            Err(twinguard::redteam::RangeError::Defender(error)) => return Err(error),
            Err(error) => unreachable_message(&error),
        }
    }
    Ok(())
}

/// Messages of the range are legal by construction.
fn unreachable_message(error: &dyn std::fmt::Display) {
    eprintln!("watch: {error}");
}

fn unguarded(args: &Args, stage: &Stage, total: i64) -> Result<Vec<(Timestamp, f64)>> {
    let mut range = stage.range(args.seed, stage.scenario(args)?)?;
    (0..total)
        .map(|_| {
            let sample = range.step(&mut Nobody)?;
            Ok((sample.at, sample.truth(stage.hazard).unwrap_or_default()))
        })
        .collect()
}

fn without_guard(
    args: &Args,
    stage: &Stage,
    unguarded: &[(Timestamp, f64)],
    mut screen: Screen,
) -> Result<Option<Severity>> {
    let limit = stage.limit;
    let peak = unguarded.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let crossed = unguarded.iter().find(|(_, value)| *value > limit).map(|(at, _)| *at);
    if args.json {
        screen.record(&json!({ "summary": {
            "attack": args.attack, "attack_start_s": attack_start(args, stage), "detected_s": null, "suspect": null,
            "suspect_set": [], "kind": null, "peak": peak, "peak_unguarded": peak, "limit": limit,
            "violated": crossed.is_some(), "false_alarms": 0, "findings": 0, "verdicts": 0, "actions": 0,
            "journal_root": null, "seed": args.seed,
        }}))?;
    } else {
        screen.line("Nobody guards the plant. Every screen shows normal.")?;
        match crossed {
            Some(at) => screen.line(&format!(
                "{}  {} passes {limit} {}",
                clock(at, ORIGIN),
                stage.hazard_words(),
                stage.unit
            ))?,
            None => screen.line("no limit is broken")?,
        }
        screen.line(&format!("Peak {} {unit}, limit {limit} {unit}.", short(peak), unit = stage.unit))?;
    }
    screen.finish()?;
    Ok(None)
}

fn attack_start(args: &Args, stage: &Stage) -> Option<f64> {
    (args.attack != "none").then(|| stage.steps(NORMAL).as_secs_f64())
}

/// One place after the point for large numbers, three for small ones.
fn short(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

fn record(
    recorder: &mut Recorder,
    guard: &Guard,
    sample: &Sample,
    outputs: &[Output],
    unguarded: &[(Timestamp, f64)],
    stage: &Stage,
) {
    for (signal, spoken) in &sample.signals {
        let mut speak = |speaker, value: Option<f64>| {
            if value.is_some() || speaker == Speaker::Reported {
                recorder.sample(speaker, *signal, sample.at, value, None);
            }
        };
        speak(Speaker::True, spoken.truth);
        if spoken.vendor.is_some() {
            speak(Speaker::Reported, spoken.field);
        }
        speak(Speaker::Vendor, spoken.vendor);
        if let Some((mean, sigma)) = guard.estimate(*signal).filter(|_| spoken.vendor.is_some()) {
            recorder.sample(Speaker::Estimate, *signal, sample.at, Some(mean), Some(sigma));
        }
    }
    let index = (sample.at.since(ORIGIN).as_secs_f64() / stage.period.as_secs_f64()).round() as usize;
    if let Some((_, value)) = unguarded.get(index.saturating_sub(1)) {
        recorder.sample(Speaker::WithoutGuard, stage.hazard, sample.at, Some(*value), None);
    }
    recorder.surprise(sample.at, guard.surprise().0);
    for output in outputs {
        recorder.output(output);
    }
}

/// What came of the run.
struct Told {
    /// False alarms per day that were asked for.
    asked: f64,
    /// A hundred samples.
    young: Duration,
    window: Option<Window>,
    detected: Option<Timestamp>,
    false_alarms: u32,
    suspect: Option<Suspect>,
    suspect_set: Vec<Suspect>,
    kind: Option<&'static str>,
    title: String,
    peak: f64,
    /// Parameters of the vendor's twin that do not run as sealed.
    changed: Vec<String>,
}

impl Told {
    fn new(stage: &Stage, window: Option<Window>, asked: f64) -> Self {
        Self {
            asked,
            young: stage.steps(100),
            window,
            detected: None,
            false_alarms: 0,
            suspect: None,
            suspect_set: Vec::new(),
            kind: None,
            title: String::new(),
            peak: f64::NEG_INFINITY,
            changed: Vec::new(),
        }
    }

    fn take(&mut self, output: &Output) {
        let Output::Finding(finding) = output else { return };
        let in_attack = self.window.is_some_and(|window| finding.raised_at >= window.start);
        if finding.revision == 0 && !in_attack {
            self.false_alarms += 1;
        }
        if !in_attack {
            return;
        }
        self.detected = self.detected.or(Some(finding.raised_at));
        // Named by 100 samples after the alarm; later revisions describe the response, not the attack.
        let young = self.detected.is_some_and(|at| finding.at.since(at) <= self.young);
        if young && finding.state != FindingState::Closed {
            self.suspect = Some(finding.suspect);
            for suspect in &finding.suspect_set {
                if finding.revision == 0 || !self.suspect_set.contains(suspect) {
                    self.suspect_set.push(*suspect);
                }
            }
            self.suspect_set.retain(|suspect| finding.suspect_set.contains(suspect));
            self.suspect_set.sort_unstable();
            self.suspect_set.dedup();
            self.kind = Some(finding.kind.as_str());
            self.title.clone_from(&finding.title);
        }
    }

    fn seconds(at: Timestamp) -> f64 {
        at.since(ORIGIN).as_secs_f64()
    }

    fn summary(
        &self,
        args: &Args,
        window: Option<Window>,
        peak_unguarded: f64,
        limit: f64,
        screen: &Screen,
        root: Digest,
    ) -> serde_json::Value {
        let suspects: Vec<&str> = self.suspect_set.iter().map(|suspect| suspect.as_str()).collect();
        json!({ "summary": {
            "attack": args.attack,
            "attack_start_s": window.map(|window| Self::seconds(window.start)),
            "detected_s": self.detected.map(Self::seconds),
            "suspect": self.suspect.map(|suspect| suspect.as_str()),
            "suspect_set": suspects,
            "kind": self.kind,
            "peak": self.peak,
            "peak_unguarded": peak_unguarded,
            "limit": limit,
            "violated": self.peak > limit,
            "false_alarms": self.false_alarms,
            "findings": screen.counts.findings,
            "verdicts": screen.counts.verdicts,
            "actions": screen.counts.actions,
            "journal_root": root.to_string(),
            "seed": args.seed,
            "asked_per_day": self.asked,
            "parameters_changed": self.changed,
        }})
    }

    fn key_figures(
        &self,
        stage: &Stage,
        window: Option<Window>,
        peak_unguarded: f64,
    ) -> Vec<twinguard::report::KeyFigure> {
        let (limit, unit) = (stage.limit, stage.unit.as_str());
        let figure = |label: &str, value: String, unit: &str, note: String, beyond_limit| {
            twinguard::report::KeyFigure {
                label: label.to_owned(),
                value,
                unit: unit.to_owned(),
                note,
                beyond_limit,
            }
        };
        let after = match (self.detected, window) {
            (Some(at), Some(window)) => format!("{:.1}", at.since(window.start).as_secs_f64()),
            _ => "–".to_owned(),
        };
        vec![
            figure("Seen after", after, "s", String::new(), false),
            figure(
                "False alarms before",
                self.false_alarms.to_string(),
                "",
                format!("asked for: {} a day", self.asked),
                self.false_alarms > 0,
            ),
            figure(
                "Peak with twinguard",
                short(self.peak),
                unit,
                format!("limit {} {unit}", short(limit)),
                self.peak > limit,
            ),
            figure(
                "Peak without",
                short(peak_unguarded),
                unit,
                if peak_unguarded > limit {
                    format!("{} {} over", short(peak_unguarded - limit), unit.replace("°C", "K"))
                } else {
                    String::new()
                },
                peak_unguarded > limit,
            ),
        ]
    }
}

fn tell(
    screen: &mut Screen,
    told: &Told,
    stage: &Stage,
    window: Option<Window>,
    peak_unguarded: f64,
) -> Result<()> {
    screen.line("")?;
    match (told.detected, window) {
        (Some(at), Some(window)) => {
            let after = at.since(window.start).as_secs_f64();
            let suspects: Vec<&str> = told.suspect_set.iter().map(|suspect| suspect.as_str()).collect();
            screen.line(&format!("{}: seen {after:.1} s after it began.", told.title))?;
            screen.line(&format!("Accused: {}.", suspects.join(" and ")))?;
        }
        (None, Some(_)) => screen.line("The attack was not seen.")?,
        _ => screen.line("Nothing was attacked.")?,
    }
    screen.line(&format!(
        "{}: peak {} {unit} with twinguard, {} {unit} without it; limit {} {unit}.",
        stage.hazard_words(),
        short(told.peak),
        short(peak_unguarded),
        stage.limit,
        unit = stage.unit,
    ))?;
    screen.line(&format!(
        "False alarms before the attack: {}. Commands judged: {}, refused: {}. Actions: {}.",
        told.false_alarms, screen.counts.verdicts, screen.counts.denied, screen.counts.actions
    ))
}

fn progress(args: &Args, length: u64) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  simulated {pos}/{len} s").ok();
    let bar = ProgressBar::new(length);
    style.into_iter().for_each(|style| bar.set_style(style));
    bar
}

/// On a terminal the run takes about half a minute, so that a person can follow it.
fn pace(args: &Args, total_s: i64) -> Option<std::time::Duration> {
    let default = if std::io::stdout().is_terminal() && !args.json { total_s as f64 / 30.0 } else { 0.0 };
    let pace = args.pace.unwrap_or(default);
    (pace > 0.0).then(|| std::time::Duration::from_secs_f64(1.0 / pace))
}
