//! The reference plant `dc_motor`: a 150 W servo motor with its drive turns a fan; a controller ramps its speed.
//!
//! Source: data sheet of the maxon RE 40 (148877) for the constants, thermal network of two bodies; drive of the plant
//! card: speed PI 0.0286 A s/rad, 0.9 A/rad, current limited. The electrical transient of 0.3 ms is left out: the
//! current is what the drive asks, within its limit and its 48 V.
//!
//! At full speed command the fan's load overheats the winding, which nobody measures, within a quarter of an hour.

use super::super::reference::{
    Control, Effect, Incident, Lean, Physics, Reference, Scan, SetPoint, Surrounding, benign, constant, fault,
};
use std::borrow::Cow::Borrowed as named;

const INERTIA: f64 = 1.37e-5;
const SUPPLY_V: f64 = 48.0;
const GAIN: f64 = 0.0286;
const INTEGRAL: f64 = 0.9;

#[derive(Debug)]
struct Motor;

impl Motor {
    /// Current that flows, and current that the drive asks for.
    fn current(parameters: &[f64], state: &[f64], input: &[f64]) -> (f64, f64, f64) {
        let (&[r25, kt, ..], &[integral, speed, winding, _], &[command, limit, ..]) =
            (parameters, state, input)
        else {
            return (0.0, 0.0, 1.0);
        };
        let resistance = r25 * (1.0 + 0.0039 * (winding - 25.0));
        let asked = GAIN * (command - speed) + integral;
        let top = limit.min((SUPPLY_V - kt * speed) / resistance);
        let bottom = (-limit).max((-SUPPLY_V - kt * speed) / resistance);
        (asked.min(top).max(bottom), asked, resistance)
    }
}

impl Physics for Motor {
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (
            &[_, kt, friction, load, rwh, rha],
            &[_, speed, winding, housing],
            &[command, _, ambient, extra],
        ) = (parameters, state, input)
        else {
            return;
        };
        let (current, asked, resistance) = Self::current(parameters, state, input);
        let to_housing = (winding - housing) / rwh;
        let rates = [
            INTEGRAL * (command - speed) + (current - asked) / 0.05,
            (kt * current - friction * speed - load * speed * speed - extra) / INERTIA,
            (resistance * current * current - to_housing) / 21.5,
            (to_housing - (housing - ambient) / rha) / 174.0,
        ];
        out.iter_mut().zip(rates).for_each(|(out, rate)| *out = rate);
    }

    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]) {
        let (&[_, kt, ..], &[_, speed, winding, housing]) = (parameters, state) else { return };
        let (current, _, resistance) = Self::current(parameters, state, input);
        let outputs = [speed, current, resistance * current + kt * speed, housing, winding];
        out.iter_mut().zip(outputs).for_each(|(out, value)| *out = value);
    }
}

fn law(scan: &mut Scan<'_>) {
    let &[line] = scan.seen else { return };
    let [speed, limit] = &mut *scan.commands else { return };
    // The speed follows the line by at most 40 rad/s each second.
    let most = 40.0 * scan.period_s;
    *speed += (line - *speed).clamp(-most, most);
    *limit = 5.0;
}

static INCIDENTS: [Incident; 9] = [
    fault(
        "brush_wear",
        "the brushes are worn: resistance +20 %",
        60.0,
        &[Effect::Constant(named("R25"), 1.2)],
    ),
    fault("demagnetised", "the magnet is weaker by 8 %", 60.0, &[Effect::Constant(named("kt"), 0.92)]),
    fault(
        "bearing",
        "the bearing rubs: friction ten times as high",
        60.0,
        &[Effect::Constant(named("friction"), 10.0)],
    ),
    fault(
        "blocked_cooling",
        "dust blocks the cooling: twice the resistance to the air",
        300.0,
        &[Effect::Constant(named("Rha"), 2.0)],
    ),
    fault(
        "encoder_miscounts",
        "the encoder loses a tenth of its counts",
        0.0,
        &[Effect::Scale(named("motor.speed"), 0.9)],
    ),
    fault(
        "blocked_load",
        "something blocks the fan: 0.15 N m more",
        1.0,
        &[Effect::Input(named("load_Nm"), 0.15)],
    ),
    benign(
        "cold_start",
        "cold grease: friction +50 % for ten minutes",
        10.0,
        600.0,
        &[Effect::Constant(named("friction"), 1.5)],
    ),
    benign(
        "load_step",
        "a door in the duct opens: 0.02 N m more",
        1.0,
        120.0,
        &[Effect::Input(named("load_Nm"), 0.02)],
    ),
    benign("restart", "the controller's network restarts: no answer for 3 s", 0.0, 3.0, &[Effect::Silence]),
];

