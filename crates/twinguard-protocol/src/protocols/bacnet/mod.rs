//! BACnet/IP, and the same messages in frames of MS/TP.
//!
//! Source: ANSI/ASHRAE 135-2020 (clauses, annexes and figures are cited by their numbers alone).
//!
//! A tag is `[<network>:<address>/]<object type>:<instance>/<property>[<array index>][.<bit>]`, for example
//! `analogInput:3/presentValue`, `analogOutput:1/priorityArray[8]`, `binaryInput:7/statusFlags.1`, and for a device behind
//! a router `13:3d/analogInput:3/presentValue`, its address in hexadecimal. Types and properties without a name here go by
//! their numbers. A write shows its priority behind the tag, `@8`.

use core::fmt;

use twinguard_types::{Encoding, Label, Oddity, Value};

mod fields;
pub mod mstp;
mod names;
mod repr;
mod service;
mod state;
mod tag;
#[cfg(test)]
mod tests;
mod view;

pub use repr::{INSTANCE_MAX, Primitive, Reference, Repr, Service};
pub use service::{Blocks, DEPTH_MAX, confirmed, unconfirmed};
pub use state::{ROUTES_MAX, SEGMENTED_BYTES_MAX, SEGMENTED_MAX, Session};
pub use view::{Apdu, Link, Npdu, Remote, View, pdu};

use crate::protocol::{
    Action, Carrier, Change, Context, Cut, Field, Fit, Header, Kind, Name, Oddities, Protocol, Sender, Tag,
    Write,
};
use service::{PROPERTY_MAX, Walk};
use state::Segment;

/// The registered port, 0xBAC0 (J.1.2).
pub const PORT: u16 = 47808;

/// The number of the link type of captured MS/TP frames.
const MSTP_LINK: u16 = 165;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Bacnet;

/// A message with what its conversation tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    view: View<'a>,
    /// The service's parameters, of all segments.
    body: &'a [u8],
    /// Whether it is a segment before the last.
    part: bool,
    /// The device whose values these are, where it lies behind a router.
    route: &'a str,
    /// Whether that device could be told.
    placed: bool,
    /// Whether it goes from the higher address to the lower.
    reversed: bool,
}

impl<'a> Message<'a> {
    /// The message without its conversation.
    #[must_use]
    pub const fn view(&self) -> &View<'a> {
        &self.view
    }

    /// The parameters of the service; of a segmented message all of them, with the last segment.
    #[must_use]
    pub const fn parameters(&self) -> &'a [u8] {
        self.body
    }

    /// What a request asks beyond values (clauses 14 to 16).
    fn action(&self) -> Option<Action> {
        let apdu = self.view.apdu()?;
        match (apdu.kind, apdu.choice) {
            (pdu::CONFIRMED_REQUEST, confirmed::ATOMIC_READ_FILE) => Some(Action::Upload),
            (pdu::CONFIRMED_REQUEST, confirmed::ATOMIC_WRITE_FILE) => Some(Action::Download),
            (pdu::CONFIRMED_REQUEST, confirmed::DELETE_OBJECT) => Some(Action::Delete),
            (pdu::CONFIRMED_REQUEST, confirmed::CREATE_OBJECT) => Some(Action::Configure),
            // 16.1: communication is disabled or enabled again, [1].
            (pdu::CONFIRMED_REQUEST, confirmed::DEVICE_COMMUNICATION_CONTROL) => match first(self.body, 1) {
                Some(0) => Some(Action::Start),
                _ => Some(Action::Stop),
            },
            // 16.4: [0] cold start, warm start, backup, restore.
            (pdu::CONFIRMED_REQUEST, confirmed::REINITIALIZE_DEVICE) => Some(match first(self.body, 0) {
                Some(2 | 3) => Action::Upload,
                Some(4 | 5) => Action::Download,
                Some(6 | 7) => Action::Configure,
                _ => Action::Restart,
            }),
            (
                pdu::UNCONFIRMED_REQUEST,
                unconfirmed::TIME_SYNCHRONIZATION | unconfirmed::UTC_TIME_SYNCHRONIZATION,
            ) => Some(Action::SetTime),
            (pdu::UNCONFIRMED_REQUEST, unconfirmed::WHO_IS | unconfirmed::WHO_HAS) => Some(Action::Browse),
            _ => None,
        }
    }

    /// The other device of the exchange on another network: whom a request asks, who answers.
    fn remote(&self) -> Option<Remote<'a>> {
        remote(&self.view)
    }
}

/// The device whose values a message carries, where it is on another network: the receiver of what asks or writes, the
/// sender of what tells.
fn remote<'a>(view: &View<'a>) -> Option<Remote<'a>> {
    let (npdu, apdu) = (view.npdu()?, view.apdu()?);
    if asks(&apdu) { npdu.destination } else { npdu.source }
}

