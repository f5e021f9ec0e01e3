//! A view on one ASDU: data unit identifier and information objects (IEC 60870-5-101 §7.2).

use twinguard_types::{Oddity, Timestamp};

use super::object::Objects;
use super::type_id::{Element, Time, TypeId};
use super::{Blocks, cp56};
use crate::protocol::{Access, Field, Kind, Oddities, Sender};

/// How many octets the parts of an address have; the plant chooses (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// Cause of transmission: 1, or 2 with the originator address.
    pub cause: u8,
    /// Common address: 1 or 2.
    pub common: u8,
    /// Information object address: 1 to 3.
    pub object: u8,
}

impl Layout {
    /// The one that IEC 60870-5-104 allows (§8 there).
    pub const NET: Self = Self { cause: 2, common: 2, object: 3 };

    /// The last information object address.
    #[inline]
    pub(crate) const fn last_object(self) -> u32 {
        match self.object {
            1 => 0xff,
            2 => 0xffff,
            _ => 0xff_ffff,
        }
    }

    /// Octets of the data unit identifier.
    #[inline]
    pub(crate) const fn head(self) -> usize {
        2 + self.cause as usize + self.common as usize
    }
}

/// Why an ASDU was sent (§7.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// 1 to 47 by the standard, 48 to 63 by the plant.
    pub code: u8,
    /// Negative confirmation.
    pub negative: bool,
    /// Not a word of it is meant: a test.
    pub test: bool,
}

impl Cause {
    /// Activation.
    pub const ACTIVATION: u8 = 6;
    /// Deactivation.
    pub const DEACTIVATION: u8 = 8;

    /// A cause without marks.
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self { code, negative: false, test: false }
    }

    #[inline]
    pub(super) const fn of(byte: u8) -> Self {
        Self { code: byte & 0x3f, negative: byte & 0x40 != 0, test: byte & 0x80 != 0 }
    }

    pub(super) const fn byte(self) -> u8 {
        self.code & 0x3f | (self.negative as u8) << 6 | (self.test as u8) << 7
    }

    /// Whether the standard has it, or leaves it to the plant (§7.2.3; 14 to 16: IEC 62351-5).
    const fn is_defined(self) -> bool {
        const RESERVED: u64 = 1 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 42 | 1 << 43;
        RESERVED >> (self.code & 0x3f) & 1 == 0
    }
}

/// A view on one ASDU; shows any bytes that hold a data unit identifier.
///
/// ```
/// use twinguard_protocol::iec60870::{Asdu, Layout};
/// use twinguard_types::Timestamp;
///
/// // M_ME_NC_1, spontaneous, station 41, object 4000: 21.5
/// let bytes = [13, 1, 3, 0, 41, 0, 0xa0, 0x0f, 0, 0, 0, 0xac, 0x41, 0];
/// let asdu = Asdu::new(&bytes, Layout::NET, Timestamp::ZERO).unwrap();
/// assert_eq!((asdu.type_id().name(), asdu.common_address()), ("M_ME_NC_1", 41));
/// let object = asdu.objects().next().unwrap();
/// assert_eq!((object.address(), object.value().to_string()), (4000, "21.5".to_owned()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Asdu<'a> {
    bytes: &'a [u8],
    /// The information objects.
    body: &'a [u8],
    at: Timestamp,
    layout: Layout,
    type_id: TypeId,
    structure: u8,
    cause: u8,
    originator: u8,
    common: u16,
}

