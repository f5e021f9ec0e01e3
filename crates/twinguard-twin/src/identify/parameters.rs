//! Named parameters of a model in equations, from history: bounded least squares with confidence intervals.
//!
//! The model runs on the inputs of the record (output error); residuals are weighted by each output's standard deviation.
//! Source: K. Levenberg 1944, D. Marquardt 1963, in the form of J. Moré, *LNM* 630 (1978) 105–116 (scaling by column
//! norms), bounds by projection onto the free parameters (C. Kelley, *Iterative Methods for Optimization* (1999), §5.4.1);
//! sensitivities by integration of dS/dt = (∂f/∂x) S + ∂f/∂θ beside the states, with the exact Jacobians of the compiled
//! equations (Hairer, Nørsett, Wanner, *Solving ODEs I*, §I.14); intervals θ ± t₀.₉₇₅ √(σ² (JᵀJ)⁻¹ᵢᵢ), σ² from the residuals:
//! G. Seber, C. Wild, *Nonlinear Regression* (1989), §2.1.
//!
//! Cost: iterations × rows × states × (parameters + states). It lies when the disturbance is not white (intervals come out
//! too narrow, see `whiteness`) or when the start is far from the truth.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{dense::normal, record::Record};
use crate::{
    Error, Model, TimeBase,
    equation::{Compiled, Source},
    integrators::Rk4,
    problem::{Located, Place, Problem, nearest},
};

/// A parameter to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Its name in the equations; or `initial:STATE` for where a state starts.
    pub name: String,
    /// Where the search starts.
    pub start: f64,
    /// Not below.
    pub min: f64,
    /// Not above.
    pub max: f64,
}

/// One parameter as found.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedParameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Lower and upper end of the 95 % interval; `None` where the record does not tell, or at a bound.
    pub interval: Option<(f64, f64)>,
    /// Whether the value lies on one of its bounds.
    pub at_bound: bool,
}

/// What [`fit_parameters`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The parameters in the order asked.
    pub parameters: Vec<FittedParameter>,
    /// Variance of the weighted residuals: 1 where the stated sigmas are right.
    pub variance: f64,
    /// Lag-one correlation of the residuals per output: far from 0 the intervals are too narrow.
    pub whiteness: Vec<f64>,
    /// Iterations taken.
    pub iterations: usize,
    /// Whether the search ended by its own criterion.
    pub converged: bool,
    /// Rows used.
    pub rows: usize,
}

/// Most iterations, and most rows a stretch is cut into.
const ITERATIONS: usize = 60;

/// Finds parameters of `source` such that its outputs follow `record`.
///
/// `initial` is the state at the start of every unbroken stretch, `sigma` the standard deviation of each output, `step_s`
/// the largest step of integration of a differential equation.
///
/// # Errors
/// [`Error::Plant`] for a name that is no parameter, or equations that do not compile; [`Error::Dimension`] for lists of
/// other lengths; [`Error::NotPositive`] for a sigma or for bounds in the wrong order; [`Error::NotFinite`] when
/// the model leaves the finite numbers at the start; [`Error::Unidentifiable`] for fewer rows than parameters.
pub fn fit_parameters(
    source: &Source,
    unknowns: &[Unknown],
    record: &Record,
    initial: &[f64],
    sigma: &[f64],
    step_s: f64,
) -> Result<Fitted, Error> {
    let problem = Fit::new(source, unknowns, record, initial, sigma, step_s)?;
    problem.search(unknowns)
}

struct Fit<'a> {
    model: Compiled,
    record: &'a Record,
    initial: &'a [f64],
    sigma: &'a [f64],
    /// For each unknown: the model input that stands for it, or the state whose start it is.
    places: Vec<Result<usize, usize>>,
    substeps: usize,
    step_s: f64,
}

/// Residuals r with their Jacobian J folded up: the products of J with itself and with r, and the sum of squares.
struct Normal {
    gram: DMatrix<f64>,
    right: DMatrix<f64>,
    cost: f64,
    count: usize,
    lagged: Vec<(f64, f64)>,
}

