//! OPC UA on its way to a server: which services command, what they command, what is answered instead, and the sequence numbers
//! of both sides of a channel without security.
//!
//! Sources: OPC 10000-6 1.05 §6.7.2 (chunks, sequence numbers), §7.1.5 (errors); OPC 10000-4 1.05 §5.11.4 (Write), §5.12.2 (Call),
//! §7.33 (request header), §7.34 (response header, `ServiceFault`), §7.38 (status codes).

use core::fmt;
use core::net::SocketAddr;

use twinguard::protocol::protocol::{Context, Data, Protocol as _, Scalar};
use twinguard::protocol::protocols::opcua::{OpcUa, Repr, Session, View, ticks};
use twinguard::protocol::{Access, Family, Sender};
use twinguard::types::{Binding, Direction, Endpoint, Event, SignalId, Timestamp, Value};

use super::modbus::{Exception, Unclear, unclear};
use super::reading::Reading;

/// `ServiceFault`, by the number of its binary encoding (OPC 10000-6 §A.3).
const FAULT: u16 = 397;
/// Write and Call.
const WRITE: u16 = 673;
const CALL: u16 = 712;
/// Services that ask, or concern the client's own session and subscriptions alone.
const ASKING: [u16; 29] = [
    422, 428, 452, 461, 467, 473, 479, 527, 533, 554, 560, 566, 615, 621, 631, 664, 751, 763, 769, 775, 781,
    787, 793, 799, 826, 832, 841, 847, 12_208,
];
/// Most values and methods of one request.
const OPERATIONS: u32 = 256;
/// What begins the tag of a method's call, and of an element of an array.
const CALLED: &str = "attr=Call;";
const ELEMENT: &str = "index=";
const INPUT: &str = "attr=Input;";

/// Status codes with which the gateway answers in the server's place (OPC 10000-4 §7.38.2).
pub mod status {
    /// The guard or its journal fails.
    pub const INTERNAL: u32 = 0x8002_0000;
    /// The message cannot be read.
    pub const DECODING: u32 = 0x8007_0000;
    /// The service does not pass.
    pub const UNSUPPORTED: u32 = 0x800b_0000;
    /// Identity, trust or policy say no.
    pub const ACCESS_DENIED: u32 = 0x801f_0000;
    /// It belongs to no signal that may be written.
    pub const NODE_UNKNOWN: u32 = 0x8034_0000;
    /// What would happen is unsafe, or the value cannot be judged.
    pub const OUT_OF_RANGE: u32 = 0x803c_0000;
    /// The security policy does not pass.
    pub const POLICY_REJECTED: u32 = 0x8055_0000;
    /// The message is longer than the gateway takes.
    pub const TOO_LARGE: u32 = 0x8080_0000;
    /// Too often, or a person has to agree first; ask again later.
    pub const BUSY: u32 = 0x80ee_0000;
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It asks, or concerns the client's session alone.
    Read,
    /// It writes values or calls methods: a command.
    Command,
    /// Another service: passes where the configuration lists it.
    Other(u16),
    /// It is no request that can be read.
    Malformed,
}

impl Request {
    /// Judges a whole message of a client on a channel without security.
    #[must_use]
    pub fn of(view: &View<'_>) -> Self {
        if !view.oddities().is_empty() || view.chunk() != b'F' {
            return Self::Malformed;
        }
        match view.service() {
            Some(WRITE | CALL) => Self::Command,
            Some(service) if ASKING.contains(&service) => Self::Read,
            Some(service) => Self::Other(service),
            None => Self::Malformed,
        }
    }
}

/// The status that fits an exception.
#[must_use]
pub const fn status_of(exception: Exception) -> u32 {
    match exception {
        Exception::IllegalFunction => status::ACCESS_DENIED,
        Exception::IllegalAddress => status::NODE_UNKNOWN,
        Exception::IllegalValue => status::OUT_OF_RANGE,
        Exception::Busy => status::BUSY,
        _ => status::INTERNAL,
    }
}

/// The `ServiceFault` that answers a request, with this sequence number; `None` where the request's header cannot be read.
#[must_use]
pub fn fault(request: &View<'_>, now: Timestamp, sequence: u32, status: u32) -> Option<Vec<u8>> {
    let (handle, _) = request.handle()?;
    let (channel, token) = (request.channel()?, request.token()?);
    let mut body = vec![1, 0];
    body.extend_from_slice(&FAULT.to_le_bytes());
    body.extend_from_slice(&ticks(now).to_le_bytes());
    body.extend_from_slice(&handle.to_le_bytes());
    body.extend_from_slice(&status.to_le_bytes());
    // No diagnostics, no texts, no additional header.
    body.extend_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
    let mut out = Vec::new();
    let sequence = (sequence, request.sequence()?.1);
    Repr::Message { channel, token, sequence, body: &body }.emit(&mut out).ok()?;
    Some(out)
}

