//! A memory of normal patches: the distance of the last rows of a channel to the nearest patch of normal operation.
//!
//! Source: nearest-neighbour memory over patch embeddings (Roth et al., `PatchCore`, CVPR 2022, §3; for series: `PaAno`, ICLR 2026),
//! here with a linear embedding: seven leading principal directions of the patches and the length of what they leave, so the distance is a
//! lower bound of the Euclidean one. At most about 256 patches of 16 rows a channel, evenly spaced; distances out of fold give the unit.
//! Patterns that come in several kinds have no common mean to be far from: this is what it adds to the windows. Cost: a
//! search in the patches sorted by their first number, at most 256·8 a channel.

use super::super::{
    dense::{Moments, eigen},
    prepare::{History, Scales},
};
use super::{Recent, affordable, column, dot, fold, shaped};

const LENGTH: usize = 16;
const DIRECTIONS: usize = 7;
const WIDTH: usize = DIRECTIONS + 1;
const PATCHES: usize = 256;

/// Memories by channel.
#[derive(Clone, Debug)]
pub(in super::super) struct Patches {
    length: usize,
    channels: Vec<usize>,
    memories: Vec<Memory>,
}

crate::archived!(Patches { length, channels, memories });

#[derive(Clone, Debug)]
struct Memory {
    vectors: Vec<f64>,
    patches: Vec<f64>,
    /// One over the mean distance of normal patches.
    unit: f64,
}

crate::archived!(Memory { vectors, patches, unit });

type Embedded = [f64; WIDTH];

fn embed(vectors: &[f64], window: &[f64]) -> Embedded {
    let mut out = [0.0; WIDTH];
    let mut rest = dot(window, window);
    for (vector, out) in vectors.chunks_exact(window.len()).zip(&mut out) {
        *out = dot(vector, window);
        rest -= *out * *out;
    }
    out[DIRECTIONS] = rest.max(0.0).sqrt();
    out
}

fn apart(patch: &[f64], x: &Embedded) -> f64 {
    patch.iter().zip(x).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The least squared distance to patches that are sorted by their first number: from there outwards, until that number alone is farther.
fn nearest(patches: &[f64], x: &Embedded) -> f64 {
    let count = patches.len() / WIDTH;
    let of = |place: usize| &patches[place * WIDTH..(place + 1) * WIDTH];
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if patches[middle * WIDTH] < x[0] { low = middle + 1 } else { high = middle }
    }
    let (mut down, mut up, mut least) = (low, low, f64::MAX);
    let beyond = |place: usize, least: f64| {
        let first = patches[place * WIDTH] - x[0];
        first * first >= least
    };
    while down > 0 || up < count {
        if down > 0 {
            down -= 1;
            if beyond(down, least) {
                down = 0;
            } else {
                least = least.min(apart(of(down), x));
            }
        }
        if up < count {
            if beyond(up, least) {
                up = count;
            } else {
                least = least.min(apart(of(up), x));
                up += 1;
            }
        }
    }
    least
}

