//! Messages put together from the data TPDUs of one connection, both ways.
//!
//! Source: ITU-T X.224 (1995) = ISO 8073 §6.3 (segmenting and reassembling), §13.7 (EOT); RFC 1006.

use super::tpdu::{Tpdu, View};
use crate::protocol::Address;

/// The longest message that is put together; of a longer one nothing is kept and [`Whole::dropped`] tells it.
pub const MESSAGE_MAX: usize = 1 << 16;

/// The fragments of both directions of one connection; for the session of a family above COTP.
#[derive(Debug, Default)]
pub struct Assembly {
    halves: [Half; 2],
}

#[derive(Debug, Default)]
struct Half {
    sender: Option<Address>,
    open: bool,
    dropped: bool,
    held: Vec<u8>,
}

/// A whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// Its bytes: those in the TPKT itself where it is a single one.
    pub data: &'a [u8],
    /// Where they begin in the last TPKT; 0 for a message of several fragments.
    pub offset: usize,
    /// Whether fragments were left out because they were more than [`MESSAGE_MAX`].
    pub dropped: bool,
}

impl Assembly {
    /// Keeps what is not the end of a message: a fragment, or what COTP says for itself (empty data, disconnects,
    /// errors). True when it was kept or has nothing for the family above.
    pub fn absorb(&mut self, sender: &Address, tpkt: &[u8]) -> bool {
        let Some(view) = View::new(tpkt) else { return false };
        match view.tpdu() {
            Tpdu::Data { last: false, data, .. } => {
                if let Some(half) = self.half(sender) {
                    half.push(data);
                }
                true
            }
            Tpdu::Data { last: true, data: [], .. } => self.half(sender).is_none_or(|half| !half.open),
            Tpdu::Data { .. } | Tpdu::Connect { .. } | Tpdu::Other { .. } => false,
            Tpdu::Disconnect { .. } | Tpdu::Error { .. } => true,
        }
    }

    /// The message that this TPKT ends; `None` when it is no data.
    #[inline]
    pub fn whole<'a>(&'a mut self, sender: &Address, tpkt: &'a [u8]) -> Option<Whole<'a>> {
        let Tpdu::Data { data, .. } = View::new(tpkt)?.tpdu() else { return None };
        let open = self.halves.iter_mut().find(|half| half.open && half.sender.as_ref() == Some(sender));
        let Some(half) = open else {
            return Some(Whole { data, offset: tpkt.len() - data.len(), dropped: false });
        };
        half.push(data);
        half.open = false;
        Some(Whole { data: &half.held, offset: 0, dropped: half.dropped })
    }

    /// The fragments of a sender; `None` for a third.
    fn half(&mut self, sender: &Address) -> Option<&mut Half> {
        let half = self.halves.iter_mut().find(|half| half.sender.is_none_or(|known| known == *sender))?;
        half.sender = Some(*sender);
        Some(half)
    }
}

impl Half {
    fn push(&mut self, data: &[u8]) {
        if !self.open {
            (self.open, self.dropped) = (true, false);
            self.held.clear();
        }
        if self.held.len() + data.len() > MESSAGE_MAX {
            self.dropped = true;
            self.held.clear();
        } else if !self.dropped {
            self.held.extend_from_slice(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::Mac;

    use super::super::tpdu::Repr;
    use super::*;

    fn tpkt(last: bool, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Repr::Data { last, data }.emit(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn fragments_of_both_directions_become_messages() {
        let [one, two, three] = [1, 2, 3].map(|end| Address::Mac(Mac([end; 6])));
        let mut assembly = Assembly::default();
        assert!(assembly.absorb(&one, &tpkt(false, b"ab")));
        assert!(assembly.absorb(&two, &tpkt(false, b"xy")));
        assert!(assembly.absorb(&three, &tpkt(false, b"zz")), "a third end is nobody's");
        assert!(!assembly.absorb(&one, &tpkt(true, b"cd")));
        assert_eq!(assembly.whole(&one, &tpkt(true, b"cd")).unwrap().data, b"abcd");
        assert_eq!(assembly.whole(&two, &tpkt(true, b"z")).unwrap().data, b"xyz");
        let single = tpkt(true, b"1");
        assert_eq!(assembly.whole(&one, &single), Some(Whole { data: b"1", offset: 7, dropped: false }));
        assert!(assembly.absorb(&one, &tpkt(true, b"")), "upkeep");
    }

    #[test]
    fn what_is_too_long_is_told() {
        let one = Address::Mac(Mac([1; 6]));
        let mut assembly = Assembly::default();
        let part = tpkt(false, &[7; 60_000]);
        assert!(assembly.absorb(&one, &part) && assembly.absorb(&one, &part) && assembly.absorb(&one, &part));
        let whole = tpkt(true, &[1]);
        let whole = assembly.whole(&one, &whole).unwrap();
        assert!(whole.dropped && whole.data.len() <= MESSAGE_MAX);
        assert!(!assembly.whole(&one, &tpkt(true, b"2")).unwrap().dropped);
    }
}
