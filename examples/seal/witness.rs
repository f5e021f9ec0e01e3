//! Cosigns other people's logs: the witness's side, and the log's.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::witness::{Request, status};
use twinguard::integrity::{Cosigner, Error, Journal, PublicKey, SplitView, Witness, journal};

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, LogArgument, failed, now, replace, text};

/// Cosign logs, so that none can show two histories.
#[derive(Debug, Subcommand)]
pub(crate) enum Witnessing {
    /// The log's side: write a request for its present checkpoint (C2SP tlog-witness, add-checkpoint).
    Request {
        /// The journal's directory.
        dir: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
        /// Leaves of the checkpoint that the witness cosigned last; a witness that refuses says it.
        #[arg(long, value_name = "N", default_value_t = 0)]
        old: u64,
        /// The request to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
    },
    /// The witness's side: judge a request, and answer with cosignature lines.
    Cosign {
        /// The request.
        request: PathBuf,
        /// The witness's secret key. May be given often; each cosigns.
        #[arg(long, value_name = "K", required = true)]
        key: Vec<PathBuf>,
        /// The public key of a log that is witnessed. May be given often.
        #[arg(long, value_name = "P", required = true)]
        log: Vec<PathBuf>,
        /// What was cosigned last, of every log: kept by this program.
        #[arg(long, value_name = "F")]
        state: PathBuf,
        /// The lines to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
        /// Write evidence of two histories to this file, if the log shows them.
        #[arg(long, value_name = "F")]
        evidence: Option<PathBuf>,
    },
    /// The log's side: keep the lines with the checkpoint, if the policy knows the witnesses.
    Add {
        /// The journal's directory; no other program may have it open.
        dir: PathBuf,
        /// The lines.
        lines: PathBuf,
    },
    /// Verify a checkpoint file, or a journal's, against a policy.
    Check {
        /// The checkpoint, or the journal's directory.
        checkpoint: PathBuf,
        #[command(flatten)]
        log: LogArgument,
        /// Count only cosignatures of at most so many seconds ago.
        #[arg(long, value_name = "SECONDS")]
        fresh: Option<u64>,
    },
    /// Verify evidence that a log showed two histories.
    SplitView {
        /// The evidence.
        evidence: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
    },
}

impl Witnessing {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Request { dir, public_key, old, out } => {
                let storage = Directory::open_read_only(&dir)?;
                let archive = journal::Archive::open(&storage, &public_key.read()?)?;
                let proof = if old == 0 { Vec::new() } else { archive.consistency_proof(old)? };
                let request = Request { old, proof, checkpoint: archive.signed().to_owned() };
                fs::write(&out, request.to_string()).map_err(|error| failed("write", &out, error))?;
                let words = format!(
                    "{} asks to cosign {} leaves after {old}",
                    out.display(),
                    archive.checkpoint().size
                );
                Ok(of_head(archive.checkpoint()).with("old", old).say(words))
            }
            Self::Cosign { request, key, log, state, out, evidence } => {
                cosign(&request, &key, &log, &state, &out, evidence.as_deref())
            }
            Self::Add { dir, lines } => {
                let (mut journal, _) = Journal::open(Directory::open(&dir, Durability::Power)?)?;
                let note = journal.add_cosignatures(&text(&lines, "cosignatures")?)?;
                let count = note.lines().filter(|line| line.starts_with("— ")).count();
                Ok(Answer::default()
                    .with("signatures", count)
                    .say(format!("the checkpoint has {count} signatures")))
            }
            Self::Check { checkpoint, log, fresh } => {
                let file = if checkpoint.is_dir() { checkpoint.join("checkpoint") } else { checkpoint };
                let (note, policy) = (text(&file, "checkpoint")?, log.read()?);
                let witnessed = match fresh {
                    Some(age) => policy.verify_fresh(&note, now(), age)?,
                    None => policy.verify(&note)?,
                };
                let names: Vec<_> =
                    witnessed.witnesses.iter().map(|(name, at)| format!("{name} at {at}")).collect();
                let words = format!(
                    "verified: {} leaves, cosigned by {}",
                    witnessed.checkpoint.size,
                    names.join(", ")
                );
                Ok(of_head(&witnessed.checkpoint).with("witnesses", names).say(words))
            }
            Self::SplitView { evidence, public_key } => {
                let key = public_key.read()?;
                let first = text(&evidence, "split view")?.parse::<SplitView>()?.verify(&key)?;
                let words = format!(
                    "verified: {} signed two histories; nothing of its first {} leaves can be believed",
                    key.name(),
                    first.size
                );
                Ok(of_head(&first).say(words))
            }
        }
    }
}

fn cosign(
    request: &Path,
    keys: &[PathBuf],
    logs: &[PathBuf],
    state: &Path,
    out: &Path,
    evidence: Option<&Path>,
) -> Result<Answer, Error> {
    let cosigners: Result<Vec<Cosigner>, Error> = keys.iter().map(|key| text(key, "key")?.parse()).collect();
    let mut witness = Witness::new(cosigners?);
    let mut origins = Vec::new();
    for log in logs {
        let key: PublicKey = text(log, "key")?.parse()?;
        let origin = key.name().to_owned();
        witness.add_log(&origin, [key]);
        origins.push(origin);
    }
    if state.exists() {
        witness.restore(&text(state, "witness state")?)?;
    }
    let asked = text(request, "request")?;
    match witness.add_checkpoint(&asked, now(), |kept| replace(state, kept, false)) {
        Ok(lines) => {
            fs::write(out, &lines).map_err(|error| failed("write", out, error))?;
            Ok(Answer::default()
                .with("cosignatures", lines.lines().count())
                .say(format!("cosigned: {}", out.display())))
        }
        Err(error) => {
            let view = origins.iter().find_map(|origin| witness.evidence(origin));
            if let (Some(view), Some(path)) = (view, evidence) {
                fs::write(path, view.to_string()).map_err(|error| failed("write", path, error))?;
            }
            let words = format!("refused (HTTP {}): {error}", status(&error));
            let answer =
                Answer::default().with("status", status(&error)).with("two_histories", view.is_some());
            Ok(Answer { refused: true, ..answer.say(words) })
        }
    }
}
