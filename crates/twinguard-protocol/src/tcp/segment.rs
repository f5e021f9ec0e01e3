//! One TCP segment (RFC 9293 §3.1).

use crate::bytes::chunk;
use crate::error::{DecodeError, Layer};

/// The control bits of a segment (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number is meant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is meant.
    pub const URG: Self = Self(0x20);

    /// Whether all of these bits are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// These bits and those.
    #[must_use]
    pub const fn with(self, bits: Self) -> Self {
        Self(self.0 | bits.0)
    }
}

/// A TCP segment; borrows its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first byte of the payload, or of the SYN.
    pub sequence: u32,
    /// The next byte that the sender expects; meant when the ACK bit is set.
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Receive window, not scaled.
    pub window: u16,
    /// Payload bytes that the frame says it carries and the capture does not hold; they follow `payload`.
    pub missing: u32,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> TcpSegment<'a> {
    /// Reads the segment in `bytes`, which lie at `offset` in the frame and are followed by `missing` uncaptured bytes.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8], offset: usize, missing: u32) -> Result<Self, DecodeError> {
        let Some(header) = chunk::<20>(bytes, 0) else {
            return Err(DecodeError::truncated(Layer::Tcp, offset));
        };
        let header_len = usize::from(header[12] >> 4) * 4;
        if header_len < 20 {
            return Err(DecodeError::malformed(Layer::Tcp, offset, "data offset is below 5"));
        }
        let Some(payload) = bytes.get(header_len..) else {
            return Err(if missing == 0 {
                DecodeError::malformed(Layer::Tcp, offset, "options end beyond the segment")
            } else {
                DecodeError::truncated(Layer::Tcp, offset)
            });
        };
        Ok(Self {
            source_port: u16::from_be_bytes([header[0], header[1]]),
            destination_port: u16::from_be_bytes([header[2], header[3]]),
            sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            flags: TcpFlags(header[13]),
            window: u16::from_be_bytes([header[14], header[15]]),
            missing,
            payload,
        })
    }
}
