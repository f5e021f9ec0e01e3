//! The MQTT proxy over loopback, before a server that keeps what it was sent.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::mqtt::sparkplug::{self, Metric, Wire};
use twinguard::protocol::protocols::mqtt::{
    Connect, Mqtt, Packet, Properties, Publish, Repr, Version, View, Will, kind,
};
use twinguard_gateway::{Config, Gateway, build};

use support::pki::{Authority, Says};
use support::{Stream, is_closed, tls, write};

const PLANT: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "tank.pump"
role = "actuator"
range = [0.0, 100.0]
[[signal]]
path = "tank.setpoint"
role = "setpoint"
[[signal]]
path = "tank.valve"
role = "actuator"
[[point]]
signal = "tank.pump"
protocol = "mqtt"
tag = "spBv1.0/plant/edge/tank/pump"
type = "f64"
direction = "write"
[[point]]
signal = "tank.setpoint"
protocol = "mqtt"
tag = "spBv1.0/plant/edge/tank/setpoint"
type = "f64"
direction = "write"
[[point]]
signal = "tank.valve"
protocol = "mqtt"
tag = "tank/valve/set"
type = "f64"
direction = "write"
[[principal]]
name = "scada"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[principal]]
name = "anna"
roles = ["operator"]
[[rule]]
name = "controllers drive pump and valve"
effect = "allow"
roles = ["controller"]
signals = ["tank.pump", "tank.valve"]
range = [0.0, 50.0]
[[rule]]
name = "set-points need two"
effect = "allow"
roles = ["controller", "operator"]
signals = ["tank.setpoint"]
two_person = true
"#;

/// Acknowledges as the standard asks, unless it is told to wait, and keeps what came.
#[derive(Clone)]
struct Broker {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    silent: Arc<AtomicBool>,
}

impl Broker {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker =
            Self { address: listener.local_addr().unwrap(), heard: Arc::default(), silent: Arc::default() };
        let shared = broker.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(Peer { stream: client, rest: Vec::new() }));
            }
        });
        broker
    }

    async fn serve(self, mut client: Peer) {
        let (mut version, mut owed) = (Version::V311, Vec::new());
        while let Some(packet) = client.next().await {
            let first = View::new(&packet, Version::Unknown).unwrap();
            if let Packet::Connect(connect) = first.packet() {
                version = if connect.level == 5 { Version::V5 } else { Version::V311 };
            }
            let none = Properties::default();
            let answer = match View::new(&packet, version).unwrap().packet() {
                Packet::Connect(_) => Some(Packet::ConnAck { flags: 0, code: 0, properties: none }),
                Packet::Publish(Publish { qos: 1, id: Some(id), .. }) => {
                    Some(Packet::Ack { kind: kind::PUBACK, id, reason: None, properties: none })
                }
                Packet::Publish(Publish { qos: 2, id: Some(id), .. }) => {
                    Some(Packet::Ack { kind: kind::PUBREC, id, reason: None, properties: none })
                }
                Packet::Ack { kind: kind::PUBREL, id, .. } => {
                    Some(Packet::Ack { kind: kind::PUBCOMP, id, reason: None, properties: none })
                }
                Packet::Ping { .. } => Some(Packet::Ping { kind: kind::PINGRESP }),
                _ => None,
            };
            owed.extend(answer.map(|answer| bytes(version, answer)));
            self.heard.lock().unwrap().push(packet);
            if !self.silent.load(Ordering::SeqCst) {
                for answer in owed.drain(..) {
                    client.stream.write_all(&answer).await.unwrap();
                }
            }
        }
    }

    /// Publications that came, as they came.
    fn publications(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().iter().filter(|it| it[0] >> 4 == kind::PUBLISH).cloned().collect()
    }
}

/// One end of a connection, packet by packet.
struct Peer<S = TcpStream> {
    stream: S,
    rest: Vec<u8>,
}

impl<S: Stream> Peer<S> {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Cut::Message(len) = Mqtt::cut(&self.rest) {
                let rest = self.rest.split_off(len);
                return Some(std::mem::replace(&mut self.rest, rest));
            }
            if self.stream.read_buf(&mut self.rest).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn told(&mut self) -> Vec<u8> {
        timeout(Duration::from_secs(5), self.next()).await.expect("an answer").expect("a whole one")
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.say(bytes).await;
        self.told().await
    }
}

