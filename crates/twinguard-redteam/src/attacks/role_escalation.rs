//! A service account does what only engineers do, and is let.
//!
//! Source: MITRE ATT&CK for ICS T0890 (Exploitation for Privilege Escalation), T0892 (Change Credential), T0871: the historian's
//! account changes roles and downloads a program.

use twinguard_types::{Access, AccessOutcome, Label, Suspect, Timestamp};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window, address};

const EVERY: u32 = 120;
const ACTIONS: [&str; 3] = ["change_role", "change_credential", "download_program"];

struct Escalation {
    window: Window,
    step: u32,
}

impl Attack for Escalation {
    fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        if !self.window.contains(at) {
            return;
        }
        if self.step.is_multiple_of(EVERY) {
            let action =
                ACTIONS.get((self.step / EVERY) as usize % ACTIONS.len()).copied().unwrap_or("login");
            accesses.push(Access {
                at,
                principal: address::SERVICE_ACCOUNT,
                action: Label::literal(action),
                outcome: AccessOutcome::Granted,
                from: Some(address::PLATFORM.into()),
            });
        }
        self.step += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "role_escalation",
    story: "a service account gives itself the rights of an engineer",
    family: Family::Identity,
    techniques: &["T0890", "T0892", "T0871"],
    parties: &[Suspect::Identity],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Accounts] },
    traces: &[Trace::Identity],
    build: |target| vec![Box::new(Escalation { window: target.window, step: 0 })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::{address, trial};

    #[test]
    fn the_service_does_what_it_never_did() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.accesses[0].1.principal, address::SERVICE_ACCOUNT);
        assert_eq!(played.accesses[0].1.action.as_str(), "change_role");
    }
}
