//! Attacks put together for one target.

use twinguard_types::{Access, Digest, Intent, Point, Suspect, Timestamp};

use crate::attack::{Transit, Writing};
use crate::profile::Entry;
use crate::{Attack, Injection, Reading, Target, Utterance, Window};

/// One or more attacks in one window.
pub struct Scenario {
    /// Its name; `none` when nothing is attacked.
    pub name: &'static str,
    /// What happens, in words.
    pub story: &'static str,
    /// From when until when; `None` when nothing is attacked.
    pub window: Option<Window>,
    /// Who may rightly be accused.
    pub parties: &'static [Suspect],
    attacks: Vec<Box<dyn Attack>>,
}

impl Scenario {
    /// Normal running.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: "none",
            story: "nothing is attacked",
            window: None,
            parties: &[Suspect::None],
            attacks: Vec::new(),
        }
    }

    /// The scenario of a registry line, aimed at a target.
    #[must_use]
    pub fn of(entry: &Entry, target: &Target) -> Self {
        Self {
            name: entry.name,
            story: entry.story,
            window: Some(target.window),
            parties: entry.parties,
            attacks: (entry.build)(target),
        }
    }

    /// Whether the target lacks what the attack needs, so that nothing will happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attacks.is_empty()
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Attack)) {
        self.attacks.iter_mut().for_each(|attack| act(&mut **attack));
    }

    pub(crate) fn on_transit(&mut self, transit: &mut Transit) {
        self.each(|attack| attack.on_transit(transit));
    }

    pub(crate) fn on_reading(&mut self, reading: &mut Reading<'_>) {
        self.each(|attack| attack.on_reading(reading));
    }

    pub(crate) fn on_feed(&mut self, reading: &mut Reading<'_>) {
        self.each(|attack| attack.on_feed(reading));
    }

    pub(crate) fn on_write(&mut self, writing: &mut Writing) {
        self.each(|attack| attack.on_write(writing));
    }

    pub(crate) fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        self.each(|attack| attack.inject(at, injections));
    }

    pub(crate) fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        self.each(|attack| attack.speak(at, utterances));
    }

    pub(crate) fn on_intent(&mut self, intent: &mut Intent) -> bool {
        let mut kept = true;
        self.each(|attack| kept &= attack.on_intent(intent));
        kept
    }

    pub(crate) fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        self.each(|attack| attack.on_show(at, points));
    }

    pub(crate) fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        self.each(|attack| attack.on_access(at, accesses));
    }

    pub(crate) fn on_measured(&mut self, at: Timestamp, digest: &mut Digest) {
        self.each(|attack| attack.on_measured(at, digest));
    }

    pub(crate) fn on_running(&mut self, at: Timestamp, parameters: &mut [(String, f64)]) {
        self.each(|attack| attack.on_running(at, parameters));
    }

    pub(crate) fn on_revert(&mut self) {
        self.each(|attack| attack.on_revert());
    }
}

impl core::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
