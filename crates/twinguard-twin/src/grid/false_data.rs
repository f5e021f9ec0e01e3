//! False data that no residual shows, and what makes it visible.
//!
//! Sources: Y. Liu, P. Ning, M. K. Reiter, *False data injection attacks against state estimation in electric power grids*,
//! ACM CCS (2009), theorem 1: with `a = Hc` the residual of z + a is that of z. R. B. Bobba et al., SCS (2010): an attack is
//! impossible exactly when the trusted meters determine the state (basic measurements). Moving target: M. A. Rahman, E.
//! Al-Shaer, R. B. Bobba (2014); choice of lines by the rank of `[H H′]`: C. Liu, J. Wu, C. Long, D. Kundur, IEEE JSTSP 12
//! (2018) 763, theorem 1: `c` stays hidden when Hc lies in the range of H′ as well, a space of dimension `2n − rank[H H′]`.
//!
//! On the DC model (flows `b(θ_f − θ_t)`, injections their sums), dense: meant for grids of up to [`MAX_DENSE`] buses. Cost of
//! a model: m n² products.

use super::dense::{Matrix, Qr};
use super::{BusKind, Grid};
use crate::Error;

/// The most buses of a DC model.
pub const MAX_DENSE: usize = 1000;
/// Below this share of the largest pivot a column is dependent.
const DEPENDENT: f64 = 1e-9;

/// The DC model of a grid: injections of all buses, then flows of all branches at their from ends.
///
/// ```
/// use twinguard_twin::grid::{Branch, Bus, BusKind, DcModel, Grid};
///
/// let bus = Bus::default();
/// let buses = vec![Bus { kind: BusKind::Reference, ..bus }, bus, bus];
/// let lines = [(0, 1), (1, 2), (2, 0)].map(|(from, to)| Branch::line(from, to, 0.0, 0.1));
/// let model = DcModel::new(&Grid::new(100.0, buses, lines.to_vec())?)?;
/// let values = model.values(&[0.02, -0.01]);
/// let attack = model.values(&[0.1, 0.0]);
/// let attacked: Vec<f64> = values.iter().zip(&attack).map(|(z, a)| z + a).collect();
/// assert!(model.objective(&attacked, 0.01) < 1e-20, "no residual at all");
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DcModel {
    h: Matrix,
    qr: Qr,
    shares: Vec<f64>,
    /// Bus of each state.
    states: Vec<usize>,
    /// From, to, and susceptance of each branch.
    branches: Vec<(usize, usize, f64)>,
    buses: usize,
}

/// Lines whose reactances move, and what that reveals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovingTarget {
    /// Branches to perturb, each by a factor of its own.
    pub lines: Vec<usize>,
    /// Rank of `[H H′]` with these.
    pub rank: usize,
    /// Rank of `[H H′]` with all lines.
    pub best: usize,
    /// Dimension of the attacks that stay hidden: 2n − rank.
    pub hidden: usize,
}

impl DcModel {
    /// The model of all branches in service.
    ///
    /// # Errors
    /// [`Error::Case`] for more than [`MAX_DENSE`] buses or a branch without reactance, [`Error::NotObservable`] for a grid
    /// that hangs together by itself only in parts.
    pub fn new(grid: &Grid) -> Result<Self, Error> {
        let buses = grid.buses().len();
        if buses > MAX_DENSE {
            let reason = format!("{buses} are more than the limit of {MAX_DENSE} for a dense model");
            return Err(Error::Case { place: "bus".into(), reason });
        }
        let reference = grid.buses().iter().position(|bus| bus.kind == BusKind::Reference).unwrap_or(0);
        let (island, count) = grid.islands(|_, branch| branch.in_service);
        if count > 1 {
            let other = if island[reference] == 0 { 1 } else { 0 };
            return Err(Error::NotObservable {
                island: (0..buses).filter(|bus| island[*bus] == other).collect(),
            });
        }
        let mut branches = Vec::with_capacity(grid.branches().len());
        for (index, branch) in grid.branches().iter().enumerate() {
            let b = branch.dc_susceptance();
            if !b.is_finite() {
                return Err(Error::Case { place: format!("branch[{index}].x"), reason: "is zero".into() });
            }
            branches.push((branch.from, branch.to, b));
        }
        let states = (0..buses).filter(|bus| *bus != reference).collect();
        Ok(Self::of(states, branches, buses))
    }

