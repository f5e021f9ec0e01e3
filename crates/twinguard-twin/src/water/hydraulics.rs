//! The running network: what flows now, and what happens next.
//!
//! Source: EPANET 2.2 Users Manual, chapter 12 (analysis algorithms) and the Programmer's Toolkit's cycle of two calls: solve at an
//! instant, then move to the next one.

use std::sync::Arc;

use super::{
    network::{LinkKind, Network, PumpCurve, Status, ValveKind},
    units::circle,
};
use crate::sparse::{Factor, Place, minimum_degree};

/// Stands for the row of a node whose head is given.
pub(super) const NO_ROW: u32 = u32::MAX;
/// A flow that is none, cfs.
pub(super) const NO_FLOW: f64 = 1e-6;

/// What a network cannot do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WaterError {
    /// The equations have no solution.
    #[error("at {time_s} s: no heads balance the flows around node `{node}`")]
    Unsolvable {
        /// Time of the run.
        time_s: i64,
        /// The node whose equation fails.
        node: String,
    },
    /// A meter of a node or link that is not there.
    #[error("meter {number} is of a node or link that is not there")]
    NoMeter {
        /// Which meter, from 0.
        number: usize,
    },
    /// The estimator's filter refuses.
    #[error(transparent)]
    Filter(#[from] crate::Error),
    /// A network beyond what places in memory can count.
    #[error("{count} nodes and links are too many")]
    TooLarge {
        /// How many.
        count: usize,
    },
}

/// How exactly to solve.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Accuracy {
    /// The tightest that a file can ask EPANET for (relative change 1e-5), with at least 500 trials.
    #[default]
    Tight,
    /// As the file's options ask.
    AsWritten,
    /// Until flows change by less than 1e-8 of their sum: what the network's equations say.
    Exact,
}

/// How a solution was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Trials.
    pub trials: u32,
    /// Sum of the last changes of flow over the sum of flows.
    pub relative_change: f64,
    /// Whether it is small enough and no status wants to change.
    pub balanced: bool,
}

/// What a link is, for the solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Pipe,
    CheckValve,
    Pump(PumpCurve),
    Valve(ValveKind),
}

/// A link, for the solver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) from_row: u32,
    pub(super) to_row: u32,
    pub(super) place: Option<Place>,
    pub(super) diameter: f64,
    pub(super) roughness: f64,
    pub(super) resistance: f64,
    pub(super) minor: f64,
}

/// What never changes during a run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) links: Vec<Piece>,
    /// Links that are pipes, with their resistance and minor loss side by side.
    pub(super) pipes: Vec<u32>,
    pub(super) resistance: Vec<f64>,
    pub(super) minor: Vec<f64>,
    /// Pumps and valves.
    pub(super) others: Vec<u32>,
    /// Valves that hold a head or a flow.
    pub(super) regulating: Vec<u32>,
    /// Exponent of flow in the head loss.
    pub(super) exponent: f64,
    /// Row of each junction.
    pub(super) row: Vec<u32>,
    /// Junction of each row.
    pub(super) order: Vec<u32>,
    /// Elevation of each node.
    pub(super) elevation: Vec<f64>,
    pub(super) emitters: Vec<u32>,
    /// Demands: junction, base, pattern.
    pub(super) demands: Vec<(u32, f64, Option<u32>)>,
}

/// What a run carries from instant to instant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) flow: Vec<f64>,
    pub(super) status: Vec<Status>,
    pub(super) setting: Vec<Option<f64>>,
    pub(super) head: Vec<f64>,
    /// Junctions: what is asked for; stores: what flows in.
    pub(super) demand: Vec<f64>,
    /// Junctions: what is delivered as demand.
    pub(super) outflow: Vec<f64>,
    pub(super) emitter: Vec<f64>,
    /// Water in each store that is a tank.
    pub(super) volume: Vec<f64>,
    pub(super) system_demand: f64,
    /// Multiplies every demand beside the file's own factor.
    pub(super) demand_factor: f64,
    pub(super) time_s: i64,
    pub(super) report_s: i64,
    pub(super) halted: bool,
}

/// Room to work in.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) p: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) powers: Vec<f64>,
    pub(super) right: Vec<f64>,
    pub(super) excess: Vec<f64>,
    pub(super) factors: Vec<f64>,
    pub(super) relax: f64,
    pub(super) largest_change: f64,
}

/// A network at an instant. A clone is a fork: it shares the network and the plan.
///
/// ```
/// use twinguard_twin::{importers::epanet, water::{Accuracy, Hydraulics}};
///
/// let text = "[JUNCTIONS]\n a 10 100\n[RESERVOIRS]\n r 100\n[PIPES]\n p r a 1000 12 100\n";
/// let mut water = Hydraulics::new(epanet(text.as_bytes())?, Accuracy::Tight)?;
/// water.solve()?;
/// assert!((water.flows()[0] - 100.0).abs() < 1e-6);
/// assert!((water.heads()[0] - 99.9421).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hydraulics {
    pub(super) network: Arc<Network>,
    pub(super) plan: Arc<Plan>,
    pub(super) state: State,
    pub(super) work: Work,
    pub(super) matrix: Factor,
    pub(super) accuracy: f64,
    pub(super) trials: u32,
}

