//! Buses and branches, per unit, checked when they are put together.
//!
//! Source: the π model with an ideal transformer at the from end, R. D. Zimmerman, C. E. Murillo-Sánchez, *MATPOWER User's
//! Manual* §3.2 (`Y_ff = (y_s + y_c/2)/τ²`, `Y_ft = −y_s/τ̄`, `Y_tf = −y_s/τ`, `Y_tt = y_s + y_c/2` with `τ = tap·e^{jφ}`).

use core::ops::{Add, Mul, Neg};

use crate::Error;

/// The most buses, branches or meters that are taken: ten times the largest interconnection.
pub const MAX_ELEMENTS: usize = 1_000_000;

/// A complex number: admittances, phasors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    pub(crate) const fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    pub(crate) fn conj(self) -> Self {
        Self::new(self.re, -self.im)
    }

    pub(crate) fn polar(magnitude: f64, angle: f64) -> Self {
        let (sin, cos) = libm::sincos(angle);
        Self::new(magnitude * cos, magnitude * sin)
    }

    fn scale(self, by: f64) -> Self {
        Self::new(self.re * by, self.im * by)
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}

/// What a bus is to a power flow; an estimator needs the reference only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusKind {
    /// Active and reactive power are given.
    #[default]
    Load,
    /// Active power and voltage magnitude are given.
    Generator,
    /// Voltage magnitude and angle are given.
    Reference,
    /// Out of service: it has no state.
    Isolated,
}

/// A node of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bus {
    /// What it is.
    pub kind: BusKind,
    /// The angle that a reference holds, radians; of no meaning elsewhere.
    pub angle_rad: f64,
    /// Conductance of its shunt, per unit.
    pub shunt_g_pu: f64,
    /// Susceptance of its shunt, per unit, positive for a capacitor.
    pub shunt_b_pu: f64,
}

/// A line or transformer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Branch {
    /// Bus at the side of the ideal transformer.
    pub from: usize,
    /// The other bus.
    pub to: usize,
    /// Series resistance, per unit.
    pub r_pu: f64,
    /// Series reactance, per unit.
    pub x_pu: f64,
    /// Total charging conductance, per unit, half at each end.
    pub g_pu: f64,
    /// Total charging susceptance, per unit, half at each end.
    pub b_pu: f64,
    /// Turns ratio from : to; 1 for a line.
    pub tap: f64,
    /// Phase shift, radians.
    pub shift_rad: f64,
    /// Whether it carries current.
    pub in_service: bool,
}

impl Branch {
    /// A line in service, without charging.
    #[must_use]
    pub fn line(from: usize, to: usize, r_pu: f64, x_pu: f64) -> Self {
        Self { from, to, r_pu, x_pu, g_pu: 0.0, b_pu: 0.0, tap: 1.0, shift_rad: 0.0, in_service: true }
    }

    /// `Y_ff, Y_ft, Y_tf, Y_tt`; all zero when out of service.
    pub(crate) fn admittance(&self) -> [Complex; 4] {
        if !self.in_service {
            return [Complex::default(); 4];
        }
        let square = self.r_pu * self.r_pu + self.x_pu * self.x_pu;
        let series = Complex::new(self.r_pu / square, -self.x_pu / square);
        let own = series + Complex::new(self.g_pu / 2.0, self.b_pu / 2.0);
        let ratio = Complex::polar(1.0 / self.tap, self.shift_rad);
        [own.scale(1.0 / (self.tap * self.tap)), -(series * ratio), -(series * ratio.conj()), own]
    }

    /// Susceptance of the lossless (DC) model: `1 / (x tap)`.
    pub(crate) fn dc_susceptance(&self) -> f64 {
        if self.in_service { 1.0 / (self.x_pu * self.tap) } else { 0.0 }
    }
}

/// A grid whose numbers are finite and whose branches lead somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    base_mva: f64,
    buses: Vec<Bus>,
    branches: Vec<Branch>,
}

