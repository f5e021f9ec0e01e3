//! A recording of normal operation, and how a detector walks through it.

use twinguard_types::{
    Access, Attestation, Command, Duration, Event, Exchange, Explanation, Intent, Malformed, Point, Quality,
    Residual, Row, SignalId, Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Point,
    Row,
    Command,
    Intent,
    Exchange,
    Access,
    Malformed,
    Residual,
    Explanation,
    Attestation,
    Tick,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    at: Timestamp,
    layout: u32,
    start: usize,
    len: usize,
    /// Whether what was expected and what is believed of each signal follows the innovations.
    told: bool,
    nis: f64,
    dof: usize,
    log_likelihood: f64,
}

/// An owned recording of events, so that a guard can record while it learns and then fit.
///
/// Residuals are kept without their covariance factor (their `factor` is empty on replay): detectors learn the covariance
/// of the innovations themselves. Verdicts are not kept: what the gate decides is no normal operation.
///
/// ```
/// use twinguard_anomaly::Recording;
/// use twinguard_types::{Event, Timestamp};
/// let mut recording = Recording::new();
/// recording.push(&Event::Tick(Timestamp::from_secs(1)));
/// recording.push(&Event::Tick(Timestamp::from_secs(61)));
/// assert_eq!(recording.history().days(), 60.0 / 86_400.0);
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    order: Vec<(Kind, u32)>,
    points: Vec<Point>,
    rows: Vec<Block>,
    commands: Vec<Command>,
    intents: Vec<Intent>,
    exchanges: Vec<Exchange>,
    accesses: Vec<Access>,
    malformed: Vec<Malformed>,
    residuals: Vec<Block>,
    explanations: Vec<Explanation>,
    attestations: Vec<Attestation>,
    ticks: Vec<Timestamp>,
    layouts: Vec<Box<[SignalId]>>,
    numbers: Vec<f64>,
    qualities: Vec<Quality>,
    limit: usize,
    dropped: u64,
}

impl Default for Recording {
    fn default() -> Self {
        Self::with_limit(8_000_000)
    }
}

impl Recording {
    /// An empty recording of at most eight million events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty recording of at most this many events; later ones are counted and dropped.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            order: Vec::new(),
            points: Vec::new(),
            rows: Vec::new(),
            commands: Vec::new(),
            intents: Vec::new(),
            exchanges: Vec::new(),
            accesses: Vec::new(),
            malformed: Vec::new(),
            residuals: Vec::new(),
            explanations: Vec::new(),
            attestations: Vec::new(),
            ticks: Vec::new(),
            layouts: Vec::new(),
            numbers: Vec::new(),
            qualities: Vec::new(),
            limit: limit.min(u32::MAX as usize),
            dropped: 0,
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event<'_>) {
        if self.order.len() >= self.limit {
            self.dropped += 1;
            return;
        }
        macro_rules! keep {
            ($kind:ident, $list:ident, $item:expr) => {{
                self.$list.push($item);
                (Kind::$kind, self.$list.len() - 1)
            }};
        }
        let (kind, index) = match event {
            Event::Point(point) => keep!(Point, points, *point),
            Event::Command(command) => keep!(Command, commands, *command),
            Event::Intent(intent) => keep!(Intent, intents, *intent),
            Event::Exchange(exchange) => keep!(Exchange, exchanges, *exchange),
            Event::Access(access) => keep!(Access, accesses, *access),
            Event::Malformed(malformed) => keep!(Malformed, malformed, *malformed),
            Event::Explanation(explanation) => keep!(Explanation, explanations, *explanation),
            Event::Attestation(attestation) => keep!(Attestation, attestations, *attestation),
            Event::Tick(at) => keep!(Tick, ticks, *at),
            Event::Row(row) => {
                let block = self.block(row.at, row.signals, row.values);
                self.qualities.resize(self.numbers.len(), Quality::Good);
                for (slot, quality) in self.qualities[block.start..].iter_mut().zip(row.qualities) {
                    *slot = *quality;
                }
                keep!(Row, rows, block)
            }
            Event::Residual(residual) => {
                let mut block = self.block(residual.at, residual.signals, residual.innovation);
                block.told = [residual.expected.len(), residual.believed.len()] == [block.len; 2];
                if block.told {
                    self.numbers.extend_from_slice(residual.expected);
                    self.numbers.extend_from_slice(residual.believed);
                }
                (block.nis, block.dof, block.log_likelihood) =
                    (residual.nis, residual.dof, residual.log_likelihood);
                keep!(Residual, residuals, block)
            }
            _ => return,
        };
        self.order.push((kind, index as u32));
    }

    /// Number of events kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of events beyond the limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The whole recording as a history.
    #[must_use]
    pub fn history(&self) -> History<'_> {
        History { recording: Some(self), from: 0, to: self.order.len() }
    }

    fn block(&mut self, at: Timestamp, signals: &[SignalId], values: &[f64]) -> Block {
        let layout = match self.layouts.iter().position(|layout| **layout == *signals) {
            Some(layout) => layout,
            None => {
                self.layouts.push(signals.into());
                self.layouts.len() - 1
            }
        };
        let start = self.numbers.len();
        self.numbers.extend_from_slice(values);
        let len = values.len();
        Block { at, layout: layout as u32, start, len, told: false, nis: 0.0, dof: 0, log_likelihood: 0.0 }
    }

    fn event(&self, place: usize) -> Option<Event<'_>> {
        let (kind, index) = *self.order.get(place)?;
        let index = index as usize;
        Some(match kind {
            Kind::Point => Event::Point(self.points[index]),
            Kind::Command => Event::Command(self.commands[index]),
            Kind::Intent => Event::Intent(self.intents[index]),
            Kind::Exchange => Event::Exchange(self.exchanges[index]),
            Kind::Access => Event::Access(self.accesses[index]),
            Kind::Malformed => Event::Malformed(self.malformed[index]),
            Kind::Explanation => Event::Explanation(self.explanations[index]),
            Kind::Attestation => Event::Attestation(self.attestations[index]),
            Kind::Tick => Event::Tick(self.ticks[index]),
            Kind::Row => {
                let block = self.rows[index];
                Event::Row(Row {
                    at: block.at,
                    signals: &self.layouts[block.layout as usize],
                    values: &self.numbers[block.start..block.start + block.len],
                    qualities: &self.qualities[block.start..block.start + block.len],
                })
            }
            Kind::Residual => {
                let block = self.residuals[index];
                let part = |number: usize| {
                    let start = block.start + number * block.len;
                    if number == 0 || block.told { &self.numbers[start..start + block.len] } else { &[] }
                };
                Event::Residual(Residual {
                    at: block.at,
                    signals: &self.layouts[block.layout as usize],
                    innovation: part(0),
                    expected: part(1),
                    believed: part(2),
                    factor: &[],
                    nis: block.nis,
                    dof: block.dof,
                    log_likelihood: block.log_likelihood,
                })
            }
        })
    }
}

