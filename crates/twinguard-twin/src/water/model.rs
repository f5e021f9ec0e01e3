//! A water network as a model like any other: tank levels and a factor of demand are its state, commands of links its inputs.
//!
//! Sources: EPANET 2.2 Users Manual, chapter 12.1 (heads and flows follow at each instant; tanks move by the explicit step of the
//! extended period); demand as a first-order Gauss–Markov process around one. The network's own controls and rules are left out:
//! commands come from outside. Assumptions: quasi-steady flow, pattern times count from the model's time 0, one common
//! factor for all demands. Cost: a call solves the network once, from its state at the start; Jacobians add a substitution for
//! each state and pump. When it lies: in the step in which a valve or pump changes by itself, Jacobians are those of one side.

use std::sync::Arc;

use super::{
    estimator::{Assumptions, Meter},
    hydraulics::{Accuracy, Hydraulics, WaterError},
    network::{Link, LinkId, LinkKind, Network, interpolate},
    tangent::Cause,
};
use crate::model::{Model, TimeBase};

/// What a plant file says of its network: enough to write it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The EPANET input file's text.
    pub network: String,
    /// Seconds a step.
    pub step_s: f64,
    /// Outputs by name: `level_` and `pressure_` before a node's, `flow_` before a link's.
    pub outputs: Vec<String>,
}

/// Why a network is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The network itself cannot be run.
    #[error(transparent)]
    Water(#[from] WaterError),
    /// An output that names no tank, node or link.
    #[error("output `{name}` is none of `level_NODE`, `pressure_NODE`, `flow_LINK`")]
    Output {
        /// As written.
        name: String,
    },
    /// A network without anything that moves.
    #[error("the network has no tank: nothing in it moves by itself")]
    NoTank,
}

/// An input: the speed of a pump, or whether a link is open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Speed(LinkId),
    Open(LinkId),
}

/// A network as a state-space model of discrete time.
///
/// ```
/// use twinguard_twin::{Model, importers::epanet, water::NetworkModel};
///
/// let town = "[JUNCTIONS]\n a 10 0\n b 20 200\n[RESERVOIRS]\n r 10\n[TANKS]\n t 150 10 0 30 40\n[PIPES]\n p a b 2000 10 110\n \
///             q b t 1500 10 110\n[PUMPS]\n u r a HEAD c\n[CURVES]\n c 400 180\n[OPTIONS]\n UNITS GPM\n";
/// let model = NetworkModel::new(epanet(town.as_bytes())?, 300.0, &["pressure_b".into(), "flow_u".into()])?;
/// assert_eq!(model.state_names(), ["level_t", "demand"]);
/// assert_eq!(model.input_names(), ["speed_u"]);
/// let mut next = [0.0; 2];
/// model.dynamics(0.0, &[10.0, 1.0], &[1.0], &mut next);
/// assert!(next[0] > 10.0, "the pump fills the tank");
/// model.dynamics(0.0, &[10.0, 1.0], &[0.0], &mut next);
/// assert!(next[0] < 10.0, "without it the tank feeds the town");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NetworkModel {
    /// At the start of the run; every call begins from a copy, so that it depends on nothing but its arguments.
    base: Arc<Hydraulics>,
    /// Stores that are tanks.
    tanks: Vec<usize>,
    commands: Vec<Command>,
    meters: Vec<Meter>,
    step_s: f64,
    fade: f64,
    names: [Vec<String>; 3],
    digest: twinguard_types::Digest,
}

/// Takes which state or input moves, the network, and changes of heads (ft) and flows (cfs).
type Show<'a> = dyn FnMut(usize, &Hydraulics, &[f64], &[f64]) + 'a;

