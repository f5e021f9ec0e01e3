//! The judge: folds scores into incidents, and says who it was, how sure, why, and what to check next.

mod causes;
mod state;
mod tell;
mod weigh;
mod words;

use twinguard_types::{
    Attribution, Catalogue, Cause, Confidence, DetectorId, Digest, Duration, Event, Evidence, Explanation,
    Finding, FindingId, FindingKind, FindingState, Residual, Score, Severity, SignalId, Source, Suspect,
    Symptom, Timestamp, View,
};

pub use causes::techniques;
use causes::{CAUSES, E, EVIDENCE, FACTS, Seen};
use state::{Activity, Incident};
use weigh::{Case, Decision};

use crate::{Bank, BankEntry, Coverage, Detail, Observation};

/// How the judge folds scores into incidents.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct JudgeConfig {
    /// Time between two samples: the clock of "wait before naming".
    pub sample: Duration,
    /// An incident closes after this long without a score above its threshold.
    pub quiet: Duration,
    /// Time to a limit within which a person could still act; what reaches a limit sooner is critical.
    pub horizon: Duration,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            sample: Duration::from_secs(1),
            quiet: Duration::from_secs(300),
            horizon: Duration::from_secs(1800),
        }
    }
}

/// A named party needs this probability …
const NAMED: f64 = 0.8;
/// A fault is called one only from here on, while nobody looked a second time.
const CALLED_FAULT: f64 = 0.9;
/// … for this many samples.
const HELD: f64 = 10.0;
/// Symptoms this long before an incident belong to it.
const BEFORE: Duration = Duration::from_secs(120);
const EXPLANATIONS: usize = 64;
/// What is off within this many samples after its detector began to look was off from the start.
const START: f64 = 60.0;

/// Weighs scores, raises and names incidents.
///
/// Feed it every event ([`Judge::note`]) and every observation of the bank ([`Judge::weigh`]), then take findings with
/// [`Judge::poll`]. A finding is raised at once (revision 0) and revised as it becomes clearer; one incident is one id.
pub struct Judge {
    config: JudgeConfig,
    catalogue: Catalogue,
    table: Vec<BankEntry>,
    has_history: bool,
    /// By detector, and then by detector once more: what it says of signals that are not those of the incident which it belongs to.
    activity: Vec<Activity>,
    /// Per view, when it last showed.
    views: [Option<Timestamp>; 6],
    /// The latest time that was heard of.
    heard: Timestamp,
    explanations: Vec<Explanation>,
    /// Names of the model's parameters, by number.
    parameters: Vec<String>,
    open: Vec<Incident>,
    next_id: u64,
    inputs: Digest,
    inputs_count: u64,
    margin: Option<Duration>,
    check: Option<bool>,
    /// When the guard first and last acted, of acts that follow one another.
    acted: Option<(Timestamp, Timestamp)>,
    /// Whether an accused signal is no longer compared.
    excluding: bool,
    /// Per signal, whether the model ever predicted it.
    compared: Vec<bool>,
    due: Timestamp,
}

impl Judge {
    /// A judge for this bank's detectors.
    #[must_use]
    pub fn new(config: JudgeConfig, bank: &Bank, catalogue: &Catalogue) -> Self {
        Self::with_table(config, bank.table(), bank.has_history(), catalogue)
    }

    /// A judge for detectors that are run by somebody else.
    #[must_use]
    pub fn with_table(
        config: JudgeConfig,
        table: &[BankEntry],
        has_history: bool,
        catalogue: &Catalogue,
    ) -> Self {
        Self {
            config,
            catalogue: catalogue.clone(),
            activity: vec![Activity::new(); 2 * table.len()],
            table: table.to_vec(),
            has_history,
            views: [None; 6],
            heard: Timestamp::MIN,
            explanations: Vec::with_capacity(EXPLANATIONS),
            parameters: Vec::new(),
            open: Vec::new(),
            next_id: 0,
            inputs: Digest::default(),
            inputs_count: 0,
            margin: None,
            check: None,
            acted: None,
            excluding: false,
            compared: vec![false; catalogue.len()],
            due: Timestamp::MIN,
        }
    }

