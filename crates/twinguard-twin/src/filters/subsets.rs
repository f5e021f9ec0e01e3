//! Leave-one-out filters: for every sensor, what all others say of it, with the model's work done once.
//!
//! Sources: Bierman 1977, §V.3, for the filters; the bank is that of Clark's dedicated observers in its generalised form (Frank,
//! *Automatica* 26 (1990) 459, §3.2: each observer is driven by all outputs but one). A sensor whose own filter finds it far off
//! while that filter fits the others is the one that lies; if all leave-one-out filters but one are disturbed, that one
//! leaves out the culprit.
//!
//! The main filter evaluates f, h, Φ, H and Q; each leave-one-out filter keeps only its distance δᵢ to the main estimate and its
//! own factors: δᵢ⁻ = Φ δᵢ, and its innovations are the main ones less H δᵢ⁻. For linear models that is exact, for others as
//! good as the linearisation over the distance. Cost: m times a factored step of m − 1 channels, without model calls.

use super::{ExtendedKalman, Kalman};
use crate::Error;

/// What the others say of a channel that was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeftOut {
    /// Measured minus what the others predict; `None` when the channel was not measured.
    pub rest: Option<f64>,
    /// Variance of that, its own noise included.
    pub variance: f64,
    /// Normalised innovation squared of the others under this filter.
    pub nis: f64,
    /// Channels in that.
    pub dof: usize,
    /// Log-likelihood of the others under this filter, nats.
    pub log_likelihood: f64,
}

/// One filter per channel, each blind to that channel.
#[derive(Clone, Debug)]
pub struct LeaveOneOut {
    others: Vec<Kalman>,
    before: Vec<f64>,
    columns: Vec<f64>,
    moved: Vec<f64>,
    rests: Vec<Option<f64>>,
    found: Vec<LeftOut>,
}

impl LeaveOneOut {
    /// Starts every filter where the main one stands.
    ///
    /// # Errors
    /// None beyond what the main filter has been made with.
    pub fn new(main: &ExtendedKalman) -> Result<Self, Error> {
        let (n, m) = (main.kalman().order(), main.channels());
        let (u, d) = main.kalman().factors();
        let mut start = Kalman::new(&vec![0.0; n], &vec![0.0; n * n], m)?;
        start.set_factors(&vec![0.0; n], u, d)?;
        Ok(Self {
            others: vec![start; m],
            before: main.kalman().mean().to_vec(),
            columns: vec![0.0; n * n],
            moved: vec![0.0; n],
            rests: vec![None; m],
            found: vec![LeftOut::default(); m],
        })
    }

    /// Follows the prediction that the main filter has just made.
    pub fn predicted(&mut self, main: &ExtendedKalman) {
        let n = self.before.len();
        let transition = main.transition();
        for (at, entry) in self.columns.iter_mut().enumerate() {
            *entry = transition[at % n * n + at / n];
        }
        for other in &mut self.others {
            for (moved, row) in self.moved.iter_mut().zip(transition.chunks_exact(n.max(1))) {
                *moved = dot(row, other.mean());
            }
            other.mean_mut().copy_from_slice(&self.moved);
            other.predict(&self.columns, main.process());
        }
        self.before.copy_from_slice(main.kalman().mean());
    }

    /// Follows the update that the main filter has just made with noise of these variances.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of variances.
    pub fn updated(&mut self, main: &ExtendedKalman, variance: &[f64]) -> Result<&[LeftOut], Error> {
        let n = self.before.len();
        let (observation, _) = main.observation();
        let row = |channel: usize| &observation[channel * n..][..n];
        for (channel, (other, left)) in self.others.iter_mut().zip(&mut self.found).enumerate() {
            for ((at, rest), innovation) in self.rests.iter_mut().enumerate().zip(main.innovations()) {
                *rest = innovation.map(|innovation| innovation - dot(row(at), other.mean()));
            }
            let own = self.rests[channel].take();
            left.rest = own.filter(|own| own.is_finite());
            left.variance = other.variance(row(channel)) + variance.get(channel).copied().unwrap_or(0.0);
            let told = other.update(&self.rests, observation, variance)?;
            (left.nis, left.dof, left.log_likelihood) = (told.nis, told.dof(), told.log_likelihood());
            for ((distance, before), after) in
                other.mean_mut().iter_mut().zip(&self.before).zip(main.kalman().mean())
            {
                *distance -= after - before;
            }
        }
        Ok(&self.found)
    }

