//! What happens in the life of each plant, and when.

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use twinguard::twin::Plant;
use twinguard::twin::simulator::{self, Effect, Event, Options, Reference, cooling_loop};
use twinguard::types::{Duration, Timestamp};

/// Central European Time, as POSIX writes it: the plants' local clock.
const ZONE: (&str, &str) = ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3");
/// 2026-03-29 01:00:00 UTC: clocks go forward there.
const SPRING_FORWARD: i64 = 1_774_746_000;
pub(super) const DAY_S: i64 = 86_400;
/// Days of normal history before the first day.
const HISTORY_DAYS: i64 = 28;
/// How often a plant is sampled in this run.
const SAMPLING: Duration = Duration::from_secs(60);

/// What is particular to a plant: which sensor is replaced, which constant ages, how it is run otherwise, what changes unannounced.
struct Particulars {
    reference: fn() -> Option<&'static Reference>,
    replaced: &'static str,
    /// Name and factor.
    aged: (&'static str, f64),
    /// Set-point and where it is held in the other mode.
    mode: (&'static str, f64),
    /// Input and what is added to it.
    regime: (&'static str, f64),
}

/// The plants, by name.
pub(super) const PLANTS: [&str; 3] = ["cooling_loop", "water_network", "hvac_zone"];

fn particulars(name: &str) -> Option<Particulars> {
    Some(match name {
        "cooling_loop" => Particulars {
            reference: || Some(&cooling_loop::REFERENCE),
            replaced: "transformer.oil.temperature",
            aged: ("U_r_W_K", 0.985),
            mode: ("cooler.oil.setpoint", 60.0),
            regime: ("load_K_pu", 0.2),
        },
        "water_network" => Particulars {
            reference: || simulator::reference("water_network"),
            replaced: "station.pressure",
            aged: ("r_transfer", 1.04),
            mode: ("tank1.setpoint", 2.6),
            regime: ("town_L_s", 15.0),
        },
        "hvac_zone" => Particulars {
            reference: || simulator::reference("hvac_zone"),
            replaced: "heater.temperature",
            aged: ("Rih", 1.03),
            mode: ("zone.setpoint", 18.5),
            regime: ("gains_kW", 0.4),
        },
        _ => return None,
    })
}

/// What is done at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The guard's process dies without a word; its newest snapshot is damaged as well, or not.
    Kill {
        damaged: bool,
    },
    /// The line to the plant goes dead, or is back with what was stored meanwhile.
    LineDead,
    LineBack,
    /// The platform's clock is set.
    Clock {
        ahead_s: i64,
    },
    /// Somebody begins to work at the sensor, or has replaced it.
    Work,
    Replaced,
    /// A mode is declared.
    Mode(&'static str),
    /// The model gets parameters of its own, signed.
    Recalibrate,
    /// A changed plant file runs beside the one in force, or takes its place.
    Shadow,
    Reload,
    /// The process is stopped in order and started again as by an upgrade.
    Upgrade,
    /// Nothing that the guard is told of.
    Unannounced,
}

/// An entry of the calendar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) act: Act,
    /// Under which name attacks and false alarms are told, where this is the last act of an event.
    pub(super) event: Option<&'static str>,
}

/// A plant and its calendar.
pub(super) struct Plan {
    pub(super) reference: &'static Reference,
    /// The plant file, sealed as version 1.
    pub(super) plant: Plant,
    pub(super) replaced: &'static str,
    pub(super) aged: (&'static str, f64),
    pub(super) start: Timestamp,
    pub(super) days: i64,
    pub(super) calendar: Vec<Entry>,
    /// From when until when the plant runs as it never did before, and nobody says so.
    pub(super) regime: (Timestamp, Timestamp),
    /// From when until when the line to the plant is dead.
    pub(super) outage: (Timestamp, Timestamp),
    events: Vec<Event>,
    set_points: Vec<(Timestamp, String, f64)>,
}

impl Plan {
    pub(super) fn new(name: &str, days: i64) -> Result<Self> {
        let own = particulars(name)
            .with_context(|| format!("no plant `{name}` here; there are {}", PLANTS.join(", ")))?;
        let reference = (own.reference)().with_context(|| format!("no simulator of `{name}`"))?;
        let mut plant = Plant::parse(reference.plant, reference.name)?;
        plant.time.zone = ZONE.0.to_owned();
        plant.time.sampling = SAMPLING;
        plant.time.stale = plant.time.stale.map(|stale| stale.max(Duration::from_secs(1800)));
        // A minute is integrated in steps of five seconds at least; the twin takes shorter ones where the model asks for them.
        if let Some(dynamics) = &mut plant.dynamics {
            dynamics.step = dynamics.step.max(Duration::from_secs(5));
        }
        let plant = Plant::parse(&plant.to_toml(), "plant.toml")?;

        // Clocks go forward at 45 % of the run; it begins at midnight.
        let start_s = (SPRING_FORWARD - days * DAY_S * 45 / 100).div_euclid(DAY_S) * DAY_S;
        let start = Timestamp::from_secs(start_s);
        // A share of the run, at ten in the morning of that day.
        let at = |share: f64| {
            let day = (share * days as f64) as i64;
            start + Duration::from_secs(day * DAY_S + 10 * 3600)
        };
        let hours = |hours: i64| Duration::from_secs(hours * 3600);
        let run = |instant: Timestamp| Timestamp::ZERO + instant.since(start);
        let (work, regime) = (at(0.28), (at(0.60), at(0.66)));
        let mode = (at(0.37), at(0.43));
        let outage = (at(0.12), at(0.12) + hours(6));
        let sigma = plant.catalogue.id(own.replaced).and_then(|signal| plant.catalogue.signal(signal)?.sigma);
        let minutes = |minutes: i64| Duration::from_secs(minutes * 60);
        let event = |from: Timestamp, until: Option<Timestamp>, ramp: Duration, effect: Effect| Event {
            from: run(from),
            until: until.map(run),
            ramp,
            effects: vec![effect],
        };
        let days_of = |share: f64| Duration::from_secs((share * days as f64 * DAY_S as f64) as i64);
        let replaced = || own.replaced.into();
        let events = vec![
            event(work, Some(work + minutes(40)), Duration::ZERO, Effect::Frozen(replaced())),
            // The new instrument shows a little more than the old one did.
            event(
                work + minutes(40),
                None,
                Duration::ZERO,
                Effect::Bias(replaced(), 1.5 * sigma.unwrap_or(0.0)),
            ),
            event(at(0.48), None, days_of(0.06), Effect::Constant(own.aged.0.into(), own.aged.1)),
            event(regime.0, Some(regime.1), minutes(30), Effect::Input(own.regime.0.into(), own.regime.1)),
        ];
        let rest = reference.set_points.iter().find(|point| point.signal == own.mode.0);
        let rest = rest.map_or(own.mode.1, |point| point.value);
        let set_points = vec![
            (run(mode.0 + minutes(5)), own.mode.0.to_owned(), own.mode.1),
            (run(mode.1 + minutes(5)), own.mode.0.to_owned(), rest),
        ];
        let spring = Timestamp::from_secs(SPRING_FORWARD);
        let mut calendar = Vec::new();
        let mut enter = |at: Timestamp, act: Act, event: Option<&'static str>| {
            calendar.push(Entry { at, act, event });
        };
        enter(at(0.06) + minutes(17), Act::Kill { damaged: false }, Some("kill"));
        enter(outage.0, Act::LineDead, None);
        enter(outage.1, Act::LineBack, Some("outage"));
        enter(at(0.17) + minutes(43), Act::Kill { damaged: true }, Some("kill, damaged snapshot"));
        enter(at(0.21), Act::Clock { ahead_s: -90 }, Some("clock step"));
        enter(at(0.21) + hours(12), Act::Clock { ahead_s: 0 }, None);
        enter(work, Act::Work, None);
        enter(work + minutes(40), Act::Replaced, Some("sensor replaced"));
        enter(at(0.33) + minutes(5), Act::Kill { damaged: false }, None);
        enter(mode.0, Act::Mode("reduced"), Some("declared mode"));
        enter(mode.1, Act::Mode("normal"), None);
        enter(spring, Act::Unannounced, Some("daylight saving"));
        enter(at(0.51) + minutes(31), Act::Kill { damaged: true }, None);
        enter(at(0.55), Act::Recalibrate, Some("recalibration"));
        enter(regime.0, Act::Unannounced, Some("undeclared regime"));
        enter(regime.1, Act::Unannounced, None);
        enter(at(0.71), Act::Shadow, None);
        enter(at(0.71) + hours(48), Act::Reload, Some("model update"));
        enter(at(0.81), Act::Upgrade, Some("upgrade"));
        enter(at(0.88) + minutes(29), Act::Kill { damaged: false }, None);
        enter(at(0.94) + minutes(55), Act::Kill { damaged: true }, None);
        calendar.sort_by_key(|entry| entry.at);
        let (replaced, aged) = (own.replaced, own.aged);
        Ok(Self {
            reference,
            plant,
            replaced,
            aged,
            start,
            days,
            calendar,
            regime,
            outage,
            events,
            set_points,
        })
    }

    /// The plant without anything of that: season, weekends, weather and an operator who moves set-points.
    pub(super) fn calm(&self) -> Self {
        Self {
            calendar: self
                .calendar
                .iter()
                .filter(|entry| entry.event.is_some())
                .map(|entry| Entry { act: Act::Unannounced, ..*entry })
                .collect(),
            events: Vec::new(),
            set_points: Vec::new(),
            plant: self.plant.clone(),
            ..*self
        }
    }

    pub(super) fn samples(&self) -> u64 {
        u64::try_from(self.days * DAY_S / 60).unwrap_or_default()
    }

    pub(super) fn history_samples(&self) -> u64 {
        u64::try_from(HISTORY_DAYS * DAY_S / 60).unwrap_or_default()
    }

    pub(super) fn history_start(&self) -> Timestamp {
        self.start - Duration::from_secs(HISTORY_DAYS * DAY_S)
    }

    /// The simulator's options for the run, or for the history before it.
    pub(super) fn options(&self, history: bool) -> Result<Options> {
        let start = if history { self.history_start() } else { self.start };
        let zone = TimeZone::posix(ZONE.1)?;
        let offset = |at: Timestamp| -> Result<Duration> {
            let second = at.as_nanos().div_euclid(1_000_000_000);
            let offset = zone.to_offset(jiff::Timestamp::from_second(second)?);
            Ok(Duration::from_secs(i64::from(offset.seconds())))
        };
        let spring = Timestamp::from_secs(SPRING_FORWARD);
        let mut ahead = vec![(Timestamp::ZERO, offset(start)?)];
        if spring > start {
            ahead.push((Timestamp::ZERO + spring.since(start), offset(spring)?));
        }
        Ok(Options {
            load_steps: true,
            set_point_changes: true,
            stretch: if history { 1 } else { 2 },
            calendar: start,
            zone: ahead,
            sampling: Some(SAMPLING),
            set_points: if history { Vec::new() } else { self.set_points.clone() },
            events: if history { Vec::new() } else { self.events.clone() },
            ..Options::default()
        })
    }
}
