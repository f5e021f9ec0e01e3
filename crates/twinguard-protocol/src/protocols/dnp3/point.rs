//! The values in a fragment: points with quality and device time, commands and their echoes (IEEE 1815-2012 clause 11).

use twinguard_types::{Duration, Quality, Timestamp};

use super::Place;
use super::application::{Fragment, Prefix, Section, Sections, little, milliseconds};
use super::function::Function;
use super::object::{Flags, Layout, Number, Object, Time, point_type};
use crate::bytes::chunk;
use crate::protocol::{Access, Block, Data, Scalar};

/// The values of a fragment, one by one.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    sections: Option<Sections<'a>>,
    function: Function,
    outstation: u16,
    here: Option<Walk<'a>>,
    /// The common time of occurrence, and whether the outstation's clock was set (group 51).
    common: Option<(Timestamp, bool)>,
}

/// Where in a section.
#[derive(Clone, Debug)]
struct Walk<'a> {
    section: Section<'a>,
    layout: Layout,
    access: Access,
    rest: &'a [u8],
    /// How many objects were passed.
    passed: u32,
}

impl<'a> Points<'a> {
    pub(super) fn new(fragment: Option<&Fragment<'a>>, outstation: u16) -> Self {
        let function = fragment.map_or(Function::CONFIRM, |fragment| fragment.function);
        let tells = function.is_response() || matches!(function.0, 2..=6);
        let sections = fragment.filter(|_| tells).map(Fragment::sections);
        Self { sections, function, outstation, here: None, common: None }
    }

    /// What is done with the values of a group.
    const fn access(&self, group: u8) -> Access {
        match (self.function, group) {
            (Function::SELECT, _) => Access::Select,
            (function, 12 | 41) if function.is_response() => Access::Echo,
            (function, _) if function.is_response() => Access::Read,
            _ => Access::Write,
        }
    }

    /// The next value of the section in hand.
    fn step(&mut self) -> Option<Block<'a>> {
        let walk = self.here.as_mut()?;
        let Section { group, variation, prefix, .. } = walk.section;
        if walk.passed >= walk.section.count() {
            return None;
        }
        let ordinal = walk.section.first().wrapping_add(walk.passed);
        let (index, object) = match prefix {
            Prefix::Index(len) => {
                let (index, rest) = walk.rest.split_at_checked(usize::from(len))?;
                (little(index), rest)
            }
            _ => (ordinal, walk.rest),
        };
        let (mut quality, mut at) = (Quality::Good, None);
        let (raw, value) = match walk.layout {
            Layout::Packed(width) => {
                let packed = prefix.is_empty();
                let bit = if packed { walk.passed as usize * usize::from(width) } else { 0 };
                let (raw, rest) = object.get(bit / 8..)?.split_at_checked(1)?;
                if !packed {
                    walk.rest = rest;
                }
                let value = raw.first()? >> (bit % 8) & ((1 << width) - 1);
                (
                    raw,
                    match (group, width) {
                        // A pattern mask selects points, it gives them no state.
                        (12, _) => Scalar::Opaque,
                        (_, 1) => Scalar::Boolean(value == 1),
                        _ => Scalar::Unsigned(u64::from(value)),
                    },
                )
            }
            Layout::Fixed(layout) => {
                let (raw, rest) = object.split_at_checked(layout.len())?;
                walk.rest = rest;
                let parts = Parts::of(&layout, raw);
                quality = parts.quality(&layout, group);
                (at, quality) = parts.time(&layout, self.common, quality);
                if group == 51 {
                    self.common = at.map(|at| (at, variation == 1));
                }
                (raw, parts.value(&layout))
            }
            Layout::Octets(len) => {
                let (raw, rest) = object.split_at_checked(usize::from(len)).filter(|_| len > 0)?;
                walk.rest = rest;
                (raw, Scalar::Text(raw))
            }
            Layout::Attribute => {
                let [kind, len, ..] = object else { return None };
                let (raw, rest) = object.split_at_checked(2 + usize::from(*len))?;
                walk.rest = rest;
                (raw, attribute(*kind, raw.get(2..).unwrap_or_default()))
            }
            Layout::Nothing | Layout::Sized => return None,
        };
        walk.passed += 1;
        let place = Place::new(self.outstation, group, variation, index);
        let block = Block::new(place.tag(), walk.access, Data::Scalar { raw, value });
        // The variation of a string is its length, no part of its name.
        let shown = if matches!(group, 110..=113) { 0 } else { variation };
        Some(Block { variant: u32::from(group) << 8 | u32::from(shown), quality, at, ..block })
    }
}

