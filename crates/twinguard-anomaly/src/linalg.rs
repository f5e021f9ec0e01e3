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
        // Known: [[2, 1], [1, 2]] has 3 and 1.
        let (values, vectors) = eigen(&[2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14);
        assert!((vectors[0].abs() - 0.5_f64.sqrt()).abs() < 1e-14);
    }

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
