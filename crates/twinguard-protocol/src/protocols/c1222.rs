//! ANSI C12.22 of electricity, gas and water meters. Recognised; contents are not read.
//!
//! Source: IEEE Std 1703-2012 = ANSI C12.22 §5.3 (ACSE and EPSEM), Annex J (ASN.1), §5.3.2.4 (service codes).

use twinguard_types::{Label, Oddity};

use crate::outline::{Outline, Outlined, outlined};
use crate::protocol::{Action, Carrier, Cut, Field, Header, Kind, Oddities, Sender};

/// The registered port.
pub const PORT: u16 = 1153;
/// Longest message that is still followed in a stream.
const STREAM_MAX: usize = 1 << 16;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct C1222;

outlined!(C1222);

/// The tag, the content and the rest of the first element (X.690 §8.1; tags of one byte, definite lengths of up to three).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (len, rest) = match rest {
        [len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [0x81, l0, rest @ ..] => (usize::from(*l0), rest),
        [0x82, l1, l0, rest @ ..] => (usize::from(u16::from_be_bytes([*l1, *l0])), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

/// What the header says.
#[derive(Clone, Copy, Debug, Default)]
struct Heading<'a> {
    called: &'a [u8],
    calling: &'a [u8],
    called_invocation: Option<u32>,
    calling_invocation: Option<u32>,
    service: Option<u8>,
    sealed: bool,
    whole: bool,
}

/// A whole number in an element of its own.
fn number(content: &[u8]) -> Option<u32> {
    let (2, bytes, _) = element(content)? else { return None };
    bytes.iter().try_fold(0u32, |sum, byte| Some(sum.checked_mul(256)? | u32::from(*byte)))
}

fn heading(bytes: &[u8]) -> Option<Heading<'_>> {
    let (0x60, mut rest, []) = element(bytes)? else { return None };
    let mut heading = Heading { whole: true, ..Heading::default() };
    while !rest.is_empty() {
        let Some((tag, content, after)) = element(rest) else {
            heading.whole = false;
            break;
        };
        rest = after;
        match tag {
            // Called and calling application process titles, invocation identifiers.
            0xa2 => heading.called = element(content).map(|(_, title, _)| title).unwrap_or_default(),
            0xa6 => heading.calling = element(content).map(|(_, title, _)| title).unwrap_or_default(),
            0xa4 => heading.called_invocation = number(content),
            0xa8 => heading.calling_invocation = number(content),
            // User information: external, octet string, EPSEM.
            0xbe => {
                let epsem = element(content).and_then(|(_, external, _)| element(external));
                let Some((_, [flags, data @ ..], _)) = epsem else { continue };
                // Security mode 2: ciphered. A device class of four bytes may come first.
                heading.sealed = flags & 0x0c == 0x08;
                let data = if flags & 0x10 == 0 { Some(data) } else { data.get(4..) };
                if let (false, Some([_, service, ..])) = (heading.sealed, data) {
                    heading.service = Some(*service);
                }
            }
            _ => {}
        }
    }
    Some(heading)
}

impl Outlined for C1222 {
    const FAMILY: Label = Label::literal("c1222");
    const CARRIERS: &'static [Carrier] = &[Carrier::Tcp(PORT), Carrier::Udp(PORT)];

    fn frame(bytes: &[u8]) -> Cut {
        let total = match bytes {
            [0x60, len @ 0..=0x7f, ..] => usize::from(*len) + 2,
            [0x60, 0x81, l0, ..] => usize::from(*l0) + 3,
            [0x60, 0x82, l1, l0, ..] => usize::from(u16::from_be_bytes([*l1, *l0])) + 4,
            [] | [0x60] | [0x60, 0x81] | [0x60, 0x82] | [0x60, 0x82, _] => return Cut::More(bytes.len() + 4),
            _ => return Cut::Foreign,
        };
        if total > STREAM_MAX {
            Cut::Foreign
        } else if bytes.len() < total {
            Cut::More(total)
        } else {
            Cut::Message(total)
        }
    }

