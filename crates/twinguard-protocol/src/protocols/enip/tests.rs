//! The family by itself: places of responses, connections, actions, emitted messages.

use proptest::prelude::*;
use twinguard_types::{Encoding, Endpoint, Quality, Timestamp, Value};

use super::*;
use crate::protocol::{Access, Address, Block, Change, Data, RawPoint, Scalar};

const CONTEXT: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

#[derive(Default)]
struct Talk {
    session: Session,
    shared: Shared,
}

impl Talk {
    /// The points of a message, as `place=raw access`, after everything said before.
    fn points(&mut self, content: Content<'_>) -> String {
        let bytes = Repr::new(7, CONTEXT, content).unwrap().emit();
        self.bytes(&bytes, "10.0.0.1:40000", "10.0.0.2:44818")
    }

    fn bytes(&mut self, bytes: &[u8], from: &str, to: &str) -> String {
        let context = Context {
            source: Address::Socket(from.parse().unwrap()),
            destination: Address::Socket(to.parse().unwrap()),
            ..Context::of(Sender::Unknown)
        };
        let view = Enip::decode(&mut self.session, &mut self.shared, &context, bytes).unwrap();
        let all = Enip::blocks(&view, None).flat_map(Block::points).map(show);
        all.collect::<Vec<_>>().join(" ")
    }
}

fn show(point: RawPoint<'_>) -> String {
    let place = fmt::from_fn(|f| Enip::write_tag(&point.tag, f));
    let access = match point.access {
        Access::Read => "r",
        Access::Write => "w",
        _ => "a",
    };
    let bad = if point.quality == Quality::Bad { "!" } else { "" };
    format!("{place}={}{access}{bad}", point.raw)
}

fn ask<'a>(code: u8, path: &'a [u8], data: &'a [u8]) -> Content<'a> {
    Content::Request { connected: None, code, path, data }
}

fn tell(code: u8, status: u8, data: &[u8]) -> Content<'_> {
    Content::Response { connected: None, code, status, additional: &[], data }
}

/// `rate`.
const RATE: &[u8] = &[0x91, 4, b'r', b'a', b't', b'e'];
/// `m[2].x[1]`.
const NESTED: &[u8] = &[0x91, 1, b'm', 0, 0x28, 2, 0x91, 1, b'x', 0, 0x28, 1];

