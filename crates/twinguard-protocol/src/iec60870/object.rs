//! Information objects: address, elements, quality, time (IEC 60870-5-101 §7.2.5, §7.2.6).

use twinguard_types::{Quality, Timestamp};

use super::asdu::Asdu;
use super::time::{cp24, cp56};
use super::type_id::{Element, Info, Time, TypeId};
use crate::protocol::{Access, Block, Data, Scalar};

/// The whole information objects of an ASDU, in order; with SQ = 1 addresses count up (§7.2.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    rest: &'a [u8],
    info: &'static Info,
    at: Timestamp,
    common: u16,
    type_id: TypeId,
    access: Access,
    test: bool,
    /// Octets of an address; 0 once those that follow have none.
    address_len: u8,
    sequence: bool,
    left: u8,
    address: u32,
    /// The last address that the layout can hold.
    last: u32,
}

impl<'a> Objects<'a> {
    #[inline]
    pub(super) fn new(asdu: &Asdu<'a>) -> Self {
        let info = asdu.type_id().info();
        // Types without a known size have one address at most.
        let left = if info.element == Element::Authentication { 0 } else { asdu.count() };
        let single = matches!(info.element, Element::Undefined | Element::Segment);
        Self {
            rest: asdu.body(),
            info,
            at: asdu.at(),
            common: asdu.common_address(),
            type_id: asdu.type_id(),
            access: asdu.access(),
            test: asdu.cause().test,
            address_len: asdu.layout().object,
            sequence: asdu.is_sequence(),
            left: if single { left.min(1) } else { left },
            address: 0,
            last: asdu.layout().last_object(),
        }
    }
}

impl<'a> Iterator for Objects<'a> {
    type Item = Object<'a>;

    #[inline]
    fn next(&mut self) -> Option<Object<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (head, len) = (usize::from(self.address_len), usize::from(self.info.len));
        let take = match self.info.element {
            Element::Segment | Element::Undefined => self.rest.len(),
            _ => head + len,
        };
        let (raw, rest) = self.rest.split_at_checked(take)?;
        let (address, element) = raw.split_at_checked(head)?;
        self.address = match *address {
            [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
            // A sequence ends with its address space (§7.2.5).
            [] if self.address < self.last => self.address + 1,
            [] => return None,
            [a, b] => u32::from_le_bytes([a, b, 0, 0]),
            [a] => u32::from(a),
            _ => return None,
        };
        self.rest = rest;
        if self.sequence {
            self.address_len = 0;
        }
        Some(Object {
            raw,
            element,
            info: self.info,
            at: self.at,
            address: self.address,
            common: self.common,
            type_id: self.type_id,
            access: self.access,
            test: self.test,
        })
    }
}

/// One information object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    raw: &'a [u8],
    element: &'a [u8],
    info: &'static Info,
    at: Timestamp,
    address: u32,
    common: u16,
    type_id: TypeId,
    access: Access,
    test: bool,
}

impl<'a> Object<'a> {
    /// Information object address (§7.2.5).
    #[must_use]
    pub const fn address(&self) -> u32 {
        self.address
    }

