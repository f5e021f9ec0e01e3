//! The IEC 60870-5-104 proxy over loopback, before a station that is strict about sequence numbers.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::iec104::{Format, HEADER_LEN, Iec104, START, View};
use twinguard::types::Timestamp;
use twinguard_gateway::{Config, Gateway, build};

use support::{is_closed, write};

const PLANT: &str = r#"
format = 1
name = "feeder"
[[signal]]
path = "feeder.breaker"
role = "actuator"
[[signal]]
path = "feeder.isolator"
role = "actuator"
[[signal]]
path = "feeder.setpoint"
role = "setpoint"
[[point]]
signal = "feeder.breaker"
protocol = "iec104"
tag = "1/100"
type = "bit:0"
direction = "write"
[[point]]
signal = "feeder.isolator"
protocol = "iec104"
tag = "1/101"
type = "u8"
direction = "write"
[[point]]
signal = "feeder.setpoint"
protocol = "iec104"
tag = "1/200"
type = "f32"
direction = "write"
[[principal]]
name = "control centre"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "controllers switch"
effect = "allow"
roles = ["controller"]
signals = ["feeder.breaker", "feeder.isolator"]
[[rule]]
name = "set-points up to half"
effect = "allow"
roles = ["controller"]
signals = ["feeder.setpoint"]
range = [0.0, 50.0]
"#;

const POLICY: &str = r#"
format = 1
[[guard]]
kind = "select"
name = "the isolator is selected first"
signals = ["feeder.isolator"]
within_s = 30
"#;

/// One end of a connection that follows its sequence numbers.
struct Peer {
    stream: TcpStream,
    rest: Vec<u8>,
    send: u16,
    receive: u16,
    /// The other end's last N(R).
    acknowledged: u16,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self { stream, rest: Vec::new(), send: 0, receive: 0, acknowledged: 0 }
    }

    /// The next message, whose numbers have to be right.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let len = loop {
            match Iec104::cut(&self.rest) {
                Cut::Message(len) => break len,
                _ if self.stream.read_buf(&mut self.rest).await.ok()? == 0 => return None,
                _ => {}
            }
        };
        let rest = self.rest.split_off(len);
        let apdu = std::mem::replace(&mut self.rest, rest);
        match View::new(&apdu, Timestamp::ZERO).unwrap().format() {
            Format::Information { send, receive } => {
                assert_eq!(send, self.receive, "N(S) of {apdu:?}");
                self.receive += 1;
                self.acknowledge(receive);
            }
            Format::Supervisory { receive } => self.acknowledge(receive),
            Format::Unnumbered(_) => {}
        }
        Some(apdu)
    }

    fn acknowledge(&mut self, receive: u16) {
        assert!((self.acknowledged..=self.send).contains(&receive), "N(R) {receive}");
        self.acknowledged = receive;
    }

    /// The next ASDU; what carries none is passed over.
    async fn asdu(&mut self) -> Vec<u8> {
        loop {
            let apdu =
                timeout(Duration::from_secs(5), self.next()).await.expect("an answer").expect("a whole one");
            if apdu.len() > HEADER_LEN {
                return apdu[HEADER_LEN..].to_vec();
            }
        }
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, asdu: &[u8]) {
        let ([s0, s1], [r0, r1]) = ((self.send << 1).to_le_bytes(), (self.receive << 1).to_le_bytes());
        self.send += 1;
        self.raw(&[&[START, asdu.len() as u8 + 4, s0, s1, r0, r1], asdu].concat()).await;
    }

    async fn confirm(&mut self) {
        let [r0, r1] = (self.receive << 1).to_le_bytes();
        self.raw(&[START, 4, 1, 0, r0, r1]).await;
    }

    async fn ask(&mut self, asdu: &[u8]) -> Vec<u8> {
        self.say(asdu).await;
        self.asdu().await
    }
}

const START_ACT: [u8; 6] = [START, 4, 0x07, 0, 0, 0];
const START_CON: [u8; 6] = [START, 4, 0x0b, 0, 0, 0];
const TEST_ACT: [u8; 6] = [START, 4, 0x43, 0, 0, 0];
const TEST_CON: [u8; 6] = [START, 4, 0x83, 0, 0, 0];

