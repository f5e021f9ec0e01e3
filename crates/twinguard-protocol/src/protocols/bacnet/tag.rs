//! Tags of the application layer (20.2) and the walk over a service's parameters.

use crate::protocol::Scalar;

/// A parameter that was read: its tag and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    /// A value with an application tag (20.2.1.1): its type, tag and content, content alone; a boolean's content is its
    /// length.
    Application {
        /// Type, 0 to 12.
        number: u8,
        /// Length, value or type of the tag.
        length: u32,
        /// Tag and content.
        raw: &'a [u8],
        /// Content.
        content: &'a [u8],
    },
    /// A value with a context tag.
    Context {
        /// Tag number.
        number: u8,
        /// Content.
        content: &'a [u8],
    },
    /// An opening tag.
    Open(u8),
    /// A closing tag.
    Close(u8),
}

/// Reads the element at the beginning; `None` when it is not all there.
#[inline]
pub(super) fn element<'a>(rest: &mut &'a [u8]) -> Option<Element<'a>> {
    let start = *rest;
    let (head, mut after) = start.split_first()?;
    let mut number = head >> 4;
    if number == 15 {
        // 20.2.1.2: the number follows.
        let (long, more) = after.split_first()?;
        (number, after) = (*long, more);
    }
    let context = head & 8 != 0;
    let mut length = u32::from(head & 7);
    match (context, length) {
        (true, 6 | 7) => {
            *rest = after;
            return Some(if length == 6 { Element::Open(number) } else { Element::Close(number) });
        }
        // 20.2.1.3.1: one octet, or 254 and two, or 255 and four.
        (_, 5) => {
            let (short, more) = after.split_first()?;
            after = more;
            length = match short {
                254 => {
                    let (two, more) = after.split_first_chunk()?;
                    after = more;
                    u32::from(u16::from_be_bytes(*two))
                }
                255 => {
                    let (four, more) = after.split_first_chunk()?;
                    after = more;
                    u32::from_be_bytes(*four)
                }
                short => u32::from(*short),
            };
        }
        _ => {}
    }
    // 20.2.3: an application-tagged boolean has its value in the tag.
    let len = if !context && number == 1 { 0 } else { length as usize };
    let (content, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(if context {
        Element::Context { number, content }
    } else {
        let raw = start.get(..start.len() - after.len())?;
        Element::Application { number, length, raw, content }
    })
}

/// An unsigned number of one to eight octets (20.2.4).
#[inline]
pub(super) fn unsigned(content: &[u8]) -> Option<u64> {
    let short = (1..=8).contains(&content.len());
    short.then(|| content.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Type and instance of an object identifier (20.2.14).
#[inline]
pub(super) fn object(content: &[u8]) -> Option<u32> {
    content.try_into().ok().map(u32::from_be_bytes)
}

/// The value behind an application tag (20.2.2 to 20.2.14).
pub(super) fn scalar<'a>(number: u8, length: u32, content: &'a [u8]) -> Scalar<'a> {
    let value = match number {
        1 => Some(Scalar::Boolean(length != 0)),
        2 | 9 => unsigned(content).map(Scalar::Unsigned),
        3 => unsigned(content).map(|number| {
            let spare = 64 - 8 * content.len() as u32;
            Scalar::Signed((number << spare) as i64 >> spare)
        }),
        4 => content.try_into().ok().map(|bytes| Scalar::Float(f64::from(f32::from_be_bytes(bytes)))),
        5 => content.try_into().ok().map(|bytes| Scalar::Float(f64::from_be_bytes(bytes))),
        // 20.2.9: character set 0 is UTF-8.
        7 => content.split_first().filter(|(set, _)| **set == 0).map(|(_, text)| Scalar::Text(text)),
        _ => None,
    };
    value.unwrap_or(Scalar::Opaque)
}

/// One bit of a bit string (20.2.10): the octet that holds it, and its state.
#[inline]
pub(super) fn bit(content: &[u8], place: usize) -> Option<(&[u8], bool)> {
    let (unused, bytes) = content.split_first()?;
    let octet = bytes.get(place / 8..=place / 8)?;
    let there = place < (bytes.len() * 8).saturating_sub(usize::from(*unused).min(7));
    there.then_some((octet, octet.first()? >> (7 - place % 8) & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Scalar<'_>) {
        let mut rest = bytes;
        let Some(Element::Application { number, length, raw, content }) = element(&mut rest) else {
            panic!()
        };
        assert_eq!((scalar(number, length, content), raw, rest.len()), (expect, bytes, 0), "{bytes:02x?}");
    }

    #[test]
    fn values_of_the_standards_examples() {
        // 20.2.2 to 20.2.11.
        check(&[0x00], Scalar::Opaque);
        check(&[0x10], Scalar::Boolean(false));
        check(&[0x11], Scalar::Boolean(true));
        check(&[0x21, 0x48], Scalar::Unsigned(72));
        check(&[0x31, 0x48], Scalar::Signed(72));
        check(&[0x31, 0xfe], Scalar::Signed(-2));
        check(&[0x44, 0x42, 0x90, 0, 0], Scalar::Float(72.0));
        check(&[0x55, 0x08, 0x40, 0x52, 0, 0, 0, 0, 0, 0], Scalar::Float(72.0));
        check(b"\x75\x19\x00This is a BACnet string!", Scalar::Text(b"This is a BACnet string!"));
        check(&[0x91, 0], Scalar::Unsigned(0));
        check(&[0x82, 0x03, 0xa8], Scalar::Opaque);
        let all: Vec<_> = (0..9).map_while(|place| bit(&[3, 0xa8], place)).map(|(_, state)| state).collect();
        assert_eq!(all, [true, false, true, false, true]);
    }

    #[test]
    fn what_is_cut_is_not_read() {
        for bad in [&[0x44, 1, 2][..], &[0x75], &[0x75, 254, 1], &[0xf9], &[]] {
            let mut rest = bad;
            assert_eq!(element(&mut rest), None, "{bad:02x?}");
        }
        let mut rest = &[0x3e, 0x3f, 0x19, 0x55, 0xfe][..];
        assert_eq!(element(&mut rest), Some(Element::Open(3)));
        assert_eq!(element(&mut rest), Some(Element::Close(3)));
        assert_eq!(element(&mut rest), Some(Element::Context { number: 1, content: &[0x55] }));
        let mut rest = &[0xfa, 200, 1, 2][..];
        assert_eq!(element(&mut rest), Some(Element::Context { number: 200, content: &[1, 2] }));
    }
}
