//! The table of connections.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use twinguard_types::Timestamp;

use super::flow::{Counters, End, Flow, FlowId, Limits, Oddities, Pushed, Ready, Side};
use super::segment::{TcpFlags, TcpSegment};
use super::stream::{Arrival, Effect, Stream};

/// Puts the segments of many connections together, each direction to a stream of bytes.
///
/// **Policy.** The bytes that came first win, whatever comes later; a later copy with other content is reported as
/// [`Oddity::ConflictingOverlap`](twinguard_types::Oddity::ConflictingOverlap), as far back as [`Limits::history`].
/// Retransmitted bytes are never shown again. A hole is waited for until the peer acknowledges bytes behind it, the
/// capture says that it cut them, or a bound is reached; then [`Assembler::gap`] shows it and [`Assembler::cross`] steps over it. FIN and RST mark a connection
/// as closed but do not stop it: whoever forges them does not blind the reader. A SYN with a new number on an open
/// connection takes effect when the peer or its sender goes on with that number.
///
/// Read everything that [`Pushed::ready`] names before the next push:
///
/// ```
/// use twinguard_protocol::tcp::{Assembler, Limits, TcpFlags, TcpSegment};
/// use twinguard_types::Timestamp;
///
/// let mut assembler = Assembler::new(Limits::default());
/// let (client, server) = ("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?);
/// let segment = |sequence, payload| TcpSegment {
///     source_port: 40_000, destination_port: 502, sequence, acknowledgement: 0,
///     flags: TcpFlags::PSH, window: 8192, missing: 0, payload,
/// };
/// let mut got = Vec::new();
/// for (frame, (sequence, payload)) in [(7, &b"Hel"[..]), (13, b"world"), (10, b"lo ")].into_iter().enumerate() {
///     let segment = segment(sequence, payload);
///     let pushed = assembler.push(Timestamp::ZERO, frame as u64 + 1, &client, &server, &segment);
///     for side in pushed.ready.sides() {
///         loop {
///             let bytes = assembler.readable(side);
///             let count = bytes.len(); // a real reader takes whole messages
///             got.extend_from_slice(bytes);
///             assembler.consume(side, count);
///             if assembler.cross(side).is_none() { break }
///         }
///     }
/// }
/// assert_eq!(got, b"Hello world");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Assembler {
    limits: Limits,
    counters: Counters,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_ends: BTreeMap<(SocketAddr, SocketAddr), u32>,
    /// Direct-mapped cache before `by_ends`; entries are checked, so stale ones are harmless.
    cache: Vec<u32>,
    open: List,
    closed: List,
    memory: usize,
}

const CACHE_BITS: u32 = 10;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    flow: Flow,
    live: bool,
    generation: u32,
    streams: [Stream; 2],
    /// A SYN with a new number, its sender and frame.
    reopening: Option<(End, u32, u64)>,
    memory: usize,
    in_closed: bool,
    previous: u32,
    next: u32,
}

