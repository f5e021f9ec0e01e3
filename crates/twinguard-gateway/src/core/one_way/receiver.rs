//! The side that is told.

use std::collections::BTreeMap;

use reed_solomon_simd::decode;
use twinguard::types::{Duration, Timestamp};

use super::block;
use super::datagram::{Header, StreamId};
use super::seal::{Key, Refused, Sealer};
use super::state::State;
use crate::core::PointText;

/// Blocks that a receiver keeps while it waits for the first of them: when a later one comes, the first is given up.
pub const WINDOW: u64 = 16;

/// How long a receiver waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// For the rest of a block, once a datagram of it or of a later one has come.
    pub patience: Duration,
    /// For any datagram, before the line is told to be silent.
    pub silence: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { patience: Duration::from_secs(2), silence: Duration::from_secs(10) }
    }
}

/// Blocks that are lost: more of each than its parity makes good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: StreamId,
    /// The first block that is lost.
    pub from: u64,
    /// The first one behind them that is not.
    pub to: u64,
}

/// What a receiver tells, in the order of the stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// A batch, as it was given to the sender.
    Batch(Vec<PointText>),
    /// Blocks are lost.
    Gap(Gap),
    /// A block came whole from somebody with the key, and holds, in whole or in part, no lists of points; that part is left out.
    Unreadable {
        /// The block.
        block: u64,
    },
    /// Nothing valid has come for [`Waits::silence`]; told once, until something comes.
    Silent {
        /// When something came last, or when the receiver was first asked.
        since: Timestamp,
    },
    /// Something valid has come after silence was told.
    Heard,
}

/// What a receiver counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that were opened and belong to the stream that is heard.
    pub datagrams: u64,
    /// Of them those that were not needed: parity of whole blocks, repetitions, and what came after its block was given up.
    pub spare: u64,
    /// Bytes that are no datagram of ours, or contradict another one of their block.
    pub malformed: u64,
    /// Datagrams that no holder of the key has sealed.
    pub forged: u64,
    /// Datagrams of streams that began before one that was heard.
    pub old: u64,
    /// Blocks that came through, empty ones too.
    pub blocks: u64,
    /// Of them those that lacked datagrams and were made whole by parity.
    pub recovered: u64,
    /// Blocks that are lost.
    pub lost: u64,
    /// Batches that came through.
    pub batches: u64,
    /// Blocks that held something other than lists of points.
    pub unreadable: u64,
}

/// Turns datagrams into the batches that they were made of. Times that are given have to grow.
#[derive(Debug)]
pub struct Receiver {
    sealer: Sealer,
    waits: Waits,
    state: Option<State>,
    pending: BTreeMap<u64, Pending>,
    /// When something valid came last.
    heard: Option<Timestamp>,
    /// From when on silence is counted.
    listens: Option<Timestamp>,
    silent: bool,
    counts: Counts,
}

/// A block of which something has come.
#[derive(Debug)]
struct Pending {
    data: u8,
    parity: u8,
    /// Bytes of a piece.
    length: usize,
    /// When its first datagram came.
    since: Timestamp,
    /// By their places.
    pieces: BTreeMap<u8, Vec<u8>>,
}

impl Receiver {
    /// A receiver that has heard `state`; without it, nothing.
    #[must_use]
    pub fn new(key: &Key, state: Option<State>, waits: Waits) -> Self {
        Self {
            sealer: Sealer::new(key),
            waits,
            state,
            pending: BTreeMap::new(),
            heard: None,
            listens: None,
            silent: false,
            counts: Counts::default(),
        }
    }

    /// Takes a datagram from anybody; gives what can be told now.
    pub fn take(&mut self, now: Timestamp, datagram: &[u8]) -> Vec<Told> {
        let mut told = self.tick(now);
        let (header, piece) = match self.sealer.open(datagram) {
            Ok(opened) => opened,
            Err(Refused::Malformed) => {
                self.counts.malformed += 1;
                return told;
            }
            Err(Refused::Forged) => {
                self.counts.forged += 1;
                return told;
            }
        };
        let Some(next) = self.follow(&header, &mut told) else {
            self.counts.old += 1;
            return told;
        };
        self.heard = Some(now);
        if core::mem::take(&mut self.silent) {
            told.push(Told::Heard);
        }
        self.counts.datagrams += 1;
        if header.block < next {
            self.counts.spare += 1;
            return told;
        }
        self.release_before(header.block.saturating_sub(WINDOW - 1), &mut told);
        self.keep(now, &header, piece);
        self.release_whole(&mut told);
        told
    }

