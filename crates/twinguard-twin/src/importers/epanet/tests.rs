use proptest::prelude::*;

use super::*;
use crate::water::{ActionTo, LinkKind, Operand, PumpCurve, Relation, Status, Subject, ValveKind, When};

const SMALL: &str = "[TITLE]\nanything goes here [ ; \n[JUNCTIONS]\n a 10 100 day\n b 20\n c 5 3.5\n[RESERVOIRS]\n r 100\n\
    [TANKS]\n t 50 10 2 20 40\n[PIPES]\n p1 r a 1000 12 100\n p2 a b 500 8 120 1.5 Closed\n p3 b t 100 8 120 CV\n\
    [PUMPS]\n u a c HEAD h SPEED 1.1\n[VALVES]\n v b c 6 PRV 40 2\n[PATTERNS]\n day 1 2 3\n day 4\n[CURVES]\n h 100 80\n\
    [CONTROLS]\n LINK p1 CLOSED IF NODE t ABOVE 18\n LINK u 0.5 AT CLOCKTIME 6 PM\n LINK v 30 IF NODE a BELOW 20\n\
    [RULES]\n RULE one\n IF TANK t LEVEL BELOW 5\n OR SYSTEM CLOCKTIME >= 8:30 AM\n THEN PUMP u STATUS IS OPEN\n\
    ELSE PUMP u SETTING IS 0.7\n PRIORITY 3\n[DEMANDS]\n b 7 day\n b 8\n[EMITTERS]\n c 2\n[STATUS]\n p1 CLOSED\n[OPTIONS]\n\
    UNITS GPM\n[TIMES]\n Duration 24:00\n[COORDINATES]\n a 1 1\n[END]\n";

fn refuse(text: &str, expected: &str) {
    assert_eq!(epanet(text.as_bytes()).unwrap_err().to_string(), expected);
}

