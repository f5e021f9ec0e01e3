//! Sparkplug B payloads (Sparkplug 3.0.0 §6.4): topics, the protobuf wire format, metrics.
//!
//! The wire format is that of the Protocol Buffers encoding guide: a key of field number and wire type, then the value.
//! Templates, data sets and arrays stay bytes: nothing here looks into a message inside a metric's value, so depth is
//! bounded by the schema.

use twinguard_types::{Quality, Timestamp};

use crate::protocol::{Data, Scalar};

/// The first level of all topics (§4.1.2).
pub(super) const NAMESPACE: &[u8] = b"spBv1.0";

/// The types of messages that carry metrics (§4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// An edge node tells all its metrics.
    NodeBirth,
    /// An edge node is gone.
    NodeDeath,
    /// A device tells all its metrics.
    DeviceBirth,
    /// A device is gone.
    DeviceDeath,
    /// An edge node tells what changed.
    NodeData,
    /// A device tells what changed.
    DeviceData,
    /// An edge node is told to change.
    NodeCommand,
    /// A device is told to change.
    DeviceCommand,
}

impl MessageType {
    const ALL: [(Self, &'static [u8]); 8] = [
        (Self::NodeBirth, b"NBIRTH"),
        (Self::NodeDeath, b"NDEATH"),
        (Self::DeviceBirth, b"DBIRTH"),
        (Self::DeviceDeath, b"DDEATH"),
        (Self::NodeData, b"NDATA"),
        (Self::DeviceData, b"DDATA"),
        (Self::NodeCommand, b"NCMD"),
        (Self::DeviceCommand, b"DCMD"),
    ];

    /// As in topics.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or(&[], |(_, text)| text)
    }

    const fn is_of_device(self) -> bool {
        matches!(self, Self::DeviceBirth | Self::DeviceDeath | Self::DeviceData | Self::DeviceCommand)
    }

    pub(super) const fn is_birth(self) -> bool {
        matches!(self, Self::NodeBirth | Self::DeviceBirth)
    }

    pub(super) const fn is_command(self) -> bool {
        matches!(self, Self::NodeCommand | Self::DeviceCommand)
    }
}

/// A topic of Sparkplug, `spBv1.0/<group>/<type>/<edge node>[/<device>]` (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// Group of edge nodes.
    pub group: &'a [u8],
    /// Message type.
    pub kind: MessageType,
    /// Edge node and, behind a `/`, the device.
    pub place: &'a [u8],
}

impl<'a> Topic<'a> {
    /// Reads a topic; `None` for all others.
    #[inline]
    #[must_use]
    pub fn new(topic: &'a [u8]) -> Option<Self> {
        let rest = topic.strip_prefix(NAMESPACE)?.strip_prefix(b"/")?;
        let (group, rest) = split(rest)?;
        let (kind, place) = split(rest)?;
        let kind = MessageType::ALL.iter().find(|(_, text)| *text == kind)?.0;
        let legal = match split(place) {
            None => !kind.is_of_device() && !place.is_empty(),
            Some((node, device)) => {
                kind.is_of_device() && !node.is_empty() && !device.is_empty() && !device.contains(&b'/')
            }
        };
        (legal && !group.is_empty()).then_some(Self { group, kind, place })
    }

    /// The edge node without the device.
    #[must_use]
    pub fn node(&self) -> &'a [u8] {
        split(self.place).map_or(self.place, |(node, _)| node)
    }

    /// The device, where there is one.
    #[must_use]
    pub fn device(&self) -> Option<&'a [u8]> {
        split(self.place).map(|(_, device)| device)
    }
}

