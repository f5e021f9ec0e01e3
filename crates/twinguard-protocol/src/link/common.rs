//! The frames that make up nearly all traffic, in a straight line: Ethernet, at most one VLAN tag, IPv4 or IPv6 without
//! options, fragments or cuts, TCP.
//!
//! One length check covers all fixed headers, and the result is built once, in its place: building it from parts costs
//! more than reading the frame. Whatever does not fit here is left to the general path, which gives the same result
//! where both can read a frame (`tests/frames_link.rs` compares them) and names the error where none can.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{IPV4, IPV6, Macs, Network, Packet, Vlan};
use crate::bytes::chunk;
use crate::error::DecodeError;
use crate::frame::LinkType;
use crate::ip::{IpPacket, TCP, Transport};
use crate::tcp::{TcpFlags, TcpSegment};

/// Stands for "not here"; the general path replaces it.
const MISS: DecodeError = DecodeError::UnknownLink { link: LinkType::Ethernet };

const VLAN: [u8; 2] = [0x81, 0x00];
const V4: [u8; 2] = IPV4.to_be_bytes();
const V6: [u8; 2] = IPV6.to_be_bytes();

#[inline(always)]
pub(super) fn decode(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let Some(header) = chunk::<18>(bytes, 0) else { return Err(MISS) };
    let (outer, at) = match [header[12], header[13]] {
        VLAN => (Some(u16::from_be_bytes([header[14], header[15]]) & 0x0fff), 18),
        _ => (None, 14),
    };
    let (Some(ether_type), Some(rest)) = (chunk::<2>(bytes, at - 2), bytes.get(at..)) else {
        return Err(MISS);
    };
    match *ether_type {
        V4 => ipv4(header, outer, rest),
        V6 => ipv6(header, outer, rest),
        _ => Err(MISS),
    }
}

#[inline(always)]
fn ipv4<'a>(link: &[u8; 18], outer: Option<u16>, bytes: &'a [u8]) -> Result<Packet<'a>, DecodeError> {
    let Some(ip) = chunk::<40>(bytes, 0) else { return Err(MISS) };
    let whole = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff == 0;
    let end = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    if ip[0] != 0x45 || ip[9] != TCP || !whole {
        return Err(MISS);
    }
    let Some((tcp, payload)) = segment(bytes, 20, end) else { return Err(MISS) };
    Ok(packet(
        link,
        outer,
        IpAddr::V4(Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15])),
        IpAddr::V4(Ipv4Addr::new(ip[16], ip[17], ip[18], ip[19])),
        [u16::from_be_bytes([ip[4], ip[5]]), u16::from(ip[8])],
        tcp,
        payload,
    ))
}

#[inline(always)]
fn ipv6<'a>(link: &[u8; 18], outer: Option<u16>, bytes: &'a [u8]) -> Result<Packet<'a>, DecodeError> {
    let Some(ip) = chunk::<60>(bytes, 0) else { return Err(MISS) };
    let end = 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]));
    if ip[0] >> 4 != 6 || ip[6] != TCP {
        return Err(MISS);
    }
    let (Some(source), Some(destination)) = (chunk::<16>(ip, 8), chunk::<16>(ip, 24)) else {
        return Err(MISS);
    };
    let Some((tcp, payload)) = segment(bytes, 40, end) else { return Err(MISS) };
    Ok(packet(
        link,
        outer,
        IpAddr::V6(Ipv6Addr::from(*source)),
        IpAddr::V6(Ipv6Addr::from(*destination)),
        [0, u16::from(ip[7])],
        tcp,
        payload,
    ))
}

/// The fixed TCP header and the payload.
#[inline(always)]
fn segment(bytes: &[u8], start: usize, end: usize) -> Option<(&[u8; 20], &[u8])> {
    let bytes = bytes.get(start..end)?;
    let header = chunk::<20>(bytes, 0)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 {
        return None;
    }
    Some((header, bytes.get(header_len..)?))
}

#[inline(always)]
fn packet<'a>(
    link: &[u8; 18],
    outer: Option<u16>,
    source: IpAddr,
    destination: IpAddr,
    [identification, hop_limit]: [u16; 2],
    tcp: &[u8; 20],
    payload: &'a [u8],
) -> Packet<'a> {
    Packet {
        macs: Some(Macs {
            destination: [link[0], link[1], link[2], link[3], link[4], link[5]],
            source: [link[6], link[7], link[8], link[9], link[10], link[11]],
        }),
        vlan: Vlan { outer, inner: None },
        network: Network::Ip(IpPacket {
            source,
            destination,
            identification,
            hop_limit: hop_limit as u8,
            transport: Transport::Tcp(TcpSegment {
                source_port: u16::from_be_bytes([tcp[0], tcp[1]]),
                destination_port: u16::from_be_bytes([tcp[2], tcp[3]]),
                sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
                acknowledgement: u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]),
                flags: TcpFlags(tcp[13]),
                window: u16::from_be_bytes([tcp[14], tcp[15]]),
                missing: 0,
                payload,
            }),
        }),
    }
}
