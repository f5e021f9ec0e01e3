//! Process and measurement variances from innovations, for a model that is known.
//!
//! Source: B. Odelson, M. Rajamani, J. Rawlings, *Automatica* 42 (2006) 303–308 (autocovariance least squares), with diagonal
//! Q and R and non-negativity. A filter with any gain K that settles has innovations e whose covariances are linear in
//! Q and R: with Ā = A − K C and P = Ā P Āᵀ + Q + K R Kᵀ, E e(t)e(t)ᵀ = C P Cᵀ + R and
//! E e(t+j)e(t)ᵀ = C Āʲ P Cᵀ − C Āʲ⁻¹ K R. (R. Mehra, *IEEE Trans. Automatic Control* 15 (1970) 175–184 solves the same in steps
//! and needs the optimal gain's structure.)
//!
//! It lies when the model's dynamics are wrong (their error is booked as process noise, which is what a filter wants),
//! and when more variances are asked than outputs can show: the sum is right then, the parts are not.

use nalgebra::{DMatrix, DVector};

use super::{
    dense::{matrix, non_negative, spectral_radius, stationary},
    record::Record,
};
use crate::{Error, models::linear::Matrices};

/// Variances of a discrete model.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Of the process, per state and step.
    pub process: Vec<f64>,
    /// Of the measurement, per output.
    pub measurement: Vec<f64>,
}

/// Lags of the covariances.
const LAGS: usize = 15;

/// Finds the variances with which `model` explains `record`. `guess` is where the filter starts that makes the
/// innovations: any positive variances do, rough ones are good enough.
///
/// # Errors
/// [`Error::Dimension`] for a record of other channels, [`Error::Unidentifiable`] for too few rows or a model that its
/// outputs do not show, [`Error::NotPositive`] for a guess.
pub fn noise(model: &Matrices, record: &Record, guess: &Noise) -> Result<Noise, Error> {
    let (n, m, p) = (model.states.len(), model.inputs.len(), model.outputs.len());
    let sizes = [
        ("inputs", m, record.inputs()),
        ("outputs", p, record.outputs()),
        ("process variances", n, guess.process.len()),
        ("measurement variances", p, guess.measurement.len()),
    ];
    for (what, expected, found) in sizes {
        if expected != found {
            return Err(Error::Dimension { what, expected, found });
        }
    }
    for (index, value) in guess.process.iter().chain(&guess.measurement).enumerate() {
        if !(*value > 0.0 && value.is_finite()) {
            return Err(Error::NotPositive { what: "guessed variance", index });
        }
    }
    let [a, c] = [matrix(&model.a, n), matrix(&model.c, n)];
    let diagonal = |values: &[f64]| DMatrix::from_diagonal(&DVector::from_row_slice(values));
    let unseen = || Error::Unidentifiable {
        what: "model".to_owned(),
        reason: "has states that its outputs do not show",
    };
    let (gain, _) =
        stationary(&a, &c, &diagonal(&guess.process), &DMatrix::zeros(n, p), &diagonal(&guess.measurement))
            .ok_or_else(unseen)?;
    let closed = &a - &gain * &c;
    if spectral_radius(&closed) >= 1.0 {
        return Err(unseen());
    }
    let found = covariances(model, record, &gain)?;
    solve(&closed, &gain, &c, &found)
}

/// Sample covariances of the innovations at lags 0 to LAGS − 1.
fn covariances(model: &Matrices, record: &Record, gain: &DMatrix<f64>) -> Result<Vec<DMatrix<f64>>, Error> {
    let (n, p) = (model.states.len(), model.outputs.len());
    let zero = |values: &[f64], at: usize| values.get(at).copied().unwrap_or_default();
    let b = if model.b.is_empty() {
        DMatrix::zeros(n, model.inputs.len())
    } else {
        matrix(&model.b, model.inputs.len())
    };
    let d = if model.d.is_empty() {
        DMatrix::zeros(p, model.inputs.len())
    } else {
        matrix(&model.d, model.inputs.len())
    };
    let [a, c] = [matrix(&model.a, n), matrix(&model.c, n)];
    let settle = 3 * LAGS;
    let mut sums = vec![DMatrix::<f64>::zeros(p, p); LAGS];
    let mut counts = [0.0_f64; LAGS];
    for (first, count) in record.stretches(settle + LAGS) {
        let mut x = DVector::zeros(n);
        let mut recent: Vec<DVector<f64>> = Vec::with_capacity(count - settle);
        for index in 0..count {
            let (u, y) = record.row(first + index);
            let u =
                DVector::from_iterator(u.len(), u.iter().enumerate().map(|(at, v)| v - zero(&model.u0, at)));
            let y = DVector::from_iterator(p, y.iter().enumerate().map(|(at, v)| v - zero(&model.y0, at)));
            let innovation = y - (&c * &x + &d * &u);
            x = &a * x + &b * u + gain * &innovation;
            if index >= settle {
                recent.push(innovation);
            }
        }
        for lag in 0..LAGS {
            for (early, late) in recent.iter().zip(recent.iter().skip(lag)) {
                sums[lag] += late * early.transpose();
                counts[lag] += 1.0;
            }
        }
    }
    if counts[LAGS - 1] < 2.0 * LAGS as f64 || sums.iter().any(|sum| sum.iter().any(|v| !v.is_finite())) {
        return Err(Error::Unidentifiable {
            what: "record".to_owned(),
            reason: "has too few rows in one stretch",
        });
    }
    Ok(sums.into_iter().zip(counts).map(|(sum, count)| sum / count).collect())
}

