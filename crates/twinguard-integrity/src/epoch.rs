//! Keys that are exchanged and erased: whoever steals the present one cannot rewrite what was entered under an earlier one.
//!
//! At the end of an epoch the key that signs checkpoints hands over to the next: it signs how long the journal is, its root, and
//! the new public key; that note becomes an entry, and the old key is erased. A journal is verified from the first key on: each
//! handing over must be signed by the key before, over the very tree that stands before it, and the checkpoint by the last. An
//! insider with the present key can therefore add lies, but change nothing from before they had it.
//!
//! ```text
//! twinguard epoch 1
//! <name of the log: the keys' name>
//! <number of the epoch that begins: 2 for the first handing over>
//! <leaves before this entry> <root over them, base64>
//! <the new key, as name+id+base64>
//!
//! <signature line of the old key>
//! ```
//! Sources: M. Bellare, B. Yee, "Forward integrity for secure audit logs", 1997; B. Schneier, J. Kelsey, "Secure audit logs to
//! support computer forensics", ACM TISSEC 2(2), 1999; C2SP signed-note.

use twinguard_types::{Receipt, Timestamp};

use crate::chain::HEADER;
use crate::storage::Storage;
use crate::{Error, Journal, SigningKey, base64, note};

pub use crate::audit::{EpochReport, follow, verify_epochs as verify};
pub use crate::chain::{KIND, next_key};

impl<S: Storage> Journal<S> {
    /// Ends an epoch: the old key hands over to the new one, and the new one signs a checkpoint, kept in the storage.
    ///
    /// Store the new key **before** this call and erase the old one **after** it: an interruption in between leaves both, and
    /// [`follow`] says which of them the journal goes on with. Dropping a [`SigningKey`] wipes it from memory.
    ///
    /// ```
    /// use twinguard_integrity::{Journal, SigningKey, epoch};
    /// use twinguard_types::{Label, Timestamp};
    ///
    /// let first = SigningKey::from_seed("pump-house.example/journal", &[7; 32])?;
    /// let pinned = first.public().clone();
    /// let mut journal = Journal::in_memory();
    /// journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
    /// let second = epoch::next_key(&first, &[9; 32])?;
    /// journal.hand_over(&first, &second, 2, Timestamp::from_secs(2))?;
    /// drop(first);
    ///
    /// let report = epoch::verify(journal.storage(), &pinned)?;
    /// assert_eq!((report.epoch, &report.key), (2, second.public()));
    /// # Ok::<(), twinguard_integrity::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Journal::append`] and [`Journal::checkpoint`]; [`Error::Epoch`] for keys of two names, or one key twice.
    pub fn hand_over(
        &mut self,
        old: &SigningKey,
        new: &SigningKey,
        epoch: u64,
        at: Timestamp,
    ) -> Result<Receipt, Error> {
        if old.public().name() != new.public().name() || old.public().id() == new.public().id() {
            return Err(Error::Epoch { epoch, reason: "its key is the old one, or has another name" });
        }
        let (size, root) = (self.size(), base64::encode(&self.root().0));
        let text = format!("{HEADER}\n{}\n{epoch}\n{size} {root}\n{}\n", old.public().name(), new.public());
        let receipt = self.append(KIND, at, note::sign(&text, old)?.as_bytes())?;
        self.checkpoint(new)?;
        Ok(receipt)
    }
}
