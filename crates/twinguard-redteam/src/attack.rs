//! What every attack can do to the traffic between controller and device.

use core::net::Ipv4Addr;

use twinguard_types::{Suspect, Timestamp};

/// From when until when an attack is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Window {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

impl Window {
    /// Whether the instant lies within.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// Values on their way from the device to whoever asked for them.
#[derive(Debug)]
pub struct Reading<'a> {
    /// When the response passes.
    pub at: Timestamp,
    /// Modbus function code of the read.
    pub function: u8,
    /// Address of the first register.
    pub address: u16,
    /// The raw registers; what stands here afterwards is what the asker gets.
    pub registers: &'a mut [u16],
}

impl Reading<'_> {
    /// The register at an address, if the message carries it.
    pub fn register(&mut self, address: u16) -> Option<&mut u16> {
        self.registers.get_mut(usize::from(address.checked_sub(self.address)?))
    }
}

/// A write that the attacker sends as a master of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The address it comes from.
    pub from: Ipv4Addr,
    /// The holding register.
    pub address: u16,
    /// Its raw value.
    pub value: u16,
}

/// An attack with a place on the path between controller and device.
///
/// It sees all traffic from the start of the run, so that it can record before it strikes.
pub trait Attack: Send {
    /// Its name in the registry.
    fn name(&self) -> &'static str;

    /// Who is to be accused: any of these is right.
    fn suspects(&self) -> &'static [Suspect];

    /// A response passes.
    fn on_reading(&mut self, _reading: &mut Reading<'_>) {}

    /// The controller has just written; whoever wants to undo it writes now.
    fn inject(&mut self, _at: Timestamp, _injections: &mut Vec<Injection>) {}
}
