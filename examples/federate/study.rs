//! Attack × difference between sites × share of liars × rule: what a minority of poisoned sites costs, misses included.

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::statistic::{Covariance, Gram, Model, Subspace};
use twinguard::federated::rules::{self, Rule};
use twinguard::federated::{combine, vote::Judgement};

use crate::plant::{DRIVES, Dice, NOISE, Plant, SENSORS, area};

const SITES: usize = 20;
const ROWS: usize = 2000;
const TRIALS: usize = 200;

/// What liars do, all together, knowing everything.
const ATTACKS: &[(&str, &str)] = &[
    ("none", "nobody lies"),
    ("inflate", "a large variance along the hidden direction"),
    ("edge", "as much of it as the default's screen lets through"),
    ("alie", "honest mean less 1.2 spreads, coordinate by coordinate"),
    ("shrink", "a tenth of the honest covariance"),
    ("flip", "half the honest mean, negative"),
];

/// Liars among the twenty.
const LIARS: &[usize] = &[0, 2, 4, 6, 9];

/// How the sites differ: name, spread of levels, spread of weights.
const DIFFERENCES: &[(&str, f64, f64)] =
    &[("alike", 0.0, 0.0), ("levels 0.5", 0.5, 0.0), ("weights 0.2", 0.5, 0.2)];

/// One row of the table.
struct Cell {
    attack: &'static str,
    difference: &'static str,
    liars: usize,
    rule: String,
    areas: Vec<f64>,
    losses: Vec<f64>,
    refused: usize,
}

