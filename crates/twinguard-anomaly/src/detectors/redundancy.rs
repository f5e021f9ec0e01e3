//! Signals disagree with each other, by learnt redundancy: the model of a plant that has none.
//!
//! Source: leave-one-out regression (each signal from all the others now and one row ago, ridge 0.01·n; Hoerl, Kennard,
//! Technometrics 12, 1970), scored by a moving mean (λ = 0.1) of the standardised error less a slow bounded mean. The error's scale is
//! taken out of fold (five contiguous folds), with a floor of 5 % of the signal's own deviation. Signals that the others mislead about
//! (error above 1.5 deviations) are left out; slow signals, of which the history holds fewer than twenty independent values, are
//! high-passed. No transmitter is believed better than 0.2 % of its reading (class 0.2, IEC 60770): that error is added to every signal's
//! variance, so that a history of many digits does not teach relations that live on digits no instrument has. What contradicts the
//! history all through the first minute of a watch is told, and after the second the baseline: another regime would else hide whatever happens in it. It gets better the more sensors are spoofed without knowing the plant, and lies under attacks that respect all learnt relations.
//! Cost: 2·m² multiplications a row.

use twinguard_types::{Event, Row, SignalId, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    archived,
    detector::{ACCURACY, Channels, gap, tame},
    linalg,
    tail::memory,
    whiten::clipped_moments,
};

const RIDGE: f64 = 0.01;
const FOLDS: usize = 5;
const WEIGHT: f64 = 0.1;
const DRIFT: f64 = 1000.0;
const FLOOR: f64 = 0.05;
const MOST_SIGNALS: usize = 64;
/// Rows in which what differs all along is another regime, as many again to find its baseline, and how far it has to differ, deviations.
const TARE_ROWS: u32 = 60;
const TARED: f64 = 2.5;

/// Each signal from the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redundancy;

/// Standardises rows.
#[derive(Clone, Debug, Default)]
struct Scaler {
    places: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Weight of the high-pass, 0 for none.
    pass: Vec<f64>,
    level: Vec<Option<f64>>,
    /// Now, then one row ago.
    features: Vec<f64>,
    valid: bool,
    ready: bool,
}

archived!(Scaler { places, mean, scale, pass, level, features, valid, ready });

impl Scaler {
    /// Takes a row; true when it and the one before are complete.
    fn step(&mut self, row: &Row<'_>) -> bool {
        let m = self.places.len();
        self.features.copy_within(0..m, m);
        let before = self.valid;
        self.valid = true;
        for channel in 0..m {
            let place = self.places[channel];
            if !row.qualities[place].is_usable() {
                self.valid = false;
                continue;
            }
            let z = ((tame(row.values[place]) - self.mean[channel]) / self.scale[channel]).clamp(-30.0, 30.0);
            let level = self.level[channel].get_or_insert(z);
            *level += self.pass[channel] * (z - *level);
            self.features[channel] = if self.pass[channel] > 0.0 { z - *level } else { z };
        }
        self.ready = before && self.valid;
        self.ready
    }

    fn reset(&mut self) {
        self.level.iter_mut().for_each(|level| *level = None);
        (self.valid, self.ready) = (false, false);
    }
}

/// Weights per target (zero for its own places) and the errors' statistics.
#[derive(Clone, Debug, Default)]
struct Errors {
    weights: Vec<f64>,
    sigma: Vec<f64>,
    drift: Vec<f64>,
    mean: Vec<f64>,
    size: Vec<f64>,
    /// What each target differed by from the start, and the sum over the rows in which that is found out.
    tare: Vec<f64>,
    sum: Vec<f64>,
    rows: u32,
}

archived!(Errors { weights, sigma, drift, mean, size, tare, sum, rows });

impl Errors {
    fn raw(&self, weights: &[f64], features: &[f64], target: usize) -> f64 {
        let width = features.len();
        let row = &weights[target * width..(target + 1) * width];
        features[target] - row.iter().zip(features).map(|(w, f)| w * f).sum::<f64>()
    }

    /// Counts a row of the first minutes. In the first it is found out whether anything differs from the history all along;
    /// if so, slow signals begin at a level of their own, and what still differs in the second minute is the baseline.
    fn begin(&mut self, scaler: &mut Scaler) {
        self.rows += 1;
        let level = |sum: &f64| sum / f64::from(TARE_ROWS);
        if self.rows == TARE_ROWS {
            if !self.sum.iter().any(|sum| level(sum).abs() > TARED) {
                self.rows = 2 * TARE_ROWS;
                return;
            }
            self.sum.fill(0.0);
            scaler.level.iter_mut().for_each(|level| *level = None);
        } else if self.rows == 2 * TARE_ROWS {
            for (tare, sum) in self.tare.iter_mut().zip(&self.sum) {
                *tare = level(sum);
            }
            self.mean.fill(0.0);
            self.size.fill(0.0);
        }
    }

