//! `guard fleet`: what many small assets cost in time and memory.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::suite::{Suite, Training};
use twinguard::fleet::{Fleet, Quota, Reading};
use twinguard::twin::simulator::{Options, Register, Simulator, Site, cooling_loop};
use twinguard::types::{Duration, Point, Source, Timestamp, Value};
use twinguard::{Guard, Input, Output};

/// Simulate many assets of many tenants that share a model, and measure processor time and memory for each.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Assets.
    #[arg(long, default_value_t = 100_000)]
    assets: u32,
    /// Tenants that share them evenly.
    #[arg(long, default_value_t = 1_000)]
    tenants: u32,
    /// Signals of an asset.
    #[arg(long, default_value_t = 8)]
    signals: usize,
    /// Simulated seconds, one reading of each asset in each.
    #[arg(long, default_value_t = 60)]
    seconds: i64,
    /// Assets that have a full guard of their own beside the others: transformers with a model of their physics, 11 signals each.
    #[arg(long, default_value_t = 0)]
    guards: u32,
    /// False alarms a day that are acceptable at one asset.
    #[arg(long, default_value_t = 0.001)]
    false_alarms_per_day: f64,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Rows of history behind the model: two hours.
const HISTORY: usize = 7_200;

/// An asset's load, which all its signals follow.
#[derive(Clone)]
struct Asset {
    load: f64,
    state: u64,
}

