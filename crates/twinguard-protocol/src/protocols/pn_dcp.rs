//! PROFINET DCP: discovery and basic configuration of devices on one Ethernet.
//!
//! Sources: IEC 61158-5-10 and IEC 61158-6-10 (type 10: FAL, clause 4.3 DCP protocol machine and coding). Frames lie on
//! EtherType 0x8892 behind the frame identifiers 0xfefc to 0xfeff; the real-time family tells these identifiers as
//! well.
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them. There are no
//! points; tags are `<option>/<suboption>` in decimal, for the blocks that a Set request writes: `2/2` is the name of
//! the station.

use core::fmt;

use twinguard_types::{Label, Oddity};

use crate::bytes::{be16, be32};
use crate::protocol::{
    Access, Action, Block, Carrier, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities, Protocol,
    Scalar, Sender, Tag,
};

/// EtherType of PROFINET.
pub const ETHER_TYPE: u16 = 0x8892;
/// Octets up to the first block: frame identifier, service, type, transaction, delay, length.
pub const HEADER_LEN: usize = 12;
/// Most octets of blocks: an Ethernet frame's payload less the header.
pub const DATA_MAX: usize = 1500 - HEADER_LEN;
/// Blocks of one message that are looked at.
pub const BLOCKS_MAX: usize = 128;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct PnDcp;

/// What a message wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Reads blocks of one device.
    Get = 3,
    /// Writes blocks of one device.
    Set = 4,
    /// Asks who fits a filter.
    Identify = 5,
    /// A device tells that it is there.
    Hello = 6,
}

impl Service {
    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            3 => Self::Get,
            4 => Self::Set,
            5 => Self::Identify,
            6 => Self::Hello,
            _ => return None,
        })
    }

    /// The frame identifier of its requests or responses.
    #[must_use]
    pub const fn frame_id(self, response: bool) -> u16 {
        match (self, response) {
            (Self::Hello, _) => 0xfefc,
            (Self::Get | Self::Set, _) => 0xfefd,
            (Self::Identify, false) => 0xfefe,
            (Self::Identify, true) => 0xfeff,
        }
    }
}

