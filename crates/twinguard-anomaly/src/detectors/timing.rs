//! Traffic that comes earlier, later or more often than it does, per client, server, unit and function.
//!
//! Source: CUSUM (Page 1954) of the logarithm of latency and of the interval between exchanges, standardised by their learnt moments,
//! reference ½ as in `attribution` practice; a pending interval counts as soon as it is longer than any tail allows, so missing polls
//! are seen without waiting for the next one. Keys with fewer than 200 exchanges in the history say nothing. It lies for
//! traffic driven by people.

use core::net::IpAddr;

use twinguard_types::{DetectorId, Event, Exchange, ExchangeOutcome, Score, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived, table::Table, whiten::clipped_moments,
};

const REFERENCE: f64 = 0.5;
const LOUDEST: f64 = 14.0;
const MOST_KEYS: usize = 1024;

/// Latency and interval per kind of exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing;

type Key = (IpAddr, IpAddr, (u16, u16));

/// One quantity's normal law and its two-sided sum.
#[derive(Clone, Debug, Default)]
struct Clock {
    mean: f64,
    deviation: f64,
    tail: Tail,
    bound: f64,
    up: f64,
    down: f64,
    since: Timestamp,
}

archived!(Clock { mean, deviation, tail, bound, up, down, since });

impl Clock {
    fn new(samples: &[f64]) -> Self {
        let (mean, deviation) = clipped_moments(samples);
        let mut clock = Self { mean, deviation: deviation.max(0.02), bound: 1e6, ..Self::default() };
        let sums: Vec<f64> = samples
            .iter()
            .map(|sample| {
                clock.step(*sample, Timestamp::ZERO);
                clock.size()
            })
            .collect();
        clock.tail = Tail::fit(&sums, 30, 1.0);
        clock.bound = clock.tail.level(LOUDEST);
        (clock.up, clock.down) = (0.0, 0.0);
        clock
    }

    fn step(&mut self, sample: f64, at: Timestamp) {
        if self.size() == 0.0 {
            self.since = at;
        }
        let z = ((sample - self.mean) / self.deviation).clamp(-6.0, 6.0);
        self.up = (self.up + z - REFERENCE).clamp(0.0, self.bound);
        self.down = (self.down - z - REFERENCE).clamp(0.0, self.bound);
    }

    fn size(&self) -> f64 {
        self.up.max(self.down)
    }
}

#[derive(Clone, Debug, Default)]
struct Peer {
    latency: Option<Clock>,
    interval: Option<Clock>,
    silence: Tail,
    last: Option<Timestamp>,
    /// The surprise of the exchange before, and of the look before: what shows once is not told.
    before: f64,
    looked: f64,
}

archived!(Peer { latency, interval, silence, last, before, looked });

struct State {
    id: DetectorId,
    price: f64,
    peers: Table<Key, Peer>,
    samples: usize,
}

archived!(State { id, price, peers, samples });

fn key(exchange: &Exchange) -> Key {
    (exchange.client.ip(), exchange.server.ip(), (exchange.unit, exchange.function))
}

fn seconds(exchange: &Exchange) -> Option<f64> {
    exchange.latency.map(|latency| libm::log(latency.as_secs_f64().max(1e-6)))
}

