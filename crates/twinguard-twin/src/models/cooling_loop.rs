//! Oil-forced, water-forced power transformer: pump, cooler, water valve, top-oil and hot-spot temperature.
//!
//! Source: IEC 60076-7 (loading guide), top-oil and hot-spot equations with the constants of its row OF (oil exponent
//! 1.0, winding exponent 1.3, k11 1.0, k21 1.3, k22 1.0, 90 min, 7 min); the standard has neither pump nor valve, so an
//! oil/water heat balance of our own stands under the top-oil equation, calibrated so that with pump = valve = 1 and
//! equal air and water temperature the rated steady state is the standard's: 76 °C top oil, 98 °C hot spot at 20 °C.
//! Water-side film: Dittus–Boelter exponent 0.8; valve: equal percentage.
//!
//! Stiffness: time constants from 5 s (pump) to 1.8 h (oil).

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts at its equilibrium for pump and valve 0.9, load 0.8, air 20 °C, water 18 °C.
pub static MODEL: BuiltIn = BuiltIn {
    name: "cooling_loop",
    title: "Oil-forced water-forced power transformer with pump and water valve",
    base: TimeBase::Continuous,
    states: &[
        // Where a transformer stands when somebody begins to look is not known: the start is as wide as operation is.
        state("theta_oil_C", 64.358_092_129_2, 20.0, 0.002),
        state("theta_water_C", 28.178_506_934_1, 10.0, 0.01),
        state("dtheta_h1_K", 21.398_484_486_2, 10.0, 0.005),
        state("dtheta_h2_K", 4.938_111_804_5, 3.0, 0.001),
        state("pump_speed_pu", 0.9, 0.3, 0.001),
        state("valve_pu", 0.9, 0.3, 0.001),
    ],
    inputs: &[
        ("pump_cmd_pu", 0.9),
        ("valve_cmd_pu", 0.9),
        ("load_K_pu", 0.8),
        ("theta_air_C", 20.0),
        ("theta_supply_C", 18.0),
    ],
    outputs: &[
        "theta_oil_C",
        "theta_hotspot_C",
        "theta_cooler_out_C",
        "theta_water_C",
        "oil_flow_pu",
        "water_flow_pu",
        "pump_speed_pu",
        "valve_pu",
    ],
    parameters: &[
        parameter("P0_W", 300e3, "no-load loss"),
        parameter("Pk_W", 1.8e6, "load loss at rated load"),
        parameter("dth_or_K", 56.0, "rated top-oil rise"),
        parameter("dth_hr_K", 22.0, "rated gradient of hot spot over top oil"),
        parameter("tau_o_s", 5400.0, "oil time constant"),
        parameter("tau_w_s", 420.0, "winding time constant"),
        parameter("k11", 1.0, "oil constant of IEC 60076-7"),
        parameter("k21", 1.3, "winding constant of IEC 60076-7"),
        parameter("k22", 1.0, "winding constant of IEC 60076-7"),
        parameter("y", 1.3, "winding exponent of IEC 60076-7"),
        parameter("G_tank_W_K", 1125.0, "heat loss of the tank to air"),
        parameter("dth_wr_K", 10.0, "rated water rise in the cooler"),
        parameter("dth_or_cooler_K", 12.0, "rated oil drop in the cooler"),
        parameter("C_water_J_K", 4.18e6, "heat capacity of the water in the cooler"),
        parameter("r_oil", 0.7, "oil side's share of the cooler's thermal resistance"),
        parameter("a_oil", 0.5, "exponent of oil flow in the film resistance"),
        parameter("a_water", 0.8, "exponent of water flow in the film resistance"),
        parameter("n0", 0.05, "thermosiphon flow with the pump off, as pump speed"),
        parameter("R_valve", 50.0, "rangeability of the valve"),
        parameter("tau_n_s", 5.0, "pump time constant"),
        parameter("tau_v_s", 15.0, "valve time constant"),
    ],
    equations: "
        # calibration
        C_oil_J_K     = (P0_W + Pk_W) * tau_o_s * k11 / dth_or_K
        P_cooler_W    = P0_W + Pk_W - G_tank_W_K * dth_or_K
        W_water_r_W_K = P_cooler_W / dth_wr_K
        W_oil_r_W_K   = P_cooler_W / dth_or_cooler_K
        NTU_r         = -ln(1 - dth_or_cooler_K / (dth_or_K - dth_wr_K))
        U_r_W_K       = NTU_r * W_oil_r_W_K

        # flows
        oil_flow_pu   = sqrt(pump_speed_pu^2 + n0^2) / sqrt(1 + n0^2)
        water_flow_pu = R_valve^(valve_pu - 1)

        # cooler
        U     = U_r_W_K / (r_oil * oil_flow_pu^-a_oil + (1 - r_oil) * water_flow_pu^-a_water)
        W     = W_oil_r_W_K * oil_flow_pu
        left  = exp(-U / W)       # share of the temperature difference that is left at the oil outlet
        Q     = W * (1 - left) * (theta_oil_C - theta_water_C)
        theta_cooler_out_C = theta_water_C + (theta_oil_C - theta_water_C) * left

        # transformer
        P     = P0_W + Pk_W * load_K_pu^2
        rise  = dth_hr_K * abs(load_K_pu)^y
        theta_hotspot_C = theta_oil_C + dtheta_h1_K - dtheta_h2_K

        d(theta_oil_C)/dt   = (P - Q - G_tank_W_K * (theta_oil_C - theta_air_C)) / C_oil_J_K
        d(theta_water_C)/dt = (Q - W_water_r_W_K * water_flow_pu * (theta_water_C - theta_supply_C)) / C_water_J_K
        d(dtheta_h1_K)/dt   = (k21 * rise - dtheta_h1_K) / (k22 * tau_w_s)
        d(dtheta_h2_K)/dt   = ((k21 - 1) * rise - dtheta_h2_K) * k22 / tau_o_s
        d(pump_speed_pu)/dt = (pump_cmd_pu - pump_speed_pu) / tau_n_s
        d(valve_pu)/dt      = (valve_cmd_pu - valve_pu) / tau_v_s
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rated_steady_state_is_the_standards() {
        let model = MODEL.model(&[]).unwrap();
        let (state, input) = ([76.0, 30.0, 28.6, 6.6, 1.0, 1.0], [1.0, 1.0, 1.0, 20.0, 20.0]);
        let (mut rate, mut y) = ([0.0; 6], [0.0; 8]);
        model.dynamics(0.0, &state, &input, &mut rate);
        model.output(0.0, &state, &input, &mut y);
        assert!(rate.iter().all(|r| r.abs() < 1e-12), "{rate:?}");
        for (found, rated) in y.iter().zip([76.0, 98.0, 64.0, 30.0, 1.0, 1.0, 1.0, 1.0]) {
            assert!((found - rated).abs() < 1e-12);
        }
    }

    #[test]
    fn losing_all_cooling_heats_the_oil() {
        let model = MODEL.model(&[]).unwrap();
        let start: Vec<f64> = MODEL.states.iter().map(|state| state.initial).collect();
        let mut rate = [0.0; 6];
        let stopped = [start[0], start[1], start[2], start[3], 0.0, 0.0];
        model.dynamics(0.0, &stopped, &[0.0, 0.0, 0.9, 20.0, 18.0], &mut rate);
        assert!(rate[0] > 0.005, "more than 18 K an hour: {}", rate[0]);
    }
}
