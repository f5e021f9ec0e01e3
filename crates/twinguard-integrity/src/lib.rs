//! Sealed models, rollback protection and a tamper-evident journal.
//!
//! ```
//! use twinguard_integrity::{Journal, Sealed, SigningKey, Trust, entries_of, journal, seal};
//! use twinguard_types::{Bundle, Digest, Label, Timestamp};
//!
//! // The vendor seals a model; the guard takes nothing else.
//! let key = SigningKey::from_seed("vendor.example/pump-house", &[7; 32])?;
//! let mut files = Bundle::new(Digest::default());
//! files.insert("plant.toml", b"format = 1".to_vec());
//! let seal = seal::create(entries_of(&files)?, "pump-house", 3, &key)?;
//! let sealed = Sealed::from_bundle(files, &seal, &Trust::new(key.public().clone()))?;
//! assert_eq!((sealed.manifest().series(), sealed.manifest().version()), ("pump-house", 3));
//!
//! // What the guard decides goes into a journal that cannot be changed without notice.
//! let mut journal = Journal::in_memory();
//! let receipt = journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
//! let note = journal.checkpoint(&key)?;
//! journal::verify(journal.storage(), key.public())?;
//! journal.prove(receipt.leaf, &note)?;
//! # Ok::<(), twinguard_integrity::Error>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | sign a directory, check it, say what differs | [`seal`], [`Manifest`], [`source`] |
//! | refuse an older model | [`HighWater`], [`Rollback`] |
//! | load only what was verified | [`Trust`], [`Sealed`], [`Verified`] |
//! | enter decisions, sign heads, check and prove | [`Journal`], [`journal`], [`Checkpoint`], [`LogProof`] |
//! | hashes and proofs alone | [`merkle`] |
//! | keep a journal in memory, on disk, or elsewhere | [`storage`], [`store`] |
//!
//! Files are touched in [`source`] (reads) and [`store`] (writes) alone; time and randomness come in as arguments.
//!
//! Not here yet: post-quantum and OpenSSF signatures, archives (FMU, AASX), witnesses, several signatures on one seal,
//! attestation of running memory. File modes and empty directories are not sealed: empty directories are refused.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod audit;
mod base64;
mod checkpoint;
mod cursor;
mod error;
pub mod journal;
mod key;
mod leaf;
mod load;
mod manifest;
pub mod merkle;
pub mod note;
mod path;
mod rollback;
pub mod seal;
pub mod source;
pub mod storage;
pub mod store;
mod tail;

pub use checkpoint::{Checkpoint, LogProof};
pub use error::Error;
pub use journal::Journal;
pub use key::{PublicKey, SigningKey};
pub use leaf::Leaf;
pub use load::{Sealed, Trust, Verified};
pub use manifest::{Difference, Differences, Entry, Manifest, entries_of};
pub use path::PortablePath;
pub use rollback::{HighWater, Rollback};