impl Grid {
    /// Puts a grid together.
    ///
    /// ```
    /// use twinguard_twin::grid::{Branch, Bus, BusKind, Grid};
    ///
    /// let bus = Bus::default();
    /// let reference = Bus { kind: BusKind::Reference, ..bus };
    /// assert!(Grid::new(100.0, vec![reference, bus], vec![Branch::line(0, 1, 0.01, 0.1)]).is_ok());
    /// let error = Grid::new(100.0, vec![reference, bus], vec![Branch::line(0, 2, 0.01, 0.1)]).unwrap_err();
    /// assert_eq!(error.to_string(), "branch[0].to: there are 2 buses, none of them has the index 2");
    /// ```
    ///
    /// # Errors
    /// [`Error::Case`] with the element's place: a number that is not finite, a branch to nowhere or to its own bus, a
    /// series impedance or tap of zero, more than [`MAX_ELEMENTS`] elements, no bus at all.
    pub fn new(base_mva: f64, buses: Vec<Bus>, branches: Vec<Branch>) -> Result<Self, Error> {
        let case = |place: String, reason: String| Err(Error::Case { place, reason });
        if !(base_mva > 0.0 && base_mva.is_finite()) {
            return case("baseMVA".into(), format!("{base_mva} is not a positive number"));
        }
        for (what, count) in [("bus", buses.len()), ("branch", branches.len())] {
            if count > MAX_ELEMENTS {
                return case(what.into(), format!("{count} is more than the limit of {MAX_ELEMENTS}"));
            }
        }
        if buses.is_empty() {
            return case("bus".into(), "a grid has at least one".into());
        }
        for (index, bus) in buses.iter().enumerate() {
            let numbers = [
                ("angle_rad", bus.angle_rad),
                ("shunt_g_pu", bus.shunt_g_pu),
                ("shunt_b_pu", bus.shunt_b_pu),
            ];
            for (name, value) in numbers {
                if !value.is_finite() {
                    return case(format!("bus[{index}].{name}"), "is not finite".into());
                }
            }
        }
        for (index, branch) in branches.iter().enumerate() {
            for (name, end) in [("from", branch.from), ("to", branch.to)] {
                if end >= buses.len() {
                    let reason = format!("there are {} buses, none of them has the index {end}", buses.len());
                    return case(format!("branch[{index}].{name}"), reason);
                }
            }
            if branch.from == branch.to {
                return case(format!("branch[{index}]"), format!("leads from bus {} to itself", branch.to));
            }
            let numbers = [
                ("r_pu", branch.r_pu),
                ("x_pu", branch.x_pu),
                ("g_pu", branch.g_pu),
                ("b_pu", branch.b_pu),
                ("tap", branch.tap),
                ("shift_rad", branch.shift_rad),
            ];
            for (name, value) in numbers {
                if !value.is_finite() {
                    return case(format!("branch[{index}].{name}"), "is not finite".into());
                }
            }
            if branch.tap <= 0.0 {
                return case(format!("branch[{index}].tap"), format!("{} is not positive", branch.tap));
            }
            if !branch.admittance().iter().all(|y| y.re.is_finite() && y.im.is_finite()) {
                return case(format!("branch[{index}]"), "has no finite admittance: r and x are zero".into());
            }
        }
        Ok(Self { base_mva, buses, branches })
    }

    /// Base power, MVA.
    #[must_use]
    pub fn base_mva(&self) -> f64 {
        self.base_mva
    }

    /// All buses.
    #[must_use]
    pub fn buses(&self) -> &[Bus] {
        &self.buses
    }

