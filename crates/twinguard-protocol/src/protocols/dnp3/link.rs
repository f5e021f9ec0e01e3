//! Link frames (IEEE 1815-2012 clause 9): start, length, control, addresses, a CRC behind the header and behind every
//! 16 bytes of user data.

use twinguard_types::Oddity;

use crate::protocol::{Cut, Oddities, Sender};

/// The first two bytes of a frame (9.2.4.1.1).
pub const START: [u8; 2] = [0x05, 0x64];
/// Bytes up to and with the header's CRC (9.2.4.1).
pub const HEADER_LEN: usize = 10;
/// User data in one frame at most: the length counts control and addresses as well (9.2.4.1.2).
pub const USER_DATA_MAX: usize = 250;
/// The longest frame: header, 250 bytes, 16 CRCs.
pub const FRAME_MAX: usize = 292;
/// User data between two CRCs (9.2.4.2).
const BLOCK: usize = 16;

/// The polynomial x¹⁶+x¹³+x¹²+x¹¹+x¹⁰+x⁸+x⁶+x⁵+x²+1, lowest bit first (9.2.4.3).
const POLYNOMIAL: u16 = 0xa6bc;

/// Remainders of a byte followed by 0 to 7 zero bytes, so that eight bytes are taken at once.
#[allow(clippy::indexing_slicing, reason = "evaluated while compiling")]
static REMAINDERS: [[u16; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u16, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
};

/// The CRC of these bytes, to be sent low byte first (9.2.4.3).
///
/// ```
/// use twinguard_protocol::protocols::dnp3::crc;
///
/// assert_eq!(crc(b"123456789"), 0xea82, "the check value of CRC-16/DNP");
/// ```
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &REMAINDERS;
    let of = |table: &[u16; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut crc = 0u16;
    for [b0, b1, b2, b3, b4, b5, b6, b7] in eights {
        let [low, high] = crc.to_le_bytes();
        crc = of(t7, b0 ^ low)
            ^ of(t6, b1 ^ high)
            ^ of(t5, *b2)
            ^ of(t4, *b3)
            ^ of(t3, *b4)
            ^ of(t2, *b5)
            ^ of(t1, *b6)
            ^ of(t0, *b7);
    }
    for byte in rest {
        crc = crc >> 8 ^ of(t0, (crc as u8) ^ byte);
    }
    !crc
}

/// Whether the last two bytes are the CRC of those before.
#[inline]
fn is_sealed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk().is_some_and(|(data, sum)| crc(data).to_le_bytes() == *sum)
}

/// Appends bytes and their CRC.
pub(super) fn seal(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&crc(bytes).to_le_bytes());
}

/// Appends a frame; `data` holds at most [`USER_DATA_MAX`] bytes, more are left out.
pub(super) fn emit(control: u8, destination: u16, source: u16, data: &[u8], out: &mut Vec<u8>) {
    let data = data.get(..USER_DATA_MAX).unwrap_or(data);
    let ([d0, d1], [s0, s1]) = (destination.to_le_bytes(), source.to_le_bytes());
    let [start, sync] = START;
    seal(&[start, sync, data.len() as u8 + 5, control, d0, d1, s0, s1], out);
    data.chunks(BLOCK).for_each(|block| seal(block, out));
}

/// Where the first frame ends. A header whose CRC does not match begins no frame (9.2.5).
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [0x05, 0x64, length, ..] if *length >= 5 => {
            if bytes.first_chunk::<HEADER_LEN>().is_some_and(|header| !is_sealed(header)) {
                return Cut::Foreign;
            }
            let data = usize::from(*length) - 5;
            let total = HEADER_LEN + data + data.div_ceil(BLOCK) * 2;
            if bytes.len() < total { Cut::More(total) } else { Cut::Message(total) }
        }
        [] | [0x05] | [0x05, 0x64] => Cut::More(HEADER_LEN),
        _ => Cut::Foreign,
    }
}

