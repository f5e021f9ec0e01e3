//! Findings become answers, answers become actions.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use twinguard_response::{Responder as _, Situation};
use twinguard_types::{
    Action, ActionKind, CommandId, Finding, FindingId, FindingState, Role, SignalId, Suspect, Symptom,
    Timestamp,
};

use super::Guard;
use super::wire::OWN_WINDOW;

/// A finding that nobody wants to hear of for a while: its revisions are journalled, and nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    pub(super) until: Timestamp,
    /// Whether somebody heard of it before.
    pub(super) told: bool,
    /// Whether work explains it, rather than a person having said so: it may come to be about more.
    pub(super) work: bool,
}

/// Work is being done on these signals; on the whole plant, where none is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) until: Timestamp,
    pub(super) signals: Vec<SignalId>,
}

impl Guard {
    pub(super) fn decide(&mut self, now: Timestamp) {
        if self.senses.is_learning() {
            return;
        }
        while let Some(mut finding) = self.senses.poll(now) {
            self.complete(&mut finding);
            if finding.state == FindingState::Closed {
                if let (Suspect::Identity, Some(name)) = (finding.suspect, &finding.suspect_element) {
                    self.gate.cleared(name);
                }
                let untold = self.aside.remove(&finding.id).is_some_and(|aside| !aside.told);
                let id = finding.id;
                if untold {
                    self.keep_finding(finding)
                } else {
                    self.emit_finding(finding)
                }
                self.stand_down(now, id);
                continue;
            }
            self.distrust(&finding);
            self.grade(&mut finding);
            if let (Suspect::Identity, Some(name)) = (finding.suspect, &finding.suspect_element)
                && !self.findings.contains_key(&finding.id)
            {
                self.gate.suspected(name, finding.severity);
            }
            match self.maintenance_of(&finding).or_else(|| self.own_doing(now, &finding)) {
                Some(until) => {
                    let told = self.findings.contains_key(&finding.id);
                    self.aside.entry(finding.id).or_insert(Aside { until, told, work: true });
                }
                None if self.aside.get(&finding.id).is_some_and(|aside| aside.work) => {
                    self.aside.remove(&finding.id);
                }
                None => {}
            }
            if self.aside.contains_key(&finding.id) {
                finding.state = FindingState::Shelved;
                self.keep_finding(finding);
                continue;
            }
            self.emit_finding(finding.clone());
            self.break_off(now, &finding);
            self.respond(now, &finding);
        }
    }

    fn respond(&mut self, now: Timestamp, finding: &Finding) {
        let offenders = self.offenders_since(finding.onset);
        let needed: Vec<IpAddr> = offenders.iter().copied().filter(|peer| self.is_named(*peer)).collect();
        let situation = Situation {
            twin: self.senses.twin(),
            offenders: &offenders,
            needed: &needed,
            principal: self.parties.own(),
            next_command: CommandId(self.next_command),
            sealed: self.sealed(),
        };
        let mut actions = Vec::new();
        self.responder.respond(now, finding, &situation, &mut actions);
        self.act(now, actions);
    }

    /// Whether the plant file names a party by this very address.
    fn is_named(&self, peer: IpAddr) -> bool {
        let whole = if peer.to_canonical().is_ipv4() { 32 } else { 128 };
        let networks = self.plant.parties.iter().flat_map(|party| &party.networks);
        networks.into_iter().any(|network| network.prefix() == whole && network.contains(peer))
    }

    /// Until when work explains a finding: all that it is about is being worked on. Commands, seals and accounts are not
    /// worked on by working at a signal.
    fn maintenance_of(&self, finding: &Finding) -> Option<Timestamp> {
        let about_more = |symptom: Symptom| {
            matches!(
                symptom,
                Symptom::Provenance
                    | Symptom::Novelty
                    | Symptom::Seal
                    | Symptom::Journal
                    | Symptom::Identity
                    | Symptom::Timing
                    | Symptom::Malformed
            )
        };
        let of_values = !finding.attribution.is_empty()
            && !finding.evidence.iter().any(|it| about_more(it.symptom) && it.surprise >= it.threshold);
        let covers = |window: &&Window| {
            window.signals.is_empty()
                || (of_values
                    && finding.attribution.first().is_some_and(|most| window.signals.contains(&most.signal)))
        };
        self.maintenance.iter().filter(covers).map(|window| window.until).max()
    }

    /// When a window or the time for which a finding was put aside ends next.
    pub(super) fn next_taken_up(&self) -> Option<Timestamp> {
        let windows = self.maintenance.iter().map(|window| window.until);
        windows.chain(self.aside.values().map(|aside| aside.until)).min()
    }

