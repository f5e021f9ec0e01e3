//! A network that follows its meters: tank levels and one factor of demand, estimated from levels, pressures and flows.
//!
//! Sources: extended Kalman filter, Y. Bar-Shalom, X. R. Li, T. Kirubarajan (2001), §10.3.3, with the state reduced to what moves slowly: heads
//! and flows follow from it through the hydraulics of the instant (quasi-steady, EPANET 2.2 Users Manual, chapter 12.1). The
//! demand factor is a first-order Gauss–Markov process around one. Jacobians are differences of hydraulic solutions and are
//! renewed when a command changes or after some steps. Assumptions: commands are what links really do (that is what the
//! innovations test), demands differ from their patterns by one common factor, and what else they do is part of a meter's
//! deviation. Cost: one hydraulic solution a step, one more for each state when Jacobians are renewed.

use super::{
    hydraulics::{Accuracy, Hydraulics, WaterError},
    network::{LinkId, Network, NodeId},
};
use crate::filters::{Innovation, Kalman};

/// What a meter shows, in the file's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meter {
    /// Level of a tank.
    Level(NodeId),
    /// Pressure at a node.
    Pressure(NodeId),
    /// Flow of a link.
    Flow(LinkId),
}

/// What is assumed of the network beside its file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Standard deviation of a tank's level at the start, in the file's length unit.
    pub level_sigma: f64,
    /// How far a level strays from its balance in an hour, in the file's length unit.
    pub level_walk: f64,
    /// Standard deviation of the demand factor around one.
    pub demand_sigma: f64,
    /// Time in which a deviation of demand fades, seconds.
    pub demand_memory_s: f64,
    /// Steps after which Jacobians are renewed.
    pub renew_after: u32,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            level_sigma: 0.1,
            level_walk: 0.05,
            demand_sigma: 0.1,
            demand_memory_s: 36_000.0,
            renew_after: 12,
        }
    }
}

/// A network that follows its meters. Its own controls and rules are left out: commands come from outside.
#[derive(Clone, Debug)]
pub struct Estimator {
    water: Hydraulics,
    assumptions: Assumptions,
    meters: Vec<Meter>,
    variance: Vec<f64>,
    /// Stores that are tanks.
    tanks: Vec<usize>,
    filter: Kalman,
    expected: Vec<f64>,
    /// What flows into each tank, cfs.
    inflow: Vec<f64>,
    /// Meters by states, and inflows by states, row by row.
    meters_by_state: Vec<f64>,
    inflow_by_state: Vec<f64>,
    innovation: Vec<Option<f64>>,
    before: Vec<f64>,
    transition: Vec<f64>,
    process: Vec<f64>,
    steps_left: u32,
}

impl Estimator {
    /// An estimator that starts at the file's levels, with meters and their standard deviations in the file's units.
    ///
    /// # Errors
    /// [`WaterError::TooLarge`]; [`WaterError::NoMeter`] for a meter of a node or link that is not there;
    /// [`WaterError::Filter`] for deviations that are not positive.
    pub fn new(
        mut network: Network,
        meters: &[(Meter, f64)],
        assumptions: Assumptions,
    ) -> Result<Self, WaterError> {
        network.controls.clear();
        network.rules.clear();
        for (at, (meter, _)) in meters.iter().enumerate() {
            let exists = match meter {
                Meter::Level(node) | Meter::Pressure(node) => *node < network.node_count(),
                Meter::Flow(link) => *link < network.links.len(),
            };
            if !exists {
                return Err(WaterError::NoMeter { number: at });
            }
        }
        let tanks: Vec<usize> = network
            .stores
            .iter()
            .enumerate()
            .filter(|(_, store)| store.tank.is_some())
            .map(|(at, _)| at)
            .collect();
        let n = tanks.len() + 1;
        let length = network.units.length;
        let level = |at: &usize| {
            let store = &network.stores[*at];
            store.tank.as_ref().map_or(0.0, |tank| (tank.start_ft - store.elevation_ft) * length)
        };
        let mut mean: Vec<f64> = tanks.iter().map(level).collect();
        mean.push(1.0);
        let mut covariance = vec![0.0; n * n];
        for at in 0..n {
            let sigma = if at + 1 < n { assumptions.level_sigma } else { assumptions.demand_sigma };
            covariance[at * n + at] = sigma * sigma;
        }
        let filter = Kalman::new(&mean, &covariance, meters.len())?;
        if let Some(at) = meters.iter().position(|(_, sigma)| !(*sigma > 0.0 && sigma.is_finite())) {
            return Err(crate::Error::NotPositive { what: "deviation of a meter", index: at }.into());
        }
        let m = meters.len();
        Ok(Self {
            water: Hydraulics::new(network, Accuracy::Tight)?,
            assumptions,
            meters: meters.iter().map(|(meter, _)| *meter).collect(),
            variance: meters.iter().map(|(_, sigma)| sigma * sigma).collect(),
            filter,
            expected: vec![0.0; m],
            inflow: vec![0.0; tanks.len()],
            meters_by_state: vec![0.0; m * n],
            inflow_by_state: vec![0.0; tanks.len() * n],
            innovation: vec![None; m],
            before: mean,
            transition: vec![0.0; n * n],
            process: vec![0.0; n * n],
            steps_left: 0,
            tanks,
        })
    }

