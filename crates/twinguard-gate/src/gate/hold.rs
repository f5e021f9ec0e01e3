//! Commands that wait for a second person.

use twinguard_twin::Twin;
use twinguard_types::{
    Command, CommandId, Decision, Duration, Principal, SignalId, Stage, Timestamp, Verdict, VerdictReason,
};

use super::judge::{Barred, Code, Judgement};
use super::{Asking, Gate};
use crate::Error;
use crate::identity::{Proof, Token};
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
    /// What the asker's channel proved, and the token that was shown, with its holder: both are looked at again.
    proof: Option<Proof>,
    token: Option<(Vec<u8>, String)>,
    margin: Option<(SignalId, f64)>,
    until: Timestamp,
}

impl Gate {
    /// Keeps a command until somebody agrees; false when too many wait already.
    pub(super) fn hold(
        &mut self,
        now: Timestamp,
        command: &Command,
        (asker, asking): (&Principal, &Asking<'_>),
        rule: String,
        margin: Option<(SignalId, f64)>,
    ) -> bool {
        self.expire(now);
        if self.held.len() >= HELD_LIMIT {
            return false;
        }
        let held = Held {
            command: *command,
            asker: asker.clone(),
            rule,
            channel: asking.channel(),
            proof: asking.proof.cloned(),
            token: asking.token.map(|token| (token.to_bytes(), asking.principal.name.to_string())),
            margin,
            until: now + HOLD,
        };
        self.held.insert(command.id, held);
        true
    }

    /// A second person's word on a held command; gives the command, who asked for it, and what becomes of it.
    ///
    /// Another one than who asked may agree: a holder of one of the rule's approvers' roles; where it names none, whoever
    /// may give such a command by the same rule. The asker's standing (isolation, revocation, expiry of what was shown), policy,
    /// guards and consequence are looked at again: time has passed and the plant has moved on.
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
        let judgement = match self.still_stands(now, &held) {
            Ok(()) => self.judge_approved(now, &held.command, &held.asker, held.channel, twin),
            Err(barred) => Judgement::barred(barred),
        };
        let mut verdict = self.verdict(now, &held.command, &Asking::of(&held.asker), &judgement);
        verdict.reasons.push(reason("a second person agreed"));
        Ok((held.command, held.asker, verdict))
    }

    /// Whether who asked could still ask: a channel may have been closed since, but what it proved has to be valid.
    fn still_stands(&self, now: Timestamp, held: &Held) -> Result<(), Barred> {
        self.standing(now, &held.command, &held.asker, held.proof.as_ref())?;
        let Some((bytes, holder)) = &held.token else { return Ok(()) };
        if self.credentials.is_revoked(holder) {
            return Err((Decision::Deny, Stage::Identity, Code::Revoked, ""));
        }
        let token = Token::from_bytes(bytes)
            .map_err(|_| (Decision::Deny, Stage::Identity, Code::Token, "it cannot be verified"))?;
        self.token(now, &held.command, &token, holder)
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
