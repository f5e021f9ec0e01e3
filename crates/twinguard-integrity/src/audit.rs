//! Reading a journal that somebody else may have changed.
//!
//! Every entry is hashed again; tiles are compared with what comes out, the root with the signed one. Where they differ,
//! tiles that still lead to the signed root say which leaf was touched.
//!
//! Sources: C2SP tlog-tiles; RFC 9162 §2.1.3.

use twinguard_types::Digest;

use crate::chain::Chain;
use crate::checkpoint::LogProof;
use crate::evidence::{EvidenceBundle, Proved};
use crate::ledger::Ledger;
use crate::merkle::{self, Frontier, Nodes, leaf_hash, root_of, verify_inclusion};
use crate::storage::{Part, Storage, TILE_WIDTH, bundle_entries, hashes, tile_bytes};
use crate::tail::Tail;
use crate::{Checkpoint, Error, Leaf, PublicKey, SplitView};

/// What a check of a whole journal found; that there is one says that nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// The signed head that everything was compared with.
    pub checkpoint: Checkpoint,
    /// Leaves after it, whole, that nobody signed yet.
    pub unsigned: u64,
    /// Leaves whose entries were removed, and the journal says so; their hashes are there.
    pub pruned: u64,
}

/// What a check of a journal found whose keys are exchanged; see [`crate::epoch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochReport {
    /// Number of the present epoch, from 1.
    pub epoch: u64,
    /// Its key.
    pub key: PublicKey,
    /// The check of the journal with that key.
    pub report: Report,
}

/// Checks a whole journal from its first key on: every handing over, then as [`verify`] with the last key.
///
/// # Errors
/// As [`verify`]; [`Error::Epoch`].
pub fn verify_epochs(storage: &impl Storage, first: &PublicKey) -> Result<EpochReport, Error> {
    let (archive, chain, report) = follow_signed(storage, first)?;
    Checkpoint::verify(&archive.note, &chain.key)?;
    Ok(EpochReport { epoch: chain.epoch, key: chain.key, report })
}

/// The number of the present epoch and its key, whether or not that key has signed yet: which of two keys to go on with after an
/// interruption.
///
/// # Errors
/// As [`verify_epochs`], without the signature of the checkpoint.
pub fn follow(storage: &impl Storage, first: &PublicKey) -> Result<(u64, PublicKey), Error> {
    let (_, chain, _) = follow_signed(storage, first)?;
    Ok((chain.epoch, chain.key))
}

fn follow_signed<'a, S: Storage>(
    storage: &'a S,
    first: &PublicKey,
) -> Result<(Archive<'a, S>, Chain, Report), Error> {
    let note = signed(storage)?;
    let archive = Archive { storage, checkpoint: Checkpoint::unverified(&note)?, note };
    if archive.checkpoint.origin != first.name() {
        return Err(Error::UnknownLog { origin: Error::shown(&archive.checkpoint.origin) });
    }
    let mut audit = Audit::new(&archive);
    audit.ledger.chain = Some(Chain { epoch: 1, key: first.clone() });
    let report = audit.run()?;
    let chain = audit.ledger.chain.take();
    let chain = chain.ok_or(Error::Epoch { epoch: 1, reason: "it was not followed" })?;
    Ok((archive, chain, report))
}

/// Checks a whole journal against its checkpoint and a key.
///
/// Says nothing about a journal that was cut back to an older checkpoint of its own: [`verify_against`] does.
///
/// # Errors
/// [`Error::Missing`] without checkpoint or another part; as [`Checkpoint::verify`]; [`Error::Edited`],
/// [`Error::Reordered`], [`Error::Rewritten`], [`Error::Damaged`], [`Error::Leaf`] with the leaf; [`Error::Io`].
pub fn verify(storage: &impl Storage, key: &PublicKey) -> Result<Report, Error> {
    let archive = Archive::open(storage, key)?;
    let mut audit = Audit::new(&archive);
    audit.ledger.signer = Some(key.clone());
    audit.run()
}

/// [`verify`], and that the journal continues what was seen earlier: a checkpoint that was kept elsewhere.
///
/// # Errors
/// As [`verify`]; [`Error::Truncated`] when the journal is now shorter, [`Error::Forked`] when it is another one.
pub fn verify_against(
    storage: &impl Storage,
    key: &PublicKey,
    earlier: &Checkpoint,
) -> Result<Report, Error> {
    let archive = Archive::open(storage, key)?;
    let size = archive.checkpoint.size;
    if size < earlier.size {
        return Err(Error::Truncated { leaves: size, signed: earlier.size });
    }
    let report = verify(storage, key)?;
    if archive.root_at(earlier.size)? != earlier.root {
        return Err(Error::Forked { size: earlier.size });
    }
    Ok(report)
}

