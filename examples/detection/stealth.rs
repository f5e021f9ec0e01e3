//! The largest bias of a sensor that an hour does not show, where a false alarm comes once a month: the bank's tests of residuals with a memory
//! against a χ² of each row alone, on three plants (the comparison that Urbina et al., CCS 2016, §5, ask for).

use anyhow::Result;
use serde_json::json;
use twinguard::anomaly::{Asked, Bank, Detector, Recording, registry};
use twinguard::twin::filters::LinearKalman;
use twinguard::twin::simulator::Noise;
use twinguard::types::{Catalogue, Event, Residual, Role, Signal, SignalId, Timestamp};

/// Rows, one a minute: of history, of months of normal running, before a bias, and of a bias.
const HISTORY: usize = 10_080;
const MONTH: usize = 43_200;
const BEFORE: usize = 30;
const HOUR: usize = 60;
/// Rows until plant and filter have settled.
const SETTLING: usize = 500;
const TRIALS: u64 = 40;
/// What is asked of the bank, a day.
const ASKED: f64 = 1.0 / 30.0;
const BANK: [&str; 3] = ["cusum", "ewma", "nis"];
/// The plant differs from its model by this share.
const OFF: f64 = 0.01;
/// A bias above this many deviations is not looked for; the search halves the interval this often.
const LARGEST: f64 = 40.0;
const HALVINGS: usize = 9;

/// A linear plant of which every state has a sensor.
pub struct Plant {
    pub name: &'static str,
    /// Transition by rows, as the filter knows it.
    model: &'static [f64],
    /// Standard deviations of what shakes each state, and of each sensor.
    process: &'static [f64],
    noise: &'static [f64],
}

/// Two tanks in a row, a drive with its winding, and a chain of four heat exchangers.
pub const PLANTS: [Plant; 3] = [
    Plant { name: "tanks", model: &[0.98, 0.0, 0.02, 0.97], process: &[0.02, 0.02], noise: &[0.05, 0.05] },
    Plant {
        name: "drive",
        model: &[0.70, 0.20, 0.0, -0.10, 0.50, 0.0, 0.0, 0.05, 0.99],
        process: &[0.10, 0.20, 0.02],
        noise: &[0.10, 0.10, 0.10],
    },
    Plant {
        name: "exchangers",
        model: &[0.90, 0.05, 0.0, 0.0, 0.08, 0.88, 0.03, 0.0, 0.0, 0.08, 0.88, 0.03, 0.0, 0.0, 0.08, 0.90],
        process: &[0.10; 4],
        noise: &[0.20; 4],
    },
];

impl Plant {
    fn sensors(&self) -> usize {
        self.noise.len()
    }

    fn filter(&self) -> Result<LinearKalman> {
        let n = self.sensors();
        let diagonal = |list: &[f64]| -> Vec<f64> {
            (0..n * n).map(|at| if at / n == at % n { list[at % n] } else { 0.0 }).collect()
        };
        let squares = |list: &[f64]| list.iter().map(|x| x * x).collect::<Vec<f64>>();
        let (process, noise) = (squares(self.process), squares(self.noise));
        let (q, h) = (diagonal(&process), diagonal(&vec![1.0; n]));
        Ok(LinearKalman::new(self.model, &q, &h, &noise, &vec![0.0; n], &q)?)
    }
}

/// A plant that runs beside its filter.
#[derive(Clone)]
struct Running<'p> {
    plant: &'p Plant,
    filter: LinearKalman,
    state: Vec<f64>,
    draw: Noise,
    at: i64,
    signals: Vec<SignalId>,
}

impl<'p> Running<'p> {
    fn new(plant: &'p Plant, seed: u64) -> Result<Self> {
        let n = plant.sensors();
        let signals = (0..n as u32).map(SignalId).collect();
        let (filter, draw) = (plant.filter()?, Noise::new(seed, 5));
        let mut it = Self { plant, filter, state: vec![0.0; n], draw, at: 0, signals };
        for _ in 0..SETTLING {
            it.row(None, |_| ())?;
        }
        Ok(it)
    }

    /// The same from here on with other noise.
    fn otherwise(&self, seed: u64) -> Self {
        Self { draw: Noise::new(seed, 6), ..self.clone() }
    }

