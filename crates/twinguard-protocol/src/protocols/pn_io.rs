//! PROFINET IO: connections and records over connectionless RPC, alarms and cyclic data on Ethernet.
//!
//! Sources: IEC 61158-6-10 (type 10: FAL, clause 5 application service element IO device: block coding; clause 4.7 RTA
//! alarms); The Open Group C706, *DCE 1.1: Remote Procedure Call* (chapter 12, connectionless PDU, and chapter 14, NDR).
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] writes legal requests. Records that are written have tags
//! `<API>/<slot>/<subslot>/<index>` in hexadecimal: `0/1/8000/802f`. Answers often come from another port than the one
//! that was asked: requests and answers are told without pairing, and what a request does is told with the request.

use core::fmt;

use twinguard_types::{Label, Oddity};

use super::pn_rt::Class;
use crate::bytes::{be16, be32, chunk};
use crate::protocol::{
    Access, Action, Address, Block, Carrier, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities,
    Protocol, Scalar, Sender, Tag,
};

/// The registered UDP port of the first request of a connection.
pub const PORT: u16 = 34964;
/// EtherType of PROFINET.
pub const ETHER_TYPE: u16 = 0x8892;
/// Octets of the header of a connectionless RPC message (C706 §12.5.2.1).
pub const RPC_LEN: usize = 80;
/// Most octets that are put together from fragments; what is longer is not told.
pub const MESSAGE_MAX: usize = 1 << 16;
/// Blocks of one message that are looked at.
pub const BLOCKS_MAX: usize = 128;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct PnIo;

/// The header of a connectionless RPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// 0 request, 2 response; the others keep the conversation alive or end it.
    pub kind: u8,
    /// 2 last fragment, 4 fragment.
    pub flags: u8,
    /// Whether its numbers, and those of NDR behind it, are little-endian.
    pub little: bool,
    /// Which of the interfaces: 1 device, 2 controller, 3 supervisor, 4 parameter server.
    pub interface: u8,
    /// The conversation.
    pub activity: [u8; 16],
    /// The call in it.
    pub sequence: u32,
    /// 0 connect, 1 release, 2 read, 3 write, 4 control, 5 read implicit.
    pub operation: u16,
    /// Octets behind the header, as it says.
    pub length: u16,
    /// Which fragment.
    pub fragment: u16,
}

impl Rpc {
    /// Reads the header of a message to or from an interface of PROFINET IO; `None` for all others.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = chunk::<RPC_LEN>(bytes, 0)?;
        let [4, kind, flags, _, drep, ..] = *head else { return None };
        let little = drep & 0x10 != 0;
        let half = |at: usize| chunk::<2>(head, at).map(|field| number16(*field, little));
        let word = |at: usize| chunk::<4>(head, at).map(|field| number32(*field, little));
        // DEA00001 to DEA00004 - 6C97 - 11D1 - 8271 - 00A02442DF7D.
        let interface = word(24)?.checked_sub(0xdea0_0000).filter(|number| (1..=4).contains(number))?;
        let rest = (half(28)?, half(30)?, chunk::<8>(head, 32)?);
        if rest != (0x6c97, 0x11d1, &[0x82, 0x71, 0x00, 0xa0, 0x24, 0x42, 0xdf, 0x7d]) {
            return None;
        }
        Some(Self {
            kind,
            flags,
            little,
            interface: interface as u8,
            activity: *chunk(head, 40)?,
            sequence: word(64)?,
            operation: half(68)?,
            length: half(74)?,
            fragment: half(76)?,
        })
    }

    /// Whether it carries blocks: requests and responses do.
    const fn carries(self) -> bool {
        matches!(self.kind, 0 | 2)
    }

    /// Whether it is a part that does not end its message.
    const fn is_open(self) -> bool {
        self.flags & 0x06 == 0x04
    }
}

fn number16(bytes: [u8; 2], little: bool) -> u16 {
    if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
}

fn number32(bytes: [u8; 4], little: bool) -> u32 {
    if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
}