/// The message that ends a connection, with the reason.
#[must_use]
pub fn error(status: u32, reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    // A short reason is always legal.
    let _ = Repr::Error { status, reason: reason.as_bytes() }.emit(&mut out);
    out
}

/// The sequence numbers of one direction of a channel: chunks are left out and put in here, and each end has to see numbers that go
/// up by one (OPC 10000-6 §6.7.2.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    seen: Option<u32>,
    sent: Option<u32>,
}

impl Numbers {
    /// A chunk came; false when its number does not follow from the one before.
    #[must_use]
    pub fn came(&mut self, number: u32) -> bool {
        let Some(last) = self.seen.replace(number) else { return true };
        let begins_anew = last > u32::MAX - 1_024 && number < 1_024;
        number == last.wrapping_add(1) || begins_anew
    }

    /// The number of the next chunk that goes on.
    pub fn goes(&mut self) -> u32 {
        let next = match self.sent {
            None => self.seen.unwrap_or(1),
            // Below 1024 they may begin anew.
            Some(last) => last.checked_add(1).unwrap_or(1),
        };
        self.sent = Some(next);
        next
    }
}

/// A chunk with another sequence number; as it is where it has none that can be read.
#[must_use]
pub fn renumbered(view: &View<'_>, number: u32) -> Vec<u8> {
    let mut chunk = view.as_bytes().to_vec();
    if let Some(at) = view.sequence_at()
        && let Some(place) = chunk.get_mut(at..at + 4)
    {
        place.copy_from_slice(&number.to_le_bytes());
    }
    chunk
}

/// One message out of its chunks, as if it were of one: all but the last are `C` (OPC 10000-6 §6.7.3). `None` for what are not
/// the chunks of one message.
#[must_use]
pub fn whole(chunks: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut whole = chunks.last()?.get(..24)?.to_vec();
    for chunk in chunks {
        whole.extend_from_slice(chunk.get(24..)?);
    }
    let size = u32::try_from(whole.len()).ok()?;
    whole.get_mut(4..8)?.copy_from_slice(&size.to_le_bytes());
    Some(whole)
}

