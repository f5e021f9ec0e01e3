//! Any bytes as BVLC, network and application layer headers (Annex J, clauses 6 and 20), on MS/TP as its frame (clause 9).

use core::num::NonZeroU32;

use twinguard_types::Oddity;

use super::mstp;
use crate::bytes::be16;
use crate::protocol::Oddities;

/// What carries the network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// BACnet/IP: the BVLC function (J.2).
    Ip(u8),
    /// MS/TP: the frame type (9.3.1).
    Mstp(u8),
}

/// Application PDU types (20.1).
#[allow(missing_docs, reason = "the standard's names")]
pub mod pdu {
    pub const CONFIRMED_REQUEST: u8 = 0;
    pub const UNCONFIRMED_REQUEST: u8 = 1;
    pub const SIMPLE_ACK: u8 = 2;
    pub const COMPLEX_ACK: u8 = 3;
    pub const SEGMENT_ACK: u8 = 4;
    pub const ERROR: u8 = 5;
    pub const REJECT: u8 = 6;
    pub const ABORT: u8 = 7;
}

/// A device on another network: its number and its address there (6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote<'a> {
    /// Network, 65535 for all.
    pub network: u16,
    /// Address, empty for all devices.
    pub address: &'a [u8],
}

/// The header of the network layer (6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Npdu<'a> {
    /// Control octet (6.2.2).
    pub control: u8,
    /// To whom, on another network.
    pub destination: Option<Remote<'a>>,
    /// From whom, on another network.
    pub source: Option<Remote<'a>>,
    /// Routers it may still pass.
    pub hops: Option<u8>,
    /// Message type of the network layer itself.
    pub message: Option<u8>,
}

/// The header of the application layer (20.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apdu<'a> {
    /// PDU type, 0 to 7.
    pub kind: u8,
    /// The other half of the first octet.
    pub flags: u8,
    /// Segments and size that a confirmed request accepts.
    pub accepts: u8,
    /// Invoke identifier; 0 where there is none.
    pub invoke: u8,
    /// Sequence number and window of a segment.
    pub segment: Option<(u8, u8)>,
    /// Service choice, reason of a reject or abort.
    pub choice: u8,
    /// The service's parameters.
    pub body: &'a [u8],
}

impl Apdu<'_> {
    /// Whether more segments follow (20.1.2.2).
    #[must_use]
    pub const fn more(&self) -> bool {
        self.segment.is_some() && self.flags & 4 != 0
    }
}

