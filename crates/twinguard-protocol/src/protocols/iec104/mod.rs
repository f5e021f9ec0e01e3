//! IEC 60870-5-104.
//!
//! Sources: IEC 60870-5-104:2006 (control information, clauses §…) over the ASDUs of IEC 60870-5-101
//! ([`crate::iec60870`]).
//!
//! [`View`] shows any bytes and flags what is odd, [`Repr`] holds legal messages alone and writes them; [`Session`]
//! follows sequence numbers, data transfer and activations. Tags are
//! `<common address>/<information object address>`, both in decimal: `41/50003`.

use core::fmt;

use twinguard_types::Label;

mod repr;
mod session;
mod view;

pub use repr::{APDU_MAX, Apdu, Repr};
pub use session::{ACTIVATIONS_MAX, Session};
pub use view::{Format, HEADER_LEN, LENGTHS, START, Unnumbered, View};

use crate::iec60870::{self, Blocks, Layout, TypeId};
use crate::protocol::{
    Action, Carrier, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag, Write,
};

/// The registered port (§7.1).
pub const PORT: u16 = 2404;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Iec104;

/// What is kept of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memo {
    /// Of its ASDU.
    Asdu(iec60870::Memo),
    /// The function bits of a message without one; 0 for an acknowledgement.
    Control(u8),
}

