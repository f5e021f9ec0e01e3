//! Raw words to numbers and back: widths, byte and word orders, BCD.
//!
//! Words are big-endian on the wire (Modbus Application Protocol V1.1b3 §4.2); how several of them hold one number is
//! each vendor's choice, named by [`ByteOrder`]. Floats are IEEE 754-2019 binary32 and binary64.

use twinguard_types::{ByteOrder, Encoding, Value};

use crate::protocol::VALUE_MAX;

/// Puts the bytes of up to four words, most significant first, into the order of the wire.
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

/// The first `words` words of `raw`, big-endian, as one number, by the order they came in.
#[inline(always)]
pub(crate) fn gather(raw: u64, words: u32, order: ByteOrder) -> u64 {
    let swap_bytes =
        |number: u64| (number & 0x00ff_00ff_00ff_00ff) << 8 | (number >> 8) & 0x00ff_00ff_00ff_00ff;
    let number = raw >> (64 - 16 * words.clamp(1, 4));
    let number = match order {
        ByteOrder::Abcd | ByteOrder::Cdab => number,
        ByteOrder::Badc | ByteOrder::Dcba => swap_bytes(number),
    };
    match (order, words) {
        (ByteOrder::Abcd | ByteOrder::Badc, _) | (_, 0 | 1) => number,
        (_, 2) => number >> 16 | (number & 0xffff) << 16,
        _ => {
            let halves = number.rotate_left(32);
            (halves & 0x0000_ffff_0000_ffff) << 16 | (halves >> 16) & 0x0000_ffff_0000_ffff
        }
    }
}

/// A raw number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Bit(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// Reads an ordered number; `None` for digits above 9.
#[inline(always)]
pub(crate) fn decode(unsigned: u64, encoding: Encoding) -> Option<Number> {
    Some(match encoding {
        Encoding::U8 | Encoding::U16 | Encoding::U32 => Number::Signed(unsigned as i64),
        Encoding::I8 => Number::Signed(i64::from(unsigned as u8 as i8)),
        Encoding::U64 => Number::Unsigned(unsigned),
        Encoding::I16 => Number::Signed(i64::from(unsigned as u16 as i16)),
        Encoding::I32 => Number::Signed(i64::from(unsigned as u32 as i32)),
        Encoding::I64 => Number::Signed(unsigned as i64),
        Encoding::F32 => Number::Float(f64::from(f32::from_bits(unsigned as u32))),
        Encoding::F64 => Number::Float(f64::from_bits(unsigned)),
        Encoding::Bit(bit) => Number::Bit(unsigned.checked_shr(u32::from(bit)).unwrap_or_default() & 1 == 1),
        Encoding::Bcd(_) => Number::Signed(from_bcd(unsigned)?),
        _ => return None,
    })
}

