//! Reading what is named on the command line, writing what comes out.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::ProgressBar;
use twinguard::integrity::archive::{Archive, Budget};
use twinguard::integrity::at_rest::{Encrypted, Keyring};
use twinguard::integrity::ecdsa::EcSigningKey;
use twinguard::integrity::mldsa::MlDsaSigningKey;
use twinguard::integrity::source::{self, Limits, OneFile, Source};
use twinguard::integrity::storage::Storage;
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{Entry, Error, Policy, PublicKey, Signer, SigningKey};
use twinguard::types::{Digest, Timestamp};

/// A model may be of any size: hashing takes no memory.
pub(crate) const LIMITS: Limits = Limits { files: 10_000_000, bytes: u64::MAX };

#[derive(Args, Debug)]
pub(crate) struct KeyArgument {
    /// The public key of whoever must have signed.
    #[arg(long = "public-key", value_name = "P")]
    file: PathBuf,
}

impl KeyArgument {
    pub(crate) fn read(&self) -> Result<PublicKey, Error> {
        text(&self.file, "key")?.parse()
    }
}

/// The keys of a journal that is encrypted where it is kept.
#[derive(Args, Debug)]
pub(crate) struct RestArgument {
    /// The keys of a journal that is encrypted at rest: see `keygen --algorithm at-rest`.
    #[arg(long, value_name = "F")]
    rest_keys: Option<PathBuf>,
}

impl RestArgument {
    /// A journal to be read, also while another program writes it.
    pub(crate) fn read(&self, dir: &Path) -> Result<Box<dyn Storage>, Error> {
        self.over(Directory::open_read_only(dir)?)
    }

    /// A journal to be written.
    pub(crate) fn write(&self, dir: &Path) -> Result<Box<dyn Storage>, Error> {
        self.over(Directory::open(dir, Durability::Power)?)
    }

    fn over(&self, directory: Directory) -> Result<Box<dyn Storage>, Error> {
        let Some(file) = &self.rest_keys else { return Ok(Box::new(directory)) };
        let (name, keys) = rest_keys(&text(file, "keys")?)?;
        Ok(Box::new(Encrypted::new(directory, keys, &name)?))
    }
}

/// One key a line: the journal's name, the key's number, 64 hexadecimal digits.
fn rest_keys(text: &str) -> Result<(String, Keyring), Error> {
    let mut all: Option<(String, Keyring)> = None;
    for (line, number) in text.lines().zip(1..) {
        let bad = |reason| Error::Text { what: "keys", line: number, reason };
        let mut words = line.split(' ');
        let (Some(name), Some(index), Some(key), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("it is not a name, a number and 64 hexadecimal digits"));
        };
        let index = index.parse().map_err(|_| bad("its number is none"))?;
        let key = hexadecimal(key).ok_or(bad("its key is not 64 hexadecimal digits"))?;
        all = Some(match all {
            None => (name.to_owned(), Keyring::new(index, &key)),
            Some((first, _)) if first != name => return Err(bad("it is of another journal")),
            Some((first, keys)) => (first, keys.with(index, &key)),
        });
    }
    all.ok_or(Error::Text { what: "keys", line: 1, reason: "there is none" })
}

/// 32 bytes from 64 hexadecimal digits.
pub(crate) fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digit).collect();
    bytes.filter(|_| text.len() == 64)?.try_into().ok()
}

/// The key of a log, or a policy of logs and witnesses.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct LogArgument {
    /// The log's public key.
    #[arg(long, value_name = "P")]
    public_key: Option<PathBuf>,
    /// A policy of logs, witnesses and a quorum (C2SP tlog-policy).
    #[arg(long, value_name = "F")]
    policy: Option<PathBuf>,
}

impl LogArgument {
    /// The policy; a key alone is one that asks for no witness.
    pub(crate) fn read(&self) -> Result<Policy, Error> {
        match (&self.public_key, &self.policy) {
            (Some(file), _) => Policy::new([text(file, "key")?.parse()?], [], 0),
            (None, Some(file)) => text(file, "policy")?.parse(),
            (None, None) => Policy::new([], [], 0),
        }
    }
}

