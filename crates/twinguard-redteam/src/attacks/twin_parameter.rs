//! A parameter of the vendor's twin is changed: it computes, and shows something else.
//!
//! Source: MITRE ATT&CK for ICS T0836 (Modify Parameter), T0832; plant card of the cooling loop, attack 8 (a parameter is raised
//! so that the twin expects heat). What is shown for the aimed measurement moves away by the aim, with the twin's own pace; whoever
//! reads the twin's parameters finds one of them a tenth higher.

use twinguard_types::{Point, SignalId, Suspect, Timestamp, Value};

use crate::profile::{FALSE_TWIN, Trace};
use crate::{Attack, Entry, Window};

/// Samples in which most of the change is there.
const PACE: f64 = 60.0;

struct Parameter {
    window: Window,
    signal: SignalId,
    error: f64,
    pace_s: f64,
    /// Which parameter, counted round.
    which: u64,
    /// Whether the twin was loaded again since.
    gone: bool,
}

impl Attack for Parameter {
    fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        let Some(since) = self.window.since(at).filter(|_| !self.gone) else { return };
        let error = self.error * (1.0 - (-since / self.pace_s).exp());
        for point in points.iter_mut().filter(|point| point.signal == self.signal) {
            point.value = Value::real(point.value.as_f64() + error).unwrap_or(point.value);
        }
    }

    fn on_running(&mut self, at: Timestamp, parameters: &mut [(String, f64)]) {
        let which = self.which.checked_rem(parameters.len() as u64).unwrap_or_default() as usize;
        if let (true, Some((_, value))) = (self.window.contains(at) && !self.gone, parameters.get_mut(which))
        {
            *value += if *value == 0.0 { 0.1 } else { 0.1 * *value };
        }
    }

    fn on_revert(&mut self) {
        self.gone = true;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "twin_parameter",
    story: "a parameter of the vendor's twin is changed, so that it shows another value",
    techniques: &["T0836", "T0832"],
    parties: &[Suspect::Twin, Suspect::Feed, Suspect::Model],
    traces: &[Trace::Vendor, Trace::Seal],
    build: |target| {
        vec![Box::new(Parameter {
            window: target.window,
            signal: target.sensor.signal,
            error: target.bias * target.sensor.scale,
            pace_s: PACE * target.period().as_secs_f64(),
            which: target.seed,
            gone: false,
        })]
    },
    ..FALSE_TWIN
};

#[cfg(test)]
mod tests {
    use crate::{Scenario, trial};

    #[test]
    fn one_value_moves_away() {
        let played = trial::play(&super::ENTRY);
        let off = |second: usize, signal: usize| {
            played.vendor[second][signal].value.as_f64() - f64::from(played.clean[second][signal])
        };
        assert!(off(39, 0) < -1.0 && off(39, 0) > -5.0, "{}", off(39, 0));
        assert_eq!(off(39, 1), 0.0);
    }

    #[test]
    fn one_parameter_is_higher_while_it_lasts() {
        let mut scenario = Scenario::of(&super::ENTRY, &trial::target().seeded(3));
        let mut read = |second| {
            let mut running = [("gain".to_owned(), 2.0), ("loss".to_owned(), 0.0)];
            scenario.on_running(trial::at(second), &mut running);
            running.map(|(_, value)| value)
        };
        assert_eq!([19, 20, 40].map(&mut read), [[2.0, 0.0], [2.0, 0.1], [2.0, 0.0]]);
        let mut scenario = Scenario::of(&super::ENTRY, &trial::target().seeded(3));
        scenario.on_revert();
        let mut running = [("gain".to_owned(), 2.0), ("loss".to_owned(), 0.0)];
        scenario.on_running(trial::at(20), &mut running);
        assert_eq!(running.map(|(_, value)| value), [2.0, 0.0], "what was loaded again is as it was sealed");
    }
}
