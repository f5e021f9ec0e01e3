//! Checks journals and proofs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use twinguard::integrity::retention::{Hold, Retention};
use twinguard::integrity::storage::Storage;
use twinguard::integrity::{
    Checkpoint, Error, Journal, Leaf, LogProof, PublicKey, SigningKey, epoch, journal,
};
use twinguard::types::Label;

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, RestArgument, failed, random, replace, spinner, stamp, text};

/// Check journals and proofs.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Verify a whole journal: no leaf edited, moved or removed.
    Verify {
        /// The journal's directory.
        dir: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
        /// A checkpoint that was kept elsewhere: the journal must continue it.
        #[arg(long, value_name = "F")]
        since: Option<PathBuf>,
        /// With --since: write evidence of two histories to this file, if the journal does not continue that checkpoint.
        #[arg(long, value_name = "F", requires = "since")]
        evidence: Option<PathBuf>,
        /// The public key is the first one; follow every handing over to the present one.
        #[arg(long, conflicts_with = "since")]
        epochs: bool,
        #[command(flatten)]
        rest: RestArgument,
    },
    /// Verify a proof, without the journal, and show its leaf.
    Check {
        /// The proof.
        proof: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
    },
    /// Hand over to a fresh key, and erase the old one: its file then holds the new one.
    Rotate {
        #[command(flatten)]
        journal: JournalArgument,
        /// The first public key of the journal, which stays the one to verify with.
        #[arg(long, value_name = "P")]
        first: PathBuf,
    },
    /// Hold leaves: pruning does not touch them until the hold is released.
    Hold {
        #[command(flatten)]
        journal: JournalArgument,
        #[command(flatten)]
        hold: HoldArgument,
    },
    /// Release a hold.
    Release {
        #[command(flatten)]
        journal: JournalArgument,
        #[command(flatten)]
        hold: HoldArgument,
    },
    /// Remove entries that need not be kept any longer; their hashes and a record of it stay.
    Prune {
        #[command(flatten)]
        journal: JournalArgument,
        /// Days after which entries may go.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// Bytes of entries beyond which the oldest may go.
        #[arg(long, value_name = "N")]
        bytes: Option<u64>,
        /// A kind that stays, for example `finding`. May be given often.
        #[arg(long, value_name = "KIND", value_parser = kind)]
        keep: Vec<Label>,
    },
}

/// A journal to write to.
#[derive(Args, Debug)]
pub(crate) struct JournalArgument {
    /// The journal's directory; no other program may have it open.
    dir: PathBuf,
    /// The journal's secret key.
    #[arg(long, value_name = "K")]
    key: PathBuf,
    #[command(flatten)]
    rest: RestArgument,
}

impl JournalArgument {
    fn open(&self) -> Result<(Journal<Box<dyn Storage>>, SigningKey), Error> {
        let key: SigningKey = text(&self.key, "key")?.parse()?;
        let (journal, _) = Journal::open(self.rest.write(&self.dir)?)?;
        Ok((journal, key))
    }
}

#[derive(Args, Debug)]
pub(crate) struct HoldArgument {
    /// Its name.
    #[arg(long)]
    id: String,
    /// The first leaf.
    #[arg(long, value_name = "N")]
    leaf: u64,
    /// The last leaf; default: the first alone.
    #[arg(long, value_name = "N")]
    last: Option<u64>,
}

impl HoldArgument {
    fn hold(&self) -> Hold {
        let last = self.last.unwrap_or(self.leaf);
        Hold { id: self.id.clone(), leaves: self.leaf..last.saturating_add(1) }
    }
}

fn kind(argument: &str) -> Result<Label, String> {
    Label::new(argument).map_err(|_| "a kind has at most 23 bytes".to_owned())
}

impl Log {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Verify { dir, public_key, epochs: true, rest, .. } => {
                epochs_verify(&rest.read(&dir)?, &public_key.read()?)
            }
            Self::Verify { dir, public_key, since, evidence, epochs: false, rest } => {
                log_verify(&rest.read(&dir)?, &public_key.read()?, since.as_deref(), evidence.as_deref())
            }
            Self::Rotate { journal, first } => rotate(&journal, &text(&first, "key")?.parse()?),
            Self::Hold { journal, hold } => {
                let (mut log, key) = journal.open()?;
                log.hold(stamp(), &hold.hold())?;
                log.checkpoint(&key)?;
                Ok(Answer::default().say(format!("held: {} from leaf {}", hold.id, hold.leaf)))
            }
            Self::Release { journal, hold } => {
                let (mut log, key) = journal.open()?;
                log.release(stamp(), &hold.hold())?;
                log.checkpoint(&key)?;
                Ok(Answer::default().say(format!("released: {}", hold.id)))
            }
            Self::Prune { journal, days, bytes, keep } => {
                let (mut log, key) = journal.open()?;
                let pruned = log.prune(&Retention { days, bytes, keep }, stamp(), &key)?;
                let leaves: u64 = pruned.leaves.iter().map(|range| range.end - range.start).sum();
                let words = format!(
                    "removed {leaves} entries of {} bytes; hashes and a record of it stay",
                    pruned.bytes
                );
                Ok(Answer::default().with("pruned", leaves).with("bytes", pruned.bytes).say(words))
            }
            Self::Check { proof, public_key } => log_check(&proof, &public_key.read()?),
        }
    }
}

