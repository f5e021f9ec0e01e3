//! `twin optimise`: the cheapest set-points that keep every limit of a plant.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
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
        fs::write(path, picture(&plant, &request, &advice)).with_context(|| path.display().to_string())?;
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
fn picture(plant: &Plant, request: &Request, advice: &Advice) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 120.0;
    let outlook = &advice.outlook;
    let shown: Vec<(usize, SignalId)> = outlook.signals.iter().copied().enumerate().collect();
    let limited = |id: &SignalId| plant.limits.iter().any(|limit| limit.signal == *id);
    let shown: Vec<_> = shown.into_iter().filter(|(_, id)| limited(id)).collect();
    let height = 40.0 + shown.len() as f64 * (HEIGHT + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        WIDTH + 100.0
    );
    let values: Vec<String> = advice
        .values
        .iter()
        .map(|(id, value)| format!("{} = {value:.3}", escape(plant.catalogue.path(*id))))
        .collect();
    let _ = writeln!(svg, "<text x=\"50\" y=\"24\" font-weight=\"bold\">{}</text>", values.join(", "));
    for (panel, (column, id)) in shown.iter().enumerate() {
        let top = 50.0 + panel as f64 * (HEIGHT + 40.0);
        let rows: Vec<(f64, f64)> =
            outlook.trajectory.chunks_exact(outlook.signals.len()).map(|row| row[*column]).collect();
        let limits = || plant.limits.iter().filter(|limit| limit.signal == *id);
        let edges = limits().flat_map(|limit| [limit.min, limit.max]).flatten();
        let all = rows.iter().flat_map(|(mean, sigma)| [mean - sigma, mean + sigma]).chain(edges);
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let span = (high - low).max(1e-9);
        let y = |value: f64| top + HEIGHT * (1.0 - (value - low) / span);
        let x = |at: usize| 50.0 + WIDTH * at as f64 / (rows.len().max(2) - 1) as f64;
        let points: Vec<String> =
            rows.iter().enumerate().map(|(at, (mean, _))| format!("{:.1},{:.1}", x(at), y(*mean))).collect();
        let _ = writeln!(
            svg,
            "<text x=\"50\" y=\"{:.1}\">{}, {high:.2} to {low:.2}</text>\n\
             <rect x=\"50\" y=\"{top:.1}\" width=\"{WIDTH:.1}\" height=\"{HEIGHT:.1}\" fill=\"none\" stroke=\"#ccc\"/>\n\
             <polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\" points=\"{}\"/>",
            top - 6.0,
            escape(plant.catalogue.path(*id)),
            points.join(" ")
        );
        for limit in limits() {
            for edge in [limit.min, limit.max].into_iter().flatten() {
                let _ = writeln!(
                    svg,
                    "<line x1=\"50\" x2=\"{:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"#c00\" stroke-dasharray=\"4 3\"><title>limit {edge} of {}</title></line>",
                    50.0 + WIDTH,
                    escape(plant.catalogue.path(*id)),
                    y(edge)
                );
            }
        }
    }
    let hours = request.horizon.as_secs_f64() / 3600.0;
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{hours:.1} h</text>\n</svg>",
        50.0 + WIDTH,
        height - 6.0
    );
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
