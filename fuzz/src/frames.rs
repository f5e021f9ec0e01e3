//! Targets below the application: one frame of any link type, one connection in any order.

use std::net::SocketAddr;

use twinguard::protocol::LinkType;
use twinguard::protocol::ip::{Defragmenter, FragmentLimits};
use twinguard::protocol::link::{self as links, Network};
use twinguard::protocol::tcp::{Assembler, Limits, TcpFlags, TcpSegment};
use twinguard::types::{Duration, Timestamp};

/// Frames, each after two bytes for its link type and one for its length: decoded and put together from fragments.
/// What is shown lies within the frame, and errors name a place within it.
pub fn link(data: &[u8]) {
    let mut defragmenter = Defragmenter::new(FragmentLimits { packets: 3, wait: Duration::from_secs(1) });
    let mut rest = data;
    let mut at = Timestamp::ZERO;
    while let [high, low, len, tail @ ..] = rest {
        let (frame, next) = tail.split_at(tail.len().min(usize::from(*len)));
        rest = next;
        at = at + Duration::from_millis(100);
        match links::decode(LinkType::from_number(u16::from_be_bytes([*high, *low])), frame) {
            Ok(packet) => {
                if let Network::Ip(ip) = packet.network {
                    let _ = defragmenter.push(at, &ip);
                }
            }
            Err(error) => assert!(error.offset() as usize <= frame.len(), "{error}"),
        }
    }
}

/// Segments of one connection, each 7 bytes (sender and length, flags, sequence, acknowledgement, time) and a payload.
/// Memory stays within its bound, and no byte is shown twice.
pub fn tcp(data: &[u8]) {
    const BOUND: usize = 16_000;
    let limits = Limits {
        stream_bytes: 1_000,
        reorder_bytes: 500,
        history: 100,
        total_bytes: BOUND,
        ..Limits::default()
    };
    let mut assembler = Assembler::new(limits);
    let ends = [SocketAddr::from(([10, 0, 0, 1], 40_000)), SocketAddr::from(([10, 0, 0, 2], 502))];
    let mut at = Timestamp::ZERO;
    let (mut rest, mut shown) = (data, 0);
    while let [head, flags, s0, s1, a0, a1, time, tail @ ..] = rest {
        let (payload, next) = tail.split_at(tail.len().min(usize::from(head & 0x3f)));
        rest = next;
        at = at + Duration::from_millis(i64::from(*time) * 30);
        let [source, destination] = if head & 0x80 == 0 { ends } else { [ends[1], ends[0]] };
        let segment = TcpSegment {
            source_port: source.port(),
            destination_port: destination.port(),
            // Small steps near the wrap, and far jumps.
            sequence: u32::from(u16::from_be_bytes([*s0, *s1])).wrapping_sub(30_000) << (flags >> 7 << 4),
            acknowledgement: u32::from(u16::from_be_bytes([*a0, *a1])).wrapping_sub(30_000),
            flags: TcpFlags(flags & 0x3f),
            window: 0,
            missing: u32::from(head & 0x40),
            payload,
        };
        let pushed = assembler.push(at, 0, &source, &destination, &segment);
        assert!(assembler.memory() <= BOUND, "{} bytes held", assembler.memory());
        for side in pushed.ready.sides() {
            loop {
                let count = assembler.readable(side).len();
                // Some readers leave bytes for later.
                let count = if time & 1 == 0 { count } else { count / 2 };
                shown += count as u64;
                assembler.consume(side, count);
                if assembler.cross(side).is_none() {
                    break;
                }
            }
        }
    }
    let seen = assembler.counters();
    assert!(shown + seen.repeated_bytes + seen.dropped_bytes + seen.evicted_bytes <= seen.bytes, "{seen:?}");
}
