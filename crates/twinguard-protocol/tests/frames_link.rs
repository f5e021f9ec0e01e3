//! Decoding: frames of every kind by hand, cut at every byte, and thousands of random ones against `etherparse`.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use twinguard_protocol::ip::{Defragmenter, FragmentLimits, IpPacket, Transport};
use twinguard_protocol::link::{self, Network, Packet};
use twinguard_protocol::tcp::TcpFlags;
use twinguard_protocol::{DecodeError, Layer, LinkType};
use twinguard_types::{Duration, Oddity, Timestamp};

const V6: [u8; 4] = [0xfd, 0, 0, 1];

/// Bytes from hexadecimal digits; anything else is ignored.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A TCP segment from port 1 to port 2 with two payload bytes.
fn tcp() -> Vec<u8> {
    hex("0001 0002 00000064 000001f4 50 18 0400 0000 0000 abcd")
}

fn ipv4(protocol: u8, identification: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = fragment.to_be_bytes();
    let [len_high, len_low] = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![
        0x45,
        0,
        len_high,
        len_low,
        0,
        identification,
        high,
        low,
        64,
        protocol,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ];
    packet.extend_from_slice(payload);
    packet
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [len_high, len_low] = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len_high, len_low, next, 64];
    for host in [1, 2] {
        packet.extend_from_slice(&V6);
        packet.extend_from_slice(&[0; 11]);
        packet.push(host);
    }
    packet.extend_from_slice(payload);
    packet
}

fn with(head: &str, packet: &[u8]) -> Vec<u8> {
    let mut frame = hex(head);
    frame.extend_from_slice(packet);
    frame
}

