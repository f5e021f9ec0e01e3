//! AC power flow, and what the loss of each branch would do.
//!
//! Source: W. F. Tinney, C. E. Hart, IEEE Trans. PAS-86 (1967) 1449 (Newton's method: active power at all buses but the
//! reference, reactive power at loads, magnitudes at generators). A power flow is an estimate from exactly as many meters as
//! states, so [`Estimator`] solves it: one numerical core, pattern and order kept from one branch outage to the next.
//! Screening of single outages: A. J. Wood, B. F. Wollenberg, *Power Generation, Operation, and Control*, §7.3 (full AC case).
//!
//! Generators hold their magnitude whatever reactive power that takes, loads draw constant power, and the reference covers
//! what is missing.

use super::{BusKind, Estimator, Fit, Grid, Meter, Options, Quantity, Start};
use crate::Error;

/// What is injected and held, by bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Injections {
    /// Active power, per unit; of no meaning at a reference.
    pub active_pu: Vec<f64>,
    /// Reactive power, per unit; of no meaning where the magnitude is held.
    pub reactive_pu: Vec<f64>,
    /// Magnitude that generators and references hold, per unit.
    pub voltage_pu: Vec<f64>,
}

impl Injections {
    /// What a state needs, all of it.
    #[must_use]
    pub fn at(grid: &Grid, magnitudes_pu: &[f64], angles_rad: &[f64]) -> Self {
        let (active_pu, reactive_pu) = grid.injections(magnitudes_pu, angles_rad).into_iter().unzip();
        Self { active_pu, reactive_pu, voltage_pu: magnitudes_pu.to_vec() }
    }
}

/// What a grid should stay within.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Lowest magnitude, per unit.
    pub least_voltage_pu: f64,
    /// Highest magnitude, per unit.
    pub most_voltage_pu: f64,
    /// The most apparent power of each branch, per unit; an infinite one is no bound.
    pub ratings_pu: Vec<f64>,
}

/// The grid without one branch.
#[derive(Clone, Debug, PartialEq)]
pub struct Contingency {
    /// The branch that is lost.
    pub branch: usize,
    /// What then happens.
    pub outcome: Outcome,
}

/// What happens without a branch.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A new steady state.
    Solved {
        /// Bus with the lowest magnitude, and that.
        lowest: (usize, f64),
        /// Bus with the highest magnitude, and that.
        highest: (usize, f64),
        /// Branch with the highest share of its rating, and that; `None` without a finite rating.
        heaviest: Option<(usize, f64)>,
        /// Whether all bounds hold.
        within: bool,
    },
    /// These buses lose their connection to a reference.
    Islanded(Vec<usize>),
    /// No steady state was found: the grid may collapse.
    Unsolved,
}

/// A solver for one grid.
///
/// ```
/// use twinguard_twin::grid::{Branch, Bus, BusKind, Grid, Injections, PowerFlow, Start};
///
/// let bus = Bus::default();
/// let reference = Bus { kind: BusKind::Reference, ..bus };
/// let grid = Grid::new(100.0, vec![reference, bus], vec![Branch::line(0, 1, 0.0, 0.1)])?;
/// let mut flow = PowerFlow::new(&grid)?;
/// let load = Injections { active_pu: vec![0.0, -1.0], reactive_pu: vec![0.0; 2], voltage_pu: vec![1.0; 2] };
/// flow.solve(&load, Start::Flat)?;
/// let [p, _] = flow.branch_powers()[0].0;
/// assert!((p - 1.0).abs() < 1e-9);
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PowerFlow {
    estimator: Estimator,
    values: Vec<f64>,
}

impl PowerFlow {
    /// Prepares the grid; a branch that is out of service can be switched in later.
    ///
    /// # Errors
    /// As [`Estimator::new`]; none for a checked grid.
    pub fn new(grid: &Grid) -> Result<Self, Error> {
        let mut meters = Vec::with_capacity(2 * grid.buses().len());
        let meter = |quantity| Meter { quantity, sigma: 1.0 };
        for (bus, kind) in grid.buses().iter().map(|bus| bus.kind).enumerate() {
            let second = match kind {
                BusKind::Load => Quantity::ReactiveInjection(bus),
                BusKind::Generator | BusKind::Reference => Quantity::Voltage(bus),
                BusKind::Isolated => continue,
            };
            if kind != BusKind::Reference {
                meters.push(meter(Quantity::ActiveInjection(bus)));
            }
            meters.push(meter(second));
        }
        let estimator = Estimator::new(grid, &meters, &[])?;
        Ok(Self { values: vec![0.0; meters.len()], estimator })
    }

