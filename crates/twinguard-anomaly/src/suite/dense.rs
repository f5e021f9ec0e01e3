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

/// Eigenvalues, falling, and eigenvectors as rows, of a symmetric matrix: Householder reduction and implicit QL
/// (Martin, Reinsch, Wilkinson, Numer. Math. 11, 1968; Bowdler et al., same volume).
pub(crate) fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    if n == 0 {
        return (Vec::new(), Vec::new());
    }
    let mut v = matrix.to_vec();
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n]);
    tridiagonal(&mut v, &mut d, &mut e, n);
    implicit_ql(&mut v, &mut d, &mut e, n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| d[*b].total_cmp(&d[*a]).then(a.cmp(b)));
    let mut rows = Vec::with_capacity(n * n);
    for column in &order {
        rows.extend((0..n).map(|row| v[row * n + column]));
    }
    (order.iter().map(|place| d[*place]).collect(), rows)
}

fn tridiagonal(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    for j in 0..n {
        d[j] = v[(n - 1) * n + j];
    }
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|value| value.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[(i - 1) * n + j];
                v[i * n + j] = 0.0;
                v[j * n + i] = 0.0;
            }
        } else {
            for value in &mut d[..i] {
                *value /= scale;
                h += *value * *value;
            }
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].iter_mut().for_each(|value| *value = 0.0);
            for j in 0..i {
                let f = d[j];
                v[j * n + i] = f;
                let mut g = e[j] + v[j * n + j] * f;
                for k in j + 1..i {
                    g += v[k * n + j] * d[k];
                    e[k] += v[k * n + j] * f;
                }
                e[j] = g;
            }
            let mut f = 0.0;
            for j in 0..i {
                e[j] /= h;
                f += e[j] * d[j];
            }
            let hh = f / (h + h);
            for j in 0..i {
                e[j] -= hh * d[j];
            }
            for j in 0..i {
                let (f, g) = (d[j], e[j]);
                for k in j..i {
                    v[k * n + j] -= f * e[k] + g * d[k];
                }
                d[j] = v[(i - 1) * n + j];
                v[i * n + j] = 0.0;
            }
        }
        d[i] = h;
    }
    for i in 0..n - 1 {
        v[(n - 1) * n + i] = v[i * n + i];
        v[i * n + i] = 1.0;
        let h = d[i + 1];
        if h != 0.0 {
            for k in 0..=i {
                d[k] = v[k * n + i + 1] / h;
            }
            for j in 0..=i {
                let g: f64 = (0..=i).map(|k| v[k * n + i + 1] * v[k * n + j]).sum();
                for k in 0..=i {
                    v[k * n + j] -= g * d[k];
                }
            }
        }
        for k in 0..=i {
            v[k * n + i + 1] = 0.0;
        }
    }
    for j in 0..n {
        d[j] = v[(n - 1) * n + j];
        v[(n - 1) * n + j] = 0.0;
    }
    v[n * n - 1] = 1.0;
    e[0] = 0.0;
}

fn implicit_ql(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    let hypot = |a: f64, b: f64| (a * a + b * b).sqrt();
    e.copy_within(1.., 0);
    e[n - 1] = 0.0;
    let (mut f, mut least) = (0.0, 0.0_f64);
    for l in 0..n {
        least = least.max(d[l].abs() + e[l].abs());
        let mut m = l;
        while m < n - 1 && e[m].abs() > f64::EPSILON * least {
            m += 1;
        }
        let mut turns = 0;
        while m > l && e[l].abs() > f64::EPSILON * least && turns < 60 {
            turns += 1;
            let g = d[l];
            let mut p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = if p < 0.0 { -hypot(p, 1.0) } else { hypot(p, 1.0) };
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let last = d[l + 1];
            let h = g - d[l];
            d[l + 2..].iter_mut().for_each(|value| *value -= h);
            f += h;
            p = d[m];
            let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
            let second = e[l + 1];
            let (mut s, mut s2) = (0.0, 0.0);
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let g = c * e[i];
                let h = c * p;
                let r = hypot(p, e[i]);
                e[i + 1] = s * r;
                s = e[i] / r;
                c = p / r;
                p = c * d[i] - s * g;
                d[i + 1] = h + s * (c * g + s * d[i]);
                for k in 0..n {
                    let h = v[k * n + i + 1];
                    v[k * n + i + 1] = s * v[k * n + i] + c * h;
                    v[k * n + i] = c * v[k * n + i] - s * h;
                }
            }
            p = -s * s2 * c3 * second * e[l] / last;
            e[l] = s * p;
            d[l] = c * p;
        }
        d[l] += f;
        e[l] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let n = 7;
        let matrix: Vec<f64> = (0..n * n)
            .map(|place| {
                let (i, j) = (place / n, place % n);
                1.0 / (1.0 + i as f64 + j as f64) + if i == j { i as f64 } else { 0.0 }
            })
            .collect();
        let (values, vectors) = eigen(&matrix, n);
        assert!(values.is_sorted_by(|a, b| a >= b));
        for i in 0..n {
            for j in 0..n {
                let sum: f64 = (0..n).map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j]).sum();
                assert!((sum - matrix[i * n + j]).abs() < 1e-12, "{i} {j}: {sum}");
            }
        }
        let (values, _) = eigen(&[0.0; 9], 3);
        assert_eq!(values, [0.0; 3]);
        assert_eq!(eigen(&[2.0], 1), (vec![2.0], vec![1.0]));
    }

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
