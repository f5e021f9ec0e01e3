//! What the liar has: an autoencoder of normal rows, 40–24–12–24–40 with tanh inside, learnt by Adam (Kingma, Ba, ICLR 2015, algorithm 1). What
//! it makes of an attacked row looks normal, and stands in for the readings that would tell (Erba et al., ACSAC 2020, §4.2).

use twinguard::twin::simulator::Noise;

use crate::below;

const INNER: [usize; 3] = [24, 12, 24];
const EPOCHS: usize = 40;
const BATCH: usize = 16;

/// Weights of a layer, by output: inputs, then the offset.
#[derive(Clone, Debug)]
struct Layer {
    inputs: usize,
    weights: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    gradient: Vec<f64>,
    bent: bool,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, bent: bool, draw: &mut Noise) -> Self {
        let size = outputs * (inputs + 1);
        let scale = (1.0 / inputs as f64).sqrt();
        let weights = (0..size).map(|_| scale * draw.gaussian()).collect();
        Self {
            inputs,
            weights,
            first: vec![0.0; size],
            second: vec![0.0; size],
            gradient: vec![0.0; size],
            bent,
        }
    }

    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let bend = |sum: f64| if self.bent { sum.tanh() } else { sum };
        let output = |w: &[f64]| {
            bend(w[..self.inputs].iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + w[self.inputs])
        };
        self.weights.chunks_exact(self.inputs + 1).map(output).collect()
    }

    /// Adds to the gradient; what the error is at the inputs.
    fn back(&mut self, x: &[f64], y: &[f64], error: &[f64]) -> Vec<f64> {
        let mut before = vec![0.0; self.inputs];
        let width = self.inputs + 1;
        let rows = self.weights.chunks_exact(width).zip(self.gradient.chunks_exact_mut(width));
        for ((weights, gradient), (y, error)) in rows.zip(y.iter().zip(error)) {
            let slope = if self.bent { error * (1.0 - y * y) } else { *error };
            for (place, x) in x.iter().enumerate() {
                gradient[place] += slope * x;
                before[place] += slope * weights[place];
            }
            gradient[self.inputs] += slope;
        }
        before
    }

    fn adam(&mut self, rate: f64, step: i32) {
        let (a, b): (f64, f64) = (0.9, 0.999);
        let (fix_a, fix_b) = (1.0 - a.powi(step), 1.0 - b.powi(step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((weight, gradient), (first, second)) in
            self.weights.iter_mut().zip(&mut self.gradient).zip(moments)
        {
            let g = std::mem::take(gradient) / BATCH as f64;
            *first = a * *first + (1.0 - a) * g;
            *second = b * *second + (1.0 - b) * g * g;
            *weight -= rate * (*first / fix_a) / ((*second / fix_b).sqrt() + 1e-8);
        }
    }
}

/// A learnt autoencoder.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    layers: Vec<Layer>,
}

impl Autoencoder {
    /// From rows of normal operation.
    pub fn learn(rows: &[f64], width: usize, seed: u64) -> Self {
        let count = (rows.len() / width) as f64;
        let column = |j: usize| rows.iter().skip(j).step_by(width);
        let mean: Vec<f64> = (0..width).map(|j| column(j).sum::<f64>() / count).collect();
        let deviation = (0..width)
            .map(|j| (column(j).map(|x| (x - mean[j]).powi(2)).sum::<f64>() / count).sqrt().max(1e-9))
            .collect();
        let mut draw = Noise::new(seed, 3);
        let mut layers = Vec::new();
        let mut inputs = width;
        for outputs in INNER {
            layers.push(Layer::new(inputs, outputs, true, &mut draw));
            inputs = outputs;
        }
        layers.push(Layer::new(inputs, width, false, &mut draw));
        let mut it = Self { mean, deviation, layers };
        let mut order: Vec<usize> = (0..rows.len() / width).collect();
        let mut step = 0;
        for epoch in 0..EPOCHS {
            for place in (1..order.len()).rev() {
                order.swap(place, below(&mut draw, place + 1));
            }
            let rate = 2e-3 * (1.0 - epoch as f64 / EPOCHS as f64) + 1e-4;
            for batch in order.chunks_exact(BATCH) {
                for place in batch {
                    it.teach(&rows[place * width..(place + 1) * width]);
                }
                step += 1;
                it.layers.iter_mut().for_each(|layer| layer.adam(rate, step));
            }
        }
        it
    }

    fn scaled(&self, row: &[f64]) -> Vec<f64> {
        row.iter()
            .zip(&self.mean)
            .zip(&self.deviation)
            .map(|((x, mean), deviation)| (x - mean) / deviation)
            .collect()
    }

    fn teach(&mut self, row: &[f64]) {
        let mut seen = vec![self.scaled(row)];
        for layer in &self.layers {
            let y = layer.forward(seen.last().map_or(&[], Vec::as_slice));
            seen.push(y);
        }
        let last = seen.len() - 1;
        let mut error: Vec<f64> = seen[last].iter().zip(&seen[0]).map(|(y, x)| y - x).collect();
        for (place, layer) in self.layers.iter_mut().enumerate().rev() {
            error = layer.back(&seen[place], &seen[place + 1], &error);
        }
    }

    /// The row as it makes it, in units.
    pub fn make(&self, row: &[f64]) -> Vec<f64> {
        let made = self.layers.iter().fold(self.scaled(row), |x, layer| layer.forward(&x));
        made.iter()
            .zip(&self.mean)
            .zip(&self.deviation)
            .map(|((z, mean), deviation)| mean + z * deviation)
            .collect()
    }

    /// Deviations between a row and what it makes of it, by channel.
    pub fn gaps(&self, row: &[f64]) -> Vec<f64> {
        self.make(row)
            .iter()
            .zip(row)
            .zip(&self.deviation)
            .map(|((made, x), deviation)| ((made - x) / deviation).abs())
            .collect()
    }
}