/// Whether a client sends it: a confirmed request that is no notification, or a question to all.
fn asks(apdu: &Apdu<'_>) -> bool {
    match apdu.kind {
        pdu::CONFIRMED_REQUEST => {
            !matches!(apdu.choice, confirmed::COV_NOTIFICATION | 2 | confirmed::COV_NOTIFICATION_MULTIPLE)
        }
        pdu::UNCONFIRMED_REQUEST => matches!(
            apdu.choice,
            unconfirmed::WHO_IS
                | unconfirmed::WHO_HAS
                | unconfirmed::TIME_SYNCHRONIZATION
                | unconfirmed::UTC_TIME_SYNCHRONIZATION
        ),
        _ => false,
    }
}

/// The number in the parameter with this context tag, among the first few.
fn first(body: &[u8], wanted: u8) -> Option<u64> {
    let mut rest = body;
    for _ in 0..3 {
        if let tag::Element::Context { number, content } = tag::element(&mut rest)?
            && number == wanted
        {
            return tag::unsigned(content);
        }
    }
    None
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    service: u8,
    action: Option<Action>,
}

impl Protocol for Bacnet {
    const FAMILY: Label = Label::literal("bacnet");
    const CARRIERS: &'static [Carrier] = &[Carrier::Udp(PORT), Carrier::Link(MSTP_LINK)];
    const PEERS: bool = true;

