//! Where values lie.
//!
//! Source: Beckhoff Information System, *TwinCAT ADS/AMS Specification* (ports, index groups, offsets); names of symbols
//! by IEC 61131-3.
//!
//! `PORT/0xGROUP/OFFSET` for a memory, `PORT/SYMBOL` or `PORT/SYMBOL@OFFSET` for a symbol and what lies in it, in bytes.

use core::fmt;

use crate::protocol::{Name, Tag};

/// The bit of [`Tag::space`] that tells a symbol.
const SYMBOL: u64 = 1 << 48;

/// A memory; `None` when the message alone does not tell which.
pub(super) fn memory(port: u16, place: Option<(u32, u32)>) -> Tag<'static> {
    let space = u64::from(port) << 32 | u64::from(place.map_or(0, |(group, _)| group));
    Tag { space, name: Name::default(), address: place.map(|(_, offset)| offset) }
}

/// A symbol.
pub(super) fn symbol(port: u16, name: &[u8]) -> Tag<'_> {
    Tag { space: u64::from(port) << 32 | SYMBOL, name: Name::new([name]), address: Some(0) }
}

/// Port, group and offset of a memory.
pub(super) fn place(tag: &Tag<'_>) -> Option<(u16, u32, u32)> {
    let known = tag.space & SYMBOL == 0;
    known.then(|| Some(((tag.space >> 32) as u16, tag.space as u32, tag.address?))).flatten()
}

pub(super) fn parse(text: &str) -> Option<Tag<'_>> {
    let (port, rest) = text.split_once('/')?;
    let port = number(port)?;
    if let Some(rest) = rest.strip_prefix("0x") {
        let (group, offset) = rest.split_once('/')?;
        let plain = group.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let short = group == "0" || !group.starts_with('0');
        let group = u32::from_str_radix(group, 16).ok().filter(|_| plain && short)?;
        return Some(memory(port, Some((group, number(offset)?))));
    }
    let (name, offset) = match rest.split_once('@') {
        Some((name, offset)) => (name, number(offset).filter(|offset| *offset != 0)?),
        None => (rest, 0),
    };
    let whole = super::session::symbol(name.as_bytes())?.len() == name.len();
    whole.then(|| Tag { address: Some(offset), ..symbol(port, name.as_bytes()) })
}

pub(super) fn write(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (port, [name, ..]) = ((tag.space >> 32) as u16, tag.name.parts());
    match (tag.address, tag.space & SYMBOL != 0) {
        (None, _) => write!(f, "{port}/?"),
        (Some(offset), false) => write!(f, "{port}/0x{:x}/{offset}", tag.space as u32),
        (Some(0), true) => write!(f, "{port}/{}", String::from_utf8_lossy(name)),
        (Some(offset), true) => write!(f, "{port}/{}@{offset}", String::from_utf8_lossy(name)),
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}
