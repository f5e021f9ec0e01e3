//! A small water network, reduced to its tanks: two pumps, a rising main, two tanks, a transfer pipe with a valve.
//!
//! Source: Walski et al., *Advanced Water Distribution Modeling and Management*, 2003, ch. 2 (pump curves, head loss,
//! tank balance). Head losses are quadratic in the flow, so that the operating point of pumps and main has a closed form:
//! n pumps with H = a − b q² against z + h + r Q² give Q = n √((a − z − h) / (b + r n²)). Sizes are our own choice.
//!
//! Valid while no tank is full or empty and the transfer pipe flows downhill. The full network equations are solved
//! elsewhere; this is what an estimator of levels runs.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; one pump runs, the valve is half open.
pub static MODEL: BuiltIn = BuiltIn {
    name: "water_network",
    title: "Two pumps, two tanks, two districts",
    base: TimeBase::Continuous,
    states: &[
        state("h1_m", 3.5, 1.5, 1e-4),
        state("h2_m", 3.0, 1.5, 1e-4),
        state("pump1", 1.0, 0.5, 1e-4),
        state("pump2", 0.0, 0.5, 1e-4),
        state("valve_pu", 0.5, 0.3, 1e-4),
    ],
    inputs: &[
        ("pump1_cmd", 1.0),
        ("pump2_cmd", 0.0),
        ("valve_cmd_pu", 0.5),
        ("town_L_s", 45.0),
        ("village_L_s", 12.0),
    ],
    outputs: &[
        "h1_m",
        "h2_m",
        "station_L_s",
        "transfer_L_s",
        "station_pressure_m",
        "town_pressure_m",
        "village_pressure_m",
        "pump1",
        "pump2",
        "valve_pu",
    ],
    parameters: &[
        parameter("pump_a_m", 70.0, "head of a pump at no flow"),
        parameter("pump_b", 0.009, "loss of a pump's head with its flow, m/(L/s)²"),
        parameter("r_main", 0.0015, "head loss of the rising main, m/(L/s)²"),
        parameter("r_transfer", 0.0045, "head loss of the transfer pipe with the valve open, m/(L/s)²"),
        parameter("r_town", 0.003, "head loss on the way into the town, m/(L/s)²"),
        parameter("r_village", 0.02, "head loss on the way into the village, m/(L/s)²"),
        parameter("z1_m", 30.0, "floor of tank 1 above the reservoir"),
        parameter("z2_m", 25.0, "floor of tank 2 above the reservoir"),
        parameter("town_m", -10.0, "height of the town"),
        parameter("village_m", -5.0, "height of the village"),
        parameter("area1_m2", 300.0, "area of tank 1"),
        parameter("area2_m2", 150.0, "area of tank 2"),
        parameter("tau_pump_s", 20.0, "time constant of a pump's start"),
        parameter("tau_valve_s", 30.0, "time constant of the valve"),
    ],
    equations: "
        n = pump1 + pump2
        station_L_s  = n * sqrt(max(pump_a_m - z1_m - h1_m, 0.01) / (pump_b + r_main * n^2))
        transfer_L_s = valve_pu * sqrt(max(z1_m + h1_m - z2_m - h2_m, 0.01) / r_transfer)
        d(h1_m)/dt = (station_L_s - transfer_L_s - town_L_s) / (1000 * area1_m2)
        d(h2_m)/dt = (transfer_L_s - village_L_s) / (1000 * area2_m2)
        d(pump1)/dt = (pump1_cmd - pump1) / tau_pump_s
        d(pump2)/dt = (pump2_cmd - pump2) / tau_pump_s
        d(valve_pu)/dt = (valve_cmd_pu - valve_pu) / tau_valve_s
        station_pressure_m = z1_m + h1_m + r_main * station_L_s^2
        town_pressure_m    = z1_m + h1_m - town_m - r_town * town_L_s^2
        village_pressure_m = z2_m + h2_m - village_m - r_village * village_L_s^2
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn water_network_pumps_where_curve_and_main_meet() {
        let (_, output) = start(&MODEL);
        let flow = output[2];
        assert!((70.0 - 0.009 * flow * flow - (33.5 + 0.0015 * flow * flow)).abs() < 1e-9, "{flow}");
        assert!(
            (output[4] - (70.0 - 0.009 * flow * flow)).abs() < 1e-9,
            "the station's pressure is the pump's head"
        );
    }
}
