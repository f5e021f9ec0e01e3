//! Dynamic watermarking: a small secret excitation goes out with the commands; measurements that do not answer it are not of now.
//!
//! Source: Mo, Weerakkody, Sinopoli, *Physical Authentication of Control Systems*, IEEE Control Systems 35, 2015; Satchidanandan, Kumar,
//! *Dynamic Watermarking*, Proc. IEEE 105, 2017, §III (correlation of what is measured with what was secretly added). Here: a signal is
//! regressed on its own last value and on the last excitations (least squares); the answer r of a row is the excitation's part. When the
//! measurement is of now, what is left of it after r is noise; when it was recorded earlier (replay) or made up (covert, by who does not
//! know the secret), it knows nothing of r. The logarithm of the ratio of the two densities is summed (Page, 1954); under normal operation
//! the sum passes g once in e^g rows at the most often (Lorden, Ann. Math. Statist. 42, 1971, Theorem 2), so g/ln 10 is a surprise. Cost: a
//! product over the lags a row. It says nothing while the excitation is off, and cannot tell a replay from an actuator that is cut off.
//!
//! ```
//! use twinguard_anomaly::watermark::{Excitation, Watermark};
//!
//! let excitation = Excitation::new(&[7; 32], 4); // held for four rows
//! let noise = |t: u64| (t * 7919 % 101) as f64 / 50.0 - 1.0;
//! let plant = |from: u64, rows: u64| {
//!     let mut level = 0.0;
//!     (from..from + rows).map(move |t| { level = 0.8 * level + 0.4 * Excitation::new(&[7; 32], 4).at(t) + noise(t); level })
//! };
//! let normal: Vec<f64> = plant(0, 4000).collect();
//! let added: Vec<f64> = (0..4000).map(|t| excitation.at(t)).collect();
//! let mut watermark = Watermark::fit(&normal, &added)?;
//! let now = plant(4000, 1000).zip(4000..).map(|(y, t)| watermark.step(y, excitation.at(t))).fold(0.0, f64::max);
//! let replayed = normal.iter().zip(5000..).map(|(y, t)| watermark.step(*y, excitation.at(t))).fold(0.0, f64::max);
//! assert!(now < 3.0 && replayed > 6.0, "{now} {replayed}");
//! # Ok::<(), twinguard_anomaly::Error>(())
//! ```

use crate::{
    Error,
    linalg::{backward, cholesky, forward},
};

/// Rows for which an excitation is felt.
const LAGS: usize = 8;
const WIDTH: usize = LAGS + 2;
/// Sums beyond this say no more.
const BEYOND: f64 = 60.0;

/// A secret sequence of −1 and 1, by a keyed hash: who does not hold the key cannot tell the next one.
#[derive(Clone)]
pub struct Excitation {
    key: [u8; 32],
    hold: u64,
}

impl core::fmt::Debug for Excitation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Excitation").field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl Excitation {
    /// Of this key; each value is held for `hold` rows (1 at least).
    #[must_use]
    pub fn new(key: &[u8; 32], hold: u32) -> Self {
        Self { key: *key, hold: u64::from(hold.max(1)) }
    }

    /// The value of a row, to be multiplied by what the plant may be moved.
    #[must_use]
    pub fn at(&self, row: u64) -> f64 {
        let hash = blake3::keyed_hash(&self.key, &(row / self.hold).to_le_bytes());
        if hash.as_bytes()[0] & 1 == 0 { -1.0 } else { 1.0 }
    }
}

/// The test of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Watermark {
    /// Weights of the last value, the last excitations (newest first), and 1.
    weights: [f64; WIDTH],
    /// Variance of what is left, and of the answer.
    noise: f64,
    answer: f64,
    last: f64,
    recent: [f64; LAGS],
    rows: usize,
    sum: f64,
}

crate::archived!(Watermark { weights, noise, answer, last, recent, rows, sum });

impl Watermark {
    /// Learns how a signal answers the excitation that was added in the same rows.
    ///
    /// # Errors
    /// [`Error::Lengths`] for sequences of unequal length; [`Error::Training`] for fewer than 200 rows, values that are not finite, or a
    /// signal whose answer does not stand out from its noise (less than six deviations of what chance gives).
    pub fn fit(signal: &[f64], added: &[f64]) -> Result<Self, Error> {
        if signal.len() != added.len() {
            return Err(Error::Lengths { labels: signal.len(), scores: added.len() });
        }
        let n = signal.len();
        if n < 200 {
            return Err(Error::Training { reason: "there must be 200 rows at least", count: n });
        }
        if let Some(place) = signal.iter().zip(added).position(|(y, w)| !y.is_finite() || !w.is_finite()) {
            return Err(Error::Training { reason: "a value is not finite", count: place });
        }
        let mut gram = vec![0.0; WIDTH * WIDTH];
        let mut weights = [0.0; WIDTH];
        let features = |t: usize| -> [f64; WIDTH] {
            core::array::from_fn(|k| match k {
                0 => signal[t - 1],
                k if k <= LAGS => added[t + 1 - k],
                _ => 1.0,
            })
        };
        for t in LAGS..n {
            let x = features(t);
            for i in 0..WIDTH {
                weights[i] += x[i] * signal[t];
                (0..=i).for_each(|j| gram[i * WIDTH + j] += x[i] * x[j]);
            }
        }
        cholesky(&mut gram, WIDTH, 1e-12);
        forward(&gram, WIDTH, &mut weights);
        backward(&gram, WIDTH, &mut weights);
        let rows = (n - LAGS) as f64;
        let (mut left, mut answer) = (0.0, 0.0);
        for t in LAGS..n {
            let x = features(t);
            let whole: f64 = weights.iter().zip(&x).map(|(w, x)| w * x).sum();
            let part: f64 = weights[1..=LAGS].iter().zip(&x[1..=LAGS]).map(|(w, x)| w * x).sum();
            left += (signal[t] - whole) * (signal[t] - whole);
            answer += part * part;
        }
        // chance alone gives a χ² of as many degrees of freedom as lags
        let found = answer / (left / rows).max(1e-300);
        if found < LAGS as f64 + 6.0 * (2.0 * LAGS as f64).sqrt() {
            return Err(Error::Training { reason: "the signal does not answer the excitation", count: n });
        }
        Ok(Self {
            weights,
            noise: (left / rows).max(1e-12 * answer / rows),
            answer: answer / rows,
            last: 0.0,
            recent: [0.0; LAGS],
            rows: 0,
            sum: 0.0,
        })
    }