/// Two parts of an argument, around its last `=`: what stands before it may be a path.
pub(crate) fn pair(argument: &str) -> Result<(String, String), String> {
    let parts = argument.rsplit_once('=').filter(|(first, second)| !first.is_empty() && !second.is_empty());
    parts
        .map(|(first, second)| (first.to_owned(), second.to_owned()))
        .ok_or("it is not of this form".to_owned())
}

/// The argument that is a digest.
pub(crate) fn digest(argument: &str) -> Result<Digest, String> {
    argument.parse().map_err(|_| "64 hexadecimal digits are needed".to_owned())
}

/// The argument that is a challenge.
pub(crate) fn nonce(argument: &str) -> Result<[u8; 32], String> {
    hexadecimal(argument).ok_or("64 hexadecimal digits are needed".to_owned())
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Now, as the journal has it.
pub(crate) fn stamp() -> Timestamp {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX))
}

/// 32 bytes of the system's randomness.
pub(crate) fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| failed("read", Path::new("randomness"), io::Error::other(error)))?;
    Ok(bytes)
}

/// Writes a file beside another's place and renames it there: a reader, or an interruption, sees the old or the new one.
pub(crate) fn replace(path: &Path, text: &str, secret: bool) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let _ = std::fs::remove_file(&beside);
    write_new(&beside, text, secret)?;
    let synced = std::fs::File::open(&beside).and_then(|file| file.sync_all());
    synced.and_then(|()| std::fs::rename(&beside, path)).map_err(|error| failed("write", path, error))
}

/// A secret key of any kind that may sign a seal.
pub(crate) fn signer(path: &Path) -> Result<Box<dyn Signer>, Error> {
    let text = text(path, "key")?;
    if !text.contains("-----BEGIN") {
        return Ok(Box::new(text.parse::<SigningKey>()?));
    }
    if let Ok(key) = MlDsaSigningKey::from_pem(&text) {
        return Ok(Box::new(key));
    }
    if let Ok(key) = EcSigningKey::from_pem(&text) {
        return Ok(Box::new(key));
    }
    Ok(Box::new(SigningKey::from_pem(&text, None)?))
}

/// A directory, an archive in memory, or a file by itself.
pub(crate) fn model(path: &Path) -> Result<Box<dyn Source>, Error> {
    if !path.is_file() {
        return Ok(Box::new(path.to_owned()));
    }
    let _spinner = spinner("reading the archive");
    match Archive::open(path, Budget::default()) {
        Ok(archive) => Ok(Box::new(archive)),
        Err(error) if archive_by_name(path) || error.is_refusal() && begins_as_archive(path) => Err(error),
        Err(_) => Ok(Box::new(OneFile::new(path))),
    }
}

/// Something that says by its name that it is an archive has to be one.
fn archive_by_name(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["fmu", "aasx", "zip", "ssp"].contains(&&*end)
}

fn begins_as_archive(path: &Path) -> bool {
    let mut start = [0; 4];
    std::fs::File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut start)).is_ok()
        && Archive::begins(&start)
}

/// The entries of a model, without what lies in excluded paths.
pub(crate) fn entries(path: &Path, skip: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, Error> {
    let model = model(path)?;
    let _spinner = spinner("hashing");
    source::entries_except(&*model, &LIMITS, skip)
}

/// Something that moves while work goes on, on a terminal only; it goes when it is dropped.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A small text file; one that is no text is refused, not a failure.
pub(crate) fn text(path: &Path, what: &'static str) -> Result<String, Error> {
    let bytes = source::small_file(path)?;
    String::from_utf8(bytes).map_err(|_| Error::Text { what, line: 1, reason: "it is not UTF-8" })
}

pub(crate) fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(not(unix))]
    let _ = secret; // access rights are then those of the folder
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed("write", path, error))
}

pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.display().to_string(), source }
}
