//! Which parts of the grid the meters determine.
//!
//! Source: A. Monticelli, F. F. Wu, IEEE Trans. PAS-104 (1985) 1042 (zero pivots of the gain's factor, a solution with free
//! values in their places, branches whose flow it changes), here with the full Jacobian instead of the DC one, so that
//! magnitudes are judged too and no measurement is irrelevant; A. Abur, A. Gómez Expósito (2004) §4.3 to 4.6.
//!
//! A state is unseen when it can move by one (radian, per unit) and nothing in use notices a hundredth of its σ. The null
//! vector has pseudo-random shares of all free directions, hence hides a branch only by an accident of probability zero.

use nalgebra::DMatrix;

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
/// A pivot this much smaller than its diagonal entry may stand for a state that no meter sees.
pub(super) const SUSPECT: f64 = 1e-6;

const REFINEMENTS: usize = 3;

/// A change of every bus's angle and magnitude, by place.
pub(super) type Direction = Vec<[f64; 2]>;

/// Shares without a pattern: fractional parts of multiples of the golden ratio.
fn share(index: usize) -> f64 {
    0.5 + (index as f64 * 0.618_033_988_749_894_8).fract()
}

fn normalise(direction: &mut [[f64; 2]]) {
    let largest = direction.iter().flatten().fold(0.0, |largest: f64, entry| largest.max(entry.abs()));
    if largest > 0.0 {
        direction.iter_mut().flatten().for_each(|entry| *entry /= largest);
    }
}

fn sum<'a>(directions: impl Iterator<Item = (&'a Direction, f64)>) -> Direction {
    let mut sum = Direction::new();
    for (direction, share) in directions {
        sum.resize(direction.len(), [0.0; 2]);
        sum.iter_mut()
            .flatten()
            .zip(direction.iter().flatten())
            .for_each(|(sum, entry)| *sum += share * entry);
    }
    normalise(&mut sum);
    sum
}

impl Estimator {
    /// Analyses, at the flat start, what the meters in use determine; forgets the last estimate.
    #[must_use]
    pub fn observability(&mut self) -> Observability {
        self.linearise_flat();
        let null = self.unseen();
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

    /// A direction, by place and with a largest entry of one, that nothing in use notices; `None` when every state is seen, if
    /// poorly. Leaves a factor behind in which what is poorly seen is held.
    ///
    /// The gain has the square of the Jacobian's condition, hence its factor only says where to look: small pivots. With the
    /// states behind them free, the others follow, well conditioned. What the meters notice of these directions is judged by
    /// the Jacobian itself.
    pub(super) fn unseen(&mut self) -> Option<Direction> {
        self.factor.factor(SUSPECT);
        let suspects = self.factor.null().to_vec();
        // Almost always all of them are unseen: then any mixture is.
        let all = self.direction(share);
        if suspects.is_empty() || self.unnoticed(&all) {
            return (!suspects.is_empty()).then_some(all);
        }
        let alone =
            suspects.iter().map(|suspect| self.direction(|null| f64::from(u8::from(null == *suspect))));
        let (mut unseen, noticed): (Vec<_>, Vec<_>) = alone.partition(|direction| self.unnoticed(direction));
        // A mixture of noticed ones may be unseen: the smallest singular values of what is noticed of each.
        if !noticed.is_empty() {
            let columns: Vec<Vec<f64>> =
                noticed.iter().map(|direction| self.notices(direction).collect()).collect();
            let rows = columns[0].len().max(columns.len());
            let matrix = DMatrix::from_fn(rows, columns.len(), |row, column| {
                columns[column].get(row).copied().unwrap_or(0.0)
            });
            let mixtures = matrix.qr().r().svd(false, true).v_t.unwrap_or_default();
            let mixed = mixtures.row_iter().map(|mixture| sum(noticed.iter().zip(mixture.iter().copied())));
            unseen.extend(mixed.filter(|direction| self.unnoticed(direction)));
        }
        (!unseen.is_empty()).then(|| sum(unseen.iter().zip((0..).map(share))))
    }

    /// The direction in which the states behind zero pivots move by their shares.
    fn direction(&self, share: impl FnMut(usize) -> f64) -> Direction {
        let mut direction = vec![[0.0; 2]; self.place.len()];
        self.factor.solve(&mut direction, share);
        // The gain's rounding is taken out by what the Jacobian says.
        for _ in 0..REFINEMENTS {
            let mut correction = vec![[0.0; 2]; direction.len()];
            self.groups.iter().for_each(|group| self.pull(group, &direction, &mut correction));
            self.factor.solve(&mut correction, |_| 0.0);
            let entries = direction.iter_mut().flatten().zip(correction.iter().flatten());
            entries.for_each(|(entry, correction)| *entry -= correction);
        }
        normalise(&mut direction);
        direction
    }

    /// What meters and constraints notice of a direction, in σ.
    fn notices<'a>(&'a self, direction: &'a [[f64; 2]]) -> impl Iterator<Item = f64> + 'a {
        self.groups.iter().flat_map(move |group| {
            let change = self.change(group, direction);
            [0, 1].map(|row| change[row] * group.weight[row].sqrt())
        })
    }

    fn unnoticed(&self, direction: &[[f64; 2]]) -> bool {
        direction.iter().any(|entry| *entry != [0.0; 2])
            && self.notices(direction).all(|change| change.abs() <= 0.01)
    }

    /// The first island, by its lowest bus, that a null direction moves.
    pub(super) fn first_unseen_island(&self, direction: &[[f64; 2]]) -> Vec<usize> {
        let of = |bus: usize| direction[self.place[bus] as usize];
        let moves = |bus: usize| of(bus).iter().any(|entry| entry.abs() > SEEN);
        let first = (0..self.place.len()).find(|bus| moves(*bus)).unwrap_or(0);
        let (island, _) = self.grid.islands(|_, branch| {
            let tied = (of(branch.from)[0] - of(branch.to)[0]).abs() <= SEEN;
            branch.in_service && tied && moves(branch.from) == moves(branch.to)
        });
        (0..self.place.len()).filter(|bus| island[*bus] == island[first]).collect()
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
