//! `twin simulate`: what a plant's model does under given inputs, its poles and its zeros.

use std::path::PathBuf;

use anyhow::{Context, Result};
use examples::picture::{self, Mark, Panel};
use serde_json::{Value, json};
use twinguard::twin::experiment::{Experiment, Linearised};

/// Run the cases of a file on the built-in model that its plant names; closed-loop cases on their recorded inputs.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// JSON: `plant`, `states`, `inputs`, `outputs`, `parameters`, `operating_point`, `linear`, `cases` (name, hold_s,
    /// x0, u); robots also `inverse_dynamics` (q, qd, qdd) and `forward_dynamics` (q, qd, tau).
    file: PathBuf,
    /// Write a picture (SVG) of the first case's outputs over samples.
    #[arg(long, value_name = "F.svg")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let name = arguments.file.display().to_string();
    let text = std::fs::read_to_string(&arguments.file).with_context(|| name.clone())?;
    let experiment = Experiment::parse(&text, &name)?;
    let linear = experiment.linearised()?;
    let of = |get: fn(&Linearised) -> Value| linear.as_ref().map_or(Value::Null, get);
    let poles = of(|linear| json!(linear.eigenvalues));
    let zeros = of(|linear| json!(linear.transmission_zeros));
    if !as_json {
        println!("{name}: {}", experiment.plant);
        println!("  poles {poles}");
        println!("  transmission zeros {zeros}");
    }
    for index in 0..experiment.cases() {
        let run = experiment.run(index)?;
        if let (0, Some(svg)) = (index, &arguments.svg) {
            let panel = |(output, name): (usize, &str)| {
                let points = run.y.iter().enumerate().map(|(at, y)| [at as f64, y[output]]).collect();
                Panel::new(name, "sample", vec![Mark::Line(points)])
            };
            let panels: Vec<Panel> = experiment.outputs().enumerate().map(panel).collect();
            picture::write(svg, &format!("{}: {}", experiment.plant, run.case), &panels)?;
        }
        if as_json {
            crate::print_json(&json!({
                "case": run.case, "x": run.x, "y": run.y, "eigenvalues": poles, "transmission_zeros": zeros,
            }))?;
            continue;
        }
        println!("  {} ({} samples)", run.case, run.x.len());
        if let (Some(x), Some(y)) = (run.x.last(), run.y.last()) {
            println!("    ends with x {x:.6?}");
            println!("    shows      y {y:.6?}");
        }
    }
    let (torques, accelerations) = (experiment.torques()?, experiment.accelerations());
    for (case, key, rows) in
        [("inverse_dynamics", "tau", torques), ("forward_dynamics", "qdd", accelerations)]
    {
        match rows.is_empty() {
            true => {}
            false if as_json => crate::print_json(&json!({ "case": case, key: rows }))?,
            false => println!("  {case}: {} poses", rows.len()),
        }
    }
    Ok(())
}
