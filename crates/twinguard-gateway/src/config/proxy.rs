//! The tables of proxies.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;

use twinguard::protocol::Family;
use twinguard::protocol::protocol::Protocol as _;
use twinguard::protocol::protocols::opcua::OpcUa as Nodes;
use twinguard::twin::problem::Problem;

use super::noise::{self, Noise, NoiseTowards};
use super::reader::Table;
use super::tls::{self, Tls, TlsTowards};
use super::{address, bounded, must_address, seconds, secure};

/// A proxy before one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it stands.
    pub ends: Ends,
    /// What is spoken there.
    pub speaks: Speaks,
}

/// What a proxy of any protocol has: who may come in, how the server is found, and how long either is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
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
    /// How long a message may take to arrive once it has begun, and, but for Modbus, the first one of a client to come.
    pub message_time: Duration,
    /// How long a connection to the server may take.
    pub connect_time: Duration,
    /// How long the guard may take to decide; then the command is refused.
    pub decide_time: Duration,
    /// What stands before clients; `None`: plain text, and who they are by their addresses.
    pub front: Option<FrontDoor>,
    /// How the server is spoken to; `None`: plain text.
    pub back: Option<BackDoor>,
}

/// An encrypted channel before clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontDoor {
    /// TLS; they show certificates (of Modbus, Modbus/TCP Security; of OPC UA, a tunnel of theirs).
    Tls(Tls),
    /// Noise; they are known by their keys.
    Noise(Noise),
}

/// An encrypted channel towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackDoor {
    /// TLS.
    Tls(TlsTowards),
    /// Noise.
    Noise(NoiseTowards),
}

/// What a proxy speaks, with what only this protocol has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Modbus/TCP.
    Modbus(Modbus),
    /// MQTT.
    Mqtt(Mqtt),
    /// IEC 60870-5-104.
    Iec104(Iec104),
    /// OPC UA.
    OpcUa(OpcUa),
}

/// A Modbus/TCP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modbus {
    /// Requests per second and client, on average; as many again in a burst.
    pub requests_per_second: u32,
    /// Requests of one client that may wait for their answers.
    pub open_requests: usize,
    /// A client that says nothing for so long is let go.
    pub idle: Duration,
    /// How long the server may take to answer.
    pub answer_time: Duration,
    /// Functions other than the standard's reads and writes of values that pass, for example 8 (diagnostics).
    pub functions: Vec<u8>,
}

/// An MQTT proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    /// Commands per second and client, on average; as many again in a burst. Other packets are not counted.
    pub commands_per_second: u32,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// Topic filters beside Sparkplug's commands and the topics that the plant file lets somebody write: what matches them
    /// commands as well.
    pub commands: Vec<String>,
    /// Metrics of Sparkplug's commands that pass without being judged, for example `Node Control/Rebirth`.
    pub metrics: Vec<String>,
}

/// An IEC 60870-5-104 proxy, before a controlled station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iec104 {
    /// Messages that are no mere questions per second and client, on average; as many again in a burst.
    pub commands_per_second: u32,
    /// Types other than commands and questions that pass without being judged, for example 103 (clock synchronisation).
    pub types: Vec<u8>,
}

/// What becomes of OPC UA channels that sign or encrypt, and so cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secured {
    /// They are refused.
    Refuse,
    /// They pass with whatever is commanded in them; who opened and closed them is seen.
    Pass,
}

/// An OPC UA proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpcUa {
    /// Requests that write or call per second and client, on average; as many again in a burst.
    pub commands_per_second: u32,
    /// Longest request in bytes.
    pub message_bytes: usize,
    /// What becomes of channels that sign or encrypt.
    pub secured: Secured,
    /// Methods that may be called without being judged, by their node ids.
    pub methods: Vec<String>,
    /// Further services that pass, by the numbers of their binary encodings, for example 700 (`HistoryUpdate`).
    pub services: Vec<u16>,
}

impl Proxy {
    /// How it is called on the page and in mistakes: its protocol and its name.
    #[must_use]
    pub fn called(&self) -> String {
        format!("{} {}", self.speaks.key(), self.ends.name)
    }
}

impl Speaks {
    /// The name of its tables in the file, and of its metrics.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Modbus(_) => "modbus",
            Self::Mqtt(_) => "mqtt",
            Self::Iec104(_) => "iec104",
            Self::OpcUa(_) => "opcua",
        }
    }

    /// The protocol.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Modbus(_) => Family::Modbus,
            Self::Mqtt(_) => Family::Mqtt,
            Self::Iec104(_) => Family::Iec104,
            Self::OpcUa(_) => Family::OpcUa,
        }
    }
}

/// How the tables of one protocol are read.
pub(crate) struct Kind {
    /// As [`Speaks::key`].
    pub(crate) key: &'static str,
    /// Seconds that a message may take where the table does not say.
    message_s: f64,
    read: fn(&Table<'_, '_>) -> Speaks,
}

/// All protocols that have proxies, in the order in which their proxies and metrics are listed.
pub(crate) const PROXIES: [Kind; 4] = [
    Kind { key: "modbus", message_s: 5.0, read: modbus },
    Kind { key: "mqtt", message_s: 30.0, read: mqtt },
    Kind { key: "iec104", message_s: 15.0, read: iec104 },
    Kind { key: "opcua", message_s: 10.0, read: opcua },
];

/// Reads the tables of all proxies.
pub(super) fn proxies(table: &Table<'_, '_>, folder: &Path) -> Vec<Proxy> {
    let (mut proxies, mut taken) = (Vec::new(), Vec::new());
    for Kind { key, message_s, read } in PROXIES {
        let tables = table.tables(key);
        bounded(table, key, tables.len());
        let mut names = Vec::new();
        for inner in tables {
            let ends = ends(&inner, folder, message_s, &mut names, &mut taken);
            proxies.push(Proxy { ends, speaks: read(&inner) });
            inner.finish();
        }
    }
    proxies
}

