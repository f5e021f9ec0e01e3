//! From residuals to the surprise of a model: statistics at several memories, each on the one scale.
//!
//! Source: moving averages of charted statistics (Roberts, Technometrics 1, 1959; Lowry et al., Technometrics 34, 1992, eq. 2). Mean squares
//! have a short memory, since they add up small drifts of many channels; the largest residual may have a long one. Means of residuals are
//! followed slowly and with a bound, so a drift of less than one deviation in a thousand rows is not told, and an attacker can drag the
//! reference no faster.

use super::curve::Curve;
use super::panel::squares;
use super::prepare::Rows;

/// Weights of the moving means.
const MEMORIES: [f64; 3] = [0.3, 0.1, 0.03];
const SHORT: [usize; 1] = [0];
const ALL: [usize; 3] = [0, 1, 2];
/// Largest surprise that a moving mean takes in: what ended is forgotten soon.
const CAP: f64 = 4.0;
/// Residuals beyond this many deviations are not taken to be larger.
const CLIP: f64 = 6.0;
const DRIFT: f64 = 1.0 / 1000.0;
/// And no farther: what drifts on needs to be fitted anew.
const FARTHEST: f64 = 3.0;
/// Weight of a row in the moving evidence by channel.
pub(super) const EVIDENCE: f64 = 0.1;
/// Least deviation of a residual, in the channel's own: what is predicted to 5 % is not worth an alarm at 15 %.
const FLOOR: f64 = 0.3;

/// Moving means of a statistic's surprise, as many as its track has memories.
type Means = [f64; MEMORIES.len()];

/// A statistic and its moving means of surprise.
#[derive(Clone, Debug)]
struct Track {
    instant: Curve,
    /// Which memory, the curve, and where it starts.
    memories: Vec<(usize, Curve, f64)>,
}

crate::archived!(Track { instant, memories });

impl Track {
    /// Surprises by row are appended to `lists`, one list per statistic.
    fn fit(sample: &[f64], memories: &[usize], lists: &mut Vec<Vec<f64>>) -> Self {
        let instant = Curve::fit(sample, true);
        let u: Vec<f64> = sample.iter().map(|s| instant.at(*s)).collect();
        // from the mean, not from zero: a start at zero makes a ramp that looks like detection
        let start = u.iter().map(|u| u.min(CAP)).sum::<f64>() / u.len().max(1) as f64;
        let memories = memories.iter().map(|memory| {
            let mut mean = start;
            let path: Vec<f64> = u
                .iter()
                .map(|u| {
                    mean += MEMORIES[*memory] * (u.min(CAP) - mean);
                    mean
                })
                .collect();
            let curve = Curve::fit(&path, true);
            lists.push(path.iter().map(|s| curve.at(*s)).collect());
            (*memory, curve, start)
        });
        let memories = memories.collect();
        lists.push(u);
        Self { instant, memories }
    }

    fn start(&self) -> Means {
        let mut means = Means::default();
        means.iter_mut().zip(&self.memories).for_each(|(mean, (_, _, start))| *mean = *start);
        means
    }

    fn step(&self, means: &mut Means, statistic: f64, mix: &mut Mix) {
        let u = self.instant.at(statistic);
        for ((memory, curve, _), mean) in self.memories.iter().zip(means) {
            *mean += MEMORIES[*memory] * (u.min(CAP) - *mean);
            mix.add(curve.at(*mean));
        }
        mix.add(u);
    }

    fn sound(&self) -> bool {
        self.instant.sound()
            && self.memories.len() <= MEMORIES.len()
            && self.memories.iter().all(|(memory, curve, _)| *memory < MEMORIES.len() && curve.sound())
    }
}

/// Half the mean, half the largest of a model's surprises.
#[derive(Clone, Copy, Debug, Default)]
struct Mix {
    sum: f64,
    most: f64,
    count: f64,
}

impl Mix {
    fn add(&mut self, surprise: f64) {
        self.sum += surprise;
        self.most = self.most.max(surprise);
        self.count += 1.0;
    }

    fn value(&self) -> f64 {
        0.5 * self.sum / self.count.max(1.0) + 0.5 * self.most
    }
}

/// The curve of a model's mixed surprise, and that surprise by row. Not widened once more: its parts are.
fn whole(lists: &[Vec<f64>]) -> (Curve, Vec<f64>) {
    let rows = lists.first().map_or(0, Vec::len);
    let mixed: Vec<f64> = (0..rows)
        .map(|t| {
            let mut mix = Mix::default();
            lists.iter().for_each(|list| mix.add(list[t]));
            mix.value()
        })
        .collect();
    let curve = Curve::fit(&mixed, false);
    let out = mixed.iter().map(|s| curve.at(*s)).collect();
    (curve, out)
}

