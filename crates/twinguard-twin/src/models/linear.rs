//! Linear models: dx/dt or x⁺ = A (x − x₀) + B (u − u₀) + x₀⁺, y = y₀ + C (x − x₀) + D (u − u₀).
//!
//! Source: the state-space form, for example Åström, Murray, *Feedback Systems*, 2nd ed., §6.1 and §6.4.

use crate::{Model, TimeBase, problem::Problem};

/// Matrices by rows, with the point around which they hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrices {
    /// Continuous or discrete.
    pub base: TimeBase,
    /// Names of the states.
    pub states: Vec<String>,
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// states × states.
    pub a: Vec<Vec<f64>>,
    /// states × inputs.
    pub b: Vec<Vec<f64>>,
    /// outputs × states.
    pub c: Vec<Vec<f64>>,
    /// outputs × inputs.
    pub d: Vec<Vec<f64>>,
    /// State of the operating point, an equilibrium; zeros when empty.
    pub x0: Vec<f64>,
    /// Input of the operating point; zeros when empty.
    pub u0: Vec<f64>,
    /// Output of the operating point; zeros when empty.
    pub y0: Vec<f64>,
}

/// A linear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    matrices: Matrices,
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
    parameters: Vec<(String, f64)>,
}

/// Most states, inputs or outputs.
const SIZE: usize = 1024;

impl Matrices {
    /// The model.
    ///
    /// # Errors
    /// A [`Problem`] where a size does not fit the names, or a number is not finite.
    pub fn model(&self) -> Result<Linear, Problem> {
        let (n, m, p) = (self.states.len(), self.inputs.len(), self.outputs.len());
        for (what, count) in [("states", n), ("inputs", m), ("outputs", p)] {
            if count > SIZE {
                return Err(Problem::TooMuch { what, count, limit: SIZE });
            }
        }
        let mut matrices = self.clone();
        for (key, values, length) in
            [("x", &mut matrices.x0, n), ("u", &mut matrices.u0, m), ("y", &mut matrices.y0, p)]
        {
            if values.is_empty() {
                *values = vec![0.0; length];
            }
            finite(key, values)?;
            if values.len() != length {
                let reason = format!("has {} numbers, not {length}", values.len());
                return Err(Problem::Value { key: key.to_owned(), reason });
            }
        }
        let (a, b) = (flat("A", &self.a, n, n)?, flat("B", &self.b, n, m)?);
        let (c, d) = (flat("C", &self.c, p, n)?, flat("D", &self.d, p, m)?);
        let mut parameters = Vec::new();
        for (key, rows) in [("A", &self.a), ("B", &self.b), ("C", &self.c), ("D", &self.d)] {
            for (row, values) in rows.iter().enumerate() {
                let numbered = values.iter().enumerate();
                parameters.extend(
                    numbered.map(|(column, value)| (format!("{key}[{}][{}]", row + 1, column + 1), *value)),
                );
            }
        }
        for (key, values) in [("x0", &matrices.x0), ("u0", &matrices.u0), ("y0", &matrices.y0)] {
            let numbered = values.iter().enumerate();
            parameters.extend(numbered.map(|(at, value)| (format!("{key}[{}]", at + 1), *value)));
        }
        Ok(Linear { matrices, a, b, c, d, parameters })
    }
}

fn finite(key: &str, values: &[f64]) -> Result<(), Problem> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Problem::Value { key: key.to_owned(), reason: "holds a number that is not finite".to_owned() })
}

/// An absent matrix (no rows) is zero.
fn flat(key: &str, rows: &[Vec<f64>], height: usize, width: usize) -> Result<Vec<f64>, Problem> {
    if rows.is_empty() {
        return Ok(vec![0.0; height * width]);
    }
    if rows.len() != height || rows.iter().any(|row| row.len() != width) {
        let found = rows.first().map_or(0, Vec::len);
        let reason = format!("must be {height} × {width}, not {} × {found}", rows.len());
        return Err(Problem::Value { key: key.to_owned(), reason });
    }
    let values: Vec<f64> = rows.iter().flatten().copied().collect();
    finite(key, &values)?;
    Ok(values)
}

