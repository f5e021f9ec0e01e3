//! What can go wrong while bytes become frames, packets and messages.

use crate::frame::LinkType;

/// What capture files, writers and (in time) point maps refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("cannot read at byte {offset}: {source}")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// What the input said.
        source: std::io::Error,
    },
    /// The output could not be written.
    #[error("cannot write: {source}")]
    Write {
        /// What the output said.
        source: std::io::Error,
    },
    /// The output of values as a table could not be written.
    #[cfg(feature = "parquet")]
    #[error("cannot write values: {source}")]
    Table {
        /// What the output or the encoder said.
        #[from]
        source: parquet::errors::ParquetError,
    },
    /// The input is neither pcap nor pcapng.
    #[error("not a capture file: unknown magic number `{magic:08x}` at byte 0")]
    NotACapture {
        /// The first four bytes as a big-endian number.
        magic: u32,
    },
    /// The input ends within a header or record. All whole frames before it were given.
    #[error("capture ends at byte {end} within the {what} that starts at byte {offset}")]
    TruncatedCapture {
        /// What is cut.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Where the input ends.
        end: u64,
    },
    /// A record or block that contradicts itself.
    #[error("bad {what} at byte {offset}: {reason}")]
    BadCapture {
        /// What it is.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A frame that the pcap format cannot hold: a time outside 1970 to 2106, another link type, too long.
    #[error("frame cannot be written: {reason}")]
    Unwritable {
        /// Why.
        reason: &'static str,
    },
    /// A name that is no protocol family's.
    #[error("unknown protocol `{family}`")]
    UnknownFamily {
        /// The name as given, shortened to 40 characters.
        family: String,
    },
    /// A binding that cannot be used.
    #[error("binding {index} (`{tag}`): {reason}")]
    BadBinding {
        /// Its place in the list, from 0.
        index: usize,
        /// Its tag as given, shortened to 120 characters.
        tag: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A signal that no binding holds, or none that can be written.
    #[error("signal `{signal}` has no place to be written to: {reason}")]
    NotWritable {
        /// Its id.
        signal: u32,
        /// Why.
        reason: &'static str,
    },
    /// A state that no point map of these bindings can have had.
    #[error("state of a point map: {reason}")]
    State {
        /// What is wrong.
        reason: &'static str,
    },
}

/// A protocol layer below the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// Ethernet and its tags.
    Ethernet,
    /// Linux cooked capture.
    LinuxSll,
    /// BSD loopback.
    Loopback,
    /// Serial line.
    Serial,
    /// IPv4.
    Ipv4,
    /// IPv6 and its extension headers.
    Ipv6,
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl core::fmt::Display for Layer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Ethernet => "ethernet",
            Self::LinuxSll => "linux cooked",
            Self::Loopback => "loopback",
            Self::Serial => "serial line",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Why a frame could not be decoded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ends within a header: cut by the capture, or short on the wire.
    #[error("{layer} header at byte {offset} is cut")]
    Truncated {
        /// Whose header.
        layer: Layer,
        /// Where it starts in the frame.
        offset: u32,
    },
    /// A header that contradicts itself.
    #[error("{layer} header at byte {offset} is malformed: {reason}")]
    Malformed {
        /// Whose header.
        layer: Layer,
        /// Where it starts in the frame.
        offset: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A link type that is not decoded.
    #[error("link type {link} is not decoded")]
    UnknownLink {
        /// Its number.
        link: LinkType,
    },
}

impl DecodeError {
    /// A header at `offset` is cut.
    #[inline]
    pub(crate) const fn truncated(layer: Layer, offset: usize) -> Self {
        Self::Truncated { layer, offset: offset as u32 }
    }

    /// A header at `offset` contradicts itself.
    #[inline]
    pub(crate) const fn malformed(layer: Layer, offset: usize, reason: &'static str) -> Self {
        Self::Malformed { layer, offset: offset as u32, reason }
    }

    /// Where in the frame.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        match self {
            Self::Truncated { offset, .. } | Self::Malformed { offset, .. } => *offset,
            Self::UnknownLink { .. } => 0,
        }
    }
}
