//! MQTT 3.1, 3.1.1 and 5.0, with Sparkplug B.
//!
//! Sources: *MQTT Version 3.1.1* (OASIS, 2014; clauses V3 §…), *MQTT Version 5.0* (OASIS, 2019; V5 §…), *MQTT V3.1
//! Protocol Specification* (IBM and Eurotech, 2010), *Sparkplug Specification* 3.0.0 (Eclipse, 2022).
//!
//! A tag is the topic, and its value is the payload where that is a number, a state or a text. In Sparkplug the tag is
//! `spBv1.0/<group>/<edge node>/<device>/<metric>`, whatever message tells or commands the metric; metrics of an edge node
//! itself have an empty device: `spBv1.0/plant/edge1/pump/level`, `spBv1.0/plant/edge1//Node Control/Rebirth`.
//!
//! What a server passes on is known again ([`Shared`]) and counts as an echo, so that a value is told and a command
//! counted once, however many subscribers lie on the tapped network.

use core::fmt;

use twinguard_types::{Encoding, Label, Oddity, Quality, Value};

mod fields;
mod property;
mod repr;
pub mod sparkplug;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use property::{Properties, PropertyValue, TOPIC_ALIAS};
pub use repr::Repr;
pub use state::{
    ALIASES_MAX, BIRTHS_MAX, Birth, METRICS_MAX, NAMES_MAX, PASSED_BYTES_MAX, PASSED_MAX, SEQUENCES_MAX,
    Session, Shared,
};
pub use view::{Connect, Filters, Packet, Publish, Version, View, Will, kind};

use crate::encoding;
use crate::protocol::{
    Access, Action, Block, Carrier, Change, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities,
    Protocol, Scalar, Sender, Tag, Write,
};
use sparkplug::{Metric, Payload, Topic, Wire, data_type};
use state::Aliases;

/// The registered port.
pub const PORT: u16 = 1883;
/// Longest payload that is read as a text or a number.
const TEXT_MAX: usize = 4096;
/// The space of Sparkplug's tags; topics are in space 0.
const METRICS: u64 = 1;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Mqtt;

/// A packet with what its conversation tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    view: View<'a>,
    sender: Sender,
    /// Whether it goes from the higher address to the lower: tells directions apart where roles are not known.
    reversed: bool,
    /// Of a publication, also where an alias stood for it.
    topic: &'a [u8],
    /// What explains the metrics of a Sparkplug payload.
    birth: Option<&'a Birth>,
    /// Milliseconds at which a Sparkplug payload was published.
    time: Option<u64>,
    /// Whether the server passes on what was told before.
    passed: bool,
}

