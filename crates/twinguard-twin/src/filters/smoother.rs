//! The Rauch–Tung–Striebel smoother: what the whole record says of each step, covariance as a sum of squares.
//!
//! Sources: Rauch, Tung, Striebel, *AIAA Journal* 3 (1965) 1445–1450; Särkkä, *Bayesian Filtering and Smoothing* (2013), §8.2
//! (linear), §9.2 (by sigma points). With C = cov(x, x⁺) and the predicted P⁻, K = C P⁻⁻¹, x̂ˢ = x̂ + K (x̂ˢ₊ − x̂⁻₊) and
//! Pˢ = P + K (Pˢ₊ − P⁻₊) Kᵀ.
//!
//! The last line subtracts. Here instead state and next state are orthogonalised together: with P = S Sᵀ, what the prediction
//! made of S (M = Φ S, or half differences of sigma points) and its added noise W Wᵀ, Gram–Schmidt of the rows
//! `[S 0; M W]` gives K and the covariance of x given x⁺ as factors, and Pˢ = (that) + K Pˢ₊ Kᵀ, two positive terms
//! (Bierman 1977, §X.2, has the same for the linear case). Cost: about 12 n³ a step; memory 3 n² numbers a step.

use super::kernel;
use super::{ExtendedKalman, LinearKalman, UnscentedKalman};
use crate::Error;

/// What a smoother has to know of a filter; after an update the first two, after a prediction all.
pub trait Smoothable {
    /// Order n.
    fn order(&self) -> usize;
    /// The estimate, n numbers.
    fn estimate(&self) -> &[f64];
    /// Writes any S with P = S Sᵀ, column by column (n × n).
    fn root(&self, out: &mut [f64]);
    /// Writes what the last prediction made of the columns of `before`, the S before it (n × n, by columns).
    fn moved(&self, before: &[f64], out: &mut [f64]);
    /// Writes the covariance that the last prediction added (n × n).
    fn added(&self, out: &mut [f64]);
}

/// Φ (by rows) times columns.
fn multiply(transition: &[f64], before: &[f64], out: &mut [f64], n: usize) {
    for (column, out) in before.chunks_exact(n.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
        for (row, out) in transition.chunks_exact(n.max(1)).zip(out) {
            *out = kernel::dot(row, column);
        }
    }
}

impl Smoothable for LinearKalman {
    fn order(&self) -> usize {
        self.kalman().order()
    }
    fn estimate(&self) -> &[f64] {
        self.kalman().mean()
    }
    fn root(&self, out: &mut [f64]) {
        self.kalman().root(out);
    }
    fn moved(&self, before: &[f64], out: &mut [f64]) {
        let n = self.order();
        let (columns, _) = self.matrices();
        for (column, out) in before.chunks_exact(n.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
            out.fill(0.0);
            for (from, factor) in columns.chunks_exact(n.max(1)).zip(column) {
                out.iter_mut().zip(from).for_each(|(out, from)| *out += factor * from);
            }
        }
    }
    fn added(&self, out: &mut [f64]) {
        out.copy_from_slice(self.matrices().1);
    }
}

impl Smoothable for ExtendedKalman {
    fn order(&self) -> usize {
        self.kalman().order()
    }
    fn estimate(&self) -> &[f64] {
        self.kalman().mean()
    }
    fn root(&self, out: &mut [f64]) {
        self.kalman().root(out);
    }
    fn moved(&self, before: &[f64], out: &mut [f64]) {
        multiply(self.transition(), before, out, self.kalman().order());
    }
    fn added(&self, out: &mut [f64]) {
        out.copy_from_slice(self.process());
    }
}