impl NetworkModel {
    /// A model that moves by this many seconds, with outputs named `level_NODE`, `pressure_NODE` or `flow_LINK` in the file's units.
    ///
    /// Its states are `level_TANK` of every tank in the file's order, then `demand`. Its inputs are `speed_PUMP` of every pump
    /// (relative; 0 is off), then `open_LINK` of every other link that the file's controls and rules act on (open above 0.5).
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn new(mut network: Network, step_s: f64, outputs: &[String]) -> Result<Self, ModelError> {
        let (controls, rules) = (core::mem::take(&mut network.controls), core::mem::take(&mut network.rules));
        let mut acted: Vec<LinkId> = controls.iter().map(|control| control.link).collect();
        acted.extend(rules.iter().flat_map(|rule| rule.then.iter().chain(&rule.otherwise)).map(|it| it.link));
        acted.sort_unstable();
        acted.dedup();
        let is_pump = |link: &LinkId| {
            matches!(network.links.get(*link).map(|link| &link.kind), Some(LinkKind::Pump { .. }))
        };
        let all = 0..network.links.len();
        let mut commands: Vec<Command> = all.filter(is_pump).map(Command::Speed).collect();
        commands.extend(acted.into_iter().filter(|link| !is_pump(link)).map(Command::Open));
        // A speed pattern would outvote the command.
        for link in &mut network.links {
            if let LinkKind::Pump { pattern, .. } = &mut link.kind {
                *pattern = None;
            }
        }
        let stores = network.stores.iter().enumerate();
        let tanks: Vec<usize> = stores.filter(|(_, store)| store.tank.is_some()).map(|(at, _)| at).collect();
        if tanks.is_empty() {
            return Err(ModelError::NoTank);
        }
        let meter = |name: &String| {
            let found = name.split_once('_').and_then(|(what, whose)| match what {
                "level" => network.node(whose).map(Meter::Level),
                "pressure" => network.node(whose).map(Meter::Pressure),
                "flow" => network.link(whose).map(Meter::Flow),
                _ => None,
            });
            found.ok_or_else(|| ModelError::Output { name: name.clone() })
        };
        let meters = outputs.iter().map(meter).collect::<Result<Vec<_>, _>>()?;
        let mut states: Vec<String> =
            tanks.iter().map(|at| format!("level_{}", network.stores[*at].name)).collect();
        states.push("demand".to_owned());
        let input = |command: &Command| match command {
            Command::Speed(link) => format!("speed_{}", network.links[*link].name),
            Command::Open(link) => format!("open_{}", network.links[*link].name),
        };
        let names = [states, commands.iter().map(input).collect(), outputs.to_vec()];
        let mut hasher = blake3::Hasher::new();
        // What a network is, is what its text form says: it names every number to the last bit.
        hasher.update(format!("{network:?} {step_s:?} {names:?}").as_bytes());
        let digest = twinguard_types::Digest(*hasher.finalize().as_bytes());
        let base = Arc::new(Hydraulics::new(network, Accuracy::Exact)?);
        let fade = libm::exp(-step_s / Assumptions::default().demand_memory_s);
        Ok(Self { base, tanks, commands, meters, step_s, fade, names, digest })
    }

    /// States at the file's start, their standard deviations, and those of what moves them besides, a step.
    #[must_use]
    pub fn start(&self) -> [Vec<f64>; 3] {
        let Assumptions { level_sigma, level_walk, demand_sigma, .. } = Assumptions::default();
        let length = self.base.network.units.length;
        let level = |at: &usize| {
            let store = &self.base.network.stores[*at];
            store.tank.as_ref().map_or(0.0, |tank| (tank.start_ft - store.elevation_ft) * length)
        };
        let mut mean: Vec<f64> = self.tanks.iter().map(level).collect();
        let (mut sigma, mut walk) =
            (vec![level_sigma; mean.len()], vec![level_walk * (self.step_s / 3_600.0).sqrt(); mean.len()]);
        mean.push(1.0);
        sigma.push(demand_sigma);
        walk.push(demand_sigma * (1.0 - self.fade * self.fade).sqrt());
        [mean, sigma, walk]
    }

