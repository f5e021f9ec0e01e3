//! The device put into another mode of operation.
//!
//! Source: MITRE ATT&CK for ICS T0858 (Change Operating Mode), T0868 (Detect Operating Mode): Triton asks for the key switch
//! and sets the controller to program; Omron by PIPEDREAM. Written once, as such commands are.

use crate::Entry;
use crate::profile::{FALSE_COMMAND, Requirement};

use super::command_injection::Inject;

pub(crate) const ENTRY: Entry = Entry {
    name: "mode_change",
    story: "a stranger puts the device into another mode",
    techniques: &["T0858", "T0868", "T0855"],
    requires: Requirement::Mode,
    build: |target| {
        let Some(address) = target.mode else { return Vec::new() };
        let mut done = false;
        let law = move |_| (!core::mem::replace(&mut done, true)).then_some(0);
        vec![Box::new(Inject { window: target.window, from: target.attacker, address, law })]
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn written_once() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.injections.len(), 1);
        assert_eq!((played.injections[0].1.address, played.injections[0].1.value), (9, 0));
    }
}
