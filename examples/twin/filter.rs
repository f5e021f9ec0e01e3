//! `twin filter`: measurements through a Kalman filter, step by step.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use examples::picture::{self, Mark, Panel};
use serde_json::{Value, json};
use twinguard::twin::equation::{Compiled, Source};
use twinguard::twin::filters::{
    ExtendedKalman, Innovation, Kalman, LinearKalman, Smoother, Spread, UnscentedKalman, Variant,
};
use twinguard::twin::{Model, TimeBase};

use crate::input;

/// Filter the measurements of a file: linear systems, range and bearing of a moving target, a cascade of tanks.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// JSON: `kind` linear_kf (F, H, Q, R, x0, P0, z), radar_ekf_ukf (F, Q, R, x0, P0, dt, z, ukf_params) or tank_cascade_ukf
    /// (a, inflow, dt, Q, R, x0, P0, z, ukf); matrices by rows, or their diagonal as KEY_diag. `ukf` holds alpha, beta, kappa.
    file: PathBuf,
    /// Write a picture (SVG) of the states with two standard deviations to both sides.
    #[arg(long, value_name = "F.svg")]
    svg: Option<PathBuf>,
}

/// What a filter said, step by step.
#[derive(Debug, Default)]
struct Run {
    x: Vec<Vec<f64>>,
    variance: Vec<Vec<f64>>,
    nis: Vec<f64>,
    log_likelihood: Vec<f64>,
    dof: usize,
    smoother: Smoother,
}

impl Run {
    fn note(&mut self, innovation: &Innovation<'_>) {
        self.nis.push(innovation.nis);
        self.log_likelihood.push(innovation.log_likelihood());
        self.dof += innovation.dof();
    }

    fn estimate(&mut self, mean: &[f64], covariance: impl Fn(&mut [f64])) {
        let n = mean.len();
        let mut matrix = vec![0.0; n * n];
        covariance(&mut matrix);
        self.x.push(mean.to_vec());
        self.variance.push(diagonal(&matrix));
    }

    fn kalman(&mut self, kalman: &Kalman) {
        self.estimate(kalman.mean(), |out| kalman.covariance(out));
    }

    fn unscented(&mut self, filter: &UnscentedKalman) {
        self.estimate(filter.mean(), |out| filter.covariance(out));
    }

    /// Each state, between two standard deviations to both sides.
    fn panels(&self) -> Vec<Panel> {
        let panel = |state: usize| {
            let steps = self.x.iter().zip(&self.variance).enumerate();
            let band = steps.map(|(at, (x, variance))| {
                let reach = 2.0 * variance[state].max(0.0).sqrt();
                [at as f64, x[state] - reach, x[state] + reach]
            });
            let line = self.x.iter().enumerate().map(|(at, x)| [at as f64, x[state]]);
            Panel::new(
                format!("x[{state}] ± 2 σ"),
                "step",
                vec![Mark::Band(band.collect()), Mark::Line(line.collect())],
            )
        };
        (0..self.x.first().map_or(0, Vec::len)).map(panel).collect()
    }

    fn json(&self, filter: &str) -> Value {
        let (x, variance): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
            self.smoother.smooth().into_iter().map(|step| (step.mean, diagonal(&step.covariance))).unzip();
        json!({
            "filter": filter,
            "x": self.x,
            "P_diag": self.variance,
            "nis": self.nis,
            "log_likelihood": self.log_likelihood,
            "rts_x": x,
            "rts_P_diag": variance,
        })
    }
}

fn diagonal(matrix: &[f64]) -> Vec<f64> {
    let n = matrix.len().isqrt();
    (0..n).map(|at| matrix[at * n + at]).collect()
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let name = arguments.file.display().to_string();
    let file = input::json(&arguments.file)?;
    let runs = filter(&file).with_context(|| name.clone())?;
    let (first, main) = runs.first().with_context(|| format!("{name}: nothing to filter"))?;
    if let Some(svg) = &arguments.svg {
        picture::write(svg, &format!("{name}: {first} filter"), &main.panels())?;
    }
    if as_json {
        let mut out = main.json(first);
        let filters: serde_json::Map<_, _> =
            runs.iter().map(|(filter, run)| ((*filter).to_owned(), run.json(filter))).collect();
        out["filters"] = Value::Object(filters);
        return crate::print_json(&out);
    }
    for (filter, run) in &runs {
        let steps = run.nis.len();
        println!("{name}: {filter} filter, {steps} steps");
        println!("  log-likelihood {:.3}", run.log_likelihood.iter().sum::<f64>());
        let per_channel = run.nis.iter().sum::<f64>() / run.dof.max(1) as f64;
        println!(
            "  normalised innovation squared a channel {per_channel:.3} (1 when model and noise are right)"
        );
        if let (Some(x), Some(variance)) = (run.x.last(), run.variance.last()) {
            for (at, (x, variance)) in x.iter().zip(variance).enumerate() {
                println!("  x[{at}] {x:>14.6} ± {:.6}", variance.max(0.0).sqrt());
            }
        }
    }
    Ok(())
}

