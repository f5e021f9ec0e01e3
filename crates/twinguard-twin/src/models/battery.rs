//! Lithium-ion cell of a 2013 Nissan Leaf: charge, two relaxation voltages, temperature.
//!
//! Source: structure of Chen, Rincón-Mora, *Accurate electrical battery model capable of predicting runtime and I–V
//! performance*, IEEE Trans. Energy Conversion 21(2), 2006; values fitted to the pulse tests of Oak Ridge National
//! Laboratory in batterysim/equiv-circ-model (MIT). The current is positive when it discharges.
//!
//! Valid for 5 to 50 °C and a charge of 0.02 to 1. It lies high by 40 to 70 mV (rms) in long discharges at 1C to 3C:
//! pulse tests understate the slow loss.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts at rest, 60 % charged, 25 °C.
pub static MODEL: BuiltIn = BuiltIn {
    name: "battery",
    title: "Lithium-ion cell, two-RC equivalent circuit with temperature",
    base: TimeBase::Continuous,
    states: &[
        state("soc", 0.6, 0.03, 1e-6),
        state("v1_V", 0.0, 0.005, 1e-5),
        state("v2_V", 0.0, 0.005, 1e-4),
        state("T_cell_C", 25.0, 1.0, 0.002),
    ],
    inputs: &[("current_A", 0.0), ("h_W_m2K", 9.5), ("T_ambient_C", 25.0)],
    outputs: &["voltage_V", "T_cell_C", "current_A", "h_W_m2K"],
    parameters: &[
        parameter("Q_Ah", 32.0, "capacity"),
        parameter("eta_chg", 0.98, "coulombic efficiency of charging"),
        parameter("eta_dis", 1.0, "coulombic efficiency of discharging"),
        parameter("ocv0", -0.582584, "open-circuit voltage: factor of the exponential, V"),
        parameter("ocv1", 29.973, "open-circuit voltage: its exponent"),
        parameter("ocv2", 3.53605, "open-circuit voltage: constant, V"),
        parameter("ocv3", 1.40405, "open-circuit voltage: linear, V"),
        parameter("ocv4", -1.79559, "open-circuit voltage: quadratic, V"),
        parameter("ocv5", 1.03449, "open-circuit voltage: cubic, V"),
        parameter("R0_inf", 0.0015, "series resistance when warm, Ω"),
        parameter("R0_10", 0.001132, "what it has more at 10 °C, Ω"),
        parameter("R0_T", 6.16, "temperature over which that falls to 1/e, K"),
        parameter("R1", 0.0004, "slow resistance, Ω"),
        parameter("tau1", 573.0, "slow time constant, s"),
        parameter("R2", 0.00095, "fast resistance, Ω"),
        parameter("tau2", 28.0, "fast time constant, s"),
        parameter("m", 0.799, "mass, kg"),
        parameter("cp", 1600.0, "specific heat, J/(kg K)"),
        parameter("A", 0.067569, "surface, m²"),
    ],
    equations: "
        eta = if(current_A >= 0, eta_dis, eta_chg)
        d(soc)/dt  = -eta * current_A / (3600 * Q_Ah)
        d(v1_V)/dt = (R1 * current_A - v1_V) / tau1
        d(v2_V)/dt = (R2 * current_A - v2_V) / tau2
        R0 = R0_inf + R0_10 * exp(-(T_cell_C - 10) / R0_T)
        d(T_cell_C)/dt = (R0 * current_A^2 + v1_V^2 / R1 + v2_V^2 / R2
                          - h_W_m2K * A * (T_cell_C - T_ambient_C)) / (m * cp)
        ocv_V = ocv0 * exp(-ocv1 * soc) + ocv2 + ocv3 * soc + ocv4 * soc^2 + ocv5 * soc^3
        voltage_V = ocv_V - v1_V - v2_V - R0 * current_A
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn battery_rests_and_drops_under_load() {
        let (rate, output) = start(&MODEL);
        assert_eq!(rate, [0.0; 4]);
        let model = MODEL.model(&[]).unwrap();
        let mut loaded = [0.0; 4];
        model.output(0.0, &[0.6, 0.0, 0.0, 25.0], &[32.0, 9.5, 25.0], &mut loaded);
        assert!(loaded[0] < output[0] - 0.04);
    }
}