/// What lies before and behind the first `/`.
#[inline]
pub(super) fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == b'/')?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// The value of a protobuf field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// Wire type 0: a number of one to ten bytes.
    Varint(u64),
    /// Wire types 1, 2 and 5: eight bytes, counted bytes, four bytes.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    const fn number(self) -> u64 {
        match self {
            Self::Varint(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Varint(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The fields of a protobuf message, in order; ends at the first that cannot be read, see [`Fields::is_sound`].
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the message in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// After the last field: whether all bytes were read.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn field(rest: &mut &'a [u8]) -> Option<(u32, Wire<'a>)> {
        let key = varint(rest)?;
        let take = |rest: &mut &'a [u8], len: u64| {
            let (bytes, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            *rest = after;
            Some(Wire::Bytes(bytes))
        };
        let value = match key & 7 {
            0 => Wire::Varint(varint(rest)?),
            1 => take(rest, 8)?,
            2 => {
                let len = varint(rest)?;
                take(rest, len)?
            }
            5 => take(rest, 4)?,
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok()?, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Wire<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Wire<'a>)> {
        let mut rest = self.rest;
        let field = Self::field(&mut rest)?;
        self.rest = rest;
        Some(field)
    }
}

#[inline]
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (place, byte) in rest.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            *rest = rest.get(place + 1..)?;
            return Some(number);
        }
    }
    None
}

/// Data types (§6.4.16): the basic ones, and where the structured ones begin.
#[allow(missing_docs, reason = "the standard's names")]
pub mod data_type {
    pub const INT8: u32 = 1;
    pub const INT16: u32 = 2;
    pub const INT32: u32 = 3;
    pub const INT64: u32 = 4;
    pub const UINT8: u32 = 5;
    pub const UINT16: u32 = 6;
    pub const UINT32: u32 = 7;
    pub const UINT64: u32 = 8;
    pub const FLOAT: u32 = 9;
    pub const DOUBLE: u32 = 10;
    pub const BOOLEAN: u32 = 11;
    pub const STRING: u32 = 12;
}

/// A metric (§6.4.6): one value with its name or alias.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric<'a> {
    /// Name; empty where an alias stands for it.
    pub name: &'a [u8],
    /// Number that stands for the name.
    pub alias: Option<u64>,
    /// Milliseconds since 1970, UTC.
    pub timestamp: Option<u64>,
    /// Data type, 0 where the birth tells it.
    pub data_type: u32,
    /// Whether it says that there is no value.
    pub is_null: bool,
    /// Value of the property `Quality`: 0 bad, 192 good, 500 stale (§6.4.10).
    pub quality: Option<u64>,
    /// Number and content of the value's field, 10 to 19.
    pub value: Option<(u32, Wire<'a>)>,
}

impl<'a> Metric<'a> {
    /// Reads the metric in these bytes; what cannot be read is left out.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut metric = Self::default();
        for (number, wire) in Fields::new(bytes) {
            match number {
                1 => metric.name = wire.bytes(),
                2 => metric.alias = Some(wire.number()),
                3 => metric.timestamp = Some(wire.number()),
                4 => metric.data_type = wire.number() as u32,
                7 => metric.is_null = wire.number() != 0,
                9 => metric.quality = quality(wire.bytes()),
                10..=19 => metric.value = Some((number, wire)),
                _ => {}
            }
        }
        metric
    }

    /// Its value; `known` is the data type that the birth gave.
    #[inline]
    #[must_use]
    pub fn data(&self, known: u32) -> Data<'a> {
        let data_type = if self.data_type == 0 { known } else { self.data_type };
        match self.value {
            Some((number, Wire::Varint(raw))) => Data::Number { raw, value: whole(number, raw, data_type) },
            Some((number, Wire::Bytes(raw))) => {
                let value = match (number, raw.first_chunk(), raw.first_chunk()) {
                    (12, Some(float), _) => Scalar::Float(f64::from(f32::from_le_bytes(*float))),
                    (13, _, Some(double)) => Scalar::Float(f64::from_le_bytes(*double)),
                    (15, ..) => Scalar::Text(raw),
                    _ => Scalar::Opaque,
                };
                Data::Scalar { raw, value }
            }
            None => Data::Scalar { raw: &[], value: Scalar::Opaque },
        }
    }

    /// What the device says of the value.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        match self.quality {
            _ if self.is_null || self.value.is_none() => Quality::Bad,
            None | Some(192) => Quality::Good,
            Some(0) => Quality::Bad,
            Some(500) => Quality::Stale,
            Some(_) => Quality::Uncertain,
        }
    }
}

