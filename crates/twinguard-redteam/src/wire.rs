//! Real bytes for a simulated network: Ethernet II, IPv4 and TCP around application messages.
//!
//! Source: RFC 791 §3.1 (IPv4 header and checksum), RFC 9293 §3.1 (TCP header, checksum, sequence numbers).

use core::net::{Ipv4Addr, SocketAddrV4};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// One TCP connection as a tap between its ends sees it.
///
/// The connection counts sequence numbers for both directions, so what it emits reassembles without gaps; a man in the
/// middle who changes bytes but not their number keeps the numbers right by construction.
#[derive(Clone, Debug)]
pub struct Connection {
    client: SocketAddrV4,
    server: SocketAddrV4,
    /// Next sequence number of the client and of the server.
    next: [u32; 2],
    identification: u16,
}

/// Who sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}

impl Connection {
    /// A connection that is about to be opened; `seed` gives the initial sequence numbers.
    #[must_use]
    pub fn new(client: SocketAddrV4, server: SocketAddrV4, seed: u32) -> Self {
        Self {
            client,
            server,
            next: [seed.wrapping_mul(0x9E37_79B9), seed.wrapping_mul(0x85EB_CA6B)],
            identification: 0,
        }
    }

    /// The end that opens.
    #[must_use]
    pub fn client(&self) -> SocketAddrV4 {
        self.client
    }

    /// The end that is opened to.
    #[must_use]
    pub fn server(&self) -> SocketAddrV4 {
        self.server
    }

    /// The three segments that open the connection, in order, through `emit`.
    pub fn open(&mut self, mut emit: impl FnMut(&[u8])) {
        let mut buffer = Vec::with_capacity(ETHERNET + IPV4 + TCP);
        for (sender, flags) in [(Sender::Client, SYN), (Sender::Server, SYN | ACK), (Sender::Client, ACK)] {
            self.write(sender, flags, &[], &mut buffer);
            emit(&buffer);
        }
    }

    /// Writes the frame that breaks the connection off.
    pub fn reset(&mut self, sender: Sender, frame: &mut Vec<u8>) {
        self.write(sender, RST | ACK, &[], frame);
    }

    /// Writes a data segment into `frame`, replacing what it held.
    pub fn send(&mut self, sender: Sender, payload: &[u8], frame: &mut Vec<u8>) {
        self.write(sender, PSH | ACK, payload, frame);
    }

    fn write(&mut self, sender: Sender, flags: u8, payload: &[u8], frame: &mut Vec<u8>) {
        let [client_next, server_next] = self.next;
        let (source, destination, sequence, acknowledgement) = match sender {
            Sender::Client => (self.client, self.server, client_next, server_next),
            Sender::Server => (self.server, self.client, server_next, client_next),
        };
        let acknowledgement = if flags & ACK == 0 { 0 } else { acknowledgement };
        let advance = payload.len() as u32 + u32::from(flags & SYN != 0);
        self.next = match sender {
            Sender::Client => [client_next.wrapping_add(advance), server_next],
            Sender::Server => [client_next, server_next.wrapping_add(advance)],
        };
        self.identification = self.identification.wrapping_add(1);

        frame.clear();
        frame.extend_from_slice(&mac(*destination.ip()));
        frame.extend_from_slice(&mac(*source.ip()));
        frame.extend_from_slice(&[0x08, 0x00]);

        let total = (IPV4 + TCP + payload.len()).min(usize::from(u16::MAX)) as u16;
        let mut header = [0u8; IPV4];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&total.to_be_bytes());
        header[4..6].copy_from_slice(&self.identification.to_be_bytes());
        header[6] = 0x40;
        header[8] = 64;
        header[9] = 6;
        header[12..16].copy_from_slice(&source.ip().octets());
        header[16..20].copy_from_slice(&destination.ip().octets());
        let sum = fold(add(0, &header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&header);

        let mut segment = [0u8; TCP];
        segment[0..2].copy_from_slice(&source.port().to_be_bytes());
        segment[2..4].copy_from_slice(&destination.port().to_be_bytes());
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        segment[8..12].copy_from_slice(&acknowledgement.to_be_bytes());
        segment[12] = 0x50;
        segment[13] = flags;
        segment[14..16].copy_from_slice(&0xFAF0u16.to_be_bytes());
        let pseudo = add(add(add(0, &source.ip().octets()), &destination.ip().octets()), &[0, 6]);
        let pseudo = pseudo + u32::from(total - IPV4 as u16);
        let sum = fold(add(add(pseudo, &segment), payload));
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&segment);
        frame.extend_from_slice(payload);
    }
}

/// A locally administered MAC address that follows from the IP address.
fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x00, a, b, c, d]
}

fn add(sum: u32, bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(sum, |sum, pair| match pair {
        [high, low] => sum + u32::from(u16::from_be_bytes([*high, *low])),
        [high] => sum + u32::from(u16::from_be_bytes([*high, 0])),
        _ => sum,
    })
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection::new(
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 10), 40_000),
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 502),
            7,
        )
    }

    #[test]
    fn checksums_verify() {
        let mut frame = Vec::new();
        connection().send(Sender::Client, b"odd", &mut frame);
        assert_eq!(fold(add(0, &frame[14..34])), 0, "IPv4 header sums to all ones");
        let pseudo = add(0, &frame[26..34]) + 6 + (frame.len() - 34) as u32;
        assert_eq!(fold(add(pseudo, &frame[34..])), 0, "TCP segment with pseudo header sums to all ones");
    }

    #[test]
    fn each_direction_counts_its_own_bytes() {
        let mut connection = connection();
        let mut handshake = 0;
        connection.open(|_| handshake += 1);
        assert_eq!(handshake, 3);
        let sequence = |frame: &[u8]| u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
        let mut frame = Vec::new();
        connection.send(Sender::Client, &[0; 12], &mut frame);
        let first = sequence(&frame);
        connection.send(Sender::Server, &[0; 99], &mut frame);
        connection.send(Sender::Client, &[0; 12], &mut frame);
        assert_eq!(sequence(&frame), first.wrapping_add(12));
    }
}
