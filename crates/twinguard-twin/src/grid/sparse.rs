//! Sparse `L D Lᵀ` of symmetric matrices made of 2 × 2 blocks (one block row a bus), with the selected inverse.
//!
//! Sources: ordering by minimum degree on the elimination graph, W. F. Tinney, J. W. Walker, Proc. IEEE 55 (1967) 1801,
//! scheme 2; elimination tree and up-looking factorisation, T. A. Davis, *Direct Methods for Sparse Linear Systems* (2006),
//! §4.1 and §4.7; the inverse on the pattern of L, K. Takahashi, J. Fagan, M. Chin, PICA (1973), equation (5).
//!
//! Blocks because magnitude and angle of a bus always stand together: a quarter of the indices, and products that stay in
//! registers. Everything that depends on the pattern is done once; a factorisation, a solution and a selected inverse on
//! the same pattern allocate nothing. Cost: Σ c² block products, c the number of blocks in a column of L.

/// A 2 × 2 block by rows.
pub(crate) type Block = [f64; 4];

/// a b
#[inline]
pub(crate) fn product(a: &Block, b: &Block) -> Block {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    ]
}

/// aᵀ b
#[inline]
pub(crate) fn transposed_product(a: &Block, b: &Block) -> Block {
    [
        a[0] * b[0] + a[2] * b[2],
        a[0] * b[1] + a[2] * b[3],
        a[1] * b[0] + a[3] * b[2],
        a[1] * b[1] + a[3] * b[3],
    ]
}

#[inline]
fn subtract(from: &mut Block, what: &Block) {
    for (from, what) in from.iter_mut().zip(what) {
        *from -= what;
    }
}

#[inline]
fn transpose(a: &Block) -> Block {
    [a[0], a[2], a[1], a[3]]
}

/// An elimination order that keeps L sparse: `order[k]` is eliminated k-th. Ties go to the lowest number.
pub(crate) fn minimum_degree(neighbours: &[Vec<u32>]) -> Vec<u32> {
    let mut around: Vec<Vec<u32>> = neighbours.to_vec();
    let mut queue: std::collections::BTreeSet<(usize, u32)> =
        around.iter().zip(0..).map(|(list, node)| (list.len(), node)).collect();
    let mut order = Vec::with_capacity(around.len());
    let mut merged = Vec::new();
    while let Some((_, node)) = queue.pop_first() {
        order.push(node);
        let clique = core::mem::take(&mut around[node as usize]);
        for &member in &clique {
            let own = &mut around[member as usize];
            queue.remove(&(own.len(), member));
            merge(own, &clique, [node, member], &mut merged);
            core::mem::swap(own, &mut merged);
            queue.insert((own.len(), member));
        }
    }
    order
}

/// The union of two ascending lists without two members.
fn merge(a: &[u32], b: &[u32], without: [u32; 2], out: &mut Vec<u32>) {
    out.clear();
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    loop {
        let next = match (a.peek().copied(), b.peek().copied()) {
            (Some(x), Some(y)) => {
                if x <= y {
                    a.next();
                }
                if y <= x {
                    b.next();
                }
                x.min(y)
            }
            (Some(x), None) => {
                a.next();
                x
            }
            (None, Some(y)) => {
                b.next();
                y
            }
            (None, None) => return,
        };
        if !without.contains(&next) {
            out.push(next);
        }
    }
}

