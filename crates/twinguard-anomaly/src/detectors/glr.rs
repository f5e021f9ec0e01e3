//! Generalised likelihood ratio of each whitened residual: a shift of unknown size that began at an unknown row.
//!
//! Source: Willsky, Jones, IEEE Trans. Automatic Control 21, 1976; for a shift in the mean of unit noise it is
//! max over k of (Σ from k to now)²/(2·rows) (Basseville, Nikiforov, *Detection of Abrupt Changes*, 1993, §2.4.3), here over the last 64
//! rows. It needs no reference value as the cumulative sum does, and dates the onset. Terms are clipped to ±6. Cost: 64 additions and
//! divisions a channel. It lies under a drift of the normal mean, and where residuals are not white.

use twinguard_types::{Event, SignalId, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
    detector::{Channels, gap, transpose},
    whiten::Whitener,
};

const WINDOW: usize = 64;

/// Generalised likelihood ratio of whitened residuals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glr;

/// The last rows of a channel.
#[derive(Clone, Debug)]
struct Ring {
    values: Vec<f64>,
    at: usize,
    filled: usize,
}

archived!(Ring { values, at, filled });

impl Ring {
    fn new() -> Self {
        Self { values: vec![0.0; WINDOW], at: 0, filled: 0 }
    }

    /// The ratio after one more row, and how many rows ago the shift began.
    fn step(&mut self, z: f64) -> (f64, usize) {
        self.values[self.at] = z.clamp(-6.0, 6.0);
        self.filled = (self.filled + 1).min(WINDOW);
        let (mut sum, mut best, mut since) = (0.0, 0.0, 0);
        for back in 0..self.filled {
            sum += self.values[(self.at + WINDOW - back) % WINDOW];
            let ratio = sum * sum / (2.0 * (back + 1) as f64);
            if ratio > best {
                (best, since) = (ratio, back);
            }
        }
        self.at = (self.at + 1) % WINDOW;
        (best, since)
    }
}

#[derive(Clone, Debug, Default)]
struct Ratios {
    rings: Vec<Ring>,
    size: Vec<f64>,
    since: Vec<usize>,
    /// Times of the last rows, for the onset.
    times: Vec<Timestamp>,
    at: usize,
}

archived!(Ratios { rings, size, since, times, at });

struct Inner {
    whitener: Whitener,
    channels: Channels,
    ratios: Ratios,
}

archived!(Inner { whitener, channels, ratios });

struct State {
    inner: Option<Inner>,
}

archived!(State { inner });

impl Ratios {
    fn new(n: usize) -> Self {
        Self {
            rings: vec![Ring::new(); n],
            size: vec![0.0; n],
            since: vec![0; n],
            times: vec![Timestamp::ZERO; WINDOW],
            at: 0,
        }
    }

    fn update(&mut self, whitener: &Whitener, at: Timestamp) {
        self.at = (self.at + 1) % WINDOW;
        self.times[self.at] = at;
        for place in 0..self.size.len() {
            if whitener.present[place] {
                (self.size[place], self.since[place]) = self.rings[place].step(whitener.standard[place]);
            }
        }
    }
}

impl Detector for Glr {
    fn name(&self) -> &'static str {
        "glr"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Residual
    }
    fn needs(&self) -> Option<View> {
        Some(View::Model)
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let inner = Whitener::fit(history).map(|mut whitener| {
            let mut runner = whitener.clone();
            let n = whitener.signals.len();
            let mut ratios = Ratios::new(n);
            let mut samples = vec![Vec::new(); n];
            let skip = history.residuals().count() / 50;
            for (step, residual) in history.residuals().enumerate() {
                runner.step(&residual);
                ratios.update(&runner, residual.at);
                for place in 0..n {
                    if step >= skip && runner.present[place] {
                        samples[place].push(ratios.size[place]);
                    }
                }
            }
            whitener.follow(&runner);
            let gap = gap(samples.first().map_or(0, Vec::len));
            let channels = Channels::new(context, whitener.signals.clone(), transpose(&samples, gap, 0.5));
            Inner { whitener, channels, ratios: Ratios::new(n) }
        });
        Ok(Box::new(State { inner }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let state = State::load(reader)?;
        let sound = state.inner.as_ref().is_none_or(|inner| {
            let ratios = &inner.ratios;
            let n = inner.whitener.signals.len();
            ratios.times.len() == WINDOW
                && ratios.at < WINDOW
                && [ratios.rings.len(), ratios.size.len(), ratios.since.len()] == [n; 3]
                && ratios
                    .rings
                    .iter()
                    .all(|ring| ring.values.len() == WINDOW && ring.at < WINDOW && ring.filled <= WINDOW)
        });
        if sound { Ok(Box::new(state)) } else { Err(reader.refuse("a window of another length")) }
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Residual(residual) = event else { return None };
        let Inner { whitener, channels, ratios } = self.inner.as_mut()?;
        whitener.step(residual);
        ratios.update(whitener, residual.at);
        let (score, best) = channels.score(residual.at, Symptom::Residual, &ratios.size, &whitener.present);
        let detail = whitener.signals.get(best).map_or(Detail::None, |signal| Detail::Level {
            signal: *signal,
            seen: whitener.standard[best],
            expected: 0.0,
        });
        let back = ratios.since.get(best).map_or(0, |back| (*back).min(WINDOW - 1));
        let onset = ratios.times.get((ratios.at + WINDOW - back) % WINDOW).copied();
        Some(Observation { score, detail, onset })
    }
    fn forget(&mut self, signal: SignalId) {
        let Some(Inner { channels, ratios, .. }) = &mut self.inner else { return };
        for place in channels.places(signal) {
            ratios.rings[place] = Ring::new();
            ratios.size[place] = 0.0;
        }
    }
    fn remodelled(&mut self) {
        let Some(Inner { whitener, ratios, .. }) = &mut self.inner else { return };
        whitener.start_anew();
        *ratios = Ratios::new(whitener.signals.len());
    }
    fn coverage(&self) -> Coverage {
        let what = "no residuals in the history";
        self.inner.as_ref().map_or(Coverage::Silent(what), |inner| inner.channels.coverage(what))
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn it_is_the_largest_ratio_over_all_onsets() {
        let z: Vec<f64> = (0..300).map(|t| f64::from(t * 7919 % 113) / 20.0 - 2.8).collect();
        let mut ring = Ring::new();
        for t in 0..z.len() {
            let (got, since) = ring.step(z[t]);
            let first = (t + 1).saturating_sub(WINDOW);
            let ratio = |k: usize| z[k..=t].iter().sum::<f64>().powi(2) / (2.0 * (t + 1 - k) as f64);
            let naive = (first..=t).map(ratio).fold(0.0, f64::max);
            assert!((got - naive).abs() < 1e-9 && (ratio(t - since) - naive).abs() < 1e-9, "{t}");
        }
    }

    #[test]
    fn a_bias_is_found_and_dated() {
        let mut fitted = testing::fit(&Glr, Plant::new(5).run(6_000));
        let mut plant = Plant::new(6);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        let start = plant.now();
        plant.bias[2] = 2.0;
        let onset = testing::onset(&mut *fitted, &mut plant, 200, 7.0).expect("found");
        assert!((onset - start).as_secs_f64().abs() < 20.0, "onset {onset:?} against {start:?}");
    }
}