    fn update(&mut self, target: usize, error: f64) {
        let z = (error / self.sigma[target] - self.tare[target]).clamp(-6.0, 6.0) - self.drift[target];
        self.drift[target] = (self.drift[target] + z.clamp(-1.0, 1.0) / DRIFT).clamp(-1.0, 1.0);
        self.mean[target] += WEIGHT * (z - self.mean[target]);
        self.size[target] = self.mean[target] * self.mean[target];
    }
}

struct State {
    layout: Vec<SignalId>,
    scaler: Scaler,
    errors: Errors,
    channels: Channels,
    present: Vec<bool>,
}

archived!(State { layout, scaler, errors, channels, present });

/// `noise`: variance of each signal's instrument, in its normal deviations.
fn solve(gram: &[f64], noise: &[f64], rows: f64) -> Vec<f64> {
    let m = noise.len();
    let width = 2 * m;
    let mut weights = vec![0.0; m * width];
    let (mut matrix, mut x) = (vec![0.0; width * width], vec![0.0; width]);
    for target in 0..m {
        let chosen: Vec<usize> = (0..width).filter(|place| place % m != target).collect();
        let n = chosen.len();
        for (i, from) in chosen.iter().enumerate() {
            for (j, to) in chosen.iter().enumerate() {
                let ridge = if i == j { (RIDGE + noise[from % m]) * rows } else { 0.0 };
                matrix[i * n + j] = gram[from * width + to] + ridge;
            }
            x[i] = gram[from * width + target];
        }
        linalg::cholesky(&mut matrix[..n * n], n, 1e-9);
        linalg::forward(&matrix[..n * n], n, &mut x[..n]);
        linalg::backward(&matrix[..n * n], n, &mut x[..n]);
        for (i, from) in chosen.iter().enumerate() {
            weights[target * width + from] = x[i];
        }
    }
    weights
}

