//! `twin isolability`: which causes the meters of a plant cannot tell apart.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use twinguard::twin::Plant;
use twinguard::twin::isolability::{Isolability, Profile};
use twinguard::twin::simulator::cooling_loop;
use twinguard::types::Cause;

/// Say which causes the meters of a plant cannot tell apart, before it runs.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The plant file; without it the sample plant, a cooled transformer.
    plant: Option<PathBuf>,
    /// Leave this meter out; may be given several times.
    #[arg(long, value_name = "SIGNAL")]
    without: Vec<String>,
    /// Samples that a signature is looked at.
    #[arg(long, value_name = "N", default_value_t = 200)]
    slots: usize,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let (name, text) = match &arguments.plant {
        Some(path) => {
            let name = path.display().to_string();
            (name.clone(), fs::read_to_string(path).with_context(|| name)?)
        }
        None => ("cooling_loop.toml".to_owned(), cooling_loop::PLANT.to_owned()),
    };
    let plant = Plant::parse(&text, &name)?;
    let signal =
        |path: &String| plant.catalogue.id(path).with_context(|| format!("--without: no signal `{path}`"));
    let without = arguments.without.iter().map(signal).collect::<Result<Vec<_>>>()?;
    let found =
        Isolability::of(&plant, |signal| !without.contains(&signal), arguments.slots).context(name)?;
    let parameters = plant.dynamics.as_ref().map(|dynamics| dynamics.model.parameters()).unwrap_or_default();
    let title = |cause: usize| match found.causes()[cause] {
        Cause::FaultMode(number) => {
            format!("parameter {}", parameters.get(number as usize).map_or("?", |(name, _)| name.as_str()))
        }
        Cause::SensorBias(signal) => format!("sensor {}", path(&plant, signal)),
        Cause::ActuatorOffset(signal) => format!("actuator {}", path(&plant, signal)),
        Cause::Disturbance(signal) => format!("input {}", path(&plant, signal)),
        other => format!("{other:?}"),
    };
    let profiles = [("step", Profile::Step), ("ramp", Profile::Ramp)];
    if as_json {
        let causes: Vec<_> = (0..found.causes().len()).map(title).collect();
        let mut out = json!({ "plant": plant.name, "slots": arguments.slots, "causes": causes });
        for (key, profile) in profiles {
            let sizes: Vec<_> = (0..causes.len()).map(|cause| found.size(profile, cause)).collect();
            out[key] =
                json!({ "sets": found.sets(profile), "pairs": found.pairs(profile), "size_10_nats": sizes });
        }
        return crate::print_json(&out);
    }
    println!("{}: {} causes over {} samples", plant.name, found.causes().len(), arguments.slots);
    for (key, profile) in profiles {
        let pairs = found.pairs(profile);
        println!("  {key}: {} pairs cannot be told apart (unexplained share below 0.10)", pairs.len());
        for (one, other, share) in pairs {
            println!("    {share:.3}  {} – {}", title(one), title(other));
        }
    }
    Ok(())
}

fn path(plant: &Plant, signal: twinguard::types::SignalId) -> &str {
    plant.catalogue.signal(signal).map_or("?", |signal| &*signal.path)
}
