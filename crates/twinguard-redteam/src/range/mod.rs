//! A simulated site over real Modbus TCP bytes, with an attacker on the path and a defender at the tap.
//!
//! One step is one sampling period of the plant: the plant moves, the controller polls, the attacker has its hands on
//! the answer, when it is time the controller writes, the attacker writes after it, the vendor's twin follows what the
//! wire says. The defender sees frames, the controller's journal and the vendor's values, as far as its [`Views`] go; it
//! never sees the plant. Its actions are carried out by the platform: isolated peers do not reach the device,
//! substituted values replace measured ones on their way to the controller, commands are written and held.
//!
//! Source: the loop of D. I. Urbina et al., "Limiting the impact of stealthy attacks on industrial control systems",
//! CCS 2016, §2 (plant, field network, supervisory network); Modbus Application Protocol V1.1b3 for the bytes.

mod act;
mod wire;

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::collections::{BTreeMap, BTreeSet};

use twinguard_protocol::protocols::modbus::{Function, Illegal, Repr, WordBuffer};
use twinguard_protocol::{emit::Connection, tcp::End};
use twinguard_twin::Plant;
use twinguard_twin::simulator::cooling_loop::{Options, Site};
use twinguard_twin::simulator::{ClosedLoop, Noise, Register, Spot, Table};
use twinguard_types::{
    Access, AccessOutcome, Action, ActionId, Binding, Digest, Duration, Label, Point, PrincipalId, SignalId,
    Source, Timestamp, Value,
};

use crate::attack::Transit;
use crate::defender::{Defender, Reaction, Stimulus};
use crate::{Injection, Reading, Scenario};

/// Where the parties speak from, and the accounts they use.
pub mod address {
    use core::net::Ipv4Addr;

    use twinguard_types::PrincipalId;

    /// The operator's account, as the platform numbers it.
    pub const OPERATOR_ACCOUNT: PrincipalId = PrincipalId(1_001);
    /// The account of a service that collects values.
    pub const SERVICE_ACCOUNT: PrincipalId = PrincipalId(1_002);

    /// The field device.
    pub const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    /// The controller.
    pub const CONTROLLER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
    /// The vendor's platform, through which operators and the guard write.
    pub const PLATFORM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
    /// The attacker's master.
    pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);
}

const UNIT: u8 = 1;
const PORT: u16 = 502;
/// Requests of strangers in one step that a device still answers beside its controller's.
const BUSY: usize = 20;
/// Steps between two logins of the collecting service, and between two mistyped passwords.
const SERVICE_EVERY: u64 = 600;
const MISTYPED_EVERY: u64 = 7_000;

/// How a run goes.
#[derive(Clone, Debug)]
pub struct RangeOptions {
    /// Seed of plant, noise, latency and attacker.
    pub seed: u64,
    /// Time of the first step.
    pub origin: Timestamp,
    /// Load, weather, noise.
    pub site: Options,
}

/// What a defender is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Views {
    /// The bytes on the wire; without them the values that a broker behind it has.
    pub wire: bool,
    /// The controller's and the platform's journal of commands.
    pub journal: bool,
    /// The vendor's twin.
    pub vendor: bool,
    /// Logins.
    pub access: bool,
    /// Measurements of the running model against its seal, one in so many steps; 0 for none.
    pub attestation: u32,
    /// What the vendor's twin runs with, read one in so many steps; 0 for never.
    pub running: u32,
}

impl Default for Views {
    /// Wire, journal and vendor's twin.
    fn default() -> Self {
        Self { wire: true, journal: true, vendor: true, access: false, attestation: 0, running: 0 }
    }
}

impl Views {
    /// Everything, with a measurement of the model and of what the vendor's twin runs with every sixty steps.
    pub const ALL: Self =
        Self { wire: true, journal: true, vendor: true, access: true, attestation: 60, running: 60 };
}

