//! Dense symmetric algebra for fitting: second moments by fold, ridge solutions, inverses, eigenvectors. Row-major, fixed order of
//! summation, no choice of instructions at run time.

use crate::linalg::{backward, cholesky, forward};

/// Second moments of feature vectors, kept by fold: a sum, so moments of parts add up to those of the whole.
pub(super) struct Moments {
    pub(super) width: usize,
    folds: Vec<Vec<f64>>,
    rows: Vec<f64>,
}

impl Moments {
    pub(super) fn new(width: usize, folds: usize) -> Self {
        Self { width, folds: vec![vec![0.0; width * width]; folds], rows: vec![0.0; folds] }
    }

    pub(super) fn add(&mut self, fold: usize, x: &[f64]) {
        let gram = &mut self.folds[fold];
        for (i, a) in x.iter().enumerate() {
            if *a != 0.0 {
                let row = &mut gram[i * self.width..i * self.width + i + 1];
                row.iter_mut().zip(x).for_each(|(sum, b)| *sum += a * b);
            }
        }
        self.rows[fold] += 1.0;
    }

    /// The full symmetric sum over all folds but one, and its number of rows.
    pub(super) fn without(&self, left: Option<usize>) -> (Vec<f64>, f64) {
        let mut sum = vec![0.0; self.width * self.width];
        let mut rows = 0.0;
        for (fold, gram) in self.folds.iter().enumerate().filter(|(fold, _)| Some(*fold) != left) {
            sum.iter_mut().zip(gram).for_each(|(sum, value)| *sum += value);
            rows += self.rows[fold];
        }
        mirror(&mut sum, self.width);
        (sum, rows)
    }

    /// One fold's own symmetric sum.
    pub(super) fn only(&self, fold: usize) -> Vec<f64> {
        let mut own = self.folds[fold].clone();
        mirror(&mut own, self.width);
        own
    }
}

fn mirror(matrix: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            matrix[j * n + i] = matrix[i * n + j];
        }
    }
}

/// Weights of a ridge regression: rows are targets, columns the chosen features; `gram` is n × n, `ridge` is added to the diagonal.
pub(super) fn ridge(gram: &[f64], n: usize, features: &[usize], targets: &[usize], ridge: f64) -> Vec<f64> {
    let d = features.len();
    let mut matrix = vec![0.0; d * d];
    for (i, from) in features.iter().enumerate() {
        for (j, to) in features.iter().enumerate().take(i + 1) {
            matrix[i * d + j] = gram[from * n + to];
        }
        matrix[i * d + i] += ridge;
    }
    cholesky(&mut matrix, d, 1e-9);
    let mut weights = vec![0.0; targets.len() * d];
    for (target, x) in targets.iter().zip(weights.chunks_exact_mut(d.max(1))) {
        for (x, feature) in x.iter_mut().zip(features) {
            *x = gram[target * n + feature];
        }
        forward(&matrix, d, x);
        backward(&matrix, d, x);
    }
    weights
}

/// The inverse of a positive definite matrix whose diagonal gets `ridge`.
pub(super) fn inverse(gram: &[f64], n: usize, ridge: f64) -> Vec<f64> {
    let mut matrix = gram.to_vec();
    (0..n).for_each(|i| matrix[i * n + i] += ridge);
    cholesky(&mut matrix, n, 1e-9);
    let mut inverse = vec![0.0; n * n];
    for (i, row) in inverse.chunks_exact_mut(n.max(1)).enumerate() {
        row[i] = 1.0;
        forward(&matrix, n, row);
        backward(&matrix, n, row);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ridge_and_inverse_agree() {
        let mut moments = Moments::new(3, 2);
        for k in 0..40 {
            let (a, b) = (f64::from(k * 7 % 11) - 5.0, f64::from(k * 5 % 13) - 6.0);
            moments.add(k as usize / 20, &[a, b, 2.0 * a - b]);
        }
        let (gram, rows) = moments.without(None);
        assert_eq!(rows, 40.0);
        let weights = ridge(&gram, 3, &[0, 1], &[2], 0.0);
        assert!((weights[0] - 2.0).abs() < 1e-9 && (weights[1] + 1.0).abs() < 1e-9, "{weights:?}");
        let inverse = inverse(&[4.0, 2.0, 2.0, 3.0], 2, 0.0);
        assert!((inverse[0] - 0.375).abs() < 1e-12 && (inverse[1] + 0.25).abs() < 1e-12, "{inverse:?}");
        let parts = moments.only(0).iter().zip(moments.only(1)).map(|(a, b)| a + b).collect::<Vec<_>>();
        assert_eq!(parts, gram);
    }
}
