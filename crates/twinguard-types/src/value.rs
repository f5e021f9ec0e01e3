use crate::Error;

/// A finite `f64`. NaN and infinities are stopped here once, so nothing behind it has to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Finite(f64);

impl Finite {
    /// Zero.
    pub const ZERO: Self = Self(0.0);

    /// A finite number.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinities.
    pub fn new(value: f64) -> Result<Self, Error> {
        if value.is_finite() { Ok(Self(value)) } else { Err(Error::NotFinite) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = Error;
    fn try_from(value: f64) -> Result<Self, Error> {
        Self::new(value)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Finite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A value in the signal's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Value {
    /// A physical quantity.
    Real(Finite),
    /// A count, a mode, an enumeration.
    Integer(i64),
    /// A state.
    Boolean(bool),
}

impl Value {
    /// A real value.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinities.
    pub fn real(value: f64) -> Result<Self, Error> {
        Finite::new(value).map(Self::Real)
    }

    /// The value as a number: booleans are 0 and 1; integers beyond 2⁵³ are rounded.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Real(value) => value.get(),
            Self::Integer(value) => value as f64,
            Self::Boolean(value) => f64::from(u8::from(value)),
        }
    }
}

impl core::fmt::Display for Value {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Real(value) => value.get().fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Boolean(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_numbers_exist() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Value::real(bad), Err(Error::NotFinite));
        }
        assert_eq!(Value::real(-0.5).unwrap().as_f64(), -0.5);
        assert_eq!(Value::Boolean(true).as_f64(), 1.0);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_refuses_what_the_constructor_refuses() {
        assert!(serde_json::from_str::<Finite>("1e999").is_err());
        assert_eq!(serde_json::from_str::<Value>("{\"real\":1.5}").unwrap(), Value::real(1.5).unwrap());
    }
}
