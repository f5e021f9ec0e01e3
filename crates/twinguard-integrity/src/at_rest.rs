//! Journals and snapshots that nobody reads without a key, wherever they are kept.
//!
//! [`Encrypted`] stands between a journal and its storage; [`encrypt`] and [`decrypt`] are for single pieces such as a guard's
//! snapshot. Each piece is bound to its place (which journal, which part), so that pieces cannot be exchanged; an entry of the tail is
//! bound to all before it as well. What stays visible is how much there is: the names and lengths of the parts, and so the number of
//! entries and about how long they are.
//!
//! Encryption hides, and shows changes to whoever has the key. What keeps the holder of the key from changing the journal are its
//! checkpoints, as ever. An older state of everything together is found with a checkpoint that was kept elsewhere, as ever.
//!
//! ```text
//! part:      "TGREST1\n", u32 number of the key, nonce (24 bytes), encrypted bytes, tag (16 bytes)
//! tail:      "TGREST1\n", u32 number of the key, then records: u32 length of what follows, nonce, encrypted bytes, tag
//! bound to:  head (12 bytes), u32 length of the journal's name, name, path of the part; in a tail the tag of the record before
//! ```
//! Sources: those of the cipher stand in its module; D. McGrew, RFC 5116 §2.1 (associated data).

use crate::Error;
use crate::cipher::{Cipher, OVERHEAD, TAG};
use crate::storage::{Part, Storage};

pub use crate::cipher::{Keyring, RestKeys};

const MAGIC: [u8; 8] = *b"TGREST1\n";
/// Magic and number of the key.
const HEAD: usize = 12;
const NOT_ENCRYPTED: &str = "it is not encrypted, or ends early";
const OTHER: &str = "its key is another, it belongs elsewhere, or its bytes were changed";

/// Encrypts one piece of data, for example a guard's snapshot, for the place of a name.
///
/// ```
/// use twinguard_integrity::at_rest::{Keyring, decrypt, encrypt};
///
/// let keys = Keyring::new(1, &[7; 32]);
/// let kept = encrypt(&keys, "pump-house/snapshot", b"what a guard knows")?;
/// assert_eq!(decrypt(&keys, "pump-house/snapshot", &kept)?, b"what a guard knows");
/// assert!(decrypt(&keys, "another/snapshot", &kept).is_err());
///
/// let exchanged = keys.with(2, &[8; 32]); // older data stay readable as long as their key is there
/// assert_eq!(decrypt(&exchanged, "pump-house/snapshot", &kept)?, b"what a guard knows");
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
///
/// # Errors
/// As [`RestKeys::key`]; [`Error::AtRest`] for more than 256 GiB.
pub fn encrypt(keys: &impl RestKeys, name: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let number = keys.current();
    seal(&Cipher::new(&*keys.key(number)?), &head(number), name, "", plain)
}

/// The content of what [`encrypt`] made for the same name.
///
/// # Errors
/// [`Error::AtRest`] for bytes that are not encrypted, under another key, of another name, or changed; as [`RestKeys::key`].
pub fn decrypt(keys: &impl RestKeys, name: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    open(keys, name, "", bytes)
}

/// A storage whose parts are encrypted before they are kept in another one.
///
/// ```
/// use twinguard_integrity::at_rest::{Encrypted, Keyring};
/// use twinguard_integrity::storage::Memory;
/// use twinguard_integrity::{Journal, SigningKey, journal};
/// use twinguard_types::{Label, Timestamp};
///
/// let key = SigningKey::from_seed("pump-house.example/journal", &[7; 32])?;
/// let keys = Keyring::new(1, &[9; 32]);
/// let (mut journal, _) = Journal::open(Encrypted::new(Memory::default(), keys, "pump-house.example/journal")?)?;
/// journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
/// journal.checkpoint(&key)?;
/// journal::verify(journal.storage(), key.public())?;
///
/// let kept = journal.into_storage().into_inner();
/// assert!(kept.parts().all(|(_, bytes)| !bytes.windows(4).any(|part| part == b"deny")));
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Debug)]
pub struct Encrypted<S, K> {
    storage: S,
    keys: K,
    journal: Box<str>,
    number: u32,
    cipher: Cipher,
    /// The end of the tail, once it was written or read.
    tail: Option<TailEnd>,
    record: Vec<u8>,
}

/// What the next record of a tail is bound to.
#[derive(Debug)]
struct TailEnd {
    head: [u8; HEAD],
    /// Of an older key, where the tail began under it.
    cipher: Option<Cipher>,
    last: [u8; TAG],
}

impl<S: Storage, K: RestKeys> Encrypted<S, K> {
    /// Keeps the parts of the journal of this name in `storage`, encrypted under the present key. An exchanged key is taken up by the
    /// next `Encrypted` that is made; parts under older ones stay as they are.
    ///
    /// # Errors
    /// As [`RestKeys::key`].
    pub fn new(storage: S, keys: K, journal: &str) -> Result<Self, Error> {
        let number = keys.current();
        let cipher = Cipher::new(&*keys.key(number)?);
        Ok(Self { storage, keys, journal: journal.into(), number, cipher, tail: None, record: Vec::new() })
    }

