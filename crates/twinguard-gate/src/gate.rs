use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use twinguard_twin::Twin;
use twinguard_twin::plant::{LimitKind, Plant};
use twinguard_types::{
    Command, CommandId, CommandOrigin, Decision, Duration, Principal, SignalId, Stage, Timestamp, Value,
    Verdict, VerdictReason,
};

use crate::policy::{Request, Ruling};
use crate::what_if::{Foresight, foresee};
use crate::{Error, Identities, Policy};

/// Commands that may wait for a person at one time; a further one is refused.
const HELD_LIMIT: usize = 64;
/// How long a command waits for a person before it is refused.
const HOLD: Duration = Duration::from_secs(300);

/// How the gate decides where the plant file does not say.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct GateConfig {
    /// Whether the command's consequence is simulated before it is admitted (needs a twin).
    pub what_if: bool,
    /// Whether a command whose consequence is unsafe is brought to the nearest safe value instead of refused.
    pub clamp: bool,
    /// Standard deviations that a margin is measured from the mean, outwards.
    pub sigmas: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { what_if: true, clamp: true, sigmas: 3.0 }
    }
}

/// Decides about every command: identity × policy × rate × what-if, in one call, with reasons.
///
/// A command is refused when nothing allows it, and when the twin says that it brings a never-exceed limit within reach
/// that it would not be in without the command. A command that leaves the plant safer than it is passes even when a limit
/// is near: the way to the safe state is never barred.
#[derive(Debug)]
pub struct Gate {
    identities: Identities,
    policy: Policy,
    config: GateConfig,
    horizon: Duration,
    /// Per limit of the plant, whether it must never be crossed.
    binding: Vec<bool>,
    isolated: BTreeMap<IpAddr, Option<Timestamp>>,
    held: BTreeMap<CommandId, Held>,
    /// Per signal, the last value that was let through: a repeated value needs no new simulation.
    last: Last,
    mode: String,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Held {
    command: Command,
    asker: Principal,
    rule: String,
    margin: Option<(SignalId, f64)>,
    until: Timestamp,
}

/// Per signal: the value, the margin that was found, and when.
type Last = BTreeMap<SignalId, (f64, Option<(SignalId, f64)>, Timestamp)>;

/// What a [`Gate`] remembers between commands: isolated peers, held commands, rates, the mode, what was last let through.
///
/// With the feature `serde` it can be written down; [`Gate::with_state`] goes on from it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct GateState {
    isolated: BTreeMap<IpAddr, Option<Timestamp>>,
    held: BTreeMap<CommandId, Held>,
    last: Last,
    mode: String,
    recent: Vec<VecDeque<Timestamp>>,
}

/// How long the outcome of a simulation stands for the same value again.
const FRESH: Duration = Duration::from_secs(60);

impl Gate {
    /// The gate of a plant.
    ///
    /// # Errors
    /// As [`Policy::from_plant`].
    pub fn new(plant: &Plant, config: GateConfig) -> Result<Self, Error> {
        Ok(Self {
            identities: Identities::from_plant(plant),
            policy: Policy::from_plant(plant)?,
            config,
            horizon: plant.limits.iter().map(|limit| limit.horizon).max().unwrap_or(Duration::ZERO),
            binding: plant.limits.iter().map(|limit| limit.kind == LimitKind::NeverExceed).collect(),
            isolated: BTreeMap::new(),
            held: BTreeMap::new(),
            last: BTreeMap::new(),
            mode: String::new(),
        })
    }

    /// What the gate remembers.
    #[must_use]
    pub fn state(&self) -> GateState {
        GateState {
            isolated: self.isolated.clone(),
            held: self.held.clone(),
            last: self.last.clone(),
            mode: self.mode.clone(),
            recent: self.policy.recent().to_vec(),
        }
    }

    /// Goes on from what a gate of the same plant remembered.
    ///
    /// # Errors
    /// [`Error::State`] for the state of a gate with other rules, or one that holds more than a gate does.
    pub fn with_state(mut self, state: GateState) -> Result<Self, Error> {
        let GateState { isolated, held, last, mode, recent } = state;
        if held.len() > HELD_LIMIT {
            return Err(Error::State { reason: "more commands are held than a gate holds" });
        }
        self.policy.set_recent(recent)?;
        Ok(Self { isolated, held, last, mode, ..self })
    }

    /// This gate under another plant file: isolated peers, held commands and the mode stay; rates count anew, and every
    /// consequence is looked at anew.
    ///
    /// # Errors
    /// As [`Policy::from_plant`].
    pub fn under(&self, plant: &Plant) -> Result<Self, Error> {
        let (isolated, held, mode) = (self.isolated.clone(), self.held.clone(), self.mode.clone());
        Ok(Self { isolated, held, mode, ..Self::new(plant, self.config.clone())? })
    }

