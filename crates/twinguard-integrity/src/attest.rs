//! Is what runs now what was sealed? Parameters and regions of memory, swept again and again while a twin runs.
//!
//! An [`Attestor`] knows the sealed parameters and the trees of registered regions. It looks at a part of them at a time, as much
//! as its caller allows, so that a whole sweep is certain within a stated time at a stated cost; between sweeps a random sample
//! shortens the expected time until a change is seen. A legitimate change is a signed [`Delta`], which is applied here and
//! nowhere else; every other change is an [`Alarm`] that names the parameter with its old and new value. To somebody outside it
//! answers challenges: a nonce, the roots measured then and there, a signature, and what a TPM or enclave says to them.
//!
//! **What this cannot do.** Code that attests its own process is believed by whoever believes that process. An attacker who can
//! write to arbitrary memory or attach a debugger can change the attestor, the baseline and the answer, or keep an unchanged copy
//! to be looked at. Attesting from another process or host raises the cost, a [`Quoter`] on hardware binds the answer to what the
//! hardware measured; a twin in another process can be attested by what it does ([`crate::TwinProbe`]). What happens between two
//! looks at one place and is undone before the second is not seen.
//!
//! Sources: RFC 9334 (RATS) §3 (attester, verifier, evidence), §10 (freshness by nonce); BLAKE3 specification §2.

use core::fmt;
use core::ops::Range;

use data_encoding::HEXLOWER;
use twinguard_types::{Digest, Duration, Timestamp};

use crate::checkpoint::{decimal, digest};
use crate::note::{self, Note};
use crate::tree::{Group, Tree, detection_probability, sample};
use crate::{Delta, Error, Parameter, ParameterValue, Parameters, PublicKey, Role, SigningKey, base64};

/// Alarms that one look names; the others are counted.
const MOST_ALARMS: usize = 64;
/// About what hashing a parameter costs, in bytes hashed: its share of a budget.
const PARAMETER_BYTES: u64 = 512;

/// What runs: where the present values are read. Implement it on whatever holds them.
pub trait Running {
    /// The present value of the parameter at an index of [`Attestor::parameters`], of the sealed type; `None` when it has gone.
    fn parameter(&self, index: usize) -> Option<ParameterValue>;

    /// Adds the present bytes of a region, from `range.start` to `range.end`, to `out`; `false` when they cannot be read. Regions
    /// are numbered in the order of registration.
    fn region(&self, _region: usize, _range: Range<u64>, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// What runs and can be recalibrated.
pub trait Recalibrate: Running {
    /// Gives the parameter at an index another value; `false` when it cannot, and has its old one.
    fn set(&mut self, index: usize, value: &ParameterValue) -> bool;
}

/// Binds an answer to hardware: a TPM's quote, an enclave's report.
pub trait Quoter {
    /// What the hardware says with these 32 bytes in it (a TPM: as qualifying data).
    ///
    /// # Errors
    /// Whatever keeps the hardware from answering.
    fn quote(&self, data: &[u8; 32]) -> Result<Vec<u8>, Error>;
}

/// Something that runs and is not what was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// A parameter.
    Parameter {
        /// Its index among the sealed ones.
        index: usize,
        /// As it is sealed.
        sealed: Parameter,
        /// What it is now; `None` when it has gone.
        found: Option<ParameterValue>,
    },
    /// A part of a region.
    Region {
        /// Its name.
        name: String,
        /// Bytes of it, without the end; the whole group that holds the change.
        bytes: Range<u64>,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter { sealed, found, .. } => {
                write!(f, "parameter `{}` of `{}` is sealed as {sealed}", sealed.name(), sealed.path())?;
                match found {
                    Some(found) if sealed.unit().is_empty() => write!(f, " and runs as {found}"),
                    Some(found) => write!(f, " and runs as {found} {}", sealed.unit()),
                    None => f.write_str(" and has gone"),
                }
            }
            Self::Region { name, bytes } => {
                write!(f, "bytes {} to {} of `{name}` were changed", bytes.start, bytes.end)
            }
        }
    }
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Places (parameters, groups of regions) that were looked at.
    pub checked: u64,
    /// Those that are not as sealed, at most 64.
    pub alarms: Vec<Alarm>,
    /// Alarms beyond those.
    pub more: u64,
    /// Whether it ended a sweep over everything.
    pub complete: bool,
}

impl Look {
    fn alarm(&mut self, alarm: Alarm) {
        if self.alarms.len() < MOST_ALARMS {
            self.alarms.push(alarm);
        } else {
            self.more += 1;
        }
    }
}

