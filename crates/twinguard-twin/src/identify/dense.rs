//! Small dense problems that several methods share: least squares, non-negative least squares, the stationary filter.
//!
//! Source: G. Golub, C. Van Loan, *Matrix Computations* (4th ed. 2013), §5.3 (least squares); C. Lawson, R. Hanson,
//! *Solving Least Squares Problems* (1974), algorithm 23.10 (NNLS); B. Anderson, J. Moore, *Optimal Filtering* (1979),
//! §4.4 (the stationary Kalman filter with correlated noise).

use nalgebra::{DMatrix, DVector};

/// Solves the normal equations G x = g (G symmetric, positive semidefinite) after scaling its diagonal to ones; `None`
/// where G is singular to working precision.
pub(super) fn normal(gram: &DMatrix<f64>, right: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let scale = DVector::from_iterator(gram.nrows(), gram.diagonal().iter().map(|d| 1.0 / d.sqrt()));
    if scale.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let scaled = DMatrix::from_fn(gram.nrows(), gram.ncols(), |i, j| gram[(i, j)] * scale[i] * scale[j]);
    let factor = scaled.cholesky()?;
    if factor.l_dirty().diagonal().iter().any(|pivot| *pivot < 1e-7) {
        return None;
    }
    let mut solution = right.clone();
    for (row, s) in scale.iter().enumerate() {
        solution.row_mut(row).scale_mut(*s);
    }
    factor.solve_mut(&mut solution);
    for (row, s) in scale.iter().enumerate() {
        solution.row_mut(row).scale_mut(*s);
    }
    Some(solution)
}

/// Minimises |A x − b| by its singular values; directions below 1e-12 of the largest stay zero. `None` when the
/// decomposition does not converge.
pub(super) fn least_squares(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let svd = a.clone().try_svd(true, true, f64::EPSILON, 10_000)?;
    let largest = svd.singular_values.iter().copied().fold(0.0, f64::max);
    svd.solve(b, largest * 1e-12).ok()
}

/// Minimises |A x − b| over x ≥ 0.
pub(super) fn non_negative(a: &DMatrix<f64>, b: &DVector<f64>) -> Option<DVector<f64>> {
    let n = a.ncols();
    let gram = a.tr_mul(a);
    let right = a.tr_mul(b);
    let mut x = DVector::zeros(n);
    let mut free: Vec<usize> = Vec::new();
    let tolerance = 1e-12 * right.amax().max(f64::MIN_POSITIVE);
    for _ in 0..4 * n + 8 {
        let gradient = &right - &gram * &x;
        let next = (0..n)
            .filter(|at| !free.contains(at) && gradient[*at] > tolerance)
            .max_by(|left, right| gradient[*left].total_cmp(&gradient[*right]));
        let Some(next) = next else { return Some(x) };
        free.push(next);
        loop {
            let sub = DMatrix::from_fn(free.len(), free.len(), |i, j| gram[(free[i], free[j])]);
            let part = DMatrix::from_fn(free.len(), 1, |i, _| right[free[i]]);
            let solved = normal(&sub, &part).or_else(|| least_squares(&sub, &part))?;
            if solved.iter().all(|value| *value > 0.0) {
                x.fill(0.0);
                for (at, value) in free.iter().zip(solved.iter()) {
                    x[*at] = *value;
                }
                break;
            }
            let mut reach = 1.0_f64;
            for (at, value) in free.iter().zip(solved.iter()) {
                if *value <= 0.0 {
                    let span = x[*at] - value;
                    reach = reach.min(if span > 0.0 { x[*at] / span } else { 0.0 });
                }
            }
            for (at, value) in free.iter().zip(solved.iter()) {
                x[*at] += reach * (value - x[*at]);
            }
            free.retain(|at| x[*at] > tolerance.min(1e-300) && x[*at] > 0.0);
            for at in 0..n {
                if !free.contains(&at) {
                    x[at] = 0.0;
                }
            }
            if free.is_empty() {
                break;
            }
        }
    }
    Some(x)
}

