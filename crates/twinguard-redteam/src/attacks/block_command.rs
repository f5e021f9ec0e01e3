//! Commands that never arrive: the plant runs on with the last ones.
//!
//! Source: MITRE ATT&CK for ICS T0803 (Block Command Message), T0813 (Denial of Control).

use twinguard_types::Suspect;

use crate::attack::{Writer, Writing};
use crate::profile::{Channel, FALSE_COMMAND, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window};

struct Block {
    window: Window,
}

impl Attack for Block {
    fn on_write(&mut self, writing: &mut Writing) {
        if self.window.contains(writing.at) && writing.by == Writer::Controller {
            (writing.seen, writing.done) = (None, None);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "block_command",
    story: "the controller's commands are kept from the device",
    techniques: &["T0803", "T0813", "T0827"],
    parties: &[Suspect::CommandPath, Suspect::Network],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Commands] },
    traces: &[Trace::Provenance],
    build: |target| vec![Box::new(Block { window: target.window })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn nothing_arrives() {
        let played = trial::play(&super::ENTRY);
        assert!(played.writes[20..40].iter().all(|it| it.seen.is_none() && it.done.is_none()));
    }
}
