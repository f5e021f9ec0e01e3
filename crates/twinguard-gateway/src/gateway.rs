//! From a configuration to a running gateway.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{PublicKey, Sealed, Trust, Verified};
use twinguard::twin::Plant;
use twinguard::twin::importers::{Telemetry, TelemetryOptions};
use twinguard::twin::problem::{Located, Place, Problem};
use twinguard::types::{Catalogue, Duration, Source, Timestamp};
use twinguard::{Builder, Guard};

use crate::Error;
use crate::api::{Bearers, People, Sidecar};
use crate::certificate::Term;
use crate::config::{
    BackDoor, Config, FrontDoor, History, Journal, PlantSource, Proxy, Speaks, unknown_roles,
};
use crate::core::mqtt::CommandTopics;
use crate::core::{Core, State};
use crate::doors::{Back, Front, Ready, Towards};
use crate::one_way::{Incoming, Onward, Outgoing};
use crate::relay::{Behind, Relay};
use crate::stats::Stats;
use crate::worker::{self, Handle, clock};
use crate::{iec104, modbus, mqtt, noise, opcua, tls};

/// How long the guard may take to put a policy in force.
const RELOAD: core::time::Duration = core::time::Duration::from_secs(30);

/// Clients that may come at one time; the system's own 128 would let a thousand wait for seconds.
const BACKLOG: u32 = 4_096;

/// A gateway that runs.
pub struct Gateway {
    guard: Handle,
    /// What stands before the API, and before and behind each proxy.
    doors: BTreeMap<String, Doors>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    api: Option<SocketAddr>,
    /// Who may come to the API.
    bearers: Option<Arc<Bearers>>,
    proxies: Vec<Listening>,
    receivers: Vec<Listening>,
}

impl core::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { api, proxies, receivers, .. } = self;
        let mut shown = f.debug_struct("Gateway");
        shown
            .field("api", api)
            .field("proxies", proxies)
            .field("receivers", receivers)
            .finish_non_exhaustive()
    }
}

/// A proxy that waits for clients, or a one-way line that waits for datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What its tables in the configuration are called, for example `modbus`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a listener and, behind it, a server are met with.
#[derive(Clone)]
struct Doors {
    front: Arc<Front>,
    back: Arc<Back>,
}

/// The same, read anew.
struct Fresh {
    front: Option<Ready>,
    back: Option<Towards>,
}

impl Fresh {
    /// Reads the files that a configuration names, for everything that listens by its name.
    fn read(config: &Config) -> Result<BTreeMap<String, Self>, Error> {
        let mut fresh = BTreeMap::new();
        if let Some(api) = &config.api {
            let front = api.tls.as_ref().map(|tls| tls::Ready::read(tls, &[b"http/1.1"])).transpose()?;
            fresh.insert("api".to_owned(), Self { front: front.map(Ready::Tls), back: None });
        }
        for proxy in &config.proxies {
            let inside = proxy.speaks.key();
            let front = match &proxy.ends.front {
                Some(FrontDoor::Tls(tls)) => Some(Ready::Tls(tls::Ready::read(tls, &[])?)),
                Some(FrontDoor::Noise(it)) => Some(Ready::Noise(noise::Ready::read(it, inside)?)),
                None => None,
            };
            let back = match &proxy.ends.back {
                Some(BackDoor::Tls(tls)) => Some(Towards::Tls(tls::Towards::read(tls)?)),
                Some(BackDoor::Noise(it)) => Some(Towards::Noise(noise::Towards::read(it, inside)?)),
                None => None,
            };
            fresh.insert(proxy.called(), Self { front, back });
        }
        Ok(fresh)
    }

    /// When the certificates run out that are shown.
    fn terms(fresh: &BTreeMap<String, Self>) -> Vec<(String, Term)> {
        fresh.iter().filter_map(|(name, it)| Some((name.clone(), it.front.as_ref()?.own()?))).collect()
    }
}

/// What a configuration comes to, and what the linter says of its rules.
#[derive(Debug)]
pub struct Checked {
    /// The guard behind everything.
    pub core: Core,
    /// What the linter finds, one a line.
    pub defects: Vec<String>,
}

/// Builds the guard that a configuration describes. With `dry` the journal stays closed and nothing is written.
///
/// # Errors
/// [`Error::Config`], [`Error::Guard`] or [`Error::Io`], with the file that is wrong.
pub fn build(config: &Config, dry: bool) -> Result<Checked, Error> {
    build_from(config, dry, None)
}