    type Pdu<'a> = Message<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        match bytes {
            [0x81, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length < 4 {
                    Cut::Foreign
                } else if length <= bytes.len() {
                    Cut::Message(length)
                } else {
                    Cut::More(length)
                }
            }
            [0x55, 0xff, ..] => mstp::cut(bytes),
            [0x81, ..] => Cut::More(4),
            [] | [0x55] => Cut::More(2),
            _ => Cut::Foreign,
        }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let view = View::new(bytes).filter(|view| view.oddities().is_empty())?;
        let Link::Ip(_) = view.link() else { return None };
        // Messages between routers and tables of the data link alone are too plain to be sure.
        let apdu = view.apdu()?;
        let mut walk =
            Walk::new(apdu.kind, apdu.choice, if apdu.segment.is_some() { &[] } else { apdu.body });
        walk.by_ref().for_each(drop);
        let known = match apdu.kind {
            pdu::UNCONFIRMED_REQUEST => apdu.choice <= 13 && apdu.flags == 0,
            pdu::REJECT | pdu::ABORT => apdu.body.is_empty(),
            pdu::SEGMENT_ACK => true,
            _ => apdu.choice <= 34,
        };
        if walk.left() > 0 || !known {
            return None;
        }
        Some(match apdu.kind {
            pdu::SEGMENT_ACK => Sender::Unknown,
            _ if asks(&apdu) => Sender::Client,
            // The acknowledgement of a notification comes from the client that subscribed.
            pdu::SIMPLE_ACK if matches!(apdu.choice, 1 | 2 | confirmed::COV_NOTIFICATION_MULTIPLE) => {
                Sender::Client
            }
            _ => Sender::Server,
        })
    }

    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<Message<'a>> {
        let view = View::new(bytes)?;
        let reversed = context.source > context.destination;
        let body = view.apdu().map_or(&[][..], |apdu| apdu.body);
        let mut message = Message { view, body, part: false, route: "", placed: true, reversed };
        let Session { routes, segments } = session;
        if let Some(remote) = remote(&view) {
            match routes.text(&remote) {
                Some(text) => message.route = text,
                None => {
                    message.placed = false;
                    message.view.oddities_mut().push(Oddity::Dropped, 0);
                }
            }
        }
        if let Some(apdu) = view.apdu()
            && apdu.segment.is_some()
            && apdu.kind != pdu::SEGMENT_ACK
        {
            let key = key(&message, &apdu, reversed) << 4 | u64::from(apdu.kind);
            let at = bytes.len().saturating_sub(apdu.body.len());
            (message.body, message.part) = match segments.add(key, &apdu) {
                Segment::Whole(body) => (body, false),
                Segment::Part => (&[][..], true),
                Segment::Gap => {
                    message.view.oddities_mut().push(Oddity::Gap, at);
                    (&[][..], true)
                }
                Segment::Dropped => {
                    message.view.oddities_mut().push(Oddity::Dropped, at);
                    (&[][..], true)
                }
            };
        }
        Some(message)
    }

    #[inline]
    fn header(message: &Message<'_>) -> Header {
        let unit = message.remote().map_or(0, |remote| remote.network);
        let view = &message.view;
        let Some(apdu) = view.apdu() else {
            let link = match view.link() {
                Link::Ip(function) => function,
                Link::Mstp(kind) => kind,
            };
            let function = view.npdu().and_then(|npdu| npdu.message).unwrap_or(link);
            return Header { kind: Kind::Control, unit, function: u16::from(function), key: None };
        };
        let asking = Some(key(message, &apdu, message.reversed)).filter(|_| !message.part);
        let telling = Some(key(message, &apdu, !message.reversed)).filter(|_| !message.part);
        let (kind, function, key) = match apdu.kind {
            pdu::CONFIRMED_REQUEST => (Kind::Request, apdu.choice, asking),
            pdu::UNCONFIRMED_REQUEST => (Kind::Event, apdu.choice, None),
            pdu::SIMPLE_ACK | pdu::COMPLEX_ACK => (Kind::Response, apdu.choice, telling),
            pdu::ERROR => (Kind::Exception, apdu.choice, telling),
            pdu::REJECT | pdu::ABORT => (Kind::Exception, apdu.kind, telling),
            _ => (Kind::Control, apdu.kind, None),
        };
        Header { kind, unit, function: u16::from(function), key }
    }

    #[inline]
    fn oddities(message: &Message<'_>) -> Oddities {
        *message.view.oddities()
    }

    #[inline]
    fn memo(message: &Message<'_>) -> Memo {
        let service = message.view.apdu().map_or(0xff, |apdu| apdu.choice);
        Memo { service, action: message.action() }
    }

    #[inline]
    fn fit(memo: &Memo, message: &Message<'_>) -> Fit {
        match message.view.apdu() {
            Some(apdu) if matches!(apdu.kind, pdu::REJECT | pdu::ABORT) || apdu.choice == memo.service => {
                Fit::Exact
            }
            _ => Fit::No,
        }
    }

    /// The code of an error (clause 18), the reason of a reject or abort.
    fn refusal(message: &Message<'_>) -> Option<u8> {
        let apdu = message.view.apdu()?;
        match apdu.kind {
            pdu::ERROR => {
                let mut rest = apdu.body;
                tag::element(&mut rest)?;
                match tag::element(&mut rest)? {
                    tag::Element::Application { number: 9, content, .. } => {
                        tag::unsigned(content).map(|code| code.min(255) as u8)
                    }
                    _ => None,
                }
            }
            pdu::REJECT | pdu::ABORT => Some(apdu.choice),
            _ => None,
        }
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(message: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        let (kind, choice) = message.view.apdu().map_or((0xff, 0), |apdu| (apdu.kind, apdu.choice));
        Blocks::new(Walk::new(kind, choice, message.body), message.route.as_bytes(), message.placed)
    }

    /// A `WriteProperty` without a priority: the device takes the lowest, 16 (15.9.1.1.5).
    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let Change::Scalar { value, encoding } = write.change else { return None };
        let (object, property, bit) = unpack(write.tag.space);
        if bit != 0 {
            return None;
        }
        let index = write.tag.address?.checked_sub(1);
        let [route, ..] = write.tag.name.parts();
        let mut address = [0; 7];
        let remote = if route.is_empty() { None } else { Some(read_route(route, &mut address)?) };
        let value = primitive(object >> 22, value, encoding)?;
        let service = Service::WriteProperty(Reference { object, property, index }, value, None);
        Repr::new(number as u8, remote, service)?.emit(out);
        Some(())
    }

    fn fields(message: &Message<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(message, put);
    }

    fn function_name(function: u16) -> &'static str {
        names::service(function)
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let text = match text.rsplit_once('@') {
            Some((tag, priority)) => {
                number(priority).filter(|priority| (1..=16).contains(priority)).map(|_| tag)?
            }
            None => text,
        };
        let (object, property) = text.rsplit_once('/')?;
        let (route, object) = object.rsplit_once('/').unwrap_or(("", object));
        let mut address = [0; 7];
        if !route.is_empty() {
            read_route(route.as_bytes(), &mut address)?;
        } else if text.starts_with('/') {
            return None;
        }
        let (kind, instance) = object.split_once(':')?;
        let kind = names::object_type(kind).or_else(|| number(kind)).filter(|kind| *kind < 1 << 10)?;
        let instance = number(instance).filter(|instance| *instance <= INSTANCE_MAX)?;
        let (property, bit) = match property.split_once('.') {
            Some((property, bit)) => (property, number(bit).filter(|bit| *bit < 254)? + 1),
            None => (property, 0),
        };
        let (property, index) = match property.strip_suffix(']') {
            Some(indexed) => {
                let (property, index) = indexed.split_once('[')?;
                (property, number(index)?.checked_add(1)?)
            }
            None => (property, 0),
        };
        let property =
            names::property_number(property).or_else(|| number(property)).filter(|it| *it <= PROPERTY_MAX)?;
        let space = u64::from(kind << 22 | instance) << 32 | u64::from(property) << 8 | u64::from(bit);
        Some(Tag { space, name: Name::new([route.as_bytes()]), address: Some(index) })
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (object, property, bit) = unpack(tag.space);
        let [route, ..] = tag.name.parts();
        if !route.is_empty() {
            write!(f, "{}/", String::from_utf8_lossy(route))?;
        }
        match names::object(object >> 22) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}", object >> 22)?,
        }
        write!(f, ":{}/", object & INSTANCE_MAX)?;
        match names::property(property) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{property}")?,
        }
        match tag.address {
            Some(0) => {}
            Some(index) => write!(f, "[{}]", index - 1)?,
            None => f.write_str("[?]")?,
        }
        if bit == 0 { Ok(()) } else { write!(f, ".{}", bit - 1) }
    }

    fn write_place(tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::write_tag(tag, f)?;
        if (1..=16).contains(&variant) { write!(f, "@{variant}") } else { Ok(()) }
    }
}

