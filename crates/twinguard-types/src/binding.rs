use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::{Error, Label, SignalId};

/// How raw bytes hold a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Encoding {
    /// As the message itself says, in protocols whose values carry their type.
    Native,
    /// Unsigned, 8 bits, in memories addressed by bytes.
    U8,
    /// Two's complement, 8 bits, in memories addressed by bytes.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Two's complement, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Two's complement, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Two's complement, 64 bits.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// One bit of a 16-bit word (of a byte in memories addressed by bytes), 0 the least significant; on single-bit
    /// objects the bit itself.
    Bit(u8),
    /// Binary-coded decimal, this many digits (4, 8 or 16; 16, 32 or 64 bits).
    Bcd(u8),
}

impl Encoding {
    /// Number of 16-bit words it spans.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::Native | Self::U8 | Self::I8 | Self::U16 | Self::I16 | Self::Bit(_) => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
            Self::Bcd(digits) => digits.div_ceil(4) as usize,
        }
    }

    /// Number of bytes it spans in a memory addressed by bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Native | Self::U8 | Self::I8 | Self::Bit(_) => 1,
            wide => wide.words() * 2,
        }
    }
}

/// As plant files write it: `u16`, `bit:3`, `bcd:4`.
///
/// ```
/// use twinguard_types::Encoding;
///
/// assert_eq!((Encoding::F32.to_string(), Encoding::Bit(3).to_string()), ("f32".to_owned(), "bit:3".to_owned()));
/// ```
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Native => "native",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bit(bit) => return f.pad(&format!("bit:{bit}")),
            Self::Bcd(digits) => return f.pad(&format!("bcd:{digits}")),
        };
        f.pad(name)
    }
}

/// Order of bytes and words on the wire, named by how `0xAABBCCDD` comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "UPPERCASE"))]
pub enum ByteOrder {
    /// Most significant byte first.
    #[default]
    Abcd,
    /// Words swapped.
    Cdab,
    /// Bytes swapped within each word.
    Badc,
    /// Least significant byte first.
    Dcba,
}

/// As plant files write it: `ABCD`.
impl fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Abcd => "ABCD",
            Self::Cdab => "CDAB",
            Self::Badc => "BADC",
            Self::Dcba => "DCBA",
        })
    }
}

/// Which way a bound value goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Direction {
    /// Reads yield points; writes are commands as well (somebody overwrites a measurement).
    #[default]
    Read,
    /// Writes yield commands, reads yield points.
    Write,
}

/// The device that holds a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
pub enum Endpoint {
    /// One address and port.
    Socket(SocketAddr),
    /// One address, any port.
    Host(IpAddr),
    /// One hardware address, for protocols without IP.
    Mac(Mac),
    /// Whoever speaks the protocol.
    #[default]
    Any,
}

/// A hardware address (IEEE 802 EUI-48), written `00:1b:1b:00:00:2a`.
///
/// ```
/// use twinguard_types::Mac;
///
/// let mac: Mac = "01:0c:cd:01:00:2a".parse()?;
/// assert_eq!(mac, Mac([0x01, 0x0c, 0xcd, 0x01, 0x00, 0x2a]));
/// assert_eq!(mac.to_string(), "01:0c:cd:01:00:2a");
/// assert!("01:0c:cd:01:00".parse::<Mac>().is_err());
/// # Ok::<(), twinguard_types::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl core::str::FromStr for Mac {
    type Err = Error;

    /// Six pairs of hexadecimal digits with colons between.
    ///
    /// # Errors
    /// [`Error::NotAMac`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or(Error::NotAMac)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Error::NotAMac)?;
        }
        if pairs.next().is_some() { Err(Error::NotAMac) } else { Ok(Self(bytes)) }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Endpoint {
    /// Whether the endpoint covers this address.
    #[must_use]
    pub fn covers(&self, address: SocketAddr) -> bool {
        match self {
            Self::Socket(socket) => *socket == address,
            Self::Host(host) => *host == address.ip(),
            Self::Mac(_) => false,
            Self::Any => true,
        }
    }
}

/// Where on the wire a signal is found: physical = raw × scale + offset.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Binding {
    /// The signal.
    pub signal: SignalId,
    /// Protocol family, for example `modbus`.
    pub family: Label,
    /// The device.
    pub endpoint: Endpoint,
    /// The family's tag, 0-based, for example `u1/hr/0`.
    pub tag: Box<str>,
    /// How the bytes hold the number.
    pub encoding: Encoding,
    /// Order of bytes and words.
    pub order: ByteOrder,
    /// Factor from raw to physical.
    pub scale: f64,
    /// Summand from raw to physical.
    pub offset: f64,
    /// Which way the value goes.
    pub direction: Direction,
}

impl Binding {
    /// How one register of 16 bits holds the number: signed with [`Encoding::I16`], else unsigned.
    #[must_use]
    pub fn word(&self) -> Word {
        Word { signed: self.encoding == Encoding::I16, scale: self.scale, offset: self.offset }
    }
}

/// A number in one register of 16 bits: physical = raw × scale + offset.
///
/// ```
/// use twinguard_types::Word;
///
/// let tenths = Word { signed: true, scale: 0.1, offset: 0.0 };
/// assert_eq!(tenths.value(tenths.raw(-12.34)), -12.3);
/// assert_eq!(tenths.raw(1e9), 0x7fff);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Whether the bits are a two's complement.
    pub signed: bool,
    /// Factor from raw to physical.
    pub scale: f64,
    /// Summand from raw to physical.
    pub offset: f64,
}

impl Word {
    /// As a device stores it: rounded, kept within 16 bits.
    #[must_use]
    pub fn raw(self, value: f64) -> u16 {
        let number = ((value - self.offset) / self.scale).round();
        if self.signed {
            (number.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16).cast_unsigned()
        } else {
            number.clamp(0.0, f64::from(u16::MAX)) as u16
        }
    }

    /// As a reader sees it.
    #[must_use]
    pub fn value(self, raw: u16) -> f64 {
        let number = if self.signed { f64::from(raw.cast_signed()) } else { f64::from(raw) };
        number * self.scale + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_width() {
        assert_eq!(
            [Encoding::Bit(3), Encoding::F32, Encoding::I64, Encoding::Bcd(8)].map(Encoding::words),
            [1, 2, 4, 2]
        );
    }

    #[test]
    fn endpoints_cover_what_they_name() {
        let address: SocketAddr = "10.0.0.1:502".parse().unwrap();
        assert!(Endpoint::Any.covers(address) && Endpoint::Host(address.ip()).covers(address));
        assert!(!Endpoint::Socket("10.0.0.1:503".parse().unwrap()).covers(address));
    }
}
