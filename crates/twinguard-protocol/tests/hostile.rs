//! Input made to hurt: nesting without end, counts and lengths of everything, floods of fragments, segments and
//! connections. Memory stays under its bound, work stays linear, and what is wrong is told.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::{Ipv4Addr, SocketAddr};

use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::protocol::{Carrier, Change, Write};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, Item, LinkType, PointMap, Stack, stack::Config};
use twinguard_types::{Encoding, Endpoint, Timestamp, Value};

/// What a stack and a point map may hold at most.
const MEMORY_MAX: u64 = 64 << 20;

/// Messages, those among them with something odd, and other findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    messages: u64,
    odd: u64,
    malformed: u64,
}

/// Feeds frames, a millisecond apart, to everything short of a judge.
fn feed(frames: impl IntoIterator<Item = Vec<u8>>) -> Told {
    let mut told = Told::default();
    let mut frames = frames.into_iter();
    let used = allocation_counter::measure(|| {
        let mut stack = Stack::new(Config::default());
        let mut map = PointMap::discover(256);
        let mut events = Vec::new();
        let mut index = 0;
        for bytes in frames.by_ref() {
            index += 1;
            let (at, original_len) = (Timestamp::from_millis(index as i64), bytes.len() as u32);
            stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes: &bytes, original_len });
            while let Some(item) = stack.poll() {
                match &item {
                    Item::Message(message) => {
                        told.messages += 1;
                        told.odd += u64::from(!message.oddities.is_empty());
                        message.pdu.fields(&mut |_, _| {});
                    }
                    Item::Malformed(_) => told.malformed += 1,
                    Item::Exchange(_) => {}
                }
                map.bind(&item, &mut events);
                events.clear();
            }
        }
    });
    assert!(used.bytes_max <= MEMORY_MAX, "{} bytes were held", used.bytes_max);
    told
}

/// One payload over TCP, in as many segments as it needs.
fn over_tcp(port: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let server = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), port));
    let mut connection = Connection::new("10.0.0.1:40000".parse().unwrap(), server).unwrap();
    let mut frames = connection.open().to_vec();
    for part in payload.chunks(emit::MAX_PAYLOAD) {
        let mut frame = Vec::new();
        connection.say(End::First, part, &mut frame).unwrap();
        frames.push(frame);
    }
    frames
}

/// An element of BER with a length of two bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], content].concat()
}

#[test]
fn nesting_of_asn1() {
    let mut value = element(0x83, &[1]);
    for _ in 0..300 {
        value = element(0xa2, &value);
    }
    let pdu = element(0x61, &[element(0x80, b"IED/LLN0$GO$x"), element(0xab, &value)].concat());
    let length = (pdu.len() + 8) as u16;
    let head = [1, length, 0, 0].map(u16::to_be_bytes).concat();
    let mut frame = vec![1, 0x0c, 0xcd, 1, 0, 1, 2, 0, 0, 0, 0, 1, 0x88, 0xb8];
    frame.extend([head, pdu].concat());
    let told = feed([frame]);
    assert_eq!((told.messages, told.odd), (1, 1), "{told:?}");

    // The same as the result of a read over MMS: TPKT, COTP, then the PDU alone.
    let answer = [vec![2, 1, 9], element(0xa4, &element(0xa1, &value))].concat();
    let mms = element(0xa1, &answer);
    let total = (mms.len() + 7) as u16;
    let bytes = [&[3, 0][..], &total.to_be_bytes(), &[2, 0xf0, 0x80], &mms].concat();
    let told = feed(over_tcp(102, &bytes));
    assert!(told.messages <= 1 && told.messages + told.malformed > 0, "{told:?}");
}

