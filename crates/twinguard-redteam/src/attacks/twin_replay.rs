//! The vendor's twin shows a recording of normal days while the plant is driven elsewhere.
//!
//! Source: MITRE ATT&CK for ICS T0832 (Manipulation of View), T0855: the scene that the operator sees is calm.

use std::collections::VecDeque;

use twinguard_types::{Point, Suspect, Timestamp, Value};

use crate::profile::{Channel, FALSE_TWIN, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window};

const SAMPLES: usize = 600;

struct Replay {
    window: Window,
    recorded: VecDeque<Vec<Value>>,
    next: usize,
}

impl Attack for Replay {
    fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        if at < self.window.start {
            if self.recorded.len() == SAMPLES {
                self.recorded.pop_front();
            }
            self.recorded.push_back(points.iter().map(|point| point.value).collect());
        } else if self.window.contains(at) {
            let played = self.recorded.get(self.next % self.recorded.len().max(1));
            for (point, value) in points.iter_mut().zip(played.into_iter().flatten()) {
                point.value = *value;
            }
            self.next += 1;
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "twin_replay",
    story: "the actuator is moved while the vendor's twin shows a recording",
    family: Family::Combined,
    techniques: &["T0832", "T0855"],
    parties: &[Suspect::CommandPath, Suspect::Twin, Suspect::Feed, Suspect::Identity],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Vendor],
        disruption: &[Channel::Vendor, Channel::Network],
    },
    traces: &[Trace::Vendor, Trace::Identity, Trace::Provenance],
    build: |target| {
        let mut attacks = target.inject_held();
        attacks.push(Box::new(Replay { window: target.window, recorded: VecDeque::new(), next: 0 }));
        attacks
    },
    ..FALSE_TWIN
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn plays_from_the_oldest() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.vendor[25][0].value, played.vendor[5][0].value);
    }
}