impl Detector for Timing {
    fn name(&self) -> &'static str {
        "timing"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Timing
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn at_once(&self) -> bool {
        // twice in a row is asked of each peer by itself: what others do in between says nothing
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        /// Last exchange, log latencies, intervals.
        type Seen = (Option<Timestamp>, Vec<f64>, Vec<f64>);
        let mut seen: Table<Key, Seen> = Table::new(MOST_KEYS);
        for event in history.events() {
            let Event::Exchange(exchange) = event else { continue };
            if exchange.outcome == ExchangeOutcome::Unsolicited {
                continue;
            }
            let Some((last, latencies, intervals)) = seen.entry(key(&exchange), Default::default) else {
                continue;
            };
            latencies.extend(seconds(&exchange));
            if let Some(before) = last.replace(exchange.at) {
                intervals.push((exchange.at - before).as_secs_f64().max(1e-6));
            }
        }
        let mut peers = Table::new(seen.len());
        let (mut live, mut samples) = (0.0_f64, 0);
        for (key, (_, latencies, intervals)) in seen.iter_mut() {
            let mut peer = Peer::default();
            if latencies.len() >= 200 {
                peer.latency = Some(Clock::new(latencies));
                live += 1.0;
            }
            if intervals.len() >= 200 {
                peer.silence = Tail::fit(intervals, 1, 0.01);
                intervals.iter_mut().for_each(|interval| *interval = libm::log(*interval));
                peer.interval = Some(Clock::new(intervals));
                live += 2.0;
            }
            samples = samples.max(intervals.len());
            peers.entry(*key, || peer);
        }
        Ok(Box::new(State { id: context.id, price: libm::log10(live.max(1.0)), peers, samples }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl State {
    fn tell(
        &self,
        at: Timestamp,
        surprise: f64,
        detail: Detail,
        onset: Timestamp,
    ) -> Option<Observation<'_>> {
        let surprise = (surprise - self.price).max(0.0);
        let score = Score { at, detector: self.id, symptom: Symptom::Timing, surprise, attribution: &[] };
        Some(Observation { score, detail, onset: Some(onset) })
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        match event {
            Event::Exchange(exchange) if exchange.outcome != ExchangeOutcome::Unsolicited => {
                let (client, server, _) = key(exchange);
                let peer = self.peers.get_mut(&key(exchange))?;
                let at = exchange.at;
                let (mut surprise, mut onset) = (0.0, at);
                let mut detail =
                    Detail::Traffic { client, server, seen_s: 0.0, normal_s: 0.0, latency: true };
                if let (Some(clock), Some(sample)) = (&mut peer.latency, seconds(exchange)) {
                    clock.step(sample, at);
                    surprise = clock.tail.surprise(clock.size());
                    onset = clock.since;
                    let (seen_s, normal_s) = (libm::exp(sample), libm::exp(clock.mean));
                    detail = Detail::Traffic { client, server, seen_s, normal_s, latency: true };
                }

                if let (Some(clock), Some(before)) = (&mut peer.interval, peer.last.replace(at)) {
                    let interval = (at - before).as_secs_f64().max(1e-6);
                    clock.step(libm::log(interval), at);
                    let louder = clock.tail.surprise(clock.size());
                    if louder > surprise {
                        (surprise, onset) = (louder, clock.since);
                        let normal_s = libm::exp(clock.mean);
                        detail =
                            Detail::Traffic { client, server, seen_s: interval, normal_s, latency: false };
                    }
                }
                let twice = surprise.min(core::mem::replace(&mut peer.before, surprise));
                self.tell(at, twice, detail, onset)
            }
            Event::Tick(at) => {
                // the longest silence that has not been told yet
                let mut worst: Option<(f64, Detail, Timestamp)> = None;
                for ((client, server, _), peer) in self.peers.iter_mut() {
                    let Some(last) = peer.last else { continue };
                    let silence = (*at - last).as_secs_f64();
                    let surprise = peer.silence.surprise(silence);
                    let surprise = surprise.min(core::mem::replace(&mut peer.looked, surprise));
                    if surprise > worst.as_ref().map_or(2.0, |worst| worst.0) {
                        let normal_s = peer.interval.as_ref().map_or(0.0, |clock| libm::exp(clock.mean));
                        let (client, server) = (*client, *server);
                        let detail =
                            Detail::Traffic { client, server, seen_s: silence, normal_s, latency: false };
                        worst = Some((surprise, detail, last));
                    }
                }
                let (surprise, detail, onset) = worst?;
                self.tell(*at, surprise, detail, onset)
            }
            _ => None,
        }
    }
    fn missed(&mut self) {
        for (_, peer) in self.peers.iter_mut() {
            (peer.last, peer.before, peer.looked) = (None, 0.0, 0.0);
        }
    }
    fn coverage(&self) -> Coverage {
        if self.samples >= 200 {
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
    use twinguard_types::{Duration, Event};

    use crate::testing::{self, Plant};

    #[test]
    fn slower_answers_and_missing_polls_are_found() {
        let mut fitted = testing::fit(&super::Timing, Plant::new(1).run(4_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.latency *= 1.6;
        assert!(testing::loudest(&mut *fitted, &mut plant, 60) > 7.0);
    }

    #[test]
    fn a_silent_server_is_missed() {
        let mut fitted = testing::fit(&super::Timing, Plant::new(1).run(4_000));
        let mut plant = Plant::new(2);
        testing::loudest(&mut *fitted, &mut plant, 100);
        plant.silent = true;
        assert!(testing::loudest(&mut *fitted, &mut plant, 30) > 7.0);
    }

    #[test]
    fn silence_while_nobody_listened_says_nothing() {
        for missed in [false, true] {
            let mut fitted = testing::fit(&super::Timing, Plant::new(1).run(4_000));
            let mut plant = Plant::new(2);
            testing::loudest(&mut *fitted, &mut plant, 100);
            if missed {
                fitted.missed();
            }
            let later = |minutes: i64| Event::Tick(plant.now() + Duration::from_secs(3_600 + 60 * minutes));
            let heard =
                (0..3).filter_map(|minutes| fitted.observe(&later(minutes)).map(|it| it.score.surprise));
            assert_eq!(heard.fold(0.0, f64::max) < 1.0, missed);
        }
    }
}
