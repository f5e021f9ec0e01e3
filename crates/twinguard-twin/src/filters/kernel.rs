//! The arithmetic of the factored filter on flat slices, for any order.
//!
//! Sources: Bierman, *Factorization Methods for Discrete Sequential Estimation* (1977), §V.3 (update), §VI.4
//! (weighted Gram–Schmidt, after Thornton 1976); Golub, Van Loan, *Matrix Computations*, §4.1 (U D Uᵀ).
//!
//! All matrices are stored by columns: column j of an order-n matrix is `[j * n..][..n]`. Zeros below the diagonal of
//! U are stored, so that every inner loop runs over whole columns and vectorises.

/// Where a prediction works: F U, the old D, the predicted covariance.
pub(super) struct Scratch<'a> {
    pub(super) moved: &'a mut [f64],
    pub(super) before: &'a mut [f64],
    pub(super) covariance: &'a mut [f64],
}

/// One channel's turn in an update.
pub(super) struct Turn<'a> {
    /// Uᵀ hᵀ of this channel.
    pub(super) projected: &'a [f64],
    /// The noise of its measurement, above 0.
    pub(super) variance: f64,
    /// Uᵀ hᵀ of the channels to come, one after the other: carried along as U changes.
    pub(super) later: &'a mut [f64],
    /// For each of them the covariance of its innovation with this one's: made.
    pub(super) shared: &'a mut [f64],
    /// The gain: made.
    pub(super) gain: &'a mut [f64],
}