    fn of(states: Vec<usize>, branches: Vec<(usize, usize, f64)>, buses: usize) -> Self {
        let mut h = Matrix::zeros(buses + branches.len(), states.len());
        for (column, bus) in states.iter().enumerate() {
            let entries = h.column_mut(column);
            for (line, (from, to, b)) in branches.iter().enumerate() {
                let sign = f64::from(u8::from(from == bus)) - f64::from(u8::from(to == bus));
                entries[buses + line] += sign * b;
                entries[*from] += sign * b;
                entries[*to] -= sign * b;
            }
        }
        let qr = Qr::new(h.clone(), DEPENDENT);
        let shares = qr.residual_shares();
        Self { h, qr, shares, states, branches, buses }
    }

    /// The same grid with some reactances moved: one factor a branch, of the reactance.
    #[must_use]
    pub fn moved(&self, factors: &[f64]) -> Self {
        let moved = self
            .branches
            .iter()
            .enumerate()
            .map(|(line, (from, to, b))| (*from, *to, b / factors.get(line).copied().unwrap_or(1.0)));
        Self::of(self.states.clone(), moved.collect(), self.buses)
    }

    /// Number of meters: buses and branches.
    #[must_use]
    pub fn meters(&self) -> usize {
        self.h.rows
    }

    /// Bus of each state, in order: all but the reference.
    #[must_use]
    pub fn states(&self) -> &[usize] {
        &self.states
    }

    /// Number of branches.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.branches.len()
    }

    /// H times these angles (one a state, radians).
    #[must_use]
    pub fn values(&self, angles: &[f64]) -> Vec<f64> {
        self.h.times(angles)
    }

    /// The least-squares state and the residual of each meter; all meters weigh the same.
    #[must_use]
    pub fn estimate(&self, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.qr.solve(values)
    }

    /// Σ (r/σ)².
    #[must_use]
    pub fn objective(&self, values: &[f64], sigma: f64) -> f64 {
        self.estimate(values).1.iter().map(|residual| (residual / sigma) * (residual / sigma)).sum()
    }

    /// Degrees of freedom of the residuals.
    #[must_use]
    pub fn dof(&self) -> usize {
        self.h.rows - self.qr.rank
    }

    /// The largest normalised residual: meter and value; meters that are critical are left out.
    #[must_use]
    pub fn largest_residual(&self, residual: &[f64], sigma: f64) -> (usize, f64) {
        let normal = residual.iter().zip(&self.shares).map(|(residual, share)| {
            if *share > 1e-9 { residual.abs() / (sigma * share.sqrt()) } else { 0.0 }
        });
        normal.enumerate().fold((0, 0.0), |best, entry| if entry.1 > best.1 { entry } else { best })
    }

    /// Meters to trust: each adds one to what the trusted ones determine, the cheapest first (ties: the first), until the
    /// state is determined or `most` are chosen. With all of them no stealthy attack is left.
    #[must_use]
    pub fn trusted_meters(&self, cost: impl Fn(usize) -> f64, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.h.rows).collect();
        order.sort_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        let mut basis = Basis::new(self.h.columns);
        let wanted = self.qr.rank.min(most);
        let mut chosen = Vec::with_capacity(wanted);
        for meter in order {
            if chosen.len() == wanted {
                break;
            }
            let row: Vec<f64> = (0..self.h.columns).map(|column| self.h.column(column)[meter]).collect();
            if basis.add(row) {
                chosen.push(meter);
            }
        }
        chosen
    }

    /// The part of a state change that these meters do not notice: what an attacker who knows them is left with.
    #[must_use]
    pub fn unnoticed(&self, change: &[f64], trusted: &[usize]) -> Vec<f64> {
        let mut rest = change.to_vec();
        let mut basis = Basis::new(self.h.columns);
        for meter in trusted {
            basis.add((0..self.h.columns).map(|column| self.h.column(column)[*meter]).collect());
        }
        basis.reduce(&mut rest);
        rest
    }

    /// Lines to move: first those that are independent of the others both in what they change (graph) and in what of it
    /// the residual sees, then any that raises the rank. Where that falls short of the rank that all lines together reach
    /// (it may take two lines at once), all of them less those that can be spared.
    #[must_use]
    pub fn moving_target_lines(&self) -> MovingTarget {
        let n = self.h.columns;
        // What a line's change looks like beyond the range of H.
        let seen: Vec<Vec<f64>> = self
            .branches
            .iter()
            .enumerate()
            .map(|(line, (from, to, b))| {
                let mut change = vec![0.0; self.h.rows];
                change[self.buses + line] = *b;
                change[*from] += b;
                change[*to] -= b;
                let size = norm(&change);
                self.qr.rotate(&mut change);
                let mut seen = change.split_off(self.qr.rank);
                // What hangs on one line only: rounding, not a direction.
                if norm(&seen) <= DEPENDENT * size {
                    seen.fill(0.0);
                }
                seen
            })
            .collect();
        let difference = |line: usize| {
            let (from, to, _) = self.branches[line];
            self.states
                .iter()
                .map(move |bus| f64::from(u8::from(*bus == from)) - f64::from(u8::from(*bus == to)))
        };
        let rank = |lines: &[usize]| {
            let mut product = Matrix::zeros(self.h.rows - self.qr.rank, n);
            for line in lines {
                // Factors must differ: equal ones can cancel around a bus.
                let factor = 0.5 + (*line as f64 * 0.618_033_988_749_894_8).fract();
                for (column, sign) in difference(*line).enumerate().filter(|(_, sign)| *sign != 0.0) {
                    let entries = product.column_mut(column).iter_mut().zip(&seen[*line]);
                    entries.for_each(|(entry, seen)| *entry += factor * sign * seen);
                }
            }
            Qr::new(product, DEPENDENT).rank
        };
        let active: Vec<usize> =
            (0..self.branches.len()).filter(|line| self.branches[*line].2 != 0.0).collect();
        let best = rank(&active);
        let (mut in_graph, mut in_residual) = (Basis::new(n), Basis::new(self.h.rows - self.qr.rank));
        let mut lines = Vec::new();
        for &line in &active {
            let row: Vec<f64> = difference(line).collect();
            if in_graph.spans(&row) || in_residual.spans(&seen[line]) {
                continue;
            }
            in_graph.add(row);
            in_residual.add(seen[line].clone());
            lines.push(line);
        }
        let mut reached = rank(&lines);
        for &line in &active {
            if reached == best {
                break;
            }
            if !lines.contains(&line) {
                lines.push(line);
                let with = rank(&lines);
                if with > reached {
                    reached = with;
                } else {
                    lines.pop();
                }
            }
        }
        if reached < best {
            lines.clone_from(&active);
            for line in active {
                let fewer: Vec<usize> = lines.iter().copied().filter(|other| *other != line).collect();
                if rank(&fewer) == best {
                    lines = fewer;
                }
            }
            reached = best;
        }
        lines.sort_unstable();
        let (rank, best) = (self.qr.rank + reached, self.qr.rank + best);
        MovingTarget { lines, rank, best, hidden: 2 * n - rank }
    }
}