#[test]
fn nesting_of_diagnostics_and_variants() {
    // A service fault whose diagnostic information holds another, and so on (Part 6 §5.2.2.12).
    let mut body = [1u32, 1, 1, 1].map(u32::to_le_bytes).concat();
    body.extend([1, 0, 0x8d, 1]);
    body.extend([0; 8]);
    body.extend([7, 0, 0, 0, 0, 0, 0, 0x80]);
    body.extend([0x40; 60_000]);
    let opcua = |body: &[u8]| [b"MSGF", &(body.len() as u32 + 8).to_le_bytes()[..], body].concat();
    let told = feed(over_tcp(4840, &opcua(&body)));
    assert!(told.messages == 1 && told.odd == 1, "{told:?}");
    // A write whose value is an array of variants that are arrays of variants: §5.2.2.16 bounds the depth by 100.
    let mut value = vec![1, 1];
    for _ in 0..500 {
        value = [&[0x98, 1, 0, 0, 0][..], &value].concat();
    }
    let mut write = [1u32, 1, 2, 2].map(u32::to_le_bytes).concat();
    write.extend([1, 0, 0xa1, 2]); // 673
    write.extend([0, 0]); // authentication token
    write.extend([0; 8]);
    write.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    write.extend([0xff; 4]); // audit entry
    write.extend([0; 4]); // timeout
    write.extend([0, 0, 0]); // additional header
    write.extend([1, 0, 0, 0, 0, 9, 13, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]);
    write.extend(value);
    let told = feed(over_tcp(4840, &opcua(&write)));
    assert_eq!(told.messages, 1, "{told:?}");
}

#[test]
fn nesting_of_services() {
    // Multiple service packets of CIP in each other (volume 1 appendix A: service 0x0a).
    let mut inner = vec![0x4c, 2, 0x91, 0];
    for _ in 0..150 {
        inner = [&[0x0a, 2, 0x20, 2, 0x24, 1, 1, 0, 4, 0][..], &inner].concat();
    }
    let mut data = vec![0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0xb2, 0];
    data.extend((inner.len() as u16).to_le_bytes());
    data.extend(&inner);
    let mut bytes = vec![0x6f, 0];
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]);
    bytes.extend(data);
    let told = feed(over_tcp(44818, &bytes));
    assert_eq!(told.messages, 1, "{told:?}");
    // Opening tags of BACnet, one in the other.
    let npdu = [&[1, 4, 0, 5, 1, 14, 0x0c, 0, 0, 0, 1][..], &[0x1e; 1_000]].concat();
    let length = (npdu.len() + 4) as u16;
    let mut frame = Vec::new();
    let bvlc = [&[0x81, 0x0a][..], &length.to_be_bytes(), &npdu].concat();
    let ends = ["10.0.0.1:47808", "10.0.0.2:47808"].map(|end| end.parse().unwrap());
    emit::datagram(ends[0], ends[1], &bvlc, &mut frame).unwrap();
    let told = feed([frame]);
    assert_eq!(told.messages, 1, "{told:?}");
}

/// A command of each family that can be asked, in bytes.
fn commands() -> Vec<(Family, Vec<u8>)> {
    let real = Change::Scalar { value: Value::real(21.5).unwrap(), encoding: Encoding::F32 };
    let words = Change::Words { bytes: [1, 2, 3, 4, 0, 0, 0, 0], len: 2 };
    let table = [
        ("ams", "851/0x4020/4", words),
        ("bacnet", "analogValue:3/presentValue", real),
        ("dnp3", "10/g40v0/4", real),
        ("enip", "Program:Main.Speed[2]", real),
        (
            "hart_ip",
            "2695eb27b8/loop",
            Change::Scalar { value: Value::real(4.0).unwrap(), encoding: Encoding::Native },
        ),
        ("iec104", "41/50000", real),
        ("mms", "IED1LD0/XCBR1$CO$Pos/0", Change::Bit(true)),
        ("modbus", "u1/hr/7", Change::Words { bytes: [1, 2, 3, 4, 0, 0, 0, 0], len: 4 }),
        ("modbus_rtu", "u1/hr/7", Change::Words { bytes: [1, 2, 3, 4, 0, 0, 0, 0], len: 4 }),
        ("mqtt", "spBv1.0/plant/edge1/pump/level", real),
        ("omron", "D10", words),
        ("opcua", "ns=2;s=Setpoint", real),
        ("s7comm", "DB1.10", words),
    ];
    let command = |(name, tag, change): (&str, &str, Change)| {
        let family: Family = name.parse().unwrap();
        let tag = family.parse_tag(tag).unwrap();
        let write = Write { family: family.label(), endpoint: Endpoint::Any, tag, change };
        let mut bytes = Vec::new();
        family.command(&write, 7, &mut bytes).unwrap();
        (family, bytes)
    };
    table.into_iter().map(command).collect()
}

