//! ARX: one output from its own past and the inputs, by least squares.
//!
//! y(t) = Σᵢ₌₁ⁿᵃ aᵢ y(t−i) + Σⱼ Σₖ bⱼₖ uⱼ(t−d−k) + c + e(t). Source: L. Ljung, *System Identification* (2nd ed. 1999), §4.2
//! and §7.3 (confidence from the residual variance and the inverse Gram matrix, (9.11)); order by Rissanen's MDL,
//! §16.4, (16.38). Cost: O(N q²) for q coefficients. It lies where the disturbance has a memory of its own (aᵢ are biased
//! then: [`subspace`](super::subspace) has a noise model) and in a closed loop without delay.

use nalgebra::DMatrix;

use super::{dense::normal, record::Record};
use crate::Error;

/// Numbers of coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArxOrder {
    /// Of past outputs.
    pub outputs: usize,
    /// Of each input.
    pub inputs: usize,
    /// Samples before an input is felt; 0: at once.
    pub delay: usize,
}

/// A fitted equation for one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Arx {
    /// Its orders.
    pub order: ArxOrder,
    /// aᵢ, latest sample first.
    pub own: Vec<f64>,
    /// bⱼ, one list an input, latest sample first.
    pub driven: Vec<Vec<f64>>,
    /// c.
    pub constant: f64,
    /// Standard error of each coefficient: own, driven one input after the other, constant.
    pub errors: Vec<f64>,
    /// Variance of e.
    pub variance: f64,
    /// Rows fitted.
    pub rows: usize,
}

/// Most coefficients.
const COEFFICIENTS: usize = 1024;

impl ArxOrder {
    fn span(&self) -> usize {
        self.outputs.max((self.delay + self.inputs).saturating_sub(1))
    }

    fn size(&self, inputs: usize) -> usize {
        self.outputs + self.inputs * inputs + 1
    }

    /// What the output at `index` is explained by.
    fn regressor(&self, record: &Record, output: usize, index: usize, out: &mut Vec<f64>) {
        out.clear();
        out.extend((1..=self.outputs).map(|back| record.row(index - back).1[output]));
        for input in 0..record.inputs() {
            let at = |back: usize| record.row(index - self.delay - back).0[input];
            out.extend((0..self.inputs).map(at));
        }
        out.push(1.0);
    }
}

impl Arx {
    /// Fits output number `output`.
    ///
    /// # Errors
    /// [`Error::Dimension`] for an output that the record does not have or more than 1024 coefficients,
    /// [`Error::Unidentifiable`] for too few rows or regressors that follow from each other.
    pub fn fit(record: &Record, output: usize, order: ArxOrder) -> Result<Self, Error> {
        let size = order.size(record.inputs());
        if output >= record.outputs() {
            return Err(Error::Dimension {
                what: "output number",
                expected: record.outputs(),
                found: output,
            });
        }
        if size > COEFFICIENTS {
            return Err(Error::Dimension { what: "coefficients", expected: COEFFICIENTS, found: size });
        }
        let mut gram = DMatrix::zeros(size, size);
        let mut right = DMatrix::zeros(size, 1);
        let (mut energy, mut rows) = (0.0, 0_usize);
        let mut line = Vec::with_capacity(size);
        for (first, count) in record.stretches(order.span() + 1) {
            for index in first + order.span()..first + count {
                order.regressor(record, output, index, &mut line);
                let y = record.row(index).1[output];
                for (i, left) in line.iter().enumerate() {
                    for (j, other) in line.iter().enumerate().take(i + 1) {
                        gram[(i, j)] += left * other;
                    }
                    right[(i, 0)] += left * y;
                }
                energy += y * y;
                rows += 1;
            }
        }
        gram.fill_upper_triangle_with_lower_triangle();
        let refuse = |reason| Error::Unidentifiable { what: format!("output {}", output + 1), reason };
        if rows <= size {
            return Err(refuse("has too few rows"));
        }
        let solution = normal(&gram, &right).ok_or(refuse("has regressors that follow from each other"))?;
        let inverse = normal(&gram, &DMatrix::identity(size, size))
            .ok_or(refuse("has regressors that follow from each other"))?;
        let left = (energy - right.dot(&solution)).max(0.0);
        let variance = left / (rows - size) as f64;
        let errors = (0..size).map(|at| (variance * inverse[(at, at)].max(0.0)).sqrt()).collect();
        let values = solution.as_slice();
        let (own, rest) = values.split_at(order.outputs);
        let (driven, constant) = rest.split_at(order.inputs * record.inputs());
        Ok(Self {
            order,
            own: own.to_vec(),
            driven: driven.chunks(order.inputs.max(1)).map(<[f64]>::to_vec).collect(),
            constant: constant.first().copied().unwrap_or_default(),
            errors,
            variance,
            rows,
        })
    }

    /// The equation whose description is shortest (MDL), among all orders up to `most` with equal numbers of past
    /// outputs and input samples, and delays 0 to 3.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), when no order can be fitted.
    pub fn choose(record: &Record, output: usize, most: usize) -> Result<Self, Error> {
        let mut best: Option<(f64, Self)> = None;
        let mut refused = None;
        for order in 1..=most.max(1) {
            for delay in 0..=3 {
                match Self::fit(record, output, ArxOrder { outputs: order, inputs: order, delay }) {
                    Ok(arx) => {
                        let rows = arx.rows as f64;
                        let size = arx.order.size(record.inputs()) as f64;
                        let cost = arx.variance.max(f64::MIN_POSITIVE).ln() + size * rows.ln() / rows;
                        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                            best = Some((cost, arx));
                        }
                    }
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
        }
        let nothing =
            Error::Unidentifiable { what: format!("output {}", output + 1), reason: "has too few rows" };
        best.map(|(_, arx)| arx).ok_or(refused.unwrap_or(nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rows: usize) -> Record {
        let mut record = Record::empty(1.0, 1, 1).unwrap();
        let (mut y, mut past) = ([0.0_f64; 2], [0.0_f64; 2]);
        let mut seed = 1_u64;
        let mut uniform = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        for _ in 0..rows {
            let u = uniform();
            let next = 1.2 * y[0] - 0.5 * y[1] + 0.7 * past[1] + 3.0 + 0.02 * uniform();
            record.push([u, next]);
            (y, past) = ([next, y[0]], [u, past[0]]);
        }
        record
    }

    #[test]
    fn coefficients_lie_within_their_errors() {
        let arx = Arx::fit(&record(2000), 0, ArxOrder { outputs: 2, inputs: 1, delay: 2 }).unwrap();
        let found = [arx.own[0], arx.own[1], arx.driven[0][0], arx.constant];
        for ((found, true_value), error) in found.into_iter().zip([1.2, -0.5, 0.7, 3.0]).zip(&arx.errors) {
            assert!((found - true_value).abs() < 4.0 * error, "{found} {true_value} ± {error}");
        }
        assert!((arx.variance * 12.0 / 0.0004 - 1.0).abs() < 0.1);
    }

    #[test]
    fn order_and_delay_are_chosen() {
        let arx = Arx::choose(&record(2000), 0, 5).unwrap();
        assert_eq!(arx.order, ArxOrder { outputs: 2, inputs: 2, delay: 1 }, "the first coefficient is zero");
        assert!(arx.driven[0][0].abs() < 4.0 * arx.errors[2]);
        assert!(matches!(Arx::choose(&record(3), 0, 5), Err(Error::Unidentifiable { .. })));
        assert!(matches!(Arx::fit(&record(9), 3, arx.order), Err(Error::Dimension { .. })));
    }
}
