//! IEC 60870-5-104 on its way to a controlled station: which ASDUs command, what they command, what is answered instead, and
//! the sequence numbers of both sides, which end at the gateway.
//!
//! Sources: IEC 60870-5-104:2006 §5 (control information, sequence numbers, k); IEC 60870-5-101:2003 §7.2.3 (causes, P/N bit),
//! §7.2.6.15 to §7.2.6.17, §7.2.6.39 (commands, set points and their select bit), §7.3 (types).

use core::net::SocketAddr;
use std::collections::VecDeque;

use twinguard::protocol::Family;
use twinguard::protocol::iec60870::{Asdu, AsduBuffer, Cause, Element, Layout, TypeId};
use twinguard::protocol::protocol::{Change, Protocol as _};
use twinguard::protocol::protocols::iec104::{HEADER_LEN, Iec104, Repr, START, View};
use twinguard::types::{Binding, Encoding, Event, SignalId, Timestamp, Value};

use super::modbus::{Exception, Unclear, unclear};
use super::reading::Reading;

/// Sequence numbers are counted modulo 2¹⁵ (104 §5.1).
const MODULO: u16 = 0x7fff;
/// k: numbered messages that may be on their way without an acknowledgement (104 §5.5).
pub const WINDOW: usize = 12;
/// Messages on their way of which the numbers are kept: a station with a wider window than k gets through as well.
const FLIGHT: usize = 1_024;
/// The bit S/E: select (101 §7.2.6.26, §7.2.6.39).
const SELECT: u8 = 0x80;

/// Causes of transmission with which the gateway answers in the station's place (101 §7.2.3).
pub mod cause {
    /// Confirmation of an activation; with the P/N bit its refusal.
    pub const CONFIRMATION: u8 = 7;
    /// Confirmation of a deactivation; with the P/N bit its refusal.
    pub const DEACTIVATED: u8 = 9;
    /// Unknown type identification.
    pub const UNKNOWN_TYPE: u8 = 44;
    /// Unknown cause of transmission.
    pub const UNKNOWN_CAUSE: u8 = 45;
    /// Unknown information object address.
    pub const UNKNOWN_OBJECT: u8 = 47;
}

/// What an ASDU of a controlling station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It asks for values: interrogation, counters without freezing them, a read, a test. Passes whatever happens.
    Read,
    /// It commands a process.
    Command,
    /// It selects an object for a command.
    Select,
    /// It takes a selection back.
    Cancel,
    /// Another type: clock, reset, parameters, files; passes where the configuration lists it. Refused with this cause.
    Other(u8),
    /// It cannot be judged; refused with this cause.
    Refused(u8),
}

impl Request {
    /// Judges the ASDU of a whole message.
    #[must_use]
    pub fn of(view: &View<'_>) -> Self {
        let Some(asdu) = view.asdu() else { return Self::Refused(cause::UNKNOWN_TYPE) };
        let (type_id, why) = (asdu.type_id(), asdu.cause());
        let sound = view.oddities().is_empty() && !why.negative;
        let first = asdu.objects().next();
        match type_id.0 {
            45..=64 if type_id.is_command() => {
                let undefined = |state: Option<&u8>| state.is_none_or(|state| matches!(state & 3, 0 | 3));
                let Some(object) = first.filter(|_| sound) else { return Self::Refused(cause::CONFIRMATION) };
                match (type_id.element(), why.code) {
                    (_, Cause::DEACTIVATION) => Self::Cancel,
                    // What a station does with an undefined state or cause the standard leaves open.
                    (Element::DoubleCommand | Element::StepCommand, _)
                        if undefined(object.element().first()) =>
                    {
                        Self::Refused(cause::CONFIRMATION)
                    }
                    (_, Cause::ACTIVATION) if object.selects() => Self::Select,
                    (_, Cause::ACTIVATION) => Self::Command,
                    _ => Self::Refused(cause::UNKNOWN_CAUSE),
                }
            }
            // 101 §7.2.6.23: FRZ 0 reads counters without freezing or resetting them.
            101 if first.is_none_or(|object| object.qualifier() >> 6 != 0) => Self::other(asdu),
            100 | 101 | 102 | 104 | 107 if sound => Self::Read,
            _ => Self::other(asdu),
        }
    }

