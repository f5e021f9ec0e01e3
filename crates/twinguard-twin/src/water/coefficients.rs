//! How much each link resists: head loss and its gradient, and the equations that they make.
//!
//! Sources: E. Todini, S. Pilati, "A gradient method for the analysis of pipe networks" (1987), equations (10) to (14); EPANET 2.2 Users Manual,
//! chapter 12.1 (D. Hydraulic analysis algorithms: Hazen–Williams, Chezy–Manning, Darcy–Weisbach with Swamee–Jain and E. Dunlop's
//! cubic between Reynolds numbers 2000 and 4000, pumps, valves, emitters, pressure-driven demands). Limits of gradients
//! (closed: 1e8 ft/cfs, open: 1e-6 ft/cfs) are the toolkit's, since near them results depend on them.

use std::f64::consts::PI;

use super::{
    hydraulics::{Hydraulics, Kind, NO_ROW},
    network::{HeadLoss, PressureDriven, PumpCurve, Status, ValveKind},
    power::power,
    units::minor_loss,
};

/// Gradient of what lets nothing through, ft/cfs.
const BIG: f64 = 1e8;
/// Gradient of what lets everything through, ft/cfs.
const SMALL: f64 = 1e-6;
/// Flows and slopes below are zero.
const TINY: f64 = 1e-6;

/// −1 or 1.
fn sign(x: f64) -> f64 {
    if x < 0.0 { -1.0 } else { 1.0 }
}

impl Hydraulics {
    /// Inverse gradient and head loss over gradient, for all links.
    pub(super) fn coefficients(&mut self) {
        self.pipe_coefficients();
        for at in 0..self.plan.others.len() {
            let link = self.plan.others[at] as usize;
            let (p, y) = match self.plan.links[link].kind {
                Kind::Pump(curve) => self.pump(link, curve),
                Kind::Valve(kind) => self.valve(link, kind),
                Kind::Pipe | Kind::CheckValve => self.open_or_closed(link),
            };
            (self.work.p[link], self.work.y[link]) = (p, y);
        }
    }

    fn pipe_coefficients(&mut self) {
        let options = &self.network.options;
        if options.head_loss == HeadLoss::DarcyWeisbach {
            for at in 0..self.plan.pipes.len() {
                let link = self.plan.pipes[at] as usize;
                let (p, y) = self.darcy_weisbach(link);
                (self.work.p[link], self.work.y[link]) = (p, y);
            }
            return;
        }
        let (exponent, least) = (self.plan.exponent, options.least_gradient);
        let powers = &mut self.work.powers;
        powers.clear();
        powers.extend(self.plan.pipes.iter().map(|link| self.state.flow[*link as usize].abs()));
        if options.head_loss == HeadLoss::HazenWilliams {
            power(powers, exponent - 1.0);
        }
        for ((link, power), (resistance, minor)) in
            self.plan.pipes.iter().zip(&*powers).zip(self.plan.resistance.iter().zip(&self.plan.minor))
        {
            let link = *link as usize;
            let flow = self.state.flow[link];
            if self.state.status[link].is_closed() {
                (self.work.p[link], self.work.y[link]) = (1.0 / BIG, flow);
                continue;
            }
            let q = flow.abs();
            let mut gradient = exponent * resistance * power;
            let mut loss = if gradient < least {
                gradient = least;
                least * q
            } else {
                gradient * q / exponent
            };
            if *minor > 0.0 {
                loss += minor * q * q;
                gradient += 2.0 * minor * q;
            }
            let p = 1.0 / gradient;
            (self.work.p[link], self.work.y[link]) = (p, loss * sign(flow) * p);
        }
    }

    fn darcy_weisbach(&self, link: usize) -> (f64, f64) {
        let (piece, flow) = (&self.plan.links[link], self.state.flow[link]);
        if self.state.status[link].is_closed() {
            return (1.0 / BIG, flow);
        }
        let q = flow.abs();
        // Viscosity times diameter: q over it is Reynolds' number times π/4.
        let scale = self.network.options.viscosity * piece.diameter;
        let (loss, gradient) = if q <= 500.0 * PI * scale {
            let resistance = 16.0 * PI * scale * piece.resistance;
            (flow * (resistance + piece.minor * q), resistance + 2.0 * piece.minor * q)
        } else {
            let (factor, slope) = friction(q, piece.roughness / piece.diameter, scale);
            let both = factor * piece.resistance + piece.minor;
            (both * q * flow, 2.0 * both * q + slope * piece.resistance * q * q)
        };
        (1.0 / gradient, loss / gradient)
    }

