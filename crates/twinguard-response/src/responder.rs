//! What every responder can do, and what it is told.

use core::net::IpAddr;

use twinguard_twin::Twin;
use twinguard_types::{Action, ActionId, CommandId, Finding, Outcome, PrincipalId, Timestamp, Verdict};

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
}

impl Autonomy {
    /// Every class may act by itself.
    pub const FULL: Self = Self { isolate: true, substitute: true, safe_state: true };
}

/// What the responder knows when a finding comes.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The running twin, if there is one.
    pub twin: Option<&'a Twin>,
    /// Peers that sent commands nobody says they sent, or that the gate refused, since the finding's onset.
    pub offenders: &'a [IpAddr],
    /// Whom a command of ours is issued as.
    pub principal: PrincipalId,
    /// The next free command number.
    pub next_command: CommandId,
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

    /// The finding is over: adds the actions that give back what was taken.
    fn stand_down(&mut self, now: Timestamp, finding: &Finding, actions: &mut Vec<Action>);

    /// An operator ends an action: adds what gives back what it took, which is not taken again for the same finding.
    fn release(&mut self, now: Timestamp, action: ActionId, actions: &mut Vec<Action>);
}
