//! The whole gateway over loopback: an in-process Modbus server behind it, clients and a platform before it.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use twinguard_gateway::{Config, Gateway, build};

use support::{Server, adu, ask, is_closed, told, write};

const SECRETS: [(&str, &str); 3] = [
    ("platform", "11111111111111111111111111111111"),
    ("anna", "22222222222222222222222222222222"),
    ("watcher", "33333333333333333333333333333333"),
];

const PLANT: &str = r#"
format = 1
name = "tank <script>alert(1)</script>"
[[signal]]
path = "tank.level"
unit = "m"
[[signal]]
path = "tank.pump"
role = "actuator"
range = [0.0, 100.0]
[[signal]]
path = "tank.setpoint"
role = "setpoint"
[[point]]
signal = "tank.level"
protocol = "modbus"
tag = "u1/hr/10"
scale = 0.001
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
name = "plc"
addresses = ["127.0.0.1"]
roles = ["controller"]
[[principal]]
name = "anna"
roles = ["operator"]
[[rule]]
name = "the controller drives the pump"
effect = "allow"
roles = ["controller"]
signals = ["tank.pump"]
range = [0.0, 50.0]
[[rule]]
name = "set-points need two"
effect = "allow"
roles = ["controller", "operator"]
signals = ["tank.setpoint"]
two_person = true
"#;

/// A gateway before a server, in a folder of its own.
struct Rig {
    gateway: Gateway,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn start(server: SocketAddr, more: &str) -> Self {
        Self::with(server, "enforce", "", more).await
    }

