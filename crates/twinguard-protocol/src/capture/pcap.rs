//! The classic format: a header of 24 bytes, then records of 16 bytes and a frame.
//!
//! Source: draft-ietf-opsawg-pcap §4 and §5.

use std::io::BufRead;

use twinguard_types::Timestamp;

use super::input::Input;
use super::{MAX_FRAME_LEN, Order, Record};
use crate::bytes::chunk;
use crate::error::Error;
use crate::frame::LinkType;

const HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// What the file header says of all records.
#[derive(Debug)]
pub(super) struct Header {
    order: Order,
    nanos_per_tick: i64,
    link: LinkType,
}

impl Header {
    /// Reads the file header, or nothing when the magic number is another format's.
    pub(super) fn read<R: BufRead>(input: &mut Input<R>, magic: [u8; 4]) -> Result<Option<Self>, Error> {
        let (order, nanos_per_tick) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            _ => return Ok(None),
        };
        let Some(link) = chunk::<4>(input.fill(HEADER_LEN)?, 20).copied() else {
            return Err(Error::TruncatedCapture { what: "file header", offset: 0, end: input.end_offset() });
        };
        input.take(HEADER_LEN);
        // The upper 16 bits tell of frame check sequences, which nothing here reads.
        let link = LinkType::from_number(order.u32(link) as u16);
        Ok(Some(Self { order, nanos_per_tick, link }))
    }

    /// The record at the start of `bytes`, when it lies there as a whole and is not too long.
    #[inline]
    pub(super) fn record(&self, bytes: &[u8]) -> Option<Record> {
        let [s0, s1, s2, s3, t0, t1, t2, t3, c0, c1, c2, c3, o0, o1, o2, o3] = *chunk(bytes, 0)?;
        let captured_len = self.order.u32([c0, c1, c2, c3]) as usize;
        let len = RECORD_HEADER_LEN + captured_len;
        if captured_len > MAX_FRAME_LEN || len > bytes.len() {
            return None;
        }
        let seconds = i64::from(self.order.u32([s0, s1, s2, s3]));
        let ticks = i64::from(self.order.u32([t0, t1, t2, t3]));
        Some(Record {
            at: Timestamp::from_nanos(seconds * 1_000_000_000 + ticks * self.nanos_per_tick),
            link: self.link,
            original_len: self.order.u32([o0, o1, o2, o3]),
            header_len: RECORD_HEADER_LEN,
            captured_len,
            len,
        })
    }

    /// The next record, put together where it lies across the end of the input's buffer.
    pub(super) fn next_record<R: BufRead>(&self, input: &mut Input<R>) -> Result<Option<Record>, Error> {
        let bytes = input.fill(RECORD_HEADER_LEN)?;
        let Some(captured_len) = chunk::<4>(bytes, 8) else {
            return if bytes.is_empty() { Ok(None) } else { Err(truncated(input)) };
        };
        let captured_len = self.order.u32(*captured_len) as usize;
        if captured_len > MAX_FRAME_LEN {
            let reason = "captured length is above 64 MiB";
            return Err(Error::BadCapture { what: "record", offset: input.offset(), reason });
        }
        match self.record(input.fill(RECORD_HEADER_LEN + captured_len)?) {
            Some(record) => Ok(Some(record)),
            None => Err(truncated(input)),
        }
    }
}

#[cold]
fn truncated<R: BufRead>(input: &Input<R>) -> Error {
    Error::TruncatedCapture { what: "record", offset: input.offset(), end: input.end_offset() }
}
