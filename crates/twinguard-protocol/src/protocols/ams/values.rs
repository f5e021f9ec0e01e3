//! The values in messages: memories by index group and offset, symbols by name.
//!
//! Source: Beckhoff Information System, *TwinCAT ADS/AMS Specification*, "ADS Read" to "ADS Read Write", "ADS Device
//! Notification"; *ADS Sum Command* for lists.

use twinguard_types::Timestamp;

use super::session::{HANDLE_BY_NAME, SUM_READ, SUM_WRITE, Tables, VALUE_BY_HANDLE, VALUE_BY_NAME, symbol};
use super::tag;
use super::view::{Body, Fields, View};
use crate::protocol::{Access, Block, Data, Tag};

/// Ticks of 100 ns between 1601-01-01 and 1970-01-01 ("Windows FILETIME").
const EPOCH: i64 = 116_444_736_000_000_000;

/// The values of one message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    walk: Walk<'a>,
    tables: Option<&'a Tables>,
    device: u16,
    client: u16,
    at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum Walk<'a> {
    One(Option<(Tag<'a>, Access, &'a [u8])>),
    /// Group, offset and length of each, and the data one behind the other; results before them where they answer.
    Sum {
        heads: Fields<'a>,
        results: Option<Fields<'a>>,
        data: Fields<'a>,
    },
    Notes {
        stamps: u32,
        samples: u32,
        data: Fields<'a>,
    },
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>) -> Self {
        let (device, client) = (view.device().port, view.client().port);
        let mut blocks = Self { walk: Walk::One(None), tables: view.tables, device, client, at: None };
        blocks.walk = match view.body() {
            Body::Write { group: SUM_WRITE, offset: count, data }
            | Body::ReadWrite { group: SUM_WRITE, offset: count, data, .. } => sum(data, count, None),
            Body::Write { group, offset, data } | Body::ReadWrite { group, offset, data, .. }
                if is_memory(group) =>
            {
                Walk::One(Some((blocks.tag(group, offset, &[]), Access::Write, data)))
            }
            Body::Data { result: 0, data } => match view.asked {
                Some((SUM_READ, count)) => sum(view.held, count, Some(data)),
                Some((group, offset)) if is_memory(group) || group == VALUE_BY_NAME => {
                    Walk::One(Some((blocks.tag(group, offset, view.held), Access::Read, data)))
                }
                Some(_) => Walk::One(None),
                None => Walk::One(Some((tag::memory(device, None), Access::Read, data))),
            },
            Body::Notes { stamps, data } => Walk::Notes { stamps, samples: 0, data: Fields(data) },
            _ => Walk::One(None),
        };
        blocks
    }

    /// The place of a memory, or of the symbol that a name or a handle stands for.
    fn tag(&self, group: u32, offset: u32, name: &'a [u8]) -> Tag<'a> {
        let named = match group {
            VALUE_BY_NAME => symbol(name),
            VALUE_BY_HANDLE => self.tables.and_then(|tables| tables.name(self.device, offset)),
            _ => None,
        };
        match named {
            Some(name) => tag::symbol(self.device, name),
            None if group == VALUE_BY_NAME => tag::memory(self.device, None),
            None => tag::memory(self.device, Some((group, offset))),
        }
    }
}

/// A list of `count` memories of twelve bytes each, and what belongs to them.
fn sum<'a>(request: &'a [u8], count: u32, response: Option<&'a [u8]>) -> Walk<'a> {
    let mut fields = Fields(request);
    let heads = count.checked_mul(12).and_then(|len| fields.take(len));
    let results = match response {
        Some(response) => {
            let rest = &mut Fields(response);
            let results = count.checked_mul(4).and_then(|len| rest.take(len));
            fields = *rest;
            results.map(|results| Some(Fields(results)))
        }
        None => Some(None),
    };
    match (heads, results) {
        (Some(heads), Some(results)) => Walk::Sum { heads: Fields(heads), results, data: fields },
        _ => Walk::One(None),
    }
}

/// Whether a group is memory: not a service on symbols (`ADSIGRP_SYM_*`) or on lists (`ADSIGRP_SUMUP_*`).
const fn is_memory(group: u32) -> bool {
    !matches!(group, 0xf000..=HANDLE_BY_NAME | VALUE_BY_NAME | 0xf006..=0xf01f | SUM_READ..=0xf08f)
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (tag, access, data) = match &mut self.walk {
            Walk::One(one) => one.take()?,
            Walk::Sum { heads, results, data } => {
                let (group, offset, len) = (heads.u32()?, heads.u32()?, heads.u32()?);
                let access = if results.is_some() { Access::Read } else { Access::Write };
                // A memory that was refused still has its bytes.
                let refused = match results {
                    Some(results) => results.u32()? != 0,
                    None => false,
                };
                let bytes = data.take(len)?;
                (self.tag(group, offset, &[]), if refused { Access::Echo } else { access }, bytes)
            }
            Walk::Notes { stamps, samples, data } => {
                while *samples == 0 {
                    *stamps = stamps.checked_sub(1)?;
                    let ticks = i64::from_le_bytes(*data.chunk()?);
                    let since = ticks.checked_sub(EPOCH).filter(|_| ticks > 0);
                    self.at = since.and_then(|since| since.checked_mul(100)).map(Timestamp::from_nanos);
                    *samples = data.u32()?;
                }
                *samples -= 1;
                let (handle, len) = (data.u32()?, data.u32()?);
                let bytes = data.take(len)?;
                let known = self.tables.and_then(|tables| tables.note(self.device, self.client, handle));
                let tag = match known {
                    Some((group, offset)) => self.tag(group, offset, &[]),
                    None => tag::memory(self.device, None),
                };
                (tag, Access::Read, bytes)
            }
        };
        Some(Block { at: self.at, ..Block::new(tag, access, Data::Bytes(data)) })
    }
}
