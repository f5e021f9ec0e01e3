//! The same arithmetic as [`kernel`](super::kernel) for orders known at compile time: rows live in registers.
//!
//! Source: Bierman, *Factorization Methods for Discrete Sequential Estimation*, 1977, §V.3, as there. The recursion
//! is taken apart into passes over vectors, so that only the running sum of the innovation's variance is serial and the
//! divisions overlap. Small orders are factorised without a chain of divisions (Bareiss, *Math. Comp.* 22 (1968) 565–578).

use super::kernel::{self, Order, Scratch, Turn};

/// The order N.
#[derive(Clone, Copy)]
pub(super) struct Fixed<const N: usize>;

impl<const N: usize> Order for Fixed<N> {
    #[inline(always)]
    fn n(self) -> usize {
        N
    }
    #[inline(always)]
    fn predict(self, u: &mut [f64], d: &mut [f64], f: &[f64], q: &[f64], scratch: Scratch<'_>) -> bool {
        predict::<N>(u, d, f, q, scratch)
    }
    #[inline(always)]
    fn project(self, u: &[f64], row: &[f64], out: &mut [f64]) {
        if let (Some(u), Ok(row), Ok(out)) =
            (square::<N>(u), <&[f64; N]>::try_from(row), <&mut [f64; N]>::try_from(out))
        {
            for j in 0..N {
                out[j] = if N > 4 {
                    kernel::dot(&u[j], row)
                } else {
                    (0..j).map(|i| u[j][i] * row[i]).fold(row[j], |sum, term| sum + term)
                };
            }
        }
    }
    #[inline(always)]
    fn update(self, u: &mut [f64], d: &mut [f64], turn: Turn<'_>) -> (f64, f64) {
        update::<N>(u, d, turn)
    }
    #[inline(always)]
    fn multiply(self, columns: &[f64], x: &mut [f64], _: &mut [f64]) {
        if let (Some(columns), Ok(x)) = (square::<N>(columns), <&mut [f64; N]>::try_from(x)) {
            let mut sum = [0.0; N];
            for k in 0..N {
                add_scaled(&mut sum, x[k], &columns[k]);
            }
            *x = sum;
        }
    }
    #[inline(always)]
    fn dot(self, a: &[f64], b: &[f64]) -> f64 {
        match (<&[f64; N]>::try_from(a), <&[f64; N]>::try_from(b)) {
            (Ok(a), Ok(b)) => kernel::dot(a, b),
            _ => 0.0,
        }
    }
}

type Square<const N: usize> = [[f64; N]; N];

/// A flat slice of N² numbers as columns.
#[inline(always)]
fn square<const N: usize>(flat: &[f64]) -> Option<&Square<N>> {
    flat.as_chunks::<N>().0.try_into().ok()
}

#[inline(always)]
fn square_mut<const N: usize>(flat: &mut [f64]) -> Option<&mut Square<N>> {
    flat.as_chunks_mut::<N>().0.try_into().ok()
}

#[inline(always)]
fn add_scaled<const N: usize>(to: &mut [f64; N], factor: f64, from: &[f64; N]) {
    for i in 0..N {
        to[i] += factor * from[i];
    }
}

/// As [`kernel::predict`](super::kernel::predict); false also when a slice has another length.
#[inline(always)]
pub(super) fn predict<const N: usize>(
    u: &mut [f64],
    d: &mut [f64],
    transition: &[f64],
    process: &[f64],
    scratch: Scratch<'_>,
) -> bool {
    let (Some(u), Some(f), Some(q)) = (square_mut::<N>(u), square::<N>(transition), square::<N>(process))
    else {
        return false;
    };
    let Ok(d) = <&mut [f64; N]>::try_from(d) else { return false };
    let before = *d;
    let (mut moved, mut p) = ([[0.0; N]; N], [[0.0; N]; N]);
    for k in 0..N {
        let mut sum = f[k];
        for l in 0..k {
            add_scaled(&mut sum, u[k][l], &f[l]);
        }
        moved[k] = sum;
    }
    let mut least = [0.0; N];
    for j in 0..N {
        let mut sum = q[j];
        for k in 0..N {
            let factor = moved[k][j] * before[k];
            for i in 0..N {
                // What lies below the diagonal is not looked at; where loops unroll, it is not computed either.
                if N > 4 || i <= (j | 1) {
                    sum[i] += factor * moved[k][i];
                }
            }
        }
        least[j] = sum[j] * 1e-10;
        p[j] = sum;
    }
    let sound = (N <= 4 && factorise_scaled(&p, &least, u, d)) || factorise(p, &least, u, d);
    if !sound {
        scratch.moved.copy_from_slice(moved.as_flattened());
        scratch.before.copy_from_slice(&before);
    }
    sound
}

