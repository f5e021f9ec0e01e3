//! What attacked rows in the history cost: the water network with no, 1, 5 and 10 % attacked rows in training, fitted as it is and trimmed.

use anyhow::Result;
use serde_json::json;
use twinguard::anomaly::suite::Suite;
use twinguard::twin::simulator::Noise;

use crate::water::{Harm, Network, Rows};
use crate::{FALSE_ALARMS, mean, quantile, share_above};

const HISTORY: usize = 4000;
const NORMAL: usize = 4000;
const ATTACKS: usize = 14;
/// Rows of an attack in the history: eight hours.
const LENGTH: usize = 32;
const SHARES: [f64; 4] = [0.0, 0.01, 0.05, 0.10];

/// What was found with one share of attacked rows in the history.
#[derive(Clone, Copy, Default)]
pub struct Found {
    /// Seen shares of attacked rows: at equal false alarms, and at the limit that was asked for; for the plain and the trimmed fit.
    seen: [[f64; 2]; 2],
    /// Shares of the history that were trimmed: of its attacked rows, and of the others.
    trimmed: [f64; 2],
}

/// Rows of which this share is attacked, evenly spread, and which.
fn history(seed: u64, share: f64) -> (Rows, Vec<bool>) {
    let (mut network, mut draw) = (Network::new(seed, seed), Noise::new(seed, 6));
    let attacks = (share * HISTORY as f64 / LENGTH as f64).round() as usize;
    let (mut rows, mut attacked) = (Rows::default(), Vec::new());
    for _ in 0..attacks {
        network.run(HISTORY / attacks - LENGTH, Harm::None, &mut rows);
        attacked.resize(rows.len(), false);
        network.run(LENGTH, Harm::draw(&mut draw), &mut rows);
        attacked.resize(rows.len(), true);
    }
    network.run(HISTORY - rows.len(), Harm::None, &mut rows);
    attacked.resize(rows.len(), false);
    (rows, attacked)
}

/// One plant, by share of attacked rows in its history.
pub fn run(seed: u64) -> Result<[Found; 4]> {
    let mut network = Network::new(seed, seed + 3_000_000);
    let normal = Rows::normal(&mut network, NORMAL);
    let (rows, windows) = network.attacked(ATTACKS, &mut Noise::new(seed, 7));
    let mut all = [Found::default(); 4];
    for (share, found) in SHARES.iter().zip(&mut all) {
        let (history, was_attacked) = history(seed, *share);
        let (trimmed, left_out) = Suite::fit_trimmed(&history.training())?;
        for (which, of) in [true, false].into_iter().enumerate() {
            let rows = || was_attacked.iter().enumerate().filter(move |(_, was)| **was == of);
            let out = rows().filter(|(t, _)| left_out.iter().any(|it| it.rows.contains(t))).count();
            found.trimmed[which] = out as f64 / rows().count().max(1) as f64;
        }
        for (fit, suite) in [Suite::fit(&history.training())?, trimmed].iter().enumerate() {
            let scores = rows.surprises(suite);
            let attacked: Vec<f64> = windows.iter().cloned().flatten().map(|t| scores[t]).collect();
            let limits = [quantile(&normal.surprises(suite), 1.0 - FALSE_ALARMS), suite.limit(FALSE_ALARMS)?];
            for (seen, limit) in found.seen.iter_mut().zip(limits) {
                seen[fit] = share_above(&attacked, limit);
            }
        }
    }
    Ok(all)
}

pub fn print(all: &[[Found; 4]], as_json: bool) {
    if !as_json {
        println!(
            "| attacked rows in the history | equal false alarms: as it is | trimmed | of clean | limit asked for: as it is | trimmed | of clean | attacked rows trimmed | others |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }
    let of = |place: usize, which: usize, fit: usize| {
        mean(&all.iter().map(|found| found[place].seen[which][fit]).collect::<Vec<f64>>())
    };
    let trimmed = |place: usize, which: usize| {
        mean(&all.iter().map(|found| found[place].trimmed[which]).collect::<Vec<f64>>())
    };
    for (place, share) in SHARES.iter().enumerate() {
        if as_json {
            let both = |which: usize| [of(place, which, 0), of(place, which, 1)];
            let out = [trimmed(place, 0), trimmed(place, 1)];
            println!("{}", json!({"share": share, "equal": both(0), "asked": both(1), "trimmed": out}));
        } else {
            let cells = (0..2).map(|which| {
                let (plain, trimmed, clean) = (of(place, which, 0), of(place, which, 1), of(0, which, 0));
                format!(" {plain:.3} | {trimmed:.3} | {:.0} % |", 100.0 * trimmed / clean)
            });
            let out =
                [trimmed(place, 0), trimmed(place, 1)].map(|share| format!(" {:.0} % |", 100.0 * share));
            println!("| {:.0} % |{}{}", 100.0 * share, cells.collect::<String>(), out.concat());
        }
    }
}
