//! The journal: every decision, in order, in a tree that cannot be changed without notice.
//!
//! Layout: C2SP tlog-tiles (tiles of hashes, bundles of entries, a checkpoint), so any reader of such logs reads it. Beside
//! them stands the tail, our own append log of the entries since the last full bundle.
//!
//! The order of writes makes any interruption leave a beginning of the journal: an entry goes to the tail first; a full
//! bundle and its tiles are put in place whole before the tail starts anew; a checkpoint is signed only for entries that
//! were made to last. The root depends on the entries alone, not on batches or checkpoints.
//!
//! Sources: C2SP tlog-tiles, tlog-checkpoint v1.0.0; RFC 6962 §2.1.

use twinguard_types::{Digest, Label, Receipt, Timestamp};

use crate::checkpoint::LogProof;
use crate::merkle::{self, Frontier, Nodes, leaf_hash, root_of};
use crate::storage::{Memory, Part, Storage, TILE_WIDTH, bundle_entries, hashes, tile_bytes};
use crate::tail::{Tail, record_head, tail_header};
use crate::{Checkpoint, Error, Form, Leaf, SigningKey};

pub use crate::audit::{Archive, Report, signed, verify, verify_against};

/// Tile levels of a tree of up to 2⁶⁴ leaves.
const LEVELS: u32 = 8;
/// Height of a tile's tree.
const TILE_HEIGHT: usize = 8;

/// An append-only journal.
///
/// ```
/// use twinguard_integrity::{Journal, SigningKey, journal};
/// use twinguard_types::{Label, Timestamp};
///
/// let key = SigningKey::from_seed("pump-house.example/journal", &[7; 32])?;
/// let mut journal = Journal::in_memory();
/// let receipt = journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
/// assert_eq!((receipt.leaf, receipt.root), (0, journal.root()));
///
/// journal.checkpoint(&key)?;
/// let report = journal::verify(journal.storage(), key.public())?;
/// assert_eq!((report.checkpoint.size, report.checkpoint.root), (1, receipt.root));
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Journal<S = Memory> {
    storage: S,
    frontier: Frontier,
    /// Hashes of the tile that is being filled, for each level.
    levels: Vec<Vec<Digest>>,
    /// Root of the tile that was filled last.
    tile_root: Digest,
    /// The bundle that is being filled.
    bundle: Vec<u8>,
    record: Vec<u8>,
    checkpoint: Option<Checkpoint>,
    /// Size and root as of the last time that everything was made to last.
    kept: (u64, Digest),
    broken: bool,
}

/// What opening a journal found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Leaves that are there.
    pub leaves: u64,
    /// Bytes after the last whole entry, dropped: an append that was interrupted.
    pub dropped_bytes: u64,
    /// Leaves of the last checkpoint, if there is one.
    pub signed: Option<u64>,
}

impl Journal<Memory> {
    /// A new journal in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        let mut storage = Memory::default();
        storage.set(Part::Tail, Some(tail_header(0).to_vec()));
        Self::empty(storage)
    }
}

impl Default for Journal<Memory> {
    fn default() -> Self {
        Self::in_memory()
    }
}

impl<S: Storage> Journal<S> {
    fn empty(storage: S) -> Self {
        Self {
            storage,
            frontier: Frontier::default(),
            levels: (0..LEVELS).map(|_| Vec::new()).collect(),
            tile_root: Digest::default(),
            bundle: Vec::new(),
            record: Vec::new(),
            checkpoint: None,
            kept: (0, Frontier::default().root()),
            broken: false,
        }
    }

    /// Opens a journal where one is kept, or begins one there.
    ///
    /// What an interrupted write left behind is completed or dropped; what a checkpoint vouches for must be there, unchanged.
    ///
    /// # Errors
    /// [`Error::Truncated`] for fewer leaves than the last checkpoint signed, [`Error::Forked`] for other ones,
    /// [`Error::Missing`] and [`Error::Damaged`] for parts without which the journal cannot go on, [`Error::Text`] for a
    /// checkpoint that is none, [`Error::Io`].
    pub fn open(storage: S) -> Result<(Self, Recovery), Error> {
        let mut journal = Self::empty(storage);
        let recovery = journal.load(true)?;
        journal.kept = (journal.size(), journal.root());
        Ok((journal, recovery))
    }

