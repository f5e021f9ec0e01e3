//! What runs is compared with what it has to be: the guard's own twin, and the platform's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use twinguard::integrity::attest::{Attestor, Running};
use twinguard::integrity::{Parameter, ParameterValue, Parameters};
use twinguard::twin::{Model, TimeBase};
use twinguard::types::{Duration, Suspect};
use twinguard::{Attested, Guard, Input};

use crate::site::{ORIGIN, config, findings, plant, poll};

/// A model whose first parameter changes its last bit while it runs.
struct Turned {
    inner: Arc<dyn Model>,
    other: Vec<(String, f64)>,
    turned: Arc<AtomicBool>,
}

impl Model for Turned {
    fn state_names(&self) -> &[String] {
        self.inner.state_names()
    }
    fn input_names(&self) -> &[String] {
        self.inner.input_names()
    }
    fn output_names(&self) -> &[String] {
        self.inner.output_names()
    }
    fn time_base(&self) -> TimeBase {
        self.inner.time_base()
    }
    fn dynamics(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        self.inner.dynamics(time_s, state, input, out);
    }
    fn output(&self, time_s: f64, state: &[f64], input: &[f64], out: &mut [f64]) {
        self.inner.output(time_s, state, input, out);
    }
    fn dynamics_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        self.inner.dynamics_jacobian(time_s, state, input, by_state, by_input);
    }
    fn output_jacobian(
        &self,
        time_s: f64,
        state: &[f64],
        input: &[f64],
        by_state: &mut [f64],
        by_input: &mut [f64],
    ) {
        self.inner.output_jacobian(time_s, state, input, by_state, by_input);
    }
    fn parameters(&self) -> &[(String, f64)] {
        if self.turned.load(Ordering::Relaxed) { &self.other } else { self.inner.parameters() }
    }
}

fn guard_with_switch() -> (Guard, Arc<AtomicBool>) {
    let (mut plant, turned) = (plant(), Arc::new(AtomicBool::new(false)));
    let dynamics = plant.dynamics.as_mut().expect("the plant has a model");
    let mut other = dynamics.model.parameters().to_vec();
    other[0].1 = f64::from_bits(other[0].1.to_bits() ^ 1);
    dynamics.model = Arc::new(Turned { inner: dynamics.model.clone(), other, turned: turned.clone() });
    (Guard::builder_unsealed(plant).config(config()).build().unwrap(), turned)
}

#[test]
fn the_last_bit_of_a_running_parameter_accuses_the_model() {
    let (mut guard, turned) = guard_with_switch();
    let tick = |guard: &mut Guard, second: i64| {
        guard.handle(ORIGIN + Duration::from_secs(second), Input::Tick).unwrap();
        poll(guard)
    };
    for second in 0..30 {
        assert_eq!(findings(&tick(&mut guard, second)).count(), 0);
    }
    let quiet = guard.evidence().size();
    turned.store(true, Ordering::Relaxed);
    let said: Vec<_> = (30..51).flat_map(|second| tick(&mut guard, second)).collect();
    let finding = findings(&said).last().expect("a finding");
    assert!(finding.suspect_set.contains(&Suspect::Model), "{:?}", finding.suspect_set);
    assert!(guard.evidence().size() > quiet);
}

struct Table(f64);

impl Running for Table {
    fn parameter(&self, _: usize) -> Option<ParameterValue> {
        Some(self.0.into())
    }
}

#[test]
fn what_an_attestor_of_the_platform_finds_is_journalled_and_judged() {
    let mut guard = Guard::builder_unsealed(plant()).config(config()).build().unwrap();
    let sealed =
        Parameters::new(vec![Parameter::new("plant.toml", "area", "m2", 2.5.into()).unwrap()]).unwrap();
    let mut attestor = Attestor::new("pump", sealed);
    let mut tell = |guard: &mut Guard, second: i64, value: f64| {
        let table = Table(value);
        let (expected, measured) =
            (attestor.expected().parameters, attestor.measure(&table).unwrap().parameters);
        let look = attestor.sweep(&table, u64::MAX);
        let found = Attested { expected, measured, look: &look };
        guard.handle(ORIGIN + Duration::from_secs(second), Input::Attested(found)).unwrap();
        poll(guard)
    };
    let said = tell(&mut guard, 1, 2.5);
    assert_eq!((findings(&said).count(), guard.evidence().size()), (0, 2));
    let said: Vec<_> = (2..20).flat_map(|second| tell(&mut guard, second, 2.6)).collect();
    let finding = findings(&said).last().expect("a finding");
    assert!(finding.suspect_set.contains(&Suspect::Model), "{:?}", finding.suspect_set);
}