/// A number by the field that holds it (10 `int_value`, 11 `long_value`, 14 `boolean_value`) and its data type: signed
/// ones come in two's complement of their own or of the field's width (§6.4.6).
fn whole<'a>(field: u32, raw: u64, data_type: u32) -> Scalar<'a> {
    match (field, data_type) {
        (14, _) | (_, data_type::BOOLEAN) => Scalar::Boolean(raw != 0),
        (_, data_type::INT8) => Scalar::Signed(i64::from(raw as i8)),
        (_, data_type::INT16) => Scalar::Signed(i64::from(raw as i16)),
        (_, data_type::INT32) => Scalar::Signed(i64::from(raw as i32)),
        (11, data_type::INT64) => Scalar::Signed(raw as i64),
        (10 | 11, _) => Scalar::Unsigned(raw),
        _ => Scalar::Opaque,
    }
}

/// The property `Quality` of a property set: names and values are two lists side by side (§6.4.9, §6.4.10).
fn quality(set: &[u8]) -> Option<u64> {
    let keys = Fields::new(set).filter(|(number, _)| *number == 1);
    let place = keys.take(64).position(|(_, key)| key.bytes() == b"Quality")?;
    let (_, value) = Fields::new(set).filter(|(number, _)| *number == 2).nth(place)?;
    Fields::new(value.bytes()).find(|(number, _)| matches!(number, 3 | 4)).map(|(_, number)| number.number())
}

/// Milliseconds since 1970; `None` beyond the year 2262.
pub(super) fn time(millis: u64) -> Option<Timestamp> {
    let nanos = i64::try_from(millis).ok()?.checked_mul(1_000_000)?;
    Some(Timestamp::from_nanos(nanos))
}

/// A payload (§6.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    /// The payload in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Time of publication, sequence number, and where the bytes stop to be fields, if they do.
    #[inline]
    #[must_use]
    pub fn head(&self) -> (Option<u64>, Option<u64>, Option<usize>) {
        let (mut time, mut sequence) = (None, None);
        let mut fields = Fields::new(self.0);
        for (number, wire) in fields.by_ref() {
            match (number, wire) {
                (1, Wire::Varint(millis)) => time = Some(millis),
                (3, Wire::Varint(number)) => sequence = Some(number),
                _ => {}
            }
        }
        (time, sequence, (!fields.is_sound()).then(|| self.0.len() - fields.rest().len()))
    }

    /// The metrics, one by one.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> + use<'a> {
        Fields::new(self.0).filter(|(number, _)| *number == 2).map(|(_, wire)| Metric::new(wire.bytes()))
    }
}

