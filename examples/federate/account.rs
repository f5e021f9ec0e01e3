//! What releases cost together: the library's account for questions on the standard input, one a line.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use serde_json::json;
use twinguard::federated::privacy::{Rho, epsilon};

/// Reads `releases noise delta`, prints ρ and ε.
pub(crate) fn run(questions: impl BufRead) -> Result<()> {
    for (number, line) in (1..).zip(questions.lines()) {
        let line = line?;
        let place = || format!("line {number}: `{line}`");
        let [count, noise, delta] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("{} is not `releases noise delta`", place());
        };
        let (count, noise): (u64, f64) =
            (count.parse().with_context(place)?, noise.parse().with_context(place)?);
        let delta: f64 = delta.parse().with_context(place)?;
        let rho = Rho::new(1.0 / (2.0 * noise * noise)).with_context(place)?.times(count);
        let epsilon = epsilon(rho, delta).with_context(place)?;
        println!(
            "{}",
            json!({ "releases": count, "noise": noise, "delta": delta, "rho": rho.value(), "epsilon": epsilon })
        );
    }
    Ok(())
}
