//! Memory areas, places in them, and the grammar of their tags.
//!
//! Source: OMRON W342 *Communications Commands Reference Manual* §5-2-2 (I/O memory address designations).

use core::fmt;

use crate::protocol::{Name, Tag};

/// What lies at an address of a memory area code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A bit, one byte on the wire.
    Bit,
    /// A word.
    Word,
    /// Something of another size in bytes (words with forced status, index registers).
    Other(u8),
}

/// A memory area whatever code names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(u8);

/// Letters of the areas, by [`Area`]; extended memory banks follow from [`BANKS`] on.
const LETTERS: &[&str] = &["CIO", "W", "H", "A", "T", "D", "E"];
/// The first area of extended memory with a bank of its own, `E0_`.
const BANKS: u8 = 0x10;
/// Banks of extended memory, 0 to 18 in hexadecimal.
const BANKS_LEN: u8 = 0x19;

/// The area and unit of a memory area code (§5-2-2), of the CS, CJ and CP series and the older CV series.
#[must_use]
pub const fn area(code: u8) -> Option<(Area, Unit)> {
    Some(match code {
        0x30 | 0x00 => (Area(0), Unit::Bit),
        0xb0 | 0x80 => (Area(0), Unit::Word),
        0x31 => (Area(1), Unit::Bit),
        0xb1 => (Area(1), Unit::Word),
        0x32 => (Area(2), Unit::Bit),
        0xb2 => (Area(2), Unit::Word),
        0x33 => (Area(3), Unit::Bit),
        0xb3 => (Area(3), Unit::Word),
        0x09 | 0x01 => (Area(4), Unit::Bit),
        0x89 | 0x81 => (Area(4), Unit::Word),
        0x02 => (Area(5), Unit::Bit),
        0x82 => (Area(5), Unit::Word),
        0x0a => (Area(6), Unit::Bit),
        0x98 => (Area(6), Unit::Word),
        0x20..=0x2f => (Area(BANKS + (code - 0x20)), Unit::Bit),
        0xa0..=0xaf => (Area(BANKS + (code - 0xa0)), Unit::Word),
        0xe0..=0xe8 => (Area(BANKS + 0x10 + (code - 0xe0)), Unit::Bit),
        0x60..=0x68 => (Area(BANKS + 0x10 + (code - 0x60)), Unit::Word),
        0x90..=0x97 => (Area(BANKS + (code - 0x90)), Unit::Word),
        _ => return None,
    })
}

/// Bytes of one element of a memory area code on the wire; `None` for an unknown code.
#[must_use]
pub const fn size(code: u8) -> Option<u8> {
    match area(code) {
        Some((_, Unit::Bit)) => Some(1),
        Some((_, Unit::Word)) => Some(2),
        Some((_, Unit::Other(size))) => Some(size),
        None => match code {
            // Task flags and status, clock pulses, transition and step flags, bits with forced status.
            0x03 | 0x04 | 0x06 | 0x07 | 0x46 | 0x49 | 0x70..=0x72 => Some(1),
            0x9c | 0xbc => Some(2),
            // Index registers, words with forced status.
            0xdc | 0xf0..=0xf2 => Some(4),
            _ => None,
        },
    }
}

/// A place, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Destination network, node and unit; zero for the CPU unit of the device itself.
    pub device: [u8; 3],
    /// Area.
    pub area: Area,
    /// Whether a bit.
    pub bit: bool,
    /// Word; for bits 16 times the word and the bit; `None` when a response's request was not seen.
    pub address: Option<u32>,
}

