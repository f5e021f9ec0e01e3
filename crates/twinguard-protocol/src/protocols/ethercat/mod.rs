//! EtherCAT, as Ethernet frames and over UDP.
//!
//! Sources: IEC 61158-4-12 and ETG.1000.4 (data link), IEC 61158-6-12 and ETG.1000.6 (application layer).
//!
//! A frame leaves the master, passes every slave and comes back: slaves read and write its datagrams as it runs and count
//! themselves in the working counters. A frame whose counters are all 0 is told as a request, another as its response.
//!
//! Tags, numbers in hexadecimal with `0x`, everything else decimal:
//! `lad/0x<address>` logical memory; `s<station>/0x<offset>` memory of the slave with that station address;
//! `p<position>/0x<offset>` of the slave at that place in the ring, 0 the first; `all/0x<offset>` of every slave;
//! `s<station>/sdo/0x<index>:<subindex>/<byte>` a byte of an object. All are memories of bytes; numbers in them are
//! little-endian, so bindings say `order = "DCBA"`.

use core::fmt;

use twinguard_types::Label;

mod frame;
mod mailbox;
mod outputs;
mod repr;

pub use frame::{Addressing, Command, DATAGRAM_LEN, Datagram, Datagrams, HEADER_LEN, Range, View};
pub use mailbox::{Mailbox, Object, Sdo};
pub use outputs::{OUTPUTS_MAX, Outputs};
pub use repr::{FRAME_MAX, Illegal, Repr};

use crate::protocol::{
    Access, Action, Block, Carrier, Cell, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities,
    Protocol, Sender, Tag, Width, Write,
};

/// The EtherType and the UDP port (ETG.1000.4 5.3).
pub const NUMBER: u16 = 0x88a4;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Ethercat;

/// A place of EtherCAT, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Logical memory, which the slaves share.
    Logical {
        /// Address.
        address: u32,
    },
    /// Memory of the slave with a station address.
    Station {
        /// Its station address.
        station: u16,
        /// Offset.
        offset: u16,
    },
    /// Memory of the slave at a place in the ring.
    Position {
        /// Its place, from 0.
        position: u16,
        /// Offset.
        offset: u16,
    },
    /// Memory of every slave.
    All {
        /// Offset.
        offset: u16,
    },
    /// An object of the slave with a station address.
    Object {
        /// Its station address.
        station: u16,
        /// Which object.
        object: Object,
        /// Which byte of its value.
        byte: u32,
    },
}

impl Place {
    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let address = tag.address?;
        let [kind, s0, s1, i0, i1, sub, ..] = tag.space.to_be_bytes();
        let slave = u16::from_be_bytes([s0, s1]);
        let offset = u16::try_from(address);
        Some(match kind {
            0 => Self::Logical { address },
            1 => Self::Station { station: slave, offset: offset.ok()? },
            2 => Self::Position { position: slave, offset: offset.ok()? },
            3 => Self::All { offset: offset.ok()? },
            4 => {
                let object = Object { index: u16::from_be_bytes([i0, i1]), sub };
                Self::Object { station: slave, object, byte: address }
            }
            _ => return None,
        })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let space = |kind: u8, slave: u16, object: Object| {
            let ([s0, s1], [i0, i1]) = (slave.to_be_bytes(), object.index.to_be_bytes());
            u64::from_be_bytes([kind, s0, s1, i0, i1, object.sub, 0, 0])
        };
        let none = Object { index: 0, sub: 0 };
        let (space, address) = match self {
            Self::Logical { address } => (0, address),
            Self::Station { station, offset } => (space(1, station, none), offset.into()),
            Self::Position { position, offset } => (space(2, position, none), offset.into()),
            Self::All { offset } => (space(3, 0, none), offset.into()),
            Self::Object { station, object, byte } => (space(4, station, object), byte),
        };
        Tag { space, name: Name::default(), address: Some(address) }
    }

    /// The place that a datagram names; positions count down from 0 as the frame runs (ETG.1000.4 5.4.1.2), so a
    /// returned frame tells no more which slave it was for.
    fn named(datagram: &Datagram<'_>, returned: bool) -> Option<Self> {
        let offset = datagram.offset();
        Some(match datagram.command.addressing() {
            Addressing::Logical => Self::Logical { address: datagram.address },
            Addressing::Station => Self::Station { station: datagram.slave(), offset },
            Addressing::Position if !returned => {
                Self::Position { position: datagram.slave().wrapping_neg(), offset }
            }
            Addressing::Broadcast => Self::All { offset },
            Addressing::Position | Addressing::None => return None,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logical { address } => write!(f, "lad/{address:#x}"),
            Self::Station { station, offset } => write!(f, "s{station}/{offset:#x}"),
            Self::Position { position, offset } => write!(f, "p{position}/{offset:#x}"),
            Self::All { offset } => write!(f, "all/{offset:#x}"),
            Self::Object { station, object: Object { index, sub }, byte } => {
                write!(f, "s{station}/sdo/{index:#x}:{sub}/{byte}")
            }
        }
    }
}

