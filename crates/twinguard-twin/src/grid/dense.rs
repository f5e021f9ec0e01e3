//! Dense least squares by Householder reflections, for the questions about ranks that small grids ask.
//!
//! Source: G. H. Golub, C. F. Van Loan, *Matrix Computations* (4th ed.), algorithms 5.1.1, 5.2.1 and 5.4.1 (column pivoting).

/// A matrix by columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) data: Vec<f64>,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    pub(crate) fn column(&self, column: usize) -> &[f64] {
        &self.data[column * self.rows..(column + 1) * self.rows]
    }

    pub(crate) fn column_mut(&mut self, column: usize) -> &mut [f64] {
        &mut self.data[column * self.rows..(column + 1) * self.rows]
    }

    /// The matrix times a vector.
    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.rows];
        for (column, x) in x.iter().enumerate() {
            if *x != 0.0 {
                out.iter_mut().zip(self.column(column)).for_each(|(out, entry)| *out += entry * x);
            }
        }
        out
    }
}

/// `A P = Q R`.
#[derive(Clone, Debug)]
pub(crate) struct Qr {
    /// R in the upper triangle, reflections below and in `head`.
    packed: Matrix,
    head: Vec<f64>,
    order: Vec<usize>,
    pub(crate) rank: usize,
}

impl Qr {
    /// Factors with column pivoting; columns below `tolerance` times the first pivot are left out of the rank.
    pub(crate) fn new(mut a: Matrix, tolerance: f64) -> Self {
        let mut order: Vec<usize> = (0..a.columns).collect();
        let mut head = Vec::new();
        let mut norms: Vec<f64> = (0..a.columns).map(|at| square(a.column(at))).collect();
        let mut first: f64 = 0.0;
        for step in 0..a.columns.min(a.rows) {
            let best =
                (step..a.columns).fold(step, |best, at| if norms[at] > norms[best] { at } else { best });
            if best != step {
                for row in 0..a.rows {
                    a.data.swap(step * a.rows + row, best * a.rows + row);
                }
                order.swap(step, best);
                norms.swap(step, best);
            }
            let size = square(&a.column(step)[step..]).sqrt();
            first = first.max(size);
            if size <= tolerance * first || size == 0.0 {
                break;
            }
            let column = a.column_mut(step);
            let diagonal = if column[step] > 0.0 { -size } else { size };
            let top = column[step] - diagonal;
            column[step] = diagonal;
            column[step + 1..].iter_mut().for_each(|entry| *entry /= top);
            // v = (1, below), H = I − β v vᵀ
            let beta = -top / diagonal;
            head.push(beta);
            let (done, rest) = a.data.split_at_mut((step + 1) * a.rows);
            let below = &done[step * a.rows + step + 1..];
            for (other, norm) in rest.chunks_exact_mut(a.rows).zip(&mut norms[step + 1..]) {
                reflect(beta, below, &mut other[step..]);
                // Downdated norms lose digits where columns nearly cancel; computed anew they do not.
                *norm = square(&other[step + 1..]);
            }
        }
        let rank = head.len();
        Self { packed: a, head, order, rank }
    }

    /// Qᵀ x, in place: its first `rank` entries lie in the range of A, the others do not.
    pub(crate) fn rotate(&self, x: &mut [f64]) {
        for (step, beta) in self.head.iter().enumerate() {
            reflect(*beta, &self.packed.column(step)[step + 1..], &mut x[step..]);
        }
    }

    /// Q x, in place.
    pub(crate) fn rotate_back(&self, x: &mut [f64]) {
        for (step, beta) in self.head.iter().enumerate().rev() {
            reflect(*beta, &self.packed.column(step)[step + 1..], &mut x[step..]);
        }
    }

    /// The least-squares solution and the residual `b − A x`; entries beyond the rank are zero.
    pub(crate) fn solve(&self, b: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut rotated = b.to_vec();
        self.rotate(&mut rotated);
        let mut y = rotated[..self.rank].to_vec();
        for step in (0..self.rank).rev() {
            y[step] /= self.packed.column(step)[step];
            let known = y[step];
            let (above, column) = (&mut y[..step], self.packed.column(step));
            above.iter_mut().zip(column).for_each(|(entry, r)| *entry -= r * known);
        }
        let mut x = vec![0.0; self.packed.columns];
        self.order.iter().zip(&y).for_each(|(at, y)| x[*at] = *y);
        rotated[..self.rank].fill(0.0);
        self.rotate_back(&mut rotated);
        (x, rotated)
    }

    /// Diagonal of `I − Q₁ Q₁ᵀ`: the share of each row's variance that its residual keeps.
    pub(crate) fn residual_shares(&self) -> Vec<f64> {
        let mut shares = vec![1.0; self.packed.rows];
        let mut unit = vec![0.0; self.packed.rows];
        for step in 0..self.rank {
            unit.fill(0.0);
            unit[step] = 1.0;
            self.rotate_back(&mut unit);
            shares.iter_mut().zip(&unit).for_each(|(share, q)| *share -= q * q);
        }
        shares
    }
}

fn square(list: &[f64]) -> f64 {
    list.iter().map(|entry| entry * entry).sum()
}

/// x ← (I − β v vᵀ) x with v = (1, below).
fn reflect(beta: f64, below: &[f64], x: &mut [f64]) {
    let Some((first, rest)) = x.split_first_mut() else { return };
    let along = beta * (*first + rest.iter().zip(below).map(|(x, v)| x * v).sum::<f64>());
    *first -= along;
    rest.iter_mut().zip(below).for_each(|(x, v)| *x -= along * v);
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};

    use super::*;
    use crate::noise::Noise;

    #[test]
    fn ranks_solutions_and_shares_are_those_of_the_pseudo_inverse() {
        let mut noise = Noise::new(5, 0);
        for (rows, columns, rank) in [(9, 4, 4), (12, 6, 3), (5, 5, 5), (6, 8, 6), (7, 1, 1)] {
            let left = DMatrix::from_fn(rows, rank, |_, _| noise.gaussian());
            let right = DMatrix::from_fn(rank, columns, |_, _| noise.gaussian());
            let a = &left * &right;
            let data = a.as_slice().to_vec();
            let qr = Qr::new(Matrix { rows, columns, data }, 1e-10);
            assert_eq!(qr.rank, rank);
            let b = DVector::from_fn(rows, |_, _| noise.gaussian());
            let hat = &a * a.clone().pseudo_inverse(1e-10).unwrap();
            let (x, residual) = qr.solve(b.as_slice());
            let expected = &b - &hat * &b;
            assert!((DVector::from_vec(residual) - &expected).amax() < 1e-12);
            assert!((&b - &a * DVector::from_vec(x) - expected).amax() < 1e-12);
            for (at, share) in qr.residual_shares().into_iter().enumerate() {
                assert!((share - (1.0 - hat[(at, at)])).abs() < 1e-12);
            }
        }
    }
}
