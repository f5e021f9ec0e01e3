//! A slowly growing error on one measured value.
//!
//! Source: A. A. Cárdenas et al., "Attacks against process control systems: risk assessment, detection, and response",
//! ASIACCS 2011, §4.2: surge, bias and geometric attacks; a ramp is the slow form that stays below a step detector.

use twinguard_types::Suspect;

use super::bias::offset;
use crate::{Attack, Reading, Window};

/// Adds `raw_per_hour` × time since the start to one register.
#[derive(Clone, Debug)]
pub struct Ramp {
    /// When it is on.
    pub window: Window,
    /// Address of the register.
    pub address: u16,
    /// Growth in raw units per hour.
    pub raw_per_hour: f64,
}

impl Attack for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn suspects(&self) -> &'static [Suspect] {
        &[Suspect::Sensor, Suspect::Network]
    }

    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if !self.window.contains(reading.at) {
            return;
        }
        let hours = reading.at.since(self.window.start).as_secs_f64() / 3_600.0;
        let raw = (hours * self.raw_per_hour).round() as i32;
        if let Some(register) = reading.register(self.address) {
            *register = offset(*register, raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn grows_with_time() {
        let window = Window { start: Timestamp::ZERO, end: Timestamp::from_secs(7_200) };
        let mut attack = Ramp { window, address: 0, raw_per_hour: 100.0 };
        let mut at = |secs| {
            let mut registers = [1_000];
            let at = Timestamp::from_secs(secs);
            attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
            registers[0]
        };
        assert_eq!([at(0), at(1_800), at(3_600), at(7_200)], [1_000, 1_050, 1_100, 1_000]);
    }
}