/// What is kept of a frame on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    action: Option<Action>,
}

/// The values of a frame, datagram by datagram.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    datagrams: Datagrams<'a>,
    returned: bool,
    outputs: &'a [Range],
    /// An exchange of logical memory on its way out, and its outputs that were not told yet.
    exchange: Option<(Datagram<'a>, &'a [Range])>,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some((datagram, outputs)) = &mut self.exchange {
                if let Some((output, rest)) = outputs.split_first() {
                    *outputs = rest;
                    let Some(block) = part(datagram, output) else { continue };
                    return Some(block);
                }
                self.exchange = None;
            }
            let datagram = self.datagrams.next()?;
            if datagram.command == Command::LRW && !self.returned {
                let end = datagram.address.saturating_add(datagram.data.len() as u32);
                let first = self.outputs.partition_point(|output| output.end <= datagram.address);
                let last = self.outputs.partition_point(|output| output.start < end);
                self.exchange = Some((datagram, self.outputs.get(first..last).unwrap_or_default()));
            } else if let Some(block) = block(&datagram, self.returned) {
                return Some(block);
            }
        }
    }
}

/// What an exchange of logical memory gives to one run of outputs.
fn part<'a>(datagram: &Datagram<'a>, output: &Range) -> Option<Block<'a>> {
    let skip = output.start.saturating_sub(datagram.address);
    let len = output.end.saturating_sub(datagram.address) as usize;
    let data =
        datagram.data.get(skip as usize..len.min(datagram.data.len())).filter(|data| !data.is_empty())?;
    let place = Place::Logical { address: datagram.address.checked_add(skip)? };
    Some(Block::new(place.tag(), Access::Write, Data::Bytes(data)))
}

/// The values of a datagram: what it writes on its way out; what was read, or taken, on its way back.
fn block<'a>(datagram: &Datagram<'a>, returned: bool) -> Option<Block<'a>> {
    let command = datagram.command;
    if let Some(mailbox) = Mailbox::of(datagram) {
        let (access, object, value) = match mailbox.sdo()? {
            Sdo::Write { object, value } => {
                (if returned { Access::Echo } else { Access::Write }, object, value)
            }
            Sdo::Told { object, value } if returned => (Access::Read, object, value),
            _ => return None,
        };
        // Slaves addressed by their place have no name that stays.
        let Some(Place::Station { station, .. }) = Place::named(datagram, returned) else { return None };
        return Some(Block::new(
            Place::Object { station, object, byte: 0 }.tag(),
            access,
            Data::Bytes(value),
        ));
    }
    let access = match (returned, command.reads(), command.writes()) {
        (false, false, true) => Access::Write,
        // In a read of many, one slave answers and the others take; broadcast reads are combined from all.
        (true, true, _) if command.addressing() != Addressing::Broadcast && datagram.working_counter > 0 => {
            Access::Read
        }
        (true, false, true) => Access::Echo,
        // Reads on their way out, and what broadcasts combine.
        _ => return None,
    };
    let place = Place::named(datagram, returned)?;
    (!datagram.data.is_empty()).then(|| Block::new(place.tag(), access, Data::Bytes(datagram.data)))
}

