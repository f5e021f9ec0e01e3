//! The twin on the simulated cooling loop: consistency, virtual sensors, rollback, explanations, snapshots, what-if.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use twinguard_twin::simulator::cooling_loop::{
    Options, PUMP_COMMAND, Plant as Transformer, Site, VALVE_COMMAND,
};
use twinguard_twin::simulator::{Register, Simulator, Table};
use twinguard_twin::{LeftOut, Plant, Twin};
use twinguard_types::{
    Cause, Command, CommandId, CommandOrigin, Duration, Explanation, Point, PrincipalId, SignalId, Source,
    Timestamp, Value,
};

const SENSORS: [&str; 11] = [
    "transformer.oil.temperature",
    "transformer.hotspot.temperature",
    "cooler.oil.outlet.temperature",
    "cooler.water.temperature",
    "cooler.oil.flow",
    "cooler.water.flow",
    "cooler.pump.speed",
    "cooler.valve.position",
    "transformer.load",
    "ambient.air.temperature",
    "cooler.water.supply.temperature",
];

fn plant() -> Plant {
    Plant::parse(include_str!("../plants/cooling_loop.toml"), "cooling_loop.toml").unwrap()
}

/// A site with a twin beside it; what the wire says can be bent on the way.
struct Run {
    site: Site,
    plant: Plant,
    twin: Twin,
}

fn id(plant: &Plant, path: &str) -> SignalId {
    plant.catalogue.id(path).unwrap()
}

impl Run {
    fn new(seed: u64, options: &Options) -> Self {
        let plant = plant();
        Self { site: Site::new(seed, options), twin: Twin::new(&plant).unwrap(), plant }
    }

    /// One second. `bend` sees each value on its way to the twin and to the controller, `write` each write on its way to
    /// the plant; `seen` gets each residual as (seconds, nis, dof).
    fn second(
        &mut self,
        mut bend: impl FnMut(Register) -> Register,
        mut write: impl FnMut(Register) -> Register,
        mut seen: impl FnMut(Timestamp, f64, usize),
    ) {
        let Self { site, plant, twin } = self;
        site.plant.step();
        let now = site.plant.now();
        while let Some(residual) = twin.advance(now) {
            seen(residual.at, residual.nis, residual.dof);
        }
        if site.plant.answers() {
            for register in site.plant.registers().to_vec() {
                let register = bend(register);
                site.controller.observe(register);
                if register.table == Table::Input {
                    let path = SENSORS[usize::from(register.address)];
                    let scale = scale(register.address);
                    let value = Value::real(f64::from(register.raw as i16) * scale).unwrap();
                    twin.observe(&Point::new(id(plant, path), value, Source::Field, now));
                }
            }
        }
        for register in site.controller.decide(now) {
            let register = write(register);
            site.plant.write(register);
            let path = match register.address {
                PUMP_COMMAND => "cooler.pump.command",
                VALVE_COMMAND => "cooler.valve.command",
                _ => continue,
            };
            twin.command(&Command {
                id: CommandId(0),
                principal: PrincipalId(0),
                signal: id(plant, path),
                value: Value::real(f64::from(register.raw) * 1e-4).unwrap(),
                at: now,
                origin: CommandOrigin::Wire,
                from: None,
            });
        }
    }

    fn run(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.second(|r| r, |w| w, |_, _, _| {});
        }
    }

    fn truth(&self) -> [f64; 8] {
        self.site.plant.truth().to_array()
    }
}

fn scale(address: u16) -> f64 {
    if matches!(address, 0..=3 | 9 | 10) { 0.01 } else { 0.0001 }
}

fn mean_nis(seed: u64, options: &Options, skip: usize, seconds: usize) -> (f64, f64) {
    let mut run = Run::new(seed, options);
    let (mut nis, mut dof, mut worst) = (0.0, 0.0, 0.0f64);
    for second in 0..skip + seconds {
        run.second(
            |r| r,
            |w| w,
            |_, value, count| {
                if second > skip {
                    nis += value;
                    dof += count as f64;
                    worst = worst.max(value);
                }
            },
        );
    }
    assert_eq!(run.twin.counts().restarts, 0);
    (nis / dof, worst)
}

