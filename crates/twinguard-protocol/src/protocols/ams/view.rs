//! One AMS message: a view on any bytes, and legal ones to be written.
//!
//! Source: Beckhoff Information System, *TwinCAT ADS/AMS Specification*: "AMS/TCP Packet", "AMS Header", "ADS Commands"
//! (sections by name at the items); all numbers are little-endian.

use twinguard_types::Oddity;

use super::session::Tables;
use crate::protocol::{Cut, Oddities};

/// Bytes of the AMS/TCP header.
pub const TCP_HEADER_LEN: usize = 6;
/// Bytes of both headers.
pub const HEADER_LEN: usize = TCP_HEADER_LEN + 32;
/// The longest message that is followed in a stream; routers take 64 KiB of data and somewhat more.
pub const STREAM_MAX: usize = 240 << 10;
/// The longest message of a router about itself.
const ROUTER_MAX: usize = 64;

/// State flag: it answers.
pub const RESPONSE: u16 = 1;
/// State flag: it is an ADS command.
pub const COMMAND: u16 = 4;

/// A device in the AMS network ("AMS Header").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AmsAddress {
    /// Its `NetId`.
    pub net: [u8; 6],
    /// Its port: 10000 the system service, 851 the first PLC.
    pub port: u16,
}

/// What a message carries ("ADS Commands").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Nothing: requests of device info and state.
    Empty,
    /// Who the device is.
    DeviceInfo {
        /// 0, or why not.
        result: u32,
        /// Major, minor and build.
        version: [u8; 4],
        /// Its name.
        name: &'a [u8; 16],
    },
    /// Reads a memory.
    Read {
        /// Index group.
        group: u32,
        /// Index offset.
        offset: u32,
        /// Bytes to read.
        len: u32,
    },
    /// What was read.
    Data {
        /// 0, or why not.
        result: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Writes a memory.
    Write {
        /// Index group.
        group: u32,
        /// Index offset.
        offset: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// How a request went.
    Result {
        /// 0, or why not.
        result: u32,
    },
    /// The device's state.
    State {
        /// 0, or why not.
        result: u32,
        /// ADS state.
        ads: u16,
        /// State by the device's own numbers.
        device: u16,
    },
    /// Sets the device's state.
    Control {
        /// ADS state.
        ads: u16,
        /// State by the device's own numbers.
        device: u16,
        /// What belongs to it.
        data: &'a [u8],
    },
    /// Wants to be told of a memory.
    Notify {
        /// Index group.
        group: u32,
        /// Index offset.
        offset: u32,
        /// Bytes.
        len: u32,
        /// When: 3 cyclic, 4 on change.
        mode: u32,
        /// Longest delay, in 100 ns.
        max_delay: u32,
        /// How often, in 100 ns.
        cycle: u32,
    },
    /// The handle of notifications.
    Handle {
        /// 0, or why not.
        result: u32,
        /// Named by the notifications.
        handle: u32,
    },
    /// Wants no more notifications.
    Unnotify {
        /// Of this handle.
        handle: u32,
    },
    /// Notifications: times with samples.
    Notes {
        /// How many times.
        stamps: u32,
        /// The times with their samples.
        data: &'a [u8],
    },
    /// Writes and reads at once.
    ReadWrite {
        /// Index group.
        group: u32,
        /// Index offset.
        offset: u32,
        /// Bytes to read.
        read: u32,
        /// The bytes to write.
        data: &'a [u8],
    },
    /// Anything else; also what refusals carry.
    Opaque {
        /// The bytes.
        data: &'a [u8],
    },
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    body: Body<'a>,
    oddities: Oddities,
    /// What the session knows: the request's place, its data, handles.
    pub(super) asked: Option<(u32, u32)>,
    pub(super) held: &'a [u8],
    pub(super) tables: Option<&'a Tables>,
}

/// Where the first message in these bytes ends ("AMS/TCP Header": a command, 0 for AMS, and the length of the rest).
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let Some([c0, c1, l0, l1, l2, l3]) = bytes.first_chunk::<TCP_HEADER_LEN>() else {
        let begins = matches!(bytes, [] | [0..=2] | [0 | 1, 0, ..] | [0..=2, 0x10, ..]);
        return if begins { Cut::More(TCP_HEADER_LEN) } else { Cut::Foreign };
    };
    let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let legal = match u16::from_le_bytes([*c0, *c1]) {
        0 => (HEADER_LEN - TCP_HEADER_LEN..=STREAM_MAX).contains(&len),
        // A router with its own programs: ports, its state, its NetId.
        1 | 0x1000..=0x1002 => len <= ROUTER_MAX,
        _ => false,
    };
    match len + TCP_HEADER_LEN {
        _ if !legal => Cut::Foreign,
        total if bytes.len() < total => Cut::More(total),
        total => Cut::Message(total),
    }
}

