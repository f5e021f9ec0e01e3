//! Targets behind the streams: the stack fed with payloads, the point map and each family fed with messages.

use twinguard::protocol::emit::Connection;
use twinguard::protocol::protocol::Cut;
use twinguard::protocol::protocols::dnp3::crc;
use twinguard::protocol::protocols::modbus_rtu::crc as modbus_crc;
use twinguard::protocol::stack::Config;
use twinguard::protocol::tcp::End;
use twinguard::protocol::{Context, Family, Frame, Item, LinkType, PointMap, Sender, Shared, Stack};
use twinguard::types::{
    Binding, ByteOrder, Direction, Encoding, Endpoint, Event, Label, Quality, SignalId, Timestamp, Value,
};

/// Payloads of one connection: each begins with a byte that says who sends (its highest bit) and how many bytes follow.
/// The port is known or not by the first byte of all.
fn payloads(data: &[u8], mut each: impl FnMut(&mut Stack, u64)) -> Option<()> {
    let (port, mut rest) = data.split_first()?;
    let server = if port & 1 == 0 { "10.0.0.2:502" } else { "10.0.0.2:19999" };
    let mut connection = Connection::new("10.0.0.1:40000".parse().ok()?, server.parse().ok()?).ok()?;
    let handshake = connection.open();
    let mut stack = Stack::new(Config { open_requests: 8, ..Config::default() });
    let mut index = 0;
    let mut take = |stack: &mut Stack, bytes: &[u8]| {
        index += 1;
        let (at, original_len) = (Timestamp::from_secs(index as i64), bytes.len() as u32);
        stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes, original_len });
        each(stack, index);
    };
    if port & 2 == 0 {
        handshake.iter().for_each(|frame| take(&mut stack, frame));
    }
    let mut frame = Vec::new();
    while let Some((head, after)) = rest.split_first() {
        let (payload, after) = after.split_at(usize::from(head & 0x7f).min(after.len()));
        rest = after;
        let from = if head & 0x80 == 0 { End::First } else { End::Second };
        connection.say(from, payload, &mut frame).ok()?;
        take(&mut stack, &frame);
    }
    Some(())
}

/// The stack on any payloads. Messages come in order of their frames; every request ends, answered or not.
pub fn stack(data: &[u8]) {
    let (mut messages, mut last) = (0u64, (0, 0));
    let _ = payloads(data, |stack, frame| {
        while let Some(item) = stack.poll() {
            if let Item::Message(message) = item {
                messages += 1;
                assert_eq!(message.frame, frame);
                assert!((message.frame, message.index) > last || messages == 1, "messages are in order");
                last = (message.frame, message.index);
            }
        }
        assert!(stack.counters().messages == messages, "no message is lost");
    });
}

fn bindings() -> Vec<Binding> {
    let kinds = [
        ("u1/hr/0", Encoding::U16, ByteOrder::Abcd),
        ("u1/hr/1", Encoding::F32, ByteOrder::Cdab),
        ("u1/hr/2", Encoding::F64, ByteOrder::Dcba),
        ("u1/hr/3", Encoding::Bit(7), ByteOrder::Badc),
        ("u1/hr/4", Encoding::Bcd(8), ByteOrder::Abcd),
        ("u1/ir/0", Encoding::I64, ByteOrder::Badc),
        ("u1/co/3", Encoding::Bit(0), ByteOrder::Abcd),
        ("u1/di/0", Encoding::Bit(0), ByteOrder::Abcd),
    ];
    let bindings = kinds.into_iter().enumerate().map(|(index, (tag, encoding, order))| Binding {
        signal: SignalId(index as u32),
        family: Label::literal("modbus"),
        endpoint: Endpoint::Any,
        tag: tag.into(),
        encoding,
        order,
        scale: if index % 2 == 0 { 1.0 } else { 0.5 },
        offset: index as f64,
        direction: Direction::Write,
    });
    bindings.collect()
}

/// The point map on any payloads: values are finite, signals are known, and a good value can be written again.
pub fn point_map(data: &[u8]) {
    let mut map = PointMap::new(&bindings()).expect("the bindings are right");
    let mut found = PointMap::discover(64);
    let mut events = Vec::new();
    let _ = payloads(data, |stack, _| {
        while let Some(item) = stack.poll() {
            found.bind(&item, &mut events);
            assert!(found.catalogue().is_some_and(|catalogue| catalogue.len() <= 64));
            events.clear();
            map.bind(&item, &mut events);
            for event in events.drain(..) {
                let (signal, value, good) = match event {
                    Event::Point(point) => (point.signal, point.value, point.quality == Quality::Good),
                    Event::Command(command) => (command.signal, command.value, true),
                    _ => continue,
                };
                assert!(signal.0 < 8 && value.as_f64().is_finite());
                if good && matches!(value, Value::Boolean(_)) {
                    map.encode(signal, value).expect("a state can be written");
                }
            }
        }
    });
}