/// What goes wrong in a range.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError<E> {
    /// The defender could not take a stimulus.
    #[error("defender: {0}")]
    Defender(E),
    /// A message could not be put into bytes.
    #[error(transparent)]
    Message(#[from] Illegal),
    /// A message did not fit in a frame.
    #[error(transparent)]
    Frame(#[from] twinguard_protocol::Error),
}

/// The site after one step.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// The signals of the plant file, in order of their ids.
    pub signals: Vec<(SignalId, Spoken)>,
    /// What the defender said, in order.
    pub reactions: Vec<Reaction>,
}

impl Sample {
    /// The true value of a signal, which no defender sees.
    #[must_use]
    pub fn truth(&self, signal: SignalId) -> Option<f64> {
        self.signals.iter().find(|(known, _)| *known == signal).and_then(|(_, spoken)| spoken.truth)
    }
}

/// One signal as the speakers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spoken {
    /// The truth.
    pub truth: Option<f64>,
    /// On the wire, after the attacker; `None` when the poll was lost.
    pub field: Option<f64>,
    /// What the vendor's twin shows.
    pub vendor: Option<f64>,
}

/// A simulated site under a scenario.
#[derive(Debug)]
pub struct Range {
    site: Box<dyn ClosedLoop>,
    scenario: Scenario,
    origin: Timestamp,
    bindings: BTreeMap<Box<str>, Binding>,
    /// Signals without a register, by path.
    unbound: BTreeMap<Box<str>, SignalId>,
    /// Number of input registers that a poll reads.
    inputs: u16,
    /// A second, or the plant's period where that is shorter: what a step's parts are parts of.
    unit: Duration,
    polls: Peer,
    platform: Peer,
    attackers: BTreeMap<Ipv4Addr, Peer>,
    jitter: Noise,
    views: Views,
    /// What a measurement of an honest model finds.
    digest: Digest,
    /// What an honest vendor's twin runs with.
    parameters: Vec<(String, f64)>,
    /// Steps so far, and strangers' requests that reached the device in the last one.
    steps: u64,
    requests: usize,
    frames: u64,
    buffer: Vec<u8>,
    reactions: Vec<Reaction>,
    isolated: BTreeSet<IpAddr>,
    substituted: BTreeMap<SignalId, ActionId>,
    held: BTreeMap<u16, ActionId>,
    actions: BTreeMap<ActionId, Action>,
}

/// A master with its connection to the device.
#[derive(Clone, Debug)]
struct Peer {
    client: Ipv4Addr,
    connection: Connection,
    transaction: u16,
    open: bool,
}

impl Peer {
    fn new(client: Ipv4Addr, port: u16) -> Self {
        let device = SocketAddrV4::new(address::DEVICE, PORT);
        let connection = Connection::ipv4(SocketAddrV4::new(client, port), device);
        Self { client, connection, transaction: 0, open: false }
    }

    fn next_transaction(&mut self) -> u16 {
        self.transaction = self.transaction.wrapping_add(1);
        self.transaction
    }
}

impl Range {
    /// The cooling loop under a scenario. `plant` says which signal lies in which register.
    #[must_use]
    pub fn new(plant: &Plant, options: &RangeOptions, scenario: Scenario) -> Self {
        let site = Box::new(Site::new(options.seed, &options.site));
        let stretch = Noise::new(options.seed, options.site.stretch.wrapping_mul(1_000).wrapping_add(60));
        Self::over(plant, site, stretch, options.origin, scenario)
    }

    /// Any site under a scenario, for example one of [`twinguard_twin::simulator::references`]; `jitter` gives the latencies.
    #[must_use]
    pub fn over(
        plant: &Plant,
        site: Box<dyn ClosedLoop>,
        jitter: Noise,
        origin: Timestamp,
        scenario: Scenario,
    ) -> Self {
        let bound = |signal| plant.bindings.iter().any(|binding| binding.signal == signal);
        let unbound = plant.catalogue.iter().filter(|(id, _)| !bound(*id));
        let inputs =
            site.device().registers().iter().filter(|register| register.table == Table::Input).count();
        Self {
            unbound: unbound.map(|(id, signal)| (signal.path.clone(), id)).collect(),
            inputs: u16::try_from(inputs).unwrap_or(u16::MAX).min(125),
            unit: site.period().min(Duration::from_secs(1)),
            site,
            scenario,
            origin,
            bindings: plant.bindings.iter().map(|binding| (binding.tag.clone(), binding.clone())).collect(),
            polls: Peer::new(address::CONTROLLER, 40_000),
            platform: Peer::new(address::PLATFORM, 41_000),
            attackers: BTreeMap::new(),
            jitter,
            views: Views::default(),
            digest: plant.digest,
            parameters: plant.dynamics.as_ref().map_or_else(Vec::new, |it| it.model.parameters().to_vec()),
            steps: 0,
            requests: 0,
            frames: 0,
            buffer: Vec::with_capacity(400),
            reactions: Vec::new(),
            isolated: BTreeSet::new(),
            substituted: BTreeMap::new(),
            held: BTreeMap::new(),
            actions: BTreeMap::new(),
        }
    }

