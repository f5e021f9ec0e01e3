//! Legal messages: what cannot be built here, the standard forbids.
//!
//! There is one judge of legality: a fragment is legal when [`Fragment`] shows nothing odd in it.

use twinguard_types::{Encoding, Oddity, Value};

use super::Place;
use super::application::Fragment;
use super::function::Function;
use super::link;
use super::transport::{FIN, FIR, SEGMENT_MAX, SEQUENCE};
use crate::protocol::{Change, Write};

/// The longest fragment that is sent; receivers have to take as much (4.1.1).
pub const REPR_MAX: usize = 2048;
/// The link address of the master in messages that [`Protocol::command`](crate::Protocol::command) writes.
pub const MASTER: u16 = 1;
/// The last link address of one station; those above are reserved, or mean all (9.2.4.1.4).
const ADDRESS_MAX: u16 = 0xffef;
/// All outstations, with and without confirmation (9.2.4.1.4).
const BROADCAST_MIN: u16 = 0xfffd;

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It is longer than 2048 bytes (4.1.1).
    #[error("fragment is longer than 2048 bytes")]
    TooLong,
    /// An address that no station has.
    #[error("link address `{address}` is reserved")]
    Address {
        /// The address.
        address: u16,
    },
    /// A field that the standard does not allow.
    #[error("fragment at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the fragment.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
    /// No object of this place takes the value.
    #[error("no object of group {group} takes the value")]
    Value {
        /// The group of the place.
        group: u8,
    },
}

/// Object headers with their objects, one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects(Vec<u8>);

impl Objects {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All points, without values (qualifier 0x06).
    #[must_use]
    pub fn all(mut self, group: u8, variation: u8) -> Self {
        self.0.extend_from_slice(&[group, variation, 0x06]);
        self
    }

    /// Points from `start` to `stop`, and their values one behind the other, or none (qualifier 0x01).
    #[must_use]
    pub fn range(mut self, group: u8, variation: u8, start: u16, stop: u16, values: &[u8]) -> Self {
        let ([s0, s1], [e0, e1]) = (start.to_le_bytes(), stop.to_le_bytes());
        self.0.extend_from_slice(&[group, variation, 0x01, s0, s1, e0, e1]);
        self.0.extend_from_slice(values);
        self
    }

    /// One object without an index, as times are sent (qualifier 0x07).
    #[must_use]
    pub fn one(mut self, group: u8, variation: u8, value: &[u8]) -> Self {
        self.0.extend_from_slice(&[group, variation, 0x07, 1]);
        self.0.extend_from_slice(value);
        self
    }

    /// Points by their indices, each with its value, or without (qualifier 0x28).
    #[must_use]
    pub fn indexed<'a>(
        mut self,
        group: u8,
        variation: u8,
        points: impl IntoIterator<Item = (u16, &'a [u8])>,
    ) -> Self {
        let start = self.0.len() + 3;
        self.0.extend_from_slice(&[group, variation, 0x28, 0, 0]);
        let mut count = 0u16;
        for (index, value) in points {
            self.0.extend_from_slice(&index.to_le_bytes());
            self.0.extend_from_slice(value);
            count = count.saturating_add(1);
        }
        if let Some(held) = self.0.get_mut(start..start + 2) {
            held.copy_from_slice(&count.to_le_bytes());
        }
        self
    }

