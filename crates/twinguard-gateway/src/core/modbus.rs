//! Modbus requests on their way to a server: which of them command, what they command, what is answered instead.
//!
//! Sources: *Modbus Application Protocol Specification* V1.1b3 §6 (requests), §7 (exception codes); *Modbus Messaging on
//! TCP/IP Implementation Guide* V1.0b §3.1.3 (header).

use core::net::SocketAddr;

use twinguard::protocol::protocol::Protocol as _;
use twinguard::protocol::protocol::{Change, Cut};
use twinguard::protocol::protocols::modbus::{ADU_MAX, Body, HEADER_LEN, Modbus, Place, Table, View};
use twinguard::protocol::{Family, Sender};
use twinguard::types::{
    Binding, ByteOrder, Command, Encoding, Endpoint, Event, SignalId, Stage, Timestamp, Value, Verdict,
};

use super::reading::Reading;

/// An exception code with which the gateway answers in the server's place (§7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exception {
    /// 1: the sender may not do this.
    IllegalFunction = 1,
    /// 2: nothing that may be written is known at this address.
    IllegalAddress = 2,
    /// 3: the value would harm the plant, or the message is not legal.
    IllegalValue = 3,
    /// 4: the guard or its journal fails; nothing may command.
    DeviceFailure = 4,
    /// 6: too often, or a person has to agree first; ask again later.
    Busy = 6,
    /// 10: the server cannot be reached.
    PathUnavailable = 10,
    /// 11: the server did not answer.
    NoResponse = 11,
}

/// What a request is, as far as its bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It asks for values: telemetry, which passes whatever happens.
    Read,
    /// It writes values: a command.
    Write,
    /// Another function: passes where the configuration lists it.
    Other(u8),
    /// Something in it is against the standard.
    Malformed,
}

impl Request {
    /// Judges a whole message of a client.
    #[must_use]
    pub fn of(adu: &[u8]) -> Self {
        let Some(view) = View::new(adu, Sender::Client) else { return Self::Malformed };
        let code = view.function().0;
        match code {
            1..=6 | 15 | 16 | 22 | 23 if !view.oddities().is_empty() => Self::Malformed,
            1..=4 => Self::Read,
            5 | 6 | 15 | 16 | 22 | 23 => Self::Write,
            // A response's bit in a request.
            128.. => Self::Malformed,
            _ => Self::Other(code),
        }
    }
}

/// The answer with an exception to a request; a request without a function code is answered with function 0.
#[must_use]
pub fn refusal(adu: &[u8], exception: Exception) -> [u8; HEADER_LEN + 2] {
    let byte = |place: usize| adu.get(place).copied().unwrap_or_default();
    let code = byte(HEADER_LEN) | 0x80;
    [byte(0), byte(1), 0, 0, 0, 3, byte(6), code, exception as u8]
}

/// Where the first message in stream bytes ends; one that is longer than the standard allows is foreign.
#[must_use]
pub fn piece(bytes: &[u8]) -> Cut {
    match Modbus::cut(bytes) {
        Cut::Message(len) | Cut::More(len) if len > ADU_MAX => Cut::Foreign,
        cut => cut,
    }
}

/// The exception that fits a verdict which does not permit a command.
#[must_use]
pub fn exception_of(verdict: &Verdict) -> Exception {
    use twinguard::types::Decision;
    match (verdict.decision, verdict.reasons.first().map(|reason| reason.stage)) {
        (Decision::Hold, _) | (_, Some(Stage::Guard)) => Exception::Busy,
        (_, Some(Stage::WhatIf)) => Exception::IllegalValue,
        _ => Exception::IllegalFunction,
    }
}

/// A place that a binding names.
#[derive(Clone, Copy, Debug)]
struct Bound {
    endpoint: Endpoint,
    unit: u8,
    table: Table,
    address: u32,
    span: u32,
    /// Where it is one bit of a word: which, as the word comes on the wire.
    bit: Option<u16>,
}

