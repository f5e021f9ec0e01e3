//! `guard year`: a guard in operation, day after day, with all that happens to one.

mod attack;
mod plan;
mod platform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinguard::anomaly::poisson_interval;
use twinguard::redteam::{Ground, Range, RangeError, Scenario, Views};
use twinguard::twin::simulator::Noise;
use twinguard::types::{Duration, FindingKind, SignalId, Suspect, Timestamp};
use twinguard::{Error, Guard, Operator};

use attack::Attacked;
use plan::{Act, DAY_S, PLANTS, Plan};
use platform::{Honest, Keys, Ledger, Plain, Platform, Release, Told};

/// Run a guard through simulated days with weekends, outages, kills, updates and everything else that happens; attack copies of it on the way.
///
/// Each plant is sampled once a minute and learns from four weeks before the first day. After each event copies of site and guard are
/// attacked, and so are copies of a second run of the same days in which nothing happens. Exits with 1 where a guard raises more than one
/// false alarm a week, loses a receipt, or leaves a journal that does not verify.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// A plant; may be given more than once. All of cooling_loop, water_network, hvac_zone without it.
    #[arg(long = "plant", value_name = "NAME")]
    plants: Vec<String>,
    /// Simulated days, 30 and more: what happens lies at the same shares of them.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(30..=3650))]
    days: i64,
    /// Seed of plant, weather and operator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where journals and snapshots are kept; a folder of the system for temporary files, removed afterwards, without it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Attack nothing.
    #[arg(long)]
    no_attacks: bool,
}

/// An event counts as the last one for what is found within this time of it.
const FOLLOWS: Duration = Duration::from_secs(2 * DAY_S);
/// Copies are attacked so long after an event.
const ATTACKED_AFTER: Duration = Duration::from_secs(3600);
/// Samples between two snapshots.
const SNAPSHOT_EVERY: u64 = 60;
const WEEK_S: f64 = 604_800.0;

