//! What the meters of a plant cover: as a table, as JSON with a signature, as a page.

use std::fs::{create_dir_all, read_to_string, write};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use twinguard::integrity::note::{self, Note};
use twinguard::integrity::{PublicKey, SigningKey};
use twinguard::redteam::campaign::Plan;
use twinguard::redteam::{Certificate, Gap, Ground};
use twinguard::report::{Coverage, CoverageRow, KeyFigure, render_coverage};
use twinguard::twin::Plant;

use crate::args::Args;

/// Samples over which something has to show.
const SAMPLES: usize = 100;

pub fn show(args: &Args, plan: &Plan) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut certificates = Vec::new();
    if let Some(path) = &args.plant {
        let text = read_to_string(path).with_context(|| path.display().to_string())?;
        let plant = Plant::parse(&text, &path.display().to_string())?;
        let certificate = Certificate::of(&plant, SAMPLES).with_context(|| path.display().to_string())?;
        certificates.push(certificate);
    } else {
        for name in &plan.plants {
            certificates.push(Certificate::of(Ground::named(name)?.plant(), SAMPLES)?);
        }
    }
    let key = args.key.as_deref().map(secret).transpose()?;
    for certificate in &certificates {
        if let Some(dir) = &args.out {
            file(dir, certificate, key.as_ref())?;
        }
        if args.json {
            serde_json::to_writer(&mut out, certificate)?;
            writeln!(out)?;
        } else {
            tell(&mut out, certificate)?;
        }
    }
    Ok(())
}

/// Checks a signed certificate and prints what was signed.
pub fn verify(path: &Path, public_key: &Path) -> Result<()> {
    let read = |path: &Path| read_to_string(path).with_context(|| path.display().to_string());
    let key: PublicKey =
        read(public_key)?.trim().parse().with_context(|| public_key.display().to_string())?;
    let text = read(path)?;
    let signed = Note::parse(&text).and_then(|note| note.verify(&key));
    write!(std::io::stdout().lock(), "{}", signed.with_context(|| path.display().to_string())?)?;
    Ok(())
}

fn secret(path: &Path) -> Result<SigningKey> {
    let in_file = || path.display().to_string();
    read_to_string(path).with_context(in_file)?.trim().parse().with_context(in_file)
}

/// Writes certificate-PLANT.json, its page, and, with a key, the JSON as a signed note.
fn file(dir: &Path, certificate: &Certificate, key: Option<&SigningKey>) -> Result<()> {
    create_dir_all(dir).with_context(|| dir.display().to_string())?;
    // A plant's name comes from its file: nothing of it may lead elsewhere.
    let safe = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = certificate.plant.chars().map(safe).collect();
    let put = |end: &str, text: &str| {
        let path = dir.join(format!("certificate-{name}.{end}"));
        write(&path, text).with_context(|| path.display().to_string())
    };
    let json = format!("{}\n", serde_json::to_string(certificate)?);
    let signed = key.map(|key| note::sign(&json, key)).transpose()?;
    put("json", &json)?;
    if let Some(signed) = &signed {
        put("note", signed)?;
    }
    let signature = signed.as_deref().and_then(|note| note.lines().last()).unwrap_or_default();
    put("html", &render_coverage(&page(certificate, signature)))
}

fn page(it: &Certificate, signature: &str) -> Coverage {
    let figure = |label: &str, value: usize, note: String, beyond_limit| KeyFigure {
        label: label.to_owned(),
        value: value.to_string(),
        unit: format!("of {}", it.gaps.len()),
        note,
        beyond_limit,
    };
    let settled = it.gaps.iter().filter(|gap| !gap.like.is_empty() && gap.check.is_some()).count();
    let alike = it.gaps.iter().filter(|gap| !gap.like.is_empty()).count();
    let visible = it.gaps.len() - it.invisible;
    Coverage {
        plant: it.plant.clone(),
        headline: match it.invisible {
            0 => format!("All {} causes show within {} samples.", it.gaps.len(), it.samples),
            n => format!("{n} of {} causes leave no trace in what is measured.", it.gaps.len()),
        },
        key_figures: vec![
            figure("Must show", visible, format!("within {:.0} s, from some size on", it.window_s), false),
            figure("Leave no trace", it.invisible, "no detector can see them".to_owned(), it.invisible > 0),
            figure("Told from all others", it.alone, String::new(), false),
            figure("Alike with others", alike, format!("{settled} settled by a second reading"), false),
        ],
        rows: it.gaps.iter().map(row).collect(),
        digest: it.digest.clone(),
        signature: signature.to_owned(),
        unknowns: vec![
            "Computed from the plant file alone: what the file does not declare is not here".to_owned(),
            "Sizes are those that give 10 nats of evidence within the window; a longer one shows less"
                .to_owned(),
        ],
    }
}

fn row(gap: &Gap) -> CoverageRow {
    CoverageRow {
        what: gap.what.to_owned(),
        name: gap.name.clone(),
        shows_from: size(gap, gap.step, "never"),
        hidden: size(gap, gap.hidden_per_hour, "anything"),
        invisible: gap.step.is_none(),
        like: gap.like.clone(),
        check: gap.check.clone().unwrap_or_default(),
    }
}

/// A size with its unit.
fn size(gap: &Gap, value: Option<f64>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| format!("{value:.3} {}", gap.unit).trim_end().to_owned())
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
        writeln!(
            out,
            "  {:<12} {:<34} {:>14} {:>16}  {}{}",
            gap.what,
            gap.name,
            size(gap, gap.step, "never"),
            size(gap, gap.hidden_per_hour, "anything"),
            gap.like.join(", "),
            gap.check.as_ref().map_or_else(String::new, |check| format!(" (read {check} again)"))
        )?;
    }
    writeln!(out)?;
    Ok(())
}
