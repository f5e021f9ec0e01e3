//! A newly sealed plant file for a running guard.

use serde::Serialize;
use twinguard_integrity::Verified;
use twinguard_twin::Plant;
use twinguard_types::{Digest, SignalId, Timestamp};

use super::Guard;
use super::recalibrate::Calibration;
use crate::sense::{SETTLE, Senses};
use crate::{Error, Output, Seal};

/// What the journal says of it.
#[derive(Serialize)]
struct Reload<'a> {
    plant: &'a str,
    plant_digest: Digest,
    seal: Seal,
}

/// What the journal says where another model runs from now on.
#[derive(Serialize)]
struct Remodelled {
    /// Steps of the twin that are not scored until it has found the plant.
    unscored_steps: u32,
    /// What is known of how far the model is off: its residuals' slow means start as unknown.
    residual_level: &'static str,
}

/// The signals that a plant's model reads and answers with.
fn places(plant: &Plant) -> Option<[&[Option<SignalId>]; 2]> {
    plant.dynamics.as_ref().map(|dynamics| [dynamics.inputs.as_slice(), dynamics.outputs.as_slice()])
}

impl Guard {
    /// The senses go on under another plant file; a model that is another starts anew, and the journal says so.
    pub(super) fn go_on_as(&mut self, now: Timestamp, fresh: Senses, plants: [&Plant; 2]) {
        if self.senses.go_on_as(fresh, plants, self.distrusted.keys().copied()) {
            let record = Remodelled { unscored_steps: SETTLE, residual_level: "unknown" };
            self.word(now, "model", &record);
        }
    }

    /// Goes on under a newly sealed plant file: rules, identities, zones, limits, safe state, the model's parameters.
    ///
    /// What was learnt stays, and so do a running incident, isolated peers, held commands and actions in force. A twin
    /// whose model changed starts anew and is not scored until it has settled; the gate's rates count anew. The journal
    /// says what was loaded. On an error the guard is as it was.
    ///
    /// # Errors
    /// [`Error::Reload`] while the guard still learns, for a seal that is older than the one in force, and for a plant
    /// whose signals, bindings, or signals of the model are others: what was learnt does not speak of them, so build a
    /// new guard. Else what the gate, the playbook or the twin refuse, or the journal's storage.
    pub fn reload(&mut self, now: Timestamp, plant: Verified<Plant>) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Reload { reason });
        let seal =
            Seal { root: plant.root(), version: plant.version(), rollback_checked: plant.rollback_checked() };
        let plant = plant.into_inner();
        if self.senses.is_learning() {
            return refuse("the guard still learns what is normal");
        }
        if self.seal.is_some_and(|before| seal.version < before.version) {
            return refuse("its seal is older than the one in force");
        }
        if plant.catalogue != self.plant.catalogue || plant.bindings != self.plant.bindings {
            return refuse("its signals or bindings are others");
        }
        if places(&plant) != places(&self.plant) {
            return refuse("its model reads or answers with other signals");
        }
        let mut gate = self.gate.under(&plant)?;
        if let Some(policy) = &self.policy {
            policy.apply(&mut gate, &plant)?;
        }
        let responder = self.config.playbook(&plant)?.with_state(self.responder.state())?;
        let fresh = Senses::new(&plant, &self.config, None)?;
        let now = self.clamp(now);
        let before = self.calibrated()?;
        let watch = super::attest::Watch::of(&plant)?;
        let receipt = self.evidence.word(
            now,
            "reload",
            &Reload { plant: &plant.name, plant_digest: plant.digest, seal },
        )?;
        self.outputs.push_back(Output::Receipt(receipt));
        // A change of parameters was one of the plant file before.
        self.calibration = Calibration::default();
        self.go_on_as(now, fresh, [&before, &plant]);
        self.watch = watch;
        self.gate = gate;
        self.responder = responder;
        self.plant = plant;
        self.seal = Some(seal);
        Ok(())
    }
}
