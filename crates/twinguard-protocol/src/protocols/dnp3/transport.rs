//! Transport segments to application fragments (IEEE 1815-2012 clause 8), a bounded number of bytes a conversation.

use twinguard_types::Oddity;

use super::link::Link;
use crate::protocol::Oddities;

/// The last segment of a fragment (8.2.1.2).
pub(super) const FIN: u8 = 0x80;
/// The first segment of a fragment (8.2.1.3).
pub(super) const FIR: u8 = 0x40;
/// Sequence numbers count modulo 64 (8.2.1.4).
pub(super) const SEQUENCE: u8 = 0x3f;
/// Most application bytes in a segment: user data without the transport byte.
pub const SEGMENT_MAX: usize = 249;
/// Longest fragment that is put together; the standard's usual bound is 2048 (4.1.1), devices may agree on more.
pub const FRAGMENT_MAX: usize = 16 * 1024;
/// Pairs of link addresses of one conversation whose fragments are put together at the same time.
pub const PAIRS_MAX: usize = 4;

/// What one sender on one conversation says to one receiver.
#[derive(Debug, Default)]
struct Pair {
    source: u16,
    destination: u16,
    fragment: Vec<u8>,
    /// The sequence number of the next segment; `None` between fragments.
    next: Option<u8>,
    /// Where the newest segment begins in the fragment.
    newest: usize,
    /// The application sequence number of the next fragment of a response that goes on.
    goes_on: Option<u8>,
    /// Whether a fragment was seen.
    seen: bool,
}

/// The fragments of one conversation.
#[derive(Debug, Default)]
pub struct Assembler {
    pairs: Vec<Pair>,
    /// The place that is given anew when all are taken.
    oldest: usize,
}

impl Assembler {
    /// Takes the segment in a delivered frame; gives the fragment that it completes.
    pub(super) fn push(&mut self, link: &Link<'_>, oddities: &mut Oddities) -> Option<Whole<'_>> {
        let transport = link.transport()?;
        let pair = self.pair(link.source(), link.destination());
        let sequence = transport & SEQUENCE;
        let len: usize = link.user_data().map(<[u8]>::len).sum::<usize>().saturating_sub(1);
        if transport & FIR != 0 {
            // 8.2.1.3: a first segment ends whatever was begun.
            if pair.next.is_some() {
                oddities.push(Oddity::Gap, 10);
            }
            pair.fragment.clear();
        } else {
            match pair.next {
                Some(next) if next == sequence => {}
                Some(next) if next == (sequence + 1) & SEQUENCE && pair.repeats(link) => {
                    // 8.2.2.1: the same segment again is ignored.
                    return None;
                }
                _ => {
                    // 8.2.2.1: out of sequence, all of the fragment is dropped.
                    pair.next = None;
                    oddities.push(Oddity::Gap, 10);
                    return None;
                }
            }
        }
        if pair.fragment.len() + len > FRAGMENT_MAX {
            pair.next = None;
            oddities.push(Oddity::Dropped, 10);
            return None;
        }
        pair.newest = pair.fragment.len();
        for (index, block) in link.user_data().enumerate() {
            pair.fragment.extend_from_slice(block.get(usize::from(index == 0)..).unwrap_or_default());
        }
        if transport & FIN == 0 {
            pair.next = Some((sequence + 1) & SEQUENCE);
            return None;
        }
        pair.next = None;
        Some(Whole { fragment: &pair.fragment, goes_on: &mut pair.goes_on, seen: &mut pair.seen })
    }

    fn pair(&mut self, source: u16, destination: u16) -> &mut Pair {
        let known =
            self.pairs.iter().position(|pair| (pair.source, pair.destination) == (source, destination));
        let place = known.unwrap_or_else(|| {
            let place = if self.pairs.len() < PAIRS_MAX {
                self.pairs.push(Pair::default());
                self.pairs.len() - 1
            } else {
                let place = self.oldest % PAIRS_MAX;
                self.oldest = place + 1;
                place
            };
            if let Some(pair) = self.pairs.get_mut(place) {
                let mut fragment = core::mem::take(&mut pair.fragment);
                fragment.clear();
                *pair = Pair { source, destination, fragment, ..Pair::default() };
            }
            place
        });
        // The place was found or made just now.
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just now")]
        &mut self.pairs[place]
    }
}

impl Pair {
    /// Whether a frame carries the newest segment once more.
    fn repeats(&self, link: &Link<'_>) -> bool {
        let newest = self.fragment.get(self.newest..).unwrap_or_default();
        link.user_data().flatten().skip(1).eq(newest)
    }
}

/// A whole fragment, and what is known of the ones before.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) fragment: &'a [u8],
    goes_on: &'a mut Option<u8>,
    seen: &'a mut bool,
}

