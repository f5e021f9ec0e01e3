//! The OPC UA proxy over loopback, before a server that is strict about sequence numbers and answers whatever reaches it.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use twinguard::protocol::Sender;
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::opcua::{Limits, MessageType, OpcUa, Repr, View};
use twinguard_gateway::core::opcua::status;
use twinguard_gateway::{Config, Gateway, build};

use support::{is_closed, write};

const PLANT: &str = r#"
format = 1
name = "oven"
[[signal]]
path = "oven.heater"
role = "actuator"
[[signal]]
path = "oven.start"
role = "actuator"
[[signal]]
path = "oven.ramp"
role = "setpoint"
[[point]]
signal = "oven.heater"
protocol = "opcua"
tag = "ns=2;s=Oven.Heater"
type = "f64"
direction = "write"
[[point]]
signal = "oven.start"
protocol = "opcua"
tag = "attr=Call;ns=2;i=7"
type = "bit:0"
direction = "write"
[[point]]
signal = "oven.ramp"
protocol = "opcua"
tag = "attr=Input;index=0;ns=2;i=8"
type = "f64"
direction = "write"
[[principal]]
name = "scada"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "controllers heat"
effect = "allow"
roles = ["controller"]
signals = ["oven.heater", "oven.ramp", "oven.start"]
range = [0.0, 50.0]
"#;

/// Services by the numbers of their binary encodings.
const FAULT: u16 = 397;
const OPEN: u16 = 446;
const ADD_NODES: u16 = 488;
const READ: u16 = 631;
const WRITE: u16 = 673;
const CALL: u16 = 712;

/// One end of a connection that follows its sequence numbers.
struct Peer {
    stream: TcpStream,
    rest: Vec<u8>,
    sent: u32,
    seen: Option<u32>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self { stream, rest: Vec::new(), sent: 50, seen: None }
    }

    /// The next chunk, whose number has to be right.
    async fn next(&mut self, from: Sender) -> Option<Vec<u8>> {
        let len = loop {
            match OpcUa::cut(&self.rest) {
                Cut::Message(len) => break len,
                _ if self.stream.read_buf(&mut self.rest).await.ok()? == 0 => return None,
                _ => {}
            }
        };
        let rest = self.rest.split_off(len);
        let chunk = std::mem::replace(&mut self.rest, rest);
        let view = View::new(&chunk, from).unwrap();
        let at = match view.message() {
            MessageType::Message => Some(16),
            _ => view.sequence_at(),
        };
        if let Some(at) = at {
            let number = u32::from_le_bytes(chunk[at..at + 4].try_into().unwrap());
            assert!(self.seen.replace(number).is_none_or(|last| number == last + 1), "{number}");
        }
        Some(chunk)
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    fn number(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    async fn say(&mut self, repr: Repr<'_>) {
        let mut out = Vec::new();
        repr.emit(&mut out).unwrap();
        self.raw(&out).await;
    }

    async fn message(&mut self, request: u32, body: &[u8]) {
        let sequence = (self.number(), request);
        self.say(Repr::Message { channel: 9, token: 1, sequence, body }).await;
    }

    /// The status that answers a request, and its id.
    async fn told(&mut self) -> (u32, u32) {
        let chunk =
            timeout(Duration::from_secs(5), self.next(Sender::Server)).await.expect("an answer").unwrap();
        let view = View::new(&chunk, Sender::Server).unwrap();
        assert_eq!(view.service(), Some(FAULT));
        (view.handle().unwrap().1.unwrap(), view.sequence().unwrap().1)
    }

    async fn ask(&mut self, body: &[u8]) -> u32 {
        self.message(77, body).await;
        let (status, request) = self.told().await;
        assert_eq!(request, 77);
        status
    }
}

const LIMITS: Limits = Limits { version: 0, receive: 65_536, send: 65_536, message: 0, chunks: 0 };

/// A request's header behind the number of its service.
fn request(service: u16, rest: &[u8]) -> Vec<u8> {
    let [low, high] = service.to_le_bytes();
    let mut body = vec![1, 0, low, high, 0, 0];
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]);
    body.extend_from_slice(rest);
    body
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn double(value: f64) -> Vec<u8> {
    [&[11][..], &value.to_le_bytes()].concat()
}

/// A Write of `Value` attributes: node names in namespace 2, and their Variants.
fn writes(values: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut rest = (values.len() as u32).to_le_bytes().to_vec();
    for (node, variant) in values {
        rest.extend([3, 2, 0]);
        rest.extend(text(node));
        rest.extend([13, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]);
        rest.extend(variant);
    }
    request(WRITE, &rest)
}

/// A Call of methods by their numbers in namespace 2, each with its arguments.
fn calls(methods: &[(u8, &[f64])]) -> Vec<u8> {
    let mut rest = (methods.len() as u32).to_le_bytes().to_vec();
    for (method, arguments) in methods {
        rest.extend([1, 2, 1, 0, 1, 2, *method, 0]);
        rest.extend((arguments.len() as u32).to_le_bytes());
        arguments.iter().for_each(|value| rest.extend(double(*value)));
    }
    request(CALL, &rest)
}

