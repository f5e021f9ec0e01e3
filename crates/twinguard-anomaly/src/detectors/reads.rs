//! Somebody who reads more than they do, or from more places: espionage, and the scan before an attack.
//!
//! Source: volume and fan-out of a client as in flow-based detection (Sperotto et al., IEEE Communications Surveys & Tutorials 12, 2010,
//! §IV): requests in a minute, and different targets (server, unit, function) in a minute. The square root of a count is nearly of one
//! variance (Anscombe, Biometrika 35, 1948); its excess over the client's mean, in its deviations, is squared and asked of the learnt tail.
//! Counted for clients on the wire and for accounts (granted access whose action reads: `read`, `export`, `download`, `query`). A reader that was
//! never there has the rate at which the history shows new ones. Each count is judged as it grows, so a burst is seen within its minute. Cost:
//! two binary searches, and one of 64 targets. It lies for whoever takes a little every minute, at the pace of the historian.

use core::net::IpAddr;

use twinguard_types::{AccessOutcome, DetectorId, Event, PrincipalId, Score, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Rare, Reader, Tail,
    Writer, archived, detector::gap, table::Table, tail::Burst, whiten::clipped_moments,
};

const MOST_READERS: usize = 512;
const MINUTE_NS: i64 = 60_000_000_000;
/// Fewer minutes in which a reader read say nothing.
const FEWEST: usize = 60;
/// Most targets that are told apart within a minute.
const TARGETS: usize = 64;
const ACTIONS: [&str; 4] = ["read", "export", "download", "query"];

/// Bulk reads and new readers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads;

/// An account, or a client's address.
type Who = (Option<IpAddr>, PrincipalId);

/// The minute at hand.
#[derive(Clone, Debug)]
struct Minute {
    minute: i64,
    requests: u32,
    targets: Vec<u64>,
}

archived!(Minute { minute, requests, targets });

impl Minute {
    fn new() -> Self {
        Self { minute: i64::MIN, requests: 0, targets: Vec::with_capacity(TARGETS) }
    }

    /// Takes a request; true when it begins another minute, whose predecessor's counts are then given.
    fn step(&mut self, at: Timestamp, target: u64) -> Option<[f64; 2]> {
        let minute = at.as_nanos().div_euclid(MINUTE_NS);
        let mut done = None;
        if minute != self.minute {
            done = (self.requests > 0).then(|| self.counts());
            self.minute = minute;
            self.requests = 0;
            self.targets.clear();
        }
        self.requests = self.requests.saturating_add(1);
        if self.targets.len() < TARGETS
            && let Err(place) = self.targets.binary_search(&target)
        {
            self.targets.insert(place, target);
        }
        done
    }

    fn counts(&self) -> [f64; 2] {
        [libm::sqrt(f64::from(self.requests)), libm::sqrt(self.targets.len() as f64)]
    }
}

/// A count's normal law.
#[derive(Clone, Debug, Default)]
struct Law {
    mean: f64,
    deviation: f64,
    tail: Tail,
}

archived!(Law { mean, deviation, tail });

impl Law {
    fn fit(roots: &[f64]) -> Self {
        let (mean, deviation) = clipped_moments(roots);
        // the square root of a Poisson count has a deviation of one half; a poll that never varies has none
        let mut law = Self { mean, deviation: deviation.max(0.25), tail: Tail::default() };
        let statistics: Vec<f64> = roots.iter().map(|root| law.statistic(*root)).collect();
        law.tail = Tail::fit(&statistics, gap(statistics.len()).min(30), 1.0);
        law
    }

    fn statistic(&self, root: f64) -> f64 {
        let z = ((root - self.mean) / self.deviation).max(0.0);
        z * z
    }
}

#[derive(Clone, Debug)]
struct Person {
    laws: Option<(Law, Law)>,
    now: Minute,
}

archived!(Person { laws, now });

