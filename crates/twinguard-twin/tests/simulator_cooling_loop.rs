//! The simulated cooling loop: same seed same bits, the card's horizons, a controller that holds its set-point.

#![allow(missing_docs, clippy::print_stdout, reason = "a test")]

use twinguard_twin::simulator::cooling_loop::{
    Ambient, Options, PUMP_COMMAND, Parameters, Physics, SET_POINT, Site, State, VALVE_COMMAND,
};
use twinguard_twin::simulator::{Register, Simulator, Table};
use twinguard_types::{Duration, Timestamp};

fn second(site: &mut Site, replay: Option<&[Register]>, valve: Option<u16>) {
    site.plant.step();
    if site.plant.answers() {
        for register in replay.unwrap_or(site.plant.registers()) {
            site.controller.observe(*register);
            site.vendor.observe(*register);
        }
    }
    let now = site.plant.now();
    for write in site.operator.decide(now).into_iter().chain(site.controller.decide(now)) {
        let raw = valve.filter(|_| write.address == VALVE_COMMAND).unwrap_or(write.raw);
        site.vendor.observe(write);
        site.plant.write(Register { raw, ..write });
    }
    site.vendor.step();
}

#[test]
fn simulator_repeats_itself_bit_for_bit() {
    let run = |seed| {
        let options = Options { set_point_changes: true, ..Options::default() }
            .with_load_steps(seed, Duration::from_secs(14_400));
        let mut site = Site::new(seed, &options);
        let mut trace = Vec::new();
        for _ in 0..7200 {
            second(&mut site, None, None);
            trace.extend(site.plant.registers().iter().map(|register| register.raw));
        }
        (trace, site.plant.truth().theta_hotspot_c.to_bits(), site.vendor.values().theta_oil_c.to_bits())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

/// Attack 1 of the card, its figures and its start: at rest with pump and valve at 0.9, then the valve at 0.2.
#[test]
fn simulator_has_the_cards_horizons() {
    for (load_pu, to_120, to_140) in [(1.0, 27.0, 71.0), (0.9, 69.0, 125.0), (0.8, 128.0, 206.0)] {
        let mut physics = Physics::new(Parameters::default());
        let ambient = Ambient { load_pu, air_c: 20.0, supply_c: 18.0 };
        let mut state = State { theta_oil_c: 70.0, theta_water_c: 28.0, ..State::default() };
        for _ in 0..20_000 {
            physics.step(&mut state, 5.0, [0.9, 0.9], ambient);
        }
        let mut crossed = [None; 2];
        for second in 1..15_000 {
            physics.step(&mut state, 1.0, [0.9, 0.2], ambient);
            for (crossed, limit) in crossed.iter_mut().zip([120.0, 140.0]) {
                if physics.output(&state).theta_hotspot_c > limit && crossed.is_none() {
                    *crossed = Some(f64::from(second) / 60.0);
                }
            }
        }
        let [first, second] = crossed.map(|minutes| minutes.unwrap_or(f64::INFINITY));
        assert!((first - to_120).abs() < 1.0 && (second - to_140).abs() < 1.0, "{load_pu}: {first} {second}");
    }
}

/// The same attack on the running loop. At full load the controller has pump and valve wide open and the oil at 74 °C,
/// so there is more time than in the card; a hot day (air 30 °C, water 28 °C) takes it away again.
#[test]
fn simulator_overheats_as_the_card_says() {
    for (seed, air_c, to_120, to_140) in [(0, 20.0, 50.0, 95.0), (1, 20.0, 50.0, 95.0), (2, 30.0, 25.0, 65.0)]
    {
        let load = vec![(Timestamp::ZERO, 1.0)];
        let options =
            Options { load, disturbances: false, air_c, supply_c: air_c - 2.0, ..Options::default() };
        let mut site = Site::new(seed, &options);
        let mut recorded = Vec::new();
        for _ in 0..600 {
            second(&mut site, None, None);
            recorded.push(site.plant.registers().to_vec());
        }
        let mut crossed = [None; 2];
        for step in 0..7200 {
            second(&mut site, Some(&recorded[step % 600]), Some(2000));
            for (crossed, limit) in crossed.iter_mut().zip([120.0, 140.0]) {
                if site.plant.truth().theta_hotspot_c > limit && crossed.is_none() {
                    *crossed = Some(step as f64 / 60.0);
                }
            }
        }
        let [first, second] = crossed.map(|minutes| minutes.unwrap_or(f64::INFINITY));
        println!("seed {seed}: 120 °C after {first:.0} min, 140 °C after {second:.0} min");
        assert!((first - to_120).abs() < 8.0 && (second - to_140).abs() < 12.0, "{first} {second}");
        assert!(site.vendor.values().theta_hotspot_c < 110.0, "the screens stay calm");
    }
}

#[test]
fn simulator_holds_the_set_point_through_load_steps() {
    let options = Options::default().with_load_steps(4, Duration::from_secs(14_400));
    let mut site = Site::new(4, &options);
    let (mut sum, mut count) = (0.0, 0.0);
    for _ in 0..14_400 {
        second(&mut site, None, None);
        let hot = site.plant.truth().theta_hotspot_c;
        assert!((30.0..125.0).contains(&hot), "{hot}");
        sum += site.plant.truth().theta_oil_c;
        count += 1.0;
    }
    println!("mean oil {}", sum / count);
    assert!((site.plant.truth().theta_oil_c - 65.0).abs() < 15.0);
    let journal = site.controller.take_journal();
    assert_eq!(journal.len(), 2 * 1440, "two values every ten seconds");
}

#[test]
fn simulator_obeys_its_registers_only() {
    let mut site = Site::new(9, &Options::default());
    let holding = |address, raw| Register { unit: 1, table: Table::Holding, address, raw };
    assert!(site.plant.write(holding(PUMP_COMMAND, 0)));
    assert!(!site.plant.write(holding(77, 1)));
    assert!(!site.plant.write(Register { table: Table::Input, ..holding(0, 1) }));
    assert_eq!(site.plant.read(1, Table::Holding, SET_POINT), Some(650));
    assert_eq!(site.plant.read(2, Table::Holding, SET_POINT), None);
    for _ in 0..60 {
        site.plant.step();
    }
    assert!(site.plant.truth().pump_pu < 0.01 && site.plant.truth().oil_flow_pu < 0.06);
    assert_eq!(site.plant.registers()[0].tag(), "u1/ir/0");
    assert_eq!(site.plant.registers()[11].tag(), "u1/hr/0");
}
