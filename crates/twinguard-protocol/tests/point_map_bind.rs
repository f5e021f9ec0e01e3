//! Messages to points and commands, by bindings and by discovery, and values back to bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;

use proptest::prelude::*;
use twinguard_protocol::emit::datagram;
use twinguard_protocol::protocols::modbus::{BitBuffer, Body, Function, Repr, WordBuffer};
use twinguard_protocol::stack::{Config, Stack};
use twinguard_protocol::{Error, Frame, LinkType, PointMap, Sender};
use twinguard_types::{
    Binding, ByteOrder, CommandOrigin, Direction, Encoding, Endpoint, Event, Label, Quality, SignalId,
    Source, Timestamp, Value,
};

fn binding(signal: u32, tag: &str, encoding: Encoding) -> Binding {
    Binding {
        signal: SignalId(signal),
        family: Label::literal("modbus"),
        endpoint: Endpoint::Any,
        tag: tag.into(),
        encoding,
        order: ByteOrder::Abcd,
        scale: 1.0,
        offset: 0.0,
        direction: Direction::Write,
    }
}

/// Carries messages as datagrams between one client and one server.
struct Wire {
    stack: Stack,
    map: PointMap,
    frames: u64,
}

impl Wire {
    fn new(map: PointMap) -> Self {
        Self { stack: Stack::new(Config::default()), map, frames: 0 }
    }

    fn send(&mut self, message: Result<Repr<'_>, impl std::fmt::Debug>) -> Vec<Event<'static>> {
        let message = message.unwrap();
        let (client, server): (SocketAddr, SocketAddr) =
            ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
        let (source, destination) = match message.sender() {
            Sender::Server => (server, client),
            _ => (client, server),
        };
        self.raw(source, destination, message.emit().as_bytes())
    }

    fn raw(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<Event<'static>> {
        let mut bytes = Vec::new();
        datagram(source, destination, payload, &mut bytes).unwrap();
        self.frames += 1;
        let frame = Frame {
            index: self.frames,
            at: Timestamp::from_secs(self.frames as i64),
            link: LinkType::Ethernet,
            bytes: &bytes,
            original_len: bytes.len() as u32,
        };
        self.stack.handle(&frame);
        let mut events = Vec::new();
        while let Some(item) = self.stack.poll() {
            self.map.bind(&item, &mut events);
        }
        events.retain(|event| !matches!(event, Event::Exchange(_)));
        events
    }

    fn read(&mut self, function: u8, start: u16, words: &[u16]) -> Vec<Event<'static>> {
        let id = self.frames as u16;
        assert!(self.send(Repr::read(id, 1, function, start, words.len() as u16)).is_empty());
        let words = WordBuffer::new(words).unwrap();
        self.send(Repr::registers(id, 1, function, words.registers()))
    }

    fn write(&mut self, start: u16, words: &[u16]) -> Vec<Event<'static>> {
        let words = WordBuffer::new(words).unwrap();
        self.send(Repr::write_registers(self.frames as u16, 1, start, words.registers()))
    }
}