struct State {
    id: DetectorId,
    people: Table<Who, Person>,
    strangers: Burst,
    count: u32,
    price: f64,
    minutes: usize,
}

archived!(State { id, people, strangers, count, price, minutes });

/// Who reads what, as a number that tells targets apart.
fn reading(event: &Event<'_>) -> Option<(Who, u64, Timestamp, Option<IpAddr>)> {
    match event {
        Event::Exchange(exchange) => {
            let who = (Some(exchange.client.ip()), PrincipalId::default());
            let address = match exchange.server.ip() {
                IpAddr::V4(address) => u64::from(u32::from(address)),
                // the half that tells hosts apart
                IpAddr::V6(address) => u128::from(address) as u64,
            };
            let what = (u64::from(exchange.unit) << 16) | u64::from(exchange.function);
            let target = address.rotate_left(32) ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Some((who, target, exchange.at, Some(exchange.client.ip())))
        }
        Event::Access(access) if access.outcome == AccessOutcome::Granted => {
            let place = ACTIONS.iter().position(|action| access.action.as_str().starts_with(action))?;
            Some(((None, access.principal), place as u64, access.at, access.from))
        }
        _ => None,
    }
}

impl Detector for Reads {
    fn name(&self) -> &'static str {
        "reads"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Identity
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        type Seen = (Minute, Vec<f64>, Vec<f64>);
        let mut seen: Table<Who, Seen> = Table::new(MOST_READERS);
        let (mut strangers, half) = (0, history.len() / 2);
        for (place, event) in history.events().enumerate() {
            let Some((who, target, at, _)) = reading(&event) else { continue };
            strangers += usize::from(place >= half && seen.get(&who).is_none());
            let Some((now, requests, targets)) = seen.entry(who, || (Minute::new(), Vec::new(), Vec::new()))
            else {
                continue;
            };
            if let Some([a, b]) = now.step(at, target) {
                requests.push(a);
                targets.push(b);
            }
        }
        let mut people = Table::new(MOST_READERS);
        let (mut live, mut minutes) = (0_usize, 0);
        for (who, (_, requests, targets)) in seen.iter_mut() {
            minutes = minutes.max(requests.len());
            let laws = (requests.len() >= FEWEST).then(|| (Law::fit(requests), Law::fit(targets)));
            live += 2 * usize::from(laws.is_some());
            people.entry(*who, || Person { laws, now: Minute::new() });
        }
        let days = history.days();
        Ok(Box::new(State {
            id: context.id,
            people,
            strangers: Burst::new(Rare::new(strangers, days / 2.0)),
            count: 0,
            price: libm::log10(live.max(1) as f64),
            minutes,
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut state = State::load(reader)?;
        for (_, person) in state.people.iter_mut() {
            if person.now.targets.len() > TARGETS || !person.now.targets.is_sorted() {
                return Err(reader.refuse("targets of a minute that cannot be"));
            }
            person.now.targets.reserve_exact(TARGETS - person.now.targets.len());
        }
        Ok(Box::new(state))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let (who, target, at, from) = reading(event)?;
        let (surprise, count) = match self.people.get_mut(&who) {
            Some(person) => {
                person.now.step(at, target);
                let (requests, targets) = person.laws.as_ref()?;
                let [a, b] = person.now.counts();
                let volume = requests.tail.surprise(requests.statistic(a));
                let breadth = targets.tail.surprise(targets.statistic(b));
                ((volume.max(breadth) - self.price).max(0.0), person.now.requests)
            }
            // without a history everybody would be new
            None if self.minutes < FEWEST => return None,
            None => {
                self.count = self.count.saturating_add(1);
                (self.strangers.hit(at).0, self.count)
            }
        };
        let score = Score { at, detector: self.id, symptom: Symptom::Identity, surprise, attribution: &[] };
        Some(Observation { score, detail: Detail::Count { count, from }, onset: None })
    }
    fn coverage(&self) -> Coverage {
        if self.minutes >= FEWEST {
            Coverage::Calibrated { samples: self.minutes, excursions: 0 }
        } else {
            Coverage::Silent("fewer than 60 minutes with reads in the history")
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddr};

    use twinguard_types::{Access, Catalogue, Exchange, ExchangeOutcome, Label};

    use super::*;
    use crate::Recording;

    fn request(nanos: i64, client: u8, server: u8, function: u16) -> Event<'static> {
        let peer = |host| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), 502);
        Event::Exchange(Exchange {
            at: Timestamp::from_nanos(nanos),
            family: Label::literal("modbus"),
            client: peer(client),
            server: peer(server),
            unit: 1,
            function,
            latency: None,
            outcome: ExchangeOutcome::Answered,
        })
    }