impl<'a> Message<'a> {
    /// The packet.
    #[must_use]
    pub const fn view(&self) -> &View<'a> {
        &self.view
    }

    /// The topic of a publication, also where an alias stood for it; empty for others.
    #[must_use]
    pub const fn topic(&self) -> &'a [u8] {
        self.topic
    }

    /// The topic as Sparkplug reads it.
    #[must_use]
    pub fn sparkplug(&self) -> Option<Topic<'a>> {
        Topic::new(self.topic)
    }

    fn action(&self) -> Option<Action> {
        match self.view.packet() {
            Packet::Connect(Connect { user: Some(_), .. }) => Some(Action::Login),
            Packet::Connect(_) => Some(Action::Connect),
            Packet::End { kind: kind::DISCONNECT, .. } => Some(Action::Disconnect),
            // Who wants to hear everything looks around.
            Packet::Subscribe { filters, .. } if filters.has_options() => {
                let all = |filter: &[u8]| matches!(filter, b"#" | b"+/#" | b"$SYS/#" | b"spBv1.0/#");
                filters.iter().any(|(filter, _)| all(filter)).then_some(Action::Browse)
            }
            // Sparkplug 3.0.0 §6.4.19: a metric that edge nodes may offer.
            Packet::Publish(Publish { payload, .. }) if self.is_command() => Payload::new(payload)
                .metrics()
                .any(|metric| named(self.birth, &metric).0 == Some(b"Node Control/Reboot"))
                .then_some(Action::Restart),
            _ => None,
        }
    }

    fn is_command(&self) -> bool {
        !self.passed && self.sparkplug().is_some_and(|topic| topic.kind.is_command())
    }

    /// The metrics of a Sparkplug publication.
    fn metrics(&self, topic: Topic<'a>, payload: &'a [u8]) -> Metrics<'a> {
        let Topic { group, kind, place } = topic;
        let access = match kind.is_command() {
            _ if self.passed => Access::Echo,
            true => Access::Write,
            false => Access::Read,
        };
        let (birth, time) = (self.birth, self.time);
        Metrics { fields: sparkplug::Fields::new(payload), group, place, access, birth, time }
    }

    /// The value of a publication outside Sparkplug.
    fn plain(&self) -> Option<Block<'a>> {
        let Packet::Publish(Publish { payload, retain, .. }) = self.view.packet() else { return None };
        // Topics that would read as a metric's tag are none of ours.
        if payload.is_empty() || metric_tag(self.topic).is_some() {
            return None;
        }
        // A topic that no standard allows is the address of nothing.
        let legal = !self.topic.is_empty() && view::is_topic(self.topic);
        let address = legal.then_some(0);
        let tag = Tag { space: 0, name: Name::new([self.topic]), address };
        let access = if self.passed { Access::Echo } else { Access::Read };
        let data = Data::Scalar { raw: payload, value: text_value(payload) };
        // A client that subscribes gets what was kept, however old (V5 §3.3.1.3).
        let old = retain && self.sender == Sender::Server;
        let quality = if old { Quality::Uncertain } else { Quality::Good };
        Some(Block { quality, ..Block::new(tag, access, data) })
    }
}

/// The type of the answer that a request awaits, and its packet identifier.
#[inline]
fn awaits(packet: &Packet<'_>) -> Option<(u8, u16)> {
    match *packet {
        Packet::Publish(Publish { dup: false, qos: qos @ 1..=2, id: Some(id), .. }) => {
            Some((if qos == 1 { kind::PUBACK } else { kind::PUBREC }, id))
        }
        Packet::Ack { kind: kind::PUBREL, id, .. } => Some((kind::PUBCOMP, id)),
        Packet::Subscribe { id, filters, .. } => {
            Some((if filters.has_options() { kind::SUBACK } else { kind::UNSUBACK }, id))
        }
        Packet::Connect(_) => Some((kind::CONNACK, 0)),
        Packet::Ping { kind: kind::PINGREQ } => Some((kind::PINGRESP, 0)),
        _ => None,
    }
}

/// The packet identifier and the code of an answer.
#[inline]
fn answers(packet: &Packet<'_>) -> Option<(u16, u8)> {
    match *packet {
        Packet::Ack { kind, id, reason, .. } if kind != kind::PUBREL => Some((id, reason.unwrap_or(0))),
        Packet::SubAck { id, codes, .. } => Some((id, codes.iter().copied().max().unwrap_or(0))),
        Packet::ConnAck { code, .. } => Some((0, code)),
        Packet::Ping { kind: kind::PINGRESP } => Some((0, 0)),
        _ => None,
    }
}

/// The code of an answer that refuses: from 0x80 (V5 §2.4), in CONNACK before 5.0 from 1 (V3 §3.2.2.3).
fn refuses(packet: &Packet<'_>) -> Option<u8> {
    let (_, code) = answers(packet)?;
    let connack = matches!(packet, Packet::ConnAck { .. });
    (code >= 0x80 || connack && code != 0).then_some(code)
}

/// Name and data type of a metric, by itself or by the birth; no name where an alias means nothing.
#[inline]
fn named<'a>(birth: Option<&'a Birth>, metric: &Metric<'a>) -> (Option<&'a [u8]>, u32) {
    if !metric.name.is_empty() {
        let known = if metric.data_type == 0 { birth } else { None };
        return (Some(metric.name), known.map_or(0, |birth| birth.data_type(metric.name)));
    }
    let found = metric.alias.and_then(|alias| birth?.by_alias(alias));
    found.map_or((None, 0), |(name, data_type)| (Some(name), data_type))
}