    fn pump(&self, link: usize, curve: PumpCurve) -> (f64, f64) {
        let flow = self.state.flow[link];
        let speed = self.state.setting[link].unwrap_or(0.0);
        let closed = (1.0 / BIG, flow);
        if self.state.status[link].is_closed() || speed == 0.0 {
            return closed;
        }
        let q = flow.abs();
        let (loss, gradient) = match curve {
            PumpCurve::Power { power_hp } => {
                let r = -8.814 * power_hp * speed * speed * speed;
                let gradient = -r / (q * q);
                if gradient > BIG {
                    (-BIG * flow, BIG)
                } else if gradient < self.network.options.least_gradient {
                    let least = self.network.options.least_gradient;
                    (-least * flow, least)
                } else {
                    (r / flow, gradient)
                }
            }
            PumpCurve::Law { shutoff_ft, resistance, exponent, .. } => {
                let h0 = -speed * speed * shutoff_ft;
                let n = if (exponent - 1.0).abs() < TINY { 1.0 } else { exponent };
                let r = resistance * libm::pow(speed, 2.0 - n);
                if n == 1.0 {
                    (h0 + r * flow, r)
                } else {
                    let gradient = n * r * libm::pow(q, n - 1.0);
                    let least = self.network.options.least_gradient;
                    if gradient < least {
                        (h0 + least * flow, least)
                    } else {
                        (h0 + gradient * flow / n, gradient)
                    }
                }
            }
            PumpCurve::Points { curve, .. } => {
                let Some((height, slope)) = self.piece(curve, q / speed) else { return closed };
                let gradient = -slope * speed;
                (-height * speed * speed + gradient * flow, gradient)
            }
        };
        (1.0 / gradient, loss / gradient)
    }

    /// Height and slope of a head curve at a flow, converted.
    pub(super) fn piece(&self, curve: usize, flow: f64) -> Option<(f64, f64)> {
        let units = &self.network.units;
        let (height, slope) = self.network.curves.get(curve)?.piece(flow * units.flow)?;
        Some((height / units.length, slope * units.flow / units.length))
    }

    fn valve(&self, link: usize, kind: ValveKind) -> (f64, f64) {
        let (piece, flow) = (&self.plan.links[link], self.state.flow[link]);
        match (kind, self.state.setting[link]) {
            (ValveKind::PressureBreaker, Some(setting))
                if setting != 0.0 && piece.minor * flow * flow <= setting =>
            {
                (BIG, setting * BIG)
            }
            (ValveKind::Throttle, Some(setting)) => self.throttled(link, minor_loss(setting, piece.diameter)),
            (ValveKind::General { curve }, _) if self.state.status[link] != Status::Closed => {
                let q = flow.abs().max(TINY);
                match self.piece(curve, q) {
                    Some((height, slope)) => {
                        let slope = slope.max(TINY);
                        (1.0 / slope, (height / slope + q) * sign(flow))
                    }
                    None => self.open_or_closed(link),
                }
            }
            // Set while the equations are put together.
            (
                ValveKind::PressureReducing | ValveKind::PressureSustaining | ValveKind::FlowControl,
                Some(_),
            ) => (0.0, 0.0),
            _ => self.open_or_closed(link),
        }
    }

    /// A valve that only opens and closes.
    fn open_or_closed(&self, link: usize) -> (f64, f64) {
        self.throttled(link, self.plan.links[link].minor)
    }

    fn throttled(&self, link: usize, minor: f64) -> (f64, f64) {
        let flow = self.state.flow[link];
        if self.state.status[link].is_closed() {
            return (1.0 / BIG, flow);
        }
        if minor > 0.0 {
            let gradient = 2.0 * minor * flow.abs();
            let least = self.network.options.least_gradient;
            if gradient < least { (1.0 / least, flow) } else { (1.0 / gradient, flow / 2.0) }
        } else {
            (1.0 / SMALL, flow)
        }
    }

