//! Bundles of OpenSSF model-signing.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;
use twinguard::integrity::ecdsa::{EcPublicKey, EcSigningKey};
use twinguard::integrity::openssf::{self, Hash, Options};
use twinguard::integrity::source::OneFile;
use twinguard::integrity::{Error, source};

use crate::answer::Answer;
use crate::files::{LIMITS, failed, model, spinner, text};

/// Verify a bundle that OpenSSF model-signing made with a key (P-256, P-384, P-521).
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The model: a directory, a file, or an archive's content.
    dir: PathBuf,
    /// The bundle.
    #[arg(long, value_name = "S")]
    signature: PathBuf,
    /// The public key of whoever must have signed, PEM.
    #[arg(long, value_name = "P")]
    public_key: PathBuf,
    /// A path of the directory that is not part of the model; the bundle itself is none anyway. May be given often.
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// Also accept what model-signing wrote before 1.0, in an encoding that is mangled.
    #[arg(long)]
    legacy: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let key = EcPublicKey::from_pem(&text(&self.public_key, "key")?)?;
        let bundle = source::small_file(&self.signature)?;
        let mut beside = self.ignore;
        beside.extend(inside(&self.dir, &self.signature));
        let options = Options { legacy: self.legacy, beside, limits: LIMITS };
        let _spinner = spinner("hashing");
        let whole = model(&self.dir)?;
        let report = match openssf::verify(&*whole, &bundle, &key, &options) {
            // A signed archive may have been signed as the file that it is, not as what it holds.
            Err(Error::Differs(_)) if self.dir.is_file() => {
                openssf::verify(&OneFile::new(&self.dir), &bundle, &key, &options)?
            }
            other => other?,
        };
        let mut words =
            format!("verified: {} files of {} with {}", report.files, report.name, report.hash.name());
        words += &report.shard.map_or(String::new(), |size| format!(" in shards of {size} bytes"));
        if !report.ignored.is_empty() {
            words += &format!("; not signed, and not to be loaded: {}", report.ignored.join(", "));
        }
        if !report.unsigned.is_empty() {
            words += &format!("; empty files that no shard covers: {}", report.unsigned.join(", "));
        }
        words += "; rollback was not checked: bundles carry no version";
        if report.legacy {
            words += "; in the encoding before 1.0";
        }
        let mut answer = Answer::default().with("root", report.digest.as_str()).with("files", report.files);
        if let Ok(Value::Object(members)) = serde_json::to_value(&report) {
            for (name, value) in
                members.into_iter().filter(|(name, _)| !["files", "digest"].contains(&&**name))
            {
                answer = answer.with(&name, value);
            }
        }
        Ok(answer.say(words))
    }
}

/// The path of a file within a directory, where it lies there.
fn inside(dir: &Path, file: &Path) -> Option<String> {
    let (dir, file) = (fs::canonicalize(dir).ok()?, fs::canonicalize(file).ok()?);
    Some(file.strip_prefix(dir).ok()?.to_str()?.replace('\\', "/")).filter(|path| !path.is_empty())
}

/// Write a bundle that OpenSSF model-signing verifies.
#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// The model: a directory, a file, or an archive's content.
    dir: PathBuf,
    /// The secret key on P-256, P-384 or P-521, PEM.
    #[arg(long, value_name = "K")]
    key: PathBuf,
    /// The bundle to write.
    #[arg(long, value_name = "F")]
    out: PathBuf,
    /// The hash of files.
    #[arg(long, value_enum, default_value_t = HashName::Sha256)]
    hash: HashName,
    /// A path to leave out, named as such in what is signed. May be given often.
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HashName {
    Sha256,
    Blake2b,
    Blake3,
}

impl Sign {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let key = EcSigningKey::from_pem(&text(&self.key, "key")?)?;
        let hash = match self.hash {
            HashName::Sha256 => Hash::Sha256,
            HashName::Blake2b => Hash::Blake2b,
            HashName::Blake3 => Hash::Blake3,
        };
        let whole = fs::canonicalize(&self.dir).map_err(|error| failed("open", &self.dir, error))?;
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut ignore = self.ignore;
        // A bundle that is to lie in its directory is left out of it, and says so.
        let folder =
            self.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let (Ok(folder), Some(file)) = (fs::canonicalize(folder), self.out.file_name()) {
            let inner = folder.join(file);
            ignore.extend(inner.strip_prefix(&whole).ok().and_then(|path| path.to_str()).map(str::to_owned));
        }
        let _spinner = spinner("hashing");
        let bundle = openssf::sign(&*model(&self.dir)?, &name, &key, hash, &ignore, &LIMITS)?;
        fs::write(&self.out, &bundle).map_err(|error| failed("write", &self.out, error))?;
        let words = format!("signed {name} with {}; verify with model-signing 1.1 or later", hash.name());
        Ok(Answer::default().with("name", name).with("hash", hash.name()).say(words))
    }
}
