//! Many twins of one linear model: matrices and working memory once, a few numbers for each.
//!
//! Source: the packed upper factor of Bierman 1977, §III.4: a twin is x̂ (n), then D and the part of U above its diagonal column by
//! column (n (n + 1) / 2), 112 bytes for four states. A step unpacks, filters and packs again; the result is that of
//! [`LinearKalman`](super::LinearKalman) to the bit, in whatever order twins take their turns.

use super::{Innovation, LinearKalman};
use crate::Error;

/// The states of many twins that share a model.
///
/// ```
/// use twinguard_twin::filters::{Fleet, LinearKalman};
///
/// let model = LinearKalman::new(&[0.9], &[0.1], &[1.0], &[0.5], &[0.0], &[1.0])?;
/// let mut fleet = Fleet::new(model, 1000)?;
/// let seven = fleet.step(7, &[Some(1.2)])?.nis;
/// assert_eq!(fleet.step(8, &[Some(1.2)])?.nis, seven);
/// let fork = fleet.fork(7)?;
/// assert_eq!(fleet.state(fork), fleet.state(7));
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fleet {
    filter: LinearKalman,
    width: usize,
    states: Vec<f64>,
    u: Vec<f64>,
}

/// Most numbers that a fleet holds.
const MOST: usize = 1 << 30;

impl Fleet {
    /// `count` twins, all where `filter` stands.
    ///
    /// # Errors
    /// [`Error::Dimension`] for more than 2³⁰ numbers together.
    pub fn new(filter: LinearKalman, count: usize) -> Result<Self, Error> {
        let n = filter.kalman().order();
        let width = n + n * (n + 1) / 2;
        let most = MOST / width.max(1);
        if count > most {
            return Err(Error::Dimension { what: "twins", expected: most, found: count });
        }
        let mut fleet = Self { filter, width, states: vec![0.0; width], u: vec![0.0; n * n] };
        fleet.pack(0);
        fleet.states = fleet.states.repeat(count);
        Ok(fleet)
    }

    /// How many twins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// A twin's numbers: x̂, then D and U column by column; empty for one that is not there.
    #[must_use]
    pub fn state(&self, twin: usize) -> &[f64] {
        self.states.get(twin * self.width..(twin + 1) * self.width).unwrap_or_default()
    }

