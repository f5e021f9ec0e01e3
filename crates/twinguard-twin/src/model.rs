//! What every model can do: flat slices in, flat slices out, no linear-algebra type in the signature.
//!
//! Source of the form: the state-space model dx/dt = f(t, x, u), y = h(t, x, u) (or x⁺ = f) with additive noise.

/// Whether [`Model::dynamics`] gives a derivative or the next state.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TimeBase {
    /// dx/dt = f(t, x, u), time in seconds.
    Continuous,
    /// x(t + step) = f(t, x, u).
    Discrete {
        /// Step in seconds, positive.
        step_s: f64,
    },
}

/// A state-space model. All slices have the lengths that the `*_names` give; callers own all memory.
///
/// Implementations are pure functions of their arguments and parameters, and never panic on finite input of the
/// right lengths; where an operation has no finite result they write NaN, which the integrators refuse.
pub trait Model: Send + Sync {
    /// Names of the states, with the unit as a suffix where one helps.
    fn state_names(&self) -> &[String];
    /// Names of the inputs: commands first or last as the author wishes, disturbances among them.
    fn input_names(&self) -> &[String];
    /// Names of the outputs.
    fn output_names(&self) -> &[String];
    /// Continuous or discrete.
    fn time_base(&self) -> TimeBase;
    /// Writes f(t, x, u) to `out` (one entry per state).
    fn dynamics(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]);
    /// Writes h(t, x, u) to `out` (one entry per output).
    fn output(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]);
    /// Writes ∂f/∂x (states × states) and ∂f/∂u (states × inputs), row by row, exact (no differencing).
    fn dynamics_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    );
    /// Writes ∂h/∂x (outputs × states) and ∂h/∂u (outputs × inputs), row by row, exact.
    fn output_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    );
    /// Parameters by name, in a fixed order: what a seal or an attestation covers.
    fn parameters(&self) -> &[(String, f64)];
}
