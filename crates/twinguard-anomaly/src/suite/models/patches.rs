//! A memory of normal patches: the distance of the last rows of a channel to the nearest patch of normal operation.
//!
//! Source: nearest-neighbour memory over patch embeddings (Roth et al., `PatchCore`, CVPR 2022, §3; for series: `PaAno`, ICLR 2026),
//! here with a linear embedding: seven leading principal directions of the patches and the length of what they leave, so the distance is a
//! lower bound of the Euclidean one. 256 to 511 patches of 16 rows a channel, evenly spaced (all of a shorter history); distances out of
//! fold give the unit. Patterns that come in several kinds have no common mean to be far from: this is what it adds to the windows.
//! The search is exact: patches stand in leaves of eight (a k-d tree cut at its widest side; Friedman, Bentley, Finkel, ACM TOMS 3, 1977),
//! and a leaf whose box is farther than the nearest patch so far is not opened.

use wide::f32x8;

use super::super::{
    dense::Moments,
    panel::{Panel, squares},
    prepare::{History, Scales},
};
use super::fold;
use super::recent::{Due, Looks, columns, looked, shaped};
use crate::linalg::eigen;

const LENGTH: usize = 16;
const DIRECTIONS: usize = 7;
const WIDTH: usize = DIRECTIONS + 1;
const PATCHES: usize = 256;
const LEAF: usize = 8;
/// Most leaves: a bound of the history's stride.
const LEAVES: usize = 2 * PATCHES / LEAF;

/// Memories by channel.
#[derive(Clone, Debug)]
pub(in super::super) struct Patches {
    length: usize,
    memories: Vec<Memory>,
}

crate::archived!(Patches { length, memories });

#[derive(Clone, Debug)]
struct Memory {
    directions: Panel,
    leaves: Leaves,
    /// One over the mean distance of normal patches.
    unit: f64,
}

crate::archived!(Memory { directions, leaves, unit });

type Embedded = [f32; WIDTH];

fn embed(directions: &Panel, window: &[f64]) -> Embedded {
    let mut scores = [0.0; WIDTH];
    directions.add(0, window, &mut scores[..DIRECTIONS]);
    let rest = squares(window) - squares(&scores[..DIRECTIONS]);
    scores[DIRECTIONS] = rest.max(0.0).sqrt();
    scores.map(|x| x as f32)
}

fn apart(a: &Embedded, b: &Embedded) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The least of eight numbers.
fn lowest(eight: f32x8) -> f32 {
    let [a, b, c, d, e, f, g, h] = eight.to_array();
    let less = |a: f32, b: f32| if b < a { b } else { a };
    less(less(less(a, b), less(c, d)), less(less(e, f), less(g, h)))
}

/// Patches in groups of eight that lie together; a group's numbers stand side by side.
#[derive(Clone, Debug, Default)]
struct Leaves {
    /// By leaf and direction eight numbers.
    patches: Vec<f32>,
    /// By eight leaves and direction eight numbers: the sides of their boxes.
    low: Vec<f32>,
    high: Vec<f32>,
}

crate::archived!(Leaves { patches, low, high });

impl Leaves {
    fn new(mut patches: Vec<Embedded>) -> Self {
        patches.truncate(LEAVES * LEAF);
        split(&mut patches);
        let mut leaves = Self::default();
        let mut boxes = Vec::new();
        for leaf in patches.chunks(LEAF) {
            // a last leaf is filled up with its first patch
            let of = |lane: usize, k: usize| leaf.get(lane).unwrap_or(&leaf[0])[k];
            (0..WIDTH).for_each(|k| leaves.patches.extend((0..LEAF).map(|lane| of(lane, k))));
            let side = |pick: fn(f32, f32) -> f32| {
                leaf.iter()
                    .skip(1)
                    .fold(leaf[0], |side, patch| core::array::from_fn(|k| pick(side[k], patch[k])))
            };
            boxes.push((side(f32::min), side(f32::max)));
        }
        // and a last group of boxes with boxes that are nowhere near
        boxes.resize(boxes.len().next_multiple_of(LEAF), ([f32::MAX; WIDTH], [f32::MAX; WIDTH]));
        for group in boxes.chunks_exact(LEAF) {
            for k in 0..WIDTH {
                leaves.low.extend(group.iter().map(|(low, _)| low[k]));
                leaves.high.extend(group.iter().map(|(_, high)| high[k]));
            }
        }
        leaves
    }