fn bytes(version: Version, packet: Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Repr::new(version, packet).expect("a legal packet").emit(&mut bytes);
    bytes
}

fn connect(version: Version, will: Option<&str>) -> Vec<u8> {
    let level = if version == Version::V5 { 5 } else { 4 };
    let will = will.map(|topic| Will {
        qos: 0,
        retain: false,
        properties: Properties::default(),
        topic: topic.as_bytes(),
        payload: b"1",
    });
    let connect = Connect {
        protocol: b"MQTT",
        level,
        flags: 2 + if will.is_some() { 4 } else { 0 },
        keep_alive: 60,
        properties: Properties::default(),
        client_id: b"scada",
        will,
        user: None,
        password: None,
    };
    bytes(version, Packet::Connect(connect))
}

fn publish(version: Version, topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    let id = (qos > 0).then_some(id);
    let publish = Publish { topic: topic.as_bytes(), payload, qos, id, ..Publish::default() };
    bytes(version, Packet::Publish(publish))
}

const DCMD: &str = "spBv1.0/plant/DCMD/edge/tank";

/// A Sparkplug payload of values in the field of doubles.
fn metrics(time: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let raw: Vec<[u8; 8]> = values.iter().map(|(_, value)| value.to_le_bytes()).collect();
    let all: Vec<Metric<'_>> = values
        .iter()
        .zip(&raw)
        .map(|((name, _), raw)| Metric {
            name: name.as_bytes(),
            value: Some((13, Wire::Bytes(raw))),
            ..Metric::default()
        })
        .collect();
    let mut out = Vec::new();
    sparkplug::emit(Some(time), None, &all, &mut out);
    out
}

struct Rig {
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start(server: SocketAddr, mode: &str) -> Self {
        Self::with(server, mode, tempfile::tempdir().unwrap(), "").await
    }

    /// The same with more in the proxy's table, and files in the folder.
    async fn with(server: SocketAddr, mode: &str, folder: tempfile::TempDir, more: &str) -> Self {
        write(folder.path(), "plant.toml", PLANT);
        write(folder.path(), "anna", "22222222222222222222222222222222");
        let text = format!(
            r#"mode = "{mode}"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:0"
[[token]]
principal = "anna"
file = "anna"
may = ["approve", "read"]
[[mqtt]]
name = "broker"
listen = "127.0.0.1:0"
server = "{server}"
device = "10.0.0.3:1883"
packet_bytes = 4096
message_s = 0.5
metrics = ["Node Control/Rebirth"]
commands = ["cmd/#"]
{more}
"#
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, _folder: folder }
    }

    async fn raw(&self) -> Peer {
        Peer {
            stream: TcpStream::connect(self.gateway.proxies()[0].address).await.unwrap(),
            rest: Vec::new(),
        }
    }

