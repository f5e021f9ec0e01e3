//! Is this run of a simulation the one that it should be? Author, model, solver, step, boundary conditions, parameters and results against
//! what was sealed, and against a second run.
//!
//! ```
//! use twinguard_anomaly::simulation::{Difference, Run, Sealed};
//! use twinguard_types::{Digest, Label, PrincipalId, Timestamp};
//!
//! let sealed = Sealed {
//!     authors: vec![PrincipalId(3)],
//!     model: Digest([7; 32]),
//!     solver: Label::literal("rk4"),
//!     step_s: (0.5, 1.0),
//!     tolerance: (0.0, 1e-6),
//!     boundary: vec![(Label::literal("ambient_c"), -20.0, 45.0)],
//!     parameters: vec![(Label::literal("fan_w_per_k"), 310.0, 0.05)],
//!     result_tolerance: 1e-6,
//! };
//! let (boundary, parameters) = ([(Label::literal("ambient_c"), 22.0)], [(Label::literal("fan_w_per_k"), 420.0)]);
//! let run = Run {
//!     at: Timestamp::from_secs(60),
//!     author: PrincipalId(3),
//!     model: Digest([7; 32]),
//!     solver: Label::literal("rk4"),
//!     step_s: 10.0,
//!     tolerance: 1e-8,
//!     boundary: &boundary,
//!     parameters: &parameters,
//!     results: &[80.0, 81.5],
//! };
//! let differences = sealed.check(&run, Some(&[80.0, 96.0]));
//! assert!(matches!(differences[0], Difference::Step { seen, .. } if seen == 10.0));
//! assert!(matches!(differences[1], Difference::Parameter { seen, .. } if seen == 420.0));
//! assert!(matches!(differences[2], Difference::Result { place: 1, .. }));
//! ```
//!
//! Source: what makes a simulation reproducible (Sandve, Nekrutenko, Taylor, Hovig, `PLoS` Comput. Biol. 9, 2013, rules 1 to 6: who, program, settings,
//! inputs, results), each compared on its own. A too large step is how a run is made stable in appearance and wrong in substance, and a scenario by
//! somebody who has no business to write one is how a what-if is made to say what is wanted. Whoever calls re-executes the sealed model; this compares. [`Sealed::attest`] turns the answer into
//! an event, which the detector `seal` takes for a fact. [`Drift`] watches parameters that are identified again and again. It lies
//! where the sealed ranges are wide.

use twinguard_types::{Attestation, AttestationOutcome, Digest, Label, PrincipalId, Timestamp};

use crate::special::chi_squared_surprise;

/// A run as somebody says it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run<'a> {
    /// When it was asked for.
    pub at: Timestamp,
    /// Who wrote the scenario.
    pub author: PrincipalId,
    /// Digest of the model that ran.
    pub model: Digest,
    /// Integration method.
    pub solver: Label,
    /// Largest step, seconds.
    pub step_s: f64,
    /// Relative error tolerance; 0 for a fixed step.
    pub tolerance: f64,
    /// Boundary conditions by name, in their units.
    pub boundary: &'a [(Label, f64)],
    /// Parameters by name, in their units.
    pub parameters: &'a [(Label, f64)],
    /// Results in a fixed order, in their units.
    pub results: &'a [f64],
}

/// What a run has to keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// Who may write scenarios.
    pub authors: Vec<PrincipalId>,
    /// Digest of the sealed model.
    pub model: Digest,
    /// Integration method.
    pub solver: Label,
    /// Least and largest step, seconds.
    pub step_s: (f64, f64),
    /// Least and largest relative error tolerance.
    pub tolerance: (f64, f64),
    /// Boundary conditions by name: least and largest value. One that is not named here may not be set.
    pub boundary: Vec<(Label, f64, f64)>,
    /// Parameters by name: value, and by which share of it one may differ. One that is not named here may not be set.
    pub parameters: Vec<(Label, f64, f64)>,
    /// By which share of its size a result may differ from that of a second run.
    pub result_tolerance: f64,
}