/// `signal=value` for points, `signal:=value` for commands, `!` for bad quality.
fn short(events: &[Event<'_>]) -> String {
    let all = events.iter().map(|event| match event {
        Event::Point(point) => {
            let mark = if point.quality == Quality::Bad { "!" } else { "" };
            format!("{}={}{mark}", point.signal, point.value)
        }
        Event::Command(command) => format!("{}:={}", command.signal, command.value),
        Event::Malformed(malformed) => format!("{:?}", malformed.oddity),
        other => format!("{other:?}"),
    });
    all.collect::<Vec<_>>().join(" ")
}

fn map(bindings: &[Binding]) -> Wire {
    Wire::new(PointMap::new(bindings).unwrap())
}

#[test]
fn every_encoding_is_read() {
    let scaled = Binding { scale: 0.1, offset: -10.0, ..binding(1, "u1/hr/0", Encoding::I16) };
    let swapped = Binding { order: ByteOrder::Cdab, ..binding(3, "u1/hr/1", Encoding::F32) };
    let mut wire = map(&[
        binding(0, "u1/hr/0", Encoding::U16),
        scaled,
        binding(2, "u1/hr/0", Encoding::Bit(15)),
        swapped,
        binding(4, "u1/hr/3", Encoding::F64),
        binding(5, "u1/hr/7", Encoding::Bcd(4)),
        binding(6, "u2/hr/0", Encoding::U16),
        binding(7, "u1/ir/0", Encoding::U16),
    ]);
    let words = [0xfff6, 0, 0x4120, 0x4024, 0, 0, 0, 0x1234];
    assert_eq!(short(&wire.read(3, 0, &words)), "0=65526 1=-11 2=true 3=10 4=10 5=1234");
    assert_eq!(short(&wire.read(4, 0, &[3])), "7=3");
    assert_eq!(short(&wire.read(3, 1, &words[1..3])), "3=10", "a part of the table");
    assert_eq!(short(&wire.read(3, 2, &words[2..5])), "", "no value lies whole in these words");
}

#[test]
fn what_cannot_be_is_bad_and_keeps_the_last_good_value() {
    let mut wire = map(&[binding(0, "u1/hr/0", Encoding::F32), binding(1, "u1/hr/2", Encoding::Bcd(4))]);
    assert_eq!(short(&wire.read(3, 0, &[0x7fc0, 0, 0xa])), "0=0! 1=0!");
    assert_eq!(short(&wire.read(3, 0, &[0x3f80, 0, 9])), "0=1 1=9");
    assert_eq!(short(&wire.read(3, 0, &[0x7f80, 0, 0xb])), "0=1! 1=9!");
}

#[test]
fn points_are_of_the_field_and_commands_of_the_wire() {
    let mut wire = map(&[binding(0, "u1/hr/0", Encoding::U16)]);
    let [Event::Point(point)] = wire.read(3, 0, &[5])[..] else { panic!("one point") };
    assert_eq!((point.source, point.arrived_at), (Source::Field, Timestamp::from_secs(2)));
    let [Event::Command(first)] = wire.write(0, &[6])[..] else { panic!("one command") };
    let [Event::Command(second)] = wire.send(Repr::write_register(9, 1, 0, 7))[..] else {
        panic!("one command")
    };
    assert_eq!((first.origin, first.from), (CommandOrigin::Wire, Some("10.0.0.1:40000".parse().unwrap())));
    assert_ne!(first.id, second.id);
    assert_eq!(wire.map.principals().id("10.0.0.1"), Some(first.principal));
}

#[test]
fn a_write_of_a_part_is_a_command_with_the_rest_as_last_seen() {
    let mut wire = map(&[binding(0, "u1/hr/0", Encoding::U32), binding(1, "u1/hr/1", Encoding::Bit(0))]);
    assert_eq!(short(&wire.write(1, &[5])), "1:=true", "the upper word is not known");
    wire.read(3, 0, &[1, 2]);
    assert_eq!(short(&wire.write(1, &[5])), "0:=65541 1:=true");
    assert_eq!(short(&wire.write(0, &[2])), "0:=131077");
    let keep = Body::MaskWrite { address: 1, and: 0xfffe, or: 0 };
    let mask = |id, body| Repr::new(id, 1, Function::MASK_WRITE_REGISTER, Sender::Client, body);
    assert_eq!(short(&wire.send(mask(100, keep))), "0:=131076 1:=false");
    let other = Body::MaskWrite { address: 1, and: 0xfffd, or: 2 };
    assert_eq!(short(&wire.send(mask(101, other))), "0:=131078", "bit 0 is kept");
}

#[test]
fn coils_and_inputs_are_states() {
    let mut wire = map(&[binding(0, "u1/co/8", Encoding::Bit(0)), binding(1, "u1/di/2", Encoding::Bit(0))]);
    wire.send(Repr::read(1, 1, 1, 0, 10));
    let bits =
        BitBuffer::new(&[false, false, false, false, false, false, false, false, true, false]).unwrap();
    assert_eq!(short(&wire.send(Repr::bits(1, 1, 1, &bits))), "0=true");
    wire.send(Repr::read(2, 1, 2, 0, 2));
    let bits = BitBuffer::new(&[true, true]).unwrap();
    assert_eq!(short(&wire.send(Repr::bits(2, 1, 2, &bits))), "", "padding is no value");
    assert_eq!(short(&wire.send(Repr::write_coil(3, 1, 8, true))), "0:=true");
    let client = "10.0.0.1:40000".parse().unwrap();
    let odd = [0, 4, 0, 0, 0, 6, 1, 5, 0, 8, 0x12, 0x34];
    assert_eq!(short(&wire.raw(client, "10.0.0.2:502".parse().unwrap(), &odd)), "BadValue");
}

#[test]
fn endpoints_are_kept_apart() {
    let socket = Endpoint::Socket("10.0.0.2:502".parse().unwrap());
    let other = Endpoint::Host("10.0.0.3".parse().unwrap());
    let host = Endpoint::Host("10.0.0.2".parse().unwrap());
    let at = |signal, endpoint| Binding { endpoint, ..binding(signal, "u1/hr/0", Encoding::U16) };
    let mut wire = map(&[at(0, other), at(1, socket), at(2, host), at(3, Endpoint::Any)]);
    assert_eq!(short(&wire.read(3, 0, &[4])), "1=4 2=4 3=4");
}

#[test]
fn bad_bindings_are_named() {
    let check = |bad: Binding, reason: &str| {
        let good = binding(0, "u1/hr/0", Encoding::U16);
        let error = PointMap::new(&[good, bad]).unwrap_err();
        assert!(
            matches!(&error, Error::BadBinding { index: 1, reason: said, .. } if said.contains(reason)),
            "{error}"
        );
    };
    check(binding(1, "40001", Encoding::U16), "grammar");
    check(binding(1, "u1/hr/65535", Encoding::F32), "address space");
    check(binding(1, "u1/co/0", Encoding::U16), "single bit");
    check(binding(1, "u1/hr/0", Encoding::Bit(16)), "0 to 15");
    check(binding(1, "u1/hr/0", Encoding::Bcd(5)), "digits");
    check(Binding { scale: 0.0, ..binding(1, "u1/hr/0", Encoding::U16) }, "scale");
    check(Binding { offset: f64::NAN, ..binding(1, "u1/hr/0", Encoding::U16) }, "offset");
    check(
        Binding { family: Label::literal("telepathy"), ..binding(1, "u1/hr/0", Encoding::U16) },
        "protocol",
    );
}

#[test]
fn what_is_encoded_is_bound_again() {
    for order in [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba] {
        let at = |signal, tag, encoding| Binding { order, ..binding(signal, tag, encoding) };
        let mut wire = map(&[
            at(0, "u1/hr/0", Encoding::U16),
            Binding { scale: 0.5, offset: 100.0, ..at(1, "u1/hr/2", Encoding::I32) },
            at(2, "u1/hr/4", Encoding::F64),
            at(3, "u1/hr/8", Encoding::Bcd(8)),
            at(4, "u1/hr/10", Encoding::Bit(3)),
            at(5, "u1/co/0", Encoding::Bit(0)),
            at(6, "u1/hr/11", Encoding::I64),
        ]);
        for (signal, value) in [
            (0, Value::Integer(513)),
            (1, Value::real(-7.5).unwrap()),
            (2, Value::real(1e-3).unwrap()),
            (3, Value::Integer(12_345_678)),
            (4, Value::Boolean(true)),
            (5, Value::Boolean(true)),
            (6, Value::Integer(i64::MIN + 1)),
        ] {
            let map = wire.map.clone();
            let write = map.encode(SignalId(signal), value).unwrap();
            let events = wire.send(Repr::write(signal as u16, &write));
            let [Event::Command(command)] = events[..] else { panic!("{signal} {order:?}: {events:?}") };
            assert_eq!((command.signal.0, command.value), (signal, value), "{order:?}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let reading = Binding { direction: Direction::Read, ..binding(1, "u1/hr/1", Encoding::U16) };
    let map = PointMap::new(&[binding(0, "u1/hr/0", Encoding::U16), reading]).unwrap();
    for (signal, value) in [(0, 70_000), (0, -1), (1, 0), (2, 0)] {
        assert!(matches!(
            map.encode(SignalId(signal), Value::Integer(value)),
            Err(Error::NotWritable { .. })
        ));
    }
}

#[test]
fn discovery_names_every_place_once_up_to_its_bound() {
    let mut wire = Wire::new(PointMap::discover(3));
    assert_eq!(short(&wire.read(3, 10, &[1, 2])), "0=1 1=2");
    assert_eq!(short(&wire.read(3, 9, &[7, 1, 2])), "0=1 1=2 2=7");
    assert_eq!(short(&wire.write(12, &[7])), "");
    assert_eq!(short(&wire.write(11, &[8])), "1:=8");
    assert_eq!(wire.map.ignored(), 1);
    let catalogue = wire.map.catalogue().unwrap();
    let paths: Vec<_> = catalogue.iter().map(|(_, signal)| &*signal.path).collect();
    assert_eq!(paths, ["u1/hr/10", "u1/hr/11", "u1/hr/9"].map(|tag| format!("modbus/10.0.0.2:502/{tag}")));
}

proptest! {
    /// Of places with holes, runs and several bindings each, exactly those that lie whole in what was read are told.
    #[test]
    fn what_lies_whole_in_a_block_is_told(
        mut places in proptest::collection::vec((0u32..60, any::<bool>()), 1..40),
        start in 0u16..60,
        words in proptest::collection::vec(any::<u16>(), 1..40),
    ) {
        places.sort_unstable();
        let encoding = |wide: bool| if wide { Encoding::U32 } else { Encoding::U16 };
        let bindings: Vec<_> = (0..).zip(&places).map(|(signal, (place, wide))| {
            binding(signal, &format!("u1/hr/{place}"), encoding(*wide))
        }).collect();
        let word = |place: u32| words.get(place.checked_sub(u32::from(start))? as usize).map(|word| u32::from(*word));
        let expect = (0..).zip(&places).filter_map(|(signal, (place, wide)): (u32, _)| {
            let value = if *wide { word(*place)? << 16 | word(place + 1)? } else { word(*place)? };
            Some((signal, f64::from(value)))
        });
        let told = map(&bindings).read(3, start, &words);
        let mut told: Vec<_> = told.iter().map(|event| match event {
            Event::Point(point) => (point.signal.0, point.value.as_f64()),
            other => panic!("{other:?}"),
        }).collect();
        told.sort_by_key(|(signal, _)| *signal);
        prop_assert_eq!(told, expect.collect::<Vec<_>>());
    }
}
