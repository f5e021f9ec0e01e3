//! Values that change faster than they can.
//!
//! Source: the plant description's rate limits (allowing eight deviations of noise), and peaks over threshold on the change
//! between successive samples (Coles 2001, ch. 4). A declared rate that the history breaks is not used. Only
//! measurements: a command may jump. Where the plant's model predicts a signal, it is asked before a learnt limit accuses: the
//! surprise is the smaller of the limit's and of the model's ([`Expectation`](crate::expectation)). Of a signal that nobody predicts it lies where that
//! legitimately steps less than once in the history.

use twinguard_types::{Event, Residual, Role, SignalId, Source, Symptom, Timestamp};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{ACCURACY, Channels, tame},
    expectation::{Consulted, Waiting},
};

/// Surprise of a change that the declared rate excludes.
const IMPOSSIBLE: f64 = 12.0;

/// Rate-of-change check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate;

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    declared: Option<f64>,
    noise: f64,
    usual_nanos: i64,
    last: Option<(Timestamp, f64)>,
}

archived!(Channel { declared, noise, usual_nanos, last });

impl Channel {
    /// Change, and its ratio to what the declared rate allows.
    fn step(&mut self, at: Timestamp, value: f64) -> Option<(f64, f64, f64)> {
        let (before_at, before) = self.last.replace((at, value))?;
        let nanos = (at - before_at).as_nanos();
        if nanos <= 0 || nanos > self.usual_nanos.saturating_mul(4) {
            return None;
        }
        let change = (value - before).abs();
        let allowed = self.declared.map(|rate| rate * nanos as f64 / 1e9 + self.noise);
        Some((change, allowed.map_or(0.0, |allowed| change / allowed.max(1e-12)), before))
    }
}

struct State {
    channels: Channels,
    state: Vec<Channel>,
    learnt: bool,
    model: Consulted,
}

archived!(State { channels, state, learnt, model });

fn field(event: &Event<'_>) -> Option<(SignalId, Timestamp, f64)> {
    match event {
        Event::Point(point) if point.source == Source::Field && point.quality.is_usable() => {
            Some((point.signal, point.arrived_at, tame(point.value.as_f64())))
        }
        _ => None,
    }
}

impl Detector for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Rate
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let n = context.catalogue.len();
        let mut intervals: Vec<Vec<i64>> = vec![Vec::new(); n];
        let mut last: Vec<Option<Timestamp>> = vec![None; n];
        for (signal, at, _) in history.events().filter_map(|event| field(&event)) {
            if let Some(slot) = last.get_mut(signal.index())
                && let Some(before) = slot.replace(at)
            {
                intervals[signal.index()].push((at - before).as_nanos());
            }
        }
        let mut state = vec![Channel::default(); n];
        for (signal, info) in context.catalogue.iter() {
            let place = signal.index();
            intervals[place].sort_unstable();
            let usual = intervals[place].get(intervals[place].len() / 2).copied().unwrap_or(5_000_000_000);
            let sigma = info.sigma.or_else(|| info.range.map(|range| 0.01 * range.span())).unwrap_or(0.0);
            let declared = if info.role == Role::Measurement { info.rate } else { None };
            state[place] = Channel { declared, noise: 8.0 * sigma, usual_nanos: usual, last: None };
        }
        let mut samples = vec![Vec::new(); n];
        let (mut broken, mut levels) = (vec![false; n], vec![0.0; n]);
        let mut runner = state.clone();
        for (signal, at, value) in history.events().filter_map(|event| field(&event)) {
            let Some(channel) = runner.get_mut(signal.index()) else { continue };
            if let Some((change, ratio, _)) = channel.step(at, value) {
                samples[signal.index()].push(change * change);
                levels[signal.index()] += value.abs();
                broken[signal.index()] |= ratio > 1.0;
            }
        }
        let (mut signals, mut tails, mut learnt) = (Vec::new(), Vec::new(), false);
        for (signal, info) in context.catalogue.iter() {
            let place = signal.index();
            if broken[place] {
                state[place].declared = None;
            }
            let values = &samples[place];
            let moves = values.iter().filter(|change| **change > 0.0).count();
            let mut tail = Tail::default();
            if info.role == Role::Measurement && values.len() >= 1_000 && moves * 10 >= values.len() {
                let typical = values.iter().sum::<f64>() / values.len() as f64;
                let exact = ACCURACY * levels[place] / values.len() as f64;
                tail = Tail::fit(values, 30, (0.5 * typical).max(exact * exact));
                learnt = true;
            }
            signals.push(signal);
            tails.push(tail);
        }
        Ok(Box::new(State {
            channels: Channels::new(context, signals, tails),
            state,
            learnt,
            model: Consulted::fit(history, n, true),
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        if let Event::Residual(residual) = event {
            return self.unsettled(residual);
        }
        let (signal, at, value) = field(event)?;
        let place = signal.index();
        let (change, ratio, before) = self.state.get_mut(place)?.step(at, value)?;
        let score = if ratio > 1.0 {
            self.channels.fixed(at, Symptom::Rate, place, IMPOSSIBLE)
        } else {
            self.channels.single(at, Symptom::Rate, place, change * change)
        };
        let waiting = Waiting { at, surprise: score.surprise, seen: value, expected: before };
        if ratio <= 1.0 && self.model.is_asked(signal, waiting) {
            return None;
        }
        let detail = Detail::Level { signal, seen: value, expected: before };
        Some(Observation { score, detail, onset: None })
    }
    fn unsettled(&mut self, residual: &Residual<'_>) -> Option<Observation<'_>> {
        let (place, it) = self.model.judge(residual, &self.channels)?;
        let signal = *self.channels.signals.get(place)?;
        let score = self.channels.fixed(residual.at, Symptom::Rate, place, it.surprise);
        let detail = Detail::Level { signal, seen: it.seen, expected: it.expected };
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        if let Some(channel) = self.state.get_mut(signal.index()) {
            channel.last = None;
        }
        self.model.forget(signal);
    }
    fn missed(&mut self) {
        self.model.missed();
    }
    fn remodelled(&mut self) {
        self.model.start_anew();
    }
    fn coverage(&self) -> Coverage {
        if self.learnt {
            self.channels.coverage("no values in the history")
        } else if self.state.iter().any(|channel| channel.declared.is_some()) {
            Coverage::Assumed
        } else {
            Coverage::Silent("no declared rate and no history")
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
    fn a_jump_is_surprising_once_noise_never() {
        let mut fitted = testing::fit(&super::Rate, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.bias[0] = 6.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 3) > 7.0);
    }
}