/// The chart of a model with one statistic per row.
#[derive(Clone, Debug)]
pub(super) struct Single {
    track: Track,
    whole: Curve,
}

crate::archived!(Single { track, whole });

#[derive(Clone, Debug)]
pub(super) struct SingleState {
    means: Means,
    last: f64,
}

crate::archived!(SingleState { means, last });

impl Single {
    pub(super) fn fit(sample: &[f64]) -> (Self, Vec<f64>) {
        let mut lists = Vec::new();
        let track = Track::fit(sample, &ALL, &mut lists);
        let (whole, out) = whole(&lists);
        (Self { track, whole }, out)
    }

    pub(super) fn state(&self) -> SingleState {
        SingleState { means: self.track.start(), last: 0.0 }
    }

    /// Without a statistic the last surprise stays.
    pub(super) fn step(&self, state: &mut SingleState, statistic: Option<f64>) -> f64 {
        if let Some(statistic) = statistic {
            let mut mix = Mix::default();
            self.track.step(&mut state.means, statistic, &mut mix);
            state.last = self.whole.at(mix.value());
        }
        state.last
    }

    pub(super) fn sound(&self) -> bool {
        self.track.sound() && self.whole.sound()
    }
}

/// The chart of a model with one residual per channel.
#[derive(Clone, Debug)]
pub(super) struct Several {
    /// One over each residual's deviation.
    inverse: Vec<f64>,
    square: Track,
    most: Track,
    /// One over the deviations of the short moving means of residuals, and their two curves.
    scale: Vec<f64>,
    vector_square: Curve,
    vector_most: Curve,
    whole: Curve,
}

crate::archived!(Several { inverse, square, most, scale, vector_square, vector_most, whole });

#[derive(Clone, Debug)]
pub(super) struct SeveralState {
    drift: Vec<f64>,
    means: Vec<f64>,
    square: Means,
    most: Means,
    pub(super) last: f64,
}

crate::archived!(SeveralState { drift, means, square, most, last });

fn standardise(drift: &mut f64, z: f64, pace: f64) -> f64 {
    let w = z.clamp(-CLIP, CLIP) - *drift;
    *drift = (*drift + pace * w.clamp(-1.0, 1.0)).clamp(-FARTHEST, FARTHEST);
    w
}

/// Mean square and largest of some numbers.
fn summary(w: &[f64]) -> (f64, f64) {
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (fours, rest) = w.as_chunks::<4>();
    let mut most = [0.0; 4];
    for four in fours {
        most.iter_mut().zip(four).for_each(|(most, w)| *most = larger(*most, w.abs()));
    }
    let most = most.iter().chain(rest).fold(0.0, |most, w| larger(most, w.abs()));
    (squares(w) / w.len().max(1) as f64, most)
}

/// One over the root mean square of each column, but not of less than `floor`.
fn inverse_deviations(rows: &[f64], m: usize, floor: f64) -> Vec<f64> {
    let n = (rows.len() / m.max(1)).max(1) as f64;
    let of = |j: usize| rows.iter().skip(j).step_by(m).map(|r| r * r).sum::<f64>();
    (0..m).map(|j| 1.0 / (of(j) / n).sqrt().max(floor)).collect()
}

impl Several {
    /// `residuals`: out of fold, row by row, `m` a row.
    pub(super) fn fit(residuals: &[f64], m: usize) -> (Self, Vec<f64>) {
        let inverse = inverse_deviations(residuals, m, FLOOR);
        let mut drift = vec![0.0; m];
        let w: Vec<f64> = residuals
            .iter()
            .enumerate()
            .map(|(place, r)| standardise(&mut drift[place % m], r * inverse[place % m], DRIFT))
            .collect();
        let summaries = |rows: &[f64]| -> (Vec<f64>, Vec<f64>) { rows.chunks_exact(m).map(summary).unzip() };
        let (squares, mosts) = summaries(&w);
        let mut lists = Vec::new();
        let square = Track::fit(&squares, &SHORT, &mut lists);
        let most = Track::fit(&mosts, &ALL, &mut lists);
        let mut mean = vec![0.0; m];
        let mut path = Vec::with_capacity(w.len());
        for row in w.chunks_exact(m) {
            for (mean, w) in mean.iter_mut().zip(row) {
                *mean += MEMORIES[0] * (w - *mean);
                path.push(*mean);
            }
        }
        let scale = inverse_deviations(&path, m, 1e-3);
        path.iter_mut().enumerate().for_each(|(place, v)| *v *= scale[place % m]);
        let (squares, mosts) = summaries(&path);
        let mut learn = |sample: &[f64]| {
            let curve = Curve::fit(sample, true);
            lists.push(sample.iter().map(|s| curve.at(*s)).collect());
            curve
        };
        let (vector_square, vector_most) = (learn(&squares), learn(&mosts));
        let (whole, out) = whole(&lists);
        (Self { inverse, square, most, scale, vector_square, vector_most, whole }, out)
    }

