//! What GOOSE, sampled values and MMS have in common: values, quality, time.
//!
//! Sources: ISO 9506-2 (MMS) clause 14.4.2 (`Data`); IEC 61850-8-1 Annex A (the same in GOOSE) and §8.1.3 (mapping of
//! basic types); IEC 61850-7-3 §6.2 (quality); IEC 61850-7-2 §6.1.2.9 (time stamps).

use twinguard_types::{Oddity, Quality, Timestamp};

use crate::ber::{self, Reader};
use crate::protocol::{Data, Scalar};

/// Structures and arrays inside each other that are followed; deeper ones are refused.
pub const DEPTH_MAX: usize = 16;

/// Numbers of the alternatives of `Data` (ISO 9506-2 clause 14.4.2).
pub mod kind {
    /// Array of values.
    pub const ARRAY: u8 = 1;
    /// Structure of values.
    pub const STRUCTURE: u8 = 2;
    /// State.
    pub const BOOLEAN: u8 = 3;
    /// String of bits: double-bit states, quality.
    pub const BITS: u8 = 4;
    /// Whole number.
    pub const INTEGER: u8 = 5;
    /// Whole number without a sign.
    pub const UNSIGNED: u8 = 6;
    /// IEEE 754 number behind the width of its exponent.
    pub const FLOAT: u8 = 7;
    /// String of bytes.
    pub const OCTETS: u8 = 9;
    /// Text.
    pub const TEXT: u8 = 10;
    /// Whole number that devices show in decimal digits.
    pub const BCD: u8 = 13;
    /// Array of states as a string of bits.
    pub const BOOLEANS: u8 = 14;
    /// Text in Unicode.
    pub const UNICODE: u8 = 16;
    /// UTC time.
    pub const TIME: u8 = 17;
}

/// A value inside any structures and arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Which alternative of `Data`, see [`kind`].
    pub kind: u8,
    /// Its content octets.
    pub content: &'a [u8],
    /// Structures and arrays around it.
    depth: u8,
    /// Whether a structure or an array opens right before it.
    opens: bool,
}

impl<'a> Leaf<'a> {
    /// What it says; the raw bytes are those of the value alone, without the count of unused bits or the exponent's width.
    #[must_use]
    pub fn data(&self) -> Data<'a> {
        let (content, opaque) = (self.content, (self.content, Scalar::Opaque));
        let (raw, value) = match (self.kind, content) {
            (kind::BOOLEAN, [.., state]) => (content, Scalar::Boolean(*state != 0)),
            (kind::BITS | kind::BOOLEANS, [unused, bits @ ..]) if bits.len() <= 8 && *unused < 8 => {
                let number = bits.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                (bits, Scalar::Unsigned(number >> unused))
            }
            (kind::BITS | kind::BOOLEANS, [_, bits @ ..]) => (bits, Scalar::Opaque),
            (kind::INTEGER | kind::BCD, _) => match ber::signed(content) {
                Some(number) => (content, Scalar::Signed(number)),
                None => opaque,
            },
            (kind::UNSIGNED, _) => match ber::unsigned(content) {
                Some(number) => (content, Scalar::Unsigned(number)),
                None => opaque,
            },
            (kind::FLOAT, [8, bits @ ..]) if bits.len() == 4 => {
                let bits = <[u8; 4]>::try_from(bits).unwrap_or_default();
                (
                    self.content.get(1..).unwrap_or_default(),
                    Scalar::Float(f64::from(f32::from_be_bytes(bits))),
                )
            }
            (kind::FLOAT, [11, bits @ ..]) if bits.len() == 8 => {
                let bits = <[u8; 8]>::try_from(bits).unwrap_or_default();
                (content, Scalar::Float(f64::from_be_bytes(bits)))
            }
            (kind::TEXT | kind::UNICODE, _) => (content, Scalar::Text(content)),
            _ => opaque,
        };
        Data::Scalar { raw, value }
    }

    /// The 13 bits of quality that this is, as in [`quality`]; `None` for anything else.
    #[must_use]
    pub fn quality_bits(&self) -> Option<u16> {
        match (self.kind, self.content) {
            // The first bit of the string is bit 0 of the quality.
            (kind::BITS, [3, high, low]) => Some(u16::from_be_bytes([*high, *low]).reverse_bits()),
            _ => None,
        }
    }

    /// The time that this is.
    #[must_use]
    pub fn time(&self) -> Option<UtcTime> {
        match (self.kind, <[u8; 8]>::try_from(self.content)) {
            (kind::TIME, Ok(bytes)) => Some(UtcTime(bytes)),
            _ => None,
        }
    }
}

