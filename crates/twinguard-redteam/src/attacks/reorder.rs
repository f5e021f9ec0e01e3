//! Values that come in the wrong order: each pair of samples changes places.
//!
//! Source: MITRE ATT&CK for ICS T0830 (Adversary-in-the-Middle); Modbus responses are paired by their transaction, so
//! that whoever sits in between has to hold the content back, not the message.

use std::collections::VecDeque;

use twinguard_types::Suspect;

use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Visibility};
use crate::{Attack, Entry, Reading, Window};

struct Reorder {
    window: Window,
    /// The latest readings, newest last.
    past: VecDeque<Vec<u16>>,
    odd: bool,
}

impl Attack for Reorder {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if reading.at >= self.window.end {
            return;
        }
        if self.past.len() == 4 {
            self.past.pop_front();
        }
        self.past.push_back(reading.registers.to_vec());
        if self.window.contains(reading.at) {
            // One back, three back: pairs in reverse.
            let back = if self.odd { 3 } else { 1 };
            self.odd = !self.odd;
            let place = self.past.len().checked_sub(1 + back);
            if let Some(old) =
                place.and_then(|at| self.past.get(at)).filter(|old| old.len() == reading.registers.len())
            {
                reading.registers.copy_from_slice(old);
            }
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "reorder",
    story: "samples of all measurements come in the wrong order",
    family: Family::Timing,
    techniques: &["T0830", "T0856"],
    parties: &[Suspect::Network, Suspect::Sensor],
    needs: Resources {
        knowledge: Knowledge::None,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings],
    },
    visibility: Visibility::Motion,
    build: |target| vec![Box::new(Reorder { window: target.window, past: VecDeque::new(), odd: false })],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn pairs_come_in_reverse() {
        let played = trial::play_over(&super::ENTRY, &trial::target(), |t| [t as i16, 0, 0]);
        let shown: Vec<i16> = played.shown[20..26].iter().map(|row| row[0]).collect();
        assert_eq!(shown, [19, 18, 21, 20, 23, 22]);
    }
}
