//! A grid with its meters and their values, from JSON.
//!
//! Source of the form: columns after the MATPOWER case format (manual, appendix B), one list a column, buses numbered from
//! 0; `measurement_order` is a list of `[kind, [elements]]`, and `z_pu`, `sigma_pu` hold one number for each element in that
//! order. Angles in degrees where the name says so. Absent columns have the neutral value (no shunt, no charging, tap 1,
//! in service).

use serde::Deserialize;

use super::{Branch, Bus, BusKind, Estimator, Grid, Meter, Quantity, Side};
use crate::Error;

/// The largest text that is read: thirty times a grid of 10,000 buses.
const MAX_BYTES: usize = 256 << 20;

/// A grid, its meters, one value for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The grid.
    pub grid: Grid,
    /// Its meters.
    pub meters: Vec<Meter>,
    /// What they showed, per unit.
    pub values: Vec<f64>,
    /// Buses that inject nothing, for certain.
    pub zero_injections: Vec<usize>,
    /// The true state (magnitudes, angles), where the file was made from one.
    pub truth: Option<(Vec<f64>, Vec<f64>)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "baseMVA")]
    base_mva: f64,
    n_bus: Option<usize>,
    n_branch: Option<usize>,
    bus: Buses,
    branch: Branches,
    #[serde(default)]
    measurement_order: Vec<(String, Vec<usize>)>,
    #[serde(default)]
    z_pu: Vec<f64>,
    #[serde(default)]
    sigma_pu: Vec<f64>,
    #[serde(default)]
    zero_injection: Vec<usize>,
    #[serde(rename = "true")]
    truth: Option<Truth>,
}

#[derive(Deserialize)]
struct Buses {
    r#type: Vec<u8>,
    gs_mw: Option<Vec<f64>>,
    bs_mvar: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Branches {
    f: Vec<usize>,
    t: Vec<usize>,
    r: Vec<f64>,
    x: Vec<f64>,
    b: Option<Vec<f64>>,
    tap: Option<Vec<f64>>,
    shift_deg: Option<Vec<f64>>,
    status: Option<Vec<f64>>,
    #[serde(rename = "BR_G")]
    g: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Truth {
    vm_pu: Vec<f64>,
    va_rad: Vec<f64>,
}

fn refuse<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Case { place: place.into(), reason: reason.into() })
}

/// A column of the right length, or the neutral value.
struct Column(Option<Vec<f64>>, f64);

impl Column {
    fn new(name: &str, list: Option<Vec<f64>>, count: usize, neutral: f64) -> Result<Self, Error> {
        match &list {
            Some(list) if list.len() != count => {
                refuse(name, format!("{} numbers where {count} are expected", list.len()))
            }
            _ => Ok(Self(list, neutral)),
        }
    }

    fn at(&self, index: usize) -> f64 {
        self.0.as_ref().and_then(|list| list.get(index)).copied().unwrap_or(self.1)
    }
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// [`Error::Case`] with line and column, or the column's name and index: no JSON, a key that is missing, lists of
    /// different lengths, an element that does not exist, a number out of range.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return refuse("file", format!("{} bytes are more than the limit of {MAX_BYTES}", text.len()));
        }
        let document: Document = serde_json::from_str(text).or_else(|error| {
            let message = error.to_string();
            let reason = message.split(" at line ").next().unwrap_or_default();
            refuse(format!("{}:{}", error.line(), error.column()), reason)
        })?;
        let grid = document.grid()?;
        let mut meters = Vec::with_capacity(document.z_pu.len().min(document.sigma_pu.len()));
        for (block, (kind, elements)) in document.measurement_order.iter().enumerate() {
            let Some(quantity) = kind_of(kind) else {
                let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
                let reason = format!("unknown kind `{kind}`, it is one of {}", names.join(", "));
                return refuse(format!("measurement_order[{block}]"), reason);
            };
            for element in elements {
                let index = meters.len();
                let Some(&sigma) = document.sigma_pu.get(index) else { break };
                let meter = Meter { quantity: quantity(*element), sigma };
                if let Err(Error::Case { reason, .. }) = meter.check(index, &grid) {
                    return refuse(
                        format!("measurement_order[{block}] (`{kind}`), measurement {index}"),
                        reason,
                    );
                }
                meters.push(meter);
            }
        }
        let count = document.measurement_order.iter().map(|(_, elements)| elements.len()).sum::<usize>();
        for (name, list) in [("z_pu", &document.z_pu), ("sigma_pu", &document.sigma_pu)] {
            if list.len() != count {
                return refuse(name, format!("{} numbers where measurement_order has {count}", list.len()));
            }
        }
        let buses = grid.buses().len();
        if let Some(bus) = document.zero_injection.iter().find(|bus| **bus >= buses) {
            return refuse("zero_injection", format!("there is no bus {bus}, only {buses}"));
        }
        let truth = document.truth.map(|truth| (truth.vm_pu, truth.va_rad));
        Ok(Self { grid, meters, values: document.z_pu, zero_injections: document.zero_injection, truth })
    }

    /// An estimator of this grid with these meters.
    ///
    /// # Errors
    /// As [`Estimator::new`]; none for a case that was read.
    pub fn estimator(&self) -> Result<Estimator, Error> {
        Estimator::new(&self.grid, &self.meters, &self.zero_injections)
    }
}

