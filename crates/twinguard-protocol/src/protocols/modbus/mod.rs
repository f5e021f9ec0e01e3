//! Modbus TCP.
//!
//! Sources: *Modbus Application Protocol Specification* V1.1b3 (clauses §…) and *Modbus Messaging on TCP/IP
//! Implementation Guide* V1.0b (clauses G §…), both modbus.org.
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them.
//! Tags are `u<unit>/<co|di|ir|hr>/<address from 0>`: coils, discrete inputs, input and holding registers (§4.3).

use core::fmt;

use twinguard_types::Label;

mod body;
pub(crate) mod fields;
mod function;
pub(crate) mod line;
mod repr;
mod view;

pub use body::{Bits, Body, FileAnswers, FileRead, FileReads, FileWrites, Objects, Registers};
pub use function::{Function, diagnostic_name, exception_name};
pub use repr::{ADU_MAX, Adu, BitBuffer, Illegal, Repr, WordBuffer};
pub use view::{HEADER_LEN, LENGTH_MAX, View};

use crate::protocol::{
    Access, Block, Carrier, Cell, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities, Protocol,
    Sender, Tag, Width, Write,
};

/// The registered port (G §3.1.1).
pub const PORT: u16 = 502;
/// Longest message that is still followed in a stream: some vendors' private functions exceed the standard's 260.
const STREAM_MAX: usize = 2048;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Modbus;

/// The four tables of a unit (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single bits, read and write; manuals number them from 00001.
    Coils,
    /// Single bits, read only; from 10001.
    DiscreteInputs,
    /// Words, read only; from 30001.
    InputRegisters,
    /// Words, read and write; from 40001.
    HoldingRegisters,
}

impl Table {
    const ALL: [Self; 4] = [Self::Coils, Self::DiscreteInputs, Self::InputRegisters, Self::HoldingRegisters];

    /// Two letters, as in tags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coils => "co",
            Self::DiscreteInputs => "di",
            Self::InputRegisters => "ir",
            Self::HoldingRegisters => "hr",
        }
    }

    /// The number under which manuals name the address: holding register 0 is 40001, from address 9999 on 410000.
    #[must_use]
    pub const fn manual(self, address: u16) -> u32 {
        let table = match self {
            Self::Coils => 0,
            Self::DiscreteInputs => 1,
            Self::InputRegisters => 3,
            Self::HoldingRegisters => 4,
        };
        let digits = if address < 9999 { 10_000 } else { 100_000 };
        table * digits + address as u32 + 1
    }
}

/// A place of Modbus, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Unit identifier.
    pub unit: u8,
    /// Table.
    pub table: Table,
    /// Address from 0; `None` when a response's request was not seen.
    pub address: Option<u16>,
}

impl Place {
    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let table = *Table::ALL.get((tag.space & 0xff) as usize)?;
        let unit = u8::try_from(tag.space >> 8).ok()?;
        Some(Self { unit, table, address: tag.address.map(u16::try_from).transpose().ok()? })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let space = u64::from(self.unit) << 8 | self.table as u64;
        Tag { space, name: Name::default(), address: self.address.map(u32::from) }
    }
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    code: u8,
    /// Address, quantity or value, or masks, as the function has them.
    words: [u16; 3],
}

