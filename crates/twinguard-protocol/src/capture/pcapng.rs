//! The block format with sections and interfaces.
//!
//! Source: draft-ietf-opsawg-pcapng, §3.1 (blocks), §3.5 (options), §4 (block types).

use std::io::BufRead;

use twinguard_types::Timestamp;

use super::input::Input;
use super::{MAX_FRAME_LEN, Order, Record};
use crate::bytes::chunk;
use crate::error::Error;
use crate::frame::LinkType;

/// The type of a section header block, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// Type, length, and length again at the end.
const BLOCK_OVERHEAD: usize = 12;
/// The longest block that is held: a frame with generous room for options.
const MAX_BLOCK_LEN: usize = MAX_FRAME_LEN + (1 << 20);
/// Interfaces in one section.
const MAX_INTERFACES: usize = 1 << 16;

/// State of the present section.
#[derive(Debug, Default)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snap_len: u32,
    resolution: Resolution,
    offset_s: i64,
}

/// Length of a clock tick: 10^-n or 2^-n seconds (`if_tsresol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// A tick is this many nanoseconds.
    Nanos(u64),
    /// A nanosecond is this many ticks.
    Finer(u128),
    /// A tick is 2^-n seconds.
    Binary(u8),
}

impl Resolution {
    fn from_option(value: u8) -> Self {
        let exponent = value & 0x7f;
        match exponent {
            _ if value & 0x80 != 0 => Self::Binary(exponent),
            0..=9 => Self::Nanos(10u64.pow(9 - u32::from(exponent))),
            // Beyond 10^-38 s the 64-bit counter does not reach one nanosecond.
            _ => Self::Finer(10u128.checked_pow(u32::from(exponent) - 9).unwrap_or(u128::MAX)),
        }
    }

    /// Nanoseconds, saturating.
    #[inline]
    fn nanos(self, ticks: u64) -> i64 {
        let nanos = match self {
            Self::Nanos(factor) => match ticks.checked_mul(factor) {
                Some(nanos) => u128::from(nanos),
                None => u128::MAX,
            },
            Self::Finer(divisor) => u128::from(ticks) / divisor,
            Self::Binary(exponent) => (u128::from(ticks) * 1_000_000_000) >> exponent,
        };
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

impl Section {
    #[inline]
    pub(super) fn next_record<R: BufRead>(&mut self, input: &mut Input<R>) -> Result<Option<Record>, Error> {
        loop {
            let bytes = input.fill(BLOCK_OVERHEAD)?;
            let Some(&[t0, t1, t2, t3, l0, l1, l2, l3, m0, m1, m2, m3]) = chunk::<BLOCK_OVERHEAD>(bytes, 0)
            else {
                return if bytes.is_empty() { Ok(None) } else { Err(truncated(input)) };
            };
            if [t0, t1, t2, t3] == MAGIC {
                self.order = match [m0, m1, m2, m3] {
                    [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                    [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                    _ => return Err(bad(input, "byte-order magic is unknown")),
                };
                self.interfaces.clear();
            }
            let kind = self.order.u32([t0, t1, t2, t3]);
            let len = self.order.u32([l0, l1, l2, l3]) as usize;
            if len < BLOCK_OVERHEAD || !len.is_multiple_of(4) {
                return Err(bad(input, "block length is not a multiple of 4 from 12"));
            }
            if !matches!(kind, INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
                let offset = input.offset();
                if !input.skip(len as u64)? {
                    return Err(Error::TruncatedCapture { what: "block", offset, end: input.end_offset() });
                }
                continue;
            }
            if len > MAX_BLOCK_LEN {
                return Err(bad(input, "block length is above 65 MiB"));
            }
            let Some(block) = input.fill(len)?.get(..len) else { return Err(truncated(input)) };
            let body = block.get(8..len - 4).unwrap_or_default();
            if chunk::<4>(block, len - 4) != Some(&[l0, l1, l2, l3]) {
                return Err(bad(input, "block lengths at start and end differ"));
            }
            let record = match kind {
                ENHANCED_PACKET => self.enhanced_packet(body),
                SIMPLE_PACKET => self.simple_packet(body),
                PACKET => self.packet(body),
                _ => match self.interface(body) {
                    Ok(interface) if self.interfaces.len() < MAX_INTERFACES => {
                        self.interfaces.push(interface);
                        input.take(len);
                        continue;
                    }
                    Ok(_) => Err("section has more than 65536 interfaces"),
                    Err(reason) => Err(reason),
                },
            };
            return match record {
                Ok(record) => Ok(Some(Record { len, ..record })),
                Err(reason) => Err(bad(input, reason)),
            };
        }
    }

    /// §4.3.
    #[inline]
    fn enhanced_packet(&self, body: &[u8]) -> Result<Record, &'static str> {
        let Some(header) = chunk::<20>(body, 0) else { return Err("enhanced packet block is too short") };
        let [i0, i1, i2, i3, rest @ ..] = *header;
        self.timed_packet(self.order.u32([i0, i1, i2, i3]), rest, body.len() - 20)
    }

    /// The obsolete packet block, appendix A: a 16-bit interface and a drop count.
    fn packet(&self, body: &[u8]) -> Result<Record, &'static str> {
        let Some(header) = chunk::<20>(body, 0) else { return Err("packet block is too short") };
        let [i0, i1, _, _, rest @ ..] = *header;
        self.timed_packet(u32::from(self.order.u16([i0, i1])), rest, body.len() - 20)
    }

    #[inline(always)]
    fn timed_packet(&self, interface: u32, fields: [u8; 16], room: usize) -> Result<Record, &'static str> {
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return Err("interface was not described");
        };
        let [h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, o0, o1, o2, o3] = fields;
        let ticks =
            u64::from(self.order.u32([h0, h1, h2, h3])) << 32 | u64::from(self.order.u32([l0, l1, l2, l3]));
        let captured_len = self.order.u32([c0, c1, c2, c3]) as usize;
        if captured_len > room {
            return Err("captured length is above the block length");
        }
        let offset = interface.offset_s.saturating_mul(1_000_000_000);
        Ok(Record {
            at: Timestamp::from_nanos(interface.resolution.nanos(ticks).saturating_add(offset)),
            link: interface.link,
            original_len: self.order.u32([o0, o1, o2, o3]),
            header_len: 28,
            captured_len,
            len: 0,
        })
    }

