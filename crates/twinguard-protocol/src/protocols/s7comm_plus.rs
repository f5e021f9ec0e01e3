//! S7comm-plus: S7-1200 and S7-1500 with their tools and panels. Recognised; contents are not read.
//!
//! Sources: ISO 8073 and RFC 1006 below; above there is no public standard, and sessions are sealed since version 3:
//! header and trailer as in T. Wiens, *s7commwireshark* (protocol description), opcodes and functions as there.

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};
use crate::protocols::cotp::{self, Tpdu};

/// The first byte of each message.
pub const PROTOCOL_ID: u8 = 0x72;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct S7commPlus;

outlined!(S7commPlus);

/// The data behind the header, and behind the check sum of version 3.
fn body(data: &[u8]) -> &[u8] {
    match data {
        [PROTOCOL_ID, 3, _, _, len, body @ ..] => body.get(usize::from(*len)..).unwrap_or_default(),
        [PROTOCOL_ID, _, _, _, body @ ..] => body,
        _ => &[],
    }
}

fn data(bytes: &[u8]) -> &[u8] {
    match cotp::View::new(bytes).map(|view| view.tpdu()) {
        Some(Tpdu::Data { data, .. }) => data,
        _ => &[],
    }
}

impl Outlined for S7commPlus {
    const FAMILY: Label = Label::literal("s7comm_plus");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(cotp::PORT)];

    fn frame(bytes: &[u8]) -> Cut {
        cotp::cut(bytes)
    }

    fn is_upkeep(bytes: &[u8]) -> bool {
        data(bytes).is_empty()
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let data = data(bytes);
        let mut oddities = Oddities::NONE;
        // Version 1 to 3, or keep-alive; the trailer, behind the last part of a message, repeats the version.
        let whole = match data {
            [PROTOCOL_ID, version @ (1..=3 | 0xfe | 0xff), l1, l0, rest @ ..] => {
                let behind = rest.get(usize::from(u16::from_be_bytes([*l1, *l0]))..);
                let trailer = [PROTOCOL_ID, *version, 0, 0];
                behind.is_some_and(|behind| behind.is_empty() || *behind == trailer)
            }
            _ => {
                oddities.push(Oddity::BadProtocolId, cotp::DATA);
                true
            }
        };
        if !whole {
            oddities.push(Oddity::LengthMismatch, cotp::DATA + 2);
        }
        let (kind, function, sequence, sender) = match body(data) {
            [0x31, 0, 0, f1, f0, 0, 0, s1, s0, ..] => (Kind::Request, [*f1, *f0], [*s1, *s0], Sender::Client),
            [0x32, 0, 0, f1, f0, 0, 0, s1, s0, ..] => {
                (Kind::Response, [*f1, *f0], [*s1, *s0], Sender::Server)
            }
            [0x33, ..] => (Kind::Event, [0, 0x33], [0; 2], Sender::Server),
            _ => (Kind::Control, [0; 2], [0; 2], known),
        };
        let function = u16::from_be_bytes(function);
        let key = matches!(kind, Kind::Request | Kind::Response)
            .then(|| u64::from(function) << 16 | u64::from(u16::from_be_bytes(sequence)));
        let action = match function {
            0x04ca => Some(Action::Connect),
            0x04d4 => Some(Action::Disconnect),
            0x04bb => Some(Action::Browse),
            _ => None,
        };
        Some(Outline {
            bytes,
            header: Header { kind, unit: 0, function, key },
            sender,
            action,
            certain: cotp::data(bytes).is_some(),
            oddities,
        })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let data = data(outline.bytes);
        let [id, version, l1, l0, ..] = data else { return };
        put("s7comm-plus.header.protid", Field::Hex(u64::from(*id), 2));
        put("s7comm-plus.header.protocolversion", Field::Hex(u64::from(*version), 2));
        put("s7comm-plus.header.datlg", Field::Number(u64::from(u16::from_be_bytes([*l1, *l0]))));
        if let Some(opcode) = body(data).first() {
            put("s7comm-plus.data.opcode", Field::Hex(u64::from(*opcode), 2));
            put("s7comm-plus.data.function", Field::Hex(u64::from(outline.header.function), 4));
        }
    }

    fn name(function: u16) -> &'static str {
        match function {
            0x0033 => "notification",
            0x04bb => "explore",
            0x04ca => "create object",
            0x04d4 => "delete object",
            0x04f2 => "set variable",
            0x0524 => "get link",
            0x0542 => "set variables",
            0x054c => "get variables",
            0x0556 => "begin sequence",
            0x0560 => "end sequence",
            0x056b => "invoke",
            0x0586 => "get variable, streamed",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn a_session_is_recognised() {
        let ask = b"\x72\x01\0\x0a\x31\0\0\x04\xca\0\0\0\x01\0\x72\x01\0\0";
        let mut bytes = Vec::new();
        cotp::Repr::Data { last: true, data: ask }.emit(&mut bytes).unwrap();
        assert_eq!(S7commPlus::probe(&bytes), Some(Sender::Client));
        let outline = S7commPlus::read(&bytes, Sender::Client).unwrap();
        assert_eq!((outline.header.function, outline.action), (0x04ca, Some(Action::Connect)));
        assert_eq!(S7commPlus::probe(&bytes[..bytes.len() - 1]), None);
        assert!(S7commPlus::is_upkeep(b"\x03\0\0\x07\x02\xf0\0"));
    }
}
