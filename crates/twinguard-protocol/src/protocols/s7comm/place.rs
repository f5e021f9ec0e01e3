//! Places in the memory of an S7 device, and the grammar of their tags.
//!
//! Sources: SIMATIC S7-300/400 programming manuals (address identifiers); as `view.rs` (area codes).

use core::fmt;

use super::item::Any;
use crate::protocol::{Name, Tag};

/// Area codes and the letters of tags.
const AREAS: &[(u8, &str)] = &[
    (0x84, "DB"),
    (0x83, "M"),
    (0x81, "I"),
    (0x82, "Q"),
    (0x80, "P"),
    (0x1c, "C"),
    (0x1d, "T"),
    (0x85, "DI"),
    (0x86, "L"),
    (0x87, "V"),
    (0x1e, "IC"),
    (0x1f, "IT"),
    (0x03, "SI"),
    (0x05, "SF"),
    (0x06, "AI"),
    (0x07, "AQ"),
];

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A byte; the address counts bytes.
    Byte,
    /// A bit; the address counts bits.
    Bit,
    /// A counter or timer of two bytes; the address is its number.
    Word,
}

/// A place, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Area code: `0x84` data blocks, `0x83` markers, `0x81` inputs, `0x82` outputs, `0x80` periphery, …
    pub area: u8,
    /// Data block; 0 for other areas.
    pub block: u16,
    /// What lies there.
    pub unit: Unit,
    /// Where, counted by the unit.
    pub address: u32,
}

/// Whether an area has data blocks.
const fn has_blocks(area: u8) -> bool {
    matches!(area, 0x84 | 0x85)
}

/// Whether an area holds counters or timers.
const fn has_words(area: u8) -> bool {
    matches!(area, 0x1c..=0x1f)
}

impl Place {
    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let unit = match tag.space >> 24 {
            0 => Unit::Byte,
            1 => Unit::Bit,
            2 => Unit::Word,
            _ => return None,
        };
        let (area, block) = ((tag.space >> 16) as u8, tag.space as u16);
        Some(Self { area, block, unit, address: tag.address? })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let space = (self.unit_number() << 24) | u64::from(self.area) << 16 | u64::from(self.block);
        Tag { space, name: Name::default(), address: Some(self.address) }
    }

    const fn unit_number(self) -> u64 {
        match self.unit {
            Unit::Byte => 0,
            Unit::Bit => 1,
            Unit::Word => 2,
        }
    }

    /// The last address of its area.
    #[must_use]
    pub const fn last(self) -> u32 {
        match self.unit {
            Unit::Byte | Unit::Word => 0xffff,
            Unit::Bit => 0x7_ffff,
        }
    }
}

/// The place that an item names; a bit only when the item asks for a single one.
impl From<Any> for Place {
    #[inline]
    fn from(any: Any) -> Self {
        let block = if has_blocks(any.area) { any.block } else { 0 };
        let (unit, address) = match any.transport {
            _ if has_words(any.area) => (Unit::Word, any.address & 0xffff),
            1 => (Unit::Bit, any.address & 0x7_ffff),
            _ => (Unit::Byte, any.address >> 3 & 0xffff),
        };
        Self { area: any.area, block, unit, address }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match AREAS.iter().find(|(code, _)| *code == self.area) {
            Some((_, letters)) => f.write_str(letters)?,
            None => write!(f, "A{:02x}/", self.area)?,
        }
        if has_blocks(self.area) {
            write!(f, "{}.", self.block)?;
        }
        match self.unit {
            Unit::Byte | Unit::Word => write!(f, "{}", self.address),
            Unit::Bit => write!(f, "{}.{}", self.address >> 3, self.address & 7),
        }
    }
}

/// Reads a place as a message names it: the byte's bit is 0 but for single bits.
pub(super) fn parse_way(text: &str) -> Option<Tag<'static>> {
    let (place, way) = text.split_once(':')?;
    let (transport, length) = way.split_once('x')?;
    let (transport, _) = (number::<u8>(transport)?, number::<u16>(length)?);
    let place = parse(place)?;
    let place = match place.unit {
        Unit::Bit if transport != 1 => {
            let byte = (place.address & 7 == 0).then_some(place.address >> 3)?;
            Place { unit: Unit::Byte, address: byte, ..place }
        }
        Unit::Byte => return None,
        _ => place,
    };
    Some(place.tag())
}

/// Reads a place.
pub(super) fn parse(text: &str) -> Option<Place> {
    let (area, rest) = match text.strip_prefix('A').and_then(|rest| rest.split_once('/')) {
        Some((code, rest)) => {
            let area = u8::from_str_radix(code, 16).ok().filter(|_| code.len() == 2)?;
            let named = AREAS.iter().any(|(known, _)| *known == area);
            (
                if named || code.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { Some(area) }?,
                rest,
            )
        }
        None => {
            let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
            let (letters, rest) = text.split_at_checked(letters)?;
            (AREAS.iter().find(|(_, known)| *known == letters)?.0, rest)
        }
    };
    let (block, rest) = if has_blocks(area) {
        let (block, rest) = rest.split_once('.')?;
        (number(block)?, rest)
    } else {
        (0, rest)
    };
    let (unit, address) = match rest.split_once('.') {
        Some((byte, bit)) if !has_words(area) => {
            (Unit::Bit, u32::from(number::<u16>(byte)?) * 8 + number::<u32>(bit).filter(|bit| *bit < 8)?)
        }
        Some(_) => return None,
        None if has_words(area) => (Unit::Word, u32::from(number::<u16>(rest)?)),
        None => (Unit::Byte, u32::from(number::<u16>(rest)?)),
    };
    Some(Place { area, block, unit, address })
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in ["DB1.10", "DB1.10.3", "M4", "M4.7", "I0.0", "Q65535", "T5", "C0", "DI7.2", "A99/12"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        assert_eq!(parse_way("DB1.10.0:2x4"), parse("DB1.10").map(Place::tag));
        assert_eq!(parse_way("DB1.10.0:1x1"), parse("DB1.10.0").map(Place::tag));
        assert_eq!(parse_way("T5:29x1"), parse("T5").map(Place::tag));
        assert_eq!(parse_way("DB1.10.1:2x4"), None);
        for bad in
            ["", "DB1", "DB1.10.8", "M", "T1.0", "X4", "DB01.1", "M65536", "DB65536.0", "A84/1", "M4:2"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn places_come_back(area: u8, block: u16, transport in 1u8..10, address in 0u32..0x100_0000) {
            let place = Place::from(Any { transport, length: 1, block, area, address });
            prop_assert_eq!(Place::of(&place.tag()), Some(place));
            prop_assert_eq!(parse(&place.to_string()), Some(place));
        }
    }
}
