//! What every model can do: flat slices in, flat slices out, no linear-algebra type in the signature.
//!
//! Source of the form: the state-space model dx/dt = f(t, x, u), y = h(t, x, u) (or x⁺ = f) with additive noise.

use twinguard_types::Digest;

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

    /// BLAKE3 of the names of states, inputs and outputs, of the time base and of the parameters bit by bit: two runs with
    /// the same digest ran the same numbers. The equations themselves are covered by the plant file's digest.
    fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for names in [self.state_names(), self.input_names(), self.output_names()] {
            names.iter().for_each(|name| text(name));
            text("");
        }
        self.parameters().iter().for_each(|(name, _)| text(name));
        let step_s = match self.time_base() {
            TimeBase::Continuous => 0.0,
            TimeBase::Discrete { step_s } => step_s,
        };
        for value in self.parameters().iter().map(|(_, value)| *value).chain([step_s]) {
            hasher.update(&value.to_bits().to_le_bytes());
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use crate::registry;

    #[test]
    fn digests_tell_models_and_parameters_apart() {
        let mut digests: Vec<_> = registry::models().iter().map(|m| m.model(&[]).unwrap().digest()).collect();
        let cooling = registry::model("cooling_loop").unwrap();
        let nudged = cooling.model(&[("P0_W", f64::from_bits(300e3_f64.to_bits() + 1))]).unwrap().digest();
        assert_eq!(cooling.model(&[]).unwrap().digest(), cooling.model(&[("P0_W", 300e3)]).unwrap().digest());
        digests.push(nudged);
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
