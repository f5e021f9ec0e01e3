//! An older, once valid model is put back.
//!
//! Source: MITRE ATT&CK for ICS T0857 (System Firmware), FrostyGoop's campaign (downgrade of firmware before the writes, MITRE
//! S1165); J. Samuel et al., "Survivable key compromise in software update systems", CCS 2010, §3 (rollback attack). A
//! measurement finds the digest of the older version.

use twinguard_types::Suspect;

use super::model_tamper::Other;
use crate::Entry;
use crate::profile::{Channel, FALSE_COMMAND, Family, Knowledge, Resources, Trace};

pub(crate) const ENTRY: Entry = Entry {
    name: "rollback",
    story: "an older version of the model runs",
    family: Family::Model,
    techniques: &["T0857", "T0839", "T0862"],
    parties: &[Suspect::Model],
    needs: Resources { knowledge: Knowledge::None, disclosure: &[], disruption: &[Channel::Model] },
    traces: &[Trace::Seal],
    build: |target| vec![Box::new(Other::new(target.window, 0x01))],
    ..FALSE_COMMAND
};

#[cfg(test)]
mod tests {
    use crate::trial;

    #[test]
    fn the_older_digest() {
        let played = trial::play(&super::ENTRY);
        assert_eq!((played.digests[19].0[0], played.digests[20].0[0]), (7, 6));
    }
}