impl Bound {
    fn of(binding: &Binding) -> Option<Self> {
        let tag = Family::Modbus.parse_tag(&binding.tag)?;
        let place = Place::of(&tag)?;
        let table = place.table;
        let words = if table == Table::Coils { 1 } else { binding.encoding.words() as u32 };
        let bit = match binding.encoding {
            Encoding::Bit(bit) if table == Table::HoldingRegisters => {
                let mask = 1u16.checked_shl(u32::from(bit)).unwrap_or_default();
                let swapped = matches!(binding.order, ByteOrder::Badc | ByteOrder::Dcba);
                Some(if swapped { mask.swap_bytes() } else { mask })
            }
            _ => None,
        };
        Some(Self {
            endpoint: binding.endpoint,
            unit: place.unit,
            table,
            address: u32::from(place.address?),
            span: words,
            bit,
        })
    }
}

/// What a request would write.
#[derive(Clone, Copy, Debug)]
struct Target {
    unit: u8,
    table: Table,
    start: u32,
    count: u32,
    /// Where the values lie in the message, and how.
    at: usize,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Switch,
    Bits,
    Words,
    /// The bits that a mask write sets or clears.
    Mask(u16),
}

/// A request with other values in it, and what it writes then.
pub type Rewritten = (Vec<u8>, Vec<(SignalId, Value)>);

/// Why a message is not understood well enough to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// What is answered.
    pub exception: Exception,
    /// In words.
    pub reason: String,
}

pub(super) fn unclear<T>(exception: Exception, reason: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear { exception, reason: reason.into() })
}

/// Turns writes into commands by the plant's point map, and changed values back into bytes.
#[derive(Debug)]
pub struct Translator {
    bound: Vec<Bound>,
    reading: Reading,
}

impl Translator {
    /// For these bindings, where those of other protocols are passed over, and servers on these ports.
    ///
    /// # Errors
    /// As [`twinguard::protocol::PointMap::new`].
    pub fn new(
        bindings: &[Binding],
        ports: impl Iterator<Item = u16>,
    ) -> Result<Self, twinguard::protocol::Error> {
        let ours: Vec<Binding> = bindings.iter().filter(|it| it.family == Modbus::FAMILY).cloned().collect();
        Ok(Self {
            bound: ours.iter().filter_map(Bound::of).collect(),
            reading: Reading::new(Family::Modbus, &ours, ports)?,
        })
    }

    /// The signals that a write gives values to. Every address that it touches has to belong to a known value, and every
    /// value has to be written whole: what cannot be judged does not pass.
    ///
    /// # Errors
    /// What is answered instead.
    pub fn read(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        adu: &[u8],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let Some(target) = target(adu) else {
            return unclear(Exception::IllegalFunction, "this function writes in a way that is not judged");
        };
        let expected = self.covered(device, &target)?;
        let values = self.values(now, device, adu)?;
        if values.len() != expected {
            return unclear(
                Exception::IllegalValue,
                format!("{expected} values are written and {} can be read", values.len()),
            );
        }
        Ok(values)
    }

    /// The request with these values in place of its own, and what it writes then, as its encodings hold that.
    ///
    /// # Errors
    /// What is answered instead: the value's place is another than the one written to.
    pub fn rewrite(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        adu: &[u8],
        values: &[(SignalId, Value)],
    ) -> Result<Rewritten, Unclear> {
        let refused = || Unclear {
            exception: Exception::IllegalValue,
            reason: "the nearest safe value cannot be put in the message".to_owned(),
        };
        let target = target(adu).ok_or_else(refused)?;
        let mut changed = adu.to_vec();
        for (signal, value) in values {
            let write = self.reading.map().encode(*signal, *value).map_err(|_| refused())?;
            let place = Place::of(&write.tag).ok_or_else(refused)?;
            let address = place.address.map(u32::from).ok_or_else(refused)?;
            if (place.unit, place.table) != (target.unit, target.table) {
                return Err(refused());
            }
            let skip = address.checked_sub(target.start).ok_or_else(refused)? as usize;
            match (target.how, write.change) {
                (How::Words, Change::Words { .. }) => {
                    let bytes = write.bytes();
                    let from = target.at + 2 * skip;
                    let slot = changed.get_mut(from..from + bytes.len()).ok_or_else(refused)?;
                    slot.copy_from_slice(bytes);
                }
                (How::Switch, Change::Bit(state)) => {
                    let slot = changed.get_mut(target.at..target.at + 2).ok_or_else(refused)?;
                    slot.copy_from_slice(&if state { [0xff, 0] } else { [0, 0] });
                }
                (How::Bits, Change::Bit(state)) => {
                    let slot = changed.get_mut(target.at + skip / 8).ok_or_else(refused)?;
                    let mask = 1 << (skip % 8);
                    *slot = if state { *slot | mask } else { *slot & !mask };
                }
                _ => return Err(refused()),
            }
        }
        // What was written has to be what was decided, as far as its encoding can hold that.
        let again = self.read(now, device, &changed)?;
        for (signal, value) in values {
            let told = again.iter().find(|(other, _)| other == signal).ok_or_else(refused)?.1;
            let wanted = self.reading.map().encode(*signal, *value).map_err(|_| refused())?;
            let written = self.reading.map().encode(*signal, told).map_err(|_| refused())?;
            if wanted.change != written.change {
                return Err(refused());
            }
        }
        Ok((changed, again))
    }

