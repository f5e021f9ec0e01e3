//! The vendor's twin shows something else than the field says.
//!
//! Source: moving mean (Roberts 1959, λ = 0.1) of vendor minus field per signal, offset learnt and slowly followed (a
//! vendor re-tunes its twin), tail learnt; and the length for which the
//! shown value stands still while it is wrong, against the longest normal run (learnt). The field value must be fresh. It lies
//! when field and vendor are fed by the same poisoned source: then only the model disagrees.

use twinguard_types::{Duration, Event, Point, SignalId, Source, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{Channels, gap, tame},
    whiten::clipped_moments,
};

const WEIGHT: f64 = 0.1;
/// Samples over which the normal offset is followed, how far from the learnt one (in deviations), and the first ones of a
/// watch, which only tare.
const DRIFT: f64 = 1000.0;
const DRIFT_MOST: f64 = 3.0;
const TARE: u32 = 60;
/// Oldest field value that is compared, where the history does not show that they are younger.
const FRESH: Duration = Duration::from_secs(30);
/// Up to so many deviations of the moving mean the shown value is right.
const RIGHT: f64 = 1.0;
/// From so many deviations on the field leans away from the model: less than an alarm, for the vendor's twin points there already.
const LEANS: f64 = 3.0;

/// Vendor against field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vendor;

#[derive(Clone, Debug)]
struct Pair {
    field: Option<(Timestamp, f64)>,
    fresh: Duration,
    oldest: Duration,
    offset: f64,
    scale: f64,
    mean: f64,
    drift: f64,
    compared: u32,
    shown: f64,
    still: u32,
    moved: u32,
    stillness: Tail,
    off: bool,
    /// The moving mean with a tenth of the pace, and whether it was at half of the faster one when that went off.
    slow: f64,
    slowly: bool,
    model: Lean,
    /// Whether the field left the model, too, while it was off.
    leant: bool,
}

/// How far the field leans away from the model: a moving mean of innovations, by its learnt mean and deviation.
#[derive(Clone, Debug, Default)]
struct Lean {
    mean: f64,
    normal: f64,
    deviation: f64,
}

archived!(Lean { mean, normal, deviation });

impl Lean {
    fn step(&mut self, innovation: f64) -> f64 {
        self.mean += WEIGHT * (tame(innovation) - self.mean);
        self.mean
    }

    /// In deviations, 0 where no model was learnt.
    fn size(&self) -> f64 {
        if self.deviation > 0.0 { (self.mean - self.normal) / self.deviation } else { 0.0 }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            field: None,
            fresh: FRESH,
            oldest: Duration::ZERO,
            offset: 0.0,
            scale: 0.0,
            mean: 0.0,
            drift: 0.0,
            compared: 0,
            shown: 0.0,
            still: 0,
            moved: 0,
            stillness: Tail::default(),
            off: false,
            slow: 0.0,
            slowly: false,
            model: Lean::default(),
            leant: false,
        }
    }
}

archived!(Pair {
    field,
    fresh,
    oldest,
    offset,
    scale,
    mean,
    drift,
    compared,
    shown,
    still,
    moved,
    stillness,
    off,
    slow,
    slowly,
    model,
    leant
});

impl Pair {
    /// Takes a point; the raw difference when it is the vendor's.
    fn step(&mut self, point: &Point) -> Option<f64> {
        let value = tame(point.value.as_f64());
        if !point.quality.is_usable() {
            return None;
        }
        match point.source {
            Source::Field => {
                if self.field.is_some_and(|(_, before)| before != value) {
                    self.moved = self.moved.saturating_add(1);
                }
                self.field = Some((point.arrived_at, value));
                None
            }
            Source::Vendor => {
                if value == self.shown {
                    self.still = self.still.saturating_add(1);
                } else {
                    (self.shown, self.still, self.moved) = (value, 0, 0);
                }
                let (at, field) = self.field?;
                let age = point.arrived_at - at;
                self.oldest = self.oldest.max(age);
                (age <= self.fresh).then_some(value - field)
            }
            Source::Model => None,
        }
    }

