//! What a site's process is told when it starts, and what all sides agree on.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use twinguard::anomaly::statistic::{Covariance, Gram, Sketch, Subspace, Tally, Threshold};
use twinguard::anomaly::{Archive, Reader, Writer};
use twinguard::federated::secure::{Secure, Sharing};
use twinguard::federated::{Error, Exact, Robust, Task, rules};
use twinguard::types::{Digest, Timestamp};

use crate::plant::{DRIVES, Plant};

/// Whom the sites have to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// The sum, bit for bit that of the pooled rows.
    Exact,
    /// The same sum, made by two aggregators who see only random parts.
    Secure,
    /// Rules that hold against a minority of liars.
    Robust,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Secure => "secure",
            Self::Robust => "robust",
        }
    }
}

/// Fewest sites and rows behind anything that is published.
pub(crate) const MIN_SITES: u32 = 3;
pub(crate) const MIN_ROWS: u64 = 500;
/// δ of the reports on privacy.
pub(crate) const DELTA: f64 = 1e-6;

/// The bytes of a model.
pub(crate) fn bytes<A: Archive>(model: &A) -> Vec<u8> {
    let mut writer = Writer::new();
    model.save(&mut writer);
    writer.finish()
}

pub(crate) fn read<A: Archive>(bytes: &[u8]) -> Result<A> {
    let mut reader = Reader::new(bytes);
    let read = A::load(&mut reader)?;
    reader.end()?;
    Ok(read)
}

/// What is counted: coarser and clipped where noise is added.
pub(crate) fn plan(private: bool) -> Result<Gram> {
    let grid = Plant::grid()?;
    let grid = if private { grid.with_bits(6)?.with_norm(12.0)? } else { grid };
    Ok(Gram::new(grid, 0)?)
}

fn fit(covariance: &Covariance) -> Result<Vec<u8>, Error> {
    Ok(bytes(&Subspace::with_directions(covariance, DRIVES)?))
}

type FitSubspace = fn(&Tally<Gram>) -> Result<Vec<u8>, Error>;
type FitThreshold = fn(&Tally<Sketch>) -> Result<Vec<u8>, Error>;

fn fit_subspace(tally: &Tally<Gram>) -> Result<Vec<u8>, Error> {
    fit(&Covariance::of(tally)?)
}

fn fit_threshold(tally: &Tally<Sketch>) -> Result<Vec<u8>, Error> {
    Ok(bytes(&Threshold::fit(tally.clone())?))
}

/// Most rows of a site whose sums are shared: it bounds their bits.
const MOST_ROWS: u64 = 1 << 20;

/// The tasks of the two rounds in mode `secure`.
pub(crate) fn secure_first() -> Result<Secure<Gram, FitSubspace>> {
    let learner = format!("subspace of {DRIVES} directions");
    Ok(Secure::new(plan(false)?, &learner, MOST_ROWS, fit_subspace as FitSubspace))
}

pub(crate) fn secure_second() -> Result<Secure<Sketch, FitThreshold>> {
    Ok(Secure::new(Threshold::plan()?, "threshold", MOST_ROWS, fit_threshold as FitThreshold))
}

/// How the cells of a round are shared.
pub(crate) fn sharing(run: &[u8; 32], stage: u8) -> Result<Sharing> {
    let federation = federation(run, stage);
    Ok(match stage {
        1 => secure_first()?.sharing(federation, 1)?,
        _ => secure_second()?.sharing(federation, 1)?,
    })
}

/// The first round: directions of normal operation.
pub(crate) fn first(mode: Mode, private: bool) -> Result<Box<dyn Task>> {
    let learner = format!("subspace of {DRIVES} directions");
    let plan = plan(private)?;
    Ok(match mode {
        Mode::Exact => Box::new(Exact::new(plan, &learner, fit_subspace)),
        Mode::Secure => Box::new(secure_first()?),
        Mode::Robust => Box::new(Robust::new(plan, &learner, rules::usual(), fit)),
    })
}

