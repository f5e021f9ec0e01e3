//! Says what differs.

use std::path::{Path, PathBuf};

use clap::Args;
use twinguard::integrity::{Difference, Error, Manifest, PublicKey, seal, source};

use crate::answer::Answer;
use crate::create;
use crate::files::{entries, text};

/// Say how a directory, an archive, or another seal, differs from a seal. Without --public-key no signature is checked.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// The seal.
    seal: PathBuf,
    /// A directory, an archive or a second seal.
    with: PathBuf,
    /// Compare this table of parameters as well, see `create`; two seals are compared with what they hold.
    #[arg(long, value_name = "F")]
    parameters: Option<PathBuf>,
    /// Check the signatures with this key first.
    #[arg(long, value_name = "P")]
    public_key: Option<PathBuf>,
}

impl Diff {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let Self { seal, with, parameters, public_key } = self;
        let (seal, with, key) = (seal.as_path(), with.as_path(), public_key.as_deref());
        let key: Option<PublicKey> = key.map(|key| text(key, "key")?.parse()).transpose()?;
        let read = |path: &Path| -> Result<Manifest, Error> {
            let bytes = source::small_file(path)?;
            match &key {
                Some(key) => seal::verify(&bytes, key).map(|sealed| Manifest::clone(&sealed)),
                None => seal::parse_unverified(&bytes),
            }
        };
        let before = read(seal)?;
        let other = if with.is_dir() { None } else { read(with).ok() };
        let differences = match other {
            Some(other) => {
                let mut differences = before.diff(other.entries().to_vec());
                differences.extend(before.diff_parameters(other.parameters()));
                differences
            }
            None => {
                let mut differences = before.diff(entries(with, &|path| before.excludes(path))?);
                if let Some(table) = parameters {
                    differences.extend(before.diff_parameters(&create::parameters(&table)?));
                }
                differences
            }
        };
        let line = |difference: &Difference| match difference {
            Difference::Added { .. } | Difference::Parameter { sealed: None, .. } => {
                format!("+ {difference}")
            }
            Difference::Missing { .. } | Difference::Parameter { found: None, .. } => {
                format!("- {difference}")
            }
            _ => format!("~ {difference}"),
        };
        let mut words: Vec<_> = differences.iter().map(line).collect();
        let checked = if key.is_some() { "" } else { " (no public key given: signatures were not checked)" };
        words.push(match differences.len() {
            0 => format!("no difference in {} files{checked}", before.entries().len()),
            1 => format!("1 difference{checked}"),
            count => format!("{count} differences{checked}"),
        });
        let list = serde_json::to_value(&differences).unwrap_or_default();
        let mut answer =
            Answer::of(&before).with("differences", list).with("signature_checked", key.is_some());
        answer.refused = !differences.is_empty();
        Ok(answer.say(words.join("\n")))
    }
}
