//! The order of questions: peer, standing, token, trust, policy, guards, consequence, second person.
//!
//! The first that refuses decides. A judgement is numbers; its words are made when somebody wants to read them.

use std::sync::Arc;

use twinguard_twin::Twin;
use twinguard_twin::plant::Verb;
use twinguard_types::{
    Command, CommandOrigin, Decision, Digest, Duration, Principal, PrincipalKind, SignalId, Stage, Timestamp,
    Value, Verdict,
};

use super::{Asking, CERTIFICATES, Gate, PENDING, SUBJECTS};
use crate::guards::{Asked, Refusal};
use crate::identity::{Demand, Proof, Standing, Token, Use};
use crate::policy::{Channel, Request, Ruling};
use crate::what_if::{Certificate, Foresight, Tube, Width, inputs_of, starts_of, state_digest};

/// Bisections between the wanted value and a safe one.
const BISECTIONS: u32 = 6;

/// Times the usual width that a value is given which nobody asked for.
const RESERVE: f64 = 1.5;
/// Times the usual standard deviations that a twin in doubt is given.
const DOUBT: f64 = 3.0;

/// What a judgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// Nothing stands against it.
    Fine,
    /// The peer is isolated.
    Isolated,
    /// What the channel proves does not name who asks.
    WrongChannel,
    /// Revoked.
    Revoked,
    /// The certificate has expired.
    Expired,
    /// The token does not allow it.
    Token,
    /// Trust has run out.
    Distrusted,
    /// Policy.
    Policy,
    /// A stateful guard.
    Guard,
    /// A limit would be crossed.
    Crosses,
    /// The twin cannot be relied on.
    TwinUnsure,
    /// A second person has to agree.
    SecondPerson,
    /// It was sent without the second person.
    SentAlone,
    /// Too many wait for a second person.
    Crowded,
    /// Nobody decided in time.
    NobodyDecided,
}

impl Code {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 15] = [
        Self::Fine,
        Self::Isolated,
        Self::WrongChannel,
        Self::Revoked,
        Self::Expired,
        Self::Token,
        Self::Distrusted,
        Self::Policy,
        Self::Guard,
        Self::Crosses,
        Self::TwinUnsure,
        Self::SecondPerson,
        Self::SentAlone,
        Self::Crowded,
        Self::NobodyDecided,
    ];
}

/// What the what-if said, where it was asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outlook {
    NotAsked,
    NoModel,
    NotModelled,
    Unchanged,
    Clear,
    NoWorse,
    TowardsSafety,
    Crosses { after: Duration },
    Unsure(String),
}

/// A decision without words: [`Gate::verdict`] tells it, [`super::Record`] keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What.
    pub decision: Decision,
    /// Which part of the gate decided.
    pub stage: Stage,
    /// What it rests on.
    pub code: Code,
    /// What the policy said, where it was asked.
    pub ruling: Option<Ruling>,
    /// The guard that refused, by its place, and why.
    pub guard: Option<(u32, Refusal)>,
    /// Least margin to a limit, worst case.
    pub margin: Option<(SignalId, f64)>,
    /// Digest of the twin's state that the what-if started from.
    pub state: Option<Digest>,
    /// From when on the command must not be sent any more.
    pub expires: Option<Timestamp>,
    /// The break-glass capability that it passed by.
    pub glass: Option<u64>,
    pub(super) outlook: Outlook,
    pub(super) words: &'static str,
}

