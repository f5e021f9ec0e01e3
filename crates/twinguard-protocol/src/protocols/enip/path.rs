//! Paths: the segments that say which object, attribute, tag or port is meant.
//!
//! Source: *The CIP Networks Library* Volume 1, Appendix C-1 (padded EPATH); symbolic segments of Logix controllers:
//! Rockwell 1756-PM020, "CIP Services and Tag Addressing".

use crate::bytes::{le16, le32};

/// One segment of a path (C-1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment<'a> {
    /// A port of a device and the address of the next device behind it (C-1.4.1).
    Port {
        /// Port number.
        port: u16,
        /// Address on that port.
        link: &'a [u8],
    },
    /// A logical segment that is a number (C-1.4.2).
    Logical {
        /// What the number is.
        kind: Logical,
        /// The number.
        number: u32,
    },
    /// An electronic key: which device is expected (C-1.4.2.4).
    Key(&'a [u8]),
    /// Network segments: schedules, inhibit times (C-1.4.3).
    Network(&'a [u8]),
    /// A name (C-1.4.4, C-1.4.5.2).
    Symbol(&'a [u8]),
    /// Any other data for the target (C-1.4.5.1).
    Data(&'a [u8]),
}

/// What a logical segment numbers (table C-1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logical {
    /// A class of objects.
    Class,
    /// An object of the class.
    Instance,
    /// A member of an attribute, an element of a tag.
    Member,
    /// A connection point.
    Point,
    /// An attribute of the object.
    Attribute,
    /// A service.
    Service,
}

/// The segments of a padded path; ends at the first that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(pub &'a [u8]);

impl<'a> Iterator for Path<'a> {
    type Item = Segment<'a>;

    #[inline]
    fn next(&mut self) -> Option<Segment<'a>> {
        let (segment, rest) = split(self.0)?;
        self.0 = rest;
        Some(segment)
    }
}

/// The first segment and what follows; `None` at the end, and where nothing legal begins.
fn split(bytes: &[u8]) -> Option<(Segment<'_>, &[u8])> {
    let (head, rest) = bytes.split_first()?;
    match head >> 5 {
        0 => port(*head, rest),
        1 => logical(*head, rest),
        // C-1.4.3: with bit 4 the length in words follows, else there is one byte.
        2 => {
            let (size, rest) = match head & 0x10 {
                0 => (1, rest),
                _ => rest.split_first().map(|(words, rest)| (usize::from(*words) * 2, rest))?,
            };
            let (data, rest) = rest.split_at_checked(size)?;
            Some((Segment::Network(data), rest))
        }
        // C-1.4.4: up to 31 bytes; 0 introduces the extended form, which nobody uses.
        3 => padded(rest, usize::from(head & 0x1f), 1)
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, rest)| (Segment::Symbol(name), rest)),
        4 => {
            let (size, rest) = rest.split_first()?;
            if *head == 0x91 {
                padded(rest, usize::from(*size), 2).map(|(name, rest)| (Segment::Symbol(name), rest))
            } else {
                let (data, rest) = rest.split_at_checked(usize::from(*size) * 2)?;
                Some((Segment::Data(data), rest))
            }
        }
        _ => None,
    }
}

/// `size` bytes behind a head of `head` bytes, with the byte that makes the segment even.
fn padded(rest: &[u8], size: usize, head: usize) -> Option<(&[u8], &[u8])> {
    let (data, rest) = rest.split_at_checked(size)?;
    Some((data, if (head + size).is_multiple_of(2) { rest } else { rest.get(1..).unwrap_or_default() }))
}

fn port(head: u8, rest: &[u8]) -> Option<(Segment<'_>, &[u8])> {
    let (size, rest, mut used) = match head & 0x10 {
        0 => (1, rest, 1),
        _ => rest.split_first().map(|(size, rest)| (usize::from(*size), rest, 2))?,
    };
    let (port, rest) = match head & 0x0f {
        15 => {
            used += 2;
            (le16(rest, 0)?, rest.get(2..)?)
        }
        port => (u16::from(port), rest),
    };
    let (link, rest) = padded(rest, size, used)?;
    Some((Segment::Port { port, link }, rest))
}

fn logical(head: u8, rest: &[u8]) -> Option<(Segment<'_>, &[u8])> {
    let kind = match head >> 2 & 7 {
        0 => Logical::Class,
        1 => Logical::Instance,
        2 => Logical::Member,
        3 => Logical::Point,
        4 => Logical::Attribute,
        5 => {
            // Format 4 of the key: vendor, type, code, revisions.
            let (format, rest) = rest.split_first()?;
            let (key, rest) = rest.split_at_checked(if *format == 4 { 8 } else { return None })?;
            return Some((Segment::Key(key), rest));
        }
        6 => Logical::Service,
        _ => return None,
    };
    let (number, used) = match head & 3 {
        0 => (u32::from(*rest.first()?), 1),
        1 => (u32::from(le16(rest, 1)?), 3),
        2 => (le32(rest, 1)?, 5),
        _ => return None,
    };
    Some((Segment::Logical { kind, number }, rest.get(used..)?))
}

/// What a path means as a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The last class.
    pub class: Option<u32>,
    /// The last instance.
    pub instance: Option<u32>,
    /// The attribute.
    pub attribute: Option<u32>,
    /// The last index behind the name or the instance.
    pub member: Option<u32>,
    /// The first part of the name.
    pub symbol: &'a [u8],
    /// Whether there is more to the name than one part and one index.
    pub nested: bool,
    /// The connection points: configuration, to the target, to the originator, as far as given.
    pub points: [Option<u32>; 3],
}

