//! Commands and services that were not seen before: who writes what, which value, in which order, who calls which function.
//!
//! Source: specification-free allow-listing of field-bus traffic (Goldenberg, Wool, International Journal of Critical
//! Infrastructure Protection 6, 2013, learnt patterns; Barbosa, Sadre, Pras, ibid. 6, 2013, flow white-listing), each
//! kind of novelty with the rate at which the second half of the history showed it. Cost: a binary search. It lies when the history
//! is shorter than the plant's habits: then the rate learnt says so and the surprise is small.

use core::net::IpAddr;

use twinguard_types::{
    Command, CommandOrigin, DetectorId, Event, Exchange, PrincipalId, Score, SignalId, Symptom, Timestamp,
    View,
};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Rare, Reader, Writer,
    archived, detector::tame, table::Table, tail::Burst,
};

const MOST: usize = 4096;

/// Commands and functions not seen before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Novelty;

#[derive(Clone, Copy, Debug)]
struct Span {
    low: f64,
    high: f64,
    writes: u32,
}

archived!(Span { low, high, writes });

/// What is known, and how it grows; the same walk learns and judges.
#[derive(Clone, Debug)]
struct Known {
    writers: Table<(Option<IpAddr>, PrincipalId, SignalId), ()>,
    values: Table<SignalId, Span>,
    order: Table<(SignalId, SignalId), ()>,
    functions: Table<(IpAddr, IpAddr, (u16, u16)), ()>,
    clients: Table<IpAddr, ()>,
    last: Option<SignalId>,
}

archived!(Known { writers, values, order, functions, clients, last });

impl Archive for () {
    fn save(&self, writer: &mut Writer) {
        0u8.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        u8::load(reader).map(drop)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Writer,
    Value,
    Order,
    Function,
    Client,
}

impl Known {
    fn new() -> Self {
        Self {
            writers: Table::new(MOST),
            values: Table::new(MOST),
            order: Table::new(MOST),
            functions: Table::new(MOST),
            clients: Table::new(MOST),
            last: None,
        }
    }

    /// What is new about the command, the gravest first; while learning it is entered.
    fn command(&mut self, command: &Command, learn: bool) -> Option<Kind> {
        let key = (command.from.map(|from| from.ip()), command.principal, command.signal);
        let known_writer = self.writers.get(&key).is_some();
        let value = tame(command.value.as_f64());
        let known_value = self.values.get(&command.signal).is_some_and(|span| {
            // half of the learnt span on either side, more when it was written only a few times
            let slack = (0.5 + 20.0 / f64::from(span.writes)) * (span.high - span.low) + 1e-9;
            value >= span.low - slack && value <= span.high + slack
        });
        let pair = self.last.map(|last| (last, command.signal));
        let known_order = pair.is_none_or(|pair| self.order.get(&pair).is_some());
        if learn {
            self.writers.entry(key, || ());
        }
        // a value or an order is news once: a plant that wandered stays where it is
        if learn || !known_value || !known_order {
            let blank = || Span { low: value, high: value, writes: 0 };
            if let Some(span) = self.values.entry(command.signal, blank) {
                *span = Span {
                    low: span.low.min(value),
                    high: span.high.max(value),
                    writes: span.writes.saturating_add(1),
                };
            }
            if let Some(pair) = pair {
                self.order.entry(pair, || ());
            }
        }
        self.last = Some(command.signal);
        match (known_writer, known_value, known_order) {
            (false, ..) => Some(Kind::Writer),
            (_, false, _) => Some(Kind::Value),
            (.., false) => Some(Kind::Order),
            _ => None,
        }
    }

