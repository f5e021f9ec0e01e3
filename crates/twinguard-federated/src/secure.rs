//! Sums that nobody sees the parts of: each site splits its cells between two aggregators, and proves that they are in range.
//!
//! Trust: the two aggregators do not work together; either alone sees random numbers, and both together, with the collector, see the sum.
//! A site that sends cells out of range is refused without its cells being seen; one that lies within the range is not: rules against liars
//! need points in the clear. A dishonest aggregator can spoil the sum.
//!
//! Source: draft-irtf-cfrg-vdaf-18 §7 (Prio3, there §7.4.3 `Prio3SumVec`), by the crate `prio` 0.18 (MPL-2.0), which says of itself that it
//! has not undergone significant security analysis; its interface changes between versions, and stays behind this file. Sharding draws its
//! randomness from the operating system.

use core::cell::Cell;
use std::collections::BTreeMap;

use prio::codec::{Encode, ParameterizedDecode};
use prio::vdaf::prio3::{
    Prio3InputShare, Prio3PublicShare, Prio3SumVec, Prio3VerifierMessage, Prio3VerifierShare,
    Prio3VerifyState, optimal_chunk_length,
};
use prio::vdaf::{Aggregator as _, Client as _, Collector as _, VerifyTransition};
use twinguard_anomaly::statistic::{Plan, Tally};
use twinguard_types::Digest;

use crate::Error;
use crate::message::Contribution;
use crate::task::{Task, schema};

type Field = prio::field::Field128;
type AggregateShare = prio::vdaf::AggregateShare<Field>;
type OutputShare = prio::vdaf::OutputShare<Field>;

/// Aggregators; the first is the leader, the second the helper.
const AGGREGATORS: u8 = 2;
/// Most cells of a round.
const MOST_CELLS: usize = 1 << 20;
/// Most sites of a round: their sum stays far from the field's size.
const MOST_SITES: usize = 1 << 16;

/// How a round's cells are shared: all sides have the same.
#[derive(Clone, Debug)]
pub struct Sharing {
    vdaf: Prio3SumVec,
    context: Vec<u8>,
    cells: usize,
    bits: u32,
}

/// What a site sends: to the leader and to the helper, each over a channel that the other cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Names the report; never the same twice.
    pub nonce: [u8; 16],
    /// For both.
    pub public: Vec<u8>,
    /// For the leader alone.
    pub leader: Vec<u8>,
    /// For the helper alone.
    pub helper: Vec<u8>,
}

fn refuse(error: impl ToString) -> Error {
    Error::Shares { reason: error.to_string() }
}

impl Sharing {
    /// So many cells, each from −2^(bits − 1) to 2^(bits − 1) − 1.
    ///
    /// # Errors
    /// [`Error::Setting`] for other than 1 to 2²⁰ cells or 2 to 96 bits.
    pub fn new(federation: Digest, round: u64, cells: usize, bits: u32) -> Result<Self, Error> {
        if cells == 0 || cells > MOST_CELLS {
            return Err(Error::Setting { name: "cells", value: cells as f64, must: "1 to 2^20" });
        }
        if !(2..=96).contains(&bits) {
            return Err(Error::Setting { name: "bits", value: bits.into(), must: "2 to 96" });
        }
        let chunk = optimal_chunk_length(cells * bits as usize);
        let vdaf = Prio3SumVec::new_sum_vec(AGGREGATORS, (1 << bits) - 1, cells, chunk).map_err(refuse)?;
        let mut context = b"twinguard federation ".to_vec();
        context.extend_from_slice(&federation.0);
        context.extend_from_slice(&round.to_be_bytes());
        Ok(Self { vdaf, context, cells, bits })
    }

    fn offset(&self) -> i128 {
        1 << (self.bits - 1)
    }

    /// Splits a site's cells. The nonce is random, from a good source.
    ///
    /// # Errors
    /// [`Error::Shares`] for another number of cells, or one out of range.
    pub fn shard(&self, cells: &[i128], nonce: [u8; 16]) -> Result<Shares, Error> {
        let shifted = |cell: &i128| {
            let value = cell.checked_add(self.offset()).and_then(|value| u128::try_from(value).ok());
            value.filter(|value| value >> self.bits == 0).ok_or_else(|| refuse("a cell is out of range"))
        };
        if cells.len() != self.cells {
            return Err(refuse("another number of cells"));
        }
        let measurement = cells.iter().map(shifted).collect::<Result<Vec<_>, _>>()?;
        let (public, inputs) = self.vdaf.shard(&self.context, &measurement, &nonce).map_err(refuse)?;
        let mut inputs = inputs.iter().map(|input| input.get_encoded().map_err(refuse));
        let mut next = || inputs.next().unwrap_or_else(|| Err(refuse("a share is missing")));
        Ok(Shares { nonce, public: public.get_encoded().map_err(refuse)?, leader: next()?, helper: next()? })
    }