/// What carries the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A request or a response by RPC.
    Call {
        /// The header of its last fragment.
        rpc: Rpc,
        /// `PNIOStatus` of a response: code, decode, code 1, code 2; of a request the most that its answer may have.
        status: u32,
        /// Octets of the blocks, as it says.
        length: u32,
    },
    /// Cyclic data under this frame identifier.
    Cyclic(u16),
    /// An alarm.
    Alarm {
        /// 0xfc01 high, 0xfe01 low.
        frame_id: u16,
        /// 1 data, 2 negative and 3 positive acknowledgement, 4 error.
        kind: u8,
        /// Sequence numbers of the sender and of what it acknowledges.
        sequence: (u16, u16),
    },
}

/// A view on one message.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    content: Content,
    blocks: &'a [u8],
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads an unfragmented RPC message, or an Ethernet frame from its frame identifier on; `None` for what carries
    /// none of this family.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        match Rpc::read(bytes) {
            Some(rpc) => Self::call(rpc, bytes.get(RPC_LEN..)?, RPC_LEN),
            None => Self::frame(bytes),
        }
    }

    /// The body of a call; `base` is its offset in the last fragment.
    fn call(rpc: Rpc, body: &'a [u8], base: usize) -> Option<Self> {
        if !rpc.carries() {
            return None;
        }
        let mut oddities = Oddities::NONE;
        let word = |at: usize| chunk::<4>(body, at).map(|field| number32(*field, rpc.little));
        // NDR: most octets or status, octets; then an array with its most, its offset, its octets.
        let (status, length, actual) = (word(0)?, word(4)?, word(16)?);
        let blocks = body.get(20..).unwrap_or_default();
        let held = usize::try_from(actual).unwrap_or(usize::MAX);
        let blocks = blocks.get(..held).unwrap_or_else(|| {
            oddities.push(Oddity::LengthMismatch, base + 16);
            blocks
        });
        if length != actual {
            oddities.push(Oddity::LengthMismatch, base + 4);
        }
        let known = matches!(rpc.operation, 0..=5);
        if !known {
            oddities.push(Oddity::UnknownFunction, 68);
        }
        let mut view = Self { content: Content::Call { rpc, status, length }, blocks, oddities };
        view.check(base + 20);
        Some(view)
    }

    fn frame(bytes: &'a [u8]) -> Option<Self> {
        let frame_id = be16(bytes, 0)?;
        let class = Class::of(frame_id);
        if class.is_cyclic() {
            let data = bytes.get(2..bytes.len().checked_sub(4)?)?;
            return Some(Self { content: Content::Cyclic(frame_id), blocks: data, oddities: Oddities::NONE });
        }
        if class != Class::Alarm {
            return None;
        }
        let mut oddities = Oddities::NONE;
        let [_, _, _, _, _, _, kind, _, ..] = *bytes else { return None };
        let sequence = (be16(bytes, 8)?, be16(bytes, 10)?);
        let length = usize::from(be16(bytes, 12)?);
        let rest = bytes.get(14..)?;
        let part = rest.get(..length).unwrap_or_else(|| {
            oddities.push(Oddity::LengthMismatch, 12);
            rest
        });
        // The type in the lower half, the version 1 above it.
        if !matches!(kind, 0x11..=0x14) {
            oddities.push(Oddity::BadValue, 6);
        }
        let kind = kind & 0x0f;
        // Only data carry blocks.
        let blocks = if kind == 1 { part } else { &[] };
        let mut view = Self { content: Content::Alarm { frame_id, kind, sequence }, blocks, oddities };
        view.check(14);
        Some(view)
    }

    fn check(&mut self, base: usize) {
        let mut whole = 0;
        let mut count = 0;
        for entry in self.entries() {
            (whole, count) = (entry.end, count + 1);
        }
        if count == BLOCKS_MAX {
            self.oddities.push(Oddity::BadQuantity, base);
        } else if self.blocks.get(whole..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
            self.oddities.push(Oddity::LengthMismatch, base + whole);
        }
    }

    /// What carries it.
    #[must_use]
    pub const fn content(&self) -> Content {
        self.content
    }

    /// The bytes of the blocks, or the cyclic data.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.blocks
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// The blocks, up to the first that is cut; the record behind the header of a read or a write belongs to it.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let blocks = if matches!(self.content, Content::Cyclic(_)) { &[] } else { self.blocks };
        let mut at = 0;
        core::iter::from_fn(move || {
            let head = blocks.get(at..)?;
            let (type_id, length) = (be16(head, 0)?, usize::from(be16(head, 2)?));
            let value = head.get(6..4 + length)?;
            let mut end = at + 4 + length;
            // RecordDataLength stands behind sequence, UUID, API, slot, subslot, padding, index (clause 5.2.3.3).
            // Behind index 0xe040 further writes follow as blocks.
            let record = match type_id {
                0x0008 if be16(value, 28) == Some(0xe040) => None,
                0x0008 | 0x8009 => {
                    be32(value, 30).and_then(|len| blocks.get(end..)?.get(..usize::try_from(len).ok()?))
                }
                _ => None,
            };
            end += record.map_or(0, <[u8]>::len);
            // Writes to several places begin at multiples of four octets.
            if type_id == 0x0008 || type_id == 0x8008 {
                end = end.next_multiple_of(4).min(blocks.len());
            }
            at = end;
            Some(Entry { type_id, value, record, end })
        })
        .take(BLOCKS_MAX)
    }

    /// Whether it is a request by RPC.
    const fn is_request(&self) -> bool {
        matches!(self.content, Content::Call { rpc: Rpc { kind: 0, .. }, .. })
    }
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// `BlockType`: 0x0101 connect, 0x0008 write, 0x0009 read, 0x0110 end of parameters; 0x8000 more in answers.
    pub type_id: u16,
    /// What is behind the block's version.
    pub value: &'a [u8],
    /// The record behind the header of a read or a write.
    pub record: Option<&'a [u8]>,
    end: usize,
}

