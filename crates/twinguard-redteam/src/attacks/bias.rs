//! A constant error on one measured value.
//!
//! Source: Y.-L. Huang et al., "Understanding the physical and economic consequences of attacks on control systems",
//! IJCIP 2(3), 2009, §3: bias attack y′ = y + c.

use twinguard_types::Suspect;

use crate::{Attack, Reading, Window};

/// Adds a constant to one register.
#[derive(Clone, Debug)]
pub struct Bias {
    /// When it is on.
    pub window: Window,
    /// Address of the register.
    pub address: u16,
    /// What is added, in raw units.
    pub raw: i32,
}

impl Attack for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn suspects(&self) -> &'static [Suspect] {
        &[Suspect::Sensor, Suspect::Network]
    }

    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if self.window.contains(reading.at)
            && let Some(register) = reading.register(self.address)
        {
            *register = offset(*register, self.raw);
        }
    }
}

/// A signed 16-bit register moved by `raw`, held at the ends of its type.
pub(crate) fn offset(register: u16, raw: i32) -> u16 {
    let value = i32::from(register.cast_signed()).saturating_add(raw);
    (value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn only_its_register_moves_and_only_in_its_window() {
        let window = Window { start: Timestamp::from_secs(10), end: Timestamp::from_secs(20) };
        let mut attack = Bias { window, address: 1, raw: -5 };
        let mut at = |secs| {
            let mut registers = [100, 100, 100];
            let at = Timestamp::from_secs(secs);
            attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
            registers
        };
        assert_eq!(at(9), [100; 3]);
        assert_eq!(at(10), [100, 95, 100]);
        assert_eq!(at(20), [100; 3]);
        assert_eq!(offset(0x7FFF, 9), 0x7FFF, "held at the end of the type");
    }
}
