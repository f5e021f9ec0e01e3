//! Many small assets in one process: models shared, tenants apart.
//!
//! ```
//! use std::sync::Arc;
//! use twinguard::anomaly::suite::{Suite, Training};
//! use twinguard::fleet::{Fleet, Quota, Reading};
//! use twinguard::types::{Duration, Timestamp};
//!
//! let wave = |t: usize| (t as f64 / 5.0).sin() + (t * 7919 % 97) as f64 / 500.0;
//! let normal: Vec<f64> = (0..4000).flat_map(|t| [wave(t), 2.0 * wave(t + 1)]).collect();
//! let suite = Suite::fit(&Training { channels: 2, values: &normal, times: None })?;
//! let mut fleet = Fleet::new();
//! let model = fleet.model(Arc::new(suite), &["speed", "load"], Duration::from_secs(1), 0.1)?;
//! let tenant = fleet.tenant("north", Quota::default(), None)?;
//! let asset = fleet.asset(tenant, "pump 7", model)?;
//! for t in 4000..4200 {
//!     let at = Timestamp::from_secs(t as i64);
//!     fleet.handle(at, &[Reading { asset, at, values: &[wave(t), if t < 4100 { 2.0 * wave(t + 1) } else { 9.0 }] }])?;
//! }
//! assert!(fleet.poll(tenant).is_some_and(|finding| finding.title.starts_with("pump 7")));
//! # Ok::<(), twinguard::Error>(())
//! ```
//!
//! An asset is a state of a few KiB beside a [`Suite`] that all assets of its kind share. Tenants share models, which never change, and nothing
//! else: each has a journal of its own (signed with a key of its own), its queue, its quotas. What one tenant sends is refused or scored, and changes
//! no bit of what another one gets. Readings are scored in batches; with the feature `rayon` on several cores, with identical results.
//!
//! An asset of a fleet has no wire, no physics, no gate, no response. One that matters gets a [`Guard`](crate::Guard) of its own
//! ([`Fleet::guard`]), which counts against its tenant's quotas and has a journal of its own. A tenant with all that is its own is saved and restored
//! as a whole ([`Fleet::snapshot`], [`Fleet::restore`]).

mod guards;
mod snapshot;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use twinguard_anomaly::suite::{State, Suite, Verdict};
use twinguard_types::{
    Attribution, Digest, Duration, Finding, FindingId, FindingKind, FindingState, Severity, SignalId,
    Suspect, Timestamp, View,
};

use crate::Error;
use crate::evidence::{Evidence, JournalStorage};

pub use guards::GuardId;
use guards::Watched;

/// Longest name of a tenant, an asset or a signal in bytes.
const NAME: usize = 256;
/// Most models, tenants and assets.
const MODELS: usize = 4_096;
const TENANTS: usize = 1 << 16;
const ASSETS: usize = 1 << 24;
/// An incident is over after so many quiet rows.
const QUIET_ROWS: u32 = 60;
/// A finding comes again when its surprise has grown by this.
const LOUDER: f64 = 1.0;
/// Readings of one piece of work.
#[cfg(feature = "rayon")]
const PIECE: usize = 512;

/// A model that assets share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelId(u32);

/// Whoever owns assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenantId(u32);

/// An asset of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u32);

/// What a tenant may use.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quota {
    /// Assets, those with a guard of their own included.
    pub assets: u32,
    /// Readings, and inputs of guards, per second, on average over ten seconds.
    pub readings_per_second: f64,
    /// Findings that may wait to be polled; beyond, the oldest goes, and is counted. The journal has them all.
    pub queue: usize,
}

impl Default for Quota {
    /// A thousand assets at two readings a second each, 1,024 findings.
    fn default() -> Self {
        Self { assets: 1_000, readings_per_second: 2_000.0, queue: 1_024 }
    }
}

/// The values of an asset at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Whose.
    pub asset: MemberId,
    /// When.
    pub at: Timestamp,
    /// In the order of the model's signals; NaN for a missing one.
    pub values: &'a [f64],
}

