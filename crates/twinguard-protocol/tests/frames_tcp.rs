//! Streams from segments: any cutting, reordering and repetition of a stream gives the stream; what is odd is told.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

use std::net::SocketAddr;

use proptest::prelude::*;
use twinguard_protocol::tcp::{Assembler, End, Limits, Pushed, Side, TcpFlags, TcpSegment};
use twinguard_types::{Duration, Timestamp};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const SYN_ACK: TcpFlags = TcpFlags(0x12);
const PSH_ACK: TcpFlags = TcpFlags(0x18);
const FIN_ACK: TcpFlags = TcpFlags(0x11);
const RST: TcpFlags = TcpFlags::RST;

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Client,
    Server,
}
use Who::{Client, Server};

/// An assembler with one connection, and everything that was read from it.
struct Bench {
    assembler: Assembler,
    frame: u64,
    at: Timestamp,
    /// By [`Who`]: bytes read, a hole shown as `[n]`.
    read: [Vec<u8>; 2],
    last: Option<Pushed>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self {
            assembler: Assembler::new(limits),
            frame: 0,
            at: Timestamp::ZERO,
            read: [Vec::new(), Vec::new()],
            last: None,
        }
    }

    fn push(&mut self, who: Who, sequence: u32, ack: u32, flags: TcpFlags, payload: &[u8]) -> &mut Self {
        self.push_cut(who, sequence, ack, flags, payload, 0)
    }

    fn push_cut(
        &mut self,
        who: Who,
        sequence: u32,
        acknowledgement: u32,
        flags: TcpFlags,
        payload: &[u8],
        missing: u32,
    ) -> &mut Self {
        let (source, destination) = addresses(who);
        let segment = TcpSegment {
            source_port: source.port(),
            destination_port: destination.port(),
            sequence,
            acknowledgement,
            flags,
            window: 1024,
            missing,
            payload,
        };
        self.frame += 1;
        self.at = self.at + Duration::from_millis(1);
        let pushed = self.assembler.push(self.at, self.frame, &source, &destination, &segment);
        assert_eq!(self.assembler.source(pushed.side), Some(source));
        assert_eq!(self.assembler.destination(pushed.side), Some(destination));
        for side in pushed.ready.sides() {
            self.drain(side);
        }
        self.last = Some(pushed);
        self
    }

    fn drain(&mut self, side: Side) {
        let who = if self.assembler.source(side) == Some(addresses(Client).0) { Client } else { Server };
        let read = &mut self.read[who as usize];
        loop {
            let bytes = self.assembler.readable(side);
            let count = bytes.len();
            read.extend_from_slice(bytes);
            self.assembler.consume(side, count);
            let Some(hole) = self.assembler.cross(side) else { break };
            read.extend_from_slice(format!("[{hole}]").as_bytes());
        }
    }

    fn has(&mut self, client: &str, server: &str) -> &mut Self {
        let [c, s] = self.read.each_ref().map(|read| String::from_utf8_lossy(read).into_owned());
        assert_eq!((c.as_str(), s.as_str()), (client, server));
        self
    }

    fn odd(&mut self, gap: bool, conflict: bool, dropped: bool) -> &mut Self {
        let oddities = self.last.unwrap().oddities;
        assert_eq!((oddities.gap, oddities.conflict, oddities.dropped), (gap, conflict, dropped));
        self
    }

    fn client(&self) -> Option<SocketAddr> {
        let flow = self.assembler.flow(self.last.unwrap().side.flow).unwrap();
        flow.client.map(|end| flow.address(end))
    }
}

fn addresses(who: Who) -> (SocketAddr, SocketAddr) {
    let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
    if who == Client { (client, server) } else { (server, client) }
}

fn bench() -> Bench {
    Bench::new(Limits::default())
}

fn opened() -> Bench {
    let mut bench = bench();
    bench.push(Client, 99, 0, SYN, b"").push(Server, 499, 100, SYN_ACK, b"").push(Client, 100, 500, ACK, b"");
    bench
}

#[test]
fn a_handshake_names_the_client() {
    let client = Some(addresses(Client).0);
    assert_eq!(opened().client(), client);
    let mut late = bench();
    late.push(Server, 499, 100, SYN_ACK, b"");
    assert_eq!(late.client(), client, "the answer to a SYN names it too");
    let mut mid_stream = bench();
    mid_stream.push(Server, 499, 100, PSH_ACK, b"x").has("", "x");
    assert_eq!(mid_stream.client(), None);
    assert!(mid_stream.assembler.flows().all(|(_, flow)| flow.mid_stream));
}

