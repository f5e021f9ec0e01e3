//! The stack on connections written by our own emitter: directions, pairing, time, garbage, fragments of messages.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;

use twinguard_protocol::emit::Connection;
use twinguard_protocol::protocols::modbus::{Repr, WordBuffer};
use twinguard_protocol::stack::{Config, Item, Stack};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Frame, Kind, LinkType};
use twinguard_types::{Duration, ExchangeOutcome, Oddity, Timestamp};

/// A tap on one connection; one frame a millisecond.
struct Tap {
    stack: Stack,
    connection: Connection,
    frames: u64,
    told: Vec<String>,
}

impl Tap {
    fn new(client: &str, server: &str, handshake: bool) -> Self {
        Self::with(Config::default(), client, server, handshake)
    }

    fn with(config: Config, client: &str, server: &str, handshake: bool) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let connection = Connection::new(address(client), address(server)).unwrap();
        let mut tap = Self { stack: Stack::new(config), connection, frames: 0, told: Vec::new() };
        for frame in tap.connection.open() {
            if handshake {
                tap.frame(&frame);
            }
        }
        tap
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.frames += 1;
        let at = Timestamp::from_millis(self.frames as i64);
        let original_len = bytes.len() as u32;
        self.stack.handle(&Frame { index: self.frames, at, link: LinkType::Ethernet, bytes, original_len });
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(item) = self.stack.poll() {
            self.told.push(match item {
                Item::Message(message) => {
                    let points: Vec<String> = message
                        .points()
                        .map(|point| format!("{}={}", message.family().show_tag(point.tag), point.raw))
                        .collect();
                    let odd: Vec<String> =
                        message.oddities.iter().map(|(odd, at)| format!("{odd:?}@{at}")).collect();
                    let (kind, function) = (message.header.kind.as_str(), message.header.function);
                    format!(
                        "{}.{} {kind} {function} {} {}",
                        message.frame,
                        message.index,
                        points.join(" "),
                        odd.join(" ")
                    )
                    .trim_end()
                    .to_owned()
                }
                Item::Exchange(exchange) => {
                    let latency = exchange.latency.map_or(-1, |latency| latency.as_nanos() / 1_000_000);
                    format!("{:?} {latency} ms, client {}", exchange.outcome, exchange.client)
                }
                Item::Malformed(malformed) => format!("{} {:?}", malformed.family, malformed.oddity),
            });
        }
    }

    fn say(&mut self, from: End, payload: &[u8]) {
        let mut frame = Vec::new();
        self.connection.say(from, payload, &mut frame).unwrap();
        self.frame(&frame);
    }

    #[track_caller]
    fn check(&mut self, expect: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), expect);
    }
}

fn ask(transaction: u16, start: u16, quantity: u16) -> Vec<u8> {
    Repr::read(transaction, 1, 3, start, quantity).unwrap().emit().as_bytes().to_vec()
}

fn tell(transaction: u16, words: &[u16]) -> Vec<u8> {
    let words = WordBuffer::new(words).unwrap();
    Repr::registers(transaction, 1, 3, words.registers()).unwrap().emit().as_bytes().to_vec()
}

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:502";

#[test]
fn a_response_takes_its_addresses_from_its_request() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    tap.say(End::First, &[ask(1, 7, 2), ask(2, 30, 1)].concat());
    tap.say(End::Second, &tell(2, &[5]));
    tap.say(End::Second, &tell(1, &[8, 9]));
    tap.check(&[
        "4.0 req 3",
        "4.1 req 3",
        "5.0 rsp 3 u1/hr/30=0005",
        "Answered 1 ms, client 10.0.0.1:40000",
        "6.0 rsp 3 u1/hr/7=0008 u1/hr/8=0009",
        "Answered 2 ms, client 10.0.0.1:40000",
    ]);
}

#[test]
fn a_message_is_complete_in_its_last_frame() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    let message = ask(1, 0, 1);
    for byte in &message[..11] {
        tap.say(End::First, &[*byte]);
    }
    tap.check(&[]);
    tap.say(End::First, &message[11..]);
    tap.check(&["15.0 req 3"]);
}

