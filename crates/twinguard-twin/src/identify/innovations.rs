//! A linear model in innovations form, what it predicts, and how good it is on rows that it never saw.
//!
//! x⁺ = A x + B u + K e, y = C x + D u + e, e ~ N(0, Λ). Source: T. Kailath, *IEEE Trans. Automatic Control* 13 (1968)
//! 646–655; fit figures as L. Ljung, *System Identification* (2nd ed. 1999), §17.3: 1 − |y − ŷ| / |y − mean(y)|.

use nalgebra::{DMatrix, DVector};

use super::{
    dense::{eigenvalues, least_squares, matrix, normal},
    noise::of_predictor,
    record::Record,
};
use crate::{
    Error, TimeBase,
    models::linear::Matrices,
    plant::{Dynamics, Form},
};

/// A learnt linear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Identified {
    /// A, B, C, D around the operating point (the means of the history), in the units of the history; discrete.
    pub matrices: Matrices,
    /// Kalman gain K, states × outputs, for the predicting form.
    pub gain: Vec<Vec<f64>>,
    /// Covariance Λ of the innovations, outputs × outputs.
    pub innovation_covariance: Vec<Vec<f64>>,
    /// Canonical correlations of past and future, largest first: how much each further state explains.
    pub correlations: Vec<f64>,
    /// Block rows s of past and future.
    pub horizon: usize,
    /// Rows that the fit used.
    pub rows: usize,
}

/// How good a model is on a record, one figure an output: 1 is perfect, 0 is as good as the mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Fit of the prediction one step ahead.
    pub predicted: Vec<f64>,
    /// Fit of a run on the inputs alone, from the best start.
    pub simulated: Vec<f64>,
    /// Mean squared normalised innovation per output: 1 where the stated covariance is right.
    pub normalised: f64,
    /// Lag-one correlation of the innovations, per output: 0 where nothing is left to predict.
    pub whiteness: Vec<f64>,
    /// Rows judged.
    pub rows: usize,
}

impl Identified {
    /// Number of states.
    #[must_use]
    pub fn order(&self) -> usize {
        self.matrices.states.len()
    }

    /// Eigenvalues of A as (real, imaginary); empty when they are not found.
    #[must_use]
    pub fn eigenvalues(&self) -> Vec<(f64, f64)> {
        eigenvalues(&matrix(&self.matrices.a, self.order())).unwrap_or_default()
    }

    /// The first `count` Markov parameters D, C B, C A B, …: outputs × inputs each, independent of the state's basis.
    #[must_use]
    pub fn markov(&self, count: usize) -> Vec<Vec<Vec<f64>>> {
        let [a, b, c, d] = self.parts();
        let mut parameters = Vec::with_capacity(count);
        let mut reach = b;
        for index in 0..count {
            let block = if index == 0 { d.clone() } else { &c * &reach };
            if index > 0 {
                reach = &a * reach;
            }
            parameters.push(super::dense::rows(&block));
        }
        parameters
    }

    fn parts(&self) -> [DMatrix<f64>; 4] {
        let Matrices { a, b, c, d, inputs, .. } = &self.matrices;
        let (n, m) = (self.order(), inputs.len());
        let d = if d.is_empty() { DMatrix::zeros(c.len(), m) } else { matrix(d, m) };
        [matrix(a, n), matrix(b, m), matrix(c, n), d]
    }