    /// Names of the model's parameters by their numbers, for [`Cause::FaultMode`]: without them a plant fault has no element.
    pub fn set_parameters(&mut self, names: Vec<String>) {
        self.parameters = names;
    }

    /// Takes a fact that needs no score: which views exist, what physics explains.
    pub fn note(&mut self, event: &Event<'_>) {
        let at = event.at();
        self.heard = self.heard.max(at);
        let mut see = |view: View| self.see(view, at);
        match event {
            Event::Exchange(_) => see(View::Wire),
            Event::Command(command) if command.from.is_some() => see(View::Wire),
            Event::Intent(_) => see(View::ControllerJournal),
            Event::Point(point) if point.source == Source::Vendor => see(View::VendorTwin),
            Event::Residual(residual) => {
                see(View::Model);
                self.wait_for_the_excluded(residual);
            }
            Event::Access(_) => see(View::Access),
            // with the accused left out, what explains the rest is not what explains the incident
            Event::Explanation(explanation)
                if explanation.log_likelihood_ratio.is_finite() && !self.excluding =>
            {
                self.explain(*explanation);
            }
            _ => {}
        }
    }

    /// A view shows, without an event that says so: bytes on the wire that nothing was made of.
    pub fn see(&mut self, view: View, at: Timestamp) {
        self.heard = self.heard.max(at);
        if let Some(last) = self.views.get_mut(view as usize) {
            *last = Some(at);
        }
    }

    /// A sensor was replaced: what was lately seen of it says nothing of what comes. What an incident holds stays its own.
    pub fn forget(&mut self, signal: SignalId) {
        for activity in self.activity.iter_mut().filter(|activity| activity.owner.is_none()) {
            if activity.shares[..activity.named].first().is_some_and(|share| share.signal == signal) {
                activity.reset();
            }
        }
        let about =
            |cause: Cause| matches!(cause, Cause::SensorBias(it) | Cause::Disturbance(it) if it == signal);
        self.explanations.retain(|held| !about(held.cause));
    }

    /// Takes an observation of the bank. No allocation.
    pub fn weigh(&mut self, seen: &Observation<'_>) {
        let score = &seen.score;
        let Some(entry) = self.table.get(score.detector.index()) else { return };
        let (threshold, at_once) = (entry.threshold, entry.at_once);
        let above = score.surprise >= threshold;
        let place = self.place(score, above);
        let began = *self.activity[score.detector.index()].began.get_or_insert(score.at);
        let activity = &mut self.activity[place];
        activity.began = Some(began);
        activity.recent = (activity.recent << 1 | u8::from(above)) & 0b111;
        if !above {
            return;
        }
        activity.last = Some(score.at);
        let confirmed = at_once || activity.recent.count_ones() >= 2;
        if confirmed && activity.confirmed.is_none() {
            activity.confirmed = Some(score.at);
            activity.peak = 0.0;
            activity.newcomer = None;
        }
        activity.onset = match (activity.onset, seen.onset) {
            (Some(before), Some(now)) => Some(before.min(now)),
            (before, now) => before.or(now),
        };
        let writes = matches!(activity.newcomer, Some(Detail::NewWriter { .. }));
        if matches!(seen.detail, Detail::NewWriter { .. })
            || (matches!(seen.detail, Detail::NewClient { .. }) && !writes)
        {
            activity.newcomer = Some(seen.detail);
        }
        if score.surprise >= activity.peak
            || matches!(seen.detail, Detail::Unsent { .. } | Detail::Repeat { .. })
        {
            activity.peak = activity.peak.max(score.surprise);
            activity.detail = seen.detail;
            activity.named = score.attribution.len().min(activity.shares.len());
            activity.shares[..activity.named].copy_from_slice(&score.attribution[..activity.named]);
        }
        self.digest(score);
    }