/// What every proxy has; `names` are those of its protocol, `taken` is where proxies listen, with their names.
fn ends(
    inner: &Table<'_, '_>,
    folder: &Path,
    message_s: f64,
    names: &mut Vec<String>,
    taken: &mut Vec<(SocketAddr, String)>,
) -> Ends {
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
    Ends {
        name: name.map(|it| it.value).unwrap_or_default(),
        listen: listen.unwrap_or(nowhere),
        server,
        device: device.unwrap_or(server),
        connections: inner.count("connections", 1..100_001, 64) as usize,
        connections_per_client: inner.count("connections_per_client", 1..100_001, 16) as usize,
        message_time: seconds(inner, "message_s", message_s),
        connect_time: seconds(inner, "connect_s", 3.0),
        decide_time: seconds(inner, "decide_s", 0.5),
        front: front(inner, folder),
        back: back(inner, folder, server),
    }
}

/// The tables `tls` and `noise`, of which one may be there.
fn front(table: &Table<'_, '_>, folder: &Path) -> Option<FrontDoor> {
    either(table, "tls", "noise");
    let tls = secure(table, folder, true).map(FrontDoor::Tls);
    let noise = table.table("noise").and_then(|inner| {
        let noise = noise::before(&inner, folder);
        inner.finish();
        noise
    });
    tls.or(noise.map(FrontDoor::Noise))
}

/// The tables `server_tls` and `server_noise`, of which one may be there.
fn back(table: &Table<'_, '_>, folder: &Path, server: SocketAddr) -> Option<BackDoor> {
    either(table, "server_tls", "server_noise");
    let tls = table.table("server_tls").and_then(|inner| {
        let tls = tls::towards(&inner, folder, server);
        inner.finish();
        tls
    });
    let noise = table.table("server_noise").and_then(|inner| {
        let noise = noise::towards(&inner, folder);
        inner.finish();
        noise
    });
    tls.map(BackDoor::Tls).or(noise.map(BackDoor::Noise))
}

fn either(table: &Table<'_, '_>, one: &'static str, other: &'static str) {
    if table.has(one) && table.has(other) {
        let reason = format!("contradicts `{one}`: it is one of them");
        table.reader().refuse(table.place_of(other), other, reason);
    }
}

fn modbus(inner: &Table<'_, '_>) -> Speaks {
    Speaks::Modbus(Modbus {
        requests_per_second: inner.count("requests_per_second", 1..1_000_001, 500),
        open_requests: inner.count("open_requests", 1..1_025, 16) as usize,
        idle: seconds(inner, "idle_s", 300.0),
        answer_time: seconds(inner, "answer_s", 3.0),
        functions: inner.counts("functions", 1..128).into_iter().map(|it| it as u8).collect(),
    })
}

fn mqtt(inner: &Table<'_, '_>) -> Speaks {
    let commands = inner.texts("commands");
    for filter in commands.iter().filter(|filter| !is_filter(&filter.value)) {
        let reason = "must hold topic filters: `#` as the last level alone, `+` as a whole level";
        inner.reader().refuse(filter.at, "commands", reason);
    }
    Speaks::Mqtt(Mqtt {
        commands_per_second: commands_per_second(inner),
        packet_bytes: inner.count("packet_bytes", 1_024..(256 << 20) + 1, 1 << 20) as usize,
        commands: commands.into_iter().map(|it| it.value).collect(),
        metrics: inner.texts("metrics").into_iter().map(|it| it.value).collect(),
    })
}

fn iec104(inner: &Table<'_, '_>) -> Speaks {
    let types = inner.counts("types", 1..256).into_iter().map(|it| it as u8).collect::<Vec<_>>();
    if types.iter().any(|it| (45..=64).contains(it)) {
        let reason = "must not hold commands (45 to 64): the policy says which of them pass";
        inner.reader().refuse(inner.place_of("types"), "types", reason);
    }
    Speaks::Iec104(Iec104 { commands_per_second: commands_per_second(inner), types })
}

fn opcua(inner: &Table<'_, '_>) -> Speaks {
    let methods = inner.texts("methods");
    for method in methods.iter().filter(|method| !is_node(&method.value)) {
        let reason = "must hold node ids such as `i=3875` or `ns=2;s=Oven.Start`";
        inner.reader().refuse(method.at, "methods", reason);
    }
    let services: Vec<u16> = inner.counts("services", 1..65_536).into_iter().map(|it| it as u16).collect();
    if services.iter().any(|it| matches!(it, 673 | 712)) {
        let reason = "must not hold Write (673) and Call (712): the policy says which of them pass";
        inner.reader().refuse(inner.place_of("services"), "services", reason);
    }
    let choices = [("refuse", Secured::Refuse), ("pass", Secured::Pass)];
    Speaks::OpcUa(OpcUa {
        commands_per_second: commands_per_second(inner),
        message_bytes: inner.count("message_bytes", 8_192..(16 << 20) + 1, 1 << 20) as usize,
        secured: inner.choice("secured", &choices).unwrap_or(Secured::Refuse),
        methods: methods.into_iter().map(|it| it.value).collect(),
        services,
    })
}

fn commands_per_second(inner: &Table<'_, '_>) -> u32 {
    inner.count("commands_per_second", 1..1_000_001, 50)
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
    let written = |tag| fmt::from_fn(|f| Nodes::write_tag(&tag, f)).to_string();
    !text.starts_with("attr=")
        && !text.starts_with("index=")
        && Nodes::parse_tag(text).map(written).as_deref() == Some(text)
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