/// The values in a list of `Data`, structures and arrays flattened.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a> {
    rest: &'a [u8],
    /// Where the rest begins; where the values end early, where that is.
    at: u32,
    ends: [u32; DEPTH_MAX],
    depth: u8,
    /// What was wrong with the bytes where the values end early.
    fault: Option<Oddity>,
}

impl<'a> Leaves<'a> {
    /// The values in these bytes, which begin at this offset of their message.
    #[must_use]
    pub const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at: at as u32, ends: [0; DEPTH_MAX], depth: 0, fault: None }
    }

    /// Where, and why, the values end early.
    #[must_use]
    pub fn fault(&self) -> Option<(Oddity, usize)> {
        self.fault.map(|oddity| (oddity, self.at as usize))
    }

    #[inline]
    fn go(&mut self, to: Reader<'a>) {
        (self.rest, self.at) = (to.rest(), to.at() as u32);
    }

    #[cold]
    fn refuse(&mut self, oddity: Oddity, at: usize) {
        (self.rest, self.at, self.fault) = (&[], at as u32, Some(oddity));
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = Leaf<'a>;

    fn next(&mut self) -> Option<Leaf<'a>> {
        let mut opens = false;
        loop {
            while self.depth > 0
                && self.ends.get(usize::from(self.depth) - 1).is_some_and(|end| self.at >= *end)
            {
                self.depth -= 1;
            }
            let start = Reader::new(self.rest, self.at as usize);
            let mut behind = start;
            let element = match behind.next()? {
                Ok(element) => element,
                Err(fault) => {
                    self.refuse(fault.oddity, fault.at);
                    return None;
                }
            };
            let end = element.at + element.content.len();
            let around = usize::from(self.depth).checked_sub(1).and_then(|place| self.ends.get(place));
            let beyond = around.is_some_and(|around| end > *around as usize);
            if beyond {
                self.refuse(Oddity::LengthMismatch, start.at());
                return None;
            }
            match element.tag {
                0xa1 | 0xa2 => {
                    let Some(place) = self.ends.get_mut(usize::from(self.depth)) else {
                        self.refuse(Oddity::BadQuantity, start.at());
                        return None;
                    };
                    *place = end as u32;
                    self.depth += 1;
                    opens = true;
                    self.go(start.enter(&element));
                }
                tag @ 0x83..=0x91 => {
                    self.go(behind);
                    let kind = (tag & 0x1f) as u8;
                    return Some(Leaf { kind, content: element.content, depth: self.depth, opens });
                }
                _ => {
                    self.refuse(Oddity::BadValue, start.at());
                    return None;
                }
            }
        }
    }
}

/// A value with what the values behind it say of it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The value.
    pub leaf: Leaf<'a>,
    /// By the quality right behind it; good where there is none.
    pub quality: Quality,
    /// By the time right behind that quality.
    pub at: Option<Timestamp>,
}

/// The values in a list, each with the quality and time that follow it.
///
/// Data sets carry value, quality and time in this order (IEC 61850-7-3 clause 7): what does not follow a value in the
/// same or an outer structure is a value of its own alone.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a>(Leaves<'a>);

impl<'a> Members<'a> {
    /// The members of these values.
    #[must_use]
    pub const fn new(leaves: Leaves<'a>) -> Self {
        Self(leaves)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let leaf = self.0.next()?;
        let mut member = Member { leaf, quality: Quality::Good, at: None };
        if leaf.kind == kind::TIME || leaf.quality_bits().is_some() {
            return Some(member);
        }
        let mut ahead = self.0;
        let behind = ahead.next().filter(|next| !next.opens && next.depth <= leaf.depth);
        if let Some((next, bits)) = behind.and_then(|next| Some((next, next.quality_bits()?))) {
            member.quality = quality(bits);
            let time = ahead.next().filter(|time| !time.opens && time.depth == next.depth);
            if let Some(time) = time.and_then(|time| time.time()) {
                member.quality = worse(member.quality, time.quality());
                member.at = time.at();
            }
        }
        Some(member)
    }
}

/// The quality that these bits say, bit 0 (the first of validity) the least significant (IEC 61850-7-3 §6.2).
#[inline]
#[must_use]
pub fn quality(bits: u16) -> Quality {
    const SUBSTITUTED: u16 = 1 << 10;
    const OLD: u16 = 1 << 7;
    if bits & 0x1fff == 0 {
        return Quality::Good;
    }
    match bits & 3 {
        // As strings of bits: 01 invalid, 10 reserved, 11 questionable, the first bit the higher.
        1 | 2 => Quality::Bad,
        _ if bits & SUBSTITUTED != 0 => Quality::Substituted,
        _ if bits & OLD != 0 => Quality::Stale,
        _ => Quality::Uncertain,
    }
}

