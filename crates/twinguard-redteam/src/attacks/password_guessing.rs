//! One wrong password after the other, slowly.
//!
//! Source: MITRE ATT&CK for ICS T0812 (Default Credentials), T0859 (Valid Accounts); J. Jung et al., "Fast portscan detection
//! using sequential hypothesis testing", IEEE S&P 2004, for why slowness helps. One guess a minute of sixty samples.

use twinguard_types::{Access, AccessOutcome, Label, Suspect, Timestamp};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window, address};

const EVERY: u32 = 60;

struct Guessing {
    window: Window,
    from: core::net::Ipv4Addr,
    step: u32,
}

impl Attack for Guessing {
    fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        if !self.window.contains(at) {
            return;
        }
        if self.step.is_multiple_of(EVERY) {
            accesses.push(Access {
                at,
                principal: address::OPERATOR_ACCOUNT,
                action: Label::literal("login"),
                outcome: AccessOutcome::Refused,
                from: Some(self.from.into()),
            });
        }
        self.step += 1;
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "password_guessing",
    story: "somebody guesses the operator's password, slowly",
    family: Family::Identity,
    techniques: &["T0812", "T0859"],
    parties: &[Suspect::Identity],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Network] },
    traces: &[Trace::Identity],
    build: |target| vec![Box::new(Guessing { window: target.window, from: target.attacker, step: 0 })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial;

    #[test]
    fn one_guess_in_sixty_steps() {
        let mut target = trial::target();
        target.window.end = trial::at(320);
        let mut attack = Guessing { window: target.window, from: target.attacker, step: 0 };
        let mut seen = Vec::new();
        (0..400).for_each(|second| attack.on_access(trial::at(second), &mut seen));
        assert_eq!(seen.len(), 5);
        assert!(seen.iter().all(|it| it.outcome == AccessOutcome::Refused));
    }
}