pub(crate) fn run(seeds: u64, first: u64, as_json: bool, bar: &ProgressBar) -> Result<()> {
    bar.set_length(seeds * DIFFERENCES.len() as u64);
    let mut cells: Vec<Cell> = Vec::new();
    for seed in first..first + seeds {
        for (difference, shift, gain) in DIFFERENCES {
            let world = World::new(seed, *shift, *gain)?;
            for (attack, _) in ATTACKS {
                for liars in LIARS.iter().copied().filter(|liars| (*liars == 0) == (*attack == "none")) {
                    let sites = world.sites(attack, liars)?;
                    let honest = world.judge(&combine(&rules::Mean, &world.honest[liars..])?)?;
                    let share = liars as f64 / SITES as f64;
                    let mut put = |rule: &str, result: Option<f64>, fallback: f64| {
                        let place = cells.iter().position(|cell| {
                            cell.attack == *attack
                                && cell.difference == *difference
                                && cell.liars == liars
                                && cell.rule == rule
                        });
                        let place = place.unwrap_or_else(|| {
                            let rule = rule.to_owned();
                            let (areas, losses) = (Vec::new(), Vec::new());
                            cells.push(Cell { attack, difference, liars, rule, areas, losses, refused: 0 });
                            cells.len() - 1
                        });
                        let area = result.unwrap_or(fallback);
                        cells[place].areas.push(area);
                        cells[place].losses.push(honest - area);
                        cells[place].refused += usize::from(result.is_none());
                    };
                    for rule in rules::all(share) {
                        let result = combine(&*rule, &sites).map(|covariance| world.judge(&covariance));
                        put(rule.name(), result.ok().transpose()?, 0.5);
                    }
                    let (chosen, alone) = (world.voted(&sites, liars)?, world.alone(liars)?);
                    put("default, voted", chosen, alone);
                }
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    print(&cells, as_json);
    Ok(())
}

struct World {
    honest: Vec<Covariance>,
    held_out: Vec<Covariance>,
    hidden: Vec<f64>,
    plan: Gram,
    /// Rows about their site's own levels, with labels.
    rows: Vec<[f64; SENSORS]>,
    labels: Vec<bool>,
}

impl World {
    fn new(seed: u64, shift: f64, gain: f64) -> Result<Self> {
        let plant = Plant::new(seed);
        let (mut honest, mut held_out, mut rows, mut labels) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for number in 0..SITES {
            let mut site = plant.site(number as u64, shift, gain);
            honest.push(Covariance::of(&site.count(ROWS, false)?)?);
            held_out.push(Covariance::of(&site.count(ROWS / 4, false)?)?);
            let (own, kinds) = site.trial(TRIALS);
            let levels = site.levels().to_vec();
            rows.extend(
                own.into_iter().map(|row| core::array::from_fn(|sensor| row[sensor] - levels[sensor])),
            );
            labels.extend(kinds);
        }
        Ok(Self { honest, held_out, hidden: plant.hidden, plan: Gram::new(Plant::grid()?, 0)?, rows, labels })
    }

    /// What arrives: the first `liars` sites lie.
    fn sites(&self, attack: &str, liars: usize) -> Result<Vec<Covariance>> {
        let honest: Vec<Vec<f64>> = self.honest[liars..].iter().map(Covariance::lower).collect();
        let n = honest.len() as f64;
        let width = honest[0].len();
        let mean: Vec<f64> =
            (0..width).map(|at| honest.iter().map(|point| point[at]).sum::<f64>() / n).collect();
        let spread: Vec<f64> = (0..width)
            .map(|at| (honest.iter().map(|point| (point[at] - mean[at]).powi(2)).sum::<f64>() / n).sqrt())
            .collect();
        let along = |size: f64| -> Vec<f64> {
            let products = (0..SENSORS).flat_map(|i| (0..=i).map(move |j| (i, j)));
            products.zip(&mean).map(|((i, j), mean)| mean + size * self.hidden[i] * self.hidden[j]).collect()
        };
        let mut dice = Dice::new(99, liars as u64);
        let lie: Vec<f64> = match attack {
            "inflate" => along(400.0),
            "edge" => {
                // the most that the screen still keeps, found by halving
                let kept = |size: f64| -> Result<bool> {
                    let mut points = vec![along(size); liars];
                    points.extend(honest.iter().cloned());
                    Ok(rules::Screened.weights(&points)?.first().is_some_and(|weight| *weight > 0.0))
                };
                let (mut low, mut high) = (0.0, 400.0);
                for _ in 0..40 {
                    let middle = f64::midpoint(low, high);
                    if kept(middle)? { low = middle } else { high = middle }
                }
                along(low)
            }
            "alie" => mean.iter().zip(&spread).map(|(mean, spread)| mean - 1.2 * spread).collect(),
            "shrink" => mean.iter().map(|mean| 0.1 * mean).collect(),
            "flip" => mean.iter().map(|mean| -0.5 * mean).collect(),
            _ => mean,
        };
        let mut sites = self.honest.clone();
        for site in &mut sites[..liars] {
            // not quite alike, so that no rule is helped by equality
            let own: Vec<f64> = lie.iter().map(|x| x * (1.0 + 1e-6 * dice.normal())).collect();
            *site = Covariance::from_parts(self.plan.clone(), ROWS as u64, vec![0.0; SENSORS], &own)?;
        }
        Ok(sites)
    }

    /// Area under the curve of the squared prediction error, rows about their site's levels.
    fn judge(&self, covariance: &Covariance) -> Result<f64> {
        let centred = covariance.clone().around(&[0.0; SENSORS])?;
        let model = Subspace::with_directions(&centred, DRIVES)?;
        let mut window = [0; SENSORS];
        let mut scores = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            model.grid().quantise(row, &mut window)?;
            scores.push(model.statistics(&window).1);
        }
        area(&self.labels, &scores)
    }

    /// The first candidate that a majority accepts; liars vote for the one without the screen's mercy: against every good one.
    fn voted(&self, sites: &[Covariance], liars: usize) -> Result<Option<f64>> {
        for rule in rules::usual() {
            let Ok(covariance) = combine(&*rule, sites) else { continue };
            let model = Subspace::with_directions(&covariance, DRIVES)?;
            let mut yes = 0;
            for own in &self.held_out[liars..] {
                yes += usize::from(Judgement::of(&model, own)?.accepts(2.0));
            }
            if 2 * yes > SITES {
                return Ok(Some(self.judge(&covariance)?));
            }
        }
        Ok(None)
    }

    /// What a site has without a federation, on average.
    fn alone(&self, liars: usize) -> Result<f64> {
        let mut sum = 0.0;
        for own in &self.honest[liars..] {
            sum += self.judge(own)?;
        }
        Ok(sum / (SITES - liars) as f64)
    }
}

fn print(cells: &[Cell], as_json: bool) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    if as_json {
        for cell in cells {
            let worst = cell.losses.iter().copied().fold(f64::MIN, f64::max);
            println!(
                "{}",
                json!({ "attack": cell.attack, "difference": cell.difference, "liars": cell.liars, "sites": SITES, "rule": cell.rule,
                        "auc": mean(&cell.areas), "loss": mean(&cell.losses), "worst_loss": worst, "refused": cell.refused,
                        "seeds": cell.areas.len() })
            );
        }
        return;
    }
    println!(
        "Loss of area under the curve against the mean of the honest sites alone; {SITES} sites × {ROWS} rows × {SENSORS} sensors, {DRIVES} drives,"
    );
    println!(
        "noise {NOISE}, {} seeds. (n): so many seeds without an accepted model, counted with what a site has alone.",
        cells.first().map_or(0, |cell| cell.areas.len())
    );
    ATTACKS.iter().for_each(|(name, story)| println!("- {name}: {story}"));
    println!();
    let mut rules: Vec<&str> = Vec::new();
    cells.iter().for_each(|cell| {
        if !rules.contains(&cell.rule.as_str()) {
            rules.push(&cell.rule);
        }
    });
    println!("| attack | sites | liars | {} |", rules.join(" | "));
    println!("|---|---|---|{}", "---|".repeat(rules.len()));
    for (attack, _) in ATTACKS {
        for (difference, ..) in DIFFERENCES {
            for liars in LIARS {
                let of = |rule: &&str| {
                    cells.iter().find(|cell| {
                        cell.attack == *attack
                            && cell.difference == *difference
                            && cell.liars == *liars
                            && cell.rule == **rule
                    })
                };
                let line: Vec<String> = rules
                    .iter()
                    .filter_map(of)
                    .map(|cell| {
                        let refused =
                            if cell.refused > 0 { format!(" ({})", cell.refused) } else { String::new() };
                        format!("{:.3}{refused}", mean(&cell.losses))
                    })
                    .collect();
                if !line.is_empty() {
                    println!("| {attack} | {difference} | {liars}/{SITES} | {} |", line.join(" | "));
                }
            }
        }
    }
}
