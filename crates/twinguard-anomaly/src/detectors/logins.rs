//! Failed authentications, source by source and account by account: a sequential test between somebody who mistypes and somebody who tries.
//!
//! Source: sequential probability ratio test (Wald, Ann. Math. Statist. 16, 1945) of the outcomes of one source's attempts, as in threshold
//! random walk (Jung, Paxson, Berger, Balakrishnan, IEEE Symposium on Security and Privacy 2004, §IV, eq. 1): with θ₀ the normal share of
//! failures and θ₁ = 0.8 each failure multiplies the ratio by θ₁/θ₀, each success by (1 − θ₁)/(1 − θ₀); at a ratio below one the test starts
//! anew. Under the normal share the ratio of one test exceeds x with probability at most 1/x (Ville's inequality), so log₁₀ of it is a
//! surprise. One source that tries many accounts and many sources that try one account are both walks: each attempt counts for its source
//! and for its account. The suspicious are kept, the quiet make room (256 of each). `identity` looks at the rate of all refusals together.
//! Cost: two walks over at most 256 entries. It lies for one try per source and account, and after a change of everybody's password.

use core::net::IpAddr;

use twinguard_types::{
    Access, AccessOutcome, DetectorId, Event, PrincipalId, Score, Symptom, Timestamp, View,
};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
};

/// The share of failures of somebody who tries.
const TRYING: f64 = 0.8;
/// The normal share is not believed to be less, nor more.
const SHARE: (f64, f64) = (0.02, 0.4);
const WALKS: usize = 256;
/// Nobody's ratio goes beyond, in nats: what ended is forgotten after about this many good logins by a factor.
const MOST: f64 = 40.0;

/// Failed authentications.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logins;

/// One source's or account's test.
#[derive(Clone, Copy, Debug)]
struct Walk<K> {
    key: K,
    nats: f64,
    failures: u32,
    since: Timestamp,
}

impl<K: Archive> Archive for Walk<K> {
    fn save(&self, writer: &mut Writer) {
        self.key.save(writer);
        self.nats.save(writer);
        self.failures.save(writer);
        self.since.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            key: Archive::load(reader)?,
            nats: Archive::load(reader)?,
            failures: Archive::load(reader)?,
            since: Archive::load(reader)?,
        })
    }
}

/// Takes an outcome; the walk, where it is above one.
fn step<K: PartialEq + Copy>(
    walks: &mut Vec<Walk<K>>,
    key: K,
    at: Timestamp,
    nats: f64,
    failed: bool,
) -> Option<Walk<K>> {
    let place = walks.iter().position(|walk| walk.key == key).or_else(|| {
        // a good login of somebody who is not under suspicion is not remembered
        if !failed {
            return None;
        }
        let new = Walk { key, nats: 0.0, failures: 0, since: at };
        if walks.len() < WALKS {
            walks.push(new);
            return Some(walks.len() - 1);
        }
        let (place, quietest) = walks.iter_mut().enumerate().min_by(|a, b| a.1.nats.total_cmp(&b.1.nats))?;
        *quietest = new;
        Some(place)
    })?;
    let walk = walks.get_mut(place)?;
    if walk.nats == 0.0 {
        (walk.since, walk.failures) = (at, 0);
    }
    walk.nats = (walk.nats + nats).clamp(0.0, MOST);
    walk.failures = walk.failures.saturating_add(u32::from(failed));
    Some(*walk)
}

struct State {
    id: DetectorId,
    /// Nats of a failure and of a success.
    failure: f64,
    success: f64,
    sources: Vec<Walk<IpAddr>>,
    accounts: Vec<Walk<PrincipalId>>,
    events: usize,
}

archived!(State { id, failure, success, sources, accounts, events });

