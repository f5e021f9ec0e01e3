//! Time moves on: whatever is due happens at its own time, so that it does not matter how often the time is told.

use twinguard_response::Responder as _;
use twinguard_types::{Duration, Timestamp};

use super::Guard;
/// What waits for a time, in the order in which it is done at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A request on the wire counts as unanswered.
    Wire,
    /// A held command has waited long enough.
    Gate,
    /// An action has waited long enough for its outcome.
    Responder,
    /// The next step of a return to normal.
    Return,
    /// A maintenance window or the time for which a finding was put aside is over.
    Aside,
    /// An instant is over, and the judge looks at it.
    Look(Timestamp),
}

/// An instant is over when the clock shows the next.
const NEXT: Duration = Duration::from_nanos(1);

impl Guard {
    /// When the guard wants to be told the time again (an [`Input::Tick`](crate::Input::Tick) will do), if nothing else
    /// happens: a row or a step of the twin is complete and the judge looks, a request counts as unanswered, a held command
    /// or an action has waited long enough, a step of a return to normal is due, a window ends. `None`: nothing waits for the time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due().map(|(at, _)| at)
    }

    /// The first time that a restored guard is told: what it missed by more than a row was not silence at the plant.
    pub(super) fn return_at(&mut self, now: Timestamp) {
        if let (Some(left), Some(period)) = (self.left.take(), self.senses.period())
            && now.since(left) > period + period
        {
            self.senses.missed();
        }
    }

    /// Does everything that is due up to `now`, each at its own time, and brings rows and twin up to `now`.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.senses.set_clock(now);
        while let Some((at, due)) = self.due().filter(|(at, _)| *at <= now) {
            match due {
                Due::Wire => {
                    self.stack.tick(at - self.tap);
                    self.drain(at);
                }
                Due::Gate => {
                    for (command, verdict) in self.gate.tick(at) {
                        self.emit_verdict(&command, None, verdict, false);
                    }
                    self.tell_notices(at);
                }
                Due::Responder => {
                    let mut actions = Vec::new();
                    self.responder.tick(at, &mut actions);
                    self.act(at, actions);
                }
                Due::Return => self.take_steps(at),
                Due::Aside => self.take_up(at),
                Due::Look(at) => {
                    self.senses.look(at);
                    self.decide(at);
                }
            }
        }
        self.senses.advance(now);
    }

    fn due(&self) -> Option<(Timestamp, Due)> {
        let wire = self.stack.next_deadline().map(|at| (at + self.tap, Due::Wire));
        let gate = self.gate.next_deadline().map(|at| (at, Due::Gate));
        let responder = self.responder.next_deadline().map(|at| (at, Due::Responder));
        let step = self.next_step().map(|at| (at, Due::Return));
        let aside = self.next_taken_up().map(|at| (at, Due::Aside));
        // The last instant that a clock can show is never over.
        let look = self.senses.next_look().filter(|at| *at < Timestamp::MAX);
        let look = look.map(|at| (at + NEXT, Due::Look(at)));
        [wire, gate, responder, step, aside, look].into_iter().flatten().min()
    }
}
