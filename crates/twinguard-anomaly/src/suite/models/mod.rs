//! What the suite fits to normal rows: one file a model, each with its source and its tests. A model turns rows into residuals or into one
//! statistic per row, out of fold in training and causally afterwards.

mod crossed;
mod patches;
mod subspace;
mod var;
mod windows;

pub(super) use crossed::{Crossed, CrossedState};
pub(super) use patches::Patches;
pub(super) use subspace::Subspace;
pub(super) use var::{Var, VarState};
pub(super) use windows::Windows;

use super::prepare::{History, Scales};

/// Contiguous parts of the training rows; each is scored by models that did not see it.
pub(super) const FOLDS: usize = 5;

/// Most channels whose shapes are learnt.
const SHAPED: usize = 8;

/// Which part a row belongs to.
pub(super) fn fold(t: usize, rows: usize) -> usize {
    (t * FOLDS / rows.max(1)).min(FOLDS - 1)
}

/// The inner product, summed in eight lanes of fixed order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (whole_a, whole_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = whole_a.remainder().iter().zip(whole_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in whole_a.zip(whole_b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let half = |k: usize| (lanes[k] + lanes[k + 4]) + (lanes[k + 1] + lanes[k + 5]);
    half(0) + half(2) + rest
}

/// The last rows of some channels; each channel's window is one slice, the newest value last.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    length: usize,
    /// Twice the length per channel, written twice.
    buffer: Vec<f64>,
    at: usize,
    filled: usize,
    scratch: Vec<f64>,
}

crate::archived!(Recent { length, buffer, at, filled, scratch });

impl Recent {
    fn new(length: usize, channels: usize) -> Self {
        Self {
            length,
            buffer: vec![0.0; 2 * length * channels],
            at: 0,
            filled: 0,
            scratch: vec![0.0; length],
        }
    }

    /// Sum of a statistic of the windows, once they are full.
    fn step(
        &mut self,
        channels: &[usize],
        row: &[f64],
        mut statistic: impl FnMut(usize, &[f64], &mut [f64]) -> f64,
    ) -> Option<f64> {
        let length = self.length;
        self.filled = (self.filled + 1).min(length);
        let full = self.filled == length;
        let mut sum = 0.0;
        for ((place, channel), buffer) in
            channels.iter().enumerate().zip(self.buffer.chunks_exact_mut(2 * length))
        {
            let x = row[*channel];
            (buffer[self.at], buffer[self.at + length]) = (x, x);
            if full {
                sum += statistic(place, &buffer[self.at + 1..=self.at + length], &mut self.scratch);
            }
        }
        self.at = (self.at + 1) % length;
        full.then(|| sum / channels.len().max(1) as f64)
    }

    pub(super) fn sound(&self, length: usize, channels: usize) -> bool {
        self.length == length
            && length > 0
            && self.buffer.len() == 2 * length * channels
            && self.at < length
            && self.filled <= length
            && self.scratch.len() == length
    }
}

/// The length of windows that a history can teach: a twelfth of it at most, none below eight rows.
fn affordable(length: usize, rows: usize) -> Option<usize> {
    let mut length = length;
    while length >= 8 && rows < 12 * length {
        length /= 2;
    }
    (length >= 8).then_some(length)
}

/// Channels whose shapes are learnt: the first that take many values.
fn shaped(scales: &Scales) -> Vec<usize> {
    scales.continuous.iter().copied().take(SHAPED).collect()
}

/// One channel's rows.
fn column(history: &History, channel: usize) -> Vec<f64> {
    (0..history.rows).map(|t| history.slow(t)[channel]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide() {
        let mut recent = Recent::new(3, 1);
        let mut seen = Vec::new();
        for t in 0..7 {
            let got = recent.step(&[0], &[f64::from(t)], |_, window, _| {
                seen.push(window.to_vec());
                window[2]
            });
            assert_eq!(got, (t >= 2).then_some(f64::from(t)));
        }
        assert_eq!(seen[0], [0.0, 1.0, 2.0]);
        assert_eq!(seen[4], [4.0, 5.0, 6.0]);
        assert_eq!((affordable(32, 500), affordable(32, 100), affordable(32, 90)), (Some(32), Some(8), None));
    }

    #[test]
    fn folds_are_contiguous() {
        let folds: Vec<usize> = (0..23).map(|t| fold(t, 23)).collect();
        assert!(folds.is_sorted() && folds[22] == FOLDS - 1);
        let x: Vec<f64> = (0..19).map(f64::from).collect();
        assert_eq!(dot(&x, &x), (0..19).map(|k| f64::from(k * k)).sum());
    }
}