/// What a run comes to.
struct Lived {
    found: Vec<Told>,
    ledger: Ledger,
    attacked: Vec<Attacked>,
    kills: u32,
    refused: Vec<String>,
    clamped: u64,
    update: Option<twinguard::shadow::Change>,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<bool> {
    let plants: Vec<&str> = match &arguments.plants[..] {
        [] => PLANTS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let mut kept = true;
    let mut totals = (0_usize, 0.0, 0_u64);
    for plant in plants {
        let started = Instant::now();
        let plan = Plan::new(plant, arguments.days)?;
        let own = std::env::temp_dir().join(format!("twinguard-year-{}", std::process::id()));
        let folder = arguments.out.as_ref().unwrap_or(&own).join(plant);
        if folder.exists() {
            return Err(anyhow!("{}: is there already", folder.display()));
        }
        let lived = live(&plan, arguments, &folder, as_json);
        if arguments.out.is_none() {
            // Nothing but what this run wrote.
            let _ = std::fs::remove_dir_all(&own);
        }
        let [year, calm] = lived?;
        let told = tell(&plan, &year, &calm, started.elapsed().as_secs_f64(), as_json);
        kept &= told.kept;
        totals = (totals.0 + told.false_alarms, totals.1 + told.weeks, totals.2 + year.ledger.lost);
    }
    let bound = poisson_interval(totals.0 as u64).1 / totals.1;
    if as_json {
        println!(
            "{}",
            json!({"summary": {
                "seed": arguments.seed, "days": arguments.days, "false_alarms": totals.0, "plant_weeks": totals.1,
                "per_plant_and_week": totals.0 as f64 / totals.1, "upper_95": bound, "lost_receipts": totals.2, "kept": kept,
            }})
        );
    } else {
        println!(
            "\nTogether: {} false alarms in {:.1} plant-weeks, {:.2} a plant and week, at most {bound:.2} (95 %); {} receipts lost. {}",
            totals.0,
            totals.1,
            totals.0 as f64 / totals.1,
            totals.2,
            if kept { "Kept." } else { "NOT kept." }
        );
    }
    Ok(kept)
}

/// The eventful run and the calm one, side by side.
fn live(plan: &Plan, arguments: &Arguments, folder: &Path, as_json: bool) -> Result<[Lived; 2]> {
    let keys = Keys::new()?;
    let ground = Ground::named(&plan.plant.name)?;
    let bar = progress(&plan.plant.name, plan.history_samples() + 2 * plan.samples(), as_json);
    let learnt = learn(plan, &keys, arguments.seed, &bar)?;
    let calm = plan.calm();
    let attacks = !arguments.no_attacks;
    let one = |plan: &Plan, name: &str| {
        let release = Release::new(&plan.plant, 1, &keys)?;
        let platform = Platform::start(&keys, release, &learnt, &folder.join(name))?;
        days(plan, platform, attacks.then_some(&ground), arguments.seed, &bar)
    };
    let both = std::thread::scope(|scope| {
        let beside = scope.spawn(|| one(&calm, "calm"));
        let year = one(plan, "year");
        let beside = beside.join().map_err(|_| anyhow!("the run beside broke"))?;
        Ok([year?, beside?])
    });
    bar.finish_and_clear();
    both
}

fn range(plan: &Plan, seed: u64, history: bool) -> Result<Range> {
    let site = plan.reference.site(seed, &plan.options(history)?)?;
    let (jitter, origin) = if history { (1_060, plan.history_start()) } else { (2_060, plan.start) };
    Ok(Range::over(&plan.plant, site, Noise::new(seed, jitter), origin, Scenario::none()).views(Views::ALL))
}

/// What is normal, as a snapshot.
fn learn(plan: &Plan, keys: &Keys, seed: u64, bar: &ProgressBar) -> Result<Vec<u8>> {
    let release = Release::new(&plan.plant, 1, keys)?;
    let honest = Honest::new(&release);
    let mut range = range(plan, seed, true)?;
    let mut broken = None;
    let teach = |guard: &mut Guard| -> Result<(), Error> {
        for _ in 0..plan.history_samples() {
            let mut plain = Plain { guard, honest: &honest, ahead: Duration::ZERO };
            match range.step(&mut plain) {
                Ok(_) => bar.inc(1),
                Err(RangeError::Defender(error)) => return Err(error),
                Err(error) => broken = Some(error.to_string()),
            }
        }
        Ok(())
    };
    let guard = release.builder(keys)?.learn(teach)?.build()?;
    match broken {
        Some(reason) => Err(anyhow!("{reason}")),
        None => Ok(guard.snapshot()?),
    }
}

/// All days of one run.
fn days(
    plan: &Plan,
    mut platform: Platform<'_>,
    ground: Option<&Ground>,
    seed: u64,
    bar: &ProgressBar,
) -> Result<Lived> {
    let mut range = range(plan, seed, false)?;
    let signal = plan.plant.catalogue.id(plan.replaced).context("no such sensor")?;
    let mut calendar = plan.calendar.iter().peekable();
    let mut attacks: Vec<(&'static str, Timestamp)> = Vec::new();
    let mut attacked = Vec::new();
    for sample in 0..plan.samples() {
        let now = plan.start + Duration::from_secs(60 * i64::try_from(sample)?);
        while let Some(entry) = calendar.next_if(|entry| entry.at <= now) {
            act(plan, &mut platform, entry.act, now, signal)?;
            if let Some(event) = entry.event {
                attacks.push((event, now + ATTACKED_AFTER));
            }
        }
        if let (Some(ground), Some(due)) = (ground, attacks.iter().position(|(_, at)| *at <= now)) {
            let (event, _) = attacks.remove(due);
            attacked.extend(attack::attack(&range, &platform, ground, (event, now), seed)?);
        }
        let seen = range.step(&mut platform)?;
        platform.store(&seen);
        platform.look(seen.at)?;
        if (sample + 1) % SNAPSHOT_EVERY == 0 {
            platform.keep((sample + 1) % (24 * SNAPSHOT_EVERY) == 0)?;
        }
        bar.inc(1);
    }
    let counters = platform.counters();
    let ledger = platform.audit()?;
    Ok(Lived {
        found: platform.found().cloned().collect(),
        ledger,
        attacked,
        kills: platform.kills,
        refused: platform.refused,
        clamped: counters.clamped,
        update: platform.update,
    })
}

fn act(plan: &Plan, platform: &mut Platform<'_>, act: Act, now: Timestamp, sensor: SignalId) -> Result<()> {
    match act {
        Act::Kill { damaged } => platform.kill(damaged),
        Act::LineDead => {
            platform.line_dead();
            Ok(())
        }
        Act::LineBack => platform.line_back(now),
        Act::Clock { ahead_s } => {
            platform.set_clock(ahead_s);
            Ok(())
        }
        Act::Work => {
            let until = now + Duration::from_secs(3600);
            platform.operator(now, Operator::Maintenance { until, signals: &[sensor] })
        }
        Act::Replaced => platform.operator(now, Operator::SensorReplaced { signal: sensor }),
        Act::Mode(mode) => platform.operator(now, Operator::Mode { mode }),
        Act::Recalibrate => platform.recalibrate(now, plan.aged),
        Act::Shadow => platform.shadow(now, plan.aged),
        Act::Reload => platform.reload(now, plan.aged),
        Act::Upgrade => platform.upgrade(),
        Act::Unannounced => Ok(()),
    }
}

/// What a finding is, seen from outside.
struct Judged<'a> {
    told: &'a Told,
    follows: Option<&'static str>,
    /// It says what is so: the line is dead, or the plant does what it never did, and neither is called an attack.
    is_true: bool,
}

fn judge<'a>(plan: &Plan, lived: &'a Lived) -> Vec<Judged<'a>> {
    let judged = |told: &'a Told| {
        let mut before = plan.calendar.iter().rev().filter(|entry| entry.at <= told.raised_at);
        let last = before.find(|entry| entry.event.is_some());
        let follows = last.filter(|entry| told.raised_at.since(entry.at) <= FOLLOWS).and_then(|it| it.event);
        let regime = (plan.regime.0..plan.regime.1).contains(&told.raised_at);
        let dead =
            told.suspect == Suspect::Network && (plan.outage.0..plan.outage.1).contains(&told.raised_at);
        Judged { told, follows, is_true: (regime || dead) && told.kind != FindingKind::Attack }
    };
    lived.found.iter().map(judged).collect()
}

