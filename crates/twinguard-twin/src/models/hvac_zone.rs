//! A heated zone of a building: four temperatures (sensor, interior, heater, envelope).
//!
//! Source: Bacher, Madsen, *Identifying suitable models for the heat dynamics of buildings*, Energy and Buildings 43
//! (2011) 1511–1522, model `TiTeThTs` with its estimates. The fitted sensor node holds more heat than the air: it is
//! the air with the surfaces near it, a property of the fit.
//!
//! Time constants from 37 s to 19.6 h. Capacities are per hour (kWh/K), hence the 3600.

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts at its equilibrium for 4 kW of heat at 0 °C outside.
pub static MODEL: BuiltIn = BuiltIn {
    name: "hvac_zone",
    title: "Single-zone building, four-state heat network",
    base: TimeBase::Continuous,
    states: &[
        state("T_sensor_C", 23.1297, 0.5, 0.002),
        state("T_interior_C", 23.1297, 0.5, 0.005),
        state("T_heater_C", 24.6617, 0.5, 0.005),
        state("T_envelope_C", 19.221, 2.0, 0.001),
    ],
    inputs: &[("heat_kW", 4.0), ("T_ambient_C", 0.0), ("solar_kW_m2", 0.0), ("gains_kW", 0.3)],
    outputs: &["T_sensor_C", "T_heater_C", "heat_kW"],
    parameters: &[
        parameter("Ci", 0.143, "heat capacity of the interior, kWh/K"),
        parameter("Ce", 3.24, "heat capacity of the envelope, kWh/K"),
        parameter("Ch", 0.321, "heat capacity of the heater, kWh/K"),
        parameter("Cs", 0.619, "heat capacity of the sensor node, kWh/K"),
        parameter("Rie", 0.909, "interior to envelope, K/kW"),
        parameter("Rea", 4.47, "envelope to ambient, K/kW"),
        parameter("Rih", 0.383, "interior to heater, K/kW"),
        parameter("Ris", 0.115, "interior to sensor, K/kW"),
        parameter("Aw", 6.03, "window area, m²"),
        parameter("Ae", 0.0, "area through which the sun heats the envelope, m²"),
    ],
    equations: "
        to_sensor   = (T_interior_C - T_sensor_C) / Ris
        to_heater   = (T_interior_C - T_heater_C) / Rih
        to_envelope = (T_interior_C - T_envelope_C) / Rie
        d(T_sensor_C)/dt   = to_sensor / (3600 * Cs)
        d(T_interior_C)/dt = (Aw * solar_kW_m2 + gains_kW - to_sensor - to_heater - to_envelope) / (3600 * Ci)
        d(T_heater_C)/dt   = (to_heater + heat_kW) / (3600 * Ch)
        d(T_envelope_C)/dt = (to_envelope + (T_ambient_C - T_envelope_C) / Rea + Ae * solar_kW_m2) / (3600 * Ce)
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn hvac_zone_rests_at_its_start() {
        let (rate, output) = start(&MODEL);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-12), "{rate:?}");
        assert_eq!(output, [23.1297, 24.6617, 4.0]);
    }
}