/// The same, going on from the state of another gateway.
fn build_from(config: &Config, dry: bool, state: Option<State>) -> Result<Checked, Error> {
    let (builder, catalogue) = match &config.plant {
        PlantSource::Unsealed(file) => {
            let plant = plant(file)?;
            let catalogue = plant.catalogue.clone();
            (Guard::builder_unsealed(plant), catalogue)
        }
        PlantSource::Sealed { folder, seal, public_key } => {
            let key: PublicKey = public_key.parse().map_err(twinguard::Error::from)?;
            let sealed = Sealed::open(folder, seal, &Trust::new(key)).map_err(twinguard::Error::from)?;
            let plant: Verified<Plant> =
                sealed.load_replayed(twinguard::behaviour::replay).map_err(twinguard::Error::from)?;
            let catalogue = plant.catalogue.clone();
            (Guard::builder(plant), catalogue)
        }
    };
    let mut settings =
        twinguard::Config { false_alarms_per_day: config.false_alarms_per_day, ..Default::default() };
    settings.gate.what_if = config.what_if;
    settings.gate.clamp = config.clamp;
    let mut builder = builder.config(settings);
    if let Some(journal) = config.journal.as_ref().filter(|_| !dry) {
        let durability = if journal.power { Durability::Power } else { Durability::Process };
        builder =
            builder.journal(Directory::open(&journal.folder, durability).map_err(twinguard::Error::from)?);
    }
    let guard = match &state {
        Some(state) => builder.restore(state.guard())?,
        None => taught(builder, catalogue, config)?,
    };
    let server = |it: &Proxy| (it.speaks.family(), it.ends.device.port());
    let servers: Vec<_> = config.proxies.iter().map(server).collect();
    let mut core = Core::new(guard, config.mode)?.with_servers(&servers)?;
    if let Some(state) = state {
        core = core.with_state(state);
    }
    let mut defects = Vec::new();
    if config.policy.is_some() {
        let (text, file) = policy(config)?;
        let now = if dry { Timestamp::ZERO } else { clock() };
        defects = core.set_policy(now, &text, &file).map_err(of_policy)?;
    }
    let unknown = unknown_roles(&config.identity_providers, &core.roles());
    if !unknown.is_empty() {
        return Err(Error::Config(unknown));
    }
    for (name, term) in Fresh::terms(&Fresh::read(config)?) {
        core.certificate(clock(), name, term);
    }
    defects.extend(core.health(clock()).warnings(clock()));
    Ok(Checked { core, defects })
}

/// How often a standby looks whether the active gateway still holds the journal.
const LOOK: core::time::Duration = core::time::Duration::from_millis(50);

/// Waits, blocking, while another gateway holds the journal, and builds the guard as its successor: its verdicts follow those of
/// the one before in the same journal. Mistakes of the configuration are told at once.
///
/// The journal's lock is the fence: the system gives it to one process at a time and takes it back when that ends, however it
/// ends, and no command passes without its verdict in the journal. So there are never two that let commands through.
///
/// # Errors
/// As [`build`]; [`Error::Config`] where there is no journal.
pub fn stand_by(config: &Config) -> Result<Checked, Error> {
    let Some(journal) = &config.journal else {
        let reason = "is missing: a standby takes over whose journal it can open".to_owned();
        return Err(whole("the configuration", Problem::Value { key: "journal".to_owned(), reason }));
    };
    build(config, true)?;
    loop {
        let free = Directory::open(&journal.folder, Durability::Process).map(drop);
        let built = match free {
            Ok(()) => take_over(config, &state_file(journal)),
            Err(error) => Err(twinguard::Error::from(error).into()),
        };
        match built {
            // Somebody else, perhaps another standby.
            Err(Error::Guard(twinguard::Error::Integrity(twinguard::integrity::Error::Locked {
                ..
            }))) => {
                std::thread::sleep(LOOK);
            }
            built => return built,
        }
    }
}

/// Where the active gateway keeps its state for a standby.
fn state_file(journal: &Journal) -> PathBuf {
    journal.folder.join("gateway.state")
}

