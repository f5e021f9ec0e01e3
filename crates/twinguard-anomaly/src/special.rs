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
    fn far_tails_stay_finite() {
        assert!((chi_squared_surprise(4000.0, 2) - 2000.0 / core::f64::consts::LN_10).abs() < 1e-9);
        assert_eq!(chi_squared_surprise(f64::NAN, 2), 0.0);
    }
}
