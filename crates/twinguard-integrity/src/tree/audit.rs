//! Sampling: which groups to look at, and what looking at them says.
//!
//! Source: hypergeometric distribution (probability that k draws without repetition meet one of t among n); Floyd's algorithm F2.

use std::collections::BTreeSet;

use super::Tree;
use crate::Error;

/// What a sample of groups has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Audit {
    /// Groups of the file.
    pub groups: u64,
    /// Groups that were looked at, and were as sealed.
    pub checked: u64,
}

impl Audit {
    /// Looks at `count` groups that `seed` picks; `read` gives a group's bytes.
    ///
    /// Take a seed that whoever may change the file cannot know.
    ///
    /// # Errors
    /// [`Error::Slice`] with the first group that was changed; whatever `read` gives.
    pub fn run(
        tree: &Tree,
        count: u64,
        seed: &[u8; 32],
        mut read: impl FnMut(core::ops::Range<u64>) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let picked = sample(tree.groups(), count, seed);
        for index in &picked {
            tree.check(*index, &read(tree.range(*index)?)?)?;
        }
        Ok(Self { groups: tree.groups(), checked: picked.len() as u64 })
    }

    /// How probably it would have found a file of which `changed` groups were changed.
    #[must_use]
    pub fn detection_probability(&self, changed: u64) -> f64 {
        detection_probability(self.groups, changed, self.checked)
    }
}

/// The probability that `checked` of `groups`, picked without repetition, meet one of `changed`: 1 − C(n−t, k) / C(n, k).
#[must_use]
pub fn detection_probability(groups: u64, changed: u64, checked: u64) -> f64 {
    let (changed, checked) = (changed.min(groups), checked.min(groups));
    if changed == 0 {
        return 0.0;
    }
    if checked + changed > groups {
        return 1.0;
    }
    // The product over the smaller of the two: C(n−t, k) / C(n, k) is symmetric in t and k.
    let (fewer, more) = (changed.min(checked), changed.max(checked));
    let missed: f64 = (0..fewer).map(|i| 1.0 - more as f64 / (groups - i) as f64).product();
    1.0 - missed
}

/// `count` different numbers below `groups`, in ascending order; all of them when there are no more.
#[must_use]
pub fn sample(groups: u64, count: u64, seed: &[u8; 32]) -> Vec<u64> {
    if count >= groups {
        return (0..groups).collect();
    }
    let mut random = blake3::Hasher::new_keyed(seed).finalize_xof();
    let mut below = |bound: u64| {
        // Values beyond the last multiple of the bound are drawn again: no number is favoured.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            let drawn = u64::from_le_bytes(bytes);
            if drawn < limit {
                return drawn % bound;
            }
        }
    };
    let mut picked = BTreeSet::new();
    for last in groups - count..groups {
        let drawn = below(last + 1);
        if !picked.insert(drawn) {
            picked.insert(last);
        }
    }
    picked.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Group;

    #[test]
    fn probabilities_are_those_of_the_urn() {
        // Ten groups, two changed, three looked at: 1 − (8·7·6)/(10·9·8).
        assert!((detection_probability(10, 2, 3) - (1.0 - 336.0 / 720.0)).abs() < 1e-15);
        assert_eq!(detection_probability(10, 0, 10), 0.0);
        assert_eq!(detection_probability(10, 1, 10), 1.0);
        assert!((detection_probability(65_536, 1, 64) - 64.0 / 65_536.0).abs() < 1e-12);
        assert!((detection_probability(100_000, 1000, 64) - 0.474).abs() < 1e-3);
    }

    #[test]
    fn samples_are_even_and_found_changes_match_the_stated_probability() {
        let file = vec![1; 64 * 1024];
        let tree = Tree::of(&file, Group::CHUNK);
        let mut changed = file.clone();
        changed[30_000] ^= 1;
        let (mut found, runs) = (0, 2000u32);
        for run in 0..runs {
            let seed = *blake3::hash(&run.to_le_bytes()).as_bytes();
            assert_eq!(sample(64, 8, &seed).len(), 8);
            let read =
                |range: core::ops::Range<u64>| Ok(changed[range.start as usize..range.end as usize].to_vec());
            found += u32::from(Audit::run(&tree, 8, &seed, read).is_err());
        }
        // Binomial with p = 8/64: four standard deviations either way.
        let expected = f64::from(runs) * detection_probability(64, 1, 8);
        assert!(
            (f64::from(found) - expected).abs() < 4.0 * (expected * (1.0 - 0.125)).sqrt(),
            "{found} of {expected}"
        );
        let all = Audit::run(&tree, 64, &[0; 32], |range| {
            Ok(file[range.start as usize..range.end as usize].to_vec())
        });
        assert_eq!(all.unwrap().detection_probability(1), 1.0);
    }
}