/// What a datagram asks of slaves beyond values.
fn action(datagram: &Datagram<'_>) -> Option<Action> {
    if let Some(mailbox) = Mailbox::of(datagram) {
        return mailbox.action().filter(|_| datagram.command.writes());
    }
    let physical = !matches!(datagram.command.addressing(), Addressing::Logical | Addressing::None);
    if !physical || !datagram.command.writes() {
        return None;
    }
    let first = datagram.data.first()?;
    match datagram.offset() {
        // ETG.1000.6 table 9: 1 init, 2 pre-operational, 3 bootstrap, 4 safe-operational, 8 operational.
        frame::AL_CONTROL => match first & 0x0f {
            8 => Some(Action::Start),
            1..=4 => Some(Action::Stop),
            _ => None,
        },
        // ETG.1000.4: station address and alias, port and reset control, information interface, FMMUs, sync managers.
        0x0040 | 0x0041 => Some(Action::Restart),
        0x0010..=0x0013 | 0x0100..=0x0103 | 0x0500..=0x050f | 0x0600..=0x06ff | 0x0800..=0x087f => {
            Some(Action::Configure)
        }
        _ => None,
    }
}

impl Protocol for Ethercat {
    const FAMILY: Label = Label::literal("ethercat");
    const CARRIERS: &'static [Carrier] = &[Carrier::EtherType(NUMBER), Carrier::Udp(NUMBER)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Outputs;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        frame::cut(bytes)
    }

    /// One frame of datagrams whose lengths all agree. The master sends it, and gets it back.
    fn probe(bytes: &[u8]) -> Option<Sender> {
        let Cut::Message(len) = frame::cut(bytes) else { return None };
        let (bytes, padding) = bytes.split_at_checked(len)?;
        let view = View::new(bytes)?;
        let whole = view.kind() == 1 && view.oddities().is_empty() && padding.iter().all(|byte| *byte == 0);
        whole.then_some(Sender::Client)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Outputs,
        _shared: &'a mut (),
        _context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(bytes).map(|view| session.follow(view))
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let first = view.datagrams().next();
        let station = first.filter(|first| first.command.addressing() == Addressing::Station);
        Header {
            kind: if view.is_returned() { Kind::Response } else { Kind::Request },
            unit: station.map_or(0, |first| first.slave()),
            function: first.map_or(u16::from(view.kind()), |first| u16::from(first.command.0)),
            // The first slave changes the sender's address, so that both ways are conversations of their own.
            key: None,
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        let action = view.datagrams().find_map(|datagram| action(&datagram));
        Memo { action: action.filter(|_| !view.is_returned()) }
    }

    fn fit(_memo: &Memo, _view: &View<'_>) -> Fit {
        Fit::Exact
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Blocks<'a> {
        Blocks {
            datagrams: view.datagrams(),
            returned: view.is_returned(),
            outputs: view.outputs(),
            exchange: None,
        }
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(Repr::command(write, number as u8).ok()?.emit());
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u64| Field::Number(value);
        put("ecatf.length", Field::Hex(view.length() as u64, 4));
        put("ecatf.reserved", Field::Hex(u64::from(view.reserved()), 4));
        put("ecatf.type", Field::Hex(u64::from(view.kind()), 4));
        let mut rest = view.datagrams();
        while let Some(datagram) = rest.next() {
            put("ecat.cmd", Field::Hex(datagram.command.0.into(), 2));
            put("ecat.idx", Field::Hex(datagram.index.into(), 2));
            if datagram.command.addressing() == Addressing::Logical {
                put("ecat.lad", Field::Hex(datagram.address.into(), 8));
            } else {
                put("ecat.adp", Field::Hex(datagram.slave().into(), 4));
                put("ecat.ado", Field::Hex(datagram.offset().into(), 4));
            }
            put("ecat.subframe.length", number(datagram.data.len() as u64));
            put("ecat.subframe.circulating", number(datagram.circulating.into()));
            put("ecat.subframe.more", number(rest.clone().next().is_some().into()));
            put("ecat.int", Field::Hex(datagram.events.into(), 4));
            match Mailbox::of(&datagram) {
                Some(mailbox) => mailbox_fields(&mailbox, put),
                None => put("ecat.data", Field::Bytes(datagram.data)),
            }
            put("ecat.cnt", number(datagram.working_counter.into()));
        }
    }

    fn function_name(function: u16) -> &'static str {
        u8::try_from(function).map_or("undefined", |code| Command(code).name())
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        let physical = !matches!(Place::of(tag), Some(Place::Logical { .. } | Place::Object { .. }));
        Cell { width: Width::Byte, last: if physical { 0xffff } else { u32::MAX } }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let (space, rest) = text.split_once('/')?;
        let place = match space {
            "lad" => Place::Logical { address: hexadecimal(rest)? },
            "all" => Place::All { offset: hexadecimal(rest)?.try_into().ok()? },
            _ => match (space.strip_prefix('s'), space.strip_prefix('p')) {
                (Some(station), _) => match rest.strip_prefix("sdo/") {
                    Some(object) => {
                        let (object, byte) = object.split_once('/')?;
                        let (index, sub) = object.split_once(':')?;
                        let object =
                            Object { index: hexadecimal(index)?.try_into().ok()?, sub: decimal(sub)? };
                        Place::Object { station: decimal(station)?, object, byte: decimal(byte)? }
                    }
                    None => Place::Station {
                        station: decimal(station)?,
                        offset: hexadecimal(rest)?.try_into().ok()?,
                    },
                },
                (_, Some(position)) => Place::Position {
                    position: decimal(position)?,
                    offset: hexadecimal(rest)?.try_into().ok()?,
                },
                _ => return None,
            },
        };
        Some(place.tag())
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Place::of(tag) {
            Some(place) => write!(f, "{place}"),
            None => f.write_str("?"),
        }
    }
}

