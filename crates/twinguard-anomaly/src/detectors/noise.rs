//! More or less noise than normal.
//!
//! Source: variance from successive differences (von Neumann, Annals of Mathematical Statistics 12, 1941), which a bias does not
//! move; the ratio r of its moving mean to normal is scored by r − 1 − ln r (the Kullback–Leibler distance of two
//! variances), on both sides. Differences are clipped at 3 normal deviations: one step is not noise. It lies for signals that
//! hardly ever change: they are left out.

use twinguard_types::{Event, Row, SignalId, Symptom};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
    detector::{Channels, tame, transpose},
};

const WEIGHT: f64 = 1.0 / 32.0;

/// Noise change by successive differences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise;

struct State {
    channels: Channels,
    order: Vec<SignalId>,
    scale: Vec<f64>,
    ratio: Vec<f64>,
    size: Vec<f64>,
    last: Vec<Option<f64>>,
    present: Vec<bool>,
}

archived!(State { channels, order, scale, ratio, size, last, present });

impl State {
    fn step(&mut self, row: &Row<'_>) {
        for place in 0..self.scale.len() {
            let value = row.qualities[place].is_usable().then(|| tame(row.values[place]));
            let before = core::mem::replace(&mut self.last[place], value);
            self.present[place] = false;
            if let (Some(value), Some(before)) = (value, before)
                && self.scale[place] > 0.0
            {
                let term = ((value - before) * (value - before) / self.scale[place]).min(9.0);
                let ratio = &mut self.ratio[place];
                *ratio += WEIGHT * (term - *ratio);
                let r = ratio.max(1e-3);
                self.size[place] = r - 1.0 - libm::log(r);
                self.present[place] = true;
            }
        }
    }
}

impl Detector for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Noise
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let (order, rows) = history.rows_alike();
        let n = order.len();
        let mut scale = vec![0.0; n];
        for (place, slot) in scale.iter_mut().enumerate() {
            let (mut before, mut squares) = (None, Vec::new());
            for row in &rows {
                let value = row.qualities[place].is_usable().then(|| tame(row.values[place]));
                if let (Some(value), Some(before)) = (value, before) {
                    let change: f64 = value - before;
                    squares.push(change * change);
                }
                before = value;
            }
            let moves = squares.iter().filter(|square| **square > 0.0).count();
            if squares.len() >= 1_000 && moves * 5 >= squares.len() {
                let mean = squares.iter().sum::<f64>() / squares.len() as f64;
                // once more with steps pulled in
                let clipped = squares.iter().map(|square| square.min(9.0 * mean)).sum::<f64>();
                *slot = clipped / squares.len() as f64;
            }
        }
        let blank = || vec![0.0; n];
        let mut state = State {
            channels: Channels::new(context, Vec::new(), Vec::new()),
            order: order.clone(),
            scale,
            ratio: vec![1.0; n],
            size: blank(),
            last: vec![None; n],
            present: vec![false; n],
        };
        let mut samples = vec![Vec::new(); n];
        for (step, row) in rows.iter().enumerate() {
            state.step(row);
            for place in 0..n {
                if state.present[place] && step > 100 {
                    samples[place].push(state.size[place]);
                }
            }
        }
        // channels are in the order of the row: the index is not searched
        state.channels = Channels::new(context, order, transpose(&samples, 100, 0.02));
        (state.ratio, state.size, state.last) = (vec![1.0; n], blank(), vec![None; n]);
        Ok(Box::new(state))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if row.signals != self.order || self.order.is_empty() {
            return None;
        }
        self.step(row);
        let changed = self.size.iter().zip(&self.present).filter(|(size, present)| **present && **size > 0.5);
        let share = changed.count() as f64 / self.order.len() as f64;
        let (score, best) = self.channels.score(row.at, Symptom::Noise, &self.size, &self.present);
        let detail = Detail::Noise { signal: self.order[best], factor: self.ratio[best], share };
        Some(Observation { score, detail, onset: None })
    }
    fn forget(&mut self, signal: SignalId) {
        for place in self.channels.places(signal) {
            (self.ratio[place], self.size[place], self.last[place]) = (1.0, 0.0, None);
        }
    }
    fn coverage(&self) -> Coverage {
        self.channels.coverage("no signal in the history has noise")
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, Plant};

    #[test]
    fn doubled_noise_is_found_and_a_bias_is_not_noise() {
        let mut fitted = testing::fit(&super::Noise, Plant::new(1).run(6_000));
        let mut plant = Plant::new(2);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.bias[0] = 3.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 300) < 6.5);
        plant.noise[1] *= 4.0;
        assert!(testing::loudest(&mut *fitted, &mut plant, 200) > 7.0);
    }
}
