//! Who opens and who closes: check valves, pumps that cannot lift, regulating valves, links of full and empty tanks.
//!
//! Source: EPANET 2.2 Users Manual, chapter 12.1, step 8 (status rules of each kind of link).

use super::{
    hydraulics::{Hydraulics, Kind},
    network::{PumpCurve, Status, ValveKind},
};

impl Hydraulics {
    /// Pressure reducing and sustaining valves; whether one changed.
    pub(super) fn valve_status(&mut self) -> bool {
        let mut any = false;
        for link in &self.plan.regulating {
            let link = *link as usize;
            let piece = &self.plan.links[link];
            let Some(setting) = self.state.setting[link] else { continue };
            let (h1, h2) = (self.state.head[piece.from as usize], self.state.head[piece.to as usize]);
            let (flow, before) = (self.state.flow[link], self.state.status[link]);
            let (head_tolerance, flow_tolerance) =
                (self.network.options.head_tolerance_ft, self.network.options.flow_tolerance_cfs);
            let open_loss = piece.minor * flow * flow;
            let backwards = flow < -flow_tolerance;
            let after = match piece.kind {
                Kind::Valve(ValveKind::PressureReducing) => {
                    let set = self.plan.elevation[piece.to as usize] + setting;
                    match before {
                        Status::Active | Status::Open | Status::CannotPress if backwards => Status::Closed,
                        Status::Active if h1 - open_loss < set - head_tolerance => Status::Open,
                        Status::Open if h2 >= set + head_tolerance => Status::Active,
                        Status::Closed if h1 >= set + head_tolerance && h2 < set - head_tolerance => {
                            Status::Active
                        }
                        Status::Closed if h1 < set - head_tolerance && h1 > h2 + head_tolerance => {
                            Status::Open
                        }
                        same => same,
                    }
                }
                Kind::Valve(ValveKind::PressureSustaining) => {
                    let set = self.plan.elevation[piece.from as usize] + setting;
                    match before {
                        Status::Active | Status::Open | Status::CannotPress if backwards => Status::Closed,
                        Status::Active if h2 + open_loss > set + head_tolerance => Status::Open,
                        Status::Open if h1 < set - head_tolerance => Status::Active,
                        Status::Closed if h2 > set + head_tolerance && h1 > h2 + head_tolerance => {
                            Status::Open
                        }
                        Status::Closed if h1 >= set + head_tolerance && h1 > h2 + head_tolerance => {
                            Status::Active
                        }
                        same => same,
                    }
                }
                _ => continue,
            };
            any |= after != before;
            self.state.status[link] = after;
        }
        any
    }

    /// Check valves, pumps, flow control valves and links of tanks; whether one changed.
    pub(super) fn link_status(&mut self) -> bool {
        let junctions = self.plan.row.len();
        let (head_tolerance, flow_tolerance) =
            (self.network.options.head_tolerance_ft, self.network.options.flow_tolerance_cfs);
        let mut any = false;
        for link in 0..self.plan.links.len() {
            let piece = &self.plan.links[link];
            let (from, to) = (piece.from as usize, piece.to as usize);
            let plain =
                matches!(piece.kind, Kind::Pipe | Kind::Valve(_)) && from < junctions && to < junctions;
            let before = self.state.status[link];
            if plain
                && !matches!(piece.kind, Kind::Valve(ValveKind::FlowControl))
                && before > Status::TankClosed
            {
                continue;
            }
            let loss = self.state.head[from] - self.state.head[to];
            let flow = self.state.flow[link];
            let mut after =
                if matches!(before, Status::CannotLift | Status::TankClosed) { Status::Open } else { before };
            match piece.kind {
                Kind::CheckValve => after = check_valve(after, loss, flow, head_tolerance, flow_tolerance),
                Kind::Pump(curve) if after >= Status::Open => {
                    if let Some(speed) = self.state.setting[link].filter(|speed| *speed > 0.0) {
                        let most = match curve {
                            PumpCurve::Power { .. } => f64::INFINITY,
                            PumpCurve::Law { shutoff_ft, .. } | PumpCurve::Points { shutoff_ft, .. } => {
                                shutoff_ft
                            }
                        };
                        let too_high = -loss > speed * speed * most + head_tolerance;
                        after = if too_high { Status::CannotLift } else { Status::Open };
                    }
                }
                Kind::Valve(ValveKind::FlowControl) => {
                    if let Some(setting) = self.state.setting[link] {
                        after = if loss < -head_tolerance || flow < -flow_tolerance {
                            Status::CannotFlow
                        } else if before == Status::CannotFlow && flow >= setting {
                            Status::Active
                        } else {
                            before
                        };
                    }
                }
                _ => {}
            }
            if !after.is_closed() && self.tank_closes(link, flow) {
                after = Status::TankClosed;
            }
            any |= after != before;
            self.state.status[link] = after;
        }
        any
    }

    /// Whether a link would fill a full tank or drain an empty one.
    fn tank_closes(&self, link: usize, flow: f64) -> bool {
        let piece = &self.plan.links[link];
        let junctions = self.plan.row.len();
        let (from, to) = (piece.from as usize, piece.to as usize);
        // The first end that is a store decides.
        let (store, other, outflow) = if from >= junctions {
            (from, to, flow)
        } else if to >= junctions {
            (to, from, -flow)
        } else {
            return false;
        };
        let Some(tank) = self.network.stores.get(store - junctions).and_then(|store| store.tank.as_ref())
        else {
            return false;
        };
        let (head, tolerance) = (self.state.head[store], self.network.options.head_tolerance_ft);
        let loss = head - self.state.head[other];
        let is_pump = matches!(piece.kind, Kind::Pump(_));
        let flow_tolerance = self.network.options.flow_tolerance_cfs;
        if head >= tank.highest_ft - tolerance && !tank.overflows {
            let fills = if is_pump {
                to == store
            } else {
                check_valve(Status::Open, loss, outflow, tolerance, flow_tolerance) == Status::Closed
            };
            if fills {
                return true;
            }
        }
        if head <= tank.lowest_ft + tolerance {
            return if is_pump {
                from == store
            } else {
                check_valve(Status::Closed, loss, outflow, tolerance, flow_tolerance) == Status::Open
            };
        }
        false
    }
}

/// What a check valve does.
fn check_valve(before: Status, loss: f64, flow: f64, head_tolerance: f64, flow_tolerance: f64) -> Status {
    if loss < -head_tolerance || flow < -flow_tolerance {
        Status::Closed
    } else if loss > head_tolerance {
        Status::Open
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_valve_keeps_its_mind_within_tolerance() {
        let valve = |before, loss, flow| check_valve(before, loss, flow, 1e-3, 1e-4);
        assert_eq!(valve(Status::Closed, 1.0, 0.0), Status::Open);
        assert_eq!(valve(Status::Open, -1.0, 1.0), Status::Closed);
        assert_eq!(valve(Status::Open, 1.0, -1.0), Status::Closed);
        assert_eq!(valve(Status::Closed, 0.0, 0.0), Status::Closed);
        assert_eq!(valve(Status::Open, 0.0, 0.0), Status::Open);
    }
}
