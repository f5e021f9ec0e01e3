//! Application fragments (IEEE 1815-2012 clause 4): control, function, internal indications, object headers.

use twinguard_types::Oddity;

use super::function::Function;
use super::object::{self, Layout};
use crate::bytes::chunk;
use crate::protocol::Oddities;

/// One fragment; shows any bytes that hold control and function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Application control: FIR, FIN, CON, UNS, sequence (4.2.2.4).
    pub control: u8,
    /// Function code (4.2.2.5).
    pub function: Function,
    /// Internal indications of a response, the first byte in the upper half (4.2.2.6).
    pub indications: Option<u16>,
    /// Object headers and objects.
    objects: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The fragment in these bytes; `None` when they hold no function.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([control, function], rest) = bytes.split_first_chunk()?;
        let function = Function(*function);
        let (indications, objects) = match rest.split_first_chunk() {
            Some((both, objects)) if function.is_response() => (Some(u16::from_be_bytes(*both)), objects),
            None if function.is_response() => (None, &[][..]),
            _ => (None, rest),
        };
        Some(Self { control: *control, function, indications, objects })
    }

    /// First fragment of a message (FIR).
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.control & 0x80 != 0
    }

    /// Last fragment of a message (FIN).
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.control & 0x40 != 0
    }

    /// Whether the sender asks for a confirmation (CON).
    #[must_use]
    pub const fn wants_confirmation(&self) -> bool {
        self.control & 0x20 != 0
    }

    /// Whether it is, or confirms, an unsolicited response (UNS).
    #[must_use]
    pub const fn is_unsolicited(&self) -> bool {
        self.control & 0x10 != 0
    }

    /// Sequence number, 0 to 15.
    #[must_use]
    pub const fn sequence(&self) -> u8 {
        self.control & 0x0f
    }

    /// The bytes of object headers and objects.
    #[must_use]
    pub const fn objects(&self) -> &'a [u8] {
        self.objects
    }

    /// The object headers with their objects, up to the first that cannot be read.
    #[must_use]
    pub const fn sections(&self) -> Sections<'a> {
        Sections { rest: self.objects, function: self.function, flaw: None }
    }

    /// What is odd about it, by offsets in the fragment.
    #[must_use]
    pub fn oddities(&self) -> Oddities {
        let mut oddities = Oddities::NONE;
        self.check(&mut oddities);
        oddities
    }

    pub(super) fn check(&self, oddities: &mut Oddities) {
        if !self.function.is_defined() {
            oddities.push(Oddity::UnknownFunction, 1);
        }
        if self.function.is_response() && self.indications.is_none() {
            oddities.push(Oddity::Truncated, 2);
            return;
        }
        // 4.2.2.4: requests and confirmations are one fragment; only unsolicited responses and their confirmations
        // say UNS.
        let whole = self.is_first() && self.is_last();
        if !whole && self.function != Function::RESPONSE && self.function != Function::AUTHENTICATE_RESPONSE {
            oddities.push(Oddity::BadValue, 0);
        }
        if self.is_unsolicited() != (self.function == Function::UNSOLICITED)
            && self.function != Function::CONFIRM
            && self.function != Function::AUTHENTICATE_RESPONSE
            && self.function != Function::AUTHENTICATE_NO_ACK
        {
            oddities.push(Oddity::BadValue, 0);
        }
        let start = if self.indications.is_some() { 4 } else { 2 };
        if self.function == Function::CONFIRM && !self.objects.is_empty() {
            oddities.push(Oddity::TrailingBytes, start);
            return;
        }
        let mut sections = self.sections();
        sections.by_ref().for_each(drop);
        if let Some(flaw) = sections.flaw {
            oddities.push(flaw, start + self.objects.len() - sections.rest.len());
        }
    }
}

/// What precedes each object of a section (4.2.2.7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing: the range numbers the points.
    None,
    /// The point's index, of this many bytes.
    Index(u8),
    /// The object's size, of this many bytes.
    Size(u8),
}

impl Prefix {
    /// Number of bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Index(len) | Self::Size(len) => len as usize,
        }
    }

    /// Whether nothing precedes the objects.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None)
    }
}