/// out = base + M1 (v1 − o1) + M2 (v2 − o2), summed from left to right.
fn affine(out: &mut [f64], base: Option<&[f64]>, terms: [(&[f64], &[f64], &[f64]); 2]) {
    for (row, slot) in out.iter_mut().enumerate() {
        *slot = base.and_then(|base| base.get(row)).copied().unwrap_or(0.0);
        for (matrix, values, origin) in terms {
            let width = origin.len();
            let line = matrix.get(row * width..(row + 1) * width).unwrap_or_default();
            for ((factor, value), zero) in line.iter().zip(values).zip(origin) {
                *slot += factor * (value - zero);
            }
        }
    }
}

fn copy(out: &mut [f64], values: &[f64]) {
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = *value;
    }
}

impl Model for Linear {
    fn state_names(&self) -> &[String] {
        &self.matrices.states
    }

    fn input_names(&self) -> &[String] {
        &self.matrices.inputs
    }

    fn output_names(&self) -> &[String] {
        &self.matrices.outputs
    }

    fn time_base(&self) -> TimeBase {
        self.matrices.base
    }

    fn dynamics(&self, _time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        let Matrices { base, x0, u0, .. } = &self.matrices;
        let rest = matches!(base, TimeBase::Discrete { .. }).then_some(x0.as_slice());
        affine(out, rest, [(&self.a, state, x0), (&self.b, input, u0)]);
    }

    fn output(&self, _time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        let Matrices { x0, u0, y0, .. } = &self.matrices;
        affine(out, Some(y0), [(&self.c, state, x0), (&self.d, input, u0)]);
    }

    fn dynamics_jacobian(&self, _: f64, _: &[f64], _: &[f64], by_state: &mut [f64], by_input: &mut [f64]) {
        copy(by_state, &self.a);
        copy(by_input, &self.b);
    }

    fn output_jacobian(&self, _: f64, _: &[f64], _: &[f64], by_state: &mut [f64], by_input: &mut [f64]) {
        copy(by_state, &self.c);
        copy(by_input, &self.d);
    }

    fn parameters(&self) -> &[(String, f64)] {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrices() -> Matrices {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Matrices {
            base: TimeBase::Discrete { step_s: 1.0 },
            states: names(&["a", "b"]),
            inputs: names(&["u"]),
            outputs: names(&["y"]),
            a: vec![vec![0.5, 0.1], vec![0.0, 0.25]],
            b: vec![vec![1.0], vec![2.0]],
            c: vec![vec![1.0, -1.0]],
            d: vec![],
            x0: vec![4.0, 8.0],
            u0: vec![3.0],
            y0: vec![10.0],
        }
    }

    #[test]
    fn linear_rests_at_its_operating_point() {
        let model = matrices().model().unwrap();
        let (mut next, mut y) = ([0.0; 2], [0.0]);
        model.dynamics(0.0, &[4.0, 8.0], &[3.0], &mut next);
        model.output(0.0, &[4.0, 8.0], &[3.0], &mut y);
        assert_eq!((next, y), ([4.0, 8.0], [10.0]));
        model.dynamics(0.0, &[5.0, 8.0], &[4.0], &mut next);
        assert_eq!(next, [5.5, 10.0]);
    }

    #[test]
    fn linear_sizes_must_fit() {
        let wrong = Matrices { b: vec![vec![1.0]], ..matrices() };
        assert_eq!(wrong.model().unwrap_err().to_string(), "`B` must be 2 × 1, not 1 × 1");
        let wrong = Matrices { u0: vec![f64::NAN], ..matrices() };
        assert_eq!(wrong.model().unwrap_err().to_string(), "`u` holds a number that is not finite");
    }
}
