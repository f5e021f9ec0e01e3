//! Change points: how probable is it that this signal's law began anew a few rows ago?
//!
//! Source: Adams, `MacKay`, *Bayesian Online Changepoint Detection*, 2007, algorithm 1, with the conjugate law of a normal variable of unknown
//! mean and variance (Murphy, *Conjugate Bayesian analysis of the Gaussian distribution*, 2007, §6 and §9: predictive Student). Signals
//! follow themselves, so what is watched is what a first-order autoregression leaves. A change is expected once in a thousand rows; run
//! lengths are told apart up to 96 rows, all longer ones are the law of the history. The statistic is the log-odds of a run of fewer than
//! 32 rows, negative ones cut at 0. Cost: a few logarithms for each of the 96 lengths of each signal. It lies when normal operation
//! changes its law every hour.

use twinguard_types::Symptom;

use crate::{
    archived, row_detector,
    rows::{RowModel, Standard},
};

/// Run lengths told apart.
const RUNS: usize = 96;
/// Rows that make a run a recent change.
const RECENT: usize = 32;
const HAZARD: f64 = 1e-3;
/// Prior of a new law: mean at 0, worth little; variance as in the history, worth few rows.
const KAPPA: f64 = 0.05;
const ALPHA: f64 = 1.0;

/// Bayesian change points of single signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes;

row_detector!(Changes, Model, "changes", Symptom::Residual);

#[derive(Clone, Debug)]
struct Signal {
    rho: f64,
    inverse: f64,
    before: f64,
    /// By run length: ln of its weight, sum and sum of squares of the run's rows. The last stands for all longer runs.
    weight: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

archived!(Signal { rho, inverse, before, weight, sum, squares });

struct Model {
    signals: Vec<Signal>,
    /// ln of the constant part of each run's predictive density.
    constant: Vec<f64>,
    begun: bool,
}

archived!(Model { signals, constant, begun });

/// ln of Student's predictive density after n rows: the part that no row changes.
fn constant(n: f64) -> f64 {
    let alpha = ALPHA + 0.5 * n;
    let kappa = KAPPA + n;
    libm::lgamma(alpha + 0.5) - libm::lgamma(alpha)
        + 0.5 * libm::log(kappa / (core::f64::consts::TAU * (kappa + 1.0)))
}

/// ln of the predictive density of x after n rows of this sum and sum of squares.
fn predictive(x: f64, n: f64, sum: f64, squares: f64, constant: f64) -> f64 {
    let kappa = KAPPA + n;
    let alpha = ALPHA + 0.5 * n;
    let mean = sum / kappa;
    // ½ Σ(x − x̄)² + ½ κ₀ n x̄²/(κ₀ + n), and the prior's own
    let beta = ALPHA + 0.5 * (squares - sum * mean).max(0.0);
    let off = x - mean;
    constant
        - 0.5 * libm::log(beta)
        - (alpha + 0.5) * libm::log1p(kappa * off * off / (2.0 * beta * (kappa + 1.0)))
}

fn normal(x: f64) -> f64 {
    -0.5 * x * x - 0.5 * libm::log(core::f64::consts::TAU)
}

fn add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low < high - 60.0 { high } else { high + libm::log1p(libm::exp(low - high)) }
}

impl Signal {
    fn step(&mut self, x: f64, constants: &[f64]) -> f64 {
        let last = RUNS - 1;
        // how well each run foretold this row; the law of the history does for all long runs
        for n in 0..last {
            self.weight[n] += predictive(x, n as f64, self.sum[n], self.squares[n], constants[n]);
        }
        self.weight[last] += normal(x);
        let fresh = self.weight.iter().copied().fold(f64::MIN, add) + libm::log(HAZARD);
        self.weight[last] = add(self.weight[last], self.weight[last - 1]);
        for n in (1..last).rev() {
            self.weight[n] = self.weight[n - 1];
            self.sum[n] = self.sum[n - 1] + x;
            self.squares[n] = self.squares[n - 1] + x * x;
        }
        self.weight[1..].iter_mut().for_each(|weight| *weight += libm::log1p(-HAZARD));
        (self.weight[0], self.sum[0], self.squares[0]) = (fresh, 0.0, 0.0);
        let total = self.weight.iter().copied().fold(f64::MIN, add);
        self.weight.iter_mut().for_each(|weight| *weight = (*weight - total).max(-700.0));
        let short = self.weight[..RECENT].iter().copied().fold(f64::MIN, add);
        let long = self.weight[RECENT..].iter().copied().fold(f64::MIN, add);
        (short - long).max(0.0)
    }

