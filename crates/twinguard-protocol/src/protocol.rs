//! What a protocol family has to say about itself.
//!
//! A family is one file (or folder) in `protocols/` that implements [`Protocol`], plus one line in `registry.rs`.
//! The trait speaks of four things, each with a small type of this module: how messages lie in a stream ([`Cut`]),
//! what a message is ([`Header`]), which values it carries ([`Block`]), and how its places are written ([`Tag`]).
//! The stack owns everything else: connections, directions, pairing, time.

use core::fmt;
use core::net::SocketAddr;

use twinguard_types::{Endpoint, Label, Oddity, Quality, Timestamp};

/// Where messages of a family are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// A TCP port of the server.
    Tcp(u16),
    /// A UDP port of the server.
    Udp(u16),
    /// An EtherType, without IP.
    EtherType(u16),
}

/// Which end of a conversation sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// The end that asks.
    Client,
    /// The end that answers.
    Server,
    /// Not known: the family judges by the message's shape.
    #[default]
    Unknown,
}

impl Sender {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What a message does in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Asks for something.
    Request,
    /// Answers.
    Response,
    /// Answers with a refusal.
    Exception,
    /// Tells without being asked.
    Event,
    /// Keeps the link or the session.
    Control,
}

impl Kind {
    /// Three letters: `req`, `rsp`, `exc`, `evt`, `ctl`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "req",
            Self::Response => "rsp",
            Self::Exception => "exc",
            Self::Event => "evt",
            Self::Control => "ctl",
        }
    }
}

/// Where the first message in stream bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After this many bytes, all of them there.
    Message(usize),
    /// Not before this many bytes are there.
    More(usize),
    /// These bytes are not of the family.
    Foreign,
}

/// An end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A hardware address.
    Mac([u8; 6]),
}

impl Address {
    /// The IP address and port, where it has them.
    #[must_use]
    pub const fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(socket) => Some(*socket),
            Self::Mac(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(f),
            Self::Mac([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
        }
    }
}

/// What is odd about one message: the first four findings with their byte offsets in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Oddities {
    entries: [(Oddity, u16); Self::CAPACITY],
    len: u8,
}

impl Oddities {
    /// More than this many of one message are not kept.
    pub const CAPACITY: usize = 4;
    /// None.
    pub const NONE: Self = Self { entries: [(Oddity::LengthMismatch, 0); Self::CAPACITY], len: 0 };

    /// Adds one, unless four are there.
    #[cold]
    pub fn push(&mut self, oddity: Oddity, offset: usize) {
        if let Some(entry) = self.entries.get_mut(usize::from(self.len)) {
            *entry = (oddity, offset.min(usize::from(u16::MAX)) as u16);
            self.len += 1;
        }
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this one is there.
    #[must_use]
    pub fn contains(&self, oddity: Oddity) -> bool {
        self.iter().any(|(held, _)| held == oddity)
    }

    /// All, with their byte offsets.
    pub fn iter(&self) -> impl Iterator<Item = (Oddity, u32)> + '_ {
        let held = self.entries.get(..usize::from(self.len)).unwrap_or_default();
        held.iter().map(|(oddity, offset)| (*oddity, u32::from(*offset)))
    }
}

impl Default for Oddities {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Oddities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What the stack has to know of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it does.
    pub kind: Kind,
    /// Sub-address behind the server, 0 where the family has none.
    pub unit: u16,
    /// Function or service code.
    pub function: u16,
    /// What a request and its response have in common on one conversation; `None` when nothing is to be paired.
    pub key: Option<u64>,
}

/// How well a response fits an outstanding request with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It answers something else.
    No,
    /// It answers this request, though not as the standard asks.
    Loose,
    /// It answers this request.
    Exact,
}

/// A place on the wire that holds a value; its family reads and shows it, for example as `u1/hr/0`.
///
/// ```
/// use twinguard_protocol::Family;
///
/// let tag = Family::Modbus.parse_tag("u1/hr/0").unwrap();
/// assert_eq!(tag.address, Some(0), "what manuals call 40001");
/// assert_eq!(Family::Modbus.show_tag(tag).to_string(), "u1/hr/0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// The address space, as the family packs it (Modbus: unit and table).
    pub space: u64,
    /// The address in the space, from 0; `None` when the message alone does not tell.
    pub address: Option<u32>,
}

/// What a message does with the values it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// The device tells them.
    Read,
    /// The device is to take them.
    Write,
    /// The device repeats what it was to take.
    Echo,
}