    /// Surprise after a row that was measured and the excitation that was added in it. What is not finite is no row, and the test waits for
    /// as many rows as it looks back.
    pub fn step(&mut self, measured: f64, added: f64) -> f64 {
        if !measured.is_finite() || !added.is_finite() {
            self.rows = 0;
            return self.surprise();
        }
        self.recent.copy_within(0..LAGS - 1, 1);
        self.recent[0] = added;
        let left = measured - self.weights[0] * self.last - self.weights[WIDTH - 1];
        self.last = measured;
        self.rows = (self.rows + 1).min(LAGS + 1);
        if self.rows > LAGS {
            let answer: f64 = self.weights[1..=LAGS].iter().zip(&self.recent).map(|(w, x)| w * x).sum();
            let elsewhere = self.noise + self.answer;
            let now = (left - answer) * (left - answer) / self.noise;
            let ratio = 0.5 * (now - left * left / elsewhere - libm::log(elsewhere / self.noise));
            self.sum = (self.sum + ratio.clamp(-BEYOND, BEYOND)).clamp(0.0, BEYOND);
        }
        self.surprise()
    }

    /// −log₁₀ of how often normal operation gets here, per row.
    #[must_use]
    pub fn surprise(&self) -> f64 {
        self.sum / core::f64::consts::LN_10
    }

    /// Power of the answer over that of the noise: a replay is told after about twice one over it, times the asked surprise, rows.
    #[must_use]
    pub fn strength(&self) -> f64 {
        self.answer / self.noise
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// A first-order plant that feels the excitation two rows later; `key` is that of who drives it.
    fn plant(seed: u64, from: u64, rows: u64, key: u8) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let excitation = Excitation::new(&[key; 32], 3);
        let mut y = 0.0;
        (from..from + rows)
            .map(|t| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                y = 0.9 * y + 0.3 * excitation.at(t.saturating_sub(2)) + noise;
                y
            })
            .collect()
    }

    fn added(from: u64, rows: u64) -> Vec<f64> {
        let excitation = Excitation::new(&[1; 32], 3);
        (from..from + rows).map(|t| excitation.at(t)).collect()
    }

    fn loudest(watermark: &Watermark, y: &[f64], w: &[f64]) -> f64 {
        let mut watermark = watermark.clone();
        y.iter().zip(w).map(|(y, w)| watermark.step(*y, *w)).fold(0.0, f64::max)
    }

    #[test]
    fn replay_and_invention_are_told_from_now() {
        let normal = plant(1, 0, 20_000, 1);
        let watermark = Watermark::fit(&normal, &added(0, 20_000)).unwrap();
        assert!((watermark.weights[0] - 0.9).abs() < 0.02 && (watermark.weights[3] - 0.3).abs() < 0.05);
        let w = added(20_000, 2000);
        assert!(loudest(&watermark, &plant(2, 20_000, 2000, 1), &w) < 4.0);
        assert!(loudest(&watermark, &normal[5000..7000], &w) > 8.0, "replay");
        assert!(
            loudest(&watermark, &plant(3, 20_000, 2000, 9), &w) > 8.0,
            "a model of the plant, another key"
        );
    }

    #[test]
    fn false_alarms_are_as_rare_as_the_surprise_says() {
        let watermark = Watermark::fit(&plant(1, 0, 20_000, 1), &added(0, 20_000)).unwrap();
        let (rows, mut watermark, mut passes) = (200_000, watermark, 0);
        for (y, w) in plant(5, 20_000, rows, 1).iter().zip(added(20_000, rows)) {
            if watermark.step(*y, w) > 3.0 {
                passes += 1;
                watermark.sum = 0.0;
            }
        }
        // one in a thousand rows at the most often
        assert!(passes <= 200, "{passes}");
    }

    #[test]
    fn a_signal_that_does_not_answer_is_refused() {
        let deaf = plant(1, 0, 4000, 9);
        assert!(Watermark::fit(&deaf, &added(0, 4000)).is_err());
        assert!(Watermark::fit(&deaf, &added(0, 10)).is_err());
        assert!(Watermark::fit(&deaf[..50], &added(0, 50)).is_err());
        assert!(Watermark::fit(&[f64::NAN; 300], &added(0, 300)).is_err());
    }

    #[test]
    fn gaps_wait_and_the_key_stays_secret() {
        let mut watermark = Watermark::fit(&plant(1, 0, 4000, 1), &added(0, 4000)).unwrap();
        let before = watermark.step(0.3, 1.0);
        assert_eq!(watermark.step(f64::NAN, 1.0), before);
        assert_eq!(watermark.step(1e6, 1.0), before, "it has to see eight rows first");
        assert!(!format!("{:?}", Excitation::new(&[0xab; 32], 2)).contains("171"));
    }
}
