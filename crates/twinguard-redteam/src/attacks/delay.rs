//! Values that are right, but old.
//!
//! Source: A. Sargolzaei, K. K. Yen, M. N. Abdelghani, "Preventing time-delay switch attack on load frequency control in
//! distributed power systems", IEEE Trans. Smart Grid 7(2), 2016, §II: y′(t) = y(t − d). All measurements come twenty
//! samples late.

use std::collections::VecDeque;

use twinguard_types::Suspect;

use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Visibility};
use crate::{Attack, Entry, Reading, Window};

const LATE: usize = 20;

struct Delay {
    window: Window,
    past: VecDeque<Vec<u16>>,
}

impl Attack for Delay {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if reading.at >= self.window.end {
            return;
        }
        self.past.push_back(reading.registers.to_vec());
        if self.past.len() <= LATE {
            return;
        }
        if let Some(old) = self.past.pop_front().filter(|old| old.len() == reading.registers.len())
            && self.window.contains(reading.at)
        {
            reading.registers.copy_from_slice(&old);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "delay",
    story: "all measurements come twenty samples late",
    family: Family::Timing,
    techniques: &["T0856", "T0832"],
    parties: &[Suspect::Network, Suspect::Sensor],
    needs: Resources {
        knowledge: Knowledge::None,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings],
    },
    visibility: Visibility::Motion,
    build: |target| vec![Box::new(Delay { window: target.window, past: VecDeque::new() })],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn shows_what_was() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.shown[30], played.clean[10]);
    }
}
