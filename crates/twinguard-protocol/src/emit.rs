//! Frames from messages: what simulated plants, attackers and tests send.
//!
//! Ethernet II, IPv4 (RFC 791) or IPv6 (RFC 8200), TCP (RFC 9293) or UDP (RFC 768), with right lengths and checksums
//! (RFC 1071, RFC 8200 §8.1).

use core::net::{IpAddr, SocketAddr, SocketAddrV4};

use crate::checksum::{fold, sum};
use crate::error::Error;
use crate::ip::{TCP, UDP};
use crate::tcp::{End, TcpFlags};

/// The longest payload of one frame: an Ethernet frame of 1 514 bytes less the headers of IPv6 and TCP.
pub const MAX_PAYLOAD: usize = 1_440;

/// One TCP connection, as both its ends write it: [`End::First`] is the client.
///
/// Initial sequence numbers follow from the addresses, so that a run repeats bit for bit.
///
/// ```
/// use twinguard_protocol::{LinkType, emit::Connection, ip::Transport, link, tcp::End};
///
/// let mut connection = Connection::new("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?)?;
/// let mut frame = Vec::new();
/// connection.say(End::First, b"hello", &mut frame)?;
/// let link::Network::Ip(packet) = link::decode(LinkType::Ethernet, &frame)?.network else { panic!("not IP") };
/// assert!(matches!(packet.transport, Transport::Tcp(segment) if segment.payload == b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
}

impl Connection {
    /// A connection; no frame is written yet.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when one end is IPv4 and the other IPv6.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Result<Self, Error> {
        if client.is_ipv4() != server.is_ipv4() {
            return Err(Error::Unwritable { reason: "one end is IPv4, the other IPv6" });
        }
        Ok(Self::between(client, server))
    }

    /// A connection over IPv4; no frame is written yet.
    #[must_use]
    pub fn ipv4(client: SocketAddrV4, server: SocketAddrV4) -> Self {
        Self::between(client.into(), server.into())
    }

    fn between(client: SocketAddr, server: SocketAddr) -> Self {
        let first = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => (ip.to_bits() ^ u32::from(address.port())).wrapping_mul(0x9e37_79b1),
            IpAddr::V6(ip) => (ip.to_bits() as u32 ^ u32::from(address.port())).wrapping_mul(0x9e37_79b1),
        };
        Self { client, server, next: [first(client), first(server)] }
    }

    /// The three frames of the handshake (RFC 9293 §3.5): from the client, the server, the client.
    pub fn open(&mut self) -> [Vec<u8>; 3] {
        let answer = TcpFlags::SYN.with(TcpFlags::ACK);
        [(End::First, TcpFlags::SYN), (End::Second, answer), (End::First, TcpFlags::ACK)]
            .map(|(from, flags)| self.control(from, flags))
    }

    /// The three frames of an orderly end (RFC 9293 §3.6) that `from` begins.
    pub fn close(&mut self, from: End) -> [Vec<u8>; 3] {
        let finish = TcpFlags::FIN.with(TcpFlags::ACK);
        [(from, finish), (from.other(), finish), (from, TcpFlags::ACK)]
            .map(|(from, flags)| self.control(from, flags))
    }

    /// Writes the frame with which `from` sends a payload; `frame` is cleared first, so that its memory is used again.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when the payload is longer than [`MAX_PAYLOAD`].
    pub fn say(&mut self, from: End, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Error> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Error::Unwritable { reason: "payload does not fit in one frame" });
        }
        self.segment(from, TcpFlags::PSH.with(TcpFlags::ACK), payload, frame);
        Ok(())
    }

    fn control(&mut self, from: End, flags: TcpFlags) -> Vec<u8> {
        let mut frame = Vec::new();
        self.segment(from, flags, &[], &mut frame);
        frame
    }

    fn segment(&mut self, from: End, flags: TcpFlags, payload: &[u8], frame: &mut Vec<u8>) {
        let [client, server] = &mut self.next;
        let (source, destination, own, peer) = match from {
            End::First => (self.client, self.server, client, *server),
            End::Second => (self.server, self.client, server, *client),
        };
        let acknowledgement = if flags.contains(TcpFlags::ACK) { peer } else { 0 };
        let at = network(source.ip(), destination.ip(), TCP, 20 + payload.len(), frame);
        frame.extend_from_slice(&source.port().to_be_bytes());
        frame.extend_from_slice(&destination.port().to_be_bytes());
        frame.extend_from_slice(&own.to_be_bytes());
        frame.extend_from_slice(&acknowledgement.to_be_bytes());
        frame.extend_from_slice(&[0x50, flags.0, 0x20, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(payload);
        seal(source.ip(), destination.ip(), TCP, frame.get_mut(at..).unwrap_or_default());
        let marks = flags.contains(TcpFlags::SYN) || flags.contains(TcpFlags::FIN);
        *own = own.wrapping_add(payload.len() as u32 + u32::from(marks));
    }
}

/// Writes the frame of one UDP datagram; `frame` is cleared first.
///
/// # Errors
/// [`Error::Unwritable`] when the payload is longer than [`MAX_PAYLOAD`], or one end is IPv4 and the other IPv6.
pub fn datagram(
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
    frame: &mut Vec<u8>,
) -> Result<(), Error> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Error::Unwritable { reason: "payload does not fit in one frame" });
    }
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(Error::Unwritable { reason: "one end is IPv4, the other IPv6" });
    }
    let at = network(source.ip(), destination.ip(), UDP, 8 + payload.len(), frame);
    frame.extend_from_slice(&source.port().to_be_bytes());
    frame.extend_from_slice(&destination.port().to_be_bytes());
    frame.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(payload);
    seal(source.ip(), destination.ip(), UDP, frame.get_mut(at..).unwrap_or_default());
    Ok(())
}

