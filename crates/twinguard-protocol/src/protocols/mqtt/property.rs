//! Fields of variable length and the properties of MQTT 5.0 (V5 §1.5, §2.2.2).

/// Reads fields one behind the other; `None` as soon as one is not all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    #[inline]
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Two byte integer, big-endian (V5 §1.5.2).
    #[inline]
    pub(super) fn word(&mut self) -> Option<u16> {
        let (word, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*word))
    }

    /// Four byte integer (V5 §1.5.3).
    fn long(&mut self) -> Option<u32> {
        let (long, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*long))
    }

    /// Text or binary data behind its length of two bytes (V5 §1.5.4, §1.5.6).
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.rest = rest;
        Some(text)
    }

    /// Variable byte integer of at most four bytes (V5 §1.5.5), and whether it is as short as can be.
    #[inline]
    pub(super) fn number(&mut self) -> Option<(u32, bool)> {
        let mut number = 0;
        for (place, byte) in self.rest.iter().take(4).enumerate() {
            number |= u32::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(place + 1..)?;
                return Some((number, place == 0 || *byte != 0));
            }
        }
        None
    }

    /// A length and the properties that it counts (V5 §2.2.2.1).
    #[inline]
    pub(super) fn properties(&mut self) -> Option<Properties<'a>> {
        let mut ahead = *self;
        let (len, _) = ahead.number()?;
        let (properties, rest) = ahead.rest.split_at_checked(len as usize)?;
        self.rest = rest;
        Some(Properties(properties))
    }
}

/// The properties of a packet (V5 §2.2.2.2), as they lie on the wire.
///
/// ```
/// use twinguard_protocol::protocols::mqtt::{Properties, PropertyValue};
///
/// let properties = Properties::new(&[0x23, 0, 5, 0x01, 1]);
/// let read: Vec<_> = properties.iter().collect();
/// assert_eq!(read, [(0x23, PropertyValue::Number(5)), (0x01, PropertyValue::Number(1))]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

/// The value of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// A byte, two or four bytes, or a variable byte integer.
    Number(u32),
    /// Text.
    Text(&'a [u8]),
    /// Binary data.
    Binary(&'a [u8]),
    /// Two texts: name and value of a user property.
    Pair(&'a [u8], &'a [u8]),
}

/// Topic Alias (V5 §3.3.2.3.4).
pub const TOPIC_ALIAS: u8 = 0x23;
/// Content Type (V5 §3.3.2.3.9).
pub(super) const CONTENT_TYPE: u8 = 0x03;

impl<'a> Properties<'a> {
    /// The properties in these bytes, without the length before them.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Identifier and value of each, up to the first that is unknown or cut.
    pub fn iter(&self) -> impl Iterator<Item = (u8, PropertyValue<'a>)> + 'a {
        let mut cursor = Cursor::new(self.0);
        core::iter::from_fn(move || property(&mut cursor))
    }

    /// Where the first one that is unknown or cut begins; `None` when all are whole.
    #[inline]
    #[must_use]
    pub fn flaw(&self) -> Option<usize> {
        let mut cursor = Cursor::new(self.0);
        while !cursor.rest.is_empty() {
            let at = self.0.len() - cursor.rest.len();
            if property(&mut cursor).is_none() {
                return Some(at);
            }
        }
        None
    }

    /// The number of the property with this identifier.
    #[inline]
    #[must_use]
    pub fn number(&self, wanted: u8) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        self.iter().find_map(|(id, value)| match value {
            PropertyValue::Number(number) if id == wanted => Some(number),
            _ => None,
        })
    }
}

/// The next property, by the table of V5 §2.2.2.2.
fn property<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, PropertyValue<'a>)> {
    let id = cursor.byte()?;
    let value = match id {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
            PropertyValue::Number(u32::from(cursor.byte()?))
        }
        0x13 | 0x21 | 0x22 | TOPIC_ALIAS => PropertyValue::Number(u32::from(cursor.word()?)),
        0x02 | 0x11 | 0x18 | 0x27 => PropertyValue::Number(cursor.long()?),
        0x0b => PropertyValue::Number(cursor.number()?.0),
        CONTENT_TYPE | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => PropertyValue::Text(cursor.text()?),
        0x09 | 0x16 => PropertyValue::Binary(cursor.text()?),
        0x26 => PropertyValue::Pair(cursor.text()?, cursor.text()?),
        _ => return None,
    };
    Some((id, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        // Table 1-1 of V5 §1.5.5: first and last number of each length.
        for (bytes, expect) in [
            (&[0u8][..], Some((0, true))),
            (&[0x7f], Some((127, true))),
            (&[0x80, 1], Some((128, true))),
            (&[0xff, 0x7f], Some((16_383, true))),
            (&[0x80, 0x80, 1], Some((16_384, true))),
            (&[0xff, 0xff, 0xff, 0x7f], Some((268_435_455, true))),
            (&[0x80, 0], Some((0, false))),
            (&[0xff, 0xff, 0xff, 0xff, 1], None),
            (&[0x80], None),
        ] {
            assert_eq!(Cursor::new(bytes).number(), expect, "{bytes:02x?}");
        }
    }

    #[test]
    fn properties_end_at_the_first_that_cannot_be_read() {
        let good = [0x26, 0, 1, b'a', 0, 1, b'b', 0x0b, 0x80, 1, 0x02, 0, 0, 1, 0, 0x16, 0, 1, 9, 0x03, 0, 0];
        let properties = Properties::new(&good);
        assert_eq!(properties.flaw(), None);
        let read: Vec<_> = properties.iter().map(|(id, _)| id).collect();
        assert_eq!(read, [0x26, 0x0b, 0x02, 0x16, 0x03]);
        assert_eq!(
            (properties.number(0x0b), properties.number(0x02), properties.number(0x23)),
            (Some(128), Some(256), None)
        );
        assert_eq!(Properties::new(&[0x01, 1, 0x77, 1]).flaw(), Some(2), "unknown");
        assert_eq!(Properties::new(&[0x01, 1, 0x23, 1]).flaw(), Some(2), "cut");
    }
}