/// Turns writes and calls into commands by the plant's point map.
#[derive(Debug)]
pub struct Translator {
    reading: Reading,
    /// What may be written: where, the tag as the family writes it, which signal.
    bound: Vec<(Endpoint, String, SignalId)>,
    /// Sequence number of the next message that is read by itself.
    number: u32,
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
        let ours: Vec<Binding> = bindings.iter().filter(|it| it.family == OpcUa::FAMILY).cloned().collect();
        let bound = ours.iter().filter(|it| it.direction == Direction::Write).filter_map(|it| {
            let tag = OpcUa::parse_tag(&it.tag)?;
            Some((it.endpoint, fmt::from_fn(|f| OpcUa::write_tag(&tag, f)).to_string(), it.signal))
        });
        let bound = bound.collect();
        Ok(Self { reading: Reading::new(Family::OpcUa, &ours, ports)?, bound, number: 0 })
    }

    /// The signals that a Write or Call request gives values to; `passing` are methods, by their node ids, that may be called
    /// without being judged.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub fn read(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        message: &[u8],
        passing: &[String],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let broken = || unclear(Exception::IllegalValue, "the request cannot be read");
        let Some(body) = View::new(message, Sender::Client).map(|view| view.body()) else { return broken() };
        self.number = self.number.checked_add(1).unwrap_or(1);
        let mut alone = Vec::new();
        let sequence = (self.number, self.number);
        if (Repr::Message { channel: 1, token: 1, sequence, body }).emit(&mut alone).is_err() {
            return broken();
        }
        let mut session = Session::default();
        let context = Context::of(Sender::Client);
        let mut shared = ();
        let Some(view) = OpcUa::decode(&mut session, &mut shared, &context, &alone) else { return broken() };
        let wanted = self.covered(device, &view, passing)?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let value = |event: &Event<'_>| match event {
            Event::Command(command) => Some((command.signal, command.value)),
            _ => None,
        };
        let Some(events) = self.reading.events(now, device, &alone) else {
            return unclear(Exception::IllegalValue, "the message is too long for a command");
        };
        let values: Vec<(SignalId, Value)> = events.iter().filter_map(value).collect();
        if wanted.iter().any(|signal| !values.iter().any(|(told, _)| told == signal)) {
            return unclear(Exception::IllegalValue, "a value cannot be read as the plant file says");
        }
        Ok(values)
    }

    /// The signals that a request is about, when it is about nothing else.
    fn covered(
        &self,
        device: SocketAddr,
        view: &View<'_>,
        passing: &[String],
    ) -> Result<Vec<SignalId>, Unclear> {
        let operations = view.operations().unwrap_or(0);
        if !(1..=OPERATIONS).contains(&operations) {
            let reason = format!("it has {operations} values or methods, not 1 to {OPERATIONS}");
            return unclear(Exception::IllegalValue, reason);
        }
        let mut signals = Vec::new();
        let (mut begun, mut free) = (0, false);
        let mut open_call = None;
        for block in OpcUa::blocks(view, None).filter(|block| block.access == Access::Write) {
            let tag = fmt::from_fn(|f| OpcUa::write_tag(&block.tag, f)).to_string();
            let unknown =
                || unclear(Exception::IllegalAddress, format!("`{}` belongs to no signal", short(&tag)));
            let method = tag.strip_prefix(CALLED);
            // A method's arguments follow it; all else is an operation by itself.
            if !(view.service() == Some(CALL) && tag.starts_with(INPUT)) {
                if let Some(call) = open_call.take() {
                    return unclear(Exception::IllegalAddress, call);
                }
                begun += 1;
                free = method.is_some_and(|method| passing.iter().any(|it| it == method));
            }
            if free {
                continue;
            }
            if block.tag.address.is_none() {
                return unknown();
            }
            if !matches!(block.data, Data::Scalar { value, .. } if value != Scalar::Opaque) {
                return unclear(
                    Exception::IllegalValue,
                    format!("the value of `{}` is no number", short(&tag)),
                );
            }
            // What it does to the rest of an array several operations would leave open.
            if tag.starts_with(ELEMENT) && operations > 1 {
                return unclear(
                    Exception::IllegalValue,
                    "elements of arrays are written one request at a time",
                );
            }
            let before = signals.len();
            let here = |it: &&(Endpoint, String, SignalId)| it.1 == tag && it.0.covers(device);
            signals.extend(self.bound.iter().filter(here).map(|it| it.2));
            let found = signals.len() > before;
            if found {
                open_call = None;
            } else if method.is_some() {
                // It is known by its arguments, if it has any that are.
                open_call = Some(format!("`{}` belongs to no signal", short(&tag)));
            } else {
                return unknown();
            }
        }
        match open_call {
            Some(call) => unclear(Exception::IllegalAddress, call),
            None if begun != operations && !(operations == 1 && begun > 0) => {
                unclear(Exception::IllegalValue, "not every value of it can be read")
            }
            None => Ok(signals),
        }
    }
}

/// Enough of a tag to find it by.
fn short(tag: &str) -> String {
    tag.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_sees_numbers_that_go_up_by_one() {
        let mut numbers = Numbers::default();
        assert!(numbers.came(51));
        assert_eq!(numbers.goes(), 51);
        // One is left out, one comes on.
        assert!(numbers.came(52) && numbers.came(53));
        assert_eq!(numbers.goes(), 52);
        assert!(!numbers.came(53) && numbers.came(54));
        // One of the gateway's own between them.
        assert_eq!([numbers.goes(), numbers.goes()], [53, 54]);
        assert!(!numbers.came(60));
        assert!(!numbers.came(u32::MAX - 5) && numbers.came(1));
        let mut late = Numbers { seen: None, sent: Some(u32::MAX) };
        assert_eq!(late.goes(), 1);
    }

    #[test]
    fn chunks_make_a_whole() {
        let chunk = |kind: u8, data: &[u8]| {
            let size = (24 + data.len() as u32).to_le_bytes();
            [&[b'M', b'S', b'G', kind], &size[..], &[0; 16], data].concat()
        };
        let made = whole(&[chunk(b'C', &[1, 2]), chunk(b'F', &[3])]);
        assert_eq!(made, Some(chunk(b'F', &[1, 2, 3])));
        assert_eq!((whole(&[]), whole(&[vec![0; 23]])), (None, None));
    }
}