/// Mean NIS over degrees of freedom is near 1; a little below, because the declared uncertainty covers a wrong model too.
#[test]
fn twin_is_consistent_on_normal_running() {
    for seed in 0..4 {
        let exact = Options { deviation: 0.0, ..Options::default() };
        let (nis, worst) = mean_nis(seed, &exact, 300, 3600);
        println!("exact {seed}: {nis:.3} worst {worst:.1}");
        let (off, worst) = mean_nis(seed, &Options::default(), 300, 3600);
        println!("1 % {seed}: {off:.3} worst {worst:.1}");
        let steps = Options::default().with_load_steps(seed, Duration::from_secs(4000));
        let (steps, worst) = mean_nis(seed, &steps, 300, 3600);
        println!("steps {seed}: {steps:.3} worst {worst:.1}");
        assert!((0.8..1.05).contains(&nis), "seed {seed}: {nis}");
        assert!((0.8..1.05).contains(&off), "seed {seed}: {off}");
        assert!((0.8..1.1).contains(&steps), "seed {seed}: {steps}");
    }
}

/// Half an hour without the four temperatures: what the model says instead stays within three of its sigmas.
#[test]
fn twin_stands_in_for_lost_sensors() {
    for seed in 0..6 {
        let mut run = Run::new(seed, &Options::default());
        run.run(900);
        for path in &SENSORS[..4] {
            run.twin.exclude(id(&run.plant, path), true);
        }
        let mut worst = [0.0f64; 4];
        for _ in 0..1800 {
            run.run(1);
            let truth = run.truth();
            for index in 0..4 {
                let found = run.twin.estimate(id(&run.plant, SENSORS[index])).unwrap();
                // The estimate is one slot behind.
                let error = (found.mean - truth[index]).abs() - 0.05;
                worst[index] = worst[index].max(error / found.sigma);
            }
        }
        let found = run.twin.estimate(id(&run.plant, SENSORS[0])).unwrap();
        println!(
            "seed {seed}: {worst:.2?} oil {:.2} ± {:.2} truth {:.2}",
            found.mean,
            found.sigma,
            run.truth()[0]
        );
        assert!(worst.iter().all(|worst| *worst < 3.0), "seed {seed}: {worst:?}");
    }
}

/// A band of 95 % holds the truth about 95 times in 100 and is not much wider than that takes: all sensors are found to lie a minute after they began, and for
/// 100 minutes only commands drive the twin: one half of the plants cut off from water at full load, the other cooled.
#[test]
fn twin_is_as_sure_of_a_virtual_hot_spot_as_it_may_be() {
    let (mut inside, mut all, mut squares, mut widest) = (0, 0, 0.0, 0.0f64);
    for seed in 100..140 {
        let options = Options { load: vec![(Timestamp::ZERO, 1.0)], ..Options::default() };
        let mut run = Run::new(seed, &options);
        run.run(900);
        let onset = run.site.plant.now();
        let write = |write: Register| match (write.address, seed % 2) {
            (VALVE_COMMAND, 0) => Register { raw: 2000 + 50 * (seed - 100) as u16, ..write },
            (VALVE_COMMAND | PUMP_COMMAND, _) => Register { raw: 10_000, ..write },
            _ => write,
        };
        for second in 1..=6060 {
            run.second(|r| r, write, |_, _, _| {});
            if second == 60 {
                SENSORS.iter().for_each(|path| run.twin.exclude(id(&run.plant, path), true));
                run.twin.rollback_to(onset).unwrap();
            }
            if second > 60 && second % 60 == 0 {
                let found = run.twin.estimate(id(&run.plant, SENSORS[1])).unwrap();
                let off = (found.mean - run.truth()[1]) / found.sigma;
                inside += usize::from(off.abs() < 1.96);
                all += 1;
                squares += off * off;
                widest = widest.max(found.sigma);
            }
        }
    }
    let (share, spread) = (inside as f64 / all as f64, (squares / all as f64).sqrt());
    println!("{:.1} % inside, spread {spread:.2} sigma, at most ± {widest:.2}", 100.0 * share);
    assert!(share >= 0.9, "{share}");
    assert!((0.5..1.2).contains(&spread), "{spread}");
}

