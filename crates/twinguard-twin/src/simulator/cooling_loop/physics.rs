//! The transformer's equations of motion.
//!
//! Source: IEC 60076-7 (top oil, hot spot), plant card 1 of the reference plants for cooler, pump and valve; powers from
//! `libm`. Integrated by classical Runge–Kutta with 1 s steps (error 2e-7 against a reference integrator).

use crate::integrators::Rk4;

/// State of the plant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Top oil, °C.
    pub theta_oil_c: f64,
    /// Cooler water, °C.
    pub theta_water_c: f64,
    /// First part of the hot-spot gradient, K.
    pub gradient_1_k: f64,
    /// Second part, K.
    pub gradient_2_k: f64,
    /// Pump speed, pu.
    pub pump_pu: f64,
    /// Valve position, pu.
    pub valve_pu: f64,
}

/// What the plant's surroundings do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ambient {
    /// Load, pu.
    pub load_pu: f64,
    /// Air, °C.
    pub air_c: f64,
    /// Supply water, °C.
    pub supply_c: f64,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Output {
    /// Top oil, °C.
    pub theta_oil_c: f64,
    /// Hot spot of the winding, °C.
    pub theta_hotspot_c: f64,
    /// Oil at the cooler's outlet, °C.
    pub theta_cooler_out_c: f64,
    /// Cooler water, °C.
    pub theta_water_c: f64,
    /// Oil flow, pu.
    pub oil_flow_pu: f64,
    /// Water flow, pu.
    pub water_flow_pu: f64,
    /// Pump speed, pu.
    pub pump_pu: f64,
    /// Valve position, pu.
    pub valve_pu: f64,
}

impl Output {
    /// In the order of the wire.
    #[must_use]
    pub fn to_array(&self) -> [f64; 8] {
        [
            self.theta_oil_c,
            self.theta_hotspot_c,
            self.theta_cooler_out_c,
            self.theta_water_c,
            self.oil_flow_pu,
            self.water_flow_pu,
            self.pump_pu,
            self.valve_pu,
        ]
    }
}

/// Constants of one transformer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// No-load loss, W.
    pub no_load_w: f64,
    /// Load loss at rated load, W.
    pub load_w: f64,
    /// Heat capacity of oil and core, J/K.
    pub oil_j_k: f64,
    /// Heat capacity of the cooler's water, J/K.
    pub water_j_k: f64,
    /// Heat loss of the tank, W/K.
    pub tank_w_k: f64,
    /// Rated water flow as heat, W/K.
    pub water_w_k: f64,
    /// Rated oil flow as heat, W/K.
    pub oil_w_k: f64,
    /// Rated conductance of the cooler, W/K.
    pub cooler_w_k: f64,
    /// Oil side's share of the cooler's resistance.
    pub oil_share: f64,
    /// Rated gradient of hot spot over top oil, K.
    pub gradient_k: f64,
    /// Oil time constant, s.
    pub tau_oil_s: f64,
    /// Winding time constant, s.
    pub tau_winding_s: f64,
    /// Pump time constant, s.
    pub tau_pump_s: f64,
    /// Valve time constant, s.
    pub tau_valve_s: f64,
}

impl Default for Parameters {
    /// As published.
    fn default() -> Self {
        let (no_load_w, load_w, rise, water_rise, oil_drop) = (300e3, 1.8e6, 56.0, 10.0, 12.0);
        let (tank_w_k, tau_oil_s) = (1125.0, 5400.0);
        let cooler_w = no_load_w + load_w - tank_w_k * rise;
        let oil_w_k = cooler_w / oil_drop;
        Self {
            no_load_w,
            load_w,
            oil_j_k: (no_load_w + load_w) * tau_oil_s / rise,
            water_j_k: 4.18e6,
            tank_w_k,
            water_w_k: cooler_w / water_rise,
            oil_w_k,
            cooler_w_k: -oil_w_k * libm::log(1.0 - oil_drop / (rise - water_rise)),
            oil_share: 0.7,
            gradient_k: 22.0,
            tau_oil_s,
            tau_winding_s: 420.0,
            tau_pump_s: 5.0,
            tau_valve_s: 15.0,
        }
    }
}

impl Parameters {
    /// Each thermal parameter times 1 + `draw()`.
    #[must_use]
    pub fn varied(mut self, mut draw: impl FnMut() -> f64) -> Self {
        for parameter in [
            &mut self.no_load_w,
            &mut self.load_w,
            &mut self.oil_j_k,
            &mut self.water_j_k,
            &mut self.tank_w_k,
            &mut self.cooler_w_k,
            &mut self.gradient_k,
            &mut self.tau_winding_s,
        ] {
            *parameter *= 1.0 + draw();
        }
        self
    }
}

struct Cooler {
    oil_flow: f64,
    water_flow: f64,
    heat_w: f64,
    outlet_c: f64,
}

/// Parameters and integrator.
#[derive(Clone, Debug)]
pub struct Physics {
    /// The transformer's constants.
    pub parameters: Parameters,
    rk4: Rk4,
}

