//! Persons in a journal under names that only the holder of a key can tell apart from any others.
//!
//! A journal cannot forget, and persons have a right to be. So it holds keyed pseudonyms: one person has one pseudonym as long as
//! a key lasts, nobody without the key can try names, and with the key destroyed nobody ever can.
//!
//! Sources: BLAKE3 specification §2.1, §6 (keyed hashing); GDPR (EU) 2016/679 Art. 4(5), Art. 17.

use core::fmt;

use zeroize::Zeroizing;

const CONTEXT: &str = "twinguard 2026-11 pseudonym";

/// The secret that turns names into pseudonyms. Its memory is wiped when it is dropped; `Debug` does not show it.
///
/// ```
/// use twinguard_integrity::PseudonymKey;
///
/// let key = PseudonymKey::new(&[7; 32]);
/// let pseudonym = key.pseudonym("a.person@plant.example");
/// assert!(pseudonym.starts_with("person-") && !pseudonym.contains("plant"));
/// assert!(key.is("a.person@plant.example", &pseudonym));
/// assert_ne!(PseudonymKey::new(&[8; 32]).pseudonym("a.person@plant.example"), pseudonym);
/// ```
#[derive(Clone)]
pub struct PseudonymKey(Zeroizing<[u8; 32]>);

impl PseudonymKey {
    /// A key from 32 secret bytes, which the caller takes from a good source of randomness and keeps apart from the journal.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Zeroizing::new(blake3::derive_key(CONTEXT, secret)))
    }

    /// `person-` and 32 hexadecimal digits: 128 bits, so that two persons of one name are two names given here.
    #[must_use]
    pub fn pseudonym(&self, name: &str) -> String {
        let hash = blake3::keyed_hash(&self.0, name.as_bytes());
        let (half, _) = hash.as_bytes().split_at(16);
        format!("person-{}", data_encoding::HEXLOWER.encode(half))
    }

    /// Whether a pseudonym is this name's.
    #[must_use]
    pub fn is(&self, name: &str, pseudonym: &str) -> bool {
        self.pseudonym(name) == pseudonym
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}
