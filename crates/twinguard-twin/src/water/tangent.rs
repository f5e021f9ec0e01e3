//! How heads and flows move with what is given: tank levels, demand, the speed of a pump.
//!
//! Sources: E. Todini, S. Pilati (1987), equations (10) to (14), differentiated at their solution: the matrix of the last step is the
//! Jacobian of the balance of nodes, so that each cause costs one back-substitution (implicit function theorem). Valves that hold a
//! pressure take their flow from the nodes beside them, as the solver does; there the substitution is repeated until it stands still.
//! Assumptions: no status changes; where one does, heads have a kink and this is one side of it.

use super::{
    hydraulics::{Hydraulics, Kind, NO_ROW},
    network::{LinkId, NodeId, PumpCurve, Status, ValveKind},
};

/// What moves by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cause {
    /// The head of a tank or reservoir, ft.
    Head(NodeId),
    /// The factor of all demands.
    Demand,
    /// The relative speed of a pump.
    Speed(LinkId),
}

/// Substitutions until valves that hold a pressure have to agree.
const TURNS: usize = 100;
/// Relative change that is none.
const STILL: f64 = 1e-13;

impl Hydraulics {
    /// Puts the matrix together at the solution: call once before [`Self::tangent`]. `false` where it has no inverse.
    pub(super) fn linearise(&mut self) -> bool {
        self.coefficients();
        self.equations();
        self.matrix.factor().is_ok()
    }

    /// Changes of heads (ft) and flows (cfs) for each unit of a cause.
    pub(super) fn tangent(&mut self, cause: Cause, heads: &mut [f64], flows: &mut [f64]) {
        heads.fill(0.0);
        flows.fill(0.0);
        if let Cause::Head(node) = cause
            && let Some(head) = heads.get_mut(node)
        {
            *head = 1.0;
        }
        let speed = match cause {
            Cause::Speed(link) => Some((link, self.loss_by_speed(link))),
            _ => None,
        };
        let holds_pressure = self.plan.regulating.iter().any(|link| {
            self.state.status[*link as usize] == Status::Active
                && !matches!(self.plan.links[*link as usize].kind, Kind::Valve(ValveKind::FlowControl))
        });
        for _ in 0..if holds_pressure { TURNS } else { 1 } {
            self.right_of(cause, speed, heads, flows);
            self.matrix.solve(&mut self.work.right);
            let (mut change, mut size) = (0.0_f64, 0.0_f64);
            for (node, row) in self.plan.row.iter().enumerate() {
                let head = self.work.right[*row as usize];
                change = change.max((head - heads[node]).abs());
                size = size.max(head.abs());
                heads[node] = head;
            }
            for (link, piece) in self.plan.links.iter().enumerate() {
                let by_speed = speed.filter(|(at, _)| *at == link).map_or(0.0, |(_, loss)| loss);
                let loss = heads[piece.from as usize] - heads[piece.to as usize] - by_speed;
                flows[link] = self.work.p[link] * loss;
            }
            self.regulated(cause, heads, flows, None);
            if change <= STILL * size {
                break;
            }
        }
    }

    /// The right side: heads that are given, demands, the pump's lift, and what regulating valves take.
    fn right_of(&mut self, cause: Cause, speed: Option<(LinkId, f64)>, heads: &[f64], flows: &mut [f64]) {
        let mut right = core::mem::take(&mut self.work.right);
        right.fill(0.0);
        for (link, piece) in self.plan.links.iter().enumerate() {
            let p = self.work.p[link];
            match (piece.from_row, piece.to_row) {
                (NO_ROW, NO_ROW) => {}
                (NO_ROW, row) => right[row as usize] += p * heads[piece.from as usize],
                (row, NO_ROW) => right[row as usize] += p * heads[piece.to as usize],
                _ => {}
            }
            if let Some((at, loss)) = speed
                && at == link
            {
                for (row, sign) in [(piece.from_row, 1.0), (piece.to_row, -1.0)] {
                    if row != NO_ROW {
                        right[row as usize] += sign * p * loss;
                    }
                }
            }
        }
        if cause == Cause::Demand {
            for (node, row) in self.plan.row.iter().enumerate() {
                right[*row as usize] -= self.by_factor(node);
            }
        }
        self.regulated(cause, heads, flows, Some(&mut right));
        self.work.right = right;
    }