impl Smoothable for UnscentedKalman {
    fn order(&self) -> usize {
        Self::order(self)
    }
    fn estimate(&self) -> &[f64] {
        self.mean()
    }
    fn root(&self, out: &mut [f64]) {
        Self::root(self, out);
    }
    fn moved(&self, _: &[f64], out: &mut [f64]) {
        // The points were drawn from the very factor that `root` gave.
        out.copy_from_slice(Self::moved(self));
    }
    fn added(&self, out: &mut [f64]) {
        Self::added(self, out);
    }
}

/// A smoothed step.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothed {
    /// Estimate given the whole record.
    pub mean: Vec<f64>,
    /// Its covariance, n × n.
    pub covariance: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Step {
    mean: Vec<f64>,
    root: Vec<f64>,
    /// x̂⁻, M and added covariance of the prediction that led here; empty for the first step.
    predicted: Vec<f64>,
    moved: Vec<f64>,
    added: Vec<f64>,
}

/// A record of a filter's run, forwards, and its smoothing, backwards.
///
/// ```
/// use twinguard_twin::filters::{LinearKalman, Smoother};
///
/// let mut filter = LinearKalman::new(&[1.0], &[0.01], &[1.0], &[1.0], &[0.0], &[100.0])?;
/// let mut smoother = Smoother::default();
/// for measured in [1.0, 3.0, 2.0] {
///     filter.predict();
///     smoother.predicted(&filter);
///     filter.update(&[Some(measured)])?;
///     smoother.updated(&filter)?;
/// }
/// let smoothed = smoother.smooth();
/// assert!((smoothed[0].mean[0] - 2.0).abs() < 0.1, "the first step knows what came after it");
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Smoother {
    order: usize,
    steps: Vec<Step>,
    next: Option<Step>,
}

impl Smoother {
    /// Notes a prediction. Not needed before the first update; a step without measurements is predicted and updated with
    /// nothing.
    pub fn predicted(&mut self, filter: &impl Smoothable) {
        let n = filter.order();
        let mut step = Step {
            mean: Vec::new(),
            root: vec![0.0; n * n],
            predicted: filter.estimate().to_vec(),
            moved: vec![0.0; n * n],
            added: vec![0.0; n * n],
        };
        if let Some(before) = self.steps.last().filter(|before| before.mean.len() == n) {
            filter.moved(&before.root, &mut step.moved);
            filter.added(&mut step.added);
        }
        self.next = Some(step);
    }

    /// Notes an update: the step is complete.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a filter of another order than the steps before, [`Error::Unordered`] for a second step
    /// whose prediction was not noted.
    pub fn updated(&mut self, filter: &impl Smoothable) -> Result<(), Error> {
        let n = filter.order();
        if self.steps.is_empty() {
            self.order = n;
        } else if n != self.order {
            return Err(Error::Dimension { what: "smoothed states", expected: self.order, found: n });
        }
        let mut step = match self.next.take() {
            Some(step) => step,
            None if self.steps.is_empty() => Step {
                mean: Vec::new(),
                root: vec![0.0; n * n],
                predicted: Vec::new(),
                moved: Vec::new(),
                added: Vec::new(),
            },
            None => return Err(Error::Unordered { what: "an update without its prediction" }),
        };
        step.mean = filter.estimate().to_vec();
        filter.root(&mut step.root);
        self.steps.push(step);
        Ok(())
    }

    /// Steps so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// All steps, given everything that was measured, in their order.
    #[must_use]
    pub fn smooth(&self) -> Vec<Smoothed> {
        let n = self.order;
        let mut smoothed = Vec::with_capacity(self.steps.len());
        let Some(last) = self.steps.last() else { return smoothed };
        let (mut mean, mut root) = (last.mean.clone(), last.root.clone());
        smoothed.push(Smoothed { mean: mean.clone(), covariance: squares(n, &root) });
        let mut room = Room::new(n);
        for pair in self.steps.windows(2).rev() {
            let [step, next] = pair else { continue };
            room.join(step, next);
            // K (x̂ˢ₊ − x̂⁻₊), then K Sˢ₊, beside the factors of what x⁺ does not tell of x.
            let mut rest: Vec<f64> = mean.iter().zip(&next.predicted).map(|(s, p)| s - p).collect();
            let gained = room.gain(&mut rest);
            mean = step.mean.iter().zip(&gained).map(|(mean, gained)| mean + gained).collect();
            let mut columns = Vec::with_capacity(2 * n * n);
            for k in 0..n {
                columns.extend(room.own(k));
            }
            for column in root.chunks_exact_mut(n.max(1)) {
                columns.extend(room.gain(column));
            }
            root = room.shrink(&columns);
            smoothed.push(Smoothed { mean: mean.clone(), covariance: squares(n, &root) });
        }
        smoothed.reverse();
        smoothed
    }
}