impl Document {
    fn grid(&self) -> Result<Grid, Error> {
        let (buses, branches) = (self.bus.r#type.len(), self.branch.f.len());
        for (name, said, found) in [("n_bus", self.n_bus, buses), ("n_branch", self.n_branch, branches)] {
            if said.is_some_and(|said| said != found) {
                return refuse(name, format!("{} where the lists have {found}", said.unwrap_or_default()));
            }
        }
        let truth = self.truth.as_ref();
        for (name, list) in
            [("true.vm_pu", truth.map(|t| &t.vm_pu)), ("true.va_rad", truth.map(|t| &t.va_rad))]
        {
            if let Some(list) = list.filter(|list| list.len() != buses) {
                return refuse(name, format!("{} numbers where {buses} are expected", list.len()));
            }
        }
        let angle = |bus: usize| truth.and_then(|truth| truth.va_rad.get(bus)).copied().unwrap_or(0.0);
        let conductance = Column::new("bus.gs_mw", self.bus.gs_mw.clone(), buses, 0.0)?;
        let susceptance = Column::new("bus.bs_mvar", self.bus.bs_mvar.clone(), buses, 0.0)?;
        let mut list = Vec::with_capacity(buses);
        for (index, kind) in self.bus.r#type.iter().enumerate() {
            let kind = match kind {
                1 => BusKind::Load,
                2 => BusKind::Generator,
                3 => BusKind::Reference,
                4 => BusKind::Isolated,
                other => {
                    return refuse(format!("bus.type[{index}]"), format!("{other} is not one of 1, 2, 3, 4"));
                }
            };
            let (g, b) = (conductance.at(index), susceptance.at(index));
            let (shunt_g_pu, shunt_b_pu) = (g / self.base_mva, b / self.base_mva);
            list.push(Bus { kind, angle_rad: angle(index), shunt_g_pu, shunt_b_pu });
        }
        let from = &self.branch;
        if from.t.len() != branches {
            return refuse("branch.t", format!("{} numbers where {branches} are expected", from.t.len()));
        }
        let column =
            |name: &str, list: &Option<Vec<f64>>, neutral| Column::new(name, list.clone(), branches, neutral);
        let r = column("branch.r", &Some(from.r.clone()), 0.0)?;
        let x = column("branch.x", &Some(from.x.clone()), 0.0)?;
        let b = column("branch.b", &from.b, 0.0)?;
        let g = column("branch.BR_G", &from.g, 0.0)?;
        let tap = column("branch.tap", &from.tap, 1.0)?;
        let shift = column("branch.shift_deg", &from.shift_deg, 0.0)?;
        let status = column("branch.status", &from.status, 1.0)?;
        let branch = |(index, (f, t)): (usize, (&usize, &usize))| Branch {
            from: *f,
            to: *t,
            r_pu: r.at(index),
            x_pu: x.at(index),
            g_pu: g.at(index),
            b_pu: b.at(index),
            // MATPOWER writes 0 for a line.
            tap: if tap.at(index) == 0.0 { 1.0 } else { tap.at(index) },
            shift_rad: shift.at(index).to_radians(),
            in_service: status.at(index) != 0.0,
        };
        let branches = from.f.iter().zip(&from.t).enumerate().map(branch).collect();
        Grid::new(self.base_mva, list, branches)
    }
}

