//! Verifies a model.

use std::path::PathBuf;

use clap::Args;
use twinguard::integrity::{Error, source, store};

use crate::answer::Answer;
use crate::files::{LIMITS, model, now, spinner};
use crate::trust::TrustArgument;

/// Verify that a directory or archive is what was sealed.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The directory, or an archive (FMU, AASX, zip).
    dir: PathBuf,
    /// Its seal.
    #[arg(long, value_name = "F")]
    seal: PathBuf,
    #[command(flatten)]
    keys: TrustArgument,
    /// Accept this series only.
    #[arg(long, value_name = "S")]
    series: Option<String>,
    /// Refuse a seal that is valid no more at this second since 1970; default: now.
    #[arg(long, value_name = "SECOND")]
    at: Option<u64>,
    /// Remember the highest version accepted in this file, and refuse older ones.
    #[arg(long, value_name = "F")]
    state: Option<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let Self { dir, seal, keys, series, at, state } = self;
        let (dir, seal, state) = (dir.as_path(), seal.as_path(), state.as_deref());
        let mut seen = state.map(store::read_high_water).transpose()?;
        let at = at.unwrap_or_else(now);
        let mut trust = keys.trust(at)?;
        if let Some(series) = series {
            trust = trust.series(series);
        }
        if let Some(seen) = &seen {
            trust = trust.high_water(seen.clone());
        }
        trust = trust.at(at);
        let (manifest, rollback) = trust.judge(&source::small_file(seal)?)?;
        {
            let model = model(dir)?;
            let _spinner = spinner("hashing");
            manifest.check_source(&*model, &LIMITS)?;
        }
        if let (Some(seen), Some(path)) = (&mut seen, state) {
            seen.accept(&manifest)?;
            store::write_high_water(path, seen)?;
        }
        let words = format!(
            "verified: {} files are {} version {}, signed by {}, root {}; {rollback}",
            manifest.entries().len(),
            manifest.series(),
            manifest.version(),
            manifest.key()?.name(),
            manifest.root().short(),
        );
        let excluded: Vec<_> = manifest.excluded().iter().map(ToString::to_string).collect();
        let words = match excluded.is_empty() {
            true => words,
            false => format!("{words}; not sealed, and seen by no loader: {}", excluded.join(", ")),
        };
        let rollback = serde_json::to_value(rollback).unwrap_or_default();
        Ok(Answer::of(&manifest).with("key", manifest.key()?.name()).with("rollback", rollback).say(words))
    }
}