    fn begin(&mut self) {
        self.weight.fill(-700.0);
        self.weight[RUNS - 1] = 0.0;
    }
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let signals = (0..rows.channels)
            .map(|channel| {
                let x = rows.column(channel);
                let power: f64 = x.iter().map(|x| x * x).sum();
                let rho = (x.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / power.max(1e-12)).clamp(0.0, 1.0);
                let left: f64 = x.windows(2).map(|w| (w[1] - rho * w[0]).powi(2)).sum();
                let deviation = (left / x.len().max(1) as f64).sqrt().max(1e-3);
                let blank = vec![0.0; RUNS];
                let mut signal = Signal {
                    rho,
                    inverse: 1.0 / deviation,
                    before: 0.0,
                    weight: blank.clone(),
                    sum: blank.clone(),
                    squares: blank,
                };
                signal.begin();
                signal
            })
            .collect();
        let constant = (0..RUNS).map(|n| constant(n as f64)).collect();
        Some(Self { signals, constant, begun: false })
    }

    fn statistics(&self) -> usize {
        self.signals.len()
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let begun = core::mem::replace(&mut self.begun, true);
        for ((signal, z), out) in self.signals.iter_mut().zip(z).zip(out) {
            let x = ((z - signal.rho * signal.before) * signal.inverse).clamp(-8.0, 8.0);
            signal.before = *z;
            if begun {
                *out = signal.step(x, &self.constant);
            }
        }
        begun.then_some(0)
    }

    fn begin(&mut self) {
        self.begun = false;
        self.signals.iter_mut().for_each(Signal::begin);
    }

    fn forget(&mut self, channel: usize) {
        if let Some(signal) = self.signals.get_mut(channel) {
            signal.begin();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn the_predictive_density_is_students() {
        // by the parameters of Murphy, §9.3, and Student's density written out
        let rows = [0.3, -0.8, 1.9, 0.4];
        let n = rows.len() as f64;
        let (sum, squares) = (rows.iter().sum::<f64>(), rows.iter().map(|x| x * x).sum::<f64>());
        let mean = sum / n;
        let (kappa, alpha) = (KAPPA + n, ALPHA + n / 2.0);
        let centre = sum / kappa;
        let scatter: f64 = rows.iter().map(|x| (x - mean).powi(2)).sum();
        let beta = ALPHA + 0.5 * scatter + KAPPA * n * mean * mean / (2.0 * (KAPPA + n));
        let (dof, scale) = (2.0 * alpha, beta * (kappa + 1.0) / (alpha * kappa));
        for x in [-3.0, 0.0, 0.5, 4.0_f64] {
            let density = libm::lgamma((dof + 1.0) / 2.0)
                - libm::lgamma(dof / 2.0)
                - 0.5 * libm::log(dof * core::f64::consts::PI * scale)
                - (dof + 1.0) / 2.0 * libm::log1p((x - centre).powi(2) / (dof * scale));
            let got = predictive(x, n, sum, squares, constant(n));
            assert!((got - density).abs() < 1e-9, "{x}: {got} for {density}");
        }
    }

    #[test]
    fn the_recursion_is_the_plain_sum_over_change_points() {
        // one change at most per pair of places: compare with the exhaustive posterior of a short series
        let x = [0.1, -0.3, 0.2, 2.5, 2.2, 2.8, 2.4];
        let blank = vec![0.0; RUNS];
        let mut signal = Signal {
            rho: 0.0,
            inverse: 1.0,
            before: 0.0,
            weight: blank.clone(),
            sum: blank.clone(),
            squares: blank,
        };
        signal.begin();
        let constants: Vec<f64> = (0..RUNS).map(|n| constant(n as f64)).collect();
        let mut odds = 0.0;
        x.iter().for_each(|x| odds = signal.step(*x, &constants));
        // every set of change points: the segment since the last one is short, none at all is the history's law
        let n = x.len();
        let (mut short, mut long) = (0.0, 0.0);
        for set in 0..1_u32 << n {
            // bit k: a new law begins behind row k
            let mut weight = 1.0;
            let (mut run, mut begun) = (Vec::new(), false);
            for (k, x) in x.iter().enumerate() {
                let density = if begun {
                    let sum: f64 = run.iter().sum();
                    let squares: f64 = run.iter().map(|x: &f64| x * x).sum();
                    let n = run.len();
                    predictive(*x, n as f64, sum, squares, constant(n as f64)).exp()
                } else {
                    normal(*x).exp()
                };
                let change = set >> k & 1 == 1;
                if change {
                    weight *= HAZARD * density;
                    (run, begun) = (Vec::new(), true);
                } else {
                    weight *= (1.0 - HAZARD) * density;
                    run.push(*x);
                }
            }
            if begun { short += weight } else { long += weight }
        }
        let naive = (short / long).ln().max(0.0);
        assert!((odds - naive).abs() < 1e-9, "{odds} for {naive}");
    }

    #[test]
    fn a_jump_is_a_change() {
        let mut fitted = testing::fit(&Changes, Plant::new(3).run(4_000));
        let mut plant = Plant::new(4);
        let quiet = testing::loudest(&mut *fitted, &mut plant, 1_000);
        plant.noise = [4.0; testing::SENSORS];
        assert!(testing::loudest(&mut *fitted, &mut plant, 200) > quiet.max(4.0));
    }
}
