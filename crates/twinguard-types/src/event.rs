use crate::{
    Access, Attestation, Command, Exchange, Explanation, Intent, Malformed, Point, Quality, Residual,
    SignalId, Timestamp, Verdict,
};

/// A row of signals on a common clock; borrows the aligner's buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The row's time.
    pub at: Timestamp,
    /// The signals, in a fixed order.
    pub signals: &'a [SignalId],
    /// One value per signal; where the quality is not usable the number is the last good one or 0.
    pub values: &'a [f64],
    /// One quality per signal.
    pub qualities: &'a [Quality],
}

/// The one thing that detectors eat.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A value.
    Point(Point),
    /// A row of values.
    Row(Row<'a>),
    /// A command, seen or to be vetted.
    Command(Command),
    /// What somebody says they commanded.
    Intent(Intent),
    /// A request and its answer.
    Exchange(Exchange),
    /// A login, a session, a read.
    Access(Access),
    /// Odd bytes.
    Malformed(Malformed),
    /// An estimator's surprise.
    Residual(Residual<'a>),
    /// A cause that physics can name.
    Explanation(Explanation),
    /// A decision of the gate.
    Verdict(&'a Verdict),
    /// A comparison with the seal.
    Attestation(Attestation),
    /// Time passed.
    Tick(Timestamp),
}

impl Event<'_> {
    /// When the event happened, by arrival.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Point(point) => point.arrived_at,
            Self::Row(row) => row.at,
            Self::Command(command) => command.at,
            Self::Intent(intent) => intent.at,
            Self::Exchange(exchange) => exchange.at,
            Self::Access(access) => access.at,
            Self::Malformed(malformed) => malformed.at,
            Self::Residual(residual) => residual.at,
            Self::Explanation(explanation) => explanation.at,
            Self::Verdict(verdict) => verdict.at,
            Self::Attestation(attestation) => attestation.at,
            Self::Tick(at) => *at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, Value};

    #[test]
    fn a_points_time_is_its_arrival() {
        let mut point = Point::new(SignalId(0), Value::Integer(1), Source::Field, Timestamp::from_secs(5));
        point.event_at = Timestamp::from_secs(2);
        assert_eq!(Event::Point(point).at(), Timestamp::from_secs(5));
    }
}
