//! What is kept of each stream: the number of its last sample.
//!
//! Source: IEC 61850-9-2 (2011) §8.5.2 (`SmpCnt`: up by one with each sample, 0 at the beginning of a second where the
//! publisher is synchronised).

use std::collections::BTreeMap;

use twinguard_types::Oddity;

use super::view::View;
use crate::protocol::Address;

/// Streams that are followed; a further one takes the place of the first by its key.
pub const STREAMS_MAX: usize = 1024;

/// What all conversations know of the streams: who forges a sample sends from another address.
#[derive(Debug, Default)]
pub struct Shared {
    held: BTreeMap<u64, Stream>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    sample: u16,
    revision: u32,
    /// The sample before 0, once it was seen.
    last: Option<u16>,
}

impl Shared {
    /// Takes note of the samples, and flags what does not follow from those before:
    ///
    /// - samples that never came: [`Oddity::Gap`]
    /// - a number that was used before: [`Oddity::DuplicateTransaction`]; the stream's number stays
    /// - another revision of the data set: [`Oddity::BadValue`]
    ///
    /// What is odd about each ASDU is told as well.
    #[inline]
    pub(super) fn note(&mut self, to: &Address, view: &mut View<'_>) {
        let start = start(to, view);
        let (asdus, mut count) = (view.asdus(), 0u16);
        for asdu in asdus {
            count = count.saturating_add(1);
            if let Some((oddity, at)) = asdu.fault {
                view.oddities.push(oddity, at);
            }
            let (Some(id), Some(sample)) = (asdu.id, asdu.sample) else { continue };
            let (key, revision) = (hash(start, id), asdu.revision.unwrap_or_default());
            let Some(held) = self.held.get_mut(&key) else {
                if self.held.len() >= STREAMS_MAX {
                    self.held.pop_first();
                }
                self.held.insert(key, Stream { sample, revision, last: None });
                continue;
            };
            if held.revision != revision {
                held.revision = revision;
                view.oddities.push(Oddity::BadValue, asdu.sample_at);
            }
            if let Some(oddity) = held.step(sample) {
                view.oddities.push(oddity, asdu.sample_at);
            }
        }
        if view.count().is_some_and(|told| told != count) {
            view.oddities.push(Oddity::BadQuantity, view.asdus_at());
        }
    }
}

impl Stream {
    #[inline]
    fn step(&mut self, sample: u16) -> Option<Oddity> {
        if sample == self.sample.wrapping_add(1) && self.last != Some(self.sample) {
            self.sample = sample;
            return None;
        }
        self.jump(sample)
    }

    #[cold]
    fn jump(&mut self, sample: u16) -> Option<Oddity> {
        let before = self.sample;
        // The count goes back to 0 after the same sample each second: less than half of a count ago is a repetition.
        let count = u32::from(self.last.unwrap_or(u16::MAX)) + 1;
        let ahead = (u32::from(sample) + count - u32::from(before).min(count)) % count.max(1);
        let begins = sample == 0 && before > 0;
        if begins && self.last.is_none_or(|last| last == before) {
            (self.sample, self.last) = (sample, Some(before));
            return None;
        }
        if !begins && (ahead == 0 || ahead > count / 2) {
            return Some(Oddity::DuplicateTransaction);
        }
        if sample > before && self.last == Some(before) {
            // It counts further than before: another rate.
            self.last = None;
        }
        self.sample = sample;
        Some(Oddity::Gap)
    }
}

/// FNV-1a: for telling apart, not for proof.
#[inline]
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// What names a stream beside its identifier: where it is sent to, application; simulated ones go beside real ones.
#[inline]
fn start(to: &Address, view: &View<'_>) -> u64 {
    let seed = match to {
        Address::Mac(mac) => hash(0xcbf2_9ce4_8422_2325, &mac.0),
        Address::Socket(_) => 0xcbf2_9ce4_8422_2325,
    };
    let [high, low] = view.app_id().to_be_bytes();
    hash(seed, &[high, low, u8::from(view.is_simulated())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_each_other() {
        let mut stream = Stream { sample: 3997, ..Stream::default() };
        let mut check = |sample, expect| assert_eq!(stream.step(sample), expect, "{sample}");
        check(3998, None);
        check(3999, None);
        check(0, None);
        check(1, None);
        check(4, Some(Oddity::Gap));
        check(3, Some(Oddity::DuplicateTransaction));
        check(4, Some(Oddity::DuplicateTransaction));
        check(5, None);
        check(0, Some(Oddity::Gap));
        check(3998, Some(Oddity::DuplicateTransaction));
        for sample in 1..4000 {
            check(sample, None);
        }
        check(0, None);
    }
}
