//! A budget of requests: so many a second on average, and as many again in a burst.

use std::time::Instant;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second: f64::from(per_second), left: f64::from(per_second), at: now }
    }

    /// Takes one request; false when the budget is spent.
    #[must_use]
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * self.per_second).min(self.per_second);
        self.at = self.at.max(now);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_spent_and_comes_back() {
        let start = Instant::now();
        let mut budget = Budget::new(2, start);
        assert!(budget.take(start) && budget.take(start) && !budget.take(start));
        assert!(!budget.take(start + Duration::from_millis(400)));
        assert!(budget.take(start + Duration::from_millis(900)));
        let later = start + Duration::from_secs(1_000);
        assert!(budget.take(later) && budget.take(later) && !budget.take(later), "no more than a burst");
    }
}
