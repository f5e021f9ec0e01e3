//! MELSEC communication protocol (SLMP, frames 3E and 4E) and MELSOFT connections. Recognised; contents are not read.
//!
//! Source: Mitsubishi Electric SH-080956 *SLMP Reference Manual* §4.2 (frames), §5 (commands). MELSOFT frames have no
//! public standard: their length and number fields are as captures show them.

use twinguard_types::{Label, Oddity};

use crate::bytes::chunk;
use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// Usual ports: SLMP and MELSOFT on TCP and UDP.
pub const PORTS: [u16; 5] = [5000, 5001, 5002, 5560, 5562];
/// Longest frame that is still followed in a stream.
const STREAM_MAX: usize = 1 << 14;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Melsec;

outlined!(Melsec);

/// Layouts of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// 3E and 4E in binary.
    Slmp { answer: bool, numbered: bool },
    /// MELSOFT.
    Melsoft { answer: bool },
    /// MELSOFT, search for devices.
    Search { answer: bool },
}

fn layout(bytes: &[u8]) -> Option<Layout> {
    match bytes {
        [0x50, 0, ..] => Some(Layout::Slmp { answer: false, numbered: false }),
        [0xd0, 0, ..] => Some(Layout::Slmp { answer: true, numbered: false }),
        [0x54, 0, ..] => Some(Layout::Slmp { answer: false, numbered: true }),
        [0xd4, 0, ..] => Some(Layout::Slmp { answer: true, numbered: true }),
        [0x57, _, 0, 0, 0, 0x11, 0x11, ..] => Some(Layout::Melsoft { answer: false }),
        [0xd7, _, 0, 0, 0, 0x11, 0x11, ..] => Some(Layout::Melsoft { answer: true }),
        [0x5a, 0, 0, _] => Some(Layout::Search { answer: false }),
        [0xda, 0, 0, _, _, ..] => Some(Layout::Search { answer: true }),
        _ => None,
    }
}

impl Layout {
    /// Where the length field lies, which counts what follows it.
    const fn length_at(self) -> Option<usize> {
        match self {
            Self::Slmp { numbered: false, .. } => Some(7),
            Self::Slmp { numbered: true, .. } => Some(11),
            Self::Melsoft { .. } => Some(19),
            Self::Search { .. } => None,
        }
    }

    /// The length of the frame, as it says.
    fn total(self, bytes: &[u8]) -> Option<usize> {
        let at = self.length_at()?;
        Some(at + 2 + usize::from(u16::from_le_bytes(*chunk(bytes, at)?)))
    }
}