impl<'a> Fit<'a> {
    fn new(
        source: &Source,
        unknowns: &[Unknown],
        record: &'a Record,
        initial: &'a [f64],
        sigma: &'a [f64],
        step_s: f64,
    ) -> Result<Self, Error> {
        let sizes = [
            ("inputs", source.inputs.len(), record.inputs()),
            ("outputs", source.outputs.len(), record.outputs()),
            ("initial states", source.states.len(), initial.len()),
            ("sigmas", source.outputs.len(), sigma.len()),
        ];
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        for (index, unknown) in unknowns.iter().enumerate() {
            if !(unknown.min < unknown.max && unknown.start >= unknown.min && unknown.start <= unknown.max) {
                return Err(Error::NotPositive { what: "span of a parameter around its start", index });
            }
        }
        if let Some(index) = sigma.iter().position(|sigma| !(*sigma > 0.0 && sigma.is_finite())) {
            return Err(Error::NotPositive { what: "output sigma", index });
        }
        let refuse = |problem| {
            let place = Place { file: "equations".into(), line: 0, column: 0 };
            Error::from(Located { place, problem })
        };
        // An unknown becomes an input: the compiled equations have exact derivatives by inputs.
        let mut source = source.clone();
        let mut places = Vec::with_capacity(unknowns.len());
        for unknown in unknowns {
            if let Some(state) = unknown.name.strip_prefix("initial:") {
                let found = source.states.iter().position(|name| name == state);
                let near = nearest(state, source.states.iter().map(String::as_str));
                let missing = Problem::Unknown { what: "state", name: state.to_owned(), nearest: near };
                places.push(Err(found.ok_or_else(|| refuse(missing))?));
                continue;
            }
            let Some(at) = source.parameters.iter().position(|(name, _)| *name == unknown.name) else {
                let near = nearest(&unknown.name, source.parameters.iter().map(|(name, _)| name.as_str()));
                let name = unknown.name.clone();
                return Err(refuse(Problem::Unknown { what: "parameter", name, nearest: near }));
            };
            source.parameters.remove(at);
            places.push(Ok(source.inputs.len()));
            source.inputs.push(unknown.name.clone());
        }
        let model = source.compile(&[]).map_err(|flaw| refuse(flaw.problem))?;
        let substeps = match source.base {
            TimeBase::Continuous if step_s > 0.0 => {
                (record.step_s() / step_s * (1.0 - 1e-12)).ceil().clamp(1.0, 1e4)
            }
            TimeBase::Continuous => return Err(Error::NotPositive { what: "integration step", index: 0 }),
            TimeBase::Discrete { .. } => 1.0,
        } as usize;
        Ok(Self {
            model,
            record,
            initial,
            sigma,
            places,
            substeps,
            step_s: record.step_s() / substeps as f64,
        })
    }

