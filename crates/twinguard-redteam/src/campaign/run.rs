//! Runs the cells of a plan: in parallel where the caller's build allows, and always with the same result.

#[cfg(feature = "rayon")]
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

use twinguard_twin::simulator::{Effect, Incident};
use twinguard_types::{FindingKind, Suspect};

use super::board::{Board, Quiet};
use super::cell::{Cell, Key, Watch};
use super::plan::{Plan, Sight};
use super::scribe::{Overheard, Scribes};
use crate::{
    Defender, Disturbance, Entry, Error, Family, Ground, Judgement, Nobody, ORIGIN, Range, RangeError,
    Reaction, Resources, Scenario, Stretch, Target, Variant, Window,
};

/// Makes defenders that have learnt what is normal at a plant.
pub trait Trainer: Sync {
    /// The defender.
    type Defender: Defender;
    /// What was learnt; one defender a cell starts from it.
    type Learnt: Send + Sync;

    /// Learns from so many samples of normal running.
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn learn(
        &self,
        ground: &Ground,
        sight: Sight,
        history: &mut Range,
        samples: u64,
    ) -> Result<Self::Learnt, String>;

    /// A defender who knows that.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn defender(
        &self,
        ground: &Ground,
        sight: Sight,
        learnt: &Self::Learnt,
    ) -> Result<Self::Defender, String>;

    /// The loudest fused surprise of late and the alarm line, where the defender says so.
    fn surprise(&self, _defender: &Self::Defender) -> Option<(f64, f64)> {
        None
    }
}

