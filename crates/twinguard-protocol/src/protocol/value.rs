//! Places and the values that messages carry for them.

use core::fmt;

use twinguard_types::{Encoding, Endpoint, Label, Quality, Timestamp, Value};

/// The text in a tag, in up to three parts; empty where the family addresses by numbers alone.
///
/// ```
/// use twinguard_protocol::protocol::Name;
///
/// assert!(Name::default().is_empty());
/// assert_eq!(Name::new([b"plant", b"pump"]).parts()[1], b"pump");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>([&'a [u8]; 3]);

impl<'a> Name<'a> {
    /// A name of these parts; a fourth and later ones are left out.
    #[must_use]
    pub fn new<const N: usize>(parts: [&'a [u8]; N]) -> Self {
        let mut name = Self::default();
        name.0.iter_mut().zip(parts).for_each(|(part, given)| *part = given);
        name
    }

    /// The parts, the unused ones empty.
    #[must_use]
    pub const fn parts(&self) -> [&'a [u8]; 3] {
        self.0
    }

    /// Whether there is no text.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [first, second, third] = &self.0;
        first.is_empty() && second.is_empty() && third.is_empty()
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|part| String::from_utf8_lossy(part))).finish()
    }
}

/// A place on the wire that holds a value; its family reads and shows it, for example as `u1/hr/0`.
///
/// Two tags are equal when they are the same place of a device, however a message names it.
///
/// ```
/// use twinguard_protocol::Family;
///
/// let tag = Family::Modbus.parse_tag("u1/hr/0").unwrap();
/// assert_eq!(tag.address, Some(0), "what manuals call 40001");
/// assert_eq!(Family::Modbus.show_tag(tag).to_string(), "u1/hr/0");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag<'a> {
    /// The address space, as the family packs it (Modbus: unit and table).
    pub space: u64,
    /// The text of the address, where the family addresses by text.
    pub name: Name<'a>,
    /// The address in the space, from 0; `None` when the message alone does not tell.
    pub address: Option<u32>,
}

/// What a message does with the values it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// The device tells them.
    Read,
    /// The device is to take them.
    Write,
    /// The device repeats what it was to take or told before, or tells how it went: nothing new of the plant.
    Echo,
    /// The device is to get ready to take them: the first half of select-before-operate.
    Select,
    /// The service is told them: neither what a device holds nor what it is to take, as far as the standard tells.
    Argument,
}

impl Access {
    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Echo => "echo",
            Self::Select => "select",
            Self::Argument => "argument",
        }
    }
}

/// A value whose type the message itself tells.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar<'a> {
    /// A state.
    Boolean(bool),
    /// A whole number.
    Signed(i64),
    /// A whole number without a sign; double-bit states and enumerations too.
    Unsigned(u64),
    /// A number; may be NaN or infinite.
    Float(f64),
    /// Text, UTF-8 where the device keeps to it.
    Text(&'a [u8]),
    /// Anything that is no single number, state or text (arrays, structures, times), or nothing.
    Opaque,
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(state) => u8::from(*state).fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::Opaque => Ok(()),
        }
    }
}

/// Neighbouring values of one message, as their bytes lie on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Data<'a> {
    /// Single bits, eight a byte, least significant first.
    Bits {
        /// The bytes.
        bytes: &'a [u8],
        /// Number of bits, at most eight times the bytes.
        count: u16,
    },
    /// Words of 16 bits; an even number of bytes.
    Words(&'a [u8]),
    /// Neighbouring bytes of a memory, whose addresses count bytes; how they make up values only the binding knows.
    Bytes(&'a [u8]),
    /// One value that says its own type.
    Scalar {
        /// Its bytes on the wire, with what belongs to it (flags, time) as the family's reference shows them.
        raw: &'a [u8],
        /// What it says.
        value: Scalar<'a>,
    },
    /// One value that says its own type and came as a number of variable length (protobuf).
    Number {
        /// The number as it came; shown in hexadecimal without leading zeros.
        raw: u64,
        /// What it says.
        value: Scalar<'a>,
    },
    /// One bit as a 16-bit word: `0xff00` is on, `0x0000` is off, everything else is not defined.
    Switch([u8; 2]),
    /// A change of single bits in a word: new = (old AND `and`) OR (`or` AND NOT `and`).
    Mask {
        /// Bits to keep.
        and: u16,
        /// Values of the bits not kept.
        or: u16,
    },
}

impl Data<'_> {
    /// Number of places that it covers.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Bits { count, .. } => u32::from(*count),
            Self::Words(bytes) => (bytes.len() / 2) as u32,
            Self::Bytes(bytes) => bytes.len() as u32,
            Self::Switch(_) | Self::Mask { .. } | Self::Scalar { .. } | Self::Number { .. } => 1,
        }
    }

    /// Whether it covers no place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A run of neighbouring places with their values; the unit in which points are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// The first place.
    pub tag: Tag<'a>,
    /// How this message names the place, where there are several ways (DNP3: group and variation; sampled values: the
    /// sample's number); shown with the tag, never a part of it. 0 where there is one way.
    pub variant: u32,
    /// What is done with the values.
    pub access: Access,
    /// The values.
    pub data: Data<'a>,
    /// What the device says of them.
    pub quality: Quality,
    /// When they held, by the device's clock, where it tells.
    pub at: Option<Timestamp>,
}

impl<'a> Block<'a> {
    /// Neighbouring places with good values that carry no time.
    #[inline]
    #[must_use]
    pub const fn new(tag: Tag<'a>, access: Access, data: Data<'a>) -> Self {
        Self { tag, variant: 0, access, data, quality: Quality::Good, at: None }
    }