/// P = U D Uᵀ, one pivot after the other; false when one is not above its least.
#[inline(always)]
fn factorise<const N: usize>(
    mut p: Square<N>,
    least: &[f64; N],
    u: &mut Square<N>,
    d: &mut [f64; N],
) -> bool {
    let mut sound = true;
    for j in (0..N).rev() {
        let row = p[j];
        sound &= row[j] > least[j];
        d[j] = row[j];
        let inverse = 1.0 / row[j];
        for k in 0..j {
            add_scaled(&mut p[k], -(row[k] * inverse), &row);
        }
        for i in 0..N {
            u[j][i] = if i < j { row[i] * inverse } else { f64::from(u8::from(i == j)) };
        }
    }
    sound
}

/// As [`factorise`], for small N: what is left of P is carried multiplied by the pivots so far, so that no pivot waits
/// for the division by the one before it. False also where such a product may leave the range of numbers.
#[inline(always)]
fn factorise_scaled<const N: usize>(
    p: &Square<N>,
    least: &[f64; N],
    u: &mut Square<N>,
    d: &mut [f64; N],
) -> bool {
    let mut p = *p;
    let mut sound = true;
    // One over the product of the pivots so far.
    let mut scale = 1.0;
    for j in (0..N).rev() {
        let row = p[j];
        let pivot = row[j];
        let inverse = 1.0 / pivot;
        d[j] = pivot * scale;
        scale *= inverse;
        sound &= d[j] > least[j] && pivot > 1e-200 && pivot < 1e200;
        for k in 0..j {
            for i in 0..=k {
                p[k][i] = pivot * p[k][i] - row[k] * row[i];
            }
        }
        for i in 0..N {
            u[j][i] = if i < j { row[i] * inverse } else { f64::from(u8::from(i == j)) };
        }
    }
    sound
}

