//! Raw words to numbers and back: widths, byte and word orders, BCD.
//!
//! Words are big-endian on the wire (Modbus Application Protocol V1.1b3 §4.2); how several of them hold one number is
//! each vendor's choice, named by [`ByteOrder`]. Floats are IEEE 754-2019 binary32 and binary64.

use twinguard_types::{ByteOrder, Encoding, Value};

use crate::protocol::VALUE_MAX;

/// Puts the bytes of up to four words in the order most significant first; the same again puts them back.
#[inline]
pub(crate) fn reorder(bytes: &mut [u8], order: ByteOrder) {
    let (words, _) = bytes.as_chunks_mut::<2>();
    if matches!(order, ByteOrder::Cdab | ByteOrder::Dcba) {
        words.reverse();
    }
    if matches!(order, ByteOrder::Badc | ByteOrder::Dcba) {
        words.iter_mut().for_each(|word| word.reverse());
    }
}

/// A raw number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Bit(bool),
    Integer(i128),
    Float(f64),
}

/// Reads ordered bytes; `None` for digits above 9.
#[inline]
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Option<Number> {
    let mut unsigned = 0u64;
    for byte in bytes.iter().take(VALUE_MAX) {
        unsigned = unsigned << 8 | u64::from(*byte);
    }
    Some(match encoding {
        Encoding::U16 | Encoding::U32 | Encoding::U64 => Number::Integer(i128::from(unsigned)),
        Encoding::I16 => Number::Integer(i128::from(unsigned as u16 as i16)),
        Encoding::I32 => Number::Integer(i128::from(unsigned as u32 as i32)),
        Encoding::I64 => Number::Integer(i128::from(unsigned as i64)),
        Encoding::F32 => Number::Float(f64::from(f32::from_bits(unsigned as u32))),
        Encoding::F64 => Number::Float(f64::from_bits(unsigned)),
        Encoding::Bit(bit) => Number::Bit(unsigned.checked_shr(u32::from(bit)).unwrap_or_default() & 1 == 1),
        Encoding::Bcd(_) => Number::Integer(i128::from(from_bcd(unsigned)?)),
        _ => return None,
    })
}

/// Writes a number into `bytes`, most significant first; `None` when it does not fit the encoding.
pub(crate) fn encode(number: f64, encoding: Encoding, bytes: &mut [u8]) -> Option<()> {
    let rounded = number.round();
    // Exact for every bound below: they are powers of two, or one less than one that fits a double.
    let within = |low: f64, high: f64| (low..high).contains(&rounded).then_some(rounded);
    let unsigned = match encoding {
        Encoding::U16 => within(0.0, 65_536.0)? as u64,
        Encoding::I16 => within(-32_768.0, 32_768.0)? as i16 as u16 as u64,
        Encoding::U32 => within(0.0, 4_294_967_296.0)? as u64,
        Encoding::I32 => within(-2_147_483_648.0, 2_147_483_648.0)? as i32 as u32 as u64,
        Encoding::U64 => within(0.0, 18_446_744_073_709_551_616.0)? as u64,
        Encoding::I64 => within(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0)? as i64 as u64,
        Encoding::F32 => {
            let narrow = number as f32;
            narrow.is_finite().then(|| u64::from(narrow.to_bits()))?
        }
        Encoding::F64 => number.is_finite().then(|| number.to_bits())?,
        Encoding::Bcd(digits) => to_bcd(within(0.0, 10f64.powi(i32::from(digits.min(16))))? as u64),
        _ => return None,
    };
    let all = unsigned.to_be_bytes();
    bytes.copy_from_slice(all.get(VALUE_MAX.checked_sub(bytes.len())?..)?);
    Some(())
}

/// An integer value keeps its width; scaling makes it real.
#[inline]
pub(crate) fn physical(number: Number, scale: f64, offset: f64) -> Option<Value> {
    let plain = scale == 1.0 && offset == 0.0;
    let raw = match number {
        Number::Bit(bit) if plain => return Some(Value::Boolean(bit)),
        Number::Bit(bit) => f64::from(u8::from(bit)),
        Number::Integer(integer) => match i64::try_from(integer) {
            Ok(integer) if plain => return Some(Value::Integer(integer)),
            _ => integer as f64,
        },
        Number::Float(float) => float,
    };
    Value::real(raw * scale + offset).ok()
}

