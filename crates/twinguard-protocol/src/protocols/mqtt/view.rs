//! Any bytes as a control packet (V3 §2, §3; V5 §2, §3).

use crate::protocol::Oddities;
use twinguard_types::Oddity;

use super::property::{Cursor, Properties};

/// The version of a conversation, by the protocol level of its CONNECT (V5 §3.1.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// CONNECT was not seen: packets are read as 3.1.1 until one says otherwise.
    #[default]
    Unknown,
    /// 3.1, level 3.
    V31,
    /// 3.1.1, level 4.
    V311,
    /// 5.0, level 5.
    V5,
}

/// Control packet types (V5 §2.1.2).
#[allow(missing_docs, reason = "the standard's names")]
pub mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

/// A message to be published when its client is lost (V5 §3.1.3.2 to §3.1.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Quality of service, 0 to 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Properties, empty before 5.0.
    pub properties: Properties<'a>,
    /// Topic.
    pub topic: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
}

/// A client asks for a session (V5 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// `MQTT`, in 3.1 `MQIsdp`.
    pub protocol: &'a [u8],
    /// Protocol level: 3, 4, 5.
    pub level: u8,
    /// Connect flags (V5 §3.1.2.3).
    pub flags: u8,
    /// Seconds.
    pub keep_alive: u16,
    /// Properties, empty before 5.0.
    pub properties: Properties<'a>,
    /// Client identifier, may be empty.
    pub client_id: &'a [u8],
    /// What is to be said when it is lost.
    pub will: Option<Will<'a>>,
    /// User name.
    pub user: Option<&'a [u8]>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

/// An application message (V5 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether it may be a repetition.
    pub dup: bool,
    /// Quality of service; 3 is illegal.
    pub qos: u8,
    /// To the server: keep it; to a client: it was kept.
    pub retain: bool,
    /// Topic; empty where an alias stands for it.
    pub topic: &'a [u8],
    /// Packet identifier, with quality of service 1 and 2.
    pub id: Option<u16>,
    /// Properties, empty before 5.0.
    pub properties: Properties<'a>,
    /// Application message.
    pub payload: &'a [u8],
}

/// The topic filters of SUBSCRIBE, with a byte of options each (V5 §3.8.3), or of UNSUBSCRIBE, without (§3.10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters<'a> {
    bytes: &'a [u8],
    options: bool,
}

impl<'a> Filters<'a> {
    /// Filters with their options, as on the wire.
    #[must_use]
    pub const fn subscribe(bytes: &'a [u8]) -> Self {
        Self { bytes, options: true }
    }

    /// Filters alone, as on the wire.
    #[must_use]
    pub const fn unsubscribe(bytes: &'a [u8]) -> Self {
        Self { bytes, options: false }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Filter and options of each, up to the first that is cut; options are 0 where there are none.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], u8)> + 'a {
        let (mut cursor, options) = (Cursor::new(self.bytes), self.options);
        core::iter::from_fn(move || {
            let filter = cursor.text()?;
            Some((filter, if options { cursor.byte()? } else { 0 }))
        })
    }

    /// Whether options follow each.
    #[must_use]
    pub const fn has_options(&self) -> bool {
        self.options
    }

    /// Where the first one that is cut begins.
    fn flaw(&self) -> Option<usize> {
        let whole = self.iter().map(|(filter, _)| filter.len() + 2 + usize::from(self.options)).sum();
        (whole < self.bytes.len()).then_some(whole)
    }
}

/// What a control packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// CONNECT.
    Connect(Connect<'a>),
    /// CONNACK (V5 §3.2).
    ConnAck {
        /// Bit 0: a session was there.
        flags: u8,
        /// Return or reason code, 0 for accepted.
        code: u8,
        /// Properties.
        properties: Properties<'a>,
    },
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP (V5 §3.4 to §3.7).
    Ack {
        /// Packet type, 4 to 7.
        kind: u8,
        /// Packet identifier.
        id: u16,
        /// Reason code, where given.
        reason: Option<u8>,
        /// Properties.
        properties: Properties<'a>,
    },
    /// SUBSCRIBE or UNSUBSCRIBE (V5 §3.8, §3.10).
    Subscribe {
        /// Packet identifier.
        id: u16,
        /// Properties.
        properties: Properties<'a>,
        /// What to subscribe to, or no more.
        filters: Filters<'a>,
    },
    /// SUBACK or UNSUBACK (V5 §3.9, §3.11).
    SubAck {
        /// Packet type, 9 or 11.
        kind: u8,
        /// Packet identifier.
        id: u16,
        /// Properties.
        properties: Properties<'a>,
        /// A code each filter; none in an UNSUBACK before 5.0.
        codes: &'a [u8],
    },
    /// PINGREQ or PINGRESP (V5 §3.12, §3.13).
    Ping {
        /// Packet type, 12 or 13.
        kind: u8,
    },
    /// DISCONNECT or AUTH (V5 §3.14, §3.15).
    End {
        /// Packet type, 14 or 15.
        kind: u8,
        /// Reason code, where given.
        reason: Option<u8>,
        /// Properties.
        properties: Properties<'a>,
    },
    /// A reserved type, or fields that are not all there.
    Opaque {
        /// Everything behind the fixed header.
        data: &'a [u8],
    },
}

