//! `twin whatif`: what becomes of a plant when inputs are held, held against its limits, with what is unsure.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
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
        let picture = draw(&plant, &found, start);
        fs::write(file, picture).with_context(|| file.display().to_string())?;
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

/// A panel for each signal that carries a limit: the middle, the band from 5 to 95 %, the limits dashed.
fn draw(plant: &Plant, found: &Ensemble, start: Timestamp) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 160.0;
    let shown: Vec<(usize, SignalId)> = found
        .signals
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, signal)| plant.limits.iter().any(|limit| limit.signal == *signal))
        .collect();
    let end = found.times.last().map_or(1.0, |at| (*at - start).as_secs_f64()).max(1e-9);
    let mut panels = String::new();
    for (panel, (at, signal)) in shown.iter().enumerate() {
        let bands: Vec<[f64; 3]> =
            found.bands.iter().skip(*at).step_by(found.signals.len().max(1)).copied().collect();
        let limits: Vec<f64> = plant
            .limits
            .iter()
            .filter(|limit| limit.signal == *signal)
            .flat_map(|limit| limit.min.into_iter().chain(limit.max))
            .collect();
        let values = bands.iter().flatten().chain(&limits).copied().filter(|value| value.is_finite());
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let x = |step: usize| 60.0 + (WIDTH - 80.0) * (found.times[step] - start).as_secs_f64() / end;
        let y = |value: f64| HEIGHT - 30.0 - (HEIGHT - 60.0) * (value - low) / (high - low).max(1e-9);
        let line = |quantile: usize, steps: &mut dyn Iterator<Item = usize>| {
            steps
                .map(|step| format!("{:.1},{:.1}", x(step), y(bands[step][quantile])))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let band = line(0, &mut (0..bands.len())) + " " + &line(2, &mut (0..bands.len()).rev());
        let name = plant.catalogue.signal(*signal).map_or("?", |signal| &*signal.path);
        panels += &format!("<g transform=\"translate(0 {:.0})\">", panel as f64 * HEIGHT);
        panels +=
            &format!("<text x=\"60\" y=\"20\">{}</text>", name.replace('&', "&amp;").replace('<', "&lt;"));
        panels += &format!("<polygon points=\"{band}\" fill=\"#9ecae1\" fill-opacity=\"0.6\"/>");
        panels += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#08519c\" stroke-width=\"1.5\"/>",
            line(1, &mut (0..bands.len()))
        );
        for limit in limits {
            panels += &format!(
                "<line x1=\"60\" x2=\"{:.0}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"#cb181d\" stroke-dasharray=\"6 4\"/>\
                 <text x=\"55\" y=\"{3:.1}\" text-anchor=\"end\" fill=\"#cb181d\">{1}</text>",
                WIDTH - 20.0,
                limit,
                y(limit),
                y(limit) + 4.0
            );
        }
        panels += &format!(
            "<text x=\"60\" y=\"{0:.0}\">0 s</text><text x=\"{1:.0}\" y=\"{0:.0}\" text-anchor=\"end\">{end:.0} s</text></g>",
            HEIGHT - 8.0,
            WIDTH - 20.0
        );
    }
    let height = HEIGHT * shown.len().max(1) as f64;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>{panels}</svg>\n"
    )
}
