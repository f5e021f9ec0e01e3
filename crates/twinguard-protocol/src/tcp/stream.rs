//! One direction of a connection: segments in, contiguous bytes out.
//!
//! Sequence numbers are compared modulo 2³² (RFC 9293 §3.4), always relative to the next byte expected.

use twinguard_types::Timestamp;

use super::flow::Limits;

/// Segments that start farther than this from the next byte belong to another life of the connection, or are forged.
/// The largest window is 1 GiB (RFC 7323 §2.3); plants stay below 1 MiB, and a smaller bound sees forgeries sooner.
const WINDOW: u32 = 16 << 20;
/// So many strays in a row, each continuing the one before, are believed.
const STRAYS_BELIEVED: u8 = 3;
/// Holes that are waited for at a time.
const MAX_PENDING: usize = 64;

/// What a segment did to its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Bytes that became contiguous.
    pub(super) added: u32,
    /// Bytes that had come before.
    pub(super) repeated: u32,
    /// Bytes that were thrown away.
    pub(super) dropped: u32,
    /// Whether bytes that had come before now came with other content.
    pub(super) conflict: bool,
    /// Whether the segment lies outside any window.
    pub(super) stray: bool,
}

#[derive(Debug)]
struct Pending {
    start: u32,
    arrival: Arrival,
    bytes: Vec<u8>,
}

/// When bytes were captured, and in which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Number of the frame.
    pub frame: u64,
    /// Its time.
    pub at: Timestamp,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Bytes in order: `buffer[..read]` were consumed and are kept to compare retransmissions with.
    buffer: Vec<u8>,
    read: usize,
    /// Sequence number after the end of `buffer`; meant once `started`.
    next: u32,
    started: bool,
    /// Sequence number of the first byte; meant once `started`.
    first: u32,
    /// The first acknowledgement seen before the stream started.
    hint: Option<u32>,
    /// Bytes before this one that have not come will not come.
    settled: u32,
    /// Segments after a hole: disjoint, in order.
    pending: Vec<Pending>,
    pending_bytes: usize,
    /// Where each readable segment behind a hole ends and when it came; it was held until the hole was given up.
    held: Vec<(u32, Arrival)>,
    /// When the hole before `pending` was first seen, or the stream last went on.
    waiting_since: Timestamp,
    stray_next: u32,
    strays: u8,
}

impl Stream {
    /// Starts the stream at this sequence number, unless it has started.
    pub(super) fn start(&mut self, next: u32) {
        if !self.started {
            self.started = true;
            self.first = next;
            self.next = next;
            self.settled = next;
        }
    }

    /// Whether its first sequence number is known.
    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    /// Whether its first byte has this sequence number.
    pub(super) fn began_at(&self, sequence: u32) -> bool {
        self.started && self.first == sequence
    }

    /// Bytes that came and were not consumed.
    pub(super) fn unread(&self) -> usize {
        self.readable().len() + self.pending_bytes
    }

    /// The peer has everything before `acknowledgement`.
    #[inline]
    pub(super) fn acknowledged(&mut self, acknowledgement: u32) {
        if self.started {
            self.settle(acknowledgement);
        } else if self.hint.is_none() {
            self.hint = Some(acknowledgement);
        }
    }

    /// Takes a segment's payload, followed by `missing` bytes that the capture does not hold.
    #[inline]
    pub(super) fn push(
        &mut self,
        arrival: Arrival,
        sequence: u32,
        payload: &[u8],
        missing: u32,
        limits: &Limits,
    ) -> Effect {
        if !self.started {
            self.begin(sequence, payload.len());
        }
        if sequence == self.next && self.pending.is_empty() && missing == 0 {
            self.strays = 0;
            return self.append(arrival.at, payload, limits);
        }
        self.push_odd(arrival, sequence, payload, missing, limits)
    }

    fn push_odd(
        &mut self,
        arrival: Arrival,
        sequence: u32,
        payload: &[u8],
        missing: u32,
        limits: &Limits,
    ) -> Effect {
        let ahead = sequence.wrapping_sub(self.next);
        let behind = self.next.wrapping_sub(sequence);
        if ahead > WINDOW && behind > WINDOW {
            return self.stray(arrival, sequence, payload);
        }
        self.strays = 0;
        let effect = if behind <= WINDOW {
            // A keep-alive repeats one byte of any content (RFC 9293 §3.8.4).
            let keep_alive = behind == 1 && payload.len() == 1;
            let (old, fresh) = payload.split_at(payload.len().min(behind as usize));
            let conflict = !keep_alive && self.differs(behind as usize, old);
            let effect = self.append(arrival.at, fresh, limits);
            Effect {
                repeated: effect.repeated + old.len() as u32,
                conflict: effect.conflict || conflict,
                ..effect
            }
        } else {
            self.hold(arrival, sequence, payload, limits)
        };
        if missing > 0 {
            self.settle(sequence.wrapping_add(payload.len() as u32).wrapping_add(missing));
        }
        effect
    }

