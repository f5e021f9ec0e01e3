//! Where a plant can get to at all: bounds on states and outputs for every start, input and disturbance within boxes.
//!
//! Sources: Girard, "Reachability of uncertain linear systems using zonotopes", *HSCC* (2005) LNCS 3414, §3 (propagation) and §3.4
//! (reduction of the order); Moore, Kearfott, Cloud, *Introduction to Interval Analysis* (2009), §2.2 and §7.1 for matrices of
//! which only bounds are known. A zonotope is a centre and generators: c + Σ gᵢ, −1 ≤ aᵢ ≤ 1 times each. Linear maps are exact,
//! reduction encloses. With an interval matrix Φ the part (Φ − mid Φ) x is enclosed in a box at each step.
//!
//! When it lies: it does not, for the model it is given: what is outside cannot be reached (rounding aside, of about 1e-15 a
//! step of the numbers' size). It may be wide; the true set may be smaller. Cost: n² multiplications a generator and step.

use crate::Error;

/// A centre and generators, by columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Zonotope {
    centre: Vec<f64>,
    generators: Vec<f64>,
}

impl Zonotope {
    /// The box centre ± radius.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotPositive`] for a radius that is not a number at or above 0.
    pub fn around(centre: &[f64], radius: &[f64]) -> Result<Self, Error> {
        let n = centre.len();
        if radius.len() != n {
            return Err(Error::Dimension { what: "radii", expected: n, found: radius.len() });
        }
        if let Some(index) = radius.iter().position(|radius| !(*radius >= 0.0 && radius.is_finite())) {
            return Err(Error::NotPositive { what: "radius of a box", index });
        }
        let mut set = Self { centre: centre.to_vec(), generators: Vec::new() };
        set.widen(radius);
        Ok(set)
    }

    /// Its centre.
    #[must_use]
    pub fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// Number of generators.
    #[must_use]
    pub fn generators(&self) -> usize {
        self.generators.len() / self.centre.len().max(1)
    }

    /// Least and greatest value of h x over the set, for a row h.
    #[must_use]
    pub fn bounds(&self, row: &[f64]) -> (f64, f64) {
        let dot = |x: &[f64]| row.iter().zip(x).map(|(row, x)| row * x).sum::<f64>();
        let reach: f64 = self
            .generators
            .chunks_exact(self.centre.len().max(1))
            .map(|generator| dot(generator).abs())
            .sum();
        let centre = dot(&self.centre);
        (centre - reach, centre + reach)
    }

    /// The smallest box around it: radius of each state.
    #[must_use]
    pub fn radius(&self) -> Vec<f64> {
        let mut radius = vec![0.0; self.centre.len()];
        for generator in self.generators.chunks_exact(self.centre.len().max(1)) {
            radius.iter_mut().zip(generator).for_each(|(radius, entry)| *radius += entry.abs());
        }
        radius
    }

    fn widen(&mut self, radius: &[f64]) {
        let n = self.centre.len();
        for (at, radius) in radius.iter().enumerate().filter(|(_, radius)| **radius > 0.0) {
            self.generators.extend((0..n).map(|i| if i == at { *radius } else { 0.0 }));
        }
    }

    fn map(&mut self, matrix: &[f64]) {
        let n = self.centre.len().max(1);
        let dot = |row: &[f64], x: &[f64]| -> f64 { row.iter().zip(x).map(|(row, x)| row * x).sum() };
        self.centre = matrix.chunks_exact(n).map(|row| dot(row, &self.centre)).collect();
        let images =
            self.generators.chunks_exact(n).flat_map(|x| matrix.chunks_exact(n).map(move |row| dot(row, x)));
        self.generators = images.collect();
    }

    /// Encloses it in one of at most `most` generators (at least n): those that are nearest to a box become one.
    fn reduce(&mut self, most: usize) {
        let n = self.centre.len().max(1);
        let count = self.generators.len() / n;
        let most = most.max(n);
        if count <= most {
            return;
        }
        let mut columns: Vec<&[f64]> = self.generators.chunks_exact(n).collect();
        let flat = |column: &[f64]| {
            let (sum, peak) =
                column.iter().fold((0.0, 0.0f64), |(sum, peak), x| (sum + x.abs(), peak.max(x.abs())));
            sum - peak
        };
        columns.sort_by(|a, b| flat(b).total_cmp(&flat(a)));
        let (kept, rest) = columns.split_at(most - n);
        let mut radius = vec![0.0; n];
        for column in rest {
            radius.iter_mut().zip(*column).for_each(|(radius, entry)| *radius += entry.abs());
        }
        self.generators = kept.concat();
        self.widen(&radius);
    }
}