    /// Where a score belongs: beside what its detector said before, where that belongs to an incident that has lasted for a while and is
    /// about other signals. So what begins during a lasting disturbance is not swallowed by it.
    fn place(&self, score: &Score<'_>, above: bool) -> usize {
        let (first, second) = (score.detector.index(), score.detector.index() + self.table.len());
        let owner = self.activity[first].owner;
        let incident = owner.and_then(|id| self.open.iter().find(|incident| incident.id == id));
        let (Some(incident), Some(most)) = (incident, score.attribution.first()) else { return first };
        if score.at - incident.raised_at <= self.config.quiet {
            return first;
        }
        let of = |activity: &Activity| {
            activity.shares[..activity.named].iter().any(|share| share.signal == most.signal)
        };
        if !above {
            // Silence is that of whatever is looked at.
            let own = self.activity.get(second).is_some_and(of) && !of(&self.activity[first]);
            return if own { second } else { first };
        }
        if self.owned(incident.id).any(|(_, activity)| of(activity)) { first } else { second }
    }

    /// How soon the plant, left alone, reaches a limit; `None` when it does not within what was looked at.
    pub fn set_margin(&mut self, time_to_limit: Option<Duration>) {
        self.margin = time_to_limit;
    }

    /// The guard itself acted: it holds commands, isolates a peer, or moves the plant. What changes in the traffic soon after,
    /// or while the incident that it answers lasts, is its own doing and accuses nobody.
    pub fn acted(&mut self, at: Timestamp) {
        let goes_on = |last: Timestamp| !self.open.is_empty() || at - last <= self.config.quiet;
        self.acted = match self.acted {
            Some((first, last)) if goes_on(last) => Some((first, last.max(at))),
            _ => Some((at, at)),
        };
    }

    /// Whether the guard's own acts account for a change of the traffic.
    fn own_doing(&self, activity: &Activity) -> bool {
        let (Some((first, last)), Some(confirmed)) = (self.acted, activity.confirmed) else { return false };
        let answered = || self.open.iter().any(|incident| incident.raised_at <= first);
        confirmed >= first && (confirmed - last <= self.config.quiet || answered())
    }

    /// The result of a spot check over an independent path: whether the sensor itself agrees with the wire.
    pub fn check(&mut self, agrees: bool) {
        self.check = Some(agrees);
        self.due = Timestamp::MIN;
    }

    /// The next finding or revision, if there is one at this time; to be called until there is none.
    pub fn poll(&mut self, now: Timestamp) -> Option<Finding> {
        if now < self.due {
            return None;
        }
        self.gather(now);
        while let Some(place) = self.open.iter().position(|incident| incident.looked != Some(now)) {
            let first = self.open[place].looked.replace(now).is_none();
            let (id, raised_at) = (self.open[place].id, self.open[place].raised_at);
            let last = self.owned(id).filter_map(|(_, activity)| activity.last).max();
            let quiet =
                last.is_none_or(|last| now - last > self.config.quiet) && now - raised_at > self.config.quiet;
            self.open[place].closing = quiet;
            let finding = self.revise(now, place, first || quiet);
            if quiet {
                self.close(id);
            }
            if finding.is_some() {
                return finding;
            }
        }
        self.due = now + self.config.sample;
        None
    }

    /// Lays what has newly been confirmed at the door of an incident, or opens one for it.
    fn gather(&mut self, now: Timestamp) {
        for place in 0..self.activity.len() {
            let activity = &self.activity[place];
            if activity.confirmed.is_none() || activity.owner.is_some() {
                continue;
            }
            // rows are half a period old when they are scored
            let before = BEFORE.max(self.config.sample + self.config.sample);
            if activity.last.is_none_or(|last| now - last > before) {
                self.activity[place].reset();
                continue;
            }
            let owner =
                self.open.iter().rev().map(|incident| incident.id).find(|id| self.belongs(place, *id, now));
            let id = owner.unwrap_or_else(|| {
                let id = FindingId(self.next_id);
                self.next_id += 1;
                self.open.push(Incident {
                    id,
                    revision: 0,
                    raised_at: now,
                    top: None,
                    said: 0,
                    last_revision: now,
                    closing: false,
                    looked: None,
                });
                id
            });
            self.activity[place].owner = Some(id);
        }
    }

