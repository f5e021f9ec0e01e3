//! Poles and zeros of linear systems: eigenvalues of small dense matrices, transmission zeros.
//!
//! Sources: Wilkinson, Reinsch, *Handbook for Automatic Computation* II, 1971, II/14 `hqr` (Francis's double-shift QR on a
//! Hessenberg matrix, after EISPACK); Emami-Naeini, Van Dooren, *Computation of zeros of linear multivariable systems*,
//! Automatica 18 (1982) 415 (zeros as generalised eigenvalues of the system pencil), here by shift and inversion, the
//! infinite ones set aside. Cost O(n³).

use crate::Error;

/// A complex number: real and imaginary part.
pub type Complex = (f64, f64);

/// Eigenvalues of an `n` × `n` matrix by rows, sorted by real, then imaginary part.
///
/// ```
/// use twinguard_twin::modes::eigenvalues;
///
/// // x″ = −4 x: a circle of radius 2.
/// assert_eq!(eigenvalues(&[0.0, 1.0, -4.0, 0.0], 2)?, [(0.0, -2.0), (0.0, 2.0)]);
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
///
/// # Errors
/// [`Error::Dimension`] for another number of entries than n², [`Error::NotFinite`] when one is not finite or the iteration
/// does not converge.
pub fn eigenvalues(matrix: &[f64], n: usize) -> Result<Vec<Complex>, Error> {
    if matrix.len() != n * n {
        return Err(Error::Dimension { what: "matrix entries", expected: n * n, found: matrix.len() });
    }
    if matrix.iter().any(|entry| !entry.is_finite()) {
        return Err(not_finite());
    }
    let mut a: Vec<Vec<f64>> = matrix.chunks(n.max(1)).map(<[f64]>::to_vec).collect();
    balance(&mut a);
    hessenberg(&mut a);
    let mut found = francis(&mut a)?;
    if found.iter().any(|(re, im)| !(re.is_finite() && im.is_finite())) {
        return Err(not_finite());
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    Ok(found)
}

fn not_finite() -> Error {
    Error::NotFinite { what: "eigenvalues", time_s: 0.0 }
}

/// Scales rows and columns by powers of two until their norms agree (Parlett, Reinsch 1969).
fn balance(a: &mut [Vec<f64>]) {
    let n = a.len();
    for _ in 0..100 {
        let mut still = true;
        for i in 0..n {
            let column: f64 = (0..n).filter(|j| *j != i).map(|j| a[j][i].abs()).sum();
            let row: f64 = (0..n).filter(|j| *j != i).map(|j| a[i][j].abs()).sum();
            if column == 0.0 || row == 0.0 {
                continue;
            }
            let (mut factor, mut scaled) = (1.0, column);
            while scaled < row / 2.0 {
                factor *= 2.0;
                scaled *= 4.0;
            }
            while scaled > row * 2.0 {
                factor /= 2.0;
                scaled /= 4.0;
            }
            if (scaled + row) / factor < 0.95 * (column + row) {
                still = false;
                a[i].iter_mut().for_each(|entry| *entry /= factor);
                a.iter_mut().for_each(|row| row[i] *= factor);
            }
        }
        if still {
            break;
        }
    }
}

/// To upper Hessenberg form by elimination with pivots.
fn hessenberg(a: &mut [Vec<f64>]) {
    let n = a.len();
    for m in 1..n.saturating_sub(1) {
        let best = (m..n).max_by(|i, j| a[*i][m - 1].abs().total_cmp(&a[*j][m - 1].abs())).unwrap_or(m);
        if a[best][m - 1] == 0.0 {
            continue;
        }
        a.swap(best, m);
        a.iter_mut().for_each(|row| row.swap(best, m));
        for i in m + 1..n {
            let factor = a[i][m - 1] / a[m][m - 1];
            if factor == 0.0 {
                continue;
            }
            let pivot = a[m].clone();
            for (entry, pivot) in a[i].iter_mut().zip(pivot).skip(m) {
                *entry -= factor * pivot;
            }
            a[i][m - 1] = 0.0;
            for row in a.iter_mut() {
                row[m] += factor * row[i];
            }
        }
    }
}

/// Eigenvalues of a Hessenberg matrix by double-shift QR.
#[allow(clippy::needless_range_loop, reason = "row and column operations read best by index")]
fn francis(a: &mut [Vec<f64>]) -> Result<Vec<Complex>, Error> {
    let n = a.len();
    let mut found = Vec::with_capacity(n);
    let norm: f64 = a.iter().flatten().map(|entry| entry.abs()).sum();
    let mut shifted = 0.0;
    let mut left = n;
    let mut rounds = 0;
    while left > 0 {
        let end = left - 1;
        // Where the active block begins.
        let mut l = end;
        while l > 0 {
            let scale = a[l - 1][l - 1].abs() + a[l][l].abs();
            let scale = if scale == 0.0 { norm } else { scale };
            if a[l][l - 1].abs() <= f64::EPSILON * scale {
                a[l][l - 1] = 0.0;
                break;
            }
            l -= 1;
        }
        let x = a[end][end];
        if l == end {
            found.push((x + shifted, 0.0));
            left -= 1;
            rounds = 0;
            continue;
        }
        let y = a[end - 1][end - 1];
        let w = a[end][end - 1] * a[end - 1][end];
        if l + 1 == end {
            let p = 0.5 * (y - x);
            let square = p * p + w;
            let root = square.abs().sqrt();
            let x = x + shifted;
            if square >= 0.0 {
                let z = p + if p >= 0.0 { root } else { -root };
                found.push((x + z, 0.0));
                found.push((if z == 0.0 { x } else { x - w / z }, 0.0));
            } else {
                found.push((x + p, root));
                found.push((x + p, -root));
            }
            left -= 2;
            rounds = 0;
            continue;
        }
        if rounds >= 60 {
            return Err(not_finite());
        }
        let (mut x, mut y, mut w) = (x, y, w);
        if rounds % 10 == 9 {
            // An exceptional shift breaks cycles.
            shifted += x;
            for i in 0..=end {
                a[i][i] -= x;
            }
            let scale = a[end][end - 1].abs() + a[end - 1][end - 2].abs();
            x = 0.75 * scale;
            y = x;
            w = -0.4375 * scale * scale;
        }
        rounds += 1;
        // Two small subdiagonal entries in a row.
        let mut m = end - 2;
        let (mut p, mut q, mut r) = loop {
            let z = a[m][m];
            let (rr, ss) = (x - z, y - z);
            let p = (rr * ss - w) / a[m + 1][m] + a[m][m + 1];
            let q = a[m + 1][m + 1] - z - rr - ss;
            let r = a[m + 2][m + 1];
            let size = p.abs() + q.abs() + r.abs();
            let (p, q, r) = (p / size, q / size, r / size);
            if m == l {
                break (p, q, r);
            }
            let small = a[m][m - 1].abs() * (q.abs() + r.abs());
            let large = p.abs() * (a[m - 1][m - 1].abs() + z.abs() + a[m + 1][m + 1].abs());
            if small <= f64::EPSILON * large {
                break (p, q, r);
            }
            m -= 1;
        };
        for i in m + 2..=end {
            a[i][i - 2] = 0.0;
            if i > m + 2 {
                a[i][i - 3] = 0.0;
            }
        }
        for k in m..end {
            let last = k + 1 == end;
            let mut size = 0.0;
            if k != m {
                p = a[k][k - 1];
                q = a[k + 1][k - 1];
                r = if last { 0.0 } else { a[k + 2][k - 1] };
                size = p.abs() + q.abs() + r.abs();
                if size == 0.0 {
                    continue;
                }
                p /= size;
                q /= size;
                r /= size;
            }
            let root = (p * p + q * q + r * r).sqrt();
            let s = if p >= 0.0 { root } else { -root };
            if k == m {
                if l != m {
                    a[k][k - 1] = -a[k][k - 1];
                }
            } else {
                a[k][k - 1] = -s * size;
            }
            p += s;
            let (x, y, z) = (p / s, q / s, r / s);
            q /= p;
            r /= p;
            for j in k..=end {
                let mut dot = a[k][j] + q * a[k + 1][j];
                if !last {
                    dot += r * a[k + 2][j];
                    a[k + 2][j] -= dot * z;
                }
                a[k + 1][j] -= dot * y;
                a[k][j] -= dot * x;
            }
            for row in a.iter_mut().take(end.min(k + 3) + 1).skip(l) {
                let mut dot = x * row[k] + y * row[k + 1];
                if !last {
                    dot += z * row[k + 2];
                    row[k + 2] -= dot * r;
                }
                row[k + 1] -= dot * q;
                row[k] -= dot;
            }
        }
    }
    Ok(found)
}

/// A linear system by rows: `a` states × states, `b` states × inputs, `c` outputs × states, `d` outputs × inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// Number of states.
    pub states: usize,
    /// Number of inputs; transmission zeros need as many outputs.
    pub inputs: usize,
    /// A.
    pub a: Vec<f64>,
    /// B.
    pub b: Vec<f64>,
    /// C.
    pub c: Vec<f64>,
    /// D.
    pub d: Vec<f64>,
}

