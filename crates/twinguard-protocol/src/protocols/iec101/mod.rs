//! IEC 60870-5-101: serial lines, and the same frames carried over TCP by serial servers.
//!
//! Sources: IEC 60870-5-1 (format class FT1.2), IEC 60870-5-2 (link procedures), IEC 60870-5-101:2003 (ASDUs, in
//! [`crate::iec60870`]).
//!
//! There is no port by agreement: frames are recognised by what they hold. [`View`] reads one frame with the address
//! lengths of the plant; a [`Session`] finds these by itself. Tags are
//! `<common address>/<information object address>`, both in decimal: `3/4001`.

use core::fmt;

use twinguard_types::Label;

mod repr;
mod session;
mod view;

pub use repr::{Bytes, FRAME_MAX, Repr};
pub use session::{STATIONS_MAX, Session};
pub use view::{Control, Form, Parameters, SINGLE, START_FIXED, START_VARIABLE, STOP, View};

use crate::iec60870::{self, Blocks, TypeId};
use crate::protocol::{
    Action, Carrier, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag, Write,
};

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Iec101;

/// What is kept of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memo {
    /// Of its ASDU.
    Asdu(iec60870::Memo),
    /// The control field of a frame without one.
    Link(Option<Control>),
}

impl Protocol for Iec101 {
    const FAMILY: Label = Label::literal("iec101");
    const CARRIERS: &'static [Carrier] = &[];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = Session;
    type Shared = ();
    type Blocks<'a> = Blocks<'a>;

    fn cut(bytes: &[u8]) -> Cut {
        view::cut(bytes)
    }

