//! The vendor's platform around one guard: its process, its disk, its operator, the line to the plant.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{Sealed, SigningKey, Trust, Verified, entries_of, journal, merkle, note, seal};
use twinguard::redteam::{Defender, Reaction, Sample, Stimulus};
use twinguard::shadow::{Change, Shadow, Side};
use twinguard::twin::Plant;
use twinguard::types::{
    Attribution, Bundle, Digest, Duration, Finding, FindingId, FindingKind, FindingState, Intent, Point,
    SignalId, Source, Suspect, Timestamp, Value,
};
use twinguard::{Builder, Error, Guard, Input, Operator, Output, Recalibration};

/// Snapshots that are kept in turn.
const RING: u64 = 3;
/// How long an operator leaves a finding open before it is looked at and closed.
const LOOKED_AT: Duration = Duration::from_secs(4 * 3600);
/// Findings of the shadow that lie this near to those of the guard in force are the same.
const TOLERANCE: Duration = Duration::from_secs(3600);

/// A plant file under its seal, and what an honest platform measures of it.
pub(super) struct Release {
    text: String,
    seal: Vec<u8>,
    pub(super) plant: Plant,
    root: Digest,
}

/// Keys of the vendor and of the site.
pub(super) struct Keys {
    vendor: SigningKey,
    site: SigningKey,
}

impl Keys {
    pub(super) fn new() -> Result<Self> {
        let key = |name, byte| SigningKey::from_seed(name, &[byte; 32]);
        Ok(Self { vendor: key("vendor.example/models", 7)?, site: key("site.example/journal", 8)? })
    }
}

impl Release {
    pub(super) fn new(plant: &Plant, version: u64, keys: &Keys) -> Result<Self> {
        let text = plant.to_toml();
        let mut release = Self { text, seal: Vec::new(), plant: plant.clone(), root: Digest::default() };
        release.seal = seal::create(entries_of(&release.bundle())?, "plant", version, &keys.vendor)?;
        let verified = release.verified(keys)?;
        release.root = verified.root();
        release.plant = verified.into_inner();
        Ok(release)
    }

    fn bundle(&self) -> Bundle {
        let mut bundle = Bundle::new(Digest::default());
        bundle.insert("plant.toml", self.text.clone().into_bytes());
        bundle
    }

    pub(super) fn verified(&self, keys: &Keys) -> Result<Verified<Plant>> {
        let trust = Trust::new(keys.vendor.public().clone());
        Ok(Sealed::from_bundle(self.bundle(), &self.seal, &trust)?.load::<Plant>()?)
    }

    pub(super) fn builder(&self, keys: &Keys) -> Result<Builder> {
        Ok(Guard::builder(self.verified(keys)?).calibrator(keys.vendor.public().clone()))
    }
}

/// What the simulated site measures where nobody cheats, and what is really in force: a range knows the plant file that it began with.
#[derive(Clone)]
pub(super) struct Honest {
    digest: Digest,
    root: Digest,
    began_with: Vec<(String, f64)>,
    running: Vec<(String, f64)>,
}

fn parameters(plant: &Plant) -> Vec<(String, f64)> {
    plant.dynamics.as_ref().map_or_else(Vec::new, |dynamics| dynamics.model.parameters().to_vec())
}

impl Honest {
    pub(super) fn new(release: &Release) -> Self {
        let running = parameters(&release.plant);
        Self { digest: release.plant.digest, root: release.root, began_with: running.clone(), running }
    }

    /// Tells a guard.
    pub(super) fn tell(
        &self,
        guard: &mut Guard,
        now: Timestamp,
        stimulus: Stimulus<'_>,
    ) -> Result<(), Error> {
        let stimulus = match stimulus {
            Stimulus::Measured(digest) if digest == self.digest => Stimulus::Measured(self.root),
            Stimulus::Running(parameters) if *parameters == self.began_with[..] => {
                Stimulus::Running(&self.running)
            }
            other => other,
        };
        Defender::handle(guard, now, stimulus)
    }
}

/// A guard alone, with an honest site: what learns, and what is attacked beside the run.
pub(super) struct Plain<'a> {
    pub(super) guard: &'a mut Guard,
    pub(super) honest: &'a Honest,
    /// How far the platform's clock is ahead of the site's.
    pub(super) ahead: Duration,
}

