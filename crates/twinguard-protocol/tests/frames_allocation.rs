//! No frame costs an allocation once a connection has warmed up.
#![allow(missing_docs, clippy::unwrap_used)]

use twinguard_protocol::emit::Connection;
use twinguard_protocol::ip::{Defragmenter, FragmentLimits, Transport};
use twinguard_protocol::link::{self, Network};
use twinguard_protocol::tcp::{Assembler, End, Limits};
use twinguard_protocol::{LinkType, capture};
use twinguard_types::Timestamp;

#[test]
fn a_frame_in_the_steady_state_allocates_nothing() {
    let mut file = capture::Writer::new(Vec::new(), LinkType::Ethernet).unwrap();
    let mut frame = Vec::new();
    let mut connections: Vec<_> = (0..8)
        .map(|port| {
            Connection::new(([10, 0, 0, 1], 40_000 + port).into(), ([10, 0, 0, 2], 502).into()).unwrap()
        })
        .collect();
    for round in 0..4_000 {
        for connection in &mut connections {
            for (from, payload) in [(End::First, &[1; 12][..]), (End::Second, &[2; 79][..])] {
                connection.say(from, payload, &mut frame).unwrap();
                file.write(Timestamp::from_millis(round), &frame).unwrap();
            }
        }
    }
    let file = file.finish().unwrap();
    let mut reader = capture::Reader::new(file.as_slice()).unwrap();
    let mut defragmenter = Defragmenter::new(FragmentLimits::default());
    let mut assembler = Assembler::new(Limits::default());
    let mut run = |frames: usize| {
        let mut bytes = 0;
        for _ in 0..frames {
            let frame = reader.next_frame().unwrap().unwrap();
            let Network::Ip(ip) = link::decode(frame.link, frame.bytes).unwrap().network else { continue };
            let ip = defragmenter.push(frame.at, &ip).unwrap().packet.unwrap();
            let (Transport::Tcp(segment), Some((source, destination))) = (ip.transport, ip.endpoints())
            else {
                continue;
            };
            let pushed = assembler.push(frame.at, frame.index, &source, &destination, &segment);
            for side in pushed.ready.sides() {
                let count = assembler.readable(side).len();
                bytes += count;
                assembler.consume(side, count);
            }
        }
        bytes
    };
    run(16_000);
    let mut bytes = 0;
    let seen = allocation_counter::measure(|| bytes = run(48_000));
    assert_eq!(bytes, 24_000 * (12 + 79));
    assert_eq!(seen.count_total, 0);
}