    /// A row; a bias is of one sensor, in its unit.
    fn row(&mut self, bias: Option<(usize, f64)>, mut sink: impl FnMut(&Event<'_>)) -> Result<()> {
        let plant = self.plant;
        let moved = plant.model.chunks_exact(plant.sensors()).zip(plant.process).map(|(row, sigma)| {
            let next: f64 = row.iter().zip(&self.state).map(|(a, x)| a * x).sum();
            (1.0 - OFF) * next + sigma * self.draw.gaussian()
        });
        self.state = moved.collect();
        let seen = self.state.iter().zip(plant.noise).enumerate().map(|(sensor, (x, sigma))| {
            let off = bias.filter(|(biased, _)| *biased == sensor).map_or(0.0, |(_, off)| off);
            Some(x + off + sigma * self.draw.gaussian())
        });
        let seen: Vec<Option<f64>> = seen.collect();
        self.at += 60;
        let found = self.filter.step(&seen)?;
        sink(&Event::Residual(Residual {
            at: Timestamp::from_secs(self.at),
            signals: &self.signals,
            innovation: found.innovation,
            expected: &[],
            believed: &[],
            factor: found.factor,
            nis: found.nis,
            dof: found.dof(),
            log_likelihood: found.log_likelihood(),
        }));
        Ok(())
    }
}

/// How far a row is above the bank's own limits (its loudest detector), and its χ².
fn look(bank: &mut Bank, limits: &[f64], event: &Event<'_>) -> [f64; 2] {
    let mut most = f64::MIN;
    bank.observe(event, |seen| most = most.max(seen.score.surprise - limits[seen.score.detector.0 as usize]));
    [most, if let Event::Residual(residual) = event { residual.nis } else { 0.0 }]
}

/// What was found on one plant.
pub struct Found {
    /// False alarms a month at the bank's own limits, where one is asked for.
    own: f64,
    /// By shape (step, ramp), by detector (bank, χ²): the largest bias unseen for an hour, in deviations of the sensor's noise, mean over sensors.
    unseen: [[f64; 2]; 2],
}

pub fn run(plant: &Plant, months: usize, seed: u64) -> Result<Found> {
    let mut catalogue = Catalogue::new();
    for sensor in 0..plant.sensors() {
        catalogue.intern(Signal::new(format!("y{sensor}"), Role::Measurement))?;
    }
    let detectors: Vec<Box<dyn Detector>> = registry::named(&BANK)?;
    let mut recording = Recording::new();
    let mut running = Running::new(plant, seed)?;
    for _ in 0..HISTORY {
        running.row(None, |event| recording.push(event))?;
    }
    let asked = Asked { false_alarms_per_day: ASKED, ..Asked::default() };
    let mut bank = Bank::fit(registry::named(&BANK)?, &recording.history(), &catalogue, &asked)?;
    let thresholds: Vec<f64> = bank.table().iter().map(|entry| entry.threshold).collect();
    // limits for one false alarm a month, from the loudest row of each hour of normal running
    let mut loudest: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..months * MONTH / HOUR {
        let mut most = [f64::MIN; 2];
        for _ in 0..HOUR {
            running.row(None, |event| {
                let seen = look(&mut bank, &thresholds, event);
                most.iter_mut().zip(seen).for_each(|(most, seen)| *most = most.max(seen));
            })?;
        }
        loudest.iter_mut().zip(most).for_each(|(list, most)| list.push(most));
    }
    let own = loudest[0].iter().filter(|most| **most > 0.0).count() as f64 / months as f64;
    let limits = loudest.map(|mut list| {
        list.sort_by(|a, b| b.total_cmp(a));
        list[months]
    });
    let warm = bank.snapshot();
    // Whether half of the trials do not see a bias that is there at once (shape 0) or grows over the hour (1).
    let unseen_at = |which: usize, shape: usize, sensor: usize, size: f64| -> Result<bool> {
        let mut missed = 0;
        for trial in 0..TRIALS {
            let mut bank = Bank::restore(&detectors, &warm)?;
            let mut running = running.otherwise(seed + trial);
            let mut seen = false;
            for t in 0..BEFORE + HOUR {
                let grown =
                    if shape == 0 { 1.0 } else { (t + 1).saturating_sub(BEFORE) as f64 / HOUR as f64 };
                let bias = (t >= BEFORE).then_some((sensor, size * grown * plant.noise[sensor]));
                running.row(bias, |event| {
                    seen |= look(&mut bank, &thresholds, event)[which] > limits[which] && t >= BEFORE;
                })?;
            }
            missed += u64::from(!seen);
        }
        Ok(2 * missed >= TRIALS)
    };
    let mut unseen = [[0.0; 2]; 2];
    for (shape, by_detector) in unseen.iter_mut().enumerate() {
        for (which, sum) in by_detector.iter_mut().enumerate() {
            for sensor in 0..plant.sensors() {
                let (mut low, mut high) = (0.0, LARGEST);
                for _ in 0..HALVINGS {
                    let middle = 0.5 * (low + high);
                    if unseen_at(which, shape, sensor, middle)? { low = middle } else { high = middle }
                }
                *sum += low / plant.sensors() as f64;
            }
        }
    }
    Ok(Found { own, unseen })
}

pub fn print(plant: &Plant, found: &Found, as_json: bool) {
    let Found { own, unseen } = found;
    let ratio = |shape: usize| unseen[shape][0] / unseen[shape][1];
    if as_json {
        println!(
            "{}",
            json!({"plant": plant.name, "own_false_alarms_per_month": own, "step": unseen[0], "ramp": unseen[1]})
        );
    } else {
        let cells = (0..2).map(|s| format!(" {:.2} | {:.2} | {:.2} |", unseen[s][0], unseen[s][1], ratio(s)));
        println!("| {} | {own:.1} |{}", plant.name, cells.collect::<String>());
    }
}

pub fn header() {
    println!(
        "| plant | bank's own limits: false alarms a month, one asked for | step: bank, σ | χ², σ | ratio | ramp over the hour: bank, σ | χ², σ | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
}