/// Neighbouring values of one message, as their bytes lie on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data<'a> {
    /// Single bits, eight a byte, least significant first.
    Bits {
        /// The bytes.
        bytes: &'a [u8],
        /// Number of bits, at most eight times the bytes.
        count: u16,
    },
    /// Words of 16 bits; an even number of bytes.
    Words(&'a [u8]),
    /// One bit as a 16-bit word: `0xff00` is on, `0x0000` is off, everything else is not defined.
    Switch([u8; 2]),
    /// A change of single bits in a word: new = (old AND `and`) OR (`or` AND NOT `and`).
    Mask {
        /// Bits to keep.
        and: u16,
        /// Values of the bits not kept.
        or: u16,
    },
}

impl Data<'_> {
    /// Number of places that it covers.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Bits { count, .. } => u32::from(*count),
            Self::Words(bytes) => (bytes.len() / 2) as u32,
            Self::Switch(_) | Self::Mask { .. } => 1,
        }
    }

    /// Whether it covers no place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A run of neighbouring places with their values; the unit in which points are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The first place.
    pub tag: Tag,
    /// What is done with the values.
    pub access: Access,
    /// The values.
    pub data: Data<'a>,
    /// What the device says of them.
    pub quality: Quality,
    /// When they held, by the device's clock, where it tells.
    pub at: Option<Timestamp>,
}

impl<'a> Block<'a> {
    /// Each place with its raw bytes.
    pub fn points(self) -> impl Iterator<Item = RawPoint<'a>> {
        (0..self.data.len()).map(move |index| RawPoint {
            tag: Tag { address: self.tag.address.map(|first| first.wrapping_add(index)), ..self.tag },
            access: self.access,
            raw: Raw::of(self.data, index as usize),
        })
    }
}

/// One place with its raw value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPoint<'a> {
    /// The place.
    pub tag: Tag,
    /// What is done with the value.
    pub access: Access,
    /// The value.
    pub raw: Raw<'a>,
}

/// A raw value; shown in hexadecimal, single bits as `0` or `1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Raw<'a> {
    /// A single bit.
    Bit(bool),
    /// Two bytes.
    Word([u8; 2]),
    /// One bit as two bytes, see [`Data::Switch`].
    Switch([u8; 2]),
    /// Bits to keep and values of the others.
    Mask {
        /// Bits to keep.
        and: u16,
        /// Values of the bits not kept.
        or: u16,
    },
    /// Any other bytes.
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    fn of(data: Data<'a>, index: usize) -> Self {
        match data {
            Data::Bits { bytes, .. } => {
                Self::Bit(bytes.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1))
            }
            Data::Words(bytes) => match bytes.get(index * 2..).and_then(<[u8]>::first_chunk) {
                Some(word) => Self::Word(*word),
                None => Self::Bytes(&[]),
            },
            Data::Switch(word) => Self::Switch(word),
            Data::Mask { and, or } => Self::Mask { and, or },
        }
    }
}

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(bit) => u8::from(*bit).fmt(f),
            Self::Word([high, low]) | Self::Switch([high, low]) => write!(f, "{high:02x}{low:02x}"),
            Self::Mask { and, or } => write!(f, "{and:04x}{or:04x}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Whether it is a single bit; otherwise a word of 16 bits.
    pub bit: bool,
    /// The last address of its space.
    pub last: u32,
}

/// The longest value in bytes.
pub(crate) const VALUE_MAX: usize = 8;

/// The bytes of one value and where they are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The name of the family.
    pub family: Label,
    /// The device.
    pub endpoint: Endpoint,
    /// The first place.
    pub tag: Tag,
    /// What is to be done there.
    pub change: Change,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A single-bit place takes this state.
    Bit(bool),
    /// One bit of a word takes this state, the others stay.
    BitOf {
        /// Which, 0 the least significant.
        bit: u8,
        /// Its state.
        state: bool,
    },
    /// Neighbouring words take these bytes.
    Words {
        /// The bytes, as on the wire.
        bytes: [u8; VALUE_MAX],
        /// How many of them.
        len: u8,
    },
}

impl Write {
    /// The bytes of the words; none for bits.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.change {
            Change::Words { bytes, len } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Change::Bit(_) | Change::BitOf { .. } => &[],
        }
    }
}

