//! Checks journals and proofs.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use twinguard::integrity::store::Directory;
use twinguard::integrity::{Checkpoint, Error, Leaf, LogProof, PublicKey, journal};

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, spinner, text};

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
    },
    /// Verify a proof, without the journal, and show its leaf.
    Check {
        /// The proof.
        proof: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
    },
}

impl Log {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Verify { dir, public_key, since } => {
                log_verify(&dir, &public_key.read()?, since.as_deref())
            }
            Self::Check { proof, public_key } => log_check(&proof, &public_key.read()?),
        }
    }
}

fn log_verify(dir: &Path, key: &PublicKey, since: Option<&Path>) -> Result<Answer, Error> {
    let storage = Directory::open_read_only(dir)?;
    let _spinner = spinner("reading the journal");
    let report = match since {
        Some(path) => {
            let earlier = Checkpoint::verify(&text(path, "checkpoint")?, key)?;
            journal::verify_against(&storage, key, &earlier)?
        }
        None => journal::verify(&storage, key)?,
    };
    let head = &report.checkpoint;
    let kept = if since.is_some() {
        "it continues the checkpoint given"
    } else {
        "no earlier checkpoint was compared"
    };
    let words = format!(
        "verified: {} leaves of {}, root {}, {} more not signed yet; {kept}",
        head.size,
        head.origin,
        head.root.short(),
        report.unsigned,
    );
    Ok(of_head(head).with("unsigned", report.unsigned).with("since_checked", since.is_some()).say(words))
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