#[test]
fn both_directions_are_read() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"ask")
        .push(Server, 500, 103, PSH_ACK, b"answer")
        .push(Client, 103, 506, ACK, b"")
        .odd(false, false, false)
        .has("ask", "answer");
}

#[test]
fn retransmissions_are_shown_once() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"abc")
        .push(Client, 100, 500, PSH_ACK, b"abc")
        .odd(false, false, false)
        .push(Client, 101, 500, PSH_ACK, b"bcde")
        .push(Client, 104, 500, PSH_ACK, b"ef")
        .odd(false, false, false)
        .has("abcdef", "");
}

#[test]
fn the_first_bytes_win_and_a_conflict_is_told() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"abc")
        .push(Client, 100, 500, PSH_ACK, b"aXcd")
        .odd(false, true, false)
        .has("abcd", "")
        .push(Client, 106, 500, PSH_ACK, b"gh")
        .push(Client, 104, 500, PSH_ACK, b"efXh")
        .odd(false, true, false)
        .has("abcdefgh", "")
        .push(Client, 109, 500, PSH_ACK, b"j")
        .push(Client, 109, 500, PSH_ACK, b"XkX")
        .odd(false, true, false)
        .push(Client, 108, 500, PSH_ACK, b"i")
        .has("abcdefghijkX", "");
}

#[test]
fn keep_alives_are_not_conflicts() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"abc")
        .push(Client, 102, 500, ACK, b"\0")
        .odd(false, false, false)
        .push(Client, 102, 500, ACK, b"")
        .push(Client, 103, 500, PSH_ACK, b"d")
        .odd(false, false, false)
        .has("abcd", "");
    bench()
        .push(Server, 500, 100, ACK, b"")
        .push(Client, 99, 500, ACK, b"\0")
        .push(Client, 100, 500, PSH_ACK, b"abc")
        .has("abc", "");
}

#[test]
fn segments_are_put_in_order() {
    opened()
        .push(Client, 104, 500, PSH_ACK, b"ef")
        .push(Client, 102, 500, PSH_ACK, b"cd")
        .has("", "")
        .push(Client, 100, 500, PSH_ACK, b"ab")
        .odd(false, false, false)
        .has("abcdef", "");
}

#[test]
fn an_acknowledgement_confirms_a_hole() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"ab")
        .push(Client, 110, 500, PSH_ACK, b"kl")
        .has("ab", "")
        .push(Server, 500, 112, PSH_ACK, b"ok")
        .odd(true, false, false)
        .has("ab[8]kl", "ok");
    opened()
        .push(Server, 500, 110, PSH_ACK, b"ok")
        .odd(false, false, false)
        .push(Client, 110, 502, PSH_ACK, b"kl")
        .odd(true, false, false)
        .has("[10]kl", "ok");
}

#[test]
fn a_delayed_segment_is_not_a_hole() {
    opened()
        .push(Server, 500, 103, PSH_ACK, b"answer")
        .push(Client, 100, 500, PSH_ACK, b"ask")
        .odd(false, false, false)
        .has("ask", "answer");
}

#[test]
fn a_hole_is_given_up_after_a_while() {
    let mut bench = opened();
    bench.push(Client, 110, 500, PSH_ACK, b"kl").has("", "");
    bench.at = bench.at + Duration::from_secs(6);
    bench.push(Server, 500, 100, PSH_ACK, b"?").odd(true, false, false).has("[10]kl", "?");
    let counters = bench.assembler.counters();
    assert_eq!((counters.gaps, counters.gap_bytes), (1, 10));
}

#[test]
fn a_hole_is_given_up_when_too_much_waits_behind_it() {
    let mut bench = Bench::new(Limits { reorder_bytes: 10, ..Limits::default() });
    bench
        .push(Client, 100, 0, PSH_ACK, b"a")
        .push(Client, 102, 0, PSH_ACK, b"0123456789")
        .has("a", "")
        .push(Client, 112, 0, PSH_ACK, b"x")
        .odd(true, false, false)
        .has("a[1]0123456789x", "");
}

#[test]
fn bytes_that_the_capture_cut_are_a_hole() {
    opened()
        .push_cut(Client, 100, 500, PSH_ACK, b"abc", 7)
        .has("abc", "")
        .push(Client, 110, 500, PSH_ACK, b"kl")
        .odd(true, false, false)
        .has("abc[7]kl", "");
}