    /// Who speaks from where.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Lets nothing from this peer through, until a time or for good.
    pub fn isolate(&mut self, peer: IpAddr, until: Option<Timestamp>) {
        self.isolated.insert(peer, until);
    }

    /// Lets a peer speak again; whether it was isolated.
    pub fn release(&mut self, peer: IpAddr) -> bool {
        self.isolated.remove(&peer).is_some()
    }

    /// Whether a peer is isolated at `now`.
    #[must_use]
    pub fn is_isolated(&self, now: Timestamp, peer: IpAddr) -> bool {
        self.isolated.get(&peer).is_some_and(|until| until.is_none_or(|until| now < until))
    }

    /// Declares the plant's mode of operation, as named in the rules.
    pub fn set_mode(&mut self, mode: &str) {
        mode.clone_into(&mut self.mode);
    }

    /// Decides about one command. `from` in the command is taken as the peer's address.
    ///
    /// Cost: constant in the number of rules that do not speak of the signal, plus one or, when clamping, up to eight
    /// simulations over the largest horizon of the plant's limits.
    pub fn admit(
        &mut self,
        now: Timestamp,
        command: &Command,
        principal: &Principal,
        twin: Option<&Twin>,
    ) -> Verdict {
        let verdict = |decision, stage, text: String, margin| Verdict {
            command: command.id,
            at: now,
            decision,
            reasons: vec![VerdictReason { stage, text }],
            margin,
        };
        let from = command.from.map(|socket| socket.ip());
        if let Some(peer) = from.filter(|peer| self.is_isolated(now, *peer)) {
            return verdict(Decision::Deny, Stage::Identity, format!("{peer} is isolated"), None);
        }
        let value = command.value.as_f64();
        let request = Request { principal, from, signal: command.signal, value, mode: &self.mode };
        let (rule, two_person) = match self.policy.rule(now, &request, &self.identities) {
            Ruling::Refused { reason } => return verdict(Decision::Deny, Stage::Policy, reason, None),
            Ruling::Allowed { rule, two_person } => (rule, two_person),
        };
        let mut answer = self.consequence(now, command, twin);
        let text = format!("rule `{rule}` allows it");
        answer.reasons.push(VerdictReason { stage: Stage::Policy, text });
        if !two_person || !answer.decision.permits() {
            return answer;
        }
        if command.origin == CommandOrigin::Wire {
            // It has been sent: there is nothing left to hold.
            let text = "sent without the second person that the rule asks for".to_owned();
            answer.decision = Decision::Deny;
            answer.reasons.insert(0, VerdictReason { stage: Stage::Policy, text });
            return answer;
        }
        self.hold(now, (command, principal), rule, answer)
    }

    /// A second person's word on a held command; gives the command, who asked for it, and what becomes of it.
    ///
    /// Whoever may give such a command by the same rule may agree to it: another one than who asked.
    ///
    /// # Errors
    /// [`Error::NotHeld`], [`Error::SamePerson`], [`Error::NotEntitled`].
    pub fn approve(
        &mut self,
        now: Timestamp,
        command: CommandId,
        approver: &Principal,
        approved: bool,
        twin: Option<&Twin>,
    ) -> Result<(Command, Principal, Verdict), Error> {
        self.expire(now);
        let held = self.held.get(&command).cloned().ok_or(Error::NotHeld { command })?;
        let name = || approver.name.to_string();
        if held.asker.name == approver.name {
            return Err(Error::SamePerson { command, name: name() });
        }
        if !self.policy.entitles(&held.rule, approver) {
            return Err(Error::NotEntitled { command, name: name(), rule: held.rule });
        }
        self.held.remove(&command);
        let reason = |text: &str| vec![VerdictReason { stage: Stage::Identity, text: text.to_owned() }];
        if !approved {
            let verdict = Verdict {
                command,
                at: now,
                decision: Decision::Deny,
                reasons: reason("a person refused it"),
                margin: held.margin,
            };
            return Ok((held.command, held.asker, verdict));
        }
        // The plant has moved on since the command was held: its consequence is looked at again.
        let mut verdict = self.consequence(now, &held.command, twin);
        verdict.reasons.extend(reason("a second person agreed"));
        Ok((held.command, held.asker, verdict))
    }

    /// Refuses what waited too long for a person; call it as time passes.
    pub fn tick(&mut self, now: Timestamp) -> Vec<(Command, Verdict)> {
        self.isolated.retain(|_, until| until.is_none_or(|until| now < until));
        self.expire(now)
    }

