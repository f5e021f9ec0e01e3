//! How long until a limit is reached: degradation models fitted to a signal's history, remaining life as a distribution,
//! and when to act.
//!
//! | model | when |
//! |---|---|
//! | [`Wiener`] | wear that adds up: x(t) = x₀ + μ t + σ B(t) |
//! | [`Exponential`] | damage that feeds on itself: ln x is a [`Wiener`] process |
//! | [`ParisErdogan`] | fatigue cracks: da/dN = C (ΔK)ᵐ |
//!
//! Times are seconds for the first two and load cycles for the third. An answer is a [`Life`]: quantiles, never a bare
//! number; [`coverage`] says whether they were right. [`advise`] turns one into the time at which acting costs least.
//!
//! ```
//! use twinguard_twin::prognosis::{Degradation, Wiener, advise};
//!
//! let history: Vec<(f64, f64)> = (0..40).map(|day| {
//!     let wobble = [0.0, 0.3, -0.2, 0.1, -0.3][day % 5];
//!     (day as f64 * 86_400.0, 60.0 + 0.5 * day as f64 + wobble)
//! }).collect();
//! let wear = Wiener::fit(&history)?;
//! let life = wear.life(90.0)?;
//! let days = life.quantile(0.5) / 86_400.0;
//! assert!((15.0..27.0).contains(&days), "{days}");
//! let advice = advise(&life, 10.0)?;
//! assert!(advice.act_within < life.quantile(0.5));
//! # Ok::<(), twinguard_twin::Error>(())
//! ```

mod advice;
mod exponential;
mod life;
mod paris_erdogan;
mod spread;
mod wiener;

pub use advice::{Advice, advise};
pub use exponential::Exponential;
pub use life::{Life, coverage};
pub use paris_erdogan::{Load, ParisErdogan};
pub use spread::{monte_carlo, unscented};
pub use wiener::Wiener;

use crate::Error;

/// A fitted degradation model.
pub trait Degradation {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// Remaining life from the last sample of the history until `limit` is first reached.
    ///
    /// # Errors
    /// [`Error::Unidentifiable`] for a limit that lies behind the way the signal goes or is no number.
    fn life(&self, limit: f64) -> Result<Life, Error>;
    /// Log-likelihood of the history's increments less the number of parameters (Akaike): larger explains better.
    fn evidence(&self) -> f64;
}

/// Wiener or exponential, whichever explains the history better; exponential needs positive values.
///
/// # Errors
/// As the models' `fit`, when neither can be fitted.
pub fn choose(history: &[(f64, f64)]) -> Result<Box<dyn Degradation>, Error> {
    let wiener = Wiener::fit(history);
    match (wiener, Exponential::fit(history)) {
        (Ok(wiener), Ok(exponential)) if exponential.evidence() > wiener.evidence() => {
            Ok(Box::new(exponential))
        }
        (Ok(wiener), _) => Ok(Box::new(wiener)),
        (Err(_), Ok(exponential)) => Ok(Box::new(exponential)),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Checked increments of a history: (duration, change), times strictly rising, all finite.
fn increments(history: &[(f64, f64)]) -> Result<Vec<(f64, f64)>, Error> {
    let refuse = |reason| Error::Unidentifiable { what: "history".to_owned(), reason };
    if history.len() < 4 {
        return Err(refuse("has fewer than four samples"));
    }
    if history.iter().any(|(time, value)| !(time.is_finite() && value.is_finite())) {
        return Err(refuse("holds a number that is not finite"));
    }
    let pairs = history.iter().zip(history.iter().skip(1));
    let steps: Vec<(f64, f64)> = pairs.map(|((t0, x0), (t1, x1))| (t1 - t0, x1 - x0)).collect();
    if steps.iter().any(|(duration, _)| *duration <= 0.0) {
        return Err(refuse("goes back in time"));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn the_better_model_is_chosen() {
        let mut noise = Noise::new(4, 1);
        let linear: Vec<(f64, f64)> =
            (0..60).map(|k| (f64::from(k), 10.0 + f64::from(k) + 0.2 * noise.gaussian())).collect();
        let growing: Vec<(f64, f64)> =
            (0..60).map(|k| (f64::from(k), (0.06 * f64::from(k) + 0.02 * noise.gaussian()).exp())).collect();
        assert_eq!(choose(&linear).unwrap().name(), "wiener");
        assert_eq!(choose(&growing).unwrap().name(), "exponential");
        assert!(choose(&[(0.0, 1.0)]).is_err());
        let back = [(0.0, 1.0), (1.0, 1.0), (0.5, 1.0), (2.0, 1.0)];
        assert_eq!(
            choose(&back).err().map(|error| error.to_string()).unwrap(),
            "`history` goes back in time"
        );
    }
}