/// A view on one frame, from its frame identifier on; shows any bytes that hold the header.
///
/// ```
/// use twinguard_protocol::protocols::pn_dcp::{Service, View};
///
/// // Identify, all.
/// let bytes = [0xfe, 0xfe, 5, 0, 1, 0, 0, 1, 0, 1, 0, 4, 0xff, 0xff, 0, 0];
/// let view = View::new(&bytes).unwrap();
/// assert_eq!((view.service(), view.is_response(), view.transaction()), (Some(Service::Identify), false, 0x0100_0001));
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    data: &'a [u8],
    frame_id: u16,
    service: u8,
    service_type: u8,
    transaction: u32,
    delay: u16,
    length: u16,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads a frame; `None` when it is shorter than its header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let (frame_id, transaction) = (be16(head, 0)?, be32(head, 4)?);
        let (delay, length) = (be16(head, 8)?, be16(head, 10)?);
        let [_, _, service, service_type, ..] = *head;
        let mut oddities = Oddities::NONE;
        let data = rest.get(..usize::from(length)).unwrap_or_else(|| {
            oddities.push(Oddity::LengthMismatch, 10);
            rest
        });
        let mut view =
            Self { bytes, data, frame_id, service, service_type, transaction, delay, length, oddities };
        view.check();
        Some(view)
    }

    fn check(&mut self) {
        match self.service() {
            Some(service) if self.frame_id != service.frame_id(self.is_response()) => {
                self.oddities.push(Oddity::BadProtocolId, 0);
            }
            Some(_) => {}
            None => self.oddities.push(Oddity::UnknownFunction, 2),
        }
        // Request, response, response that does not support the request.
        if !matches!(self.service_type, 0 | 1 | 5) {
            self.oddities.push(Oddity::BadValue, 3);
        }
        let mut whole = 0;
        let mut count = 0;
        for block in self.entries() {
            whole = block.end;
            count += 1;
            if block.is_short {
                self.oddities.push(Oddity::LengthMismatch, HEADER_LEN + block.start);
            }
        }
        if count == BLOCKS_MAX {
            self.oddities.push(Oddity::BadQuantity, HEADER_LEN);
        } else if whole < self.data.len() {
            self.oddities.push(Oddity::TrailingBytes, HEADER_LEN + whole);
        }
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Frame identifier.
    #[must_use]
    pub const fn frame_id(&self) -> u16 {
        self.frame_id
    }

    /// The service, if it is one of the standard.
    #[must_use]
    pub const fn service(&self) -> Option<Service> {
        Service::of(self.service)
    }

    /// Whether it answers.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.service_type & 1 != 0
    }

    /// Whether it answers that the request is not supported.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.service_type & 5 == 5
    }

    /// Transaction identifier.
    #[must_use]
    pub const fn transaction(&self) -> u32 {
        self.transaction
    }

    /// How long answers to an Identify request may be spread, in units of 10 ms; reserved in all others.
    #[must_use]
    pub const fn response_delay(&self) -> u16 {
        self.delay
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// The blocks, up to the first that is cut.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        // A Get request lists options without lengths.
        let bare = self.service == Service::Get as u8 && !self.is_response();
        let information = match self.service() {
            Some(Service::Get) => self.is_response(),
            Some(Service::Set) => !self.is_response(),
            Some(Service::Identify) => self.is_response(),
            Some(Service::Hello) => true,
            None => false,
        };
        let (data, mut at) = (self.data, 0);
        core::iter::from_fn(move || {
            let start = at;
            let (head, rest) = data.get(at..)?.split_first_chunk::<2>()?;
            let [option, suboption] = *head;
            if bare {
                at += 2;
                return Some(Entry { option, suboption, start, end: at, ..Entry::default() });
            }
            let length = usize::from(be16(rest, 0)?);
            let value = rest.get(2..)?;
            let (value, is_short) = match value.get(..length) {
                Some(held) => (held, false),
                None => (value, true),
            };
            // Blocks begin at even offsets.
            at = (start + 4 + length + length % 2).min(data.len());
            let marked = information && !self_response(option, suboption);
            let (information, value) = match (marked, value.split_first_chunk::<2>()) {
                (true, Some((info, value))) => (Some(u16::from_be_bytes(*info)), value),
                _ => (None, value),
            };
            Some(Entry { option, suboption, information, value, start, end: at, is_short })
        })
        .take(BLOCKS_MAX)
    }
}

/// The response block of a Set carries the block that it answers, not its own information.
const fn self_response(option: u8, suboption: u8) -> bool {
    option == 5 && suboption == 4
}

/// One block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// 1 IP, 2 device properties, 3 DHCP, 5 control, 6 device initiative, 0x80 to 0xfe the manufacturer's, 0xff all.
    pub option: u8,
    /// What of it.
    pub suboption: u8,
    /// Qualifier of a Set request, information of a response.
    pub information: Option<u16>,
    /// Its data.
    pub value: &'a [u8],
    start: usize,
    end: usize,
    is_short: bool,
}

impl Entry<'_> {
    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match (self.option, self.suboption) {
            (1, 1) => "MAC address",
            (1, 2) => "IP address",
            (1, 3) => "full IP suite",
            (2, 1) => "manufacturer",
            (2, 2) => "name of station",
            (2, 3) => "device identifier",
            (2, 4) => "device role",
            (2, 5) => "device options",
            (2, 6) => "alias name",
            (2, 7) => "device instance",
            (2, 8) => "OEM device identifier",
            (2, 9) => "standard gateway",
            (2, 10) => "RSI properties",
            (3, _) => "DHCP",
            (5, 1) => "start transaction",
            (5, 2) => "end transaction",
            (5, 3) => "signal",
            (5, 4) => "response",
            (5, 5) => "factory reset",
            (5, 6) => "reset to factory",
            (6, 1) => "device initiative",
            (0xff, 0xff) => "all",
            (0x80..=0xfe, _) => "manufacturer specific",
            _ => "undefined",
        }
    }
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    service: u8,
    action: Option<Action>,
}