fn filter(file: &Value) -> Result<Vec<(&'static str, Run)>> {
    match input::value(file, "kind")?.as_str() {
        Some("linear_kf") => Ok(vec![("kalman", linear(file)?)]),
        Some("radar_ekf_ukf") => Ok(vec![("ekf", radar(file)?), ("ukf", radar_unscented(file)?)]),
        Some("tank_cascade_ukf") => Ok(vec![("ukf", tanks(file)?)]),
        Some(kind) => bail!("`kind`: nothing known filters `{kind}`"),
        None => bail!("`kind` is not a text"),
    }
}

/// All measurements, a row a step, each of `channels` numbers or null where nothing was measured.
fn measurements(file: &Value, channels: usize) -> Result<Vec<Vec<Option<f64>>>> {
    let steps = input::value(file, "z")?.as_array().context("`z` is not a list")?;
    let row = |(at, row): (usize, &Value)| {
        let row = row.as_array().with_context(|| format!("`z[{at}]` is not a list"))?;
        ensure!(row.len() == channels, "`z[{at}]` has {} numbers, not {channels}", row.len());
        let entry = |entry: &Value| match entry {
            Value::Null => Ok(None),
            other => other.as_f64().map(Some).with_context(|| format!("`z[{at}]` holds what is no number")),
        };
        row.iter().map(entry).collect()
    };
    steps.iter().enumerate().map(row).collect()
}

fn linear(file: &Value) -> Result<Run> {
    let mean = input::list(file, "x0")?;
    let n = mean.len();
    let m = input::rows(file, "H")?.len();
    let [transition, process, covariance] = ["F", "Q", "P0"].map(|key| input::square(file, key, n));
    let (observation, noise) = (input::full(file, "H", m, n)?, input::diagonal(file, "R", m)?);
    let mut filter = LinearKalman::new(&transition?, &process?, &observation, &noise, &mean, &covariance?)?;
    let mut run = Run::default();
    for measured in measurements(file, m)? {
        filter.predict();
        run.smoother.predicted(&filter);
        run.note(&filter.update(&measured)?);
        run.smoother.updated(&filter)?;
        run.kalman(filter.kalman());
    }
    Ok(run)
}

/// A target that moves as x⁺ = F x, seen from the origin: `range = hypot(px, py); bearing = atan2(py, px)`.
fn radar_model(file: &Value) -> Result<Compiled> {
    let transition = input::full(file, "F", 4, 4)?;
    let states = ["px", "vx", "py", "vy"];
    let mut text = String::new();
    for (state, row) in states.iter().zip(transition.chunks_exact(4)) {
        let terms: Vec<String> =
            row.iter().zip(states).map(|(entry, from)| format!("({entry:e}) * {from}")).collect();
        text += &format!("{state}' = {}\n", terms.join(" + "));
    }
    // The angle of a point as a half-angle formula would lose the left half-plane; this has all four quadrants.
    text += "range = sqrt(px^2 + py^2)\n\
             bearing = if(abs(px) >= abs(py), atan(py / px) + if(px >= 0, 0, if(py >= 0, pi, -pi)), \
             sign(py) * pi / 2 - atan(px / py))\n";
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let source = Source {
        text,
        base: TimeBase::Discrete { step_s: input::number(file, "dt")? },
        states: names(&states),
        inputs: Vec::new(),
        outputs: names(&["range", "bearing"]),
        parameters: Vec::new(),
    };
    Ok(source.compile(&[])?)
}

/// Measured minus predicted, bearings the short way round.
fn wrapped(measured: f64, predicted: f64, channel: usize) -> f64 {
    let (rest, pi) = (measured - predicted, core::f64::consts::PI);
    if channel == 1 { (rest + pi).rem_euclid(2.0 * pi) - pi } else { rest }
}