/// Which points a section speaks of (4.2.2.7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From the first to the last, both included.
    Points {
        /// First.
        start: u32,
        /// Last.
        stop: u32,
    },
    /// By virtual addresses, from the first to the last.
    Virtual {
        /// First.
        start: u32,
        /// Last.
        stop: u32,
    },
    /// All.
    All,
    /// This many; objects without an index are numbered from 0.
    Count(u32),
    /// This many objects, each with its size.
    Free(u8),
    /// A qualifier code that the standard reserves, or a header that is cut: nothing can be read behind it.
    Unreadable,
}

/// An object header and its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Object group.
    pub group: u8,
    /// Variation.
    pub variation: u8,
    /// Qualifier code.
    pub qualifier: u8,
    /// What precedes each object.
    pub prefix: Prefix,
    /// Which points.
    pub range: Range,
    /// How the objects lie; `None` when the message names points without values.
    pub layout: Option<Layout>,
    /// The objects with their prefixes.
    pub data: &'a [u8],
}

impl Section<'_> {
    /// Number of points, 0 for all.
    #[must_use]
    pub const fn count(&self) -> u32 {
        match self.range {
            Range::Points { start, stop } | Range::Virtual { start, stop } => match stop.checked_sub(start) {
                Some(more) => more.saturating_add(1),
                None => 0,
            },
            Range::All | Range::Unreadable => 0,
            Range::Count(count) => count,
            Range::Free(count) => count as u32,
        }
    }

    /// The number of the first point, where the range tells.
    #[must_use]
    pub const fn first(&self) -> u32 {
        match self.range {
            Range::Points { start, .. } | Range::Virtual { start, .. } => start,
            Range::All | Range::Count(_) | Range::Free(_) | Range::Unreadable => 0,
        }
    }
}

/// Walks the object headers of a fragment.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    rest: &'a [u8],
    function: Function,
    flaw: Option<Oddity>,
}

impl<'a> Sections<'a> {
    /// What ended the walk before the end of the fragment.
    #[must_use]
    pub const fn flaw(&self) -> Option<Oddity> {
        self.flaw
    }

    fn header(&self) -> Option<(Section<'a>, &'a [u8])> {
        let ([group, variation, qualifier], rest) = self.rest.split_first_chunk::<3>()?;
        let (group, variation, qualifier) = (*group, *variation, *qualifier);
        let blank = Section {
            group,
            variation,
            qualifier,
            prefix: Prefix::None,
            range: Range::Unreadable,
            layout: None,
            data: &[],
        };
        // Table 4-5: object prefix codes; the highest bit is reserved.
        let prefix = match qualifier >> 4 {
            0 => Prefix::None,
            1 => Prefix::Index(1),
            2 => Prefix::Index(2),
            3 => Prefix::Index(4),
            4 => Prefix::Size(1),
            5 => Prefix::Size(2),
            6 => Prefix::Size(4),
            _ => return Some((blank, rest)),
        };
        // Table 4-6: range specifier codes.
        let code = qualifier & 0x0f;
        let width = match code {
            0 | 3 | 7 | 11 => 1,
            1 | 4 | 8 => 2,
            2 | 5 | 9 => 4,
            6 => 0,
            _ => return Some((blank, rest)),
        };
        let fields = if code < 6 { 2 * width } else { width };
        let Some((range, rest)) = rest.split_at_checked(fields) else { return Some((blank, rest)) };
        let first = little(range.get(..width).unwrap_or_default());
        let last = little(range.get(width..).unwrap_or_default());
        let range = match code {
            0..=2 => Range::Points { start: first, stop: last },
            3..=5 => Range::Virtual { start: first, stop: last },
            6 => Range::All,
            11 => Range::Free(first as u8),
            _ => Range::Count(first),
        };
        Some((Section { prefix, range, ..blank }, rest))
    }

    /// Whether the objects of a section come with their values.
    fn has_values(&self, section: &Section<'_>) -> bool {
        self.function.has_values()
            || section.group == 120
            || section.group == 50
                && matches!(self.function, Function::FREEZE_AT_TIME | Function::FREEZE_AT_TIME_NO_ACK)
    }

