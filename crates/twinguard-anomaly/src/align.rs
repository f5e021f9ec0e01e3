//! Asynchronous points become rows on a clock grid: the last value is held, and grows stale.

use twinguard_types::{Duration, Point, Quality, Row, SignalId, Source, Timestamp};

use crate::{Error, archived};

/// Turns field points into rows, streaming.
///
/// A row of grid time g holds, per signal, the last value that arrived at or before g. The grid is anchored half a period
/// after the first point, so that with one poll per row the grid falls between the polls and jitter does not make rows
/// that repeat or miss a value. A value older than the staleness limit is marked [`Quality::Stale`]; a point whose device
/// time lies before the one held is late and is left out (and counted). After a silence longer than `CATCH_UP` rows the
/// grid jumps. No allocation after construction.
///
/// ```
/// use twinguard_anomaly::Aligner;
/// use twinguard_types::{Duration, Point, SignalId, Source, Timestamp, Value};
/// let mut aligner = Aligner::new(vec![SignalId(0)], Duration::from_secs(1), Duration::from_secs(5))?;
/// for second in 0..3 {
///     let point = Point::new(SignalId(0), Value::Integer(second), Source::Field, Timestamp::from_secs(second));
///     while let Some(row) = aligner.poll(point.arrived_at) {
///         assert_eq!(row.values, [(row.at.as_secs_f64() - 0.5)]);
///     }
///     aligner.push(&point);
/// }
/// # Ok::<(), twinguard_anomaly::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aligner {
    signals: Vec<SignalId>,
    order: Vec<(SignalId, usize)>,
    period: Duration,
    stale: Duration,
    next: Option<Timestamp>,
    held: Vec<Held>,
    values: Vec<f64>,
    qualities: Vec<Quality>,
    late: u64,
    skipped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    at: Option<Timestamp>,
    event_at: Timestamp,
    usable: bool,
}

archived!(Held { at, event_at, usable });

/// Longest silence, in rows, that is filled with stale rows.
const CATCH_UP: i64 = 600;

impl Aligner {
    /// An aligner for these signals, in this order.
    ///
    /// # Errors
    /// [`Error::Setting`] when the period or the staleness limit is not positive.
    pub fn new(signals: Vec<SignalId>, period: Duration, stale: Duration) -> Result<Self, Error> {
        for (name, span) in [("period", period), ("stale", stale)] {
            if span <= Duration::ZERO {
                return Err(Error::Setting { name, value: span.as_secs_f64(), must: "above zero" });
            }
        }
        let mut order: Vec<_> = signals.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let n = signals.len();
        Ok(Self {
            signals,
            order,
            period,
            stale,
            next: None,
            held: vec![Held::default(); n],
            values: vec![0.0; n],
            qualities: vec![Quality::Bad; n],
            late: 0,
            skipped: 0,
        })
    }

    /// Takes a point; those of other sources than the field and of other signals are passed over. Call [`Aligner::poll`]
    /// with the point's arrival first, until it is empty.
    pub fn push(&mut self, point: &Point) {
        if point.source != Source::Field {
            return;
        }
        let Ok(place) = self.order.binary_search_by(|(signal, _)| signal.cmp(&point.signal)) else { return };
        let place = self.order[place].1;
        if self.next.is_none() {
            self.next = Some(point.arrived_at + Duration::from_nanos(self.period.as_nanos() / 2));
        }
        let held = &mut self.held[place];
        if held.at.is_some() && point.event_at < held.event_at {
            self.late += 1;
            return;
        }
        *held =
            Held { at: Some(point.arrived_at), event_at: point.event_at, usable: point.quality.is_usable() };
        self.qualities[place] = point.quality;
        if point.quality.is_usable() {
            self.values[place] = point.value.as_f64();
        }
    }

