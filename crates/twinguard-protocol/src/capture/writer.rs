//! Writing pcap with nanoseconds.

use std::io::Write;

use twinguard_types::Timestamp;

use super::MAX_FRAME_LEN;
use crate::error::Error;
use crate::frame::{Frame, LinkType};

/// Writes frames of one link type as pcap, little-endian, with nanoseconds.
///
/// See [`Reader`](super::Reader) for an example.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    link: LinkType,
}

impl<W: Write> Writer<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// [`Error::Write`] when the output fails.
    pub fn new(mut output: W, link: LinkType) -> Result<Self, Error> {
        let mut header = [0; 24];
        let fields: [&[u8]; 6] = [
            &0xa1b2_3c4du32.to_le_bytes(),
            &2u16.to_le_bytes(),
            &4u16.to_le_bytes(),
            &[0; 8],
            &(MAX_FRAME_LEN as u32).to_le_bytes(),
            &u32::from(link.number()).to_le_bytes(),
        ];
        for (slot, byte) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *slot = *byte;
        }
        output.write_all(&header).map_err(|source| Error::Write { source })?;
        Ok(Self { output, link })
    }

    /// Writes a whole frame.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when the time is outside 1970 to 2106 or the frame longer than [`MAX_FRAME_LEN`],
    /// [`Error::Write`] when the output fails.
    pub fn write(&mut self, at: Timestamp, bytes: &[u8]) -> Result<(), Error> {
        let original_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.write_frame(&Frame { index: 0, at, link: self.link, bytes, original_len })
    }

    /// Writes a frame as it was captured; its index is not kept.
    ///
    /// # Errors
    /// As [`Writer::write`], and [`Error::Unwritable`] when the frame's link type is not the file's.
    pub fn write_frame(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        if frame.link != self.link {
            return Err(Error::Unwritable { reason: "link type is not the file's" });
        }
        if frame.bytes.len() > MAX_FRAME_LEN {
            return Err(Error::Unwritable { reason: "frame is longer than 64 MiB" });
        }
        let nanos = frame.at.as_nanos();
        let Ok(seconds) = u32::try_from(nanos.div_euclid(1_000_000_000)) else {
            return Err(Error::Unwritable { reason: "time is outside 1970 to 2106" });
        };
        let fields = [
            seconds,
            nanos.rem_euclid(1_000_000_000) as u32,
            frame.bytes.len() as u32,
            frame.original_len.max(frame.bytes.len() as u32),
        ];
        let mut header = [0; 16];
        for (slot, field) in header.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        self.output.write_all(&header).map_err(|source| Error::Write { source })?;
        self.output.write_all(frame.bytes).map_err(|source| Error::Write { source })
    }

    /// Flushes and hands back the output.
    ///
    /// # Errors
    /// [`Error::Write`] when the output fails.
    pub fn finish(mut self) -> Result<W, Error> {
        self.output.flush().map_err(|source| Error::Write { source })?;
        Ok(self.output)
    }
}
