//! So many requests that the device has no time for its controller.
//!
//! Source: MITRE ATT&CK for ICS T0814 (Denial of Service); Fuxnet floods the bus of its sensors (MITRE S1157). Forty reads
//! a step; a device of the range that gets more than twenty leaves every second poll unanswered.

use core::net::Ipv4Addr;

use twinguard_types::{Suspect, Timestamp};

use crate::profile::{FALSE_COMMAND, Family, Trace};
use crate::{Attack, Entry, Utterance, Window};

const READS: usize = 40;

struct Flood {
    window: Window,
    from: Ipv4Addr,
}

impl Attack for Flood {
    fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        if self.window.contains(at) {
            let read = Utterance::Read { from: self.from, function: 3, address: 0, count: 1 };
            utterances.extend(core::iter::repeat_n(read, READS));
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "flood",
    story: "a stranger asks so often that the device leaves the controller unanswered",
    family: Family::Frames,
    techniques: &["T0814", "T0815", "T0826"],
    parties: &[Suspect::Network, Suspect::Identity],
    traces: &[Trace::Identity, Trace::Timing],
    build: |target| vec![Box::new(Flood { window: target.window, from: target.attacker })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn forty_a_step() {
        assert_eq!(trial::play(&super::ENTRY).utterances.len(), 20 * 40);
    }
}
