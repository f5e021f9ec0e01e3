//! What a protocol family has to say about itself.
//!
//! A family is one file (or folder) in `protocols/` that implements [`Protocol`], plus one line in `registry.rs`.
//! The trait speaks of four things, each with a small type of this module: how messages lie in a stream ([`Cut`]),
//! what a message is ([`Header`]), which values it carries ([`Block`]), and how its places are written ([`Tag`]).
//! The stack owns everything else: connections, directions, pairing, time.

use core::fmt;
use core::net::SocketAddr;

use twinguard_types::{Label, Mac, Oddity, Timestamp};

mod value;

pub(crate) use value::VALUE_MAX;
pub use value::{Access, Block, Cell, Change, Data, Name, Raw, RawPoint, Scalar, Tag, Width, Write};

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
    /// A link of its own, by the number of its type.
    Link(u16),
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
    Mac(Mac),
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
            Self::Mac(mac) => mac.fmt(f),
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

impl Header {
    /// The function of a message that has none (cyclic data).
    pub const NO_FUNCTION: u16 = u16::MAX;
}

/// What else a family may want to know of a message that it decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Which end sends it, as far as known.
    pub sender: Sender,
    /// When its last byte was captured; short device times (without a date or an hour) are completed from it.
    pub at: Timestamp,
    /// Its sender.
    pub source: Address,
    /// Its receiver.
    pub destination: Address,
}

impl Context {
    /// A message of which nothing is known but who sends it.
    #[must_use]
    pub const fn of(sender: Sender) -> Self {
        let nowhere = Address::Mac(Mac([0; 6]));
        Self { sender, at: Timestamp::ZERO, source: nowhere, destination: nowhere }
    }
}

/// What a message does to the device as a whole, beyond reading and writing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Opens a session or a connection.
    Connect,
    /// Ends it.
    Disconnect,
    /// Proves or claims who it is.
    Login,
    /// Looks at what the device is or has.
    Browse,
    /// Starts the program or the process image.
    Start,
    /// Stops it.
    Stop,
    /// Restarts the device.
    Restart,
    /// Loads a program or a block into the device.
    Download,
    /// Fetches a program or a block from it.
    Upload,
    /// Changes its configuration: names, addresses, parameters, rights.
    Configure,
    /// Sets its clock.
    SetTime,
    /// Holds, and perhaps clears, its counters.
    Freeze,
    /// Deletes a file, a block or a program.
    Delete,
}

