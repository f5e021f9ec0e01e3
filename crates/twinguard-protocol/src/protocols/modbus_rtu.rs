//! Modbus RTU: serial lines, and the same frames carried over TCP or UDP by serial servers.
//!
//! Sources: *MODBUS over Serial Line Specification and Implementation Guide* V1.02 (clauses L §…) for the frame, *Modbus
//! Application Protocol Specification* V1.1b3 for what it carries: functions, values and tags are those of
//! [`modbus`](super::modbus).
//!
//! A frame has no length and no start: its function tells how long a request and an answer are, and the checksum which
//! of them it is. There is no port by agreement; frames are recognised by checksum and content. One request is open on a
//! line at a time (L §2.1), so that an answer belongs to the latest request to its unit.

use core::fmt;

use twinguard_types::{Label, Oddity};

use super::modbus::{ADU_MAX, HEADER_LEN, Memo, Modbus, Repr, View, fields, line};
use crate::protocol::{
    Block, Carrier, Cell, Context, Cut, Field, Fit, Header, Oddities, Protocol, Sender, Tag, Write,
};

/// Longest frame: unit, 253 bytes of function and data, checksum (L §2.5.1.1).
pub const FRAME_MAX: usize = line::FRAME_MAX;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct ModbusRtu;

/// A line: how many requests it has seen, so that an answer goes to the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    requests: u16,
}

/// The checksum of these bytes, low byte first on the line (L §6.2.2: X¹⁶ + X¹⁵ + X² + 1, from all ones).
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    line::crc(bytes)
}

/// Appends the frame that carries a message, to or from the same unit; the transaction identifier has no place in it.
pub fn emit(message: &Repr<'_>, out: &mut Vec<u8>) {
    let adu = message.emit();
    let frame = adu.as_bytes().get(HEADER_LEN - 1..).unwrap_or_default();
    out.extend_from_slice(frame);
    out.extend(crc(frame).to_le_bytes());
}

impl Protocol for ModbusRtu {
    const FAMILY: Label = Label::literal("modbus_rtu");
    const CARRIERS: &'static [Carrier] = &[];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Line;
    type Shared = ();
    type Blocks<'a> = core::option::IntoIter<Block<'a>>;

    fn cut(bytes: &[u8]) -> Cut {
        line::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, Sender::Unknown);
        for _ in 0..8 {
            let Cut::Message(len) = Self::cut(rest) else { return None };
            let (frame, after) = rest.split_at_checked(len)?;
            match (found, line::sender(frame)?) {
                (Sender::Unknown, sender) => found = sender,
                (_, Sender::Unknown) => {}
                (known, sender) if known == sender => {}
                _ => return None,
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        Some(found)
    }

    fn decode<'a>(
        session: &'a mut Line,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::of_line(bytes, context.sender)?;
        session.requests = session.requests.wrapping_add(u16::from(view.sender() != Sender::Server));
        view.set_transaction(session.requests);
        if !line::is_right(bytes) {
            view.flag(Oddity::BadChecksum, bytes.len() - 2);
        }
        if bytes.len() > FRAME_MAX {
            view.flag(Oddity::BadValue, FRAME_MAX);
        }
        Some(view)
    }

    fn header(view: &View<'_>) -> Header {
        let header = Modbus::header(view);
        // L §2.1: nobody answers what is said to all.
        Header { key: header.key.filter(|_| view.unit_id() != 0), ..header }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        Modbus::oddities(view)
    }

    fn memo(view: &View<'_>) -> Memo {
        Modbus::memo(view)
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        Modbus::fit(memo, view)
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        Modbus::refusal(view)
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, request: Option<&Memo>) -> Self::Blocks<'a> {
        Modbus::blocks(view, request)
    }

    fn command(write: &Write<'_>, _number: u32, out: &mut Vec<u8>) -> Option<()> {
        // On either carrier a device is asked by the same message.
        let family = if write.family == Self::FAMILY { Modbus::FAMILY } else { Self::FAMILY };
        let write = Write { family, ..*write };
        let message = Repr::write(0, &write).ok()?;
        emit(&message, out);
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("mbrtu.unit_id", Field::Number(u64::from(view.unit_id())));
        fields::body(view, put);
        if let Some((_, check)) = view.as_bytes().split_last_chunk() {
            put("mbrtu.crc16", Field::Hex(u64::from(u16::from_le_bytes(*check)), 4));
        }
    }

    fn function_name(function: u16) -> &'static str {
        Modbus::function_name(function)
    }

    fn cell(tag: &Tag<'_>) -> Cell {
        Modbus::cell(tag)
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        Modbus::parse_tag(text)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Modbus::write_tag(tag, f)
    }
}