fn squares(n: usize, root: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for column in root.chunks_exact(n.max(1)) {
        for (row, factor) in out.chunks_exact_mut(n.max(1)).zip(column) {
            row.iter_mut().zip(column).for_each(|(out, other)| *out += factor * other);
        }
    }
    out
}

/// State (first n) and next state (last n) together: U and D of their joint covariance.
struct Room {
    n: usize,
    rows: Vec<f64>,
    weights: Vec<f64>,
    u: Vec<f64>,
    d: Vec<f64>,
    noise: Vec<f64>,
    noise_u: Vec<f64>,
}

impl Room {
    fn new(n: usize) -> Self {
        Self {
            n,
            rows: Vec::new(),
            weights: Vec::new(),
            u: vec![0.0; 4 * n * n],
            d: vec![0.0; 2 * n],
            noise: vec![0.0; n * n],
            noise_u: vec![0.0; n * n],
        }
    }

    fn join(&mut self, step: &Step, next: &Step) {
        let (n, width) = (self.n, 2 * self.n);
        self.rows.clear();
        self.rows.resize(2 * n * width, 0.0);
        self.weights.clear();
        self.weights.resize(width, 1.0);
        self.noise.copy_from_slice(&next.added);
        // What of the added covariance is not positive semi-definite adds nothing.
        let _ = kernel::semidefinite(n, &mut self.noise, &mut self.noise_u, &mut self.weights[n..]);
        for i in 0..n {
            for k in 0..n {
                self.rows[i * width + k] = step.root[k * n + i];
                self.rows[(n + i) * width + k] = next.moved[k * n + i];
                self.rows[(n + i) * width + n + k] = self.noise_u[k * n + i];
            }
        }
        kernel::orthogonalise(2 * n, width, &mut self.rows, &self.weights, &mut self.u, &mut self.d);
    }

    fn entry(&self, row: usize, column: usize) -> f64 {
        self.u[column * 2 * self.n + row]
    }

    /// K x = Uₓₙ Uₙₙ⁻¹ x; spoils x.
    fn gain(&self, x: &mut [f64]) -> Vec<f64> {
        let n = self.n;
        for row in (0..n).rev() {
            let known: f64 = (row + 1..n).map(|k| self.entry(n + row, n + k) * x[k]).sum();
            x[row] -= known;
        }
        (0..n).map(|i| (0..n).map(|k| self.entry(i, n + k) * x[k]).sum()).collect()
    }

