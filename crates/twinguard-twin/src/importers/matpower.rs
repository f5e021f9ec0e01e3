//! MATPOWER-style tables: `mpc.baseMVA`, `mpc.bus`, `mpc.gen`, `mpc.branch` as rows of numbers.
//!
//! Source: MATPOWER User's Manual, appendix B, tables B-1 to B-3 (format version 2). Only assignments of numbers and of
//! matrices of numbers are read; everything else of a case file (comments, costs, names, functions) is passed over, never
//! run. Branch angles and bus shunts become per unit; bus numbers become indices in the order of the table.

use std::collections::BTreeMap;

use crate::Error;
use crate::grid::{Branch, Bus, BusKind, Grid, Injections, MAX_ELEMENTS};

/// A grid with its operating point, from tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Matpower {
    /// The grid; the reference holds the angle of its row.
    pub grid: Grid,
    /// Number of each bus in the tables.
    pub numbers: Vec<u64>,
    /// Generation less load, and the magnitudes that generators hold.
    pub injections: Injections,
    /// The long-term rating of each branch, per unit; infinite where the table has 0.
    pub ratings_pu: Vec<f64>,
}

/// The largest text that is read.
const MAX_BYTES: usize = 256 << 20;

fn refuse<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Case { place: place.into(), reason: reason.into() })
}

struct Table {
    /// Line of each row, and its numbers.
    rows: Vec<(usize, Vec<f64>)>,
    name: &'static str,
}

impl Table {
    fn new(text: &str, name: &'static str, least: usize) -> Result<Self, Error> {
        let Some((start, content)) = assigned(text, name) else {
            return refuse(format!("mpc.{name}"), "is missing");
        };
        let Some(inner) = content.strip_prefix('[') else {
            return refuse(format!("line {start}"), format!("mpc.{name} is no matrix"));
        };
        let mut rows = Vec::new();
        for (offset, line) in inner.lines().enumerate() {
            let line = line.split('%').next().unwrap_or_default();
            let (line, last) = line.split_once(']').map_or((line, false), |(before, _)| (before, true));
            for row in line.split(';').filter(|row| !row.trim().is_empty()) {
                let at = start + offset;
                let mut numbers = Vec::new();
                for word in row.split([' ', '\t', ',', '\r']).filter(|word| !word.is_empty()) {
                    match word.parse::<f64>() {
                        Ok(number) if !number.is_nan() => numbers.push(number),
                        _ => return refuse(format!("line {at}"), format!("`{}` is no number", short(word))),
                    }
                }
                if numbers.len() < least {
                    let reason = format!("{} numbers where mpc.{name} has {least} at least", numbers.len());
                    return refuse(format!("line {at}"), reason);
                }
                if rows.len() == MAX_ELEMENTS {
                    return refuse(format!("line {at}"), format!("more than {MAX_ELEMENTS} rows"));
                }
                rows.push((at, numbers));
            }
            if last {
                return Ok(Self { rows, name });
            }
        }
        refuse(format!("line {start}"), format!("mpc.{name} has no end"))
    }
}

fn short(word: &str) -> String {
    word.chars().take(20).collect()
}

/// The line and the text of what is assigned to `mpc.NAME`, from there to the end of the file.
fn assigned<'a>(text: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.trim_start().strip_prefix("mpc.").and_then(|rest| rest.strip_prefix(name));
        if let Some(value) = rest.and_then(|rest| rest.trim_start().strip_prefix('=')) {
            let at = offset + line.len() - value.len();
            let content = text.get(at..)?;
            return Some((number + 1, content.trim_start_matches([' ', '\t'])));
        }
        offset += line.len();
    }
    None
}