/// A station that confirms whatever it is commanded, and keeps it.
#[derive(Clone)]
struct Station {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    /// How many of its messages were acknowledged.
    acknowledged: Arc<Mutex<u16>>,
    tell: mpsc::UnboundedSender<Vec<u8>>,
}

impl Station {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        let station = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            acknowledged: Arc::default(),
            tell,
        };
        let shared = station.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.serve(Peer::new(client), &mut told).await;
            }
        });
        station
    }

    async fn serve(&self, mut peer: Peer, told: &mut mpsc::UnboundedReceiver<Vec<u8>>) {
        loop {
            let apdu = tokio::select! {
                apdu = peer.next() => apdu,
                Some(asdu) = told.recv() => { peer.say(&asdu).await; continue }
            };
            let Some(apdu) = apdu else { return };
            *self.acknowledged.lock().unwrap() = peer.acknowledged;
            match apdu {
                _ if apdu == START_ACT => peer.raw(&START_CON).await,
                _ if apdu == TEST_ACT => peer.raw(&TEST_CON).await,
                _ if apdu.len() == HEADER_LEN => {}
                _ => {
                    let mut asdu = apdu[HEADER_LEN..].to_vec();
                    self.heard.lock().unwrap().push(asdu.clone());
                    // Confirmation of activation or deactivation.
                    asdu[2] += 1;
                    peer.say(&asdu).await;
                }
            }
        }
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

struct Rig {
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start(server: SocketAddr, mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "plant.toml", PLANT);
        write(folder.path(), "policy.toml", POLICY);
        let text = format!(
            r#"mode = "{mode}"
policy = "policy.toml"
[plant]
file = "plant.toml"
unsealed = true
[[iec104]]
name = "feeder"
listen = "127.0.0.1:0"
server = "{server}"
device = "10.0.0.4:2404"
message_s = 0.5
types = [103]
"#
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, _folder: folder }
    }

    async fn raw(&self) -> Peer {
        Peer::new(TcpStream::connect(self.gateway.proxies()[0].address).await.unwrap())
    }

    async fn client(&self) -> Peer {
        let mut client = self.raw().await;
        client.raw(&START_ACT).await;
        assert_eq!(client.next().await.unwrap(), START_CON);
        client
    }
}

/// An ASDU with one object.
fn asdu(type_id: u8, cause: u8, object: u8, element: &[u8]) -> Vec<u8> {
    [&[type_id, 1, cause, 0, 1, 0, object, 0, 0], element].concat()
}

fn set_point(value: f32, qualifier: u8) -> Vec<u8> {
    asdu(50, 6, 200, &[&value.to_le_bytes()[..], &[qualifier]].concat())
}