/// Object, property and bit, from 1, of a tag's space.
const fn unpack(space: u64) -> (u32, u32, u32) {
    ((space >> 32) as u32, (space >> 8) as u32 & PROPERTY_MAX, (space & 0xff) as u32)
}

/// What request and answer have in common: who asks, the invoke identifier, the device on another network (5.4).
#[inline]
fn key(message: &Message<'_>, apdu: &Apdu<'_>, from: bool) -> u64 {
    let route = message.view.npdu().map_or(0, |npdu| {
        let asking = apdu.kind == pdu::CONFIRMED_REQUEST;
        let remote = if asking { npdu.destination } else { npdu.source };
        remote.map_or(0, |remote| {
            let hash = |hash: u32, byte: &u8| hash.wrapping_mul(31).wrapping_add(u32::from(*byte));
            remote.address.iter().fold(u32::from(remote.network), hash)
        })
    });
    u64::from(route) << 16 | u64::from(from) << 8 | u64::from(apdu.invoke)
}

/// Decimal digits alone: one way to write a number.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Network and address of a text such as `13:3d`.
fn read_route<'t>(text: &[u8], address: &'t mut [u8; 7]) -> Option<(u16, &'t [u8])> {
    let (network, digits) = core::str::from_utf8(text).ok()?.split_once(':')?;
    let network = number(network).and_then(|network| u16::try_from(network).ok())?;
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let held = address.get_mut(..pairs.len()).filter(|_| rest.is_empty())?;
    for (place, [high, low]) in held.iter_mut().zip(pairs) {
        *place = digit(*high)? << 4 | digit(*low)?;
    }
    Some((network, held))
}

/// A value in the type that the binding asks for, or the one that present values of the object type have (clause 12).
fn primitive(object_type: u32, value: Value, encoding: Encoding) -> Option<Primitive<'static>> {
    let number = value.as_f64();
    let state = number == 0.0 || number == 1.0;
    let whole = || (number.fract() == 0.0).then_some(number);
    let unsigned =
        || whole().filter(|number| (0.0..4_294_967_296.0).contains(number)).map(|number| number as u32);
    let signed = || whole().filter(|number| (-2_147_483_648.0..2_147_483_648.0).contains(number));
    match (encoding, object_type) {
        (Encoding::Native, 0..=2) | (Encoding::F32, _) => Some(Primitive::Real(number as f32)),
        (Encoding::Native, 46) | (Encoding::F64, _) => Some(Primitive::Double(number)),
        (Encoding::Native | Encoding::Bit(0), 3..=5) => state.then_some(Primitive::Enumerated(number as u32)),
        (Encoding::Native, 13 | 14 | 19 | 48) => unsigned().map(Primitive::Unsigned),
        (Encoding::Native, 45) => signed().map(|number| Primitive::Signed(number as i32)),
        (Encoding::Bit(0), _) => state.then_some(Primitive::Boolean(number != 0.0)),
        (Encoding::U8 | Encoding::U16 | Encoding::U32, _) => unsigned().map(Primitive::Unsigned),
        (Encoding::I8 | Encoding::I16 | Encoding::I32, _) => {
            signed().map(|number| Primitive::Signed(number as i32))
        }
        (Encoding::Native, _) => Some(match value {
            Value::Boolean(state) => Primitive::Boolean(state),
            Value::Integer(_) => unsigned().map(Primitive::Unsigned)?,
            _ => Primitive::Real(number as f32),
        }),
        _ => None,
    }
}