    /// What inputs are when nobody says: the file's own status and speeds.
    #[must_use]
    pub fn defaults(&self) -> Vec<f64> {
        let of = |command: &Command| match command {
            Command::Speed(link) => {
                let closed = self.base.state.status[*link].is_closed();
                if closed { 0.0 } else { self.base.state.setting[*link].unwrap_or(1.0) }
            }
            Command::Open(link) => f64::from(!self.base.state.status[*link].is_closed()),
        };
        self.commands.iter().map(of).collect()
    }

    /// The network at this instant, or none where its equations have no solution.
    fn solved(&self, time_s: f64, state: &[f64], input: &[f64]) -> Option<Hydraulics> {
        let mut water = Hydraulics::clone(&self.base);
        // A hundred thousand years either way: sums with it stay far from the integers' ends.
        water.state.time_s = libm::round(time_s.clamp(-3e12, 3e12)) as i64;
        let (factor, levels) = state.split_last()?;
        if !state.iter().chain(input).all(|value| value.is_finite()) {
            return None;
        }
        water.state.demand_factor = factor.max(0.0);
        let junctions = water.network.junctions.len();
        for (at, level) in self.tanks.iter().zip(levels) {
            let store = &water.network.stores[*at];
            let tank = store.tank.as_ref()?;
            let head = store.elevation_ft + level / water.network.units.length;
            water.state.head[junctions + at] = head.clamp(tank.lowest_ft, tank.highest_ft);
        }
        for (command, value) in self.commands.iter().zip(input) {
            match command {
                Command::Speed(link) => water.set_setting(*link, value.max(0.0)),
                Command::Open(link) => water.set_open(*link, *value > 0.5),
            }
        }
        water.solve().ok().filter(|balance| balance.balanced)?;
        Some(water)
    }

    /// A tank's level after a step, and how it moves with the level before and with its inflow (cfs).
    fn step(&self, water: &Hydraulics, at: usize, inflow: f64) -> Option<(f64, f64, f64)> {
        let store = water.network.stores.get(at)?;
        let (tank, units) = (store.tank.as_ref()?, &water.network.units);
        let level =
            (water.state.head[water.network.junctions.len() + at] - store.elevation_ft) * units.length;
        let bound = |level: f64| {
            level.clamp(
                (tank.lowest_ft - store.elevation_ft) * units.length,
                (tank.highest_ft - store.elevation_ft) * units.length,
            )
        };
        match tank.volume.and_then(|curve| water.network.curves.get(curve)) {
            None => {
                let gain = self.step_s / tank.area_ft2 * units.length;
                Some((bound(level + gain * inflow), 1.0, gain))
            }
            Some(curve) => {
                let gain = self.step_s * units.volume();
                let now = interpolate(&curve.x, &curve.y, level);
                let then = now + gain * inflow;
                // The curve's slope at both ends.
                let before = slope(&curve.x, &curve.y, level);
                let after = slope(&curve.y, &curve.x, then);
                Some((bound(interpolate(&curve.y, &curve.x, then)), before * after, gain * after))
            }
        }
    }

    /// What a meter shows.
    fn read(water: &Hydraulics, meter: Meter) -> f64 {
        match meter {
            Meter::Level(node) => water.level(node),
            Meter::Pressure(node) => water.pressure(node),
            Meter::Flow(link) => water.flow(link),
        }
        .unwrap_or(f64::NAN)
    }

