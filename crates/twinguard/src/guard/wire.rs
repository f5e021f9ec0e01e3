//! What is heard on the wire, and commands, sent or to be sent.

use core::net::IpAddr;
use std::collections::BTreeSet;

use twinguard_gate::Asking;
use twinguard_types::{
    Command, CommandId, Decision, Duration, Event, ExchangeOutcome, Oddity, Principal, Stage, Timestamp,
    Value, Verdict, VerdictReason,
};

use super::{Guard, OFFENDER_LIMIT};

/// How long after we asked for a command it may show up on the wire, and how exactly (wire types round).
pub(super) const OWN_WINDOW: Duration = Duration::from_secs(60);
const OWN_TOLERANCE: f64 = 1e-3;
/// Commands that were admitted on their way and have not passed yet.
const ADMITTED_LIMIT: usize = 1_024;
/// How far before a finding's onset an offence still belongs to it.
const BEFORE_ONSET: Duration = Duration::from_secs(120);

impl Guard {
    pub(super) fn drain(&mut self, now: Timestamp) {
        let mut events = core::mem::take(&mut self.events);
        while let Some(item) = self.stack.poll() {
            self.point_map.bind(&item, &mut events);
        }
        for event in &events {
            match event {
                Event::Point(point) => self.point(point),
                Event::Command(command) => self.wire_command(now, *command),
                event if self.is_of_the_restart(now, event) => {}
                Event::Malformed(_) => {
                    self.counters.malformed += 1;
                    self.senses.sense(event);
                }
                _ => self.senses.sense(event),
            }
        }
        events.clear();
        self.events = events;
    }

    /// Answers whose requests were asked before this guard was restored, and streams that it met in their middle: odd to
    /// the tap alone.
    fn is_of_the_restart(&mut self, now: Timestamp, event: &Event<'_>) -> bool {
        let Some(until) = self.resumed else { return false };
        if now > until {
            self.resumed = None;
            return false;
        }
        match event {
            Event::Exchange(exchange) => exchange.outcome == ExchangeOutcome::Unsolicited,
            Event::Malformed(malformed) => matches!(
                malformed.oddity,
                Oddity::UnmatchedResponse | Oddity::NotThisProtocol | Oddity::Gap | Oddity::Truncated
            ),
            _ => false,
        }
    }

    /// A command that the tap saw: it has been sent, and is judged all the same.
    fn wire_command(&mut self, now: Timestamp, command: Command) {
        self.counters.commands += 1;
        // What an isolated peer sends does not reach the plant: the model must not follow it.
        let stopped = command.from.is_some_and(|from| self.gate.is_isolated(now, from.ip()));
        let ours = self.is_ours(now, &command);
        // Without rules there is nothing to judge by: the detectors alone say what is unusual.
        if self.senses.is_learning() || self.gate.policy().load().is_empty() {
            self.senses.command(&command, !stopped, ours);
            return;
        }
        if self.was_admitted(now, &command) {
            // Judged before it was sent: once is enough, and what counts commands must not count it twice.
            self.senses.command(&command, !stopped, ours);
            return;
        }
        let principal = self.commander(&command);
        let (id, number) = (self.take_command_id(), self.parties.met(principal.clone()));
        let judged = Command { principal: number, id, ..command };
        // Before the twin obeys it: afterwards nothing would tell the plant with it from the plant without.
        self.weigh_twin();
        let verdict = self.weigh(now, &judged, &principal);
        self.senses.command(&command, !stopped, ours);
        let command = judged;
        let barred = verdict
            .reasons
            .first()
            .is_some_and(|reason| matches!(reason.stage, Stage::Policy | Stage::Identity));
        if !verdict.decision.permits()
            && barred
            && let Some(from) = command.from
        {
            self.offend(now, from.ip());
        }
        self.senses.sense(&Event::Verdict(&verdict));
        self.emit_verdict(&command, Some(principal), verdict, true);
        self.tell_notices(now);
    }

    /// Whether a command on the wire is one that we asked for lately.
    fn is_ours(&self, now: Timestamp, command: &Command) -> bool {
        let value = command.value.as_f64();
        self.sent.iter().any(|(at, signal, sent)| {
            *signal == command.signal
                && now.since(*at) <= OWN_WINDOW
                && (value - sent).abs() <= OWN_TOLERANCE * sent.abs().max(1.0)
        })
    }