    /// Whether a write failed: nothing is entered any more, until [`Journal::mend`] succeeds.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// After a write that failed: takes up what the storage holds, as [`Journal::open`] does, and goes on behind it. What was
    /// made to last by [`Journal::sync`] or a checkpoint has to be there unchanged; what was entered after that may be lost, and the
    /// size tells. Try again when it fails: nothing is entered until it succeeds.
    ///
    /// ```
    /// use twinguard_integrity::Journal;
    /// use twinguard_types::{Label, Timestamp};
    ///
    /// let mut journal = Journal::in_memory();
    /// journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
    /// assert!(!journal.is_broken());
    /// assert_eq!(journal.mend()?.leaves, 1, "nothing was lost");
    /// # Ok::<(), twinguard_integrity::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Journal::open`]; [`Error::Truncated`] and [`Error::Forked`] also where what was made to last is not there.
    pub fn mend(&mut self) -> Result<Recovery, Error> {
        self.broken = true;
        self.frontier = Frontier::default();
        self.levels.iter_mut().for_each(Vec::clear);
        self.tile_root = Digest::default();
        self.bundle.clear();
        // The storage may still hold bytes back that it could not write: a new tail leaves them behind.
        let recovery = self.load(false)?;
        let (size, root) = self.kept;
        if self.size() < size {
            return Err(Error::Truncated { leaves: self.size(), signed: size });
        }
        if self.root_at(size)? != root {
            return Err(Error::Forked { size });
        }
        self.broken = false;
        Ok(recovery)
    }

    /// Takes up what the storage holds; a tail that is right is left as it is where `trusts_tail` says so.
    fn load(&mut self, trusts_tail: bool) -> Result<Recovery, Error> {
        let journal = self;
        let tail = journal.storage.read(Part::Tail)?;
        let tail = tail.as_deref().and_then(Tail::parse);
        journal.checkpoint = read_checkpoint(&journal.storage)?;
        journal.start_at(tail.as_ref().map_or(0, |tail| tail.start))?;
        journal.check_earlier_checkpoint()?;

        // Full bundles that the tail does not know of: put in place before an interruption, or the tail is lost.
        let mut tail_is_right = trusts_tail && tail.is_some();
        loop {
            let part = Part::Entries { index: journal.size() / TILE_WIDTH, width: None };
            let Some(bytes) = journal.storage.read(part)? else { break };
            let entries: Option<Vec<_>> = bundle_entries(&bytes).map(Result::ok).collect();
            let entries = entries.filter(|entries| entries.len() as u64 == TILE_WIDTH);
            for entry in entries.ok_or(damaged(part, "it does not hold 256 entries"))? {
                journal.recover(entry)?;
            }
            journal.roll()?;
            tail_is_right = true;
        }

        let mut dropped_bytes = 0;
        if let Some(tail) = tail.filter(|tail| tail.start == journal.size()) {
            let mut records = tail.records();
            for (entry, _) in records.by_ref().take(TILE_WIDTH as usize) {
                journal.recover(entry)?;
            }
            dropped_bytes = records.rest.len() as u64;
            tail_is_right &= dropped_bytes == 0;
        }
        tail_is_right &= !journal.recover_signed()?;

        // Nothing was written over so far that is not in a bundle as well.
        let signed = journal.checkpoint.as_ref().map(|head| head.size);
        if let Some(signed) = signed.filter(|signed| *signed > journal.size()) {
            return Err(Error::Truncated { leaves: journal.size(), signed });
        }
        if journal.is_full() {
            journal.roll()?;
        } else if !tail_is_right {
            journal.rewrite_tail()?;
        }
        Ok(Recovery { leaves: journal.size(), dropped_bytes, signed })
    }

    /// Enters something, and gives the receipt for it.
    ///
    /// # Errors
    /// [`Error::Leaf`] for a body or kind that cannot be entered; [`Error::Io`] and, after it, [`Error::Broken`].
    pub fn append(&mut self, kind: Label, at: Timestamp, body: &[u8]) -> Result<Receipt, Error> {
        let (leaf, leaf_hash) = self.push(kind, at, body)?;
        Ok(Receipt { leaf, leaf_hash, root: self.root() })
    }

