use crate::{SignalId, Timestamp, Value};

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Source {
    /// The wire, or a broker or historian behind it.
    Field,
    /// The twin that the platform shows.
    Vendor,
    /// The sealed model's own estimate.
    Model,
}

/// How far a value may be trusted, as its source says or as its transport shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Quality {
    /// To be used.
    #[default]
    Good,
    /// To be used with doubt: limits reached, clock unsynchronised, test bit set.
    Uncertain,
    /// Older than its signal's staleness limit.
    Stale,
    /// Put in place of the measured value (by the device, an operator or us).
    Substituted,
    /// Not to be used as a measurement.
    Bad,
}

impl Quality {
    /// Whether an estimator may take the value as a measurement.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Good | Self::Uncertain)
    }

    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Uncertain => "uncertain",
            Self::Stale => "stale",
            Self::Substituted => "substituted",
            Self::Bad => "bad",
        }
    }
}

/// One value of one signal from one source.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Point {
    /// The signal.
    pub signal: SignalId,
    /// The value in the signal's unit.
    pub value: Value,
    /// How far it may be trusted.
    pub quality: Quality,
    /// Who says so.
    pub source: Source,
    /// When the value held, by the device's clock where it gives one, else [`Point::arrived_at`].
    pub event_at: Timestamp,
    /// When it reached us.
    pub arrived_at: Timestamp,
}

impl Point {
    /// A good value that held when it arrived.
    #[must_use]
    pub const fn new(signal: SignalId, value: Value, source: Source, at: Timestamp) -> Self {
        Self { signal, value, quality: Quality::Good, source, event_at: at, arrived_at: at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substituted_and_stale_values_are_no_measurements() {
        assert!(Quality::Uncertain.is_usable());
        assert!(
            !Quality::Substituted.is_usable() && !Quality::Stale.is_usable() && !Quality::Bad.is_usable()
        );
    }
}