#[test]
fn the_client_is_known_by_handshake_then_port_then_message() {
    // No handshake, known port: the first segment comes from the server.
    let mut tap = Tap::new(CLIENT, SERVER, false);
    tap.say(End::Second, &tell(1, &[1]));
    tap.say(End::First, &ask(2, 0, 1));
    tap.check(&["1.0 rsp 3 u1/hr/?=0001", "2.0 req 3"]);
    // No handshake, no known port.
    let mut tap = Tap::new(CLIENT, "10.0.0.2:19999", false);
    tap.say(End::Second, &tell(1, &[1]));
    tap.say(End::First, &ask(2, 0, 1));
    tap.check(&["1.0 rsp 3 u1/hr/?=0001", "2.0 req 3"]);
    // Both ends use the known port.
    let mut tap = Tap::new("10.0.0.1:502", SERVER, false);
    tap.say(End::First, &ask(2, 0, 1));
    tap.say(End::Second, &tell(2, &[1]));
    tap.check(&["1.0 req 3", "2.0 rsp 3 u1/hr/0=0001", "Answered 1 ms, client 10.0.0.1:502"]);
    // The client borrows the server's port to look like one: what it writes is still a request.
    let mut tap = Tap::new("10.0.0.66:502", "10.0.0.2:5020", true);
    let words = WordBuffer::new(&[1, 2]).unwrap();
    tap.say(End::First, Repr::write_registers(3, 1, 0, words.registers()).unwrap().emit().as_bytes());
    tap.check(&["4.0 req 16 u1/hr/0=0001 u1/hr/1=0002"]);
}

#[test]
fn other_ports_are_looked_into_unless_told_not_to() {
    let mut tap = Tap::new(CLIENT, "10.0.0.2:19999", true);
    tap.say(End::First, b"GET / HTTP/1.1\r\n\r\n");
    tap.check(&[]);
    tap.say(End::First, &ask(1, 0, 1));
    tap.check(&["5.0 req 3"]);
    let quiet = Config { detect: false, ..Config::default() };
    let mut tap = Tap::with(quiet, CLIENT, "10.0.0.2:19999", true);
    tap.say(End::First, &ask(1, 0, 1));
    tap.check(&[]);
}

#[test]
fn silence_is_told_when_patience_ends() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    tap.say(End::First, &ask(1, 0, 1));
    tap.told.clear();
    let deadline = tap.stack.next_deadline().unwrap();
    assert_eq!(deadline, Timestamp::from_millis(4) + Duration::from_secs(10));
    tap.stack.tick(deadline - Duration::from_nanos(1));
    tap.listen();
    tap.check(&[]);
    tap.stack.tick(deadline);
    tap.listen();
    tap.check(&["Unanswered -1 ms, client 10.0.0.1:40000"]);
    assert_eq!(tap.stack.next_deadline(), None);
    // A late answer is still understood.
    tap.say(End::Second, &tell(1, &[7]));
    tap.check(&["5.0 rsp 3 u1/hr/0=0007", "Answered 10000 ms, client 10.0.0.1:40000"]);
}

#[test]
fn what_does_not_pair_is_odd() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    tap.say(End::First, &ask(1, 0, 2));
    tap.say(End::First, &ask(1, 50, 1));
    tap.say(End::Second, &tell(1, &[9])); // fits the second request alone
    tap.say(End::Second, &tell(1, &[9])); // the first asked for two
    tap.say(End::Second, &tell(1, &[9]));
    tap.check(&[
        "4.0 req 3",
        "5.0 req 3  DuplicateTransaction@0",
        "6.0 rsp 3 u1/hr/50=0009",
        "Answered 1 ms, client 10.0.0.1:40000",
        "7.0 rsp 3 u1/hr/0=0009 ResponseMismatch@0",
        "Answered 3 ms, client 10.0.0.1:40000",
        "8.0 rsp 3 u1/hr/?=0009 UnmatchedResponse@0",
        "Unsolicited -1 ms, client 10.0.0.1:40000",
    ]);
    tap.say(End::First, &ask(2, 0, 1));
    tap.say(End::Second, &[0, 2, 0, 0, 0, 3, 1, 0x83, 2]);
    tap.check(&["9.0 req 3", "10.0 exc 3", "Exception(2) 1 ms, client 10.0.0.1:40000"]);
}

