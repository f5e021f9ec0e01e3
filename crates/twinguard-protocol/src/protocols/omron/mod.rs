//! Omron FINS on UDP and on TCP.
//!
//! Sources: OMRON W342 *Communications Commands Reference Manual* (clauses §…); OMRON W421 *Ethernet Units Operation
//! Manual* (FINS/TCP).
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them.
//!
//! Tags are an area and a word, and a bit behind a dot: `D100`, `CIO0.15`, `W3`, `H1`, `A500`, `T7` (present value of
//! timers and counters), `E5` (current bank), `E0_10` (bank 0, in hexadecimal). What lies behind the device's own
//! network, or in another of its units, leads with network, node and unit: `n1.5.0/D100`.

use core::fmt::{self, Display as _};

use twinguard_types::Label;

mod area;
mod name;
mod repr;
mod view;

pub use area::{Area, Place, Unit, area, size};
pub use name::{action, command_name, end_code_name};
pub use repr::{FRAME_MAX, Illegal, Repr};
pub use view::{ENVELOPE_LEN, Envelope, HEADER_LEN, STREAM_MAX, View, cut};

use crate::protocol::{
    Access, Action, Address, Block, Carrier, Cell, Change, Context, Cut, Data, Field, Fit, Header, Kind,
    Oddities, Protocol, Sender, Tag, Width, Write,
};

/// The registered port (W421 §4-2).
pub const PORT: u16 = 9600;
/// Requests that list places and are remembered; the oldest goes first.
pub const LISTS_MAX: usize = 4;
/// Of a longer list nothing is remembered: W342 §5-3-5 allows 167 places of four bytes.
pub const LIST_LEN_MAX: usize = 1024;
/// Words that a fill is told of; of more only the first.
pub const FILL_MAX: u16 = 64;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Omron;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    command: u16,
    device: [u8; 3],
    /// Memory area code, word, bit, number of elements.
    start: Option<(u8, u16, u8, u16)>,
    connects: bool,
}

/// The state of one conversation: lists of places whose values are awaited.
#[derive(Debug, Default)]
pub struct Session {
    lists: Vec<List>,
    next: usize,
}

#[derive(Debug)]
struct List {
    asker: Option<(Address, u8)>,
    bytes: Vec<u8>,
}

impl Session {
    #[cold]
    fn put(&mut self, asker: (Address, u8), bytes: &[u8]) {
        if bytes.len() > LIST_LEN_MAX {
            return;
        }
        if self.lists.is_empty() {
            let empty = || List { asker: None, bytes: Vec::with_capacity(LIST_LEN_MAX) };
            self.lists.resize_with(LISTS_MAX, empty);
        }
        let held = self.lists.iter().position(|list| list.asker == Some(asker));
        let place = held.or_else(|| self.lists.iter().position(|list| list.asker.is_none()));
        let place = place.unwrap_or_else(|| {
            self.next = (self.next + 1) % LISTS_MAX;
            self.next
        });
        if let Some(list) = self.lists.get_mut(place) {
            list.asker = Some(asker);
            list.bytes.clear();
            list.bytes.extend_from_slice(bytes);
        }
    }

    #[cold]
    fn take(&mut self, asker: (Address, u8)) -> Option<&[u8]> {
        let list = self.lists.iter_mut().find(|list| list.asker == Some(asker))?;
        list.asker = None;
        Some(&list.bytes)
    }
}

/// The head of memory commands: area code, word, bit, number of elements (§5-3-2).
fn start(body: &[u8]) -> Option<(u8, u16, u8, u16)> {
    let ([code, w1, w0, bit, c1, c0], _) = body.split_first_chunk()?;
    Some((*code, u16::from_be_bytes([*w1, *w0]), *bit, u16::from_be_bytes([*c1, *c0])))
}