    /// Its bytes, with the address where it is on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The bytes behind the address.
    #[must_use]
    pub const fn element(&self) -> &'a [u8] {
        self.element
    }

    /// Its type.
    #[must_use]
    pub const fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// What it says: states, step positions, numbers; double points and protection events as unsigned numbers.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Scalar<'a> {
        self.read().0
    }

    /// What the device says of it (§7.2.6.3, §7.2.6.4): invalid is bad, substituted substituted, not topical stale;
    /// blocked, overflow, a transient step, an indeterminate double point and tests are uncertain.
    #[must_use]
    pub fn quality(&self) -> Quality {
        self.read().1
    }

    /// When it held, by the device's clock, where that says so and is valid.
    #[inline]
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        match self.info.time {
            Time::None => None,
            Time::Short => self.element.last_chunk().and_then(|bytes| cp24(*bytes, self.at)),
            Time::Long => self.element.last_chunk().and_then(|bytes| cp56(*bytes)),
        }
    }

    /// The octet that holds the select bit of a command, or the qualifier of a system command, parameter or file; 0
    /// where there is none.
    #[must_use]
    pub fn qualifier(&self) -> u8 {
        let at = match self.info.element {
            Element::SingleCommand | Element::DoubleCommand | Element::StepCommand | Element::Qualifier => 0,
            Element::NormalizedSetPoint
            | Element::ScaledSetPoint
            | Element::NormalizedParameter
            | Element::ScaledParameter => 2,
            Element::FloatSetPoint | Element::FloatParameter => 4,
            // §7.3.6.3: behind the file's and the section's name.
            Element::File if self.type_id.0 == 122 => 3,
            _ => return 0,
        };
        self.element.get(at).copied().unwrap_or_default()
    }

    /// Whether a command only selects: bit S/E (§7.2.6.26, §7.2.6.39).
    #[must_use]
    pub fn selects(&self) -> bool {
        self.type_id.is_command() && self.qualifier() & 0x80 != 0
    }

    #[inline]
    pub(super) fn block(&self) -> Block<'a> {
        let (value, quality) = self.read();
        let access = match self.access {
            Access::Write if self.selects() => Access::Select,
            access => access,
        };
        let at = if self.access == Access::Read { self.time() } else { None };
        let quality = if self.test { quality.max(Quality::Uncertain) } else { quality };
        Block {
            tag: super::tag(self.common, self.address),
            variant: 0,
            access,
            data: Data::Scalar { raw: self.raw, value },
            quality,
            at,
        }
    }

    #[inline]
    fn read(&self) -> (Scalar<'a>, Quality) {
        let plain = |value| (value, Quality::Good);
        let described = |value, qds: u8| (value, described(qds));
        match (self.info.element, self.element) {
            (Element::Float, [a, b, c, d, qds, ..]) => described(float([*a, *b, *c, *d]), *qds),
            (Element::Scaled, [a, b, qds, ..]) => described(scaled([*a, *b]), *qds),
            (Element::Normalized, [a, b, qds, ..]) => described(normalized([*a, *b]), *qds),
            (Element::SinglePoint, [siq, ..]) => described(Scalar::Boolean(siq & 1 == 1), siq & 0xf0),
            (Element::DoublePoint, [diq, ..]) => {
                let (state, quality) = (diq & 3, self::described(diq & 0xf0));
                let unsure = matches!(state, 0 | 3);
                let quality = if unsure { quality.max(Quality::Uncertain) } else { quality };
                (Scalar::Unsigned(u64::from(state)), quality)
            }
            (Element::Total, [a, b, c, d, status, ..])
            | (Element::SecurityTotal, [_, _, a, b, c, d, status, ..]) => {
                // §7.2.6.9: bit 8 marks it invalid.
                let quality = if status & 0x80 != 0 { Quality::Bad } else { Quality::Good };
                (Scalar::Signed(i64::from(i32::from_le_bytes([*a, *b, *c, *d]))), quality)
            }
            (Element::Step, [vti, qds, ..]) => {
                // 7 bits with a sign; bit 8 says that it moves.
                let value = Scalar::Signed(i64::from((vti << 1) as i8 >> 1));
                let quality = self::described(*qds);
                (value, if vti & 0x80 != 0 { quality.max(Quality::Uncertain) } else { quality })
            }
            (Element::Bits | Element::PackedStates, [a, b, c, d, qds, ..]) => {
                described(bits([*a, *b, *c, *d]), *qds)
            }
            (
                Element::NormalizedBare | Element::NormalizedSetPoint | Element::NormalizedParameter,
                [a, b, ..],
            ) => plain(normalized([*a, *b])),
            (Element::ScaledSetPoint | Element::ScaledParameter, [a, b, ..]) => plain(scaled([*a, *b])),
            (Element::FloatSetPoint | Element::FloatParameter, [a, b, c, d, ..]) => {
                plain(float([*a, *b, *c, *d]))
            }
            (Element::BitsCommand, [a, b, c, d, ..]) => plain(bits([*a, *b, *c, *d])),
            (Element::SingleCommand, [sco, ..]) => plain(Scalar::Boolean(sco & 1 == 1)),
            (Element::DoubleCommand | Element::StepCommand, [command, ..]) => {
                plain(Scalar::Unsigned(u64::from(command & 3)))
            }
            (Element::ProtectionEvent, [sep, ..]) => {
                described(Scalar::Unsigned(u64::from(sep & 3)), sep & 0xf8)
            }
            (Element::ProtectionStart, [spe, qdp, ..]) => {
                described(Scalar::Unsigned(u64::from(spe & 0x3f)), qdp & 0xf8)
            }
            _ => plain(Scalar::Opaque),
        }
    }
}

/// QDS and its relatives: OV 1, EI 8, BL 0x10, SB 0x20, NT 0x40, IV 0x80 (§7.2.6.3, §7.2.6.4). A protection device's
/// EI says that the elapsed time is invalid.
#[inline]
const fn described(qds: u8) -> Quality {
    if qds & 0xf9 == 0 {
        Quality::Good
    } else if qds & 0x80 != 0 {
        Quality::Bad
    } else if qds & 0x20 != 0 {
        Quality::Substituted
    } else if qds & 0x40 != 0 {
        Quality::Stale
    } else {
        Quality::Uncertain
    }
}

#[inline]
fn float(bytes: [u8; 4]) -> Scalar<'static> {
    Scalar::Float(f64::from(f32::from_le_bytes(bytes)))
}

#[inline]
fn scaled(bytes: [u8; 2]) -> Scalar<'static> {
    Scalar::Signed(i64::from(i16::from_le_bytes(bytes)))
}