impl Detector for Logins {
    fn name(&self) -> &'static str {
        "logins"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Identity
    }
    fn needs(&self) -> Option<View> {
        Some(View::Access)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let (mut failed, mut events) = (0_usize, 0_usize);
        for event in history.events() {
            let Event::Access(access) = event else { continue };
            events += 1;
            failed += usize::from(access.outcome != AccessOutcome::Granted);
        }
        // before anything is known: one in twenty
        let share = ((failed as f64 + 1.0) / (events as f64 + 20.0)).clamp(SHARE.0, SHARE.1);
        Ok(Box::new(State {
            id: context.id,
            failure: libm::log(TRYING / share),
            success: libm::log((1.0 - TRYING) / (1.0 - share)),
            sources: Vec::with_capacity(WALKS),
            accounts: Vec::with_capacity(WALKS),
            events,
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut state = State::load(reader)?;
        if state.sources.len() > WALKS || state.accounts.len() > WALKS {
            return Err(reader.refuse("more walks than there is room for"));
        }
        state.sources.reserve_exact(WALKS - state.sources.len());
        state.accounts.reserve_exact(WALKS - state.accounts.len());
        Ok(Box::new(state))
    }
}

impl State {
    fn look(&mut self, access: &Access) -> (f64, u32, Timestamp) {
        let failed = access.outcome != AccessOutcome::Granted;
        let nats = if failed { self.failure } else { self.success };
        let account = step(&mut self.accounts, access.principal, access.at, nats, failed);
        let source = access.from.and_then(|from| step(&mut self.sources, from, access.at, nats, failed));
        let (mut most, mut count, mut since) = (0.0, 0, access.at);
        let walks =
            [account.map(|w| (w.nats, w.failures, w.since)), source.map(|w| (w.nats, w.failures, w.since))];
        for (nats, failures, begun) in walks.into_iter().flatten() {
            if nats > most {
                (most, count, since) = (nats, failures, begun);
            }
        }
        (most / core::f64::consts::LN_10, count, since)
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Access(access) = event else { return None };
        let (surprise, count, since) = self.look(access);
        let detail = Detail::Count { count, from: access.from };
        let (at, detector) = (access.at, self.id);
        let score = Score { at, detector, symptom: Symptom::Identity, surprise, attribution: &[] };
        Some(Observation { score, detail, onset: (surprise > 0.0).then_some(since) })
    }
    fn coverage(&self) -> Coverage {
        match self.events {
            0 => Coverage::Assumed,
            samples => Coverage::Calibrated { samples, excursions: 0 },
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use twinguard_types::{Catalogue, Label};

    use super::*;
    use crate::Recording;

    fn attempt(second: i64, account: u32, from: u8, granted: bool) -> Event<'static> {
        Event::Access(Access {
            at: Timestamp::from_secs(second),
            principal: PrincipalId(account),
            action: Label::literal("login"),
            outcome: if granted { AccessOutcome::Granted } else { AccessOutcome::Refused },
            from: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, from))),
        })
    }

    fn fitted() -> Box<dyn Fitted> {
        let mut recording = Recording::new();
        for k in 0..2000 {
            recording.push(&attempt(k * 60, (k % 9) as u32, (k % 9) as u8, k % 25 != 0));
        }
        let catalogue = Catalogue::new();
        Logins
            .fit(&recording.history(), &Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 })
            .unwrap()
    }

    fn loudest(attempts: impl Iterator<Item = Event<'static>>) -> f64 {
        let mut fitted = fitted();
        attempts.map(|event| fitted.observe(&event).unwrap().score.surprise).fold(0.0, f64::max)
    }

    #[test]
    fn the_ratio_is_walds() {
        let mut state = fitted();
        let share: f64 = 81.0 / 2020.0;
        let mut at = |second, granted| state.observe(&attempt(second, 1, 1, granted)).unwrap().score.surprise;
        let once = (0.8 / share).log10();
        assert!((at(0, false) - once).abs() < 1e-12);
        assert!((at(1, false) - 2.0 * once).abs() < 1e-12);
        let good = (0.2 / (1.0 - share)).log10();
        assert!((at(2, true) - (2.0 * once + good)).abs() < 1e-12);
    }

    #[test]
    fn guessing_spraying_and_stuffing_are_walks_and_typos_are_not() {
        // one account from one place; one place, many accounts; one account, many places
        assert!(loudest((0..8).map(|k| attempt(k, 3, 3, false))) > 7.0);
        assert!(loudest((0..8).map(|k| attempt(k, 100 + k as u32, 3, false))) > 7.0);
        assert!(loudest((0..8).map(|k| attempt(k, 3, 100 + k as u8, false))) > 7.0);
        // two typos, then right
        assert!(loudest((0..300).map(|k| attempt(k, 3, 3, k % 3 == 2 || k > 2))) < 3.0);
    }

    #[test]
    fn a_flood_of_sources_does_not_hide_the_loud_one() {
        let flood = (0..4000_i64).map(|k| {
            if k % 100 == 0 {
                attempt(k, 3, 7, false)
            } else {
                attempt(k, 1000 + k as u32, (k % 200) as u8, true)
            }
        });
        assert!(loudest(flood) > 7.0);
        let mut state = fitted();
        for k in 0..5000 {
            state.observe(&attempt(k, 10_000 + k as u32, 9, false));
        }
        let mut writer = Writer::new();
        state.save(&mut writer);
        assert!(writer.finish().len() < 40_000, "memory is bounded");
    }

    #[test]
    fn a_snapshot_continues() {
        let mut state = fitted();
        (0..5).for_each(|k| {
            state.observe(&attempt(k, 3, 3, false));
        });
        let mut writer = Writer::new();
        state.save(&mut writer);
        let bytes = writer.finish();
        let mut again = Logins.restore(&mut Reader::new(&bytes)).unwrap();
        let (a, b) = (state.observe(&attempt(9, 3, 3, false)), again.observe(&attempt(9, 3, 3, false)));
        assert_eq!(a.map(|seen| seen.score), b.map(|seen| seen.score));
    }
}
