//! The last value before the attack, for ever.
//!
//! Source: M. Krotofil, A. A. Cárdenas, J. Larsen, D. Gollmann, "Vulnerabilities of cyber-physical systems to stale
//! data: determining the optimal time to launch attacks", IJCIP 7(4), 2014: stale data as an attack (denial of
//! service on one sensor, which holds its last value).

use twinguard_types::Suspect;

use crate::{Attack, Reading, Window};

/// Holds one register at the value that it had when the window opened.
#[derive(Clone, Debug)]
pub struct Freeze {
    window: Window,
    address: u16,
    last: Option<u16>,
}

impl Freeze {
    /// A freeze of the register at `address`.
    #[must_use]
    pub fn new(window: Window, address: u16) -> Self {
        Self { window, address, last: None }
    }
}

impl Attack for Freeze {
    fn name(&self) -> &'static str {
        "freeze"
    }

    fn suspects(&self) -> &'static [Suspect] {
        &[Suspect::Sensor, Suspect::Network]
    }

    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        let on = self.window.contains(reading.at);
        if let Some(register) = reading.register(self.address) {
            match self.last {
                Some(last) if on => *register = last,
                _ => self.last = Some(*register),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn holds_the_last_value_before_the_window() {
        let window = Window { start: Timestamp::from_secs(2), end: Timestamp::from_secs(4) };
        let mut attack = Freeze::new(window, 0);
        let seen: Vec<u16> = (0..5u16)
            .map(|secs| {
                let mut registers = [secs];
                let at = Timestamp::from_secs(i64::from(secs));
                attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
                registers[0]
            })
            .collect();
        assert_eq!(seen, [0, 1, 1, 1, 4]);
    }
}