/// The blocks of a Set request as values to be written.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    view: Option<View<'a>>,
    next: usize,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let view = self.view?;
        let entry = view.entries().find(|entry| entry.start >= self.next && entry.option != 5)?;
        self.next = entry.end.max(entry.start + 1);
        let space = u64::from(entry.option);
        let tag = Tag { space, name: Name::default(), address: Some(u32::from(entry.suboption)) };
        let value = if entry.option == 2 { Scalar::Text(entry.value) } else { Scalar::Opaque };
        Some(Block::new(tag, Access::Write, Data::Scalar { raw: entry.value, value }))
    }
}

impl Protocol for PnDcp {
    const FAMILY: Label = Label::literal("pn_dcp");
    const CARRIERS: &'static [Carrier] = &[Carrier::EtherType(ETHER_TYPE)];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = ();
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    /// One frame, one message; what follows is padding.
    fn cut(bytes: &[u8]) -> Cut {
        if bytes.len() < HEADER_LEN { Cut::More(HEADER_LEN) } else { Cut::Message(bytes.len()) }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let view = View::new(bytes).filter(|view| view.oddities.is_empty() && view.length > 0)?;
        let padding = bytes.get(HEADER_LEN + view.data.len()..).unwrap_or_default();
        let sender = if view.is_response() || view.service == Service::Hello as u8 {
            Sender::Server
        } else {
            Sender::Client
        };
        padding.iter().all(|byte| *byte == 0).then_some(sender)
    }

    fn lies_in(bytes: &[u8]) -> bool {
        // One that is cut within its header is told as well, as malformed.
        matches!(bytes, [0xfe, 0xfc..=0xff, ..])
    }

    fn decode<'a>(
        _session: &'a mut (),
        _shared: &'a mut (),
        _context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        View::new(bytes)
    }

    fn header(view: &View<'_>) -> Header {
        let kind = match (view.service(), view.is_response()) {
            (_, true) if view.is_refusal() => Kind::Exception,
            (_, true) => Kind::Response,
            (Some(Service::Hello), false) => Kind::Event,
            (_, false) => Kind::Request,
        };
        // A request to all is answered between other ends.
        let paired = matches!(view.service(), Some(Service::Get | Service::Set));
        let key = paired.then_some(u64::from(view.service) << 32 | u64::from(view.transaction));
        Header { kind, unit: 0, function: u16::from(view.service), key }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        view.oddities
    }

    fn memo(view: &View<'_>) -> Memo {
        let action = match view.service() {
            _ if view.is_response() => None,
            Some(Service::Get | Service::Identify) => Some(Action::Browse),
            Some(Service::Set) => {
                let mut found = None;
                for entry in view.entries() {
                    match (entry.option, entry.suboption) {
                        (5, 5 | 6) => return Memo { service: view.service, action: Some(Action::Restart) },
                        (5, _) => {}
                        _ => found = Some(Action::Configure),
                    }
                }
                found
            }
            _ => None,
        };
        Memo { service: view.service, action }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        if memo.service == view.service { Fit::Exact } else { Fit::No }
    }

    /// Of a Set, the error of the first block that was refused.
    fn refusal(view: &View<'_>) -> Option<u8> {
        if !view.is_response() {
            return None;
        }
        let errors = view.entries().filter(|entry| self_response(entry.option, entry.suboption));
        errors.filter_map(|entry| entry.value.get(2).copied()).find(|error| *error != 0)
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        let writes = view.service() == Some(Service::Set) && !view.is_response();
        Blocks { view: writes.then_some(*view), next: 0 }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let byte = |value: u8| Field::Number(u64::from(value));
        put("pn_dcp.service_id", byte(view.service));
        put("pn_dcp.service_type", byte(view.service_type));
        put("pn_dcp.xid", Field::Hex(u64::from(view.transaction), 8));
        let spread = view.service() == Some(Service::Identify) && !view.is_response();
        put(
            if spread { "pn_dcp.response_delay" } else { "pn_dcp.reserved16" },
            Field::Number(u64::from(view.delay)),
        );
        put("pn_dcp.data_length", Field::Number(u64::from(view.length)));
        for entry in view.entries() {
            put("pn_dcp.option", byte(entry.option));
            if (entry.option, entry.suboption) == (2, 5) {
                let (pairs, _) = entry.value.as_chunks::<2>();
                for [option, _] in pairs {
                    put("pn_dcp.option", byte(*option));
                }
            }
            if (entry.option, entry.suboption) == (2, 2) {
                put("pn_dcp.suboption_device_nameofstation", Field::Text(entry.value));
            }
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            3 => "Get",
            4 => "Set",
            5 => "Identify",
            6 => "Hello",
            _ => "undefined",
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let (option, suboption) = text.split_once('/')?;
        Some(Tag {
            space: u64::from(number(option)?),
            name: Name::default(),
            address: Some(u32::from(number(suboption)?)),
        })
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match tag.address {
            Some(suboption) => write!(f, "{}/{suboption}", tag.space),
            None => write!(f, "{}/?", tag.space),
        }
    }
}