/// A snapshot of what ran, from a time when all of it was as sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// When it was kept.
    pub at: Timestamp,
    /// Root of the parameters at that time.
    pub parameters: Digest,
    /// The snapshot, as the platform made it.
    pub snapshot: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Region {
    name: String,
    tree: Tree,
}

/// Looks at what runs, part by part.
///
/// ```
/// use twinguard_integrity::attest::{Alarm, Attestor, Running};
/// use twinguard_integrity::{Parameter, ParameterValue, Parameters};
///
/// struct Twin { area: f64 }
/// impl Running for Twin {
///     fn parameter(&self, _: usize) -> Option<ParameterValue> { Some(self.area.into()) }
/// }
///
/// let sealed = Parameters::new(vec![Parameter::new("plant.toml", "tank.area", "m2", 2.5.into())?])?;
/// let mut attestor = Attestor::new("pump-house", sealed);
/// let mut twin = Twin { area: 2.5 };
/// assert!(attestor.sweep(&twin, u64::MAX).alarms.is_empty());
///
/// twin.area = 2.6;
/// let look = attestor.sweep(&twin, u64::MAX);
/// assert_eq!(look.alarms[0].to_string(), "parameter `tank.area` of `plant.toml` is sealed as 2.5 m2 and runs as 2.6 m2");
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attestor {
    series: Box<str>,
    parameters: Parameters,
    /// Their root, kept apart from the tree: a baseline that was changed does not match it.
    root: Digest,
    regions: Vec<Region>,
    deltas: u64,
    /// The next place to look at.
    next: u64,
    /// Whether everything since the sweep began was as sealed.
    clean: bool,
    /// Whether the last sweep ended so, and nothing was seen since.
    good: bool,
    last_good: Option<Good>,
    buffer: Vec<u8>,
}

impl Attestor {
    /// For the sealed parameters of a series: those of the manifest of what was loaded.
    #[must_use]
    pub fn new(series: &str, parameters: Parameters) -> Self {
        let root = parameters.root();
        Self {
            series: series.into(),
            parameters,
            root,
            regions: Vec::new(),
            deltas: 0,
            next: 0,
            clean: true,
            good: false,
            last_good: None,
            buffer: Vec::new(),
        }
    }

    /// The same, where so many signed changes led to these parameters before it was made.
    #[must_use]
    pub fn after(mut self, deltas: u64) -> Self {
        self.deltas = deltas;
        self
    }

    /// Registers a region of memory with the bytes that it must have; gives its number.
    pub fn register(&mut self, name: &str, bytes: &[u8], group: Group) -> usize {
        self.regions.push(Region { name: name.to_owned(), tree: Tree::of(bytes, group) });
        self.regions.len() - 1
    }

    /// The owner of a region changed one of its groups in the course of its work: these are its bytes from now on. What changes a
    /// registered region without saying so is an alarm.
    ///
    /// # Errors
    /// [`Error::Slice`] for a region or group that is not there, or bytes of another length.
    pub fn commit(&mut self, region: usize, group: u64, bytes: &[u8]) -> Result<Digest, Error> {
        let region = self.regions.get_mut(region);
        let region = region.ok_or(Error::Slice { group, reason: "its region is not registered" })?;
        region.tree.update(group, bytes)
    }

    /// The sealed parameters, as changed by the deltas so far.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Number of the last delta.
    #[must_use]
    pub fn deltas(&self) -> u64 {
        self.deltas
    }

    /// Places to look at: parameters, then groups of regions.
    #[must_use]
    pub fn places(&self) -> u64 {
        self.parameters.all().len() as u64
            + self.regions.iter().map(|region| region.tree.groups()).sum::<u64>()
    }

