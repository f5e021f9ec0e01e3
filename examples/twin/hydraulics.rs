//! `twin hydraulics`: heads and flows of a water network over its extended period.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use examples::picture::{self, Mark, Panel};
use serde_json::json;
use twinguard::twin::importers::epanet;
use twinguard::twin::water::{Accuracy, Balance, Hydraulics, LinkKind};

/// Run a water network: an EPANET input file over its extended period, record by record.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// EPANET input file (.inp).
    file: PathBuf,
    /// Stop each balance where the file's ACCURACY says, instead of at 1e-5, the least that the format allows.
    #[arg(long, conflicts_with = "exact")]
    as_written: bool,
    /// Stop each balance at 1e-8: more exact than EPANET can be asked to be in a file.
    #[arg(long)]
    exact: bool,
    /// Write a picture (SVG) of tank levels and pump flows.
    #[arg(long, value_name = "F.svg")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let name = arguments.file.display().to_string();
    let bytes = fs::read(&arguments.file).with_context(|| name.clone())?;
    let network = epanet(&bytes).with_context(|| name.clone())?;
    let accuracy = match (arguments.as_written, arguments.exact) {
        (true, _) => Accuracy::AsWritten,
        (_, true) => Accuracy::Exact,
        _ => Accuracy::Tight,
    };
    let mut water = Hydraulics::new(network, accuracy).with_context(|| name.clone())?;
    let mut records = Records::default();
    loop {
        let start = Instant::now();
        let balance = water.solve().with_context(|| name.clone())?;
        records.spent += start.elapsed();
        records.note(&water, &balance);
        let start = Instant::now();
        let more = water.advance().is_some();
        records.spent += start.elapsed();
        if !more {
            break;
        }
    }
    if let Some(svg) = &arguments.svg {
        picture::write(svg, &name, &records.panels(&water))?;
    }
    if as_json { records.json(&water) } else { records.print(&name, &water) }
}

/// What was found at each instant, in the file's units.
#[derive(Debug, Default)]
struct Records {
    time_s: Vec<i64>,
    head: Vec<Vec<f64>>,
    demand: Vec<Vec<f64>>,
    flow: Vec<Vec<f64>>,
    /// 1 open, 0 closed.
    status: Vec<Vec<u8>>,
    balanced: Vec<bool>,
    trials: u64,
    /// Time in the solver.
    spent: Duration,
}

impl Records {
    fn note(&mut self, water: &Hydraulics, balance: &Balance) {
        self.time_s.push(water.time_s());
        self.head.push(water.heads());
        self.demand.push(water.demands());
        self.flow.push(water.flows());
        self.status.push(water.statuses().iter().map(|status| u8::from(!status.is_closed())).collect());
        self.balanced.push(balance.balanced);
        self.trials += u64::from(balance.trials);
    }

    fn us_per_step(&self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.time_s.len().max(1) as f64
    }

    fn json(&self, water: &Hydraulics) -> Result<()> {
        let network = water.network();
        let nodes: Vec<_> = (0..network.node_count()).filter_map(|node| network.node_name(node)).collect();
        let links: Vec<_> = network.links.iter().map(|link| link.name.as_str()).collect();
        crate::print_json(&json!({
            "flow_units": network.units.flow_unit.name(),
            "length_units": network.units.length_name(),
            "node_ids": nodes,
            "link_ids": links,
            "time_s": self.time_s,
            "head": self.head,
            "demand": self.demand,
            "flow": self.flow,
            "status": self.status,
            "balanced": self.balanced,
            "us_per_step": self.us_per_step(),
        }))
    }

    /// Tank levels, then flows of pumps.
    fn panels(&self, water: &Hydraulics) -> Vec<Panel> {
        let network = water.network();
        let panel = |name: String, of: &dyn Fn(usize) -> f64| {
            let hours = self.time_s.iter().enumerate();
            let points = hours.map(|(at, time)| [*time as f64 / 3_600.0, of(at)]).collect();
            Panel::new(name, "hours", vec![Mark::Line(points)])
        };
        let (length, flow) = (network.units.length_name(), network.units.flow_unit.name());
        let mut panels = Vec::new();
        for (store, node) in network.stores.iter().zip(network.junctions.len()..) {
            let base = store.elevation_ft * network.units.length;
            if store.tank.is_some() {
                let level = |at: usize| self.head[at][node] - base;
                panels.push(panel(format!("tank {}: level, {length}", store.name), &level));
            }
        }
        for (link, pump) in network.links.iter().enumerate() {
            if matches!(pump.kind, LinkKind::Pump { .. }) {
                panels.push(panel(format!("pump {}: flow, {flow}", pump.name), &|at| self.flow[at][link]));
            }
        }
        panels
    }

    fn print(&self, name: &str, water: &Hydraulics) -> Result<()> {
        let network = water.network();
        let (junctions, links) = (network.junctions.len(), network.links.len());
        let tanks: Vec<_> =
            network.stores.iter().zip(junctions..).filter(|(store, _)| store.tank.is_some()).collect();
        println!(
            "{name}: {junctions} junctions, {} tanks, {} reservoirs, {links} links; {} instants, {} trials, {:.0} µs a step",
            tanks.len(),
            network.stores.len() - tanks.len(),
            self.time_s.len(),
            self.trials,
            self.us_per_step()
        );
        let unbalanced = self.balanced.iter().filter(|balanced| !**balanced).count();
        if unbalanced > 0 {
            println!("  {unbalanced} instants are not balanced");
        }
        let (length, flow) = (network.units.length_name(), network.units.flow_unit.name());
        let lift = network.units.length;
        for (store, node) in tanks {
            let level = |head: &Vec<f64>| head[node] - store.elevation_ft * lift;
            let levels: Vec<f64> = self.head.iter().map(level).collect();
            let (low, high) = extent(&levels);
            let last = levels.last().copied().unwrap_or_default();
            println!(
                "  tank {:<16} level {low:>9.3} to {high:>9.3} {length}, at the end {last:>9.3}",
                store.name
            );
        }
        for (at, link) in network.links.iter().enumerate() {
            if !matches!(link.kind, twinguard::twin::water::LinkKind::Pump { .. }) {
                continue;
            }
            let flows: Vec<f64> = self.flow.iter().map(|record| record[at]).collect();
            let (low, high) = extent(&flows);
            println!("  pump {:<16} flow  {low:>9.2} to {high:>9.2} {flow}", link.name);
        }
        Ok(())
    }
}

fn extent(values: &[f64]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    values.iter().fold(start, |(low, high), value| (low.min(*value), high.max(*value)))
}
