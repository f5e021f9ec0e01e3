//! What the plant's model says of a value that the history never showed.
//!
//! A range or a rate that was learnt in four weeks does not know the season after them; the model, driven by commands and measured
//! inputs, may. Where it says the same as the sensor, the learnt limit accuses nobody. What the model says is
//! what it would say had it not followed the sensor: its innovation, and what it took over from the sensor before, forgotten as
//! slowly as the bank's residuals follow (1,000 samples); so a value that is led out of its range step by step is not excused by the
//! filter that went along. Both deviations are squared and their tails learnt (Coles 2001, ch. 4); where the model was never compared with the
//! plant they are taken as much smaller as [`Regime`] says.

use twinguard_types::{Residual, SignalId, Timestamp};

use crate::{
    Archive, Error, History, Reader, Tail, Writer, archived,
    detector::{Channels, gap, tame},
    regime::Regime,
    whiten::clipped_moments,
};

/// Fewer residuals teach nothing.
const LEAST: usize = 200;
/// Samples over which what the model took over is forgotten.
const MEMORY: f64 = 1000.0;
/// Samples missed in a row that break a run.
const GAP: i64 = 5;

/// What a model says of the signals that it predicts.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    signals: Vec<SignalId>,
    channels: Vec<Channel>,
    regime: Regime,
    step_nanos: i64,
    last_at: Option<Timestamp>,
    /// Nobody listened for a while: since when somebody does again, once that is known.
    back: Option<Option<Timestamp>>,
}

archived!(Expectation { signals, channels, regime, step_nanos, last_at, back });

#[derive(Clone, Debug, Default)]
struct Channel {
    /// Mean innovation, and mean of what the model takes over.
    offset: f64,
    pace: f64,
    /// Tails of the squared innovation and of the squared sum of it and what was taken over.
    sudden: Tail,
    lasting: Tail,
    followed: f64,
    at: Option<Timestamp>,
    now: Doubt,
}

archived!(Channel { offset, pace, sudden, lasting, followed, at, now });

/// How much the model contradicts a value: surprises.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Doubt {
    /// That it came to it from one sample to the next.
    pub(crate) sudden: f64,
    /// That it is there at all.
    pub(crate) lasting: f64,
}

archived!(Doubt { sudden, lasting });

impl Channel {
    /// Deviation of the sample, and deviation from what the model would say had it not followed.
    fn step(&mut self, innovation: f64, taken: f64) -> (f64, f64) {
        let sudden = tame(innovation) - self.offset;
        let lasting = sudden + self.followed;
        self.followed = tame((1.0 - 1.0 / MEMORY) * self.followed + tame(taken) - self.pace);
        (sudden, lasting)
    }
}

impl Expectation {
    /// Learns; `None` where no model spoke, or did not say what it expected.
    pub(crate) fn fit(history: &History<'_>) -> Option<Self> {
        let told = |residual: &Residual<'_>| residual.believed.len() == residual.signals.len();
        // Once: a history holds much else.
        let residuals: Vec<Residual<'_>> = history.residuals().filter(told).collect();
        let count = residuals.len();
        if count < LEAST {
            return None;
        }
        let residuals = &residuals[(count / 100).clamp(30, 300)..];
        let mut signals: Vec<SignalId> = Vec::new();
        let (mut steps, mut last): (Vec<i64>, Option<Timestamp>) = (Vec::new(), None);
        for residual in residuals {
            for signal in residual.signals {
                if let Err(place) = signals.binary_search(signal) {
                    signals.insert(place, *signal);
                }
            }
            steps.extend(last.replace(residual.at).map(|last| (residual.at - last).as_nanos()));
        }
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(1_000_000_000);
        let n = signals.len();
        let (mut innovations, mut taken) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for residual in residuals {
            for (place, innovation, took) in entries(&signals, residual) {
                innovations[place].push(innovation);
                taken[place].push(took);
            }
        }
        let mut channels = vec![Channel::default(); n];
        let mut floors = vec![0.0; n];
        for place in 0..n {
            let deviation;
            (channels[place].offset, deviation) = clipped_moments(&innovations[place]);
            channels[place].pace = clipped_moments(&taken[place]).0;
            floors[place] = (deviation * deviation).max(1e-18);
        }
        let mut runner = channels.clone();
        let (mut sudden, mut lasting) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for residual in residuals {
            for (place, innovation, took) in entries(&signals, residual) {
                let (now, all) = runner[place].step(innovation, took);
                sudden[place].push(now * now);
                lasting[place].push(all * all);
            }
        }
        for (place, channel) in channels.iter_mut().enumerate() {
            let apart = gap(sudden[place].len());
            channel.sudden = Tail::fit(&sudden[place], apart, floors[place]);
            channel.lasting = Tail::fit(&lasting[place], apart, floors[place]);
        }
        let regime = Regime::fit(residuals.iter().copied(), &signals);
        Some(Self { signals, channels, regime, step_nanos: step, last_at: None, back: None })
    }

