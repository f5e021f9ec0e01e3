//! Commands on the wire that nobody says they sent.
//!
//! Source: the Bernoulli CUSUM (`bernoulli`) of wire commands without an intent within the tolerance; the normal share is that of the
//! history (a tap loses frames). A sum for each writer and signal, so that a busy controller does not drown a stranger. Silent as
//! long as no intent was ever seen. Values match within what the history shows of rounding on the wire. It lies when
//! the controller itself is taken: then the intent is forged with the command.

use twinguard_types::{
    Command, CommandOrigin, DetectorId, Duration, Event, Intent, Score, SignalId, Symptom, Timestamp, View,
};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
    bernoulli::{Law, Sum},
    detector::tame,
    table::Table,
};

/// How long a command waits for its intent, and an intent for its command.
const TOLERANCE: Duration = Duration::from_secs(2);
const PENDING: usize = 256;

/// Writes without an author.
#[derive(Clone, Copy, Debug, Default)]
pub struct Provenance;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    signal: SignalId,
    value: f64,
    at: Timestamp,
    from: Option<core::net::IpAddr>,
}

archived!(Entry { signal, value, at, from });

/// Pairs commands with intents.
#[derive(Clone, Debug)]
struct Pairs {
    commands: Vec<Entry>,
    intents: Vec<Entry>,
    slack: Table<SignalId, f64>,
    intents_seen: u64,
}

impl Archive for Pairs {
    fn save(&self, writer: &mut Writer) {
        self.commands.save(writer);
        self.intents.save(writer);
        self.slack.save(writer);
        self.intents_seen.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut pairs = Self::new();
        pairs.commands.extend(Vec::<Entry>::load(reader)?.into_iter().take(PENDING));
        pairs.intents.extend(Vec::<Entry>::load(reader)?.into_iter().take(PENDING));
        pairs.slack = Archive::load(reader)?;
        pairs.intents_seen = Archive::load(reader)?;
        Ok(pairs)
    }
}

enum Outcome {
    Matched(Entry),
    Unmatched(Entry),
}

impl Pairs {
    fn new() -> Self {
        Self {
            commands: Vec::with_capacity(PENDING),
            intents: Vec::with_capacity(PENDING),
            slack: Table::new(1024),
            intents_seen: 0,
        }
    }

    fn fits(&self, a: &Entry, b: &Entry) -> bool {
        let slack = self.slack.get(&a.signal).copied().unwrap_or(0.0);
        let between = (a.at - b.at).as_nanos().unsigned_abs();
        a.signal == b.signal
            && between <= TOLERANCE.as_nanos().unsigned_abs()
            && (a.value - b.value).abs() <= slack + 1e-6 * a.value.abs()
    }

    fn command(&mut self, command: &Command) -> Option<Outcome> {
        let entry = Entry {
            signal: command.signal,
            value: tame(command.value.as_f64()),
            at: command.at,
            from: command.from.map(|from| from.ip()),
        };
        if let Some(place) = self.intents.iter().position(|intent| self.fits(&entry, intent)) {
            self.intents.remove(place);
            return Some(Outcome::Matched(entry));
        }
        if self.commands.len() == PENDING {
            let oldest = self.commands.remove(0);
            self.commands.push(entry);
            return Some(Outcome::Unmatched(oldest));
        }
        self.commands.push(entry);
        None
    }

    fn intent(&mut self, intent: &Intent) -> Option<Outcome> {
        self.intents_seen += 1;
        let entry =
            Entry { signal: intent.signal, value: tame(intent.value.as_f64()), at: intent.at, from: None };
        if let Some(place) = self.commands.iter().position(|command| self.fits(command, &entry)) {
            return Some(Outcome::Matched(self.commands.remove(place)));
        }
        if self.intents.len() == PENDING {
            self.intents.remove(0);
        }
        self.intents.push(entry);
        None
    }

    /// The next command that waited too long.
    fn expire(&mut self, now: Timestamp) -> Option<Entry> {
        let limit = now - TOLERANCE;
        while self.intents.first().is_some_and(|intent| intent.at < limit) {
            self.intents.remove(0);
        }
        let place = self.commands.iter().position(|command| command.at < limit)?;
        Some(self.commands.remove(place))
    }
}

struct State {
    id: DetectorId,
    pairs: Pairs,
    law: Law,
    sums: Table<Key, Sum>,
    commands: usize,
}

archived!(State { id, pairs, law, sums, commands });

/// Who wrote what.
type Key = (Option<core::net::IpAddr>, SignalId);

/// Sums that are kept; a flood of writers beyond shares one.
const SUMS: usize = 1024;
const OTHERS: Key = (None, SignalId(u32::MAX));

