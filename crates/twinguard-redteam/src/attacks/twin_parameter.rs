//! A parameter of the vendor's twin is changed: it computes, and shows something else.
//!
//! Source: MITRE ATT&CK for ICS T0836 (Modify Parameter), T0832; plant card of the cooling loop, attack 8 (a parameter is raised
//! so that the twin expects heat). What is shown for the aimed measurement moves away by the aim, with the twin's own pace.

use twinguard_types::{Point, SignalId, Timestamp, Value};

use crate::profile::FALSE_TWIN;
use crate::{Attack, Entry, Window};

/// Samples in which most of the change is there.
const PACE: f64 = 60.0;

struct Parameter {
    window: Window,
    signal: SignalId,
    error: f64,
    pace_s: f64,
}

impl Attack for Parameter {
    fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        let Some(since) = self.window.since(at) else { return };
        let error = self.error * (1.0 - (-since / self.pace_s).exp());
        for point in points.iter_mut().filter(|point| point.signal == self.signal) {
            point.value = Value::real(point.value.as_f64() + error).unwrap_or(point.value);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "twin_parameter",
    story: "a parameter of the vendor's twin is changed, so that it shows another value",
    techniques: &["T0836", "T0832"],
    build: |target| {
        vec![Box::new(Parameter {
            window: target.window,
            signal: target.sensor.signal,
            error: target.bias * target.sensor.scale,
            pace_s: PACE * target.period().as_secs_f64(),
        })]
    },
    ..FALSE_TWIN
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn one_value_moves_away() {
        let played = trial::play(&super::ENTRY);
        let off = |second: usize, signal: usize| {
            played.vendor[second][signal].value.as_f64() - f64::from(played.clean[second][signal])
        };
        assert!(off(39, 0) < -1.0 && off(39, 0) > -5.0, "{}", off(39, 0));
        assert_eq!(off(39, 1), 0.0);
    }
}