/// What a tenant has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Assets.
    pub assets: u32,
    /// Bytes that the assets' states take, as they are saved.
    pub bytes: u64,
    /// Readings that were scored, and inputs that guards took.
    pub readings: u64,
    /// Readings and inputs that were refused: over the quota, of another width, not later than the one before.
    pub refused: u64,
    /// Findings that were dropped because nobody polled them.
    pub dropped: u64,
    /// Findings.
    pub findings: u64,
}

/// How a batch went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// Readings that were scored.
    pub scored: u64,
    /// Readings that were refused.
    pub refused: u64,
}

#[derive(Debug)]
struct Model {
    suite: Arc<Suite>,
    signals: Vec<String>,
    limit: f64,
    width: usize,
    state_bytes: u64,
    /// Of all that is above.
    digest: Digest,
}

#[derive(Debug)]
struct Tenant {
    name: String,
    names: BTreeSet<String>,
    evidence: Evidence,
    quota: Quota,
    tokens: f64,
    filled: Option<Timestamp>,
    queue: VecDeque<Finding>,
    usage: Usage,
    next_finding: u64,
}

#[derive(Debug)]
struct Member {
    tenant: TenantId,
    model: ModelId,
    name: Box<str>,
    state: State,
    last: Option<Timestamp>,
    incident: Option<Box<Incident>>,
    /// Number of the finding that was raised last.
    finding: FindingId,
}

/// What goes on at an asset.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Incident {
    finding: Finding,
    quiet: u32,
}

/// Many assets of many tenants.
#[derive(Debug, Default)]
pub struct Fleet {
    models: Vec<Model>,
    tenants: Vec<Tenant>,
    tenant_names: BTreeSet<String>,
    members: Vec<Member>,
    guards: Vec<Watched>,
    now: Option<Timestamp>,
}

fn refuse(reason: impl Into<String>) -> Error {
    Error::Fleet { reason: reason.into() }
}

fn named(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
        return Err(refuse(format!("{what}: a name has 1 to {NAME} bytes and no control characters")));
    }
    Ok(())
}

impl Fleet {
    /// Nobody and nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a model with the names of its signals, the time between readings, and how many false alarms a day are acceptable at **one**
    /// asset.
    ///
    /// # Errors
    /// [`Error::Fleet`] for another number of names than columns or too many models; [`Error::Anomaly`] for a rate that no limit keeps.
    pub fn model(
        &mut self,
        suite: Arc<Suite>,
        signals: &[&str],
        sampling: Duration,
        false_alarms_per_day: f64,
    ) -> Result<ModelId, Error> {
        if signals.len() != suite.channels() {
            return Err(refuse(format!("{} names for {} columns", signals.len(), suite.channels())));
        }
        if self.models.len() == MODELS {
            return Err(refuse(format!("more than {MODELS} models")));
        }
        signals.iter().try_for_each(|signal| named("signal", signal))?;
        let limit = suite.limit(false_alarms_per_day * sampling.as_secs_f64() / 86_400.0)?;
        let width = suite.channels();
        let state_bytes = suite.state().save().len() as u64;
        let signals: Vec<String> = signals.iter().map(|signal| (*signal).to_owned()).collect();
        let mut digest = blake3::Hasher::new();
        digest.update(&suite.save()).update(&limit.to_bits().to_le_bytes());
        for signal in &signals {
            digest.update(&(signal.len() as u64).to_le_bytes()).update(signal.as_bytes());
        }
        let digest = Digest(*digest.finalize().as_bytes());
        self.models.push(Model { suite, signals, limit, width, state_bytes, digest });
        Ok(ModelId(self.models.len() as u32 - 1))
    }