impl Protocol for Omron {
    const FAMILY: Label = Label::literal("omron");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        if !bytes.starts_with(b"FINS") {
            // A bare frame has no mark of its own: reads and writes of exactly their length alone are believed.
            let view = View::new(bytes).filter(|view| view.oddities().is_empty())?;
            let [_, _, gateways, ..] = view.header();
            let memory = matches!(view.command(), 0x0101 | 0x0102) && !view.is_response();
            return (memory && gateways <= 7 && view.sender() == Sender::Client).then_some(Sender::Client);
        }
        let (mut rest, mut found) = (bytes, Sender::Unknown);
        for _ in 0..8 {
            let Cut::Message(len) = cut(rest) else { return None };
            let (frame, after) = rest.split_at_checked(len)?;
            let view = View::new(frame).filter(|view| view.oddities().is_empty())?;
            match (found, view.sender()) {
                (Sender::Unknown, sender) => found = sender,
                (_, Sender::Unknown) => {}
                (known, sender) if known == sender => {}
                _ => return None,
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        Some(found)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let view = View::new(bytes)?;
        if view.command() != 0x0104 {
            return Some(view);
        }
        if !view.is_response() {
            session.put((context.source, view.sid()), view.body());
            return Some(view);
        }
        Some(match session.take((context.destination, view.sid())) {
            Some(list) => view.answering(list),
            None => view,
        })
    }

    fn header(view: &View<'_>) -> Header {
        let [network, node, unit] = view.asker();
        let key = u64::from_be_bytes([0, 0, 0, 1, network, node, unit, view.sid()]);
        let (kind, function, key) = match (view.has_frame(), view.envelope()) {
            (false, Some(Envelope { command: 0, .. })) => (Kind::Request, 0, Some(0)),
            (false, Some(Envelope { command: 1, error: 0, .. })) => (Kind::Response, 0, Some(0)),
            (false, Some(Envelope { command: 1, .. })) => (Kind::Exception, 0, Some(0)),
            (false, envelope) => {
                (Kind::Control, envelope.map_or(0, |envelope| envelope.command.min(0xff) as u16), None)
            }
            (true, _) if !view.is_response() => {
                (Kind::Request, view.command(), view.wants_response().then_some(key))
            }
            (true, _) if view.refusal().is_some() => (Kind::Exception, view.command(), Some(key)),
            (true, _) => (Kind::Response, view.command(), Some(key)),
        };
        let [_, node, _] = view.device();
        Header { kind, unit: u16::from(node), function, key }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        let memory = matches!(view.command(), 0x0101..=0x0103);
        Memo {
            command: view.command(),
            device: view.device(),
            start: memory.then(|| start(view.body())).flatten(),
            connects: !view.has_frame(),
        }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        if memo.connects || !view.has_frame() {
            return if memo.connects != view.has_frame() { Fit::Exact } else { Fit::No };
        }
        match (memo.start, memo.command == view.command()) {
            (_, false) => Fit::No,
            (Some((code, _, _, count)), _) if memo.command == 0x0101 && view.refusal().is_none() => {
                let size = usize::from(size(code).unwrap_or(1));
                let exact = view.body().len() == usize::from(count) * size || !view.is_response();
                if exact { Fit::Exact } else { Fit::Loose }
            }
            _ => Fit::Exact,
        }
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        match view.envelope() {
            Some(envelope) if !view.has_frame() => {
                (envelope.error != 0).then_some(envelope.error.min(0xff) as u8)
            }
            _ => view.refusal().map(|end| (end >> 8) as u8),
        }
    }

    fn action(memo: &Memo) -> Option<Action> {
        if memo.connects { Some(Action::Connect) } else { action(memo.command) }
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, request: Option<&Memo>) -> Blocks<'a> {
        blocks(view, request).unwrap_or_default()
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let place = Place::of(&write.tag)?;
        match (&write.change, place.bit) {
            (Change::Bit(state), true) => repr::write(number as u8, place, &[u8::from(*state)], 1, out),
            (Change::BitOf { bit, state }, false) if *bit < 16 => {
                let address = place.address? * 16 + u32::from(*bit);
                let place = Place { bit: true, address: Some(address), ..place };
                repr::write(number as u8, place, &[u8::from(*state)], 1, out)
            }
            (Change::Words { len, .. }, false) => {
                repr::write(number as u8, place, write.bytes(), u16::from(*len / 2), out)
            }
            _ => None,
        }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let byte = |value: u8| Field::Hex(u64::from(value), 2);
        let word = |value: u16| Field::Hex(u64::from(value), 4);
        if let Some(envelope) = view.envelope() {
            put("omron.tcp.magic", Field::Hex(0x4649_4e53, 8));
            put("omron.tcp.length", Field::Number(u64::from(envelope.length)));
            put("omron.tcp.command", Field::Hex(u64::from(envelope.command), 8));
            put("omron.tcp.error_code", Field::Hex(u64::from(envelope.error), 8));
        }
        if !view.has_frame() {
            return;
        }
        const NAMES: [&str; HEADER_LEN] = [
            "omron.icf",
            "omron.rsv",
            "omron.gct",
            "omron.dna",
            "omron.da1",
            "omron.da2",
            "omron.sna",
            "omron.sa1",
            "omron.sa2",
            "omron.sid",
        ];
        NAMES.iter().zip(view.header()).for_each(|(name, value)| put(name, byte(value)));
        put("omron.command", word(view.command()));
        if let Some(end) = view.end_code() {
            put("omron.response.code", word(end));
        } else if let (0x0101..=0x0103, Some((code, address, bit, count))) =
            (view.command(), start(view.body()))
        {
            put("omron.memory.area.read", byte(code));
            put("omron.memory.address", word(address));
            put("omron.memory.address.bits", byte(bit));
            put("omron.memory.numitems", Field::Number(u64::from(count)));
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            0 => "node address",
            3 => "frame error",
            6 => "connection confirmation",
            command => command_name(command),
        }
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        let bit = Place::of(tag).is_some_and(|place| place.bit);
        if bit {
            Cell { width: Width::Bit, last: 0xf_ffff }
        } else {
            Cell { width: Width::Word, last: 0xffff }
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        area::parse(text).map(Place::tag)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Place::of(tag) {
            Some(place) => place.fmt(f),
            None => f.write_str("?"),
        }
    }
}

/// The runs of values in a message: words as they lie, bits one by one.
#[derive(Clone, Debug, Default)]
pub struct Blocks<'a> {
    device: [u8; 3],
    access: Option<Access>,
    /// Memory area code, word, bit.
    place: Option<(u8, u16, u8)>,
    data: &'a [u8],
    step: Step<'a>,
}