fn mailbox_fields(mailbox: &Mailbox<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let number = |value: u64| Field::Number(value);
    put("ecat_mailbox.length", number(mailbox.content.len() as u64));
    put("ecat_mailbox.address", Field::Hex(mailbox.address.into(), 4));
    put("ecat_mailbox.priority", number(u64::from(mailbox.channel >> 6)));
    put("ecat_mailbox.type", number(mailbox.kind.into()));
    put("ecat_mailbox.counter", number(mailbox.counter.into()));
    if let Some(service) = mailbox.service() {
        put("ecat_mailbox.coe.type", number(service.into()));
    }
    match mailbox.sdo() {
        Some(
            Sdo::Write { object, .. } | Sdo::Told { object, .. } | Sdo::Ask(object) | Sdo::Written(object),
        ) => {
            put("ecat_mailbox.coe.sdoidx", Field::Hex(object.index.into(), 4));
            put("ecat_mailbox.coe.sdosub", Field::Hex(object.sub.into(), 2));
        }
        Some(Sdo::Abort { object, code }) => {
            put("ecat_mailbox.coe.sdoidx", Field::Hex(object.index.into(), 4));
            put("ecat_mailbox.coe.sdosub", Field::Hex(object.sub.into(), 2));
            put("ecat_mailbox.coe.abortcode", Field::Hex(code.into(), 8));
        }
        Some(Sdo::Segment(_)) | None => {}
    }
    if let Some(operation) = mailbox.file_operation() {
        put("ecat_mailbox.foe_opmode", Field::Hex(operation.into(), 2));
    }
}

