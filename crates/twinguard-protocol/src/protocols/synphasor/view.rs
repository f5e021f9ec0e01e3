//! A view on the bytes of one frame: shows even nonsense, flags what is odd.
//!
//! Source: IEEE C37.118.2-2011 §6.2 (message framework), table 2 (common words), annex B (cyclic redundancy check).

use twinguard_types::Oddity;

use super::config::Config;
use crate::bytes::{be16, be32};
use crate::protocol::{Cut, Oddities, Sender};

/// Bytes before the data: SYNC, FRAMESIZE, IDCODE, SOC, FRACSEC (table 2).
pub const HEADER_LEN: usize = 14;
/// Bytes of the check word.
const CHECK_LEN: usize = 2;

/// What a frame is (table 2, bits 6 to 4 of the second byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameType {
    /// Measurements (§6.3).
    Data,
    /// Text for people (§6.6).
    Header,
    /// What the unit could send (§6.4).
    Config1,
    /// What it does send (§6.4).
    Config2,
    /// An order to the unit (§6.6).
    Command,
    /// What it does send, with more about it (§6.5).
    Config3,
    /// Not defined.
    Unknown,
}

/// One frame; borrows its bytes and the configuration that explains it.
///
/// ```
/// use twinguard_protocol::protocols::synphasor::{FrameType, View};
///
/// // Table D.5 of the standard: turn on the stream of unit 7734.
/// let view = View::new(&[
///     0xaa, 0x41, 0, 0x12, 0x1e, 0x36, 0x44, 0x85, 0x27, 0xf0, 0x56, 0x07, 0x10, 0x98, 0, 2, 0x69, 0x3f,
/// ]).unwrap();
/// assert_eq!((view.frame_type(), view.id(), view.command()), (FrameType::Command, 7734, Some(2)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    oddities: Oddities,
    pub(super) config: Option<&'a Config>,
}

impl<'a> View<'a> {
    /// Reads a whole frame; `None` when it is shorter than its common words.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let [sync, kind, s1, s0, ..] = bytes.get(..HEADER_LEN + CHECK_LEN)? else { return None };
        let mut oddities = Oddities::NONE;
        if *sync != 0xaa || kind & 0x80 != 0 {
            oddities.push(Oddity::BadProtocolId, 0);
        }
        // Table 2: version 1 is C37.118-2005, 2 is C37.118.2-2011; 3 is IEC/IEEE 60255-118-1.
        if !matches!(kind & 0x0f, 1..=3) || kind >> 4 & 7 > 5 {
            oddities.push(Oddity::BadValue, 1);
        }
        if usize::from(u16::from_be_bytes([*s1, *s0])) != bytes.len() {
            oddities.push(Oddity::LengthMismatch, 2);
        } else if be16(bytes, bytes.len() - CHECK_LEN) != bytes.get(..bytes.len() - CHECK_LEN).map(checksum) {
            oddities.push(Oddity::BadChecksum, bytes.len() - CHECK_LEN);
        }
        Some(Self { bytes, oddities, config: None })
    }

    /// All bytes of the frame.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes between the common words and the check word.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        let end = self.bytes.len().saturating_sub(CHECK_LEN);
        self.bytes.get(HEADER_LEN..end).unwrap_or_default()
    }

    /// The number of the frame type.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.bytes.get(1).map_or(0, |kind| kind >> 4 & 7)
    }

    /// The version number.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.bytes.get(1).map_or(0, |kind| kind & 0x0f)
    }

    /// What it is.
    #[must_use]
    pub fn frame_type(&self) -> FrameType {
        match self.code() {
            0 => FrameType::Data,
            1 => FrameType::Header,
            2 => FrameType::Config1,
            3 => FrameType::Config2,
            4 => FrameType::Command,
            5 => FrameType::Config3,
            _ => FrameType::Unknown,
        }
    }

    /// The size, as told.
    #[must_use]
    pub fn size(&self) -> u16 {
        be16(self.bytes, 2).unwrap_or_default()
    }

    /// The identifier of the stream: the unit that sends, or that is to obey.
    #[must_use]
    pub fn id(&self) -> u16 {
        be16(self.bytes, 4).unwrap_or_default()
    }

    /// Seconds since 1970, without leap seconds (table 2).
    #[must_use]
    pub fn seconds(&self) -> u32 {
        be32(self.bytes, 6).unwrap_or_default()
    }

    /// Time quality: leap second bits and the indicator of table 4.
    #[must_use]
    pub fn time_quality(&self) -> u8 {
        self.bytes.get(10).copied().unwrap_or_default()
    }

    /// The fraction of the second, to be divided by the configured base.
    #[must_use]
    pub fn fraction(&self) -> u32 {
        be32(self.bytes, 10).unwrap_or_default() & 0x00ff_ffff
    }

    /// The command of a command frame (table 15).
    #[must_use]
    pub fn command(&self) -> Option<u16> {
        (self.frame_type() == FrameType::Command).then(|| be16(self.data(), 0)).flatten()
    }

    /// The check word, as told.
    #[must_use]
    pub fn check_word(&self) -> u16 {
        be16(self.bytes, self.bytes.len().saturating_sub(CHECK_LEN)).unwrap_or_default()
    }

    /// The configuration of its stream, where it was seen.
    #[must_use]
    pub const fn config(&self) -> Option<&'a Config> {
        self.config
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// CRC-CCITT: polynomial x¹⁶ + x¹² + x⁵ + 1, from 0xffff on (annex B).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc: u16, byte| {
        // Annex B's method without a table: a byte at a time.
        let quick = crc >> 8 ^ u16::from(*byte);
        let quick = quick ^ quick >> 4;
        crc << 8 ^ quick ^ quick << 5 ^ quick << 12
    })
}

/// Where the first frame ends.
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [] | [0xaa] => Cut::More(4),
        [0xaa, kind, ..] if kind & 0x80 != 0 || kind >> 4 > 5 => Cut::Foreign,
        [0xaa, _, s1, s0, ..] => {
            let size = usize::from(u16::from_be_bytes([*s1, *s0]));
            if size < HEADER_LEN + CHECK_LEN {
                Cut::Foreign
            } else if bytes.len() < size {
                Cut::More(size)
            } else {
                Cut::Message(size)
            }
        }
        [0xaa, ..] => Cut::More(4),
        _ => Cut::Foreign,
    }
}

/// Who sends these bytes, if they are whole frames: sync byte, type, size and check word together leave no doubt.
pub(super) fn probe(bytes: &[u8]) -> Option<Sender> {
    let (mut rest, mut found) = (bytes, None);
    for _ in 0..4 {
        let Cut::Message(len) = cut(rest) else { return None };
        let (frame, after) = rest.split_at_checked(len)?;
        let view = View::new(frame)?;
        if !view.oddities.is_empty() {
            return None;
        }
        let asks = view.frame_type() == FrameType::Command;
        let sender = if asks { Sender::Client } else { Sender::Server };
        if found.is_some_and(|found| found != sender) {
            return None;
        }
        found = Some(sender);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    found
}