/// The non-negative variances whose covariances are nearest to `found`, every output on its own scale.
fn solve(
    closed: &DMatrix<f64>,
    gain: &DMatrix<f64>,
    c: &DMatrix<f64>,
    found: &[DMatrix<f64>],
) -> Result<Noise, Error> {
    let (n, p) = (closed.nrows(), c.nrows());
    let lost = || Error::NotFinite { what: "noise covariances", time_s: 0.0 };
    let scale: Vec<f64> = (0..p).map(|out| found[0][(out, out)].sqrt().max(f64::MIN_POSITIVE)).collect();
    let rows = found.len() * p * p;
    let mut columns = DMatrix::zeros(rows, n + p);
    for unknown in 0..n + p {
        let mut drive = DMatrix::zeros(n, n);
        let mut own = DMatrix::zeros(p, p);
        if unknown < n {
            drive[(unknown, unknown)] = 1.0;
        } else {
            let column = gain.column(unknown - n);
            drive = column * column.transpose();
            own[(unknown - n, unknown - n)] = 1.0;
        }
        let spread = lyapunov(closed, &drive).ok_or_else(lost)?;
        let mut carried = &spread * c.transpose();
        let mut forward = gain * &own;
        for (lag, _) in found.iter().enumerate() {
            let block = if lag == 0 { c * &carried + &own } else { c * &carried - c * &forward };
            for i in 0..p {
                for j in 0..p {
                    columns[(lag * p * p + i * p + j, unknown)] = block[(i, j)] / scale[i] / scale[j];
                }
            }
            carried = closed * carried;
            if lag > 0 {
                forward = closed * forward;
            }
        }
    }
    let target = DVector::from_fn(rows, |row, _| {
        let (lag, i, j) = (row / (p * p), row / p % p, row % p);
        found[lag][(i, j)] / scale[i] / scale[j]
    });
    // Columns of one size, so that a state in small units is not left out.
    let norms: Vec<f64> = columns.column_iter().map(|column| column.norm().max(f64::MIN_POSITIVE)).collect();
    for (at, norm) in norms.iter().enumerate() {
        columns.column_mut(at).unscale_mut(*norm);
    }
    let solution = non_negative(&columns, &target).ok_or_else(lost)?;
    let value = |at: usize| solution[at] / norms[at];
    Ok(Noise { process: (0..n).map(value).collect(), measurement: (n..n + p).map(value).collect() })
}

/// P = A P Aᵀ + Q for stable A, by doubling.
fn lyapunov(a: &DMatrix<f64>, q: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let (mut power, mut sum) = (a.clone(), q.clone());
    for _ in 0..64 {
        let next = &sum + &power * &sum * power.transpose();
        if next.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let change = (&next - &sum).amax();
        sum = next;
        if change <= 1e-15 * sum.amax() {
            break;
        }
        power = &power * &power;
    }
    Some(sum)
}

/// Diagonal variances whose stationary filter behaves like the predictor (A, C, K, Λ): what [`noise`] would find in an
/// endless record of that predictor's innovations.
pub(super) fn of_predictor(
    a: &DMatrix<f64>,
    c: &DMatrix<f64>,
    gain: &DMatrix<f64>,
    covariance: &DMatrix<f64>,
) -> Result<Noise, Error> {
    let p = c.nrows();
    let mut white = vec![DMatrix::zeros(p, p); LAGS];
    white[0].copy_from(covariance);
    solve(&(a - gain * c), gain, c, &white)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TimeBase, noise::Noise as Random};

    #[test]
    fn variances_come_back_from_a_rough_guess() {
        let model = Matrices {
            base: TimeBase::Discrete { step_s: 1.0 },
            states: vec!["a".into(), "b".into()],
            inputs: vec![],
            outputs: vec!["y".into()],
            a: vec![vec![0.9, 0.2], vec![0.0, 0.7]],
            b: vec![vec![], vec![]],
            c: vec![vec![1.0, 0.0]],
            d: vec![],
            x0: vec![],
            u0: vec![],
            y0: vec![],
        };
        let mut random = Random::new(7, 1);
        let mut normal = || random.gaussian();
        let mut record = Record::empty(1.0, 0, 1).unwrap();
        let mut x = [0.0, 0.0];
        for _ in 0..60_000 {
            record.push([x[0] + 0.5 * normal()]);
            x = [0.9 * x[0] + 0.2 * x[1] + 0.1 * normal(), 0.7 * x[1] + normal()];
        }
        let guess = Noise { process: vec![1.0, 1.0], measurement: vec![1.0] };
        let found = noise(&model, &record, &guess).unwrap();
        assert!((found.process[1] - 1.0).abs() < 0.15, "{found:?}");
        assert!((found.measurement[0] - 0.25).abs() < 0.02, "{found:?}");
        let wrong = Noise { process: vec![0.0, 1.0], measurement: vec![1.0] };
        assert!(matches!(noise(&model, &record, &wrong), Err(Error::NotPositive { .. })));
    }

    #[test]
    fn a_predictor_is_turned_into_its_noise() {
        // x⁺ = x + w, y = x + v with q = r = 1: K = golden/(golden + 1), Λ = golden + 1.
        let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
        let one = |value: f64| DMatrix::from_element(1, 1, value);
        let noise =
            of_predictor(&one(1.0), &one(1.0), &one(golden / (golden + 1.0)), &one(golden + 1.0)).unwrap();
        assert!(
            (noise.process[0] - 1.0).abs() < 1e-9 && (noise.measurement[0] - 1.0).abs() < 1e-9,
            "{noise:?}"
        );
    }
}
