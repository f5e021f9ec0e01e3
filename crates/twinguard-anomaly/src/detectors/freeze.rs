//! Values that stand still although they should not.
//!
//! Source: run-length test of a stuck sensor (the "constant" rule of Sharma, Golubchik, Govindan,
//! ACM Transactions on Sensor Networks 6, 2010); the length that is normal for each signal is learnt as a tail of its own run lengths, so
//! coarse and slow signals are given more time. It waits until a signal has shown as many decimals as its history has: values that come
//! rounded stand still for no reason. A signal with fewer than 100 runs in its history says nothing.

use twinguard_types::{Event, SignalId, Source, Symptom, Timestamp};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{Channels, decimals},
};

/// Fewer equal samples are never a freeze.
const LEAST_RUN: u32 = 6;

/// Stuck-value check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Freeze;

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    value: f64,
    length: u32,
    since: Timestamp,
}

archived!(Run { value, length, since });

impl Run {
    /// The length of the run that ended here, if one did.
    fn step(&mut self, at: Timestamp, value: f64) -> Option<u32> {
        if self.length > 0 && value == self.value {
            self.length = self.length.saturating_add(1);
            return None;
        }
        let ended = (self.length > 0).then_some(self.length);
        *self = Self { value, length: 1, since: at };
        ended
    }
}

struct State {
    channels: Channels,
    runs: Vec<Run>,
    /// Decimals of each signal: in the history, and since.
    learnt: Vec<u8>,
    shown: Vec<u8>,
}

archived!(State { channels, runs, learnt, shown });

impl Detector for Freeze {
    fn name(&self) -> &'static str {
        "freeze"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Freeze
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let n = context.catalogue.len();
        let mut runs = vec![Run::default(); n];
        let mut samples = vec![Vec::new(); n];
        let mut learnt = vec![0; n];
        for event in history.events() {
            if let Event::Point(point) = event
                && point.source == Source::Field
                && point.quality.is_usable()
                && let Some(run) = runs.get_mut(point.signal.index())
                && let Some(length) = run.step(point.arrived_at, point.value.as_f64())
            {
                let place = point.signal.index();
                learnt[place] = decimals(point.value.as_f64()).max(learnt[place]);
                samples[point.signal.index()].push(f64::from(length));
            }
        }
        let tails = samples
            .iter()
            .map(|lengths| if lengths.len() < 100 { Tail::default() } else { Tail::fit(lengths, 1, 0.5) });
        let tails = tails.collect();
        let signals = context.catalogue.iter().map(|(signal, _)| signal).collect();
        Ok(Box::new(State {
            channels: Channels::new(context, signals, tails),
            runs: vec![Run::default(); n],
            learnt,
            shown: vec![0; n],
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Point(point) = event else { return None };
        if point.source != Source::Field || !point.quality.is_usable() {
            return None;
        }
        let place = point.signal.index();
        let run = self.runs.get_mut(place)?;
        run.step(point.arrived_at, point.value.as_f64());
        let (length, since) = (run.length, run.since);
        let shown = self.shown.get_mut(place)?;
        if length == 1 && *shown < self.learnt[place] {
            *shown = decimals(point.value.as_f64()).max(*shown);
        }
        let rounded = *shown < self.learnt[place];
        let counted = if length < LEAST_RUN || rounded { 0.0 } else { f64::from(length) };
        let score = self.channels.single(point.arrived_at, Symptom::Freeze, place, counted);
        let detail = Detail::Frozen { signal: point.signal, samples: length };
        Some(Observation { score, detail, onset: Some(since) })
    }
    fn forget(&mut self, signal: SignalId) {
        if let Some(run) = self.runs.get_mut(signal.index()) {
            *run = Run::default();
        }
    }
    fn coverage(&self) -> Coverage {
        self.channels.coverage("no signal moved often enough in the history")
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn a_frozen_value_is_found_and_a_normal_run_is_not() {
        let mut fitted = testing::fit(&super::Freeze, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.freeze(1);
        assert!(testing::loudest(&mut *fitted, &mut plant, 25) > 7.0);
    }
}