/// Writes a number into `bytes`, most significant first; `None` when it does not fit the encoding.
pub(crate) fn encode(number: f64, encoding: Encoding, bytes: &mut [u8]) -> Option<()> {
    let rounded = number.round();
    // Exact for every bound below: they are powers of two, or one less than one that fits a double.
    let within = |low: f64, high: f64| (low..high).contains(&rounded).then_some(rounded);
    let unsigned = match encoding {
        Encoding::U8 => within(0.0, 256.0)? as u64,
        Encoding::I8 => within(-128.0, 128.0)? as i8 as u8 as u64,
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

/// A value as its kind and its 64 bits: cheaper to keep and to move than the enum.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Held {
    kind: Kind,
    bits: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Kind {
    Boolean,
    Integer,
    Real,
}

impl Held {
    /// 0 of the kind that good values of this encoding have.
    pub(crate) fn zero(encoding: Encoding, scale: f64, offset: f64) -> Self {
        let kind = match encoding {
            _ if scale != 1.0 || offset != 0.0 => Kind::Real,
            Encoding::F32 | Encoding::F64 | Encoding::Native => Kind::Real,
            Encoding::Bit(_) => Kind::Boolean,
            _ => Kind::Integer,
        };
        Self { kind, bits: 0 }
    }

    /// The physical value of a raw number; `None` when it is not finite. Whole numbers stay whole without scaling.
    #[inline(always)]
    pub(crate) fn physical(number: Number, scale: f64, offset: f64) -> Option<Self> {
        let plain = scale == 1.0 && offset == 0.0;
        let raw = match number {
            Number::Bit(bit) if plain => return Some(Self { kind: Kind::Boolean, bits: u64::from(bit) }),
            Number::Signed(number) if plain => {
                return Some(Self { kind: Kind::Integer, bits: number as u64 });
            }
            Number::Unsigned(number) if plain && number >> 63 == 0 => {
                return Some(Self { kind: Kind::Integer, bits: number });
            }
            Number::Bit(bit) => f64::from(u8::from(bit)),
            Number::Signed(number) => number as f64,
            Number::Unsigned(number) => number as f64,
            Number::Float(float) => float,
        };
        let value = raw * scale + offset;
        value.is_finite().then_some(Self { kind: Kind::Real, bits: value.to_bits() })
    }

    /// As everybody else speaks of it.
    #[inline(always)]
    pub(crate) fn value(self) -> Value {
        match self.kind {
            Kind::Boolean => Value::Boolean(self.bits != 0),
            Kind::Integer => Value::Integer(self.bits as i64),
            Kind::Real => Value::real(f64::from_bits(self.bits)).unwrap_or(Value::Integer(0)),
        }
    }
}

fn from_bcd(raw: u64) -> Option<i64> {
    (0..16).rev().try_fold(0, |number, place| {
        let digit = (raw >> (place * 4) & 0xf) as i64;
        (digit <= 9).then(|| number * 10 + digit)
    })
}

fn to_bcd(mut number: u64) -> u64 {
    let mut raw = 0;
    for place in 0..16 {
        raw |= (number % 10) << (place * 4);
        number /= 10;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(wire: &[u8], encoding: Encoding, order: ByteOrder, expect: Option<Number>) {
        let mut raw = [0; VALUE_MAX];
        raw[..wire.len()].copy_from_slice(wire);
        let number = gather(u64::from_be_bytes(raw), wire.len() as u32 / 2, order);
        assert_eq!(decode(number, encoding), expect, "{wire:02x?} as {encoding:?} {order:?}");
    }

    #[test]
    fn orders_are_named_by_how_aabbccdd_comes() {
        let number = Some(Number::Signed(0xaabb_ccdd));
        check(&[0xaa, 0xbb, 0xcc, 0xdd], Encoding::U32, ByteOrder::Abcd, number);
        check(&[0xcc, 0xdd, 0xaa, 0xbb], Encoding::U32, ByteOrder::Cdab, number);
        check(&[0xbb, 0xaa, 0xdd, 0xcc], Encoding::U32, ByteOrder::Badc, number);
        check(&[0xdd, 0xcc, 0xbb, 0xaa], Encoding::U32, ByteOrder::Dcba, number);
        check(&[2, 1], Encoding::U16, ByteOrder::Badc, Some(Number::Signed(0x0102)));
        check(&[1, 2], Encoding::U16, ByteOrder::Cdab, Some(Number::Signed(0x0102)));
        check(
            &[7, 8, 5, 6, 3, 4, 1, 2],
            Encoding::U64,
            ByteOrder::Cdab,
            Some(Number::Unsigned(0x0102_0304_0506_0708)),
        );
    }

    #[test]
    fn widths_and_digits() {
        check(&[0xff, 0xfe], Encoding::I16, ByteOrder::Abcd, Some(Number::Signed(-2)));
        check(&[0x41, 0x20, 0, 0], Encoding::F32, ByteOrder::Abcd, Some(Number::Float(10.0)));
        check(&[0x12, 0x34], Encoding::Bcd(4), ByteOrder::Abcd, Some(Number::Signed(1234)));
        check(&[0x12, 0x3a], Encoding::Bcd(4), ByteOrder::Abcd, None);
        check(&[0x80, 0], Encoding::Bit(15), ByteOrder::Abcd, Some(Number::Bit(true)));
        let value = |number, scale| Held::physical(number, scale, 0.0).map(Held::value);
        assert_eq!(value(Number::Float(f64::NAN), 1.0), None);
        assert_eq!(value(Number::Unsigned(644), 0.1), Value::real(64.4).ok());
        assert_eq!(value(Number::Unsigned(644), 1.0), Some(Value::Integer(644)));
        assert_eq!(value(Number::Unsigned(u64::MAX), 1.0), Value::real(u64::MAX as f64).ok());
        assert_eq!(value(Number::Bit(true), 1.0), Some(Value::Boolean(true)));
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
            let mut raw = [0; VALUE_MAX];
            let bytes = &mut raw[..encoding.words() * 2];
            if encode(number, encoding, bytes).is_some() {
                reorder(bytes, order);
                let number_back = decode(gather(u64::from_be_bytes(raw), encoding.words() as u32, order), encoding);
                let expect = match encoding {
                    Encoding::F64 => Number::Float(number),
                    Encoding::U64 => Number::Unsigned(number.round() as u64),
                    _ => Number::Signed(number.round() as i64),
                };
                prop_assert_eq!(number_back, Some(expect));
            }
        }
    }
}
