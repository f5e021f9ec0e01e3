//! Commands in the controller's own name: sent from its address.
//!
//! Source: MITRE ATT&CK for ICS T0849 (Masquerading), T0855; address spoofing works because Modbus authenticates nobody
//! (Modbus Application Protocol V1.1b3 has no such field).

use twinguard_types::Suspect;

use super::command_injection::Inject;
use crate::profile::{FALSE_COMMAND, Trace};
use crate::{Entry, address};

pub(crate) const ENTRY: Entry = Entry {
    name: "masquerade",
    story: "the actuator is moved from the controller's own address",
    techniques: &["T0849", "T0855", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Identity],
    traces: &[Trace::Provenance],
    build: |target| {
        let (window, address, value) = (target.window, target.actuator.address, target.injected);
        vec![Box::new(Inject { window, from: address::CONTROLLER, address, law: move |_| Some(value) })]
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::{address, trial};

    #[test]
    fn speaks_from_the_controllers_address() {
        let played = trial::play(&super::ENTRY);
        assert!(played.injections.iter().all(|(_, it)| it.from == address::CONTROLLER));
    }
}