/// A message as it came; shows even nonsense.
///
/// ```
/// use twinguard_protocol::protocols::bacnet::View;
///
/// // Who-Is to everybody (F.4.1).
/// let view = View::new(&[0x81, 0x0b, 0, 8, 1, 0, 0x10, 0x08]).unwrap();
/// assert_eq!(view.apdu().unwrap().choice, 8);
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    link: Link,
    length: u16,
    /// Where the headers of the network and the application layer begin, and where both end.
    npdu: Option<NonZeroU32>,
    apdu: Option<NonZeroU32>,
    end: u32,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// The message that these bytes hold; `None` when they begin neither as BACnet/IP nor as MS/TP.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut oddities = Oddities::NONE;
        let (link, length, npdu) = match bytes {
            // J.2: type, function, length of all.
            [0x81, function, high, low, rest @ ..] => {
                let length = u16::from_be_bytes([*high, *low]);
                if usize::from(length) != bytes.len() {
                    oddities.push(Oddity::LengthMismatch, 2);
                }
                let body = rest.get(..usize::from(length).saturating_sub(4)).unwrap_or(rest);
                let npdu = match function {
                    // J.2.5: the original sender's address lies before.
                    4 => body.get(6..).map(|body| (10, body)),
                    9..=0x0b => Some((4, body)),
                    _ => None,
                };
                if *function == 4 && npdu.is_none() {
                    oddities.push(Oddity::Truncated, bytes.len());
                }
                if *function > 0x0c {
                    oddities.push(Oddity::UnknownFunction, 1);
                }
                (Link::Ip(*function), length, npdu)
            }
            [0x55, 0xff, ..] => {
                let frame = mstp::Frame::new(bytes)?;
                for oddity in frame.oddities().iter() {
                    oddities.push(oddity.0, oddity.1 as usize);
                }
                let carries =
                    matches!(frame.kind, mstp::DATA_EXPECTING_REPLY | mstp::DATA_NOT_EXPECTING_REPLY);
                let npdu = carries.then_some((mstp::HEADER_LEN, frame.data));
                (Link::Mstp(frame.kind), frame.data.len() as u16, npdu)
            }
            _ => return None,
        };
        let mut view = Self { bytes, link, length, npdu: None, apdu: None, end: 0, oddities };
        if let Some((at, body)) = npdu {
            view.network(body, at);
        }
        Some(view)
    }

    /// Reads the network layer and what it carries; `at` is where they begin.
    #[inline]
    fn network(&mut self, bytes: &'a [u8], at: usize) {
        self.end = (at + bytes.len()) as u32;
        let Some((npdu, rest)) = read_npdu(bytes) else {
            self.oddities.push(Oddity::Truncated, at + bytes.len());
            return;
        };
        if bytes.first() != Some(&1) {
            self.oddities.push(Oddity::BadProtocolId, at);
        }
        if npdu.control & 0x50 != 0 {
            self.oddities.push(Oddity::BadValue, at + 1);
        }
        self.npdu = NonZeroU32::new(at as u32);
        if npdu.message.is_none() {
            let at = at + bytes.len() - rest.len();
            match read_apdu(rest) {
                None => return self.oddities.push(Oddity::Truncated, at + rest.len()),
                Some(apdu) if apdu.kind > pdu::ABORT => self.oddities.push(Oddity::UnknownFunction, at),
                Some(_) => {}
            }
            self.apdu = NonZeroU32::new(at as u32);
        }
    }

    #[inline]
    fn layer(&self, begin: Option<NonZeroU32>) -> Option<&'a [u8]> {
        self.bytes.get(begin?.get() as usize..self.end as usize)
    }

    /// All bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What carries it.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }

    /// The length that the link layer tells.
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// The header of the network layer, where there is one.
    #[inline]
    #[must_use]
    pub fn npdu(&self) -> Option<Npdu<'a>> {
        read_npdu(self.layer(self.npdu)?).map(|(npdu, _)| npdu)
    }

    /// The header of the application layer, where there is one.
    #[inline]
    #[must_use]
    pub fn apdu(&self) -> Option<Apdu<'a>> {
        read_apdu(self.layer(self.apdu)?)
    }

    /// What is odd about it.
    #[inline]
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    pub(super) const fn oddities_mut(&mut self) -> &mut Oddities {
        &mut self.oddities
    }
}

/// 6.2: version, control, destination, source, hop count, message type.
#[inline]
fn read_npdu(bytes: &[u8]) -> Option<(Npdu<'_>, &[u8])> {
    let ([_, control], mut rest) = bytes.split_first_chunk()?;
    let mut npdu = Npdu { control: *control, destination: None, source: None, hops: None, message: None };
    if control & 0xa8 == 0 {
        return Some((npdu, rest));
    }
    let remote = |rest: &mut &[u8]| -> Option<(u16, usize)> {
        let (network, len) = (be16(rest, 0)?, usize::from(*rest.get(2)?));
        *rest = rest.get(3..)?;
        (rest.len() >= len).then_some((network, len))
    };
    if control & 0x20 != 0 {
        let (network, len) = remote(&mut rest)?;
        let (address, after) = rest.split_at_checked(len)?;
        npdu.destination = Some(Remote { network, address });
        rest = after;
    }
    if control & 0x08 != 0 {
        let (network, len) = remote(&mut rest)?;
        let (address, after) = rest.split_at_checked(len)?;
        npdu.source = Some(Remote { network, address });
        rest = after;
    }
    if control & 0x20 != 0 {
        let (hops, after) = rest.split_first()?;
        npdu.hops = Some(*hops);
        rest = after;
    }
    if control & 0x80 != 0 {
        let (message, after) = rest.split_first()?;
        npdu.message = Some(*message);
        rest = after;
    }
    Some((npdu, rest))
}