    /// When [`Gate::tick`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.held.values().map(|held| held.until).min()
    }

    fn expire(&mut self, now: Timestamp) -> Vec<(Command, Verdict)> {
        let over: Vec<CommandId> =
            self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id).collect();
        over.into_iter()
            .filter_map(|id| self.held.remove(&id))
            .map(|held| {
                let text = "nobody decided in time".to_owned();
                let reasons = vec![VerdictReason { stage: Stage::Identity, text }];
                let verdict = Verdict {
                    command: held.command.id,
                    at: now,
                    decision: Decision::Deny,
                    reasons,
                    margin: held.margin,
                };
                (held.command, verdict)
            })
            .collect()
    }

    fn hold(
        &mut self,
        now: Timestamp,
        (command, asker): (&Command, &Principal),
        rule: String,
        mut verdict: Verdict,
    ) -> Verdict {
        self.expire(now);
        if self.held.len() >= HELD_LIMIT {
            verdict.decision = Decision::Deny;
            verdict.reasons.insert(
                0,
                VerdictReason { stage: Stage::Guard, text: "too many commands wait for a person".to_owned() },
            );
            return verdict;
        }
        let (asker, margin) = (asker.clone(), verdict.margin);
        let held = Held { command: *command, asker, rule, margin, until: now + HOLD };
        self.held.insert(command.id, held);
        verdict.decision = Decision::Hold;
        verdict.reasons.insert(
            0,
            VerdictReason { stage: Stage::Policy, text: "a second person has to agree".to_owned() },
        );
        verdict
    }

    /// What the twin says would happen.
    fn consequence(&mut self, now: Timestamp, command: &Command, twin: Option<&Twin>) -> Verdict {
        let reason = |text: String| vec![VerdictReason { stage: Stage::WhatIf, text }];
        let mut verdict = Verdict {
            command: command.id,
            at: now,
            decision: Decision::Allow,
            reasons: Vec::new(),
            margin: None,
        };
        let value = command.value.as_f64();
        let Some(twin) = twin.filter(|_| self.config.what_if && self.horizon > Duration::ZERO) else {
            verdict.reasons = reason("no model to simulate its consequence with".to_owned());
            return verdict;
        };
        if let Some((last, margin, at)) = self.last.get(&command.signal)
            && *last == value
            && now < *at + FRESH
        {
            verdict.margin = *margin;
            verdict.reasons = reason("the same value as a minute ago".to_owned());
            return verdict;
        }
        let foresight =
            |value| foresee(twin, self.horizon, (command.signal, value), self.config.sigmas, &self.binding);
        match foresight(value) {
            Foresight::Unknown(why) => {
                // Not ours to bar the way to the safe state because the model cannot follow.
                let own = command.origin == CommandOrigin::Guard;
                verdict.decision = if own { Decision::Allow } else { Decision::Hold };
                verdict.reasons = vec![VerdictReason { stage: Stage::Trust, text: why }];
            }
            Foresight::Clear { margin } => {
                verdict.margin = margin;
                verdict.reasons = reason("no limit comes within reach".to_owned());
            }
            Foresight::NoWorse { margin } => {
                verdict.margin = Some(margin);
                verdict.reasons =
                    reason("a limit is within reach, and the command leaves the plant no worse".to_owned());
            }
            Foresight::Crosses { margin, after } => {
                verdict.margin = Some(margin);
                let minutes = after.as_secs_f64() / 60.0;
                let text = format!("a limit would be crossed after {minutes:.0} min");
                let current = self.last.get(&command.signal).map(|(value, ..)| *value);
                let safe = current
                    .filter(|_| self.config.clamp)
                    .and_then(|safe| nearest_safe(value, safe, &foresight));
                match safe {
                    Some((safe, margin)) => {
                        verdict.decision = Value::real(safe).map_or(Decision::Deny, Decision::Clamp);
                        verdict.margin = margin;
                        verdict.reasons =
                            reason(format!("{text}; {safe:.4} is the nearest value that is safe"));
                    }
                    None => {
                        verdict.decision = Decision::Deny;
                        verdict.reasons = reason(text);
                    }
                }
            }
        }
        if verdict.decision == Decision::Allow {
            self.last.insert(command.signal, (value, verdict.margin, now));
        }
        verdict
    }
}

/// Bisection between the wanted value and the last safe one, in at most six simulations after the one that checks `safe`.
fn nearest_safe(
    wanted: f64,
    safe: f64,
    foresight: &dyn Fn(f64) -> Foresight,
) -> Option<(f64, Option<(SignalId, f64)>)> {
    let clear = |value| match foresight(value) {
        Foresight::Clear { margin } => Some(margin),
        _ => None,
    };
    let (mut bad, mut good) = (wanted, safe);
    let mut margin = clear(good)?;
    for _ in 0..6 {
        let middle = f64::midpoint(bad, good);
        match clear(middle) {
            Some(found) => (good, margin) = (middle, found),
            None => bad = middle,
        }
    }
    Some((good, margin))
}
