//! Recorded measurements played again, so that every screen shows normal.
//!
//! Source: Y. Mo, B. Sinopoli, "Secure control against replay attacks", Allerton 2009, §III: record y(t) for a time,
//! then feed it back while the plant is driven elsewhere. MITRE ATT&CK for ICS T0856 (Spoof Reporting Message).

use std::collections::{BTreeMap, VecDeque};

use twinguard_types::{Duration, Timestamp};

use crate::profile::{Channel, FALSE_VALUE, Resources, Trace, Visibility};
use crate::{Attack, Entry, Reading, Window};

/// How many samples are recorded.
pub(crate) const SAMPLES: i64 = 20 * 60;

/// Records every reading for `length` before the window opens and plays them again, from the oldest, in a loop.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    window: Window,
    length: Duration,
    tracks: BTreeMap<(u8, u16), Track>,
}

#[derive(Clone, Debug, Default)]
struct Track {
    recorded: VecDeque<(Timestamp, Vec<u16>)>,
    next: usize,
}

impl Replay {
    pub(crate) fn new(window: Window, length: Duration) -> Self {
        Self { window, length, tracks: BTreeMap::new() }
    }
}

impl Attack for Replay {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        let track = self.tracks.entry((reading.function, reading.address)).or_default();
        if reading.at < self.window.start {
            while track.recorded.front().is_some_and(|(at, _)| *at < reading.at - self.length) {
                track.recorded.pop_front();
            }
            track.recorded.push_back((reading.at, reading.registers.to_vec()));
        } else if self.window.contains(reading.at) {
            let played = track.recorded.get(track.next % track.recorded.len().max(1));
            if let Some((_, registers)) =
                played.filter(|(_, registers)| registers.len() == reading.registers.len())
            {
                reading.registers.copy_from_slice(registers);
            }
            track.next += 1;
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "replay",
    story: "old values of all measurements are played again",
    needs: Resources { disclosure: &[Channel::Readings], ..FALSE_VALUE.needs },
    traces: &[Trace::Repeat],
    visibility: Visibility::Facts,
    build: |target| vec![Box::new(Replay::new(target.window, target.samples(SAMPLES)))],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_the_recording_in_a_loop() {
        let window = Window { start: Timestamp::from_secs(5), end: Timestamp::from_secs(12) };
        let mut attack = Replay::new(window, Duration::from_secs(2));
        let seen: Vec<u16> = (0..14u16)
            .map(|secs| {
                let mut registers = [secs];
                let at = Timestamp::from_secs(i64::from(secs));
                attack.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
                registers[0]
            })
            .collect();
        assert_eq!(seen, [0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 12, 13]);
    }
}