    /// Time passed: gives what nobody waits for any longer.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Told> {
        let mut told = Vec::new();
        let over = |it: &Pending| it.since + self.waits.patience <= now;
        if let Some((last, _)) = self.pending.iter().rev().find(|(_, it)| over(it)) {
            self.release_before(last.saturating_add(1), &mut told);
            self.release_whole(&mut told);
        }
        let since = self.heard.unwrap_or(*self.listens.get_or_insert(now));
        if !self.silent && since + self.waits.silence <= now {
            self.silent = true;
            told.push(Told::Silent { since });
        }
        told
    }

    /// When [`Receiver::tick`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let block = self.pending.values().map(|it| it.since + self.waits.patience).min();
        let silent = self.heard.or(self.listens).filter(|_| !self.silent).map(|at| at + self.waits.silence);
        block.into_iter().chain(silent).min()
    }

    /// What has been heard, to be kept: what was told up to now is never told again by a receiver that starts from it.
    #[must_use]
    pub const fn state(&self) -> Option<State> {
        self.state
    }

    /// When something valid came last.
    #[must_use]
    pub const fn heard(&self) -> Option<Timestamp> {
        self.heard
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Blocks and pieces that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.pending.len(), self.pending.values().map(|it| it.pieces.len()).sum())
    }

    /// The next block of the stream that a datagram belongs to; `None` for a stream that is not the newest.
    fn follow(&mut self, header: &Header, told: &mut Vec<Told>) -> Option<u64> {
        match self.state {
            Some(state) if state.stream == header.stream => {
                return (state.began == header.began).then_some(state.next);
            }
            Some(state) if header.began <= state.began => return None,
            _ => {}
        }
        // The sender has started again: of the stream before nothing more will come.
        if let Some((last, _)) = self.pending.last_key_value() {
            self.release_before(last.saturating_add(1), told);
        }
        self.pending.clear();
        self.state = Some(State { stream: header.stream, began: header.began, next: 0 });
        Some(0)
    }

    fn keep(&mut self, now: Timestamp, header: &Header, piece: Vec<u8>) {
        let Header { data, parity, .. } = *header;
        let block = self.pending.entry(header.block).or_insert_with(|| Pending {
            data,
            parity,
            length: piece.len(),
            since: now,
            pieces: BTreeMap::new(),
        });
        if (block.data, block.parity, block.length) != (data, parity, piece.len()) {
            self.counts.malformed += 1;
        } else if block.is_whole() || block.pieces.contains_key(&header.place) {
            self.counts.spare += 1;
        } else {
            block.pieces.insert(header.place, piece);
        }
    }

    /// Tells the next blocks as long as they are whole.
    fn release_whole(&mut self, told: &mut Vec<Told>) {
        while let (Some(state), Some((number, block))) = (self.state, self.pending.first_key_value()) {
            if *number != state.next || !block.is_whole() {
                return;
            }
            self.release_before(state.next.saturating_add(1), told);
        }
    }

    /// Deals with all blocks before this one: those that are whole are told, the others are lost.
    fn release_before(&mut self, end: u64, told: &mut Vec<Told>) {
        while let Some(state) = self.state.filter(|it| it.next < end) {
            let first = self.pending.first_key_value().map(|(number, _)| *number).filter(|it| *it < end);
            let next = match first {
                Some(number) if number == state.next => {
                    match self.pending.remove(&number).and_then(|it| it.bytes()) {
                        Some((bytes, recovered)) => self.tell(number, &bytes, recovered, told),
                        None => self.lose(state.stream, number, number + 1, told),
                    }
                    number + 1
                }
                other => {
                    let to = other.unwrap_or(end);
                    self.lose(state.stream, state.next, to, told);
                    to
                }
            };
            self.state = Some(State { next, ..state });
        }
    }

    fn tell(&mut self, block: u64, bytes: &[u8], recovered: bool, told: &mut Vec<Told>) {
        self.counts.blocks += 1;
        self.counts.recovered += u64::from(recovered);
        let batches = block::batches(bytes);
        let mut readable = batches.is_some();
        for batch in batches.unwrap_or_default() {
            match serde_json::from_slice(batch) {
                Ok(points) => {
                    self.counts.batches += 1;
                    told.push(Told::Batch(points));
                }
                Err(_) => readable = false,
            }
        }
        if !readable {
            self.counts.unreadable += 1;
            told.push(Told::Unreadable { block });
        }
    }

    fn lose(&mut self, stream: StreamId, from: u64, to: u64, told: &mut Vec<Told>) {
        self.counts.lost = self.counts.lost.saturating_add(to.saturating_sub(from));
        match told.last_mut() {
            Some(Told::Gap(gap)) if gap.stream == stream && gap.to == from => gap.to = to,
            _ => told.push(Told::Gap(Gap { stream, from, to })),
        }
    }
}

impl Pending {
    fn is_whole(&self) -> bool {
        self.pieces.len() >= usize::from(self.data)
    }

    /// The block's bytes, and whether parity was needed; `None` where too much of it is missing.
    fn bytes(mut self) -> Option<(Vec<u8>, bool)> {
        let data = usize::from(self.data);
        let parity = self.pieces.split_off(&self.data);
        let recovered = self.pieces.len() < data;
        if recovered {
            let original = self.pieces.iter().map(|(place, piece)| (usize::from(*place), piece));
            let parity =
                parity.iter().map(|(place, piece)| (usize::from(*place).saturating_sub(data), piece));
            for (place, piece) in decode(data, usize::from(self.parity), original, parity).ok()? {
                self.pieces.insert(u8::try_from(place).ok()?, piece);
            }
        }
        (self.pieces.len() == data).then(|| (self.pieces.into_values().flatten().collect(), recovered))
    }
}