#[inline]
fn normalized(bytes: [u8; 2]) -> Scalar<'static> {
    Scalar::Float(f64::from(i16::from_le_bytes(bytes)) / 32_768.0)
}

/// The bit string, bit 1 the least significant of the first octet.
#[inline]
fn bits(bytes: [u8; 4]) -> Scalar<'static> {
    Scalar::Unsigned(u64::from(u32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;

    fn check(type_id: u8, element: &[u8], value: Scalar<'_>, quality: Quality) {
        let cause = if type_id < 45 { 3 } else { 6 };
        let bytes = [&[type_id, 1, cause, 0, 1, 0, 7, 0, 0], element].concat();
        let asdu = Asdu::new(&bytes, Layout::NET, Timestamp::ZERO).unwrap();
        let object = asdu.objects().next().unwrap();
        assert_eq!((object.value(), object.quality()), (value, quality), "{}", asdu.type_id().name());
        assert_eq!(object.as_bytes(), &bytes[6..]);
    }

    #[test]
    fn elements_of_every_kind() {
        use Quality::{Bad, Good, Stale, Substituted, Uncertain};
        use Scalar::{Boolean, Float, Opaque, Signed, Unsigned};
        check(1, &[1], Boolean(true), Good);
        check(1, &[0x80], Boolean(false), Bad);
        check(1, &[0x10], Boolean(false), Uncertain);
        check(3, &[2], Unsigned(2), Good);
        check(3, &[0x23], Unsigned(3), Substituted);
        check(3, &[0], Unsigned(0), Uncertain);
        check(5, &[0x7f, 0], Signed(-1), Good);
        check(5, &[0xc0, 0], Signed(-64), Uncertain);
        check(5, &[0x3f, 0x40], Signed(63), Stale);
        check(7, &[1, 0, 0, 0x80, 0], Unsigned(0x8000_0001), Good);
        check(9, &[0, 0x80, 0], Float(-1.0), Good);
        check(9, &[0, 0x40, 1], Float(0.5), Uncertain);
        check(11, &[0xff, 0xff, 0], Signed(-1), Good);
        check(13, &[0, 0, 0xac, 0x41, 0], Float(21.5), Good);
        check(15, &[0xfe, 0xff, 0xff, 0xff, 0x1f], Signed(-2), Good);
        check(15, &[1, 0, 0, 0, 0x80], Signed(1), Bad);
        check(17, &[0x0a, 1, 0, 0, 0, 0], Unsigned(2), Uncertain);
        check(18, &[0x05, 0x00, 1, 0, 0, 0, 0], Unsigned(5), Good);
        check(20, &[1, 0, 1, 0, 0], Unsigned(0x1_0001), Good);
        check(21, &[0, 0x20], Float(0.25), Good);
        check(41, &[9, 9, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], Signed(3), Good);
        check(45, &[0x81], Boolean(true), Good);
        check(46, &[2], Unsigned(2), Good);
        check(47, &[1], Unsigned(1), Good);
        check(48, &[0, 0xc0, 0], Float(-0.5), Good);
        check(49, &[5, 0, 0], Signed(5), Good);
        check(50, &[0, 0, 0x80, 0x3f, 0x80], Float(1.0), Good);
        check(51, &[4, 0, 0, 0], Unsigned(4), Good);
        check(100, &[20], Opaque, Good);
        check(112, &[0, 0, 0x80, 0x3f, 1], Float(1.0), Good);
    }

    #[test]
    fn sequences_count_up_and_end_with_the_bytes() {
        let bytes = [11, 0x83, 20, 0, 1, 0, 0xff, 0xff, 0, 1, 0, 0, 2, 0, 0, 3, 0];
        let asdu = Asdu::new(&bytes, Layout::NET, Timestamp::ZERO).unwrap();
        let all: Vec<_> = asdu.objects().map(|object| (object.address(), object.as_bytes().len())).collect();
        assert_eq!(all, [(65535, 6), (65536, 3)], "the third is not whole");
        let bytes = [1, 0x82, 20, 0, 1, 0, 0xff, 0xff, 0xff, 1, 0];
        let asdu = Asdu::new(&bytes, Layout::NET, Timestamp::ZERO).unwrap();
        assert_eq!(asdu.objects().count(), 1, "there is no address behind the last");
    }

    #[test]
    fn commands_select_execute_and_are_echoed() {
        let access = |cause, sco| {
            let bytes = [45, 1, cause, 0, 1, 0, 7, 0, 0, sco];
            let asdu = Asdu::new(&bytes, Layout::NET, Timestamp::ZERO).unwrap();
            asdu.blocks().next().unwrap().access
        };
        assert_eq!(access(6, 0x81), Access::Select);
        assert_eq!(access(6, 0x01), Access::Write);
        assert_eq!(access(7, 0x01), Access::Echo);
        assert_eq!(access(8, 0x81), Access::Echo);
        assert_eq!(access(10, 0x01), Access::Echo);
    }
}
