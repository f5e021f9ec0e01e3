//! EtherNet/IP through the stack and the point map: bindings by tag name and by attribute, commands, actions, I/O data
//! over UDP of a connection that was opened over TCP.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::protocols::enip::{Content, Repr};
use twinguard_protocol::stack::Config;
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, LinkType, PointMap, Stack};
use twinguard_types::{
    AccessOutcome, Binding, ByteOrder, Direction, Encoding, Endpoint, Event, Label, SignalId, Timestamp,
    Value,
};

/// A controller and who talks to it.
struct Plant {
    stack: Stack,
    map: PointMap,
    connection: Connection,
    frames: u64,
}

fn binding(signal: u32, tag: &str, encoding: Encoding, order: ByteOrder) -> Binding {
    Binding {
        signal: SignalId(signal),
        family: Label::literal("enip"),
        endpoint: Endpoint::Host("10.0.0.2".parse().unwrap()),
        tag: tag.into(),
        encoding,
        order,
        scale: 1.0,
        offset: 0.0,
        direction: Direction::Write,
    }
}

impl Plant {
    fn new() -> Self {
        let bindings = [
            binding(0, "Program:Main.rate[2]", Encoding::Native, ByteOrder::Abcd),
            binding(1, "0x04/100/3+2", Encoding::U16, ByteOrder::Badc),
            binding(2, "0x04/102/3", Encoding::I16, ByteOrder::Badc),
            binding(3, "0x04/101/3", Encoding::U16, ByteOrder::Badc),
        ];
        let connection =
            Connection::new("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:44818".parse().unwrap()).unwrap();
        let (stack, map) = (Stack::new(Config::default()), PointMap::new(&bindings).unwrap());
        let mut plant = Self { stack, map, connection, frames: 0 };
        for frame in plant.connection.open() {
            plant.frame(&frame);
        }
        plant
    }

    fn frame(&mut self, bytes: &[u8]) -> String {
        self.frames += 1;
        let (at, original_len) = (Timestamp::from_millis(self.frames as i64), bytes.len() as u32);
        self.stack.handle(&Frame { index: self.frames, at, link: LinkType::Ethernet, bytes, original_len });
        let mut events = Vec::new();
        while let Some(item) = self.stack.poll() {
            self.map.bind(&item, &mut events);
        }
        let show = |event: &Event<'_>| match event {
            Event::Point(point) => Some(format!("point {} {:?}", point.signal.0, point.value)),
            Event::Command(command) => Some(format!("command {} {:?}", command.signal.0, command.value)),
            Event::Access(access) => {
                let refused = if access.outcome == AccessOutcome::Refused { " refused" } else { "" };
                Some(format!("{}{refused}", access.action))
            }
            _ => None,
        };
        events.iter().filter_map(show).collect::<Vec<_>>().join(", ")
    }

    fn say(&mut self, from: End, content: Content<'_>) -> String {
        let message = Repr::new(7, [1, 0, 0, 0, 0, 0, 0, 0], content).unwrap().emit();
        self.bytes(from, &message)
    }

    fn bytes(&mut self, from: End, message: &[u8]) -> String {
        let mut frame = Vec::new();
        self.connection.say(from, message, &mut frame).unwrap();
        self.frame(&frame)
    }

    fn ask(&mut self, code: u8, path: &[u8], data: &[u8]) -> String {
        self.say(End::First, Content::Request { connected: None, code, path, data })
    }

    fn tell(&mut self, code: u8, status: u8, data: &[u8]) -> String {
        self.say(End::Second, Content::Response { connected: None, code, status, additional: &[], data })
    }
}

/// `Program:Main.rate[1]`.
const RATE: &[u8] = b"\x91\x0cProgram:Main\x91\x04rate\x28\x01";

#[test]
fn bindings_meet_tags_and_attributes() {
    let mut plant = Plant::new();
    assert_eq!(plant.ask(0x4c, RATE, &[2, 0]), "");
    let told = plant.tell(0x4c, 0, &[0xca, 0, 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0x41]);
    assert!(told.starts_with("point 0 Real") && told.contains("10.0"), "{told}");
    plant.ask(0x0e, &[0x20, 4, 0x24, 100, 0x30, 3], &[]);
    assert_eq!(plant.tell(0x0e, 0, &[9, 9, 0x34, 0x12]), "point 1 Integer(4660)");
    assert_eq!(plant.ask(0x10, &[0x20, 4, 0x24, 100, 0x30, 3], &[0, 0, 1, 0]), "command 1 Integer(1)");
}

#[test]
fn a_value_becomes_a_message_and_a_command_again() {
    let mut plant = Plant::new();
    let mut message = Vec::new();
    let write = plant.map.encode(SignalId(0), Value::Integer(-5)).unwrap();
    Family::Enip.command(&write, 1, &mut message).unwrap();
    assert_eq!(plant.bytes(End::First, &message), "command 0 Integer(-5)");
}

#[test]
fn stopping_a_controller_is_told_with_its_outcome() {
    let mut plant = Plant::new();
    let controller = &[0x20, 0x8e, 0x24, 1];
    assert_eq!(plant.ask(7, controller, &[]), "");
    assert_eq!(plant.tell(7, 0, &[]), "stop");
    plant.ask(7, controller, &[]);
    assert_eq!(plant.tell(7, 0x0f, &[]), "stop refused");
}

#[test]
fn data_of_a_connection_opened_over_tcp_come_over_udp() {
    let mut plant = Plant::new();
    let mut open = vec![10, 5, 0, 0, 0, 0, 0x22, 0, 0, 0, 9, 0, 8, 0, 7, 0, 0, 0];
    open.extend([0; 16]);
    open.extend([1, 4, 0x20, 4, 0x24, 100, 0x2c, 101, 0x2c, 102]);
    plant.ask(0x54, &[0x20, 6, 0x24, 1], &open);
    let opened = [0x11, 0, 0, 0, 0x22, 0, 0, 0, 9, 0, 8, 0, 7, 0, 0, 0];
    assert_eq!(plant.tell(0x54, 0, &opened), "connect");
    let (one, two) = ("10.0.0.1:2222".parse().unwrap(), "10.0.0.2:2222".parse().unwrap());
    let mut cyclic = |from, to, connection| {
        let content = Content::Io { connection, sequence: 1, data: &[1, 0, 0xfe, 0xff] };
        let (message, mut frame) = (Repr::new(0, [0; 8], content).unwrap().emit(), Vec::new());
        emit::datagram(from, to, &message, &mut frame).unwrap();
        plant.frame(&frame)
    };
    assert_eq!(cyclic(two, one, 0x22), "point 2 Integer(-2)");
    assert_eq!(cyclic(one, two, 0x11), "command 3 Integer(65534)");
}
