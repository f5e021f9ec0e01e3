/// What this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside what makes sense.
    #[error("setting `{name}` is {value}: it must be {must}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// As given.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// A snapshot that ends early, holds an impossible value, or goes on behind its end.
    #[error("snapshot is not valid at byte {at}: {reason}")]
    Snapshot {
        /// Offset in bytes.
        at: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A snapshot of a version that this build does not read.
    #[error("snapshot has version {found}, this build reads up to version {known}")]
    SnapshotVersion {
        /// As found.
        found: u32,
        /// As known.
        known: u32,
    },
    /// A detector that no registry line names.
    #[error("unknown detector `{name}`")]
    UnknownDetector {
        /// As asked for.
        name: String,
    },
    /// A history that nothing can be learnt from.
    #[error("the history cannot be used: {reason} (here {count})")]
    Training {
        /// What is wrong.
        reason: &'static str,
        /// The number that is wrong.
        count: usize,
    },
    /// Two sequences that must be equally long are not.
    #[error("{labels} labels but {scores} scores")]
    Lengths {
        /// Number of labels.
        labels: usize,
        /// Number of scores.
        scores: usize,
    },
    /// A rate of false alarms that the history is too short for.
    #[error("a rate of {asked} cannot be kept: the history supports {least} at the least")]
    Unattainable {
        /// As asked.
        asked: f64,
        /// The least.
        least: f64,
    },
    /// An event of the Open Cybersecurity Schema Framework that cannot be read.
    #[error("OCSF event in line {line}: {reason}")]
    Ocsf {
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
}
