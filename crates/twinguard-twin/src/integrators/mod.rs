//! Integrators: from dx/dt = f(t, x) to x at a later time, workspace owned by the caller, no allocation per step.
//!
//! [`Rk4`] takes fixed steps and is what filters and simulators use; [`DormandPrince`] chooses its steps by a tolerance and
//! finds events; [`Rodas`] does what is stiff. All give the same bits for the same input: fixed order of operations, powers
//! from `libm`.
//!
//! ```
//! use twinguard_twin::integrators::{DormandPrince, Rk4, Tolerance};
//!
//! let decay = |_time_s: f64, state: &[f64], out: &mut [f64]| out[0] = -state[0];
//! let (mut coarse, mut fine) = ([1.0], [1.0]);
//! Rk4::new(1).integrate(decay, 0.0, 1.0, 0.1, &mut coarse)?;
//! DormandPrince::new(1).integrate(decay, 0.0, 1.0, Tolerance::default(), &mut fine)?;
//! let exact = (-1.0f64).exp();
//! assert!((coarse[0] - exact).abs() < 1e-6 && (fine[0] - exact).abs() < 1e-9);
//! # Ok::<(), twinguard_twin::Error>(())
//! ```

mod dormand_prince;
mod rk4;
mod rodas;

pub use dormand_prince::{Crossing, DormandPrince, Tolerance};
pub use rk4::Rk4;
pub use rodas::Rodas;

use crate::Error;

/// Most steps that one call of an integrator takes.
pub const MAX_STEPS: usize = 1_000_000;

fn check_span(from_s: f64, to_s: f64, states: &[f64], order: usize) -> Result<(), Error> {
    if states.len() != order {
        return Err(Error::Dimension { what: "states", expected: order, found: states.len() });
    }
    if !(from_s.is_finite() && to_s.is_finite()) || states.iter().any(|state| !state.is_finite()) {
        return Err(Error::NotFinite { what: "integration", time_s: from_s });
    }
    Ok(())
}
