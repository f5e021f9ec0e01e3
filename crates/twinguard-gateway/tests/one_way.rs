//! Two gateways with a line between them that goes in one direction and loses what it likes.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use twinguard_gateway::{Config, Gateway, build};

use support::write;

const SECRET: &str = "11111111111111111111111111111111";

const PLANT: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "tank.level"
unit = "m"
[[signal]]
path = "tank.pump"
role = "actuator"
"#;

async fn start(folder: &Path, lines: &str) -> Gateway {
    write(folder, "plant.toml", PLANT);
    write(folder, "platform", SECRET);
    write(folder, "diode.key", &"0f".repeat(32));
    let text = format!(
        "mode = \"advisory\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n[api]\nlisten = \"127.0.0.1:0\"\n\
         requests_per_second = 100000\n[[token]]\nprincipal = \"platform\"\nfile = \"platform\"\n\
         may = [\"points\", \"commands\", \"read\"]\n{lines}"
    );
    let config = Config::parse(&text, "gateway.toml", folder).unwrap();
    Gateway::start(&config, build(&config, false).unwrap().core).await.unwrap()
}

async fn receiving(folder: &Path) -> Gateway {
    let line = "[[one_way_receive]]\nname = \"plant\"\nlisten = \"127.0.0.1:0\"\nkey = \"diode.key\"\nstate = \"heard\"\n\
                patience_s = 0.3\nsilence_s = 2\n";
    start(folder, line).await
}

async fn sending(folder: &Path, to: SocketAddr) -> Gateway {
    let line = format!(
        "[[one_way_send]]\nname = \"dmz\"\nto = \"{to}\"\nkey = \"diode.key\"\nhold_s = 0.02\nbeat_s = 0.2\nparity = 2\n"
    );
    start(folder, &line).await
}

async fn http(gateway: &Gateway, method: &str, path: &str, body: &str) -> String {
    support::http(gateway.api().unwrap(), method, path, Some(SECRET), body).await.1
}

async fn tell(gateway: &Gateway, level: f64) {
    let body = format!("{{\"points\": [{{\"signal\": \"tank.level\", \"value\": {level}}}]}}");
    assert_eq!(http(gateway, "POST", "/v1/points", &body).await, "{\"taken\":1}");
}

async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = http(gateway, "GET", "/metrics", "").await;
    let line = format!("\ntwinguard_one_way_{name} ");
    let value = text.split_once(&line).and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no metric {name}"))
}

