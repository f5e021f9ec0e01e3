use twinguard_types::{ActionId, SignalId};

/// What this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An outcome or verdict names an action that was never issued or is already settled.
    #[error("action `{action}` is not pending")]
    NotPending {
        /// The action as named.
        action: ActionId,
    },
    /// A safe value that is not a finite number.
    #[error("safe value of signal `{signal}` is not finite")]
    SafeValue {
        /// The signal.
        signal: SignalId,
    },
    /// A set that cannot be reached or bounded.
    #[error(transparent)]
    Reach(#[from] twinguard_twin::Error),
    /// A shield that cannot be built.
    #[error("safety shield: {reason}")]
    Shield {
        /// What is wrong.
        reason: &'static str,
    },
    /// A task whose numbers do not fit together, or that a planner is not for.
    #[error("task: it needs {reason}")]
    Task {
        /// What is needed.
        reason: &'static str,
    },
    /// A learnt policy that its algorithm cannot have written.
    #[error("learnt policy: {reason}")]
    Policy {
        /// What is wrong.
        reason: &'static str,
    },
    /// A recovery out of turn, or one that cannot be.
    #[error("recovery: {reason}")]
    Recovery {
        /// What is wrong.
        reason: &'static str,
    },
    /// A playbook in exchange form that cannot be carried out here.
    #[error("playbook: step `{step}`: {reason}")]
    Exchange {
        /// The step, or the property of the whole.
        step: String,
        /// What is wrong.
        reason: String,
    },
    /// A state that no playbook can have had.
    #[error("state of a playbook: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}
