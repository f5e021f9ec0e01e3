use super::*;
use twinguard_types::{
    Command, CommandId, CommandOrigin, Decision, Point, Principal, PrincipalId, Source, Stage, Value, Verdict,
};

use crate::{Flaw, Gate, GateConfig};

const EQUATIONS: &str = "kind = \"differential\"\n\
    equations = [\"d(T)/dt = heat - cold - a * (T - 20)\", \"y = T\"]\n\
    parameters = { a = { value = 0.01, sigma = 0.0002 } }";
const MATRICES: &str = "kind = \"linear\"\nA = [[-0.01]]\nB = [[1.0, -1.0]]\nC = [[1.0]]\n\
    operating_point = { x = [20.0], y = [20.0] }";

/// A tank that is heated and cooled: 20 °C and 100 K for each unit of heat, in 100 s.
fn tank(form: &str) -> Plant {
    let text = format!(
        r#"
        format = 1
        name = "tank"
        [[signal]]
        path = "temperature"
        sigma = 0.1
        [[signal]]
        path = "heater"
        role = "actuator"
        range = [0.0, 2.0]
        [[signal]]
        path = "cooler"
        role = "actuator"
        range = [0.0, 2.0]
        [[signal]]
        path = "setpoint"
        role = "setpoint"
        [dynamics]
        {form}
        states = {{ T = {{ initial = 40.0, sigma = 1.0, process_sigma = 0.01 }} }}
        inputs = {{ heat = {{ signal = "heater", default = 0.2 }}, cold = {{ signal = "cooler", default = 0.0 }} }}
        outputs = {{ y = "temperature" }}
        [[limit]]
        signal = "temperature"
        max = 90.0
        min = 5.0
        kind = "never_exceed"
        horizon_s = 600.0
        [safe_state]
        heater = 0.0
        cooler = 0.0
        [time]
        sampling_s = 1.0
        stale_s = 30.0
        [[rule]]
        name = "all"
        effect = "allow"
        roles = ["operator"]
        signals = ["heater", "cooler", "setpoint"]
        "#
    );
    Plant::parse(&text, "tank.toml").unwrap()
}

struct Bench {
    plant: Plant,
    gate: Gate,
    twin: Twin,
    now: Timestamp,
    next: u64,
}

impl Bench {
    /// Two minutes at 40 °C, with a heater at 0.2.
    fn new(form: &str, config: GateConfig) -> Self {
        let plant = tank(form);
        let gate = Gate::new(&plant, config).unwrap();
        let twin = Twin::new(&plant).unwrap();
        let mut bench = Self { plant, gate, twin, now: Timestamp::ZERO, next: 0 };
        bench.run(120, |_| 40.0);
        bench
    }

    fn run(&mut self, seconds: i64, measured: impl Fn(i64) -> f64) {
        let temperature = self.plant.catalogue.id("temperature").unwrap();
        for second in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            while let Some(residual) = self.twin.advance(self.now) {
                self.gate.observe(&residual);
                self.gate.follow(&self.twin);
            }
            let value = Value::real(measured(second)).unwrap();
            self.twin.observe(&Point::new(temperature, value, Source::Field, self.now));
        }
    }

    fn ask(&mut self, path: &str, value: f64) -> Verdict {
        self.next += 1;
        let command = Command {
            id: CommandId(self.next),
            principal: PrincipalId(0),
            signal: self.plant.catalogue.id(path).unwrap(),
            value: Value::real(value).unwrap(),
            at: self.now,
            origin: CommandOrigin::Platform,
            from: None,
        };
        self.gate.admit(self.now, &command, &Principal::new("anna").role("operator"), Some(&self.twin))
    }
}

fn strict() -> GateConfig {
    GateConfig { clamp: false, ..GateConfig::default() }
}