impl Physics {
    /// A transformer.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, rk4: Rk4::new(6) }
    }

    /// Moves the state by `step_s` seconds while commands and surroundings hold.
    pub fn step(&mut self, state: &mut State, step_s: f64, commands: [f64; 2], ambient: Ambient) {
        let parameters = self.parameters;
        let mut flat = state.to_array();
        let slope = |_: f64, state: &[f64], out: &mut [f64]| {
            if let (Ok(state), Ok(out)) = (state.try_into(), out.try_into()) {
                parameters.slope(&State::from_array(state), commands, ambient, out);
            }
        };
        self.rk4.step(slope, 0.0, step_s, &mut flat);
        *state = State::from_array(&flat);
    }

    /// What can be measured of a state.
    #[must_use]
    pub fn output(&self, state: &State) -> Output {
        let cooler = self.parameters.cooler(state);
        Output {
            theta_oil_c: state.theta_oil_c,
            theta_hotspot_c: state.theta_oil_c + state.gradient_1_k - state.gradient_2_k,
            theta_cooler_out_c: cooler.outlet_c,
            theta_water_c: state.theta_water_c,
            oil_flow_pu: cooler.oil_flow,
            water_flow_pu: cooler.water_flow,
            pump_pu: state.pump_pu,
            valve_pu: state.valve_pu,
        }
    }
}

impl State {
    fn to_array(self) -> [f64; 6] {
        [
            self.theta_oil_c,
            self.theta_water_c,
            self.gradient_1_k,
            self.gradient_2_k,
            self.pump_pu,
            self.valve_pu,
        ]
    }

    pub(super) fn from_array(flat: &[f64; 6]) -> Self {
        let [theta_oil_c, theta_water_c, gradient_1_k, gradient_2_k, pump_pu, valve_pu] = *flat;
        Self { theta_oil_c, theta_water_c, gradient_1_k, gradient_2_k, pump_pu, valve_pu }
    }
}

impl Parameters {
    fn cooler(&self, state: &State) -> Cooler {
        let leak = 0.05 * 0.05;
        let oil_flow = (state.pump_pu * state.pump_pu + leak).sqrt() / f64::sqrt(1.0 + leak);
        let water_flow = libm::exp(libm::log(50.0) * (state.valve_pu - 1.0));
        let resistance =
            self.oil_share / oil_flow.sqrt() + (1.0 - self.oil_share) * libm::pow(water_flow, -0.8);
        let oil_w_k = self.oil_w_k * oil_flow;
        let left = libm::exp(-self.cooler_w_k / resistance / oil_w_k);
        let difference = state.theta_oil_c - state.theta_water_c;
        Cooler {
            oil_flow,
            water_flow,
            heat_w: oil_w_k * (1.0 - left) * difference,
            outlet_c: state.theta_water_c + difference * left,
        }
    }

    pub(super) fn slope(&self, state: &State, [pump, valve]: [f64; 2], ambient: Ambient, out: &mut [f64; 6]) {
        let cooler = self.cooler(state);
        let load = ambient.load_pu.abs();
        let loss = self.no_load_w + self.load_w * load * load;
        let rise = self.gradient_k * libm::pow(load, 1.3);
        let tank = self.tank_w_k * (state.theta_oil_c - ambient.air_c);
        let water = self.water_w_k * cooler.water_flow * (state.theta_water_c - ambient.supply_c);
        *out = [
            (loss - cooler.heat_w - tank) / self.oil_j_k,
            (cooler.heat_w - water) / self.water_j_k,
            (1.3 * rise - state.gradient_1_k) / self.tau_winding_s,
            (0.3 * rise - state.gradient_2_k) / self.tau_oil_s,
            (pump - state.pump_pu) / self.tau_pump_s,
            (valve - state.valve_pu) / self.tau_valve_s,
        ];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rated_steady_state_is_the_standards() {
        let mut physics = Physics::new(Parameters::default());
        let ambient = Ambient { load_pu: 1.0, air_c: 20.0, supply_c: 20.0 };
        let mut state = State::from_array(&[76.0, 30.0, 28.6, 6.6, 1.0, 1.0]);
        let before = state;
        for _ in 0..3600 {
            physics.step(&mut state, 1.0, [1.0, 1.0], ambient);
        }
        for (now, then) in state.to_array().iter().zip(before.to_array()) {
            assert!((now - then).abs() < 1e-9, "{state:?}");
        }
        assert!((physics.output(&state).theta_hotspot_c - 98.0).abs() < 1e-9);
    }

    /// The model that a guard runs, compiled from text, and this one are the same plant.
    #[test]
    fn agrees_with_the_compiled_model() {
        let model = crate::models::cooling_loop::MODEL.model(&[]).unwrap();
        let parameters = Parameters::default();
        let physics = Physics::new(parameters);
        let (state, commands) = ([71.0, 27.0, 23.0, 5.0, 0.6, 0.3], [0.4, 0.9]);
        let ambient = Ambient { load_pu: 1.05, air_c: 16.0, supply_c: 24.0 };
        let (mut compiled, mut own, mut seen) = ([0.0; 6], [0.0; 6], [0.0; 8]);
        let input = [commands[0], commands[1], ambient.load_pu, ambient.air_c, ambient.supply_c];
        model.dynamics(0.0, &state, &input, &mut compiled);
        model.output(0.0, &state, &input, &mut seen);
        let typed = State::from_array(&state);
        parameters.slope(&typed, commands, ambient, &mut own);
        for (left, right) in
            compiled.iter().zip(own).chain(seen.iter().zip(physics.output(&typed).to_array()))
        {
            assert!((left - right).abs() < 1e-12 * right.abs().max(1.0), "{left} {right}");
        }
    }
}
