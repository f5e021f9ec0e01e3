//! Proxied connections as the guard sees them, and commands that wait in them.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use twinguard::gate::identity::{Credential, Proof};
use twinguard::protocol::emit::{Connection, MAX_PAYLOAD};
use twinguard::protocol::tcp::End;
use twinguard::protocol::{Family, Frame, LinkType};
use twinguard::types::{
    Command, CommandId, CommandOrigin, Decision, Principal, PrincipalId, SignalId, Timestamp, Value, Verdict,
};
use twinguard::{Guard, Input, Verdicted};

use super::Core;
use super::modbus::{Exception, Unclear, exception_of};
use super::noise::PublicKey;
use super::waiting::{Asked, Asker, Decided, Waiting};
use super::{iec104, modbus, mqtt, opcua};
use crate::certificate::{Certificate, Term};

/// Requests with held commands that are remembered.
const WAITING: usize = 256;

/// What becomes of a client's write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes to the server as it is.
    Forward {
        /// Its commands: [`Core::withdraw`] them if it cannot be sent after all.
        commands: Vec<CommandId>,
    },
    /// It goes to the server like this: a value was brought to the nearest safe one.
    Rewrite {
        /// Its commands.
        commands: Vec<CommandId>,
        /// The bytes.
        adu: Vec<u8>,
    },
    /// The client is answered with an exception.
    Refuse {
        /// Which.
        exception: Exception,
        /// In words.
        reason: String,
    },
}

/// One proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(u64);

/// What the core knows of proxied connections.
#[derive(Debug)]
pub(super) struct Proxy {
    requests: modbus::Translator,
    publications: mqtt::Translator,
    orders: iec104::Translator,
    services: opcua::Translator,
    lines: BTreeMap<Line, Ends>,
    next_line: u64,
    frames: u64,
    frame: Vec<u8>,
    waiting: BTreeMap<Asked, Waiting>,
}

#[derive(Debug)]
struct Ends {
    client: SocketAddr,
    device: SocketAddr,
    /// `None` where one end is IPv4 and the other IPv6: no frame shows that.
    wire: Option<Connection>,
    /// Whom to take for whoever is at the other end.
    asker: Asker,
    /// Until when what they proved is valid.
    until: Option<Timestamp>,
}

impl Proxy {
    pub(super) fn new(guard: &Guard, servers: &[(Family, u16)]) -> Result<Self, twinguard::Error> {
        let bindings = &guard.plant().bindings;
        let ports = |family| servers.iter().filter(move |(of, _)| *of == family).map(|(_, port)| *port);
        Ok(Self {
            requests: modbus::Translator::new(bindings, ports(Family::Modbus))?,
            publications: mqtt::Translator::new(bindings, ports(Family::Mqtt))?,
            orders: iec104::Translator::new(bindings, ports(Family::Iec104))?,
            services: opcua::Translator::new(bindings, ports(Family::OpcUa))?,
            lines: BTreeMap::new(),
            next_line: 0,
            frames: 0,
            frame: Vec::new(),
            waiting: BTreeMap::new(),
        })
    }

    /// Requests with held commands.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Asked, &Waiting)> {
        self.waiting.iter()
    }

    /// Goes on with requests that waited elsewhere.
    pub(super) fn wait_on(&mut self, waiting: Vec<(Asked, Waiting)>) {
        self.waiting = waiting.into_iter().take(WAITING).collect();
    }

    /// A verdict about a command, perhaps one that waits here.
    pub(super) fn decided(&mut self, now: Timestamp, verdicted: &Verdicted) {
        let id = verdicted.command.id;
        for waiting in self.waiting.values_mut() {
            if let Some((_, decision)) = waiting.commands.get_mut(&id) {
                *decision = verdicted.verdict.decision;
                waiting.decided = Some(now);
            }
        }
    }
}

impl Core {
    /// A client is connected to a server's proxy.
    pub fn open(&mut self, now: Timestamp, client: SocketAddr, device: SocketAddr) -> Line {
        let line = Line(self.proxy.next_line);
        self.proxy.next_line += 1;
        let mut wire = Connection::new(client, device).ok();
        let frames = wire.as_mut().map(Connection::open);
        for frame in frames.into_iter().flatten() {
            self.show(now, &frame);
        }
        // An endpoint whose peer has proved who they are is theirs alone.
        let proved = |ends: &Ends| ends.client == client && ends.asker.is_proved();
        let taken = self.proxy.lines.values().any(proved);
        let asker = if taken { Asker::Stranger } else { Asker::Address(client.ip()) };
        self.proxy.lines.insert(line, Ends { client, device, wire, asker, until: None });
        line
    }

