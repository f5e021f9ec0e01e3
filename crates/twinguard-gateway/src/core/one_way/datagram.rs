//! A datagram's header, in the order of its bytes (numbers big-endian):
//!
//! | bytes | |
//! |---|---|
//! | 4 | `TGOW` |
//! | 1 | version, 1 |
//! | 1 | the place in the block, data before parity |
//! | 1 | pieces of data in the block |
//! | 1 | pieces of parity in the block |
//! | 16 | the stream |
//! | 8 | when the stream began, nanoseconds since 1970 |
//! | 8 | sequence number of the datagram in the stream |
//! | 8 | number of the block in the stream |
//!
//! Behind it stand the sealed piece, of an even number of bytes, and the tag.

use core::fmt;

use twinguard::types::Timestamp;

/// Bytes of a header.
pub const HEADER: usize = 48;
/// Bytes of the tag behind a sealed piece (RFC 8439 §2.8).
pub const TAG: usize = 16;
/// Largest datagram in bytes: with the headers of IPv6 and UDP below the 1,280 bytes that every link carries (RFC 8200 §5).
pub const LARGEST: usize = 1_200;
/// Most bytes of a piece.
pub const PIECE: usize = LARGEST - HEADER - TAG;
/// Most pieces of data in a block, and most of parity.
pub const PIECES: u8 = 64;

const MAGIC: [u8; 4] = *b"TGOW";
const VERSION: u8 = 1;

/// The number of one start of a sender: 16 random bytes, never the same twice under one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub [u8; 16]);

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What stands readable before a sealed piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The stream.
    pub stream: StreamId,
    /// When the stream began.
    pub began: Timestamp,
    /// The datagram's number in the stream.
    pub sequence: u64,
    /// The block's number in the stream.
    pub block: u64,
    /// The place in the block: first the pieces of data, then those of parity.
    pub place: u8,
    /// Pieces of data in the block.
    pub data: u8,
    /// Pieces of parity in the block.
    pub parity: u8,
}

/// Bytes that are no datagram of this kind, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Too short, too long, or of an odd length.
    Length,
    /// It does not begin as ours do.
    Foreign,
    /// Of another version.
    Version,
    /// A block without data, of too many pieces, or a place outside of it.
    Place,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the length is none of a datagram",
            Self::Foreign => "the first bytes are those of something else",
            Self::Version => "the version is another one",
            Self::Place => "the place is outside of the block",
        })
    }
}

impl core::error::Error for Malformed {}

impl Header {
    /// Reads the header of a datagram; gives it with the sealed piece and the tag behind it.
    ///
    /// ```
    /// use twinguard_gateway::core::one_way::{Header, Malformed};
    ///
    /// assert_eq!(Header::read(b"TGOW"), Err(Malformed::Length));
    /// assert_eq!(Header::read(&[0; 100]), Err(Malformed::Foreign));
    /// ```
    ///
    /// # Errors
    /// [`Malformed`], for the first thing that is wrong.
    pub fn read(datagram: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (header, sealed) = datagram.split_first_chunk::<HEADER>().ok_or(Malformed::Length)?;
        if sealed.len() < TAG + 2 || datagram.len() > LARGEST || !sealed.len().is_multiple_of(2) {
            return Err(Malformed::Length);
        }
        let mut rest = Rest(header);
        if rest.take::<4>() != MAGIC {
            return Err(Malformed::Foreign);
        }
        let [version, place, data, parity] = rest.take();
        if version != VERSION {
            return Err(Malformed::Version);
        }
        let stream = StreamId(rest.take());
        let began = Timestamp::from_nanos(i64::from_be_bytes(rest.take()));
        let sequence = u64::from_be_bytes(rest.take());
        let block = u64::from_be_bytes(rest.take());
        // Neither sum overflows: both are bounded before.
        if data == 0 || data > PIECES || parity > PIECES || place >= data + parity || block == u64::MAX {
            return Err(Malformed::Place);
        }
        Ok((Self { stream, began, sequence, block, place, data, parity }, sealed))
    }

    /// The header as it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let parts: [&[u8]; 6] = [
            &MAGIC,
            &[VERSION, self.place, self.data, self.parity],
            &self.stream.0,
            &self.began.as_nanos().to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.block.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

/// Takes a header apart from the front.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// The next bytes; zeros behind the end, which no header's fields reach.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((first, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *first
    }
}