    /// Predicts a twin and takes in its measurements.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a twin that is not there, and as [`LinearKalman::step`]; the twin is then as it was.
    pub fn step(&mut self, twin: usize, measured: &[Option<f64>]) -> Result<Innovation<'_>, Error> {
        self.check(twin)?;
        self.unpack(twin)?;
        self.filter.step(measured)?;
        self.pack(twin);
        Ok(self.filter.kalman().last())
    }

    /// A copy of a twin as a further one; gives its number.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a twin that is not there, or one too many.
    pub fn fork(&mut self, twin: usize) -> Result<usize, Error> {
        self.check(twin)?;
        if self.states.len() + self.width > MOST {
            let most = MOST / self.width.max(1);
            return Err(Error::Dimension { what: "twins", expected: most, found: most + 1 });
        }
        self.states.extend_from_within(twin * self.width..(twin + 1) * self.width);
        Ok(self.len() - 1)
    }

    /// Sets a twin to numbers as [`state`](Self::state) gives them: the way back from a snapshot, bit for bit.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`]; [`Error::NotPositive`] for a D below zero. The twin is then as it was.
    pub fn restore(&mut self, twin: usize, state: &[f64]) -> Result<(), Error> {
        self.check(twin)?;
        if state.len() != self.width {
            let (what, expected) = ("numbers of a saved twin", self.width);
            return Err(Error::Dimension { what, expected, found: state.len() });
        }
        if state.iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "saved twin", time_s: 0.0 });
        }
        let n = self.filter.kalman().order();
        if let Some(index) = state[n..2 * n].iter().position(|d| *d < 0.0) {
            return Err(Error::NotPositive { what: "saved covariance", index });
        }
        self.states[twin * self.width..][..self.width].copy_from_slice(state);
        Ok(())
    }

    fn check(&self, twin: usize) -> Result<(), Error> {
        if twin < self.len() {
            return Ok(());
        }
        Err(Error::Dimension { what: "twin", expected: self.len(), found: twin })
    }

    fn unpack(&mut self, twin: usize) -> Result<(), Error> {
        let n = self.filter.kalman().order();
        let state = &self.states[twin * self.width..][..self.width];
        let (mean, rest) = state.split_at(n);
        let (d, mut above) = rest.split_at(n);
        for (j, column) in self.u.chunks_exact_mut(n.max(1)).enumerate() {
            let (part, later) = above.split_at(j);
            above = later;
            column[..j].copy_from_slice(part);
            column[j] = 1.0;
        }
        self.filter.kalman_mut().load(mean, &self.u, d);
        Ok(())
    }

    fn pack(&mut self, twin: usize) {
        let kalman = self.filter.kalman();
        let n = kalman.order();
        let state = &mut self.states[twin * self.width..][..self.width];
        let (u, d) = kalman.factors();
        let (mean, rest) = state.split_at_mut(n);
        let (diagonal, mut above) = rest.split_at_mut(n);
        mean.copy_from_slice(kalman.mean());
        diagonal.copy_from_slice(d);
        for (j, column) in u.chunks_exact(n.max(1)).enumerate() {
            let (part, later) = above.split_at_mut(j);
            part.copy_from_slice(&column[..j]);
            above = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> LinearKalman {
        let f = [0.9, 0.1, 0.0, -0.1, 0.8, 0.2, 0.0, 0.1, 0.7];
        let q = [0.1, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.3];
        LinearKalman::new(&f, &q, &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &[0.2, 0.1], &[0.0; 3], &q).unwrap()
    }

    #[test]
    fn twins_in_turns_are_filters_alone_to_the_bit_and_go_back_to_the_bit() {
        let mut alone = [model(), model(), model()];
        let mut fleet = Fleet::new(model(), 3).unwrap();
        let z = |step: usize, twin: usize| {
            [Some(f64::sin((step * 3 + twin) as f64)), (step != twin).then_some(0.3)]
        };
        let mut saved = Vec::new();
        for step in 0..20 {
            for twin in [2, 0, 1] {
                let found = fleet.step(twin, &z(step, twin)).unwrap();
                let expected = alone[twin].step(&z(step, twin)).unwrap();
                assert_eq!(found, expected);
                assert_eq!(found.log_likelihood().to_bits(), expected.log_likelihood().to_bits());
            }
            if step == 9 {
                saved = fleet.state(1).to_vec();
            }
        }
        let end = fleet.state(1).to_vec();
        let fork = fleet.fork(1).unwrap();
        fleet.restore(1, &saved).unwrap();
        (10..20).for_each(|step| {
            fleet.step(1, &z(step, 1)).unwrap();
        });
        assert_eq!(fleet.state(1), end);
        assert_eq!((fork, fleet.len(), fleet.state(fork)), (3, 4, &end[..]));
        assert_eq!(fleet.state(0).len() * 8, 72, "bytes of a twin of three states");
    }

    #[test]
    fn what_is_no_twin_is_refused() {
        let mut fleet = Fleet::new(model(), 1).unwrap();
        assert!(fleet.step(1, &[None, None]).is_err() && fleet.fork(1).is_err() && fleet.state(1).is_empty());
        assert!(fleet.step(0, &[None]).is_err());
        let mut state = fleet.state(0).to_vec();
        state[3] = -1.0;
        assert!(matches!(fleet.restore(0, &state), Err(Error::NotPositive { index: 0, .. })));
        state[3] = f64::NAN;
        assert!(matches!(fleet.restore(0, &state), Err(Error::NotFinite { .. })));
        assert!(fleet.restore(0, &[]).is_err());
        assert!(Fleet::new(model(), usize::MAX).is_err() && Fleet::new(model(), 0).unwrap().is_empty());
    }
}
