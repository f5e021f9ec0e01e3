//! Noise before and behind the gateway, over loopback: who may command by the key that they hold, and what ends a connection.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::time::Duration;

use snow::{Builder, TransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use twinguard_gateway::noise::{PROLOGUE, PublicKey, REKEY, generate};
use twinguard_gateway::{Config, Gateway, build};

use support::{Server, adu, ask, http, is_closed, write};

const SECRET: &str = "11111111111111111111111111111111";
const PLANT: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "tank.pump"
role = "actuator"
[[point]]
signal = "tank.pump"
protocol = "modbus"
tag = "u1/hr/0"
direction = "write"
[[principal]]
name = "rtu-7"
roles = ["controller"]
[[principal]]
name = "meter-3"
roles = ["observer"]
# Whoever comes from here in plain text; a key says more.
[[principal]]
name = "neighbour"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "controllers drive the pump, over channels"
effect = "allow"
roles = ["controller"]
signals = ["tank.pump"]
"#;
const READ: [u8; 5] = [3, 0, 5, 0, 1];
const READ_TOLD: [u8; 4] = [3, 2, 0, 7];
const WRITE: [u8; 5] = [6, 0, 0, 0, 20];

struct Keys {
    secret: Vec<u8>,
    public: PublicKey,
}

/// A key pair, and its file.
fn keys(folder: &std::path::Path, name: &str) -> Keys {
    let file = folder.join(name);
    let public = generate(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    Keys { secret: (0..32).map(byte).collect(), public }
}

struct Rig {
    gateway: Gateway,
    folder: tempfile::TempDir,
    text: String,
    own: Keys,
    rtu: Keys,
    meter: Keys,
}

impl Rig {
    async fn start(server: &Server, pattern: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [own, rtu, meter] = ["gateway", "rtu", "meter"].map(|name| keys(folder.path(), name));
        write(folder.path(), "plant.toml", PLANT);
        write(folder.path(), "token", SECRET);
        let text = format!(
            r#"mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:0"
[[token]]
principal = "platform"
kind = "service"
file = "token"
may = ["read"]
[[modbus]]
name = "tank"
listen = "127.0.0.1:0"
server = "{}"
device = "10.0.0.2:502"
message_s = 1.0
requests_per_second = 100000
[modbus.noise]
pattern = "{pattern}"
key = "gateway"
client = [{{ name = "rtu-7", key = "{}" }}, {{ name = "meter-3", key = "{}" }}]
"#,
            server.address, rtu.public, meter.public
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, folder, text, own, rtu, meter }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.gateway.proxies()[0].address).await.unwrap()
    }

    async fn client(&self, pattern: &str, keys: &Keys) -> Option<Peer> {
        Peer::shake(self.plain().await, pattern, keys, &self.own.public, "modbus").await
    }

    async fn metrics(&self) -> String {
        http(self.gateway.api().unwrap(), "GET", "/metrics", Some(SECRET), "").await.1
    }
}

/// A client that knows nothing of the gateway's code.
struct Peer {
    stream: TcpStream,
    state: TransportState,
    said: u64,
    heard: u64,
}

impl Peer {
    /// `None` where the other side leaves before the end.
    async fn shake(
        mut stream: TcpStream,
        pattern: &str,
        keys: &Keys,
        server: &PublicKey,
        inside: &str,
    ) -> Option<Self> {
        let prologue = format!("{PROLOGUE}{inside}");
        let builder = Builder::new(format!("Noise_{pattern}_25519_ChaChaPoly_BLAKE2s").parse().unwrap());
        let builder = builder.local_private_key(&keys.secret).unwrap().prologue(prologue.as_bytes()).unwrap();
        let builder = if pattern == "IK" { builder.remote_public_key(&server.0).unwrap() } else { builder };
        let mut shaking = builder.build_initiator().unwrap();
        let mut buffer = [0; 1_024];
        while !shaking.is_handshake_finished() {
            if shaking.is_my_turn() {
                let length = shaking.write_message(&[], &mut buffer).unwrap();
                stream.write_all(&frame(&buffer[..length])).await.ok()?;
            } else {
                let message = message(&mut stream).await?;
                shaking.read_message(&message, &mut buffer).ok()?;
            }
        }
        let mut peer = Self { stream, state: shaking.into_transport_mode().unwrap(), said: 0, heard: 0 };
        if pattern == "IK" {
            peer.say(&[]).await;
        }
        Some(peer)
    }

    fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut message = vec![0; bytes.len() + 16];
        self.state.write_message(bytes, &mut message).unwrap();
        self.said += 1;
        if self.said.is_multiple_of(REKEY) {
            self.state.rekey_outgoing();
        }
        frame(&message)
    }

    async fn say(&mut self, bytes: &[u8]) {
        let sealed = self.seal(bytes);
        let _ = self.stream.write_all(&sealed).await;
    }

    /// What one message holds; `None` when the connection is over.
    async fn hear(&mut self) -> Option<Vec<u8>> {
        let message = message(&mut self.stream).await?;
        let mut bytes = vec![0; message.len() - 16];
        self.state.read_message(&message, &mut bytes).unwrap();
        self.heard += 1;
        if self.heard.is_multiple_of(REKEY) {
            self.state.rekey_incoming();
        }
        Some(bytes)
    }

    async fn ask(&mut self, pdu: &[u8]) -> Option<Vec<u8>> {
        self.say(&adu(1, pdu)).await;
        Some(self.hear().await?[7..].to_vec())
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let mut message = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    };
    timeout(Duration::from_secs(5), read).await.expect("an answer, or an end")
}

