//! Kalman filters in factored form: state and covariance from noisy, incomplete measurements.
//!
//! The covariance is kept as P = U D Uᵀ (U unit upper triangular, D diagonal): it stays symmetric and positive by
//! construction, needs neither square roots nor an inverse, and costs about as much as the plain form. The Joseph form
//! is symmetric too, but its differences of nearly equal numbers can still turn indefinite when one sensor is very
//! exact; the factored update has no such difference (Bierman, *Factorization Methods for Discrete Sequential
//! Estimation*, 1977, §V.3, example V.1 is a test here).
//!
//! - [`Kalman`]: the machine itself: [`Kalman::predict`] and [`Kalman::update`] on flat slices.
//! - [`LinearKalman`]: x⁺ = F x + w, z = H x + v.
//! - [`DenseKalman`]: the same by matrix products, for many states. [`Fleet`]: many small twins of one model.
//! - [`ExtendedKalman`]: any [`Model`](crate::Model), linearised as it goes.
//! - [`UnscentedKalman`]: any model or pair of functions, by 2 n + 1 points instead of Jacobians.
//! - [`Particles`]: a cloud of states, for what is too bent for a mean and a covariance.
//! - [`Interacting`]: several modes or faults at once, with the probability of each.
//! - [`UnknownInput`]: the state whatever an input does, and what that input must have been.
//! - [`LeaveOneOut`]: for every sensor what all others say of it.
//! - [`Delayed`]: late and out-of-order measurements, as if they had been on time.
//! - [`NoiseLearner`], [`Consistency`], [`Observability`]: noise from innovations, whether a filter still follows its plant,
//!   what the measurements can tell at all.
//! - [`Smoother`]: what the whole record says of each step of any of them.
//!
//! Measurement noise is independent from channel to channel; correlated channels have to be rotated by the caller.
//! A channel that is `None` drops out. Sizes up to 16 states run in kernels of fixed size.
//!
//! ```
//! use twinguard_twin::filters::LinearKalman;
//!
//! // A level that wanders and is measured twice.
//! let mut filter = LinearKalman::new(&[1.0], &[0.01], &[1.0, 1.0], &[0.04, 0.04], &[0.0], &[100.0])?;
//! for _ in 0..50 {
//!     filter.step(&[Some(2.0), None])?;
//! }
//! assert!((filter.kalman().mean()[0] - 2.0).abs() < 1e-6);
//! let innovation = filter.step(&[Some(2.5), Some(2.5)])?;
//! assert_eq!(innovation.dof(), 2);
//! assert!(innovation.nis > 2.0 && innovation.log_likelihood() < 0.0);
//! # Ok::<(), twinguard_twin::Error>(())
//! ```

mod adaptive;
mod delayed;
mod dense;
mod extended;
mod fixed;
mod fleet;
mod interacting;
mod kalman;
mod kernel;
mod linear;
mod observability;
mod packed;
mod particle;
mod smoother;
mod subsets;
mod unknown_input;
mod unscented;

pub use adaptive::{Consistency, NoiseLearner};
pub use delayed::Delayed;
pub use dense::DenseKalman;
pub use extended::ExtendedKalman;
pub(crate) use extended::transition;
pub use fleet::Fleet;
pub use interacting::{Interacting, Mixture};
pub use kalman::{Innovation, Kalman};
pub use linear::LinearKalman;
pub use observability::Observability;
pub use particle::Particles;
pub use smoother::{Smoothable, Smoothed, Smoother};
pub use subsets::{LeaveOneOut, LeftOut};
pub use unknown_input::{Decoupled, UnknownInput};
pub use unscented::{Spread, UnscentedKalman, Variant};
