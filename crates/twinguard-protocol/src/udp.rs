//! UDP datagrams (RFC 768).

use crate::bytes::chunk;
use crate::error::{DecodeError, Layer};

/// A UDP datagram; borrows its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Payload bytes that the frame says it carries and the capture does not hold.
    pub missing: u32,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> UdpDatagram<'a> {
    /// Reads the datagram in `bytes`, which lie at `offset` in the frame and are followed by `missing` uncaptured bytes.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8], offset: usize, missing: u32) -> Result<Self, DecodeError> {
        let (header, rest) = bytes.split_at_checked(8).ok_or(DecodeError::truncated(Layer::Udp, offset))?;
        let header: &[u8; 8] = chunk(header, 0).ok_or(DecodeError::truncated(Layer::Udp, offset))?;
        let length = u16::from_be_bytes([header[4], header[5]]) as usize;
        // Length 0 stands for "as long as the packet" (RFC 2675 §4, and captures before segmentation offload).
        let (payload, missing) = match length {
            0 => (rest, missing),
            1..8 => return Err(DecodeError::malformed(Layer::Udp, offset, "length is below 8")),
            _ => match rest.get(..length - 8) {
                Some(payload) => (payload, 0),
                None => (rest, (length - 8 - rest.len()) as u32),
            },
        };
        Ok(Self {
            source_port: u16::from_be_bytes([header[0], header[1]]),
            destination_port: u16::from_be_bytes([header[2], header[3]]),
            missing,
            payload,
        })
    }
}