/// A control packet as it came; shows even nonsense.
///
/// ```
/// use twinguard_protocol::protocols::mqtt::{Packet, Version, View};
///
/// let view = View::new(b"\x30\x07\0\x03a/b21", Version::V311).unwrap();
/// let Packet::Publish(publish) = view.packet() else { panic!("not a publication") };
/// assert_eq!((publish.topic, publish.payload), (&b"a/b"[..], &b"21"[..]));
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    remaining: u32,
    /// Bytes of the fixed header.
    base: u8,
    version: Version,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// The packet that these bytes hold; `None` when they are fewer than a fixed header (V5 §2.1.1).
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], version: Version) -> Option<Self> {
        let (head, rest) = bytes.split_first()?;
        let mut oddities = Oddities::NONE;
        let mut cursor = Cursor::new(rest);
        let (remaining, shortest) = cursor.number()?;
        let held = cursor.rest();
        let body = held.get(..remaining as usize).unwrap_or(held);
        if body.len() != held.len() {
            oddities.push(Oddity::TrailingBytes, bytes.len() - held.len() + body.len());
        }
        if body.len() < remaining as usize {
            oddities.push(Oddity::Truncated, bytes.len());
        }
        if !shortest {
            oddities.push(Oddity::BadValue, 1);
        }
        let base = bytes.len() - held.len();
        let mut cursor = Cursor::new(body);
        let is_whole = read(*head, &mut cursor, version, base, &mut Rules(Some(&mut oddities))).is_some();
        let at = base + body.len() - cursor.rest().len();
        if is_whole {
            if !cursor.rest().is_empty() {
                oddities.push(Oddity::TrailingBytes, at);
            }
        } else if body.len() == remaining as usize && *head >> 4 != 0 {
            oddities.push(Oddity::Truncated, at);
        }
        Some(Self { bytes, remaining, base: base as u8, version, oddities })
    }

    /// All bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first byte: type and flags (V5 §2.1.1).
    #[inline]
    #[must_use]
    pub fn head(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Packet type, 0 to 15 (V5 §2.1.2).
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.head() >> 4
    }

    /// The remaining length as given.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// As which version it was read.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What it says: read from its bytes with each call, since a packet is much larger than what is kept of it.
    #[inline]
    #[must_use]
    pub fn packet(&self) -> Packet<'a> {
        let held = self.bytes.get(usize::from(self.base)..).unwrap_or_default();
        let data = held.get(..self.remaining as usize).unwrap_or(held);
        let packet = read(self.head(), &mut Cursor::new(data), self.version, 0, &mut Rules(None));
        packet.unwrap_or(Packet::Opaque { data })
    }

    /// What is odd about it.
    #[inline]
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    pub(super) const fn oddities_mut(&mut self) -> &mut Oddities {
        &mut self.oddities
    }
}

/// Where it is told which rules of the standard a packet breaks; `None` where that was told before.
struct Rules<'o>(Option<&'o mut Oddities>);

impl Rules<'_> {
    /// Flags a rule that does not hold; `at` is a byte offset in the packet.
    #[inline]
    fn require(&mut self, holds: impl FnOnce() -> bool, oddity: Oddity, at: usize) {
        if let Some(oddities) = &mut self.0
            && !holds()
        {
            oddities.push(oddity, at);
        }
    }
}

/// UTF-8 without the null character (V5 §1.5.4).
#[inline]
fn is_text(text: &[u8]) -> bool {
    !text.contains(&0) && (text.is_ascii() || core::str::from_utf8(text).is_ok())
}