impl Defender for Plain<'_> {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        set_clock(self.ahead, now, stimulus, |now, stimulus| self.honest.tell(self.guard, now, stimulus))
    }

    fn poll(&mut self) -> Option<Reaction> {
        Defender::poll(self.guard)
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        Guard::estimate(self.guard, signal)
    }
}

/// The same stimulus as a clock tells it that is so far ahead.
fn set_clock<R>(
    ahead: Duration,
    now: Timestamp,
    stimulus: Stimulus<'_>,
    tell: impl FnOnce(Timestamp, Stimulus<'_>) -> R,
) -> R {
    let moved = |points: &[Point]| -> Vec<Point> {
        let point = |point: &Point| Point {
            event_at: point.event_at + ahead,
            arrived_at: point.arrived_at + ahead,
            ..*point
        };
        points.iter().map(point).collect()
    };
    let now = now + ahead;
    match stimulus {
        Stimulus::Frame(frame) => {
            let mut frame = *frame;
            frame.at = frame.at + ahead;
            tell(now, Stimulus::Frame(&frame))
        }
        Stimulus::Field(points) => tell(now, Stimulus::Field(&moved(points))),
        Stimulus::Vendor(points) => tell(now, Stimulus::Vendor(&moved(points))),
        Stimulus::Intent(intent) => tell(now, Stimulus::Intent(Intent { at: intent.at + ahead, ..intent })),
        Stimulus::Access(mut access) => {
            access.at = access.at + ahead;
            tell(now, Stimulus::Access(access))
        }
        other => tell(now, other),
    }
}

/// A finding in its last revision, as an operator remembers it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) raised_at: Timestamp,
    pub(super) title: String,
    pub(super) suspect: Suspect,
    pub(super) suspect_set: Vec<Suspect>,
    pub(super) element: Option<String>,
    pub(super) kind: FindingKind,
    pub(super) detectors: Vec<String>,
    pub(super) summary: String,
    /// Paths of the signals that it is about, the most accused first.
    pub(super) signals: Vec<String>,
    open: bool,
}

/// What a line that is dead holds back on the plant's side.
#[derive(Default)]
struct Stored {
    rows: Vec<(Timestamp, Vec<Point>)>,
    intents: Vec<Intent>,
}

/// What was asked of the evidence at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) leaves: u64,
    pub(super) receipts: u64,
    pub(super) lost: u64,
    pub(super) checkpoints: usize,
    /// Why the journal does not verify.
    pub(super) broken: Option<String>,
}

/// The platform.
pub(super) struct Platform<'k> {
    keys: &'k Keys,
    folder: PathBuf,
    guard: Guard,
    release: Release,
    honest: Honest,
    ahead: Duration,
    /// While the line to the plant is dead.
    stored: Option<Stored>,
    shadow: Option<(Guard, Shadow, Timestamp)>,
    /// Highest number of a change of parameters, and its text.
    recalibrated: u64,
    found: BTreeMap<(FindingId, Timestamp), Told>,
    reactions: VecDeque<Reaction>,
    first_leaf: u64,
    receipts: BTreeMap<u64, Digest>,
    checkpoints: Vec<String>,
    snapshots: u64,
    pub(super) refused: Vec<String>,
    pub(super) kills: u32,
    pub(super) update: Option<Change>,
}

impl<'k> Platform<'k> {
    /// Starts a guard from what was learnt, with a journal in a folder of its own that may hold a journal already.
    pub(super) fn start(keys: &'k Keys, release: Release, learnt: &[u8], folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let guard = release.builder(keys)?.restore(learnt)?;
        let honest = Honest::new(&release);
        let mut platform = Self {
            keys,
            folder: folder.to_owned(),
            guard,
            release,
            honest,
            ahead: Duration::ZERO,
            stored: None,
            shadow: None,
            recalibrated: 0,
            found: BTreeMap::new(),
            reactions: VecDeque::new(),
            first_leaf: 0,
            receipts: BTreeMap::new(),
            checkpoints: Vec::new(),
            snapshots: 0,
            refused: Vec::new(),
            kills: 0,
            update: None,
        };
        let storage = platform.storage()?;
        platform.guard = platform.release.builder(keys)?.journal(storage).restore(learnt)?;
        platform.first_leaf = platform.guard.evidence().size();
        Ok(platform)
    }