/// An orthonormal basis that grows.
struct Basis {
    vectors: Vec<Vec<f64>>,
    dimension: usize,
}

impl Basis {
    fn new(dimension: usize) -> Self {
        Self { vectors: Vec::new(), dimension }
    }

    /// Takes out what the basis spans; twice, since once leaves rounding.
    fn reduce(&self, vector: &mut [f64]) {
        for _ in 0..2 {
            for own in &self.vectors {
                let along: f64 = own.iter().zip(vector.iter()).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(own).for_each(|(entry, own)| *entry -= along * own);
            }
        }
    }

    fn spans(&self, vector: &[f64]) -> bool {
        let mut rest = vector.to_vec();
        self.reduce(&mut rest);
        self.vectors.len() == self.dimension || norm(&rest) <= 1e-8 * norm(vector)
    }

    /// Adds a vector unless the basis spans it.
    fn add(&mut self, mut vector: Vec<f64>) -> bool {
        let before = norm(&vector);
        self.reduce(&mut vector);
        let after = norm(&vector);
        if self.vectors.len() == self.dimension || after <= 1e-8 * before {
            return false;
        }
        vector.iter_mut().for_each(|entry| *entry /= after);
        self.vectors.push(vector);
        true
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|entry| entry * entry).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grid::{Branch, Bus};
    use crate::noise::Noise;