/// One frame; shows any bytes that begin with [`START`].
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    header: &'a [u8; HEADER_LEN],
    /// User data with their CRCs.
    blocks: &'a [u8],
    oddities: Oddities,
}

impl<'a> Link<'a> {
    /// The frame in these bytes; `None` when they are too few for a header or begin otherwise.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, blocks) = bytes.split_first_chunk::<HEADER_LEN>()?;
        header.starts_with(&START).then_some(())?;
        let mut link = Self { header, blocks, oddities: Oddities::NONE };
        if !is_sealed(header) {
            link.oddities.push(Oddity::BadChecksum, 8);
        }
        let wanted = usize::from(link.length().saturating_sub(5));
        let wanted = wanted + wanted.div_ceil(BLOCK) * 2;
        if link.length() < 5 {
            link.oddities.push(Oddity::LengthMismatch, 2);
        }
        match blocks.len() {
            len if len < wanted => link.oddities.push(Oddity::Truncated, bytes.len()),
            len if len > wanted => {
                link.oddities.push(Oddity::TrailingBytes, HEADER_LEN + wanted);
                link.blocks = blocks.get(..wanted).unwrap_or_default();
            }
            _ => {}
        }
        for (index, block) in link.blocks.chunks(BLOCK + 2).enumerate() {
            if !is_sealed(block) && blocks.len() >= wanted {
                link.oddities.push(Oddity::BadChecksum, HEADER_LEN + index * (BLOCK + 2));
                break;
            }
        }
        // 9.2.4.1.3: function codes that the standard defines, and whether they carry user data.
        let carries = matches!(link.function(), 3 | 4) && link.is_primary();
        if !link.is_defined() {
            link.oddities.push(Oddity::UnknownFunction, 3);
        } else if carries == link.blocks.is_empty() {
            link.oddities.push(Oddity::LengthMismatch, 2);
        }
        Some(link)
    }

    /// Bytes that the length field counts: control, addresses, user data.
    #[must_use]
    pub const fn length(&self) -> u8 {
        let [_, _, length, ..] = self.header;
        *length
    }

    /// The control byte.
    #[must_use]
    pub const fn control(&self) -> u8 {
        let [_, _, _, control, ..] = self.header;
        *control
    }

    /// Whether the master sends (DIR).
    #[must_use]
    pub const fn is_from_master(&self) -> bool {
        self.control() & 0x80 != 0
    }

    /// Whether the sender begins a link transaction (PRM).
    #[must_use]
    pub const fn is_primary(&self) -> bool {
        self.control() & 0x40 != 0
    }

    /// The function code; primary and secondary stations have their own.
    #[must_use]
    pub const fn function(&self) -> u8 {
        self.control() & 0x0f
    }

    /// Whether the standard defines the function code for this kind of station (tables of 9.2.4.1.3).
    #[must_use]
    pub const fn is_defined(&self) -> bool {
        match (self.is_primary(), self.function()) {
            (true, function) => matches!(function, 0 | 2 | 3 | 4 | 9),
            (false, function) => matches!(function, 0 | 1 | 11 | 15),
        }
    }

    /// The receiver's link address.
    #[must_use]
    pub const fn destination(&self) -> u16 {
        let [_, _, _, _, d0, d1, ..] = self.header;
        u16::from_le_bytes([*d0, *d1])
    }

    /// The sender's link address.
    #[must_use]
    pub const fn source(&self) -> u16 {
        let [_, _, _, _, _, _, s0, s1, ..] = self.header;
        u16::from_le_bytes([*s0, *s1])
    }

    /// The header's CRC, as sent.
    #[must_use]
    pub const fn header_crc(&self) -> u16 {
        let [.., c0, c1] = self.header;
        u16::from_le_bytes([*c0, *c1])
    }

    /// Whether it carries user data: all of it there, every CRC right.
    ///
    /// Stations take it from frames of functions 3 and 4 alone (9.2.6); under any other code that has no meaning without
    /// data it is shown as well, and flagged, for a careless station may take it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        !matches!(self.function(), 0 | 9 | 11) && !self.is_damaged() && !self.blocks.is_empty()
    }

    /// Whether a station would drop it (9.2.5): cut, or with a CRC that does not match.
    fn is_damaged(&self) -> bool {
        !self.oddities.is_empty()
            && (self.oddities.contains(Oddity::BadChecksum) || self.oddities.contains(Oddity::Truncated))
    }

    /// The user data, block by block, without CRCs.
    pub fn user_data(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.blocks
            .chunks(BLOCK + 2)
            .map(|block| block.split_last_chunk::<2>().map_or(block, |(data, _)| data))
    }

    /// The transport byte, the first of the user data.
    #[must_use]
    pub fn transport(&self) -> Option<u8> {
        if self.is_delivered() { self.blocks.first().copied() } else { None }
    }

    /// What is odd about the frame.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Who sends it, by the function of a message that begins in it, else by the direction bit.
    pub(super) fn sender(&self) -> Sender {
        let function = match self.blocks {
            [transport, _, function, ..] if self.is_delivered() && transport & 0x40 != 0 => Some(*function),
            _ => None,
        };
        match function {
            Some(129..=131) => Sender::Server,
            Some(1..) => Sender::Client,
            _ if self.is_from_master() => Sender::Client,
            _ => Sender::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of a frame that IEEE 1815-2012 and its predecessors print: reset of link states, its acknowledgement.
    #[test]
    fn printed_frames_are_read_and_written() {
        for (control, destination, source, bytes) in [
            (0xc0, 1, 1024, [0x05, 0x64, 0x05, 0xc0, 0x01, 0x00, 0x00, 0x04, 0xe9, 0x21]),
            (0x00, 1024, 1, [0x05, 0x64, 0x05, 0x00, 0x00, 0x04, 0x01, 0x00, 0x19, 0xa6]),
        ] {
            let link = Link::new(&bytes).unwrap();
            assert!(link.oddities().is_empty(), "{:?}", link.oddities());
            assert_eq!((link.control(), link.destination(), link.source()), (control, destination, source));
            let mut out = Vec::new();
            emit(control, destination, source, &[], &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_wrong_bit_anywhere_is_flagged_and_nothing_is_delivered() {
        let mut frame = Vec::new();
        let data: Vec<u8> = (0..40).collect();
        emit(0xc4, 3, 4, &data, &mut frame);
        assert_eq!(cut(&frame), Cut::Message(frame.len()));
        let link = Link::new(&frame).unwrap();
        assert!(link.is_delivered() && link.oddities().is_empty());
        assert_eq!(link.user_data().collect::<Vec<_>>().concat(), data);
        for bit in 16..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let link = Link::new(&bad).unwrap();
            assert!(!link.is_delivered() && !link.oddities().is_empty(), "bit {bit}");
            assert_eq!(cut(&bad) == Cut::Foreign, bit < HEADER_LEN * 8, "bit {bit}");
        }
        for len in HEADER_LEN..frame.len() {
            assert_eq!(cut(&frame[..len]), Cut::More(frame.len()));
            assert!(!Link::new(&frame[..len]).unwrap().is_delivered());
        }
        assert_eq!(cut(&[0x05, 0x64, 4]), Cut::Foreign);
        assert_eq!(cut(&[0x05, 0x65]), Cut::Foreign);
    }

    #[test]
    fn the_crc_is_the_same_byte_by_byte() {
        let slow = |bytes: &[u8]| {
            !bytes.iter().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                    crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
                })
            })
        };
        let data: Vec<u8> = (0..40u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
        (0..data.len()).for_each(|len| assert_eq!(crc(&data[..len]), slow(&data[..len]), "{len}"));
    }
}
