//! The running model is not the sealed one.
//!
//! Source: MITRE ATT&CK for ICS T0889 (Modify Program), T0873 (Project File Infection), T0851 (Rootkit). What a measurement of the
//! model finds is another digest; what the model then says is the attestation's own scenario.

use twinguard_types::{Digest, Suspect, Timestamp};

use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};
use crate::{Attack, Entry, Window};

/// A digest that differs from another in these bits.
pub(crate) struct Other {
    pub(crate) window: Window,
    pub(crate) mask: u8,
    /// Whether the sealed one was loaded again since.
    gone: bool,
}

impl Other {
    pub(crate) const fn new(window: Window, mask: u8) -> Self {
        Self { window, mask, gone: false }
    }
}

impl Attack for Other {
    fn on_revert(&mut self) {
        self.gone = true;
    }

    fn on_measured(&mut self, at: Timestamp, digest: &mut Digest) {
        if self.window.contains(at) && !self.gone {
            digest.0.iter_mut().for_each(|byte| *byte ^= self.mask);
        }
    }
}

pub(crate) const ENTRY: Entry = Entry {
    name: "model_tamper",
    story: "the model that runs is changed in memory",
    family: Family::Model,
    techniques: &["T0889", "T0873", "T0851"],
    parties: &[Suspect::Model],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Model] },
    traces: &[Trace::Seal],
    build: |target| vec![Box::new(Other::new(target.window, 0x5a))],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn another_digest() {
        assert_eq!(trial::play(&super::ENTRY).digests[30].0, [7 ^ 0x5a; 32]);
    }
}