    fn other(asdu: &Asdu<'_>) -> Self {
        Self::Other(match (asdu.type_id().is_control(), asdu.cause().code) {
            (true, Cause::ACTIVATION) => cause::CONFIRMATION,
            (true, Cause::DEACTIVATION) => cause::DEACTIVATED,
            _ => cause::UNKNOWN_TYPE,
        })
    }
}

/// The cause that fits an exception.
#[must_use]
pub fn cause_of(exception: Exception) -> u8 {
    match exception {
        Exception::IllegalAddress => cause::UNKNOWN_OBJECT,
        _ => cause::CONFIRMATION,
    }
}

/// The ASDU as a station sends it back that refuses it: mirrored, with this cause and the P/N bit (101 §7.2.3).
#[must_use]
pub fn refusal(asdu: &[u8], cause: u8) -> Vec<u8> {
    let mut mirrored = asdu.to_vec();
    if let Some(byte) = mirrored.get_mut(2) {
        // The test bit stays as it came.
        *byte = *byte & 0x80 | 0x40 | cause & 0x3f;
    }
    mirrored
}

/// One of the two sides of a proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The controlling station.
    Client,
    /// The controlled station.
    Server,
}

/// The sequence numbers of both sides. Each side counts for itself, since messages are refused and made here; what is
/// acknowledged to one side is what the other has acknowledged, so that nothing counts as arrived that did not.
///
/// ```
/// use twinguard_gateway::core::iec104::{Numbers, Side};
///
/// let mut numbers = Numbers::default();
/// numbers.received(Side::Client, 0, 0).unwrap();
/// let passed = numbers.forward(Side::Client, &[]).unwrap();
/// assert_eq!(numbers.acknowledgement(Side::Client), None, "the server has not acknowledged it");
/// numbers.acknowledged(Side::Server, 1).unwrap();
/// assert_eq!(numbers.acknowledgement(Side::Client), Some([0x68, 4, 1, 0, 2, 0]));
/// # assert_eq!(passed, [0x68, 4, 0, 0, 0, 0]);
/// ```
#[derive(Debug, Default)]
pub struct Numbers {
    client: Count,
    server: Count,
}

#[derive(Debug, Default)]
struct Count {
    /// N(S) of the next message that is sent here, and of the next that is to come.
    send: u16,
    receive: u16,
    /// N(R) that may be told here, and that was told last.
    ready: u16,
    told: u16,
    /// For each message sent here and not acknowledged yet, up to where the other side may be told then; `None` for one
    /// that was made here.
    flight: VecDeque<Option<u16>>,
}

/// A number that the standard does not allow, or more messages on their way than are kept: the connection has to be closed
/// (104 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfSequence;

