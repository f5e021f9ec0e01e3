//! The adaptive red team: which attack does most harm and stays undetected, found by trying.
//!
//! Every attack is an arm of a bandit; on each arm an evolution strategy moves size, aim, begin and length. The defender is the
//! oracle: what it raised no finding on counts by how far it drove the judged signal towards its limit, what it saw counts
//! less the sooner it was seen. What was found is run again under seeds that the search never saw.
//!
//! Sources: P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine Learning 47,
//! 2002 (UCB1); V. Cicirello, S. Smith, "The max k-armed bandit", AAAI 2005: an arm is worth the best that it gave, not the
//! mean; I. Rechenberg, "Evolutionsstrategie", 1973, ch. 9 ((1+1)-strategy, one success in five).

use std::sync::Arc;

use serde::Serialize;
use twinguard_twin::simulator::Noise;

use super::board::Share;
use super::cell::Cell;
use super::plan::Plan;
use super::run::{Act, Campaign, Job, Trainer, each};
use crate::profile::{Family, Visibility};
use crate::{Entry, Error, Ground, Judgement, Requirement, Resources, Target, Variant};

/// How a search goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Runs a plant; those that check what was found come on top.
    pub runs: u64,
    /// Seed of whatever the search leaves to chance.
    pub seed: u64,
    /// Attacks kept a plant, the worst first.
    pub keep: usize,
    /// Fresh seeds under which each is run again.
    pub checks: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self { runs: 200, seed: 1, keep: 3, checks: 5 }
    }
}

/// An attack that stayed undetected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// How to run it again.
    pub variant: Variant,
    /// How far it drove the judged signal: the share of the way from the untouched plant to the limit; 1 at the limit.
    pub impact: f64,
    /// Whether anything of it could be seen at this size, by the plant file: then the guard lacks something, else the meters do.
    pub detectable: bool,
    /// Under how many fresh seeds it stayed undetected.
    pub held: Share,
    /// The mean impact under those.
    pub impact_held: f64,
}

