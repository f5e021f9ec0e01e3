//! `twin identify`: a model from history, judged on the part that it never saw, as a plant file.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use examples::picture::{self, Mark, Panel};
use serde_json::{Value, json};
use twinguard::twin::Plant;
use twinguard::twin::identify::{Identified, Judgement, Record, Subspace, Weighting, subspace};
use twinguard::types::{Catalogue, Duration, Role, Signal};

use crate::{history::History, input};

/// Learn a linear model from history: order, matrices, noise, and how good it is on the rest of the history.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// CSV with a time column and a column a signal; or JSON with `u` and `y`, a list of numbers a row.
    file: PathBuf,
    /// Columns that drive the plant, by name, comma-separated; the other columns are outputs.
    #[arg(long, value_delimiter = ',')]
    inputs: Vec<String>,
    /// Columns that are neither: labels, comments.
    #[arg(long, value_delimiter = ',')]
    ignore: Vec<String>,
    /// Number of states; without it the history decides.
    #[arg(long)]
    order: Option<usize>,
    /// Rows of past and future that the method looks at.
    #[arg(long)]
    horizon: Option<usize>,
    /// How directions of the past are weighted.
    #[arg(long, default_value = "cva", value_parser = ["cva", "moesp", "n4sid"])]
    weighting: String,
    /// Share of the history to learn from; the rest judges.
    #[arg(long, default_value_t = 0.7)]
    learn: f64,
    /// Most steps of refinement towards the maximum of the likelihood.
    #[arg(long, default_value_t = 3)]
    refinements: usize,
    /// Markov parameters to print.
    #[arg(long, default_value_t = 10)]
    markov: usize,
    /// Write the model as a plant file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write a picture (SVG) of the canonical correlations and of the fit.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// History with the names of its channels.
struct Given {
    record: Record,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let name = arguments.file.display().to_string();
    ensure!(arguments.learn > 0.0 && arguments.learn <= 1.0, "--learn is a share between 0 and 1");
    let json_file = arguments.file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let given =
        if json_file { from_json(arguments) } else { from_csv(arguments) }.with_context(|| name.clone())?;
    let (learn, judge) = given.record.split(arguments.learn);
    let options = Subspace {
        order: arguments.order,
        horizon: arguments.horizon,
        weighting: match arguments.weighting.as_str() {
            "moesp" => Weighting::Moesp,
            "n4sid" => Weighting::N4sid,
            _ => Weighting::Cva,
        },
        refinements: arguments.refinements,
        inputs: given.inputs,
        outputs: given.outputs,
    };
    let model = subspace(&learn, &options).with_context(|| name.clone())?;
    // With nothing left to judge by, the figures say so by their absence.
    let judgement = if judge.len() > 2 * model.horizon { Some(model.judge(&judge)?) } else { None };
    if let Some(out) = &arguments.out {
        let plant = plant(&model, &name)?;
        fs::write(out, plant.to_toml()).with_context(|| out.display().to_string())?;
    }
    if let Some(svg) = &arguments.svg {
        let bars = Mark::Bars(model.correlations.clone(), model.order());
        let name = format!("canonical correlations of past and future, {} states taken", model.order());
        picture::write(
            svg,
            &format!("{}: identification", arguments.file.display()),
            &[Panel::new(name, "state", vec![bars])],
        )?;
    }
    if as_json {
        return crate::print_json(&to_json(&model, judgement.as_ref(), arguments.markov));
    }
    print(&name, &model, judgement.as_ref(), arguments);
    Ok(())
}

fn from_json(arguments: &Arguments) -> Result<Given> {
    let file = input::json(&arguments.file)?;
    let outputs = input::rows(&file, "y")?;
    let inputs =
        if file.get("u").is_some() { input::rows(&file, "u")? } else { vec![Vec::new(); outputs.len()] };
    ensure!(inputs.len() == outputs.len(), "`u` has {} rows, `y` has {}", inputs.len(), outputs.len());
    let step_s = if file.get("dt").is_some() { input::number(&file, "dt")? } else { 1.0 };
    let rows: Vec<_> = inputs.into_iter().zip(outputs).collect();
    Ok(Given { record: Record::new(step_s, &rows)?, inputs: Vec::new(), outputs: Vec::new() })
}