/// What a campaign tells while it runs, in no certain order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A plant was learnt.
    Learnt(&'a str),
    /// A cell is done.
    Cell(&'a Cell),
    /// An attack-free run is done.
    Quiet(&'a Quiet),
}

/// A plan with its plants.
#[derive(Debug)]
pub struct Campaign {
    plan: Plan,
    grounds: Vec<Ground>,
    jobs: Vec<Job>,
}

/// What happens in a cell.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Attack(&'static Entry),
    /// An attack with an aim of its own.
    Variant(Arc<Variant>, &'static Entry),
    Incident(&'static Incident),
}

impl Act {
    fn name(&self) -> String {
        match self {
            Self::Attack(entry) => entry.name.to_owned(),
            Self::Variant(variant, _) => format!("variant:{}", variant.name),
            Self::Incident(it) if it.fault => format!("fault:{}", it.name),
            Self::Incident(it) => format!("benign:{}", it.name),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) ground: usize,
    pub(super) act: Act,
    pub(super) seed: u64,
    pub(super) disturbance: Disturbance,
    pub(super) sight: Sight,
}

/// An attack-free run.
#[derive(Clone, Copy, Debug)]
struct Calm {
    ground: usize,
    disturbance: Disturbance,
    sight: Sight,
}

impl Campaign {
    /// Prepares a plan.
    ///
    /// # Errors
    /// [`Error::UnknownPlant`], [`Error::UnknownAttack`]; [`Error::Ground`] when a plant lacks the trigger's signal.
    pub fn new(plan: Plan) -> Result<Self, Error> {
        let grounds: Vec<Ground> =
            plan.plants.iter().map(|name| Ground::named(name)).collect::<Result<_, _>>()?;
        let awaited = plan.trigger.as_ref().and_then(|trigger| trigger.signal());
        let lacks =
            |ground: &&Ground| awaited.is_some_and(|path| ground.plant().catalogue.id(path).is_none());
        if let Some(ground) = grounds.iter().find(lacks) {
            return Err(lacks_trigger(ground));
        }
        let mut attacks = Vec::with_capacity(plan.attacks.len());
        for name in &plan.attacks {
            attacks.push(Entry::known(name)?);
        }
        let mut variants = Vec::with_capacity(plan.variants.len());
        for variant in &plan.variants {
            variants.push((Arc::new(variant.clone()), variant.entry()?));
        }
        let mut jobs = Vec::new();
        for (ground, site) in grounds.iter().enumerate() {
            let incidents = if plan.incidents { site.incidents() } else { &[] };
            let own = variants.iter().filter(|(variant, _)| variant.plant == site.name());
            let acts = attacks
                .iter()
                .map(|entry| Act::Attack(entry))
                .chain(own.map(|(variant, entry)| Act::Variant(Arc::clone(variant), entry)))
                .chain(incidents.iter().map(Act::Incident));
            for act in acts {
                for sight in &plan.views {
                    for disturbance in &plan.disturbances {
                        let seeds = plan.first_seed..plan.first_seed.saturating_add(plan.seeds);
                        let (disturbance, sight) = (*disturbance, *sight);
                        jobs.extend(seeds.map(|seed| Job {
                            ground,
                            act: act.clone(),
                            seed,
                            disturbance,
                            sight,
                        }));
                    }
                }
            }
        }
        Ok(Self { plan, grounds, jobs })
    }

    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.jobs.len()
    }

    /// Its plants.
    #[must_use]
    pub fn grounds(&self) -> &[Ground] {
        &self.grounds
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn key(&self, job: &Job) -> Key {
        Key {
            plant: self.grounds.get(job.ground).map(|ground| ground.name().to_owned()).unwrap_or_default(),
            attack: job.act.name(),
            seed: job.seed,
            disturbance: job.disturbance,
            view: job.sight,
        }
    }

    /// Runs all cells that are not among those `done`, and makes the board of all. The board depends on the plan and
    /// the defender alone: not on the number of threads, nor on what was done before.
    ///
    /// # Errors
    /// [`Error::Defender`] when the trainer fails or its defender does, [`Error::Twin`] when a plant cannot be run.
    pub fn run<T: Trainer>(
        &self,
        trainer: &T,
        done: Vec<Cell>,
        quiet_done: Vec<Quiet>,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Board, Error> {
        self.run_recorded(trainer, done, quiet_done, progress, &|_, _| None)
    }

    /// The same, with somebody who takes down the cells that are run; cells that are `done` already are not.
    ///
    /// # Errors
    /// As [`Campaign::run`].
    pub fn run_recorded<T: Trainer>(
        &self,
        trainer: &T,
        done: Vec<Cell>,
        quiet_done: Vec<Quiet>,
        progress: &(dyn Fn(Progress<'_>) + Sync),
        scribes: &Scribes<'_>,
    ) -> Result<Board, Error> {
        let mut done: BTreeMap<Key, Cell> = done.into_iter().map(|cell| (cell.key.clone(), cell)).collect();
        let open: Vec<Job> =
            self.jobs.iter().filter(|job| !done.contains_key(&self.key(job))).cloned().collect();
        let calm: Vec<Calm> = self
            .calm()
            .into_iter()
            .filter(|calm| !quiet_done.iter().any(|quiet| self.is_of(calm, quiet)))
            .collect();
        let mut wanted: Vec<(usize, Sight)> = open
            .iter()
            .map(|job| (job.ground, job.sight))
            .chain(calm.iter().map(|calm| (calm.ground, calm.sight)))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let learnt = each(&wanted, |(ground, sight)| {
            let learnt = self.learn(trainer, *ground, *sight)?;
            progress(Progress::Learnt(&self.plan.plants[*ground]));
            Ok(((*ground, *sight), learnt))
        })?;
        let learnt: BTreeMap<(usize, Sight), T::Learnt> = learnt.into_iter().collect();
        let fresh = each(&open, |job| {
            let learnt = learnt.get(&(job.ground, job.sight));
            let cell = self.cell(trainer, job, learnt, scribes)?;
            progress(Progress::Cell(&cell));
            Ok(cell)
        })?;
        let quiet = each(&calm, |calm| {
            let learnt = learnt.get(&(calm.ground, calm.sight));
            let quiet = self.quiet(trainer, calm, learnt)?;
            progress(Progress::Quiet(&quiet));
            Ok(quiet)
        })?;
        done.extend(fresh.into_iter().map(|cell| (cell.key.clone(), cell)));
        let cells = self.jobs.iter().filter_map(|job| done.remove(&self.key(job))).collect();
        let quiet_known = quiet_done.into_iter().chain(quiet);
        let mut quiet: Vec<Quiet> =
            quiet_known.filter(|quiet| self.calm().iter().any(|calm| self.is_of(calm, quiet))).collect();
        quiet.sort_by(|a, b| (&a.plant, a.view, a.disturbance).cmp(&(&b.plant, b.view, b.disturbance)));
        Ok(Board::new(self.plan.clone(), cells, quiet))
    }

    fn calm(&self) -> Vec<Calm> {
        if self.plan.quiet == 0 {
            return Vec::new();
        }
        let mut all = Vec::new();
        for ground in 0..self.grounds.len() {
            for sight in &self.plan.views {
                for disturbance in &self.plan.disturbances {
                    all.push(Calm { ground, sight: *sight, disturbance: *disturbance });
                }
            }
        }
        all
    }

    fn is_of(&self, calm: &Calm, quiet: &Quiet) -> bool {
        self.plan.plants.get(calm.ground) == Some(&quiet.plant)
            && calm.sight == quiet.view
            && calm.disturbance == quiet.disturbance
            && quiet.samples == self.plan.quiet
    }

    pub(super) fn ground(&self, index: usize) -> &Ground {
        &self.grounds[index]
    }

    pub(super) fn learn<T: Trainer>(
        &self,
        trainer: &T,
        ground: usize,
        sight: Sight,
    ) -> Result<T::Learnt, Error> {
        let ground = self.ground(ground);
        let mut history = ground.history(self.plan.life, self.plan.learn)?.views(sight.views());
        let fail = |reason| Error::Defender { plant: ground.name().to_owned(), reason };
        trainer.learn(ground, sight, &mut history, self.plan.learn).map_err(fail)
    }

    fn stand<T: Trainer>(
        trainer: &T,
        ground: &Ground,
        sight: Sight,
        learnt: Option<&T::Learnt>,
    ) -> Result<T::Defender, Error> {
        let fail = |reason| Error::Defender { plant: ground.name().to_owned(), reason };
        let learnt = learnt.ok_or_else(|| fail("nothing was learnt".to_owned()))?;
        trainer.defender(ground, sight, learnt).map_err(fail)
    }

    fn range(&self, job: &Job, window: Window, calm: bool) -> Result<Range, Error> {
        let ground = self.ground(job.ground);
        let samples = self.plan.before + self.plan.attack;
        let stretch = Stretch { life: self.plan.life, seed: job.seed, disturbance: job.disturbance, samples };
        let aimed = |entry: &Entry, target: Target| match &self.plan.trigger {
            None => Ok(Scenario::of(entry, &target)),
            Some(trigger) => Scenario::armed(entry, &target, trigger).ok_or_else(|| lacks_trigger(ground)),
        };
        let range = match &job.act {
            _ if calm => ground.range(&stretch, None, Scenario::none())?,
            Act::Attack(entry) => {
                ground.range(&stretch, None, aimed(entry, ground.target(window, job.seed)?)?)?
            }
            Act::Variant(variant, entry) => {
                ground.range(&stretch, None, aimed(entry, variant.target(ground, window, job.seed)?)?)?
            }
            Act::Incident(incident) => {
                ground.range(&stretch, Some((*incident, window.start)), Scenario::none())?
            }
        };
        Ok(range.views(job.sight.views()))
    }

    /// When the attack of a run is on; an incident of the plant waits for nothing.
    fn opened(job: &Job, window: Window, range: &Range) -> Option<Window> {
        match job.act {
            Act::Attack(_) | Act::Variant(..) => range.scenario().window,
            Act::Incident(_) => Some(window),
        }
    }

    /// The judged signal, step by step, when nobody guards, and when the attack began.
    fn course(&self, job: &Job, window: Window, calm: bool) -> Result<(Vec<f64>, Option<Window>), Error> {
        let ground = self.ground(job.ground);
        let mut range = self.range(job, window, calm)?;
        let steps = 0..self.plan.before + self.plan.attack;
        let truth = |_| {
            let sample = range.step(&mut Nobody).map_err(|error| broken(ground, error))?;
            Ok(sample.truth(ground.hazard()).unwrap_or_default())
        };
        let course = steps.map(truth).collect::<Result<Vec<f64>, Error>>()?;
        Ok((course, Self::opened(job, window, &range)))
    }

    pub(super) fn cell<T: Trainer>(
        &self,
        trainer: &T,
        job: &Job,
        learnt: Option<&T::Learnt>,
        scribes: &Scribes<'_>,
    ) -> Result<Cell, Error> {
        let ground = self.ground(job.ground);
        // The step before the window has the index before − 1: a sample stands at the end of its period.
        let window = ground.window(self.plan.before + 1, self.plan.attack);
        let mut cell = self.declared(job, ground)?;
        if !cell.feasible {
            return Ok(cell);
        }
        let (calm, _) = self.course(job, window, true)?;
        let (unguarded, opened) = self.course(job, window, false)?;
        let start = self.plan.before as usize;
        let seconds = |samples: usize| ground.span(samples as u64).as_secs_f64();
        let harm =
            |course: &[f64]| -> f64 { course.iter().skip(start).map(|value| ground.excess(*value)).sum() };
        let deviation = |course: &[f64]| {
            let off = course.iter().zip(&calm).skip(start).map(|(value, calm)| (value - calm).abs());
            off.fold(0.0, f64::max)
        };
        let crossed = unguarded.iter().skip(start).position(|value| ground.excess(*value) > 0.0);
        // What the attacker waited for is not counted.
        let waited = opened.map_or(0.0, |opened| opened.start.since(window.start).as_secs_f64());
        cell.damage_s = crossed.map(|samples| (seconds(samples + 1) - waited).max(0.0));

        let mut defender = Self::stand(trainer, ground, job.sight, learnt)?;
        let mut range = self.range(job, window, false)?;
        let mut scribe = scribes(&cell.key, ground);
        let mut watch = Watch::new(None, ground.span(1));
        let mut course = Vec::with_capacity(unguarded.len());
        let mut loudest: Option<(f64, f64)> = None;
        for step in 0..unguarded.len() {
            let mut overheard = Overheard { defender: &mut defender, scribe: &mut scribe };
            let sample = range.step(&mut overheard).map_err(|error| broken(ground, error))?;
            course.push(sample.truth(ground.hazard()).unwrap_or_default());
            let opened = Self::opened(job, window, &range);
            watch.open(opened);
            if let Some(scribe) = &mut scribe {
                scribe.sample(&sample, opened.is_some_and(|window| window.contains(sample.at)));
            }
            for reaction in &sample.reactions {
                if let Reaction::Finding(finding) = reaction {
                    watch.take(finding);
                }
            }
            if step >= start
                && let Some(heard) = trainer.surprise(&defender)
            {
                loudest = Some(loudest.map_or(heard, |most| if heard.0 > most.0 { heard } else { most }));
            }
        }
        let driven = course.iter().zip(&calm).skip(start).map(|(value, calm)| ground.impact(*calm, *value));
        cell.impact = driven.fold(0.0, f64::max);
        cell.max_deviation = deviation(&course);
        cell.max_deviation_unguarded = deviation(&unguarded);
        let (bare, guarded) = (harm(&unguarded), harm(&course));
        cell.damage_prevented = (bare > 0.0).then(|| (1.0 - guarded / bare).clamp(-1.0, 1.0));
        cell.made_worse = guarded > bare * 1.01;
        cell.false_alarms = watch.false_alarms;
        cell.quiet_s = seconds(start);
        cell.false_alarms_per_week = f64::from(watch.false_alarms) / cell.quiet_s.max(1e-9) * WEEK_S;
        cell.detected = watch.first.is_some();
        let opened = Self::opened(job, window, &range);
        cell.launched = opened.is_some();
        let began = opened.map_or(window.start, |opened| opened.start);
        cell.ttd_s = watch.first.map(|at| at.since(began).as_secs_f64());
        cell.ttd_samples = cell.ttd_s.map(|seen| (seen / seconds(1)) as u64);
        let [early, late] = watch.namings;
        cell.at_30 = early;
        if let Some(naming) = late {
            cell.suspect = Some(naming.suspect);
            cell.suspect_set = naming.suspect_set;
            cell.kind = Some(naming.kind);
            cell.confidence = Some(naming.confidence);
        }
        cell.detectors = watch.detectors;
        cell.loudest = loudest;
        cell.missed = missed(&cell, watch.occupied);
        Ok(cell)
    }

    /// What is known of a cell before it runs.
    fn declared(&self, job: &Job, ground: &Ground) -> Result<Cell, Error> {
        let known = match &job.act {
            Act::Attack(entry) | Act::Variant(_, entry) => {
                let views = job.sight.views();
                let judged = match &job.act {
                    Act::Variant(variant, _) => {
                        let target = variant.target(ground, ground.window(1_000, 1_000), 0)?;
                        Judgement::at(ground, entry, &target, &Resources::ALL, &views)
                    }
                    _ => Judgement::of(ground, entry, &Resources::ALL, &views)?,
                };
                Known {
                    family: entry.family,
                    techniques: entry.techniques,
                    traces: entry.traces.to_vec(),
                    parties: entry.parties.to_vec(),
                    kind: FindingKind::Attack,
                    judged,
                }
            }
            Act::Incident(incident) => of_incident(incident),
        };
        Ok(Cell {
            key: self.key(job),
            family: known.family,
            techniques: known.techniques.iter().map(|id| (*id).to_owned()).collect(),
            feasible: known.judged.feasible,
            detectable: known.judged.detectable,
            launched: true,
            ambiguity: known.judged.ambiguity,
            traces: known.traces,
            detected: false,
            ttd_s: None,
            ttd_samples: None,
            damage_s: None,
            suspect: None,
            suspect_set: Vec::new(),
            confidence: None,
            suspect_true: known.parties,
            kind: None,
            kind_true: known.kind,
            at_30: None,
            max_deviation: 0.0,
            max_deviation_unguarded: 0.0,
            impact: 0.0,
            damage_prevented: None,
            made_worse: false,
            false_alarms: 0,
            quiet_s: 0.0,
            false_alarms_per_week: 0.0,
            detectors: Vec::new(),
            loudest: None,
            missed: None,
        })
    }

    fn quiet<T: Trainer>(
        &self,
        trainer: &T,
        calm: &Calm,
        learnt: Option<&T::Learnt>,
    ) -> Result<Quiet, Error> {
        let ground = self.ground(calm.ground);
        let mut defender = Self::stand(trainer, ground, calm.sight, learnt)?;
        let samples = self.plan.quiet;
        // Beyond all seeds of cells: a stretch of its own.
        let seed = u64::MAX >> 8;
        let stretch = Stretch { life: self.plan.life, seed, disturbance: calm.disturbance, samples };
        let mut range = ground.range(&stretch, None, Scenario::none())?.views(calm.sight.views());
        let mut watch = Watch::new(None, ground.span(1));
        let mut first: Vec<String> = Vec::new();
        for _ in 0..samples {
            let sample = range.step(&mut defender).map_err(|error| broken(ground, error))?;
            for reaction in &sample.reactions {
                if let Reaction::Finding(finding) = reaction {
                    watch.take(finding);
                    if finding.revision == 0 && first.len() < 20 {
                        let loud = finding.evidence.first().map_or("", |it| it.detector.as_str());
                        let at = finding.raised_at.since(ORIGIN).as_secs_f64();
                        first.push(format!("{at:.0} s, {loud}: {}", finding.title));
                    }
                }
            }
        }
        Ok(Quiet {
            plant: ground.name().to_owned(),
            view: calm.sight,
            disturbance: calm.disturbance,
            samples,
            hours: ground.span(samples).as_secs_f64() / 3_600.0,
            alarms: watch.false_alarms,
            first,
        })
    }
}

const WEEK_S: f64 = 604_800.0;

struct Known {
    family: Family,
    techniques: &'static [&'static str],
    traces: Vec<crate::Trace>,
    parties: Vec<Suspect>,
    kind: FindingKind,
    judged: Judgement,
}

/// What is known of an incident of the plant: a broken sensor or actuator accuses itself, all else the plant.
fn of_incident(incident: &Incident) -> Known {
    let mut parties = Vec::new();
    for effect in incident.effects {
        parties.push(match effect {
            Effect::Bias(..) | Effect::Scale(..) | Effect::Frozen(..) => Suspect::Sensor,
            Effect::Weak(..) | Effect::Stuck(..) => Suspect::Actuator,
            Effect::Silence => Suspect::Network,
            Effect::Constant(..) | Effect::Input(..) => Suspect::Fault,
        });
    }
    if !incident.fault {
        parties = vec![Suspect::None];
    } else if !parties.contains(&Suspect::Fault) {
        // Whoever says that something broke is right as well.
        parties.push(Suspect::Fault);
    }
    parties.sort_unstable();
    parties.dedup();
    let kind = if incident.fault { FindingKind::Fault } else { FindingKind::Benign };
    let family = if incident.fault { Family::Fault } else { Family::Benign };
    let judged = Judgement { feasible: true, detectable: incident.fault, ambiguity: Vec::new() };
    Known { family, techniques: &[], traces: Vec::new(), parties, kind, judged }
}

/// Why a cell that counts was not seen.
fn missed(cell: &Cell, occupied: bool) -> Option<String> {
    if cell.detected || !cell.counts() {
        return None;
    }
    if occupied {
        return Some("an earlier finding was still open and took the evidence".to_owned());
    }
    Some(match cell.loudest {
        Some((heard, line)) if line > 0.0 => format!(
            "the loudest detector came to {:.0} % of its alarm line ({heard:.1} of {line:.1})",
            100.0 * heard / line
        ),
        _ => "no detector spoke".to_owned(),
    })
}

fn lacks_trigger(ground: &Ground) -> Error {
    Error::Ground {
        plant: ground.name().to_owned(),
        what: "register of the signal that the trigger waits for",
    }
}

fn broken<E: core::fmt::Display>(ground: &Ground, error: RangeError<E>) -> Error {
    match error {
        RangeError::Defender(error) => {
            Error::Defender { plant: ground.name().to_owned(), reason: error.to_string() }
        }
        RangeError::Message(error) => Error::Range { reason: error.to_string() },
        RangeError::Frame(error) => Error::Range { reason: error.to_string() },
    }
}

/// Maps in order; in parallel with the feature `rayon`, with the same result.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    map: impl Fn(&T) -> Result<R, Error> + Sync + Send,
) -> Result<Vec<R>, Error> {
    #[cfg(feature = "rayon")]
    let items = items.par_iter();
    #[cfg(not(feature = "rayon"))]
    let items = items.iter();
    items.map(map).collect()
}
