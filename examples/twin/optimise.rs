//! `twin optimise`: the cheapest set-points that keep every limit of a plant.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use examples::picture::{self, Mark, Panel};
use serde_json::json;
use twinguard::twin::optimise::{Advice, Lever, Request, Track, set_points};
use twinguard::twin::simulator::cooling_loop;
use twinguard::twin::{Plant, Twin};
use twinguard::types::{Duration, SignalId};

/// Find the cheapest values of actuators that keep every limit of a plant over a horizon.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The plant file; without it the sample plant, a cooled transformer.
    #[arg(long, value_name = "F")]
    plant: Option<PathBuf>,
    /// What may be set, SIGNAL=PRICE for a price of one unit; without it every actuator of the model, price 1.
    #[arg(long, value_name = "SIGNAL=PRICE")]
    lever: Vec<Named>,
    /// What should be near a value, SIGNAL=TARGET.
    #[arg(long, value_name = "SIGNAL=TARGET")]
    track: Vec<Named>,
    /// Cost of a mean square deviation of one from each target.
    #[arg(long, default_value_t = 1.0)]
    weight: f64,
    /// How far ahead limits have to hold, seconds.
    #[arg(long, value_name = "S", default_value_t = 14_400.0)]
    horizon: f64,
    /// How far to keep clear of every limit, in its signal's unit.
    #[arg(long, default_value_t = 1.0)]
    reserve: f64,
    /// How many standard deviations the worst case lies from the mean. A twin that has seen no data is sure of nothing: 0.
    #[arg(long, default_value_t = 0.0)]
    sigmas: f64,
    /// A picture: what is foreseen, with the limits.
    #[arg(long, value_name = "F.svg")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct Named {
    path: String,
    value: f64,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.rsplit_once('=').ok_or("expected SIGNAL=NUMBER")?;
        let value: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
        if value.is_finite() {
            Ok(Self { path: path.to_owned(), value })
        } else {
            Err("not finite".to_owned())
        }
    }
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let (text, name) = match &arguments.plant {
        Some(path) => {
            let name = path.display().to_string();
            (fs::read_to_string(path).with_context(|| name.clone())?, name)
        }
        None => (cooling_loop::PLANT.to_owned(), "cooling_loop.toml".to_owned()),
    };
    let plant = Plant::parse(&text, &name)?;
    let request = request(arguments, &plant).with_context(|| name.clone())?;
    let mut fork = Twin::new(&plant).with_context(|| name.clone())?.fork().worst_case(arguments.sigmas);
    let advice = set_points(&mut fork, &request).with_context(|| name.clone())?;
    if let Some(path) = &arguments.svg {
        let values = advice.values.iter();
        let values = values.map(|(id, value)| format!("{} = {value:.3}", plant.catalogue.path(*id)));
        picture::write(path, &values.collect::<Vec<_>>().join(", "), &panels(&plant, &request, &advice))?;
    }
    let path = |signal: SignalId| plant.catalogue.path(signal);
    if as_json {
        let values: serde_json::Map<_, _> =
            advice.values.iter().map(|(signal, value)| (path(*signal).to_owned(), json!(value))).collect();
        let margins = advice.outlook.margins.iter();
        let margins: Vec<_> =
            margins.map(|m| json!({ "signal": path(m.signal), "least": m.least, "mean": m.mean })).collect();
        let (cost, now, rounds) = (advice.cost, advice.cost_now, advice.rounds);
        let line =
            json!({ "set": values, "cost": cost, "cost_now": now, "margins": margins, "rounds": rounds });
        return crate::print_json(&line);
    }
    println!(
        "cost {:.4}, with what is set now {:.4}; {} rounds",
        advice.cost, advice.cost_now, advice.rounds
    );
    for (signal, value) in &advice.values {
        println!("  {} = {value:.4}", path(*signal));
    }
    for margin in &advice.outlook.margins {
        println!("  {:<36} stays {:.3} clear of its limit", path(margin.signal), margin.least);
    }
    Ok(())
}

fn request(arguments: &Arguments, plant: &Plant) -> Result<Request> {
    let Some(dynamics) = &plant.dynamics else { bail!("the plant does not say how it moves") };
    let find = |named: &Named| {
        plant.catalogue.id(&named.path).with_context(|| format!("there is no signal `{}`", named.path))
    };
    let inputs = || dynamics.inputs.iter().copied().zip(dynamics.input_defaults.iter().copied());
    let mut levers = Vec::new();
    let mut add = |id: SignalId, price: f64| -> Result<()> {
        let path = plant.catalogue.path(id);
        let now = inputs().find(|(signal, _)| *signal == Some(id)).map(|(_, default)| default);
        let now = now.with_context(|| format!("`{path}` is no input of the model"))?;
        let range = plant.catalogue.signal(id).and_then(|signal| signal.range);
        let range = range.with_context(|| format!("`{path}` has no range"))?;
        levers.push(Lever { signal: id, min: range.min(), max: range.max(), now, price });
        Ok(())
    };
    if arguments.lever.is_empty() {
        for id in inputs().filter_map(|(signal, _)| signal) {
            let role = plant.catalogue.signal(id).map(|signal| signal.role);
            if role == Some(twinguard::types::Role::Actuator) {
                add(id, 1.0)?;
            }
        }
    }
    for named in &arguments.lever {
        add(find(named)?, named.value)?;
    }
    let horizon = Duration::from_secs_f64(arguments.horizon).context("--horizon is out of range")?;
    let mut request = Request::new(levers, horizon);
    request.reserve = arguments.reserve;
    for named in &arguments.track {
        request.track.push(Track { signal: find(named)?, target: named.value, weight: arguments.weight });
    }
    Ok(request)
}

/// One panel for each signal with a limit: mean, worst case, limits.
fn panels(plant: &Plant, request: &Request, advice: &Advice) -> Vec<Panel> {
    let outlook = &advice.outlook;
    let rows = || outlook.trajectory.chunks_exact(outlook.signals.len().max(1));
    let hours = request.horizon.as_secs_f64() / 3600.0;
    let step = hours / rows().len().saturating_sub(1).max(1) as f64;
    let panel = |(column, id): (usize, &SignalId)| {
        let limits = plant.limits.iter().filter(|limit| limit.signal == *id);
        let limits: Vec<Mark> =
            limits.flat_map(|limit| [limit.min, limit.max]).flatten().map(Mark::Level).collect();
        let foreseen = rows().enumerate().map(|(at, row)| (at as f64 * step, row[column]));
        let mean = foreseen.clone().map(|(hour, (mean, _))| [hour, mean]).collect();
        let worst = foreseen.map(|(hour, (mean, reach))| [hour, mean - reach, mean + reach]).collect();
        let marks = [Mark::Band(worst), Mark::Line(mean)].into_iter().chain(limits.iter().cloned()).collect();
        (!limits.is_empty()).then(|| Panel::new(plant.catalogue.path(*id), "hours", marks))
    };
    outlook.signals.iter().enumerate().filter_map(panel).collect()
}