/// Appends a number of variable length.
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a field.
fn put(number: u32, wire: Wire<'_>, out: &mut Vec<u8>) {
    let kind = match (number, wire) {
        (_, Wire::Varint(_)) => 0,
        (12, _) => 5,
        (13, _) => 1,
        _ => 2,
    };
    put_varint(u64::from(number << 3 | kind), out);
    match wire {
        Wire::Varint(number) => put_varint(number, out),
        Wire::Bytes(bytes) => {
            if kind == 2 {
                put_varint(bytes.len() as u64, out);
            }
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a payload of these metrics: time of publication in milliseconds and sequence number where the message type
/// asks for them (§6.4.5).
pub fn emit(time: Option<u64>, sequence: Option<u8>, metrics: &[Metric<'_>], out: &mut Vec<u8>) {
    let mut inner = Vec::new();
    if let Some(time) = time {
        put(1, Wire::Varint(time), out);
    }
    for metric in metrics {
        inner.clear();
        let numbers = [(2, metric.alias), (3, metric.timestamp)];
        if !metric.name.is_empty() {
            put(1, Wire::Bytes(metric.name), &mut inner);
        }
        numbers.iter().for_each(|(field, number)| {
            if let Some(number) = number {
                put(*field, Wire::Varint(*number), &mut inner);
            }
        });
        if metric.data_type != 0 {
            put(4, Wire::Varint(u64::from(metric.data_type)), &mut inner);
        }
        if metric.is_null {
            put(7, Wire::Varint(1), &mut inner);
        }
        if let Some(quality) = metric.quality {
            // Key, then a value of type Int32.
            let (mut value, mut set) = (Vec::new(), Vec::new());
            put(1, Wire::Varint(u64::from(data_type::INT32)), &mut value);
            put(3, Wire::Varint(quality), &mut value);
            put(1, Wire::Bytes(b"Quality"), &mut set);
            put(2, Wire::Bytes(&value), &mut set);
            put(9, Wire::Bytes(&set), &mut inner);
        }
        if let Some((field, wire)) = metric.value {
            put(field, wire, &mut inner);
        }
        put(2, Wire::Bytes(&inner), out);
    }
    if let Some(sequence) = sequence {
        put(3, Wire::Varint(u64::from(sequence)), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_have_four_or_five_levels() {
        let read = |text: &'static str| Topic::new(text.as_bytes());
        let node = read("spBv1.0/plant/NDATA/edge").unwrap();
        assert_eq!((node.kind, node.node(), node.device()), (MessageType::NodeData, &b"edge"[..], None));
        let device = read("spBv1.0/plant/DCMD/edge/pump").unwrap();
        assert_eq!((device.node(), device.device()), (&b"edge"[..], Some(&b"pump"[..])));
        for bad in [
            "spBv1.0/STATE/host",
            "spBv1.0/plant/NDATA",
            "spBv1.0/plant/NDATA/edge/pump",
            "spBv1.0/plant/DDATA/edge",
            "spBv1.0/plant/DDATA/edge/a/b",
            "spBv1.0//NDATA/edge",
            "spAv1.0/plant/NDATA/edge",
            "spBv1.0/plant/XDATA/edge",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn fields_end_where_they_cannot_be_read() {
        // The encoding guide's own example: field 1 is 150, field 2 the text `testing`.
        let bytes = b"\x08\x96\x01\x12\x07testing";
        let mut fields = Fields::new(bytes);
        assert_eq!(fields.next(), Some((1, Wire::Varint(150))));
        assert_eq!(fields.next(), Some((2, Wire::Bytes(b"testing"))));
        assert!(fields.next().is_none() && fields.is_sound());
        for bad in [
            &b"\x08"[..],
            b"\x12\x07test",
            b"\x0b",
            b"\x0d\0",
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ] {
            let mut fields = Fields::new(bad);
            assert!(fields.next().is_none() && !fields.is_sound(), "{bad:02x?}");
        }
    }

    fn check(metric: Metric<'_>, known: u32, expect: (Scalar<'_>, Quality)) {
        let mut out = Vec::new();
        emit(Some(1), Some(2), &[metric], &mut out);
        let payload = Payload::new(&out);
        assert_eq!(payload.head(), (Some(1), Some(2), None));
        let read = payload.metrics().next().unwrap();
        assert_eq!(read, metric);
        let (Data::Number { value, .. } | Data::Scalar { value, .. }) = read.data(known) else { panic!() };
        assert_eq!((value, read.quality()), expect);
    }

    #[test]
    fn values_have_the_type_that_metric_or_birth_tells() {
        let whole = |field, raw, data_type| Metric {
            name: b"x",
            data_type,
            value: Some((field, Wire::Varint(raw))),
            ..Metric::default()
        };
        check(whole(10, 251, data_type::INT8), 0, (Scalar::Signed(-5), Quality::Good));
        check(whole(10, 0xffff_fffb, data_type::INT8), 0, (Scalar::Signed(-5), Quality::Good));
        check(whole(10, 0xffff_fffb, 0), data_type::INT32, (Scalar::Signed(-5), Quality::Good));
        check(whole(10, 0xffff_fffb, 0), data_type::UINT32, (Scalar::Unsigned(0xffff_fffb), Quality::Good));
        check(whole(11, u64::MAX, data_type::INT64), 0, (Scalar::Signed(-1), Quality::Good));
        check(whole(14, 1, data_type::BOOLEAN), 0, (Scalar::Boolean(true), Quality::Good));
        let float = 1.5f32.to_le_bytes();
        let float = Metric { value: Some((12, Wire::Bytes(&float))), quality: Some(500), ..whole(12, 0, 9) };
        check(float, 0, (Scalar::Float(1.5), Quality::Stale));
        check(Metric { is_null: true, value: None, ..float }, 0, (Scalar::Opaque, Quality::Bad));
        check(Metric { quality: Some(0), ..float }, 0, (Scalar::Float(1.5), Quality::Bad));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let payload = Payload::new(&bytes);
            prop_assert!(payload.metrics().count() <= bytes.len());
            prop_assert!(payload.metrics().all(|metric| metric.quality() != Quality::Substituted));
            let _ = payload.head();
        }
    }
}