/// The one that promises less.
#[must_use]
pub fn worse(one: Quality, other: Quality) -> Quality {
    match (one, other) {
        (Quality::Good, other) => other,
        (one, Quality::Good | Quality::Uncertain) => one,
        (Quality::Uncertain, other) => other,
        (one, _) => one,
    }
}

/// A time stamp: seconds since 1970, a binary fraction of 24 bits, its quality (IEC 61850-7-2 §6.1.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcTime(pub [u8; 8]);

impl UtcTime {
    const FAILURE: u8 = 0x40;
    const UNSYNCHRONISED: u8 = 0x20;

    /// The time stamp of a time, rounded down to 2⁻²⁴ s, with this quality byte; times before 1970 are its beginning.
    #[must_use]
    pub fn of(at: Timestamp, quality: u8) -> Self {
        let nanos = at.as_nanos().max(0);
        let fraction = (((nanos % 1_000_000_000) as u64) << 24) / 1_000_000_000;
        let [.., s3, s2, s1, s0] = (nanos / 1_000_000_000).to_be_bytes();
        let [.., f2, f1, f0] = fraction.to_be_bytes();
        Self([s3, s2, s1, s0, f2, f1, f0, quality])
    }

    /// The time; `None` where the clock says that it has failed.
    #[must_use]
    pub fn at(self) -> Option<Timestamp> {
        let [s3, s2, s1, s0, f2, f1, f0, quality] = self.0;
        let seconds = i64::from(u32::from_be_bytes([s3, s2, s1, s0]));
        let fraction = u64::from(u32::from_be_bytes([0, f2, f1, f0]));
        let nanos = (fraction * 1_000_000_000) >> 24;
        (quality & Self::FAILURE == 0).then(|| Timestamp::from_nanos(seconds * 1_000_000_000 + nanos as i64))
    }

    /// What the clock says of itself.
    #[must_use]
    pub const fn quality(self) -> Quality {
        let [.., quality] = self.0;
        if quality & (Self::FAILURE | Self::UNSYNCHRONISED) == 0 { Quality::Good } else { Quality::Uncertain }
    }
}

