//! ROC Plus of Emerson's flow computers and remote units. Recognised; contents are not read.
//!
//! Source: Emerson D301180X012 *ROC Plus Protocol Specification Manual* §1 (message format), §2 (opcodes).

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, crc16, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The usual port (§1.1).
pub const PORT: u16 = 4000;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct RocPlus;

outlined!(RocPlus);

impl Outlined for RocPlus {
    const FAMILY: Label = Label::literal("roc_plus");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    fn frame(bytes: &[u8]) -> Cut {
        // §1.2: destination and source unit and group, opcode, length, data, CRC.
        match bytes {
            [_, _, _, _, opcode, len, ..] => match (RocPlus::name(u16::from(*opcode)), usize::from(*len) + 8)
            {
                ("undefined", _) => Cut::Foreign,
                (_, total) if bytes.len() < total => Cut::More(total),
                (_, total) => Cut::Message(total),
            },
            _ => Cut::More(8),
        }
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let ([_, _, _, _, opcode, len], rest) = bytes.split_first_chunk()?;
        let mut oddities = Oddities::NONE;
        if rest.len() != usize::from(*len) + 2 {
            oddities.push(Oddity::LengthMismatch, 5);
        }
        let sound = match bytes.split_last_chunk() {
            // §1.2: the CRC of Modbus.
            Some((body, crc)) => crc16(body.iter().copied(), 0xa001) == u16::from_le_bytes(*crc),
            None => false,
        };
        if !sound {
            oddities.push(Oddity::BadChecksum, bytes.len().saturating_sub(2));
        }
        let function = u16::from(*opcode);
        let kind = match (known, function) {
            (Sender::Server, 255) => Kind::Exception,
            (Sender::Server, 224) => Kind::Event,
            (Sender::Server, _) => Kind::Response,
            _ => Kind::Request,
        };
        let action = match function {
            8 => Some(Action::SetTime),
            11 | 102 | 123 | 166 | 181 => Some(Action::Configure),
            17 => Some(Action::Login),
            203 => Some(Action::Upload),
            206 => Some(Action::Configure),
            _ => None,
        };
        let unit = bytes.first().copied().unwrap_or_default();
        // Spontaneous reports and errors aside, an answer repeats the opcode.
        let key = (kind != Kind::Event).then_some(u64::from(function)).filter(|_| function != 255);
        let header = Header { kind, unit: u16::from(unit), function, key };
        Some(Outline { bytes, header, sender: Sender::Unknown, action, certain: true, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        const NAMES: [&str; 6] = [
            "roc_plus.destination_unit",
            "roc_plus.destination_group",
            "roc_plus.source_unit",
            "roc_plus.source_group",
            "roc_plus.opcode",
            "roc_plus.length",
        ];
        NAMES.iter().zip(outline.bytes).for_each(|(name, value)| put(name, Field::Number(u64::from(*value))));
    }

    fn name(function: u16) -> &'static str {
        match function {
            6 => "system configuration",
            7 => "read clock",
            8 => "set clock",
            10 => "read configurable opcode points",
            11 => "write configurable opcode points",
            17 => "login",
            24 => "store and forward",
            50 => "request point status",
            100 => "access user-defined information",
            102 => "set new-history location",
            103 => "system information",
            105 => "history tag and periodic index",
            108 => "history tag and index",
            118 => "alarm data",
            119 => "event data",
            120 => "pointers to alarms, events and history",
            121 => "alarm data of older units",
            122 => "event data of older units",
            123 => "event log write",
            135 => "single history point",
            136 => "multiple history points",
            137 => "history of a day",
            138 => "daily and monthly history",
            139 => "history information",
            165 => "history parameters",
            166 => "write parameters",
            167 => "read parameters",
            180 => "read parameters by type",
            181 => "write parameters by type",
            203 => "file transfer",
            205 => "peer-to-peer read",
            206 => "peer-to-peer write",
            224 => "spontaneous report",
            225 => "acknowledge spontaneous report",
            255 => "error",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn the_check_sum_decides() {
        let mut bytes = vec![1, 2, 3, 4, 7, 0];
        bytes.extend(crc16(bytes.clone(), 0xa001).to_le_bytes());
        assert_eq!(RocPlus::cut(&bytes), Cut::Message(8));
        assert_eq!(RocPlus::probe(&bytes), Some(Sender::Unknown));
        bytes[7] ^= 1;
        assert_eq!(RocPlus::probe(&bytes), None);
        let outline = RocPlus::read(&bytes, Sender::Client).unwrap();
        assert!(outline.oddities.contains(Oddity::BadChecksum));
        assert_eq!(outline.header.kind, Kind::Request);
    }
}
