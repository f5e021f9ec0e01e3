//! Is this model what its maker sealed? Is this journal what was written? Keys, seals, checks, proofs.
//!
//! ```sh
//! cargo run --release --example seal -- keygen --out vendor                # vendor.key (secret), vendor.pub
//! cargo run --release --example seal -- create model/ --key vendor.key --out model.seal --version 3
//! cargo run --release --example seal -- verify model/ --seal model.seal --public-key vendor.pub --state accepted
//! cargo run --release --example seal -- diff model.seal model/             # what was added, changed, is missing
//! cargo run --release --example seal -- log verify journal/ --public-key guard.pub
//! cargo run --release --example seal -- prove journal/ --leaf 17 --public-key guard.pub --out finding.tlog-proof
//! cargo run --release --example seal -- log check finding.tlog-proof --public-key guard.pub
//! ```
//!
//! Expect one line that says what was verified, or what is wrong and where. Change a byte of the model, add a file, put a
//! link in a file's place, bring an older version back: each is refused by name, with exit code 1.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use twinguard::integrity::source::{self, Limits};
use twinguard::integrity::store::{self, Directory};
use twinguard::integrity::{
    Checkpoint, Difference, Entry, Error, Leaf, LogProof, Manifest, PublicKey, SigningKey, Trust, journal,
    seal,
};

/// Seals model directories, verifies them, and checks journals.
#[derive(Debug, Parser)]
#[command(
    name = "seal",
    after_help = "Exit code: 0 verified or done, 1 refused, 2 bad arguments, a missing file, or a failure to read or write."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object: ok, error, root, files, ms, and what else there is to say.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key pair from the system's randomness: PREFIX.key (secret) and PREFIX.pub.
    Keygen {
        /// Where; files that are there are kept.
        #[arg(long, value_name = "PREFIX")]
        out: PathBuf,
        /// Name that signatures will carry, best a host and path of yours; default: the last part of PREFIX.
        #[arg(long)]
        name: Option<String>,
    },
    /// Seal every file of a directory as one version of a series.
    Create {
        /// The directory; nothing in it is left out.
        dir: PathBuf,
        /// The secret key.
        #[arg(long, value_name = "K")]
        key: PathBuf,
        /// The seal to write, outside the directory.
        #[arg(long, value_name = "F")]
        out: PathBuf,
        /// What all versions of this model have in common; default: the directory's name.
        #[arg(long, value_name = "S")]
        series: Option<String>,
        /// A higher version is newer.
        #[arg(long, value_name = "N", default_value_t = 1)]
        version: u64,
    },
    /// Verify that a directory is what was sealed.
    Verify {
        /// The directory.
        dir: PathBuf,
        /// Its seal.
        #[arg(long, value_name = "F")]
        seal: PathBuf,
        #[command(flatten)]
        public_key: KeyArgument,
        /// Accept this series only.
        #[arg(long, value_name = "S")]
        series: Option<String>,
        /// Remember the highest version accepted in this file, and refuse older ones.
        #[arg(long, value_name = "F")]
        state: Option<PathBuf>,
    },
    /// Say how a directory, or another seal, differs from a seal. Without --public-key no signature is checked.
    Diff {
        /// The seal.
        seal: PathBuf,
        /// A directory or a second seal.
        with: PathBuf,
        /// Check the signatures with this key first.
        #[arg(long, value_name = "P")]
        public_key: Option<PathBuf>,
    },
    /// Write a proof that a leaf stands in a journal, which verifies without the journal.
    Prove {
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
    },
    /// Check journals and proofs.
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Debug, Subcommand)]
enum LogCommand {
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

#[derive(Args, Debug)]
struct KeyArgument {
    /// The public key of whoever must have signed.
    #[arg(long = "public-key", value_name = "P")]
    file: PathBuf,
}

impl KeyArgument {
    fn read(&self) -> Result<PublicKey, Error> {
        text(&self.file, "key")?.parse()
    }
}

/// What is printed at the end: words for people, members for `--json`.
#[derive(Default)]
struct Answer {
    words: String,
    members: Map<String, Value>,
    refused: bool,
}

impl Answer {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    fn of(manifest: &Manifest) -> Self {
        Self::default()
            .with("root", manifest.root().to_string())
            .with("files", manifest.entries().len())
            .with("series", manifest.series())
            .with("version", manifest.version())
    }

