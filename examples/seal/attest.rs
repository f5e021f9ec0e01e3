//! What runs against what was sealed: tables of running parameters, signed changes, challenges.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use twinguard::integrity::attest::{Attestor, Expected, Running};
use twinguard::integrity::{
    Delta, Error, Holder, ParameterValue, Parameters, PublicKey, Role, Signer, SigningKey, VerifyingKey,
    source,
};

use crate::answer::Answer;
use crate::create::parameters;
use crate::files::{failed, nonce, now, random, signer, stamp, text};
use crate::trust::TrustArgument;

/// Attest parameters that run.
#[derive(Debug, Subcommand)]
pub(crate) enum Attest {
    /// Compare a table of the running parameters with the sealed ones: what differs is named with both values.
    Check {
        #[command(flatten)]
        sealed: SealedArgument,
        /// The running parameters: CSV with the columns path, name, unit, type, value.
        #[arg(long, value_name = "F")]
        running: PathBuf,
    },
    /// Sign a recalibration: from the sealed parameters to changed ones.
    Delta {
        #[command(flatten)]
        sealed: SealedArgument,
        /// A change, as PATH:NAME=VALUE. May be given often.
        #[arg(long, value_name = "PATH:NAME=VALUE", required = true, value_parser = change)]
        set: Vec<Change>,
        /// Higher than that of the change before.
        #[arg(long, value_name = "N")]
        number: u64,
        /// A secret key that signs it. May be given often.
        #[arg(long, value_name = "K", required = true)]
        key: Vec<PathBuf>,
        /// The change to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
    },
    /// Make a challenge: 32 random bytes in hexadecimal digits.
    Challenge,
    /// Answer a challenge: what is measured now, signed.
    Respond {
        #[command(flatten)]
        sealed: SealedArgument,
        /// The running parameters: CSV with the columns path, name, unit, type, value.
        #[arg(long, value_name = "F")]
        running: PathBuf,
        /// The challenge.
        #[arg(long, value_name = "HEX", value_parser = nonce)]
        nonce: [u8; 32],
        /// The attestor's secret key.
        #[arg(long, value_name = "K")]
        key: PathBuf,
        /// The answer to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
    },
    /// Judge an answer.
    Verify {
        /// The answer.
        answer: PathBuf,
        #[command(flatten)]
        sealed: SealedArgument,
        /// The challenge.
        #[arg(long, value_name = "HEX", value_parser = nonce)]
        nonce: [u8; 32],
        /// The attestor's public key.
        #[arg(long, value_name = "P")]
        attestor: PathBuf,
    },
}

/// A parameter's new value.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    path: String,
    name: String,
    value: String,
}

fn change(argument: &str) -> Result<Change, String> {
    let parts = argument.split_once('=').and_then(|(name, value)| Some((name.split_once(':')?, value)));
    let ((path, name), value) = parts.ok_or("it is not PATH:NAME=VALUE".to_owned())?;
    Ok(Change { path: path.to_owned(), name: name.to_owned(), value: value.to_owned() })
}

/// What is sealed, and the signed changes since.
#[derive(Args, Debug)]
pub(crate) struct SealedArgument {
    /// The seal, with parameters.
    #[arg(long, value_name = "F")]
    seal: PathBuf,
    #[command(flatten)]
    keys: TrustArgument,
    /// Signed changes since, in order.
    #[arg(long, value_name = "F", requires = "calibrator")]
    delta: Vec<PathBuf>,
    /// Public key of whoever may change parameters. Given several times, every one of them must have signed.
    #[arg(long, value_name = "P")]
    calibrator: Vec<PathBuf>,
}

/// What the arguments name, read.
struct Sealed {
    series: String,
    /// As sealed, before any change.
    parameters: Parameters,
    calibrators: Option<Role>,
    deltas: Vec<Vec<u8>>,
}

impl Sealed {
    fn calibrators(&self) -> Result<&Role, Error> {
        self.calibrators.as_ref().ok_or(Error::Policy { reason: "nobody may change parameters" })
    }
}

impl SealedArgument {
    fn read(self) -> Result<Sealed, Error> {
        let trust = self.keys.trust(now())?;
        let (manifest, _) = trust.judge(&source::small_file(&self.seal)?)?;
        let read = |file: &PathBuf| VerifyingKey::from_text(&text(file, "key")?);
        let keys = self.calibrator.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
        let calibrators = if keys.is_empty() { None } else { Some(Role::new([Holder::new(keys)?], 1)?) };
        let deltas = self.delta.iter().map(|file| source::small_file(file)).collect::<Result<_, _>>()?;
        let (series, parameters) = (manifest.series().to_owned(), manifest.parameters().clone());
        Ok(Sealed { series, parameters, calibrators, deltas })
    }