/// Little-endian fields, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn take(&mut self, len: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> View<'a> {
    /// `None` when it is too short for its headers.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (_, data) = bytes.split_at_checked(HEADER_LEN)?;
        let body = Body::Opaque { data };
        let mut view = Self { bytes, body, oddities: Oddities::NONE, asked: None, held: &[], tables: None };
        let odd = &mut view.oddities;
        if view.bytes.first_chunk() != Some(&[0, 0]) {
            odd.push(Oddity::BadProtocolId, 0);
        }
        let mut length = Fields(bytes.get(2..).unwrap_or_default());
        if length.u32().is_none_or(|len| len as usize != bytes.len() - TCP_HEADER_LEN) {
            odd.push(Oddity::LengthMismatch, 2);
        }
        if view.number(26) as usize != data.len() {
            view.oddities.push(Oddity::LengthMismatch, 26);
        }
        if view.flags() & COMMAND == 0 {
            view.oddities.push(Oddity::BadValue, 24);
        }
        let (command, response) = (view.command(), view.is_response());
        if !(1..=9).contains(&command) {
            view.oddities.push(Oddity::UnknownFunction, 22);
        } else if !(view.error() != 0 && data.is_empty()) {
            let mut rest = Fields(data);
            match read(command, response, &mut rest) {
                Some(body) => view.body = body,
                // A refusal may leave out what it has not.
                None if response && data.len() == 4 && view.number(HEADER_LEN) != 0 => {
                    view.body = Body::Result { result: view.number(HEADER_LEN) };
                    rest = Fields(&[]);
                }
                None => {
                    view.oddities.push(Oddity::Truncated, bytes.len());
                    rest = Fields(&[]);
                }
            }
            if !rest.0.is_empty() {
                view.oddities.push(Oddity::TrailingBytes, bytes.len() - rest.0.len());
            }
        }
        Some(view)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Who is to take it.
    #[must_use]
    pub fn target(&self) -> AmsAddress {
        self.address(6)
    }

    /// Who sends it.
    #[must_use]
    pub fn source(&self) -> AmsAddress {
        self.address(14)
    }

    /// The device: who is asked, or answers.
    #[must_use]
    pub fn device(&self) -> AmsAddress {
        if self.is_from_device() { self.source() } else { self.target() }
    }

    /// Who asks it.
    #[must_use]
    pub fn client(&self) -> AmsAddress {
        if self.is_from_device() { self.target() } else { self.source() }
    }

    fn is_from_device(&self) -> bool {
        self.is_response() || self.command() == 8
    }

    /// The command, 1 to 9.
    #[must_use]
    pub fn command(&self) -> u16 {
        (self.number(22) & 0xffff) as u16
    }

    /// The state flags.
    #[must_use]
    pub fn flags(&self) -> u16 {
        (self.number(24) & 0xffff) as u16
    }

    /// Whether it answers.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.flags() & RESPONSE != 0
    }

    /// How many bytes of data the header says.
    #[must_use]
    pub fn data_len(&self) -> u32 {
        self.number(26)
    }

    /// The router's error, 0 for none.
    #[must_use]
    pub fn error(&self) -> u32 {
        self.number(30)
    }

    /// What a request and its response have in common.
    #[must_use]
    pub fn invoke(&self) -> u32 {
        self.number(34)
    }

    /// What it carries.
    #[must_use]
    pub const fn body(&self) -> Body<'a> {
        self.body
    }

    /// Why it refuses: the router's error, else the device's result; 0 for none.
    #[must_use]
    pub fn refusal(&self) -> u32 {
        match (self.error(), self.body) {
            (
                0,
                Body::DeviceInfo { result, .. }
                | Body::Data { result, .. }
                | Body::Result { result }
                | Body::State { result, .. }
                | Body::Handle { result, .. },
            ) => result,
            (error, _) => error,
        }
    }

    /// What is odd about it, with byte offsets.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    pub(super) fn number(&self, at: usize) -> u32 {
        Fields(self.bytes.get(at..).unwrap_or_default()).u32().unwrap_or_default()
    }

    fn address(&self, at: usize) -> AmsAddress {
        let mut fields = Fields(self.bytes.get(at..).unwrap_or_default());
        let net = fields.chunk().copied().unwrap_or_default();
        AmsAddress { net, port: fields.u16().unwrap_or_default() }
    }
}

