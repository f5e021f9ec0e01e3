//! Every reference plant of the registry, by the same checks: same seed same bits, equations that agree with the plant
//! file's model, a controller that keeps the plant inside its limits, incidents that do something, a vendor's twin that
//! follows.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; it prints its speed"
)]

use twinguard_twin::simulator::{Effect, Noise, Options, Reference, Simulator, Site};
use twinguard_twin::{TimeBase, plant::LimitKind, simulator};
use twinguard_types::{Duration, Timestamp};

/// How long a run of this plant is worth watching: some hundred decisions, some days of weather at most.
fn periods(site: &Site) -> u64 {
    let period_s = site.plant.period().as_secs_f64();
    if period_s < 0.05 { 500 } else { 2_000 }
}

fn busy() -> Options {
    Options { load_steps: true, set_point_changes: true, ..Options::default() }
}

fn trace(reference: &'static Reference, seed: u64, options: &Options) -> Vec<u16> {
    let mut site = Site::new(reference, seed, options).unwrap();
    let mut words = Vec::new();
    for _ in 0..periods(&site) / 4 {
        site.step();
        words.extend(site.plant.registers().iter().map(|register| register.raw));
    }
    words.extend(site.vendor.values().map(|(_, value)| value.to_bits() as u16));
    words
}

#[test]
fn simulators_repeat_themselves_bit_for_bit() {
    for reference in simulator::references() {
        let first = trace(reference, 1, &busy());
        assert!(first == trace(reference, 1, &busy()), "{} does not repeat itself", reference.name);
        assert!(first != trace(reference, 2, &busy()), "{}: seeds do not differ", reference.name);
        let stretch = Options { stretch: 1, ..busy() };
        assert!(first != trace(reference, 1, &stretch), "{}: stretches do not differ", reference.name);
    }
}

#[test]
fn simulators_stay_inside_their_limits_in_normal_running() {
    for reference in simulator::references() {
        for seed in 1..3 {
            let mut site = Site::new(reference, seed, &busy()).unwrap();
            let limits = site.file().limits.clone();
            assert!(site.hazard().is_some(), "{} has no hazard", reference.name);
            let (mut worst, mut sum) = (vec![0.0_f64; limits.len()], 0.0);
            let begun = std::time::Instant::now();
            for _ in 0..periods(&site) {
                site.step();
                for (limit, worst) in limits.iter().zip(&mut worst) {
                    let value = site.plant.truth(limit.signal).unwrap();
                    let beyond = limit.max.map_or(f64::MIN, |max| value - max);
                    let below = limit.min.map_or(f64::MIN, |min| min - value);
                    *worst = if *worst == 0.0 { beyond.max(below) } else { worst.max(beyond.max(below)) };
                }
            }
            let spent = begun.elapsed().as_secs_f64();
            for (limit, worst) in limits.iter().zip(&worst).filter(|(l, _)| l.kind != LimitKind::Operating) {
                let path = site.file().catalogue.path(limit.signal);
                assert!(*worst < 0.0, "{} seed {seed}: {path} is {worst} beyond {limit:?}", reference.name);
            }
            for (signal, shown) in site.vendor.values().collect::<Vec<_>>() {
                let sigma = site.file().catalogue.signal(signal).unwrap().sigma.unwrap_or(1.0);
                let range = site.file().catalogue.signal(signal).unwrap().range.unwrap();
                let error = (shown - site.plant.truth(signal).unwrap()).abs();
                assert!(
                    error < (10.0 * sigma).max(0.05 * range.span()),
                    "{} seed {seed}: the vendor shows {} as {shown}, off by {error}",
                    reference.name,
                    site.file().catalogue.path(signal)
                );
                sum += shown;
            }
            assert!(sum.is_finite());
            println!(
                "{} seed {seed}: {:.0} closed-loop steps/s",
                reference.name,
                periods(&site) as f64 / spent
            );
        }
    }
}

