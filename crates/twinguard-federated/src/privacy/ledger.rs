//! A site's budget: what was released, what is left, and a no to what exceeds it.
//!
//! Source: Rogers, Roth, Ullman, Vadhan, *Privacy odometers and filters*, `NeurIPS` 2016: a filter that stops before a fixed budget is passed
//! holds also when each release depends on the ones before; for zCDP see Feldman, Zrnic, `NeurIPS` 2021.

use twinguard_integrity::cbor::write;
use twinguard_types::Digest;

use super::account::{Rho, epsilon};
use crate::Error;
use crate::wire::Fields;

/// One release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Names the federation.
    pub federation: Digest,
    /// Which round.
    pub round: u64,
    /// What it cost.
    pub rho: Rho,
}

/// Releases of a site against its budget. Write [`Ledger::encode`] down before the release leaves the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    budget: Rho,
    releases: Vec<Release>,
}

const FORMAT: u64 = 1;

impl Ledger {
    /// A budget, nothing spent.
    #[must_use]
    pub fn new(budget: Rho) -> Self {
        Self { budget, releases: Vec::new() }
    }

    /// What was spent.
    #[must_use]
    pub fn spent(&self) -> Rho {
        self.releases.iter().fold(Rho::default(), |sum, release| sum.plus(release.rho))
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> Rho {
        Rho::from_billionths(self.budget.billionths().saturating_sub(self.spent().billionths()))
    }

    /// All releases, in order.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// ε of everything that was spent.
    ///
    /// # Errors
    /// As [`epsilon`].
    pub fn epsilon(&self, delta: f64) -> Result<f64, Error> {
        epsilon(self.spent(), delta)
    }

    /// Spends, or refuses and changes nothing. The same round is paid once: its answer is sent again with the same noise.
    ///
    /// # Errors
    /// [`Error::Overspent`] for more than is left; [`Error::Unexpected`] for another price of a round that was paid.
    pub fn spend(&mut self, release: Release) -> Result<(), Error> {
        let same = |held: &&Release| held.federation == release.federation && held.round == release.round;
        match self.releases.iter().find(same) {
            Some(held) if *held == release => Ok(()),
            Some(_) => Err(Error::Unexpected { reason: "the round was paid at another price" }),
            None if release.rho > self.left() => {
                Err(Error::Overspent { price: release.rho.value(), left: self.left().value() })
            }
            None => {
                self.releases.push(release);
                Ok(())
            }
        }
    }

    /// The bytes to keep: deterministic CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::array(&mut out, 3);
        write::unsigned(&mut out, FORMAT);
        write::unsigned(&mut out, self.budget.billionths());
        write::array(&mut out, self.releases.len());
        for release in &self.releases {
            write::array(&mut out, 3);
            write::bytes(&mut out, &release.federation.0);
            write::unsigned(&mut out, release.round);
            write::unsigned(&mut out, release.rho.billionths());
        }
        out
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for anything that [`Ledger::encode`] does not write, or a ledger that spent more than it had.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(bytes)?;
        fields.fields(3)?;
        if fields.unsigned()? != FORMAT {
            return Err(Error::Unreadable { reason: "its format is not 1" });
        }
        let mut ledger = Self::new(Rho::from_billionths(fields.unsigned()?));
        let releases = fields.list(|fields| {
            fields.fields(3)?;
            let (federation, round) = (fields.digest()?, fields.unsigned()?);
            Ok(Release { federation, round, rho: Rho::from_billionths(fields.unsigned()?) })
        })?;
        fields.end()?;
        for release in &releases {
            ledger
                .spend(*release)
                .map_err(|_| Error::Unreadable { reason: "it spent what it did not have" })?;
        }
        if ledger.releases != releases {
            return Err(Error::Unreadable { reason: "a release stands in it twice" });
        }
        Ok(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pays_once_and_refuses_what_is_not_left() {
        let mut ledger = Ledger::new(Rho::new(1.0).unwrap());
        let release =
            |round, rho| Release { federation: Digest([1; 32]), round, rho: Rho::new(rho).unwrap() };
        ledger.spend(release(1, 0.6)).unwrap();
        ledger.spend(release(1, 0.6)).unwrap();
        assert_eq!(ledger.left().value(), 0.4);
        assert!(matches!(ledger.spend(release(2, 0.5)), Err(Error::Overspent { .. })));
        assert!(ledger.spend(release(1, 0.1)).is_err());
        let kept = ledger.encode();
        assert_eq!(Ledger::decode(&kept).unwrap(), ledger);
        ledger.spend(release(2, 0.4)).unwrap();
        assert_eq!(ledger.left(), Rho::default());
        assert!(ledger.epsilon(1e-6).unwrap() > 1.0);
        for cut in 0..kept.len() {
            assert!(Ledger::decode(&kept[..cut]).is_err());
        }
    }

    #[test]
    fn a_forged_ledger_is_refused() {
        let release = Release { federation: Digest([1; 32]), round: 1, rho: Rho::new(2.0).unwrap() };
        let forged = Ledger { budget: Rho::new(1.0).unwrap(), releases: vec![release] };
        assert!(Ledger::decode(&forged.encode()).is_err());
    }
}
