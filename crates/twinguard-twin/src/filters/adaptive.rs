//! Noise learnt from innovations, and the verdict that a filter has lost its plant.
//!
//! Sources: Mehra, *IEEE Trans. Automatic Control* 17 (1972) 693, §IV (covariance matching); Mohamed, Schwarz, *J. Geodesy* 73
//! (1999) 193, eq. 12 (R from innovations); Bar-Shalom, Li, Kirubarajan (2001), §5.4.2 (time-average NIS test); Wilson, Hilferty,
//! *PNAS* 17 (1931) 684 (χ² by a cube root). With the innovation ν, its covariance S = H P⁻ Hᵀ + R: R̂ = mean(ν²) − (S − R),
//! channel by channel, and the process noise is multiplied by mean(NIS / dof) when that is what shall follow.
//!
//! When it lies: R and Q cannot both be learnt from the size of innovations alone, so one is declared and the other follows.
//! During an incident the attacker teaches: whoever sees an alarm calls [`NoiseLearner::freeze`]. A bias looks like noise.

use super::Innovation;
use crate::Error;

/// Measurement noise by covariance matching, with a memory in updates.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseLearner {
    variance: Vec<f64>,
    declared: Vec<f64>,
    process_scale: f64,
    memory: f64,
    most: f64,
    counts: Vec<u32>,
    updates: u32,
    frozen: bool,
}

impl NoiseLearner {
    /// Starts at the declared noise variances; `memory` is in updates (at least 2), and what is learnt stays within a factor
    /// of `most` (at least 1) of what was declared.
    ///
    /// # Errors
    /// [`Error::NotPositive`] for noise that is not positive, a memory below 2, a factor below 1.
    pub fn new(variance: &[f64], memory: f64, most: f64) -> Result<Self, Error> {
        if let Some(index) = variance.iter().position(|variance| !(*variance > 0.0 && variance.is_finite())) {
            return Err(Error::NotPositive { what: "measurement noise", index });
        }
        if !(memory >= 2.0 && memory.is_finite() && most >= 1.0 && most.is_finite()) {
            return Err(Error::NotPositive { what: "memory or bound of a noise learner", index: 0 });
        }
        Ok(Self {
            variance: variance.to_vec(),
            declared: variance.to_vec(),
            process_scale: 1.0,
            memory,
            most,
            counts: vec![0; variance.len()],
            updates: 0,
            frozen: false,
        })
    }

    /// The noise variances to hand to the next update.
    #[must_use]
    pub fn variance(&self) -> &[f64] {
        &self.variance
    }

    /// What to multiply the declared process noise by, when measurement noise is the one that is trusted.
    #[must_use]
    pub fn process_scale(&self) -> f64 {
        self.process_scale
    }

    /// Stops or resumes learning.
    pub fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Learns from an update that ran with [`variance`](Self::variance). Channels beyond those declared are ignored.
    pub fn observe(&mut self, found: &Innovation<'_>) {
        if self.frozen || found.dof() == 0 {
            return;
        }
        let mut row_start = 0;
        for (row, (channel, innovation)) in found.used.iter().zip(found.innovation).enumerate() {
            let entries = &found.factor[row_start..=row_start + row];
            row_start += row + 1;
            let Some(variance) = self.variance.get_mut(*channel) else { continue };
            let predicted: f64 = entries.iter().map(|entry| entry * entry).sum();
            // A plain mean at first, then one that forgets.
            self.counts[*channel] = self.counts[*channel].saturating_add(1);
            let weight = (1.0 / (f64::from(self.counts[*channel]) + 1.0)).max(1.0 / self.memory);
            let told = innovation * innovation - (predicted - *variance);
            let declared = self.declared[*channel];
            let next = *variance + weight * (told - *variance);
            *variance = next.clamp(declared / self.most, declared * self.most);
        }
        self.updates = self.updates.saturating_add(1);
        let weight = (1.0 / (f64::from(self.updates) + 1.0)).max(1.0 / self.memory);
        let next = self.process_scale * (1.0 + weight * (found.nis / found.dof() as f64 - 1.0));
        self.process_scale = next.clamp(1.0 / self.most, self.most);
    }
}

/// Whether innovations are still as small as the filter claims, over a window of updates.
#[derive(Clone, Debug, PartialEq)]
pub struct Consistency {
    ring: Vec<(f64, usize)>,
    next: usize,
    sigmas: f64,
}

impl Consistency {
    /// Looks at the last `window` updates (at least 1) and calls a filter lost when their NIS together is as far out as a
    /// normal number is beyond `sigmas`: 6 is a false verdict in a billion windows.
    #[must_use]
    pub fn new(window: usize, sigmas: f64) -> Self {
        Self { ring: vec![(0.0, 0); window.clamp(1, 1 << 20)], next: 0, sigmas }
    }

