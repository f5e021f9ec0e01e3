//! A grid as a plant file: the guard, the what-if and the simulators know it like any other plant.
//!
//! Source: the plant file of `docs/src/plant-file.md`; the state as a random walk observed by `z = h(x)`, A. S. Debs, R. E.
//! Larson, IEEE Trans. PAS-89 (1970) 1670 (the tracking estimator).
//!
//! The file holds everything: admittances as numbers, equations in rectangular form, one signal a meter. An extended Kalman
//! filter is dense: good for a substation or a feeder. The equations' limit of 512 outputs is about 60 buses with every meter;
//! [`Monitor`](super::Monitor) follows larger grids.

use core::fmt::Write as _;

use super::{BusKind, Case, Quantity, Side};

impl Case {
    /// The plant file (TOML) of this grid, measured every `sampling_s` seconds; angles (radians) and magnitudes (per unit)
    /// wander by `wander` in a second. Signals are called `bus.3.p`, `branch.7.from.q` and so on, per unit.
    ///
    /// Isolated buses are left out; zero injections become measurements of nothing with σ 1e-4.
    #[must_use]
    pub fn plant_file(&self, name: &str, sampling_s: f64, wander: f64) -> String {
        let mut signals = String::new();
        let mut outputs = String::new();
        let mut equations = String::new();
        let mut taken = std::collections::BTreeMap::<String, u32>::new();
        let rows = self.grid.admittances();
        let flat = self.grid.flat_angles();
        let mut states = String::new();
        for (bus, kind) in self.grid.buses().iter().map(|bus| bus.kind).enumerate() {
            if kind == BusKind::Isolated {
                continue;
            }
            let angle = flat[bus];
            if kind == BusKind::Reference {
                let _ = writeln!(equations, "va_{bus} = {angle:?}");
            } else {
                let _ = writeln!(equations, "va_{bus}' = va_{bus}");
                let _ = writeln!(
                    states,
                    "va_{bus} = {{ initial = {angle:?}, sigma = 0.3, process_sigma = {wander:?} }}"
                );
            }
            let _ = writeln!(equations, "vm_{bus}' = vm_{bus}");
            let _ =
                writeln!(states, "vm_{bus} = {{ initial = 1.0, sigma = 0.1, process_sigma = {wander:?} }}");
            let _ =
                writeln!(equations, "e_{bus} = vm_{bus} * cos(va_{bus})\nf_{bus} = vm_{bus} * sin(va_{bus})");
        }
        let mut known = std::collections::BTreeSet::new();
        let mut add = |path: String, sigma: f64, formula: String| {
            let count = taken.entry(path.clone()).or_default();
            *count += 1;
            let path = if *count == 1 { path } else { format!("{path}.{count}") };
            let output = path.replace('.', "_");
            let _ = writeln!(signals, "[[signal]]\npath = \"{path}\"\nunit = \"pu\"\nsigma = {sigma:?}\n");
            let _ = writeln!(outputs, "{output} = \"{path}\"");
            let _ = writeln!(equations, "{output} = {formula}");
        };
        let mut currents = String::new();
        let mut power = |place: String, bus: usize, members: &[(usize, super::network::Complex)], row: u8| {
            if known.insert(place.clone()) {
                let sum =
                    |terms: Vec<String>| if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") };
                let live =
                    || members.iter().filter(|(bus, _)| self.grid.buses()[*bus].kind != BusKind::Isolated);
                let re =
                    live().map(|(j, y)| format!("({:?}) * e_{j} + ({:?}) * f_{j}", y.re, -y.im)).collect();
                let im =
                    live().map(|(j, y)| format!("({:?}) * f_{j} + ({:?}) * e_{j}", y.re, y.im)).collect();
                let _ = writeln!(currents, "re_{place} = {}\nim_{place} = {}", sum(re), sum(im));
            }
            match row {
                0 => format!("e_{bus} * re_{place} + f_{bus} * im_{place}"),
                1 => format!("f_{bus} * re_{place} - e_{bus} * im_{place}"),
                _ => format!("sqrt(re_{place}^2 + im_{place}^2 + 1e-12)"),
            }
        };
        let isolated = |bus: usize| self.grid.buses()[bus].kind == BusKind::Isolated;
        for meter in &self.meters {
            let at = meter.quantity.bus(&self.grid);
            if isolated(at) {
                continue;
            }
            let end = |branch: usize, side: Side| {
                let line = &self.grid.branches()[branch];
                let [ff, ft, tf, tt] = line.admittance();
                let word = if side == Side::From { "from" } else { "to" };
                let members = if side == Side::From {
                    [(line.from, ff), (line.to, ft)]
                } else {
                    [(line.to, tt), (line.from, tf)]
                };
                (word, members)
            };
            let (path, formula) = match meter.quantity {
                Quantity::Voltage(bus) => (format!("bus.{bus}.v"), format!("vm_{bus}")),
                Quantity::Angle(bus) => (format!("bus.{bus}.angle"), format!("va_{bus}")),
                Quantity::ActiveInjection(bus) => {
                    (format!("bus.{bus}.p"), power(format!("bus_{bus}"), bus, &rows[bus], 0))
                }
                Quantity::ReactiveInjection(bus) => {
                    (format!("bus.{bus}.q"), power(format!("bus_{bus}"), bus, &rows[bus], 1))
                }
                Quantity::ActiveFlow(branch, side) => {
                    let (word, members) = end(branch, side);
                    let formula = power(format!("{word}_{branch}"), at, &members, 0);
                    (format!("branch.{branch}.{word}.p"), formula)
                }
                Quantity::ReactiveFlow(branch, side) => {
                    let (word, members) = end(branch, side);
                    let formula = power(format!("{word}_{branch}"), at, &members, 1);
                    (format!("branch.{branch}.{word}.q"), formula)
                }
                Quantity::Current(branch, side) => {
                    let (word, members) = end(branch, side);
                    let formula = power(format!("{word}_{branch}"), at, &members, 2);
                    (format!("branch.{branch}.{word}.i"), formula)
                }
            };
            add(path, meter.sigma, formula);
        }
        for bus in self.zero_injections.iter().copied().filter(|bus| !isolated(*bus)) {
            for (letter, row) in [("p", 0), ("q", 1)] {
                add(
                    format!("bus.{bus}.zero.{letter}"),
                    1e-4,
                    power(format!("bus_{bus}"), bus, &rows[bus], row),
                );
            }
        }
        let name: String = name.chars().filter(|c| c.is_alphanumeric() || "-_. ".contains(*c)).collect();
        format!(
            "format = 1\nname = \"{name}\"\n\n[time]\nsampling_s = {sampling_s:?}\n\n{signals}[dynamics]\n\
             kind = \"difference\"\nsampling_s = {sampling_s:?}\nequations = '''\n{equations}{currents}'''\n\n\
             [dynamics.states]\n{states}\n[dynamics.outputs]\n{outputs}"
        )
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Point, Source, Timestamp, Value};