    /// Shows the defender more or less than by default.
    #[must_use]
    pub fn views(mut self, views: Views) -> Self {
        self.views = views;
        self
    }

    /// The same range at the same instant, from here on under another scenario: what an attack does there leaves this one alone.
    #[must_use]
    pub fn fork(&self, scenario: Scenario) -> Self {
        Self {
            site: self.site.fork(),
            scenario,
            bindings: self.bindings.clone(),
            unbound: self.unbound.clone(),
            polls: self.polls.clone(),
            platform: self.platform.clone(),
            attackers: self.attackers.clone(),
            jitter: self.jitter.clone(),
            parameters: self.parameters.clone(),
            buffer: Vec::with_capacity(400),
            reactions: Vec::new(),
            isolated: self.isolated.clone(),
            substituted: self.substituted.clone(),
            held: self.held.clone(),
            actions: self.actions.clone(),
            ..*self
        }
    }

    /// Frames sent so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The site that is under attack.
    #[must_use]
    pub fn site(&self) -> &dyn ClosedLoop {
        &*self.site
    }

    /// This many thousandths of a step.
    fn part(&self, thousandths: i64) -> Duration {
        Duration::from_nanos(self.unit.as_nanos() / 1_000 * thousandths)
    }

    /// One period of the site, seen by a defender.
    ///
    /// # Errors
    /// [`RangeError::Defender`] when the defender fails.
    pub fn step<D: Defender>(&mut self, defender: &mut D) -> Result<Sample, RangeError<D::Error>> {
        self.site.device_mut().step();
        let run = self.site.device().now();
        let now = self.origin + (run - Timestamp::ZERO);
        let field = self.poll(now, defender)?;
        self.operate(now, run, defender)?;
        if self.control(now, run, defender)? {
            self.attack(now, defender)?;
        }
        self.show(now, defender)?;
        self.speak(now, defender)?;
        self.log_in(now, defender)?;
        self.measure(now, defender)?;
        let end = now + self.part(900);
        self.tell(end, Stimulus::Tick, defender)?;
        let loud = |it: &Reaction| matches!(it, Reaction::Finding(_) | Reaction::Action(_));
        self.scenario.on_sample(end, self.reactions.iter().any(loud));
        self.steps += 1;
        Ok(self.sample(now, &field))
    }

    /// The controller reads all input registers; what arrives is what the attacker left of it.
    fn poll<D: Defender>(
        &mut self,
        now: Timestamp,
        defender: &mut D,
    ) -> Result<Option<Vec<u16>>, RangeError<D::Error>> {
        let function = Function::READ_INPUT_REGISTERS.0;
        let transaction = self.polls.next_transaction();
        let request = Repr::read(transaction, UNIT, function, 0, self.inputs)?.emit();
        self.send(now, Master::Controller, End::First, &request, defender)?;
        if !self.site.device().answers() {
            return Ok(None);
        }
        let mut transit = Transit { at: now, latency: Duration::ZERO, answered: !self.is_busy() };
        transit.latency = self.latency();
        self.scenario.on_transit(&mut transit);
        if !transit.answered {
            return Ok(None);
        }
        let mut registers: Vec<u16> = (0..self.inputs)
            .map(|address| self.site.device().read(UNIT, Table::Input, address).unwrap_or_default())
            .collect();
        self.scenario.on_reading(&mut Reading { at: now, function, address: 0, registers: &mut registers });
        let words = WordBuffer::new(&registers).ok_or(Illegal::Layout { function })?;
        let response = Repr::registers(transaction, UNIT, function, words.registers())?.emit();
        // No response is so late that the next message would come before it.
        let latency = transit.latency.min(self.part(45));
        self.send(now + latency, Master::Controller, End::Second, &response, defender)?;
        self.report(now + latency, &registers, defender)?;
        let mut fed = registers.clone();
        self.scenario.on_feed(&mut Reading { at: now, function, address: 0, registers: &mut fed });
        for (address, (raw, fed)) in (0..).zip(registers.iter().zip(&fed)) {
            let register = Register { unit: UNIT, table: Table::Input, address, raw: *raw };
            self.site.tell_vendor(Register { raw: *fed, ..register });
            let seen =
                self.virtual_value(&register, defender).map_or(register, |raw| Register { raw, ..register });
            self.site.tell_controller(seen);
        }
        Ok(Some(registers))
    }