    /// What was last said of each channel.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.found
    }

    /// How far the estimate without this channel lies from the main one.
    #[must_use]
    pub fn distance(&self, channel: usize) -> Option<&[f64]> {
        self.others.get(channel).map(Kalman::mean)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeBase;
    use crate::filters::LinearKalman;
    use crate::models::linear::{Linear, Matrices};
    use crate::noise::Noise;

    const F: [f64; 4] = [0.9, 0.2, -0.1, 0.8];
    const H: [f64; 6] = [1.0, 0.0, 0.0, 1.0, 1.0, -1.0];
    const R: [f64; 3] = [0.1, 0.2, 0.3];

    fn model() -> Linear {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Matrices {
            base: TimeBase::Discrete { step_s: 1.0 },
            states: names(&["a", "b"]),
            inputs: Vec::new(),
            outputs: names(&["p", "q", "r"]),
            a: F.chunks(2).map(<[f64]>::to_vec).collect(),
            b: vec![vec![], vec![]],
            c: H.chunks(2).map(<[f64]>::to_vec).collect(),
            d: vec![vec![], vec![], vec![]],
            x0: vec![],
            u0: vec![],
            y0: vec![],
        }
        .model()
        .unwrap()
    }

    /// On a linear model each is the filter that never heard of its channel, gaps and all.
    #[test]
    fn each_is_the_filter_without_its_channel() {
        let model = model();
        let mut main = ExtendedKalman::new(&model, &[1.0, -1.0], &[1.0, 2.0], &[0.3, 0.1]).unwrap();
        let mut bank = LeaveOneOut::new(&main).unwrap();
        let (p, q) = ([1.0, 0.0, 0.0, 4.0], [0.3 * 0.3, 0.0, 0.0, 0.1 * 0.1]);
        let mut alone: Vec<LinearKalman> =
            (0..3).map(|_| LinearKalman::new(&F, &q, &H, &R, &[1.0, -1.0], &p).unwrap()).collect();
        let mut noise = Noise::new(9, 0);
        for step in 0..30 {
            let z = [0, 1, 2].map(|at| (step != 5 || at != 1).then_some(2.0 * noise.gaussian()));
            main.predict(&model, 0.0, 1.0, 1.0, &[]).unwrap();
            bank.predicted(&main);
            main.update(&model, 0.0, &[], &z, &R).unwrap();
            bank.updated(&main, &R).unwrap();
            for (channel, filter) in alone.iter_mut().enumerate() {
                let mut without = z;
                without[channel] = None;
                filter.predict();
                let h = &H[2 * channel..][..2];
                let left = bank.left_out()[channel];
                let rest = z[channel].map(|z| z - dot(h, filter.kalman().mean()));
                assert_eq!(left.rest.is_some(), rest.is_some());
                assert!(left.rest.zip(rest).is_none_or(|(a, b)| (a - b).abs() < 1e-10));
                assert!((left.variance - filter.kalman().variance(h) - R[channel]).abs() < 1e-10);
                let found = filter.update(&without).unwrap();
                assert!((left.nis - found.nis).abs() < 1e-9 && left.dof == found.dof());
                assert!((left.log_likelihood - found.log_likelihood()).abs() < 1e-9);
                let distance = bank.distance(channel).unwrap();
                for (i, distance) in distance.iter().enumerate() {
                    assert!((main.kalman().mean()[i] + distance - filter.kalman().mean()[i]).abs() < 1e-10);
                }
            }
        }
        assert!(bank.distance(3).is_none());
    }

    #[test]
    fn the_sensor_that_lies_is_the_one_whose_absence_heals() {
        let model = model();
        let mut main = ExtendedKalman::new(&model, &[0.0, 0.0], &[1.0, 1.0], &[0.1, 0.1]).unwrap();
        let mut bank = LeaveOneOut::new(&main).unwrap();
        let mut noise = Noise::new(4, 0);
        let mut x = [0.0; 2];
        let mut sums = [0.0; 3];
        for step in 0..400 {
            x = [
                F[0] * x[0] + F[1] * x[1] + 0.1 * noise.gaussian(),
                F[2] * x[0] + F[3] * x[1] + 0.1 * noise.gaussian(),
            ];
            let bias = [0.0, if step >= 200 { 3.0 } else { 0.0 }, 0.0];
            let truth = [x[0], x[1], x[0] - x[1]];
            let z = [0, 1, 2].map(|at| Some(truth[at] + bias[at] + R[at].sqrt() * noise.gaussian()));
            main.predict(&model, 0.0, 1.0, 1.0, &[]).unwrap();
            bank.predicted(&main);
            main.update(&model, 0.0, &[], &z, &R).unwrap();
            let found = bank.updated(&main, &R).unwrap();
            if step >= 200 {
                sums.iter_mut().zip(found).for_each(|(sum, left)| *sum += left.nis / 200.0);
            }
        }
        assert!(sums[1] < 2.4 && sums[0] > 3.0 && sums[2] > 3.0, "{sums:?}");
        let rest = bank.left_out()[1];
        assert!(rest.rest.unwrap() / rest.variance.sqrt() > 1.5);
    }
}
