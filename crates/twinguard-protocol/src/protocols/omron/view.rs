//! A view on the bytes of one message: shows even nonsense, flags what is odd.
//!
//! Sources: OMRON W342 *Communications Commands Reference Manual* §3 (FINS header), §5 (commands); OMRON W421 *Ethernet
//! Units Operation Manual* §7-4 (FINS/TCP header).

use twinguard_types::Oddity;

use super::area;
use super::name::command_name;
use crate::protocol::{Cut, Oddities, Sender};

/// Bytes before the command: ICF, RSV, GCT, three addresses each of destination and source, SID (W342 §3-2).
pub const HEADER_LEN: usize = 10;
/// Bytes of the FINS/TCP header (W421 §7-4-2).
pub const ENVELOPE_LEN: usize = 16;
/// Longest frame that is followed in a stream: 2012 bytes of FINS are the most that units take (W421 §7-4).
pub const STREAM_MAX: usize = 4096;

/// The FINS/TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Bytes that follow the length field, as it says.
    pub length: u32,
    /// 0 client's node address, 1 server's node address, 2 FINS frame, 3 error, 6 confirmation.
    pub command: u32,
    /// Error, 0 for none.
    pub error: u32,
}

/// One message; borrows its bytes, and the places that the request which it answers lists.
///
/// ```
/// use twinguard_protocol::protocols::omron::View;
///
/// // Read three words from D100 (W342 §5-3-2).
/// let view = View::new(&[0x80, 0, 2, 0, 0, 0, 0, 1, 0, 7, 1, 1, 0x82, 0, 100, 0, 0, 3]).unwrap();
/// assert_eq!((view.command(), view.is_response(), view.sid()), (0x0101, false, 7));
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    bytes: &'a [u8],
    envelope: Option<Envelope>,
    header: [u8; HEADER_LEN],
    command: u16,
    end: Option<u16>,
    body: &'a [u8],
    request: Option<&'a [u8]>,
    fins: bool,
    oddities: Oddities,
}

/// Where the first FINS/TCP frame in these bytes ends (W421 §7-4-2). Datagrams hold one bare FINS frame and are not cut.
#[inline]
#[must_use]
pub fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [b'F', b'I', b'N', b'S', l3, l2, l1, l0, ..] => {
            let total = u32::from_be_bytes([*l3, *l2, *l1, *l0]) as usize;
            match total.checked_add(8) {
                Some(total) if (ENVELOPE_LEN..=STREAM_MAX).contains(&total) => {
                    if bytes.len() < total {
                        Cut::More(total)
                    } else {
                        Cut::Message(total)
                    }
                }
                _ => Cut::Foreign,
            }
        }
        short if short.len() < 8 && b"FINS".iter().zip(short).all(|(wanted, byte)| wanted == byte) => {
            Cut::More(ENVELOPE_LEN)
        }
        _ => Cut::Foreign,
    }
}