    /// Enters one item of deterministic CBOR, see [`cbor`](crate::cbor), and gives the receipt for it.
    ///
    /// # Errors
    /// As [`Journal::append`]; [`Error::Leaf`] for bytes that are not such an item.
    pub fn append_item(&mut self, kind: Label, at: Timestamp, item: &[u8]) -> Result<Receipt, Error> {
        let (leaf, leaf_hash) = self.enter(&Leaf { kind, at, form: Form::Item, body: item })?;
        Ok(Receipt { leaf, leaf_hash, root: self.root() })
    }

    /// [`Journal::append`] without the root, which costs a hash for every bit that the size has set: for bulk.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn push(&mut self, kind: Label, at: Timestamp, body: &[u8]) -> Result<(u64, Digest), Error> {
        self.enter(&Leaf { kind, at, form: Form::Bytes, body })
    }

    pub(crate) fn enter(&mut self, leaf: &Leaf<'_>) -> Result<(u64, Digest), Error> {
        const HEAD: usize = 2 + 4;
        self.ready()?;
        let mut record = core::mem::take(&mut self.record);
        record.clear();
        record.resize(HEAD, 0);
        let encoded = leaf.encode_into(&mut record);
        let index = self.size();
        let result = encoded.and_then(|()| {
            let (head, entry) = record.split_at_mut(HEAD);
            let hash = leaf_hash(entry);
            head.copy_from_slice(&record_head(entry, &hash));
            self.guarded(|journal| journal.storage.append(&record))?;
            Ok(hash)
        });
        let result = result.map(|hash| {
            self.take_in(record.get(HEAD..).unwrap_or_default(), hash);
            (index, hash)
        });
        self.record = record;
        let receipt = result?;
        if self.is_full() {
            self.guarded(Self::roll)?;
        }
        Ok(receipt)
    }

    /// Makes everything entered so far last, as the store understands it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Broken`].
    pub fn sync(&mut self) -> Result<(), Error> {
        self.ready()?;
        self.guarded(|journal| journal.storage.sync())?;
        self.kept = (self.size(), self.root());
        Ok(())
    }

    /// Signs the journal as it stands, under the key's name, and keeps the signed note. Makes everything last first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Broken`]; [`Error::Text`] for a key whose name cannot be an origin.
    pub fn checkpoint(&mut self, key: &SigningKey) -> Result<String, Error> {
        self.ready()?;
        let head = Checkpoint::new(key.public().name(), self.size(), self.root());
        let note = head.sign(key)?;
        self.guarded(|journal| {
            journal.storage.sync()?;
            journal.write_partial()?;
            journal.storage.sync()?;
            journal.storage.replace(Part::Checkpoint, note.as_bytes())?;
            journal.storage.sync()
        })?;
        self.kept = (head.size, head.root);
        self.checkpoint = Some(head);
        Ok(note)
    }

    /// Keeps the last checkpoint with further signature lines, as witnesses answer them; see [`crate::Policy`].
    ///
    /// # Errors
    /// As [`note::with_signatures`](crate::note::with_signatures); [`Error::Missing`] without a checkpoint; [`Error::Io`],
    /// [`Error::Broken`].
    pub fn add_cosignatures(&mut self, lines: &str) -> Result<String, Error> {
        self.ready()?;
        let missing = || Error::Missing { path: Part::Checkpoint.path(), leaf: 0 };
        let bytes = self.storage.read(Part::Checkpoint)?.ok_or_else(missing)?;
        let note = String::from_utf8(bytes).map_err(|_| damaged(Part::Checkpoint, "it is not UTF-8"))?;
        let note = crate::note::with_signatures(&note, lines)?;
        self.guarded(|journal| {
            journal.storage.replace(Part::Checkpoint, note.as_bytes())?;
            journal.storage.sync()
        })?;
        Ok(note)
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// The last checkpoint, if there is one.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Where the journal is kept.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The store back, for example to open the journal again.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Proof that a leaf stands in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Missing`], [`Error::Damaged`], [`Error::Io`].
    pub fn inclusion_proof(&self, leaf: u64, size: u64) -> Result<Vec<Digest>, Error> {
        self.within(size)?;
        merkle::inclusion_proof(self, leaf, size)
    }

    /// Proof that the first `old` leaves are the beginning of the first `size`.
    ///
    /// # Errors
    /// As [`Journal::inclusion_proof`].
    pub fn consistency_proof(&self, old: u64, size: u64) -> Result<Vec<Digest>, Error> {
        self.within(size)?;
        merkle::consistency_proof(self, old, size)
    }

    /// Proof for a file: a leaf, its path, and a checkpoint that [`Journal::checkpoint`] gave.
    ///
    /// # Errors
    /// As [`Journal::inclusion_proof`]; [`Error::Text`] for a note that is no checkpoint.
    pub fn prove(&self, leaf: u64, checkpoint: &str) -> Result<LogProof, Error> {
        let head = Checkpoint::unverified(checkpoint)?;
        let path = self.inclusion_proof(leaf, head.size)?;
        Ok(LogProof { index: leaf, path, checkpoint: checkpoint.to_owned(), extra: None })
    }

    /// Entries of the bundle that is being filled.
    pub(crate) fn filling(&self) -> &[u8] {
        &self.bundle
    }

    pub(crate) fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.guarded(|journal| journal.storage.remove(part))
    }

    fn within(&self, size: u64) -> Result<(), Error> {
        if size > self.size() { Err(Error::OutOfRange { asked: size, size: self.size() }) } else { Ok(()) }
    }

    fn ready(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken) } else { Ok(()) }
    }

    /// A write that fails part-way leaves memory and store apart: nothing is written after it.
    fn guarded<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let result = write(self);
        self.broken |= result.is_err();
        result
    }

    fn is_full(&self) -> bool {
        self.levels.first().is_some_and(|hashes| hashes.len() as u64 == TILE_WIDTH)
    }

    fn take_in(&mut self, entry: &[u8], hash: Digest) {
        // Entries are at most 65,535 bytes long, see `Leaf`; those of a bundle or tail by their own length field.
        self.bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
        self.bundle.extend_from_slice(entry);
        if let Some(root) = self.frontier.push_ending(hash, TILE_HEIGHT) {
            self.tile_root = root;
        }
        if let Some(hashes) = self.levels.first_mut() {
            hashes.push(hash);
        }
    }

    /// Puts the full bundle and every tile that it completes in place, then starts the tail anew.
    fn roll(&mut self) -> Result<(), Error> {
        let size = self.size();
        let entries = Part::Entries { index: size / TILE_WIDTH - 1, width: None };
        self.storage.replace(entries, &self.bundle)?;
        let mut full = vec![entries];
        let mut carry = None;
        for (hashes, level) in self.levels.iter_mut().zip(0u8..) {
            hashes.extend(carry.take());
            if (hashes.len() as u64) < TILE_WIDTH {
                break;
            }
            let index = (size >> (8 * (u32::from(level) + 1))) - 1;
            let part = Part::Hashes { level, index, width: None };
            self.storage.replace(part, &tile_bytes(hashes))?;
            full.push(part);
            carry = Some(if level == 0 { self.tile_root } else { root_of(hashes) });
            hashes.clear();
        }
        self.bundle.clear();
        self.rewrite_tail()?;
        full.into_iter().try_for_each(|part| self.storage.remove_partial(part))
    }

    fn rewrite_tail(&mut self) -> Result<(), Error> {
        let start = self.size() / TILE_WIDTH * TILE_WIDTH;
        let mut bytes = tail_header(start).to_vec();
        for entry in bundle_entries(&self.bundle).flatten() {
            bytes.extend_from_slice(&record_head(entry, &leaf_hash(entry)));
            bytes.extend_from_slice(entry);
        }
        self.storage.replace(Part::Tail, &bytes)
    }

    /// Puts the tiles that are being filled in place as they stand, for readers of the coming checkpoint.
    fn write_partial(&mut self) -> Result<(), Error> {
        let size = self.size();
        let width = |hashes: &Vec<Digest>| u8::try_from(hashes.len()).ok().filter(|width| *width > 0);
        if let Some(width) = self.levels.first().and_then(width) {
            let part = Part::Entries { index: size / TILE_WIDTH, width: Some(width) };
            self.storage.replace(part, &self.bundle)?;
        }
        for (hashes, level) in self.levels.iter().zip(0u8..) {
            let Some(width) = width(hashes) else { continue };
            let index = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default();
            self.storage.replace(Part::Hashes { level, index, width: Some(width) }, &tile_bytes(hashes))?;
        }
        Ok(())
    }

    /// Takes up the tree of `size` leaves, a multiple of 256, from its tiles.
    fn start_at(&mut self, size: u64) -> Result<(), Error> {
        for level in (1..LEVELS).rev() {
            let count = size.checked_shr(8 * level).unwrap_or_default();
            let (first, below) = (count / TILE_WIDTH * TILE_WIDTH, (level - 1) as u8);
            let mut roots = Vec::new();
            for index in first..count {
                let root = root_of(&self.full_tile(below, index)?);
                self.frontier.push_subtree(8 * level, root);
                roots.push(root);
            }
            if let Some(hashes) = self.levels.get_mut(level as usize) {
                *hashes = roots;
            }
        }
        Ok(())
    }

    /// A full tile; one of level 0 that is lost is made again from its bundle.
    fn full_tile(&self, level: u8, index: u64) -> Result<Vec<Digest>, Error> {
        let part = Part::Hashes { level, index, width: None };
        if let Some(bytes) = self.storage.read(part)? {
            return hashes(&bytes, TILE_WIDTH).ok_or(damaged(part, "it does not hold 256 hashes"));
        }
        let missing = || Error::Missing { path: part.path(), leaf: part.first_leaf() };
        if level > 0 {
            return Err(missing());
        }
        let bytes = self.storage.read(Part::Entries { index, width: None })?.ok_or_else(missing)?;
        let hashes: Vec<_> = bundle_entries(&bytes).flatten().map(leaf_hash).collect();
        if hashes.len() as u64 == TILE_WIDTH { Ok(hashes) } else { Err(missing()) }
    }

    /// What was signed when the journal was shorter must be its beginning.
    fn check_earlier_checkpoint(&self) -> Result<(), Error> {
        match &self.checkpoint {
            Some(head) if head.size <= self.size() && self.root_at(head.size)? != head.root => {
                Err(Error::Forked { size: head.size })
            }
            _ => Ok(()),
        }
    }

    /// Takes an entry up again, and compares with the checkpoint when its size is reached.
    fn recover(&mut self, entry: &[u8]) -> Result<(), Error> {
        self.take_in(entry, leaf_hash(entry));
        match &self.checkpoint {
            Some(head) if head.size == self.size() && head.root != self.root() => {
                Err(Error::Forked { size: head.size })
            }
            _ => Ok(()),
        }
    }

    /// Takes entries that the tail has lost from the bundle of the last checkpoint; tells whether there were any.
    fn recover_signed(&mut self) -> Result<bool, Error> {
        let Some(signed) = self.checkpoint.as_ref().map(|head| head.size) else { return Ok(false) };
        let (index, width) = (signed / TILE_WIDTH, (signed % TILE_WIDTH) as u8);
        if signed <= self.size() || index != self.size() / TILE_WIDTH || width == 0 {
            return Ok(false);
        }
        let Some(bytes) = self.storage.read(Part::Entries { index, width: Some(width) })? else {
            return Ok(false);
        };
        let known = (self.size() % TILE_WIDTH) as usize;
        for entry in bundle_entries(&bytes).map_while(Result::ok).take(width.into()).skip(known) {
            self.recover(entry)?;
        }
        Ok(true)
    }
}