/// Slots from longest silent to last heard, linked through the slots.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl Assembler {
    /// An empty assembler. A limit of no flows is taken as one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { flows: limits.flows.clamp(1, NONE as usize - 1), ..limits };
        let empty = List { head: NONE, tail: NONE };
        Self {
            limits,
            counters: Counters::default(),
            slots: Vec::new(),
            free: Vec::new(),
            by_ends: BTreeMap::new(),
            cache: vec![NONE; 1 << CACHE_BITS],
            open: empty,
            closed: empty,
            memory: 0,
        }
    }

    /// Takes a segment. `at` may go back a little, as captures do.
    #[inline]
    pub fn push(
        &mut self,
        at: Timestamp,
        frame: u64,
        source: &SocketAddr,
        destination: &SocketAddr,
        segment: &TcpSegment<'_>,
    ) -> Pushed {
        self.counters.segments += 1;
        self.counters.bytes += segment.payload.len() as u64;
        self.expire(at);
        let (slot, end) = self
            .find(source, destination)
            .unwrap_or_else(|| (self.insert(at, frame, *source, *destination), End::First));
        let end = self.control(at, frame, slot, end, segment);
        self.touch(slot);
        let limits = self.limits;
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            // Every slot that `find` and `insert` name is there.
            let side = Side { flow: FlowId { slot, generation: 0 }, end };
            return Pushed { side, ready: Ready::NONE, oddities: Oddities::default() };
        };
        entry.flow.last_at = entry.flow.last_at.max(at);
        let side = Side { flow: FlowId { slot, generation: entry.generation }, end };
        let [first, second] = &mut entry.streams;
        let (own, peer) = match end {
            End::First => (first, second),
            End::Second => (second, first),
        };
        if segment.flags.contains(TcpFlags::ACK) {
            peer.acknowledged(segment.acknowledgement);
        }
        let syn = segment.flags.contains(TcpFlags::SYN);
        let sequence = segment.sequence.wrapping_add(u32::from(syn));
        let mut effect = Effect::default();
        if syn {
            own.start(sequence);
        }
        if !segment.payload.is_empty() || segment.missing > 0 {
            effect = own.push(Arrival { frame, at }, sequence, segment.payload, segment.missing, &limits);
        }
        own.tick(at, &limits);
        peer.tick(at, &limits);
        let (own_gap, peer_gap) = (own.gap().is_some(), peer.gap().is_some());
        let memory = own.memory() + peer.memory();
        self.memory = self.memory + memory - entry.memory;
        entry.memory = memory;
        let ready = Ready { side, peer: peer_gap, own: effect.added > 0 || own_gap };
        self.count(effect);
        let oddities = Oddities {
            gap: own_gap || peer_gap,
            conflict: effect.conflict,
            dropped: effect.dropped > 0 || effect.stray,
        };
        while self.memory > self.limits.total_bytes && self.evict_except(slot) {}
        Pushed { side, ready, oddities }
    }

    /// The bytes of a direction that are in order and were not consumed.
    #[inline]
    #[must_use]
    pub fn readable(&self, side: Side) -> &[u8] {
        self.stream(side).map(Stream::readable).unwrap_or_default()
    }

    /// When the last of the first `len` readable bytes was captured, where that is not the newest segment: it lay
    /// behind bytes that never came, and was held until that was known.
    #[inline]
    #[must_use]
    pub fn arrival(&self, side: Side, len: usize) -> Option<Arrival> {
        self.stream(side).and_then(|stream| stream.arrival(len))
    }

    /// Uses up readable bytes; more than there are means all.
    #[inline]
    pub fn consume(&mut self, side: Side, count: usize) {
        let limits = self.limits;
        if let Some(stream) = self.stream_mut(side) {
            stream.consume(count, &limits);
        }
    }

    /// The hole after the readable bytes once it is known that it will stay: its length, 0 when that is unknown.
    #[inline]
    #[must_use]
    pub fn gap(&self, side: Side) -> Option<u32> {
        self.stream(side)?.gap()
    }

    /// Steps over the hole that [`Assembler::gap`] shows, and returns its length. Unread bytes before it are gone,
    /// the bytes after it become readable.
    #[inline]
    pub fn cross(&mut self, side: Side) -> Option<u32> {
        let hole = self.stream_mut(side)?.cross()?;
        self.counters.gaps += 1;
        self.counters.gap_bytes += u64::from(hole);
        Some(hole)
    }

    /// What is known of a connection; nothing once it was forgotten.
    #[inline]
    #[must_use]
    pub fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.slot(id).map(|slot| &slot.flow)
    }

    /// The sender of a direction.
    #[must_use]
    pub fn source(&self, side: Side) -> Option<SocketAddr> {
        self.flow(side.flow).map(|flow| flow.address(side.end))
    }

    /// The receiver of a direction.
    #[must_use]
    pub fn destination(&self, side: Side) -> Option<SocketAddr> {
        self.source(side.other())
    }

    /// All connections held, in the order of their places in the table.
    pub fn flows(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.live)
            .map(|(index, slot)| (FlowId { slot: index as u32, generation: slot.generation }, &slot.flow))
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes held for streams.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    #[inline]
    fn slot(&self, id: FlowId) -> Option<&Slot> {
        self.slots.get(id.index()).filter(|slot| slot.live && slot.generation == id.generation)
    }

    #[inline]
    fn stream(&self, side: Side) -> Option<&Stream> {
        self.slot(side.flow)?.streams.get(side.end.index())
    }

    #[inline]
    fn stream_mut(&mut self, side: Side) -> Option<&mut Stream> {
        self.slots
            .get_mut(side.flow.index())
            .filter(|slot| slot.live && slot.generation == side.flow.generation)?
            .streams
            .get_mut(side.end.index())
    }

    #[inline]
    fn count(&mut self, effect: Effect) {
        self.counters.repeated_bytes += u64::from(effect.repeated);
        self.counters.conflicts += u64::from(effect.conflict);
        self.counters.dropped_bytes += u64::from(effect.dropped);
        self.counters.strays += u64::from(effect.stray);
    }

    /// The slot of a connection, and which end `source` is.
    #[inline]
    fn find(&mut self, source: &SocketAddr, destination: &SocketAddr) -> Option<(u32, End)> {
        let place = cache_place(source, destination);
        let cached = self.cache.get(place).copied().unwrap_or(NONE);
        if let Some(slot) = self.slots.get(cached as usize).filter(|slot| slot.live) {
            let [first, second] = &slot.flow.ends;
            if first == source && second == destination {
                return Some((cached, End::First));
            }
            if second == source && first == destination {
                return Some((cached, End::Second));
            }
        }
        let found = *self.by_ends.get(&ordered(*source, *destination))?;
        if let Some(entry) = self.cache.get_mut(place) {
            *entry = found;
        }
        let first = self.slots.get(found as usize)?.flow.address(End::First);
        Some((found, if first == *source { End::First } else { End::Second }))
    }

    /// Handles SYN, FIN and RST; returns which end the sender is afterwards, for a new connection may begin.
    #[inline]
    fn control(&mut self, at: Timestamp, frame: u64, slot: u32, end: End, segment: &TcpSegment<'_>) -> End {
        const MARKS: u8 = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
        let Some(entry) = self.slots.get_mut(slot as usize) else { return end };
        if segment.flags.0 & MARKS == 0 && entry.reopening.is_none() {
            return end;
        }
        let flags = segment.flags;
        let syn = flags.contains(TcpFlags::SYN);
        let ack = flags.contains(TcpFlags::ACK);
        let [first, second] = &entry.streams;
        let (own, peer) = if end == End::First { (first, second) } else { (second, first) };
        let after = segment.sequence.wrapping_add(1);
        if syn && !ack {
            if !own.is_started() && !peer.is_started() {
                entry.flow.client = Some(end);
                entry.flow.mid_stream = false;
            } else if !own.began_at(after) {
                if entry.flow.is_closed() || !own.is_started() {
                    return self.reopen(at, frame, slot, end);
                }
                entry.reopening = Some((end, after, frame));
            }
            return end;
        }
        if let Some((opener, expected, opened)) = entry.reopening {
            let answered = syn && end != opener && segment.acknowledgement == expected;
            let continued = !syn && end == opener && segment.sequence == expected;
            if answered || continued {
                let opener_first = self.reopen(at, opened, slot, opener);
                if let Some(entry) = self.slots.get_mut(slot as usize) {
                    let [first, _] = &mut entry.streams;
                    first.start(expected);
                }
                return if answered { opener_first.other() } else { opener_first };
            }
        }
        if syn {
            if !own.is_started() {
                entry.flow.client = Some(end.other());
            } else if !own.began_at(after) && entry.flow.is_closed() {
                // The SYN of a new connection was missed: this is its answer.
                let end = self.reopen(at, frame, slot, end);
                if let Some(entry) = self.slots.get_mut(slot as usize) {
                    entry.flow.client = Some(end.other());
                }
                return end;
            }
            return end;
        }
        if flags.contains(TcpFlags::FIN)
            && let Some(finished) = entry.flow.finished.get_mut(end.index())
        {
            *finished = true;
        }
        if flags.contains(TcpFlags::RST) {
            entry.flow.reset = true;
        }
        end
    }

    /// Begins a new connection between the same ends, the sender of its first segment being `end` of the old one.
    #[cold]
    fn reopen(&mut self, at: Timestamp, frame: u64, slot: u32, end: End) -> End {
        if let Some(entry) = self.slots.get(slot as usize) {
            let (source, destination) = (entry.flow.address(end), entry.flow.address(end.other()));
            self.forget(slot);
            let renewed = self.insert(at, frame, source, destination);
            debug_assert_eq!(renewed, slot, "the slot that was freed last is used first");
            if let Some(entry) = self.slots.get_mut(renewed as usize) {
                entry.flow.client = Some(End::First);
                entry.flow.mid_stream = false;
            }
        }
        End::First
    }

    /// Enters a new connection.
    #[cold]
    fn insert(&mut self, at: Timestamp, frame: u64, source: SocketAddr, destination: SocketAddr) -> u32 {
        if self.free.is_empty() && self.slots.len() >= self.limits.flows {
            self.evict_except(NONE);
        }
        let flow = Flow {
            ends: [source, destination],
            client: None,
            first_frame: frame,
            first_at: at,
            last_at: at,
            mid_stream: true,
            finished: [false; 2],
            reset: false,
        };
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.flow = flow;
            entry.live = true;
            entry.generation = entry.generation.wrapping_add(1);
        } else {
            self.slots.push(Slot {
                flow,
                live: true,
                generation: 0,
                streams: [Stream::default(), Stream::default()],
                reopening: None,
                memory: 0,
                in_closed: false,
                previous: NONE,
                next: NONE,
            });
        }
        self.counters.flows += 1;
        self.by_ends.insert(ordered(source, destination), slot);
        if let Some(entry) = self.cache.get_mut(cache_place(&source, &destination)) {
            *entry = slot;
        }
        self.link(slot);
        slot
    }

    /// Forgets connections that were silent for too long.
    #[inline]
    fn expire(&mut self, at: Timestamp) {
        for (head, patience) in [(self.closed.head, self.limits.linger), (self.open.head, self.limits.idle)] {
            if self.slots.get(head as usize).is_some_and(|slot| at.since(slot.flow.last_at) > patience) {
                self.forget(head);
            }
        }
    }

    /// Forgets the closed connection, else the open one, that was silent longest, but not this one.
    #[cold]
    fn evict_except(&mut self, kept: u32) -> bool {
        for list in [self.closed, self.open] {
            let mut candidate = list.head;
            if candidate == kept && candidate != NONE {
                candidate = self.slots.get(candidate as usize).map_or(NONE, |slot| slot.next);
            }
            if candidate != NONE {
                self.counters.evicted_flows += 1;
                self.forget(candidate);
                return true;
            }
        }
        false
    }

    #[cold]
    fn forget(&mut self, slot: u32) {
        self.unlink(slot);
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        entry.live = false;
        entry.reopening = None;
        self.memory -= entry.memory;
        entry.memory = 0;
        for stream in &mut entry.streams {
            self.counters.evicted_bytes += stream.unread() as u64;
            *stream = Stream::default();
        }
        let [first, second] = entry.flow.ends;
        self.by_ends.remove(&ordered(first, second));
        self.free.push(slot);
    }

    /// Moves a slot to the end of the list it belongs to.
    #[inline]
    fn touch(&mut self, slot: u32) {
        let Some(entry) = self.slots.get(slot as usize) else { return };
        if entry.next != NONE || entry.in_closed != entry.flow.is_closed() {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn link(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        entry.in_closed = entry.flow.is_closed();
        let list = if entry.in_closed { &mut self.closed } else { &mut self.open };
        entry.previous = list.tail;
        entry.next = NONE;
        list.tail = slot;
        let previous = entry.previous;
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = slot,
            None => list.head = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(entry) = self.slots.get(slot as usize) else { return };
        let (previous, next) = (entry.previous, entry.next);
        let list = if entry.in_closed { &mut self.closed } else { &mut self.open };
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => list.tail = previous,
        }
    }
}

fn ordered(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    if a <= b { (a, b) } else { (b, a) }
}

/// A place in the cache, the same for both directions. Nobody gains by forging collisions: a miss costs a lookup.
#[inline]
fn cache_place(a: &SocketAddr, b: &SocketAddr) -> usize {
    let fold = |address: &SocketAddr| {
        let ip = match address.ip() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                (bits >> 64) as u64 ^ bits as u64
            }
        };
        ip ^ u64::from(address.port()) << 32
    };
    (fold(a).wrapping_add(fold(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - CACHE_BITS)) as usize
}
