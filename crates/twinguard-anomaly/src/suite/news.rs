//! One score that ranks rows and incidents: the first row of an incident is news, the next is not.
//!
//! Source: refractory periods and novelty by rank among all past rows, as the better entries of the Numenta benchmark use them (Lavin,
//! Ahmad, ICMLA 2015, §IV). Half the surprise and half −log₁₀ of its rank; a row that exceeds all that this incident showed scores that
//! much, the others half their surprise; the bar falls slowly back.

const BINS: usize = 400;
const PER_BIN: f64 = 0.04;
/// A surprise that is no news to anybody.
const BAR: f64 = 2.0;
/// Rows in which the bar falls back.
const PATIENCE: f64 = 200.0;
const MOST: f64 = 8.0;

#[derive(Clone, Debug)]
pub(super) struct News {
    counts: Vec<u32>,
    total: u32,
    bar: f64,
}

crate::archived!(News { counts, total, bar });

fn bin(v: f64) -> usize {
    ((v / PER_BIN) as usize).min(BINS - 1)
}

impl News {
    /// Begins with the surprises of the training rows.
    pub(super) fn new(training: &[u32]) -> Self {
        let mut counts = training.to_vec();
        counts.resize(BINS, 0);
        let total = counts.iter().fold(0u32, |sum, count| sum.saturating_add(*count));
        Self { counts, total, bar: BAR }
    }

    /// A histogram for [`News::new`].
    pub(super) fn histogram(surprises: &[f64]) -> Vec<u32> {
        let mut counts = vec![0; BINS];
        surprises.iter().for_each(|v| counts[bin(*v)] += 1);
        counts
    }

    pub(super) fn score(&mut self, v: f64) -> f64 {
        let place = bin(v);
        let above = self.counts[place..].iter().fold(0u32, |sum, count| sum.saturating_add(*count));
        let rank = libm::log10((f64::from(self.total) + 1.0) / (f64::from(above) + 1.0));
        if self.total < u32::MAX {
            self.counts[place] += 1;
            self.total += 1;
        }
        let q = (0.5 * (v + rank)).min(MOST);
        if q > self.bar {
            self.bar = q;
            return q;
        }
        if q < 0.5 * self.bar {
            self.bar += (BAR - self.bar) / PATIENCE;
        }
        0.5 * v.min(MOST)
    }

    pub(super) fn sound(&self) -> bool {
        let sum = self.counts.iter().try_fold(0u32, |sum, count| sum.checked_add(*count));
        self.counts.len() == BINS && sum.is_some_and(|sum| sum <= self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_of_an_incident_stands_out() {
        let mut news = News::new(&News::histogram(&vec![0.3; 1000]));
        assert!(news.score(0.3) < 0.2);
        let first = news.score(6.0);
        let second = news.score(6.0);
        assert!(first > 4.0 && second == 3.0, "{first} {second}");
        (0..2000).for_each(|_| {
            news.score(0.3);
        });
        assert!(news.score(6.0) > 4.0, "after a quiet while it is news again");
        assert!(news.sound());
    }
}
