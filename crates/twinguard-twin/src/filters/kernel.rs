//! The arithmetic of the factored filter on flat slices, for any order; made constant up to 16 by the caller.
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

/// One scalar measurement z = h x + v, var v = `variance` > 0: updates U and D, writes the gain, gives var(z).
#[inline(always)]
pub(super) fn update(
    order: usize,
    u: &mut [f64],
    d: &mut [f64],
    observation: &[f64],
    variance: f64,
    gain: &mut [f64],
    projected: &mut [f64],
) -> f64 {
    for (j, projected) in projected[..order].iter_mut().enumerate() {
        *projected = dot(column(u, order, j), observation);
    }
    gain.fill(0.0);
    let mut total = variance;
    for j in 0..order {
        let weighted = d[j] * projected[j];
        let before = total;
        total += weighted * projected[j];
        let shrink = -projected[j] / before;
        d[j] *= before / total;
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
    total
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
        update(2, &mut u, &mut d, &[1.0, epsilon], 1.0, &mut gain, &mut projected);
        update(2, &mut u, &mut d, &[1.0, 1.0], 1.0, &mut gain, &mut projected);
        assert!(d.iter().all(|d| *d > 0.0), "{d:?}");
        // Exact in the limit: Δ P = [[1 + 2ε, −(1 + ε)], [−(1 + ε), 2 + ε²]], Δ = 1 − 2ε + 2ε²(2 + ε²).
        let covariance = product(2, &u, &d);
        for (found, exact) in covariance.iter().zip([1.0, -1.0, -1.0, 2.0]) {
            assert!((found - exact).abs() < 1e-6, "{covariance:?}");
        }
    }
}