const _: () =
    assert!(FRAME_MAX == ADU_MAX - HEADER_LEN + 3, "253 bytes of function and data on either carrier");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::modbus::Body;

    fn sealed(frame: &[u8]) -> Vec<u8> {
        [frame, &crc(frame).to_le_bytes()].concat()
    }

    fn read<'a>(line: &'a mut Line, sender: Sender, bytes: &'a [u8]) -> Option<View<'a>> {
        ModbusRtu::decode(line, Box::leak(Box::new(())), &Context::of(sender), bytes)
    }

    #[test]
    fn checksums_are_those_of_the_guide() {
        // L §6.2.2 counts unit 2, function 7: 0x1241, sent 41 12.
        assert_eq!(crc(&[2, 7]), 0x1241);
        assert_eq!(sealed(&[1, 3, 0, 0, 0, 2]), [1, 3, 0, 0, 0, 2, 0xc4, 0x0b]);
        assert_eq!(crc(b"123456789"), 0x4b37, "the check value of CRC-16/MODBUS");
    }

    #[test]
    fn the_checksum_tells_requests_from_answers() {
        let ask = sealed(&[17, 3, 0, 107, 0, 3]);
        let tell = sealed(&[17, 3, 6, 2, 43, 0, 0, 0, 100]);
        assert_eq!(ModbusRtu::probe(&ask), Some(Sender::Client));
        assert_eq!(ModbusRtu::probe(&tell), Some(Sender::Server));
        assert_eq!(ModbusRtu::probe(&sealed(&[17, 0x83, 2])), Some(Sender::Server));
        assert_eq!(ModbusRtu::probe(&sealed(&[17, 6, 0, 1, 0, 3])), Some(Sender::Unknown));
        for frame in [&ask, &tell] {
            assert_eq!(ModbusRtu::cut(frame), Cut::Message(frame.len()));
            for len in 0..frame.len() {
                assert!(!matches!(ModbusRtu::cut(&frame[..len]), Cut::Message(_)), "{len}");
            }
        }
        assert_eq!(ModbusRtu::cut(&[ask.clone(), tell].concat()), Cut::Message(8));
        let mut spoilt = ask;
        spoilt[5] ^= 1;
        assert_eq!(ModbusRtu::probe(&spoilt), None);
        // A user-defined function, whose length only the checksum tells.
        assert_eq!(ModbusRtu::cut(&sealed(&[1, 100, 9, 9, 9])), Cut::Message(7));
        assert_eq!(ModbusRtu::cut(&[1; FRAME_MAX]), Cut::Foreign);
        // Spoilt, it looks like the beginning of an answer of 105 bytes, until the next one stands behind it.
        let spoilt = [17, 3, 100, 107, 0, 3, 0, 0];
        assert_eq!(ModbusRtu::cut(&spoilt), Cut::More(105));
        assert_eq!(ModbusRtu::cut(&[&spoilt[..], &sealed(&[17, 3, 0, 107, 0, 3])].concat()), Cut::Foreign);
    }

    #[test]
    fn a_serial_frame_is_not_taken_for_a_header() {
        // As a header: transaction 0x0103, two bytes follow, unit 0xc4, function 11.
        let frame = sealed(&[1, 3, 0, 0, 0, 2]);
        assert_eq!(Modbus::cut(&frame), Cut::Message(8));
        assert_eq!(Modbus::probe(&frame), None);
        assert_eq!(ModbusRtu::probe(&frame), Some(Sender::Client));
    }

    #[test]
    fn spoilt_frames_are_flagged_where_they_are() {
        let mut frame = sealed(&[17, 3, 0, 107, 0, 3]);
        frame[7] ^= 0x10;
        let mut line = Line::default();
        let view = read(&mut line, Sender::Client, &frame).unwrap();
        assert_eq!(view.body(), Body::Read { start: 107, quantity: 3 });
        assert_eq!(view.oddities().iter().collect::<Vec<_>>(), [(Oddity::BadChecksum, 6)]);
        let many = sealed(&[17, 3, 0, 107, 0, 200]);
        let view = read(&mut line, Sender::Client, &many).unwrap();
        assert_eq!(view.oddities().iter().collect::<Vec<_>>(), [(Oddity::BadQuantity, 4)]);
        assert_eq!(read(&mut line, Sender::Client, &[1, 3, 0]), None);
    }

    #[test]
    fn legal_messages_read_back() {
        let body = Body::Read { start: 5, quantity: 9 };
        let message = Repr::read(0, 3, 4, 5, 9).unwrap();
        let mut frame = Vec::new();
        emit(&message, &mut frame);
        assert_eq!(ModbusRtu::cut(&frame), Cut::Message(8));
        let mut line = Line::default();
        let view = read(&mut line, Sender::Client, &frame).unwrap();
        assert!(view.oddities().is_empty());
        assert_eq!((view.unit_id(), view.function().0, view.body()), (3, 4, body));
    }

    #[test]
    fn an_answer_belongs_to_the_latest_request() {
        let mut line = Line::default();
        let mut key = |frame: &[u8], sender| {
            let view = read(&mut line, sender, frame).unwrap();
            ModbusRtu::header(&view).key
        };
        let lost = key(&sealed(&[3, 3, 0, 0, 0, 1]), Sender::Client);
        let asked = key(&sealed(&[3, 3, 0, 9, 0, 1]), Sender::Client);
        assert_ne!(lost, asked);
        assert_eq!(key(&sealed(&[3, 3, 2, 0, 7]), Sender::Server), asked);
        assert_eq!(key(&sealed(&[0, 6, 0, 9, 0, 1]), Sender::Client), None, "to all");
    }
}
