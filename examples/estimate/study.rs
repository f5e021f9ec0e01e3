//! How often does each defence see false data that leave no residual? Drawn attacks, counted, with confidence.
//!
//! On the DC model of each grid (all injections and from-end flows, σ 0.01 pu). A draw: one bus, a shift of 0.02 to 0.2 rad
//! either way, fresh noise, fresh loads. An attacker who is *aware* knows the defence and avoids it as well as can be.
//! Every test of residuals may raise one false alarm in twenty scans: half by χ², half by the largest normalised residual.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;
use twinguard::twin::grid::{self, DcModel, Forecast, Smoothing};
use twinguard::twin::simulator::Noise;

const SIGMA: f64 = 0.01;
/// False alarms of each defence, per scan.
const LEVEL: f64 = 0.05;
/// Scans before the forecaster is attacked: four days of quarter hours.
const HISTORY: usize = 384;
/// Scans over which a slow attack grows.
const RAMP: usize = 48;
/// Attacks drawn on one history of loads.
const SHARED: usize = 20;

/// Counts of one defence against one attacker.
struct Cell {
    defence: &'static str,
    attacker: &'static str,
    draws: usize,
    detected: usize,
    infeasible: usize,
    clean: usize,
    false_alarms: usize,
}

/// Wilson's interval of a rate (1927), 95 %.
fn interval(hits: usize, draws: usize) -> (f64, f64) {
    if draws == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (draws as f64, 1.959_963_984_540_054);
    let rate = hits as f64 / n;
    let middle = (rate + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Whether the residuals of these values are too large for this model.
fn alarm(model: &DcModel, values: &[f64]) -> bool {
    let (_, residual) = model.estimate(values);
    let objective: f64 = residual.iter().map(|r| (r / SIGMA) * (r / SIGMA)).sum();
    model.dof() > 0
        && (objective > grid::chi_squared_quantile(model.dof(), 1.0 - LEVEL / 2.0)
            || model.largest_residual(&residual, SIGMA).1
                > grid::two_sided_quantile(LEVEL / 2.0 / model.meters() as f64))
}

struct Study<'a> {
    model: &'a DcModel,
    /// Angles of the operating point.
    base: &'a [f64],
    noise: Noise,
    cells: Vec<Cell>,
}

impl Study<'_> {
    fn count(
        &mut self,
        defence: &'static str,
        attacker: &'static str,
        outcome: Option<bool>,
        clean: Option<bool>,
    ) {
        let known = |cell: &&mut Cell| cell.defence == defence && cell.attacker == attacker;
        let cell = match self.cells.iter_mut().find(known) {
            Some(cell) => cell,
            None => {
                let zero = (0, 0, 0, 0, 0);
                let (draws, detected, infeasible, clean, false_alarms) = zero;
                self.cells.push(Cell { defence, attacker, draws, detected, infeasible, clean, false_alarms });
                let last = self.cells.len() - 1;
                &mut self.cells[last]
            }
        };
        cell.draws += 1;
        cell.detected += usize::from(outcome == Some(true));
        cell.infeasible += usize::from(outcome.is_none());
        cell.clean += usize::from(clean.is_some());
        cell.false_alarms += usize::from(clean == Some(true));
    }

    fn noisy(&mut self, model: &DcModel, angles: &[f64]) -> Vec<f64> {
        model.values(angles).into_iter().map(|value| value + SIGMA * self.noise.gaussian()).collect()
    }

    /// One bus, one shift.
    fn shift(&mut self) -> Vec<f64> {
        let states = self.base.len();
        let mut change = vec![0.0; states];
        let size = self.noise.between(0.02, 0.2);
        let sign = if self.noise.uniform() < 0.5 { -1.0 } else { 1.0 };
        change[((self.noise.uniform() * states as f64) as usize).min(states - 1)] = sign * size;
        change
    }

    fn residual_tests(&mut self, draws: usize, moving: &[usize], trusted: &[usize], some: &[usize]) {
        let model = self.model.clone();
        for _ in 0..draws {
            let clean = self.noisy(&model, self.base);
            let change = self.shift();
            let add = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
            let attack = model.values(&change);
            let quiet = alarm(&model, &clean);
            self.count("residuals alone", "any", Some(alarm(&model, &add(&clean, &attack))), Some(quiet));

            for (defence, list) in
                [("trusted: a tenth of a basic set", some), ("trusted: a basic set", trusted)]
            {
                // Trusted meters stay as they are.
                let held = |attack: &[f64]| {
                    let mut held = attack.to_vec();
                    list.iter().for_each(|meter| held[*meter] = 0.0);
                    held
                };
                let seen = alarm(&model, &add(&clean, &held(&attack)));
                self.count(defence, "unaware", Some(seen), Some(quiet));
                let hidden = model.unnoticed(&change, list);
                let size = hidden.iter().fold(0.0, |size: f64, entry| size.max(entry.abs()));
                let outcome =
                    (size > 1e-6).then(|| alarm(&model, &add(&clean, &held(&model.values(&hidden)))));
                self.count(defence, "aware", outcome, Some(quiet));
            }

            for (defence, chosen) in
                [("moving: half of the lines", None), ("moving: lines by rank", Some(moving))]
            {
                let mut factors = vec![1.0; model.lines()];
                for (line, factor) in factors.iter_mut().enumerate() {
                    let moves = match chosen {
                        Some(lines) => lines.contains(&line),
                        None => self.noise.uniform() < 0.5,
                    };
                    if moves {
                        *factor = match chosen {
                            Some(_) => {
                                let size = self.noise.between(0.1, 0.2);
                                if self.noise.uniform() < 0.5 { 1.0 - size } else { 1.0 + size }
                            }
                            // The same step for every line, as one would do without thinking of ranks.
                            None => {
                                if self.noise.uniform() < 0.5 {
                                    0.8
                                } else {
                                    1.2
                                }
                            }
                        };
                    }
                }
                let moved = model.moved(&factors);
                let clean = self.noisy(&moved, self.base);
                let seen = alarm(&moved, &add(&clean, &attack));
                let quiet = alarm(&moved, &clean);
                self.count(defence, "knows the grid before the move", Some(seen), Some(quiet));
            }
        }
    }

    /// Loads that wander around a day's curve; the forecaster learns them from estimates, then an attack comes.
    fn forecasts(&mut self, draws: usize) {
        let states = self.base.len();
        let limit = grid::two_sided_quantile(LEVEL / states as f64);
        let global = grid::chi_squared_quantile(states, 1.0 - LEVEL);
        let model = self.model.clone();
        let mut done = 0;
        while done < draws {
            let mut forecast = Forecast::new(states, Smoothing::default());
            let mut wander = vec![0.0; states];
            let scan = |study: &mut Self, wander: &mut [f64], step: usize, change: &[f64]| -> Vec<f64> {
                let day = 1.0 + 0.15 * (step as f64 * core::f64::consts::TAU / 96.0).sin();
                wander.iter_mut().for_each(|w| *w = 0.98 * *w + 0.004 * study.noise.gaussian());
                let angles: Vec<f64> = study
                    .base
                    .iter()
                    .zip(wander.iter())
                    .zip(change)
                    .map(|((base, wander), change)| base * day * (1.0 + wander) + change)
                    .collect();
                let values = study.noisy(&model, &angles);
                model.estimate(&values).0
            };
            let zero = vec![0.0; states];
            let mut quiet: Vec<(bool, bool)> = Vec::new();
            let judge = |found: &[f64]| {
                let sum: f64 = found.iter().map(|entry| entry * entry).sum();
                (sum > global, found.iter().any(|entry| entry.abs() > limit))
            };
            for step in 0..HISTORY {
                let state = scan(self, &mut wander, step, &zero);
                if let Some(found) = forecast.observe(&state) {
                    quiet.push(judge(found));
                }
            }
            let own = quiet.len() / SHARED;
            for turn in 0..SHARED.min(draws - done) {
                let change = self.shift();
                // Every attack meets the same learnt forecaster.
                let state = scan(self, &mut wander.clone(), HISTORY, &change);
                let sudden = forecast.clone().observe(&state).map_or((false, false), judge);
                let clean = quiet.get(turn * own).copied();
                self.count("forecast: all buses together", "unaware", Some(sudden.0), clean.map(|c| c.0));
                self.count("forecast: each bus", "unaware", Some(sudden.1), clean.map(|c| c.1));
                let (mut slow, mut later) = (forecast.clone(), wander.clone());
                let mut seen = false;
                for step in 1..=RAMP {
                    let share: Vec<f64> = change.iter().map(|c| c * step as f64 / RAMP as f64).collect();
                    let state = scan(self, &mut later, HISTORY + step - 1, &share);
                    // The same false alarms over the whole ramp as over one scan.
                    let bound = grid::two_sided_quantile(LEVEL / (RAMP * states) as f64);
                    seen |= slow.observe(&state).is_some_and(|found| found.iter().any(|e| e.abs() > bound));
                }
                self.count("forecast: each bus", "aware: grows over 48 scans", Some(seen), None);
            }
            done += SHARED.min(draws - done);
        }
    }
}