impl Protocol for Modbus {
    const FAMILY: Label = Label::literal("modbus");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = ();
    type Shared = ();
    type Blocks<'a> = core::option::IntoIter<Block<'a>>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        // G §3.1.3: protocol identifier 0; the length counts the unit, the function and the data.
        match bytes {
            [_, _, 0, 0, l1, l0, ..] => {
                let total = usize::from(u16::from_be_bytes([*l1, *l0])) + 6;
                if !(HEADER_LEN + 1..=STREAM_MAX).contains(&total) {
                    Cut::Foreign
                } else if bytes.len() < total {
                    Cut::More(total)
                } else {
                    Cut::Message(total)
                }
            }
            [] | [_] | [_, _] | [_, _, 0] | [_, _, 0, 0] | [_, _, 0, 0, _] => Cut::More(HEADER_LEN + 1),
            _ => Cut::Foreign,
        }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        // A serial frame that asks for few registers at address 0 looks like a header: its checksum tells.
        if line::begins(bytes) {
            return None;
        }
        let mut rest = bytes;
        let mut found = Sender::Unknown;
        for _ in 0..8 {
            let Cut::Message(len) = Self::cut(rest) else { return None };
            let (adu, after) = rest.split_at_checked(len).filter(|_| len <= ADU_MAX)?;
            let (head, data) = adu.split_first_chunk::<{ HEADER_LEN + 1 }>()?;
            let [.., code] = head;
            match (found, view::shape(*code, data)?) {
                (Sender::Unknown, sender) => found = sender,
                (_, Sender::Unknown) => {}
                (known, sender) if known == sender => {}
                _ => return None,
            }
            rest = after;
            if rest.is_empty() {
                return Some(found);
            }
        }
        Some(found)
    }

    #[inline]
    fn decode<'a>(
        _session: &'a mut (),
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(bytes, context.sender)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let kind = match view.body() {
            _ if view.sender() != Sender::Server => Kind::Request,
            Body::Exception { .. } => Kind::Exception,
            _ if view.is_exception() => Kind::Exception,
            _ => Kind::Response,
        };
        Header {
            kind,
            unit: u16::from(view.unit_id()),
            function: u16::from(view.function().0),
            // G §4.4.2.2: the transaction identifier pairs them; the server repeats the unit.
            key: Some(u64::from(view.unit_id()) << 16 | u64::from(view.transaction_id())),
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    #[inline]
    fn memo(view: &View<'_>) -> Memo {
        let words = match view.body() {
            Body::Read { start, quantity } => [start, quantity, 0],
            Body::WriteCoil { address, value } | Body::WriteRegister { address, value } => {
                [address, value, 0]
            }
            Body::WriteCoils { start, quantity, .. } | Body::WriteRegisters { start, quantity, .. } => {
                [start, quantity, 0]
            }
            Body::MaskWrite { address, and, or } => [address, and, or],
            Body::ReadWrite { read_start, read_quantity, .. } => [read_start, read_quantity, 0],
            _ => [0; 3],
        };
        Memo { code: view.function().0, words }
    }

    #[inline]
    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        if memo.code != view.function().0 {
            return Fit::No;
        }
        let [first, second, third] = memo.words;
        let exact = match view.body() {
            Body::Bits(bits) => bits.as_bytes().len() == usize::from(second).div_ceil(8),
            Body::Registers(registers) => registers.len() == second,
            Body::WriteCoil { address, value } | Body::WriteRegister { address, value } => {
                address == first && value == second
            }
            Body::Written { start, quantity } => start == first && quantity == second,
            Body::MaskWrite { address, and, or } => address == first && and == second && or == third,
            _ => true,
        };
        if exact { Fit::Exact } else { Fit::Loose }
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        match view.body() {
            Body::Exception { code } => Some(code),
            _ => None,
        }
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, request: Option<&Memo>) -> Self::Blocks<'a> {
        block(view, request).into_iter()
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(Repr::write(number as u16, write).ok()?.emit().as_bytes());
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    fn function_name(function: u16) -> &'static str {
        u8::try_from(function).map_or("undefined", |code| Function(code).name())
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        let table = Place::of(tag).map(|place| place.table);
        let bits = matches!(table, Some(Table::Coils | Table::DiscreteInputs));
        Cell { width: if bits { Width::Bit } else { Width::Word }, last: 0xffff }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let mut parts = text.split('/');
        let (unit, table, address) = (parts.next()?, parts.next()?, parts.next()?);
        let table = Table::ALL.into_iter().find(|known| known.as_str() == table)?;
        let place = Place { unit: number(unit.strip_prefix('u')?)?, table, address: Some(number(address)?) };
        parts.next().is_none().then(|| place.tag())
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Place::of(tag) {
            Some(Place { unit, table, address: Some(address) }) => {
                write!(f, "u{unit}/{}/{address}", table.as_str())
            }
            Some(Place { unit, table, address: None }) => write!(f, "u{unit}/{}/?", table.as_str()),
            None => f.write_str("?"),
        }
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The values of a message; by the standard's layouts never more than one run.
#[inline]
fn block<'a>(view: &View<'a>, request: Option<&Memo>) -> Option<Block<'a>> {
    let server = view.sender() == Sender::Server;
    let echo = if server { Access::Echo } else { Access::Write };
    let (start, quantity) = match request {
        Some(Memo { words: [start, quantity, _], .. }) => (Some(*start), *quantity),
        None => (None, u16::MAX),
    };
    let (table, address, access, data) = match view.body() {
        Body::Bits(bits) => {
            let table = if view.function().0 == 1 { Table::Coils } else { Table::DiscreteInputs };
            let count = bits.len().min(quantity);
            (table, start, Access::Read, Data::Bits { bytes: bits.as_bytes(), count })
        }
        Body::Registers(registers) => {
            let table = if view.function().0 == 4 { Table::InputRegisters } else { Table::HoldingRegisters };
            (table, start, Access::Read, Data::Words(registers.as_bytes()))
        }
        Body::WriteCoil { address, value } => {
            (Table::Coils, Some(address), echo, Data::Switch(value.to_be_bytes()))
        }
        Body::WriteRegister { address, .. } => {
            let word = view.data().get(2..4).unwrap_or_default();
            (Table::HoldingRegisters, Some(address), echo, Data::Words(word))
        }
        Body::WriteCoils { start, bits, .. } => {
            let data = Data::Bits { bytes: bits.as_bytes(), count: bits.len() };
            (Table::Coils, Some(start), Access::Write, data)
        }
        Body::WriteRegisters { start, registers, .. }
        | Body::ReadWrite { write_start: start, registers, .. } => {
            (Table::HoldingRegisters, Some(start), Access::Write, Data::Words(registers.as_bytes()))
        }
        Body::MaskWrite { address, and, or } => {
            (Table::HoldingRegisters, Some(address), echo, Data::Mask { and, or })
        }
        _ => return None,
    };
    let tag = Place { unit: view.unit_id(), table, address }.tag();
    Some(Block::new(tag, access, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(pdu: &[u8], sender: Sender) -> View<'static> {
        let mut adu = vec![0, 9, 0, 0, 0, pdu.len() as u8 + 1, 2];
        adu.extend_from_slice(pdu);
        View::new(adu.leak(), sender).unwrap()
    }

    fn show(tag: Tag<'_>) -> String {
        fmt::from_fn(|f| Modbus::write_tag(&tag, f)).to_string()
    }

    fn points(pdu: &[u8], sender: Sender, request: Option<&[u8]>) -> String {
        let memo = request.map(|request| Modbus::memo(&view(request, Sender::Client)));
        let view = view(pdu, sender);
        let all = Modbus::blocks(&view, memo.as_ref()).flat_map(Block::points);
        all.map(|point| format!("{}={} ", show(point.tag), point.raw)).collect()
    }

    #[test]
    fn values_carry_their_addresses() {
        use Sender::{Client, Server};
        let registers = [3, 4, 0, 9, 0, 24];
        assert_eq!(points(&registers, Server, Some(&[3, 0, 5, 0, 2])), "u2/hr/5=0009 u2/hr/6=0018 ");
        assert_eq!(points(&registers, Server, None), "u2/hr/?=0009 u2/hr/?=0018 ");
        assert_eq!(points(&[1, 1, 0b101], Server, Some(&[1, 0, 7, 0, 3])), "u2/co/7=1 u2/co/8=0 u2/co/9=1 ");
        assert_eq!(points(&[5, 0, 2, 0xff, 0], Client, None), "u2/co/2=ff00 ");
        assert_eq!(points(&[6, 0, 2, 1, 2], Server, None), "u2/hr/2=0102 ");
        assert_eq!(points(&[16, 0, 1, 0, 1, 2, 7, 8], Client, None), "u2/hr/1=0708 ");
        assert_eq!(points(&[22, 0, 4, 0, 0xf2, 0, 0x25], Client, None), "u2/hr/4=00f20025 ");
        assert_eq!(
            points(&[23, 2, 0, 7], Server, Some(&[23, 0, 3, 0, 1, 0, 0, 0, 1, 2, 0, 0])),
            "u2/hr/3=0007 "
        );
        assert_eq!(points(&[0x83, 2], Server, None), "");
    }

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in ["u0/co/0", "u255/di/65535", "u1/ir/7", "u17/hr/40000"] {
            assert_eq!(show(Modbus::parse_tag(good).unwrap()), good);
        }
        for bad in [
            "",
            "u1/hr",
            "1/hr/0",
            "u256/hr/0",
            "u1/hr/65536",
            "u1/hr/01",
            "u1/xx/0",
            "u1/hr/0/0",
            "u1/hr/+1",
        ] {
            assert_eq!(Modbus::parse_tag(bad), None, "{bad}");
        }
        assert_eq!(Table::HoldingRegisters.manual(0), 40001);
        assert_eq!(Table::Coils.manual(0), 1);
        assert_eq!(Table::InputRegisters.manual(65535), 365_536);
    }

    #[test]
    fn streams_are_cut_by_the_length_field() {
        let adu = [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
        for len in 0..12 {
            assert!(matches!(Modbus::cut(&adu[..len]), Cut::More(more) if more > len), "{len}");
        }
        assert_eq!(Modbus::cut(&adu), Cut::Message(12));
        assert_eq!(Modbus::cut(&[adu, adu].concat()), Cut::Message(12));
        assert_eq!(Modbus::cut(b"GET"), Cut::Foreign);
        assert_eq!(Modbus::cut(&[0, 1, 0, 0, 0, 1, 1]), Cut::Foreign, "no room for a function");
        assert_eq!(Modbus::cut(&[0, 1, 0, 0, 0xff, 0xff]), Cut::Foreign);
    }

    #[test]
    fn only_whole_legal_messages_are_recognised_without_their_port() {
        let ask: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
        let tell: &[u8] = &[0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 1];
        let either: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 6, 0, 0, 0, 1];
        assert_eq!(Modbus::probe(ask), Some(Sender::Client));
        assert_eq!(Modbus::probe(tell), Some(Sender::Server));
        assert_eq!(Modbus::probe(either), Some(Sender::Unknown));
        assert_eq!(Modbus::probe(&[either, ask].concat()), Some(Sender::Client));
        assert_eq!(Modbus::probe(&[tell, ask].concat()), None);
        assert_eq!(Modbus::probe(&ask[..11]), None);
        assert_eq!(Modbus::probe(&[0; 64]), None);
    }

    #[test]
    fn responses_fit_their_requests() {
        let memo = Modbus::memo(&view(&[3, 0, 5, 0, 2], Sender::Client));
        let fit = |pdu: &[u8]| Modbus::fit(&memo, &view(pdu, Sender::Server));
        assert_eq!(fit(&[3, 4, 0, 0, 0, 0]), Fit::Exact);
        assert_eq!(fit(&[0x83, 2]), Fit::Exact);
        assert_eq!(fit(&[3, 2, 0, 0]), Fit::Loose);
        assert_eq!(fit(&[4, 4, 0, 0, 0, 0]), Fit::No);
    }
}
