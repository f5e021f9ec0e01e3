//! An input that hands out whole records as one slice.

use std::io::{BufRead, ErrorKind};

use crate::error::Error;

/// Shows bytes where they lie in the source's own buffer, and puts together only what lies across its ends.
#[derive(Debug)]
pub(super) struct Input<R> {
    source: R,
    /// Bytes of the source that were handed out and are not yet consumed.
    lent: usize,
    /// A record that did not lie in the source's buffer as a whole; when not empty it comes before the source.
    spill: Vec<u8>,
    /// Whether the spilled record was handed out.
    spill_lent: bool,
    /// Offset of the first unused byte.
    offset: u64,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, lent: 0, spill: Vec::new(), spill_lent: false, offset: 0 }
    }

    /// The unused bytes that lie in one piece; nothing when that is not known at once.
    #[inline]
    pub(super) fn peek(&mut self) -> &[u8] {
        self.return_lent();
        if self.spill.is_empty() { self.source.fill_buf().unwrap_or_default() } else { &[] }
    }

    /// The unused bytes, at least `wanted` of them unless the input ends before.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<&[u8], Error> {
        self.return_lent();
        if self.spill.is_empty() && self.lends(wanted)? {
            return self.source.fill_buf().map_err(|source| Error::Read { offset: self.offset, source });
        }
        self.fill_spill(wanted)
    }

    /// Uses up `len` bytes that `fill` has shown, and hands them out.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        self.offset += len as u64;
        if self.spill.is_empty() {
            self.lent = len;
            let shown = self.source.fill_buf().unwrap_or_default();
            return shown.get(..len).unwrap_or_default();
        }
        // `fill` spills no more than it was asked for, so that a record is handed out as a whole.
        self.spill_lent = true;
        self.spill.get(..len).unwrap_or_default()
    }

    /// Uses up `len` bytes without holding them; `false` when the input ends before.
    pub(super) fn skip(&mut self, mut len: u64) -> Result<bool, Error> {
        self.return_lent();
        let spilled = (self.spill.len() as u64).min(len);
        self.spill.drain(..spilled as usize);
        self.offset += spilled;
        len -= spilled;
        while len > 0 {
            let held = self.fill(1)?.len() as u64;
            let step = held.min(len);
            if step == 0 {
                return Ok(false);
            }
            self.source.consume(step as usize);
            self.offset += step;
            len -= step;
        }
        Ok(true)
    }

    /// Offset in the input of the first unused byte.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives back what was handed out.
    #[inline]
    fn return_lent(&mut self) {
        if self.spill_lent {
            self.spill_lent = false;
            self.spill.clear();
        } else if self.lent > 0 {
            self.source.consume(core::mem::take(&mut self.lent));
        }
    }

    /// Whether the source holds so many bytes in one piece, or has ended with nothing left.
    #[inline]
    fn lends(&mut self, wanted: usize) -> Result<bool, Error> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.len() >= wanted || bytes.is_empty()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { offset: self.offset, source }),
            }
        }
    }

    /// Puts together `wanted` bytes: a length field that lies costs no more memory than the input has bytes.
    #[cold]
    fn fill_spill(&mut self, wanted: usize) -> Result<&[u8], Error> {
        while self.spill.len() < wanted {
            let missing = wanted - self.spill.len();
            match self.source.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => {
                    let (part, _) = bytes.split_at(bytes.len().min(missing));
                    self.spill.extend_from_slice(part);
                    let count = part.len();
                    self.source.consume(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Read { offset: self.offset + self.spill.len() as u64, source });
                }
            }
        }
        Ok(&self.spill)
    }

    /// Offset at which the input ends, asked when `fill` has shown less than was wanted.
    pub(super) fn end_offset(&self) -> u64 {
        self.offset + self.spill.len() as u64
    }
}