pub fn run(files: &[PathBuf], draws: usize, seed: u64, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(files.len() as u64), target);
    for (number, file) in files.iter().enumerate() {
        let named = || file.display().to_string();
        let case = super::read(file)?;
        let model = DcModel::new(&case.grid).with_context(named)?;
        let base: Vec<f64> = match &case.truth {
            Some((_, angles)) => {
                // The model's reference stands at 0.
                let reference = (0..angles.len()).find(|bus| !model.states().contains(bus)).unwrap_or(0);
                model.states().iter().map(|bus| angles[*bus] - angles[reference]).collect()
            }
            None => vec![0.0; model.states().len()],
        };
        let moving = model.moving_target_lines();
        // Injections and flows cost the same; an order without a pattern spreads them over the grid.
        let cost = |meter: usize| (meter as f64 * 0.618_033_988_749_894_8).fract();
        let trusted = model.trusted_meters(cost, usize::MAX);
        let some = &trusted[..trusted.len().div_ceil(10)];
        let noise = Noise::new(seed, number as u64);
        let mut study = Study { model: &model, base: &base, noise, cells: Vec::new() };
        study.residual_tests(draws, &moving.lines, &trusted, some);
        study.forecasts(draws);
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !json {
            writeln!(
                out,
                "{name}: {} buses, {} meters, {} trusted of a basic set of {}; {} of {} lines move, rank {} of {}, hidden {}",
                case.grid.buses().len(),
                model.meters(),
                some.len(),
                trusted.len(),
                moving.lines.len(),
                model.lines(),
                moving.rank,
                2 * model.states().len(),
                moving.hidden
            )?;
        }
        for cell in &study.cells {
            let Cell { defence, attacker, draws, detected, infeasible, clean, false_alarms } = cell;
            let feasible = draws - infeasible;
            let (low, high) = interval(*detected, feasible);
            let rate = if feasible == 0 { None } else { Some(*detected as f64 / feasible as f64) };
            if json {
                let line = json!({
                    "grid": name, "defence": defence, "attacker": attacker, "draws": draws, "infeasible": infeasible,
                    "detected": detected, "missed": feasible - detected, "rate": rate, "ci95": [low, high],
                    "clean": clean, "false_alarms": false_alarms, "seed": seed,
                    "moving_lines": moving.lines.len(), "hidden_dimension": moving.hidden,
                });
                writeln!(out, "{line}")?;
            } else {
                let shown = rate.map_or_else(
                    || "no such attack".to_owned(),
                    |rate| format!("{rate:.3} ({low:.3} to {high:.3}), {} missed", feasible - detected),
                );
                let alarms = if *clean == 0 {
                    String::new()
                } else {
                    format!(", false alarms {false_alarms}/{clean}")
                };
                writeln!(out, "  {defence:<32} {attacker:<32} {shown}{alarms}")?;
            }
        }
        bar.inc(1);
    }
    Ok(())
}
