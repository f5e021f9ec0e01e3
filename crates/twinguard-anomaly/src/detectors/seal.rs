//! A model that is not what was sealed.
//!
//! Source: collision resistance of the seal's hash (BLAKE3 specification, §2): two different contents with equal digests, or one
//! content with two digests, do not occur in normal operation, so a mismatch needs no statistics.

use twinguard_types::{AttestationOutcome, DetectorId, Event, Score, Symptom};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived,
};

/// Surprise of a broken seal: far beyond any threshold.
const BROKEN: f64 = 16.0;

/// Attestations that differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seal;

struct State {
    id: DetectorId,
}

archived!(State { id });

impl Detector for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Seal
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, _: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State { id: context.id }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Attestation(attestation) = event else { return None };
        let surprise = match attestation.outcome {
            AttestationOutcome::Matches => 0.0,
            AttestationOutcome::Differs => BROKEN,
        };
        let (at, detector) = (attestation.at, self.id);
        let score = Score { at, detector, symptom: Symptom::Seal, surprise, attribution: &[] };
        Some(Observation { score, detail: Detail::None, onset: None })
    }
    fn coverage(&self) -> Coverage {
        Coverage::Assumed
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Attestation, AttestationOutcome, Digest, Event, Timestamp};

    use crate::testing::{self, Plant};

    #[test]
    fn a_mismatch_is_beyond_any_threshold() {
        let mut fitted = testing::fit(&super::Seal, Plant::new(1).run(0));
        let mut attestation = Attestation {
            at: Timestamp::ZERO,
            expected: Digest([1; 32]),
            measured: Digest([1; 32]),
            outcome: AttestationOutcome::Matches,
        };
        let mut check =
            |attestation| fitted.observe(&Event::Attestation(attestation)).unwrap().score.surprise;
        assert_eq!(check(attestation), 0.0);
        attestation.outcome = AttestationOutcome::Differs;
        assert_eq!(check(attestation), 16.0);
    }
}
