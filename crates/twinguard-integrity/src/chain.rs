//! How keys follow one another in a journal: the entries in which one hands over to the next, read.
//!
//! Written by [`crate::epoch`], whose page shows their text. Source: C2SP signed-note.

use twinguard_types::{Digest, Label};

use crate::checkpoint::{decimal, digest};
use crate::note::Note;
use crate::{Error, PublicKey, SigningKey};

/// Kind of a journal's leaf in which a key hands over to the next.
pub const KIND: Label = Label::literal("epoch");
pub(crate) const HEADER: &str = "twinguard epoch 1";

/// The key of the next epoch, from the present one and 32 fresh random bytes: neither alone tells it.
///
/// With fresh bytes, a thief of the present key does not have the next one either. Without any at hand, 32 zeros still make a
/// chain in which no key tells the ones before.
///
/// # Errors
/// [`Error::Key`], which no key that was made gives.
pub fn next_key(present: &SigningKey, fresh: &[u8; 32]) -> Result<SigningKey, Error> {
    let mut hasher = blake3::Hasher::new_derive_key("twinguard 2026-11 next epoch's key");
    hasher.update(&*present.seed());
    hasher.update(fresh);
    let seed = zeroize::Zeroizing::new(*hasher.finalize().as_bytes());
    SigningKey::from_seed(present.public().name(), &seed)
}

/// The keys of a journal, as far as its entries were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) epoch: u64,
    pub(crate) key: PublicKey,
}

impl Chain {
    /// Takes the entry at `index`, before which stands the tree of this root.
    pub(crate) fn next(&mut self, index: u64, root: &Digest, body: &[u8]) -> Result<(), Error> {
        let epoch = self.epoch.saturating_add(1);
        let refuse = |reason| Error::Epoch { epoch, reason };
        let text = str::from_utf8(body).map_err(|_| refuse("it is not UTF-8"))?;
        let text = Note::parse(text)?.verify(&self.key)?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(refuse("it ends early"));
        if line()? != HEADER || line()? != self.key.name() {
            return Err(refuse("it is not headed as an epoch of this log"));
        }
        if decimal(line()?) != Some(epoch) {
            return Err(refuse("its number is not the next one"));
        }
        let (size, before) =
            line()?.split_once(' ').ok_or(refuse("it does not say what stands before it"))?;
        if decimal(size) != Some(index) || digest(before).as_ref() != Some(root) {
            return Err(refuse("what stands before it is not what was handed over"));
        }
        let key: PublicKey = line()?.parse()?;
        if key.name() != self.key.name() || lines.next().is_some() {
            return Err(refuse("its key has another name, or lines follow it"));
        }
        *self = Self { epoch, key };
        Ok(())
    }
}
