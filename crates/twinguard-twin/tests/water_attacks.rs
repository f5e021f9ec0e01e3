//! The estimator on the network of `data/twin/water`: trained on the first half of the normal run, its threshold from the second
//! half, it has to find at least seven of the labelled attacks, one of those that falsify status and flow among them. The
//! status that the plant reports is never looked at, so that comparing it with the command cannot count.
//!
//! The folder is `$TWINGUARD_DATA/twin`, else `../shared/data/twin` beside the workspace; without it the test reports
//! itself as ignored.

#![allow(clippy::disallowed_methods, clippy::print_stdout, missing_docs, reason = "a test reads its data")]

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use twinguard_twin::{
    importers::epanet,
    water::{Assumptions, Estimator, Meter, Network},
};

/// Seconds between rows.
const STEP_S: u32 = 300;
/// Rows over which innovations are averaged: an hour.
const WINDOW: usize = 12;

fn data() -> PathBuf {
    let root = std::env::var_os("TWINGUARD_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")).join("twin")
}

fn main() {
    let arguments = Arguments::from_args();
    let present = data().join("water/net3_normal.csv").exists();
    let trial = Trial::test("net3_attacks", attacks).with_ignored_flag(!present);
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

/// Columns that are meters, with what they show and an assumed deviation.
fn meters(network: &Network, columns: &[&str]) -> Vec<(String, (Meter, f64))> {
    let mut found = Vec::new();
    for column in columns {
        let meter = match column.split_once('_') {
            Some(("L", name)) => network.node(name).map(|node| (Meter::Level(node), 0.03)),
            Some(("P", name)) => network.node(name).map(|node| (Meter::Pressure(node), 0.3)),
            Some(("F", name)) => network.link(name).map(|link| (Meter::Flow(link), 60.0)),
            _ => None,
        };
        found.extend(meter.map(|meter| ((*column).to_owned(), meter)));
    }
    found
}

/// Names of the meters, times of the rows, innovations row by row.
type Run = (Vec<String>, Vec<i64>, Vec<Vec<f64>>);

/// Innovations row by row.
fn innovations(network: &Network, path: &Path) -> Result<Run, Failed> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let meters = meters(network, &columns);
    let place = |name: &str| columns.iter().position(|column| *column == name);
    let places: Vec<usize> = meters.iter().filter_map(|(name, _)| place(name)).collect();
    let commands: Vec<(usize, usize)> = columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| Some((at, network.link(column.strip_prefix("CMD_")?)?)))
        .collect();
    let sensors: Vec<(Meter, f64)> = meters.iter().map(|(_, meter)| *meter).collect();
    let mut twin = Estimator::new(network.clone(), &sensors, Assumptions::default())?;
    let (mut times, mut rows) = (Vec::new(), Vec::new());
    let mut measured = vec![None; sensors.len()];
    for line in lines {
        let values: Vec<&str> = line.split(',').collect();
        for (at, link) in &commands {
            twin.command(*link, values[*at] == "1");
        }
        for (measured, at) in measured.iter_mut().zip(&places) {
            *measured = values[*at].parse().ok();
        }
        twin.update(&measured)?;
        rows.push(measured.iter().zip(twin.expected()).map(|(z, x)| z.map_or(0.0, |z| z - x)).collect());
        times.push(values[0].parse()?);
        twin.predict(STEP_S)?;
    }
    Ok((meters.into_iter().map(|(name, _)| name).collect(), times, rows))
}

/// Mean and deviation of each channel.
fn normal(rows: &[Vec<f64>]) -> Vec<(f64, f64)> {
    (0..rows.first().map_or(0, Vec::len))
        .map(|channel| {
            let n = rows.len() as f64;
            let mean = rows.iter().map(|row| row[channel]).sum::<f64>() / n;
            let variance = rows.iter().map(|row| (row[channel] - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt().max(1e-6))
        })
        .collect()
}

/// The largest hourly mean of a channel, in deviations, and the channel.
fn scores(rows: &[Vec<f64>], normal: &[(f64, f64)]) -> Vec<(f64, usize)> {
    let mut sums = vec![0.0; normal.len()];
    let z = |row: &[f64], channel: usize| (row[channel] - normal[channel].0) / normal[channel].1;
    rows.iter()
        .enumerate()
        .map(|(at, row)| {
            let mut best = (0.0, 0);
            for (channel, sum) in sums.iter_mut().enumerate() {
                *sum += z(row, channel);
                if at >= WINDOW {
                    *sum -= z(&rows[at - WINDOW], channel);
                }
                let score = sum.abs() / WINDOW as f64;
                if score > best.0 {
                    best = (score, channel);
                }
            }
            best
        })
        .collect()
}

fn attacks() -> Result<(), Failed> {
    let network = epanet(&std::fs::read(data().join("models/epanet/example-networks/Net3.inp"))?)?;
    let (_, _, calm) = innovations(&network, &data().join("water/net3_normal.csv"))?;
    let day = 86_400 / STEP_S as usize;
    let (first, second) = calm[day..].split_at((calm.len() - day) / 2);
    let learnt = normal(first);
    let highest = scores(second, &learnt)[WINDOW..].iter().map(|(score, _)| *score).fold(0.0, f64::max);
    let threshold = 1.25 * highest;
    let (names, times, rows) = innovations(&network, &data().join("water/net3_attacks.csv"))?;
    let scores = scores(&rows, &learnt);
    let labels: Value = serde_json::from_slice(&std::fs::read(data().join("water/net3_attacks.json"))?)?;
    let list = labels["attacks"]["list"].as_array().cloned().unwrap_or_default();
    let (mut found, mut hidden) = (0, 0);
    let mut allowed = Vec::new();
    for attack in &list {
        let (start, end) = (attack["start"].as_i64().unwrap_or(0), attack["end"].as_i64().unwrap_or(0));
        // What an attack did to the levels stays for some hours.
        allowed.push((start, end + 12 * 3_600));
        let hit = times
            .iter()
            .zip(&scores)
            .find(|(time, (score, _))| (start..end).contains(*time) && *score > threshold);
        let peak = times
            .iter()
            .zip(&scores)
            .filter(|(time, _)| (start..end).contains(*time))
            .map(|(_, (score, _))| *score)
            .fold(0.0, f64::max);
        println!(
            "{}: peak {peak:.1} of {threshold:.1}, {}",
            attack["name"],
            hit.map_or("missed".to_owned(), |(time, (_, channel))| format!(
                "after {} s by {}",
                time - start,
                names[*channel]
            ))
        );
        found += usize::from(hit.is_some());
        hidden += usize::from(hit.is_some() && attack["kind"] == "force_hidden");
    }
    let outside = |time: i64| !allowed.iter().any(|(start, end)| (*start..*end).contains(&time));
    // Alarms less than six hours apart are one.
    let alarms = times
        .iter()
        .zip(&scores)
        .skip(WINDOW)
        .filter(|(time, (score, _))| outside(**time) && *score > threshold)
        .map(|(time, _)| *time);
    let mut false_alarms: Vec<i64> = Vec::new();
    let mut last = i64::MIN / 2;
    for time in alarms {
        if time - last > 6 * 3_600 {
            false_alarms.push(time);
        }
        last = time;
    }
    println!("{found} of {} found, {hidden} hidden ones, false alarms at {false_alarms:?} s", list.len());
    if found < list.len().min(7) || hidden == 0 {
        return Err(format!("{found} of {} found, {hidden} hidden ones", list.len()).into());
    }
    // One a week.
    if false_alarms.len() > 4 {
        return Err(format!("{} false alarms", false_alarms.len()).into());
    }
    Ok(())
}
