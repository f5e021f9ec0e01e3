//! MQTT inside WebSockets: found by the upgrade of HTTP, unmasked, put together whatever the frames' bounds.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use twinguard_protocol::emit::Connection;
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Frame, Item, LinkType, Stack, stack::Config};
use twinguard_types::Timestamp;

const ASK: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: broker:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Protocol: mqtt\r\n\r\n";
const CONNECT: &[u8] = &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0];
const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const SUBSCRIBE: &[u8] = &[0x82, 8, 0, 7, 0, 3, b'a', b'/', b'b', 0];
const SUBACK: &[u8] = &[0x90, 3, 0, 7, 0];
const PUBLISH: &[u8] = &[0x30, 7, 0, 3, b'a', b'/', b'b', b'2', b'1'];

/// One frame: a final binary one, masked where a key is given.
fn frame(mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, payload.len() as u8 | if mask.is_some() { 0x80 } else { 0 }];
    assert!(payload.len() < 126);
    frame.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default();
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn told(says: &[(End, Vec<u8>)], skip: Option<usize>) -> (Vec<String>, Stack) {
    let mut connection =
        Connection::new("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:9001".parse().unwrap()).unwrap();
    let mut frames = connection.open().to_vec();
    for (from, bytes) in says {
        let mut frame = Vec::new();
        connection.say(*from, bytes, &mut frame).unwrap();
        frames.push(frame);
    }
    let mut stack = Stack::new(Config::default());
    let mut told = Vec::new();
    for (index, bytes) in frames.iter().enumerate().filter(|(index, _)| Some(*index) != skip) {
        let (index, at) = (index as u64 + 1, Timestamp::from_secs(10 * index as i64));
        let original_len = bytes.len() as u32;
        stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes, original_len });
        while let Some(item) = stack.poll() {
            told.push(match item {
                Item::Message(message) => {
                    assert_eq!(message.frame, index);
                    let family = message.family();
                    let points = message.points();
                    let points: String =
                        points.map(|point| format!(" {}={}", family.show_place(&point), point.raw)).collect();
                    let sender = if message.source == message.client() { "client" } else { "server" };
                    format!("{sender}: {family} {}{points}", family.function_name(message.header.function))
                }
                Item::Exchange(exchange) if exchange.latency.is_some() => format!("{:?}", exchange.outcome),
                Item::Exchange(_) => continue,
                Item::Malformed(malformed) => format!("{} {:?}", malformed.family, malformed.oddity),
            });
        }
    }
    (told, stack)
}

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

#[test]
fn values_inside_are_told() {
    let (first, rest) = SUBSCRIBE.split_at(3);
    let says = [
        (End::First, ASK.to_vec()),
        (End::Second, ANSWER.to_vec()),
        (End::First, frame(KEY, CONNECT)),
        (End::Second, frame(None, CONNACK)),
        // One packet in two frames, then two packets in one, then a ping of the WebSocket.
        (End::First, [frame(KEY, first), frame(KEY, rest)].concat()),
        (End::Second, frame(None, &[SUBACK, PUBLISH].concat())),
        (End::Second, [&[0x89, 1, 7][..], &frame(None, PUBLISH)].concat()),
    ];
    let (found, stack) = told(&says, None);
    let expect = [
        "client: mqtt connect",
        "server: mqtt connack",
        "Answered",
        "client: mqtt subscribe",
        "server: mqtt suback",
        "Answered",
        "server: mqtt publish a/b=3231",
        "server: mqtt publish a/b=3231",
    ];
    let lower: Vec<_> = found.iter().map(|line| line.to_lowercase()).collect();
    let expect: Vec<_> = expect.iter().map(|line| line.to_lowercase()).collect();
    assert_eq!(lower, expect);
    assert_eq!(stack.counters().foreign_bytes, 0);
}

#[test]
fn any_chunks_give_the_same() {
    let client = [ASK, &frame(KEY, CONNECT), &frame(KEY, PUBLISH)].concat();
    let whole = told(&[(End::First, client.clone())], None).0;
    assert_eq!(whole.len(), 2, "{whole:?}");
    for size in [1, 5, 64] {
        let says: Vec<_> = client.chunks(size).map(|part| (End::First, part.to_vec())).collect();
        assert_eq!(told(&says, None).0, whole);
    }
}

#[test]
fn a_gap_ends_what_can_be_read() {
    let publish = (End::First, frame(KEY, PUBLISH));
    let mut says = vec![(End::First, [ASK, &frame(KEY, CONNECT)].concat())];
    says.extend(std::iter::repeat_n(publish, 6));
    let (found, _) = told(&says, Some(5));
    let publishes = found.iter().filter(|line| line.to_lowercase().contains("publish")).count();
    assert!(found.iter().any(|line| line == "tcp Gap"), "{found:?}");
    assert_eq!(publishes, 1, "{found:?}");
}

#[test]
fn other_web_traffic_is_left_alone() {
    let says = [
        (End::First, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (End::Second, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
    ];
    assert_eq!(told(&says, None).0, Vec::<String>::new());
}
