//! Three belts in a row that carry parcels; a full belt stops the one before it: a hybrid system in discrete time.
//!
//! Source: accumulation conveyors as fluid queues in series with blocking, for example Cassandras, Lafortune,
//! *Introduction to Discrete Event Systems*, 3rd ed. 2021, §11.2 (hybrid automata, stochastic flow models). Parcels are
//! counted as a fluid; sizes are our own choice.
//!
//! A stop is a state of its own with hysteresis: on above 20 parcels on the next belt, off below 16. One step is one
//! second.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts with eight parcels on each belt at 1 m/s, 0.8 arriving and leaving per second.
pub static MODEL: BuiltIn = BuiltIn {
    name: "conveyor",
    title: "Three accumulating belts in a row",
    base: TimeBase::Discrete { step_s: 1.0 },
    states: &[
        state("n1", 8.0, 4.0, 0.05),
        state("n2", 8.0, 4.0, 0.05),
        state("n3", 8.0, 4.0, 0.05),
        state("v1_m_s", 1.0, 0.3, 0.002),
        state("v2_m_s", 1.0, 0.3, 0.002),
        state("v3_m_s", 1.0, 0.3, 0.002),
        state("stop1", 0.0, 1e-3, 1e-6),
        state("stop2", 0.0, 1e-3, 1e-6),
    ],
    inputs: &[("v1_cmd_m_s", 1.0), ("v2_cmd_m_s", 1.0), ("v3_cmd_m_s", 1.0), ("arrivals_1_s", 0.8)],
    outputs: &["n1", "n2", "n3", "v1_m_s", "v2_m_s", "v3_m_s", "out_1_s"],
    parameters: &[
        parameter("length_m", 10.0, "length of a belt"),
        parameter("full", 20.0, "parcels on a belt that stop the one before it"),
        parameter("free", 16.0, "parcels on a belt that let the one before it go on"),
        parameter("tau_s", 1.5, "time constant of a belt's drive"),
    ],
    equations: "
        follow = 1 - exp(-1 / tau_s)
        q1 = n1 * v1_m_s / length_m
        q2 = n2 * v2_m_s / length_m
        q3 = n3 * v3_m_s / length_m
        next(n1) = max(n1 + arrivals_1_s - q1, 0)
        next(n2) = max(n2 + q1 - q2, 0)
        next(n3) = max(n3 + q2 - q3, 0)
        next(v1_m_s) = v1_m_s + follow * ((1 - stop1) * v1_cmd_m_s - v1_m_s)
        next(v2_m_s) = v2_m_s + follow * ((1 - stop2) * v2_cmd_m_s - v2_m_s)
        next(v3_m_s) = v3_m_s + follow * (v3_cmd_m_s - v3_m_s)
        next(stop1) = if(n2 > full, 1, if(n2 < free, 0, stop1))
        next(stop2) = if(n3 > full, 1, if(n3 < free, 0, stop2))
        out_1_s = q3
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn conveyor_rests_and_a_full_belt_stops_the_one_before() {
        let (next, output) = start(&MODEL);
        for (next, state) in next.iter().zip(MODEL.states) {
            assert!((next - state.initial).abs() < 1e-12, "{} {next}", state.name);
        }
        assert!((output[6] - 0.8).abs() < 1e-12);
        let model = MODEL.model(&[]).unwrap();
        let mut state = [8.0, 21.0, 8.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        let mut next = [0.0; 8];
        let mut run = |state: &mut [f64; 8]| {
            model.dynamics(0.0, state, &[1.0, 1.0, 1.0, 0.8], &mut next);
            *state = next;
        };
        for _ in 0..3 {
            run(&mut state);
        }
        assert!(state[6] == 1.0 && state[3] < 0.5, "{state:?}");
        for _ in 0..30 {
            run(&mut state);
        }
        assert!(state[6] == 0.0 && state[3] > 0.5, "{state:?}");
    }
}