/// The main scenario: from second 900 on the temperatures are replayed and the valve is closed. The twin, led astray for
/// five minutes, goes back before the onset and then knows what the screens do not show.
#[test]
fn twin_goes_back_before_a_replay() {
    let options = Options { load: vec![(Timestamp::ZERO, 1.0)], ..Options::default() };
    let mut run = Run::new(3, &options);
    let mut recorded: Vec<Vec<Register>> = Vec::new();
    for _ in 0..900 {
        let mut row = Vec::new();
        run.second(
            |register| {
                row.push(register);
                register
            },
            |write| write,
            |_, _, _| {},
        );
        recorded.push(row);
    }
    let onset = run.site.plant.now();
    let attack = |run: &mut Run, seconds: usize, from: usize| {
        for second in 0..seconds {
            let row = &recorded[300 + (from + second) % 600];
            run.second(
                |register| {
                    row.iter()
                        .find(|old| old.address == register.address && old.table == register.table)
                        .copied()
                        .unwrap_or(register)
                },
                |write| if write.address == VALVE_COMMAND { Register { raw: 2000, ..write } } else { write },
                |_, _, _| {},
            );
        }
    };
    attack(&mut run, 300, 0);
    let oil = id(&run.plant, SENSORS[0]);
    let led = run.twin.estimate(oil).unwrap();
    for path in SENSORS {
        run.twin.exclude(id(&run.plant, path), true);
    }
    let back = run.twin.rollback_to(onset).unwrap();
    assert!(back < onset && (onset - back) <= Duration::from_secs(61));
    let right = run.twin.estimate(oil).unwrap();
    println!("truth {:.2} led {:.2} right {:.2} ± {:.2}", run.truth()[0], led.mean, right.mean, right.sigma);
    assert!((right.mean - run.truth()[0]).abs() < 3.0 * right.sigma + 0.05);
    attack(&mut run, 1800, 300);
    let later = run.twin.estimate(id(&run.plant, SENSORS[1])).unwrap();
    println!("hot spot truth {:.2} estimate {:.2} ± {:.2}", run.truth()[1], later.mean, later.sigma);
    assert!((later.mean - run.truth()[1]).abs() < 3.0 * later.sigma);
    assert!(run.truth()[1] > 105.0);
    assert!(run.twin.rollback_to(Timestamp::from_secs(-5)).is_none());
}

#[test]
fn twin_explains_a_bias_by_its_sensor_and_an_offset_by_its_actuator() {
    let plant = plant();
    for (address, size) in
        [(0u16, 3.0), (1, 5.0), (2, 3.0), (3, 3.0), (4, 0.05), (5, 0.05), (6, 0.02), (7, 0.03)]
    {
        let mut run = Run::new(11, &Options::default());
        run.run(400);
        let onset = run.site.plant.now();
        for _ in 0..60 {
            let add = (size / scale(address)) as i16;
            run.second(
                |register| {
                    let hit = register.table == Table::Input && register.address == address;
                    Register {
                        raw: if hit { (register.raw as i16 + add) as u16 } else { register.raw },
                        ..register
                    }
                },
                |write| write,
                |_, _, _| {},
            );
        }
        let now = run.site.plant.now();
        let found = run.twin.explain(now);
        println!(
            "{address}: {:?}",
            &found[..3]
                .iter()
                .map(|e| (e.cause, e.log_likelihood_ratio as i64, e.magnitude, e.since.as_secs_f64()))
                .collect::<Vec<_>>()
        );
        let best = found[0];
        assert_eq!(best.cause, Cause::SensorBias(id(&plant, SENSORS[usize::from(address)])), "{address}");
        assert!((best.magnitude / size - 1.0).abs() < 0.3, "{address}: {}", best.magnitude);
        assert!((best.since - onset).as_secs_f64().abs() < 5.0, "{address}");
        // a parameter of the plant may mimic a sensor, another sensor or actuator does not
        let of_signals = |found: &&Explanation| !matches!(found.cause, Cause::FaultMode(_));
        let next = found.iter().filter(of_signals).nth(1).unwrap();
        assert!(next.log_likelihood_ratio < 0.9 * best.log_likelihood_ratio);
    }
    for (address, path) in [(PUMP_COMMAND, "cooler.pump.command"), (VALVE_COMMAND, "cooler.valve.command")] {
        let mut run = Run::new(12, &Options::default());
        run.run(400);
        for _ in 0..60 {
            // What the plant gets differs from what the twin saw on the wire: written again behind its back.
            run.second(|r| r, |w| w, |_, _, _| {});
            let held = run.site.plant.read(1, Table::Holding, address).unwrap();
            if run.site.plant.now().as_nanos() % 10_000_000_000 == 0 {
                run.site.plant.write(Register { unit: 1, table: Table::Holding, address, raw: held - 1500 });
            }
        }
        let now = run.site.plant.now();
        let found = run.twin.explain(now);
        println!(
            "{path}: {:?}",
            &found[..3]
                .iter()
                .map(|e| (e.cause, e.log_likelihood_ratio as i64, e.magnitude))
                .collect::<Vec<_>>()
        );
        assert_eq!(found[0].cause, Cause::ActuatorOffset(id(&plant, path)));
        assert!((found[0].magnitude + 0.15).abs() < 0.05, "{}", found[0].magnitude);
    }
}

