//! Basic encoding rules of ASN.1, borrowed and bounded: definite lengths, tags of up to three further bytes.
//!
//! Source: ITU-T X.690 (2021) = ISO/IEC 8825-1 (clauses §8.1.2 tags, §8.1.3 lengths, §8.3 integers).
//!
//! One element after the other, never deeper than its caller asks; whoever descends counts how deep it is.

use twinguard_types::Oddity;

/// Why bytes are no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, counted as the reader's offsets are.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) oddity: Oddity,
}

/// One element: its tag, and its content octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// The tag's first byte for numbers below 31; for a longer tag its number times 256, plus that byte.
    pub(crate) tag: u32,
    /// Where its content begins.
    pub(crate) at: usize,
    /// Content octets.
    pub(crate) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The tag's number.
    pub(crate) const fn number(&self) -> u32 {
        if self.tag < 0x100 { self.tag & 0x1f } else { self.tag >> 8 }
    }

    /// What lies in it.
    pub(crate) const fn inside(&self) -> Reader<'a> {
        Reader { rest: self.content, at: self.at }
    }
}

/// Elements that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Elements from here on; `at` is the offset of the first byte in its message.
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at }
    }

    /// Where the next element begins.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes of what follows.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether no byte is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element; `None` at the end. After a fault nothing more comes.
    #[inline(always)] // a few instructions, in the innermost loop of every walk
    pub(crate) fn next(&mut self) -> Option<Result<Element<'a>, Fault>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match element(self.rest) {
            Ok((tag, head, len)) => match self.rest.get(head..).and_then(|rest| rest.split_at_checked(len)) {
                Some((content, rest)) => {
                    let at = self.at + head;
                    (self.rest, self.at) = (rest, at + len);
                    Ok(Element { tag, at, content })
                }
                None => Err(self.fault(Oddity::Truncated)),
            },
            Err(oddity) => Err(self.fault(oddity)),
        })
    }

    /// The next element where it has this tag.
    #[inline]
    pub(crate) fn take(&mut self, tag: u32) -> Option<Element<'a>> {
        let mut ahead = *self;
        let found = ahead.next()?.ok().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(found)
    }

    /// What lies in the element that this reader would tell next, and then what follows it.
    pub(crate) fn enter(&self, element: &Element<'a>) -> Self {
        Self { rest: self.rest.get(element.at - self.at..).unwrap_or_default(), at: element.at }
    }

    /// As [`Reader::next`], with all bytes of the element beside it; `None` for a fault as well.
    pub(crate) fn whole(&mut self) -> Option<(Element<'a>, &'a [u8])> {
        let before = self.rest;
        let element = self.next()?.ok()?;
        Some((element, before.get(..before.len() - self.rest.len())?))
    }

    #[cold]
    fn fault(&mut self, oddity: Oddity) -> Fault {
        self.rest = &[];
        Fault { at: self.at, oddity }
    }
}

/// Tag, length of the header, length of the content.
#[inline]
fn element(bytes: &[u8]) -> Result<(u32, usize, usize), Oddity> {
    let (tag, rest, head) = match bytes {
        [lead, rest @ ..] if lead & 0x1f != 0x1f => (u32::from(*lead), rest, 1),
        [lead, low, rest @ ..] if low & 0x80 == 0 => (u32::from(*low) << 8 | u32::from(*lead), rest, 2),
        [lead, high, low, rest @ ..] if low & 0x80 == 0 => {
            let number = u32::from(high & 0x7f) << 7 | u32::from(*low);
            (number << 8 | u32::from(*lead), rest, 3)
        }
        [_, _, _, ..] => return Err(Oddity::BadValue),
        _ => return Err(Oddity::Truncated),
    };
    let (len, digits) = match rest {
        [len @ ..0x80, ..] => (usize::from(*len), 1),
        // §8.1.3.6: an indefinite length, which none of our protocols needs.
        [0x80, ..] => return Err(Oddity::BadValue),
        [0x81, len, ..] => (usize::from(*len), 2),
        [0x82, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 3),
        [0x83, a, b, c, ..] => (u32::from_be_bytes([0, *a, *b, *c]) as usize, 4),
        [0x84, a, b, c, d, ..] => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, 5),
        [0x85..=0xff, ..] => return Err(Oddity::BadValue),
        _ => return Err(Oddity::Truncated),
    };
    Ok((tag, head + digits, len))
}

