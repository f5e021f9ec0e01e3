//! What the meters of a plant cover.

use std::io::Write;

use anyhow::{Context, Result};
use twinguard::redteam::campaign::Plan;
use twinguard::redteam::{Certificate, Ground};
use twinguard::twin::Plant;

use crate::args::Args;

/// Samples over which something has to show.
const SAMPLES: usize = 100;

pub fn show(args: &Args, plan: &Plan) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut certificates = Vec::new();
    if let Some(path) = &args.plant {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let plant = Plant::parse(&text, &path.display().to_string())?;
        let certificate = Certificate::of(&plant, SAMPLES).with_context(|| path.display().to_string())?;
        certificates.push(certificate);
    } else {
        for name in &plan.plants {
            certificates.push(Certificate::of(Ground::named(name)?.plant(), SAMPLES)?);
        }
    }
    for certificate in &certificates {
        if args.json {
            serde_json::to_writer(&mut out, certificate)?;
            writeln!(out)?;
        } else {
            tell(&mut out, certificate)?;
        }
    }
    Ok(())
}

fn tell(out: &mut impl Write, it: &Certificate) -> Result<()> {
    writeln!(
        out,
        "{}: {} causes, {} without a trace, {} told from all others; window {} samples ({:.0} s), file {}",
        it.plant,
        it.gaps.len(),
        it.invisible,
        it.alone,
        it.samples,
        it.window_s,
        it.digest.chars().take(12).collect::<String>()
    )?;
    writeln!(
        out,
        "  {:<12} {:<34} {:>14} {:>16}  not told from",
        "what", "which", "shows from", "hidden an hour"
    )?;
    for gap in &it.gaps {
        let number = |value: Option<f64>, none: &str| {
            value.map_or_else(
                || none.to_owned(),
                |value| format!("{value:.3} {}", gap.unit).trim_end().to_owned(),
            )
        };
        writeln!(
            out,
            "  {:<12} {:<34} {:>14} {:>16}  {}{}",
            gap.what,
            gap.name,
            number(gap.step, "never"),
            number(gap.hidden_per_hour, "anything"),
            gap.like.join(", "),
            gap.check.as_ref().map_or_else(String::new, |check| format!(" (read {check} again)"))
        )?;
    }
    writeln!(out)?;
    Ok(())
}
