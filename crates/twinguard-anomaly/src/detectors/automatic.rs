//! The automatic suite as a detector: rows of a plant of which nothing is known but its history.
//!
//! Source: [`crate::suite`], on the last 20 000 rows of the history and at most 64 signals that have values there. The suite's surprise is
//! cut to what few independent rows are sure of; alarms that come once in weeks are asked of its tail, as of every other statistic. Slow
//! drifts are followed, but not while the surprise passes 4, so what alarms is not learnt. Cost: a few microseconds a row. It lies in a
//! regime that the history lacks.

use twinguard_types::{Attribution, DetectorId, Event, Score, SignalId, Symptom, Timestamp, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Tail, Writer,
    detector::gap,
    suite::{FEWEST_ROWS, State, Suite, Training},
};

const MOST_ROWS: usize = 20_000;
const MOST_SIGNALS: usize = 64;
/// Surprise beyond which nothing is followed.
const HELD: f64 = 4.0;
/// Signals that a score names, and the least share of one.
const NAMED: usize = 8;
const LEAST_SHARE: f64 = 0.1;

/// The automatic suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Automatic;

struct Inner {
    suite: Suite,
    state: State,
    tail: Tail,
}

struct Watch {
    id: DetectorId,
    layout: Vec<SignalId>,
    /// Places of the signals that are looked at.
    places: Vec<usize>,
    inner: Option<Inner>,
    row: Vec<f64>,
    shares: Vec<Attribution>,
}