    /// Where the encrypted parts are kept.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.storage
    }

    /// The store of the encrypted parts back.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.storage
    }

    /// Content of the tail up to the first record that is torn or changed, then as many zeros as bytes follow it: no entry, so that
    /// the journal drops them, and counts them.
    fn read_tail(&self, bytes: &[u8]) -> Result<(Vec<u8>, TailEnd), Error> {
        let place = || self.place(Part::Tail);
        let head = head_of(bytes).ok_or_else(|| refuse(place(), NOT_ENCRYPTED))?;
        let number = number_of(&head);
        let other = (number != self.number).then(|| self.keys.key(number).map(|key| Cipher::new(&key)));
        let cipher = other.transpose()?;
        let mut end = TailEnd { head, cipher, last: [0; TAG] };
        let mut rest = bytes.get(HEAD..).unwrap_or_default();
        let mut plain = Vec::with_capacity(bytes.len());
        while let Some((record, after)) = next_record(rest) {
            let bound = self.bound_in_tail(&end);
            let Some((content, tag)) = end.cipher.as_ref().unwrap_or(&self.cipher).decrypt(&bound, record)
            else {
                break;
            };
            plain.extend_from_slice(&content);
            (end.last, rest) = (tag, after);
        }
        // The first record is put in place whole, with the head: without it the key is another or the file is.
        if end.last == [0; TAG] {
            return Err(refuse(place(), OTHER));
        }
        plain.resize(plain.len() + rest.len(), 0);
        Ok((plain, end))
    }

    fn place(&self, part: Part) -> String {
        format!("{} of {}", part.path(), Error::shown(&self.journal))
    }

    fn bound_in_tail(&self, end: &TailEnd) -> Vec<u8> {
        let mut bound = bound(&end.head, &self.journal, &Part::Tail.path());
        bound.extend_from_slice(&end.last);
        bound
    }

    /// Fills `record` with the next record of the tail, and moves its end on.
    fn next_tail_record(&mut self, end: &mut TailEnd, plain: &[u8]) -> Result<(), Error> {
        let bound = self.bound_in_tail(end);
        let length = u32::try_from(plain.len().saturating_add(OVERHEAD));
        let length = length.map_err(|_| refuse(self.place(Part::Tail), "a record is too large"))?;
        self.record.extend_from_slice(&length.to_be_bytes());
        let cipher = end.cipher.as_ref().unwrap_or(&self.cipher);
        end.last = cipher.encrypt(&bound, plain, &mut self.record)?;
        Ok(())
    }
}

impl<S: Storage, K: RestKeys> Storage for Encrypted<S, K> {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        let Some(bytes) = self.storage.read(part)? else { return Ok(None) };
        match part {
            Part::Tail => self.read_tail(&bytes).map(|(plain, _)| Some(plain)),
            part => open(&self.keys, &self.journal, &part.path(), &bytes).map(Some),
        }
    }

    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        let head = head(self.number);
        if part != Part::Tail {
            let sealed = seal(&self.cipher, &head, &self.journal, &part.path(), bytes)?;
            return self.storage.replace(part, &sealed);
        }
        let mut end = TailEnd { head, cipher: None, last: [0; TAG] };
        self.record.clear();
        self.record.extend_from_slice(&head);
        self.next_tail_record(&mut end, bytes)?;
        self.tail = None;
        self.storage.replace(part, &self.record)?;
        self.tail = Some(end);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut end = match self.tail.take() {
            Some(end) => end,
            None => match self.storage.read(Part::Tail)? {
                None => return self.replace(Part::Tail, bytes),
                Some(kept) => self.read_tail(&kept)?.1,
            },
        };
        self.record.clear();
        self.next_tail_record(&mut end, bytes)?;
        self.storage.append(&self.record)?;
        self.tail = Some(end);
        Ok(())
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

fn head(number: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (slot, byte) in head.iter_mut().zip(MAGIC.into_iter().chain(number.to_be_bytes())) {
        *slot = byte;
    }
    head
}

/// The head of encrypted bytes.
fn head_of(bytes: &[u8]) -> Option<[u8; HEAD]> {
    bytes.first_chunk::<HEAD>().copied().filter(|head| head.starts_with(&MAGIC))
}

fn number_of(head: &[u8; HEAD]) -> u32 {
    head.last_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// A record of a tail, without its length, and what follows it.
fn next_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn bound(head: &[u8; HEAD], name: &str, path: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    [head.as_slice(), &length.to_be_bytes(), name.as_bytes(), path.as_bytes()].concat()
}

fn seal(cipher: &Cipher, head: &[u8; HEAD], name: &str, path: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(HEAD + OVERHEAD + plain.len());
    out.extend_from_slice(head);
    cipher.encrypt(&bound(head, name, path), plain, &mut out)?;
    Ok(out)
}

fn open(keys: &impl RestKeys, name: &str, path: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let place = || match path {
        "" => Error::shown(name),
        path => format!("{path} of {}", Error::shown(name)),
    };
    let head = head_of(bytes).ok_or_else(|| refuse(place(), NOT_ENCRYPTED))?;
    let cipher = Cipher::new(&*keys.key(number_of(&head))?);
    let content = cipher.decrypt(&bound(&head, name, path), bytes.get(HEAD..).unwrap_or_default());
    content.map(|(plain, _)| plain).ok_or_else(|| refuse(place(), OTHER))
}

fn refuse(place: String, reason: &'static str) -> Error {
    Error::AtRest { place, reason }
}