#[test]
fn responses_get_the_places_of_their_requests() {
    let mut talk = Talk::default();
    // PM020: Read_Tag of one REAL, of two INT, by a nested name.
    assert_eq!(talk.points(ask(0x4c, RATE, &[1, 0])), "rate=0100a");
    assert_eq!(talk.points(tell(0x4c, 0, &[0xca, 0, 0, 0, 0x20, 0x41])), "rate=00002041r");
    talk.points(ask(0x4c, NESTED, &[2, 0]));
    assert_eq!(talk.points(tell(0x4c, 0, &[0xc3, 0, 1, 0, 2, 0])), "m[2].x[1]=0100r m[2].x[2]=0200r");
    // Fragmented: the second fragment begins four bytes on.
    talk.points(ask(0x52, RATE, &[4, 0, 4, 0, 0, 0]));
    assert_eq!(talk.points(tell(0x52, 0, &[0xc3, 0, 5, 0])), "rate[2]=0500r");
    // A refusal carries no values; a response without its request has no place.
    talk.points(ask(0x4c, RATE, &[1, 0]));
    assert_eq!(talk.points(tell(0x4c, 5, &[])), "");
    assert_eq!(talk.points(tell(0x4c, 0, &[0xc2, 0, 1])), "?=c20001r");
    // Attributes: one; a list; all of an object.
    talk.points(ask(0x0e, &[0x20, 4, 0x24, 100, 0x30, 3], &[]));
    assert_eq!(talk.points(tell(0x0e, 0, &[1, 2, 3])), "0x04/100/3=010203r");
    talk.points(ask(0x03, &[0x20, 1, 0x24, 1], &[2, 0, 5, 0, 6, 0]));
    let list = [2, 0, 5, 0, 0, 0, 0x60, 0x30, 6, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(talk.points(tell(0x03, 0, &list)), "0x01/1/5=6030r 0x01/1/6=01020304r");
    // A class-specific service is told apart by what it was given.
    assert_eq!(talk.points(ask(0x4c, &[0x20, 0x72, 0x24, 0], &[0, 0xce])), "0x72/0#0x4c(00ce)=00cea");
    assert_eq!(talk.points(tell(0x4c, 0, &[9])), "0x72/0#0x4c(00ce)=09r");
}

#[test]
fn what_is_written_is_told() {
    let mut talk = Talk::default();
    let check = |talk: &mut Talk, content, expect: &str| assert_eq!(talk.points(content), expect);
    check(&mut talk, ask(0x4d, RATE, &[0xc4, 0, 1, 0, 7, 0, 0, 0]), "rate=07000000w");
    check(&mut talk, ask(0x4d, NESTED, &[0xc2, 0, 2, 0, 7, 8]), "m[2].x[1]=07w m[2].x[2]=08w");
    check(&mut talk, ask(0x53, RATE, &[0xc3, 0, 9, 0, 2, 0, 0, 0, 7, 0]), "rate[1]=0700w");
    check(&mut talk, ask(0x4e, RATE, &[1, 0, 1, 0xff]), "rate=01ffw");
    check(&mut talk, ask(0x10, &[0x20, 4, 0x24, 100, 0x30, 3], &[1, 2]), "0x04/100/3=0102w");
    let text = [&[0xa0, 2, 0xce, 0x0f, 1, 0, 2, 0, 0, 0][..], b"ok"].concat();
    check(&mut talk, ask(0x4d, &[0x20, 0x6b, 0x24, 12, 0x28, 3], &text), "0x6b/12[3]=020000006f6bw");
}

#[test]
fn services_inside_others_keep_their_places() {
    let inner = |data: &[u8]| [&[0x4c, 3][..], RATE, data].concat();
    let packet = [&[2, 0, 6, 0, 16, 0][..], &inner(&[1, 0]), &inner(&[1, 0])].concat();
    let packet = [&[0x0a, 2, 0x20, 2, 0x24, 1][..], &packet].concat();
    let routed = [&[7, 0xe9, packet.len() as u8, 0][..], &packet, &[1, 0, 1, 0]].concat();
    let mut talk = Talk::default();
    assert_eq!(talk.points(ask(0x52, &[0x20, 6, 0x24, 1], &routed)), "rate=0100a rate=0100a");
    let answer = [2, 0, 6, 0, 13, 0, 0xcc, 0, 0, 0, 0xc2, 0, 7, 0xcc, 0, 0, 0, 0xc2, 0, 8];
    assert_eq!(talk.points(tell(0x0a, 0, &answer)), "rate=07r rate=08r");
}

/// `Forward_Open` (table 3-5.16): assemblies 101 to the target and 102 to the originator, class 1.
fn open() -> Vec<u8> {
    let mut data = vec![10, 5, 0, 0, 0, 0, 0x22, 0, 0, 0, 9, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    data.extend([0; 12]);
    data.extend([0x01, 4, 0x20, 4, 0x24, 100, 0x2c, 101, 0x2c, 102]);
    data
}

#[test]
fn cyclic_data_belong_to_the_assemblies_of_their_connection() {
    let mut talk = Talk::default();
    let io = |connection, sequence| {
        let content = Content::Io { connection, sequence, data: &[1, 0, 0xab, 0xcd] };
        Repr::new(0, [0; 8], content).unwrap().emit()
    };
    let (one, two) = ("10.0.0.1:2222", "10.0.0.2:2222");
    assert_eq!(talk.bytes(&io(0x11, 1), one, two), "#0x00000011=0100abcdr");
    talk.points(ask(0x54, &[0x20, 6, 0x24, 1], &open()));
    let answer = [0x11, 0, 0, 0, 0x22, 0, 0, 0, 9, 0, 8, 0, 7, 0, 0, 0];
    let reply = Repr::new(7, CONTEXT, tell(0x54, 0, &answer)).unwrap().emit();
    assert_eq!(talk.bytes(&reply, "10.0.0.2:44818", "10.0.0.1:40000"), "");
    assert_eq!(talk.bytes(&io(0x11, 1), one, two), "0x04/101/3=abcdw");
    assert_eq!(talk.bytes(&io(0x22, 5), two, one), "0x04/102/3=abcdr");
    let context = Context { source: Address::Socket(two.parse().unwrap()), ..Context::of(Sender::Unknown) };
    let late = io(0x22, 7);
    let view = Enip::decode(&mut talk.session, &mut talk.shared, &context, &late).unwrap();
    assert!(Enip::oddities(&view).contains(Oddity::Gap), "packet 6 is missing");
    assert_eq!(Enip::header(&view).function, Header::NO_FUNCTION);
    // Forward_Close (table 3-5.22).
    talk.points(ask(0x4e, &[0x20, 6, 0x24, 1], &[10, 5, 9, 0, 8, 0, 7, 0, 0, 0, 0, 0]));
    let reply = Repr::new(7, CONTEXT, tell(0x4e, 0, &[9, 0, 8, 0, 7, 0, 0, 0, 0, 0])).unwrap().emit();
    talk.bytes(&reply, "10.0.0.2:44818", "10.0.0.1:40000");
    assert_eq!(talk.bytes(&io(0x22, 8), two, one), "#0x00000022=0100abcdr");
}

#[test]
fn connections_of_one_session_count_by_themselves() {
    let mut talk = Talk::default();
    let opened = |talk: &mut Talk, serial: u8, [to, from]: [u8; 2]| {
        let mut data = open();
        data[10] = serial;
        talk.points(ask(0x54, &[0x20, 6, 0x24, 1], &data));
        let reply = [to, 0, 0, 0, from, 0, 0, 0, serial, 0, 8, 0, 7, 0, 0, 0];
        let reply = Repr::new(7, CONTEXT, tell(0x54, 0, &reply)).unwrap().emit();
        talk.bytes(&reply, "10.0.0.2:44818", "10.0.0.1:40000");
    };
    opened(&mut talk, 1, [0x11, 0x12]);
    opened(&mut talk, 2, [0x21, 0x22]);
    let connected = |connection: u32| Some((connection, 5));
    talk.points(Content::Request { connected: connected(0x11), code: 0x4c, path: RATE, data: &[1, 0] });
    talk.points(Content::Request { connected: connected(0x21), code: 0x4c, path: NESTED, data: &[1, 0] });
    let mut answer = |connection| {
        let data = &[0xc2, 0, 1];
        let reply = Content::Response {
            connected: connected(connection),
            code: 0x4c,
            status: 0,
            additional: &[],
            data,
        };
        let reply = Repr::new(7, CONTEXT, reply).unwrap().emit();
        talk.bytes(&reply, "10.0.0.2:44818", "10.0.0.1:40000")
    };
    assert_eq!(answer(0x22), "m[2].x[1]=01r");
    assert_eq!(answer(0x12), "rate=01r");
}

#[test]
fn sessions_and_connections_stay_bounded() {
    let mut talk = Talk::default();
    for index in 0..3000u32 {
        let mut data = open();
        data[10..12].copy_from_slice(&(index as u16).to_le_bytes());
        talk.points(ask(0x54, &[0x20, 6, 0x24, 1], &data));
        let reply = Repr::new(7, CONTEXT, tell(0x54, 0, &[0; 16])).unwrap().emit();
        talk.bytes(&reply, "10.0.0.2:44818", "10.0.0.1:40000");
        let content =
            Content::Request { connected: Some((1, index as u16)), code: 1, path: &[], data: &[0; 9000] };
        talk.points(content);
    }
    assert!(format!("{:?}", talk.shared).matches("transport").count() <= CONNECTIONS_MAX);
    assert!(format!("{:?}", talk.session).matches("answered").count() <= REQUESTS_MAX);
}

#[test]
fn who_asks_and_what_for() {
    let check = |content: Content<'_>, sender, kind, function, action| {
        let bytes = Repr::new(7, CONTEXT, content).unwrap().emit();
        let view = View::new(&bytes, Sender::Unknown).unwrap();
        let header = Enip::header(&view);
        assert_eq!((view.sender(), header.kind, header.function), (sender, kind, function));
        assert_eq!(Enip::memo(&view).action, action);
        let refused = matches!(content, Content::Response { status: 8, .. });
        assert_eq!(Enip::refusal(&view), refused.then_some(8));
    };
    use Sender::{Client, Server};
    check(ask(0x07, &[0x20, 0x8e, 0x24, 1], &[]), Client, Kind::Request, 7, Some(Action::Stop));
    check(ask(0x05, &[0x20, 1, 0x24, 1], &[0]), Client, Kind::Request, 5, Some(Action::Restart));
    check(tell(0x05, 8, &[]), Server, Kind::Response, 5, None);
    check(tell(0x4c, 6, &[0xc2, 0, 1]), Server, Kind::Response, 0x4c, None);
    check(Content::UnregisterSession, Client, Kind::Control, 0x66, Some(Action::Disconnect));
    check(Content::ListIdentity, Client, Kind::Request, 0x63, Some(Action::Browse));
    let bytes = Repr::new(0, CONTEXT, Content::RegisterSession).unwrap().emit();
    let view = View::new(&bytes, Sender::Unknown).unwrap();
    assert_eq!(Enip::memo(&view).action, Some(Action::Connect));
}

#[test]
fn only_whole_legal_messages_are_recognised() {
    let emit = |session, content| Repr::new(session, CONTEXT, content).unwrap().emit();
    let asks = emit(7, ask(0x4c, RATE, &[1, 0]));
    let tells = emit(7, tell(0x4c, 0, &[0xc2, 0, 1]));
    assert_eq!(Enip::probe(&asks), Some(Sender::Client));
    assert_eq!(Enip::probe(&tells), Some(Sender::Server));
    assert_eq!(Enip::probe(&[&asks[..], &asks].concat()), Some(Sender::Client));
    assert_eq!(Enip::probe(&[&asks[..], &tells].concat()), None);
    assert_eq!(Enip::probe(&emit(0, Content::RegisterSession)), Some(Sender::Client));
    let io = emit(0, Content::Io { connection: 1, sequence: 2, data: &[0; 6] });
    assert_eq!(Enip::probe(&io), Some(Sender::Unknown));
    for len in 0..asks.len() {
        assert_eq!(Enip::probe(&asks[..len]), None);
        assert!(matches!(Enip::cut(&asks[..len]), Cut::More(more) if more > len));
    }
    assert_eq!(Enip::cut(&[&asks[..], &tells].concat()), Cut::Message(asks.len()));
    assert_eq!(Enip::cut(b"GET / HTTP/1.1\r\nHost: twin"), Cut::Foreign);
    assert_eq!(Enip::probe(&[0; 64]), None, "zeros are a legal NOP, and nothing that anybody says");
}

#[test]
fn a_change_becomes_a_message() {
    let check = |tag: &str, change, expect: &str| {
        let tag = Enip::parse_tag(tag).unwrap();
        let write = Write { family: Enip::FAMILY, endpoint: Endpoint::Any, tag, change };
        let mut out = Vec::new();
        let made = Enip::command(&write, 5, &mut out);
        let points = made.map(|()| {
            let mut talk = Talk::default();
            talk.bytes(&out, "10.0.0.1:1", "10.0.0.2:44818")
        });
        assert_eq!(points.as_deref().unwrap_or("none"), expect);
    };
    let scalar = |value, encoding| Change::Scalar { value, encoding };
    check("rate", scalar(Value::real(10.0).unwrap(), Encoding::F32), "rate=00002041w");
    check(
        "Program:Main.m[2,3].x[1]",
        scalar(Value::Integer(-1), Encoding::I16),
        "Program:Main.m[2,3].x[1]=ffffw",
    );
    check("m[2,300]", scalar(Value::Boolean(true), Encoding::Bit(0)), "m[2,300]=ffw");
    check("0x6b/300[2]", scalar(Value::Integer(7), Encoding::Native), "0x6b/300[2]=07000000w");
    check("rate", scalar(Value::Integer(256), Encoding::U8), "none");
    let words = Change::Words { bytes: [1, 2, 0, 0, 0, 0, 0, 0], len: 2 };
    check("0x04/100/3", words, "0x04/100/3=0102w");
    check("0x04/100/3+1", words, "none");
}

#[test]
fn a_written_state_is_a_state() {
    let mut talk = Talk::default();
    let bytes = Repr::new(7, CONTEXT, ask(0x4e, RATE, &[1, 0, 0, 0xfe])).unwrap().emit();
    let context = Context { at: Timestamp::ZERO, ..Context::of(Sender::Client) };
    let view = Enip::decode(&mut talk.session, &mut talk.shared, &context, &bytes).unwrap();
    let block = Enip::blocks(&view, None).next().unwrap();
    assert!(matches!(block.data, Data::Scalar { value: Scalar::Boolean(false), .. }));
}

proptest! {
    #[test]
    fn emitted_messages_read_back(
        session in 1..u32::MAX,
        context: [u8; 8],
        connected: Option<(u32, u16)>,
        code in 1..0x80u8,
        status: u8,
        instance: u8,
        data in proptest::collection::vec(any::<u8>(), 0..64),
        asks: bool,
    ) {
        let path = [0x20, 4, 0x24, instance];
        let code = if code == 0x0a { 0x0e } else { code };
        let content = if asks {
            Content::Request { connected, code, path: &path, data: &data }
        } else {
            Content::Response { connected, code, status, additional: &[1, 2], data: &data }
        };
        let bytes = Repr::new(session, context, content).unwrap().emit();
        let view = View::new(&bytes, Sender::Unknown).unwrap();
        prop_assert!(view.oddities().is_empty());
        prop_assert_eq!(Enip::cut(&bytes), Cut::Message(bytes.len()));
        prop_assert!(Enip::probe(&bytes).is_some());
        let service = view.service().unwrap();
        let back = if asks {
            Content::Request { connected, code: service.code, path: service.path, data: service.data }
        } else {
            Content::Response { connected, code: service.code, status: service.status, additional: service.additional, data: service.data }
        };
        prop_assert_eq!(back, content);
    }

    #[test]
    fn any_bytes_are_shown(bytes in proptest::collection::vec(any::<u8>(), 0..200), command in 0..8usize) {
        let mut bytes = bytes;
        let codes = [0, 4, 0x63, 0x65, 0x66, 0x6f, 0x70, 2];
        if bytes.len() > HEADER_LEN {
            bytes[0] = codes[command];
            bytes[1] = 0;
        }
        let (mut session, mut shared) = (Session::default(), Shared::default());
        if let Some(view) = Enip::decode(&mut session, &mut shared, &Context::of(Sender::Unknown), &bytes) {
            let mut fields = 0;
            Enip::fields(&view, &mut |_, _| fields += 1);
            prop_assert!(Enip::blocks(&view, None).count() <= bytes.len() + 1);
            let _ = (Enip::header(&view), Enip::memo(&view), Enip::refusal(&view));
        }
    }
}
