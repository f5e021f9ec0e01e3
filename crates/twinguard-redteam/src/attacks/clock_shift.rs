//! The controller's clock is moved: its journal says other times than the wire.
//!
//! Source: Treytl, Hirschler, "Security flaws and workarounds for IEEE 1588 (transparent) clocks", ISPCS 2009; RFC 7384 §3
//! (threats to time protocols): a master clock that lies. A minute, at once.

use twinguard_types::{Duration, Intent, Suspect};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window};

const SHIFT: Duration = Duration::from_secs(60);

struct Shift {
    window: Window,
}

impl Attack for Shift {
    fn on_intent(&mut self, intent: &mut Intent) -> bool {
        if self.window.contains(intent.at) {
            intent.at = intent.at - SHIFT;
        }
        true
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "clock_shift",
    story: "the controller's clock is set back by a minute",
    family: Family::Timing,
    techniques: &["T0832", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Network, Suspect::Identity],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Clocks] },
    traces: &[Trace::Provenance, Trace::Timing],
    build: |target| vec![Box::new(Shift { window: target.window })],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn a_minute_back() {
        let played = trial::play(&super::ENTRY);
        assert_eq!(played.intents[30].map(|intent| intent.at), Some(trial::at(30 - 60)));
    }
}