    fn read(bytes: &[u8], known: Sender) -> Option<Outline<'_>> {
        let (_, _) = bytes.split_first_chunk::<2>()?;
        let mut oddities = Oddities::NONE;
        let found = heading(bytes);
        if !found.is_some_and(|heading| heading.whole) {
            oddities.push(Oddity::LengthMismatch, 1);
        }
        let heading = found.unwrap_or_default();
        // §5.3.2.4: services from 0x20 on; below lie the codes of answers.
        let (kind, sender) = match (heading.service, known) {
            (Some(0), _) => (Kind::Response, Sender::Server),
            (Some(1..0x20), _) => (Kind::Exception, Sender::Server),
            (Some(_), _) => (Kind::Request, Sender::Client),
            (None, Sender::Server) => (Kind::Response, Sender::Server),
            (None, _) => (Kind::Request, known),
        };
        let invocation = match kind {
            Kind::Request => heading.calling_invocation,
            _ => heading.called_invocation.or(heading.calling_invocation),
        };
        let action = match heading.service {
            Some(0x20) => Some(Action::Browse),
            Some(0x22 | 0x24 | 0x52) => Some(Action::Disconnect),
            Some(0x27) => Some(Action::Connect),
            Some(0x40..=0x4f) => Some(Action::Configure),
            Some(0x50 | 0x51) => Some(Action::Login),
            _ => None,
        };
        // What is sealed tells no service.
        let function = heading.service.map_or(Header::NO_FUNCTION, u16::from);
        let header = Header { kind, unit: 0, function, key: invocation.map(u64::from) };
        let titled = !heading.calling.is_empty() || !heading.called.is_empty();
        let certain = heading.whole && titled && (heading.service.is_some() || heading.sealed);
        Some(Outline { bytes, header, sender, action, certain, oddities })
    }

    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Some(heading) = heading(outline.bytes) else { return };
        put("c1222.called_AP_title", Field::Bytes(heading.called));
        put("c1222.calling_AP_title", Field::Bytes(heading.calling));
        if let Some(number) = heading.called_invocation {
            put("c1222.called_AP_invocation_id", Field::Number(u64::from(number)));
        }
        if let Some(number) = heading.calling_invocation {
            put("c1222.calling_AP_invocation_id", Field::Number(u64::from(number)));
        }
        match heading.service {
            Some(code @ 0..0x20) => put("c1222.err", Field::Hex(u64::from(code), 2)),
            Some(code) => put("c1222.cmd", Field::Hex(u64::from(code), 2)),
            None => {}
        }
    }

    fn name(function: u16) -> &'static str {
        match function {
            0x00 => "answer",
            0x01..0x20 => "negative answer",
            0x20 => "identification",
            0x21 => "terminate",
            0x22 => "disconnect",
            0x24 => "deregister",
            0x25 => "resolve",
            0x26 => "trace",
            0x27 => "register",
            0x30..=0x3f => "read table",
            0x40..=0x4f => "write table",
            0x50 => "logon",
            0x51 => "security",
            0x52 => "logoff",
            0x70 => "wait",
            _ => "undefined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn a_service_is_found_in_its_wrappings() {
        // Called title 1.2, calling invocation 7, EPSEM with the identification service.
        let ask =
            [0x60, 20, 0xa2, 3, 6, 1, 0x2a, 0xa8, 3, 2, 1, 7, 0xbe, 7, 0x28, 5, 0x81, 3, 0x80, 1, 0x20, 0];
        let ask = &ask[..21];
        let mut bytes = ask.to_vec();
        bytes[1] = 19;
        assert_eq!(C1222::cut(&bytes), Cut::Message(21));
        assert_eq!(C1222::probe(&bytes), Some(Sender::Client));
        let header = C1222::read(&bytes, Sender::Unknown).unwrap().header;
        assert_eq!((header.function, header.key, header.kind), (0x20, Some(7), Kind::Request));
        assert_eq!(C1222::probe(&bytes[..20]), None);
        assert_eq!(C1222::cut(b"GET"), Cut::Foreign);
    }
}
