//! What comes out.

use twinguard_types::{Action, Command, Finding, Principal, Receipt, Verdict};

/// One answer of the guard, in the order in which it was decided.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Something is wrong, or a known finding is better understood (same id, higher revision).
    Finding(Finding),
    /// The gate decided about a command, seen on the wire or given to vet.
    Verdict(Verdicted),
    /// The platform is asked to do something; it answers with an [`Outcome`](twinguard_types::Outcome).
    Action(Action),
    /// Something was entered in the journal.
    Receipt(Receipt),
}

/// A verdict with the command that it is about.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdicted {
    /// The command.
    pub command: Command,
    /// Who asked.
    pub principal: Principal,
    /// The decision.
    pub verdict: Verdict,
    /// Whether the command had already been sent when it was judged: a tap sees, it does not stop.
    pub already_sent: bool,
}