/// The second round: how large scores are in normal operation.
pub(crate) fn second(mode: Mode) -> Result<Box<dyn Task>> {
    Ok(match mode {
        Mode::Secure => Box::new(secure_second()?),
        _ => Box::new(Exact::new(Threshold::plan()?, "threshold", fit_threshold)),
    })
}

/// The time, for the state machines.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Writes beside, then puts in place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(beside, path)
}

/// Names a round's federation: who started it, and for what.
pub(crate) fn federation(run: &[u8; 32], stage: u8) -> Digest {
    let mut name = *run;
    name[0] ^= stage;
    Digest(name)
}

/// What a site's process reads from its standard input: one line of JSON, secrets included.
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) port: u16,
    pub(crate) seed: u64,
    pub(crate) rows: usize,
    pub(crate) poisoned: bool,
    pub(crate) mode: Mode,
    pub(crate) epsilon: Option<f64>,
    pub(crate) shift: f64,
    pub(crate) run: [u8; 32],
    pub(crate) noise_seed: [u8; 32],
    pub(crate) signing: String,
    pub(crate) hub: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) hub_public: Vec<u8>,
    /// Port and key of the second aggregator, in mode `secure`.
    pub(crate) helper: Option<(u16, Vec<u8>)>,
    /// Where the site keeps its state.
    pub(crate) folder: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Result<Vec<u8>> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16);
    (0..text.len()).step_by(2).map(|at| Ok(digit(at)?)).collect()
}

impl Job {
    /// Limits are learnt together where sums are exact; with noise they would have to be paid for, among strangers each site has its own.
    pub(crate) fn has_second(&self) -> bool {
        self.mode != Mode::Robust && self.epsilon.is_none()
    }

    pub(crate) fn to_line(&self) -> String {
        json!({
            "number": self.number, "port": self.port, "seed": self.seed, "rows": self.rows, "poisoned": self.poisoned,
            "mode": self.mode.name(), "epsilon": self.epsilon, "shift": self.shift, "run": hex(&self.run),
            "noise_seed": hex(&self.noise_seed), "signing": self.signing, "hub": self.hub, "secret": hex(&self.secret),
            "hub_public": hex(&self.hub_public), "folder": self.folder,
            "helper_port": self.helper.as_ref().map(|(port, _)| port),
            "helper_public": self.helper.as_ref().map(|(_, public)| hex(public)),
        })
        .to_string()
    }

    pub(crate) fn from_line(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).context("the job of a site")?;
        let number = |key: &str| value[key].as_u64().with_context(|| format!("`{key}` of a site's job"));
        let text = |key: &str| {
            value[key].as_str().map(str::to_owned).with_context(|| format!("`{key}` of a site's job"))
        };
        let secret = |key: &str| -> Result<[u8; 32]> {
            unhex(&text(key)?)?.try_into().map_err(|_| anyhow!("`{key}` of a site's job"))
        };
        let mode = match text("mode")?.as_str() {
            "exact" => Mode::Exact,
            "secure" => Mode::Secure,
            "robust" => Mode::Robust,
            other => bail!("mode `{other}` of a site's job"),
        };
        Ok(Self {
            number: u32::try_from(number("number")?)?,
            port: u16::try_from(number("port")?)?,
            seed: number("seed")?,
            rows: usize::try_from(number("rows")?)?,
            poisoned: value["poisoned"].as_bool().unwrap_or_default(),
            mode,
            epsilon: value["epsilon"].as_f64(),
            shift: value["shift"].as_f64().unwrap_or_default(),
            run: secret("run")?,
            noise_seed: secret("noise_seed")?,
            signing: text("signing")?,
            hub: text("hub")?,
            secret: unhex(&text("secret")?)?,
            hub_public: unhex(&text("hub_public")?)?,
            helper: match value["helper_port"].as_u64() {
                Some(port) => Some((u16::try_from(port)?, unhex(&text("helper_public")?)?)),
                None => None,
            },
            folder: text("folder")?,
        })
    }
}
