//! A recording played again from the moment at which it fits the present best, so that no value jumps.
//!
//! Source: Y. Mo, B. Sinopoli, Allerton 2009, §III (the recording is of the steady state, so that it may start anywhere);
//! DHALSIM's concealment of several tags (A. Murillo et al., "Co-simulating physical processes and network data for
//! high-fidelity cyber-security experiments", ICSS 2020). The actuator is moved at the same time.

use twinguard_types::Suspect;

use super::replay::SAMPLES;
use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Place, Reading, Window};

struct Aligned {
    window: Window,
    /// The signals that it hides behind, by address and noise.
    places: Vec<Place>,
    recorded: Vec<Vec<u16>>,
    next: usize,
    playing: Option<usize>,
    most: usize,
}

impl Aligned {
    /// Where the recording is nearest to a reading, in standard deviations; the last tenth leaves no time to play.
    fn nearest(&self, now: &[u16]) -> usize {
        let distance = |row: &[u16]| -> f64 {
            let off = |place: &Place| {
                let at = usize::from(place.address);
                let (Some(then), Some(now)) = (row.get(at), now.get(at)) else { return 0.0 };
                (place.number(*then) - place.number(*now)) / place.sigma.max(1.0)
            };
            self.places.iter().map(|place| off(place) * off(place)).sum()
        };
        let usable = (self.recorded.len() * 9 / 10).max(1);
        let rows = self.recorded.iter().take(usable).map(|row| distance(row)).enumerate();
        rows.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at)
    }
}

impl Attack for Aligned {
    fn on_reading(&mut self, reading: &mut Reading<'_>) {
        if reading.address != 0 || reading.at >= self.window.end {
            return;
        }
        if !self.window.contains(reading.at) {
            // A ring: the oldest row gives way.
            if self.recorded.len() < self.most {
                self.recorded.push(reading.registers.to_vec());
            } else if let Some(row) = self.recorded.get_mut(self.next) {
                row.clear();
                row.extend_from_slice(reading.registers);
                self.next = (self.next + 1) % self.most;
            }
            return;
        }
        let at = match self.playing {
            Some(at) => at,
            None => {
                self.recorded.rotate_left(self.next);
                self.nearest(reading.registers)
            }
        };
        self.playing = Some((at + 1) % self.recorded.len().max(1));
        if let Some(row) = self.recorded.get(at).filter(|row| row.len() == reading.registers.len()) {
            reading.registers.copy_from_slice(row);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "aligned_replay",
    story: "the actuator is moved, and a recording that fits the moment is played on all measurements",
    family: Family::Combined,
    techniques: &["T0856", "T0832", "T0855"],
    parties: &[Suspect::CommandPath, Suspect::Sensor, Suspect::Network, Suspect::Identity],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Readings],
        disruption: &[Channel::Readings, Channel::Network],
    },
    traces: &[Trace::Repeat, Trace::Identity, Trace::Provenance],
    build: |target| {
        let mut attacks = target.inject_held();
        attacks.push(Box::new(Aligned {
            window: target.window,
            places: target.sensors.clone(),
            recorded: Vec::new(),
            next: 0,
            playing: None,
            most: SAMPLES as usize,
        }));
        attacks
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial::{self, START};

    #[test]
    fn goes_on_where_the_past_was_like_now() {
        let level = |t: i64| [(t % 10) as i16 * 10, 0, 0];
        let played = trial::play_over(&super::ENTRY, &trial::target(), level);
        // 20 s is like 0 s and 10 s: the first comes again and nothing jumps.
        let shown: Vec<i16> = (START..START + 12).map(|t| played.shown[t as usize][0]).collect();
        assert_eq!(shown, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 10]);
    }
}