/// A topic to publish to: text without wildcards (V5 §4.7.1, §4.7.3).
#[inline]
pub(super) fn is_topic(topic: &[u8]) -> bool {
    let mut plain = true;
    let mut ascii = 0;
    for byte in topic {
        plain &= !matches!(byte, 0 | b'#' | b'+');
        ascii |= byte;
    }
    plain && (ascii < 0x80 || core::str::from_utf8(topic).is_ok())
}

/// A topic filter: wildcards fill a level each, `#` the last (V5 §4.7.1).
pub(super) fn is_filter(filter: &[u8]) -> bool {
    let mut levels = filter.split(|byte| *byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(&b'#') || level.contains(&b'+');
        let alone = level == b"+" || level == b"#" && levels.peek().is_none();
        if wild && !alone {
            return false;
        }
    }
    !filter.is_empty() && is_text(filter)
}

/// The properties, where the version has them.
#[inline]
fn properties<'a>(
    cursor: &mut Cursor<'a>,
    version: Version,
    end: usize,
    rules: &mut Rules<'_>,
) -> Option<Properties<'a>> {
    if version != Version::V5 {
        return Some(Properties::default());
    }
    let properties = cursor.properties()?;
    if let Rules(Some(oddities)) = rules
        && let Some(flaw) = properties.flaw()
    {
        let begin = end - cursor.rest().len() - properties.as_bytes().len();
        oddities.push(Oddity::BadValue, begin + flaw);
    }
    Some(properties)
}

/// Reads what follows the fixed header, which ends at `base`; `None` when a field is not all there.
#[inline]
fn read<'a>(
    head: u8,
    cursor: &mut Cursor<'a>,
    version: Version,
    base: usize,
    rules: &mut Rules<'_>,
) -> Option<Packet<'a>> {
    let (kind, flags) = (head >> 4, head & 0xf);
    let end = base + cursor.rest().len();
    if kind == kind::PUBLISH {
        let qos = flags >> 1 & 3;
        let topic = cursor.text()?;
        let id = if qos == 0 { None } else { Some(cursor.word()?) };
        let after = cursor.rest();
        let properties = properties(cursor, version, end, rules)?;
        let payload = cursor.rest();
        *cursor = Cursor::new(&[]);
        // V5 §3.3.1.1, §3.3.1.2, §2.2.1, §3.3.2.1.
        rules.require(|| qos < 3 && (qos != 0 || flags & 8 == 0), Oddity::BadValue, 0);
        rules.require(|| id != Some(0), Oddity::BadValue, end - after.len() - 2);
        let named = !topic.is_empty() || !properties.as_bytes().is_empty();
        rules.require(|| named && is_topic(topic), Oddity::BadValue, base + 2);
        let (dup, retain) = (flags & 8 != 0, flags & 1 != 0);
        return Some(Packet::Publish(Publish { dup, qos, retain, topic, id, properties, payload }));
    }
    rare(kind, flags, cursor, version, (base, end), rules)
}