    /// The least squared distance to a patch.
    fn nearest(&self, x: &Embedded) -> f32 {
        let mut bounds = [f32::MAX; LEAVES];
        let mut nearest = f32x8::splat(f32::MAX);
        let (low, high) = (self.low.as_chunks::<LEAF>().0, self.high.as_chunks::<LEAF>().0);
        let boxes = low.chunks_exact(WIDTH).zip(high.chunks_exact(WIDTH));
        for (bounds, (low, high)) in bounds.as_chunks_mut::<LEAF>().0.iter_mut().zip(boxes) {
            let mut sums = f32x8::ZERO;
            for ((x, low), high) in x.iter().zip(low).zip(high) {
                let x = f32x8::splat(*x);
                let out = (f32x8::new(*low) - x).fast_max(x - f32x8::new(*high)).fast_max(f32x8::ZERO);
                sums += out * out;
            }
            nearest = nearest.fast_min(sums);
            *bounds = sums.to_array();
        }
        let nearest = lowest(nearest);
        let leaves = self.patches.as_chunks::<LEAF>().0;
        let open = |leaf: &[[f32; LEAF]]| {
            let mut sums = f32x8::ZERO;
            for (x, column) in x.iter().zip(leaf) {
                let apart = f32x8::new(*column) - f32x8::splat(*x);
                sums += apart * apart;
            }
            lowest(sums)
        };
        // first the leaf whose box is nearest, then whatever may hold something nearer
        let first = bounds.iter().position(|bound| *bound <= nearest).unwrap_or(0);
        let mut least = leaves.chunks_exact(WIDTH).nth(first).map_or(f32::MAX, open);
        for (bound, leaf) in bounds.iter().zip(leaves.chunks_exact(WIDTH)) {
            if *bound < least {
                let here = open(leaf);
                least = if here < least { here } else { least };
            }
        }
        least
    }

    fn sound(&self) -> bool {
        let (leaves, sides) = (self.patches.len() / (LEAF * WIDTH), self.low.len() / WIDTH);
        self.patches.len().is_multiple_of(LEAF * WIDTH)
            && self.low.len() == self.high.len()
            && self.low.len().is_multiple_of(LEAF * WIDTH)
            && (1..=LEAVES).contains(&leaves)
            && sides == leaves.next_multiple_of(LEAF)
    }
}

/// Sorts patches into leaves: halves, at a multiple of eight, along the widest side.
fn split(patches: &mut [Embedded]) {
    if patches.len() <= LEAF {
        return;
    }
    let wide = |k: usize| {
        let (low, high) = patches
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), patch| (low.min(patch[k]), high.max(patch[k])));
        high - low
    };
    let widest = (1..WIDTH).fold(0, |best, k| if wide(k) > wide(best) { k } else { best });
    patches.sort_by(|a, b| a[widest].total_cmp(&b[widest]));
    let middle = (patches.len() / 2).next_multiple_of(LEAF);
    let (left, right) = patches.split_at_mut(middle.min(patches.len()));
    split(left);
    split(right);
}