/// The values of a publication.
#[derive(Clone, Debug)]
pub struct Blocks<'a>(Values<'a>);

#[derive(Clone, Debug)]
enum Values<'a> {
    /// The one of this message, if it has one.
    Plain(Option<Message<'a>>),
    Metrics(Metrics<'a>),
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        match &mut self.0 {
            Values::Plain(message) => message.take()?.plain(),
            Values::Metrics(metrics) => metrics.next(),
        }
    }
}

/// Metrics that are still to be told.
#[derive(Clone, Debug)]
struct Metrics<'a> {
    fields: sparkplug::Fields<'a>,
    group: &'a [u8],
    place: &'a [u8],
    access: Access,
    birth: Option<&'a Birth>,
    time: Option<u64>,
}

impl<'a> Metrics<'a> {
    fn next(&mut self) -> Option<Block<'a>> {
        let bytes = self.fields.find_map(|(number, wire)| match wire {
            Wire::Bytes(bytes) if number == 2 => Some(bytes),
            _ => None,
        })?;
        let metric = Metric::new(bytes);
        let (name, data_type) = named(self.birth, &metric);
        let address = name.map(|_| 0);
        let name = Name::new([self.group, self.place, name.unwrap_or_default()]);
        Some(Block {
            variant: metric.alias.unwrap_or_default().min(u64::from(u32::MAX)) as u32,
            quality: metric.quality(),
            at: metric.timestamp.or(self.time).and_then(sparkplug::time),
            ..Block::new(Tag { space: METRICS, name, address }, self.access, metric.data(data_type))
        })
    }
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    action: Option<Action>,
}

