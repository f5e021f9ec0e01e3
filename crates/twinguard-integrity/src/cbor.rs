//! Deterministic CBOR, as the journal's entries are made of it.
//!
//! What is read here: integers, byte and text strings, arrays, maps, `false`, `true`, `null` and numbers, each in the one
//! form that RFC 8949 §4.2.1 leaves: shortest heads, definite lengths, keys in the order of their bytes and none twice, a
//! floating-point number in the shortest of 16, 32 and 64 bits that holds it. No tags, no other simple values.
//! Source: RFC 8949 §3, §4.2.1, appendix D (16-bit numbers).

use crate::Error;
use crate::cursor::Cursor;

/// Items within items.
const DEPTH: u32 = 32;

/// Checks that the bytes are one item in its one form, and nothing more.
///
/// ```
/// use twinguard_integrity::cbor;
///
/// assert!(cbor::check(&[0xa1, 0x61, b'a', 0xf9, 0x3c, 0x00]).is_ok()); // {"a": 1.0}
/// assert!(cbor::check(&[0x18, 0x01]).is_err()); // 1 in two bytes
/// ```
///
/// # Errors
/// [`Error::Leaf`] with the offset.
pub fn check(bytes: &[u8]) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes);
    item(&mut cursor, DEPTH).map_err(|reason| Error::Leaf { offset: cursor.offset(), reason })?;
    if cursor.is_empty() {
        return Ok(());
    }
    Err(Error::Leaf { offset: cursor.offset(), reason: "it goes on after its end" })
}

fn item<'a>(cursor: &mut Cursor<'a>, depth: u32) -> Result<&'a [u8], &'static str> {
    let start = cursor.rest();
    let depth = depth.checked_sub(1).ok_or("items stand within items too deeply")?;
    let first = *start.first().ok_or("it ends early")?;
    if first >> 5 == 7 {
        cursor.u8();
        simple(cursor, first & 0x1f)?;
    } else {
        let (major, value) = read_head(cursor).ok_or("a head is not in its shortest form")?;
        match major {
            0 | 1 => {}
            2 | 3 => {
                let length = usize::try_from(value).map_err(|_| "a string ends early")?;
                let string = cursor.take(length).ok_or("a string ends early")?;
                if major == 3 && core::str::from_utf8(string).is_err() {
                    return Err("a text is not UTF-8");
                }
            }
            4 => {
                for _ in 0..value {
                    item(cursor, depth)?;
                }
            }
            5 => {
                let mut before: Option<&[u8]> = None;
                for _ in 0..value {
                    let key = item(cursor, depth)?;
                    if before.is_some_and(|before| before >= key) {
                        return Err("a map's keys are not in order, or one stands twice");
                    }
                    before = Some(key);
                    item(cursor, depth)?;
                }
            }
            _ => return Err("tags are not used"),
        }
    }
    let length = start.len() - cursor.rest().len();
    Ok(start.get(..length).unwrap_or_default())
}

fn simple(cursor: &mut Cursor<'_>, info: u8) -> Result<(), &'static str> {
    let value = match info {
        20..=22 => return Ok(()),
        25 => half_to_f64(cursor.u16().ok_or("it ends early")?),
        26 => f64::from(f32::from_bits(cursor.u32().ok_or("it ends early")?)),
        27 => f64::from_bits(cursor.u64().ok_or("it ends early")?),
        _ => return Err("a simple value is not false, true, null or a number"),
    };
    if !value.is_finite() {
        return Err("a number is not finite");
    }
    let width = match float(value) {
        Float::Half(_) => 25,
        Float::Single(_) => 26,
        Float::Double(_) => 27,
    };
    if width == info { Ok(()) } else { Err("a number is not in its shortest form") }
}

enum Float {
    Half(u16),
    Single(u32),
    Double(u64),
}

fn float(value: f64) -> Float {
    let single = value as f32;
    if f64::from(single).to_bits() != value.to_bits() {
        return Float::Double(value.to_bits());
    }
    match half(value) {
        Some(half) => Float::Half(half),
        None => Float::Single(single.to_bits()),
    }
}

/// The 16-bit form of a number that has one.
fn half(value: f64) -> Option<u16> {
    let sign = ((value.to_bits() >> 48) & 0x8000) as u16;
    // Subnormal numbers are multiples of 2⁻²⁴ below 2⁻¹⁴.
    let units = value.abs() * 16_777_216.0;
    if units < 1_024.0 {
        return (units.fract() == 0.0).then_some(sign | units as u16);
    }
    let bits = value.abs().to_bits();
    let exponent = (bits >> 52) as i64 - 1_023;
    let fits = exponent <= 15 && bits.trailing_zeros() >= 42;
    fits.then(|| sign | ((exponent + 15) as u16) << 10 | ((bits >> 42) & 0x3ff) as u16)
}

fn half_to_f64(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff));
    let size = match exponent {
        0 => fraction / 16_777_216.0,
        31 => f64::INFINITY,
        _ => (1_024.0 + fraction) / 1_024.0 * f64::from(2.0_f32.powi(exponent - 15)),
    };
    if half & 0x8000 == 0 { size } else { -size }
}

