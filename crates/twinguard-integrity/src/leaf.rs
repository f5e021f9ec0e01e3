//! One entry of the journal, as bytes.
//!
//! Deterministic CBOR (RFC 8949 §4.2.1: shortest heads, definite lengths) of an array of four:
//! ```text
//! [ 1 (version), kind (text of 1 to 23 bytes: a-z 0-9 . _ -), at (integer, nanoseconds), body (byte string) ]
//! [ 2 (version), kind, at, body (one item, deterministic as well: see `cbor`) ]
//! ```
//! There is one encoding for one entry, and nothing else is read. Source: RFC 8949 §3, §4.2.1.

use twinguard_types::{Label, Timestamp};

use crate::Error;
use crate::cbor::{self, head, read_head};
use crate::cursor::Cursor;

/// How an entry's body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Bytes whose meaning the kind gives: version 1.
    #[default]
    Bytes,
    /// One item of deterministic CBOR: version 2.
    Item,
}

/// What was decided or seen, when, and the evidence.
///
/// ```
/// use twinguard_integrity::{Form, Leaf};
/// use twinguard_types::{Label, Timestamp};
///
/// let (kind, at) = (Label::literal("verdict"), Timestamp::from_secs(3));
/// let leaf = Leaf { kind, at, form: Form::Item, body: b"\xa0" };
/// let bytes = leaf.encode()?;
/// assert_eq!(Leaf::parse(&bytes)?, leaf);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// What kind of entry: `finding`, `verdict`, `action`, …
    pub kind: Label,
    /// When.
    pub at: Timestamp,
    /// How the content is written.
    pub form: Form,
    /// The content: bytes, or the bytes of the item.
    pub body: &'a [u8],
}

impl<'a> Leaf<'a> {
    /// Longest entry in bytes: tlog-tiles states lengths in 16 bits.
    pub const MAX_BYTES: usize = 65_535;

