//! Authenticated encryption of one piece of data at its place, and where its keys come from.
//!
//! The cipher is XChaCha20-Poly1305. Its nonce is not random, as nothing in this crate is: it is a keyed hash of all that goes in
//! (key, place, content), so that two pieces share one only when they are the same piece. Such a synthetic nonce makes the
//! encryption deterministic: whoever sees two versions of one place learns whether they are equal, and nothing else.
//!
//! Sources: RFC 8439 (ChaCha20-Poly1305); draft-irtf-cfrg-xchacha-03 §2 (24-byte nonces); P. Rogaway, T. Shrimpton, "A provable-security
//! treatment of the key-wrap problem", EUROCRYPT 2006, §4 (an IV that is a pseudorandom function of associated data and message);
//! BLAKE3 specification §2.3 (keyed hashing, key derivation).

use core::fmt;
use std::collections::BTreeMap;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::Error;

/// Bytes of a nonce.
const NONCE: usize = 24;
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Bytes that encryption adds.
pub(crate) const OVERHEAD: usize = NONCE + TAG;
const ENCRYPTION: &str = "twinguard 2026-11 at rest, encryption key";
const SYNTHETIC: &str = "twinguard 2026-11 at rest, nonce key";

/// Where the keys of data at rest come from: a file, a key service, a TPM. Implement it on whatever holds them.
///
/// Keys have numbers, and data name the number of theirs, so a key can be exchanged while data under older ones stay readable. A
/// key that is destroyed takes all data under it along.
pub trait RestKeys: fmt::Debug {
    /// Number of the key to encrypt with from now on.
    fn current(&self) -> u32;

    /// The key of a number: 32 secret bytes from a good source of randomness.
    ///
    /// # Errors
    /// [`Error::AtRest`] for a number without a key; whatever keeps its holder from giving it out.
    fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>, Error>;
}

impl<K: RestKeys + ?Sized> RestKeys for Box<K> {
    fn current(&self) -> u32 {
        (**self).current()
    }
    fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>, Error> {
        (**self).key(number)
    }
}

impl<K: RestKeys + ?Sized> RestKeys for &K {
    fn current(&self) -> u32 {
        (**self).current()
    }
    fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>, Error> {
        (**self).key(number)
    }
}

/// Keys in memory, wiped when they are dropped; the one of the highest number is the present one. `Debug` shows numbers only.
#[derive(Clone)]
pub struct Keyring {
    last: u32,
    keys: BTreeMap<u32, Zeroizing<[u8; 32]>>,
}

impl Keyring {
    /// One key.
    #[must_use]
    pub fn new(number: u32, key: &[u8; 32]) -> Self {
        Self { last: number, keys: BTreeMap::from([(number, Zeroizing::new(*key))]) }
    }

    /// The same with another key.
    #[must_use]
    pub fn with(mut self, number: u32, key: &[u8; 32]) -> Self {
        self.last = self.last.max(number);
        self.keys.insert(number, Zeroizing::new(*key));
        self
    }
}

impl RestKeys for Keyring {
    fn current(&self) -> u32 {
        self.last
    }

    fn key(&self, number: u32) -> Result<Zeroizing<[u8; 32]>, Error> {
        let missing = || Error::AtRest { place: format!("key {number}"), reason: "there is no such key" };
        self.keys.get(&number).cloned().ok_or_else(missing)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.keys.keys()).finish()
    }
}