fn ip<'a>(link: LinkType, frame: &'a [u8]) -> IpPacket<'a> {
    match link::decode(link, frame).unwrap().network {
        Network::Ip(ip) => ip,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_link_leads_to_the_same_segment() {
    let (v4, v6) = (ipv4(6, 1, 0, &tcp()), ipv6(6, &tcp()));
    let macs = "020000000002 020000000001";
    let cases = [
        (LinkType::Ethernet, with(&format!("{macs} 0800"), &v4)),
        (LinkType::Ethernet, with(&format!("{macs} 8100 2007 0800"), &v4)),
        (LinkType::Ethernet, with(&format!("{macs} 88a8 0064 8100 0007 0800"), &v4)),
        (LinkType::Ethernet, with(&format!("{macs} 9100 0064 9100 0007 86dd"), &v6)),
        (LinkType::Ethernet, with(&format!("{macs} 892f 0052 1234 0800"), &v4)),
        (LinkType::Ethernet, with(&format!("{macs} 86dd"), &v6)),
        (LinkType::Ethernet, with(&format!("{macs} 8100 0007 86dd"), &v6)),
        (LinkType::RawIp, v4.clone()),
        (LinkType::RawIp, v6.clone()),
        (LinkType::Ipv4, v4.clone()),
        (LinkType::Ipv6, v6.clone()),
        (LinkType::Null, with("02000000", &v4)),
        (LinkType::Null, with("00000002", &v4)),
        (LinkType::Null, with("1e000000", &v6)),
        (LinkType::Loop, with("00000018", &v6)),
        (LinkType::LinuxSll, with("0000 0001 0006 0200000000010000 0800", &v4)),
        (LinkType::LinuxSll, with("0000 0001 0006 0200000000010000 8100 0007 86dd", &v6)),
        (LinkType::LinuxSll2, with("0800 0000 00000002 0001 00 06 0200000000010000", &v4)),
        // Padding and a PRP trailer (IEC 62439-3 §4.2.7) after the packet.
        (LinkType::Ethernet, [with(&format!("{macs} 0800"), &v4), hex("000000 1234 a02c 88fb")].concat()),
    ];
    for (link, frame) in cases {
        let packet = ip(link, &frame);
        let Transport::Tcp(segment) = packet.transport else { panic!("{packet:?}") };
        assert_eq!((segment.source_port, segment.destination_port), (1, 2));
        assert_eq!((segment.sequence, segment.acknowledgement, segment.window), (100, 500, 1_024));
        assert_eq!((segment.flags, segment.payload), (TcpFlags::PSH.with(TcpFlags::ACK), &[0xab, 0xcd][..]));
        assert_eq!((packet.hop_limit, segment.missing), (64, 0));
        // Cut at any byte: an error whose place lies in the frame, or a segment that tells how much is missing.
        for len in 0..frame.len() {
            match link::decode(link, &frame[..len]) {
                Ok(Packet { network: Network::Ip(cut), .. }) => match cut.transport {
                    Transport::Tcp(cut) => {
                        assert_eq!(cut.payload.len() + cut.missing as usize, segment.payload.len());
                    }
                    other => panic!("{other:?}"),
                },
                Ok(other) => panic!("{other:?}"),
                Err(DecodeError::Truncated { offset, .. }) => assert!(offset as usize <= len),
                Err(other) => panic!("{link} cut at {len}: {other}"),
            }
        }
    }
}

#[test]
fn tags_and_addresses_are_kept() {
    let frame = with("020000000002 020000000001 88a8 0064 8100 e007 0800", &ipv4(6, 1, 0, &tcp()));
    let packet = link::decode(LinkType::Ethernet, &frame).unwrap();
    assert_eq!((packet.vlan.outer, packet.vlan.inner), (Some(100), Some(7)));
    let macs = packet.macs.unwrap();
    assert_eq!((macs.destination[5], macs.source[5]), (2, 1));
    let packet = ip(LinkType::Ethernet, &frame);
    assert_eq!(packet.endpoints().unwrap().0.to_string(), "10.0.0.1:1");
}

#[test]
fn other_ether_types_are_handed_out() {
    let frame = hex("010ccd010001 020000000001 8100 8000 88b8 0001 0008 0000 0000");
    let packet = link::decode(LinkType::Ethernet, &frame).unwrap();
    assert_eq!(packet.vlan.outer, Some(0));
    let Network::Other { ether_type: 0x88b8, payload } = packet.network else { panic!("{packet:?}") };
    assert_eq!(payload, hex("0001 0008 0000 0000"));
}

#[test]
fn extension_headers_are_walked() {
    // Hop-by-hop, routing, destination options, authentication, an atomic fragment.
    let chain = hex("2b 00 000000000000  3c 00 000000000000  33 00 000000000000
         2c 01 0000 00000000 00000000  06 00 0000 00000000");
    let frame = ipv6(0, &[chain, tcp()].concat());
    let Transport::Tcp(segment) = ip(LinkType::Ipv6, &frame).transport else { panic!("{frame:02x?}") };
    assert_eq!(segment.sequence, 100);
    let nothing = ipv6(59, &[]);
    assert!(matches!(ip(LinkType::Ipv6, &nothing).transport, Transport::Other { protocol: 59, payload: [] }));
    let options =
        with("46 00 0000 0000 0000 40 11 0000 0a000001 0a000002 01010100", &hex("0035 0035 0009 0000 ff"));
    assert!(matches!(ip(LinkType::Ipv4, &options).transport, Transport::Udp(udp) if udp.payload == [0xff]));
}

#[test]
fn contradictions_are_named() {
    let check = |link, frame: &[u8], layer, offset| match link::decode(link, frame) {
        Err(DecodeError::Malformed { layer: found, offset: at, .. }) => {
            assert_eq!((found, at), (layer, offset))
        }
        other => panic!("{other:?}"),
    };
    let v4 = ipv4(6, 1, 0, &tcp());
    let set = |at: usize, byte| {
        let mut frame = v4.clone();
        frame[at] = byte;
        frame
    };
    check(LinkType::Ipv4, &set(0, 0x65), Layer::Ipv4, 0);
    check(LinkType::RawIp, &set(0, 0x15), Layer::Ipv4, 0);
    check(LinkType::Ipv4, &set(0, 0x44), Layer::Ipv4, 0);
    check(LinkType::Ipv4, &set(3, 19), Layer::Ipv4, 0);
    check(LinkType::Ipv4, &set(32, 0x40), Layer::Tcp, 20);
    check(LinkType::Ipv4, &set(32, 0xf0), Layer::Tcp, 20);
    check(LinkType::Ipv4, &ipv4(17, 1, 0, &hex("0001 0002 0007 0000")), Layer::Udp, 20);
    let ethernet = with("020000000002 020000000001 8100 0001 86dd", &v4);
    assert_eq!(link::decode(LinkType::Ethernet, &ethernet).unwrap_err().offset(), 18);
    let error = link::decode(LinkType::Other(147), &v4).unwrap_err();
    assert_eq!(error.to_string(), "link type 147 is not decoded");
}

struct Pieces {
    defragmenter: Defragmenter,
    at: Timestamp,
}

impl Pieces {
    fn new() -> Self {
        let limits = FragmentLimits { packets: 4, wait: Duration::from_secs(60) };
        Self { defragmenter: Defragmenter::new(limits), at: Timestamp::ZERO }
    }

    /// Pushes a piece; the payload when whole, and what was odd.
    fn push(&mut self, link: LinkType, frame: &[u8]) -> (Option<Vec<u8>>, Option<Oddity>) {
        let packet = ip(link, frame);
        let done = self.defragmenter.push(self.at, &packet).unwrap();
        let payload = done.packet.map(|packet| match packet.transport {
            Transport::Tcp(segment) => segment.payload.to_vec(),
            Transport::Other { payload, .. } => payload.to_vec(),
            other => panic!("{other:?}"),
        });
        (payload, done.oddity)
    }

    fn v4(&mut self, id: u8, offset: u16, more: bool, payload: &[u8]) -> (Option<Vec<u8>>, Option<Oddity>) {
        self.push(LinkType::Ipv4, &ipv4(200, id, (offset / 8) | (u16::from(more) << 13), payload))
    }

    fn v6(&mut self, id: u8, offset: u16, more: bool, payload: &[u8]) -> (Option<Vec<u8>>, Option<Oddity>) {
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        let fragment = [&[200, 0, high, low, 0, 0, 0, id], payload].concat();
        self.push(LinkType::Ipv6, &ipv6(44, &fragment))
    }
}

#[test]
fn fragments_come_in_any_order() {
    let mut pieces = Pieces::new();
    assert_eq!(pieces.v4(1, 16, false, b"end"), (None, None));
    assert_eq!(pieces.v6(1, 0, true, b"01234567"), (None, None));
    assert_eq!(pieces.v4(1, 0, true, b"01234567"), (None, None));
    assert_eq!(pieces.v4(1, 0, true, b"01234567"), (None, None));
    assert_eq!(pieces.v4(1, 8, true, b"89abcdef"), (Some(b"0123456789abcdefend".to_vec()), None));
    assert_eq!(pieces.v6(1, 8, false, b"end"), (Some(b"01234567end".to_vec()), None));
    let segment = tcp();
    let mut pieces = Pieces::new();
    assert_eq!(pieces.push(LinkType::Ipv4, &ipv4(6, 9, 0x2000, &segment[..16])), (None, None));
    assert_eq!(pieces.push(LinkType::Ipv4, &ipv4(6, 9, 2, &segment[16..])), (Some(vec![0xab, 0xcd]), None));
}

#[test]
fn odd_fragments_are_told() {
    let mut pieces = Pieces::new();
    let conflict = Some(Oddity::ConflictingOverlap);
    pieces.v4(1, 0, true, b"01234567");
    assert_eq!(pieces.v4(1, 0, true, b"01234567XXXXXXXX"), (None, None));
    assert_eq!(pieces.v4(1, 8, true, b"89abcdef"), (None, conflict));
    assert_eq!(pieces.v4(1, 16, false, b"end"), (Some(b"01234567XXXXXXXXend".to_vec()), None));
    pieces.v6(1, 0, true, b"01234567");
    assert_eq!(pieces.v6(1, 0, true, b"X1234567"), (None, conflict));
    assert_eq!(pieces.v6(1, 8, false, b"end"), (None, None), "abandoned for good");
    let wrong = (None, Some(Oddity::LengthMismatch));
    assert_eq!(pieces.v4(2, 0, true, b"0123456"), wrong, "not a multiple of 8");
    assert_eq!(pieces.v4(2, 65_528, false, b"01234567"), wrong, "beyond 64 KiB");
    pieces.v4(2, 8, false, b"end");
    assert_eq!(pieces.v4(2, 8, true, b"01234567"), wrong, "beyond the packet's end");
    assert_eq!(pieces.v4(2, 8, false, b"ends"), wrong, "two ends");
    let cut = &ipv4(200, 3, 0x2000, b"01234567")[..25];
    assert_eq!(pieces.push(LinkType::Ipv4, cut), (None, Some(Oddity::Truncated)));
}

#[test]
fn fragments_are_bounded() {
    let mut pieces = Pieces::new();
    for id in 0..4 {
        assert_eq!(pieces.v4(id, 0, true, b"01234567"), (None, None));
    }
    assert_eq!(pieces.v4(4, 0, true, b"01234567"), (None, Some(Oddity::Dropped)));
    assert_eq!(pieces.v4(1, 8, false, b"x"), (Some(b"01234567x".to_vec()), None));
    pieces.at = Timestamp::from_secs(61);
    assert_eq!(pieces.v4(2, 8, false, b"x"), (None, Some(Oddity::Gap)), "waited too long");
    assert_eq!(pieces.defragmenter.dropped(), 4);
}

/// A frame as `etherparse` writes it.
#[derive(Debug, Clone)]
struct Valid {
    bytes: Vec<u8>,
    header_len: usize,
}

fn valid() -> impl Strategy<Value = Valid> {
    let payload = prop::collection::vec(any::<u8>(), 0..100);
    let padding = prop::collection::vec(any::<u8>(), 0..20);
    (any::<[bool; 3]>(), 0u8..3, any::<[u16; 2]>(), any::<[u32; 2]>(), any::<[u8; 6]>(), payload, padding)
        .prop_map(|([v6, is_tcp, options], tags, ports, numbers, macs, payload, padding)| {
            let link = PacketBuilder::ethernet2(macs, [2; 6]);
            let mut bytes = Vec::new();
            macro_rules! transport {
                ($ip:expr) => {
                    if is_tcp {
                        let tcp = $ip.tcp(ports[0], ports[1], numbers[0], 77).ack(numbers[1]).psh();
                        let options: &[u8] = if options { &[1, 1, 1, 0] } else { &[] };
                        tcp.options_raw(options).unwrap().write(&mut bytes, &payload).unwrap();
                    } else {
                        $ip.udp(ports[0], ports[1]).write(&mut bytes, &payload).unwrap();
                    }
                };
            }
            macro_rules! network {
                ($link:expr) => {
                    if v6 {
                        transport!($link.ipv6([1; 16], [2; 16], 3));
                    } else {
                        transport!($link.ipv4([1; 4], [2; 4], 3));
                    }
                };
            }
            match tags {
                0 => network!(link),
                1 => network!(link.single_vlan(7.try_into().unwrap())),
                _ => network!(link.double_vlan(7.try_into().unwrap(), 8.try_into().unwrap())),
            }
            let header_len = bytes.len() - payload.len();
            bytes.extend_from_slice(&padding);
            Valid { bytes, header_len }
        })
}

fn same(bytes: &[u8]) {
    let Ok(theirs) = SlicedPacket::from_ethernet(bytes) else { return };
    let Ok(ours) = link::decode(LinkType::Ethernet, bytes) else {
        panic!("only etherparse reads {bytes:02x?}")
    };
    let transport = match ours.network {
        Network::Ip(ip) => ip.transport,
        Network::Other { .. } | Network::Line(_) => return assert!(theirs.transport.is_none()),
    };
    match (theirs.transport, transport) {
        (Some(TransportSlice::Tcp(tcp)), Transport::Tcp(segment)) => {
            assert_eq!(tcp.source_port(), segment.source_port);
            assert_eq!(tcp.destination_port(), segment.destination_port);
            assert_eq!(tcp.sequence_number(), segment.sequence);
            assert_eq!(tcp.acknowledgment_number(), segment.acknowledgement);
            assert_eq!(tcp.window_size(), segment.window);
            assert_eq!(tcp.psh(), segment.flags.contains(TcpFlags::PSH));
            assert_eq!(tcp.payload(), segment.payload);
        }
        (Some(TransportSlice::Udp(udp)), Transport::Udp(datagram)) => {
            assert_eq!(
                (udp.source_port(), udp.destination_port()),
                (datagram.source_port, datagram.destination_port)
            );
            assert_eq!(udp.payload(), datagram.payload);
        }
        (Some(TransportSlice::Tcp(_) | TransportSlice::Udp(_)), other) => panic!("{other:?}"),
        _ => {}
    }
}

const LINKS: [LinkType; 8] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Ipv4,
    LinkType::Ipv6,
    LinkType::Null,
    LinkType::Loop,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn valid_frames_are_read_as_etherparse_reads_them(frame in valid()) {
        same(&frame.bytes);
    }

    #[test]
    fn bent_frames_too(mut frame in valid(), at in any::<prop::sample::Index>(), byte in any::<u8>(), len in any::<prop::sample::Index>()) {
        let at = at.index(frame.header_len);
        frame.bytes[at] = byte;
        frame.bytes.truncate(len.index(frame.bytes.len()) + 1);
        let bytes = &frame.bytes;
        if let Err(error) = link::decode(LinkType::Ethernet, bytes) {
            prop_assert!(error.offset() as usize <= bytes.len());
        }
        // A bent length or type may be read in another way; bytes from outside the packet never show.
        if at >= 34 {
            same(bytes);
        }
    }

    #[test]
    fn anything_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), link in 0usize..8) {
        let mut defragmenter = Defragmenter::new(FragmentLimits::default());
        if let Ok(Packet { network: Network::Ip(ip), .. }) = link::decode(LINKS[link], &bytes) {
            let _ = defragmenter.push(Timestamp::ZERO, &ip);
        }
    }

    /// A tag of another number does not take the straight path: both paths read the same.
    #[test]
    fn both_paths_agree(frame in valid()) {
        let tagged = frame.bytes[12..14] == [0x81, 0];
        if tagged {
            let mut other = frame.bytes.clone();
            other[12..14].copy_from_slice(&[0x91, 0]);
            prop_assert_eq!(link::decode(LinkType::Ethernet, &frame.bytes), link::decode(LinkType::Ethernet, &other));
        } else {
            let head = [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &frame.bytes[12..]].concat();
            let other = link::decode(LinkType::LinuxSll, &head).unwrap();
            prop_assert_eq!(link::decode(LinkType::Ethernet, &frame.bytes).unwrap().network, other.network);
        }
    }

    #[test]
    fn any_fragmentation_gives_the_packet(
        (payload, order) in prop::collection::vec(any::<u8>(), 1..400).prop_flat_map(|payload| {
            let mut cuts = Vec::new();
            for from in (0..payload.len()).step_by(24) {
                cuts.push((from, (from + 24).min(payload.len())));
                cuts.push((from, (from + 48).min(payload.len())));
            }
            (Just(payload), Just(cuts).prop_shuffle())
        }),
        v6: bool,
    ) {
        let mut pieces = Pieces::new();
        let mut whole = Vec::new();
        for (from, to) in order {
            let (more, piece) = (to < payload.len(), &payload[from..to]);
            let (done, odd) = if v6 {
                pieces.v6(1, from as u16, more, piece)
            } else {
                pieces.v4(1, from as u16, more, piece)
            };
            prop_assert_eq!(odd, None);
            whole.extend(done);
        }
        prop_assert!(whole.first() == Some(&payload));
    }
}
