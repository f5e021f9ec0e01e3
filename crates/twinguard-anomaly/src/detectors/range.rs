//! Values outside what the plant declares or what its history shows.
//!
//! Source: the physical limits of the plant description; learnt limits by peaks over threshold on both sides (Coles 2001,
//! ch. 4), with excursions ten minutes apart counted once. A declared range that the history itself breaks by more
//! than 2 % of its span is not used. Where the plant's model predicts a signal, it is asked before a learnt limit accuses: the
//! surprise is the smaller of the limit's and of the model's ([`Expectation`](crate::expectation)). Of a signal that nobody predicts it lies when the
//! plant enters a regime that its history lacks: hence the wide tail.

use twinguard_types::{Event, Quality, Residual, Role, SignalId, Source, Symptom};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{Channels, tame},
    expectation::{Consulted, Waiting},
};

/// Surprise of a value that the declared range excludes.
const IMPOSSIBLE: f64 = 12.0;

/// Range check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range;

#[derive(Clone, Copy, Debug)]
struct Bounds {
    declared: Option<(f64, f64)>,
    low: f64,
    high: f64,
    unit: f64,
}

archived!(Bounds { declared, low, high, unit });

impl Bounds {
    fn statistic(&self, value: f64) -> f64 {
        ((value - self.high).max(self.low - value) / self.unit).max(-1.0)
    }
}

struct State {
    channels: Channels,
    bounds: Vec<Bounds>,
    learnt: bool,
    model: Consulted,
}

archived!(State { channels, bounds, learnt, model });

impl Detector for Range {
    fn name(&self) -> &'static str {
        "range"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Range
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let n = context.catalogue.len();
        let mut samples = vec![Vec::new(); n];
        for event in history.events() {
            if let Event::Point(point) = event
                && point.source == Source::Field
                && point.quality.is_usable()
                && let Some(samples) = samples.get_mut(point.signal.index())
            {
                samples.push(tame(point.value.as_f64()));
            }
        }
        let (mut signals, mut tails, mut bounds, mut learnt) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (signal, info) in context.catalogue.iter() {
            let values = &mut samples[signal.index()];
            let mut bound = Bounds { declared: None, low: 0.0, high: 0.0, unit: 1.0 };
            let mut tail = Tail::default();
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            if values.len() >= 1_000 {
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                (low, high) = (sorted[0], sorted[sorted.len() - 1]);
                let cut = sorted.len() / 100;
                bound.low = sorted[cut];
                bound.high = sorted[sorted.len() - 1 - cut];
                bound.unit = (bound.high - bound.low).max(1e-9 + 0.02 * bound.high.abs());
                // a set-point or a command may move anywhere within its declared range
                if info.role == Role::Measurement {
                    values.iter_mut().for_each(|value| *value = bound.statistic(*value));
                    tail = Tail::fit(values, 600, 0.25);
                    learnt = true;
                }
            }
            if let Some(range) = info.range {
                let slack = 0.02 * range.span();
                let (from, to) = (range.min() - slack, range.max() + slack);
                if values.is_empty() || (low >= from && high <= to) || low > high {
                    bound.declared = Some((from, to));
                }
            }
            signals.push(signal);
            tails.push(tail);
            bounds.push(bound);
        }
        Ok(Box::new(State {
            channels: Channels::new(context, signals, tails),
            bounds,
            learnt,
            model: Consulted::fit(history, n, false),
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let point = match event {
            Event::Residual(residual) => return self.unsettled(residual),
            Event::Point(point) => point,
            _ => return None,
        };
        if point.source != Source::Field || matches!(point.quality, Quality::Bad | Quality::Substituted) {
            return None;
        }
        let place = point.signal.index();
        let bounds = self.bounds.get(place)?;
        let value = tame(point.value.as_f64());
        let outside = bounds.declared.filter(|(low, high)| value < *low || value > *high);
        let (surprise, expected) = match outside {
            Some((low, high)) => {
                let slack = 0.02 / 1.04 * (high - low);
                (Some(IMPOSSIBLE), value.clamp(low + slack, high - slack))
            }
            None => (None, value.clamp(bounds.low, bounds.high.max(bounds.low))),
        };
        let statistic = bounds.statistic(value);
        let at = point.arrived_at;
        let score = match surprise {
            Some(surprise) => self.channels.fixed(at, Symptom::Range, place, surprise),
            None => self.channels.single(at, Symptom::Range, place, statistic),
        };
        let waiting = Waiting { at, surprise: score.surprise, seen: value, expected };
        if surprise.is_none() && self.model.is_asked(point.signal, waiting) {
            return None;
        }
        let detail = Detail::Level { signal: point.signal, seen: value, expected };
        Some(Observation { score, detail, onset: None })
    }
    fn unsettled(&mut self, residual: &Residual<'_>) -> Option<Observation<'_>> {
        let (place, it) = self.model.judge(residual, &self.channels)?;
        let signal = *self.channels.signals.get(place)?;
        let score = self.channels.fixed(residual.at, Symptom::Range, place, it.surprise);
        let detail = Detail::Level { signal, seen: it.seen, expected: it.expected };
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
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
        } else if self.bounds.iter().any(|bounds| bounds.declared.is_some()) {
            Coverage::Assumed
        } else {
            Coverage::Silent("no declared range and no history")
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
    fn declared_limits_hold_without_history() {
        let mut fitted = testing::fit(&super::Range, Plant::new(1).run(0));
        let mut plant = Plant::new(2);
        assert_eq!(testing::loudest(&mut *fitted, &mut plant, 1_000), 0.0);
        plant.bias[0] = 500.0;
        assert_eq!(testing::loudest(&mut *fitted, &mut plant, 3), 12.0);
    }

    #[test]
    fn learnt_limits_let_a_load_change_pass() {
        let mut fitted = testing::fit(&super::Range, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.0);
    }
}
