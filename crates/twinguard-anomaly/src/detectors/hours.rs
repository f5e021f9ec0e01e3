//! Access at an hour of the week at which this principal was hardly ever seen.
//!
//! Source: the predictive law of a multinomial with a Dirichlet prior (Laplace's rule; Gelman et al., *Bayesian Data Analysis*, §3.4): of n
//! accesses in the history c were in this hour of this kind of day (weekday or weekend), with the neighbouring hours counted half;
//! p = (c + ½)/(n + 24), and the surprise is −log₁₀ of the probability of an hour as rare. Refused access and access by a principal who
//! was never seen is the matter of `identity`. Hours are UTC: shift work is learnt, not assumed. Cost: a search among the principals. It
//! lies on holidays, after the clock is changed for summer, and for whoever works at the usual hour.

use twinguard_types::{
    Access, AccessOutcome, DetectorId, Event, PrincipalId, Score, Symptom, Timestamp, View,
};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived, table::Table,
};

const HOURS: usize = 48;
const HOUR_NS: i64 = 3_600_000_000_000;
/// Fewer accesses of a principal, and fewer days, say nothing about its hours.
const FEWEST: u32 = 30;
const FEWEST_DAYS: f64 = 3.0;

/// Hours of access.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hours;

/// Counts by hour, weekdays first.
type Counts = [u32; HOURS];

struct State {
    id: DetectorId,
    seen: Table<PrincipalId, Counts>,
    days: f64,
    samples: usize,
    count: u32,
}

archived!(State { id, seen, days, samples, count });

/// The hour of the day, and of a weekend the hour plus 24. Day 0 of the epoch was a Thursday.
fn hour(at: Timestamp) -> usize {
    let hours = at.as_nanos().div_euclid(HOUR_NS);
    let weekday = (hours.div_euclid(24) + 3).rem_euclid(7);
    hours.rem_euclid(24) as usize + if weekday >= 5 { 24 } else { 0 }
}

/// Weight of an hour, the ones beside it counted half.
fn weight(counts: &Counts, hour: usize) -> f64 {
    let day = hour / 24 * 24;
    let beside = |step: usize| f64::from(counts[day + (hour + step) % 24]);
    f64::from(counts[hour]) + 0.5 * (beside(1) + beside(23)) + 0.5
}

/// −log₁₀ of the share of hours at most as usual as this one.
fn surprise(counts: &Counts, hour: usize) -> f64 {
    let weights: [f64; HOURS] = core::array::from_fn(|hour| weight(counts, hour));
    let total: f64 = weights.iter().sum();
    let rare: f64 = weights.iter().filter(|other| **other <= weights[hour]).sum();
    -libm::log10((rare / total).clamp(1e-12, 1.0))
}

impl Detector for Hours {
    fn name(&self) -> &'static str {
        "hours"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Identity
    }
    fn needs(&self) -> Option<View> {
        Some(View::Access)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut seen: Table<PrincipalId, Counts> = Table::new(1024);
        let mut samples = 0;
        for event in history.events() {
            let Event::Access(access) = event else { continue };
            if access.outcome == AccessOutcome::Granted
                && let Some(counts) = seen.entry(access.principal, || [0; HOURS])
            {
                counts[hour(access.at)] += 1;
                samples += 1;
            }
        }
        Ok(Box::new(State { id: context.id, seen, days: history.days(), samples, count: 0 }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl State {
    fn look(&self, access: &Access) -> Option<f64> {
        let counts = self.seen.get(&access.principal)?;
        let known = self.days >= FEWEST_DAYS
            && counts.iter().sum::<u32>() >= FEWEST
            && access.outcome == AccessOutcome::Granted;
        known.then(|| surprise(counts, hour(access.at)))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Access(access) = event else { return None };
        let surprise = self.look(access)?;
        self.count = self.count.saturating_add(u32::from(surprise > 2.0));
        let score = Score {
            at: access.at,
            detector: self.id,
            symptom: Symptom::Identity,
            surprise,
            attribution: &[],
        };
        let detail = Detail::Count { count: self.count, from: access.from };
        Some(Observation { score, detail, onset: None })
    }
    fn coverage(&self) -> Coverage {
        if self.days >= FEWEST_DAYS && self.samples > 0 {
            Coverage::Calibrated { samples: self.samples, excursions: 0 }
        } else {
            Coverage::Silent("hours of access need three days of history")
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Catalogue, Label};

    use super::*;
    use crate::Recording;

    fn access(hours: i64) -> Access {
        Access {
            at: Timestamp::from_secs(hours * 3600),
            principal: PrincipalId(3),
            action: Label::literal("login"),
            outcome: AccessOutcome::Granted,
            from: None,
        }
    }

    #[test]
    fn hours_of_the_week_are_told_apart() {
        // 1 January 1970 was a Thursday, the third a Saturday
        assert_eq!((hour(access(5).at), hour(access(48 + 5).at), hour(access(96 + 5).at)), (5, 29, 5));
        assert_eq!(hour(Timestamp::from_secs(-1)), 23);
    }

    #[test]
    fn a_login_at_night_stands_out() {
        let mut recording = Recording::new();
        // weekdays from 7 to 16, for eight weeks
        for day in (0..56).filter(|day| (day + 3) % 7 < 5) {
            for hour in 7..17 {
                recording.push(&Event::Access(access(day * 24 + hour)));
            }
        }
        let catalogue = Catalogue::new();
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut fitted = Hours.fit(&recording.history(), &context).unwrap();
        let mut at = |hours: i64| fitted.observe(&Event::Access(access(hours))).unwrap().score.surprise;
        let monday = 60 * 24;
        assert!(at(monday + 11) < 0.5 && at(monday + 7) < 1.5);
        assert!(at(monday + 2) > 1.5, "{}", at(monday + 2));
        // by the definition, hour by hour
        let mut counts = [0; HOURS];
        counts[7..17].iter_mut().for_each(|count| *count = 40);
        let weights: Vec<f64> = (0..HOURS).map(|hour| weight(&counts, hour)).collect();
        let rare: f64 = weights.iter().filter(|w| **w <= weights[2]).sum();
        assert_eq!(at(monday + 2), -libm::log10(rare / weights.iter().sum::<f64>()));
    }

    #[test]
    fn a_short_history_says_nothing() {
        let mut recording = Recording::new();
        (0..40).for_each(|hour| recording.push(&Event::Access(access(hour))));
        let catalogue = Catalogue::new();
        let context = Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 };
        let mut fitted = Hours.fit(&recording.history(), &context).unwrap();
        assert!(fitted.observe(&Event::Access(access(60))).is_none());
        assert!(matches!(fitted.coverage(), Coverage::Silent(_)));
    }
}