    /// Predicts every row of `record` one step ahead and from its inputs alone, each stretch from its best start. The first
    /// rows of every stretch, as many as the horizon, are not counted.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a record of other channels or with fewer rows than twice the horizon.
    pub fn judge(&self, record: &Record) -> Result<Judgement, Error> {
        let p = self.matrices.outputs.len();
        for (what, expected, found) in
            [("inputs", self.matrices.inputs.len(), record.inputs()), ("outputs", p, record.outputs())]
        {
            if expected != found {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        let [a, b, c, d] = self.parts();
        let gain = matrix(&self.gain, p);
        let covariance = matrix(&self.innovation_covariance, p);
        let Some(factor) = covariance.cholesky() else {
            return Err(Error::NotPositive { what: "innovation covariance", index: 0 });
        };
        let mut sums = Sums::new(p);
        for (first, count) in record.stretches(2 * self.horizon) {
            let mut predicted = self.best_start(record, first, count);
            let mut simulated = predicted.clone();
            let mut last: Option<DVector<f64>> = None;
            for index in 0..count {
                let (u, y) = record.row(first + index);
                let u = DVector::from_iterator(u.len(), u.iter().zip(&self.matrices.u0).map(|(v, o)| v - o));
                let y = DVector::from_iterator(p, y.iter().zip(&self.matrices.y0).map(|(v, o)| v - o));
                let through = &d * &u;
                let innovation = &y - (&c * &predicted + &through);
                if index >= self.horizon {
                    let free = &y - (&c * &simulated + &through);
                    let nis = factor.solve(&innovation).dot(&innovation);
                    sums.add(&y, &innovation, &free, last.as_ref(), nis);
                    last = Some(innovation.clone());
                }
                let push = &b * &u;
                predicted = &a * predicted + &push + &gain * innovation;
                simulated = &a * simulated + push;
            }
        }
        sums.judgement().ok_or(Error::Dimension {
            what: "rows in one stretch",
            expected: 2 * self.horizon,
            found: record.len(),
        })
    }

    /// The state at the start of a stretch from which the inputs alone explain its outputs best.
    fn best_start(&self, record: &Record, first: usize, count: usize) -> DVector<f64> {
        let (n, p) = (self.order(), self.matrices.outputs.len());
        let [a, b, c, d] = self.parts();
        let (mut forced, mut power) = (DVector::zeros(n), DMatrix::identity(n, n));
        let (mut gram, mut right) = (DMatrix::zeros(n, n), DMatrix::zeros(n, 1));
        for index in first..first + count {
            let (u, y) = record.row(index);
            let u = DVector::from_iterator(u.len(), u.iter().zip(&self.matrices.u0).map(|(v, o)| v - o));
            let y = DVector::from_iterator(p, y.iter().zip(&self.matrices.y0).map(|(v, o)| v - o));
            let seen = &c * &power;
            gram += seen.tr_mul(&seen);
            right += seen.tr_mul(&(y - (&c * &forced + &d * &u)));
            forced = &a * forced + &b * u;
            power = &a * power;
        }
        let found = gram.iter().chain(right.iter()).all(|value| value.is_finite());
        let start = found.then(|| normal(&gram, &right).or_else(|| least_squares(&gram, &right))).flatten();
        start.map_or_else(|| DVector::zeros(n), |start| start.column(0).clone_owned())
    }

    /// The model as dynamics of a plant file: tied to no signal yet; the noise is the diagonal part that fits the
    /// innovations best, see [`noise`](super::noise).
    ///
    /// # Errors
    /// [`Error::Plant`] where a matrix is not finite.
    pub fn dynamics(&self) -> Result<Dynamics, Error> {
        let mut dynamics = Dynamics::new(Form::Linear(self.matrices.clone()))?;
        let (n, p) = (self.order(), self.matrices.outputs.len());
        let (gain, covariance) = (matrix(&self.gain, p), matrix(&self.innovation_covariance, p));
        let [a, _, c, _] = self.parts();
        let noise = of_predictor(&a, &c, &gain, &covariance)?;
        let TimeBase::Discrete { step_s } = self.matrices.base else { return Ok(dynamics) };
        // A variance of nothing would make a filter that never listens: one in ten thousand of the innovations stays.
        for output in 0..p {
            let least = 1e-4 * covariance[(output, output)];
            dynamics.output_sigma[output] = noise.measurement[output].max(least).sqrt();
        }
        let reach = c.row_iter().enumerate().map(|(out, row)| (row, covariance[(out, out)]));
        let reach: Vec<f64> = (0..n)
            .map(|state| {
                let moves =
                    reach.clone().map(|(row, spread)| spread / row[state].powi(2).max(f64::MIN_POSITIVE));
                moves.fold(f64::INFINITY, f64::min)
            })
            .collect();
        for (state, reach) in reach.into_iter().enumerate() {
            let variance = noise.process[state].max(1e-4 * reach.min(1.0));
            dynamics.process_sigma[state] = (variance / step_s).sqrt();
            dynamics.initial_sigma[state] = (100.0 * reach.min(1e12)).sqrt();
        }
        Ok(dynamics)
    }
}

/// What the figures are made of, per output.
struct Sums {
    rows: usize,
    mean: Vec<f64>,
    square: Vec<f64>,
    innovation: Vec<f64>,
    free: Vec<f64>,
    lagged: Vec<f64>,
    nis: f64,
}

impl Sums {
    fn new(outputs: usize) -> Self {
        let zeros = || vec![0.0; outputs];
        Self {
            rows: 0,
            mean: zeros(),
            square: zeros(),
            innovation: zeros(),
            free: zeros(),
            lagged: zeros(),
            nis: 0.0,
        }
    }

    fn add(
        &mut self,
        y: &DVector<f64>,
        innovation: &DVector<f64>,
        free: &DVector<f64>,
        last: Option<&DVector<f64>>,
        nis: f64,
    ) {
        self.rows += 1;
        self.nis += nis;
        for output in 0..y.len() {
            self.mean[output] += y[output];
            self.square[output] += y[output] * y[output];
            self.innovation[output] += innovation[output] * innovation[output];
            self.free[output] += free[output] * free[output];
            self.lagged[output] += innovation[output] * last.map_or(0.0, |last| last[output]);
        }
    }

    fn judgement(&self) -> Option<Judgement> {
        if self.rows == 0 {
            return None;
        }
        let rows = self.rows as f64;
        let spread = |output: usize| self.square[output] - self.mean[output] * self.mean[output] / rows;
        let fit = |errors: &[f64]| {
            let of = |(output, error): (usize, &f64)| {
                let spread = spread(output);
                if spread > 0.0 { 1.0 - (error / spread).sqrt() } else { f64::from(u8::from(*error <= 0.0)) }
            };
            errors.iter().enumerate().map(of).collect()
        };
        let ratio = |(lagged, square): (&f64, &f64)| if *square > 0.0 { lagged / square } else { 0.0 };
        Some(Judgement {
            predicted: fit(&self.innovation),
            simulated: fit(&self.free),
            normalised: self.nis / rows / self.mean.len() as f64,
            whiteness: self.lagged.iter().zip(&self.innovation).map(ratio).collect(),
            rows: self.rows,
        })
    }
}
