//! A water network as a twin beside the rows: what its meters should have shown, and what its controls should have done.
//!
//! Columns are told by their names: `L_` a tank's level, `P_` a node's pressure, `F_` a link's flow are meters; `S_` a link's status (0 closed) is
//! taken as what it was told to do. A row is looked at twice: the levels against what the last row's hydraulics made of them, then flows and
//! pressures against the hydraulics at these levels. What a meter leaves unexplained becomes a column, and so does each simple control: how far
//! beyond its level the tank is while the link does not obey.

use anyhow::{Result, ensure};
use twinguard::twin::importers::epanet;
use twinguard::twin::water::{Assumptions, Control, Estimator, LinkId, Meter, Network, When};
use twinguard::types::Timestamp;

/// A meter's deviation, as a share of what its column strays by in the history.
const SHARE: f64 = 0.1;
/// Class of a meter, as a share of its mean reading: what it leaves unexplained below that says nothing, and counts as nothing.
const CLASS: f64 = 0.005;
/// How far a level strays from its balance in an hour, as a share of the same.
const WALK: f64 = 0.3;

/// A column that is a meter.
struct Gauge {
    column: usize,
    meter: Meter,
    sigma: f64,
    /// The least that it tells.
    least: f64,
}

/// Which columns are what.
pub(crate) struct Columns {
    network: Network,
    meters: Vec<Gauge>,
    commands: Vec<(usize, LinkId)>,
    /// Controls whose tank and link have columns: level, status, and the control.
    controls: Vec<(usize, usize, Control)>,
}

impl Columns {
    /// Finds them by name; deviations come from the history.
    pub(crate) fn new(file: &[u8], names: &[String], history: &[f64]) -> Result<Self> {
        let network = epanet(file).map_err(|error| anyhow::anyhow!("{error}"))?;
        let column = |name: String| names.iter().position(|held| *held == name);
        let mut meters = Vec::new();
        let mut commands = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let meter = match name.split_once('_') {
                Some(("L", name)) => network.node(name).map(Meter::Level),
                Some(("P", name)) => network.node(name).map(Meter::Pressure),
                Some(("F", name)) => network.link(name).map(Meter::Flow),
                Some(("S", name)) => {
                    commands.extend(network.link(name).map(|link| (at, link)));
                    None
                }
                _ => None,
            };
            let values = history.iter().skip(at).step_by(names.len()).filter(|value| value.is_finite());
            let (mean, deviation) = moments(values);
            meters.extend(meter.map(|meter| Gauge {
                column: at,
                meter,
                sigma: (SHARE * deviation).max(1e-3),
                least: CLASS * mean.abs(),
            }));
        }
        ensure!(
            !meters.is_empty(),
            "no column is named after a meter of the network: L_TANK, P_NODE, F_LINK"
        );
        let of = |control: &Control| {
            let (When::Above { node, .. } | When::Below { node, .. }) = control.when else { return None };
            let level = column(format!("L_{}", network.node_name(node)?))?;
            let status = column(format!("S_{}", network.links.get(control.link)?.name))?;
            Some((level, status, *control))
        };
        let controls = network.controls.iter().filter_map(of).collect();
        Ok(Self { network, meters, commands, controls })
    }
}

/// The network as it runs beside one series.
pub(crate) struct Twin<'c> {
    columns: &'c Columns,
    estimator: Estimator,
    before: Option<Timestamp>,
    measured: Vec<Option<f64>>,
}

impl<'c> Twin<'c> {
    /// For a series that begins so many seconds after the network's patterns do.
    pub(crate) fn new(columns: &'c Columns, begins_s: i64) -> Result<Self> {
        let mut network = columns.network.clone();
        network.times.pattern_start_s += begins_s;
        let sensors: Vec<(Meter, f64)> =
            columns.meters.iter().map(|gauge| (gauge.meter, gauge.sigma)).collect();
        let levels: Vec<f64> =
            sensors.iter().filter(|(meter, _)| is_level(*meter)).map(|(_, sigma)| *sigma).collect();
        let usual = levels.iter().sum::<f64>() / levels.len().max(1) as f64 / SHARE;
        let assumptions = Assumptions {
            level_sigma: usual,
            level_walk: (WALK * usual).max(1e-3),
            ..Assumptions::default()
        };
        let measured = vec![None; sensors.len()];
        Ok(Self {
            columns,
            estimator: Estimator::new(network, &sensors, assumptions)?,
            before: None,
            measured,
        })
    }

    /// Names of the columns that [`Self::step`] adds.
    pub(crate) fn names<'n>(&self, names: &'n [String]) -> impl Iterator<Item = String> + use<'n, 'c> {
        let columns = self.columns;
        let meters = columns.meters.iter().map(|gauge| format!("{} beside the network", names[gauge.column]));
        let controls = columns
            .controls
            .iter()
            .map(|(level, status, _)| format!("{} against {}", names[*status], names[*level]));
        meters.chain(controls)
    }

    /// What the network does not explain of a row; what it cannot say is NaN.
    pub(crate) fn step(&mut self, at: Timestamp, row: &[f64], out: &mut Vec<f64>) -> Result<()> {
        if let Some(before) = self.before.replace(at) {
            let passed = at.since(before).as_secs_f64();
            ensure!((0.0..=f64::from(u32::MAX)).contains(&passed), "times go back, or leap");
            self.estimator.predict(passed as u32)?;
        }
        for (column, link) in self.columns.commands.iter().filter(|(column, _)| row[*column].is_finite()) {
            self.estimator.command(*link, row[*column] != 0.0);
        }
        let start = out.len();
        out.resize(start + self.columns.meters.len(), f64::NAN);
        for levels in [true, false] {
            for (measured, gauge) in self.measured.iter_mut().zip(&self.columns.meters) {
                let taken = |value: &f64| value.is_finite() && is_level(gauge.meter) == levels;
                *measured = Some(row[gauge.column]).filter(taken);
            }
            // Where the hydraulics have no solution the estimate stays, and nothing is said.
            if self.estimator.update(&self.measured).is_ok() {
                let seen = self.columns.meters.iter().zip(&self.measured).zip(self.estimator.expected());
                for (out, ((gauge, measured), expected)) in out[start..].iter_mut().zip(seen) {
                    if let Some(measured) = measured {
                        let rest = measured - expected;
                        *out = rest.signum() * (rest.abs() - gauge.least).max(0.0);
                    }
                }
            }
        }
        out.extend(self.columns.controls.iter().map(|(level, status, control)| {
            self.columns.disobeyed(control, row[*level], row[*status] != 0.0)
        }));
        Ok(())
    }
}