    /// Runs the model with its sensitivities over the record.
    fn run(&self, theta: &[f64]) -> Result<Normal, Error> {
        let (n, p, q) = (self.initial.len(), self.sigma.len(), theta.len());
        let inputs = self.model.input_names().len();
        let mut normal = Normal {
            gram: DMatrix::zeros(q, q),
            right: DMatrix::zeros(q, 1),
            cost: 0.0,
            count: 0,
            lagged: vec![(0.0, 0.0); p],
        };
        let mut input = vec![0.0; inputs];
        let (mut by_state, mut by_input) = (vec![0.0; n.max(p) * n], vec![0.0; n.max(p) * inputs]);
        let mut output = vec![0.0; p];
        let mut line = vec![0.0; q];
        let mut extended = vec![0.0; n * (1 + q)];
        let mut next = extended.clone();
        let mut rk4 = Rk4::new(extended.len());
        for (first, count) in self.record.stretches(1) {
            extended.fill(0.0);
            extended[..n].copy_from_slice(self.initial);
            for (at, (place, value)) in self.places.iter().zip(theta).enumerate() {
                match place {
                    Ok(slot) => input[*slot] = *value,
                    Err(state) => {
                        extended[*state] = *value;
                        extended[n * (1 + at) + state] = 1.0;
                    }
                }
            }
            let mut last = vec![0.0; p];
            for index in 0..count {
                let (u, y) = self.record.row(first + index);
                input[..u.len()].copy_from_slice(u);
                let time_s = self.record.step_s() * index as f64;
                let (state, sensitivity) = extended.split_at(n);
                self.model.output(time_s, state, &input, &mut output);
                self.model.output_jacobian(
                    time_s,
                    state,
                    &input,
                    &mut by_state[..p * n],
                    &mut by_input[..p * inputs],
                );
                for out in 0..p {
                    let residual = (y[out] - output[out]) / self.sigma[out];
                    if !residual.is_finite() {
                        return Err(Error::NotFinite { what: "run of the model", time_s });
                    }
                    for (at, place) in self.places.iter().enumerate() {
                        let own: f64 = (0..n).map(|s| by_state[out * n + s] * sensitivity[at * n + s]).sum();
                        let direct = place.map_or(0.0, |slot| by_input[out * inputs + slot]);
                        line[at] = (own + direct) / self.sigma[out];
                    }
                    for i in 0..q {
                        for j in 0..=i {
                            normal.gram[(i, j)] += line[i] * line[j];
                        }
                        normal.right[(i, 0)] += line[i] * residual;
                    }
                    normal.cost += residual * residual;
                    if index > 0 {
                        normal.lagged[out].0 += residual * last[out];
                        normal.lagged[out].1 += residual * residual;
                    }
                    last[out] = residual;
                    normal.count += 1;
                }
                self.advance(
                    time_s,
                    &input,
                    &mut extended,
                    &mut next,
                    &mut rk4,
                    &mut by_state,
                    &mut by_input,
                );
            }
        }
        normal.gram.fill_upper_triangle_with_lower_triangle();
        Ok(normal)
    }