/// The same ASDU with another cause.
fn with_cause(asdu: &[u8], cause: u8) -> Vec<u8> {
    let mut changed = asdu.to_vec();
    changed[2] = cause;
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_commands_pass_and_others_are_refused_with_the_p_n_bit() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "enforce").await;
    let mut client = rig.client().await;
    let good = [
        asdu(45, 6, 100, &[1]),
        asdu(58, 6, 100, &[0, 0, 0, 1, 1, 1, 1, 20]),
        set_point(20.0, 0),
        asdu(100, 6, 0, &[20]),
        asdu(103, 6, 0, &[0, 0, 0, 1, 1, 1, 20]),
    ];
    for command in &good {
        assert_eq!(client.ask(command).await, with_cause(command, 7));
    }
    assert_eq!(station.heard(), good);
    let bad = [
        (set_point(80.0, 0), 0x47),
        // Of another type than the plant file says, and to a place that it does not name.
        (asdu(49, 6, 200, &[20, 0, 0]), 0x47),
        (asdu(45, 6, 99, &[1]), 0x6f),
        (asdu(45, 3, 100, &[1]), 0x6d),
        (asdu(46, 6, 101, &[3]), 0x47),
        (asdu(105, 6, 0, &[1]), 0x47),
        (asdu(45, 8, 100, &[1]), 0x49),
        (asdu(1, 3, 100, &[1]), 0x6c),
        (asdu(200, 6, 100, &[1]), 0x6c),
    ];
    for (command, cause) in &bad {
        assert_eq!(client.ask(command).await, with_cause(command, *cause), "{command:?}");
    }
    // The numbers of both sides go on from where they were.
    assert_eq!(client.ask(&good[0]).await, with_cause(&good[0], 7));
    assert_eq!(station.heard().len(), good.len() + 1);
    client.raw(&TEST_ACT).await;
    while client.next().await.unwrap() != TEST_CON {}
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_is_operated_by_who_selected_it() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "enforce").await;
    let mut client = rig.client().await;
    let (select, operate) = (asdu(46, 6, 101, &[0x82]), asdu(46, 6, 101, &[2]));
    assert_eq!(client.ask(&operate).await, with_cause(&operate, 0x47), "not selected");
    assert_eq!(client.ask(&select).await, with_cause(&select, 7));
    assert_eq!(client.ask(&operate).await, with_cause(&operate, 7));
    assert_eq!(client.ask(&operate).await, with_cause(&operate, 0x47), "a selection is for one operation");
    let cancel = with_cause(&select, 8);
    assert_eq!(client.ask(&cancel).await, with_cause(&cancel, 0x49), "nothing is selected");
    assert_eq!(client.ask(&select).await, with_cause(&select, 7));
    assert_eq!(client.ask(&cancel).await, with_cause(&cancel, 9));
    assert_eq!(station.heard(), [select.clone(), operate, select, cancel]);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_flows_and_is_acknowledged_when_it_has_arrived() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "enforce").await;
    let mut client = rig.client().await;
    let refused = set_point(80.0, 0);
    for round in 0..50_u8 {
        let value = asdu(1, 3, 10, &[round & 1]);
        station.tell.send(value.clone()).unwrap();
        assert_eq!(client.asdu().await, value);
        assert_eq!(client.ask(&refused).await, with_cause(&refused, 0x47));
    }
    // What the client has not acknowledged, the station is not told to forget.
    let value = asdu(1, 3, 10, &[1]);
    station.tell.send(value.clone()).unwrap();
    client.asdu().await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(*station.acknowledged.lock().unwrap(), 50);
    client.confirm().await;
    timeout(Duration::from_secs(5), async {
        while *station.acknowledged.lock().unwrap() < 51 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(station.heard().len(), 0);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_wait_for_room() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "enforce").await;
    let mut client = rig.client().await;
    let refused = set_point(80.0, 0);
    for _ in 0..30 {
        client.say(&refused).await;
    }
    // Twelve may be on their way (k); the next come when these are acknowledged.
    for batch in [12, 12, 6] {
        for _ in 0..batch {
            assert_eq!(client.asdu().await, with_cause(&refused, 0x47));
        }
        assert!(timeout(Duration::from_millis(50), client.asdu()).await.is_err());
        client.confirm().await;
    }
    assert_eq!(client.acknowledged, 30);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_against_the_protocol_closes_the_connection() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "enforce").await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        // Numbered before it was started; two functions in one; half a message.
        &[START, 14, 0, 0, 0, 0, 45, 1, 6, 0, 1, 0, 100, 0, 0, 1],
        &[START, 4, 0x0f, 0, 0, 0],
        &[START, 14, 0, 0],
    ] {
        let mut client = rig.raw().await;
        client.raw(bytes).await;
        assert!(is_closed(&mut client.stream).await, "{bytes:?}");
    }
    for control in [[2, 0, 0, 0], [0, 0, 2, 0]] {
        let mut client = rig.client().await;
        client.raw(&[&[START, 14], &control[..], &asdu(45, 6, 100, &[1])].concat()).await;
        assert!(is_closed(&mut client.stream).await, "{control:?}");
    }
    assert_eq!(station.heard().len(), 0);
    let mut client = rig.client().await;
    let command = asdu(45, 6, 100, &[1]);
    assert_eq!(client.ask(&command).await, with_cause(&command, 7));
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_advisory_mode_everything_passes() {
    let station = Station::start().await;
    let rig = Rig::start(station.address, "advisory").await;
    let mut client = rig.client().await;
    for command in [set_point(80.0, 0), asdu(45, 6, 99, &[1]), asdu(105, 6, 0, &[1])] {
        assert_eq!(client.ask(&command).await, with_cause(&command, 7));
    }
    assert_eq!(station.heard().len(), 3);
    rig.gateway.stop().await.unwrap();
}