/// How the values follow one another.
#[derive(Clone, Copy, Debug, Default)]
enum Step<'a> {
    /// One run of the area's elements.
    #[default]
    Run,
    /// The same word so many times.
    Fill(u16),
    /// Each led by its area code; the places as the request listed them.
    List(&'a [u8]),
    /// Forced bits: what is forced, area code, address, bit.
    Force,
}

fn blocks<'a>(view: &View<'a>, request: Option<&Memo>) -> Option<Blocks<'a>> {
    if !view.has_frame() || view.refusal().is_some() {
        return None;
    }
    let (body, device) = (view.body(), view.device());
    let write = |(code, word, bit, _): (u8, u16, u8, u16), step| Blocks {
        device,
        access: Some(Access::Write),
        place: Some((code, word, bit)),
        data: body.get(6..).unwrap_or_default(),
        step,
    };
    match (view.command(), view.is_response()) {
        (0x0101, true) => {
            let asked = request.and_then(|memo| Some((memo.start?, memo.device)));
            let (start, device) = asked.map_or((None, device), |(start, device)| (Some(start), device));
            let place = start.map(|(code, word, bit, _)| (code, word, bit));
            Some(Blocks { device, access: Some(Access::Read), place, data: body, step: Step::Run })
        }
        (0x0102, false) => start(body).map(|start| write(start, Step::Run)),
        (0x0103, false) => {
            let start = start(body)?;
            let (.., count) = start;
            Some(write(start, Step::Fill(count.min(FILL_MAX))))
        }
        (0x0104, true) => {
            let list = view.request()?;
            Some(Blocks {
                device,
                access: Some(Access::Read),
                place: None,
                data: body,
                step: Step::List(list),
            })
        }
        (0x2301, false) => {
            let data = body.get(2..)?;
            Some(Blocks { device, access: Some(Access::Write), place: None, data, step: Step::Force })
        }
        _ => None,
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let access = self.access?;
        match self.step {
            Step::Run => {
                let Some((code, word, bit)) = self.place else {
                    let data = core::mem::take(&mut self.data);
                    return (!data.is_empty()).then(|| Block::new(Tag::default(), access, Data::Bytes(data)));
                };
                self.element(access, code, word, bit)
            }
            Step::Fill(left) => {
                let (code, word, bit) = self.place?;
                self.step = Step::Fill(left.checked_sub(1)?);
                self.place = Some((code, word.checked_add(1)?, bit));
                let place = Place::new(self.device, code, word, bit).filter(|place| !place.bit)?;
                let data = self.data.get(..2)?;
                Some(Block { variant: u32::from(code), ..Block::new(place.tag(), access, Data::Words(data)) })
            }
            Step::List(list) => {
                let ([code, w1, w0, bit], rest) = list.split_first_chunk()?;
                self.step = Step::List(rest);
                let (told, after) = self.data.split_first()?;
                let (value, after) = after.split_at_checked(usize::from(size(*code)?))?;
                if told != code {
                    return None;
                }
                self.data = after;
                let place = Place::new(self.device, *code, u16::from_be_bytes([*w1, *w0]), *bit);
                Some(single(access, *code, place, value))
            }
            Step::Force => {
                let (item, rest) = self.data.split_at_checked(6)?;
                let [_, what, code, w1, w0, bit] = item else { return None };
                self.data = rest;
                let place = Place::new(self.device, *code, u16::from_be_bytes([*w1, *w0]), *bit);
                let state = item.get(1..2).filter(|_| item.first() == Some(&0) && *what < 2);
                match (place.filter(|place| place.bit), state) {
                    (Some(place), Some(state)) => Some(single(access, *code, Some(place), state)),
                    _ => self.next_forced(),
                }
            }
        }
    }
}