    /// The sum of the cells of so many sites, from both aggregators' shares of it.
    ///
    /// # Errors
    /// [`Error::Shares`] for bytes that are no shares.
    pub fn unshard(&self, leader: &[u8], helper: &[u8], sites: usize) -> Result<Vec<i128>, Error> {
        let read = |bytes| AggregateShare::get_decoded_with_param(&(&self.vdaf, &()), bytes).map_err(refuse);
        let sums = self.vdaf.unshard(&(), [read(leader)?, read(helper)?], sites).map_err(refuse)?;
        let offset = self.offset().saturating_mul(i128::try_from(sites).unwrap_or(i128::MAX));
        let plain = |sum: u128| i128::try_from(sum).ok().and_then(|sum| sum.checked_sub(offset));
        sums.into_iter().map(|sum| plain(sum).ok_or_else(|| refuse("a sum is out of range"))).collect()
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Receives the large shares, and leads.
    Leader,
    /// Receives seeds.
    Helper,
}

/// A report that is being checked.
struct Pending {
    state: Prio3VerifyState<Field, 32>,
    /// The leader needs its own part to combine.
    own: Prio3VerifierShare<Field, 32>,
}

/// One aggregator of a round.
///
/// ```text
/// site ─ shares ─► begin (both) ─ helper's part ─► combine (leader) ─ message ─► finish (both) ─ … ─► share (both) ─► unshard
/// ```
pub struct Aggregator {
    sharing: Sharing,
    side: Side,
    key: [u8; 32],
    pending: BTreeMap<[u8; 16], Option<Pending>>,
    sum: AggregateShare,
    count: usize,
}

impl Aggregator {
    /// Of a round. Both aggregators have the same secret key, which no site knows.
    #[must_use]
    pub fn new(sharing: Sharing, side: Side, key: [u8; 32]) -> Self {
        let sum = sharing.vdaf.aggregate_init(&());
        Self { sharing, side, key, pending: BTreeMap::new(), sum, count: 0 }
    }

    /// Sites that were counted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes a site's share in: this aggregator's part of the check.
    ///
    /// # Errors
    /// [`Error::Shares`] for bytes that are no share, or a nonce that was seen.
    pub fn begin(&mut self, nonce: [u8; 16], public: &[u8], share: &[u8]) -> Result<Vec<u8>, Error> {
        if self.pending.contains_key(&nonce) {
            return Err(refuse("a report comes again"));
        }
        if self.pending.len() >= MOST_SITES {
            return Err(refuse("too many reports"));
        }
        let vdaf = &self.sharing.vdaf;
        let id = usize::from(self.side == Side::Helper);
        let public = Prio3PublicShare::get_decoded_with_param(vdaf, public).map_err(refuse)?;
        let share = Prio3InputShare::get_decoded_with_param(&(vdaf, id), share).map_err(refuse)?;
        let (state, own) = vdaf
            .verify_init(&self.key, &self.sharing.context, id, &(), &nonce, &public, &share)
            .map_err(refuse)?;
        let part = own.get_encoded().map_err(refuse)?;
        self.pending.insert(nonce, Some(Pending { state, own }));
        Ok(part)
    }

    /// Combines both parts to the message that ends the check; refuses what is not in range.
    ///
    /// # Errors
    /// [`Error::Shares`] for a helper, an unknown report, bytes that are no part, or a proof that does not hold.
    pub fn combine(&mut self, nonce: [u8; 16], helper: &[u8]) -> Result<Vec<u8>, Error> {
        if self.side == Side::Helper {
            return Err(refuse("the leader combines"));
        }
        let slot = self.pending.get_mut(&nonce).ok_or_else(|| refuse("an unknown report"))?;
        // whatever comes of it, a report is checked once
        let Some(Pending { state, own }) = slot.take() else { return Err(refuse("a report comes again")) };
        let helper = Prio3VerifierShare::get_decoded_with_param(&state, helper).map_err(refuse)?;
        let vdaf = &self.sharing.vdaf;
        let message =
            vdaf.verifier_shares_to_message(&self.sharing.context, &(), [own, helper]).map_err(refuse)?;
        let bytes = message.get_encoded().map_err(refuse)?;
        self.take_in(state, message)?;
        Ok(bytes)
    }