/// 20.1.2 to 20.1.9.
#[inline]
fn read_apdu(bytes: &[u8]) -> Option<Apdu<'_>> {
    let (head, rest) = bytes.split_first()?;
    let (kind, flags) = (head >> 4, head & 0xf);
    let mut apdu = Apdu { kind, flags, accepts: 0, invoke: 0, segment: None, choice: 0, body: &[] };
    let rest = match (kind, rest) {
        (pdu::CONFIRMED_REQUEST, [accepts, invoke, rest @ ..]) => {
            (apdu.accepts, apdu.invoke) = (*accepts, *invoke);
            rest
        }
        (pdu::SIMPLE_ACK | pdu::COMPLEX_ACK | pdu::ERROR | pdu::REJECT | pdu::ABORT, [invoke, rest @ ..]) => {
            apdu.invoke = *invoke;
            rest
        }
        (pdu::SEGMENT_ACK, [invoke, sequence, window, ..]) => {
            apdu.invoke = *invoke;
            apdu.segment = Some((*sequence, *window));
            return Some(apdu);
        }
        (pdu::UNCONFIRMED_REQUEST, rest) => rest,
        (8.., rest) => {
            apdu.body = rest;
            return Some(apdu);
        }
        _ => return None,
    };
    let rest = match (kind, rest) {
        (pdu::CONFIRMED_REQUEST | pdu::COMPLEX_ACK, [sequence, window, rest @ ..]) if flags & 8 != 0 => {
            apdu.segment = Some((*sequence, *window));
            rest
        }
        (pdu::CONFIRMED_REQUEST | pdu::COMPLEX_ACK, _) if flags & 8 != 0 => return None,
        (_, rest) => rest,
    };
    let (choice, body) = rest.split_first()?;
    (apdu.choice, apdu.body) = (*choice, body);
    Some(apdu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_standard_lays_them() {
        // Routed ReadProperty: to network 13, address 0x3d, hop count 255.
        let bytes = [0x81, 0x0a, 0, 21, 1, 0x24, 0, 13, 1, 0x3d, 255, 0, 5, 7, 12, 0x0c, 0, 0, 0, 1, 0x19];
        let view = View::new(&bytes).unwrap();
        assert!(view.oddities().is_empty(), "{:?}", view.oddities());
        let npdu = view.npdu().unwrap();
        assert_eq!(npdu.destination, Some(Remote { network: 13, address: &[0x3d] }));
        assert_eq!((npdu.hops, npdu.message), (Some(255), None));
        let apdu = view.apdu().unwrap();
        assert_eq!((apdu.kind, apdu.invoke, apdu.choice, apdu.body.len()), (0, 7, 12, 6));
    }

    #[test]
    fn what_is_cut_or_wrong_is_flagged() {
        let check = |bytes: &[u8], expect: &[(Oddity, u32)]| {
            assert_eq!(
                View::new(bytes).unwrap().oddities().iter().collect::<Vec<_>>(),
                expect,
                "{bytes:02x?}"
            );
        };
        check(&[0x81, 0x0a, 0, 9, 1, 0, 0x10, 8], &[(Oddity::LengthMismatch, 2)]);
        check(&[0x81, 0x0a, 0, 5, 1], &[(Oddity::Truncated, 5)]);
        check(&[0x81, 0x0a, 0, 6, 1, 0], &[(Oddity::Truncated, 6)]);
        check(&[0x81, 0x0a, 0, 8, 2, 0, 0x10, 8], &[(Oddity::BadProtocolId, 4)]);
        check(&[0x81, 0x0a, 0, 8, 1, 0, 0x90, 8], &[(Oddity::UnknownFunction, 6)]);
        check(&[0x81, 0x0a, 0, 9, 1, 0x20, 0, 13, 4], &[(Oddity::Truncated, 9)]);
        check(&[0x81, 0x42, 0, 4], &[(Oddity::UnknownFunction, 1)]);
        assert!(View::new(&[0x80, 0, 0, 4]).is_none() && View::new(&[]).is_none());
    }
}