impl Hydraulics {
    /// Plans the solution of a network and puts it at its start.
    ///
    /// # Errors
    /// [`WaterError::TooLarge`].
    pub fn new(network: Network, accuracy: Accuracy) -> Result<Self, WaterError> {
        let count = network.node_count().max(network.links.len());
        if u32::try_from(count).is_err() {
            return Err(WaterError::TooLarge { count });
        }
        let (plan, matrix) = plan(&network);
        let (links, nodes) = (network.links.len(), network.node_count());
        let (accuracy, trials) = match accuracy {
            Accuracy::Tight => (1e-5, network.options.trials.max(500)),
            Accuracy::Exact => (1e-8, network.options.trials.max(500)),
            Accuracy::AsWritten => (network.options.accuracy, network.options.trials),
        };
        let work = Work {
            p: vec![0.0; links],
            y: vec![0.0; links],
            powers: Vec::with_capacity(links),
            right: vec![0.0; network.junctions.len()],
            excess: vec![0.0; nodes],
            factors: vec![1.0; network.patterns.len()],
            relax: 1.0,
            largest_change: 0.0,
        };
        let state = start(&network);
        let (network, plan) = (Arc::new(network), Arc::new(plan));
        Ok(Self { network, plan, state, work, matrix, accuracy, trials })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Seconds since the start.
    #[must_use]
    pub fn time_s(&self) -> i64 {
        self.state.time_s
    }

    /// Heads of all nodes, in the file's units.
    #[must_use]
    pub fn heads(&self) -> Vec<f64> {
        self.state.head.iter().map(|head| head * self.network.units.length).collect()
    }

    /// Flows of all links, in the file's units.
    #[must_use]
    pub fn flows(&self) -> Vec<f64> {
        let flow = |(flow, status): (&f64, &Status)| if status.is_closed() { 0.0 } else { *flow };
        self.state
            .flow
            .iter()
            .zip(&self.state.status)
            .map(|both| flow(both) * self.network.units.flow)
            .collect()
    }

    /// What leaves the network at each junction, what enters each store; in the file's units.
    #[must_use]
    pub fn demands(&self) -> Vec<f64> {
        let junctions = self.network.junctions.len();
        let at = |node: usize| match node < junctions {
            true => self.state.outflow[node] + self.state.emitter[node],
            false => self.state.demand[node],
        };
        (0..self.network.node_count()).map(|node| at(node) * self.network.units.flow).collect()
    }

    /// Status of all links.
    #[must_use]
    pub fn statuses(&self) -> &[Status] {
        &self.state.status
    }

    /// Pressure at a node in the file's units; none for a node that is not there.
    #[must_use]
    pub fn pressure(&self, node: usize) -> Option<f64> {
        Some((self.state.head.get(node)? - self.plan.elevation.get(node)?) * self.network.units.pressure)
    }

    /// Level above its elevation of a node in the file's units; none for a node that is not there.
    #[must_use]
    pub fn level(&self, node: usize) -> Option<f64> {
        Some((self.state.head.get(node)? - self.plan.elevation.get(node)?) * self.network.units.length)
    }

    /// Flow of a link in the file's units; none for a link that is not there.
    #[must_use]
    pub fn flow(&self, link: usize) -> Option<f64> {
        let open = !self.state.status.get(link)?.is_closed();
        Some(if open { self.state.flow.get(link)? * self.network.units.flow } else { 0.0 })
    }
}

fn start(network: &Network) -> State {
    let nodes = network.node_count();
    let mut head = vec![0.0; nodes];
    let mut volume = Vec::with_capacity(network.stores.len());
    for (store, head) in network.stores.iter().zip(&mut head[network.junctions.len()..]) {
        *head = store.tank.as_ref().map_or(store.elevation_ft, |tank| tank.start_ft);
        volume.push(store.tank.as_ref().map_or(0.0, |tank| tank.start_ft3));
    }
    let mut state = State {
        flow: vec![0.0; network.links.len()],
        status: network.links.iter().map(|link| link.status).collect(),
        setting: network.links.iter().map(|link| link.setting).collect(),
        head,
        demand: vec![0.0; nodes],
        outflow: vec![0.0; network.junctions.len()],
        emitter: network.junctions.iter().map(|junction| f64::from(junction.emitter > 0.0)).collect(),
        volume,
        system_demand: 0.0,
        demand_factor: 1.0,
        time_s: 0,
        report_s: network.times.report_step_s,
        halted: false,
    };
    for (at, link) in network.links.iter().enumerate() {
        if let LinkKind::Valve(
            ValveKind::PressureReducing | ValveKind::PressureSustaining | ValveKind::FlowControl,
        ) = link.kind
            && link.setting.is_some()
        {
            state.status[at] = Status::Active;
        }
        let design = match &link.kind {
            LinkKind::Pump { curve, .. } => {
                let design = match curve {
                    PumpCurve::Power { .. } => 1.0,
                    PumpCurve::Law { design_cfs, .. } | PumpCurve::Points { design_cfs, .. } => *design_cfs,
                };
                link.setting.unwrap_or(0.0) * design
            }
            // One foot per second.
            _ => circle(link.diameter_ft),
        };
        state.flow[at] = if state.status[at].is_closed() { NO_FLOW } else { design };
    }
    state
}

/// Places fit in 32 bits: checked when the network is taken.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn plan(network: &Network) -> (Plan, Factor) {
    use super::network::HeadLoss::{ChezyManning, DarcyWeisbach, HazenWilliams};
    let junctions = network.junctions.len();
    let mut neighbours = vec![Vec::new(); junctions];
    for link in network.links.iter().filter(|link| link.from < junctions && link.to < junctions) {
        neighbours[link.from].push(index(link.to));
        neighbours[link.to].push(index(link.from));
    }
    for list in &mut neighbours {
        list.sort_unstable();
        list.dedup();
    }
    let order = minimum_degree(&neighbours);
    let mut row = vec![0; junctions];
    order.iter().zip(0..).for_each(|(node, k)| row[*node as usize] = k);
    let by_row: Vec<Vec<u32>> = order
        .iter()
        .map(|node| neighbours[*node as usize].iter().map(|other| row[*other as usize]).collect())
        .collect();
    let matrix = Factor::new(&by_row);
    let exponent = if network.options.head_loss == HazenWilliams { 1.852 } else { 2.0 };
    let mut plan = Plan {
        links: Vec::with_capacity(network.links.len()),
        pipes: Vec::new(),
        resistance: Vec::new(),
        minor: Vec::new(),
        others: Vec::new(),
        regulating: Vec::new(),
        exponent,
        row,
        order,
        elevation: (0..network.node_count()).filter_map(|node| network.elevation_ft(node)).collect(),
        emitters: Vec::new(),
        demands: Vec::new(),
    };
    for (at, link) in network.links.iter().enumerate() {
        let place_of = |node: usize| plan.row.get(node).copied().unwrap_or(NO_ROW);
        let (from_row, to_row) = (place_of(link.from), place_of(link.to));
        let mut piece = Piece {
            kind: Kind::Pipe,
            from: index(link.from),
            to: index(link.to),
            from_row,
            to_row,
            place: if from_row == NO_ROW || to_row == NO_ROW { None } else { matrix.place(from_row, to_row) },
            diameter: link.diameter_ft,
            roughness: 0.0,
            resistance: 0.0,
            minor: link.minor_loss,
        };
        match &link.kind {
            LinkKind::Pipe { length_ft, roughness, check_valve } => {
                let d = link.diameter_ft;
                piece.kind = if *check_valve { Kind::CheckValve } else { Kind::Pipe };
                piece.roughness = *roughness;
                piece.resistance = match network.options.head_loss {
                    HazenWilliams => {
                        4.727 * length_ft / libm::pow(*roughness, exponent) / libm::pow(d, 4.871)
                    }
                    DarcyWeisbach => length_ft / 2.0 / 32.2 / d / (circle(d) * circle(d)),
                    ChezyManning => {
                        let factor = 4.0 * roughness / (1.49 * std::f64::consts::PI * d * d);
                        factor * factor * libm::pow(d / 4.0, -1.333) * length_ft
                    }
                };
                plan.pipes.push(index(at));
                plan.resistance.push(piece.resistance);
                plan.minor.push(piece.minor);
            }
            LinkKind::Pump { curve, .. } => {
                piece.kind = Kind::Pump(*curve);
                plan.others.push(index(at));
            }
            LinkKind::Valve(kind) => {
                piece.kind = Kind::Valve(*kind);
                plan.others.push(index(at));
                if matches!(
                    kind,
                    ValveKind::PressureReducing | ValveKind::PressureSustaining | ValveKind::FlowControl
                ) {
                    plan.regulating.push(index(at));
                }
            }
        }
        plan.links.push(piece);
    }
    for (at, junction) in network.junctions.iter().enumerate() {
        if junction.emitter > 0.0 {
            plan.emitters.push(index(at));
        }
        for demand in &junction.demands {
            plan.demands.push((index(at), demand.base_cfs, demand.pattern.map(index)));
        }
    }
    (plan, matrix)
}
