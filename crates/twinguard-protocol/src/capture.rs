//! Capture files: pcap and pcapng in, pcap out.

mod input;
mod pcap;
mod pcapng;
mod writer;

use std::io::BufRead;

use twinguard_types::Timestamp;

use crate::error::Error;
use crate::frame::{Frame, LinkType};
use input::Input;

pub use writer::Writer;

/// The longest frame that is read: 64 MiB, as libpcap allows for USB captures; network frames stay far below.
pub const MAX_FRAME_LEN: usize = 64 << 20;

/// Reads the frames of a capture, pcap or pcapng by its first bytes, one after the other.
///
/// Frames are shown where they lie in the input's own buffer: a slice of a file in memory, or
/// `BufReader::new(File::open(path)?)`. Only a record that lies across the end of that buffer is copied, to a buffer
/// that grows to the longest such record, at most [`MAX_FRAME_LEN`]. For pcapng there is one entry more for each
/// interface of the present section. Blocks and options that carry no frames are skipped.
///
/// ```
/// use twinguard_protocol::{LinkType, capture};
/// use twinguard_types::Timestamp;
///
/// let mut writer = capture::Writer::new(Vec::new(), LinkType::Ethernet)?;
/// writer.write(Timestamp::from_millis(1_500), &[0; 60])?;
/// let file = writer.finish()?;
///
/// let mut reader = capture::Reader::new(file.as_slice())?;
/// let frame = reader.next_frame()?.expect("one frame");
/// assert_eq!((frame.index, frame.at, frame.bytes.len()), (1, Timestamp::from_millis(1_500), 60));
/// assert!(reader.next_frame()?.is_none());
/// # Ok::<(), twinguard_protocol::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    index: u64,
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
    /// After the last frame, or after an error.
    Ended,
}

/// Where in the input's buffer a frame lies, and what its record says.
struct Record {
    at: Timestamp,
    link: LinkType,
    original_len: u32,
    /// Bytes from the record's start to the frame's.
    header_len: usize,
    captured_len: usize,
    /// The whole record with its padding and trailer.
    len: usize,
}

impl<R: BufRead> Reader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// [`Error::NotACapture`] for other files, [`Error::TruncatedCapture`] when the header is cut,
    /// [`Error::BadCapture`] when it contradicts itself, [`Error::Read`] when the input fails.
    pub fn new(input: R) -> Result<Self, Error> {
        let mut input = Input::new(input);
        let Some(magic) = input.fill(4)?.first_chunk::<4>().copied() else {
            return Err(Error::TruncatedCapture { what: "file header", offset: 0, end: input.end_offset() });
        };
        let format = if magic == pcapng::MAGIC {
            Format::Pcapng(pcapng::Section::default())
        } else {
            match pcap::Header::read(&mut input, magic)? {
                Some(header) => Format::Pcap(header),
                None => return Err(Error::NotACapture { magic: u32::from_be_bytes(magic) }),
            }
        };
        Ok(Self { input, format, index: 0 })
    }

    /// The next frame, or nothing after the last one.
    ///
    /// # Errors
    /// [`Error::TruncatedCapture`] when the input ends within a record, [`Error::BadCapture`] when a record contradicts
    /// itself, [`Error::Read`] when the input fails; the place is in the error, all whole frames before it were given.
    /// After an error there are no more frames.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let found = match &mut self.format {
            Format::Pcap(header) => match header.record(self.input.peek()) {
                Some(record) => Some(record),
                None => self.next_record()?,
            },
            _ => self.next_record()?,
        };
        let Some(record) = found else { return Ok(None) };
        self.index += 1;
        let bytes = self.input.take(record.len).get(record.header_len..).unwrap_or_default();
        Ok(Some(Frame {
            index: self.index,
            at: record.at,
            link: record.link,
            bytes: bytes.get(..record.captured_len).unwrap_or_default(),
            original_len: record.original_len,
        }))
    }

    /// The next record, wherever it lies; the input shows it as a whole.
    #[inline(never)]
    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        let found = match &mut self.format {
            Format::Pcap(header) => header.next_record(&mut self.input),
            Format::Pcapng(section) => section.next_record(&mut self.input),
            Format::Ended => Ok(None),
        };
        if !matches!(found, Ok(Some(_))) {
            self.format = Format::Ended;
        }
        found
    }

    /// Bytes of the input that were used so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }
}

/// Byte order of a file's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    #[inline(always)]
    fn u16(self, field: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    #[inline(always)]
    fn u32(self, field: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }
}
