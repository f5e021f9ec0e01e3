//! Legal packets, to be written.

use super::property::Properties;
use super::view::{Connect, Packet, Publish, Version, View, Will, kind};

/// A packet that the standard allows, for one version.
///
/// ```
/// use twinguard_protocol::protocols::mqtt::{Packet, Publish, Repr, Version};
///
/// let packet = Packet::Publish(Publish { topic: b"a/b", payload: b"21", ..Publish::default() });
/// let mut bytes = Vec::new();
/// Repr::new(Version::V311, packet).unwrap().emit(&mut bytes);
/// assert_eq!(bytes, b"\x30\x07\0\x03a/b21");
/// assert!(Repr::new(Version::V311, Packet::Publish(Publish { topic: b"a/#", ..Publish::default() })).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repr<'a> {
    version: Version,
    packet: Packet<'a>,
}

impl<'a> Repr<'a> {
    /// A packet of this version; `None` when the standard forbids it, or it is longer than 268,435,455 bytes.
    #[must_use]
    pub fn new(version: Version, packet: Packet<'a>) -> Option<Self> {
        let repr = Self { version, packet };
        let mut bytes = Vec::new();
        repr.emit(&mut bytes);
        let view = View::new(&bytes, version)?;
        (version != Version::Unknown && view.oddities().is_empty() && view.packet() == packet).then_some(repr)
    }

    /// What it says.
    #[must_use]
    pub const fn packet(&self) -> &Packet<'a> {
        &self.packet
    }

    /// Appends its bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let (mut body, five) = (Vec::new(), self.version == Version::V5);
        let head = match &self.packet {
            Packet::Connect(connect) => {
                emit_connect(connect, &mut body);
                kind::CONNECT << 4
            }
            Packet::ConnAck { flags, code, properties } => {
                body.extend([*flags, *code]);
                put_properties(properties, five, &mut body);
                kind::CONNACK << 4
            }
            Packet::Publish(Publish { dup, qos, retain, topic, id, properties, payload }) => {
                put_text(topic, &mut body);
                body.extend(id.iter().flat_map(|id| id.to_be_bytes()));
                put_properties(properties, five, &mut body);
                body.extend_from_slice(payload);
                kind::PUBLISH << 4 | u8::from(*dup) << 3 | (qos & 3) << 1 | u8::from(*retain)
            }
            Packet::Ack { kind, id, reason, properties } => {
                body.extend(id.to_be_bytes());
                put_end(*reason, properties, five, &mut body);
                kind << 4 | if *kind == kind::PUBREL { 2 } else { 0 }
            }
            Packet::Subscribe { id, properties, filters } => {
                body.extend(id.to_be_bytes());
                put_properties(properties, five, &mut body);
                body.extend_from_slice(filters.as_bytes());
                let kind = if filters.has_options() { kind::SUBSCRIBE } else { kind::UNSUBSCRIBE };
                kind << 4 | 2
            }
            Packet::SubAck { kind, id, properties, codes } => {
                body.extend(id.to_be_bytes());
                put_properties(properties, five, &mut body);
                body.extend_from_slice(codes);
                kind << 4
            }
            Packet::Ping { kind } => kind << 4,
            Packet::End { kind, reason, properties } => {
                put_end(*reason, properties, five, &mut body);
                kind << 4
            }
            Packet::Opaque { data } => {
                body.extend_from_slice(data);
                0
            }
        };
        out.push(head);
        put_number(body.len(), out);
        out.append(&mut body);
    }
}

impl Default for Publish<'_> {
    /// An empty message to no topic, to be delivered at most once.
    fn default() -> Self {
        let properties = Properties::default();
        Self { dup: false, qos: 0, retain: false, topic: &[], id: None, properties, payload: &[] }
    }
}