    /// Head loss and gradient of an emitter.
    pub(super) fn emitter(&self, node: usize) -> (f64, f64) {
        let (q, n) = (self.state.emitter[node], self.network.options.emitter_power);
        let coefficient = self.network.junctions[node].emitter.max(SMALL);
        let gradient = n * coefficient * libm::pow(q.abs(), n - 1.0);
        let least = self.network.options.least_gradient;
        if gradient < least { (least * q, least) } else { (gradient * q / n, gradient) }
    }

    /// Head loss and gradient of a demand that depends on pressure.
    pub(super) fn driven(&self, node: usize, law: &PressureDriven) -> (f64, f64) {
        let (flow, full) = (self.state.outflow[node], self.state.demand[node]);
        let (range, n) = (law.required_ft - law.least_ft, 1.0 / law.exponent);
        let ratio = flow / full;
        if ratio <= 0.0 {
            (BIG * flow, BIG)
        } else if ratio < 1.0 {
            let gradient = n * range * libm::pow(ratio, n - 1.0) / full;
            let least = self.network.options.least_gradient;
            if gradient < least { (least * flow, least) } else { (gradient * flow / n, gradient) }
        } else {
            (range + BIG * (flow - full), BIG)
        }
    }

    /// The linear equations for the new heads.
    pub(super) fn equations(&mut self) {
        self.matrix.clear();
        self.work.right.fill(0.0);
        self.work.excess.fill(0.0);
        for (link, piece) in self.plan.links.iter().enumerate() {
            let p = self.work.p[link];
            if p == 0.0 {
                continue;
            }
            let (y, flow) = (self.work.y[link], self.state.flow[link]);
            self.work.excess[piece.from as usize] -= flow;
            self.work.excess[piece.to as usize] += flow;
            if let Some(place) = piece.place {
                self.matrix.add(place, -p);
            }
            if piece.from_row == NO_ROW {
                if piece.to_row != NO_ROW {
                    self.work.right[piece.to_row as usize] += p * self.state.head[piece.from as usize];
                }
            } else {
                self.matrix.diagonal[piece.from_row as usize] += p;
                self.work.right[piece.from_row as usize] += y;
            }
            if piece.to_row == NO_ROW {
                if piece.from_row != NO_ROW {
                    self.work.right[piece.from_row as usize] += p * self.state.head[piece.to as usize];
                }
            } else {
                self.matrix.diagonal[piece.to_row as usize] += p;
                self.work.right[piece.to_row as usize] -= y;
            }
        }
        for at in 0..self.plan.emitters.len() {
            let node = self.plan.emitters[at] as usize;
            let (loss, gradient) = self.emitter(node);
            let row = self.plan.row[node] as usize;
            self.matrix.diagonal[row] += 1.0 / gradient;
            self.work.right[row] += (loss + self.plan.elevation[node]) / gradient;
            self.work.excess[node] -= self.state.emitter[node];
        }
        if let Some(law) = self.network.options.pressure_driven {
            for node in 0..self.plan.row.len() {
                if self.state.demand[node] > 0.0 {
                    let (loss, gradient) = self.driven(node, &law);
                    let row = self.plan.row[node] as usize;
                    self.matrix.diagonal[row] += 1.0 / gradient;
                    self.work.right[row] += (loss + self.plan.elevation[node] + law.least_ft) / gradient;
                }
            }
        }
        for (node, row) in self.plan.row.iter().enumerate() {
            self.work.excess[node] -= self.state.outflow[node];
            self.work.right[*row as usize] += self.work.excess[node];
        }
        self.regulating_valves();
    }