    /// All branches.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The admittance matrix by rows: for each bus its own entry first, then its neighbours', each neighbour once.
    pub(crate) fn admittances(&self) -> Vec<Vec<(usize, Complex)>> {
        let shunt = |(at, bus): (usize, &Bus)| vec![(at, Complex::new(bus.shunt_g_pu, bus.shunt_b_pu))];
        let mut rows: Vec<Vec<(usize, Complex)>> = self.buses.iter().enumerate().map(shunt).collect();
        for branch in &self.branches {
            let [ff, ft, tf, tt] = branch.admittance();
            for (own, other, y_own, y_other) in
                [(branch.from, branch.to, ff, ft), (branch.to, branch.from, tt, tf)]
            {
                let row = &mut rows[own];
                row[0].1 = row[0].1 + y_own;
                // A branch that is out of service keeps its place: a later switching changes numbers only.
                match row.iter_mut().find(|(at, _)| *at == other) {
                    Some((_, y)) => *y = *y + y_other,
                    None => row.push((other, y_other)),
                }
            }
        }
        rows
    }

    /// Active and reactive power that each bus injects at a state (one magnitude and one angle a bus).
    #[must_use]
    pub fn injections(&self, magnitudes_pu: &[f64], angles_rad: &[f64]) -> Vec<(f64, f64)> {
        let phasors = phasors(magnitudes_pu, angles_rad);
        let at = |bus: usize| phasors.get(bus).copied().unwrap_or_default();
        let rows = self.admittances().into_iter().enumerate();
        rows.map(|(bus, row)| {
            let current = row.into_iter().fold(Complex::default(), |sum, (other, y)| sum + y * at(other));
            let power = at(bus) * current.conj();
            (power.re, power.im)
        })
        .collect()
    }

    /// Active and reactive power into each branch at its from end and its to end, at a state.
    #[must_use]
    pub fn branch_powers(&self, magnitudes_pu: &[f64], angles_rad: &[f64]) -> Vec<([f64; 2], [f64; 2])> {
        let phasors = phasors(magnitudes_pu, angles_rad);
        let at = |bus: usize| phasors.get(bus).copied().unwrap_or_default();
        let powers = self.branches.iter().map(|branch| {
            let ([ff, ft, tf, tt], from, to) = (branch.admittance(), at(branch.from), at(branch.to));
            let (a, b) = (from * (ff * from + ft * to).conj(), to * (tf * from + tt * to).conj());
            ([a.re, a.im], [b.re, b.im])
        });
        powers.collect()
    }

    pub(super) fn set_in_service(&mut self, branch: usize, in_service: bool) {
        if let Some(branch) = self.branches.get_mut(branch) {
            branch.in_service = in_service;
        }
    }

    /// One row of [`Self::admittances`], entry by entry, without allocation.
    pub(super) fn admittance_row(&self, bus: usize, mut set: impl FnMut(usize, Complex)) {
        let own = &self.buses[bus];
        set(bus, Complex::new(own.shunt_g_pu, own.shunt_b_pu));
        for branch in self.branches.iter().filter(|branch| branch.from == bus || branch.to == bus) {
            let [ff, ft, tf, tt] = branch.admittance();
            let (y_own, other, y_other) =
                if branch.from == bus { (ff, branch.to, ft) } else { (tt, branch.from, tf) };
            set(bus, y_own);
            set(other, y_other);
        }
    }

    /// The island of each bus, numbered from 0 in the order of their lowest buses, and how many there are; `closed` says
    /// which branches connect.
    pub(crate) fn islands(&self, closed: impl Fn(usize, &Branch) -> bool) -> (Vec<usize>, usize) {
        let mut parent: Vec<usize> = (0..self.buses.len()).collect();
        for (index, branch) in self.branches.iter().enumerate() {
            if closed(index, branch) {
                let (a, b) = (root(&mut parent, branch.from), root(&mut parent, branch.to));
                // The lowest bus leads, so that numbers follow the buses.
                parent[a.max(b)] = a.min(b);
            }
        }
        let mut number = vec![usize::MAX; parent.len()];
        let mut count = 0;
        let island = (0..parent.len()).map(|bus| {
            let lead = root(&mut parent, bus);
            if number[lead] == usize::MAX {
                number[lead] = count;
                count += 1;
            }
            number[lead]
        });
        let island = island.collect();
        (island, count)
    }

