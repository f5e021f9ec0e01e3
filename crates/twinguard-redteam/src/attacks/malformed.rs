//! Messages that no standard allows, to see what the device makes of them.
//!
//! Source: MITRE ATT&CK for ICS T0814; Modbus Messaging on TCP/IP V1.0b §3.1.3 (protocol identifier 0, length of what
//! follows) and Modbus Application Protocol V1.1b3 §6 (quantities 1 to 125): each is broken in turn.

use core::net::Ipv4Addr;

use twinguard_types::{Suspect, Timestamp};

use crate::profile::{FALSE_COMMAND, Family, Trace};
use crate::{Attack, Entry, Utterance, Window};

/// Wrong protocol identifier; length beyond the end; quantity 0; quantity 65 535; a function that nobody defines.
const MESSAGES: [&[u8]; 5] = [
    &[0, 1, 0x13, 0x37, 0, 6, 1, 3, 0, 0, 0, 1],
    &[0, 2, 0, 0, 0xff, 0xff, 1, 3, 0, 0, 0, 1],
    &[0, 3, 0, 0, 0, 6, 1, 3, 0, 0, 0, 0],
    &[0, 4, 0, 0, 0, 6, 1, 3, 0, 0, 0xff, 0xff],
    &[0, 5, 0, 0, 0, 4, 1, 0x63, 0xde, 0xad],
];

struct Malformed {
    window: Window,
    from: Ipv4Addr,
    next: usize,
}

impl Attack for Malformed {
    fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        if !self.window.contains(at) {
            return;
        }
        if let Some(bytes) = MESSAGES.get(self.next % MESSAGES.len()) {
            utterances.push(Utterance::Raw { from: self.from, bytes: bytes.to_vec() });
        }
        self.next += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "malformed",
    story: "a stranger sends the device messages that no standard allows",
    family: Family::Frames,
    techniques: &["T0814", "T0820"],
    parties: &[Suspect::Network, Suspect::Identity],
    traces: &[Trace::Identity, Trace::Malformed],
    build: |target| vec![Box::new(Malformed { window: target.window, from: target.attacker, next: 0 })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial;

    #[test]
    fn none_of_them_is_a_request() {
        use twinguard_protocol::{Sender, protocols::modbus::View};
        let played = trial::play(&ENTRY);
        let broken = played.utterances.iter().filter(|(_, it)| {
            let Utterance::Raw { bytes, .. } = it else { return false };
            View::new(bytes, Sender::Client).is_none_or(|view| !view.oddities().is_empty())
        });
        assert_eq!(broken.count(), 20);
    }
}
