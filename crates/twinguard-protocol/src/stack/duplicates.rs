//! The same packet seen twice: by two taps, on both networks of PRP (IEC 62439-3), in both directions of an HSR ring.

use twinguard_types::{Duration, Timestamp};

use crate::protocol::Address;

/// Datagrams that are remembered.
const HELD: usize = 32;
/// Longer ones are not compared; what industrial protocols send fits an Ethernet frame.
const LONGEST: usize = 2048;

/// The last datagrams, for comparison.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    held: Vec<Held>,
    next: usize,
}

#[derive(Debug)]
struct Held {
    at: Timestamp,
    ends: [Address; 2],
    identification: u16,
    payload: Vec<u8>,
}

impl Duplicates {
    /// Whether the same bytes went between the same ends within `window`; remembers them if not.
    ///
    /// IPv4's identification tells a repeated message from a repeated packet (RFC 6864 §4).
    pub(super) fn seen(
        &mut self,
        (at, window): (Timestamp, Duration),
        ends: [Address; 2],
        identification: u16,
        payload: &[u8],
    ) -> bool {
        if window == Duration::ZERO || payload.len() > LONGEST {
            return false;
        }
        let same = |held: &&Held| {
            at.since(held.at) <= window
                && held.identification == identification
                && held.ends == ends
                && held.payload == payload
        };
        if self.held.iter().find(same).is_some() {
            return true;
        }
        if self.held.len() < HELD {
            self.held.push(Held { at, ends, identification, payload: Vec::with_capacity(LONGEST) });
        }
        if let Some(held) = self.held.get_mut(self.next) {
            (held.at, held.ends, held.identification) = (at, ends, identification);
            held.payload.clear();
            held.payload.extend_from_slice(payload);
        }
        self.next = (self.next + 1) % HELD;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_packet_within_the_window_is_a_duplicate() {
        let ends =
            [Address::Socket("10.0.0.1:1".parse().unwrap()), Address::Socket("10.0.0.2:2".parse().unwrap())];
        let mut duplicates = Duplicates::default();
        let mut seen = |millis: i64, identification, payload: &[u8]| {
            let at = Timestamp::from_nanos(millis * 1_000_000);
            duplicates.seen((at, Duration::from_millis(2)), ends, identification, payload)
        };
        assert!(!seen(0, 1, b"a"));
        assert!(seen(1, 1, b"a"));
        assert!(!seen(1, 2, b"a") && !seen(1, 1, b"b"));
        assert!(!seen(5, 1, b"a"), "too late");
        for index in 0..100 {
            assert!(!seen(6, 3, &[index]));
        }
        assert!(!seen(6, 3, &[0]), "forgotten");
    }
}
