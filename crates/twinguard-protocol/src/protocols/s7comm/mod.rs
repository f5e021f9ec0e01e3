//! S7comm: Siemens S7-300/400, and S7-1200/1500 where they allow it, on ISO transport on TCP.
//!
//! Sources: RFC 1006 and ISO 8073 below; above them there is no public standard: the layouts are those on which the
//! libnodave and Snap7 sources, *Exploring Siemens S7comm* and Wireshark's documentation of the protocol agree.
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them.
//!
//! Tags name a place of the memory whatever transport size a message uses: `DB1.10` is byte 10 of data block 1,
//! `DB1.10.3` its bit 3, `M4` and `M4.7`, `I0`, `Q2.1`, `P256`, `T5`, `C3` (counters and timers are words, all else
//! counts bytes). A message's own way follows a colon, transport size `x` length: `DB1.10.0:2x4`. A bit that devices
//! are asked for in bytes as well as alone has two bindings of one signal: `DB1.10` with bit 3, and `DB1.10.3`.

use core::fmt::{self, Display as _};

use twinguard_types::{Label, Oddity};

mod fields;
mod item;
mod name;
mod place;
mod repr;
mod session;
mod view;

pub use item::{ANY, Any, DB_READ, DataItem, DataItems, GOOD, Item, Items, Parts, RESERVED, TableItems};
pub use name::{error_name, return_code_name};
pub use place::{Place, Unit};
pub use repr::{Illegal, PDU_MAX, Repr};
pub use session::{JOBS_MAX, PARAMETERS_MAX, Session};
pub use view::{PROTOCOL_ID, Places, Turn, Userdata, Values, View, function, group, rosctr};

use crate::protocol::{
    Access, Action, Address, Block, Carrier, Cell, Change, Context, Cut, Data, Field, Fit, Header, Kind,
    Oddities, Protocol, Sender, Tag, Width, Write,
};
use crate::protocols::cotp;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct S7comm;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    userdata: bool,
    function: u8,
    subfunction: u8,
    count: u8,
    action: Option<Action>,
}