    /// Objects with their sizes: files, data sets, authentication (qualifier 0x5b).
    #[must_use]
    pub fn sized<'a>(mut self, group: u8, variation: u8, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let start = self.0.len() + 3;
        self.0.extend_from_slice(&[group, variation, 0x5b, 0]);
        let mut count = 0u8;
        for value in values {
            self.0.extend_from_slice(&(value.len() as u16).to_le_bytes());
            self.0.extend_from_slice(value);
            count = count.saturating_add(1);
        }
        if let Some(held) = self.0.get_mut(start) {
            *held = count;
        }
        self
    }

    /// A control relay output block (group 12 variation 1): code, times in milliseconds, status 0.
    #[must_use]
    pub fn control(self, index: u16, code: u8, count: u8, on_ms: u32, off_ms: u32) -> Self {
        let ([n0, n1, n2, n3], [f0, f1, f2, f3]) = (on_ms.to_le_bytes(), off_ms.to_le_bytes());
        let block = [code, count, n0, n1, n2, n3, f0, f1, f2, f3, 0];
        self.indexed(12, 1, [(index, &block[..])])
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A legal fragment and who sends it to whom.
///
/// ```
/// use twinguard_protocol::protocols::dnp3::{Function, Objects, Repr};
///
/// // All events and static values, the integrity poll of 4.4.1.
/// let classes = Objects::new().all(60, 2).all(60, 3).all(60, 4).all(60, 1);
/// let poll = Repr::request(3, 4, 0, Function::READ, &classes)?;
/// assert_eq!(
///     poll.emit(),
///     [
///         0x05, 0x64, 0x14, 0xc4, 0x04, 0x00, 0x03, 0x00, 0xc7, 0x17, 0xc0, 0xc0, 0x01, 0x3c, 0x02, 0x06, 0x3c, 0x03,
///         0x06, 0x3c, 0x04, 0x06, 0x3c, 0x01, 0x06, 0x8a, 0x51,
///     ][..]
/// );
/// assert!(Repr::request(3, 4, 0, Function::WRITE, &Objects::new().range(50, 1, 0, 0, &[0; 5])).is_err());
/// # Ok::<(), twinguard_protocol::protocols::dnp3::Illegal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr {
    source: u16,
    destination: u16,
    fragment: Vec<u8>,
}

