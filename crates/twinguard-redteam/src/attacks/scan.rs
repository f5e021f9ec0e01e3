//! A stranger who looks around: one block of registers after the other, read only.
//!
//! Source: MITRE ATT&CK for ICS T0846 (Remote System Discovery), T0861 (Point & Tag Identification), T0801 (Monitor
//! Process State), T0888: what Industroyer2, FrostyGoop and PIPEDREAM do before they write. One read every thirty steps.

use core::net::Ipv4Addr;

use twinguard_types::{Suspect, Timestamp};

use crate::profile::{FALSE_COMMAND, Family, Trace};
use crate::{Attack, Entry, Utterance, Window};

const EVERY: u32 = 30;
const BLOCK: u16 = 16;

struct Scan {
    window: Window,
    from: Ipv4Addr,
    step: u32,
}

impl Attack for Scan {
    fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        if !self.window.contains(at) {
            return;
        }
        if self.step.is_multiple_of(EVERY) {
            let block = (self.step / EVERY % 64) as u16;
            let function = if block.is_multiple_of(2) { 3 } else { 4 };
            utterances.push(Utterance::Read {
                from: self.from,
                function,
                address: block / 2 * BLOCK,
                count: BLOCK,
            });
        }
        self.step += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "scan",
    story: "a stranger reads one block of registers after the other",
    family: Family::Frames,
    techniques: &["T0846", "T0861", "T0801", "T0888", "T0802"],
    parties: &[Suspect::Identity, Suspect::Network],
    traces: &[Trace::Identity],
    build: |target| vec![Box::new(Scan { window: target.window, from: target.attacker, step: 0 })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial;

    #[test]
    fn reads_and_never_writes() {
        let mut target = trial::target();
        target.window.end = trial::at(200);
        let mut attack = Scan { window: target.window, from: target.attacker, step: 0 };
        let mut said = Vec::new();
        (0..300).for_each(|second| attack.speak(trial::at(second), &mut said));
        assert_eq!(said.len(), 6);
        assert!(said.iter().all(|it| matches!(it, Utterance::Read { count: 16, .. })));
    }
}