impl Patches {
    /// The model and its statistic out of fold; `None` when the history is too short or no channel takes many values.
    pub(in super::super) fn fit(history: &History, scales: &Scales) -> Option<(Self, Vec<f64>)> {
        let n = history.rows;
        let (channels, longest) = shaped(scales, n);
        if channels.is_empty() {
            return None;
        }
        let (columns, length) = (columns(history, channels), longest.min(LENGTH));
        let stride = ((n - length) / PATCHES).max(1);
        let chosen: Vec<usize> = (length - 1..n).step_by(stride).collect();
        let mut memories = Vec::with_capacity(columns.len());
        let mut embedded: Vec<Vec<Embedded>> = Vec::with_capacity(columns.len());
        for x in &columns {
            let mut moments = Moments::new(length, 1);
            (length - 1..n).for_each(|t| moments.add(0, &x[t + 1 - length..=t]));
            let mut vectors = eigen(&moments.without(None).0, length).1;
            vectors.truncate(DIRECTIONS * length);
            let directions = Panel::new(&vectors, length);
            let patches: Vec<Embedded> =
                chosen.iter().map(|t| embed(&directions, &x[t + 1 - length..=*t])).collect();
            memories.push(Memory { directions, leaves: Leaves::new(patches.clone()), unit: 1.0 });
            embedded.push(patches);
        }
        let (mut sums, mut counts) = (vec![0.0; columns.len()], vec![0.0; columns.len()]);
        let out_of_fold = |place: usize, t: usize, window: &[f64]| {
            let memory: &Memory = &memories[place];
            let x = embed(&memory.directions, window);
            // neither of its own fold nor overlapping
            let far = chosen
                .iter()
                .zip(&embedded[place])
                .filter(|(other, _)| fold(**other, n) != fold(t, n) && other.abs_diff(t) >= length);
            f64::from(far.fold(f32::MAX, |least, (_, patch)| least.min(apart(patch, &x))))
        };
        looked(n, length, &columns, |place, t, window| {
            sums[place] += out_of_fold(place, t, window);
            counts[place] += 1.0;
            0.0
        });
        let units: Vec<f64> =
            sums.iter().zip(&counts).map(|(sum, n)| 1.0 / (sum / n).max(1e-6 * length as f64)).collect();
        let sample =
            looked(n, length, &columns, |place, t, window| out_of_fold(place, t, window) * units[place]);
        memories.iter_mut().zip(units).for_each(|(memory, unit)| memory.unit = unit);
        Some((Self { length, memories }, sample))
    }

    pub(in super::super) fn sound(&self, channels: usize, longest: usize) -> bool {
        let memory = |memory: &Memory| memory.directions.is(DIRECTIONS, self.length) && memory.leaves.sound();
        (8..=LENGTH.min(longest)).contains(&self.length)
            && self.memories.len() == channels
            && self.memories.iter().all(memory)
    }

    pub(in super::super) fn step(&self, looks: &mut Looks, due: &Due) -> Option<f64> {
        due.look(self.length, looks, |place, window| {
            let memory = &self.memories[place];
            f64::from(memory.leaves.nearest(&embed(&memory.directions, window))) * memory.unit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::prepare::tests::{noise, prepared};
    use super::super::recent::{LONGEST, Recent};
    use super::*;

    #[test]
    fn the_search_finds_the_nearest() {
        let mut state = 11;
        for count in [1, 7, 8, 9, 200, 256, 511] {
            let patches: Vec<Embedded> =
                (0..count).map(|_| [0.0; WIDTH].map(|_: f32| noise(&mut state) as f32)).collect();
            let leaves = Leaves::new(patches.clone());
            assert!(leaves.sound());
            for _ in 0..200 {
                let x = [0.0; WIDTH].map(|_: f32| 1.5 * noise(&mut state) as f32);
                let all = patches.iter().fold(f32::MAX, |least, patch| least.min(apart(patch, &x)));
                assert!((leaves.nearest(&x) - all).abs() <= 1e-6 * all, "{count} patches");
            }
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
        assert!(model.sound(1, LONGEST));
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
        assert!((mean(&sample[15..]) - 1.0).abs() < 1e-9, "the unit");
        let (mut recent, mut looks, mut row) = (Recent::new(1, LONGEST), Looks::default(), scales.rows());
        let mut distances = Vec::new();
        for t in 0..96 {
            row.step(&scales, None, &[if t < 80 { ramp(t, (t / 16) % 3 != 1) } else { 0.0 }]);
            let due = recent.step(&[0], &row.slow);
            distances.push(model.step(&mut looks, &due).unwrap_or(0.0));
        }
        assert!(mean(&distances[31..80]) < 1.5, "{distances:?}");
        assert!(distances[95] > 2.5, "{}", distances[95]);
    }
}