    /// Whether a command on the wire is one that was admitted on its way, each admission once.
    fn was_admitted(&mut self, now: Timestamp, command: &Command) -> bool {
        self.admitted.retain(|held| now.since(held.at) <= OWN_WINDOW);
        let value = command.value.as_f64();
        // A client that had to wait for a person may ask again over another connection.
        let client = |command: &Command| command.from.map(|from| from.ip());
        let same = |held: &Command| {
            let admitted = held.value.as_f64();
            held.signal == command.signal
                && client(held) == client(command)
                && (value - admitted).abs() <= OWN_TOLERANCE * admitted.abs().max(1.0)
        };
        let place = self.admitted.iter().position(same);
        place.map(|place| self.admitted.remove(place)).is_some()
    }

    /// A command that the platform wants to send, or that a proxy holds on its way.
    pub(super) fn vet(&mut self, now: Timestamp, command: Command) {
        let command = self.signed(command);
        self.senses.sense(&Event::Command(command));
        let principal = self.commander(&command);
        self.weigh_twin();
        let verdict = self.weigh(now, &command, &principal);
        self.on_its_way(now, command, verdict.decision);
        self.senses.sense(&Event::Verdict(&verdict));
        self.emit_verdict(&command, Some(principal), verdict, false);
        self.tell_notices(now);
    }

    /// What the gate says of a command, with what its channel proves.
    fn weigh(&mut self, now: Timestamp, command: &Command, principal: &Principal) -> Verdict {
        let channel = command.from.and_then(|from| self.channels.get(&from));
        let asking = Asking { proof: channel.map(|it| &it.proof), ..Asking::of(principal) };
        self.gate.admit_as(now, command, &asking, self.senses.twin())
    }

    /// A selection that a proxy holds on its way.
    pub(super) fn select(&mut self, now: Timestamp, command: Command) {
        let command = self.signed(command);
        let principal = self.commander(&command);
        let channel = command.from.and_then(|from| self.channels.get(&from));
        let asking = Asking { proof: channel.map(|it| &it.proof), ..Asking::of(&principal) };
        let mut verdict = self.gate.select(now, &command, &asking);
        let text = "it only selects what is to be commanded later".to_owned();
        verdict.reasons.push(VerdictReason { stage: Stage::Guard, text });
        self.emit_verdict(&command, Some(principal), verdict, false);
    }

    /// What was decided about a command; one that a proxy holds will show up on the wire as it was admitted.
    pub(super) fn on_its_way(&mut self, now: Timestamp, command: Command, decision: Decision) {
        match decision {
            _ if command.from.is_none() => {}
            Decision::Allow => self.admit(now, command),
            Decision::Clamp(value) => self.admit(now, Command { value, ..command }),
            Decision::StepUp | Decision::Hold | Decision::Deny => {}
        }
    }

    /// A command that a proxy may send will not be sent after all: its line broke, or others of the same message were
    /// refused. Whether it was known; the journal says so.
    pub fn withdraw(&mut self, now: Timestamp, command: CommandId) -> bool {
        let Some(place) = self.admitted.iter().position(|held| held.id == command) else { return false };
        let held = self.admitted.remove(place);
        self.gate.withdraw(&held);
        let now = self.clamp(now);
        self.word(now, "withdrawn", &held);
        true
    }

    /// How a proxy sends a command that was brought to a safe value: as the place on the wire can hold it. Whether the
    /// command is on its way.
    pub fn rounded(&mut self, command: CommandId, value: Value) -> bool {
        let held = self.admitted.iter_mut().find(|held| held.id == command);
        held.map(|held| held.value = value).is_some()
    }

    fn admit(&mut self, now: Timestamp, command: Command) {
        if self.admitted.len() >= ADMITTED_LIMIT {
            self.admitted.remove(0);
        }
        self.admitted.push(Command { at: now, ..command });
    }

    pub(super) fn take_command_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    fn offend(&mut self, now: Timestamp, peer: IpAddr) {
        if self.offenders.len() >= OFFENDER_LIMIT {
            self.offenders.pop_front();
        }
        self.offenders.push_back((now, peer));
    }

    pub(super) fn offenders_since(&self, onset: Timestamp) -> Vec<IpAddr> {
        let from = onset - BEFORE_ONSET;
        let peers: BTreeSet<IpAddr> =
            self.offenders.iter().filter(|(at, _)| *at >= from).map(|(_, peer)| *peer).collect();
        peers.into_iter().collect()
    }
}
