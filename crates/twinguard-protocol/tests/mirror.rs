//! Traffic as taps and switches deliver it: wrapped, seen twice, on both networks of a redundant pair. What comes out
//! is what comes out of the plain frames.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::protocols::modbus::Repr;
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Frame, Item, LinkType, Stack, stack::Config};
use twinguard_types::Timestamp;

/// A frame, wrapped.
type Wrap<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// A handshake, a write and its echo over TCP; a write over UDP.
fn plain() -> Vec<Vec<u8>> {
    let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
    let mut connection = Connection::new(client, server).unwrap();
    let mut frames = connection.open().to_vec();
    let write = Repr::write_register(7, 1, 3, 99).unwrap().emit();
    for from in [End::First, End::Second] {
        let mut frame = Vec::new();
        connection.say(from, write.as_bytes(), &mut frame).unwrap();
        frames.push(frame);
    }
    let mut datagram = Vec::new();
    emit::datagram(client, server, write.as_bytes(), &mut datagram).unwrap();
    frames.push(datagram);
    frames
}

/// What a stack tells of frames, each a millisecond after the other, in words.
fn told(frames: &[Vec<u8>], link: LinkType) -> (Vec<String>, u64) {
    let mut stack = Stack::new(Config::default());
    let mut told = Vec::new();
    for (index, bytes) in frames.iter().enumerate() {
        let at = Timestamp::from_nanos(index as i64 * 1_000_000);
        stack.handle(&Frame { index: 1, at, link, bytes, original_len: bytes.len() as u32 });
        while let Some(item) = stack.poll() {
            told.push(match item {
                Item::Message(message) => {
                    let points: Vec<_> = message.points().map(|point| point.raw.to_string()).collect();
                    format!("{} {} {:?} {points:?}", message.source, message.destination, message.header)
                }
                Item::Exchange(exchange) => format!("{} {:?}", exchange.server, exchange.outcome),
                Item::Malformed(malformed) => format!("{} {:?}", malformed.family, malformed.oddity),
            });
        }
    }
    (told, stack.counters().duplicates)
}

/// An IPv4 packet from one tap to another that carries these bytes.
fn carry(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 9, 0, 0, 64, protocol, 0, 0];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend_from_slice(payload);
    packet
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let mut datagram = [0x4000u16, port, len, 0].map(u16::to_be_bytes).concat();
    datagram.extend_from_slice(payload);
    carry(17, &datagram)
}

#[test]
fn wrapped_traffic_tells_what_plain_traffic_tells() {
    let frames = plain();
    let wanted = told(&frames, LinkType::Ethernet);
    assert!(wanted.0.len() >= 4 && wanted.1 == 0, "{wanted:?}");
    let erspan = |kind: u16, header: &[u8], frame: &[u8]| {
        let gre = [&[0x10, 0][..], &kind.to_be_bytes(), &[0, 0, 0, 5], header, frame].concat();
        carry(47, &gre)
    };
    let wraps: [(&str, Wrap<'_>); 6] = [
        ("ERSPAN II", &|frame| erspan(0x88be, &[0x10, 1, 0, 1, 0, 0, 0, 0], frame)),
        ("ERSPAN III", &|frame| erspan(0x22eb, &[0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], frame)),
        ("GRE", &|frame| carry(47, &[&[0, 0, 0x65, 0x58][..], frame].concat())),
        ("VXLAN", &|frame| udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], frame].concat())),
        ("TZSP", &|frame| udp(37008, &[&[1, 0, 0, 1, 1][..], frame].concat())),
        ("VXLAN in GRE", &|frame| {
            let inner = udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], frame].concat());
            carry(47, &[&[0, 0, 0x08, 0x00][..], &inner].concat())
        }),
    ];
    for (name, wrap) in wraps {
        let wrapped: Vec<_> = frames.iter().map(|frame| wrap(frame)).collect();
        assert_eq!(told(&wrapped, LinkType::RawIp), wanted, "{name}");
        for frame in &wrapped {
            for len in 0..frame.len() {
                let _ = told(&[frame[..len].to_vec()], LinkType::RawIp);
            }
        }
    }
}

#[test]
fn a_packet_that_two_taps_saw_is_told_once() {
    let frames = plain();
    let (wanted, _) = told(&frames, LinkType::Ethernet);
    let twice: Vec<_> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
    assert_eq!(
        told(&twice, LinkType::Ethernet),
        (wanted, 1),
        "TCP's own numbers tell, the datagram is compared"
    );
}

#[test]
fn packets_in_packets_without_end_are_refused() {
    let mut packet = carry(6, &[0; 20]);
    for _ in 0..6 {
        packet = carry(4, &packet);
    }
    assert_eq!(told(&[packet], LinkType::RawIp).0, ["tunnel Dropped"]);
}