    async fn client(&self, version: Version) -> Peer {
        let mut client = self.raw().await;
        let told = client.ask(&connect(version, None)).await;
        assert_eq!(told[0] >> 4, kind::CONNACK, "{told:?}");
        client
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_and_allowed_commands_pass_byte_for_byte_and_a_forbidden_one_is_told_why() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V5).await;
    let data = publish(Version::V5, "spBv1.0/plant/DDATA/edge/tank", &metrics(1, &[("level", 2.0)]), 1, 1);
    let good = publish(Version::V5, DCMD, &metrics(2, &[("pump", 20.0)]), 1, 2);
    let both = publish(Version::V5, DCMD, &metrics(2, &[("pump", 21.0), ("pump", 22.0)]), 2, 3);
    assert_eq!(client.ask(&data).await, [0x40, 2, 0, 1]);
    assert_eq!(client.ask(&good).await, [0x40, 2, 0, 2]);
    assert_eq!(client.ask(&both).await, [0x50, 2, 0, 3]);
    assert_eq!(client.ask(&[0x62, 2, 0, 3]).await, [0x70, 2, 0, 3]);
    assert_eq!(broker.publications(), [data, good, both]);
    let command = |payload: &[u8], qos| publish(Version::V5, DCMD, payload, qos, 7);
    let unsafe_one = metrics(3, &[("pump", 20.0), ("pump", 80.0)]);
    assert_eq!(client.ask(&command(&unsafe_one, 1)).await, [0x40, 3, 0, 7, 0x87]);
    assert_eq!(client.ask(&command(&unsafe_one, 2)).await, [0x50, 3, 0, 7, 0x87]);
    assert_eq!(
        client.ask(&command(&metrics(3, &[("pump", 20.0), ("door", 1.0)]), 1)).await,
        [0x40, 3, 0, 7, 0x87]
    );
    assert_eq!(client.ask(&command(b"no protobuf", 1)).await, [0x40, 3, 0, 7, 0x87]);
    // Without acknowledgement nothing is told; what follows is.
    client.say(&command(&unsafe_one, 0)).await;
    assert_eq!(client.ask(&[0xc0, 0]).await, [0xd0, 0]);
    // A metric that the configuration lets pass, and a command that the server would keep.
    let rebirth =
        publish(Version::V5, "spBv1.0/plant/NCMD/edge", &metrics(4, &[("Node Control/Rebirth", 1.0)]), 1, 8);
    assert_eq!(client.ask(&rebirth).await, [0x40, 2, 0, 8]);
    let mut kept = command(&metrics(5, &[("pump", 20.0)]), 1);
    kept[0] |= 1;
    assert_eq!(client.ask(&kept).await, [0x40, 3, 0, 7, 0x87]);
    assert_eq!(client.ask(&publish(Version::V5, "cmd/x", b"1", 1, 9)).await, [0x40, 3, 0, 9, 0x87]);
    assert_eq!(
        client.ask(&publish(Version::V5, "spBv1.0/plant/NCMD/edge/x", b"", 1, 9)).await,
        [0x40, 3, 0, 9, 0x87]
    );
    assert_eq!(broker.publications().len(), 4);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_client_is_acknowledged_and_what_is_forbidden_is_dropped() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V311).await;
    let command =
        |value: f64, qos, id| publish(Version::V311, DCMD, &metrics(1, &[("pump", value)]), qos, id);
    assert_eq!(client.ask(&command(80.0, 1, 1)).await, [0x40, 2, 0, 1]);
    assert_eq!(client.ask(&command(80.0, 2, 2)).await, [0x50, 2, 0, 2]);
    assert_eq!(client.ask(&[0x62, 2, 0, 2]).await, [0x70, 2, 0, 2]);
    assert_eq!(broker.heard.lock().unwrap().len(), 1, "CONNECT alone");
    assert_eq!(client.ask(&command(20.0, 2, 2)).await, [0x50, 2, 0, 2]);
    assert_eq!(client.ask(&[0x62, 2, 0, 2]).await, [0x70, 2, 0, 2]);
    assert_eq!(broker.heard.lock().unwrap().len(), 3, "the release of what passed is the server's");
    // A topic outside Sparkplug that the plant file lets somebody write.
    for (payload, passes) in [("20", true), ("80", false), ("2e1", false), ("{\"v\": 20}", false)] {
        let before = broker.publications().len();
        assert_eq!(
            client.ask(&publish(Version::V311, "tank/valve/set", payload.as_bytes(), 1, 5)).await,
            [0x40, 2, 0, 5]
        );
        assert_eq!(broker.publications().len() - before, usize::from(passes), "{payload}");
    }
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_keep_the_order_of_publications() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V5).await;
    broker.silent.store(true, Ordering::SeqCst);
    let command = |value: f64, id| publish(Version::V5, DCMD, &metrics(1, &[("pump", value)]), 1, id);
    for (value, id) in [(20.0, 1), (80.0, 2), (21.0, 3), (81.0, 4)] {
        client.say(&command(value, id)).await;
    }
    sleep(Duration::from_millis(200)).await;
    assert!(
        timeout(Duration::from_millis(100), client.next()).await.is_err(),
        "the first is not acknowledged yet"
    );
    broker.silent.store(false, Ordering::SeqCst);
    client.say(&[0xc0, 0]).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(client.told().await);
    }
    let expect: [&[u8]; 5] =
        [&[0x40, 2, 0, 1], &[0x40, 3, 0, 2, 0x87], &[0x40, 2, 0, 3], &[0x40, 3, 0, 4, 0x87], &[0xd0, 0]];
    assert_eq!(told, expect);
    let sent: Vec<u8> = broker.publications().iter().map(|it| it[it.len() - 2]).collect();
    assert_eq!(sent.len(), 2);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_only_a_refused_publication_explained_is_explained_to_the_server() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V5).await;
    // Topic alias 1.
    let properties = Properties::new(&[0x23, 0, 1]);
    let with = |topic: &str, value: f64, id| {
        let payload = metrics(1, &[("pump", value)]);
        let publish = Publish {
            topic: topic.as_bytes(),
            payload: &payload,
            qos: 1,
            id: Some(id),
            properties,
            ..Publish::default()
        };
        bytes(Version::V5, Packet::Publish(publish))
    };
    assert_eq!(client.ask(&with(DCMD, 80.0, 1)).await, [0x40, 3, 0, 1, 0x87]);
    assert_eq!(client.ask(&with("", 20.0, 2)).await, [0x40, 2, 0, 2]);
    assert_eq!(client.ask(&with("", 21.0, 3)).await, [0x40, 2, 0, 3]);
    assert_eq!(client.ask(&with("", 81.0, 4)).await, [0x40, 3, 0, 4, 0x87], "an alias does not hide a topic");
    assert_eq!(broker.publications(), [with(DCMD, 20.0, 2), with("", 21.0, 3)]);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_will_does_not_command() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    for (version, code) in [(Version::V5, 0x87), (Version::V311, 5)] {
        let mut client = rig.raw().await;
        let told = client.ask(&connect(version, Some(DCMD))).await;
        assert_eq!((told[0] >> 4, told[3]), (kind::CONNACK, code));
        assert!(is_closed(&mut client.stream).await);
        let mut client = rig.raw().await;
        assert_eq!(client.ask(&connect(version, Some("spBv1.0/plant/NDEATH/edge"))).await[3], 0);
    }
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_passes_once_when_it_is_published_again() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V5).await;
    let command = |time, id| publish(Version::V5, DCMD, &metrics(time, &[("setpoint", 4.0)]), 1, id);
    assert_eq!(client.ask(&command(1, 1)).await, [0x40, 3, 0, 1, 0x97]);
    assert_eq!(client.ask(&command(2, 2)).await, [0x40, 3, 0, 2, 0x97]);
    let held =
        rig.gateway.guard().ask(Duration::from_secs(5), |core, now| core.page(now).held).await.unwrap();
    assert_eq!(held.len(), 1, "asked twice, held once");
    let id = held[0].verdict.command;
    let decide = move |core: &mut twinguard_gateway::Core, now| {
        let anna = twinguard_gateway::core::Who::named("anna");
        core.decide(now, &anna, id, ("tank.setpoint", 4.0), true).unwrap().decision
    };
    assert_eq!(rig.gateway.guard().ask(Duration::from_secs(5), decide).await.unwrap(), "allow");
    assert_eq!(client.ask(&command(3, 3)).await, [0x40, 2, 0, 3]);
    assert_eq!(client.ask(&command(4, 4)).await, [0x40, 3, 0, 4, 0x97], "an agreement is used once");
    assert_eq!(broker.publications(), [command(3, 3)]);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_telemetry_passes_and_commands_stop() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    let mut client = rig.client(Version::V5).await;
    rig.gateway.guard().stop().await.unwrap();
    assert_eq!(client.ask(&publish(Version::V5, "tank/level", b"2", 1, 1)).await, [0x40, 2, 0, 1]);
    let command = publish(Version::V5, DCMD, &metrics(1, &[("pump", 20.0)]), 1, 2);
    assert_eq!(client.ask(&command).await, [0x40, 3, 0, 2, 0x83]);
    let mut late = rig.client(Version::V5).await;
    assert_eq!(late.ask(&command).await, [0x40, 3, 0, 2, 0x83]);
    assert_eq!(broker.publications().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_slow_and_oversize_clients_are_let_go_and_a_missing_server_is_told() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "enforce").await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &publish(Version::V311, "a", b"1", 0, 0), &[0x10, 5, 0]] {
        let mut client = rig.raw().await;
        client.say(bytes).await;
        assert!(is_closed(&mut client.stream).await, "{bytes:?}");
    }
    let mut large = rig.client(Version::V5).await;
    let long = vec![b'1'; 5_000];
    assert_eq!(large.ask(&publish(Version::V5, "a", &long, 0, 0)).await, [0xe0, 1, 0x95]);
    let mut again = rig.client(Version::V5).await;
    assert_eq!(again.ask(&connect(Version::V5, None)).await, [0xe0, 1, 0x81], "a second CONNECT");
    let mut wild = rig.client(Version::V5).await;
    let mut packet = publish(Version::V5, "a/x", b"1", 1, 1);
    packet[6] = b'#';
    assert_eq!(wild.ask(&packet).await, [0xe0, 1, 0x81], "no topic to publish to");
    rig.gateway.stop().await.unwrap();

    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = Rig::start(nowhere, "enforce").await;
    let mut client = rig.raw().await;
    assert_eq!(client.ask(&connect(Version::V5, None)).await[3], 0x88);
    let mut client = rig.raw().await;
    assert_eq!(client.ask(&connect(Version::V311, None)).await[3], 3);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_advisory_mode_everything_passes_and_is_told() {
    let broker = Broker::start().await;
    let rig = Rig::start(broker.address, "advisory").await;
    let mut client = rig.client(Version::V311).await;
    let command = publish(Version::V311, DCMD, &metrics(1, &[("pump", 80.0)]), 1, 1);
    assert_eq!(client.ask(&command).await, [0x40, 2, 0, 1]);
    assert_eq!(broker.publications(), [command]);
    let page = rig.gateway.guard().ask(Duration::from_secs(5), |core, now| core.page(now)).await.unwrap();
    assert_eq!((page.verdicts[0].decision, page.verdicts[0].already_sent), ("deny", true));
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_the_certificate_says_who_commands_and_until_when() {
    let broker = Broker::start().await;
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("plant"));
    write(folder.path(), "ca.pem", &authority.certificate);
    let own = Says { name: "gateway", ..Says::default() };
    authority.give(own).write(folder.path(), "gateway");
    let table = "[mqtt.tls]\ncertificate = \"gateway.pem\"\nkey = \"gateway.key\"\nclient_ca = \"ca.pem\"";
    let rig = Rig::with(broker.address, "enforce", folder, table).await;
    let provider = tls::provider(&[kx_group::X25519MLKEM768]);
    let shown = |says: Option<Says<'_>>| {
        let identity = says.map(|says| authority.give(says));
        tls::trusting(&authority, identity.as_ref(), provider.clone())
    };
    let controller = Says { name: "plc", role: Some("controller"), ..own };
    let data = publish(Version::V5, "spBv1.0/plant/DDATA/edge/tank", &metrics(1, &[("level", 2.0)]), 1, 1);
    let command = publish(Version::V5, DCMD, &metrics(2, &[("pump", 20.0)]), 1, 2);
    let cases = [
        (controller, None),
        // Addresses say nothing here: who has no role does not command.
        (Says { role: None, ..controller }, Some(0x87)),
        (Says { role: Some("viewer"), ..controller }, Some(0x87)),
        // What has run out still tells.
        (Says { left: Some(-60), ..controller }, Some(0x87)),
    ];
    for (says, reason) in cases {
        let stream = tls::connect(shown(Some(says)), rig.gateway.proxies()[0].address).await.unwrap();
        let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        let mut client = Peer { stream, rest: Vec::new() };
        assert_eq!(client.ask(&connect(Version::V5, None)).await[0] >> 4, kind::CONNACK);
        assert_eq!(client.ask(&data).await, [0x40, 2, 0, 1]);
        let told = client.ask(&command).await;
        match reason {
            None => assert_eq!(told, [0x40, 2, 0, 2]),
            Some(reason) => assert_eq!(told, [0x40, 3, 0, 2, reason], "{:?}", says.role),
        }
    }
    let expected = [data.clone(), command, data.clone(), data.clone(), data];
    assert_eq!(broker.publications(), expected);
    // Who shows nothing is not heard: with TLS 1.3 a client learns that when it reads.
    if let Ok(stream) = tls::connect(shown(None), rig.gateway.proxies()[0].address).await {
        let mut client = Peer { stream, rest: Vec::new() };
        let _ = client.stream.write_all(&connect(Version::V5, None)).await;
        assert!(is_closed(&mut client.stream).await);
    }
    assert_eq!(broker.publications().len(), expected.len());
    rig.gateway.stop().await.unwrap();
}
