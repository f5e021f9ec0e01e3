//! The controller itself does something else, and its journal agrees.
//!
//! Source: MITRE ATT&CK for ICS T0889 (Modify Program), T0821 (Modify Controller Tasking), T0843 (Program Download): Stuxnet
//! and Triton change what the controller runs; epanetCPA's AttackOnControl (R. Taormina et al., *Environmental Modelling &
//! Software* 112, 2019). Wire and journal agree: only what is commanded is odd.

use twinguard_types::{Intent, SignalId, Suspect, Value};

use crate::attack::{Writer, Writing};
use crate::profile::{Channel, FALSE_COMMAND, Knowledge, Onset, Resources, Visibility};
use crate::{Attack, Entry, Window};

struct Logic {
    window: Window,
    signal: SignalId,
    address: u16,
    raw: u16,
    value: Option<Value>,
}

impl Attack for Logic {
    fn on_write(&mut self, writing: &mut Writing) {
        if self.window.contains(writing.at)
            && writing.by == Writer::Controller
            && writing.address == self.address
        {
            writing.set(self.raw);
        }
    }

    fn on_intent(&mut self, intent: &mut Intent) -> bool {
        if self.window.contains(intent.at) && intent.signal == self.signal {
            intent.value = self.value.unwrap_or(intent.value);
        }
        true
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "control_logic",
    story: "the controller's program is changed: it holds the actuator, and its journal says so",
    techniques: &["T0889", "T0821", "T0843", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Identity],
    needs: Resources { knowledge: Knowledge::Points, disclosure: &[], disruption: &[Channel::Controller] },
    traces: &[],
    visibility: Visibility::Actuator(1.0, Onset::Step),
    build: |target| {
        let value = Value::real(target.actuator.decode(target.injected)).ok();
        vec![Box::new(Logic {
            window: target.window,
            signal: target.actuator.signal,
            address: target.actuator.address,
            raw: target.injected,
            value,
        })]
    },
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn journal_and_wire_agree() {
        let played = trial::play(&super::ENTRY);
        let journal = played.intents[30].map(|intent| intent.value.as_f64());
        assert_eq!((played.writes[30].seen, journal), (Some(50), Some(0.05)));
    }
}