/// One thing that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Somebody who may not write scenarios wrote it.
    Author(PrincipalId),
    /// Another model ran.
    Model {
        /// As said.
        seen: Digest,
        /// As sealed.
        sealed: Digest,
    },
    /// Another integration method.
    Solver(Label),
    /// A step outside its range.
    Step {
        /// As said, seconds.
        seen: f64,
        /// Least and largest.
        sealed: (f64, f64),
    },
    /// An error tolerance outside its range.
    Tolerance {
        /// As said.
        seen: f64,
        /// Least and largest.
        sealed: (f64, f64),
    },
    /// A boundary condition outside its range, or one that may not be set (then the range is empty: NaN).
    Boundary {
        /// Which.
        name: Label,
        /// As said.
        seen: f64,
        /// Least and largest.
        sealed: (f64, f64),
    },
    /// A boundary condition that has to be set and is not.
    Unset(Label),
    /// A parameter off its sealed value, or one that may not be set (then the value is NaN).
    Parameter {
        /// Which.
        name: Label,
        /// As said.
        seen: f64,
        /// As sealed.
        sealed: f64,
    },
    /// A result that a second run of the sealed model does not give.
    Result {
        /// Which, in the order of the results.
        place: usize,
        /// As said.
        seen: f64,
        /// As the second run gives it.
        again: f64,
    },
    /// Another number of results than the second run gives.
    Results {
        /// As said.
        seen: usize,
        /// As the second run gives it.
        again: usize,
    },
}

fn within(value: f64, (low, high): (f64, f64)) -> bool {
    value >= low && value <= high
}

impl Sealed {
    /// Everything that differs, in the order author, model, settings, boundary conditions, parameters, results; `again` are the results of a
    /// second run of the sealed model with this run's boundary conditions. A number that is NaN is never as it should be.
    #[must_use]
    pub fn check(&self, run: &Run<'_>, again: Option<&[f64]>) -> Vec<Difference> {
        let mut out = Vec::new();
        let mut add = |wrong: bool, difference: Difference| {
            if wrong {
                out.push(difference);
            }
        };
        add(!self.authors.contains(&run.author), Difference::Author(run.author));
        add(run.model != self.model, Difference::Model { seen: run.model, sealed: self.model });
        add(run.solver != self.solver, Difference::Solver(run.solver));
        let (seen, sealed) = (run.step_s, self.step_s);
        add(!within(seen, sealed), Difference::Step { seen, sealed });
        let (seen, sealed) = (run.tolerance, self.tolerance);
        add(!within(seen, sealed), Difference::Tolerance { seen, sealed });
        for (name, seen) in run.boundary {
            let range =
                self.boundary.iter().find(|(held, ..)| held == name).map(|(_, low, high)| (*low, *high));
            let sealed = range.unwrap_or((f64::NAN, f64::NAN));
            add(!within(*seen, sealed), Difference::Boundary { name: *name, seen: *seen, sealed });
        }
        for (name, ..) in &self.boundary {
            add(!run.boundary.iter().any(|(held, _)| held == name), Difference::Unset(*name));
        }
        for (name, seen) in run.parameters {
            let held = self.parameters.iter().find(|(held, ..)| held == name);
            let (sealed, share) = held.map_or((f64::NAN, 0.0), |(_, value, share)| (*value, *share));
            let near = (seen - sealed).abs() <= share * sealed.abs();
            add(!near, Difference::Parameter { name: *name, seen: *seen, sealed });
        }
        if let Some(again) = again {
            let (seen, count) = (run.results.len(), again.len());
            add(seen != count, Difference::Results { seen, again: count });
            for (place, (seen, again)) in run.results.iter().zip(again).enumerate() {
                let near = (seen - again).abs() <= self.result_tolerance * again.abs().max(1e-12);
                add(!near, Difference::Result { place, seen: *seen, again: *again });
            }
        }
        out
    }