/// A symmetric matrix, its factor and its selected inverse, on one pattern; rows are in elimination order.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    /// Rows of the strictly lower part of the matrix: where each starts, and the columns, ascending.
    row_start: Vec<u32>,
    row_column: Vec<u32>,
    /// The matrix: strictly lower blocks by rows, and diagonal blocks.
    pub(crate) lower: Vec<Block>,
    pub(crate) diagonal: Vec<Block>,
    /// Rows of L: where each starts, the columns, ascending.
    l_row_start: Vec<u32>,
    l_row_column: Vec<u32>,
    /// Columns of L: where each starts, the rows, ascending, the values.
    column_start: Vec<u32>,
    column_row: Vec<u32>,
    l: Vec<Block>,
    /// Inverses of the diagonal blocks of D.
    inverse_d: Vec<Block>,
    /// The matrix's inverse on the pattern of L, stored like L, and its diagonal blocks.
    z: Vec<Block>,
    z_diagonal: Vec<Block>,
    /// Where each block of `lower` stands in L.
    lower_in_l: Vec<u32>,
    filled: Vec<u32>,
    work: Vec<Block>,
    place: Vec<u32>,
    null: Vec<usize>,
    /// For each zero pivot: how the other entry of its row hangs on it (0 when that is free too).
    null_tie: Vec<f64>,
    least_pivot: f64,
}

impl Factor {
    /// Analyses a pattern: for each row the columns left of the diagonal, ascending.
    pub(crate) fn new(rows: &[Vec<u32>]) -> Self {
        let n = rows.len();
        let mut parent = vec![u32::MAX; n];
        let mut mark = vec![u32::MAX; n];
        let mut pattern: Vec<Vec<u32>> = Vec::with_capacity(n);
        for (k, row) in rows.iter().enumerate() {
            let k = k as u32;
            mark[k as usize] = k;
            let mut reach = Vec::new();
            for &column in row {
                // Up the elimination tree until a node that was visited for this row.
                let mut at = column;
                while mark[at as usize] != k {
                    mark[at as usize] = k;
                    reach.push(at);
                    if parent[at as usize] == u32::MAX {
                        parent[at as usize] = k;
                    }
                    at = parent[at as usize];
                }
            }
            reach.sort_unstable();
            pattern.push(reach);
        }
        let (row_start, row_column) = compressed(rows);
        let (l_row_start, l_row_column) = compressed(&pattern);
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (k, row) in pattern.iter().enumerate() {
            row.iter().for_each(|column| columns[*column as usize].push(k as u32));
        }
        let (column_start, column_row) = compressed(&columns);
        let mut lower_in_l = Vec::with_capacity(row_column.len());
        for (k, row) in rows.iter().enumerate() {
            for &column in row {
                let start = column_start[column as usize];
                let within = columns[column as usize].partition_point(|row| (*row as usize) < k);
                lower_in_l.push(start + within as u32);
            }
        }
        let blocks = column_row.len();
        Self {
            lower: vec![[0.0; 4]; row_column.len()],
            diagonal: vec![[0.0; 4]; n],
            l: vec![[0.0; 4]; blocks],
            inverse_d: vec![[0.0; 4]; n],
            z: vec![[0.0; 4]; blocks],
            z_diagonal: vec![[0.0; 4]; n],
            filled: vec![0; n],
            work: vec![[0.0; 4]; n],
            place: vec![u32::MAX; n],
            null: Vec::with_capacity(2 * n),
            null_tie: Vec::with_capacity(2 * n),
            least_pivot: 1.0,
            row_start,
            row_column,
            l_row_start,
            l_row_column,
            column_start,
            column_row,
            lower_in_l,
        }
    }

    /// Where the block of this row and this column left of the diagonal stands in `lower`.
    pub(crate) fn position(&self, row: u32, column: u32) -> Option<usize> {
        let range = self.row_start[row as usize] as usize..self.row_start[row as usize + 1] as usize;
        let within = self.row_column[range.clone()].binary_search(&column).ok()?;
        Some(range.start + within)
    }

    /// Sets the matrix to zero.
    pub(crate) fn clear(&mut self) {
        self.lower.fill([0.0; 4]);
        self.diagonal.fill([0.0; 4]);
    }

