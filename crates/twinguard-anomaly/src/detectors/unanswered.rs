//! Requests that nobody answers, per client and server.
//!
//! Source: the Bernoulli CUSUM (`bernoulli`), as for commands without an author; the normal share is that of the history. It lies where
//! a device answers some functions only, when the mix of what it is asked changes.

use core::net::IpAddr;

use twinguard_types::{DetectorId, Event, Exchange, ExchangeOutcome, Score, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
    bernoulli::{Law, Sum},
    table::Table,
};

const MOST_KEYS: usize = 1024;
/// Exchanges of a pair of ends from which on it is judged.
const ENOUGH: u32 = 200;

/// Requests without an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unanswered;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    law: Law,
    sum: Sum,
}

archived!(Peer { law, sum });

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
            let law = Law::counted(*missing as usize, *all as usize);
            peers.entry(*key, || Peer { law, sum: Sum::default() });
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
        peer.sum.step(&peer.law, exchange.at, !answered);
        let surprise = (peer.sum.surprise() - self.price).max(0.0);
        let detail = Detail::Unanswered { client, server, requests: peer.sum.hits };
        let onset = peer.sum.since;
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
