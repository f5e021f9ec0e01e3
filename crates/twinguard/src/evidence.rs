//! The journal of a guard: every finding, verdict, action and word of a person is a leaf.
//!
//! Source: RFC 9162 §2.1 (Merkle tree), C2SP tlog-tiles and signed-note; the body of a leaf is the record as deterministic
//! CBOR (RFC 8949 §4.2.1) with the names of the JSON form, which [`Evidence::text`] shows to people. Before format 2 it
//! was JSON text, which is read on.

mod body;

use serde::Serialize;
use twinguard_integrity::merkle::verify_consistency;
use twinguard_integrity::storage::{Memory, Part, Storage, TILE_WIDTH};
use twinguard_integrity::{Checkpoint, Journal, Leaf, LogProof, PublicKey, SigningKey, journal};
use twinguard_types::{Action, Digest, Finding, Label, Receipt, Timestamp};

use crate::snapshot::refuse;
use crate::{Config, Error, Verdicted};

/// What the plant's seal said when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Seal {
    /// Root over all sealed files.
    pub root: Digest,
    /// Version in the seal's series.
    pub version: u64,
    /// Whether older versions were ruled out.
    pub rollback_checked: bool,
}

/// What keeps a journal.
pub type JournalStorage = Box<dyn Storage + Send>;

/// Full bundles of entries that are kept in memory where no storage was given.
const BUNDLES: u64 = 64;

/// The latest of a journal, in memory: what is older can be asked of nobody, and its hashes stand in the root.
#[derive(Debug, Default)]
struct Latest(Memory);

impl Storage for Latest {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, twinguard_integrity::Error> {
        self.0.read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), twinguard_integrity::Error> {
        // Bundles and tiles that no kept entry stands under.
        let old = match part {
            Part::Entries { index, width: None } => {
                index.checked_sub(BUNDLES).map(|index| Part::Entries { index, width: None })
            }
            Part::Hashes { level, index, width: None } => {
                index.checked_sub(BUNDLES).map(|index| Part::Hashes { level, index, width: None })
            }
            _ => None,
        };
        if let Some(old) = old {
            self.0.set(old, None);
        }
        self.0.replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), twinguard_integrity::Error> {
        self.0.append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), twinguard_integrity::Error> {
        self.0.remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), twinguard_integrity::Error> {
        self.0.remove(part)
    }
    fn sync(&mut self) -> Result<(), twinguard_integrity::Error> {
        Ok(())
    }
}

/// A guard's journal and what proves it.
#[derive(Debug)]
pub struct Evidence {
    journal: Journal<JournalStorage>,
    /// Whether the latest entries alone are kept.
    latest: bool,
    /// Where the guard went back to, until the journal says so.
    restored: Option<Head>,
    /// What a failure of the storage has cost so far, until the journal says so.
    failed: Option<Failed>,
}

/// What a failure of the storage costs.
#[derive(Clone, Copy, Debug)]
struct Failed {
    /// Leaves that were there when it began.
    entered: u64,
    /// What could not be entered since.
    missed: u64,
}

/// What the journal says of it.
#[derive(Serialize)]
struct Hole {
    /// Leaves before this one that were entered, and that the storage does not hold.
    lost: u64,
    /// What could not be entered.
    missed: u64,
}

/// How far a journal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub(crate) struct Head {
    size: u64,
    root: Digest,
}

#[derive(Serialize)]
struct Start<'a> {
    plant: &'a str,
    plant_digest: Digest,
    seal: Option<Seal>,
    config: &'a Config,
    format: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Head>,
}

/// Version of the records in the leaves.
const FORMAT: u32 = 2;

impl Evidence {
    /// Opens a journal in a storage (in memory, where none is given) and enters how the guard starts.
    pub(crate) fn open(storage: Option<JournalStorage>) -> Result<Self, Error> {
        let latest = storage.is_none();
        let storage = storage.unwrap_or_else(|| Box::new(Latest::default()));
        let (journal, _) = Journal::open(storage)?;
        Ok(Self { journal, latest, restored: None, failed: None })
    }

    /// Whether the journal stands just where a snapshot left it; if it went on since, or is a new one in memory, its next entry says so.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for a storage that was `given` and does not hold what the snapshot speaks of.
    pub(crate) fn resume(&mut self, given: bool, head: Head) -> Result<bool, Error> {
        if self.head() == head {
            return Ok(true);
        }
        if given && !self.began_with(head)? {
            let Head { size, root } = head;
            return Err(refuse(format!(
                "the storage does not hold its journal of {size} leaves with root {root}"
            )));
        }
        self.restored = Some(head);
        Ok(false)
    }

    /// Whether the journal once stood there.
    fn began_with(&self, head: Head) -> Result<bool, Error> {
        let now = self.head();
        if head.size == 0 || head.size >= now.size {
            return Ok(head.size == 0);
        }
        let proof = self.journal.consistency_proof(head.size, now.size)?;
        Ok(verify_consistency((head.size, &head.root), (now.size, &now.root), &proof).is_ok())
    }

    pub(crate) fn head(&self) -> Head {
        Head { size: self.size(), root: self.root() }
    }

    pub(crate) fn start(
        &mut self,
        at: Timestamp,
        plant: &str,
        plant_digest: Digest,
        seal: Option<Seal>,
        config: &Config,
    ) -> Result<Receipt, Error> {
        let restored = self.restored;
        let receipt =
            self.enter("start", at, &Start { plant, plant_digest, seal, config, format: FORMAT, restored })?;
        self.restored = None;
        Ok(receipt)
    }