/// Hands over in an order that survives an interruption at any point: the new key is stored beside the old one first, and takes
/// its place when the journal says so.
fn rotate(argument: &JournalArgument, first: &PublicKey) -> Result<Answer, Error> {
    let (mut log, mut key) = argument.open()?;
    let mut beside = argument.key.as_os_str().to_owned();
    beside.push(".next");
    let beside = PathBuf::from(beside);
    let (mut number, public) = match log.last_checkpoint() {
        Some(_) => epoch::follow(log.storage(), first)?,
        None => (1, first.clone()),
    };
    if public != *key.public() && beside.exists() {
        // The journal already goes on with the stored one: this completes what was interrupted.
        key = text(&beside, "key")?.parse()?;
        replace(&argument.key, &format!("{}\n", *key.to_text()), true)?;
    }
    if public != *key.public() {
        return Err(Error::Epoch {
            epoch: number,
            reason: "the secret key is not that of the present epoch",
        });
    }
    let next = epoch::next_key(&key, &random()?)?;
    replace(&beside, &format!("{}\n", *next.to_text()), true)?;
    number += 1;
    log.hand_over(&key, &next, number, stamp())?;
    replace(&argument.key, &format!("{}\n", *next.to_text()), true)?;
    fs::remove_file(&beside).map_err(|error| failed("remove", &beside, error))?;
    let words = format!(
        "epoch {number} begins; {} holds the new key, verify with the first one",
        argument.key.display()
    );
    Ok(Answer::default().with("epoch", number).with("public_key", next.public().to_string()).say(words))
}

fn epochs_verify(storage: &impl Storage, first: &PublicKey) -> Result<Answer, Error> {
    let _spinner = spinner("reading the journal");
    let epoch::EpochReport { epoch, key, report } = epoch::verify(storage, first)?;
    let head = &report.checkpoint;
    let words = format!(
        "verified: {} leaves of {} under {epoch} keys, each handed over by the one before; {} pruned, root {}",
        head.size,
        head.origin,
        report.pruned,
        head.root.short(),
    );
    let answer =
        of_head(head).with("epoch", epoch).with("key", key.to_string()).with("pruned", report.pruned);
    Ok(answer.with("unsigned", report.unsigned).say(words))
}

fn log_verify(
    storage: &impl Storage,
    key: &PublicKey,
    since: Option<&Path>,
    evidence: Option<&Path>,
) -> Result<Answer, Error> {
    let _spinner = spinner("reading the journal");
    let report = match since {
        Some(path) => {
            let note = text(path, "checkpoint")?;
            let earlier = Checkpoint::verify(&note, key)?;
            let report = journal::verify_against(storage, key, &earlier);
            if let (Err(Error::Forked { .. }), Some(out)) = (&report, evidence) {
                let view = journal::Archive::open(storage, key)?.split_view(&note)?;
                fs::write(out, view.to_string()).map_err(|error| failed("write", out, error))?;
            }
            report?
        }
        None => journal::verify(storage, key)?,
    };
    let head = &report.checkpoint;
    let kept = if since.is_some() {
        "it continues the checkpoint given"
    } else {
        "no earlier checkpoint was compared"
    };
    let words = format!(
        "verified: {} leaves of {}, root {}, {} more not signed yet, {} pruned; {kept}",
        head.size,
        head.origin,
        head.root.short(),
        report.unsigned,
        report.pruned,
    );
    let answer = of_head(head).with("unsigned", report.unsigned).with("pruned", report.pruned);
    Ok(answer.with("since_checked", since.is_some()).say(words))
}

fn log_check(path: &Path, key: &PublicKey) -> Result<Answer, Error> {
    let proof = LogProof::parse(&text(path, "proof")?)?;
    let entry = proof.extra.as_deref().unwrap_or_default();
    let head = proof.verify(entry, key)?;
    let leaf = Leaf::parse(entry)?;
    let words = format!(
        "verified: leaf {} of {} is a {} of {} bytes, entered at {:.3} s, root {}",
        proof.index,
        head.origin,
        leaf.kind,
        leaf.body.len(),
        leaf.at.as_secs_f64(),
        head.root.short(),
    );
    let at = leaf.at.as_nanos();
    let answer = of_head(&head).with("leaf", proof.index).with("kind", leaf.kind.as_str()).with("at_ns", at);
    // What a guard entered can be read; other journals have bodies of their own.
    Ok(match twinguard::Evidence::text(&leaf) {
        Ok(record) => {
            let words = format!("{words}\n{record}");
            answer.with("record", record).say(words)
        }
        Err(_) => answer.say(words),
    })
}