/// Where the plant file's model has the same states, it is the same plant.
#[test]
fn simulators_move_as_their_plant_files_say() {
    let mut compared = 0;
    for reference in simulator::references() {
        let site = Site::new(reference, 1, &Options::default()).unwrap();
        let dynamics = site.file().dynamics.clone().unwrap();
        let model = &*dynamics.model;
        let names: Vec<&str> = model.state_names().iter().map(String::as_str).collect();
        if names != reference.states.iter().map(|(name, _)| *name).collect::<Vec<_>>() {
            println!("{}: its file's model is another one", reference.name);
            continue;
        }
        let constants: Vec<f64> = reference.constants.iter().map(|constant| constant.value).collect();
        let mut noise = Noise::new(5, 0);
        for _ in 0..20 {
            let state: Vec<f64> =
                reference.states.iter().map(|(_, rest)| rest + 0.05 * rest.abs() * noise.uniform()).collect();
            let input: Vec<f64> =
                reference.inputs.iter().map(|(_, rest)| rest + 0.05 * rest.abs() * noise.uniform()).collect();
            let theirs: Vec<f64> = model
                .input_names()
                .iter()
                .zip(&dynamics.input_defaults)
                .map(|(name, default)| {
                    let own = reference.inputs.iter().position(|(own, _)| own == name);
                    own.and_then(|at| input.get(at)).copied().unwrap_or(*default)
                })
                .collect();
            let (mut ours, mut rate) = (vec![0.0; state.len()], vec![0.0; state.len()]);
            match model.time_base() {
                TimeBase::Continuous => reference.physics.rate(&constants, &state, &input, &mut ours),
                TimeBase::Discrete { step_s } => {
                    ours.copy_from_slice(&state);
                    reference.physics.settle(&constants, &mut ours, &input, step_s);
                }
            }
            model.dynamics(0.0, &state, &theirs, &mut rate);
            close(reference.name, "rate", &ours, &rate);
            let mut ours = vec![0.0; reference.outputs.len()];
            let mut shown = vec![0.0; model.output_names().len()];
            reference.physics.output(&constants, &state, &input, &mut ours);
            model.output(0.0, &state, &theirs, &mut shown);
            let shown: Vec<f64> = reference
                .outputs
                .iter()
                .map(|name| shown[model.output_names().iter().position(|other| other == name).unwrap()])
                .collect();
            close(reference.name, "output", &ours, &shown);
        }
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}

fn close(plant: &str, what: &str, ours: &[f64], theirs: &[f64]) {
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() < 1e-9 * theirs.abs().max(1.0), "{plant} {what} {at}: {ours} {theirs}");
    }
}

#[test]
fn every_incident_happens() {
    for reference in simulator::references() {
        let quiet = Options { sensor_noise: false, disturbances: false, ..Options::default() };
        let run = |options: &Options, length: u64| {
            let mut site = Site::new(reference, 3, options).unwrap();
            let (mut words, mut silent) = (Vec::new(), 0);
            for _ in 0..length {
                site.step();
                silent += u32::from(!site.plant.answers());
                words.extend(site.plant.registers().iter().map(|register| register.raw));
            }
            (words, silent)
        };
        let length = if reference.states.len() > 10 { 120 } else { 600 };
        let still = run(&quiet, length);
        for incident in reference.incidents {
            let with = run(&quiet.clone().with(incident.at(Timestamp::ZERO)), length);
            let stuck = |effect: &Effect| matches!(effect, Effect::Stuck(_) | Effect::Frozen(_));
            // What stands still anyway cannot be seen to be stuck.
            let same = still == with && !incident.effects.iter().any(stuck);
            assert!(!same, "{}: nothing happens with {}", reference.name, incident.name);
        }
        assert!(reference.incidents.iter().any(|incident| incident.fault), "{}", reference.name);
        assert!(reference.incidents.iter().any(|incident| !incident.fault), "{}", reference.name);
    }
}

#[test]
fn sites_speak_registers_and_signals() {
    for reference in simulator::references() {
        let site = Site::new(reference, 1, &Options::default()).unwrap();
        for register in site.plant.registers() {
            let (signal, value) = site.decode(register).unwrap();
            assert_eq!(site.encode(signal, value), Some(*register), "{}", reference.name);
        }
        assert!(site.plant.period() > Duration::ZERO);
        for (signal, _) in site.file().catalogue.iter() {
            assert!(site.plant.truth(signal).is_some(), "{}", site.file().catalogue.path(signal));
        }
    }
}