/// Writes items at the end of a buffer; the caller keeps the keys of a map in [`order`].
pub mod write {
    use super::{Float, float, head};

    /// An integer that is not negative.
    pub fn unsigned(out: &mut Vec<u8>, value: u64) {
        head(out, 0, value);
    }
    /// An integer.
    pub fn integer(out: &mut Vec<u8>, value: i64) {
        match u64::try_from(value) {
            Ok(value) => head(out, 0, value),
            Err(_) => head(out, 1, !value as u64),
        }
    }
    /// A finite floating-point number.
    pub fn number(out: &mut Vec<u8>, value: f64) {
        match float(value) {
            Float::Half(bits) => {
                out.push(0xf9);
                out.extend_from_slice(&bits.to_be_bytes());
            }
            Float::Single(bits) => {
                out.push(0xfa);
                out.extend_from_slice(&bits.to_be_bytes());
            }
            Float::Double(bits) => {
                out.push(0xfb);
                out.extend_from_slice(&bits.to_be_bytes());
            }
        }
    }
    /// A byte string.
    pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
        head(out, 2, value.len() as u64);
        out.extend_from_slice(value);
    }
    /// A text.
    pub fn text(out: &mut Vec<u8>, value: &str) {
        head(out, 3, value.len() as u64);
        out.extend_from_slice(value.as_bytes());
    }
    /// The head of an array of so many items, which follow.
    pub fn array(out: &mut Vec<u8>, items: usize) {
        head(out, 4, items as u64);
    }
    /// The head of a map of so many pairs, which follow.
    pub fn map(out: &mut Vec<u8>, pairs: usize) {
        head(out, 5, pairs as u64);
    }
    /// True or false.
    pub fn flag(out: &mut Vec<u8>, value: bool) {
        out.push(0xf4 | u8::from(value));
    }
    /// Nothing.
    pub fn null(out: &mut Vec<u8>) {
        out.push(0xf6);
    }
}

/// The pairs of a map whose keys are texts; `next` reads each value.
pub(crate) fn pairs<'a, T>(
    bytes: &mut &'a [u8],
    mut next: impl FnMut(&'a str, &mut &'a [u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let Item::Map(pairs) = read(bytes)? else { return None };
    let mut all = Vec::new();
    for _ in 0..pairs {
        let Item::Text(key) = read(bytes)? else { return None };
        all.push(next(key, bytes)?);
    }
    Some(all)
}

/// An item, taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'a> {
    /// An integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// So many items follow.
    Array(u64),
    /// So many pairs of items follow.
    Map(u64),
    /// True or false.
    Flag(bool),
    /// Nothing.
    Null,
    /// A floating-point number.
    Number(f64),
}

/// Reads the next item's head, or the item where it holds no others; nothing for bytes that [`check`] refuses.
#[must_use]
pub fn read<'a>(bytes: &mut &'a [u8]) -> Option<Item<'a>> {
    let mut cursor = Cursor::new(bytes);
    let read = match *bytes.first()? {
        0xf4 | 0xf5 => Item::Flag(cursor.u8()? == 0xf5),
        0xf6 => cursor.u8().map(|_| Item::Null)?,
        0xf9 => Item::Number(cursor.u8().and(cursor.u16()).map(half_to_f64)?),
        0xfa => Item::Number(cursor.u8().and(cursor.u32()).map(|bits| f64::from(f32::from_bits(bits)))?),
        0xfb => Item::Number(cursor.u8().and(cursor.u64()).map(f64::from_bits)?),
        _ => match read_head(&mut cursor)? {
            (0, value) => Item::Unsigned(value),
            (1, value) => Item::Negative(!i64::try_from(value).ok()?),
            (2, length) => Item::Bytes(cursor.take(usize::try_from(length).ok()?)?),
            (3, length) => {
                Item::Text(core::str::from_utf8(cursor.take(usize::try_from(length).ok()?)?).ok()?)
            }
            (4, items) => Item::Array(items),
            (5, pairs) => Item::Map(pairs),
            _ => return None,
        },
    };
    *bytes = cursor.rest();
    Some(read)
}

