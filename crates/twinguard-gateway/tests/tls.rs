//! Certificates before and behind the gateway, over loopback: who may command by what they prove, and until when.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, ClientConfig, NamedGroup, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;
use twinguard_gateway::certificate::Certificate;
use twinguard_gateway::{Config, Gateway, build};

use support::pki::{Authority, Identity, Says};
use support::tls::{connect, der, provider, roots, trusting};
use support::{Server, ask, is_closed, write};

const SECRET: &str = "11111111111111111111111111111111";
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
[[point]]
signal = "tank.pump"
protocol = "modbus"
tag = "u1/hr/0"
scale = 0.1
direction = "write"
[[point]]
signal = "tank.setpoint"
protocol = "modbus"
tag = "u1/hr/1"
direction = "write"
[[principal]]
name = "spiffe://plant/plc"
roles = ["controller"]
[[principal]]
name = "anna"
roles = ["operator"]
# Whoever comes from here in plain text; a certificate says more.
[[principal]]
name = "neighbour"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[rule]]
name = "controllers drive the pump"
effect = "allow"
roles = ["controller"]
signals = ["tank.pump"]
[[rule]]
name = "set-points need two"
effect = "allow"
roles = ["controller", "operator"]
signals = ["tank.setpoint"]
two_person = true
"#;

const READ: [u8; 5] = [3, 0, 5, 0, 1];
const READ_TOLD: [u8; 4] = [3, 2, 0, 7];
const WRITE: [u8; 5] = [6, 0, 0, 0, 200];

/// A gateway with certificates, and what else stands in its folder.
struct Rig {
    gateway: Gateway,
    folder: tempfile::TempDir,
    authority: Authority,
    text: String,
}

impl Rig {
    /// The gateway's own certificate says this; `more` is put into the proxy's table, `files` into the folder.
    async fn start(server: &Server, own: Says<'_>, more: &str, files: &[(&str, &Identity)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("plant");
        write(folder.path(), "plant.toml", PLANT);
        write(folder.path(), "token", SECRET);
        write(folder.path(), "anna", &SECRET.replace('1', "2"));
        write(folder.path(), "ca.pem", &authority.certificate);
        authority.give(own).write(folder.path(), "gateway");
        files.iter().for_each(|(name, identity)| identity.write(folder.path(), name));
        let server = server.address;
        let text = format!(
            r#"mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:0"
[api.tls]
certificate = "gateway.pem"
key = "gateway.key"
client_ca = "ca.pem"
[[token]]
principal = "spiffe://plant/plc"
file = "token"
may = ["commands", "read", "points"]
certificate = "platform"
[[token]]
principal = "anna"
file = "anna"
may = ["approve", "read"]
[[modbus]]
name = "tank"
listen = "127.0.0.1:0"
server = "{server}"
device = "10.0.0.2:502"
message_s = 1.0
{more}
[modbus.tls]
certificate = "gateway.pem"
key = "gateway.key"
client_ca = "ca.pem"
"#
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, folder, authority, text }
    }

    fn client(&self, says: Says<'_>) -> ClientConfig {
        trusting(&self.authority, Some(&self.authority.give(says)), provider(&[kx_group::X25519MLKEM768]))
    }

    async fn modbus(&self, says: Says<'_>) -> TlsStream<TcpStream> {
        self.with(self.client(says)).await.unwrap()
    }

    async fn with(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        connect(config, self.gateway.proxies()[0].address).await
    }

    /// Waits until the health says so; it is looked at once a second.
    async fn warns(&self, of: &str) {
        for _ in 0..50 {
            let (status, health) = self.http(PLATFORM, "GET /health", SECRET, "").await;
            if status == 200 && health.contains(of) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{of}");
    }

    /// A request of the API over its TLS: status and body.
    async fn http(&self, says: Says<'_>, request: &str, secret: &str, body: &str) -> (u16, String) {
        let mut stream = connect(self.client(says), self.gateway.api().unwrap()).await.unwrap();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).map_or(0, |it| it.parse().unwrap());
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |it| it.1.to_owned()))
    }
}