    /// The helper's end of the check: counts the report.
    ///
    /// # Errors
    /// [`Error::Shares`] for a leader (which ends it in [`Aggregator::combine`]), an unknown report, or a message that does not fit.
    pub fn finish(&mut self, nonce: [u8; 16], message: &[u8]) -> Result<(), Error> {
        if self.side == Side::Leader {
            return Err(refuse("the helper is told"));
        }
        let slot = self.pending.get_mut(&nonce).ok_or_else(|| refuse("an unknown report"))?;
        let Some(Pending { state, .. }) = slot.take() else { return Err(refuse("a report comes again")) };
        let message = Prio3VerifierMessage::get_decoded_with_param(&state, message).map_err(refuse)?;
        self.take_in(state, message)
    }

    fn take_in(
        &mut self,
        state: Prio3VerifyState<Field, 32>,
        message: Prio3VerifierMessage<32>,
    ) -> Result<(), Error> {
        let next = self.sharing.vdaf.verify_next(&self.sharing.context, state, message).map_err(refuse)?;
        let VerifyTransition::Finish(output) = next else { return Err(refuse("the check does not end")) };
        add(&mut self.sum, &output)?;
        self.count += 1;
        Ok(())
    }

    /// This aggregator's share of the sum, when at least so many sites were counted: below that it stays here.
    ///
    /// # Errors
    /// [`Error::TooFewSites`].
    pub fn share(&self, least: usize) -> Result<Vec<u8>, Error> {
        if self.count < least {
            return Err(Error::TooFewSites { sites: self.count, least });
        }
        self.sum.get_encoded().map_err(refuse)
    }
}

fn add(sum: &mut AggregateShare, output: &OutputShare) -> Result<(), Error> {
    use prio::vdaf::Aggregatable as _;
    sum.accumulate(output).map_err(refuse)
}

/// What one aggregator is sent by a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Names the report.
    pub nonce: [u8; 16],
    /// For both aggregators.
    pub public: Vec<u8>,
    /// For this aggregator.
    pub share: Vec<u8>,
}

