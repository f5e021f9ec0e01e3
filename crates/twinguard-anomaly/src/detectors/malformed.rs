//! Broken or odd bytes, more often than normal.
//!
//! Source: CUSUM of a Poisson rate thirty times the learnt one, per kind of oddity (Lorden, Annals of Mathematical Statistics 42,
//! 1971; Lucas, Technometrics 27, 1985). Lost bytes and captures that start in mid-stream are normal where the history shows them. One
//! odd message alone is no alarm. Cost: a binary search.

use twinguard_types::{DetectorId, Event, Oddity, Score, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Rare, Reader, Writer,
    archived, table::Table, tail::Burst,
};

/// Bursts of odd messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Malformed;

struct State {
    id: DetectorId,
    bursts: Table<u8, (Burst, u32)>,
    days: f64,
}

archived!(State { id, bursts, days });

fn code(oddity: Oddity) -> u8 {
    oddity as u8
}

impl Detector for Malformed {
    fn name(&self) -> &'static str {
        "malformed"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Malformed
    }
    fn needs(&self) -> Option<View> {
        Some(View::Wire)
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut counts: Table<u8, usize> = Table::new(64);
        for event in history.events() {
            if let Event::Malformed(malformed) = event
                && let Some(count) = counts.entry(code(malformed.oddity), || 0)
            {
                *count += 1;
            }
        }
        let days = history.days();
        let mut bursts = Table::new(64);
        for (code, count) in counts.iter() {
            // in the history oddities come in bunches: their effective number is taken ten times
            bursts.entry(*code, || (Burst::new(Rare::new(10 * count, days)), 0));
        }
        Ok(Box::new(State { id: context.id, bursts, days }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Malformed(malformed) = event else { return None };
        let days = self.days;
        let blank = || (Burst::new(Rare::new(0, days)), 0);
        let (burst, count) = self.bursts.entry(code(malformed.oddity), blank)?;
        let (surprise, since) = burst.hit(malformed.at);
        *count = if since == malformed.at { 1 } else { count.saturating_add(1) };
        let detail = Detail::Odd {
            count: *count,
            family: malformed.family,
            oddity: malformed.oddity,
            from: malformed.source.map(|source| source.ip()),
        };
        let (at, detector) = (malformed.at, self.id);
        let score = Score { at, detector, symptom: Symptom::Malformed, surprise, attribution: &[] };
        Some(Observation { score, detail, onset: Some(since) })
    }
    fn coverage(&self) -> Coverage {
        if self.days > 0.0 {
            Coverage::Calibrated { samples: self.bursts.len(), excursions: 0 }
        } else {
            Coverage::Assumed
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Event, Label, Malformed, Oddity, Timestamp};

    use crate::testing::{self, Plant};

    #[test]
    fn one_odd_message_is_no_alarm_but_a_burst_is() {
        let mut fitted = testing::fit(&super::Malformed, Plant::new(1).run(4_000));
        let mut surprises = Vec::new();
        for second in 0..10 {
            let malformed = Malformed {
                at: Timestamp::from_secs(10_000 + second),
                family: Label::literal("modbus"),
                source: None,
                destination: None,
                offset: 0,
                oddity: Oddity::BadQuantity,
            };
            surprises.push(fitted.observe(&Event::Malformed(malformed)).unwrap().score.surprise);
        }
        assert!(surprises[0] < 2.0 && surprises[9] > 7.0, "{surprises:?}");
    }
}
