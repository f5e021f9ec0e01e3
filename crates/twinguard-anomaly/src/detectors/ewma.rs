//! Exponentially weighted mean of each whitened residual: small shifts that last.
//!
//! Source: Roberts, Technometrics 1 (1959); constants as in Lucas, Saccucci, Technometrics 32 (1990): λ = 0.1 favours
//! shifts of about one deviation. Cost: two multiplications per channel. It lies where the normal mean wanders
//! with the load more than the history shows.

use twinguard_types::{Event, SignalId, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    detector::{Channels, gap, transpose},
    whiten::Whitener,
};

const WEIGHT: f64 = 0.1;

/// Moving mean of whitened residuals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ewma;

struct State {
    inner: Option<(Whitener, Channels, Vec<f64>, Vec<f64>)>,
}

impl Archive for State {
    fn save(&self, writer: &mut Writer) {
        self.inner.is_some().save(writer);
        if let Some((whitener, channels, mean, size)) = &self.inner {
            (mean.clone(), size.clone()).save(writer);
            whitener.save(writer);
            channels.save(writer);
        }
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        if !bool::load(reader)? {
            return Ok(Self { inner: None });
        }
        let (mean, size) = Archive::load(reader)?;
        Ok(Self { inner: Some((Archive::load(reader)?, Archive::load(reader)?, mean, size)) })
    }
}

fn update(whitener: &Whitener, mean: &mut [f64], size: &mut [f64]) {
    for place in 0..mean.len() {
        if whitener.present[place] {
            mean[place] += WEIGHT * (whitener.standard[place].clamp(-8.0, 8.0) - mean[place]);
            // squared: the square of a Gaussian has the exponential tail that is extrapolated
            size[place] = mean[place] * mean[place];
        }
    }
}

impl Detector for Ewma {
    fn name(&self) -> &'static str {
        "ewma"
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
            let (mut mean, mut size) = (vec![0.0; n], vec![0.0; n]);
            let mut samples = vec![Vec::new(); n];
            let skip = history.residuals().count() / 50;
            for (step, residual) in history.residuals().enumerate() {
                runner.step(&residual);
                update(&runner, &mut mean, &mut size);
                for place in 0..n {
                    if step >= skip && runner.present[place] {
                        samples[place].push(size[place]);
                    }
                }
            }
            whitener.follow(&runner);
            let channels = Channels::new(
                context,
                whitener.signals.clone(),
                transpose(&samples, gap(samples.first().map_or(0, Vec::len)), 0.01),
            );
            (whitener, channels, vec![0.0; n], vec![0.0; n])
        });
        Ok(Box::new(State { inner }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Residual(residual) = event else { return None };
        let (whitener, channels, mean, size) = self.inner.as_mut()?;
        whitener.step(residual);
        update(whitener, mean, size);
        let signals = &whitener.signals;
        let (score, best) = channels.score(residual.at, Symptom::Residual, size, &whitener.present);
        let detail = signals.get(best).map_or(Detail::None, |signal| Detail::Level {
            signal: *signal,
            seen: mean[best],
            expected: 0.0,
        });
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        let Some((_, channels, mean, size)) = &mut self.inner else { return };
        for place in channels.places(signal) {
            (mean[place], size[place]) = (0.0, 0.0);
        }
    }
    fn remodelled(&mut self) {
        let Some((whitener, _, mean, size)) = &mut self.inner else { return };
        whitener.start_anew();
        mean.fill(0.0);
        size.fill(0.0);
    }
    fn coverage(&self) -> Coverage {
        self.inner.as_ref().map_or(Coverage::Silent("no residuals in the history"), |inner| {
            inner.1.coverage("no residuals in the history")
        })
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn a_small_lasting_bias_grows_surprising() {
        let mut fitted = testing::fit(&super::Ewma, Plant::new(3).run(12_000));
        let mut plant = Plant::new(4);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.bias[0] = 1.5;
        assert!(testing::loudest(&mut *fitted, &mut plant, 120) > 7.0);
    }
}
