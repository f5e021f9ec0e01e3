//! Recursive least squares: coefficients that follow slow change, sample by sample, without storing history.
//!
//! y = φᵀθ + e. Source: L. Ljung, *System Identification* (2nd ed. 1999), §11.2, with exponential forgetting λ in the factored
//! form P = U D Uᵀ of G. Bierman (1977), §V.3, so that P stays positive however long it runs. Forgetting stops in
//! directions that are not excited, by the bound on D (constant-trace idea, Åström, Wittenmark, *Adaptive Control* (2nd ed.
//! 1995), §11.5). Cost: O(q²) a sample, no allocation.

use crate::Error;

/// Coefficients θ with their covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursive {
    forgetting: f64,
    bound: f64,
    theta: Vec<f64>,
    /// Unit upper triangular, row by row; the diagonal of D apart.
    upper: Vec<f64>,
    diagonal: Vec<f64>,
    work: Vec<f64>,
    gain: Vec<f64>,
}

impl Recursive {
    /// `size` coefficients that start at zero with variance `start`; `forgetting` in (0.5, 1], 1 forgets nothing.
    ///
    /// # Errors
    /// [`Error::Dimension`] for no or more than 1024 coefficients, [`Error::NotPositive`] for the other two.
    pub fn new(size: usize, forgetting: f64, start: f64) -> Result<Self, Error> {
        if size == 0 || size > 1024 {
            return Err(Error::Dimension { what: "coefficients", expected: 1024, found: size });
        }
        if !(forgetting > 0.5 && forgetting <= 1.0) {
            return Err(Error::NotPositive { what: "forgetting factor in (0.5, 1]", index: 0 });
        }
        if !(start > 0.0 && start.is_finite()) {
            return Err(Error::NotPositive { what: "start variance", index: 0 });
        }
        let mut upper = vec![0.0; size * size];
        upper.iter_mut().step_by(size + 1).for_each(|one| *one = 1.0);
        Ok(Self {
            forgetting,
            bound: start,
            theta: vec![0.0; size],
            upper,
            diagonal: vec![start; size],
            work: vec![0.0; size],
            gain: vec![0.0; size],
        })
    }

    /// θ.
    #[must_use]
    pub fn coefficients(&self) -> &[f64] {
        &self.theta
    }

    /// Variance of coefficient `index`, in units of the variance of e.
    #[must_use]
    pub fn variance(&self, index: usize) -> f64 {
        let size = self.theta.len();
        let row = self.upper.get(index * size..(index + 1) * size).unwrap_or_default();
        row.iter().zip(&self.diagonal).map(|(u, d)| u * u * d).sum()
    }

    /// Takes in one sample and returns its prediction error before the update, y − φᵀθ.
    ///
    /// # Errors
    /// [`Error::Dimension`] for φ of another size, [`Error::NotFinite`] for numbers that are not finite; both change
    /// nothing.
    pub fn update(&mut self, regressor: &[f64], y: f64) -> Result<f64, Error> {
        let size = self.theta.len();
        if regressor.len() != size {
            return Err(Error::Dimension { what: "regressors", expected: size, found: regressor.len() });
        }
        if !y.is_finite() || regressor.iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "sample", time_s: 0.0 });
        }
        let error = y - regressor.iter().zip(&self.theta).map(|(phi, theta)| phi * theta).sum::<f64>();
        // Bierman's update with measurement variance λ, then D/λ: the same as P ← (P − K φᵀ P)/λ.
        let mut alpha = self.forgetting;
        for column in 0..size {
            let f = (0..=column).map(|row| self.upper[row * size + column] * regressor[row]).sum::<f64>();
            let g = self.diagonal[column] * f;
            let before = alpha;
            alpha += f * g;
            self.diagonal[column] *= before / alpha;
            self.gain[column] = g;
            let share = f / before;
            for row in 0..column {
                let old = self.upper[row * size + column];
                self.upper[row * size + column] = old - self.gain[row] * share;
                self.gain[row] += old * g;
            }
        }
        for (theta, gain) in self.theta.iter_mut().zip(&self.gain) {
            *theta += gain / alpha * error;
        }
        for d in &mut self.diagonal {
            *d = (*d / self.forgetting).min(self.bound);
        }
        Ok(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_followed_and_still_directions_do_not_blow_up() {
        let mut rls = Recursive::new(3, 0.98, 1e3).unwrap();
        for k in 0..20_000 {
            let slope = if k < 500 { 2.0 } else { -1.0 };
            let x = f64::from(k).sin();
            rls.update(&[x, 1.0, 0.0], slope * x + 5.0).unwrap();
        }
        let theta = rls.coefficients();
        assert!((theta[0] + 1.0).abs() < 1e-6 && (theta[1] - 5.0).abs() < 1e-6, "{theta:?}");
        assert!(rls.variance(2) <= 1e3);
        assert!(matches!(rls.update(&[1.0], 1.0), Err(Error::Dimension { .. })));
        assert!(matches!(rls.update(&[1.0, f64::NAN, 0.0], 1.0), Err(Error::NotFinite { .. })));
        assert!(Recursive::new(1, 0.0, 1.0).is_err() && Recursive::new(0, 1.0, 1.0).is_err());
    }

    proptest! {
        /// Without forgetting it is the ridge regression of all samples with ridge 1/start.
        #[test]
        fn recursion_equals_batch(samples in prop::collection::vec((-2.0..2.0_f64, -2.0..2.0_f64, -9.0..9.0_f64), 3..40)) {
            let mut rls = Recursive::new(2, 1.0, 100.0).unwrap();
            let mut gram = nalgebra::Matrix2::identity() * 0.01;
            let mut right = nalgebra::Vector2::zeros();
            for (a, b, y) in samples {
                rls.update(&[a, b], y).unwrap();
                let phi = nalgebra::Vector2::new(a, b);
                gram += phi * phi.transpose();
                right += phi * y;
            }
            let batch = gram.try_inverse().unwrap();
            let theta = batch * right;
            for index in 0..2 {
                prop_assert!((theta[index] - rls.coefficients()[index]).abs() < 1e-6 * (1.0 + theta[index].abs()));
                prop_assert!((batch[(index, index)] - rls.variance(index)).abs() < 1e-6 * batch[(index, index)]);
            }
        }
    }
}