impl Place {
    /// The place that a memory area code and an address name; `None` for a code without words or bits.
    #[must_use]
    pub fn new(device: [u8; 3], code: u8, word: u16, bit: u8) -> Option<Self> {
        // On the device's own network the endpoint says which node it is.
        let device = match device {
            [0, _, unit] => [0, 0, unit],
            routed => routed,
        };
        let (area, unit) = area(code)?;
        let word = u32::from(word);
        let (bit, address) = match unit {
            Unit::Bit => (true, word * 16 + u32::from(bit & 0xf)),
            _ => (false, word),
        };
        Some(Self { device, area, bit, address: Some(address) })
    }

    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let [_, _, _, network, node, unit, area, bit] = tag.space.to_be_bytes();
        let known = usize::from(area) < LETTERS.len() || (BANKS..BANKS + BANKS_LEN).contains(&area);
        (known && bit < 2).then_some(Self {
            device: [network, node, unit],
            area: Area(area),
            bit: bit == 1,
            address: tag.address,
        })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let [network, node, unit] = self.device;
        let space = u64::from_be_bytes([0, 0, 0, network, node, unit, self.area.0, u8::from(self.bit)]);
        Tag { space, name: Name::default(), address: self.address }
    }

    /// The memory area code by which a message of the CS, CJ and CP series names it, the word and the bit.
    #[must_use]
    pub fn code(self) -> Option<(u8, u16, u8)> {
        const WORDS: [u8; 7] = [0xb0, 0xb1, 0xb2, 0xb3, 0x89, 0x82, 0x98];
        const BITS: [u8; 7] = [0x30, 0x31, 0x32, 0x33, 0x09, 0x02, 0x0a];
        let codes = if self.bit { BITS } else { WORDS };
        let code = match (codes.get(usize::from(self.area.0)), self.area.0.checked_sub(BANKS)) {
            (Some(code), _) => *code,
            (None, Some(bank @ 0..0x10)) => bank + if self.bit { 0x20 } else { 0xa0 },
            (None, Some(bank @ 0x10..BANKS_LEN)) => bank - 0x10 + if self.bit { 0xe0 } else { 0x60 },
            _ => return None,
        };
        let address = self.address?;
        if self.bit {
            Some((code, u16::try_from(address >> 4).ok()?, (address & 0xf) as u8))
        } else {
            Some((code, u16::try_from(address).ok()?, 0))
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [network, node, unit] = self.device;
        if self.device != [0; 3] {
            write!(f, "n{network}.{node}.{unit}/")?;
        }
        match (LETTERS.get(usize::from(self.area.0)), self.area.0.checked_sub(BANKS)) {
            (Some(letters), _) => f.write_str(letters)?,
            (None, Some(bank)) => write!(f, "E{bank:x}_")?,
            (None, None) => return f.write_str("?"),
        }
        match self.address {
            None => f.write_str("?"),
            Some(address) if self.bit => write!(f, "{}.{}", address >> 4, address & 0xf),
            Some(address) => address.fmt(f),
        }
    }
}

/// Reads a place.
pub(super) fn parse(text: &str) -> Option<Place> {
    let (device, text) = match text.strip_prefix('n') {
        Some(routed) => {
            let (device, rest) = routed.split_once('/')?;
            let mut parts = device.split('.');
            let device = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
            let written = match device {
                [0, 0, 0] => false,
                [0, node, _] => node == 0,
                _ => true,
            };
            (parts.next().is_none() && written).then_some((device, rest))?
        }
        None => ([0; 3], text),
    };
    let (area, rest) = match text.strip_prefix('E').and_then(|rest| rest.split_once('_')) {
        Some((bank, rest)) => {
            let plain = bank == "0" || !bank.starts_with('0') && !bank.starts_with('+');
            let bank = u8::from_str_radix(bank, 16).ok().filter(|bank| *bank < BANKS_LEN && plain)?;
            let lower = !text.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
            lower.then_some((Area(BANKS + bank), rest))?
        }
        None => {
            let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
            let (letters, rest) = text.split_at_checked(letters)?;
            (Area(LETTERS.iter().position(|known| *known == letters)? as u8), rest)
        }
    };
    let (bit, address) = match rest.split_once('.') {
        Some((word, bit)) => {
            let bit = number::<u8>(bit).filter(|bit| *bit < 16)?;
            (true, u32::from(number::<u16>(word)?) * 16 + u32::from(bit))
        }
        None => (false, u32::from(number::<u16>(rest)?)),
    };
    Some(Place { device, area, bit, address: Some(address) })
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
        for good in [
            "D100",
            "CIO0.15",
            "W3",
            "H1.2",
            "A500",
            "T7",
            "E5",
            "E0_10",
            "Ea_10.3",
            "E18_65535",
            "n1.5.0/D1",
        ] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        for bad in
            ["", "D", "D01", "D65536", "D1.16", "E19_1", "EA_1", "n0.0.0/D1", "n0.3.1/D1", "X1", "D1.2.3"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn places_come_back(device: [u8; 3], code: u8, word: u16, bit in 0u8..16) {
            let Some(place) = Place::new(device, code, word, bit) else { return Ok(()) };
            prop_assert_eq!(Place::of(&place.tag()), Some(place));
            prop_assert_eq!(parse(&place.to_string()), Some(place));
            let (code, word, bit) = place.code().unwrap();
            prop_assert_eq!(Place::new(device, code, word, bit), Some(place));
        }
    }
}
