//! `twin import` and `twin validate`: what other formats say of a plant, as assets and signals, or why they are refused.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use twinguard::integrity::archive::{Archive, Budget};
use twinguard::twin::importers::{Imported, Refused, Undefined, dtdl_models, package};
use twinguard::twin::{Plant, registry};
use twinguard::types::{EdgeKind, Role};

/// Read a model of another format (AAS, AASX, Ditto, DTDL, EPANET, FMI, FMU, OPC UA NodeSet2, WoT) as assets and signals.
#[derive(clap::Args, Debug)]
pub(crate) struct Import {
    /// Files; several DTDL models are read as one set, so that they may refer to each other.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write a plant file to start from.
    #[arg(long = "as", value_name = "PLANT.toml")]
    plant: Option<PathBuf>,
}

/// Say of each file whether it keeps the rules of its format, and if not, where and why.
#[derive(clap::Args, Debug)]
pub(crate) struct Validate {
    /// Files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

struct File {
    name: String,
    bytes: Vec<u8>,
    format: Option<&'static str>,
}

fn open(paths: &[PathBuf]) -> Result<Vec<File>> {
    let open = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = fs::read(path).with_context(|| name.clone())?;
        let package = Archive::begins(&bytes).then_some("package");
        let format = package.or_else(|| registry::importer_for(&name, &bytes).map(|importer| importer.name));
        Ok(File { name, bytes, format })
    };
    paths.iter().map(open).collect()
}

/// A package is inflated in memory, this much at most, and never extracted.
const PACKAGE: Budget = Budget { entries: 10_000, bytes: 512 << 20, ratio: 200, nesting: 1 };

fn read(file: &File) -> Result<Imported, Refused> {
    if Archive::begins(&file.bytes) {
        let archive = Archive::parse(file.bytes.clone(), PACKAGE).and_then(|archive| archive.unpack());
        let refused = |error| Refused { place: "archive".to_owned(), reason: format!("{error}") };
        return package(&archive.map_err(refused)?);
    }
    match registry::importer_for(&file.name, &file.bytes) {
        Some(importer) => (importer.import)(&file.bytes),
        None => Err(Refused { place: "start".to_owned(), reason: "no known format".to_owned() }),
    }
}

/// One model, of whatever format.
pub(crate) fn one(path: &std::path::Path) -> Result<Imported> {
    let files = open(&[path.to_owned()])?;
    let file = files.first().context("no file")?;
    Ok(read(file)?)
}

pub(crate) fn run(arguments: &Import, as_json: bool) -> Result<()> {
    let files = open(&arguments.files)?;
    let imported = match files.as_slice() {
        [only] => read(only).with_context(|| only.name.clone())?,
        many if many.iter().all(|file| file.format == Some("dtdl")) => {
            let models: Result<Vec<Value>> = many
                .iter()
                .map(|file| serde_json::from_slice(&file.bytes).with_context(|| file.name.clone()))
                .collect();
            dtdl_models(&models?, Undefined::Refused).context("the set of models")?
        }
        _ => bail!("several files at once have to be DTDL models"),
    };
    let name =
        arguments.files.first().and_then(|path| path.file_stem()).unwrap_or_default().to_string_lossy();
    if let Some(path) = &arguments.plant {
        let plant = Plant::from_signals(&name, imported.catalogue.clone());
        fs::write(path, plant.to_toml()).with_context(|| path.display().to_string())?;
    }
    let catalogue = &imported.catalogue;
    let signals: Vec<Value> = catalogue
        .iter()
        .map(|(_, signal)| {
            let range = signal.range.map(|range| [range.min(), range.max()]);
            json!({"path": signal.path, "unit": signal.unit, "role": role(signal.role), "range": range})
        })
        .collect();
    let path = |id| catalogue.asset(id).map_or("?", |asset| &*asset.path);
    if as_json {
        let edges: Vec<Value> = catalogue
            .edges()
            .iter()
            .map(|edge| json!({"from": path(edge.from), "to": path(edge.to), "kind": kind(edge.kind)}))
            .collect();
        return crate::print_json(&json!({"format": imported.format, "signals": signals, "edges": edges}));
    }
    println!(
        "{name}: {} signals, {} edges between assets ({})",
        catalogue.len(),
        catalogue.edges().len(),
        imported.format
    );
    for (_, signal) in catalogue.iter() {
        println!("  {:<11} {:<8} {}", role(signal.role), signal.unit, signal.path);
    }
    Ok(())
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Measurement => "measurement",
        Role::Actuator => "actuator",
        Role::Setpoint => "setpoint",
        Role::Parameter => "parameter",
    }
}

fn kind(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Contains => "contains",
        EdgeKind::Feeds => "feeds",
        EdgeKind::Controls => "controls",
    }
}

pub(crate) fn validate(arguments: &Validate, as_json: bool) -> Result<()> {
    let mut bad = 0;
    for file in open(&arguments.files)? {
        let verdict = read(&file);
        bad += usize::from(verdict.is_err());
        if as_json {
            let refused = verdict.as_ref().err();
            crate::print_json(&json!({
                "file": file.name,
                "format": file.format,
                "valid": verdict.is_ok(),
                "place": refused.map(|refused| &refused.place),
                "reason": refused.map(|refused| &refused.reason),
            }))?;
        } else {
            match verdict {
                Ok(imported) => {
                    println!("{}: valid {}, {} signals", file.name, imported.format, imported.catalogue.len())
                }
                Err(refused) => println!("{}: refused at {refused}", file.name),
            }
        }
    }
    if bad > 0 { bail!("{bad} refused") } else { Ok(()) }
}