    /// Takes in an update.
    ///
    /// # Errors
    /// [`Error::Lost`] with the mean NIS per degree of freedom when the window no longer fits, or at once when an innovation is
    /// not a number.
    pub fn observe(&mut self, found: &Innovation<'_>) -> Result<(), Error> {
        let place = self.next % self.ring.len();
        self.ring[place] = (found.nis, found.dof());
        self.next = (self.next + 1) % self.ring.len();
        let sum: f64 = self.ring.iter().map(|(nis, _)| nis).sum();
        let dof = self.ring.iter().map(|(_, dof)| *dof).sum::<usize>() as f64;
        if dof == 0.0 {
            return Ok(());
        }
        let spread = 2.0 / (9.0 * dof);
        let limit = dof * (1.0 - spread + self.sigmas * spread.sqrt()).max(0.0).powi(3);
        if sum <= limit { Ok(()) } else { Err(Error::Lost { what: "the filter", nis: sum / dof }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::LinearKalman;
    use crate::noise::Noise;

    #[test]
    fn the_noise_that_is_there_is_learnt_and_a_frozen_learner_learns_nothing() {
        let mut learner = NoiseLearner::new(&[1.0, 1.0], 400.0, 100.0).unwrap();
        let mut noise = Noise::new(3, 0);
        let (mut x, h) = (0.0, [1.0, 1.0]);
        let mut mean = 0.0;
        let mut p = 1.0;
        for step in 0..6_000 {
            x = 0.95 * x + 0.3 * noise.gaussian();
            let z = [Some(x + 0.5 * noise.gaussian()), Some(x + 2.0 * noise.gaussian())];
            let mut filter =
                LinearKalman::new(&[0.95], &[0.09], &h, learner.variance(), &[mean], &[p]).unwrap();
            learner.observe(&filter.step(&z).unwrap());
            (mean, p) = (filter.kalman().mean()[0], filter.kalman().variance(&[1.0]));
            if step == 5_000 {
                learner.freeze(true);
            }
        }
        let [first, second] = [learner.variance()[0], learner.variance()[1]];
        assert!((first / 0.25 - 1.0).abs() < 0.25 && (second / 4.0 - 1.0).abs() < 0.25, "{first} {second}");
        let frozen = learner.clone();
        let mut filter = LinearKalman::new(&[1.0], &[0.0], &h, &[1.0, 1.0], &[0.0], &[1.0]).unwrap();
        learner.observe(&filter.step(&[Some(50.0), Some(50.0)]).unwrap());
        assert_eq!(learner, frozen);
        learner.freeze(false);
        learner.observe(&filter.step(&[Some(1e9), None]).unwrap());
        assert!(learner.variance()[0] <= 100.0 && learner.variance()[1] == frozen.variance[1]);
        for (memory, most) in [(1.0, 2.0), (f64::NAN, 2.0), (10.0, 0.5)] {
            assert!(NoiseLearner::new(&[1.0], memory, most).is_err());
        }
        assert!(NoiseLearner::new(&[0.0], 10.0, 2.0).is_err());
    }

    /// Process noise nine times what was declared: the scale follows when the filter runs with it.
    #[test]
    fn process_noise_follows_when_measurement_noise_is_trusted() {
        let mut learner = NoiseLearner::new(&[0.25], 300.0, 100.0).unwrap();
        let mut noise = Noise::new(8, 0);
        let (mut x, mut mean, mut p) = (0.0, 0.0, 1.0);
        let mut last = 0.0;
        for step in 0..6_000 {
            x = 0.95 * x + 0.9 * noise.gaussian();
            let process = 0.09 * learner.process_scale();
            let mut filter = LinearKalman::new(&[0.95], &[process], &[1.0], &[0.25], &[mean], &[p]).unwrap();
            learner.observe(&filter.step(&[Some(x + 0.5 * noise.gaussian())]).unwrap());
            (mean, p) = (filter.kalman().mean()[0], filter.kalman().variance(&[1.0]));
            last += if step >= 3_000 { learner.process_scale() / 3_000.0 } else { 0.0 };
        }
        assert!((last / 9.0 - 1.0).abs() < 0.2, "{last}");
    }

    #[test]
    fn a_filter_that_lost_its_plant_is_told_and_one_that_has_not_is_left_alone() {
        let mut noise = Noise::new(5, 0);
        let mut watch = Consistency::new(50, 6.0);
        let mut filter = LinearKalman::new(&[1.0], &[0.01], &[1.0], &[1.0], &[0.0], &[1.0]).unwrap();
        let mut x = 0.0;
        for _ in 0..5_000 {
            x += 0.1 * noise.gaussian();
            assert!(watch.observe(&filter.step(&[Some(x + noise.gaussian())]).unwrap()).is_ok());
        }
        let lost = (0..200).find(|_| {
            x += 1.0;
            watch.observe(&filter.step(&[Some(x + noise.gaussian())]).unwrap()).is_err()
        });
        assert!(lost.is_some_and(|steps| steps < 60), "{lost:?}");
        assert!(Consistency::new(0, 6.0).observe(&filter.step(&[None]).unwrap()).is_ok());
    }
}
