//! A second master that undoes what the controller writes.
//!
//! Source: MITRE ATT&CK for ICS T0855 (Unauthorized Command Message), T0848 (Rogue Master); T. Morris, W. Gao,
//! "Industrial control system cyber attacks", ICS-CSR 2013, §3: command injection over Modbus.

use core::net::Ipv4Addr;

use twinguard_types::Timestamp;

use crate::profile::FALSE_COMMAND;
use crate::{Attack, Entry, Injection, Target, Window};

/// Writes what a law says to one register after each write of the controller.
pub(crate) struct Inject<F> {
    pub(crate) window: Window,
    pub(crate) from: Ipv4Addr,
    pub(crate) address: u16,
    pub(crate) law: F,
}

impl<F: FnMut(f64) -> Option<u16> + Send> Attack for Inject<F> {
    fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        if let Some(since) = self.window.since(at)
            && let Some(value) = (self.law)(since)
        {
            injections.push(Injection { from: self.from, address: self.address, value });
        }
    }
}

impl Target {
    /// The attacker's master holds the aimed actuator at the aim.
    pub(crate) fn inject_held(&self) -> Vec<Box<dyn Attack>> {
        let value = self.injected;
        self.inject_by(move |_| Some(value))
    }

    /// The attacker's master writes the aimed actuator by a law of the seconds since the start.
    pub(crate) fn inject_by<F>(&self, law: F) -> Vec<Box<dyn Attack>>
    where
        F: FnMut(f64) -> Option<u16> + Send + 'static,
    {
        let (window, from, address) = (self.window, self.attacker, self.actuator.address);
        vec![Box::new(Inject { window, from, address, law })]
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "command_injection",
    story: "a second master moves the actuator",
    techniques: &["T0855", "T0848", "T0831"],
    build: Target::inject_held,
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn writes_after_the_controller() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.injections.len(), 20);
        assert!(played.injections.iter().all(|(_, it)| (it.address, it.value) == (0, 50)));
    }
}
