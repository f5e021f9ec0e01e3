//! The reference plant `conveyor`: three accumulating belts in a row, a discrete-time hybrid system.
//!
//! Source: fluid queues in series with blocking, Cassandras, Lafortune, *Introduction to Discrete Event Systems*, 3rd ed.
//! 2021, §11.2; sizes and control are our own: each belt runs the faster the more lies on it.
//!
//! With belt 2 at a crawl it is full after about 25 s, stops belt 1, and belt 1 overflows within half a minute.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

#[derive(Debug)]
struct Belts;

impl Physics for Belts {
    /// Nothing moves between the steps.
    fn rate(&self, _: &[f64], _: &[f64], _: &[f64], out: &mut [f64]) {
        out.fill(0.0);
    }

    fn output(&self, parameters: &[f64], state: &[f64], _: &[f64], out: &mut [f64]) {
        let (&[length, ..], &[n1, n2, n3, v1, v2, v3, ..]) = (parameters, state) else { return };
        out.iter_mut().zip([n1, n2, n3, v1, v2, v3, n3 * v3 / length]).for_each(|(out, value)| *out = value);
    }

    fn settle(&self, parameters: &[f64], state: &mut [f64], input: &[f64], step_s: f64) {
        let (&[length, tau, slip], [n1, n2, n3, v1, v2, v3, stop1, stop2], &[to1, to2, to3, arrivals]) =
            (parameters, state, input)
        else {
            return;
        };
        let (q1, q2, q3) = (*n1 * *v1 / length, slip * *n2 * *v2 / length, *n3 * *v3 / length);
        let follow = 1.0 - libm::exp(-step_s / tau);
        let wait = |stop: f64, next: f64| {
            if next > 20.0 {
                1.0
            } else if next < 16.0 {
                0.0
            } else {
                stop
            }
        };
        let (wait1, wait2) = (wait(*stop1, *n2), wait(*stop2, *n3));
        *v1 += follow * ((1.0 - *stop1) * to1 - *v1);
        *v2 += follow * ((1.0 - *stop2) * to2 - *v2);
        *v3 += follow * (to3 - *v3);
        *n1 = (*n1 + arrivals - q1).max(0.0);
        *n2 = (*n2 + q1 - q2).max(0.0);
        *n3 = (*n3 + q2 - q3).max(0.0);
        *stop1 = wait1;
        *stop2 = wait2;
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[n1, n2, n3, target] = scan.seen else { return };
    for ((load, seen), command) in scan.memory.iter_mut().zip([n1, n2, n3]).zip(scan.commands.iter_mut()) {
        let share = if scan.first { 1.0 } else { 0.2 };
        *load += share * (seen - *load);
        *command = (*load / target.max(1.0)).clamp(0.2, 2.5);
    }
}

static INCIDENTS: [Incident; 8] = [
    fault(
        "belt_slip",
        "belt 2 slips: it carries a tenth less than it runs",
        0.0,
        &[Effect::Constant(named("slip"), 0.9)],
    ),
    fault(
        "drive_worn",
        "the drive of belt 3 runs at four fifths of what it is told",
        0.0,
        &[Effect::Weak(named("v3_cmd_m_s"), 0.8)],
    ),
    fault("drive_stuck", "the drive of belt 2 keeps its speed", 0.0, &[Effect::Stuck(named("v2_cmd_m_s"))]),
    fault(
        "barrier_dirty",
        "the light barrier misses a fifth",
        0.0,
        &[Effect::Scale(named("belt3.out"), 0.8)],
    ),
    fault(
        "scale_offset",
        "the scale of belt 1 shows one parcel more",
        0.0,
        &[Effect::Bias(named("belt1.load"), 1.0)],
    ),
    benign(
        "rush",
        "a lorry is unloaded: 0.4 parcels a second more for two minutes",
        5.0,
        120.0,
        &[Effect::Input(named("arrivals_1_s"), 0.4)],
    ),
    benign("pause", "nothing arrives for a minute", 5.0, 60.0, &[Effect::Input(named("arrivals_1_s"), -0.8)]),
    benign("restart", "the controller's network restarts: no answer for 5 s", 0.0, 5.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "conveyor",
    title: "Three accumulating belts in a row",
    plant: include_str!("../../../plants/conveyor.toml"),
    constants: &[
        constant("length_m", 10.0, 0.02),
        constant("tau_s", 1.5, 0.02),
        // 1: what lies on belt 2 moves with it.
        constant("slip", 1.0, 0.0),
    ],
    states: &[
        ("n1", 8.0),
        ("n2", 8.0),
        ("n3", 8.0),
        ("v1_m_s", 1.0),
        ("v2_m_s", 1.0),
        ("v3_m_s", 1.0),
        ("stop1", 0.0),
        ("stop2", 0.0),
    ],
    inputs: &[("v1_cmd_m_s", 1.0), ("v2_cmd_m_s", 1.0), ("v3_cmd_m_s", 1.0), ("arrivals_1_s", 0.8)],
    outputs: &["n1", "n2", "n3", "v1_m_s", "v2_m_s", "v3_m_s", "out_1_s"],
    physics: &Belts,
    step_s: 1.0,
    run_in_s: 300.0,
    surroundings: &[Surrounding::still("arrivals_1_s")
        .waves(0.2, 11.0, 0.0)
        .weekend(-0.3)
        .wander(0.08, 60.0)
        .steps(0.5, 1.1, 600.0)
        .within(0.0, 2.0)],
    set_points: &[SetPoint { signal: "line.load", value: 8.0, spread: 1.5, every_s: (600.0, 1800.0) }],
    control: Control {
        period_s: 1.0,
        reads: &["belt1.load", "belt2.load", "belt3.load", "line.load"],
        writes: &["belt1.command", "belt2.command", "belt3.command"],
        memory: &[0.0; 3],
        law,
    },
    leans: &[
        Lean { output: "n1", state: 0, gain: 0.1 },
        Lean { output: "n2", state: 1, gain: 0.1 },
        Lean { output: "n3", state: 2, gain: 0.1 },
        Lean { output: "v1_m_s", state: 3, gain: 0.5 },
        Lean { output: "v2_m_s", state: 4, gain: 0.5 },
        Lean { output: "v3_m_s", state: 5, gain: 0.5 },
    ],
    hazard: "belt1.load",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Every step of the model of a guard is a step of the plant.
    #[test]
    fn steps_as_the_model_says() {
        let model = crate::models::conveyor::MODEL.model(&[]).unwrap();
        let mut state = [15.0, 19.5, 17.0, 1.0, 0.4, 0.8, 0.0, 1.0];
        let mut theirs = state;
        for step in 0..60 {
            let input = [1.5, 0.5, if step < 20 { 0.1 } else { 2.0 }, 0.8];
            Belts.settle(&[10.0, 1.5, 1.0], &mut state, &input, 1.0);
            let mut next = [0.0; 8];
            model.dynamics(0.0, &theirs, &input, &mut next);
            theirs = next;
            for (ours, theirs) in state.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-9, "{state:?} {theirs:?}");
            }
        }
    }

    #[test]
    fn overflows_when_a_belt_crawls() {
        let mut state = [8.0, 8.0, 8.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        let over = (1..200).find(|_| {
            Belts.settle(&[10.0, 1.5, 1.0], &mut state, &[1.0, 0.1, 1.0, 0.8], 1.0);
            state[0] > 24.0
        });
        assert!(over.is_some_and(|seconds| (15..90).contains(&seconds)), "{over:?}");
    }
}