/// A value to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// Values that belong together.
    Structure(&'a [Self]),
    /// Values of one type.
    Array(&'a [Self]),
    /// A state.
    Boolean(bool),
    /// This many bits, the first the most significant of the first byte.
    Bits(&'a [u8], u8),
    /// A whole number.
    Integer(i64),
    /// A whole number without a sign.
    Unsigned(u64),
    /// A number of single precision.
    Float(f32),
    /// A number of double precision.
    Double(f64),
    /// Bytes.
    Octets(&'a [u8]),
    /// Text of visible characters.
    Text(&'a str),
    /// A time.
    Time(UtcTime),
}

impl Entry<'_> {
    /// Appends its bytes; `None` for what is nested too deep, or for bits that the bytes do not hold.
    #[must_use]
    pub fn emit(&self, out: &mut Vec<u8>) -> Option<()> {
        self.emit_at(0, out)
    }

    fn emit_at(&self, depth: usize, out: &mut Vec<u8>) -> Option<()> {
        let tag = |kind: u8| 0x80 | u32::from(kind);
        match *self {
            Self::Structure(entries) | Self::Array(entries) => {
                let mut inside = Vec::new();
                let depth = Some(depth + 1).filter(|depth| *depth <= DEPTH_MAX)?;
                entries.iter().try_for_each(|entry| entry.emit_at(depth, &mut inside))?;
                let kind = if matches!(self, Self::Array(_)) { kind::ARRAY } else { kind::STRUCTURE };
                ber::put(0x20 | tag(kind), &inside, out);
            }
            Self::Boolean(state) => ber::put(tag(kind::BOOLEAN), &[u8::from(state)], out),
            Self::Bits(bytes, count) => {
                let unused =
                    (bytes.len() * 8).checked_sub(usize::from(count)).filter(|unused| *unused < 8)?;
                let content: Vec<_> = core::iter::once(unused as u8).chain(bytes.iter().copied()).collect();
                ber::put(tag(kind::BITS), &content, out);
            }
            Self::Integer(number) => ber::put_integer(tag(kind::INTEGER), number, out),
            Self::Unsigned(number) => ber::put_unsigned(tag(kind::UNSIGNED), number, out),
            Self::Float(number) => {
                let [a, b, c, d] = number.to_be_bytes();
                ber::put(tag(kind::FLOAT), &[8, a, b, c, d], out);
            }
            Self::Double(number) => {
                let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
                ber::put(tag(kind::FLOAT), &[11, a, b, c, d, e, f, g, h], out);
            }
            Self::Octets(bytes) => ber::put(tag(kind::OCTETS), bytes, out),
            Self::Text(text) => ber::put(tag(kind::TEXT), text.as_bytes(), out),
            Self::Time(time) => ber::put(tag(kind::TIME), &time.0, out),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(entries: &[Entry<'_>]) -> Vec<(u8, Quality, Option<Timestamp>)> {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.emit(&mut bytes).unwrap());
        let found = Members::new(Leaves::new(&bytes, 0));
        found.map(|member| (member.leaf.kind, member.quality, member.at)).collect()
    }

    const GOOD: Entry<'_> = Entry::Bits(&[0, 0], 13);
    const INVALID: Entry<'_> = Entry::Bits(&[0x40, 0], 13);

    #[test]
    fn quality_and_time_belong_to_the_value_before_them() {
        let at = Timestamp::from_millis(1_500);
        let time = Entry::Time(UtcTime::of(at, 0));
        let found =
            members(&[Entry::Boolean(true), Entry::Bits(&[0x40], 2), INVALID, time, Entry::Boolean(false)]);
        assert_eq!(found.len(), 5);
        assert_eq!(found[0], (kind::BOOLEAN, Quality::Good, None));
        assert_eq!(found[1], (kind::BITS, Quality::Bad, Some(at)));
        assert_eq!(found[2].1, Quality::Good, "a quality has none of its own");
        // A measured value: its magnitude is a structure inside.
        let measured = Entry::Structure(&[Entry::Structure(&[Entry::Float(1.5)]), INVALID, time]);
        assert_eq!(members(&[measured])[0], (kind::FLOAT, Quality::Bad, Some(at)));
        // The first of a structure belongs to nothing outside of it.
        assert_eq!(members(&[Entry::Integer(1), Entry::Structure(&[INVALID])])[0].1, Quality::Good);
        let failed = Entry::Time(UtcTime::of(at, 0x40));
        assert_eq!(members(&[Entry::Integer(1), GOOD, failed])[0], (kind::INTEGER, Quality::Uncertain, None));
    }

    #[test]
    fn bits_of_quality() {
        for (bits, expect) in [
            (0, Quality::Good),
            (1, Quality::Bad),
            (2, Quality::Bad),
            (3, Quality::Uncertain),
            (3 | 1 << 7, Quality::Stale),
            (1 << 10, Quality::Substituted),
            (1 << 11, Quality::Uncertain),
            (1 << 13, Quality::Good),
        ] {
            assert_eq!(quality(bits), expect, "{bits:#x}");
        }
        assert_eq!(worse(Quality::Uncertain, Quality::Bad), Quality::Bad);
        assert_eq!(worse(Quality::Stale, Quality::Uncertain), Quality::Stale);
    }

    #[test]
    fn values_are_read_by_their_type() {
        let check = |entry: Entry<'_>, raw: &[u8], value: Scalar<'_>| {
            let mut bytes = Vec::new();
            entry.emit(&mut bytes).unwrap();
            assert_eq!(Leaves::new(&bytes, 0).next().unwrap().data(), Data::Scalar { raw, value });
        };
        check(Entry::Boolean(true), &[1], Scalar::Boolean(true));
        check(Entry::Bits(&[0x40], 2), &[0x40], Scalar::Unsigned(1));
        check(Entry::Integer(-1), &[0xff], Scalar::Signed(-1));
        check(Entry::Unsigned(500), &[1, 0xf4], Scalar::Unsigned(500));
        check(Entry::Float(1.0), &[0x3f, 0x80, 0, 0], Scalar::Float(1.0));
        check(Entry::Double(-2.0), &[11, 0xc0, 0, 0, 0, 0, 0, 0, 0], Scalar::Float(-2.0));
        check(Entry::Text("OK"), b"OK", Scalar::Text(b"OK"));
        check(Entry::Octets(&[1]), &[1], Scalar::Opaque);
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let mut bytes = vec![0x83, 1, 1];
        for _ in 0..DEPTH_MAX + 1 {
            let inside = core::mem::take(&mut bytes);
            ber::put(0xa2, &inside, &mut bytes);
        }
        let mut leaves = Leaves::new(&bytes, 0);
        assert!(leaves.next().is_none());
        assert_eq!(leaves.fault().map(|(oddity, _)| oddity), Some(Oddity::BadQuantity));
        let mut leaves = Leaves::new(&[0xa2, 2, 0x83, 1, 1, 0x83, 1, 1], 10);
        assert!(leaves.next().is_none());
        assert_eq!(leaves.fault(), Some((Oddity::LengthMismatch, 12)));
        assert_eq!(Leaves::new(&[0x83, 1, 1, 0xa2, 0, 0x83, 1, 1], 0).count(), 2, "an empty structure");
        let deep = (0..DEPTH_MAX + 1)
            .fold(Entry::Boolean(true), |inner, _| Entry::Structure(Box::leak(Box::new([inner]))));
        assert_eq!(deep.emit(&mut Vec::new()), None);
    }
}
