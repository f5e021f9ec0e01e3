//! The highest version accepted so far of each series: what keeps an old, validly signed model from coming back.
//!
//! Text format, one line per series in order of names, then a checksum over everything before it, which finds damage (not
//! malice: whoever may write this file may also roll back):
//! ```text
//! twinguard high-water 2
//! <epoch> <version> <root> <series>
//! blake3 <64 hexadecimal digits>
//! ```
//! Source: The Update Framework specification §5 (rollback attack: keep the version last trusted).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use twinguard_types::Digest;

use crate::{Error, Manifest};

const HEADER: &str = "twinguard high-water 2\n";

/// How far back a seal could have been rolled without notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Rollback {
    /// No state was given: rollback was not checked.
    NotChecked,
    /// State was given and did not know the series: from now on it does.
    FirstSeen,
    /// Not older than what was accepted before.
    Checked,
}

impl core::fmt::Display for Rollback {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotChecked => "rollback was not checked",
            Self::FirstSeen => "first version seen of this series: rollback is checked from now on",
            Self::Checked => "not older than any version accepted before",
        })
    }
}

/// Epoch, version and root: epochs count before versions.
type Mark = (u64, u64, Digest);

/// For each series the highest epoch and version accepted, with its root.
///
/// ```
/// use twinguard_integrity::{Entry, HighWater, Manifest, PortablePath, Rollback};
///
/// let version = |n| Manifest::new("pump", n, vec![Entry::of(PortablePath::new("a")?, b"")]);
/// let mut seen = HighWater::default();
/// assert_eq!(seen.accept(&version(2)?)?, Rollback::FirstSeen);
/// assert!(seen.accept(&version(1)?).is_err());
/// let read: HighWater = seen.to_string().parse()?;
/// assert_eq!(read, seen);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighWater {
    marks: BTreeMap<Box<str>, Mark>,
}

impl HighWater {
    /// The highest version accepted of a series, with its root.
    #[must_use]
    pub fn get(&self, series: &str) -> Option<(u64, Digest)> {
        self.marks.get(series).map(|(_, version, root)| (*version, *root))
    }

    /// Whether a manifest may follow what was accepted before.
    ///
    /// # Errors
    /// [`Error::RolledBack`] for an older version, [`Error::TwoContents`] for the same version with another root.
    pub fn check(&self, manifest: &Manifest) -> Result<Rollback, Error> {
        let mark = self.marks.get(manifest.series()).copied();
        let Some((epoch, seen, root)) = mark else { return Ok(Rollback::FirstSeen) };
        let (series, version) = (manifest.series().to_owned(), manifest.version());
        if (manifest.epoch(), version) < (epoch, seen) {
            return Err(Error::RolledBack { series, version, seen });
        }
        if (manifest.epoch(), version) == (epoch, seen) && manifest.root() != root {
            return Err(Error::TwoContents { series, version, root, found: manifest.root() });
        }
        Ok(Rollback::Checked)
    }

    /// [`HighWater::check`], and remembers the manifest. Keep the state afterwards.
    ///
    /// # Errors
    /// As [`HighWater::check`]; the state is unchanged then.
    pub fn accept(&mut self, manifest: &Manifest) -> Result<Rollback, Error> {
        let rollback = self.check(manifest)?;
        let mark = (manifest.epoch(), manifest.version(), manifest.root());
        self.marks.insert(manifest.series().into(), mark);
        Ok(rollback)
    }
}

impl core::fmt::Display for HighWater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut text = String::from(HEADER);
        for (series, (epoch, version, root)) in &self.marks {
            text.push_str(&format!("{epoch} {version} {root} {series}\n"));
        }
        writeln!(f, "{text}blake3 {}", blake3::hash(text.as_bytes()))
    }
}

impl core::str::FromStr for HighWater {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let line = |line, reason| Error::State { line, reason };
        let body = text.strip_prefix(HEADER).ok_or(line(1, "it is not `twinguard high-water 2`"))?;
        let mut state = Self::default();
        let mut lines = body.lines().zip(2..).peekable();
        while let Some((mark, number)) = lines.next() {
            if lines.peek().is_none() {
                break; // the checksum, compared below
            }
            let mut parts = mark.splitn(4, ' ');
            let epoch = parts.next().and_then(|text| text.parse().ok());
            let version = parts.next().and_then(|text| text.parse().ok());
            let root = parts.next().and_then(|text| text.parse().ok());
            let (Some(epoch), Some(version), Some(root), Some(series)) = (epoch, version, root, parts.next())
            else {
                return Err(line(number, "it is not `epoch version root series`"));
            };
            match state.marks.entry(series.into()) {
                Slot::Vacant(slot) => slot.insert((epoch, version, root)),
                Slot::Occupied(_) => return Err(line(number, "the series is named twice")),
            };
        }
        // One text for one state: this finds a wrong checksum, another order, another spelling.
        if state.to_string() != text {
            return Err(line(text.lines().count(), "the checksum or the spelling is not right"));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, PortablePath};
    use proptest::prelude::*;

    fn manifest(series: &str, version: u64, content: &[u8]) -> Manifest {
        let entry = Entry::of(PortablePath::new("a").unwrap(), content);
        Manifest::new(series, version, vec![entry]).unwrap()
    }

    #[test]
    fn versions_only_rise_and_each_has_one_content() {
        let mut seen = HighWater::default();
        assert_eq!(seen.accept(&manifest("a", 5, b"x")).unwrap(), Rollback::FirstSeen);
        assert_eq!(seen.accept(&manifest("a", 5, b"x")).unwrap(), Rollback::Checked);
        assert!(matches!(seen.accept(&manifest("a", 5, b"y")), Err(Error::TwoContents { version: 5, .. })));
        assert!(matches!(
            seen.accept(&manifest("a", 4, b"x")),
            Err(Error::RolledBack { version: 4, seen: 5, .. })
        ));
        assert_eq!(seen.accept(&manifest("b", 1, b"x")).unwrap(), Rollback::FirstSeen);
        assert_eq!(seen.accept(&manifest("a", 6, b"y")).unwrap(), Rollback::Checked);
        assert_eq!(seen.get("a").unwrap().0, 6);
        let entry = Entry::of(PortablePath::new("a").unwrap(), b"x");
        let later = crate::Draft::new("a", 1, vec![entry]).epoch(1).finish().unwrap();
        assert_eq!(seen.accept(&later).unwrap(), Rollback::Checked, "a later epoch begins again");
        assert!(matches!(seen.accept(&manifest("a", 7, b"x")), Err(Error::RolledBack { version: 7, .. })));
    }

    #[test]
    fn every_single_bit_flip_in_the_state_is_refused() {
        let mut seen = HighWater::default();
        seen.accept(&manifest("a b", 5, b"x")).unwrap();
        seen.accept(&manifest("ä", 50, b"x")).unwrap();
        let text = seen.to_string();
        assert_eq!(text.parse::<HighWater>().unwrap(), seen);
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                String::from_utf8(bytes).map_or(true, |text| text.parse::<HighWater>().is_err()),
                "bit {bit}"
            );
        }
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(text[..end].parse::<HighWater>().is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn the_mark_never_falls(versions in proptest::collection::vec(0u64..20, 1..30)) {
            let mut seen = HighWater::default();
            let mut highest = 0;
            for version in versions {
                let accepted = seen.accept(&manifest("s", version, b"")).is_ok();
                prop_assert_eq!(accepted, version >= highest);
                highest = highest.max(version);
            }
        }
    }
}