    /// Factors the matrix. A pivot of at most `tolerance` times its diagonal entry counts as zero: its column of L becomes
    /// zero, and its number (2 · row + 0 or 1) stands in [`Self::null`].
    pub(crate) fn factor(&mut self, tolerance: f64) {
        self.null.clear();
        self.null_tie.clear();
        self.least_pivot = 1.0;
        self.filled.copy_from_slice(&self.column_start[..self.diagonal.len()]);
        for k in 0..self.diagonal.len() {
            for at in self.row_start[k] as usize..self.row_start[k + 1] as usize {
                self.work[self.row_column[at] as usize] = transpose(&self.lower[at]);
            }
            let mut d = self.diagonal[k];
            for at in self.l_row_start[k] as usize..self.l_row_start[k + 1] as usize {
                let j = self.l_row_column[at] as usize;
                let y = core::mem::take(&mut self.work[j]);
                let (start, end) = (self.column_start[j] as usize, self.filled[j] as usize);
                for (row, l) in self.column_row[start..end].iter().zip(&self.l[start..end]) {
                    subtract(&mut self.work[*row as usize], &product(l, &y));
                }
                let l = transposed_product(&y, &self.inverse_d[j]);
                subtract(&mut d, &product(&l, &y));
                self.l[end] = l;
                self.filled[j] = end as u32 + 1;
            }
            let entries = [self.diagonal[k][0], self.diagonal[k][3]];
            let (good, second) = pivots(&d, entries.map(|entry| entry * tolerance));
            for (pivot, entry) in [d[0], second].into_iter().zip(entries) {
                self.least_pivot = self.least_pivot.min(if entry > 0.0 { pivot / entry } else { 0.0 });
            }
            self.inverse_d[k] = match (good, second) {
                ([true, true], _) => {
                    let determinant = d[0] * d[3] - d[1] * d[1];
                    let off = -d[1] / determinant;
                    [d[3] / determinant, off, off, d[0] / determinant]
                }
                (good, second) => {
                    for at in (0..2).filter(|at| !good[*at]) {
                        self.null.push(2 * k + at);
                        self.null_tie.push(if good[1 - at] { d[1] / d[3 - 3 * at] } else { 0.0 });
                    }
                    let inverse = |good: bool, value: f64| if good { 1.0 / value } else { 0.0 };
                    [inverse(good[0], d[0]), 0.0, 0.0, inverse(good[1], second)]
                }
            };
        }
    }

    /// Numbers (2 · row + 0 or 1) of the pivots that were zero.
    pub(crate) fn null(&self) -> &[usize] {
        &self.null
    }

    /// The smallest pivot as a share of its diagonal entry.
    pub(crate) fn least_pivot(&self) -> f64 {
        self.least_pivot
    }

    /// Solves in place, two numbers a row; where a pivot was zero, `free` gives the solution's share.
    pub(crate) fn solve(&self, x: &mut [[f64; 2]], mut free: impl FnMut(usize) -> f64) {
        for j in 0..x.len() {
            let [a, b] = x[j];
            let range = self.column_start[j] as usize..self.column_start[j + 1] as usize;
            for (row, l) in self.column_row[range.clone()].iter().zip(&self.l[range]) {
                let x = &mut x[*row as usize];
                x[0] -= l[0] * a + l[1] * b;
                x[1] -= l[2] * a + l[3] * b;
            }
        }
        for (x, d) in x.iter_mut().zip(&self.inverse_d) {
            *x = [d[0] * x[0] + d[1] * x[1], d[2] * x[0] + d[3] * x[1]];
        }
        for (null, tie) in self.null.iter().zip(&self.null_tie) {
            let share = free(*null);
            x[null / 2][null % 2] = share;
            x[null / 2][1 - null % 2] -= tie * share;
        }
        for j in (0..x.len()).rev() {
            let [mut a, mut b] = x[j];
            let range = self.column_start[j] as usize..self.column_start[j + 1] as usize;
            for (row, l) in self.column_row[range.clone()].iter().zip(&self.l[range]) {
                let [c, d] = x[*row as usize];
                a -= l[0] * c + l[2] * d;
                b -= l[1] * c + l[3] * d;
            }
            x[j] = [a, b];
        }
    }