impl Protocol for Mqtt {
    const FAMILY: Label = Label::literal("mqtt");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT)];

    type Pdu<'a> = Message<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = Shared;
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        // V5 §2.1.4: the length has up to four bytes.
        let Some((_, rest)) = bytes.split_first() else { return Cut::More(2) };
        let mut cursor = property::Cursor::new(rest);
        match cursor.number() {
            Some((remaining, _)) => {
                let total = bytes.len() - cursor.rest().len() + remaining as usize;
                if total <= bytes.len() { Cut::Message(total) } else { Cut::More(total) }
            }
            None if rest.len() >= 4 => Cut::Foreign,
            None => Cut::More(bytes.len() + 1),
        }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found, mut sure) = (bytes, Sender::Unknown, false);
        for _ in 0..8 {
            let Cut::Message(len) = Self::cut(rest) else { return None };
            let (packet, after) = rest.split_at_checked(len)?;
            let (sender, strong) = telling(packet)?;
            match (found, sender) {
                (_, Sender::Unknown) => {}
                (Sender::Unknown, _) => found = sender,
                (known, sender) if known == sender => {}
                _ => return None,
            }
            sure |= strong;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        sure.then_some(found)
    }

    fn decode<'a>(
        session: &'a mut Session,
        shared: &'a mut Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<Message<'a>> {
        let mut view = View::new(bytes, session.version)?;
        if session.version == Version::Unknown
            && let Some(version) = version_of(&view)
        {
            session.version = version;
            view = View::new(bytes, version)?;
        }
        let reversed = context.source > context.destination;
        let mut message = Message {
            view,
            sender: context.sender,
            reversed,
            topic: &[],
            birth: None,
            time: None,
            passed: false,
        };
        match view.packet() {
            Packet::Connect(connect) => {
                let will = connect.will.and_then(|will| state::birth_death(&Payload::new(will.payload)));
                session.connect(view::level_of(connect.level), will);
            }
            Packet::Publish(publish) => published(&mut message, session, shared, context, &publish),
            _ => {}
        }
        Some(message)
    }

    #[inline]
    fn header(message: &Message<'_>) -> Header {
        let packet = message.view.packet();
        let (kind, key) = match (awaits(&packet), answers(&packet)) {
            (Some((awaited, id)), _) => (awaited, Some((message.reversed, id))),
            (None, Some((id, _))) => (message.view.kind(), Some((!message.reversed, id))),
            (None, None) => (0, None),
        };
        let key = key.map(|(from, id)| u64::from(from) << 20 | u64::from(kind) << 16 | u64::from(id));
        let function = u16::from(message.view.kind());
        let publication = message.view.kind() == kind::PUBLISH;
        Header { kind: if publication { Kind::Event } else { Kind::Control }, unit: 0, function, key }
    }

    #[inline]
    fn part(message: &Message<'_>) -> Kind {
        let packet = message.view.packet();
        match (awaits(&packet), answers(&packet)) {
            (Some(_), _) => Kind::Request,
            (None, Some(_)) if refuses(&packet).is_some() => Kind::Exception,
            (None, Some(_)) => Kind::Response,
            (None, None) => Self::header(message).kind,
        }
    }

    #[inline]
    fn oddities(message: &Message<'_>) -> Oddities {
        *message.view.oddities()
    }

    #[inline]
    fn memo(message: &Message<'_>) -> Memo {
        Memo { action: message.action() }
    }

    #[inline]
    fn fit(_memo: &Memo, _message: &Message<'_>) -> Fit {
        // The key tells the packet type as well.
        Fit::Exact
    }

    fn refusal(message: &Message<'_>) -> Option<u8> {
        refuses(&message.view.packet())
    }

    fn action(memo: &Memo) -> Option<Action> {
        memo.action
    }

    #[inline]
    fn blocks<'a>(message: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        Blocks(match (message.sparkplug(), message.view.packet()) {
            (Some(topic), Packet::Publish(Publish { payload, .. })) => {
                Values::Metrics(message.metrics(topic, payload))
            }
            (None, Packet::Publish(_)) => Values::Plain(Some(*message)),
            _ => Values::Plain(None),
        })
    }

    /// A publication of quality of service 0, as 3.1.1 writes it: for a metric NCMD or DCMD without times, else the value
    /// as text. The data type is the binding's, or the one that fits the value.
    fn command(write: &Write<'_>, _number: u32, out: &mut Vec<u8>) -> Option<()> {
        let Change::Scalar { value, encoding } = write.change else { return None };
        let [first, place, metric] = write.tag.name.parts();
        let (mut topic, mut payload) = (Vec::new(), Vec::new());
        if write.tag.space == METRICS {
            let command = if place.contains(&b'/') { "DCMD" } else { "NCMD" };
            topic = [sparkplug::NAMESPACE, first, command.as_bytes(), place].join(&b'/');
            Topic::new(&topic)?;
            let mut bytes = [0; 8];
            let (data_type, value) = metric_value(value, encoding, &mut bytes)?;
            let metric = Metric { name: metric, data_type, value: Some(value), ..Metric::default() };
            sparkplug::emit(None, None, &[metric], &mut payload);
        } else {
            topic.extend_from_slice(first);
            payload = match value {
                Value::Boolean(state) => state.to_string(),
                Value::Integer(number) => number.to_string(),
                _ => value.as_f64().to_string(),
            }
            .into_bytes();
        }
        let publish = Publish { topic: &topic, payload: &payload, ..Publish::default() };
        Repr::new(Version::V311, Packet::Publish(publish))?.emit(out);
        Some(())
    }

    fn fields(message: &Message<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(message, put);
    }

    fn function_name(function: u16) -> &'static str {
        const NAMES: [&str; 16] = [
            "reserved",
            "connect",
            "connack",
            "publish",
            "puback",
            "pubrec",
            "pubrel",
            "pubcomp",
            "subscribe",
            "suback",
            "unsubscribe",
            "unsuback",
            "pingreq",
            "pingresp",
            "disconnect",
            "auth",
        ];
        NAMES.get(usize::from(function)).copied().unwrap_or("undefined")
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        if text.is_empty() || !view::is_topic(text.as_bytes()) && metric_tag(text.as_bytes()).is_none() {
            return None;
        }
        let Some(levels) = metric_tag(text.as_bytes()) else {
            return Some(Tag { space: 0, name: Name::new([text.as_bytes()]), address: Some(0) });
        };
        Some(Tag { space: METRICS, name: Name::new(levels?), address: Some(0) })
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, place, metric] = tag.name.parts().map(String::from_utf8_lossy);
        let metric = if tag.address.is_none() { "?".into() } else { metric };
        if tag.space == METRICS {
            let node = if place.contains('/') { "" } else { "/" };
            write!(f, "spBv1.0/{first}/{place}{node}/{metric}")
        } else if first.is_empty() {
            f.write_str("?")
        } else {
            f.write_str(&first)
        }
    }

    fn write_place(tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::write_tag(tag, f)?;
        // An alias without a birth that explains it.
        if tag.space == METRICS && tag.address.is_none() { write!(f, "{variant}") } else { Ok(()) }
    }
}