/// The order of two keys that are texts: that of their encoded bytes, so the shorter one comes first.
#[must_use]
pub fn order(a: &str, b: &str) -> core::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Head of a CBOR item in its shortest form (RFC 8949 §3).
pub(crate) fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    if let Ok(value) = u8::try_from(value) {
        match value {
            0..24 => out.push(major | value),
            _ => out.extend_from_slice(&[major | 24, value]),
        }
    } else if let Ok(value) = u16::try_from(value) {
        out.push(major | 25);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(major | 26);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Major type and value of a head; nothing for one that is not in its shortest form.
pub(crate) fn read_head(cursor: &mut Cursor<'_>) -> Option<(u8, u64)> {
    let first = cursor.u8()?;
    let (value, least) = match first & 0x1f {
        small @ 0..24 => (u64::from(small), 0),
        24 => (u64::from(cursor.u8()?), 24),
        25 => (u64::from(cursor.u16()?), 1 << 8),
        26 => (u64::from(cursor.u32()?), 1 << 16),
        27 => (cursor.u64()?, 1 << 32),
        _ => return None,
    };
    (value >= least).then_some((first >> 5, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        // RFC 8949, appendix A.
        let check = |value: f64, wanted: &[u8]| {
            let mut out = Vec::new();
            write::number(&mut out, value);
            assert_eq!(out, wanted, "{value}");
            assert!(super::check(&out).is_ok(), "{value}");
            assert_eq!(read(&mut out.as_slice()), Some(Item::Number(value)));
        };
        check(0.0, &[0xf9, 0, 0]);
        check(-0.0, &[0xf9, 0x80, 0]);
        check(1.0, &[0xf9, 0x3c, 0]);
        check(1.1, &[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]);
        check(1.5, &[0xf9, 0x3e, 0]);
        check(65_504.0, &[0xf9, 0x7b, 0xff]);
        check(100_000.0, &[0xfa, 0x47, 0xc3, 0x50, 0]);
        check(3.402_823_466_385_288_6e38, &[0xfa, 0x7f, 0x7f, 0xff, 0xff]);
        check(1.0e300, &[0xfb, 0x7e, 0x37, 0xe4, 0x3c, 0x88, 0, 0x75, 0x9c]);
        check(5.960_464_477_539_063e-8, &[0xf9, 0, 1]);
        check(0.000_061_035_156_25, &[0xf9, 4, 0]);
        check(-4.0, &[0xf9, 0xc4, 0]);
        check(-4.1, &[0xfb, 0xc0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66]);
    }

    #[test]
    fn one_form_and_no_other() {
        for bad in [
            &[0x18, 0x17][..],                                       // 23 in two bytes
            &[0x5f, 0x40, 0xff],                                     // indefinite length
            &[0xa2, 0x61, b'b', 1, 0x61, b'a', 1],                   // keys out of order
            &[0xa2, 0x61, b'a', 1, 0x61, b'a', 1],                   // a key twice
            &[0xfa, 0x3f, 0x80, 0, 0],                               // 1.0 in 32 bits
            &[0xf9, 0x7e, 0],                                        // not a number
            &[0xc0, 0x00],                                           // a tag
            &[0xf7],                                                 // undefined
            &[0x61, 0xff],                                           // not UTF-8
            &[0x82, 0x00],                                           // ends early
            &[0x00, 0x00],                                           // goes on
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // an array of 2⁶⁴ − 1
        ] {
            assert!(check(bad).is_err(), "{bad:02x?}");
        }
        assert!(check(&[0xa2, 0x61, b'a', 1, 0x62, b'a', b'a', 0xf4]).is_ok());
        assert!(check(&[&[0x81; 31][..], &[0x80]].concat()).is_ok());
        assert!(check(&[0x81; 60_000]).is_err(), "deep, not endless");
    }

    proptest! {
        #[test]
        fn any_number_comes_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for value in [value, f64::from(value as f32), (value % 1e4).round() / 8.0] {
                prop_assume!(value.is_finite());
                let mut out = Vec::new();
                write::number(&mut out, value);
                prop_assert!(check(&out).is_ok());
                let back = read(&mut out.as_slice());
                prop_assert!(matches!(back, Some(Item::Number(it)) if it.to_bits() == value.to_bits()));
            }
        }

        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = check(&bytes);
            let mut rest = bytes.as_slice();
            while read(&mut rest).is_some() {}
        }
    }
}