impl Numbers {
    fn sides(&mut self, side: Side) -> (&mut Count, &mut Count) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }

    /// A numbered message came from a side: N(S), N(R).
    ///
    /// # Errors
    /// [`OutOfSequence`].
    pub fn received(&mut self, from: Side, send: u16, receive: u16) -> Result<(), OutOfSequence> {
        self.acknowledged(from, receive)?;
        let (count, _) = self.sides(from);
        if send != count.receive {
            return Err(OutOfSequence);
        }
        count.receive = count.receive.wrapping_add(1) & MODULO;
        Ok(())
    }

    /// A side acknowledges all before this number.
    ///
    /// # Errors
    /// [`OutOfSequence`] for what was not sent, or was acknowledged before.
    pub fn acknowledged(&mut self, from: Side, receive: u16) -> Result<(), OutOfSequence> {
        let (count, other) = self.sides(from);
        let oldest = count.send.wrapping_sub(count.flight.len() as u16) & MODULO;
        let arrived = usize::from(receive.wrapping_sub(oldest) & MODULO);
        if arrived > count.flight.len() {
            return Err(OutOfSequence);
        }
        if let Some(ready) = count.flight.drain(..arrived).flatten().next_back() {
            other.ready = ready;
        }
        Ok(())
    }

    /// The message that came last from a side, as it goes to the other one.
    ///
    /// # Errors
    /// [`OutOfSequence`] when too many are on their way.
    pub fn forward(&mut self, from: Side, asdu: &[u8]) -> Result<Vec<u8>, OutOfSequence> {
        let (count, other) = self.sides(from);
        let ready = count.receive;
        other.emit(Some(ready), asdu)
    }

    /// The message that came last from a side goes no further.
    pub fn consumed(&mut self, from: Side) {
        let (count, other) = self.sides(from);
        // Acknowledged with those before it.
        match other.flight.iter_mut().rev().flatten().next() {
            Some(ready) => *ready = count.receive,
            None => count.ready = count.receive,
        }
    }

    /// A message of the gateway's own to a side.
    ///
    /// # Errors
    /// [`OutOfSequence`] when too many are on their way.
    pub fn inject(&mut self, to: Side, asdu: &[u8]) -> Result<Vec<u8>, OutOfSequence> {
        self.sides(to).0.emit(None, asdu)
    }

    /// Whether a side has room for a message of the gateway's own.
    #[must_use]
    pub fn has_room(&self, side: Side) -> bool {
        let count = match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        };
        count.flight.len() < WINDOW
    }

    /// What acknowledges to a side what it has not been told of yet.
    pub fn acknowledgement(&mut self, side: Side) -> Option<[u8; HEADER_LEN]> {
        let (count, _) = self.sides(side);
        if count.told == count.ready {
            return None;
        }
        count.told = count.ready;
        let [low, high] = (count.ready << 1).to_le_bytes();
        Some([START, 4, 1, 0, low, high])
    }
}

impl Count {
    fn emit(&mut self, ready: Option<u16>, asdu: &[u8]) -> Result<Vec<u8>, OutOfSequence> {
        let length = u8::try_from(asdu.len() + 4).map_err(|_| OutOfSequence)?;
        if self.flight.len() >= FLIGHT {
            return Err(OutOfSequence);
        }
        let ([s0, s1], [r0, r1]) = ((self.send << 1).to_le_bytes(), (self.ready << 1).to_le_bytes());
        let mut apdu = vec![START, length, s0, s1, r0, r1];
        apdu.extend_from_slice(asdu);
        self.flight.push_back(ready);
        self.send = self.send.wrapping_add(1) & MODULO;
        self.told = self.ready;
        Ok(apdu)
    }
}

/// An object of a station: type without its time tag, common address, object address.
pub type Place = (u8, u16, u32);

/// Where an ASDU commands.
#[must_use]
pub fn place(asdu: &Asdu<'_>) -> Place {
    (untimed(asdu.type_id()), asdu.common_address(), asdu.first_address().unwrap_or_default())
}

/// Types 58 to 64 are 45 to 51 with a time tag (101 §7.2.1.2).
const fn untimed(type_id: TypeId) -> u8 {
    match type_id.0 {
        58..=64 => type_id.0 - 13,
        other => other,
    }
}

/// Turns commands and selections into values by the plant's point map.
#[derive(Debug)]
pub struct Translator {
    reading: Reading,
    /// N(S) of the next message that is read by itself.
    number: u16,
}

impl Translator {
    /// For these bindings, where those of other protocols are passed over, and stations on these ports.
    ///
    /// # Errors
    /// As [`twinguard::protocol::PointMap::new`].
    pub fn new(
        bindings: &[Binding],
        ports: impl Iterator<Item = u16>,
    ) -> Result<Self, twinguard::protocol::Error> {
        let ours: Vec<Binding> = bindings.iter().filter(|it| it.family == Iec104::FAMILY).cloned().collect();
        Ok(Self { reading: Reading::new(Family::Iec104, &ours, ports)?, number: 0 })
    }