    /// How many values a write touches, each whole, none of its addresses unknown.
    fn covered(&self, device: SocketAddr, target: &Target) -> Result<usize, Unclear> {
        let (start, end) = (target.start, target.start + target.count);
        let touched: Vec<&Bound> = self
            .bound
            .iter()
            .filter(|it| it.unit == target.unit && it.table == target.table && it.endpoint.covers(device))
            .filter(|it| it.address < end && it.address + it.span > start)
            .collect();
        if let How::Mask(mask) = target.how {
            let mut left = mask;
            let mut count = 0;
            for bound in &touched {
                let Some(bit) = bound.bit else {
                    return unclear(Exception::IllegalValue, "a mask write to a number cannot be judged");
                };
                if mask & bit != 0 {
                    left &= !bit;
                    count += 1;
                }
            }
            return if left == 0 && count > 0 {
                Ok(count)
            } else {
                unclear(
                    Exception::IllegalAddress,
                    format!("bits {left:#06x} of the word belong to no signal"),
                )
            };
        }
        if let Some(half) = touched.iter().find(|it| it.address < start || it.address + it.span > end) {
            return unclear(
                Exception::IllegalAddress,
                format!("only a part of the value at address {} is written", half.address),
            );
        }
        // A word of single bits is known when all of them are.
        let known = |address: u32| {
            let bits = |it: &&&Bound| (it.address..it.address + it.span).contains(&address);
            let here = touched.iter().filter(bits).map(|it| it.bit.unwrap_or(u16::MAX));
            here.fold(0, |known, bits| known | bits) == u16::MAX
        };
        let unknown = (start..end).find(|address| !known(*address));
        match unknown {
            Some(address) => unclear(
                Exception::IllegalAddress,
                format!("u{}/{}/{address} belongs to no signal", target.unit, target.table.as_str()),
            ),
            None => Ok(touched.len()),
        }
    }

    /// The values as the point map reads them.
    fn values(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        adu: &[u8],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let value = |event: &Event<'_>| match event {
            Event::Command(Command { signal, value, .. }) => Some((*signal, *value)),
            _ => None,
        };
        match self.reading.events(now, device, adu) {
            Some(events) => Ok(events.iter().filter_map(value).collect()),
            None => unclear(Exception::IllegalValue, "the message does not fit into a frame"),
        }
    }
}

/// What a request writes, by the layouts of §6.
fn target(adu: &[u8]) -> Option<Target> {
    let view = View::new(adu, Sender::Client)?;
    let unit = view.unit_id();
    let data = HEADER_LEN + 1;
    let (table, start, count, at, how) = match view.body() {
        Body::WriteCoil { address, .. } => (Table::Coils, address, 1, data + 2, How::Switch),
        Body::WriteRegister { address, .. } => (Table::HoldingRegisters, address, 1, data + 2, How::Words),
        Body::WriteCoils { start, quantity, .. } => (Table::Coils, start, quantity, data + 5, How::Bits),
        Body::WriteRegisters { start, quantity, .. } => {
            (Table::HoldingRegisters, start, quantity, data + 5, How::Words)
        }
        Body::ReadWrite { write_start, write_quantity, .. } => {
            (Table::HoldingRegisters, write_start, write_quantity, data + 9, How::Words)
        }
        Body::MaskWrite { address, and, .. } => {
            (Table::HoldingRegisters, address, 1, data + 2, How::Mask(!and))
        }
        _ => return None,
    };
    Some(Target { unit, table, start: u32::from(start), count: u32::from(count), at, how })
}
