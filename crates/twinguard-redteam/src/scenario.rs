//! Attacks put together for one target.

use twinguard_types::{Access, Digest, Intent, Point, Suspect, Timestamp};

use crate::attack::{Transit, Writing};
use crate::profile::Entry;
use crate::trigger::{Armed, Trigger};
use crate::{Attack, Injection, Reading, Target, Utterance, Window};

/// One or more attacks in one window.
pub struct Scenario {
    /// Its name; `none` when nothing is attacked.
    pub name: &'static str,
    /// What happens, in words.
    pub story: &'static str,
    /// From when until when; `None` when nothing is attacked, or not yet.
    pub window: Option<Window>,
    /// Who may rightly be accused.
    pub parties: &'static [Suspect],
    attacks: Vec<Box<dyn Attack>>,
    armed: Option<Box<Armed>>,
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
            armed: None,
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
            armed: None,
        }
    }

    /// The scenario of a registry line that waits for a trigger, from the opening of the target's window on; the attack then
    /// lasts until that window's end. `None` when the target has no register of the trigger's signal.
    #[must_use]
    pub fn armed(entry: &Entry, target: &Target, trigger: &Trigger) -> Option<Self> {
        let armed = Armed::new(entry, target, trigger)?;
        let is_possible = !(entry.build)(target).is_empty();
        let armed = is_possible.then(|| Box::new(armed));
        Some(Self { window: None, attacks: Vec::new(), armed, ..Self::of(entry, target) })
    }

    /// Whether the target lacks what the attack needs, so that nothing will happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attacks.is_empty() && self.armed.is_none()
    }

    /// What was waited for is there, or not.
    fn launch_if(&mut self, at: Timestamp, fires: impl FnOnce(&mut Armed) -> bool) {
        if self.armed.as_deref_mut().is_some_and(fires)
            && let Some(armed) = self.armed.take()
        {
            let (window, attacks) = armed.launch(at);
            self.window = Some(window);
            self.attacks = attacks;
        }
    }

    fn meanwhile(&mut self, listen: impl FnOnce(&mut Armed)) {
        if let Some(armed) = self.armed.as_deref_mut() {
            listen(armed);
        }
    }

    /// A sample is over, in which the defender spoke or not.
    pub(crate) fn on_sample(&mut self, at: Timestamp, spoke: bool) {
        self.launch_if(at, |armed| armed.on_sample(at, spoke));
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Attack)) {
        self.attacks.iter_mut().for_each(|attack| act(&mut **attack));
    }

    pub(crate) fn on_transit(&mut self, transit: &mut Transit) {
        self.each(|attack| attack.on_transit(transit));
    }

    pub(crate) fn on_reading(&mut self, reading: &mut Reading<'_>) {
        self.launch_if(reading.at, |armed| armed.on_reading(reading, false));
        self.each(|attack| attack.on_reading(reading));
    }

    pub(crate) fn on_feed(&mut self, reading: &mut Reading<'_>) {
        self.launch_if(reading.at, |armed| armed.on_reading(reading, true));
        self.each(|attack| attack.on_feed(reading));
    }

    pub(crate) fn on_write(&mut self, writing: &mut Writing) {
        self.launch_if(writing.at, |armed| armed.on_write(writing));
        self.each(|attack| attack.on_write(writing));
    }

    pub(crate) fn inject(&mut self, at: Timestamp, injections: &mut Vec<Injection>) {
        self.each(|attack| attack.inject(at, injections));
    }

    pub(crate) fn speak(&mut self, at: Timestamp, utterances: &mut Vec<Utterance>) {
        self.each(|attack| attack.speak(at, utterances));
    }

    pub(crate) fn on_intent(&mut self, intent: &mut Intent) -> bool {
        self.meanwhile(|armed| armed.on_intent(intent));
        let mut kept = true;
        self.each(|attack| kept &= attack.on_intent(intent));
        kept
    }

    pub(crate) fn on_show(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        self.meanwhile(|armed| armed.on_show(at, points));
        self.each(|attack| attack.on_show(at, points));
    }

    pub(crate) fn on_access(&mut self, at: Timestamp, accesses: &mut Vec<Access>) {
        self.meanwhile(|armed| armed.on_access(at, accesses));
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