type Make = fn(usize) -> Quantity;

const KINDS: [(&str, Make); 10] = [
    ("p_bus", Quantity::ActiveInjection),
    ("q_bus", Quantity::ReactiveInjection),
    ("p_from", |branch| Quantity::ActiveFlow(branch, Side::From)),
    ("q_from", |branch| Quantity::ReactiveFlow(branch, Side::From)),
    ("p_to", |branch| Quantity::ActiveFlow(branch, Side::To)),
    ("q_to", |branch| Quantity::ReactiveFlow(branch, Side::To)),
    ("v_bus", Quantity::Voltage),
    ("va_bus", Quantity::Angle),
    ("i_from", |branch| Quantity::Current(branch, Side::From)),
    ("i_to", |branch| Quantity::Current(branch, Side::To)),
];

fn kind_of(name: &str) -> Option<Make> {
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, make)| *make)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"baseMVA": 50, "n_bus": 2,
        "bus": {"type": [3, 1], "bs_mvar": [0, 10]},
        "branch": {"f": [0], "t": [1], "r": [0.01], "x": [0.1], "tap": [0], "shift_deg": [90]},
        "measurement_order": [["v_bus", [0]], ["i_to", [0]]], "z_pu": [1, 0.5], "sigma_pu": [0.1, 0.2],
        "zero_injection": [1], "true": {"vm_pu": [1, 1], "va_rad": [0.5, 0]}, "convention": {"note": "anything"}}"#;

    #[test]
    fn a_case_is_read() {
        let case = Case::parse(SMALL).unwrap();
        assert_eq!(case.grid.buses()[0].angle_rad, 0.5);
        assert_eq!(case.grid.buses()[1].shunt_b_pu, 0.2);
        assert_eq!(case.grid.branches()[0].tap, 1.0);
        assert!((case.grid.branches()[0].shift_rad - core::f64::consts::FRAC_PI_2).abs() < 1e-15);
        assert_eq!(case.meters[1], Meter { quantity: Quantity::Current(0, Side::To), sigma: 0.2 });
        assert_eq!(case.zero_injections, [1]);
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(SMALL.contains(from), "{from}");
            let error = Case::parse(&SMALL.replace(from, to)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("50", "x", "1:13: expected value");
        check("\"f\": [0],", "", "3:85: missing field `f`");
        check("[3, 1]", "[3, 9]", "bus.type[1]: 9 is not one of 1, 2, 3, 4");
        check("\"n_bus\": 2", "\"n_bus\": 3", "n_bus: 3 where the lists have 2");
        check("\"t\": [1]", "\"t\": [7]", "branch[0].to: there are 2 buses, none of them has the index 7");
        check("\"x\": [0.1]", "\"x\": [0.1, 1]", "branch.x: 2 numbers where 1 are expected");
        check(
            "i_to",
            "w_to",
            &format!(
                "measurement_order[1]: unknown kind `w_to`, it is one of {}",
                "p_bus, q_bus, p_from, q_from, p_to, q_to, v_bus, va_bus, i_from, i_to",
            ),
        );
        check(
            "[\"i_to\", [0]]",
            "[\"i_to\", [4]]",
            "measurement_order[1] (`i_to`), measurement 1: there is no branch 4, only 1",
        );
        check(
            "0.2]",
            "-1]",
            "measurement_order[1] (`i_to`), measurement 1: sigma -1 is not within 1e-9 and 1e9",
        );
        check("[1, 0.5]", "[1]", "z_pu: 1 numbers where measurement_order has 2");
        check(
            "\"zero_injection\": [1]",
            "\"zero_injection\": [2]",
            "zero_injection: there is no bus 2, only 2",
        );
        check("\"vm_pu\": [1, 1]", "\"vm_pu\": [1]", "true.vm_pu: 1 numbers where 2 are expected");
        check("50", "1e999", "1:17: number out of range");
    }
}