impl<'a> Asdu<'a> {
    /// Reads an ASDU that came at `at`; `None` when the data unit identifier is not whole.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], layout: Layout, at: Timestamp) -> Option<Self> {
        let (head, body) = bytes.split_at_checked(layout.head())?;
        let (type_id, structure, cause, originator, common) = match *head {
            [t, s, c, o, a0, a1] => (t, s, c, o, u16::from_le_bytes([a0, a1])),
            [t, s, c, o, a] if layout.cause == 2 => (t, s, c, o, u16::from(a)),
            [t, s, c, a0, a1] => (t, s, c, 0, u16::from_le_bytes([a0, a1])),
            [t, s, c, a] => (t, s, c, 0, u16::from(a)),
            _ => return None,
        };
        Some(Self { bytes, body, at, layout, type_id: TypeId(type_id), structure, cause, originator, common })
    }

    /// All its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of the information objects.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How long its addresses are.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Type identification (§7.2.1).
    #[must_use]
    pub const fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Whether the objects follow each other without addresses: bit SQ (§7.2.2).
    #[must_use]
    pub const fn is_sequence(&self) -> bool {
        self.structure & 0x80 != 0
    }

    /// Number of objects or elements as it says (§7.2.2).
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.structure & 0x7f
    }

    /// Cause of transmission (§7.2.3).
    #[inline]
    #[must_use]
    pub const fn cause(&self) -> Cause {
        Cause::of(self.cause)
    }

    /// Originator address, 0 where the layout has none (§7.2.3.1).
    #[must_use]
    pub const fn originator(&self) -> u8 {
        self.originator
    }

    /// Common address: the station (§7.2.4).
    #[must_use]
    pub const fn common_address(&self) -> u16 {
        self.common
    }

    /// The address of the first object (§7.2.5).
    #[must_use]
    pub fn first_address(&self) -> Option<u32> {
        match *self.body.get(..usize::from(self.layout.object))? {
            [a, b, c] => Some(u32::from_le_bytes([a, b, c, 0])),
            [a, b] => Some(u32::from_le_bytes([a, b, 0, 0])),
            [a] => Some(u32::from(a)),
            _ => None,
        }
    }

    /// The information objects that are whole.
    #[inline]
    #[must_use]
    pub fn objects(&self) -> Objects<'a> {
        Objects::new(self)
    }

    /// When it was captured.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Octets that its type and count ask for behind the data unit identifier; `None` for types without a fixed size.
    fn expected(&self) -> Option<usize> {
        let info = self.type_id.info();
        let (address, element) = (usize::from(self.layout.object), usize::from(info.len));
        let count = usize::from(self.count());
        match info.element {
            Element::Undefined | Element::Authentication => None,
            // §7.3.6.6: the length of the segment stands before its octets.
            Element::Segment => Some(address + element + usize::from(*self.body.get(address + element - 1)?)),
            _ if self.is_sequence() => Some(address + count * element),
            _ => Some(count * (address + element)),
        }
    }

    /// Flags what is odd; `base` is the offset of the ASDU in its message.
    #[inline]
    pub(crate) fn check(&self, base: usize, oddities: &mut Oddities) {
        if !self.type_id.is_defined() {
            oddities.push(Oddity::UnknownFunction, base);
        }
        // §7.3.2: a command has one object.
        if self.count() == 0 || self.type_id.is_control() && self.structure != 1 {
            oddities.push(Oddity::BadQuantity, base + 1);
        }
        if !self.cause().is_defined() {
            oddities.push(Oddity::BadValue, base + 2);
        }
        // §7.2.4: 0 is no station.
        if self.common == 0 {
            oddities.push(Oddity::BadAddress, base + 2 + usize::from(self.layout.cause));
        }
        match self.expected() {
            Some(expected) if expected > self.body.len() => oddities.push(Oddity::LengthMismatch, base + 1),
            Some(expected) if expected < self.body.len() => {
                oddities.push(Oddity::TrailingBytes, base + self.layout.head() + expected);
            }
            None if self.type_id.element() == Element::Segment => {
                oddities.push(Oddity::Truncated, base + self.bytes.len());
            }
            _ => {}
        }
        if self.is_sequence() {
            let first = self.first_address().unwrap_or_default();
            if first + u32::from(self.count()) > self.layout.last_object() + 1 {
                oddities.push(Oddity::BadAddress, base + self.layout.head());
            }
        }
        if self.type_id.is_control() && self.type_id.time() == Time::Long {
            self.check_clock(base, oddities);
        }
    }

    /// A time that steers something and is none of the calendar.
    fn check_clock(&self, base: usize, oddities: &mut Oddities) {
        let Some(time) = self.body.last_chunk::<7>() else { return };
        let marked = time.get(2).is_some_and(|minute| minute & 0x80 != 0);
        if !marked && cp56(*time).is_none() {
            oddities.push(Oddity::BadValue, base + self.bytes.len() - 7);
        }
    }

    /// What it does in its conversation, by its cause (§7.2.3).
    #[inline]
    pub(crate) const fn kind(&self) -> Kind {
        match self.cause & 0x3f {
            5 | 6 | 8 => Kind::Request,
            1..=3 => Kind::Event,
            _ => Kind::Response,
        }
    }

    /// Who sends it, if it is legal: requests come from the controlling station, what they are answered with and what
    /// is monitored from the other (§7.2.1, §7.2.3); `None` for what neither should send.
    pub(crate) fn sender(&self) -> Option<Sender> {
        match self.cause().code {
            48.. => None,
            5 | 6 | 8 if self.type_id.is_control() => Some(Sender::Client),
            7 | 9 | 10 | 44..=47 if self.type_id.is_control() => Some(Sender::Server),
            _ if self.type_id.is_control() => None,
            _ if self.type_id.is_monitor() => Some(Sender::Server),
            _ => Some(Sender::Unknown),
        }
    }

    /// The cause of a negative confirmation (§7.2.3).
    #[inline]
    pub(crate) fn refusal(&self) -> Option<u8> {
        let cause = self.cause();
        (cause.negative || matches!(cause.code, 44..=47)).then_some(cause.code)
    }

    /// What it does with the values of its objects.
    #[inline]
    pub(super) fn access(&self) -> Access {
        match self.type_id.0 {
            1..=41 | 70 => Access::Read,
            45..=64 | 110..=112 if self.cause & 0x3f == Cause::ACTIVATION => Access::Write,
            _ => Access::Echo,
        }
    }

    /// The values; none for types that carry files, keys or requests alone.
    #[inline]
    pub(crate) fn blocks(&self) -> Blocks<'a> {
        let carries = !matches!(self.type_id.0, 81..=95 | 102 | 104 | 106 | 113..);
        Blocks((carries && self.type_id.is_defined()).then(|| self.objects()))
    }

    /// The fields under Wireshark's names.
    pub(crate) fn fields(&self, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u32| Field::Number(u64::from(value));
        let cause = self.cause();
        put("iec60870_asdu.typeid", number(u32::from(self.type_id.0)));
        put("iec60870_asdu.sq", number(u32::from(self.is_sequence())));
        put("iec60870_asdu.numix", number(u32::from(self.count())));
        put("iec60870_asdu.causetx", number(u32::from(cause.code)));
        put("iec60870_asdu.nega", number(u32::from(cause.negative)));
        put("iec60870_asdu.test", number(u32::from(cause.test)));
        if self.layout.cause == 2 {
            put("iec60870_asdu.oa", number(u32::from(self.originator)));
        }
        put("iec60870_asdu.addr", number(u32::from(self.common)));
        for object in self.objects() {
            put("iec60870_asdu.ioa", number(object.address()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(bytes: &[u8]) -> Vec<(Oddity, u32)> {
        let asdu = Asdu::new(bytes, Layout::NET, Timestamp::ZERO).unwrap();
        let mut oddities = Oddities::NONE;
        asdu.check(6, &mut oddities);
        oddities.iter().collect()
    }

    #[test]
    fn what_the_standard_forbids_is_flagged() {
        assert_eq!(odd(&[1, 1, 3, 0, 1, 0, 1, 0, 0, 1]), []);
        assert_eq!(odd(&[1, 0x82, 3, 0, 1, 0, 1, 0, 0, 1, 0]), [], "two in sequence");
        assert_eq!(odd(&[1, 0x82, 3, 0, 1, 0, 0xff, 0xff, 0xff, 1, 0]), [(Oddity::BadAddress, 12)]);
        assert_eq!(odd(&[22, 1, 3, 0, 1, 0, 1, 0, 0, 1]), [(Oddity::UnknownFunction, 6)]);
        assert_eq!(odd(&[1, 0, 3, 0, 1, 0]), [(Oddity::BadQuantity, 7)]);
        assert_eq!(odd(&[1, 1, 0, 0, 1, 0, 1, 0, 0, 1]), [(Oddity::BadValue, 8)]);
        assert_eq!(odd(&[1, 1, 3, 0, 0, 0, 1, 0, 0, 1]), [(Oddity::BadAddress, 10)]);
        assert_eq!(odd(&[1, 2, 3, 0, 1, 0, 1, 0, 0, 1]), [(Oddity::LengthMismatch, 7)]);
        assert_eq!(odd(&[1, 1, 3, 0, 1, 0, 1, 0, 0, 1, 7]), [(Oddity::TrailingBytes, 16)]);
        assert_eq!(odd(&[45, 2, 6, 0, 1, 0, 1, 0, 0, 1, 2, 0, 0, 1]), [(Oddity::BadQuantity, 7)]);
        assert_eq!(odd(&[125, 1, 13, 0, 1, 0, 1, 0, 0, 1, 0, 1, 2, 8, 9]), [], "a segment of two octets");
        assert_eq!(odd(&[125, 1, 13, 0, 1, 0, 1, 0, 0, 1, 0, 1, 3, 8, 9]), [(Oddity::LengthMismatch, 7)]);
        assert_eq!(odd(&[125, 1, 13, 0, 1, 0, 1]), [(Oddity::Truncated, 13)]);
        let clock = |minute| odd(&[103, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, minute, 1, 1, 1, 1]);
        assert_eq!((clock(1), clock(60), clock(0x80 | 60)), (vec![], vec![(Oddity::BadValue, 15)], vec![]));
    }

    #[test]
    fn layouts_of_101() {
        let read = |bytes: &[u8], cause, common, object| {
            let asdu = Asdu::new(bytes, Layout { cause, common, object }, Timestamp::ZERO).unwrap();
            (asdu.originator(), asdu.common_address(), asdu.first_address())
        };
        assert_eq!(read(&[1, 1, 3, 7, 9, 1], 1, 1, 1), (0, 7, Some(9)));
        assert_eq!(read(&[1, 1, 3, 7, 1, 9, 2, 1], 1, 2, 2), (0, 0x107, Some(0x209)));
        assert_eq!(read(&[1, 1, 3, 5, 7, 9, 2, 1], 2, 1, 2), (5, 7, Some(0x209)));
        assert_eq!(read(&[1, 1, 3, 5, 7], 2, 1, 2), (5, 7, None));
    }
}
