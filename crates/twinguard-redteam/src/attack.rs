//! What an attack can lay its hands on between controller, device, vendor's twin and guard.

use core::net::Ipv4Addr;

use twinguard_types::{Access, Digest, Duration, Intent, Point, Timestamp};

/// From when until when an attack is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

    /// Seconds since it opened, while it is open.
    #[must_use]
    pub fn since(&self, at: Timestamp) -> Option<f64> {
        self.contains(at).then(|| at.since(self.start).as_secs_f64())
    }

    /// Its length in seconds.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        self.end.since(self.start).as_secs_f64()
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

/// The way of one response from the device to the tap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transit {
    /// When the request was sent.
    pub at: Timestamp,
    /// Time from request to response.
    pub latency: Duration,
    /// Whether there will be a response.
    pub answered: bool,
}

/// Who means to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The controller.
    Controller,
    /// An operator, or the guard, through the platform.
    Platform,
}

/// A write on its way to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// When.
    pub at: Timestamp,
    /// Who means it.
    pub by: Writer,
    /// The holding register.
    pub address: u16,
    /// The raw value at the tap; `None`: the message never gets there.
    pub seen: Option<u16>,
    /// The raw value that the device gets; `None`: nothing.
    pub done: Option<u16>,
}

impl Writing {
    /// Changes the value on the whole way.
    pub fn set(&mut self, value: u16) {
        self.seen = Some(value);
        self.done = Some(value);
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

/// Anything else that the attacker says as a master of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Utterance {
    /// Asks for registers.
    Read {
        /// The address it comes from.
        from: Ipv4Addr,
        /// Modbus function code, 3 or 4.
        function: u8,
        /// First register.
        address: u16,
        /// Number of registers, 1 to 125.
        count: u16,
    },
    /// Bytes of its own making, in a segment with right checksums.
    Raw {
        /// The address it comes from.
        from: Ipv4Addr,
        /// The payload.
        bytes: Vec<u8>,
    },
}

/// An attack; every method is a place on a path, and most attacks use one.
///
/// It sees all traffic from the start of the run, so that it can record before it strikes.
pub trait Attack: Send {
    /// A response is on its way: late, or never.
    fn on_transit(&mut self, _transit: &mut Transit) {}

    /// A response passes, in front of the tap.
    fn on_reading(&mut self, _reading: &mut Reading<'_>) {}

    /// The copy of a response that feeds the vendor's twin passes, behind the tap.
    fn on_feed(&mut self, _reading: &mut Reading<'_>) {}

    /// A write of controller or platform passes.
    fn on_write(&mut self, _writing: &mut Writing) {}

    /// The controller has just written; whoever wants to undo it writes now.
    fn inject(&mut self, _at: Timestamp, _injections: &mut Vec<Injection>) {}

    /// Once a step, whatever else is to be said.
    fn speak(&mut self, _at: Timestamp, _utterances: &mut Vec<Utterance>) {}

    /// An entry of the controller's or the platform's journal; false keeps it from the guard.
    fn on_intent(&mut self, _intent: &mut Intent) -> bool {
        true
    }

    /// What the vendor's twin shows.
    fn on_show(&mut self, _at: Timestamp, _points: &mut Vec<Point>) {}

    /// Once a step: logins and the like that the attacker causes.
    fn on_access(&mut self, _at: Timestamp, _accesses: &mut Vec<Access>) {}

    /// What a measurement of the running model finds.
    fn on_measured(&mut self, _at: Timestamp, _digest: &mut Digest) {}

    /// What the vendor's twin runs with: its parameters by name, as an attestor beside it reads them.
    fn on_running(&mut self, _at: Timestamp, _parameters: &mut [(String, f64)]) {}

    /// Model and vendor's twin were loaded again from their seal: what was changed in memory is gone.
    fn on_revert(&mut self) {}
}