/// The body of a command ("ADS Read Device Info" to "ADS Read Write"); `None` when it is too short.
fn read<'a>(command: u16, response: bool, fields: &mut Fields<'a>) -> Option<Body<'a>> {
    Some(match (command, response) {
        (1, true) => {
            Body::DeviceInfo { result: fields.u32()?, version: *fields.chunk()?, name: fields.chunk()? }
        }
        (2, false) => Body::Read { group: fields.u32()?, offset: fields.u32()?, len: fields.u32()? },
        (2 | 9, true) => {
            let (result, len) = (fields.u32()?, fields.u32()?);
            Body::Data { result, data: fields.take(len)? }
        }
        (3, false) => {
            let (group, offset, len) = (fields.u32()?, fields.u32()?, fields.u32()?);
            Body::Write { group, offset, data: fields.take(len)? }
        }
        (3 | 5 | 7, true) => Body::Result { result: fields.u32()? },
        (4, true) => Body::State { result: fields.u32()?, ads: fields.u16()?, device: fields.u16()? },
        (5, false) => {
            let (ads, device, len) = (fields.u16()?, fields.u16()?, fields.u32()?);
            Body::Control { ads, device, data: fields.take(len)? }
        }
        (6, false) => {
            let mut next = || fields.u32();
            let [group, offset, len] = [next()?, next()?, next()?];
            let [mode, max_delay, cycle] = [next()?, next()?, next()?];
            fields.take(16)?;
            Body::Notify { group, offset, len, mode, max_delay, cycle }
        }
        (6, true) => Body::Handle { result: fields.u32()?, handle: fields.u32()? },
        (7, false) => Body::Unnotify { handle: fields.u32()? },
        (8, false) => {
            let mut inside = Fields(fields.u32().and_then(|len| fields.take(len))?);
            Body::Notes { stamps: inside.u32()?, data: inside.0 }
        }
        (9, false) => {
            let (group, offset) = (fields.u32()?, fields.u32()?);
            let (read, write) = (fields.u32()?, fields.u32()?);
            Body::ReadWrite { group, offset, read, data: fields.take(write)? }
        }
        (1 | 4, false) => Body::Empty,
        _ => return None,
    })
}

