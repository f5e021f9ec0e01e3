//! Messages on a stream: two bytes with the length before each, the high one first.
//!
//! Source: Noise Protocol Framework rev. 34 §3 (a message has at most 65535 bytes), §13 (length fields before messages).

/// Bytes of a length.
pub const LENGTH: usize = 2;
/// Longest message.
pub const LARGEST: usize = u16::MAX as usize;

/// The first whole message of what came, and what came behind it; `None` as long as more has to come.
#[must_use]
pub fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Puts a message behind others; false, and nothing put, for one that is too long.
#[must_use]
pub fn put(bytes: &mut Vec<u8>, message: &[u8]) -> bool {
    let Ok(length) = u16::try_from(message.len()) else { return false };
    bytes.extend(length.to_be_bytes());
    bytes.extend(message);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_were_put_in() {
        let mut bytes = Vec::new();
        assert!(put(&mut bytes, b"one") && put(&mut bytes, b"") && put(&mut bytes, &[7; LARGEST]));
        assert!(!put(&mut bytes, &[0; LARGEST + 1]));
        let (one, rest) = first(&bytes).unwrap();
        let (none, rest) = first(rest).unwrap();
        assert_eq!((one, none), (&b"one"[..], &b""[..]));
        assert_eq!(first(&rest[..rest.len() - 1]), None);
        assert_eq!(first(rest), Some((&[7; LARGEST][..], &b""[..])));
        assert_eq!((first(b""), first(b"\x00")), (None, None));
    }
}