    /// How many of the bytes hold the section's objects, and what is wrong with them.
    fn objects(&self, section: &mut Section<'a>, rest: &'a [u8]) -> (usize, Option<Oddity>) {
        let (count, prefix) = (section.count() as usize, section.prefix.len());
        if section.range == Range::Unreadable {
            return (0, Some(Oddity::BadValue));
        }
        if let Range::Points { start, stop } | Range::Virtual { start, stop } = section.range
            && stop < start
        {
            return (0, Some(Oddity::BadQuantity));
        }
        if matches!(section.prefix, Prefix::Size(_)) {
            section.layout = Some(Layout::Sized);
            return walk(rest, count, |rest| {
                let size = little(rest.get(..prefix)?) as usize;
                size.checked_add(prefix)
            });
        }
        if !self.has_values(section) {
            return fit(rest, count, prefix);
        }
        let Some(layout) = object::layout(section.group, section.variation) else {
            return (0, Some(Oddity::BadValue));
        };
        section.layout = Some(layout);
        match layout {
            Layout::Nothing => fit(rest, count, prefix),
            Layout::Packed(width) if section.prefix.is_empty() => {
                let bits = (count as u64).saturating_mul(u64::from(width));
                fit(rest, bits.div_ceil(8) as usize, 1)
            }
            Layout::Packed(_) => fit(rest, count, prefix + 1),
            Layout::Fixed(object) => fit(rest, count, prefix + object.len()),
            Layout::Octets(len) => fit(rest, count, prefix + usize::from(len)),
            Layout::Attribute => walk(rest, count, |rest| match rest.get(prefix..)? {
                [_, len, ..] => Some(prefix + 2 + usize::from(*len)),
                _ => None,
            }),
            // Without a size nothing tells where the objects end.
            Layout::Sized => (0, Some(Oddity::BadValue)),
        }
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        if self.rest.is_empty() || self.flaw.is_some() || self.function == Function::CONFIRM {
            return None;
        }
        let Some((mut section, rest)) = self.header() else {
            self.flaw = Some(Oddity::Truncated);
            return None;
        };
        let (len, flaw) = self.objects(&mut section, rest);
        self.flaw = flaw;
        let (data, rest) = rest.split_at_checked(len)?;
        section.data = data;
        self.rest = rest;
        Some(section)
    }
}

/// `count` objects of `size` bytes: how many of the bytes are whole objects, and whether some are missing.
fn fit(rest: &[u8], count: usize, size: usize) -> (usize, Option<Oddity>) {
    match count.checked_mul(size) {
        Some(len) if len <= rest.len() => (len, None),
        _ => (rest.len() - rest.len() % size.max(1), Some(Oddity::Truncated)),
    }
}

/// As [`fit`] for objects that tell their sizes.
fn walk(rest: &[u8], count: usize, size: impl Fn(&[u8]) -> Option<usize>) -> (usize, Option<Oddity>) {
    let mut len = 0;
    for _ in 0..count {
        let left = rest.get(len..).unwrap_or_default();
        match size(left) {
            // Each takes at least its prefix, so that the walk is bounded by the bytes.
            Some(size) if size > 0 && size <= left.len() => len += size,
            _ => return (len, Some(Oddity::Truncated)),
        }
    }
    (len, None)
}