    use crate::grid::{Branch, Bus, BusKind, Case, Grid, Meter, Quantity, Side};
    use crate::{Plant, Twin};

    #[test]
    fn a_guards_twin_follows_a_grid_and_finds_the_meter_that_lies() {
        let mut buses = vec![Bus::default(); 3];
        buses[0].kind = BusKind::Reference;
        buses[2].shunt_b_pu = 0.1;
        let line = |from, to| Branch { b_pu: 0.02, ..Branch::line(from, to, 0.01, 0.1) };
        let lines = vec![line(0, 1), Branch { tap: 0.98, shift_rad: 0.02, ..line(1, 2) }, line(2, 0)];
        let grid = Grid::new(100.0, buses, lines).unwrap();
        let (vm, va) = ([1.02, 1.0, 0.99], [0.0, -0.04, -0.07]);
        let (injections, flows) = (grid.injections(&vm, &va), grid.branch_powers(&vm, &va));
        let mut meters = Vec::new();
        let mut values = Vec::new();
        let mut add = |quantity, value| {
            meters.push(Meter { quantity, sigma: 0.005 });
            values.push(value);
        };
        for at in 0..3 {
            add(Quantity::Voltage(at), vm[at]);
            add(Quantity::ActiveInjection(at), injections[at].0);
            add(Quantity::ReactiveInjection(at), injections[at].1);
            add(Quantity::ActiveFlow(at, Side::From), flows[at].0[0]);
            add(Quantity::ReactiveFlow(at, Side::To), flows[at].1[1]);
        }
        let apparent = flows[1].0[0].hypot(flows[1].0[1]);
        add(Quantity::Current(1, Side::From), apparent / vm[1]);
        let case = Case { grid, meters, values: values.clone(), zero_injections: vec![], truth: None };
        let plant = Plant::parse(&case.plant_file("ring", 1.0, 1e-4), "ring.toml").unwrap();
        assert_eq!(plant.catalogue.len(), 16);
        assert!(plant.catalogue.id("branch.1.from.i").is_some());
        let mut twin = Twin::new(&plant).unwrap();
        let (mut last, mut largest) = (0.0, None);
        for second in 0..200 {
            let now = Timestamp::from_secs(second);
            while let Some(residual) = twin.advance(now) {
                last = residual.nis / residual.dof.max(1) as f64;
                let sizes = residual.innovation.iter().map(|v| v.abs());
                let worst = residual.signals.iter().zip(sizes).max_by(|a, b| a.1.total_cmp(&b.1));
                largest = worst.map(|(signal, size)| (*signal, size));
            }
            if second == 190 {
                assert!(last < 0.2, "exact values fit: {last}");
            }
            for (index, (id, _)) in plant.catalogue.iter().enumerate() {
                let lie = if index == 3 && second >= 197 { 0.2 } else { 0.0 };
                let value = Value::real(values[index] + lie).unwrap();
                twin.observe(&Point::new(id, value, Source::Field, now));
            }
        }
        let (signal, size) = largest.unwrap();
        assert!(plant.catalogue.path(signal) == "branch.0.from.p" && size > 0.05, "{signal:?} {size}");
    }
}