    /// The network as it is estimated to be.
    #[must_use]
    pub fn water(&self) -> &Hydraulics {
        &self.water
    }

    /// Levels of the tanks in the file's order and length unit, then the demand factor.
    #[must_use]
    pub fn state(&self) -> &[f64] {
        self.filter.mean()
    }

    /// What the meters should have shown at the last update.
    #[must_use]
    pub fn expected(&self) -> &[f64] {
        &self.expected
    }

    /// Tells what a pump, pipe or valve is commanded to do.
    pub fn command(&mut self, link: LinkId, open: bool) {
        let Some(status) = self.water.state.status.get(link) else { return };
        if status.is_closed() == open {
            self.water.set_open(link, open);
            self.steps_left = 0;
        }
    }

    /// Takes in what the meters show now.
    ///
    /// # Errors
    /// [`WaterError::Unsolvable`], [`WaterError::Filter`] when there are more values than meters.
    pub fn update(&mut self, measured: &[Option<f64>]) -> Result<Innovation<'_>, WaterError> {
        self.look()?;
        if self.steps_left == 0 {
            self.differentiate()?;
            self.steps_left = self.assumptions.renew_after;
        }
        self.steps_left -= u32::from(self.steps_left > 0);
        if measured.len() != self.meters.len() {
            let (what, expected) = ("measurements", self.meters.len());
            return Err(crate::Error::Dimension { what, expected, found: measured.len() }.into());
        }
        for ((innovation, measured), expected) in self.innovation.iter_mut().zip(measured).zip(&self.expected)
        {
            *innovation = measured.map(|measured| measured - expected);
        }
        self.before.copy_from_slice(self.filter.mean());
        Ok(self.filter.update(&self.innovation, &self.meters_by_state, &self.variance)?)
    }

    /// Lets time pass: tanks fill and drain by what flows into them.
    ///
    /// # Errors
    /// None now; kept for filters that can fail.
    pub fn predict(&mut self, seconds: u32) -> Result<(), WaterError> {
        let (n, dt) = (self.tanks.len() + 1, f64::from(seconds));
        let Assumptions { level_walk, demand_sigma, demand_memory_s, .. } = self.assumptions;
        self.transition.fill(0.0);
        self.process.fill(0.0);
        let fade = libm::exp(-dt / demand_memory_s);
        for (row, store) in self.tanks.iter().enumerate() {
            let Some(tank) = self.water.network.stores.get(*store).and_then(|store| store.tank.as_ref())
            else {
                continue;
            };
            let gain = dt / tank.area_ft2 * self.water.network.units.length;
            let by_state = &self.inflow_by_state[row * n..(row + 1) * n];
            // The update moved the state since the hydraulics were solved.
            let moved: f64 = by_state
                .iter()
                .zip(self.filter.mean().iter().zip(&self.before))
                .map(|(by, (now, before))| by * (now - before))
                .sum();
            for (column, by) in by_state.iter().enumerate() {
                self.transition[column * n + row] = gain * by + f64::from(row == column);
            }
            self.inflow[row] += moved;
            let step = gain * self.inflow[row];
            self.process[row * n + row] = level_walk * level_walk * dt / 3_600.0;
            if let Some(level) = self.filter.mean_mut().get_mut(row) {
                *level += step;
            }
        }
        let last = n * n - 1;
        self.transition[last] = fade;
        self.process[last] = demand_sigma * demand_sigma * (1.0 - fade * fade);
        if let Some(factor) = self.filter.mean_mut().last_mut() {
            *factor = 1.0 + fade * (*factor - 1.0);
        }
        self.filter.predict(&self.transition, &self.process);
        self.water.state.time_s += i64::from(seconds);
        Ok(())
    }

    /// Solves the hydraulics at the estimate and reads the meters off.
    fn look(&mut self) -> Result<(), WaterError> {
        self.impose(None)?;
        self.read();
        Ok(())
    }

    /// Brings the estimate, perhaps with one state moved, into the network and solves.
    fn impose(&mut self, moved: Option<(usize, f64)>) -> Result<(), WaterError> {
        let junctions = self.water.network.junctions.len();
        for (state, value) in self.filter.mean().iter().enumerate() {
            let value = value + moved.filter(|(at, _)| *at == state).map_or(0.0, |(_, by)| by);
            match self.tanks.get(state) {
                Some(at) => {
                    let store = &self.water.network.stores[*at];
                    let Some(tank) = &store.tank else { continue };
                    let head = store.elevation_ft + value / self.water.network.units.length;
                    self.water.state.head[junctions + at] = head.clamp(tank.lowest_ft, tank.highest_ft);
                }
                None => self.water.state.demand_factor = value.max(0.0),
            }
        }
        self.water.solve()?;
        Ok(())
    }

    fn read(&mut self) {
        let water = &self.water;
        for (expected, meter) in self.expected.iter_mut().zip(&self.meters) {
            *expected = match meter {
                Meter::Level(node) => water.level(*node),
                Meter::Pressure(node) => water.pressure(*node),
                Meter::Flow(link) => water.flow(*link),
            }
            .unwrap_or_default();
        }
        let junctions = water.network.junctions.len();
        for (inflow, at) in self.inflow.iter_mut().zip(&self.tanks) {
            *inflow = water.state.demand[junctions + at];
        }
    }

    /// Meters and inflows by states, from solutions to both sides.
    fn differentiate(&mut self) -> Result<(), WaterError> {
        let n = self.tanks.len() + 1;
        let (expected, inflow) = (self.expected.clone(), self.inflow.clone());
        for state in 0..n {
            let step = if state + 1 < n { 0.05 } else { 0.02 };
            self.impose(Some((state, step)))?;
            self.read();
            for (row, (moved, still)) in self.expected.iter().zip(&expected).enumerate() {
                self.meters_by_state[row * n + state] = (moved - still) / step;
            }
            for (row, (moved, still)) in self.inflow.iter().zip(&inflow).enumerate() {
                self.inflow_by_state[row * n + state] = (moved - still) / step;
            }
        }
        self.look()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importers::epanet;

    const TOWN: &str = "[JUNCTIONS]\n a 10 0\n b 20 200 d\n[RESERVOIRS]\n r 10\n[TANKS]\n t 150 10 0 30 40\n[PIPES]\n p a b 2000 10 110\n \
                        q b t 1500 10 110\n[PUMPS]\n u r a HEAD c\n[CURVES]\n c 400 180\n[PATTERNS]\n d 1 1.3 0.8 0.6\n[OPTIONS]\n UNITS GPM\n";

    /// The town with more demand than its file says; what its meters show every five minutes.
    fn site(factor: f64) -> (Network, Hydraulics, Vec<(Meter, f64)>) {
        let network = epanet(TOWN.as_bytes()).unwrap();
        let meters = vec![
            (Meter::Level(network.node("t").unwrap()), 0.01),
            (Meter::Pressure(network.node("b").unwrap()), 0.05),
            (Meter::Flow(network.link("u").unwrap()), 1.0),
        ];
        let mut truth = network.clone();
        truth.options.demand_multiplier = factor;
        truth.times.duration_s = 86_400;
        truth.times.hydraulic_step_s = 300;
        (network, Hydraulics::new(truth, Accuracy::Exact).unwrap(), meters)
    }

    #[test]
    fn it_finds_level_and_demand_and_sees_a_hidden_stop() {
        let (network, mut truth, meters) = site(1.15);
        let pump = network.link("u").unwrap();
        let mut twin = Estimator::new(network, &meters, Assumptions::default()).unwrap();
        let (mut quiet, mut loud) = (0.0_f64, 0.0_f64);
        for step in 0..120 {
            if step == 90 {
                truth.set_open(pump, false);
            }
            truth.solve().unwrap();
            let read = |meter: &Meter| match meter {
                Meter::Level(node) => truth.level(*node),
                Meter::Pressure(node) => truth.pressure(*node),
                Meter::Flow(link) => truth.flow(*link),
            };
            let mut measured: Vec<_> = meters.iter().map(|(meter, _)| read(meter)).collect();
            if step >= 90 {
                // The flow is hidden: only level and pressure tell.
                measured[2] = None;
            }
            let nis = twin.update(&measured).unwrap().nis;
            if (30..90).contains(&step) {
                quiet = quiet.max(nis);
            }
            if step >= 90 {
                loud = loud.max(nis);
            }
            twin.predict(300).unwrap();
            truth.advance().unwrap();
        }
        assert!(quiet < 15.0 && loud > 100.0, "{quiet} {loud}");
        let (network, mut truth, meters) = site(1.15);
        let mut twin = Estimator::new(network, &meters, Assumptions::default()).unwrap();
        for _ in 0..60 {
            truth.solve().unwrap();
            let level = truth.level(3);
            twin.update(&[level, truth.pressure(1), truth.flow(0)]).unwrap();
            twin.predict(300).unwrap();
            truth.advance().unwrap();
        }
        assert!((twin.state()[1] - 1.15).abs() < 0.02, "{:?}", twin.state());
    }

    #[test]
    fn impossible_meters_are_refused() {
        let (network, _, _) = site(1.0);
        let refuse = |meter, sigma| {
            Estimator::new(network.clone(), &[(meter, sigma)], Assumptions::default()).unwrap_err()
        };
        assert_eq!(refuse(Meter::Flow(99), 1.0), WaterError::NoMeter { number: 0 });
        assert!(matches!(refuse(Meter::Flow(0), 0.0), WaterError::Filter(_)));
    }
}
