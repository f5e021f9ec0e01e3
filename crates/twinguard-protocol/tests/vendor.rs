//! A protocol from outside the crate, through the same trait: recognised, cut, paired, bound and commanded like the
//! built-in ones.
#![allow(missing_docs, clippy::unwrap_used)]

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use twinguard_protocol::emit::Connection;
use twinguard_protocol::protocol::{
    Access, Action, Block, Carrier, Cell, Change, Context, Cut, Data, Field, Fit, Header, Kind, Name,
    Oddities, Protocol, Scalar, Sender, Tag, Width, Write,
};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, Item, LinkType, PointMap, Stack, stack::Config};
use twinguard_types::{
    Binding, ByteOrder, CommandOrigin, Direction, Encoding, Endpoint, Event, ExchangeOutcome, Label, Oddity,
    SignalId, Timestamp, Value,
};

/// Lines of text: `7 GET oven`, `7 IS 21.5`, `8 SET oven 30`, `8 OK`, `8 NO`, `9 STOP`.
#[derive(Debug)]
struct Lines;

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    number: u64,
    verb: &'a str,
    rest: &'a str,
}

/// The place of a request, by its number in the session's list.
#[derive(Clone, Copy, Debug)]
struct Asked {
    place: [u8; 8],
    stops: bool,
}

impl Protocol for Lines {
    const FAMILY: Label = Label::literal("lines");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(7777)];
    type Pdu<'a> = Line<'a>;
    type Memo = Asked;
    type Session = u64;
    type Shared = u64;
    type Blocks<'a> = core::option::IntoIter<Block<'a>>;

    fn cut(bytes: &[u8]) -> Cut {
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => Cut::Message(end + 1),
            None if bytes.len() < 80 => Cut::More(bytes.len() + 1),
            None => Cut::Foreign,
        }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let line = read(bytes)?;
        match line.verb {
            "GET" | "SET" | "STOP" => Some(Sender::Client),
            "IS" | "OK" | "NO" => Some(Sender::Server),
            _ => None,
        }
    }

    fn decode<'a>(
        session: &'a mut u64,
        shared: &'a mut u64,
        _: &Context,
        bytes: &'a [u8],
    ) -> Option<Line<'a>> {
        *session += 1;
        *shared += 1;
        read(bytes)
    }

    fn header(line: &Line<'_>) -> Header {
        let (kind, function) = match line.verb {
            "GET" => (Kind::Request, 1),
            "SET" => (Kind::Request, 2),
            "STOP" => (Kind::Request, 3),
            "NO" => (Kind::Exception, 0),
            _ => (Kind::Response, 0),
        };
        Header { kind, unit: 0, function, key: Some(line.number) }
    }

    fn oddities(line: &Line<'_>) -> Oddities {
        let mut oddities = Oddities::NONE;
        if line.rest.len() > 40 {
            oddities.push(Oddity::BadValue, 0);
        }
        oddities
    }

    fn memo(line: &Line<'_>) -> Asked {
        let mut place = [0; 8];
        place.iter_mut().zip(line.rest.bytes()).for_each(|(held, byte)| *held = byte);
        Asked { place, stops: line.verb == "STOP" }
    }

    fn fit(_: &Asked, _: &Line<'_>) -> Fit {
        Fit::Exact
    }

    fn action(asked: &Asked) -> Option<Action> {
        asked.stops.then_some(Action::Stop)
    }

    fn blocks<'a>(line: &Self::Pdu<'a>, request: Option<&Asked>) -> Self::Blocks<'a> {
        let scalar = |text: &'a str| Data::Scalar {
            raw: text.as_bytes(),
            value: text.parse().map_or(Scalar::Text(text.as_bytes()), Scalar::Float),
        };
        let tag = |name: &'a str| Tag { space: 0, name: Name::new([name.as_bytes()]), address: Some(0) };
        match (line.verb, request, line.rest.split_once(' ')) {
            ("SET", _, Some((name, value))) => Some(Block::new(tag(name), Access::Write, scalar(value))),
            // What was asked is known by number only: a short code, here its first letter.
            ("IS", Some(asked), _) => {
                let name = if asked.place.starts_with(b"oven") { "oven" } else { "other" };
                Some(Block::new(tag(name), Access::Read, scalar(line.rest)))
            }
            _ => None,
        }
        .into_iter()
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let Change::Scalar { value, .. } = write.change else { return None };
        let [name, ..] = write.tag.name.parts();
        out.extend_from_slice(format!("{number} SET {} {value}\n", str::from_utf8(name).ok()?).as_bytes());
        Some(())
    }

    fn fields(line: &Line<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("lines.number", Field::Number(line.number));
        put("lines.verb", Field::Text(line.verb.as_bytes()));
    }

    fn function_name(function: u16) -> &'static str {
        ["answer", "get", "set", "stop"].get(usize::from(function)).copied().unwrap_or("unknown")
    }

    fn cell(_: &Tag<'_>) -> Cell {
        Cell { width: Width::Scalar, last: 0 }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        (!text.is_empty()).then(|| Tag { space: 0, name: Name::new([text.as_bytes()]), address: Some(0) })
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, ..] = tag.name.parts();
        f.write_str(&String::from_utf8_lossy(name))
    }
}

