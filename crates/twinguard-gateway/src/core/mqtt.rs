//! MQTT publications on their way to a server: which of them command, and what they command.
//!
//! Sources: *MQTT Version 5.0* §3.3, §4.7 (topics), *Sparkplug Specification* 3.0.0 §6.4.5, §6.4.6 (payload, metrics),
//! §6.4.19 (commands). What receivers could read in two ways is not judged: it does not pass.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use twinguard::protocol::Family;
use twinguard::protocol::protocol::Protocol as _;
use twinguard::protocol::protocols::mqtt::sparkplug::{
    self, Fields, Metric, Payload, Topic, Wire, data_type,
};
use twinguard::protocol::protocols::mqtt::{Mqtt, Packet, Publish, Repr, Version};
use twinguard::types::{Binding, Direction, Encoding, Endpoint, Event, Quality, SignalId, Timestamp, Value};

use super::modbus::{Exception, Unclear, unclear};
use super::reading::Reading;

/// Most metrics of one command.
const METRICS: usize = 64;

/// The topics on which a publication commands.
#[derive(Clone, Debug, Default)]
pub struct CommandTopics {
    bound: Vec<Vec<u8>>,
    filters: Vec<String>,
}

impl CommandTopics {
    /// Those that the bindings of a server let somebody write, and those that match one of these topic filters.
    #[must_use]
    pub fn new(bindings: &[Binding], server: SocketAddr, filters: &[String]) -> Self {
        let bound = bindings
            .iter()
            .filter(|it| it.family == Mqtt::FAMILY && it.direction == Direction::Write)
            .filter(|it| it.endpoint.covers(server))
            .map(|it| it.tag.as_bytes().to_vec());
        Self { bound: bound.collect(), filters: filters.to_vec() }
    }

    /// Whether a publication on this topic commands: Sparkplug's commands, and what looks like one, always do.
    #[must_use]
    pub fn holds(&self, topic: &[u8]) -> bool {
        let text = || core::str::from_utf8(topic).unwrap_or_default();
        is_sparkplug_command(topic)
            || self.bound.iter().any(|bound| bound == topic)
            || self.filters.iter().any(|filter| matches(filter, text()))
    }
}

/// Edge nodes listen to `spBv1.0/GROUP/NCMD/NODE/#`, so that more topics reach them than the standard writes.
fn is_sparkplug_command(topic: &[u8]) -> bool {
    let mut levels = topic.split(|byte| *byte == b'/');
    let namespace = levels.next().unwrap_or_default();
    let kind = levels.nth(1).unwrap_or_default();
    [&b"spBv1.0"[..], b"spAv1.0"].contains(&namespace) && [&b"NCMD"[..], b"DCMD"].contains(&kind)
}

/// Whether a topic matches a filter (V5 §4.7).
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    // V5 §4.7.2: filters that begin with a wildcard do not match topics of the server itself.
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Turns publications into commands by the plant's point map.
#[derive(Debug)]
pub(super) struct Translator {
    reading: Reading,
    encodings: BTreeMap<SignalId, Encoding>,
    writable: Vec<(Endpoint, Box<str>, SignalId)>,
    packet: Vec<u8>,
}

impl Translator {
    /// For these bindings, where those of other protocols are passed over, and servers on these ports.
    pub(super) fn new(
        bindings: &[Binding],
        ports: impl Iterator<Item = u16>,
    ) -> Result<Self, twinguard::protocol::Error> {
        let ours: Vec<Binding> = bindings.iter().filter(|it| it.family == Mqtt::FAMILY).cloned().collect();
        let writable = ours.iter().filter(|it| it.direction == Direction::Write);
        Ok(Self {
            encodings: writable.clone().map(|it| (it.signal, it.encoding)).collect(),
            writable: writable.map(|it| (it.endpoint, it.tag.clone(), it.signal)).collect(),
            reading: Reading::new(Family::Mqtt, &ours, ports)?,
            packet: Vec::new(),
        })
    }

