//! Conversations, message by message. Source of the layouts: OPC 10000-6 1.05, OPC 10000-4 1.05.

use proptest::prelude::*;
use twinguard_types::{Encoding, Endpoint, Value};

use super::*;
use crate::protocol::{Access, Change, Raw};

/// Bytes by hand, piece by piece.
#[derive(Clone, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn int(self, number: u32) -> Self {
        self.put(number.to_le_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.int(text.len() as u32).put(text)
    }

    fn null(self) -> Self {
        self.int(u32::MAX)
    }

    fn node(self, namespace: u16, text: &str) -> Self {
        self.put([3]).put(namespace.to_le_bytes()).text(text)
    }
}

fn ask(service: u16) -> Bytes {
    let head = Bytes::default().put([1, 0]).put(service.to_le_bytes());
    head.put([0; 2 + 8]).int(77).put([0; 4]).null().put([0; 4 + 3])
}

fn answer(service: u16, result: u32) -> Bytes {
    let head = Bytes::default().put([1, 0]).put(service.to_le_bytes());
    head.put([0; 8]).int(77).int(result).put([0]).null().put([0; 3])
}

fn chunk(letters: &str, sequence: u32, request: u32, body: &[u8]) -> Vec<u8> {
    let head = Bytes::default().put(letters).int(24 + body.len() as u32).int(5).int(6);
    head.int(sequence).int(request).put(body).0
}

fn opening(policy: &str, body: &Bytes) -> Vec<u8> {
    let uri = format!("http://opcfoundation.org/UA/SecurityPolicy#{policy}");
    let rest = Bytes::default().int(0).text(&uri).null().null().int(1).int(1).put(&body.0).0;
    Bytes::default().put("OPNF").int(8 + rest.len() as u32).put(rest).0
}

/// One connection; `tell` gives the values of a message as text.
#[derive(Default)]
struct Connection {
    session: Session,
}

impl Connection {
    fn plain() -> Self {
        let mut connection = Self::default();
        let open = ask(446).int(0).int(0).int(1).null().int(60_000);
        assert_eq!(connection.odd(Sender::Client, &opening("None", &open)), "");
        connection
    }

