//! Cosigns other people's logs: the witness's side, and the log's.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use twinguard::integrity::witness::{Request, status};
use twinguard::integrity::{Cosigner, Error, Journal, Policy, PublicKey, SplitView, Witness, journal, note};

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, LogArgument, RestArgument, failed, now, replace, text};

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
        #[command(flatten)]
        rest: RestArgument,
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
    /// The log's side: keep the lines with the checkpoint.
    Add {
        /// The journal's directory; no other program may have it open.
        dir: PathBuf,
        /// The lines.
        lines: PathBuf,
        /// Keep them only if they are good cosignatures of this checkpoint by witnesses of this policy (C2SP tlog-policy).
        #[arg(long, value_name = "F")]
        policy: Option<PathBuf>,
        #[command(flatten)]
        rest: RestArgument,
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
        #[command(flatten)]
        rest: RestArgument,
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
            Self::Request { dir, public_key, old, out, rest } => {
                let storage = rest.read(&dir)?;
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
            Self::Add { dir, lines, policy, rest } => {
                let (mut journal, _) = Journal::open(rest.write(&dir)?)?;
                let lines = text(&lines, "cosignatures")?;
                if let Some(policy) = policy {
                    let policy = text(&policy, "policy")?.parse()?;
                    known_lines(&journal::signed(journal.storage())?, &lines, &policy)?;
                }
                let note = journal.add_cosignatures(&lines)?;
                let count = note.lines().filter(|line| line.starts_with("— ")).count();
                Ok(Answer::default()
                    .with("signatures", count)
                    .say(format!("the checkpoint has {count} signatures")))
            }
            Self::Check { checkpoint, log, fresh, rest } => {
                let note = if checkpoint.is_dir() {
                    let storage = rest.read(&checkpoint)?;
                    journal::signed(&storage)?
                } else {
                    text(&checkpoint, "checkpoint")?
                };
                let policy = log.read()?;
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

/// Whether lines add to a checkpoint the good cosignature of a witness that a policy knows.
fn known_lines(note: &str, lines: &str, policy: &Policy) -> Result<(), Error> {
    let count = |note: &str| -> Result<usize, Error> {
        let cosigned = policy.witnesses().map(|(_, key)| key.cosigned(note));
        Ok(cosigned.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().count())
    };
    if count(&note::with_signatures(note, lines)?)? > count(note)? {
        return Ok(());
    }
    Err(Error::Policy { reason: "it knows no witness whose cosignature these lines add" })
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
