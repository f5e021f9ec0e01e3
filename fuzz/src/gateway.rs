//! What the gateway reads of clients before it lets anything through: certificates, and messages that may command.
//!
//! Its files are taken by their paths: the crate itself would bring sockets and TLS into every target.
#![allow(dead_code, missing_docs)]

use std::net::SocketAddr;

use twinguard::Guard;
use twinguard::protocol::Sender;
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::{
    iec104::Iec104, iec104::View as Apdu, opcua::OpcUa, opcua::View as Chunk,
};
use twinguard::twin::Plant;
use twinguard::types::{SignalId, Timestamp, Value};

#[path = "../../crates/twinguard-gateway/src/core/one_way/block.rs"]
pub mod block;
#[path = "../../crates/twinguard-gateway/src/certificate.rs"]
pub mod certificate;
#[path = "../../crates/twinguard-gateway/src/core/one_way/datagram.rs"]
pub mod datagram;
#[path = "../../crates/twinguard-gateway/src/core/iec104.rs"]
pub mod iec104;
#[path = "../../crates/twinguard-gateway/src/core/modbus.rs"]
pub mod modbus;
#[path = "../../crates/twinguard-gateway/src/core/mqtt.rs"]
pub mod mqtt;
#[path = "../../crates/twinguard-gateway/src/core/noise/frame.rs"]
pub mod noise_frame;
#[path = "../../crates/twinguard-gateway/src/core/noise/key.rs"]
pub mod noise_key;
#[path = "../../crates/twinguard-gateway/src/core/opcua.rs"]
pub mod opcua;
#[path = "../../crates/twinguard-gateway/src/core/reading.rs"]
pub mod reading;
#[path = "../../crates/twinguard-gateway/src/core/state.rs"]
pub mod standby;
#[path = "../../crates/twinguard-gateway/src/core/one_way/state.rs"]
pub mod state;
#[path = "../../crates/twinguard-gateway/src/core/waiting.rs"]
pub mod waiting;
/// Keys by the path that the gateway's own files name them by.
pub mod noise {
    pub use super::noise_key::PublicKey;
}

/// A certificate: what it names is short and can be seen, and bytes behind it are refused.
pub fn certificate(data: &[u8]) {
    let Ok(read) = certificate::Certificate::read(data) else { return };
    for text in [read.name(), read.role.as_deref()].into_iter().flatten() {
        assert!(!text.is_empty() && text.len() <= 2_048 && !text.chars().any(char::is_control));
    }
    assert!(read.spiffe.as_ref().is_none_or(|it| it.starts_with("spiffe://")));
    assert!(certificate::Certificate::read(&[data, &[0]].concat()).is_err());
    assert_eq!(certificate::Certificate::read(data), Ok(read));
}

/// What a peer of Noise sends before anything is decrypted: messages come out as they were put in. And a key has one text of a kind.
pub fn noise(data: &[u8]) {
    let (mut rest, mut written) = (data, Vec::new());
    while let Some((message, behind)) = noise_frame::first(rest) {
        assert!(noise_frame::put(&mut written, message));
        rest = behind;
    }
    assert_eq!([written.as_slice(), rest].concat(), data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(key) = noise_key::PublicKey::parse(text) {
        assert_eq!(noise_key::PublicKey::parse(&key.to_string()), Some(key));
        let secret = noise_key::SecretKey::parse(text).expect("it is read in the same way");
        assert_eq!(*secret.to_text(), key.to_string());
    }
}

/// What a one-way line brings: a datagram's header is written as it came, and so are a block's batches and what a receiver keeps.
pub fn one_way(data: &[u8]) {
    if let Ok((header, sealed)) = datagram::Header::read(data) {
        assert!(data.len() <= datagram::LARGEST && header.place < header.data + header.parity);
        assert_eq!([header.to_bytes().as_slice(), sealed].concat(), data);
    }
    if let Some(batches) = block::batches(data) {
        let mut written = Vec::new();
        batches.iter().for_each(|batch| block::put(&mut written, batch));
        let rest = data.strip_prefix(written.as_slice()).expect("what was read is written the same");
        assert!(rest.iter().all(|byte| *byte == 0));
    }
    if let Some(state) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<state::State>().ok()) {
        assert_eq!(state.to_string().parse(), Ok(state));
    }
}