/// The checkpoint as it is kept, with all signatures and cosignatures; nothing of it is checked. [`crate::Policy::verify`] does.
///
/// # Errors
/// [`Error::Missing`] without checkpoint; [`Error::Damaged`] for one that is not UTF-8; [`Error::Io`].
pub fn signed(storage: &impl Storage) -> Result<String, Error> {
    let bytes = storage.read(Part::Checkpoint)?;
    let bytes = bytes.ok_or_else(|| Error::Missing { path: Part::Checkpoint.path(), leaf: 0 })?;
    String::from_utf8(bytes).map_err(|_| damaged(Part::Checkpoint, 0, "it is not UTF-8"))
}

/// A journal as its last checkpoint shows it, for proofs; nothing of it is changed.
#[derive(Clone, Debug)]
pub struct Archive<'a, S> {
    storage: &'a S,
    note: String,
    checkpoint: Checkpoint,
}

impl<'a, S: Storage> Archive<'a, S> {
    /// Reads the checkpoint and checks its signature. The leaves are not checked.
    ///
    /// # Errors
    /// [`Error::Missing`] without checkpoint; as [`Checkpoint::verify`]; [`Error::Io`].
    pub fn open(storage: &'a S, key: &PublicKey) -> Result<Self, Error> {
        let note = signed(storage)?;
        let checkpoint = Checkpoint::verify(&note, key)?;
        Ok(Self { storage, note, checkpoint })
    }

    /// The checkpoint as it is kept, with all signatures and cosignatures.
    #[must_use]
    pub fn signed(&self) -> &str {
        &self.note
    }

    /// Some leaves with their proofs and the checkpoint, in one file that an outsider can verify; see [`EvidenceBundle`].
    ///
    /// # Errors
    /// As [`Archive::prove`]; [`Error::Limit`] for too many leaves.
    pub fn bundle(&self, leaves: &[u64]) -> Result<EvidenceBundle, Error> {
        let prove = |leaf: &u64| {
            let LogProof { index, path, .. } = self.prove(*leaf)?;
            Ok(Proved { index, entry: self.entry(*leaf)?, path })
        };
        EvidenceBundle::new(leaves.iter().map(prove).collect::<Result<_, Error>>()?, &self.note)
    }

    /// Evidence that this log once signed another history: a checkpoint that it does not continue.
    ///
    /// # Errors
    /// [`Error::NoSplit`] when it does, or the checkpoint is of another log or longer; as [`Archive::consistency_proof`].
    pub fn split_view(&self, earlier: &str) -> Result<SplitView, Error> {
        let head = Checkpoint::unverified(earlier)?;
        if head.size == 0 || head.size > self.checkpoint.size {
            return Err(Error::NoSplit { reason: "this journal says nothing of that length" });
        }
        if head.size == self.checkpoint.size {
            return SplitView::new(earlier, &self.note, None);
        }
        let beginning = (self.root_at(head.size)?, self.consistency_proof(head.size)?);
        SplitView::new(earlier, &self.note, Some(beginning))
    }

    /// The signed head.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The bytes of an entry, as they are kept.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Missing`], [`Error::Damaged`], [`Error::Io`].
    pub fn entry(&self, leaf: u64) -> Result<Vec<u8>, Error> {
        self.within(leaf)?;
        let (part, bytes) = self.part(Part::Entries { index: leaf / TILE_WIDTH, width: None }, leaf)?;
        let entry = bundle_entries(&bytes).nth((leaf % TILE_WIDTH) as usize).and_then(Result::ok);
        entry.map(<[u8]>::to_vec).ok_or(damaged(part, leaf, "it ends early"))
    }

    /// Proof for a file that a leaf stands in this journal, checked before it is given.
    ///
    /// # Errors
    /// As [`Archive::entry`]; [`Error::Proof`] when the journal was changed.
    pub fn prove(&self, leaf: u64) -> Result<LogProof, Error> {
        let entry = self.entry(leaf)?;
        let path = merkle::inclusion_proof(self, leaf, self.checkpoint.size)?;
        verify_inclusion(leaf, self.checkpoint.size, &leaf_hash(&entry), &path, &self.checkpoint.root)?;
        Ok(LogProof { index: leaf, path, checkpoint: self.note.clone(), extra: None })
    }