impl Protocol for S7comm {
    const FAMILY: Label = Label::literal("s7comm");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(cotp::PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        cotp::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, Sender::Unknown);
        for _ in 0..8 {
            let Cut::Message(len) = cotp::cut(rest) else { return None };
            let (tpkt, after) = rest.split_at_checked(len)?;
            let pdu = cotp::data(tpkt)?;
            let ([PROTOCOL_ID, kind @ (1..=3 | 7), ..], true) = (pdu, pdu.len() >= 10) else { return None };
            let view = View::new(pdu, Sender::Unknown);
            let exact = !view.oddities().iter().any(|(oddity, _)| {
                matches!(oddity, Oddity::Truncated | Oddity::TrailingBytes | Oddity::BadProtocolId)
            });
            if !exact {
                return None;
            }
            // Acknowledgements alone say little of who sends.
            match (found, view.sender()) {
                (Sender::Unknown, sender) if *kind != rosctr::ACK => found = sender,
                (known, sender) if known == sender => {}
                (_, Sender::Unknown) => {}
                _ if *kind == rosctr::ACK => {}
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
    fn absorb(session: &mut Session, source: &Address, bytes: &[u8]) -> bool {
        session.assembly.absorb(source, bytes)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        session.decode(context, bytes)
    }

    fn header(view: &View<'_>) -> Header {
        let kind = match view.rosctr() {
            rosctr::JOB => Kind::Request,
            rosctr::ACK | rosctr::ACK_DATA => Kind::Response,
            _ => Kind::Control,
        };
        let asker = match Self::part(view) {
            Kind::Request => Some(view.sender()),
            Kind::Response => Some(view.sender().other()),
            _ => None,
        };
        let userdata = u64::from(view.rosctr() == rosctr::USERDATA) << 17;
        Header {
            kind,
            unit: 0,
            function: u16::from(view.function()),
            // The answer repeats the reference; either end may ask.
            key: asker.map(|asker| {
                u64::from(view.reference()) | u64::from(asker == Sender::Server) << 16 | userdata
            }),
        }
    }

    fn part(view: &View<'_>) -> Kind {
        match (view.rosctr(), view.userdata().map(|userdata| userdata.turn)) {
            (rosctr::JOB, _) | (_, Some(Turn::Request)) => Kind::Request,
            (rosctr::ACK | rosctr::ACK_DATA, _) | (_, Some(Turn::Response)) => Kind::Response,
            _ => Kind::Control,
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        let userdata = view.userdata();
        let count = match view.parameters() {
            [function::READ | function::WRITE, count, ..] if userdata.is_none() => *count,
            _ => 0,
        };
        Memo {
            userdata: userdata.is_some(),
            function: view.function(),
            subfunction: userdata.map_or(0, |userdata| userdata.subfunction),
            count,
            action: name::action(view),
        }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        match (view.rosctr(), view.userdata()) {
            (rosctr::ACK, _) if !memo.userdata => Fit::Exact,
            (rosctr::ACK_DATA, _) if !memo.userdata && view.parameters().is_empty() => Fit::Exact,
            (rosctr::ACK_DATA, _) if !memo.userdata && view.function() == memo.function => {
                match view.parameters() {
                    [function::READ | function::WRITE, count, ..] if *count != memo.count => Fit::Loose,
                    _ => Fit::Exact,
                }
            }
            (_, Some(userdata)) if memo.userdata && userdata.group == memo.function => {
                if userdata.subfunction == memo.subfunction { Fit::Exact } else { Fit::Loose }
            }
            _ => Fit::No,
        }
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        let class = |error: u16| (error != 0).then_some((error >> 8) as u8);
        match (view.rosctr(), view.parameters()) {
            (rosctr::ACK | rosctr::ACK_DATA, _) if view.error() != 0 => class(view.error()),
            // One code an item: refused when any item is.
            (rosctr::ACK_DATA, [function::WRITE, ..]) => {
                view.data().iter().copied().find(|code| *code != GOOD)
            }
            (rosctr::ACK_DATA, [function::READ, ..]) => {
                let mut items = view.values().items();
                let first = items.next().filter(|item| item.code != GOOD)?;
                items.all(|item| item.code != GOOD).then_some(first.code)
            }
            (rosctr::USERDATA, _) => view
                .userdata()
                .filter(|userdata| userdata.turn == Turn::Response)
                .and_then(|userdata| class(userdata.error))
                .or_else(|| view.table_codes().iter().copied().find(|code| *code != GOOD)),
            _ => None,
        }
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Blocks<'a> {
        let Values { access, places, data } = view.values();
        Blocks { write: access == Some(true), places, data, parts: Parts::default(), rest: &[] }
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let place = Place::of(&write.tag)?;
        let (place, bit) = match (&write.change, place.unit) {
            (Change::Bit(state), Unit::Bit) => (place, Some(*state)),
            (Change::BitOf { bit, state }, Unit::Byte) if *bit < 8 => {
                let address = place.address * 8 + u32::from(*bit);
                (Place { unit: Unit::Bit, address, ..place }, Some(*state))
            }
            (Change::Words { .. }, Unit::Byte | Unit::Word) => (place, None),
            _ => return None,
        };
        match bit {
            Some(state) => repr::write(number as u16, place, &[u8::from(state)], out),
            None => repr::write(number as u16, place, write.bytes(), out),
        }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    fn function_name(function: u16) -> &'static str {
        name::function_name(function)
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        let Some(place) = Place::of(tag) else { return Cell { width: Width::Byte, last: 0xffff } };
        let width = match place.unit {
            Unit::Byte => Width::Byte,
            Unit::Bit => Width::Bit,
            Unit::Word => Width::Word,
        };
        Cell { width, last: place.last() }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        place::parse(text).map(Place::tag).or_else(|| place::parse_way(text))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Place::of(tag) {
            Some(place) => place.fmt(f),
            None => f.write_str("?"),
        }
    }

    fn write_place(tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::write_tag(tag, f)?;
        let Some(place) = Place::of(tag).filter(|_| variant != 0) else { return Ok(()) };
        let bit = if place.unit == Unit::Byte { ".0" } else { "" };
        write!(f, "{bit}:{}x{}", variant >> 16, variant & 0xffff)
    }
}

/// The runs of values in a message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    write: bool,
    places: Places<'a>,
    data: DataItems<'a>,
    /// Parts of a read of several parts of data blocks, and their values.
    parts: Parts<'a>,
    rest: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    #[inline]
    fn next(&mut self) -> Option<Block<'a>> {
        if !self.rest.is_empty() {
            if let Some(block) = self.part() {
                return Some(block);
            }
            self.rest = &[];
        }
        loop {
            let item = self.data.next()?;
            let place = match &mut self.places {
                Places::None => None,
                Places::Items(items) => {
                    let named = items.next();
                    if let Some(named) = named.filter(|named| named.syntax() == Some(DB_READ)) {
                        (self.parts, self.rest) = (named.parts(), item.data);
                    }
                    named.and_then(|named| named.any())
                }
                Places::Table(rows) => rows.next(),
            };
            let good = if self.write { matches!(item.code, GOOD | RESERVED) } else { item.code == GOOD };
            if good && !item.data.is_empty() {
                return Some(self.block(place, item));
            }
            self.rest = &[];
        }
    }
}

impl<'a> Blocks<'a> {
    #[inline]
    fn block(&self, any: Option<Any>, item: DataItem<'a>) -> Block<'a> {
        let access = if self.write { Access::Write } else { Access::Read };
        let Some(any) = any else {
            return Block::new(Tag::default(), access, Data::Bytes(item.data));
        };
        let place = Place::from(any);
        let data = match place.unit {
            Unit::Bit => Data::Bits { bytes: item.data, count: 1 },
            Unit::Byte => Data::Bytes(item.data),
            Unit::Word => {
                let room = (place.last() + 1).saturating_sub(place.address) as usize * 2;
                Data::Words(item.data.get(..room.min(item.data.len() & !1)).unwrap_or_default())
            }
        };
        let variant = u32::from(any.transport) << 16 | u32::from(any.length);
        Block { variant, ..Block::new(place.tag(), access, data) }
    }

    /// The next part of a data block: a return code, then its bytes.
    fn part(&mut self) -> Option<Block<'a>> {
        loop {
            let (len, block, address) = self.parts.next()?;
            let (code, rest) = self.rest.split_first()?;
            let (data, rest) = rest.split_at_checked(usize::from(len))?;
            self.rest = rest;
            if *code == GOOD && len > 0 {
                let place = Place { area: 0x84, block, unit: Unit::Byte, address: u32::from(address) };
                return Some(Block::new(place.tag(), Access::Read, Data::Bytes(data)));
            }
        }
    }
}
