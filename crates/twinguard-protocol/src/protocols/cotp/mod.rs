//! ISO transport on TCP: TPKT and COTP class 0, alone or below S7comm and MMS.
//!
//! Sources: RFC 1006 (ISO transport on TCP); ITU-T X.224 (1995) = ISO 8073 (clauses §…).
//!
//! The family is for connections whose data nobody here reads: who connects to which transport selector, how much is
//! said. A connection becomes one of a family above with its first message that this one's probe claims. Families above
//! use [`cut`], [`data`] and [`Assembly`]. It has no values, so no tags.

use core::fmt;

use twinguard_types::Label;

mod assembly;
mod tpdu;

pub use assembly::{Assembly, MESSAGE_MAX, Whole};
pub use tpdu::{CALLED, CALLING, DATA, PORT, Parameters, Repr, SIZE, TPKT_LEN, Tpdu, View, cut, data};

use crate::protocol::{
    Action, Block, Carrier, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol, Sender, Tag,
};

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Cotp;

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    code: u8,
}

impl Protocol for Cotp {
    const FAMILY: Label = Label::literal("cotp");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT)];
    const HANDS_OVER: bool = true;

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = ();
    type Shared = ();
    type Blocks<'a> = core::iter::Empty<Block<'a>>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        let (mut rest, mut found) = (bytes, Sender::Unknown);
        for _ in 0..8 {
            let Cut::Message(len) = cut(rest) else { return None };
            let (tpkt, after) = rest.split_at_checked(len)?;
            let view = View::new(tpkt).filter(|view| view.oddities().is_empty())?;
            match view.tpdu() {
                Tpdu::Connect { confirm: true, .. } => found = Sender::Server,
                Tpdu::Connect { destination: 0, .. } => found = Sender::Client,
                Tpdu::Data { .. } | Tpdu::Disconnect { .. } => {}
                _ => return None,
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        Some(found)
    }

    #[inline]
    fn decode<'a>(_: &'a mut (), _: &'a mut (), _: &Context, bytes: &'a [u8]) -> Option<View<'a>> {
        View::new(bytes)
    }

    fn header(view: &View<'_>) -> Header {
        // §6.5, §6.6: a confirm, or a refusal, goes to the reference of the request.
        let (kind, key) = match view.tpdu() {
            Tpdu::Connect { confirm: false, source, .. } => (Kind::Request, Some(u64::from(source))),
            Tpdu::Connect { destination, .. } => (Kind::Response, Some(u64::from(destination))),
            Tpdu::Disconnect { destination, source: 0, .. } => {
                (Kind::Exception, Some(u64::from(destination)))
            }
            _ => (Kind::Control, None),
        };
        Header { kind, unit: 0, function: u16::from(view.code() >> 4), key }
    }

    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(view: &View<'_>) -> Memo {
        Memo { code: view.code() >> 4 }
    }

    fn fit(_: &Memo, _: &View<'_>) -> Fit {
        Fit::Exact
    }

    fn refusal(view: &View<'_>) -> Option<u8> {
        match view.tpdu() {
            Tpdu::Disconnect { reason, .. } => Some(reason),
            _ => None,
        }
    }

    fn action(memo: &Memo) -> Option<Action> {
        match memo.code {
            0xe => Some(Action::Connect),
            0x8 => Some(Action::Disconnect),
            _ => None,
        }
    }

    fn blocks<'a>(_: &Self::Pdu<'a>, _: Option<&Memo>) -> Self::Blocks<'a> {
        core::iter::empty()
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let word = |value: u16| Field::Hex(u64::from(value), 4);
        put("tpkt.length", Field::Number(view.as_bytes().len() as u64));
        put("cotp.li", Field::Number(u64::from(view.indicator())));
        put("cotp.type", Field::Hex(u64::from(view.code() >> 4), 2));
        match view.tpdu() {
            Tpdu::Connect { destination, source, class, parameters, .. } => {
                put("cotp.destref", word(destination));
                put("cotp.srcref", word(source));
                put("cotp.class", Field::Number(u64::from(class >> 4)));
                for (code, value) in parameters.iter() {
                    let number = value.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
                    match code {
                        SIZE => put("cotp.tpdu_size", Field::Number(1 << number.min(63))),
                        CALLING => put("cotp.src-tsap-bytes", Field::Bytes(value)),
                        CALLED => put("cotp.dst-tsap-bytes", Field::Bytes(value)),
                        _ => put("cotp.parameter_code", Field::Hex(u64::from(code), 2)),
                    }
                }
            }
            Tpdu::Disconnect { destination, source, reason, .. } => {
                put("cotp.destref", word(destination));
                put("cotp.srcref", word(source));
                put("cotp.cause", Field::Number(u64::from(reason)));
            }
            Tpdu::Data { last, number, data } => {
                put("cotp.tpdu-number", Field::Hex(u64::from(number), 2));
                put("cotp.eot", Field::Number(u64::from(last)));
                put("cotp.segment_data_len", Field::Number(data.len() as u64));
            }
            Tpdu::Error { destination, cause, .. } => {
                put("cotp.destref", word(destination));
                put("cotp.reject_cause", Field::Number(u64::from(cause)));
            }
            Tpdu::Other { .. } => {}
        }
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            0x1 => "expedited data",
            0x2 => "expedited data acknowledgement",
            0x5 => "reject",
            0x6 => "data acknowledgement",
            0x7 => "error",
            0x8 => "disconnect request",
            0xc => "disconnect confirm",
            0xd => "connection confirm",
            0xe => "connection request",
            0xf => "data",
            _ => "undefined",
        }
    }

    fn parse_tag(_: &str) -> Option<Tag<'_>> {
        None
    }

    fn write_tag(_: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_recognised_with_their_ends() {
        let ask = Repr::Connect { confirms: None, source: 7, calling: b"a", called: b"b", power: 10 };
        let tell = Repr::Connect { confirms: Some(7), source: 9, calling: b"a", called: b"b", power: 10 };
        let check = |repr: Repr<'_>, sender, kind| {
            let mut bytes = Vec::new();
            repr.emit(&mut bytes).unwrap();
            assert_eq!(Cotp::probe(&bytes), Some(sender));
            assert_eq!(Cotp::probe(&bytes[..bytes.len() - 1]), None);
            let (mut session, mut shared) = ((), ());
            let view = Cotp::decode(&mut session, &mut shared, &Context::of(sender), &bytes).unwrap();
            let header = Cotp::header(&view);
            assert_eq!(header.kind, kind);
            (header.key, Cotp::action(&Cotp::memo(&view)))
        };
        assert_eq!(check(ask, Sender::Client, Kind::Request), (Some(7), Some(Action::Connect)));
        assert_eq!(check(tell, Sender::Server, Kind::Response), (Some(7), None));
        let refusal = Repr::Disconnect { destination: 7, source: 0, reason: 3 };
        assert_eq!(check(refusal, Sender::Unknown, Kind::Exception).0, Some(7));
        assert_eq!(check(Repr::Data { last: false, data: b"x" }, Sender::Unknown, Kind::Control).0, None);
        assert_eq!(Cotp::probe(b"\x03\0\0\x07\x02\x60\0"), None);
    }

    #[test]
    fn streams_are_cut_by_the_length_field() {
        assert_eq!(Cotp::cut(&[3, 0, 0, 7, 2, 0xf0, 0x80, 3]), Cut::Message(7));
        assert_eq!(Cotp::cut(&[3, 0, 0, 9]), Cut::More(9));
        assert_eq!(Cotp::cut(&[3, 0]), Cut::More(7));
        assert_eq!(Cotp::cut(&[3, 0, 0, 6]), Cut::Foreign);
        assert_eq!(Cotp::cut(b"GET"), Cut::Foreign);
    }
}