    /// The answer of [`Sealed::check`] as an event for the detectors: it matches when nothing differs.
    #[must_use]
    pub fn attest(&self, run: &Run<'_>, again: Option<&[f64]>) -> Attestation {
        let differences = self.check(run, again);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.model.0);
        for difference in &differences {
            hasher.update(format!("{difference:?}").as_bytes());
        }
        let matches = differences.is_empty();
        Attestation {
            at: run.at,
            expected: self.model,
            measured: if matches { self.model } else { Digest(*hasher.finalize().as_bytes()) },
            outcome: if matches { AttestationOutcome::Matches } else { AttestationOutcome::Differs },
        }
    }
}

/// Whether parameters that are identified again and again wander off.
///
/// Source: two-sided CUSUM (Page, Biometrika 41, 1954, reference ½) of estimate minus sealed value in standard errors, and the χ² of all of
/// them at once for a jump (Isermann, *Fault-Diagnosis Systems*, 2006, §9.3: faults by parameter estimation). Estimates of overlapping data are not
/// independent: hand over one per stretch of data. The CUSUM's surprise is Siegmund's tail, 2·exp(−2·½·h) per restart.
///
/// ```
/// use twinguard_anomaly::simulation::Drift;
/// let mut drift = Drift::new(&[310.0, 0.85]);
/// let noise = |k: usize| (k * 7919 % 97) as f64 / 97.0 - 0.5;
/// let quiet = (0..200).map(|k| drift.step(&[310.0 + 4.0 * noise(k), 0.85], &[2.0, 0.01]).0).fold(0.0, f64::max);
/// let (surprise, which) = (0..20).map(|k| drift.step(&[314.0 + 4.0 * noise(k), 0.85], &[2.0, 0.01])).last().unwrap_or_default();
/// assert!(quiet < 3.0 && surprise > 6.0 && which == 0, "{quiet} {surprise}");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    sealed: Vec<f64>,
    sums: Vec<[f64; 2]>,
}

const REFERENCE: f64 = 0.5;
const HIGHEST: f64 = 40.0;

impl Drift {
    /// Around the sealed values.
    #[must_use]
    pub fn new(sealed: &[f64]) -> Self {
        Self { sealed: sealed.to_vec(), sums: vec![[0.0; 2]; sealed.len()] }
    }