    fn say(mut self, words: String) -> Self {
        self.words = words;
        self
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let result = run(arguments.command);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let (ok, exit) = match &result {
        Ok(answer) if !answer.refused => (true, ExitCode::SUCCESS),
        Ok(_) => (false, ExitCode::from(1)),
        Err(error) if error.is_refusal() => (false, ExitCode::from(1)),
        Err(_) => (false, ExitCode::from(2)),
    };
    let printed = if arguments.json {
        let mut object = json!({ "ok": ok, "error": null, "root": null, "files": null });
        match result {
            Ok(Answer { words, members, refused }) => {
                if refused {
                    object["error"] = words.lines().last().into();
                }
                members.into_iter().for_each(|(name, value)| object[name] = value);
            }
            Err(error) => object["error"] = error.to_string().into(),
        }
        object["ms"] = ms.into();
        writeln!(io::stdout(), "{object}")
    } else {
        match result {
            Ok(answer) => writeln!(io::stdout(), "{}", answer.words),
            Err(error) if error.is_refusal() => writeln!(io::stderr(), "seal: refused: {error}"),
            Err(error) => writeln!(io::stderr(), "seal: {error}"),
        }
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => exit,
    }
}

fn run(command: Command) -> Result<Answer, Error> {
    match command {
        Command::Keygen { out, name } => keygen(&out, name),
        Command::Create { dir, key, out, series, version } => create(&dir, &key, &out, series, version),
        Command::Verify { dir, seal, public_key, series, state } => {
            verify(&dir, &seal, public_key.read()?, series, state.as_deref())
        }
        Command::Diff { seal, with, public_key } => diff(&seal, &with, public_key.as_deref()),
        Command::Prove { journal, leaf, public_key, out } => prove(&journal, leaf, &public_key.read()?, &out),
        Command::Log(LogCommand::Verify { dir, public_key, since }) => {
            log_verify(&dir, &public_key.read()?, since.as_deref())
        }
        Command::Log(LogCommand::Check { proof, public_key }) => log_check(&proof, &public_key.read()?),
    }
}

fn keygen(out: &Path, name: Option<String>) -> Result<Answer, Error> {
    let own = || out.file_name().unwrap_or_default().to_string_lossy().replace([' ', '+', '"', '\\'], "-");
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| failed("read randomness for", out, io::Error::other(error)))?;
    let key = SigningKey::from_seed(&name.unwrap_or_else(own), &seed)?;
    let file = |end: &str| {
        let mut name = out.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (secret, public) = (file(".key"), file(".pub"));
    write_new(&secret, &format!("{}\n", *key.to_text()), true)?;
    write_new(&public, &format!("{}\n", key.public()), false)?;
    let words = format!(
        "{} is secret; give {} to whoever verifies\n{}",
        secret.display(),
        public.display(),
        key.public()
    );
    Ok(Answer::default().with("public_key", key.public().to_string()).say(words))
}

fn create(dir: &Path, key: &Path, out: &Path, series: Option<String>, version: u64) -> Result<Answer, Error> {
    let key: SigningKey = text(key, "key")?.parse()?;
    let whole = fs::canonicalize(dir).map_err(|error| failed("open", dir, error))?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if fs::canonicalize(folder).map_err(|error| failed("open", folder, error))?.starts_with(&whole) {
        let error = io::Error::other("the seal would lie in the directory that it covers");
        return Err(failed("write", out, error));
    }
    let named = || whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sealed = seal::create(entries(dir)?, &series.unwrap_or_else(named), version, &key)?;
    fs::write(out, &sealed).map_err(|error| failed("write", out, error))?;
    let manifest = seal::verify(&sealed, key.public())?;
    let words = format!(
        "sealed {} files as {} version {}, root {}",
        manifest.entries().len(),
        manifest.series(),
        version,
        manifest.root().short()
    );
    Ok(Answer::of(&manifest).say(words))
}

fn verify(
    dir: &Path,
    seal: &Path,
    key: PublicKey,
    series: Option<String>,
    state: Option<&Path>,
) -> Result<Answer, Error> {
    let mut seen = state.map(store::read_high_water).transpose()?;
    let mut trust = Trust::new(key);
    if let Some(series) = series {
        trust = trust.series(series);
    }
    if let Some(seen) = &seen {
        trust = trust.high_water(seen.clone());
    }
    let (manifest, rollback) = trust.judge(&source::small_file(seal)?)?;
    manifest.check(entries(dir)?)?;
    if let (Some(seen), Some(path)) = (&mut seen, state) {
        seen.accept(&manifest)?;
        store::write_high_water(path, seen)?;
    }
    let words = format!(
        "verified: {} files are {} version {}, signed by {}, root {}; {rollback}",
        manifest.entries().len(),
        manifest.series(),
        manifest.version(),
        manifest.key().name(),
        manifest.root().short(),
    );
    let rollback = serde_json::to_value(rollback).unwrap_or_default();
    Ok(Answer::of(&manifest).with("key", manifest.key().name()).with("rollback", rollback).say(words))
}

fn diff(seal: &Path, with: &Path, key: Option<&Path>) -> Result<Answer, Error> {
    let key: Option<PublicKey> = key.map(|key| text(key, "key")?.parse()).transpose()?;
    let read = |path: &Path| -> Result<Manifest, Error> {
        let bytes = source::small_file(path)?;
        match &key {
            Some(key) => seal::verify(&bytes, key).map(|sealed| Manifest::clone(&sealed)),
            None => seal::parse_unverified(&bytes),
        }
    };
    let before = read(seal)?;
    let after = if with.is_dir() { entries(with)? } else { read(with)?.entries().to_vec() };
    let differences = before.diff(after);
    let line = |difference: &Difference| match difference {
        Difference::Added { .. } => format!("+ {difference}"),
        Difference::Missing { .. } => format!("- {difference}"),
        _ => format!("~ {difference}"),
    };
    let mut words: Vec<_> = differences.iter().map(line).collect();
    let checked = if key.is_some() { "" } else { " (no public key given: signatures were not checked)" };
    words.push(match differences.len() {
        0 => format!("no difference in {} files{checked}", before.entries().len()),
        1 => format!("1 file differs{checked}"),
        count => format!("{count} files differ{checked}"),
    });
    let list = serde_json::to_value(&differences).unwrap_or_default();
    let mut answer = Answer::of(&before).with("differences", list).with("signature_checked", key.is_some());
    answer.refused = !differences.is_empty();
    Ok(answer.say(words.join("\n")))
}

fn prove(dir: &Path, leaf: u64, key: &PublicKey, out: &Path) -> Result<Answer, Error> {
    let storage = Directory::open_read_only(dir)?;
    let archive = journal::Archive::open(&storage, key)?;
    let mut proof = archive.prove(leaf)?;
    proof.extra = Some(archive.entry(leaf)?);
    fs::write(out, proof.to_string()).map_err(|error| failed("write", out, error))?;
    let head = archive.checkpoint();
    let words =
        format!("leaf {leaf} of {} proved with {} hashes in {}", head.size, proof.path.len(), out.display());
    Ok(of_head(head).with("leaf", leaf).say(words))
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
    Ok(of_head(&head).with("leaf", proof.index).with("kind", leaf.kind.as_str()).with("at_ns", at).say(words))
}

fn of_head(head: &Checkpoint) -> Answer {
    Answer::default()
        .with("root", head.root.to_string())
        .with("leaves", head.size)
        .with("origin", head.origin.as_str())
}

/// The entries of a directory of any size: hashing takes no memory.
fn entries(dir: &Path) -> Result<Vec<Entry>, Error> {
    let _spinner = spinner("hashing");
    source::entries(dir, &Limits { files: 10_000_000, bytes: u64::MAX })
}

/// Something that moves while work goes on, on a terminal only; it goes when it is dropped.
fn spinner(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A small text file; one that is no text is refused, not a failure.
fn text(path: &Path, what: &'static str) -> Result<String, Error> {
    let bytes = source::small_file(path)?;
    String::from_utf8(bytes).map_err(|_| Error::Text { what, line: 1, reason: "it is not UTF-8" })
}

fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), Error> {
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

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.display().to_string(), source }
}
