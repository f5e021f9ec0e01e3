//! A journal, or anything else that is kept, encrypted at rest with a key that the caller holds.
//!
//! The caller's [`Cipher`] seals bytes for a place and opens them again: an AEAD with a key from a token, a key server, a vault. Every
//! part of a journal is sealed for its own path, so one cannot be put in another's place; the tail is sealed entry by entry, each for
//! its number. What remains to be seen from outside is which parts there are, and how long.
//!
//! Tail: for each entry `u32` length, big-endian, then what the cipher made of it. Sources: RFC 5116 §2 (AEAD, associated data).

use std::cell::Cell;

use crate::Error;
use crate::storage::{Part, Storage};

/// Seals and opens bytes with a key that is the caller's business.
pub trait Cipher: core::fmt::Debug {
    /// The bytes, sealed: encrypted and authenticated together with the place, under a nonce that is used once.
    ///
    /// # Errors
    /// Whatever keeps the key from being used.
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, Error>;

    /// The bytes, if they were sealed for this place with this key; `None` otherwise.
    ///
    /// # Errors
    /// Whatever keeps the key from being used.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error>;
}

/// A store whose parts are sealed.
///
/// Snapshots of a guard are bytes: seal them with the cipher itself.
#[derive(Debug)]
pub struct Encrypted<S, C> {
    storage: S,
    cipher: C,
    /// Number of the next piece of the tail.
    next: Cell<u64>,
}

impl<S: Storage, C: Cipher> Encrypted<S, C> {
    /// Keeps in `storage` what `cipher` has sealed.
    #[must_use]
    pub fn new(storage: S, cipher: C) -> Self {
        Self { storage, cipher, next: Cell::new(0) }
    }

