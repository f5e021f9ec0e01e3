//! Whether the twin runs with the parameters that it was given: compared again and again, bit by bit.
//!
//! The comparison is with a copy made when the twin was built or recalibrated. It finds a parameter that was changed in memory by a
//! defect, a stray write or an attack on this one value; it does not protect from whoever can write anywhere in this process
//! (see [`twinguard_integrity::attest`]).

use serde::Serialize;
use twinguard_integrity::attest::{Attestor, Look, Running};
use twinguard_integrity::{Parameter, ParameterValue, Parameters};
use twinguard_twin::Plant;
use twinguard_types::{Attestation, AttestationOutcome, Digest, Event, Timestamp};

use super::Guard;
use crate::{Attested, Error};

/// The file that the parameters are said to stand in.
const PLACE: &str = "plant";

/// What the twin has to run with.
#[derive(Debug)]
pub(super) struct Watch {
    attestor: Attestor,
    /// For each parameter in the attestor's order its place in the model's.
    order: Vec<usize>,
}

impl Watch {
    /// The parameters of a plant's model; nothing for a plant without one.
    pub(super) fn of(plant: &Plant) -> Result<Option<Self>, Error> {
        let Some(dynamics) = &plant.dynamics else { return Ok(None) };
        let given = dynamics.model.parameters();
        let one = |(name, value): &(String, f64)| Parameter::new(PLACE, name, "", (*value).into());
        let parameters = Parameters::new(given.iter().map(one).collect::<Result<_, _>>()?)?;
        let place = |parameter: &Parameter| given.iter().position(|(name, _)| name == parameter.name());
        let order = parameters.all().iter().filter_map(place).collect();
        Ok(Some(Self { attestor: Attestor::new(&plant.name, parameters), order }))
    }
}

struct Twin<'a> {
    parameters: &'a [(String, f64)],
    order: &'a [usize],
}

impl Running for Twin<'_> {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        self.parameters.get(*self.order.get(index)?).map(|(_, value)| (*value).into())
    }
}

/// What the journal says of it.
#[derive(Serialize)]
struct Word {
    #[serde(flatten)]
    attestation: Attestation,
    alarms: Vec<String>,
    more: u64,
}

impl Guard {
    /// When the twin is looked at next: at whole multiples of the period, so that it does not matter when a guard began.
    pub(super) fn next_attestation(&self) -> Option<Timestamp> {
        let every = self.config.attest_every.as_nanos();
        self.watch.as_ref().filter(|_| every > 0 && !self.senses.is_learning())?;
        let last = self.attested?.as_nanos();
        Some(Timestamp::from_nanos(last.div_euclid(every).saturating_add(1).saturating_mul(every)))
    }

    /// Looks at the twin as often as it was due up to `now`; once will do for what was due several times.
    pub(super) fn attest(&mut self, now: Timestamp) {
        let due = self.next_attestation().filter(|due| *due <= now);
        if due.is_some() || self.attested.is_none() {
            self.attested = Some(now);
        }
        let (Some(_), Some(watch), Some(twin)) = (due, &mut self.watch, self.senses.twin()) else { return };
        let running = Twin { parameters: twin.parameters(), order: &watch.order };
        let look = watch.attestor.sweep(&running, u64::MAX);
        if !look.alarms.is_empty() {
            let expected = watch.attestor.expected().parameters;
            let measured = watch.attestor.measure(&running).map(|measured| measured.parameters);
            self.attested(now, expected, measured.unwrap_or_default(), &look);
        }
    }

    /// A twin beside ours that is to run with the same parameters: what is not so is an alarm, what is so is not journalled.
    #[cfg(feature = "redteam")]
    pub(crate) fn attest_beside(&mut self, now: Timestamp, running: &[(String, f64)]) {
        let Some(watch) = self.watch.as_ref().filter(|_| !self.senses.is_learning()) else { return };
        let running = Twin { parameters: running, order: &watch.order };
        let mut attestor = watch.attestor.clone();
        let look = attestor.sweep(&running, u64::MAX);
        if look.alarms.is_empty() {
            self.measured(now, AttestationOutcome::Matches);
        } else {
            let measured = attestor.measure(&running).map(|measured| measured.parameters);
            self.attested(now, attestor.expected().parameters, measured.unwrap_or_default(), &look);
        }
    }

    /// What an attestor of the platform found.
    pub(super) fn attested_elsewhere(&mut self, now: Timestamp, found: Attested<'_>) {
        if found.look.alarms.is_empty() && !found.look.complete {
            return; // a part of a sweep that found nothing says nothing yet
        }
        self.attested(now, found.expected, found.measured, found.look);
    }

    fn attested(&mut self, at: Timestamp, expected: Digest, measured: Digest, look: &Look) {
        let outcome =
            if look.alarms.is_empty() { AttestationOutcome::Matches } else { AttestationOutcome::Differs };
        let attestation = Attestation { at, expected, measured, outcome };
        let alarms = look.alarms.iter().map(ToString::to_string).collect();
        self.word(at, "attestation", &Word { attestation, alarms, more: look.more });
        self.senses.sense(&Event::Attestation(attestation));
        self.measured(at, outcome);
    }

    /// Whether our own twin runs with the parameters that it was given.
    pub(super) fn runs_what_was_sealed(&mut self) -> bool {
        let (Some(watch), Some(twin)) = (&self.watch, self.senses.twin()) else { return false };
        let running = Twin { parameters: twin.parameters(), order: &watch.order };
        watch.attestor.clone().sweep(&running, u64::MAX).alarms.is_empty()
    }
}