    /// The same, with the changes followed.
    fn present(self) -> Result<(String, Parameters, u64), Error> {
        let sealed = self.read()?;
        let (series, mut parameters, mut number) = (sealed.series.clone(), sealed.parameters.clone(), 0);
        for delta in &sealed.deltas {
            let delta = Delta::open(delta, sealed.calibrators()?)?;
            if delta.series() != series {
                return Err(Error::OtherSeries { expected: series, found: delta.series().to_owned() });
            }
            if delta.number() <= number {
                return Err(Error::RolledBack { series, version: delta.number(), seen: number });
            }
            (parameters, number) = (delta.follow(&parameters)?, delta.number());
        }
        Ok((series, parameters, number))
    }
}

/// A table of what runs.
struct Table<'a> {
    sealed: &'a Parameters,
    running: Parameters,
}

impl Running for Table<'_> {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        let sealed = self.sealed.all().get(index)?;
        let running = self.running.get(sealed.path().as_str(), sealed.name())?;
        (running.unit() == sealed.unit()).then(|| running.value().clone())
    }
}

impl Attest {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        match self {
            Self::Check { sealed, running } => check(sealed, &running),
            Self::Delta { sealed, set, number, key, out } => delta(sealed, &set, number, &key, &out),
            Self::Challenge => {
                let nonce: String = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(Answer::default().with("nonce", nonce.as_str()).say(nonce))
            }
            Self::Respond { sealed, running, nonce, key, out } => {
                let (series, parameters_, deltas) = sealed.present()?;
                let key: SigningKey = text(&key, "key")?.parse()?;
                let table = Table { sealed: &parameters_, running: parameters(&running)? };
                let attestor = Attestor::new(&series, parameters_.clone()).after(deltas);
                let answer = attestor.respond(&nonce, stamp(), &table, &key, None)?;
                fs::write(&out, answer).map_err(|error| failed("write", &out, error))?;
                Ok(Answer::default().say(format!("{} answers the challenge", out.display())))
            }
            Self::Verify { answer, sealed, nonce, attestor } => {
                let key: PublicKey = text(&attestor, "key")?.parse()?;
                let sealed = sealed.read()?;
                let series = &sealed.series;
                let mut expected = Expected::new(series, key, sealed.parameters.clone());
                for delta in &sealed.deltas {
                    expected.follow(delta, sealed.calibrators()?)?;
                }
                let attested = expected.check(&text(&answer, "attestation")?, &nonce)?;
                let root = attested.measured.parameters;
                let words = format!(
                    "verified: {series} runs with the sealed parameters after {} changes, root {}",
                    attested.deltas,
                    root.short()
                );
                Ok(Answer::default()
                    .with("root", root.to_string())
                    .with("deltas", attested.deltas)
                    .say(words))
            }
        }
    }
}

fn check(sealed: SealedArgument, running: &Path) -> Result<Answer, Error> {
    let (series, sealed, _) = sealed.present()?;
    let table = Table { sealed: &sealed, running: parameters(running)? };
    let mut attestor = Attestor::new(&series, sealed.clone());
    let look = attestor.sweep(&table, u64::MAX);
    let mut alarms: Vec<_> = look.alarms.iter().map(ToString::to_string).collect();
    let unsealed =
        table.running.all().iter().filter(|one| sealed.get(one.path().as_str(), one.name()).is_none());
    alarms.extend(unsealed.map(|one| {
        format!("parameter `{}` of `{}` is not sealed and runs as {one}", one.name(), one.path())
    }));
    let refused = !alarms.is_empty();
    let words = match refused {
        false => format!("verified: {} parameters of {series} run as sealed", look.checked),
        true => format!(
            "{}{}",
            alarms.join("\n"),
            if look.more > 0 { format!("\nand {} more", look.more) } else { String::new() }
        ),
    };
    let answer = Answer::default()
        .with("root", sealed.root().to_string())
        .with("checked", look.checked)
        .with("alarms", alarms);
    Ok(Answer { refused, ..answer.say(words) })
}

fn delta(
    sealed: SealedArgument,
    set: &[Change],
    number: u64,
    keys: &[PathBuf],
    out: &Path,
) -> Result<Answer, Error> {
    let (series, before, _) = sealed.present()?;
    let mut changes = Vec::new();
    for Change { path, name, value } in set {
        let known = before
            .get(path, name)
            .ok_or(Error::Policy { reason: "a change names a parameter that is not sealed" })?;
        changes.push((&**path, &**name, ParameterValue::parse(known.value().kind(), value)?));
    }
    let delta = Delta::new(&series, number, &before, changes)?;
    let signers: Result<Vec<_>, Error> = keys.iter().map(|path| signer(path)).collect();
    let signers = signers?;
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
    fs::write(out, delta.sign(&signers)?).map_err(|error| failed("write", out, error))?;
    let (from, to) = delta.roots();
    let words = format!("change {number} of {series}: from {} to {}", from.short(), to.short());
    Ok(Answer::default().with("number", number).with("root", to.to_string()).say(words))
}
