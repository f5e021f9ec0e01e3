//! Exports entries with all that proves them, and verifies such a file anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use twinguard::integrity::{Error, EvidenceBundle, Leaf, journal, source};

use crate::answer::{Answer, of_head};
use crate::files::{KeyArgument, LogArgument, RestArgument, failed, pair, text};

/// Export entries of a journal as one file that an outsider verifies offline.
#[derive(Debug, Subcommand)]
pub(crate) enum Evidence {
    /// Write entries, their proofs, the checkpoint and its cosignatures to one file.
    Export {
        /// The journal's directory.
        dir: PathBuf,
        /// Index of a leaf, from 0. May be given often.
        #[arg(long, value_name = "N", required = true)]
        leaf: Vec<u64>,
        #[command(flatten)]
        public_key: KeyArgument,
        /// The file to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
        #[command(flatten)]
        rest: RestArgument,
    },
    /// Verify such a file, without the journal, and show its entries.
    Verify {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        log: LogArgument,
        /// A file behind the entries, as NAME=FILE, NAME as it was entered: it must be the same one. May be given often.
        #[arg(long, value_name = "NAME=FILE", value_parser = pair)]
        input: Vec<(String, String)>,
    },
}

impl Evidence {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Export { dir, leaf, public_key, out, rest } => {
                let storage = rest.read(&dir)?;
                let archive = journal::Archive::open(&storage, &public_key.read()?)?;
                let bundle = archive.bundle(&leaf)?;
                fs::write(&out, bundle.to_string()).map_err(|error| failed("write", &out, error))?;
                let words = format!(
                    "{} entries of {} are in {}",
                    bundle.entries().len(),
                    archive.checkpoint().size,
                    out.display()
                );
                Ok(of_head(archive.checkpoint()).with("entries", bundle.entries().len()).say(words))
            }
            Self::Verify { file, log, input } => verify(&file, &log, &input),
        }
    }
}

fn verify(file: &Path, log: &LogArgument, inputs: &[(String, String)]) -> Result<Answer, Error> {
    let bundle: EvidenceBundle = text(file, "evidence")?.parse()?;
    let witnessed = bundle.verify_witnessed(&log.read()?)?;
    let head = &witnessed.checkpoint;
    let witnesses: Vec<_> = witnessed.witnesses.iter().map(|(name, _)| name.as_str()).collect();
    let seen = if witnesses.is_empty() {
        "no witness was asked for".to_owned()
    } else {
        format!("witnessed by {}", witnesses.join(", "))
    };
    let mut words = format!(
        "verified: {} entries of {}, {} leaves; {seen}",
        bundle.entries().len(),
        head.origin,
        head.size
    );
    let entered = bundle.inputs()?;
    for (name, path) in inputs {
        entered.check(name, &source::small_file(Path::new(path))?)?;
        words.push_str(&format!("\n{path} is the input `{name}`"));
    }
    let mut records = Vec::new();
    for proved in bundle.entries() {
        let leaf = Leaf::parse(&proved.entry)?;
        // What a guard entered can be read; other journals have bodies of their own.
        let record =
            twinguard::Evidence::text(&leaf).unwrap_or_else(|_| format!("{} bytes", leaf.body.len()));
        words.push_str(&format!(
            "\nleaf {}: {} at {:.3} s: {record}",
            proved.index,
            leaf.kind,
            leaf.at.as_secs_f64()
        ));
        records.push(record);
    }
    let names: Vec<_> = entered.iter().map(|(name, digest)| format!("{digest}  {name}")).collect();
    let answer = of_head(head).with("witnesses", witnesses).with("inputs", names).with("records", records);
    Ok(answer.say(words))
}
