//! A grid that is watched scan by scan: what does not fit goes to detectors as residuals.
//!
//! Sources: A. Monticelli, Proc. IEEE 88 (2000) 262 (real-time modelling of a network, estimate and bad data scan by scan);
//! the forecast is [`Forecast`]'s. Two kinds of [`Residual`] come out: of each meter, its residual with the covariance of
//! [`Estimator::normalised_residuals`]; of each bus, how its state moved against its own forecast, which shows false data
//! that leaves no residual.

use twinguard_types::{Residual, SignalId, Timestamp};

use super::{Case, Estimator, Fit, Forecast, Options, Smoothing, Start};
use crate::Error;

/// The estimator and the forecaster of one grid.
///
/// ```
/// use twinguard_twin::grid::{Case, Monitor, Smoothing};
/// use twinguard_types::{SignalId, Timestamp};
///
/// let case = Case::parse(r#"{"baseMVA": 100, "bus": {"type": [3, 1]},
///     "branch": {"f": [0], "t": [1], "r": [0.01], "x": [0.1]},
///     "measurement_order": [["v_bus", [0, 1]], ["p_from", [0]], ["q_from", [0]], ["p_bus", [1]]],
///     "z_pu": [1.0, 0.99, 0.50, 0.0, -0.4975], "sigma_pu": [0.004, 0.004, 0.01, 0.01, 0.01]}"#)?;
/// let signals = (0..5).map(SignalId).collect();
/// let mut monitor = Monitor::new(&case, signals, Smoothing::default())?;
/// monitor.scan(&case.values)?;
/// let mut lying = case.values.clone();
/// lying[2] += 0.3;
/// monitor.scan(&lying)?;
/// let mut worst = (SignalId(0), 0.0);
/// monitor.each_meter(Timestamp::ZERO, |residual| {
///     if residual.nis > worst.1 {
///         worst = (residual.signals[0], residual.nis);
///     }
/// });
/// assert!(worst.1 > 100.0 && [2, 4].contains(&worst.0.0), "the flow or what it contradicts");
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    estimator: Estimator,
    forecast: Forecast,
    /// Signal of each meter.
    signals: Vec<SignalId>,
    /// For each bus the signals that are measured at it.
    around: Vec<Vec<SignalId>>,
    residuals: Vec<Option<f64>>,
    state: Vec<f64>,
    /// One normalised innovation a state, angles then magnitudes; empty while the forecaster warms up.
    innovations: Vec<f64>,
    started: bool,
}

impl Monitor {
    /// Watches the grid of a case; `signals` names each of its meters.
    ///
    /// # Errors
    /// As [`Estimator::new`], and [`Error::Dimension`] for another number of signals than meters.
    pub fn new(case: &Case, signals: Vec<SignalId>, smoothing: Smoothing) -> Result<Self, Error> {
        if signals.len() != case.meters.len() {
            let (expected, found) = (case.meters.len(), signals.len());
            return Err(Error::Dimension { what: "signals", expected, found });
        }
        let estimator = case.estimator()?;
        let buses = case.grid.buses().len();
        let mut around = vec![Vec::new(); buses];
        for (meter, signal) in case.meters.iter().zip(&signals) {
            around[meter.quantity.bus(&case.grid)].push(*signal);
        }
        Ok(Self {
            forecast: Forecast::new(2 * buses, smoothing),
            residuals: Vec::with_capacity(signals.len()),
            state: vec![0.0; 2 * buses],
            innovations: Vec::with_capacity(2 * buses),
            started: false,
            estimator,
            signals,
            around,
        })
    }

    /// Takes in one value a meter; from the second scan on it starts from the last estimate.
    ///
    /// # Errors
    /// As [`Estimator::estimate`]; the forecast is left as it was.
    pub fn scan(&mut self, values: &[f64]) -> Result<Fit, Error> {
        let start = if self.started { Start::Last } else { Start::Flat };
        self.started = false;
        let fit = self.estimator.estimate(values, start, &Options::default())?;
        self.started = true;
        self.estimator.normalised_residuals(&mut self.residuals);
        let (angles, magnitudes) = self.state.split_at_mut(self.estimator.angles_rad().len());
        angles.copy_from_slice(self.estimator.angles_rad());
        magnitudes.copy_from_slice(self.estimator.magnitudes_pu());
        self.innovations.clear();
        self.innovations.extend(self.forecast.observe(&self.state).into_iter().flatten());
        Ok(fit)
    }

    /// The estimator with the last estimate.
    #[must_use]
    pub fn estimator(&self) -> &Estimator {
        &self.estimator
    }

