//! Commands that wait for a second person.

use twinguard_twin::Twin;
use twinguard_types::{
    Command, CommandId, Decision, Duration, Principal, SignalId, Stage, Timestamp, Verdict, VerdictReason,
};

use super::judge::{Code, Judgement};
use super::{Asking, Gate};
use crate::Error;
use crate::policy::Channel;

/// Commands that may wait for a person at one time; a further one is refused.
pub(super) const HELD_LIMIT: usize = 64;
/// How long a command waits for a person before it is refused.
const HOLD: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Held {
    command: Command,
    asker: Principal,
    rule: String,
    channel: Channel,
    margin: Option<(SignalId, f64)>,
    until: Timestamp,
}

impl Gate {
    /// Keeps a command until somebody agrees; false when too many wait already.
    pub(super) fn hold(
        &mut self,
        now: Timestamp,
        command: &Command,
        (asker, channel): (&Principal, Channel),
        rule: String,
        margin: Option<(SignalId, f64)>,
    ) -> bool {
        self.expire(now);
        if self.held.len() >= HELD_LIMIT {
            return false;
        }
        let held = Held { command: *command, asker: asker.clone(), rule, channel, margin, until: now + HOLD };
        self.held.insert(command.id, held);
        true
    }

    /// A second person's word on a held command; gives the command, who asked for it, and what becomes of it.
    ///
    /// Another one than who asked may agree: a holder of one of the rule's approvers' roles; where it names none, whoever
    /// may give such a command by the same rule. Policy, guards and consequence are looked at again: the plant has moved on.
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
        self.refresh();
        let held = self.held.get(&command).cloned().ok_or(Error::NotHeld { command })?;
        let name = || approver.name.to_string();
        if held.asker.name == approver.name {
            return Err(Error::SamePerson { command, name: name() });
        }
        if !self.policy.entitles(&held.rule, approver) || self.credentials.is_revoked(&approver.name) {
            return Err(Error::NotEntitled { command, name: name(), rule: held.rule });
        }
        self.held.remove(&command);
        let reason = |text: &str| VerdictReason { stage: Stage::Identity, text: text.to_owned() };
        if !approved {
            let verdict = Verdict {
                command,
                at: now,
                decision: Decision::Deny,
                reasons: vec![reason("a person refused it")],
                margin: held.margin,
            };
            return Ok((held.command, held.asker, verdict));
        }
        let judgement = self.judge_approved(now, &held.command, &held.asker, held.channel, twin);
        let mut verdict = self.verdict(now, &held.command, &Asking::of(&held.asker), &judgement);
        verdict.reasons.push(reason("a second person agreed"));
        Ok((held.command, held.asker, verdict))
    }

    /// Refuses what waited too long for a person; call it as time passes.
    pub fn tick(&mut self, now: Timestamp) -> Vec<(Command, Verdict)> {
        self.isolated.retain(|_, until| until.is_none_or(|until| now < until));
        self.close_glass(now);
        self.expire(now)
    }

    /// When [`Gate::tick`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let held = self.held.values().map(|held| held.until).min();
        held.into_iter().chain(self.next_glass_end()).min()
    }

    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<(Command, Verdict)> {
        let over: Vec<CommandId> =
            self.held.iter().filter(|(_, held)| held.until <= now).map(|(id, _)| *id).collect();
        let over: Vec<Held> = over.into_iter().filter_map(|id| self.held.remove(&id)).collect();
        over.into_iter()
            .map(|held| {
                let judgement = Judgement {
                    margin: held.margin,
                    ..Judgement::new(Decision::Deny, Stage::Identity, Code::NobodyDecided)
                };
                let verdict = self.verdict(now, &held.command, &Asking::of(&held.asker), &judgement);
                (held.command, verdict)
            })
            .collect()
    }
}