    /// Proof that the first `old` leaves are the beginning of this journal.
    ///
    /// # Errors
    /// As [`merkle::consistency_proof`].
    pub fn consistency_proof(&self, old: u64) -> Result<Vec<Digest>, Error> {
        merkle::consistency_proof(self, old, self.checkpoint.size)
    }

    fn within(&self, leaf: u64) -> Result<(), Error> {
        let size = self.checkpoint.size;
        if leaf < size { Ok(()) } else { Err(Error::OutOfRange { asked: leaf, size }) }
    }

    /// A part with as many members as the checkpoint's size says, or, where it has grown since, all 256.
    fn part(&self, full: Part, leaf: u64) -> Result<(Part, Vec<u8>), Error> {
        let (level, index) = match full {
            Part::Hashes { level, index, .. } => (level, index),
            Part::Entries { index, .. } => (0, index),
            other => return Err(Error::Missing { path: other.path(), leaf }),
        };
        let width = (self.width(level, index) % TILE_WIDTH) as u8;
        let wanted = full.with_width(Some(width).filter(|width| *width > 0));
        for part in [wanted, full] {
            if let Some(bytes) = self.storage.read(part)? {
                return Ok((part, bytes));
            }
        }
        Err(Error::Missing { path: wanted.path(), leaf })
    }

    /// How many members the signed tree has in a tile.
    fn width(&self, level: u8, index: u64) -> u64 {
        let count = self.checkpoint.size.checked_shr(8 * u32::from(level)).unwrap_or_default();
        count.saturating_sub(index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH)
    }

    /// The signed tree's hashes of a tile.
    fn tile(&self, level: u8, index: u64) -> Result<Vec<Digest>, Error> {
        let full = Part::Hashes { level, index, width: None };
        let (part, bytes) = self.part(full, full.first_leaf())?;
        let stored = if part == full { TILE_WIDTH } else { self.width(level, index) };
        let mut hashes =
            hashes(&bytes, stored).ok_or(damaged(part, part.first_leaf(), "its length is not right"))?;
        hashes.truncate(self.width(level, index) as usize);
        Ok(hashes)
    }
}

impl<S: Storage> Nodes for Archive<'_, S> {
    fn node(&self, height: u32, index: u64) -> Result<Digest, Error> {
        let (level, inner) = ((height / 8) as u8, height % 8);
        let first = index << inner;
        let (tile, start) = (first / TILE_WIDTH, (first % TILE_WIDTH) as usize);
        let part = Part::Hashes { level, index: tile, width: None };
        let hashes = self.tile(level, tile)?;
        let hashes = hashes.get(start..start + (1 << inner));
        hashes.map(root_of).ok_or(damaged(part, part.first_leaf(), "it ends early"))
    }
}

/// One pass over a journal.
struct Audit<'a, S> {
    archive: &'a Archive<'a, S>,
    frontier: Frontier,
    /// Hashes of the tile that is being computed, for each level.
    levels: [Vec<Digest>; 8],
    /// For each level the first hash that is stored other than computed: its index, stored and computed.
    first_wrong: [Option<(u64, Digest, Digest)>; 8],
    /// Leaf hashes of the last bundle, to compare the tail with.
    last: Vec<Digest>,
    ledger: Ledger,
    /// Bundles of which only the hashes are there.
    missing: Vec<u64>,
}

impl<'a, S: Storage> Audit<'a, S> {
    fn new(archive: &'a Archive<'a, S>) -> Self {
        let (levels, first_wrong) = (Default::default(), [None; 8]);
        let (ledger, missing) = (Ledger::default(), Vec::new());
        Self {
            archive,
            frontier: Frontier::default(),
            levels,
            first_wrong,
            last: Vec::new(),
            ledger,
            missing,
        }
    }

    fn run(&mut self) -> Result<Report, Error> {
        self.signed()?;
        for index in &self.missing {
            let part = Part::Entries { index: *index, width: None };
            let leaves = part.first_leaf()..part.first_leaf() + TILE_WIDTH;
            if let Some(leaf) = self.ledger.first_not_pruned(&leaves) {
                return Err(Error::Missing { path: part.path(), leaf });
            }
        }
        let pruned = self.missing.len() as u64 * TILE_WIDTH;
        let unsigned = self.unsigned()?;
        Ok(Report { checkpoint: self.archive.checkpoint.clone(), unsigned, pruned })
    }