impl<'a> Whole<'a> {
    /// Takes note of the fragment's place in a response; flags one that was not to follow (4.2.2.4).
    pub(super) fn follow(self, first: bool, last: bool, sequence: u8, oddities: &mut Oddities) -> &'a [u8] {
        if !first && *self.seen && *self.goes_on != Some(sequence) {
            oddities.push(Oddity::Gap, 11);
        }
        *self.goes_on = (!last).then_some((sequence + 1) & 0x0f);
        *self.seen = true;
        self.fragment
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::emit;
    use super::*;

    /// Pushes segments from address 1 to 2, gives the fragments and the oddities.
    fn check(segments: &[(u8, &[u8])], want: &[&[u8]], odd: &[Oddity]) {
        let mut assembler = Assembler::default();
        let (mut whole, mut found) = (Vec::new(), Vec::new());
        for (transport, data) in segments {
            let mut frame = Vec::new();
            emit(0x44, 2, 1, &[&[*transport][..], data].concat(), &mut frame);
            let mut oddities = Oddities::NONE;
            let link = Link::new(&frame).unwrap();
            if let Some(done) = assembler.push(&link, &mut oddities) {
                whole.push(done.fragment.to_vec());
            }
            found.extend(oddities.iter().map(|(oddity, _)| oddity));
        }
        assert_eq!(whole, want, "{segments:?}");
        assert_eq!(found, odd, "{segments:?}");
    }

    #[test]
    fn segments_make_fragments() {
        check(&[(0xc0, b"ab")], &[b"ab"], &[]);
        check(&[(0x7f, b"ab"), (0x00, b"cd"), (0x81, b"e")], &[b"abcde"], &[]);
        check(&[(0x40, b"ab"), (0x01, b"cd"), (0x01, b"cd"), (0x82, b"e")], &[b"abcde"], &[]);
        check(&[(0x40, b"ab"), (0x82, b"e")], &[], &[Oddity::Gap]);
        check(&[(0x82, b"e")], &[], &[Oddity::Gap]);
        check(&[(0x40, b"ab"), (0xc5, b"x")], &[b"x"], &[Oddity::Gap]);
        check(&[(0x40, b"ab"), (0x01, b"cd"), (0x01, b"ce"), (0x82, b"e")], &[], &[Oddity::Gap, Oddity::Gap]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembler = Assembler::default();
        let (mut dropped, data) = (false, [0; 250]);
        for step in 0..200u16 {
            for source in 0..40 {
                let mut user = data;
                user[0] = if step == 0 { FIR } else { step as u8 & SEQUENCE };
                let mut frame = Vec::new();
                emit(0x44, 2, source, &user, &mut frame);
                let mut oddities = Oddities::NONE;
                assert!(assembler.push(&Link::new(&frame).unwrap(), &mut oddities).is_none());
                dropped |= oddities.contains(Oddity::Dropped) || oddities.contains(Oddity::Gap);
            }
        }
        let held: usize = assembler.pairs.iter().map(|pair| pair.fragment.len()).sum();
        assert!(dropped && assembler.pairs.len() <= PAIRS_MAX && held <= PAIRS_MAX * FRAGMENT_MAX);
    }
}