impl<'a> Iterator for Points<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some(block) = self.step() {
                return Some(block);
            }
            let section = self.sections.as_mut()?.next()?;
            let access = self.access(section.group);
            // Authentication carries no values of the plant.
            self.here = section.layout.filter(|_| section.group != 120).map(|layout| Walk {
                section,
                layout,
                access,
                rest: section.data,
                passed: 0,
            });
        }
    }
}

/// The parts of one object of fixed size.
struct Parts<'a> {
    flags: Option<u8>,
    number: &'a [u8],
    time: &'a [u8],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(layout: &Object, raw: &'a [u8]) -> Self {
        let (flags, rest) = match layout.flags {
            Flags::Before | Flags::StatusBefore => (raw.first().copied(), raw.get(1..).unwrap_or_default()),
            Flags::StatusBehind => (raw.last().copied(), raw),
            Flags::None => (None, raw),
        };
        let len = Object { flags: Flags::None, time: Time::None, rest: 0, ..*layout }.len();
        let (number, time) = rest.split_at_checked(len).unwrap_or_default();
        Self { flags, number, time }
    }

    fn value(&self, layout: &Object) -> Scalar<'a> {
        let bits = || {
            let mut all = [0; 8];
            all.iter_mut().zip(self.number).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(all)
        };
        match layout.number {
            Number::State => Scalar::Boolean(self.flags.unwrap_or_default() & 0x80 != 0),
            Number::DoubleBit => Scalar::Unsigned(u64::from(self.flags.unwrap_or_default() >> 6)),
            // A security statistic: the association number before the count.
            Number::Unsigned(6) => Scalar::Unsigned(bits() >> 16),
            Number::Unsigned(_) => Scalar::Unsigned(bits()),
            Number::Signed(2) => Scalar::Signed(i64::from(bits() as i16)),
            Number::Signed(_) => Scalar::Signed(i64::from(bits() as i32)),
            Number::Float(4) => Scalar::Float(f64::from(f32::from_bits(bits() as u32))),
            Number::Float(_) => Scalar::Float(f64::from_bits(bits())),
            Number::Bcd(_) => decimal(self.number).map_or(Scalar::Opaque, Scalar::Unsigned),
            Number::Control => self.number.first().map_or(Scalar::Opaque, |code| control(*code)),
            Number::None => Scalar::Opaque,
        }
    }

    /// What the flags say (11.6): bit 0 online, 1 restart, 2 communication lost, 3 and 4 forced, 5 and 6 by the kind.
    fn quality(&self, layout: &Object, group: u8) -> Quality {
        let Some(flags) = self.flags else { return Quality::Good };
        if matches!(layout.flags, Flags::StatusBefore | Flags::StatusBehind) {
            return if flags & 0x7f == 0 { Quality::Good } else { Quality::Bad };
        }
        let doubtful = match point_type(group) {
            // Chatter filter; double-bit inputs have their state in the two highest bits.
            1 | 3 => 0x22,
            // Over-range, reference error.
            30 | 31 | 40 => 0x62,
            // Discontinuity.
            20 | 21 | 121 => 0x42,
            _ => 0x02,
        };
        match flags {
            flags if flags & 0x05 != 0x01 => Quality::Bad,
            flags if flags & 0x18 != 0 => Quality::Substituted,
            flags if flags & doubtful != 0 => Quality::Uncertain,
            _ => Quality::Good,
        }
    }

    /// The device time, and the quality that it leaves.
    fn time(
        &self,
        layout: &Object,
        common: Option<(Timestamp, bool)>,
        quality: Quality,
    ) -> (Option<Timestamp>, Quality) {
        let milli = |count: u64| i64::try_from(count).ok().filter(|count| *count <= i64::MAX / 1_000_000);
        match layout.time {
            Time::None => (None, quality),
            Time::Absolute => (milliseconds(self.time).and_then(milli).map(Timestamp::from_millis), quality),
            Time::Relative => {
                let Some((common, set)) = common else { return (None, quality) };
                let more = Duration::from_millis(i64::from(little(self.time)));
                // Group 51 variation 2: the clock was not set.
                let quality = if !set && quality == Quality::Good { Quality::Uncertain } else { quality };
                (Some(common + more), quality)
            }
        }
    }
}

