//! Small symmetric matrices as their packed lower triangle, row by row: Cholesky and its solution.
//!
//! Source: Golub, Van Loan, *Matrix Computations* (4th ed. 2013), §4.2.5 (outer product form by rows), §3.1.1.

/// A packed symmetric matrix becomes its lower Cholesky factor.
///
/// # Errors
/// The row whose pivot is not positive.
pub(super) fn cholesky(order: usize, packed: &mut [f64]) -> Result<(), usize> {
    let at = |row: usize, column: usize| row * (row + 1) / 2 + column;
    for row in 0..order {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| packed[at(row, k)] * packed[at(column, k)]).sum();
            let rest = packed[at(row, column)] - known;
            if row != column {
                packed[at(row, column)] = rest / packed[at(column, column)];
            } else if rest > 0.0 && rest.is_finite() {
                packed[at(row, row)] = rest.sqrt();
            } else {
                return Err(row);
            }
        }
    }
    Ok(())
}

/// The packed lower factor of W diag(w) Wᵀ by Gram–Schmidt over the rows of W (count × width, spoilt): no sum is formed first, so
/// a row's own small weight is not lost beside large ones. What a row alone has in a column stays with it, whatever the others are:
/// a covariance with a measurement's own noise in such a column is positive, where the sum may have lost that.
///
/// # Errors
/// The row of which nothing is left, or nothing finite.
pub(super) fn of_rows(
    count: usize,
    width: usize,
    rows: &mut [f64],
    weights: &[f64],
    out: &mut [f64],
) -> Result<(), usize> {
    let mixed =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).zip(weights).map(|((a, b), w)| a * b * w).sum() };
    for j in 0..count {
        let (before, rest) = rows.split_at_mut((j + 1) * width);
        let row = &before[j * width..];
        let square = mixed(row, row);
        if !(square > 0.0 && square.is_finite()) {
            return Err(j);
        }
        out[j * (j + 1) / 2 + j] = square.sqrt();
        for (below, other) in rest.chunks_exact_mut(width).take(count - j - 1).enumerate() {
            let i = j + 1 + below;
            let shared = mixed(other, row) / square;
            out[i * (i + 1) / 2 + j] = shared * square.sqrt();
            other.iter_mut().zip(row).for_each(|(other, row)| *other -= shared * row);
        }
    }
    Ok(())
}

/// x ← L⁻¹ x.
pub(super) fn solve(packed: &[f64], x: &mut [f64]) {
    let mut row = 0;
    for i in 0..x.len() {
        let known: f64 = packed[row..row + i].iter().zip(&x[..i]).map(|(factor, x)| factor * x).sum();
        x[i] = (x[i] - known) / packed[row + i];
        row += i + 1;
    }
}

/// x ← L⁻ᵀ x.
pub(super) fn solve_transposed(packed: &[f64], x: &mut [f64]) {
    for i in (0..x.len()).rev() {
        x[i] /= packed[i * (i + 1) / 2 + i];
        for k in 0..i {
            x[k] -= packed[i * (i + 1) / 2 + k] * x[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1e-12 beside 1e12: the sum has lost it, the rows have not.
    #[test]
    fn a_small_weight_beside_large_ones_is_kept() {
        let weights = [1e12, 1e-12, 1e-12];
        let mut rows = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let mut factor = [0.0; 3];
        of_rows(2, 3, &mut rows, &weights, &mut factor).unwrap();
        assert_eq!((factor[0], factor[1]), (1e6, 1e6));
        assert!((factor[2] / 2e-12f64.sqrt() - 1.0).abs() < 1e-9, "{factor:?}");
        assert!(cholesky(2, &mut [1e12, 1e12, 1e12]).is_err());
        assert_eq!(of_rows(2, 1, &mut [1.0, 2.0], &[1.0], &mut factor), Err(1));
        assert_eq!(of_rows(1, 1, &mut [1e200], &[1.0], &mut factor), Err(0));
    }

    #[test]
    fn a_triangle_is_made_and_solved_both_ways() {
        let full = [4.0, 2.0, 5.0, -2.0, 1.0, 6.0];
        let mut packed = full;
        cholesky(3, &mut packed).unwrap();
        assert_eq!(packed[..3], [2.0, 1.0, 2.0]);
        // A x for x = (1, 2, 3), then back.
        let mut x = [4.0 + 4.0 - 6.0, 2.0 + 10.0 + 3.0, -2.0 + 2.0 + 18.0];
        solve(&packed, &mut x);
        solve_transposed(&packed, &mut x);
        assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(found, exact)| (found - exact).abs() < 1e-14), "{x:?}");
        assert_eq!(cholesky(2, &mut [1.0, 2.0, 1.0]), Err(1));
    }
}
