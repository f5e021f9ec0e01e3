//! From a sealed directory to a value that can only come from verified bytes.
//!
//! The files are read once; what was hashed is what is handed on, so nobody can change a file between check and use.

use core::ops::Deref;
use std::path::Path;

use twinguard_types::{Bundle, Digest, Label};

use crate::golden::Golden;
use crate::manifest::{Component, entries_of};
use crate::seal::{SealedManifest, verify_role};
use crate::signature::{Role, VerifyingKey};
use crate::source::{self, Limits, Source};
use crate::{Error, HighWater, Holder, Leaf, LogProof, PublicKey, Rollback};

/// Whom to believe, and what was accepted before.
#[derive(Clone, Debug)]
pub struct Trust {
    holders: Vec<Holder>,
    threshold: usize,
    revoked: Vec<(VerifyingKey, u64)>,
    series: Option<Box<str>>,
    high_water: Option<HighWater>,
    now: Option<u64>,
    limits: Limits,
}

/// Where a seal stands in a log: what a revoked key needs.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// Proof of an entry that holds the seal's digest, with the entry as its extra data; see [`Logged::leaf`].
    pub proof: &'a LogProof,
    /// The key of the log.
    pub log: &'a PublicKey,
}

impl Logged<'_> {
    /// Kind of a log's leaf that enters a seal.
    pub const KIND: Label = Label::literal("seal");

    /// Body of the leaf that enters a seal: BLAKE3 of its bytes.
    #[must_use]
    pub fn leaf(seal: &[u8]) -> [u8; 32] {
        *blake3::hash(seal).as_bytes()
    }

    /// The index at which the seal was entered.
    fn index(&self, seal: &[u8]) -> Result<u64, Error> {
        let entry = self.proof.extra.as_deref().unwrap_or_default();
        self.proof.verify(entry, self.log)?;
        let leaf = Leaf::parse(entry)?;
        if leaf.kind != Self::KIND || leaf.body != Self::leaf(seal).as_slice() {
            return Err(Error::Proof {
                what: "inclusion",
                reason: "it is of another entry than this seal's",
            });
        }
        Ok(self.proof.index)
    }
}

impl Trust {
    /// Believe this key.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        Self::of([key.into()], 1)
    }

    /// Believe `threshold` of these holders, each with all of their keys.
    #[must_use]
    pub fn of(holders: impl IntoIterator<Item = Holder>, threshold: usize) -> Self {
        let holders = holders.into_iter().collect();
        let (series, high_water, now) = (None, None, None);
        Self { holders, threshold, revoked: Vec::new(), series, high_water, now, limits: Limits::default() }
    }

    /// Believe this key as well.
    #[must_use]
    pub fn key(self, key: PublicKey) -> Self {
        self.holder(key.into())
    }

    /// Believe this holder as well.
    #[must_use]
    pub fn holder(mut self, holder: Holder) -> Self {
        self.holders.push(holder);
        self
    }

    /// Do not count this key, except on seals that a log holds at an index below `from`.
    ///
    /// A log's index cannot be dated back; the time that a seal gives itself can.
    #[must_use]
    pub fn revoked(mut self, key: VerifyingKey, from: u64) -> Self {
        self.revoked.push((key, from));
        self
    }

    /// Accept this series only: a key may sign several models, and they must not stand in for each other.
    #[must_use]
    pub fn series(mut self, series: impl Into<Box<str>>) -> Self {
        self.series = Some(series.into());
        self
    }

    /// Refuse what is older than what was accepted before. Without it rollback is not checked.
    #[must_use]
    pub fn high_water(mut self, state: HighWater) -> Self {
        self.high_water = Some(state);
        self
    }

    /// Refuse what is valid no more at this second since 1970. Without it a seal's end is not checked.
    #[must_use]
    pub fn at(mut self, second: u64) -> Self {
        self.now = Some(second);
        self
    }

    /// Read no more than this.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Judges a seal alone: who signed it, for which series, and whether it is older than what was accepted.
    ///
    /// # Errors
    /// As [`seal::verify_role`](crate::seal::verify_role), [`Error::Policy`] for a threshold that cannot be met,
    /// [`Error::Revoked`], [`Error::OtherSeries`], [`Error::Expired`], and as [`HighWater::check`].
    pub fn judge(&self, seal: &[u8]) -> Result<(SealedManifest, Rollback), Error> {
        self.judge_logged(seal, None)
    }

    /// [`Trust::judge`] of a seal that a log holds: one by a key that was revoked later counts.
    ///
    /// # Errors
    /// As [`Trust::judge`] and [`LogProof::verify`].
    pub fn judge_logged(
        &self,
        seal: &[u8],
        logged: Option<Logged<'_>>,
    ) -> Result<(SealedManifest, Rollback), Error> {
        let role = Role::new(self.holders.iter().cloned(), self.threshold)?;
        let manifest = verify_role(seal, &role)?;
        self.count_revoked(seal, &manifest, logged)?;
        if let Some(expected) = self.series.as_deref().filter(|series| *series != manifest.series()) {
            return Err(Error::OtherSeries {
                expected: expected.to_owned(),
                found: manifest.series().to_owned(),
            });
        }
        if let (Some(until), Some(now)) = (manifest.valid_until(), self.now)
            && now > until
        {
            return Err(Error::Expired { what: "seal", until, now });
        }
        let rollback = match &self.high_water {
            Some(state) => state.check(&manifest)?,
            None => Rollback::NotChecked,
        };
        Ok((manifest, rollback))
    }

    /// Whether enough holders are left without those whose keys were revoked.
    fn count_revoked(
        &self,
        seal: &[u8],
        manifest: &SealedManifest,
        logged: Option<Logged<'_>>,
    ) -> Result<(), Error> {
        let found = manifest.signers().iter().flat_map(Holder::keys);
        let revoked = |key: &VerifyingKey| {
            self.revoked.iter().filter(|(other, _)| other == key).map(|(_, from)| *from).min()
        };
        if !found.clone().any(|key| revoked(key).is_some()) {
            return Ok(());
        }
        let index = logged.map(|logged| logged.index(seal)).transpose()?;
        let counts =
            |key: &VerifyingKey| revoked(key).is_none_or(|from| index.is_some_and(|index| index < from));
        let left = manifest.signers().iter().filter(|holder| holder.keys().iter().all(counts)).count();
        if left >= self.threshold {
            return Ok(());
        }
        let reason = match index {
            Some(_) => "the seal was entered at or after it",
            None => "no log entry of the seal was shown",
        };
        match found.filter(|key| !counts(key)).find_map(|key| Some((key, revoked(key)?))) {
            Some((key, from)) => Err(Error::Revoked { key: key.to_string(), from, reason }),
            None => Ok(()),
        }
    }
}