    /// What a node's demand gains with the factor of all demands.
    fn by_factor(&self, node: usize) -> f64 {
        let factor = self.state.demand_factor;
        if factor > 0.0 { self.state.outflow[node] / factor } else { 0.0 }
    }

    /// Flows of valves that hold a pressure, from what the links beside them carry; also as what their other side has to give.
    fn regulated(&self, cause: Cause, heads: &[f64], flows: &mut [f64], mut right: Option<&mut Vec<f64>>) {
        for link in &self.plan.regulating {
            let link = *link as usize;
            let piece = &self.plan.links[link];
            if self.state.status[link] != Status::Active || self.state.setting[link].is_none() {
                continue;
            }
            let (side, other) = match piece.kind {
                Kind::Valve(ValveKind::PressureReducing) => (piece.to, piece.from_row),
                Kind::Valve(ValveKind::PressureSustaining) => (piece.from, piece.to_row),
                _ => continue,
            };
            let change = self.excess_by(cause, side as usize, heads, flows);
            // What a reducing valve lets through is missing behind it; what a sustaining one does is spare before it.
            let is_reducing = piece.to == side;
            let excess = self.work.excess[side as usize];
            let acts = if is_reducing { excess < 0.0 } else { excess > 0.0 };
            flows[link] = match (acts, is_reducing) {
                (false, _) => 0.0,
                (true, true) => -change,
                (true, false) => change,
            };
            if let (Some(right), true) = (right.as_deref_mut(), acts && other != NO_ROW) {
                right[other as usize] += change;
            }
        }
    }

    /// What more flows into a node than out of it, by links that regulate nothing, emitters and demands.
    fn excess_by(&self, cause: Cause, node: usize, heads: &[f64], flows: &[f64]) -> f64 {
        let mut excess = 0.0;
        for (link, piece) in self.plan.links.iter().enumerate() {
            if self.plan.regulating.contains(&(link as u32)) && self.state.setting[link].is_some() {
                continue;
            }
            excess -= if piece.from as usize == node { flows[link] } else { 0.0 };
            excess += if piece.to as usize == node { flows[link] } else { 0.0 };
        }
        if self.plan.emitters.contains(&(node as u32)) {
            excess -= heads[node] / self.emitter(node).1;
        }
        if let Some(law) = self.network.options.pressure_driven
            && self.state.demand[node] > 0.0
        {
            excess -= heads[node] / self.driven(node, &law).1;
        }
        excess - if cause == Cause::Demand { self.by_factor(node) } else { 0.0 }
    }

    /// How a pump's head loss (its lift, negative) moves with its speed.
    fn loss_by_speed(&self, link: LinkId) -> f64 {
        let (Some(piece), Some(status)) = (self.plan.links.get(link), self.state.status.get(link)) else {
            return 0.0;
        };
        let (Kind::Pump(curve), Some(speed)) = (piece.kind, self.state.setting[link]) else { return 0.0 };
        if status.is_closed() || speed <= 0.0 {
            return 0.0;
        }
        let flow = self.state.flow[link];
        let q = flow.abs();
        match curve {
            PumpCurve::Power { power_hp } => -3.0 * 8.814 * power_hp * speed * speed / flow,
            PumpCurve::Law { shutoff_ft, resistance, exponent, .. } => {
                let lost = (2.0 - exponent) * resistance * libm::pow(speed, 1.0 - exponent);
                -2.0 * speed * shutoff_ft + lost * libm::pow(q, exponent)
            }
            PumpCurve::Points { curve, .. } => {
                let piece = self.piece(curve, q / speed);
                piece.map_or(0.0, |(height, slope)| -2.0 * height * speed - slope * flow)
            }
        }
    }
}