    /// The signals that a publication gives values to; `passing` are metrics that pass without being judged.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        server: SocketAddr,
        (topic, payload): (&[u8], &[u8]),
        retain: bool,
        passing: &[String],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        if is_sparkplug_command(topic) {
            // Sparkplug 3.0.0 §6.4.19: whoever comes later would be commanded again.
            if retain {
                return unclear(Exception::IllegalValue, "a command that the server is to keep");
            }
            if Topic::new(topic).is_none() {
                return unclear(Exception::IllegalAddress, "the topic is none of Sparkplug's");
            }
            return self.metrics(now, server, (topic, payload), passing);
        }
        let text = String::from_utf8_lossy(topic);
        let values =
            if is_decimal(payload) { self.events_of(now, server, topic, payload)? } else { Vec::new() };
        let writes = |signal: SignalId| {
            let bound = |it: &&(Endpoint, Box<str>, SignalId)| it.2 == signal && *it.1 == *text;
            self.writable.iter().filter(bound).any(|it| it.0.covers(server))
        };
        if !values.iter().any(|(signal, _)| writes(*signal)) {
            let known = self.writable.iter().any(|it| *it.1 == *text && it.0.covers(server));
            return if known {
                unclear(Exception::IllegalValue, "the payload is no number and no state")
            } else {
                unclear(Exception::IllegalAddress, "the topic belongs to no signal that may be written")
            };
        }
        Ok(values)
    }

    fn metrics(
        &mut self,
        now: Timestamp,
        server: SocketAddr,
        (topic, payload): (&[u8], &[u8]),
        passing: &[String],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let broken = || unclear(Exception::IllegalValue, "the payload cannot be read");
        if Payload::new(payload).head().2.is_some() {
            return broken();
        }
        let mut values = Vec::new();
        let mut count = 0;
        for (number, wire) in Fields::new(payload) {
            if number != 2 {
                continue;
            }
            let Wire::Bytes(bytes) = wire else { return broken() };
            let Some(metric) = plain(bytes) else { return broken() };
            count += 1;
            if count > METRICS {
                return unclear(Exception::IllegalValue, format!("more than {METRICS} metrics"));
            }
            let mut single = Vec::new();
            sparkplug::emit(None, None, &[metric], &mut single);
            let found = self.events_of(now, server, topic, &single)?;
            let name = String::from_utf8_lossy(metric.name);
            if found.is_empty() && passing.iter().any(|it| **it == *name) {
                continue;
            }
            if found.is_empty() {
                let name: String = name.chars().take(120).collect();
                return unclear(
                    Exception::IllegalAddress,
                    format!("metric `{name}` belongs to no signal that may be written, or has no value"),
                );
            }
            for (signal, _) in &found {
                if !self.encodings.get(signal).is_some_and(|encoding| fits(&metric, *encoding)) {
                    let reason = "the metric's value is of another type than the plant file says";
                    return unclear(Exception::IllegalValue, reason);
                }
            }
            values.extend(found);
        }
        if count == 0 {
            return unclear(Exception::IllegalValue, "a command without metrics");
        }
        Ok(values)
    }

    /// The values as the point map reads them.
    fn events_of(
        &mut self,
        now: Timestamp,
        server: SocketAddr,
        topic: &[u8],
        payload: &[u8],
    ) -> Result<Vec<(SignalId, Value)>, Unclear> {
        let publish = Publish { topic, payload, ..Publish::default() };
        let Some(repr) = Repr::new(Version::V311, Packet::Publish(publish)) else {
            return unclear(Exception::IllegalAddress, "the topic is not legal");
        };
        self.packet.clear();
        repr.emit(&mut self.packet);
        let value = |event: &Event<'_>| match event {
            Event::Command(command) => Some((command.signal, command.value)),
            // A topic outside Sparkplug says nothing of who is meant: by its binding it is written.
            Event::Point(point) if point.quality == Quality::Good => Some((point.signal, point.value)),
            _ => None,
        };
        match self.reading.events(now, server, &self.packet) {
            Some(events) => Ok(events.iter().filter_map(value).collect()),
            None => unclear(Exception::IllegalValue, "the message is too long for a command"),
        }
    }
}