    /// The next row whose grid time lies before `now`.
    pub fn poll(&mut self, now: Timestamp) -> Option<Row<'_>> {
        let mut at = self.next?;
        if at >= now {
            return None;
        }
        let behind = (now - at).as_nanos() / self.period.as_nanos();
        if behind > CATCH_UP {
            at = at + Duration::from_nanos((behind - 1).saturating_mul(self.period.as_nanos()));
            self.skipped = self.skipped.saturating_add((behind - 1) as u64);
        }
        self.next = Some(at + self.period);
        for (held, quality) in self.held.iter().zip(&mut self.qualities) {
            match held.at {
                None => *quality = Quality::Bad,
                Some(seen) if held.usable && at - seen > self.stale => *quality = Quality::Stale,
                Some(_) => {}
            }
        }
        Some(Row { at, signals: &self.signals, values: &self.values, qualities: &self.qualities })
    }

    /// Whether a first point has come, so that rows follow.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.next.is_some()
    }

    /// The signals, in the order of a row.
    #[must_use]
    pub fn signals(&self) -> &[SignalId] {
        &self.signals
    }

    /// Time between two rows.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Points left out because they were older than the value held.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Rows left out because of a long silence.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl crate::archive::Archive for Aligner {
    fn save(&self, writer: &mut crate::archive::Writer) {
        self.signals.save(writer);
        (self.period, self.stale, self.next).save(writer);
        self.held.save(writer);
        self.values.save(writer);
        self.qualities.iter().map(|quality| code(*quality)).collect::<Vec<u8>>().save(writer);
        (self.late, self.skipped).save(writer);
    }
    fn load(reader: &mut crate::archive::Reader<'_>) -> Result<Self, Error> {
        let signals = Vec::load(reader)?;
        let (period, stale, next) = crate::archive::Archive::load(reader)?;
        let mut aligner = Self::new(signals, period, stale)?;
        aligner.next = next;
        aligner.held = Vec::load(reader)?;
        aligner.values = Vec::load(reader)?;
        aligner.qualities = Vec::<u8>::load(reader)?.into_iter().map(quality).collect();
        (aligner.late, aligner.skipped) = crate::archive::Archive::load(reader)?;
        let n = aligner.signals.len();
        if [aligner.held.len(), aligner.values.len(), aligner.qualities.len()] != [n; 3] {
            return Err(reader.refuse("an aligner's lists differ in length"));
        }
        Ok(aligner)
    }
}

fn code(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain => 1,
        Quality::Stale => 2,
        Quality::Substituted => 3,
        _ => 4,
    }
}

fn quality(code: u8) -> Quality {
    match code {
        0 => Quality::Good,
        1 => Quality::Uncertain,
        2 => Quality::Stale,
        3 => Quality::Substituted,
        _ => Quality::Bad,
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::Value;

    use super::*;

    fn point(signal: u32, value: i64, at: i64) -> Point {
        Point::new(SignalId(signal), Value::Integer(value), Source::Field, Timestamp::from_millis(at))
    }

    #[test]
    fn rows_hold_grow_stale_and_jump() {
        let signals = vec![SignalId(7), SignalId(3)];
        let mut aligner = Aligner::new(signals, Duration::from_secs(1), Duration::from_secs(2)).unwrap();
        aligner.push(&point(7, 10, 0));
        aligner.push(&point(9, 99, 0));
        let row = aligner.poll(Timestamp::from_secs(1)).unwrap();
        assert_eq!((row.at, row.values), (Timestamp::from_millis(500), &[10.0, 0.0][..]));
        assert_eq!(row.qualities, [Quality::Good, Quality::Bad]);
        assert!(aligner.poll(Timestamp::from_secs(1)).is_none());
        aligner.push(&point(3, 5, 1_000));
        let mut late = point(3, 4, 1_100);
        late.event_at = Timestamp::from_millis(900);
        aligner.push(&late);
        assert_eq!(aligner.late(), 1);
        aligner.poll(Timestamp::from_secs(2)).unwrap();
        let row = aligner.poll(Timestamp::from_secs(3)).unwrap();
        assert_eq!(row.qualities, [Quality::Stale, Quality::Good]);
        aligner.poll(Timestamp::from_secs(100_000)).unwrap();
        assert!(aligner.skipped() > 90_000);
        assert!(Aligner::new(vec![], Duration::ZERO, Duration::from_secs(1)).is_err());
    }
}
