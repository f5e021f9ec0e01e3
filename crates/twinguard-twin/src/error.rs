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
    /// Something that a record of history does not tell.
    #[error("`{what}` {reason}")]
    Unidentifiable {
        /// Which signal, parameter or part.
        what: String,
        /// Why.
        reason: &'static str,
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
    /// A grid, its meters or their values cannot be taken.
    #[error("{place}: {reason}")]
    Case {
        /// Line and column, or the element's name and index.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The meters in use do not determine the state of these buses.
    #[error("the meters in use do not determine the state of {}", buses(.island))]
    NotObservable {
        /// Buses that are tied to each other, but not to what is determined.
        island: Vec<usize>,
    },
    /// An iteration that does not settle.
    #[error("no solution after {iterations} iterations, the last step is {step}")]
    NotConverged {
        /// Iterations made.
        iterations: usize,
        /// Largest entry of the last step, radians or per unit; NaN when it left the finite numbers.
        step: f64,
    },
    /// An optimisation without a result.
    #[error("there is no best choice: {reason}")]
    NoOptimum {
        /// Why.
        reason: &'static str,
    },
    /// An estimator that no longer follows its plant.
    #[error("{what} has lost the plant: normalised innovation squared {nis}")]
    Lost {
        /// Which estimator.
        what: &'static str,
        /// Normalised innovation squared, per degree of freedom where a window was looked at.
        nis: f64,
    },
    /// What cannot be told from what is measured.
    #[error("{what} {index} cannot be told from what is measured")]
    Unobservable {
        /// Of what kind.
        what: &'static str,
        /// Which one, from 0.
        index: usize,
    },
    /// Calls in an order that makes no sense.
    #[error("{what}")]
    Unordered {
        /// What came where it should not.
        what: &'static str,
    },
    /// A saved state that was not written by this format and plant.
    #[error("snapshot is not usable: {reason}")]
    Snapshot {
        /// Why.
        reason: &'static str,
    },
}

/// The first buses of a list, for people.
fn buses(list: &[usize]) -> String {
    let mut text = if list.len() == 1 { "bus".to_owned() } else { format!("{} buses:", list.len()) };
    list.iter().take(8).for_each(|bus| text.push_str(&format!(" {bus}")));
    if list.len() > 8 {
        text.push_str(" …");
    }
    text
}
