//! Application layer of IEC 60870-5-101, which IEC 60870-5-104 carries as well: ASDUs, information objects, device time.
//!
//! Sources: IEC 60870-5-101:2003 (clauses §7.1 to §7.3), IEC 60870-5-4 (information elements), IEC TS 60870-5-7 and
//! IEC 62351-5 (authentication, types 41 and 81 to 95). An [`Asdu`] shows any bytes and flags what is odd; an
//! [`AsduBuffer`] holds those that are to be sent.

mod asdu;
mod buffer;
mod object;
mod time;
mod type_id;

pub use asdu::{Asdu, Cause, Layout};
pub(crate) use buffer::command;
pub use buffer::{ASDU_MAX, AsduBuffer, Illegal};
pub use object::{Object, Objects};
pub use time::{cp24, cp56, write_cp56};
pub use type_id::{Element, Time, TypeId};

use core::fmt;

use crate::protocol::{Action, Block, Fit, Name, Tag};

/// What is kept of a request: its type, cause, address, and whether it selects, executes or cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    pub(crate) type_id: TypeId,
    pub(crate) cause: u8,
    pub(crate) common: u16,
    /// The byte that holds the select bit, or the qualifier; 0 where there is none.
    pub(crate) qualifier: u8,
}

/// The common address that means all stations (§7.2.4).
pub(crate) const BROADCAST: u16 = 0xffff;

impl Memo {
    pub(crate) fn of(asdu: &Asdu<'_>) -> Self {
        let has_qualifier = matches!(asdu.type_id().0, 45..=64 | 100..=113 | 122);
        let first = if has_qualifier { asdu.objects().next() } else { None };
        let qualifier = first.map_or(0, |object| object.qualifier());
        let (type_id, cause, common) = (asdu.type_id(), asdu.cause().code, asdu.common_address());
        Self { type_id, cause, common, qualifier }
    }

    /// How well an answer fits: a confirmation repeats type, address and qualifier (§7.2.3, IEC 60870-5-5 §6.8).
    pub(crate) fn fit(&self, asdu: &Asdu<'_>) -> Fit {
        let answer = Self::of(asdu);
        let same = answer.common == self.common || self.is_broadcast();
        if answer.type_id != self.type_id || !same {
            return Fit::No;
        }
        let expected = if self.cause == Cause::DEACTIVATION { 9 } else { 7 };
        let exact = answer.cause == expected && answer.qualifier == self.qualifier;
        if exact || matches!(answer.cause, 44..=47) { Fit::Exact } else { Fit::Loose }
    }

    const fn is_broadcast(&self) -> bool {
        self.common == BROADCAST || self.common == 0xff
    }

    /// What a request asks of the device beyond values (§7.3.4 to §7.3.6).
    pub(crate) fn action(&self) -> Option<Action> {
        // Requested, activation, file transfer (§7.2.3): others answer or take back.
        if !matches!(self.cause, 5 | 6 | 13) {
            return None;
        }
        match self.type_id.0 {
            100 | 102 => Some(Action::Browse),
            // §7.2.6.23: a freeze or a reset of counters changes what the device tells.
            101 if self.qualifier >> 6 != 0 => Some(Action::Configure),
            101 => Some(Action::Browse),
            103 | 106 => Some(Action::SetTime),
            105 => Some(Action::Restart),
            110..=113 => Some(Action::Configure),
            // §7.2.6.30: 4 deletes, the others ask for a file or a section, or let go of it.
            122 => match self.qualifier & 0xf {
                1 | 2 | 5 | 6 => Some(Action::Upload),
                4 => Some(Action::Delete),
                _ => None,
            },
            127 => Some(Action::Upload),
            _ => None,
        }
    }
}

/// What a request and its confirmation have in common: type, object, common address, activation or deactivation.
/// `None` for what is not confirmed, and for the end of an activation, which its confirmation has answered.
pub(crate) fn pairing_key(asdu: &Asdu<'_>) -> Option<u64> {
    let type_id = asdu.type_id();
    let deactivates = match asdu.cause().code {
        6 | 7 | 44..=47 => 0,
        8 | 9 => 1,
        _ => return None,
    };
    if !type_id.is_control() {
        return None;
    }
    // A system command to all stations is confirmed by each under its own address.
    let common = if (100..=107).contains(&type_id.0) { 0 } else { asdu.common_address() };
    let object = asdu.first_address()?;
    Some(deactivates << 56 | u64::from(type_id.0) << 48 | u64::from(common) << 24 | u64::from(object))
}

/// The runs of values in an ASDU.
#[derive(Clone, Debug, Default)]
pub struct Blocks<'a>(pub(crate) Option<Objects<'a>>);

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    #[inline]
    fn next(&mut self) -> Option<Block<'a>> {
        self.0.as_mut()?.next().map(|object| object.block())
    }
}

/// `<common address>/<information object address>`.
pub(crate) fn parse_tag(text: &str) -> Option<Tag<'static>> {
    let (common, object) = text.split_once('/')?;
    let (common, object) = (number(common, 0xffff)?, number(object, 0xff_ffff)?);
    Some(tag(common as u16, object))
}

pub(crate) fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match tag.address {
        Some(object) => write!(f, "{}/{object}", tag.space),
        None => write!(f, "{}/?", tag.space),
    }
}

/// The tag of an information object.
pub(crate) fn tag(common: u16, object: u32) -> Tag<'static> {
    Tag { space: u64::from(common), name: Name::default(), address: Some(object) }
}

/// Decimal digits alone: one way to write a tag.
fn number(text: &str, most: u32) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in ["0/0", "65535/16777215", "41/50003"] {
            let tag = parse_tag(good).unwrap();
            assert_eq!(fmt::from_fn(|f| write_tag(&tag, f)).to_string(), good);
        }
        for bad in ["", "1", "1/", "/1", "65536/1", "1/16777216", "01/1", "1/+1", "1/1/1"] {
            assert_eq!(parse_tag(bad), None, "{bad}");
        }
    }
}
