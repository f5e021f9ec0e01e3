//! Responses that get lost: three in ten.
//!
//! Source: MITRE ATT&CK for ICS T0804 (Block Reporting Message); loss of packets as a denial of service, A. A. Cárdenas,
//! S. Amin, S. Sastry, "Secure control: towards survivable cyber-physical systems", ICDCS workshops 2008.

use twinguard_twin::simulator::Noise;
use twinguard_types::Suspect;

use crate::attack::Transit;
use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Trace, Visibility};
use crate::{Attack, Entry, Window};

const SHARE: f64 = 0.3;

struct Drop {
    window: Window,
    chance: Noise,
}

impl Attack for Drop {
    fn on_transit(&mut self, transit: &mut Transit) {
        if self.window.contains(transit.at) && self.chance.uniform() < SHARE {
            transit.answered = false;
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "drop",
    story: "three in ten responses of the device get lost",
    family: Family::Timing,
    techniques: &["T0804", "T0815"],
    parties: &[Suspect::Network],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Readings] },
    traces: &[Trace::Timing],
    visibility: Visibility::Facts,
    build: |target| vec![Box::new(Drop { window: target.window, chance: target.chance(3) })],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn some_are_lost() {
        let played = trial::play(&super::ENTRY);
        let lost = played.transits.iter().filter(|transit| !transit.answered).count();
        assert!((2..=11).contains(&lost), "{lost} of 20");
    }
}
