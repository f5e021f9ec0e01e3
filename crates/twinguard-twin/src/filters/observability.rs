//! What the measurements can tell of a linearised plant, state by state, before or while a filter runs.
//!
//! Source: Kalman's rank condition on H, H Φ, H Φ² … (Åström, Murray, *Feedback Systems*, 2nd ed., §8.1); computed as Bierman's
//! factored update with rows of unit length and next to no noise (1977, §V.3): the covariance that is left of an identity
//! is the projection onto what cannot be seen, so its diagonal says how much of each state that is. No rank decision on a matrix of
//! powers is needed. States are scaled by their own σ, so that units do not matter.

use super::Kalman;
use crate::Error;

/// What cannot be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Observability {
    /// Number of directions of the state space that are seen.
    pub rank: usize,
    /// For each state how much of its variance no measurement tells, 0 to 1.
    pub hidden: Vec<f64>,
}

impl Observability {
    /// Of x⁺ = Φ x, z = H x over as many steps as there are states: `transition` n × n and `observation` m × n by rows, `sigma` the
    /// scale of each state, positive. Channels for which `used` says false do not count.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotPositive`] for a scale that is not positive, [`Error::NotFinite`].
    pub fn of(
        transition: &[f64],
        observation: &[f64],
        sigma: &[f64],
        used: impl Fn(usize) -> bool,
    ) -> Result<Self, Error> {
        let n = sigma.len();
        let m = observation.len() / n.max(1);
        for (what, expected, found) in [
            ("transition entries", n * n, transition.len()),
            ("observation entries", n * m, observation.len()),
        ] {
            if found != expected {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        if let Some(index) = sigma.iter().position(|sigma| !(*sigma > 0.0 && sigma.is_finite())) {
            return Err(Error::NotPositive { what: "scale of a state", index });
        }
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|at| identity[at * n + at] = 1.0);
        let mut left = Kalman::new(&vec![0.0; n], &identity, 1)?;
        let mut rows: Vec<Vec<f64>> = (0..m)
            .filter(|channel| used(*channel))
            .map(|channel| {
                observation[channel * n..][..n].iter().zip(sigma).map(|(h, sigma)| h * sigma).collect()
            })
            .collect();
        for _ in 0..n {
            for row in &mut rows {
                let norm = row.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
                if !norm.is_finite() {
                    return Err(Error::NotFinite { what: "observability", time_s: 0.0 });
                }
                if norm == 0.0 {
                    continue;
                }
                row.iter_mut().for_each(|entry| *entry /= norm);
                left.update(&[Some(0.0)], row, &[1e-14])?;
                // h ← h S⁻¹ Φ S
                *row = (0..n)
                    .map(|j| {
                        (0..n).map(|i| row[i] / sigma[i] * transition[i * n + j]).sum::<f64>() * sigma[j]
                    })
                    .collect();
            }
        }
        let mut covariance = vec![0.0; n * n];
        left.covariance(&mut covariance);
        let hidden: Vec<f64> = (0..n).map(|at| covariance[at * n + at].clamp(0.0, 1.0)).collect();
        let unseen = hidden.iter().sum::<f64>().round();
        Ok(Self { rank: n - (unseen as usize).min(n), hidden })
    }

    /// States of which some part cannot be seen, in order.
    pub fn states(&self) -> impl Iterator<Item = usize> + '_ {
        self.hidden.iter().enumerate().filter(|(_, hidden)| **hidden > 1e-3).map(|(state, _)| state)
    }

    /// # Errors
    /// [`Error::Unobservable`] with the first state that cannot be seen.
    pub fn check(&self) -> Result<(), Error> {
        self.states().next().map_or(Ok(()), |index| Err(Error::Unobservable { what: "state", index }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_seen_through_its_place_but_not_the_place_through_its_speed() {
        let motion = [1.0, 1.0, 0.0, 1.0];
        let all = |_: usize| true;
        let place = Observability::of(&motion, &[1.0, 0.0], &[1.0, 1e-3], all).unwrap();
        assert_eq!((place.rank, place.check()), (2, Ok(())));
        let speed = Observability::of(&motion, &[0.0, 1.0], &[1e6, 1.0], all).unwrap();
        assert_eq!((speed.rank, speed.states().collect::<Vec<_>>()), (1, vec![0]));
        assert_eq!(speed.check(), Err(Error::Unobservable { what: "state", index: 0 }));
        let none = Observability::of(&motion, &[1.0, 0.0], &[1.0, 1.0], |_| false).unwrap();
        assert_eq!((none.rank, none.hidden), (0, vec![1.0, 1.0]));
    }

    /// Two equal tanks of which only the sum is measured: what hides is their difference, half of each.
    #[test]
    fn a_hidden_difference_is_told_of_both_states() {
        let still = [1.0, 0.0, 0.0, 1.0];
        let found = Observability::of(&still, &[1.0, 1.0], &[1.0, 1.0], |_| true).unwrap();
        assert_eq!((found.rank, found.states().count()), (1, 2));
        assert!(found.hidden.iter().all(|hidden| (hidden - 0.5).abs() < 1e-9), "{:?}", found.hidden);
        assert!(Observability::of(&still, &[1.0], &[1.0, 1.0], |_| true).is_err());
        assert!(Observability::of(&still, &[1.0, 1.0], &[1.0, 0.0], |_| true).is_err());
    }
}
