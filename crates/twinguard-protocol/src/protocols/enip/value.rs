//! Elementary data types and the sizes of well-known attributes.
//!
//! Source: *The CIP Networks Library* Volume 1, Appendix C-6 (data types), §5 (objects); Rockwell 1756-PM020 for
//! structures of Logix controllers.

use twinguard_types::Value;

use crate::bytes::{chunk, le16, le32};
use crate::protocol::Scalar;

/// The type code that stands before the handle of a structure (PM020).
const STRUCTURE: u16 = 0x02a0;
/// The handle of the predefined STRING of Logix controllers (PM020).
const STRING: u16 = 0x0fce;

/// Bytes of an element of this type; `None` for those without a fixed size (C-6.1).
pub(super) const fn size(code: u16) -> Option<usize> {
    Some(match code {
        0xc1 | 0xc2 | 0xc6 | 0xd1 => 1,
        0xc3 | 0xc7 | 0xcd | 0xd2 | 0xd8 => 2,
        0xc4 | 0xc8 | 0xca | 0xcc | 0xce | 0xd3 | 0xd6 | 0xdb => 4,
        0xcf => 6,
        0xc5 | 0xc9 | 0xcb | 0xd4 | 0xd7 => 8,
        _ => return None,
    })
}

/// What an element of this type says (C-5); other lengths than the type's say nothing.
pub(super) fn scalar(code: u16, raw: &[u8]) -> Scalar<'_> {
    let number = |bytes: &[u8]| {
        let mut all = [0; 8];
        all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(all)
    };
    if size(code) != Some(raw.len()) {
        return Scalar::Opaque;
    }
    match code {
        0xc1 => Scalar::Boolean(raw != [0]),
        0xc2 => Scalar::Signed(i64::from(number(raw) as i8)),
        0xc3 => Scalar::Signed(i64::from(number(raw) as i16)),
        0xc4 | 0xcc | 0xd6 | 0xdb => Scalar::Signed(i64::from(number(raw) as i32)),
        0xc5 | 0xd7 => Scalar::Signed(number(raw) as i64),
        0xd8 => Scalar::Signed(i64::from(number(raw) as i16)),
        0xc6..=0xc9 | 0xcd | 0xce | 0xd1..=0xd4 => Scalar::Unsigned(number(raw)),
        0xca => Scalar::Float(f64::from(f32::from_bits(number(raw) as u32))),
        0xcb => Scalar::Float(f64::from_bits(number(raw))),
        _ => Scalar::Opaque,
    }
}

/// What the bytes behind a structure's handle say: the predefined STRING is text, others only their maker knows.
pub(super) fn structure(handle: u16, raw: &[u8]) -> Scalar<'_> {
    let text = || {
        let len = usize::try_from(le32(raw, 0)?).ok()?;
        raw.get(4..)?.get(..len)
    };
    text().filter(|_| handle == STRING).map_or(Scalar::Opaque, Scalar::Text)
}

/// The bytes of a number as this type, and how many; `None` when it does not fit.
pub(super) fn encode(code: u16, value: Value) -> Option<([u8; 8], usize)> {
    let size = size(code)?;
    let whole = match value {
        Value::Boolean(state) => f64::from(u8::from(state)),
        other => other.as_f64(),
    };
    let (low, high) = match code {
        0xc1 => (0.0, 2.0),
        0xc2 => (-128.0, 128.0),
        0xc3 => (-32_768.0, 32_768.0),
        0xc4 => (-2_147_483_648.0, 2_147_483_648.0),
        0xc5 => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
        0xc6 | 0xd1 => (0.0, 256.0),
        0xc7 | 0xd2 => (0.0, 65_536.0),
        0xc8 | 0xd3 => (0.0, 4_294_967_296.0),
        0xc9 | 0xd4 => (0.0, 18_446_744_073_709_551_616.0),
        0xca | 0xcb => (f64::NEG_INFINITY, f64::INFINITY),
        _ => return None,
    };
    let rounded = whole.round();
    let bits = match code {
        0xca => {
            let narrow = whole as f32;
            narrow.is_finite().then(|| u64::from(narrow.to_bits()))?
        }
        0xcb => whole.is_finite().then(|| whole.to_bits())?,
        _ if !(low..high).contains(&rounded) => return None,
        // Logix controllers write 0xff for a true BOOL.
        0xc1 => {
            if rounded == 0.0 {
                0
            } else {
                0xff
            }
        }
        0xc6..=0xc9 | 0xd1..=0xd4 => rounded as u64,
        _ => match value {
            Value::Integer(number) => number as u64,
            _ => rounded as i64 as u64,
        },
    };
    Some((bits.to_le_bytes(), size))
}

