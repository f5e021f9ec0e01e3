//! IEC 60870-5-104 and -101 from frames to points, commands, exchanges and access, on ports without a name.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use twinguard_protocol::emit::Connection;
use twinguard_protocol::iec60870::{AsduBuffer, Cause, Layout, TypeId, write_cp56};
use twinguard_protocol::protocols::{iec101, iec104};
use twinguard_protocol::stack::Config;
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, Item, LinkType, PointMap, Stack};
use twinguard_types::{Event, ExchangeOutcome, Quality, Timestamp, Value};

const SERVER: &str = "10.0.0.2:12404";

struct Wire {
    connection: Connection,
    stack: Stack,
    map: PointMap,
    events: Vec<Event<'static>>,
    families: Vec<Family>,
    frames: u64,
}

impl Wire {
    fn new() -> Self {
        let connection = Connection::new("10.0.0.1:40000".parse().unwrap(), SERVER.parse().unwrap()).unwrap();
        let mut wire = Self {
            connection,
            stack: Stack::new(Config::default()),
            map: PointMap::discover(100),
            events: Vec::new(),
            families: Vec::new(),
            frames: 0,
        };
        for frame in wire.connection.open() {
            wire.take(&frame);
        }
        wire
    }

    fn take(&mut self, bytes: &[u8]) {
        self.frames += 1;
        let (at, original_len) =
            (Timestamp::from_millis(1_790_000_000_000 + self.frames as i64), bytes.len() as u32);
        let frame = Frame { index: self.frames, at, link: LinkType::Ethernet, bytes, original_len };
        self.stack.handle(&frame);
        while let Some(item) = self.stack.poll() {
            if let Item::Message(message) = &item {
                self.families.push(message.family());
            }
            self.map.bind(&item, &mut self.events);
        }
    }

    fn say(&mut self, from: End, messages: &[&[u8]]) {
        let mut frame = Vec::new();
        self.connection.say(from, &messages.concat(), &mut frame).unwrap();
        self.take(&frame);
    }
}

fn asdu(layout: Layout, type_id: u8, cause: Cause, objects: &[(u32, &[u8])]) -> AsduBuffer {
    AsduBuffer::new(layout, TypeId(type_id), cause, 0, 41, objects).unwrap()
}

fn apdu(send: u16, receive: u16, type_id: u8, cause: Cause, objects: &[(u32, &[u8])]) -> Vec<u8> {
    let asdu = asdu(Layout::NET, type_id, cause, objects);
    iec104::Repr::information(send, receive, asdu).unwrap().emit().as_bytes().to_vec()
}

