use twinguard_twin::problem::Located;
use twinguard_types::CommandId;

/// What this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule or guard that speaks of a signal that the plant does not have.
    #[error("rule `{rule}` names a signal that the plant does not have")]
    UnknownSignal {
        /// The rule's name.
        rule: String,
    },
    /// Two rules of one name.
    #[error("rule `{rule}` is there twice")]
    SameName {
        /// The name.
        rule: String,
    },
    /// A policy file that cannot be read, with the place.
    #[error(transparent)]
    Policy(Located),
    /// More than a policy can have.
    #[error("{count} {what} are more than the limit of {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A guard that cannot be made.
    #[error("guard `{guard}`: {reason}")]
    Guard {
        /// Its name.
        guard: String,
        /// Why not.
        reason: String,
    },
    /// What a channel proves is worth nothing.
    #[error("credential: {reason}")]
    Credential {
        /// Why not.
        reason: &'static str,
    },
    /// A token is worth nothing, here.
    #[error("token: {reason}")]
    Token {
        /// Why not.
        reason: &'static str,
    },
    /// An approval of a command that is not held, or no longer.
    #[error("command `{command}` is not held")]
    NotHeld {
        /// The command as named.
        command: CommandId,
    },
    /// An approval by the one who asked.
    #[error("`{name}` may not approve command `{command}`: a second person is needed")]
    SamePerson {
        /// The command.
        command: CommandId,
        /// Who tried.
        name: String,
    },
    /// An approval by somebody who may not.
    #[error("`{name}` may not approve command `{command}`: rule `{rule}` does not speak of them")]
    NotEntitled {
        /// The command.
        command: CommandId,
        /// Who tried.
        name: String,
        /// The rule that asks for two people.
        rule: String,
    },
    /// Break-glass that is not granted.
    #[error("break-glass: {reason}")]
    BreakGlass {
        /// Why not.
        reason: &'static str,
    },
    /// What cannot be said in Cedar, or what a Cedar policy says and no rule can.
    #[cfg(feature = "cedar")]
    #[error("Cedar policy `{policy}`: {reason}")]
    Cedar {
        /// Its name.
        policy: String,
        /// What of it.
        reason: String,
    },
    /// Bytes that are no record of a verdict.
    #[error("these bytes are no record of a verdict")]
    Record,
    /// A state that no gate of this plant can have had.
    #[error("state of a gate: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}
