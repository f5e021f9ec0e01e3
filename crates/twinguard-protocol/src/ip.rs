//! IPv4 (RFC 791) and IPv6 (RFC 8200): headers, extension headers, fragments.

mod defragment;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::bytes::{be16, be32, chunk};
use crate::error::{DecodeError, Layer};
use crate::tcp::TcpSegment;
use crate::udp::UdpDatagram;

pub use defragment::{Defragmented, Defragmenter, FragmentLimits};

/// Protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// Protocol number of UDP.
pub(crate) const UDP: u8 = 17;

/// An IP packet; borrows its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Identification of IPv4, 0 for IPv6.
    pub identification: u16,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// What it carries.
    pub transport: Transport<'a>,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(TcpSegment<'a>),
    /// A UDP datagram.
    Udp(UdpDatagram<'a>),
    /// A piece of a packet, for the [`Defragmenter`].
    Fragment(Fragment<'a>),
    /// Anything else.
    Other {
        /// Protocol number, after the extension headers.
        protocol: u8,
        /// Its bytes.
        payload: &'a [u8],
    },
}

/// A piece of an IP packet; borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// What the pieces of one packet have in common.
    pub identification: u32,
    /// Where the piece starts in the packet's payload, in bytes; a multiple of 8.
    pub offset: u16,
    /// Whether pieces follow.
    pub more: bool,
    /// Protocol number of the first header in the reassembled payload.
    pub protocol: u8,
    /// Bytes that the frame says it carries and the capture does not hold.
    pub missing: u32,
    /// The piece.
    pub payload: &'a [u8],
}

impl IpPacket<'_> {
    /// Bytes that its length says it carries and the frame does not hold.
    #[inline]
    #[must_use]
    pub const fn missing(&self) -> u32 {
        match &self.transport {
            Transport::Tcp(segment) => segment.missing,
            Transport::Udp(datagram) => datagram.missing,
            Transport::Fragment(fragment) => fragment.missing,
            Transport::Other { .. } => 0,
        }
    }

    /// Sender and receiver with their ports, where the packet has ports.
    #[inline]
    #[must_use]
    pub fn endpoints(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (source_port, destination_port) = match &self.transport {
            Transport::Tcp(segment) => (segment.source_port, segment.destination_port),
            Transport::Udp(datagram) => (datagram.source_port, datagram.destination_port),
            Transport::Fragment(_) | Transport::Other { .. } => return None,
        };
        Some((SocketAddr::new(self.source, source_port), SocketAddr::new(self.destination, destination_port)))
    }
}

/// Reads the IP packet in `bytes` by its version, lying at `offset` in the frame.
#[inline]
pub(crate) fn decode(bytes: &[u8], offset: usize) -> Result<IpPacket<'_>, DecodeError> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => decode_v4(bytes, offset),
        Some(6) => decode_v6(bytes, offset),
        Some(_) => Err(DecodeError::malformed(Layer::Ipv4, offset, "version is neither 4 nor 6")),
        None => Err(DecodeError::truncated(Layer::Ipv4, offset)),
    }
}

/// Reads an IPv4 packet (RFC 791 §3.1). Bytes after its total length (Ethernet padding, PRP trailers) are cut off.
#[inline]
pub(crate) fn decode_v4(bytes: &[u8], offset: usize) -> Result<IpPacket<'_>, DecodeError> {
    let Some(header) = chunk::<20>(bytes, 0) else {
        return Err(DecodeError::truncated(Layer::Ipv4, offset));
    };
    if header[0] >> 4 != 4 {
        return Err(DecodeError::malformed(Layer::Ipv4, offset, "version is not 4"));
    }
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(DecodeError::malformed(Layer::Ipv4, offset, "header length is below 5"));
    }
    // A total length of 0 is what captures hold before segmentation offload: the packet ends where the frame ends.
    let total_len = match u16::from_be_bytes([header[2], header[3]]) {
        0 => bytes.len(),
        length => usize::from(length),
    };
    if total_len < header_len {
        return Err(DecodeError::malformed(Layer::Ipv4, offset, "total length is below the header length"));
    }
    let (whole, missing) = cut(bytes, total_len);
    let Some(payload) = whole.get(header_len..) else {
        return Err(DecodeError::truncated(Layer::Ipv4, offset));
    };
    let protocol = header[9];
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let transport = if fragment & 0x3fff != 0 {
        Transport::Fragment(Fragment {
            identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
            offset: (fragment & 0x1fff) << 3,
            more: fragment & 0x2000 != 0,
            protocol,
            missing,
            payload,
        })
    } else {
        decode_transport(protocol, payload, offset + header_len, missing)?
    };
    Ok(IpPacket {
        source: IpAddr::V4(Ipv4Addr::from([header[12], header[13], header[14], header[15]])),
        destination: IpAddr::V4(Ipv4Addr::from([header[16], header[17], header[18], header[19]])),
        identification: u16::from_be_bytes([header[4], header[5]]),
        hop_limit: header[8],
        transport,
    })
}