#[test]
fn points_commands_and_their_answers() {
    let mut wire = Wire::new();
    let start = iec104::Repr::unnumbered(iec104::Unnumbered::StartActivation).emit();
    let started = iec104::Repr::unnumbered(iec104::Unnumbered::StartConfirmation).emit();
    wire.say(End::First, &[start.as_bytes()]);
    // Several messages in one segment.
    let at = Timestamp::from_millis(1_789_999_999_500);
    let timed = [&[0, 0, 0xac, 0x41, 0x80][..], &write_cp56(at).unwrap()].concat();
    wire.say(
        End::Second,
        &[
            started.as_bytes(),
            &apdu(0, 0, 36, Cause::new(3), &[(4000, &timed)]),
            &apdu(1, 0, 1, Cause::new(3), &[(1, &[1])]),
        ],
    );
    let refused = Cause { code: 7, negative: true, test: false };
    wire.say(End::First, &[&apdu(0, 2, 45, Cause::new(6), &[(7, &[0x81])])]);
    wire.say(End::Second, &[&apdu(2, 1, 45, Cause::new(7), &[(7, &[0x81])])]);
    wire.say(End::First, &[&apdu(1, 3, 45, Cause::new(6), &[(7, &[1])])]);
    wire.say(End::Second, &[&apdu(3, 2, 45, refused, &[(7, &[1])])]);
    wire.say(End::First, &[&apdu(2, 4, 105, Cause::new(6), &[(0, &[1])])]);
    wire.say(End::Second, &[&apdu(4, 3, 105, Cause::new(7), &[(0, &[1])])]);
    // A message that was sent twice, and one that was left out.
    wire.say(End::Second, &[&apdu(4, 3, 1, Cause::new(3), &[(1, &[0])])]);
    wire.say(End::Second, &[&apdu(6, 3, 1, Cause::new(3), &[(1, &[1])])]);

    assert!(wire.families.iter().all(|family| *family == Family::Iec104) && wire.families.len() == 12);
    let (mut points, mut commands, mut outcomes, mut access, mut odd) =
        (vec![], vec![], vec![], vec![], vec![]);
    for event in wire.events {
        match event {
            Event::Point(point) => points.push((point.value, point.quality, point.event_at)),
            Event::Command(command) => commands.push(command.value),
            Event::Exchange(exchange) if exchange.latency.is_some() => outcomes.push(exchange.outcome),
            Event::Access(accessed) => access.push(accessed.action.to_string()),
            Event::Malformed(malformed) => odd.push(format!("{:?}", malformed.oddity)),
            _ => {}
        }
    }
    assert_eq!(points[0], (Value::real(21.5).unwrap(), Quality::Bad, at));
    assert_eq!((points[1].0, points[1].1, points.len()), (Value::Boolean(true), Quality::Good, 4));
    assert_eq!(commands, [Value::Boolean(true)], "a selection is no command");
    use ExchangeOutcome::{Answered, Exception};
    assert_eq!(outcomes, [Answered, Exception(7), Answered]);
    assert_eq!(access, ["connect", "restart"]);
    assert_eq!(odd, ["DuplicateTransaction", "Gap"]);
}

#[test]
fn serial_frames_over_tcp_are_recognised_with_their_lengths() {
    let mut wire = Wire::new();
    let layout = Layout { cause: 2, common: 2, object: 3 };
    let parameters = iec101::Parameters { link: 2, layout };
    let frame = |control: u8, type_id: u8, cause: u8, objects: &[(u32, &[u8])]| {
        let asdu = asdu(layout, type_id, Cause::new(cause), objects);
        let frame = iec101::Repr::variable(parameters, iec101::Control(control), 41, asdu).unwrap();
        frame.emit().as_bytes().to_vec()
    };
    wire.say(End::Second, &[&frame(0x08, 11, 3, &[(70_000, &[5, 0, 0]), (70_001, &[6, 0, 0])])]);
    wire.say(End::First, &[&frame(0x53, 49, 6, &[(80_000, &[9, 0, 0])])]);
    wire.say(End::Second, &[&[iec101::SINGLE], &frame(0x08, 49, 7, &[(80_000, &[9, 0, 0])])]);
    assert_eq!(wire.families, [Family::Iec101; 4]);
    let values = wire.events.iter().filter_map(|event| match event {
        Event::Point(point) => Some(point.value),
        Event::Command(command) => Some(command.value),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), [5, 6, 9].map(Value::Integer));
}

/// §5: a receiver that searches for the next start octet takes up what begins there, legal or not, so it is told.
#[test]
fn a_malformed_message_behind_octets_that_are_none_is_told() {
    let start = iec104::Repr::unnumbered(iec104::Unnumbered::StartActivation).emit();
    // A test of the link with five octets, where four are legal.
    let odd: &[u8] = &[0x68, 5, 0x43, 0, 0, 0, 9];
    let told = |lost: bool, says: &[&[u8]]| {
        let mut wire = Wire::new();
        wire.say(End::First, &[start.as_bytes()]);
        if lost {
            wire.connection.say(End::First, &[7; 30], &mut Vec::new()).unwrap();
        }
        // Bytes that never came are given up after a while.
        for _ in 0..3 {
            wire.say(End::First, says);
            wire.frames += 10_000;
        }
        wire.families.len() - 1
    };
    assert_eq!(told(false, &[&[7, 7, 7], odd, &[9, 9]]), 3);
    assert_eq!(told(false, &[&[7, 7, 7], odd, start.as_bytes()]), 3, "what is legal is found first");
    assert!(
        told(true, &[&[7, 7, 7], odd, &[9, 9]]) < 3,
        "what is left of a message behind lost bytes is none"
    );
}