/// A whole number of up to eight bytes, in two's complement (§8.3).
#[inline]
pub(crate) fn signed(content: &[u8]) -> Option<i64> {
    let first = *content.first().filter(|_| content.len() <= 8)?;
    let start = if first & 0x80 != 0 { -1i64 } else { 0 };
    Some(content.iter().fold(start, |number, byte| number << 8 | i64::from(*byte)))
}

/// A whole number without a sign; devices that leave out the leading zero are understood.
#[inline]
pub(crate) fn unsigned(content: &[u8]) -> Option<u64> {
    let content = match content {
        [0, rest @ ..] if rest.len() == 8 => rest,
        _ if (1..=8).contains(&content.len()) => content,
        _ => return None,
    };
    Some(content.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Appends an element with a tag of one or more bytes.
pub(crate) fn put(tag: u32, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag as u8);
    match tag >> 8 {
        0 => {}
        number @ 1..=0x7f => out.push(number as u8),
        number => out.extend([0x80 | (number >> 7) as u8, number as u8 & 0x7f]),
    }
    match content.len() {
        len @ ..=0x7f => out.push(len as u8),
        len @ ..=0xff => out.extend([0x81, len as u8]),
        len @ ..=0xffff => out.extend([0x82, (len >> 8) as u8, len as u8]),
        len => {
            out.push(0x84);
            out.extend((len as u32).to_be_bytes());
        }
    }
    out.extend(content);
}

/// Appends a whole number in as few bytes as it needs (§8.3.2).
pub(crate) fn put_integer(tag: u32, number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let spare = bytes.windows(2).take_while(|pair| matches!(pair, [0, ..0x80] | [0xff, 0x80..=0xff])).count();
    put(tag, bytes.get(spare..).unwrap_or_default(), out);
}

/// Appends a whole number without a sign.
pub(crate) fn put_unsigned(tag: u32, number: u64, out: &mut Vec<u8>) {
    match i64::try_from(number) {
        Ok(number) => put_integer(tag, number, out),
        Err(_) => {
            let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
            put(tag, &[0, a, b, c, d, e, f, g, h], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_are_told_apart() {
        // X.690 §8.1.3.5: both forms of a length; §8.1.2.4: a tag of two bytes.
        let check = |bytes: &[u8], expect: Result<(u32, usize), Oddity>| {
            let found = Reader::new(bytes, 0).next().unwrap();
            assert_eq!(
                found.map(|found| (found.tag, found.content.len())).map_err(|fault| fault.oddity),
                expect
            );
        };
        check(&[0x80, 1, 7], Ok((0x80, 1)));
        check(&[0xa0, 0x81, 1, 7], Ok((0xa0, 1)));
        check(&[0xa0, 0x82, 0, 1, 7], Ok((0xa0, 1)));
        check(&[0xbf, 0x48, 0], Ok((0x48bf, 0)));
        check(&[0xbf, 0x81, 0x01, 0], Ok((0x81bf, 0)));
        check(&[0x80, 2, 7], Err(Oddity::Truncated));
        check(&[0xa0, 0x80, 0, 0], Err(Oddity::BadValue));
        check(&[0xa0, 0x85, 0, 0, 0, 0, 1, 7], Err(Oddity::BadValue));
        check(&[0x80], Err(Oddity::Truncated));
        let element = Reader::new(&[0xbf, 0x48, 0], 0).next().unwrap().unwrap();
        assert_eq!(element.number(), 72);
        let mut faulty = Reader::new(&[0x80, 9], 3);
        assert_eq!(faulty.next(), Some(Err(Fault { at: 3, oddity: Oddity::Truncated })));
        assert!(faulty.next().is_none());
    }

    proptest! {
        #[test]
        fn numbers_and_tags_come_back(number: i64, positive: u64, tag in 0..0x3fffu32, len in 0..300usize) {
            let tag = if tag < 31 { 0xa0 | tag } else { tag << 8 | 0xbf };
            let mut out = Vec::new();
            put_integer(0x02, number, &mut out);
            put_unsigned(0x80, positive, &mut out);
            put(tag, &vec![7; len], &mut out);
            let mut reader = Reader::new(&out, 0);
            prop_assert_eq!(signed(reader.take(0x02).unwrap().content), Some(number));
            prop_assert!(reader.take(0x02).is_none());
            prop_assert_eq!(unsigned(reader.take(0x80).unwrap().content), Some(positive));
            prop_assert_eq!(reader.take(tag).unwrap().content.len(), len);
            prop_assert!(reader.is_empty());
        }
    }
}
