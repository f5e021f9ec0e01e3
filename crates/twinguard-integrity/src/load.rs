//! From a sealed directory to a value that can only come from verified bytes.
//!
//! The files are read once; what was hashed is what is handed on, so nobody can change a file between check and use.

use core::ops::Deref;
use std::path::Path;

use twinguard_types::{Bundle, Digest};

use crate::manifest::entries_of;
use crate::seal::{SealedManifest, verify_any};
use crate::source::{self, Limits};
use crate::{Error, HighWater, PublicKey, Rollback};

/// Whom to believe, and what was accepted before.
#[derive(Clone, Debug)]
pub struct Trust {
    keys: Vec<PublicKey>,
    series: Option<Box<str>>,
    high_water: Option<HighWater>,
    limits: Limits,
}

impl Trust {
    /// Believe this key.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        Self { keys: vec![key], series: None, high_water: None, limits: Limits::default() }
    }

    /// Believe this key as well.
    #[must_use]
    pub fn key(mut self, key: PublicKey) -> Self {
        self.keys.push(key);
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

    /// Read no more than this.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Judges a seal alone: who signed it, for which series, and whether it is older than what was accepted.
    ///
    /// # Errors
    /// As [`seal::verify`](crate::seal::verify), [`Error::OtherSeries`], and as [`HighWater::check`].
    pub fn judge(&self, seal: &[u8]) -> Result<(SealedManifest, Rollback), Error> {
        let manifest = verify_any(seal, &self.keys)?;
        if let Some(expected) = self.series.as_deref().filter(|series| *series != manifest.series()) {
            return Err(Error::OtherSeries {
                expected: expected.to_owned(),
                found: manifest.series().to_owned(),
            });
        }
        let rollback = match &self.high_water {
            Some(state) => state.check(&manifest)?,
            None => Rollback::NotChecked,
        };
        Ok((manifest, rollback))
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
        let (manifest, rollback) = trust.judge(seal)?;
        let (found, mut bundle) = source::files(dir.as_ref(), &manifest, &trust.limits)?;
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

    /// Makes something of the verified files.
    ///
    /// # Errors
    /// [`Error::Content`] with what `T` refuses.
    pub fn load<T>(&self) -> Result<Verified<T>, Error>
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

/// A value made of verified bytes, with what its seal said. Only [`Sealed::load`] makes one.
///
/// ```compile_fail
/// let forged = twinguard_integrity::Verified { value: 1 };
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