    /// One row ahead: states and sensitivities together.
    #[expect(
        clippy::too_many_arguments,
        reason = "workspace of the caller, so that nothing is allocated per row"
    )]
    fn advance(
        &self,
        time_s: f64,
        input: &[f64],
        extended: &mut [f64],
        next: &mut [f64],
        rk4: &mut Rk4,
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        let (n, inputs) = (self.initial.len(), input.len());
        let mut slope = |time_s: f64, extended: &[f64], out: &mut [f64]| {
            let (state, sensitivity) = extended.split_at(n);
            let (own, rest) = out.split_at_mut(n);
            self.model.dynamics(time_s, state, input, own);
            let (by_state, by_input) = (&mut by_state[..n * n], &mut by_input[..n * inputs]);
            self.model.dynamics_jacobian(time_s, state, input, by_state, by_input);
            for ((place, column), out) in
                self.places.iter().zip(sensitivity.chunks_exact(n)).zip(rest.chunks_exact_mut(n))
            {
                for (row, slot) in out.iter_mut().enumerate() {
                    let through: f64 = (0..n).map(|s| by_state[row * n + s] * column[s]).sum();
                    *slot = through + place.map_or(0.0, |input| by_input[row * inputs + input]);
                }
            }
        };
        match self.model.time_base() {
            TimeBase::Discrete { .. } => {
                slope(time_s, extended, next);
                extended.copy_from_slice(next);
            }
            TimeBase::Continuous => {
                for substep in 0..self.substeps {
                    rk4.step(&mut slope, time_s + self.step_s * substep as f64, self.step_s, extended);
                }
            }
        }
    }

    fn search(&self, unknowns: &[Unknown]) -> Result<Fitted, Error> {
        let q = unknowns.len();
        let mut theta: Vec<f64> = unknowns.iter().map(|unknown| unknown.start).collect();
        let mut here = self.run(&theta)?;
        if here.count <= q {
            return Err(Error::Unidentifiable {
                what: "record".to_owned(),
                reason: "has fewer rows than parameters",
            });
        }
        let mut damping = 1e-3;
        let (mut iterations, mut converged) = (0, q == 0);
        while iterations < ITERATIONS && !converged {
            iterations += 1;
            let free = free(&theta, unknowns, &here.right);
            if free.is_empty() {
                converged = true;
                break;
            }
            let scale: Vec<f64> =
                free.iter().map(|at| here.gram[(*at, *at)].sqrt().max(f64::MIN_POSITIVE)).collect();
            let matrix = DMatrix::from_fn(free.len(), free.len(), |i, j| {
                let value = here.gram[(free[i], free[j])] / scale[i] / scale[j];
                if i == j { value + damping } else { value }
            });
            let right = DVector::from_fn(free.len(), |i, _| here.right[(free[i], 0)] / scale[i]);
            let Some(factor) = matrix.cholesky() else {
                damping = f64::max(damping * 10.0, 1e-6);
                continue;
            };
            let step = factor.solve(&right);
            let mut trial = theta.clone();
            for (i, at) in free.iter().enumerate() {
                trial[*at] = (theta[*at] + step[i] / scale[i]).clamp(unknowns[*at].min, unknowns[*at].max);
            }
            let moved = (0..q).any(|at| (trial[at] - theta[at]).abs() > 1e-10 * (theta[at].abs() + 1e-10));
            match self.run(&trial) {
                Ok(there) if there.cost <= here.cost => {
                    let gained = here.cost - there.cost;
                    converged = !moved || gained <= 1e-12 * here.cost.max(f64::MIN_POSITIVE);
                    (theta, here) = (trial, there);
                    damping = f64::max(damping * 0.1, 1e-12);
                }
                _ if !moved || damping > 1e12 => converged = true,
                _ => damping *= 10.0,
            }
        }
        self.report(unknowns, &theta, &here, iterations, converged)
    }

    fn report(
        &self,
        unknowns: &[Unknown],
        theta: &[f64],
        here: &Normal,
        iterations: usize,
        converged: bool,
    ) -> Result<Fitted, Error> {
        let dof = (here.count - unknowns.len()).max(1) as f64;
        let variance = here.cost / dof;
        let quantile = StudentsT::new(0.0, 1.0, dof).map_or(1.96, |t| t.inverse_cdf(0.975));
        let inside: Vec<usize> = (0..theta.len())
            .filter(|at| theta[*at] > unknowns[*at].min && theta[*at] < unknowns[*at].max)
            .filter(|at| here.gram[(*at, *at)] > 0.0)
            .collect();
        let gram = DMatrix::from_fn(inside.len(), inside.len(), |i, j| here.gram[(inside[i], inside[j])]);
        let inverse = normal(&gram, &DMatrix::identity(inside.len(), inside.len()));
        let parameters = unknowns.iter().zip(theta).enumerate().map(|(at, (unknown, value))| {
            let width = inside.iter().position(|other| *other == at).and_then(|i| {
                let inverse = inverse.as_ref()?;
                Some(quantile * (variance * inverse[(i, i)].max(0.0)).sqrt())
            });
            FittedParameter {
                name: unknown.name.clone(),
                value: *value,
                interval: width.filter(|width| width.is_finite()).map(|width| (value - width, value + width)),
                at_bound: *value <= unknown.min || *value >= unknown.max,
            }
        });
        let ratio = |(lagged, square): &(f64, f64)| if *square > 0.0 { lagged / square } else { 0.0 };
        Ok(Fitted {
            parameters: parameters.collect(),
            variance,
            whiteness: here.lagged.iter().map(ratio).collect(),
            iterations,
            converged,
            rows: self.record.len(),
        })
    }
}