/// A header field's value as people and tools read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// A number in decimal.
    Number(u64),
    /// A number in hexadecimal, with this many digits.
    Hex(u64, u8),
    /// Bytes, shown `00:1a`.
    Bytes(&'a [u8]),
    /// Text of the device; bytes that are not UTF-8 are shown as the replacement character.
    Text(&'a [u8]),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Hex(number, digits) => write!(f, "0x{number:0digits$x}", digits = usize::from(*digits)),
            Self::Bytes(bytes) => bytes.iter().enumerate().try_for_each(|(index, byte)| {
                let colon = if index == 0 { "" } else { ":" };
                write!(f, "{colon}{byte:02x}")
            }),
            Self::Text(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

/// A protocol family.
///
/// All functions are pure: the same bytes, sessions and memos give the same answers; nothing fails. A session is bounded
/// in memory, and nothing allocates in steady state.
pub trait Protocol {
    /// Its name, for example `modbus`.
    const FAMILY: Label;
    /// Where it is met by agreement.
    const CARRIERS: &'static [Carrier];

    /// A message; borrows its bytes.
    type Pdu<'a>: Copy + fmt::Debug;
    /// What has to be kept of a request so that its response can be understood.
    type Memo: Copy + fmt::Debug;
    /// What one conversation has to keep beyond open requests.
    type Session: Default + fmt::Debug;
    /// The runs of values in a message.
    type Blocks<'a>: Iterator<Item = Block<'a>>;

    /// Where the first message in these stream bytes ends. Work is constant.
    fn cut(bytes: &[u8]) -> Cut;

    /// Who sends these bytes, if they are, beyond reasonable doubt, one or more whole messages of this family;
    /// [`Sender::Unknown`] when they could come from either end. Used on ports without a name.
    fn probe(bytes: &[u8]) -> Option<Sender>;

    /// Reads one whole message and takes note of it; `None` when it is too short to be one. What the message means may
    /// depend on earlier ones (configuration frames, fragments, aliases): it may borrow them from the session.
    fn decode<'a>(session: &'a mut Self::Session, bytes: &'a [u8], sender: Sender) -> Option<Self::Pdu<'a>>;

    /// What the stack has to know of the message.
    fn header(pdu: &Self::Pdu<'_>) -> Header;

    /// What is odd about the message by itself.
    fn oddities(pdu: &Self::Pdu<'_>) -> Oddities;

    /// What is to be kept of a request.
    fn memo(pdu: &Self::Pdu<'_>) -> Self::Memo;

    /// How well a response fits a request.
    fn fit(memo: &Self::Memo, pdu: &Self::Pdu<'_>) -> Fit;

    /// Why a negative answer refuses, where it tells.
    fn refusal(_pdu: &Self::Pdu<'_>) -> Option<u8> {
        None
    }

    /// The values of the message; a response needs its request's memo for their addresses.
    fn blocks<'a>(pdu: &Self::Pdu<'a>, request: Option<&Self::Memo>) -> Self::Blocks<'a>;

    /// The header fields, under Wireshark's names, in order of appearance.
    fn fields(pdu: &Self::Pdu<'_>, put: &mut dyn FnMut(&'static str, Field<'_>));

    /// The name of a function or service.
    fn function_name(function: u16) -> &'static str;

    /// What lies at the place of a tag.
    fn cell(tag: &Tag) -> Cell;

    /// Reads a tag.
    fn parse_tag(text: &str) -> Option<Tag>;

    /// Writes a tag.
    ///
    /// # Errors
    /// As the formatter.
    fn write_tag(tag: &Tag, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_oddities_stay() {
        let mut oddities = Oddities::NONE;
        for offset in 0..6 {
            oddities.push(Oddity::BadValue, offset);
        }
        oddities.push(Oddity::Gap, 9);
        assert_eq!(oddities.iter().map(|(_, offset)| offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(oddities.contains(Oddity::BadValue) && !oddities.contains(Oddity::Gap));
    }

    #[test]
    fn raw_values_and_fields_read_as_tools_show_them() {
        let show = |field: Field<'_>| field.to_string();
        assert_eq!(show(Field::Hex(0xab, 4)), "0x00ab");
        assert_eq!(show(Field::Bytes(&[0, 0x1a])), "00:1a");
        let data = Data::Bits { bytes: &[0b101], count: 3 };
        let raws: String = (0..3).map(|index| Raw::of(data, index).to_string()).collect();
        assert_eq!(raws, "101");
        assert_eq!(Raw::of(Data::Words(&[1, 2, 3, 4]), 1).to_string(), "0304");
    }
}
