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
    /// A state that no playbook can have had.
    #[error("state of a playbook: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}