    /// The client has proved to hold this certificate's key, over a channel that nobody else reads and that is good until
    /// `own` runs out: its commands are those of whom the certificate names, in the role that it gives. One that names
    /// nobody lets its holder read.
    pub fn prove(&mut self, now: Timestamp, line: Line, certificate: Option<&Certificate>, own: Term) {
        let Some(ends) = self.proxy.lines.get_mut(&line) else { return };
        let Some(certificate) = certificate else {
            ends.asker = Asker::Stranger;
            return;
        };
        let valid = certificate.term.and(own);
        let proof = Proof {
            credentials: [
                Some(Credential::Certificate(certificate.digest)),
                certificate.spiffe.clone().map(Credential::Spiffe),
            ]
            .into_iter()
            .flatten()
            .collect(),
            modbus_role: certificate.role.clone(),
            not_after: Some(valid.not_after),
            encrypted: true,
        };
        if let Some(name) = certificate.name() {
            self.certificate(now, format!("client {name}"), certificate.term);
        }
        self.proved(now, line, Asker::Certificate(certificate.digest), certificate.name(), proof);
    }

    /// The client has proved to hold this Noise key, over a channel that nobody else reads: its commands are those of whom the
    /// configuration says that it names.
    pub fn prove_key(&mut self, now: Timestamp, line: Line, name: &str, key: PublicKey) {
        let proof = Proof {
            credentials: vec![Credential::NoiseKey(key.0)],
            modbus_role: None,
            not_after: None,
            encrypted: true,
        };
        self.proved(now, line, Asker::Key(key), Some(name), proof);
    }

    /// The endpoint of a line is theirs alone who have proved to be there, as long as the line lasts.
    fn proved(&mut self, now: Timestamp, line: Line, asker: Asker, name: Option<&str>, proof: Proof) {
        let Some(ends) = self.proxy.lines.get_mut(&line) else { return };
        let client = ends.client;
        (ends.asker, ends.until) = (asker, proof.not_after);
        let others =
            self.proxy.lines.iter_mut().filter(|(other, ends)| **other != line && ends.client == client);
        others.for_each(|(_, ends)| ends.asker = Asker::Stranger);
        let opened = name.map(|name| self.guard.open_channel(now, client, Principal::new(name), proof));
        if !matches!(opened, Some(Ok(())))
            && let Some(ends) = self.proxy.lines.get_mut(&line)
        {
            ends.asker = Asker::Stranger;
        }
        // What was entered in the journal is taken from the guard's queue.
        self.tell(now, Input::Tick);
    }

    /// The connection is over.
    pub fn end(&mut self, now: Timestamp, line: Line) {
        let Some(ends) = self.proxy.lines.remove(&line) else { return };
        let frames = ends.wire.map(|mut wire| wire.close(End::First));
        for frame in frames.into_iter().flatten() {
            self.show(now, &frame);
        }
        if ends.asker.is_proved() {
            self.guard.close_channel(ends.client);
        }
    }

    /// A whole message went to the server, or came from it.
    pub fn passed(&mut self, now: Timestamp, line: Line, from_client: bool, adu: &[u8]) {
        self.heard = Some(now);
        let mut frame = core::mem::take(&mut self.proxy.frame);
        let end = if from_client { End::First } else { End::Second };
        let ends = self.proxy.lines.get_mut(&line);
        let said = ends
            .and_then(|ends| ends.wire.as_mut())
            .is_some_and(|wire| adu.chunks(MAX_PAYLOAD).all(|part| wire.say(end, part, &mut frame).is_ok()));
        if said {
            self.show(now, &frame)
        } else {
            self.tally.unseen += 1
        }
        self.proxy.frame = frame;
    }

    fn show(&mut self, now: Timestamp, bytes: &[u8]) {
        self.proxy.frames += 1;
        let frame = Frame {
            index: self.proxy.frames,
            at: now,
            link: LinkType::Ethernet,
            bytes,
            original_len: bytes.len() as u32,
        };
        self.tell(now, Input::Frame(&frame));
    }

    /// What becomes of a client's Modbus write. All values of one message pass, or none does.
    pub fn request(&mut self, now: Timestamp, line: Line, adu: &[u8]) -> Answer {
        let Some(device) = self.device(line) else { return unknown() };
        let values = self.proxy.requests.read(now, device, adu);
        match self.weigh(now, line, values) {
            Ok(commands) => self.send(now, device, adu, &commands),
            Err(refused) => refused,
        }
    }

    /// What becomes of a publication that commands: topic and payload, whether the server is to keep it, and metrics that
    /// pass without being judged. It passes as it is or not at all: where a safe value is near, the client has to send that.
    pub fn publish(
        &mut self,
        now: Timestamp,
        line: Line,
        message: (&[u8], &[u8]),
        retain: bool,
        passing: &[String],
    ) -> Answer {
        let Some(device) = self.device(line) else { return unknown() };
        let values = self.proxy.publications.read(now, device, message, retain, passing);
        match self.weigh(now, line, values) {
            Ok(commands) => self.unchanged(now, &commands),
            Err(refused) => refused,
        }
    }

