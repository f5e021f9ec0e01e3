/// What the facade refuses: whatever one of the floors below refused, with its own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes of a capture.
    #[error(transparent)]
    Protocol(#[from] twinguard_protocol::Error),
    /// A plant file or a model.
    #[error(transparent)]
    Twin(#[from] twinguard_twin::Error),
    /// A CSV file.
    #[error(transparent)]
    Telemetry(#[from] twinguard_twin::importers::TelemetryError),
    /// A detector, a history or a snapshot of one.
    #[error(transparent)]
    Anomaly(#[from] twinguard_anomaly::Error),
    /// A seal or the journal.
    #[error(transparent)]
    Integrity(#[from] twinguard_integrity::Error),
    /// A rule or an approval.
    #[error(transparent)]
    Gate(#[from] twinguard_gate::Error),
    /// A safe state or an outcome.
    #[error(transparent)]
    Response(#[from] twinguard_response::Error),
    /// A value of the configuration.
    #[error("configuration: `{key}` is {value}, it must be {must}")]
    Setting {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        must: &'static str,
    },
    /// A finding that the guard does not know.
    #[error("finding `{finding}` is not known")]
    UnknownFinding {
        /// The finding as named.
        finding: twinguard_types::FindingId,
    },
    /// As many answers wait as may: the input was not taken. Poll, and give it again.
    #[error("{waiting} answers wait to be polled; the input was not taken")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// An action that the guard does not know, or no longer.
    #[error("action `{action}` is not known")]
    UnknownAction {
        /// The action as named.
        action: twinguard_types::ActionId,
    },
    /// A principal that the guard does not know.
    #[error("principal `{principal}` is not known")]
    UnknownPrincipal {
        /// The principal as named.
        principal: twinguard_types::PrincipalId,
    },
    /// More open channels than a guard keeps.
    #[error("more than {limit} channels are open")]
    Channels {
        /// How many it keeps.
        limit: usize,
    },
    /// More principals than a guard tells apart.
    #[error("more than {limit} principals")]
    Principals {
        /// How many it tells apart.
        limit: usize,
    },
    /// A name or kind that is the guard's own, or the name of another kind of party.
    #[error(
        "principal `{name}` cannot be entered: the name or kind is the guard's own, or a party's of another kind"
    )]
    Reserved {
        /// The name as given.
        name: String,
    },
    /// More maintenance windows than may be open at one time.
    #[error("{limit} maintenance windows are open already")]
    Windows {
        /// How many may be.
        limit: usize,
    },
    /// A change of parameters that is refused.
    #[error("recalibration: {reason}")]
    Recalibration {
        /// What is wrong.
        reason: &'static str,
    },
    /// A plant file that a running guard cannot go on with.
    #[error("this guard cannot go on with the plant file: {reason}")]
    Reload {
        /// What is wrong.
        reason: &'static str,
    },
    /// An entry of a journal that no guard wrote.
    #[error("journal entry of kind `{kind}` is not what a guard writes")]
    Body {
        /// The kind of the entry.
        kind: twinguard_types::Label,
    },
    /// A record that could not be written as JSON for the journal.
    #[error("journal entry: {0}")]
    Entry(#[from] serde_json::Error),
    /// A model, tenant, asset or reading that a fleet does not take.
    #[error("fleet: {reason}")]
    Fleet {
        /// What is wrong.
        reason: String,
    },
    /// Sources from which no plant can be drafted.
    #[error("{reason}")]
    Onboard {
        /// What is missing.
        reason: String,
    },
    /// Bytes that are no snapshot of this version, or of another guard.
    #[error("snapshot: {reason}")]
    Snapshot {
        /// What is wrong.
        reason: String,
    },
}