impl<'a> Target<'a> {
    /// What a path means.
    #[must_use]
    pub fn of(path: &'a [u8]) -> Self {
        let mut target = Self::default();
        let mut point = 0;
        for segment in Path(path) {
            match segment {
                Segment::Logical { kind: Logical::Class, number } => target.class = Some(number),
                Segment::Logical { kind: Logical::Instance, number } => {
                    // In a connection path the configuration assembly is an instance (3-5.4.1.10).
                    target.instance = Some(number);
                }
                Segment::Logical { kind: Logical::Attribute, number } => target.attribute = Some(number),
                Segment::Logical { kind: Logical::Member, number } => {
                    target.nested |= target.member.is_some();
                    target.member = Some(number);
                }
                Segment::Logical { kind: Logical::Point, number } => {
                    if let Some(place) = target.points.get_mut(point) {
                        *place = Some(number);
                    }
                    point += 1;
                }
                Segment::Symbol(name) if target.symbol.is_empty() => target.symbol = name,
                Segment::Symbol(_) => target.nested = true,
                _ => {}
            }
        }
        target
    }

    /// Whether it names a tag of a Logix controller: by its name or by its place in the list of symbols.
    #[must_use]
    pub const fn is_tag(&self) -> bool {
        !self.symbol.is_empty() || matches!((self.class, self.instance), (Some(0x6b), Some(_)))
    }
}

/// Whether tags can show this part of a name.
pub(super) fn is_plain(symbol: &[u8]) -> bool {
    symbol.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'[' | b']' | b','))
}

/// Writes the name of a nested tag without its last index, and returns that index; see the family's grammar. Nothing is
/// written of a name that tags cannot show.
pub(super) fn render(path: &[u8], out: &mut Vec<u8>) -> Option<u32> {
    let (start, mut index, mut open) = (out.len(), None, false);
    let flush = |index: &mut Option<u32>, open: &mut bool, out: &mut Vec<u8>| {
        if let Some(number) = index.take() {
            out.extend_from_slice(if *open { b"" } else { b"[" });
            digits(number, out);
            out.push(b']');
        }
        *open = false;
    };
    for segment in Path(path) {
        match segment {
            Segment::Symbol(name) if !is_plain(name) => {
                out.truncate(start);
                return None;
            }
            Segment::Symbol(name) => {
                flush(&mut index, &mut open, out);
                if out.len() > start {
                    out.push(b'.');
                }
                out.extend_from_slice(name);
            }
            Segment::Logical { kind: Logical::Member, number } => {
                if let Some(held) = index.replace(number) {
                    if !open {
                        out.push(b'[');
                    }
                    digits(held, out);
                    out.push(b',');
                    open = true;
                }
            }
            _ => {}
        }
    }
    Some(index.unwrap_or(0))
}

fn digits(number: u32, out: &mut Vec<u8>) {
    let mut power = 1_000_000_000;
    let mut begun = false;
    while power > 0 {
        let digit = number / power % 10;
        begun |= digit != 0 || power == 1;
        if begun {
            out.push(b'0' + digit as u8);
        }
        power /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_the_appendix() {
        let numbers = |path: &[u8]| {
            Path(path)
                .filter_map(|segment| match segment {
                    Segment::Logical { kind, number } => Some((kind, number)),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        // C-1.6: class 5, instance 2, attribute 1; 8-, 16- and 32-bit forms.
        let expect = [(Logical::Class, 5), (Logical::Instance, 2), (Logical::Attribute, 1)];
        assert_eq!(numbers(&[0x20, 5, 0x24, 2, 0x30, 1]), expect);
        assert_eq!(numbers(&[0x21, 0, 5, 0, 0x25, 0, 2, 0, 0x31, 0, 1, 0]), expect);
        assert_eq!(numbers(&[0x22, 0, 5, 0, 0, 0, 0x24, 2, 0x30, 1]), expect);
        // C-1.4.1: backplane slot 6; port 18 with an IP address as text.
        assert_eq!(Path(&[1, 6]).next(), Some(Segment::Port { port: 1, link: &[6] }));
        let long = [0x1f, 3, 0x12, 0, 1, 2, 3, 0, 0x24, 9];
        assert_eq!(Path(&long).next(), Some(Segment::Port { port: 18, link: &[1, 2, 3] }));
        assert_eq!(Path(&long).count(), 2);
        assert_eq!(Path(&[0x91, 3, b'a', b'b', b'c', 0, 0x28, 1]).count(), 2);
        assert_eq!(Path(&[0x34, 4, 1, 0, 2, 0, 3, 0, 4, 5, 0x20, 4]).count(), 2);
        assert_eq!(Path(&[0x91, 30, b'a']).next(), None);
        assert_eq!(Path(&[0xff; 9]).next(), None);
    }

    #[test]
    fn nested_names_are_written_as_programmers_do() {
        let check = |path: &[u8], name: &str, index: u32| {
            let mut out = Vec::new();
            assert_eq!(render(path, &mut out), Some(index));
            assert_eq!(String::from_utf8(out).unwrap(), name);
        };
        check(&[0x91, 1, b'a', 0, 0x28, 3, 0x91, 1, b'x', 0], "a[3].x", 0);
        check(&[0x91, 1, b'a', 0, 0x28, 3, 0x29, 0, 4, 1, 0x28, 7], "a[3,260,", 7);
        check(&[0x91, 1, b'a', 0, 0x28, 3, 0x28, 4, 0x91, 1, b'x', 0, 0x28, 2], "a[3,4].x", 2);
        check(&[0x91, 2, b'a', b'b', 0x91, 2, b'c', b'd'], "ab.cd", 0);
        let mut out = b"kept".to_vec();
        assert_eq!(render(&[0x91, 1, b'a', 0, 0x91, 2, b'c', 0x17], &mut out), None);
        assert_eq!(out, b"kept");
    }
}
