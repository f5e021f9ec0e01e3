//! What conversations have to remember: devices on other networks by their text, segments.

use super::view::{Apdu, Remote};

/// Devices on other networks that one conversation tells apart.
pub const ROUTES_MAX: usize = 256;
/// Segmented messages that are put together at a time.
pub const SEGMENTED_MAX: usize = 8;
/// Bytes of one segmented message.
pub const SEGMENTED_BYTES_MAX: usize = 64 << 10;
/// Longest address on another network (6.2.2.2).
const ADDRESS_MAX: usize = 7;

/// What one conversation keeps.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) routes: Routes,
    pub(super) segments: Segments,
}

/// Devices on other networks: network, address, and how tags write them.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<(u16, Box<[u8]>, Box<str>)>);

impl Routes {
    /// The text of a device, `13:3d` for address 0x3d of network 13; `None` when the table is full.
    pub(super) fn text(&mut self, remote: &Remote<'_>) -> Option<&str> {
        let known = |(network, address, _): &(u16, Box<[u8]>, Box<str>)| {
            *network == remote.network && **address == *remote.address
        };
        let place = match self.0.iter().position(known) {
            Some(place) => place,
            None if self.0.len() < ROUTES_MAX && remote.address.len() <= ADDRESS_MAX => {
                let mut text = format!("{}:", remote.network);
                remote.address.iter().for_each(|byte| text += &format!("{byte:02x}"));
                self.0.push((remote.network, remote.address.into(), text.into()));
                self.0.len() - 1
            }
            None => return None,
        };
        self.0.get(place).map(|(.., text)| &**text)
    }
}

/// Messages in pieces (5.4).
#[derive(Debug, Default)]
pub(super) struct Segments {
    held: Vec<Assembly>,
    oldest: usize,
}

#[derive(Debug)]
struct Assembly {
    key: u64,
    next: u8,
    bytes: Vec<u8>,
}

/// What a segment made of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// More is to come.
    Part,
    /// All of it.
    Whole(&'a [u8]),
    /// An earlier one is missing.
    Gap,
    /// It is longer than what is held.
    Dropped,
}

impl Segments {
    /// Adds a segment to its message, which `key` names.
    pub(super) fn add(&mut self, key: u64, apdu: &Apdu<'_>) -> Segment<'_> {
        let Some((sequence, _)) = apdu.segment else { return Segment::Part };
        let found = self.held.iter().position(|held| held.key == key);
        let place = match found {
            Some(place) => place,
            None if sequence != 0 => return Segment::Gap,
            None if self.held.len() < SEGMENTED_MAX => {
                self.held.push(Assembly { key, next: 0, bytes: Vec::new() });
                self.held.len() - 1
            }
            None => {
                self.oldest = (self.oldest + 1) % SEGMENTED_MAX;
                self.oldest
            }
        };
        let Some(held) = self.held.get_mut(place) else { return Segment::Dropped };
        if sequence == 0 && (held.next != 0 && held.next != 1 || found.is_none()) {
            held.bytes.clear();
            (held.key, held.next) = (key, 0);
        }
        if sequence.wrapping_add(1) == held.next {
            return Segment::Part; // sent again
        }
        if sequence != held.next {
            return Segment::Gap;
        }
        if held.bytes.len() + apdu.body.len() > SEGMENTED_BYTES_MAX {
            return Segment::Dropped;
        }
        held.bytes.extend_from_slice(apdu.body);
        held.next = held.next.wrapping_add(1);
        if apdu.more() {
            return Segment::Part;
        }
        held.key = u64::MAX;
        Segment::Whole(&held.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequence: u8, more: bool, body: &[u8]) -> Apdu<'_> {
        let flags = 8 | u8::from(more) << 2;
        Apdu { kind: 3, flags, accepts: 0, invoke: 1, segment: Some((sequence, 4)), choice: 14, body }
    }

    #[test]
    fn segments_come_in_order_or_not_at_all() {
        let mut segments = Segments::default();
        assert_eq!(segments.add(1, &segment(0, true, b"ab")), Segment::Part);
        assert_eq!(segments.add(2, &segment(1, true, b"xx")), Segment::Gap, "its first was not seen");
        assert_eq!(segments.add(1, &segment(1, true, b"cd")), Segment::Part);
        assert_eq!(segments.add(1, &segment(1, true, b"cd")), Segment::Part, "sent again");
        assert_eq!(segments.add(1, &segment(3, true, b"gh")), Segment::Gap);
        assert_eq!(segments.add(1, &segment(2, false, b"ef")), Segment::Whole(b"abcdef"));
        assert_eq!(segments.add(1, &segment(0, false, b"z")), Segment::Whole(b"z"), "the next message");
    }

    #[test]
    fn floods_stay_within_bounds() {
        let mut segments = Segments::default();
        let body = vec![0; 1400];
        let mut dropped = false;
        for sequence in 0..=255 {
            dropped |= segments.add(7, &segment(sequence, true, &body)) == Segment::Dropped;
        }
        assert!(dropped);
        for key in 0..1000 {
            segments.add(key, &segment(0, true, &body));
        }
        assert!(segments.held.len() <= SEGMENTED_MAX);
        let mut routes = Routes::default();
        for network in 0..1000 {
            let text = routes.text(&Remote { network, address: &[0x3d] }).map(str::to_owned);
            assert_eq!(text.is_some(), usize::from(network) < ROUTES_MAX);
        }
        assert_eq!(routes.text(&Remote { network: 13, address: &[0x3d] }), Some("13:3d"));
    }
}
