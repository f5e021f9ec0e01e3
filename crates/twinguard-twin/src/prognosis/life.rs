//! Remaining life as a distribution.
//!
//! Source: A. Saxena et al., *Int. J. Prognostics and Health Management* 1 (2010) (predictions as distributions, α–λ and
//! calibration); probability integral transform: A. Dawid, *J. Royal Statistical Society A* 147 (1984) 278–292.

/// Quantiles of a remaining life, evenly spaced in probability; infinite where the limit may never be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Value i stands for probability (i + ½)/n; rising.
    sorted: Vec<f64>,
}

/// Points that stand for a distribution in closed form, and how near each is found, relative to its time.
const POINTS: usize = 512;
const NEAR: f64 = 1e-9;

impl Life {
    /// From equally likely draws, in any order; NaN counts as never.
    pub(super) fn of_draws(mut draws: Vec<f64>) -> Self {
        for draw in &mut draws {
            *draw = if draw.is_nan() { f64::INFINITY } else { draw.max(0.0) };
        }
        draws.sort_by(f64::total_cmp);
        Self { sorted: draws }
    }

    /// From a cumulative distribution function of time; `scale` is a typical time.
    pub(super) fn of_distribution(cumulative: impl Fn(f64) -> f64, scale: f64) -> Self {
        // In the logarithm of time. What is found for one probability bounds the search for those beside it.
        let end = |time: f64| (libm::log(time), cumulative(time));
        let mut sorted = vec![f64::INFINITY; POINTS];
        let mut open = vec![(0_usize, POINTS, end(scale * 1e-9), end(scale * 1e9))];
        while let Some((from, to, low, high)) = open.pop() {
            if from == to {
                continue;
            }
            let at = from.midpoint(to);
            let probability = (at as f64 + 0.5) / POINTS as f64;
            if high.1 < probability {
                // Not that likely ever, and what is likelier still less so.
                open.push((from, at, low, high));
                continue;
            }
            let found =
                if low.1 >= probability { low } else { crossing(&cumulative, probability, low, high) };
            sorted[at] = libm::exp(found.0);
            open.push((from, at, low, found));
            open.push((at + 1, to, found, high));
        }
        Self { sorted }
    }

    /// The time before which the limit is reached with this probability (0 to 1); infinite: not that likely ever.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> f64 {
        let place = probability.clamp(0.0, 1.0) * self.sorted.len() as f64 - 0.5;
        let low = place.floor().max(0.0) as usize;
        let at =
            |index: usize| self.sorted.get(index).or(self.sorted.last()).copied().unwrap_or(f64::INFINITY);
        let share = (place - low as f64).clamp(0.0, 1.0);
        if share == 0.0 || at(low) == at(low + 1) {
            at(low)
        } else {
            at(low) + share * (at(low + 1) - at(low))
        }
    }

    /// Probability that the limit is reached within `time`.
    #[must_use]
    pub fn within(&self, time: f64) -> f64 {
        let before = self.sorted.partition_point(|value| *value <= time);
        before as f64 / self.sorted.len().max(1) as f64
    }

    /// Lower and upper end of the central interval of this probability.
    #[must_use]
    pub fn interval(&self, probability: f64) -> (f64, f64) {
        let tail = (1.0 - probability.clamp(0.0, 1.0)) / 2.0;
        (self.quantile(tail), self.quantile(1.0 - tail))
    }

    /// The points, rising.
    pub(super) fn points(&self) -> &[f64] {
        &self.sorted
    }
}

/// Where a function that rises from below `wanted` at `low` to `wanted` or more at `high` reaches it, as (logarithm of time, value): regula
/// falsi as the Illinois algorithm has it (M. Dowell, P. Jarratt, *BIT* 11 (1971) 168–174), halving where that is slow.
fn crossing(
    cumulative: &impl Fn(f64) -> f64,
    wanted: f64,
    mut low: (f64, f64),
    mut high: (f64, f64),
) -> (f64, f64) {
    let (mut below, mut above) = (low.1 - wanted, high.1 - wanted);
    let mut rose = None;
    for turn in 0..100 {
        let width = high.0 - low.0;
        if width <= NEAR {
            break;
        }
        // A step beyond the crossing brings the other end near as well.
        let step = 0.5 * NEAR / width;
        let share = if turn < 30 { (-below / (above - below)).clamp(step, 1.0 - step) } else { 0.5 };
        let middle = low.0 + share * width;
        let value = cumulative(libm::exp(middle));
        let rises = value < wanted;
        // An end that stays twice counts half.
        let stayed = if rose == Some(rises) { 0.5 } else { 1.0 };
        if rises {
            (low, below, above) = ((middle, value), value - wanted, above * stayed);
        } else {
            (high, above, below) = ((middle, value), value - wanted, below * stayed);
        }
        rose = Some(rises);
    }
    high
}

/// For each wanted probability the share of truths inside that central interval: equal to it when predictions are
/// calibrated.
#[must_use]
pub fn coverage(predictions: &[(Life, f64)], probabilities: &[f64]) -> Vec<f64> {
    let share = |probability: &f64| {
        let inside = predictions.iter().filter(|(life, truth)| {
            let (low, high) = life.interval(*probability);
            (low..=high).contains(truth)
        });
        inside.count() as f64 / predictions.len().max(1) as f64
    };
    probabilities.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each quantile by itself would take sixty.
    #[test]
    fn a_quantile_takes_few_evaluations() {
        let asked = core::cell::Cell::new(0);
        let life = Life::of_distribution(
            |time| {
                asked.set(asked.get() + 1);
                1.0 - (-time / 5.0).exp()
            },
            1.0,
        );
        assert!(life.points().is_sorted() && asked.get() < 6 * POINTS, "{}", asked.get());
    }

    #[test]
    fn an_exponential_distribution_is_kept() {
        let life = Life::of_distribution(|time| 1.0 - (-time / 5.0).exp(), 1.0);
        for probability in [0.05, 0.5, 0.9] {
            let exact = -5.0 * f64::ln(1.0 - probability);
            assert!((life.quantile(probability) / exact - 1.0).abs() < 0.01);
            assert!((life.within(exact) - probability).abs() < 0.002);
        }
        assert_eq!(coverage(&[(life.clone(), 5.0), (life, 500.0)], &[0.9]), [0.5]);
    }

    #[test]
    fn never_is_infinite() {
        let life = Life::of_distribution(|time| 0.3 * (1.0 - (-time).exp()), 1.0);
        assert!(life.quantile(0.25).is_finite() && life.quantile(0.5).is_infinite());
        let draws = Life::of_draws(vec![3.0, f64::NAN, -1.0]);
        assert_eq!(draws.points(), [0.0, 3.0, f64::INFINITY]);
        assert_eq!(draws.interval(1.0).1, f64::INFINITY);
    }
}
