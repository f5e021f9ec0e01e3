//! The tables of proxies.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;

use twinguard::twin::problem::Problem;

use super::reader::Table;
use super::tls::{self, Tls, TlsTowards};
use super::{address, bounded, must_address, seconds, secure};

/// A Modbus/TCP proxy before one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modbus {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where clients find it.
    pub listen: SocketAddr,
    /// The server.
    pub server: SocketAddr,
    /// The address under which the plant file knows the server.
    pub device: SocketAddr,
    /// Clients at one time.
    pub connections: usize,
    /// Clients at one time from one address.
    pub connections_per_client: usize,
    /// Requests per second and client, on average; as many again in a burst.
    pub requests_per_second: u32,
    /// Requests of one client that may wait for their answers.
    pub open_requests: usize,
    /// A client that says nothing for so long is let go.
    pub idle: Duration,
    /// How long a message may take to arrive once it has begun.
    pub message_time: Duration,
    /// How long the server may take to answer.
    pub answer_time: Duration,
    /// How long a connection to the server may take.
    pub connect_time: Duration,
    /// How long the guard may take to decide; then the command is refused.
    pub decide_time: Duration,
    /// Functions other than the standard's reads and writes of values that pass, for example 8 (diagnostics).
    pub functions: Vec<u8>,
    /// Modbus/TCP Security before clients, who show certificates; `None`: plain text, and who they are by their addresses.
    pub tls: Option<Tls>,
    /// TLS towards the server; `None`: plain text.
    pub server_tls: Option<TlsTowards>,
}

/// An MQTT proxy before one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where clients find it.
    pub listen: SocketAddr,
    /// The server.
    pub server: SocketAddr,
    /// The address under which the plant file knows the server.
    pub device: SocketAddr,
    /// Clients at one time.
    pub connections: usize,
    /// Clients at one time from one address.
    pub connections_per_client: usize,
    /// Commands per second and client, on average; as many again in a burst. Other packets are not counted.
    pub commands_per_second: u32,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// How long a packet may take to arrive once it has begun, and a client to say who it is.
    pub message_time: Duration,
    /// How long a connection to the server may take.
    pub connect_time: Duration,
    /// How long the guard may take to decide; then the command is refused.
    pub decide_time: Duration,
    /// Topic filters beside Sparkplug's commands and the topics that the plant file lets somebody write: what matches them
    /// commands as well.
    pub commands: Vec<String>,
    /// Metrics of Sparkplug's commands that pass without being judged, for example `Node Control/Rebirth`.
    pub metrics: Vec<String>,
    /// TLS before clients, who show certificates; `None`: plain text, and who they are by their addresses.
    pub tls: Option<Tls>,
    /// TLS towards the server; `None`: plain text.
    pub server_tls: Option<TlsTowards>,
}

/// What every proxy has.
struct Common {
    name: String,
    listen: SocketAddr,
    server: SocketAddr,
    device: SocketAddr,
    connections: usize,
    connections_per_client: usize,
    connect_time: Duration,
    decide_time: Duration,
    tls: Option<Tls>,
    server_tls: Option<TlsTowards>,
}

/// Where proxies listen, with their names.
pub(super) type Taken = Vec<(SocketAddr, String)>;