    /// Takes up what was put aside until now and is not over.
    pub(super) fn take_up(&mut self, now: Timestamp) {
        self.maintenance.retain(|window| now < window.until);
        let due: Vec<FindingId> =
            self.aside.iter().filter(|(_, aside)| aside.until <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.aside.remove(&id);
            let Some(mut finding) = self.findings.get(&id).cloned() else { continue };
            if finding.state == FindingState::Closed {
                continue;
            }
            finding.state = FindingState::Open;
            finding.revision += 1;
            finding.at = now;
            self.emit_finding(finding.clone());
            self.break_off(now, &finding);
            self.respond(now, &finding);
        }
    }

    /// What only the facade knows of a finding: what a person said of it, which holds for those whom it accused then.
    fn complete(&mut self, finding: &mut Finding) {
        let Some(before) = self.findings.get(&finding.id) else { return };
        let acknowledged = before.state == FindingState::Acknowledged;
        finding.revision = finding.revision.max(before.revision + 1);
        if self.accuses_more(finding) {
            if self.aside.get(&finding.id).is_some_and(|aside| !aside.work) {
                self.aside.remove(&finding.id);
            }
        } else if acknowledged && finding.state == FindingState::Open {
            finding.state = FindingState::Acknowledged;
        }
    }

    /// Whether a finding that a person acknowledged or put aside accuses somebody whom that person did not hear of: then it is
    /// open again.
    fn accuses_more(&self, finding: &Finding) -> bool {
        let before = || self.findings.get(&finding.id).map(|it| &it.suspect_set);
        let Some(heard) = self.heard.get(&finding.id).or_else(before) else { return false };
        finding.suspect_set.iter().any(|it| *it != Suspect::None && !heard.contains(it))
    }

    /// A person has heard of all whom a finding accuses now.
    pub(super) fn hear(&mut self, id: FindingId) {
        let Some(finding) = self.findings.get(&id) else { return };
        let heard = self.heard.entry(id).or_default();
        heard.extend(&finding.suspect_set);
        heard.sort_unstable();
        heard.dedup();
    }

    /// Accused sensors leave the estimate, from before the onset on: the virtual sensor must not have swallowed the lie.
    fn distrust(&mut self, finding: &Finding) {
        let accused =
            finding.suspect_set.iter().any(|suspect| matches!(suspect, Suspect::Sensor | Suspect::Network));
        // While nobody may be to blame, a sensor that is left out would only blind the estimate.
        let open = finding.suspect_set.contains(&Suspect::None) || finding.suspect == Suspect::Model;
        if !accused || open {
            return;
        }
        let repeated = finding
            .evidence
            .iter()
            .any(|evidence| evidence.symptom == Symptom::Repeat && evidence.surprise >= evidence.threshold);
        let mut signals: Vec<SignalId> = finding.attribution.iter().map(|share| share.signal).collect();
        if repeated && let Some(dynamics) = &self.plant.dynamics {
            // Whoever can play one recording can play them all: no measurement of this plant is believed.
            let measured = |signal: &SignalId| {
                self.plant.catalogue.signal(*signal).is_some_and(|known| known.role == Role::Measurement)
            };
            signals
                .extend(dynamics.outputs.iter().chain(&dynamics.inputs).flatten().copied().filter(measured));
        }
        signals.retain(|signal| !self.distrusted.contains_key(signal));
        signals.sort_unstable();
        signals.dedup();
        if signals.is_empty() {
            return;
        }
        for signal in &signals {
            self.distrusted.insert(*signal, finding.id);
        }
        self.senses.distrust(&signals, finding.onset);
    }

    pub(super) fn trust_again(&mut self, signal: SignalId) {
        if self.distrusted.remove(&signal).is_some() {
            self.senses.trust(signal);
        }
    }

    /// Tells the gate how far the twin is to be relied on: how it follows the plant, and what is said of the model.
    pub(super) fn weigh_twin(&mut self) {
        let accuses =
            |finding: &Finding| finding.suspect == Suspect::Model && finding.state != FindingState::Closed;
        let mut confidence = self.senses.confidence().clone();
        confidence.accuse(self.findings.values().any(accuses));
        self.gate.set_confidence(confidence);
    }

    /// Severity comes from the margin to a limit, not from the score.
    fn grade(&mut self, finding: &mut Finding) {
        if let Some(severity) = self.senses.severity() {
            finding.severity = finding.severity.max(severity);
        }
    }