    /// Enters a tenant with a journal of its own; without a storage its latest entries are kept in memory.
    ///
    /// # Errors
    /// [`Error::Fleet`] for a name that is taken or too many tenants; [`Error::Integrity`] from the storage.
    pub fn tenant(
        &mut self,
        name: &str,
        quota: Quota,
        journal: Option<JournalStorage>,
    ) -> Result<TenantId, Error> {
        named("tenant", name)?;
        if self.tenant_names.contains(name) {
            return Err(refuse(format!("tenant `{name}` is known already")));
        }
        if self.tenants.len() == TENANTS {
            return Err(refuse(format!("more than {TENANTS} tenants")));
        }
        let positive = quota.readings_per_second > 0.0 && quota.readings_per_second.is_finite();
        if !positive || quota.queue == 0 {
            return Err(refuse("a quota is positive"));
        }
        self.tenants.push(Tenant {
            name: name.to_owned(),
            names: BTreeSet::new(),
            evidence: Evidence::open(journal)?,
            tokens: 10.0 * quota.readings_per_second,
            quota,
            filled: None,
            queue: VecDeque::new(),
            usage: Usage::default(),
            next_finding: 1,
        });
        self.tenant_names.insert(name.to_owned());
        Ok(TenantId(self.tenants.len() as u32 - 1))
    }

    /// Enters an asset.
    ///
    /// # Errors
    /// [`Error::Fleet`] for an unknown tenant or model, a name that the tenant has already, or more assets than its quota allows.
    pub fn asset(&mut self, tenant: TenantId, name: &str, model: ModelId) -> Result<MemberId, Error> {
        named("asset", name)?;
        let known = self.models.get(model.0 as usize).ok_or_else(|| refuse("no such model"))?;
        let owner = self.tenants.get_mut(tenant.0 as usize).ok_or_else(|| refuse("no such tenant"))?;
        if self.members.len() == ASSETS {
            return Err(refuse(format!("more than {ASSETS} assets")));
        }
        owner.enter(name)?;
        owner.usage.bytes += known.state_bytes + size_of::<Member>() as u64;
        let state = known.suite.state();
        self.members.push(Member {
            tenant,
            model,
            name: name.into(),
            state,
            last: None,
            incident: None,
            finding: FindingId(0),
        });
        Ok(MemberId(self.members.len() as u32 - 1))
    }

