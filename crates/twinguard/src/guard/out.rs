//! What is said: every answer is entered in the journal, and waits to be polled.

use twinguard_types::{
    Action, Command, CommandOrigin, Decision, Finding, FindingState, Intent, Principal, Receipt, Timestamp,
    Verdict,
};

use super::{ACTION_LIMIT, FINDING_LIMIT, Guard};
use crate::{Error, Output, Verdicted};

#[derive(serde::Serialize)]
struct Losses {
    coalesced: u64,
    refused: u64,
}

impl Guard {
    /// Keeps the first error for whoever gave the input.
    pub(super) fn fail(&mut self, error: Error) {
        self.trouble.get_or_insert(error);
    }

    /// Says an answer and its receipt. An answer that the journal could not take is said all the same.
    fn say(&mut self, output: Option<Output>, receipt: Result<Receipt, Error>) {
        self.outputs.extend(output);
        match receipt {
            Ok(receipt) => self.outputs.push_back(Output::Receipt(receipt)),
            Err(error) => self.fail(error),
        }
    }

    /// Enters what a person or the platform said.
    pub(super) fn word(&mut self, at: Timestamp, kind: &'static str, record: &impl serde::Serialize) {
        let receipt = self.evidence.word(at, kind, record);
        self.say(None, receipt);
    }

    /// Enters what was lost since it was last told, once there is room again.
    pub(super) fn tell_losses(&mut self, now: Timestamp) {
        let lost = (self.counters.coalesced, self.counters.refused);
        if lost == self.lost || self.crowded() {
            return;
        }
        let Losses { coalesced, refused } =
            Losses { coalesced: lost.0 - self.lost.0, refused: lost.1 - self.lost.1 };
        self.lost = lost;
        self.word(now, "losses", &Losses { coalesced, refused });
    }

    /// Whether so much waits that a finding's newer revision takes the place of an older one.
    fn crowded(&self) -> bool {
        self.outputs.len() >= self.config.queue.div_ceil(2)
    }

    pub(super) fn emit_finding(&mut self, finding: Finding) {
        let receipt = self.evidence.finding(finding.at, &finding);
        if self.crowded() {
            let waiting =
                |output: &Output| matches!(output, Output::Finding(waiting) if waiting.id == finding.id);
            if let Some(place) = self.outputs.iter().position(waiting) {
                self.outputs.remove(place);
                self.counters.coalesced += 1;
            }
        }
        self.remember(finding.clone());
        self.say(Some(Output::Finding(finding)), receipt);
    }

    /// Enters a finding that nobody is told of now.
    pub(super) fn keep_finding(&mut self, finding: Finding) {
        let receipt = self.evidence.finding(finding.at, &finding);
        self.remember(finding);
        self.say(None, receipt);
    }

    fn remember(&mut self, finding: Finding) {
        self.findings.insert(finding.id, finding);
        if self.findings.len() > FINDING_LIMIT {
            let closed = self.findings.values().find(|it| it.state == FindingState::Closed).map(|it| it.id);
            if let Some(id) = closed.or_else(|| self.findings.keys().next().copied()) {
                self.findings.remove(&id);
                self.aside.remove(&id);
                self.heard.remove(&id);
            }
        }
    }

    pub(super) fn emit_action(&mut self, now: Timestamp, action: Action) {
        self.actions.insert(action.id, action.kind.clone());
        if self.actions.len() > ACTION_LIMIT {
            let idle = self.actions.keys().find(|id| !self.responder.holds(**id)).copied();
            if let Some(id) = idle.or_else(|| self.actions.keys().next().copied()) {
                self.actions.remove(&id);
            }
        }
        let receipt = self.evidence.action(now, &action);
        self.say(Some(Output::Action(action)), receipt);
    }

    /// `asker`: who commands, where that was asked already.
    pub(super) fn emit_verdict(
        &mut self,
        command: &Command,
        asker: Option<Principal>,
        verdict: Verdict,
        already_sent: bool,
    ) {
        let principal = asker.unwrap_or_else(|| self.commander(command));
        let at = verdict.at;
        let verdicted = Verdicted { command: *command, principal, verdict, already_sent };
        let receipt = self.evidence.verdict(at, &verdicted);
        // What is held is missing on the wire; what is denied was nobody's to send.
        if matches!(verdicted.verdict.decision, Decision::Hold) && !already_sent {
            self.senses.acted(at);
        }
        if let Decision::Clamp(value) = verdicted.verdict.decision
            && command.origin == CommandOrigin::Platform
        {
            let (principal, signal) = (command.principal, command.signal);
            self.senses.own_command(&Intent { principal, signal, value, at });
        }
        self.say(Some(Output::Verdict(verdicted)), receipt);
    }
}