impl Repr {
    /// A fragment of these bytes: control, function, indications in a response, objects.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(source: u16, destination: u16, fragment: Vec<u8>) -> Result<Self, Illegal> {
        let short = Illegal::Field { offset: 0, oddity: Oddity::Truncated };
        let view = Fragment::new(&fragment).ok_or(short)?;
        if fragment.len() > REPR_MAX {
            return Err(Illegal::TooLong);
        }
        if source > ADDRESS_MAX {
            return Err(Illegal::Address { address: source });
        }
        // Masters alone speak to all.
        if destination > ADDRESS_MAX && (destination < BROADCAST_MIN || view.function.is_response()) {
            return Err(Illegal::Address { address: destination });
        }
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal::Field { offset, oddity });
        }
        Ok(Self { source, destination, fragment })
    }

    /// What a master asks, in one fragment.
    ///
    /// # Errors
    /// As [`Repr::new`]; [`Illegal::Field`] for the function of a response.
    pub fn request(
        master: u16,
        outstation: u16,
        sequence: u8,
        function: Function,
        objects: &Objects,
    ) -> Result<Self, Illegal> {
        if function.is_response() {
            return Err(Illegal::Field { offset: 1, oddity: Oddity::UnknownFunction });
        }
        let mut fragment = vec![0xc0 | sequence & 0x0f, function.0];
        fragment.extend_from_slice(objects.as_bytes());
        Self::new(master, outstation, fragment)
    }

    /// The answer of an outstation, in one fragment.
    ///
    /// # Errors
    /// As [`Repr::new`].
    pub fn response(
        outstation: u16,
        master: u16,
        sequence: u8,
        indications: u16,
        objects: &Objects,
    ) -> Result<Self, Illegal> {
        let [first, second] = indications.to_be_bytes();
        let mut fragment = vec![0xc0 | sequence & 0x0f, Function::RESPONSE.0, first, second];
        fragment.extend_from_slice(objects.as_bytes());
        Self::new(outstation, master, fragment)
    }

    /// What an outstation tells without being asked; it wants a confirmation.
    ///
    /// # Errors
    /// As [`Repr::new`].
    pub fn unsolicited(
        outstation: u16,
        master: u16,
        sequence: u8,
        indications: u16,
        objects: &Objects,
    ) -> Result<Self, Illegal> {
        let [first, second] = indications.to_be_bytes();
        let mut fragment = vec![0xf0 | sequence & 0x0f, Function::UNSOLICITED.0, first, second];
        fragment.extend_from_slice(objects.as_bytes());
        Self::new(outstation, master, fragment)
    }

    /// The message that writes a value: binary outputs are latched on or off, analog outputs take a number of the
    /// binding's width (32-bit float where the binding leaves it open), both by direct operate; deadbands are written.
    ///
    /// # Errors
    /// [`Illegal::Value`] for places of other kinds and values that no object takes; as [`Repr::new`].
    pub fn command(write: &Write<'_>, sequence: u8) -> Result<Self, Illegal> {
        let place = Place::of(&write.tag).ok_or(Illegal::Value { group: 0 })?;
        let refused = Illegal::Value { group: place.group };
        let index = u16::try_from(place.index).map_err(|_| refused)?;
        let (value, encoding) = match write.change {
            Change::Scalar { value, encoding } => (value, encoding),
            Change::Bit(state) => (Value::Boolean(state), Encoding::Bit(0)),
            Change::BitOf { .. } | Change::Words { .. } => return Err(refused),
        };
        let (function, objects) = match place.group {
            10 => {
                let on = match value.as_f64() {
                    0.0 => false,
                    1.0 => true,
                    _ => return Err(refused),
                };
                // Latch on, latch off; once; annex A, group 12 variation 1.
                let code = if on { 3 } else { 4 };
                (Function::DIRECT_OPERATE, Objects::new().control(index, code, 1, 0, 0))
            }
            40 => {
                let (variation, mut bytes) = analog(value, encoding).ok_or(refused)?;
                bytes.push(0);
                (Function::DIRECT_OPERATE, Objects::new().indexed(41, variation, [(index, &bytes[..])]))
            }
            34 => {
                let (variation, bytes) = deadband(value, encoding).ok_or(refused)?;
                (Function::WRITE, Objects::new().range(34, variation, index, index, &bytes))
            }
            _ => return Err(refused),
        };
        Self::request(MASTER, place.outstation, sequence, function, &objects)
    }

    /// The fragment.
    #[must_use]
    pub fn fragment(&self) -> &[u8] {
        &self.fragment
    }

    /// The bytes on the wire: one link frame a segment, the first with transport sequence number 0.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.emit_into(0, &mut out);
        out
    }

    /// Appends the bytes on the wire; the first segment has this transport sequence number.
    pub fn emit_into(&self, segment: u8, out: &mut Vec<u8>) {
        let view = Fragment::new(&self.fragment);
        let outstation = view.is_some_and(|view| view.function.is_response());
        // Unconfirmed user data, which is how IP networks are used (13.2.3.2); DIR tells the master.
        let control = if outstation { 0x44 } else { 0xc4 };
        let last = self.fragment.len().div_ceil(SEGMENT_MAX).saturating_sub(1);
        let mut data = [0; SEGMENT_MAX + 1];
        for (index, part) in self.fragment.chunks(SEGMENT_MAX).enumerate() {
            let sequence = segment.wrapping_add(index as u8) & SEQUENCE;
            let first = if index == 0 { FIR } else { 0 };
            let [transport, user @ ..] = &mut data;
            *transport = first | if index == last { FIN } else { 0 } | sequence;
            user.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            let whole = data.get(..=part.len()).unwrap_or_default();
            link::emit(control, self.destination, self.source, whole, out);
        }
    }
}

/// Variation and bytes of an analog output's number (annex A, group 41).
fn analog(value: Value, encoding: Encoding) -> Option<(u8, Vec<u8>)> {
    let number = value.as_f64();
    let whole = |low: f64, high: f64| (low..=high).contains(&number.round()).then_some(number.round());
    Some(match encoding {
        Encoding::I8 | Encoding::U8 | Encoding::I16 => {
            (2, (whole(-32_768.0, 32_767.0)? as i16).to_le_bytes().to_vec())
        }
        Encoding::U16 | Encoding::I32 => {
            (1, (whole(-2_147_483_648.0, 2_147_483_647.0)? as i32).to_le_bytes().to_vec())
        }
        Encoding::Native if matches!(value, Value::Integer(_)) => {
            (1, (whole(-2_147_483_648.0, 2_147_483_647.0)? as i32).to_le_bytes().to_vec())
        }
        Encoding::F32 | Encoding::Native => {
            let narrow = number as f32;
            (3, narrow.is_finite().then_some(narrow)?.to_le_bytes().to_vec())
        }
        Encoding::F64 => (4, number.to_le_bytes().to_vec()),
        _ => return None,
    })
}

