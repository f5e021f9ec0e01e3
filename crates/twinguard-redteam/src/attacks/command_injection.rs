//! A second master that writes what the controller never sent.
//!
//! Source: MITRE ATT&CK for ICS T0855 (Unauthorized Command Message), T0848 (Rogue Master); T. Morris, W. Gao,
//! "Industrial control system cyber attacks", ICS-CSR 2013, §3: command injection over Modbus.

use core::net::Ipv4Addr;

use twinguard_types::{Suspect, Timestamp};

use crate::{Attack, Injection, Window};

/// Writes one value to one holding register after each write of the controller.
#[derive(Clone, Debug)]
pub struct CommandInjection {
    /// When it is on.
    pub window: Window,
    /// The master's own address.
    pub from: Ipv4Addr,
    /// The holding register.
    pub address: u16,
    /// The raw value.
    pub value: u16,
}

impl Attack for CommandInjection {
    fn name(&self) -> &'static str {
        "command_injection"
    }

    fn suspects(&self) -> &'static [Suspect] {
        &[Suspect::CommandPath]
    }

    fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        if self.window.contains(at) {
            injections.push(Injection { from: self.from, address: self.address, value: self.value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_only_in_its_window() {
        let window = Window { start: Timestamp::from_secs(1), end: Timestamp::from_secs(2) };
        let mut attack = CommandInjection { window, from: Ipv4Addr::new(10, 0, 0, 66), address: 1, value: 0 };
        let mut injections = Vec::new();
        for secs in 0..3 {
            attack.inject(Timestamp::from_secs(secs), &mut injections);
        }
        assert_eq!(injections.len(), 1);
    }
}
