//! Clocks that run otherwise: the skew between a source's time stamps and their arrival, and jitter of its interval.
//!
//! Source: clock skew as the slope of accumulated offsets (Kohno, Broido, Claffy, IEEE Trans. Dependable and Secure Computing 2, 2005, §4;
//! as an intrusion test Cho, Shin, USENIX Security 2016, §4.3). By signal: the offset arrival − stamp of a point, less its slow mean, by a
//! two-sided CUSUM (a step: the clock was set, or another device answers); the slope of that mean between blocks of 64 points, in parts of a
//! second per second, against its learnt law (a skew: another oscillator, a simulation beside real time); and the logarithm of the mean square
//! of successive differences of arrival intervals (von Neumann, Ann. Math. Statist. 12, 1941) over 32 points, either way, since generated traffic is too
//! regular and queued traffic too ragged. Signals with fewer than 1,000 points in the history say nothing, and so does a source that stamps
//! by arrival. Cost: constant. It lies for a source whose clock is steered (NTP) by an attacker slowly enough.

use twinguard_types::{Event, Point, SignalId, Source, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived, detector::Channels, table::Table, whiten::clipped_moments,
};

const MOST_SIGNALS: usize = 1024;
const FEWEST: usize = 1000;
const BLOCK: u32 = 64;
const JITTER: u32 = 32;
/// Weight of a point in the slow mean of offsets.
const SLOW: f64 = 1.0 / 64.0;
const REFERENCE: f64 = 0.5;
const BOUND: f64 = 200.0;
/// Offsets are known to no better than this, seconds.
const RESOLUTION_S: f64 = 1e-4;

/// Skew and jitter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

/// Running figures of one signal's stamps and arrivals.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    first: bool,
    arrived: Timestamp,
    interval: f64,
    slow: f64,
    block: u32,
    block_mean: f64,
    before: Option<(Timestamp, f64)>,
    squares: f64,
    differences: u32,
}

archived!(Track { first, arrived, interval, slow, block, block_mean, before, squares, differences });

/// What one point shows: the offset less its slow mean, and when a block ends the slope and the jitter.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    offset: f64,
    slope: Option<f64>,
    jitter: Option<f64>,
    interval_s: f64,
}

impl Track {
    fn step(&mut self, point: &Point) -> Option<Shown> {
        let offset = (point.arrived_at - point.event_at).as_secs_f64().clamp(-1e6, 1e6);
        let interval = (point.arrived_at - self.arrived).as_secs_f64().clamp(0.0, 1e6);
        self.arrived = point.arrived_at;
        if !core::mem::replace(&mut self.first, true) {
            self.slow = offset;
            return None;
        }
        let mut shown = Shown { offset: offset - self.slow, interval_s: interval, ..Shown::default() };
        self.slow += SLOW * (offset - self.slow);
        self.block += 1;
        self.block_mean += (offset - self.block_mean) / f64::from(self.block);
        if self.block == BLOCK {
            if let Some((at, mean)) = self.before {
                let span = (point.arrived_at - at).as_secs_f64();
                shown.slope = (span > 0.0).then(|| (self.block_mean - mean) / span);
            }
            self.before = Some((point.arrived_at, self.block_mean));
            (self.block, self.block_mean) = (0, 0.0);
        }
        if self.interval > 0.0 {
            let difference = interval - self.interval;
            self.squares += difference * difference;
            self.differences += 1;
            if self.differences == JITTER {
                let mean = self.squares / f64::from(JITTER);
                shown.jitter = Some(libm::log(mean + RESOLUTION_S * RESOLUTION_S));
                (self.squares, self.differences) = (0.0, 0);
            }
        }
        self.interval = interval;
        Some(shown)
    }
}

/// The normal law of one figure, squared in its deviations.
#[derive(Clone, Debug, Default)]
struct Law {
    mean: f64,
    deviation: f64,
    tail: Tail,
}

archived!(Law { mean, deviation, tail });