/// The arithmetic for one order; what each does stands at the functions below.
pub(super) trait Order: Copy {
    fn n(self) -> usize;
    fn predict(self, u: &mut [f64], d: &mut [f64], f: &[f64], q: &[f64], scratch: Scratch<'_>) -> bool;
    fn project(self, u: &[f64], row: &[f64], out: &mut [f64]);
    fn update(self, u: &mut [f64], d: &mut [f64], turn: Turn<'_>) -> (f64, f64);
    fn multiply(self, columns: &[f64], x: &mut [f64], room: &mut [f64]);
    fn dot(self, a: &[f64], b: &[f64]) -> f64;
}

/// An order that is known when it runs.
#[derive(Clone, Copy)]
pub(super) struct Any(pub(super) usize);

impl Order for Any {
    fn n(self) -> usize {
        self.0
    }
    fn predict(self, u: &mut [f64], d: &mut [f64], f: &[f64], q: &[f64], scratch: Scratch<'_>) -> bool {
        predict(self.0, u, d, f, q, scratch)
    }
    fn project(self, u: &[f64], row: &[f64], out: &mut [f64]) {
        for (out, column) in out.iter_mut().zip(u.chunks_exact(self.0.max(1))) {
            *out = dot(column, row);
        }
    }
    fn update(self, u: &mut [f64], d: &mut [f64], turn: Turn<'_>) -> (f64, f64) {
        update(self.0, u, d, turn)
    }
    fn multiply(self, columns: &[f64], x: &mut [f64], room: &mut [f64]) {
        room.fill(0.0);
        columns.chunks_exact(self.0.max(1)).zip(&*x).for_each(|(column, x)| add_scaled(room, *x, column));
        x.copy_from_slice(room);
    }
    fn dot(self, a: &[f64], b: &[f64]) -> f64 {
        dot(a, b)
    }
}

#[inline(always)]
fn column(matrix: &[f64], order: usize, index: usize) -> &[f64] {
    &matrix[index * order..][..order]
}

#[inline(always)]
fn column_mut(matrix: &mut [f64], order: usize, index: usize) -> &mut [f64] {
    &mut matrix[index * order..][..order]
}

#[inline(always)]
fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Σ aᵢ bᵢ in a fixed order: four running sums, then pairs.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// P ← F P Fᵀ + Q for factored P; false when the sum is too near to singular for a plain factorisation.
///
/// On false, `moved` holds F U, `before` the old D, and `u` and `d` are spoilt: [`orthogonalise`] finishes the work.
#[inline(always)]
pub(super) fn predict(
    order: usize,
    u: &mut [f64],
    d: &mut [f64],
    transition: &[f64],
    process: &[f64],
    scratch: Scratch<'_>,
) -> bool {
    let Scratch { moved, before, covariance } = scratch;
    before.copy_from_slice(d);
    for j in 0..order {
        let moved = column_mut(moved, order, j);
        moved.copy_from_slice(column(transition, order, j));
        for k in 0..j {
            add_scaled(moved, u[j * order + k], column(transition, order, k));
        }
    }
    for j in 0..order {
        let to = column_mut(covariance, order, j);
        to.copy_from_slice(column(process, order, j));
        for k in 0..order {
            add_scaled(to, moved[k * order + j] * d[k], column(moved, order, k));
        }
    }
    factorise(order, covariance, u, d, 1e-10)
}

/// P = U D Uᵀ, spoiling P; false when a pivot falls to `floor` times its diagonal entry or below.
#[inline(always)]
pub(super) fn factorise(
    order: usize,
    covariance: &mut [f64],
    u: &mut [f64],
    d: &mut [f64],
    floor: f64,
) -> bool {
    let mut sound = true;
    for j in 0..order {
        // The rows already taken away can only have lessened this entry; remember what it was.
        u[j] = covariance[j * order + j] * floor;
    }
    for j in (0..order).rev() {
        let (before, rest) = covariance.split_at_mut(j * order);
        let pivot = rest[j];
        sound &= pivot > u[j];
        d[j] = pivot;
        let inverse = 1.0 / pivot;
        for k in 0..j {
            let factor = rest[k] * inverse;
            for (to, from) in before[k * order..][..order].iter_mut().zip(&rest[..order]) {
                *to -= factor * from;
            }
        }
        if j > 0 {
            let u = column_mut(u, order, j);
            for (i, (to, from)) in u.iter_mut().zip(&rest[..order]).enumerate() {
                *to = if i < j { from * inverse } else { 0.0 };
            }
            u[j] = 1.0;
        }
    }
    u[..order].fill(0.0);
    if let Some(first) = u.first_mut() {
        *first = 1.0;
    }
    sound
}

/// P = U D Uᵀ of a matrix that may be singular, spoiling it.
///
/// # Errors
/// The index of the first pivot that is negative, or zero beside entries that are not.
pub(super) fn semidefinite(
    order: usize,
    covariance: &mut [f64],
    u: &mut [f64],
    d: &mut [f64],
) -> Result<(), usize> {
    u.fill(0.0);
    for j in (0..order).rev() {
        let (before, rest) = covariance.split_at_mut(j * order);
        let pivot = rest[j];
        let scale = |k: usize| pivot.abs().max(before[k * order + k].abs());
        u[j * order + j] = 1.0;
        d[j] = pivot.max(0.0);
        if pivot <= 0.0 {
            // Rounding may leave a zero slightly below zero; what it would explain must then be zero as well.
            if pivot < 0.0 || (0..j).any(|k| rest[k].abs() > 1e-12 * scale(k)) {
                return Err(j);
            }
            continue;
        }
        for k in 0..j {
            let factor = rest[k] / pivot;
            u[j * order + k] = factor;
            add_scaled(&mut before[k * order..][..j], -factor, &rest[..j]);
        }
    }
    Ok(())
}

/// Weighted Gram–Schmidt: factors of W diag(w) Wᵀ for W of `width` columns; cannot fail, D ≥ 0.
///
/// `rows` holds W by rows (order × width) and is spoilt.
pub(super) fn orthogonalise(
    order: usize,
    width: usize,
    rows: &mut [f64],
    weights: &[f64],
    u: &mut [f64],
    d: &mut [f64],
) {
    for j in (0..order).rev() {
        let (before, rest) = rows.split_at_mut(j * width);
        let row = &rest[..width];
        let norm: f64 = row.iter().zip(weights).map(|(row, weight)| row * row * weight).sum();
        d[j] = norm;
        column_mut(u, order, j).fill(0.0);
        u[j * order + j] = 1.0;
        if norm > 0.0 {
            for i in 0..j {
                let other = &mut before[i * width..][..width];
                let mixed: f64 = row
                    .iter()
                    .zip(weights)
                    .zip(&*other)
                    .map(|((row, weight), other)| row * weight * other)
                    .sum();
                let factor = mixed / norm;
                u[j * order + i] = factor;
                add_scaled(other, -factor, row);
            }
        }
    }
}

/// One scalar measurement z = h x + v: updates U and D, writes the gain, gives var(z) and 1 / var(z).
///
/// Bierman's recursion. The change of U is known before it is made, so the projections of later channels follow it
/// without a second product: where column j becomes `u[j] - f[j] / α[j-1] * Σ v[l] u[l]` (l < j), g = Uᵀ hᵀ of any other
/// h becomes `g[j] - f[j] / α[j-1] * Σ v[l] g[l]`.
fn update(order: usize, u: &mut [f64], d: &mut [f64], turn: Turn<'_>) -> (f64, f64) {
    let Turn { projected, variance, later, shared, gain } = turn;
    gain.fill(0.0);
    shared.fill(0.0);
    let mut total = variance;
    for j in 0..order {
        let weighted = d[j] * projected[j];
        let before = total;
        total += weighted * projected[j];
        let shrink = -projected[j] / before;
        d[j] *= before / total;
        for (later, shared) in later.chunks_exact_mut(order).zip(shared.iter_mut()) {
            let old = later[j];
            later[j] = old + shrink * *shared;
            *shared += weighted * old;
        }
        for (u, gain) in column_mut(u, order, j).iter_mut().zip(gain.iter_mut()) {
            let old = *u;
            *u = old + shrink * *gain;
            *gain += old * weighted;
        }
    }
    let inverse = 1.0 / total;
    for gain in gain.iter_mut() {
        *gain *= inverse;
    }
    (total, inverse)
}

/// Variance of h x: h U D Uᵀ hᵀ.
#[inline(always)]
pub(super) fn variance(order: usize, u: &[f64], d: &[f64], observation: &[f64]) -> f64 {
    (0..order)
        .map(|j| {
            let projected = dot(column(u, order, j), observation);
            projected * projected * d[j]
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(order: usize, u: &[f64], d: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; order * order];
        for k in 0..order {
            for j in 0..order {
                for i in 0..order {
                    out[j * order + i] += u[k * order + i] * d[k] * u[k * order + j];
                }
            }
        }
        out
    }

    #[test]
    fn both_factorisations_give_the_matrix_back() {
        let covariance = [4.0, 1.0, -2.0, 1.0, 3.0, 0.5, -2.0, 0.5, 6.0];
        let (mut u, mut d) = ([0.0; 9], [0.0; 3]);
        assert!(factorise(3, &mut covariance.clone(), &mut u, &mut d, 0.0));
        for (left, right) in product(3, &u, &d).iter().zip(covariance) {
            assert!((left - right).abs() < 1e-14);
        }
        let (mut again, mut weights) = ([0.0; 9], [0.0; 3]);
        let mut rows = [0.0; 9];
        for i in 0..3 {
            for k in 0..3 {
                rows[i * 3 + k] = u[k * 3 + i];
            }
        }
        orthogonalise(3, 3, &mut rows, &d, &mut again, &mut weights);
        for (left, right) in product(3, &again, &weights).iter().zip(covariance) {
            assert!((left - right).abs() < 1e-14);
        }
        assert!(!factorise(2, &mut [1.0, 2.0, 2.0, 1.0], &mut [0.0; 4], &mut [0.0; 2], 0.0));
    }

    /// Bierman 1977, example V.1: ε² is lost beside 1, and the plain update gives a negative variance.
    #[test]
    fn the_update_survives_biermans_example() {
        let epsilon = 1e-9;
        let scale = 1.0 / (epsilon * epsilon);
        let (mut u, mut d) = (vec![1.0, 0.0, 0.0, 1.0], vec![scale, scale]);
        let (mut gain, mut projected) = ([0.0; 2], [0.0; 2]);
        for row in [[1.0, epsilon], [1.0, 1.0]] {
            Any(2).project(&u, &row, &mut projected);
            let (later, shared) = (&mut [][..], &mut [][..]);
            let turn = Turn { projected: &projected, variance: 1.0, later, shared, gain: &mut gain };
            update(2, &mut u, &mut d, turn);
        }
        assert!(d.iter().all(|d| *d > 0.0), "{d:?}");
        // Exact in the limit: Δ P = [[1 + 2ε, −(1 + ε)], [−(1 + ε), 2 + ε²]], Δ = 1 − 2ε + 2ε²(2 + ε²).
        let covariance = product(2, &u, &d);
        for (found, exact) in covariance.iter().zip([1.0, -1.0, -1.0, 2.0]) {
            assert!((found - exact).abs() < 1e-6, "{covariance:?}");
        }
    }
}
