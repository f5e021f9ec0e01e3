//! From a frame's first byte to its transport: Ethernet and its tags, Linux cooked capture, loopback, bare IP, serial
//! lines.

mod common;
mod tunnel;

use crate::bytes::{be16, chunk};
use crate::error::{DecodeError, Layer};
use crate::frame::LinkType;
use crate::ip::{self, IpPacket};

pub use tunnel::tunnelled;

/// A decoded frame; borrows its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Hardware addresses, where the link has both.
    pub macs: Option<Macs>,
    /// VLAN identifiers.
    pub vlan: Vlan,
    /// What the frame carries.
    pub network: Network<'a>,
}

/// Hardware addresses of an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Macs {
    /// Receiver.
    pub destination: [u8; 6],
    /// Sender.
    pub source: [u8; 6],
}

/// VLAN identifiers of a frame (IEEE 802.1Q).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vlan {
    /// Of the outermost tag.
    pub outer: Option<u16>,
    /// Of the innermost tag, when there are several.
    pub inner: Option<u16>,
}

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network<'a> {
    /// IPv4 or IPv6.
    Ip(IpPacket<'a>),
    /// Anything else: GOOSE, sampled values, PROFINET, `EtherCAT`, ARP, LLC.
    Other {
        /// EtherType, or the length field of an IEEE 802.3 frame when below 1536.
        ether_type: u16,
        /// The bytes after it, padding included.
        payload: &'a [u8],
    },
    /// What passed on a serial line; the stations' numbers, or the sides of the line, are the last bytes of the hardware
    /// addresses.
    Line(&'a [u8]),
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and the number used before 802.1ad.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// HSR tag (IEC 62439-3 §5.7): path and size, sequence number, the next EtherType.
const HSR: u16 = 0x892f;

/// Decodes a frame down to its transport.
///
/// Work is linear in the length of the headers; nothing is allocated; checksums are for [`crate::checksum::check`], for
/// captures are full of those that the network card had yet to compute.
///
/// ```
/// use twinguard_protocol::{LinkType, ip::Transport, link};
///
/// let frame = [
///     0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
///     0x30, 0x39, 0x00, 0x35, 0, 10, 0, 0, 0xab, 0xcd, // UDP
/// ];
/// let packet = link::decode(LinkType::RawIp, &frame)?;
/// let link::Network::Ip(ip) = packet.network else { panic!("not IP") };
/// let Transport::Udp(datagram) = ip.transport else { panic!("not UDP") };
/// assert_eq!((datagram.destination_port, datagram.payload), (53, &[0xab, 0xcd][..]));
/// # Ok::<(), twinguard_protocol::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeError::Truncated`] when a header is cut, [`DecodeError::Malformed`] when one contradicts itself,
/// [`DecodeError::UnknownLink`] for link types not listed in [`LinkType`].
#[inline(always)]
pub fn decode(link: LinkType, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    if link == LinkType::Ethernet {
        let found = common::decode(bytes);
        if found.is_ok() {
            return found;
        }
    }
    decode_any(link, bytes)
}

/// Decodes any frame.
#[inline(never)]
fn decode_any(link: LinkType, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    match link {
        LinkType::Ethernet => ethernet(bytes),
        LinkType::RawIp => ip::decode(bytes, 0).map(bare),
        LinkType::Ipv4 => ip::decode_v4(bytes, 0).map(bare),
        LinkType::Ipv6 => ip::decode_v6(bytes, 0).map(bare),
        LinkType::Null | LinkType::Loop => loopback(bytes),
        LinkType::LinuxSll => cooked(bytes, 16, 14),
        LinkType::LinuxSll2 => cooked(bytes, 20, 0),
        LinkType::MsTp => match bytes {
            // ANSI/ASHRAE 135 clause 9.3: preamble, type, receiver, sender.
            [_, _, _, to, from, ..] => Ok(line(*from, *to, bytes)),
            _ => Err(DecodeError::truncated(Layer::Serial, 0)),
        },
        LinkType::RtacSerial => match bytes.split_at_checked(12) {
            // Events 1 and 3: sent; 2 and 4: received; the others carry nothing.
            Some(([.., 1 | 3, _, _, _], sent)) => Ok(line(0, 1, sent)),
            Some(([.., 2 | 4, _, _, _], received)) => Ok(line(1, 0, received)),
            Some(_) => Ok(line(0, 1, &[])),
            None => Err(DecodeError::truncated(Layer::Serial, 0)),
        },
        LinkType::Other(_) => Err(DecodeError::UnknownLink { link }),
    }
}

#[inline(always)]
fn bare(packet: IpPacket<'_>) -> Packet<'_> {
    Packet { macs: None, vlan: Vlan::default(), network: Network::Ip(packet) }
}

/// What one station of a line says to another.
fn line(from: u8, to: u8, payload: &[u8]) -> Packet<'_> {
    let address = |station| [0, 0, 0, 0, 0, station];
    let macs = Some(Macs { destination: address(to), source: address(from) });
    Packet { macs, vlan: Vlan::default(), network: Network::Line(payload) }
}

/// Ethernet II and IEEE 802.3.
fn ethernet(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let (Some(header), Some(payload)) = (chunk::<14>(bytes, 0), bytes.get(14..)) else {
        return Err(DecodeError::truncated(Layer::Ethernet, 0));
    };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
    let macs = Macs { destination: [d0, d1, d2, d3, d4, d5], source: [s0, s1, s2, s3, s4, s5] };
    network(Some(macs), u16::from_be_bytes([t0, t1]), payload, 14)
}

/// Linux cooked capture: `header_len` bytes, the EtherType among them at `type_at`.
fn cooked(bytes: &[u8], header_len: usize, type_at: usize) -> Result<Packet<'_>, DecodeError> {
    match (be16(bytes, type_at), bytes.get(header_len..)) {
        (Some(ether_type), Some(payload)) => network(None, ether_type, payload, header_len),
        _ => Err(DecodeError::truncated(Layer::LinuxSll, 0)),
    }
}

/// BSD loopback: a 4-byte address family, whose numbers for IPv6 and whose byte order depend on the system.
fn loopback(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let (Some(family), Some(payload)) = (chunk::<4>(bytes, 0), bytes.get(4..)) else {
        return Err(DecodeError::truncated(Layer::Loopback, 0));
    };
    let family = u32::from_be_bytes(*family).min(u32::from_le_bytes(*family));
    match family {
        2 => ip::decode_v4(payload, 4).map(bare),
        10 | 24 | 28 | 30 => ip::decode_v6(payload, 4).map(bare),
        _ => Ok(Packet {
            macs: None,
            vlan: Vlan::default(),
            network: Network::Other { ether_type: 0, payload },
        }),
    }
}

/// What follows an EtherType.
fn network(
    macs: Option<Macs>,
    ether_type: u16,
    payload: &[u8],
    offset: usize,
) -> Result<Packet<'_>, DecodeError> {
    let (vlan, ether_type, payload, offset) = untagged(ether_type, payload, offset)?;
    let network = match ether_type {
        IPV4 => Network::Ip(ip::decode_v4(payload, offset)?),
        IPV6 => Network::Ip(ip::decode_v6(payload, offset)?),
        _ => Network::Other { ether_type, payload: without_redundancy_trailer(payload) },
    };
    Ok(Packet { macs, vlan, network })
}