impl Law {
    fn fit(samples: &[f64], floor: f64) -> Self {
        let (mean, deviation) = clipped_moments(samples);
        let mut law = Self { mean, deviation: deviation.max(floor), tail: Tail::default() };
        let statistics: Vec<f64> = samples.iter().map(|x| law.square(*x)).collect();
        law.tail = Tail::fit(&statistics, 1, 1.0);
        law
    }
    fn z(&self, x: f64) -> f64 {
        ((x - self.mean) / self.deviation).clamp(-1e3, 1e3)
    }
    fn square(&self, x: f64) -> f64 {
        self.z(x) * self.z(x)
    }
    fn surprise(&self, x: f64) -> f64 {
        self.tail.surprise(self.square(x))
    }
}

#[derive(Clone, Debug, Default)]
struct Watched {
    track: Track,
    offset: Law,
    sums: [f64; 2],
    sum: Tail,
    slope: Law,
    jitter: Law,
    stamps: bool,
}

archived!(Watched { track, offset, sums, sum, slope, jitter, stamps });

fn accumulate(sums: &mut [f64; 2], z: f64) -> f64 {
    sums[0] = (sums[0] + z.clamp(-4.0, 4.0) - REFERENCE).clamp(0.0, BOUND);
    sums[1] = (sums[1] - z.clamp(-4.0, 4.0) - REFERENCE).clamp(0.0, BOUND);
    sums[0].max(sums[1])
}

impl Watched {
    fn fit(track: Track, offsets: &[f64], slopes: &[f64], jitters: &[f64], stamps: bool) -> Self {
        let offset = Law::fit(offsets, RESOLUTION_S);
        let mut sums = [0.0; 2];
        let path: Vec<f64> = offsets.iter().map(|x| accumulate(&mut sums, offset.z(*x))).collect();
        Self {
            track: Track { block: 0, block_mean: 0.0, before: None, ..track },
            offset,
            sums: [0.0; 2],
            sum: Tail::fit(&path, 30, 1.0),
            slope: Law::fit(slopes, 1e-7),
            jitter: Law::fit(jitters, 0.2),
            stamps,
        }
    }

    fn look(&mut self, point: &Point) -> Option<(f64, f64)> {
        let shown = self.track.step(point)?;
        let mut most = shown.jitter.map_or(0.0, |jitter| self.jitter.surprise(jitter));
        if self.stamps {
            most = most.max(self.sum.surprise(accumulate(&mut self.sums, self.offset.z(shown.offset))));
            most = most.max(shown.slope.map_or(0.0, |slope| self.slope.surprise(slope)));
        }
        Some((most, shown.interval_s))
    }
}

struct State {
    channels: Channels,
    places: Table<SignalId, usize>,
    watched: Vec<Watched>,
    price: f64,
    samples: usize,
}

archived!(State { channels, places, watched, price, samples });

