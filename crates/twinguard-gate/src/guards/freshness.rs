//! Not again and not late: age of a command, and a window over its sender's numbers.
//!
//! Source: the anti-replay window of RFC 4303 §3.4.3 in the form of RFC 6479 (bits by blocks), 1,024 numbers wide.

use std::collections::BTreeMap;

use twinguard_types::{Duration, PrincipalId};

use super::{Asked, Guard, Memory, Refusal, concerns};
use crate::policy::GuardSpec;

/// One more than the width needs: the newest block is never full.
const WORDS: usize = 17;
const WIDTH: u64 = 1_024;
/// Senders that are told apart; a further one with numbers is refused.
const SENDERS: usize = 4_096;

#[derive(Clone, Debug, PartialEq)]
struct Window {
    newest: u64,
    seen: [u64; WORDS],
}

impl Window {
    fn has(&self, number: u64) -> bool {
        number <= self.newest
            && (self.newest - number >= WIDTH
                || self.seen[(number / 64) as usize % WORDS] >> (number % 64) & 1 == 1)
    }

    fn enter(&mut self, number: u64) {
        if number > self.newest {
            let (from, to) = (self.newest / 64, number / 64);
            for block in from + 1..=to.min(from + WORDS as u64) {
                self.seen[block as usize % WORDS] = 0;
            }
            self.newest = number;
        }
        self.seen[(number / 64) as usize % WORDS] |= 1 << (number % 64);
    }
}

#[derive(Debug)]
struct Freshness {
    spec: GuardSpec,
    oldest: Duration,
    windows: BTreeMap<PrincipalId, Window>,
}

pub(super) fn build(spec: &GuardSpec) -> Box<dyn Guard> {
    let oldest = spec.within.unwrap_or(Duration::MAX);
    Box::new(Freshness { oldest, windows: BTreeMap::new(), spec: spec.clone() })
}

impl Guard for Freshness {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !concerns(&self.spec, asked) {
            return Ok(());
        }
        let age = asked.now.since(asked.sent_at);
        if age > self.oldest {
            return Err(Refusal::Stale { age_s: age.as_secs_f64() });
        }
        if asked.sent_at.since(asked.now) > self.oldest {
            return Err(Refusal::Early { ahead_s: asked.sent_at.since(asked.now).as_secs_f64() });
        }
        let Some(number) = asked.sequence else { return Ok(()) };
        match self.windows.get(&asked.principal_id) {
            Some(window) if window.has(number) => Err(Refusal::Replayed),
            None if self.windows.len() >= SENDERS => Err(Refusal::Crowded),
            _ => Ok(()),
        }
    }

    fn passed(&mut self, asked: &Asked<'_>) {
        let (Some(number), true) = (asked.sequence, concerns(&self.spec, asked)) else { return };
        if let Some(window) = self.windows.get_mut(&asked.principal_id) {
            window.enter(number);
        } else if self.windows.len() < SENDERS {
            let mut window = Window { newest: number, seen: [0; WORDS] };
            window.enter(number);
            self.windows.insert(asked.principal_id, window);
        }
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (sender, window) in &self.windows {
            memory.whole.extend([i64::from(sender.0), window.newest.cast_signed()]);
            memory.whole.extend(window.seen.iter().map(|word| word.cast_signed()));
        }
        memory
    }

    fn recall(&mut self, memory: &Memory) -> bool {
        let count = memory.whole.len() / (WORDS + 2);
        if !memory.whole.len().is_multiple_of(WORDS + 2) || !memory.real.is_empty() || count > SENDERS {
            return false;
        }
        let mut windows = BTreeMap::new();
        for entry in memory.whole.chunks_exact(WORDS + 2) {
            let (&[sender, newest], words) = (&entry[..2], &entry[2..]) else { return false };
            let Ok(sender) = u32::try_from(sender) else { return false };
            let mut seen = [0; WORDS];
            seen.iter_mut().zip(words).for_each(|(seen, word)| *seen = word.cast_unsigned());
            windows.insert(PrincipalId(sender), Window { newest: newest.cast_unsigned(), seen });
        }
        self.windows = windows;
        true
    }
}