fn from_bcd(raw: u64) -> Option<u64> {
    (0..16).rev().try_fold(0u64, |number, place| {
        let digit = raw >> (place * 4) & 0xf;
        (digit <= 9).then(|| number * 10 + digit)
    })
}

fn to_bcd(mut number: u64) -> u64 {
    let mut raw = 0;
    for place in 0..16 {
        raw |= number % 10 << (place * 4);
        number /= 10;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(wire: &[u8], encoding: Encoding, order: ByteOrder, expect: Option<Number>) {
        let mut bytes = wire.to_vec();
        reorder(&mut bytes, order);
        assert_eq!(decode(&bytes, encoding), expect, "{wire:02x?} as {encoding:?} {order:?}");
    }

    #[test]
    fn orders_are_named_by_how_aabbccdd_comes() {
        let number = Some(Number::Integer(0xaabb_ccdd));
        check(&[0xaa, 0xbb, 0xcc, 0xdd], Encoding::U32, ByteOrder::Abcd, number);
        check(&[0xcc, 0xdd, 0xaa, 0xbb], Encoding::U32, ByteOrder::Cdab, number);
        check(&[0xbb, 0xaa, 0xdd, 0xcc], Encoding::U32, ByteOrder::Badc, number);
        check(&[0xdd, 0xcc, 0xbb, 0xaa], Encoding::U32, ByteOrder::Dcba, number);
        check(&[2, 1], Encoding::U16, ByteOrder::Badc, Some(Number::Integer(0x0102)));
        check(&[1, 2], Encoding::U16, ByteOrder::Cdab, Some(Number::Integer(0x0102)));
        check(&[7, 8, 5, 6, 3, 4, 1, 2], Encoding::U64, ByteOrder::Cdab, Some(Number::Integer(0x0102_0304_0506_0708)));
    }

    #[test]
    fn widths_and_digits() {
        check(&[0xff, 0xfe], Encoding::I16, ByteOrder::Abcd, Some(Number::Integer(-2)));
        check(&[0x41, 0x20, 0, 0], Encoding::F32, ByteOrder::Abcd, Some(Number::Float(10.0)));
        check(&[0x12, 0x34], Encoding::Bcd(4), ByteOrder::Abcd, Some(Number::Integer(1234)));
        check(&[0x12, 0x3a], Encoding::Bcd(4), ByteOrder::Abcd, None);
        check(&[0x80, 0], Encoding::Bit(15), ByteOrder::Abcd, Some(Number::Bit(true)));
        assert_eq!(physical(Number::Float(f64::NAN), 1.0, 0.0), None);
        assert_eq!(physical(Number::Integer(644), 0.1, 0.0), Value::real(64.4).ok());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (number, encoding) in [
            (65_536.0, Encoding::U16),
            (-1.0, Encoding::U32),
            (f64::NAN, Encoding::I16),
            (f64::INFINITY, Encoding::F64),
            (1e39, Encoding::F32),
            (10_000.0, Encoding::Bcd(4)),
        ] {
            assert_eq!(encode(number, encoding, &mut vec![0; encoding.words() * 2]), None, "{number}");
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(number in -9e15..9e15f64, order in 0..4usize, which in 0..10usize) {
            let encoding = [Encoding::U16, Encoding::I16, Encoding::U32, Encoding::I32, Encoding::U64, Encoding::I64,
                Encoding::F64, Encoding::Bcd(4), Encoding::Bcd(8), Encoding::Bcd(16)][which];
            let order = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba][order];
            let mut bytes = vec![0; encoding.words() * 2];
            if encode(number, encoding, &mut bytes).is_some() {
                reorder(&mut bytes, order);
                reorder(&mut bytes, order);
                let expect = if encoding == Encoding::F64 { Number::Float(number) } else { Number::Integer(number.round() as i128) };
                prop_assert_eq!(decode(&bytes, encoding), Some(expect));
            }
        }
    }
}