impl Patches {
    /// The model and its statistic out of fold; `None` when the history is too short or no channel takes many values.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> Option<(Self, Vec<f64>)> {
        let n = history.rows;
        let length = affordable(LENGTH, n)?;
        let channels = shaped(scales);
        if channels.is_empty() {
            return None;
        }
        let mut sample = vec![0.0; n];
        let mut memories = Vec::with_capacity(channels.len());
        let stride = ((n - length) / PATCHES).max(1);
        let chosen: Vec<usize> = (length - 1..n).step_by(stride).collect();
        for channel in &channels {
            let x = column(history, *channel);
            let mut moments = Moments::new(length, 1);
            (length - 1..n).for_each(|t| moments.add(0, &x[t + 1 - length..=t]));
            let mut vectors = eigen(&moments.without(None).0, length).1;
            vectors.truncate(DIRECTIONS * length);
            let at = |t: usize| embed(&vectors, &x[t + 1 - length..=t]);
            let patches: Vec<f64> = chosen.iter().flat_map(|t| at(*t)).collect();
            let mut own = vec![0.0; n];
            for t in length - 1..n {
                // neither of its own fold nor overlapping
                let far = chosen
                    .iter()
                    .zip(patches.chunks_exact(WIDTH))
                    .filter(|(other, _)| fold(**other, n) != fold(t, n) && other.abs_diff(t) >= length);
                let x = at(t);
                own[t] = far.fold(f64::MAX, |least, (_, patch)| least.min(apart(patch, &x)));
            }
            let count = (n + 1 - length) as f64;
            let mean = own[length - 1..].iter().sum::<f64>() / count;
            let unit = 1.0 / mean.max(1e-6 * length as f64);
            for (t, value) in sample.iter_mut().enumerate() {
                *value += own[t.max(length - 1)] * unit / channels.len() as f64;
            }
            let mut sorted: Vec<&[f64]> = patches.chunks_exact(WIDTH).collect();
            sorted.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let patches = sorted.concat();
            memories.push(Memory { vectors, patches, unit });
        }
        Some((Self { length, channels, memories }, sample))
    }

    pub(in super::super) fn sound(&self, m: usize) -> bool {
        let memory = |memory: &Memory| {
            memory.vectors.len() == DIRECTIONS * self.length && memory.patches.len().is_multiple_of(WIDTH)
        };
        (8..=LENGTH).contains(&self.length)
            && self.channels.iter().all(|channel| *channel < m)
            && self.memories.len() == self.channels.len()
            && self.memories.iter().all(memory)
    }

    pub(in super::super) fn state(&self) -> Recent {
        Recent::new(self.length, self.channels.len())
    }

    pub(in super::super) fn fits(&self, state: &Recent) -> bool {
        state.sound(self.length, self.channels.len())
    }

    pub(in super::super) fn step(&self, state: &mut Recent, row: &[f64]) -> Option<f64> {
        state.step(&self.channels, row, |place, window, _| {
            let memory = &self.memories[place];
            nearest(&memory.patches, &embed(&memory.vectors, window)) * memory.unit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::{noise, prepared};
    use super::*;

    #[test]
    fn the_search_finds_the_nearest() {
        let mut state = 11;
        let mut patches: Vec<Embedded> =
            (0..200).map(|_| [0.0; WIDTH].map(|_: f64| noise(&mut state))).collect();
        patches.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for _ in 0..200 {
            let x = [0.0; WIDTH].map(|_: f64| 1.5 * noise(&mut state));
            let all = patches.iter().fold(f64::MAX, |least, patch| least.min(apart(patch, &x)));
            assert_eq!(nearest(&patches.concat(), &x), all);
        }
    }

    #[test]
    fn two_kinds_of_patches_are_both_normal_and_their_mean_is_not() {
        let mut state = 8;
        // ramps up or down, never flat
        let ramp = |t: usize, up: bool| {
            let part = (t % 16) as f64 / 8.0 - 1.0;
            if up { part } else { -part }
        };
        let rows: Vec<f64> =
            (0..1600).map(|t| ramp(t, (t / 16) % 3 != 1) + 0.05 * noise(&mut state)).collect();
        let (scales, history) = prepared(&rows, 1);
        let (model, sample) = Patches::fit(&history, &scales).unwrap();
        assert!(model.sound(1));
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
        assert!((mean(&sample[15..]) - 1.0).abs() < 1e-9, "the unit");
        let (mut recent, mut row) = (model.state(), scales.rows());
        let mut distances = Vec::new();
        for t in 0..64 {
            row.step(&scales, None, &[if t < 48 { ramp(t, (t / 16) % 3 != 1) } else { 0.0 }]);
            distances.push(model.step(&mut recent, &row.slow).unwrap_or(0.0));
        }
        assert!(mean(&distances[15..48]) < 1.5, "{distances:?}");
        assert!(distances[63] > 2.5, "{}", distances[63]);
    }
}