/// The state that a control code asks for (annex A, group 12 variation 1): trip or close before the operation.
const fn control(code: u8) -> Scalar<'static> {
    match (code >> 6, code & 0x0f) {
        (1, _) => Scalar::Boolean(true),
        (2, _) => Scalar::Boolean(false),
        (0, 1 | 3) => Scalar::Boolean(true),
        (0, 2 | 4) => Scalar::Boolean(false),
        _ => Scalar::Opaque,
    }
}

/// The value of a device attribute (annex A, group 0): 1 text, 2 unsigned, 3 signed, 4 floating point, 5 octets,
/// 6 bits, 7 time.
fn attribute(kind: u8, value: &[u8]) -> Scalar<'_> {
    let number = || {
        let mut all = [0; 8];
        all.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(all)
    };
    match (kind, value.len()) {
        (1, _) => Scalar::Text(value),
        (2, 1..=8) => Scalar::Unsigned(number()),
        (3, len @ 1..=8) => {
            let unused = 64 - 8 * len as u32;
            Scalar::Signed((number() << unused) as i64 >> unused)
        }
        (4, 4) => chunk::<4>(value, 0)
            .map_or(Scalar::Opaque, |raw| Scalar::Float(f64::from(f32::from_le_bytes(*raw)))),
        (4, 8) => chunk::<8>(value, 0).map_or(Scalar::Opaque, |raw| Scalar::Float(f64::from_le_bytes(*raw))),
        _ => Scalar::Opaque,
    }
}