/// The plant.
pub static REFERENCE: Reference = Reference {
    name: "dc_motor",
    title: "Servo motor with its drive, turning a fan",
    plant: include_str!("../../../plants/dc_motor.toml"),
    constants: &[
        constant("R25", 1.13, 0.02),
        constant("kt", 60.3e-3, 0.01),
        constant("friction", 5.2e-6, 0.03),
        constant("load_quadratic", 6.5e-7, 0.03),
        constant("Rwh", 1.93, 0.03),
        constant("Rha", 4.65, 0.03),
    ],
    states: &[("integral_A", 1.2), ("speed_rad_s", 400.0), ("T_winding_C", 40.0), ("T_housing_C", 36.0)],
    inputs: &[("speed_cmd_rad_s", 400.0), ("limit_A", 5.0), ("T_ambient_C", 25.0), ("load_Nm", 0.0)],
    outputs: &["speed_rad_s", "current_A", "voltage_V", "T_housing_C", "T_winding_C"],
    physics: &Motor,
    step_s: 0.005,
    run_in_s: 1200.0,
    surroundings: &[
        Surrounding::still("T_ambient_C").waves(2.0, 15.0, 0.0).wander(0.5, 3600.0),
        Surrounding::still("load_Nm").wander(0.002, 5.0),
    ],
    set_points: &[SetPoint { signal: "line.speed", value: 400.0, spread: 60.0, every_s: (60.0, 300.0) }],
    control: Control {
        period_s: 0.1,
        reads: &["line.speed"],
        writes: &["motor.speed.command", "motor.current.limit"],
        memory: &[],
        law,
    },
    leans: &[
        Lean { output: "current_A", state: 0, gain: 0.5 },
        Lean { output: "speed_rad_s", state: 1, gain: 2.0 },
        Lean { output: "T_housing_C", state: 3, gain: 0.01 },
        Lean { output: "T_housing_C", state: 2, gain: 0.01 },
    ],
    hazard: "motor.winding.temperature",
    incidents: &INCIDENTS,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: f64, limit: f64, load: f64, seconds: u32) -> Vec<f64> {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut state = vec![1.2, 400.0, 30.0, 28.0];
        let mut rk4 = crate::integrators::Rk4::new(4);
        for _ in 0..seconds * 200 {
            let input = [command, limit, 25.0, load];
            rk4.step(|_, x, rate| Motor.rate(&constants, x, &input, rate), 0.0, 0.005, &mut state);
        }
        state
    }

    #[test]
    fn holds_its_speed_and_burns_at_full_speed() {
        let calm = run(400.0, 5.0, 0.0, 1800);
        assert!((calm[1] - 400.0).abs() < 0.1 && calm[2] < 70.0, "{calm:?}");
        assert!(run(800.0, 5.0, 0.0, 1800)[2] > 155.0);
    }

    /// The card: blocked at 10 A the winding is at 125 °C after 18 s, 155 °C after 24 s.
    #[test]
    fn burns_when_blocked() {
        let constants: Vec<f64> = REFERENCE.constants.iter().map(|constant| constant.value).collect();
        let mut state = vec![50.0, 0.0, 30.0, 30.0];
        let mut rk4 = crate::integrators::Rk4::new(4);
        let mut crossed = [None; 2];
        for step in 1..10_000 {
            // Blocked: the speed stays zero, the current stays at its limit.
            let input = [400.0, 10.0, 25.0, 0.0];
            rk4.step(
                |_, x, rate| {
                    Motor.rate(&constants, x, &input, rate);
                    rate[0] = 0.0;
                    rate[1] = 0.0;
                },
                0.0,
                0.005,
                &mut state,
            );
            for (crossed, limit) in crossed.iter_mut().zip([125.0, 155.0]) {
                if state[2] > limit && crossed.is_none() {
                    *crossed = Some(f64::from(step) * 0.005);
                }
            }
        }
        let [first, second] = crossed.map(|at| at.unwrap_or(f64::INFINITY));
        assert!((first - 18.0).abs() < 1.5 && (second - 24.0).abs() < 1.5, "{first} {second}");
    }
}