/// As [`kernel::update`](super::kernel).
#[inline(always)]
fn update<const N: usize>(u: &mut [f64], d: &mut [f64], turn: Turn<'_>) -> (f64, f64) {
    let Turn { projected, variance, later, shared, gain } = turn;
    let (Some(u), Ok(d)) = (square_mut::<N>(u), <&mut [f64; N]>::try_from(d)) else { return (variance, 0.0) };
    let (Ok(projected), Ok(gain)) = (<&[f64; N]>::try_from(projected), <&mut [f64; N]>::try_from(gain))
    else {
        return (variance, 0.0);
    };
    let (mut weighted, mut before, mut inverse) = ([0.0; N], [0.0; N], [0.0; N]);
    for j in 0..N {
        weighted[j] = d[j] * projected[j];
        inverse[j] = weighted[j] * projected[j];
    }
    let mut total = variance;
    for j in 0..N {
        before[j] = total;
        total += inverse[j];
        inverse[j] = total;
    }
    for inverse in &mut inverse {
        *inverse = 1.0 / *inverse;
    }
    for j in 0..N {
        d[j] = d[j] * before[j] * inverse[j];
    }
    // The first column has nothing above its diagonal.
    let mut shrink = [0.0; N];
    for j in 1..N {
        shrink[j] = -(projected[j] * inverse[j - 1]);
    }
    for (later, shared) in later.as_chunks_mut::<N>().0.iter_mut().zip(shared) {
        let mut sum = 0.0;
        for j in 0..N {
            let old = later[j];
            if j > 0 {
                // In this order, for the inverse is what comes last.
                later[j] = old - projected[j] * sum * inverse[j - 1];
            }
            sum += weighted[j] * old;
        }
        *shared = sum;
    }
    let mut sum = [0.0; N];
    sum[0] = weighted[0];
    for j in 1..N {
        for i in 0..N {
            if N > 4 || i < j {
                let old = u[j][i];
                u[j][i] = old + shrink[j] * sum[i];
                sum[i] += weighted[j] * old;
            }
        }
        if N <= 4 {
            sum[j] = weighted[j];
        }
    }
    for i in 0..N {
        gain[i] = sum[i] * inverse[N - 1];
    }
    (total, inverse[N - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without waiting for divisions the factors are the same; out of range it says so, and the other way is taken.
    #[test]
    fn a_scaled_factorisation_is_the_plain_one() {
        let p = [[4.0, 1.0, -2.0, 0.5], [1.0, 3.0, 0.5, 0.2], [-2.0, 0.5, 6.0, 1.0], [0.5, 0.2, 1.0, 2.0]];
        let least = [0.0; 4];
        for (units, fits) in
            [([1.0; 4], true), ([1e-9, 1e3, 1.0, 1e-4], true), ([1e-30; 4], false), ([1e30; 4], false)]
        {
            let p: Square<4> =
                std::array::from_fn(|j| std::array::from_fn(|i| p[j][i] * units[i] * units[j]));
            let [(mut u, mut d), (mut u2, mut d2)] = [([[0.0; 4]; 4], [0.0; 4]); 2];
            assert_eq!(factorise_scaled(&p, &least, &mut u, &mut d), fits);
            assert!(factorise(p, &least, &mut u2, &mut d2));
            let same = |left: &f64, right: &f64| (left - right).abs() <= 1e-14 * right.abs();
            assert!(!fits || d.iter().zip(&d2).all(|(left, right)| same(left, right)), "{d:?} {d2:?}");
            assert!(
                !fits || u.iter().flatten().zip(u2.iter().flatten()).all(|(left, right)| same(left, right))
            );
            // The filter does not notice the difference.
            let (mut flat, mut identity) = ([0.0; 16], [0.0; 16]);
            (0..4).for_each(|i| (flat[5 * i], identity[5 * i]) = (1.0, 1.0));
            let mut d = [0.0; 4];
            let [mut moved, mut covariance] = [[0.0; 16]; 2];
            let scratch = Scratch { moved: &mut moved, before: &mut [0.0; 4], covariance: &mut covariance };
            assert!(predict::<4>(&mut flat, &mut d, &identity, p.as_flattened(), scratch));
            assert!(d.iter().zip(&d2).all(|(left, right)| same(left, right)), "{d:?} {d2:?}");
        }
        // Not positive definite.
        let p = [[1.0, 2.0], [2.0, 1.0]];
        assert!(!factorise_scaled(&p, &[0.0; 2], &mut [[0.0; 2]; 2], &mut [0.0; 2]));
    }

    type Update = dyn Fn(&mut [f64], &mut [f64], Turn<'_>) -> (f64, f64);

    /// Fixed and dynamic kernels do the same, to the last digits.
    #[test]
    fn agrees_with_the_kernel_of_any_order() {
        const N: usize = 5;
        let f: Vec<f64> = (0..N * N).map(|at| f64::sin(at as f64 * 1.7)).collect();
        let mut q = vec![0.0; N * N];
        (0..N).for_each(|i| q[i * N + i] = 0.3 + 0.1 * i as f64);
        let mut u = vec![0.0; N * N];
        (0..N).for_each(|j| {
            (0..=j).for_each(|i| u[j * N + i] = if i == j { 1.0 } else { 0.2 * i as f64 - 0.3 })
        });
        let mut d: Vec<f64> = (1..=N).map(|i| i as f64).collect();
        let (mut u2, mut d2) = (u.clone(), d.clone());
        let [mut a, mut b, mut c, mut e] = [(); 4].map(|()| vec![0.0; N * N]);
        let (mut x, mut y, mut g, mut g2) = (vec![0.0; N], vec![0.0; N], vec![0.0; N], vec![0.0; N]);
        let h: Vec<f64> = (0..N).map(|i| 1.0 - 0.4 * i as f64).collect();
        let other: Vec<f64> = (0..N).map(|i| 0.2 + 0.3 * i as f64).collect();
        for _ in 0..10 {
            let scratch = Scratch { moved: &mut a, before: &mut x, covariance: &mut b };
            assert!(predict::<N>(&mut u, &mut d, &f, &q, scratch));
            let scratch = Scratch { moved: &mut c, before: &mut y, covariance: &mut e };
            assert!(kernel::predict(N, &mut u2, &mut d2, &f, &q, scratch));
            let run = |order: &Update, u: &mut [f64], d: &mut [f64], gain: &mut [f64]| {
                let (mut projected, mut later, mut shared) = (vec![0.0; N], vec![0.0; N], [0.0]);
                kernel::Any(N).project(u, &h, &mut projected);
                kernel::Any(N).project(u, &other, &mut later);
                let turn = Turn {
                    projected: &projected,
                    variance: 0.1,
                    later: &mut later,
                    shared: &mut shared,
                    gain,
                };
                let found = order(u, d, turn);
                // What was carried along is what the new U gives.
                kernel::Any(N).project(u, &other, &mut projected);
                assert!(projected.iter().zip(&later).all(|(a, b)| (a - b).abs() < 1e-12 * a.abs().max(1.0)));
                assert!((shared[0] - found.0 * kernel::dot(&other, gain)).abs() < 1e-12 * found.0);
                found
            };
            let first = run(&|u, d, turn| Fixed::<N>.update(u, d, turn), &mut u, &mut d, &mut g);
            let second = run(&|u, d, turn| kernel::Any(N).update(u, d, turn), &mut u2, &mut d2, &mut g2);
            assert!((first.0 - second.0).abs() < 1e-12 * first.0);
            for (left, right) in u.iter().chain(&d).chain(&g).zip(u2.iter().chain(&d2).chain(&g2)) {
                assert!((left - right).abs() < 1e-12 * left.abs().max(1.0));
            }
        }
    }
}
