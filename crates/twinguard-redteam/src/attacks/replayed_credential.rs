//! A recorded login sent again and again from the platform's own address; the service refuses what it saw before.
//!
//! Source: MITRE ATT&CK for ICS T0859; RFC 4120 §3.1.3 and §10 (replay caches refuse an authenticator that was seen).

use twinguard_types::{Access, AccessOutcome, Label, Suspect, Timestamp};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window, address};

const EVERY: u32 = 20;

struct Replay {
    window: Window,
    step: u32,
}

impl Attack for Replay {
    fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        if !self.window.contains(at) {
            return;
        }
        if self.step.is_multiple_of(EVERY) {
            accesses.push(Access {
                at,
                principal: address::OPERATOR_ACCOUNT,
                action: Label::literal("login"),
                outcome: AccessOutcome::Failed,
                from: Some(address::PLATFORM.into()),
            });
        }
        self.step += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "replayed_credential",
    story: "a recorded login is sent again and again, and refused",
    family: Family::Identity,
    techniques: &["T0859"],
    parties: &[Suspect::Identity],
    needs: Resources {
        knowledge: Knowledge::None,
        disclosure: &[Channel::Accounts],
        disruption: &[Channel::Accounts],
    },
    traces: &[Trace::Identity],
    build: |target| vec![Box::new(Replay { window: target.window, step: 0 })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn from_the_usual_place() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.accesses.len(), 1);
        assert_eq!(played.accesses[0].1.from, Some(crate::address::PLATFORM.into()));
    }
}