impl Detector for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Timing
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        #[derive(Default)]
        struct Seen {
            track: Track,
            offsets: Vec<f64>,
            slopes: Vec<f64>,
            jitters: Vec<f64>,
            stamps: bool,
        }
        let mut seen: Table<SignalId, Seen> = Table::new(MOST_SIGNALS);
        for event in history.events() {
            let Event::Point(point) = event else { continue };
            if point.source != Source::Field {
                continue;
            }
            let Some(held) = seen.entry(point.signal, Seen::default) else { continue };
            held.stamps |= point.event_at != point.arrived_at;
            if let Some(shown) = held.track.step(&point) {
                held.offsets.push(shown.offset);
                held.slopes.extend(shown.slope);
                held.jitters.extend(shown.jitter);
            }
        }
        let mut places = Table::new(MOST_SIGNALS);
        let (mut signals, mut watched, mut samples) = (Vec::new(), Vec::new(), 0);
        for (signal, held) in seen.iter_mut() {
            if held.offsets.len() < FEWEST {
                continue;
            }
            samples = samples.max(held.offsets.len());
            places.entry(*signal, || watched.len());
            signals.push(*signal);
            watched.push(Watched::fit(held.track, &held.offsets, &held.slopes, &held.jitters, held.stamps));
        }
        let price = libm::log10((3 * watched.len()).max(1) as f64);
        let channels = Channels::new(context, signals, Vec::new());
        Ok(Box::new(State { channels, places, watched, price, samples }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let fits = state.channels.signals.len() == state.watched.len()
            && state.places.iter().all(|(_, place)| *place < state.watched.len());
        if fits { Ok(Box::new(state)) } else { Err(reader.refuse("clocks of other signals")) }
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Point(point) = event else { return None };
        if point.source != Source::Field {
            return None;
        }
        let place = *self.places.get(&point.signal)?;
        let (surprise, _) = self.watched.get_mut(place)?.look(point)?;
        let surprise = (surprise - self.price).max(0.0);
        let score = self.channels.fixed(point.arrived_at, Symptom::Timing, place, surprise);
        Some(Observation { score, detail: Detail::None, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        if let Some(place) = self.places.get(&signal)
            && let Some(watched) = self.watched.get_mut(*place)
        {
            watched.sums = [0.0; 2];
            watched.track = Track::default();
        }
    }
    fn coverage(&self) -> Coverage {
        if self.watched.is_empty() {
            Coverage::Silent("no signal with 1,000 points in the history")
        } else {
            Coverage::Calibrated { samples: self.samples, excursions: 0 }
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Catalogue, DetectorId, Value};

    use super::*;
    use crate::Recording;

    struct Wire {
        state: u64,
        second: f64,
        skew: f64,
        step: f64,
        ragged: f64,
    }

    impl Wire {
        fn point(&mut self) -> Event<'static> {
            let mut unit = || {
                self.state = self
                    .state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.state >> 33) as f64 / f64::from(1u32 << 31)
            };
            self.second += 1.0;
            let stamp = self.second * (1.0 + self.skew) - self.step;
            let arrived = self.second + 0.005 + 0.004 * self.ragged * unit();
            let nanos = |s: f64| Timestamp::from_nanos((s * 1e9) as i64);
            let mut point = Point::new(SignalId(0), Value::Integer(1), Source::Field, nanos(arrived));
            point.event_at = nanos(stamp);
            Event::Point(point)
        }
    }

    fn wire(seed: u64) -> Wire {
        Wire { state: seed, second: 0.0, skew: 0.0, step: 0.0, ragged: 1.0 }
    }

    fn loudest(change: impl FnOnce(&mut Wire), points: usize) -> f64 {
        let mut wire = wire(1);
        let mut recording = Recording::new();
        (0..6000).for_each(|_| recording.push(&wire.point()));
        let catalogue = Catalogue::new();
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut fitted = Clock.fit(&recording.history(), &context).unwrap();
        (0..500).for_each(|_| {
            fitted.observe(&wire.point());
        });
        // a skew begins at an offset of zero
        let before = wire.second;
        change(&mut wire);
        wire.step += wire.skew * before;
        (0..points)
            .filter_map(|_| fitted.observe(&wire.point()).map(|seen| seen.score.surprise))
            .fold(0.0, f64::max)
    }

    #[test]
    fn normal_clocks_are_quiet() {
        let got = loudest(|_| (), 6000);
        assert!(got < 5.0, "{got}");
    }

    #[test]
    fn a_clock_that_is_set_is_seen() {
        let got = loudest(|wire| wire.step = 0.02, 60);
        assert!(got > 6.0, "{got}");
    }

    #[test]
    fn a_skew_of_a_hundred_parts_in_a_million_is_seen() {
        let got = loudest(|wire| wire.skew = -1e-4, 600);
        assert!(got > 6.0, "{got}");
    }

    #[test]
    fn traffic_that_is_too_regular_or_too_ragged_is_seen() {
        let regular = loudest(|wire| wire.ragged = 0.02, 300);
        let ragged = loudest(|wire| wire.ragged = 10.0, 300);
        assert!(regular > 4.0 && ragged > 6.0, "{regular} {ragged}");
    }
}
