//! Reassembly of fragments (RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722).

use core::net::IpAddr;

use twinguard_types::{Duration, Oddity, Timestamp};

use super::{Fragment, IpPacket, Transport, decode_chain, decode_transport};
use crate::error::DecodeError;

/// The longest payload that an offset of 13 bits and a length of 16 bits can describe.
const MAX_LEN: usize = 65_535;
/// Fragments start at multiples of this.
const UNIT: usize = 8;

/// Hard bounds of a [`Defragmenter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Packets in reassembly at a time, each of at most 64 KiB; beyond it the oldest is dropped.
    pub packets: usize,
    /// How long the pieces of a packet are waited for.
    pub wait: Duration,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        // RFC 8200 §4.5 waits 60 s.
        Self { packets: 64, wait: Duration::from_secs(60) }
    }
}

/// What a packet led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defragmented<'a> {
    /// The whole packet, when this fragment was the last one missing; anything but a fragment comes back as it is.
    pub packet: Option<IpPacket<'a>>,
    /// What was odd.
    pub oddity: Option<Oddity>,
}

/// Puts the fragments of IP packets together; anything else passes through untouched.
///
/// **Policy.** The bytes that came first win. When a later fragment overlaps with other content, an IPv4 packet keeps
/// the first bytes and an IPv6 packet is abandoned, as RFC 5722 wants it; both are reported as
/// [`Oddity::ConflictingOverlap`]. Fragments that cannot be (a length that is no multiple of 8 before the end, an end
/// beyond 64 KiB or beyond the packet's) are dropped and reported as [`Oddity::LengthMismatch`], those that the
/// capture cut as [`Oddity::Truncated`], packets given up for room as [`Oddity::Dropped`], for time as [`Oddity::Gap`].
///
/// ```
/// use twinguard_protocol::{LinkType, ip::{Defragmenter, FragmentLimits, Transport}, link};
/// use twinguard_types::Timestamp;
///
/// let piece = |offset: u8, more: u8, payload: &[u8]| {
///     let mut frame = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 7, more, offset, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
///     frame.extend_from_slice(payload);
///     frame
/// };
/// let pieces = [piece(1, 0, &[1, 2, 3]), piece(0, 0x20, &[0, 53, 0, 53, 0, 11, 0, 0])];
/// let mut defragmenter = Defragmenter::new(FragmentLimits::default());
/// let mut payload = Vec::new();
/// for piece in &pieces {
///     let link::Network::Ip(packet) = link::decode(LinkType::Ipv4, piece)?.network else { continue };
///     if let Some(whole) = defragmenter.push(Timestamp::ZERO, &packet)?.packet
///         && let Transport::Udp(datagram) = whole.transport
///     {
///         payload = datagram.payload.to_vec();
///     }
/// }
/// assert_eq!(payload, [1, 2, 3]);
/// # Ok::<(), twinguard_protocol::DecodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Defragmenter {
    limits: FragmentLimits,
    /// From oldest to newest.
    entries: Vec<Entry>,
    whole: Vec<u8>,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// The protocol that the fragment at offset 0 names; in IPv4 all name the same.
    protocol: u8,
    since: Timestamp,
    bytes: Vec<u8>,
    /// One bit for each unit that came.
    units: Vec<u64>,
    /// Length, once the last fragment came.
    total: Option<usize>,
    abandoned: bool,
}

