//! Targets behind the streams: the stack fed with payloads, the point map fed with messages.

use twinguard::protocol::emit::Connection;
use twinguard::protocol::stack::Config;
use twinguard::protocol::tcp::End;
use twinguard::protocol::{Frame, Item, LinkType, PointMap, Stack};
use twinguard::types::{
    Binding, ByteOrder, Direction, Encoding, Endpoint, Event, Label, Quality, SignalId, Timestamp, Value,
};

/// Payloads of one connection: each begins with a byte that says who sends (its highest bit) and how many bytes follow.
/// The port is known or not by the first byte of all.
fn payloads(data: &[u8], mut each: impl FnMut(&mut Stack, u64)) -> Option<()> {
    let (port, mut rest) = data.split_first()?;
    let server = if port & 1 == 0 { "10.0.0.2:502" } else { "10.0.0.2:20000" };
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
