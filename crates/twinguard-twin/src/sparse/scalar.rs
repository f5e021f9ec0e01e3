//! `L D Lᵀ` of a sparse symmetric positive definite matrix, with every index worked out once.
//!
//! Source: right-looking elimination, A. George, J. W. Liu, *Computer Solution of Large Sparse Positive Definite Systems*
//! (1981), §5.3. The pattern of L is found by eliminating symbolically; the place that each product goes to is listed in the
//! order of use, so that a factorisation is one pass over that list: nothing is searched, nothing allocated. Memory and cost
//! are Σ c²/2 over the columns of L, c the entries of a column: small for water networks and grids, which are nearly planar.

/// Where an entry of the matrix lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place(u32);

/// The plan of a pattern: shared by all factors on it.
#[derive(Clone, Debug)]
struct Plan {
    /// Columns of L: where each starts, and the rows below the diagonal, ascending.
    start: Vec<u32>,
    rows: Vec<u32>,
    /// For each column, for each pair of its entries: where their product goes.
    targets: Vec<u32>,
}

/// A matrix and, after [`Factor::factor`], its factor in the same memory; rows are in elimination order.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    plan: std::sync::Arc<Plan>,
    /// Diagonal of the matrix, then of D⁻¹.
    pub(crate) diagonal: Vec<f64>,
    lower: Vec<f64>,
}

impl Factor {
    /// Plans the elimination of a pattern: for each row, the other rows that it touches (any order, symmetric, by
    /// elimination order).
    pub(crate) fn new(neighbours: &[Vec<u32>]) -> Self {
        let n = neighbours.len();
        let mut columns: Vec<Vec<u32>> = Vec::with_capacity(n);
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (k, list) in neighbours.iter().enumerate() {
            // Column k of L: the matrix's own entries and those of the columns whose first entry is k.
            let mut column: Vec<u32> = list.iter().copied().filter(|row| *row as usize > k).collect();
            for child in &children[k] {
                column.extend(columns[*child as usize].iter().copied().filter(|row| *row as usize > k));
            }
            column.sort_unstable();
            column.dedup();
            if let Some(parent) = column.first() {
                children[*parent as usize].push(index(k));
            }
            columns.push(column);
        }
        let mut start = Vec::with_capacity(n + 1);
        start.push(0);
        for column in &columns {
            start.push(start[start.len() - 1] + index(column.len()));
        }
        let mut targets = Vec::new();
        for column in &columns {
            for (at, first) in column.iter().enumerate() {
                let (into, base) = (&columns[*first as usize], start[*first as usize]);
                // Both lists ascend and the second holds what is left of the first.
                let mut place = 0;
                for row in &column[at + 1..] {
                    place += into[place..].partition_point(|other| other < row);
                    targets.push(base + index(place));
                }
            }
        }
        let rows: Vec<u32> = columns.concat();
        let lower = vec![0.0; rows.len()];
        let plan = std::sync::Arc::new(Plan { start, rows, targets });
        Self { plan, diagonal: vec![0.0; n], lower }
    }

    /// Where the entry of two different rows lives; none when the pattern does not have it.
    pub(crate) fn place(&self, one: u32, other: u32) -> Option<Place> {
        let (column, row) = (one.min(other) as usize, one.max(other));
        let (from, to) = (*self.plan.start.get(column)?, *self.plan.start.get(column + 1)?);
        let rows = self.plan.rows.get(from as usize..to as usize)?;
        rows.binary_search(&row).ok().map(|at| Place(from + index(at)))
    }

    /// Sets the matrix to zero.
    pub(crate) fn clear(&mut self) {
        self.diagonal.fill(0.0);
        self.lower.fill(0.0);
    }

    /// Adds to an entry off the diagonal.
    #[inline]
    pub(crate) fn add(&mut self, place: Place, value: f64) {
        if let Some(entry) = self.lower.get_mut(place.0 as usize) {
            *entry += value;
        }
    }

    /// Factors the matrix in place.
    ///
    /// # Errors
    /// The row whose pivot is not positive.
    pub(crate) fn factor(&mut self) -> Result<(), usize> {
        let Plan { start, rows, targets } = &*self.plan;
        let mut targets = targets.as_slice();
        for k in 0..self.diagonal.len() {
            let pivot = self.diagonal[k];
            if !(pivot > 0.0 && pivot < f64::INFINITY) {
                return Err(k);
            }
            let inverse = 1.0 / pivot;
            self.diagonal[k] = inverse;
            let (from, to) = (start[k] as usize, start[k + 1] as usize);
            // All targets lie behind this column.
            let (head, behind) = self.lower.split_at_mut(to);
            let column = &mut head[from..];
            for (at, row) in rows[from..to].iter().enumerate() {
                let value = column[at];
                let l = value * inverse;
                column[at] = l;
                self.diagonal[*row as usize] -= l * value;
                let rest = &column[at + 1..];
                let (now, later) = targets.split_at(rest.len());
                targets = later;
                for (target, other) in now.iter().zip(rest) {
                    behind[*target as usize - to] -= l * other;
                }
            }
        }
        Ok(())
    }

