//! What lies between ISO transport and MMS: session, presentation, association control.
//!
//! Sources: ISO 8327-1 §8.2, §8.3 (session PDUs); ISO 8823-1 §8.4 (presentation PDUs); ISO 8650-1 §9 (ACSE); their use
//! for MMS by IEC 61850-8-1 §25.2. Names of encodings are not looked at: MMS is known by its own tags.

use crate::ber::{Element, Reader};

/// What a transport message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// An MMS message, and where it begins.
    Mms(&'a [u8], usize),
    /// Only what the layers between say to each other.
    Upkeep,
    /// Nothing that these layers would say.
    Foreign,
}

/// Session PDU identifiers (ISO 8327-1 §8.3).
const DATA: [u8; 4] = [1, 0, 1, 0];
/// Parameters that carry user data (ISO 8327-1 §8.3.2): up to 512 bytes, and more.
const USER_DATA: [u8; 2] = [0xc1, 0xc2];

/// What this message of ISO transport carries.
pub(super) fn content(bytes: &[u8]) -> Content<'_> {
    if let Some(rest) = bytes.strip_prefix(&DATA) {
        return presented(Reader::new(rest, DATA.len()));
    }
    match bytes {
        // Connect, accept; refuse, finish, disconnect, abort, abort accept.
        [0x0d | 0x0e, ..] => match parameters(bytes) {
            Some(user) => connected(user),
            None => Content::Upkeep,
        },
        // Smaller controllers leave the layers between out: one message of MMS, exactly.
        [0xa0..=0xad | 0x85 | 0x86 | 0x8b | 0x8c, ..] => {
            let mut reader = Reader::new(bytes, 0);
            let alone = matches!(reader.next(), Some(Ok(_))) && reader.is_empty();
            if alone { Content::Mms(bytes, 0) } else { Content::Foreign }
        }
        [0x0c | 0x09 | 0x0a | 0x19 | 0x1a, ..] if bytes.len() >= 2 => Content::Upkeep,
        _ => Content::Foreign,
    }
}

/// The user data among the parameters of a session PDU.
fn parameters(bytes: &[u8]) -> Option<Reader<'_>> {
    let (_, mut rest, mut at) = parameter(bytes, 0)?;
    while !rest.is_empty() {
        let (code, content, from) = parameter(rest, at)?;
        if USER_DATA.contains(&code) {
            return Some(Reader::new(content, from));
        }
        let used = from - at + content.len();
        (rest, at) = (rest.get(used..)?, at + used);
    }
    None
}

/// Identifier, content and where the content begins; a length of 255 is followed by a longer one (ISO 8327-1 §8.2.3).
fn parameter(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let (code, head, len) = match bytes {
        [code, 0xff, high, low, ..] => (*code, 4, usize::from(u16::from_be_bytes([*high, *low]))),
        [code, len, ..] => (*code, 2, usize::from(*len)),
        _ => return None,
    };
    Some((code, bytes.get(head..head + len)?, at + head))
}

/// User data of a presentation PDU (ISO 8823-1 §8.4.2): a list of values of which the first is ours.
fn presented(mut reader: Reader<'_>) -> Content<'_> {
    let value = reader
        .take(0x61)
        .and_then(|user| user.inside().take(0x30))
        .and_then(|list| find(list.inside(), 0xa0));
    match value {
        Some(value) => associated(value),
        None => Content::Foreign,
    }
}

/// A presentation connect or accept (`CP-type`, `CPA-PPDU`): the user data lie in its parameters.
fn connected(mut reader: Reader<'_>) -> Content<'_> {
    let parameters = reader.take(0x31).and_then(|set| find(set.inside(), 0xa2));
    match parameters.and_then(|parameters| find(parameters.inside(), 0x61)) {
        Some(user) => match user.inside().take(0x30).and_then(|list| find(list.inside(), 0xa0)) {
            Some(value) => associated(value),
            None => Content::Foreign,
        },
        None => Content::Upkeep,
    }
}

/// MMS itself, or association control with MMS inside (ISO 8650-1: `AARQ`, `AARE`, `RLRQ`, `RLRE`, `ABRT`).
fn associated(value: Element<'_>) -> Content<'_> {
    match value.content.first() {
        Some(0xa0..=0xad | 0x85 | 0x86 | 0x8b | 0x8c) => Content::Mms(value.content, value.at),
        Some(0x60 | 0x61) => {
            let Some(Ok(pdu)) = value.inside().next() else { return Content::Foreign };
            let external = find(pdu.inside(), 0xbe).and_then(|user| user.inside().take(0x28));
            match external.and_then(|external| find(external.inside(), 0xa0)) {
                Some(inner) => Content::Mms(inner.content, inner.at),
                None => Content::Upkeep,
            }
        }
        Some(0x62..=0x64) => Content::Upkeep,
        _ => Content::Foreign,
    }
}

/// The first element with this tag.
pub(super) fn find(mut reader: Reader<'_>, tag: u32) -> Option<Element<'_>> {
    loop {
        let element = reader.next()?.ok()?;
        if element.tag == tag {
            return Some(element);
        }
    }
}

/// Puts session and presentation before an MMS message, in the context that everybody gives MMS.
pub(super) fn wrap(pdu: &[u8]) -> Vec<u8> {
    let nested = |tag: u32, content: &[u8]| {
        let mut out = Vec::new();
        crate::ber::put(tag, content, &mut out);
        out
    };
    let value = [vec![2, 1, 3], nested(0xa0, pdu)].concat();
    [DATA.to_vec(), nested(0x61, &nested(0x30, &value))].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_below_their_layers() {
        let conclude = [0x8b, 0];
        assert_eq!(content(&wrap(&conclude)), Content::Mms(&conclude, 13));
        assert_eq!(content(&conclude), Content::Mms(&conclude, 0), "without them");
        assert_eq!(content(&[0x8b, 0, 0]), Content::Foreign);
        // A finish, and a release of the association.
        assert_eq!(content(&[9, 0]), Content::Upkeep);
        assert_eq!(content(&wrap(&[0x62, 0])), Content::Upkeep);
        assert_eq!(content(&[0x32, 1, 0, 0]), Content::Foreign, "S7comm");
        assert_eq!(content(&[]), Content::Foreign);
        // A connect: version, user data with the parameters, AARQ and its user information.
        let nested = |tag: u32, content: &[u8]| {
            let mut out = Vec::new();
            crate::ber::put(tag, content, &mut out);
            out
        };
        let external = nested(0x28, &[&[2, 1, 3][..], &nested(0xa0, &[0xa8, 0])].concat());
        let asks = nested(0x60, &nested(0xbe, &external));
        let list = nested(0x30, &[&[2, 1, 1][..], &nested(0xa0, &asks)].concat());
        let shows = nested(0x31, &nested(0xa2, &nested(0x61, &list)));
        let user = [&[0x16, 1, 2, 0xc1, shows.len() as u8][..], &shows].concat();
        let bytes = [&[0x0d, user.len() as u8][..], &user].concat();
        assert!(matches!(content(&bytes), Content::Mms([0xa8, 0], _)));
        for end in 0..bytes.len() {
            assert!(!matches!(content(&bytes[..end]), Content::Mms(..)));
        }
    }
}