    /// Column k of the root of cov(x | x⁺).
    fn own(&self, k: usize) -> impl Iterator<Item = f64> + '_ {
        let size = self.d[k].sqrt();
        (0..self.n).map(move |i| self.entry(i, k) * size)
    }

    /// n columns with the same sum of squares as these.
    fn shrink(&mut self, columns: &[f64]) -> Vec<f64> {
        let (n, width) = (self.n, 2 * self.n);
        self.rows.resize(n * width, 0.0);
        self.weights.fill(1.0);
        for (k, column) in columns.chunks_exact(n.max(1)).enumerate() {
            column.iter().enumerate().for_each(|(i, entry)| self.rows[i * width + k] = *entry);
        }
        let (u, d) = (&mut self.u[..n * n], &mut self.d[..n]);
        kernel::orthogonalise(n, width, &mut self.rows[..n * width], &self.weights, u, d);
        let sized = u.chunks_exact(n.max(1)).zip(&*d);
        sized.flat_map(|(column, d)| column.iter().map(|entry| entry * d.sqrt())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// A constant seen k times: every step's smoothed estimate is the mean of all, with variance 1/k (prior aside).
        #[test]
        fn a_constant_is_known_as_well_at_the_start_as_at_the_end(z in prop::collection::vec(-5.0f64..5.0, 1..30)) {
            let mut filter = LinearKalman::new(&[1.0], &[0.0], &[1.0], &[1.0], &[0.0], &[1e9]).unwrap();
            let mut smoother = Smoother::default();
            for measured in &z {
                filter.predict();
                smoother.predicted(&filter);
                filter.update(&[Some(*measured)]).unwrap();
                smoother.updated(&filter).unwrap();
            }
            let mean = z.iter().sum::<f64>() / z.len() as f64;
            for step in smoother.smooth() {
                prop_assert!((step.mean[0] - mean).abs() < 1e-6);
                prop_assert!((step.covariance[0] * z.len() as f64 - 1.0).abs() < 1e-6);
            }
        }
    }

    /// Smoothing is least squares over the whole path: the gradient of the cost is zero at its result.
    #[test]
    fn the_smoothed_path_is_the_least_squares_path() {
        let (f, h) = ([1.0, 0.5, -0.1, 0.9], [1.0, 0.0]);
        let (q, r) = ([0.1, 0.2], 0.3);
        let mut filter =
            LinearKalman::new(&f, &[q[0], 0.0, 0.0, q[1]], &h, &[r], &[0.5, -0.5], &[2.0, 0.0, 0.0, 1.0])
                .unwrap();
        let z = [1.0, 0.2, -0.4, 0.9, 1.3];
        let mut smoother = Smoother::default();
        for (step, measured) in z.iter().enumerate() {
            if step > 0 {
                filter.predict();
                smoother.predicted(&filter);
            }
            filter.update(&[Some(*measured)]).unwrap();
            smoother.updated(&filter).unwrap();
        }
        let path: Vec<Vec<f64>> = smoother.smooth().into_iter().map(|step| step.mean).collect();
        let cost = |path: &[Vec<f64>]| {
            let start = (path[0][0] - 0.5f64).powi(2) / 2.0 + (path[0][1] + 0.5f64).powi(2) / 1.0;
            let seen: f64 = path.iter().zip(z).map(|(x, z)| (z - x[0]).powi(2) / r).sum();
            let moves: f64 = path
                .windows(2)
                .map(|pair| {
                    let (a, b) = (&pair[0], &pair[1]);
                    (0..2).map(|i| (b[i] - f[2 * i] * a[0] - f[2 * i + 1] * a[1]).powi(2) / q[i]).sum::<f64>()
                })
                .sum();
            start + seen + moves
        };
        let least = cost(&path);
        for step in 0..path.len() {
            for state in 0..2 {
                for change in [1e-3, -1e-3] {
                    let mut other = path.clone();
                    other[step][state] += change;
                    assert!(cost(&other) > least);
                }
            }
        }
    }

    #[test]
    fn what_was_not_predicted_is_refused() {
        let mut filter = LinearKalman::new(&[1.0], &[0.0], &[1.0], &[1.0], &[0.0], &[1.0]).unwrap();
        let mut smoother = Smoother::default();
        filter.update(&[Some(1.0)]).unwrap();
        smoother.updated(&filter).unwrap();
        assert!(matches!(smoother.updated(&filter), Err(Error::Unordered { .. })));
        assert_eq!(smoother.len(), 1);
        assert!(Smoother::default().smooth().is_empty() && Smoother::default().is_empty());
    }
}