    fn exchange(&mut self, exchange: &Exchange, learn: bool) -> Option<Kind> {
        let key = (exchange.client.ip(), exchange.server.ip(), (exchange.unit, exchange.function));
        let (known, known_client) = (self.functions.get(&key).is_some(), self.clients.get(&key.0).is_some());
        if learn {
            self.functions.entry(key, || ());
            self.clients.entry(key.0, || ());
        }
        match (known_client, known) {
            (false, _) => Some(Kind::Client),
            (true, false) => Some(Kind::Function),
            (true, true) => None,
        }
    }
}

struct State {
    id: DetectorId,
    known: Known,
    rates: [Rare; 5],
    looks_per_day: f64,
    learnt: usize,
    speaks: (bool, bool),
    since: Option<Timestamp>,
    values: Burst,
}

impl Archive for State {
    fn save(&self, writer: &mut Writer) {
        self.id.save(writer);
        self.known.save(writer);
        self.rates.iter().for_each(|rate| rate.save(writer));
        (self.looks_per_day, self.learnt).save(writer);
        (self.speaks, self.since).save(writer);
        self.values.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (id, known) = (Archive::load(reader)?, Archive::load(reader)?);
        let mut rates = [Rare::new(0, 0.0); 5];
        for rate in &mut rates {
            *rate = Archive::load(reader)?;
        }
        let (looks_per_day, learnt) = Archive::load(reader)?;
        let (speaks, since) = Archive::load(reader)?;
        let values = Archive::load(reader)?;
        Ok(Self { id, known, rates, looks_per_day, learnt, speaks, since, values })
    }
}

impl Detector for Novelty {
    fn name(&self) -> &'static str {
        "novelty"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Novelty
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut known = Known::new();
        let (mut commands, mut exchanges) = (0usize, 0usize);
        let mut counts = [0usize; 5];
        let half = history.len() / 2;
        for (place, event) in history.events().enumerate() {
            let new = match &event {
                Event::Command(command) if command.origin == CommandOrigin::Wire => {
                    commands += 1;
                    known.command(command, true)
                }
                Event::Exchange(exchange) => {
                    exchanges += 1;
                    known.exchange(exchange, true)
                }
                _ => None,
            };
            if let (Some(kind), true) = (new, place >= half) {
                counts[kind as usize] += 1;
            }
        }
        let days = history.days();
        known.last = None;
        Ok(Box::new(State {
            id: context.id,
            rates: counts.map(|count| Rare::new(count, days / 2.0)),
            looks_per_day: (commands + exchanges) as f64 / days.max(1e-3),
            learnt: commands + exchanges,
            // with hardly any history everything would be new
            speaks: (days > 0.01 || commands >= 50, exchanges >= 200),
            known,
            since: None,
            // values and orders have no end: one beyond the learnt is half expected, a series is not
            values: Burst::new(Rare::new(
                counts[Kind::Value as usize] + counts[Kind::Order as usize] + 1,
                days / 2.0,
            )),
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let (new, detail) = match event {
            Event::Command(command) if command.origin == CommandOrigin::Wire && self.speaks.0 => {
                let new = self.known.command(command, false);
                let detail = match new {
                    Some(Kind::Writer) => {
                        Detail::NewWriter { signal: command.signal, from: command.from.map(|from| from.ip()) }
                    }
                    _ => Detail::NewCommand { signal: command.signal, value: command.value.as_f64() },
                };
                (new, detail)
            }
            Event::Exchange(exchange) if self.speaks.1 => {
                let new = self.known.exchange(exchange, false);
                let (client, function) = (exchange.client.ip(), exchange.function);
                let detail = match new {
                    Some(Kind::Client) => Detail::NewClient { client, function },
                    _ => Detail::NewFunction { client, function },
                };
                (new, detail)
            }
            _ => return None,
        };
        let at = event.at();
        let surprise = match new {
            Some(Kind::Value | Kind::Order) => self.values.hit(at).0,
            Some(kind) => self.rates[kind as usize].surprise(self.looks_per_day),
            None => 0.0,
        };
        if new.is_some() {
            self.since.get_or_insert(at);
        }
        let onset = new.and(self.since);
        let score = Score { at, detector: self.id, symptom: Symptom::Novelty, surprise, attribution: &[] };
        Some(Observation { score, detail: if new.is_some() { detail } else { Detail::None }, onset })
    }
    fn coverage(&self) -> Coverage {
        if self.speaks.0 && self.learnt > 0 {
            Coverage::Calibrated { samples: self.learnt, excursions: 0 }
        } else {
            Coverage::Silent("no commands or exchanges in the history")
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
    fn a_new_writer_is_news_and_the_old_one_is_not() {
        let mut fitted = testing::fit(&super::Novelty, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 2_000) < 1.0);
        plant.intruder = Some(0.9);
        assert!(testing::loudest(&mut *fitted, &mut plant, 15) > 5.0);
    }
}
