//! The graph of assets and signals, and the questions that security asks of it: what does this actuator influence,
//! which sensors are redundant for this state, which zone is this in.
//!
//! Sources: IEC 62264-1 §5 (equipment hierarchy); zones of IEC 62443-3-2; observability by the rank condition of Kalman,
//! *J. SIAM Control* 1 (1963) 152, state by state; structure of dynamic systems as directed graphs, Lin, *IEEE TAC* 19
//! (1974) 201. Adjacency is stored in compressed rows: no string is compared when a question is answered.

use twinguard_types::{AssetId, Catalogue, Edge, EdgeKind, Endpoint, SignalId, TieKind};

use crate::plant::Dynamics;
use crate::{Error, Plant};

/// Successors by node: those of node i are `targets[starts[i]..starts[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Rows {
    /// From pairs in any order; equal ones count once.
    fn new(nodes: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; nodes + 1];
        for (from, _) in &pairs {
            if let Some(count) = starts.get_mut(*from as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { starts, targets: pairs.into_iter().map(|(_, to)| to).collect() }
    }

    fn of(&self, node: u32) -> &[u32] {
        let at = node as usize;
        let ends = self.starts.get(at).zip(self.starts.get(at + 1));
        ends.and_then(|(from, to)| self.targets.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}

/// A plant's assets and signals with the model's structure, for questions.
///
/// ```
/// use twinguard_twin::{Plant, assets::Graph};
///
/// let plant = Plant::parse(include_str!("../plants/water_network.toml"), "water_network.toml")?;
/// let graph = Graph::new(&plant)?;
/// let signal = |path: &str| plant.catalogue.id(path).ok_or("no such signal");
/// let moved = graph.influences(signal("valve.command")?);
/// assert!(moved.contains(&signal("tank2.level")?) && moved.contains(&signal("transfer.flow")?));
/// assert!(!moved.contains(&signal("pump1.running")?), "the valve starts no pump");
/// // The level of tank 1 is seen by its own meter and, through pressures, by others.
/// let level = graph.sensors("h1_m").ok_or("no such state")?;
/// assert!(level.spare.contains(&signal("tank1.level")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Graph {
    parts: Rows,
    feeds: Rows,
    acts: Rows,
    measures: Rows,
    commands: Rows,
    parent: Vec<Option<u32>>,
    home: Vec<Option<u32>>,
    zone: Vec<Option<u32>>,
    zones: Vec<String>,
    structure: Option<Structure>,
}

/// Which sensors see a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sensors {
    /// All that the state shows in, directly or through other states.
    pub all: Vec<SignalId>,
    /// Those of which any one can be lost, and the others still determine the state.
    pub spare: Vec<SignalId>,
    /// Whether all of them together determine the state.
    pub observable: bool,
}

/// What moves what in the model.
#[derive(Clone, Debug)]
struct Structure {
    states: Vec<String>,
    inputs: Vec<Option<SignalId>>,
    outputs: Vec<Option<SignalId>>,
    /// State to states and outputs, input to states and outputs.
    state_to_state: Rows,
    state_to_output: Rows,
    input_to_state: Rows,
    input_to_output: Rows,
    /// A and C with states in units of their uncertainty, for ranks.
    a: Vec<f64>,
    c: Vec<f64>,
}

impl Graph {
    /// The graph of a plant.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when the model has no finite derivatives where it starts.
    pub fn new(plant: &Plant) -> Result<Self, Error> {
        let catalogue = &plant.catalogue;
        let zones: Vec<String> = plant.zones.iter().map(|zone| zone.name.clone()).collect();
        let mut zone = vec![None; catalogue.len()];
        for binding in &plant.bindings {
            let address = match binding.endpoint {
                Endpoint::Socket(socket) => socket.ip(),
                Endpoint::Host(host) => host,
                _ => continue,
            };
            // The narrowest network counts.
            let fits = plant.zones.iter().enumerate().flat_map(|(at, zone)| {
                let widest = zone.networks.iter().filter(|network| network.contains(address));
                widest.map(move |network| (network.prefix(), at))
            });
            if let (Some((_, at)), Some(slot)) = (fits.max(), zone.get_mut(binding.signal.index())) {
                *slot = u32::try_from(at).ok();
            }
        }
        let structure = plant.dynamics.as_ref().map(Structure::new).transpose()?;
        Ok(Self { zone, zones, structure, ..Self::of(catalogue) })
    }