/// Files that were checked against their seal, held in memory.
///
/// ```
/// use twinguard_integrity::{Sealed, SigningKey, Trust, Verified, entries_of, seal};
/// use twinguard_types::{Bundle, Digest};
///
/// // What a model is made of is the model's business.
/// struct Gain(f64);
/// impl TryFrom<&Bundle> for Gain {
///     type Error = std::num::ParseFloatError;
///     fn try_from(files: &Bundle) -> Result<Self, Self::Error> {
///         String::from_utf8_lossy(files.get("gain").unwrap_or_default()).parse().map(Self)
///     }
/// }
///
/// let key = SigningKey::from_seed("vendor.example/pump", &[7; 32])?;
/// let mut files = Bundle::new(Digest::default());
/// files.insert("gain", b"1.5".to_vec());
/// let seal = seal::create(entries_of(&files)?, "pump", 1, &key)?;
///
/// let trust = Trust::new(key.public().clone());
/// let gain: Verified<Gain> = Sealed::from_bundle(files.clone(), &seal, &trust)?.load()?;
/// assert_eq!((gain.0, gain.version(), gain.rollback_checked()), (1.5, 1, false));
///
/// files.insert("gain", b"9.5".to_vec());
/// assert!(Sealed::from_bundle(files, &seal, &trust).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sealed {
    bundle: Bundle,
    manifest: SealedManifest,
    rollback: Rollback,
}

impl Sealed {
    /// Reads a directory and checks it against the seal in a file.
    ///
    /// The seal is judged first; then exactly the sealed lengths are read, never more.
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read; else whatever [`Trust::judge`], [`source::files`] and
    /// [`SealedManifest::check`] refuse.
    pub fn open(dir: impl AsRef<Path>, seal: impl AsRef<Path>, trust: &Trust) -> Result<Self, Error> {
        Self::open_with(dir, &source::small_file(seal.as_ref())?, trust)
    }

