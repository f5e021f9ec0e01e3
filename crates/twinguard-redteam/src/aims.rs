//! What attacks are aimed at in each reference plant, in physical terms: the controlled sensor, the actuator that does
//! most harm.
//!
//! Source: the attacks of the plant cards, the worst single command of each.

use core::net::Ipv4Addr;

use twinguard_twin::Plant;
use twinguard_twin::simulator::cooling_loop;

use crate::{Target, Window};

/// Plant, sensor, its bias, actuator, what is written to it.
const AIMS: [(&str, &str, f64, &str, f64); 12] = [
    ("battery", "cell.voltage", -0.1, "cell.current.command", -32.0),
    ("boiler", "drum.level", -0.2, "feedwater.valve.command", 0.9),
    ("conveyor", "belt2.load", -4.0, "belt2.command", 0.1),
    ("cooling_loop", "transformer.oil.temperature", -8.0, "cooler.valve.command", 0.05),
    ("dc_motor", "motor.speed", -40.0, "motor.speed.command", 790.0),
    ("hvac_zone", "zone.temperature", -3.0, "heater.command", 8.0),
    ("power_grid", "bus5.voltage", -0.03, "gen2.voltage", 1.17),
    ("quadruple_tank", "tank1.level", -1.0, "pump1.voltage", 9.0),
    ("quadruple_tank_nonminimum", "tank1.level", -1.0, "pump1.voltage", 8.0),
    ("robot_arm", "joint1.angle", -0.05, "joint1.target", 1.1),
    ("robot_arm_6", "joint3.angle", -0.05, "joint3.target", 2.2),
    ("water_network", "tank1.level", -1.0, "pump2.command", 1.0),
];

impl Target {
    /// The target in a reference plant, by the plant's name; `None` for one that is not known, or whose file lacks the
    /// signals.
    ///
    /// ```
    /// use twinguard_redteam::{Target, Window, address};
    /// use twinguard_twin::{Plant, simulator};
    /// use twinguard_types::Timestamp;
    ///
    /// let window = Window { start: Timestamp::from_secs(60), end: Timestamp::from_secs(120) };
    /// for reference in simulator::references() {
    ///     let plant = Plant::parse(reference.plant, reference.name)?;
    ///     assert!(Target::of(&plant, window, address::ATTACKER).is_some(), "{}", reference.name);
    /// }
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    #[must_use]
    pub fn of(plant: &Plant, window: Window, attacker: Ipv4Addr) -> Option<Self> {
        let (name, sensor, bias, actuator, injected) =
            AIMS.iter().copied().find(|(name, ..)| *name == plant.name)?;
        let mut target = Self::new(plant, (sensor, bias), (actuator, injected), window, attacker)?;
        target.mode = (name == "cooling_loop").then_some(cooling_loop::MODE);
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;
    use twinguard_types::Timestamp;

    #[test]
    fn the_cooling_loops_target_is_the_one_of_the_main_scenario() {
        let plant = Plant::parse(cooling_loop::PLANT, "plant.toml").unwrap();
        let window = Window { start: Timestamp::ZERO, end: Timestamp::from_secs(1) };
        let target = Target::of(&plant, window, address::ATTACKER).unwrap();
        let aimed = (target.sensor.address, target.bias, target.actuator.address, target.injected);
        assert_eq!(aimed, (0, -800.0, 1, 500));
        assert_eq!((target.sensors.len(), target.actuators.len(), target.set_points.len()), (11, 2, 1));
        let mut other = plant;
        other.name = "somewhere".to_owned();
        assert!(Target::of(&other, window, address::ATTACKER).is_none());
    }
}
