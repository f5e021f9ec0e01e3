//! The configuration: one TOML file, every mistake with file, line, what is wrong and the nearest valid choice.

mod noise;
mod oidc;
mod one_way;
mod proxy;
mod reader;
mod tls;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use twinguard::twin::problem::Located;
use twinguard::types::PrincipalKind;

use crate::Error;
pub use crate::core::Mode;
pub(crate) use noise::secret as noise_secret;
pub use noise::{Noise, NoiseClient, NoiseTowards};
pub use oidc::{Group, IdentityProvider};
pub(crate) use oidc::{keys as oidc_keys, unknown_roles};
pub use one_way::{OneWayReceive, OneWaySend};
pub(crate) use one_way::{key as one_way_key, state as one_way_state};
pub(crate) use proxy::PROXIES;
pub use proxy::{BackDoor, Ends, FrontDoor, Iec104, Modbus, Mqtt, OpcUa, Proxy, Secured, Speaks};
use reader::{At, Reader, Table};
pub use tls::{PostQuantum, Tls, TlsTowards};

/// Largest configuration file in bytes.
const FILE_LIMIT: usize = 1 << 20;
/// Most tokens, most proxies.
const LIMIT: usize = 1_000;

/// Where the plant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlantSource {
    /// A sealed folder.
    Sealed {
        /// The folder.
        folder: PathBuf,
        /// Its seal.
        seal: PathBuf,
        /// The vendor's public key, as text.
        public_key: String,
    },
    /// A plant file that no seal covers: said loudly in the journal and on the page.
    Unsealed(PathBuf),
}

/// Normal history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// None: limits are physical only.
    None,
    /// A CSV file, without these columns.
    Telemetry {
        /// The file.
        file: PathBuf,
        /// Columns that are no signals.
        ignore: Vec<String>,
    },
    /// The first while of what is told is taken as normal.
    First(Duration),
}

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The folder.
    pub folder: PathBuf,
    /// Whether a permitted command waits for the device, so that its verdict survives a loss of power.
    pub power: bool,
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Tell of logins and sessions.
    Access,
    /// Approve or refuse held commands.
    Approve,
    /// Have commands vetted.
    Commands,
    /// Acknowledge, shelve, close, declare maintenance and modes.
    Operate,
    /// Say how actions ended.
    Outcomes,
    /// Tell values.
    Points,
    /// See state, findings, verdicts, metrics.
    Read,
}

const RIGHTS: [(&str, Right); 7] = [
    ("access", Right::Access),
    ("approve", Right::Approve),
    ("commands", Right::Commands),
    ("operate", Right::Operate),
    ("outcomes", Right::Outcomes),
    ("points", Right::Points),
    ("read", Right::Read),
];

/// A bearer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who this is: a party of the plant file, or a name of its own.
    pub principal: String,
    /// Kind, for a name that the plant file does not know.
    pub kind: PrincipalKind,
    /// Roles, for a name that the plant file does not know.
    pub roles: Vec<String>,
    /// The file that holds the secret.
    pub file: PathBuf,
    /// What it lets its bearer do.
    pub may: BTreeSet<Right>,
    /// Whether it may name somebody else who commands, approves or operates: a platform that knows who logged in.
    pub speaks_for: bool,
    /// The SPIFFE id or common name of the client certificate that has to come with it; `None`: any that the API takes.
    pub certificate: Option<String>,
}

/// The sidecar API and the operations page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Requests per second and bearer, on average; as many again in a burst.
    pub requests_per_second: u32,
    /// Connections at one time.
    pub connections: usize,
    /// How long a request may take to arrive.
    pub request_time: Duration,
    /// Whether `/metrics` asks for no token.
    pub open_metrics: bool,
    /// TLS; `None`: plain text.
    pub tls: Option<Tls>,
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether verdicts bind.
    pub mode: Mode,
    /// The plant.
    pub plant: PlantSource,
    /// A policy file beside the plant file's rules.
    pub policy: Option<PathBuf>,
    /// Normal history.
    pub history: History,
    /// False alarms per day that are acceptable; `None`: as the plant file says.
    pub false_alarms_per_day: Option<f64>,
    /// Whether consequences are simulated before a command passes.
    pub what_if: bool,
    /// Whether an unsafe value is brought to the nearest safe one.
    pub clamp: bool,
    /// The journal; `None`: the latest entries, in memory.
    pub journal: Option<Journal>,
    /// The API.
    pub api: Option<Api>,
    /// Its bearers.
    pub tokens: Vec<Token>,
    /// Whose tokens people may come with instead.
    pub identity_providers: Vec<IdentityProvider>,
    /// The proxies, those of one protocol after those of another.
    pub proxies: Vec<Proxy>,
    /// Lines by which the points that the API takes go out.
    pub one_way_sends: Vec<OneWaySend>,
    /// Lines by which points come in.
    pub one_way_receives: Vec<OneWayReceive>,
}

