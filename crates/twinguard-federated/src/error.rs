use twinguard_types::Digest;

/// What this crate refuses. A message that is refused has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are no message, transcript, snapshot or ledger of ours.
    #[error("it cannot be read: {reason}")]
    Unreadable {
        /// What is wrong.
        reason: &'static str,
    },
    /// A sender that is not on the roster.
    #[error("`{name}` is not on the roster")]
    Stranger {
        /// As it names itself.
        name: String,
    },
    /// A signature that is not the sender's over these bytes.
    #[error("the signature is not that of `{name}`")]
    Forged {
        /// Who is said to have signed.
        name: String,
    },
    /// A message of another federation.
    #[error("it belongs to another federation")]
    OtherFederation,
    /// A message of another round than the one that runs.
    #[error("it belongs to round {found}, this is round {expected}")]
    OtherRound {
        /// As it says.
        found: u64,
        /// The one that runs.
        expected: u64,
    },
    /// A message that was seen before, or one that is older than the last one seen.
    #[error("message {found} of `{name}` came again, or too late: the last one was {last}")]
    Replayed {
        /// The sender.
        name: String,
        /// Its number.
        found: u64,
        /// The last number seen.
        last: u64,
    },
    /// A message that this state does not expect.
    #[error("not expected here: {reason}")]
    Unexpected {
        /// Why.
        reason: &'static str,
    },
    /// Sides that do not agree on what is learnt, or from what.
    #[error("the {what} differ: here {here}, there {there}", here = here.short(), there = there.short())]
    Disagreement {
        /// What differs.
        what: &'static str,
        /// This side's.
        here: Digest,
        /// The other side's.
        there: Digest,
    },
    /// Fewer rows than the least that protects them.
    #[error("{rows} rows are fewer than the {least} that protect each other")]
    TooFewRows {
        /// Rows that were counted.
        rows: u64,
        /// The least.
        least: u64,
    },
    /// Fewer sites than the least that protects them.
    #[error("{sites} sites are fewer than the {least} that protect each other")]
    TooFewSites {
        /// Sites that take part.
        sites: usize,
        /// The least.
        least: usize,
    },
    /// A contribution that was not used as it was sent.
    #[error("our contribution was not used as it was sent")]
    Tampered,
    /// What a round would cost exceeds what is left of a budget.
    #[error("this costs {price:.6} of zero-concentrated privacy, {left:.6} are left")]
    Overspent {
        /// ρ of the release.
        price: f64,
        /// ρ that is left.
        left: f64,
    },
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
    /// The sum is made elsewhere, and is not there yet.
    #[error("the sum is not there yet")]
    Pending,
    /// Shares that do not prove what they have to.
    #[error("the shares are refused: {reason}")]
    Shares {
        /// What is wrong.
        reason: String,
    },
    /// From the statistics.
    #[error(transparent)]
    Statistic(#[from] twinguard_anomaly::Error),
    /// From the keys.
    #[error(transparent)]
    Integrity(#[from] twinguard_integrity::Error),
}