/// The parameters that may move: inside their bounds, or at one with the way down leading inside.
fn free(theta: &[f64], unknowns: &[Unknown], down: &DMatrix<f64>) -> Vec<usize> {
    (0..theta.len())
        .filter(|at| {
            let push = down[(*at, 0)];
            (theta[*at] > unknowns[*at].min || push > 0.0) && (theta[*at] < unknowns[*at].max || push < 0.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    fn tank() -> Source {
        Source {
            text: "d(h)/dt = (q - c * sqrt(max(h, 0))) / area".into(),
            base: TimeBase::Continuous,
            states: vec!["h".into()],
            inputs: vec!["q".into()],
            outputs: vec!["h".into()],
            parameters: vec![("area".into(), 2.0), ("c".into(), 0.5)],
        }
    }

    fn history(sigma: f64, seed: u64) -> Record {
        let model = tank().compile(&[]).unwrap();
        let (mut record, mut noise) = (Record::empty(1.0, 1, 1).unwrap(), Noise::new(seed, 1));
        let (mut h, mut rk4) = ([1.0], Rk4::new(1));
        for k in 0..400 {
            let q = [0.6 + 0.3 * f64::from(k / 40 % 2)];
            record.push([q[0], h[0] + sigma * noise.gaussian()]);
            for _ in 0..4 {
                rk4.step(|t, x, out| model.dynamics(t, x, &q, out), 0.0, 0.25, &mut h);
            }
        }
        record
    }

    fn unknown(name: &str, start: f64, min: f64, max: f64) -> Unknown {
        Unknown { name: name.into(), start, min, max }
    }

    #[test]
    fn a_tank_is_found_and_intervals_hold() {
        let unknowns = [
            unknown("area", 5.0, 0.1, 20.0),
            unknown("c", 0.2, 0.01, 3.0),
            unknown("initial:h", 0.5, 0.0, 9.0),
        ];
        let mut inside = [0; 3];
        for seed in 0..20 {
            let fitted =
                fit_parameters(&tank(), &unknowns, &history(0.02, seed), &[0.0], &[0.02], 0.25).unwrap();
            assert!(fitted.converged && (fitted.variance - 1.0).abs() < 0.3, "{fitted:?}");
            for ((parameter, truth), inside) in fitted.parameters.iter().zip([2.0, 0.5, 1.0]).zip(&mut inside)
            {
                assert!((parameter.value / truth - 1.0).abs() < 0.1, "{fitted:?}");
                let (low, high) = parameter.interval.unwrap();
                *inside += u32::from(low <= truth && truth <= high);
            }
        }
        // 20 intervals at 95 %: fewer than 15 inside has a chance of one in ten thousand.
        assert!(inside.iter().all(|inside| *inside >= 15), "{inside:?}");
    }

    #[test]
    fn bounds_hold_and_what_the_record_does_not_tell_has_no_interval() {
        let unknowns = [unknown("area", 5.0, 3.0, 20.0), unknown("c", 0.2, 0.01, 3.0)];
        let fitted = fit_parameters(&tank(), &unknowns, &history(0.02, 1), &[1.0], &[0.02], 0.5).unwrap();
        assert!(fitted.parameters[0].at_bound && fitted.parameters[0].value == 3.0, "{fitted:?}");
        assert!(fitted.parameters[0].interval.is_none() && fitted.parameters[1].interval.is_some());
        let mut source = tank();
        source.parameters.push(("idle".into(), 1.0));
        source.text.push_str("\n spare = idle * 2");
        let fitted = fit_parameters(
            &source,
            &[unknown("idle", 1.0, 0.0, 2.0)],
            &history(0.02, 1),
            &[1.0],
            &[0.02],
            0.5,
        )
        .unwrap();
        assert!(fitted.parameters[0].interval.is_none() && !fitted.parameters[0].at_bound);
    }

    #[test]
    fn mistakes_have_names() {
        let record = history(0.02, 1);
        let fit = |unknown: Unknown| fit_parameters(&tank(), &[unknown], &record, &[1.0], &[0.02], 0.5);
        let error = fit(unknown("aera", 1.0, 0.5, 2.0)).unwrap_err().to_string();
        assert_eq!(error, "equations: unknown parameter `aera`, did you mean `area`?");
        assert!(matches!(fit(unknown("area", 1.0, 2.0, 3.0)), Err(Error::NotPositive { .. })));
        assert!(fit(unknown("initial:g", 1.0, 0.0, 2.0)).is_err());
    }
}