impl Action {
    /// As in events: `connect`, `set_time`.
    #[must_use]
    pub const fn label(self) -> Label {
        Label::literal(match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Login => "login",
            Self::Browse => "browse",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Configure => "configure",
            Self::SetTime => "set_time",
            Self::Freeze => "freeze",
            Self::Delete => "delete",
        })
    }
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
    /// Whether its conversations may turn out to be of a family that lies above it on the same carrier (COTP: S7comm,
    /// MMS); each message is then first shown to the others' [`probe`](Protocol::probe).
    const HANDS_OVER: bool = false;

    /// Whether either end may ask at any time, so that each message has to tell by itself who asks (BACnet/IP).
    const PEERS: bool = false;

    /// Whether its messages begin with a mark and a length, so that one that is not legal can be told behind bytes that
    /// are no messages, where nothing legal follows: a receiver would take it up there, and it has to be reported.
    const MARKED: bool = false;

    /// A message; borrows its bytes.
    type Pdu<'a>: Copy + fmt::Debug;
    /// What has to be kept of a request so that its response can be understood.
    type Memo: Copy + fmt::Debug;
    /// What one conversation has to keep beyond open requests: fragments, aliases, request lists; bounded.
    type Session: Default + fmt::Debug;
    /// What all conversations of the family have in common (configuration frames over one carrier that explain data
    /// over another, connections opened over TCP and used over UDP); bounded; `()` for most.
    type Shared: Default + fmt::Debug;
    /// The runs of values in a message.
    type Blocks<'a>: Iterator<Item = Block<'a>>;

    /// Where the first message in these stream bytes ends. Work is constant.
    fn cut(bytes: &[u8]) -> Cut;

    /// Who sends these bytes, if they are, beyond reasonable doubt, one or more whole messages of this family;
    /// [`Sender::Unknown`] when they could come from either end. Used on ports without a name.
    fn probe(bytes: &[u8]) -> Option<Sender>;

    /// Takes a message of a stream that tells nothing by itself: a fragment before the last, the upkeep of a layer
    /// below. True when it was taken; it is not decoded then, and nothing is told of it.
    #[inline]
    fn absorb(_session: &mut Self::Session, _source: &Address, _bytes: &[u8]) -> bool {
        false
    }

    /// Whether a frame on a carrier that several families share is one of this family. On an EtherType one family may
    /// lie inside another (PROFINET: configuration inside real-time frames): each of them tells its own message.
    fn lies_in(bytes: &[u8]) -> bool {
        Self::probe(bytes).is_some()
    }

    /// Reads one whole message and takes note of it; `None` when it is too short to be one. What the message means may
    /// depend on earlier ones (configuration frames, fragments, aliases): it may borrow them from the session.
    fn decode<'a>(
        session: &'a mut Self::Session,
        shared: &'a mut Self::Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<Self::Pdu<'a>>;

    /// What the stack has to know of the message.
    fn header(pdu: &Self::Pdu<'_>) -> Header;

    /// Its part in an exchange; differs from the header's kind only where the family counts what asks and answers as
    /// [`Kind::Control`] or [`Kind::Event`] (S7comm userdata, MQTT publications and acknowledgements).
    #[inline]
    fn part(pdu: &Self::Pdu<'_>) -> Kind {
        Self::header(pdu).kind
    }

    /// What is odd about the message by itself.
    fn oddities(pdu: &Self::Pdu<'_>) -> Oddities;

    /// What is to be kept of a request.
    fn memo(pdu: &Self::Pdu<'_>) -> Self::Memo;

    /// How well a response fits a request.
    fn fit(memo: &Self::Memo, pdu: &Self::Pdu<'_>) -> Fit;

    /// Why an answer refuses, where it does and tells; an answer of kind [`Kind::Response`] with a refusal is a refusal
    /// all the same.
    fn refusal(_pdu: &Self::Pdu<'_>) -> Option<u8> {
        None
    }

    /// What a request asks of the device beyond values, if anything.
    fn action(_memo: &Self::Memo) -> Option<Action> {
        None
    }

    /// The values of the message; a response needs its request's memo for their addresses.
    fn blocks<'a>(pdu: &Self::Pdu<'a>, request: Option<&Self::Memo>) -> Self::Blocks<'a>;

    /// Appends the message that asks a device for a change, with this number as its transaction identifier or sequence
    /// where the family has one (its low bits where that is shorter); `None`, and nothing appended, for what the family
    /// cannot ask for.
    fn command(_write: &Write<'_>, _number: u32, _out: &mut Vec<u8>) -> Option<()> {
        None
    }

    /// The header fields, under Wireshark's names, in order of appearance.
    fn fields(pdu: &Self::Pdu<'_>, put: &mut dyn FnMut(&'static str, Field<'_>));

    /// The name of a function or service.
    fn function_name(function: u16) -> &'static str;

    /// The letters by which tools know a message, where they have no number for it; empty where they know none.
    fn function_code(_function: u16) -> Option<&'static str> {
        None
    }

    /// What lies at the place of a tag.
    fn cell(_tag: &Tag<'_>) -> Cell {
        Cell { width: Width::Scalar, last: u32::MAX }
    }

    /// Reads a tag, by the grammar in the family's header; what [`Protocol::write_tag`] and [`Protocol::write_place`]
    /// write is read again as the same place.
    fn parse_tag(text: &str) -> Option<Tag<'_>>;

    /// Writes a tag.
    ///
    /// # Errors
    /// As the formatter.
    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Writes a place as one message names it, see [`Block::variant`].
    ///
    /// # Errors
    /// As the formatter.
    fn write_place(tag: &Tag<'_>, _variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::write_tag(tag, f)
    }
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
    fn fields_read_as_tools_show_them() {
        let show = |field: Field<'_>| field.to_string();
        assert_eq!(show(Field::Hex(0xab, 4)), "0x00ab");
        assert_eq!(show(Field::Bytes(&[0, 0x1a])), "00:1a");
    }
}
