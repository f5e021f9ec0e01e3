//! What the gating Modbus proxy adds: the same writes straight to a server, through a plain copy of bytes, through the gateway,
//! through the gateway with Modbus/TCP Security, through the gateway with Noise.
//!
//! `cargo bench -p benches --bench proxy`. Over loopback, one request at a time, the ways in turn; quantiles of 4 000
//! writes each. The gateway judges (identity, policy, a rate), journals to memory, and shows its guard what passed. Then
//! mutual TLS 1.3 handshakes with certificates of P-256, in memory on one thread, client and server together: hybrid, and with
//! X25519 alone; and Noise handshakes and messages of 256 bytes, sealed and opened, beside snow by itself.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use twinguard_gateway::core::noise::frame;
use twinguard_gateway::noise::{Handshake, PROLOGUE, Pattern, PublicKey, SecretKey, Session, join};
use twinguard_gateway::{Config, Gateway, build};

const PLANT: &str = r#"format = 1
name = "p"
[[signal]]
path = "pump"
role = "actuator"
[[point]]
signal = "pump"
protocol = "modbus"
tag = "u1/hr/0"
direction = "write"
[[principal]]
name = "plc"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "r"
effect = "allow"
roles = ["controller"]
signals = ["pump"]
range = [0.0, 100.0]
commands_per_minute = 10000000
"#;

/// Answers each write with itself, as the standard asks (Modbus Application Protocol V1.1b3 §6.6).
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            client.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut adu = [0; 12];
                while client.read_exact(&mut adu).await.is_ok() {
                    client.write_all(&adu).await.unwrap();
                }
            });
        }
    });
    address
}

async fn copy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(server).await.unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

/// Nanoseconds of so many writes, one after the other.
async fn writes(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
    count: usize,
    times: &mut Vec<u64>,
) {
    for n in 0..count {
        let begun = Instant::now();
        client.write_all(&[0, n as u8, 0, 0, 0, 6, 1, 6, 0, 0, 0, (n % 100) as u8]).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        times.push(begun.elapsed().as_nanos() as u64);
        assert_eq!(answer[7], 6);
    }
}

/// An authority, and the one identity that everybody shows.
struct Pki {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pki {
    /// The certificates, also as files: `ca.pem`, `own.pem`, `own.key`.
    fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "plc");
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.join("own.pem"), own.pem()).unwrap();
        std::fs::write(folder.join("own.key"), key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self { roots: Arc::new(roots), chain: vec![own.der().clone()], key }
    }

    fn client(&self, group: &'static dyn SupportedKxGroup) -> Arc<ClientConfig> {
        let builder =
            ClientConfig::builder_with_provider(provider(group)).with_protocol_versions(&[&TLS13]).unwrap();
        let builder = builder.with_root_certificates(self.roots.clone());
        let mut config = builder.with_client_auth_cert(self.chain.clone(), self.key.clone_key()).unwrap();
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }

    fn server(&self, group: &'static dyn SupportedKxGroup) -> Arc<ServerConfig> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider(group)).build();
        let builder =
            ServerConfig::builder_with_provider(provider(group)).with_protocol_versions(&[&TLS13]).unwrap();
        let builder = builder.with_client_cert_verifier(verifier.unwrap());
        let mut config = builder.with_single_cert(self.chain.clone(), self.key.clone_key()).unwrap();
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}

fn provider(group: &'static dyn SupportedKxGroup) -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() })
}