    /// Shows the last scan's residual of each meter that is not critical, in its own unit, with its own standard deviation.
    pub fn each_meter(&self, at: Timestamp, mut show: impl FnMut(Residual<'_>)) {
        for (meter, (signal, normal)) in self.signals.iter().zip(&self.residuals).enumerate() {
            if let Some(normal) = normal {
                let innovation = self.estimator.residual(meter);
                let sigma = if *normal == 0.0 { 1.0 } else { innovation / normal };
                show(residual(at, core::slice::from_ref(signal), &[innovation], &[sigma], normal * normal));
            }
        }
    }

    /// Shows how each bus moved against its forecast: innovations of angle and magnitude (0 where held) in standard deviations, with
    /// the first signals measured at the bus. Nothing while the forecaster warms up, and nothing of a bus where fewer than
    /// two signals are measured.
    pub fn each_bus(&self, at: Timestamp, mut show: impl FnMut(Residual<'_>)) {
        let buses = self.around.len();
        let Some((angles, magnitudes)) = self.innovations.split_at_checked(buses) else { return };
        for ((signals, angle), magnitude) in self.around.iter().zip(angles).zip(magnitudes) {
            if let Some(signals) = signals.get(..2) {
                let nis = angle * angle + magnitude * magnitude;
                show(residual(at, signals, &[*angle, *magnitude], &[1.0, 0.0, 1.0], nis));
            }
        }
    }
}

/// A residual of one or two entries whose factor is diagonal.
fn residual<'a>(
    at: Timestamp,
    signals: &'a [SignalId],
    innovation: &'a [f64],
    factor: &'a [f64],
    nis: f64,
) -> Residual<'a> {
    let dof = innovation.len();
    let spread: f64 = factor.iter().filter(|entry| **entry > 0.0).map(|entry| libm::log(*entry)).sum();
    let log_likelihood = -0.5 * (nis + dof as f64 * libm::log(2.0 * core::f64::consts::PI)) - spread;
    Residual { at, signals, innovation, expected: &[], believed: &[], factor, nis, dof, log_likelihood }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Branch, Bus, BusKind, Grid, Meter, Quantity, Side};
    use crate::noise::Noise;

    #[test]
    fn false_data_without_a_residual_shows_at_its_bus() {
        let mut buses = vec![Bus::default(); 4];
        buses[0].kind = BusKind::Reference;
        let lines = [(0, 1), (1, 2), (2, 3), (3, 0)].map(|(from, to)| Branch::line(from, to, 0.01, 0.1));
        let grid = Grid::new(100.0, buses, lines.to_vec()).unwrap();
        let mut meters = Vec::new();
        for at in 0..4 {
            for quantity in [
                Quantity::Voltage(at),
                Quantity::ActiveInjection(at),
                Quantity::ReactiveInjection(at),
                Quantity::ActiveFlow(at, Side::From),
                Quantity::ReactiveFlow(at, Side::From),
            ] {
                meters.push(Meter { quantity, sigma: 0.005 });
            }
        }
        let values = vec![0.0; meters.len()];
        let case = Case { grid, meters, values, zero_injections: vec![], truth: None };
        let signals = (0..20).map(SignalId).collect();
        let mut monitor = Monitor::new(&case, signals, Smoothing::default()).unwrap();
        let mut noise = Noise::new(4, 0);
        let mut load = [0.0, -0.05, -0.08, -0.03];
        let exact = |vm: &[f64], va: &[f64]| -> Vec<f64> {
            let (injections, flows) = (case.grid.injections(vm, va), case.grid.branch_powers(vm, va));
            (0..4)
                .flat_map(|at| [vm[at], injections[at].0, injections[at].1, flows[at].0[0], flows[at].0[1]])
                .collect()
        };
        let mut worst_before: f64 = 0.0;
        let mut attacked = (0, 0.0);
        for step in 0..400 {
            load.iter_mut().skip(1).for_each(|angle| *angle += 0.0005 * noise.gaussian());
            let mut seen = load;
            if step == 399 {
                // The attacker knows the grid: he shows bus 2 elsewhere, and all meters agree.
                seen[2] += 0.05;
            }
            let values: Vec<f64> =
                exact(&[1.0; 4], &seen).iter().map(|value| value + 0.005 * noise.gaussian()).collect();
            let fit = monitor.scan(&values).unwrap();
            assert!(fit.objective < 40.0, "13 degrees of freedom");
            let mut bus = 0;
            monitor.each_bus(Timestamp::from_secs(step), |residual| {
                if step < 399 {
                    worst_before = worst_before.max(residual.nis);
                } else if residual.nis > attacked.1 {
                    attacked = (bus, residual.nis);
                }
                bus += 1;
            });
        }
        assert!(worst_before < 30.0, "{worst_before}");
        assert!(attacked.0 == 2 && attacked.1 > 100.0, "{attacked:?}");
        let mut meters = 0;
        monitor.each_meter(Timestamp::ZERO, |residual| {
            meters += 1;
            assert!(residual.nis < 20.0);
        });
        assert_eq!(meters, 20);
        assert!(monitor.scan(&[1.0]).is_err());
    }
}