fn common(inner: &Table<'_, '_>, folder: &Path, names: &mut Vec<String>, taken: &mut Taken) -> Common {
    let name = inner.must_text("name");
    let (listen, server) = (must_address(inner, "listen"), must_address(inner, "server"));
    let device = address(inner, "device");
    if listen.is_some() && listen == server {
        inner.reader().refuse(inner.place_of("server"), "server", "is the proxy itself");
    }
    if let Some(listen) = listen.filter(|listen| listen.port() != 0) {
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == listen) {
            let reason = format!("{listen} is taken by `{other}` already");
            inner.reader().refuse(inner.place_of("listen"), "listen", reason);
        }
        taken.push((listen, name.as_ref().map(|it| it.value.clone()).unwrap_or_default()));
    }
    if let Some(name) = &name {
        if names.contains(&name.value) {
            let problem = Problem::Duplicate { what: "proxy", name: name.value.clone() };
            inner.reader().problem(name.at, problem);
        }
        names.push(name.value.clone());
    }
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let server = server.unwrap_or(nowhere);
    Common {
        name: name.map(|it| it.value).unwrap_or_default(),
        listen: listen.unwrap_or(nowhere),
        server,
        device: device.unwrap_or(server),
        connections: inner.count("connections", 1..100_001, 64) as usize,
        connections_per_client: inner.count("connections_per_client", 1..100_001, 16) as usize,
        connect_time: seconds(inner, "connect_s", 3.0),
        decide_time: seconds(inner, "decide_s", 0.5),
        tls: secure(inner, folder, true),
        server_tls: inner.table("server_tls").and_then(|inner| {
            let tls = tls::towards(&inner, folder, server);
            inner.finish();
            tls
        }),
    }
}

pub(super) fn modbus(table: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Vec<Modbus> {
    let tables = table.tables("modbus");
    bounded(table, "modbus", tables.len());
    let mut names = Vec::new();
    let read = |inner: Table<'_, '_>| {
        let it = common(&inner, folder, &mut names, taken);
        let proxy = Modbus {
            name: it.name,
            listen: it.listen,
            server: it.server,
            device: it.device,
            connections: it.connections,
            connections_per_client: it.connections_per_client,
            requests_per_second: inner.count("requests_per_second", 1..1_000_001, 500),
            open_requests: inner.count("open_requests", 1..1_025, 16) as usize,
            idle: seconds(&inner, "idle_s", 300.0),
            message_time: seconds(&inner, "message_s", 5.0),
            answer_time: seconds(&inner, "answer_s", 3.0),
            connect_time: it.connect_time,
            decide_time: it.decide_time,
            functions: inner.counts("functions", 1..128).into_iter().map(|it| it as u8).collect(),
            tls: it.tls,
            server_tls: it.server_tls,
        };
        inner.finish();
        proxy
    };
    tables.into_iter().map(read).collect()
}

pub(super) fn mqtt(table: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Vec<Mqtt> {
    let tables = table.tables("mqtt");
    bounded(table, "mqtt", tables.len());
    let mut names = Vec::new();
    let read = |inner: Table<'_, '_>| {
        let it = common(&inner, folder, &mut names, taken);
        let commands = inner.texts("commands");
        for filter in commands.iter().filter(|filter| !is_filter(&filter.value)) {
            let reason = "must hold topic filters: `#` as the last level alone, `+` as a whole level";
            inner.reader().refuse(filter.at, "commands", reason);
        }
        let proxy = Mqtt {
            name: it.name,
            listen: it.listen,
            server: it.server,
            device: it.device,
            connections: it.connections,
            connections_per_client: it.connections_per_client,
            commands_per_second: inner.count("commands_per_second", 1..1_000_001, 50),
            packet_bytes: inner.count("packet_bytes", 1_024..(256 << 20) + 1, 1 << 20) as usize,
            message_time: seconds(&inner, "message_s", 30.0),
            connect_time: it.connect_time,
            decide_time: it.decide_time,
            commands: commands.into_iter().map(|it| it.value).collect(),
            metrics: inner.texts("metrics").into_iter().map(|it| it.value).collect(),
            tls: it.tls,
            server_tls: it.server_tls,
        };
        inner.finish();
        proxy
    };
    tables.into_iter().map(read).collect()
}

/// MQTT 5.0 §4.7.1.
fn is_filter(text: &str) -> bool {
    let mut levels = text.split('/').rev();
    let last = levels.next().unwrap_or_default();
    let legal = |level: &str| level == "+" || !level.contains(['+', '#']);
    !text.is_empty() && !text.contains('\0') && (last == "#" || legal(last)) && levels.all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_the_standard() {
        for good in ["#", "a/#", "+/b", "a/+/c", "/", "a"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/b+", "a/#/b", "+a"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
