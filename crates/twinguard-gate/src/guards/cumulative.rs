//! How far in all: steps that are small one by one and large together ("salami").
//!
//! Source: none of a standard; a sliding minimum and maximum as in Lemire, "Streaming maximum-minimum filter using no more than
//! three comparisons per element", *Nordic J. Computing* 13 (2006), by buckets.
//! The window is kept in 32 parts, each with the least and greatest value that passed in it, so that its memory does not
//! grow with the number of commands; it is exact to one part of the window.

use twinguard_types::{Duration, SignalId, Timestamp};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

const PARTS: usize = 32;

/// Least and greatest value in each part, and the value before all of them.
#[derive(Clone, Debug, PartialEq)]
struct Track {
    /// Number of the newest part, counted from 1970.
    newest: i64,
    low: [f64; PARTS],
    high: [f64; PARTS],
    last: f64,
}

#[derive(Debug)]
struct Cumulative {
    spec: GuardSpec,
    most: f64,
    part: Duration,
    tracks: Vec<Option<Track>>,
}

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    let within = spec.within.unwrap_or(Duration::from_secs(3_600));
    Box::new(Cumulative {
        most: spec.most.unwrap_or(0.0),
        part: Duration::from_nanos((within.as_nanos() / (PARTS as i64 - 1)).max(1)),
        tracks: vec![None; spec.signals.len()],
        spec: spec.clone(),
    })
}

impl Track {
    fn new(part: i64, value: f64) -> Self {
        let mut track =
            Self { newest: part, low: [f64::INFINITY; PARTS], high: [f64::NEG_INFINITY; PARTS], last: value };
        track.enter(part, value);
        track
    }

    fn slot(part: i64) -> usize {
        part.rem_euclid(PARTS as i64) as usize
    }

    /// Moves on to a part; the value that holds at its begin belongs to it.
    fn enter(&mut self, part: i64, value: f64) {
        let part = part.max(self.newest);
        for passed in (self.newest + 1).max(part - PARTS as i64 + 1)..=part {
            let slot = Self::slot(passed);
            (self.low[slot], self.high[slot]) = (self.last, self.last);
        }
        self.newest = part;
        let slot = Self::slot(part);
        self.low[slot] = self.low[slot].min(value);
        self.high[slot] = self.high[slot].max(value);
        self.last = value;
    }

    /// Least and greatest value in the window that ends with a part.
    fn span(&self, part: i64) -> (f64, f64) {
        let mut span = (self.last, self.last);
        let from = part.max(self.newest) - PARTS as i64 + 1;
        for kept in from.max(self.newest - PARTS as i64 + 1)..=self.newest {
            let slot = Self::slot(kept);
            span = (span.0.min(self.low[slot]), span.1.max(self.high[slot]));
        }
        span
    }
}

impl Cumulative {
    fn part(&self, now: Timestamp) -> i64 {
        now.as_nanos().div_euclid(self.part.as_nanos())
    }

    fn track(&self, signal: SignalId) -> Option<&Track> {
        let at = self.spec.signals.binary_search(&signal).ok()?;
        self.tracks.get(at)?.as_ref()
    }
}

impl Guard for Cumulative {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(track) = self.track(asked.signal).filter(|_| concerns(&self.spec, asked)) else {
            return Ok(());
        };
        let (low, high) = track.span(self.part(asked.now));
        let would = (asked.value - low).max(high - asked.value);
        // Steps are rounded numbers: a hair above the limit is on it.
        if would > self.most * (1.0 + 1e-9) && asked.value != track.last {
            return Err(Refusal::Crept { would, most: self.most });
        }
        Ok(())
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        let part = self.part(asked.now);
        let Ok(at) = self.spec.signals.binary_search(&asked.signal) else { return };
        if let Some(track) = self.tracks.get_mut(at) {
            match track {
                Some(track) => track.enter(part, asked.value),
                None => *track = Some(Track::new(part, asked.value)),
            }
        }
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (at, track) in self.tracks.iter().enumerate() {
            if let Some(track) = track {
                memory.whole.extend([at as i64, track.newest]);
                // What was never entered is written as the last value: JSON has no infinities.
                let known = |value: &f64| if value.is_finite() { *value } else { track.last };
                memory.real.extend(track.low.iter().map(known));
                memory.real.extend(track.high.iter().map(known));
                memory.real.push(track.last);
            }
        }
        memory
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        const WIDTH: usize = 2 * PARTS + 1;
        if memory.real.len() * 2 != memory.whole.len() * WIDTH || !memory.whole.len().is_multiple_of(2) {
            return false;
        }
        let mut tracks = vec![None; self.spec.signals.len()];
        for (whole, real) in memory.whole.chunks_exact(2).zip(memory.real.chunks_exact(WIDTH)) {
            let (&[at, newest], Some((last, parts))) = (whole, real.split_last()) else { return false };
            let Some(place) = usize::try_from(at).ok().and_then(|at| tracks.get_mut(at)) else {
                return false;
            };
            let mut track = Track::new(newest, *last);
            let (low, high) = parts.split_at(PARTS);
            track.low.copy_from_slice(low);
            track.high.copy_from_slice(high);
            *place = Some(track);
        }
        self.tracks = tracks;
        true
    }
}
