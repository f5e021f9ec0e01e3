//! Where a model was compared with its plant, and how much less it is known beyond.
//!
//! What a model is off by was learnt where the plant ran in the history. A plant that runs elsewhere, because the season or a command
//! asks for it, is no liar for that. So the law of each channel is widened by 5 % of how far the expectation lies outside all that was
//! expected in the history (models are off by some per cent: what they are off where they were compared is learnt), and by what
//! the expectation moves in one sample more than it ever did, which then fades: a command between two samples may take
//! effect in the one or in the other. Somebody who leads a filter astray gains those 5 % and no more.

use twinguard_types::{Residual, SignalId};

use crate::{Archive, Error, Reader, Writer, archived};

/// How wrong a model may be where it was not compared, as a share of how far that is.
const OFF: f64 = 0.05;
/// What is left a sample later of what the time of a movement leaves open.
const FADES: f64 = 0.5;

/// What the model expected of each channel in the history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regime {
    bounds: Vec<Bounds>,
    last: Vec<Option<f64>>,
    moved: Vec<f64>,
    wide: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: f64,
    high: f64,
    step: f64,
}

archived!(Bounds { low, high, step });

impl Bounds {
    const NONE: Self = Self { low: f64::MAX, high: f64::MIN, step: 0.0 };

    fn take(&mut self, expected: f64, last: Option<f64>) {
        (self.low, self.high) = (self.low.min(expected), self.high.max(expected));
        self.step = self.step.max(last.map_or(0.0, |last| (expected - last).abs()));
    }

    /// How far an expectation lies outside.
    fn outside(&self, expected: f64) -> f64 {
        (expected - self.high).max(self.low - expected).max(0.0)
    }
}

impl Archive for Regime {
    fn save(&self, writer: &mut Writer) {
        self.bounds.save(writer);
        self.last.save(writer);
        (self.moved.clone(), self.wide.clone()).save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        // Before version 3 nobody asked where the plant ran.
        if reader.version() < 3 {
            return Ok(Self::default());
        }
        let (bounds, last) = (Vec::<Bounds>::load(reader)?, Vec::load(reader)?);
        let (moved, wide) = Archive::load(reader)?;
        let regime = Self { bounds, last, moved, wide };
        let sound = [regime.last.len(), regime.moved.len(), regime.wide.len()] == [regime.bounds.len(); 3];
        if sound { Ok(regime) } else { Err(reader.refuse("a regime of another number of channels")) }
    }
}

impl Regime {
    /// Learns from these residuals; `signals` are sorted.
    pub(crate) fn fit<'a>(residuals: impl Iterator<Item = Residual<'a>>, signals: &[SignalId]) -> Self {
        let n = signals.len();
        let mut regime = Self {
            bounds: vec![Bounds::NONE; n],
            last: vec![None; n],
            moved: vec![0.0; n],
            wide: vec![0.0; n],
        };
        for residual in residuals {
            for (signal, expected) in residual.signals.iter().zip(residual.expected) {
                if let Ok(place) = signals.binary_search(signal)
                    && expected.is_finite()
                {
                    let last = regime.last[place].replace(*expected);
                    regime.bounds[place].take(*expected, last);
                }
            }
        }
        regime.last.fill(None);
        regime
    }

    /// A run has ended: where the next one begins is no movement.
    pub(crate) fn break_off(&mut self) {
        self.last.fill(None);
    }

    /// Takes what is expected of the channels now.
    pub(crate) fn step(&mut self, residual: &Residual<'_>, signals: &[SignalId]) {
        for (signal, expected) in residual.signals.iter().zip(residual.expected) {
            let Ok(place) = signals.binary_search(signal) else { continue };
            let Some(bounds) = self.bounds.get(place).filter(|it| it.low <= it.high) else { continue };
            if !expected.is_finite() {
                continue;
            }
            let last = self.last[place].replace(*expected);
            let farther = last.map_or(0.0, |last| (expected - last).abs() - bounds.step).max(0.0);
            self.moved[place] = farther.max(FADES * self.moved[place]);
            self.wide[place] = self.moved[place] + OFF * bounds.outside(*expected);
        }
    }

    /// A deviation without what the regime accounts for.
    pub(crate) fn beyond(&self, place: usize, deviation: f64) -> f64 {
        let wide = self.wide.get(place).copied().unwrap_or(0.0);
        (deviation.abs() - wide).max(0.0).copysign(deviation)
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Event, Timestamp};

    use super::*;
    use crate::Recording;

    fn residual(at: i64, expected: &[f64]) -> Residual<'_> {
        Residual {
            at: Timestamp::from_secs(at),
            signals: &[SignalId(4)],
            innovation: &[0.0],
            expected,
            believed: expected,
            factor: &[],
            nis: 0.0,
            dof: 1,
            log_likelihood: 0.0,
        }
    }

    #[test]
    fn what_was_seen_is_not_widened_and_what_was_not_by_how_far_it_is() {
        let mut recording = Recording::new();
        (0..40).for_each(|at| recording.push(&Event::Residual(residual(at, &[10.0 + (at % 2) as f64]))));
        let signals = [SignalId(4)];
        let mut regime = Regime::fit(recording.history().residuals(), &signals);
        regime.step(&residual(50, &[10.0]), &signals);
        regime.step(&residual(51, &[11.0]), &signals);
        assert_eq!(regime.beyond(0, -0.3), -0.3);
        regime.step(&residual(52, &[31.0]), &signals);
        // 5 % of 20, and the 19 that it moved farther than ever
        assert!((regime.beyond(0, 21.5) - 1.5).abs() < 1e-12);
        assert_eq!(regime.beyond(0, -20.0).abs(), 0.0);
        (53..80).for_each(|at| regime.step(&residual(at, &[31.0]), &signals));
        assert!((regime.beyond(0, -1.5) + 0.5).abs() < 1e-6);
        regime.break_off();
        regime.step(&residual(99, &[10.0]), &signals);
        assert!((regime.beyond(0, 1.0) - 1.0).abs() < 1e-6);
    }
}
