//! The tables of proxies.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;

use twinguard::protocol::protocol::Protocol as _;
use twinguard::protocol::protocols::opcua::OpcUa as Family;
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

/// An IEC 60870-5-104 proxy before one controlled station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iec104 {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where controlling stations find it.
    pub listen: SocketAddr,
    /// The controlled station.
    pub server: SocketAddr,
    /// The address under which the plant file knows the station.
    pub device: SocketAddr,
    /// Clients at one time.
    pub connections: usize,
    /// Clients at one time from one address.
    pub connections_per_client: usize,
    /// Messages that are no mere questions per second and client, on average; as many again in a burst.
    pub commands_per_second: u32,
    /// How long a message may take to arrive once it has begun, and the first one of a client to begin.
    pub message_time: Duration,
    /// How long a connection to the station may take.
    pub connect_time: Duration,
    /// How long the guard may take to decide; then the command is refused.
    pub decide_time: Duration,
    /// Types other than commands and questions that pass without being judged, for example 103 (clock synchronisation).
    pub types: Vec<u8>,
    /// TLS before clients, who show certificates; `None`: plain text, and who they are by their addresses.
    pub tls: Option<Tls>,
    /// TLS towards the station; `None`: plain text.
    pub server_tls: Option<TlsTowards>,
}

/// What becomes of OPC UA channels that sign or encrypt, and so cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secured {
    /// They are refused.
    Refuse,
    /// They pass with whatever is commanded in them; who opened and closed them is seen.
    Pass,
}

/// An OPC UA proxy before one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpcUa {
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
    /// Requests that write or call per second and client, on average; as many again in a burst.
    pub commands_per_second: u32,
    /// Longest request in bytes.
    pub message_bytes: usize,
    /// How long a request may take to arrive once it has begun, and the first message of a client.
    pub message_time: Duration,
    /// How long a connection to the server may take.
    pub connect_time: Duration,
    /// How long the guard may take to decide; then the command is refused.
    pub decide_time: Duration,
    /// What becomes of channels that sign or encrypt.
    pub secured: Secured,
    /// Methods that may be called without being judged, by their node ids.
    pub methods: Vec<String>,
    /// Further services that pass, by the numbers of their binary encodings, for example 700 (`HistoryUpdate`).
    pub services: Vec<u16>,
    /// TLS before clients, for a tunnel of theirs; `None`: as OPC UA is spoken.
    pub tls: Option<Tls>,
    /// TLS towards the server, for a tunnel of its; `None`: as OPC UA is spoken.
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

pub(super) fn iec104(table: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Vec<Iec104> {
    let tables = table.tables("iec104");
    bounded(table, "iec104", tables.len());
    let mut names = Vec::new();
    let read = |inner: Table<'_, '_>| {
        let it = common(&inner, folder, &mut names, taken);
        let types = inner.counts("types", 1..256).into_iter().map(|it| it as u8).collect::<Vec<_>>();
        if types.iter().any(|it| (45..=64).contains(it)) {
            let reason = "must not hold commands (45 to 64): the policy says which of them pass";
            inner.reader().refuse(inner.place_of("types"), "types", reason);
        }
        let proxy = Iec104 {
            name: it.name,
            listen: it.listen,
            server: it.server,
            device: it.device,
            connections: it.connections,
            connections_per_client: it.connections_per_client,
            commands_per_second: inner.count("commands_per_second", 1..1_000_001, 50),
            message_time: seconds(&inner, "message_s", 15.0),
            connect_time: it.connect_time,
            decide_time: it.decide_time,
            types,
            tls: it.tls,
            server_tls: it.server_tls,
        };
        inner.finish();
        proxy
    };
    tables.into_iter().map(read).collect()
}

pub(super) fn opcua(table: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Vec<OpcUa> {
    let tables = table.tables("opcua");
    bounded(table, "opcua", tables.len());
    let mut names = Vec::new();
    let read = |inner: Table<'_, '_>| {
        let it = common(&inner, folder, &mut names, taken);
        let methods = inner.texts("methods");
        for method in methods.iter().filter(|method| !is_node(&method.value)) {
            let reason = "must hold node ids such as `i=3875` or `ns=2;s=Oven.Start`";
            inner.reader().refuse(method.at, "methods", reason);
        }
        let services = inner.counts("services", 1..65_536).into_iter().map(|it| it as u16);
        let services: Vec<u16> = services.collect();
        if services.iter().any(|it| matches!(it, 673 | 712)) {
            let reason = "must not hold Write (673) and Call (712): the policy says which of them pass";
            inner.reader().refuse(inner.place_of("services"), "services", reason);
        }
        let choices = [("refuse", Secured::Refuse), ("pass", Secured::Pass)];
        let proxy = OpcUa {
            name: it.name,
            listen: it.listen,
            server: it.server,
            device: it.device,
            connections: it.connections,
            connections_per_client: it.connections_per_client,
            commands_per_second: inner.count("commands_per_second", 1..1_000_001, 50),
            message_bytes: inner.count("message_bytes", 8_192..(16 << 20) + 1, 1 << 20) as usize,
            message_time: seconds(&inner, "message_s", 10.0),
            connect_time: it.connect_time,
            decide_time: it.decide_time,
            secured: inner.choice("secured", &choices).unwrap_or(Secured::Refuse),
            methods: methods.into_iter().map(|it| it.value).collect(),
            services,
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

/// A node id in the one way in which tags write it: that of a method, not of an attribute or an element.
fn is_node(text: &str) -> bool {
    let written = |tag| fmt::from_fn(|f| Family::write_tag(&tag, f)).to_string();
    !text.starts_with("attr=")
        && !text.starts_with("index=")
        && Family::parse_tag(text).map(written).as_deref() == Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_in_one_way() {
        for good in ["i=2258", "ns=2;i=5", "ns=2;s=Oven.Start"] {
            assert!(is_node(good), "{good}");
        }
        for bad in ["", "2258", "ns=0;i=5", "i=05", "attr=Call;i=5", "index=1;i=5"] {
            assert!(!is_node(bad), "{bad}");
        }
    }

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
