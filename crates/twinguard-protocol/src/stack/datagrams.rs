//! Messages without a stream: UDP datagrams and bare Ethernet frames.

use twinguard_types::{Malformed, Oddity};

use super::{Found, LOOKS, Stack};
use crate::pairing::{Conversation, Role};
use crate::protocol::{Address, Carrier, Cut};
use crate::registry::Family;

/// A datagram whose messages are told one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingDatagram {
    pub(super) place: u32,
    /// Its sender.
    pub(super) end: usize,
    /// How much of it was told.
    pub(super) from: usize,
}

/// Datagrams between two ends on ports without a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unnamed {
    /// Looked into this many times.
    Looks(u8),
    /// A family.
    Family(Family),
}

/// Pairs of ends on ports without a name that are held; beyond it they are forgotten and looked into again.
const UNNAMED_MAX: usize = 4096;

impl Stack {
    /// The family spoken between two ends on ports without a name.
    pub(super) fn unnamed(&mut self, ends: [Address; 2], payload: &[u8]) -> Option<Family> {
        let [source, destination] = ends;
        let key = if source <= destination { (source, destination) } else { (destination, source) };
        let looks = match self.unnamed.get(&key) {
            Some(Unnamed::Family(family)) => return Some(*family),
            Some(Unnamed::Looks(LOOKS..)) => return None,
            Some(Unnamed::Looks(looks)) => *looks,
            None => 0,
        };
        if self.unnamed.len() >= UNNAMED_MAX {
            self.unnamed.clear();
        }
        let found = self.config.recognise(payload).map(|(family, _)| family);
        self.unnamed.insert(key, found.map_or(Unnamed::Looks(looks + 1), Unnamed::Family));
        found
    }

    /// Keeps what passed on a serial line, for the family of that link or for the one that finds itself in it.
    pub(super) fn line(&mut self, carrier: Carrier, ends: [Address; 2], payload: &[u8]) {
        if !self.families_on(carrier).is_empty() {
            self.bare(carrier, ends, payload);
        } else if self.config.detect
            && let Some(family) = self.unnamed(ends, payload)
        {
            self.datagram(family, ends, Role::Open, (0, payload));
        }
    }

    /// Keeps a frame for each family on its carrier that finds itself in it; where none does, for the first.
    pub(super) fn bare(&mut self, carrier: Carrier, ends: [Address; 2], payload: &[u8]) {
        let count = self.families_on(carrier).len();
        let mut told = false;
        self.inside.clear();
        for place in 0..count {
            let Some((_, family)) = self.families_on(carrier).get(place).copied() else { break };
            if count > 1 && !family.lies_in(payload) {
                continue;
            }
            if told {
                self.inside.push_back(family);
            } else {
                told = true;
                self.datagram(family, ends, Role::Open, (0, payload));
            }
        }
        if self.pending_datagram.is_none() {
            self.inside.clear(); // seen before
        } else if !self.inside.is_empty() {
            self.inside_ends = ends;
        }
        if !told && let Some((_, family)) = self.families_on(carrier).first().copied() {
            self.datagram(family, ends, Role::Open, (0, payload));
        }
    }

    /// The frame just told, for the next family that lies in it.
    fn within(&mut self) -> Option<PendingDatagram> {
        let family = self.inside.pop_front()?;
        Some(self.pending(family, self.inside_ends, Role::Open))
    }

    /// The next message of the datagram or frame at hand.
    pub(super) fn next_datagram(&mut self) -> Option<Found> {
        while let Some(pending) = self.pending_datagram.take().or_else(|| self.within()) {
            if let Some(found) = self.next_of(pending) {
                return Some(found);
            }
        }
        None
    }

    /// Keeps a datagram for [`Stack::advance`]; end 0 is its sender.
    pub(super) fn datagram(
        &mut self,
        family: Family,
        ends: [Address; 2],
        role: Role,
        (identification, payload): (u16, &[u8]),
    ) {
        let now = (self.at, self.config.duplicates_within);
        if self.duplicates.seen(now, ends, identification, payload) {
            self.counters.duplicates += 1;
            return;
        }
        self.datagram.clear();
        self.datagram.extend_from_slice(payload);
        self.pending_datagram = Some(self.pending(family, ends, role));
    }

    fn pending(&mut self, family: Family, ends: [Address; 2], role: Role) -> PendingDatagram {
        let [source, destination] = ends;
        let key =
            if source <= destination { (family, source, destination) } else { (family, destination, source) };
        let place = match self.datagram_index.get(&key) {
            Some(place) => *place,
            None => self.insert_datagram(key, ends, role),
        };
        PendingDatagram { place, end: usize::from(self.is_reverse(place, source)), from: 0 }
    }

    fn is_reverse(&self, place: u32, source: Address) -> bool {
        self.datagrams.get(place as usize).is_some_and(|held| held.pairing.ends.first() != Some(&source))
    }

    #[cold]
    fn insert_datagram(&mut self, key: (Family, Address, Address), ends: [Address; 2], role: Role) -> u32 {
        let fresh = Conversation::new(key.0, ends, role, true);
        let place = if self.datagrams.len() < self.config.datagram_conversations.max(1) {
            self.datagrams.push(fresh);
            self.datagrams.len() - 1
        } else {
            // The table is full: places are given anew in turn.
            let place = self.oldest_datagram % self.datagrams.len();
            self.oldest_datagram = place + 1;
            if let Some(held) = self.datagrams.get_mut(place) {
                let (now, exchanges) = (self.now, &mut self.exchanges);
                held.pairing.end(now, |exchange| exchanges.push_back(exchange));
                let [first, second] = held.pairing.ends;
                let (low, high) = if first <= second { (first, second) } else { (second, first) };
                self.datagram_index.remove(&(held.pairing.family, low, high));
                *held = fresh;
            }
            place
        };
        self.datagram_index.insert(key, place as u32);
        place as u32
    }

    /// The next message of a datagram. What begins no message is one all the same where the datagram begins; behind
    /// a message it is padding, or odd.
    fn next_of(&mut self, pending: PendingDatagram) -> Option<Found> {
        let PendingDatagram { place, end, from } = pending;
        let held = self.datagrams.get(place as usize)?;
        let bytes = self.datagram.get(from..).unwrap_or_default();
        let len = match held.pairing.family.cut(bytes) {
            Cut::Message(len) => len.clamp(1, bytes.len().max(1)),
            Cut::More(_) | Cut::Foreign if from == 0 => bytes.len(),
            Cut::More(_) | Cut::Foreign => {
                if bytes.iter().any(|byte| *byte != 0) {
                    let address = |end: usize| held.pairing.ends.get(end).and_then(Address::socket);
                    self.malformed.push_back(Malformed {
                        at: self.at,
                        family: held.pairing.family.label(),
                        source: address(end),
                        destination: address(1 - end),
                        offset: u32::try_from(from).unwrap_or(u32::MAX),
                        oddity: Oddity::TrailingBytes,
                    });
                }
                return None;
            }
        };
        if from + len < self.datagram.len() {
            self.pending_datagram = Some(PendingDatagram { from: from + len, ..pending });
        }
        Some(Found::Datagram { place, end, from, len })
    }
}