/// Binary coded decimals, the lowest digits first; `None` for digits above 9.
fn decimal(bytes: &[u8]) -> Option<u64> {
    bytes.iter().rev().try_fold(0u64, |sum, byte| {
        let (tens, ones) = (byte >> 4, byte & 15);
        (tens < 10 && ones < 10).then(|| sum * 100 + u64::from(tens * 10 + ones))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Dnp3;
    use super::*;
    use crate::protocol::{Block, Protocol};

    fn check(fragment: &[u8], want: &[&str]) {
        let fragment = Fragment::new(fragment).unwrap();
        let found: Vec<_> = Points::new(Some(&fragment), 10)
            .flat_map(Block::points)
            .map(|point| {
                let place =
                    core::fmt::from_fn(|f| Dnp3::write_place(&point.tag, point.variant, f)).to_string();
                let crate::protocol::Raw::Scalar { value, .. } = point.raw else { panic!("{point:?}") };
                let at = point.at.map(|at| format!(" {}", at.as_nanos() / 1_000_000)).unwrap_or_default();
                format!("{place} {:?} {value} {:?}{at}", point.access, point.quality)
            })
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn values_carry_places_quality_and_time() {
        check(
            &[0xc0, 0x81, 0, 0, 1, 2, 0, 3, 5, 0x81, 0x01, 0x00],
            &["10/g1v2/3 Read 1 Good", "10/g1v2/4 Read 0 Good", "10/g1v2/5 Read 0 Bad"],
        );
        check(
            &[0xc0, 0x81, 0, 0, 1, 1, 0, 7, 9, 0b101],
            &["10/g1v1/7 Read 1 Good", "10/g1v1/8 Read 0 Good", "10/g1v1/9 Read 1 Good"],
        );
        check(
            &[0xc0, 0x81, 0, 0, 3, 1, 0, 0, 1, 0b1001],
            &["10/g3v1/0 Read 1 Good", "10/g3v1/1 Read 2 Good"],
        );
        check(
            &[0xc0, 0x81, 0, 0, 30, 2, 0x17, 2, 5, 0x21, 0xff, 0xff, 6, 0x11, 2, 1],
            &["10/g30v2/5 Read -1 Uncertain", "10/g30v2/6 Read 258 Substituted"],
        );
        check(
            &[0xc0, 0x82, 0, 0, 32, 7, 0x28, 1, 0, 9, 1, 1, 0, 0, 0x80, 0x3f, 0x10, 0x27, 0, 0, 0, 0],
            &["10/g32v7/265 Read 1 Good 10000"],
        );
    }

    #[test]
    fn relative_times_count_from_the_common_time() {
        let mut bytes = vec![0xc0, 0x82, 0, 0, 2, 3, 0x17, 1, 0, 0x81, 7, 0];
        bytes.extend([51, 1, 7, 1, 0xe8, 3, 0, 0, 0, 0, 2, 3, 0x17, 1, 1, 0x81, 5, 0]);
        bytes.extend([51, 2, 7, 1, 0xd0, 7, 0, 0, 0, 0, 4, 3, 0x17, 1, 2, 0x41, 1, 0]);
        check(
            &bytes,
            &[
                "10/g2v3/0 Read 1 Good",
                "10/g51v1/0 Read  Good 1000",
                "10/g2v3/1 Read 1 Good 1005",
                "10/g51v2/0 Read  Good 2000",
                "10/g4v3/2 Read 1 Uncertain 2001",
            ],
        );
    }

    #[test]
    fn commands_are_selected_written_and_echoed() {
        let block = [12, 1, 0x17, 1, 4, 0x81, 1, 100, 0, 0, 0, 100, 0, 0, 0, 0];
        check(&[&[0xc0, 3][..], &block].concat(), &["10/g12v1/4 Select 0 Good"]);
        check(&[&[0xc0, 4][..], &block].concat(), &["10/g12v1/4 Write 0 Good"]);
        let mut refused = [&[0xc0, 0x81, 0, 0][..], &block].concat();
        *refused.last_mut().unwrap() = 4;
        check(&refused, &["10/g12v1/4 Echo 0 Bad"]);
        check(&[0xc0, 5, 41, 3, 0x28, 1, 0, 7, 0, 0, 0, 0xc0, 0x3f, 0], &["10/g41v3/7 Write 1.5 Good"]);
        check(&[0xc0, 2, 80, 1, 0, 7, 7, 0], &["10/g80v1/7 Write 0 Good"]);
        check(&[0xc0, 1, 30, 0, 0, 0, 9], &[]);
        check(&[0xc0, 0x81, 0, 0, 13, 2, 0x17, 1, 3, 0x80, 1, 0, 0, 0, 0, 0], &["10/g13v2/3 Read 1 Good 1"]);
    }

    #[test]
    fn other_objects_say_what_they_hold() {
        check(&[0xc0, 0x81, 0, 0, 0, 252, 0, 0, 0, 1, 2, b'a', b'b'], &["10/g0v252/0 Read ab Good"]);
        check(&[0xc0, 0x81, 0, 0, 0, 200, 0, 0, 0, 3, 1, 0xff], &["10/g0v200/0 Read -1 Good"]);
        check(&[0xc0, 0x81, 0, 0, 110, 2, 0x17, 1, 5, b'h', b'i'], &["10/g110v0/5 Read hi Good"]);
        check(&[0xc0, 0x81, 0, 0, 101, 1, 0, 0, 0, 0x34, 0x12], &["10/g101v1/0 Read 1234 Good"]);
        check(&[0xc0, 0x81, 0, 0, 121, 1, 0, 2, 2, 1, 7, 0, 5, 0, 0, 0], &["10/g121v1/2 Read 5 Good"]);
        check(&[0xc0, 0x81, 0, 0, 70, 5, 0x5b, 1, 1, 0, 9], &[]);
    }
}
