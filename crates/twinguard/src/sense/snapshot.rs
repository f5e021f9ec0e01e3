//! What the sensing half of a guard writes into a snapshot.

use std::collections::BTreeMap;

use twinguard_anomaly::{Aligner, Archive, Bank, Judge, Reader, Writer, registry};
use twinguard_twin::{ModelError, Plant};
use twinguard_types::{Catalogue, SignalId, Timestamp};

use super::instrument::Instrument;
use super::{DetectionReport, Loudness, Phase, Senses, judge_config, parameter_names};
use crate::snapshot::refuse;
use crate::{Config, Error};

/// The small part of the state; twin, detectors, judge and rows have bytes of their own.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensesState {
    field: BTreeMap<SignalId, f64>,
    looked: Option<Timestamp>,
    look: Option<Timestamp>,
    settled: (u32, u64),
    #[serde(default, skip_serializing_if = "is_none")]
    silent: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    instruments: BTreeMap<SignalId, Instrument>,
    confidence: twinguard_gate::Confidence,
    loudness: Loudness,
    report: DetectionReport,
    has_twin: bool,
    /// Not in the first snapshots of format 1.
    #[serde(default)]
    model_errors: BTreeMap<SignalId, ModelError>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(silent: &u32) -> bool {
    *silent == 0
}

/// The bytes beside it.
pub(crate) struct SensesBytes<T> {
    pub(crate) twin: T,
    pub(crate) bank: T,
    pub(crate) judge: T,
    pub(crate) rows: T,
}

impl Senses {
    /// Everything learnt and everything in flight.
    pub(crate) fn save(&self) -> Result<(SensesState, SensesBytes<Vec<u8>>), Error> {
        let (Phase::Watching { bank, judge }, Some(aligner)) = (&self.phase, &self.aligner) else {
            return Err(refuse(
                "the guard still learns what is normal, which is not kept before it is finished",
            ));
        };
        let state = SensesState {
            field: self.field.clone(),
            looked: self.looked,
            look: self.look,
            settled: self.settled,
            silent: self.silent,
            instruments: self.instruments.clone(),
            confidence: self.confidence.clone(),
            loudness: self.loudness.clone(),
            report: self.report,
            has_twin: self.twin.is_some(),
            model_errors: self.twin.as_ref().map(|twin| twin.model_errors().clone()).unwrap_or_default(),
        };
        let mut rows = Writer::new();
        aligner.save(&mut rows);
        let twin = self.twin.as_ref().map(twinguard_twin::Twin::snapshot).unwrap_or_default();
        let bytes = SensesBytes { twin, bank: bank.snapshot(), judge: judge.snapshot(), rows: rows.finish() };
        Ok((state, bytes))
    }

    /// Goes on from what [`Senses::save`] wrote for the same plant.
    pub(crate) fn load(
        plant: &Plant,
        config: &Config,
        catalogue: &Catalogue,
        state: SensesState,
        bytes: &SensesBytes<&[u8]>,
    ) -> Result<Self, Error> {
        let mut senses = Self::new(plant, config, None)?;
        match &mut senses.twin {
            Some(twin) if state.has_twin => twin.restore(bytes.twin)?,
            None if !state.has_twin && bytes.twin.is_empty() => {}
            _ => return Err(refuse("it was taken with a model and there is none, or the other way round")),
        }
        if let Some(twin) = &mut senses.twin {
            twin.set_model_errors(&state.model_errors);
        }
        let detectors: Vec<_> = registry::all().into_iter().chain(registry::others()).collect();
        let bank = Bank::restore(&detectors, bytes.bank)?;
        let mut reader = Reader::new(bytes.rows);
        let aligner = Aligner::load(&mut reader)?;
        reader.end()?;
        let mut judge = Judge::new(judge_config(aligner.period()), &bank, catalogue);
        judge.set_parameters(parameter_names(plant));
        let judge = judge.restore(bytes.judge)?;
        let SensesState {
            field,
            looked,
            look,
            settled,
            silent,
            instruments,
            confidence,
            loudness,
            report,
            ..
        } = state;
        if [loudness.most.len(), loudness.thresholds.len()] != [bank.table().len(); 2] {
            return Err(refuse("it speaks of another number of detectors"));
        }
        Ok(Self {
            aligner: Some(aligner),
            phase: Phase::Watching { bank, judge },
            field,
            looked,
            look,
            settled,
            silent,
            instruments,
            confidence,
            loudness,
            report,
            ..senses
        })
    }
}