    /// Each place with its raw bytes; a run of [`Data::Bytes`] stays one.
    pub fn points(self) -> impl Iterator<Item = RawPoint<'a>> {
        let count = if matches!(self.data, Data::Bytes(_)) { 1 } else { self.data.len() };
        (0..count).map(move |index| RawPoint {
            tag: Tag { address: self.tag.address.map(|first| first.wrapping_add(index)), ..self.tag },
            variant: self.variant,
            access: self.access,
            raw: Raw::of(self.data, index as usize),
            quality: self.quality,
            at: self.at,
        })
    }
}

/// One place with its raw value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawPoint<'a> {
    /// The place.
    pub tag: Tag<'a>,
    /// How the message names it, see [`Block::variant`].
    pub variant: u32,
    /// What is done with the value.
    pub access: Access,
    /// The value.
    pub raw: Raw<'a>,
    /// What the device says of it.
    pub quality: Quality,
    /// When it held, by the device's clock, where it tells.
    pub at: Option<Timestamp>,
}

/// A raw value; shown in hexadecimal, single bits as `0` or `1`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Raw<'a> {
    /// A single bit.
    Bit(bool),
    /// Two bytes.
    Word([u8; 2]),
    /// One bit as two bytes, see [`Data::Switch`].
    Switch([u8; 2]),
    /// Bits to keep and values of the others.
    Mask {
        /// Bits to keep.
        and: u16,
        /// Values of the bits not kept.
        or: u16,
    },
    /// Any other bytes.
    Bytes(&'a [u8]),
    /// A value that says its own type.
    Scalar {
        /// Its bytes.
        raw: &'a [u8],
        /// What it says.
        value: Scalar<'a>,
    },
    /// A value that says its own type and came as a number of variable length.
    Number {
        /// The number as it came.
        raw: u64,
        /// What it says.
        value: Scalar<'a>,
    },
}

impl<'a> Raw<'a> {
    fn of(data: Data<'a>, index: usize) -> Self {
        match data {
            Data::Bits { bytes, .. } => {
                Self::Bit(bytes.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1))
            }
            Data::Words(bytes) => match bytes.get(index * 2..).and_then(<[u8]>::first_chunk) {
                Some(word) => Self::Word(*word),
                None => Self::Bytes(&[]),
            },
            Data::Bytes(bytes) => Self::Bytes(bytes),
            Data::Scalar { raw, value } => Self::Scalar { raw, value },
            Data::Number { raw, value } => Self::Number { raw, value },
            Data::Switch(word) => Self::Switch(word),
            Data::Mask { and, or } => Self::Mask { and, or },
        }
    }
}

impl<'a> Raw<'a> {
    /// What it says by itself: states, words as unsigned numbers, what says its own type; `None` for other bytes.
    #[must_use]
    pub fn scalar(self) -> Option<Scalar<'a>> {
        match self {
            Self::Bit(state) => Some(Scalar::Boolean(state)),
            Self::Switch(word) => Some(Scalar::Boolean(word == [0xff, 0])),
            Self::Word(word) => Some(Scalar::Unsigned(u64::from(u16::from_be_bytes(word)))),
            Self::Scalar { value, .. } | Self::Number { value, .. } => Some(value),
            Self::Mask { .. } | Self::Bytes(_) => None,
        }
    }
}

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(bit) => u8::from(*bit).fmt(f),
            Self::Word([high, low]) | Self::Switch([high, low]) => write!(f, "{high:02x}{low:02x}"),
            Self::Mask { and, or } => write!(f, "{and:04x}{or:04x}"),
            Self::Number { raw, .. } => write!(f, "{raw:x}"),
            Self::Bytes(bytes) | Self::Scalar { raw: bytes, .. } => {
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// What lies at one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// A single bit.
    Bit,
    /// A byte of a memory.
    Byte,
    /// A word of 16 bits.
    Word,
    /// A whole value that says its own type.
    Scalar,
}

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What each address holds.
    pub width: Width,
    /// The last address of its space.
    pub last: u32,
}

/// The longest value in bytes.
pub(crate) const VALUE_MAX: usize = 8;

/// The bytes of one value and where they are to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Write<'a> {
    /// The name of the family.
    pub family: Label,
    /// The device.
    pub endpoint: Endpoint,
    /// The first place.
    pub tag: Tag<'a>,
    /// What is to be done there.
    pub change: Change,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// A single-bit place takes this state.
    Bit(bool),
    /// One bit of a word takes this state, the others stay.
    BitOf {
        /// Which, 0 the least significant.
        bit: u8,
        /// Its state.
        state: bool,
    },
    /// Neighbouring words or bytes of a memory take these bytes.
    Words {
        /// The bytes, as on the wire.
        bytes: [u8; VALUE_MAX],
        /// How many of them.
        len: u8,
    },
    /// A value that says its own type takes this number.
    Scalar {
        /// The number, unscaled.
        value: Value,
        /// The type by the binding.
        encoding: Encoding,
    },
}

impl Write<'_> {
    /// The bytes of the words; none for bits.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.change {
            Change::Words { bytes, len } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Change::Bit(_) | Change::BitOf { .. } | Change::Scalar { .. } => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_read_as_tools_show_them() {
        let data = Data::Bits { bytes: &[0b101], count: 3 };
        let raws: String = (0..3).map(|index| Raw::of(data, index).to_string()).collect();
        assert_eq!(raws, "101");
        assert_eq!(Raw::of(Data::Words(&[1, 2, 3, 4]), 1).to_string(), "0304");
    }
}