/// Goes on from the state that the gateway before kept, where it can be used; else from the beginning, and says so.
fn take_over(config: &Config, file: &Path) -> Result<Checked, Error> {
    let refused = match std::fs::read(file) {
        Ok(bytes) => match State::parse(&bytes) {
            Some(state) => match build_from(config, false, Some(state)) {
                Ok(checked) => return Ok(checked),
                Err(error) => error.to_string(),
            },
            None => "it is none".to_owned(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return build(config, false),
        Err(error) => error.to_string(),
    };
    let mut checked = build(config, false)?;
    let told = format!("{}: the state of the gateway before is not taken over: {refused}", file.display());
    checked.defects.push(told);
    Ok(checked)
}

/// The policy file's text and name; an empty policy where there is none.
fn policy(config: &Config) -> Result<(String, String), Error> {
    match &config.policy {
        Some(file) => Ok((read(file)?, file.display().to_string())),
        None => Ok(("format = 1\n".to_owned(), "no policy file".to_owned())),
    }
}

fn taught(builder: Builder, catalogue: Catalogue, config: &Config) -> Result<Guard, Error> {
    match &config.history {
        History::None => Ok(builder.build()?),
        History::First(span) => {
            let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
            Ok(builder.learn_first(Duration::from_nanos(nanos))?)
        }
        History::Telemetry { file, ignore } => {
            let name = file.display().to_string();
            let input = File::open(file).map_err(|source| Error::Io {
                what: "cannot read",
                name: name.clone(),
                source,
            })?;
            let known = catalogue.len();
            let options =
                TelemetryOptions { ignore: ignore.clone(), source: Source::Field, catalogue, lenient: false };
            let telemetry =
                Telemetry::open(BufReader::new(input), options).map_err(|error| in_file(&name, &error))?;
            if let Some((_, signal)) = telemetry.catalogue().iter().nth(known) {
                let reason =
                    "is a column and no signal of the plant: name it in `ignore`, or add it".to_owned();
                return Err(whole(&name, Problem::Value { key: signal.path.to_string(), reason }));
            }
            let learnt = builder.learn(telemetry).map_err(|error| in_file(&name, &error))?;
            Ok(learnt.build()?)
        }
    }
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|source| {
        let name = file.display().to_string();
        Error::Io { what: "cannot read", name, source }
    })
}

fn plant(file: &Path) -> Result<Plant, Error> {
    Plant::parse(&read(file)?, &file.display().to_string()).map_err(|error| Error::Guard(error.into()))
}

/// A mistake in a policy file stands at its own place.
fn of_policy(error: twinguard::Error) -> Error {
    match error {
        twinguard::Error::Gate(twinguard::gate::Error::Policy(located)) => Error::Config(vec![located]),
        other => other.into(),
    }
}

fn in_file(name: &str, error: &dyn core::fmt::Display) -> Error {
    whole(name, Problem::Syntax { reason: error.to_string() })
}

fn whole(name: &str, problem: Problem) -> Error {
    let place = Place { file: name.into(), line: 0, column: 0 };
    Error::Config(vec![Located { place, problem }])
}

impl Gateway {
    /// Opens all sockets and serves. Where one cannot be opened nothing is served.
    ///
    /// # Errors
    /// [`Error::Io`] with the address, or what keeps the guard from starting.
    pub async fn start(config: &Config, core: Core) -> Result<Self, Error> {
        let mut proxies = Vec::new();
        for proxy in &config.proxies {
            proxies.push((proxy, listen(proxy.ends.listen)?));
        }
        let api = match &config.api {
            Some(api) => Some((api.clone(), listen(api.listen)?)),
            None => None,
        };
        let stats = Arc::new(Stats::default());
        let (mut onward, mut outgoing) = (Onward::new(stats.one_way_out.clone()), Vec::new());
        for line in &config.one_way_sends {
            outgoing.push((Outgoing::open(line, stats.one_way_out.clone()).await?, onward.add()));
        }
        let mut incoming = Vec::new();
        for line in &config.one_way_receives {
            incoming.push(Incoming::open(line, stats.one_way_in.clone()).await?);
        }
        let doors = |(name, fresh): (String, Fresh)| {
            let (front, back) = (Arc::new(Front::new(fresh.front)), Arc::new(Back::new(fresh.back)));
            (name, Doors { front, back })
        };
        let doors: BTreeMap<String, Doors> = Fresh::read(config)?.into_iter().map(doors).collect();
        let bindings = core.guard().plant().bindings.clone();
        let guard = worker::start(core, config.journal.as_ref().map(state_file))?;
        let (stop, stopped) = watch::channel(false);
        let (tasks, proxied, receivers) = (Vec::new(), Vec::new(), Vec::new());
        let mut gateway =
            Self { guard, doors, stop, tasks, api: None, bearers: None, proxies: proxied, receivers };
        if let Some((api, listener)) = api {
            gateway.api = listener.local_addr().ok();
            let guard = gateway.guard.clone();
            let front = gateway.doors("api").front;
            let (stats, stopped) = (stats.clone(), stopped.clone());
            let sidecar = Sidecar::new(api, config, guard, stats, onward, stopped, front)?;
            gateway.bearers = Some(sidecar.bearers());
            gateway.tasks.push(tokio::spawn(sidecar.serve(listener)));
        }
        // After the API, which has more to give until it has ended.
        for (line, batches) in outgoing {
            gateway.tasks.push(tokio::spawn(line.serve(batches, stopped.clone())));
        }
        for line in incoming {
            if let Some((name, address)) = line.place() {
                gateway.receivers.push(Listening { kind: "one_way_receive", name, address });
            }
            gateway.tasks.push(tokio::spawn(line.serve(gateway.guard.clone(), stopped.clone())));
        }
        for (proxy, listener) in proxies {
            let (kind, name) = (proxy.speaks.key(), proxy.ends.name.clone());
            if let Ok(address) = listener.local_addr() {
                gateway.proxies.push(Listening { kind, name, address });
            }
            let Doors { front, back } = gateway.doors(&proxy.called());
            let (guard, stats, mode) = (gateway.guard.clone(), stats.clone(), config.mode);
            let relay = Relay::new(Behind { guard, stats, mode, front, back }, proxy);
            let stopped = stopped.clone();
            gateway.tasks.push(match proxy.speaks.clone() {
                Speaks::Modbus(it) => tokio::spawn(modbus::serve(it, relay, listener, stopped)),
                Speaks::Mqtt(it) => {
                    let topics = CommandTopics::new(&bindings, proxy.ends.device, &it.commands);
                    tokio::spawn(mqtt::serve(it, topics, relay, listener, stopped))
                }
                Speaks::Iec104(it) => tokio::spawn(iec104::serve(it, relay, listener, stopped)),
                Speaks::OpcUa(it) => tokio::spawn(opcua::serve(it, relay, listener, stopped)),
            });
        }
        Ok(gateway)
    }

    fn doors(&self, name: &str) -> Doors {
        let plain = || Doors { front: Arc::new(Front::new(None)), back: Arc::new(Back::new(None)) };
        self.doors.get(name).cloned().unwrap_or_else(plain)
    }

    /// Whether the API speaks TLS.
    #[must_use]
    pub fn is_api_secure(&self) -> bool {
        self.doors("api").front.is_secure()
    }

    /// Where the API listens.
    #[must_use]
    pub const fn api(&self) -> Option<SocketAddr> {
        self.api
    }

    /// Where the proxies listen, in the order of [`Config::proxies`].
    #[must_use]
    pub fn proxies(&self) -> &[Listening] {
        &self.proxies
    }

    /// Where the one-way lines listen, in the order of [`Config::one_way_receives`].
    #[must_use]
    pub fn receivers(&self) -> &[Listening] {
        &self.receivers
    }

    /// The guard's thread.
    #[must_use]
    pub const fn guard(&self) -> &Handle {
        &self.guard
    }

    /// Puts the policy that a configuration names in force, and shows the certificates that it names to whoever comes from
    /// now on, without a client noticing, and tells people by the keys of identity providers that it names; gives what the linter finds and which certificates run out. All else in it needs a
    /// restart.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Io`] with the mistakes, [`Error::Unguarded`] when the guard does not answer; policy and
    /// certificates before stay in force then.
    pub async fn reload(&self, config: &Config) -> Result<Vec<String>, Error> {
        let (text, file) = policy(config)?;
        let fresh = Fresh::read(config)?;
        let providers = config.identity_providers.clone();
        let people = People::read(&providers)?;
        let terms = Fresh::terms(&fresh);
        let put = move |core: &mut Core, now| {
            let mut told = core.set_policy(now, &text, &file)?;
            told.extend(unknown_roles(&providers, &core.roles()).iter().map(ToString::to_string));
            terms.into_iter().for_each(|(name, term)| core.certificate(now, name, term));
            told.extend(core.health(now).warnings(now));
            Ok::<_, twinguard::Error>(told)
        };
        let told = self.guard.ask(RELOAD, put).await?.map_err(of_policy)?;
        for (name, fresh) in fresh {
            let doors = self.doors(&name);
            fresh.front.into_iter().for_each(|ready| doors.front.show(ready));
            fresh.back.into_iter().for_each(|towards| doors.back.show(towards));
        }
        if let Some(bearers) = &self.bearers {
            bearers.show(people);
        }
        Ok(told)
    }

    /// Takes no new client, lets open requests be answered, makes the journal last, and ends.
    ///
    /// # Errors
    /// What the journal's storage refuses.
    pub async fn stop(self) -> Result<(), Error> {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task that broke has nothing more to end.
            let _ = task.await;
        }
        self.guard.stop().await
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart does not wait for connections of before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| Error::Io { what: "cannot listen on", name: address.to_string(), source })
}