impl<'a> Blocks<'a> {
    /// The next element, or run of words.
    fn element(&mut self, access: Access, code: u8, word: u16, bit: u8) -> Option<Block<'a>> {
        let place = Place::new(self.device, code, word, bit);
        if place.is_some_and(|place| place.bit) {
            let (value, rest) = self.data.split_at_checked(1)?;
            self.data = rest;
            let next = (u32::from(word) << 4 | u32::from(bit & 0xf)) + 1;
            self.place = u16::try_from(next >> 4).ok().map(|word| (code, word, (next & 0xf) as u8));
            return Some(single(access, code, place, value));
        }
        let data = core::mem::take(&mut self.data);
        (!data.is_empty()).then(|| single(access, code, place, data))
    }

    /// Forced bits that are released carry no value: the next that does.
    fn next_forced(&mut self) -> Option<Block<'a>> {
        while let Some((item, rest)) = self.data.split_at_checked(6) {
            if item.first() == Some(&0) && item.get(1).is_some_and(|what| *what < 2) {
                return self.next();
            }
            self.data = rest;
        }
        None
    }
}

/// Words, or one bit in a byte.
fn single<'a>(access: Access, code: u8, place: Option<Place>, value: &'a [u8]) -> Block<'a> {
    let variant = u32::from(code);
    match place {
        Some(place) if place.bit => {
            let bytes = value.get(..1).unwrap_or_default();
            Block {
                variant,
                ..Block::new(place.tag(), access, Data::Bits { bytes, count: bytes.len() as u16 })
            }
        }
        Some(place) => {
            // The area ends with word 65535.
            let room = place.address.map_or(0, |first| 0x1_0000u32.saturating_sub(first) as usize * 2);
            let words = value.get(..room.min(value.len() & !1)).unwrap_or_default();
            Block { variant, ..Block::new(place.tag(), access, Data::Words(words)) }
        }
        None => Block { variant, ..Block::new(Tag::default(), access, Data::Bytes(value)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a>(session: &'a mut Session, bytes: &'a [u8]) -> View<'a> {
        let shared: &'static mut () = Box::leak(Box::new(()));
        Omron::decode(session, shared, &Context::of(Sender::Unknown), bytes).unwrap()
    }

    fn points(request: &[u8], response: Option<&[u8]>) -> String {
        let frame = |icf: u8, tail: &[u8]| [&[icf, 0, 2, 0, 5, 0, 0, 1, 0, 7], tail].concat();
        let mut session = Session::default();
        let asked = frame(0x80, request);
        let view = decode(&mut session, &asked);
        assert!(view.oddities().is_empty(), "{:?}", view.oddities());
        let memo = Omron::memo(&view);
        let show = |point: crate::protocol::RawPoint<'_>| {
            let tag = fmt::from_fn(|f| Omron::write_tag(&point.tag, f)).to_string();
            format!("{tag}={} ", point.raw)
        };
        match response {
            None => Omron::blocks(&view, None).flat_map(Block::points).map(show).collect(),
            Some(response) => {
                let told = frame(0xc0, response);
                let view = decode(&mut session, &told);
                assert_eq!(Omron::fit(&memo, &view), Fit::Exact);
                Omron::blocks(&view, Some(&memo)).flat_map(Block::points).map(show).collect()
            }
        }
    }

    #[test]
    fn values_carry_their_places() {
        let read = [1, 1, 0x82, 0, 100, 0, 0, 2];
        assert_eq!(points(&read, Some(&[1, 1, 0, 0, 0, 1, 0, 2])), "D100=0001 D101=0002 ");
        let bits = [1, 1, 0x30, 0, 1, 15, 0, 2];
        assert_eq!(points(&bits, Some(&[1, 1, 0, 0, 1, 0])), "CIO1.15=1 CIO2.0=0 ");
        assert_eq!(points(&[1, 2, 0xb1, 0, 3, 0, 0, 1, 0xca, 0xfe], None), "W3=cafe ");
        assert_eq!(points(&[1, 2, 2, 0, 3, 4, 0, 1, 1], None), "D3.4=1 ");
        assert_eq!(points(&[1, 3, 0x82, 0, 3, 0, 0, 2, 0, 9], None), "D3=0009 D4=0009 ");
        let many = [1, 4, 0x82, 0, 1, 0, 0x30, 0, 2, 3];
        assert_eq!(points(&many, Some(&[1, 4, 0, 0, 0x82, 0, 7, 0x30, 1])), "D1=0007 CIO2.3=1 ");
        let force = [0x23, 1, 0, 2, 0x80, 0, 0x30, 0, 1, 2, 0, 1, 0x30, 0, 1, 3];
        assert_eq!(points(&force, None), "CIO1.3=1 ");
        let last = [1, 2, 0xb1, 0xff, 0xff, 0, 0, 2, 0, 1, 0, 2];
        assert_eq!(points(&last, None), "W65535=0001 ", "the area ends");
        assert_eq!(points(&read, Some(&[1, 1, 0x11, 3])), "", "a refusal");
    }

    #[test]
    fn frames_are_recognised_with_their_ends() {
        let read = [0x80, 0, 2, 0, 0, 0, 0, 1, 0, 7, 1, 1, 0x82, 0, 100, 0, 0, 3];
        assert_eq!(Omron::probe(&read), Some(Sender::Client));
        assert_eq!(Omron::probe(&read[..17]), None);
        assert_eq!(Omron::probe(&[0; 18]), None);
        let tcp = [&b"FINS\0\0\0\x1a\0\0\0\x02\0\0\0\0"[..], &read].concat();
        assert_eq!(Omron::probe(&tcp), Some(Sender::Client));
        assert_eq!(Omron::probe(&tcp[..30]), None);
    }
}
