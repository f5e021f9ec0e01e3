//! All attacks, one line each, in alphabetical order.

use crate::error::nearest;
use crate::profile::Entry;
use crate::stage::Playbook;
use crate::{Error, Scenario, Target};
use crate::{attacks, playbooks};

/// The attacks that ship.
pub const ATTACKS: &[Entry] = &[
    attacks::actuator_cycling::ENTRY,
    attacks::alarm_suppression::ENTRY,
    attacks::aligned_replay::ENTRY,
    attacks::bias::ENTRY,
    attacks::block_command::ENTRY,
    attacks::block_reporting::ENTRY,
    attacks::clock_shift::ENTRY,
    attacks::command_injection::ENTRY,
    attacks::command_sweep::ENTRY,
    attacks::control_logic::ENTRY,
    attacks::covert::ENTRY,
    attacks::delay::ENTRY,
    attacks::drift::ENTRY,
    attacks::drop::ENTRY,
    attacks::false_data::ENTRY,
    attacks::feed_poison::ENTRY,
    attacks::flood::ENTRY,
    attacks::freeze::ENTRY,
    attacks::geometric::ENTRY,
    attacks::hidden_command::ENTRY,
    attacks::jitter::ENTRY,
    attacks::learnt_concealment::ENTRY,
    attacks::malformed::ENTRY,
    attacks::man_in_the_middle::ENTRY,
    attacks::masquerade::ENTRY,
    attacks::min_max::ENTRY,
    attacks::mode_change::ENTRY,
    attacks::model_tamper::ENTRY,
    attacks::noise::ENTRY,
    attacks::oscillation::ENTRY,
    attacks::overheat::ENTRY,
    attacks::password_guessing::ENTRY,
    attacks::ramp::ENTRY,
    attacks::reorder::ENTRY,
    attacks::replay::ENTRY,
    attacks::replayed_credential::ENTRY,
    attacks::rogue_master::ENTRY,
    attacks::role_escalation::ENTRY,
    attacks::rollback::ENTRY,
    attacks::scale::ENTRY,
    attacks::scan::ENTRY,
    attacks::set_point_creep::ENTRY,
    attacks::stealthy::ENTRY,
    attacks::stolen_credential::ENTRY,
    attacks::surge::ENTRY,
    attacks::swap::ENTRY,
    attacks::twin_freeze::ENTRY,
    attacks::twin_parameter::ENTRY,
    attacks::twin_replay::ENTRY,
    attacks::zero_dynamics::ENTRY,
];

/// The incidents that ship.
pub const PLAYBOOKS: &[Playbook] = &[
    playbooks::cosmic_energy::PLAYBOOK,
    playbooks::frosty_goop::PLAYBOOK,
    playbooks::fuxnet::PLAYBOOK,
    playbooks::industroyer::PLAYBOOK,
    playbooks::industroyer2::PLAYBOOK,
    playbooks::maroochy::PLAYBOOK,
    playbooks::oldsmar::PLAYBOOK,
    playbooks::pipedream::PLAYBOOK,
    playbooks::plc_blaster::PLAYBOOK,
    playbooks::stuxnet::PLAYBOOK,
    playbooks::ukraine_2015::PLAYBOOK,
];

impl Playbook {
    /// The incident of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PLAYBOOKS.iter().find(|playbook| playbook.name == name)
    }
}

impl Entry {
    /// The attack of a name.
    ///
    /// ```
    /// use twinguard_redteam::Entry;
    ///
    /// assert_eq!(Entry::named("replay").map(|entry| entry.techniques[0]), Some("T0856"));
    /// assert!(Entry::named("no such attack").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ATTACKS.iter().find(|entry| entry.name == name)
    }
}

impl Entry {
    /// The attack of a name that has to be one.
    pub(crate) fn known(name: &str) -> Result<&'static Self, Error> {
        Self::named(name).ok_or_else(|| {
            let nearest = nearest(name, ATTACKS.iter().map(|entry| entry.name)).to_owned();
            Error::UnknownAttack { name: name.to_owned(), nearest }
        })
    }
}

impl Scenario {
    /// The scenario of a name, aimed at a target; `none` for normal running, `None` for an unknown name.
    #[must_use]
    pub fn build(name: &str, target: &Target) -> Option<Self> {
        if name == "none" {
            return Some(Self::none());
        }
        Entry::named(name).map(|entry| Self::of(entry, target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Requirement, Trace, Visibility};
    use crate::trial;

    #[test]
    fn names_are_in_order_and_unique() {
        assert!(ATTACKS.is_sorted_by(|a, b| a.name < b.name));
        assert!(ATTACKS.len() >= 30, "{}", ATTACKS.len());
        let target = trial::target();
        assert!(Scenario::build("no such thing", &target).is_none());
        assert!(Scenario::build("none", &target).is_some_and(|it| it.is_empty()));
    }

    /// Attacks that need a plant with a model of their own kind are tried on one.
    fn wants_a_model(entry: &Entry) -> bool {
        matches!(entry.requires, Requirement::Model | Requirement::UnstableZero | Requirement::SlowMode)
    }

    #[test]
    fn each_does_something_in_its_window_and_nothing_outside() {
        for entry in ATTACKS.iter().filter(|entry| !wants_a_model(entry)) {
            let played = trial::play_over(entry, &trial::target(), |t| {
                let [a, b, c] = trial::course(t);
                // Beyond the alarm limit in the window, so that there is something to hide.
                [if (trial::START..trial::END).contains(&t) { a + 100 } else { a }, b, c]
            });
            if let Err(what) = played.acts_in_its_window_only() {
                panic!("{}: {what}", entry.name);
            }
        }
    }

    #[test]
    fn each_says_who_did_it_and_what_it_leaves() {
        for entry in ATTACKS {
            assert!(!entry.parties.is_empty() && !entry.story.is_empty(), "{}", entry.name);
            assert!(!entry.needs.disruption.is_empty(), "{}: an attack changes something", entry.name);
            if entry.visibility == Visibility::Facts {
                assert!(!entry.traces.is_empty(), "{}: a fact is a trace", entry.name);
            }
            if entry.visibility == Visibility::Never {
                let quiet =
                    |trace: &Trace| !matches!(trace, Trace::Seal | Trace::Provenance | Trace::Malformed);
                assert!(entry.traces.iter().all(quiet), "{}", entry.name);
            }
        }
    }

    /// The list is that of MITRE ATT&CK for ICS, where it is at hand.
    #[test]
    fn techniques_are_those_of_attack_for_ics() {
        let ids: std::collections::BTreeSet<&str> =
            ATTACKS.iter().flat_map(|entry| entry.techniques.iter().copied()).collect();
        assert!(ids.iter().all(|id| id.len() == 5 && id.starts_with("T08")), "{ids:?}");
    }
}