#[test]
fn garbage_is_told_once_and_stepped_over() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    tap.say(End::First, &[&b"SSH-2.0-x\r\n"[..], &ask(1, 0, 1)].concat());
    tap.check(&["modbus NotThisProtocol", "4.0 req 3"]);
    tap.say(End::First, b"more garbage, and more");
    tap.say(End::First, b"and more");
    tap.say(End::First, &ask(2, 0, 1));
    tap.check(&["modbus NotThisProtocol", "7.0 req 3"]);
    // A private function right after garbage: the newest segment is exactly one message.
    tap.say(End::First, b"and more garbage here");
    tap.say(End::First, &[0, 3, 0, 0, 0, 3, 1, 90, 1]);
    tap.check(&["modbus NotThisProtocol", "9.0 req 90  UnknownFunction@7"]);
}

#[test]
fn open_requests_are_bounded() {
    let config = Config { open_requests: 4, ..Config::default() };
    let mut tap = Tap::with(config, CLIENT, SERVER, true);
    for transaction in 0..6 {
        tap.say(End::First, &ask(transaction, 0, 1));
    }
    let unanswered = tap.told.iter().filter(|line| line.starts_with("Unanswered")).count();
    assert_eq!(unanswered, 2);
    tap.told.clear();
    tap.say(End::Second, &tell(0, &[1]));
    tap.check(&["10.0 rsp 3 u1/hr/?=0001 UnmatchedResponse@0", "Unsolicited -1 ms, client 10.0.0.1:40000"]);
}

#[test]
fn datagrams_carry_one_message_each() {
    let mut stack = Stack::new(Config::default());
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let mut kinds = Vec::new();
    for (index, (source, destination, payload)) in
        [(client, server, ask(1, 4, 1)), (server, client, tell(1, &[6]))].into_iter().enumerate()
    {
        let mut bytes = Vec::new();
        twinguard_protocol::emit::datagram(source, destination, &payload, &mut bytes).unwrap();
        let (index, original_len) = (index as u64 + 1, bytes.len() as u32);
        let at = Timestamp::from_secs(index as i64);
        stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes: &bytes, original_len });
        while let Some(item) = stack.poll() {
            match item {
                Item::Message(message) => kinds.push((message.header.kind, message.points().count())),
                Item::Exchange(exchange) => assert_eq!(exchange.outcome, ExchangeOutcome::Answered),
                Item::Malformed(malformed) => panic!("{malformed:?}"),
            }
        }
    }
    assert_eq!(kinds, [(Kind::Request, 0), (Kind::Response, 1)]);
}

#[test]
fn a_cut_header_is_odd_unless_the_capture_cut_it() {
    let mut stack = Stack::new(Config::default());
    let frame = |original_len| Frame {
        index: 1,
        at: Timestamp::ZERO,
        link: LinkType::RawIp,
        bytes: &[0x45, 0, 0],
        original_len,
    };
    stack.handle(&frame(3));
    assert!(
        matches!(stack.poll(), Some(Item::Malformed(malformed)) if malformed.oddity == Oddity::Truncated)
    );
    stack.handle(&frame(60));
    assert!(stack.poll().is_none());
    assert_eq!(stack.counters().undecoded, 2);
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let mut tap = Tap::new(CLIENT, SERVER, true);
    let mut frames = Vec::new();
    for transaction in 0..4_000u16 {
        for (from, payload) in
            [(End::First, ask(transaction, 0, 2)), (End::Second, tell(transaction, &[1, 2]))]
        {
            let mut frame = Vec::new();
            tap.connection.say(from, &payload, &mut frame).unwrap();
            frames.push(frame);
        }
    }
    let mut stack = tap.stack;
    let mut count = 0u64;
    let mut run = |frames: &[Vec<u8>]| {
        for bytes in frames {
            count += 1;
            let at = Timestamp::from_millis(count as i64);
            let original_len = bytes.len() as u32;
            stack.handle(&Frame { index: count, at, link: LinkType::Ethernet, bytes, original_len });
            while stack.poll().is_some() {}
        }
    };
    let (warm, steady) = frames.split_at(4_000);
    run(warm);
    let used = allocation_counter::measure(|| run(steady));
    assert_eq!(used.count_total, 0);
}