/// What a standby takes over: what is read is written the same, and a guard goes on from it or says why not.
pub fn standby(data: &[u8]) {
    let Some(state) = standby::State::parse(data) else { return };
    let written = state.to_bytes().expect("what was read can be written");
    assert_eq!(standby::State::parse(&written).as_ref(), Some(&state));
    let _ = Guard::builder_unsealed(plant()).restore(state.guard());
}

/// One signal of each kind for every protocol.
fn plant() -> Plant {
    let mut text = "format = 1\nname = \"p\"\n".to_owned();
    for (path, protocol, tag, kind) in [
        ("a", "modbus", "u1/hr/0", "i16"),
        ("b", "modbus", "u1/hr/2", "f32"),
        ("c", "modbus", "u1/co/0", "bit:0"),
        ("d", "mqtt", "spBv1.0/g/n/d/pump", "f64"),
        ("e", "mqtt", "tank/set", "f64"),
        ("f", "iec104", "1/100", "bit:0"),
        ("g", "iec104", "1/101", "u8"),
        ("h", "iec104", "1/200", "f32"),
        ("i", "opcua", "ns=2;s=Heater", "f64"),
        ("j", "opcua", "attr=Call;ns=2;i=7", "bit:0"),
        ("k", "opcua", "attr=Input;index=0;ns=2;i=8", "f64"),
    ] {
        text.push_str(&format!(
            "[[signal]]\npath = \"{path}\"\nrole = \"actuator\"\n[[point]]\nsignal = \"{path}\"\n\
             protocol = \"{protocol}\"\ntag = \"{tag}\"\ntype = \"{kind}\"\ndirection = \"write\"\n"
        ));
    }
    Plant::parse(&text, "plant.toml").expect("a plant")
}

/// Signals that are known, numbers that are some.
fn sound(values: &[(SignalId, Value)]) {
    assert!(!values.is_empty() && values.iter().all(|(id, value)| id.0 < 11 && value.as_f64().is_finite()));
}

/// The first byte says of which protocol the rest is; it is one client's stream. What is judged is about signals that are known;
/// what is answered answers it; sequence numbers go on.
pub fn gateway(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let plant = plant();
    let now = Timestamp::from_secs(1);
    let server = |port: u16| SocketAddr::from(([10, 0, 0, 2], port));
    match kind % 4 {
        0 => {
            let mut reader = modbus::Translator::new(&plant.bindings, [502].into_iter()).expect("bindings");
            let mut rest = rest;
            while let Cut::Message(len) = modbus::piece(rest) {
                let (adu, after) = rest.split_at(len);
                rest = after;
                assert_eq!(modbus::refusal(adu, modbus::Exception::Busy)[7] & 0x80, 0x80);
                if modbus::Request::of(adu) != modbus::Request::Write {
                    continue;
                }
                let Ok(values) = reader.read(now, server(502), adu) else { continue };
                sound(&values);
                let (signal, _) = values[0];
                let safe = [(signal, Value::real(1.0).expect("a number"))];
                if let Ok((changed, written)) = reader.rewrite(now, server(502), adu, &safe) {
                    assert_eq!((changed.len(), written.len()), (adu.len(), values.len()));
                }
            }
        }
        1 => {
            let mut reader = mqtt::Translator::new(&plant.bindings, [1_883].into_iter()).expect("bindings");
            let topics = mqtt::CommandTopics::new(&plant.bindings, server(1_883), &["cmd/#".to_owned()]);
            let (topic, payload) = rest.split_at(rest.iter().position(|it| *it == 0).unwrap_or(rest.len()));
            let message = (topic, payload.get(1..).unwrap_or_default());
            let passing = ["Node Control/Rebirth".to_owned()];
            if let Ok(values) = reader.read(now, server(1_883), message, false, &passing)
                && !values.is_empty()
            {
                assert!(topics.holds(topic), "what is judged is known to command");
                sound(&values);
            }
        }
        2 => stations(&plant, now, server(2_404), rest),
        _ => services(&plant, now, server(4_840), rest),
    }
}