/// The records of a write.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    view: Option<View<'a>>,
    next: usize,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let view = self.view?;
        loop {
            let entry = view.entries().nth(self.next)?;
            self.next += 1;
            let (0x0008, Some(raw)) = (entry.type_id, entry.record) else { continue };
            let place =
                (be32(entry.value, 18), be16(entry.value, 22), be16(entry.value, 24), be16(entry.value, 28));
            let (Some(api), Some(slot), Some(subslot), Some(index)) = place else { continue };
            let tag = tag(api, slot, subslot, index);
            return Some(Block::new(tag, Access::Write, Data::Scalar { raw, value: Scalar::Opaque }));
        }
    }
}

fn tag(api: u32, slot: u16, subslot: u16, index: u16) -> Tag<'static> {
    let space = u64::from(api) << 32 | u64::from(slot) << 16 | u64::from(subslot);
    Tag { space, name: Name::default(), address: Some(u32::from(index)) }
}

/// The fragments of one call a sender.
#[derive(Debug, Default)]
pub struct Session {
    parts: Vec<u8>,
    of: Option<([u8; 16], u32, u8)>,
    next: u16,
}

impl Session {
    /// Adds a fragment; the whole once the last one came in order.
    fn add(&mut self, rpc: Rpc, body: &[u8]) -> Option<&[u8]> {
        let of = Some((rpc.activity, rpc.sequence, rpc.kind));
        if rpc.fragment == 0 {
            self.parts.clear();
            (self.of, self.next) = (of, 0);
        }
        let fits = self.of == of && self.next == rpc.fragment && self.parts.len() + body.len() <= MESSAGE_MAX;
        if !fits {
            self.of = None;
            return None;
        }
        self.parts.extend_from_slice(body);
        self.next += 1;
        (!rpc.is_open()).then_some(self.parts.as_slice())
    }
}

impl Protocol for PnIo {
    const FAMILY: Label = Label::literal("pn_io");
    const CARRIERS: &'static [Carrier] = &[Carrier::Udp(PORT), Carrier::EtherType(ETHER_TYPE)];