    /// Computes the inverse on the pattern of L, from the last column to the first.
    pub(crate) fn invert(&mut self) {
        let n = self.diagonal.len();
        for j in (0..n).rev() {
            let range = self.column_start[j] as usize..self.column_start[j + 1] as usize;
            for at in range.clone() {
                self.place[self.column_row[at] as usize] = at as u32;
                self.z[at] = [0.0; 4];
            }
            // Z_ij = −Σ_k Z_ik L_kj; the rows of column j are a clique, so every Z_ik stands in the pattern.
            for at in range.clone() {
                let k = self.column_row[at] as usize;
                let l = self.l[at];
                let mut own = product(&self.z_diagonal[k], &l);
                for inner in self.column_start[k] as usize..self.column_start[k + 1] as usize {
                    let place = self.place[self.column_row[inner] as usize];
                    if place != u32::MAX {
                        let z = self.z[inner];
                        subtract(&mut self.z[place as usize], &product(&z, &l));
                        let other = transposed_product(&z, &self.l[place as usize]);
                        own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
                    }
                }
                subtract(&mut self.z[at], &own);
            }
            let mut own = self.inverse_d[j];
            for at in range {
                subtract(&mut own, &transposed_product(&self.l[at], &self.z[at]));
                self.place[self.column_row[at] as usize] = u32::MAX;
            }
            self.z_diagonal[j] = own;
        }
    }

    /// The inverse's block where `lower` has the block `position`; after [`Self::invert`].
    pub(crate) fn inverse_at(&self, position: usize) -> &Block {
        &self.z[self.lower_in_l[position] as usize]
    }

    /// The inverse's diagonal block of a row; after [`Self::invert`].
    pub(crate) fn inverse_diagonal(&self, row: usize) -> &Block {
        &self.z_diagonal[row]
    }

    /// Blocks below the diagonal of L.
    pub(crate) fn fill(&self) -> usize {
        self.column_row.len()
    }
}

/// Which of the two scalar pivots of a block are above their scales, and the second one.
fn pivots(d: &Block, scale: [f64; 2]) -> ([bool; 2], f64) {
    let first = d[0] > scale[0];
    let second = if first { d[3] - d[1] * d[1] / d[0] } else { d[3] };
    ([first, second > scale[1]], second)
}

