//! A command changed behind the tap: the wire says one thing, the actuator is told another.
//!
//! Source: MITRE ATT&CK for ICS T0835 (Manipulate I/O Image), Stuxnet (MITRE S0603): the output image is blocked while the
//! blocks of the operating system answer. Without feedback that is believed nothing but the plant itself shows it.

use twinguard_types::Suspect;

use crate::attack::Writing;
use crate::profile::{Channel, FALSE_COMMAND, Knowledge, Onset, Resources, Visibility};
use crate::{Attack, Entry, Window};

pub(crate) struct Hidden {
    pub(crate) window: Window,
    pub(crate) address: u16,
    pub(crate) value: u16,
}

impl Attack for Hidden {
    fn on_write(&mut self, writing: &mut Writing) {
        if self.window.contains(writing.at) && writing.address == self.address {
            writing.done = writing.done.map(|_| self.value);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "hidden_command",
    story: "behind the tap the actuator is told something else",
    techniques: &["T0835", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Actuator],
    needs: Resources { knowledge: Knowledge::Points, disclosure: &[], disruption: &[Channel::Actuators] },
    traces: &[],
    visibility: Visibility::Actuator(1.0, Onset::Step),
    build: |target| {
        let (window, address, value) = (target.window, target.actuator.address, target.injected);
        vec![Box::new(Hidden { window, address, value })]
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_tap_sees_what_was_meant() {
        let played = trial::play(&super::ENTRY);
        assert_eq!((played.writes[30].seen, played.writes[30].done), (Some(530), Some(50)));
    }
}
