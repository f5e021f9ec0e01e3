//! Requests that nobody answers, per client and server.
//!
//! Source: Bernoulli CUSUM (Reynolds, Stoumbos, Journal of Quality Technology 31, 1999), as for commands without an author: a request
//! that stays unanswered adds ln(½/q), one that does not takes ln((1−q)/½) away; q is the share in the history, at least 10⁻⁴. By
//! Lundberg's inequality the sum reaches g with probability at most e^−g, which is its surprise. It lies where a device answers some
//! functions only, when the mix of what it is asked changes.

use core::net::IpAddr;

use twinguard_types::{DetectorId, Event, Exchange, ExchangeOutcome, Score, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived, table::Table,
};

/// The sum stops here: 18 nats are eight decades.
const BOUND: f64 = 37.0;
const LEAST: f64 = 1e-4;
const MOST_KEYS: usize = 1024;
/// Exchanges of a pair of ends from which on it is judged.
const ENOUGH: u32 = 200;

/// Requests without an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unanswered;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    up: f64,
    down: f64,
    sum: f64,
    run: u32,
    since: Timestamp,
}

archived!(Peer { up, down, sum, run, since });

struct State {
    id: DetectorId,
    price: f64,
    peers: Table<(IpAddr, IpAddr), Peer>,
    samples: usize,
}

archived!(State { id, price, peers, samples });

/// Whether a request was answered; `None` for what asks nothing.
fn answered(exchange: &Exchange) -> Option<bool> {
    match exchange.outcome {
        ExchangeOutcome::Unanswered => Some(false),
        ExchangeOutcome::Answered | ExchangeOutcome::Exception(_) => Some(true),
        _ => None,
    }
}

impl Detector for Unanswered {
    fn name(&self) -> &'static str {
        "unanswered"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Timing
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut counts: Table<(IpAddr, IpAddr), (u32, u32)> = Table::new(MOST_KEYS);
        for event in history.events() {
            let Event::Exchange(exchange) = event else { continue };
            let Some(answered) = answered(&exchange) else { continue };
            let key = (exchange.client.ip(), exchange.server.ip());
            if let Some((all, missing)) = counts.entry(key, Default::default) {
                *all += 1;
                *missing += u32::from(!answered);
            }
        }
        let mut peers = Table::new(counts.len());
        let (mut samples, mut live) = (0, 0);
        for (key, (all, missing)) in counts.iter_mut().filter(|(_, (all, _))| *all >= ENOUGH) {
            let share = ((f64::from(*missing) + 0.5) / (f64::from(*all) + 1.0)).clamp(LEAST, 0.45);
            let (up, down) = (libm::log(0.5 / share), libm::log((1.0 - share) / 0.5));
            peers.entry(*key, || Peer { up, down, ..Peer::default() });
            samples = samples.max(*all as usize);
            live += 1;
        }
        Ok(Box::new(State { id: context.id, price: libm::log10(f64::from(live.max(1))), peers, samples }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Exchange(exchange) = event else { return None };
        let answered = answered(exchange)?;
        let (client, server) = (exchange.client.ip(), exchange.server.ip());
        let peer = self.peers.get_mut(&(client, server))?;
        if peer.sum == 0.0 {
            (peer.since, peer.run) = (exchange.at, 0);
        }
        peer.run += u32::from(!answered);
        let step = if answered { -peer.down } else { peer.up };
        peer.sum = (peer.sum + step).clamp(0.0, BOUND);
        let surprise = (peer.sum / core::f64::consts::LN_10 - self.price).max(0.0);
        let (detail, onset) = (Detail::Unanswered { client, server, requests: peer.run }, peer.since);
        let score = Score {
            at: exchange.at,
            detector: self.id,
            symptom: Symptom::Timing,
            surprise,
            attribution: &[],
        };
        Some(Observation { score, detail, onset: Some(onset) })
    }
    fn coverage(&self) -> Coverage {
        if self.samples > 0 {
            Coverage::Calibrated { samples: self.samples, excursions: 0 }
        } else {
            Coverage::Silent("too few exchanges in the history")
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn lost_answers_are_found_and_none_are_missed_in_normal_running() {
        let mut fitted = testing::fit(&super::Unanswered, Plant::new(1).run(4_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 2_000) < 4.0);
        plant.unanswered = 3;
        assert!(testing::loudest(&mut *fitted, &mut plant, 60) > 8.0, "every third one is lost");
    }
}