    /// §4.4: no time; the frame is cut at the first interface's snap length.
    fn simple_packet(&self, body: &[u8]) -> Result<Record, &'static str> {
        let Some(original_len) = chunk::<4>(body, 0) else { return Err("simple packet block is too short") };
        let original_len = self.order.u32(*original_len);
        let Some(interface) = self.interfaces.first() else { return Err("interface was not described") };
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        Ok(Record {
            at: Timestamp::ZERO,
            link: interface.link,
            original_len,
            header_len: 12,
            captured_len: (original_len.min(snap_len) as usize).min(body.len() - 4),
            len: 0,
        })
    }

    /// §4.2.
    fn interface(&self, body: &[u8]) -> Result<Interface, &'static str> {
        let Some(header) = chunk::<8>(body, 0) else { return Err("interface description is too short") };
        let mut interface = Interface {
            link: LinkType::from_number(self.order.u16([header[0], header[1]])),
            snap_len: self.order.u32([header[4], header[5], header[6], header[7]]),
            resolution: Resolution::Nanos(1_000),
            offset_s: 0,
        };
        let mut options = body.get(8..).unwrap_or_default();
        while let Some(&[c0, c1, l0, l1]) = options.first_chunk() {
            let (code, len) = (self.order.u16([c0, c1]), usize::from(self.order.u16([l0, l1])));
            let Some(value) = options.get(4..4 + len) else { return Err("option ends beyond its block") };
            match (code, value) {
                (OPTION_END, _) => break,
                (OPTION_TSRESOL, [resolution, ..]) => {
                    interface.resolution = Resolution::from_option(*resolution);
                }
                (OPTION_TSOFFSET, &[a, b, c, d, e, f, g, h, ..]) => {
                    let field = [a, b, c, d, e, f, g, h];
                    interface.offset_s = match self.order {
                        Order::Little => i64::from_le_bytes(field),
                        Order::Big => i64::from_be_bytes(field),
                    };
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(interface)
    }
}

#[cold]
fn truncated<R: BufRead>(input: &Input<R>) -> Error {
    Error::TruncatedCapture { what: "block", offset: input.offset(), end: input.end_offset() }
}

#[cold]
fn bad<R: BufRead>(input: &Input<R>, reason: &'static str) -> Error {
    Error::BadCapture { what: "block", offset: input.offset(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let cases = [
            (6, 1_500_000, 1_500_000_000),
            (9, 7, 7),
            (0, 3, 3_000_000_000),
            (12, 5_999, 5),
            (127, u64::MAX, 0),
            (0x80 | 10, 1_024 * 3, 3_000_000_000),
            (0x80 | 127, u64::MAX, 0),
            (0, u64::MAX, i64::MAX),
        ];
        for (option, ticks, nanos) in cases {
            assert_eq!(Resolution::from_option(option).nanos(ticks), nanos, "{option:#x}");
        }
    }
}