fn read(bytes: &[u8]) -> Option<Line<'_>> {
    let text = str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (number, rest) = text.split_once(' ')?;
    let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Line { number: number.parse().ok()?, verb, rest })
}

fn oven(signal: u32) -> Binding {
    Binding {
        signal: SignalId(signal),
        family: Label::literal("lines"),
        endpoint: Endpoint::Any,
        tag: "oven".into(),
        encoding: Encoding::Native,
        order: ByteOrder::Abcd,
        scale: 10.0,
        offset: 0.0,
        direction: Direction::Write,
    }
}

/// Lines between a client and a server on this port.
fn talk(port: u16, lines: &[&str]) -> (Vec<Event<'static>>, Vec<String>) {
    let lines_family = Family::vendor::<Lines>();
    let mut families = Family::ALL.to_vec();
    families.push(lines_family);
    let mut map = PointMap::with_families(&[oven(0)], &families).unwrap();
    let mut stack = Stack::new(Config { families, ..Config::default() });
    let client = "10.0.0.1:40000".parse().unwrap();
    let mut connection = Connection::new(client, ([10, 0, 0, 2], port).into()).unwrap();
    let mut frames = connection.open().to_vec();
    for line in lines {
        let from = if line.contains("IS") || line.contains("OK") || line.contains("NO") {
            End::Second
        } else {
            End::First
        };
        let mut frame = Vec::new();
        connection.say(from, line.as_bytes(), &mut frame).unwrap();
        frames.push(frame);
    }
    let (mut events, mut fields) = (Vec::new(), Vec::new());
    for (index, bytes) in frames.iter().enumerate() {
        let at = Timestamp::from_millis(index as i64);
        let frame = Frame { index: 1, at, link: LinkType::Ethernet, bytes, original_len: bytes.len() as u32 };
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            if let Item::Message(message) = &item {
                assert_eq!(message.family(), lines_family);
                message.pdu.fields(&mut |name, field| fields.push(format!("{name}={field}")));
            }
            map.bind(&item, &mut events);
        }
    }
    (events, fields)
}

#[test]
fn a_family_from_outside_works_like_one_from_inside() {
    for port in [7777, 40_123] {
        let (events, fields) = talk(
            port,
            &["7 GET oven\n", "7 IS 21.5\n", "8 SET oven 30\n", "8 OK\n", "9 STOP\n9 GET x\n", "9 NO\n"],
        );
        assert_eq!(fields[..2], ["lines.number=7", "lines.verb=GET"], "port {port}");
        let points = events.iter().filter_map(|event| match event {
            Event::Point(point) => Some((point.signal, point.value)),
            _ => None,
        });
        assert_eq!(points.collect::<Vec<_>>(), [(SignalId(0), Value::real(215.0).unwrap())]);
        let commands = events.iter().filter_map(|event| match event {
            Event::Command(command) => Some((command.value, command.origin)),
            _ => None,
        });
        assert_eq!(commands.collect::<Vec<_>>(), [(Value::real(300.0).unwrap(), CommandOrigin::Wire)]);
        let outcomes = events.iter().filter_map(|event| match event {
            Event::Exchange(exchange) => Some(exchange.outcome),
            _ => None,
        });
        assert_eq!(
            outcomes.take(3).collect::<Vec<_>>(),
            [ExchangeOutcome::Answered, ExchangeOutcome::Answered, ExchangeOutcome::Exception(0)]
        );
        let accesses = events.iter().filter_map(|event| match event {
            Event::Access(access) => Some((access.action.to_string(), access.outcome)),
            _ => None,
        });
        assert_eq!(accesses.count(), 1, "the refused stop");
    }
}

