//! Proxied connections as the guard sees them, and commands that wait in them.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use twinguard::protocol::emit::{Connection, MAX_PAYLOAD};
use twinguard::protocol::tcp::End;
use twinguard::protocol::{Frame, LinkType};
use twinguard::types::{
    Command, CommandId, CommandOrigin, Decision, PrincipalId, SignalId, Timestamp, Value,
};
use twinguard::{Guard, Input, Verdicted};

use super::Core;
use super::modbus::{Exception, Translator, Unclear, exception_of};

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
    translator: Translator,
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
}

/// Who asked for what, whatever the number of the request.
type Asked = (IpAddr, SocketAddr, Vec<u8>);

/// A request of which at least one command is held.
#[derive(Debug)]
struct Waiting {
    /// Commands and what was decided so far.
    commands: BTreeMap<CommandId, (SignalId, Decision)>,
    /// When the last of them was decided.
    decided: Option<Timestamp>,
}

impl Waiting {
    fn is_held(&self) -> bool {
        self.commands.values().any(|(_, decision)| *decision == Decision::Hold)
    }
}

impl Proxy {
    pub(super) fn new(guard: &Guard, ports: impl Iterator<Item = u16>) -> Result<Self, twinguard::Error> {
        Ok(Self {
            translator: Translator::new(&guard.plant().bindings, ports)?,
            lines: BTreeMap::new(),
            next_line: 0,
            frames: 0,
            frame: Vec::new(),
            waiting: BTreeMap::new(),
        })
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
        self.proxy.lines.insert(line, Ends { client, device, wire });
        line
    }

    /// The connection is over.
    pub fn end(&mut self, now: Timestamp, line: Line) {
        let Some(ends) = self.proxy.lines.remove(&line) else { return };
        let frames = ends.wire.map(|mut wire| wire.close(End::First));
        for frame in frames.into_iter().flatten() {
            self.show(now, &frame);
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

    /// What becomes of a client's write. All values of one message pass, or none does.
    pub fn request(&mut self, now: Timestamp, line: Line, adu: &[u8]) -> Answer {
        let Some(ends) = self.proxy.lines.get(&line) else {
            return refuse(Exception::DeviceFailure, "the connection is not known");
        };
        let (client, device) = (ends.client, ends.device);
        let asked = (client.ip(), device, adu.get(2..).unwrap_or_default().to_vec());
        if let Some(answer) = self.asked_before(now, &asked, adu) {
            return answer;
        }
        match self.proxy.translator.read(now, device, adu) {
            Ok(values) => self.weigh(now, (client, device), asked, adu, &values),
            Err(Unclear { exception, reason }) => refuse(exception, reason),
        }
    }

    /// A command that may pass was not sent: its line broke.
    pub fn withdraw(&mut self, now: Timestamp, commands: &[CommandId]) {
        for command in commands {
            self.guard.withdraw(now, *command);
        }
        // What was entered in the journal is taken from the guard's queue.
        self.tell(now, Input::Tick);
    }

    fn weigh(
        &mut self,
        now: Timestamp,
        (client, device): (SocketAddr, SocketAddr),
        asked: Asked,
        adu: &[u8],
        values: &[(SignalId, Value)],
    ) -> Answer {
        let mut commands = BTreeMap::new();
        let mut refused: Option<(Exception, String)> = None;
        for (signal, value) in values {
            let command = Command {
                id: self.next_id(),
                principal: PrincipalId::default(),
                signal: *signal,
                value: *value,
                at: now,
                origin: CommandOrigin::Platform,
                from: Some(client),
            };
            match self.judge(now, command) {
                Ok((verdicted, _)) => {
                    let verdict = verdicted.verdict;
                    commands.insert(command.id, (*signal, verdict.decision));
                    if !verdict.decision.permits()
                        && refused.as_ref().is_none_or(|it| it.0 == Exception::Busy)
                    {
                        let words = verdict.reasons.first().map_or("", |reason| reason.text.as_str());
                        let path = self.guard.catalogue().path(*signal);
                        let reason = format!("{} {path} := {value}: {words}", verdict.decision.as_str());
                        refused = Some((exception_of(&verdict), reason));
                    }
                }
                Err(reason) => refused = Some((Exception::DeviceFailure, reason)),
            }
            if refused.as_ref().is_some_and(|it| it.0 != Exception::Busy) {
                break;
            }
        }
        let ids: Vec<CommandId> = commands.keys().copied().collect();
        let Some((exception, reason)) = refused else {
            return self.send(now, device, adu, &commands);
        };
        let waiting = Waiting { commands, decided: None };
        if exception == Exception::Busy && waiting.is_held() {
            self.remember(asked, waiting);
        } else {
            self.withdraw(now, &ids);
        }
        refuse(exception, reason)
    }

    /// A request whose values may all pass.
    fn send(
        &mut self,
        now: Timestamp,
        device: SocketAddr,
        adu: &[u8],
        commands: &BTreeMap<CommandId, (SignalId, Decision)>,
    ) -> Answer {
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
        match self.proxy.translator.rewrite(now, device, adu, &clamped) {
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

    /// The same request again: it waits on, or a person has decided. Who asked may then ask once more, while the
    /// admission stands.
    fn asked_before(&mut self, now: Timestamp, asked: &Asked, adu: &[u8]) -> Option<Answer> {
        let waiting = self.proxy.waiting.get(asked)?;
        if waiting.is_held() {
            return Some(refuse(Exception::Busy, "it still waits for a person"));
        }
        let waiting = self.proxy.waiting.remove(asked)?;
        let stands = waiting.decided.is_some_and(|at| now.since(at) <= self.validity());
        let permitted = waiting.commands.values().all(|(_, decision)| decision.permits());
        if stands && permitted {
            return Some(self.send(now, asked.1, adu, &waiting.commands));
        }
        let ids: Vec<CommandId> = waiting.commands.keys().copied().collect();
        self.withdraw(now, &ids);
        if stands {
            return Some(refuse(Exception::IllegalFunction, "a person refused it, or nobody agreed in time"));
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
        }
    }
}

fn refuse(exception: Exception, reason: impl Into<String>) -> Answer {
    Answer::Refuse { exception, reason: reason.into() }
}