#[test]
fn everything_that_matters_is_read() {
    let network = epanet(SMALL.as_bytes()).unwrap();
    assert_eq!((network.junctions.len(), network.stores.len(), network.links.len()), (3, 2, 5));
    assert_eq!(network.patterns[0].factors, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(network.junctions[0].demands[0].pattern, Some(0));
    assert_eq!(network.junctions[1].demands.len(), 2, "two categories take the place of none");
    assert!((network.junctions[1].demands[0].base_cfs - 7.0 / 448.831).abs() < 1e-15);
    assert!(network.junctions[2].emitter > 0.0);
    let tank = network.stores[1].tank.as_ref().unwrap();
    assert_eq!((tank.lowest_ft, tank.start_ft, tank.highest_ft), (52.0, 60.0, 70.0));
    assert_eq!(network.links[0].status, Status::Closed);
    assert!(network.links[1].minor_loss > 0.0 && network.links[1].status == Status::Closed);
    assert!(matches!(network.links[2].kind, LinkKind::Pipe { check_valve: true, .. }));
    let LinkKind::Pump { curve: PumpCurve::Law { shutoff_ft, exponent, .. }, .. } = network.links[3].kind
    else {
        panic!("a pump by a law");
    };
    assert!((shutoff_ft - 106.667).abs() < 1e-3 && (exponent - 2.0).abs() < 1e-4);
    assert_eq!(network.links[3].setting, Some(1.1));
    assert_eq!(network.links[4].kind, LinkKind::Valve(ValveKind::PressureReducing));
    assert!((network.links[4].setting.unwrap() - 40.0 / 0.4333).abs() < 1e-9);
    assert!(matches!(network.controls[0].when, When::Above { node: 4, head_ft } if head_ft == 68.0));
    assert_eq!(network.controls[1].when, When::Clock { at_s: 18 * 3_600 });
    assert_eq!((network.controls[1].status, network.controls[1].setting), (Status::Open, Some(0.5)));
    assert_eq!(network.controls[2].status, Status::Active);
    let rule = &network.rules[0];
    assert_eq!((rule.premises[0].subject, rule.premises[0].relation), (Subject::Level(4), Relation::Below));
    assert!(rule.premises[1].or && rule.premises[1].value == Operand::Number(8.5 * 3_600.0));
    assert_eq!((rule.then[0].to, rule.otherwise[0].to), (ActionTo::Open, ActionTo::Setting(0.7)));
    assert_eq!(rule.priority, 3.0);
}

#[test]
fn refusals_say_where_and_why() {
    let base = "[RESERVOIRS]\n r 1\n[JUNCTIONS]\n a 1\n";
    refuse("", "line 0: the network needs at least two nodes");
    refuse(
        "[JUNCTIONS]\n a 1\n b 1\n[PIPES]\n p a b 1 1 1\n",
        "line 0: the network has neither a tank nor a reservoir",
    );
    refuse(base, "line 4, [JUNCTIONS]: node `a` is not connected");
    refuse("[JUNCTIONS]\n a x\n", "line 2, [JUNCTIONS]: `x` is not a number");
    refuse("[JUNCTIONS]\n a 1\n a 1\n", "line 3, [JUNCTIONS]: a second node `a`");
    refuse("[JUNCTIONS]\n a 1 1 p\n", "line 2, [JUNCTIONS]: no pattern `p`");
    refuse(
        "[TANKS]\n t 1 5 6 7 8\n",
        "line 2, [TANKS]: the levels of tank `t` contradict each other or its volume curve",
    );
    let with = |rest: &str, expected: &str| refuse(&format!("{base}{rest}"), expected);
    with("[PIPES]\n p r z 1 1 1\n", "line 6, [PIPES]: no node `z`");
    with("[PIPES]\n p r r 1 1 1\n", "line 6, [PIPES]: link `p` begins and ends at the same node");
    with("[PIPES]\n p r a 1 0 1\n", "line 6, [PIPES]: `0` is out of range");
    with("[PIPES]\n p r a 1\n", "line 6, [PIPES]: only 4 words, more are needed");
    with("[PUMPS]\n p r a\n", "line 6, [PUMPS]: pump `p` has neither a head curve nor a power");
    with("[VALVES]\n v r a 6 PRV 10\n", "line 6, [VALVES]: valve `v` cannot be next to a tank or reservoir");
    with("[VALVES]\n v r a 6 XYZ 10\n", "line 6, [VALVES]: `XYZ` is not known here");
    with("[CURVES]\n c 1 1\n c 1 2\n", "line 6, [CURVES]: the x values of curve `c` do not grow");
    with(
        "[PIPES]\n p r a 1 1 1 CV\n[CONTROLS]\n LINK p OPEN AT TIME 1\n",
        "line 8, [CONTROLS]: link `p` is a check valve, its status follows its flow",
    );
    with(
        "[PIPES]\n p r a 1 1 1\n[CONTROLS]\n LINK p OPEN AT TIME x\n",
        "line 8, [CONTROLS]: `x` is not a time",
    );
    with("[RULES]\n IF NODE a HEAD > 1\n", "line 6, [RULES]: clause `IF` out of place");
}

#[test]
fn old_pumps_and_volume_curves() {
    let text = "[RESERVOIRS]\n r 1\n[TANKS]\n t 10 5 1 9 0 0 v\n[JUNCTIONS]\n a 1\n b 1\n[PUMPS]\n p r a 80 100\n q r b 25\n\
                [PIPES]\n x a t 1 1 1\n[CURVES]\n v 0 0\n v 10 1000\n";
    let network = epanet(text.as_bytes()).unwrap();
    let tank = network.stores[1].tank.as_ref().unwrap();
    assert_eq!(
        (tank.lowest_ft3, tank.start_ft3, tank.highest_ft3, tank.area_ft2),
        (100.0, 500.0, 900.0, 100.0)
    );
    assert!(matches!(network.links[0].kind, LinkKind::Pump { curve: PumpCurve::Law { .. }, .. }));
    assert!(matches!(
        network.links[1].kind,
        LinkKind::Pump { curve: PumpCurve::Power { power_hp: 25.0 }, .. }
    ));
}

proptest! {
    #[test]
    fn nothing_panics(cut in 0_usize..900, noise in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = SMALL.as_bytes().to_vec();
        let at = cut.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = epanet(&bytes);
        bytes.truncate(at);
        let _ = epanet(&bytes);
    }
}