    async fn with(server: SocketAddr, mode: &str, api: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "plant.toml", PLANT);
        for (name, secret) in SECRETS {
            write(folder.path(), name, secret);
        }
        let text = format!(
            r#"mode = "{mode}"
[plant]
file = "plant.toml"
unsealed = true
[journal]
folder = "journal"
[api]
listen = "127.0.0.1:0"
body_bytes = 4096
request_s = 0.5
{api}
[[token]]
principal = "platform"
file = "platform"
may = ["points", "commands", "access", "outcomes", "operate", "read"]
speaks_for = true
[[token]]
principal = "anna"
file = "anna"
may = ["approve", "read"]
[[token]]
principal = "watcher"
file = "watcher"
may = ["read"]
[[modbus]]
name = "tank"
listen = "127.0.0.1:0"
server = "{server}"
device = "10.0.0.2:502"
message_s = 0.3
answer_s = 0.4
connect_s = 0.5
connections_per_client = 3
{more}
"#
        );
        let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
        let gateway = Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap();
        Self { gateway, folder }
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.gateway.proxies()[0].address).await.unwrap()
    }

    /// One request of the API: status and body.
    async fn http(&self, method: &str, path: &str, secret: Option<&str>, body: &str) -> (u16, String) {
        support::http(self.gateway.api().unwrap(), method, path, secret, body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_allowed_writes_pass_and_the_rest_is_answered_with_exceptions() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "functions = [8]").await;
    let mut client = rig.client().await;
    assert_eq!(ask(&mut client, &[3, 0, 0, 0, 2]).await, [3, 4, 0, 7, 0, 7]);
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 200]).await, [6, 0, 0, 0, 200]);
    assert_eq!(server.registers.lock().unwrap()[0], 200);
    let before = server.asked();
    assert_eq!(ask(&mut client, &[6, 0, 0, 3, 0]).await, [0x86, 1], "76.8 is beyond the rule's 50");
    assert_eq!(ask(&mut client, &[6, 0, 20, 0, 1]).await, [0x86, 2], "nobody knows register 20");
    assert_eq!(ask(&mut client, &[3, 0, 0, 0, 200]).await, [0x83, 3], "more than the standard allows");
    assert_eq!(ask(&mut client, &[17]).await, [0x91, 1], "a function that is not listed");
    assert_eq!(server.asked(), before, "none of them reached the server");
    assert_eq!(ask(&mut client, &[8, 0, 0, 1, 2]).await, [0x88, 1], "listed: the server's own answer");
    assert_eq!(server.asked(), before + 1);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_keep_their_order_and_each_has_one_answer() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "open_requests = 4").await;
    let mut client = rig.client().await;
    let requests: Vec<u8> = (1..=200_u16)
        .flat_map(|n| if n % 5 == 0 { adu(n, &[6, 0, 0, 9, 9]) } else { adu(n, &[6, 0, 0, 0, n as u8]) })
        .collect();
    client.write_all(&requests).await.unwrap();
    let mut answers = Vec::new();
    let mut passed = Vec::new();
    for _ in 0..200 {
        let (transaction, pdu) = told(&mut client).await;
        answers.push(transaction);
        assert_eq!(pdu[0] == 0x86, transaction % 5 == 0);
        if pdu[0] == 6 {
            passed.push(transaction);
        }
    }
    assert!(passed.is_sorted(), "commands are never put in another order");
    answers.sort_unstable();
    assert_eq!(answers, (1..=200).collect::<Vec<_>>());
    assert_eq!(server.asked(), 160, "each once");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_answered_and_do_not_reach_the_server() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "requests_per_second = 20").await;
    let mut client = rig.client().await;
    let requests: Vec<u8> = (0..300_u16).flat_map(|n| adu(n, &[3, 0, 0, 0, 1])).collect();
    client.write_all(&requests).await.unwrap();
    let mut busy = 0;
    for _ in 0..300 {
        busy += usize::from(told(&mut client).await.1 == [0x83, 6]);
    }
    assert!(busy > 200, "{busy}");
    assert_eq!(server.asked(), 300 - busy);
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_or_silent_is_told_and_found_again() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "functions = [11]").await;
    let mut client = rig.client().await;
    assert_eq!(ask(&mut client, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 7]);
    assert_eq!(ask(&mut client, &[11]).await, [0x8b, 11], "it did not answer");
    assert_eq!(ask(&mut client, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 7]);
    let address = server.address.to_string();
    server.task.abort();
    let _ = server.task.await;
    let mut gone = ask(&mut client, &[6, 0, 0, 0, 3]).await;
    if gone == [0x86, 11] {
        // The old connection broke under it; the next one cannot be made.
        gone = ask(&mut client, &[6, 0, 0, 0, 3]).await;
    }
    assert_eq!(gone, [0x86, 10]);
    let server = Server::start(&address).await;
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 4]).await, [6, 0, 0, 0, 4]);
    assert_eq!(server.asked(), 1, "what was refused is not sent again");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_foreign_and_crowding_clients_are_let_go() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "idle_s = 1.5").await;
    let mut good = rig.client().await;
    assert_eq!(ask(&mut good, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 7]);
    let mut slow = rig.client().await;
    slow.write_all(&adu(1, &[3, 0, 0, 0, 1])[..9]).await.unwrap();
    let mut foreign = rig.client().await;
    foreign.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(is_closed(&mut foreign).await);
    assert!(is_closed(&mut slow).await);
    let mut long = rig.client().await;
    long.write_all(&[0, 1, 0, 0, 4, 0, 1, 3]).await.unwrap();
    assert!(is_closed(&mut long).await, "longer than a message may be");
    assert_eq!(ask(&mut good, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 7], "the others do not notice");
    sleep(Duration::from_millis(100)).await;
    let mut crowd = Vec::new();
    for _ in 0..2 {
        let mut client = rig.client().await;
        assert_eq!(ask(&mut client, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 7]);
        crowd.push(client);
    }
    assert!(is_closed(&mut rig.client().await).await, "three from one address");
    assert!(is_closed(&mut good).await, "who says nothing for long is let go");
    let metrics = rig.http("GET", "/metrics", Some(SECRETS[2].1), "").await.1;
    for (name, least) in [("slow", 2), ("foreign", 2), ("refused", 1)] {
        let line = format!("\ntwinguard_modbus_clients_{name}_total ");
        let count = metrics.split_once(&line).and_then(|(_, rest)| rest.lines().next()?.parse::<u32>().ok());
        assert!(count.is_some_and(|it| it >= least), "{name}: {count:?}");
    }
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_reads_pass_and_commands_stop() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "").await;
    let mut client = rig.client().await;
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 9]).await, [6, 0, 0, 0, 9]);
    rig.gateway.guard().stop().await.unwrap();
    assert_eq!(ask(&mut client, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 9]);
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 8]).await, [0x86, 4]);
    let mut late = rig.client().await;
    assert_eq!(ask(&mut late, &[3, 0, 0, 0, 1]).await, [3, 2, 0, 9]);
    assert_eq!(ask(&mut late, &[6, 0, 0, 0, 8]).await, [0x86, 4]);
    let (status, body) = rig.http("GET", "/health", None, "").await;
    assert!(status == 503 && body.contains("nothing may command"), "{body}");
    let command = "{\"signal\": \"tank.pump\", \"value\": 1}";
    assert_eq!(rig.http("POST", "/v1/commands", Some(SECRETS[0].1), command).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_exchanged_while_a_client_is_connected() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "").await;
    let mut client = rig.client().await;
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 9]).await, [6, 0, 0, 0, 9]);
    let folder = rig.folder.path();
    let forbid = "format = 1\n[[rule]]\nname = \"stop\"\neffect = \"forbid\"\nsignals = [\"tank.pump\"]\n";
    let text = "mode = \"enforce\"\npolicy = \"policy.toml\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n\
                [[modbus]]\nname = \"m\"\nlisten = \"127.0.0.1:0\"\nserver = \"127.0.0.1:1\"\n";
    write(folder, "policy.toml", forbid);
    let config = Config::parse(text, "gateway.toml", folder).unwrap();
    rig.gateway.reload(&config).await.unwrap();
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 8]).await, [0x86, 1]);
    write(folder, "policy.toml", &forbid.replace("effect", "efect"));
    let told = rig.gateway.reload(&config).await.unwrap_err().to_string();
    assert!(told.contains("policy.toml:4:1: unknown key `efect`, did you mean `effect`?"), "{told}");
    assert_eq!(ask(&mut client, &[6, 0, 0, 0, 8]).await, [0x86, 1], "what was in force stays");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_advisory_mode_everything_passes_and_is_told() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::with(server.address, "advisory", "", "").await;
    let mut client = rig.client().await;
    assert_eq!(ask(&mut client, &[6, 0, 0, 3, 0]).await, [6, 0, 0, 3, 0]);
    let state = rig.http("GET", "/v1/state", Some(SECRETS[2].1), "").await.1;
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let verdict = &state["verdicts"][0];
    assert_eq!((&verdict["decision"], &verdict["already_sent"]), (&"deny".into(), &true.into()));
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_judges_commands_and_knows_its_bearers() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "").await;
    let [platform, anna, watcher] = SECRETS.map(|(_, secret)| Some(secret));
    let ask = |who, body: &'static str| rig.http("POST", "/v1/commands", who, body);
    let as_plc = "{\"signal\": \"tank.pump\", \"value\": 20, \"principal\": {\"name\": \"plc\"}}";
    let (status, body) = ask(platform, as_plc).await;
    let verdict: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &verdict["send"], &verdict["value"]), (200, &true.into(), &20.0.into()), "{body}");
    assert!(verdict["journal"]["root"].is_string());
    let (status, body) = ask(platform, "{\"signal\": \"tank.pump\", \"value\": 20}").await;
    assert!(status == 200 && body.contains("\"decision\":\"deny\""), "the platform itself may not: {body}");
    assert_eq!(ask(None, as_plc).await.0, 401);
    assert_eq!(ask(Some("00000000000000000000000000000000"), as_plc).await.0, 401);
    assert_eq!(ask(watcher, as_plc).await.0, 403);
    assert_eq!(ask(platform, "{\"signal\": \"tank.pumo\", \"value\": 1}").await.0, 400);
    assert_eq!(ask(platform, "{\"signal\": \"tank.pump\", \"valeu\": 1}").await.0, 400);
    let long = format!("{{\"points\": [{}]}}", " ".repeat(5_000));
    assert_eq!(rig.http("POST", "/v1/points", platform, &long).await.0, 413);
    let points = "{\"points\": [{\"signal\": \"tank.level\", \"value\": 1.5}]}";
    assert_eq!(rig.http("POST", "/v1/points", platform, points).await, (200, "{\"taken\":1}".to_owned()));
    assert_eq!(rig.http("GET", "/v1/nothing", platform, "").await.0, 404);

    let held = "{\"signal\": \"tank.setpoint\", \"value\": 4, \"principal\": {\"name\": \"plc\"}}";
    let held: serde_json::Value = serde_json::from_str(&ask(platform, held).await.1).unwrap();
    assert_eq!(held["decision"], "hold");
    let path = format!("/v1/held/{}", held["command"]);
    let word = "{\"approve\": true, \"signal\": \"tank.setpoint\", \"value\": 4}";
    assert_eq!(rig.http("POST", &path, platform, word).await.0, 403, "no right to approve");
    let other = "{\"approve\": true, \"signal\": \"tank.setpoint\", \"value\": 5}";
    assert_eq!(rig.http("POST", &path, anna, other).await.0, 409);
    let (status, body) = rig.http("POST", &path, anna, word).await;
    assert!(status == 200 && body.contains("\"decision\":\"allow\""), "{body}");
    assert_eq!(rig.http("POST", &path, anna, word).await.0, 409, "once");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_bounds_what_anybody_can_ask() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::with(server.address, "enforce", "requests_per_second = 5\nconnections = 4", "").await;
    let mut flooded = 0;
    for _ in 0..20 {
        flooded += u16::from(rig.http("GET", "/v1/state", Some(SECRETS[2].1), "").await.0 == 429);
    }
    assert!(flooded >= 5, "{flooded}");
    // A head that never ends, and a body that never comes.
    let api = rig.gateway.api().unwrap();
    let mut slow = TcpStream::connect(api).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nHost:").await.unwrap();
    assert!(is_closed(&mut slow).await || is_closed(&mut slow).await);
    let mut slow = TcpStream::connect(api).await.unwrap();
    let head = format!(
        "POST /v1/points HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        SECRETS[0].1
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read = timeout(Duration::from_secs(5), slow.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    drop(slow);
    let mut crowd = Vec::new();
    for _ in 0..4 {
        crowd.push(TcpStream::connect(api).await.unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(is_closed(&mut TcpStream::connect(api).await.unwrap()).await, "more than four at one time");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_the_state_and_verdicts_and_end_with_the_gateway() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "").await;
    let mut events = TcpStream::connect(rig.gateway.api().unwrap()).await.unwrap();
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", SECRETS[2].1);
    events.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = vec![0; 64 << 10];
    let mut client = rig.client().await;
    let mut commanded = false;
    while !(text.contains("event: verdict") && text.contains("event: state")) {
        let read = timeout(Duration::from_secs(5), events.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if !commanded {
            commanded = true;
            ask(&mut client, &[6, 0, 0, 3, 0]).await;
        }
    }
    assert!(text.contains("\"decision\":\"deny\""), "{text}");
    let stop = rig.gateway.stop();
    timeout(Duration::from_secs(10), stop).await.expect("a listener does not keep it").unwrap();
    assert!(rig.folder.path().join("journal").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_stands_alone_and_carries_no_foreign_markup() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "").await;
    let mut stream = TcpStream::connect(rig.gateway.api().unwrap()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    assert!(
        page.contains("content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'")
    );
    let files = ["/", "/operations.js", "/operations.css"];
    for file in files {
        let (status, text) = rig.http("GET", file, None, "").await;
        assert_eq!(status, 200);
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:"), "{file} asks somebody else");
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick=\""] {
            assert!(!text.contains(way), "{file} has {way}");
        }
        assert!(!text.contains("alert(1)"), "what strangers name comes as data alone");
    }
    let state = rig.http("GET", "/v1/state", Some(SECRETS[2].1), "").await.1;
    assert!(state.contains("alert(1)"), "and is told as it is: {state}");
    rig.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_clients_are_served_at_once() {
    let server = Server::start("127.0.0.1:0").await;
    let rig = Rig::start(server.address, "connections = 400\nrequests_per_second = 5000").await;
    // Three of one address are the most; here each has an address of its own.
    let address = rig.gateway.proxies()[0].address;
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..150_u32 {
        clients.spawn(async move {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            let from = std::net::Ipv4Addr::from_bits(0x7f01_0000 + n + 1);
            socket.bind((from, 0).into()).unwrap();
            let mut client = socket.connect(address).await.unwrap();
            for _ in 0..5 {
                assert_eq!(ask(&mut client, &[3, 0, 5, 0, 1]).await, [3, 2, 0, 7]);
                assert_eq!(ask(&mut client, &[6, 0, 0, 0, 1]).await, [0x86, 1], "not a party");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(server.asked(), 750);
    rig.gateway.stop().await.unwrap();
}