    /// Takes a difference into the moving mean; its square once the offset is tared.
    fn weigh(&mut self, difference: f64) -> f64 {
        self.compared = self.compared.saturating_add(1);
        let z = ((difference - self.offset) / self.scale).clamp(-1e4, 1e4) - self.drift;
        let pace = (1.0 / f64::from(self.compared)).max(1.0 / DRIFT);
        self.drift = (self.drift + pace * z.clamp(-DRIFT_MOST, DRIFT_MOST)).clamp(-DRIFT_MOST, DRIFT_MOST);
        if self.compared <= TARE {
            return 0.0;
        }
        self.mean += WEIGHT * (z - self.mean);
        self.slow += 0.1 * WEIGHT * (z - self.slow);
        // squared: the square of a Gaussian has the exponential tail that is extrapolated
        self.mean * self.mean
    }

    /// Changes of the field since the shown value last changed: the clock of stillness.
    fn stillness(&self) -> f64 {
        f64::from(self.moved.min(self.still))
    }
}

struct State {
    channels: Channels,
    pairs: Vec<Pair>,
    price: f64,
    compared: u32,
}

archived!(State { channels, pairs, price, compared });

impl Detector for Vendor {
    fn name(&self) -> &'static str {
        "vendor"
    }
    fn symptom(&self) -> Symptom {
        Symptom::VendorOffset
    }
    fn needs(&self) -> Option<View> {
        Some(View::VendorTwin)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let n = context.catalogue.len();
        let mut pairs = vec![Pair::default(); n];
        let mut differences = vec![Vec::new(); n];
        let mut still = vec![Vec::new(); n];
        let mut leans = vec![Vec::new(); n];
        for event in history.events() {
            if let Event::Residual(residual) = &event {
                for (signal, innovation) in residual.signals.iter().zip(residual.innovation) {
                    if let Some(pair) = pairs.get_mut(signal.index()) {
                        leans[signal.index()].push(pair.model.step(*innovation));
                    }
                }
            }
            if let Event::Point(point) = event
                && let Some(pair) = pairs.get_mut(point.signal.index())
            {
                let before = pair.stillness();
                if let Some(difference) = pair.step(&point) {
                    differences[point.signal.index()].push(difference);
                    if pair.still == 0 {
                        still[point.signal.index()].push(before);
                    }
                }
            }
        }
        let (mut tails, mut compared) = (Vec::new(), 0);
        for place in 0..n {
            let mut pair = Pair::default();
            let oldest = pairs[place].oldest;
            let mut tail = Tail::default();
            if differences[place].len() >= 200 {
                let (mean, deviation) = clipped_moments(&differences[place]);
                (pair.offset, pair.scale) = (mean, context.believed(SignalId(place as u32), deviation));
                let mut runner = pair.clone();
                let samples: Vec<f64> =
                    differences[place].iter().map(|difference| runner.weigh(*difference)).collect();
                tail = Tail::fit(&samples, gap(samples.len()), 0.01);
                pair.stillness = Tail::fit(&still[place], 1, 1.0);
                pair.fresh = FRESH.min(oldest + oldest);
                if leans[place].len() >= 200 {
                    (pair.model.normal, pair.model.deviation) = clipped_moments(&leans[place]);
                    pair.model.mean = pair.model.normal;
                }
                compared += 1;
            }
            pairs[place] = pair;
            tails.push(tail);
        }
        let signals = context.catalogue.iter().map(|(signal, _)| signal).collect();
        let channels = Channels::new(context, signals, tails);
        let price = libm::log10(f64::from(compared.max(1)));
        Ok(Box::new(State { channels, pairs, price, compared }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        if let Event::Residual(residual) = event {
            for (signal, innovation) in residual.signals.iter().zip(residual.innovation) {
                if let Some(pair) = self.pairs.get_mut(signal.index()) {
                    pair.model.step(*innovation);
                }
            }
            return None;
        }
        let Event::Point(point) = event else { return None };
        let place = point.signal.index();
        let pair = self.pairs.get_mut(place)?;
        let difference = pair.step(point)?;
        if pair.scale <= 0.0 {
            return None;
        }
        let size = pair.weigh(difference);
        // What is right may stand still: a command that rests for longer than it ever did takes what it drives with it.
        let wrong = pair.mean.abs() > RIGHT;
        let stillness = if wrong { pair.stillness.surprise(pair.stillness()) - self.price } else { 0.0 };
        let level = self.channels.tails[place].surprise(size) - self.price;
        let off = level.max(stillness) > 5.0;
        if off && !pair.off {
            pair.slowly = pair.slow / pair.mean > 0.5;
        }
        // three speakers: the field that leaves both the vendor's twin and the model is the one that moved
        let lean = pair.model.size();
        pair.leant = off && (pair.leant || (lean.abs() > LEANS && lean * pair.mean < 0.0));
        pair.off = off;
        let (slowly, field) = (pair.slowly, pair.leant);
        let off = self.pairs.iter().filter(|pair| pair.off).count() as u32;
        let (frozen, surprise) = (stillness > 5.0, level.max(stillness).max(0.0));
        let detail = Detail::Vendor {
            signal: point.signal,
            offset: difference,
            off,
            of: self.compared,
            frozen,
            slowly,
            field,
        };
        let score = self.channels.fixed(point.arrived_at, Symptom::VendorOffset, place, surprise);
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        if let Some(pair) = self.pairs.get_mut(signal.index()) {
            // The offset between the two is tared anew.
            (pair.field, pair.mean, pair.slow, pair.drift) = (None, 0.0, 0.0, 0.0);
            (pair.compared, pair.off) = (0, false);
        }
    }
    fn coverage(&self) -> Coverage {
        self.channels.coverage("the vendor's values are not in the history")
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Catalogue, DetectorId, Role, Signal, Value};

    use super::*;
    use crate::Recording;
    use crate::testing::{self, Plant};

    #[test]
    fn a_frozen_and_a_false_display_are_found() {
        for frozen in [true, false] {
            let mut fitted = testing::fit(&Vendor, Plant::new(1).run(4_000));
            let mut plant = Plant::new(2);
            assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
            if frozen {
                plant.display_frozen = true;
            } else {
                plant.display_offset = 3.0;
            }
            assert!(testing::loudest(&mut *fitted, &mut plant, 60) > 7.0, "frozen {frozen}");
        }
    }

    /// A heater that follows a command, and a twin that shows it; the command moves every five samples until it rests at 0.
    #[test]
    fn a_display_that_is_right_may_stand_still() {
        let rests = |k: i64| if k < 6_000 { (k / 5 * 5) as f64 / 100.0 } else { 0.0 };
        let points = |k: i64, power: f64, shown: f64| {
            let noise = 0.03 * ((k * 7919 % 101) as f64 / 50.5 - 1.0);
            let at = Timestamp::from_secs(60 * k);
            [(power + noise, Source::Field), (shown, Source::Vendor)].map(|(value, source)| {
                Event::Point(Point::new(SignalId(0), Value::real(value).unwrap(), source, at))
            })
        };
        let command = |k: i64| if k < 6_000 { 2.0 + rests(k).sin() } else { rests(k) };
        let mut catalogue = Catalogue::new();
        catalogue.intern(Signal::new("heater.power", Role::Measurement)).unwrap();
        let mut recording = Recording::new();
        let normal = |k: i64| points(k, command(k), command(k));
        (0..6_000).for_each(|k| normal(k).iter().for_each(|event| recording.push(event)));
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut fitted = Vendor.fit(&recording.history(), &context).unwrap();
        let loudest = |fitted: &mut Box<dyn Fitted>, from: i64, power: f64| {
            let events = (from..from + 600).flat_map(|k| points(k, power, 0.0));
            let seen = events.map(|event| fitted.observe(&event).map_or(0.0, |seen| seen.score.surprise));
            seen.fold(0.0, f64::max)
        };
        assert!(loudest(&mut fitted, 6_000, 0.0) < 5.0, "both rest");
        assert!(loudest(&mut fitted, 6_600, 1.0) > 7.0, "the heater is on, and the display rests");
    }
}