    /// Solves for the state; no allocation unless it fails.
    ///
    /// # Errors
    /// [`Error::Dimension`] for lists of another length than there are buses, [`Error::NotConverged`] when there is no
    /// steady state (or none near the start), [`Error::NotObservable`] for an island without a reference.
    pub fn solve(&mut self, injections: &Injections, start: Start) -> Result<Fit, Error> {
        let expected = self.estimator.grid().buses().len();
        for list in [&injections.active_pu, &injections.reactive_pu, &injections.voltage_pu] {
            if list.len() != expected {
                return Err(Error::Dimension { what: "injections", expected, found: list.len() });
            }
        }
        for (value, meter) in self.values.iter_mut().zip(self.estimator.meters()) {
            *value = match meter.quantity {
                Quantity::ActiveInjection(bus) => injections.active_pu[bus],
                Quantity::ReactiveInjection(bus) => injections.reactive_pu[bus],
                Quantity::Voltage(bus) => injections.voltage_pu[bus],
                _ => 0.0,
            };
        }
        let options = Options { tolerance: 1e-10, max_iterations: 40 };
        let fit = self.estimator.estimate(&self.values, start, &options)?;
        // Least squares also settle where no state fits; that is no power flow.
        if fit.objective > 1e-12 {
            return Err(Error::NotConverged { iterations: fit.iterations, step: fit.objective.sqrt() });
        }
        Ok(fit)
    }

    /// Magnitudes of the last solution, by bus.
    #[must_use]
    pub fn magnitudes_pu(&self) -> &[f64] {
        self.estimator.magnitudes_pu()
    }

    /// Angles of the last solution, by bus.
    #[must_use]
    pub fn angles_rad(&self) -> &[f64] {
        self.estimator.angles_rad()
    }

    /// Active and reactive power into each branch at its from end and its to end, at the last solution.
    #[must_use]
    pub fn branch_powers(&self) -> Vec<([f64; 2], [f64; 2])> {
        self.estimator.grid().branch_powers(self.magnitudes_pu(), self.angles_rad())
    }

    /// Switches a branch; unknown numbers are ignored.
    pub fn switch(&mut self, branch: usize, in_service: bool) {
        self.estimator.switch(branch, in_service);
    }

    /// Loses each of these branches in turn and puts it back: the what-if of a gate before it lets a breaker open.
    ///
    /// # Errors
    /// As [`PowerFlow::solve`] for the grid with all its branches.
    pub fn screen(
        &mut self,
        injections: &Injections,
        bounds: &Bounds,
        branches: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<Contingency>, Error> {
        self.solve(injections, Start::Flat)?;
        let base = self.estimator.clone();
        let mut found = Vec::new();
        for branch in branches {
            let Some(true) = base.grid().branches().get(branch).map(|branch| branch.in_service) else {
                continue;
            };
            let cut = cut_off(base.grid(), branch);
            let outcome = if !cut.is_empty() {
                Outcome::Islanded(cut)
            } else {
                self.estimator.restart_from(&base);
                self.switch(branch, false);
                let solved =
                    self.solve(injections, Start::Last).or_else(|_| self.solve(injections, Start::Flat));
                let outcome = if solved.is_ok() { self.judge(bounds) } else { Outcome::Unsolved };
                self.switch(branch, true);
                outcome
            };
            found.push(Contingency { branch, outcome });
        }
        self.estimator = base;
        Ok(found)
    }

    fn judge(&self, bounds: &Bounds) -> Outcome {
        let energised =
            |(bus, _): &(usize, f64)| self.estimator.grid().buses()[*bus].kind != BusKind::Isolated;
        let magnitudes = || self.magnitudes_pu().iter().copied().enumerate().filter(energised);
        let lowest = magnitudes().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 1.0));
        let highest = magnitudes().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 1.0));
        let loading = |((from, to), rating): (([f64; 2], [f64; 2]), &f64)| {
            libm::hypot(from[0], from[1]).max(libm::hypot(to[0], to[1])) / rating
        };
        let shares = self.branch_powers().into_iter().zip(&bounds.ratings_pu);
        let shares = shares.enumerate().filter(|(_, (_, rating))| rating.is_finite() && **rating > 0.0);
        let heaviest = shares.map(|(at, share)| (at, loading(share))).max_by(|a, b| a.1.total_cmp(&b.1));
        let within = lowest.1 >= bounds.least_voltage_pu
            && highest.1 <= bounds.most_voltage_pu
            && heaviest.is_none_or(|(_, share)| share <= 1.0);
        Outcome::Solved { lowest, highest, heaviest, within }
    }
}