fn from_csv(arguments: &Arguments) -> Result<Given> {
    let history = History::read(&arguments.file, &arguments.ignore)?;
    let driving: Vec<usize> =
        arguments.inputs.iter().map(|name| history.column(name)).collect::<Result<_>>()?;
    let driven: Vec<usize> = (0..history.names.len()).filter(|at| !driving.contains(at)).collect();
    let period = history.period_s();
    let mut record = Record::empty(period, driving.len(), driven.len())?;
    for (at, row) in history.rows.iter().enumerate() {
        // A hole in the times is a gap: what lies on either side is not joined.
        if at > 0 && (history.times_s[at] - history.times_s[at - 1] - period).abs() > 0.5 * period {
            record.gap();
        }
        record.push(driving.iter().chain(&driven).map(|column| row[*column]));
    }
    let names = |columns: &[usize]| columns.iter().map(|at| history.names[*at].clone()).collect();
    Ok(Given { record, inputs: names(&driving), outputs: names(&driven) })
}

/// The model as a plant: a signal a channel, tied to the dynamics.
fn plant(model: &Identified, name: &str) -> Result<Plant> {
    let mut catalogue = Catalogue::new();
    let mut dynamics = model.dynamics()?;
    for (at, path) in model.matrices.inputs.iter().enumerate() {
        dynamics.inputs[at] = Some(catalogue.intern(Signal::new(path.as_str(), Role::Actuator))?);
    }
    for (at, path) in model.matrices.outputs.iter().enumerate() {
        let mut signal = Signal::new(path.as_str(), Role::Measurement);
        signal.sigma = Some(dynamics.output_sigma[at]);
        dynamics.outputs[at] = Some(catalogue.intern(signal)?);
    }
    let mut plant = Plant::from_signals(name, catalogue);
    plant.time.sampling = dynamics.step;
    plant.time.stale = Some(Duration::from_nanos(3 * dynamics.step.as_nanos()));
    plant.dynamics = Some(dynamics);
    plant.seal();
    Ok(plant)
}

fn to_json(model: &Identified, judgement: Option<&Judgement>, markov: usize) -> Value {
    let judged = judgement.map(|judged| {
        json!({
            "rows": judged.rows,
            "predicted": judged.predicted,
            "simulated": judged.simulated,
            "normalised": judged.normalised,
            "whiteness": judged.whiteness,
        })
    });
    json!({
        "order": model.order(),
        "horizon": model.horizon,
        "rows": model.rows,
        "A": model.matrices.a,
        "B": model.matrices.b,
        "C": model.matrices.c,
        "D": model.matrices.d,
        "K": model.gain,
        "u0": model.matrices.u0,
        "y0": model.matrices.y0,
        "innovation_covariance": model.innovation_covariance,
        "eigenvalues": model.eigenvalues(),
        "correlations": model.correlations,
        "markov": model.markov(markov),
        "judged": judged,
    })
}

fn print(name: &str, model: &Identified, judgement: Option<&Judgement>, arguments: &Arguments) {
    println!("{name}: {} states from {} rows", model.order(), model.rows);
    for (re, im) in model.eigenvalues() {
        println!("  eigenvalue {re:>10.6} {im:>+10.6} i, modulus {:.6}", re.hypot(im));
    }
    match judgement {
        Some(judged) => {
            println!("  judged on {} later rows (1 is perfect, 0 no better than the mean):", judged.rows);
            println!("  {:<28} {:>11} {:>12} {:>10}", "output", "one step", "inputs alone", "whiteness");
            for (at, output) in model.matrices.outputs.iter().enumerate() {
                let (step, run, white) = (judged.predicted[at], judged.simulated[at], judged.whiteness[at]);
                println!("  {output:<28} {step:>11.4} {run:>12.4} {white:>+10.3}");
            }
            println!("  normalised innovation {:.3} (1 when the stated noise is right)", judged.normalised);
        }
        None => println!("  not judged: no later rows were left"),
    }
    if let Some(out) = &arguments.out {
        println!("  plant file: {}", out.display());
    }
}
