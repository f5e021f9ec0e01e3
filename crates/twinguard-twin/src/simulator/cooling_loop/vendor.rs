//! The vendor's twin: the same equations with parameters of its own, fed with what the platform is fed.
//!
//! Source: Luenberger, *IEEE TAC* 16 (1971) 596 (observer); gains by hand: 0.05 /s on what is measured directly, less on
//! the hot-spot gradient. Its thermal parameters are off by 1 to 3 % either way, by seed.

use super::super::{Noise, Register, Table};
use super::physics::{Ambient, Output, Parameters, Physics, State};
use super::{COMMAND_SCALE, PUMP_COMMAND, SENSORS, VALVE_COMMAND, from_raw};

/// An observer: follows its feed, whoever feeds it.
#[derive(Clone, Debug)]
pub struct VendorTwin {
    physics: Physics,
    state: State,
    commands: [f64; 2],
    ambient: Ambient,
    measured: [Option<f64>; 8],
}

impl VendorTwin {
    /// A twin by seed that starts where it is told.
    #[must_use]
    pub fn new(seed: u64, state: State, commands: [f64; 2]) -> Self {
        let mut noise = Noise::new(seed, 30);
        let parameters = Parameters::default().varied(|| {
            let size = noise.between(0.01, 0.03);
            if noise.uniform() < 0.5 { -size } else { size }
        });
        let ambient = Ambient { load_pu: 0.8, air_c: 20.0, supply_c: 18.0 };
        Self { physics: Physics::new(parameters), state, commands, ambient, measured: [None; 8] }
    }

    /// Takes in a register as the platform sees it: a reading, or a write on its way.
    pub fn observe(&mut self, register: Register) {
        let address = usize::from(register.address);
        match (register.table, register.address) {
            (Table::Holding, PUMP_COMMAND) => {
                self.commands[0] = from_raw(register.raw, COMMAND_SCALE).min(1.0)
            }
            (Table::Holding, VALVE_COMMAND) => {
                self.commands[1] = from_raw(register.raw, COMMAND_SCALE).min(1.0)
            }
            (Table::Input, _) => {
                let Some((scale, _)) = SENSORS.get(address) else { return };
                let value = from_raw(register.raw, *scale);
                match address {
                    8 => self.ambient.load_pu = value,
                    9 => self.ambient.air_c = value,
                    10 => self.ambient.supply_c = value,
                    _ => {
                        if let Some(measured) = self.measured.get_mut(address) {
                            *measured = Some(value);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// One second: moves on, then leans towards what was measured since.
    pub fn step(&mut self) {
        self.physics.step(&mut self.state, 1.0, self.commands, self.ambient);
        let shown = self.values();
        let [oil, hot_spot, _, water, _, _, pump, valve] = core::mem::take(&mut self.measured);
        let lean = |state: &mut f64, gain: f64, measured: Option<f64>, shown: f64| {
            *state += measured.map_or(0.0, |measured| gain * (measured - shown));
        };
        lean(&mut self.state.theta_oil_c, 0.05, oil, shown.theta_oil_c);
        lean(&mut self.state.theta_water_c, 0.05, water, shown.theta_water_c);
        // The oil's share of a wrong hot spot is the oil sensor's business.
        let gradient = hot_spot.zip(oil).map(|(hot_spot, oil)| hot_spot - oil);
        lean(&mut self.state.gradient_1_k, 0.02, gradient, shown.theta_hotspot_c - shown.theta_oil_c);
        lean(&mut self.state.pump_pu, 0.2, pump, shown.pump_pu);
        lean(&mut self.state.valve_pu, 0.2, valve, shown.valve_pu);
    }

    /// What the platform shows.
    #[must_use]
    pub fn values(&self) -> Output {
        self.physics.output(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_its_feed_even_when_it_lies() {
        let state = State {
            theta_oil_c: 65.0,
            theta_water_c: 28.0,
            gradient_1_k: 21.0,
            gradient_2_k: 5.0,
            pump_pu: 0.9,
            valve_pu: 0.9,
        };
        let mut twin = VendorTwin::new(3, state, [0.9, 0.9]);
        for _ in 0..600 {
            twin.observe(Register { unit: 1, table: Table::Input, address: 0, raw: 6000 });
            twin.step();
        }
        assert!((twin.values().theta_oil_c - 60.0).abs() < 0.5, "{:?}", twin.values());
    }
}
