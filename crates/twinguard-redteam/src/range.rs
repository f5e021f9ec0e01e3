//! A simulated site over real Modbus TCP bytes, with an attacker on the path and a defender at the tap.
//!
//! One step is one sampling period of the plant: the plant moves, the controller polls, the attacker has its hands on the answer, when it
//! is time the controller writes, the attacker writes after it, the vendor's twin follows what the wire says. The
//! defender sees frames, the controller's journal and the vendor's values; it never sees the plant. Its actions are
//! carried out by the platform: isolated peers do not reach the device, substituted values replace measured ones on
//! their way to the controller, commands are written and held.
//!
//! Source: the loop of D. I. Urbina et al., "Limiting the impact of stealthy attacks on industrial control systems",
//! CCS 2016, §2 (plant, field network, supervisory network); Modbus Application Protocol V1.1b3 for the bytes.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::collections::{BTreeMap, BTreeSet};

use twinguard_protocol::protocols::modbus::{Adu, Body, Function, Illegal, Repr, WordBuffer};
use twinguard_protocol::{Frame, LinkType, Sender, emit::Connection, tcp::End};
use twinguard_twin::Plant;
use twinguard_twin::simulator::cooling_loop::{Options, Site};
use twinguard_twin::simulator::{ClosedLoop, Noise, Register, Spot, Table};
use twinguard_types::{
    Action, ActionId, ActionKind, Binding, Duration, Intent, Outcome, OutcomeResult, Point, PrincipalId,
    SignalId, Source, Timestamp, Value,
};

use crate::defender::{Defender, Reaction, Stimulus};
use crate::{Injection, Reading, Scenario};

