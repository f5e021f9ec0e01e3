//! Serial lines: Modbus RTU over TCP and UDP, on any port and on that of Modbus TCP; lines as a controller records them;
//! BACnet MS/TP.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::protocols::bacnet::mstp;
use twinguard_protocol::protocols::modbus_rtu;
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, Item, LinkType, Stack, stack::Config};
use twinguard_types::Timestamp;

/// What the stack tells of frames: family, sender, kind, function, values, oddities.
fn told(link: LinkType, frames: &[Vec<u8>]) -> Vec<String> {
    let mut stack = Stack::new(Config::default());
    let mut told = Vec::new();
    for (index, bytes) in frames.iter().enumerate() {
        let (index, at) = (index as u64 + 1, Timestamp::from_millis(10 * index as i64));
        stack.handle(&Frame { index, at, link, bytes, original_len: bytes.len() as u32 });
        while let Some(item) = stack.poll() {
            match item {
                Item::Message(message) => {
                    let family = message.family();
                    let points: String = message
                        .points()
                        .map(|point| format!(" {}={}", family.show_tag(point.tag), point.raw))
                        .collect();
                    let odd: String =
                        message.oddities.iter().map(|(odd, at)| format!(" {odd:?}@{at}")).collect();
                    let (kind, function) = (message.header.kind.as_str(), message.header.function);
                    told.push(format!("{family} {kind} {function}{points}{odd}"));
                }
                Item::Malformed(malformed) => {
                    told.push(format!("{} {:?}", malformed.family, malformed.oddity));
                }
                Item::Exchange(_) => {}
            }
        }
    }
    told
}

fn sealed(frame: &[u8]) -> Vec<u8> {
    [frame, &modbus_rtu::crc(frame).to_le_bytes()].concat()
}

/// Questions and answers of a line, alternating.
fn tcp(server: &str, handshake: bool, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut connection = Connection::new("10.0.0.1:40000".parse().unwrap(), server.parse().unwrap()).unwrap();
    let mut frames = connection.open().to_vec();
    if !handshake {
        frames.clear();
    }
    for (index, payload) in payloads.iter().enumerate() {
        let from = if index % 2 == 0 { End::First } else { End::Second };
        let mut frame = Vec::new();
        connection.say(from, payload, &mut frame).unwrap();
        frames.push(frame);
    }
    frames
}

fn talk() -> [Vec<u8>; 6] {
    [
        sealed(&[1, 3, 0, 0, 0, 2]),
        sealed(&[1, 3, 4, 0, 9, 0, 24]),
        sealed(&[1, 6, 0, 7, 1, 2]),
        sealed(&[1, 6, 0, 7, 1, 2]),
        sealed(&[1, 4, 0, 5, 0, 1]),
        sealed(&[1, 0x84, 2]),
    ]
}

const TALK: [&str; 6] = [
    "modbus_rtu req 3",
    "modbus_rtu rsp 3 u1/hr/0=0009 u1/hr/1=0018",
    "modbus_rtu req 6 u1/hr/7=0102",
    "modbus_rtu rsp 6 u1/hr/7=0102",
    "modbus_rtu req 4",
    "modbus_rtu exc 4",
];

#[test]
fn modbus_rtu_is_known_by_checksum_and_content_on_any_port() {
    for server in ["10.0.0.2:4001", "10.0.0.2:502"] {
        for handshake in [true, false] {
            let told = told(LinkType::Ethernet, &tcp(server, handshake, &talk()));
            assert_eq!(told, TALK, "{server} {handshake}");
        }
    }
    let mut frames = Vec::new();
    for (index, payload) in talk().iter().enumerate() {
        let mut ends = ["10.0.0.1:40000".parse().unwrap(), "10.0.0.2:4001".parse().unwrap()];
        if index % 2 == 1 {
            ends.reverse();
        }
        let mut frame = Vec::new();
        emit::datagram(ends[0], ends[1], payload, &mut frame).unwrap();
        frames.push(frame);
    }
    assert_eq!(told(LinkType::Ethernet, &frames), TALK);
}

#[test]
fn frames_in_pieces_and_noise_on_the_line() {
    let [ask, tell, ..] = talk();
    let (head, tail) = tell.split_at(3);
    let mut noise = ask.clone();
    noise[2] ^= 0x40;
    let payloads = [
        ask.clone(),
        tell.clone(),
        ask.clone(),
        head.to_vec(),
        vec![],
        tail.to_vec(),
        noise,
        tell.clone(),
        ask,
        tell,
    ];
    let frames: Vec<_> = tcp("10.0.0.2:4001", true, &payloads);
    assert_eq!(
        told(LinkType::Ethernet, &frames),
        [
            TALK[0],
            TALK[1],
            TALK[0],
            TALK[1],
            "modbus_rtu rsp 3 u1/hr/?=0009 u1/hr/?=0018 UnmatchedResponse@0",
            "modbus_rtu NotThisProtocol",
            TALK[0],
            TALK[1],
        ]
    );
}

#[test]
fn recorded_lines() {
    let record = |event: u8, bytes: &[u8]| {
        let mut frame = vec![0x65, 0, 0, 0, 0, 0, 0, 1, event, 0x18, 0, 0];
        frame.extend_from_slice(bytes);
        frame
    };
    let frames: Vec<_> = talk()
        .iter()
        .enumerate()
        .flat_map(|(index, bytes)| [record(0, &[]), record(if index % 2 == 0 { 1 } else { 2 }, bytes)])
        .collect();
    assert_eq!(told(LinkType::RtacSerial, &frames), TALK);
    let mut read = Vec::new();
    let tag = Family::Dnp3.parse_tag("10/g10v0/4").unwrap();
    let write = twinguard_protocol::protocol::Write {
        family: Family::Dnp3.label(),
        endpoint: twinguard_types::Endpoint::Any,
        tag,
        change: twinguard_protocol::protocol::Change::Bit(true),
    };
    Family::Dnp3.command(&write, 1, &mut read).unwrap();
    let told = told(LinkType::RtacSerial, &[record(1, &read)]);
    assert!(told[0].starts_with("dnp3 req "), "{told:?}");
}

#[test]
fn captured_mstp() {
    let mut frames = vec![Vec::new(), Vec::new(), Vec::new()];
    mstp::Frame::emit(0, 5, 3, &[], &mut frames[0]).unwrap();
    // Read present-value of analog input 1, and its answer, 21.5.
    let ask = [1, 4, 0, 5, 9, 12, 0x0c, 0, 0, 0, 1, 0x19, 0x55];
    let tell = [1, 0, 0x30, 9, 12, 0x0c, 0, 0, 0, 1, 0x19, 0x55, 0x3e, 0x44, 0x41, 0xac, 0, 0, 0x3f];
    mstp::Frame::emit(mstp::DATA_EXPECTING_REPLY, 5, 3, &ask, &mut frames[1]).unwrap();
    mstp::Frame::emit(mstp::DATA_NOT_EXPECTING_REPLY, 3, 5, &tell, &mut frames[2]).unwrap();
    assert_eq!(
        told(LinkType::MsTp, &frames),
        ["bacnet ctl 0", "bacnet req 12", "bacnet rsp 12 analogInput:1/presentValue=4441ac0000",]
    );
    frames[1][7] ^= 1;
    assert_eq!(told(LinkType::MsTp, &frames)[1], "bacnet req 12 BadChecksum@7");
    assert!(told(LinkType::MsTp, &[vec![0x55, 0xff, 0]]).iter().all(|line| line.starts_with("frame")));
}
