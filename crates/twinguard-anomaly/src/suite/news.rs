//! One score that ranks rows and incidents: the first row of an incident is news, the next is not.
//!
//! Source: refractory periods and novelty by rank among all past rows, as the better entries of the Numenta benchmark use them (Lavin,
//! Ahmad, ICMLA 2015, §IV). Half the surprise and half −log₁₀ of its rank; a row that exceeds all that this incident showed scores that
//! much, the others half their surprise; the bar falls slowly back. Past rows are the training's and the series' own, in bins of the
//! surprise; when a bin of the own rows is full all are halved.

const BINS: usize = 400;
const PER_BIN: f64 = 0.04;
const GROUPS: usize = 20;
const GROUP: usize = BINS / GROUPS;
/// A surprise that is no news to anybody.
const BAR: f64 = 2.0;
/// Rows in which the bar falls back.
const PATIENCE: f64 = 200.0;
const MOST: f64 = 8.0;

fn bin(v: f64) -> usize {
    ((v / PER_BIN) as usize).min(BINS - 1)
}

/// How many rows of the training lie in each bin or above.
#[derive(Clone, Debug)]
pub(super) struct Past {
    above: Vec<u32>,
}

crate::archived!(Past { above });

impl Past {
    pub(super) fn new(surprises: &[f64]) -> Self {
        let mut above = vec![0_u32; BINS];
        surprises.iter().for_each(|v| above[bin(*v)] += 1);
        for place in (1..BINS).rev() {
            above[place - 1] = above[place - 1].saturating_add(above[place]);
        }
        Self { above }
    }

    pub(super) fn sound(&self) -> bool {
        self.above.len() == BINS && self.above.is_sorted_by(|a, b| a >= b)
    }
}

/// The rows of a series so far, and how high the bar is.
#[derive(Clone, Debug)]
pub(super) struct News {
    counts: Vec<u16>,
    /// Sums of twenty bins.
    groups: [u32; GROUPS],
    bar: f64,
}

crate::archived!(News { counts, groups, bar });

impl News {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BINS], groups: [0; GROUPS], bar: BAR }
    }

    pub(super) fn score(&mut self, past: &Past, v: f64) -> f64 {
        let place = bin(v);
        let group = place / GROUP;
        let fine: u32 = self.counts[place..(group + 1) * GROUP].iter().map(|count| u32::from(*count)).sum();
        let own: u32 = self.groups[group + 1..].iter().sum::<u32>() + fine;
        let all: u32 = self.groups.iter().sum();
        let total = f64::from(past.above[0]) + f64::from(all) + 1.0;
        let above = f64::from(past.above[place]) + f64::from(own) + 1.0;
        self.count(place);
        // a rank from the exponents alone, an upper bound: most rows are no news and need no logarithm
        let exponent = |x: f64| (x.to_bits() >> 52) as f64;
        let rank = (exponent(total) - exponent(above) + 1.0) * core::f64::consts::LOG10_2;
        let mut q = 0.5 * (v + rank);
        if q >= 0.5 * self.bar {
            q = (0.5 * (v + libm::log10(total / above))).min(MOST);
            if q > self.bar {
                self.bar = q;
                return q;
            }
        }
        if q < 0.5 * self.bar {
            self.bar += (BAR - self.bar) / PATIENCE;
        }
        0.5 * v.min(MOST)
    }

    fn count(&mut self, place: usize) {
        if self.counts[place] == u16::MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            for (group, counts) in self.groups.iter_mut().zip(self.counts.chunks_exact(GROUP)) {
                *group = counts.iter().map(|count| u32::from(*count)).sum();
            }
        }
        self.counts[place] += 1;
        self.groups[place / GROUP] += 1;
    }

    pub(super) fn sound(&self) -> bool {
        let sum = |counts: &[u16]| counts.iter().map(|count| u32::from(*count)).sum::<u32>();
        self.counts.len() == BINS
            && self.counts.chunks_exact(GROUP).zip(&self.groups).all(|(counts, group)| sum(counts) == *group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare::tests::noise;
    use super::*;

    #[test]
    fn the_first_row_of_an_incident_stands_out() {
        let (past, mut news) = (Past::new(&vec![0.3; 1000]), News::new());
        assert!(news.score(&past, 0.3) < 0.2);
        let first = news.score(&past, 6.0);
        let second = news.score(&past, 6.0);
        assert!(first > 4.0 && second == 3.0, "{first} {second}");
        (0..2000).for_each(|_| {
            news.score(&past, 0.3);
        });
        assert!(news.score(&past, 6.0) > 4.0, "after a quiet while it is news again");
        assert!(news.sound() && past.sound());
    }

    #[test]
    fn it_is_the_plain_rank() {
        let mut state = 3;
        let mut draw = move || -libm::log10((noise(&mut state) + 0.5).max(1e-7)) * 1.5;
        let before: Vec<f64> = (0..700).map(|_| draw()).collect();
        let (past, mut news) = (Past::new(&before), News::new());
        let (mut all, mut bar) = (before, BAR);
        for _ in 0..3000 {
            let v = draw();
            let above = all.iter().filter(|other| bin(**other) >= bin(v)).count() as f64;
            let q = (0.5 * (v + libm::log10((all.len() as f64 + 1.0) / (above + 1.0)))).min(MOST);
            all.push(v);
            let want = if q > bar { q } else { 0.5 * v.min(MOST) };
            if q > bar {
                bar = q;
            } else if q < 0.5 * bar {
                bar += (BAR - bar) / PATIENCE;
            }
            assert_eq!(news.score(&past, v), want);
        }
    }

    #[test]
    fn a_full_bin_halves_what_was() {
        let (past, mut news) = (Past::new(&[]), News::new());
        (0..80_000).for_each(|k| {
            news.score(&past, if k % 10 == 0 { 1.0 } else { 0.1 });
        });
        assert!(news.sound() && news.groups.iter().sum::<u32>() < 80_000);
    }
}