impl Defragmenter {
    /// An empty defragmenter.
    #[must_use]
    pub fn new(limits: FragmentLimits) -> Self {
        Self { limits: FragmentLimits { packets: limits.packets.max(1), ..limits }, ..Self::default() }
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// [`DecodeError`] when a packet is whole and its transport header cannot be read; the offset counts from the
    /// start of the reassembled payload.
    #[inline]
    pub fn push<'a>(
        &'a mut self,
        at: Timestamp,
        packet: &IpPacket<'a>,
    ) -> Result<Defragmented<'a>, DecodeError> {
        match packet.transport {
            Transport::Fragment(fragment) => self.assemble(at, packet, &fragment),
            _ => Ok(Defragmented { packet: Some(*packet), oddity: None }),
        }
    }

    /// Packets given up so far, for room or for time.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    #[cold]
    fn assemble<'a>(
        &'a mut self,
        at: Timestamp,
        packet: &IpPacket<'a>,
        fragment: &Fragment<'_>,
    ) -> Result<Defragmented<'a>, DecodeError> {
        let waiting = |oddity| Ok(Defragmented { packet: None, oddity });
        let held = self.entries.len();
        self.entries.retain(|entry| at.since(entry.since) <= self.limits.wait);
        let expired = held - self.entries.len();
        self.dropped += expired as u64;
        let mut oddity = (expired > 0).then_some(Oddity::Gap);

        if fragment.missing > 0 {
            return waiting(Some(Oddity::Truncated));
        }
        let start = usize::from(fragment.offset);
        let end = start + fragment.payload.len();
        let ragged = fragment.more && !fragment.payload.len().is_multiple_of(UNIT);
        if ragged || end > MAX_LEN || fragment.payload.is_empty() {
            return waiting(Some(Oddity::LengthMismatch));
        }
        let index = match self.entries.iter().position(|entry| entry.is_of(packet, fragment)) {
            Some(index) => index,
            None => {
                if self.entries.len() >= self.limits.packets {
                    self.entries.remove(0);
                    self.dropped += 1;
                    oddity = Some(Oddity::Dropped);
                }
                self.entries.push(Entry::new(at, packet, fragment));
                self.entries.len() - 1
            }
        };
        let Some(entry) = self.entries.get_mut(index) else { return waiting(oddity) };
        if entry.abandoned {
            return waiting(oddity);
        }
        if let Some(odd) = entry.add(fragment, start, end) {
            oddity = Some(odd);
            entry.abandoned = odd == Oddity::ConflictingOverlap && packet.source.is_ipv6();
        }
        if entry.abandoned || !entry.is_whole() {
            return waiting(oddity);
        }
        let entry = self.entries.remove(index);
        self.whole = entry.bytes;
        let transport = match packet.source {
            IpAddr::V4(_) => decode_transport(entry.protocol, &self.whole, 0, 0)?,
            IpAddr::V6(_) => decode_chain(entry.protocol, &self.whole, 0, 0)?,
        };
        Ok(Defragmented { packet: Some(IpPacket { transport, ..*packet }), oddity })
    }
}

impl Entry {
    fn new(at: Timestamp, packet: &IpPacket<'_>, fragment: &Fragment<'_>) -> Self {
        Self {
            source: packet.source,
            destination: packet.destination,
            identification: fragment.identification,
            protocol: fragment.protocol,
            since: at,
            bytes: Vec::new(),
            units: Vec::new(),
            total: None,
            abandoned: false,
        }
    }

    fn is_of(&self, packet: &IpPacket<'_>, fragment: &Fragment<'_>) -> bool {
        self.identification == fragment.identification
            && self.source == packet.source
            && self.destination == packet.destination
            && (packet.source.is_ipv6() || self.protocol == fragment.protocol)
    }

    /// Adds what is new in a fragment.
    fn add(&mut self, fragment: &Fragment<'_>, start: usize, end: usize) -> Option<Oddity> {
        if self.total.is_some_and(|total| end > total || (!fragment.more && end != total)) {
            return Some(Oddity::LengthMismatch);
        }
        if !fragment.more {
            if self.bytes.len() > end {
                return Some(Oddity::LengthMismatch);
            }
            self.total = Some(end);
        }
        if start == 0 {
            self.protocol = fragment.protocol;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.units.resize(end.div_ceil(UNIT * 64), 0);
        }
        let mut conflict = false;
        let slots = self.bytes.get_mut(start..end).unwrap_or_default().chunks_mut(UNIT);
        for (unit, (slot, piece)) in (start / UNIT..).zip(slots.zip(fragment.payload.chunks(UNIT))) {
            let Some(word) = self.units.get_mut(unit / 64) else { break };
            if *word & 1 << (unit % 64) != 0 {
                conflict |= slot != piece;
            } else {
                *word |= 1 << (unit % 64);
                slot.copy_from_slice(piece);
            }
        }
        conflict.then_some(Oddity::ConflictingOverlap)
    }

    fn is_whole(&self) -> bool {
        let count: u32 = self.units.iter().map(|word| word.count_ones()).sum();
        self.total.is_some_and(|total| count as usize == total.div_ceil(UNIT))
    }
}
