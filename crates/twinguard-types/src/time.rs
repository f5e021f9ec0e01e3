use core::fmt;
use core::ops::{Add, Neg, Sub};

use crate::Error;
use crate::calendar::date_of;

const NANOS: i64 = 1_000_000_000;

/// An instant in integer nanoseconds, counted from the Unix epoch (UTC, without leap seconds).
///
/// A simulated run may count from its own start; the scale is the same. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Timestamp(i64);

/// A signed span of integer nanoseconds. Arithmetic saturates.
///
/// Unlike [`core::time::Duration`] it may be negative: a late sample arrives before its neighbour in event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Duration(i64);

macro_rules! nanoseconds {
    ($name:ident) => {
        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// The latest representable.
            pub const MAX: Self = Self(i64::MAX);
            /// The earliest representable.
            pub const MIN: Self = Self(i64::MIN);

            /// From nanoseconds.
            #[must_use]
            pub const fn from_nanos(nanos: i64) -> Self {
                Self(nanos)
            }

            /// From microseconds, saturating.
            #[must_use]
            pub const fn from_micros(micros: i64) -> Self {
                Self(micros.saturating_mul(1_000))
            }

            /// From milliseconds, saturating.
            #[must_use]
            pub const fn from_millis(millis: i64) -> Self {
                Self(millis.saturating_mul(1_000_000))
            }

            /// From whole seconds, saturating.
            #[must_use]
            pub const fn from_secs(secs: i64) -> Self {
                Self(secs.saturating_mul(NANOS))
            }

            /// From seconds, rounded to the nearest nanosecond.
            ///
            /// # Errors
            /// [`Error::NotFinite`] for NaN and infinities, [`Error::TimeOutOfRange`] beyond 64 bits.
            pub fn from_secs_f64(secs: f64) -> Result<Self, Error> {
                if !secs.is_finite() {
                    return Err(Error::NotFinite);
                }
                let nanos = (secs * NANOS as f64).round();
                if nanos.abs() >= i64::MAX as f64 {
                    return Err(Error::TimeOutOfRange);
                }
                Ok(Self(nanos as i64))
            }

            /// Whole nanoseconds.
            #[must_use]
            pub const fn as_nanos(self) -> i64 {
                self.0
            }

            /// Seconds as a float; exact to the nanosecond up to about 104 days, to the microsecond beyond.
            #[must_use]
            pub fn as_secs_f64(self) -> f64 {
                let (secs, nanos) = (self.0 / NANOS, self.0 % NANOS);
                secs as f64 + nanos as f64 / NANOS as f64
            }
        }
    };
}

nanoseconds!(Timestamp);
nanoseconds!(Duration);

impl Timestamp {
    /// Time since `earlier`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

/// Date and clock in UTC as RFC 3339 writes them; the precision is the number of decimals, at most nine, none by default.
///
/// ```
/// use twinguard_types::Timestamp;
///
/// let at = Timestamp::from_millis(1_795_378_004_235);
/// assert_eq!(at.to_string(), "2026-11-22T20:06:44Z");
/// assert_eq!(format!("{at:.1}"), "2026-11-22T20:06:44.2Z", "cut, not rounded");
/// ```
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.div_euclid(NANOS), self.0.rem_euclid(NANOS));
        let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, date) = date_of(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}")?;
        match f.precision().unwrap_or(0).min(9) {
            0 => {}
            decimals => {
                let kept = nanos / 10_i64.pow(9 - decimals as u32);
                write!(f, ".{kept:0decimals$}")?;
            }
        }
        f.write_str("Z")
    }
}

impl Duration {
    /// Whether the span is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl Sub for Timestamp {
    type Output = Duration;
    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl Neg for Duration {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn converts_and_saturates() {
        assert_eq!(Timestamp::from_secs_f64(1.5).unwrap(), Timestamp::from_millis(1_500));
        assert_eq!(Timestamp::from_secs(-1).as_secs_f64(), -1.0);
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Duration::from_secs_f64(f64::NAN), Err(Error::NotFinite));
        assert_eq!(Duration::from_secs_f64(1e12), Err(Error::TimeOutOfRange));
    }

    proptest! {
        #[test]
        fn since_undoes_add(start in -1i64 << 60..1 << 60, span in -1i64 << 60..1 << 60) {
            let (start, span) = (Timestamp::from_nanos(start), Duration::from_nanos(span));
            prop_assert_eq!((start + span).since(start), span);
        }
    }
}
