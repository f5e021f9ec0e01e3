//! Eigenvectors and ridge solutions of symmetric matrices: fixed order of summation, no choice of instructions at run time.

use crate::linalg::{self, backward, cholesky, forward};

/// Eigenvalues, falling, and eigenvectors as rows, of a symmetric matrix; the largest entry of each vector is positive.
pub(super) fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let (values, mut vectors) = linalg::eigen(matrix, n);
    for vector in vectors.chunks_exact_mut(n.max(1)) {
        let largest =
            vector.iter().copied().fold(0.0_f64, |best, x| if x.abs() > best.abs() { x } else { best });
        if largest < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    (values, vectors)
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
    fn signs_are_fixed() {
        let (_, vectors) = eigen(&[2.0, -1.0, -1.0, 3.0], 2);
        for vector in vectors.chunks(2) {
            assert!(
                vector.iter().any(|x| *x > 0.0 && vector.iter().all(|other| other.abs() <= x.abs())),
                "{vector:?}"
            );
        }
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