    fn with<T>(&mut self, sender: Sender, bytes: &[u8], give: impl FnOnce(View<'_>) -> T) -> T {
        give(OpcUa::decode(&mut self.session, &mut (), &Context::of(sender), bytes).unwrap())
    }

    fn odd(&mut self, sender: Sender, bytes: &[u8]) -> String {
        self.with(sender, bytes, |view| {
            view.oddities().iter().map(|(oddity, at)| format!("{oddity:?}@{at} ")).collect()
        })
    }

    fn tell(&mut self, sender: Sender, bytes: &[u8]) -> String {
        self.with(sender, bytes, |view| {
            assert!(view.oddities().is_empty(), "{:?}", view.oddities());
            let show = |tag| fmt::from_fn(move |f| OpcUa::write_tag(&tag, f)).to_string();
            let blocks = OpcUa::blocks(&view, None);
            let points = blocks.map(|block| {
                let point = block.points().next().unwrap();
                let access = match block.access {
                    Access::Read => "=",
                    Access::Write => ":=",
                    _ => "~",
                };
                let value = match point.raw {
                    Raw::Scalar { value: crate::protocol::Scalar::Opaque, raw } => format!("{raw:02x?}"),
                    Raw::Scalar { value, .. } => value.to_string(),
                    _ => String::new(),
                };
                let at = block.at.map_or(String::new(), |at| format!("@{}", at.as_nanos()));
                let quality = match block.quality {
                    twinguard_types::Quality::Good => String::new(),
                    other => format!("!{other:?}"),
                };
                format!("{}{access}{value}{quality}{at}", show(block.tag))
            });
            points.collect::<Vec<_>>().join(" ")
        })
    }

    fn header(&mut self, sender: Sender, bytes: &[u8]) -> (Kind, u16, Option<u64>) {
        self.with(sender, bytes, |view| {
            let header = OpcUa::header(&view);
            (header.kind, header.function, header.key)
        })
    }
}

fn read_request() -> Bytes {
    let nodes = ask(631).put([0; 8]).int(2).int(4);
    let nodes = nodes.node(2, "Boiler.Temp").int(13).null().put([0, 0]).null();
    let nodes = nodes.put([2, 3, 0]).int(7).int(4).null().put([0, 0]).null();
    let nodes = nodes.put([0, 9]).int(13).text("4:5").put([0, 0]).null();
    nodes.put([5, 1, 0]).int(2).put([1, 0xff]).int(13).null().put([0, 0]).null()
}

fn read_response() -> Bytes {
    // A value with status and both times, a text, two elements of an array, a status alone.
    let at = 116_444_736_000_000_000i64.to_le_bytes();
    let values = answer(634, 0).int(4);
    let values = values.put([0x0f, 11]).put(36.6f64.to_le_bytes()).int(0x4000_0000).put(at).put(at);
    let values = values.put([1, 21, 3]).text("en").text("Pump");
    let values = values.put([1, 0x86]).int(2).int(1).int(u32::MAX);
    values.put([2]).int(0x8034_0000).int(0)
}

const READ: &str = "ns=2;s=Boiler.Temp=36.6!Uncertain@0 attr=Status;ns=2;s=Boiler.Temp~1073741824!Uncertain@0 \
    attr=DisplayName;ns=3;i=7=Pump index=4;i=9=1 index=5;i=9=-1 attr=Status;ns=1;b=Af8=~2150891520!Bad";

#[test]
fn reads_carry_places_qualities_and_times() {
    let mut connection = Connection::plain();
    assert_eq!(connection.tell(Sender::Client, &chunk("MSGF", 2, 9, &read_request().0)), "");
    assert_eq!(connection.tell(Sender::Server, &chunk("MSGF", 2, 9, &read_response().0)), READ);
    let unasked = connection.tell(Sender::Server, &chunk("MSGF", 3, 9, &read_response().0));
    assert!(unasked.starts_with("?=36.6"), "{unasked}");
}

#[test]
fn messages_are_put_together_from_chunks() {
    let mut connection = Connection::plain();
    connection.tell(Sender::Client, &chunk("MSGF", 2, 9, &read_request().0));
    let body = read_response().0;
    let (first, rest) = body.split_at(30);
    let (second, third) = rest.split_at(40);
    assert_eq!(connection.header(Sender::Server, &chunk("MSGC", 1, 9, first)), (Kind::Control, 0xff06, None));
    assert_eq!(connection.tell(Sender::Server, &chunk("MSGC", 2, 9, second)), "");
    assert_eq!(connection.tell(Sender::Server, &chunk("MSGF", 3, 9, third)), READ);
    // Given up: the end is missing, and what follows stands alone.
    connection.tell(Sender::Server, &chunk("MSGC", 4, 10, first));
    let abort = chunk("MSGA", 5, 10, &Bytes::default().int(0x8002_0000).text("no").0);
    connection
        .with(Sender::Server, &abort, |view| assert_eq!(view.failure(), Some((0x8002_0000, &b"no"[..]))));
    assert_eq!(connection.odd(Sender::Server, &chunk("MSGF", 6, 11, &answer(850, 0).int(0).int(0).0)), "");
    // A flood is refused, not kept.
    let part = vec![0; 200 << 10];
    connection.odd(Sender::Server, &chunk("MSGC", 7, 12, first));
    let odd = (8..15).map(|sequence| connection.odd(Sender::Server, &chunk("MSGC", sequence, 12, &part)));
    assert!(odd.last().unwrap().contains("Dropped"));
    assert!(connection.odd(Sender::Server, &chunk("MSGF", 15, 12, &part)).contains("Dropped"));
}

#[test]
fn notifications_lead_to_what_is_monitored() {
    let mut connection = Connection::plain();
    let items = ask(751).int(33).int(2).int(2);
    let items = items
        .node(2, "Level")
        .int(13)
        .null()
        .put([0, 0])
        .null()
        .int(2)
        .int(101)
        .put([0; 8 + 3])
        .int(1)
        .put([1]);
    let items = items
        .put([1, 0, 0xcd, 8])
        .int(12)
        .null()
        .put([0, 0])
        .null()
        .int(2)
        .int(102)
        .put([0; 11])
        .int(1)
        .put([1]);
    assert_eq!(connection.tell(Sender::Client, &chunk("MSGF", 2, 9, &items.0)), "");
    let publish = ask(826).int(0);
    assert_eq!(
        connection.header(Sender::Client, &chunk("MSGF", 3, 10, &publish.0)),
        (Kind::Request, 826, None)
    );
    let changes = Bytes::default().int(2).int(101).put([1, 10]).put(1.5f32.to_le_bytes());
    let changes = changes.int(999).put([1, 1, 1]).int(0).0;
    let events = Bytes::default().int(1).int(102).int(2).put([12]).text("overflow").put([5, 200, 0]).0;
    let notes = answer(829, 0).int(33).int(0).put([0]).int(1).put([0; 8]).int(2);
    let notes = notes.put([1, 0]).put(811u16.to_le_bytes()).put([1]).int(changes.len() as u32).put(&changes);
    let notes = notes.put([1, 0]).put(916u16.to_le_bytes()).put([1]).int(events.len() as u32).put(&events);
    let notes = chunk("MSGF", 2, 10, &notes.int(0).int(0).0);
    assert_eq!(
        connection.tell(Sender::Server, &notes),
        "ns=2;s=Level=1.5 ?=1 attr=EventNotifier;index=0;i=2253=overflow attr=EventNotifier;index=1;i=2253=200"
    );
    assert_eq!(connection.header(Sender::Server, &notes), (Kind::Event, 829, None));
    // A fault that answers a Publish request answers no other one.
    connection.header(Sender::Client, &chunk("MSGF", 4, 11, &publish.0));
    let fault = chunk("MSGF", 4, 11, &answer(397, 0x8079_0000).0);
    assert_eq!(connection.header(Sender::Server, &fault), (Kind::Exception, 397, None));
}

#[test]
fn writes_and_calls_are_commands() {
    let mut connection = Connection::plain();
    let write = ask(673).int(2).node(2, "Setpoint").int(13).null().put([1, 6]).int(42);
    let write = write.put([0, 9]).int(13).text("2").put([1, 0x81]).int(1).put([1]);
    assert_eq!(
        connection.tell(Sender::Client, &chunk("MSGF", 2, 9, &write.0)),
        "ns=2;s=Setpoint:=42 index=2;i=9:=1"
    );
    let call = ask(712).int(2).node(2, "Pump").node(2, "Start").int(1).put([12]).text("now");
    let call = call.node(2, "Pump").node(2, "Stop").int(0);
    assert_eq!(
        connection.tell(Sender::Client, &chunk("MSGF", 3, 10, &call.0)),
        "attr=Call;ns=2;s=Start:=1 attr=Input;index=0;ns=2;s=Start:=now attr=Call;ns=2;s=Stop:=1"
    );
    let called = answer(715, 0)
        .int(2)
        .int(0)
        .int(0)
        .int(0)
        .int(1)
        .put([1, 1])
        .int(0x8000_0000)
        .int(0)
        .int(0)
        .int(0)
        .int(0);
    assert_eq!(
        connection.tell(Sender::Server, &chunk("MSGF", 2, 10, &called.0)),
        "attr=Status;ns=2;s=Start~0 attr=Output;index=0;ns=2;s=Start=1 attr=Status;ns=2;s=Stop~2147483648!Bad"
    );
}

#[test]
fn encrypted_messages_are_told_by_their_headers() {
    let mut connection = Connection::default();
    let open = opening("Basic256Sha256", &Bytes::default().put([0xa5; 256]));
    assert_eq!(connection.header(Sender::Client, &open), (Kind::Control, 0xff04, None));
    let message = chunk("MSGF", 0x1234_5678, 0x9abc_def0, &[0x5a; 64]);
    connection.with(Sender::Client, &message, |view| {
        assert_eq!(
            (view.policy(), view.mode(), view.sequence()),
            (Some(Policy::Sha256), Mode::SignAndEncrypt, None)
        );
        assert_eq!((view.channel(), view.token(), view.service()), (Some(5), Some(6), None));
        assert_eq!(OpcUa::blocks(&view, None).count(), 0);
    });
    // Signed alone, it can be read; the signature is no part of the body.
    let signed = ask(473).put([1]).put([0xee; 32]);
    connection.with(Sender::Client, &chunk("MSGF", 5, 6, &signed.0), |view| {
        assert_eq!((view.mode(), view.service()), (Mode::Sign, Some(473)));
        assert!(view.oddities().is_empty());
    });
    let action = |sender, bytes: &[u8]| OpcUa::action(&OpcUa::memo(&View::new(bytes, sender).unwrap()));
    assert_eq!(action(Sender::Client, &open), Some(Action::Connect));
    assert_eq!(action(Sender::Server, &open), None);
    assert_eq!(action(Sender::Client, &chunk("CLOF", 1, 1, &[0x5a; 64])), Some(Action::Disconnect));
}

#[test]
fn numbers_are_followed() {
    let mut connection = Connection::plain();
    let mut odd =
        |sequence| connection.odd(Sender::Client, &chunk("MSGF", sequence, 9, &ask(473).put([1]).0));
    assert_eq!(odd(2), "");
    assert_eq!(odd(4), "Gap@16 ");
    assert_eq!(odd(4), "DuplicateTransaction@16 ");
    assert_eq!(odd(u32::MAX - 3), "DuplicateTransaction@16 ");
    assert_eq!(odd(1), "", "§6.7.2.4: they begin anew");
    let wrong = [&[9][..], &ask(473).put([1]).0].concat();
    assert_eq!(connection.odd(Sender::Client, &chunk("MSGF", 2, 9, &wrong)), "UnknownFunction@24 ");
    assert_eq!(connection.odd(Sender::Server, &chunk("MSGF", 1, 9, &ask(473).put([1]).0)), "BadValue@24 ");
    assert_eq!(
        connection.odd(Sender::Client, &chunk("MSGF", 3, 9, &ask(473).put([1, 1]).0)),
        "TrailingBytes@58 "
    );
    assert_eq!(connection.odd(Sender::Client, &chunk("MSGF", 4, 9, &ask(473).0)), "Truncated@57 ");
    let many = chunk("MSGF", 5, 9, &ask(847).int(0x7fff_ffff).0);
    assert_eq!(connection.odd(Sender::Client, &many), "BadQuantity@57 ");
}

#[test]
fn chunks_longer_than_agreed_are_odd() {
    let mut connection = Connection::default();
    let limits = Limits { version: 0, receive: 8192, send: 8192, message: 0, chunks: 0 };
    let mut bytes = Vec::new();
    Repr::Hello { limits, endpoint: b"opc.tcp://a:4840" }.emit(&mut bytes).unwrap();
    assert_eq!(connection.header(Sender::Client, &bytes), (Kind::Request, 0xff00, Some(1 << 32)));
    assert_eq!(OpcUa::probe(&bytes), Some(Sender::Client));
    let long = chunk("MSGF", 1, 1, &answer(431, 0).put(vec![0; 9000]).0);
    assert!(connection.odd(Sender::Server, &long).starts_with("BadQuantity@4 "));
}

#[test]
fn streams_are_cut_by_the_length_field() {
    let message = chunk("MSGF", 1, 1, &ask(473).put([1]).0);
    for len in 0..message.len() {
        assert!(matches!(OpcUa::cut(&message[..len]), Cut::More(more) if more > len), "{len}");
        assert_eq!(OpcUa::probe(&message[..len]), None);
    }
    assert_eq!(OpcUa::cut(&[&message[..], b"x"].concat()), Cut::Message(message.len()));
    assert_eq!(OpcUa::probe(&message), Some(Sender::Client));
    assert_eq!(OpcUa::probe(&message.repeat(3)), Some(Sender::Client));
    for foreign in [&b"GET / HT"[..], b"M5", b"MSGX", b"HELC\x20\0\0\0\xff", b"MSGF\0\0\0\x7f"] {
        let foreign = [foreign, &[0; 40]].concat();
        assert_eq!(OpcUa::probe(&foreign), None, "{foreign:02x?}");
    }
    assert_eq!(OpcUa::cut(b"MSGF\0\0\0\x7f"), Cut::Foreign);
}

#[test]
fn a_command_is_a_write_request() {
    let check = |tag: &str, value: Value, encoding, expect: Option<&str>| {
        let tag = OpcUa::parse_tag(tag).unwrap();
        let change = Change::Scalar { value, encoding };
        let write = Write { family: OpcUa::FAMILY, endpoint: Endpoint::Any, tag, change };
        let mut bytes = Vec::new();
        let told = OpcUa::command(&write, 9, &mut bytes).map(|()| {
            assert_eq!(OpcUa::probe(&bytes), Some(Sender::Client));
            Connection::plain()
                .tell(Sender::Client, &[&bytes[..16], &2u32.to_le_bytes(), &bytes[20..]].concat())
        });
        assert_eq!(told.as_deref(), expect);
        assert!(told.is_some() || bytes.is_empty());
    };
    check("ns=2;s=Setpoint", Value::Integer(42), Encoding::I32, Some("ns=2;s=Setpoint:=42"));
    check("ns=2;s=Setpoint", Value::real(1.5).unwrap(), Encoding::F32, Some("ns=2;s=Setpoint:=1.5"));
    check("index=3;i=7", Value::Boolean(true), Encoding::Native, Some("index=3;i=7:=1"));
    check(
        "attr=Historizing;b=Af8=",
        Value::Boolean(false),
        Encoding::Bit(0),
        Some("attr=Historizing;b=Af8=:=0"),
    );
    let guid = "g=72962b91-fa75-4ae6-8d28-b404dc7daf63";
    check(guid, Value::Integer(-7), Encoding::Native, Some(&format!("{guid}:=-7")));
    check("i=7", Value::Integer(256), Encoding::U8, None);
    check("i=7", Value::real(0.5).unwrap(), Encoding::U8, None);
    check("attr=Call;i=7", Value::Boolean(true), Encoding::Bit(0), None);
}

proptest! {
    #[test]
    fn emitted_messages_read_back(letters in 0..7usize, numbers: [u32; 5], text in "[ -~]{0,40}", body in 0..6usize) {
        let [channel, token, sequence, request, chunks] = numbers;
        let limits = Limits { version: channel, receive: token, send: sequence, message: request, chunks };
        let sequence = (sequence, request);
        let write = ask(673).int(1).node(2, &text).int(13).null().put([1, 12]).text(&text);
        let bodies = [read_request(), read_response(), write, ask(452), ask(446).int(0).int(0).int(1).null().int(9), ask(473).put([0])];
        let body = &bodies[body].0[..];
        let repr = [
            Repr::Hello { limits, endpoint: text.as_bytes() },
            Repr::Acknowledge { limits },
            Repr::Error { status: channel, reason: text.as_bytes() },
            Repr::ReverseHello { server: text.as_bytes(), endpoint: b"x" },
            Repr::Open { channel, sequence, body },
            Repr::Message { channel, token, sequence, body },
            Repr::Close { channel, token, sequence, body },
        ][letters];
        let mut bytes = Vec::new();
        if repr.emit(&mut bytes).is_ok() {
            let view = View::new(&bytes, Sender::Unknown).unwrap();
            prop_assert_eq!(Repr::try_from(&view), Ok(repr));
            prop_assert_eq!(repr::again(&bytes, Sender::Unknown), Some(bytes.clone()));
            prop_assert_eq!(OpcUa::cut(&bytes), Cut::Message(bytes.len()));
        } else {
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn no_bytes_panic(letters in 0..7usize, chunk_type in 0..3usize, service in 0..3000u16, rest: Vec<u8>) {
        let letters = ["HEL", "ACK", "ERR", "RHE", "OPN", "CLO", "MSG"][letters];
        let bytes = Bytes::default().put(letters).put([b"FCA"[chunk_type]]).put([0; 20]).put([1, 0]);
        let bytes = bytes.put(service.to_le_bytes()).put(rest).0;
        let mut connection = Connection::plain();
        for sender in [Sender::Client, Sender::Server, Sender::Unknown] {
            connection.with(sender, &bytes, |view| {
                let _ = (OpcUa::header(&view), OpcUa::memo(&view), OpcUa::refusal(&view));
                OpcUa::fields(&view, &mut |_, field| assert!(field.to_string().len() < 9000));
                assert!(OpcUa::blocks(&view, None).count() <= 16 * bytes.len());
            });
        }
    }
}