impl<'a> View<'a> {
    /// Reads a whole message, with or without the FINS/TCP header; `None` when it is shorter than a header and a
    /// command, or than the FINS/TCP header.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut oddities = Oddities::NONE;
        let mut view = Self {
            bytes,
            envelope: None,
            header: [0; HEADER_LEN],
            command: 0,
            end: None,
            body: &[],
            request: None,
            fins: false,
            oddities,
        };
        let mut fins = bytes;
        if let Some(rest) = bytes.strip_prefix(b"FINS") {
            let ([l3, l2, l1, l0, c3, c2, c1, c0, e3, e2, e1, e0], rest) = rest.split_first_chunk()?;
            let envelope = Envelope {
                length: u32::from_be_bytes([*l3, *l2, *l1, *l0]),
                command: u32::from_be_bytes([*c3, *c2, *c1, *c0]),
                error: u32::from_be_bytes([*e3, *e2, *e1, *e0]),
            };
            if envelope.length as usize != bytes.len() - 8 {
                oddities.push(Oddity::LengthMismatch, 4);
            }
            view.envelope = Some(envelope);
            if envelope.command != 2 {
                let wanted = match envelope.command {
                    0 => 4,
                    1 => 8,
                    3 | 6 => 0,
                    _ => {
                        oddities.push(Oddity::UnknownFunction, 8);
                        rest.len()
                    }
                };
                if rest.len() != wanted {
                    oddities.push(Oddity::LengthMismatch, 4);
                }
                return Some(Self { body: rest, oddities, ..view });
            }
            fins = rest;
        }
        let at = bytes.len() - fins.len();
        let (header, rest) = fins.split_first_chunk::<HEADER_LEN>()?;
        let ([main, sub], rest) = rest.split_first_chunk()?;
        let [icf, reserved, ..] = header;
        // W342 §3-2: bits 1 to 5 of ICF are 0, RSV is 0.
        if icf & 0x3e != 0 {
            oddities.push(Oddity::BadValue, at);
        }
        if *reserved != 0 {
            oddities.push(Oddity::BadValue, at + 1);
        }
        let command = u16::from_be_bytes([*main, *sub]);
        if command_name(command) == "undefined" {
            oddities.push(Oddity::UnknownFunction, at + HEADER_LEN);
        }
        let (end, body) = match (icf & 0x40 != 0, rest) {
            (true, [e1, e0, body @ ..]) => (Some(u16::from_be_bytes([*e1, *e0])), body),
            (true, short) => {
                oddities.push(Oddity::Truncated, bytes.len());
                (None, short)
            }
            (false, body) => (None, body),
        };
        view = Self { header: *header, command, end, body, fins: true, oddities, ..view };
        view.check();
        Some(view)
    }

    /// The same message with the list of places of the request that it answers.
    #[must_use]
    pub const fn answering(self, request: &'a [u8]) -> Self {
        Self { request: Some(request), ..self }
    }

    /// All bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The FINS/TCP header.
    #[must_use]
    pub const fn envelope(&self) -> Option<Envelope> {
        self.envelope
    }

    /// Whether there is a FINS frame; without one there is the FINS/TCP header alone.
    #[must_use]
    pub const fn has_frame(&self) -> bool {
        self.fins
    }

    /// ICF, RSV, GCT, DNA, DA1, DA2, SNA, SA1, SA2, SID (W342 §3-2).
    #[must_use]
    pub const fn header(&self) -> [u8; HEADER_LEN] {
        self.header
    }

    /// Whether it is a response (ICF bit 6).
    #[must_use]
    pub const fn is_response(&self) -> bool {
        let [icf, ..] = self.header;
        icf & 0x40 != 0
    }

    /// Whether a command wants a response (ICF bit 0).
    #[must_use]
    pub const fn wants_response(&self) -> bool {
        let [icf, ..] = self.header;
        icf & 1 == 0
    }

    /// Network, node and unit of the device: the destination of a command, the source of a response.
    #[must_use]
    pub const fn device(&self) -> [u8; 3] {
        let [_, _, _, dna, da1, da2, sna, sa1, sa2, _] = self.header;
        if self.is_response() { [sna, sa1, sa2] } else { [dna, da1, da2] }
    }

    /// Network, node and unit of the other end.
    #[must_use]
    pub const fn asker(&self) -> [u8; 3] {
        let [_, _, _, dna, da1, da2, sna, sa1, sa2, _] = self.header;
        if self.is_response() { [dna, da1, da2] } else { [sna, sa1, sa2] }
    }

    /// Service identifier: a response repeats it.
    #[must_use]
    pub const fn sid(&self) -> u8 {
        let [.., sid] = self.header;
        sid
    }

    /// Main and sub request code (W342 §5-1-1).
    #[must_use]
    pub const fn command(&self) -> u16 {
        self.command
    }

    /// The end code of a response (W342 §5-1-3).
    #[must_use]
    pub const fn end_code(&self) -> Option<u16> {
        self.end
    }

    /// Why a response refuses: its end code without the bits that tell of relays and of errors in the device's unit.
    #[must_use]
    pub fn refusal(&self) -> Option<u16> {
        self.end.filter(|end| end & 0x7f3f != 0)
    }

    /// What follows the command or end code; of a frame without FINS what follows the FINS/TCP header.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The places that the request listed, where it was seen.
    #[must_use]
    pub const fn request(&self) -> Option<&'a [u8]> {
        self.request
    }

    /// Who sends it, by the frame alone.
    #[must_use]
    pub fn sender(&self) -> Sender {
        match (self.envelope.map(|envelope| envelope.command), self.fins) {
            (Some(0), _) => Sender::Client,
            (Some(1), _) => Sender::Server,
            (_, true) if self.is_response() => Sender::Server,
            (_, true) => Sender::Client,
            _ => Sender::Unknown,
        }
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// The lengths of memory commands (W342 §5-3-2 to §5-3-6).
    fn check(&mut self) {
        if self.is_response() {
            return;
        }
        let at = self.bytes.len() - self.body.len();
        let count = |c1: &u8, c0: &u8| usize::from(u16::from_be_bytes([*c1, *c0]));
        let wanted = match (self.command, self.body) {
            (0x0101, [_, _, _, _, _, _, ..]) => Some(6),
            (0x0102, [code, _, _, _, c1, c0, ..]) => {
                area::size(*code).map(|size| 6 + count(c1, c0) * usize::from(size))
            }
            (0x0103, [_, _, _, _, _, _, ..]) => Some(8),
            (0x0104, [_, _, _, _, ..]) => Some(self.body.len() / 4 * 4),
            (0x0101..=0x0104, short) => {
                self.oddities.push(Oddity::Truncated, at + short.len());
                return;
            }
            _ => return,
        };
        if self.body.first().and_then(|code| area::size(*code)).is_none() {
            self.oddities.push(Oddity::BadAddress, at);
        }
        if wanted.is_some_and(|wanted| wanted != self.body.len()) {
            self.oddities.push(Oddity::LengthMismatch, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_by_the_length_field() {
        let frame = *b"FINS\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(cut(&frame), Cut::Message(20));
        assert_eq!(cut(&frame[..9]), Cut::More(20));
        assert_eq!(cut(b"FI"), Cut::More(16));
        assert_eq!(cut(b"GET / HTTP"), Cut::Foreign);
        assert_eq!(cut(b"FINS\xff\xff\xff\xff"), Cut::Foreign);
        let view = View::new(&frame).unwrap();
        assert_eq!((view.sender(), view.has_frame()), (Sender::Client, false));
        assert!(view.oddities().is_empty());
    }

    #[test]
    fn what_is_odd_is_named_with_its_place() {
        let odd = |tail: &[u8], wanted: (Oddity, u32)| {
            let bytes = [&[0x80, 0, 2, 0, 0, 0, 0, 0, 0, 1], tail].concat();
            assert_eq!(View::new(&bytes).unwrap().oddities().iter().next(), Some(wanted), "{tail:02x?}");
        };
        odd(&[9, 9], (Oddity::UnknownFunction, 10));
        odd(&[1, 1, 0x82], (Oddity::Truncated, 13));
        odd(&[1, 1, 0x82, 0, 0, 0, 0, 1, 0], (Oddity::LengthMismatch, 12));
        odd(&[1, 2, 0x82, 0, 0, 0, 0, 2, 1, 2], (Oddity::LengthMismatch, 12));
        odd(&[1, 1, 0xff, 0, 0, 0, 0, 1], (Oddity::BadAddress, 12));
    }
}
