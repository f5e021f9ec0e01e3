//! A frame as the capture or the wire gives it.

use twinguard_types::Timestamp;

/// What the first byte of a frame is, by its number in the registry of link types.
///
/// Source: <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkType {
    /// BSD loopback, the address family in the byte order of the capturing machine (0).
    Null,
    /// Ethernet (1).
    Ethernet,
    /// Bare IPv4 or IPv6 (101; 12 and 14 on some systems).
    RawIp,
    /// OpenBSD loopback, the address family in network byte order (108).
    Loop,
    /// Linux cooked capture, first version (113).
    LinuxSll,
    /// Frames of BACnet MS/TP, from their preamble on (165).
    MsTp,
    /// Bare IPv4 (228).
    Ipv4,
    /// Bare IPv6 (229).
    Ipv6,
    /// A serial line as a real-time automation controller records it: twelve bytes of time, event and control lines, then
    /// what passed (250).
    RtacSerial,
    /// Linux cooked capture, second version (276).
    LinuxSll2,
    /// Any other number: frames are handed out, not decoded.
    Other(u16),
}

impl LinkType {
    /// From the number in a capture file.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::RawIp,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            165 => Self::MsTp,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            250 => Self::RtacSerial,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }

    /// The number for a capture file.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::Loop => 108,
            Self::LinuxSll => 113,
            Self::MsTp => 165,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::RtacSerial => 250,
            Self::LinuxSll2 => 276,
            Self::Other(number) => number,
        }
    }
}

impl core::fmt::Display for LinkType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.number().fmt(f)
    }
}

/// One frame; borrows its bytes.
///
/// ```
/// use twinguard_protocol::{Frame, LinkType};
/// use twinguard_types::Timestamp;
///
/// let frame = Frame { index: 1, at: Timestamp::from_secs(1), link: LinkType::Ethernet, bytes: &[0; 60], original_len: 1514 };
/// assert!(frame.is_cut());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Position in its capture, from 1.
    pub index: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// What its first byte is.
    pub link: LinkType,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Its length on the wire; more than `bytes` holds when the capture cut it.
    pub original_len: u32,
}

impl Frame<'_> {
    /// Whether the capture holds fewer bytes than the wire carried.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.original_len as usize > self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for number in 0..=u16::MAX {
            let back = LinkType::from_number(number).number();
            assert!(back == number || [12, 14].contains(&number) && back == 101);
        }
    }
}
