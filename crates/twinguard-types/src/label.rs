use crate::Error;

/// A short name that is copied like a number: at most [`Label::CAPACITY`] bytes, kept inline.
///
/// Used for names from an open set on hot paths (a protocol family, an access action).
///
/// ```
/// let family = twinguard_types::Label::new("modbus")?;
/// assert_eq!(family.as_str(), "modbus");
/// # Ok::<(), twinguard_types::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Label {
    /// Longest label in bytes.
    pub const CAPACITY: usize = 23;

    /// A label from text.
    ///
    /// # Errors
    /// [`Error::LabelTooLong`] beyond [`Label::CAPACITY`] bytes.
    pub fn new(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; Self::CAPACITY];
        let slot = bytes
            .get_mut(..text.len())
            .ok_or_else(|| Error::LabelTooLong { label: text.chars().take(120).collect() })?;
        slot.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// A label from a literal, cut at [`Label::CAPACITY`] bytes (ASCII literals only are meant).
    #[must_use]
    pub const fn literal(text: &'static str) -> Self {
        let source = text.as_bytes();
        let mut bytes = [0; Self::CAPACITY];
        let mut len = 0;
        while len < source.len() && len < Self::CAPACITY && source[len].is_ascii() {
            bytes[len] = source[len];
            len += 1;
        }
        Self { bytes, len: len as u8 }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or_default()
    }
}

impl core::fmt::Display for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

impl core::fmt::Debug for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_text_and_refuses_long_text() {
        assert_eq!(Label::literal("modbus"), Label::new("modbus").unwrap());
        assert_eq!(Label::new("über").unwrap().as_str(), "über");
        assert!(matches!(Label::new(&"x".repeat(24)), Err(Error::LabelTooLong { .. })));
        assert_eq!(Label::literal("a name that is far too long to fit").as_str().len(), Label::CAPACITY);
    }
}
