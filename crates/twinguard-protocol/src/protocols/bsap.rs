//! BSAP, Bristol's asynchronous protocol, as serial frames in datagrams and streams. Recognised; contents are not read.
//!
//! Source: Emerson D301401X012 *`ControlWave` BSAP Programmer's Reference* §1 to §3 (frames, headers, function codes).

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, crc16, outlined};
use crate::protocol::{Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The usual port.
pub const PORT: u16 = 1234;
/// Longest frame that is looked for: 250 bytes, all doubled, with room to spare.
const LEN_MAX: usize = 600;

const DLE: u8 = 0x10;
const STX: u8 = 2;
const ETX: u8 = 3;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Bsap;

outlined!(Bsap);

/// Where the DLE ETX of a frame lies.
fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while at < LEN_MAX {
        match bytes.get(at..)? {
            [DLE, ETX, ..] => return Some(at),
            [DLE, DLE, ..] => at += 2,
            [DLE, ..] => return None,
            _ => at += 1,
        }
    }
    None
}

/// What lies between DLE STX and DLE ETX, doubled DLEs as one.
fn plain(bytes: &[u8], end: usize) -> impl Iterator<Item = u8> + '_ {
    let mut rest = bytes.get(2..end).unwrap_or_default();
    core::iter::from_fn(move || {
        let (byte, after) = rest.split_first()?;
        rest = if *byte == DLE { after.get(1..).unwrap_or_default() } else { after };
        Some(*byte)
    })
}

impl Outlined for Bsap {
    const FAMILY: Label = Label::literal("bsap");
    const CARRIERS: &'static [Carrier] =
        &[Carrier::Tcp(PORT), Carrier::Udp(PORT), Carrier::Tcp(PORT + 1), Carrier::Udp(PORT + 1)];

    fn frame(bytes: &[u8]) -> Cut {
        match (bytes, end(bytes)) {
            // The check sum follows.
            ([DLE, STX, ..], Some(end)) if bytes.len() < end + 4 => Cut::More(end + 4),
            ([DLE, STX, ..], Some(end)) => Cut::Message(end + 4),
            ([DLE, STX, ..], None) if bytes.len() < LEN_MAX => Cut::More(bytes.len().max(8) + 1),
            ([] | [DLE], None) => Cut::More(9),
            _ => Cut::Foreign,
        }
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let mut oddities = Oddities::NONE;
        let framed = bytes.starts_with(&[DLE, STX]);
        let end = end(bytes).filter(|_| framed);
        let mut certain = false;
        match (end, bytes.split_last_chunk()) {
            (Some(end), Some((_, crc))) if end + 4 == bytes.len() => {
                let check = crc16(plain(bytes, end).chain([ETX]), 0x8408);
                certain = check == u16::from_le_bytes(*crc);
                if !certain {
                    oddities.push(Oddity::BadChecksum, end + 2);
                }
            }
            _ if framed => oddities.push(Oddity::Truncated, bytes.len()),
            _ => oddities.push(Oddity::NotThisProtocol, 0),
        }
        // §3: address, serial number; where its highest bit is set destination, source and control follow; function,
        // sequence number, source function, node status.
        let mut head = plain(bytes, end.unwrap_or(bytes.len()));
        let address = head.next()?;
        let serial = head.next().unwrap_or_default();
        let skip = if address & 0x80 != 0 { 5 } else { 0 };
        let function = head.nth(skip).unwrap_or_default();
        // §3.2: slaves answer to address 0, the master.
        let sender = match address {
            0 => Sender::Server,
            1..=0x7f => Sender::Client,
            _ => Sender::Unknown,
        };
        let told = if sender == Sender::Unknown { known } else { sender };
        let kind = match (told, function) {
            (_, 0x81..=0x8f) => Kind::Control,
            (Sender::Server, _) => Kind::Response,
            _ => Kind::Request,
        };
        let key = (kind != Kind::Control).then_some(u64::from(serial));
        let header = Header { kind, unit: u16::from(address & 0x7f), function: u16::from(function), key };
        Some(Outline { bytes, header, sender, action: None, certain, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("bsap.address", Field::Number(u64::from(outline.header.unit)));
        put("bsap.function", Field::Hex(u64::from(outline.header.function), 2));
    }

    fn name(function: u16) -> &'static str {
        match function {
            0x03 => "peer to peer answer",
            0x60 => "switch to extended link layer",
            0x70 => "communication parameters",
            0x81 => "dial-up acknowledgement",
            0x83 => "alarm acknowledgement",
            0x85 => "poll",
            0x86 => "acknowledgement, no data",
            0x87 => "acknowledgement, data follow",
            0x88 => "node routing table and time",
            0x8b => "alarm initialisation",
            0x95 => "negative acknowledgement",
            0xa0 => "remote database access",
            0xa1 => "remote database, extended",
            0xa8 => "alarm report",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn the_check_sum_decides() {
        let mut bytes = vec![DLE, STX, 1, 7, 0xa0, 1, 0, DLE, DLE, 0, DLE, ETX];
        let check = crc16([1, 7, 0xa0, 1, 0, DLE, 0, ETX], 0x8408);
        bytes.extend(check.to_le_bytes());
        assert_eq!(Bsap::cut(&bytes), Cut::Message(14));
        assert_eq!(Bsap::probe(&bytes), Some(Sender::Client));
        let header = Bsap::read(&bytes, Sender::Client).unwrap().header;
        assert_eq!((header.unit, header.function, header.key), (1, 0xa0, Some(7)));
        bytes[5] ^= 2;
        assert_eq!(Bsap::probe(&bytes), None);
        assert!(matches!(Bsap::cut(&bytes[..6]), Cut::More(_)));
    }
}
