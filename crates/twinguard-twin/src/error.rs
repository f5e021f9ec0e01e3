use crate::problem::Located;

/// What this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A plant file or its equations cannot be taken; says where and why.
    #[error(transparent)]
    Plant(#[from] Located),
    /// A vector or matrix of another size than the model or filter has.
    #[error("{found} {what} where {expected} are expected")]
    Dimension {
        /// Of what.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A computation that left the finite numbers.
    #[error("{what} left the finite numbers at {time_s} s")]
    NotFinite {
        /// Which computation.
        what: &'static str,
        /// When, in the caller's seconds.
        time_s: f64,
    },
    /// A variance or covariance that is not positive (semi-)definite.
    #[error("{what} is not positive definite at index {index}")]
    NotPositive {
        /// Which one.
        what: &'static str,
        /// Row of the first bad pivot.
        index: usize,
    },
    /// An integration that needs more steps than it may take: too fine a tolerance, too small a step, or a stiff system.
    #[error("more than {limit} steps are needed beyond {time_s} s")]
    TooManySteps {
        /// How many it may take.
        limit: usize,
        /// How far it came.
        time_s: f64,
    },
    /// A plant that does not say how it moves.
    #[error("plant `{plant}` has no dynamics")]
    NoDynamics {
        /// The plant's name.
        plant: String,
    },
    /// A signal that the dynamics do not name.
    #[error("signal {signal} is not part of the dynamics")]
    NotModelled {
        /// The signal's id.
        signal: u32,
    },
    /// A saved state that was not written by this format and plant.
    #[error("snapshot is not usable: {reason}")]
    Snapshot {
        /// Why.
        reason: &'static str,
    },
}