struct Outcome {
    kept: bool,
    false_alarms: usize,
    weeks: f64,
}

fn tell(plan: &Plan, year: &Lived, calm: &Lived, wall_s: f64, as_json: bool) -> Outcome {
    let name = &plan.plant.name;
    let weeks = plan.days as f64 * DAY_S as f64 / WEEK_S;
    let judged = judge(plan, year);
    let false_alarms = judged.iter().filter(|it| !it.is_true).count();
    let bound = poisson_interval(false_alarms as u64).1 / weeks;
    let Ledger { leaves, receipts, lost, checkpoints, broken } = &year.ledger;
    let kept = false_alarms as f64 <= weeks && *lost == 0 && broken.is_none();
    let day = |at: Timestamp| at.since(plan.start).as_secs_f64() / DAY_S as f64;
    // What both runs saw of each attack, by attack.
    let mut table: BTreeMap<&str, [[usize; 3]; 2]> = BTreeMap::new();
    for (side, lived) in [year, calm].into_iter().enumerate() {
        for it in &lived.attacked {
            let row = &mut table.entry(it.attack).or_default()[side];
            let counted = [1, usize::from(it.delay_s.is_some()), usize::from(it.named)];
            row.iter_mut().zip(counted).for_each(|(sum, one)| *sum += one);
        }
    }
    if as_json {
        for it in &judged {
            let Told { raised_at, title, suspect, element, kind, detectors, summary, signals, .. } = it.told;
            println!(
                "{}",
                json!({"finding": {
                    "plant": name, "day": day(*raised_at), "title": title, "suspect": suspect, "element": element, "kind": kind,
                    "detectors": detectors, "signals": signals, "summary": summary, "follows": it.follows, "false_alarm": !it.is_true,
                }})
            );
        }
        for (run, lived) in [("year", year), ("calm", calm)] {
            for it in &lived.attacked {
                println!("{}", json!({"attack": {"plant": name, "run": run, "it": it.json()}}));
            }
        }
        println!(
            "{}",
            json!({"plant": {
                "name": name, "days": plan.days, "false_alarms": false_alarms, "per_week": false_alarms as f64 / weeks,
                "upper_95": bound, "calm_false_alarms": calm.found.len(), "true_findings": judged.len() - false_alarms,
                "leaves": leaves, "receipts": receipts, "lost_receipts": lost, "checkpoints": checkpoints,
                "journal": broken.as_deref().unwrap_or("verified"), "kills": year.kills, "refused_snapshots": year.refused.len(),
                "clamped": year.clamped, "attacks": table, "update": year.update, "wall_s": wall_s, "kept": kept,
            }})
        );
        return Outcome { kept, false_alarms, weeks };
    }
    println!("\n{name}: {} days at one sample a minute, in {wall_s:.0} s", plan.days);
    println!(
        "  {false_alarms} false alarms in {weeks:.1} weeks, {:.2} a week, at most {bound:.2} (95 %); {} where nothing happened; {} said what was so",
        false_alarms as f64 / weeks,
        calm.found.len(),
        judged.len() - false_alarms
    );
    println!(
        "  {leaves} leaves, {receipts} receipts, {lost} lost; {checkpoints} checkpoints; journal {}",
        broken.as_deref().unwrap_or("verified from the first day to the last")
    );
    println!(
        "  {} kills, {} damaged snapshots passed over, {} inputs at a time that lay back",
        year.kills,
        year.refused.len(),
        year.clamped
    );
    if let Some(update) = &year.update {
        println!(
            "  model update: {} findings kept, {} gained, {} lost in two days of shadow",
            update.kept.len(),
            update.gained.len(),
            update.lost.len()
        );
    }
    for it in &judged {
        let what = if it.is_true { "told" } else { "FALSE" };
        println!(
            "  day {:5.2} {what}: {} ({}, {}; {}) after {}",
            day(it.told.raised_at),
            it.told.title,
            it.told.element.as_deref().unwrap_or(it.told.suspect.as_str()),
            it.told.kind.as_str(),
            it.told.detectors.join(" "),
            it.follows.unwrap_or("nothing")
        );
    }
    for it in &calm.found {
        println!(
            "  day {:5.2} where nothing happened: {} ({}; {})",
            day(it.raised_at),
            it.title,
            it.element.as_deref().unwrap_or(it.suspect.as_str()),
            it.detectors.join(" ")
        );
    }
    if table.is_empty() {
        return Outcome { kept, false_alarms, weeks };
    }
    println!("  attack                seen, named after events      where nothing happened");
    for (attack, [[all, seen, named], [calm_all, calm_seen, calm_named]]) in &table {
        println!(
            "  {attack:20}  {seen} and {named} of {all:<12}         {calm_seen} and {calm_named} of {calm_all}"
        );
    }
    for it in &year.attacked {
        let twin = calm.attacked.iter().find(|other| (other.event, other.attack) == (it.event, it.attack));
        if twin.is_some_and(|twin| (twin.delay_s.is_some(), twin.named) != (it.delay_s.is_some(), it.named)) {
            println!("  other than calm: {} after {}: {}", it.attack, it.event, it.json());
        }
    }
    Outcome { kept, false_alarms, weeks }
}

fn progress(name: &str, length: u64, as_json: bool) -> ProgressBar {
    use std::io::IsTerminal;
    if as_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length).with_message(name.to_owned());
    ProgressStyle::with_template("{msg} {bar:40} {percent:>3} % {eta}")
        .into_iter()
        .for_each(|style| bar.set_style(style));
    bar
}