    /// Everything that the checkpoint vouches for.
    fn signed(&mut self) -> Result<(), Error> {
        let head = &self.archive.checkpoint;
        for index in 0..head.size.div_ceil(TILE_WIDTH) {
            let full = Part::Entries { index, width: None };
            let width = self.archive.width(0, index);
            let (part, bytes) = match self.archive.part(full, full.first_leaf()) {
                Err(Error::Missing { .. }) if width == TILE_WIDTH => {
                    // Pruned, if the journal says so further on; the root is that of the hashes all the same.
                    self.missing.push(index);
                    for hash in self.archive.tile(0, index)? {
                        self.frontier.push(hash);
                        self.add(0, hash)?;
                    }
                    continue;
                }
                other => other?,
            };
            let members = if part == full { TILE_WIDTH } else { width };
            self.last = entry_hashes(part, &bytes, members)?;
            self.last.truncate(width as usize);
            let mut entries = bundle_entries(&bytes).flatten();
            for at in 0..self.last.len() {
                let hash = self.last.get(at).copied().unwrap_or_default();
                let entry = entries.next().unwrap_or_default();
                self.ledger.see(full.first_leaf() + at as u64, entry, || self.frontier.root())?;
                self.frontier.push(hash);
                self.add(0, hash)?;
            }
            if width < TILE_WIDTH {
                self.compare_partial(full, |width| bytes_of_first(&bytes, width))?;
            }
        }
        for level in 0..8u8 {
            let computed = self.levels.get(usize::from(level)).filter(|hashes| !hashes.is_empty()).cloned();
            let Some(computed) = computed else { continue };
            let index = head.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default();
            self.compare(level, index, &computed)?;
            let full = Part::Hashes { level, index, width: None };
            if self.first_wrong.iter().all(Option::is_none) {
                self.compare_partial(full, |width| computed.get(..width.into()).map(tile_bytes))?;
            }
        }
        if self.frontier.root() != head.root {
            return Err(self.locate());
        }
        // The entries are the signed ones, so a tile that differs is itself what was changed.
        match self.first_wrong.iter().zip(0u8..).find_map(|(wrong, level)| Some((level, (*wrong)?))) {
            Some((level, (index, ..))) => {
                let part = Part::Hashes { level, index: index / TILE_WIDTH, width: None };
                Err(damaged(part, index << (8 * u32::from(level)), "its hashes are not those of the entries"))
            }
            None => Ok(()),
        }
    }

    /// Adds a hash at a level, and compares each tile with the stored one as it fills up.
    fn add(&mut self, level: u8, hash: Digest) -> Result<(), Error> {
        let mut carry = Some((level, hash));
        while let Some((level, hash)) = carry.take() {
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() as u64 == TILE_WIDTH {
                let full = core::mem::take(hashes);
                let size = self.frontier.size();
                let index =
                    size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default().saturating_sub(1);
                self.compare(level, index, &full)?;
                carry = Some((level + 1, root_of(&full)));
            }
        }
        Ok(())
    }

    fn compare(&mut self, level: u8, index: u64, computed: &[Digest]) -> Result<(), Error> {
        let stored = self.archive.tile(level, index)?;
        let differs = stored.iter().zip(computed).zip(index * TILE_WIDTH..).find(|((s, c), _)| s != c);
        if let (Some(slot @ None), Some(((stored, computed), at))) =
            (self.first_wrong.get_mut(usize::from(level)), differs)
        {
            *slot = Some((at, *stored, *computed));
        }
        Ok(())
    }

    /// Parts of earlier checkpoints are beginnings of the present one, or were changed.
    fn compare_partial(&self, full: Part, begin: impl Fn(u8) -> Option<Vec<u8>>) -> Result<(), Error> {
        for width in 1..=u8::MAX {
            let part = full.with_width(Some(width));
            let Some(stored) = self.archive.storage.read(part)? else { continue };
            let Some(wanted) = begin(width) else { continue };
            if stored != wanted && self.first_wrong.iter().all(Option::is_none) {
                return Err(damaged(part, part.first_leaf(), "it is not the beginning of what follows"));
            }
        }
        Ok(())
    }