impl Config {
    /// Reads a configuration file; paths in it start from its folder.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Config`] with all mistakes.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            what: "cannot read",
            name: name.clone(),
            source,
        })?;
        Self::parse(&text, &name, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a configuration; `file` is the name shown in mistakes, `folder` where relative paths start.
    ///
    /// ```
    /// use twinguard_gateway::Config;
    ///
    /// let text = "mode = \"enforce\"\n[plant]\nfile = \"plant.toml\"\nunsealed = true\n[api]\nlistem = \"127.0.0.1:8080\"\n";
    /// let error = Config::parse(text, "gateway.toml", ".".as_ref()).unwrap_err();
    /// assert!(error.to_string().contains("gateway.toml:6:1: unknown key `listem`, did you mean `listen`?"));
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self, Error> {
        let reader = Reader::new(file, text);
        if text.len() > FILE_LIMIT {
            reader.refuse(0, file, format!("is larger than {FILE_LIMIT} bytes"));
            return Err(Error::Config(reader.into_problems()));
        }
        let table = reader.parse();
        if reader.is_wrong() {
            // What would be told of the rest follows from what TOML did not understand.
            return Err(Error::Config(reader.into_problems()));
        }
        let config = root(Table::root(&reader, &table), folder);
        let problems: Vec<Located> = reader.into_problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Error::Config(problems)),
        }
    }
}

fn root(table: Table<'_, '_>, folder: &Path) -> Option<Config> {
    let mode = table.must_choice("mode", &[("advisory", Mode::Advisory), ("enforce", Mode::Enforce)]);
    let plant = match table.table("plant") {
        Some(inner) => {
            let plant = plant(&inner, folder);
            inner.finish();
            plant
        }
        None => {
            if !table.has("plant") {
                table.reader().refuse(0, "plant", "is missing: say with [plant] where the plant file is");
            }
            None
        }
    };
    let policy = table.text("policy").map(|it| file(&table, folder, &it));
    let history = table.table("history").map_or(History::None, |inner| {
        let history = history(&inner, folder);
        inner.finish();
        history
    });
    let (mut false_alarms_per_day, mut what_if, mut clamp) = (None, true, true);
    if let Some(inner) = table.table("guard") {
        if inner.has("false_alarms_per_day") {
            false_alarms_per_day = Some(inner.number("false_alarms_per_day", 1e-6..1e6, 0.1));
        }
        what_if = inner.flag_on("what_if");
        clamp = inner.flag_on("clamp");
        inner.finish();
    }
    let journal = table.table("journal").and_then(|inner| {
        let power = inner.choice("durability", &[("power", true), ("process", false)]).unwrap_or(false);
        let journal = inner.must_text("folder").map(|it| Journal { folder: folder.join(it.value), power });
        inner.finish();
        journal
    });
    let api = table.table("api").and_then(|inner| {
        let api = api(&inner, folder);
        inner.finish();
        api
    });
    let tokens = tokens(&table, folder, api.as_ref());
    let proxies = proxy::proxies(&table, folder);
    let (one_way_sends, one_way_receives) = one_way::lines(&table, folder, table.has("api"));
    let identity_providers = oidc::providers(&table, folder, table.has("api"));
    if api.is_some() && tokens.is_empty() && !table.has("token") && !table.has("oidc") {
        table.reader().refuse(table.place_of("api"), "api", "needs at least one [[token]] or [[oidc]]");
    }
    let listens = PROXIES.iter().map(|kind| kind.key).chain(["one_way_receive"]).any(|key| table.has(key));
    if !table.has("api") && !listens {
        let reason = "`modbus`, `mqtt`, `iec104`, `opcua` and `one_way_receive` are all missing: the gateway would do \
                      nothing";
        table.reader().refuse(0, "api", reason);
    }
    table.finish();
    Some(Config {
        mode: mode?,
        plant: plant?,
        policy,
        history,
        false_alarms_per_day,
        what_if,
        clamp,
        journal,
        api,
        tokens,
        identity_providers,
        proxies,
        one_way_sends,
        one_way_receives,
    })
}