    type Pdu<'a> = View<'a>;
    type Memo = Option<Action>;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    /// One datagram or frame, one message.
    fn cut(bytes: &[u8]) -> Cut {
        if bytes.is_empty() { Cut::More(1) } else { Cut::Message(bytes.len()) }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let rpc = Rpc::read(bytes).filter(|rpc| rpc.carries())?;
        let body = bytes.get(RPC_LEN..).filter(|body| body.len() == usize::from(rpc.length))?;
        let sender = if rpc.kind == 0 { Sender::Client } else { Sender::Server };
        // A part is one by its header, which nothing else has.
        let whole = rpc.flags & 0x04 == 0 || rpc.fragment == 0;
        let legal = rpc.is_open() || whole && View::call(rpc, body, RPC_LEN)?.oddities.is_empty();
        legal.then_some(sender)
    }

    fn absorb(session: &mut Session, _source: &Address, bytes: &[u8]) -> bool {
        let part = Rpc::read(bytes).filter(|rpc| rpc.carries() && rpc.is_open());
        let (Some(rpc), Some(body)) = (part, bytes.get(RPC_LEN..)) else { return false };
        let body = body.get(..usize::from(rpc.length)).unwrap_or(body);
        session.add(rpc, body);
        true
    }

    fn lies_in(bytes: &[u8]) -> bool {
        View::new(bytes).is_some()
    }

    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let Some(rpc) = Rpc::read(bytes) else {
            // Other calls over UDP are none of ours.
            return View::frame(bytes).filter(|_| context.source.socket().is_none());
        };
        let body = bytes.get(RPC_LEN..)?;
        let body = body.get(..usize::from(rpc.length)).unwrap_or(body);
        if rpc.flags & 0x04 == 0 || !rpc.carries() {
            return View::call(rpc, body, RPC_LEN);
        }
        View::call(rpc, session.add(rpc, body)?, 0)
    }

    fn header(view: &View<'_>) -> Header {
        let first = view.entries().next().map(|entry| entry.type_id);
        let (kind, operation, unit) = match view.content {
            Content::Call { rpc, status, .. } => {
                let kind = match rpc.kind {
                    0 => Kind::Request,
                    _ if status != 0 => Kind::Exception,
                    _ => Kind::Response,
                };
                (kind, rpc.operation, u16::from(rpc.interface))
            }
            Content::Cyclic(_) => (Kind::Event, Header::NO_FUNCTION, 0),
            Content::Alarm { kind: 1, .. } => (Kind::Event, Header::NO_FUNCTION, 0),
            Content::Alarm { .. } => (Kind::Control, Header::NO_FUNCTION, 0),
        };
        Header { kind, unit, function: first.unwrap_or(operation), key: None }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        view.oddities
    }

    fn memo(view: &View<'_>) -> Option<Action> {
        let Content::Call { rpc, .. } = view.content else { return None };
        match rpc.operation {
            _ if rpc.kind != 0 => None,
            0 => Some(Action::Connect),
            1 => Some(Action::Disconnect),
            2 | 5 => Some(Action::Browse),
            3 => Some(Action::Configure),
            _ => None,
        }
    }

    fn fit(_memo: &Option<Action>, _view: &View<'_>) -> Fit {
        Fit::No
    }

    /// `ErrorCode1` of `PNIOStatus`.
    fn refusal(view: &View<'_>) -> Option<u8> {
        match view.content {
            Content::Call { rpc: Rpc { kind: 2, .. }, status, .. } if status != 0 => {
                Some((status >> 8) as u8)
            }
            _ => None,
        }
    }

    fn action(memo: &Option<Action>) -> Option<Action> {
        *memo
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Option<Action>>) -> Self::Blocks<'a> {
        Blocks { view: view.is_request().then_some(*view), next: 0 }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u32| Field::Number(u64::from(value));
        if let Content::Call { rpc, status, length } = view.content {
            put("pn_io.opnum", number(u32::from(rpc.operation)));
            if rpc.kind == 0 {
                put("pn_io.args_max", number(status));
            } else {
                let [code, decode, code1, code2] = status.to_be_bytes();
                put("pn_io.error_code", Field::Hex(u64::from(code), 2));
                put("pn_io.error_decode", Field::Hex(u64::from(decode), 2));
                put("pn_io.error_code1", number(u32::from(code1)));
                put("pn_io.error_code2", number(u32::from(code2)));
            }
            put("pn_io.args_len", number(length));
        }
        for entry in view.entries() {
            put("pn_io.block_type", Field::Hex(u64::from(entry.type_id), 4));
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function & 0x7fff {
            0x0001 => "alarm notification, high",
            0x0002 => "alarm notification, low",
            0x0008 => "write",
            0x0009 => "read",
            0x0101 => "connect",
            0x0110 => "end of parameters",
            0x0112 => "application ready",
            0x0114 => "release",
            0x0116 => "ready for companion",
            0x0117 => "ready for class 3",
            0x0118 => "begin of parameters",
            _ => "undefined",
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let mut parts = text.split('/');
        let api = number(parts.next()?, u32::MAX)?;
        let mut half = || number(parts.next()?, 0xffff).map(|number| number as u16);
        let (slot, subslot, index) = (half()?, half()?, half()?);
        parts.next().is_none().then(|| tag(api, slot, subslot, index))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}/{:x}/{:x}/", tag.space >> 32, tag.space >> 16 & 0xffff, tag.space & 0xffff)?;
        match tag.address {
            Some(index) => write!(f, "{index:x}"),
            None => f.write_str("?"),
        }
    }
}