/// A legal message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    /// Who is to take it.
    pub target: AmsAddress,
    /// Who sends it.
    pub source: AmsAddress,
    /// The command, 1 to 9.
    pub command: u16,
    /// The state flags; [`COMMAND`] is set.
    pub flags: u16,
    /// The router's error, 0 for none.
    pub error: u32,
    /// What a request and its response have in common.
    pub invoke: u32,
    /// What the command carries.
    pub body: Body<'a>,
}

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{oddity:?} at byte {offset}")]
pub struct Illegal {
    /// Where.
    pub offset: u32,
    /// What.
    pub oddity: Oddity,
}

impl<'a> TryFrom<&View<'a>> for Repr<'a> {
    type Error = Illegal;

    /// The same message, if it is legal.
    fn try_from(view: &View<'a>) -> Result<Self, Illegal> {
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal { offset, oddity });
        }
        Ok(Self {
            target: view.target(),
            source: view.source(),
            command: view.command(),
            flags: view.flags(),
            error: view.error(),
            invoke: view.invoke(),
            body: view.body(),
        })
    }
}

impl Repr<'_> {
    /// Appends its bytes.
    ///
    /// # Errors
    /// [`Illegal`] when the body is not of the command and its direction, or too long; nothing is appended then.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Illegal> {
        let start = out.len();
        out.extend_from_slice(&[0; TCP_HEADER_LEN]);
        for address in [self.target, self.source] {
            out.extend_from_slice(&address.net);
            out.extend_from_slice(&address.port.to_le_bytes());
        }
        out.extend_from_slice(&self.command.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        for number in [0, self.error, self.invoke] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put(&self.body, out);
        let len = out.len() - start;
        for (at, size) in [(2, len - TCP_HEADER_LEN), (26, len - HEADER_LEN)] {
            if let Some(field) = out.get_mut(start + at..start + at + 4) {
                field.copy_from_slice(&(size as u32).to_le_bytes());
            }
        }
        let again = View::new(out.get(start..).unwrap_or_default()).map(|view| Repr::try_from(&view));
        let illegal = |oddity| Illegal { offset: HEADER_LEN as u32, oddity };
        let fault = match again {
            _ if len > STREAM_MAX => Some(illegal(Oddity::BadQuantity)),
            Some(Ok(again)) if again == *self => None,
            Some(Err(fault)) => Some(fault),
            _ => Some(illegal(Oddity::BadValue)),
        };
        fault.map_or(Ok(()), |fault| {
            out.truncate(start);
            Err(fault)
        })
    }
}

fn put(body: &Body<'_>, out: &mut Vec<u8>) {
    let mut words = |words: &[u32]| words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    match *body {
        Body::Empty => {}
        Body::DeviceInfo { result, version, name } => {
            words(&[result, u32::from_le_bytes(version)]);
            out.extend_from_slice(name);
        }
        Body::Read { group, offset, len } => words(&[group, offset, len]),
        Body::Data { result, data } => {
            words(&[result, data.len() as u32]);
            out.extend_from_slice(data);
        }
        Body::Write { group, offset, data } => {
            words(&[group, offset, data.len() as u32]);
            out.extend_from_slice(data);
        }
        Body::Result { result } => words(&[result]),
        Body::State { result, ads, device } => words(&[result, u32::from(device) << 16 | u32::from(ads)]),
        Body::Control { ads, device, data } => {
            words(&[u32::from(device) << 16 | u32::from(ads), data.len() as u32]);
            out.extend_from_slice(data);
        }
        Body::Notify { group, offset, len, mode, max_delay, cycle } => {
            words(&[group, offset, len, mode, max_delay, cycle, 0, 0, 0, 0]);
        }
        Body::Handle { result, handle } => words(&[result, handle]),
        Body::Unnotify { handle } => words(&[handle]),
        Body::Notes { stamps, data } => {
            words(&[data.len() as u32 + 4, stamps]);
            out.extend_from_slice(data);
        }
        Body::ReadWrite { group, offset, read, data } => {
            words(&[group, offset, read, data.len() as u32]);
            out.extend_from_slice(data);
        }
        Body::Opaque { data } => out.extend_from_slice(data),
    }
}