/// Steps over tags: the VLANs that they name, then the EtherType behind them, its bytes and where they lie.
fn untagged(
    mut ether_type: u16,
    mut payload: &[u8],
    mut offset: usize,
) -> Result<(Vlan, u16, &[u8], usize), DecodeError> {
    let mut vlan = Vlan::default();
    loop {
        let cut = DecodeError::truncated(Layer::Ethernet, offset);
        let len = match ether_type {
            HSR => 6,
            _ if VLAN_TAGS.contains(&ether_type) => 4,
            _ => return Ok((vlan, ether_type, payload, offset)),
        };
        if len == 4 {
            let id = Some(be16(payload, 0).ok_or(cut)? & 0x0fff);
            *(if vlan.outer.is_none() { &mut vlan.outer } else { &mut vlan.inner }) = id;
        }
        ether_type = be16(payload, len - 2).ok_or(cut)?;
        payload = payload.get(len..).ok_or(cut)?;
        offset += len;
    }
}

/// The bytes of a frame from its IP header on, whatever that says.
pub(crate) fn ip_bytes(link: LinkType, bytes: &[u8]) -> Option<&[u8]> {
    let (type_at, header_len) = match link {
        LinkType::Ethernet => (12, 14),
        LinkType::LinuxSll => (14, 16),
        LinkType::LinuxSll2 => (0, 20),
        LinkType::RawIp | LinkType::Ipv4 | LinkType::Ipv6 => return Some(bytes),
        LinkType::Null | LinkType::Loop => return bytes.get(4..),
        LinkType::MsTp | LinkType::RtacSerial | LinkType::Other(_) => return None,
    };
    let (_, ether_type, payload, _) =
        untagged(be16(bytes, type_at)?, bytes.get(header_len..)?, header_len).ok()?;
    matches!(ether_type, IPV4 | IPV6).then_some(payload)
}

/// Cuts off the redundancy control trailer of PRP (IEC 62439-3 §4.2.7): sequence number, network A or B and size, suffix.
fn without_redundancy_trailer(payload: &[u8]) -> &[u8] {
    match payload.split_last_chunk::<6>() {
        Some((rest, [_, _, size, low, 0x88, 0xfb]))
            if matches!(size >> 4, 0xa | 0xb)
                && usize::from(u16::from_be_bytes([size & 0x0f, *low])) <= payload.len() =>
        {
            rest
        }
        _ => payload,
    }
}
