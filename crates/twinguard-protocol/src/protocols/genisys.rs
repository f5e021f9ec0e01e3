//! GENISYS of railway signalling. Recognised; contents are not read.
//!
//! Source: Union Switch & Signal, *GENISYS Serial Communication Protocol* §5.1 (messages, escapes, security check).

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, crc16, outlined};
use crate::protocol::{Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The usual port of converters to serial lines.
pub const PORT: u16 = 10001;
/// Longest message that is looked for: 16 data bytes a group, all escaped, with room to spare.
const LEN_MAX: usize = 600;
/// Ends a message; it occurs nowhere else (§5.1.1).
const END: u8 = 0xf6;
/// What follows is the lower half of a byte from 0xf0 on (§5.1.1).
const ESCAPE: u8 = 0xf0;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Genisys;

outlined!(Genisys);

/// The bytes of a message without escapes and end.
fn plain(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let (mut rest, mut first) = (bytes.strip_suffix(&[END]).unwrap_or(bytes), true);
    core::iter::from_fn(move || {
        let (byte, after) = rest.split_first()?;
        rest = after;
        if *byte == ESCAPE
            && !first
            && let Some((low, after)) = after.split_first()
        {
            rest = after;
            return Some(0xf0 | low);
        }
        first = false;
        Some(*byte)
    })
}

/// Whether the last two bytes check the others.
fn is_checked(bytes: &[u8]) -> bool {
    let len = plain(bytes).count();
    let mut checks = plain(bytes).skip(len.saturating_sub(2));
    let check = checks.next().zip(checks.next()).map(|(low, high)| u16::from_le_bytes([low, high]));
    len > 3 && check == Some(crc16(plain(bytes).take(len - 2), 0xa001))
}

impl Outlined for Genisys {
    const FAMILY: Label = Label::literal("genisys");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    fn frame(bytes: &[u8]) -> Cut {
        match bytes.split_first() {
            None => Cut::More(3),
            Some((0xf1..=0xf3 | 0xf9..=0xfe, rest)) => {
                match rest.iter().take(LEN_MAX).position(|byte| *byte == END) {
                    Some(0) => Cut::Foreign,
                    Some(end) => Cut::Message(end + 2),
                    None if rest.len() < LEN_MAX => Cut::More(bytes.len().max(2) + 1),
                    None => Cut::Foreign,
                }
            }
            Some(_) => Cut::Foreign,
        }
    }

    fn read(bytes: &[u8], _: Sender) -> Option<Outline<'_>> {
        let [control, station, ..] = bytes else { return None };
        let mut oddities = Oddities::NONE;
        if bytes.last() != Some(&END) {
            oddities.push(Oddity::Truncated, bytes.len());
        }
        let checked = is_checked(bytes);
        // §5.1.1: an acknowledgement has no check, and a poll may have none.
        let bare = matches!(control, 0xf1 | 0xfb) && bytes.len() == 3;
        if !checked && !bare {
            oddities.push(Oddity::BadChecksum, bytes.len().saturating_sub(3));
        }
        let (kind, sender) = match control {
            0xf1..=0xf3 => (Kind::Response, Sender::Server),
            0xf9..=0xfe => (Kind::Request, Sender::Client),
            _ => {
                oddities.push(Oddity::UnknownFunction, 0);
                (Kind::Control, Sender::Unknown)
            }
        };
        // A common control goes to all stations, and none answers.
        let key = (*control != 0xf9 && kind != Kind::Control).then_some(u64::from(*station));
        let header = Header { kind, unit: u16::from(*station), function: u16::from(*control), key };
        Some(Outline { bytes, header, sender, action: None, certain: checked, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let [control, station, ..] = outline.bytes else { return };
        put("genisys.control", Field::Hex(u64::from(*control), 2));
        put("genisys.station", Field::Number(u64::from(*station)));
    }

    fn name(function: u16) -> &'static str {
        match function {
            0xf1 => "acknowledge",
            0xf2 => "indication data",
            0xf3 => "control data checkback",
            0xf9 => "common control data",
            0xfa => "acknowledge and poll",
            0xfb => "poll",
            0xfc => "control data",
            0xfd => "recall",
            0xfe => "execute controls",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn the_security_check_decides() {
        // §5.1: poll of station 1.
        let poll = [0xfb, 1, 0x83, 0x40, 0xf6];
        assert_eq!(Genisys::cut(&poll), Cut::Message(5));
        assert_eq!(Genisys::probe(&poll), Some(Sender::Client));
        assert_eq!(Genisys::probe(&[0xfb, 1, 0x83, 0x41, 0xf6]), None);
        assert_eq!(Genisys::probe(&[0xf1, 1, 0xf6]), None, "too short to be sure");
        assert!(Genisys::read(&[0xf1, 1, 0xf6], Sender::Unknown).unwrap().oddities.is_empty());
        assert_eq!(plain(&[0xf2, 1, 0xf0, 0x06, 0xf6]).collect::<Vec<_>>(), [0xf2, 1, 0xf6]);
    }
}