/// What a search tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Hunt<'a> {
    /// A plant was learnt.
    Learnt(&'a str),
    /// So many runs more are done at a plant; the best impact so far that nobody saw.
    Ran(&'a str, u64, f64),
}

/// Runs of one generation: large enough to keep several cores busy, the same on one.
const GENERATION: u64 = 8;
/// Weight of what is not known of an arm against the best that it gave, in impact.
const CURIOSITY: f64 = 0.2;
/// Sizes lie between a hundredth and twice the standard aim.
const SIZES: (f64, f64) = (-2.0, 0.301);
/// Step of the strategy at first, as a share of each parameter's span.
const STEP: f64 = 0.3;
/// Factors of the step after a success and a failure: their balance is at one success in five.
const AFTER: (f64, f64) = (1.5, 0.9036);

/// What an attack is tried with.
#[derive(Clone, Debug, PartialEq)]
struct Dose {
    /// Decimal logarithm of the size.
    size: f64,
    reversed: bool,
    sensor: usize,
    actuator: usize,
    /// Shares of the plan's window.
    start: f64,
    length: f64,
}

/// One attack with the best dose so far.
struct Arm {
    entry: &'static Entry,
    dose: Dose,
    step: f64,
    tries: u64,
    best: f64,
    /// The best that nobody saw.
    unseen: Option<(f64, Dose)>,
    chance: Noise,
}

impl Campaign {
    /// Looks for the most damaging attacks of the plan that stay undetected, at each plant of it, under its first view,
    /// disturbance and seed. The result depends on plan, search and defender alone, not on the number of threads.
    ///
    /// Attacks that only speak, log in or change files drive no plant and are left out, and those that theory hides from
    /// every detector.
    ///
    /// # Errors
    /// As [`Campaign::run`].
    pub fn search<T: Trainer>(
        &self,
        trainer: &T,
        search: &Search,
        progress: &(dyn Fn(Hunt<'_>) + Sync),
    ) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        for ground in 0..self.grounds().len() {
            found.extend(self.search_at(trainer, search, ground, progress)?);
        }
        Ok(found)
    }

    fn search_at<T: Trainer>(
        &self,
        trainer: &T,
        search: &Search,
        index: usize,
        progress: &(dyn Fn(Hunt<'_>) + Sync),
    ) -> Result<Vec<Found>, Error> {
        let (ground, plan) = (self.ground(index), self.plan());
        let Some(sight) = plan.views.first().copied() else { return Ok(Vec::new()) };
        let target = ground.target(ground.window(plan.before + 1, plan.attack), 0)?;
        let mut arms = arms(ground, plan, search, &target)?;
        if arms.is_empty() {
            return Ok(Vec::new());
        }
        let learnt = self.learn(trainer, index, sight)?;
        progress(Hunt::Learnt(ground.name()));
        let run = |variant: &Variant, seed: u64| -> Result<Cell, Error> {
            let act = Act::Variant(Arc::new(variant.clone()), variant.entry()?);
            let disturbance = plan.disturbances.first().copied().unwrap_or_default();
            let job = Job { ground: index, act, seed, disturbance, sight };
            self.cell(trainer, &job, Some(&learnt), &|_, _| None)
        };
        let mut done = 0;
        while done < search.runs {
            let turns: Vec<(usize, Dose)> =
                (0..GENERATION.min(search.runs - done)).map(|_| next(&mut arms, &target)).collect();
            let variants: Vec<Variant> = turns
                .iter()
                .map(|(arm, dose)| variant(ground, plan, &target, arms[*arm].entry, dose, String::new()))
                .collect();
            let cells = each(&variants, |variant| run(variant, plan.first_seed))?;
            for ((arm, dose), cell) in turns.into_iter().zip(&cells) {
                arms[arm].learn(dose, cell);
            }
            done += cells.len() as u64;
            let best = arms.iter().filter_map(|arm| arm.unseen.as_ref()).map(|(impact, _)| *impact);
            progress(Hunt::Ran(ground.name(), cells.len() as u64, best.fold(0.0, f64::max)));
        }
        let mut kept: Vec<(f64, &Entry, Dose)> = arms
            .iter()
            .filter_map(|arm| arm.unseen.as_ref().map(|(impact, dose)| (*impact, arm.entry, dose.clone())))
            .collect();
        kept.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(b.1.name)));
        kept.truncate(search.keep);
        let mut found = Vec::with_capacity(kept.len());
        for (impact, entry, dose) in kept {
            let name = format!("{}-{}", ground.name(), entry.name);
            let variant = variant(ground, plan, &target, entry, &dose, name);
            let seeds: Vec<u64> =
                (1..=search.checks).map(|turn| plan.first_seed.wrapping_add(turn)).collect();
            let cells = each(&seeds, |seed| run(&variant, *seed))?;
            let unseen: Vec<f64> =
                cells.iter().filter(|cell| !cell.detected).map(|cell| cell.impact).collect();
            let aimed = variant.target(ground, target.window, 0)?;
            let judged = Judgement::at(ground, entry, &aimed, &Resources::ALL, &sight.views());
            found.push(Found {
                impact,
                detectable: judged.detectable,
                held: Share { hits: unseen.len() as u64, of: cells.len() as u64 },
                impact_held: unseen.iter().sum::<f64>() / unseen.len().max(1) as f64,
                variant,
            });
        }
        Ok(found)
    }
}

/// The attacks of the plan that can drive this plant.
fn arms(ground: &Ground, plan: &Plan, search: &Search, target: &Target) -> Result<Vec<Arm>, Error> {
    let drives = |entry: &&Entry| {
        matches!(entry.family, Family::Telemetry | Family::Timing | Family::Commands | Family::Combined)
            && entry.visibility != Visibility::Never
            && entry.requires != Requirement::Mode
    };
    let mut arms = Vec::new();
    for (name, stream) in plan.attacks.iter().zip(0_u64..) {
        let entry = Entry::known(name)?;
        let judged = Judgement::of(ground, entry, &Resources::ALL, &crate::Views::ALL)?;
        if !drives(&entry) || !judged.feasible {
            continue;
        }
        let at = |places: &[crate::Place], own: &crate::Place| {
            places.iter().position(|place| place.signal == own.signal).unwrap_or_default()
        };
        let dose = Dose {
            size: -0.5,
            reversed: false,
            sensor: at(&target.sensors, &target.sensor),
            actuator: at(&target.actuators, &target.actuator),
            start: 0.0,
            length: 1.0,
        };
        arms.push(Arm {
            entry,
            dose,
            step: STEP,
            tries: 0,
            best: f64::NEG_INFINITY,
            unseen: None,
            chance: Noise::new(search.seed, stream.wrapping_add(95_000)),
        });
    }
    Ok(arms)
}

/// The arm with the largest upper bound, and what is tried on it; those of the same generation count as tries already.
fn next(arms: &mut [Arm], target: &Target) -> (usize, Dose) {
    let all = arms.iter().map(|arm| arm.tries).sum::<u64>().max(1) as f64;
    let bound = |arm: &Arm| match arm.tries {
        0 => f64::INFINITY,
        tries => arm.best.max(-1.0) + CURIOSITY * (2.0 * all.ln() / tries as f64).sqrt(),
    };
    let mut chosen = (0, f64::NEG_INFINITY);
    for (at, arm) in arms.iter().enumerate() {
        let bound = bound(arm);
        if bound > chosen.1 {
            chosen = (at, bound);
        }
    }
    let arm = &mut arms[chosen.0];
    arm.tries += 1;
    let first = arm.tries == 1;
    (chosen.0, if first { arm.dose.clone() } else { arm.mutated(target) })
}

impl Arm {
    fn mutated(&mut self, target: &Target) -> Dose {
        let (chance, step) = (&mut self.chance, self.step);
        let mut dose = self.dose.clone();
        let span = SIZES.1 - SIZES.0;
        dose.size = (dose.size + step * span * chance.gaussian()).clamp(SIZES.0, SIZES.1);
        dose.start = (dose.start + step * chance.gaussian()).clamp(0.0, 0.7);
        dose.length = (dose.length + step * chance.gaussian()).clamp(0.05, 1.0);
        // Each of these in one try of six: most tries stay near the best.
        let mut pick = |at: &mut usize, of: usize| {
            let (turn, new) = (chance.uniform(), chance.uniform());
            if turn < 1.0 / 6.0 && of > 0 {
                *at = ((new * of as f64) as usize).min(of - 1);
            }
        };
        pick(&mut dose.sensor, target.sensors.len());
        pick(&mut dose.actuator, target.actuators.len());
        dose.reversed ^= chance.uniform() < 1.0 / 6.0;
        dose
    }

    fn learn(&mut self, dose: Dose, cell: &Cell) {
        let reward = reward(cell);
        if !cell.detected && self.unseen.as_ref().is_none_or(|(impact, _)| cell.impact > *impact) {
            self.unseen = Some((cell.impact, dose.clone()));
        }
        if reward > self.best {
            (self.best, self.dose) = (reward, dose);
            self.step = (self.step * AFTER.0).min(1.0);
        } else {
            self.step = (self.step * AFTER.1).max(0.01);
        }
    }
}

/// The impact of what nobody saw; of what was seen, −1 to 0 the later it was.
fn reward(cell: &Cell) -> f64 {
    match (cell.detected, cell.ttd_samples) {
        (false, _) => cell.impact,
        (true, Some(samples)) => samples as f64 / (samples as f64 + 100.0) - 1.0,
        (true, None) => -1.0,
    }
}

fn variant(
    ground: &Ground,
    plan: &Plan,
    target: &Target,
    entry: &Entry,
    dose: &Dose,
    name: String,
) -> Variant {
    let path = |places: &[crate::Place], at: usize, own: &crate::Place| {
        ground.plant().catalogue.path(places.get(at).unwrap_or(own).signal).to_owned()
    };
    let samples = |share: f64| (share * plan.attack as f64).round() as u64;
    let size = 10.0_f64.powf(dose.size) * if dose.reversed { -1.0 } else { 1.0 };
    Variant {
        name,
        plant: ground.name().to_owned(),
        attack: entry.name.to_owned(),
        sensor: path(&target.sensors, dose.sensor, &target.sensor),
        actuator: path(&target.actuators, dose.actuator, &target.actuator),
        // As many digits as the file shows: what is read back is what was run.
        size: (size * 1e4).round() / 1e4,
        start: samples(dose.start),
        length: samples(dose.length.min(1.0 - dose.start)).max(1),
    }
}

/// A plan that runs what was found again, as text: a regression test of the guard.
///
/// # Errors
/// [`Error::Plan`] when a name cannot be written, which those of a plant file can.
pub fn regression(plan: &Plan, found: &[Found]) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Document<'a> {
        format: u32,
        plants: Vec<&'a str>,
        attacks: [&'a str; 0],
        incidents: bool,
        disturbances: Vec<crate::Disturbance>,
        views: Vec<super::plan::Sight>,
        seeds: u64,
        first_seed: u64,
        life: u64,
        learn: u64,
        before: u64,
        attack: u64,
        variant: Vec<&'a Variant>,
    }
    let mut plants: Vec<&str> = found.iter().map(|found| found.variant.plant.as_str()).collect();
    plants.dedup();
    let document = Document {
        format: 1,
        plants,
        attacks: [],
        incidents: false,
        disturbances: plan.disturbances.iter().take(1).copied().collect(),
        views: plan.views.iter().take(1).copied().collect(),
        seeds: 1,
        first_seed: plan.first_seed,
        life: plan.life,
        learn: plan.learn,
        before: plan.before,
        attack: plan.attack,
        variant: found.iter().map(|found| &found.variant).collect(),
    };
    toml::to_string(&document).map_err(|error| Error::Plan {
        file: "regression".to_owned(),
        line: 1,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(detected: bool, samples: u64, impact: f64) -> Cell {
        let mut cell: Cell = serde_json::from_str(CELL).unwrap();
        (cell.detected, cell.impact) = (detected, impact);
        cell.ttd_samples = detected.then_some(samples);
        cell
    }

    const CELL: &str = r#"{"plant":"p","attack":"a","seed":1,"disturbance":"calm","view":"all","family":"telemetry",
        "techniques":[],"feasible":true,"detectable":true,"ambiguity":[],"traces":[],"detected":false,"ttd_s":null,
        "ttd_samples":null,"damage_s":null,"suspect":null,"suspect_set":[],"confidence":null,"suspect_true":[],
        "kind":null,"kind_true":"attack","at_30":null,"max_deviation":0.0,"max_deviation_unguarded":0.0,
        "damage_prevented":null,"false_alarms":0,"quiet_s":0.0,"false_alarms_per_week":0.0,"detectors":[],
        "loudest":null,"missed":null}"#;

    #[test]
    fn unseen_is_better_than_seen_and_late_than_soon() {
        let order = [cell(true, 1, 9.0), cell(true, 500, 9.0), cell(false, 0, 0.0), cell(false, 0, 0.4)]
            .map(|it| reward(&it));
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }

    #[test]
    fn an_arm_keeps_the_best_that_nobody_saw() {
        let ground = Ground::named("quadruple_tank").unwrap();
        let plan = Plan { attacks: vec!["bias".into(), "covert".into(), "scan".into()], ..Plan::default() };
        let target = ground.target(ground.window(1, 100), 0).unwrap();
        let mut arms = arms(&ground, &plan, &Search::default(), &target).unwrap();
        assert_eq!(arms.len(), 1, "theory hides the covert one, and a scan moves nothing");
        let (arm, first) = next(&mut arms, &target);
        arms[arm].learn(first.clone(), &cell(false, 0, 0.2));
        let (_, second) = next(&mut arms, &target);
        assert_ne!(first, second);
        arms[arm].learn(second, &cell(true, 10, 5.0));
        assert_eq!(arms[arm].unseen, Some((0.2, first.clone())));
        assert_eq!(arms[arm].dose, first, "what was seen is no step forward");
    }

    #[test]
    fn what_was_found_is_a_plan() {
        let found = Found {
            variant: Variant {
                name: "quadruple_tank-bias".into(),
                plant: "quadruple_tank".into(),
                attack: "bias".into(),
                sensor: "tank1.level".into(),
                actuator: "pump1.voltage".into(),
                size: -0.0312,
                start: 12,
                length: 300,
            },
            impact: 0.1,
            detectable: false,
            held: Share { hits: 5, of: 5 },
            impact_held: 0.1,
        };
        let text = regression(&Plan::default(), std::slice::from_ref(&found)).unwrap();
        let plan = Plan::parse(&text, "found.toml").unwrap();
        assert_eq!(plan.variants, [found.variant]);
        assert_eq!(Campaign::new(plan).unwrap().cells(), 1);
    }
}
