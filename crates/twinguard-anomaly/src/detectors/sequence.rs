//! Commands in an order that the plant's habits make improbable: who writes what, after what.
//!
//! Source: prediction by partial matching (Cleary, Witten, IEEE Trans. Communications 32, 1984) with escape method C (Moffat, IEEE Trans.
//! Communications 38, 1990), contexts of the last two, the last one and no command; a symbol is writer, signal and the third of the signal's
//! learnt span that the value lies in. The code length of each command is asked of the learnt tail of code lengths: alone, and as the mean
//! of about eight. Code lengths of the history are those of its second half by what came before them. `novelty` sees what never was; this sees
//! what is in the wrong place, or comes too often. Cost: six binary searches a command. Histories with fewer than 200 commands say nothing. It
//! lies where the operators have no habits.

use core::net::IpAddr;

use twinguard_types::{Command, CommandOrigin, Event, PrincipalId, SignalId, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{Channels, tame},
    table::Table,
};

const FEWEST: usize = 200;
const MOST_SYMBOLS: usize = 1024;
const MOST_CONTEXTS: usize = 8192;
const MOST_SIGNALS: usize = 1024;
const WEIGHT: f64 = 0.125;
/// A context that is not there.
const NOTHING: u16 = u16::MAX;

/// Order of commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence;

type Symbol = (Option<IpAddr>, PrincipalId, (SignalId, u8));
/// The last two symbols, the older first.
type Past = (u16, u16);

/// Counts of what followed.
#[derive(Clone, Debug)]
struct Grammar {
    symbols: Table<Symbol, u16>,
    spans: Table<SignalId, (f64, f64)>,
    /// By context: how often it was seen, and how many kinds followed.
    contexts: Table<(u8, Past), (u32, u32)>,
    followed: Table<((u8, Past), u16), u32>,
    past: Past,
}

archived!(Grammar { symbols, spans, contexts, followed, past });

impl Grammar {
    fn new() -> Self {
        Self {
            symbols: Table::new(MOST_SYMBOLS),
            spans: Table::new(MOST_SIGNALS),
            contexts: Table::new(MOST_CONTEXTS),
            followed: Table::new(MOST_CONTEXTS),
            past: (NOTHING, NOTHING),
        }
    }

    fn symbol(&self, command: &Command) -> Symbol {
        let value = tame(command.value.as_f64());
        let third = self.spans.get(&command.signal).map_or(0, |(low, high)| {
            let share = (value - low) / (high - low).max(1e-9);
            if share < 1.0 / 3.0 {
                0
            } else if share < 2.0 / 3.0 {
                1
            } else {
                2
            }
        });
        (command.from.map(|from| from.ip()), command.principal, (command.signal, third))
    }

    /// Contexts from the longest to none; one that reaches before the first command is no context.
    fn pasts(&self) -> [Option<(u8, Past)>; 3] {
        let (older, last) = self.past;
        let known = |symbol: u16| symbol != NOTHING;
        [
            (known(older) && known(last)).then_some((2, (older, last))),
            known(last).then_some((1, (NOTHING, last))),
            Some((0, (NOTHING, NOTHING))),
        ]
    }

    /// −log₁₀ of the probability of this symbol here.
    fn length(&self, symbol: Option<u16>) -> f64 {
        let mut p = 1.0;
        for past in self.pasts().into_iter().flatten() {
            let Some((seen, kinds)) = self.contexts.get(&past) else { continue };
            let total = f64::from(*seen) + f64::from(*kinds);
            match symbol.and_then(|symbol| self.followed.get(&(past, symbol))) {
                Some(count) => return -libm::log10(p * f64::from(*count) / total),
                None => p *= f64::from(*kinds) / total,
            }
        }
        // anything at all
        -libm::log10(p / (self.symbols.len() as f64 + 1.0))
    }

