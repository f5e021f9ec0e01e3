//! Numbers that carry their derivatives: exact Jacobians of models that are written in Rust, not as equations.
//!
//! Source: Griewank, Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, ch. 3 (forward mode). Sines, cosines, roots
//! and hyperbolic tangents are those of `libm`, as in the equations' programs.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// What the equations of a model in Rust are written over: `f64` for values, [`Dual`] for values with derivatives.
pub trait Scalar:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A constant.
    fn of(value: f64) -> Self;
    /// The value without derivatives.
    fn value(self) -> f64;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Square root; of zero with derivative zero.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The nearest number within `low`…`high`; outside its derivative is zero.
    fn clamp(self, low: f64, high: f64) -> Self {
        if self.value() < low {
            Self::of(low)
        } else if self.value() > high {
            Self::of(high)
        } else {
            self
        }
    }
}

impl Scalar for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn sin(self) -> Self {
        libm::sin(self)
    }
    fn cos(self) -> Self {
        libm::cos(self)
    }
    fn sqrt(self) -> Self {
        libm::sqrt(self)
    }
    fn tanh(self) -> Self {
        libm::tanh(self)
    }
}

/// A value with its derivatives along `N` directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    /// The value.
    pub value: f64,
    /// Its derivatives.
    pub slope: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// A variable: its derivative along direction `at` is 1.
    #[must_use]
    pub fn variable(value: f64, at: usize) -> Self {
        let mut slope = [0.0; N];
        if let Some(slope) = slope.get_mut(at) {
            *slope = 1.0;
        }
        Self { value, slope }
    }

    fn map(self, value: f64, factor: f64) -> Self {
        Self { value, slope: self.slope.map(|slope| slope * factor) }
    }

    fn join(self, other: Self, value: f64, left: f64, right: f64) -> Self {
        let mut slope = self.slope;
        for (slope, other) in slope.iter_mut().zip(other.slope) {
            *slope = *slope * left + other * right;
        }
        Self { value, slope }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.join(other, self.value + other.value, 1.0, 1.0)
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.join(other, self.value - other.value, 1.0, -1.0)
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.join(other, self.value * other.value, other.value, self.value)
    }
}

impl<const N: usize> Div for Dual<N> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.join(other, value, 1.0 / other.value, -value / other.value)
    }
}

impl<const N: usize> Neg for Dual<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.map(-self.value, -1.0)
    }
}

impl<const N: usize> Scalar for Dual<N> {
    fn of(value: f64) -> Self {
        Self { value, slope: [0.0; N] }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn sin(self) -> Self {
        self.map(libm::sin(self.value), libm::cos(self.value))
    }
    fn cos(self) -> Self {
        self.map(libm::cos(self.value), -libm::sin(self.value))
    }
    fn sqrt(self) -> Self {
        let root = libm::sqrt(self.value);
        self.map(root, if root > 0.0 { 0.5 / root } else { 0.0 })
    }
    fn tanh(self) -> Self {
        let value = libm::tanh(self.value);
        self.map(value, 1.0 - value * value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula<S: Scalar>(x: S, y: S) -> S {
        (x * y.sin() + x.cos() / y).tanh() - (x * x + S::of(2.0)).sqrt() + (-y).clamp(-0.5, 5.0)
    }

    #[test]
    fn derivatives_are_those_of_differences() {
        for (x, y) in [(0.3, 0.7), (-1.2, 2.5), (2.0, -0.4)] {
            let exact = formula(Dual::<2>::variable(x, 0), Dual::variable(y, 1));
            assert_eq!(exact.value, formula(x, y));
            let h = 1e-6;
            let along = [formula(x + h, y) - formula(x - h, y), formula(x, y + h) - formula(x, y - h)];
            for (exact, difference) in exact.slope.iter().zip(along) {
                assert!((exact - difference / (2.0 * h)).abs() < 1e-8, "{exact} {difference}");
            }
        }
    }
}
