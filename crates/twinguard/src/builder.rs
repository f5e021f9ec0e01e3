//! From a verified plant to a running guard.

use std::io::{BufRead, Read};

use twinguard_anomaly::detectors::Federated;
use twinguard_integrity::storage::Storage;
use twinguard_integrity::{PublicKey, Verified};
use twinguard_protocol::capture;
use twinguard_response::Autonomy;
use twinguard_twin::{Plant, importers::Telemetry};
use twinguard_types::Duration;

use crate::evidence::{Evidence, JournalStorage, Seal};
use crate::guard::Joined;
use crate::snapshot::refuse;
use crate::{Config, Error, Guard, Input};

/// Normal history, of whatever form: it teaches a guard by telling it what happened.
///
/// A closure that feeds the guard is a history too.
pub trait History {
    /// Feeds everything to the guard.
    ///
    /// # Errors
    /// Whatever the guard or the source refuses.
    fn teach(&mut self, guard: &mut Guard) -> Result<(), Error>;
}

impl<F: FnMut(&mut Guard) -> Result<(), Error>> History for F {
    fn teach(&mut self, guard: &mut Guard) -> Result<(), Error> {
        self(guard)
    }
}

impl<R: BufRead> History for capture::Reader<R> {
    fn teach(&mut self, guard: &mut Guard) -> Result<(), Error> {
        while let Some(frame) = self.next_frame()? {
            guard.handle(frame.at, Input::Frame(&frame))?;
            while guard.poll().is_some() {}
        }
        Ok(())
    }
}

impl<R: Read> History for Telemetry<R> {
    fn teach(&mut self, guard: &mut Guard) -> Result<(), Error> {
        while let Some(row) = self.next_row()? {
            guard.handle(row.at, Input::Points(row.points))?;
            while guard.poll().is_some() {}
        }
        Ok(())
    }
}

/// What a guard is made of.
#[derive(Debug)]
pub struct Builder {
    pub(crate) plant: Plant,
    pub(crate) seal: Option<Seal>,
    pub(crate) config: Config,
    learnt: Option<Box<Guard>>,
    journal: Option<JournalStorage>,
    calibrators: Vec<PublicKey>,
    federated: Option<Joined>,
}

impl Guard {
    /// A guard for a plant whose seal was verified. A plant of which nobody says so is not taken:
    ///
    /// ```compile_fail,E0308
    /// # use twinguard::{Guard, twin::Plant};
    /// fn guard(plant: Plant) {
    ///     Guard::builder(plant);
    /// }
    /// ```
    #[must_use]
    pub fn builder(plant: Verified<Plant>) -> Builder {
        let seal =
            Seal { root: plant.root(), version: plant.version(), rollback_checked: plant.rollback_checked() };
        Builder {
            plant: plant.into_inner(),
            seal: Some(seal),
            config: Config::default(),
            learnt: None,
            journal: None,
            calibrators: Vec::new(),
            federated: None,
        }
    }

    /// A guard for a plant that **no seal covers**: whoever can change the file can change what this guard believes.
    ///
    /// For drafts, tag lists and tests. The journal's first entry and the report say that the model was loaded unsealed.
    #[must_use]
    pub fn builder_unsealed(plant: Plant) -> Builder {
        Builder {
            plant,
            seal: None,
            config: Config::default(),
            learnt: None,
            journal: None,
            calibrators: Vec::new(),
            federated: None,
        }
    }
}

impl Builder {
    /// Sets the whole configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how many false alarms per day are acceptable, over all detectors together.
    #[must_use]
    pub fn false_alarms_per_day(mut self, rate: f64) -> Self {
        self.config.false_alarms_per_day = Some(rate);
        self
    }

    /// Grants acting without asking a person.
    #[must_use]
    pub fn autonomy(mut self, autonomy: Autonomy) -> Self {
        self.config.autonomy = autonomy;
        self
    }

    /// Lets whoever signs with this key change the model's parameters ([`Input::Recalibration`]). Without one nobody can.
    #[must_use]
    pub fn calibrator(mut self, key: PublicKey) -> Self {
        self.calibrators.push(key);
        self
    }