    /// Only frames with a legal ASDU are beyond doubt; shorter ones beside them do not matter.
    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found, mut sure) = (bytes, Sender::Unknown, false);
        for _ in 0..8 {
            let Cut::Message(len) = Self::cut(rest) else { return None };
            let (frame, after) = rest.split_at_checked(len)?;
            let fitting = session::legal_under(frame);
            let parameters = Parameters::ALL.get(fitting.trailing_zeros() as usize)?;
            let view = View::new(frame, *parameters, Default::default())?;
            sure |= view.asdu().is_some();
            match (found, view.shape()?) {
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
        sure.then_some(found)
    }

    fn decode<'a>(
        session: &'a mut Session,
        _shared: &'a mut (),
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        session.read(bytes, context.at)
    }

    fn header(view: &View<'_>) -> Header {
        match view.asdu() {
            Some(asdu) => Header {
                kind: asdu.kind(),
                unit: asdu.common_address(),
                function: u16::from(asdu.type_id().0),
                key: iec60870::pairing_key(asdu),
            },
            None => Header {
                kind: Kind::Control,
                unit: view.address().unwrap_or_default(),
                function: view.control().map_or(0, |control| u16::from(control.function())),
                key: None,
            },
        }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        match view.asdu() {
            Some(asdu) => Memo::Asdu(iec60870::Memo::of(asdu)),
            None => Memo::Link(view.control()),
        }
    }

    fn fit(memo: &Memo, view: &View<'_>) -> Fit {
        match (memo, view.asdu()) {
            (Memo::Asdu(memo), Some(asdu)) => memo.fit(asdu),
            _ => Fit::No,
        }
    }

    /// The cause of a negative confirmation.
    fn refusal(view: &View<'_>) -> Option<u8> {
        view.asdu()?.refusal()
    }

    fn action(memo: &Memo) -> Option<Action> {
        match memo {
            Memo::Asdu(memo) => memo.action(),
            // IEC 60870-5-2 table 1: function 1 resets the user process.
            Memo::Link(Some(control)) if control.is_primary() && control.function() == 1 => {
                Some(Action::Restart)
            }
            Memo::Link(_) => None,
        }
    }

    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        view.asdu().map(|asdu| asdu.blocks()).unwrap_or_default()
    }

    /// The command with [`Parameters::SMALL`] to the link address that is the common address; its number gives the
    /// frame count bit.
    fn command(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        let parameters = Parameters::SMALL;
        let asdu = iec60870::command(write, parameters.layout).filter(|_| write.family == Self::FAMILY)?;
        // User data with confirmation, from the primary station.
        let control = Control(0x53 | (number as u8 & 1) << 5);
        let frame = Repr::variable(parameters, control, u16::try_from(write.tag.space).ok()?, asdu).ok()?;
        out.extend_from_slice(frame.emit().as_bytes());
        Some(())
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let number = |value: u16| Field::Number(u64::from(value));
        let bit = |state: bool| Field::Number(u64::from(state));
        put("iec60870_101.header", Field::Hex(view.as_bytes().first().map_or(0, |byte| u64::from(*byte)), 2));
        if view.form() == Form::Variable {
            put("iec60870_101.length", number(view.as_bytes().len().saturating_sub(6) as u16));
        }
        if let Some(control) = view.control() {
            put("iec60870_101.ctrl_prm", bit(control.is_primary()));
            if control.is_primary() {
                put("iec60870_101.ctrl_fcb", bit(control.frame_count()));
                put("iec60870_101.ctrl_fcv", bit(control.frame_count_valid()));
                put("iec60870_101.ctrl_func_pri_to_sec", number(u16::from(control.function())));
            } else {
                put("iec60870_101.ctrl_dfc", bit(control.data_flow_control()));
                put("iec60870_101.ctrl_func_sec_to_pri", number(u16::from(control.function())));
            }
        }
        if let Some(address) = view.address() {
            put("iec60870_101.linkaddr", number(address));
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
    use crate::protocol::{Access, Change};
    use twinguard_types::{Encoding, Endpoint, Timestamp, Value};

    #[test]
    fn commands_reach_the_line_and_are_read_back() {
        let tag = Iec101::parse_tag("3/4001").unwrap();
        let change = Change::Scalar { value: Value::Boolean(true), encoding: Encoding::Bit(0) };
        let write = Write { family: Iec101::FAMILY, endpoint: Endpoint::Any, tag, change };
        let mut out = Vec::new();
        Iec101::command(&write, 1, &mut out).unwrap();
        assert_eq!(out, [0x68, 9, 9, 0x68, 0x73, 3, 45, 1, 6, 3, 0xa1, 0x0f, 1, 0x5e, 0x16]);
        let view = View::new(&out, Parameters::SMALL, Timestamp::ZERO).unwrap();
        let block = Iec101::blocks(&view, None).next().unwrap();
        assert_eq!((block.tag, block.access), (tag, Access::Write));
        assert_eq!(Iec101::probe(&out), Some(Sender::Client));
    }

    #[test]
    fn only_frames_with_legal_asdus_are_recognised() {
        let data = [0x68, 9, 9, 0x68, 0x08, 1, 1, 1, 3, 1, 0, 1, 1, 0x11, 0x16];
        assert_eq!(Iec101::probe(&data), Some(Sender::Server));
        assert_eq!(Iec101::probe(&[&[0xe5][..], &data].concat()), Some(Sender::Server));
        assert_eq!(Iec101::probe(&[0xe5]), None);
        assert_eq!(Iec101::probe(&[0x10, 0x40, 1, 0x41, 0x16]), None, "too short to be sure");
        let mut spoilt = data;
        spoilt[13] = 0;
        assert_eq!(Iec101::probe(&spoilt), None);
        // An answer of a meter on the M-Bus (EN 13757-3) has the same frame.
        let meter = [0x68, 0x0a, 0x0a, 0x68, 0x08, 1, 0x72, 0x78, 0x56, 0x34, 0x12, 0x77, 4, 7, 0x11, 0x16];
        assert_eq!(Iec101::probe(&meter), None);
    }

    #[test]
    fn a_reset_of_the_process_is_a_restart() {
        let frame = Repr::fixed(Parameters::SMALL, Control(0x41), 1).unwrap().emit();
        let view = View::new(frame.as_bytes(), Parameters::SMALL, Timestamp::ZERO).unwrap();
        assert_eq!(Iec101::action(&Iec101::memo(&view)), Some(Action::Restart));
    }
}
