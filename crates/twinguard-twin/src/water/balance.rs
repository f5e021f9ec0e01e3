//! Heads and flows at one instant: the global gradient algorithm with its checks of status.
//!
//! Sources: E. Todini, S. Pilati (1987), equations (10) to (14); EPANET 2.2 Users Manual, chapter 12.1, steps 1 to 9 (iteration, when
//! status is checked, when it ends).

use super::{
    hydraulics::{Balance, Hydraulics, Kind, NO_ROW, WaterError},
    network::{PumpCurve, Status, ValveKind, When},
};

impl Hydraulics {
    /// Demands, controls, then heads and flows of this instant.
    ///
    /// # Errors
    /// [`WaterError::Unsolvable`].
    pub fn solve(&mut self) -> Result<Balance, WaterError> {
        self.set_demands();
        self.apply_controls();
        let balance = self.balance()?;
        if !balance.balanced && self.network.options.extra_trials.is_none() {
            self.state.halted = true;
        }
        Ok(balance)
    }

    fn balance(&mut self) -> Result<Balance, WaterError> {
        let options = &self.network.options;
        let (check_every, check_until) = (options.check_every, options.check_until);
        let (damp_below, extra) = (options.damp_below, options.extra_trials.unwrap_or(0));
        let mut next_check = check_every;
        let mut relative_change = f64::INFINITY;
        let mut trial = 1;
        self.work.relax = 1.0;
        while trial <= self.trials.saturating_add(extra) {
            self.coefficients();
            self.equations();
            if let Err(row) = self.matrix.factor() {
                // A regulating valve may ask for what the network cannot do: then it stands open.
                let node = self.plan.order[row] as usize;
                if self.give_up_valve(node) {
                    continue;
                }
                let node = self.network.node_name(node).unwrap_or_default().to_owned();
                return Err(WaterError::Unsolvable { time_s: self.state.time_s, node });
            }
            self.matrix.solve(&mut self.work.right);
            for (node, row) in self.plan.row.iter().enumerate() {
                self.state.head[node] = self.work.right[*row as usize];
            }
            relative_change = self.update_flows();
            self.work.relax = 1.0;
            let mut changed = false;
            match damp_below {
                Some(limit) if relative_change > limit => {}
                Some(_) => {
                    self.work.relax = 0.6;
                    changed = self.valve_status();
                }
                None => changed = self.valve_status(),
            }
            if self.has_converged(relative_change) {
                if trial > self.trials {
                    break;
                }
                changed |= self.link_status();
                changed |= self.pressure_controls();
                if !changed {
                    break;
                }
                next_check = trial + check_every;
            } else if trial <= check_until && trial == next_check {
                self.link_status();
                next_check += check_every;
            }
            trial += 1;
        }
        let balanced = relative_change <= self.accuracy;
        Ok(Balance { trials: trial, relative_change, balanced })
    }

    /// New flows from new heads; the sum of changes over the sum of flows.
    fn update_flows(&mut self) -> f64 {
        let junctions = self.plan.row.len();
        self.state.demand[junctions..].fill(0.0);
        let (mut total, mut change, mut largest) = (0.0, 0.0, 0.0_f64);
        let relax = self.work.relax;
        for (link, piece) in self.plan.links.iter().enumerate() {
            let loss = self.state.head[piece.from as usize] - self.state.head[piece.to as usize];
            let mut step = (self.work.y[link] - self.work.p[link] * loss) * relax;
            let flow = &mut self.state.flow[link];
            if let Kind::Pump(PumpCurve::Power { .. }) = piece.kind
                && step > *flow
            {
                // A pump of constant power cannot run backwards.
                step = *flow / 2.0;
            }
            *flow -= step;
            total += flow.abs();
            change += step.abs();
            largest = largest.max(step.abs());
            if (piece.from_row == NO_ROW || piece.to_row == NO_ROW) && !self.state.status[link].is_closed() {
                if piece.from_row == NO_ROW {
                    self.state.demand[piece.from as usize] -= *flow;
                }
                if piece.to_row == NO_ROW {
                    self.state.demand[piece.to as usize] += *flow;
                }
            }
        }
        let mut account = |flow: f64, step: f64| {
            total += flow.abs();
            change += step.abs();
            largest = largest.max(step.abs());
        };
        for at in 0..self.plan.emitters.len() {
            let node = self.plan.emitters[at] as usize;
            let (loss, gradient) = self.emitter(node);
            let step = (loss - (self.state.head[node] - self.plan.elevation[node])) / gradient * relax;
            self.state.emitter[node] -= step;
            account(self.state.emitter[node], step);
        }
        if let Some(law) = self.network.options.pressure_driven {
            for node in 0..junctions {
                let full = self.state.demand[node];
                if full > 0.0 {
                    let (loss, gradient) = self.driven(node, &law);
                    let have = self.state.head[node] - self.plan.elevation[node] - law.least_ft;
                    // Not more than a part of the demand at once.
                    let step = ((loss - have) / gradient * relax).clamp(-0.4 * full, 0.4 * full);
                    self.state.outflow[node] -= step;
                    account(self.state.outflow[node], step);
                }
            }
        }
        self.work.largest_change = largest;
        if total > self.accuracy { change / total } else { change }
    }

