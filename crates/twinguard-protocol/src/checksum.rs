//! Checksums of IPv4, TCP and UDP.
//!
//! Sources: RFC 1071 (the sum), RFC 791 §3.1 (IPv4), RFC 9293 §3.1 (TCP), RFC 768 (UDP), RFC 8200 §8.1 (over IPv6).
//!
//! **A wrong checksum in a capture is seldom wrong on the wire.** A host that captures its own traffic sees packets
//! before its network card has finished them: the field then holds the sum of the pseudo-header alone, or nothing. That
//! is told apart as [`Checksum::Offloaded`]; what is left is [`Checksum::Wrong`], and the receiver dropped it. An
//! observer that reads it all the same can be shown what the receiver never saw.

use crate::bytes::{be16, chunk};
use crate::frame::LinkType;
use crate::ip::{TCP, UDP};
use crate::link;

/// What a checksum field says of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// It is that of the bytes.
    Right,
    /// It is not.
    Wrong,
    /// The network card of the capturing host had yet to compute it.
    Offloaded,
    /// The sender computed none (UDP, RFC 768).
    Absent,
    /// There is none in this layer, or the bytes that it covers are not all here: cut, a fragment, a routing header.
    Unknown,
}

/// The checksums of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Of the IPv4 header; [`Checksum::Unknown`] for IPv6, which has none.
    pub ip: Checksum,
    /// Of the TCP segment or UDP datagram.
    pub transport: Checksum,
}

impl Checks {
    const UNKNOWN: Self = Self { ip: Checksum::Unknown, transport: Checksum::Unknown };

    /// Whether one of them is this.
    #[must_use]
    pub fn any(self, checksum: Checksum) -> bool {
        self.ip == checksum || self.transport == checksum
    }
}

/// Checks the outermost IP packet of a frame. Work is linear in its length.
///
/// ```
/// use twinguard_protocol::{LinkType, checksum::{self, Checksum}, emit};
///
/// let mut frame = Vec::new();
/// emit::datagram("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?, b"hello", &mut frame)?;
/// let checks = checksum::check(LinkType::Ethernet, &frame);
/// assert_eq!((checks.ip, checks.transport), (Checksum::Right, Checksum::Right));
/// *frame.last_mut().unwrap() ^= 1;
/// assert_eq!(checksum::check(LinkType::Ethernet, &frame).transport, Checksum::Wrong);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn check(link: LinkType, bytes: &[u8]) -> Checks {
    let packet = link::ip_bytes(link, bytes).unwrap_or_default();
    match packet.first().map(|first| first >> 4) {
        Some(4) => v4(packet),
        Some(6) => Checks { ip: Checksum::Unknown, transport: v6(packet).unwrap_or(Checksum::Unknown) },
        _ => Checks::UNKNOWN,
    }
}

fn v4(bytes: &[u8]) -> Checks {
    let Some(fixed) = chunk::<20>(bytes, 0) else { return Checks::UNKNOWN };
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let Some(header) = bytes.get(..header_len).filter(|_| header_len >= 20) else { return Checks::UNKNOWN };
    let ip = match (fold(sum(0, header)), fixed[10] | fixed[11]) {
        (0xffff, _) => Checksum::Right,
        (_, 0) => Checksum::Offloaded,
        _ => Checksum::Wrong,
    };
    let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let whole = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff == 0;
    let transport = match bytes.get(header_len..total_len) {
        Some(payload) if whole => transport(fixed.get(12..20).unwrap_or_default(), fixed[9], payload),
        // A length of 0 stands for a packet that the card has yet to cut into segments.
        None if total_len == 0 && matches!(fixed[9], TCP | UDP) => Checksum::Offloaded,
        _ => Checksum::Unknown,
    };
    Checks { ip, transport }
}

/// Skips the extension headers that leave the pseudo-header as it is.
fn v6(bytes: &[u8]) -> Option<Checksum> {
    let (fixed, addresses) = (chunk::<8>(bytes, 0)?, bytes.get(8..40)?);
    let payload_len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let (mut protocol, mut rest) = (fixed[6], bytes.get(40..40 + payload_len)?);
    if payload_len == 0 && matches!(protocol, TCP | UDP) {
        return Some(Checksum::Offloaded);
    }
    // Hop by hop, destination options, mobility, host identity, shim (RFC 8200 §4 and the RFCs of each).
    while matches!(protocol, 0 | 60 | 135 | 139 | 140) {
        let ([next, units], _) = rest.split_first_chunk()?;
        rest = rest.get(usize::from(*units) * 8 + 8..)?;
        protocol = *next;
    }
    Some(transport(addresses, protocol, rest))
}

/// The checksum of a segment or datagram under the addresses of its pseudo-header.
fn transport(addresses: &[u8], protocol: u8, bytes: &[u8]) -> Checksum {
    let (place, bytes) = match (protocol, be16(bytes, 4)) {
        (TCP, _) => (16, Some(bytes)),
        (UDP, Some(1..)) => (6, bytes.get(..usize::from(be16(bytes, 4).unwrap_or_default()))),
        _ => return Checksum::Unknown,
    };
    let Some((bytes, field)) = bytes.and_then(|bytes| Some((bytes, be16(bytes, place)?))) else {
        return Checksum::Unknown;
    };
    if protocol == UDP && field == 0 {
        return Checksum::Absent;
    }
    let base = sum(u32::from(protocol), addresses);
    let pseudo = base + bytes.len() as u32;
    // Cards are left the sum of the pseudo-header to go on from, not inverted; before segmentation without the length.
    match field {
        _ if fold(sum(pseudo, bytes)) == 0xffff => Checksum::Right,
        _ if field == fold(pseudo) || field == fold(base) => Checksum::Offloaded,
        _ => Checksum::Wrong,
    }
}