impl Detector for Provenance {
    fn name(&self) -> &'static str {
        "provenance"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Provenance
    }
    fn needs(&self) -> Option<View> {
        Some(View::ControllerJournal)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut pairs = Pairs::new();
        // rounding on the wire: distance of each command to the nearest intent in time, its 99 % point
        let mut last: Table<SignalId, (Timestamp, f64)> = Table::new(1024);
        let mut distances: Table<SignalId, Vec<f64>> = Table::new(1024);
        for event in history.events() {
            match event {
                Event::Intent(intent) => {
                    let now = (intent.at, tame(intent.value.as_f64()));
                    if let Some(slot) = last.entry(intent.signal, || now) {
                        *slot = now;
                    }
                }
                Event::Command(command) if command.origin == CommandOrigin::Wire => {
                    if let Some((at, value)) = last.get(&command.signal)
                        && command.at - *at <= TOLERANCE
                        && let Some(list) = distances.entry(command.signal, Vec::new)
                    {
                        list.push((tame(command.value.as_f64()) - value).abs());
                    }
                }
                _ => {}
            }
        }
        for (signal, list) in distances.iter_mut() {
            list.sort_unstable_by(f64::total_cmp);
            // the middle, not the end: the history may hold a few writes of somebody else
            let typical = list.get(list.len() * 3 / 4).copied().unwrap_or(0.0);
            let range = context.catalogue.signal(*signal).and_then(|signal| signal.range);
            let most = range.map_or(f64::MAX, |range| 0.01 * range.span());
            pairs.slack.entry(*signal, || (3.0 * typical + 1e-9).min(most));
        }
        let slack = pairs.slack.clone();
        let (mut commands, mut lost) = (0usize, 0usize);
        for event in history.events() {
            while pairs.expire(event.at()).is_some() {
                lost += 1;
            }
            match event {
                Event::Command(command) if command.origin == CommandOrigin::Wire => {
                    commands += 1;
                    if let Some(Outcome::Unmatched(_)) = pairs.command(&command) {
                        lost += 1;
                    }
                }
                Event::Intent(intent) => drop(pairs.intent(&intent)),
                _ => {}
            }
        }
        let law = match (pairs.intents_seen, commands) {
            (0, _) | (_, 0) => Law::new(0.002),
            _ => Law::counted(lost, commands),
        };
        let intents_seen = pairs.intents_seen;
        pairs = Pairs { slack, intents_seen, ..Pairs::new() };
        Ok(Box::new(State { id: context.id, pairs, law, sums: Table::new(SUMS), commands }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let at = event.at();
        // of several that come to light at once the one with the largest sum; a write without an author before any other
        let mut told: Option<(Option<Entry>, Sum)> = None;
        let mut count = |state: &mut Self, outcome: Outcome| {
            let (unsent, sum) = state.count(outcome);
            let rank = |it: &(Option<Entry>, Sum)| (it.0.is_some(), it.1.surprise());
            if told.as_ref().is_none_or(|told| rank(&(unsent, sum)) >= rank(told)) {
                told = Some((unsent, sum));
            }
        };
        while let Some(entry) = self.pairs.expire(at) {
            count(self, Outcome::Unmatched(entry));
        }
        let outcome = match event {
            Event::Command(command) if command.origin == CommandOrigin::Wire => self.pairs.command(command),
            Event::Intent(intent) => self.pairs.intent(intent),
            _ => None,
        };
        if let Some(outcome) = outcome {
            count(self, outcome);
        }
        // without a journal there is nobody to ask
        let (unsent, sum) = told.filter(|_| self.pairs.intents_seen > 0)?;
        let surprise = sum.surprise();
        let detail = unsent.map_or(Detail::None, |entry| Detail::Unsent {
            writes: sum.hits,
            signal: entry.signal,
            value: entry.value,
            from: entry.from,
        });
        let score = Score { at, detector: self.id, symptom: Symptom::Provenance, surprise, attribution: &[] };
        Some(Observation { score, detail, onset: Some(sum.since) })
    }
    fn coverage(&self) -> Coverage {
        match (self.pairs.intents_seen, self.commands) {
            (0, _) => Coverage::Silent("nobody journals what they send"),
            (_, 0) => Coverage::Assumed,
            (_, samples) => Coverage::Calibrated { samples, excursions: 0 },
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

impl State {
    /// The write, where nobody says they sent it, and the sum that it belongs to.
    fn count(&mut self, outcome: Outcome) -> (Option<Entry>, Sum) {
        let (entry, unsent) = match outcome {
            Outcome::Matched(entry) => (entry, None),
            Outcome::Unmatched(entry) => (entry, Some(entry)),
        };
        let own = (entry.from, entry.signal);
        let room = self.sums.len() + 1 < SUMS || self.sums.get(&own).is_some();
        let Some(sum) = self.sums.entry(if room { own } else { OTHERS }, Sum::default) else {
            return (unsent, Sum::default());
        };
        if self.pairs.intents_seen > 0 {
            sum.step(&self.law, entry.at, unsent.is_some());
        }
        (unsent, *sum)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn unsent_writes_are_counted() {
        let mut fitted = testing::fit(&super::Provenance, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 2_000) < 1.0);
        plant.intruder = Some(0.2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 45) > 6.0);
    }

    #[test]
    fn lost_frames_are_no_accusation() {
        let mut plant = Plant::new(1);
        plant.lose = 0.001;
        let mut fitted = testing::fit(&super::Provenance, plant.run(20_000));
        assert!(testing::loudest(&mut *fitted, &mut plant, 20_000) < 6.0);
    }

    #[test]
    fn without_a_journal_it_is_silent() {
        let mut plant = Plant::new(1);
        plant.journal = false;
        let mut fitted = testing::fit(&super::Provenance, plant.run(3_000));
        plant.intruder = Some(0.2);
        assert_eq!(testing::loudest(&mut *fitted, &mut plant, 100), 0.0);
    }
}
