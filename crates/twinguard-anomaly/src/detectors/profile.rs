//! Left matrix profile: how far is the shape of the last rows of a signal from every shape that was there before?
//!
//! Source: Yeh et al., *Matrix Profile I*, IEEE ICDM 2016, eq. 1 (z-normalised distance from inner products, means and deviations) and
//! §III.D (an inner product of the next pair of windows follows from the last one in two multiplications); left nearest neighbours as in
//! DAMP (Lu, Wu, Mueen, Zuluaga, Keogh, KDD 2022, §3): only what was before counts. Windows of 32 rows against a thousand rows of the
//! history, which an attack cannot teach. Cost: two multiplications and a division for each remembered row of each signal. It knows shapes,
//! not levels and not sizes: a scaled copy is the same.

use twinguard_types::Symptom;

use crate::{
    archived, row_detector,
    rows::{RowModel, Standard},
};

const LENGTH: usize = 32;
const MEMORY: usize = 1024;
/// Deviation below which a window is flat: it has no shape.
const FLAT: f64 = 0.05;
/// Rows after which running products are computed anew.
const ANEW: usize = 4096;

/// Matrix profile of single signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Profile;

row_detector!(Profile, Model, "profile", Symptom::Redundancy);

#[derive(Clone, Debug, Default)]
struct Signal {
    memory: Vec<f64>,
    /// Mean and one over the deviation of each remembered window; 0 for a flat one.
    mean: Vec<f64>,
    inverse: Vec<f64>,
    /// Inner products of the present window with each remembered one.
    products: Vec<f64>,
    /// The last rows, written twice.
    ring: Vec<f64>,
}

archived!(Signal { memory, mean, inverse, products, ring });

struct Model {
    signals: Vec<Signal>,
    at: usize,
    filled: usize,
    rows: usize,
}

archived!(Model { signals, at, filled, rows });

/// Mean and one over the deviation of a window; 0 when it is flat.
fn moments(window: &[f64]) -> (f64, f64) {
    let n = window.len() as f64;
    let mean = window.iter().sum::<f64>() / n;
    let deviation = (window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    (mean, if deviation > FLAT { 1.0 / deviation } else { 0.0 })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Signal {
    fn learn(memory: &[f64]) -> Self {
        let (mean, inverse): (Vec<f64>, Vec<f64>) = memory.windows(LENGTH).map(moments).unzip();
        let products = vec![0.0; mean.len()];
        Self { memory: memory.to_vec(), mean, inverse, products, ring: vec![0.0; 2 * LENGTH] }
    }

    /// Squared z-normalised distance to the nearest remembered window. `gone`: the value that left the window.
    fn nearest(&mut self, at: usize, gone: f64, anew: bool) -> f64 {
        let window = &self.ring[at + 1..=at + LENGTH];
        let newest = window[LENGTH - 1];
        if anew {
            for (product, past) in self.products.iter_mut().zip(self.memory.windows(LENGTH)) {
                *product = dot(past, window);
            }
        } else {
            for i in (1..self.products.len()).rev() {
                self.products[i] =
                    self.products[i - 1] - self.memory[i - 1] * gone + self.memory[i + LENGTH - 1] * newest;
            }
            self.products[0] = dot(&self.memory[..LENGTH], window);
        }
        let (mean, inverse) = moments(window);
        if inverse == 0.0 {
            // no shape: as far as a shape from its mirror's middle
            return 0.0;
        }
        let n = LENGTH as f64;
        let mut best = -1.0_f64;
        for ((product, other), scale) in self.products.iter().zip(&self.mean).zip(&self.inverse) {
            let correlation = (product / n - mean * other) * inverse * scale;
            best = if correlation > best { correlation } else { best };
        }
        2.0 * n * (1.0 - best.min(1.0))
    }
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let signals = (0..rows.channels)
            .map(|channel| {
                let column = rows.column(channel);
                Signal::learn(&column[column.len().saturating_sub(MEMORY)..])
            })
            .collect();
        (rows.rows() >= 2 * LENGTH).then_some(Self { signals, at: 0, filled: 0, rows: 0 })
    }

    fn statistics(&self) -> usize {
        self.signals.len()
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        self.filled = (self.filled + 1).min(LENGTH + 1);
        self.rows = (self.rows + 1) % ANEW;
        let anew = self.filled <= LENGTH || self.rows == 0;
        for ((signal, z), out) in self.signals.iter_mut().zip(z).zip(out) {
            let gone = signal.ring[self.at];
            (signal.ring[self.at], signal.ring[self.at + LENGTH]) = (*z, *z);
            if self.filled >= LENGTH {
                *out = signal.nearest(self.at, gone, anew);
            }
        }
        self.at = (self.at + 1) % LENGTH;
        (self.filled >= LENGTH).then_some(0)
    }

    fn begin(&mut self) {
        (self.filled, self.rows) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn running_products_are_the_plain_distances() {
        let value = |t: usize| (t as f64 / 5.0).sin() + (t * 7919 % 101) as f64 / 100.0;
        let column: Vec<f64> = (0..400).map(value).collect();
        let mut model = Model::learn(&Standard { channels: 1, values: &column, seed: 0 }).unwrap();
        let normal = |window: &[f64]| -> Vec<f64> {
            let (mean, inverse) = moments(window);
            window.iter().map(|x| (x - mean) * inverse).collect()
        };
        let mut out = [0.0];
        for t in 0..ANEW + 200 {
            let x = |t: usize| value(t * 3 + 17);
            if model.step(&[x(t)], &mut out).is_none() || t % 61 != 0 {
                continue;
            }
            let window = normal(&(t + 1 - LENGTH..=t).map(x).collect::<Vec<_>>());
            let naive = column
                .windows(LENGTH)
                .map(|past| normal(past).iter().zip(&window).map(|(a, b)| (a - b) * (a - b)).sum::<f64>())
                .fold(f64::MAX, f64::min);
            assert!((out[0] - naive).abs() < 1e-6, "{t}: {} for {naive}", out[0]);
        }
    }

    #[test]
    fn a_shape_that_never_was_is_far() {
        // a wave in one signal, noise in the other; then the wave is cut
        let mut seed = 3_u64;
        let mut noise = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        let values: Vec<f64> = (0..1200).map(|t| (t as f64 / 6.0).sin() + 0.1 * noise()).collect();
        let mut model = Model::learn(&Standard { channels: 1, values: &values[..800], seed: 0 }).unwrap();
        let mut out = [0.0];
        let mut most = [0.0_f64; 2];
        for (t, x) in values[800..].iter().enumerate() {
            let x = if (250..270).contains(&t) { -*x } else { *x };
            if model.step(&[x], &mut out).is_some() {
                let late = usize::from(t >= 250);
                most[late] = most[late].max(out[0]);
            }
        }
        assert!(most[1] > 4.0 * most[0], "{most:?}");
        assert!(testing::fit(&Profile, Plant::new(3).run(2_000)).coverage() != crate::Coverage::Assumed);
    }
}
