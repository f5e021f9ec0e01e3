//! Tail probabilities, through `libm` so that every platform gets the same bits.

const LN_10: f64 = core::f64::consts::LN_10;

/// −log₁₀ P(χ²ₖ ≥ x): the regularised upper incomplete gamma function by series or continued fraction
/// (Press et al., *Numerical Recipes*, §6.2), in logarithms so that it does not underflow.
#[must_use]
pub fn chi_squared_surprise(x: f64, dof: usize) -> f64 {
    if !x.is_finite() || x <= 0.0 || dof == 0 {
        return 0.0;
    }
    let (a, y) = (dof as f64 / 2.0, x / 2.0);
    let head = a * libm::log(y) - y - libm::lgamma(a);
    if y < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        for _ in 0..500 {
            k += 1.0;
            term *= y / k;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        let lower = libm::exp(head + libm::log(sum)).min(1.0);
        return (-libm::log1p(-lower) / LN_10).max(0.0);
    }
    // modified Lentz
    let mut b = y + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for k in 1..500 {
        let k = f64::from(k);
        let an = -k * (k - a);
        b += 2.0;
        d = an * d + b;
        d = 1.0 / if d.abs() < 1e-300 { 1e-300 } else { d };
        c = b + an / c;
        c = if c.abs() < 1e-300 { 1e-300 } else { c };
        let step = d * c;
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (-(head + libm::log(fraction)) / LN_10).max(0.0)
}

/// −log₁₀ P(T ≥ t) for Student's t with `dof` degrees of freedom (not necessarily whole): the regularised incomplete beta function by
/// its continued fraction (Press et al., *Numerical Recipes*, §6.4), in logarithms.
pub(crate) fn student_surprise(t: f64, dof: f64) -> f64 {
    if !t.is_finite() || !dof.is_finite() || dof <= 0.0 {
        return 0.0;
    }
    // ln of the two-sided tail I_x(dof/2, 1/2), x = dof/(dof + t²)
    let (a, b) = (dof / 2.0, 0.5);
    let square = t * t;
    let (ln_x, ln_y) = (-libm::log1p(square / dof), libm::log(square) - libm::log(dof + square));
    let x = dof / (dof + square);
    let head = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    let two_sided = if square == 0.0 {
        0.0
    } else if x < (a + 1.0) / (a + b + 2.0) {
        head + a * ln_x + b * ln_y + libm::log(beta_fraction(a, b, x) / a)
    } else {
        let rest = libm::exp(head + a * ln_x + b * ln_y) * beta_fraction(b, a, 1.0 - x) / b;
        libm::log1p(-rest.min(1.0 - 1e-16))
    };
    let upper = two_sided - core::f64::consts::LN_2;
    let ln = if t >= 0.0 { upper } else { libm::log1p(-libm::exp(upper)) };
    (-ln / LN_10).max(0.0)
}

/// The continued fraction of the incomplete beta function, by modified Lentz.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let sure = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / sure(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for k in 1..400 {
        let k = f64::from(k);
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        d = 1.0 / sure(1.0 + even * d);
        c = sure(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
        d = 1.0 / sure(1.0 + odd * d);
        c = sure(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// 95 % interval of a Poisson mean after `count` events, by the square-root approximation with Anscombe's shift
/// (F. J. Anscombe, Biometrika 35, 1948); exact ends for zero.
#[must_use]
pub fn poisson_interval(count: u64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 3.689);
    }
    let root = (count as f64).sqrt();
    let low = (root - 0.98).max(0.0);
    let high = (count as f64 + 1.0).sqrt() + 0.98;
    (low * low, high * high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(x: f64, dof: usize, p: f64) {
        let got = chi_squared_surprise(x, dof);
        assert!((got + p.log10()).abs() < 1e-6, "χ²({dof}) at {x}: {got} against {}", -p.log10());
    }

    #[test]
    fn agrees_with_closed_forms() {
        // even degrees of freedom: Q = e^{-y} Σ y^k / k!
        check(4.0, 2, (-2.0_f64).exp());
        check(1.0, 2, (-0.5_f64).exp());
        check(20.0, 4, (-10.0_f64).exp() * 11.0);
        check(60.0, 6, (-30.0_f64).exp() * (1.0 + 30.0 + 450.0));
        // 95 % points from tables (Abramowitz, Stegun, 26.8)
        assert!((chi_squared_surprise(18.307, 10) - 1.30103).abs() < 1e-4);
        assert!((chi_squared_surprise(3.841_459, 1) - 1.30103).abs() < 1e-5);
    }

    #[test]
    fn student_agrees_with_closed_forms_and_tables() {
        let p = |t: f64, dof: f64| 10f64.powf(-student_surprise(t, dof));
        // one degree of freedom: 1/2 − atan(t)/π
        for t in [-3.0, -0.5, 0.0, 0.5, 3.0, 40.0_f64] {
            assert!((p(t, 1.0) - (0.5 - t.atan() / core::f64::consts::PI)).abs() < 1e-10, "{t}");
        }
        // 97.5 % points (Abramowitz, Stegun, table 26.10)
        assert!((p(2.228, 10.0) - 0.025).abs() < 2e-5);
        assert!((p(1.959_964, 1e7) - 0.025).abs() < 1e-6);
        // far tail of the normal law: P(Z > 10) = 7.62e-24
        assert!((student_surprise(10.0, 1e9) - 23.118).abs() < 1e-2);
        assert!(student_surprise(1e8, 4.0).is_finite());
    }

    #[test]
    fn far_tails_stay_finite() {
        assert!((chi_squared_surprise(4000.0, 2) - 2000.0 / core::f64::consts::LN_10).abs() < 1e-9);
        assert_eq!(chi_squared_surprise(f64::NAN, 2), 0.0);
    }
}