    pub(crate) fn finding(&mut self, at: Timestamp, finding: &Finding) -> Result<Receipt, Error> {
        self.enter("finding", at, finding)
    }

    pub(crate) fn verdict(&mut self, at: Timestamp, verdict: &Verdicted) -> Result<Receipt, Error> {
        self.enter("verdict", at, verdict)
    }

    pub(crate) fn action(&mut self, at: Timestamp, action: &Action) -> Result<Receipt, Error> {
        self.enter("action", at, action)
    }

    /// What a person or the platform said.
    pub(crate) fn word(
        &mut self,
        at: Timestamp,
        kind: &'static str,
        record: &impl Serialize,
    ) -> Result<Receipt, Error> {
        self.enter(kind, at, record)
    }

    fn enter(
        &mut self,
        kind: &'static str,
        at: Timestamp,
        record: &impl Serialize,
    ) -> Result<Receipt, Error> {
        let item = body::encode(record)?;
        let entered = self.journal.append_item(Label::literal(kind), at, &item);
        if entered.is_err()
            && let Some(failed) = self.failing()
        {
            failed.missed += 1;
        }
        Ok(entered?)
    }

    /// What the storage's failure costs, if there is one.
    fn failing(&mut self) -> Option<&mut Failed> {
        let entered = self.journal.size();
        self.journal.is_broken().then(|| self.failed.get_or_insert(Failed { entered, missed: 0 }))
    }

    /// After a failure of the storage, when it may work again: takes up what it holds and enters, as `hole`, what is missing:
    /// leaves that it lost, and how much could not be entered meanwhile. `None` where nothing had failed. What was made to last
    /// before has to be there unchanged.
    ///
    /// # Errors
    /// [`Error::Integrity`] as long as the storage fails, or when it does not hold what was made to last; nothing is entered then, and it
    /// can be tried again.
    pub fn mend(&mut self, at: Timestamp) -> Result<Option<Receipt>, Error> {
        let Some(Failed { entered, .. }) = self.failing().copied() else { return Ok(None) };
        let leaves = self.journal.mend()?.leaves;
        let missed = self.failed.map_or(0, |failed| failed.missed);
        let receipt = self.enter("hole", at, &Hole { lost: entered.saturating_sub(leaves), missed })?;
        self.sync()?;
        self.failed = None;
        Ok(Some(receipt))
    }

    /// What an entry says, as JSON text for people, of this and of earlier formats.
    ///
    /// # Errors
    /// [`Error::Body`] for an entry that no guard wrote.
    pub fn text(leaf: &Leaf<'_>) -> Result<String, Error> {
        body::text(leaf)
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.journal.size()
    }

    /// The first leaf that is still kept: 0 in a storage of your own. Without one the latest 16,384 and a few more are kept in
    /// memory; older ones cannot be proved or verified any more, while the root goes on to cover them.
    #[must_use]
    pub fn first_kept(&self) -> u64 {
        let kept = BUNDLES * TILE_WIDTH;
        if self.latest { (self.size() / TILE_WIDTH * TILE_WIDTH).saturating_sub(kept) } else { 0 }
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.journal.root()
    }

    /// Signs the journal as it stands; the key's name is the journal's origin. The note is kept in the storage as well.
    ///
    /// # Errors
    /// [`Error::Integrity`] from the storage, or for a key whose name cannot be an origin.
    pub fn checkpoint(&mut self, key: &SigningKey) -> Result<String, Error> {
        Ok(self.journal.checkpoint(key)?)
    }

    /// Reads the whole journal again and compares it with its signed checkpoint.
    ///
    /// # Errors
    /// [`Error::Integrity`] that says which leaf was edited, reordered or is missing.
    pub fn verify(&self, key: &PublicKey) -> Result<Checkpoint, Error> {
        Ok(journal::verify(self.journal.storage(), key)?.checkpoint)
    }

    /// Proof that a leaf is under a signed checkpoint, to be checked offline.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a leaf beyond the checkpoint or a part of the storage that is gone.
    pub fn prove(&self, leaf: u64, checkpoint: &str) -> Result<LogProof, Error> {
        Ok(self.journal.prove(leaf, checkpoint)?)
    }

    /// Makes everything so far last, as the storage can.
    ///
    /// # Errors
    /// [`Error::Integrity`] from the storage.
    pub fn sync(&mut self) -> Result<(), Error> {
        let synced = self.journal.sync();
        self.failing();
        Ok(synced?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_entered_can_be_proved_and_not_changed() {
        let mut evidence = Evidence::open(None).unwrap();
        let config = Config::default();
        for secs in 0..5 {
            evidence.start(Timestamp::from_secs(secs), "plant", Digest::default(), None, &config).unwrap();
        }
        let key = SigningKey::from_seed("plant.example/journal", &[1; 32]).unwrap();
        let note = evidence.checkpoint(&key).unwrap();
        assert_eq!(evidence.verify(key.public()).unwrap().size, 5);
        evidence.prove(3, &note).unwrap();
        let other = SigningKey::from_seed("plant.example/journal", &[2; 32]).unwrap();
        assert!(evidence.verify(other.public()).is_err());
    }
}