    /// Whether strangers ask so much that the device leaves this poll unanswered.
    fn is_busy(&mut self) -> bool {
        self.requests > BUSY && self.jitter.uniform() < 0.5
    }

    /// Without a tap a broker behind the wire says what was read.
    fn report<D: Defender>(
        &mut self,
        at: Timestamp,
        registers: &[u16],
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        if self.views.wire {
            return Ok(());
        }
        let point = |(address, raw): (u16, &u16)| {
            let register = Register { unit: UNIT, table: Table::Input, address, raw: *raw };
            let binding = self.bindings.get(register.tag().as_str())?;
            Some(Point::new(binding.signal, Value::real(binding.word().value(*raw)).ok()?, Source::Field, at))
        };
        let points: Vec<Point> = (0..).zip(registers).filter_map(point).collect();
        self.tell(at, Stimulus::Field(&points), defender)
    }

    /// The register's raw value by the defender's virtual sensor, where it stands in.
    fn virtual_value<D: Defender>(&self, register: &Register, defender: &D) -> Option<u16> {
        let binding = self.bindings.get(register.tag().as_str())?;
        self.substituted.get(&binding.signal)?;
        let (value, _) = defender.estimate(binding.signal)?;
        Some(binding.word().raw(value))
    }

    /// The operator moves the set-point through the platform.
    fn operate<D: Defender>(
        &mut self,
        now: Timestamp,
        run: Timestamp,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let mut at = now + self.part(50);
        while let Some(register) = self.site.operate(run) {
            self.access(at, address::OPERATOR_ACCOUNT, AccessOutcome::Granted, defender)?;
            self.intend(at, PrincipalId(1), &register, defender)?;
            self.site.tell_controller(register);
            self.write(at, Master::Platform, register, defender)?;
            at = at + self.part(5);
        }
        Ok(())
    }

    /// The controller decides and writes, except what is held in the safe state; says whether it decided.
    fn control<D: Defender>(
        &mut self,
        now: Timestamp,
        run: Timestamp,
        defender: &mut D,
    ) -> Result<bool, RangeError<D::Error>> {
        let mut at = now + self.part(100);
        let writes = self.site.control(run);
        let decided = !writes.is_empty();
        for register in writes {
            if self.held.contains_key(&register.address) {
                continue;
            }
            self.intend(at, PrincipalId(0), &register, defender)?;
            self.write(at, Master::Controller, register, defender)?;
            at = at + self.part(20);
        }
        Ok(decided)
    }

    /// The attacker writes right after the controller does.
    fn attack<D: Defender>(&mut self, now: Timestamp, defender: &mut D) -> Result<(), RangeError<D::Error>> {
        let mut injections: Vec<Injection> = Vec::new();
        self.scenario.inject(now, &mut injections);
        let mut at = now + self.part(300);
        for injection in injections {
            let register = Register {
                unit: UNIT,
                table: Table::Holding,
                address: injection.address,
                raw: injection.value,
            };
            self.write(at, Master::Attacker(injection.from), register, defender)?;
            at = at + self.part(20);
        }
        Ok(())
    }

