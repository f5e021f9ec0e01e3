//! No response at all: the screens keep their last values.
//!
//! Source: MITRE ATT&CK for ICS T0804 (Block Reporting Message), T0815 (Denial of View), T0829 (Loss of View); Ukraine 2015:
//! gateways between serial lines and Ethernet were destroyed.

use twinguard_types::Suspect;

use crate::attack::Transit;
use crate::profile::{Channel, FALSE_VALUE, Family, Knowledge, Resources, Trace, Visibility};
use crate::{Attack, Entry, Window};

struct Block {
    window: Window,
}

impl Attack for Block {
    fn on_transit(&mut self, transit: &mut Transit) {
        if self.window.contains(transit.at) {
            transit.answered = false;
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "block_reporting",
    story: "the device's responses are kept from everybody",
    family: Family::Timing,
    techniques: &["T0804", "T0815", "T0829"],
    parties: &[Suspect::Network],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Readings] },
    traces: &[Trace::Timing],
    visibility: Visibility::Facts,
    build: |target| vec![Box::new(Block { window: target.window })],
    ..FALSE_VALUE
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn none_comes() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.transits.iter().filter(|transit| !transit.answered).count(), 20);
    }
}