    /// The graph of a catalogue alone: no model, no zones.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Self {
        let edges = |kind: EdgeKind| -> Vec<(u32, u32)> {
            let of_kind = catalogue.edges().iter().filter(|edge| edge.kind == kind);
            of_kind.map(|Edge { from, to, .. }| (from.0, to.0)).collect()
        };
        let ties = |kind: TieKind| -> Vec<(u32, u32)> {
            let of_kind = catalogue.ties().iter().filter(|tie| tie.kind == kind);
            of_kind.map(|tie| (tie.asset.0, tie.signal.0)).collect()
        };
        let assets = catalogue.assets();
        let mut parent = vec![None; assets];
        for (from, to) in edges(EdgeKind::Contains) {
            if let Some(slot) = parent.get_mut(to as usize) {
                *slot = Some(from);
            }
        }
        let mut home = vec![None; catalogue.len()];
        for tie in catalogue.ties() {
            if let Some(slot) = home.get_mut(tie.signal.index()) {
                *slot = Some(tie.asset.0);
            }
        }
        Self {
            parts: Rows::new(assets, edges(EdgeKind::Contains)),
            feeds: Rows::new(assets, edges(EdgeKind::Feeds)),
            acts: Rows::new(assets, edges(EdgeKind::Controls)),
            measures: Rows::new(assets, ties(TieKind::Measures)),
            commands: Rows::new(assets, ties(TieKind::Commands)),
            parent,
            home,
            zone: Vec::new(),
            zones: Vec::new(),
            structure: None,
        }
    }

    /// The asset that a signal measures or commands.
    #[must_use]
    pub fn asset(&self, signal: SignalId) -> Option<AssetId> {
        self.home.get(signal.index()).copied().flatten().map(AssetId)
    }

    /// The asset that contains this one.
    #[must_use]
    pub fn parent(&self, asset: AssetId) -> Option<AssetId> {
        self.parent.get(asset.0 as usize).copied().flatten().map(AssetId)
    }

    /// The zone of the device that holds a signal, by its address; `None` where no zone has it.
    #[must_use]
    pub fn zone(&self, signal: SignalId) -> Option<&str> {
        let at = self.zone.get(signal.index()).copied().flatten()?;
        self.zones.get(at as usize).map(String::as_str)
    }

    /// All assets that this one reaches: its parts, what they feed, what they act on. Itself included, sorted.
    #[must_use]
    pub fn downstream(&self, asset: AssetId) -> Vec<AssetId> {
        let mut seen = vec![false; self.parent.len()];
        let mut waiting = vec![asset.0];
        while let Some(at) = waiting.pop() {
            match seen.get_mut(at as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            for rows in [&self.parts, &self.feeds, &self.acts] {
                waiting.extend_from_slice(rows.of(at));
            }
        }
        (0..).zip(seen).filter(|(_, seen)| *seen).map(|(at, _)| AssetId(at)).collect()
    }

    /// The measured signals that an actuator or a disturbance moves, sorted: by the model where it knows the signal, else by
    /// the assets downstream of the one that the signal belongs to.
    #[must_use]
    pub fn influences(&self, signal: SignalId) -> Vec<SignalId> {
        if let Some(found) = self.structure.as_ref().and_then(|structure| structure.moved(signal)) {
            return found;
        }
        let Some(asset) = self.asset(signal) else { return Vec::new() };
        let reached = self.downstream(asset);
        let mut found: Vec<SignalId> = reached
            .iter()
            .flat_map(|asset| self.measures.of(asset.0).iter().map(|signal| SignalId(*signal)))
            .filter(|found| *found != signal)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The signals that command an asset or one of its parts, sorted: who can move it.
    #[must_use]
    pub fn commanded_by(&self, asset: AssetId) -> Vec<SignalId> {
        let (mut waiting, mut found) = (vec![asset.0], Vec::new());
        // A part of a part of itself would go round; no more steps than assets.
        for _ in 0..=self.parent.len() {
            let Some(at) = waiting.pop() else { break };
            waiting.extend_from_slice(self.parts.of(at));
            found.extend(self.commands.of(at).iter().map(|signal| SignalId(*signal)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Which sensors see a state of the model, by its name, and which of them are redundant for it.
    #[must_use]
    pub fn sensors(&self, state: &str) -> Option<Sensors> {
        self.structure.as_ref()?.sensors(state)
    }
}

impl Structure {
    fn new(dynamics: &Dynamics) -> Result<Self, Error> {
        let model = &*dynamics.model;
        let (n, m, p) = (model.state_names().len(), model.input_names().len(), model.output_names().len());
        let [mut a, mut b, mut c, mut d] = [n * n, n * m, p * n, p * m].map(|size| vec![0.0; size]);
        let mut found: [Vec<(u32, u32)>; 4] = Default::default();
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        // A coupling may vanish at one point by chance: three are looked at, the first last.
        for round in [2_u32, 1, 0] {
            let moved = |values: &[f64], spread: &[f64]| -> Vec<f64> {
                let shift = |at: usize| 0.05 * f64::from(round) * (1.0 + f64::from(short(at) % 3));
                let spread = |at: usize| spread.get(at).copied().unwrap_or(0.1);
                values.iter().enumerate().map(|(at, value)| value + shift(at) * spread(at)).collect()
            };
            let state = moved(&dynamics.initial_state, &dynamics.initial_sigma);
            let input = moved(&dynamics.input_defaults, &[]);
            model.dynamics_jacobian(0.0, &state, &input, &mut a, &mut b);
            model.output_jacobian(0.0, &state, &input, &mut c, &mut d);
            for (pairs, (matrix, width)) in found.iter_mut().zip([(&a, n), (&c, n), (&b, m), (&d, m)]) {
                let entries = matrix.iter().enumerate().filter(|(_, value)| **value != 0.0);
                pairs.extend(entries.map(|(at, _)| (short(at % width.max(1)), short(at / width.max(1)))));
            }
        }
        if a.iter().chain(&c).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "the model's derivatives", time_s: 0.0 });
        }
        // In units of what is not known at the start, and time of the fastest mode.
        let unit = |at: usize| dynamics.initial_sigma.get(at).copied().filter(|s| *s > 0.0).unwrap_or(1.0);
        for (at, value) in a.iter_mut().enumerate() {
            *value *= unit(at % n.max(1)) / unit(at / n.max(1));
        }
        for (at, value) in c.iter_mut().enumerate() {
            let sigma = dynamics.output_sigma.get(at / n.max(1)).copied().filter(|s| *s > 0.0).unwrap_or(1.0);
            *value *= unit(at % n.max(1)) / sigma;
        }
        let [states, outputs, inputs, straight] = found;
        Ok(Self {
            states: model.state_names().to_vec(),
            inputs: dynamics.inputs.clone(),
            outputs: dynamics.outputs.clone(),
            state_to_state: Rows::new(n, states),
            state_to_output: Rows::new(n, outputs),
            input_to_state: Rows::new(m, inputs),
            input_to_output: Rows::new(m, straight),
            a,
            c,
        })
    }

    /// All states that these move, themselves included.
    fn reach(&self, from: &[u32]) -> Vec<u32> {
        let mut seen = vec![false; self.states.len()];
        let mut waiting = from.to_vec();
        while let Some(at) = waiting.pop() {
            match seen.get_mut(at as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            waiting.extend_from_slice(self.state_to_state.of(at));
        }
        (0..).zip(seen).filter(|(_, seen)| *seen).map(|(at, _)| at).collect()
    }

    fn shown(&self, states: &[u32], straight: &[u32]) -> Vec<SignalId> {
        let through = states.iter().flat_map(|state| self.state_to_output.of(*state));
        let outputs = through.chain(straight);
        let mut found: Vec<SignalId> =
            outputs.filter_map(|output| self.outputs.get(*output as usize).copied().flatten()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn moved(&self, signal: SignalId) -> Option<Vec<SignalId>> {
        let input = self.inputs.iter().position(|input| *input == Some(signal))?;
        let input = u32::try_from(input).ok()?;
        let states = self.reach(self.input_to_state.of(input));
        Some(self.shown(&states, self.input_to_output.of(input)))
    }

    fn sensors(&self, state: &str) -> Option<Sensors> {
        let at = self.states.iter().position(|name| name == state)?;
        let states = self.reach(&[u32::try_from(at).ok()?]);
        let all = self.shown(&states, &[]);
        let outputs: Vec<usize> = (0..self.outputs.len())
            .filter(|output| self.outputs.get(*output).is_some_and(Option::is_some))
            .collect();
        let observable = self.determined(at, &outputs);
        let without = |signal: &SignalId| -> Vec<usize> {
            let other = |output: &usize| self.outputs.get(*output).copied().flatten() != Some(*signal);
            outputs.iter().copied().filter(other).collect()
        };
        let spare = match observable {
            true => all.iter().copied().filter(|signal| self.determined(at, &without(signal))).collect(),
            false => Vec::new(),
        };
        Some(Sensors { all, spare, observable })
    }

    /// Whether the outputs determine the state: its unit vector lies in the span of C, CA, CA², …
    fn determined(&self, state: usize, outputs: &[usize]) -> bool {
        let n = self.states.len();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut front: Vec<Vec<f64>> = outputs
            .iter()
            .filter_map(|output| self.c.get(output * n..(output + 1) * n))
            .map(<[f64]>::to_vec)
            .collect();
        for _ in 0..n {
            let mut grown = Vec::new();
            for row in front {
                let Some(row) = remainder(&basis, row) else { continue };
                basis.push(row.clone());
                grown.push((0..n).map(|column| dot_column(&row, &self.a, n, column)).collect());
            }
            front = grown;
        }
        let mut unit = vec![0.0; n];
        if let Some(entry) = unit.get_mut(state) {
            *entry = 1.0;
        }
        remainder(&basis, unit).is_none()
    }
}

fn dot_column(row: &[f64], matrix: &[f64], n: usize, column: usize) -> f64 {
    row.iter()
        .enumerate()
        .map(|(at, value)| value * matrix.get(at * n + column).copied().unwrap_or_default())
        .sum()
}

/// What of a row is new to an orthonormal basis, as a unit vector; `None` when less than 1e-7 of it is.
fn remainder(basis: &[Vec<f64>], mut row: Vec<f64>) -> Option<Vec<f64>> {
    let norm = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let before = norm(&row);
    if before <= 0.0 || !before.is_finite() {
        return None;
    }
    row.iter_mut().for_each(|value| *value /= before);
    // Twice is enough (Kahan, Parlett).
    for _ in 0..2 {
        for base in basis {
            let along: f64 = base.iter().zip(&row).map(|(base, value)| base * value).sum();
            row.iter_mut().zip(base).for_each(|(value, base)| *value -= along * base);
        }
    }
    let left = norm(&row);
    (left > 1e-7).then(|| row.into_iter().map(|value| value / left).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator;

    #[test]
    fn questions_on_the_cooling_loop() {
        let text = include_str!("../plants/cooling_loop.toml");
        let plant = Plant::parse(text, "cooling_loop.toml").unwrap();
        let graph = Graph::new(&plant).unwrap();
        let signal = |path: &str| plant.catalogue.id(path).unwrap();
        let valve = graph.influences(signal("cooler.valve.command"));
        for path in ["transformer.oil.temperature", "transformer.hotspot.temperature", "cooler.water.flow"] {
            assert!(valve.contains(&signal(path)), "{path}");
        }
        for path in ["cooler.oil.flow", "cooler.pump.speed", "transformer.load"] {
            assert!(!valve.contains(&signal(path)), "{path}");
        }
        // Pump speed is seen by its own meter and by the oil's flow: either may be lost.
        let pump = graph.sensors("pump_speed_pu").unwrap();
        assert!(pump.observable && pump.spare.contains(&signal("cooler.pump.speed")));
        assert!(pump.spare.contains(&signal("cooler.oil.flow")));
        assert!(graph.sensors("no such state").is_none());
        assert_eq!(graph.zone(signal("cooler.pump.speed")), None, "its device has no address");
    }

    #[test]
    fn a_state_that_nobody_sees_is_said() {
        let text = r#"
            format = 1
            name = "two"
            [[signal]]
            path = "a"
            sigma = 0.1
            [[signal]]
            path = "b"
            role = "actuator"
            [[point]]
            signal = "a"
            protocol = "modbus"
            tag = "u1/ir/0"
            endpoint = "10.0.1.7"
            [[zone]]
            name = "site"
            networks = ["10.0.0.0/8"]
            [[zone]]
            name = "cell"
            networks = ["10.0.1.0/24"]
            [[asset]]
            path = "plant"
            contains = ["plant/tank"]
            [[asset]]
            path = "plant/tank"
            measures = ["a"]
            commands = ["b"]
            [dynamics]
            kind = "differential"
            equations = ["d(x)/dt = u - x", "d(z)/dt = x - z"]
            states = ["x", "z"]
            inputs = { u = "b" }
            outputs = { x = "a" }
        "#;
        let plant = Plant::parse(text, "two.toml").unwrap();
        let graph = Graph::new(&plant).unwrap();
        let [a, b] = ["a", "b"].map(|path| plant.catalogue.id(path).unwrap());
        assert_eq!(graph.influences(b), [a]);
        let x = graph.sensors("x").unwrap();
        assert!(x.observable && x.spare.is_empty() && x.all == [a], "{x:?}");
        assert_eq!(graph.sensors("z").unwrap(), Sensors::default());
        assert_eq!((graph.zone(a), graph.zone(b)), (Some("cell"), None));
        let tank = plant.catalogue.asset_id("plant/tank").unwrap();
        assert_eq!((graph.asset(a), graph.parent(tank)), (Some(tank), plant.catalogue.asset_id("plant")));
        assert_eq!(graph.commanded_by(plant.catalogue.asset_id("plant").unwrap()), [b]);
        let again = Plant::parse(&plant.to_toml(), "plant.toml").unwrap();
        assert_eq!(again.catalogue, plant.catalogue);
        let unknown = text.replace("measures = [\"a\"]", "measures = [\"c\"]");
        let error = Plant::parse(&unknown, "two.toml").unwrap_err().to_string();
        assert!(error.contains("unknown signal `c`"), "{error}");
    }

    /// The levels of the lower tanks show the upper ones; each pump moves a lower and an upper tank.
    #[test]
    fn every_reference_plants_hazard_is_moved_by_a_command() {
        for reference in simulator::references() {
            let plant = Plant::parse(reference.plant, reference.name).unwrap();
            let graph = Graph::new(&plant).unwrap();
            let hazard = plant.catalogue.id(reference.hazard).unwrap();
            let by = |path: &str| graph.influences(plant.catalogue.id(path).unwrap()).contains(&hazard);
            assert!(reference.control.writes.iter().any(|path| by(path)), "{}", reference.name);
        }
    }
}
