//! Two-sided cumulative sum of each whitened residual: the quickest test for a lasting shift, and it dates the onset.
//!
//! Source: Page, Biometrika 41 (1954); two-sided form and reference value k = ½ as in Montgomery, *Introduction to
//! Statistical Quality Control*, §9.1; terms are clipped to ±6 and the sum is bounded, so that it recovers soon after
//! an attack. Each side is counted from the slow mean or from the mean of the history, whichever is the farther: the end of a regime that was
//! followed is no alarm. Cost: four additions per channel. It lies under a drift of the normal mean beyond ½ σ.

use twinguard_types::{Event, SignalId, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
    detector::{Channels, gap, transpose},
    whiten::Whitener,
};

const REFERENCE: f64 = 0.5;
/// The sums stop where their surprise is this.
const LOUDEST: f64 = 14.0;

/// Two-sided CUSUM of whitened residuals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cusum;

#[derive(Clone, Debug, Default)]
struct Sums {
    up: Vec<f64>,
    down: Vec<f64>,
    size: Vec<f64>,
    bound: Vec<f64>,
    since: Vec<Timestamp>,
}

archived!(Sums { up, down, size, bound, since });

struct Inner {
    whitener: Whitener,
    channels: Channels,
    sums: Sums,
}

archived!(Inner { whitener, channels, sums });

struct State {
    inner: Option<Inner>,
}

archived!(State { inner });

impl Sums {
    fn new(bound: Vec<f64>) -> Self {
        let n = bound.len();
        Self {
            up: vec![0.0; n],
            down: vec![0.0; n],
            size: vec![0.0; n],
            bound,
            since: vec![Timestamp::ZERO; n],
        }
    }

    fn update(&mut self, whitener: &Whitener, at: Timestamp) {
        for place in 0..self.size.len() {
            if !whitener.present[place] {
                continue;
            }
            let [above, below] = whitener.sides(place).map(|side| side.clamp(-6.0, 6.0));
            if self.size[place] == 0.0 {
                self.since[place] = at;
            }
            self.up[place] = (self.up[place] + above - REFERENCE).clamp(0.0, self.bound[place]);
            self.down[place] = (self.down[place] + below - REFERENCE).clamp(0.0, self.bound[place]);
            self.size[place] = self.up[place].max(self.down[place]);
        }
    }
}

impl Detector for Cusum {
    fn name(&self) -> &'static str {
        "cusum"
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
            let mut sums = Sums::new(vec![1e6; n]);
            let mut samples = vec![Vec::new(); n];
            let skip = history.residuals().count() / 50;
            for (step, residual) in history.residuals().enumerate() {
                runner.step(&residual);
                sums.update(&runner, residual.at);
                for place in 0..n {
                    if step >= skip && runner.present[place] {
                        samples[place].push(sums.size[place]);
                    }
                }
            }
            whitener.follow(&runner);
            let channels = Channels::new(
                context,
                whitener.signals.clone(),
                transpose(&samples, gap(samples.first().map_or(0, Vec::len)), 0.5),
            );
            let bound = channels.tails.iter().map(|tail| tail.level(LOUDEST)).collect();
            Inner { whitener, channels, sums: Sums::new(bound) }
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
        let Inner { whitener, channels, sums } = self.inner.as_mut()?;
        whitener.step(residual);
        sums.update(whitener, residual.at);
        let (score, best) = channels.score(residual.at, Symptom::Residual, &sums.size, &whitener.present);
        let detail = whitener.signals.get(best).map_or(Detail::None, |signal| Detail::Level {
            signal: *signal,
            seen: whitener.standard[best],
            expected: 0.0,
        });
        let onset = sums.since.get(best).copied();
        Some(Observation { score, detail, onset })
    }
    fn forget(&mut self, signal: SignalId) {
        let Some(Inner { channels, sums, .. }) = &mut self.inner else { return };
        for place in channels.places(signal) {
            (sums.up[place], sums.down[place], sums.size[place]) = (0.0, 0.0, 0.0);
        }
    }
    fn remodelled(&mut self) {
        let Some(Inner { whitener, sums, .. }) = &mut self.inner else { return };
        whitener.start_anew();
        *sums = Sums::new(core::mem::take(&mut sums.bound));
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
    use crate::testing::{self, Plant};

    #[test]
    fn a_bias_of_one_deviation_is_found_and_dated() {
        let mut fitted = testing::fit(&super::Cusum, Plant::new(5).run(6_000));
        let mut plant = Plant::new(6);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        let start = plant.now();
        plant.bias[2] = 2.0;
        let onset = testing::onset(&mut *fitted, &mut plant, 200, 7.0).expect("found");
        assert!((onset - start).as_secs_f64().abs() < 20.0, "onset {:?} against {start:?}", onset);
    }

    #[test]
    fn what_another_model_is_off_by_is_found_anew() {
        for told in [true, false] {
            let mut fitted = testing::fit(&super::Cusum, Plant::new(5).run(6_000));
            let mut plant = Plant::new(6);
            assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
            if told {
                fitted.remodelled();
            }
            plant.bias[2] = 1.2;
            let most = testing::loudest(&mut *fitted, &mut plant, 3_000);
            assert_eq!(most < 6.5, told, "{most}");
            plant.bias[2] += 2.0;
            assert!(testing::onset(&mut *fitted, &mut plant, 200, 7.0).is_some(), "then a lie is found");
        }
    }

    /// Six days of another regime are followed; its end is no alarm.
    #[test]
    fn a_plant_that_goes_back_to_what_was_learnt_is_no_alarm() {
        let mut fitted = testing::fit(&super::Cusum, Plant::new(5).run(6_000));
        let mut plant = Plant::new(6);
        for tenth in 0..12 {
            plant.bias[2] = 0.1 * f64::from(tenth);
            assert!(testing::loudest(&mut *fitted, &mut plant, 1_500) < 6.5, "{tenth}");
        }
        plant.bias[2] = 0.0;
        let most = testing::loudest(&mut *fitted, &mut plant, 3_000);
        assert!(most < 6.5, "{most}");
        plant.bias[2] -= 2.0;
        assert!(testing::onset(&mut *fitted, &mut plant, 200, 7.0).is_some(), "then a lie is found");
    }

    #[test]
    fn a_start_where_the_model_is_off_as_it_was_not_in_the_history_is_no_alarm() {
        for side in [-1.2, 1.2] {
            let mut fitted = testing::fit(&super::Cusum, Plant::new(5).run(6_000));
            let mut plant = Plant::new(6);
            plant.bias[2] = side;
            let most = testing::loudest(&mut *fitted, &mut plant, 3_000);
            assert!(most < 6.5, "{side}: {most}");
            plant.bias[2] += 2.0;
            assert!(
                testing::onset(&mut *fitted, &mut plant, 200, 7.0).is_some(),
                "{side}: then a lie is found"
            );
        }
    }
}
