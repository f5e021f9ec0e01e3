//! The bytes of a snapshot: little endian, floats by their bits, lengths as 64 bits; no padding, no choice.
//!
//! A struct lists its fields once with [`archived!`](crate::archived); saving and loading follow that list.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use twinguard_types::{
    Attribution, CommandId, DetectorId, Digest, Duration, FindingId, Label, Oddity, PrincipalId, SignalId,
    Timestamp,
};

use crate::Error;

/// Where a snapshot is written.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends raw bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where a snapshot is read from.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: u32,
}

impl<'a> Reader<'a> {
    /// Reads from the start of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, version: u32::MAX }
    }

    /// What is read from now on was written in this version of its format; without a word it is the newest.
    pub(crate) fn set_version(&mut self, version: u32) {
        self.version = version;
    }

    /// The version of what is read.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).ok_or_else(|| self.refuse("it ends early"))?;
        let bytes = self.bytes.get(self.at..end).ok_or_else(|| self.refuse("it ends early"))?;
        self.at = end;
        Ok(bytes)
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Asserts that nothing is left.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when something is.
    pub fn end(&self) -> Result<(), Error> {
        if self.left() == 0 { Ok(()) } else { Err(self.refuse("it goes on behind its end")) }
    }

    /// The error for a value that cannot be.
    #[must_use]
    pub fn refuse(&self, reason: &'static str) -> Error {
        Error::Snapshot { at: self.at, reason }
    }
}

/// What can stand in a snapshot.
pub trait Archive: Sized {
    /// Writes it.
    fn save(&self, writer: &mut Writer);

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when the bytes end early or hold an impossible value.
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error>;
}

/// Implements [`Archive`] for a struct by the list of its fields.
#[macro_export]
macro_rules! archived {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::archive::Archive for $name {
            fn save(&self, writer: &mut $crate::archive::Writer) {
                $($crate::archive::Archive::save(&self.$field, writer);)*
            }
            fn load(reader: &mut $crate::archive::Reader<'_>) -> Result<Self, $crate::Error> {
                Ok(Self { $($field: $crate::archive::Archive::load(reader)?),* })
            }
        }
    };
}

macro_rules! numbers {
    ($($name:ty),*) => {$(
        impl Archive for $name {
            fn save(&self, writer: &mut Writer) {
                writer.put(&self.to_le_bytes());
            }
            fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
                let bytes = reader.take(size_of::<Self>())?;
                let bytes = bytes.try_into().map_err(|_| reader.refuse("it ends early"))?;
                Ok(Self::from_le_bytes(bytes))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i64);

impl Archive for f32 {
    fn save(&self, writer: &mut Writer) {
        self.to_bits().save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let value = Self::from_bits(u32::load(reader)?);
        if value.is_finite() { Ok(value) } else { Err(reader.refuse("a number is not finite")) }
    }
}

impl Archive for f64 {
    fn save(&self, writer: &mut Writer) {
        self.to_bits().save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let value = Self::from_bits(u64::load(reader)?);
        if value.is_finite() { Ok(value) } else { Err(reader.refuse("a number is not finite")) }
    }
}

impl Archive for bool {
    fn save(&self, writer: &mut Writer) {
        u8::from(*self).save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        match u8::load(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.refuse("a flag is neither 0 nor 1")),
        }
    }
}

impl Archive for usize {
    fn save(&self, writer: &mut Writer) {
        (*self as u64).save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Self::try_from(u64::load(reader)?).map_err(|_| reader.refuse("a length is too large"))
    }
}

impl<T: Archive> Archive for Vec<T> {
    fn save(&self, writer: &mut Writer) {
        self.len().save(writer);
        self.iter().for_each(|item| item.save(writer));
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let len = usize::load(reader)?;
        // every item takes at least a byte, so a forged length cannot make us reserve more than was sent
        if len > reader.left() {
            return Err(reader.refuse("a list is longer than the snapshot"));
        }
        (0..len).map(|_| T::load(reader)).collect()
    }
}

impl<T: Archive> Archive for Option<T> {
    fn save(&self, writer: &mut Writer) {
        self.is_some().save(writer);
        if let Some(item) = self {
            item.save(writer);
        }
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(if bool::load(reader)? { Some(T::load(reader)?) } else { None })
    }
}

impl<T: Archive + Copy + Default, const N: usize> Archive for [T; N] {
    fn save(&self, writer: &mut Writer) {
        self.iter().for_each(|item| item.save(writer));
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::load(reader)?;
        }
        Ok(items)
    }
}

impl<A: Archive, B: Archive> Archive for (A, B) {
    fn save(&self, writer: &mut Writer) {
        self.0.save(writer);
        self.1.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok((A::load(reader)?, B::load(reader)?))
    }
}

impl<A: Archive, B: Archive, C: Archive> Archive for (A, B, C) {
    fn save(&self, writer: &mut Writer) {
        self.0.save(writer);
        self.1.save(writer);
        self.2.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok((A::load(reader)?, B::load(reader)?, C::load(reader)?))
    }
}

impl Archive for String {
    fn save(&self, writer: &mut Writer) {
        self.len().save(writer);
        writer.put(self.as_bytes());
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let len = usize::load(reader)?;
        let bytes = reader.take(len)?;
        core::str::from_utf8(bytes).map(Self::from).map_err(|_| reader.refuse("a text is not UTF-8"))
    }
}

macro_rules! newtypes {
    ($($name:ident($inner:ty)),*) => {$(
        impl Archive for $name {
            fn save(&self, writer: &mut Writer) {
                self.0.save(writer);
            }
            fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(Self(<$inner>::load(reader)?))
            }
        }
    )*};
}
newtypes!(SignalId(u32), PrincipalId(u32), DetectorId(u16), CommandId(u64), FindingId(u64), Digest([u8; 32]));