    /// Shows the tangent by every state, then by every input: changes of heads and flows for each unit of it.
    fn tangents(&self, time_s: f64, state: &[f64], input: &[f64], show: &mut Show<'_>) -> Option<()> {
        let mut water = self.solved(time_s, state, input)?;
        if !water.linearise() {
            return None;
        }
        let junctions = water.network.junctions.len();
        let (mut heads, mut flows) =
            (vec![0.0; water.network.node_count()], vec![0.0; water.network.links.len()]);
        let per_unit = 1.0 / water.network.units.length;
        for (column, at) in self.tanks.iter().enumerate() {
            water.tangent(Cause::Head(junctions + at), &mut heads, &mut flows);
            heads.iter_mut().chain(&mut flows).for_each(|entry| *entry *= per_unit);
            show(column, &water, &heads, &flows);
        }
        water.tangent(Cause::Demand, &mut heads, &mut flows);
        show(self.tanks.len(), &water, &heads, &flows);
        for (column, command) in self.commands.iter().enumerate() {
            // An opening is no small change: it has no derivative, and none is claimed.
            if let Command::Speed(link) = command {
                water.tangent(Cause::Speed(*link), &mut heads, &mut flows);
                show(state.len() + column, &water, &heads, &flows);
            }
        }
        Some(())
    }
}

/// The slope of the piece of a curve in which x lies; its ends go on level, as [`interpolate`] has it.
fn slope(x: &[f64], y: &[f64], at: f64) -> f64 {
    let upper = x.partition_point(|point| *point < at);
    let Some(lower) = upper.checked_sub(1) else { return 0.0 };
    match (x.get(lower), x.get(upper), y.get(lower), y.get(upper)) {
        (Some(x1), Some(x2), Some(y1), Some(y2)) if x2 > x1 => (y2 - y1) / (x2 - x1),
        _ => 0.0,
    }
}

impl Model for NetworkModel {
    fn state_names(&self) -> &[String] {
        &self.names[0]
    }

    fn input_names(&self) -> &[String] {
        &self.names[1]
    }

    fn output_names(&self) -> &[String] {
        &self.names[2]
    }

    fn time_base(&self) -> TimeBase {
        TimeBase::Discrete { step_s: self.step_s }
    }

    fn dynamics(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        out.fill(f64::NAN);
        let Some(water) = self.solved(time_s, state, input) else { return };
        let junctions = water.network.junctions.len();
        for (out, at) in out.iter_mut().zip(&self.tanks) {
            let inflow = water.state.demand[junctions + at];
            *out = self.step(&water, *at, inflow).map_or(f64::NAN, |(level, ..)| level);
        }
        if let (Some(out), Some(factor)) = (out.last_mut(), state.last()) {
            *out = 1.0 + self.fade * (factor - 1.0);
        }
    }

    fn output(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        out.fill(f64::NAN);
        let Some(water) = self.solved(time_s, state, input) else { return };
        for (out, meter) in out.iter_mut().zip(&self.meters) {
            *out = Self::read(&water, *meter);
        }
    }

