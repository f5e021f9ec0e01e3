//! DNP3 from frames to points, commands and exchanges, and no allocation on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use twinguard_protocol::protocols::dnp3::{Function, Objects, Repr};
use twinguard_protocol::stack::{Config, Item, Stack};
use twinguard_protocol::{Frame, LinkType, PointMap, emit};
use twinguard_types::{
    Binding, ByteOrder, Direction, Encoding, Endpoint, Event, Label, Quality, SignalId, Timestamp, Value,
};

const MASTER: &str = "10.0.0.1:40000";
const OUTSTATION: &str = "10.0.0.2:20000";

fn datagram(from_master: bool, repr: &Repr) -> Vec<u8> {
    let (source, destination) = if from_master { (MASTER, OUTSTATION) } else { (OUTSTATION, MASTER) };
    let mut frame = Vec::new();
    emit::datagram(source.parse().unwrap(), destination.parse().unwrap(), &repr.emit(), &mut frame).unwrap();
    frame
}

fn binding(signal: u32, tag: &str) -> Binding {
    Binding {
        signal: SignalId(signal),
        family: Label::literal("dnp3"),
        endpoint: Endpoint::Any,
        tag: tag.into(),
        encoding: Encoding::Native,
        order: ByteOrder::Abcd,
        scale: 1.0,
        offset: 0.0,
        direction: Direction::Write,
    }
}

/// All events of these messages, a second apart.
fn events(map: &mut PointMap, messages: &[(bool, Repr)]) -> Vec<Event<'static>> {
    let (mut stack, mut events) = (Stack::new(Config::default()), Vec::new());
    for (index, (from_master, repr)) in messages.iter().enumerate() {
        let bytes = datagram(*from_master, repr);
        let (at, original_len) = (Timestamp::from_secs(index as i64), bytes.len() as u32);
        let frame = Frame { index: index as u64, at, link: LinkType::Ethernet, bytes: &bytes, original_len };
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            map.bind(&item, &mut events);
        }
    }
    events
}

#[test]
fn a_poll_an_event_and_a_command_are_one_place_each() {
    let mut map = PointMap::new(&[binding(0, "4/g30v0/7"), binding(1, "4/g12v1/2")]).unwrap();
    let poll = Objects::new().range(30, 2, 6, 7, &[1, 5, 0, 1, 9, 0]);
    let event = Objects::new().indexed(32, 3, [(7, &[0x21, 10, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0][..])]);
    let operate = Objects::new().control(2, 0x81, 1, 100, 100);
    let mut refused = operate.as_bytes().to_vec();
    *refused.last_mut().unwrap() = 4;
    let refused = [&[0xc2, 0x81, 0, 0][..], &refused].concat();
    let told = events(
        &mut map,
        &[
            (true, Repr::request(3, 4, 1, Function::READ, &Objects::new().all(60, 1)).unwrap()),
            (false, Repr::response(4, 3, 1, 0, &poll).unwrap()),
            (false, Repr::unsolicited(4, 3, 0, 0, &event).unwrap()),
            (true, Repr::request(3, 4, 2, Function::DIRECT_OPERATE, &operate).unwrap()),
            (false, Repr::new(4, 3, refused).unwrap()),
            (true, Repr::request(3, 4, 3, Function(13), &Objects::new()).unwrap()),
            (false, Repr::response(4, 3, 3, 0, &Objects::new().one(52, 1, &[5, 0])).unwrap()),
        ],
    );
    let shown: Vec<_> = told
        .iter()
        .map(|event| match event {
            Event::Point(point) => {
                format!("{} {:?} {:?} {:?}", point.signal.0, point.value, point.quality, point.event_at)
            }
            Event::Command(command) => format!("{} <- {:?}", command.signal.0, command.value),
            Event::Exchange(exchange) => format!("{} {:?}", exchange.function, exchange.outcome),
            Event::Access(access) => format!("{} {:?}", access.action, access.outcome),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            format!("0 {:?} {:?} {:?}", Value::Integer(9), Quality::Good, Timestamp::from_secs(1)),
            "129 Answered".to_owned(),
            format!("0 {:?} {:?} {:?}", Value::Integer(10), Quality::Uncertain, Timestamp::from_secs(1)),
            "130 OneWay".to_owned(),
            format!("1 <- {:?}", Value::Boolean(false)),
            "129 Exception(132)".to_owned(),
            "restart Granted".to_owned(),
            "129 Answered".to_owned(),
        ]
    );
}

#[test]
fn nothing_is_allocated_once_a_conversation_runs() {
    let poll = Objects::new().range(30, 1, 0, 59, &[1; 300]).range(1, 1, 0, 79, &[0x55; 10]);
    let frames: Vec<_> = (0..64u8)
        .map(|round| {
            let read = Repr::request(3, 4, round, Function::READ, &Objects::new().all(60, 1)).unwrap();
            let answer = Repr::response(4, 3, round, 0, &poll).unwrap();
            [datagram(true, &read), datagram(false, &answer)]
        })
        .collect();
    let mut stack = Stack::new(Config::default());
    let mut run = |from: usize| {
        let mut points = 0;
        for (index, bytes) in frames.iter().flatten().enumerate() {
            let index = index + from;
            let (at, original_len) = (Timestamp::from_secs(index as i64), bytes.len() as u32);
            let frame = Frame { index: index as u64, at, link: LinkType::Ethernet, bytes, original_len };
            stack.handle(&frame);
            while let Some(item) = stack.poll() {
                if let Item::Message(message) = item {
                    points += message.points().count();
                }
            }
        }
        points
    };
    assert_eq!(run(0), 64 * 140);
    let counted = allocation_counter::measure(|| assert_eq!(run(128), 64 * 140));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