    /// The vendor's twin moves on and shows its values.
    fn show<D: Defender>(&mut self, now: Timestamp, defender: &mut D) -> Result<(), RangeError<D::Error>> {
        self.site.advance_vendor();
        let at = now + self.part(500);
        let mut points: Vec<Point> = self
            .site
            .spots()
            .into_iter()
            .filter_map(|spot| {
                let signal = self.signal(&spot)?;
                Some(Point::new(signal, Value::real(spot.shown?).ok()?, Source::Vendor, at))
            })
            .collect();
        self.scenario.on_show(now, &mut points);
        if !self.views.vendor {
            return Ok(());
        }
        self.tell(at, Stimulus::Vendor(&points), defender)
    }

    /// Logins of everyday life, and those of the attacker: the collecting service every ten minutes of samples, now and
    /// then an operator who mistypes.
    fn log_in<D: Defender>(&mut self, now: Timestamp, defender: &mut D) -> Result<(), RangeError<D::Error>> {
        let at = now + self.part(880);
        let mut accesses = Vec::new();
        self.scenario.on_access(now, &mut accesses);
        if !self.views.access {
            return Ok(());
        }
        if self.steps.is_multiple_of(SERVICE_EVERY) {
            self.access(at, address::SERVICE_ACCOUNT, AccessOutcome::Granted, defender)?;
        }
        if self.steps % MISTYPED_EVERY == MISTYPED_EVERY / 3 {
            self.access(at, address::OPERATOR_ACCOUNT, AccessOutcome::Refused, defender)?;
            self.access(at, address::OPERATOR_ACCOUNT, AccessOutcome::Granted, defender)?;
        }
        accesses.into_iter().try_for_each(|it| self.tell(at, Stimulus::Access(Access { at, ..it }), defender))
    }

    fn access<D: Defender>(
        &mut self,
        at: Timestamp,
        principal: PrincipalId,
        outcome: AccessOutcome,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        if !self.views.access {
            return Ok(());
        }
        let from = Some(address::PLATFORM.into());
        let access = Access { at, principal, action: Label::literal("login"), outcome, from };
        self.tell(at, Stimulus::Access(access), defender)
    }

    /// The running model is measured against its seal, and the vendor's twin is asked what it runs with.
    fn measure<D: Defender>(&mut self, now: Timestamp, defender: &mut D) -> Result<(), RangeError<D::Error>> {
        let at = now + self.part(890);
        let is_due = |every: u32| every > 0 && self.steps.is_multiple_of(u64::from(every));
        let (model, twin) = (is_due(self.views.attestation), is_due(self.views.running));
        if model {
            let mut digest = self.digest;
            self.scenario.on_measured(now, &mut digest);
            self.tell(at, Stimulus::Measured(digest), defender)?;
        }
        if twin && !self.parameters.is_empty() {
            let mut running = self.parameters.clone();
            self.scenario.on_running(now, &mut running);
            self.tell(at, Stimulus::Running(&running), defender)?;
        }
        Ok(())
    }

    fn sample(&mut self, at: Timestamp, field: &Option<Vec<u16>>) -> Sample {
        let mut spoken: BTreeMap<SignalId, Spoken> = BTreeMap::new();
        for spot in self.site.spots() {
            if let Some(signal) = self.signal(&spot) {
                let Spot { truth, shown, .. } = spot;
                spoken.insert(signal, Spoken { truth, vendor: shown, field: None });
            }
        }
        for (address, raw) in (0..).zip(field.iter().flatten()) {
            let register = Register { unit: UNIT, table: Table::Input, address, raw: *raw };
            if let Some(binding) = self.bindings.get(register.tag().as_str()) {
                spoken.entry(binding.signal).or_default().field = Some(binding.word().value(*raw));
            }
        }
        Sample { at, signals: spoken.into_iter().collect(), reactions: core::mem::take(&mut self.reactions) }
    }

    fn signal(&self, spot: &Spot<'_>) -> Option<SignalId> {
        match spot.register {
            Some(register) => self.bindings.get(register.tag().as_str()).map(|binding| binding.signal),
            None => self.unbound.get(spot.path).copied(),
        }
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
enum Master {
    Controller,
    Platform,
    Attacker(Ipv4Addr),
}