    /// Client 1 polls two servers about ten times a minute, account 5 reads now and then.
    fn normal(from_minute: i64, minutes: i64) -> Vec<Event<'static>> {
        let mut all = Vec::new();
        for minute in from_minute..from_minute + minutes {
            let count = 8 + minute * 7919 % 5;
            for k in 0..count {
                all.push(request(minute * MINUTE_NS + k * 1_000_000_000, 1, 20 + (k % 2) as u8, 3));
            }
            let access = Access {
                at: Timestamp::from_nanos(minute * MINUTE_NS),
                principal: PrincipalId(5),
                action: Label::literal("read"),
                outcome: AccessOutcome::Granted,
                from: None,
            };
            (0..1 + minute % 3).for_each(|_| all.push(Event::Access(access)));
        }
        all
    }

    fn fitted() -> Box<dyn Fitted> {
        let mut recording = Recording::new();
        normal(0, 600).iter().for_each(|event| recording.push(event));
        let catalogue = Catalogue::new();
        Reads
            .fit(&recording.history(), &Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 })
            .unwrap()
    }

    fn loudest(state: &mut dyn Fitted, events: &[Event<'_>]) -> f64 {
        events
            .iter()
            .filter_map(|event| state.observe(event).map(|seen| seen.score.surprise))
            .fold(0.0, f64::max)
    }

    #[test]
    fn more_than_usual_is_seen_within_the_minute() {
        let mut state = fitted();
        assert!(loudest(&mut *state, &normal(1000, 200)) < 4.0);
        let burst: Vec<_> = (0..60).map(|k| request(2000 * MINUTE_NS + k * 100_000_000, 1, 20, 3)).collect();
        assert!(loudest(&mut *state, &burst) > 6.0);
    }

    #[test]
    fn a_scan_of_many_targets_is_seen_at_the_usual_pace() {
        let mut state = fitted();
        let scan: Vec<_> =
            (0..11).map(|k| request(2000 * MINUTE_NS + k * 1_000_000_000, 1, 30 + k as u8, 3)).collect();
        assert!(loudest(&mut *state, &scan) > 5.0);
    }

    #[test]
    fn an_account_that_copies_everything_and_a_new_reader_are_seen() {
        let mut state = fitted();
        let export = |k: i64| {
            Event::Access(Access {
                at: Timestamp::from_nanos(2000 * MINUTE_NS + k),
                principal: PrincipalId(5),
                action: Label::literal("export_history"),
                outcome: AccessOutcome::Granted,
                from: None,
            })
        };
        let copy: Vec<_> = (0..80).map(export).collect();
        assert!(loudest(&mut *state, &copy) > 6.0);
        let new: Vec<_> = (0..6).map(|k| request(3000 * MINUTE_NS + k * 1_000_000_000, 99, 20, 3)).collect();
        assert!(loudest(&mut *state, &new) > 6.0);
    }

    #[test]
    fn nothing_is_said_without_a_history() {
        let catalogue = Catalogue::new();
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut state = Reads.fit(&History::empty(), &context).unwrap();
        assert!(state.observe(&request(1, 1, 2, 3)).is_none());
        assert!(matches!(state.coverage(), Coverage::Silent(_)));
    }
}
