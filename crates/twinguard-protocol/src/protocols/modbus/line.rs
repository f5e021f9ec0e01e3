//! Frames of serial lines: their checksum, and how long they are. Modbus RTU reads them; Modbus TCP has to know them to
//! tell them from its own.
//!
//! Source: *MODBUS over Serial Line Specification and Implementation Guide* V1.02 (clauses L §…), modbus.org.

use super::view::shape;
use crate::outline::{crc16, crc16_step};
use crate::protocol::{Cut, Sender};

/// Longest frame: unit, 253 bytes of function and data, checksum (L §2.5.1.1).
pub(crate) const FRAME_MAX: usize = 256;
/// Shortest: unit, function, checksum.
const FRAME_MIN: usize = 4;
/// X¹⁶ + X¹⁵ + X² + 1, low bit first (L §6.2.2).
const POLYNOMIAL: u16 = 0xa001;

/// The checksum of these bytes, low byte first on the line (L §6.2.2: from all ones).
pub(crate) fn crc(bytes: &[u8]) -> u16 {
    crc16(bytes.iter().copied(), POLYNOMIAL)
}

/// Whether the checksum over a frame and its own checksum comes out even.
pub(crate) fn is_right(frame: &[u8]) -> bool {
    frame.len() >= FRAME_MIN && crc(frame) == 0
}

/// Who sends a whole frame, as [`shape`] tells; `None` when it is not legal. The checksum was looked at before.
pub(crate) fn sender(frame: &[u8]) -> Option<Sender> {
    let ([unit, code, data @ ..], _) = frame.split_last_chunk::<2>()? else { return None };
    // L §2.2: units 1 to 247, 0 for all.
    shape(*code, data).filter(|_| *unit <= 247)
}

/// Whether these bytes begin with a legal frame under a right checksum.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(cut(bytes), Cut::Message(len) if bytes.get(..len).is_some_and(|frame| sender(frame).is_some()))
}

/// Where the first frame in these bytes ends: its checksum tells a request from an answer.
pub(crate) fn cut(bytes: &[u8]) -> Cut {
    if bytes.len() < FRAME_MIN {
        return Cut::More(FRAME_MIN);
    }
    let (mut more, mut wrong) = (usize::MAX, 0);
    for len in lengths(bytes) {
        match bytes.get(..len) {
            _ if len == 0 => return search(bytes),
            _ if len > FRAME_MAX => {}
            Some(frame) if is_right(frame) => return Cut::Message(len),
            Some(_) => wrong = len,
            None => more = more.min(len),
        }
    }
    // A spoilt frame may look like the beginning of a longer one, until the next right one stands behind it.
    let next = bytes.get(wrong..).filter(|_| wrong > 0).unwrap_or_default();
    let over = || lengths(next).into_iter().any(|len| next.get(..len).is_some_and(is_right));
    if more == usize::MAX || next.len() >= FRAME_MIN && over() { Cut::Foreign } else { Cut::More(more) }
}

/// How long a frame is that begins with these bytes, as a request and as an answer; 0 where its layout does not tell.
fn lengths(bytes: &[u8]) -> [usize; 2] {
    let byte = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    // Where the byte that counts has not come, the frame is longer than what is there.
    let counted = |fixed: usize, at: usize| fixed + byte(at);
    match bytes.get(1).copied().unwrap_or_default() {
        1..=4 => [8, counted(5, 2)],
        5 | 6 => [8, 8],
        7 => [4, 5],
        11 => [4, 8],
        12 | 17 => [4, counted(5, 2)],
        15 | 16 => [counted(9, 6), 8],
        20 | 21 => [counted(5, 2); 2],
        22 => [10, 10],
        23 => [counted(13, 10), counted(5, 2)],
        24 => [6, 6 + (byte(2) << 8 | byte(3))],
        0x80.. => [5, 5],
        _ => [0, 0],
    }
}

/// The end of a frame whose layout does not tell its length: where the checksum comes out even.
fn search(bytes: &[u8]) -> Cut {
    let mut sum = 0xffff;
    for (place, byte) in bytes.iter().take(FRAME_MAX).enumerate() {
        sum = crc16_step(sum, *byte, POLYNOMIAL);
        if sum == 0 && place + 1 >= FRAME_MIN {
            return Cut::Message(place + 1);
        }
    }
    if bytes.len() < FRAME_MAX { Cut::More(bytes.len() + 1) } else { Cut::Foreign }
}