impl Columns {
    /// How far beyond a control's level a tank is while the link is not as the control wants it, in the file's unit.
    fn disobeyed(&self, control: &Control, level: f64, open: bool) -> f64 {
        if control.status.is_closed() != open {
            return 0.0;
        }
        let limit = |node: usize, head_ft: f64| {
            (head_ft - self.network.elevation_ft(node).unwrap_or(0.0)) * self.network.units.length
        };
        match control.when {
            When::Above { node, head_ft } => (level - limit(node, head_ft)).max(0.0),
            When::Below { node, head_ft } => (limit(node, head_ft) - level).max(0.0),
            When::Time { .. } | When::Clock { .. } => 0.0,
        }
    }
}

fn is_level(meter: Meter) -> bool {
    matches!(meter, Meter::Level(_))
}

/// Mean and standard deviation.
fn moments<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard::twin::water::{Accuracy, Hydraulics};

    const TOWN: &str = "[JUNCTIONS]\n a 10 0\n b 20 200 d\n[RESERVOIRS]\n r 10\n[TANKS]\n t 150 10 0 30 40\n[PIPES]\n p a b 2000 10 110\n \
                        q b t 1500 10 110\n[PUMPS]\n u r a HEAD c\n[CURVES]\n c 400 180\n[PATTERNS]\n d 1 1.3 0.8 0.6\n\
                        [CONTROLS]\n LINK u CLOSED IF NODE t ABOVE 25\n[TIMES]\n DURATION 24:00\n[OPTIONS]\n UNITS GPM\n";
    const NAMES: [&str; 4] = ["L_t", "F_u", "S_u", "note"];

    /// Ten hours of the town, a row every five minutes, under another control; reported status and flow stay what they were at first.
    fn rows(control: &str) -> Vec<[f64; 4]> {
        let town = TOWN.replace("LINK u CLOSED IF NODE t ABOVE 25", control);
        let mut network = epanet(town.as_bytes()).unwrap();
        network.times.hydraulic_step_s = 300;
        let (tank, pump) = (network.node("t").unwrap(), network.link("u").unwrap());
        let mut truth = Hydraulics::new(network, Accuracy::Exact).unwrap();
        let mut flow = 0.0;
        let row = |_| {
            truth.solve().unwrap();
            let seen = truth.flow(pump).unwrap();
            flow = if seen > 1.0 { seen } else { flow };
            let row = [truth.level(tank).unwrap(), flow, 1.0, 7.0];
            truth.advance().unwrap();
            row
        };
        (0..120).map(row).collect()
    }

    fn unexplained(rows: &[[f64; 4]]) -> Vec<Vec<f64>> {
        let names = NAMES.map(str::to_owned);
        let columns = Columns::new(TOWN.as_bytes(), &names, rows.as_flattened()).unwrap();
        let mut twin = Twin::new(&columns, 0).unwrap();
        let added: Vec<String> = twin.names(&names).collect();
        assert_eq!(added, ["L_t beside the network", "F_u beside the network", "S_u against L_t"]);
        let step = |(at, row): (usize, &[f64; 4])| {
            let mut out = Vec::new();
            twin.step(Timestamp::from_secs(300 * at as i64), row, &mut out).unwrap();
            out
        };
        rows.iter().enumerate().map(step).collect()
    }

    #[test]
    fn what_the_network_explains_is_little_and_a_hidden_stop_is_not() {
        let sound = unexplained(&rows(""));
        assert!(sound.iter().skip(12).all(|row| row[0].abs() < 0.05), "{sound:?}");
        let stopped = unexplained(&rows("LINK u CLOSED AT TIME 5"));
        assert!(stopped.iter().skip(60).any(|row| row[0].abs() > 0.2), "{stopped:?}");
    }

    #[test]
    fn a_control_that_is_not_obeyed_is_told_by_how_much() {
        let shown = unexplained(&[[24.0, 400.0, 1.0, 0.0], [27.5, 400.0, 1.0, 0.0], [27.5, 0.0, 0.0, 0.0]]);
        let told: Vec<f64> = shown.iter().map(|row| row[2]).collect();
        assert!(told[0] == 0.0 && (told[1] - 2.5).abs() < 1e-9 && told[2] == 0.0, "{told:?}");
        assert!(Columns::new(TOWN.as_bytes(), &["x".to_owned()], &[1.0]).is_err());
        assert!(Columns::new(b"[PIPES]\n?", &["L_t".to_owned()], &[1.0]).is_err());
    }
}