#[test]
fn what_is_safe_passes_and_what_is_not_is_brought_to_the_nearest_safe_value() {
    for form in [EQUATIONS, MATRICES] {
        let mut bench = Bench::new(form, GateConfig::default());
        let fine = bench.ask("heater", 0.5);
        assert_eq!(fine.decision, Decision::Allow, "{fine:?}");
        let margin = fine.margin.unwrap().1;
        // 70 °C in the end, 30 K more than now of which a tenth may be wrong, and a few σ.
        assert!((10.0..17.0).contains(&margin), "{form} {margin}");
        let mut bench = Bench::new(form, GateConfig::default());
        let bad = bench.ask("heater", 1.5);
        let Decision::Clamp(safe) = bad.decision else { panic!("{bad:?}") };
        assert!((0.5..0.7).contains(&safe.as_f64()), "{safe}");
        assert!(bad.margin.unwrap().1 >= 0.0);
        assert!(bad.reasons[0].text.contains("a limit would be crossed after"), "{bad:?}");
        assert_eq!(bad.reasons[0].stage, Stage::WhatIf);
        let mut bench = Bench::new(form, strict());
        let bad = bench.ask("heater", 1.5);
        assert_eq!(bad.decision, Decision::Deny);
        assert!(bad.margin.unwrap().1 < -30.0, "{bad:?}");
        assert_eq!(bench.ask("cooler", 1.0).decision, Decision::Deny, "too cold is a limit, too");
        assert_eq!(bench.ask("setpoint", 1.0).decision, Decision::Allow, "not modelled");
    }
}

#[test]
fn superposition_is_simulation() {
    let plant = tank(MATRICES);
    let mut bench = Bench::new(MATRICES, strict());
    let mut slow = Lookahead::new(&plant);
    slow.linear = false;
    let mut fast = Lookahead::new(&plant);
    assert!(fast.linear);
    let width = Width { sigmas: 3.0, model_error: 0.1 };
    for second in 0..30 {
        bench.run(1, |_| 40.0 + f64::from(second) * 0.1);
        for (path, value) in [("heater", 0.0), ("heater", 1.3), ("cooler", 0.4), ("heater", 0.55)] {
            let hold = (plant.catalogue.id(path).unwrap(), value);
            let pending = [(plant.catalogue.id("cooler").unwrap(), 0.1)];
            let pending = if second % 2 == 0 { &pending[..] } else { &[] };
            let [a, b] = [&mut slow, &mut fast]
                .map(|it| it.foresee(&bench.twin, &Confidence::default(), pending, hold, width));
            let margin = |it: &Foresight| match it {
                Foresight::Clear { margin, .. } => margin.unwrap().1,
                Foresight::Crosses { margin, .. } | Foresight::NoWorse { margin } => margin.1,
                other => panic!("{other:?}"),
            };
            assert!((margin(&a) - margin(&b)).abs() < 1e-4, "{a:?} {b:?}");
            assert_eq!(core::mem::discriminant(&a), core::mem::discriminant(&b));
        }
    }
}

#[test]
fn commands_on_their_way_are_looked_at_together() {
    let mut bench = Bench::new(EQUATIONS, strict());
    // Each is safe alone: 0.55 makes 75 °C; cooling by 0.25 more than that takes 25 K from 40.
    assert_eq!(bench.ask("cooler", 0.1).decision, Decision::Allow);
    assert_eq!(bench.ask("heater", 0.55).decision, Decision::Allow);
    // With the cooler on, 0.7 is not too much; with it off again, it is.
    assert_eq!(bench.ask("heater", 0.65).decision, Decision::Allow);
    assert_eq!(bench.ask("cooler", 0.0).decision, Decision::Deny, "the heater waits at 0.65");
    // What was not sent in time is not on its way any more.
    bench.run(11, |_| 40.0);
    assert_eq!(bench.ask("cooler", 0.0).decision, Decision::Allow);
}

#[test]
fn a_twin_that_cannot_be_relied_on_leaves_only_the_way_to_the_safe_state() {
    let check = |bench: &mut Bench, why: &str| {
        let verdict = bench.ask("heater", 0.3);
        assert_eq!(
            (verdict.decision, verdict.reasons[0].stage),
            (Decision::Deny, Stage::Trust),
            "{verdict:?}"
        );
        assert!(verdict.reasons[0].text.contains(why), "{verdict:?}");
        assert_eq!(bench.ask("heater", 0.1).decision, Decision::Allow, "towards the safe state");
    };
    let mut stale = Bench::new(EQUATIONS, GateConfig::default());
    stale.now = stale.now + Duration::from_secs(60);
    check(&mut stale, "heard nothing");
    let mut lost = Bench::new(EQUATIONS, GateConfig::default());
    lost.run(400, |second| if second < 340 || second % 2 == 0 { 40.0 } else { 46.0 });
    check(&mut lost, "does not follow");
    let mut accused = Bench::new(EQUATIONS, GateConfig::default());
    accused.gate.confidence_mut().accuse(true);
    check(&mut accused, "accuses");
    let plant = tank(EQUATIONS);
    let mut new = Bench {
        gate: Gate::new(&plant, strict()).unwrap(),
        twin: Twin::new(&plant).unwrap(),
        plant,
        now: Timestamp::ZERO,
        next: 0,
    };
    check(&mut new, "not seen the plant");
}