impl Archive for Timestamp {
    fn save(&self, writer: &mut Writer) {
        self.as_nanos().save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        i64::load(reader).map(Self::from_nanos)
    }
}

impl Archive for Duration {
    fn save(&self, writer: &mut Writer) {
        self.as_nanos().save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        i64::load(reader).map(Self::from_nanos)
    }
}

impl Archive for Attribution {
    fn save(&self, writer: &mut Writer) {
        self.signal.save(writer);
        self.share.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self { signal: SignalId::load(reader)?, share: f64::load(reader)? })
    }
}

impl Archive for Label {
    fn save(&self, writer: &mut Writer) {
        (self.as_str().len() as u8).save(writer);
        writer.put(self.as_str().as_bytes());
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let len = u8::load(reader)?;
        let bytes = reader.take(usize::from(len))?;
        let text = core::str::from_utf8(bytes).map_err(|_| reader.refuse("a label is not UTF-8"))?;
        Self::new(text).map_err(|_| reader.refuse("a label is too long"))
    }
}

/// Oddities that a snapshot can hold; their places are kept.
const ODDITIES: [Oddity; 17] = [
    Oddity::LengthMismatch,
    Oddity::BadQuantity,
    Oddity::BadValue,
    Oddity::BadAddress,
    Oddity::BadProtocolId,
    Oddity::UnknownFunction,
    Oddity::Truncated,
    Oddity::TrailingBytes,
    Oddity::BadChecksum,
    Oddity::UnmatchedResponse,
    Oddity::UnansweredRequest,
    Oddity::DuplicateTransaction,
    Oddity::ResponseMismatch,
    Oddity::NotThisProtocol,
    Oddity::Gap,
    Oddity::ConflictingOverlap,
    Oddity::Dropped,
];

impl Archive for Oddity {
    fn save(&self, writer: &mut Writer) {
        let place = ODDITIES.iter().position(|it| it == self).unwrap_or(ODDITIES.len());
        (place as u8).save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let place = usize::from(u8::load(reader)?);
        ODDITIES.get(place).copied().ok_or_else(|| reader.refuse("an unknown oddity"))
    }
}

impl Archive for IpAddr {
    fn save(&self, writer: &mut Writer) {
        match self {
            Self::V4(address) => {
                4u8.save(writer);
                address.octets().save(writer);
            }
            Self::V6(address) => {
                6u8.save(writer);
                address.octets().save(writer);
            }
        }
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        match u8::load(reader)? {
            4 => Ok(Self::V4(Ipv4Addr::from(<[u8; 4]>::load(reader)?))),
            6 => Ok(Self::V6(Ipv6Addr::from(<[u8; 16]>::load(reader)?))),
            _ => Err(reader.refuse("an address is neither version 4 nor 6")),
        }
    }
}

impl Archive for SocketAddr {
    fn save(&self, writer: &mut Writer) {
        self.ip().save(writer);
        self.port().save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self::new(IpAddr::load(reader)?, u16::load(reader)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Archive + PartialEq + core::fmt::Debug>(value: T) {
        let mut writer = Writer::new();
        value.save(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(T::load(&mut reader).unwrap(), value);
        reader.end().unwrap();
        for cut in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..cut]);
            assert!(T::load(&mut reader).is_err(), "a cut at {cut} is refused");
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        check(vec![(SignalId(3), -0.0_f64), (SignalId(4), 1e-300)]);
        check(Some((Timestamp::from_secs(3), Duration::from_millis(-4))));
        check("10.0.0.1:502".parse::<SocketAddr>().unwrap());
        check("[::1]:502".parse::<SocketAddr>().unwrap());
        check((Label::literal("modbus"), "text".to_owned(), Digest([7; 32])));
    }

    #[test]
    fn forged_lengths_and_numbers_are_refused() {
        let mut writer = Writer::new();
        u64::MAX.save(&mut writer);
        let bytes = writer.finish();
        assert!(Vec::<u8>::load(&mut Reader::new(&bytes)).is_err());
        assert!(f64::load(&mut Reader::new(&bytes)).is_err(), "a NaN");
        assert!(bool::load(&mut Reader::new(&[2])).is_err());
    }
}