/// A number or a state as every receiver reads it: no exponent, no hexadecimal digits, no space inside.
fn is_decimal(payload: &[u8]) -> bool {
    let text = payload.trim_ascii();
    if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false") {
        return true;
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let all =
        |part: Option<&[u8]>| part.is_none_or(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
    all(parts.next()) && all(parts.next())
}

/// A metric that every receiver reads alike: each field once, with a name and no alias that could mean another one, with a
/// value of its wire type.
fn plain(bytes: &[u8]) -> Option<Metric<'_>> {
    let mut fields = Fields::new(bytes);
    let (mut seen, mut values) = (0_u32, 0);
    for (number, wire) in fields.by_ref() {
        let bit = 1_u32.checked_shl(number).unwrap_or_default();
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        values += u32::from((10..=19).contains(&number));
        let sound = match (number, wire) {
            (2, _) => false,
            (1, Wire::Bytes(name)) => !name.is_empty(),
            (1, Wire::Varint(_)) => false,
            // uint32 in the schema: what is longer is cut by receivers.
            (10, Wire::Varint(raw)) => raw <= u64::from(u32::MAX),
            (14, Wire::Varint(raw)) => raw <= 1,
            (3 | 4 | 11, Wire::Varint(_)) => true,
            (12, Wire::Bytes(raw)) => raw.len() == 4,
            (13, Wire::Bytes(raw)) => raw.len() == 8,
            (3 | 4 | 10..=19, _) => matches!((number, wire), (15, Wire::Bytes(_))),
            _ => true,
        };
        if !sound {
            return None;
        }
    }
    let metric = Metric::new(bytes);
    (fields.is_sound() && values == 1 && !metric.name.is_empty() && !metric.is_null).then_some(metric)
}

/// Whether the value stands in the field from which a device of this type takes it (§6.4.16).
fn fits(metric: &Metric<'_>, encoding: Encoding) -> bool {
    let Some((field, _)) = metric.value else { return false };
    let told = match metric.data_type {
        0 => true,
        data_type::INT8..=data_type::INT32 | data_type::UINT8..=data_type::UINT32 => field == 10,
        data_type::INT64 | data_type::UINT64 => field == 11,
        data_type::FLOAT => field == 12,
        data_type::DOUBLE => field == 13,
        data_type::BOOLEAN => field == 14,
        _ => false,
    };
    told && match encoding {
        Encoding::I8 | Encoding::I16 | Encoding::I32 | Encoding::U8 | Encoding::U16 | Encoding::U32 => {
            field == 10
        }
        Encoding::I64 | Encoding::U64 => field == 11,
        Encoding::F32 => field == 12,
        Encoding::F64 => field == 13,
        Encoding::Bit(_) => field == 14,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expect) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("a/b", "a/bc", false),
        ] {
            assert_eq!(matches(filter, topic), expect, "{filter} {topic}");
        }
    }

    #[test]
    fn what_looks_like_a_command_is_one() {
        let topics = CommandTopics { bound: vec![b"cooler/set".to_vec()], filters: vec!["cmd/#".to_owned()] };
        for topic in [
            "spBv1.0/g/NCMD/n",
            "spBv1.0/g/DCMD/n/d",
            "spBv1.0/g/DCMD/n",
            "spBv1.0/g/NCMD/n/d/e",
            "spAv1.0/g/NCMD/n",
            "cooler/set",
            "cmd/x/y",
        ] {
            assert!(topics.holds(topic.as_bytes()), "{topic}");
        }
        for topic in ["spBv1.0/g/DDATA/n/d", "cooler/temperature", "x/spBv1.0/g/NCMD/n", ""] {
            assert!(!topics.holds(topic.as_bytes()), "{topic}");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        for good in ["5", "-5", "0.25", " 5 ", "true", "FALSE"] {
            assert!(is_decimal(good.as_bytes()), "{good}");
        }
        for bad in ["", "1e3", "0x10", "5 6", ".5", "5.", "+5", "5.1.2", "{\"v\": 5}", "\"5\"", "nan"] {
            assert!(!is_decimal(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let field = |number: u8, wire: u8, content: &[u8]| {
            let mut bytes = vec![number << 3 | wire];
            if wire == 2 {
                bytes.push(content.len() as u8);
            }
            bytes.extend_from_slice(content);
            bytes
        };
        let name = field(1, 2, b"valve");
        let value = field(10, 0, &[5]);
        let good = [name.clone(), value.clone()].concat();
        assert_eq!(plain(&good).map(|it| it.name), Some(&b"valve"[..]));
        for bad in [
            value.clone(),
            name.clone(),
            [good.clone(), field(1, 2, b"other")].concat(),
            [good.clone(), field(2, 0, &[9])].concat(),
            [good.clone(), field(10, 0, &[6])].concat(),
            [good.clone(), field(14, 0, &[1])].concat(),
            [good.clone(), field(7, 0, &[1])].concat(),
            [good.clone(), vec![0x0b]].concat(),
            [name.clone(), field(10, 0, &[0xff, 0xff, 0xff, 0xff, 0x7f])].concat(),
            [name.clone(), field(13, 5, &[0; 4])].concat(),
            [name, field(14, 0, &[2])].concat(),
        ] {
            assert!(plain(&bad).is_none(), "{bad:?}");
        }
    }
}