    /// Valves that hold a head or a flow.
    fn regulating_valves(&mut self) {
        for at in 0..self.plan.regulating.len() {
            let link = self.plan.regulating[at] as usize;
            let piece = self.plan.links[link];
            let Some(setting) = self.state.setting[link] else { continue };
            let (from, to) = (piece.from as usize, piece.to as usize);
            let (i, j) = (piece.from_row as usize, piece.to_row as usize);
            let (flow, active) = (self.state.flow[link], self.state.status[link] == Status::Active);
            let (p, y) = match piece.kind {
                Kind::Valve(ValveKind::PressureReducing) if active => {
                    // The head downstream is set; the flow is what is missing there.
                    self.matrix.diagonal[j] += BIG;
                    self.work.right[j] += BIG * (self.plan.elevation[to] + setting);
                    let missing = self.work.excess[to];
                    if missing < 0.0 {
                        self.work.right[i] += missing;
                    }
                    (self.work.p[link], self.work.y[link]) = (0.0, flow + missing);
                    continue;
                }
                Kind::Valve(ValveKind::PressureSustaining) if active => {
                    self.matrix.diagonal[i] += BIG;
                    self.work.right[i] += BIG * (self.plan.elevation[from] + setting);
                    let spare = self.work.excess[from];
                    if spare > 0.0 {
                        self.work.right[j] += spare;
                    }
                    (self.work.p[link], self.work.y[link]) = (0.0, flow - spare);
                    continue;
                }
                Kind::Valve(ValveKind::FlowControl) if active => {
                    // The network is cut here: a demand on one side, a supply on the other.
                    self.work.excess[from] -= setting;
                    self.work.excess[to] += setting;
                    self.work.right[i] -= setting;
                    self.work.right[j] += setting;
                    (self.work.p[link], self.work.y[link]) = (1.0 / BIG, flow - setting);
                    if let Some(place) = piece.place {
                        self.matrix.add(place, -1.0 / BIG);
                    }
                    self.matrix.diagonal[i] += 1.0 / BIG;
                    self.matrix.diagonal[j] += 1.0 / BIG;
                    continue;
                }
                _ => self.open_or_closed(link),
            };
            (self.work.p[link], self.work.y[link]) = (p, y);
            if let Some(place) = piece.place {
                self.matrix.add(place, -p);
            }
            self.matrix.diagonal[i] += p;
            self.matrix.diagonal[j] += p;
            self.work.right[i] += y - flow;
            self.work.right[j] -= y - flow;
        }
    }
}

/// Friction factor of Darcy–Weisbach beyond laminar flow, and its derivative by flow.
fn friction(q: f64, roughness: f64, scale: f64) -> (f64, f64) {
    // −2 / ln 10.
    const A: f64 = -0.868_588_963_806_503_7;
    let w = q / scale;
    let from_log = |y: f64| {
        let root = A * libm::log(y);
        (root, 1.0 / (root * root))
    };
    if w >= 1_000.0 * PI {
        let y1 = 5.74 * libm::pow(PI / 4.0, 0.9) / libm::pow(w, 0.9);
        let y2 = roughness / 3.7 + y1;
        let (y3, factor) = from_log(y2);
        return (factor, 1.8 * factor * y1 * A / y2 / y3 / q);
    }
    let at_4000 = 5.74 / libm::pow(4_000.0, 0.9);
    let y2 = roughness / 3.7 + at_4000;
    let (y3, fa) = from_log(y2);
    let fb = (2.0 + 1.8 * A * at_4000 / (y2 * y3)) * fa;
    let r = w / (500.0 * PI);
    let x1 = 7.0 * fa - fb;
    let x2 = 0.128 - 17.0 * fa + 2.5 * fb;
    let x3 = -0.128 + 13.0 * fa - 2.0 * fb;
    let x4 = 0.032 - 3.0 * fa + 0.5 * fb;
    (x1 + r * (x2 + r * (x3 + r * x4)), (x2 + r * (2.0 * x3 + r * 3.0 * x4)) / scale / (500.0 * PI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friction_is_continuous_and_its_slope_right() {
        let (roughness, scale) = (1e-4, 1.1e-5);
        for reynolds in [2_000.5, 3_000.0, 3_999.5, 4_000.5, 1e5] {
            let q = reynolds * PI / 4.0 * scale;
            let step = q * 1e-6;
            let (_, slope) = friction(q, roughness, scale);
            let difference = (friction(q + step, roughness, scale).0
                - friction(q - step, roughness, scale).0)
                / (2.0 * step);
            if (reynolds - 4_000.0_f64).abs() > 1.0 {
                assert!((slope / difference - 1.0).abs() < 1e-4, "{reynolds}: {slope} {difference}");
            }
        }
        // Laminar: 64 / Re at the lower end; both formulas agree at the upper end.
        let low = friction(2_000.0 * PI / 4.0 * scale * (1.0 + 1e-9), roughness, scale).0;
        assert!((low - 0.032).abs() < 1e-8);
        let below = friction(3_999.999 * PI / 4.0 * scale, roughness, scale).0;
        let above = friction(4_000.001 * PI / 4.0 * scale, roughness, scale).0;
        assert!((below - above).abs() < 1e-7);
    }
}
