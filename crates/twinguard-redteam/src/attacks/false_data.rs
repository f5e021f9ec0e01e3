//! All measurements moved together, as they would be if the state had moved: a = H c.
//!
//! Source: Y. Liu, P. Ning, M. K. Reiter, "False data injection attacks against state estimation in electric power grids", CCS
//! 2009, §3.2: the residual of any static estimator stays what it was. c lies along the slowest mode of the plant and
//! grows over half of the window, so that its motion tells little as well.

use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Requirement, Resources, Visibility};
use crate::theory;
use crate::{Attack, Entry, Place, Reading, Target, Window};

struct FalseData {
    window: Window,
    /// Measurements with their full error, raw.
    shares: Vec<(Place, f64)>,
}

impl Attack for FalseData {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        let Some(since) = self.window.since(reading.at) else { return };
        let grown = (since / self.window.length_s() * 2.0).min(1.0);
        for (place, full) in &self.shares {
            place.change(reading, |number| number + grown * full);
        }
    }
}

fn build(target: &Target) -> Vec<Box<dyn Attack>> {
    let Some(shown) = theory::slow_motion(target) else { return Vec::new() };
    let size = target.bias * target.sensor.scale;
    let share = |(signal, share): &(twinguard_types::SignalId, f64)| {
        let place = target.sensors.iter().find(|place| place.signal == *signal)?;
        Some((place.clone(), share * size / place.scale))
    };
    vec![Box::new(FalseData { window: target.window, shares: shown.iter().filter_map(share).collect() })]
}

pub(crate) const ENTRY: Entry = Entry {
    name: "false_data",
    story: "all measurements move together, as if the state had moved",
    family: Family::Theory,
    needs: Resources { knowledge: Knowledge::Model, disclosure: &[], disruption: &[Channel::Readings] },
    requires: Requirement::SlowMode,
    visibility: Visibility::Motion,
    build,
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ground;

    #[test]
    fn several_measurements_move_by_what_the_model_says() {
        let ground = Ground::named("cooling_loop").unwrap();
        let target = ground.target(ground.window(0, 100), 0).unwrap();
        let mut attack = build(&target).remove(0);
        let mut registers = vec![0_u16; target.sensors.len()];
        let at = target.window.start + ground.span(60);
        attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
        let moved = registers.iter().filter(|word| **word != 0).count();
        assert!(moved >= 2, "{registers:?}");
        let own = registers[usize::from(target.sensor.address)].cast_signed();
        assert!((f64::from(own) - target.bias).abs() <= 1.0, "{own}");
    }
}