/// Group, place and metric of a text with the levels of a metric's tag; `None` inside where a level is empty that may
/// not be, `None` for all other texts.
fn metric_tag(text: &[u8]) -> Option<Option<[&[u8]; 3]>> {
    let rest = text.strip_prefix(sparkplug::NAMESPACE)?.strip_prefix(b"/")?;
    let (group, rest) = sparkplug::split(rest)?;
    let (node, below) = sparkplug::split(rest)?;
    let (device, metric) = sparkplug::split(below)?;
    let place = if device.is_empty() { node } else { rest.get(..node.len() + 1 + device.len())? };
    let legal = ![group, node, metric].iter().any(|level| level.is_empty());
    Some(legal.then_some([group, place, metric]))
}

/// Number of the data type and field of a value, by the binding's encoding (Sparkplug 3.0.0 §6.4.16).
fn metric_value<'a>(
    value: Value,
    encoding: Encoding,
    bytes: &'a mut [u8; 8],
) -> Option<(u32, (u32, Wire<'a>))> {
    let number = value.as_f64();
    let whole = |encoding: Encoding| {
        let mut all = [0; 8];
        let len = encoding.bytes();
        encoding::encode(number, encoding, all.get_mut(8 - len..)?)?;
        Some(Wire::Varint(u64::from_be_bytes(all)))
    };
    Some(match (encoding, value) {
        (Encoding::Bit(0), _) if number == 0.0 || number == 1.0 => {
            (data_type::BOOLEAN, (14, Wire::Varint(number as u64)))
        }
        (Encoding::Native, Value::Boolean(state)) => {
            (data_type::BOOLEAN, (14, Wire::Varint(u64::from(state))))
        }
        (Encoding::Native | Encoding::I64, Value::Integer(number)) => {
            (data_type::INT64, (11, Wire::Varint(number as u64)))
        }
        (Encoding::I8, _) => (data_type::INT8, (10, whole(encoding)?)),
        (Encoding::I16, _) => (data_type::INT16, (10, whole(encoding)?)),
        (Encoding::I32, _) => (data_type::INT32, (10, whole(encoding)?)),
        (Encoding::I64, _) => (data_type::INT64, (11, whole(encoding)?)),
        (Encoding::U8, _) => (data_type::UINT8, (10, whole(encoding)?)),
        (Encoding::U16, _) => (data_type::UINT16, (10, whole(encoding)?)),
        (Encoding::U32, _) => (data_type::UINT32, (10, whole(encoding)?)),
        (Encoding::U64, _) => (data_type::UINT64, (11, whole(encoding)?)),
        (Encoding::F32, _) => {
            let narrow = number as f32;
            let (float, _) = bytes.split_first_chunk_mut()?;
            *float = narrow.is_finite().then_some(narrow)?.to_le_bytes();
            (data_type::FLOAT, (12, Wire::Bytes(float)))
        }
        (Encoding::F64 | Encoding::Native, _) => {
            *bytes = number.to_le_bytes();
            (data_type::DOUBLE, (13, Wire::Bytes(bytes)))
        }
        _ => return None,
    })
}

/// What a payload says as text: a number, a state, a JSON string, any other text.
fn text_value(payload: &[u8]) -> Scalar<'_> {
    if payload.len() > TEXT_MAX {
        return Scalar::Opaque;
    }
    let Ok(text) = core::str::from_utf8(payload) else { return Scalar::Opaque };
    let text = text.trim_ascii();
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Scalar::Boolean(text.len() == 4);
    }
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.len() <= 40 && text.bytes().all(numeric) {
        if let Ok(number) = text.parse() {
            return Scalar::Signed(number);
        }
        if let Ok(number) = text.parse() {
            return Scalar::Unsigned(number);
        }
        if let Ok(number) = text.parse() {
            return Scalar::Float(number);
        }
    }
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match quoted {
        Some(inner) if !inner.contains(['"', '\\']) => Scalar::Text(inner.as_bytes()),
        _ => Scalar::Text(payload),
    }
}

