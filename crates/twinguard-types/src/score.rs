use crate::{DetectorId, SignalId, Timestamp};

/// What kind of abnormality a detector looks for: the judge weighs by it, not by the detector's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Symptom {
    /// Field and model disagree.
    Residual,
    /// Signals disagree with each other, by learnt redundancy.
    Redundancy,
    /// A value outside its range.
    Range,
    /// A value that changes faster than it can.
    Rate,
    /// A value that does not change although it should.
    Freeze,
    /// More or less noise than normal.
    Noise,
    /// Earlier values come again, exactly.
    Repeat,
    /// The vendor's twin shows something else than the field says.
    VendorOffset,
    /// A command on the wire that nobody says they sent.
    Provenance,
    /// A writer, target, value or order of commands not seen before.
    Novelty,
    /// Traffic comes earlier, later or more often than normal.
    Timing,
    /// Broken or odd bytes.
    Malformed,
    /// Access that is unusual or was refused.
    Identity,
    /// A set-point that the operator's journal does not hold.
    Journal,
    /// A model that is not what was sealed.
    Seal,
}

/// A signal's share in a score.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Attribution {
    /// The signal.
    pub signal: SignalId,
    /// Its share of the surprise, 0 to 1; the shares of a score sum to at most 1.
    pub share: f64,
}

/// How surprising one event is; borrows the detector's buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score<'a> {
    /// When.
    pub at: Timestamp,
    /// Which detector.
    pub detector: DetectorId,
    /// What it looks for.
    pub symptom: Symptom,
    /// Surprise −log₁₀ p, where p is the probability of a value at least this extreme under normal operation.
    /// Never negative, finite.
    pub surprise: f64,
    /// The signals behind it, largest share first.
    pub attribution: &'a [Attribution],
}