    /// What becomes of a command to a station (IEC 60870-5-104), or of a selection for one: as it is, or not at all.
    pub fn order(&mut self, now: Timestamp, line: Line, apdu: &[u8], selects: bool) -> Answer {
        let Some(device) = self.device(line) else { return unknown() };
        let values = self.proxy.orders.read(now, device, apdu);
        let decided = if selects { self.select(now, line, values) } else { self.weigh(now, line, values) };
        match decided {
            Ok(commands) => self.unchanged(now, &commands),
            Err(refused) => refused,
        }
    }

    /// What becomes of an OPC UA request that writes values or calls methods; `passing` are methods that may be called without
    /// being judged. As it is, or not at all.
    pub fn service(&mut self, now: Timestamp, line: Line, message: &[u8], passing: &[String]) -> Answer {
        let Some(device) = self.device(line) else { return unknown() };
        let values = self.proxy.services.read(now, device, message, passing);
        match self.weigh(now, line, values) {
            Ok(commands) => self.unchanged(now, &commands),
            Err(refused) => refused,
        }
    }

    /// Passes what was permitted, where nothing is rewritten.
    fn unchanged(&mut self, now: Timestamp, commands: &Decided) -> Answer {
        let ids: Vec<CommandId> = commands.keys().copied().collect();
        let clamped = commands.values().find_map(|(signal, decision)| match decision {
            Decision::Clamp(value) => Some(format!("{} := {value}", self.guard.catalogue().path(*signal))),
            _ => None,
        });
        match clamped {
            None => Answer::Forward { commands: ids },
            Some(safe) => {
                self.withdraw(now, &ids);
                refuse(Exception::IllegalValue, format!("it is unsafe; the nearest safe value is {safe}"))
            }
        }
    }

    fn device(&self, line: Line) -> Option<SocketAddr> {
        self.proxy.lines.get(&line).map(|ends| ends.device)
    }

    /// A command that may pass was not sent: its line broke.
    pub fn withdraw(&mut self, now: Timestamp, commands: &[CommandId]) {
        for command in commands {
            self.guard.withdraw(now, *command);
        }
        // What was entered in the journal is taken from the guard's queue.
        self.tell(now, Input::Tick);
    }

    /// Judges the values that a client's message would write; what was decided about each, when all may pass.
    pub(super) fn weigh(
        &mut self,
        now: Timestamp,
        line: Line,
        values: Result<Vec<(SignalId, Value)>, Unclear>,
    ) -> Result<Decided, Answer> {
        let ends = self.known(line)?;
        let values = values.map_err(|unclear| refuse(unclear.exception, unclear.reason))?;
        let client = ends.client;
        let bits = values.iter().map(|(signal, value)| (*signal, value.as_f64().to_bits()));
        let asked = (ends.asker, ends.device, bits.collect());
        // What a person agreed to before the certificate ran out is judged anew, and is refused.
        let lapsed = ends.until.is_some_and(|until| until <= now);
        if !lapsed && let Some(answer) = self.asked_before(now, &asked) {
            return answer;
        }
        let mut commands = Decided::new();
        let mut refused: Option<(Exception, String)> = None;
        for (signal, value) in &values {
            let command = self.command_of(now, client, (*signal, *value));
            match self.judge(now, command) {
                Ok((verdicted, _)) => {
                    let verdict = verdicted.verdict;
                    commands.insert(command.id, (*signal, verdict.decision));
                    if !verdict.decision.permits()
                        && refused.as_ref().is_none_or(|it| it.0 == Exception::Busy)
                    {
                        refused = Some((exception_of(&verdict), self.reason(&verdict, (*signal, *value))));
                    }
                }
                Err(reason) => refused = Some((Exception::DeviceFailure, reason)),
            }
            if refused.as_ref().is_some_and(|it| it.0 != Exception::Busy) {
                break;
            }
        }
        let Some((exception, reason)) = refused else { return Ok(commands) };
        let ids: Vec<CommandId> = commands.keys().copied().collect();
        let waiting = Waiting { commands, decided: None };
        if exception == Exception::Busy && waiting.is_held() {
            self.remember(asked, waiting);
        } else {
            self.withdraw(now, &ids);
        }
        Err(refuse(exception, reason))
    }