/// Decimal digits alone: one way to write a tag.
fn decimal<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// As [`decimal`], behind `0x` and in lower case.
fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let plain = digits.bytes().all(lower) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(datagrams: &[Datagram<'_>]) -> (String, Option<Action>) {
        let frame = Repr::new(datagrams).unwrap();
        let view = View::new(frame.emit()).unwrap();
        let shown = Ethercat::blocks(&view, None)
            .flat_map(Block::points)
            .map(|point| format!("{} {:?} {} ", Place::of(&point.tag).unwrap(), point.access, point.raw));
        (shown.collect(), Ethercat::memo(&view).action)
    }

    fn check(datagram: Datagram<'_>, counter: u16, want: &str, action: Option<Action>) {
        let (shown, found) = show(&[Datagram { working_counter: counter, ..datagram }]);
        assert_eq!((shown.trim(), found), (want, action), "{datagram:?}");
    }

    #[test]
    fn values_carry_their_places() {
        let logical = |command| Repr::logical(Command(command), 0x0001_0000, &[1, 2]);
        check(logical(11), 0, "lad/0x10000 Write 0102", None);
        check(logical(11), 1, "lad/0x10000 Echo 0102", None);
        check(logical(10), 0, "", None);
        check(logical(10), 2, "lad/0x10000 Read 0102", None);
        check(logical(12), 0, "", None);
        check(logical(12), 3, "lad/0x10000 Read 0102", None);
        let physical = |command| Repr::station(Command(command), 0x03e9, 0x0130, &[8, 0]);
        check(physical(4), 1, "s1001/0x130 Read 0800", None);
        check(physical(7), 9, "", None);
        let second = Repr::station(Command(2), 0xffff, 0x0f10, &[3]);
        check(second, 0, "p1/0xf10 Write 03", None);
    }

    #[test]
    fn an_exchange_writes_what_slaves_are_set_to_take() {
        let mut outputs = Outputs::default();
        let unit = [0x02, 0, 1, 0, 2, 0, 0, 7, 0, 0x11, 0, 2, 1, 0, 0, 0];
        let set = Repr::new(&[Repr::station(Command::FPWR, 1001, 0x0610, &unit)]).unwrap();
        assert!(outputs.follow(View::new(set.emit()).unwrap()).oddities().is_empty());
        for (address, want) in [(0x1_0000, "lad/0x10002 0304"), (0x1_0003, "lad/0x10003 01"), (0x1_0004, "")]
        {
            let exchange = Repr::new(&[Repr::logical(Command::LRW, address, &[1, 2, 3, 4, 5])]).unwrap();
            let view = outputs.follow(View::new(exchange.emit()).unwrap());
            let shown: Vec<_> = Ethercat::blocks(&view, None)
                .flat_map(Block::points)
                .map(|point| format!("{} {}", Place::of(&point.tag).unwrap(), point.raw))
                .collect();
            assert_eq!(shown.join(" "), want, "{address:#x}");
        }
    }

    #[test]
    fn states_and_settings_are_actions() {
        let write = |offset, data| Repr::station(Command::FPWR, 1001, offset, data);
        check(write(0x0120, &[8, 0]), 0, "s1001/0x120 Write 0800", Some(Action::Start));
        check(write(0x0120, &[0x12, 0]), 0, "s1001/0x120 Write 1200", Some(Action::Stop));
        check(write(0x0120, &[8, 0]), 1, "s1001/0x120 Echo 0800", None);
        check(write(0x0800, &[0]), 0, "s1001/0x800 Write 00", Some(Action::Configure));
        check(write(0x0040, b"R"), 0, "s1001/0x40 Write 52", Some(Action::Restart));
        let firmware = [10, 0, 0, 0, 0, 0x14, 2, 0, 0, 0, 0, 0, b'f', b'.', b'e', b'w'];
        check(write(0x1000, &firmware), 0, "", Some(Action::Download));
    }

    #[test]
    fn objects_are_places() {
        let write = [10, 0, 0, 0, 0, 0x13, 0, 0x20, 0x2b, 0x40, 0x60, 0, 0x0f, 0, 0, 0, 0, 0];
        check(Repr::station(Command::FPWR, 1001, 0x1000, &write), 0, "s1001/sdo/0x6040:0/0 Write 0f00", None);
        let told = [10, 0, 0, 0, 0, 0x23, 0, 0x30, 0x4b, 0x41, 0x60, 0, 0x37, 2, 0, 0];
        check(Repr::station(Command(4), 1001, 0x1080, &told), 1, "s1001/sdo/0x6041:0/0 Read 3702", None);
        check(Repr::station(Command(4), 1001, 0x1080, &[0; 16]), 0, "", None);
    }

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in
            ["lad/0x0", "lad/0xffffffff", "s1001/0x120", "p0/0xffff", "all/0x10", "s1/sdo/0x6041:255/3"]
        {
            let tag = Ethercat::parse_tag(good).unwrap();
            assert_eq!(fmt::from_fn(|f| Ethercat::write_tag(&tag, f)).to_string(), good);
        }
        for bad in [
            "",
            "lad",
            "lad/16",
            "lad/0x",
            "lad/0x01",
            "lad/0xA",
            "s1/0x10000",
            "s65536/0x0",
            "p01/0x0",
            "s1/sdo/0x1",
        ] {
            assert_eq!(Ethercat::parse_tag(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_whole_frames_are_recognised() {
        let frame = Repr::new(&[Repr::logical(Command::LRW, 0, &[1, 2, 3])]).unwrap();
        let bytes = frame.emit();
        assert_eq!(Ethercat::probe(bytes), Some(Sender::Client));
        assert_eq!(Ethercat::probe(&[bytes, &[0; 29]].concat()), Some(Sender::Client), "padding");
        assert_eq!(Ethercat::probe(&[bytes, &[1]].concat()), None);
        assert_eq!((Ethercat::probe(&bytes[1..]), Ethercat::probe(&[0; 46])), (None, None));
    }
}