/// Hexadecimal digits alone: one way to write a tag.
fn number(text: &str, most: u32) -> Option<u32> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten().filter(|number| *number <= most)
}

/// A legal request to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr(Vec<u8>);

impl Repr {
    /// A call with these blocks, each with its type and what is behind its version 1.0; `None` when it does not fit
    /// into one datagram, or an operation is not one of 0 to 5.
    #[must_use]
    pub fn request(
        operation: u16,
        (object, activity): ([u8; 16], [u8; 16]),
        sequence: u32,
        blocks: &[(u16, &[u8])],
    ) -> Option<Self> {
        let mut args = Vec::new();
        for (type_id, value) in blocks {
            args.extend(type_id.to_be_bytes());
            args.extend(u16::try_from(value.len() + 2).ok()?.to_be_bytes());
            args.extend([1, 0]);
            args.extend_from_slice(value);
        }
        let length = u16::try_from(args.len() + 20).ok()?;
        // Request, idempotent, big-endian.
        let mut out = vec![4, 0, 0x20, 0, 0, 0, 0, 0];
        out.extend(object);
        out.extend([0xde, 0xa0, 0, 1, 0x6c, 0x97, 0x11, 0xd1, 0x82, 0x71, 0, 0xa0, 0x24, 0x42, 0xdf, 0x7d]);
        out.extend(activity);
        out.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        out.extend(sequence.to_be_bytes());
        out.extend(operation.to_be_bytes());
        out.extend([0xff; 4]);
        out.extend(length.to_be_bytes());
        out.extend([0, 0, 0, 0]);
        let count = args.len() as u32;
        for word in [4096.max(count), count, 4096.max(count), 0, count] {
            out.extend(word.to_be_bytes());
        }
        out.extend(args);
        PnIo::probe(&out)?;
        Some(Self(out))
    }