    /// Angles at which no branch carries active power when all magnitudes are one: the phase shifts along a spanning tree.
    pub(crate) fn flat_angles(&self) -> Vec<f64> {
        let mut around: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.buses.len()];
        for branch in self.branches.iter().filter(|branch| branch.in_service) {
            around[branch.from].push((branch.to, -branch.shift_rad));
            around[branch.to].push((branch.from, branch.shift_rad));
        }
        let mut angle = vec![f64::NAN; self.buses.len()];
        let mut waiting = std::collections::VecDeque::new();
        let references = (0..self.buses.len()).filter(|bus| self.buses[*bus].kind == BusKind::Reference);
        for start in references.chain(0..self.buses.len()) {
            if !angle[start].is_nan() {
                continue;
            }
            let bus = self.buses[start];
            angle[start] = if bus.kind == BusKind::Reference { bus.angle_rad } else { 0.0 };
            waiting.push_back(start);
            while let Some(bus) = waiting.pop_front() {
                for &(next, turn) in &around[bus] {
                    if angle[next].is_nan() {
                        angle[next] = angle[bus] + turn;
                        waiting.push_back(next);
                    }
                }
            }
        }
        angle
    }
}

fn phasors(magnitudes_pu: &[f64], angles_rad: &[f64]) -> Vec<Complex> {
    magnitudes_pu
        .iter()
        .zip(angles_rad)
        .map(|(magnitude, angle)| Complex::polar(*magnitude, *angle))
        .collect()
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transformer_shifts_and_scales() {
        let branch = Branch { tap: 0.9, shift_rad: 0.3, b_pu: 0.1, ..Branch::line(0, 1, 0.02, 0.1) };
        let [ff, ft, tf, tt] = branch.admittance();
        // No current flows at either end beyond the charging when the to side is the transformed from side.
        let (from, to) = (Complex::polar(0.9, 0.3), Complex::polar(1.0, 0.0));
        let [at_from, at_to] = [ff * from + ft * to, tf * from + tt * to];
        let charging = Complex::new(0.0, 0.05);
        for (found, expected) in
            [(at_from, (charging * to * Complex::polar(1.0, 0.3)).scale(1.0 / 0.9)), (at_to, charging * to)]
        {
            assert!((found.re - expected.re).abs() < 1e-14 && (found.im - expected.im).abs() < 1e-14);
        }
    }

    #[test]
    fn parallel_branches_add_and_islands_are_numbered_by_their_lowest_bus() {
        let branches =
            vec![Branch::line(2, 3, 0.0, 0.5), Branch::line(3, 2, 0.0, 0.5), Branch::line(0, 1, 0.0, 0.2)];
        let grid = Grid::new(100.0, vec![Bus::default(); 5], branches).unwrap();
        let rows = grid.admittances();
        assert_eq!(rows[2], [(2, Complex::new(0.0, -4.0)), (3, Complex::new(-0.0, 4.0))]);
        assert_eq!(grid.islands(|_, branch| branch.in_service), (vec![0, 0, 1, 1, 2], 3));
    }

    #[test]
    fn bad_elements_have_a_place() {
        let check = |branch: Branch, expected: &str| {
            let error = Grid::new(100.0, vec![Bus::default(); 2], vec![branch]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let line = Branch::line(0, 1, 0.1, 0.1);
        check(Branch::line(1, 1, 0.1, 0.1), "branch[0]: leads from bus 1 to itself");
        check(Branch::line(0, 1, 0.0, 0.0), "branch[0]: has no finite admittance: r and x are zero");
        check(Branch { b_pu: f64::NAN, ..line }, "branch[0].b_pu: is not finite");
        check(Branch { tap: 0.0, ..line }, "branch[0].tap: 0 is not positive");
        assert!(Grid::new(f64::INFINITY, vec![Bus::default()], vec![]).is_err());
        assert!(Grid::new(1.0, vec![], vec![]).is_err());
    }
}
