//! `twin predict`: how long until a signal reaches its limit, as a distribution, and when to act.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use examples::picture::{self, Mark, Panel};
use serde_json::json;
use twinguard::twin::prognosis::{self, Degradation, Exponential, Life, Load, ParisErdogan, Wiener, advise};

use crate::history::History;

/// Remaining life of what wears: fit a degradation model to a signal's history and say when a limit is reached.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// CSV with a time column and the signal's column; for `paris` the time column counts load cycles.
    file: PathBuf,
    /// The signal; may be left out when there is only one.
    #[arg(long)]
    signal: Option<String>,
    /// The limit.
    #[arg(long, allow_hyphen_values = true)]
    limit: f64,
    /// Degradation model; `auto` takes the one of wiener and exponential that explains the history better.
    #[arg(long, default_value = "auto", value_parser = ["auto", "wiener", "exponential", "paris"])]
    model: String,
    /// How many times dearer a failure is than planned work.
    #[arg(long, default_value_t = 10.0)]
    failure_cost: f64,
    /// For paris: range of the stress in MPa.
    #[arg(long, default_value_t = 100.0)]
    stress_range_mpa: f64,
    /// For paris: geometry factor.
    #[arg(long, default_value_t = 1.0)]
    geometry: f64,
    /// For paris: standard deviation of the measured lengths in metres.
    #[arg(long, default_value_t = 1e-5)]
    sigma_m: f64,
    /// Write a picture (SVG) of the history and the fan of what comes.
    #[arg(long)]
    svg: Option<PathBuf>,
}

const PROBABILITIES: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let name = arguments.file.display().to_string();
    let history = History::read(&arguments.file, &[])?;
    let signal = match (&arguments.signal, history.names.as_slice()) {
        (Some(signal), _) => signal.clone(),
        (None, [only]) => only.clone(),
        (None, names) => bail!("{name}: say which `--signal`: {}", names.join(", ")),
    };
    let column = history.column(&signal).with_context(|| name.clone())?;
    let samples: Vec<(f64, f64)> = history
        .times_s
        .iter()
        .zip(&history.rows)
        .map(|(time, row)| (*time, row[column]))
        .filter(|(_, value)| value.is_finite())
        .collect();
    ensure!(!samples.is_empty(), "{name}: no value of `{signal}`");
    let model = fit(arguments, &samples).with_context(|| name.clone())?;
    let life = model.life(arguments.limit).with_context(|| name.clone())?;
    let advice = advise(&life, arguments.failure_cost)?;
    let cycles = arguments.model == "paris";
    if let Some(svg) = &arguments.svg {
        let fan: Vec<(f64, f64)> = PROBABILITIES.iter().map(|p| (*p, life.quantile(*p))).collect();
        let unit = if cycles { "cycles" } else { "s" };
        let marks = marks(&samples, arguments.limit, &fan);
        let panel = Panel::new(format!("{signal}, with the times of its limit"), unit, marks);
        picture::write(svg, &format!("{signal}: when {} is reached", arguments.limit), &[panel])?;
    }
    let finite = |value: f64| value.is_finite().then_some(value);
    if as_json {
        let quantiles: serde_json::Map<_, _> =
            PROBABILITIES.iter().map(|p| (p.to_string(), json!(finite(life.quantile(*p))))).collect();
        return crate::print_json(&json!({
            "signal": signal,
            "model": model.name(),
            "limit": arguments.limit,
            "unit": if cycles { "cycles" } else { "s" },
            "quantiles": quantiles,
            "never": 1.0 - life.within(f64::MAX),
            "act_within": finite(advice.act_within),
            "risk": advice.risk,
            "cost_ratio": advice.cost_ratio,
        }));
    }
    print(&signal, arguments, model.as_ref(), &life, &advice, cycles);
    Ok(())
}

/// History and limit, and a fan from the last value to the times (probability, time from there) at which the limit is reached.
fn marks(history: &[(f64, f64)], limit: f64, quantiles: &[(f64, f64)]) -> Vec<Mark> {
    let (now, value) = history.last().copied().unwrap_or_default();
    let mut marks = vec![Mark::Line(history.iter().map(|(time, value)| [*time, *value]).collect())];
    let reached = quantiles.iter().map(|(_, time)| *time).filter(|time| time.is_finite());
    let end = reached.fold(0.0, f64::max);
    for ((_, early), (_, late)) in quantiles.iter().zip(quantiles.iter().rev()).take(quantiles.len() / 2) {
        if early.is_finite() {
            // A time that never comes is drawn where the last of the others is.
            let late = if late.is_finite() { *late } else { end };
            let lower = value + (limit - value) * early / late;
            marks.push(Mark::Band(vec![
                [now, value, value],
                [now + early, lower, limit],
                [now + late, limit, limit],
            ]));
        }
    }
    marks.push(Mark::Level(limit));
    marks
}

fn fit(arguments: &Arguments, samples: &[(f64, f64)]) -> Result<Box<dyn Degradation>> {
    Ok(match arguments.model.as_str() {
        "wiener" => Box::new(Wiener::fit(samples)?),
        "exponential" => Box::new(Exponential::fit(samples)?),
        "paris" => {
            let load = Load { stress_range_mpa: arguments.stress_range_mpa, geometry: arguments.geometry };
            Box::new(ParisErdogan::fit(samples, load, arguments.sigma_m)?)
        }
        _ => prognosis::choose(samples)?,
    })
}

fn print(
    signal: &str,
    arguments: &Arguments,
    model: &dyn Degradation,
    life: &Life,
    advice: &prognosis::Advice,
    cycles: bool,
) {
    let text = |value: f64| match (value.is_finite(), cycles) {
        (false, _) => "never".to_owned(),
        (true, true) => format!("{value:.0} cycles"),
        (true, false) => duration(value),
    };
    println!("{signal} reaches {} ({} model)", arguments.limit, model.name());
    for probability in PROBABILITIES {
        println!("  {:>3.0} % within {}", 100.0 * probability, text(life.quantile(probability)));
    }
    let (low, high) = advice.interval;
    println!("  between {} and {} with a probability of 80 %", text(low), text(high));
    if advice.act_within.is_finite() {
        println!(
            "act within {}: the limit is reached before that in {:.1} % of cases, and at a failure {} times as dear as \
             planned work this costs {:.0} % of waiting",
            text(advice.act_within),
            100.0 * advice.risk,
            arguments.failure_cost,
            100.0 * advice.cost_ratio,
        );
    } else {
        println!("acting early does not pay");
    }
}

/// A duration in its natural unit.
fn duration(seconds: f64) -> String {
    let units = [(86_400.0 * 365.25, "years"), (86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")];
    match units.iter().find(|(size, _)| seconds >= 2.0 * size) {
        Some((size, unit)) => format!("{:.1} {unit}", seconds / size),
        None => format!("{seconds:.0} s"),
    }
}