    /// The signals that a command or a selection is about, and their values.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub fn read(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        apdu: &[u8],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let broken = || unclear(Exception::IllegalValue, "the command cannot be read");
        let view = View::new(apdu, now).filter(|view| view.oddities().is_empty());
        let Some(asdu) = view.as_ref().and_then(View::asdu) else { return broken() };
        let Some(bytes) = self.executed(asdu) else { return broken() };
        let value = |event: &Event<'_>| match event {
            Event::Command(command) => Some((command.signal, command.value)),
            _ => None,
        };
        let Some(events) = self.reading.events(now, device, &bytes) else { return broken() };
        let values: Vec<(SignalId, Value)> = events.iter().filter_map(value).collect();
        if values.is_empty() {
            let (_, common, object) = place(asdu);
            return unclear(Exception::IllegalAddress, format!("{common}/{object} belongs to no signal"));
        }
        for (signal, value) in &values {
            let Ok(write) = self.reading.map().encode(*signal, *value) else {
                return unclear(Exception::IllegalAddress, "the signal may not be written, or not so");
            };
            // A number in another type than the station's is another number.
            let mut canonical = Vec::new();
            let native = matches!(write.change, Change::Scalar { encoding: Encoding::Native, .. });
            if !native
                && (Iec104::command(&write, 0, &mut canonical).is_none()
                    || canonical.get(HEADER_LEN) != Some(&untimed(asdu.type_id())))
            {
                let reason = "the command is of another type than the plant file says";
                return unclear(Exception::IllegalValue, reason);
            }
        }
        Ok(values)
    }

    /// The same without time, selection and test: what it would do.
    fn executed(&mut self, asdu: &Asdu<'_>) -> Option<Vec<u8>> {
        let object = asdu.objects().next()?;
        let plain = TypeId(untimed(asdu.type_id()));
        let mut element = object.element().get(..plain.element_len())?.to_vec();
        // S/E is the highest bit of the last octet: SCO, DCO, RCO, QOS. A bit string has none.
        if plain.element() != Element::BitsCommand
            && let Some(last) = element.last_mut()
        {
            *last &= !SELECT;
        }
        let cause = Cause::new(Cause::ACTIVATION);
        let objects = [(object.address(), element.as_slice())];
        let asdu = AsduBuffer::new(Layout::NET, plain, cause, 0, asdu.common_address(), &objects).ok()?;
        let number = self.number;
        self.number = self.number.wrapping_add(1) & MODULO;
        Some(Repr::information(number, 0, asdu).ok()?.emit().as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asdu: &[u8]) -> Request {
        let bytes = [&[START, asdu.len() as u8 + 4, 0, 0, 0, 0], asdu].concat();
        Request::of(&View::new(&bytes, Timestamp::ZERO).unwrap())
    }

    #[test]
    fn what_commands_is_told_from_what_asks() {
        let single = |cause: u8, state: u8| [45, 1, cause, 0, 1, 0, 9, 0, 0, state];
        assert_eq!(of(&single(6, 1)), Request::Command);
        assert_eq!(of(&single(6, 0x81)), Request::Select);
        assert_eq!(of(&single(0x86, 1)), Request::Command, "a test: a station may not look at the bit");
        assert_eq!(of(&single(8, 1)), Request::Cancel);
        assert_eq!(of(&single(3, 1)), Request::Refused(45));
        assert_eq!(of(&single(0x46, 1)), Request::Refused(7));
        assert_eq!(of(&[45, 2, 6, 0, 1, 0, 9, 0, 0, 1, 10, 0, 0, 1]), Request::Refused(7), "two objects");
        for (state, expect) in [(0, Request::Refused(7)), (1, Request::Command), (0x82, Request::Select)] {
            assert_eq!(of(&[46, 1, 6, 0, 1, 0, 9, 0, 0, state]), expect);
        }
        assert_eq!(of(&[51, 1, 6, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0x80]), Request::Command, "no select bit");
        assert_eq!(of(&[100, 1, 6, 0, 1, 0, 0, 0, 0, 20]), Request::Read);
        assert_eq!(of(&[101, 1, 6, 0, 1, 0, 0, 0, 0, 5]), Request::Read);
        assert_eq!(of(&[101, 1, 6, 0, 1, 0, 0, 0, 0, 0x45]), Request::Other(7), "freezes");
        assert_eq!(of(&[103, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 20]), Request::Other(7));
        assert_eq!(of(&[105, 1, 6, 0, 1, 0, 0, 0, 0, 1]), Request::Other(7));
        assert_eq!(of(&[1, 1, 3, 0, 1, 0, 9, 0, 0, 1]), Request::Other(44), "monitoring from the wrong side");
        assert_eq!(of(&[200, 1, 6, 0, 1, 0, 9, 0, 0, 1]), Request::Other(44));
        assert_eq!(of(&[45, 1, 6]), Request::Refused(44));
    }

    #[test]
    fn a_refusal_mirrors_the_command() {
        let command = [45, 1, 0x86, 3, 1, 0, 9, 0, 0, 0x81];
        assert_eq!(refusal(&command, cause::CONFIRMATION), [45, 1, 0xc7, 3, 1, 0, 9, 0, 0, 0x81]);
        assert_eq!(refusal(&[45], 7), [45]);
    }

    #[test]
    fn each_side_counts_for_itself() {
        let mut numbers = Numbers::default();
        // The client's first passes, its second is refused, its third passes.
        numbers.received(Side::Client, 0, 0).unwrap();
        assert_eq!(numbers.forward(Side::Client, &[1]).unwrap(), [START, 5, 0, 0, 0, 0, 1]);
        numbers.received(Side::Client, 1, 0).unwrap();
        numbers.consumed(Side::Client);
        assert_eq!(numbers.inject(Side::Client, &[2]).unwrap(), [START, 5, 0, 0, 0, 0, 2]);
        numbers.received(Side::Client, 2, 1).unwrap();
        assert_eq!(numbers.forward(Side::Client, &[3]).unwrap(), [START, 5, 2, 0, 0, 0, 3]);
        // The server acknowledges its first: the client's first two are done.
        numbers.acknowledged(Side::Server, 1).unwrap();
        assert_eq!(numbers.acknowledgement(Side::Client), Some([START, 4, 1, 0, 4, 0]));
        assert_eq!(numbers.acknowledgement(Side::Client), None);
        // The server's first is the client's second; the server hears of it when the client has it.
        numbers.received(Side::Server, 0, 2).unwrap();
        assert_eq!(numbers.forward(Side::Server, &[4]).unwrap(), [START, 5, 2, 0, 6, 0, 4]);
        assert_eq!(numbers.acknowledgement(Side::Server), None);
        numbers.acknowledged(Side::Client, 2).unwrap();
        assert_eq!(numbers.acknowledgement(Side::Server), Some([START, 4, 1, 0, 2, 0]));
        // What was never sent, or is acknowledged again, is none.
        assert_eq!(numbers.acknowledged(Side::Client, 3), Err(OutOfSequence));
        assert_eq!(numbers.acknowledged(Side::Client, 1), Err(OutOfSequence));
        assert_eq!(numbers.received(Side::Client, 4, 2), Err(OutOfSequence));
    }

    #[test]
    fn what_is_refused_first_is_acknowledged_at_once() {
        let mut numbers = Numbers::default();
        numbers.received(Side::Client, 0, 0).unwrap();
        numbers.consumed(Side::Client);
        assert_eq!(numbers.acknowledgement(Side::Client), Some([START, 4, 1, 0, 2, 0]));
    }

    #[test]
    fn numbers_wrap_and_memory_ends() {
        let mut numbers = Numbers::default();
        for round in 0..0x8000 + 10_u32 {
            let at = (round & u32::from(MODULO)) as u16;
            numbers.received(Side::Server, at, 0).unwrap();
            numbers.forward(Side::Server, &[]).unwrap();
            numbers.acknowledged(Side::Client, at.wrapping_add(1) & MODULO).unwrap();
            assert!(numbers.has_room(Side::Client));
        }
        let more = (0..2_000).take_while(|_| numbers.inject(Side::Client, &[]).is_ok()).count();
        assert_eq!((more, numbers.has_room(Side::Client)), (FLIGHT, false));
    }
}