fn compressed(lists: &[Vec<u32>]) -> (Vec<u32>, Vec<u32>) {
    let mut start = Vec::with_capacity(lists.len() + 1);
    start.push(0);
    for list in lists {
        start.push(start.last().copied().unwrap_or(0) + list.len() as u32);
    }
    (start, lists.iter().flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use proptest::prelude::*;

    use super::*;
    use crate::noise::Noise;

    /// A random positive definite matrix with a random pattern: factor and dense form.
    fn random(seed: u64, n: usize, edges: usize) -> (Factor, DMatrix<f64>) {
        let mut noise = Noise::new(seed, 0);
        let mut neighbours = vec![Vec::new(); n];
        for _ in 0..edges {
            let [a, b] = [0, 1].map(|_| (noise.uniform() * n as f64) as u32);
            if a != b {
                neighbours[a as usize].push(b);
                neighbours[b as usize].push(a);
            }
        }
        for list in &mut neighbours {
            list.sort_unstable();
            list.dedup();
        }
        let order = minimum_degree(&neighbours);
        let mut place = vec![0_u32; n];
        order.iter().zip(0..).for_each(|(node, k)| place[*node as usize] = k);
        let mut rows = vec![Vec::new(); n];
        for (node, list) in neighbours.iter().enumerate() {
            let k = place[node];
            rows[k as usize] =
                list.iter().map(|other| place[*other as usize]).filter(|other| *other < k).collect();
            rows[k as usize].sort_unstable();
        }
        let mut factor = Factor::new(&rows);
        let mut dense = DMatrix::zeros(2 * n, 2 * n);
        for (k, row) in rows.iter().enumerate() {
            factor.diagonal[k] = [20.0 + noise.gaussian(), 1.0, 1.0, 20.0 + noise.gaussian()];
            for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                dense[(2 * k + a, 2 * k + b)] = factor.diagonal[k][2 * a + b];
            }
            for &column in row {
                let at = factor.position(k as u32, column).unwrap();
                factor.lower[at] = core::array::from_fn(|_| noise.gaussian());
                for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let value = factor.lower[at][2 * a + b];
                    dense[(2 * k + a, 2 * column as usize + b)] = value;
                    dense[(2 * column as usize + b, 2 * k + a)] = value;
                }
            }
        }
        factor.factor(1e-12);
        (factor, dense)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn it_solves_and_inverts_like_a_dense_matrix(seed in any::<u64>(), n in 1_usize..40) {
            let (mut factor, dense) = random(seed, n, n + n / 2);
            prop_assert!(factor.null().is_empty());
            let right: Vec<[f64; 2]> = (0..n).map(|at| [at as f64, 1.0]).collect();
            let mut x = right.clone();
            factor.solve(&mut x, |_| 0.0);
            let inverse = dense.try_inverse().unwrap();
            let flat = nalgebra::DVector::from_iterator(2 * n, right.iter().flatten().copied());
            let expected = &inverse * flat;
            for (found, expected) in x.iter().flatten().zip(expected.iter()) {
                prop_assert!((found - expected).abs() < 1e-10);
            }
            factor.invert();
            for row in 0..n {
                for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let found = factor.inverse_diagonal(row)[2 * a + b];
                    prop_assert!((found - inverse[(2 * row + a, 2 * row + b)]).abs() < 1e-11);
                    for at in factor.row_start[row] as usize..factor.row_start[row + 1] as usize {
                        let column = factor.row_column[at] as usize;
                        let found = factor.inverse_at(at)[2 * a + b];
                        prop_assert!((found - inverse[(2 * row + a, 2 * column + b)]).abs() < 1e-11);
                    }
                }
            }
        }
    }

    #[test]
    fn a_chain_is_ordered_without_fill() {
        let neighbours: Vec<Vec<u32>> = (0..50_u32)
            .map(|at| [at.checked_sub(1), (at < 49).then_some(at + 1)].into_iter().flatten().collect())
            .collect();
        let order = minimum_degree(&neighbours);
        assert_eq!(order.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
        let (factor, _) = random(3, 30, 0);
        assert_eq!(factor.fill(), 0);
    }

    #[test]
    fn a_zero_pivot_is_named_and_its_share_is_free() {
        // Two buses, only differences are seen: one of the first entries is free.
        let mut factor = Factor::new(&[vec![], vec![0]]);
        factor.diagonal = vec![[1.0, 0.0, 0.0, 1.0]; 2];
        factor.lower = vec![[-1.0, 0.0, 0.0, 0.0]];
        factor.factor(1e-12);
        assert_eq!(factor.null(), [2]);
        assert_eq!(factor.least_pivot(), 0.0);
        let mut x = vec![[0.0; 2]; 2];
        factor.solve(&mut x, |_| 3.0);
        assert_eq!(x, [[3.0, 0.0], [3.0, 0.0]]);
        // Only the sum of a block's two is seen.
        let mut factor = Factor::new(&[vec![]]);
        factor.diagonal = vec![[1.0, 1.0, 1.0, 1.0]];
        factor.factor(1e-12);
        assert_eq!(factor.null(), [1]);
        let mut x = vec![[0.0; 2]];
        factor.solve(&mut x, |_| 3.0);
        assert_eq!(x, [[-3.0, 3.0]]);
    }
}