impl Asset {
    fn new(seed: u64) -> Self {
        let mut asset = Self { load: 0.0, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        // So that it begins where its kind usually is.
        (0..200).for_each(|_| asset.load = 0.98 * asset.load + 0.2 * asset.chance());
        asset
    }

    /// About normal: the sum of four even numbers.
    fn chance(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            sum += (self.state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
        }
        sum * 3.0_f64.sqrt()
    }

    fn step(&mut self, row: &mut [f64]) {
        self.load = 0.98 * self.load + 0.2 * self.chance();
        for (at, value) in row.iter_mut().enumerate() {
            *value = 20.0 + 5.0 * at as f64 + (at as f64 - 2.5) * self.load + 0.1 * self.chance();
        }
    }
}

pub(crate) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let width = arguments.signals;
    let mut teacher = Asset::new(arguments.seed);
    let mut history = vec![0.0; HISTORY * width];
    history.chunks_mut(width).for_each(|row| teacher.step(row));
    let suite = Arc::new(Suite::fit(&Training { channels: width, values: &history, times: None })?);
    let names: Vec<String> = (0..width).map(|at| format!("signal {at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let before = resident();
    let started = Instant::now();
    let mut fleet = Fleet::new();
    let period = Duration::from_secs(1);
    let model = fleet.model(suite.clone(), &names, period, arguments.false_alarms_per_day)?;
    let each = arguments.assets.div_ceil(arguments.tenants.max(1));
    let quota = Quota { assets: each, readings_per_second: 2.0 * f64::from(each), ..Quota::default() };
    let (mut tenants, mut members) = (Vec::new(), Vec::new());
    for at in 0..arguments.tenants {
        tenants.push(fleet.tenant(&format!("tenant {at}"), quota, None)?);
    }
    for at in 0..arguments.assets {
        let tenant = tenants[(at / each) as usize];
        members.push(fleet.asset(tenant, &format!("asset {at}"), model)?);
    }
    let built = started.elapsed();
    let memory = resident().zip(before).map(|(after, before)| after.saturating_sub(before));

    let mut assets: Vec<Asset> =
        (0..members.len()).map(|at| Asset::new(arguments.seed + 1 + at as u64)).collect();
    let mut values = vec![0.0; members.len() * width];
    let (mut spent, mut slowest) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    let mut work = 0.0;
    let bar = progress(arguments, as_json);
    for second in 0..arguments.seconds {
        assets.iter_mut().zip(values.chunks_mut(width)).for_each(|(asset, row)| asset.step(row));
        let at = Timestamp::from_secs(second);
        let reading = |(asset, values)| Reading { asset, at, values };
        let readings: Vec<Reading<'_>> =
            members.iter().copied().zip(values.chunks(width)).map(reading).collect();
        let (started, before) = (Instant::now(), processor());
        fleet.handle(at, &readings)?;
        let took = started.elapsed();
        work += processor() - before;
        bar.inc(1);
        spent += took;
        slowest = slowest.max(took);
    }
    bar.finish_and_clear();
    let guards = guards(&mut fleet, arguments)?;
    let findings: u64 =
        tenants.iter().filter_map(|tenant| fleet.usage(*tenant)).map(|usage| usage.findings).sum();
    let count = u64::from(arguments.assets).max(1);
    let per_second = spent.as_secs_f64() / arguments.seconds.max(1) as f64;
    let bytes = memory.map(|bytes| bytes / count);
    if as_json {
        println!(
            "{}",
            json!({
                "assets": arguments.assets, "tenants": arguments.tenants, "signals": width, "seconds": arguments.seconds,
                "built_s": built.as_secs_f64(), "seconds_a_second": per_second, "slowest_s": slowest.as_secs_f64(),
                "processor_s_a_second": work / arguments.seconds.max(1) as f64,
                "us_per_reading": per_second * 1e6 / count as f64, "bytes_per_asset": bytes, "findings": findings,
                "model_bytes": suite.save().len(), "guards": guards,
            })
        );
        return Ok(());
    }
    println!(
        "{} assets of {} tenants, {width} signals each, built in {:.1} s",
        count,
        arguments.tenants,
        built.as_secs_f64()
    );
    println!(
        "one simulated second takes {per_second:.3} s ({:.2} µs a reading), {:.3} s of processor time, the slowest {:.3} s",
        per_second * 1e6 / count as f64,
        work / arguments.seconds.max(1) as f64,
        slowest.as_secs_f64()
    );
    if let Some(bytes) = bytes {
        println!(
            "{bytes} bytes an asset, tenants and journals included; the shared model is {} bytes",
            suite.save().len()
        );
    }
    if let Some(guards) = guards {
        println!(
            "{} full guards: {} bytes each, {:.0} µs of processor time a guard and second, {} findings",
            guards.count,
            guards.bytes_each.unwrap_or_default(),
            guards.us_a_second,
            guards.findings
        );
    }
    println!("{findings} findings in {} asset-days", count as f64 * arguments.seconds as f64 / 86_400.0);
    Ok(())
}

/// What full guards cost.
#[derive(serde::Serialize)]
struct Guards {
    count: u32,
    bytes_each: Option<u64>,
    /// Processor time of a guard for one second of its plant.
    us_a_second: f64,
    findings: u64,
}

/// Guards of transformers of one kind: one learns an hour of normal running, the others begin with what it has learnt.
fn guards(fleet: &mut Fleet, arguments: &Arguments) -> Result<Option<Guards>> {
    if arguments.guards == 0 {
        return Ok(None);
    }
    let site = |seed: u64, stretch: u64| {
        Site::new(&cooling_loop::REFERENCE, seed, &Options { stretch, ..Options::default() })
    };
    let row = |site: &mut Site| -> Vec<Point> {
        site.step();
        let at = site.plant.now();
        let point = |register: &Register| {
            let (signal, value) = site.decode(register)?;
            Some(Point::new(signal, Value::real(value).ok()?, Source::Field, at))
        };
        site.plant.registers().iter().filter_map(point).collect()
    };
    let mut teacher = site(arguments.seed, 1)?;
    let plant = teacher.file().clone();
    let learn = |guard: &mut Guard| {
        for _ in 0..3_600 {
            let points = row(&mut teacher);
            guard.handle(teacher.plant.now(), Input::Points(&points))?;
            while guard.poll().is_some() {}
        }
        Ok(())
    };
    let builder = || Guard::builder_unsealed(plant.clone());
    let learnt = builder().learn(learn)?.build()?.snapshot()?;
    let mut sites: Vec<Site> =
        (0..arguments.guards).map(|_| site(arguments.seed, 2)).collect::<Result<_, _>>()?;
    let quota = Quota { assets: arguments.guards, readings_per_second: 1e6, ..Quota::default() };
    let tenant = fleet.tenant("guarded", quota, None)?;
    let before = resident();
    let mut ids = Vec::new();
    for at in 0..arguments.guards {
        ids.push(fleet.guard(tenant, &format!("transformer {at}"), builder().restore(&learnt)?)?);
    }
    let (mut work, mut findings) = (0.0, 0);
    // Long enough for rows, twin and detectors to have filled what they keep.
    let seconds = arguments.seconds.max(600);
    for _ in 0..seconds {
        let rows: Vec<Vec<Point>> = sites.iter_mut().map(row).collect();
        let before = processor();
        for ((id, site), points) in ids.iter().zip(&sites).zip(&rows) {
            fleet.tell_guard(*id, site.plant.now(), Input::Points(points))?;
            while let Some(output) = fleet.poll_guard(*id) {
                findings += u64::from(matches!(output, Output::Finding(finding) if finding.revision == 0));
            }
        }
        work += processor() - before;
    }
    let bytes = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
    let count = f64::from(arguments.guards);
    Ok(Some(Guards {
        count: arguments.guards,
        bytes_each: bytes.map(|bytes| bytes / u64::from(arguments.guards)),
        us_a_second: work * 1e6 / count / seconds as f64,
        findings,
    }))
}

fn progress(arguments: &Arguments, as_json: bool) -> ProgressBar {
    if as_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(arguments.seconds.unsigned_abs())
}

/// Processor time of this process in seconds, user and system; 0 where the system does not say. It counts hundredths.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, which may hold spaces: user time is the twelfth field, system time the next (proc(5)).
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Memory of this process in bytes, where the system says so.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}
