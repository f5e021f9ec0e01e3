//! A water network of seven zones and forty channels, a row every quarter of an hour: tanks that pumps fill by level, demands with a day and
//! noise of their own, transfer mains between neighbours, and the pressures that follow from them. Not a model of any real town.

use std::ops::Range;

use twinguard::anomaly::suite::{State, Suite, Training};
use twinguard::twin::simulator::Noise;
use twinguard::types::Timestamp;

use crate::below;

const ZONES: usize = 7;
const MAINS: usize = ZONES - 1;
/// Levels; pump flows, pressures behind the pumps, pressures before them, pressures in the zones; flows of the mains.
pub const CHANNELS: usize = 5 * ZONES + MAINS - 1;
/// Hours between rows, and of the steps within.
const ROW_H: f64 = 0.25;
const STEPS: usize = 5;
/// Rows until levels have forgotten where they began.
const SETTLING: usize = 400;
const STEP_H: f64 = ROW_H / STEPS as f64;
/// Class of the instruments: deviation of their noise as a share of a channel's usual value.
const CLASS: f64 = 0.005;
/// Rows of an attack, and of quiet on either side of it.
const SHORTEST: usize = 32;
const LONGEST: usize = 145;
const QUIET: usize = 96;

/// What somebody does to the plant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Harm {
    /// Nothing.
    None,
    /// A pump stands, whatever it is told.
    PumpOff(usize),
    /// A pump runs, whatever it is told.
    PumpOn(usize),
    /// Water is taken from a zone, as a share of its mean demand.
    Theft(usize, f64),
    /// A main is throttled to this share.
    Throttle(usize, f64),
    /// The controller is told a level that is off by this many metres.
    Level(usize, f64),
}

impl Harm {
    /// One of the kinds.
    pub fn draw(draw: &mut Noise) -> Self {
        let zone = below(draw, ZONES);
        match below(draw, 5) {
            0 => Self::PumpOff(zone),
            1 => Self::PumpOn(zone),
            2 => Self::Theft(zone, draw.between(0.5, 1.0)),
            3 => Self::Throttle(below(draw, MAINS), draw.between(0.0, 0.2)),
            _ => Self::Level(zone, if draw.uniform() < 0.5 { -1.0 } else { 1.0 } * draw.between(1.0, 2.0)),
        }
    }
}

/// Rows with their times.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub times: Vec<Timestamp>,
    pub values: Vec<f64>,
}

impl Rows {
    /// So many rows of normal running.
    pub fn normal(network: &mut Network, rows: usize) -> Self {
        let mut all = Self::default();
        network.run(rows, Harm::None, &mut all);
        all
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * CHANNELS..(at + 1) * CHANNELS]
    }

    pub fn training(&self) -> Training<'_> {
        Training { channels: CHANNELS, values: &self.values, times: Some(&self.times) }
    }

    /// How surprised a suite is by each row, from the first on.
    pub fn surprises(&self, suite: &Suite) -> Vec<f64> {
        let mut state: State = suite.state();
        let rows = self.values.chunks_exact(CHANNELS).zip(&self.times);
        rows.map(|(row, at)| state.observe(suite, Some(*at), row).surprise).collect()
    }
}

/// The network: its constants come from the first seed, its demands and noise from the second.
#[derive(Clone, Debug)]
pub struct Network {
    area: [f64; ZONES],
    demand: [f64; ZONES],
    phase: [f64; ZONES],
    pump: [f64; ZONES],
    friction: [f64; ZONES],
    main: [f64; MAINS],
    level: [f64; ZONES],
    on: [bool; ZONES],
    noise: [f64; ZONES],
    rows: u32,
    draw: Noise,
}

impl Network {
    pub fn new(plant: u64, weather: u64) -> Self {
        let mut draw = Noise::new(plant, 1);
        let mut list = |low: f64, high: f64| std::array::from_fn(|_| draw.between(low, high));
        let demand: [f64; ZONES] = list(60.0, 140.0);
        let excess: [f64; ZONES] = list(1.7, 2.3);
        let mut network = Self {
            area: list(120.0, 260.0),
            phase: list(-1.5, 1.5),
            pump: std::array::from_fn(|zone| demand[zone] * excess[zone]),
            friction: list(0.8, 1.4),
            main: std::array::from_fn(|_| 14.0),
            level: [3.0; ZONES],
            on: [false; ZONES],
            noise: [0.0; ZONES],
            rows: 0,
            draw: Noise::new(weather, 2),
            demand,
        };
        for _ in 0..SETTLING {
            network.row(Harm::None);
        }
        network
    }

    /// The next rows, added to those before.
    pub fn run(&mut self, rows: usize, harm: Harm, to: &mut Rows) {
        for _ in 0..rows {
            to.times.push(Timestamp::from_secs((f64::from(self.rows) * ROW_H * 3600.0) as i64));
            to.values.extend(self.row(harm));
        }
    }