fn stations(plant: &Plant, now: Timestamp, server: SocketAddr, mut rest: &[u8]) {
    use iec104::{Request, Side};
    use twinguard::protocol::protocols::iec104::Format;

    let mut reader = iec104::Translator::new(&plant.bindings, [2_404].into_iter()).expect("bindings");
    let mut numbers = iec104::Numbers::default();
    while let Cut::Message(len) = Iec104::cut(rest) {
        let (apdu, after) = rest.split_at(len);
        rest = after;
        let view = Apdu::new(apdu, now).expect("what is cut can be read");
        // Every other message comes from the server's side.
        let side = if after.len() % 2 == 0 { Side::Client } else { Side::Server };
        let taken = match view.format() {
            Format::Information { send, receive } => numbers.received(side, send, receive),
            Format::Supervisory { receive } => numbers.acknowledged(side, receive),
            Format::Unnumbered(_) => continue,
        };
        let Some(asdu) = view.asdu().filter(|_| taken.is_ok()) else { continue };
        let request = Request::of(&view);
        let refused = iec104::refusal(asdu.as_bytes(), iec104::cause::CONFIRMATION);
        assert_eq!((refused.len(), refused[2] & 0x7f), (asdu.as_bytes().len(), 0x47));
        if matches!(request, Request::Command | Request::Select)
            && let Ok(values) = reader.read(now, server, apdu)
        {
            sound(&values);
            let sent = numbers.forward(side, asdu.as_bytes()).expect("room for a few");
            assert_eq!((sent.len(), &sent[6..]), (apdu.len(), &apdu[6..]));
        } else {
            numbers.consumed(side);
            numbers.inject(side, &refused).expect("room for a few");
        }
        for side in [Side::Client, Side::Server] {
            let told = numbers.acknowledgement(side);
            assert!(told.is_none() || numbers.acknowledgement(side).is_none());
        }
    }
}

fn services(plant: &Plant, now: Timestamp, server: SocketAddr, mut rest: &[u8]) {
    let mut reader = opcua::Translator::new(&plant.bindings, [4_840].into_iter()).expect("bindings");
    let mut numbers = opcua::Numbers::default();
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    while let Cut::Message(len) = OpcUa::cut(rest) {
        let (chunk, after) = rest.split_at(len);
        rest = after;
        let view = Chunk::new(chunk, Sender::Client).expect("what is cut can be read");
        if let Some((number, _)) = view.sequence() {
            let _ = numbers.came(number);
            let changed = opcua::renumbered(&view, numbers.goes());
            assert_eq!(changed.len(), chunk.len());
        }
        chunks.push(chunk.to_vec());
        if view.chunk() == b'C' {
            continue;
        }
        let Some(whole) = opcua::whole(&core::mem::take(&mut chunks)) else { continue };
        let view = Chunk::new(&whole, Sender::Client).expect("it has a header");
        if let Some(fault) = opcua::fault(&view, now, 7, opcua::status::BUSY) {
            let told = Chunk::new(&fault, Sender::Server).expect("a message").handle();
            assert_eq!(told, view.handle().map(|(handle, _)| (handle, Some(opcua::status::BUSY))));
        }
        if opcua::Request::of(&view) == opcua::Request::Command
            && let Ok(values) = reader.read(now, server, &whole, &["ns=2;i=20".to_owned()])
            && !values.is_empty()
        {
            sound(&values);
        }
    }
}
