use super::*;
use crate::filters::LinearKalman;
use proptest::prelude::*;

const SPREADS: [Spread; 3] = [
    Spread { alpha: 0.5, beta: 2.0, kappa: 0.0 },
    Spread { alpha: 1e-2, beta: 2.0, kappa: 1.0 },
    Spread { alpha: 1.0, beta: 2.0, kappa: -0.5 },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// On linear models the unscented filter is the Kalman filter, in both variants, with gaps and any spread.
    #[test]
    fn equals_the_kalman_filter_on_linear_models(
        n in 1usize..7, m in 1usize..4, spread in 0usize..3, seed in prop::collection::vec(-1.0f64..1.0, 600),
    ) {
        let mut numbers = seed.into_iter().cycle();
        let mut take = |count: usize| (0..count).map(|_| numbers.next().unwrap()).collect::<Vec<f64>>();
        let (f, h, mean) = (take(n * n), take(m * n), take(n));
        let half = take(n * n);
        let gram = |scale: f64| -> Vec<f64> {
            let square = |i: usize, j: usize| (0..n).map(|k| half[i * n + k] * half[j * n + k]).sum::<f64>();
            (0..n * n).map(|at| scale * square(at / n, at % n) + if at / n == at % n { 0.1 } else { 0.0 }).collect()
        };
        let (p, q, r) = (gram(2.0), gram(0.3), vec![0.2; m]);
        let mut kalman = LinearKalman::new(&f, &q, &h, &r, &mean, &p).unwrap();
        let mut both = [Variant::Redrawn, Variant::Augmented]
            .map(|variant| UnscentedKalman::new(&mean, &p, m, SPREADS[spread], variant).unwrap());
        let multiply = |matrix: &[f64], x: &[f64], out: &mut [f64]| {
            for (out, row) in out.iter_mut().zip(matrix.chunks_exact(n)) {
                *out = row.iter().zip(x).map(|(row, x)| row * x).sum();
            }
        };
        let (mut expected, mut found) = (vec![0.0; n * n], vec![0.0; n * n]);
        for step in 0..6 {
            let z: Vec<Option<f64>> =
                take(m).iter().enumerate().map(|(at, z)| (step != 2 + at).then_some(*z)).collect();
            kalman.predict();
            let other = kalman.update(&z).unwrap();
            let (nis, density, factor) = (other.nis, other.log_likelihood(), other.factor.to_vec());
            kalman.kalman().covariance(&mut expected);
            for filter in &mut both {
                filter.predict_with(|x, out| multiply(&f, x, out), &q).unwrap();
                let innovation =
                    filter.update_with(|x, out| multiply(&h, x, out), &z, &r, |z, y, _| z - y).unwrap();
                prop_assert!((innovation.nis - nis).abs() < 1e-8 * nis.max(1.0));
                prop_assert!((innovation.log_likelihood() - density).abs() < 1e-8 * density.abs().max(1.0));
                prop_assert!(innovation.factor.iter().zip(&factor).all(|(a, b)| (a - b).abs() < 1e-9));
                filter.covariance(&mut found);
                let pairs = found.iter().zip(&expected).chain(filter.mean().iter().zip(kalman.kalman().mean()));
                for (left, right) in pairs {
                    prop_assert!((left - right).abs() < 1e-9, "{left} {right}");
                }
            }
        }
    }
}

/// The weighted sums of the textbook, with their large weights of both signs.
struct Textbook {
    points: Vec<Vec<f64>>,
    mean_weights: Vec<f64>,
    weights: Vec<f64>,
}

impl Textbook {
    fn new(mean: &[f64], p: &[f64], spread: Spread) -> Self {
        let n = mean.len();
        let lambda = spread.alpha.powi(2) * (n as f64 + spread.kappa) - n as f64;
        let reach = lambda + n as f64;
        let mut triangle: Vec<f64> =
            (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| p[i * n + j]).collect();
        packed::cholesky(n, &mut triangle).unwrap();
        let mut points = vec![mean.to_vec()];
        for k in 0..n {
            for sign in [1.0, -1.0] {
                let entry = |i: usize| if i >= k { triangle[i * (i + 1) / 2 + k] } else { 0.0 };
                points.push((0..n).map(|i| mean[i] + sign * reach.sqrt() * entry(i)).collect());
            }
        }
        let mut weights = vec![0.5 / reach; 2 * n + 1];
        weights[0] = lambda / reach;
        let mean_weights = weights.clone();
        weights[0] += 1.0 - spread.alpha.powi(2) + spread.beta;
        Self { points, mean_weights, weights }
    }

    fn mean(&self, points: &[Vec<f64>]) -> Vec<f64> {
        let entry =
            |i: usize| points.iter().zip(&self.mean_weights).map(|(point, weight)| weight * point[i]).sum();
        (0..points[0].len()).map(entry).collect()
    }

    fn covariance(&self, a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (mean_a, mean_b) = (self.mean(a), self.mean(b));
        let sum = |i: usize, j: usize| {
            let each = a.iter().zip(b).zip(&self.weights);
            each.map(|((a, b), weight)| weight * (a[i] - mean_a[i]) * (b[j] - mean_b[j])).sum()
        };
        (0..mean_a.len()).map(|i| (0..mean_b.len()).map(|j| sum(i, j)).collect()).collect()
    }
}

fn bend(x: &[f64], out: &mut [f64]) {
    out[0] = x[0] + 0.1 * (x[1] * x[0]).sin();
    out[1] = 0.9 * x[1] - 0.2 * x[0] * x[0];
}

