//! Base64 with one text per value: RFC 4648 §4, canonical (§3.5), padding at the end alone.

use data_encoding::BASE64;

/// The bytes of a text that [`encode`] would write; `None` for any other.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    // The decoder takes concatenated texts, with padding between them: only its own writing is canonical.
    let bytes = BASE64.decode(text).ok()?;
    (BASE64.encode(&bytes).as_bytes() == text).then_some(bytes)
}

/// The text of bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_writings_of_the_same_bytes_are_refused() {
        assert_eq!(decode(b"W+Xc"), Some(vec![0x5b, 0xe5, 0xdc]));
        for other in ["Ww==5dw=", "W+Xc\n", "W-Xc", "Wx==", "Ww", "Ww="] {
            assert_eq!(decode(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(bytes: Vec<u8>, flip in 0usize..64) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(text.as_bytes()), Some(bytes));
            let mut other = text.into_bytes();
            if let Some(byte) = other.get_mut(flip) {
                *byte = b'=';
                let read = decode(&other);
                prop_assert!(read.is_none_or(|bytes| encode(&bytes).as_bytes() == other));
            }
        }
    }
}