/// A file that has to be there.
fn file(table: &Table<'_, '_>, folder: &Path, name: &At<String>) -> PathBuf {
    let path = folder.join(&name.value);
    if let Err(error) = std::fs::metadata(&path) {
        table.reader().refuse(name.at, &name.value, format!("cannot be read: {error}"));
    }
    path
}

fn plant(table: &Table<'_, '_>, folder: &Path) -> Option<PlantSource> {
    let unsealed = table.flag("unsealed");
    let plain = table.text("file");
    let sealed = ["folder", "seal", "public_key"].map(|key| table.text(key));
    match (plain, sealed) {
        (Some(plain), [None, None, None]) => {
            if !unsealed {
                let reason = "is not sealed: say `unsealed = true` if that is meant, or give `folder`, `seal`, `public_key`";
                table.reader().refuse(plain.at, "file", reason);
            }
            Some(PlantSource::Unsealed(file(table, folder, &plain)))
        }
        (None, [Some(model), Some(seal), Some(key)]) => {
            if unsealed {
                table.reader().refuse(table.place_of("unsealed"), "unsealed", "contradicts `seal`");
            }
            let key_file = file(table, folder, &key);
            let public_key = std::fs::read_to_string(&key_file).unwrap_or_default().trim().to_owned();
            let (model, seal) = (file(table, folder, &model), file(table, folder, &seal));
            Some(PlantSource::Sealed { folder: model, seal, public_key })
        }
        _ => {
            let reason = "needs either `file` with `unsealed = true`, or `folder`, `seal` and `public_key`";
            table.reader().refuse(table.at(), "plant", reason);
            None
        }
    }
}

fn history(table: &Table<'_, '_>, folder: &Path) -> History {
    let ignore = table.texts("ignore").into_iter().map(|it| it.value).collect();
    let telemetry = table.text("telemetry").map(|it| file(table, folder, &it));
    let first = table.has("learn_first_s").then(|| table.number("learn_first_s", 1.0..1e8, 600.0));
    match (telemetry, first) {
        (Some(_), Some(_)) => {
            let reason = "contradicts `telemetry`: history comes from one of them";
            table.reader().refuse(table.place_of("learn_first_s"), "learn_first_s", reason);
            History::None
        }
        (Some(file), None) => History::Telemetry { file, ignore },
        (None, Some(seconds)) => History::First(Duration::from_secs_f64(seconds)),
        (None, None) => {
            table.reader().refuse(table.at(), "history", "needs `telemetry` or `learn_first_s`");
            History::None
        }
    }
}

fn address(table: &Table<'_, '_>, key: &'static str) -> Option<SocketAddr> {
    let text = table.text(key)?;
    match text.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let reason =
                format!("must be an address and a port such as `127.0.0.1:502`, not `{}`", text.value);
            table.reader().refuse(text.at, key, reason);
            None
        }
    }
}

fn must_address(table: &Table<'_, '_>, key: &'static str) -> Option<SocketAddr> {
    if !table.has(key) {
        table.reader().refuse(table.at(), key, "is missing: an address and a port such as `127.0.0.1:502`");
    }
    address(table, key)
}

fn seconds(table: &Table<'_, '_>, key: &'static str, default: f64) -> Duration {
    Duration::from_secs_f64(table.number(key, 1e-3..86_400.0, default))
}