/// What has inertia does not jump: a plant whose constants would have to be a hundred times what they were explains nothing.
#[test]
fn a_jump_within_a_second_is_no_wear() {
    let plant = plant();
    for (address, size) in [(0u16, -7.5), (1, 5.0)] {
        let mut run = Run::new(11, &Options::default());
        run.run(400);
        run.second(
            |register| {
                let hit = register.table == Table::Input && register.address == address;
                let add = if hit { (size / scale(address)) as i16 } else { 0 };
                Register { raw: (register.raw as i16 + add) as u16, ..register }
            },
            |write| write,
            |_, _, _| {},
        );
        run.second(|r| r, |w| w, |_, _, _| {});
        let now = run.site.plant.now();
        let found = run.twin.explain(now);
        assert_eq!(found[0].cause, Cause::SensorBias(id(&plant, SENSORS[usize::from(address)])), "{address}");
        let fault = found.iter().find(|found| matches!(found.cause, Cause::FaultMode(_))).unwrap();
        println!("{address}: {} {fault:?}", found[0].log_likelihood_ratio);
        assert!(fault.log_likelihood_ratio < found[0].log_likelihood_ratio - 20.0, "{address}: {fault:?}");
    }
}

#[test]
fn twin_goes_on_bit_for_bit_from_a_snapshot() {
    let mut first = Run::new(21, &Options::default());
    first.run(500);
    let bytes = first.twin.snapshot();
    let mut second = Run { site: first.site.clone(), plant: plant(), twin: Twin::new(&plant()).unwrap() };
    second.twin.restore(&bytes).unwrap();
    assert_eq!(second.twin.snapshot(), bytes);
    let trace = |run: &mut Run| {
        let mut trace = Vec::new();
        for _ in 0..200 {
            run.second(|r| r, |w| w, |at, nis, dof| trace.push((at, nis.to_bits(), dof)));
        }
        let now = run.site.plant.now();
        let explained: Vec<u64> =
            run.twin.explain(now).iter().map(|e| e.log_likelihood_ratio.to_bits()).collect();
        run.twin.exclude_all(true);
        (trace, explained, run.twin.rollback_to(Timestamp::from_secs(250)), run.twin.snapshot())
    };
    assert_eq!(trace(&mut first), trace(&mut second));
    for cut in (0..bytes.len()).step_by(997) {
        assert!(second.twin.restore(&bytes[..cut]).is_err());
    }
    let mut bent = bytes.clone();
    bent[20] ^= 1;
    assert!(second.twin.restore(&bent).unwrap_err().to_string().contains("another model"));
}

#[test]
fn twin_counts_what_it_cannot_use() {
    let plant = plant();
    let oil = id(&plant, SENSORS[0]);
    let mut twin = Twin::new(&plant).unwrap();
    let at = |second| Timestamp::from_secs(second);
    let point = |value: f64, second| Point::new(oil, Value::real(value).unwrap(), Source::Field, at(second));
    twin.observe(&point(64.0, 10));
    assert!(twin.advance(at(10)).is_none());
    assert_eq!(twin.advance(at(11)).map(|residual| (residual.at, residual.dof)), Some((at(10), 1)));
    twin.observe(&point(64.0, 9));
    twin.observe(&point(900.0, 11));
    twin.observe(&Point { quality: twinguard_types::Quality::Stale, ..point(64.0, 11) });
    twin.observe(&Point { source: Source::Vendor, ..point(64.0, 11) });
    twin.observe(&point(64.0, 14));
    let mut dofs = Vec::new();
    while let Some(residual) = twin.advance(at(15)) {
        dofs.push(residual.dof);
    }
    assert_eq!(dofs, [0, 0, 0, 1]);
    let counts = twin.counts();
    assert_eq!((counts.slots, counts.late, counts.unusable, counts.dropped), (5, 1, 2, 0));
    for _ in 0..2000 {
        twin.observe(&point(64.0, 1000));
    }
    assert_eq!(twin.counts().dropped, 2000 - 1024);
    assert!(twin.advance(Timestamp::MAX).is_none());
    assert_eq!((twin.counts().restarts, twin.clock()), (1, None));
}

