//! The nouns of TCP reassembly: connections, their ends and directions, bounds, what a segment led to.

use core::net::SocketAddr;

use twinguard_types::{Duration, Oddity, Timestamp};

/// Hard bounds of an [`Assembler`](super::Assembler).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections held at a time; beyond it the one that was silent longest goes, closed ones first.
    pub flows: usize,
    /// Unread bytes of one direction, and as many again after a hole; more are dropped, counted and reported.
    pub stream_bytes: usize,
    /// Bytes after a hole that are waited with; beyond it the hole is given up.
    pub reorder_bytes: usize,
    /// Consumed bytes of one direction that are kept to compare retransmissions with.
    pub history: usize,
    /// Bytes held for all connections together; beyond it the one that was silent longest goes.
    pub total_bytes: usize,
    /// How long a hole is waited for while the stream stands still.
    pub gap_wait: Duration,
    /// Silence after which a connection is forgotten. Keep-alives come every two hours (RFC 9293 §3.8.4).
    pub idle: Duration,
    /// Silence after which a closed connection is forgotten.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 1 << 16,
            stream_bytes: 256 << 10,
            reorder_bytes: 64 << 10,
            history: 2 << 10,
            total_bytes: 256 << 20,
            gap_wait: Duration::from_secs(5),
            idle: Duration::from_secs(3 * 3_600),
            linger: Duration::from_secs(60),
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The sender of the first segment that was seen.
    First,
    /// Its peer.
    Second,
}

impl End {
    /// The peer.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A connection in the assembler's table.
///
/// `index` is small and reused after a connection ended, so it may index the caller's own table; the generation tells
/// an old connection from a new one in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl FlowId {
    /// Place in the table, below [`Limits::flows`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.slot as usize
    }

    /// Counts the connections that had this place before.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// One direction of a connection: the bytes that `end` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side {
    /// The connection.
    pub flow: FlowId,
    /// The sender.
    pub end: End,
}

impl Side {
    /// The other direction.
    #[must_use]
    #[inline]
    pub const fn other(self) -> Self {
        Self { flow: self.flow, end: self.end.other() }
    }
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Addresses of [`End::First`] and [`End::Second`].
    pub ends: [SocketAddr; 2],
    /// Who opened it; nothing when the handshake was not seen.
    pub client: Option<End>,
    /// Index of the first frame.
    pub first_frame: u64,
    /// Time of the first frame.
    pub first_at: Timestamp,
    /// Time of the last frame.
    pub last_at: Timestamp,
    /// Whether the capture joined it while it was running.
    pub mid_stream: bool,
    /// Who has said that it will send no more.
    pub finished: [bool; 2],
    /// Whether it was reset.
    pub reset: bool,
}

impl Flow {
    /// The address of an end.
    #[must_use]
    pub const fn address(&self, end: End) -> SocketAddr {
        let [first, second] = self.ends;
        match end {
            End::First => first,
            End::Second => second,
        }
    }

    /// Whether it was reset or both ends have finished.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        let [first, second] = self.finished;
        self.reset || (first && second)
    }
}

/// The odd things about one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Bytes of the stream will never be seen.
    pub gap: bool,
    /// Bytes came again with other content; the first content stands.
    pub conflict: bool,
    /// A bound was reached, or the segment lies outside any window, and bytes were dropped.
    pub dropped: bool,
}

impl Oddities {
    /// In the words of the vocabulary.
    pub fn iter(self) -> impl Iterator<Item = Oddity> {
        [
            self.gap.then_some(Oddity::Gap),
            self.conflict.then_some(Oddity::ConflictingOverlap),
            self.dropped.then_some(Oddity::Dropped),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether anything is odd.
    #[inline]
    #[must_use]
    pub const fn any(self) -> bool {
        self.gap || self.conflict || self.dropped
    }
}

/// Directions of one connection that are to be read, in that order: what the peer sent was there before the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub(super) side: Side,
    pub(super) peer: bool,
    pub(super) own: bool,
}

impl Ready {
    /// Nothing to read.
    pub const NONE: Self = Self {
        side: Side { flow: FlowId { slot: 0, generation: 0 }, end: End::First },
        peer: false,
        own: false,
    };

    /// The first of them.
    #[inline]
    #[must_use]
    pub const fn first(self) -> Option<Side> {
        match self {
            Self { side, peer: true, .. } => Some(side.other()),
            Self { side, own: true, .. } => Some(side),
            _ => None,
        }
    }

    /// Those behind the first.
    #[inline]
    #[must_use]
    pub const fn rest(self) -> Self {
        Self { peer: false, own: self.peer && self.own, ..self }
    }

    /// All of them.
    pub fn sides(self) -> impl Iterator<Item = Side> {
        [self.peer.then_some(self.side.other()), self.own.then_some(self.side)].into_iter().flatten()
    }
}

/// What a segment led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The direction that the segment belongs to.
    pub side: Side,
    /// Directions that now have something to read or a hole to step over.
    pub ready: Ready,
    /// What was odd.
    pub oddities: Oddities,
}

/// What an assembler saw, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments taken.
    pub segments: u64,
    /// Payload bytes taken.
    pub bytes: u64,
    /// Payload bytes that had come before.
    pub repeated_bytes: u64,
    /// Segments that repeated bytes with other content.
    pub conflicts: u64,
    /// Holes that were stepped over.
    pub gaps: u64,
    /// Bytes in those holes, where known.
    pub gap_bytes: u64,
    /// Payload bytes thrown away because of a bound or outside any window.
    pub dropped_bytes: u64,
    /// Segments outside any window.
    pub strays: u64,
    /// Connections seen.
    pub flows: u64,
    /// Connections forgotten because a bound was reached.
    pub evicted_flows: u64,
    /// Unread bytes that went with forgotten connections.
    pub evicted_bytes: u64,
}