/// What keeps somebody from being heard at all.
pub(super) type Barred = (Decision, Stage, Code, &'static str);

const fn deny<T>(code: Code, words: &'static str) -> Result<T, Barred> {
    Err((Decision::Deny, Stage::Identity, code, words))
}

impl Judgement {
    pub(super) const fn new(decision: Decision, stage: Stage, code: Code) -> Self {
        Self {
            decision,
            stage,
            code,
            ruling: None,
            guard: None,
            margin: None,
            state: None,
            expires: None,
            glass: None,
            outlook: Outlook::NotAsked,
            words: "",
        }
    }

    pub(super) fn barred((decision, stage, code, words): Barred) -> Self {
        Self { words, ..Self::new(decision, stage, code) }
    }

    const fn deny(stage: Stage, code: Code) -> Self {
        Self::new(Decision::Deny, stage, code)
    }
}

impl Gate {
    /// Decides about one command of somebody who has nothing but a name: [`Gate::admit_as`].
    pub fn admit(
        &mut self,
        now: Timestamp,
        command: &Command,
        principal: &Principal,
        twin: Option<&Twin>,
    ) -> Verdict {
        self.admit_as(now, command, &Asking::of(principal), twin)
    }

    /// Decides about one command. `from` in the command is taken as the peer's address.
    ///
    /// Cost: constant in the number of rules that do not speak of sender and signal, plus one simulation over the horizon
    /// of each limit, one more when the twin has moved on, and up to eight when clamping.
    pub fn admit_as(
        &mut self,
        now: Timestamp,
        command: &Command,
        asking: &Asking<'_>,
        twin: Option<&Twin>,
    ) -> Verdict {
        let judgement = self.judge(now, command, asking, twin);
        self.verdict(now, command, asking, &judgement)
    }

    /// The same without words; without a twin, and once sender and policy are known, it allocates nothing.
    pub fn judge(
        &mut self,
        now: Timestamp,
        command: &Command,
        asking: &Asking<'_>,
        twin: Option<&Twin>,
    ) -> Judgement {
        self.refresh();
        let named;
        let principal = match self.who(now, command, asking) {
            Ok(None) => asking.principal,
            Ok(Some(subject)) => {
                named = subject;
                &named
            }
            Err(barred) => return Judgement::barred(barred),
        };
        if let Some(glass) = self.glass_for(now, principal, command.signal) {
            let mut judgement = self.consequence(now, command, false, twin);
            judgement.decision = Decision::Allow;
            (judgement.stage, judgement.code) = (Stage::Policy, Code::Fine);
            judgement.glass = Some(glass);
            self.use_glass(now, glass, command);
            self.leave(now, command, &judgement);
            return judgement;
        }
        let channel = asking.channel();
        let value = command.value.as_f64();
        let ruling = self.ruling(now, command, value, principal, channel);
        let refused = Judgement { ruling: Some(ruling), ..Judgement::deny(Stage::Policy, Code::Policy) };
        let two_person = match ruling {
            Ruling::Allowed(rule) => {
                // Asking is what is counted, so that a flood of refused commands costs no flood of simulations.
                self.rates.take(now, rule);
                self.wants_second(ruling)
            }
            Ruling::Own => false,
            _ => return refused,
        };
        let own = principal.kind == PrincipalKind::Guard;
        if !own
            && let Err(guard) =
                self.ask_guards(now, command, value, (principal, asking.sequence), false, twin)
        {
            return Judgement {
                guard: Some(guard),
                ruling: Some(ruling),
                ..Judgement::deny(Stage::Guard, Code::Guard)
            };
        }
        let mut judgement = self.consequence(now, command, own, twin);
        judgement.ruling = Some(ruling);
        let mut two_person = two_person;
        if let Decision::Clamp(safe) = judgement.decision {
            // What is safe has to be allowed as well.
            let safe = safe.as_f64();
            let allowed = self.ruling_at_any_rate(now, command, safe, principal, channel);
            let barred = self.ask_guards(now, command, safe, (principal, asking.sequence), false, twin);
            if !allowed.allows() || barred.is_err() {
                judgement.decision = Decision::Deny;
            }
            two_person |= self.wants_second(allowed);
        }
        if !judgement.decision.permits() {
            return judgement;
        }
        if two_person {
            return self.ask_second(now, command, (principal, asking), judgement);
        }
        self.pass(now, command, (principal, asking.sequence), twin, &judgement);
        judgement
    }

    /// Selects a signal for a later operation: decided by identity, policy and the guards of kind `select`. The operation is
    /// asked about everything.
    pub fn select(&mut self, now: Timestamp, command: &Command, asking: &Asking<'_>) -> Verdict {
        self.refresh();
        let judgement = match self.who(now, command, asking) {
            Err(barred) => Judgement::barred(barred),
            Ok(subject) => {
                let principal = subject.as_ref().unwrap_or(asking.principal);
                let value = command.value.as_f64();
                let ruling = self.ruling(now, command, value, principal, asking.channel());
                let who = (principal, asking.sequence);
                if !ruling.allows() {
                    Judgement { ruling: Some(ruling), ..Judgement::deny(Stage::Policy, Code::Policy) }
                } else if let Err(guard) = self.ask_guards(now, command, value, who, true, None) {
                    Judgement {
                        guard: Some(guard),
                        ruling: Some(ruling),
                        ..Judgement::deny(Stage::Guard, Code::Guard)
                    }
                } else {
                    self.tell_guards(now, command, value, who, true, None);
                    Judgement {
                        ruling: Some(ruling),
                        ..Judgement::new(Decision::Allow, Stage::Policy, Code::Fine)
                    }
                }
            }
        };
        self.verdict(now, command, asking, &judgement)
    }

    /// A command that a second person agreed to: policy, guards and consequence as they are now.
    pub(super) fn judge_approved(
        &mut self,
        now: Timestamp,
        command: &Command,
        asker: &Principal,
        channel: Channel,
        twin: Option<&Twin>,
    ) -> Judgement {
        let value = command.value.as_f64();
        let ruling = self.ruling_at_any_rate(now, command, value, asker, channel);
        if !ruling.allows() {
            return Judgement { ruling: Some(ruling), ..Judgement::deny(Stage::Policy, Code::Policy) };
        }
        if let Err(guard) = self.ask_guards(now, command, value, (asker, None), false, twin) {
            return Judgement {
                guard: Some(guard),
                ruling: Some(ruling),
                ..Judgement::deny(Stage::Guard, Code::Guard)
            };
        }
        let mut judgement = self.consequence(now, command, false, twin);
        judgement.ruling = Some(ruling);
        if judgement.decision.permits() {
            self.pass(now, command, (asker, None), twin, &judgement);
        }
        judgement
    }

    /// Takes up a policy that was put in force since.
    pub(super) fn refresh(&mut self) {
        let policy = self.shared.load();
        if !Arc::ptr_eq(&policy, &self.policy) {
            self.rates = self.rates.under(&self.policy, &policy);
            self.subjects.clear();
            self.policy = policy;
        }
    }

    /// Peer, standing, token and trust. Gives who acts where that is another one than who asks.
    fn who(
        &self,
        now: Timestamp,
        command: &Command,
        asking: &Asking<'_>,
    ) -> Result<Option<Principal>, Barred> {
        let principal = asking.principal;
        self.standing(now, command, principal, asking.proof)?;
        if let Some(proof) = asking.proof {
            match self.credentials.identify(proof) {
                Ok(Some(proved)) if proved.name != principal.name => {
                    return deny(Code::WrongChannel, "the channel belongs to somebody else");
                }
                Ok(_) => {}
                Err(_) => {
                    return deny(Code::WrongChannel, "what the channel proves names nobody, or two parties");
                }
            }
        }
        let mut acting = None;
        if let Some(token) = asking.token {
            self.token(now, command, token, &principal.name)?;
            if token.subject() != &*principal.name {
                let Some(subject) = self.identities.named(token.subject()) else {
                    return deny(Code::Token, "nobody knows whom it speaks for");
                };
                acting = Some(subject.clone());
            }
        }
        if let Some(config) = &self.config.trust
            && principal.kind != PrincipalKind::Guard
        {
            let name = acting.as_ref().map_or(&principal.name, |acting| &acting.name);
            match self.trust.demand(name, now, config) {
                Demand::None => {}
                Demand::StepUp(_) => {
                    return Err((Decision::StepUp, Stage::Trust, Code::Distrusted, ""));
                }
                Demand::Deny(_) => return Err((Decision::Deny, Stage::Trust, Code::Distrusted, "")),
            }
        }
        Ok(acting)
    }

    /// Whether somebody may be heard at all: the peer, the name, and whether what the channel proved is still valid.
    pub(super) fn standing(
        &self,
        now: Timestamp,
        command: &Command,
        principal: &Principal,
        proof: Option<&Proof>,
    ) -> Result<(), Barred> {
        if command.from.is_some_and(|from| self.is_isolated(now, from.ip())) {
            return deny(Code::Isolated, "");
        }
        if self.credentials.is_revoked(&principal.name) {
            return deny(Code::Revoked, "");
        }
        match proof.map_or(Standing::Good, |proof| self.credentials.standing(now, principal, proof)) {
            Standing::Good => Ok(()),
            Standing::Expired { .. } => deny(Code::Expired, ""),
            Standing::Revoked => deny(Code::Revoked, ""),
        }
    }

    /// Whether a token allows this command of this holder.
    pub(super) fn token(
        &self,
        now: Timestamp,
        command: &Command,
        token: &Token,
        holder: &str,
    ) -> Result<(), Barred> {
        let (signal, value) = (command.signal, command.value.as_f64());
        let used = Use { now, signal, verb: Verb::Write, value, holder, revoked: &self.revoked_tokens };
        let Some(key) = &self.token_key else { return deny(Code::Token, "no key to check tokens by") };
        match key.verify(token, &used, &self.catalogue) {
            Ok(()) => {}
            Err(crate::Error::Token { reason }) => return deny(Code::Token, reason),
            Err(_) => return deny(Code::Token, "it cannot be verified"),
        }
        if self.revoked_tokens.contains(&token.id()) || self.credentials.is_revoked(token.subject()) {
            return deny(Code::Revoked, "");
        }
        Ok(())
    }

    pub(super) fn request(&self, now: Timestamp, command: &Command, value: f64, channel: Channel) -> Request {
        let (signal, verb, mode) = (command.signal, Verb::Write, self.policy.mode(&self.mode));
        Request { at: now, signal, verb, value, mode, channel }
    }

    /// Enters a sender whom this policy has not met.
    fn meet(&mut self, command: &Command, principal: &Principal) {
        let key = (command.principal, command.from.map(|from| from.ip()));
        if self.subjects.get(&key).is_some_and(|(known, _)| known == principal) {
            return;
        }
        if self.subjects.len() >= SUBJECTS {
            self.subjects.clear();
        }
        let subject = self.policy.subject(principal, key.1);
        self.subjects.insert(key, (principal.clone(), subject));
    }

    fn decide(&self, command: &Command, request: &Request, usable: impl Fn(u32) -> bool) -> Ruling {
        let key = (command.principal, command.from.map(|from| from.ip()));
        let subject = self.subjects.get(&key).map(|(_, subject)| subject);
        subject.map_or(Ruling::Refused, |subject| self.policy.decide(subject, request, usable))
    }

    fn ruling(
        &mut self,
        now: Timestamp,
        command: &Command,
        value: f64,
        principal: &Principal,
        channel: Channel,
    ) -> Ruling {
        self.meet(command, principal);
        let request = self.request(now, command, value, channel);
        self.decide(command, &request, |rule| self.rates.has(now, rule))
    }

    /// The same for what was counted when it was asked first.
    fn ruling_at_any_rate(
        &mut self,
        now: Timestamp,
        command: &Command,
        value: f64,
        principal: &Principal,
        channel: Channel,
    ) -> Ruling {
        self.meet(command, principal);
        let request = self.request(now, command, value, channel);
        self.decide(command, &request, |_| true)
    }

    fn wants_second(&self, ruling: Ruling) -> bool {
        match ruling {
            Ruling::Allowed(rule) => {
                self.policy.clauses().get(rule as usize).is_some_and(|clause| clause.rule.two_person)
            }
            _ => false,
        }
    }

    fn asked<'a>(
        now: Timestamp,
        command: &Command,
        value: f64,
        (principal, sequence): (&'a Principal, Option<u64>),
        select: bool,
        known: &'a dyn Fn(SignalId) -> Option<f64>,
    ) -> Asked<'a> {
        Asked {
            now,
            sent_at: command.at,
            signal: command.signal,
            value,
            principal,
            principal_id: command.principal,
            sequence,
            select,
            known,
        }
    }

    fn ask_guards(
        &self,
        now: Timestamp,
        command: &Command,
        value: f64,
        who: (&Principal, Option<u64>),
        select: bool,
        twin: Option<&Twin>,
    ) -> Result<(), (u32, Refusal)> {
        let known = |signal: SignalId| twin?.estimate(signal).map(|estimate| estimate.mean);
        self.guards.check(&Self::asked(now, command, value, who, select, &known))
    }

    fn tell_guards(
        &mut self,
        now: Timestamp,
        command: &Command,
        value: f64,
        who: (&Principal, Option<u64>),
        select: bool,
        twin: Option<&Twin>,
    ) {
        let known = |signal: SignalId| twin?.estimate(signal).map(|estimate| estimate.mean);
        self.guards.passed(&Self::asked(now, command, value, who, select, &known));
    }

    fn ask_second(
        &mut self,
        now: Timestamp,
        command: &Command,
        who: (&Principal, &Asking<'_>),
        mut judgement: Judgement,
    ) -> Judgement {
        judgement.stage = Stage::Policy;
        if command.origin == CommandOrigin::Wire {
            // It has been sent: there is nothing left to hold.
            (judgement.decision, judgement.code) = (Decision::Deny, Code::SentAlone);
            return judgement;
        }
        let rule = match judgement.ruling {
            Some(Ruling::Allowed(rule)) => {
                self.policy.clauses().get(rule as usize).map_or_else(String::new, |it| it.rule.name.clone())
            }
            _ => String::new(),
        };
        if self.hold(now, command, who, rule, judgement.margin) {
            (judgement.decision, judgement.code) = (Decision::Hold, Code::SecondPerson);
        } else {
            (judgement.decision, judgement.code) = (Decision::Deny, Code::Crowded);
            judgement.stage = Stage::Guard;
        }
        judgement
    }

    /// The command passes: guards hear of it, and the next what-if counts it in.
    fn pass(
        &mut self,
        now: Timestamp,
        command: &Command,
        who: (&Principal, Option<u64>),
        twin: Option<&Twin>,
        judgement: &Judgement,
    ) {
        let value = sent(command, judgement);
        if who.0.kind != PrincipalKind::Guard {
            self.tell_guards(now, command, value, who, false, twin);
        }
        self.leave(now, command, judgement);
    }

    fn leave(&mut self, now: Timestamp, command: &Command, judgement: &Judgement) {
        if matches!(judgement.outlook, Outlook::NotAsked | Outlook::NoModel | Outlook::NotModelled) {
            return;
        }
        self.pending.retain(|(signal, _, until)| *signal != command.signal && now < *until);
        if self.pending.len() >= PENDING {
            self.pending.remove(0);
        }
        self.pending.push((command.signal, sent(command, judgement), now + self.config.validity));
    }

    /// What the twin says would happen.
    fn consequence(
        &mut self,
        now: Timestamp,
        command: &Command,
        own: bool,
        twin: Option<&Twin>,
    ) -> Judgement {
        let fine =
            |outlook| Judgement { outlook, ..Judgement::new(Decision::Allow, Stage::WhatIf, Code::Fine) };
        let Some(twin) = twin.filter(|_| self.config.what_if && self.lookahead.watches()) else {
            return fine(Outlook::NoModel);
        };
        let (signal, value) = (command.signal, command.value.as_f64());
        let current = twin.estimate(signal).map(|estimate| estimate.mean);
        let others: Vec<(SignalId, f64)> = self
            .pending
            .iter()
            .filter(|(_, _, until)| now < *until)
            .map(|(signal, value, _)| (*signal, *value))
            .collect();
        let before = others.iter().find(|(other, _)| *other == signal).map(|(_, value)| *value);
        if current == Some(value) && before.is_none_or(|before| before == value) {
            return fine(Outlook::Unchanged);
        }
        let expires = Some(now + self.config.validity);
        let from = before.or(current);
        let trusted = match twin.clock() {
            None => Err("the twin has not seen the plant yet".to_owned()),
            Some(clock) => self.confidence.widening(now, clock, self.stale),
        };
        let widening = match trusted {
            Ok(widening) => widening,
            Err(why) => return self.unsure(now, command, own, (twin, &others, from), why),
        };
        let width = Width { sigmas: self.config.sigmas * widening, model_error: self.config.model_error };
        let foresight = self.lookahead.foresee(twin, &self.confidence, &others, (signal, value), width);
        let state = self.lookahead.dynamics.as_ref().map(|dynamics| state_digest(twin, dynamics));
        match foresight {
            Foresight::NotModelled => fine(Outlook::NotModelled),
            Foresight::Unknown(why) => self.unsure(now, command, own, (twin, &others, from), why),
            Foresight::Clear { margin, tubes } => {
                self.certify(now, command, (twin, &others, value), tubes, state);
                Judgement { margin, state, expires, ..fine(Outlook::Clear) }
            }
            Foresight::NoWorse { margin } => {
                Judgement { margin: Some(margin), state, expires, ..fine(Outlook::NoWorse) }
            }
            Foresight::Crosses { margin, after } => {
                let mut judgement = Judgement {
                    margin: Some(margin),
                    state,
                    outlook: Outlook::Crosses { after },
                    ..Judgement::deny(Stage::WhatIf, Code::Crosses)
                };
                let anchor = from.filter(|_| self.config.clamp);
                let safe =
                    anchor.and_then(|good| self.nearest_safe(twin, &others, (signal, value, good), width));
                if let Some((safe, margin, tubes)) = safe
                    && let Ok(clamped) = Value::real(safe)
                {
                    judgement.decision = Decision::Clamp(clamped);
                    judgement.margin = margin.or(judgement.margin);
                    judgement.expires = expires;
                    if let Some(tubes) = tubes {
                        self.certify(now, command, (twin, &others, safe), tubes, state);
                    }
                }
                judgement
            }
        }
    }

    /// What a twin that cannot be believed leaves: this guard's own commands, and those towards the safe state of which even
    /// a doubtful state says that they make nothing worse.
    fn unsure(
        &mut self,
        now: Timestamp,
        command: &Command,
        own: bool,
        (twin, others, from): (&Twin, &[(SignalId, f64)], Option<f64>),
        why: String,
    ) -> Judgement {
        let (signal, value) = (command.signal, command.value.as_f64());
        let safe = self.safe.iter().find(|(safe, _)| *safe == signal).map(|(_, safe)| *safe);
        let nearer = |safe: f64, from: f64| {
            let (before, after) = (from - safe, value - safe);
            after.abs() <= before.abs() && after * before >= 0.0
        };
        let towards = safe.is_some_and(|safe| value == safe || from.is_some_and(|from| nearer(safe, from)));
        let width = Width { sigmas: DOUBT * self.config.sigmas, model_error: self.config.model_error };
        let open = own
            || (towards
                && (twin.clock().is_none()
                    || matches!(
                        self.lookahead.foresee(twin, &self.confidence, others, (signal, value), width),
                        Foresight::Clear { .. } | Foresight::NoWorse { .. }
                    )));
        if open {
            let expires = Some(now + self.config.validity);
            let outlook = Outlook::TowardsSafety;
            return Judgement {
                expires,
                outlook,
                ..Judgement::new(Decision::Allow, Stage::WhatIf, Code::Fine)
            };
        }
        Judgement { outlook: Outlook::Unsure(why), ..Judgement::deny(Stage::Trust, Code::TwinUnsure) }
    }

    /// Bisection between the wanted value and the present one, if that is safe; with half as much room again as a value
    /// needs that somebody asked for.
    #[expect(clippy::type_complexity, reason = "a value, its margin, its tubes")]
    fn nearest_safe(
        &mut self,
        twin: &Twin,
        others: &[(SignalId, f64)],
        (signal, wanted, good): (SignalId, f64, f64),
        width: Width,
    ) -> Option<(f64, Option<(SignalId, f64)>, Option<Vec<Tube>>)> {
        let width = Width { sigmas: RESERVE * width.sigmas, model_error: RESERVE * width.model_error };
        let mut clear =
            |value| match self.lookahead.foresee(twin, &self.confidence, others, (signal, value), width) {
                Foresight::Clear { margin, tubes } => Some((value, margin, Some(tubes))),
                Foresight::NoWorse { margin } => Some((value, Some(margin), None)),
                _ => None,
            };
        let (mut bad, mut found) = (wanted, clear(good)?);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(bad, found.0);
            match clear(middle) {
                Some(better) => found = better,
                None => bad = middle,
            }
        }
        // To stay where one is is no command.
        (found.0 != good).then_some(found)
    }

    fn certify(
        &mut self,
        now: Timestamp,
        command: &Command,
        (twin, others, value): (&Twin, &[(SignalId, f64)], f64),
        tubes: Vec<Tube>,
        state: Option<Digest>,
    ) {
        let (Some(dynamics), Some(state)) = (&self.lookahead.dynamics, state) else { return };
        let mut inputs = inputs_of(twin, dynamics);
        for (signal, value) in others.iter().chain([&(command.signal, value)]) {
            if let Some(at) = dynamics.inputs.iter().position(|it| it == &Some(*signal))
                && let Some(input) = inputs.get_mut(at)
            {
                *input = *value;
            }
        }
        if self.certificates.len() >= CERTIFICATES {
            self.certificates.pop_front();
        }
        self.certificates.push_back(Certificate {
            command: command.id,
            state,
            at: now,
            expires: now + self.config.validity,
            starts: starts_of(twin, &self.confidence),
            inputs,
            tubes,
        });
    }
}

/// The value that goes to the plant.
fn sent(command: &Command, judgement: &Judgement) -> f64 {
    match judgement.decision {
        Decision::Clamp(safe) => safe.as_f64(),
        _ => command.value.as_f64(),
    }
}