/// Reads an IPv6 packet (RFC 8200 §3). Bytes after its payload length are cut off.
#[inline]
pub(crate) fn decode_v6(bytes: &[u8], offset: usize) -> Result<IpPacket<'_>, DecodeError> {
    let (Some(fixed), Some(source), Some(destination)) =
        (chunk::<8>(bytes, 0), chunk::<16>(bytes, 8), chunk::<16>(bytes, 24))
    else {
        return Err(DecodeError::truncated(Layer::Ipv6, offset));
    };
    if fixed[0] >> 4 != 6 {
        return Err(DecodeError::malformed(Layer::Ipv6, offset, "version is not 6"));
    }
    // A payload length of 0 is a jumbogram (RFC 2675) or a capture before segmentation offload.
    let total_len = match u16::from_be_bytes([fixed[4], fixed[5]]) {
        0 if fixed[6] != NO_NEXT_HEADER => bytes.len(),
        length => 40 + usize::from(length),
    };
    let (whole, missing) = cut(bytes, total_len);
    let payload = whole.get(40..).unwrap_or_default();
    Ok(IpPacket {
        source: IpAddr::V6(Ipv6Addr::from(*source)),
        destination: IpAddr::V6(Ipv6Addr::from(*destination)),
        identification: 0,
        hop_limit: fixed[7],
        transport: decode_chain(fixed[6], payload, offset + 40, missing)?,
    })
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Walks the extension headers (RFC 8200 §4; lengths of RFC 4302, 6275, 7401, 5533) to the transport.
#[inline]
pub(crate) fn decode_chain(
    mut protocol: u8,
    mut bytes: &[u8],
    mut offset: usize,
    missing: u32,
) -> Result<Transport<'_>, DecodeError> {
    loop {
        let header_len = match protocol {
            TCP | UDP => return decode_transport(protocol, bytes, offset, missing),
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                bytes.get(1).map(|units| usize::from(*units) * 8 + 8)
            }
            AUTHENTICATION => bytes.get(1).map(|units| usize::from(*units) * 4 + 8),
            FRAGMENT => Some(8),
            _ => return Ok(Transport::Other { protocol, payload: bytes }),
        };
        let parts = header_len.and_then(|header_len| bytes.split_at_checked(header_len));
        let Some((header, rest)) = parts else {
            return Err(DecodeError::truncated(Layer::Ipv6, offset));
        };
        let next = header.first().copied().unwrap_or(NO_NEXT_HEADER);
        if protocol == FRAGMENT {
            let field = be16(header, 2).unwrap_or_default();
            // Offset 0 without followers is an atomic fragment: the whole packet (RFC 6946).
            if field & 0xfff9 != 0 {
                return Ok(Transport::Fragment(Fragment {
                    identification: be32(header, 4).unwrap_or_default(),
                    offset: field & 0xfff8,
                    more: field & 1 != 0,
                    protocol: next,
                    missing,
                    payload: rest,
                }));
            }
        }
        offset += header.len();
        protocol = next;
        bytes = rest;
    }
}

#[inline]
fn decode_transport(
    protocol: u8,
    payload: &[u8],
    offset: usize,
    missing: u32,
) -> Result<Transport<'_>, DecodeError> {
    match protocol {
        TCP => TcpSegment::decode(payload, offset, missing).map(Transport::Tcp),
        UDP => UdpDatagram::decode(payload, offset, missing).map(Transport::Udp),
        _ => Ok(Transport::Other { protocol, payload }),
    }
}

/// Cuts `bytes` to `total_len`, or tells how many bytes are missing.
#[inline(always)]
fn cut(bytes: &[u8], total_len: usize) -> (&[u8], u32) {
    match bytes.get(..total_len) {
        Some(whole) => (whole, 0),
        None => (bytes, (total_len - bytes.len()) as u32),
    }
}