impl Protocol for Iec104 {
    const FAMILY: Label = Label::literal("iec104");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT)];
    const MARKED: bool = true;

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        match bytes {
            [START, length, ..] if LENGTHS.contains(length) => {
                let total = usize::from(*length) + 2;
                if bytes.len() < total { Cut::More(total) } else { Cut::Message(total) }
            }
            [] | [START] => Cut::More(HEADER_LEN),
            _ => Cut::Foreign,
        }
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let mut rest = bytes;
        let mut found = Sender::Unknown;
        for _ in 0..8 {
            let Cut::Message(len) = Self::cut(rest) else { return None };
            let (apdu, after) = rest.split_at_checked(len)?;
            match (found, View::new(apdu, Default::default())?.shape()?) {
                (Sender::Unknown, sender) => found = sender,
                (_, Sender::Unknown) => {}
                (known, sender) if known == sender => {}
                _ => return None,
            }
            rest = after;
            if rest.is_empty() {
                return Some(found);
            }
        }
        Some(found)
    }

    #[inline]
    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::new(bytes, context.at)?;
        session.note(context.sender, &mut view);
        Some(view)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let control = |function| Header { kind: Kind::Control, unit: 0, function, key: None };
        match (view.asdu(), view.format()) {
            (Some(asdu), _) => Header {
                kind: asdu.kind(),
                unit: asdu.common_address(),
                function: u16::from(asdu.type_id().0),
                key: iec60870::pairing_key(asdu),
            },
            (None, Format::Unnumbered(bits)) => control(u16::from(bits)),
            (None, Format::Supervisory { .. }) => control(1),
            (None, Format::Information { .. }) => control(0),
        }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    #[inline]
    fn memo(view: &View<'_>) -> Memo {
        match (view.asdu(), view.format()) {
            (Some(asdu), _) => Memo::Asdu(iec60870::Memo::of(asdu)),
            (None, Format::Unnumbered(bits)) => Memo::Control(bits),
            (None, _) => Memo::Control(0),
        }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        match (memo, view.asdu()) {
            (Memo::Asdu(memo), Some(asdu)) => memo.fit(asdu),
            _ => Fit::No,
        }
    }

    /// The cause of a negative confirmation.
    #[inline]
    fn refusal(view: &View<'_>) -> Option<u8> {
        view.asdu()?.refusal()
    }

    #[inline]
    fn action(memo: &Memo) -> Option<Action> {
        match memo {
            Memo::Asdu(memo) => memo.action(),
            Memo::Control(0x01) => Some(Action::Connect),
            Memo::Control(0x04) => Some(Action::Disconnect),
            Memo::Control(_) => None,
        }
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        view.asdu().map(|asdu| asdu.blocks()).unwrap_or_default()
    }

    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let asdu = iec60870::command(write, Layout::NET).filter(|_| write.family == Self::FAMILY)?;
        let message = Repr::information(number as u16 & 0x7fff, 0, asdu).ok()?;
        out.extend_from_slice(message.emit().as_bytes());
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u16| Field::Number(u64::from(value));
        let (kind, send, receive) = match view.format() {
            Format::Information { send, receive } => (0, Some(send), Some(receive)),
            Format::Supervisory { receive } => (1, None, Some(receive)),
            Format::Unnumbered(_) => (3, None, None),
        };
        put("iec60870_asdu.start", Field::Hex(u64::from(START), 2));
        put("iec60870_104.apdulen", number(view.as_bytes().len().saturating_sub(2) as u16));
        put("iec60870_104.type", Field::Hex(kind, 8));
        if let Format::Unnumbered(bits) = view.format() {
            put("iec60870_104.utype", Field::Hex(u64::from(bits), 8));
        }
        if let Some(send) = send {
            put("iec60870_104.tx", number(send));
        }
        if let Some(receive) = receive {
            put("iec60870_104.rx", number(receive));
        }
        if let Some(asdu) = view.asdu() {
            asdu.fields(put);
        }
    }

    fn function_name(function: u16) -> &'static str {
        u8::try_from(function).map_or("undefined", |code| TypeId(code).name())
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        iec60870::parse_tag(text)
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        iec60870::write_tag(tag, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Access, Block, Change, Data, Scalar};
    use proptest::prelude::*;
    use twinguard_types::{Encoding, Endpoint, Timestamp, Value};

    const START_ACT: &[u8] = &[0x68, 4, 7, 0, 0, 0];
    const SPONTANEOUS: &[u8] = &[0x68, 14, 0, 0, 0, 0, 1, 1, 3, 0, 1, 0, 1, 0, 0, 1];
    const COMMAND: &[u8] = &[0x68, 14, 0, 0, 0, 0, 45, 1, 6, 0, 1, 0, 1, 0, 0, 1];

    fn view(bytes: &[u8]) -> View<'_> {
        View::new(bytes, Timestamp::ZERO).unwrap()
    }

    #[test]
    fn streams_are_cut_by_the_length_field() {
        for len in 0..COMMAND.len() {
            assert!(matches!(Iec104::cut(&COMMAND[..len]), Cut::More(more) if more > len), "{len}");
        }
        assert_eq!(Iec104::cut(COMMAND), Cut::Message(16));
        assert_eq!(Iec104::cut(&[0x68, 3, 0]), Cut::Foreign);
        assert_eq!(Iec104::cut(&[0x68, 254, 0]), Cut::Foreign);
        assert_eq!(Iec104::cut(b"GET"), Cut::Foreign);
    }

    #[test]
    fn only_whole_legal_messages_are_recognised() {
        assert_eq!(Iec104::probe(START_ACT), Some(Sender::Client));
        assert_eq!(Iec104::probe(SPONTANEOUS), Some(Sender::Server));
        assert_eq!(Iec104::probe(&[START_ACT, COMMAND].concat()), Some(Sender::Client));
        assert_eq!(Iec104::probe(&[SPONTANEOUS, COMMAND].concat()), None);
        assert_eq!(Iec104::probe(&[0x68, 4, 1, 0, 2, 0]), Some(Sender::Unknown));
        assert_eq!(Iec104::probe(&COMMAND[..15]), None);
        assert_eq!(Iec104::probe(&[0x68; 106]), None);
    }

    #[test]
    fn confirmations_fit_their_activations() {
        let memo = Iec104::memo(&view(COMMAND));
        let answer = |cause: u8, common: u8, sco: u8| {
            let mut bytes = COMMAND.to_vec();
            (bytes[8], bytes[10], bytes[15]) = (cause, common, sco);
            let view = view(&bytes);
            (Iec104::header(&view).key == Iec104::header(&self::view(COMMAND)).key, Iec104::fit(&memo, &view))
        };
        assert_eq!(answer(7, 1, 1), (true, Fit::Exact));
        assert_eq!(answer(0x47, 1, 1), (true, Fit::Exact));
        assert_eq!(answer(7, 1, 0x81), (true, Fit::Loose), "it selected only");
        assert_eq!(answer(7, 2, 1), (false, Fit::No));
        assert!(!answer(10, 1, 1).0, "the end was announced by the confirmation");
        assert_eq!(answer(46, 1, 1), (true, Fit::Exact));
        assert_eq!(
            Iec104::refusal(&view(&[0x68, 14, 0, 0, 0, 0, 45, 1, 0x47, 0, 1, 0, 1, 0, 0, 1])),
            Some(7)
        );
    }

    #[test]
    fn system_commands_are_actions() {
        let action = |type_id: u8, cause: u8, element: &[u8]| {
            let asdu = [&[type_id, 1, cause, 0, 1, 0, 0, 0, 0], element].concat();
            let bytes = [&[0x68, asdu.len() as u8 + 4, 0, 0, 0, 0], &asdu[..]].concat();
            Iec104::action(&Iec104::memo(&view(&bytes)))
        };
        assert_eq!(action(100, 6, &[20]), Some(Action::Browse));
        assert_eq!(action(101, 6, &[5]), Some(Action::Browse));
        assert_eq!(action(101, 6, &[0x45]), Some(Action::Configure), "freezes");
        assert_eq!(action(103, 6, &[0, 0, 0, 0, 1, 1, 20]), Some(Action::SetTime));
        assert_eq!(action(105, 6, &[1]), Some(Action::Restart));
        assert_eq!(action(105, 10, &[1]), None);
        assert_eq!(action(110, 6, &[0, 0, 1]), Some(Action::Configure));
        assert_eq!(action(122, 13, &[1, 0, 0, 4]), Some(Action::Delete));
        assert_eq!(action(122, 13, &[1, 0, 0, 2]), Some(Action::Upload));
        assert_eq!(action(45, 6, &[1]), None);
        assert_eq!(Iec104::action(&Iec104::memo(&view(START_ACT))), Some(Action::Connect));
    }

    #[test]
    fn commands_are_written_as_their_encoding_says() {
        let check = |encoding, value, expect: Option<(u16, Scalar<'_>)>| {
            let (tag, change) = (Iec104::parse_tag("41/50000").unwrap(), Change::Scalar { value, encoding });
            let write = Write { family: Iec104::FAMILY, endpoint: Endpoint::Any, tag, change };
            let mut out = Vec::new();
            assert_eq!(
                Iec104::command(&write, 7, &mut out).is_some(),
                expect.is_some(),
                "{encoding:?} {value:?}"
            );
            let Some((function, value)) = expect else { return assert!(out.is_empty()) };
            let view = view(&out);
            assert!(view.oddities().is_empty());
            assert_eq!(
                (view.format(), Iec104::header(&view).function),
                (Format::Information { send: 7, receive: 0 }, function)
            );
            let block: Vec<Block<'_>> = Iec104::blocks(&view, None).collect();
            let [
                Block {
                    tag: found, access: Access::Write, data: Data::Scalar { value: written, .. }, ..
                },
            ] = block[..]
            else {
                panic!("{block:?}")
            };
            assert_eq!((found, written), (tag, value));
        };
        let real = |number| Value::real(number).unwrap();
        check(Encoding::Bit(0), Value::Boolean(true), Some((45, Scalar::Boolean(true))));
        check(Encoding::Native, Value::Boolean(false), Some((45, Scalar::Boolean(false))));
        check(Encoding::U8, Value::Integer(2), Some((46, Scalar::Unsigned(2))));
        check(Encoding::I8, Value::Integer(1), Some((47, Scalar::Unsigned(1))));
        check(Encoding::I16, Value::Integer(-5), Some((49, Scalar::Signed(-5))));
        check(Encoding::F32, real(21.5), Some((50, Scalar::Float(21.5))));
        check(Encoding::Native, real(-0.5), Some((50, Scalar::Float(-0.5))));
        check(Encoding::U32, Value::Integer(7), Some((51, Scalar::Unsigned(7))));
        check(Encoding::U8, Value::Integer(0), None);
        check(Encoding::I16, Value::Integer(40_000), None);
        check(Encoding::Bit(1), Value::Integer(1), None);
        check(Encoding::F64, real(1.0), None);
    }

    proptest! {
        #[test]
        fn tags_are_read_as_they_were_written(common in any::<u16>(), object in 0..0x100_0000u32) {
            let tag = iec60870::tag(common, object);
            let text = fmt::from_fn(|f| Iec104::write_tag(&tag, f)).to_string();
            prop_assert_eq!(Iec104::parse_tag(&text), Some(tag));
        }
    }
}