/// Variation and bytes of a deadband (annex A, group 34).
fn deadband(value: Value, encoding: Encoding) -> Option<(u8, Vec<u8>)> {
    let number = value.as_f64();
    let whole = |high: f64| (0.0..=high).contains(&number.round()).then_some(number.round());
    Some(match encoding {
        Encoding::U8 | Encoding::U16 => (1, (whole(65_535.0)? as u16).to_le_bytes().to_vec()),
        Encoding::U32 | Encoding::I16 | Encoding::I32 => {
            (2, (whole(4_294_967_295.0)? as u32).to_le_bytes().to_vec())
        }
        Encoding::F32 | Encoding::Native => {
            let narrow = number as f32;
            (3, (narrow.is_finite() && narrow >= 0.0).then_some(narrow)?.to_le_bytes().to_vec())
        }
        _ => return None,
    })
}

impl From<&Repr> for Vec<u8> {
    fn from(repr: &Repr) -> Self {
        repr.emit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use twinguard_types::Endpoint;

    use super::super::object::{Layout, layout};
    use super::super::{Assembler, Dnp3, View};
    use super::*;
    use crate::protocol::{Access, Cut, Data, Protocol, Scalar, Sender};

    /// Reads all frames of one conversation; the fragment that the last one completes, and what was odd.
    fn read(bytes: &[u8]) -> (Vec<u8>, bool, usize) {
        let mut assembler = Assembler::default();
        let (mut rest, mut odd, mut points) = (bytes, false, 0);
        while let Cut::Message(len) = Dnp3::cut(rest) {
            let (frame, after) = rest.split_at(len);
            let view = View::new(&mut assembler, frame).unwrap();
            odd |= !view.oddities().is_empty();
            points += view.points().count();
            rest = after;
            if let Some(fragment) = view.fragment() {
                assert!(rest.is_empty());
                let head = if fragment.indications.is_some() { 4 } else { 2 };
                let mut whole = vec![fragment.control, fragment.function.0];
                whole.extend(fragment.indications.unwrap_or_default().to_be_bytes());
                whole.truncate(head);
                whole.extend_from_slice(fragment.objects());
                return (whole, odd, points);
            }
        }
        (Vec::new(), odd, points)
    }

    fn known() -> Vec<(u8, u8, usize)> {
        let all = (1..=122).flat_map(|group| (1..=12).map(move |variation| (group, variation)));
        all.filter(|(group, _)| *group != 120)
            .filter_map(|(group, variation)| match layout(group, variation)? {
                Layout::Fixed(object) => Some((group, variation, object.len())),
                Layout::Octets(len) => Some((group, variation, usize::from(len))),
                _ => None,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_emitted_reads_back(
            picks in prop::collection::vec((any::<prop::sample::Index>(), 1u16..12, any::<u16>(), any::<bool>()), 0..8),
            seed in any::<u8>(),
            (station, master, sequence, unsolicited) in (0u16..0xfff0, 0u16..0xfff0, 0u8..16, any::<bool>()),
        ) {
            let known = known();
            let (mut objects, mut values) = (Objects::new(), 0);
            for (pick, count, start, ranged) in picks {
                let (group, variation, size) = *pick.get(&known);
                let start = start.min(u16::MAX - count);
                let bytes: Vec<u8> = (0..size * usize::from(count)).map(|at| (at as u8).wrapping_mul(seed)).collect();
                objects = if ranged {
                    objects.range(group, variation, start, start + count - 1, &bytes)
                } else {
                    objects.indexed(group, variation, (start..start + count).zip(bytes.chunks(size)))
                };
                values += usize::from(count);
            }
            let make = if unsolicited { Repr::unsolicited } else { Repr::response };
            let repr = make(station, master, sequence, 0x8000, &objects).unwrap();
            let bytes = repr.emit();
            prop_assert_eq!(Dnp3::probe(&bytes), Some(Sender::Server));
            let (fragment, odd, points) = read(&bytes);
            prop_assert_eq!(&fragment[..], repr.fragment());
            prop_assert!(!odd);
            prop_assert_eq!(points, values);
        }

        #[test]
        fn no_bytes_make_it_stumble(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let fragment = [&[0xc0, 0x81, 0, 0][..], &bytes].concat();
            if let Ok(repr) = Repr::new(1, 2, fragment) {
                let (fragment, odd, _) = read(&repr.emit());
                prop_assert_eq!(&fragment[..], repr.fragment());
                prop_assert!(!odd);
            }
        }

        #[test]
        fn tags_read_back(outstation in any::<u16>(), group in any::<u8>(), variation in any::<u8>(), index in any::<u32>()) {
            let tag = Place::new(outstation, group, variation, index).tag();
            let variant = u32::from(group) << 8 | u32::from(variation);
            let text = core::fmt::from_fn(|f| Dnp3::write_place(&tag, variant, f)).to_string();
            prop_assert_eq!(Dnp3::parse_tag(&text), Some(tag));
            let text = core::fmt::from_fn(|f| Dnp3::write_tag(&tag, f)).to_string();
            prop_assert_eq!(Dnp3::parse_tag(&text), Some(tag));
        }
    }

    /// What a write puts on the wire: places and values as the device reads them.
    fn command(tag: &str, value: Value, encoding: Encoding) -> Option<String> {
        let tag = Dnp3::parse_tag(tag).unwrap();
        let change = Change::Scalar { value, encoding };
        let mut out = Vec::new();
        Dnp3::command(&Write { family: Dnp3::FAMILY, endpoint: Endpoint::Any, tag, change }, 5, &mut out)?;
        let mut assembler = Assembler::default();
        let view = View::new(&mut assembler, &out).unwrap();
        assert!(view.oddities().is_empty() && view.link().is_from_master());
        let mut shown = view.fragment()?.function.name().to_owned();
        for block in view.points() {
            assert_eq!((block.access, block.tag), (Access::Write, tag));
            let Data::Scalar { value, .. } = block.data else { panic!("{block:?}") };
            let value =
                if let Scalar::Float(number) = value { format!("{number:?}") } else { value.to_string() };
            shown += &format!(" g{}v{} {value}", block.variant >> 8, block.variant & 0xff);
        }
        Some(shown)
    }

    #[test]
    fn values_become_commands() {
        let real = |number| Value::real(number).unwrap();
        let check = |tag, value, encoding, want: Option<&str>| {
            assert_eq!(command(tag, value, encoding).as_deref(), want, "{tag} {value:?}");
        };
        check("10/g10v2/3", Value::Boolean(true), Encoding::Bit(0), Some("direct operate g12v1 1"));
        check("10/g12v1/3", real(0.0), Encoding::Native, Some("direct operate g12v1 0"));
        check("10/g12v1/3", real(0.5), Encoding::Native, None);
        check("10/g40v1/3", Value::Integer(-7), Encoding::I16, Some("direct operate g41v2 -7"));
        check("10/g40v1/3", Value::Integer(70_000), Encoding::Native, Some("direct operate g41v1 70000"));
        check("10/g40v1/3", real(70_000.0), Encoding::I16, None);
        check("10/g41v1/3", real(1.5), Encoding::F32, Some("direct operate g41v3 1.5"));
        check("10/g41v1/3", real(0.1), Encoding::F64, Some("direct operate g41v4 0.1"));
        check("10/g34v1/3", real(9.0), Encoding::U16, Some("write g34v1 9"));
        check("10/g30v1/3", real(9.0), Encoding::U16, None);
        check("10/g10v1/65536", Value::Boolean(true), Encoding::Bit(0), None);
        check("65533/g10v1/6", Value::Boolean(true), Encoding::Bit(0), Some("direct operate g12v1 1"));
        check("65520/g10v1/6", Value::Boolean(true), Encoding::Bit(0), None);
    }

    #[test]
    fn long_fragments_take_several_frames() {
        let objects = Objects::new().range(30, 1, 0, 399, &[1; 2000]);
        let repr = Repr::response(4, 3, 2, 0, &objects).unwrap();
        let mut bytes = Vec::new();
        repr.emit_into(60, &mut bytes);
        let (fragment, odd, points) = read(&bytes);
        assert_eq!((fragment.as_slice(), odd, points), (repr.fragment(), false, 400));
        let long = Objects::new().range(30, 1, 0, 499, &[1; 2500]);
        assert_eq!(Repr::response(4, 3, 2, 0, &long), Err(Illegal::TooLong));
        let broadcast = Repr::response(4, 0xffff, 2, 0, &Objects::new());
        assert_eq!(broadcast, Err(Illegal::Address { address: 0xffff }));
    }
}
