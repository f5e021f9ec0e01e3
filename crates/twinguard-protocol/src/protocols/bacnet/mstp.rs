//! MS/TP frames (clause 9): preamble, type, addresses, length, header CRC, data, data CRC (Annex G).

use twinguard_types::Oddity;

use crate::outline::crc16;
use crate::protocol::{Cut, Oddities};

/// Data Expecting Reply (9.3.6).
pub const DATA_EXPECTING_REPLY: u8 = 5;
/// Data Not Expecting Reply (9.3.7).
pub const DATA_NOT_EXPECTING_REPLY: u8 = 6;
/// Longest data of a frame of these types (9.1.3).
pub const DATA_MAX: usize = 501;
pub(super) const HEADER_LEN: usize = 8;

/// A frame, right or not.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Frame type (9.3.1).
    pub kind: u8,
    /// To this station, 255 for all.
    pub destination: u8,
    /// From this station.
    pub source: u8,
    /// Data, empty where there is none.
    pub data: &'a [u8],
    oddities: Oddities,
}

impl<'a> Frame<'a> {
    /// Reads a frame; `None` when it does not begin with a whole header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([p, q, kind, destination, source, high, low, check], rest) = bytes.split_first_chunk()?;
        if [*p, *q] != [0x55, 0xff] {
            return None;
        }
        let mut oddities = Oddities::NONE;
        if header_crc(&[*kind, *destination, *source, *high, *low]) != *check {
            oddities.push(Oddity::BadChecksum, 7);
        }
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if len > DATA_MAX {
            oddities.push(Oddity::BadQuantity, 5);
        }
        let data = rest.get(..len).unwrap_or(rest);
        match rest.get(len..) {
            _ if len == 0 => {}
            Some([low, high, ..]) if data_crc(data) == u16::from_le_bytes([*low, *high]) => {}
            Some([_, _, ..]) => oddities.push(Oddity::BadChecksum, HEADER_LEN + len),
            _ => oddities.push(Oddity::Truncated, bytes.len()),
        }
        Some(Self { kind: *kind, destination: *destination, source: *source, data, oddities })
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Appends a right frame; `None` when the data are too long.
    #[must_use]
    pub fn emit(kind: u8, destination: u8, source: u8, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let [high, low] = u16::try_from(data.len()).ok().filter(|_| data.len() <= DATA_MAX)?.to_be_bytes();
        let head = [kind, destination, source, high, low];
        out.extend([0x55, 0xff]);
        out.extend(head);
        out.push(header_crc(&head));
        out.extend_from_slice(data);
        if !data.is_empty() {
            out.extend(data_crc(data).to_le_bytes());
        }
        Some(())
    }
}

/// Where a frame ends.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [_, _, _, _, _, high, low, _, ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let total = HEADER_LEN + len + if len == 0 { 0 } else { 2 };
            if len > DATA_MAX {
                Cut::Foreign
            } else if total <= bytes.len() {
                Cut::Message(total)
            } else {
                Cut::More(total)
            }
        }
        _ => Cut::More(HEADER_LEN),
    }
}

/// X⁸ + X⁷ + 1, as G.1 writes it, complemented.
fn header_crc(bytes: &[u8]) -> u8 {
    !bytes.iter().fold(0xff, |crc, byte| {
        let crc = u16::from(crc ^ byte);
        let crc = crc ^ crc << 1 ^ crc << 2 ^ crc << 3 ^ crc << 4 ^ crc << 5 ^ crc << 6 ^ crc << 7;
        (crc & 0xfe ^ crc >> 8 & 1) as u8
    })
}

/// X¹⁶ + X¹² + X⁵ + 1, as G.2 writes it, complemented, low octet first.
fn data_crc(bytes: &[u8]) -> u16 {
    !crc16(bytes.iter().copied(), 0x8408)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_annex_g() {
        // G.1: a token from station 5 to station 16.
        assert_eq!(header_crc(&[0x00, 0x10, 0x05, 0x00, 0x00]), 0x8c);
        // G.2: the data 01 22 30.
        assert_eq!(data_crc(&[0x01, 0x22, 0x30]).to_le_bytes(), [0x10, 0xbd]);
    }

    #[test]
    fn frames_read_back_and_spoilt_ones_are_flagged() {
        let mut bytes = Vec::new();
        Frame::emit(DATA_NOT_EXPECTING_REPLY, 255, 3, &[1, 0, 0x10, 8], &mut bytes).unwrap();
        let frame = Frame::new(&bytes).unwrap();
        assert_eq!(
            (frame.kind, frame.destination, frame.source, frame.data),
            (6, 255, 3, &[1, 0, 0x10, 8][..])
        );
        assert!(frame.oddities().is_empty());
        assert_eq!(cut(&bytes), Cut::Message(bytes.len()));
        for place in 2..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt[place] ^= 0x10;
            assert!(!Frame::new(&spoilt).unwrap().oddities().is_empty(), "{place}");
        }
        assert!(Frame::emit(5, 1, 2, &[0; 502], &mut bytes).is_none());
    }
}
