//! What the gating Modbus proxy adds: the same writes straight to a server, through a plain copy of bytes, through the gateway.
//!
//! `cargo bench -p benches --bench proxy`. Over loopback, one request at a time, the three ways in turn; quantiles of 4 000
//! writes each. The gateway judges (identity, policy, a rate), journals to memory, and shows its guard what passed.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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
async fn writes(client: &mut TcpStream, count: usize, times: &mut Vec<u64>) {
    for n in 0..count {
        let begun = Instant::now();
        client.write_all(&[0, n as u8, 0, 0, 0, 6, 1, 6, 0, 0, 0, (n % 100) as u8]).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        times.push(begun.elapsed().as_nanos() as u64);
        assert_eq!(answer[7], 6);
    }
}

async fn run(rounds: usize) {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plant.toml"), PLANT).unwrap();
    let text = format!(
        "mode = \"enforce\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n[[modbus]]\nname = \"m\"\n\
         listen = \"127.0.0.1:0\"\nserver = \"{server}\"\ndevice = \"10.0.0.2:502\"\nrequests_per_second = 1000000\n"
    );
    let config = Config::parse(&text, "gateway.toml", folder.path()).unwrap();
    let gateway = Gateway::start(&config, build(&config, true).unwrap().core).await.unwrap();
    let ways = [("direct", server), ("plain copy", copy(server).await), ("gateway", gateway.modbus()[0].1)];
    let mut clients = Vec::new();
    for (name, address) in ways {
        let client = TcpStream::connect(address).await.unwrap();
        client.set_nodelay(true).unwrap();
        clients.push((name, client, Vec::new()));
    }
    for round in 0..rounds + 1 {
        for (_, client, times) in &mut clients {
            writes(client, 100, times).await;
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
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run(rounds));
}
