//! The receding horizon: the best inputs of the next steps within limits, of which the first is used.
//!
//! Source: J. B. Rawlings, D. Q. Mayne, M. M. Diehl, *Model Predictive Control* (2nd ed.), §1.3 and §2.1, condensed to the
//! inputs (§8.8.4). Linear in the state around where the model is linearised; limits that cannot be kept are an error, never
//! a plan that crosses them.

use super::{Optimum, Program, Row};
use crate::filters::transition;
use crate::{Error, Model, TimeBase};

/// x⁺ = A x + B u + a, y = C x + D u + c, with weights and limits; all matrices by rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Receding {
    /// states × states.
    pub a: Vec<f64>,
    /// states × inputs.
    pub b: Vec<f64>,
    /// What each step adds to the state.
    pub drift: Vec<f64>,
    /// outputs × states.
    pub c: Vec<f64>,
    /// outputs × inputs.
    pub d: Vec<f64>,
    /// Output at x = 0, u = 0.
    pub offset: Vec<f64>,
    /// Steps ahead, 1 to 1000.
    pub steps: usize,
    /// Where outputs should be.
    pub target: Vec<f64>,
    /// Cost of each output's squared deviation.
    pub output_weight: Vec<f64>,
    /// Cost of each input's squared change from step to step.
    pub move_weight: Vec<f64>,
    /// Cost of one unit of each input.
    pub price: Vec<f64>,
    /// Lowest and highest value of each input.
    pub input_range: Vec<(f64, f64)>,
    /// The most that each input changes in a step; infinite where it may jump.
    pub input_rate: Vec<f64>,
    /// Lowest and highest value of each output.
    pub output_range: Vec<(f64, f64)>,
}

/// Inputs of the next steps, and what they lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One row of inputs a step.
    pub inputs: Vec<Vec<f64>>,
    /// One row of outputs a step, after it.
    pub outputs: Vec<Vec<f64>>,
    /// The objective.
    pub cost: f64,
}

