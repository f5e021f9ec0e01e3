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
//! | name parameters, prove and compare them | [`Parameters`], [`Draft`] |
//! | check, prove or change a part of a large file | [`tree`] |
//! | refuse an older model | [`HighWater`], [`Rollback`] |
//! | several signers, thresholds, other kinds of keys | [`Holder`], [`Role`], [`Signer`] |
//! | exchange keys, revoke them | [`trust`] |
//! | load only what was verified, and behaves as it was sealed | [`Trust`], [`Sealed`], [`Verified`], [`golden`] |
//! | enter decisions, sign heads, check and prove | [`Journal`], [`journal`], [`Checkpoint`], [`LogProof`] |
//! | give an outsider what proves some entries | [`EvidenceBundle`], [`evidence`] |
//! | lose entries under overload, but never uncounted | [`Intake`], [`Gap`] |
//! | exchange and erase the journal's keys | [`epoch`] |
//! | remove old entries provably, hold some | [`retention`] |
//! | keep names of persons out of it | [`PseudonymKey`] |
//! | have others watch that there is one history | [`Witness`], [`Cosigner`], [`Policy`], [`SplitView`] |
//! | see that what runs is what was sealed | [`attest`], [`Attestor`], [`Delta`], [`TwinProbe`] |
//! | hashes and proofs alone | [`merkle`] |
//! | entries as readers without our code see them | [`Leaf`], [`cbor`] |
//! | keep a journal in memory, on disk, or elsewhere | [`storage`], [`store`] |
//!
//! Files are touched in [`source`] (reads) and [`store`] (writes) alone; time and randomness come in as arguments.
//!
//! Behind features: `at-rest` encrypts journals and snapshots, `containers` reads archives (FMU, AASX, zip), `openssf` bundles of
//! OpenSSF model-signing and ECDSA keys, `pq` ML-DSA keys, `rayon` hashes a large file on all cores.
//!
//! Not here: the network between a log and its witnesses, verifiers for quotes of TPMs and enclaves. Empty directories are not
//! sealed: they are refused.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

#[cfg(feature = "containers")]
pub mod archive;
#[cfg(feature = "at-rest")]
pub mod at_rest;
pub mod attest;
mod audit;
mod base64;
pub mod cbor;
mod chain;
mod checkpoint;
#[cfg(feature = "at-rest")]
mod cipher;
mod cosignature;
mod cursor;
pub mod delta;
mod difference;
#[cfg(feature = "openssf")]
pub mod ecdsa;
mod envelope;
pub mod epoch;
mod error;
pub mod evidence;
mod gap;
pub mod golden;
mod intake;
pub mod journal;
#[cfg(feature = "openssf")]
pub mod json;
mod keeping;
mod key;
mod leaf;
mod ledger;
mod levels;
mod load;
mod manifest;
pub mod merkle;
#[cfg(feature = "pq")]
pub mod mldsa;
pub mod note;
#[cfg(feature = "openssf")]
pub mod openssf;
mod parameters;
mod path;
mod policy;
mod probe;
mod pseudonym;
pub mod retention;
mod rollback;
pub mod seal;
mod signature;
pub mod source;
mod split_view;
pub mod storage;
pub mod store;
mod tail;
pub mod tree;
pub mod trust;
pub mod witness;

pub use attest::Attestor;
pub use checkpoint::{Checkpoint, LogProof};
pub use cosignature::{Cosigner, CosignerKey};
pub use delta::Delta;
pub use difference::{Difference, Differences};
pub use error::Error;
pub use evidence::EvidenceBundle;
pub use gap::Gap;
pub use golden::Golden;
pub use intake::Intake;
pub use journal::Journal;
pub use key::{PublicKey, SigningKey};
pub use leaf::{Form, Leaf};
pub use load::{Logged, Sealed, Trust, Verified};
pub use manifest::{Component, Draft, Entry, Manifest, Mode, entries_of};
pub use parameters::{Parameter, ParameterProof, ParameterValue, Parameters};
pub use path::PortablePath;
pub use policy::{Policy, Witnessed};
pub use probe::{Question, TwinProbe};
pub use pseudonym::PseudonymKey;
pub use rollback::{HighWater, Rollback};
pub use signature::{Holder, Role, Signer, VerifyingKey};
pub use split_view::SplitView;
pub use witness::Witness;