impl<S: Storage> Nodes for Journal<S> {
    fn node(&self, height: u32, index: u64) -> Result<Digest, Error> {
        let (level, inner) = ((height / 8) as u8, height % 8);
        let first = index << inner;
        let tile = first / TILE_WIDTH;
        let filling = self.size().checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default();
        let read;
        let hashes = if tile == filling {
            self.levels.get(usize::from(level)).map(Vec::as_slice).unwrap_or_default()
        } else {
            read = self.full_tile(level, tile)?;
            &read
        };
        let start = (first % TILE_WIDTH) as usize;
        let part = Part::Hashes { level, index: tile, width: None };
        hashes.get(start..start + (1 << inner)).map(root_of).ok_or(damaged(part, "it ends early"))
    }
}

/// The checkpoint as it stands, its signature unchecked.
fn read_checkpoint(storage: &impl Storage) -> Result<Option<Checkpoint>, Error> {
    let Some(bytes) = storage.read(Part::Checkpoint)? else { return Ok(None) };
    let note = str::from_utf8(&bytes).map_err(|_| damaged(Part::Checkpoint, "it is not UTF-8"))?;
    Checkpoint::unverified(note).map(Some)
}

fn damaged(part: Part, reason: &'static str) -> Error {
    Error::Damaged { path: part.path(), leaf: part.first_leaf(), reason }
}