fn radar(file: &Value) -> Result<Run> {
    let model = radar_model(file)?;
    let TimeBase::Discrete { step_s } = model.time_base() else { bail!("`dt` is missing") };
    let (process, covariance) = (input::square(file, "Q", 4)?, input::square(file, "P0", 4)?);
    let noise = input::diagonal(file, "R", 2)?;
    let zero = [0.0; 4];
    let mut filter = ExtendedKalman::new(&model, &input::list(file, "x0")?, &zero, &zero)?;
    filter.kalman_mut().set_covariance(&covariance)?;
    filter.set_process(&process)?;
    let mut run = Run::default();
    for measured in measurements(file, 2)? {
        filter.predict(&model, 0.0, step_s, step_s, &[])?;
        run.smoother.predicted(&filter);
        run.note(&filter.update_with(&model, 0.0, &[], &measured, &noise, wrapped)?);
        run.smoother.updated(&filter)?;
        run.kalman(filter.kalman());
    }
    Ok(run)
}

fn spread(file: &Value, key: &str) -> Result<Spread> {
    let get =
        |name: &str| input::number(input::value(file, key)?, name).with_context(|| format!("in `{key}`"));
    Ok(Spread { alpha: get("alpha")?, beta: get("beta")?, kappa: get("kappa")? })
}

fn radar_unscented(file: &Value) -> Result<Run> {
    let model = radar_model(file)?;
    let (process, covariance) = (input::square(file, "Q", 4)?, input::square(file, "P0", 4)?);
    let noise = input::diagonal(file, "R", 2)?;
    let mean = input::list(file, "x0")?;
    unscented(file, &model, &mean, &covariance, &process, &noise, spread(file, "ukf_params")?)
}

fn tanks(file: &Value) -> Result<Run> {
    let mean = input::list(file, "x0")?;
    let n = mean.len();
    let (process, covariance) = (input::square(file, "Q", n)?, input::square(file, "P0", n)?);
    let model = tank_model(file, n)?;
    let noise = input::diagonal(file, "R", n.div_ceil(2))?;
    unscented(file, &model, &mean, &covariance, &process, &noise, spread(file, "ukf")?)
}

fn unscented(
    file: &Value,
    model: &Compiled,
    mean: &[f64],
    covariance: &[f64],
    process: &[f64],
    noise: &[f64],
    spread: Spread,
) -> Result<Run> {
    let mut filter = UnscentedKalman::new(mean, covariance, noise.len(), spread, Variant::Redrawn)?;
    let is_radar = model.output_names().iter().any(|name| name == "bearing");
    let difference = |z: f64, predicted: f64, channel| {
        if is_radar { wrapped(z, predicted, channel) } else { z - predicted }
    };
    let mut run = Run::default();
    for measured in measurements(file, noise.len())? {
        filter.predict_with(|x, out| model.dynamics(0.0, x, &[], out), process)?;
        run.smoother.predicted(&filter);
        let look = |x: &[f64], out: &mut [f64]| model.output(0.0, x, &[], out);
        run.note(&filter.update_with(look, &measured, noise, difference)?);
        run.smoother.updated(&filter)?;
        run.unscented(&filter);
    }
    Ok(run)
}

/// `q = a sqrt(max(x, 1e-9))`; the first tank is filled by `inflow`, each other by the one before; levels end at 1e-6; every
/// second level is measured.
fn tank_model(file: &Value, n: usize) -> Result<Compiled> {
    let outlets = input::list(file, "a")?;
    ensure!(outlets.len() == n, "`a` has {} numbers, not {n}", outlets.len());
    let (inflow, step_s) = (input::number(file, "inflow")?, input::number(file, "dt")?);
    let mut text = String::new();
    for (at, outlet) in outlets.iter().enumerate() {
        text += &format!("q{at} = {outlet:e} * sqrt(max(x{at}, 1e-9))\n");
        let from = if at == 0 { format!("{inflow:e}") } else { format!("q{}", at - 1) };
        text += &format!("x{at}' = max(x{at} + {step_s:e} * ({from} - q{at}), 1e-6)\n");
    }
    let states: Vec<String> = (0..n).map(|at| format!("x{at}")).collect();
    let source = Source {
        text,
        base: TimeBase::Discrete { step_s },
        outputs: states.iter().step_by(2).cloned().collect(),
        states,
        inputs: Vec::new(),
        parameters: Vec::new(),
    };
    Ok(source.compile(&[])?)
}