impl Receding {
    /// A model around a state and an input, held over steps of `step_s`; without weights and limits.
    ///
    /// # Errors
    /// [`Error::Dimension`] when state or input have other lengths than the model's, [`Error::NotFinite`] when it has no
    /// finite slope there.
    pub fn around(
        model: &dyn Model,
        state: &[f64],
        input: &[f64],
        step_s: f64,
        steps: usize,
    ) -> Result<Self, Error> {
        let (n, m, p) = (model.state_names().len(), model.input_names().len(), model.output_names().len());
        for (what, expected, found) in [("states", n, state.len()), ("inputs", m, input.len())] {
            if expected != found {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        let (mut by_state, mut by_input) = (vec![0.0; n * n], vec![0.0; n * m]);
        model.dynamics_jacobian(0.0, state, input, &mut by_state, &mut by_input);
        let mut slope = vec![0.0; n];
        model.dynamics(0.0, state, input, &mut slope);
        let (a, b, next) = match model.time_base() {
            TimeBase::Discrete { .. } => (by_state, by_input, slope),
            TimeBase::Continuous => {
                // exp of [J, B, f; 0] · h gives Φ, the held input's and the drift's share at once.
                let size = n + m + 1;
                let mut big = vec![0.0; size * size];
                for row in 0..n {
                    big[row * size..][..n].copy_from_slice(&by_state[row * n..][..n]);
                    big[row * size + n..][..m].copy_from_slice(&by_input[row * m..][..m]);
                    big[row * size + n + m] = slope[row];
                }
                let mut exponential = vec![0.0; size * size];
                let (mut power, mut spare) = (vec![0.0; size * size], vec![0.0; size * size]);
                transition(size, step_s, &big, &mut exponential, &mut power, &mut spare);
                let part = |from: usize, width: usize| -> Vec<f64> {
                    (0..n).flat_map(|row| exponential[row * size + from..][..width].to_vec()).collect()
                };
                let moved = part(n + m, 1);
                (part(0, n), part(n, m), state.iter().zip(moved).map(|(x, d)| x + d).collect())
            }
        };
        let (mut c, mut d, mut offset) = (vec![0.0; p * n], vec![0.0; p * m], vec![0.0; p]);
        model.output_jacobian(0.0, state, input, &mut c, &mut d);
        model.output(0.0, state, input, &mut offset);
        let less = |row: usize, matrix: &[f64], width: usize, at: &[f64]| -> f64 {
            matrix[row * width..][..width].iter().zip(at).map(|(a, x)| a * x).sum()
        };
        let drift: Vec<f64> =
            (0..n).map(|row| next[row] - less(row, &a, n, state) - less(row, &b, m, input)).collect();
        let offset: Vec<f64> =
            (0..p).map(|row| offset[row] - less(row, &c, n, state) - less(row, &d, m, input)).collect();
        if ![&a, &b, &drift, &c, &d, &offset].iter().all(|list| list.iter().all(|number| number.is_finite()))
        {
            return Err(Error::NotFinite { what: "linearisation", time_s: 0.0 });
        }
        let free = (f64::NEG_INFINITY, f64::INFINITY);
        Ok(Self {
            steps: steps.clamp(1, 1000),
            target: vec![0.0; p],
            output_weight: vec![0.0; p],
            move_weight: vec![0.0; m],
            price: vec![0.0; m],
            input_range: vec![free; m],
            input_rate: vec![f64::INFINITY; m],
            output_range: vec![free; p],
            a,
            b,
            drift,
            c,
            d,
            offset,
        })
    }

    /// Plans from a state and the inputs that hold now.
    ///
    /// # Errors
    /// [`Error::Dimension`] for vectors of other lengths, [`Error::NoOptimum`] when limits cannot be kept.
    pub fn plan(&self, state: &[f64], input: &[f64]) -> Result<Plan, Error> {
        let (n, m, p) = (self.drift.len(), self.price.len(), self.offset.len());
        let sizes = [
            ("states", n, state.len()),
            ("inputs", m, input.len()),
            ("A", n * n, self.a.len()),
            ("B", n * m, self.b.len()),
            ("C", p * n, self.c.len()),
            ("D", p * m, self.d.len()),
            ("targets", p, self.target.len().min(self.output_weight.len()).min(self.output_range.len())),
            (
                "input limits",
                m,
                self.move_weight.len().min(self.input_range.len()).min(self.input_rate.len()),
            ),
        ];
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        let steps = self.steps.clamp(1, 1000);
        let variables = steps * m;
        let mut program = Program { linear: self.price.repeat(steps), ..Program::default() };
        // The state after each step as a constant and a row of factors of all inputs so far.
        let mut constant = state.to_vec();
        let mut factors = vec![vec![0.0; variables]; n];
        for step in 0..steps {
            let next: Vec<f64> =
                (0..n).map(|row| self.drift[row] + dot(&self.a[row * n..][..n], &constant)).collect();
            let mut moved = vec![vec![0.0; variables]; n];
            for (row, moved) in moved.iter_mut().enumerate() {
                for (from, factors) in factors.iter().enumerate() {
                    let a = self.a[row * n + from];
                    moved
                        .iter_mut()
                        .take(step * m)
                        .zip(factors)
                        .for_each(|(moved, factor)| *moved += a * factor);
                }
                moved[step * m..][..m].copy_from_slice(&self.b[row * m..][..m]);
            }
            (constant, factors) = (next, moved);
            for output in 0..p {
                let row = &self.c[output * n..][..n];
                let at = self.offset[output] + dot(row, &constant);
                let mut terms = vec![0.0; (step + 1) * m];
                for (c, factors) in row.iter().zip(&factors) {
                    terms.iter_mut().zip(factors).for_each(|(term, factor)| *term += c * factor);
                }
                terms[step * m..].iter_mut().zip(&self.d[output * m..][..m]).for_each(|(term, d)| *term += d);
                let weight = self.output_weight[output];
                if weight > 0.0 {
                    let miss = at - self.target[output];
                    for (i, a) in terms.iter().enumerate() {
                        program.linear[i] += 2.0 * weight * miss * a;
                        let right = terms.iter().enumerate().skip(i);
                        program.quadratic.extend(right.map(|(j, b)| (i, j, 2.0 * weight * a * b)));
                    }
                }
                let (min, max) = self.output_range[output];
                if min.is_finite() || max.is_finite() {
                    let terms = terms.into_iter().enumerate().collect();
                    program.rows.push(Row { terms, min: min - at, max: max - at });
                }
            }
            for (index, held) in input.iter().enumerate() {
                let variable = step * m + index;
                let (min, max) = self.input_range[index];
                program.rows.push(Row { terms: vec![(variable, 1.0)], min, max });
                let (rate, weight) = (self.input_rate[index], 2.0 * self.move_weight[index]);
                if step == 0 {
                    program.rows.push(Row {
                        terms: vec![(variable, 1.0)],
                        min: held - rate,
                        max: held + rate,
                    });
                    program.linear[variable] -= weight * held;
                    program.quadratic.push((variable, variable, weight));
                } else {
                    let before = variable - m;
                    program.rows.push(Row {
                        terms: vec![(before, -1.0), (variable, 1.0)],
                        min: -rate,
                        max: rate,
                    });
                    program.quadratic.extend([
                        (before, before, weight),
                        (before, variable, -weight),
                        (variable, variable, weight),
                    ]);
                }
            }
        }
        let Optimum { x, value } = program.solve()?;
        let inputs: Vec<Vec<f64>> = x.chunks(m.max(1)).map(<[f64]>::to_vec).collect();
        let mut at = state.to_vec();
        let mut outputs = Vec::with_capacity(steps);
        for input in &inputs {
            let row = |row: usize| {
                self.drift[row] + dot(&self.a[row * n..][..n], &at) + dot(&self.b[row * m..][..m], input)
            };
            at = (0..n).map(row).collect();
            let row = |row: usize| {
                self.offset[row] + dot(&self.c[row * n..][..n], &at) + dot(&self.d[row * m..][..m], input)
            };
            outputs.push((0..p).map(row).collect());
        }
        Ok(Plan { inputs, outputs, cost: value })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn a_heated_zone_is_brought_to_its_target_within_limits() {
        let model = registry::model("hvac_zone").unwrap().model(&[]).unwrap();
        let state = [19.0, 19.0, 20.0, 17.0];
        let input = [2.0, 0.0, 0.0, 0.3];
        let mut horizon = Receding::around(&*model, &state, &input, 900.0, 24).unwrap();
        horizon.target = vec![21.0, 0.0, 0.0];
        horizon.output_weight = vec![1.0, 0.0, 0.0];
        horizon.price = vec![0.01, 0.0, 0.0, 0.0];
        horizon.output_range[0] = (15.0, 21.5);
        horizon.input_range = vec![(0.0, 6.0), (0.0, 0.0), (0.0, 0.0), (0.3, 0.3)];
        horizon.input_rate[0] = 1.5;
        let plan = horizon.plan(&state, &input).unwrap();
        assert_eq!((plan.inputs.len(), plan.outputs.len()), (24, 24));
        let mut before = 2.0;
        for (inputs, outputs) in plan.inputs.iter().zip(&plan.outputs) {
            assert!((-1e-6..=6.0 + 1e-6).contains(&inputs[0]) && (inputs[0] - before).abs() <= 1.5 + 1e-6);
            assert!(outputs[0] <= 21.5 + 1e-6);
            before = inputs[0];
        }
        assert!((plan.outputs[23][0] - 21.0).abs() < 0.2, "{:?}", plan.outputs);
        // The linear model is exact here: one step of the plan is one step of the plant.
        horizon.output_range[0] = (15.0, 16.0);
        assert!(matches!(horizon.plan(&state, &input), Err(Error::NoOptimum { .. })));
        assert!(horizon.plan(&state[..3], &input).is_err());
    }
}