/// A part of a recording, to be walked through as often as needed.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    recording: Option<&'a Recording>,
    from: usize,
    to: usize,
}

impl<'a> History<'a> {
    /// No history at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self { recording: None, from: 0, to: 0 }
    }

    /// The events in the order in which they came.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let (recording, from, to) = (self.recording, self.from, self.to);
        (from..to).filter_map(move |place| recording?.event(place))
    }

    /// The residuals alone.
    pub fn residuals(&self) -> impl Iterator<Item = Residual<'a>> + use<'a> {
        self.events().filter_map(|event| match event {
            Event::Residual(residual) => Some(residual),
            _ => None,
        })
    }

    /// The rows alone.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.events().filter_map(|event| match event {
            Event::Row(row) => Some(row),
            _ => None,
        })
    }

    /// The signals of the first row, and the rows that have the same: compared once, for a row may be wide.
    pub(crate) fn rows_alike(&self) -> (Vec<SignalId>, Vec<Row<'a>>) {
        let layout = self.rows().next().map(|row| row.signals.to_vec()).unwrap_or_default();
        let rows = self.rows().filter(|row| row.signals == layout).collect();
        (layout, rows)
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first event to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        let ends = self.recording.and_then(|recording| {
            Some((recording.event(self.from)?.at(), recording.event(self.to.checked_sub(1)?)?.at()))
        });
        ends.map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// The span in days.
    #[must_use]
    pub fn days(&self) -> f64 {
        self.span().as_secs_f64().max(0.0) / 86_400.0
    }

    /// Cuts it after this share of its events.
    #[must_use]
    pub fn split(&self, share: f64) -> (Self, Self) {
        let cut = self.from + (self.len() as f64 * share.clamp(0.0, 1.0)) as usize;
        (Self { to: cut, ..*self }, Self { from: cut, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_what_was_recorded() {
        let signals = [SignalId(0), SignalId(4)];
        let row = Row {
            at: Timestamp::from_secs(1),
            signals: &signals,
            values: &[1.0, 2.0],
            qualities: &[Quality::Good, Quality::Bad],
        };
        let residual = Residual {
            at: Timestamp::from_secs(2),
            signals: &signals[..1],
            innovation: &[0.5],
            expected: &[3.0],
            believed: &[3.2],
            factor: &[],
            nis: 0.25,
            dof: 1,
            log_likelihood: -1.0,
        };
        let events = [Event::Row(row), Event::Residual(residual), Event::Tick(Timestamp::from_secs(3))];
        let mut recording = Recording::with_limit(3);
        events.iter().for_each(|event| recording.push(event));
        recording.push(&events[2]);
        assert_eq!(recording.history().events().collect::<Vec<_>>(), events);
        assert_eq!((recording.len(), recording.dropped()), (3, 1));
        let (head, tail) = recording.history().split(0.34);
        assert_eq!((head.len(), tail.len()), (1, 2));
        assert_eq!(History::empty().events().count(), 0);
    }
}
