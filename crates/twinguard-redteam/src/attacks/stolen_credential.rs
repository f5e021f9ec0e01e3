//! The operator's account used from elsewhere.
//!
//! Source: MITRE ATT&CK for ICS T0859 (Valid Accounts), T0886 (Remote Services): Ukraine 2015, Oldsmar 2021 (a remote session of
//! a known account raises a set-point).

use twinguard_types::{Access, AccessOutcome, Label, Suspect, Timestamp};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window, address};

/// Steps between two sessions.
const EVERY: u32 = 300;

struct Session {
    window: Window,
    from: core::net::Ipv4Addr,
    step: u32,
}

impl Attack for Session {
    fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        if !self.window.contains(at) {
            return;
        }
        if self.step.is_multiple_of(EVERY) {
            accesses.push(Access {
                at,
                principal: address::OPERATOR_ACCOUNT,
                action: Label::literal("login"),
                outcome: AccessOutcome::Granted,
                from: Some(self.from.into()),
            });
        }
        self.step += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "stolen_credential",
    story: "the operator's account is used from another place, and the actuator is moved",
    family: Family::Identity,
    techniques: &["T0859", "T0886", "T0855"],
    parties: &[Suspect::Identity, Suspect::CommandPath],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[],
        disruption: &[Channel::Accounts, Channel::Network],
    },
    traces: &[Trace::Identity, Trace::Provenance],
    build: |target| {
        let mut attacks = target.inject_held();
        attacks.push(Box::new(Session { window: target.window, from: target.attacker, step: 0 }));
        attacks
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::{address, trial};

    #[test]
    fn a_known_account_from_an_unknown_place() {
        let played = trial::play(&super::ENTRY);
        let (_, access) = played.accesses[0];
        assert_eq!(access.principal, address::OPERATOR_ACCOUNT);
        assert_ne!(access.from, Some(address::PLATFORM.into()));
        assert_eq!(played.injections.len(), 20);
    }
}