impl Detector for Automatic {
    fn name(&self) -> &'static str {
        "automatic"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Redundancy
    }
    fn needs(&self) -> Option<View> {
        Some(View::History)
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let (layout, rows) = history.rows_alike();
        let count = rows.len();
        let first = count.saturating_sub(MOST_ROWS);
        let mut usable = vec![0_usize; layout.len()];
        for row in rows.iter().skip(first) {
            usable.iter_mut().zip(row.qualities).for_each(|(n, q)| *n += usize::from(q.is_usable()));
        }
        let known = |place: &usize| 2 * usable[*place] >= count - first;
        let places: Vec<usize> = (0..layout.len()).filter(known).take(MOST_SIGNALS).collect();
        let mut values = Vec::with_capacity((count - first) * places.len());
        let mut times: Vec<Timestamp> = Vec::with_capacity(count - first);
        for row in rows.iter().skip(first) {
            let value =
                |place: &usize| if row.qualities[*place].is_usable() { row.values[*place] } else { f64::NAN };
            values.extend(places.iter().map(value));
            times.push(row.at);
        }
        let enough = !places.is_empty() && times.len() >= FEWEST_ROWS;
        let inner = if enough {
            let training = Training { channels: places.len(), values: &values, times: Some(&times) };
            // columns without any value in half of the rows are left out already, so this is a history like any other
            Suite::learn(&training).ok().map(|(suite, mixed)| {
                let sample: Vec<f64> = mixed.iter().map(|mixed| suite.surprise(*mixed)).collect();
                let tail = Tail::fit(&sample, gap(sample.len()), 0.01);
                Inner { state: suite.state(), tail, suite }
            })
        } else {
            None
        };
        Ok(Box::new(Watch {
            id: context.id,
            row: vec![0.0; places.len()],
            layout,
            places,
            inner,
            shares: vec![Attribution { signal: SignalId(0), share: 0.0 }; NAMED],
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        let (id, layout, places): (_, Vec<SignalId>, Vec<usize>) = Archive::load(reader)?;
        let kept: Option<(Vec<u8>, Vec<u8>, Tail)> = Archive::load(reader)?;
        let inner = match kept {
            Some((suite, state, tail)) => {
                let suite = Suite::restore(&suite)?;
                Some(Inner { state: suite.restore_state(&state)?, suite, tail })
            }
            None => None,
        };
        let fits = places.iter().all(|place| *place < layout.len())
            && inner.as_ref().is_none_or(|inner| inner.suite.channels() == places.len());
        if !fits {
            return Err(reader.refuse("a suite of other signals"));
        }
        let shares = vec![Attribution { signal: SignalId(0), share: 0.0 }; NAMED];
        Ok(Box::new(Watch { id, row: vec![0.0; places.len()], layout, places, inner, shares }))
    }
}

impl Watch {
    /// The largest shares, largest first; how many.
    fn name(&mut self) -> usize {
        let Some(inner) = &self.inner else { return 0 };
        let mut count = 0;
        for (column, share) in inner.state.shares(&inner.suite).filter(|(_, share)| *share >= LEAST_SHARE) {
            let place = self.shares[..count].partition_point(|held| held.share >= share);
            if place < NAMED {
                count = (count + 1).min(NAMED);
                self.shares[place..count].rotate_right(1);
                self.shares[place] = Attribution { signal: self.layout[self.places[column]], share };
            }
        }
        count
    }
}

impl Fitted for Watch {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Row(row) = event else { return None };
        if row.signals != self.layout {
            return None;
        }
        let inner = self.inner.as_mut()?;
        for (value, place) in self.row.iter_mut().zip(&self.places) {
            *value = if row.qualities[*place].is_usable() { row.values[*place] } else { f64::NAN };
        }
        let verdict = inner.state.observe(&inner.suite, Some(row.at), &self.row);
        let surprise = inner.tail.surprise(verdict.surprise);
        inner.state.follow(surprise < HELD);
        let named = if surprise >= 1.0 { self.name() } else { 0 };
        let detail = self.shares[..named]
            .first()
            .map_or(Detail::None, |most| Detail::Unlike { signal: most.signal, share: most.share });
        let (at, detector) = (row.at, self.id);
        let score = Score {
            at,
            detector,
            symptom: Symptom::Redundancy,
            surprise,
            attribution: &self.shares[..named],
        };
        Some(Observation { score, detail, onset: None })
    }
    fn coverage(&self) -> Coverage {
        match &self.inner {
            Some(Inner { tail, .. }) => {
                Coverage::Calibrated { samples: tail.samples(), excursions: tail.excursions() }
            }
            None => Coverage::Silent("the rows of the history are too few"),
        }
    }
    fn save(&self, writer: &mut Writer) {
        (self.id, self.layout.clone(), self.places.clone()).save(writer);
        let kept =
            self.inner.as_ref().map(|inner| (inner.suite.save(), inner.state.save(), inner.tail.clone()));
        kept.save(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Plant};

    #[test]
    fn a_biased_sensor_is_seen_and_named() {
        let mut fitted = testing::fit(&Automatic, Plant::new(3).run(6_000));
        let mut plant = Plant::new(4);
        assert!(testing::loudest(&mut *fitted, &mut plant, 3_000) < 6.5);
        plant.bias[1] = 25.0;
        let mut named = Vec::new();
        for _ in 0..60 {
            plant.step(|event| {
                if let Some(seen) = fitted.observe(event)
                    && seen.score.surprise > 3.0
                {
                    named.push(seen.score.attribution.iter().map(|held| held.signal).collect::<Vec<_>>());
                }
            });
        }
        assert!(!named.is_empty(), "seen");
        assert!(named.iter().all(|held| held.contains(&SignalId(1))), "{named:?}");
    }

    #[test]
    fn it_continues_bit_by_bit_and_is_silent_without_rows() {
        let mut fitted = testing::fit(&Automatic, Plant::new(3).run(1_000));
        let mut plant = Plant::new(5);
        testing::loudest(&mut *fitted, &mut plant, 50);
        let mut writer = Writer::new();
        fitted.save(&mut writer);
        let bytes = writer.finish();
        let mut restored = Automatic.restore(&mut Reader::new(&bytes)).unwrap();
        plant.step(|event| {
            let bits = |seen: Option<Observation<'_>>| seen.map(|seen| seen.score.surprise.to_bits());
            assert_eq!(bits(fitted.observe(event)), bits(restored.observe(event)));
        });
        let silent = testing::fit(&Automatic, Plant::new(3).run(20));
        assert!(matches!(silent.coverage(), Coverage::Silent(_)));
    }
}