    /// Gives up the hole when it has been waited for too long.
    #[inline]
    pub(super) fn tick(&mut self, at: Timestamp, limits: &Limits) {
        if !self.pending.is_empty() && at.since(self.waiting_since) > limits.gap_wait {
            self.give_up();
        }
    }

    /// Bytes in order that were not consumed.
    #[inline]
    pub(super) fn readable(&self) -> &[u8] {
        self.buffer.get(self.read..).unwrap_or_default()
    }

    /// Uses up `count` readable bytes, at most all.
    #[inline]
    pub(super) fn consume(&mut self, count: usize, limits: &Limits) {
        self.read = self.read.saturating_add(count).min(self.buffer.len());
        if self.read >= 2 * limits.history + 1024 {
            self.buffer.drain(..self.read - limits.history);
            self.read = limits.history;
        }
    }

    /// When the last of the first `len` readable bytes came, if it was held behind a hole that was given up.
    #[inline]
    pub(super) fn arrival(&self, len: usize) -> Option<Arrival> {
        if self.held.is_empty() {
            return None;
        }
        let end = self.next.wrapping_sub((self.readable().len().saturating_sub(len)) as u32);
        let within = |(until, _): &&(u32, Arrival)| (until.wrapping_sub(end) as i32) >= 0;
        self.held.iter().find(within).map(|(_, arrival)| *arrival)
    }

    /// The hole after the readable bytes, once it is known that it will stay: its length, 0 when that is unknown.
    #[inline]
    pub(super) fn gap(&self) -> Option<u32> {
        let start = self.pending.first()?.start;
        let hole = start.wrapping_sub(self.next);
        let settled = (self.settled.wrapping_sub(start) as i32) >= 0;
        settled.then_some(if hole <= WINDOW { hole } else { 0 })
    }

    /// Steps over the hole: unread bytes before it are gone, bytes after it become readable.
    pub(super) fn cross(&mut self) -> Option<u32> {
        let hole = self.gap()?;
        self.buffer.clear();
        self.read = 0;
        self.next = self.pending.first()?.start;
        self.held.clear();
        while let Some(first) = self.pending.first().filter(|first| first.start == self.next) {
            let end = first.start.wrapping_add(first.bytes.len() as u32);
            self.held.push((end, first.arrival));
            self.drain_first();
        }
        Some(hole)
    }