/// One handshake in memory.
fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) {
    let mut client =
        ClientConnection::new(client.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(server.peer_certificates().is_some_and(|it| it.len() == 1));
}

fn handshakes(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let groups: [(&str, &'static dyn SupportedKxGroup); 2] =
        [("X25519MLKEM768", kx_group::X25519MLKEM768), ("X25519", kx_group::X25519)];
    for (name, group) in groups {
        let (client, server) = (pki.client(group), pki.server(group));
        shake(&client, &server);
        let begun = Instant::now();
        (0..count).for_each(|_| shake(&client, &server));
        let each = begun.elapsed().as_secs_f64() / count as f64;
        println!("handshake/{name}: {:.0} /s, {:.0} µs each", 1.0 / each, each * 1e6);
    }
}

const NOISE: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";

/// Secret keys of a client and a server.
const SECRETS: [u8; 2] = [0x11, 0x22];

fn noise_keys() -> [SecretKey; 2] {
    SECRETS.map(|byte| SecretKey::parse(&format!("{byte:02x}").repeat(32)).unwrap())
}

fn prologue() -> String {
    format!("{PROLOGUE}modbus")
}

/// One Noise handshake of ours in memory.
fn shake_noise([client, server]: &[SecretKey; 2], key: &PublicKey) -> (Session, Session) {
    let mut near = Handshake::initiator(Pattern::Ik, client, key, &prologue()).unwrap();
    let mut far = Handshake::responder(Pattern::Ik, server, &prologue()).unwrap();
    far.hear(frame::first(&near.say().unwrap()).unwrap().0).unwrap();
    near.hear(frame::first(&far.say().unwrap()).unwrap().0).unwrap();
    (near.finish().unwrap().0, far.finish().unwrap().0)
}

/// The same by snow alone.
fn shake_snow(key: &PublicKey) -> (snow::TransportState, snow::TransportState) {
    let (prologue, [client, server]) = (prologue(), SECRETS.map(|byte| [byte; 32]));
    let builder = |secret| {
        let builder = snow::Builder::new(NOISE.parse().unwrap()).local_private_key(secret).unwrap();
        builder.prologue(prologue.as_bytes()).unwrap()
    };
    let mut near = builder(&client).remote_public_key(&key.0).unwrap().build_initiator().unwrap();
    let mut far = builder(&server).build_responder().unwrap();
    let mut message = [0; 128];
    let length = near.write_message(&[], &mut message).unwrap();
    far.read_message(&message[..length], &mut []).unwrap();
    let length = far.write_message(&[], &mut message).unwrap();
    near.read_message(&message[..length], &mut []).unwrap();
    (near.into_transport_mode().unwrap(), far.into_transport_mode().unwrap())
}

/// Seconds of one call, the least mean of ten rounds, for two that take turns.
fn in_turn(count: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> [f64; 2] {
    let time = |call: &mut dyn FnMut()| {
        let begun = Instant::now();
        (0..count).for_each(|_| call());
        begun.elapsed().as_secs_f64() / count as f64
    };
    let mut least = [f64::INFINITY; 2];
    for _ in 0..10 {
        least = [least[0].min(time(&mut one)), least[1].min(time(&mut other))];
    }
    least
}

fn noise(count: usize) {
    let keys = noise_keys();
    let key = keys[1].public().unwrap();
    let [ours, snow] = in_turn(count, || drop(shake_noise(&keys, &key)), || drop(shake_snow(&key)));
    println!(
        "noise/handshake IK: {:.0} /s, snow {:.0} /s, ratio of times {:.2}",
        1.0 / ours,
        1.0 / snow,
        ours / snow
    );
    let ((mut near, mut far), (mut one, mut other)) = (shake_noise(&keys, &key), shake_snow(&key));
    let (bytes, mut sent) = ([7; 256], Vec::new());
    let (mut message, mut opened) = ([0; 512], [0; 512]);
    let [ours, snow] = in_turn(
        count * 50,
        || {
            sent.clear();
            near.seal(&bytes, &mut sent).unwrap();
            assert_eq!(far.open(frame::first(&sent).unwrap().0).unwrap().len(), bytes.len());
        },
        || {
            let length = one.write_message(&bytes, &mut message).unwrap();
            assert_eq!(other.read_message(&message[..length], &mut opened).unwrap(), bytes.len());
        },
    );
    println!(
        "noise/message of 256 bytes: {:.0} ns, snow {:.0} ns, ratio {:.2}",
        ours * 1e9,
        snow * 1e9,
        ours / snow
    );
}

/// A client of one of the ways.
trait Client: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Client for T {}

async fn run(rounds: usize) {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    std::fs::write(folder.path().join("plant.toml"), PLANT).unwrap();
    let [near, far] = noise_keys();
    std::fs::write(folder.path().join("far.noise"), far.to_text().as_bytes()).unwrap();
    let text = format!(
        "mode = \"enforce\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n[[modbus]]\nname = \"m\"\n\
         listen = \"127.0.0.1:0\"\nserver = \"{server}\"\ndevice = \"10.0.0.2:502\"\nrequests_per_second = 1000000\n\
         [[modbus]]\nname = \"s\"\nlisten = \"127.0.0.1:0\"\nserver = \"{server}\"\ndevice = \"10.0.0.2:502\"\n\
         requests_per_second = 1000000\n[modbus.tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\nclient_ca = \"ca.pem\"\n\
         [[modbus]]\nname = \"n\"\nlisten = \"127.0.0.1:0\"\nserver = \"{server}\"\ndevice = \"10.0.0.2:502\"\n\
         requests_per_second = 1000000\n[modbus.noise]\nkey = \"far.noise\"\n\
         [[modbus.noise.client]]\nname = \"plc\"\nkey = \"{}\"\n",
        near.public().unwrap()
    );
    let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
    let gateway = Gateway::start(&config, build(&config, true).unwrap().core).await.unwrap();
    let ways =
        [("direct", server), ("plain copy", copy(server).await), ("gateway", gateway.proxies()[0].address)];
    let mut clients: Vec<(&str, Box<dyn Client>, Vec<u64>)> = Vec::new();
    for (name, address) in ways {
        let client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        clients.push((name, Box::new(client), Vec::new()));
    }
    let secure = TcpStream::connect(gateway.proxies()[1].address).await.unwrap();
    secure.set_nodelay(true).unwrap();
    let connector = TlsConnector::from(pki.client(kx_group::X25519MLKEM768));
    let secure = connector.connect(ServerName::try_from("localhost").unwrap(), secure).await.unwrap();
    clients.push(("gateway with TLS", Box::new(secure), Vec::new()));
    let noisy = TcpStream::connect(gateway.proxies()[2].address).await.unwrap();
    noisy.set_nodelay(true).unwrap();
    let noisy = join(noisy, Pattern::Ik, &near, far.public().unwrap(), "modbus").await.unwrap();
    clients.push(("gateway with Noise", Box::new(noisy), Vec::new()));
    for round in 0..rounds + 1 {
        for (_, client, times) in &mut clients {
            writes(client.as_mut(), 100, times).await;
            if round == 0 {
                times.clear();
            }
        }
    }
    for (name, _, times) in &mut clients {
        times.sort_unstable();
        let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize] as f64 / 1e3;
        println!("proxy/{name}: p50 {:.0} µs, p99 {:.0} µs, least {:.0} µs", at(0.5), at(0.99), at(0.0));
    }
    drop(clients);
    tokio::time::timeout(Duration::from_secs(10), gateway.stop()).await.unwrap().unwrap();
}

fn main() {
    // As a test it only has to run.
    let rounds = if std::env::args().any(|it| it == "--bench") { 40 } else { 1 };
    handshakes(rounds * 100);
    noise(rounds * 10);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run(rounds));
}
