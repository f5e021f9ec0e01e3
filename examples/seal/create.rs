//! Seals a model.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use twinguard::integrity::{
    Component, Draft, Error, Parameter, ParameterValue, Parameters, PortablePath, Signer, seal,
};

use crate::answer::Answer;
use crate::files::{entries, failed, pair, signer, text};

/// Seal every file of a directory or archive as one version of a series.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The directory, or an archive (FMU, AASX, zip); nothing in it is left out.
    dir: PathBuf,
    /// The secret key. Given several times, each signs: an Ed25519 and an ML-DSA key make a hybrid signature.
    #[arg(long, value_name = "K", required = true)]
    key: Vec<PathBuf>,
    /// The seal to write, outside the directory.
    #[arg(long, value_name = "F")]
    out: PathBuf,
    /// What all versions of this model have in common; default: the directory's name.
    #[arg(long, value_name = "S")]
    series: Option<String>,
    /// A higher version is newer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    version: u64,
    /// A later epoch is newer than any version of an earlier one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    epoch: u64,
    /// The last second since 1970 in which the seal is valid.
    #[arg(long, value_name = "SECOND", default_value_t = 0)]
    valid_until: u64,
    /// Parameters to seal one by one: CSV with the columns path, name, unit, type (f64, f32, i64, u64, bool, text), value.
    #[arg(long, value_name = "F")]
    parameters: Option<PathBuf>,
    /// What a file is: PATH=model|solver|connections|calibration|plant|policy|golden; default: model. May be given often.
    #[arg(long, value_name = "PATH=WHAT", value_parser = component)]
    component: Vec<(String, Component)>,
    /// A path to leave out, named as such in the seal. May be given often.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<String>,
}

impl Create {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let signers: Result<Vec<_>, Error> = self.key.iter().map(|path| signer(path)).collect();
        let signers = signers?;
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
        let (dir, out) = (self.dir.as_path(), self.out.as_path());
        let whole = fs::canonicalize(dir).map_err(|error| failed("open", dir, error))?;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if fs::canonicalize(folder).map_err(|error| failed("open", folder, error))?.starts_with(&whole) {
            let error = io::Error::other("the seal would lie in the directory that it covers");
            return Err(failed("write", out, error));
        }
        let named = || whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let excluded: Result<Vec<_>, Error> =
            self.exclude.iter().map(|path| PortablePath::new(path)).collect();
        let excluded = excluded?;
        let mut entries = entries(dir, &|path| excluded.iter().any(|excluded| excluded.covers(path)))?;
        for (path, component) in &self.component {
            let entry = entries.iter_mut().find(|entry| entry.path.as_str() == path);
            entry
                .ok_or(Error::Policy { reason: "a component is given for a file that is not there" })?
                .component = *component;
        }
        let mut draft = Draft::new(self.series.unwrap_or_else(named), self.version, entries);
        draft = draft.epoch(self.epoch).valid_until(self.valid_until);
        draft = excluded.into_iter().fold(draft, Draft::exclude);
        if let Some(path) = &self.parameters {
            draft = draft.parameters(parameters(path)?);
        }
        let manifest = draft.finish()?;
        let sealed = seal::sign(&manifest, &signers)?;
        fs::write(out, &sealed).map_err(|error| failed("write", out, error))?;
        let count = match manifest.parameters().all().len() {
            0 => String::new(),
            count => format!(" and {count} parameters"),
        };
        let words = format!(
            "sealed {} files{count} as {} version {}, root {}",
            manifest.entries().len(),
            manifest.series(),
            manifest.version(),
            manifest.root().short()
        );
        Ok(Answer::of(&manifest).say(words))
    }
}

fn component(argument: &str) -> Result<(String, Component), String> {
    let (path, what) = pair(argument)?;
    Ok((path, what.parse().map_err(|error: Error| error.to_string())?))
}

/// A table of parameters.
pub(crate) fn parameters(path: &Path) -> Result<Parameters, Error> {
    let text = text(path, "table of parameters")?;
    let bad = |line: usize, reason| Error::Text { what: "table of parameters", line, reason };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    if reader.headers().map_err(|_| bad(1, "it is not CSV"))? != vec!["path", "name", "unit", "type", "value"]
    {
        return Err(bad(1, "its columns are not path, name, unit, type, value"));
    }
    let mut all = Vec::new();
    for (row, line) in reader.records().zip(2..) {
        let row = row.map_err(|_| bad(line, "it is not CSV"))?;
        let fields: Vec<_> = row.iter().collect();
        let [path, name, unit, kind, value] = fields[..] else {
            return Err(bad(line, "it does not have five columns"));
        };
        all.push(Parameter::new(path, name, unit, ParameterValue::parse(kind, value)?)?);
    }
    Parameters::new(all)
}