/// A bus number: a whole number that is written exactly.
fn whole(value: f64) -> Option<u64> {
    ((0.0..=9e15).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

impl Matpower {
    /// Reads a case.
    ///
    /// ```
    /// use twinguard_twin::importers::Matpower;
    ///
    /// let case = Matpower::parse("
    ///     mpc.baseMVA = 100;
    ///     mpc.bus = [ 10 3 0  0 0 0 1 1.02 0 132 1 1.1 0.9
    ///                 20 1 50 10 0 5 1 1.00 0 132 1 1.1 0.9 ]; % number, type, Pd, Qd, Gs, Bs …
    ///     mpc.gen = [ 10 0 0 99 -99 1.02 100 1 ];
    ///     mpc.branch = [ 10 20 0.01 0.1 0.02 130 0 0 0 0 1 ];")?;
    /// assert_eq!(case.numbers, [10, 20]);
    /// assert_eq!(case.injections.active_pu[1], -0.5);
    /// assert_eq!(case.ratings_pu, [1.3]);
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Case`] with the line: a table that is missing or not closed, a word that is no number, a bus that no row
    /// has, or that two rows have, and what [`Grid::new`] refuses.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return refuse("file", format!("{} bytes are more than the limit of {MAX_BYTES}", text.len()));
        }
        let Some((line, base)) = assigned(text, "baseMVA") else {
            return refuse("mpc.baseMVA", "is missing");
        };
        let base = base.split(['\n', ';', '%']).next().unwrap_or_default().trim();
        let base_mva = match base.parse::<f64>() {
            Ok(base) if base > 0.0 && base.is_finite() => base,
            _ => return refuse(format!("line {line}"), format!("`{}` is no base power", short(base))),
        };
        let table = Table::new(text, "bus", 9)?;
        let mut index = BTreeMap::new();
        let (mut buses, mut numbers) = (Vec::new(), Vec::new());
        let mut injections = Injections { active_pu: vec![], reactive_pu: vec![], voltage_pu: vec![] };
        for (line, row) in &table.rows {
            let [number, kind, p, q, g, b, _, vm, va] = first(row);
            let Some(number) = whole(number) else {
                return refuse(format!("line {line}"), format!("{number} is no bus number"));
            };
            if index.insert(number, buses.len()).is_some() {
                return refuse(format!("line {line}"), format!("bus {number} stands there twice"));
            }
            let kind = match kind as i64 {
                1 => BusKind::Load,
                2 => BusKind::Generator,
                3 => BusKind::Reference,
                4 => BusKind::Isolated,
                _ => {
                    return refuse(
                        format!("line {line}"),
                        format!("bus type {kind} is not one of 1, 2, 3, 4"),
                    );
                }
            };
            numbers.push(number);
            buses.push(Bus {
                kind,
                angle_rad: va.to_radians(),
                shunt_g_pu: g / base_mva,
                shunt_b_pu: b / base_mva,
            });
            injections.active_pu.push(-p / base_mva);
            injections.reactive_pu.push(-q / base_mva);
            injections.voltage_pu.push(vm);
        }
        let find = |table: &Table, line: usize, number: f64| match whole(number).and_then(|n| index.get(&n)) {
            Some(bus) => Ok(*bus),
            None => refuse(
                format!("line {line}"),
                format!("mpc.{} names bus {number}, mpc.bus has none", table.name),
            ),
        };
        let table = Table::new(text, "gen", 8)?;
        for (line, row) in &table.rows {
            let [number, p, q, _, _, vm, _, status] = first(row);
            let bus = find(&table, *line, number)?;
            if status > 0.0 {
                injections.active_pu[bus] += p / base_mva;
                injections.reactive_pu[bus] += q / base_mva;
                injections.voltage_pu[bus] = vm;
            }
        }
        let table = Table::new(text, "branch", 11)?;
        let (mut branches, mut ratings_pu) = (Vec::new(), Vec::new());
        for (line, row) in &table.rows {
            let [from, to, r_pu, x_pu, b_pu, rating, _, _, tap, shift, status] = first(row);
            branches.push(Branch {
                from: find(&table, *line, from)?,
                to: find(&table, *line, to)?,
                r_pu,
                x_pu,
                g_pu: 0.0,
                b_pu,
                tap: if tap == 0.0 { 1.0 } else { tap },
                shift_rad: shift.to_radians(),
                in_service: status > 0.0,
            });
            ratings_pu.push(if rating > 0.0 { rating / base_mva } else { f64::INFINITY });
        }
        for list in [&injections.active_pu, &injections.reactive_pu, &injections.voltage_pu] {
            if let Some(bus) = list.iter().position(|value| !value.is_finite()) {
                return refuse(format!("bus {}", numbers[bus]), "its power or voltage is not finite");
            }
        }
        Ok(Self { grid: Grid::new(base_mva, buses, branches)?, numbers, injections, ratings_pu })
    }
}

/// The first numbers of a row that is known to be long enough.
fn first<const N: usize>(row: &[f64]) -> [f64; N] {
    core::array::from_fn(|at| row.get(at).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{PowerFlow, Start};

    /// A ring of three of our own.
    const RING: &str = "function mpc = ring\n%% a comment = [ 1 2\nmpc.version = '2';\nmpc.baseMVA = 100; % MVA\n\
        mpc.bus = [\n\t1\t3\t0\t0\t0\t0\t1\t1.02\t5\t132\t1\t1.1\t0.9;\n\t2\t2\t20\t5\t0\t0\t1\t1.01\t0\t132\t1\t1.1\t0.9;\n\
        \t7\t1\t90\t30\t1\t10\t1\t1\t0\t132\t1\t1.1\t0.9;\n];\n\
        mpc.gen = [1 0 0 99 -99 1.02 100 1; 2 60 0 99 -99 1.01 100 1; 2 500 0 9 -9 1.2 100 0];\n\
        mpc.branch = [\n1 2 0.01 0.08 0.02 0 0 0 0 0 1 -360 360;\n2 7 0.01 0.08 0.02 100 0 0 0.98 2 1 -360 360;\n\
        7 1 0.01 0.08 0.02 100 0 0 0 0 1 -360 360;\n];\nmpc.gencost = [2 0 0 3 0.1 20 0];\n";

    #[test]
    fn a_ring_is_read_and_solved() {
        let case = Matpower::parse(RING).unwrap();
        assert_eq!(case.numbers, [1, 2, 7]);
        assert!((case.injections.active_pu[1] - 0.4).abs() < 1e-15 && case.injections.active_pu[2] == -0.9);
        assert_eq!(case.injections.voltage_pu, [1.02, 1.01, 1.0]);
        assert_eq!(case.ratings_pu, [f64::INFINITY, 1.0, 1.0]);
        assert_eq!(case.grid.branches()[1].tap, 0.98);
        let mut flow = PowerFlow::new(&case.grid).unwrap();
        flow.solve(&case.injections, Start::Flat).unwrap();
        assert!((flow.angles_rad()[0] - 5_f64.to_radians()).abs() < 1e-15);
        let found = case.grid.injections(flow.magnitudes_pu(), flow.angles_rad());
        assert!((found[2].0 + 0.9).abs() < 1e-9 && (found[2].1 + 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(RING.contains(from), "{from}");
            let error = Matpower::parse(&RING.replace(from, to)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("mpc.baseMVA = 100", "mpc.baseMVA = x", "line 4: `x` is no base power");
        check("\t7\t1\t", "\t2\t1\t", "line 8: bus 2 stands there twice");
        check("\t7\t1\t", "\t7\t5\t", "line 8: bus type 5 is not one of 1, 2, 3, 4");
        check("2 7 0.01", "2 9 0.01", "line 13: mpc.branch names bus 9, mpc.bus has none");
        check("2 7 0.01", "2 7 eval", "line 13: `eval` is no number");
        check("2 60 0 99 -99 1.01 100 1;", "2 60;", "line 10: 2 numbers where mpc.gen has 8 at least");
        check("mpc.gen =", "gen =", "mpc.gen: is missing");
        check("2 500 0 9 -9 1.2 100 0];", "", "line 11: `mpc.branch` is no number");
        check("mpc.bus = [", "mpc.bus = 3", "line 5: mpc.bus is no matrix");
        check("1 2 0.01 0.08", "1 2 0 0", "branch[0]: has no finite admittance: r and x are zero");
    }
}