fn rare<'a>(
    kind: u8,
    flags: u8,
    cursor: &mut Cursor<'a>,
    version: Version,
    (base, end): (usize, usize),
    rules: &mut Rules<'_>,
) -> Option<Packet<'a>> {
    // V5 §2.1.3; 3.1 has flags for repetition and quality of service there.
    let reserved = match kind {
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 2,
        _ => 0,
    };
    let meant = if matches!(version, Version::V31 | Version::Unknown) { flags & 7 } else { flags };
    rules.require(|| kind == 0 || meant == reserved, Oddity::BadValue, 0);
    let five = version == Version::V5;
    let identified = |rules: &mut Rules<'_>, id: u16| {
        rules.require(|| id != 0, Oddity::BadValue, base);
        id
    };
    Some(match kind {
        kind::CONNECT => Packet::Connect(connect(cursor, (base, end), rules)?),
        kind::CONNACK => {
            let (flags, code) = (cursor.byte()?, cursor.byte()?);
            rules.require(|| flags < 2, Oddity::BadValue, base);
            rules.require(|| five || version == Version::Unknown || code < 6, Oddity::BadValue, base + 1);
            Packet::ConnAck { flags, code, properties: properties(cursor, version, end, rules)? }
        }
        kind::PUBACK | kind::PUBREC | kind::PUBREL | kind::PUBCOMP => {
            let id = identified(rules, cursor.word()?);
            // V5 §3.4.2.1: reason and properties may be left out.
            let reason = if five { cursor.byte() } else { None };
            let more = five && !cursor.rest().is_empty();
            let properties =
                if more { properties(cursor, version, end, rules)? } else { Properties::default() };
            Packet::Ack { kind, id, reason, properties }
        }
        kind::SUBSCRIBE | kind::UNSUBSCRIBE => {
            let id = identified(rules, cursor.word()?);
            let properties = properties(cursor, version, end, rules)?;
            let filters = Filters { bytes: cursor.rest(), options: kind == kind::SUBSCRIBE };
            let at = end - filters.bytes.len();
            rules.require(|| filters.iter().next().is_some(), Oddity::BadQuantity, at);
            if let Rules(Some(oddities)) = rules
                && let Some(flaw) = filters.flaw()
            {
                oddities.push(Oddity::Truncated, at + flaw);
            }
            // V5 §3.8.3.1: two bits of quality, the upper two reserved; before 5.0 only quality.
            let most = if five { 0x3f } else { 3 };
            let legal = |(filter, bits): (&[u8], u8)| {
                is_filter(filter) && bits & 3 != 3 && bits <= most && bits >> 4 != 3
            };
            rules.require(|| filters.iter().all(legal), Oddity::BadValue, at);
            *cursor = Cursor::new(&[]);
            Packet::Subscribe { id, properties, filters }
        }
        kind::SUBACK | kind::UNSUBACK => {
            let id = identified(rules, cursor.word()?);
            let properties = properties(cursor, version, end, rules)?;
            let codes = cursor.rest();
            // V3 §3.11: an UNSUBACK has no payload.
            let bare = kind == kind::UNSUBACK && !five;
            rules.require(|| codes.is_empty() == bare, Oddity::BadQuantity, base + 2);
            let known = |code: &u8| matches!(code, 0..=2 | 0x80);
            rules.require(|| five || codes.iter().all(known), Oddity::BadValue, end - codes.len());
            *cursor = Cursor::new(&[]);
            Packet::SubAck { kind, id, properties, codes }
        }
        kind::PINGREQ | kind::PINGRESP => Packet::Ping { kind },
        kind::DISCONNECT | kind::AUTH => {
            // V5 §2.1.2: 15 was reserved before 5.0.
            let known = five || kind == kind::DISCONNECT || version == Version::Unknown;
            rules.require(|| known, Oddity::UnknownFunction, 0);
            let reason = if five { cursor.byte() } else { None };
            let more = five && !cursor.rest().is_empty();
            let properties =
                if more { properties(cursor, version, end, rules)? } else { Properties::default() };
            Packet::End { kind, reason, properties }
        }
        _ => {
            rules.require(|| false, Oddity::UnknownFunction, 0);
            return None;
        }
    })
}

/// CONNECT (V3 §3.1, V5 §3.1); it says its version itself.
fn connect<'a>(
    cursor: &mut Cursor<'a>,
    (base, end): (usize, usize),
    rules: &mut Rules<'_>,
) -> Option<Connect<'a>> {
    let protocol = cursor.text()?;
    let (level, flags, keep_alive) = (cursor.byte()?, cursor.byte()?, cursor.word()?);
    let version = level_of(level);
    let name: &[u8] = if version == Version::V31 { b"MQIsdp" } else { b"MQTT" };
    // The upper bit marks a bridge in common use.
    rules.require(|| protocol == name && version != Version::Unknown, Oddity::BadProtocolId, base);
    let (will, qos) = (flags & 4 != 0, flags >> 3 & 3);
    // V5 §3.1.2.3, §3.1.2.6, §3.1.2.7, §3.1.2.9.
    let consistent = flags & 1 == 0
        && qos < 3
        && (will || flags & 0x38 == 0)
        && (version == Version::V5 || flags & 0xc0 != 0x40);
    rules.require(|| consistent, Oddity::BadValue, base + protocol.len() + 3);
    let properties_of =
        |cursor: &mut Cursor<'a>, rules: &mut Rules<'_>| properties(cursor, version, end, rules);
    let properties = properties_of(cursor, rules)?;
    let client_id = cursor.text()?;
    rules.require(|| is_text(client_id), Oddity::BadValue, end - cursor.rest().len() - client_id.len());
    let will = if will {
        let properties = properties_of(cursor, rules)?;
        let (topic, payload) = (cursor.text()?, cursor.text()?);
        rules.require(|| !topic.is_empty() && is_topic(topic), Oddity::BadValue, end - cursor.rest().len());
        Some(Will { qos, retain: flags & 0x20 != 0, properties, topic, payload })
    } else {
        None
    };
    let user = if flags & 0x80 != 0 { Some(cursor.text()?) } else { None };
    let password = if flags & 0x40 != 0 { Some(cursor.text()?) } else { None };
    Some(Connect { protocol, level, flags, keep_alive, properties, client_id, will, user, password })
}