/// A server that asks for a certificate of the same authority, as Modbus/TCP Security does.
fn secure_server(authority: &Authority, own: &Identity) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), provider.clone()).build();
    let (chain, key) = der(own);
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_client_cert_verifier(verifier.unwrap()).with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

const OWN: Says<'_> = Says { name: "gateway", role: None, spiffe: None, left: None, serial: None };
const PLC: Says<'_> = Says { name: "plc", role: Some("controller"), ..OWN };
const PLATFORM: Says<'_> = Says { name: "platform", ..OWN };

#[tokio::test(flavor = "multi_thread")]
async fn the_key_exchange_is_hybrid_and_the_role_in_the_certificate_counts() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let mut plc = rig.modbus(PLC).await;
    let session = plc.get_ref().1;
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(ask(&mut plc, &READ).await, READ_TOLD);
    assert_eq!(ask(&mut plc, &WRITE).await, WRITE);
    // Without a role none, and none by the address either: the certificate says who this is.
    let mut nobody = rig.modbus(Says { role: None, ..PLC }).await;
    assert_eq!(ask(&mut nobody, &READ).await, READ_TOLD);
    assert_eq!(ask(&mut nobody, &WRITE).await, [0x86, 1]);
    let mut viewer = rig.modbus(Says { role: Some("viewer"), ..PLC }).await;
    assert_eq!(ask(&mut viewer, &WRITE).await, [0x86, 1]);
    // Of a party of the plant file, by its SPIFFE id, that file says which roles it has.
    let mut party = rig.modbus(Says { role: None, spiffe: Some("spiffe://plant/plc"), ..PLC }).await;
    assert_eq!(ask(&mut party, &WRITE).await, WRITE);
    let (status, state) = rig.http(PLATFORM, "GET /v1/state", SECRET, "").await;
    assert_eq!(status, 200, "{state}");
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let who: Vec<&str> =
        state["verdicts"].as_array().unwrap().iter().map(|it| it["who"].as_str().unwrap()).collect();
    assert_eq!(who, ["spiffe://plant/plc", "plc", "plc", "plc"]);
    assert_eq!(server.registers.lock().unwrap()[0], 200);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_can_both_is_led_to_the_hybrid_exchange_and_an_old_one_is_told_why_not() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let identity = rig.authority.give(PLC);
    let with = |groups: &[&'static dyn rustls::crypto::SupportedKxGroup]| {
        trusting(&rig.authority, Some(&identity), provider(groups))
    };
    let group =
        |stream: &TlsStream<TcpStream>| stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    let both = rig.with(with(&[kx_group::X25519, kx_group::X25519MLKEM768])).await.unwrap();
    assert_eq!(group(&both), NamedGroup::X25519MLKEM768, "the client would have preferred the other");
    let mut old = rig.with(with(&[kx_group::SECP256R1])).await.unwrap();
    assert_eq!(group(&old), NamedGroup::secp256r1);
    assert_eq!(ask(&mut old, &WRITE).await, WRITE);
    // TLS 1.2 is not spoken, and whoever speaks it is told so.
    let provider = provider(&[kx_group::X25519MLKEM768, kx_group::X25519]);
    let (chain, key) = der(&identity);
    let older = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots(&rig.authority))
        .with_client_auth_cert(chain, key)
        .unwrap();
    let told = rig.with(older).await.unwrap_err();
    let told = told.into_inner().unwrap().downcast::<rustls::Error>().unwrap();
    assert_eq!(*told, rustls::Error::AlertReceived(AlertDescription::ProtocolVersion));
    rig.gateway.stop().await.unwrap();

    let strict = Rig::start(&server, OWN, "", &[]).await;
    let text = strict.text.replace("[modbus.tls]\n", "[modbus.tls]\npost_quantum = \"require\"\n");
    let config = Config::parse(&text, "gateway.toml", strict.folder.path()).unwrap();
    strict.gateway.reload(&config).await.unwrap();
    let classical = self::provider(&[kx_group::X25519]);
    let identity = strict.authority.give(PLC);
    assert!(strict.with(trusting(&strict.authority, Some(&identity), classical)).await.is_err());
    strict.modbus(PLC).await;
    strict.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_nothing_is_not_heard() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let other = Authority::new("plant");
    let hybrid = || provider(&[kx_group::X25519MLKEM768]);
    let forged = other.give(PLC);
    for identity in [None, Some(&forged)] {
        // In TLS 1.3 the client learns of it when it reads.
        if let Ok(mut client) = rig.with(trusting(&rig.authority, identity, hybrid())).await {
            let _ = client.write_all(&support::adu(1, &READ)).await;
            assert!(is_closed(&mut client).await);
        }
    }
    let mut plain = TcpStream::connect(rig.gateway.proxies()[0].address).await.unwrap();
    plain.write_all(&support::adu(1, &READ)).await.unwrap();
    let mut told = Vec::new();
    let _ = timeout(Duration::from_secs(5), plain.read_to_end(&mut told)).await.unwrap();
    assert!(told.first() != Some(&0), "an alert at most: {told:?}");
    let mut silent = TcpStream::connect(rig.gateway.proxies()[0].address).await.unwrap();
    assert!(is_closed(&mut silent).await, "a handshake that does not begin ends");
    assert_eq!(server.asked(), 0);
    let (_, metrics) = rig.http(PLATFORM, "GET /metrics", SECRET, "").await;
    assert!(metrics.contains("\ntwinguard_tls_handshakes_failed_total 4\n"), "{metrics}");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_reads_and_does_not_command() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let mut expired = rig.modbus(Says { left: Some(-60), ..PLC }).await;
    assert_eq!(ask(&mut expired, &READ).await, READ_TOLD);
    assert_eq!(ask(&mut expired, &WRITE).await, [0x86, 1]);
    // It runs out while the client is connected.
    let mut soon = rig.modbus(Says { left: Some(3), name: "soon", ..PLC }).await;
    assert_eq!(ask(&mut soon, &WRITE).await, WRITE);
    sleep(Duration::from_millis(3_200)).await;
    assert_eq!(ask(&mut soon, &WRITE).await, [0x86, 1]);
    assert_eq!(ask(&mut soon, &READ).await, READ_TOLD);
    rig.warns("the certificate of client plc has expired").await;
    let (_, metrics) = rig.http(PLATFORM, "GET /metrics", SECRET, "").await;
    for of in ["api", "modbus tank", "client soon"] {
        assert!(metrics.contains(&format!("\ntwinguard_certificate_not_after_seconds{{of=\"{of}\"}} ")));
    }
    let lapsed = Says { left: Some(-60), ..PLATFORM };
    let command = "{\"signal\": \"tank.pump\", \"value\": 1}";
    assert_eq!(rig.http(lapsed, "POST /v1/commands", SECRET, command).await.0, 403);
    assert_eq!(rig.http(lapsed, "GET /v1/state", SECRET, "").await.0, 200);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_certificate_is_forecast_and_exchanged_without_a_client_noticing() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, Says { left: Some(2), ..OWN }, "", &[]).await;
    let mut client = rig.modbus(PLC).await;
    let first = client.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(ask(&mut client, &WRITE).await, WRITE);
    let config = |text: &str| Config::parse(text, "gateway.toml", rig.folder.path());
    let checked = build(&config(&rig.text).unwrap(), true).unwrap();
    let forecast = "the certificate of modbus tank runs out in 0.0 days";
    assert!(checked.defects.iter().any(|it| it == forecast), "{:?}", checked.defects);
    sleep(Duration::from_millis(2_200)).await;
    assert_eq!(ask(&mut client, &WRITE).await, [0x86, 1], "ours has expired");
    assert_eq!(ask(&mut client, &READ).await, READ_TOLD);

    rig.authority.give(OWN).write(rig.folder.path(), "gateway");
    let told = rig.gateway.reload(&config(&rig.text).unwrap()).await.unwrap();
    assert!(!told.iter().any(|it| it.contains("certificate of modbus")), "{told:?}");
    assert_eq!(ask(&mut client, &READ).await, READ_TOLD, "who is connected stays so");
    let mut next = rig.modbus(PLC).await;
    assert_ne!(next.get_ref().1.peer_certificates().unwrap()[0], first);
    assert_eq!(ask(&mut next, &WRITE).await, WRITE);

    // A mistake leaves everything as it was.
    write(rig.folder.path(), "gateway.key", &rig.authority.give(OWN).key);
    let told = config(&rig.text).unwrap_err().to_string();
    assert!(told.contains("gateway.toml:9:7: `gateway.key` is the key of another certificate"), "{told}");
    let mut next = rig.modbus(PLC).await;
    assert_eq!(ask(&mut next, &WRITE).await, WRITE);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_revoked_comes_no_more() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let says = Says { serial: Some(0x1234), ..PLC };
    let mut before = rig.modbus(says).await;
    assert_eq!(ask(&mut before, &WRITE).await, WRITE);
    write(rig.folder.path(), "revoked.pem", &rig.authority.revoke(&[&[0x12, 0x34]]));
    let text = rig.text.replace("[modbus.tls]\n", "[modbus.tls]\ncrl = \"revoked.pem\"\n");
    let config = Config::parse(&text, "gateway.toml", rig.folder.path()).unwrap();
    rig.gateway.reload(&config).await.unwrap();
    if let Ok(mut client) = rig.with(rig.client(says)).await {
        let _ = client.write_all(&support::adu(1, &READ)).await;
        assert!(is_closed(&mut client).await);
    }
    let mut other = rig.modbus(PLC).await;
    assert_eq!(ask(&mut other, &WRITE).await, WRITE);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_with_its_certificate_alone() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let command = "{\"signal\": \"tank.pump\", \"value\": 1}";
    let (status, told) = rig.http(PLATFORM, "POST /v1/commands", SECRET, command).await;
    assert!(status == 200 && told.contains("\"send\":true"), "{told}");
    assert_eq!(rig.http(PLC, "POST /v1/commands", SECRET, command).await.0, 401, "a stolen secret");
    let anna = SECRET.replace('1', "2");
    assert_eq!(rig.http(PLC, "GET /v1/state", &anna, "").await.0, 200, "hers is bound to none");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_certificate_was_granted_another_one_does_not_use() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(&server, OWN, "", &[]).await;
    let setpoint = [6, 0, 1, 0, 4];
    let (mut plc, mut other) = (rig.modbus(PLC).await, rig.modbus(Says { name: "plc-2", ..PLC }).await);
    assert_eq!(ask(&mut plc, &setpoint).await, [0x86, 6]);
    let anna = SECRET.replace('1', "2");
    let (_, state) = rig.http(PLATFORM, "GET /v1/state", &anna, "").await;
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let word = "{\"approve\": true, \"signal\": \"tank.setpoint\", \"value\": 4}";
    let path = format!("POST /v1/held/{}", state["held"][0]["command"]);
    assert_eq!(rig.http(PLATFORM, &path, &anna, word).await.0, 200);
    assert_eq!(ask(&mut other, &setpoint).await, [0x86, 6], "from the same address, and somebody else");
    assert_eq!(ask(&mut plc, &setpoint).await, setpoint);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_with_tls_and_has_to_be_the_one_that_is_meant() {
    let servers = Authority::new("servers");
    let own = servers.give(OWN);
    let ca = Identity { certificate: servers.certificate.clone(), key: String::new() };
    let files = [("towards", &own), ("servers", &ca)];
    let towards =
        "[modbus.server_tls]\nca = \"servers.pem\"\ncertificate = \"towards.pem\"\nkey = \"towards.key\"\n";
    let serve =
        async |says| Server::with("127.0.0.1:0", Some(secure_server(&servers, &servers.give(says)))).await;
    let server = serve(OWN).await;
    let rig = Rig::start(&server, OWN, towards, &files).await;
    let mut plc = rig.modbus(PLC).await;
    assert_eq!(ask(&mut plc, &READ).await, READ_TOLD);
    assert_eq!(ask(&mut plc, &WRITE).await, WRITE);
    rig.gateway.stop().await.unwrap();

    // Its certificate has expired: it is read, and not commanded.
    let server = serve(Says { left: Some(-60), ..OWN }).await;
    let rig = Rig::start(&server, OWN, towards, &files).await;
    let mut plc = rig.modbus(PLC).await;
    assert_eq!(ask(&mut plc, &READ).await, READ_TOLD);
    assert_eq!(ask(&mut plc, &WRITE).await, [0x86, 4]);
    rig.warns("the certificate of server of modbus tank has expired").await;
    rig.gateway.stop().await.unwrap();

    // Another name, another authority.
    let server = serve(OWN).await;
    let named = format!("{towards}name = \"cooler.plant\"\n");
    let rig = Rig::start(&server, OWN, &named, &files).await;
    assert_eq!(ask(&mut rig.modbus(PLC).await, &READ).await, [0x83, 10]);
    rig.gateway.stop().await.unwrap();
    let rig = Rig::start(&server, OWN, &towards.replace("servers.pem", "ca.pem"), &files).await;
    assert_eq!(ask(&mut rig.modbus(PLC).await, &READ).await, [0x83, 10]);
    rig.gateway.stop().await.unwrap();
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_certificate_is_read_as_it_says() {
    let authority = Authority::new("plant");
    let read = |identity: &Identity| Certificate::read(&der(identity).0[0]).unwrap();
    let says = Says { spiffe: Some("spiffe://plant/plc"), ..PLC };
    let told = read(&authority.give(says));
    assert_eq!((told.name(), told.common_name.as_deref()), (Some("spiffe://plant/plc"), Some("plc")));
    assert_eq!(told.role.as_deref(), Some("controller"));
    let told = read(&authority.give(Says { spiffe: Some("https://plant/plc"), ..PLC }));
    assert_eq!(told.name(), Some("plc"), "a URI that is no SPIFFE id");
    let role = |contents: &[&[u8]]| {
        let contents: Vec<Vec<u8>> = contents.iter().map(|it| it.to_vec()).collect();
        read(&authority.give_with(PLC, &contents)).role
    };
    assert_eq!(role(&[b"\x0c\x02op"]).as_deref(), Some("op"));
    assert_eq!(role(&[]), None);
    for bad in [
        &b"\x0c\x02op\0"[..], // bytes behind it
        b"\x0c\x03op",        // cut
        b"\x13\x02op",        // PrintableString
        b"\x0c\x02\xff\xfe",  // no UTF-8
        b"\x0c\x02o\n",       // not to be seen
        b"\x0c\x00",          // nothing
        b"",
    ] {
        assert_eq!(role(&[bad]), None, "{bad:?}");
    }
    assert_eq!(role(&[b"\x0c\x02op", b"\x0c\x05admin"]), None, "which of them?");
}

/// Every bit of a certificate turned, and every beginning of it: no panic, and nothing that cannot be shown.
#[test]
fn a_certificate_that_was_meddled_with_is_read_or_refused() {
    let says = Says { spiffe: Some("spiffe://plant/plc"), ..PLC };
    let whole = der(&Authority::new("plant").give(says)).0[0].to_vec();
    let look = |bytes: &[u8]| {
        let Ok(read) = Certificate::read(bytes) else { return 0 };
        for text in [&read.role, &read.common_name, &read.spiffe].into_iter().flatten() {
            assert!(
                !text.is_empty() && text.len() <= 2_048 && !text.chars().any(char::is_control),
                "{text:?}"
            );
        }
        1
    };
    assert_eq!(look(&whole), 1);
    let turned: usize = (0..whole.len() * 8)
        .map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            look(&bytes)
        })
        .sum();
    assert!(turned > 0, "keys and signatures are not looked at here");
    assert_eq!((0..whole.len()).map(|len| look(&whole[..len])).sum::<usize>(), 0);
}