#[tokio::test]
async fn a_key_says_who_commands() {
    for pattern in ["IK", "XX"] {
        let server = Server::start("127.0.0.1:0").await;
        let rig = Rig::start(&server, pattern).await;
        let mut rtu = rig.client(pattern, &rig.rtu).await.unwrap();
        assert_eq!(rtu.ask(&READ).await.unwrap(), READ_TOLD);
        assert_eq!(rtu.ask(&WRITE).await.unwrap(), WRITE);
        assert_eq!(server.registers.lock().unwrap()[0], 20);
        let mut meter = rig.client(pattern, &rig.meter).await.unwrap();
        assert_eq!(meter.ask(&READ).await.unwrap(), READ_TOLD);
        assert_eq!(meter.ask(&WRITE).await.unwrap(), [0x86, 1], "it may read");
        // It says no more, and is told so.
        meter.say(&[]).await;
        assert_eq!((meter.hear().await, meter.hear().await), (Some(Vec::new()), None));
        rig.gateway.stop().await.unwrap();
    }
}

#[tokio::test]
async fn nobody_else_comes_in_and_each_refusal_is_counted() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, "IK").await;
    let stranger = keys(rig.folder.path(), "stranger");
    assert!(rig.client("IK", &stranger).await.is_none(), "an unknown key");
    assert!(rig.client("XX", &rig.rtu).await.is_none(), "another pattern");
    let other = stranger.public;
    assert!(
        Peer::shake(rig.plain().await, "IK", &rig.rtu, &other, "modbus").await.is_none(),
        "not its server"
    );
    assert!(Peer::shake(rig.plain().await, "IK", &rig.rtu, &rig.own.public, "mqtt").await.is_none());
    assert!(is_closed(&mut told(rig.plain().await, &adu(1, &READ)).await).await, "plain text");
    assert!(is_closed(&mut told(rig.plain().await, &[0xff; 70_000]).await).await, "a length of 65535");
    let begun = Instant::now();
    assert!(is_closed(&mut rig.plain().await).await, "silence");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // Half of a handshake, byte by byte, does not win time.
    let mut slow = rig.plain().await;
    let begun = Instant::now();
    for byte in [0, 96, 1, 2, 3, 4, 5, 6] {
        let _ = slow.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(is_closed(&mut slow).await && begun.elapsed() < Duration::from_secs(4));
    assert_eq!(server.asked(), 0);
    assert!(
        rig.metrics().await.contains("twinguard_tls_handshakes_failed_total 8"),
        "{}",
        rig.metrics().await
    );
    rig.gateway.stop().await.unwrap();
}

