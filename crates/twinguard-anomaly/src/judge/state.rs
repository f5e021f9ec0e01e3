//! What the judge remembers between events, and its form in a snapshot.

use twinguard_types::{Attribution, Cause, Explanation, FindingId, SignalId, Timestamp};

use super::{EXPLANATIONS, Judge};
use crate::{Archive, Detail, Error, Reader, Writer, archived};

/// Version 3 is read as well.
const VERSION: u32 = 4;

/// What one detector contributed lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// Last three decisions, newest in bit 0.
    pub(super) recent: u8,
    pub(super) confirmed: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) peak: f64,
    pub(super) onset: Option<Timestamp>,
    pub(super) detail: Detail,
    /// Who was not seen before is kept apart from what was not.
    pub(super) newcomer: Option<Detail>,
    pub(super) shares: Vec<Attribution>,
    pub(super) named: usize,
    /// Its detector's first score.
    pub(super) began: Option<Timestamp>,
    /// The incident that it belongs to.
    pub(super) owner: Option<FindingId>,
}

archived!(Activity { recent, confirmed, last, peak, onset, detail, newcomer, shares, named, began, owner });

impl Activity {
    pub(super) fn new() -> Self {
        Self { shares: vec![Attribution { signal: SignalId(0), share: 0.0 }; 4], ..Self::default() }
    }

    pub(super) fn reset(&mut self) {
        (self.recent, self.confirmed, self.last, self.peak) = (0, None, None, 0.0);
        (self.onset, self.detail, self.newcomer, self.named) = (None, Detail::None, None, 0);
        self.owner = None;
    }
}

/// An open incident.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) id: FindingId,
    pub(super) revision: u32,
    pub(super) raised_at: Timestamp,
    pub(super) top: Option<(u64, Timestamp)>,
    /// What the last revision said, to tell news from repetition.
    pub(super) said: u64,
    pub(super) last_revision: Timestamp,
    pub(super) closing: bool,
    /// When it was last looked at; `None` before it was raised.
    pub(super) looked: Option<Timestamp>,
}

archived!(Incident { id, revision, raised_at, top, said, last_revision, closing, looked });

/// An explanation as a snapshot holds it.
pub(super) struct Held {
    kind: (u8, u32),
    times: (Timestamp, Timestamp),
    numbers: (f64, f64),
}

archived!(Held { kind, times, numbers });

impl From<&Explanation> for Held {
    fn from(it: &Explanation) -> Self {
        let kind = match it.cause {
            Cause::SensorBias(signal) => (0, signal.0),
            Cause::ActuatorOffset(signal) => (1, signal.0),
            Cause::Disturbance(signal) => (2, signal.0),
            Cause::FaultMode(mode) => (3, mode),
            _ => (u8::MAX, 0),
        };
        Self { kind, times: (it.at, it.since), numbers: (it.log_likelihood_ratio, it.magnitude) }
    }
}

impl Held {
    pub(super) fn explanation(&self, reader: &Reader<'_>) -> Result<Explanation, Error> {
        let cause = match self.kind {
            (0, signal) => Cause::SensorBias(SignalId(signal)),
            (1, signal) => Cause::ActuatorOffset(SignalId(signal)),
            (2, signal) => Cause::Disturbance(SignalId(signal)),
            (3, mode) => Cause::FaultMode(mode),
            _ => return Err(reader.refuse("an unknown cause")),
        };
        let ((at, since), (log_likelihood_ratio, magnitude)) = (self.times, self.numbers);
        Ok(Explanation { at, cause, log_likelihood_ratio, magnitude, since })
    }
}

impl Judge {
    /// All state, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        VERSION.save(&mut writer);
        self.activity.save(&mut writer);
        (self.views, self.heard).save(&mut writer);
        self.explanations.iter().map(Held::from).collect::<Vec<_>>().save(&mut writer);
        self.open.save(&mut writer);
        (self.next_id, self.inputs, self.inputs_count).save(&mut writer);
        (self.margin, self.check, self.acted).save(&mut writer);
        (self.excluding, self.compared.clone(), self.due).save(&mut writer);
        writer.finish()
    }

    /// Reads back what [`Judge::snapshot`] wrote, into a judge that was made like the one that wrote it.
    ///
    /// # Errors
    /// [`Error::SnapshotVersion`], [`Error::Snapshot`].
    pub fn restore(mut self, bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let found = u32::load(&mut reader)?;
        if !(VERSION - 1..=VERSION).contains(&found) {
            return Err(Error::SnapshotVersion { found, known: VERSION });
        }
        self.activity = Archive::load(&mut reader)?;
        // Before version 4 each detector had one.
        if found < VERSION && self.activity.len() == self.table.len() {
            self.activity.resize(2 * self.table.len(), Activity::new());
        }
        let fits = |it: &Activity| it.shares.len() == 4 && it.named <= 4;
        if self.activity.len() != 2 * self.table.len() || !self.activity.iter().all(fits) {
            return Err(reader.refuse("another number of detectors"));
        }
        (self.views, self.heard) = Archive::load(&mut reader)?;
        let held = Vec::<Held>::load(&mut reader)?;
        self.explanations.clear();
        for held in held.into_iter().take(EXPLANATIONS) {
            self.explanations.push(held.explanation(&reader)?);
        }
        self.open = Archive::load(&mut reader)?;
        (self.next_id, self.inputs, self.inputs_count) = Archive::load(&mut reader)?;
        (self.margin, self.check, self.acted) = Archive::load(&mut reader)?;
        (self.excluding, self.compared, self.due) = Archive::load(&mut reader)?;
        reader.end()?;
        Ok(self)
    }
}