/// Each byte, each pair and each four bytes of a command in turn at their greatest.
#[test]
fn counts_and_lengths_of_everything() {
    for (family, bytes) in commands() {
        let (mut session, mut shared) = (family.session(), twinguard_protocol::Shared::default());
        let mut seen = 0u64;
        let used = allocation_counter::measure(|| {
            for at in 0..bytes.len() {
                for (width, byte) in [(1, 0xff), (2, 0xff), (4, 0xff), (2, 0x7f), (4, 0)] {
                    let mut spoilt = bytes.clone();
                    let end = (at + width).min(spoilt.len());
                    if let Some(part) = spoilt.get_mut(at..end) {
                        part.fill(byte);
                    }
                    let context = twinguard_protocol::Context::of(twinguard_protocol::Sender::Client);
                    let Some(pdu) = session.decode(&mut shared, &context, &spoilt) else { continue };
                    let points = pdu.blocks(None).flat_map(|block| block.points()).take(70_000).count();
                    assert!(points <= 65_536, "{family}: {points} values from {} bytes", spoilt.len());
                    seen += 1 + points as u64;
                }
            }
        });
        assert!(seen > 0 && used.bytes_max < 4 << 20, "{family}: {} bytes were held", used.bytes_max);
    }
}

#[test]
fn floods() {
    // First fragments of datagrams that never end (RFC 791).
    let fragments = (0..60_000u32).map(|number| {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        let [high, low] = (number as u16).to_be_bytes();
        frame.extend([0x45, 0, 0x02, 0x14, high, low, 0x20, 0, 64, 17, 0, 0]);
        frame.extend([10, 0, (number >> 16) as u8, 1, 10, 0, 0, 2]);
        frame.resize(14 + 20 + 512, 0);
        frame
    });
    feed(fragments);
    // Segments behind a hole that never fills, and connections that are opened and left.
    let mut connection =
        Connection::new("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap()).unwrap();
    let mut frames = connection.open().to_vec();
    for number in 0..4_000 {
        let mut frame = Vec::new();
        connection.say(End::First, &[0xff; 1_000], &mut frame).unwrap();
        if number % 2 == 1 {
            frames.push(frame);
        }
    }
    let told = feed(frames);
    assert!(told.malformed > 0, "a hole is told: {told:?}");
    let opened = (0..50_000u32).map(|number| {
        let ip = Ipv4Addr::from_bits(0x0a01_0000 + (number >> 8));
        let client = SocketAddr::from((ip, 20_000 + (number & 0xff) as u16));
        let [syn, ..] = Connection::new(client, "10.0.0.2:502".parse().unwrap()).unwrap().open();
        syn
    });
    feed(opened);
}

/// A datagram of FINS in a stream: what is recognised there cannot be cut there, and that must not be tried for ever.
#[test]
fn what_is_legal_in_datagrams_alone() {
    let fins = [0x80, 0, 2, 0, 1, 0, 0, 2, 0, 7, 1, 2, 0x82, 0, 10, 0, 0, 1, 0x12, 0x34];
    for port in [9600, 4001] {
        let told = feed(over_tcp(port, &fins));
        assert_eq!(told.messages, 0, "{told:?}");
    }
}

/// Every family's command on every family's port, whole and in pieces: whatever is told of it has used up a byte.
#[test]
fn what_is_legal_elsewhere() {
    let carriers = Family::ALL.iter().flat_map(|family| family.carriers());
    let mut ports: Vec<u16> = carriers
        .filter_map(|carrier| match carrier {
            Carrier::Tcp(port) => Some(*port),
            _ => None,
        })
        .collect();
    ports.push(4001);
    for (family, bytes) in commands() {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        for port in &ports {
            for parts in [&[&bytes[..]][..], &[head, tail], &[tail, head, &bytes]] {
                let server = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), *port));
                let mut connection = Connection::new("10.0.0.1:40000".parse().unwrap(), server).unwrap();
                let mut frames = connection.open().to_vec();
                for part in parts {
                    frames.push(Vec::new());
                    connection.say(End::First, part, frames.last_mut().unwrap()).unwrap();
                }
                let told = feed(frames);
                let sent: usize = parts.iter().map(|part| part.len()).sum();
                assert!(told.messages + told.malformed <= sent as u64, "{family} on {port}: {told:?}");
            }
        }
    }
}
