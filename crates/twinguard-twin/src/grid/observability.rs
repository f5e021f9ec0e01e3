//! Which parts of the grid the meters determine.
//!
//! Source: A. Monticelli, F. F. Wu, IEEE Trans. PAS-104 (1985) 1042 (zero pivots of the gain's factor, a solution with free
//! values in their places, branches whose flow it changes), here with the full Jacobian instead of the DC one, so that
//! magnitudes are judged too and no measurement is irrelevant; A. Abur, A. Gómez Expósito (2004) §4.3 to 4.6.
//!
//! A state is unseen when it can move by one (radian, per unit) and no meter in use notices a hundredth of its σ. The null
//! vector has pseudo-random shares of all free directions, hence hides a branch only by an accident of probability zero.

use super::estimator::Group;
use super::{Estimator, Quantity, Start};

/// What the meters in use determine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observability {
    /// Buses that are tied to each other by what is measured, by their lowest bus.
    pub islands: Vec<Vec<usize>>,
    /// Branches in service whose flow the meters do not determine.
    pub unseen_branches: Vec<usize>,
    /// Buses whose magnitude, or angle against the reference, the meters do not determine.
    pub unseen_buses: Vec<usize>,
}

impl Observability {
    /// Whether the whole state is determined.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unseen_buses.is_empty()
    }
}

/// A null direction's entries below this share of its largest are rounding.
const SEEN: f64 = 1e-6;

impl Estimator {
    /// Analyses, at the flat start, what the meters in use determine; forgets the last estimate.
    #[must_use]
    pub fn observability(&mut self) -> Observability {
        self.factor_flat();
        let null = if self.factor.null().is_empty() { None } else { self.unseen() };
        let still = vec![[0.0; 2]; self.place.len()];
        let direction = null.as_ref().unwrap_or(&still);
        let tied = |from: usize, to: usize| {
            let [a, b] = [from, to].map(|bus| direction[self.place[bus] as usize]);
            (a[0] - b[0]).abs() <= SEEN && a[1].abs() <= SEEN && b[1].abs() <= SEEN
        };
        let (island, count) =
            self.grid.islands(|_, branch| branch.in_service && tied(branch.from, branch.to));
        let mut islands = vec![Vec::new(); count];
        island.iter().enumerate().for_each(|(bus, island)| islands[*island].push(bus));
        let branches = self.grid.branches().iter().enumerate();
        let unseen_branches = branches
            .filter(|(_, branch)| branch.in_service && !tied(branch.from, branch.to))
            .map(|(index, _)| index)
            .collect();
        let moves = |bus: &usize| direction[self.place[*bus] as usize].iter().any(|move_| move_.abs() > SEEN);
        let unseen_buses = (0..self.place.len()).filter(moves).collect();
        Observability { islands, unseen_branches, unseen_buses }
    }

    /// A direction, by place and with a largest entry of one, that no meter in use notices; `None` when small pivots were
    /// poorly scaled only.
    pub(super) fn unseen(&self) -> Option<Vec<[f64; 2]>> {
        self.direction(|_| true).or_else(|| {
            // One pivot that is poorly scaled only must not hide another that is zero.
            let zero: Vec<usize> = self
                .factor
                .null()
                .iter()
                .copied()
                .filter(|null| self.direction(|it| it == *null).is_some())
                .collect();
            let one = zero.first().copied();
            self.direction(|null| zero.contains(&null)).or_else(|| self.direction(|null| Some(null) == one))
        })
    }

    /// The direction that these zero pivots leave free, if no meter in use notices it.
    fn direction(&self, moves: impl Fn(usize) -> bool) -> Option<Vec<[f64; 2]>> {
        let mut direction = vec![[0.0; 2]; self.place.len()];
        // Shares without a pattern: fractional parts of multiples of the golden ratio.
        let share = |null: usize| 0.5 + (null as f64 * 0.618_033_988_749_894_8).fract();
        self.factor.solve(&mut direction, |null| if moves(null) { share(null) } else { 0.0 });
        let largest = direction.iter().flatten().fold(0.0, |largest: f64, entry| largest.max(entry.abs()));
        if !(largest > 0.0 && largest.is_finite()) {
            return None;
        }
        direction.iter_mut().flatten().for_each(|entry| *entry /= largest);
        let changes: Vec<[f64; 2]> =
            self.groups.iter().map(|group: &Group| self.change(group, &direction)).collect();
        let noticed = (0..self.meters.len()).any(|meter| {
            let (group, row) = self.row[meter];
            let change = changes[group as usize][usize::from(row)].abs();
            self.in_use[meter] && change > 0.01 * self.meters[meter].sigma
        });
        (!noticed).then_some(direction)
    }

    /// The first island, by its lowest bus, that a null direction moves.
    pub(super) fn first_unseen_island(&self, direction: Option<&Vec<[f64; 2]>>) -> Option<Vec<usize>> {
        let direction = direction?;
        let of = |bus: usize| direction[self.place[bus] as usize];
        let moves = |bus: usize| of(bus).iter().any(|entry| entry.abs() > SEEN);
        let first = (0..self.place.len()).find(|bus| moves(*bus))?;
        let (island, _) = self.grid.islands(|_, branch| {
            let tied = (of(branch.from)[0] - of(branch.to)[0]).abs() <= SEEN;
            branch.in_service && tied && moves(branch.from) == moves(branch.to)
        });
        Some((0..self.place.len()).filter(|bus| island[*bus] == island[first]).collect())
    }

    /// Meters whose loss would leave the state undetermined, among those in use: their residual is always zero, so that an
    /// error of theirs cannot be seen. Estimates first.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn critical_meters(&mut self, values: &[f64]) -> Result<Vec<usize>, crate::Error> {
        self.estimate(values, Start::Flat, &super::Options::default())?;
        self.invert();
        let variances = self.residual_variances();
        let critical = |meter: &usize| self.in_use[*meter] && variances[*meter].is_none();
        Ok((0..self.meters.len()).filter(critical).collect())
    }

    /// The quantities that would tie unseen parts to the rest: flows of the unseen branches and voltages of unseen buses.
    #[must_use]
    pub fn candidates(&mut self) -> Vec<Quantity> {
        let found = self.observability();
        let flows = found.unseen_branches.iter();
        let flows = flows.map(|branch| Quantity::ActiveFlow(*branch, super::Side::From));
        flows.chain(found.unseen_buses.iter().map(|bus| Quantity::Voltage(*bus))).collect()
    }
}