    /// [`Sealed::open`] with a seal at hand.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn open_with(dir: impl AsRef<Path>, seal: &[u8], trust: &Trust) -> Result<Self, Error> {
        Self::from_source(dir.as_ref(), seal, trust)
    }

    /// Reads whatever holds files, an archive for example, and checks it against a seal.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn from_source<S: Source + ?Sized>(source: &S, seal: &[u8], trust: &Trust) -> Result<Self, Error> {
        let (manifest, rollback) = trust.judge(seal)?;
        let (found, mut bundle) = source::files(source, &manifest, &trust.limits)?;
        manifest.check(found)?;
        bundle.digest = manifest.root();
        Ok(Self { bundle, manifest, rollback })
    }

    /// Checks files in memory against a seal.
    ///
    /// # Errors
    /// Whatever [`Trust::judge`] and [`SealedManifest::check`] refuse; [`Error::Path`] for a path that is not portable.
    pub fn from_bundle(mut bundle: Bundle, seal: &[u8], trust: &Trust) -> Result<Self, Error> {
        let (manifest, rollback) = trust.judge(seal)?;
        manifest.check(entries_of(&bundle)?)?;
        bundle.digest = manifest.root();
        Ok(Self { bundle, manifest, rollback })
    }

    /// The files.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// What the seal says.
    #[must_use]
    pub fn manifest(&self) -> &SealedManifest {
        &self.manifest
    }

    /// Whether older versions were ruled out.
    #[must_use]
    pub fn rollback(&self) -> Rollback {
        self.rollback
    }

    /// Makes a value of the verified files.
    ///
    /// # Errors
    /// [`Error::Content`] with the reason of whoever makes it; [`Error::Policy`] when the seal holds a golden trajectory, which
    /// [`Sealed::load_replayed`] alone honours.
    pub fn load<T>(&self) -> Result<Verified<T>, Error>
    where
        T: for<'a> TryFrom<&'a Bundle>,
        for<'a> <T as TryFrom<&'a Bundle>>::Error: std::error::Error + Send + Sync + 'static,
    {
        match self.golden().next() {
            Some(_) => {
                Err(Error::Policy { reason: "the seal demands that its golden trajectory is replayed" })
            }
            None => self.value(),
        }
    }

    /// Makes a value of the verified files, and gives it out only when it reproduces every sealed golden trajectory.
    ///
    /// `replay` runs the value from the trajectory's start and gives the outputs of each step; a seal without a trajectory is
    /// loaded as it is.
    ///
    /// # Errors
    /// As [`Sealed::load`]; [`Error::Text`] for a malformed trajectory; [`Error::Behaviour`] with the first output that is
    /// beyond its tolerance; whatever `replay` gives.
    pub fn load_replayed<T>(
        &self,
        mut replay: impl FnMut(&T, &Golden) -> Result<Vec<Vec<f64>>, Error>,
    ) -> Result<Verified<T>, Error>
    where
        T: for<'a> TryFrom<&'a Bundle>,
        for<'a> <T as TryFrom<&'a Bundle>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let value = self.value()?;
        for bytes in self.golden() {
            let golden: Golden = golden_text(bytes)?.parse()?;
            golden.compare(&replay(&value, &golden)?)?;
        }
        Ok(value)
    }

    /// The files that a model has to reproduce.
    fn golden(&self) -> impl Iterator<Item = &[u8]> {
        let entries = self.manifest.entries().iter().filter(|entry| entry.component == Component::Golden);
        entries.filter_map(|entry| self.bundle.get(entry.path.as_str()))
    }

    /// A verified file behind a path, for loaders that open files: in memory, where nobody can change it any more.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Policy`] for a path that is not sealed.
    #[cfg(target_os = "linux")]
    pub fn memory_file(&self, path: &str) -> Result<source::MemoryFile, Error> {
        let bytes =
            self.bundle.get(path).ok_or(Error::Policy { reason: "no file of that path is sealed" })?;
        source::MemoryFile::new(path, bytes)
    }

    fn value<T>(&self) -> Result<Verified<T>, Error>
    where
        T: for<'a> TryFrom<&'a Bundle>,
        for<'a> <T as TryFrom<&'a Bundle>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let value = T::try_from(&self.bundle).map_err(|error| Error::Content(Box::new(error)))?;
        let manifest = &*self.manifest;
        let (root, series, version) = (manifest.root(), manifest.series().into(), manifest.version());
        Ok(Verified { value, root, series, version, rollback: self.rollback })
    }
}

fn golden_text(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::Text {
        what: "golden trajectory",
        line: 1,
        reason: "it is not UTF-8",
    })
}

/// A value made of verified bytes, with what its seal said. Only [`Sealed::load`] makes one.
///
/// It cannot be made of parts, changed, or had in another way, and what asks for it takes nothing else:
///
/// ```compile_fail,E0451
/// # use twinguard_integrity::{Rollback, Verified};
/// # use twinguard_types::Digest;
/// let (root, series, version, rollback) = (Digest::default(), "pump".into(), 1, Rollback::Checked);
/// let forged = Verified { value: 1, root, series, version, rollback };
/// ```
/// ```compile_fail,E0594
/// # use twinguard_integrity::Verified;
/// fn change(model: &mut Verified<u32>) {
///     **model = 2;
/// }
/// ```
/// ```compile_fail,E0277
/// # use twinguard_integrity::Verified;
/// let forged: Verified<u32> = 1.into();
/// ```
/// ```compile_fail,E0599
/// # use twinguard_integrity::Verified;
/// let forged = Verified::<u32>::default();
/// ```
/// ```compile_fail,E0308
/// # use twinguard_integrity::Verified;
/// fn load(_: Verified<u32>) {}
/// load(1);
/// ```
/// What these lines import is there:
///
/// ```
/// use twinguard_integrity::{Rollback, Verified};
/// use twinguard_types::Digest;
///
/// fn load(model: Verified<u32>) -> u32 {
///     *model
/// }
/// # let _ = (load, Rollback::Checked, Digest::default());
/// ```
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    root: Digest,
    series: Box<str>,
    version: u64,
    rollback: Rollback,
}

impl<T> Verified<T> {
    /// Root over all sealed files.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The seal's series.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The version in that series.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How far older versions were ruled out.
    #[must_use]
    pub fn rollback(&self) -> Rollback {
        self.rollback
    }

    /// Whether it was compared with a version accepted before.
    #[must_use]
    pub fn rollback_checked(&self) -> bool {
        self.rollback == Rollback::Checked
    }

    /// The value, without the proof that it was verified.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