    pub(super) fn state(&self) -> SeveralState {
        let m = self.inverse.len();
        SeveralState {
            drift: vec![0.0; m],
            means: vec![0.0; m],
            square: self.square.start(),
            most: self.most.start(),
            last: 0.0,
        }
    }

    /// Takes residuals and adds their squares to the evidence by channel; those of missing channels do not count.
    /// The residuals are used up.
    pub(super) fn step(
        &self,
        state: &mut SeveralState,
        residuals: &mut [f64],
        row: &Rows,
        evidence: &mut [f64],
    ) -> f64 {
        // from here on: less their slow mean, in their own deviations
        let pace = if row.follow { DRIFT } else { 0.0 };
        let parts = residuals.iter_mut().zip(&mut state.drift).zip(&self.inverse).zip(&row.missing);
        for (((r, drift), inverse), missing) in parts {
            let w = standardise(drift, *r * inverse, if *missing { 0.0 } else { pace });
            *r = if *missing { 0.0 } else { w };
        }
        evidence.iter_mut().zip(&*residuals).for_each(|(sum, w)| *sum += EVIDENCE * w * w);
        let mut mix = Mix::default();
        let (square, most) = summary(residuals);
        self.square.step(&mut state.square, square, &mut mix);
        self.most.step(&mut state.most, most, &mut mix);
        for ((mean, w), scale) in state.means.iter_mut().zip(&mut *residuals).zip(&self.scale) {
            *mean += MEMORIES[0] * (*w - *mean);
            *w = *mean * scale;
        }
        let (square, most) = summary(residuals);
        mix.add(self.vector_square.at(square));
        mix.add(self.vector_most.at(most));
        state.last = self.whole.at(mix.value());
        state.last
    }

    pub(super) fn sound(&self, m: usize) -> bool {
        self.inverse.len() == m
            && self.scale.len() == m
            && self.square.sound()
            && self.most.sound()
            && [&self.vector_square, &self.vector_most, &self.whole].iter().all(|curve| curve.sound())
    }

    pub(super) fn fits(&self, state: &SeveralState) -> bool {
        let m = self.inverse.len();
        state.drift.len() == m && state.means.len() == m
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare::Scales;
    use super::super::prepare::tests::noise;
    use super::*;

    #[test]
    fn a_small_lasting_shift_of_one_channel_is_seen_and_forgotten() {
        let mut state = 1;
        let residuals: Vec<f64> = (0..4 * 3000).map(|_| noise(&mut state)).collect();
        let (chart, out) = Several::fit(&residuals, 4);
        assert!(chart.sound(4) && out.len() == 3000);
        let mut charted = chart.state();
        assert!(chart.fits(&charted));
        let mut rows = Scales::default().rows();
        rows.missing = vec![false; 4];
        let mut surprises = Vec::new();
        for t in 0..900 {
            let mut row = [0.0; 4].map(|_: f64| noise(&mut state));
            if (300..400).contains(&t) {
                row[2] += 0.5;
            }
            surprises.push(chart.step(&mut charted, &mut row, &rows, &mut [0.0; 4]));
        }
        let mean = |range: core::ops::Range<usize>| {
            surprises[range.clone()].iter().sum::<f64>() / range.len() as f64
        };
        assert!(mean(0..300) < 0.8 && mean(350..400) > 2.0 && mean(600..900) < 0.9, "{}", mean(350..400));
    }

    #[test]
    fn drift_is_followed_no_farther_than_its_bound_and_not_at_all_when_held() {
        let (mut drift, mut held) = (0.0, 0.0);
        for _ in 0..100_000 {
            standardise(&mut drift, 6.0, DRIFT);
            standardise(&mut held, 6.0, 0.0);
        }
        assert_eq!((drift, held), (FARTHEST, 0.0));
    }

    #[test]
    fn missing_residuals_do_not_count() {
        let mut state = 2;
        let residuals: Vec<f64> = (0..2 * 500).map(|_| noise(&mut state)).collect();
        let (chart, _) = Several::fit(&residuals, 2);
        let (mut charted, mut evidence) = (chart.state(), [0.0; 2]);
        let mut rows = Scales::default().rows();
        rows.missing = vec![true, false];
        for _ in 0..50 {
            assert!(chart.step(&mut charted, &mut [1e9, 0.1], &rows, &mut evidence) < 2.0);
        }
        assert!(evidence[0] == 0.0 && evidence[1] > 0.0);
    }
}