/// Bytes that this attribute takes at the head of `rest`; `None` when only its class knows.
pub(super) fn attribute(class: u32, attribute: u16, rest: &[u8]) -> Option<usize> {
    let short_string = || rest.first().map(|len| 1 + usize::from(*len));
    match (class, attribute) {
        // Identity object (5-2.2): vendor, type, code, revision, status, serial number, name, state, ...
        (1, 1..=5 | 9) => Some(2),
        (1, 6) => Some(4),
        (1, 7) => short_string(),
        (1, 8 | 10) => Some(1),
        // Assembly object (5-5): 4 is the size of its data.
        (4, 4) => Some(2),
        // Connection manager (3-5.2): counters of requests and refusals.
        (6, 1..=8) => Some(2),
        // Port object: type, number.
        (0xf4, 1 | 2) => Some(2),
        // TCP/IP interface (V2 5-4.3): status, capability, control; 6 is a host name.
        (0xf5, 1..=3) => Some(4),
        // Ethernet link (V2 5-5.3): speed, flags, address; control.
        (0xf6, 1 | 2 | 6) => Some(4),
        (0xf6, 3) => Some(6),
        (0xf6, 7..=9) => Some(1),
        (0xf6, 4 | 5) => None,
        _ => None,
    }
    .filter(|size| *size <= rest.len())
}

/// The type code of a written value and the bytes behind it, without the number of elements.
pub(super) fn typed(data: &[u8]) -> Option<(u16, Option<u16>, &[u8])> {
    let code = u16::from_le_bytes(*chunk(data, 0)?);
    if code == STRUCTURE {
        return Some((code, Some(le16(data, 2)?), data.get(4..)?));
    }
    Some((code, None, data.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_say_their_values() {
        let check = |code, raw: &[u8], expect: Scalar<'_>| assert_eq!(scalar(code, raw), expect);
        check(0xc1, &[0xff], Scalar::Boolean(true));
        check(0xc2, &[0xfe], Scalar::Signed(-2));
        check(0xc3, &[0xfe, 0xff], Scalar::Signed(-2));
        check(0xc4, &[4, 3, 2, 1], Scalar::Signed(0x0102_0304));
        check(0xc7, &[0xff, 0xff], Scalar::Unsigned(0xffff));
        check(0xca, &[0, 0, 0x20, 0x41], Scalar::Float(10.0));
        check(0xca, &[0, 0, 0x20], Scalar::Opaque);
        check(0x99, &[0], Scalar::Opaque);
        assert_eq!(structure(STRING, b"\x02\0\0\0ok..."), Scalar::Text(b"ok"));
        assert_eq!(structure(STRING, b"\xff\0\0\0ok..."), Scalar::Opaque);
        assert_eq!(structure(1, b"\x02\0\0\0ok..."), Scalar::Opaque);
        assert_eq!(
            encode(0xc3, Value::Integer(-2)),
            Some(([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 2))
        );
        assert_eq!(encode(0xc2, Value::Integer(128)), None);
        assert_eq!(encode(0xc1, Value::Boolean(true)).unwrap().0[0], 0xff);
    }

    #[test]
    fn attributes_take_their_bytes() {
        assert_eq!(attribute(1, 7, b"\x03abcdef"), Some(4));
        assert_eq!(attribute(1, 5, &[1]), None, "too short");
        assert_eq!(attribute(0x64, 1, &[1, 2]), None);
    }
}
