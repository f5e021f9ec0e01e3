//! Beckhoff's search for devices and their routes: AMS over UDP. Headers and names are read, there are no values.
//!
//! Source: Beckhoff/ADS, the maker's library under the MIT licence (`AdsLib/AdsLib.cpp`, `AdsLib/RouterAccess.cpp`: services
//! and tags); all numbers are little-endian. A datagram is a cookie, an invoke id, a service, the sender's AMS address, a
//! number of entries, and each entry a tag, a length and its bytes.
//!
//! A route lets a stranger's ADS in: adding one is told as `configure`. Its password lies open on the wire and is never
//! shown.

use twinguard_types::{Label, Oddity};

use crate::bytes::{chunk, le16, le32};
use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The registered port.
pub const PORT: u16 = 48899;
/// Bytes up to the entries.
pub const HEADER_LEN: usize = 24;
/// The first four bytes.
const COOKIE: [u8; 4] = [0x03, 0x66, 0x14, 0x71];
/// Entries of one datagram that are looked at; devices send eight or so.
const ENTRIES_MAX: usize = 64;

/// Services.
const IDENTIFY: u16 = 1;
const ADD_ROUTE: u16 = 6;
const DELETE_ROUTE: u16 = 0xb001;

/// Tags of entries.
const RESULT: u16 = 1;
const PASSWORD: u16 = 2;
const VERSION: u16 = 3;
const COMPUTER: u16 = 5;
const NET_ID: u16 = 7;
const ROUTE: u16 = 12;
const USER: u16 = 13;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct AmsUdp;

outlined!(AmsUdp);

impl Outlined for AmsUdp {
    const FAMILY: Label = Label::literal("ams_udp");
    const CARRIERS: &'static [Carrier] = &[Carrier::Udp(PORT)];

    /// A datagram is one message.
    fn frame(bytes: &[u8]) -> Cut {
        match chunk::<4>(bytes, 0) {
            Some(&COOKIE) if bytes.len() < HEADER_LEN => Cut::More(HEADER_LEN),
            Some(&COOKIE) => Cut::Message(bytes.len()),
            None if COOKIE.starts_with(bytes) => Cut::More(HEADER_LEN),
            _ => Cut::Foreign,
        }
    }

    fn read(bytes: &[u8], _known: Sender) -> Option<Outline<'_>> {
        let mut oddities = Oddities::NONE;
        if !bytes.starts_with(&COOKIE) {
            oddities.push(Oddity::BadProtocolId, 0);
        }
        let (invoke, number) = (le32(bytes, 4)?, le32(bytes, 8)?);
        let service = number as u16;
        let defined = matches!(service, IDENTIFY | ADD_ROUTE | DELETE_ROUTE) && number & 0x7fff_0000 == 0;
        if !defined {
            oddities.push(Oddity::UnknownFunction, 8);
        }
        let answers = number & 0x8000_0000 != 0;
        let mut refused = false;
        let (mut count, mut end) = (0, HEADER_LEN);
        for (tag, value) in entries(bytes) {
            count += 1;
            end += 4 + value.len();
            refused |= answers && tag == RESULT && le32(value, 0).is_some_and(|result| result != 0);
        }
        let told = le32(bytes, 20)?;
        if told as usize != count {
            let short = if end < bytes.len() { Oddity::Truncated } else { Oddity::BadQuantity };
            oddities.push(short, 20);
        } else if end < bytes.len() {
            oddities.push(Oddity::TrailingBytes, end);
        }
        let (kind, sender) = match (answers, refused) {
            (false, _) => (Kind::Request, Sender::Client),
            (true, false) => (Kind::Response, Sender::Server),
            (true, true) => (Kind::Exception, Sender::Server),
        };
        // A search is sent to all, and who answers is somebody else.
        let key = (service != IDENTIFY).then_some(u64::from(invoke) << 16 | u64::from(service));
        let action = match service {
            IDENTIFY => Some(Action::Browse),
            ADD_ROUTE | DELETE_ROUTE => Some(Action::Configure),
            _ => None,
        };
        let header = Header { kind, unit: 0, function: service, key };
        let action = action.filter(|_| !answers);
        Some(Outline { bytes, header, sender, action, certain: defined, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let bytes = outline.bytes;
        put("ams_udp.invokeid", Field::Hex(u64::from(le32(bytes, 4).unwrap_or_default()), 8));
        put("ams_udp.service", Field::Hex(u64::from(le32(bytes, 8).unwrap_or_default()), 8));
        if let Some(net) = chunk::<6>(bytes, 12) {
            put("ams_udp.netid", Field::Text(net_id(net).as_bytes()));
        }
        put("ams_udp.port", Field::Number(u64::from(le16(bytes, 18).unwrap_or_default())));
        for (tag, value) in entries(bytes) {
            let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
            match (tag, value.first_chunk::<6>()) {
                (RESULT, _) => {
                    put("ams_udp.result", Field::Hex(u64::from(le32(value, 0).unwrap_or_default()), 8));
                }
                (VERSION, _) => put("ams_udp.version", Field::Bytes(value)),
                (COMPUTER, _) => put("ams_udp.computer", Field::Text(text)),
                (NET_ID, Some(net)) => put("ams_udp.route_netid", Field::Text(net_id(net).as_bytes())),
                (ROUTE, _) => put("ams_udp.route", Field::Text(text)),
                (USER, _) => put("ams_udp.user", Field::Text(text)),
                (PASSWORD, _) => put("ams_udp.password_length", Field::Number(text.len() as u64)),
                _ => {}
            }
        }
    }

    fn name(function: u16) -> &'static str {
        match function {
            IDENTIFY => "identify",
            ADD_ROUTE => "add route",
            DELETE_ROUTE => "delete route",
            _ => "undefined",
        }
    }
}