    /// Takes estimates with their standard errors; the surprise, and the parameter that is most off. What is missing or not finite, or has
    /// no error, is left out.
    pub fn step(&mut self, estimates: &[f64], errors: &[f64]) -> (f64, usize) {
        let (mut square, mut count, mut most, mut which) = (0.0, 0_usize, 0.0, 0);
        let parts = self.sealed.iter().zip(&mut self.sums).zip(estimates.iter().zip(errors)).enumerate();
        for (place, ((sealed, sums), (estimate, error))) in parts {
            let z = (estimate - sealed) / error;
            if !(z.is_finite() && *error > 0.0) {
                continue;
            }
            square += z * z;
            count += 1;
            let bounded = z.clamp(-8.0, 8.0);
            sums[0] = (sums[0] + bounded - REFERENCE).clamp(0.0, HIGHEST);
            sums[1] = (sums[1] - bounded - REFERENCE).clamp(0.0, HIGHEST);
            let sum = sums[0].max(sums[1]);
            if sum > most {
                (most, which) = (sum, place);
            }
        }
        // one price for all that are looked at
        let price = libm::log10((2 * count).max(1) as f64);
        let lasting = (most * 2.0 * REFERENCE / core::f64::consts::LN_10 - price).max(0.0);
        let jump = if count > 0 { chi_squared_surprise(square, count) } else { 0.0 };
        (lasting.max(jump), which)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed {
        Sealed {
            authors: vec![PrincipalId(1), PrincipalId(2)],
            model: Digest([1; 32]),
            solver: Label::literal("rodas"),
            step_s: (0.1, 1.0),
            tolerance: (1e-9, 1e-5),
            boundary: vec![(Label::literal("load"), 0.0, 1.2), (Label::literal("ambient"), -20.0, 45.0)],
            parameters: vec![(Label::literal("k"), 2.0, 0.1)],
            result_tolerance: 1e-9,
        }
    }

    const GOOD: [(Label, f64); 2] = [(Label::literal("load"), 0.7), (Label::literal("ambient"), 20.0)];

    fn run<'a>(boundary: &'a [(Label, f64)], parameters: &'a [(Label, f64)], results: &'a [f64]) -> Run<'a> {
        Run {
            at: Timestamp::from_secs(1),
            author: PrincipalId(2),
            model: Digest([1; 32]),
            solver: Label::literal("rodas"),
            step_s: 0.5,
            tolerance: 1e-6,
            boundary,
            parameters,
            results,
        }
    }

    #[test]
    fn a_run_as_sealed_differs_in_nothing() {
        let parameters = [(Label::literal("k"), 2.15)];
        let good = run(&GOOD, &parameters, &[1.0, -2.0]);
        assert_eq!(sealed().check(&good, Some(&[1.0, -2.0])), []);
        assert_eq!(sealed().attest(&good, None).outcome, AttestationOutcome::Matches);
    }

    #[test]
    fn each_thing_is_told_on_its_own() {
        let good = run(&GOOD, &[], &[1.0]);
        let one = |run: Run<'_>, again: Option<&[f64]>| {
            let found = sealed().check(&run, again);
            assert_eq!(found.len(), 1, "{found:?}");
            let attestation = sealed().attest(&run, again);
            assert!(
                attestation.outcome == AttestationOutcome::Differs
                    && attestation.measured != attestation.expected
            );
            found[0]
        };
        assert_eq!(one(Run { author: PrincipalId(9), ..good }, None), Difference::Author(PrincipalId(9)));
        assert!(matches!(one(Run { model: Digest([2; 32]), ..good }, None), Difference::Model { .. }));
        assert!(matches!(one(Run { solver: Label::literal("euler"), ..good }, None), Difference::Solver(_)));
        assert!(matches!(one(Run { step_s: 30.0, ..good }, None), Difference::Step { .. }));
        assert!(matches!(one(Run { step_s: f64::NAN, ..good }, None), Difference::Step { .. }));
        assert!(matches!(one(Run { tolerance: 0.1, ..good }, None), Difference::Tolerance { .. }));
        let hot = [GOOD[0], (Label::literal("ambient"), 60.0)];
        assert!(matches!(one(run(&hot, &[], &[1.0]), None), Difference::Boundary { .. }));
        let more = [GOOD[0], GOOD[1], (Label::literal("secret"), 1.0)];
        assert!(matches!(one(run(&more, &[], &[1.0]), None), Difference::Boundary { .. }));
        assert_eq!(one(run(&GOOD[..1], &[], &[1.0]), None), Difference::Unset(GOOD[1].0));
        assert!(matches!(
            one(run(&GOOD, &[(Label::literal("k"), 3.0)], &[1.0]), None),
            Difference::Parameter { .. }
        ));
        assert!(matches!(
            one(run(&GOOD, &[(Label::literal("q"), 3.0)], &[1.0]), None),
            Difference::Parameter { .. }
        ));
        assert!(matches!(one(good, Some(&[1.1])), Difference::Result { place: 0, .. }));
        assert!(matches!(one(good, Some(&[f64::NAN])), Difference::Result { .. }));
        assert!(matches!(one(good, Some(&[1.0, 2.0])), Difference::Results { seen: 1, again: 2 }));
    }

    #[test]
    fn a_jump_and_a_creep_are_seen_and_bad_numbers_are_left_out() {
        let mut drift = Drift::new(&[1.0, 5.0]);
        assert!(drift.step(&[1.0, 5.0], &[0.1, 0.1]).0 < 1.0);
        assert!(drift.clone().step(&[1.0, 6.0], &[0.1, 0.1]).0 > 15.0, "a jump");
        for _ in 0..40 {
            drift.step(&[1.12, 5.0], &[0.1, 0.1]);
        }
        let (surprise, which) = drift.step(&[1.12, 5.0], &[0.1, 0.1]);
        assert!(surprise > 6.0 && which == 0, "{surprise}");
        let before = drift.clone();
        assert_eq!(Drift::new(&[1.0]).step(&[f64::NAN], &[0.1]).0, 0.0);
        drift.step(&[f64::INFINITY, 5.0], &[0.1, 0.0]);
        assert_eq!(drift, before);
    }
}