#[test]
fn an_admission_carries_a_tube_that_somebody_else_can_check() {
    for form in [EQUATIONS, MATRICES] {
        let mut bench = Bench::new(form, GateConfig::default());
        let verdict = bench.ask("heater", 0.5);
        let certificate = bench.gate.certificate(verdict.command).unwrap().clone();
        assert_eq!(certificate.check(&bench.plant), Ok(()));
        assert_eq!(certificate.inputs, [0.5, 0.0]);
        assert_eq!(certificate.still_holds(bench.now, &bench.twin), Ok(()));
        assert!(matches!(certificate.still_holds(certificate.expires, &bench.twin), Err(Flaw::Expired(_))));
        // The plant went elsewhere meanwhile.
        let mut moved = bench.twin.clone();
        core::mem::swap(&mut moved, &mut bench.twin);
        bench.run(5, |_| 80.0);
        assert_eq!(certificate.still_holds(bench.now, &bench.twin), Err(Flaw::Moved));

        let forged = |change: &dyn Fn(&mut Certificate)| {
            let mut forged = certificate.clone();
            change(&mut forged);
            forged.check(&bench.plant)
        };
        assert!(matches!(forged(&|it| it.inputs[0] = 0.9), Err(Flaw::Left { .. })), "another command");
        for start in 0..certificate.starts.len() {
            let elsewhere = forged(&|it| it.starts[start].state[0] = 55.0);
            assert!(matches!(elsewhere, Err(Flaw::Left { .. })), "another state");
        }
        let narrow = forged(&|it| {
            let last = it.tubes[0].bounds.last_mut().unwrap();
            last.1 = last.0;
        });
        assert!(matches!(narrow, Err(Flaw::Left { .. })), "a tube that is too narrow: {narrow:?}");
        assert!(matches!(forged(&|it| it.tubes[0].bounds[3].1 = 91.0), Err(Flaw::Limit { .. })));
        assert!(matches!(forged(&|it| it.tubes.clear()), Err(Flaw::Shape(_))));
        let short = forged(&|it| {
            it.tubes[0].times.pop();
            it.tubes[0].bounds.pop();
        });
        assert!(matches!(short, Err(Flaw::Shape(_))));
        assert!(matches!(forged(&|it| it.starts[0].state.clear()), Err(Flaw::Shape(_))));
    }
}

#[test]
fn a_sensor_that_lies_slowly_does_not_lead_the_what_if_away_from_the_plant() {
    for form in [EQUATIONS, MATRICES] {
        let mut bench = Bench::new(form, strict());
        bench.run(400, |_| 40.0);
        // The sensor shows 1 K less every minute, and the plant stays at 40 °C.
        bench.run(400, |second| 40.0 - second as f64 / 60.0);
        let verdict = bench.ask("heater", 0.4);
        assert_eq!(verdict.decision, Decision::Allow, "{form} {verdict:?}");
        let certificate = bench.gate.certificate(verdict.command).unwrap();
        let [shown, reckoned] = certificate.starts.as_slice() else { panic!("{form} {certificate:?}") };
        assert!(shown.state[0] < 35.0, "{form} {shown:?}");
        assert!((38.0..41.0).contains(&reckoned.state[0]), "{form} {reckoned:?}");
        // The bounds that have to be within the limits hold both places.
        let (low, high) = certificate.tubes[0].bounds[0];
        assert!(low < 35.0 && high > 39.0, "{form} {low} {high}");
        assert_eq!(certificate.check(&bench.plant), Ok(()));
    }
}