/// The version that the length of a packet gives away.
fn version_of(view: &View<'_>) -> Option<Version> {
    match (view.kind(), view.remaining()) {
        (kind::CONNACK | kind::UNSUBACK, 2) => Some(Version::V311),
        (kind::CONNACK | kind::UNSUBACK | kind::PUBACK..=kind::PUBCOMP, 3..) => Some(Version::V5),
        (kind::DISCONNECT | kind::AUTH, 1..) => Some(Version::V5),
        (kind::SUBSCRIBE | kind::UNSUBSCRIBE, _) => {
            let plain = view.oddities().is_empty();
            let five =
                || View::new(view.as_bytes(), Version::V5).is_some_and(|view| view.oddities().is_empty());
            if plain { None } else { five().then_some(Version::V5) }
        }
        _ => None,
    }
}

/// Who sends a legal packet, and whether it alone says beyond doubt that this is MQTT; `None` for all others.
fn telling(packet: &[u8]) -> Option<(Sender, bool)> {
    let legal = |version| View::new(packet, version).filter(|view| view.oddities().is_empty());
    let view = legal(Version::V311).or_else(|| legal(Version::V5)).or_else(|| legal(Version::V31))?;
    Some(match view.packet() {
        Packet::Connect(_) => (Sender::Client, true),
        Packet::Subscribe { .. } => (Sender::Client, true),
        // A text of some length at the right place, and all of the bytes accounted for.
        Packet::Publish(publish) => {
            let shown = publish.topic.iter().all(|byte| *byte >= b' ' && *byte != 0x7f);
            (Sender::Unknown, shown && publish.topic.len() >= 4)
        }
        Packet::Ping { kind: kind::PINGREQ } => (Sender::Client, false),
        Packet::ConnAck { .. } | Packet::SubAck { .. } | Packet::Ping { .. } => (Sender::Server, false),
        _ => (Sender::Unknown, false),
    })
}

/// Topic, Sparkplug and earlier copies of a publication.
fn published<'a>(
    message: &mut Message<'a>,
    session: &'a mut Session,
    shared: &'a mut Shared,
    context: &Context,
    publish: &Publish<'a>,
) {
    let (reversed, at) = (message.reversed, message.view.as_bytes().len() - publish.payload.len());
    let Session { aliases, sequences, .. } = session;
    let oddities = message.view.oddities_mut();
    message.topic = publish.topic;
    if let Some(alias) = publish.properties.number(TOPIC_ALIAS).map(|alias| alias as u16) {
        // V5 §3.3.2.3.4.
        if alias == 0 {
            oddities.push(Oddity::BadValue, 0);
        }
        if !publish.topic.is_empty() {
            if !aliases.enter(reversed, alias, publish.topic) {
                oddities.push(Oddity::Dropped, 0);
            }
        } else if let Some(topic) = (aliases as &'a Aliases).topic(reversed, alias) {
            message.topic = topic;
        } else {
            oddities.push(Oddity::BadAddress, 0);
        }
    }
    if context.sender != Sender::Unknown {
        let to = (context.sender == Sender::Server).then_some(context.destination);
        message.passed = shared.passes(message.topic, publish.payload, to);
    }
    let Some(topic) = Topic::new(message.topic) else { return };
    let payload = Payload::new(publish.payload);
    let (time, sequence, flaw) = payload.head();
    message.time = time;
    if let Some(flaw) = flaw {
        oddities.push(Oddity::Truncated, at + flaw);
    } else {
        sequences.follow(reversed, &topic, &payload, (sequence, at), oddities);
        if topic.kind.is_birth() {
            shared.born(&topic, &payload, at, oddities);
        }
    }
    message.birth = shared.of(&topic);
}