    /// Attacks with quiet before and behind each, until the plant has recovered; and which rows are attacked.
    pub fn attacked(&mut self, attacks: usize, draw: &mut Noise) -> (Rows, Vec<Range<usize>>) {
        let (mut rows, mut windows) = (Rows::default(), Vec::new());
        for _ in 0..attacks {
            self.run(QUIET, Harm::None, &mut rows);
            let (harm, from, length) =
                (Harm::draw(draw), rows.len(), SHORTEST + below(draw, LONGEST - SHORTEST));
            self.run(length, harm, &mut rows);
            windows.push(from..from + length);
            self.run(QUIET, Harm::None, &mut rows);
        }
        (rows, windows)
    }

    fn row(&mut self, harm: Harm) -> [f64; CHANNELS] {
        let (mut flow, mut taken, mut mains) = ([0.0; ZONES], [0.0; ZONES], [0.0; MAINS]);
        for zone in 0..ZONES {
            self.noise[zone] = 0.9 * self.noise[zone] + 0.03 * self.draw.gaussian();
        }
        for step in 0..STEPS {
            let hour = f64::from(self.rows) * ROW_H + step as f64 * STEP_H;
            for zone in 0..ZONES {
                let off = match harm {
                    Harm::Level(at, off) if at == zone => off,
                    _ => 0.0,
                };
                let told = self.level[zone] + off;
                self.on[zone] = if self.on[zone] { told < 4.5 } else { told < 2.0 };
                let runs = match harm {
                    Harm::PumpOff(at) if at == zone => false,
                    Harm::PumpOn(at) if at == zone => true,
                    _ => self.on[zone],
                };
                // The pump's curve: less flow against a higher tank
                flow[zone] = if runs { self.pump[zone] * (1.0 - 0.04 * self.level[zone]) } else { 0.0 };
                let day = std::f64::consts::TAU * (hour - 9.0 + self.phase[zone]) / 24.0;
                let usual = 1.0 + 0.35 * day.sin() + 0.15 * (2.0 * day).cos() + self.noise[zone];
                let stolen = match harm {
                    Harm::Theft(at, share) if at == zone => share,
                    _ => 0.0,
                };
                taken[zone] = self.demand[zone] * (usual + stolen).max(0.0);
                // An empty tank gives nothing
                if self.level[zone] <= 0.05 {
                    taken[zone] = taken[zone].min(flow[zone]);
                }
            }
            for (at, main) in mains.iter_mut().enumerate() {
                let open = match harm {
                    Harm::Throttle(place, share) if place == at => share,
                    _ => 1.0,
                };
                let fall: f64 = self.level[at] - self.level[at + 1];
                *main = open * self.main[at] * fall.abs().sqrt().copysign(fall);
            }
            for zone in 0..ZONES {
                let before = if zone > 0 { mains[zone - 1] } else { 0.0 };
                let behind = mains.get(zone).copied().unwrap_or(0.0);
                let net = flow[zone] - taken[zone] + before - behind;
                self.level[zone] = (self.level[zone] + STEP_H * net / self.area[zone]).clamp(0.0, 6.0);
            }
        }
        self.rows += 1;
        self.seen(&flow, &taken, &mains)
    }

    fn seen(&mut self, flow: &[f64; ZONES], taken: &[f64; ZONES], mains: &[f64; MAINS]) -> [f64; CHANNELS] {
        let all: f64 = flow.iter().sum();
        let mut row = [0.0; CHANNELS];
        let mut place = 0;
        let mut push = |value: f64, usual: f64, draw: &mut Noise| {
            // The last zone's pressure has no instrument: forty channels
            if let Some(field) = row.get_mut(place) {
                *field = value + CLASS * usual * draw.gaussian();
            }
            place += 1;
        };
        let draw = &mut self.draw;
        self.level.iter().for_each(|level| push(*level, 3.0, draw));
        flow.iter().for_each(|flow| push(*flow, 150.0, draw));
        let zones = || self.level.iter().zip(&self.friction);
        for ((level, friction), flow) in zones().zip(flow) {
            push(30.0 + level + friction * (flow / 60.0).powi(2), 35.0, draw);
        }
        for ((_, friction), flow) in zones().zip(flow) {
            push(20.0 - 4.0 * (all / 900.0).powi(2) - 0.5 * friction * (flow / 100.0).powi(2), 18.0, draw);
        }
        mains.iter().for_each(|main| push(*main, 15.0, draw));
        for ((level, friction), taken) in zones().zip(taken) {
            push(30.0 + level - friction * (taken / 60.0).powi(2), 30.0, draw);
        }
        row
    }
}