    /// Whether a newcomer is part of an incident: while that is young, anything is; later on, only what its facts or its
    /// signals account for. So a lasting disturbance does not hide an attack that begins during it.
    fn belongs(&self, newcomer: usize, id: FindingId, now: Timestamp) -> bool {
        let young = |incident: &Incident| incident.id == id && now - incident.raised_at <= self.config.quiet;
        if self.open.iter().any(young) {
            return true;
        }
        let is_fact = |entry: &BankEntry, activity: &Activity| match entry.symptom {
            Symptom::Provenance | Symptom::Repeat | Symptom::Seal | Symptom::Journal => true,
            Symptom::Novelty => activity.newcomer.is_some(),
            _ => false,
        };
        let it = &self.activity[newcomer];
        let about = |activity: &Activity| {
            let named = |shares: &[Attribution], signal| shares.iter().any(|share| share.signal == signal);
            it.shares[..it.named].iter().any(|share| named(&activity.shares[..activity.named], share.signal))
        };
        // a twin that is fed with the field's trouble shows it
        let fed = |symptom: Symptom| {
            self.entry(newcomer).symptom == Symptom::VendorOffset
                && matches!(
                    symptom,
                    Symptom::Residual | Symptom::Redundancy | Symptom::Freeze | Symptom::Rate
                )
        };
        !is_fact(self.entry(newcomer), it)
            && self
                .owned(id)
                .any(|(entry, activity)| is_fact(entry, activity) || about(activity) || fed(entry.symptom))
    }

    /// What belongs to an incident.
    fn owned(&self, id: FindingId) -> impl Iterator<Item = (&BankEntry, &Activity)> {
        self.table.iter().cycle().zip(&self.activity).filter(move |(_, activity)| activity.owner == Some(id))
    }

    /// The detector of an activity.
    fn entry(&self, place: usize) -> &BankEntry {
        &self.table[place % self.table.len().max(1)]
    }

