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
//! - [`ExtendedKalman`]: any [`Model`](crate::Model), linearised as it goes.
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

mod extended;
mod fixed;
mod kalman;
mod kernel;
mod linear;

pub use extended::ExtendedKalman;
pub(crate) use extended::transition;
pub use kalman::{Innovation, Kalman};
pub use linear::LinearKalman;
