//! Normalised innovation squared: the whole residual vector at once.
//!
//! Source: Bar-Shalom, Li, Kirubarajan, *Estimation with Applications to Tracking and Navigation* (2001), §5.4.2. With learnt
//! offset, autocorrelation and covariance ([`Whitener`]) the squared length is χ² with as many degrees of freedom as channels;
//! the surprise is the smaller of that law's and of the tail learnt on normal history, so a model that is
//! off by a few per cent does not alarm. Without history: the filter's own χ², with deviations taken as twice what it says.
//! Cost: n²/2 multiplications a sample. It lies when the filter swallows the attack (slow ramps): see CUSUM.

use twinguard_types::{Attribution, DetectorId, Event, Score, SignalId, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived, detector::gap, special::chi_squared_surprise, whiten::Whitener,
};

/// χ² on whitened residuals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nis;

struct State {
    id: DetectorId,
    whitener: Option<Whitener>,
    tail: Tail,
    shares: Vec<Attribution>,
}

archived!(State { id, whitener, tail, shares });

impl Detector for Nis {
    fn name(&self) -> &'static str {
        "nis"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Residual
    }
    fn needs(&self) -> Option<View> {
        Some(View::Model)
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let blank = Attribution { signal: SignalId(0), share: 0.0 };
        let mut state =
            State { id: context.id, whitener: None, tail: Tail::default(), shares: vec![blank; 8] };
        if let Some(mut whitener) = Whitener::fit(history) {
            let mut runner = whitener.clone();
            let mut samples = Vec::new();
            for residual in history.residuals() {
                runner.step(&residual);
                let (squared, dof) = runner.squared();
                if dof > 0 {
                    samples.push(squared / dof as f64);
                }
            }
            let skip = samples.len() / 50;
            state.tail = Tail::fit(&samples[skip..], gap(samples.len()), 0.1);
            whitener.follow(&runner);
            state.whitener = Some(whitener);
        }
        Ok(Box::new(state))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Residual(residual) = event else { return None };
        let mut named = 0;
        let (mut detail, surprise) = (
            Detail::None,
            match &mut self.whitener {
                Some(whitener) => {
                    whitener.step(residual);
                    let (squared, dof) = whitener.squared();
                    if dof == 0 {
                        return None;
                    }
                    let learnt = self.tail.surprise(squared / dof as f64);
                    if learnt < 1.0 { learnt } else { learnt.min(chi_squared_surprise(squared, dof)) }
                }
                None => chi_squared_surprise(residual.nis / 4.0, residual.dof),
            },
        );
        if let (Some(whitener), true) = (&self.whitener, surprise >= 1.0) {
            let share = |place: usize| {
                if whitener.present[place] {
                    whitener.standard[place] * whitener.standard[place]
                } else {
                    0.0
                }
            };
            while named < self.shares.len() {
                let held = &self.shares[..named];
                let next = (0..whitener.signals.len())
                    .filter(|place| share(*place) > 4.0)
                    .filter(|place| !held.iter().any(|held| held.signal == whitener.signals[*place]))
                    .max_by(|a, b| share(*a).total_cmp(&share(*b)).then(b.cmp(a)));
                let Some(next) = next else { break };
                if named == 0 {
                    let signal = whitener.signals[next];
                    detail = Detail::Level { signal, seen: whitener.standard[next], expected: 0.0 };
                }
                self.shares[named] = Attribution { signal: whitener.signals[next], share: share(next) };
                named += 1;
            }
            let sum: f64 = self.shares[..named].iter().map(|held| held.share).sum();
            self.shares[..named].iter_mut().for_each(|held| held.share /= sum);
        }
        let attribution = &self.shares[..named];
        let score =
            Score { at: residual.at, detector: self.id, symptom: Symptom::Residual, surprise, attribution };
        Some(Observation { score, detail, onset: None })
    }
    fn remodelled(&mut self) {
        self.whitener.iter_mut().for_each(Whitener::start_anew);
    }
    fn coverage(&self) -> Coverage {
        match self.whitener {
            Some(_) => {
                Coverage::Calibrated { samples: self.tail.samples(), excursions: self.tail.excursions() }
            }
            None => Coverage::Assumed,
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
    fn a_biased_sensor_is_surprising_and_noise_is_not() {
        let mut fitted = testing::fit(&super::Nis, Plant::new(1).run(12_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 2_000) < 6.5);
        plant.bias[0] = 2.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 20) > 7.0);
    }

    #[test]
    fn without_history_only_gross_residuals_speak() {
        let mut fitted = testing::fit(&super::Nis, Plant::new(1).run(0));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 2_000) < 6.0);
        plant.bias[0] = 5.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 20) > 9.0);
    }
}