fn api(table: &Table<'_, '_>, folder: &Path) -> Option<Api> {
    let listen = must_address(table, "listen");
    let plain_text = table.flag("plain_text");
    if plain_text && table.has("tls") {
        table.reader().refuse(table.place_of("plain_text"), "plain_text", "contradicts [api.tls]");
    }
    if listen.is_some_and(|it| !it.ip().is_loopback()) && !plain_text && !table.has("tls") {
        let reason = "is not on this machine, and tokens would cross the network in plain text: give [api.tls], or say \
                      `plain_text = true`";
        table.reader().refuse(table.place_of("listen"), "listen", reason);
    }
    let secure = secure(table, folder, false);
    Some(Api {
        tls: secure,
        body_bytes: table.count("body_bytes", 1_024..64 << 20, 1 << 20) as usize,
        requests_per_second: table.count("requests_per_second", 1..1_000_001, 200),
        connections: table.count("connections", 1..100_001, 256) as usize,
        request_time: seconds(table, "request_s", 10.0),
        open_metrics: table.flag("open_metrics"),
        listen: listen?,
    })
}

const KINDS: [(&str, PrincipalKind); 3] =
    [("user", PrincipalKind::User), ("service", PrincipalKind::Service), ("device", PrincipalKind::Device)];

/// The table `tls` before a listener.
fn secure(table: &Table<'_, '_>, folder: &Path, mutual: bool) -> Option<Tls> {
    table.table("tls").and_then(|inner| {
        let tls = tls::before(&inner, folder, mutual);
        inner.finish();
        tls
    })
}

fn tokens(table: &Table<'_, '_>, folder: &Path, api: Option<&Api>) -> Vec<Token> {
    let tables = table.tables("token");
    bounded(table, "token", tables.len());
    let mut seen = BTreeSet::new();
    let mut tokens = Vec::new();
    for inner in tables {
        let principal = inner.must_text("principal");
        let secret = inner.must_text("file").map(|it| {
            let path = file(&inner, folder, &it);
            if std::fs::read_to_string(&path).is_ok_and(|text| text.trim().len() < SECRET) {
                let reason = format!("must hold a secret of at least {SECRET} characters");
                inner.reader().refuse(it.at, &it.value, reason);
            }
            path
        });
        let may = rights(&inner);
        let kind = inner.choice("kind", &KINDS).unwrap_or(PrincipalKind::Service);
        let roles = inner.texts("roles").into_iter().map(|it| it.value).collect();
        let speaks_for = inner.flag("speaks_for");
        let certificate = inner.text("certificate").map(|it| {
            if api.and_then(|api| api.tls.as_ref()).is_none_or(|tls| tls.client_ca.is_none()) {
                let reason = "needs `client_ca` in [api.tls]: nobody would show one";
                inner.reader().refuse(it.at, "certificate", reason);
            }
            it.value
        });
        inner.finish();
        if let (Some(principal), Some(file)) = (principal, secret) {
            if !seen.insert(principal.value.clone()) {
                let problem = twinguard::twin::problem::Problem::Duplicate {
                    what: "principal",
                    name: principal.value.clone(),
                };
                table.reader().problem(principal.at, problem);
            }
            tokens.push(Token {
                principal: principal.value,
                kind,
                roles,
                file,
                may,
                speaks_for,
                certificate,
            });
        }
    }
    tokens
}

/// The rights of the key `may`, which has to be there.
fn rights(table: &Table<'_, '_>) -> BTreeSet<Right> {
    let mut may = BTreeSet::new();
    for word in table.texts("may") {
        match RIGHTS.iter().find(|(name, _)| *name == word.value) {
            Some((_, right)) => {
                may.insert(*right);
            }
            None => table.unknown("right", &word, RIGHTS.iter().map(|(name, _)| *name)),
        }
    }
    if may.is_empty() && !table.has("may") {
        let words: Vec<_> = RIGHTS.iter().map(|(name, _)| *name).collect();
        table.reader().refuse(table.at(), "may", format!("is missing: some of {}", words.join(", ")));
    }
    may
}

/// Least characters of a secret: 128 bits in hexadecimal digits.
const SECRET: usize = 32;

fn bounded(table: &Table<'_, '_>, key: &'static str, count: usize) {
    if count > LIMIT {
        table.reader().refuse(table.place_of(key), key, format!("is given more than {LIMIT} times"));
    }
}

#[cfg(test)]
mod tests;
