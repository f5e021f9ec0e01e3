//! Legal frames: what cannot be built here, the standard forbids.
//!
//! Source: IEEE C37.118.2-2011 §6.2 to §6.6.

use twinguard_types::Oddity;

use super::view::{HEADER_LEN, View, checksum};

/// Why a frame is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It does not fit into 65535 bytes (table 2).
    #[error("frame is longer than 65535 bytes")]
    TooLong,
    /// The fraction of a second has 24 bits (table 3).
    #[error("fraction of a second `{fraction}` has more than 24 bits")]
    Fraction {
        /// As given.
        fraction: u32,
    },
    /// A field that the standard does not allow.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the frame.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Measurements.
    Data(&'a [u8]),
    /// Text for people.
    Header(&'a [u8]),
    /// What the unit could send.
    Config1(&'a [u8]),
    /// What it does send.
    Config2(&'a [u8]),
    /// An order (table 15).
    Command(u16),
    /// What it does send, with more about it.
    Config3(&'a [u8]),
}

/// A legal frame.
///
/// ```
/// use twinguard_protocol::protocols::synphasor::{Content, Repr};
///
/// // Table D.5 of the standard.
/// let frame = Repr::new(1, 7734, (1_149_577_200, 0x0f, 463_000), Content::Command(2))?.emit();
/// assert_eq!(frame.len(), 18);
/// # Ok::<(), twinguard_protocol::protocols::synphasor::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    version: u8,
    id: u16,
    time: (u32, u8, u32),
    content: Content<'a>,
}

impl<'a> Repr<'a> {
    /// A frame of this version (1: 2005, 2: 2011) and stream, at this second, with this time quality and fraction.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(version: u8, id: u16, time: (u32, u8, u32), content: Content<'a>) -> Result<Self, Illegal> {
        let (_, _, fraction) = time;
        if fraction > 0x00ff_ffff {
            return Err(Illegal::Fraction { fraction });
        }
        let repr = Self { version, id, time, content };
        let bytes = repr.bytes().ok_or(Illegal::TooLong)?;
        let view = View::new(&bytes).ok_or(Illegal::TooLong)?;
        match view.oddities().iter().next() {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Ok(repr),
        }
    }

    /// What it carries.
    #[must_use]
    pub const fn content(&self) -> Content<'a> {
        self.content
    }

    /// The bytes of the frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        // The constructor wrote it once; it writes the same again.
        self.bytes().unwrap_or_default()
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let word;
        let (code, data) = match self.content {
            Content::Data(data) => (0, data),
            Content::Header(data) => (1, data),
            Content::Config1(data) => (2, data),
            Content::Config2(data) => (3, data),
            Content::Command(command) => {
                word = command.to_be_bytes();
                (4, &word[..])
            }
            Content::Config3(data) => (5, data),
        };
        let size = u16::try_from(HEADER_LEN + data.len() + 2).ok()?;
        let (seconds, quality, fraction) = self.time;
        let mut out = vec![0xaa, code << 4 | self.version];
        out.extend(size.to_be_bytes());
        out.extend(self.id.to_be_bytes());
        out.extend(seconds.to_be_bytes());
        out.extend((u32::from(quality) << 24 | fraction).to_be_bytes());
        out.extend(data);
        out.extend(checksum(&out).to_be_bytes());
        Some(out)
    }
}
