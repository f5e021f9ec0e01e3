//! The frames that make up nearly all traffic, in a straight line: Ethernet, at most one VLAN tag, IPv4 or IPv6 without
//! options, fragments or cuts, TCP.
//!
//! One length check covers all fixed headers. Whatever does not fit here is left to the general path, which gives the
//! same result where both can read a frame (`tests/frames_link.rs` compares them) and names the error where none can.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{IPV4, IPV6, Macs, Network, Packet, Vlan};
use crate::bytes::chunk;
use crate::ip::{IpPacket, TCP, Transport};
use crate::tcp::{TcpFlags, TcpSegment};

const VLAN: u16 = 0x8100;

#[inline(always)]
pub(super) fn decode(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = chunk::<18>(bytes, 0)?;
    let ether_type = u16::from_be_bytes([header[12], header[13]]);
    let (ether_type, vlan, rest) = if ether_type == VLAN {
        let outer = Some(u16::from_be_bytes([header[14], header[15]]) & 0x0fff);
        (u16::from_be_bytes([header[16], header[17]]), Vlan { outer, inner: None }, bytes.get(18..)?)
    } else {
        (ether_type, Vlan::default(), bytes.get(14..)?)
    };
    let packet = match ether_type {
        IPV4 => ipv4(rest)?,
        IPV6 => ipv6(rest)?,
        _ => return None,
    };
    let macs = Macs { destination: *chunk(header, 0)?, source: *chunk(header, 6)? };
    Some(Packet { macs: Some(macs), vlan, network: Network::Ip(packet) })
}

#[inline(always)]
fn ipv4(bytes: &[u8]) -> Option<IpPacket<'_>> {
    let header = chunk::<40>(bytes, 0)?;
    let whole = u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
    if header[0] != 0x45 || header[9] != TCP || !whole {
        return None;
    }
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    Some(IpPacket {
        source: IpAddr::V4(Ipv4Addr::from(*chunk(header, 12)?)),
        destination: IpAddr::V4(Ipv4Addr::from(*chunk(header, 16)?)),
        hop_limit: header[8],
        transport: Transport::Tcp(tcp(bytes.get(20..end)?)?),
    })
}

#[inline(always)]
fn ipv6(bytes: &[u8]) -> Option<IpPacket<'_>> {
    let header = chunk::<60>(bytes, 0)?;
    if header[0] >> 4 != 6 || header[6] != TCP {
        return None;
    }
    let end = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    Some(IpPacket {
        source: IpAddr::V6(Ipv6Addr::from(*chunk::<16>(header, 8)?)),
        destination: IpAddr::V6(Ipv6Addr::from(*chunk::<16>(header, 24)?)),
        hop_limit: header[7],
        transport: Transport::Tcp(tcp(bytes.get(40..end)?)?),
    })
}

#[inline(always)]
fn tcp(bytes: &[u8]) -> Option<TcpSegment<'_>> {
    let header = chunk::<20>(bytes, 0)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 {
        return None;
    }
    Some(TcpSegment {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes(*chunk(header, 4)?),
        acknowledgement: u32::from_be_bytes(*chunk(header, 8)?),
        flags: TcpFlags(header[13]),
        window: u16::from_be_bytes([header[14], header[15]]),
        missing: 0,
        payload: bytes.get(header_len..)?,
    })
}
