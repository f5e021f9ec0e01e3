//! What a federation learns: which contributions are fit, and what becomes of them.

use twinguard_anomaly::statistic::{Covariance, Gram, Merge, Plan, Quantise, Statistic, Tally};
use twinguard_types::Digest;

use crate::message::Contribution;
use crate::rules::Rule;
use crate::{Error, wire};

/// What is learnt in a round. The coordinator holds one; sites know it by its schema.
pub trait Task {
    /// Names what is counted and how, and what becomes of it.
    fn schema(&self) -> Digest;

    /// `exact`, `secure` or `robust`.
    fn mode(&self) -> &'static str;

    /// Refuses what no rows can have made.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Statistic`].
    fn check(&self, contribution: &Contribution) -> Result<(), Error>;

    /// The model that is proposed at this attempt, from 0, with the name of the rule; nothing when there is none left to propose.
    ///
    /// # Errors
    /// As the rule and the fit give them; the coordinator goes on to the next attempt. [`Error::Pending`]: it waits, and asks again.
    fn propose(
        &self,
        contributions: &[Contribution],
        attempt: u32,
    ) -> Result<Option<(String, Vec<u8>)>, Error>;
}

impl<T: Task + ?Sized> Task for Box<T> {
    fn schema(&self) -> Digest {
        (**self).schema()
    }
    fn mode(&self) -> &'static str {
        (**self).mode()
    }
    fn check(&self, contribution: &Contribution) -> Result<(), Error> {
        (**self).check(contribution)
    }
    fn propose(
        &self,
        contributions: &[Contribution],
        attempt: u32,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        (**self).propose(contributions, attempt)
    }
}

/// Writes a tally as a site sends it in modes `exact` and `robust`: 16 bytes a cell, the low ones first.
#[must_use]
pub fn contribution<P: Plan>(tally: &Tally<P>) -> Contribution {
    let payload = tally.cells().iter().flat_map(|cell| cell.to_le_bytes()).collect();
    Contribution { rows: tally.rows(), payload }
}

/// Reads what [`contribution`] wrote.
///
/// # Errors
/// [`Error::Unreadable`] for a cut cell; [`Error::Statistic`] for cells that so many rows cannot have made.
pub fn tally<P: Plan>(plan: &P, contribution: &Contribution) -> Result<Tally<P>, Error> {
    let (cells, rest) = contribution.payload.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Error::Unreadable { reason: "a cell is cut" });
    }
    let cells = cells.iter().map(|bytes| i128::from_le_bytes(*bytes)).collect();
    Ok(Tally::from_parts(plan.clone(), contribution.rows, cells)?)
}

pub(crate) fn schema<P: Plan>(mode: &str, learner: &str, plan: &P) -> Digest {
    let mut bytes = Tally::new(plan.clone()).schema().0.to_vec();
    bytes.extend_from_slice(mode.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(learner.as_bytes());
    wire::digest("twinguard federation schema v1", &bytes)
}

/// The exact sum: the model is that of the pooled rows, bit for bit. One poisoned site among any number can make it useless.
#[derive(Clone, Debug)]
pub struct Exact<P, F> {
    plan: P,
    learner: String,
    fit: F,
}

impl<P: Plan, F: Fn(&Tally<P>) -> Result<Vec<u8>, Error>> Exact<P, F> {
    /// `learner` names what `fit` makes of the sum, with its settings: sites that know another name do not take part.
    pub fn new(plan: P, learner: &str, fit: F) -> Self {
        Self { plan, learner: learner.to_owned(), fit }
    }
}

impl<P: Plan, F: Fn(&Tally<P>) -> Result<Vec<u8>, Error>> Task for Exact<P, F> {
    fn schema(&self) -> Digest {
        schema(self.mode(), &self.learner, &self.plan)
    }

    fn mode(&self) -> &'static str {
        "exact"
    }

    fn check(&self, contribution: &Contribution) -> Result<(), Error> {
        tally(&self.plan, contribution).map(drop)
    }

    fn propose(
        &self,
        contributions: &[Contribution],
        attempt: u32,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        if attempt > 0 {
            return Ok(None);
        }
        let mut sum = Tally::new(self.plan.clone());
        for contribution in contributions {
            sum.merge(&tally(&self.plan, contribution)?)?;
        }
        Ok(Some(("sum".to_owned(), (self.fit)(&sum)?)))
    }
}

/// Covariances within sites, combined by robust rules, tried in order until the sites accept one.
///
/// Each site is centred by its own mean first, so that sites at other levels are not outliers for that. The coordinator sees each site's
/// second moments.
pub struct Robust<F> {
    plan: Gram,
    learner: String,
    rules: Vec<Box<dyn Rule>>,
    fit: F,
}

impl<F: Fn(&Covariance) -> Result<Vec<u8>, Error>> Robust<F> {
    /// Rules in the order in which they are tried.
    pub fn new(plan: Gram, learner: &str, rules: Vec<Box<dyn Rule>>, fit: F) -> Self {
        Self { plan, learner: learner.to_owned(), rules, fit }
    }
}

impl<F: Fn(&Covariance) -> Result<Vec<u8>, Error>> Task for Robust<F> {
    fn schema(&self) -> Digest {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.name()).collect();
        schema(self.mode(), &format!("{} by {}", self.learner, rules.join(", ")), &self.plan)
    }

    fn mode(&self) -> &'static str {
        "robust"
    }

    fn check(&self, contribution: &Contribution) -> Result<(), Error> {
        // what cannot be centred is refused here, so that no site can spoil the candidate for all
        Covariance::of(&tally(&self.plan, contribution)?)?;
        Ok(())
    }

    fn propose(
        &self,
        contributions: &[Contribution],
        attempt: u32,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        let Some(rule) = self.rules.get(attempt as usize) else { return Ok(None) };
        let sites: Result<Vec<_>, Error> = contributions
            .iter()
            .map(|contribution| Ok(Covariance::of(&tally(&self.plan, contribution)?)?))
            .collect();
        let shared = combine(&**rule, &sites?)?;
        Ok(Some((rule.name().to_owned(), (self.fit)(&shared)?)))
    }
}

/// Means and within-site covariances of sites, combined by a rule; each site counts once, however many rows it claims.
///
/// # Errors
/// [`Error::TooFewSites`] without sites, or as the rule gives it.
pub fn combine(rule: &dyn Rule, sites: &[Covariance]) -> Result<Covariance, Error> {
    let Some(first) = sites.first() else { return Err(Error::TooFewSites { sites: 0, least: 1 }) };
    let d = first.width();
    // one point for each site, so that what is dropped for its covariance is dropped for its mean as well
    let points: Vec<Vec<f64>> = sites.iter().map(Covariance::lower).collect();
    let weights = rule.weights(&points)?;
    let lower = rule.combine(&points, &weights)?;
    let means: Vec<Vec<f64>> = sites.iter().map(|site| site.mean().to_vec()).collect();
    let mean = crate::rules::weighted_median(&means, &weights, d);
    let rows =
        sites.iter().zip(&weights).filter(|(_, weight)| **weight > 0.0).map(|(site, _)| site.rows()).sum();
    Ok(Covariance::from_parts(first.plan().clone(), rows, mean, &lower)?)
}