/// Sends bytes, as far as somebody takes them.
async fn told(mut stream: TcpStream, bytes: &[u8]) -> TcpStream {
    let _ = stream.write_all(bytes).await;
    stream
}

#[tokio::test]
async fn a_first_message_that_was_recorded_opens_nothing() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, "IK").await;
    let prologue = format!("{PROLOGUE}modbus");
    let builder = Builder::new("Noise_IK_25519_ChaChaPoly_BLAKE2s".parse().unwrap());
    let builder = builder.local_private_key(&rig.rtu.secret).unwrap().prologue(prologue.as_bytes()).unwrap();
    let mut shaking = builder.remote_public_key(&rig.own.public.0).unwrap().build_initiator().unwrap();
    let mut first = [0; 96];
    assert_eq!(shaking.write_message(&[], &mut first).unwrap(), 96);
    for _ in 0..2 {
        let mut replay = told(rig.plain().await, &frame(&first)).await;
        assert_eq!(message(&mut replay).await.unwrap().len(), 48, "that is answered");
        let _ = replay.write_all(&frame(&[0; 16])).await;
        assert!(is_closed(&mut replay).await, "and no more");
    }
    let metrics = rig.metrics().await;
    assert!(metrics.contains("twinguard_tls_handshakes_failed_total 2"), "{metrics}");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_altered_ends_the_connection_and_keys_are_exchanged() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, "XX").await;
    let mut rtu = rig.client("XX", &rig.rtu).await.unwrap();
    for n in 0..2 * REKEY + 10 {
        assert_eq!(rtu.ask(&READ).await.unwrap(), READ_TOLD, "{n}");
    }
    // One request in many messages, and many in one.
    for byte in adu(1, &READ) {
        rtu.say(&[byte]).await;
    }
    assert_eq!(rtu.hear().await.unwrap()[7..], READ_TOLD);
    rtu.say(&[adu(1, &READ), adu(2, &READ)].concat()).await;
    let mut told = Vec::new();
    while told.len() < 22 {
        told.extend(rtu.hear().await.unwrap());
    }
    let asked = server.asked();
    let mut sealed = rtu.seal(&adu(3, &WRITE));
    *sealed.last_mut().unwrap() ^= 1;
    rtu.stream.write_all(&sealed).await.unwrap();
    assert!(rtu.hear().await.is_none_or(|it| it.is_empty()));
    assert_eq!(server.asked(), asked);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_is_spoken_to_with_noise_and_has_to_hold_its_key() {
    let server = Server::start("127.0.0.1:0").await;
    for pattern in ["IK", "XX"] {
        let rig = Rig::start(&server, pattern).await;
        let inner = rig.gateway.proxies()[0].address;
        let before = |key: &PublicKey| {
            let text = format!(
                "mode = \"enforce\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n[[modbus]]\nname = \"near\"\n\
                 listen = \"127.0.0.1:0\"\nserver = \"{inner}\"\ndevice = \"10.0.0.2:502\"\n[modbus.server_noise]\n\
                 pattern = \"{pattern}\"\nkey = \"rtu\"\nserver = \"{key}\"\n"
            );
            Config::parse(&text, "near.toml", rig.folder.path()).unwrap()
        };
        for (key, expect) in [(rig.own.public, &READ_TOLD[..]), (rig.meter.public, &[0x83, 10][..])] {
            let config = before(&key);
            let near = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
            let mut client = TcpStream::connect(near.proxies()[0].address).await.unwrap();
            assert_eq!(ask(&mut client, &READ).await, expect, "{pattern}");
            near.stop().await.unwrap();
        }
        rig.gateway.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_reload_takes_a_key_out_of_the_list() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, "IK").await;
    let mut here = rig.client("IK", &rig.rtu).await.unwrap();
    let text =
        rig.text.replace(&rig.rtu.public.to_string(), &keys(rig.folder.path(), "next").public.to_string());
    rig.gateway.reload(&Config::parse(&text, "gateway.toml", rig.folder.path()).unwrap()).await.unwrap();
    assert!(rig.client("IK", &rig.rtu).await.is_none());
    assert_eq!(here.ask(&READ).await.unwrap(), READ_TOLD, "who is connected stays");
    rig.gateway.stop().await.unwrap();
}