    /// Lets a model that several sites learnt together take part, as the detector `federated`: its folder is opened through its seal, and the
    /// journal says which one it is. The history given to [`Builder::learn`] gives it this site's own levels; a day of rows is enough.
    ///
    /// ```no_run
    /// use twinguard::anomaly::detectors::Federated;
    /// use twinguard::integrity::{Sealed, Trust};
    /// # use twinguard::{Guard, twin::Plant};
    /// # fn run(plant: Plant) -> Result<(), Box<dyn std::error::Error>> {
    /// let trust = Trust::new(std::fs::read_to_string("coordinator.pub")?.trim().parse()?);
    /// let federated = Sealed::open("model", "model.seal", &trust)?.load::<Federated>()?;
    /// let guard = Guard::builder_unsealed(plant).federated(federated).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn federated(mut self, model: Verified<Federated>) -> Self {
        let seal =
            Seal { root: model.root(), version: model.version(), rollback_checked: model.rollback_checked() };
        self.federated = Some(Joined { model: model.into_inner(), seal });
        self
    }

    /// Keeps the journal in a storage, for example a [`Directory`](twinguard_integrity::store::Directory); without one its
    /// latest entries are kept in memory ([`Evidence::first_kept`](crate::Evidence::first_kept)).
    #[must_use]
    pub fn journal(mut self, storage: impl Storage + Send + 'static) -> Self {
        self.journal = Some(Box::new(storage));
        self
    }

    /// Takes in a history of normal operation; [`Builder::build`] fits the detectors to it.
    ///
    /// # Errors
    /// Whatever [`History::teach`] refuses, or the plant file makes impossible.
    pub fn learn(mut self, mut history: impl History) -> Result<Self, Error> {
        let mut guard = match self.learnt.take() {
            Some(guard) => guard,
            None => Box::new(Guard::assemble(
                self.plant.clone(),
                self.seal,
                self.config.clone(),
                Some(Duration::MAX),
            )?),
        };
        history.teach(&mut guard)?;
        self.learnt = Some(guard);
        Ok(self)
    }

    /// Builds a guard that takes the first `span` of what it is told as normal history.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn learn_first(self, span: Duration) -> Result<Guard, Error> {
        let mut guard = Guard::assemble(self.plant, self.seal, self.config, Some(span))?;
        guard.keep_journal(self.journal)?;
        guard.calibrators = self.calibrators;
        guard.federated = self.federated;
        Ok(guard)
    }

    /// Builds the guard that goes on from a [`Guard::snapshot`] of a guard of the same plant: what it says from there on
    /// is what the other one would have said. The snapshot holds what was learnt, so neither a history nor a federated model is needed.
    ///
    /// How findings are answered, commands admitted and the queue bounded is as this builder says; detectors and their
    /// thresholds stay as they were fitted. Sessions on the wire are met anew, in the middle, as at a tap that is plugged
    /// in; [`Counters::restored`](crate::Counters::restored) counts it.
    ///
    /// **The journal.** The storage given to [`Builder::journal`] must hold the snapshot's journal. If it holds just
    /// that, it goes on without a seam. If it went on since, its next entry says to which size and root the guard went
    /// back. Without a storage a new journal begins in memory, whose first entry names the size and root of the old one.
    ///
    /// ```
    /// use twinguard::{Guard, Input, twin::Plant, types::Timestamp};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant.clone()).build()?;
    /// guard.handle(Timestamp::from_secs(1), Input::Tick)?;
    /// let bytes = guard.snapshot()?;
    ///
    /// let mut again = Guard::builder_unsealed(plant).restore(&bytes)?;
    /// again.handle(Timestamp::from_secs(2), Input::Tick)?;
    /// assert_eq!(again.counters().restored, 1);
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Snapshot`] for bytes that are damaged, of another format or another plant, or whose journal the storage
    /// does not hold; else what the floor below refuses whose state does not fit, or the storage.
    pub fn restore(self, snapshot: &[u8]) -> Result<Guard, Error> {
        let mut refused = Vec::new();
        match self.go_on_from([snapshot], &mut refused)? {
            Some(guard) => Ok(guard),
            None => Err(refused.pop().unwrap_or_else(|| refuse("there is none"))),
        }
    }

    /// As [`Builder::restore`], from the first of several snapshots that can be used: give the newest first. What was refused comes beside the
    /// guard, in the same order, each with its reason; an older snapshot in a journal that went on since is entered in that journal.
    ///
    /// ```
    /// use twinguard::{Guard, Input, twin::Plant, types::Timestamp};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut guard = Guard::builder_unsealed(plant.clone()).build()?;
    /// guard.handle(Timestamp::from_secs(1), Input::Tick)?;
    /// let good = guard.snapshot()?;
    /// let mut damaged = good.clone();
    /// damaged.truncate(100);
    ///
    /// let (again, refused) = Guard::builder_unsealed(plant).restore_latest([&*damaged, &*good])?;
    /// assert_eq!(again.counters().restored, 1);
    /// assert_eq!(refused[0].to_string(), "snapshot: its bytes are damaged, or it ends too early");
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the last snapshot was refused for, when none can be used; [`Error::Snapshot`] when there is none.
    pub fn restore_latest<'s>(
        self,
        snapshots: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<(Guard, Vec<Error>), Error> {
        let mut refused = Vec::new();
        match self.go_on_from(snapshots, &mut refused)? {
            Some(guard) => Ok((guard, refused)),
            None => Err(refused.pop().unwrap_or_else(|| refuse("there is none"))),
        }
    }

    fn go_on_from<'s>(
        self,
        snapshots: impl IntoIterator<Item = &'s [u8]>,
        refused: &mut Vec<Error>,
    ) -> Result<Option<Guard>, Error> {
        let given = self.journal.is_some();
        let mut journal = Some(Evidence::open(self.journal)?);
        for bytes in snapshots {
            let (plant, config) = (self.plant.clone(), self.config.clone());
            match Guard::resume(plant, self.seal, config, &mut journal, given, bytes) {
                Ok(mut guard) => {
                    guard.calibrators = self.calibrators;
                    return Ok(Some(guard));
                }
                Err(error) => refused.push(error),
            }
        }
        Ok(None)
    }

    /// Builds the guard. Without a history its limits are physical only, and every finding says so.
    ///
    /// # Errors
    /// [`Error::Setting`] for a configuration out of range, or what the plant file's rules, limits or dynamics make
    /// impossible.
    pub fn build(self) -> Result<Guard, Error> {
        let mut guard = match self.learnt {
            Some(guard) => *guard,
            None => Guard::assemble(self.plant, self.seal, self.config.clone(), None)?,
        };
        guard.configure(self.config)?;
        guard.federated = self.federated;
        guard.finish_learning()?;
        guard.keep_journal(self.journal)?;
        guard.calibrators = self.calibrators;
        Ok(guard)
    }
}