/// The version of a protocol level (V5 §3.1.2.2); the upper bit is how bridges mark themselves.
pub(super) const fn level_of(level: u8) -> Version {
    match level & 0x7f {
        3 => Version::V31,
        4 => Version::V311,
        5 => Version::V5,
        _ => Version::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], version: Version, expect: &[(Oddity, u32)]) {
        let view = View::new(bytes, version).unwrap();
        let found: Vec<_> = view.oddities().iter().collect();
        assert_eq!(found, expect, "{:?}", view.packet());
    }

    #[test]
    fn legal_packets_have_nothing_odd() {
        use Version::{V5, V31, V311};
        // V3 figure 3.6: the example variable header of CONNECT, with a client identifier.
        check(b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01a", V311, &[]);
        check(b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x0a\0\x01a", V31, &[]);
        check(b"\x10\x13\0\x04MQTT\x05\x02\0\x0a\x05\x11\0\0\0\x0a\0\x01a", V5, &[]);
        // V3 §3.3.2.3: the example of PUBLISH, topic a/b, identifier 10.
        check(b"\x32\x07\0\x03a/b\0\x0a", V311, &[]);
        // V3 §3.8.3: the example payload of SUBSCRIBE, a/b with 1 and c/d with 2.
        check(b"\x82\x0e\0\x0a\0\x03a/b\x01\0\x03c/d\x02", V311, &[]);
        // V3 §3.9.3.
        check(b"\x90\x05\0\x0a\0\x02\x80", V311, &[]);
        check(b"\xb0\x02\0\x0a", V311, &[]);
        check(b"\xb0\x04\0\x0a\0\x11", V5, &[]);
        check(b"\x40\x03\0\x0a\x10", V5, &[]);
        check(b"\x62\x02\0\x0a", V5, &[]);
        check(b"\xe0\0", V5, &[]);
        check(b"\xe0\x01\x04", V5, &[]);
        check(b"\xc0\0", V31, &[]);
    }

    #[test]
    fn broken_rules_are_flagged_where_they_lie() {
        use Version::{V5, V311};
        check(b"\x36\x07\0\x03a/b\0\x0a", V311, &[(Oddity::BadValue, 0)]);
        check(b"\x32\x07\0\x03a/b\0\0", V311, &[(Oddity::BadValue, 7)]);
        check(b"\x30\x05\0\x03a/#", V311, &[(Oddity::BadValue, 4)]);
        check(b"\x30\x02\0\0", V311, &[(Oddity::BadValue, 4)]);
        check(b"\x30\x05\0\x09a/b", V311, &[(Oddity::Truncated, 2)]);
        check(b"\x80\x08\0\x0a\0\x03a/b\x01", V311, &[(Oddity::BadValue, 0)]);
        check(b"\x82\x02\0\x0a", V311, &[(Oddity::BadQuantity, 4)]);
        check(b"\x82\x08\0\x0a\0\x03a/b\x03", V311, &[(Oddity::BadValue, 4)]);
        check(b"\xc0\x01\x07", V311, &[(Oddity::TrailingBytes, 2)]);
        check(b"\0\x02\x01\x02", V311, &[(Oddity::UnknownFunction, 0)]);
        check(b"\xf0\0", V311, &[(Oddity::UnknownFunction, 0)]);
        check(b"\x40\x80\0", V311, &[(Oddity::BadValue, 1), (Oddity::Truncated, 3)]);
        check(b"\x40\x05\0\x0a\0\x01\x77", V5, &[(Oddity::BadValue, 6)]);
        check(b"\x40\x09\0\x0a", V5, &[(Oddity::Truncated, 4)]);
        check(b"\x10\x0d\0\x04MQTX\x04\x02\0\x0a\0\x01a", V311, &[(Oddity::BadProtocolId, 2)]);
        check(b"\x10\x0d\0\x04MQTT\x04\x03\0\x0a\0\x01a", V311, &[(Oddity::BadValue, 9)]);
        assert!(View::new(b"\x30", V311).is_none());
    }

    #[test]
    fn wildcards_fill_whole_levels() {
        for good in ["#", "+", "a/+/b", "a/#", "/", "+/+/#", "$SYS/x"] {
            assert!(is_filter(good.as_bytes()), "{good}");
        }
        for bad in ["", "a#", "a/#/b", "a+", "a/+b/c", "a\0"] {
            assert!(!is_filter(bad.as_bytes()), "{bad:?}");
        }
    }
}