    /// Which leaf it was, as far as tiles that lead to the signed root can tell.
    fn locate(&self) -> Error {
        let head = &self.archive.checkpoint;
        for (wrong, level) in self.first_wrong.iter().zip(0u8..) {
            let Some((index, stored, computed)) = *wrong else { continue };
            let first = index << (8 * u32::from(level));
            if level > 0 {
                let last = first.saturating_add(TILE_WIDTH.saturating_pow(u32::from(level)) - 1);
                return Error::Rewritten { first, last: last.min(head.size.saturating_sub(1)) };
            }
            let authentic = merkle::inclusion_proof(self.archive, index, head.size)
                .and_then(|path| verify_inclusion(index, head.size, &stored, &path, &head.root));
            if authentic.is_err() {
                return Error::Rewritten { first, last: head.size.saturating_sub(1) };
            }
            let tile = self.archive.tile(0, index / TILE_WIDTH).unwrap_or_default();
            return match tile
                .iter()
                .zip(index / TILE_WIDTH * TILE_WIDTH..)
                .find(|(hash, _)| **hash == computed)
            {
                Some((_, belongs)) => Error::Reordered { leaf: index, belongs },
                None => Error::Edited { leaf: index },
            };
        }
        Error::Rewritten { first: 0, last: head.size.saturating_sub(1) }
    }

    /// Leaves after the checkpoint: full bundles, then the tail. They must be whole, and continue what was signed.
    fn unsigned(&mut self) -> Result<u64, Error> {
        let signed = self.archive.checkpoint.size;
        let mut bundles = signed / TILE_WIDTH;
        loop {
            let part = Part::Entries { index: bundles, width: None };
            let Some(bytes) = self.archive.storage.read(part)? else { break };
            let computed = entry_hashes(part, &bytes, TILE_WIDTH)?;
            let tile = Part::Hashes { level: 0, index: bundles, width: None };
            if self.archive.storage.read(tile)?.is_some_and(|stored| stored != tile_bytes(&computed)) {
                return Err(damaged(tile, tile.first_leaf(), "its hashes are not those of the entries"));
            }
            bundles += 1;
        }
        let bundled = bundles * TILE_WIDTH;
        let Some(bytes) = self.archive.storage.read(Part::Tail)? else {
            return Ok(bundled.saturating_sub(signed));
        };
        let tail =
            Tail::parse(&bytes).ok_or(damaged(Part::Tail, bundled, "it does not begin as a tail does"))?;
        // A bundle that was put in place just before an interruption is still in the tail.
        let interrupted = tail.start.checked_add(TILE_WIDTH) == Some(bundled);
        if tail.start != bundled && !interrupted {
            return Err(damaged(Part::Tail, tail.start.min(bundled), "it does not follow the last bundle"));
        }
        // Where the tail holds signed leaves, they are those of the last bundle that was read.
        let in_last = tail.start == signed / TILE_WIDTH * TILE_WIDTH;
        let mut known = self.last.iter().filter(|_| in_last && !signed.is_multiple_of(TILE_WIDTH));
        let mut records = tail.records();
        let mut leaves = tail.start;
        for (entry, hash) in records.by_ref() {
            if known.next().is_some_and(|known| *known != hash) {
                return Err(damaged(Part::Tail, leaves, "it is not what was signed"));
            }
            Leaf::parse(entry)?;
            leaves += 1;
        }
        if !records.rest.is_empty() {
            let reason = "it is torn or was altered there; opening the journal keeps what comes before";
            return Err(damaged(Part::Tail, leaves, reason));
        }
        if leaves < signed.max(bundled) {
            return Err(damaged(
                Part::Tail,
                leaves,
                "it ends before the leaves do that are signed or bundled",
            ));
        }
        Ok(leaves - signed)
    }
}

/// Leaf hashes of a bundle that must hold `members` entries.
fn entry_hashes(part: Part, bytes: &[u8], members: u64) -> Result<Vec<Digest>, Error> {
    let mut hashes = Vec::with_capacity(TILE_WIDTH as usize);
    for (entry, leaf) in bundle_entries(bytes).zip(part.first_leaf()..) {
        let entry = entry.map_err(|()| damaged(part, leaf, "it ends early"))?;
        hashes.push(leaf_hash(entry));
    }
    let leaf = part.first_leaf().saturating_add(members.min(hashes.len() as u64));
    if hashes.len() as u64 == members {
        Ok(hashes)
    } else {
        Err(damaged(part, leaf, "its number of entries is not right"))
    }
}

/// The bytes of the first `width` entries of a bundle.
fn bytes_of_first(bundle: &[u8], width: u8) -> Option<Vec<u8>> {
    let entries: Result<Vec<_>, ()> = bundle_entries(bundle).take(width.into()).collect();
    let entries = entries.ok().filter(|entries| entries.len() == usize::from(width))?;
    let length = entries.iter().map(|entry| entry.len() + 2).sum();
    bundle.get(..length).map(<[u8]>::to_vec)
}

fn damaged(part: Part, leaf: u64, reason: &'static str) -> Error {
    Error::Damaged { path: part.path(), leaf, reason }
}
