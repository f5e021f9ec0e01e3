//! GE-SRTP of GE Fanuc controllers. Recognised; contents are not read.
//!
//! Source: G. Denton et al., *Leveraging the SRTP protocol for over-the-network memory acquisition of a GE Fanuc Series
//! 90-30*, Digital Investigation 22 (2017), §4 and tables 1 to 3; GE GFK-0870 (service codes).

use twinguard_types::{Label, Oddity};

use crate::bytes::chunk;
use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The registered port.
pub const PORT: u16 = 18245;
/// Bytes of the header (table 1).
pub const HEADER_LEN: usize = 56;
/// Longest message that is still followed in a stream.
const STREAM_MAX: usize = 1 << 14;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Srtp;

outlined!(Srtp);

impl Outlined for Srtp {
    const FAMILY: Label = Label::literal("srtp");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Tcp(PORT + 1)];

    fn frame(bytes: &[u8]) -> Cut {
        // Table 1: type, reserved, sequence number, length of the text behind the header.
        match bytes {
            [0..=3, 0, _, _, l0, l1, ..] => {
                let total = HEADER_LEN + usize::from(u16::from_le_bytes([*l0, *l1]));
                if total > STREAM_MAX {
                    Cut::Foreign
                } else if bytes.len() < total {
                    Cut::More(total)
                } else {
                    Cut::Message(total)
                }
            }
            [] | [0..=3] => Cut::More(HEADER_LEN),
            [0..=3, 0, ..] => Cut::More(HEADER_LEN),
            _ => Cut::Foreign,
        }
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let first = *bytes.first()?;
        let mut oddities = Oddities::NONE;
        let wanted = chunk(bytes, 4).map(|field| HEADER_LEN + usize::from(u16::from_le_bytes(*field)));
        if wanted != Some(bytes.len()) {
            oddities.push(Oddity::LengthMismatch, 4);
        }
        let sequence = chunk(bytes, 2).map(|field| u64::from(u16::from_le_bytes(*field)));
        // Table 2: request with or without text, answer with or without text, refusal.
        let kind = bytes.get(31).copied().unwrap_or_default();
        let service = match kind {
            0x80 => bytes.get(50).copied(),
            _ => bytes.get(42).copied(),
        };
        let service = u16::from(service.unwrap_or_default());
        let mailbox = bytes.get(36..40) == Some(&[0x10, 0x0e, 0, 0]);
        let (what, function, sender, certain) = match (first, kind) {
            (0, _) => (Kind::Request, 0x100, Sender::Client, false),
            (1, _) => (Kind::Response, 0x100, Sender::Server, false),
            (2, 0x80 | 0xc0) => {
                (Kind::Request, service, Sender::Client, mailbox && Srtp::name(service) != "undefined")
            }
            (3, 0xd4 | 0x94) => {
                (Kind::Response, 0x101, Sender::Server, bytes.get(32..34) == Some(&[0x10, 0x0e]))
            }
            (3, 0xd1) => (Kind::Exception, 0x101, Sender::Server, bytes.get(32..34) == Some(&[0x10, 0x0e])),
            _ => {
                oddities.push(Oddity::BadValue, 31);
                (Kind::Control, service, known, false)
            }
        };
        let action = match function {
            0x100 => Some(Action::Connect),
            0x20 | 0x21 => Some(Action::Login),
            0x22 | 0x23 | 0x39 | 0x44 => Some(Action::Configure),
            0x24 => Some(Action::SetTime),
            0x3f => Some(Action::Upload),
            0x40 => Some(Action::Download),
            0x03 | 0x43 => Some(Action::Browse),
            _ => None,
        };
        let action = action.filter(|_| what == Kind::Request);
        let key = sequence.filter(|_| what != Kind::Control);
        let header = Header { kind: what, unit: 0, function, key };
        Some(Outline { bytes, header, sender, action, certain, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Some([kind, _, s0, s1, l0, l1]) = outline.bytes.first_chunk() else { return };
        put("srtp.type", Field::Number(u64::from(*kind)));
        put("srtp.sequence", Field::Number(u64::from(u16::from_le_bytes([*s0, *s1]))));
        put("srtp.length", Field::Number(u64::from(u16::from_le_bytes([*l0, *l1]))));
        put("srtp.service", Field::Hex(u64::from(outline.header.function), 2));
    }

    fn name(function: u16) -> &'static str {
        match function {
            0x00 => "short status",
            0x03 => "control program names",
            0x04 => "read system memory",
            0x05 => "read task memory",
            0x06 => "read program memory",
            0x07 => "write system memory",
            0x08 => "write task memory",
            0x09 => "write program memory",
            0x20 => "programmer logon",
            0x21 => "change privilege level",
            0x22 => "set control identifier",
            0x23 => "set run or stop",
            0x24 => "set clock",
            0x25 => "read clock",
            0x38 => "read fault table",
            0x39 => "clear fault table",
            0x3f => "program store",
            0x40 => "program load",
            0x43 => "controller type and identifier",
            0x44 => "toggle force of system memory",
            0x100 => "initialise",
            0x101 => "answer",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn a_request_is_recognised() {
        let mut ask = [0; HEADER_LEN];
        (ask[0], ask[2], ask[31], ask[36], ask[37], ask[42]) = (2, 6, 0xc0, 0x10, 0x0e, 0x04);
        assert_eq!(Srtp::cut(&ask), Cut::Message(56));
        assert_eq!(Srtp::probe(&ask), Some(Sender::Client));
        let header = Srtp::read(&ask, Sender::Unknown).unwrap().header;
        assert_eq!((header.function, header.key), (4, Some(6)));
        assert_eq!(Srtp::probe(&[0; HEADER_LEN]), None, "the first message says nothing");
        assert_eq!(Srtp::cut(b"GET"), Cut::Foreign);
    }
}