/// Adds 16-bit words; an odd last byte counts as the upper half. IP's lengths keep the total below 2³².
pub(crate) fn sum(start: u32, bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(start, |total, pair| match *pair {
        [high, low] => total + u32::from(u16::from_be_bytes([high, low])),
        [high] => total + (u32::from(high) << 8),
        _ => total,
    })
}

/// Folds the carries in.
pub(crate) const fn fold(mut total: u32) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{self, Connection};
    use crate::tcp::End;

    fn frames(v6: bool) -> [Vec<u8>; 2] {
        let [client, server] =
            if v6 { ["[fd00::1]:4000", "[fd00::2]:502"] } else { ["10.0.0.1:4000", "10.0.0.2:502"] };
        let (mut segment, mut datagram) = (Vec::new(), Vec::new());
        let mut connection = Connection::new(client.parse().unwrap(), server.parse().unwrap()).unwrap();
        connection.say(End::First, b"seven!!", &mut segment).unwrap();
        emit::datagram(client.parse().unwrap(), server.parse().unwrap(), b"seven!!", &mut datagram).unwrap();
        [segment, datagram]
    }

    fn transport_of(frame: &[u8]) -> Checksum {
        check(LinkType::Ethernet, frame).transport
    }

    /// Where the checksum of the transport lies.
    fn place(frame: &[u8], v6: bool, udp: bool) -> usize {
        let at = if v6 { 54 } else { 34 } + if udp { 6 } else { 16 };
        assert!(at + 2 <= frame.len());
        at
    }

    #[test]
    fn what_is_written_is_right_and_any_turned_bit_is_seen() {
        for v6 in [false, true] {
            for frame in frames(v6) {
                assert_eq!(transport_of(&frame), Checksum::Right);
                let from = if v6 { 54 } else { 34 };
                for bit in 0..8 * (frame.len() - from) {
                    let mut spoilt = frame.clone();
                    spoilt[from + bit / 8] ^= 1 << (bit % 8);
                    assert_ne!(transport_of(&spoilt), Checksum::Right, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_turned_bit_in_the_header_is_seen() {
        let [frame, _] = frames(false);
        assert_eq!(check(LinkType::Ethernet, &frame).ip, Checksum::Right);
        let mut spoilt = frame.clone();
        spoilt[22] ^= 1; // time to live
        assert_eq!(check(LinkType::Ethernet, &spoilt).ip, Checksum::Wrong);
        (spoilt[24], spoilt[25]) = (0, 0);
        assert_eq!(check(LinkType::Ethernet, &spoilt).ip, Checksum::Offloaded);
    }

    #[test]
    fn what_a_card_has_yet_to_compute_is_told_apart() {
        for v6 in [false, true] {
            for (frame, udp) in frames(v6).into_iter().zip([false, true]) {
                let at = place(&frame, v6, udp);
                let from = if v6 { 54 } else { 34 };
                let addresses = if v6 { &frame[22..54] } else { &frame[26..34] };
                let base = sum(if udp { 17 } else { 6 }, addresses);
                for partial in [base + (frame.len() - from) as u32, base] {
                    let mut left = frame.clone();
                    left[at..at + 2].copy_from_slice(&fold(partial).to_be_bytes());
                    assert_eq!(transport_of(&left), Checksum::Offloaded);
                }
                let mut none = frame.clone();
                none[at..at + 2].copy_from_slice(&[0, 0]);
                assert_eq!(transport_of(&none), if udp { Checksum::Absent } else { Checksum::Wrong });
            }
        }
    }

    #[test]
    fn what_is_not_all_here_is_not_judged() {
        for v6 in [false, true] {
            for frame in frames(v6) {
                for len in 0..frame.len() {
                    assert_eq!(transport_of(&frame[..len]), Checksum::Unknown, "{len}");
                }
            }
        }
        let [mut fragment, _] = frames(false);
        fragment[20] |= 0x20;
        assert_eq!(transport_of(&fragment), Checksum::Unknown);
        assert_eq!(check(LinkType::Ethernet, &[0; 60]), Checks::UNKNOWN);
        assert_eq!(check(LinkType::MsTp, &[0x55; 60]), Checks::UNKNOWN);
    }

    #[test]
    fn tags_links_and_options_are_stepped_over() {
        let [frame, _] = frames(false);
        let tagged = [&frame[..12], &[0x81, 0, 0, 5, 0x81, 0, 0, 6], &frame[12..]].concat();
        assert_eq!(transport_of(&tagged), Checksum::Right);
        assert_eq!(check(LinkType::RawIp, &frame[14..]).transport, Checksum::Right);
        let cooked = [&[0; 14][..], &frame[12..]].concat();
        assert_eq!(check(LinkType::LinuxSll, &cooked).transport, Checksum::Right);
        let [frame, _] = frames(true);
        let hop_by_hop = [6, 0, 1, 4, 0, 0, 0, 0];
        let mut long = [&frame[..54], &hop_by_hop, &frame[54..]].concat();
        (long[19], long[20]) = (long[19] + 8, 0);
        assert_eq!(transport_of(&long), Checksum::Right);
    }
}
