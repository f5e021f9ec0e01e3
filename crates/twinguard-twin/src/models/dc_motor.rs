//! DC servo drive with the temperatures of winding and housing: maxon RE 40 (148877, 48 V, 150 W).
//!
//! Source: the manufacturer's data sheet for the electrical, mechanical and thermal constants; the standard equations
//! of a permanent-magnet motor with a two-body thermal network; temperature coefficient of copper 0.0039 1/K.
//!
//! Stiff: time constants from 0.3 ms (winding current) to 14 min (housing).

use super::{BuiltIn, parameter, state};
use crate::TimeBase;

/// The model; starts at its steady run on 24 V with a fan's load (the angle runs on).
pub static MODEL: BuiltIn = BuiltIn {
    name: "dc_motor",
    title: "DC servo drive with winding and housing temperatures",
    base: TimeBase::Continuous,
    states: &[
        state("current_A", 0.579_925_134_774, 0.1, 0.01),
        state("speed_rad_s", 387.035_335_652, 1.0, 0.1),
        state("angle_rad", 0.0, 0.01, 1e-4),
        state("T_winding_C", 27.525_250_208_3, 2.0, 0.01),
        state("T_housing_C", 26.784_561_317_4, 1.0, 0.005),
    ],
    inputs: &[
        ("voltage_V", 24.0),
        ("load_torque_Nm", 0.0),
        ("load_quadratic_Nms2", 2.2e-7),
        ("T_ambient_C", 25.0),
    ],
    outputs: &["current_A", "speed_rad_s", "angle_rad", "T_housing_C"],
    parameters: &[
        parameter("R25", 1.13, "terminal resistance at 25 °C, Ω"),
        parameter("L", 0.33e-3, "terminal inductance, H"),
        parameter("kt", 60.3e-3, "torque constant, N m/A"),
        parameter("J", 1.37e-5, "rotor inertia, kg m²"),
        parameter("alpha", 0.0039, "temperature coefficient of copper, 1/K"),
        parameter("I0", 0.0686, "no-load current, A"),
        parameter("w0", 794.822941358, "no-load speed (7590 rpm), rad/s"),
        parameter("Rwh", 1.93, "thermal resistance winding to housing, K/W"),
        parameter("Rha", 4.65, "thermal resistance housing to air, K/W"),
        parameter("tau_wh", 41.5, "thermal time constant of the winding, s"),
        parameter("tau_m", 809.0, "thermal time constant of the motor, s"),
    ],
    equations: "
        b  = kt * I0 / w0
        Cw = tau_wh / Rwh
        Ch = tau_m / Rha
        R  = R25 * (1 + alpha * (T_winding_C - 25))
        d(current_A)/dt   = (voltage_V - R * current_A - kt * speed_rad_s) / L
        d(speed_rad_s)/dt = (kt * current_A - b * speed_rad_s - load_torque_Nm
                             - load_quadratic_Nms2 * speed_rad_s^2) / J
        d(angle_rad)/dt   = speed_rad_s
        to_housing = (T_winding_C - T_housing_C) / Rwh
        d(T_winding_C)/dt = (R * current_A^2 - to_housing) / Cw
        d(T_housing_C)/dt = (to_housing - (T_housing_C - T_ambient_C) / Rha) / Ch
    ",
    native: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::start;

    #[test]
    fn dc_motor_runs_steadily() {
        let (rate, output) = start(&MODEL);
        let [current, speed, angle, winding, housing] = rate.try_into().unwrap();
        assert!(current.abs() < 1e-6 && speed.abs() < 1e-6, "{current} {speed}");
        assert!(f64::abs(winding) < 1e-10 && f64::abs(housing) < 1e-10);
        assert_eq!(angle, output[1]);
    }
}