/// Where the parties speak from.
pub mod address {
    use core::net::Ipv4Addr;

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
            frames: 0,
            buffer: Vec::with_capacity(400),
            reactions: Vec::new(),
            isolated: BTreeSet::new(),
            substituted: BTreeMap::new(),
            held: BTreeMap::new(),
            actions: BTreeMap::new(),
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
        let end = now + self.part(900);
        self.tell(end, Stimulus::Tick, defender)?;
        Ok(self.sample(now, &field))
    }

    /// The controller reads all input registers; what arrives is what the attacker left of it.
    fn poll<D: Defender>(
        &mut self,
        now: Timestamp,
        defender: &mut D,
    ) -> Result<Option<Vec<u16>>, RangeError<D::Error>> {
        let transaction = self.polls.next_transaction();
        let request = Repr::read(transaction, UNIT, Function::READ_INPUT_REGISTERS.0, 0, self.inputs)?.emit();
        self.send(now, Master::Controller, End::First, &request, defender)?;
        if !self.site.device().answers() {
            return Ok(None);
        }
        let mut registers: Vec<u16> = (0..self.inputs)
            .map(|address| self.site.device().read(UNIT, Table::Input, address).unwrap_or_default())
            .collect();
        let function = Function::READ_INPUT_REGISTERS.0;
        self.scenario.on_reading(&mut Reading { at: now, function, address: 0, registers: &mut registers });
        let words = WordBuffer::new(&registers).ok_or(Illegal::Layout { function })?;
        let response = Repr::registers(transaction, UNIT, function, words.registers())?.emit();
        let latency = self.latency();
        self.send(now + latency, Master::Controller, End::Second, &response, defender)?;
        for (address, raw) in (0..).zip(&registers) {
            let register = Register { unit: UNIT, table: Table::Input, address, raw: *raw };
            self.site.tell_vendor(register);
            let seen =
                self.virtual_value(&register, defender).map_or(register, |raw| Register { raw, ..register });
            self.site.tell_controller(seen);
        }
        Ok(Some(registers))
    }

    /// The register's raw value by the defender's virtual sensor, where it stands in.
    fn virtual_value<D: Defender>(&self, register: &Register, defender: &D) -> Option<u16> {
        let binding = self.bindings.get(register.tag().as_str())?;
        self.substituted.get(&binding.signal)?;
        let (value, _) = defender.estimate(binding.signal)?;
        Some(raw(binding, value))
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
        let points: Vec<Point> = self
            .site
            .spots()
            .into_iter()
            .filter_map(|spot| {
                let signal = self.signal(&spot)?;
                Some(Point::new(signal, Value::real(spot.shown?).ok()?, Source::Vendor, at))
            })
            .collect();
        self.tell(at, Stimulus::Vendor(&points), defender)
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
                spoken.entry(binding.signal).or_default().field = Some(physical(binding, *raw));
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

    fn latency(&mut self) -> Duration {
        let micros: f64 = 4_000.0 + 800.0 * self.jitter.gaussian();
        Duration::from_nanos(self.part(1).as_nanos() / 1_000 * micros.max(500.0) as i64)
    }

    /// The journal of whoever writes says so before the wire does.
    fn intend<D: Defender>(
        &mut self,
        at: Timestamp,
        principal: PrincipalId,
        register: &Register,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let Some(binding) = self.bindings.get(register.tag().as_str()) else { return Ok(()) };
        let Ok(value) = Value::real(physical(binding, register.raw)) else { return Ok(()) };
        let intent = Intent { principal, signal: binding.signal, value, at };
        self.tell(at, Stimulus::Intent(intent), defender)
    }

    /// A write crosses the tap; behind it the conduit lets it through to the device or not.
    fn write<D: Defender>(
        &mut self,
        at: Timestamp,
        master: Master,
        register: Register,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let peer = self.peer(master);
        let client = peer.client;
        let transaction = peer.next_transaction();
        let request = Repr::write_register(transaction, UNIT, register.address, register.raw)?;
        self.send(at, master, End::First, &request.emit(), defender)?;
        // What the defender decided on seeing it comes too late to stop it, unless the peer was isolated before.
        if self.isolated.contains(&IpAddr::V4(client)) {
            return Ok(());
        }
        self.site.device_mut().write(register);
        if matches!(master, Master::Controller | Master::Platform) {
            self.site.tell_vendor(register);
        }
        let body = Body::WriteRegister { address: register.address, value: register.raw };
        let echo = Repr::new(transaction, UNIT, Function::WRITE_SINGLE_REGISTER, Sender::Server, body)?;
        let latency = self.latency();
        self.send(at + latency, master, End::Second, &echo.emit(), defender)
    }

    fn peer(&mut self, master: Master) -> &mut Peer {
        match master {
            Master::Controller => &mut self.polls,
            Master::Platform => &mut self.platform,
            Master::Attacker(from) => self.attackers.entry(from).or_insert_with(|| Peer::new(from, 49_152)),
        }
    }

    fn send<D: Defender>(
        &mut self,
        at: Timestamp,
        master: Master,
        from: End,
        message: &Adu,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let peer = self.peer(master);
        let handshake = (!core::mem::replace(&mut peer.open, true)).then(|| peer.connection.open());
        peer.connection.say(from, message.as_bytes(), &mut buffer)?;
        for frame in handshake.iter().flatten().chain([&buffer]) {
            self.frames += 1;
            let frame = Frame {
                index: self.frames,
                at,
                link: LinkType::Ethernet,
                bytes: frame,
                original_len: frame.len() as u32,
            };
            self.tell(at, Stimulus::Frame(&frame), defender)?;
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Tells the defender, and carries out what it answers.
    fn tell<D: Defender>(
        &mut self,
        at: Timestamp,
        stimulus: Stimulus<'_>,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        defender.handle(at, stimulus).map_err(RangeError::Defender)?;
        let mut actions = Vec::new();
        while let Some(reaction) = defender.poll() {
            if let Reaction::Action(action) = &reaction {
                actions.push(action.clone());
            }
            self.reactions.push(reaction);
        }
        for action in actions {
            self.carry_out(at, action, defender)?;
        }
        Ok(())
    }

    fn carry_out<D: Defender>(
        &mut self,
        at: Timestamp,
        action: Action,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        if action.recommended_only {
            return Ok(());
        }
        match &action.kind {
            ActionKind::IsolatePeer { peer } => {
                self.isolated.insert(*peer);
            }
            ActionKind::Substitute { signal, .. } | ActionKind::IsolateSignal { signal } => {
                self.substituted.insert(*signal, action.id);
            }
            ActionKind::Command(command) => {
                let binding = self
                    .bindings
                    .iter()
                    .find(|(tag, binding)| binding.signal == command.signal && tag.contains("/hr/"));
                let place = binding
                    .and_then(|(tag, binding)| Some((tag.rsplit('/').next()?.parse::<u16>().ok()?, binding)));
                let Some((address, binding)) = place else { return Ok(()) };
                let register = Register {
                    unit: UNIT,
                    table: Table::Holding,
                    address,
                    raw: raw(binding, command.value.as_f64()),
                };
                if !self.site.is_set_point(&register) {
                    self.held.insert(address, action.id);
                }
                self.write(at, Master::Platform, register, defender)?;
            }
            ActionKind::Release { action } => {
                self.substituted.retain(|_, by| by != action);
                self.held.retain(|_, by| by != action);
                if let Some(ActionKind::IsolatePeer { peer }) =
                    self.actions.get(action).map(|action| &action.kind)
                {
                    self.isolated.remove(peer);
                }
            }
            _ => return Ok(()),
        }
        let outcome = Outcome { action: action.id, result: OutcomeResult::Done, at };
        self.actions.insert(action.id, action);
        self.tell(at, Stimulus::Outcome(outcome), defender)
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
enum Master {
    Controller,
    Platform,
    Attacker(Ipv4Addr),
}

fn signed(binding: &Binding) -> bool {
    binding.encoding == twinguard_types::Encoding::I16
}

fn physical(binding: &Binding, raw: u16) -> f64 {
    let number = if signed(binding) { f64::from(raw.cast_signed()) } else { f64::from(raw) };
    number * binding.scale + binding.offset
}

fn raw(binding: &Binding, value: f64) -> u16 {
    let number = ((value - binding.offset) / binding.scale).round();
    if signed(binding) {
        (number.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16).cast_unsigned()
    } else {
        number.clamp(0.0, f64::from(u16::MAX)) as u16
    }
}
