//! Eigenvectors and ridge solutions of symmetric matrices: fixed order of summation, no choice of instructions at run time.

use crate::linalg::{backward, cholesky, forward};

/// Eigenvalues, falling, and eigenvectors as rows, of a symmetric matrix: cyclic Jacobi (Golub, Van Loan, *Matrix Computations*, §8.5).
/// Signs are fixed: the largest entry of each vector is positive.
pub(super) fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let scale: f64 = a.iter().map(|x| x * x).sum::<f64>();
    for _ in 0..40 {
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j] * a[i * n + j]).sum();
        if off <= scale * 1e-30 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|x, y| a[*y * n + *y].total_cmp(&a[*x * n + *x]).then(x.cmp(y)));
    let values = order.iter().map(|i| a[i * n + i]).collect();
    let mut vectors = Vec::with_capacity(n * n);
    for i in order {
        let row = &v[i * n..(i + 1) * n];
        let largest =
            row.iter().copied().fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vectors.extend(row.iter().map(|x| sign * x));
    }
    (values, vectors)
}

/// One rotation that makes the pair (p, q) of `a` zero; the rows of `v` turn with it.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = if tau >= 0.0 {
        1.0 / (tau + (1.0 + tau * tau).sqrt())
    } else {
        -1.0 / (-tau + (1.0 + tau * tau).sqrt())
    };
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        let (x, y) = (v[p * n + k], v[q * n + k]);
        v[p * n + k] = c * x - s * y;
        v[q * n + k] = s * x + c * y;
    }
}

/// Weights of a ridge regression of one target on chosen features, from an n × n covariance; `ridge` is added to the diagonal.
pub(super) fn ridge(covariance: &[f64], n: usize, features: &[usize], target: usize, ridge: f64) -> Vec<f64> {
    let d = features.len();
    let mut matrix = vec![0.0; d * d];
    for (i, from) in features.iter().enumerate() {
        for (j, to) in features.iter().enumerate().take(i + 1) {
            matrix[i * d + j] = covariance[from * n + to];
        }
        matrix[i * d + i] += ridge;
    }
    cholesky(&mut matrix, d, 1e-12);
    let mut x: Vec<f64> = features.iter().map(|feature| covariance[target * n + feature]).collect();
    forward(&matrix, d, &mut x);
    backward(&matrix, d, &mut x);
    x
}

/// Square of the error that a regression leaves, from the covariance alone.
pub(super) fn left_over(
    covariance: &[f64],
    n: usize,
    features: &[usize],
    target: usize,
    weights: &[f64],
) -> f64 {
    let mut sum = covariance[target * n + target];
    for (a, feature) in weights.iter().zip(features) {
        let inner: f64 =
            weights.iter().zip(features).map(|(b, other)| b * covariance[feature * n + other]).sum();
        sum += a * (inner - 2.0 * covariance[feature * n + target]);
    }
    sum.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let n = 7;
        let at = |i: usize, j: usize| 1.0 / (1.0 + i as f64 + j as f64) + if i == j { i as f64 } else { 0.0 };
        let matrix: Vec<f64> = (0..n * n).map(|place| at(place / n, place % n)).collect();
        let (values, vectors) = eigen(&matrix, n);
        assert!(values.is_sorted_by(|a, b| a >= b));
        for i in 0..n {
            for j in 0..n {
                let sum: f64 = (0..n).map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j]).sum();
                assert!((sum - matrix[i * n + j]).abs() < 1e-12, "{i} {j}: {sum}");
            }
        }
        assert_eq!(eigen(&[0.0; 9], 3).0, [0.0; 3]);
        // known: [[2, 1], [1, 2]] has 3 and 1
        let (values, vectors) = eigen(&[2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14);
        assert!((vectors[0] - 0.5_f64.sqrt()).abs() < 1e-14);
    }

    #[test]
    fn regression_finds_the_weights_and_its_error() {
        // y = 2a − b with independent a, b of variances 4 and 9, and noise of variance 1
        let covariance = [4.0, 0.0, 8.0, 0.0, 9.0, -9.0, 8.0, -9.0, 26.0];
        let weights = ridge(&covariance, 3, &[0, 1], 2, 0.0);
        assert!((weights[0] - 2.0).abs() < 1e-12 && (weights[1] + 1.0).abs() < 1e-12);
        assert!((left_over(&covariance, 3, &[0, 1], 2, &weights) - 1.0).abs() < 1e-12);
    }
}
