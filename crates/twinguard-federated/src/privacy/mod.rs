//! Differential privacy for the rows of a site: bounded rows, exact integer noise, honest accounts, and a ledger that says no.
//!
//! What ε means here: somebody who sees everything that a site releases, and knows all of its rows but one, can tell whether that one row
//! was this or that with odds at most e^ε better, up to a probability δ. Two data sets are neighbours when one row is replaced; the number of
//! rows is public. What it does not mean: that a *site* is hidden (its whole behaviour shows in any useful aggregate: with few sites there is no
//! site-level privacy to be had), that an incident of many rows is hidden (k rows cost k² times ρ), or that the mode `exact` without noise is
//! private at all. Rows of a time series resemble their neighbours, so one row's secret is partly told by the next.

mod account;
mod gaussian;
mod ledger;
mod stream;

pub use account::{Rho, epsilon};
pub use gaussian::DiscreteGaussian;
pub use ledger::{Ledger, Release};
pub use stream::Stream;

use rand_core::Rng;
use twinguard_anomaly::statistic::{Clip, Plan, Quantise, Statistic, Tally};

use crate::Error;

/// For each cell the noise that makes the release of a tally cost ρ.
///
/// Runs of cells of one kind ([`Clip::blocks`]) share ρ alike. The sensitivity of each is twice its reach: one row goes, another comes.
///
/// # Errors
/// As [`DiscreteGaussian::new`].
pub fn noise_for<P: Plan>(tally: &Tally<P>, rho: Rho) -> Result<Vec<DiscreteGaussian>, Error> {
    let blocks = tally.blocks();
    let share = rho.value() / blocks.len().max(1) as f64;
    let mut noise = Vec::with_capacity(tally.cells().len());
    for (cells, reach) in blocks {
        // σ² = Δ²/2ρ with Δ² = 4·reach; rounded up, so the price is never more than ρ
        let variance = 2.0 * reach.squared as f64 / share.max(f64::MIN_POSITIVE);
        let one = DiscreteGaussian::new(libm::ceil(libm::sqrt(variance) * (1.0 + 1e-12)))?;
        noise.extend(core::iter::repeat_n(one, cells));
    }
    Ok(noise)
}

/// Adds noise to every cell; the number of rows stays as it is, and public.
///
/// # Errors
/// [`Error::Statistic`], [`Error::Setting`] as the parts give it.
pub fn release<P: Plan, R: Rng>(tally: Tally<P>, rho: Rho, rng: &mut R) -> Result<Tally<P>, Error> {
    let noise = noise_for(&tally, rho)?;
    let most = i128::try_from(tally.reach().most).unwrap_or(i128::MAX);
    let bound = i128::from(tally.rows()).saturating_mul(most);
    let noisy = |(cell, noise): (&i128, &DiscreteGaussian)| {
        let value = cell.saturating_add(noise.sample(rng).into());
        // post-processing: what rows cannot have made is brought back to what they can
        value.clamp(-bound, bound)
    };
    let cells = tally.cells().iter().zip(&noise).map(noisy).collect();
    Ok(tally.with_cells(cells)?)
}