    /// Bytes of memory held.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity() + self.pending_bytes
    }

    /// Where a stream starts whose SYN was not seen.
    #[cold]
    fn begin(&mut self, sequence: u32, len: usize) {
        let start = match self.hint {
            Some(hint) if hint.wrapping_sub(sequence) == 1 && len == 1 => hint,
            Some(hint) if sequence.wrapping_sub(hint) <= WINDOW => hint,
            _ => sequence,
        };
        self.start(start);
        if sequence.wrapping_sub(start) <= WINDOW {
            self.settle(self.hint.unwrap_or(start));
        }
    }

    /// Appends bytes at `next`, and what was pending behind them. Bytes that came first win.
    #[inline]
    fn append(&mut self, at: Timestamp, mut fresh: &[u8], limits: &Limits) -> Effect {
        let mut effect = Effect::default();
        if fresh.is_empty() {
            return effect;
        }
        if self.buffer.len() - self.read + fresh.len() > limits.stream_bytes {
            effect.dropped = fresh.len() as u32;
            self.settle(self.next.wrapping_add(effect.dropped));
            return effect;
        }
        if self.pending.is_empty() {
            self.extend(fresh);
            effect.added = fresh.len() as u32;
            return effect;
        }
        self.waiting_since = self.waiting_since.max(at);
        let before = self.next;
        while let Some(first) = self.pending.first() {
            let hole = first.start.wrapping_sub(self.next) as usize;
            let (into_hole, beyond) = fresh.split_at(fresh.len().min(hole));
            if into_hole.len() < hole {
                break;
            }
            let overlap = beyond.len().min(first.bytes.len());
            effect.repeated += overlap as u32;
            effect.conflict |= first.bytes.get(..overlap) != beyond.get(..overlap);
            fresh = beyond.get(overlap..).unwrap_or_default();
            self.extend(into_hole);
            self.drain_first();
        }
        self.extend(fresh);
        effect.added = self.next.wrapping_sub(before);
        effect
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.advance(bytes.len() as u32);
    }

    #[inline]
    fn advance(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count);
        if (self.settled.wrapping_sub(self.next) as i32) < 0 {
            self.settled = self.next;
        }
    }

    /// Moves the first pending segment, which starts at `next`, to the buffer.
    fn drain_first(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let first = self.pending.remove(0);
        self.pending_bytes -= first.bytes.len();
        self.extend(&first.bytes);
    }

    /// Keeps a segment that lies after a hole; bytes that came first win.
    #[cold]
    fn hold(&mut self, arrival: Arrival, sequence: u32, payload: &[u8], limits: &Limits) -> Effect {
        let mut effect = Effect::default();
        if payload.is_empty() {
            return effect;
        }
        if self.pending.is_empty() {
            self.waiting_since = arrival.at;
        }
        let (mut cursor, mut rest, mut index) = (sequence, payload, 0);
        while !rest.is_empty() {
            let (hole, known) = match self.pending.get(index) {
                Some(next) => {
                    let hole = next.start.wrapping_sub(cursor);
                    if (hole as i32) > 0 {
                        (hole as usize, None)
                    } else {
                        (0, next.bytes.get(cursor.wrapping_sub(next.start) as usize..))
                    }
                }
                None => (usize::MAX, None),
            };
            let step = if hole > 0 {
                let step = hole.min(rest.len());
                let (bytes, _) = rest.split_at(step);
                if self.pending_bytes + step > limits.stream_bytes || self.pending.len() >= MAX_PENDING {
                    effect.dropped += step as u32;
                } else {
                    self.pending_bytes += step;
                    index = self.insert(index, cursor, arrival, bytes);
                }
                step
            } else {
                let known = known.unwrap_or_default();
                let step = known.len().min(rest.len());
                effect.repeated += step as u32;
                effect.conflict |= known.get(..step) != rest.get(..step);
                index += 1;
                step
            };
            cursor = cursor.wrapping_add(step as u32);
            rest = rest.get(step..).unwrap_or_default();
        }
        if self.pending_bytes > limits.reorder_bytes || self.pending.len() >= MAX_PENDING {
            self.give_up();
        }
        effect
    }

    /// Inserts a pending segment before `index`, or lengthens the one of the same frame before; returns the index after it.
    fn insert(&mut self, index: usize, start: u32, arrival: Arrival, bytes: &[u8]) -> usize {
        let before = index.checked_sub(1).and_then(|before| self.pending.get_mut(before));
        match before {
            Some(before)
                if before.arrival == arrival
                    && before.start.wrapping_add(before.bytes.len() as u32) == start =>
            {
                before.bytes.extend_from_slice(bytes);
                index
            }
            _ => {
                self.pending.insert(index, Pending { start, arrival, bytes: bytes.to_vec() });
                index + 1
            }
        }
    }

    /// The hole before the first pending segment will stay.
    fn give_up(&mut self) {
        if let Some(first) = self.pending.first() {
            self.settled = first.start;
        }
    }

    /// Bytes before `sequence` that have not come will not come.
    #[inline]
    fn settle(&mut self, sequence: u32) {
        let ahead = sequence.wrapping_sub(self.next);
        if ahead <= WINDOW && ahead > self.settled.wrapping_sub(self.next) {
            self.settled = sequence;
        }
    }

    /// Whether `old`, which starts `behind` bytes before `next`, differs from what is still held of it.
    fn differs(&self, behind: usize, old: &[u8]) -> bool {
        let (skip, start) = match self.buffer.len().checked_sub(behind) {
            Some(start) => (0, start),
            None => (behind - self.buffer.len(), 0),
        };
        let old = old.get(skip..).unwrap_or_default();
        self.buffer.get(start..start + old.len()).is_some_and(|held| held != old)
    }

    /// A segment outside any window: counted; after some that continue each other the stream goes on with them.
    #[cold]
    fn stray(&mut self, arrival: Arrival, sequence: u32, payload: &[u8]) -> Effect {
        if payload.is_empty() {
            return Effect { stray: true, ..Effect::default() };
        }
        self.strays = if self.strays > 0 && self.stray_next == sequence { self.strays + 1 } else { 1 };
        self.stray_next = sequence.wrapping_add(payload.len() as u32);
        if self.strays < STRAYS_BELIEVED {
            return Effect { stray: true, dropped: payload.len() as u32, ..Effect::default() };
        }
        self.strays = 0;
        self.pending.clear();
        self.pending.push(Pending { start: sequence, arrival, bytes: payload.to_vec() });
        self.pending_bytes = payload.len();
        self.settled = sequence;
        Effect { stray: true, ..Effect::default() }
    }
}