#[test]
fn sequence_numbers_wrap() {
    let start = u32::MAX - 1;
    bench()
        .push(Client, start, 0, PSH_ACK, b"ab")
        .push(Client, 2, 0, PSH_ACK, b"ef")
        .push(Client, 0, 0, PSH_ACK, b"cd")
        .push(Client, start, 0, PSH_ACK, b"abcdefg")
        .odd(false, false, false)
        .has("abcdefg", "");
}

#[test]
fn a_forged_end_does_not_blind() {
    let mut bench = opened();
    bench
        .push(Client, 100, 500, PSH_ACK, b"ab")
        .push(Server, 500, 102, RST, b"")
        .push(Client, 102, 500, PSH_ACK, b"cd")
        .push(Client, 104, 500, FIN_ACK, b"ef")
        .push(Client, 106, 500, PSH_ACK, b"gh")
        .has("abcdefgh", "");
    assert!(bench.assembler.flows().all(|(_, flow)| flow.is_closed()));
}

#[test]
fn a_forged_opening_does_not_blind() {
    opened()
        .push(Client, 100, 500, PSH_ACK, b"ab")
        .push(Client, 7_000_000, 0, SYN, b"")
        .push(Client, 102, 500, PSH_ACK, b"cd")
        .has("abcd", "");
}

#[test]
fn ports_are_used_again() {
    let reopen = |bench: &mut Bench| {
        let before = bench.last.unwrap().side.flow;
        bench
            .push(Client, 3_000_000_000, 0, SYN, b"")
            .push(Server, 77, 3_000_000_001, SYN_ACK, b"")
            .push(Client, 3_000_000_001, 78, PSH_ACK, b"new")
            .push(Server, 78, 3_000_000_004, PSH_ACK, b"old?")
            .odd(false, false, false);
        let after = bench.last.unwrap().side.flow;
        assert!(before.index() == after.index() && before != after);
        assert_eq!(bench.assembler.flow(before), None);
        assert_eq!(bench.client(), Some(addresses(Client).0));
    };
    let mut closed = opened();
    closed.push(Client, 100, 500, FIN_ACK, b"x").push(Server, 500, 102, FIN_ACK, b"");
    reopen(&mut closed);
    closed.has("xnew", "old?");
    let mut open = opened();
    open.push(Client, 100, 500, PSH_ACK, b"x");
    reopen(&mut open);
    open.has("xnew", "old?");
}

#[test]
fn a_lost_reopening_is_believed_after_some_segments() {
    let mut bench = opened();
    bench.push(Client, 100, 500, PSH_ACK, b"ab");
    let far = 2_000_000_000;
    bench
        .push(Client, far, 500, PSH_ACK, b"1")
        .odd(false, false, true)
        .push(Client, far + 1, 500, PSH_ACK, b"2")
        .push(Client, far + 2, 500, PSH_ACK, b"3")
        .odd(true, false, true)
        .push(Client, far + 3, 500, PSH_ACK, b"4")
        .odd(false, false, false)
        .has("ab[0]34", "");
}

#[test]
fn unread_bytes_are_bounded() {
    let mut assembler =
        Assembler::new(Limits { stream_bytes: 1_000, reorder_bytes: 500, ..Limits::default() });
    let (source, destination) = addresses(Client);
    let payload = [7; 100];
    let mut sequence = 1_u32;
    for frame in 0..1_000 {
        let segment = TcpSegment {
            source_port: 1,
            destination_port: 2,
            sequence,
            acknowledgement: 0,
            flags: PSH_ACK,
            window: 0,
            missing: 0,
            payload: &payload,
        };
        assembler.push(Timestamp::ZERO, frame, &source, &destination, &segment);
        sequence = sequence.wrapping_add(100);
        assert!(assembler.memory() < 8_000, "{}", assembler.memory());
    }
    let counters = *assembler.counters();
    let (id, _) = assembler.flows().next().unwrap();
    let side = Side { flow: id, end: End::First };
    assert_eq!(assembler.readable(side).len(), 1_000);
    assert!(assembler.gap(side).is_some(), "what was dropped shows as a hole");
    assert_eq!(counters.bytes, 1_000 + counters.dropped_bytes + 1_000, "read, dropped, waiting");
}