    fn step(&mut self, command: &Command, learn: bool) -> f64 {
        let key = self.symbol(command);
        let mut symbol = self.symbols.get(&key).copied();
        let length = self.length(symbol);
        if learn {
            let next = self.symbols.len() as u16;
            symbol = self.symbols.entry(key, || next).copied();
            for past in self.pasts().into_iter().flatten() {
                let Some(symbol) = symbol else { break };
                let Some((seen, kinds)) = self.contexts.entry(past, || (0, 0)) else { continue };
                *seen = seen.saturating_add(1);
                let Some(count) = self.followed.entry((past, symbol), || 0) else { continue };
                *kinds = kinds.saturating_add(u32::from(*count == 0));
                *count = count.saturating_add(1);
            }
        }
        self.past = (self.past.1, symbol.unwrap_or(NOTHING));
        length
    }
}

struct State {
    channels: Channels,
    places: Table<SignalId, usize>,
    grammar: Grammar,
    alone: Tail,
    together: Tail,
    mean: f64,
    start: f64,
    commands: usize,
}

archived!(State { channels, places, grammar, alone, together, mean, start, commands });

fn wire<'a>(event: &'a Event<'_>) -> Option<&'a Command> {
    match event {
        Event::Command(command) if command.origin == CommandOrigin::Wire => Some(command),
        _ => None,
    }
}

impl Detector for Sequence {
    fn name(&self) -> &'static str {
        "sequence"
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
        let mut grammar = Grammar::new();
        let mut commands = 0;
        for event in history.events() {
            let Some(command) = wire(&event) else { continue };
            commands += 1;
            let value = tame(command.value.as_f64());
            if let Some((low, high)) = grammar.spans.entry(command.signal, || (value, value)) {
                (*low, *high) = (low.min(value), high.max(value));
            }
        }
        let mut lengths = Vec::with_capacity(commands);
        for event in history.events() {
            let Some(command) = wire(&event) else { continue };
            lengths.push(grammar.step(command, true));
        }
        grammar.past = (NOTHING, NOTHING);
        let later = &lengths[lengths.len() / 2..];
        let start = later.iter().sum::<f64>() / later.len().max(1) as f64;
        let mut mean = start;
        let path: Vec<f64> = later
            .iter()
            .map(|length| {
                mean += WEIGHT * (length - mean);
                mean
            })
            .collect();
        let mut places = Table::new(MOST_SIGNALS);
        let signals: Vec<SignalId> = grammar.spans.iter().map(|(signal, _)| *signal).collect();
        for (place, signal) in signals.iter().enumerate() {
            places.entry(*signal, || place);
        }
        // a code length is a surprise: its tail is not lighter than a factor of ten in probability for one of ten
        let (alone, together) = (Tail::fit(later, 1, 0.43), Tail::fit(&path, 8, 0.1));
        let channels = Channels::new(context, signals, Vec::new());
        Ok(Box::new(State { channels, places, grammar, alone, together, mean: start, start, commands }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let most = state.channels.signals.len();
        if state.places.iter().all(|(_, place)| *place < most) {
            Ok(Box::new(state))
        } else {
            Err(reader.refuse("a grammar of other signals"))
        }
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let command = wire(event)?;
        if self.commands < FEWEST {
            return None;
        }
        let length = self.grammar.step(command, false);
        self.mean += WEIGHT * (length - self.mean);
        // two looks at one command
        let two = core::f64::consts::LOG10_2;
        let surprise =
            (self.alone.surprise(length).max(self.together.surprise(self.mean)) - two).clamp(0.0, 16.0);
        let (at, value): (Timestamp, f64) = (command.at, tame(command.value.as_f64()));
        // who writes what never was written is the matter of `novelty`
        let place = *self.places.get(&command.signal)?;
        let score = self.channels.fixed(at, Symptom::Novelty, place, surprise);
        Some(Observation { score, detail: Detail::NewCommand { signal: command.signal, value }, onset: None })
    }
    fn forget(&mut self, _signal: SignalId) {
        self.mean = self.start;
    }
    fn coverage(&self) -> Coverage {
        if self.commands >= FEWEST {
            Coverage::Calibrated { samples: self.commands / 2, excursions: self.alone.excursions() }
        } else {
            Coverage::Silent("fewer than 200 commands in the history")
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Catalogue, CommandId, DetectorId, Value};

    use super::*;
    use crate::Recording;

    fn command(k: i64, signal: u32, value: f64) -> Event<'static> {
        Event::Command(Command {
            id: CommandId(k as u64),
            principal: PrincipalId(1),
            signal: SignalId(signal),
            value: Value::real(value).unwrap(),
            at: Timestamp::from_secs(10 * k),
            origin: CommandOrigin::Wire,
            from: None,
        })
    }

    /// Open the inlet, start the pump, open the outlet, with now and then another speed of the pump; then back.
    fn round(k: i64) -> [(u32, f64); 6] {
        let speed = if k % 7 == 0 { 0.5 } else { 1.0 };
        [(0, 1.0), (1, speed), (2, 1.0), (2, 0.0), (1, 0.0), (0, 0.0)]
    }

    fn fitted() -> Box<dyn Fitted> {
        let mut recording = Recording::new();
        for k in 0..300 {
            for (place, (signal, value)) in round(k).into_iter().enumerate() {
                recording.push(&command(6 * k + place as i64, signal, value));
            }
        }
        let catalogue = Catalogue::new();
        Sequence
            .fit(&recording.history(), &Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 })
            .unwrap()
    }

