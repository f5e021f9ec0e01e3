//! The vendor's twin against a sealed model that runs beside it: what the twin shows differs from what its own model gives.
//!
//! Source: the difference of two simulations of one plant has no measurement noise, so it is judged at once and over a memory: |d| and its
//! moving mean (Roberts, Technometrics 1, 1959, λ = 0.05), both squared, in the deviations of the history, each by its learnt tail; slow
//! re-tuning is followed by one deviation in a thousand points at most, three in all. The model's value must be fresh. `vendor` compares the
//! twin with the field: a twin that follows a lying field is seen here and not there. Cost: constant. It lies when the vendor's model is known
//! only roughly: then the history's differences are wide, and so is the limit.

use twinguard_types::{Duration, Event, Point, SignalId, Source, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{Channels, gap, tame},
    whiten::clipped_moments,
};

const WEIGHT: f64 = 0.05;
const DRIFT: f64 = 1e-3;
const DRIFT_MOST: f64 = 3.0;
const FEWEST: usize = 200;
/// The first points of a watch only fill the moving mean.
const FILL: u32 = 60;
/// Oldest value of the model that is compared.
const FRESH: Duration = Duration::from_secs(30);
/// A difference this many deviations off is as good as any larger.
const FAR: f64 = 1e4;

/// Vendor's twin against sealed model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Divergence;

#[derive(Clone, Debug, Default)]
struct Pair {
    model: Option<(Timestamp, f64)>,
    offset: f64,
    scale: f64,
    drift: f64,
    mean: f64,
    compared: u32,
    level: Tail,
    off: bool,
}

archived!(Pair { model, offset, scale, drift, mean, compared, level, off });

impl Pair {
    /// Takes a point; vendor minus model when it is the vendor's and there is something to compare it with.
    fn step(&mut self, point: &Point) -> Option<f64> {
        let value = tame(point.value.as_f64());
        if !point.quality.is_usable() {
            return None;
        }
        match point.source {
            Source::Model => {
                self.model = Some((point.arrived_at, value));
                None
            }
            Source::Vendor => {
                let (at, model) = self.model?;
                (point.arrived_at - at <= FRESH).then_some(value - model)
            }
            Source::Field => None,
        }
    }

    /// Squares of the difference and of its moving mean.
    fn weigh(&mut self, difference: f64) -> (f64, f64) {
        let z = ((difference - self.offset) / self.scale).clamp(-FAR, FAR) - self.drift;
        self.drift = (self.drift + DRIFT * z.clamp(-1.0, 1.0)).clamp(-DRIFT_MOST, DRIFT_MOST);
        self.mean += WEIGHT * (z - self.mean);
        self.compared = self.compared.saturating_add(1);
        (z * z, if self.compared > FILL { self.mean * self.mean } else { 0.0 })
    }
}

struct State {
    channels: Channels,
    pairs: Vec<Pair>,
    price: f64,
    compared: u32,
}

archived!(State { channels, pairs, price, compared });

impl Detector for Divergence {
    fn name(&self) -> &'static str {
        "divergence"
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
        for event in history.events() {
            if let Event::Point(point) = event
                && let Some(pair) = pairs.get_mut(point.signal.index())
                && let Some(difference) = pair.step(&point)
            {
                differences[point.signal.index()].push(difference);
            }
        }
        let (mut tails, mut compared) = (Vec::with_capacity(n), 0);
        for (place, list) in differences.iter().enumerate() {
            let mut pair = Pair::default();
            let mut tail = Tail::default();
            if list.len() >= FEWEST {
                let (mean, deviation) = clipped_moments(list);
                (pair.offset, pair.scale) = (mean, context.believed(SignalId(place as u32), deviation));
                let mut runner = pair.clone();
                let (now, mean): (Vec<f64>, Vec<f64>) = list.iter().map(|d| runner.weigh(*d)).unzip();
                tail = Tail::fit(&mean, gap(mean.len()), 0.01);
                pair.level = Tail::fit(&now, gap(now.len()), 1.0);
                compared += 1;
            }
            pairs[place] = pair;
            tails.push(tail);
        }
        let signals = context.catalogue.iter().map(|(signal, _)| signal).collect();
        // two looks at each signal
        let price = libm::log10(f64::from(2 * compared.max(1)));
        Ok(Box::new(State { channels: Channels::new(context, signals, tails), pairs, price, compared }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let n = state.pairs.len();
        if state.channels.signals.len() == n && state.channels.tails.len() == n {
            Ok(Box::new(state))
        } else {
            Err(reader.refuse("pairs of other signals"))
        }
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Point(point) = event else { return None };
        let place = point.signal.index();
        let pair = self.pairs.get_mut(place)?;
        let difference = pair.step(point)?;
        if pair.scale <= 0.0 {
            return None;
        }
        let (now, mean) = pair.weigh(difference);
        let surprise = pair.level.surprise(now).max(self.channels.tails[place].surprise(mean)) - self.price;
        pair.off = surprise > 5.0;
        let off = self.pairs.iter().filter(|pair| pair.off).count() as u32;
        let (signal, of) = (point.signal, self.compared);
        let detail = Detail::Vendor {
            signal,
            offset: difference,
            off,
            of,
            frozen: false,
            slowly: false,
            field: false,
        };
        let score = self.channels.fixed(point.arrived_at, Symptom::VendorOffset, place, surprise.max(0.0));
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        if let Some(pair) = self.pairs.get_mut(signal.index()) {
            (pair.model, pair.mean, pair.drift, pair.compared, pair.off) = (None, 0.0, 0.0, 0, false);
        }
    }
    fn coverage(&self) -> Coverage {
        self.channels.coverage("twin and model are not side by side in the history")
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

    fn points(k: i64, off: f64) -> [Event<'static>; 2] {
        let wave = (k as f64 / 40.0).sin();
        let at = Timestamp::from_secs(k);
        // two solvers of one model: a small difference that comes and goes
        let solver = 0.01 * (k as f64 / 7.0).sin() + 0.003 * ((k * 7919 % 101) as f64 / 101.0 - 0.5);
        let point = |value: f64, source| {
            Event::Point(Point::new(SignalId(0), Value::real(value).unwrap(), source, at))
        };
        [point(wave, Source::Model), point(wave + solver + off, Source::Vendor)]
    }

    fn loudest(off: impl Fn(i64) -> f64) -> f64 {
        let mut catalogue = Catalogue::new();
        catalogue.intern(Signal::new("hot", Role::Measurement)).unwrap();
        let mut recording = Recording::new();
        (0..4000).for_each(|k| points(k, 0.0).iter().for_each(|event| recording.push(event)));
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut fitted = Divergence.fit(&recording.history(), &context).unwrap();
        let mut most: f64 = 0.0;
        for k in 4000..6000 {
            for event in points(k, off(k)) {
                most = most.max(fitted.observe(&event).map_or(0.0, |seen| seen.score.surprise));
            }
        }
        most
    }

    #[test]
    fn two_solvers_of_one_model_are_one_and_a_false_display_is_not() {
        assert!(loudest(|_| 0.0) < 3.0);
        assert!(loudest(|k| if k == 5000 { 0.5 } else { 0.0 }) > 5.0, "a single value");
        assert!(loudest(|k| if k >= 5000 { 0.02 } else { 0.0 }) > 5.0, "a small lasting one");
    }
}