/// Waits until a metric is at least this.
async fn until(gateway: &Gateway, name: &str, least: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    while metric(gateway, name).await < least {
        assert!(Instant::now() < end, "{name} stays below {least}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn state(gateway: &Gateway) -> serde_json::Value {
    serde_json::from_str(&http(gateway, "GET", "/v1/state", "").await).unwrap()
}

async fn level(gateway: &Gateway) -> Option<f64> {
    let state = state(gateway).await;
    let row = state["signals"].as_array()?.iter().find(|row| row["path"] == "tank.level")?;
    row["reported"].as_f64()
}

/// A line that loses the first two datagrams of each block, and everything while it is cut. Keeps what came.
struct Line {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    task: JoinHandle<()>,
    seen: Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (cut, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let address = socket.local_addr().unwrap();
        let shared = (cut.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2_000];
            while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
                let datagram = &buffer[..length];
                assert!(length <= 1_200);
                shared.1.lock().unwrap().push(datagram.to_vec());
                if datagram[5] >= 2 && !shared.0.load(Ordering::SeqCst) {
                    socket.send_to(datagram, target).await.unwrap();
                    socket.send_to(datagram, target).await.unwrap();
                }
            }
        });
        Self { address, cut, task, seen }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_goes_through_and_nothing_comes_back() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let far = receiving(folders[1].path()).await;
    let target = far.receivers()[0].address;
    assert_eq!((far.receivers()[0].kind, &*far.receivers()[0].name), ("one_way_receive", "plant"));
    let line = Line::to(target).await;
    let near = sending(folders[0].path(), line.address).await;
    for n in 0..50 {
        tell(&near, f64::from(n)).await;
    }
    until(&far, "points_taken_total", 50).await;
    assert_eq!(level(&far).await, Some(49.0), "in order, with two of each block lost");
    // A batch that is longer than a block.
    let many: Vec<_> = (0..300).map(|n| format!("{{\"signal\": \"tank.level\", \"value\": {n}}}")).collect();
    let body = format!("{{\"points\": [{}]}}", many.join(","));
    assert_eq!(http(&near, "POST", "/v1/points", &body).await, "{\"taken\":300}");
    until(&far, "points_taken_total", 350).await;
    assert_eq!(level(&far).await, Some(299.0));
    assert_eq!(metric(&near, "points_sent_total").await, 350);
    assert!(metric(&far, "blocks_recovered_total").await > 0);
    assert!(metric(&far, "datagrams_spare_total").await > 0, "each came twice");
    // Somebody else on the line: no key, an altered one, other bytes.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut altered = line.seen.lock().unwrap()[0].clone();
    *altered.last_mut().unwrap() ^= 1;
    for bytes in [altered.as_slice(), b"GET / HTTP/1.1", &[0; 1_500]] {
        stranger.send_to(bytes, target).await.unwrap();
    }
    until(&far, "datagrams_malformed_total", 2).await;
    until(&far, "datagrams_forged_total", 1).await;
    // A line that is cut is silent, and what it lost is a gap when it is whole again.
    line.cut.store(true, Ordering::SeqCst);
    tell(&near, 100.0).await;
    until(&far, "silences_total", 1).await;
    let warned = |health: &str| health.contains("one-way line `plant` is silent");
    let end = Instant::now() + Duration::from_secs(10);
    while !warned(&http(&far, "GET", "/health", "").await) {
        assert!(Instant::now() < end);
        sleep(Duration::from_millis(50)).await;
    }
    line.cut.store(false, Ordering::SeqCst);
    until(&far, "gaps_total", 1).await;
    tell(&near, 200.0).await;
    until(&far, "points_taken_total", 351).await;
    assert_eq!(level(&far).await, Some(200.0));
    assert!(metric(&far, "blocks_lost_total").await >= 1);
    let row = state(&far).await["health"]["one_way"][0].clone();
    assert_eq!((&row["name"], &row["points"]), (&"plant".into(), &351.into()), "{row}");
    assert!(row["blocks_lost"].as_u64().unwrap() >= 1 && row["silent_since_s"].is_null(), "{row}");
    // Commands are no telemetry, and what was judged near is not told far.
    http(&near, "POST", "/v1/commands", "{\"signal\": \"tank.pump\", \"value\": 1}").await;
    sleep(Duration::from_millis(300)).await;
    let state = state(&far).await;
    assert_eq!(state["verdicts"].as_array().map(Vec::len), Some(0));
    near.stop().await.unwrap();
    far.stop().await.unwrap();
    line.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_refused_whoever_starts_again_and_the_sender_goes_on() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let far = receiving(folders[1].path()).await;
    let line = Line::to(far.receivers()[0].address).await;
    let near = sending(folders[0].path(), line.address).await;
    tell(&near, 1.0).await;
    // The last batch is sent before the gateway ends.
    near.stop().await.unwrap();
    until(&far, "points_taken_total", 1).await;
    far.stop().await.unwrap();
    let recorded = line.seen.lock().unwrap().clone();
    let far = receiving(folders[1].path()).await;
    let target = far.receivers()[0].address;
    let attacker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in &recorded {
        attacker.send_to(datagram, target).await.unwrap();
    }
    until(&far, "datagrams_spare_total", recorded.len() as u64).await;
    let again = Line::to(target).await;
    let near = sending(folders[0].path(), again.address).await;
    tell(&near, 2.0).await;
    until(&far, "points_taken_total", 1).await;
    assert_eq!(level(&far).await, Some(2.0));
    for datagram in &recorded {
        attacker.send_to(datagram, target).await.unwrap();
    }
    until(&far, "datagrams_old_total", recorded.len() as u64).await;
    assert_eq!((level(&far).await, metric(&far, "points_taken_total").await), (Some(2.0), 1));
    near.stop().await.unwrap();
    far.stop().await.unwrap();
    line.task.abort();
    again.task.abort();
}
