//! A buffered input that hands out whole records as one slice.

use std::io::{ErrorKind, Read};

use crate::error::Error;

/// Bytes asked from the input at a time.
const CHUNK: usize = 256 << 10;

/// A buffer before an input. It grows to the longest record asked for and is never given back to the allocator.
#[derive(Debug)]
pub(super) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    /// Unused bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `buffer[0]` in the input.
    base: u64,
    ended: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: vec![0; CHUNK], start: 0, end: 0, base: 0, ended: false }
    }

    /// The unused bytes, at least `wanted` of them unless the input ends before.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<&[u8], Error> {
        if self.end - self.start < wanted && !self.ended {
            self.refill(wanted)?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    /// Uses up `len` bytes that `fill` has shown, and hands them out.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let start = self.start;
        self.start = (start + len).min(self.end);
        self.buffer.get(start..self.start).unwrap_or_default()
    }

    /// Uses up `len` bytes without holding them; `false` when the input ends before.
    pub(super) fn skip(&mut self, mut len: u64) -> Result<bool, Error> {
        loop {
            let held = (self.end - self.start) as u64;
            let step = held.min(len);
            self.start += step as usize;
            len -= step;
            if len == 0 {
                return Ok(true);
            }
            if self.fill(1)?.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Offset in the input of the first unused byte.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    #[cold]
    fn refill(&mut self, wanted: usize) -> Result<(), Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted && !self.ended {
            // Grow by what came so far: a length field that lies costs no more memory than the file has bytes.
            if self.end == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end = (self.end + count).min(self.buffer.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { offset: self.base + self.end as u64, source }),
            }
        }
        Ok(())
    }
}

impl<R> Input<R> {
    /// Offset at which the input ends, once it has ended.
    pub(super) fn end_offset(&self) -> u64 {
        self.base + self.end as u64
    }
}