#[derive(Clone)]
struct Server {
    address: SocketAddr,
    /// The services that reached it.
    heard: Arc<Mutex<Vec<u16>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let shared = server.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(Peer::new(client)));
            }
        });
        server
    }

    async fn serve(self, mut peer: Peer) {
        // Answers with a fault of status 0: what it says is not looked at.
        let mut good = vec![1, 0, 0x8d, 1];
        good.extend([0; 16]);
        good.extend([0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
        let mut begun = Vec::new();
        while let Some(chunk) = peer.next(Sender::Client).await {
            let view = View::new(&chunk, Sender::Client).unwrap();
            match view.message() {
                MessageType::Hello => peer.say(Repr::Acknowledge { limits: LIMITS }).await,
                MessageType::Open => {
                    let sequence = (peer.number(), view.sequence().map_or(0, |it| it.1));
                    peer.say(Repr::Open { channel: 9, sequence, body: &good }).await;
                }
                MessageType::Message if view.chunk() == b'C' => begun.extend_from_slice(&chunk[24..]),
                MessageType::Message => {
                    begun.extend_from_slice(&chunk[24..]);
                    self.heard.lock().unwrap().push(u16::from_le_bytes([begun[2], begun[3]]));
                    begun.clear();
                    let request = u32::from_le_bytes(chunk[20..24].try_into().unwrap());
                    peer.message(request, &good).await;
                }
                _ => return,
            }
        }
    }

    fn heard(&self) -> Vec<u16> {
        self.heard.lock().unwrap().clone()
    }
}

struct Rig {
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start(server: SocketAddr, mode: &str, secured: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "plant.toml", PLANT);
        let text = format!(
            r#"mode = "{mode}"
[plant]
file = "plant.toml"
unsealed = true
[[opcua]]
name = "oven"
listen = "127.0.0.1:0"
server = "{server}"
device = "10.0.0.6:4840"
message_s = 0.5
message_bytes = 8192
secured = "{secured}"
methods = ["ns=2;i=20"]
"#
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, _folder: folder }
    }

    async fn raw(&self) -> Peer {
        Peer::new(TcpStream::connect(self.gateway.proxies()[0].address).await.unwrap())
    }

    async fn hello(&self) -> Peer {
        let mut client = self.raw().await;
        client.say(Repr::Hello { limits: LIMITS, endpoint: b"opc.tcp://x" }).await;
        client.next(Sender::Server).await.unwrap();
        client
    }

    async fn client(&self) -> Peer {
        let mut client = self.hello().await;
        client.seen = None;
        let open = request(OPEN, &[0; 8 + 4 + 4 + 4]);
        let sequence = (client.number(), 1);
        client.say(Repr::Open { channel: 0, sequence, body: &open }).await;
        client.next(Sender::Server).await.unwrap();
        client
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_writes_and_calls_pass_and_others_are_answered_with_a_fault() {
    let server = Server::start().await;
    let rig = Rig::start(server.address, "enforce", "refuse").await;
    let mut client = rig.client().await;
    let heater = "Oven.Heater";
    let read = request(READ, &[0; 16]);
    let bytes = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let cases = [
        (read.clone(), 0),
        (writes(&[(heater, double(20.0))]), 0),
        (writes(&[(heater, double(80.0))]), status::ACCESS_DENIED),
        (writes(&[(heater, double(20.0)), (heater, double(80.0))]), status::ACCESS_DENIED),
        (writes(&[(heater, double(20.0)), ("Oven.Door", double(1.0))]), status::NODE_UNKNOWN),
        (writes(&[(heater, double(f64::NAN))]), status::OUT_OF_RANGE),
        // A text, nothing, an array.
        (writes(&[(heater, bytes(12, &text("20")))]), status::OUT_OF_RANGE),
        (writes(&[(heater, vec![0])]), status::OUT_OF_RANGE),
        (writes(&[(heater, bytes(0x8b, &[0, 0, 0, 0]))]), status::OUT_OF_RANGE),
        (writes(&[]), status::OUT_OF_RANGE),
        (calls(&[(7, &[])]), 0),
        (calls(&[(7, &[5.0])]), status::NODE_UNKNOWN),
        (calls(&[(8, &[5.0])]), 0),
        (calls(&[(8, &[80.0])]), status::ACCESS_DENIED),
        (calls(&[(8, &[])]), status::NODE_UNKNOWN),
        (calls(&[(8, &[5.0, 6.0])]), status::NODE_UNKNOWN),
        (calls(&[(9, &[])]), status::NODE_UNKNOWN),
        (calls(&[(20, &[1.0, 2.0])]), 0),
        (calls(&[(20, &[]), (9, &[])]), status::NODE_UNKNOWN),
        (request(ADD_NODES, &[0; 4]), status::UNSUPPORTED),
        (read, 0),
    ];
    for (number, (body, expect)) in cases.iter().enumerate() {
        assert_eq!(client.ask(body).await, *expect, "case {number}");
    }
    assert_eq!(server.heard(), [READ, WRITE, CALL, CALL, CALL, READ]);
    rig.gateway.stop().await.unwrap();
}

/// The chunks of a message, so many bytes in each.
fn chunks(client: &mut Peer, body: &[u8], most: usize, kind: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let count = body.chunks(most).count();
    for (number, part) in body.chunks(most).enumerate() {
        let last = number + 1 == count;
        out.extend([b'M', b'S', b'G', if last { kind } else { b'C' }]);
        for word in [24 + part.len() as u32, 9, 1, client.number(), 77] {
            out.extend(word.to_le_bytes());
        }
        out.extend(part);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_several_chunks_is_judged_as_a_whole() {
    let server = Server::start().await;
    let rig = Rig::start(server.address, "enforce", "refuse").await;
    let mut client = rig.client().await;
    for (value, kind, expect) in [
        (20.0, b'F', Some(0)),
        (80.0, b'F', Some(status::ACCESS_DENIED)),
        // Given up: nothing of it gets there.
        (20.0, b'A', None),
        (30.0, b'F', Some(0)),
    ] {
        let bytes = chunks(&mut client, &writes(&[("Oven.Heater", double(value))]), 7, kind);
        client.raw(&bytes).await;
        if let Some(expect) = expect {
            assert_eq!(client.told().await, (expect, 77));
        }
    }
    assert_eq!(server.heard(), [WRITE, WRITE]);
    let long = chunks(&mut client, &request(READ, &[0; 16_000]), 4_096, b'F');
    client.raw(&long).await;
    let chunk = client.next(Sender::Server).await.unwrap();
    let view = View::new(&chunk, Sender::Server).unwrap();
    assert_eq!(view.failure().map(|it| it.0), Some(status::TOO_LARGE));
    rig.gateway.stop().await.unwrap();
}

/// The opening of a channel that is encrypted.
fn secured(uri: &str) -> Vec<u8> {
    let inside = [&[0; 4][..], &text(uri), &text("certificate"), &text("thumbprint"), &[7; 64]].concat();
    [&b"OPNF"[..], &(inside.len() as u32 + 8).to_le_bytes(), &inside].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_refused_unless_it_is_to_pass() {
    let server = Server::start().await;
    let rig = Rig::start(server.address, "enforce", "refuse").await;
    let uri = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256";
    let mut client = rig.hello().await;
    client.raw(&secured(uri)).await;
    let told = client.next(Sender::Server).await.unwrap();
    assert_eq!(View::new(&told, Sender::Server).unwrap().failure().unwrap().0, status::POLICY_REJECTED);
    rig.gateway.stop().await.unwrap();

    let rig = Rig::start(server.address, "enforce", "pass").await;
    let mut client = rig.hello().await;
    client.raw(&secured(uri)).await;
    assert_eq!(&client.next(Sender::Server).await.unwrap()[..3], b"OPN");
    // What a server might take for no security does not pass unjudged.
    for other in ["", "http://opcfoundation.org/UA/SecurityPolicy#none"] {
        let mut client = rig.hello().await;
        client.raw(&secured(other)).await;
        assert_eq!(&client.next(Sender::Server).await.unwrap()[..3], b"ERR", "{other}");
    }
    let mut clear = rig.client().await;
    assert_eq!(clear.ask(&writes(&[("Oven.Heater", double(80.0))])).await, status::ACCESS_DENIED);
    // A channel that began without security does not change.
    clear.raw(&secured(uri)).await;
    assert!(is_closed(&mut clear.stream).await);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_against_the_protocol_closes_the_connection() {
    let server = Server::start().await;
    let rig = Rig::start(server.address, "enforce", "refuse").await;
    let body = writes(&[("Oven.Heater", double(20.0))]);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"HELF"] {
        let mut client = rig.raw().await;
        client.raw(bytes).await;
        assert!(is_closed(&mut client.stream).await, "{bytes:?}");
    }
    // A service before its channel, a number that does not follow, two messages among each other.
    let mut client = rig.hello().await;
    client.message(1, &body).await;
    assert!(is_closed(&mut client.stream).await);
    let mut client = rig.client().await;
    client.number();
    client.message(1, &body).await;
    assert!(is_closed(&mut client.stream).await);
    let mut client = rig.client().await;
    let begun = chunks(&mut client, &body, 30, b'C');
    client.raw(&begun).await;
    client.message(78, &body).await;
    assert!(is_closed(&mut client.stream).await);
    assert!(server.heard().is_empty());
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_advisory_mode_everything_passes() {
    let server = Server::start().await;
    let rig = Rig::start(server.address, "advisory", "refuse").await;
    let mut client = rig.client().await;
    for body in [writes(&[("Oven.Heater", double(80.0))]), calls(&[(9, &[])]), request(ADD_NODES, &[0; 4])] {
        assert_eq!(client.ask(&body).await, 0);
    }
    assert_eq!(server.heard(), [WRITE, CALL, ADD_NODES]);
    rig.gateway.stop().await.unwrap();
}