    fn has_converged(&mut self, relative_change: f64) -> bool {
        if relative_change.is_nan() || relative_change > self.accuracy {
            return false;
        }
        let options = &self.network.options;
        let (head_error, flow_change, driven) =
            (options.head_error_ft, options.flow_change_cfs, options.pressure_driven);
        if let Some(limit) = head_error {
            self.coefficients();
            for (link, piece) in self.plan.links.iter().enumerate() {
                let p = self.work.p[link];
                if self.state.status[link].is_closed() || p == 0.0 {
                    continue;
                }
                let loss = self.state.head[piece.from as usize] - self.state.head[piece.to as usize];
                if (loss - self.work.y[link] / p).abs() > limit {
                    return false;
                }
            }
        }
        if flow_change.is_some_and(|limit| self.work.largest_change > limit) {
            return false;
        }
        let Some(law) = driven else { return true };
        // Demands must agree with their law at the pressures found.
        const CLOSE_CFS: f64 = 1e-4;
        (0..self.plan.row.len()).filter(|node| self.state.demand[*node] > 0.0).all(|node| {
            let pressure = self.state.head[node] - self.plan.elevation[node];
            let share = ((pressure - law.least_ft) / (law.required_ft - law.least_ft)).clamp(0.0, 1.0);
            let demand = self.state.demand[node] * libm::pow(share, law.exponent);
            (demand - self.state.outflow[node]).abs() <= CLOSE_CFS
        })
    }

    /// Opens the first regulating valve at a node whose equation fails.
    fn give_up_valve(&mut self, node: usize) -> bool {
        for link in &self.plan.others {
            let (link, piece) = (*link as usize, &self.plan.links[*link as usize]);
            let Kind::Valve(kind) = piece.kind else { continue };
            if piece.from as usize != node && piece.to as usize != node {
                continue;
            }
            let given_up = match kind {
                ValveKind::FlowControl => Status::CannotFlow,
                ValveKind::PressureReducing | ValveKind::PressureSustaining => Status::CannotPress,
                _ => return false,
            };
            if self.state.status[link] == Status::Active {
                self.state.status[link] = given_up;
                return true;
            }
            return false;
        }
        false
    }

    /// Controls by pressure at junctions; whether one acted.
    fn pressure_controls(&mut self) -> bool {
        let junctions = self.plan.row.len();
        let tolerance = self.network.options.head_tolerance_ft;
        let mut any = false;
        for control in &self.network.controls {
            let holds = match control.when {
                When::Below { node, head_ft } => {
                    node < junctions && self.state.head[node] <= head_ft + tolerance
                }
                When::Above { node, head_ft } => {
                    node < junctions && self.state.head[node] >= head_ft - tolerance
                }
                When::Time { .. } | When::Clock { .. } => false,
            };
            if !holds {
                continue;
            }
            let link = control.link;
            let (status, setting) = (&mut self.state.status[link], &mut self.state.setting[link]);
            let changes = match self.plan.links[link].kind {
                Kind::Pipe | Kind::CheckValve | Kind::Valve(ValveKind::General { .. }) => {
                    *status != control.status
                }
                Kind::Pump(_) => *setting != control.setting,
                Kind::Valve(_) => {
                    *setting != control.setting || (setting.is_none() && *status != control.status)
                }
            };
            if changes {
                *status = control.status;
                if !matches!(self.plan.links[link].kind, Kind::Pipe | Kind::CheckValve) {
                    *setting = control.setting;
                }
                any = true;
            }
        }
        any
    }
}
