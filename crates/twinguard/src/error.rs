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
    /// A plant file that a running guard cannot go on with.
    #[error("this guard cannot go on with the plant file: {reason}")]
    Reload {
        /// What is wrong.
        reason: &'static str,
    },
    /// A record that could not be written as JSON for the journal.
    #[error("journal entry: {0}")]
    Entry(#[from] serde_json::Error),
    /// Bytes that are no snapshot of this version, or of another guard.
    #[error("snapshot: {reason}")]
    Snapshot {
        /// What is wrong.
        reason: String,
    },
}