    /// Carries actions out as far as they are ours: commands through the gate, isolation at the gate.
    pub(super) fn act(&mut self, now: Timestamp, actions: Vec<Action>) {
        for mut action in actions {
            if let ActionKind::Command(command) = &mut action.kind
                && !action.recommended_only
            {
                command.id = self.take_command_id();
                let command = *command;
                let own = Self::own_principal();
                self.weigh_twin();
                let verdict = self.gate.admit(now, &command, &own, self.senses.twin());
                // Nothing waits for the answer where the playbook no longer does.
                let _ = self.responder.on_verdict(action.id, &verdict);
                let permitted = verdict.decision.permits();
                self.emit_verdict(&command, Some(own), verdict, false);
                if !permitted {
                    continue;
                }
                // When it shows up on the wire it is ours, and nobody's injection.
                self.sent.retain(|(at, ..)| now.since(*at) <= OWN_WINDOW);
                self.sent.push((now, command.signal, command.value.as_f64()));
            }
            if let ActionKind::IsolatePeer { peer } = action.kind
                && !action.recommended_only
            {
                self.gate.isolate(peer, action.expires);
            }
            match action.kind {
                ActionKind::Verify { signal } => self.want(now, signal, action.deadline),
                ActionKind::Revert { sealed, commit: false } if !action.recommended_only => {
                    self.prepare_revert(now, &action, sealed);
                }
                _ => {}
            }
            if !action.recommended_only
                && !matches!(
                    action.kind,
                    ActionKind::Notify { .. } | ActionKind::Verify { .. } | ActionKind::Revert { .. }
                )
            {
                self.senses.acted(now);
            }
            self.emit_action(now, action);
        }
    }
}

#[cfg(test)]
mod tests {
    use twinguard_twin::Plant;

    use super::*;
    use crate::{Input, LineReport, LineStanding, Operator, Output};

    /// A guard with an open finding, which accuses the network.
    fn silent() -> (Guard, Finding) {
        let text = "format = 1\nname = \"p\"\n[[signal]]\npath = \"level\"\n";
        let mut guard = Guard::builder_unsealed(Plant::parse(text, "plant.toml").unwrap()).build().unwrap();
        let standing = LineStanding::Silent { since: Timestamp::from_secs(20) };
        let report = LineReport { name: "north", standing };
        guard.handle(Timestamp::from_secs(30), Input::Line(report)).unwrap();
        let found = std::iter::from_fn(|| guard.poll()).find_map(|output| match output {
            Output::Finding(finding) => Some(finding),
            _ => None,
        });
        (guard, found.unwrap())
    }

    /// The finding's next revision, with these suspects, and whether it is told.
    fn revised(guard: &mut Guard, finding: &Finding, set: &[Suspect]) -> (FindingState, bool) {
        let mut next = Finding { suspect_set: set.to_vec(), state: FindingState::Open, ..finding.clone() };
        guard.complete(&mut next);
        let told = !guard.aside.contains_key(&next.id);
        guard.findings.insert(next.id, next.clone());
        (next.state, told)
    }

    #[test]
    fn what_was_acknowledged_is_open_again_for_somebody_else_alone() {
        let (mut guard, finding) = silent();
        let word = |guard: &mut Guard| {
            let word = Operator::Acknowledge { finding: finding.id };
            guard.handle(Timestamp::from_secs(40), Input::Operator(word)).unwrap();
        };
        word(&mut guard);
        let (network, sensor) = (Suspect::Network, Suspect::Sensor);
        let state = |guard: &mut Guard, set: &[Suspect]| revised(guard, &finding, set).0;
        assert_eq!(state(&mut guard, &[network]), FindingState::Acknowledged);
        assert_eq!(
            state(&mut guard, &[network, Suspect::None]),
            FindingState::Acknowledged,
            "nobody is nobody"
        );
        assert_eq!(state(&mut guard, &[network, sensor]), FindingState::Open);
        assert_eq!(state(&mut guard, &[network, sensor]), FindingState::Open, "until a person says so again");
        word(&mut guard);
        // Who was heard of stays heard of, also through a restart.
        let state_now = guard.snapshot().unwrap();
        let plant = guard.plant.clone();
        let mut guard = Guard::builder_unsealed(plant).restore(&state_now).unwrap();
        assert_eq!(state(&mut guard, &[sensor]), FindingState::Acknowledged);
        assert_eq!(state(&mut guard, &[network]), FindingState::Acknowledged);
        assert_eq!(state(&mut guard, &[Suspect::Twin]), FindingState::Open);
    }

    #[test]
    fn what_was_shelved_is_told_at_once_when_it_accuses_somebody_else() {
        let (mut guard, finding) = silent();
        let until = Timestamp::from_secs(10_000);
        let word = Operator::Shelve { finding: finding.id, until };
        guard.handle(Timestamp::from_secs(40), Input::Operator(word)).unwrap();
        assert!(!revised(&mut guard, &finding, &[Suspect::Network]).1);
        assert_eq!(
            revised(&mut guard, &finding, &[Suspect::Network, Suspect::Actuator]),
            (FindingState::Open, true)
        );
        // Work explains what it is about, whoever is accused.
        let (mut guard, finding) = silent();
        guard.aside.insert(finding.id, Aside { until, told: true, work: true });
        assert!(!revised(&mut guard, &finding, &[Suspect::Network, Suspect::Actuator]).1);
    }
}
