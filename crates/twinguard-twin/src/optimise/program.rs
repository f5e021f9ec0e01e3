//! Linear and quadratic programs: min ½ xᵀQx + cᵀx within bounds of linear expressions.
//!
//! Source: S. Boyd, L. Vandenberghe, *Convex Optimization*, §4.3 and §4.4.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};

use crate::Error;

/// The most variables or rows.
const SIZE: usize = 100_000;

/// A linear expression within bounds; infinite ones are none.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Variables and their factors, in the order of the variables.
    pub terms: Vec<(usize, f64)>,
    /// Not below this.
    pub min: f64,
    /// Not above this.
    pub max: f64,
}

/// A program over `linear.len()` variables.
///
/// ```
/// use twinguard_twin::optimise::{Program, Row};
///
/// // (x − 3)² + y, with x + y ≥ 1 and y ≥ 0, x ≤ 2
/// let row = |terms: &[(usize, f64)], min, max| Row { terms: terms.to_vec(), min, max };
/// let program = Program {
///     quadratic: vec![(0, 0, 2.0)],
///     linear: vec![-6.0, 1.0],
///     rows: vec![
///         row(&[(0, 1.0), (1, 1.0)], 1.0, f64::INFINITY),
///         row(&[(1, 1.0)], 0.0, f64::INFINITY),
///         row(&[(0, 1.0)], f64::NEG_INFINITY, 2.0),
///     ],
/// };
/// let found = program.solve()?;
/// assert!((found.x[0] - 2.0).abs() < 1e-6 && found.x[1].abs() < 1e-6);
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Entries of Q in its upper triangle (row, column, value); Q must be positive semi-definite. None: a linear program.
    pub quadratic: Vec<(usize, usize, f64)>,
    /// c, one entry a variable.
    pub linear: Vec<f64>,
    /// What has to hold.
    pub rows: Vec<Row>,
}

/// A solution.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// One value a variable.
    pub x: Vec<f64>,
    /// The objective there.
    pub value: f64,
}

/// Compressed columns of entries; those of one place are added.
fn columns(rows: usize, width: usize, mut entries: Vec<(usize, usize, f64)>) -> CscMatrix<f64> {
    entries.sort_by_key(|(row, column, _)| (*column, *row));
    entries.dedup_by(|next, kept| {
        let same = (next.0, next.1) == (kept.0, kept.1);
        if same {
            kept.2 += next.2;
        }
        same
    });
    let mut start = vec![0; width + 1];
    entries.iter().for_each(|(_, column, _)| start[column + 1] += 1);
    (0..width).for_each(|column| start[column + 1] += start[column]);
    let (places, values) = entries.into_iter().map(|(row, _, value)| (row, value)).unzip();
    CscMatrix::new(rows, width, start, places, values)
}