    /// What a whole sweep costs, in bytes hashed; a parameter counts as 512.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let regions: u64 = self.regions.iter().map(|region| region.tree.length()).sum();
        regions.saturating_add(self.parameters.all().len() as u64 * PARAMETER_BYTES)
    }

    /// The budget for a look after `passed`, so that a whole sweep takes no longer than `within`.
    #[must_use]
    pub fn budget(&self, passed: Duration, within: Duration) -> u64 {
        let (passed, within) = (passed.as_nanos().max(0) as u128, within.as_nanos().max(1) as u128);
        u64::try_from((u128::from(self.cost()) * passed).div_ceil(within)).unwrap_or(u64::MAX)
    }

    /// Looks at the next places, for about `budget` bytes of hashing and at least one; goes on where the last look ended.
    ///
    /// Whatever was changed and stays changed is found by the end of a sweep: that is certain, not probable.
    pub fn sweep(&mut self, running: &impl Running, budget: u64) -> Look {
        let (mut look, mut left, places) = (Look::default(), budget, self.places());
        let mut place = if self.next < places { self.next } else { 0 };
        while place < places {
            if place == 0 {
                self.clean = true;
            }
            let cost = self.place(place, running, &mut look);
            (place, left) = (place + 1, left.saturating_sub(cost));
            if left == 0 {
                break;
            }
        }
        self.next = place;
        self.clean &= look.alarms.is_empty();
        if place == places {
            look.complete = true;
            // The baseline itself is looked at as well.
            self.clean &= self.parameters.root() == self.root;
            (self.good, self.next) = (self.clean, 0);
        }
        self.good &= look.alarms.is_empty();
        look
    }

    /// Looks at `count` places that `seed` picks. Take a seed that nobody can know beforehand.
    ///
    /// [`Attestor::detection_probability`] says what such a sample is worth.
    pub fn audit(&mut self, running: &impl Running, count: u64, seed: &[u8; 32]) -> Look {
        let mut look = Look::default();
        for place in sample(self.places(), count, seed) {
            self.place(place, running, &mut look);
        }
        self.good &= look.alarms.is_empty();
        look
    }

    /// How probably a sample of `count` places meets one of `changed` that were changed.
    #[must_use]
    pub fn detection_probability(&self, changed: u64, count: u64) -> f64 {
        detection_probability(self.places(), changed, count)
    }

    /// Looks at one place, and says what that cost.
    fn place(&mut self, place: u64, running: &impl Running, look: &mut Look) -> u64 {
        look.checked += 1;
        let count = self.parameters.all().len() as u64;
        if place < count {
            let index = place as usize;
            let found = running.parameter(index);
            let same =
                found.as_ref().is_some_and(|found| self.parameters.holds(index, found, &mut self.buffer));
            if let (false, Some(sealed)) = (same, self.parameters.all().get(index)) {
                look.alarm(Alarm::Parameter { index, sealed: sealed.clone(), found });
            }
            return PARAMETER_BYTES;
        }
        let mut group = place - count;
        for (number, region) in self.regions.iter().enumerate() {
            if group >= region.tree.groups() {
                group -= region.tree.groups();
                continue;
            }
            let Ok(bytes) = region.tree.range(group) else { break };
            self.buffer.clear();
            let read = running.region(number, bytes.clone(), &mut self.buffer);
            if !read || region.tree.check(group, &self.buffer).is_err() {
                look.alarm(Alarm::Region { name: region.name.clone(), bytes: bytes.clone() });
            }
            return bytes.end - bytes.start;
        }
        0
    }

    /// Applies a signed change to what runs, and from then on expects its outcome.
    ///
    /// The signature, the series, the number (higher than the last), the root before and the root after have to be right, and the
    /// parameters concerned have to run as sealed: tampering is not covered up by a change. If what runs does not take all values,
    /// it gets the old ones back.
    ///
    /// # Errors
    /// As [`Delta::open`] and [`Delta::follow`]; [`Error::OtherSeries`], [`Error::RolledBack`], [`Error::Attestation`].
    pub fn apply(
        &mut self,
        envelope: &[u8],
        role: &Role,
        running: &mut impl Recalibrate,
    ) -> Result<Delta, Error> {
        let delta = Delta::open(envelope, role)?;
        let after = self.judge(&delta)?;
        let mut changed: Vec<usize> = Vec::new();
        for change in delta.changes() {
            changed.extend(after.index(change.path().as_str(), change.name()));
        }
        let runs_as = |parameters: &Parameters, running: &dyn Running, index: &usize| {
            parameters
                .all()
                .get(*index)
                .is_some_and(|known| running.parameter(*index).as_ref() == Some(known.value()))
        };
        if !changed.iter().all(|index| runs_as(&self.parameters, &*running, index)) {
            return Err(Error::Attestation { reason: "a parameter to be changed does not run as sealed" });
        }
        let mut set = |parameters: &Parameters, index: &usize| {
            parameters.all().get(*index).is_some_and(|known| running.set(*index, known.value()))
        };
        if !changed.iter().all(|index| set(&after, index)) {
            changed.iter().for_each(|index| {
                set(&self.parameters, index);
            });
            return Err(Error::Attestation { reason: "what runs did not take the change" });
        }
        if !changed.iter().all(|index| runs_as(&after, &*running, index)) {
            return Err(Error::Attestation { reason: "what runs says that it took the change, and did not" });
        }
        self.follow(&delta, after);
        Ok(delta)
    }

    /// What the parameters are after a change, if it may be made now.
    fn judge(&self, delta: &Delta) -> Result<Parameters, Error> {
        if delta.series() != &*self.series {
            let (expected, found) = (self.series.to_string(), Error::shown(delta.series()));
            return Err(Error::OtherSeries { expected, found });
        }
        if delta.number() <= self.deltas {
            let (series, version) = (self.series.to_string(), delta.number());
            return Err(Error::RolledBack { series, version, seen: self.deltas });
        }
        delta.follow(&self.parameters)
    }

    fn follow(&mut self, delta: &Delta, after: Parameters) {
        self.root = after.root();
        self.parameters = after;
        self.deltas = delta.number();
        // A sweep that began before says nothing of what it saw then.
        (self.next, self.good) = (0, false);
    }

    /// Keeps a snapshot as the last good one, if the last sweep ended with everything as sealed and nothing was seen since; says
    /// whether it did. Take the snapshot before that sweep begins.
    pub fn keep_good(&mut self, at: Timestamp, snapshot: Vec<u8>) -> bool {
        if self.good {
            self.last_good = Some(Good { at, parameters: self.root, snapshot });
        }
        self.good
    }

    /// The last good snapshot, to go back to.
    #[must_use]
    pub fn last_good(&self) -> Option<&Good> {
        self.last_good.as_ref()
    }

    /// Measures everything now, from what runs and not from what is kept here.
    ///
    /// # Errors
    /// [`Error::Attestation`] when a parameter or region cannot be read.
    pub fn measure(&self, running: &impl Running) -> Result<Measurement, Error> {
        let gone = Error::Attestation { reason: "a parameter or region cannot be read" };
        let parameters = self.parameters.root_with(|index| running.parameter(index));
        let Some(parameters) = parameters else { return Err(gone) };
        let mut all = blake3::Hasher::new_derive_key(REGIONS);
        let mut buffer = Vec::new();
        for (number, region) in self.regions.iter().enumerate() {
            let mut hasher = blake3::Hasher::new();
            for group in 0..region.tree.groups() {
                buffer.clear();
                if !running.region(number, region.tree.range(group)?, &mut buffer) {
                    return Err(gone);
                }
                hasher.update(&buffer);
            }
            add_region(&mut all, region, hasher.finalize().as_bytes());
        }
        Ok(Measurement { parameters, regions: Digest(*all.finalize().as_bytes()) })
    }

    /// What [`Attestor::measure`] gives when all is as sealed.
    #[must_use]
    pub fn expected(&self) -> Measurement {
        let mut all = blake3::Hasher::new_derive_key(REGIONS);
        self.regions.iter().for_each(|region| add_region(&mut all, region, &region.tree.root().0));
        Measurement { parameters: self.root, regions: Digest(*all.finalize().as_bytes()) }
    }

    /// Answers a challenge: the nonce, what was measured now, signed; with a quote of hardware where there is any.
    ///
    /// # Errors
    /// As [`Attestor::measure`]; whatever the quoter says.
    pub fn respond(
        &self,
        nonce: &[u8; 32],
        at: Timestamp,
        running: &impl Running,
        key: &SigningKey,
        quoter: Option<&dyn Quoter>,
    ) -> Result<String, Error> {
        let Measurement { parameters, regions } = self.measure(running)?;
        let mut text = format!(
            "{HEADER}\nseries {}\nnonce {}\nparameters {}\nregions {}\ndeltas {}\nat {}\n",
            self.series,
            HEXLOWER.encode(nonce),
            base64::encode(&parameters.0),
            base64::encode(&regions.0),
            self.deltas,
            at.as_nanos(),
        );
        if let Some(quoter) = quoter {
            let quote = quoter.quote(blake3::hash(text.as_bytes()).as_bytes())?;
            text.push_str(&format!("quote {}\n", base64::encode(&quote)));
        }
        note::sign(&text, key)
    }
}