    fn storage(&self) -> Result<Directory> {
        Ok(Directory::open(self.folder.join("journal"), Durability::Process)?)
    }

    fn snapshot_file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("snapshot-{}", number % RING))
    }

    /// The guard as it stands, for somebody who attacks a copy of it.
    pub(super) fn copy(&self) -> Result<Vec<u8>> {
        Ok(self.guard.snapshot()?)
    }

    pub(super) fn restore(&self, copy: &[u8]) -> Result<(Guard, &Honest, Duration)> {
        Ok((self.release.builder(self.keys)?.restore(copy)?, &self.honest, self.ahead))
    }

    pub(super) fn found(&self) -> impl Iterator<Item = &Told> {
        self.found.values()
    }

    /// What is open, and whom it accuses.
    pub(super) fn accused(&self) -> BTreeMap<FindingId, Vec<Suspect>> {
        let open = self.found.iter().filter(|(_, told)| told.open);
        open.map(|((id, _), told)| (*id, told.suspect_set.clone())).collect()
    }

    pub(super) fn counters(&self) -> twinguard::Counters {
        self.guard.counters()
    }

    /// Writes a snapshot to disk, its journal before it; once a day the journal is signed.
    pub(super) fn keep(&mut self, sign: bool) -> Result<()> {
        self.guard.evidence_mut().sync()?;
        if sign {
            let note = self.guard.evidence_mut().checkpoint(&self.keys.site)?;
            self.checkpoints.push(note);
        }
        fs::write(self.snapshot_file(self.snapshots), self.guard.snapshot()?)?;
        self.snapshots += 1;
        Ok(())
    }

    /// The process dies, and is started again at once by whoever looks after it.
    pub(super) fn kill(&mut self, damaged: bool) -> Result<()> {
        self.kills += 1;
        if damaged {
            let newest = self.snapshot_file(self.snapshots.saturating_sub(1));
            let mut bytes = fs::read(&newest)?;
            let (middle, half) = (bytes.len() / 2, bytes.len() * 3 / 4);
            // A write that the power cut short, over a block that was bad before.
            bytes.truncate(half);
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x20;
            }
            fs::write(newest, bytes)?;
        }
        self.again()
    }

    /// Starts the guard from the disk, as a platform does.
    fn again(&mut self) -> Result<()> {
        let newest_first =
            (1..=RING.min(self.snapshots)).map(|back| self.snapshot_file(self.snapshots - back));
        let kept: Vec<Vec<u8>> = newest_first.map(fs::read).collect::<Result<_, _>>()?;
        // The old process is gone, and its lock with it.
        self.guard = self.release.builder(self.keys)?.build()?;
        let builder = self.release.builder(self.keys)?.journal(self.storage()?);
        let (guard, refused) = builder.restore_latest(kept.iter().map(Vec::as_slice))?;
        self.guard = guard;
        self.refused.extend(refused.iter().map(ToString::to_string));
        Ok(())
    }

    /// Stopped in order and started again, as by an upgrade: the same state gives the same bytes before and after.
    pub(super) fn upgrade(&mut self) -> Result<()> {
        self.keep(true)?;
        let before = self.guard.snapshot()?;
        let twice: Vec<Vec<u8>> = (0..2)
            .map(|_| Ok(self.release.builder(self.keys)?.restore(&before)?.snapshot()?))
            .collect::<Result<_>>()?;
        ensure!(twice.first() == twice.last(), "a snapshot read twice gives two states");
        self.again()
    }

    pub(super) fn set_clock(&mut self, ahead_s: i64) {
        self.ahead = Duration::from_secs(ahead_s);
    }

    pub(super) fn line_dead(&mut self) {
        self.stored = Some(Stored::default());
    }

    /// The line is back: what was stored comes in one burst.
    pub(super) fn line_back(&mut self, now: Timestamp) -> Result<()> {
        let Some(stored) = self.stored.take() else { return Ok(()) };
        for (_, row) in &stored.rows {
            let arrived = |point: &Point| Point { arrived_at: now, ..*point };
            let row: Vec<Point> = row.iter().map(arrived).collect();
            self.say(now, Input::Points(&row))?;
        }
        for intent in stored.intents {
            self.say(now, Input::Intent(intent))?;
        }
        Ok(())
    }

    /// What the plant's side stores of a sample while the line is dead.
    pub(super) fn store(&mut self, sample: &Sample) {
        let Some(stored) = &mut self.stored else { return };
        let point = |(signal, spoken): &(SignalId, twinguard::redteam::Spoken)| {
            Some(Point::new(*signal, Value::real(spoken.field?).ok()?, Source::Field, sample.at))
        };
        stored.rows.push((sample.at, sample.signals.iter().filter_map(point).collect()));
    }

    pub(super) fn operator(&mut self, now: Timestamp, word: Operator<'_>) -> Result<()> {
        self.say(now, Input::Operator(word))
    }

    fn say(&mut self, now: Timestamp, input: Input<'_>) -> Result<()> {
        self.guard.handle(now + self.ahead, input)?;
        self.hear();
        Ok(())
    }

    /// The vendor signs other parameters for the model; the vendor's own twin runs with them as well.
    pub(super) fn recalibrate(&mut self, now: Timestamp, (name, factor): (&str, f64)) -> Result<()> {
        let plant = &self.release.plant;
        let dynamics = plant.dynamics.as_ref().context("the plant has no model")?;
        let (_, value) =
            self.honest.began_with.iter().find(|(own, _)| own == name).context("no such parameter")?;
        let value = value * factor;
        self.recalibrated += 1;
        let text = format!(
            "twinguard recalibration v1\nplant {}\nnumber {}\n{name} {value}\n",
            plant.digest, self.recalibrated
        );
        self.honest.running = dynamics.with_parameters(&[(name, value)])?.model.parameters().to_vec();
        let signed = note::sign(&text, &self.keys.vendor)?;
        self.say(now, Input::Recalibration(Recalibration { sealed: signed.as_bytes() }))
    }

    /// The plant file that is to take the place of the one in force: its model has the parameters that the recalibration gave it.
    fn next(&self, (name, factor): (&str, f64)) -> Result<Release> {
        let mut plant = self.release.plant.clone();
        if let Some(dynamics) = &plant.dynamics {
            let value =
                parameters(&plant).iter().find(|(own, _)| own == name).map(|(_, value)| value * factor);
            plant.dynamics = Some(dynamics.with_parameters(&[(name, value.context("no such parameter")?)])?);
        }
        Release::new(&plant, 2, self.keys)
    }

    /// A copy of the guard under the next plant file listens beside the one in force.
    pub(super) fn shadow(&mut self, now: Timestamp, aged: (&str, f64)) -> Result<()> {
        let mut copy = self.release.builder(self.keys)?.restore(&self.guard.snapshot()?)?;
        copy.reload(now + self.ahead, self.next(aged)?.verified(self.keys)?)?;
        self.shadow = Some((copy, Shadow::new(TOLERANCE), now));
        Ok(())
    }

    /// What the shadow heard is told, and the next plant file is in force.
    pub(super) fn reload(&mut self, now: Timestamp, aged: (&str, f64)) -> Result<()> {
        if let Some((_, shadow, since)) = self.shadow.take() {
            self.update = Some(shadow.compare(now.since(since)));
        }
        let next = self.next(aged)?;
        self.guard.reload(now + self.ahead, next.verified(self.keys)?)?;
        self.honest.root = next.root;
        self.honest.running = parameters(&next.plant);
        self.release = next;
        self.hear();
        // What was written before is of another plant file.
        (0..RING).try_for_each(|_| self.keep(false))
    }

    /// The operator looks at what was found some hours ago, and closes it.
    pub(super) fn look(&mut self, now: Timestamp) -> Result<()> {
        let due = |told: &Told| told.open && now + self.ahead >= told.raised_at + LOOKED_AT;
        let due: Vec<FindingId> =
            self.found.iter().filter(|(_, told)| due(told)).map(|((id, _), _)| *id).collect();
        for finding in due {
            let word = Operator::Close { finding, reason: "looked at: nothing was wrong" };
            match self.guard.handle(now + self.ahead, Input::Operator(word)) {
                // It was raised after the snapshot from which the guard went on.
                Ok(()) | Err(Error::UnknownFinding { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            self.found
                .iter_mut()
                .filter(|((id, _), _)| *id == finding)
                .for_each(|(_, told)| told.open = false);
            self.hear();
        }
        Ok(())
    }

    fn hear(&mut self) {
        while let Some(output) = self.guard.poll() {
            if let Some((_, shadow, _)) = &mut self.shadow {
                shadow.hear(Side::Old, &output);
            }
            match output {
                Output::Finding(finding) => {
                    self.note(&finding);
                    self.reactions.push_back(Reaction::Finding(finding));
                }
                Output::Verdict(verdict) => self.reactions.push_back(Reaction::Verdict(verdict.verdict)),
                Output::Action(action) => self.reactions.push_back(Reaction::Action(action)),
                Output::Receipt(receipt) => {
                    self.receipts.insert(receipt.leaf, receipt.leaf_hash);
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, finding: &Finding) {
        let open = finding.state != FindingState::Closed;
        let passed = finding.evidence.iter().filter(|it| it.surprise >= it.threshold);
        let path = |share: &Attribution| self.release.plant.catalogue.path(share.signal).to_owned();
        let told = Told {
            raised_at: finding.raised_at,
            title: finding.title.clone(),
            suspect: finding.suspect,
            suspect_set: finding.suspect_set.clone(),
            element: finding.suspect_element.clone(),
            kind: finding.kind,
            detectors: passed.map(|it| it.detector.clone()).collect(),
            summary: finding.summary.clone(),
            signals: finding.attribution.iter().map(path).collect(),
            open,
        };
        let known = self.found.entry((finding.id, finding.raised_at)).or_insert_with(|| told.clone());
        // What a person closed is named as it was before.
        if open {
            *known = told;
        } else {
            known.open = false;
        }
    }

    /// Signs and reads the whole journal, and holds every receipt and every day's checkpoint against it.
    pub(super) fn audit(&mut self) -> Result<Ledger> {
        self.keep(true)?;
        let mut ledger = Ledger {
            leaves: self.guard.evidence().size(),
            checkpoints: self.checkpoints.len(),
            ..Ledger::default()
        };
        ledger.receipts = self.receipts.len() as u64;
        self.guard = self.release.builder(self.keys)?.build()?;
        let storage = self.storage()?;
        if let Err(error) = journal::verify(&storage, self.keys.site.public()) {
            ledger.broken = Some(error.to_string());
            return Ok(ledger);
        }
        let archive = journal::Archive::open(&storage, self.keys.site.public())?;
        for leaf in self.first_leaf..ledger.leaves {
            let kept = archive.entry(leaf)?;
            ledger.lost += u64::from(self.receipts.get(&leaf) != Some(&merkle::leaf_hash(&kept)));
        }
        let last = archive.checkpoint();
        for note in &self.checkpoints {
            let head = twinguard::integrity::Checkpoint::verify(note, self.keys.site.public())?;
            let proof = archive.consistency_proof(head.size)?;
            if merkle::verify_consistency((head.size, &head.root), (last.size, &last.root), &proof).is_err() {
                ledger.broken =
                    Some(format!("the head of {} leaves is not a beginning of the journal", head.size));
            }
        }
        Ok(ledger)
    }
}

impl Defender for Platform<'_> {
    type Error = Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Error> {
        if let Some(stored) = &mut self.stored {
            match stimulus {
                Stimulus::Tick => {}
                Stimulus::Intent(intent) => {
                    stored.intents.push(intent);
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        let Self { guard, honest, shadow, ahead, .. } = self;
        set_clock(*ahead, now, stimulus, |now, stimulus| {
            if let Some((copy, shadow, _)) = shadow {
                let honest =
                    Honest { root: copy.seal().map_or(honest.root, |seal| seal.root), ..honest.clone() };
                honest.tell(copy, now, stimulus)?;
                while let Some(output) = Guard::poll(copy) {
                    shadow.hear(Side::New, &output);
                }
            }
            honest.tell(guard, now, stimulus)
        })?;
        self.hear();
        Ok(())
    }

    fn poll(&mut self) -> Option<Reaction> {
        self.reactions.pop_front()
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        Guard::estimate(&self.guard, signal)
    }
}