    fn loudest(state: &mut dyn Fitted, list: &[(u32, f64)]) -> f64 {
        let events =
            list.iter().enumerate().map(|(k, (signal, value))| command(10_000 + k as i64, *signal, *value));
        events.filter_map(|event| state.observe(&event).map(|seen| seen.score.surprise)).fold(0.0, f64::max)
    }

    #[test]
    fn the_code_length_is_that_of_method_c() {
        let mut grammar = Grammar::new();
        let symbols: Vec<Event<'_>> =
            [0, 1, 0, 1, 0].iter().enumerate().map(|(k, s)| command(k as i64, *s, 0.0)).collect();
        symbols.iter().filter_map(wire).for_each(|command| {
            grammar.step(command, true);
        });
        // the context 1 0 was followed once, by 1: one of one, with one kind, is ½
        let next = command(9, 1, 0.0);
        let key = grammar.symbol(wire(&next).unwrap());
        let symbol = grammar.symbols.get(&key).copied();
        assert!((grammar.length(symbol) + 0.5_f64.log10()).abs() < 1e-12);
        // a stranger escapes from all: ½ (1 0), 1/3 (0: two of one kind), 2/7 (none: five of two kinds), one of three
        let want = -(0.5 * (1.0 / 3.0) * (2.0 / 7.0) / 3.0_f64).log10();
        assert!((grammar.length(None) - want).abs() < 1e-12, "{} {want}", grammar.length(None));
    }

    #[test]
    fn the_usual_order_is_quiet_and_a_wrong_one_is_not() {
        let mut state = fitted();
        let usual: Vec<_> = (301..320).flat_map(round).collect();
        assert!(loudest(&mut *state, &usual) < 3.0);
        // everything known, nothing in its place: the pump is started against closed valves, again and again
        let wrong: Vec<_> = (0..6).flat_map(|_| [(1, 1.0), (1, 0.0)]).collect();
        let got = loudest(&mut *state, &wrong);
        assert!(got > 5.0, "{got}");
    }

    #[test]
    fn few_commands_say_nothing() {
        let mut recording = Recording::new();
        (0..100).for_each(|k| recording.push(&command(k, 0, 1.0)));
        let catalogue = Catalogue::new();
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut state = Sequence.fit(&recording.history(), &context).unwrap();
        assert!(state.observe(&command(500, 0, 1.0)).is_none());
        assert!(matches!(state.coverage(), Coverage::Silent(_)));
    }
}