/// One key, ready for use. Both halves wipe themselves.
pub(crate) struct Cipher {
    cipher: XChaCha20Poly1305,
    nonce_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let encryption = Zeroizing::new(blake3::derive_key(ENCRYPTION, key));
        let nonce_key = Zeroizing::new(blake3::derive_key(SYNTHETIC, key));
        Self { cipher: XChaCha20Poly1305::new((&*encryption).into()), nonce_key }
    }

    fn nonce(&self, place: &[u8], plain: &[u8]) -> [u8; NONCE] {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        hasher.update(&(place.len() as u64).to_be_bytes()).update(place).update(plain);
        let mut nonce = [0; NONCE];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }

    /// Adds nonce, encrypted bytes and tag to `out`; gives the tag.
    pub(crate) fn encrypt(&self, place: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<[u8; TAG], Error> {
        let nonce = self.nonce(place, plain);
        out.extend_from_slice(&nonce);
        let from = out.len();
        out.extend_from_slice(plain);
        let bytes = out.get_mut(from..).unwrap_or_default();
        let tag = self.cipher.encrypt_inout_detached(&XNonce::from(nonce), place, bytes.into());
        // Only a content of 256 GiB is refused.
        let tag = tag.map_err(|_| refuse(place, "it is too large to be encrypted"))?;
        out.extend_from_slice(&tag);
        Ok(tag.into())
    }

    /// The content of nonce, encrypted bytes and tag; `None` where key, place or a bit is another.
    pub(crate) fn decrypt(&self, place: &[u8], sealed: &[u8]) -> Option<(Vec<u8>, [u8; TAG])> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (bytes, tag) = rest.split_last_chunk::<TAG>()?;
        let mut plain = bytes.to_vec();
        let found = Tag::from(*tag);
        self.cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), place, plain.as_mut_slice().into(), &found)
            .ok()?;
        // Poly1305 does not commit to its key, the nonce does: one text has one key.
        (self.nonce(place, &plain) == *nonce).then_some((plain, *tag))
    }
}

fn refuse(place: &[u8], reason: &'static str) -> Error {
    Error::AtRest { place: Error::shown(&String::from_utf8_lossy(place)), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1: the cipher below us is the published one.
    #[test]
    fn the_cipher_is_that_of_the_draft() {
        let key: [u8; 32] = core::array::from_fn(|n| 0x80 + n as u8);
        let nonce: [u8; 24] = core::array::from_fn(|n| 0x40 + n as u8);
        let aad = data_encoding::HEXLOWER.decode(b"50515253c0c1c2c3c4c5c6c7").unwrap();
        let mut text =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                         sunscreen would be it."
                .to_vec();
        let cipher = XChaCha20Poly1305::new(&key.into());
        let tag = cipher.encrypt_inout_detached(&nonce.into(), &aad, text.as_mut_slice().into()).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&text[..16]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(data_encoding::HEXLOWER.encode(&tag), "c0875924c1c7987947deafd8780acf49");
    }

    #[test]
    fn every_bit_counts_and_so_do_key_and_place() {
        let cipher = Cipher::new(&[7; 32]);
        let mut sealed = Vec::new();
        cipher.encrypt(b"tail", b"what happened", &mut sealed).unwrap();
        assert_eq!(sealed.len(), b"what happened".len() + OVERHEAD);
        assert_eq!(cipher.decrypt(b"tail", &sealed).unwrap().0, b"what happened");
        assert!(cipher.decrypt(b"checkpoint", &sealed).is_none());
        assert!(Cipher::new(&[8; 32]).decrypt(b"tail", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(cipher.decrypt(b"tail", &flipped).is_none(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(cipher.decrypt(b"tail", &sealed[..cut]).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn nonces_differ_wherever_anything_does() {
        let cipher = Cipher::new(&[7; 32]);
        let nonces = [
            cipher.nonce(b"a", b"x"),
            cipher.nonce(b"b", b"x"),
            cipher.nonce(b"a", b"y"),
            cipher.nonce(b"ax", b""),
            cipher.nonce(b"", b"ax"),
            Cipher::new(&[8; 32]).nonce(b"a", b"x"),
        ];
        let different: std::collections::BTreeSet<_> = nonces.iter().collect();
        assert_eq!(different.len(), nonces.len());
        assert_eq!(cipher.nonce(b"a", b"x"), nonces[0]);
    }

    #[test]
    fn keys_have_numbers_and_do_not_show() {
        let keys = Keyring::new(1, &[1; 32]).with(2, &[2; 32]);
        assert_eq!((keys.current(), *keys.key(1).unwrap()), (2, [1; 32]));
        assert!(matches!(keys.key(3), Err(Error::AtRest { .. })));
        assert_eq!(format!("{keys:?} {:?}", Cipher::new(&[1; 32])), "Keyring([1, 2]) Cipher");
    }
}