/// One family by itself on any messages of one conversation. Each begins with a byte that says who sends (its highest
/// bits) and how many bytes follow; 127 stands for all the rest.
///
/// Whatever is cut lies in the bytes; what is recognised can be read; places read back as they are written; the number
/// of values is bounded by the bytes.
pub fn family(name: &str, data: &[u8]) {
    let family: Family = name.parse().expect("a target is named like its family");
    let (mut session, mut shared) = (family.session(), Shared::default());
    let (mut rest, mut request) = (data, None);
    let mut seen = 0usize;
    while let Some((head, after)) = rest.split_first() {
        let len = if head & 0x3f == 0x3f { after.len() } else { usize::from(head & 0x3f).min(after.len()) };
        let (mut bytes, after) = after.split_at(len);
        rest = after;
        let sender = match head >> 6 {
            0 => Sender::Client,
            1 => Sender::Server,
            _ => Sender::Unknown,
        };
        seen += bytes.len();
        while !bytes.is_empty() {
            let len = match family.cut(bytes) {
                Cut::Message(len) => {
                    assert!((1..=bytes.len()).contains(&len), "a message lies in the bytes");
                    len
                }
                Cut::More(more) => {
                    assert!(more > bytes.len(), "more is wanted than there is");
                    bytes.len()
                }
                Cut::Foreign => bytes.len(),
            };
            let (message, after) = bytes.split_at(len);
            bytes = after;
            let known = family.probe(message).is_some();
            let source = Context::of(sender).source;
            if session.absorb(&source, message) {
                continue;
            }
            let pdu = session.decode(&mut shared, &Context::of(sender), message);
            assert!(!known || pdu.is_some(), "what is recognised can be read");
            let Some(pdu) = pdu else { continue };
            let (mut fields, mut places) = (0usize, 0usize);
            pdu.fields(&mut |_, field| fields += field.to_string().len().min(1));
            for block in [None, request.as_ref()].into_iter().flat_map(|memo| pdu.blocks(memo)) {
                places += 1;
                let wide = usize::from(!block.data.is_empty());
                for point in block.points().take(4 * wide) {
                    let text = family.show_place(&point).to_string();
                    // `?` stands for what lies beyond the address space.
                    let shown = text != "?" && !text.contains(char::REPLACEMENT_CHARACTER);
                    if point.tag.address.is_some() && shown {
                        let read = family.parse_tag(&text).map(|tag| family.show_tag(tag).to_string());
                        assert_eq!(read, Some(family.show_tag(point.tag).to_string()), "{text}");
                    }
                }
            }
            // Fragments of earlier messages may complete in this one.
            assert!(fields <= 16 * seen + 64 && places <= 32 * seen + 64, "work is bounded by the bytes");
            let header = pdu.header();
            if header.kind == twinguard::protocol::Kind::Request {
                request = Some(pdu.memo());
            } else if let Some(memo) = &request {
                let _ = (pdu.fit(memo), memo.action(), pdu.refusal());
            }
            assert!(pdu.oddities().iter().all(|(_, offset)| offset as usize <= usize::from(u16::MAX)));
        }
    }
}

/// DNP3: the bytes as messages, then as user data of frames whose checksums are right, up to 250 bytes each; the first
/// byte says who sends.
pub fn dnp3(data: &[u8]) {
    family("dnp3", data);
    let Some((head, rest)) = data.split_first() else { return };
    let (control, stations) = if head & 1 == 0 { (0xc4, [4, 0, 3, 0]) } else { (0x44, [3, 0, 4, 0]) };
    let mut frames = vec![0x3f];
    for user in rest.chunks(250) {
        let header = [&[0x05, 0x64, user.len() as u8 + 5, control][..], &stations].concat();
        for block in [&header[..]].into_iter().chain(user.chunks(16)) {
            frames.extend_from_slice(block);
            frames.extend_from_slice(&crc(block).to_le_bytes());
        }
    }
    family("dnp3", &frames);
}

/// Modbus RTU: the bytes as messages, then each message under a right checksum.
pub fn modbus_rtu(data: &[u8]) {
    family("modbus_rtu", data);
    let (mut rest, mut frames) = (data, Vec::new());
    while let Some((head, after)) = rest.split_first() {
        let (message, after) = after.split_at(usize::from(head & 0x3f).min(after.len()));
        rest = after;
        let len = (message.len() + 2).min(0x3e);
        frames.push(head & 0xc0 | len as u8);
        frames.extend_from_slice(message.get(..len - 2).unwrap_or_default());
        frames.extend_from_slice(&modbus_crc(message.get(..len - 2).unwrap_or_default()).to_le_bytes());
    }
    family("modbus_rtu", &frames);
}