/// Tags and values, as many as are whole.
fn entries(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    core::iter::from_fn(move || {
        let (tag, len) = (le16(rest, 0)?, le16(rest, 2)?);
        let (value, after) = rest.get(4..)?.split_at_checked(usize::from(len))?;
        rest = after;
        Some((tag, value))
    })
    .take(ENTRIES_MAX)
}

fn net_id([a, b, c, d, e, f]: &[u8; 6]) -> String {
    format!("{a}.{b}.{c}.{d}.{e}.{f}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    fn message(service: u32, entries: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = [&COOKIE[..], &[7, 0, 0, 0], &service.to_le_bytes()].concat();
        bytes.extend_from_slice(&[10, 0, 0, 9, 1, 1, 0x10, 0x27]);
        bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    fn shown(bytes: &[u8]) -> Vec<String> {
        let mut shown = Vec::new();
        let outline = AmsUdp::read(bytes, Sender::Unknown).unwrap();
        AmsUdp::list(&outline, &mut |name, field| shown.push(format!("{name}={field}")));
        shown
    }

    #[test]
    fn a_search_and_its_answer() {
        let ask = message(1, &[]);
        assert_eq!((ask.len(), AmsUdp::probe(&ask)), (HEADER_LEN, Some(Sender::Client)));
        let tell = message(0x8000_0001, &[(5, b"CX-1\0"), (3, &[3, 1, 0xb8, 0x0f])]);
        assert_eq!(AmsUdp::probe(&tell), Some(Sender::Server));
        let shown = shown(&tell);
        assert!(shown.contains(&"ams_udp.netid=10.0.0.9.1.1".to_owned()), "{shown:?}");
        assert!(shown.contains(&"ams_udp.computer=CX-1".to_owned()), "{shown:?}");
        let outline = AmsUdp::read(&ask, Sender::Unknown).unwrap();
        assert_eq!((outline.action, outline.header.key), (Some(Action::Browse), None));
    }

    #[test]
    fn a_route_is_a_change_and_its_password_is_not_shown() {
        let route: &[(u16, &[u8])] = &[
            (7, &[10, 0, 0, 5, 1, 1]),
            (13, b"admin\0"),
            (2, b"secret\0"),
            (5, b"10.0.0.5\0"),
            (12, b"pc\0"),
        ];
        let ask = message(6, route);
        let outline = AmsUdp::read(&ask, Sender::Unknown).unwrap();
        assert!(outline.oddities.is_empty());
        assert_eq!((outline.header.kind, outline.action), (Kind::Request, Some(Action::Configure)));
        let shown = shown(&ask).join(" ");
        assert!(shown.contains("route_netid=10.0.0.5.1.1") && shown.contains("user=admin"), "{shown}");
        assert!(shown.contains("password_length=6") && !shown.contains("secret"), "{shown}");
        for (result, kind) in [(0u32, Kind::Response), (0x704, Kind::Exception)] {
            let tell = message(0x8000_0006, &[(1, &result.to_le_bytes())]);
            let answer = AmsUdp::read(&tell, Sender::Unknown).unwrap();
            assert_eq!((answer.header.kind, answer.header.key), (kind, outline.header.key));
            assert_eq!(answer.action, None);
        }
    }

    #[test]
    fn what_is_odd_is_flagged() {
        let odd = |bytes: &[u8]| -> Vec<_> {
            AmsUdp::read(bytes, Sender::Unknown).unwrap().oddities.iter().map(|(odd, _)| odd).collect()
        };
        let whole = message(0x8000_0001, &[(5, b"CX-1\0")]);
        assert_eq!(odd(&whole), []);
        assert_eq!(odd(&whole[..whole.len() - 1]), [Oddity::Truncated]);
        assert_eq!(odd(&[&whole[..], &[0]].concat()), [Oddity::TrailingBytes]);
        let mut many = whole.clone();
        many[20] = 9;
        assert_eq!(odd(&many), [Oddity::BadQuantity]);
        assert_eq!(odd(&message(77, &[])), [Oddity::UnknownFunction]);
        for len in 0..HEADER_LEN {
            assert_eq!(AmsUdp::cut(&whole[..len]), Cut::More(HEADER_LEN), "{len}");
            assert!(AmsUdp::read(&whole[..len], Sender::Unknown).is_none());
        }
        assert_eq!(AmsUdp::cut(b"\x03\x66\x14\x72"), Cut::Foreign);
    }
}