/// Up to four bytes as a number, the lowest first.
pub(super) fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// 48 bits of milliseconds since 1970.
pub(super) fn milliseconds(bytes: &[u8]) -> Option<u64> {
    let [b0, b1, b2, b3, b4, b5] = *chunk::<6>(bytes, 0)?;
    Some(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups, variations, counts and lengths of data, and what ends the walk.
    fn check(bytes: &[u8], want: &str) {
        let fragment = Fragment::new(bytes).unwrap();
        let mut sections = fragment.sections();
        let mut found = String::new();
        for section in sections.by_ref() {
            let Section { group, variation, .. } = section;
            found += &format!("g{group}v{variation} {}:{} ", section.count(), section.data.len());
        }
        if let Some(flaw) = sections.flaw() {
            found += &format!("{flaw:?}");
        }
        assert_eq!(found.trim(), want, "{bytes:02x?}");
    }

    #[test]
    fn every_qualifier_is_walked() {
        check(&[0xc0, 1, 60, 2, 6, 60, 3, 6, 60, 1, 6], "g60v2 0:0 g60v3 0:0 g60v1 0:0");
        check(&[0xc0, 1, 30, 0, 0, 2, 9], "g30v0 8:0");
        check(&[0xc0, 1, 30, 0, 1, 2, 0, 9, 1], "g30v0 264:0");
        check(&[0xc0, 1, 30, 0, 2, 2, 0, 0, 0, 9, 0, 0, 0], "g30v0 8:0");
        check(&[0xc0, 1, 30, 0, 0x17, 2, 7, 8], "g30v0 2:2");
        check(&[0xc0, 1, 30, 0, 0x28, 1, 0, 7, 0], "g30v0 1:2");
        check(&[0xc0, 1, 2, 0, 7, 50], "g2v0 50:0");
        check(&[0xc0, 0x81, 0, 0, 1, 1, 0, 0, 8, 0xff, 1], "g1v1 9:2");
        check(&[0xc0, 0x81, 0, 0, 3, 1, 0, 0, 4, 0xff, 1], "g3v1 5:2");
        check(&[0xc0, 0x81, 0, 0, 30, 1, 0x17, 1, 5, 1, 1, 2, 3, 4], "g30v1 1:6");
        check(&[0xc0, 0x81, 0, 0, 110, 3, 0, 0, 1, 1, 2, 3, 4, 5, 6], "g110v3 2:6");
        check(&[0xc0, 0x81, 0, 0, 0, 252, 0, 0, 0, 1, 2, b'a', b'b', 60, 1, 6], "g0v252 1:4 g60v1 0:0");
        check(
            &[0xc0, 0x81, 0, 0, 70, 5, 0x5b, 1, 3, 0, 9, 9, 9, 51, 1, 7, 1, 0, 0, 0, 0, 0, 0],
            "g70v5 1:5 g51v1 1:6",
        );
        check(&[0xc0, 11, 50, 2, 7, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 20, 0, 6], "g50v2 1:10 g20v0 0:0");
    }

    #[test]
    fn hostile_counts_end_in_a_flaw() {
        check(
            &[0xc0, 0x81, 0, 0, 30, 1, 9, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6],
            "g30v1 4294967295:5 Truncated",
        );
        check(&[0xc0, 0x81, 0, 0, 110, 0, 9, 0xff, 0xff, 0xff, 0xff], "g110v0 4294967295:0");
        check(&[0xc0, 0x81, 0, 0, 70, 5, 0x5b, 200, 0, 0, 0, 0], "g70v5 200:4 Truncated");
        check(&[0xc0, 0x81, 0, 0, 30, 1, 0, 9, 2, 1], "g30v1 0:0 BadQuantity");
        check(&[0xc0, 0x81, 0, 0, 30, 99, 0, 0, 0, 1], "g30v99 1:0 BadValue");
        check(&[0xc0, 0x81, 0, 0, 30, 1, 0x0a, 0], "g30v1 0:0 BadValue");
        check(&[0xc0, 0x81, 0, 0, 30, 1], "Truncated");
    }

    #[test]
    fn control_bits_are_checked() {
        let odd = |bytes: &[u8]| !Fragment::new(bytes).unwrap().oddities().is_empty();
        assert!(!odd(&[0xc3, 1, 60, 1, 6]));
        assert!(odd(&[0x43, 1, 60, 1, 6]), "a request in several fragments");
        assert!(odd(&[0xd3, 1, 60, 1, 6]), "an unsolicited request");
        assert!(!odd(&[0xf3, 0x82, 0, 0]) && odd(&[0xe3, 0x82, 0, 0]));
        assert!(!odd(&[0xd3, 0]) && !odd(&[0xc3, 0]) && odd(&[0xc3, 0, 1]));
        assert!(odd(&[0xc3, 0x81, 0]) && odd(&[0xc3, 99]));
        assert!(!odd(&[0xa3, 0x81, 0, 0]) && !odd(&[0x24, 0x81, 0, 0]));
    }
}