    /// Takes a batch of readings, of any assets, each asset's in order of time. `now` is when it arrived; it never goes back. What is refused is
    /// counted at its tenant and disturbs nobody.
    ///
    /// # Errors
    /// [`Error::Fleet`] for an asset that the fleet does not know: nothing of the batch was taken; [`Error::Integrity`] when a journal cannot be
    /// written: all of the batch was taken.
    pub fn handle(&mut self, now: Timestamp, readings: &[Reading<'_>]) -> Result<Handled, Error> {
        if readings.iter().any(|reading| reading.asset.0 as usize >= self.members.len()) {
            return Err(refuse("no such asset"));
        }
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        let (mut taken, mut handled) = (Vec::with_capacity(readings.len()), Handled::default());
        for reading in readings {
            if self.admit(now, reading) {
                taken.push(*reading);
            } else {
                handled.refused += 1;
            }
        }
        handled.scored = taken.len() as u64;
        // Each asset's readings side by side, in their order; what is found is told in the order of the batch.
        let mut sorted: Vec<(usize, Reading<'_>)> = taken.into_iter().enumerate().collect();
        sorted.sort_by_key(|(_, reading)| reading.asset);
        let mut found = score(&mut self.members, &self.models, &sorted);
        found.sort_by_key(|(place, ..)| *place);
        let mut trouble = Ok(());
        for (_, asset, finding) in found {
            if let Err(error) = self.tell(asset, finding) {
                trouble = trouble.and(Err(error));
            }
        }
        trouble.map(|()| handled)
    }

    /// The next finding of a tenant: each comes at once, again when it gets louder, and at last as closed.
    pub fn poll(&mut self, tenant: TenantId) -> Option<Finding> {
        self.tenants.get_mut(tenant.0 as usize)?.queue.pop_front()
    }

    /// What a tenant has used.
    #[must_use]
    pub fn usage(&self, tenant: TenantId) -> Option<Usage> {
        self.tenants.get(tenant.0 as usize).map(|tenant| tenant.usage)
    }

    /// A tenant's journal.
    #[must_use]
    pub fn evidence(&self, tenant: TenantId) -> Option<&Evidence> {
        self.tenants.get(tenant.0 as usize).map(|tenant| &tenant.evidence)
    }

    /// A tenant's journal, to sign and to keep it.
    pub fn evidence_mut(&mut self, tenant: TenantId) -> Option<&mut Evidence> {
        self.tenants.get_mut(tenant.0 as usize).map(|tenant| &mut tenant.evidence)
    }

    /// Whether a reading is of the right width, later than the one before, and within its tenant's quota.
    fn admit(&mut self, now: Timestamp, reading: &Reading<'_>) -> bool {
        let Some(member) = self.members.get_mut(reading.asset.0 as usize) else { return false };
        let Some(tenant) = self.tenants.get_mut(member.tenant.0 as usize) else { return false };
        let width = self.models.get(member.model.0 as usize).map(|model| model.width);
        let fits = Some(reading.values.len()) == width && member.last.is_none_or(|last| reading.at > last);
        if !tenant.spend(now, fits) {
            return false;
        }
        member.last = Some(reading.at);
        true
    }

    /// Numbers a finding, enters it in its tenant's journal, and puts it into the queue.
    fn tell(&mut self, asset: MemberId, mut finding: Finding) -> Result<(), Error> {
        let Some(member) = self.members.get_mut(asset.0 as usize) else { return Ok(()) };
        let Some(tenant) = self.tenants.get_mut(member.tenant.0 as usize) else { return Ok(()) };
        if finding.revision == 0 {
            member.finding = FindingId(tenant.next_finding);
            tenant.next_finding += 1;
            tenant.usage.findings += 1;
        }
        finding.id = member.finding;
        let entered = tenant.evidence.finding(finding.at, &finding);
        if tenant.queue.len() >= tenant.quota.queue {
            tenant.queue.pop_front();
            tenant.usage.dropped += 1;
        }
        tenant.queue.push_back(finding);
        entered.map(drop)
    }
}

impl Tenant {
    /// Takes an asset's name, within the quota.
    fn enter(&mut self, name: &str) -> Result<(), Error> {
        if self.usage.assets >= self.quota.assets {
            return Err(refuse(format!("tenant `{}` has as many assets as it may", self.name)));
        }
        if !self.names.insert(name.to_owned()) {
            return Err(refuse(format!("asset `{name}` is known already")));
        }
        self.usage.assets += 1;
        Ok(())
    }

    /// Whether a reading or an input that `fits` is within the quota; it is counted either way.
    fn spend(&mut self, now: Timestamp, fits: bool) -> bool {
        let rate = self.quota.readings_per_second;
        let now = self.filled.map_or(now, |filled| filled.max(now));
        let passed = self.filled.map_or(0.0, |filled| now.since(filled).as_secs_f64());
        self.tokens = (self.tokens + passed * rate).min(10.0 * rate);
        self.filled = Some(now);
        if !fits || self.tokens < 1.0 {
            self.usage.refused += 1;
            return false;
        }
        self.tokens -= 1.0;
        self.usage.readings += 1;
        true
    }
}

impl Member {
    /// Scores a reading; a finding where one is raised, gets louder or is over.
    fn observe(&mut self, model: &Model, reading: &Reading<'_>) -> Option<Finding> {
        let verdict = self.state.observe(&model.suite, Some(reading.at), reading.values);
        let loud = verdict.surprise > model.limit;
        let Some(incident) = &mut self.incident else {
            if !loud {
                return None;
            }
            // What is being looked into is not learnt.
            self.state.follow(false);
            let finding = raised(&self.name, model, &self.state, reading, verdict);
            self.incident = Some(Box::new(Incident { finding: finding.clone(), quiet: 0 }));
            return Some(finding);
        };
        incident.quiet = if loud { 0 } else { incident.quiet + 1 };
        let own = &mut incident.finding;
        let louder = verdict.surprise >= own.surprise + LOUDER;
        let over = incident.quiet >= QUIET_ROWS;
        if !louder && !over {
            return None;
        }
        own.revision += 1;
        own.at = reading.at;
        if louder {
            own.surprise = verdict.surprise;
            own.attribution = attribution(model, &self.state);
        }
        if !over {
            return Some(own.clone());
        }
        self.state.follow(true);
        self.incident.take().map(|incident| Finding { state: FindingState::Closed, ..incident.finding })
    }
}

/// What is found in a batch: the place in it, whose, what.
type Found = Vec<(usize, MemberId, Finding)>;

/// Scores readings that are sorted by asset.
fn score(members: &mut [Member], models: &[Model], readings: &[(usize, Reading<'_>)]) -> Found {
    #[cfg(feature = "rayon")]
    if readings.len() > PIECE {
        return score_in_parallel(members, models, readings);
    }
    one_by_one(members, 0, models, readings)
}

/// `members` begin with the asset of number `first`.
fn one_by_one(
    members: &mut [Member],
    first: usize,
    models: &[Model],
    readings: &[(usize, Reading<'_>)],
) -> Found {
    let mut found = Vec::new();
    for (place, reading) in readings {
        let Some(member) = members.get_mut((reading.asset.0 as usize).wrapping_sub(first)) else { continue };
        let Some(model) = models.get(member.model.0 as usize) else { continue };
        if let Some(finding) = member.observe(model, reading) {
            found.push((*place, reading.asset, finding));
        }
    }
    found
}

/// Pieces of assets that lie side by side, each with its readings.
#[cfg(feature = "rayon")]
fn score_in_parallel(members: &mut [Member], models: &[Model], readings: &[(usize, Reading<'_>)]) -> Found {
    use rayon::prelude::*;
    let (mut pieces, mut members, mut readings, mut first) = (Vec::new(), members, readings, 0);
    while let Some((_, last)) = readings.get(PIECE.min(readings.len()).wrapping_sub(1)) {
        // All readings of an asset belong to one piece.
        let end = last.asset.0 as usize + 1;
        let cut = readings.partition_point(|(_, reading)| (reading.asset.0 as usize) < end);
        let (own, later) = readings.split_at(cut);
        let (mine, rest) = members.split_at_mut((end - first).min(members.len()));
        pieces.push((mine, first, own));
        (members, readings, first) = (rest, later, end);
    }
    let scored = pieces.into_par_iter().map(|(members, first, own)| one_by_one(members, first, models, own));
    let lists: Vec<Found> = scored.collect();
    lists.concat()
}

fn attribution(model: &Model, state: &State) -> Vec<Attribution> {
    let mut shares: Vec<Attribution> = state
        .shares(&model.suite)
        .filter(|(_, share)| *share > 0.0)
        .map(|(column, share)| Attribution { signal: SignalId(column as u32), share })
        .collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.signal.cmp(&b.signal)));
    shares.truncate(8);
    shares
}

fn raised(name: &str, model: &Model, state: &State, reading: &Reading<'_>, verdict: Verdict) -> Finding {
    let top = verdict.top.and_then(|column| model.signals.get(column));
    let most = top.map_or("the readings", String::as_str);
    let mut inputs = blake3::Hasher::new();
    inputs.update(&reading.at.as_nanos().to_le_bytes());
    for value in reading.values {
        inputs.update(&value.to_bits().to_le_bytes());
    }
    let title: String = format!("{name} behaves as it never did").chars().take(60).collect();
    Finding {
        id: FindingId(0),
        revision: 0,
        at: reading.at,
        raised_at: reading.at,
        onset: reading.at,
        severity: Severity::Medium,
        title,
        summary: format!("{name}: {most} is most off what the model of its kind expects."),
        suspect: Suspect::None,
        suspect_element: top.cloned(),
        suspect_set: vec![Suspect::None],
        kind: FindingKind::Undetermined,
        confidence: Vec::new(),
        surprise: verdict.surprise,
        threshold: model.limit,
        attribution: attribution(model, state),
        evidence: Vec::new(),
        reasons: Vec::new(),
        techniques: Vec::new(),
        next_step: format!("read {most} of {name} over another path"),
        missing: vec![View::Wire, View::ControllerJournal, View::VendorTwin, View::Model, View::Access],
        inputs: Digest(*inputs.finalize().as_bytes()),
        inputs_count: 1,
        state: FindingState::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_anomaly::suite::Training;

    const CHANNELS: usize = 4;

    fn row(asset: usize, t: usize) -> [f64; CHANNELS] {
        let load = ((t + 37 * asset) as f64 / 40.0).sin();
        let noise =
            |salt: usize| ((t * 7919 + asset * 104_729 + salt * 1_299_709) % 997) as f64 / 997.0 - 0.5;
        core::array::from_fn(|at| 10.0 * (at + 1) as f64 + load * (at as f64 - 1.5) + 0.2 * noise(at))
    }

    fn suite() -> Arc<Suite> {
        let values: Vec<f64> = (0..3_000).flat_map(|t| row(0, t)).collect();
        Arc::new(Suite::fit(&Training { channels: CHANNELS, values: &values, times: None }).unwrap())
    }

    fn fleet(suite: &Arc<Suite>, tenants: usize, assets: usize) -> (Fleet, Vec<TenantId>, Vec<MemberId>) {
        let mut fleet = Fleet::new();
        let model = fleet.model(suite.clone(), &["a", "b", "c", "d"], Duration::from_secs(1), 0.01).unwrap();
        let quota = Quota { assets: assets as u32, readings_per_second: 2.0 * assets as f64, queue: 16 };
        let owners: Vec<TenantId> =
            (0..tenants).map(|at| fleet.tenant(&format!("tenant {at}"), quota, None).unwrap()).collect();
        let members = (0..tenants * assets)
            .map(|at| fleet.asset(owners[at / assets], &format!("asset {at}"), model).unwrap())
            .collect();
        (fleet, owners, members)
    }

    /// What every tenant heard, and the roots of their journals; `seconds` come in one batch, or each in `pieces`.
    fn run(
        suite: &Arc<Suite>,
        (seconds, pieces): (usize, usize),
        poison: impl Fn(usize, usize) -> Option<Vec<f64>>,
    ) -> Vec<(Vec<Finding>, Digest, Usage)> {
        let (tenants, assets) = (3, 20);
        let (mut fleet, owners, members) = fleet(suite, tenants, assets);
        let times: Vec<usize> = (3_000..3_200).collect();
        for times in times.chunks(seconds) {
            let each = || times.iter().flat_map(|t| (0..members.len()).map(|asset| (*t, asset)));
            let value =
                |(t, asset): (usize, usize)| poison(asset, t).unwrap_or_else(|| row(asset, t).to_vec());
            let all: Vec<(usize, usize, Vec<f64>)> =
                each().map(|(t, asset)| (t, asset, value((t, asset)))).collect();
            let readings: Vec<Reading<'_>> = all
                .iter()
                .map(|(t, asset, values)| Reading {
                    asset: members[*asset],
                    at: Timestamp::from_secs(*t as i64),
                    values,
                })
                .collect();
            let now = Timestamp::from_secs(times[0] as i64);
            for piece in readings.chunks(readings.len().div_ceil(pieces)) {
                fleet.handle(now, piece).unwrap();
            }
        }
        let heard = |owner: &TenantId| {
            let findings = core::iter::from_fn(|| fleet.poll(*owner)).collect();
            (findings, fleet.evidence(*owner).unwrap().root(), fleet.usage(*owner).unwrap())
        };
        owners.iter().map(heard).collect()
    }

    #[test]
    fn a_poisoned_tenant_changes_nothing_elsewhere() {
        let suite = suite();
        // An asset of the second tenant goes wrong in both runs; all of the third does everything that it can in one.
        let wrong = |asset: usize, t: usize| (asset == 25 && t > 3_100).then(|| vec![10.0, 26.0, 30.0, 40.0]);
        let calm = run(&suite, (1, 1), wrong);
        let poisoned = run(&suite, (1, 1), |asset, t| match asset {
            40.. => Some(match t % 4 {
                0 => vec![f64::NAN; CHANNELS],
                1 => vec![f64::MAX; CHANNELS],
                2 => vec![1.0; 9_999],
                _ => vec![f64::NEG_INFINITY, 1e300, -1e300, 0.0],
            }),
            _ => wrong(asset, t),
        });
        assert_eq!(calm[..2], poisoned[..2], "findings, journals, usage of the others");
        assert_eq!(calm[0].0.len(), 0);
        assert!(calm[1].0.iter().any(|finding| finding.title.starts_with("asset 25")), "{:?}", calm[1].0);
        assert!(poisoned[2].2.refused > 0 && poisoned[2].2.findings > 0);
    }

    #[test]
    fn batches_of_any_size_give_the_same() {
        let suite = suite();
        let wrong = |asset: usize, t: usize| {
            (asset.is_multiple_of(7) && t > 3_100).then(|| vec![10.0, 26.0, 30.0, 40.0])
        };
        let whole = run(&suite, (1, 1), wrong);
        assert!(whole.iter().all(|(findings, ..)| !findings.is_empty()));
        assert_eq!(whole, run(&suite, (1, 7), wrong));
        assert_eq!(whole, run(&suite, (5, 1), wrong));
    }

    #[test]
    fn one_thread_and_several_find_the_same() {
        let suite = suite();
        let (mut one, _, members) = fleet(&suite, 1, 1_500);
        let (mut several, ..) = fleet(&suite, 1, 1_500);
        let mut found = 0;
        for t in 3_000..3_010 {
            let off = |asset: usize| if asset.is_multiple_of(11) { 8.0 } else { 0.0 };
            let values: Vec<[f64; CHANNELS]> =
                (0..members.len()).map(|asset| row(asset, t).map(|value| value + off(asset))).collect();
            let at = Timestamp::from_secs(t as i64);
            let readings: Vec<(usize, Reading<'_>)> = members
                .iter()
                .zip(&values)
                .map(|(asset, values)| Reading { asset: *asset, at, values })
                .enumerate()
                .collect();
            let serial = one_by_one(&mut one.members, 0, &one.models, &readings);
            assert_eq!(serial, score(&mut several.members, &several.models, &readings));
            found += serial.len();
        }
        assert!(found > 100);
        let states =
            |fleet: &Fleet| fleet.members.iter().map(|member| member.state.save()).collect::<Vec<_>>();
        assert!(states(&one) == states(&several), "bit for bit");
    }

    #[test]
    fn quotas_hold_and_names_are_told_apart() {
        let suite = suite();
        let (mut fleet, owners, members) = fleet(&suite, 1, 2);
        let at = Timestamp::from_secs(1);
        let values = row(0, 1);
        let readings: Vec<Reading<'_>> = (0..100)
            .map(|t| Reading { asset: members[0], at: at + Duration::from_secs(t), values: &values })
            .collect();
        // Four readings a second: forty at once, no more.
        assert_eq!(fleet.handle(at, &readings).unwrap(), Handled { scored: 40, refused: 60 });
        let error = |result: Result<MemberId, Error>| result.unwrap_err().to_string();
        let model = ModelId(0);
        assert_eq!(
            error(fleet.asset(owners[0], "one more", model)),
            "fleet: tenant `tenant 0` has as many assets as it may"
        );
        assert!(error(fleet.asset(TenantId(9), "x", model)).contains("no such tenant"));
        assert!(error(fleet.asset(owners[0], "", model)).contains("a name has"));
        assert!(fleet.handle(at, &[Reading { asset: MemberId(77), at, values: &values }]).is_err());
        assert!(fleet.tenant("tenant 0", Quota::default(), None).is_err());
        assert_eq!(fleet.usage(owners[0]).unwrap().assets, 2);
    }

    #[test]
    fn an_asset_takes_less_than_eight_kib() {
        let values: Vec<f64> = (0..6_000).flat_map(|t| [row(0, t), row(1, t)].concat()).collect();
        let suite = Suite::fit(&Training { channels: 8, values: &values, times: None }).unwrap();
        let bytes = suite.state().save().len() + size_of::<Member>();
        assert!(bytes < 8 << 10, "{bytes}");
    }
}