#[test]
fn a_command_goes_back_to_the_wire() {
    let lines = Family::vendor::<Lines>();
    let map = PointMap::with_families(&[oven(3)], &[lines]).unwrap();
    let write = map.encode(SignalId(3), Value::real(250.0).unwrap()).unwrap();
    let mut bytes = Vec::new();
    lines.command(&write, 12, &mut bytes).unwrap();
    assert_eq!(bytes, b"12 SET oven 25\n");
    assert!(PointMap::new(&[oven(0)]).is_err(), "it is not built in");
}

/// A family that is wrong about itself, in one of three ways.
#[derive(Debug)]
struct Wrong<const WAY: usize>;

/// How often the third kind was asked.
static ASKED: AtomicUsize = AtomicUsize::new(0);

impl<const WAY: usize> Protocol for Wrong<WAY> {
    const FAMILY: Label = Label::literal("wrong");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(7778)];
    type Pdu<'a> = &'a [u8];
    type Memo = ();
    type Session = ();
    type Shared = ();
    type Blocks<'a> = core::iter::Empty<Block<'a>>;

    fn cut(bytes: &[u8]) -> Cut {
        match WAY {
            0 => Cut::Message(0),
            1 => Cut::Message(bytes.len() + 1),
            _ if ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => Cut::Foreign,
            _ => Cut::Message(bytes.len()),
        }
    }

    fn probe(_: &[u8]) -> Option<Sender> {
        Some(Sender::Client)
    }

    fn decode<'a>(_: &'a mut (), _: &'a mut (), _: &Context, bytes: &'a [u8]) -> Option<&'a [u8]> {
        Some(bytes)
    }

    fn header(_: &&[u8]) -> Header {
        Header { kind: Kind::Event, unit: 0, function: 0, key: None }
    }

    fn oddities(_: &&[u8]) -> Oddities {
        Oddities::NONE
    }

    fn memo(_: &&[u8]) {}

    fn fit((): &(), _: &&[u8]) -> Fit {
        Fit::No
    }

    fn blocks<'a>(_: &Self::Pdu<'a>, _: Option<&()>) -> Self::Blocks<'a> {
        core::iter::empty()
    }

    fn fields(_: &&[u8], _: &mut dyn FnMut(&'static str, Field<'_>)) {}

    fn function_name(_: u16) -> &'static str {
        "unknown"
    }

    fn parse_tag(_: &str) -> Option<Tag<'_>> {
        None
    }

    fn write_tag(_: &Tag<'_>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[test]
fn a_family_that_is_wrong_about_itself_does_not_hold_the_stack() {
    for wrong in [Family::vendor::<Wrong<0>>(), Family::vendor::<Wrong<1>>(), Family::vendor::<Wrong<2>>()] {
        let mut stack = Stack::new(Config { families: vec![wrong], ..Config::default() });
        let server = "10.0.0.2:7778".parse().unwrap();
        let mut connection = Connection::new("10.0.0.1:40000".parse().unwrap(), server).unwrap();
        let mut frames = connection.open().to_vec();
        frames.push(Vec::new());
        connection.say(End::First, b"hello", frames.last_mut().unwrap()).unwrap();
        for bytes in &frames {
            let original_len = bytes.len() as u32;
            let at = Timestamp::ZERO;
            stack.handle(&Frame { index: 1, at, link: LinkType::Ethernet, bytes, original_len });
            while let Some(item) = stack.poll() {
                assert!(matches!(item, Item::Malformed(_)), "{item:?}");
            }
        }
        assert_eq!((stack.counters().messages, stack.counters().foreign_bytes), (0, 5));
    }
}