impl Report {
    /// The bytes: nonce, length of the public part, public part, share.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.nonce.to_vec();
        out.extend_from_slice(&(self.public.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.public);
        out.extend_from_slice(&self.share);
        out
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Error::Shares`] for bytes that end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let cut = || refuse("a report is cut");
        let (nonce, rest) = bytes.split_first_chunk::<16>().ok_or_else(cut)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (public, share) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut)?;
        Ok(Self { nonce: *nonce, public: public.to_vec(), share: share.to_vec() })
    }
}

impl Shares {
    /// What the leader, who is the coordinator, is sent: the contribution to the round.
    #[must_use]
    pub fn contribution(&self, rows: u64) -> Contribution {
        let (nonce, public, share) = (self.nonce, self.public.clone(), self.leader.clone());
        Contribution { rows, payload: Report { nonce, public, share }.encode() }
    }

    /// What the helper is sent, over a channel of its own.
    #[must_use]
    pub fn for_helper(&self) -> Report {
        Report { nonce: self.nonce, public: self.public.clone(), share: self.helper.clone() }
    }
}

/// The exact sum, made by two aggregators: the coordinator leads, and asks a helper elsewhere.
///
/// [`Task::propose`] is [pending](Error::Pending) until [`Secure::deliver`] has brought the sum of just these contributions.
pub struct Secure<P, F> {
    plan: P,
    learner: String,
    fit: F,
    most_rows: u64,
    sum: Cell<Option<(Vec<Digest>, Tally<P>)>>,
}

impl<P: Plan, F: Fn(&Tally<P>) -> Result<Vec<u8>, Error>> Secure<P, F> {
    /// `most_rows` bounds the rows of a site: with the plan's reach it bounds the cells, and their bits.
    pub fn new(plan: P, learner: &str, most_rows: u64, fit: F) -> Self {
        Self { plan, learner: learner.to_owned(), fit, most_rows, sum: Cell::new(None) }
    }

    /// How cells are shared in a round of this federation.
    ///
    /// # Errors
    /// As [`Sharing::new`].
    pub fn sharing(&self, federation: Digest, round: u64) -> Result<Sharing, Error> {
        let most = self.plan.reach().most.saturating_mul(self.most_rows.into());
        Sharing::new(federation, round, self.plan.width(), 129 - most.max(1).leading_zeros())
    }

    /// Brings the sum of these contributions.
    ///
    /// # Errors
    /// [`Error::Statistic`] for sums that so many rows cannot have made.
    pub fn deliver(&self, parts: &[Contribution], cells: Vec<i128>) -> Result<(), Error> {
        let (mut digests, mut rows) = (Vec::new(), 0_u64);
        for part in parts {
            digests.push(part.digest());
            rows = rows.saturating_add(part.rows);
        }
        self.sum.set(Some((digests, Tally::from_parts(self.plan.clone(), rows, cells)?)));
        Ok(())
    }
}

impl<P: Plan, F: Fn(&Tally<P>) -> Result<Vec<u8>, Error>> Task for Secure<P, F> {
    fn schema(&self) -> Digest {
        schema(self.mode(), &format!("{} of at most {} rows", self.learner, self.most_rows), &self.plan)
    }

    fn mode(&self) -> &'static str {
        "secure"
    }

    fn check(&self, contribution: &Contribution) -> Result<(), Error> {
        if contribution.rows > self.most_rows {
            return Err(refuse("more rows than were agreed on"));
        }
        Report::decode(&contribution.payload).map(drop)
    }

    fn propose(
        &self,
        contributions: &[Contribution],
        attempt: u32,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        if attempt > 0 {
            return Ok(None);
        }
        let wanted = contributions.iter().map(Contribution::digest);
        match self.sum.take().filter(|(digests, _)| wanted.eq(digests.iter().copied())) {
            Some((_, sum)) => Ok(Some(("secure sum".to_owned(), (self.fit)(&sum)?))),
            None => Err(Error::Pending),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CELLS: usize = 20;

    fn sharing() -> Sharing {
        Sharing::new(Digest([1; 32]), 1, CELLS, 40).unwrap()
    }

    fn pair() -> (Aggregator, Aggregator) {
        (Aggregator::new(sharing(), Side::Leader, [5; 32]), Aggregator::new(sharing(), Side::Helper, [5; 32]))
    }

    fn report(leader: &mut Aggregator, helper: &mut Aggregator, shares: &Shares) -> Result<(), Error> {
        leader.begin(shares.nonce, &shares.public, &shares.leader)?;
        let part = helper.begin(shares.nonce, &shares.public, &shares.helper)?;
        let message = leader.combine(shares.nonce, &part)?;
        helper.finish(shares.nonce, &message)
    }

    #[test]
    fn the_sum_is_exact_and_too_few_sites_show_nothing() {
        let (mut leader, mut helper) = pair();
        let mut sum = [0; CELLS];
        for site in 0..10_u8 {
            let cells: Vec<i128> = (0..CELLS as i128)
                .map(|k| (k - 9) * 12_345_678_901 * i128::from(site + 1) % (1 << 39))
                .collect();
            sum.iter_mut().zip(&cells).for_each(|(sum, cell)| *sum += cell);
            let shares = sharing().shard(&cells, [site; 16]).unwrap();
            report(&mut leader, &mut helper, &shares).unwrap();
            if site < 2 {
                assert!(matches!(leader.share(3), Err(Error::TooFewSites { .. })));
            }
        }
        let (a, b) = (leader.share(3).unwrap(), helper.share(3).unwrap());
        assert_eq!(sharing().unshard(&a, &b, 10).unwrap(), sum);
        assert_ne!(sharing().unshard(&a, &a, 10).unwrap_or_default(), sum, "one share alone tells nothing");
    }

    #[test]
    fn cells_out_of_range_and_reports_that_come_again_are_refused() {
        let (mut leader, mut helper) = pair();
        assert!(sharing().shard(&[1 << 39; CELLS], [0; 16]).is_err());
        assert!(sharing().shard(&[0; CELLS - 1], [0; 16]).is_err());
        let shares = sharing().shard(&[(1 << 39) - 1; CELLS], [0; 16]).unwrap();
        report(&mut leader, &mut helper, &shares).unwrap();
        assert!(report(&mut leader, &mut helper, &shares).is_err());
        // a wider range than was agreed on, shared by its own rules, proves nothing here
        let wide =
            Sharing::new(Digest([1; 32]), 1, CELLS, 41).unwrap().shard(&[1 << 39; CELLS], [1; 16]).unwrap();
        assert!(report(&mut leader, &mut helper, &wide).is_err());
        let other = Sharing::new(Digest([1; 32]), 2, CELLS, 40).unwrap().shard(&[7; CELLS], [2; 16]).unwrap();
        assert!(report(&mut leader, &mut helper, &other).is_err(), "another round");
        assert_eq!((leader.count(), helper.count()), (1, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn every_changed_share_is_refused(which in 0..3_usize, at in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in any::<bool>()) {
            let (mut leader, mut helper) = pair();
            let mut shares = sharing().shard(&[3; CELLS], [9; 16]).unwrap();
            let bytes = match which {
                0 => &mut shares.public,
                1 => &mut shares.leader,
                _ => &mut shares.helper,
            };
            if cut {
                bytes.truncate(at.index(bytes.len()));
            } else {
                let place = at.index(bytes.len());
                bytes[place] ^= flip;
            }
            prop_assert!(report(&mut leader, &mut helper, &shares).is_err());
            prop_assert_eq!((leader.count(), helper.count()), (0, 0), "nothing of it was counted");
        }
    }
}