fn see(x: &[f64], out: &mut [f64]) {
    out[0] = x[0] * x[1] + x[0];
}

/// Without cancellation, the same numbers as with it: both variants, and the points of the first transform.
#[test]
fn agrees_with_the_textbook_on_bent_functions() {
    let (mean, p, q, r, z) = ([0.7, -0.4], [0.5, 0.1, 0.1, 0.3], [0.02, 0.01, 0.01, 0.03], 0.1, 0.9);
    for spread in [SPREADS[0], SPREADS[2], Spread::julier(2)] {
        for variant in [Variant::Redrawn, Variant::Augmented] {
            let through = |f: &dyn Fn(&[f64], &mut [f64]), width: usize, points: &[Vec<f64>]| {
                let one = |point: &Vec<f64>| {
                    let mut out = vec![0.0; width];
                    f(point, &mut out);
                    out
                };
                points.iter().map(one).collect::<Vec<Vec<f64>>>()
            };
            // State and noise together, or the state with the noise added after it.
            let (book, moved) = if variant == Variant::Redrawn {
                let book = Textbook::new(&mean, &p, spread);
                let moved = through(&bend, 2, &book.points);
                (book, moved)
            } else {
                let mut both = [0.0; 16];
                for i in 0..2 {
                    for j in 0..2 {
                        (both[i * 4 + j], both[(2 + i) * 4 + 2 + j]) = (p[2 * i + j], q[2 * i + j]);
                    }
                }
                let book = Textbook::new(&[mean[0], mean[1], 0.0, 0.0], &both, spread);
                let noisy = |x: &[f64], out: &mut [f64]| {
                    bend(&x[..2], out);
                    (out[0], out[1]) = (out[0] + x[2], out[1] + x[3]);
                };
                let moved = through(&noisy, 2, &book.points);
                (book, moved)
            };
            let before = book.mean(&moved);
            let mut prior = book.covariance(&moved, &moved).concat();
            if variant == Variant::Redrawn {
                (0..4).for_each(|at| prior[at] += q[at]);
            }
            let redrawn = Textbook::new(&before, &prior, spread);
            let cloud = if variant == Variant::Redrawn { redrawn.points.clone() } else { moved };
            let seen = through(&see, 1, &cloud);
            let s = book.covariance(&seen, &seen)[0][0] + r;
            let cross = book.covariance(&cloud, &seen);
            let rest = z - book.mean(&seen)[0];

            let mut filter = UnscentedKalman::new(&mean, &p, 1, spread, variant).unwrap();
            filter.predict_with(bend, &q).unwrap();
            let innovation = filter.update_with(see, &[Some(z)], &[r], |z, y, _| z - y).unwrap();
            assert!((innovation.factor[0].powi(2) - s).abs() < 1e-12);
            assert!((innovation.innovation[0] - rest).abs() < 1e-12);
            let mut found = [0.0; 4];
            filter.covariance(&mut found);
            for i in 0..2 {
                assert!((filter.mean()[i] - before[i] - cross[i][0] / s * rest).abs() < 1e-12);
                for j in 0..2 {
                    let expected = prior[2 * i + j] - cross[i][0] * cross[j][0] / s;
                    assert!((found[2 * i + j] - expected).abs() < 1e-12);
                }
            }
            assert!(
                (filter.variance(&[1.0, -2.0]) - (found[0] - 4.0 * found[1] + 4.0 * found[3])).abs() < 1e-12
            );
        }
    }
}

#[test]
fn spreads_that_could_turn_indefinite_are_refused() {
    let new = |order: usize, spread| {
        let mut p = vec![0.0; order * order];
        (0..order).for_each(|at| p[at * order + at] = 1.0);
        UnscentedKalman::new(&vec![0.0; order], &p, 1, spread, Variant::Redrawn)
    };
    assert!(new(3, Spread::julier(3)).is_ok());
    assert!(matches!(new(4, Spread::julier(4)), Err(Error::NotPositive { .. })));
    for spread in [
        Spread { kappa: -4.0, ..Spread::default() },
        Spread { alpha: f64::NAN, ..Spread::default() },
        Spread { alpha: 0.0, ..Spread::default() },
    ] {
        assert!(new(4, spread).is_err(), "{spread:?}");
    }
}

#[test]
fn bad_calls_leave_the_filter_as_it_was() {
    let mut filter = UnscentedKalman::new(&[1.0], &[4.0], 2, Spread::default(), Variant::Redrawn).unwrap();
    let error = filter.predict_with(|_, out| out[0] = f64::NAN, &[0.0]).unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }));
    let same = |x: &[f64], out: &mut [f64]| out.fill(x[0]);
    let plain = |z: f64, y: f64, _: usize| z - y;
    assert!(filter.update_with(same, &[None], &[1.0], plain).is_err());
    assert!(filter.update_with(same, &[None, None], &[1.0, 0.0], plain).is_err());
    let mut p = [0.0];
    filter.covariance(&mut p);
    assert_eq!((filter.mean(), p), (&[1.0][..], [4.0]));
    // A channel that cannot be predicted drops out; the other counts.
    let half = |x: &[f64], out: &mut [f64]| (out[0], out[1]) = (f64::INFINITY, x[0]);
    let innovation = filter.update_with(half, &[Some(1.0), Some(3.0)], &[1.0, 4.0], plain).unwrap();
    assert_eq!((innovation.used, innovation.innovation), (&[1usize][..], &[2.0][..]));
    assert!((filter.mean()[0] - 2.0).abs() < 1e-12);
}