#[test]
fn connections_are_bounded_and_the_silent_go_first() {
    let mut assembler = Assembler::new(Limits { flows: 3, ..Limits::default() });
    let server: SocketAddr = "10.0.0.2:502".parse().unwrap();
    let mut push = |port: u16, flags| {
        let segment = TcpSegment {
            source_port: port,
            destination_port: 502,
            sequence: 0,
            acknowledgement: 0,
            flags,
            window: 0,
            missing: 0,
            payload: b"x",
        };
        let client = SocketAddr::new([10, 0, 0, 1].into(), port);
        assembler.push(Timestamp::ZERO, 0, &client, &server, &segment);
        let mut ports: Vec<_> = assembler.flows().map(|(_, flow)| flow.ends[0].port()).collect();
        ports.sort_unstable();
        ports
    };
    push(1, PSH_ACK);
    push(2, PSH_ACK);
    push(3, PSH_ACK);
    push(1, PSH_ACK);
    assert_eq!(push(4, PSH_ACK), [1, 3, 4], "2 was silent longest");
    push(4, RST);
    assert_eq!(push(5, PSH_ACK), [1, 3, 5], "4 was closed");
    assert_eq!(assembler.counters().evicted_flows, 2);
}

#[test]
fn silence_and_memory_end_connections() {
    let segment = |payload| TcpSegment {
        source_port: 1,
        destination_port: 2,
        sequence: 0,
        acknowledgement: 0,
        flags: PSH_ACK,
        window: 0,
        missing: 0,
        payload,
    };
    let server: SocketAddr = "[::1]:502".parse().unwrap();
    let client = |port| SocketAddr::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), port);
    let mut assembler = Assembler::new(Limits { total_bytes: 10_000, ..Limits::default() });
    for port in 0..100 {
        assembler.push(Timestamp::ZERO, 0, &client(port), &server, &segment(&[0; 1_000]));
        assert!(assembler.memory() <= 10_000);
    }
    assert_eq!(assembler.flows().count(), 10);
    assembler.push(Timestamp::from_secs(100_000), 0, &client(200), &server, &segment(b""));
    assembler.push(Timestamp::from_secs(100_000), 0, &client(200), &server, &segment(b""));
    assert_eq!(assembler.flows().count(), 9, "two went, one a segment, and one came");
}

/// A stream, cut into segments at any places.
fn segments() -> impl Strategy<Value = (Vec<u8>, u32, Vec<(usize, usize)>)> {
    (prop::collection::vec(any::<u8>(), 1..600), any::<u32>())
        .prop_flat_map(|(stream, start)| {
            let length = stream.len();
            let pieces = prop::collection::vec((0..length, 1..80usize), 0..40);
            (Just(stream), Just(start), pieces, prop::collection::vec(1..80usize, length))
        })
        .prop_flat_map(|(stream, start, repeats, cuts)| {
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                if from < stream.len() {
                    pieces.push((from, (from + cut).min(stream.len())));
                    from += cut;
                }
            }
            pieces.extend(repeats.into_iter().map(|(from, len)| (from, (from + len).min(stream.len()))));
            (Just(stream), Just(start), Just(pieces).prop_shuffle())
        })
}

proptest! {
    #[test]
    fn any_cutting_and_order_gives_the_stream((stream, start, pieces) in segments()) {
        let mut bench = bench();
        bench.push(Client, start.wrapping_sub(1), 0, SYN, b"");
        for (from, to) in pieces {
            bench.push(Client, start.wrapping_add(from as u32), 0, PSH_ACK, &stream[from..to]);
            prop_assert!(!bench.last.unwrap().oddities.any());
        }
        prop_assert_eq!(&bench.read[0], &stream);
        let counters = bench.assembler.counters();
        prop_assert_eq!(counters.bytes, counters.repeated_bytes + stream.len() as u64);
    }

    #[test]
    fn whatever_comes_is_counted_and_bounded(
        pushes in prop::collection::vec(
            (any::<bool>(), 0u32..5_000, any::<u32>(), any::<u8>(), 0usize..200, 0u32..3, 0i64..3_000, any::<bool>()),
            0..200,
        )
    ) {
        let limits = Limits {
            stream_bytes: 2_000, reorder_bytes: 1_000, history: 256, total_bytes: 20_000, ..Limits::default()
        };
        let mut bench = Bench::new(limits);
        for (who, near, far, flags, len, missing, millis, is_far) in pushes {
            let who = if who { Client } else { Server };
            let sequence = if is_far { far } else { near };
            bench.at = bench.at + Duration::from_millis(millis);
            let payload: Vec<u8> = (0..len).map(|at| (sequence as usize + at) as u8).collect();
            bench.push_cut(who, sequence, near, TcpFlags(flags), &payload, missing);
            prop_assert!(bench.assembler.memory() <= 20_000);
            let seen = bench.assembler.counters();
            prop_assert!(seen.dropped_bytes + seen.repeated_bytes + seen.evicted_bytes <= seen.bytes);
        }
    }
}
