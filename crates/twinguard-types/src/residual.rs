use crate::{SignalId, Timestamp};

/// What an estimator found surprising in one update; borrows the estimator's buffers.
///
/// With innovation ν = y − h(x̂⁻) and covariance S = L Lᵀ, `nis` = νᵀS⁻¹ν is χ² with `dof` degrees of freedom when
/// model and noise are right (Bar-Shalom, Li, Kirubarajan, *Estimation with Applications*, §5.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual<'a> {
    /// Time of the update.
    pub at: Timestamp,
    /// The signals that took part, in the order of `innovation`; missing and bad ones are left out.
    pub signals: &'a [SignalId],
    /// Measured minus predicted, in each signal's unit.
    pub innovation: &'a [f64],
    /// What was predicted of each signal before it was measured, in its unit; empty where the estimator does not tell.
    pub expected: &'a [f64],
    /// What is believed of each signal once the measurements are taken in, in its unit; empty where the estimator does not
    /// tell. Believed minus expected is what the estimator did not know, and followed.
    pub believed: &'a [f64],
    /// Lower Cholesky factor L of the innovation covariance, packed by rows: L₀₀, L₁₀, L₁₁, L₂₀ …
    pub factor: &'a [f64],
    /// Normalised innovation squared.
    pub nis: f64,
    /// Degrees of freedom: the number of signals that took part.
    pub dof: usize,
    /// Log-likelihood of the measurement, nats.
    pub log_likelihood: f64,
}

/// One cause that physics can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", tag = "cause", content = "of")
)]
#[non_exhaustive]
pub enum Cause {
    /// This measured signal is off by a constant or slowly changing amount.
    SensorBias(SignalId),
    /// This actuator does not do what it is told.
    ActuatorOffset(SignalId),
    /// A disturbance input (load, ambient) differs from what is assumed.
    Disturbance(SignalId),
    /// The declared fault mode of this number.
    FaultMode(u32),
}

/// How well one cause explains the recent innovations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Explanation {
    /// When it was computed.
    pub at: Timestamp,
    /// The cause.
    pub cause: Cause,
    /// Log-likelihood ratio against "nothing is wrong" over the window, nats.
    pub log_likelihood_ratio: f64,
    /// Estimated size in the unit of the cause's signal.
    pub magnitude: f64,
    /// Estimated onset.
    pub since: Timestamp,
}