const HEADER: &str = "twinguard attestation 1";
const REGIONS: &str = "twinguard 2026-11 attestation of regions";

fn add_region(all: &mut blake3::Hasher, region: &Region, root: &[u8; 32]) {
    all.update(&(region.name.len() as u64).to_be_bytes());
    all.update(region.name.as_bytes());
    all.update(&region.tree.length().to_be_bytes());
    all.update(root);
}

/// Digests over what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Measurement {
    /// Root of the parameters: that of the manifest, as changed by deltas.
    pub parameters: Digest,
    /// Over names, lengths and hashes of the regions.
    pub regions: Digest,
}

/// What a verifier outside expects of an attestor, and what it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    series: Box<str>,
    key: PublicKey,
    parameters: Parameters,
    deltas: u64,
    regions: Option<Digest>,
}

/// An answer that held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Attested {
    /// What was measured.
    pub measured: Measurement,
    /// Number of the last change that the attestor had applied.
    pub deltas: u64,
    /// The attestor's own time.
    pub at: Timestamp,
    /// What the hardware said, and the 32 bytes that have to stand in it; not verified here: every kind has its own verifier.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub quote: Option<(Vec<u8>, [u8; 32])>,
}

impl Expected {
    /// Expects these sealed parameters, and answers signed with this key.
    #[must_use]
    pub fn new(series: &str, key: PublicKey, parameters: Parameters) -> Self {
        Self { series: series.into(), key, parameters, deltas: 0, regions: None }
    }