/// Chunking does not matter: points first and then advance, or the other way round.
#[test]
fn twin_does_not_mind_the_order_of_calls() {
    let plant = plant();
    let feed = |late: bool| {
        let mut transformer = Transformer::new(5, &Options::default());
        let mut twin = Twin::new(&plant).unwrap();
        let mut trace = Vec::new();
        for second in 0..300 {
            transformer.step();
            let now = transformer.now();
            let mut drain = |twin: &mut Twin| {
                while let Some(residual) = twin.advance(now) {
                    trace.push((residual.at, residual.nis.to_bits()));
                }
            };
            if !late || second % 7 == 0 {
                drain(&mut twin);
            }
            for register in transformer.registers().iter().filter(|register| register.table == Table::Input) {
                let value = Value::real(f64::from(register.raw as i16) * scale(register.address)).unwrap();
                let signal = id(&plant, SENSORS[usize::from(register.address)]);
                twin.observe(&Point::new(signal, value, Source::Field, now));
            }
        }
        while let Some(residual) = twin.advance(transformer.now()) {
            trace.push((residual.at, residual.nis.to_bits()));
        }
        trace
    };
    assert_eq!(feed(false), feed(true));
}

#[test]
fn twin_foresees_the_cards_horizons() {
    let options = Options { load: vec![(Timestamp::ZERO, 1.0)], ..Options::default() };
    let mut run = Run::new(7, &options);
    run.run(600);
    let [pump, valve] = ["cooler.pump.command", "cooler.valve.command"].map(|path| id(&run.plant, path));
    let mut fork = run.twin.fork();
    let kept = fork.simulate(Duration::from_secs(3600), &[]).unwrap();
    assert!(kept.margins.iter().all(|margin| margin.crossed.is_none()), "{kept:?}");
    let closed = fork.simulate(Duration::from_secs(6000), &[(valve, 0.2)]).unwrap();
    println!("steps {} margins {:?}", closed.steps, closed.margins);
    let again = fork.simulate(Duration::from_secs(6000), &[(valve, 0.2)]).unwrap();
    assert_eq!(closed, again, "a fork starts anew each time");
    // The mean run against the plant itself.
    let mut truth = run.site.plant.clone();
    truth.write(Register { unit: 1, table: Table::Holding, address: VALVE_COMMAND, raw: 2000 });
    for _ in 0..6000 {
        truth.step();
    }
    let at_end = closed.trajectory[closed.trajectory.len() - 8 + 1];
    println!(
        "hot spot: foreseen {:.2} ± {:.2}, true {:.2}",
        at_end.0,
        at_end.1,
        truth.truth().theta_hotspot_c
    );
    assert!((at_end.0 - truth.truth().theta_hotspot_c).abs() < 3.0 * at_end.1);
    assert!(fork.simulate(Duration::from_secs(1), &[(id(&run.plant, SENSORS[0]), 1.0)]).is_err());
    assert!(fork.simulate(Duration::from_secs(1), &[(pump, f64::NAN)]).is_err());
}

#[test]
fn a_virtual_sensor_is_as_exact_as_it_says() {
    let options = |stretch| Options { stretch, ..Options::default() };
    let mut normal = Run::new(1, &options(0).with_load_steps(7, Duration::from_secs(14_400)));
    let mut left_out = LeftOut::default();
    for _ in 0..3_700 {
        normal.run(1);
        left_out.look(&normal.twin);
    }
    let errors = left_out.finish(&normal.twin);
    let oil = id(&normal.plant, SENSORS[0]);
    assert!(errors.len() >= SENSORS.len() && errors[&oil].sigma > 0.0, "{errors:?}");

    let inside = |learnt: bool| {
        let mut run = Run::new(1, &options(1).with_load_steps(8, Duration::from_secs(14_400)));
        if learnt {
            run.twin.set_model_errors(&errors);
        }
        run.run(600);
        let heard = run.twin.estimate(oil).unwrap();
        run.twin.exclude(oil, true);
        assert_eq!(run.twin.estimate(oil).unwrap().sigma > heard.sigma, learnt, "only where it is left out");
        let mut inside = 0;
        for _ in 0..2_400 {
            let truth = run.truth()[0];
            run.run(1);
            let estimate = run.twin.estimate(oil).unwrap();
            inside += usize::from((estimate.mean - truth).abs() <= 1.96 * estimate.sigma);
        }
        inside as f64 / 2_400.0
    };
    let (said, without) = (inside(true), inside(false));
    assert!(
        said >= 0.95 && without < 0.8,
        "inside the interval: {said} of the time, {without} without what was learnt"
    );
}