    /// Whether an incident is open or about to be raised: from now on explanations are wanted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty() || self.activity.iter().any(|activity| activity.confirmed.is_some())
    }

    /// When the youngest symptom of what is open or about to be raised set in: what explains no innovation since then says nothing of
    /// it.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let confirmed = self.activity.iter().filter(|activity| activity.confirmed.is_some());
        confirmed.filter_map(|activity| activity.onset.or(activity.confirmed)).max()
    }

    /// Forgets one incident: an operator has closed it. What goes on raises a new one.
    pub fn close(&mut self, id: FindingId) {
        self.open.retain(|incident| incident.id != id);
        self.activity.iter_mut().filter(|activity| activity.owner == Some(id)).for_each(Activity::reset);
        if self.open.is_empty() {
            self.explanations.clear();
            (self.check, self.excluding) = (None, false);
            (self.inputs, self.inputs_count) = (Digest::default(), 0);
        }
    }

    /// A signal that is no longer compared, because it is no longer believed, is not quiet: its incident stays open until
    /// somebody has looked.
    fn wait_for_the_excluded(&mut self, residual: &Residual<'_>) {
        self.excluding = false;
        for signal in residual.signals {
            if let Some(compared) = self.compared.get_mut(signal.index()) {
                *compared = true;
            }
        }
        for (entry, activity) in self.table.iter().cycle().zip(&mut self.activity) {
            let excluded = |share: &Attribution| {
                let compared = self.compared.get(share.signal.index()).copied().unwrap_or(false);
                compared && !residual.signals.contains(&share.signal)
            };
            if matches!(entry.symptom, Symptom::Residual | Symptom::Rate)
                && activity.owner.is_some()
                && activity.shares[..activity.named].first().is_some_and(excluded)
            {
                activity.last = Some(residual.at);
                self.excluding = true;
            }
        }
    }

    fn explain(&mut self, explanation: Explanation) {
        let place = self.explanations.iter().position(|held| held.cause == explanation.cause);
        match place {
            Some(place) => self.explanations[place] = explanation,
            None if self.explanations.len() < EXPLANATIONS => self.explanations.push(explanation),
            None => {}
        }
    }

    /// Chains the score into the digest of the inputs.
    fn digest(&mut self, score: &Score<'_>) {
        let mut bytes = [0u8; 54];
        bytes[..32].copy_from_slice(&self.inputs.0);
        bytes[32..40].copy_from_slice(&score.at.as_nanos().to_le_bytes());
        bytes[40..42].copy_from_slice(&score.detector.0.to_le_bytes());
        bytes[42..50].copy_from_slice(&score.surprise.to_bits().to_le_bytes());
        let first = score.attribution.first().map_or(u32::MAX, |share| share.signal.0);
        bytes[50..54].copy_from_slice(&first.to_le_bytes());
        self.inputs = Digest(*blake3::hash(&bytes).as_bytes());
        self.inputs_count += 1;
    }

    fn speaks(&self, symptom: Symptom) -> bool {
        self.table
            .iter()
            .any(|entry| entry.symptom == symptom && !matches!(entry.coverage, Coverage::Silent(_)))
    }

    fn view(&self, view: View) -> bool {
        let Some(last) = self.views.get(view as usize).copied().flatten() else {
            return view == View::History && self.has_history;
        };
        // Some views speak only when something happens; the others are gone when they are silent.
        let streams = matches!(view, View::Wire | View::VendorTwin | View::Model);
        !streams || self.heard - last <= self.config.quiet
    }

    fn case(&self, now: Timestamp, incident: &Incident) -> Case {
        let of = |symptom: Symptom| {
            self.owned(incident.id)
                .filter(move |(entry, _)| entry.symptom == symptom)
                .map(|(_, activity)| activity)
        };
        let mut seen = [Seen::No; EVIDENCE];
        let mut set = |evidence: E, view: Option<View>, symptom: Symptom, present: bool| {
            let blind = view.is_some_and(|view| !self.view(view)) || !self.speaks(symptom);
            seen[evidence as usize] = match (present, blind) {
                (true, _) => Seen::Yes,
                (false, true) => Seen::Blind,
                (false, false) => Seen::No,
            };
        };
        let any = |symptom| of(symptom).next().is_some();
        set(E::Unsent, Some(View::ControllerJournal), Symptom::Provenance, any(Symptom::Provenance));
        // the guard's own commands come from a platform that may never have written before
        let foreign = |activity: &&Activity| {
            !(self.own_doing(activity) && matches!(activity.newcomer, Some(Detail::NewClient { .. })))
        };
        let novelty = of(Symptom::Novelty).any(|activity| foreign(&activity));
        let newcomer = of(Symptom::Novelty).filter(foreign).find_map(|activity| activity.newcomer);
        let writer = matches!(newcomer, Some(Detail::NewWriter { .. }));
        set(E::NewWriter, Some(View::Wire), Symptom::Novelty, writer);
        set(E::NewClient, Some(View::Wire), Symptom::Novelty, newcomer.is_some() && !writer);
        set(E::NewCommand, Some(View::Wire), Symptom::Novelty, novelty && newcomer.is_none());
        set(E::Seal, None, Symptom::Seal, any(Symptom::Seal));
        set(E::Journal, None, Symptom::Journal, any(Symptom::Journal));
        set(E::Repeat, None, Symptom::Repeat, any(Symptom::Repeat));
        set(E::Freeze, None, Symptom::Freeze, any(Symptom::Freeze));
        set(E::Noise, None, Symptom::Noise, any(Symptom::Noise));
        let vendor_frozen = of(Symptom::VendorOffset)
            .any(|activity| matches!(activity.detail, Detail::Vendor { frozen: true, .. }));
        let less_noise = of(Symptom::Noise)
            .any(|activity| matches!(activity.detail, Detail::Noise { factor, .. } if factor < 1.0));
        let vendor = of(Symptom::VendorOffset).find_map(|activity| match activity.detail {
            Detail::Vendor { off, of, frozen, slowly, .. } => Some((frozen || off * 2 > of, slowly)),
            _ => None,
        });
        let leant = of(Symptom::VendorOffset)
            .any(|activity| matches!(activity.detail, Detail::Vendor { field: true, .. }));
        let view = Some(View::VendorTwin);
        set(E::VendorOff, view, Symptom::VendorOffset, vendor.is_some());
        set(E::VendorFrozenOrMost, view, Symptom::VendorOffset, vendor.is_some_and(|(most, _)| most));
        set(E::VendorFew, view, Symptom::VendorOffset, vendor.is_some_and(|(most, _)| !most));
        set(E::VendorSlow, view, Symptom::VendorOffset, vendor == Some((false, true)));
        let malformed = any(Symptom::Malformed);
        // what is held is missing among the writes; answers come as late and as seldom as before
        let held = |activity: &Activity| {
            matches!(activity.detail, Detail::Traffic { latency: false, .. }) && self.own_doing(activity)
        };
        let timing = of(Symptom::Timing).any(|activity| !held(activity));
        set(E::Network, Some(View::Wire), Symptom::Timing, timing || malformed);
        set(E::Timing, Some(View::Wire), Symptom::Timing, timing);
        set(E::Identity, Some(View::Access), Symptom::Identity, any(Symptom::Identity));
        set(E::Level, None, Symptom::Range, any(Symptom::Range));
        set(E::Jump, None, Symptom::Rate, any(Symptom::Rate));
        let unsent = &mut seen[E::Unsent as usize];
        if writer && *unsent == Seen::No {
            // that the controller's writes are its own does not vouch for a stranger's
            *unsent = Seen::Blind;
        }
        // what changes faster than the plant can contradicts any model of it
        let residual = any(Symptom::Residual) || any(Symptom::Redundancy) || any(Symptom::Rate) || leant;
        let explained = self.explained();
        // without a bank of explanations the spread over the signals is all there is
        if residual && explained.iter().all(Option::is_none) {
            let share = of(Symptom::Redundancy)
                .chain(of(Symptom::Residual))
                .chain(of(Symptom::Rate))
                .filter(|activity| activity.named > 0)
                .map(|activity| activity.shares[0].share)
                .fold(0.0, f64::max);
            seen[E::OneSensor as usize] = if share >= 0.7 { Seen::Yes } else { Seen::No };
            seen[E::ManySignals as usize] = if share > 0.0 && share < 0.7 { Seen::Yes } else { Seen::No };
        }
        let step = self.config.sample.as_secs_f64().max(1e-9);
        // from when a detector of values began to look
        let values = || {
            [Symptom::Residual, Symptom::Redundancy, Symptom::Range, Symptom::Noise].into_iter().flat_map(of)
        };
        let at_start = |activity: &Activity| match (activity.began, activity.confirmed) {
            (Some(began), Some(confirmed)) => confirmed.since(began).as_secs_f64() / step <= START,
            _ => false,
        };
        if self.has_history && values().next().is_some() && values().all(at_start) {
            seen[E::FromStart as usize] = Seen::Yes;
        }
        if let Some(agrees) = self.check {
            seen[if agrees { E::CheckAgrees } else { E::CheckDiffers } as usize] = Seen::Yes;
        }
        let watched =
            (self.view(View::Model) && self.speaks(Symptom::Residual)) || self.speaks(Symptom::Redundancy);
        let residual = match (residual, watched) {
            (true, _) => Seen::Yes,
            (false, true) => Seen::No,
            (false, false) => Seen::Blind,
        };
        let samples = now.since(incident.raised_at).as_secs_f64() / step;
        let mut case = Case { seen, residual, explained, samples };
        let first = |activity: &Activity| activity.shares[..activity.named].first().map(|share| share.signal);
        let noise_elsewhere = !of(Symptom::Noise).any(|noise| {
            [Symptom::Residual, Symptom::Rate]
                .into_iter()
                .flat_map(of)
                .any(|activity| first(activity) == first(noise))
        });
        case.explain_away(vendor_frozen, less_noise, noise_elsewhere);
        case
    }

    /// Best log-likelihood ratio per class: sensor, actuator, load, fault.
    fn explained(&self) -> [Option<f64>; 4] {
        let mut best = [None; 4];
        for held in &self.explanations {
            let class = match held.cause {
                Cause::SensorBias(_) => 0,
                Cause::ActuatorOffset(_) => 1,
                Cause::Disturbance(_) => 2,
                Cause::FaultMode(_) => 3,
                _ => continue,
            };
            let ratio = held.log_likelihood_ratio;
            if best[class].is_none_or(|held| ratio > held) {
                best[class] = Some(ratio);
            }
        }
        best
    }

    fn revise(&mut self, now: Timestamp, place: usize, must: bool) -> Option<Finding> {
        let incident = self.open.get(place)?.clone();
        let case = self.case(now, &incident);
        let decision = case.decide();
        let top = decision.parties.first().copied()?;
        let sure = top.probability >= NAMED;
        let since = match incident.top {
            Some((held, since)) if held == top.suspect as u64 && sure => since,
            _ => now,
        };
        let step = self.config.sample.as_secs_f64().max(1e-9);
        let named = sure && now.since(since).as_secs_f64() / step >= HELD;
        let set = self.accused(&case, &decision, named);
        let kind = decision
            .kinds
            .iter()
            .find(|(kind, probability)| {
                // without a second look a skilled attack looks like a fault: that is said later
                let unchecked = *kind == FindingKind::Fault && self.check.is_none();
                *probability >= if unchecked { CALLED_FAULT } else { NAMED }
            })
            .map_or(FindingKind::Undetermined, |(kind, _)| *kind);
        let severity = self.severity(kind);
        // what would make a reader look again
        let detectors =
            self.activity.iter().enumerate().filter(|(_, activity)| activity.owner == Some(incident.id));
        let mut news = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |part: u64| news = (news ^ part).wrapping_mul(0x0100_0000_01b3);
        detectors.for_each(|(place, _)| mix(place as u64 + 1));
        set.iter().for_each(|suspect| mix(100 + *suspect as u64));
        [decision.winner as u64, kind as u64, severity as u64, u64::from(named)]
            .into_iter()
            .for_each(&mut mix);
        let age = now.since(incident.raised_at).as_secs_f64() / step;
        let before = incident.last_revision.since(incident.raised_at).as_secs_f64() / step;
        let milestone = [10.0, 30.0, 100.0].into_iter().any(|mark| before < mark && age >= mark);
        let told = must || news != incident.said || milestone;
        if let Some(open) = self.open.get_mut(place) {
            open.top = Some((top.suspect as u64, since));
            if told {
                open.revision = if must && !open.closing { 0 } else { open.revision + 1 };
                open.said = news;
                open.last_revision = now;
            }
        }
        told.then(|| {
            self.finding(now, self.open.get(place)?, &case, &decision, named, (set, kind, severity))
        })?
    }

    /// Everybody whom a fact accuses, and, while nobody is named, the two most probable.
    fn accused(&self, case: &Case, decision: &Decision, named: bool) -> Vec<Suspect> {
        let mut set: Vec<Suspect> = FACTS
            .iter()
            .filter(|(evidence, _)| case.accuses(*evidence))
            .map(|(_, cause)| CAUSES[*cause as usize].suspect)
            .collect();
        let facts = !set.is_empty();
        let mut parties = decision.parties.iter().map(|party| party.suspect);
        let first = parties.next();
        set.extend(first);
        if !named && !facts {
            // Nobody is accused only because such things happen.
            set.extend(parties.find(|party| case.speaks_for(*party)));
        }
        set.sort_unstable();
        set.dedup();
        set
    }

    fn severity(&self, kind: FindingKind) -> Severity {
        let horizon = self.config.horizon;
        match self.margin {
            Some(time) if time <= horizon => Severity::Critical,
            Some(time) if time.as_nanos() / 4 <= horizon.as_nanos() => Severity::High,
            _ if kind == FindingKind::Benign => Severity::Low,
            // Whoever attacks has not finished: the margin of now says little about the next hour.
            _ if kind == FindingKind::Attack => Severity::High,
            _ => Severity::Medium,
        }
    }

    fn finding(
        &self,
        now: Timestamp,
        incident: &Incident,
        case: &Case,
        decision: &Decision,
        named: bool,
        (suspect_set, kind, severity): (Vec<Suspect>, FindingKind, Severity),
    ) -> Option<Finding> {
        let mut active: Vec<(&BankEntry, &Activity)> = self.owned(incident.id).collect();
        active.sort_by(|a, b| b.1.peak.total_cmp(&a.1.peak).then(a.0.id.cmp(&b.0.id)));
        let evidence = active
            .iter()
            .map(|(entry, activity)| Evidence {
                detector: entry.name.clone(),
                symptom: entry.symptom,
                surprise: activity.peak,
                threshold: entry.threshold,
                since: activity.confirmed.unwrap_or(now),
            })
            .collect();
        let loudest =
            active.iter().max_by(|a, b| (a.1.peak - a.0.threshold).total_cmp(&(b.1.peak - b.0.threshold)));
        let (surprise, threshold) =
            loudest.map_or((0.0, 0.0), |(entry, activity)| (activity.peak, entry.threshold));
        let onset = active
            .iter()
            .filter_map(|(_, activity)| activity.onset.or(activity.confirmed))
            .min()
            .unwrap_or(incident.raised_at)
            .min(incident.raised_at);
        let row = &CAUSES[decision.winner];
        let mut causes: Vec<usize> = vec![decision.winner];
        for (evidence, cause) in FACTS {
            if case.accuses(*evidence) && !causes.contains(&(*cause as usize)) {
                causes.push(*cause as usize);
            }
        }
        let mut techniques: Vec<_> = causes
            .iter()
            .flat_map(|cause| CAUSES[*cause].techniques)
            .map(|it| causes::technique(*it))
            .collect();
        if kind == FindingKind::Fault || kind == FindingKind::Benign {
            techniques.clear();
        }
        techniques.sort_by_key(|technique| technique.id);
        techniques.dedup_by_key(|technique| technique.id);
        let next_step = match (kind, self.check) {
            (FindingKind::Undetermined, None) if matches!(row.suspect, Suspect::Sensor | Suspect::Fault) => {
                "Read the value again over an independent or signed path: a difference means attack, none means fault."
                    .to_owned()
            }
            _ if tell::malformed(decision.winner, case) => {
                "Look at who sends them: a device that is set up wrongly, a scan, or somebody who tries what breaks.".to_owned()
            }
            _ => row.check.to_owned(),
        };
        Some(Finding {
            id: incident.id,
            revision: incident.revision,
            at: now,
            raised_at: incident.raised_at,
            onset,
            severity,
            title: self.title(&causes, kind, named || case.has_fact(decision.winner), case, &active),
            summary: self.summary(decision.winner, &active, now),
            suspect: row.suspect,
            suspect_element: self.element(decision.winner, &active),
            suspect_set,
            kind,
            confidence: decision
                .parties
                .iter()
                .map(|party| Confidence { suspect: party.suspect, probability: party.probability })
                .collect(),
            surprise,
            threshold,
            attribution: self.attribution(&active),
            evidence,
            reasons: self.reasons(case, decision, named),
            techniques,
            next_step,
            missing: self.missing(),
            inputs: self.inputs,
            inputs_count: self.inputs_count,
            state: if incident.closing { FindingState::Closed } else { FindingState::Open },
        })
    }

    fn missing(&self) -> Vec<View> {
        [View::Wire, View::ControllerJournal, View::VendorTwin, View::Model, View::Access, View::History]
            .into_iter()
            .filter(|view| !self.view(*view))
            .collect()
    }

    /// The detectors whose scores it takes.
    #[must_use]
    pub fn detector(&self, id: DetectorId) -> Option<&BankEntry> {
        self.table.get(id.index())
    }
}

impl core::fmt::Debug for Judge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Judge").field("open", &self.open).field("inputs_count", &self.inputs_count).finish()
    }
}