    fn dynamics_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (n, m) = (state.len(), input.len());
        by_state.fill(0.0);
        by_input.fill(0.0);
        let found = self.tangents(time_s, state, input, &mut |column, water, _, flows| {
            let junctions = water.network.junctions.len();
            for (row, at) in self.tanks.iter().enumerate() {
                let node = junctions + at;
                let links = water.network.links.iter().zip(flows).zip(&water.state.status);
                let open = links.filter(|(_, status)| !status.is_closed());
                let into = |link: &Link| f64::from(link.to == node) - f64::from(link.from == node);
                let inflow: f64 = open.map(|((link, flow), _)| flow * into(link)).sum();
                let Some((_, by_level, by_inflow)) = self.step(water, *at, water.state.demand[node]) else {
                    continue;
                };
                let own = if column == row { by_level } else { 0.0 };
                let slot = match column.checked_sub(n) {
                    None => by_state.get_mut(row * n + column),
                    Some(column) => by_input.get_mut(row * m + column),
                };
                if let Some(slot) = slot {
                    *slot = own + by_inflow * inflow;
                }
            }
        });
        if found.is_none() {
            by_state.fill(f64::NAN);
        }
        if let Some(last) = by_state.last_mut() {
            *last = self.fade;
        }
    }

    fn output_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (n, m) = (state.len(), input.len());
        by_state.fill(0.0);
        by_input.fill(0.0);
        let found = self.tangents(time_s, state, input, &mut |column, water, heads, flows| {
            let units = &water.network.units;
            for (row, meter) in self.meters.iter().enumerate() {
                let closed =
                    |link: usize| water.state.status.get(link).is_none_or(|status| status.is_closed());
                let moved = match *meter {
                    Meter::Level(node) => heads.get(node).map(|head| head * units.length),
                    Meter::Pressure(node) => heads.get(node).map(|head| head * units.pressure),
                    Meter::Flow(link) if closed(link) => None,
                    Meter::Flow(link) => flows.get(link).map(|flow| flow * units.flow),
                };
                let slot = match column.checked_sub(n) {
                    None => by_state.get_mut(row * n + column),
                    Some(column) => by_input.get_mut(row * m + column),
                };
                if let (Some(slot), Some(moved)) = (slot, moved) {
                    *slot = moved;
                }
            }
        });
        if found.is_none() {
            by_state.fill(f64::NAN);
        }
    }

    fn parameters(&self) -> &[(String, f64)] {
        &[]
    }

    fn digest(&self) -> twinguard_types::Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importers::epanet;

    /// A tank with a volume curve and a cylinder, a pump with a curve, one of constant power, a reducing valve, an emitter, patterns.
    const TOWN: &str = "[JUNCTIONS]\n a 10 0\n b 20 200 d\n c 5 0\n d 0 60 d\n e 8 40\n[RESERVOIRS]\n r 10\n[TANKS]\n t 150 10 0 30 40\n \
        v 140 12 0 30 40 0 vol\n[PIPES]\n p a b 2000 10 110\n q b t 1500 10 110\n s b c 900 8 100\n w e d 700 8 100\n x b v 900 8 100\n \
        y d e 500 6 100\n[PUMPS]\n u r a HEAD c\n k r b POWER 15\n[VALVES]\n z c d 8 PRV 40\n[CURVES]\n c 400 180\n vol 0 0\n vol 10 9000\n \
        vol 30 36000\n[EMITTERS]\n e 2\n[PATTERNS]\n d 1 1.3 0.8 0.6\n[CONTROLS]\n LINK s CLOSED IF NODE t BELOW 1\n[OPTIONS]\n UNITS GPM\n";

    fn model(text: &str) -> NetworkModel {
        let outputs = ["level_t", "pressure_b", "pressure_d", "pressure_e", "flow_u", "flow_z", "flow_x"];
        NetworkModel::new(epanet(text.as_bytes()).unwrap(), 300.0, &outputs.map(str::to_owned)).unwrap()
    }

    #[test]
    fn it_runs_as_the_hydraulics_do() {
        // Euler's step of five minutes on both sides, with a demand that is what the file says.
        let text = TOWN.replace("[CONTROLS]\n LINK s CLOSED IF NODE t BELOW 1\n", "")
            + "[TIMES]\n DURATION 4\n HYDRAULIC TIMESTEP 0:05\n";
        let model = model(&text);
        let mut water = Hydraulics::new(epanet(text.as_bytes()).unwrap(), Accuracy::Exact).unwrap();
        let ([mut state, ..], input) = (model.start(), model.defaults());
        assert_eq!((state.clone(), input.clone()), (vec![10.0, 12.0, 1.0], vec![1.0, 1.0]));
        let mut shown = vec![0.0; 7];
        for step in 0..48 {
            water.solve().unwrap();
            let time_s = 300.0 * f64::from(step);
            model.output(time_s, &state, &input, &mut shown);
            let expected = [water.level(6), water.pressure(1), water.pressure(3), water.pressure(4)];
            let flows = [6, 8, 4].map(|link| water.flow(link));
            for (shown, expected) in shown.iter().zip(expected.iter().chain(&flows)) {
                assert!((shown - expected.unwrap()).abs() < 1e-4, "{step}: {shown} {expected:?}");
            }
            let mut next = vec![0.0; 3];
            model.dynamics(time_s, &state, &input, &mut next);
            state = next;
            assert_eq!(water.advance(), Some(300));
        }
    }

    #[test]
    fn jacobians_are_those_of_the_solution() {
        for (text, what) in [
            (TOWN.to_owned(), "demand"),
            (TOWN.replace("UNITS GPM", "UNITS GPM\n DEMAND MODEL PDA\n REQUIRED PRESSURE 90"), "pressure"),
            (TOWN.replace("z c d 8 PRV 40", "z c d 8 PSV 60"), "sustaining"),
            (TOWN.replace("z c d 8 PRV 40", "z c d 8 FCV 115"), "flow"),
        ] {
            let model = model(&text);
            let (n, m, outputs) = (3, model.input_names().len(), 7);
            assert_eq!(model.input_names(), ["speed_u", "speed_k", "open_s"]);
            let (state, input) = ([11.0, 13.0, 1.05], [0.95, 1.0, 1.0]);
            let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * m]);
            let (mut c, mut d) = (vec![0.0; outputs * n], vec![0.0; outputs * m]);
            model.dynamics_jacobian(3_000.0, &state, &input, &mut a, &mut b);
            model.output_jacobian(3_000.0, &state, &input, &mut c, &mut d);
            // The opening of a pipe has no derivative.
            for cause in 0..n + m - 1 {
                // Wide enough for what the solver's 1e-8 leaves open; what is curved goes out between two widths.
                let step = 4e-3;
                let moved = |by: f64| {
                    let (mut state, mut input) = (state, input);
                    if cause < n {
                        state[cause] += by
                    } else {
                        input[cause - n] += by
                    }
                    let (mut next, mut shown) = (vec![0.0; n], vec![0.0; outputs]);
                    model.dynamics(3_000.0, &state, &input, &mut next);
                    model.output(3_000.0, &state, &input, &mut shown);
                    [next, shown].concat()
                };
                let differences = |step: f64| -> Vec<f64> {
                    let (high, low) = (moved(step), moved(-step));
                    high.iter().zip(low).map(|(high, low)| (high - low) / (2.0 * step)).collect()
                };
                let (near, far) = (differences(step), differences(2.0 * step));
                let slope = |at: usize| (4.0 * near[at] - far[at]) / 3.0;
                let close = |exact: f64, difference: f64| {
                    assert!(
                        (exact - difference).abs() < 2e-3 + 2e-3 * difference.abs(),
                        "{what}, cause {cause}: {exact} for {difference}"
                    );
                };
                let at = |by_state: &[f64], by_input: &[f64], row: usize| {
                    if cause < n { by_state[row * n + cause] } else { by_input[row * m + cause - n] }
                };
                (0..n).for_each(|row| close(at(&a, &b, row), slope(row)));
                (0..outputs).for_each(|row| close(at(&c, &d, row), slope(n + row)));
            }
        }
    }

    #[test]
    fn it_depends_on_its_arguments_alone_and_says_when_there_is_no_answer() {
        let model = model(TOWN);
        let run = |time_s: f64, level: f64| {
            let mut next = [0.0; 3];
            model.dynamics(time_s, &[level, 12.0, 1.0], &[1.0, 1.0, 1.0], &mut next);
            next.map(f64::to_bits)
        };
        let first = run(0.0, 10.0);
        run(9e99, -5.0);
        assert_eq!(run(0.0, 10.0), first);
        assert!(f64::from_bits(run(0.0, f64::NAN)[0]).is_nan());
        let refuse = |text: &str, outputs: &[String]| {
            NetworkModel::new(epanet(text.as_bytes()).unwrap(), 300.0, outputs).unwrap_err().to_string()
        };
        let tankless = "[JUNCTIONS]\n a 1 1\n[RESERVOIRS]\n r 9\n[PIPES]\n p r a 10 10 100\n";
        assert_eq!(refuse(tankless, &[]), "the network has no tank: nothing in it moves by itself");
        assert!(refuse(TOWN, &["level_nobody".to_owned()]).starts_with("output `level_nobody` is none of"));
    }
}
