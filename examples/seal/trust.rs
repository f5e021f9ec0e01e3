//! Roots of trust: whose seals count, exchanged by those who were trusted before.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use twinguard::integrity::trust::TrustRoot;
use twinguard::integrity::{Error, Holder, Role, Signer, Trust, VerifyingKey, source};
use twinguard::types::Digest;

use crate::answer::Answer;
use crate::files::{digest, failed, now, pair, signer, text};

/// Name whose seals count, and exchange and revoke keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Roots {
    /// Write a version of a root of trust.
    Create {
        /// Its version: 1, or one more than that of the root before.
        #[arg(long, value_name = "N")]
        version: u64,
        /// Public key of a holder who may change the root. Several keys of one holder: P+P. May be given often.
        #[arg(long, value_name = "P", required = true)]
        root_key: Vec<String>,
        /// How many of them have to sign the next root.
        #[arg(long, value_name = "N", default_value_t = 1)]
        root_threshold: usize,
        /// Public key of a holder whose seals count. Several keys of one holder: P+P. May be given often.
        #[arg(long, value_name = "P", required = true)]
        seal_key: Vec<String>,
        /// How many of them have to sign a seal.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seal_threshold: usize,
        /// A key that no longer counts, from this index of the log on: P=N. May be given often.
        #[arg(long, value_name = "P=N", value_parser = revocation)]
        revoke: Vec<(String, u64)>,
        /// The last second since 1970 in which the root is valid.
        #[arg(long, value_name = "SECOND", default_value_t = 0)]
        valid_until: u64,
        /// Secret keys that sign it: enough of the root before and of this one.
        #[arg(long, value_name = "K", required = true)]
        key: Vec<PathBuf>,
        /// The file to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
    },
    /// Follow a chain of roots from the digest of the first, and show the last.
    Show {
        #[command(flatten)]
        chain: Chain,
    },
}

/// Roots of trust in order, from one whose digest came another way.
#[derive(Args, Debug)]
pub(crate) struct Chain {
    /// The roots, the oldest first.
    #[arg(long = "trust", value_name = "F", required = true)]
    roots: Vec<PathBuf>,
    /// Digest of the first, in hexadecimal digits.
    #[arg(long = "trust-digest", value_name = "HEX", value_parser = digest)]
    digest: Digest,
}

impl Chain {
    fn follow(&self) -> Result<TrustRoot, Error> {
        let mut last: Option<TrustRoot> = None;
        for path in &self.roots {
            let envelope = source::small_file(path)?;
            last = Some(match last {
                None => TrustRoot::pinned(&envelope, &self.digest)?,
                Some(root) => root.next(&envelope)?,
            });
        }
        last.ok_or(Error::Policy { reason: "there is no root of trust" })
    }
}

/// Keys, or a root of trust that names them.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct TrustArgument {
    /// The public key of whoever must have signed. Given several times, every one of them must have: so neither half of a
    /// hybrid signature can be left out.
    #[arg(long = "public-key", value_name = "P", conflicts_with_all = ["trust", "trust_digest"])]
    files: Vec<PathBuf>,
    /// Roots of trust in order, the oldest first, in place of keys.
    #[arg(long = "trust", value_name = "F", requires = "trust_digest")]
    trust: Vec<PathBuf>,
    /// Digest of the first root of trust, which came another way.
    #[arg(long = "trust-digest", value_name = "HEX", requires = "trust", value_parser = digest)]
    trust_digest: Option<Digest>,
}

impl TrustArgument {
    pub(crate) fn trust(self, now: u64) -> Result<Trust, Error> {
        if let Some(digest) = self.trust_digest {
            return Chain { roots: self.trust, digest }.follow()?.trust(now);
        }
        let keys: Result<Vec<_>, Error> =
            self.files.iter().map(|file| VerifyingKey::from_text(&text(file, "key")?)).collect();
        Ok(Trust::of([Holder::new(keys?)?], 1))
    }
}

impl Roots {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Show { chain } => {
                let root = chain.follow()?;
                let valid = root.trust(now()).map(|_| "valid now").unwrap_or("no longer valid");
                let words = format!(
                    "verified: version {} of the root of trust, {valid}, digest {}",
                    root.version(),
                    root.digest()
                );
                Ok(Answer::default()
                    .with("version", root.version())
                    .with("digest", root.digest().to_string())
                    .say(words))
            }
            Self::Create {
                version,
                root_key,
                root_threshold,
                seal_key,
                seal_threshold,
                revoke,
                valid_until,
                key,
                out,
            } => {
                let role = |keys: &[String], threshold| {
                    let holders: Result<Vec<Holder>, Error> = keys.iter().map(|keys| holder(keys)).collect();
                    Role::new(holders?, threshold)
                };
                let root = TrustRoot::new(
                    version,
                    role(&root_key, root_threshold)?,
                    role(&seal_key, seal_threshold)?,
                )?;
                let mut root = root.valid_until(valid_until);
                for (file, index) in &revoke {
                    root = root.revoke(VerifyingKey::from_text(&text(file.as_ref(), "key")?)?, *index);
                }
                let signers: Result<Vec<_>, Error> = key.iter().map(|path| signer(path)).collect();
                let signers = signers?;
                let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
                fs::write(&out, root.sign(&signers)?).map_err(|error| failed("write", &out, error))?;
                let words = format!("version {version} of the root of trust, digest {}", root.digest());
                Ok(Answer::default()
                    .with("version", version)
                    .with("digest", root.digest().to_string())
                    .say(words))
            }
        }
    }
}

fn revocation(argument: &str) -> Result<(String, u64), String> {
    let (file, index) = pair(argument)?;
    Ok((file, index.parse().map_err(|_| "after the `=` an index of the log is needed".to_owned())?))
}

fn holder(keys: &str) -> Result<Holder, Error> {
    let read = |file: &str| VerifyingKey::from_text(&text(file.as_ref(), "key")?);
    Holder::new(keys.split('+').map(read).collect::<Result<Vec<_>, Error>>()?)
}