    /// Whether values may be selected to be commanded later; nothing of it is on its way.
    fn select(
        &mut self,
        now: Timestamp,
        line: Line,
        values: Result<Vec<(SignalId, Value)>, Unclear>,
    ) -> Result<Decided, Answer> {
        let client = self.known(line)?.client;
        for (signal, value) in values.map_err(|unclear| refuse(unclear.exception, unclear.reason))? {
            let command = self.command_of(now, client, (signal, value));
            match self.judge_as(now, command, Input::Select(command)) {
                Ok((Verdicted { verdict, .. }, _)) if !verdict.decision.permits() => {
                    return Err(refuse(exception_of(&verdict), self.reason(&verdict, (signal, value))));
                }
                Ok(_) => {}
                Err(reason) => return Err(refuse(Exception::DeviceFailure, reason)),
            }
        }
        Ok(Decided::new())
    }

    /// The ends of a line whose client is known well enough to command.
    fn known(&self, line: Line) -> Result<&Ends, Answer> {
        let ends = self.proxy.lines.get(&line).ok_or_else(unknown)?;
        if ends.asker == Asker::Stranger {
            let reason =
                "it is not certain who commands: the certificate names nobody, or the endpoint is another's";
            return Err(refuse(Exception::IllegalFunction, reason));
        }
        Ok(ends)
    }

    fn command_of(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        (signal, value): (SignalId, Value),
    ) -> Command {
        Command {
            id: self.next_id(),
            principal: PrincipalId::default(),
            signal,
            value,
            at: now,
            origin: CommandOrigin::Platform,
            from: Some(from),
        }
    }

    fn reason(&self, verdict: &Verdict, (signal, value): (SignalId, Value)) -> String {
        let words = verdict.reasons.first().map_or("", |reason| reason.text.as_str());
        let path = self.guard.catalogue().path(signal);
        format!("{} {path} := {value}: {words}", verdict.decision.as_str())
    }

    /// A request whose values may all pass.
    fn send(&mut self, now: Timestamp, device: SocketAddr, adu: &[u8], commands: &Decided) -> Answer {
        let ids: Vec<CommandId> = commands.keys().copied().collect();
        let clamped: Vec<(SignalId, Value)> = commands
            .values()
            .filter_map(|(signal, decision)| match decision {
                Decision::Clamp(value) => Some((*signal, *value)),
                _ => None,
            })
            .collect();
        if clamped.is_empty() {
            return Answer::Forward { commands: ids };
        }
        match self.proxy.requests.rewrite(now, device, adu, &clamped) {
            Ok((adu, written)) => {
                for (id, (signal, _)) in commands {
                    if let Some((_, value)) = written.iter().find(|(other, _)| other == signal) {
                        self.guard.rounded(*id, *value);
                    }
                }
                Answer::Rewrite { commands: ids, adu }
            }
            Err(Unclear { exception, reason }) => {
                self.withdraw(now, &ids);
                refuse(exception, reason)
            }
        }
    }

    /// The same values again: they wait on, or a person has decided. Who asked may then ask once more, while the admission
    /// stands.
    fn asked_before(&mut self, now: Timestamp, asked: &Asked) -> Option<Result<Decided, Answer>> {
        let waiting = self.proxy.waiting.get(asked)?;
        if waiting.is_held() {
            return Some(Err(refuse(Exception::Busy, "it still waits for a person")));
        }
        let waiting = self.proxy.waiting.remove(asked)?;
        self.changed = true;
        let stands = waiting.decided.is_some_and(|at| now.since(at) <= self.validity());
        let permitted = waiting.commands.values().all(|(_, decision)| decision.permits());
        let ids: Vec<CommandId> = waiting.commands.keys().copied().collect();
        if stands && permitted {
            // What the person agreed to has to last before it is sent, as any verdict.
            if let Err(error) = self.guard.evidence_mut().sync() {
                self.withdraw(now, &ids);
                return Some(Err(refuse(Exception::DeviceFailure, self.unguarded(error.to_string()))));
            }
            return Some(Ok(waiting.commands));
        }
        self.withdraw(now, &ids);
        if stands {
            let reason = "a person refused it, or nobody agreed in time";
            return Some(Err(refuse(Exception::IllegalFunction, reason)));
        }
        None
    }

    fn validity(&self) -> twinguard::types::Duration {
        twinguard::gate::GateConfig::default().validity
    }

    fn remember(&mut self, asked: Asked, waiting: Waiting) {
        if self.proxy.waiting.len() >= WAITING
            && let Some(over) =
                self.proxy.waiting.iter().find(|(_, it)| !it.is_held()).map(|(asked, _)| asked.clone())
        {
            self.proxy.waiting.remove(&over);
        }
        if self.proxy.waiting.len() < WAITING {
            self.proxy.waiting.insert(asked, waiting);
            self.changed = true;
        }
    }
}

fn unknown() -> Answer {
    refuse(Exception::DeviceFailure, "the connection is not known")
}

pub(super) fn refuse(exception: Exception, reason: impl Into<String>) -> Answer {
    Answer::Refuse { exception, reason: reason.into() }
}
