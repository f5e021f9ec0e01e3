use twinguard_types::CommandId;

/// What this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule that speaks of a signal that the plant does not have.
    #[error("rule `{rule}` names a signal that the plant does not have")]
    UnknownSignal {
        /// The rule's name.
        rule: String,
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
    /// An approval by somebody who may not give such a command either.
    #[error("`{name}` may not approve command `{command}`: rule `{rule}` does not speak of them")]
    NotEntitled {
        /// The command.
        command: CommandId,
        /// Who tried.
        name: String,
        /// The rule that asks for two people.
        rule: String,
    },
    /// A state that no gate of this plant can have had.
    #[error("state of a gate: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}
