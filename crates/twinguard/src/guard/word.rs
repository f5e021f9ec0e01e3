//! What people and the platform say: approvals, checks, outcomes, an operator's word. All of it is journalled.

use twinguard_response::Responder as _;
use twinguard_types::{
    ActionId, ActionKind, Attestation, AttestationOutcome, Digest, Event, Finding, FindingId, FindingState,
    Outcome, OutcomeResult, SignalId, Timestamp,
};

use super::Guard;
use super::decide::{Aside, Window};
use crate::{Approval, Artefact, Check, Error, Operator};

/// Maintenance windows that are open at one time.
const WINDOW_LIMIT: usize = 64;

impl Guard {
    pub(super) fn approve(&mut self, now: Timestamp, approval: Approval) -> Result<(), Error> {
        self.word(now, "approval", &approval);
        let Approval { command, principal, approved } = approval;
        let approver = self.known(principal).ok_or(Error::UnknownPrincipal { principal })?;
        self.weigh_twin();
        let (command, asker, verdict) =
            self.gate.approve(now, command, &approver, approved, self.senses.twin())?;
        self.on_its_way(now, command, verdict.decision);
        self.emit_verdict(&command, Some(asker), verdict, false);
        Ok(())
    }

    /// A second reading. It settles an incident that accuses the sensor, and none that is about something else.
    pub(super) fn check(&mut self, now: Timestamp, check: &Check) -> Result<(), Error> {
        self.word(now, "check", check);
        let about = |finding: &Finding| {
            finding.state != FindingState::Closed
                && finding.attribution.iter().any(|share| share.signal == check.signal)
        };
        if self.wanted.contains_key(&check.signal) || self.findings.values().any(about) {
            // A sensor that tells the truth does not speak for another one that was caught lying.
            if let Some(agrees) = self.senses.agrees(check) {
                self.read.insert(check.signal, agrees);
                self.senses.settle(self.read.values().all(|agrees| *agrees));
            }
        }
        self.take_reading(now, check)
    }

    pub(super) fn artefact(&mut self, now: Timestamp, artefact: Artefact) {
        let expected = self.sealed();
        let outcome = if artefact.measured == expected {
            AttestationOutcome::Matches
        } else {
            AttestationOutcome::Differs
        };
        let attestation = Attestation { at: now, expected, measured: artefact.measured, outcome };
        self.word(now, "attestation", &attestation);
        self.senses.sense(&Event::Attestation(attestation));
        self.measured(now, outcome);
    }

    /// What the model was sealed under; without a seal, the digest of its plant file.
    pub(super) fn sealed(&self) -> Digest {
        self.seal.map_or(self.plant.digest, |seal| seal.root)
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.word(outcome.at, "outcome", &outcome);
        let kind = self.actions.get(&outcome.action).cloned();
        // Informing actions are not waited for; their outcome is journalled all the same.
        if matches!(
            kind,
            Some(ActionKind::Notify { .. } | ActionKind::Verify { .. } | ActionKind::Release { .. })
        ) {
            return Ok(());
        }
        self.responder.on_outcome(&outcome)?;
        if outcome.result != OutcomeResult::Done
            && let Some(ActionKind::IsolatePeer { peer }) = kind
        {
            self.gate.release(peer);
        }
        match kind {
            Some(ActionKind::Revert { commit, .. }) => self.reverted(&outcome, commit),
            _ => Ok(()),
        }
    }

    pub(super) fn operator(&mut self, now: Timestamp, operator: Operator<'_>) -> Result<(), Error> {
        match operator {
            Operator::Acknowledge { finding }
            | Operator::Shelve { finding, .. }
            | Operator::Close { finding, .. }
            | Operator::Recover { finding }
                if !self.findings.contains_key(&finding) =>
            {
                return Err(Error::UnknownFinding { finding });
            }
            Operator::Override { action } if !self.actions.contains_key(&action) => {
                return Err(Error::UnknownAction { action });
            }
            Operator::Maintenance { .. } if self.maintenance.len() >= WINDOW_LIMIT => {
                return Err(Error::Windows { limit: WINDOW_LIMIT });
            }
            _ => {}
        }
        self.word(now, "operator", &operator);
        match operator {
            Operator::Acknowledge { finding } => {
                self.hear(finding);
                self.set_state(now, finding, FindingState::Acknowledged);
            }
            Operator::Shelve { finding, until } if now < until => {
                self.hear(finding);
                self.aside.insert(finding, Aside { until, told: true, work: false });
                self.set_state(now, finding, FindingState::Shelved);
            }
            Operator::Close { finding, .. } => {
                self.aside.remove(&finding);
                self.set_state(now, finding, FindingState::Closed);
                self.senses.close(finding);
                self.stand_down(now, finding);
            }
            Operator::Maintenance { until, signals } if now < until => {
                self.maintenance.push(Window { until, signals: signals.to_vec() });
            }
            Operator::Shelve { .. } | Operator::Maintenance { .. } => {}
            Operator::SensorReplaced { signal } => self.replaced(signal),
            Operator::Mode { mode } => self.gate.set_mode(mode),
            Operator::Recover { finding } => {
                let open = |it: &Finding| it.state != FindingState::Closed;
                if self.findings.get(&finding).is_some_and(open) {
                    self.recover(now, finding)?;
                }
            }
            Operator::Override { action } => self.override_action(now, action),
        }
        Ok(())
    }

    /// Another instrument: it is believed, and what the old one did says nothing of it.
    fn replaced(&mut self, signal: SignalId) {
        self.trust_again(signal);
        self.senses.forget(signal);
    }

    /// The operator always wins: what was taken is given back, and not taken again for the same finding.
    fn override_action(&mut self, now: Timestamp, action: ActionId) {
        match self.actions.get(&action).cloned() {
            Some(ActionKind::IsolatePeer { peer }) => {
                self.gate.release(peer);
            }
            Some(ActionKind::Substitute { signal, .. } | ActionKind::IsolateSignal { signal }) => {
                self.trust_again(signal);
            }
            _ => {}
        }
        let mut actions = Vec::new();
        self.responder.release(now, action, "an operator ended it", &mut actions);
        self.act(now, actions);
    }

    /// A closed finding stays closed.
    pub(super) fn set_state(&mut self, now: Timestamp, id: FindingId, state: FindingState) {
        let Some(finding) = self.findings.get(&id).filter(|it| it.state != FindingState::Closed) else {
            return;
        };
        let mut finding = finding.clone();
        finding.state = state;
        finding.revision += 1;
        finding.at = now;
        self.emit_finding(finding);
    }
}