/// A discrete linear system of which some numbers are only known within bounds: x⁺ = Φ x + Γ u + w.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    n: usize,
    transition: Vec<f64>,
    unsure: Vec<f64>,
    gain: Vec<f64>,
    most: usize,
}

impl Reach {
    /// From Φ (n × n) and Γ (n × inputs) by rows.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`].
    pub fn new(order: usize, transition: &[f64], gain: &[f64]) -> Result<Self, Error> {
        let (expected, found) = (order * order, transition.len());
        if found != expected {
            return Err(Error::Dimension { what: "transition entries", expected, found });
        }
        if order == 0 || !gain.len().is_multiple_of(order) {
            return Err(Error::Dimension { what: "input entries", expected: order, found: gain.len() });
        }
        if transition.iter().chain(gain).any(|entry| !entry.is_finite()) {
            return Err(Error::NotFinite { what: "reachable set", time_s: 0.0 });
        }
        let (transition, gain) = (transition.to_vec(), gain.to_vec());
        Ok(Self { n: order, transition, unsure: Vec::new(), gain, most: 16 * order })
    }

    /// Each entry of Φ may be off by this much (n × n), a different one at each step.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::NotPositive`] for what is not a number at or above 0.
    pub fn unsure(mut self, radius: &[f64]) -> Result<Self, Error> {
        if radius.len() != self.transition.len() {
            let (what, expected) = ("radii of entries", self.transition.len());
            return Err(Error::Dimension { what, expected, found: radius.len() });
        }
        if let Some(index) = radius.iter().position(|radius| !(*radius >= 0.0 && radius.is_finite())) {
            return Err(Error::NotPositive { what: "radius of an entry", index });
        }
        self.unsure = radius.to_vec();
        Ok(self)
    }