    /// Whether a time is so long after the model spoke last that it no longer does.
    fn is_broken(&self, last: Timestamp, now: Timestamp) -> bool {
        (now - last).as_nanos() > self.step_nanos.saturating_mul(GAP)
    }

    /// Takes what the model says of a sample.
    pub(crate) fn step(&mut self, residual: &Residual<'_>) {
        if self.last_at.is_some_and(|last| self.is_broken(last, residual.at)) {
            self.start_anew();
        }
        self.last_at = Some(residual.at);
        self.regime.step(residual, &self.signals);
        for (place, innovation, taken) in entries(&self.signals, residual) {
            let channel = &mut self.channels[place];
            let (sudden, lasting) = channel.step(innovation, taken);
            let surprise = |tail: &Tail, deviation: f64| {
                let beyond = self.regime.beyond(place, deviation);
                tail.surprise(beyond * beyond)
            };
            channel.now = Doubt {
                sudden: surprise(&channel.sudden, sudden),
                lasting: surprise(&channel.lasting, lasting),
            };
            channel.at = Some(residual.at);
        }
    }

    /// What the model says of the signal as of this residual.
    pub(crate) fn doubt(&self, signal: SignalId, at: Timestamp) -> Option<Doubt> {
        let channel = &self.channels[self.signals.binary_search(&signal).ok()?];
        (channel.at == Some(at)).then_some(channel.now)
    }

    /// Whether the model speaks of the signal these days, or is about to again: then it is asked first.
    pub(crate) fn speaks(&mut self, signal: SignalId, now: Timestamp) -> bool {
        let Ok(place) = self.signals.binary_search(&signal) else { return false };
        let back = self.back.as_mut().map(|back| *back.get_or_insert(now));
        let last = self.channels[place].at.max(back);
        last.is_some_and(|last| !self.is_broken(last, now))
    }

    /// Nobody listened for a while.
    fn missed(&mut self) {
        self.back = Some(None);
    }

    /// Another run of the model, or another model: what was taken over before says nothing of it.
    pub(crate) fn start_anew(&mut self) {
        self.regime.break_off();
        self.channels.iter_mut().for_each(|channel| channel.followed = 0.0);
    }

    /// A signal has another instrument.
    pub(crate) fn forget(&mut self, signal: SignalId) {
        if let Ok(place) = self.signals.binary_search(&signal) {
            self.channels[place].followed = 0.0;
        }
    }
}

/// A value that a learnt limit finds surprising, until the model has spoken of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    /// When it came.
    pub(crate) at: Timestamp,
    /// Of the limit alone.
    pub(crate) surprise: f64,
    pub(crate) seen: f64,
    pub(crate) expected: f64,
}

archived!(Waiting { at, surprise, seen, expected });

/// A model that is asked before a learnt limit accuses, and what waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Consulted {
    /// Whether it is asked of changes from sample to sample, rather than of values.
    of_changes: bool,
    expectation: Option<Expectation>,
    /// By signal, the most surprising value that the model has not spoken of.
    waiting: Vec<Option<Waiting>>,
}

impl Archive for Consulted {
    fn save(&self, writer: &mut Writer) {
        self.of_changes.save(writer);
        self.expectation.save(writer);
        self.waiting.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        // Before version 3 no model was asked.
        if reader.version() < 3 {
            return Ok(Self { of_changes: false, expectation: None, waiting: Vec::new() });
        }
        let of_changes = Archive::load(reader)?;
        let expectation = Option::<Expectation>::load(reader)?;
        if expectation.as_ref().is_some_and(|it| it.channels.len() != it.signals.len()) {
            return Err(reader.refuse("another number of expectations"));
        }
        Ok(Self { of_changes, expectation, waiting: Archive::load(reader)? })
    }
}

impl Consulted {
    /// The model of this history, where there is one, for a catalogue of so many signals.
    pub(crate) fn fit(history: &History<'_>, signals: usize, of_changes: bool) -> Self {
        Self { of_changes, expectation: Expectation::fit(history), waiting: vec![None; signals] }
    }

    /// Whether the model speaks of this signal; then the value waits for it.
    pub(crate) fn is_asked(&mut self, signal: SignalId, value: Waiting) -> bool {
        let speaks = self.expectation.as_mut().is_some_and(|it| it.speaks(signal, value.at));
        let Some(slot) = self.waiting.get_mut(signal.index()).filter(|_| speaks) else { return false };
        if slot.is_none_or(|held| value.surprise >= held.surprise) {
            *slot = Some(value);
        }
        true
    }