impl Outlined for Melsec {
    const FAMILY: Label = Label::literal("melsec");
    const CARRIERS: &'static [Carrier] = &[
        Carrier::Tcp(5000),
        Carrier::Tcp(5001),
        Carrier::Tcp(5002),
        Carrier::Tcp(5562),
        Carrier::Udp(5000),
        Carrier::Udp(5001),
        Carrier::Udp(5560),
    ];

    fn frame(bytes: &[u8]) -> Cut {
        let Some(layout) = layout(bytes) else {
            let short = bytes.len() < 7
                && matches!(bytes.first(), None | Some(0x50 | 0x54 | 0x57 | 0xd0 | 0xd4 | 0xd7));
            return if short { Cut::More(9) } else { Cut::Foreign };
        };
        match (layout.length_at(), layout.total(bytes)) {
            (None, _) => Cut::Message(bytes.len()),
            (Some(at), None) => Cut::More(at + 2),
            (_, Some(total)) if total > STREAM_MAX => Cut::Foreign,
            (_, Some(total)) if bytes.len() < total => Cut::More(total),
            (_, Some(total)) => Cut::Message(total),
        }
    }

    fn read(bytes: &[u8], _: Sender) -> Option<Outline<'_>> {
        let first = u16::from(*bytes.first()?);
        let mut oddities = Oddities::NONE;
        let mut outline = Outline {
            bytes,
            header: Header { kind: Kind::Control, unit: 0, function: first, key: None },
            sender: Sender::Unknown,
            action: None,
            certain: false,
            oddities,
        };
        let Some(layout) = layout(bytes) else {
            outline.oddities.push(Oddity::NotThisProtocol, 0);
            return Some(outline);
        };
        if layout.length_at().is_some() && layout.total(bytes) != Some(bytes.len()) {
            oddities.push(Oddity::LengthMismatch, layout.length_at().unwrap_or_default());
        }
        outline.oddities = oddities;
        let le = |at: usize| chunk(bytes, at).map(|field| u16::from_le_bytes(*field));
        let answer = match layout {
            Layout::Slmp { answer, .. } | Layout::Melsoft { answer } | Layout::Search { answer } => answer,
        };
        outline.sender = if answer { Sender::Server } else { Sender::Client };
        let kind = if answer { Kind::Response } else { Kind::Request };
        outline.header.kind = kind;
        match layout {
            Layout::Slmp { numbered, .. } => {
                let route = if numbered { 6 } else { 2 };
                let number = if numbered { le(2).unwrap_or_default() } else { 0 };
                // §4.2: network, station, module (usually 0x03ff), multidrop station; monitoring timer, or end code.
                let known = le(route + 2) == Some(0x03ff);
                let unit = bytes.get(route + 1).copied().unwrap_or_default();
                let (function, kind) = match (answer, le(route + 7), le(route + 9)) {
                    (true, Some(0), _) => (first, kind),
                    (true, Some(_), _) => (first, Kind::Exception),
                    (_, _, Some(command)) => (command, kind),
                    _ => (first, kind),
                };
                outline.header =
                    Header { kind, unit: u16::from(unit), function, key: Some(u64::from(number)) };
                outline.certain = known && (answer || Melsec::name(function) != "undefined");
                outline.action = match function {
                    0x1001 if !answer => Some(Action::Start),
                    0x1002 | 0x1003 => Some(Action::Stop),
                    0x1005 | 0x1822 => Some(Action::Delete),
                    0x1006 => Some(Action::Restart),
                    0x0101 => Some(Action::Browse),
                    0x1630 => Some(Action::Login),
                    0x1631 => Some(Action::Disconnect),
                    0x1828 => Some(Action::Upload),
                    0x1829 => Some(Action::Download),
                    _ => None,
                };
            }
            Layout::Melsoft { .. } => {
                // Behind a second header, whose length is its third byte, lie a function and a number that the answer
                // repeats.
                let at = 23 + bytes.get(23).map_or(0, |len| usize::from(*len));
                let number = le(at + 2).map(u64::from);
                let function = chunk(bytes, at).map_or(first, |field| u16::from_be_bytes(*field));
                outline.header = Header { kind, unit: 0, function, key: number };
                outline.certain = true;
            }
            Layout::Search { .. } => {
                outline.header.key = bytes.get(3).map(|number| u64::from(*number) << 32);
                outline.action = Some(Action::Browse);
            }
        }
        Some(outline)
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Some(first) = outline.bytes.first() else { return };
        put("melsec.subheader", Field::Hex(u64::from(*first), 2));
        put("melsec.command", Field::Hex(u64::from(outline.header.function), 4));
        if let Some(total) = layout(outline.bytes).and_then(|layout| layout.total(outline.bytes)) {
            put("melsec.length", Field::Number(total as u64));
        }
    }

    fn name(function: u16) -> &'static str {
        match function {
            0x0050 | 0x0054 | 0x0057 | 0x005a => "request",
            0x00d0 | 0x00d4 | 0x00d7 | 0x00da => "answer",
            0x0101 => "read type name",
            0x0401 => "device read",
            0x0403 => "device read random",
            0x0406 => "device read block",
            0x0601 => "extended unit read",
            0x0613 => "memory read",
            0x0619 => "self test",
            0x0801 => "entry monitor device",
            0x0802 => "execute monitor",
            0x1001 => "remote run",
            0x1002 => "remote stop",
            0x1003 => "remote pause",
            0x1005 => "remote latch clear",
            0x1006 => "remote reset",
            0x1401 => "device write",
            0x1402 => "device write random",
            0x1406 => "device write block",
            0x1601 => "extended unit write",
            0x1613 => "memory write",
            0x1617 => "clear error",
            0x1630 => "remote password unlock",
            0x1631 => "remote password lock",
            0x1810 => "read directory",
            0x1822 => "delete file",
            0x1827 => "open file",
            0x1828 => "read file",
            0x1829 => "write file",
            0x182a => "close file",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn frames_are_recognised_with_their_ends() {
        // §5.2: read one word of D100 by frame 3E.
        let ask = [0x50, 0, 0, 0xff, 0xff, 3, 0, 12, 0, 16, 0, 1, 4, 0, 0, 100, 0, 0, 0xa8, 1, 0];
        let tell = [0xd0, 0, 0, 0xff, 0xff, 3, 0, 4, 0, 0, 0, 7, 0];
        assert_eq!(Melsec::probe(&ask), Some(Sender::Client));
        assert_eq!(Melsec::probe(&tell), Some(Sender::Server));
        assert_eq!(Melsec::cut(&ask[..8]), Cut::More(9));
        assert_eq!(Melsec::cut(&ask[..10]), Cut::More(21));
        let header = Melsec::read(&ask, Sender::Unknown).unwrap().header;
        assert_eq!((header.function, header.unit), (0x0401, 0xff));
        let mut stop = [0x50, 0, 0, 0xff, 0xff, 3, 0, 8, 0, 16, 0, 2, 0x10, 0, 0, 1, 0];
        assert_eq!(Melsec::read(&stop, Sender::Unknown).unwrap().action, Some(Action::Stop));
        stop[7] = 9;
        assert_eq!(Melsec::probe(&stop), None);
        assert_eq!(Melsec::probe(&[0x5a, 0, 0, 1]), None, "too short to be sure");
    }
}