impl Program {
    /// Solves it.
    ///
    /// # Errors
    /// [`Error::Dimension`] for an entry beyond the variables or more than 100,000 of them, [`Error::NotFinite`] for a
    /// number that is not, [`Error::NoOptimum`] when no point satisfies all rows, the objective has no bound, or the solver
    /// gives up.
    pub fn solve(&self) -> Result<Optimum, Error> {
        let n = self.linear.len();
        let count = |what, found| Err(Error::Dimension { what, expected: n, found });
        if n > SIZE || self.rows.len() > SIZE {
            return Err(Error::Dimension {
                what: "variables or rows",
                expected: SIZE,
                found: n.max(self.rows.len()),
            });
        }
        let finite = self.linear.iter().copied().chain(self.quadratic.iter().map(|entry| entry.2));
        let mut finite = finite.chain(self.rows.iter().flat_map(|row| row.terms.iter().map(|term| term.1)));
        if !finite.all(f64::is_finite) || self.rows.iter().any(|row| row.min.is_nan() || row.max.is_nan()) {
            return Err(Error::NotFinite { what: "program", time_s: 0.0 });
        }
        if let Some((row, column, _)) =
            self.quadratic.iter().find(|(row, column, _)| row > column || *column >= n)
        {
            return count("quadratic entries in the upper triangle", *row.max(column));
        }
        let (mut entries, mut right) = (Vec::new(), Vec::new());
        for row in &self.rows {
            for (sign, bound) in [(1.0, row.max), (-1.0, -row.min)] {
                if bound == f64::INFINITY {
                    continue;
                }
                for (variable, factor) in &row.terms {
                    if *variable >= n {
                        return count("variables", *variable);
                    }
                    entries.push((right.len(), *variable, sign * factor));
                }
                // Below any bound: nothing satisfies it.
                right.push(bound.max(-1e18));
            }
        }
        let q = columns(n, n, self.quadratic.clone());
        let a = columns(right.len(), n, entries);
        let cones = [SupportedConeT::NonnegativeConeT(right.len())];
        let settings = DefaultSettings { verbose: false, max_threads: 1, ..DefaultSettings::default() };
        let solver = DefaultSolver::new(&q, &self.linear, &a, &right, &cones, settings);
        let mut solver = solver.map_err(|_| Error::NoOptimum { reason: "the program is malformed" })?;
        solver.solve();
        match solver.solution.status {
            SolverStatus::Solved | SolverStatus::AlmostSolved => {}
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => {
                return Err(Error::NoOptimum { reason: "nothing satisfies all limits" });
            }
            SolverStatus::DualInfeasible | SolverStatus::AlmostDualInfeasible => {
                return Err(Error::NoOptimum { reason: "the objective has no bound" });
            }
            _ => return Err(Error::NoOptimum { reason: "the solver gave up" }),
        }
        let x = solver.solution.x.clone();
        let linear: f64 = x.iter().zip(&self.linear).map(|(x, c)| x * c).sum();
        let square = |(row, column, value): &(usize, usize, f64)| {
            value * x[*row] * x[*column] * if row == column { 0.5 } else { 1.0 }
        };
        let value = linear + self.quadratic.iter().map(square).sum::<f64>();
        Ok(Optimum { x, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(terms: &[(usize, f64)], min: f64, max: f64) -> Row {
        Row { terms: terms.to_vec(), min, max }
    }

    #[test]
    fn a_diet_is_the_cheapest_that_feeds() {
        // min 2a + 3b, a + 2b ≥ 8, 3a + b ≥ 9: the corner (2, 3).
        let rows = vec![
            row(&[(0, 1.0), (1, 2.0)], 8.0, f64::INFINITY),
            row(&[(0, 3.0), (1, 1.0)], 9.0, f64::INFINITY),
            row(&[(0, 1.0)], 0.0, f64::INFINITY),
            row(&[(1, 1.0)], 0.0, f64::INFINITY),
        ];
        let found = Program { quadratic: vec![], linear: vec![2.0, 3.0], rows }.solve().unwrap();
        assert!((found.x[0] - 2.0).abs() < 1e-6 && (found.x[1] - 3.0).abs() < 1e-6);
        assert!((found.value - 13.0).abs() < 1e-6);
    }

    #[test]
    fn a_quadratic_one_meets_its_conditions() {
        // min x² + xy + y² − 3y, x + y = 1: x = −1/2 … by elimination: x² − 2x·… derivative 2x − 1 + 3 = 0 → x = −1, y = 2.
        let quadratic = vec![(0, 0, 2.0), (0, 1, 1.0), (1, 1, 2.0)];
        let rows = vec![row(&[(0, 1.0), (1, 1.0)], 1.0, 1.0)];
        let found = Program { quadratic, linear: vec![0.0, -3.0], rows }.solve().unwrap();
        assert!((found.x[0] + 1.0).abs() < 1e-6 && (found.x[1] - 2.0).abs() < 1e-6, "{found:?}");
        assert!((found.value - (1.0 - 2.0 + 4.0 - 6.0)).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let program = |linear, rows| Program { quadratic: vec![], linear, rows };
        let nothing = program(vec![1.0], vec![row(&[(0, 1.0)], 2.0, 1.0)]);
        assert_eq!(nothing.solve(), Err(Error::NoOptimum { reason: "nothing satisfies all limits" }));
        let endless = program(vec![1.0], vec![row(&[(0, 1.0)], f64::NEG_INFINITY, 1.0)]);
        assert_eq!(endless.solve(), Err(Error::NoOptimum { reason: "the objective has no bound" }));
        assert!(program(vec![f64::NAN], vec![]).solve().is_err());
        assert!(program(vec![1.0], vec![row(&[(3, 1.0)], 0.0, 1.0)]).solve().is_err());
    }
}
