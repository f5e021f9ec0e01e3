//! Frames inside packets: what taps and switches wrap around the traffic that they mirror, and common tunnels.
//!
//! Sources: GRE (RFC 2784, RFC 2890), ERSPAN types I to III (draft-foschiano-erspan-03), VXLAN (RFC 7348), GENEVE
//! (RFC 8926), TZSP (as `TaZmen` and `MikroTik` send it), IP in IP (RFC 2003, RFC 4213).

use crate::bytes::{be16, chunk};
use crate::frame::LinkType;
use crate::ip::{IpPacket, Transport};
use crate::udp::UdpDatagram;

const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const VXLAN: u16 = 4789;
const GENEVE: u16 = 6081;
const TZSP: u16 = 37008;
/// "Transparent Ethernet bridging", the EtherType of an Ethernet frame.
const BRIDGED: u16 = 0x6558;

/// The frame that a packet carries, if it carries one.
///
/// ```
/// use twinguard_protocol::{LinkType, link};
///
/// // IPv4 carrying GRE carrying IPv4.
/// let frame = [
///     0x45, 0, 0, 26, 0, 1, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
///     0, 0, 0x08, 0x00, // GRE without options
///     0x45, 0, // the inner packet
/// ];
/// let link::Network::Ip(ip) = link::decode(LinkType::RawIp, &frame)?.network else { panic!("not IP") };
/// assert_eq!(link::tunnelled(&ip), Some((LinkType::Ipv4, &[0x45, 0][..])));
/// # Ok::<(), twinguard_protocol::DecodeError>(())
/// ```
#[inline]
#[must_use]
pub fn tunnelled<'a>(packet: &IpPacket<'a>) -> Option<(LinkType, &'a [u8])> {
    match &packet.transport {
        Transport::Tcp(_) | Transport::Fragment(_) => None,
        Transport::Udp(datagram) => match datagram.destination_port {
            VXLAN => vxlan(datagram),
            GENEVE => geneve(datagram),
            TZSP => tzsp(datagram),
            _ => None,
        },
        Transport::Other { protocol: IP_IN_IP, payload } => Some((LinkType::Ipv4, payload)),
        Transport::Other { protocol: IPV6_IN_IP, payload } => Some((LinkType::Ipv6, payload)),
        Transport::Other { protocol: GRE, payload } => gre(payload),
        Transport::Other { .. } => None,
    }
}

fn by_type(ether_type: u16) -> Option<LinkType> {
    match ether_type {
        0x0800 => Some(LinkType::Ipv4),
        0x86dd => Some(LinkType::Ipv6),
        BRIDGED => Some(LinkType::Ethernet),
        _ => None,
    }
}

/// RFC 2784 §2.1 with the key and sequence number of RFC 2890; the routing of RFC 1701 is not read.
fn gre(bytes: &[u8]) -> Option<(LinkType, &[u8])> {
    let flags = be16(bytes, 0)?;
    if flags & 0x4007 != 0 {
        return None;
    }
    let options = (flags & 0xb000).count_ones() as usize;
    let numbered = flags & 0x1000 != 0;
    let rest = bytes.get(4 + 4 * options..)?;
    match be16(bytes, 2)? {
        // ERSPAN type I has no header of its own, and no sequence number in front of it.
        0x88be if !numbered => Some((LinkType::Ethernet, rest)),
        0x88be => Some((LinkType::Ethernet, rest.get(8..)?)),
        0x22eb => {
            let header: &[u8; 12] = chunk(rest, 0)?;
            let platform = if header[11] & 1 == 1 { 8 } else { 0 };
            // Frame type 0 is Ethernet, 2 is IP.
            let link = match header[10] >> 2 & 0x1f {
                0 => LinkType::Ethernet,
                2 => LinkType::RawIp,
                _ => return None,
            };
            Some((link, rest.get(12 + platform..)?))
        }
        ether_type => Some((by_type(ether_type)?, rest)),
    }
}

