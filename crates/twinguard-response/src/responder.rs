//! What every responder can do, and what it is told.

use core::net::IpAddr;

use twinguard_twin::Twin;
use twinguard_types::{
    Action, ActionId, ActionKind, CommandId, Digest, Finding, FindingId, Outcome, PrincipalId, Timestamp,
    Verdict,
};

use crate::Error;

/// What may be done without asking a person, per class of action. The default grants nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, rename_all = "snake_case")
)]
pub struct Autonomy {
    /// Peers may be cut off from the conduit to the plant.
    pub isolate: bool,
    /// Measured values may be replaced by the model's estimate.
    pub substitute: bool,
    /// Actuators may be brought to their safe values (through the gate).
    pub safe_state: bool,
    /// A model that is not as it was sealed may be loaded again from its seal.
    pub revert: bool,
}

impl Autonomy {
    /// Every class may act by itself.
    pub const FULL: Self = Self { isolate: true, substitute: true, safe_state: true, revert: true };
}

/// What the responder knows when a finding comes.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The running twin, if there is one.
    pub twin: Option<&'a Twin>,
    /// Peers that sent commands nobody says they sent, or that the gate refused, since the finding's onset.
    pub offenders: &'a [IpAddr],
    /// Addresses that the plant needs: those of its own parties. An address can be forged, so they are never cut off without a person.
    pub needed: &'a [IpAddr],
    /// Whom a command of ours is issued as.
    pub principal: PrincipalId,
    /// The next free command number.
    pub next_command: CommandId,
    /// What the model was sealed under.
    pub sealed: Digest,
}

/// Turns findings into actions, and follows each action to its outcome.
pub trait Responder: Send {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Adds what is to be done about a finding (or its new revision) to `actions`; never the same thing twice.
    fn respond(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        situation: &Situation<'_>,
        actions: &mut Vec<Action>,
    );

    /// The gate's answer to a command of ours.
    ///
    /// # Errors
    /// [`Error::NotPending`] when the action is not waiting for it.
    fn on_verdict(&mut self, action: ActionId, verdict: &Verdict) -> Result<(), Error>;

    /// The platform's answer to an action.
    ///
    /// # Errors
    /// [`Error::NotPending`] when the action is not waiting for it.
    fn on_outcome(&mut self, outcome: &Outcome) -> Result<(), Error>;

    /// When [`Responder::tick`] wants to be called next.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Time passed: actions whose outcome never came escalate, expired ones are released.
    fn tick(&mut self, now: Timestamp, actions: &mut Vec<Action>);

    /// What was taken for a finding and has to be given back when it is over, the first taken first. Peers that were cut off are not among
    /// it: they stay out until a person lets them in.
    fn holding(&self, finding: FindingId) -> Vec<ActionId>;

    /// Ends an action: adds what gives back what it took, which is not taken again for the same finding.
    fn release(&mut self, now: Timestamp, action: ActionId, why: &str, actions: &mut Vec<Action>);

    /// Issues an action that was decided elsewhere (a step of a recovery, an operator's wish), numbered and followed like its own.
    fn order(
        &mut self,
        now: Timestamp,
        finding: FindingId,
        kind: ActionKind,
        reason: String,
        actions: &mut Vec<Action>,
    );

    /// A finding is over and all is given back: nothing of it has to be known any more.
    fn forget(&mut self, finding: FindingId);

    /// New evidence came while what was taken for an earlier finding was being given back: what is still held counts for the later one.
    fn take_over(&mut self, earlier: FindingId, later: FindingId);
}