    /// A random connected grid: a tree and some more lines, parallel ones among them.
    fn grid(seed: u64, buses: usize, more: usize) -> Grid {
        let mut noise = Noise::new(seed, 0);
        let mut lines = Vec::new();
        for to in 1..buses {
            let from = (noise.uniform() * to as f64) as usize;
            lines.push(Branch::line(from, to, 0.0, noise.between(0.02, 0.4)));
        }
        for _ in 0..more {
            let [from, to] = [0, 1].map(|_| (noise.uniform() * buses as f64) as usize);
            if from != to {
                lines.push(Branch::line(from, to, 0.0, noise.between(0.02, 0.4)));
            }
        }
        let mut list = vec![Bus::default(); buses];
        list[0].kind = BusKind::Reference;
        Grid::new(100.0, list, lines).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_lies_in_the_range_leaves_residuals_unchanged(seed in any::<u64>(), buses in 2_usize..25, more in 0_usize..20) {
            let model = DcModel::new(&grid(seed, buses, more)).unwrap();
            let mut noise = Noise::new(seed, 1);
            let z: Vec<f64> = (0..model.meters()).map(|_| noise.gaussian()).collect();
            let c: Vec<f64> = (0..buses - 1).map(|_| noise.gaussian()).collect();
            let attacked: Vec<f64> = z.iter().zip(model.values(&c)).map(|(z, a)| z + a).collect();
            let ((x, clean), (moved, residual)) = (model.estimate(&z), model.estimate(&attacked));
            for (a, b) in clean.iter().zip(&residual) {
                prop_assert!((a - b).abs() < 1e-9);
            }
            for ((a, b), c) in x.iter().zip(&moved).zip(&c) {
                prop_assert!((b - a - c).abs() < 1e-9);
            }
        }

        #[test]
        fn trusted_meters_leave_nothing_to_an_attacker(seed in any::<u64>(), buses in 2_usize..20, more in 0_usize..20) {
            let model = DcModel::new(&grid(seed, buses, more)).unwrap();
            let trusted = model.trusted_meters(|meter| (meter % 7) as f64, usize::MAX);
            prop_assert_eq!(trusted.len(), buses - 1);
            let c: Vec<f64> = (0..buses - 1).map(|state| 1.0 + state as f64).collect();
            prop_assert!(norm(&model.unnoticed(&c, &trusted)) < 1e-9 * norm(&c));
            let some = model.trusted_meters(|_| 0.0, (buses - 1) / 2);
            let rest = model.unnoticed(&c, &some);
            for meter in &some {
                prop_assert!(model.values(&rest)[*meter].abs() < 1e-6, "a trusted meter does not notice");
            }
        }

        #[test]
        fn the_rank_counts_what_stays_hidden(seed in any::<u64>(), buses in 3_usize..16, more in 0_usize..16) {
            let model = DcModel::new(&grid(seed, buses, more)).unwrap();
            let found = model.moving_target_lines();
            prop_assert_eq!(found.rank, found.best);
            // The rank of [H H'] itself, with factors drawn at random.
            let mut noise = Noise::new(seed, 2);
            let mut factors = vec![1.0; model.lines()];
            found.lines.iter().for_each(|line| factors[*line] = noise.between(0.7, 1.3));
            let moved = model.moved(&factors);
            let mut both = Matrix::zeros(model.meters(), 2 * (buses - 1));
            both.data[..model.h.data.len()].copy_from_slice(&model.h.data);
            both.data[model.h.data.len()..].copy_from_slice(&moved.h.data);
            // Factors that happen to be nearly one leave small pivots: the rank lies between a strict and a lenient count.
            let (strict, lenient) = (Qr::new(both.clone(), 1e-7).rank, Qr::new(both, 1e-13).rank);
            prop_assert!(strict <= found.rank && found.rank <= lenient, "{} to {}, not {}", strict, lenient, found.rank);
        }
    }

    #[test]
    fn a_tree_hides_everything_from_a_moving_target_and_a_part_is_refused() {
        let model = DcModel::new(&grid(1, 8, 0)).unwrap();
        let found = model.moving_target_lines();
        assert_eq!((found.lines.len(), found.rank, found.hidden), (0, 7, 7));
        let parts = Grid::new(1.0, vec![Bus::default(); 3], vec![Branch::line(0, 1, 0.0, 1.0)]).unwrap();
        assert_eq!(DcModel::new(&parts).unwrap_err(), Error::NotObservable { island: vec![2] });
        let none = Grid::new(1.0, vec![Bus::default(); 2], vec![Branch::line(0, 1, 1.0, 0.0)]).unwrap();
        assert_eq!(DcModel::new(&none).unwrap_err().to_string(), "branch[0].x: is zero");
    }
}