/// Buses that lose every reference without this branch, though they have one with it.
fn cut_off(grid: &Grid, lost: usize) -> Vec<usize> {
    let (island, count) = grid.islands(|index, branch| branch.in_service && index != lost);
    let mut referred = vec![false; count];
    for (bus, island) in grid.buses().iter().zip(&island) {
        referred[*island] |= bus.kind == BusKind::Reference;
    }
    let ends = &grid.branches()[lost];
    let (a, b) = (island[ends.from], island[ends.to]);
    if a == b || referred[a] && referred[b] {
        return Vec::new();
    }
    let gone = if referred[a] { b } else { a };
    (0..grid.buses().len()).filter(|bus| island[*bus] == gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Branch, Bus};

    /// A ring of four buses with a spur.
    fn ring() -> (Grid, Injections) {
        let mut buses = vec![Bus::default(); 5];
        buses[0].kind = BusKind::Reference;
        buses[2].kind = BusKind::Generator;
        let lines = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 4)];
        let lines = lines.map(|(from, to)| Branch { b_pu: 0.02, ..Branch::line(from, to, 0.01, 0.08) });
        let grid = Grid::new(100.0, buses, lines.to_vec()).unwrap();
        let injections = Injections {
            active_pu: vec![0.0, -0.8, 0.5, -0.4, -0.3],
            reactive_pu: vec![0.0, -0.2, 0.0, -0.1, -0.1],
            voltage_pu: vec![1.02; 5],
        };
        (grid, injections)
    }

    #[test]
    fn injections_come_out_as_they_went_in() {
        let (grid, injections) = ring();
        let mut flow = PowerFlow::new(&grid).unwrap();
        let fit = flow.solve(&injections, Start::Flat).unwrap();
        assert_eq!(fit.dof, 0);
        let found = Injections::at(&grid, flow.magnitudes_pu(), flow.angles_rad());
        for bus in 1..5 {
            assert!((found.active_pu[bus] - injections.active_pu[bus]).abs() < 1e-10);
            if bus != 2 {
                assert!((found.reactive_pu[bus] - injections.reactive_pu[bus]).abs() < 1e-10);
            }
        }
        assert!((flow.magnitudes_pu()[2] - 1.02).abs() < 1e-12);
        // What enters the branches leaves the buses.
        let at_four: f64 = flow.branch_powers()[4].1[0];
        assert!((at_four + 0.3).abs() < 1e-10);
    }

    #[test]
    fn outages_are_screened_and_leave_no_trace() {
        let (grid, injections) = ring();
        let mut flow = PowerFlow::new(&grid).unwrap();
        let bounds = Bounds { least_voltage_pu: 0.95, most_voltage_pu: 1.05, ratings_pu: vec![1.0; 5] };
        let found = flow.screen(&injections, &bounds, 0..9).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(found[4].outcome, Outcome::Islanded(vec![4]));
        let Outcome::Solved { within, heaviest: Some((line, share)), .. } = found[0].outcome else {
            panic!()
        };
        // Without 0–1 everything comes over 3–0.
        assert!(!within && line == 3 && share > 0.95, "{line} {share}");
        // The same as a grid built without it.
        let mut branches = grid.branches().to_vec();
        branches[0].in_service = false;
        let mut other = PowerFlow::new(&Grid::new(100.0, grid.buses().to_vec(), branches).unwrap()).unwrap();
        other.solve(&injections, Start::Flat).unwrap();
        flow.switch(0, false);
        flow.solve(&injections, Start::Flat).unwrap();
        for (a, b) in flow.magnitudes_pu().iter().zip(other.magnitudes_pu()) {
            assert!((a - b).abs() < 1e-11);
        }
    }

    #[test]
    fn too_much_load_is_no_solution() {
        let (grid, mut injections) = ring();
        injections.active_pu[4] = -20.0;
        let mut flow = PowerFlow::new(&grid).unwrap();
        assert!(matches!(flow.solve(&injections, Start::Flat), Err(Error::NotConverged { .. })));
        injections.voltage_pu.pop();
        assert!(matches!(flow.solve(&injections, Start::Flat), Err(Error::Dimension { .. })));
    }
}