impl System {
    /// The system pencil [A − s I, B; C, D] at a real s, by rows.
    fn pencil(&self, s: f64) -> Vec<Vec<f64>> {
        let (n, m) = (self.states, self.inputs);
        let mut rows = vec![vec![0.0; n + m]; n + m];
        for (i, row) in rows.iter_mut().take(n).enumerate() {
            row[..n].copy_from_slice(&self.a[i * n..(i + 1) * n]);
            row[i] -= s;
            row[n..].copy_from_slice(&self.b[i * m..(i + 1) * m]);
        }
        for i in 0..m {
            rows[n + i][..n].copy_from_slice(&self.c[i * n..(i + 1) * n]);
            rows[n + i][n..].copy_from_slice(&self.d[i * m..(i + 1) * m]);
        }
        rows
    }

    /// Its finite transmission zeros, sorted by real, then imaginary part: where some input leaves all outputs at rest.
    ///
    /// # Errors
    /// [`Error::Dimension`] when matrices and sizes do not fit, [`Error::NotPositive`] when every s is a zero (a
    /// degenerate system), [`Error::NotFinite`] as [`eigenvalues`].
    pub fn zeros(&self) -> Result<Vec<Complex>, Error> {
        let (n, m) = (self.states, self.inputs);
        for (what, expected, found) in [
            ("entries of A", n * n, self.a.len()),
            ("entries of B", n * m, self.b.len()),
            ("entries of C", m * n, self.c.len()),
            ("entries of D", m * m, self.d.len()),
        ] {
            if expected != found {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        // Equal weight for states and channels; a shift on the scale of the poles that is neither pole nor zero.
        let pace = eigenvalues(&self.a, n)?.iter().map(|(re, im)| re.hypot(*im)).fold(0.0_f64, f64::max);
        let pace = if pace > 0.0 { pace } else { 1.0 };
        let system = self.scaled(pace);
        let mut last = Error::NotPositive { what: "system pencil", index: 0 };
        for shift in [0.618_034, 1.324_718, -0.754_878, 2.236_068] {
            match system.shifted(shift) {
                Ok(zeros) => return Ok(zeros.into_iter().map(|(re, im)| (re * pace, im * pace)).collect()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// With time in units of 1 / `pace`, and rows and columns of channels of size one.
    fn scaled(&self, pace: f64) -> Self {
        let (n, m) = (self.states, self.inputs);
        let mut scaled = self.clone();
        scaled.a.iter_mut().chain(&mut scaled.b).for_each(|entry| *entry /= pace);
        for column in 0..m {
            let both = || (0..n).map(|row| row * m + column);
            let largest = both().map(|at| scaled.b[at].abs()).fold(0.0_f64, f64::max);
            let straight = (0..m).map(|row| scaled.d[row * m + column].abs()).fold(0.0_f64, f64::max);
            let size = largest.max(straight);
            if size > 0.0 {
                both().for_each(|at| scaled.b[at] /= size);
                (0..m).for_each(|row| scaled.d[row * m + column] /= size);
            }
        }
        for row in 0..m {
            let size = scaled.c[row * n..(row + 1) * n]
                .iter()
                .chain(&scaled.d[row * m..(row + 1) * m])
                .fold(0.0_f64, |size, entry| size.max(entry.abs()));
            if size > 0.0 {
                scaled.c[row * n..(row + 1) * n].iter_mut().for_each(|entry| *entry /= size);
                scaled.d[row * m..(row + 1) * m].iter_mut().for_each(|entry| *entry /= size);
            }
        }
        scaled
    }

    /// Zeros as σ + 1/ν, ν the eigenvalues of the states' block of the inverted pencil.
    fn shifted(&self, shift: f64) -> Result<Vec<Complex>, Error> {
        let n = self.states;
        let inverse = invert(self.pencil(shift))?;
        let block: Vec<f64> = inverse.iter().take(n).flat_map(|row| row.iter().take(n).copied()).collect();
        let found = eigenvalues(&block, n)?;
        let size = block.iter().map(|entry| entry.abs()).sum::<f64>().max(f64::MIN_POSITIVE);
        // An infinite zero of order k comes out as rounding to the power 1/k.
        let mut zeros: Vec<Complex> = Vec::new();
        for (re, im) in found {
            let square = re * re + im * im;
            if square.sqrt() < 1e-4 * size.min(1.0) {
                continue;
            }
            let zero = (shift + re / square, -im / square);
            if zero.0.hypot(zero.1) < 1e3 {
                zeros.push(zero);
            }
        }
        zeros.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Ok(zeros)
    }
}

/// Gauss–Jordan with full row pivots.
fn invert(mut a: Vec<Vec<f64>>) -> Result<Vec<Vec<f64>>, Error> {
    let n = a.len();
    let mut inverse: Vec<Vec<f64>> =
        (0..n).map(|row| (0..n).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for column in 0..n {
        let best = (column..n).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs()));
        let best = best.unwrap_or(column);
        if a[best][column].abs() < 1e-13 {
            return Err(Error::NotPositive { what: "system pencil", index: column });
        }
        a.swap(column, best);
        inverse.swap(column, best);
        let pivot = a[column][column];
        a[column].iter_mut().chain(inverse[column].iter_mut()).for_each(|entry| *entry /= pivot);
        let (row, right) = (a[column].clone(), inverse[column].clone());
        for at in (0..n).filter(|at| *at != column) {
            let factor = a[at][column];
            if factor != 0.0 {
                a[at].iter_mut().zip(&row).for_each(|(entry, row)| *entry -= factor * row);
                inverse[at].iter_mut().zip(&right).for_each(|(entry, row)| *entry -= factor * row);
            }
        }
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn companion_matrices_have_the_roots_of_their_polynomials() {
        // (s + 3)(s − 2)(s² + 2 s + 5)(s + 1000)
        let roots = [(-1000.0, 0.0), (-3.0, 0.0), (-1.0, -2.0), (-1.0, 2.0), (2.0, 0.0)];
        let mut polynomial = vec![1.0];
        let times = |polynomial: &[f64], factor: &[f64]| {
            let mut out = vec![0.0; polynomial.len() + factor.len() - 1];
            for (i, a) in polynomial.iter().enumerate() {
                for (j, b) in factor.iter().enumerate() {
                    out[i + j] += a * b;
                }
            }
            out
        };
        for factor in [vec![1.0, 3.0], vec![1.0, -2.0], vec![1.0, 2.0, 5.0], vec![1.0, 1000.0]] {
            polynomial = times(&polynomial, &factor);
        }
        let mut matrix = vec![0.0; 25];
        for k in 0..5 {
            matrix[k] = -polynomial[k + 1];
            if k > 0 {
                matrix[k * 5 + k - 1] = 1.0;
            }
        }
        for (found, root) in eigenvalues(&matrix, 5).unwrap().iter().zip(roots) {
            assert!(
                (found.0 - root.0).hypot(found.1 - root.1) < 1e-9 * root.0.abs().max(1.0),
                "{found:?} {root:?}"
            );
        }
    }

    #[test]
    fn zeros_are_those_of_the_transfer_function() {
        // (s − 3)(s + 2) / ((s + 1)(s + 4)(s + 5)) in controllable form: s³ + 10 s² + 29 s + 20.
        let system = System {
            states: 3,
            inputs: 1,
            a: vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0, -20.0, -29.0, -10.0],
            b: vec![0.0, 0.0, 1.0],
            c: vec![-6.0, -1.0, 1.0],
            d: vec![0.0],
        };
        let zeros = system.zeros().unwrap();
        assert_eq!(zeros.len(), 2, "{zeros:?}");
        for (zero, expected) in zeros.iter().zip([-2.0, 3.0]) {
            assert!((zero.0 - expected).abs() < 1e-9 && zero.1.abs() < 1e-9, "{zeros:?}");
        }
        let still = System { c: vec![0.0; 3], ..system };
        assert!(still.zeros().is_err(), "an output that is always zero");
    }

    proptest! {
        #[test]
        fn traces_and_determinants_agree(entries in prop::collection::vec(-10.0..10.0f64, 9)) {
            let found = eigenvalues(&entries, 3).unwrap();
            let trace: f64 = found.iter().map(|(re, _)| re).sum();
            prop_assert!((trace - entries[0] - entries[4] - entries[8]).abs() < 1e-9);
            let product = found.iter().fold((1.0, 0.0), |(a, b), (re, im)| (a * re - b * im, a * im + b * re));
            let m = &entries;
            let determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6])
                + m[2] * (m[3] * m[7] - m[4] * m[6]);
            prop_assert!((product.0 - determinant).abs() < 1e-7 * determinant.abs().max(100.0));
        }
    }
}
