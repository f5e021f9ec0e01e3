//! One slot of the twin: predict, update, remember what was surprising.

use twinguard_types::{Explanation, Residual, SignalId, Timestamp};

use super::history::Saved;
use crate::Error;
use crate::bank::Bank;
use crate::filters::ExtendedKalman;
use crate::setup::{Room, Setup};

/// Slots between two looks at what uncertain parameters do.
const PUSH_EVERY: u32 = 60;

/// What the twin believes of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// In the signal's unit.
    pub mean: f64,
    /// Standard deviation of the mean; a sensor's own noise is not part of it.
    pub sigma: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) filter: ExtendedKalman,
    pub(super) estimates: Vec<Estimate>,
    /// Process covariance that the filter runs with, per second or step.
    pub(super) process: Vec<f64>,
    /// How far the truth may be from the value that an excluded input keeps, as a standard deviation; 0 for the others.
    pub(super) unsure: Vec<f64>,
    pub(super) since_push: u32,
    pub(super) bank: Bank,
    base: Vec<f64>,
    room: Room,
    used: Vec<Option<f64>>,
    signals: Vec<SignalId>,
    innovation: Vec<f64>,
    expected: Vec<f64>,
    believed: Vec<f64>,
    factor: Vec<f64>,
    nis: f64,
    log_likelihood: f64,
}

impl Engine {
    pub(super) fn new(setup: &Setup) -> Result<Self, Error> {
        let filter = setup.filter()?;
        let (n, m) = (filter.kalman().order(), setup.dynamics.outputs.len());
        let mut base = vec![0.0; n * n];
        for (at, sigma) in setup.dynamics.process_sigma.iter().enumerate() {
            base[at * n + at] = sigma * sigma;
        }
        let mut engine = Self {
            filter,
            estimates: vec![Estimate::default(); m],
            process: base.clone(),
            unsure: vec![0.0; setup.dynamics.inputs.len()],
            since_push: 0,
            bank: Bank::new(setup),
            base,
            room: Room::new(n, setup.dynamics.inputs.len()),
            used: vec![None; m],
            signals: Vec::with_capacity(m),
            innovation: Vec::with_capacity(m),
            expected: Vec::with_capacity(m),
            believed: Vec::with_capacity(m),
            factor: Vec::with_capacity(m * (m + 1) / 2),
            nis: 0.0,
            log_likelihood: 0.0,
        };
        engine.look(setup);
        Ok(engine)
    }

    /// Back to the initial state.
    pub(super) fn reset(&mut self, setup: &Setup) {
        // It could be made before from the same setup, so it can be made again.
        if let Ok(filter) = setup.filter() {
            self.filter = filter;
        }
        self.since_push = 0;
        self.bank.clear();
        self.look(setup);
    }

    /// Estimates of the initial state.
    fn look(&mut self, setup: &Setup) {
        let input = &setup.dynamics.input_defaults;
        self.used.fill(None);
        // An update without measurements only linearises the outputs.
        let _ = self.filter.update(setup.model(), 0.0, input, &self.used, &setup.variance);
        self.refresh(setup, 0.0, input);
    }

    pub(super) fn go_back(&mut self, saved: &Saved) {
        // Saved from this very filter, so of its size and sound.
        let _ = self.filter.kalman_mut().set_factors(&saved.mean, &saved.u, &saved.d);
        self.since_push = 0;
        self.bank.clear();
    }

    pub(super) fn run(
        &mut self,
        setup: &Setup,
        at: Timestamp,
        time_s: f64,
        held: &[f64],
        measured: &[Option<f64>],
        excluded: &[bool],
    ) -> Result<(), Error> {
        let (model, step_s) = (setup.model(), setup.step.as_secs_f64());
        if self.since_push == 0 {
            self.process.copy_from_slice(&self.base);
            let state = self.filter.kalman().mean();
            setup.add_push(time_s, state, held, &self.unsure, &mut self.process, &mut self.room);
            self.filter.set_process(&self.process)?;
        }
        self.since_push = (self.since_push + 1) % PUSH_EVERY;
        self.filter.predict(model, time_s - step_s, step_s, setup.dynamics.step.as_secs_f64(), held)?;
        for ((used, measured), (excluded, signal)) in
            self.used.iter_mut().zip(measured).zip(excluded.iter().zip(&setup.dynamics.outputs))
        {
            *used = measured.filter(|_| !excluded && signal.is_some());
        }
        let found = self.filter.update(model, time_s, held, &self.used, &setup.variance)?;
        self.signals.clear();
        self.signals.extend(found.used.iter().filter_map(|output| setup.dynamics.outputs[*output]));
        self.innovation.clear();
        self.innovation.extend_from_slice(found.innovation);
        self.expected.clear();
        let measured = found.used.iter().filter_map(|output| *measured.get(*output)?);
        self.expected
            .extend(measured.zip(found.innovation).map(|(measured, innovation)| measured - innovation));
        self.factor.clear();
        self.factor.extend_from_slice(found.factor);
        (self.nis, self.log_likelihood) = (found.nis, found.log_likelihood());
        self.bank.record(at, &found);
        if self.filter.kalman().mean().iter().any(|state| !state.is_finite()) {
            return Err(Error::NotFinite { what: "estimate", time_s });
        }
        self.refresh(setup, time_s, held);
        self.believed.clear();
        let used = self.used.iter().zip(&self.estimates).filter(|(measured, _)| measured.is_some());
        self.believed.extend(used.map(|(_, estimate)| estimate.mean));
        Ok(())
    }

    pub(super) fn residual(&self, at: Timestamp) -> Residual<'_> {
        Residual {
            at,
            signals: &self.signals,
            innovation: &self.innovation,
            expected: &self.expected,
            believed: &self.believed,
            factor: &self.factor,
            nis: self.nis,
            dof: self.signals.len(),
            log_likelihood: self.log_likelihood,
        }
    }

    pub(super) fn explain(
        &mut self,
        setup: &Setup,
        now: Timestamp,
        (time_s, held): (f64, &[f64]),
        excluded: &[bool],
    ) -> &[Explanation] {
        self.bank.explain(setup, now, (&self.filter, time_s, held), &self.process, excluded)
    }

    pub(super) fn refresh(&mut self, setup: &Setup, time_s: f64, held: &[f64]) {
        let n = self.filter.kalman().order().max(1);
        let predicted = self.filter.predict_output(setup.model(), time_s, held);
        for (estimate, mean) in self.estimates.iter_mut().zip(predicted) {
            estimate.mean = *mean;
        }
        let (rows, _) = self.filter.observation();
        for (estimate, row) in self.estimates.iter_mut().zip(rows.chunks_exact(n)) {
            estimate.sigma = self.filter.kalman().variance(row).max(0.0).sqrt();
        }
    }
}