/// Writes the headers of Ethernet and IP; returns where the transport begins.
fn network(source: IpAddr, destination: IpAddr, protocol: u8, len: usize, frame: &mut Vec<u8>) -> usize {
    frame.clear();
    for address in [destination, source] {
        // Locally administered, from the address.
        let low = match address {
            IpAddr::V4(ip) => ip.to_bits(),
            IpAddr::V6(ip) => ip.to_bits() as u32,
        };
        frame.extend_from_slice(&[2, 0]);
        frame.extend_from_slice(&low.to_be_bytes());
    }
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
            frame.extend_from_slice(&(20 + len as u16).to_be_bytes());
            // No fragments, so no identification (RFC 6864).
            frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend_from_slice(&source.octets());
            frame.extend_from_slice(&destination.octets());
            let header = frame.get_mut(14..).unwrap_or_default();
            let sum = checksum(sum(0, header));
            write(header, 10, sum);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
            frame.extend_from_slice(&[protocol, 64]);
            frame.extend_from_slice(&source.octets());
            frame.extend_from_slice(&destination.octets());
        }
        // Both callers have compared the families.
        _ => {}
    }
    frame.len()
}

/// Writes the checksum of a transport over its pseudo-header.
fn seal(source: IpAddr, destination: IpAddr, protocol: u8, transport: &mut [u8]) {
    let mut total = u32::from(protocol) + transport.len() as u32;
    for address in [source, destination] {
        total = match address {
            IpAddr::V4(ip) => sum(total, &ip.octets()),
            IpAddr::V6(ip) => sum(total, &ip.octets()),
        };
    }
    let at = if protocol == TCP { 16 } else { 6 };
    write(transport, at, [0, 0]);
    let mut check = checksum(sum(total, transport));
    if protocol == UDP && check == [0, 0] {
        // Zero would say that there is no checksum (RFC 768).
        check = [0xff, 0xff];
    }
    write(transport, at, check);
}

/// Folds the carries in and inverts.
fn checksum(total: u32) -> [u8; 2] {
    (!fold(total)).to_be_bytes()
}

fn write(bytes: &mut [u8], at: usize, field: [u8; 2]) {
    if let Some(slot) = bytes.get_mut(at..at + 2) {
        slot.copy_from_slice(&field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    /// Lengths and checksums are what `etherparse` computes.
    fn check(frame: &[u8], payload: &[u8]) {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        match (packet.net.as_ref().unwrap(), packet.transport.unwrap()) {
            (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
                assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
                let sum = tcp.to_header().calc_checksum_ipv4(&ip.header().to_header(), tcp.payload());
                assert_eq!((tcp.payload(), tcp.checksum()), (payload, sum.unwrap()));
            }
            (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
                let sum = tcp.to_header().calc_checksum_ipv6(&ip.header().to_header(), tcp.payload());
                assert_eq!((tcp.payload(), tcp.checksum()), (payload, sum.unwrap()));
            }
            (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
                let sum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload());
                assert_eq!((udp.payload(), udp.to_header().checksum), (payload, sum.unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_carry_right_checksums() {
        let v4 = ["10.1.2.3:40000", "10.250.0.7:502"];
        let v6 = ["[fd00::17]:40000", "[fd00::2]:502"];
        let mut frame = Vec::new();
        for ends in [v4, v6] {
            let [client, server] = ends.map(|end| end.parse().unwrap());
            let mut connection = Connection::new(client, server).unwrap();
            connection.open().iter().for_each(|frame| check(frame, b""));
            for (from, len) in [(End::First, 12), (End::Second, 1), (End::Second, MAX_PAYLOAD)] {
                let payload = vec![0xa7; len];
                connection.say(from, &payload, &mut frame).unwrap();
                check(&frame, &payload);
            }
            assert!(connection.say(End::First, &[0; MAX_PAYLOAD + 1], &mut frame).is_err());
            connection.close(End::Second).iter().for_each(|frame| check(frame, b""));
        }
        let [source, destination] = v4.map(|end| end.parse().unwrap());
        datagram(source, destination, b"odd", &mut frame).unwrap();
        check(&frame, b"odd");
        assert!(datagram(source, v6[0].parse().unwrap(), b"", &mut frame).is_err());
    }
}