    /// The bytes.
    ///
    /// # Errors
    /// [`Error::Leaf`] for a kind that may not be, a body that is not the item it should be, or an entry beyond
    /// [`Leaf::MAX_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.encode_into(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds the bytes at the end of `out`; `out` is as before after an error.
    ///
    /// # Errors
    /// As [`Leaf::encode`].
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let kind = self.kind.as_str();
        if !is_kind(kind) {
            return Err(Error::Leaf {
                offset: 2,
                reason: "its kind is empty or holds other than a-z 0-9 . _ -",
            });
        }
        let start = out.len();
        let version = match self.form {
            Form::Bytes => 0x01,
            Form::Item => 0x02,
        };
        if self.form == Form::Item {
            cbor::check(self.body)?;
        }
        out.extend_from_slice(&[0x84, version]);
        head(out, 3, kind.len() as u64);
        out.extend_from_slice(kind.as_bytes());
        match self.at.as_nanos() {
            nanos @ 0.. => head(out, 0, nanos.unsigned_abs()),
            nanos => head(out, 1, !nanos as u64),
        }
        if self.form == Form::Bytes {
            head(out, 2, self.body.len() as u64);
        }
        out.extend_from_slice(self.body);
        if out.len() - start > Self::MAX_BYTES {
            out.truncate(start);
            return Err(Error::Leaf { offset: Self::MAX_BYTES, reason: "it is longer than 65535 bytes" });
        }
        Ok(())
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Error::Leaf`] with the offset for any bytes that [`Leaf::encode`] does not write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let at = |cursor: &Cursor<'_>, reason| Error::Leaf { offset: cursor.offset(), reason };
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::Leaf { offset: Self::MAX_BYTES, reason: "it is longer than 65535 bytes" });
        }
        let mut cursor = Cursor::new(bytes);
        if cursor.u8() != Some(0x84) {
            return Err(Error::Leaf { offset: 0, reason: "it is not an array of four" });
        }
        let form = match cursor.u8() {
            Some(0x01) => Form::Bytes,
            Some(0x02) => Form::Item,
            _ => return Err(Error::Leaf { offset: 1, reason: "its version is not 1 or 2" }),
        };
        let here = cursor;
        let kind = match read_head(&mut cursor) {
            Some((3, length)) => usize::try_from(length).ok().and_then(|length| cursor.take(length)),
            _ => None,
        };
        let kind = kind.and_then(|kind| str::from_utf8(kind).ok()).filter(|kind| is_kind(kind));
        let kind = kind.and_then(|kind| Label::new(kind).ok()).ok_or(at(&here, "its kind is not right"))?;
        let here = cursor;
        let nanos = match read_head(&mut cursor) {
            Some((0, value)) => i64::try_from(value).ok(),
            Some((1, value)) => i64::try_from(value).ok().map(|value| !value),
            _ => None,
        };
        let nanos = nanos.ok_or(at(&here, "its time is not a shortest 64-bit integer"))?;
        if form == Form::Item {
            let start = cursor.offset();
            cbor::check(cursor.rest()).map_err(|error| match error {
                Error::Leaf { offset, reason } => Error::Leaf { offset: start + offset, reason },
                other => other,
            })?;
            return Ok(Self { kind, at: Timestamp::from_nanos(nanos), form, body: cursor.rest() });
        }
        let here = cursor;
        let length = match read_head(&mut cursor) {
            Some((2, length)) => length,
            _ => return Err(at(&here, "its body is not a byte string of definite length")),
        };
        if length != cursor.rest().len() as u64 {
            return Err(at(&here, "its body does not end where the entry ends"));
        }
        Ok(Self { kind, at: Timestamp::from_nanos(nanos), form, body: cursor.rest() })
    }
}

fn is_kind(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf<'a>(kind: &'static str, nanos: i64, body: &'a [u8]) -> Leaf<'a> {
        Leaf { kind: Label::literal(kind), at: Timestamp::from_nanos(nanos), form: Form::Bytes, body }
    }

    #[test]
    fn golden_bytes() {
        let bytes = leaf("tick", -1, &[0xff; 24]).encode().unwrap();
        let mut wanted = vec![0x84, 0x01, 0x64, b't', b'i', b'c', b'k', 0x20, 0x58, 0x18];
        wanted.extend([0xff; 24]);
        assert_eq!(bytes, wanted);
        let bytes = leaf("a", i64::MIN, b"").encode().unwrap();
        assert_eq!(bytes, [0x84, 1, 0x61, b'a', 0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x40]);
    }

    #[test]
    fn golden_bytes_of_version_2() {
        // {"to": 0.25}
        let body = [0xa1, 0x62, b't', b'o', 0xf9, 0x34, 0x00];
        let leaf = Leaf { form: Form::Item, ..leaf("verdict", 0, &body) };
        let bytes = leaf.encode().unwrap();
        let mut wanted = b"\x84\x02\x67verdict\x00".to_vec();
        wanted.extend(body);
        assert_eq!(bytes, wanted);
        assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
        assert!(Leaf { body: &[0x18, 0x01], ..leaf }.encode().is_err());
    }

    #[test]
    fn other_encodings_are_refused() {
        for bad in [
            &b""[..],
            &[0x84],
            &[0x84, 0x03, 0x61, b'a', 0x00, 0x40], // another version
            &[0x84, 0x02, 0x61, b'a', 0x00, 0x18, 0x01], // an item not in its shortest form
            &[0x84, 0x02, 0x61, b'a', 0x00, 0x01, 0x01], // two items
            &[0x84, 0x02, 0x61, b'a', 0x00],       // no item
            &[0x84, 0x18, 0x01, 0x61, b'a', 0x00, 0x40], // version not in its shortest form
            &[0x84, 0x01, 0x78, 0x01, b'a', 0x00, 0x40], // length not in its shortest form
            &[0x84, 0x01, 0x61, b'A', 0x00, 0x40], // kind in capitals
            &[0x84, 0x01, 0x60, 0x00, 0x40],       // no kind
            &[0x84, 0x01, 0x61, b'a', 0x18, 0x17, 0x40], // time not in its shortest form
            &[0x84, 0x01, 0x61, b'a', 0xf6, 0x40], // no time
            &[0x84, 0x01, 0x61, b'a', 0x00, 0x5f, 0x40, 0xff], // indefinite length
            &[0x84, 0x01, 0x61, b'a', 0x00, 0x40, 0x00], // bytes after the end
            &[0x84, 0x01, 0x61, b'a', 0x00, 0x41], // ends early
            &[0x84, 0x01, 0x61, b'a', 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x40], // beyond 64 bits signed
            &[0x9f, 0x01, 0x61, b'a', 0x00, 0x40, 0xff],
        ] {
            assert!(Leaf::parse(bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn too_long_is_refused_and_leaves_nothing_behind() {
        let body = vec![0; Leaf::MAX_BYTES];
        let mut out = vec![9];
        assert!(leaf("a", 0, &body).encode_into(&mut out).is_err());
        assert_eq!(out, [9]);
        assert!(leaf("a", 0, &body[..Leaf::MAX_BYTES - 8]).encode_into(&mut out).is_ok());
        assert!(leaf("B", 0, b"").encode().is_err());
    }

    proptest! {
        #[test]
        fn parse_undoes_encode(kind in "[a-z0-9._-]{1,23}", nanos: i64, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let leaf = Leaf { kind: Label::new(&kind).unwrap(), at: Timestamp::from_nanos(nanos), form: Form::Bytes, body: &body };
            let bytes = leaf.encode().unwrap();
            prop_assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
        }

        #[test]
        fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            for version in [1, 2] {
                let bytes = [&[0x84, version, 0x61, b'a'][..], &tail].concat();
                if let Ok(leaf) = Leaf::parse(&bytes) {
                    prop_assert_eq!(leaf.encode().unwrap(), bytes);
                }
            }
        }
    }
}
