//! The guard as the red team knows it.

use twinguard_redteam::{Defender, Reaction, Stimulus};
use twinguard_types::{SignalId, Timestamp};

use crate::{Error, Guard, Input, Output};

impl Defender for Guard {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        let input = match stimulus {
            Stimulus::Frame(frame) => Input::Frame(frame),
            Stimulus::Vendor(points) => Input::Points(points),
            Stimulus::Intent(intent) => Input::Intent(intent),
            Stimulus::Outcome(outcome) => Input::Outcome(outcome),
            _ => Input::Tick,
        };
        Guard::handle(self, now, input)
    }

    fn poll(&mut self) -> Option<Reaction> {
        loop {
            return Some(match Guard::poll(self)? {
                Output::Finding(finding) => Reaction::Finding(finding),
                Output::Verdict(verdict) => Reaction::Verdict(verdict.verdict),
                Output::Action(action) => Reaction::Action(action),
                Output::Receipt(_) => continue,
            });
        }
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        Guard::estimate(self, signal)
    }
}