/// The stationary gain K (states × outputs) and innovation covariance of x⁺ = A x + w, y = C x + v with
/// cov(w, v) = [Q S; Sᵀ R], by iterating the Riccati equation; `None` when it does not settle.
pub(super) fn stationary(
    a: &DMatrix<f64>,
    c: &DMatrix<f64>,
    q: &DMatrix<f64>,
    s: &DMatrix<f64>,
    r: &DMatrix<f64>,
) -> Option<(DMatrix<f64>, DMatrix<f64>)> {
    let mut p = q.clone();
    for _ in 0..20_000 {
        let innovation = c * &p * c.transpose() + r;
        let factor = innovation.clone().cholesky()?;
        let gain = factor.solve(&(a * &p * c.transpose() + s).transpose()).transpose();
        let next = a * &p * a.transpose() + q - &gain * &innovation * gain.transpose();
        let next = (&next + next.transpose()) * 0.5;
        let change = (&next - &p).amax();
        p = next;
        if !change.is_finite() {
            return None;
        }
        if change <= 1e-12 * p.amax().max(f64::MIN_POSITIVE) {
            let innovation = c * &p * c.transpose() + r;
            let factor = innovation.clone().cholesky()?;
            let gain = factor.solve(&(a * &p * c.transpose() + s).transpose()).transpose();
            return Some((gain, innovation));
        }
    }
    None
}

/// The eigenvalues as (real, imaginary); `None` when they are not found.
pub(super) fn eigenvalues(matrix: &DMatrix<f64>) -> Option<Vec<(f64, f64)>> {
    if matrix.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let schur = nalgebra::linalg::Schur::try_new(matrix.clone(), f64::EPSILON, 10_000)?;
    Some(schur.complex_eigenvalues().iter().map(|value| (value.re, value.im)).collect())
}

/// Largest modulus of the eigenvalues; infinite when they are not found.
pub(super) fn spectral_radius(matrix: &DMatrix<f64>) -> f64 {
    let values = eigenvalues(matrix);
    values.map_or(f64::INFINITY, |values| values.iter().map(|(re, im)| re.hypot(*im)).fold(0.0, f64::max))
}

/// Rows of a matrix as nested vectors.
pub(super) fn rows(matrix: &DMatrix<f64>) -> Vec<Vec<f64>> {
    matrix.row_iter().map(|row| row.iter().copied().collect()).collect()
}

/// A matrix from nested vectors; `width` counts when there are no rows.
pub(super) fn matrix(rows: &[Vec<f64>], width: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows.len(), width, |i, j| rows[i].get(j).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_negative_leaves_out_what_would_be_negative() {
        // min |x₁ + x₂ − 1, x₁ − x₂ − 2|: free solution (1.5, −0.5); with x₂ = 0 the best x₁ is 1.5.
        let a = DMatrix::from_row_slice(2, 2, &[1.0, 1.0, 1.0, -1.0]);
        let x = non_negative(&a, &DVector::from_row_slice(&[1.0, 2.0])).unwrap();
        assert!((x[0] - 1.5).abs() < 1e-12 && x[1] == 0.0, "{x}");
        let x = non_negative(&a, &DVector::from_row_slice(&[1.0, 0.5])).unwrap();
        assert!((x[0] - 0.75).abs() < 1e-12 && (x[1] - 0.25).abs() < 1e-12, "{x}");
    }

    #[test]
    fn the_stationary_gain_of_a_random_walk_is_the_golden_one() {
        // q = r = 1: P = (1 + √5)/2 before the measurement, K = P / (P + 1).
        let one = DMatrix::from_element(1, 1, 1.0);
        let (gain, innovation) = stationary(&one, &one, &one, &DMatrix::zeros(1, 1), &one).unwrap();
        let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
        assert!((gain[(0, 0)] - golden / (golden + 1.0)).abs() < 1e-9);
        assert!((innovation[(0, 0)] - golden - 1.0).abs() < 1e-9);
    }
}
