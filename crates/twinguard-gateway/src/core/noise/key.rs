//! Static keys of Curve25519, as text.
//!
//! Sources: RFC 7748 §5 (32 bytes, every string of which is a key); RFC 4648 §4, §8 (base64, hexadecimal).

use core::fmt;

use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;

/// The key that others know somebody by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PublicKey(pub [u8; KEY]);

impl PublicKey {
    /// A key written as 64 hexadecimal digits or 44 characters of base64, with white space around them or without; `None` for
    /// any other text, and for zeros alone.
    ///
    /// ```
    /// use twinguard_gateway::core::noise::PublicKey;
    ///
    /// let key = PublicKey::parse(&"0f".repeat(32)).unwrap();
    /// assert_eq!(PublicKey::parse("Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8="), Some(key));
    /// assert_eq!(key.to_string(), "0f".repeat(32));
    /// assert_eq!(PublicKey::parse("0f0f"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Every exchange with it would give the same secret (RFC 7748 §6.1).
        bytes(text).map(|it| Self(*it)).filter(|key| key.0 != [0; KEY])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The key that proves it. `Debug` does not show it, and it is wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey(pub(crate) Zeroizing<[u8; KEY]>);

impl SecretKey {
    /// A key written as a [`PublicKey`] is; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// The text that [`SecretKey::parse`] reads: hexadecimal digits.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY));
        for byte in self.0.iter() {
            for half in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(half.into(), 16));
            }
        }
        text
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

fn bytes(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    let text = text.trim().as_bytes();
    let mut bytes = Zeroizing::new([0; KEY]);
    match text.len() {
        64 => {
            for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
                let digit = |at: usize| pair.get(at).and_then(|it| char::from(*it).to_digit(16));
                *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
            }
        }
        // 32 bytes are ten groups of four characters, and three with one `=`.
        44 => {
            let digits = text.strip_suffix(b"=")?;
            let mut left = bytes.iter_mut();
            let (mut held, mut bits) = (Zeroizing::new(0_u32), 0);
            for digit in digits {
                *held = *held << 6 | u32::from(sextet(*digit)?);
                bits += 6;
                if bits >= 8 {
                    bits -= 8;
                    *left.next()? = (*held >> bits & 0xff) as u8;
                    *held &= (1 << bits) - 1;
                }
            }
            // What is left over is nothing: one key has one text.
            if *held != 0 {
                return None;
            }
        }
        _ => return None,
    }
    Some(bytes)
}

/// A character of base64.
fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_ways_and_one_key_has_one_text() {
        // RFC 7748 §6.1: Alice's public key.
        let hex = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        let key = PublicKey::parse(hex).unwrap();
        assert_eq!(PublicKey::parse(" hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"), Some(key));
        assert_eq!(key.to_string(), hex);
        let secret = SecretKey::parse(hex).unwrap();
        assert_eq!(*secret.to_text(), hex);
        assert_eq!(format!("{secret:?}"), "SecretKey");
        for bad in [
            "",
            &hex[1..],
            &hex.replace('a', "g"),
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo",
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=", // bits left over
            "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=",
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm==",
            &"00".repeat(32),
        ] {
            assert_eq!(PublicKey::parse(bad), None, "{bad}");
        }
    }
}
