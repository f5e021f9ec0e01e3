//! The search for the most damaging attacks that stay undetected.

use std::fs::{create_dir_all, write};
use std::io::Write;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use twinguard::Drill;
use twinguard::redteam::campaign::{Campaign, Found, Hunt, Plan, Search, regression};

use crate::args::Args;

pub fn run(args: &Args, plan: Plan) -> Result<()> {
    let search = Search { runs: args.runs, ..Search::default() };
    let campaign = Campaign::new(plan)?;
    let bar = crate::progress(args, campaign.grounds().len() * search.runs as usize);
    let found = campaign.search(&Drill::default(), &search, &|hunt| tell(&bar, &hunt))?;
    bar.finish_and_clear();
    if let Some(dir) = &args.out {
        create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let path = dir.join("found.toml");
        write(&path, regression(campaign.plan(), &found)?).with_context(|| path.display().to_string())?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        for found in &found {
            serde_json::to_writer(&mut out, found)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    show(&mut out, &search, &found)
}

fn tell(bar: &ProgressBar, hunt: &Hunt<'_>) {
    match hunt {
        Hunt::Learnt(plant) => bar.set_message(format!("learnt {plant}")),
        Hunt::Ran(plant, runs, best) => {
            bar.inc(*runs);
            bar.set_message(format!("{plant}: {:.0} % of the way to the limit", 100.0 * best));
        }
        _ => {}
    }
}

fn show(out: &mut impl Write, search: &Search, all: &[Found]) -> Result<()> {
    writeln!(
        out,
        "{:<26} {:<18} {:>7} {:>9} {:>16} {:>9}  aimed at",
        "plant", "attack", "size", "impact", "again unseen", "could be"
    )?;
    for Found { variant, impact, detectable, held, impact_held } in all {
        writeln!(
            out,
            "{:<26} {:<18} {:>7.3} {:>7.0} % {:>16} {:>9}  {}, {}, samples {} to {}",
            variant.plant,
            variant.attack,
            variant.size,
            100.0 * impact,
            format!("{} of {}, {:.0} %", held.hits, held.of, 100.0 * impact_held),
            if *detectable { "seen" } else { "not seen" },
            variant.sensor,
            variant.actuator,
            variant.start,
            variant.start + variant.length
        )?;
    }
    writeln!(
        out,
        "\nThe most damaging attacks that {} runs a plant found without a finding. Impact: how far of the way from the untouched \
         plant to its limit; again unseen: under fresh seeds, with the mean impact there; could be: whether anything of that \
         size could be seen, by the plant file.",
        search.runs
    )?;
    Ok(())
}
