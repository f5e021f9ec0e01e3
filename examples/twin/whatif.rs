//! `twin whatif`: what becomes of a plant when inputs are held, held against its limits, with what is unsure.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use examples::picture::{self, Mark, Panel};
use serde_json::json;
use twinguard::twin::ensemble::Ensemble;
use twinguard::twin::plant::Limit;
use twinguard::twin::simulator::cooling_loop;
use twinguard::twin::{Plant, Twin};
use twinguard::types::{Duration, SignalId, Timestamp};

/// Ask what becomes of a plant when some of its inputs are held.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The plant file; without it the sample plant, a cooled transformer.
    plant: Option<PathBuf>,
    /// Hold this input at this value, for example `cooler.valve.command=0.2`; may be given several times.
    #[arg(long, value_name = "SIGNAL=VALUE")]
    hold: Vec<String>,
    /// How far to look ahead, seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 4.0 * 3600.0)]
    horizon_s: f64,
    /// How many futures to draw from what is not known of state and parameters.
    #[arg(long, value_name = "N", default_value_t = 200)]
    members: usize,
    /// Seed of these.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Draw the bands against the limits into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
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
    let holds = arguments.hold.iter().map(|hold| parse(&plant, hold)).collect::<Result<Vec<_>>>()?;
    let horizon =
        Duration::from_secs_f64(arguments.horizon_s).ok().filter(|horizon| *horizon > Duration::ZERO);
    let horizon = horizon.with_context(|| format!("--for {}: not a time ahead", arguments.horizon_s))?;
    let twin = Twin::new(&plant).with_context(|| name.clone())?;
    let mut fork = twin.fork();
    let worst = fork.simulate(horizon, &holds).with_context(|| name.clone())?;
    let found =
        fork.ensemble(horizon, &holds, arguments.members, arguments.seed).with_context(|| name.clone())?;
    let start = fork.at();
    let passed = |at: Timestamp| (at - start).as_secs_f64();
    let path = |signal: SignalId| plant.catalogue.signal(signal).map_or("?", |signal| &*signal.path);
    if let Some(file) = &arguments.svg {
        picture::write(file, &format!("{}: what if", plant.name), &panels(&plant, &found, start))?;
    }
    let limits = worst.margins.iter().zip(&found.outlooks);
    if as_json {
        let limits: Vec<_> = limits
            .map(|(margin, outlook)| {
                let limit = &plant.limits[margin.limit];
                json!({
                    "signal": path(margin.signal), "min": limit.min, "max": limit.max,
                    "least": margin.least, "at_s": passed(margin.at), "crossed_s": margin.crossed.map(passed),
                    "least_quantiles": outlook.least, "violated": outlook.violated,
                    "first_crossed_s": outlook.crossed.map(passed),
                })
            })
            .collect();
        let signals: Vec<_> = found.signals.iter().map(|signal| path(*signal)).collect();
        let times: Vec<_> = found.times.iter().map(|at| passed(*at)).collect();
        return crate::print_json(&json!({
            "plant": plant.name, "horizon_s": horizon.as_secs_f64(), "seed": arguments.seed,
            "members": found.members, "lost": found.lost, "limits": limits,
            "signals": signals, "times_s": times, "bands": found.bands,
        }));
    }
    println!("{}: {} futures of {} s", plant.name, found.members + found.lost, horizon.as_secs_f64());
    for (margin, outlook) in limits {
        let limit = &plant.limits[margin.limit];
        println!("  {} {}", path(margin.signal), bounds(limit));
        let crossed = margin.crossed.map_or("never".to_owned(), |at| format!("after {:.0} s", passed(at)));
        println!(
            "    worst case (3 σ): margin {:.2} at {:.0} s, crossed {crossed}",
            margin.least,
            passed(margin.at)
        );
        let [low, middle, high] = outlook.least;
        println!(
            "    futures: margin {low:.2} / {middle:.2} / {high:.2} (5, 50, 95 %), crossed by {:.1} %",
            100.0 * outlook.violated
        );
    }
    for index in &worst.unjudged {
        println!("  {}: not part of the model, nothing can be said", path(plant.limits[*index].signal));
    }
    Ok(())
}

fn bounds(limit: &Limit) -> String {
    let min = limit.min.map(|min| format!("≥ {min}"));
    let max = limit.max.map(|max| format!("≤ {max}"));
    min.into_iter().chain(max).collect::<Vec<_>>().join(", ")
}

fn parse(plant: &Plant, hold: &str) -> Result<(SignalId, f64)> {
    let Some((path, value)) = hold.split_once('=') else { bail!("--hold {hold}: not SIGNAL=VALUE") };
    let signal = plant.catalogue.id(path).with_context(|| format!("--hold {hold}: no signal `{path}`"))?;
    let value: f64 = value.parse().with_context(|| format!("--hold {hold}: `{value}` is not a number"))?;
    Ok((signal, value))
}

/// A panel for each signal that carries a limit: the middle, the band from 5 to 95 %, the limits.
fn panels(plant: &Plant, found: &Ensemble, start: Timestamp) -> Vec<Panel> {
    let panel = |(column, signal): (usize, &SignalId)| {
        let limits = plant.limits.iter().filter(|limit| limit.signal == *signal);
        let limits: Vec<Mark> =
            limits.flat_map(|limit| [limit.min, limit.max]).flatten().map(Mark::Level).collect();
        let bands = found.bands.iter().skip(column).step_by(found.signals.len());
        let bands = found.times.iter().map(|at| (*at - start).as_secs_f64()).zip(bands);
        let middle = bands.clone().map(|(time, [_, middle, _])| [time, *middle]).collect();
        let spread = bands.map(|(time, [low, _, high])| [time, *low, *high]).collect();
        let marks =
            [Mark::Band(spread), Mark::Line(middle)].into_iter().chain(limits.iter().cloned()).collect();
        (!limits.is_empty()).then(|| Panel::new(plant.catalogue.path(*signal), "s", marks))
    };
    found.signals.iter().enumerate().filter_map(panel).collect()
}
