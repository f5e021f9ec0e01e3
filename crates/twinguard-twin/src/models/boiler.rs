//! Drum boiler and turbine of a 160 MW oil-fired unit.
//!
//! Source: Bell, Åström, *Dynamic models for boiler-turbine-alternator units*, LUTFD2/TFRT-3192, 1987: third order,
//! fitted to the unit P16/G16 of Sydsvenska Kraft AB, Malmö. All coefficients are the report's and stand in the
//! equations, as they do there: they have no meaning of their own.
//!
//! The drum's density integrates: with the level loop open it fills or empties. Level shows shrink and swell.

use super::{BuiltIn, state};
use crate::TimeBase;

/// The model; starts at the published operating point of 108 kgf/cm² and 66.65 MW.
pub static MODEL: BuiltIn = BuiltIn {
    name: "boiler",
    title: "Drum boiler and turbine unit, 160 MW, oil-fired",
    base: TimeBase::Continuous,
    states: &[
        state("drum_pressure_kgf_cm2", 108.0, 1.0, 0.02),
        state("power_MW", 66.647_100_039_2, 1.0, 0.05),
        state("density_kg_m3", 428.0, 5.0, 0.02),
    ],
    inputs: &[("fuel_pu", 0.340_235_033_555), ("steam_valve_pu", 0.69), ("feedwater_pu", 0.435_829_787_234)],
    outputs: &["drum_pressure_kgf_cm2", "power_MW", "level_m", "steam_quality", "evaporation_kg_s"],
    parameters: &[],
    equations: "
        p   = drum_pressure_kgf_cm2
        rho = density_kg_m3
        flow = p^(9/8)
        d(drum_pressure_kgf_cm2)/dt = -0.0018 * steam_valve_pu * flow + 0.9 * fuel_pu - 0.15 * feedwater_pu
        d(power_MW)/dt = (0.073 * steam_valve_pu - 0.016) * flow - 0.1 * power_MW
        d(density_kg_m3)/dt = (141 * feedwater_pu - (1.1 * steam_valve_pu - 0.19) * p) / 85
        steam_quality = (1 - 0.001538 * rho) * (0.8 * p - 25.6) / (rho * (1.0394 - 0.0012304 * p))
        evaporation_kg_s = (0.854 * steam_valve_pu - 0.147) * p + 45.59 * fuel_pu - 2.514 * feedwater_pu - 2.096
        level_m = 0.05 * (0.13073 * rho + 100 * steam_quality + evaporation_kg_s / 9 - 67.975)
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn boiler_rests_at_its_published_point() {
        let (rate, output) = start(&MODEL);
        assert!(rate.iter().all(|rate| rate.abs() < 1e-10), "{rate:?}");
        assert!(output[2].abs() < 1e-3, "level about the middle: {}", output[2]);
    }
}