    /// Solves in place; after [`Factor::factor`].
    pub(crate) fn solve(&self, x: &mut [f64]) {
        let Plan { start, rows, .. } = &*self.plan;
        for k in 0..self.diagonal.len() {
            let (from, to) = (start[k] as usize, start[k + 1] as usize);
            let value = x[k];
            for (row, l) in rows[from..to].iter().zip(&self.lower[from..to]) {
                x[*row as usize] -= l * value;
            }
        }
        for k in (0..self.diagonal.len()).rev() {
            let (from, to) = (start[k] as usize, start[k + 1] as usize);
            let mut value = x[k] * self.diagonal[k];
            for (row, l) in rows[from..to].iter().zip(&self.lower[from..to]) {
                value -= l * x[*row as usize];
            }
            x[k] = value;
        }
    }

    /// Entries of L below the diagonal.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> usize {
        self.lower.len()
    }
}

/// Places fit in 32 bits: a matrix with more entries does not fit in memory here.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::minimum_degree, *};

    /// A network's matrix: edges with conductances, some rows grounded.
    fn laplacian(n: u32, edges: &[(u32, u32, f64)]) -> (Factor, Vec<Vec<f64>>) {
        let mut neighbours = vec![Vec::new(); n as usize];
        let mut dense = vec![vec![0.0; n as usize]; n as usize];
        for (a, b, g) in edges.iter().filter(|(a, b, _)| a != b) {
            for (a, b) in [(*a as usize, *b), (*b as usize, *a)] {
                neighbours[a].push(b);
                dense[a][a] += g;
                dense[a][b as usize] -= g;
            }
        }
        for (row, list) in neighbours.iter_mut().enumerate() {
            list.sort_unstable();
            list.dedup();
            dense[row][row] += 0.1;
        }
        let order = minimum_degree(&neighbours);
        let mut position = vec![0; n as usize];
        order.iter().zip(0..).for_each(|(node, k)| position[*node as usize] = k);
        let by_order: Vec<Vec<u32>> = order
            .iter()
            .map(|node| neighbours[*node as usize].iter().map(|other| position[*other as usize]).collect())
            .collect();
        let mut factor = Factor::new(&by_order);
        let permuted: Vec<Vec<f64>> = order
            .iter()
            .map(|row| order.iter().map(|column| dense[*row as usize][*column as usize]).collect())
            .collect();
        for row in 0..n {
            factor.diagonal[row as usize] = permuted[row as usize][row as usize];
            for column in 0..row {
                if let Some(place) = factor.place(row, column) {
                    factor.add(place, permuted[row as usize][column as usize]);
                }
            }
        }
        (factor, permuted)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_solves(n in 1_u32..40, edges in prop::collection::vec((0_u32..40, 0_u32..40, 0.01_f64..10.0), 0..90)) {
            let edges: Vec<_> = edges.into_iter().map(|(a, b, g)| (a % n, b % n, g)).collect();
            let (mut factor, dense) = laplacian(n, &edges);
            let expected: Vec<f64> = (0..n).map(|at| f64::from(at).sin()).collect();
            let mut x: Vec<f64> =
                dense.iter().map(|row| row.iter().zip(&expected).map(|(a, x)| a * x).sum()).collect();
            prop_assert_eq!(factor.factor(), Ok(()));
            factor.solve(&mut x);
            for (found, expected) in x.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_chain_has_no_fill_and_a_bad_pivot_is_named() {
        let edges: Vec<_> = (0..49).map(|at| (at, at + 1, 1.0)).collect();
        let (factor, _) = laplacian(50, &edges);
        assert_eq!(factor.fill(), 49);
        let mut singular = Factor::new(&[vec![1], vec![0]]);
        singular.diagonal = vec![1.0, 1.0];
        let place = singular.place(0, 1).unwrap();
        singular.add(place, -1.0);
        assert_eq!(singular.factor(), Err(1));
        assert_eq!(singular.place(0, 5), None);
    }
}
