//! What we write for every family, on the wire: our own stack reads it as that family, and TShark, where it is installed,
//! reads it without an expert error.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use twinguard_protocol::capture::Writer;
use twinguard_protocol::emit::{self, Connection};
use twinguard_protocol::iec61850::{Entry, UtcTime};
use twinguard_protocol::protocol::{Carrier, Change, Sender, Write};
use twinguard_protocol::protocols::{bacnet, goose, modbus, pn_dcp, pn_rt, sv, synphasor};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Family, Frame, Item, LinkType, Stack, stack::Config};
use twinguard_types::{Encoding, Endpoint, Timestamp, Value};

type Frames = Vec<Vec<u8>>;

/// One message that we write.
struct Case {
    family: Family,
    /// The name under which TShark knows it; empty where it does not.
    known: &'static str,
    what: String,
    bytes: Vec<u8>,
    carrier: Carrier,
    sender: Sender,
}

fn main() {
    let arguments = Arguments::from_args();
    let tshark = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    let trials = vec![
        Trial::test("the stack reads what is written", by_the_stack),
        Trial::test("tshark reads what is written", by_tshark).with_ignored_flag(!tshark),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn change(value: Value, encoding: Encoding) -> Change {
    Change::Scalar { value, encoding }
}

/// A command to a place, for every family that can ask for a change.
fn commands() -> Vec<Case> {
    let real = Value::real(21.5).unwrap();
    let words = Change::Words { bytes: [0x12, 0x34, 0, 0, 0, 0, 0, 0], len: 2 };
    let table: &[(&str, &str, &str, Change)] = &[
        ("ams", "ams", "851/0x4020/4", words),
        ("bacnet", "bacapp", "analogValue:3/presentValue", change(real, Encoding::F32)),
        ("bacnet", "bacapp", "binaryOutput:3/presentValue@8", change(Value::Integer(1), Encoding::U8)),
        ("dnp3", "dnp3", "10/g10v0/4", Change::Bit(true)),
        ("dnp3", "dnp3", "10/g40v0/4", change(real, Encoding::F32)),
        ("dnp3", "dnp3", "10/g40v0/5", change(Value::Integer(-5), Encoding::I16)),
        ("enip", "cip", "Program:Main.Speed[2]", change(real, Encoding::F32)),
        ("enip", "cip", "0x04/100/3", words),
        ("ethercat", "ecat", "lad/0x10000", words),
        ("ethercat", "ecat", "s1001/0x130", words),
        ("hart_ip", "hart_ip", "2695eb27b8/loop", change(real, Encoding::Native)),
        ("iec104", "iec60870_asdu", "41/50000", change(real, Encoding::F32)),
        ("iec104", "iec60870_asdu", "41/6000", change(Value::Boolean(true), Encoding::Bit(0))),
        ("iec101", "", "3/4001", change(Value::Boolean(true), Encoding::Bit(0))),
        // Nothing in one message tells TShark that its presentation context is MMS.
        ("mms", "cotp", "IED1LD0/XCBR1$CO$Pos/0", Change::Bit(true)),
        ("modbus", "modbus", "u1/co/7", Change::Bit(true)),
        ("modbus", "modbus", "u1/hr/7", words),
        ("modbus", "modbus", "u1/hr/7", Change::Words { bytes: [1, 2, 3, 4, 0, 0, 0, 0], len: 4 }),
        ("modbus", "modbus", "u1/hr/7", Change::BitOf { bit: 3, state: true }),
        ("modbus_rtu", "mbrtu", "u1/co/7", Change::Bit(true)),
        ("modbus_rtu", "mbrtu", "u1/hr/7", Change::Words { bytes: [1, 2, 3, 4, 0, 0, 0, 0], len: 4 }),
        ("mqtt", "mqtt", "house/boiler/setpoint", change(real, Encoding::Native)),
        ("mqtt", "mqtt", "spBv1.0/plant/edge1/pump/level", change(real, Encoding::F32)),
        ("omron", "omron", "D10", words),
        ("omron", "omron", "W7.2", Change::Bit(true)),
        ("opcua", "opcua", "ns=2;s=Setpoint", change(real, Encoding::F32)),
        ("opcua", "opcua", "ns=3;i=7", change(Value::Boolean(true), Encoding::Native)),
        ("s7comm", "s7comm", "DB1.10", words),
        ("s7comm", "s7comm", "M7.2", Change::Bit(true)),
    ];
    let case = |(name, known, tag, change): &(&str, &'static str, &str, Change)| {
        let family: Family = name.parse().unwrap();
        let tag_of = family.parse_tag(tag).unwrap_or_else(|| panic!("{name} {tag}"));
        let write = Write { family: family.label(), endpoint: Endpoint::Any, tag: tag_of, change: *change };
        let mut bytes = Vec::new();
        family.command(&write, 7, &mut bytes).unwrap_or_else(|| panic!("{name} {tag}: {change:?}"));
        let carrier = match family.carriers() {
            // Commands of FINS are datagrams; on TCP a handshake gives out the nodes first.
            _ if *name == "omron" => Carrier::Udp(9600),
            [first, ..] => *first,
            [] => Carrier::Tcp(4001),
        };
        Case { family, known, what: format!("{name} {tag}"), bytes, carrier, sender: Sender::Client }
    };
    table.iter().map(case).collect()
}

/// What is told without being asked, and what keeps a link.
fn others() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut put = |name: &str, known, what: &str, carrier, sender, bytes: Vec<u8>| {
        let family = name.parse().unwrap();
        cases.push(Case { family, known, what: format!("{name} {what}"), bytes, carrier, sender });
    };
    let trip = goose::Repr {
        app_id: 1,
        simulation: false,
        control_block: "IED1LD0/LLN0$GO$gcb01",
        time_allowed_to_live: 2000,
        data_set: "IED1LD0/LLN0$Trips",
        id: Some("trips"),
        time: UtcTime([0x65, 0, 0, 0, 0, 0, 0, 0x0a]),
        state_number: 2,
        sequence_number: 0,
        revision: 1,
        needs_commissioning: false,
        entries: &[Entry::Boolean(true), Entry::Bits(&[0, 0], 13)],
    };
    put("goose", "goose", "trip", Carrier::EtherType(0x88b8), Sender::Unknown, trip.emit().unwrap());
    let samples = sv::Samples {
        id: "MU01",
        sample: 7,
        revision: 1,
        time: None,
        synchronised: 2,
        channels: &[(1000, 0), (-1000, 0), (5, 0), (0, 0), (1, 0), (2, 0), (3, 0), (4, 0)],
    };
    let sampled = sv::Repr { app_id: 0x4000, simulated: false, asdus: &[samples] }.emit().unwrap();
    put("sv", "sv", "samples", Carrier::EtherType(0x88ba), Sender::Unknown, sampled);
    let dcp = Carrier::EtherType(0x8892);
    for (what, repr) in [
        ("identify", pn_dcp::Repr::identify(7, 1, &[(2, 2, b"pump-1")])),
        ("get", pn_dcp::Repr::get(7, &[(2, 2)])),
        ("set", pn_dcp::Repr::set(7, 2, 2, b"pump-1")),
    ] {
        put("pn_dcp", "pn_dcp", what, dcp, Sender::Unknown, repr.unwrap().as_bytes().to_vec());
    }
    let status = pn_rt::Status { cycle_counter: 32, data: 0x35, transfer: 0 };
    let cyclic = pn_rt::Repr::cyclic(0x8001, status, &[0x80; 40]).unwrap();
    put("pn_rt", "pn_rt", "cyclic", dcp, Sender::Unknown, cyclic.as_bytes().to_vec());
    let command = synphasor::Repr::new(2, 7734, (1_149_577_200, 0, 16_817), synphasor::Content::Command(2));
    put("synphasor", "synphasor", "command", Carrier::Tcp(4712), Sender::Client, command.unwrap().emit());
    let mut mstp = Vec::new();
    let npdu = [1, 0, 0x10, 8];
    bacnet::mstp::Frame::emit(bacnet::mstp::DATA_NOT_EXPECTING_REPLY, 255, 3, &npdu, &mut mstp).unwrap();
    put("bacnet", "mstp", "who-is on MS/TP", Carrier::Link(165), Sender::Unknown, mstp);
    let answer = modbus::Repr::read(9, 1, 3, 0, 2).unwrap();
    put("modbus", "modbus", "read", Carrier::Tcp(502), Sender::Client, answer.emit().as_bytes().to_vec());
    cases
}

fn cases() -> Vec<Case> {
    let mut cases = commands();
    cases.extend(others());
    cases
}

/// The frames that carry a message; of many cases each has a client port of its own.
fn frames(case: &Case, place: u16) -> (LinkType, Frames) {
    let client = SocketAddr::from(([10, 0, 0, 1], 40_000 + place));
    let address = |text: &str, port| SocketAddr::new(text.parse().unwrap(), port);
    match case.carrier {
        Carrier::Tcp(port) => {
            let server = address("10.0.0.2", port);
            let mut connection = Connection::new(client, server).unwrap();
            let mut frames = connection.open().to_vec();
            let from = if case.sender == Sender::Server { End::Second } else { End::First };
            frames.push(Vec::new());
            connection.say(from, &case.bytes, frames.last_mut().unwrap()).unwrap();
            (LinkType::Ethernet, frames)
        }
        Carrier::Udp(port) => {
            let mut frame = Vec::new();
            emit::datagram(client, address("10.0.0.2", port), &case.bytes, &mut frame).unwrap();
            (LinkType::Ethernet, vec![frame])
        }
        Carrier::EtherType(number) => {
            let mut frame = vec![1, 0x0c, 0xcd, 1, 0, 1, 2, 0, 0, 0, 0, 1];
            frame.extend(number.to_be_bytes());
            frame.extend(&case.bytes);
            frame.resize(frame.len().max(60), 0);
            (LinkType::Ethernet, vec![frame])
        }
        Carrier::Link(number) => (LinkType::from_number(number), vec![case.bytes.clone()]),
        other => panic!("{other:?}"),
    }
}

fn by_the_stack() -> Result<(), Failed> {
    for case in cases() {
        let (link, frames) = frames(&case, 0);
        let mut stack = Stack::new(Config::default());
        let mut told = Vec::new();
        for (index, bytes) in frames.iter().enumerate() {
            let (index, at) = (index as u64 + 1, Timestamp::from_millis(index as i64));
            stack.handle(&Frame { index, at, link, bytes, original_len: bytes.len() as u32 });
            while let Some(item) = stack.poll() {
                if let Item::Message(message) = item {
                    assert!(message.oddities.is_empty(), "{}: {:?}", case.what, message.oddities);
                    told.push(message.family());
                }
            }
        }
        assert!(told.contains(&case.family), "{}: {told:?}", case.what);
    }
    Ok(())
}

/// All cases in one file for each type of link: TShark takes long to start.
fn by_tshark() -> Result<(), Failed> {
    let mut files: BTreeMap<u16, Vec<(Case, Frames)>> = BTreeMap::new();
    for (place, case) in cases().into_iter().enumerate().filter(|(_, case)| !case.known.is_empty()) {
        let (link, frames) = frames(&case, place as u16);
        files.entry(link.number()).or_default().push((case, frames));
    }
    let mut failures = String::new();
    for (link, cases) in files {
        let path = std::env::temp_dir().join(format!("twinguard-emitted-{}-{link}.pcap", std::process::id()));
        let mut writer = Writer::new(Vec::new(), LinkType::from_number(link))?;
        for (place, frame) in cases.iter().flat_map(|(_, frames)| frames).enumerate() {
            writer.write(Timestamp::from_millis(1000 + place as i64), frame)?;
        }
        std::fs::write(&path, writer.finish()?)?;
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&path).args(["-d", "tcp.port==4001,mbrtu", "-T", "fields"]);
        tshark.args(["-e", "frame.protocols", "-e", "_ws.malformed"]);
        let output = tshark.args(["-e", "_ws.expert.severity", "-e", "_ws.expert.message"]).output()?;
        std::fs::remove_file(&path)?;
        // A line for each frame.
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        for (case, frames) in &cases {
            let own: Vec<_> = lines.by_ref().take(frames.len()).collect();
            let seen =
                own.iter().any(|line| line.split('\t').next().is_some_and(|all| all.contains(case.known)));
            // Severities: 0x800000 is an error; the handshake is only a note.
            let wrong = own.iter().any(|line| {
                let mut fields = line.split('\t').skip(1);
                let malformed = fields.next().is_some_and(|field| !field.is_empty());
                malformed || fields.next().is_some_and(|field| field.split(',').any(|one| one == "8388608"))
            });
            println!("{}: {}", case.what, if seen && !wrong { "read" } else { "NOT READ" });
            if !seen || wrong {
                failures += &format!("{}: known {seen}, {own:?}, {:02x?}\n", case.what, case.bytes);
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.into()) }
}