/// Variable byte integer (V5 §1.5.5).
fn put_number(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Text behind its length; what is too long for it makes the packet read back different.
fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

fn put_properties(properties: &Properties<'_>, five: bool, out: &mut Vec<u8>) {
    if five {
        put_number(properties.as_bytes().len(), out);
        out.extend_from_slice(properties.as_bytes());
    }
}

/// Reason and properties, both left out where the standard lets them (V5 §3.4.2.1).
fn put_end(reason: Option<u8>, properties: &Properties<'_>, five: bool, out: &mut Vec<u8>) {
    if let (true, Some(reason)) = (five, reason) {
        out.push(reason);
        if !properties.as_bytes().is_empty() {
            put_properties(properties, five, out);
        }
    }
}

fn emit_connect(connect: &Connect<'_>, out: &mut Vec<u8>) {
    let five = connect.level & 0x7f == 5;
    put_text(connect.protocol, out);
    out.extend([connect.level, connect.flags]);
    out.extend(connect.keep_alive.to_be_bytes());
    put_properties(&connect.properties, five, out);
    put_text(connect.client_id, out);
    if let Some(Will { properties, topic, payload, .. }) = &connect.will {
        put_properties(properties, five, out);
        put_text(topic, out);
        put_text(payload, out);
    }
    connect.user.iter().chain(&connect.password).for_each(|text| put_text(text, out));
}

#[cfg(test)]
mod tests {
    use super::super::view::Filters;
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        "[a-z/]{1,12}".prop_map(String::into_bytes)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            topic in text(), payload in prop::collection::vec(any::<u8>(), 0..300), id in 1..=u16::MAX,
            (kind, qos, dup, retain) in (1..16u8, 0..3u8, any::<bool>(), any::<bool>()),
            (five, user, will, code) in (any::<bool>(), any::<bool>(), any::<bool>(), 0..3u8),
        ) {
            let version = if five { Version::V5 } else { Version::V311 };
            let bytes = [0x26, 0, 1, b'k', 0, 1, b'v', 0x02, 0, 0, 0, 9];
            let properties = if five { Properties::new(&bytes) } else { Properties::default() };
            let mut filters = Vec::new();
            put_text(&topic, &mut filters);
            filters.push(qos);
            let reason = if five { Some(code) } else { None };
            let packet = match kind {
                1 => Packet::Connect(Connect {
                    protocol: b"MQTT",
                    level: if five { 5 } else { 4 },
                    flags: 2 + u8::from(user) * 0xc0 + u8::from(will) * (4 + (qos << 3) + (u8::from(retain) << 5)),
                    keep_alive: id,
                    properties: if five { Properties::new(&[0x21, 0, 9]) } else { Properties::default() },
                    client_id: &topic,
                    will: will.then_some(Will {
                        qos, retain, properties: Properties::default(), topic: &topic, payload: &payload,
                    }),
                    user: user.then_some(&topic),
                    password: user.then_some(&payload),
                }),
                2 => Packet::ConnAck { flags: u8::from(dup), code, properties: if five { Properties::new(&[0x21, 0, 9]) } else { Properties::default() } },
                3 => Packet::Publish(Publish {
                    dup: dup && qos > 0, qos, retain, topic: &topic, id: (qos > 0).then_some(id), properties, payload: &payload,
                }),
                4..=7 => Packet::Ack { kind, id, reason, properties },
                8 => Packet::Subscribe { id, properties, filters: Filters::subscribe(&filters) },
                10 => Packet::Subscribe { id, properties, filters: Filters::unsubscribe(&filters[..filters.len() - 1]) },
                9 => Packet::SubAck { kind, id, properties, codes: &filters[filters.len() - 1..] },
                11 => Packet::SubAck { kind, id, properties, codes: if five { &[0] } else { &[] } },
                12 | 13 => Packet::Ping { kind },
                14 => Packet::End { kind, reason, properties },
                _ => Packet::End { kind, reason: Some(0x18), properties: Properties::new(&[0x15, 0, 1, b'm']) },
            };
            let version = if kind == 15 { Version::V5 } else { version };
            let repr = Repr::new(version, packet);
            prop_assert!(repr.is_some(), "{packet:?}");
            let mut out = Vec::new();
            repr.unwrap().emit(&mut out);
            let view = View::new(&out, version).unwrap();
            prop_assert_eq!(view.packet(), packet);
            prop_assert!(view.oddities().is_empty());
        }
    }

    #[test]
    fn what_the_standard_forbids_cannot_be_built() {
        let publish = Publish { topic: b"a", ..Publish::default() };
        for bad in [
            Publish { qos: 3, ..publish },
            Publish { qos: 1, id: None, ..publish },
            Publish { id: Some(1), ..publish },
            Publish { qos: 1, id: Some(0), ..publish },
            Publish { dup: true, ..publish },
            Publish { topic: b"", ..publish },
            Publish { properties: Properties::new(&[1, 1]), ..publish },
        ] {
            // An identifier without its quality would be read as payload.
            assert_eq!(Repr::new(Version::V311, Packet::Publish(bad)), None, "{bad:?}");
        }
        assert_eq!(Repr::new(Version::V311, Packet::Opaque { data: &[] }), None);
        assert_eq!(Repr::new(Version::Unknown, Packet::Ping { kind: 12 }), None);
    }
}
