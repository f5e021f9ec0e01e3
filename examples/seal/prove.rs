//! Proves that a leaf stands in a journal.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use twinguard::integrity::{Error, journal};

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, RestArgument, failed};

/// Write a proof that a leaf stands in a journal, which verifies without the journal.
#[derive(Args, Debug)]
pub(crate) struct Prove {
    /// The journal's directory.
    journal: PathBuf,
    /// Index of the leaf, from 0.
    #[arg(long, value_name = "N")]
    leaf: u64,
    #[command(flatten)]
    public_key: KeyArgument,
    /// The proof to write (C2SP tlog-proof); it carries the leaf as extra data.
    #[arg(long, value_name = "F")]
    out: PathBuf,
    #[command(flatten)]
    rest: RestArgument,
}

impl Prove {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let Self { journal, leaf, public_key, out, rest } = self;
        let (key, out) = (&public_key.read()?, out.as_path());
        let storage = rest.read(&journal)?;
        let archive = journal::Archive::open(&storage, key)?;
        let mut proof = archive.prove(leaf)?;
        proof.extra = Some(archive.entry(leaf)?);
        fs::write(out, proof.to_string()).map_err(|error| failed("write", out, error))?;
        let head = archive.checkpoint();
        let words = format!(
            "leaf {leaf} of {} proved with {} hashes in {}",
            head.size,
            proof.path.len(),
            out.display()
        );
        Ok(of_head(head).with("leaf", leaf).say(words))
    }
}