/// Decimal digits alone: one way to write a tag.
fn number(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::protocols::pn_dcp::Repr;
///
/// let name = Repr::set(7, 2, 2, b"pump-1").unwrap();
/// assert_eq!(name.as_bytes()[..4], [0xfe, 0xfd, 4, 0]);
/// assert!(Repr::set(7, 2, 2, &[0; 1500]).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr(Vec<u8>);

impl Repr {
    /// A request to all devices that fit the filter; an empty one is for all.
    #[must_use]
    pub fn identify(transaction: u32, delay: u16, filter: &[(u8, u8, &[u8])]) -> Option<Self> {
        let all: &[(u8, u8, &[u8])] = &[(0xff, 0xff, &[])];
        let filter = if filter.is_empty() { all } else { filter };
        Self::new(Service::Identify, transaction, delay, |out| {
            filter
                .iter()
                .for_each(|(option, suboption, value)| block(out, [*option, *suboption], None, value));
        })
    }

    /// A request for blocks of one device.
    #[must_use]
    pub fn get(transaction: u32, wanted: &[(u8, u8)]) -> Option<Self> {
        Self::new(Service::Get, transaction, 0, |out| {
            wanted.iter().for_each(|(option, suboption)| out.extend([option, suboption]));
        })
    }

    /// A request that writes one block for good, with the end of the transaction behind it.
    #[must_use]
    pub fn set(transaction: u32, option: u8, suboption: u8, value: &[u8]) -> Option<Self> {
        Self::new(Service::Set, transaction, 0, |out| {
            block(out, [option, suboption], Some(1), value);
            if option != 5 {
                block(out, [5, 2], Some(0), &[]);
            }
        })
    }

    fn new(service: Service, transaction: u32, delay: u16, fill: impl FnOnce(&mut Vec<u8>)) -> Option<Self> {
        let mut data = Vec::new();
        fill(&mut data);
        let length = u16::try_from(data.len()).ok().filter(|length| usize::from(*length) <= DATA_MAX)?;
        let mut out = service.frame_id(false).to_be_bytes().to_vec();
        out.extend([service as u8, 0]);
        out.extend(transaction.to_be_bytes());
        out.extend(delay.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(data);
        View::new(&out).filter(|view| view.oddities.is_empty())?;
        Some(Self(out))
    }

    /// The bytes, from the frame identifier on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn block(out: &mut Vec<u8>, head: [u8; 2], information: Option<u16>, value: &[u8]) {
    let length = value.len() + if information.is_some() { 2 } else { 0 };
    out.extend(head);
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(information.into_iter().flat_map(u16::to_be_bytes));
    out.extend(value);
    if !length.is_multiple_of(2) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn action(repr: Option<Repr>) -> Option<Action> {
        PnDcp::action(&PnDcp::memo(&View::new(repr.unwrap().as_bytes()).unwrap()))
    }

    #[test]
    fn what_a_set_changes_is_told() {
        assert_eq!(action(Repr::set(1, 2, 2, b"pump")), Some(Action::Configure));
        assert_eq!(
            action(Repr::set(1, 1, 2, &[10, 0, 0, 1, 255, 0, 0, 0, 0, 0, 0, 0])),
            Some(Action::Configure)
        );
        assert_eq!(action(Repr::set(1, 5, 5, &[])), Some(Action::Restart));
        assert_eq!(action(Repr::set(1, 5, 6, &[])), Some(Action::Restart));
        assert_eq!(action(Repr::set(1, 5, 3, &[1, 0])), None, "it blinks");
        assert_eq!(action(Repr::get(1, &[(2, 2)])), Some(Action::Browse));
        assert_eq!(action(Repr::identify(1, 1, &[])), Some(Action::Browse));
        let name = Repr::set(1, 2, 2, b"pump").unwrap();
        let view = View::new(name.as_bytes()).unwrap();
        let written: Vec<_> =
            PnDcp::blocks(&view, None).map(|block| (block.tag.space, block.tag.address)).collect();
        assert_eq!(written, [(2, Some(2))]);
    }

    #[test]
    fn a_refused_set_says_why() {
        // Set response: IP address, 2 = suboption not supported (coding of BlockError).
        let bytes = [0xfe, 0xfd, 4, 1, 0, 0, 0, 1, 0, 0, 0, 8, 5, 4, 0, 3, 1, 2, 2, 0];
        let view = View::new(&bytes).unwrap();
        assert!(view.oddities().is_empty());
        assert_eq!((PnDcp::header(&view).kind, PnDcp::refusal(&view)), (Kind::Response, Some(2)));
        let mut unsupported = bytes;
        unsupported[3] = 5;
        assert_eq!(PnDcp::header(&View::new(&unsupported).unwrap()).kind, Kind::Exception);
    }

    #[test]
    fn what_is_odd_is_flagged() {
        let odd = |bytes: &[u8]| View::new(bytes).unwrap().oddities().iter().collect::<Vec<_>>();
        let good = [0xfe, 0xfe, 5, 0, 0, 0, 0, 1, 0, 1, 0, 4, 0xff, 0xff, 0, 0];
        assert_eq!(odd(&good), []);
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            odd(&bytes)
        };
        assert_eq!(with(1, 0xfd), [(Oddity::BadProtocolId, 0)]);
        assert_eq!(with(2, 9), [(Oddity::UnknownFunction, 2)]);
        assert_eq!(with(3, 2), [(Oddity::BadValue, 3)]);
        assert_eq!(with(11, 9), [(Oddity::LengthMismatch, 10)]);
        assert_eq!(with(15, 9), [(Oddity::LengthMismatch, 12)]);
        assert_eq!(with(11, 2), [(Oddity::TrailingBytes, 12)]);
        assert_eq!(PnDcp::probe(&good), Some(Sender::Client));
        assert_eq!(PnDcp::probe(&[&good[..], &[0; 30]].concat()), Some(Sender::Client), "padded");
        assert_eq!(PnDcp::probe(&[0; 60]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            transaction in any::<u32>(),
            (option, suboption) in (1..5u8, any::<u8>()),
            value in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let repr = Repr::set(transaction, option, suboption, &value).unwrap();
            let view = View::new(repr.as_bytes()).unwrap();
            prop_assert_eq!(view.transaction(), transaction);
            let entries: Vec<_> = view.entries().collect();
            prop_assert_eq!((entries[0].option, entries[0].suboption), (option, suboption));
            prop_assert_eq!((entries[0].information, entries[0].value), (Some(1), &value[..]));
            prop_assert_eq!((entries[1].option, entries.len()), (5, 2));
            for tag in PnDcp::blocks(&view, None).map(|block| block.tag) {
                let text = fmt::from_fn(|f| PnDcp::write_tag(&tag, f)).to_string();
                prop_assert_eq!(PnDcp::parse_tag(&text), Some(tag));
            }
        }
    }
}