    /// The bytes of the datagram.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(index: u16, record: &[u8]) -> Vec<u8> {
        let mut value = vec![0, 1];
        value.extend([7; 16]);
        value.extend([0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0]);
        value.extend(index.to_be_bytes());
        value.extend((record.len() as u32).to_be_bytes());
        value.extend([0; 24]);
        value.extend_from_slice(record);
        value
    }

    /// The header's length does not count the record.
    fn written(index: u16, record: &[u8]) -> Vec<u8> {
        let value = write(index, record);
        let mut bytes = Repr::request(3, ([0; 16], [1; 16]), 5, &[(8, &value[..58])]).unwrap().0;
        let (record, count) = (record.to_vec(), (64 + record.len()) as u32);
        bytes.extend(record);
        let length = (count as u16 + 20).to_be_bytes();
        bytes[74..76].copy_from_slice(&length);
        bytes[84..88].copy_from_slice(&count.to_be_bytes());
        bytes[96..100].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    #[test]
    fn records_are_written_to_their_places() {
        let bytes = written(0x802f, &[1, 2, 3, 4]);
        assert_eq!(PnIo::probe(&bytes), Some(Sender::Client));
        let view = View::new(&bytes).unwrap();
        let blocks: Vec<_> = PnIo::blocks(&view, None).collect();
        assert_eq!((blocks.len(), blocks[0].tag), (1, PnIo::parse_tag("0/1/8000/802f").unwrap()));
        assert_eq!(blocks[0].data, Data::Scalar { raw: &[1, 2, 3, 4], value: Scalar::Opaque });
        assert_eq!(PnIo::memo(&view), Some(Action::Configure));
        assert_eq!(PnIo::header(&view).function, 8);
    }

    #[test]
    fn fragments_are_put_together_in_order() {
        let whole = written(0x802f, &[9; 40]);
        let part = |number: u16, last: bool, body: &[u8]| {
            let mut bytes = whole[..RPC_LEN].to_vec();
            bytes[2] = if last { 0x06 } else { 0x04 };
            bytes[74..76].copy_from_slice(&(body.len() as u16).to_be_bytes());
            bytes[76..78].copy_from_slice(&number.to_be_bytes());
            bytes.extend(body);
            bytes
        };
        let body = &whole[RPC_LEN..];
        let (first, second) = (part(0, false, &body[..60]), part(1, true, &body[60..]));
        let mut session = Session::default();
        let (context, mut shared) = (Context::of(Sender::Client), ());
        assert_eq!(PnIo::probe(&first), Some(Sender::Client));
        assert!(PnIo::decode(&mut session, &mut shared, &context, &first).is_none());
        let view = PnIo::decode(&mut session, &mut shared, &context, &second).unwrap();
        assert_eq!(PnIo::blocks(&view, None).count(), 1);
        let mut session = Session::default();
        assert!(PnIo::decode(&mut session, &mut shared, &context, &second).is_none(), "the first is missing");
    }

    #[test]
    fn alarms_and_what_is_odd() {
        let alarm = [0xfe, 1, 0, 1, 0, 2, 0x11, 0x11, 0, 1, 0xff, 0xff, 0, 8, 0, 2, 0, 4, 1, 0, 0, 1];
        let view = View::new(&alarm).unwrap();
        assert!(view.oddities().is_empty());
        assert_eq!((PnIo::header(&view).kind, PnIo::header(&view).function), (Kind::Event, 2));
        let odd = |bytes: &[u8]| View::new(bytes).unwrap().oddities().iter().collect::<Vec<_>>();
        assert_eq!(odd(&alarm[..20]), [(Oddity::LengthMismatch, 12), (Oddity::LengthMismatch, 14)]);
        let mut bytes = written(1, &[]);
        bytes[87] = 1;
        assert_eq!(odd(&bytes), [(Oddity::LengthMismatch, 84)]);
        assert!(View::new(&[0xfe, 0xfe, 5, 0]).is_none() && View::new(&[0x20; 80]).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (operation, sequence, activity) in (0..6u16, any::<u32>(), any::<[u8; 16]>()),
            value in prop::collection::vec(any::<u8>(), 60..300),
        ) {
            let repr = Repr::request(operation, ([3; 16], activity), sequence, &[(0x0101, &value)]).unwrap();
            let view = View::new(repr.as_bytes()).unwrap();
            let Content::Call { rpc, .. } = view.content() else { panic!("a call") };
            prop_assert_eq!((rpc.operation, rpc.sequence, rpc.activity), (operation, sequence, activity));
            let entries: Vec<_> = view.entries().map(|entry| (entry.type_id, entry.value)).collect();
            prop_assert_eq!(entries, [(0x0101, &value[..])]);
        }

        #[test]
        fn tags_are_read_as_they_were_written(space in any::<u64>(), index in any::<u16>()) {
            let tag = Tag { space, name: Name::default(), address: Some(u32::from(index)) };
            let text = fmt::from_fn(|f| PnIo::write_tag(&tag, f)).to_string();
            prop_assert_eq!(PnIo::parse_tag(&text), Some(tag));
        }
    }
}