/// RFC 7348 §5: the flag I, a network identifier.
fn vxlan<'a>(datagram: &UdpDatagram<'a>) -> Option<(LinkType, &'a [u8])> {
    let header: &[u8; 8] = chunk(datagram.payload, 0)?;
    let valid = header[0] & 0x08 != 0 && header[7] == 0;
    valid.then(|| Some((LinkType::Ethernet, datagram.payload.get(8..)?))).flatten()
}

/// RFC 8926 §3.4: version 0, options in units of four bytes.
fn geneve<'a>(datagram: &UdpDatagram<'a>) -> Option<(LinkType, &'a [u8])> {
    let header: &[u8; 8] = chunk(datagram.payload, 0)?;
    if header[0] >> 6 != 0 {
        return None;
    }
    let options = usize::from(header[0] & 0x3f) * 4;
    Some((by_type(u16::from_be_bytes([header[2], header[3]]))?, datagram.payload.get(8 + options..)?))
}

/// Version 1, a received or sent packet, then tags up to the end tag; encapsulation 1 is Ethernet.
fn tzsp<'a>(datagram: &UdpDatagram<'a>) -> Option<(LinkType, &'a [u8])> {
    let (head, mut rest) = datagram.payload.split_at_checked(4)?;
    if !matches!(head, [1, 0 | 1, 0, 1]) {
        return None;
    }
    loop {
        let (tag, after) = rest.split_first()?;
        rest = match tag {
            0 => after,
            1 => return Some((LinkType::Ethernet, after)),
            _ => {
                let (len, value) = after.split_first()?;
                value.get(usize::from(*len)..)?
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn check(transport: Transport<'_>, wanted: Option<(LinkType, &[u8])>) {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let packet =
            IpPacket { source: address, destination: address, identification: 0, hop_limit: 1, transport };
        assert_eq!(tunnelled(&packet), wanted);
    }

    fn udp(destination_port: u16, payload: &[u8]) -> Transport<'_> {
        Transport::Udp(UdpDatagram { source_port: 1, destination_port, missing: 0, payload })
    }

    fn gre(payload: &[u8]) -> Transport<'_> {
        Transport::Other { protocol: GRE, payload }
    }

    #[test]
    fn what_is_wrapped_comes_out() {
        let ethernet = |bytes: &'static [u8]| Some((LinkType::Ethernet, bytes));
        check(gre(&[0x30, 0, 0x65, 0x58, 0, 0, 0, 1, 0, 0, 0, 2, 7]), ethernet(&[7]));
        check(gre(&[0, 0, 0x88, 0xbe, 7]), ethernet(&[7]));
        check(gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0, 7]), ethernet(&[7]));
        check(
            gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
            ethernet(&[7]),
        );
        check(gre(&[0, 0, 0x86, 0xdd, 7]), Some((LinkType::Ipv6, &[7])));
        check(udp(VXLAN, &[8, 0, 0, 0, 0, 0, 9, 0, 7]), ethernet(&[7]));
        check(udp(GENEVE, &[1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 4, 7]), ethernet(&[7]));
        check(udp(TZSP, &[1, 0, 0, 1, 0, 10, 1, 0xc3, 1, 7]), ethernet(&[7]));
        check(Transport::Other { protocol: IP_IN_IP, payload: &[7] }, Some((LinkType::Ipv4, &[7])));
    }

    #[test]
    fn what_is_cut_or_something_else_stays_wrapped() {
        check(gre(&[0x40, 0, 0x08, 0, 7]), None);
        check(gre(&[0, 1, 0x08, 0, 7]), None);
        check(gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10]), None);
        check(gre(&[0, 0, 0x88, 0xcc, 7]), None);
        check(udp(VXLAN, &[0, 0, 0, 0, 0, 0, 9, 0, 7]), None);
        check(udp(GENEVE, &[0x41, 0, 0x65, 0x58, 0, 0, 9, 0, 7]), None);
        check(udp(TZSP, &[1, 0, 0, 1, 10, 200, 1]), None);
        check(udp(502, &[8, 0, 0, 0, 0, 0, 9, 0, 7]), None);
    }
}