    /// The set one step later, for inputs u ± `input_radius` and disturbances within ± `disturbance` (n).
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotPositive`]; [`Error::NotFinite`] when the bounds leave the numbers.
    pub fn step(
        &self,
        set: &Zonotope,
        input: &[f64],
        input_radius: &[f64],
        disturbance: &[f64],
    ) -> Result<Zonotope, Error> {
        let (n, inputs) = (self.n, self.gain.len() / self.n);
        let sizes = [
            ("states", n, set.centre.len()),
            ("inputs", inputs, input.len()),
            ("radii of inputs", inputs, input_radius.len()),
            ("disturbances", n, disturbance.len()),
        ];
        for (what, expected, found) in sizes {
            if found != expected {
                return Err(Error::Dimension { what, expected, found });
            }
        }
        for (what, list) in [("radius of an input", input_radius), ("disturbance", disturbance)] {
            if let Some(index) = list.iter().position(|radius| !(*radius >= 0.0 && radius.is_finite())) {
                return Err(Error::NotPositive { what, index });
            }
        }
        let mut next = set.clone();
        let mut extra = disturbance.to_vec();
        if !self.unsure.is_empty() {
            let most: Vec<f64> =
                set.radius().iter().zip(&set.centre).map(|(radius, centre)| radius + centre.abs()).collect();
            for (extra, row) in extra.iter_mut().zip(self.unsure.chunks_exact(n)) {
                *extra += row.iter().zip(&most).map(|(unsure, most)| unsure * most).sum::<f64>();
            }
        }
        next.map(&self.transition);
        for (column, (input, radius)) in input.iter().zip(input_radius).enumerate() {
            for (i, centre) in next.centre.iter_mut().enumerate() {
                *centre += self.gain[i * inputs + column] * input;
            }
            if *radius > 0.0 {
                next.generators.extend((0..n).map(|i| self.gain[i * inputs + column] * radius));
            }
        }
        next.widen(&extra);
        next.reduce(self.most);
        if next.centre.iter().chain(&next.generators).any(|entry| !entry.is_finite()) {
            return Err(Error::NotFinite { what: "reachable set", time_s: 0.0 });
        }
        Ok(next)
    }

    /// Whether `least ≤ row · x ≤ greatest` is kept by everything that can be reached within `steps`: the least margin over all
    /// steps, and the first step at which it is negative, 0 being the start.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    #[allow(clippy::too_many_arguments, reason = "a start, three boxes, a limit, a horizon")]
    pub fn invariant(
        &self,
        start: &Zonotope,
        input: &[f64],
        input_radius: &[f64],
        disturbance: &[f64],
        row: &[f64],
        (least, greatest): (f64, f64),
        steps: usize,
    ) -> Result<(f64, Option<usize>), Error> {
        if row.len() != self.n {
            return Err(Error::Dimension { what: "entries of a limit", expected: self.n, found: row.len() });
        }
        let (mut set, mut worst, mut first) = (start.clone(), f64::INFINITY, None);
        for step in 0..=steps {
            let (low, high) = set.bounds(row);
            let margin = (low - least).min(greatest - high);
            worst = worst.min(margin);
            if margin < 0.0 && first.is_none() {
                first = Some(step);
            }
            if step < steps {
                set = self.step(&set, input, input_radius, disturbance)?;
            }
        }
        Ok((worst, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    const PHI: [f64; 4] = [0.95, 0.2, -0.2, 0.95];

    /// Ten thousand random runs stay inside, and corners come near: the bounds are safe and not idle.
    #[test]
    fn no_run_leaves_the_bounds_and_the_bounds_are_near() {
        let off = [0.02, 0.0, 0.01, 0.02];
        let exact = Reach::new(2, &PHI, &[0.0, 1.0]).unwrap();
        let unsure = exact.clone().unsure(&off).unwrap();
        for (reach, off) in [(&exact, [0.0; 4]), (&unsure, off)] {
            let mut set = Zonotope::around(&[1.0, -1.0], &[0.1, 0.2]).unwrap();
            let mut noise = Noise::new(1, 0);
            let mut pick = |corner: bool| {
                let value = noise.between(-1.0, 1.0);
                if corner { value.signum() } else { value }
            };
            let mut runs: Vec<[f64; 2]> = (0..10_000)
                .map(|run| [1.0 + 0.1 * pick(run % 2 == 0), -1.0 + 0.2 * pick(run % 2 == 0)])
                .collect();
            let mut share = 0.0f64;
            for _ in 0..20 {
                set = reach.step(&set, &[0.3], &[0.05], &[0.01, 0.0]).unwrap();
                let radius = set.radius();
                for (run, x) in runs.iter_mut().enumerate() {
                    let corner = run % 2 == 0;
                    let phi: [f64; 4] = core::array::from_fn(|at| PHI[at] + off[at] * pick(corner));
                    *x = [
                        phi[0] * x[0] + phi[1] * x[1] + 0.01 * pick(corner),
                        phi[2] * x[0] + phi[3] * x[1] + 0.3 + 0.05 * pick(corner),
                    ];
                    for i in 0..2 {
                        let far = (x[i] - set.centre()[i]).abs() / radius[i];
                        assert!(far <= 1.0 + 1e-9, "{far}");
                        share = share.max(far);
                    }
                }
                assert!(set.generators() <= 32);
            }
            assert!(share > 0.7, "{share}");
        }
    }

    #[test]
    fn an_invariant_has_a_margin_and_a_first_violation() {
        let heat = Reach::new(1, &[1.0], &[1.0]).unwrap();
        let start = Zonotope::around(&[0.0], &[1.0]).unwrap();
        // One degree a step, ± 0.5: the worst case is at 1 + 1.5 k.
        let (margin, first) =
            heat.invariant(&start, &[1.0], &[0.5], &[0.0], &[1.0], (-10.0, 10.0), 6).unwrap();
        assert_eq!((margin, first), (0.0, None));
        let (margin, first) =
            heat.invariant(&start, &[1.0], &[0.5], &[0.0], &[1.0], (-10.0, 10.0), 8).unwrap();
        assert_eq!((margin, first), (-3.0, Some(7)));
        let (margin, first) = heat.invariant(&start, &[0.0], &[0.0], &[0.0], &[1.0], (0.0, 1.0), 1).unwrap();
        assert_eq!((margin, first), (-1.0, Some(0)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Reach::new(2, &[1.0], &[]).is_err() && Reach::new(0, &[], &[]).is_err());
        assert!(Reach::new(1, &[f64::NAN], &[]).is_err() && Zonotope::around(&[0.0], &[-1.0]).is_err());
        let reach = Reach::new(1, &[1e200], &[]).unwrap();
        assert!(reach.clone().unsure(&[-1.0]).is_err());
        let mut set = Zonotope::around(&[1.0], &[1.0]).unwrap();
        assert!(reach.step(&set, &[1.0], &[1.0], &[0.0]).is_err());
        set = reach.step(&set, &[], &[], &[0.0]).unwrap();
        assert!(matches!(reach.step(&set, &[], &[], &[0.0]), Err(Error::NotFinite { .. })));
    }
}
