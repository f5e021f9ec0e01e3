//! What the defender answers, and how the platform carries it out.
//!
//! Source: NIST SP 800-82 r3 §6.2.4 (isolation, manual control and safe states as responses in control systems).

use twinguard_twin::simulator::{Register, Table};
use twinguard_types::{Action, ActionKind, Outcome, OutcomeResult, Timestamp};

use super::{Master, Range, RangeError, UNIT};
use crate::defender::{Defender, Reaction, Stimulus};

impl Range {
    /// Tells the defender, and carries out what it answers.
    pub(super) fn tell<D: Defender>(
        &mut self,
        at: Timestamp,
        stimulus: Stimulus<'_>,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        defender.handle(at, stimulus).map_err(RangeError::Defender)?;
        let mut actions = Vec::new();
        while let Some(reaction) = defender.poll() {
            if let Reaction::Action(action) = &reaction {
                actions.push(action.clone());
            }
            self.reactions.push(reaction);
        }
        for action in actions {
            self.carry_out(at, action, defender)?;
        }
        Ok(())
    }

    fn carry_out<D: Defender>(
        &mut self,
        at: Timestamp,
        action: Action,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        if action.recommended_only {
            return Ok(());
        }
        match &action.kind {
            ActionKind::IsolatePeer { peer } => {
                self.isolated.insert(*peer);
            }
            ActionKind::Substitute { signal, .. } | ActionKind::IsolateSignal { signal } => {
                self.substituted.insert(*signal, action.id);
            }
            ActionKind::Command(command) => {
                let binding = self
                    .bindings
                    .iter()
                    .find(|(tag, binding)| binding.signal == command.signal && tag.contains("/hr/"));
                let place = binding
                    .and_then(|(tag, binding)| Some((tag.rsplit('/').next()?.parse::<u16>().ok()?, binding)));
                let Some((address, binding)) = place else { return Ok(()) };
                let register = Register {
                    unit: UNIT,
                    table: Table::Holding,
                    address,
                    raw: binding.word().raw(command.value.as_f64()),
                };
                if !self.site.is_set_point(&register) {
                    self.held.insert(address, action.id);
                }
                self.write(at, Master::Platform, register, defender)?;
            }
            ActionKind::Revert { commit, .. } => {
                if *commit {
                    self.scenario.on_revert();
                }
            }
            ActionKind::Release { action } => {
                self.substituted.retain(|_, by| by != action);
                self.held.retain(|_, by| by != action);
                if let Some(ActionKind::IsolatePeer { peer }) =
                    self.actions.get(action).map(|action| &action.kind)
                {
                    self.isolated.remove(peer);
                }
            }
            _ => return Ok(()),
        }
        let outcome = Outcome { action: action.id, result: OutcomeResult::Done, at };
        self.actions.insert(action.id, action);
        self.tell(at, Stimulus::Outcome(outcome), defender)
    }
}
