//! Dense symmetric systems of a few dozen unknowns; row-major slices, fixed order of summation.

/// Replaces the lower triangle of a symmetric matrix by its Cholesky factor; pivots below `floor` are raised to it,
/// so that a redundant channel costs precision, never a NaN (Golub, Van Loan, *Matrix Computations*, §4.2.3).
pub(crate) fn cholesky(matrix: &mut [f64], n: usize, floor: f64) {
    for row in 0..n {
        for column in 0..=row {
            let mut sum = matrix[row * n + column];
            for k in 0..column {
                sum -= matrix[row * n + k] * matrix[column * n + k];
            }
            matrix[row * n + column] =
                if row == column { sum.max(floor).sqrt() } else { sum / matrix[column * n + column] };
        }
    }
}

/// Solves L x = b in place.
pub(crate) fn forward(factor: &[f64], n: usize, x: &mut [f64]) {
    for row in 0..n {
        let mut sum = x[row];
        for k in 0..row {
            sum -= factor[row * n + k] * x[k];
        }
        x[row] = sum / factor[row * n + row];
    }
}

/// Solves Lᵀ x = b in place.
pub(crate) fn backward(factor: &[f64], n: usize, x: &mut [f64]) {
    for row in (0..n).rev() {
        let mut sum = x[row];
        for k in row + 1..n {
            sum -= factor[k * n + row] * x[k];
        }
        x[row] = sum / factor[row * n + row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_a_small_system() {
        let mut matrix = [4.0, 2.0, 2.0, 3.0];
        cholesky(&mut matrix, 2, 0.0);
        let mut x = [8.0, 7.0];
        forward(&matrix, 2, &mut x);
        backward(&matrix, 2, &mut x);
        assert!((x[0] - 1.25).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
    }
}