impl Detector for Redundancy {
    fn name(&self) -> &'static str {
        "redundancy"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Redundancy
    }
    fn needs(&self) -> Option<View> {
        Some(View::History)
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let (layout, rows) = history.rows_alike();
        let count = rows.len();
        let mut scaler = Scaler::default();
        for place in 0..layout.len() {
            let column: Vec<f64> = rows
                .iter()
                .filter(|row| row.qualities[place].is_usable())
                .map(|row| tame(row.values[place]))
                .collect();
            let (mean, deviation) = clipped_moments(&column);
            let (low, high) = column
                .iter()
                .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
            if column.len() * 2 < count || column.len() < 300 || deviation <= 1e-9 * (1.0 + mean.abs()) {
                continue;
            }
            if scaler.places.len() == MOST_SIGNALS {
                break;
            }
            let slow = column.len() < 20 * memory(&column, mean, deviation);
            scaler.places.push(place);
            scaler.mean.push(mean);
            // rare binaries and spikes must not own the scale
            scaler.scale.push(deviation.max(0.1 * (high - low)));
            scaler.pass.push(if slow { 1.0 / (count as f64 / 20.0).clamp(20.0, 1800.0) } else { 0.0 });
            scaler.level.push(None);
        }
        let m = scaler.places.len();
        scaler.features = vec![0.0; 2 * m];
        let mut state = State {
            scaler,
            errors: Errors::default(),
            channels: Channels::new(context, Vec::new(), Vec::new()),
            present: Vec::new(),
            layout: layout.clone(),
        };
        if m < 2 {
            state.layout.clear();
            return Ok(Box::new(state));
        }
        let width = 2 * m;
        let fold = |step: usize| (step * FOLDS / count.max(1)).min(FOLDS - 1);
        let mut grams = vec![vec![0.0; width * width]; FOLDS];
        let mut used = [0.0; FOLDS];
        for (step, row) in rows.iter().enumerate() {
            if !state.scaler.step(row) {
                continue;
            }
            let (gram, features) = (&mut grams[fold(step)], &state.scaler.features);
            for i in 0..width {
                for j in 0..=i {
                    gram[i * width + j] += features[i] * features[j];
                }
            }
            used[fold(step)] += 1.0;
        }
        for gram in &mut grams {
            for i in 0..width {
                for j in 0..i {
                    gram[j * width + i] = gram[i * width + j];
                }
            }
        }
        let noise: Vec<f64> = (0..m)
            .map(|channel| {
                let error = ACCURACY * state.scaler.mean[channel].abs() / state.scaler.scale[channel];
                error * error
            })
            .collect();
        let sum_without = |left: Option<usize>| {
            let mut sum = vec![0.0; width * width];
            let mut rows = 0.0;
            for (place, gram) in grams.iter().enumerate().filter(|(place, _)| Some(*place) != left) {
                sum.iter_mut().zip(gram).for_each(|(sum, value)| *sum += value);
                rows += used[place];
            }
            solve(&sum, &noise, rows)
        };
        let cross: Vec<Vec<f64>> = (0..FOLDS).map(|place| sum_without(Some(place))).collect();
        let blank = || vec![0.0; m];
        state.errors = Errors {
            weights: sum_without(None),
            sigma: vec![1.0; m],
            drift: blank(),
            mean: blank(),
            size: blank(),
            tare: blank(),
            sum: blank(),
            rows: 0,
        };
        state.scaler.reset();
        let mut errors = vec![Vec::with_capacity(count); m];
        for (step, row) in rows.iter().enumerate() {
            if state.scaler.step(row) {
                for (target, list) in errors.iter_mut().enumerate() {
                    list.push(state.errors.raw(&cross[fold(step)], &state.scaler.features, target));
                }
            }
        }
        let skip = count / 15;
        let mut samples = vec![Vec::new(); m];
        for target in 0..m {
            let sigma = clipped_moments(&errors[target]).1;
            state.errors.sigma[target] = (sigma * sigma + noise[target]).sqrt().max(FLOOR);
            if sigma > 1.5 {
                continue;
            }
            for (step, error) in errors[target].iter().enumerate() {
                state.errors.update(target, *error);
                if step >= skip {
                    samples[target].push(state.errors.size[target]);
                }
            }
        }
        // the slow means stay where the history left them, the fast ones start anew
        for list in [&mut state.errors.mean, &mut state.errors.size] {
            list.iter_mut().for_each(|value| *value = 0.0);
        }
        (state.scaler.valid, state.scaler.ready) = (false, false);
        let signals: Vec<SignalId> = state.scaler.places.iter().map(|place| layout[*place]).collect();
        // an instrument's error may last: where the history is finer than that, the tail must not be
        let share = |target: usize| noise[target] / (state.errors.sigma[target] * state.errors.sigma[target]);
        let tail =
            |(target, list): (usize, &Vec<f64>)| Tail::fit(list, gap(count), share(target).clamp(0.01, 1.0));
        let tails = samples.iter().enumerate().map(tail).collect();
        state.channels = Channels::new(context, signals, tails);
        state.present = vec![true; m];
        Ok(Box::new(state))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if self.layout.is_empty() || row.signals != self.layout || !self.scaler.step(row) {
            return None;
        }
        for target in 0..self.scaler.places.len() {
            let error = self.errors.raw(&self.errors.weights, &self.scaler.features, target);
            self.errors.update(target, error);
            if self.errors.rows < 2 * TARE_ROWS {
                self.errors.sum[target] += (error / self.errors.sigma[target]).clamp(-30.0, 30.0);
            }
        }
        if self.errors.rows < 2 * TARE_ROWS {
            self.errors.begin(&mut self.scaler);
        }
        let (score, best) =
            self.channels.score(row.at, Symptom::Redundancy, &self.errors.size, &self.present);
        let place = self.scaler.places[best];
        let seen = row.values[place];
        let error = self.errors.mean[best] * self.errors.sigma[best] * self.scaler.scale[best];
        let detail = Detail::Level { signal: self.layout[place], seen, expected: seen - error };
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        for place in self.channels.places(signal) {
            (self.errors.mean[place], self.errors.size[place]) = (0.0, 0.0);
        }
    }
    fn coverage(&self) -> Coverage {
        self.channels.coverage("no signal in the history is predicted by the others")
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn another_regime_is_told_and_then_hides_nothing() {
        let mut fitted = testing::fit(&super::Redundancy, Plant::new(1).run(12_000));
        let mut plant = Plant::new(2);
        plant.bias[0] = 4.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 120) > 7.0, "told");
        assert!(testing::loudest(&mut *fitted, &mut plant, 1_000) < 6.5, "then the baseline");
        plant.bias[1] = 4.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 60) > 7.0, "what comes then shows");
    }

    #[test]
    fn a_lying_sensor_contradicts_the_others() {
        let mut fitted = testing::fit(&super::Redundancy, Plant::new(1).run(12_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.bias[0] = 4.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 60) > 7.0);
    }
}
