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

/// Points that stand for a distribution in closed form.
const POINTS: usize = 512;

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
        let quantile = |probability: f64| {
            let (mut low, mut high) = (scale * 1e-9, scale * 1e9);
            if cumulative(high) < probability {
                return f64::INFINITY;
            }
            // Bisection of the logarithm: 60 halvings of a span of 1e18 leave nothing.
            for _ in 0..60 {
                let middle = (low * high).sqrt();
                if cumulative(middle) < probability { low = middle } else { high = middle }
            }
            high
        };
        Self { sorted: (0..POINTS).map(|at| quantile((at as f64 + 0.5) / POINTS as f64)).collect() }
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