    /// The model has spoken: the most surprising of what waited for it, with the smaller of both surprises, and its place.
    pub(crate) fn judge(&mut self, residual: &Residual<'_>, channels: &Channels) -> Option<(usize, Waiting)> {
        let expectation = self.expectation.as_mut()?;
        expectation.step(residual);
        let mut most: Option<(usize, Waiting)> = None;
        for signal in residual.signals {
            let (Some(doubt), Some(slot)) =
                (expectation.doubt(*signal, residual.at), self.waiting.get_mut(signal.index()))
            else {
                continue;
            };
            // A change that came after this sample is of the next one; a value that lasts, lasts.
            let of_next = |it: &Waiting| (it.at - residual.at).as_nanos() >= expectation.step_nanos;
            let mut it = slot.take_if(|it| !(self.of_changes && of_next(it))).unwrap_or_default();
            let doubted = if self.of_changes { doubt.sudden } else { doubt.lasting };
            it.surprise = it.surprise.min((doubted - channels.price()).max(0.0));
            if most.is_none_or(|(_, before)| it.surprise > before.surprise) {
                most = Some((signal.index(), it));
            }
        }
        most
    }

    /// Nobody listened for a while: what comes now waits until the model has caught up.
    pub(crate) fn missed(&mut self) {
        self.expectation.iter_mut().for_each(Expectation::missed);
    }

    /// Another run of the model, or another model.
    pub(crate) fn start_anew(&mut self) {
        self.expectation.iter_mut().for_each(Expectation::start_anew);
    }

    /// A signal has another instrument.
    pub(crate) fn forget(&mut self, signal: SignalId) {
        if let Some(slot) = self.waiting.get_mut(signal.index()) {
            *slot = None;
        }
        self.expectation.iter_mut().for_each(|it| it.forget(signal));
    }
}

/// Per known signal of a residual: its place, the innovation, and what the model took over of it.
fn entries<'a>(
    signals: &'a [SignalId],
    residual: &'a Residual<'_>,
) -> impl Iterator<Item = (usize, f64, f64)> + 'a {
    let told = residual.expected.iter().zip(residual.believed);
    residual.signals.iter().zip(residual.innovation).zip(told).filter_map(
        |((signal, innovation), (expected, believed))| {
            let place = signals.binary_search(signal).ok()?;
            innovation.is_finite().then_some((place, *innovation, believed - expected))
        },
    )
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Event, Point, Source, Value};

    use super::*;
    use crate::Recording;
    use crate::detectors::{Range, Rate};
    use crate::testing;

    /// A pump that stands still for two thousand minutes, and a model that follows its sensor by a tenth of what it is off.
    #[derive(Clone)]
    struct Pump {
        minute: i64,
        believed: f64,
    }

    impl Pump {
        fn step(&mut self, shown: f64, commanded: Option<f64>, mut sink: impl FnMut(&Event<'_>)) {
            self.minute += 1;
            let at = Timestamp::from_secs(60 * self.minute);
            let noise = 0.01 * libm::sin(1.7 * self.minute as f64) + 0.004 * (self.minute % 7 - 3) as f64;
            let value = shown + noise;
            sink(&Event::Point(Point::new(SignalId(0), Value::real(value).unwrap(), Source::Field, at)));
            let expected = commanded.unwrap_or(self.believed);
            self.believed = expected + 0.1 * (value - expected);
            sink(&Event::Residual(Residual {
                at,
                signals: &[SignalId(0)],
                innovation: &[value - expected],
                expected: &[expected],
                believed: &[self.believed],
                factor: &[],
                nis: 0.0,
                dof: 1,
                log_likelihood: 0.0,
            }));
        }
    }

    /// The most that range and rate say of what is shown from then on.
    fn surprises(shown: impl Fn(i64) -> f64, commanded: impl Fn(i64) -> Option<f64>) -> [f64; 2] {
        let (mut recording, mut pump) = (Recording::new(), Pump { minute: 0, believed: 0.0 });
        (0..2_000).for_each(|_| pump.step(0.0, None, |event| recording.push(event)));
        [testing::fit(&Range, recording.clone()), testing::fit(&Rate, recording)].map(|mut fitted| {
            let (mut most, mut pump) = (0.0_f64, pump.clone());
            for minute in 0..600 {
                pump.step(shown(minute), commanded(minute), |event| {
                    let seen = fitted.observe(event);
                    most = most.max(seen.map_or(0.0, |seen| seen.score.surprise));
                });
            }
            most
        })
    }

    #[test]
    fn a_pump_that_never_ran_may_start_when_it_is_told_to_and_not_otherwise() {
        let on = |minute: i64| if minute < 20 { 0.0 } else { 1.0 };
        // its command reaches it within the minute, or half of it in the next
        let told = |minute: i64| Some(if minute == 20 { 0.6 } else { on(minute) });
        let [range, rate] = surprises(on, told);
        assert!(range < 4.0 && rate < 4.0, "{range} {rate}");
        let [range, rate] = surprises(on, |_| Some(0.0));
        assert!(range > 6.0 && rate > 6.0, "{range} {rate}");
    }

    #[test]
    fn what_the_filter_follows_step_by_step_is_no_excuse() {
        let [range, _] = surprises(|minute| 0.002 * minute as f64, |_| None);
        assert!(range > 6.0, "{range}");
    }
}