    /// The store beneath.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.storage
    }

    fn piece(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let number = self.next.get();
        let sealed = self.cipher.seal(&place(number), plain)?;
        self.next.set(number + 1);
        // Lengths of entries fit in 16 bits.
        Ok([&(sealed.len() as u32).to_be_bytes()[..], &sealed].concat())
    }

    /// The tail up to the first piece that is torn or altered, and what follows as it is: whoever reads it sees that it is no entry.
    fn open_tail(&self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let (mut plain, mut rest, mut number) = (Vec::new(), sealed, 0);
        while let Some((length, after)) = rest.split_first_chunk() {
            let Some((piece, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
            let Some(opened) = self.cipher.open(&place(number), piece)? else { break };
            plain.extend_from_slice(&opened);
            (rest, number) = (after, number + 1);
        }
        self.next.set(number);
        plain.extend_from_slice(rest);
        Ok(plain)
    }
}

fn place(number: u64) -> String {
    format!("{}/{number}", Part::Tail.path())
}

impl<S: Storage, C: Cipher> Storage for Encrypted<S, C> {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        let Some(sealed) = self.storage.read(part)? else { return Ok(None) };
        if part == Part::Tail {
            return self.open_tail(&sealed).map(Some);
        }
        let opened = self.cipher.open(&part.path(), &sealed)?;
        let damaged = || Error::Damaged {
            path: part.path(),
            leaf: part.first_leaf(),
            reason: "it was not sealed with this key for this place",
        };
        opened.ok_or_else(damaged).map(Some)
    }

    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        let sealed = match part {
            Part::Tail => {
                self.next.set(0);
                self.piece(bytes)?
            }
            part => self.cipher.seal(&part.path(), bytes)?,
        };
        self.storage.replace(part, &sealed)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let piece = self.piece(bytes)?;
        self.storage.append(&piece)
    }

    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        self.storage.remove_partial(full)
    }

    fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.storage.remove(part)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.storage.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;
    use crate::{Journal, SigningKey, journal};
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use twinguard_types::{Label, Timestamp};

    /// XChaCha20-Poly1305 with nonces that are counted: good enough where nothing outlives the test.
    struct Vault {
        key: XChaCha20Poly1305,
        used: Cell<u64>,
    }

    impl core::fmt::Debug for Vault {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("Vault")
        }
    }

    fn vault(seed: u8, used: u64) -> Vault {
        Vault { key: XChaCha20Poly1305::new(&[seed; 32].into()), used: Cell::new(used) }
    }

    impl Cipher for Vault {
        fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
            self.used.set(self.used.get() + 1);
            let mut nonce = [0; 24];
            nonce[..8].copy_from_slice(&self.used.get().to_le_bytes());
            let payload = Payload { msg: plain, aad: place.as_bytes() };
            let sealed = self.key.encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Broken)?;
            Ok([&nonce[..], &sealed].concat())
        }
        fn open(&self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            let Some((nonce, sealed)) = sealed.split_first_chunk::<24>() else { return Ok(None) };
            let payload = Payload { msg: sealed, aad: place.as_bytes() };
            Ok(self.key.decrypt(&XNonce::from(*nonce), payload).ok())
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed("log.example", &[1; 32]).unwrap()
    }

    fn written() -> (Memory, twinguard_types::Digest) {
        let (mut journal, _) = Journal::open(Encrypted::new(Memory::default(), vault(1, 0))).unwrap();
        for n in 0..600i64 {
            journal.push(Label::literal("tick"), Timestamp::from_secs(n), b"a secret word").unwrap();
            if n == 590 {
                journal.checkpoint(&key()).unwrap();
            }
        }
        let root = journal.root();
        (journal.into_storage().into_inner(), root)
    }

    #[test]
    fn nothing_of_an_entry_stands_in_the_store_and_with_the_key_it_is_the_same_journal() {
        let (memory, root) = written();
        for (part, bytes) in memory.parts() {
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", part.path());
        }
        let (again, recovery) = Journal::open(Encrypted::new(memory, vault(1, 10_000))).unwrap();
        assert_eq!((again.root(), recovery.leaves, recovery.dropped_bytes), (root, 600, 0));
        journal::verify(again.storage(), key().public()).unwrap();
        let mut again = again;
        again.push(Label::literal("tick"), Timestamp::from_secs(600), b"one more").unwrap();
        let (last, _) = Journal::open(again.into_storage()).unwrap();
        assert_eq!(last.size(), 601);
        assert!(Journal::open(Encrypted::new(last.into_storage().into_inner(), vault(2, 0))).is_err());
    }

    #[test]
    fn parts_in_another_place_and_flipped_bits_are_refused() {
        let (memory, _) = written();
        let part = |index| Part::Entries { index, width: None };
        let mut swapped = memory.clone();
        swapped.set(part(0), memory.read(part(1)).unwrap());
        let swapped = Encrypted::new(swapped, vault(1, 0));
        assert!(matches!(journal::verify(&swapped, key().public()), Err(Error::Damaged { .. })));
        for (part, bytes) in memory.parts() {
            for bit in (0..bytes.len() * 8).step_by(bytes.len() / 4 + 1) {
                let (mut flipped, mut copy) = (bytes.to_vec(), memory.clone());
                flipped[bit / 8] ^= 1 << (bit % 8);
                copy.set(part, Some(flipped));
                assert!(journal::verify(&Encrypted::new(copy, vault(1, 0)), key().public()).is_err(), "{}", part.path());
            }
        }
    }

    #[test]
    fn a_torn_tail_opens_as_a_beginning() {
        let (memory, _) = written();
        let tail = memory.read(Part::Tail).unwrap().unwrap();
        for end in (0..tail.len()).step_by(37) {
            let mut copy = memory.clone();
            copy.set(Part::Tail, Some(tail[..end].to_vec()));
            let (opened, _) = Journal::open(Encrypted::new(copy, vault(1, 10_000))).unwrap();
            assert!((591..=600).contains(&opened.size()), "{} at {end}", opened.size());
        }
    }
}