    /// Expects these regions as well, see [`Attestor::expected`]; otherwise what an answer says of them is not judged.
    #[must_use]
    pub fn regions(mut self, regions: Digest) -> Self {
        self.regions = Some(regions);
        self
    }

    /// Follows a signed change, as the attestor does.
    ///
    /// # Errors
    /// As [`Attestor::apply`].
    pub fn follow(&mut self, envelope: &[u8], role: &Role) -> Result<Delta, Error> {
        let delta = Delta::open(envelope, role)?;
        let mut attestor = Attestor::new(&self.series, self.parameters.clone());
        attestor.deltas = self.deltas;
        self.parameters = attestor.judge(&delta)?;
        self.deltas = delta.number();
        Ok(delta)
    }

    /// Judges an answer to the challenge of this nonce, which is used for nothing else.
    ///
    /// # Errors
    /// As [`Note::verify`]; [`Error::Attestation`] for an answer to another challenge, or one that says that something else runs;
    /// [`Error::OtherSeries`]; [`Error::Text`] for anything else.
    pub fn check(&self, answer: &str, nonce: &[u8; 32]) -> Result<Attested, Error> {
        let bad = |line, reason| Error::Text { what: "attestation", line, reason };
        let text = Note::parse(answer)?.verify(&self.key)?;
        let mut lines = text.lines().zip(1..);
        let mut next = |word: &str| {
            let (line, number) = lines.next().ok_or(bad(1, "it ends early"))?;
            let rest = line.strip_prefix(word).ok_or(bad(number, "it is not the line that comes here"))?;
            Ok((rest, number))
        };
        next(HEADER)?;
        let (series, _) = next("series ")?;
        let (found, _) = next("nonce ")?;
        let (parameters, line) = next("parameters ")?;
        let parameters = digest(parameters).ok_or(bad(line, "it is not a digest in base64"))?;
        let (regions, line) = next("regions ")?;
        let regions = digest(regions).ok_or(bad(line, "it is not a digest in base64"))?;
        let (deltas, line) = next("deltas ")?;
        let deltas = decimal(deltas).ok_or(bad(line, "it is not a decimal number"))?;
        let (at, line) = next("at ")?;
        let at = at.parse().map_err(|_| bad(line, "it is not a time"))?;
        let quoted = text.split_inclusive('\n').take(7).map(str::len).sum();
        let data = *blake3::hash(text.get(..quoted).unwrap_or_default().as_bytes()).as_bytes();
        let quote = match next("quote ") {
            Ok((quote, line)) => {
                Some((base64::decode(quote.as_bytes()).ok_or(bad(line, "it is not base64"))?, data))
            }
            Err(_) => None,
        };
        if series != &*self.series {
            let (expected, found) = (self.series.to_string(), Error::shown(series));
            return Err(Error::OtherSeries { expected, found });
        }
        let refuse = |reason| Err(Error::Attestation { reason });
        if found != HEXLOWER.encode(nonce) {
            return refuse("it answers another challenge");
        }
        if deltas != self.deltas {
            return refuse("it has applied other changes than were followed here");
        }
        if parameters != self.parameters.root() {
            return refuse("other parameters run than are sealed");
        }
        if self.regions.is_some_and(|expected| expected != regions) {
            return refuse("a region runs that is not as registered");
        }
        let measured = Measurement { parameters, regions };
        Ok(Attested { measured, deltas, at: Timestamp::from_nanos(at), quote })
    }
}
